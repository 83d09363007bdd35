import { columnVisibilityFeature, createSortedRowModel, rowSortingFeature, tableFeatures, useTable, type ColumnDef, type Row, type RowData } from '@tanstack/react-table'
import { useVirtualizer } from '@tanstack/react-virtual'
import { ArrowDown, ArrowUp } from 'lucide-react'
import { Fragment, useEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { useWidth } from '@/charts/useWidth'
import { arrows, useKeys } from '@/lib/keys'
import type { Sort } from '@/lib/url'
import { Checkbox } from './Controls'

const features = tableFeatures({ rowSortingFeature, columnVisibilityFeature, sortedRowModel: createSortedRowModel() })
type Features = typeof features

export interface Column<T> {
  id: string
  header: ReactNode
  cell: (row: T) => ReactNode
  /** What the column sorts by; a column without it does not sort. Nothing sorts last in both directions. */
  value?: (row: T) => string | number | null | undefined
  num?: boolean
  /** Pixels; with `fixed` layout the columns without a width share the rest. */
  width?: number
  /** Left out where the table has less than so many pixels; the row's page or drawer tells it still. */
  from?: number
  title?: string
}

interface Props<T> {
  columns: readonly Column<T>[]
  rows: readonly T[]
  rowKey: (row: T) => string
  /** What people call a row, where its key says nothing to them. */
  rowName?: (row: T) => string
  /** A sentence for screen readers: what the rows are. */
  label: string
  sort?: Sort | undefined
  onSort?: (sort: Sort | undefined) => void
  /** The server has sorted already. */
  sorted?: boolean
  hidden?: readonly string[]
  onOpen?: (row: T) => void
  selected?: ReadonlySet<string>
  onSelect?: (selected: Set<string>) => void
  /** Shown before the name, such as the colour of a series. */
  mark?: (row: T) => ReactNode
  /** A row that is open shows this under itself. */
  detail?: (row: T) => ReactNode
  opened?: ReadonlySet<string>
  focused?: string | undefined
  fixed?: boolean
  dense?: boolean
  wide?: boolean
  /** Fills its parent and scrolls by itself; needed for virtual rows. */
  scroll?: boolean
  /** Asked for when the end comes near. */
  onEnd?: () => void
  /** Keyboard movement off, for a second table of a page. */
  quiet?: boolean
  footer?: ReactNode
}

const virtualFrom = 80
/** Rows that a table without a height of its own begins with. */
const atFirst = 300

/** A table: sticky head, sort by head, J K X Enter, virtual rows when there are many. */
export function DataTable<T extends RowData>(props: Props<T>) {
  const { columns, rows, rowKey, sort, onSort, selected, onSelect, onOpen, detail, opened, scroll, dense } = props
  const definitions = useMemo<ColumnDef<Features, T, unknown>[]>(
    () => columns.map((c) => ({
      id: c.id, header: () => c.header, enableSorting: c.value !== undefined, sortUndefined: 'last',
      accessorFn: (row: T) => { const v = c.value?.(row); return v === null || (typeof v === 'number' && Number.isNaN(v)) ? undefined : v },
      sortFn: (a: Row<Features, T>, b: Row<Features, T>, id: string) => compare(a.getValue(id), b.getValue(id)),
    })),
    [columns],
  )
  const data = useMemo(() => [...rows], [rows])
  const sorting = useMemo(() => (sort ? [sort] : []), [sort])
  const hidden = props.hidden
  const [scroller, room] = useWidth<HTMLDivElement>()
  const columnVisibility = useMemo(() => Object.fromEntries([...(hidden ?? []), ...columns.filter((c) => room > 0 && c.from !== undefined && room < c.from).map((c) => c.id)].map((id) => [id, false])), [hidden, columns, room])
  const table = useTable({ features, columns: definitions, data, getRowId: rowKey, manualSorting: props.sorted ?? false, state: { sorting, columnVisibility } })
  const shown = table.getRowModel().rows
  const visible = columns.filter((c) => columnVisibility[c.id] !== false)

  const virtual = Boolean(scroll) && shown.length > virtualFrom && !detail
  const even = Boolean(props.fixed) || virtual
  // The compiler is not used, so the virtualizer's mutable result is safe here.
  const virtualizer = useVirtualizer({ count: virtual ? shown.length : 0, getScrollElement: () => scroller.current, estimateSize: () => (dense ? 28 : 32), overscan: 12 })
  const items = virtualizer.getVirtualItems()
  const first = virtual ? (items[0]?.start ?? 0) : 0
  const rest = virtual ? virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0) : 0
  const [most, setMost] = useState(atFirst)
  const range = virtual ? items.map((i) => ({ row: shown[i.index]!, index: i.index })) : shown.slice(0, most).map((row, index) => ({ row, index }))

  const { onEnd } = props
  const lastSeen = virtual ? (items.at(-1)?.index ?? 0) : 0
  useEffect(() => {
    if (virtual && lastSeen >= shown.length - 20) onEnd?.()
  }, [virtual, lastSeen, shown.length, onEnd])

  const [at, setAt] = useState(-1)
  const anchor = useRef(-1)
  const keyboard = Boolean(onOpen || onSelect)
  const focusRow = (i: number) => {
    const next = Math.max(0, Math.min(shown.length - 1, i))
    if (next >= most - 1) setMost(most + atFirst)
    setAt(next)
    // A drawer beside the table goes along.
    const row = shown[next]
    if (props.focused !== undefined && row && row.id !== props.focused) onOpen?.(row.original)
    if (virtual) virtualizer.scrollToIndex(next)
    else scroller.current?.querySelectorAll('tbody tr[data-row]')[next]?.scrollIntoView({ block: 'nearest' })
  }
  const toggle = (i: number, extend = false) => {
    if (!onSelect || !selected) return
    const next = new Set(selected)
    const key = shown[i]?.id
    if (key === undefined) return
    const on = !next.has(key)
    const [from, to] = extend && anchor.current >= 0 ? [Math.min(anchor.current, i), Math.max(anchor.current, i)] : [i, i]
    for (const row of shown.slice(from, to + 1)) if (on) next.add(row.id)
      else next.delete(row.id)
    anchor.current = i
    onSelect(next)
  }
  useKeys([
    { keys: 'j', label: 'Next row', run: () => focusRow(at + 1) },
    { keys: 'k', label: 'Previous row', run: () => focusRow(at - 1) },
    ...(onSelect ? [{ keys: 'x', label: 'Select row', run: () => toggle(at) }] : []),
    ...(onOpen ? [{ keys: 'Enter', label: 'Open row', run: () => { const row = shown[at]?.original; if (row) onOpen(row) } }] : []),
  ], keyboard && !props.quiet && shown.length > 0)

  const head = (c: Column<T>) => {
    const on = sort?.id === c.id
    if (!c.value || !onSort) return c.header
    const next = (): Sort | undefined => (!on ? { id: c.id, desc: false } : sort.desc ? undefined : { id: c.id, desc: true })
    return <button type="button" onClick={() => onSort(next())}>{c.header}{on && (sort.desc ? <ArrowDown size={12} /> : <ArrowUp size={12} />)}</button>
  }
  const all = selected ? shown.filter((r) => selected.has(r.id)).length : 0
  const span = visible.length + (onSelect ? 1 : 0)
  return (
    <div ref={scroller} tabIndex={0} role="region" aria-label={`${props.label}, scrolls`} {...(keyboard ? { onKeyDown: arrows((by) => focusRow(at + by)) } : {})} className={`scroller ${scroll ? 'min-h-0 flex-1 overflow-auto' : 'overflow-x-auto'}`}>
      <table style={even ? { minWidth: visible.reduce((sum, c) => sum + (c.width ?? 72), onSelect ? 52 : 0) } : undefined} className={`tbl ${scroll ? 'sticky' : ''} ${dense ? 'dense' : ''} ${props.wide ? 'wide' : ''} ${even ? 'even' : ''}`} aria-label={props.label} aria-rowcount={shown.length + 1}>
        <colgroup>{onSelect && <col style={{ width: props.wide ? 62 : 52 }} />}{visible.map((c) => <col key={c.id} style={{ width: c.width }} />)}</colgroup>
        <thead>
          <tr>
            {onSelect && <th><Checkbox label="Select all rows" checked={all === 0 ? false : all === shown.length ? true : 'mixed'} onChange={() => onSelect(all === shown.length ? new Set() : new Set(shown.map((r) => r.id)))} /></th>}
            {visible.map((c) => <th key={c.id} className={c.num ? 'num' : ''} title={c.title} aria-sort={sort?.id === c.id ? (sort.desc ? 'descending' : 'ascending') : undefined}>{head(c)}</th>)}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <tr aria-hidden="true"><td colSpan={span} style={{ height: first, padding: 0, border: 0 }} /></tr>}
          {range.map(({ row, index }) => {
            const open = opened?.has(row.id) ?? false
            const state = [index === at || row.id === props.focused ? 'foc' : '', selected?.has(row.id) ? 'sel' : '', open ? 'open' : ''].join(' ')
            return (
              <Fragment key={row.id}>
                <tr data-row className={`${state} ${onOpen ? 'cursor-pointer' : ''}`} aria-selected={selected ? selected.has(row.id) : undefined} data-open={detail ? open : undefined}
                  onClick={(e) => { if (!onOpen || (e.target as HTMLElement).closest('a,button,input')) return; setAt(index); onOpen(row.original) }}>
                  {onSelect && <td><span className="flex items-center gap-2"><Checkbox label={`Select ${props.rowName?.(row.original) ?? row.id}`} checked={selected?.has(row.id) ?? false} onChange={(shift) => toggle(index, shift)} />{props.mark?.(row.original)}</span></td>}
                  {visible.map((c, i) => <td key={c.id} className={c.num ? 'num' : ''}>{detail && onOpen && i === 0 ? <button type="button" className="block w-full text-left min-h-6" aria-expanded={open} onClick={() => { setAt(index); onOpen(row.original) }}>{c.cell(row.original)}</button> : c.cell(row.original)}</td>)}
                </tr>
                {open && detail && <tr className="det"><td colSpan={span}>{detail(row.original)}</td></tr>}
              </Fragment>
            )
          })}
          {rest > 0 && <tr aria-hidden="true"><td colSpan={span} style={{ height: rest, padding: 0, border: 0 }} /></tr>}
        </tbody>
      </table>
      {!virtual && shown.length > most && <button type="button" className="btn m-3" onClick={() => setMost(most + atFirst)}>Show {Math.min(atFirst, shown.length - most)} more of {(shown.length - most).toLocaleString('en')}</button>}
      {props.footer}
    </div>
  )
}

/** Numbers by size, text by letter with numbers inside it by size ("v2" before "v10"). */
export function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return String(a ?? '').localeCompare(String(b ?? ''), 'en', { numeric: true, sensitivity: 'base' })
}
