import type { ReactNode } from 'react'
import { Shape, type ShapeKind } from './Shape'

const textColors: Record<ShapeKind, string> = { ok: 'text-2', warn: 'text-warn', bad: 'text-bad', info: 'text-info', idle: 'text-3', pause: 'text-3' }

/** A status in a header. */
export function Pill({ kind, children }: { kind: ShapeKind; children: ReactNode }) {
  return <span className={`pill ${kind}`}><Shape kind={kind} />{children}</span>
}

/** A status without a background, for tables. */
export function Status({ kind, children, loud }: { kind: ShapeKind; children?: ReactNode; loud?: boolean }) {
  return <span className={`st ${textColors[kind]} ${(loud ?? (kind === 'bad' || kind === 'warn')) ? 'strong' : ''}`}><Shape kind={kind} />{children}</span>
}

export function Tag({ children, look, title }: { children: ReactNode; look?: 'accent' | 'line'; title?: string }) {
  return <span title={title} className={`tag ${look === 'accent' ? 'acc' : look === 'line' ? 'line' : ''}`}>{children}</span>
}
