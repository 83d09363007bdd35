import { Link, type LinkProps } from '@tanstack/react-router'
import { ChevronRight } from 'lucide-react'
import { useEffect, type ReactNode } from 'react'

interface Props {
  /** Parents only. */
  crumbs?: readonly { label: string; to: LinkProps['to']; params?: Record<string, string>; search?: Record<string, unknown> }[]
  title: ReactNode
  /** For the title of the tab; needed when `title` is no text. */
  name?: string
  status?: ReactNode
  meta?: ReactNode
  actions?: ReactNode
  verdict?: ReactNode
  tabs?: ReactNode
  children: ReactNode
  /** The body does not scroll; its parts do. */
  fill?: boolean
  bare?: boolean
}

/** The frame of every page: where it hangs, what it is, how it stands, what can be done, and then the evidence. */
export function Page({ crumbs = [], title, name, status, meta, actions, verdict, tabs, children, fill, bare }: Props) {
  const text = name ?? (typeof title === 'string' ? title : '')
  useEffect(() => {
    document.title = text ? `${text} · Modelyard` : 'Modelyard'
  }, [text])
  return (
    <>
      <div className="head">
        {crumbs.length > 0 && (
          <nav className="crumb" aria-label="Parents">
            {crumbs.map((c, i) => (
              <span key={i} className={`flex items-center gap-1.5 ${c.params ? 'min-w-0' : 'flex-none'}`}>
                {i > 0 && <ChevronRight size={12} className="flex-none" />}<Link className="clip" to={c.to} params={c.params as never} search={(c.search ?? {}) as never}>{c.label}</Link>
              </span>
            ))}
          </nav>
        )}
        <div className="title"><h1 title={text}>{title}</h1>{status}{meta && <span className="meta">{meta}</span>}{actions && <div className="acts">{actions}</div>}</div>
        {verdict && <p className="verdict">{verdict}</p>}
      </div>
      {tabs}
      {bare ? children : <div className={`body ${fill ? 'fill' : ''}`}>{children}</div>}
    </>
  )
}

interface TabsProps<T extends string> {
  value: T
  items: readonly { value: T; label: string; count?: number | string | undefined }[]
  right?: ReactNode
}

/** Tabs are links: the open one is in the address. The first is the page without `?tab=`. */
export function Tabs<T extends string>({ value, items, right }: TabsProps<T>) {
  return (
    <nav className="tabs" aria-label="Parts of this page">
      {items.map((t, i) => (
        <Link key={t.value} to="." search={((old: Record<string, unknown>) => ({ ...old, tab: i === 0 ? undefined : t.value })) as never} className={t.value === value ? 'on' : ''} aria-current={t.value === value ? 'page' : undefined}>
          {t.label}{t.count !== undefined && <span className="n">{t.count.toLocaleString('en')}</span>}
        </Link>
      ))}
      {right && <span className="ml-auto flex items-center gap-3 pl-4">{right}</span>}
    </nav>
  )
}
