import { useMemo, type ReactNode } from 'react'
import { decimals, fixed, num, plural } from '@/lib/format'
import { ChartFrame } from './ChartFrame'
import { compareText } from './order'
import { axisOf, box, dimension, type Dim } from './relate'
import type { ParallelRow } from './Parallel'
import { useWidth } from './useWidth'

interface Props {
  title: string
  value: Dim
  /** The rows are grouped by its values. */
  by: Dim
  rows: readonly ParallelRow[]
  height?: number
  right?: ReactNode
}

const pad = { left: 56, right: 16, top: 10, bottom: 38 }
const mostGroups = 24

/** The spread of a value in each group: box, median, whiskers, what lies outside them, and the rows in front as points. */
export function BoxPlot({ title, value, by, rows, height = 340, right }: Props) {
  const [frame, width] = useWidth<HTMLDivElement>()
  const groups = useMemo(() => {
    const found = new Map<string, { key: number | string; values: number[]; front: { row: ParallelRow; v: number }[] }>()
    rows.forEach((row, i) => {
      const [k, v] = [by.values[i] ?? null, value.values[i] ?? null]
      if (k === null || typeof v !== 'number') return
      const group = found.get(String(k)) ?? { key: k, values: [], front: [] }
      group.values.push(v)
      if (row.color) group.front.push({ row, v })
      found.set(String(k), group)
    })
    return [...found.values()].sort((a, b) => (typeof a.key === 'number' && typeof b.key === 'number' ? a.key - b.key : compareText(String(a.key), String(b.key))))
  }, [rows, value, by])
  const shown = groups.slice(0, mostGroups)
  const axis = useMemo(() => axisOf(dimension('', '', shown.flatMap((g) => g.values)), height - pad.bottom - 6, pad.top + 6, 5), [shown, height])
  const step = (width - pad.left - pad.right) / Math.max(1, shown.length)
  const wide = Math.min(44, step * 0.5)
  const boxes = shown.map((g) => ({ g, b: box(g.values)! }))
  const digits = decimals(boxes.flatMap(({ b }) => [b.q1, b.median, b.q3]))
  return (
    <ChartFrame title={title} big unit={`${plural(shown.length, 'group')}${groups.length > shown.length ? ` of ${groups.length}` : ''} by ${by.label}`} height={height} right={right} header={[by.label, 'runs', 'lowest', '25 %', 'median', '75 %', 'highest']} format={(v) => fixed(v, Number.isInteger(v) && digits > 0 && v < 1e6 ? 0 : digits)}
      rows={() => boxes.map(({ g, b }) => [String(g.key), b.count, Math.min(b.low, ...b.outliers), b.q1, b.median, b.q3, Math.max(b.high, ...b.outliers)])}>
      <div ref={frame} style={{ height }}>
        {width > 0 && (
          <svg className="plot block" width={width} height={height} role="img" aria-label={`${title}: ${boxes.slice(0, 6).map(({ g, b }) => `${by.label} ${g.key}: median ${num(b.median)} of ${plural(b.count, 'run')}`).join('; ')}`}>
            {axis.ticks.map((t) => <g key={String(t.value)}><path d={`M${pad.left} ${Math.round(axis.at(t.value)) + 0.5}H${width - pad.right}`} stroke="var(--grid)" /><text x={pad.left - 8} y={axis.at(t.value) + 4} textAnchor="end">{t.text}</text></g>)}
            <path d={`M${pad.left} ${height - pad.bottom + 0.5}H${width - pad.right}`} stroke="var(--border-strong)" />
            {boxes.map(({ g, b }, i) => {
              const x = pad.left + step * (i + 0.5)
              const text = typeof g.key === 'number' ? num(g.key) : g.key
              return (
                <g key={String(g.key)}>
                  <path d={`M${x} ${axis.at(b.low)}V${axis.at(b.q1)}M${x} ${axis.at(b.q3)}V${axis.at(b.high)}M${x - wide / 4} ${axis.at(b.low)}h${wide / 2}M${x - wide / 4} ${axis.at(b.high)}h${wide / 2}`} stroke="var(--control)" />
                  <rect x={x - wide / 2} y={axis.at(b.q3)} width={wide} height={Math.max(1, axis.at(b.q1) - axis.at(b.q3))} fill="var(--ref-fill)" stroke="var(--ref)" rx={2} />
                  <path d={`M${x - wide / 2} ${axis.at(b.median)}h${wide}`} stroke="var(--text-1)" strokeWidth={2} />
                  {b.outliers.map((v, k) => <circle key={k} cx={x} cy={axis.at(v)} r={2} fill="none" stroke="var(--control)" />)}
                  {g.front.map(({ row, v }, k) => <circle key={row.id} cx={x + ((k % 5) - 2) * Math.min(7, wide / 6)} cy={axis.at(v)} r={3.6} fill={row.color} stroke="var(--raised)"><title>{`${row.label}: ${num(v)}`}</title></circle>)}
                  <text x={x} y={height - pad.bottom + 16} textAnchor="middle">{text.length * 6 > step - 4 ? `${text.slice(0, Math.max(2, Math.floor(step / 6) - 2))}…` : text}</text>
                  {step > 36 && <text x={x} y={height - pad.bottom + 31} textAnchor="middle">{b.count}</text>}
                </g>
              )
            })}
            <text x={pad.left - 8} y={height - pad.bottom + 31} textAnchor="end">runs</text>
          </svg>
        )}
        {shown.length === 0 && <p className="text-center text-3 text-sm">No run has both {value.label} and {by.label}.</p>}
      </div>
    </ChartFrame>
  )
}
