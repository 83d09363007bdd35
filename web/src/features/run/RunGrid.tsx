import { useVirtualizer } from '@tanstack/react-virtual'
import { ArrowDown, ArrowUp, ChevronDown, Pin } from 'lucide-react'
import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState, type CSSProperties, type DragEvent, type KeyboardEvent, type PointerEvent, type ReactNode } from 'react'
import type { Run } from '@/lib/api/types'
import { arrows, useKeys } from '@/lib/keys'
import type { Sort } from '@/lib/url'
import { Checkbox } from '@/ui/Controls'
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine } from '@/ui/Menu'
import { Cell, columnLook, type ColumnLook } from './cells'
import { narrowest, parseColumn, reference, title, usualWidth, widest, type Aggregate } from './columns'
import type { Rows } from './source'

export type Density = 'dense' | 'usual' | 'roomy'
const heights: Record<Density, number> = { dense: 28, usual: 32, roomy: 36 }
const checkWidth = 62

interface Props {
  label: string
  rows: Rows
  /** Without the name, which is always first. */
  columns: readonly string[]
  pinned: ReadonlySet<string>
  widths: Readonly<Record<string, number>>
  density: Density
  sort: Sort | undefined
  selected: ReadonlySet<string>
  colors: ReadonlyMap<string, string>
  focused: string | undefined
  best: string | undefined
  /** The metric whose column draws bars, and where its better end is. */
  bar: { metric: string; better: 'low' | 'high' } | undefined
  curves: ReadonlyMap<string, readonly (number | null)[]>
  onSort: (sort: Sort | undefined) => void
  onSelect: (selected: Set<string>) => void
  onSelectAll: () => void
  onOpen: (run: Run) => void
  onWidth: (id: string, width: number | undefined) => void
  /** A column takes the place of another; beside pinned ones it is pinned too, beside others it is not. */
  onMove: (id: string, to: string) => void
  onPin: (id: string) => void
  onHide: (id: string) => void
  onAggregate: (id: string, aggregate: Aggregate | undefined) => void
  onGroup: (id: string) => void
  /** The runs on the screen, for what is read only of those. */
  onVisible: (runs: readonly Run[]) => void
}

