import { useVirtualizer } from '@tanstack/react-virtual'
import { useRef, type ReactNode } from 'react'
import { plural } from '@/lib/format'
import type { TableData } from './notebook'

const isNumber = (v: unknown) => typeof v === 'number' || (typeof v === 'string' && v !== '' && Number.isFinite(Number(v)))

/** Rows of a file. Many of them scroll in a frame of their own. */
export function TableView({ table, label, note }: { table: TableData; label: string; note?: ReactNode }): ReactNode {
  const box = useRef<HTMLDivElement>(null)
  const numeric = table.columns.map((c, i) => c.type === 'int64' || c.type === 'float64' || (c.type === undefined || c.type === 'string' ? table.rows.length > 0 && table.rows.every((r) => r[i] === null || r[i] === '' || isNumber(r[i])) : false))
  const virtualizer = useVirtualizer({ count: table.rows.length, getScrollElement: () => box.current, estimateSize: () => 28, overscan: 12, initialRect: { width: 800, height: 500 } })
  const items = virtualizer.getVirtualItems()
  const first = items[0]?.start ?? 0
  const rest = virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0)
  return (
    <>
      <div ref={box} className="overflow-auto border border-border rounded-control" style={{ maxHeight: '56vh' }} tabIndex={0} role="region" aria-label={label}>
        <table className="tbl sticky dense" aria-label={label} aria-rowcount={table.rows.length + 1}>
          <thead><tr>{table.columns.map((c, i) => <th key={i} className={numeric[i] ? 'num' : ''} title={c.type}>{c.name || <span className="sr-only">row</span>}</th>)}</tr></thead>
          <tbody>
            {first > 0 && <tr aria-hidden="true"><td colSpan={table.columns.length} style={{ height: first, padding: 0, border: 0 }} /></tr>}
            {items.map((item) => <tr key={item.key}>{table.rows[item.index]!.map((v, j) => <td key={j} className={numeric[j] ? 'num' : ''}><span className="block clip max-w-96" title={typeof v === 'string' && v.length > 40 ? v : undefined}>{v === null ? <span className="text-3">null</span> : String(v)}</span></td>)}</tr>)}
            {rest > 0 && <tr aria-hidden="true"><td colSpan={table.columns.length} style={{ height: rest, padding: 0, border: 0 }} /></tr>}
          </tbody>
        </table>
      </div>
      <p className="text-3 text-sm pt-2">{note ?? `${plural(table.rows.length, 'row')}, ${plural(table.columns.length, 'column')}.`}</p>
    </>
  )
}
