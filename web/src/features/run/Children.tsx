import { useQuery } from '@tanstack/react-query'
import { useMemo, useState, type ReactNode } from 'react'
import { q } from '@/lib/api/queries'
import type { Run } from '@/lib/api/types'
import { useBetter } from '@/lib/better'
import { mainMetric } from '@/lib/metrics'
import type { Sort } from '@/lib/url'
import { DataTable, type Column } from '@/ui/DataTable'
import { Skeleton } from '@/ui/Empty'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Cell, columnLook } from './cells'
import { title, usualColumns, valueOf } from './columns'

const most = 500

/** The runs that say that this one is their parent. */
export const childQuery = (r: { id: string; experiment_id: string }) => q.runs({ experiment_ids: [r.experiment_id], filter: `tags.mlflow.parentRunId = '${r.id.replaceAll("'", '')}'`, order_by: ['attributes.start_time ASC'], page_size: most })

export function Children({ run: r }: { run: Run }): ReactNode {
  const children = useQuery(childQuery(r))
  const [sort, setSort] = useState<Sort | undefined>()
  const items = children.data?.items
  const better = useBetter()
  const columns = useMemo(() => {
    const runs = items ?? []
    const keys = { metrics: [...new Set(runs.flatMap((c) => Object.keys(c.metrics)))], params: [...new Set(runs.flatMap((c) => Object.keys(c.params)))], tags: [] }
    return ['name', ...usualColumns(keys, mainMetric(keys.metrics, better), runs, better)].map((id): Column<Run> => { const look = columnLook(id, runs); return { id, header: title(id), num: look.num, value: (c) => valueOf(c, id), cell: (c) => <Cell look={look} run={c} /> } })
  }, [items, better])
  if (children.error) return <ErrorPanel error={children.error} title="Can't read the child runs" onRetry={() => void children.refetch()} />
  if (!items) return <Skeleton rows={5} />
  return <section className="panel"><DataTable label="Child runs" columns={columns} rows={items} rowKey={(c) => c.id} sort={sort} onSort={setSort} />{children.data?.next_page_token && <p className="text-3 text-sm px-3.5 py-2">The first {most}.</p>}</section>
}
