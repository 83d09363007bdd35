import { useState, type ReactNode } from 'react'
import { num, pct } from '@/lib/format'
import { alongEdges, outline, shares, ticks, evenEdges } from './maths'
import { useWidth } from './useWidth'

export interface HistogramData {
  /** Bin borders of a number, one more than there are bins. */
  edges?: readonly number[]
  /** Names of the categories, one for each bin. */
  labels?: readonly string[]
  reference: readonly number[]
  current?: readonly number[]
}

interface Props {
  data: HistogramData
  height?: number
  /** Verticals, such as the medians. */
  marks?: readonly { at: number; text: string; of: 'reference' | 'current' }[]
  name: string
  /** What the second distribution is called in texts. */
  currentName?: string
}

const bottom = 18
const top = 16

/** Reference as filled grey bars, current as a blue outline over them; both as shares of their own rows. */
export function Histogram({ data, height = 124, marks = [], name, currentName = 'current' }: Props) {
  const [ref, width] = useWidth<HTMLDivElement>()
  const [over, setOver] = useState<number | null>(null)
  const a = shares(data.reference)
  const b = data.current ? shares(data.current) : undefined
  const bins = a.length
  if (bins === 0 || (data.reference.every((v) => v === 0) && !data.current?.some((v) => v > 0))) {
    return <p className="text-3 text-sm py-6">No values to show yet.</p>
  }
  const most = Math.max(...a, ...(b ?? []), 1e-12) * 1.04
  const y = (v: number) => height - bottom - (v / most) * (height - bottom - top)
  const bar = width / bins
  const binText = (i: number) => data.labels?.[i] ?? `${num(data.edges?.[i] ?? i)} to ${num(data.edges?.[i + 1] ?? i + 1)}`
  return (
    <div ref={ref} className="chart" style={{ height }}>
      {width > 0 && (
        <svg width={width} height={height} role="img" aria-label={summary(name, a, b, binText)} className="block"
          onMouseMove={(e) => setOver(Math.max(0, Math.min(bins - 1, Math.floor((e.nativeEvent.offsetX / width) * bins))))}
          onMouseLeave={() => setOver(null)}>
          {over !== null && <rect x={over * bar} y={top} width={bar} height={height - bottom - top} fill="var(--hover)" />}
          {a.map((v, i) => (
            <g key={i}>
              <rect x={i * bar + 0.5} y={y(v)} width={Math.max(0.5, bar - 1)} height={height - bottom - y(v)} fill="var(--ref-fill)" />
              {v > 0 && <path d={`M${i * bar + 0.5} ${y(v)}h${Math.max(0.5, bar - 1)}`} stroke="var(--ref)" strokeWidth={1.5} />}
            </g>
          ))}
          {b && <path d={`${outline(b, width, y)}V${height - bottom}H0Z`} fill="var(--cur-fill)" />}
          {b && <path d={outline(b, width, y)} fill="none" stroke="var(--cur)" strokeWidth={1.8} strokeLinejoin="round" />}
          <path d={`M0 ${height - bottom}.5H${width}`} stroke="var(--border-strong)" />
          <Axis data={data} width={width} height={height} bins={bins} />
          {data.edges && marks.map((m) => <Mark key={m.of} {...m} x={alongEdges(data.edges!, m.at) * width} width={width} height={height} left={m.at === Math.min(...marks.map((o) => o.at)) && marks.length > 1} />)}
        </svg>
      )}
      {over !== null && (
        <div className="tip" style={over * bar > width / 2 ? { right: width - over * bar + 8, top } : { left: (over + 1) * bar + 8, top }}>
          <div className="text-3">{binText(over)}</div>
          <div className="tr"><span className="sw" style={{ background: 'var(--ref)' }} />reference<b>{pct(a[over])}</b></div>
          {b && <div className="tr"><span className="sw" style={{ background: 'var(--cur)' }} />{currentName}<b>{pct(b[over])}</b></div>}
        </div>
      )}
    </div>
  )
}

