import { useQuery } from '@tanstack/react-query'
import { useMemo, useState, type ReactNode } from 'react'
import { q } from '@/lib/api/queries'
import type { LoggedModel } from '@/lib/api/types'
import { decimals, fixed, shortId } from '@/lib/format'
import { href } from '@/lib/href'
import { useBetter } from '@/lib/better'
import { mainMetric, type Better } from '@/lib/metrics'
import { look } from '@/lib/states'
import type { Sort } from '@/lib/url'
import { CopyButton } from '@/ui/Code'
import { DataTable, type Column } from '@/ui/DataTable'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Status } from '@/ui/Status'
import { Time } from '@/ui/Time'

const mostMetrics = 6

/** The models that runs of an experiment logged, registered or not. */
export function ModelsTab({ experiment }: { experiment: string }): ReactNode {
  const models = useQuery(q.loggedModels(experiment))
  const items = models.data?.items
  const [sort, setSort] = useState<Sort | undefined>()
  const better = useBetter()
  const columns = useMemo(() => modelColumns(items ?? [], better), [items, better])
  if (models.error) return <ErrorPanel error={models.error} title="Can't read the models" onRetry={() => void models.refetch()} />
  if (!items) return <Skeleton rows={6} />
  if (items.length === 0) return <section className="panel"><Empty title="No model was logged" command='mlflow.sklearn.log_model(model, name="model")'>A model that a run logs is listed here with its metrics, and can be registered from the page of its run.</Empty></section>
  return <section className="panel"><DataTable label="Logged models" columns={columns} rows={items} rowKey={(m) => m.id} sort={sort} onSort={setSort} /></section>
}

function modelColumns(items: readonly LoggedModel[], better: Better): Column<LoggedModel>[] {
  const keys = [...new Set(items.flatMap((m) => Object.keys(m.metrics)))]
  const main = mainMetric(keys, better)
  const shown = [...(main ? [main] : []), ...keys.filter((k) => k !== main)].slice(0, mostMetrics)
  return [
    { id: 'name', header: 'Model', value: (m) => m.name, cell: (m) => <span className="st"><Status kind={look(m.status).kind} /><b>{m.name}</b></span> },
    { id: 'type', header: 'Kind', value: (m) => m.type, cell: (m) => <span className="text-2 text-sm">{m.type}</span> },
    { id: 'id', header: 'Id', cell: (m) => <span className="inline-flex items-center gap-1"><span className="mono text-2" title={m.id}>{shortId(m.id, 12)}</span><CopyButton text={`models:/${m.id}`} label="Copy the model's address" /></span> },
    { id: 'run', header: 'Run', cell: (m) => (m.run_id ? <Go className="link" to={href.run(m.run_id)}>{shortId(m.run_id)}</Go> : '') },
    { id: 'created', header: 'Logged', value: (m) => m.created_at, cell: (m) => <span className="text-2 text-sm"><Time at={m.created_at} /></span> },
    ...shown.map((k): Column<LoggedModel> => { const digits = decimals(items.map((m) => m.metrics[k] ?? null)); return { id: `m:${k}`, header: k, num: true, value: (m) => m.metrics[k], cell: (m) => fixed(m.metrics[k], digits) } }),
  ]
}
