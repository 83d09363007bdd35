// What the charts compute before they draw; no DOM in here.

export type Value = number | null

/** The colour and dash of the i-th series; a ninth series repeats the first, dashed. */
export function seriesStyle(i: number): { color: string; dash: boolean } {
  return { color: `var(--c${(i % 8) + 1})`, dash: Math.floor(i / 8) % 2 === 1 }
}

/** Counts as shares of their sum; all zero when there is nothing. */
export function shares(counts: readonly number[]): number[] {
  const sum = counts.reduce((a, b) => a + b, 0)
  return counts.map((c) => (sum > 0 ? c / sum : 0))
}

/** Smallest and largest finite value; undefined when there is none. */
export function extent(...series: readonly (readonly (Value | undefined)[])[]): [number, number] | undefined {
  let low = Infinity
  let high = -Infinity
  for (const values of series)
    for (const v of values) {
      if (v === null || v === undefined || !Number.isFinite(v)) continue
      if (v < low) low = v
      if (v > high) high = v
    }
  return low <= high ? [low, high] : undefined
}

/** Bounds of an axis around [low, high]: from 0 where asked, 5 % of air, never empty. */
export function axisBounds(range: [number, number] | undefined, options: { zero?: boolean; include?: readonly number[] } = {}): [number, number] {
  let [low, high] = range ?? [0, 1]
  for (const v of options.include ?? []) {
    low = Math.min(low, v)
    high = Math.max(high, v)
  }
  if (options.zero) low = Math.min(0, low)
  if (low === high) {
    const pad = low === 0 ? 1 : Math.abs(low) * 0.1
    return options.zero && low >= 0 ? [0, high + pad] : [low - pad, high + pad]
  }
  const pad = (high - low) * 0.05
  if (!options.zero || low < 0) return [low - pad, high + pad]
  // An axis from zero ends at a tick, unless that would leave a third of it empty.
  const step = tickStep(0, high + pad, 3)
  const top = Math.ceil(high / step) * step
  return [0, top <= high * 1.35 ? top : high + pad]
}

function tickStep(low: number, high: number, target: number): number {
  const rough = (high - low) / target
  const power = 10 ** Math.floor(Math.log10(rough))
  return [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? rough
}

/** Round ticks inside [low, high], about `target` of them. */
export function ticks(low: number, high: number, target: number): number[] {
  if (!(high > low) || target < 1) return []
  const step = tickStep(low, high, target)
  const out: number[] = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) out.push(Number((i * step).toPrecision(12)))
  return out
}

/**
 * Exponential moving average with the bias of its start removed, as W&B and TensorBoard show it.
 * `weight` is in [0, 1): 0 changes nothing. Gaps stay gaps.
 */
export function smooth(values: readonly Value[], weight: number): Value[] {
  if (!(weight > 0)) return [...values]
  let last = 0
  let n = 0
  return values.map((v) => {
    if (v === null || !Number.isFinite(v)) return v
    last = last * weight + (1 - weight) * v
    n++
    return last / (1 - weight ** n)
  })
}

/** At most `max` of the points: the smallest and largest of each bucket, so that peaks stay. Keeps first and last. */
export function thin(values: readonly number[], max: number): number[] {
  if (values.length <= max || max < 4) return [...values]
  const buckets = Math.floor((max - 2) / 2)
  const inner = values.length - 2
  const out = [values[0]!]
  for (let b = 0; b < buckets; b++) {
    const from = 1 + Math.floor((b * inner) / buckets)
    const to = 1 + Math.floor(((b + 1) * inner) / buckets)
    let low = from
    let high = from
    for (let i = from; i < to; i++) {
      if (values[i]! < values[low]!) low = i
      if (values[i]! > values[high]!) high = i
    }
    out.push(values[Math.min(low, high)]!, values[Math.max(low, high)]!)
  }
  out.push(values.at(-1)!)
  return out
}

/** At most `max` of the points, each the mean of its bucket; for pictures too small for every peak. Gaps stay gaps. */
export function averages(values: readonly Value[], max: number): Value[] {
  if (values.length <= max || max < 1) return [...values]
  return Array.from({ length: max }, (_, b) => {
    const bucket = values.slice(Math.floor((b * values.length) / max), Math.floor(((b + 1) * values.length) / max)).filter((v): v is number => v !== null && Number.isFinite(v))
    return bucket.length > 0 ? bucket.reduce((x, y) => x + y, 0) / bucket.length : null
  })
}

/** The outline of a histogram of shares, as an SVG path over equally wide bars. */
export function outline(values: readonly number[], width: number, y: (v: number) => number): string {
  const bar = width / values.length
  return values.map((v, i) => `${i === 0 ? 'M' : 'L'}${(i * bar).toFixed(1)} ${y(v).toFixed(1)}H${((i + 1) * bar).toFixed(1)}`).join('')
}