function Mark({ x, text, of, width, height, left }: { x: number; text: string; of: 'reference' | 'current'; width: number; height: number; left: boolean }) {
  const color = of === 'current' ? 'var(--cur)' : 'var(--text-3)'
  const room = text.length * 6 + 6
  const flip = left ? x < room : x > width - room
  const start = left === flip
  return (
    <>
      <path d={`M${x} 12V${height - bottom}`} stroke={color} strokeDasharray="3 2" />
      <text x={x + (start ? 4 : -4)} y={10} textAnchor={start ? 'start' : 'end'} style={{ fill: of === 'current' ? 'var(--cur)' : 'var(--text-2)' }}>{text}</text>
    </>
  )
}

function Axis({ data, width, height, bins }: { data: HistogramData; width: number; height: number; bins: number }): ReactNode {
  const bar = width / bins
  const label = (x: number, text: string, key: number | string) => (
    <text key={key} x={Math.max(0, Math.min(width, x))} y={height - 4} textAnchor={x < 14 ? 'start' : x > width - 14 ? 'end' : 'middle'}>{text}</text>
  )
  if (data.edges && evenEdges(data.edges)) {
    const [low, high] = [data.edges[0] ?? 0, data.edges.at(-1) ?? 1]
    return ticks(low, high, Math.max(2, Math.min(6, width / 70))).map((t) => label(((t - low) / (high - low || 1)) * width, num(t), t))
  }
  if (data.edges) {
    const every = Math.ceil(data.edges.length / Math.max(2, width / 60))
    return data.edges.map((e, i) => (i % every === 0 ? label(i * bar, num(e), i) : null))
  }
  const room = Math.floor(bar / 6.2)
  if (room < 2) {
    const every = Math.ceil(bins / Math.max(1, width / 60))
    return data.labels?.map((l, i) => (i % every === 0 ? label((i + 0.5) * bar, l.slice(0, 8), i) : null))
  }
  return data.labels?.map((l, i) => label((i + 0.5) * bar, l.length > room ? `${l.slice(0, Math.max(1, room - 1))}…` : l, i))
}

/** The sentence a screen reader hears instead of the picture. */
export function summary(name: string, a: readonly number[], b: readonly number[] | undefined, binText: (i: number) => string): string {
  const peak = (v: readonly number[]) => v.indexOf(Math.max(...v))
  const base = `${name}: most reference values in ${binText(peak(a))}`
  return b ? `${base}, most current values in ${binText(peak(b))}` : base
}

/** The same as small as a word, for a table row. */
export function MiniHistogram({ data, width = 84, height = 20, name }: { data: HistogramData; width?: number; height?: number; name: string }) {
  const a = shares(data.reference)
  const b = data.current ? shares(data.current) : undefined
  if (a.length === 0) return null
  const most = Math.max(...a, ...(b ?? []), 1e-12) * 1.04
  const y = (v: number) => height - (v / most) * (height - 2)
  const bar = width / a.length
  return (
    <svg width={width} height={height} role="img" aria-label={`${name}: reference and current`} className="inline-block align-middle">
      {a.map((v, i) => <rect key={i} x={i * bar + 0.5} y={y(v)} width={Math.max(0.5, bar - 1)} height={height - y(v)} fill="var(--ref-fill)" />)}
      {b && <path d={`${outline(b, width, y)}V${height}H0Z`} fill="var(--cur-fill)" />}
      {b && <path d={outline(b, width, y)} fill="none" stroke="var(--cur)" strokeWidth={1.2} strokeLinejoin="round" />}
    </svg>
  )
}

export function RefCurLegend() {
  return (
    <span className="legend text-xs">
      <span><i className="sw" style={{ background: 'var(--ref-fill)', outline: '1px solid var(--ref)' }} />reference</span>
      <span><i className="sw" style={{ background: 'var(--cur-fill)', outline: '1.5px solid var(--cur)' }} />current</span>
    </span>
  )
}
