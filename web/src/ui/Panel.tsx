import type { ReactNode } from 'react'

interface Props {
  title?: ReactNode
  note?: ReactNode
  right?: ReactNode
  bare?: boolean
  className?: string
  children: ReactNode
}

export function Panel({ title, note, right, bare, className = '', children }: Props) {
  return (
    <section className={`panel ${className}`}>
      {title && <div className={`ph ${bare ? 'bare' : ''}`}><h2>{title}</h2>{note && <span className="text-3 text-sm clip">{note}</span>}{right && <div className="r">{right}</div>}</div>}
      {children}
    </section>
  )
}

export interface Figure {
  label: string
  value: ReactNode
  unit?: string
  context?: ReactNode
  spark?: ReactNode
  bad?: boolean
}

/** At most five figures in one panel, split by hairlines. */
export function KeyFigures({ items }: { items: readonly Figure[] }) {
  return (
    <section className="panel kf">
      {items.map((f) => (
        <div key={f.label}>
          <div className="fig">
            <div><div className="l">{f.label}</div><div className={`v ${f.bad ? 'text-bad' : ''}`}>{f.value}{f.unit && <small>{f.unit}</small>}</div></div>
            {f.spark && <span className="sp">{f.spark}</span>}
          </div>
          {f.context !== undefined && <div className="d">{f.context}</div>}
        </div>
      ))}
    </section>
  )
}

export function KeyValues({ items }: { items: readonly (readonly [string, ReactNode])[] }) {
  return <dl className="kv">{items.filter(([, v]) => v !== undefined && v !== null && v !== '').map(([k, v]) => <div key={k} className="contents"><dt>{k}</dt><dd>{v}</dd></div>)}</dl>
}

export function Note({ tone, icon, children }: { tone?: 'acc' | 'bad' | 'ok'; icon?: ReactNode; children: ReactNode }) {
  return <div className={`note ${tone ?? ''}`}>{icon}<div className="min-w-0">{children}</div></div>
}
