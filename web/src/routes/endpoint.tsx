import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Play, Terminal, Undo2 } from 'lucide-react'
import { lazy, Suspense, useMemo, useState, type ReactNode } from 'react'
import { Sparkline } from '@/charts/Sparkline'
import { who } from '@/lib/actor'
import { q } from '@/lib/api/queries'
import type { Endpoint, EndpointStats, RouteChange } from '@/lib/api/types'
import { clock, count, fixed, ms, num, pct, bytes } from '@/lib/format'
import { href } from '@/lib/href'
import { useKeys } from '@/lib/keys'
import { look } from '@/lib/states'
import { parseSpan, rangeWords, spanText } from '@/lib/url'
import { Requests } from '@/features/endpoint/Requests'
import { RollbackDialog, RolloutDecision, RolloutPanel, StartRollout } from '@/features/endpoint/Rollout'
import { Traffic } from '@/features/endpoint/Traffic'
import { TryIt } from '@/features/endpoint/TryIt'
import { active, endpointLook, endpointVerdict, rollbackTo, versionColors } from '@/features/endpoint/verdict'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page, Tabs } from '@/ui/Page'
import { KeyFigures, Panel } from '@/ui/Panel'
import { Pill, Status, Tag } from '@/ui/Status'
import { Time } from '@/ui/Time'
import { TimeRange } from '@/ui/TimeRange'
import { ranges } from './search'

const TimeSeries = lazy(() => import('@/charts/TimeSeries').then((m) => ({ default: m.TimeSeries })))
const route = getRouteApi('/endpoints/$name')
const crumbs = [{ label: 'Endpoints', to: '/endpoints' as const }]
const live = ranges.filter((r) => r !== '7d')
const pace = { '15m': { buckets: 90, every: 3_000 }, '1h': { buckets: 120, every: 5_000 }, '6h': { buckets: 120, every: 15_000 }, '24h': { buckets: 144, every: 30_000 }, '7d': { buckets: 168, every: 60_000 } } as const

