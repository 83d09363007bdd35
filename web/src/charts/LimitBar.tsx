import { num } from '@/lib/format'

export type Tone = 'ok' | 'warn' | 'bad' | 'idle'

interface Props {
  value: number | null
  limit: number
  tone: Tone
  width?: number
  /** Right end of the scale; by default 3.6 limits, or the value when it is larger. */
  max?: number
}

/** A value against its limit: the mark is the limit. */
export function LimitBar({ value, limit, tone, width = 96, max }: Props) {
  const end = Math.max(max ?? limit * 3.6, 1e-12)
  const at = Math.min(1, Math.max(0, (value ?? 0) / end)) * width
  const mark = Math.min(1, limit / end) * width
  const label = value === null ? 'no value' : `${num(value)}, limit ${num(limit)}`
  return (
    <svg width={width} height={12} role="img" aria-label={label} className="inline-block align-middle">
      <rect y={3} width={width} height={6} rx={3} fill="var(--idle-soft)" />
      {value !== null && <rect y={3} width={Math.max(at, value > 0 ? 2 : 0)} height={6} rx={3} fill={`var(--${tone}-fill)`} opacity={tone === 'ok' ? 0.6 : 1} />}
      <rect x={mark - 0.75} width={1.5} height={12} fill="var(--text-2)" />
    </svg>
  )
}

interface MarginProps {
  /** Distance to the limit as a share of it; negative when it is missed. Drawn in [-0.4, 1]. */
  margin: number
  tone: Tone
}

/** How far a gate's measure stands from its requirement. */
export function MarginBar({ margin, tone }: MarginProps) {
  const share = Math.max(-0.4, Math.min(1, margin))
  const length = Math.max(2, Math.abs(share) * 54)
  return (
    <svg width={76} height={12} role="img" aria-label={`margin ${num(margin * 100)} %`} className="inline-block align-middle">
      <path d="M0 6.5H76" stroke="var(--grid)" />
      <rect x={share < 0 ? 22 - length : 22} y={3} width={length} height={6} rx={1.5} fill={`var(--${tone}-fill)`} opacity={tone === 'ok' ? 0.6 : 1} />
      <path d="M22 0v12" stroke="var(--text-2)" strokeWidth={1.2} />
    </svg>
  )
}
