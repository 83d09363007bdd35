import { num } from '@/lib/format'

interface Props {
  rows: readonly { label: string; value: number; color?: string; title?: string }[]
  format?: (v: number) => string
  name: string
}

/** Horizontal bars from zero, one line each, the value beside its bar. */
export function BarChart({ rows, format = num, name }: Props) {
  const most = Math.max(...rows.map((r) => Math.abs(r.value)), 1e-12)
  return (
    <div role="img" aria-label={`${name}: ${rows.slice(0, 3).map((r) => `${r.label} ${format(r.value)}`).join(', ')}`} className="grid items-center gap-x-3 gap-y-1 text-sm" style={{ gridTemplateColumns: 'max-content minmax(40px,1fr) max-content' }}>
      {rows.map((r, i) => (
        <div key={i} className="contents">
          <span className="text-2 clip max-w-[180px]" title={r.title ?? r.label}>{r.label}</span>
          <span className="h-3 rounded-[2px]" style={{ width: `${(Math.abs(r.value) / most) * 100}%`, minWidth: 1, background: r.color ?? 'var(--ref)' }} />
          <span className="num text-right">{format(r.value)}</span>
        </div>
      ))}
    </div>
  )
}