export function EndpointPage(): ReactNode {
  const { name } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const range = search.range ?? '1h'
  const zoom = parseSpan(search.zoom)
  const endpoint = useQuery({ ...q.endpoint(name), refetchInterval: 10_000 })
  const stats = useQuery(q.endpointStats(name, { window: range, buckets: pace[range].buckets }, zoom ? false : pace[range].every))
  const rollouts = useQuery(q.rollouts(name))
  const history = useQuery(q.endpointHistory(name))
  const [dialog, setDialog] = useState<'rollback' | 'start' | 'resume' | 'promote' | 'abort' | null>(null)
  const e = endpoint.data
  const newest = [...(rollouts.data?.items ?? [])].sort((a, b) => b.started_at.localeCompare(a.started_at))
  const rollout = newest.find(active) ?? newest[0]
  const target = e ? rollbackTo(e, history.data?.items ?? []) : undefined
  useKeys([{ keys: 't', label: 'Try the endpoint', run: () => void navigate({ search: (s) => ({ ...s, tab: 'try' }) }) }])

  if (!e) {
    return (
      <Page crumbs={crumbs} title={name}>
        {endpoint.error ? <ErrorPanel error={endpoint.error} title={`Can't read the endpoint ${name}`} onRetry={() => void endpoint.refetch()} /> : <Skeleton rows={6} />}
      </Page>
    )
  }
  const state = endpointLook(e, rollout)
  const rate = stats.data?.totals.requests_per_s ?? 0
  const tab = search.tab ?? 'live'
  const going = active(rollout)
  const phrases = endpointVerdict(e, stats.data, rollout, rangeWords[range])
  return (
    <Page crumbs={crumbs} title={name} bare
      status={<Pill kind={state.kind}>{state.word}</Pill>}
      meta={<>model <Go className="link" to={href.model(e.model)}>{e.model}</Go>, <Go className="link" to={href.monitor(name)}>monitor</Go>, since <Time at={e.created_at} />{e.created_by ? ` by ${who(e.created_by).name}` : ''}</>}
      actions={
        <>
          <button type="button" className="btn ghost" onClick={() => void navigate({ search: (s) => ({ ...s, tab: 'try' }) })}><Terminal size={14} />Try it</button>
          {rollout?.state === 'halted' && <button type="button" className="btn" onClick={() => setDialog('resume')}><Play size={14} />Resume…</button>}
          {going && <button type="button" className="btn" onClick={() => setDialog('promote')}>Promote v{rollout!.version}…</button>}
          {target && <button type="button" className="btn dgr edge" onClick={() => setDialog('rollback')}><Undo2 size={14} />Roll back to v{target}</button>}
        </>
      }
      verdict={phrases.map((p, i) => (p.strong ? <b key={i}>{p.text}</b> : <span key={i}>{p.text}</span>))}
      tabs={
        <Tabs value={tab} items={[{ value: 'live', label: 'Live' }, { value: 'versions', label: 'Versions', count: e.status.versions?.length }, { value: 'requests', label: 'Requests' }, { value: 'history', label: 'History' }, { value: 'try', label: 'Try it' }]}
          right={tab === 'live' ? <><span className="st text-3 text-sm"><span className="sw r" style={{ background: zoom ? 'var(--idle-fill)' : 'var(--ok-fill)' }} />{zoom ? 'held' : 'live'}</span><TimeRange value={zoom ? 'custom' : range} options={live} onChange={(v) => void navigate({ search: (s) => ({ ...s, range: v === '1h' ? undefined : (v as typeof range), zoom: undefined }) })} /></> : undefined} />
      }>
      {tab === 'requests'
        ? <Requests endpoint={name} only={search.only ?? 'all'} onOnly={(only) => void navigate({ search: (s) => ({ ...s, only: only === 'all' ? undefined : only }) })} open={search.prediction} onOpen={(id) => void navigate({ search: (s) => ({ ...s, prediction: id }), replace: true })} />
        : (
          <div className="body">
            {tab === 'live' && (
              <div className="grid gap-4 cols:grid-cols-[minmax(0,1fr)_372px] items-start">
                <Load query={stats} what="the figures" skeleton={<Skeleton rows={8} />}>
                  {(s) => <Live endpoint={e} stats={s} history={history.data?.items ?? []} zoom={zoom ? [zoom.from, zoom.to] : undefined} stale={stats.isPlaceholderData}
                    onZoom={(from, to) => void navigate({ search: (old) => ({ ...old, zoom: spanText({ from, to }) }) })} onReset={() => void navigate({ search: (old) => ({ ...old, zoom: undefined }) })} />}
                </Load>
                <div className="flex flex-col gap-3.5 min-w-0">
                  <Traffic endpoint={e} colors={versionColors(e, [])} rate={rate} rollout={rollout} stats={stats.data} onAdd={() => setDialog('start')} />
                  {rollout && <RolloutPanel rollout={rollout} />}
                  <Changes items={(history.data?.items ?? []).slice(0, 5)} />
                </div>
              </div>
            )}
            {tab === 'versions' && <Versions endpoint={e} />}
            {tab === 'history' && <Load query={history} what="the history">{(h) => <History items={h.items} />}</Load>}
            {tab === 'try' && <TryIt key={e.spec.generation} endpoint={e} />}
          </div>
        )}
      {target && <RollbackDialog endpoint={e} to={target} rollout={rollout} rate={rate} open={dialog === 'rollback'} onClose={() => setDialog(null)} />}
      {rollout && going && <RolloutDecision rollout={rollout} action={dialog === 'resume' || dialog === 'promote' || dialog === 'abort' ? dialog : null} onClose={() => setDialog(null)} />}
      <StartRollout endpoint={e} open={dialog === 'start'} onClose={() => setDialog(null)} />
    </Page>
  )
}

interface LiveProps {
  endpoint: Endpoint
  stats: EndpointStats
  history: readonly RouteChange[]
  zoom: [number, number] | undefined
  stale: boolean
  onZoom: (from: number, to: number) => void
  onReset: () => void
}

const total = (s: EndpointStats['series'][number], pick: 'count' | 'errors') => Object.values(s.versions).reduce((a, v) => a + v[pick], 0)

