import { Tooltip } from '@/ui/Tooltip'
import { useWidth } from './useWidth'

export type StripState = 'ok' | 'watch' | 'breach' | 'none'

export interface StripCell {
  state: StripState
  /** What the cell says when it is pointed at: the window and its verdict. */
  label: string
  onOpen?: () => void
}

const words: Record<StripState, string> = { ok: 'ok', watch: 'watch', breach: 'breach', none: 'no data' }
const fills: Record<StripState, string> = { ok: 'var(--ok-fill)', watch: 'var(--warn-fill)', breach: 'var(--bad-fill)', none: 'var(--idle-fill)' }
const heights: Record<StripState, number> = { ok: 0.5, watch: 0.75, breach: 1, none: 0.25 }

interface Props {
  cells: readonly StripCell[]
  height?: number
  width?: number
  gap?: number
  name: string
}

/** State over time: height as well as colour. The row is one picture to a screen reader; each cell tells itself on hover. */
export function Strip({ cells, height = 16, width, gap = 2, name }: Props) {
  const [ref, measured] = useWidth<HTMLDivElement>()
  const w = width ?? measured
  const space = cells.length > 60 ? 1 : gap
  const cell = cells.length > 0 ? Math.min(18, (w + space) / cells.length) : 0
  const bad = cells.filter((c) => c.state === 'breach').length
  const watch = cells.filter((c) => c.state === 'watch').length
  const summary = `${name}: ${cells.length} windows, ${watch} watch, ${bad} breach, latest ${words[cells.at(-1)?.state ?? 'none']}`
  return (
    <div ref={ref} style={{ width: width ?? '100%', height }} className="min-w-0">
      {w > 0 && (
        <svg width={w} height={height} role="img" aria-label={summary} className="block">
          {cells.map((c, i) => {
            const h = height * heights[c.state]
            return (
              <Tooltip key={i} text={c.label}>
                <g onClick={c.onOpen} className={c.onOpen ? 'cursor-pointer' : undefined}>
                  <rect x={i * cell} y={0} width={Math.max(1, cell)} height={height} fill="transparent" />
                  <rect x={i * cell} y={height - h} width={Math.max(1, cell - space)} height={h} rx={Math.min(1.5, cell / 4)} fill={fills[c.state]} opacity={c.state === 'ok' ? 0.55 : c.state === 'none' ? 0.6 : 1} />
                </g>
              </Tooltip>
            )
          })}
        </svg>
      )}
    </div>
  )
}

export function StripLegend() {
  return (
    <span className="legend text-xs" style={{ gap: 10 }}>
      {(['ok', 'watch', 'breach', 'none'] as const).map((state) => (
        <span key={state}>
          <i className="sw" style={{ background: fills[state], height: 11 * heights[state], opacity: state === 'ok' ? 0.55 : 1 }} />
          {words[state]}
        </span>
      ))}
    </span>
  )
}
