import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo, type ReactNode } from 'react'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Experiment } from '@/lib/api/types'
import { count, plural } from '@/lib/format'
import { href } from '@/lib/href'
import { rank } from '@/lib/search'
import { parseSort, sortText } from '@/lib/url'
import { DataTable, type Column } from '@/ui/DataTable'
import { Empty, Skeleton } from '@/ui/Empty'
import { FilterBox } from '@/ui/FilterBox'
import { Go, useGo } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page } from '@/ui/Page'
import { Status } from '@/ui/Status'
import { Time } from '@/ui/Time'

const route = getRouteApi('/experiments')

const columns: Column<Experiment>[] = [
  { id: 'name', header: 'Experiment', cell: (e) => <Go to={href.experiment(e.id)} className="strong inline-block clip align-bottom max-w-[min(420px,50vw)]" title={e.name}>{e.name}</Go>, value: (e) => e.name },
  { id: 'runs', header: 'Runs', num: true, cell: (e) => count(e.runs_count), value: (e) => e.runs_count, width: 100 },
  { id: 'running', header: 'Now', cell: (e) => (e.runs_running ? <Status kind="info">{e.runs_running} running</Status> : ''), value: (e) => e.runs_running, width: 130 },
  { id: 'last', header: 'Last run', cell: (e) => e.last_run_at && <Time at={e.last_run_at} />, value: (e) => e.last_run_at, width: 140 },
  { id: 'created', header: 'Created', cell: (e) => <Time at={e.created_at} />, value: (e) => e.created_at, width: 140, from: 640 },
  { id: 'id', header: 'Id', cell: (e) => <span className="mono text-3">{e.id}</span>, value: (e) => e.id, width: 170, from: 560 },
]

/** Shown where there is more than the default workspace. */
const workspace: Column<Experiment> = { id: 'workspace', header: 'Workspace', cell: (e) => <span className="text-2">{e.workspace}</span>, value: (e) => e.workspace, width: 150 }

export function Experiments(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const go = useGo()
  const query = useQuery(q.experiments())
  const items = query.data?.items
  const apart = items?.some((e) => e.workspace !== undefined && e.workspace !== 'default') ?? false
  const shown = useMemo(() => rank(search.find ?? '', items ?? [], (e) => `${e.name} ${e.id} ${apart ? e.workspace : ''}`, (e) => e.name), [items, search.find, apart])
  const runs = items?.reduce((a, e) => a + (e.runs_count ?? 0), 0)
  return (
    <Page title="Experiments" verdict={items && items.length > 0 ? <><b>{plural(items.length, 'experiment')}</b>{runs ? ` with ${plural(runs, 'run')}` : ''}. Each gathers the runs of one question, so that they can be compared.</> : undefined}>
      <div className="flex gap-2 mb-3"><FilterBox value={search.find ?? ''} placeholder="Find an experiment" onChange={(find) => void navigate({ search: (s) => ({ ...s, find: find || undefined }), replace: true })} /></div>
      <section className="panel">
        <Load query={query} what="the experiments" skeleton={<Skeleton rows={6} />}>
          {(d) => d.items.length === 0
            ? <Empty title="No experiment yet" command={cli.mlflow()}>Point your MLflow code here; <span className="mono">mlflow.set_experiment("name")</span> makes the first one.</Empty>
            : <DataTable label="Experiments" columns={apart ? [columns[0]!, workspace, ...columns.slice(1)] : columns} rows={shown} rowKey={(e) => e.id} sort={parseSort(search.sort)} onSort={(s) => void navigate({ search: (o) => ({ ...o, sort: sortText(s) }), replace: true })} onOpen={(e) => go(href.experiment(e.id))} />}
        </Load>
      </section>
    </Page>
  )
}