function Live({ endpoint, stats, history, zoom, stale, onZoom, onReset }: LiveProps) {
  const versions = useMemo(() => [...new Set([...endpoint.spec.targets.map((t) => t.version), ...stats.series.flatMap((s) => Object.keys(s.versions))])], [endpoint, stats])
  const colors = useMemo(() => versionColors(endpoint, versions), [endpoint, versions])
  const role = (v: string) => endpoint.spec.targets.find((t) => t.version === v)?.role
  const x = useMemo(() => stats.series.map((s) => Date.parse(s.time) / 1000), [stats])
  const shown = versions.filter((v) => stats.series.some((s) => s.versions[v]))
  const lines = (pick: (b: EndpointStats['series'][number]['versions'][string] | undefined) => number | null) =>
    shown.map((v) => ({ id: v, label: `v${v}`, color: colors.get(v) ?? 'var(--ref)', values: stats.series.map((s) => pick(s.versions[v])), width: 1.5 }))
  const worst = (pick: 'p50_ms' | 'p95_ms' | 'p99_ms') => stats.series.map((s) => Math.max(...Object.values(s.versions).map((v) => (v.count > 0 ? (v[pick] ?? 0) : 0)), 0)).map((v) => (v > 0 ? v : null))
  const events = history.map((h) => {
    const moved = h.targets.find((t) => t.role === 'canary') ?? h.targets[0]
    const back = /roll(ed)? ?back|halt/i.test(h.reason ?? '')
    return { x: Date.parse(h.at) / 1000, label: back ? 'rolled back' : moved ? `v${moved.version} to ${moved.weight} %` : 'changed', ...(back ? { tone: 'bad' as const } : {}) }
  }).reverse()
  // What the route says comes first; versions that only served earlier in this range follow.
  const rows = [...endpoint.spec.targets.map((t) => t.version), ...shown.filter((v) => !endpoint.spec.targets.some((t) => t.version === v))]
    .map((version) => ({ version, target: endpoint.spec.targets.find((t) => t.version === version), figures: stats.versions.find((o) => o.version === version) }))
  const t = stats.totals
  const bad = (t.error_rate ?? 0) > 0.005
  const common = { x, time: true, sync: `endpoint-${endpoint.name}`, xRange: zoom ?? ([Date.parse(stats.from) / 1000, Date.parse(stats.to) / 1000] as [number, number]), onZoom, onReset, empty: `No requests between ${clock(stats.from)} and ${clock(stats.to)}` }
  const silent = events.map((ev) => ({ ...ev, label: '' }))
  return (
    <div className={`flex flex-col gap-3.5 min-w-0 ${stale ? 'stale' : ''}`}>
      <KeyFigures items={[
        { label: 'Requests', value: num(t.requests_per_s), unit: '/s', spark: <Sparkline values={stats.series.map((s) => total(s, 'count'))} height={34} /> },
        { label: 'p50', value: num(t.p50_ms) || '–', unit: 'ms', spark: <Sparkline values={worst('p50_ms')} height={34} /> },
        { label: 'p95', value: num(t.p95_ms) || '–', unit: 'ms', spark: <Sparkline values={worst('p95_ms')} height={34} /> },
        { label: 'p99', value: num(t.p99_ms) || '–', unit: 'ms', spark: <Sparkline values={worst('p99_ms')} height={34} /> },
        { label: 'Errors', value: t.count > 0 ? fixed((t.error_rate ?? 0) * 100, 2) : '–', unit: '%', bad, spark: <Sparkline values={stats.series.map((s) => { const n = total(s, 'count'); return n > 0 ? total(s, 'errors') / n : null })} height={34} color={bad ? 'var(--bad-fill)' : 'var(--control)'} min={0} /> },
      ]} />
      <Panel bare title="By version" note={<span className="legend ml-1.5">{shown.map((v) => <span key={v}><i className="sw ln" style={{ background: colors.get(v) }} />v{v} {role(v) ?? 'before'}</span>)}</span>} right={<span className="text-xs">{clock(stats.from)} to {clock(stats.to)}, {stats.bucket_s < 60 ? `${num(stats.bucket_s)} s` : `${num(stats.bucket_s / 60)} min`} buckets</span>}>
        <div className="px-3.5 pb-2 grid gap-2.5">
          <Suspense fallback={<Skeleton rows={8} />}>
            <TimeSeries {...common} title="Requests" unit="per second" zero hideX height={112} events={events} series={lines((b) => (b ? b.count / stats.bucket_s : 0))} format={(v) => `${num(v)} /s`} />
            <TimeSeries {...common} title="Latency p95" unit="ms" zero hideX height={92} events={silent} series={lines((b) => (b && b.count > 0 ? b.p95_ms : null))} format={(v) => ms(v)} />
            <TimeSeries {...common} title="Errors" unit="% of requests" zero height={118} events={silent} series={lines((b) => (b && b.count > 0 ? (b.errors / b.count) * 100 : null))} format={(v) => `${fixed(v, 2)} %`} />
          </Suspense>
        </div>
      </Panel>
      <section className="panel overflow-x-auto">
        <table className="tbl" aria-label="Versions">
          <thead><tr><th>Version</th><th>State</th><th className="num">Traffic</th><th className="num">Requests</th><th className="num">p50</th><th className="num">p95</th><th className="num">p99</th><th className="num">Errors</th></tr></thead>
          <tbody>
            {rows.map(({ version, target, figures: v }) => {
              const s = endpoint.status.versions?.find((o) => o.version === version)
              const l = s ? look(s.state) : { kind: 'idle' as const, word: 'Retired' }
              const look2 = target?.role === 'champion' ? { look: 'accent' as const } : target?.role === 'shadow' ? { look: 'line' as const } : {}
              return (
                <tr key={version}>
                  <td><span className="flex items-center gap-2"><i className="sw" style={{ background: colors.get(version) }} /><Go to={href.model(endpoint.model, version)} className="strong">v{version}</Go>{target && <Tag {...look2}>{target.role}</Tag>}</span></td>
                  <td><Status kind={l.kind}>{l.word}</Status></td>
                  <td className="num">{!target ? '' : target.role === 'shadow' ? <span className="text-3">copied</span> : `${target.weight} %`}</td><td className="num">{count(v?.count ?? 0)}</td><td className="num">{ms(v?.p50_ms)}</td><td className="num">{ms(v?.p95_ms)}</td><td className="num">{ms(v?.p99_ms)}</td>
                  <td className={`num ${(v?.error_rate ?? 0) > 0.005 ? 'text-bad strong' : ''}`}>{v && v.count > 0 ? pct(v.error_rate ?? 0, 2) : ''}</td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </section>
    </div>
  )
}

function targetsText(h: RouteChange): string {
  return h.targets.map((t) => `v${t.version} ${t.role === 'shadow' ? 'shadow' : `${t.weight} %`}`).join(', ')
}

function Changes({ items }: { items: readonly RouteChange[] }) {
  if (items.length === 0) return null
  return (
    <Panel title="Route changes" right={<span>newest first</span>}>
      <div className="py-1.5">
        {items.map((h) => (
          <div key={h.generation} className="grid grid-cols-[minmax(0,1fr)_auto] gap-x-2 px-3.5 py-1 text-sm">
            <span className="min-w-0"><b>{targetsText(h)}</b>{h.reason && <span className="text-2 block">{h.reason}{h.actor ? `, ${who(h.actor).name}` : ''}</span>}</span><span className="text-3"><Time at={h.at} /></span>
          </div>
        ))}
      </div>
    </Panel>
  )
}

function History({ items }: { items: readonly RouteChange[] }) {
  return (
    <section className="panel overflow-x-auto">
      {items.length === 0 ? <Empty title="No change yet">Every change of the route is listed here: who, what and why.</Empty> : (
        <table className="tbl" aria-label="Route changes">
          <thead><tr><th className="num">Generation</th><th>When</th><th>Traffic after it</th><th>Before</th><th>By</th><th>Reason</th></tr></thead>
          <tbody>{items.map((h, i) => <tr key={h.generation}><td className="num">{h.generation}</td><td><Time at={h.at} /></td><td className="strong">{targetsText(h)}</td><td className="text-2">{items[i + 1] ? targetsText(items[i + 1]!) : ''}</td><td className="text-2">{who(h.actor).name}</td><td className="text-2 !whitespace-normal">{h.reason}</td></tr>)}</tbody>
        </table>
      )}
    </section>
  )
}

function Versions({ endpoint: e }: { endpoint: Endpoint }) {
  return (
    <section className="panel overflow-x-auto">
      <table className="tbl" aria-label="Loaded versions">
        <thead><tr><th>Version</th><th>State</th><th>Role</th><th className="num">Traffic</th><th>Runtime</th><th>Engine</th><th>Loaded</th><th className="num">Memory</th><th>Note</th></tr></thead>
        <tbody>
          {(e.status.versions ?? []).map((v) => {
            const l = look(v.state)
            return (
              <tr key={v.version}>
                <td><Go className="strong" to={href.model(e.model, v.version)}>v{v.version}</Go></td><td><Status kind={l.kind}>{l.word}</Status></td><td>{v.role ?? ''}</td><td className="num">{v.weight !== undefined ? `${v.weight} %` : ''}</td>
                <td>{v.runtime}</td><td>{v.engine}</td><td><Time at={v.loaded_at} /></td><td className="num">{bytes(v.memory_bytes)}</td><td className="!whitespace-normal">{v.error ? <span className="text-bad">{v.error}</span> : <span className="text-2">{v.notes?.join('; ')}</span>}</td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </section>
  )
}
