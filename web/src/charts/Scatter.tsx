import { useMemo, useState, type ReactNode } from 'react'
import { num } from '@/lib/format'
import { ChartFrame } from './ChartFrame'
import { axisOf, field, isoline, type Dim } from './relate'
import type { ParallelRow } from './Parallel'
import { useWidth } from './useWidth'

interface Props {
  title: string
  x: Dim
  y: Dim
  /** Colours the points, and the ground of a contour. */
  z?: Dim | undefined
  rows: readonly ParallelRow[]
  contour: boolean
  height?: number
  onOpen?: (id: string) => void
  right?: ReactNode
}

const pad = { left: 64, right: 20, top: 10, bottom: 40 }
const grid = { columns: 48, rows: 30 }
const steps = 7

/** From the grey of the reference to the blue of the current, as a share between 0 and 1. */
const shade = (t: number) => `color-mix(in oklab, var(--cur) ${Math.round(Math.max(0, Math.min(1, t)) * 100)}%, var(--ref-fill))`

/** One point for each row that has both values; as a contour, the ground between them says how z runs. */
export function Scatter({ title, x, y, z, rows, contour, height = 380, onOpen, right }: Props) {
  const [box, width] = useWidth<HTMLDivElement>()
  const [over, setOver] = useState<number | null>(null)
  // A run that has one value of the two is not drawn: it stretches no axis.
  const both = useMemo(() => rows.map((_, i) => (x.values[i] ?? null) !== null && (y.values[i] ?? null) !== null), [rows, x, y])
  const ax = useMemo(() => axisOf(x, pad.left + 8, Math.max(width - pad.right - 8, pad.left + 20), Math.max(2, Math.floor(width / 130)), both), [x, width, both])
  const ay = useMemo(() => axisOf(y, height - pad.bottom - 8, pad.top + 8, 5, both), [y, height, both])
  const points = useMemo(() => rows.flatMap((r, i) => {
    const [a, b, c] = [x.values[i] ?? null, y.values[i] ?? null, z?.values[i] ?? null]
    return a === null || b === null ? [] : [{ i, r, px: ax.at(a), py: ay.at(b), z: typeof c === 'number' ? c : null }]
  }), [rows, x, y, z, ax, ay])
  const known = points.flatMap((p) => (p.z === null ? [] : [p.z]))
  const [low, high] = [Math.min(...known), Math.max(...known)]
  const share = (v: number) => (high > low ? (v - low) / (high - low) : 0.5)
  const inner = { w: Math.max(1, width - pad.left - pad.right), h: height - pad.top - pad.bottom }
  const ground = useMemo(() => (contour && known.length >= 3 && width > 0 ? field(points.flatMap((p) => (p.z === null ? [] : [{ x: (p.px - pad.left) / inner.w, y: (p.py - pad.top) / inner.h, z: p.z }])), grid.columns, grid.rows) : undefined),
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [contour, points, width, height])
  const levels = ground ? Array.from({ length: steps - 1 }, (_, i) => low + ((i + 1) * (high - low)) / steps) : []
  const cell = { w: inner.w / grid.columns, h: inner.h / grid.rows }
  const at = over === null ? undefined : points.find((p) => p.i === over)
  const seen = (v: number | string | null) => (v === null ? 'not set' : typeof v === 'number' ? num(v) : v)
  return (
    <ChartFrame title={title} big unit={z ? `${contour ? 'ground and colour' : 'colour'}: ${z.label}` : ''} height={height} header={['run', x.label, y.label, ...(z ? [z.label] : [])]} format={num} right={right}
      rows={() => points.map((p) => [p.r.label, x.values[p.i] ?? null, y.values[p.i] ?? null, ...(z ? [z.values[p.i] ?? null] : [])])}>
      <div ref={box} className="relative" style={{ height }}>
        {width > 0 && (
          <svg className="plot block" width={width} height={height} role="img" aria-label={`${title}: ${points.length} runs, ${y.label} over ${x.label}${z ? `, coloured by ${z.label}` : ''}`} onMouseLeave={() => setOver(null)}
            onMouseMove={(e) => {
              const { offsetX, offsetY } = e.nativeEvent
              const near = points.reduce<{ i: number; d: number } | null>((a, p) => { const d = Math.hypot(p.px - offsetX, p.py - offsetY); return d < 14 && (!a || d < a.d) ? { i: p.i, d } : a }, null)
              setOver(near?.i ?? null)
            }} onClick={() => at && onOpen?.(at.r.id)} style={at && onOpen ? { cursor: 'pointer' } : undefined}>
            {ground && <g opacity={0.55} shapeRendering="crispEdges">{ground.values.map((v, i) => (v === null ? null : <rect key={i} x={Math.round(pad.left + (i % grid.columns) * cell.w)} y={Math.round(pad.top + Math.floor(i / grid.columns) * cell.h)} width={Math.ceil(cell.w)} height={Math.ceil(cell.h)} fill={shade(Math.floor(share(v) * steps * 0.999) / (steps - 1))} />))}</g>}
            {ground && levels.map((l) => <path key={l} d={isoline(ground, l).map(([x1, y1, x2, y2]) => `M${pad.left + x1 * cell.w} ${pad.top + y1 * cell.h}L${pad.left + x2 * cell.w} ${pad.top + y2 * cell.h}`).join('')} stroke="var(--control)" strokeWidth={0.8} fill="none" />)}
            {ay.ticks.map((t) => <g key={String(t.value)}>{!ground && <path d={`M${pad.left} ${Math.round(ay.at(t.value)) + 0.5}H${width - pad.right}`} stroke="var(--grid)" />}<text x={pad.left - 8} y={ay.at(t.value) + 4} textAnchor="end">{t.text.slice(0, 9)}</text></g>)}
            {ax.ticks.map((t) => <text key={String(t.value)} x={ax.at(t.value)} y={height - pad.bottom + 16} textAnchor="middle">{t.text.slice(0, 14)}</text>)}
            <path d={`M${pad.left} ${height - pad.bottom + 0.5}H${width - pad.right}`} stroke="var(--border-strong)" />
            <text x={pad.left + inner.w / 2} y={height - 6} textAnchor="middle" style={{ fill: 'var(--text-2)' }}>{x.label}{x.log ? ' (log)' : ''}</text>
            <text transform={`translate(11 ${pad.top + inner.h / 2}) rotate(-90)`} textAnchor="middle" style={{ fill: 'var(--text-2)' }}>{y.label}{y.log ? ' (log)' : ''}</text>
            {[...points].sort((a, b) => Number(a.r.color !== undefined) - Number(b.r.color !== undefined)).map((p) => {
              const front = p.r.color !== undefined
              return <circle key={p.r.id} cx={p.px} cy={p.py} r={p.i === over ? 6.5 : front ? 5 : 3.2} fill={z && p.z !== null ? shade(share(p.z)) : front ? p.r.color : 'var(--ref)'} stroke={front ? p.r.color : 'var(--control)'} strokeWidth={front ? 2 : 0.8} opacity={front || z ? 1 : 0.7} />
            })}
          </svg>
        )}
        {at && <div className="tip" style={{ ...(at.px > width / 2 ? { right: width - at.px + 12 } : { left: at.px + 12 }), ...(at.py > height / 2 ? { bottom: height - at.py + 4 } : { top: at.py + 4 }) }}><div className="strong">{at.r.label}</div>{[x, y, ...(z ? [z] : [])].map((d, k) => <div key={k} className="tr">{d.label}<b>{seen(d.values[at.i] ?? null)}</b></div>)}</div>}
        {points.length === 0 && <p className="absolute inset-x-0 text-center text-3 text-sm" style={{ top: height / 2 - 10 }}>No run has both {x.label} and {y.label}.</p>}
      </div>
      {z && known.length > 1 && <div className="flex items-center gap-2 text-xs text-3 pl-16 pb-1">{z.label} {num(low)}<span className="inline-flex">{Array.from({ length: steps }, (_, i) => <i key={i} className="w-4 h-2 inline-block" style={{ background: shade(i / (steps - 1)) }} />)}</span>{num(high)}{contour && known.length < 3 && ', too few runs for a contour'}</div>}
    </ChartFrame>
  )
}
