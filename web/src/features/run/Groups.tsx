import { useQuery } from '@tanstack/react-query'
import { useMemo, useState, type ReactNode } from 'react'
import type { RunGroup } from '@/lib/api/types'
import { count, decimals, inColumn, num } from '@/lib/format'
import { useBetter } from '@/lib/better'
import type { Better } from '@/lib/metrics'
import type { Sort } from '@/lib/url'
import { DataTable, type Column } from '@/ui/DataTable'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { parseColumn, title } from './columns'
import { groupReference, runQueries, type RunsQuery } from './source'

const mostMetrics = 6

/** The runs of an experiment by the values of parameters or tags: how many, and the best, mean and spread of each metric. */
export function Groups({ query, by, columns, main, colors, onOpen }: { query: RunsQuery; by: readonly string[]; columns: readonly string[]; main: string | undefined; colors: ReadonlyMap<string, string>; onOpen: (group: RunGroup) => void }): ReactNode {
  const metrics = useMemo(() => {
    const keys = columns.flatMap((id) => { const c = parseColumn(id); return c?.kind === 'metric' ? [c.key] : [] })
    return [...new Set([...(main ? [main] : []), ...keys])].slice(0, mostMetrics)
  }, [columns, main])
  const groups = useQuery(runQueries.groups(query, by, metrics))
  const better = useBetter()
  const [sort, setSort] = useState<Sort | undefined>(main ? { id: `best:${main}`, desc: better(main) === false } : undefined)
  const items = groups.data?.items
  const table = useMemo(() => groupColumns(by, metrics, items ?? [], better, colors), [by, metrics, items, better, colors])
  if (groups.error) return <div className="p-3.5"><ErrorBox error={groups.error} title="Can't group the runs" onRetry={() => void groups.refetch()} /></div>
  if (!items) return <Skeleton rows={8} />
  if (items.length === 0) return <Empty title="No run to group">The filter finds none.</Empty>
  return <DataTable label={`Runs by ${by.map(title).join(' and ')}`} columns={table} rows={items} rowKey={(g) => JSON.stringify(g.keys)} scroll wide sort={sort} onSort={setSort} onOpen={onOpen} />
}

/** The best of a group: the end that is better; nothing where that is not known. */
export function bestOf(g: RunGroup, metric: string, better: Better): number | null | undefined {
  const m = g.metrics[metric]
  const lower = better(metric)
  return m && (lower === undefined ? undefined : lower ? m.min : m.max)
}

function groupColumns(by: readonly string[], metrics: readonly string[], items: readonly RunGroup[], better: Better, colors: ReadonlyMap<string, string>): Column<RunGroup>[] {
  const top = Math.max(1, ...items.map((g) => g.runs))
  return [
    ...by.map((id, i): Column<RunGroup> => {
      const key = groupReference(id) ?? id
      const value = (g: RunGroup) => g.keys[key] ?? null
      return { id, header: title(id), value, width: 200, cell: (g) => <span className="flex items-center gap-2 min-w-0">{i === 0 && colors.size > 0 && <i className="sw" style={{ background: colors.get(JSON.stringify(g.keys)) ?? 'transparent' }} />}{value(g) === null ? <span className="text-3">not set</span> : <span className="mono clip">{value(g)}</span>}</span> }
    }),
    { id: 'runs', header: 'Runs', num: true, width: 110, value: (g) => g.runs, cell: (g) => <span className="relative block text-right">{count(g.runs)}<i className="absolute right-0 -bottom-1 h-0.5 rounded-[1px] opacity-40" style={{ width: `${(g.runs / top) * 100}%`, background: 'var(--text-3)' }} /></span> },
    ...metrics.flatMap((metric): Column<RunGroup>[] => {
      const known = better(metric) !== undefined
      const digits = decimals(items.map((g) => (known ? bestOf(g, metric, better) : g.metrics[metric]?.mean) ?? null))
      const span = items.flatMap((g) => { const m = g.metrics[metric]; return m && typeof m.min === 'number' && typeof m.max === 'number' ? [[m.min, m.max] as const] : [] })
      const low = Math.min(...span.map(([a]) => a))
      const high = Math.max(...span.map(([, b]) => b))
      return [
        ...(known ? [{ id: `best:${metric}`, header: `best ${metric}`, num: true, width: 120, value: (g: RunGroup) => bestOf(g, metric, better), cell: (g: RunGroup) => inColumn(bestOf(g, metric, better), digits) }] : []),
        { id: `mean:${metric}`, header: known ? 'mean' : `mean ${metric}`, title: `mean ${metric}`, num: true, width: 84, value: (g) => g.metrics[metric]?.mean, cell: (g) => <span className="text-2">{inColumn(g.metrics[metric]?.mean, digits)}</span> },
        { id: `span:${metric}`, header: 'spread', title: `smallest to largest ${metric}`, width: 120, cell: (g) => <Spread m={g.metrics[metric]} low={low} high={high} /> },
      ]
    }),
  ]
}

/** From the smallest to the largest, with the mean, on the range of all groups. */
function Spread({ m, low, high }: { m: RunGroup['metrics'][string] | undefined; low: number; high: number }) {
  if (!m || typeof m.min !== 'number' || typeof m.max !== 'number' || !(high > low)) return null
  const x = (v: number) => ((v - low) / (high - low)) * 92 + 4
  return (
    <svg width={100} height={16} role="img" aria-label={`${num(m.min)} to ${num(m.max)}`} className="inline-block align-middle">
      <path d={`M0 8H100`} stroke="var(--grid)" /><path d={`M${x(m.min)} 8H${Math.max(x(m.max), x(m.min) + 1)}`} stroke="var(--c1)" strokeWidth={3} opacity={0.5} />
      {typeof m.mean === 'number' && <circle cx={x(m.mean)} cy={8} r={3} fill="var(--c1)" />}
    </svg>
  )
}