/** Runs by the hundred thousand: only the rows on the screen are there, the rest is the height of the scroll bar. */
export function RunGrid(p: Props): ReactNode {
  const { rows, columns, density, selected } = p
  const scroller = useRef<HTMLDivElement>(null)
  const height = heights[density]
  const virtualizer = useVirtualizer({ count: rows.total, getScrollElement: () => scroller.current, estimateSize: () => height, overscan: 8, initialRect: { width: 800, height: 600 } })
  useEffect(() => virtualizer.measure(), [virtualizer, height])
  const items = virtualizer.getVirtualItems()
  const from = items[0]?.index ?? 0
  const to = items.at(-1)?.index ?? 0
  const { see } = rows
  useEffect(() => see(from, to), [see, from, to])
  const { onVisible } = p
  const onScreen = items.flatMap((i) => rows.at(i.index) ?? [])
  const seen = onScreen.map((r) => r.id).join()
  // Told once they rest: ids, not objects, say whether they changed.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  useEffect(() => onVisible(onScreen), [seen, onVisible])

  const order = useMemo(() => ['name', ...columns.filter((c) => p.pinned.has(c)), ...columns.filter((c) => !p.pinned.has(c))], [columns, p.pinned])
  const looks = useMemo(() => order.map((id) => columnLook(id, rows.here, p.bar && id === `m:${p.bar.metric}` ? p.bar.better : undefined)), [order, rows.here, p.bar])
  const [drag, setDrag] = useState<{ id: string; width: number } | undefined>()
  const carry = useCarry(order)
  const [told, setTold] = useState('')
  const kept = useRef<string | undefined>(undefined)
  /** The same as dragging: the column goes one place on, and the keyboard stays with it. */
  const step = (id: string, by: -1 | 1) => {
    const to = order[order.indexOf(id) + by]
    if (to === undefined || to === 'name' || id === 'name') return
    kept.current = id
    setTold(`${title(id)} is column ${order.indexOf(to) + 1} of ${order.length}`)
    p.onMove(id, to)
  }
  useLayoutEffect(() => {
    if (kept.current === undefined) return
    scroller.current?.querySelector<HTMLElement>(`th[data-column="${CSS.escape(kept.current)}"] button`)?.focus()
    kept.current = undefined
  }, [order])
  const needed = new Map(looks.map((l) => [l.id, l.width ?? 0]))
  const width = (id: string) => (drag?.id === id ? drag.width : (p.widths[id] ?? Math.max(usualWidth(id), needed.get(id) ?? 0) + (p.pinned.has(id) ? 14 : 0)))
  const lefts = new Map<string, number>()
  let left = checkWidth
  for (const id of order) {
    if (id !== 'name' && !p.pinned.has(id)) break
    lefts.set(id, left)
    left += width(id)
  }
  const lastPinned = [...lefts.keys()].at(-1)
  const shape = JSON.stringify([...lefts])
  const places = useMemo(() => new Map(order.map((id) => [id, lefts.has(id) ? { style: { left: lefts.get(id) } as CSSProperties, className: `pin ${id === lastPinned ? 'edge' : ''}` } : undefined])),
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [order, shape, lastPinned])

  const [at, setAt] = useState(-1)
  const anchor = useRef(-1)
  const focusRow = (i: number) => {
    const next = Math.max(0, Math.min(rows.total - 1, i))
    setAt(next)
    virtualizer.scrollToIndex(next)
    // A drawer beside the table goes along.
    const run = p.focused === undefined ? undefined : rows.at(next)
    if (run && run.id !== p.focused) p.onOpen(run)
  }
  /** From where a key moves on: the row it moved to last, else the one that is open. */
  const place = () => (at >= 0 || p.focused === undefined ? at : (items.find((i) => rows.at(i.index)?.id === p.focused)?.index ?? -1))
  const toggle = (i: number, extend = false) => {
    const run = rows.at(i)
    if (!run) return
    const next = new Set(selected)
    const on = !next.has(run.id)
    const [first, last] = extend && anchor.current >= 0 ? [Math.min(anchor.current, i), Math.max(anchor.current, i)] : [i, i]
    for (let k = first; k <= last; k++) {
      const id = rows.at(k)?.id
      if (id === undefined) continue
      if (on) next.add(id)
      else next.delete(id)
    }
    anchor.current = i
    p.onSelect(next)
  }
  useKeys([
    { keys: 'j', label: 'Next run', run: () => focusRow(place() + 1) },
    { keys: 'k', label: 'Previous run', run: () => focusRow(place() - 1) },
    { keys: 'x', label: 'Select run', run: () => toggle(at) },
    { keys: 'Enter', label: 'Open run', run: () => { const run = rows.at(at); if (run) p.onOpen(run) } },
    { keys: 'g g', label: 'First run', run: () => focusRow(0) },
  ], rows.total > 0)
  // A new question begins at its first row.
  const { question } = rows
  useEffect(() => {
    scroller.current?.scrollTo({ top: 0 })
    setAt(-1)
  }, [question])

  const open = (i: number, run: Run) => {
    setAt(i)
    p.onOpen(run)
  }
  const latest = useRef({ toggle, open })
  useEffect(() => {
    latest.current = { toggle, open }
  })
  const handlers = useMemo(() => ({
    toggle: (i: number, extend: boolean) => latest.current.toggle(i, extend),
    open: (i: number, run: Run) => latest.current.open(i, run),
  }), [])

  const total = checkWidth + order.reduce((sum, id) => sum + width(id), 0)
  const first = items[0]?.start ?? 0
  const rest = virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0)
  const some = selected.size > 0
  return (
    <div ref={scroller} tabIndex={0} role="region" aria-label={`${p.label}, scrolls`} className="scroller min-h-0 flex-1 overflow-auto" data-grid onKeyDown={arrows((by) => focusRow(place() + by))}>
      <table className={`tbl sticky even grid-runs ${density === 'usual' ? '' : density}`} aria-label={p.label} aria-rowcount={rows.total + 1} style={{ width: total, minWidth: '100%' }}>
        <colgroup><col style={{ width: checkWidth }} />{order.map((id) => <col key={id} style={{ width: width(id) }} />)}<col /></colgroup>
        <thead>
          <tr>
            <th className="pin" style={{ left: 0 }}><Checkbox label="Select all runs" checked={!some ? false : selected.size >= rows.total ? true : 'mixed'} onChange={() => (some ? p.onSelect(new Set()) : p.onSelectAll())} /></th>
            {order.map((id, i) => <Head key={id} id={id} look={looks[i]!} p={p} place={places.get(id)} width={width(id)} neighbours={[order[i - 1], order[i + 1]]} carry={carry} onStep={(by) => step(id, by)} onDrag={setDrag} />)}
            <th aria-hidden="true" className="fill" />
          </tr>
        </thead>
        <tbody>
          {first > 0 && <tr aria-hidden="true"><td colSpan={order.length + 2} style={{ height: first, padding: 0, border: 0 }} /></tr>}
          {items.map((item) => {
            const run = rows.at(item.index)
            return <Row key={item.key} index={item.index} run={run} looks={looks} places={places} selected={run !== undefined && selected.has(run.id)} focused={item.index === at || (run !== undefined && run.id === p.focused)}
              color={run && p.colors.get(run.id)} best={run?.id === p.best} curve={run && p.curves.get(run.id)} on={handlers} />
          })}
          {rest > 0 && <tr aria-hidden="true"><td colSpan={order.length + 2} style={{ height: rest, padding: 0, border: 0 }} /></tr>}
        </tbody>
      </table>
      <span className="sr-only" role="status">{told}</span>
    </div>
  )
}

