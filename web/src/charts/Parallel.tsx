import { curveBumpX, line } from 'd3-shape'
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent } from 'react'
import { num } from '@/lib/format'
import { useStore } from '@/lib/store'
import { theme } from '@/lib/theme'
import { ChartFrame } from './ChartFrame'
import { axisOf, inside, type Axis, type Brush, type Dim } from './relate'
import { useWidth } from './useWidth'

export interface ParallelRow {
  id: string
  label: string
  /** Of a row in front; the others are context. */
  color?: string | undefined
  dash?: boolean
}

interface Props {
  title: string
  note?: string
  dims: readonly Dim[]
  rows: readonly ParallelRow[]
  brushes: ReadonlyMap<string, Brush>
  onBrush: (dim: string, brush: Brush | undefined) => void
  /** An axis goes one place to the left or right, or away. */
  onMove: (dim: string, by: -1 | 1) => void
  onRemove: (dim: string) => void
  /** Axes span only what is inside the brushes. */
  fit: boolean
  right?: React.ReactNode
  height?: number
}

const top = 38
const bottom = 20
const side = 64

const show = (v: number | string | null) => (v === null ? 'not set' : typeof v === 'number' ? num(v) : v)

/** Many rows over many axes. Drag along an axis to keep a range; its name opens the same as two fields. */
export function Parallel({ title, note, dims, rows, brushes, onBrush, onMove, onRemove, fit, right, height = 210 }: Props) {
  const [box, width] = useWidth<HTMLDivElement>()
  const canvas = useRef<HTMLCanvasElement>(null)
  const look = useStore(theme)
  const [over, setOver] = useState<{ row: number; x: number; y: number } | null>(null)
  const [drag, setDrag] = useState<{ dim: string; from: number; to: number } | null>(null)
  const [open, setOpen] = useState<string | undefined>()
  const kept = useMemo(() => inside(dims, brushes, rows.length), [dims, brushes, rows.length])
  const x = (i: number) => (dims.length === 1 ? width / 2 : side + (i * (width - 2 * side)) / Math.max(1, dims.length - 1))
  const axes = useMemo(() => dims.map((d) => axisOf(d, height - bottom, top, 4, fit && brushes.size > 0 ? kept : undefined)), [dims, height, fit, kept, brushes.size])
  const count = kept.filter(Boolean).length
  const row = over?.row

  useEffect(() => {
    const c = canvas.current
    if (!c || width === 0) return
    const ratio = devicePixelRatio
    c.width = width * ratio
    c.height = height * ratio
    const ctx = c.getContext('2d')
    if (!ctx) return
    ctx.scale(ratio, ratio)
    const style = getComputedStyle(document.documentElement)
    const color = (name: string) => { const v = /^var\((--[\w-]+)\)$/.exec(name)?.[1]; return v ? style.getPropertyValue(v).trim() : name }
    const path = line<[number, number]>().curve(curveBumpX).context(ctx)
    const stroke = (i: number, look: { color: string; width: number; alpha: number; dash?: boolean | undefined }) => {
      ctx.strokeStyle = color(look.color)
      ctx.lineWidth = look.width
      ctx.globalAlpha = look.alpha
      ctx.setLineDash(look.dash ? [4, 3] : [])
      // A value that is not set is a gap: the line begins anew after it.
      let run: [number, number][] = []
      const flush = () => {
        if (run.length > 1) {
          ctx.beginPath()
          path(run)
          ctx.stroke()
        }
        run = []
      }
      dims.forEach((d, k) => {
        const v = d.values[i] ?? null
        const y = v === null ? NaN : axes[k]!.at(v)
        if (Number.isFinite(y)) run.push([x(k), y])
        else flush()
      })
      flush()
    }
    const brushed = brushes.size > 0
    const back = rows.map((r, i) => ({ r, i })).filter(({ r }) => r.color === undefined)
    for (const { i } of back) if (!brushed || !kept[i]) stroke(i, { color: 'var(--ref)', width: 1, alpha: back.length > 100 ? 0.22 : 0.4 })
    for (const { i } of back) if (brushed && kept[i]) stroke(i, { color: 'var(--cur)', width: 1, alpha: 0.55 })
    const front = rows.map((r, i) => ({ r, i })).filter(({ r }) => r.color !== undefined)
    const many = front.length > 12
    for (const { r, i } of front) stroke(i, { color: r.color!, width: many ? 1.2 : 1.8, alpha: brushed && !kept[i] ? 0.22 : many ? 0.8 : 1, dash: r.dash })
    if (row !== undefined) stroke(row, { color: rows[row]?.color ?? 'var(--text-1)', width: 2.6, alpha: 1 })
    ctx.globalAlpha = 1
    ctx.setLineDash([])
    if (!many)
      for (const { r, i } of front)
        dims.forEach((d, k) => {
          const v = d.values[i] ?? null
          const y = v === null ? NaN : axes[k]!.at(v)
          if (!Number.isFinite(y) || (brushed && !kept[i])) return
          ctx.beginPath()
          ctx.arc(x(k), y, 2.6, 0, 7)
          ctx.fillStyle = color(r.color!)
          ctx.fill()
          ctx.strokeStyle = color('var(--raised)')
          ctx.lineWidth = 1
          ctx.stroke()
        })
    // x depends on the width and the number of axes, which are both named here.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [dims, rows, axes, kept, brushes, width, height, look, row])

  const nearest = (px: number, py: number): number | undefined => {
    const k = Math.max(0, Math.min(dims.length - 2, Math.floor(((px - side) / Math.max(1, width - 2 * side)) * (dims.length - 1))))
    const t = dims.length > 1 ? Math.max(0, Math.min(1, (px - x(k)) / (x(k + 1) - x(k)))) : 0
    let found: number | undefined
    let best = 8
    rows.forEach((r, i) => {
      if (brushes.size > 0 && !kept[i]) return
      const [a, b] = [dims[k]?.values[i] ?? null, dims[k + 1]?.values[i] ?? dims[k]?.values[i] ?? null]
      if (a === null || b === null) return
      const [ya, yb] = [axes[k]!.at(a), (axes[k + 1] ?? axes[k]!).at(b)]
      const ease = t * t * (3 - 2 * t)
      const d = Math.abs(ya + (yb - ya) * ease - py) - (r.color ? 3 : 0)
      if (d < best) {
        best = d
        found = i
      }
    })
    return found
  }
  const local = (e: PointerEvent) => { const at = e.currentTarget.getBoundingClientRect(); return [e.clientX - at.left, e.clientY - at.top] as const }
  const onAxis = (px: number) => dims.findIndex((_, i) => Math.abs(px - x(i)) < 12)
  const clampY = (y: number) => Math.max(top, Math.min(height - bottom, y))
  const finish = () => {
    if (!drag) return
    const axis = axes[dims.findIndex((d) => d.id === drag.dim)]
    setDrag(null)
    if (!axis) return
    if (Math.abs(drag.to - drag.from) < 4) return onBrush(drag.dim, undefined)
    onBrush(drag.dim, [axis.invert(Math.max(drag.from, drag.to)), axis.invert(Math.min(drag.from, drag.to))])
  }
  const header = ['', ...dims.map((d) => d.label)]
  const table = () => rows.flatMap((r, i) => (kept[i] ? [[r.label, ...dims.map((d) => d.values[i] ?? null)]] : []))
  const opened = dims.find((d) => d.id === open)
  return (
    <ChartFrame title={title} big unit={note ?? `${rows.length} runs${brushes.size > 0 ? `, ${count} inside the limits` : ''}`} height={height} header={header} rows={table} format={num} png={() => canvas.current?.toDataURL('image/png')} right={right}>
      <div ref={box} className="relative touch-none select-none" style={{ height }}
        role="img" aria-label={`${title}: ${rows.length} runs over ${dims.map((d) => d.label).join(', ')}${brushes.size > 0 ? `; ${count} are inside the limits` : ''}`}
        onPointerDown={(e) => {
          const [px, py] = local(e)
          const i = onAxis(px)
          if (i < 0 || e.button !== 0 || py < top - 6) return
          e.currentTarget.setPointerCapture(e.pointerId)
          setDrag({ dim: dims[i]!.id, from: clampY(py), to: clampY(py) })
        }}
        onPointerMove={(e) => {
          const [px, py] = local(e)
          if (drag) return setDrag({ ...drag, to: clampY(py) })
          const near = py > top - 4 && py < height - bottom + 4 ? nearest(px, py) : undefined
          setOver(near === undefined ? null : { row: near, x: px, y: py })
        }}
        onPointerUp={finish} onPointerCancel={() => setDrag(null)} onPointerLeave={() => setOver(null)}>
        <canvas ref={canvas} style={{ width, height, display: 'block' }} />
        {width > 0 && (
          <svg className="plot absolute inset-0 pointer-events-none" width={width} height={height} aria-hidden="true">
            {dims.map((d, i) => <AxisMarks key={d.id} dim={d} axis={axes[i]!} x={x(i)} height={height} brush={brushes.get(d.id)} drag={drag?.dim === d.id ? drag : undefined} room={(width - 2 * side) / Math.max(1, dims.length - 1)} />)}
          </svg>
        )}
        {over && <div className="tip" style={{ ...(over.x > width / 2 ? { right: width - over.x + 14 } : { left: over.x + 14 }), ...(over.y > height / 2 ? { bottom: height - over.y } : { top: over.y }) }}><div className="flex items-center gap-1.5 strong">{rows[over.row]?.color && <i className="sw" style={{ background: rows[over.row]!.color }} />}{rows[over.row]?.label}</div>{dims.map((d) => <div key={d.id} className="tr">{d.label}<b>{show(d.values[over.row] ?? null)}</b></div>)}</div>}
      </div>
      <div className="absolute inset-x-0 top-0 h-0">
        {width > 0 && dims.map((d, i) => (
          <button key={d.id} type="button" aria-expanded={d.id === open} aria-label={`${d.label}: limits and place of this axis`} title={d.label} onClick={() => setOpen(d.id === open ? undefined : d.id)}
            className={`absolute text-xs strong clip rounded-tag px-1 h-6 top-0 hover:bg-hover ${d.id === open ? 'text-accent' : ''}`} style={{ left: x(i), transform: 'translateX(-50%)', maxWidth: Math.min(2 * side - 8, (width - 2 * side) / Math.max(1, dims.length - 1) - 6) }}>{d.label}</button>
        ))}
      </div>
      {opened && <Limits key={opened.id} dim={opened} brush={brushes.get(opened.id)} onBrush={(b) => onBrush(opened.id, b)} onMove={(by) => onMove(opened.id, by)} onRemove={() => { setOpen(undefined); onRemove(opened.id) }} onClose={() => setOpen(undefined)} first={dims[0]?.id === opened.id} last={dims.at(-1)?.id === opened.id} />}
    </ChartFrame>
  )
}

function AxisMarks({ dim, axis, x, height, brush, drag, room }: { dim: Dim; axis: Axis; x: number; height: number; brush: Brush | undefined; drag: { from: number; to: number } | undefined; room: number }) {
  const range = drag ? [drag.from, drag.to] : brush ? [axis.at(brush[0]), axis.at(brush[1])] : undefined
  const ends = range && [Math.max(top - 4, Math.min(...range) - 2), Math.min(height - bottom + 4, Math.max(...range) + 2)]
  const short = (text: string) => (text.length * 6 > Math.min(room, 180) - 8 ? `${text.slice(0, Math.max(2, Math.floor(Math.min(room, 180) / 6) - 2))}…` : text)
  return (
    <>
      <path d={`M${x} ${top}V${height - bottom}`} stroke="var(--control)" />
      {ends && ends.every(Number.isFinite) && <rect x={x - 6} y={ends[0]} width={12} height={Math.max(2, ends[1]! - ends[0]!)} rx={3} fill="var(--cur-fill)" stroke="var(--cur)" />}
      {dim.kind === 'text' && axis.ticks.length <= 8
        ? axis.ticks.map((t) => <text key={String(t.value)} x={x + 7} y={axis.at(t.value) + 4} style={{ paintOrder: 'stroke', stroke: 'var(--raised)', strokeWidth: 4, strokeLinejoin: 'round', fill: 'var(--text-2)' }}>{short(t.text)}</text>)
        : <><text x={x} y={top - 6} textAnchor="middle">{short(axis.ends[1])}</text><text x={x} y={height - 5} textAnchor="middle">{short(axis.ends[0])}</text></>}
    </>
  )
}

/** The same as dragging along an axis, for a keyboard and for exact numbers. */
function Limits({ dim, brush, onBrush, onMove, onRemove, onClose, first, last }: { dim: Dim; brush: Brush | undefined; onBrush: (b: Brush | undefined) => void; onMove: (by: -1 | 1) => void; onRemove: () => void; onClose: () => void; first: boolean; last: boolean }) {
  const axis = axisOf(dim, 0, 1)
  const known = dim.values.filter((v): v is number | string => v !== null)
  const [low, high] = dim.kind === 'number' ? [Math.min(...(known as number[])), Math.max(...(known as number[]))] : axis.ends
  const [from, setFrom] = useState(String(brush?.[0] ?? ''))
  const [to, setTo] = useState(String(brush?.[1] ?? ''))
  const apply = () => {
    if (from === '' && to === '') return onBrush(undefined)
    if (dim.kind === 'text') return onBrush([from || low, to || high])
    const [a, b] = [from === '' ? Number(low) : Number(from), to === '' ? Number(high) : Number(to)]
    if (Number.isFinite(a) && Number.isFinite(b)) onBrush([a, b])
  }
  const keys = (e: KeyboardEvent) => {
    if (e.key === 'Enter') apply()
    if (e.key === 'Escape') onClose()
  }
  const input = (label: string, value: string, set: (v: string) => void, hint: number | string) => (
    <label className="flex items-center gap-1.5">{label}
      {dim.kind === 'text'
        ? <select className="inp !w-32 !h-6" value={value} onChange={(e) => set(e.target.value)} onBlur={apply}><option value="">any</option>{axis.ticks.map((t) => <option key={String(t.value)}>{t.value}</option>)}</select>
        : <input className="inp !w-24 !h-6" inputMode="decimal" value={value} placeholder={num(Number(hint))} onChange={(e) => set(e.target.value)} onBlur={apply} />}
    </label>
  )
  return (
    <div className="flex flex-wrap items-center gap-2 text-sm text-2 border-t border-grid pt-2 pb-1" onKeyDown={keys} role="group" aria-label={`Limits of ${dim.label}`}>
      <b className="text-1">{dim.label}</b>{input('from', from, setFrom, low)}{input('to', to, setTo, high)}
      <button type="button" className="btn s" onClick={() => { setFrom(''); setTo(''); onBrush(undefined) }} disabled={!brush}>Clear</button>
      <span className="ml-auto flex gap-1.5"><button type="button" className="btn s" disabled={first} onClick={() => onMove(-1)}>Move left</button><button type="button" className="btn s" disabled={last} onClick={() => onMove(1)}>Move right</button><button type="button" className="btn s" onClick={onRemove}>Take the axis out</button></span>
    </div>
  )
}
