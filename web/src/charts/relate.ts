// How values of many things relate: dimensions and their scales, boxes, and a smoothed field with its isolines.
import { scaleLinear, scaleLog, scalePoint } from 'd3-scale'
import { num, tickWords } from '@/lib/format'
import { compareText } from './order'

/** One column of values: of a parameter, a metric or a tag. */
export interface Dim {
  id: string
  label: string
  kind: 'number' | 'text'
  values: readonly (number | string | null)[]
  /** Of a number above 0 that spans about a decade or more: it is drawn on a log scale. */
  log: boolean
}

/** The range of a brush: two numbers, or the first and last of the sorted texts. */
export type Brush = readonly [number | string, number | string]

const decades = 8

/** A column is one of numbers when every value that is there is a finite number; "1e-3" of a parameter is one. */
export function dimension(id: string, label: string, raw: readonly (number | string | null | undefined)[]): Dim {
  const there = raw.filter((v): v is number | string => v !== null && v !== undefined && v !== '')
  const numeric = there.length > 0 && there.every((v) => typeof v === 'number' || (v.trim() !== '' && Number.isFinite(Number(v))))
  if (!numeric) return { id, label, kind: 'text', log: false, values: raw.map((v) => (v === null || v === undefined || v === '' ? null : String(v))) }
  const values = raw.map((v) => (v === null || v === undefined || v === '' || !Number.isFinite(Number(v)) ? null : Number(v)))
  const known = values.filter((v): v is number => v !== null)
  const low = Math.min(...known)
  return { id, label, kind: 'number', values, log: low > 0 && Math.max(...known) / low >= decades }
}

export interface Axis {
  at: (value: number | string) => number
  /** The value under a pixel; of texts the nearest. */
  invert: (pixel: number) => number | string
  ticks: { value: number | string; text: string }[]
  ends: [string, string]
}

/** A scale over the values of `dim` (of the rows in `only`, when given), from pixel `from` to pixel `to`. */
export function axisOf(dim: Dim, from: number, to: number, ticks = 4, only?: readonly boolean[]): Axis {
  const some = dim.values.filter((v, i): v is number | string => v !== null && (!only || only[i] === true))
  const known = some.length > 0 ? some : dim.values.filter((v): v is number | string => v !== null)
  if (dim.kind === 'text') {
    const domain = [...new Set(known as string[])].sort(compareText)
    const scale = scalePoint<string>().domain(domain).range([from, to]).padding(domain.length === 1 ? 0 : 0.1)
    const at = (v: number | string) => scale(String(v)) ?? NaN
    const invert = (pixel: number) => domain.reduce((a, b) => (Math.abs(at(b) - pixel) < Math.abs(at(a) - pixel) ? b : a), domain[0] ?? '')
    return { at, invert, ticks: domain.map((v) => ({ value: v, text: v })), ends: [domain[0] ?? '', domain.at(-1) ?? ''] }
  }
  const numbers = known as number[]
  let low = numbers.length > 0 ? Math.min(...numbers) : 0
  let high = numbers.length > 0 ? Math.max(...numbers) : 1
  if (low === high) {
    const pad = low === 0 ? 1 : Math.abs(low) * 0.1
    low -= pad
    high += pad
  }
  const scale = dim.log && low > 0 ? scaleLog().domain([low, high]).range([from, to]) : scaleLinear().domain([low, high]).range([from, to])
  const whole = (known as number[]).every(Number.isInteger)
  const wanted = scale.ticks(ticks).filter((t) => !whole || Number.isInteger(t))
  const every = Math.ceil(wanted.length / (ticks + 1))
  const marks = wanted.filter((_, i) => i % every === 0)
  const words = dim.log ? marks.map(num) : tickWords(marks)
  return { at: (v) => scale(Number(v)), invert: (pixel) => scale.invert(pixel), ticks: marks.map((v, i) => ({ value: v, text: words[i]! })), ends: [num(low), num(high)] }
}

/** Whether a value lies in a brush; nothing lies in none. */
export function within(dim: Dim, value: number | string | null, [a, b]: Brush): boolean {
  if (value === null) return false
  if (dim.kind === 'number') return Number(value) >= Math.min(Number(a), Number(b)) && Number(value) <= Math.max(Number(a), Number(b))
  const [low, high] = compareText(String(a), String(b)) <= 0 ? [a, b] : [b, a]
  return compareText(String(value), String(low)) >= 0 && compareText(String(value), String(high)) <= 0
}

/** Which rows lie in all brushes. */
export function inside(dims: readonly Dim[], brushes: ReadonlyMap<string, Brush>, rows: number): boolean[] {
  const active = dims.flatMap((d) => { const b = brushes.get(d.id); return b ? [{ d, b }] : [] })
  return Array.from({ length: rows }, (_, i) => active.every(({ d, b }) => within(d, d.values[i] ?? null, b)))
}

export interface Box {
  q1: number
  median: number
  q3: number
  /** Ends of the whiskers: the outermost values within 1.5 interquartile ranges of the box (Tukey 1977). */
  low: number
  high: number
  outliers: number[]
  count: number
}

