import { useRef, useState } from 'react'

export interface Lane {
  version: string
  color: string
  /** Whole percent; all lanes sum to 100. */
  weight: number
}

/** Moves the border between two neighbours by `to` (percent from the left), the others stay. Pure. */
export function moveBorder(lanes: readonly Lane[], border: number, to: number): Lane[] {
  const before = lanes.slice(0, border).reduce((a, l) => a + l.weight, 0)
  const a = lanes[border]
  const b = lanes[border + 1]
  if (!a || !b) return [...lanes]
  const both = a.weight + b.weight
  const weight = Math.max(0, Math.min(both, Math.round(to) - before))
  return lanes.map((l, i) => (i === border ? { ...l, weight } : i === border + 1 ? { ...l, weight: both - weight } : l))
}

/** Sets one lane and takes the difference from the others, the largest first. The sum stays 100. Pure. */
export function setWeight(lanes: readonly Lane[], version: string, weight: number): Lane[] {
  const wanted = Math.max(0, Math.min(100, Math.round(Number.isFinite(weight) ? weight : 0)))
  const out = lanes.map((l) => (l.version === version ? { ...l, weight: wanted } : { ...l }))
  let surplus = out.reduce((a, l) => a + l.weight, 0) - 100
  const others = out.filter((l) => l.version !== version).sort((a, b) => b.weight - a.weight)
  for (const lane of others) {
    if (surplus === 0) break
    const next = surplus > 0 ? Math.max(0, lane.weight - surplus) : Math.min(100, lane.weight - surplus)
    surplus -= lane.weight - next
    lane.weight = next
  }
  return out
}

interface Props {
  lanes: readonly Lane[]
  live: readonly Lane[]
  onChange: (lanes: Lane[]) => void
  disabled?: boolean
}

/** Traffic as one bar with a handle at each border; the live state is the thin bar below. Arrows move 1, with shift 5. */
export function TrafficSplit({ lanes, live, onChange, disabled }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const [drag, setDrag] = useState<number | null>(null)
  const ends = lanes.map((_, i) => lanes.slice(0, i + 1).reduce((a, l) => a + l.weight, 0))
  const follow = (clientX: number, border: number) => {
    const rect = box.current?.getBoundingClientRect()
    if (rect && rect.width > 0) onChange(moveBorder(lanes, border, ((clientX - rect.left) / rect.width) * 100))
  }
  return (
    <div>
      <div ref={box} className={`split ${drag === null ? '' : 'drag'}`}>
        <div className="fills">
          {lanes.map((l) => (
            <div key={l.version} style={{ width: `${l.weight}%`, background: l.color, padding: l.weight < 12 ? 0 : undefined, color: l.color === 'var(--c1)' ? undefined : 'transparent' }}>
              {l.weight >= 12 && l.color === 'var(--c1)' && `v${l.version}  ${l.weight} %`}
            </div>
          ))}
        </div>
        {!disabled && lanes.slice(0, -1).map((l, i) => {
          const next = lanes[i + 1]!
          return (
            <div key={l.version} className="hand" style={{ left: `${ends[i]}%` }} role="slider" tabIndex={0} aria-label={`Traffic to v${next.version}`}
              aria-valuemin={0} aria-valuemax={l.weight + next.weight} aria-valuenow={next.weight} aria-valuetext={`v${l.version} ${l.weight} %, v${next.version} ${next.weight} %`}
              onKeyDown={(e) => {
                const by = (e.shiftKey ? 5 : 1) * ({ ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[e.key] ?? 0)
                if (by === 0) return
                e.preventDefault()
                onChange(moveBorder(lanes, i, ends[i]! + by))
              }}
              onPointerDown={(e) => { e.currentTarget.setPointerCapture(e.pointerId); setDrag(i) }}
              onPointerMove={(e) => drag === i && follow(e.clientX, i)}
              onPointerUp={() => setDrag(null)} onPointerCancel={() => setDrag(null)} />
          )
        })}
      </div>
      <div className="nowbar" aria-hidden="true">{live.map((l) => <i key={l.version} style={{ width: `${l.weight}%`, background: l.color }} />)}</div>
    </div>
  )
}