/** Where x lies on equally drawn bars of unequal width, as a share of the whole width in [0, 1]. */
export function alongEdges(edges: readonly number[], x: number): number {
  const bins = edges.length - 1
  if (bins < 1) return 0
  if (x <= edges[0]!) return 0
  if (x >= edges[bins]!) return 1
  let i = 0
  while (i < bins - 1 && x >= edges[i + 1]!) i++
  const low = edges[i]!
  const high = edges[i + 1]!
  return (i + (high > low ? (x - low) / (high - low) : 0.5)) / bins
}

/** Whether all bins are equally wide (to 1 %), so that values may stand on a linear axis. */
export function evenEdges(edges: readonly number[]): boolean {
  if (edges.length < 3) return true
  const width = (edges.at(-1)! - edges[0]!) / (edges.length - 1)
  return edges.every((e, i) => i === 0 || Math.abs(e - edges[i - 1]! - width) <= Math.abs(width) * 0.01)
}

/** The index of the value of a sorted list that is nearest to x; -1 for an empty list. */
export function nearest(sorted: readonly number[], x: number): number {
  if (sorted.length === 0) return -1
  let low = 0
  let high = sorted.length - 1
  while (high - low > 1) {
    const mid = (low + high) >> 1
    if (sorted[mid]! < x) low = mid
    else high = mid
  }
  return x - sorted[low]! <= sorted[high]! - x ? low : high
}

/** A value in a row of aligned series: null is a gap of its own, undefined a place where only others have a point. */
export type Aligned = Value | undefined

/** Makes gaps as wide as they are: places without a point beside a gap belong to it. */
export function widenGaps(row: Aligned[]): Aligned[] {
  for (let i = 0; i < row.length; i++) {
    if (row[i] !== null) continue
    for (let k = i - 1; k >= 0 && row[k] === undefined; k--) row[k] = null
    while (i + 1 < row.length && row[i + 1] === undefined) row[++i] = null
  }
  return row
}

/**
 * Series of different x on one sorted x; what uPlot wants. Where only others have a point there is nothing, and the line
 * goes on; a value that is null (NaN, infinite) is a gap. Of several points of one place the last one counts.
 */
export function align(series: readonly { x: readonly number[]; y: readonly Value[] }[]): { x: number[]; ys: Aligned[][] } {
  const x = [...new Set(series.flatMap((s) => [...s.x]))].sort((a, b) => a - b)
  const at = new Map(x.map((v, i) => [v, i]))
  const ys = series.map((s) => {
    const row = new Array<Aligned>(x.length).fill(undefined)
    s.x.forEach((v, i) => {
      row[at.get(v)!] = s.y[i] ?? null
    })
    return widenGaps(row)
  })
  return { x, ys }
}

export interface Band {
  mean: Value[]
  low: Value[]
  high: Value[]
}

/** Common places for curves of different x: all there are, or `most` equal steps. */
export function commonGrid(series: readonly { x: readonly number[] }[], most = 200): number[] {
  const all = [...new Set(series.flatMap((s) => [...s.x]))].sort((a, b) => a - b)
  if (all.length <= most) return all
  const [low, high] = [all[0]!, all.at(-1)!]
  return Array.from({ length: most }, (_, i) => low + (i * (high - low)) / (most - 1))
}

/** The mean of some curves at each place, and the range from the smallest to the largest; between its points a curve is a straight line, and it says nothing outside of them or inside a gap. */
export function bandOf(series: readonly { x: readonly number[]; y: readonly Value[] }[], grid: readonly number[]): Band {
  const rows = series.map((s) => interpolated(s.x, s.y, grid))
  const at = grid.map((_, i) => rows.flatMap((r) => { const v = r[i]; return v === null || v === undefined ? [] : [v] }))
  return {
    mean: at.map((vs) => (vs.length > 0 ? vs.reduce((a, b) => a + b, 0) / vs.length : null)),
    low: at.map((vs) => (vs.length > 0 ? Math.min(...vs) : null)),
    high: at.map((vs) => (vs.length > 0 ? Math.max(...vs) : null)),
  }
}

/** The values of a line through points (x ascending) at the places of a grid. */
export function interpolated(x: readonly number[], y: readonly Value[], grid: readonly number[]): Value[] {
  let k = 0
  return grid.map((at) => {
    while (k + 1 < x.length && x[k + 1]! <= at) k++
    const [x0, y0] = [x[k], y[k] ?? null]
    if (x0 === undefined || at < x0 || y0 === null || !Number.isFinite(y0)) return null
    if (at === x0) return y0
    const [x1, y1] = [x[k + 1], y[k + 1] ?? null]
    if (x1 === undefined || y1 === null || !Number.isFinite(y1)) return null
    return y0 + ((at - x0) / (x1 - x0)) * (y1 - y0)
  })
}

/** Text for a spreadsheet; cells with a comma, quote or line break are quoted, and none can start a formula. */
export function csv(header: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  const cell = (v: string | number | null) => {
    if (v === null) return ''
    if (typeof v === 'number') return String(v)
    const safe = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r]/.test(v) && !/^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(v) ? `'${v}` : v
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  return [header, ...rows].map((row) => row.map(cell).join(',')).join('\n') + '\n'
}