/** The five-number summary of some values; quartiles by linear interpolation (type 7 of Hyndman and Fan 1996). */
export function box(values: readonly number[]): Box | undefined {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const quantile = (p: number) => {
    const h = (sorted.length - 1) * p
    const i = Math.floor(h)
    return sorted[i]! + (h - i) * ((sorted[i + 1] ?? sorted[i]!) - sorted[i]!)
  }
  const [q1, median, q3] = [quantile(0.25), quantile(0.5), quantile(0.75)]
  const reach = 1.5 * (q3 - q1)
  const near = sorted.filter((v) => v >= q1 - reach && v <= q3 + reach)
  return { q1, median, q3, low: near[0]!, high: near.at(-1)!, outliers: sorted.filter((v) => v < q1 - reach || v > q3 + reach), count: sorted.length }
}

export interface Field {
  columns: number
  rows: number
  /** Row by row; null where no point is near enough to say anything. */
  values: (number | null)[]
}

/**
 * Values between scattered points: a Gaussian kernel average (Nadaraya 1964, Watson 1964) on a grid over the unit
 * square. `width` is the standard deviation of the kernel; a cell farther than two of them from every point is empty.
 */
export function field(points: readonly { x: number; y: number; z: number }[], columns: number, rows: number, width = 0.12): Field {
  const values: (number | null)[] = []
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      const [x, y] = [(c + 0.5) / columns, (r + 0.5) / rows]
      let sum = 0
      let weight = 0
      let nearest = Infinity
      for (const p of points) {
        const d2 = ((p.x - x) ** 2 + (p.y - y) ** 2) / (width * width)
        const w = Math.exp(-d2 / 2)
        sum += w * p.z
        weight += w
        nearest = Math.min(nearest, d2)
      }
      values.push(nearest <= 4 && weight > 0 ? sum / weight : null)
    }
  return { columns, rows, values }
}

/** The line of one level through a field by marching squares, as pieces in cell coordinates: the centre of the first cell is 0.5, 0.5. */
export function isoline({ columns, rows, values }: Field, level: number): [number, number, number, number][] {
  const out: [number, number, number, number][] = []
  const at = (c: number, r: number) => values[r * columns + c] ?? null
  for (let r = 0; r + 1 < rows; r++)
    for (let c = 0; c + 1 < columns; c++) {
      const [a, b, d, e] = [at(c, r), at(c + 1, r), at(c + 1, r + 1), at(c, r + 1)]
      if (a === null || b === null || d === null || e === null) continue
      const cuts: [number, number][] = []
      const cut = (v: number, w: number, x1: number, y1: number, x2: number, y2: number) => {
        if (v < level === w < level) return
        const t = (level - v) / (w - v)
        cuts.push([c + 0.5 + x1 + (x2 - x1) * t, r + 0.5 + y1 + (y2 - y1) * t])
      }
      cut(a, b, 0, 0, 1, 0)
      cut(b, d, 1, 0, 1, 1)
      cut(d, e, 1, 1, 0, 1)
      cut(e, a, 0, 1, 0, 0)
      for (let i = 0; i + 1 < cuts.length; i += 2) out.push([...cuts[i]!, ...cuts[i + 1]!])
    }
  return out
}

/** Ranks of values from 1, ties sharing their mean. */
function ranks(values: readonly number[]): number[] {
  const order = values.map((v, i) => [v, i] as const).sort((a, b) => a[0] - b[0])
  const out = new Array<number>(values.length)
  for (let i = 0; i < order.length;) {
    let j = i
    while (j < order.length && order[j]![0] === order[i]![0]) j++
    for (let k = i; k < j; k++) out[order[k]![1]] = (i + j + 1) / 2
    i = j
  }
  return out
}

/**
 * How much a result moves with a column, in [0, 1]: of numbers the absolute rank correlation (Spearman 1904), of texts
 * the share of the variance of the ranks that lies between groups (eta, the root of it). 0 when too little is known.
 */
export function influence(of: Dim, on: Dim): number {
  const pairs = of.values.flatMap((v, i) => { const r = on.values[i]; return v !== null && typeof r === 'number' ? [{ v, r }] : [] })
  if (pairs.length < 3) return 0
  const result = ranks(pairs.map((p) => p.r))
  const mean = (pairs.length + 1) / 2
  const total = result.reduce((a, r) => a + (r - mean) ** 2, 0)
  if (total === 0) return 0
  if (of.kind === 'number') {
    const own = ranks(pairs.map((p) => Number(p.v)))
    const spread = own.reduce((a, r) => a + (r - mean) ** 2, 0)
    return spread === 0 ? 0 : Math.abs(own.reduce((a, r, i) => a + (r - mean) * (result[i]! - mean), 0)) / Math.sqrt(spread * total)
  }
  const groups = new Map<number | string, number[]>()
  pairs.forEach((p, i) => groups.set(p.v, [...(groups.get(p.v) ?? []), result[i]!]))
  // A group for each run explains everything and says nothing.
  if (groups.size > pairs.length / 2) return 0
  const between = [...groups.values()].reduce((a, g) => a + g.length * (g.reduce((x, y) => x + y, 0) / g.length - mean) ** 2, 0)
  return Math.sqrt(between / total)
}
