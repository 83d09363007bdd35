import type { ReactNode } from 'react'
import { Code } from './Code'

interface Props {
  title: string
  children: ReactNode
  command?: string
  link?: ReactNode
}

/** What will be here, the command that brings it, and one link. */
export function Empty({ title, children, command, link }: Props) {
  return (
    <div className="px-3.5 py-3 max-w-[560px]">
      <div className="strong">{title}</div>
      <div className="text-2 mt-0.5 mb-2.5">{children}</div>
      {command && <Code text={command} small />}
      {link && <div className="text-sm mt-2">{link}</div>}
    </div>
  )
}

export function Skeleton({ rows = 3, widths = ['34%', '14%', '18%'] }: { rows?: number; widths?: readonly string[] }) {
  return (
    <div className="late grid gap-4 px-3.5 py-4" aria-busy="true" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className="flex gap-2">
          {widths.map((w, j) => <span key={j} className="sk" style={{ width: j === 0 ? `calc(${w} + ${(i * 37) % 60 - 30}px)` : w, marginLeft: j === 1 ? 'auto' : undefined }} />)}
        </div>
      ))}
    </div>
  )
}