interface Carry {
  /** The column on its way, and the one it is over. */
  from: string | undefined
  over: string | undefined
  side: (id: string) => 'left' | 'right'
  begin: (id: string) => void
  enter: (id: string) => void
  end: () => void
}

/** Which column is dragged, and where it would go. */
function useCarry(order: readonly string[]): Carry {
  const [now, setNow] = useState<{ from?: string; over?: string }>({})
  return {
    from: now.from, over: now.over === now.from ? undefined : now.over,
    side: (id) => (now.from !== undefined && order.indexOf(now.from) < order.indexOf(id) ? 'right' : 'left'),
    begin: (from) => setNow({ from }), enter: (over) => setNow((old) => (old.over === over || old.from === undefined ? old : { ...old, over })), end: () => setNow({}),
  }
}

type Place = { style: CSSProperties; className: string } | undefined

interface RowProps {
  index: number
  run: Run | undefined
  looks: readonly ColumnLook[]
  places: ReadonlyMap<string, Place>
  selected: boolean
  focused: boolean
  color: string | undefined
  best: boolean
  curve: readonly (number | null)[] | undefined
  on: { toggle: (i: number, extend: boolean) => void; open: (i: number, run: Run) => void }
}

const Row = memo(function Row({ index, run, looks, places, selected, focused, color, best, curve, on }: RowProps) {
  if (!run) return <tr aria-hidden="true" className="wait"><td className="pin" style={{ left: 0 }} />{looks.map((l) => <td key={l.id} className={places.get(l.id)?.className} style={places.get(l.id)?.style}><span className="sk" style={{ width: l.id === 'name' ? '58%' : '40%', marginLeft: l.num ? 'auto' : 0 }} /></td>)}<td /></tr>
  return (
    <tr data-row aria-rowindex={index + 2} aria-selected={selected} className={`cursor-pointer ${focused ? 'foc' : ''} ${selected ? 'sel' : ''}`} onClick={(e) => { if (!(e.target as HTMLElement).closest('a,button,input')) on.open(index, run) }}>
      <td className="pin" style={{ left: 0 }}><span className="flex items-center gap-2"><Checkbox label={`Select ${run.name}`} checked={selected} onChange={(shift) => on.toggle(index, shift)} /><span className="sw" style={{ background: selected ? (color ?? 'transparent') : 'transparent' }} /></span></td>
      {looks.map((l) => <td key={l.id} className={`${l.num ? 'num' : ''} ${places.get(l.id)?.className ?? ''}`} style={places.get(l.id)?.style}><Cell look={l} run={run} curve={curve} color={selected ? color : undefined} best={best} /></td>)}
      <td className="fill" />
    </tr>
  )
})

const dragType = 'application/x-column'
/** How far a key press moves the edge of a column, in pixels. */
const keyStep = 16

