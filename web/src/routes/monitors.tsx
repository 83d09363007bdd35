import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo, type ReactNode } from 'react'
import { Strip, StripLegend, type StripCell } from '@/charts/Strip'
import { monitorWord, windowText } from '@/features/monitor/verdict'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import { verdictKinds, type Monitor } from '@/lib/api/types'
import { day, plural } from '@/lib/format'
import { href } from '@/lib/href'
import { rank } from '@/lib/search'
import { look, stripState, worst } from '@/lib/states'
import { listed } from '@/lib/verdict'
import { DataTable, type Column } from '@/ui/DataTable'
import { Empty, Skeleton } from '@/ui/Empty'
import { FilterBox } from '@/ui/FilterBox'
import { Go, useGo } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page } from '@/ui/Page'
import { Status } from '@/ui/Status'
import { Time } from '@/ui/Time'

const route = getRouteApi('/monitors')
const names = { quality: 'Quality', drift: 'Drift', performance: 'Error', service: 'Service' } as const

function Windows({ endpoint }: { endpoint: string }) {
  const windows = useQuery(q.windows(endpoint, 30)).data?.items ?? []
  const cells: StripCell[] = [...windows].sort((a, b) => a.to.localeCompare(b.to)).map((w) => { const v = worst(Object.values(w.verdicts)); return { state: stripState(v), label: `${day(w.from)} to ${day(w.to)}: ${look(v).word}` } })
  return cells.length > 0 ? <Strip name={endpoint} cells={cells} width={180} height={14} gap={1.5} /> : <span className="text-3 text-sm">no window yet</span>
}

const columns: Column<Monitor>[] = [
  { id: 'name', header: 'Monitor of', cell: (m) => <Go to={href.monitor(m.endpoint)} className="strong">{m.endpoint}</Go>, value: (m) => m.endpoint },
  { id: 'state', header: 'State', cell: (m) => { const w = monitorWord(m); return <Status kind={look(w.verdict).kind}>{w.word}</Status> }, value: (m) => worst(Object.values(m.state)) },
  ...verdictKinds.map((kind): Column<Monitor> => ({ id: kind, header: names[kind], cell: (m) => <Status kind={look(m.state[kind]).kind} loud={false}>{look(m.state[kind]).word}</Status>, value: (m) => m.state[kind] })),
  { id: 'drifted', header: 'Drifted', num: true, cell: (m) => { const n = m.features.filter((f) => f.verdict === 'breach' || f.verdict === 'watch').length; return m.features.length > 0 ? <span className={n > 0 ? 'strong' : 'text-2'}>{n} of {m.features.length}</span> : '' }, value: (m) => m.features.filter((f) => f.verdict !== 'ok').length },
  { id: 'strip', header: 'Windows', cell: (m) => <Windows endpoint={m.endpoint} /> },
  { id: 'base', header: 'Baseline', cell: (m) => <span className="text-2">{m.baseline.kind === 'dataset' ? `${m.baseline.dataset} v${m.baseline.dataset_version}` : m.baseline.kind === 'first_n' ? (m.baseline.ready ? 'first predictions' : 'collecting') : 'none'}</span> },
  { id: 'window', header: 'Window', cell: (m) => <span className="text-2">{windowText(m)}</span> },
  { id: 'updated', header: 'Checked', cell: (m) => <Time at={m.updated_at} />, value: (m) => m.updated_at },
]

export function Monitors(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const go = useGo()
  const query = useQuery({ ...q.monitors(), refetchInterval: 20_000 })
  const items = query.data?.items
  const shown = useMemo(() => rank(search.find ?? '', items ?? [], (m) => `${m.endpoint} ${m.model ?? ''}`, (m) => m.endpoint), [items, search.find])
  const bad = (items ?? []).filter((m) => ['breach', 'watch'].includes(worst(Object.values(m.state))))
  return (
    <Page title="Monitors" verdict={items && items.length > 0 ? (bad.length === 0 ? <><b>{plural(items.length, 'monitor')}</b>, all inside their limits.</> : <><b>{listed(bad.map((m) => m.endpoint))}</b> {bad.length === 1 ? 'is' : 'are'} outside {bad.length === 1 ? 'its' : 'their'} limits; {plural(items.length - bad.length, 'other')} fine.</>) : undefined}>
      <div className="flex gap-3 items-center mb-3"><FilterBox value={search.find ?? ''} placeholder="Find a monitor" onChange={(find) => void navigate({ search: (s) => ({ ...s, find: find || undefined }), replace: true })} /><StripLegend /></div>
      <section className="panel">
        <Load query={query} what="the monitors" skeleton={<Skeleton rows={6} />}>
          {(d) => d.items.length === 0
            ? <Empty title="No monitor yet" command={cli.deploy('models:/bike-demand@champion', 'bike-demand')} link={<Go className="link" to={href.endpoints}>See the endpoints</Go>}>Each endpoint gets a monitor by itself. It compares what arrives with the data the model was trained on.</Empty>
            : <DataTable label="Monitors" columns={columns} rows={shown} rowKey={(m) => m.endpoint} onOpen={(m) => go(href.monitor(m.endpoint))} />}
        </Load>
      </section>
    </Page>
  )
}
