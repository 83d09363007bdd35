import { useInfiniteQuery } from '@tanstack/react-query'
import { Trash2, X } from 'lucide-react'
import { useMemo, useState, type ReactNode } from 'react'
import { http } from '@/lib/api/http'
import { q } from '@/lib/api/queries'
import { trash } from '@/lib/api/trash'
import type { LoggedModel } from '@/lib/api/types'
import { decimals, inColumn, plural, shortId } from '@/lib/format'
import { href } from '@/lib/href'
import { useBetter } from '@/lib/better'
import { useKeys } from '@/lib/keys'
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
import { useDiscard } from '@/ui/useDiscard'

const mostMetrics = 6

const attributes: Record<string, string> = { name: 'attributes.name', type: 'attributes.model_type', created: 'attributes.creation_timestamp' }

/** The order of the table as the server takes it. */
function orderOf(sort: Sort | undefined): string[] {
  if (!sort) return []
  const by = sort.id.startsWith('m:') ? `metrics.\`${sort.id.slice(2)}\`` : attributes[sort.id]
  return by ? [`${by} ${sort.desc ? 'DESC' : 'ASC'}`] : []
}

/** The models that runs of an experiment logged, registered or not. */
export function ModelsTab({ experiment }: { experiment: string }): ReactNode {
  const [sort, setSort] = useState<Sort | undefined>()
  const models = useInfiniteQuery(q.loggedModels(experiment, orderOf(sort)))
  const items = useMemo(() => models.data?.pages.flatMap((p) => p.items), [models.data])
  const better = useBetter()
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const discard = useDiscard()
  const chosen = (items ?? []).filter((m) => selected.has(m.id))
  const remove = (models: readonly LoggedModel[]) => void discard({ what: models.length === 1 ? `the logged model ${models[0]!.name}` : plural(models.length, 'logged model'), ...discardModels(models.map((m) => m.id)) }).then((went) => went && setSelected(new Set()))
  useKeys([
    { keys: 'Delete', label: 'Delete the selected models', run: () => remove(chosen) },
    { keys: 'Escape', label: 'Clear the selection', run: () => setSelected(new Set()) },
  ], chosen.length > 0)
  const columns = useMemo(() => modelColumns(items ?? [], better), [items, better])
  if (models.error) return <ErrorPanel error={models.error} title="Can't read the models" onRetry={() => void models.refetch()} />
  if (!items) return <Skeleton rows={6} />
  if (items.length === 0) return <section className="panel"><Empty title="No model was logged" command='mlflow.sklearn.log_model(model, name="model")'>A model that a run logs is listed here with its metrics, and can be registered from the page of its run.</Empty></section>
  return (
    <>
      <section className={`panel ${models.isPlaceholderData ? 'stale' : ''}`}><DataTable label="Logged models" sorted columns={columns} rows={items} rowKey={(m) => m.id} rowName={(m) => `${m.name}, ${m.id}`} sort={sort} onSort={setSort} selected={selected} onSelect={setSelected} /></section>
      {models.hasNextPage && <button type="button" className="btn mt-3" disabled={models.isFetchingNextPage} onClick={() => void models.fetchNextPage()}>Show more</button>}
      {chosen.length > 0 && (
        <>
          <div className="h-12" />
          <div className="float" role="toolbar" aria-label="Selected models">
            <b>{plural(chosen.length, 'model')}</b><span className="text-3 text-sm mr-2">selected</span>
            <button type="button" className="btn s" onClick={() => remove(chosen)}><Trash2 size={12} />Delete</button>
            <button type="button" className="btn s ghost icon" aria-label="Clear the selection" onClick={() => setSelected(new Set())}><X size={14} /></button>
          </div>
        </>
      )}
    </>
  )
}

/** Logged models go to the trash one by one, and come back together. */
export const discardModels = (ids: readonly string[]) => ({
  remove: () => Promise.all(ids.map((id) => http.delete(`/api/v1/logged-models/${encodeURIComponent(id)}`))),
  restore: () => trash.restore(ids.map((id) => `logged_model:${id}`)),
})

function modelColumns(items: readonly LoggedModel[], better: Better): Column<LoggedModel>[] {
  const keys = [...new Set(items.flatMap((m) => Object.keys(m.metrics)))].filter((k) => !k.startsWith('system/'))
  const main = mainMetric(keys, better)
  const shown = [...(main ? [main] : []), ...keys.filter((k) => k !== main)].slice(0, mostMetrics)
  return [
    { id: 'name', header: 'Model', value: (m) => m.name, cell: (m) => <span className="st"><Status kind={look(m.status).kind} /><b>{m.name}</b></span> },
    ...(items.some((m) => m.type) ? [{ id: 'type', header: 'Kind', from: 640, value: (m: LoggedModel) => m.type, cell: (m: LoggedModel) => <span className="text-2 text-sm">{m.type}</span> }] : []),
    { id: 'id', header: 'Id', cell: (m) => <span className="inline-flex items-center gap-1"><span className="mono text-2" title={m.id}>{shortId(m.id, 12)}</span><CopyButton text={`models:/${m.id}`} label="Copy the model's address" /></span> },
    { id: 'run', header: 'Run', cell: (m) => (m.run_id ? <Go className="link" to={href.run(m.run_id)}>{shortId(m.run_id)}</Go> : '') },
    { id: 'created', header: 'Logged', value: (m) => m.created_at, cell: (m) => <span className="text-2 text-sm"><Time at={m.created_at} /></span> },
    ...shown.map((k): Column<LoggedModel> => { const digits = decimals(items.map((m) => m.metrics[k] ?? null)); return { id: `m:${k}`, header: k, num: true, value: (m) => m.metrics[k], cell: (m) => inColumn(m.metrics[k], digits) } }),
  ]
}
