import { MoreHorizontal } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { Menu, MenuItem } from '@/ui/Menu'
import { saveText } from '@/lib/save'
import { csv } from './maths'

interface Props {
  title: string
  unit?: string | undefined
  big?: boolean
  right?: ReactNode
  legend?: ReactNode
  height: number
  header: readonly string[]
  rows: () => (string | number | null)[][]
  format: (v: number) => string
  png?: () => string | undefined
  children: ReactNode
}

const mostRows = 400

/** Title and unit of a chart, its menu, and its table twin. */
export function ChartFrame({ title, unit, big, right, legend, height, header, rows, format, png, children }: Props) {
  const [table, setTable] = useState(false)
  const file = title.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'chart'
  return (
    <figure className="group relative min-w-0">
      <figcaption className={`ctitle ${big ? 'big' : ''}`}>
        <span className={`clip min-w-0 ${big ? 'text-base font-semibold' : ''}`} title={title}>{title}</span> {unit && <small className={`clip shrink-[50] ${big ? '!text-sm' : ''}`} title={unit}>{unit}</small>}
        {legend}
        <span className="r flex items-center gap-2 flex-none">
          {right}
          <Menu label={`${title}: menu`} trigger={<button type="button" className="btn ghost icon s -my-1 opacity-0 group-hover:opacity-100 focus-visible:opacity-100 data-[state=open]:opacity-100" aria-label={`${title}: menu`}><MoreHorizontal size={14} /></button>}>
            <MenuItem onSelect={() => setTable(!table)}>{table ? 'Show as chart' : 'Show as table'}</MenuItem>
            <MenuItem onSelect={() => saveText(`${file}.csv`, csv(header, rows()), 'text/csv')}>Download CSV</MenuItem>
            {png && <MenuItem onSelect={() => savePng(file, png())}>Download PNG</MenuItem>}
          </Menu>
        </span>
      </figcaption>
      {table ? <Twin header={header} rows={rows()} height={height} format={format} title={title} /> : <div className="relative">{children}</div>}
    </figure>
  )
}

function Twin({ header, rows, height, format, title }: { header: readonly string[]; rows: (string | number | null)[][]; height: number; format: (v: number) => string; title: string }) {
  const shown = rows.slice(-mostRows)
  return (
    <div className="overflow-auto border border-border rounded-control mt-1" style={{ maxHeight: Math.max(height, 140) }} tabIndex={0} role="region" aria-label={`${title} as a table`}>
      <table className="tbl sticky dense">
        <thead><tr>{header.map((h, i) => <th key={h} className={i > 0 ? 'num' : ''}>{h}</th>)}</tr></thead>
        <tbody>
          {shown.map((row, i) => (
            <tr key={i}>{row.map((v, j) => <td key={j} className={j > 0 ? 'num' : 'mono'}>{typeof v === 'number' && j > 0 ? format(v) : v}</td>)}</tr>
          ))}
        </tbody>
      </table>
      {rows.length > mostRows && <p className="text-3 text-xs px-3 py-1">The last {mostRows} of {rows.length} points; the CSV has all.</p>}
    </div>
  )
}

function savePng(file: string, url: string | undefined): void {
  if (!url) return
  const a = document.createElement('a')
  a.href = url
  a.download = `${file}.png`
  a.click()
}
