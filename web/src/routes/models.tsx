import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo, type ReactNode } from 'react'
import { q } from '@/lib/api/queries'
import type { Model } from '@/lib/api/types'
import { plural } from '@/lib/format'
import { href } from '@/lib/href'
import { rank } from '@/lib/search'
import { parseSort, sortText } from '@/lib/url'
import { DataTable, type Column } from '@/ui/DataTable'
import { Empty, Skeleton } from '@/ui/Empty'
import { FilterBox } from '@/ui/FilterBox'
import { Go, useGo } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page } from '@/ui/Page'
import { Tag } from '@/ui/Status'
import { Time } from '@/ui/Time'

const route = getRouteApi('/models')

export function Models(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const go = useGo()
  const query = useQuery(q.models())
  const endpoints = useQuery(q.endpoints()).data?.items
  const items = query.data?.items
  const shown = useMemo(() => rank(search.find ?? '', items ?? [], (m) => `${m.name} ${m.description ?? ''}`, (m) => m.name), [items, search.find])
  const served = new Set(endpoints?.map((e) => e.model))
  const columns = useMemo<Column<Model>[]>(() => [
    { id: 'name', header: 'Model', cell: (m) => <Go to={href.model(m.name)} className="strong inline-block clip align-bottom max-w-[min(340px,60vw)]" title={m.name}>{m.name}</Go>, value: (m) => m.name },
    { id: 'aliases', header: 'Aliases', cell: (m) => <span className="flex gap-1.5">{Object.entries(m.aliases).map(([a, v]) => <Tag key={a} {...(a === 'champion' || a === 'challenger' ? { look: 'accent' as const } : {})}>@{a} v{v}</Tag>)}</span> },
    { id: 'versions', header: 'Versions', num: true, cell: (m) => m.versions_count, value: (m) => m.versions_count },
    { id: 'served', header: 'Served on', cell: (m) => (endpoints ?? []).filter((e) => e.model === m.name).map((e, i) => <span key={e.name}>{i > 0 && ', '}<Go className="link" to={href.endpoint(e.name)}>{e.name}</Go></span>) },
    { id: 'description', header: 'Description', cell: (m) => <span className="text-2 inline-block max-w-[280px] clip align-bottom" title={m.description}>{m.description}</span> },
    { id: 'updated', header: 'Changed', cell: (m) => <Time at={m.updated_at} />, value: (m) => m.updated_at },
  ], [endpoints])
  const count = items?.filter((m) => served.has(m.name)).length ?? 0
  return (
    <Page title="Models" verdict={items && items.length > 0 ? <><b>{plural(items.length, 'model')}</b> registered, {count === items.length ? 'all' : count} of them served.</> : undefined}>
      {(items === undefined || items.length > 0) && <div className="flex mb-3"><FilterBox value={search.find ?? ''} placeholder="Find a model" onChange={(find) => void navigate({ search: (s) => ({ ...s, find: find || undefined }), replace: true })} /></div>}
      <section className="panel">
        <Load query={query} what="the models" skeleton={<Skeleton rows={6} />}>
          {(d) => d.items.length === 0
            ? <Empty title="No model yet" command='mlflow.sklearn.log_model(model, name="model", registered_model_name="bike-demand")' link={<Go className="link" to={href.experiments}>Or register one from a run</Go>}>A registered model has versions, aliases and a history of who promoted what and why.</Empty>
            : <DataTable label="Models" columns={columns} rows={shown} rowKey={(m) => m.name} sort={parseSort(search.sort)} onSort={(s) => void navigate({ search: (o) => ({ ...o, sort: sortText(s) }), replace: true })} onOpen={(m) => go(href.model(m.name))} />}
        </Load>
      </section>
    </Page>
  )
}
