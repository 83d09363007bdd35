import { ChevronRight } from 'lucide-react'
import { useState } from 'react'

const most = 200

/** JSON that folds. Long lists show their first 200 entries. */
export function JsonView({ value, depth = 0 }: { value: unknown; depth?: number }) {
  return <div className="json"><Node value={value} depth={depth} /></div>
}

function Node({ name, value, depth }: { name?: string; value: unknown; depth: number }) {
  const [open, setOpen] = useState(depth < 2)
  const label = name === undefined ? null : <span className="k">{name}: </span>
  if (typeof value !== 'object' || value === null) {
    return <div style={{ paddingLeft: 16 }}>{label}<span className={typeof value === 'string' ? 'str' : 'lit'}>{typeof value === 'string' ? `"${value}"` : String(value)}</span></div>
  }
  const entries = Array.isArray(value) ? value.map((v, i) => [String(i), v] as const) : Object.entries(value)
  const summary = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`
  return (
    <div>
      <button type="button" className="inline-flex items-center" aria-expanded={open} onClick={() => setOpen(!open)}>
        <ChevronRight size={12} style={{ rotate: open ? '90deg' : '0deg', marginRight: 4 }} />{label}<span className="text-3">{summary}</span>
      </button>
      {open && (
        <div style={{ paddingLeft: 14 }}>
          {entries.slice(0, most).map(([k, v]) => <Node key={k} name={k} value={v} depth={depth + 1} />)}
          {entries.length > most && <div className="text-3" style={{ paddingLeft: 16 }}>{entries.length - most} more</div>}
        </div>
      )}
    </div>
  )
}