function Head({ id, look, p, place, width, neighbours: [before, after], carry, onStep, onDrag }: { id: string; look: ColumnLook; p: Props; place: Place; width: number; neighbours: readonly [string | undefined, string | undefined]; carry: Carry; onStep: (by: -1 | 1) => void; onDrag: (drag: { id: string; width: number } | undefined) => void }) {
  const on = p.sort?.id === id
  const text = title(id)
  const sortable = reference(id) !== undefined
  const next: Sort | undefined = !on ? { id, desc: false } : p.sort?.desc ? undefined : { id, desc: true }
  const c = parseColumn(id)
  const pull = (e: PointerEvent<HTMLElement>) => {
    e.preventDefault()
    const begun = { x: e.clientX, width }
    const handle = e.currentTarget
    const to = (x: number) => Math.max(narrowest, Math.min(widest, Math.round(begun.width + x - begun.x)))
    handle.setPointerCapture(e.pointerId)
    handle.onpointermove = (m) => onDrag({ id, width: to(m.clientX) })
    handle.onpointerup = handle.onpointercancel = (m) => {
      handle.onpointermove = handle.onpointerup = handle.onpointercancel = null
      onDrag(undefined)
      p.onWidth(id, to(m.clientX))
    }
  }
  const resize = (by: number) => p.onWidth(id, Math.max(narrowest, Math.min(widest, Math.round(width + by))))
  const keys = (e: KeyboardEvent) => {
    const by = e.key === 'ArrowLeft' ? -1 : e.key === 'ArrowRight' ? 1 : 0
    if (by === 0 || e.altKey || e.metaKey || e.shiftKey === e.ctrlKey) return
    e.preventDefault()
    if (e.shiftKey) onStep(by)
    else resize(by * keyStep)
  }
  const mine = (e: DragEvent) => e.dataTransfer.types.includes(dragType)
  const held = p.pinned.has(id)
  const target = carry.over === id && id !== 'name' ? (carry.side(id) === 'left' ? 'to-left' : 'to-right') : ''
  return (
    <th data-column={id} className={`${look.num ? 'num' : ''} ${place?.className ?? ''} col ${carry.from === id ? 'drag' : ''} ${target}`} style={place?.style} title={text} aria-sort={on ? (p.sort?.desc ? 'descending' : 'ascending') : undefined}
      draggable={id !== 'name'} onDragStart={(e) => { e.dataTransfer.setData(dragType, id); e.dataTransfer.effectAllowed = 'move'; carry.begin(id) }} onDragEnd={carry.end}
      onDragOver={(e) => { if (mine(e) && id !== 'name') { e.preventDefault(); carry.enter(id) } }}
      onDrop={(e) => { e.preventDefault(); const from = e.dataTransfer.getData(dragType); carry.end(); if (from && id !== 'name') p.onMove(from, id) }}>
      <span className={`flex items-center min-w-0 ${look.num ? 'justify-end' : ''}`} onKeyDown={keys}>
        {held && <Pin size={10} className="held" aria-label="pinned" />}
        {sortable ? <button type="button" className="min-w-0" aria-keyshortcuts="Shift+ArrowLeft Shift+ArrowRight Control+ArrowLeft Control+ArrowRight" onClick={() => p.onSort(next)}><span className="clip">{text}</span>{on && (p.sort?.desc ? <ArrowDown size={12} className="flex-none" /> : <ArrowUp size={12} className="flex-none" />)}</button> : <span className="clip">{text}</span>}
        <Menu align="end" label={`Column ${text}`} trigger={<button type="button" className="more" aria-label={`Column ${text}: menu`}><ChevronDown size={12} /></button>}>
          {sortable && <><MenuItem icon={<ArrowUp size={14} />} onSelect={() => p.onSort({ id, desc: false })}>Smallest first</MenuItem><MenuItem icon={<ArrowDown size={14} />} onSelect={() => p.onSort({ id, desc: true })}>Largest first</MenuItem></>}
          {c?.kind === 'metric' && <><MenuLine /><MenuLabel>Value of each run</MenuLabel>{([[undefined, 'Last'], ['min', 'Smallest'], ['max', 'Largest'], ['best', 'Best']] as const).map(([a, word]) => <MenuChoice key={word} checked={c.aggregate === a} onSelect={() => p.onAggregate(id, a)}>{word}</MenuChoice>)}</>}
          {(c?.kind === 'param' || c?.kind === 'tag') && <><MenuLine /><MenuItem onSelect={() => p.onGroup(id)}>Group by {text}</MenuItem></>}
          {id !== 'name' && <><MenuLine /><MenuItem icon={<Pin size={14} />} onSelect={() => p.onPin(id)}>{held ? 'Let it scroll' : 'Pin to the left'}</MenuItem>
            {before && before !== 'name' && <MenuItem hint={<kbd>⇧ ←</kbd>} onSelect={() => p.onMove(id, before)}>Move left</MenuItem>}{after && <MenuItem hint={<kbd>⇧ →</kbd>} onSelect={() => p.onMove(id, after)}>Move right</MenuItem>}
            <MenuItem onSelect={() => p.onHide(id)}>Hide</MenuItem></>}
          <MenuLine /><MenuItem hint={<kbd>Ctrl →</kbd>} onSelect={() => resize(40)}>Wider</MenuItem><MenuItem hint={<kbd>Ctrl ←</kbd>} onSelect={() => resize(-40)}>Narrower</MenuItem>{p.widths[id] !== undefined && <MenuItem onSelect={() => p.onWidth(id, undefined)}>Usual width</MenuItem>}
        </Menu>
      </span>
      <i className="grip" role="presentation" data-grip={id} onPointerDown={pull} onDoubleClick={() => p.onWidth(id, undefined)} draggable onDragStart={(e) => { e.preventDefault(); e.stopPropagation() }} />
    </th>
  )
}
