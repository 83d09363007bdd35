import { useQueries, useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo, type ReactNode } from 'react'
import { Sparkline } from '@/charts/Sparkline'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Endpoint, EndpointStats, Rollout } from '@/lib/api/types'
import { ms, num, pct, plural } from '@/lib/format'
import { href } from '@/lib/href'
import { rank } from '@/lib/search'
import { look } from '@/lib/states'
import { listed } from '@/lib/verdict'
import { parseSort, sortText } from '@/lib/url'
import { active, endpointLook } from '@/features/endpoint/verdict'
import { DataTable, type Column } from '@/ui/DataTable'
import { Empty, Skeleton } from '@/ui/Empty'
import { FilterBox } from '@/ui/FilterBox'
import { Go, useGo } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page } from '@/ui/Page'
import { Status } from '@/ui/Status'
import { Time } from '@/ui/Time'

const route = getRouteApi('/endpoints')

interface Row {
  e: Endpoint
  stats: EndpointStats | undefined
  rollout: Rollout | undefined
}

const served = (e: Endpoint) => e.spec.targets.filter((t) => t.role !== 'shadow').sort((a, b) => b.weight - a.weight)

const columns: Column<Row>[] = [
  { id: 'name', header: 'Endpoint', cell: ({ e }) => <Go to={href.endpoint(e.name)} className="strong">{e.name}</Go>, value: ({ e }) => e.name },
  { id: 'state', header: 'State', cell: ({ e, rollout }) => { const l = endpointLook(e, rollout); return <Status kind={l.kind}>{l.word}</Status> }, value: ({ e, rollout }) => endpointLook(e, rollout).word },
  { id: 'model', header: 'Model', cell: ({ e }) => <Go className="link" to={href.model(e.model)}>{e.model}</Go>, value: ({ e }) => e.model },
  { id: 'serving', header: 'Serving', cell: ({ e }) => served(e).map((t, i) => <span key={t.version} className={i > 0 ? 'text-3 text-sm' : 'mono'}>{i > 0 ? ' + ' : ''}v{t.version}{t.weight < 100 ? ` ${t.weight} %` : ''}</span>) },
  { id: 'traffic', header: 'Traffic', cell: ({ e }) => <span className="bar inline-flex align-middle" style={{ width: 56 }} aria-hidden="true">{served(e).map((t, i) => <i key={t.version} style={{ width: `${t.weight}%`, background: `var(--c${i + 1})` }} />)}</span> },
  { id: 'rate', header: 'Requests/s, 1 h', num: true, cell: ({ stats }) => <><Sparkline values={stats?.series.map((s) => Object.values(s.versions).reduce((a, v) => a + v.count, 0)) ?? []} width={46} height={18} color="var(--idle-fill)" /> <span className="inline-block min-w-9">{num(stats?.totals.requests_per_s)}</span></>, value: ({ stats }) => stats?.totals.requests_per_s },
  { id: 'p95', header: 'p95', num: true, cell: ({ stats }) => ms(stats?.totals.p95_ms), value: ({ stats }) => stats?.totals.p95_ms },
  { id: 'errors', header: 'Errors', num: true, cell: ({ stats }) => <span className={(stats?.totals.error_rate ?? 0) > 0.005 ? 'text-bad strong' : ''}>{stats && stats.totals.count > 0 ? pct(stats.totals.error_rate, 2) : ''}</span>, value: ({ stats }) => stats?.totals.error_rate },
  { id: 'created', header: 'Since', cell: ({ e }) => <Time at={e.created_at} />, value: ({ e }) => e.created_at },
]

export function Endpoints(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const go = useGo()
  const query = useQuery(q.endpoints())
  const rollouts = useQuery(q.rollouts())
  const items = query.data?.items
  const stats = useQueries({ queries: (items ?? []).map((e) => q.endpointStats(e.name, { window: '1h', buckets: 30 }, 10_000)) })
  const stamp = stats.map((s) => s.dataUpdatedAt).join()
  const rows = useMemo(() => rank(search.find ?? '', (items ?? []).map((e, i): Row => ({ e, stats: stats[i]?.data, rollout: rollouts.data?.items.find((r) => r.endpoint === e.name && active(r)) })), (r) => `${r.e.name} ${r.e.model}`, (r) => r.e.name),
    // The answers are told apart by when they came.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [items, stamp, rollouts.data, search.find])
  const halted = rows.filter((r) => r.rollout?.state === 'halted' || look(r.e.status.state).kind === 'bad')
  return (
    <Page title="Endpoints" verdict={items && items.length > 0 ? (halted.length === 0 ? <><b>{items.length === 1 ? 'The endpoint answers' : `All ${items.length} endpoints answer`}</b>; {plural(rows.filter((r) => r.rollout).length, 'rollout')} running.</> : <><b>{listed(halted.map((r) => r.e.name))}</b> {halted.length === 1 ? 'needs' : 'need'} a decision.</>) : undefined}>
      <div className="flex mb-3"><FilterBox value={search.find ?? ''} placeholder="Find an endpoint" onChange={(find) => void navigate({ search: (s) => ({ ...s, find: find || undefined }), replace: true })} /></div>
      <section className="panel">
        <Load query={query} what="the endpoints" skeleton={<Skeleton rows={6} />}>
          {(d) => d.items.length === 0
            ? <Empty title="No endpoint yet" command={cli.deploy('models:/bike-demand@champion', 'bike-demand')} link={<Go className="link" to={href.models}>See the registered models</Go>}>Deploy a registered model and it is served, recorded and watched from the first request.</Empty>
            : <DataTable label="Endpoints" columns={columns} rows={rows} rowKey={(r) => r.e.name} sort={parseSort(search.sort)} onSort={(s) => void navigate({ search: (o) => ({ ...o, sort: sortText(s) }), replace: true })} onOpen={(r) => go(href.endpoint(r.e.name))} />}
        </Load>
      </section>
    </Page>
  )
}
