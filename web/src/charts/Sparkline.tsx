import { averages, extent, type Value } from './maths'

interface Props {
  values: readonly Value[]
  width?: number
  height?: number
  color?: string
  dot?: string
  /** A dashed line at this value. */
  limit?: number | undefined
  min?: number
  max?: number
  label?: string
}

/** A line as small as a word: gaps stay gaps, the last value is a dot. */
export function Sparkline({ values, width = 54, height = 20, color = 'var(--control)', dot, limit, min, max, label }: Props) {
  const points = averages(values, Math.floor(width / 2))
  const range = extent(points, limit === undefined ? [] : [limit])
  if (!range) return <span style={{ display: 'inline-block', width, height }} />
  const low = min ?? range[0]
  const high = Math.max(max ?? range[1], low)
  const x = (i: number) => 1 + (i * (width - 5)) / Math.max(1, points.length - 1)
  const y = (v: number) => height - 3 - ((v - low) / (high - low || 1)) * (height - 6)
  let path = ''
  let pen = false
  points.forEach((v, i) => {
    if (v === null || !Number.isFinite(v)) {
      pen = false
      return
    }
    path += `${pen ? 'L' : 'M'}${x(i).toFixed(1)} ${y(v).toFixed(1)}`
    pen = true
  })
  const last = points.findLastIndex((v) => v !== null && Number.isFinite(v))
  return (
    <svg width={width} height={height} className="inline-block align-middle" role={label ? 'img' : undefined} aria-label={label} aria-hidden={label ? undefined : true}>
      {limit !== undefined && <path d={`M0 ${y(limit)}H${width}`} stroke="var(--border-strong)" strokeDasharray="2 2" />}
      <path d={path} fill="none" stroke={color} strokeWidth={1.3} strokeLinejoin="round" />
      {last >= 0 && <circle cx={x(last)} cy={y(points[last]!)} r={2} fill={dot ?? color} />}
    </svg>
  )
}
