import { useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { absolute, clock, day, num, tickWords } from '@/lib/format'
import { useStore } from '@/lib/store'
import { theme } from '@/lib/theme'
import { axisBounds, extent, ticks, type Aligned, type Value } from './maths'
import { ChartFrame } from './ChartFrame'
import { useWidth } from './useWidth'

export interface Series {
  id: string
  label: string
  /** A CSS colour, usually a token: "var(--c1)". */
  color: string
  /** null is a gap; undefined a place where only other series have a point, and the line goes on. */
  values: readonly Aligned[]
  /** Values that are no numbers to draw, in words, by x: NaN and the infinities. They are marked at the foot of the chart. */
  odd?: ReadonlyMap<number, string> | undefined
  width?: number
  dash?: boolean
  /** Context behind the focus: thin, pale, without a point or a line in the tooltip. */
  quiet?: boolean
  fill?: boolean
  /** An interval around the line. */
  low?: readonly Value[]
  high?: readonly Value[]
  /** Joins points over gaps; for series whose x values differ from their neighbours'. */
  span?: boolean
  points?: boolean
}

export interface Limit {
  value: number
  label: string
  tone?: 'bad' | 'quiet'
}

export interface ChartEvent {
  x: number
  label: string
  tone?: 'bad'
}

export interface TimeSeriesProps {
  title: string
  unit?: string
  /** The chart is a panel of its own, so its title is one too. */
  big?: boolean
  /** Ascending: unix seconds when `time`, else steps. */
  x: readonly number[]
  time?: boolean
  series: readonly Series[]
  height?: number
  format?: (v: number) => string
  /** Axis ticks may be shorter than values, for they share the unit of the title. */
  tick?: (v: number) => string
  xLabel?: (x: number) => string
  xTick?: (x: number) => string
  /** Of the ticks, where they have no words of their own. */
  xUnit?: string | undefined
  /** Begin the axis at 0; for counts, rates and shares. */
  zero?: boolean
  log?: boolean
  limits?: readonly Limit[]
  events?: readonly ChartEvent[]
  shade?: readonly { from: number; to: number }[]
  /** Charts of one name share their crosshair. */
  sync?: string
  hideX?: boolean
  xRange?: [number, number] | undefined
  onZoom?: (from: number, to: number) => void
  onReset?: () => void
  empty?: string
  legend?: ReactNode
  right?: ReactNode
}

interface Pointer {
  index: number
  left: number
  high: boolean
}

/** A line chart over time or steps, with its table twin. Drag zooms, a double click goes back. */
export function TimeSeries(props: TimeSeriesProps) {
  const { title, unit, x, series, height = 140, empty = 'No data in this range', format = num, time } = props
  const headers = [time ? 'time' : 'x', ...series.map((s) => s.label)]
  const rows = () => x.map((at, i) => [time ? new Date(at * 1000).toISOString() : at, ...series.map((s) => s.odd?.get(at) ?? s.values[i] ?? null)])
  const canvas = useRef<HTMLCanvasElement | null>(null)
  const nothing = x.length === 0 || series.every((s) => s.values.every((v) => (v ?? null) === null))
  return (
    <ChartFrame title={title} unit={unit} big={props.big ?? false} right={props.right} legend={props.legend} height={height} header={headers} rows={rows} format={format}
      png={() => canvas.current?.toDataURL('image/png')}>
      <Plot {...props} height={height} onCanvas={(c) => (canvas.current = c)} />
      {nothing && <div className="absolute inset-x-0 text-center text-3 text-sm" style={{ top: height / 2 - 18 }}>{empty}</div>}
    </ChartFrame>
  )
}

function Plot(props: TimeSeriesProps & { height: number; onCanvas: (c: HTMLCanvasElement | null) => void }) {
  const { x, series, height, time, sync, hideX, log } = props
  const [box, width] = useWidth<HTMLDivElement>()
  const plot = useRef<uPlot | null>(null)
  const latest = useRef(props)
  const [pointer, setPointer] = useState<Pointer | null>(null)
  const look = useStore(theme)
  useLayoutEffect(() => {
    latest.current = props
  })

  // A logarithm has no place for what is not above 0, so it is a gap there.
  const data = useMemo(() => [[...x], ...series.map((s) => (log ? s.values.map((v) => (typeof v === 'number' && v <= 0 ? null : v)) : [...s.values]))] as uPlot.AlignedData, [x, series, log])
  const shape = JSON.stringify(series.map((s) => [s.id, s.color, s.width, s.dash, s.quiet, s.fill, s.span, s.points]))
  const ready = width > 0

  useEffect(() => {
    if (!box.current || !ready) return
    const u = new uPlot(options(latest, box.current.clientWidth, setPointer), data, box.current)
    plot.current = u
    latest.current.onCanvas(u.ctx.canvas)
    const back = () => latest.current.onReset?.()
    u.over.addEventListener('dblclick', back)
    return () => {
      u.destroy()
      plot.current = null
      latest.current.onCanvas(null)
    }
    // The plot is built anew when what it is changes; data and size have effects of their own.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, look, ready, time, sync, hideX, log])
  useEffect(() => plot.current?.setSize({ width, height }), [width, height])
  const marks = JSON.stringify([props.limits, props.events, props.shade, props.xRange, props.zero])
  useEffect(() => plot.current?.setData(data), [data, marks])

  return (
    <div ref={box} className="chart" style={{ height }} role="img" aria-label={describe(props)}>
      {pointer && <Tip {...props} pointer={pointer} width={width} />}
    </div>
  )
}

function Tip({ x, series, time, xLabel, format = num, height, pointer, width, events = [] }: TimeSeriesProps & { height: number; pointer: Pointer; width: number }) {
  const at = x[pointer.index]
  if (at === undefined) return null
  const shown = series
    .filter((s) => !s.quiet)
    .map((s) => ({ s, v: beside(s.values, pointer.index), odd: s.odd?.get(at) }))
    .filter(({ v, odd }) => v !== undefined || odd !== undefined)
    .sort((a, b) => (b.v ?? -Infinity) - (a.v ?? -Infinity))
    .slice(0, 12)
  const side = pointer.left > width * 0.6 ? { right: width - pointer.left + 12 } : { left: pointer.left + 12 }
  const edge = pointer.high ? { bottom: Math.min(24, height / 5) } : { top: 0 }
  return (
    <div className="tip" style={{ ...side, ...edge }}>
      {events.filter((e) => e.label && Math.abs(e.x - at) <= ((x.at(-1) ?? 0) - (x[0] ?? 0)) / 100).slice(-4).map((e, i) => <div key={i} className={e.tone === 'bad' ? 'text-bad' : 'text-2'}>{e.label}</div>)}
      <div className="text-3">{xLabel ? xLabel(at) : time ? absolute(at * 1000) : `step ${num(at)}`}</div>
      {shown.map(({ s, v, odd }) => (
        <div className="tr" key={s.id}>
          <span className="sw ln" style={{ background: s.color }} />
          {s.label}
          <b>{odd ?? (v === null || v === undefined ? 'no data' : format(v))}</b>
        </div>
      ))}
    </div>
  )
}

/** The value of a series under the pointer: where only others have a point, the last one before it while the series goes on. */
function beside(values: readonly Aligned[], index: number): Aligned {
  if (values[index] !== undefined) return values[index]
  if (!values.slice(index + 1).some((v) => v !== undefined)) return undefined
  return values.slice(0, index).findLast((v) => v !== undefined)
}

/** One sentence for those who don't see the lines. */
function describe({ title, unit, series }: TimeSeriesProps): string {
  const parts = series.filter((s) => !s.quiet).slice(0, 5).map((s) => {
    const last = s.values.findLast((v) => typeof v === 'number')
    const odd = s.odd && s.odd.size > 0 ? `, ${s.odd.size === 1 ? '1 point is' : `${s.odd.size} points are`} not finite` : ''
    return last === undefined ? `${s.label} has no data${odd}` : `${s.label} ${num(last)}${odd}`
  })
  return `${title}${unit ? `, ${unit}` : ''}: ${parts.join(', ') || 'no data'}`
}

function css(color: string, el: Element): string {
  const name = /^var\((--[\w-]+)\)$/.exec(color)?.[1]
  return name ? getComputedStyle(el).getPropertyValue(name).trim() : color
}

function fade(color: string, alpha: number): string {
  return /^#[0-9a-f]{6}$/i.test(color) ? color + Math.round(alpha * 255).toString(16).padStart(2, '0') : color
}

const font = '400 11px Inter, ui-sans-serif, system-ui, sans-serif'

function options(latest: { current: TimeSeriesProps & { height: number } }, width: number, point: (p: Pointer | null) => void): uPlot.Options {
  const now = latest.current
  const root = document.documentElement
  const color = (name: string) => css(name, root)
  const dim = color('var(--text-3)')
  return {
    width,
    height: now.height,
    legend: { show: false },
    padding: [() => (latest.current.events?.some((e) => e.label) ? 20 : 8), () => limitRoom(latest.current, width), now.hideX ? 6 : 0, 0],
    cursor: {
      y: false,
      points: { show: (u, i) => cursorDot(u, i, latest.current.series[i - 1]?.quiet ?? false, color('var(--raised)')) },
      drag: { x: true, y: false, setScale: false },
      ...(now.sync ? { sync: { key: now.sync, setSeries: false } } : {}),
    },
    scales: {
      x: { time: false, range: (_u, min, max) => latest.current.xRange ?? (min === max ? [min - 1, max + 1] : [min, max]) },
      y: { distr: now.log ? 3 : 1, range: () => bounds(latest.current) },
    },
    axes: [
      {
        show: !now.hideX, size: 22, gap: 4, stroke: dim, font, grid: { show: false }, ticks: { show: false }, space: 90,
        splits: (u) => xSplits(u, latest.current),
        values: (_u, splits) => xTicks(splits, latest.current),
      },
      {
        size: (_u, values) => labelRoom(values), gap: 6, stroke: dim, font, grid: { stroke: color('var(--grid)'), width: 1 }, ticks: { show: false },
        ...(now.log ? {} : { splits: (u: uPlot) => fewTicks(u.scales.y?.min ?? 0, u.scales.y?.max ?? 1, now.height < 100 ? 3 : 4) }),
        values: (_u, splits) => { const { tick } = latest.current; return tick || now.log ? splits.map((v) => (v === null ? '' : (tick ?? num)(v))) : tickWords(splits) },
      },
    ],
    series: [
      {},
      ...now.series.map((s): uPlot.Series => {
        const stroke = color(s.color)
        return {
          label: s.label, stroke: () => (s.quiet ? fade(stroke, 0.45) : stroke), width: s.width ?? (s.quiet ? 1 : 1.6), spanGaps: s.span ?? false,
          points: { show: s.points ?? undefined, size: 5, fill: stroke, stroke: color('var(--raised)'), width: 1, ...(s.points ? {} : { filter: lonePoints }) },
          ...(s.dash ? { dash: [4, 3] } : {}), ...(s.fill ? { fill: fade(stroke, 0.14) } : {}),
        }
      }),
    ],
    hooks: {
      drawAxes: [(u) => underlay(u, latest.current, color)],
      draw: [(u) => labels(u, latest.current, color)],
      setCursor: [
        (u) => {
          const { idx, left = -1, top = -1 } = u.cursor
          const hovered = u.over.matches(':hover')
          if (idx === null || idx === undefined || left < 0 || top < 0 || !hovered) return point(null)
          const spots = latest.current.series.flatMap((s) => (s.quiet || s.values[idx] == null ? [] : [u.valToPos(s.values[idx], 'y')]))
          const mean = spots.reduce((a, b) => a + b, 0) / Math.max(1, spots.length)
          point({ index: idx, left: u.valToPos(u.data[0][idx]!, 'x') + u.over.offsetLeft, high: spots.length > 0 && mean < u.over.clientHeight / 2 })
        },
      ],
      setSelect: [
        (u) => {
          if (u.select.width < 4) return
          const from = u.posToVal(u.select.left, 'x')
          const to = u.posToVal(u.select.left + u.select.width, 'x')
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
          latest.current.onZoom?.(from, to)
        },
      ],
    },
  }
}

/** A point with gaps on both sides is no part of a line, so it is drawn as a dot. */
function lonePoints(u: uPlot, i: number): number[] | null {
  const values = u.data[i] as Aligned[]
  const out: number[] = []
  const there = values.flatMap((v, k) => (v === undefined ? [] : [k]))
  there.forEach((k, n) => {
    if (values[k] != null && values[there[n - 1] ?? -1] == null && values[there[n + 1] ?? -1] == null && !u.series[i]?.spanGaps) out.push(k)
  })
  return values.length === 1 && values[0] != null ? [0] : out
}

/** The room of the labels left of a plot: 40 px, and more where a number has many digits. */
export function labelRoom(values: readonly string[] | null): number {
  const longest = Math.max(0, ...(values ?? []).map((v) => v.length))
  return Math.max(40, Math.ceil(longest * 6.4) + 12)
}

/** The dot of a series under the crosshair; context lines have none. */
function cursorDot(u: uPlot, i: number, quiet: boolean, edge: string): HTMLElement {
  const dot = document.createElement('div')
  const size = quiet ? 0 : 7
  dot.style.width = dot.style.height = `${size}px`
  dot.style.marginLeft = dot.style.marginTop = `${-size / 2}px`
  const stroke = u.series[i]?.stroke
  if (!quiet && typeof stroke === 'function') {
    dot.style.background = String(stroke(u, i))
    dot.style.boxShadow = `0 0 0 1.5px ${edge}`
  }
  return dot
}

function bounds(p: TimeSeriesProps): [number, number] {
  const [from, to] = p.xRange ?? [-Infinity, Infinity]
  const inside = (values: readonly Aligned[]) => (p.xRange ? values.filter((_, i) => p.x[i]! >= from && p.x[i]! <= to) : values)
  const range = extent(...p.series.flatMap((s) => [inside(s.values), ...(s.low && s.high ? [inside(s.low), inside(s.high)] : [])]))
  if (p.log) {
    const positive = extent(...p.series.map((s) => inside(s.values).filter((v) => typeof v === 'number' && v > 0)))
    return positive ? [positive[0] * 0.9, positive[1] * 1.1] : [0.1, 1]
  }
  const limits = (p.limits ?? []).map((l) => l.value)
  // A limit far above all values would flatten them; it is then left out of the axis.
  const top = range ? Math.max(Math.abs(range[0]), Math.abs(range[1])) : 0
  return axisBounds(range, { zero: p.zero ?? false, include: limits.filter((v) => !range || top === 0 || v <= top * 8) })
}

/** About `target` ticks, and two where one would say nothing of the scale. */
function fewTicks(low: number, high: number, target: number): number[] {
  const found = ticks(low, high, target)
  return found.length < 2 ? ticks(low, high, target + 2) : found
}

function xSplits(u: uPlot, p: TimeSeriesProps): number[] {
  const low = u.scales.x?.min ?? 0
  const high = u.scales.x?.max ?? 1
  const target = Math.max(2, Math.min(6, Math.floor(u.bbox.width / devicePixelRatio / 110)))
  if (!p.time) {
    const found = fewTicks(low, high, target)
    return p.x.every(Number.isInteger) ? found.filter(Number.isInteger) : found
  }
  const steps = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000]
  const step = steps.find((s) => (high - low) / s <= target) ?? 31_536_000
  const zone = new Date(low * 1000).getTimezoneOffset() * 60
  const out: number[] = []
  for (let t = Math.ceil((low - zone) / step) * step + zone; t <= high && out.length < 20; t += step) out.push(t)
  return out
}

function xTicks(splits: readonly number[], p: TimeSeriesProps): string[] {
  if (!p.time) return p.xTick ? splits.map(p.xTick) : tickWords(splits).map((word) => (p.xUnit ? `${word} ${p.xUnit}` : word))
  const step = splits.length > 1 ? splits[1]! - splits[0]! : 0
  return splits.map((v) => (step >= 86_400 || clock(v * 1000) === '00:00' ? day(v * 1000) : clock(v * 1000, step > 0 && step < 60)))
}

function underlay(u: uPlot, p: TimeSeriesProps, color: (name: string) => string): void {
  const { ctx, bbox } = u
  const ratio = devicePixelRatio
  ctx.save()
  ctx.font = font.replace('11px', `${11 * ratio}px`)
  ctx.lineWidth = ratio
  const left = bbox.left
  const right = bbox.left + bbox.width
  const top = bbox.top
  const bottom = bbox.top + bbox.height
  const X = (v: number) => u.valToPos(v, 'x', true)
  const Y = (v: number) => u.valToPos(v, 'y', true)
  for (const s of p.shade ?? []) {
    ctx.fillStyle = color('var(--hover)')
    const from = Math.max(left, X(s.from))
    ctx.fillRect(from, top, Math.min(right, X(s.to)) - from, bbox.height)
  }
  odd(ctx, u, p, color)
  for (const s of p.series) if (s.low && s.high) band(ctx, p.x, s, X, Y, fade(color(s.color), 0.14))
  const line = (x1: number, y1: number, x2: number, y2: number, stroke: string, dash: number[]) => {
    ctx.strokeStyle = stroke
    ctx.setLineDash(dash.map((d) => d * ratio))
    ctx.beginPath()
    ctx.moveTo(x1, y1)
    ctx.lineTo(x2, y2)
    ctx.stroke()
  }
  const half = (v: number) => Math.round(v) + 0.5
  line(left, half(bottom), right, half(bottom), color('var(--border-strong)'), [])
  for (const limit of p.limits ?? []) {
    const y = Y(limit.value)
    if (y >= top - 1 && y <= bottom) line(left, half(y), right, half(y), color(limit.tone === 'bad' ? 'var(--bad)' : 'var(--text-3)'), [4, 3])
  }
  for (const event of p.events ?? []) {
    const x = X(event.x)
    if (x >= left && x <= right) line(half(x), top, half(x), bottom, color(event.tone === 'bad' ? 'var(--bad)' : 'var(--text-3)'), [2, 2])
  }
  ctx.restore()
}

const mostOdd = 200

/** A cross at the foot of the chart for each point that is no number to draw, so that a gap says why it is there. */
function odd(ctx: CanvasRenderingContext2D, u: uPlot, p: TimeSeriesProps, color: (name: string) => string): void {
  const { bbox } = u
  const size = 3 * devicePixelRatio
  const y = bbox.top + bbox.height - size - devicePixelRatio
  let left = mostOdd
  for (const s of p.series) {
    if (!s.odd || s.quiet) continue
    ctx.strokeStyle = color(s.color)
    ctx.lineWidth = 1.5 * devicePixelRatio
    ctx.setLineDash([])
    for (const at of s.odd.keys()) {
      const x = u.valToPos(at, 'x', true)
      if (x < bbox.left || x > bbox.left + bbox.width || left-- <= 0) continue
      ctx.beginPath()
      ctx.moveTo(x - size, y - size)
      ctx.lineTo(x + size, y + size)
      ctx.moveTo(x + size, y - size)
      ctx.lineTo(x - size, y + size)
      ctx.stroke()
    }
  }
  ctx.lineWidth = devicePixelRatio
}

const measure = (text: string) => Math.ceil(text.length * 6.1)

/** Width right of the plot, in px, that the words of its limits need; they stand there instead of on the lines. */
function limitRoom(p: TimeSeriesProps, width: number): number {
  const words = (p.limits ?? []).map((l) => measure(l.label))
  return words.length === 0 ? 16 : Math.min(Math.max(...words) + 10, width / 3)
}

/** Words of limits right of the plot beside their line, words of events in a row above it; none lies on a line or on another. */
function labels(u: uPlot, p: TimeSeriesProps, color: (name: string) => string): void {
  const { ctx, bbox } = u
  const ratio = devicePixelRatio
  ctx.save()
  ctx.font = font.replace('11px', `${11 * ratio}px`)
  ctx.textBaseline = 'middle'
  ctx.textAlign = 'left'
  const right = bbox.left + bbox.width
  const taken: [number, number][] = []
  const row = bbox.top - 9 * ratio
  const gap = 4 * ratio
  // The last event is the one that explains what is there now, so it is placed first.
  for (const event of [...(p.events ?? [])].reverse()) {
    const x = u.valToPos(event.x, 'x', true)
    if (x < bbox.left || x > right || !event.label) continue
    const w = ctx.measureText(event.label).width
    const at = Math.max(bbox.left, Math.min(x - w / 2, right + (u.width * ratio - right) - w - 2 * ratio))
    if (taken.some(([from, to]) => at < to + gap && at + w > from - gap)) continue
    taken.push([at, at + w])
    ctx.fillStyle = color(event.tone === 'bad' ? 'var(--bad)' : 'var(--text-2)')
    ctx.fillText(event.label, at, row)
  }
  const inside = (p.limits ?? []).map((l) => ({ ...l, y: u.valToPos(l.value, 'y', true) })).filter((l) => l.y >= bbox.top - 1 && l.y <= bbox.top + bbox.height + 1)
  let floor = bbox.top + bbox.height - 2 * ratio
  for (const limit of inside.sort((x, y) => y.y - x.y)) {
    const at = Math.min(limit.y, floor)
    floor = at - 13 * ratio
    ctx.fillStyle = color(limit.tone === 'bad' ? 'var(--bad)' : 'var(--text-3)')
    ctx.fillText(limit.label, right + 6 * ratio, at)
  }
  ctx.restore()
}

function band(ctx: CanvasRenderingContext2D, x: readonly number[], s: Series, X: (v: number) => number, Y: (v: number) => number, fill: string): void {
  ctx.fillStyle = fill
  let from = 0
  while (from < x.length) {
    while (from < x.length && (s.low![from] == null || s.high![from] == null)) from++
    let to = from
    while (to < x.length && s.low![to] != null && s.high![to] != null) to++
    if (to - from > 1) {
      ctx.beginPath()
      for (let i = from; i < to; i++) ctx.lineTo(X(x[i]!), Y(s.high![i]!))
      for (let i = to - 1; i >= from; i--) ctx.lineTo(X(x[i]!), Y(s.low![i]!))
      ctx.fill()
    }
    from = to + 1
  }
}
