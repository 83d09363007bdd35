import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo, type ReactNode } from 'react'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Pipeline } from '@/lib/api/types'
import { plural } from '@/lib/format'
import { href } from '@/lib/href'
import { rank } from '@/lib/search'
import { look } from '@/lib/states'
import { DataTable, type Column } from '@/ui/DataTable'
import { Empty, Skeleton } from '@/ui/Empty'
import { FilterBox } from '@/ui/FilterBox'
import { Go, useGo } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page } from '@/ui/Page'
import { Status } from '@/ui/Status'
import { Time, Took } from '@/ui/Time'

const route = getRouteApi('/pipelines')

const columns: Column<Pipeline>[] = [
  { id: 'name', header: 'Pipeline', cell: (p) => <Go to={href.pipeline(p.name)} className="strong">{p.name}</Go>, value: (p) => p.name },
  { id: 'state', header: 'Last run', cell: (p) => (p.last_run ? <Go to={href.pipelineRun(p.name, p.last_run.id)}><Status kind={look(p.last_run.state).kind}>{look(p.last_run.state).word}</Status></Go> : <span className="text-3">never ran</span>), value: (p) => p.last_run?.state },
  { id: 'when', header: 'Started', cell: (p) => <Time at={p.last_run?.started_at} />, value: (p) => p.last_run?.started_at },
  { id: 'took', header: 'Took', num: true, cell: (p) => <Took from={p.last_run?.started_at} to={p.last_run?.ended_at} /> },
  { id: 'cron', header: 'Schedule, UTC', cell: (p) => <span className="mono text-2">{p.schedule}</span> },
  { id: 'next', header: 'Next', cell: (p) => <Time at={p.next_fire} />, value: (p) => p.next_fire },
  { id: 'description', header: 'Description', cell: (p) => <span className="text-2 inline-block max-w-[320px] clip align-bottom" title={p.description}>{p.description}</span> },
]

export function Pipelines(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const go = useGo()
  const query = useQuery({ ...q.pipelines(), refetchInterval: 10_000 })
  const items = query.data?.items
  const shown = useMemo(() => rank(search.find ?? '', items ?? [], (p) => `${p.name} ${p.description ?? ''}`, (p) => p.name), [items, search.find])
  const running = items?.filter((p) => p.last_run?.state === 'running').length ?? 0
  const failed = items?.filter((p) => p.last_run?.state === 'failed') ?? []
  return (
    <Page title="Pipelines" verdict={items && items.length > 0 ? <><b>{plural(items.length, 'pipeline')}</b>, {running === 0 ? 'none running' : `${running} running`}; {failed.length === 0 ? 'no last run failed.' : <b>the last run of {failed.map((p) => p.name).join(', ')} failed.</b>}</> : undefined}>
      <div className="flex mb-3"><FilterBox value={search.find ?? ''} placeholder="Find a pipeline" onChange={(find) => void navigate({ search: (s) => ({ ...s, find: find || undefined }), replace: true })} /></div>
      <section className="panel">
        <Load query={query} what="the pipelines" skeleton={<Skeleton rows={4} />}>
          {(d) => d.items.length === 0
            ? <Empty title="No pipeline yet" command={cli.applyPipeline('retrain')}>Steps are commands; each is a tracked run. A pipeline starts by hand, on a schedule, or by an alert.</Empty>
            : <DataTable label="Pipelines" columns={columns} rows={shown} rowKey={(p) => p.name} onOpen={(p) => go(href.pipeline(p.name))} />}
        </Load>
      </section>
    </Page>
  )
}
