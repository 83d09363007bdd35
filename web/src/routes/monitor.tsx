import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Bell, ChevronRight } from 'lucide-react'
import { lazy, Suspense, useMemo, useState, type ReactNode } from 'react'
import { MiniHistogram, RefCurLegend } from '@/charts/Histogram'
import { LimitBar } from '@/charts/LimitBar'
import { Sparkline } from '@/charts/Sparkline'
import { Strip, StripLegend } from '@/charts/Strip'
import { FeatureDetail, histogramOf, testName } from '@/features/monitor/Feature'
import { checked, monitorVerdict, monitorWord, windowText } from '@/features/monitor/verdict'
import { http } from '@/lib/api/http'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import { verdictKinds, type Monitor, type MonitorWindow, type Verdict, type VerdictKind, type WindowFeature, type WindowSummary } from '@/lib/api/types'
import { count, day, fixed, num, pct } from '@/lib/format'
import { href } from '@/lib/href'
import { metricName } from '@/lib/metrics'
import { look, stripState } from '@/lib/states'
import { Confirm } from '@/ui/Dialog'
import { DataTable, type Column } from '@/ui/DataTable'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Page } from '@/ui/Page'
import { Panel } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { Pill, Status } from '@/ui/Status'
import { toast } from '@/ui/toasts'
import { useNow } from '@/ui/useNow'

const TimeSeries = lazy(() => import('@/charts/TimeSeries').then((m) => ({ default: m.TimeSeries })))
const route = getRouteApi('/monitors/$endpoint')
const crumbs = [{ label: 'Monitors', to: '/monitors' as const }]
const names: Record<VerdictKind, string> = { quality: 'Data quality', drift: 'Drift', performance: 'Performance', service: 'Service' }

/** Dates of windows are event time, which may be another year: it is then named. */
const dateOf = (iso: string) => day(iso)

export function MonitorPage(): ReactNode {
  const { endpoint } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const now = useNow()
  const monitor = useQuery({ ...q.monitor(endpoint), refetchInterval: 20_000 })
  const list = useQuery(q.windows(endpoint, search.windows ?? 60))
  const windows = useMemo(() => [...(list.data?.items ?? [])].sort((a, b) => a.to.localeCompare(b.to)), [list.data])
  const policy = useQuery({ ...q.policy(endpoint), retry: false })
  const newest = windows.at(-1)
  const chosen = windows.find((w) => w.id === search.window) ?? newest
  const window = useQuery({ ...q.window(endpoint, search.window ?? chosen?.id ?? ''), enabled: Boolean(search.window ?? chosen) })
  const [retrain, setRetrain] = useState(false)
  const m = monitor.data
  if (!m) {
    return <Page crumbs={crumbs} title={endpoint}>{monitor.error ? <ErrorPanel error={monitor.error} title={`Can't read the monitor of ${endpoint}`} onRetry={() => void monitor.refetch()} /> : <Skeleton rows={6} />}</Page>
  }
  const state = monitorWord(m)
  const stepTo = (id: string | undefined) => void navigate({ search: (s) => ({ ...s, window: id === newest?.id ? undefined : id }), replace: true })
  const meta = <>endpoint <Go className="link" to={href.endpoint(endpoint)}>{endpoint}</Go>{m.model && <>, model <Go className="link" to={href.model(m.model)}>{m.model}</Go></>}, {m.version ? `v${m.version}, ` : ''}windows of {windowText(m)}{m.updated_at ? `, ${checked(m, now)}` : ''}</>
  return (
    <Page crumbs={crumbs} title={endpoint} name={`${endpoint} monitor`} status={<Pill kind={look(state.verdict).kind}>{state.word}</Pill>} meta={meta}
      actions={<><Go className="btn ghost" to={href.alerts}><Bell size={14} />Alerts</Go>{policy.data?.pipeline && <button type="button" className="btn pri" onClick={() => setRetrain(true)}>Retrain…</button>}</>}
      verdict={monitorVerdict(m, windows, newest, dateOf, now).map((p, i) => (p.strong ? <b key={i}>{p.text}</b> : <span key={i}>{p.text}</span>))}>
      <div className="flex flex-col gap-3.5">
        <div className="grid gap-3.5 cols:grid-cols-2">
          <Panel bare title="Verdict by window" right={<StripLegend />}>
            <div className="px-3.5 pb-2">
              {windows.length === 0 ? <p className="text-2 pb-3">{list.isPending ? 'Reading the windows.' : `The first verdict comes after ${windowText(m)} of predictions.`}</p> : <Lanes windows={windows} monitor={m} chosen={chosen?.id} onChoose={stepTo} />}
            </div>
          </Panel>
          <section className="panel px-3.5 pt-2.5 pb-1"><ErrorChart windows={windows} /></section>
        </div>
        <Features monitor={m} window={window.data} chosen={chosen} windows={windows} loading={window.isPending && Boolean(chosen)} error={window.error} retry={() => void window.refetch()} stale={window.isPlaceholderData}
          open={search.feature} onOpen={(name) => void navigate({ search: (s) => ({ ...s, feature: name }), replace: true })}
          order={search.order ?? 'drift'} onOrder={(o) => void navigate({ search: (s) => ({ ...s, order: o === 'name' ? 'name' : undefined }), replace: true })} onWindow={stepTo} />
        {chosen && <WindowFacts window={chosen} full={window.data} />}
      </div>
      <Confirm open={retrain} onClose={() => setRetrain(false)} title={`Retrain ${m.model ?? endpoint}`} action="Start retraining" reason={{ label: 'Reason', placeholder: 'for the audit log' }}
        run={async (reason) => { await http.post(`/api/v1/endpoints/${encodeURIComponent(endpoint)}/retrain`, { body: { reason: reason || 'started by hand' } }); toast({ kind: 'ok', text: 'Retraining started; Home shows how it goes' }) }}>
        Runs the pipeline <Go className="link" to={href.pipeline(policy.data?.pipeline ?? '')}>{policy.data?.pipeline}</Go>. The new version has to pass the gate before it gets any traffic, and then goes out in steps. Nothing changes for callers until then.
      </Confirm>
    </Page>
  )
}

function Lanes({ windows, monitor, chosen, onChoose }: { windows: readonly WindowSummary[]; monitor: Monitor; chosen: string | undefined; onChoose: (id: string) => void }) {
  const first = windows[0]
  const last = windows.at(-1)
  const middle = windows[Math.floor(windows.length / 2)]
  const note = (kind: VerdictKind): { text: string; verdict: Verdict } => {
    const verdict = monitor.state[kind]
    if (kind === 'drift' && (verdict === 'breach' || verdict === 'watch')) return { verdict, text: `${monitor.features.filter((f) => f.verdict === 'breach' || f.verdict === 'watch').length} of ${monitor.features.length}` }
    if (kind === 'performance' && verdict === 'no_data') return { verdict, text: 'no labels' }
    return { verdict, text: look(verdict).word }
  }
  return (
    <div className="grid items-center gap-x-2.5" style={{ gridTemplateColumns: '88px minmax(0,1fr) 70px' }}>
      {verdictKinds.map((kind) => {
        const n = note(kind)
        return (
          <div key={kind} className="contents text-sm">
            <span className="text-2 h-[27px] flex items-center">{names[kind]}</span>
            <Strip name={names[kind]} cells={windows.map((w) => ({ state: stripState(w.verdicts[kind]), label: `${dateOf(w.from)} to ${dateOf(w.to)}, ${count(w.count)} predictions: ${w.reasons?.[kind] || look(w.verdicts[kind]).word}${w.id === chosen ? ' (shown below)' : ''}`, onOpen: () => onChoose(w.id) }))} />
            <span className={`text-xs text-right ${n.verdict === 'breach' ? 'text-bad strong' : n.verdict === 'watch' ? 'text-warn strong' : 'text-3'}`}>{n.text}</span>
          </div>
        )
      })}
      <span />
      <span className="flex justify-between text-xs text-3" style={{ maxWidth: windows.length * 18 }}><span>{first && dateOf(first.from)}</span>{windows.length > 8 && <span>{middle && dateOf(middle.from)}</span>}{windows.length > 2 && <span>{last && dateOf(last.to)}</span>}</span>
      <span />
    </div>
  )
}

function ErrorChart({ windows }: { windows: readonly WindowSummary[] }) {
  const x = useMemo(() => windows.map((w) => Date.parse(w.to) / 1000), [windows])
  const known = windows.filter((w) => w.performance)
  const last = known.at(-1)
  const limit = last?.performance?.threshold
  const base = last?.performance?.baseline
  const end = windows.at(-1)
  const pending = last && end && last.id !== end.id
  const changes = windows.flatMap((w, i) => (i > 0 && w.version && windows[i - 1]!.version !== w.version ? [{ x: Date.parse(w.from) / 1000, label: `v${w.version}` }] : []))
  const height = 132
  return (
    <Suspense fallback={<div style={{ height }} />}>
      <TimeSeries title="Error" big unit={last?.performance ? `${metricName(last.performance.metric)}, on labelled predictions` : 'on labelled predictions'} time x={x} height={height - 18} xLabel={(at) => dateOf(new Date(at * 1000).toISOString())}
        series={[{ id: 'real', label: 'realised', color: 'var(--text-1)', values: windows.map((w) => w.performance?.value ?? null), width: 1.8, points: known.length < 3 }]}
        limits={[...(limit ? [{ value: limit, label: `limit ${num(limit)}`, tone: 'bad' as const }] : []), ...(base ? [{ value: base, label: `reference ${num(base)}` }] : [])]}
        shade={pending ? [{ from: Date.parse(last.to) / 1000, to: Date.parse(end.to) / 1000 }] : []} events={[...changes, ...(pending ? [{ x: Date.parse(last.to) / 1000, label: 'labels end here' }] : [])]}
        empty="No labels yet. Send feedback and the error is shown by window." />
    </Suspense>
  )
}

interface FeaturesProps {
  monitor: Monitor
  window: MonitorWindow | undefined
  chosen: WindowSummary | undefined
  windows: readonly WindowSummary[]
  loading: boolean
  error: Error | null
  retry: () => void
  stale: boolean
  open: string | undefined
  onOpen: (name: string | undefined) => void
  order: 'drift' | 'name'
  onOrder: (order: 'drift' | 'name') => void
  onWindow: (id: string | undefined) => void
}

const weight: Record<Verdict, number> = { breach: 3, watch: 2, ok: 1, no_data: 0 }
const tone = (v: Verdict) => (v === 'breach' ? 'bad' : v === 'watch' ? 'warn' : v === 'ok' ? 'ok' : 'idle')

function Features({ monitor: m, window: w, chosen, windows, loading, error, retry, stale, open, onOpen, order, onOrder, onWindow }: FeaturesProps) {
  const baseline = m.baseline.kind === 'dataset' ? `${m.baseline.dataset} v${m.baseline.dataset_version}` : m.baseline.kind === 'first_n' ? `the first ${count(m.baseline.rows)} predictions` : 'nothing'
  const all: WindowFeature[] = useMemo(() => {
    const found: WindowFeature[] = w ? [...w.features, ...(w.prediction ? [{ ...w.prediction, name: w.prediction.name || 'prediction' }] : [])] : m.features.map((f) => ({ ...f }))
    return order === 'name' ? found.sort((a, b) => a.name.localeCompare(b.name)) : found.sort((a, b) => weight[b.verdict] - weight[a.verdict] || (b.statistic ?? -1) / b.threshold - (a.statistic ?? -1) / a.threshold)
  }, [w, m.features, order])
  const series = useMemo(() => new Map(m.features.map((f) => [f.name, f.series ?? []])), [m.features])
  const drifted = all.filter((f) => f.verdict === 'breach' || f.verdict === 'watch')
  // The worst one is open until another is chosen; "-" says that all are closed.
  const opened = open === '-' ? undefined : (open ?? drifted[0]?.name)
  const columns = useMemo<Column<WindowFeature>[]>(() => [
    { id: 'name', header: 'Feature', width: 210, cell: (f) => <span className="flex items-center gap-1.5 min-w-0"><ChevronRight size={12} className="text-3 flex-none" style={{ rotate: f.name === opened ? '90deg' : '0deg' }} /><span className={`clip ${weight[f.verdict] > 1 ? 'strong' : ''}`}>{f.name}</span>{f.name === w?.prediction?.name && <span className="text-3 text-xs">output</span>}</span> },
    { id: 'verdict', header: 'Verdict', width: 104, cell: (f) => <Status kind={look(f.verdict).kind}>{look(f.verdict).word}</Status> },
    { id: 'test', header: 'Test', width: 96, from: 760, cell: (f) => <span className="text-2">{testName(f.test)}</span> },
    { id: 'distance', header: 'Distance', num: true, width: 84, cell: (f) => <span className={weight[f.verdict] > 1 ? 'strong' : ''}>{fixed(f.statistic, 2)}</span> },
    { id: 'bar', header: 'Against limit', width: 124, from: 520, cell: (f) => <LimitBar value={f.statistic} limit={f.watch ?? f.threshold} tone={tone(f.verdict)} max={f.threshold * 2} /> },
    { id: 'mini', header: 'Reference / current', width: 132, from: 880, cell: (f) => { const d = histogramOf(f.reference, f.current); return d && f.name !== opened ? <MiniHistogram name={f.name} data={d} /> : '' } },
    { id: 'spark', header: 'By window', width: 112, from: 1000, cell: (f) => { const v = series.get(f.name) ?? []; return v.length > 1 && f.name !== opened ? <Sparkline values={v} width={84} limit={f.threshold} min={0} /> : '' } },
    { id: 'missing', header: 'Missing', num: true, from: 640, cell: (f) => <span className="text-2">{f.missing_share != null ? pct(f.missing_share) : ''}</span> },
    { id: 'outside', header: 'Outside', title: 'Values outside the range of the reference, or that it does not know', num: true, from: 640, cell: (f) => { const share = f.out_of_range_share ?? f.unseen_share; return <span className={(share ?? 0) > 0.01 ? 'text-warn strong' : 'text-2'}>{share != null ? pct(share) : ''}</span> } },
  ], [opened, series, w?.prediction?.name])
  const i = windows.findIndex((x) => x.id === chosen?.id)
  return (
    <Panel title="Features" note={chosen ? `${dateOf(chosen.from)} to ${dateOf(chosen.to)} against ${baseline}` : `against ${baseline}`}
      right={
        <>
          <RefCurLegend />
          {windows.length > 1 && <span className="seg s"><button type="button" disabled={i <= 0} onClick={() => onWindow(windows[i - 1]?.id)} aria-label="Earlier window">‹</button><button type="button" disabled={i < 0 || i >= windows.length - 1} onClick={() => onWindow(windows[i + 1]?.id)} aria-label="Later window">›</button></span>}
          <Segmented small label="Order" value={order} onChange={onOrder} options={[{ value: 'drift', label: 'Drifted first' }, { value: 'name', label: 'Name' }]} />
        </>
      }>
      {error ? <div className="p-3.5 text-2">This window can't be read: {error.message} <button type="button" className="btn s ml-2" onClick={retry}>Retry</button></div>
        : loading ? <Skeleton rows={6} />
          : all.length === 0 ? <Empty title="No feature is compared yet" command={cli.predictions(m.endpoint)}>Each feature is compared with {baseline} as soon as a window of {windowText(m)} is complete.</Empty>
            : <div className={stale ? 'stale' : ''}><DataTable dense fixed label="Features" columns={columns} rows={all} rowKey={(f) => f.name} onOpen={(f) => onOpen(f.name === opened ? '-' : f.name)} opened={new Set(opened ? [opened] : [])}
              detail={(f) => <FeatureDetail endpoint={m.endpoint} feature={f} baseline={m.baseline.kind === 'dataset' ? 'training' : 'reference'} dateOf={dateOf} />} /></div>}
    </Panel>
  )
}

function WindowFacts({ window: w, full }: { window: WindowSummary; full: MonitorWindow | undefined }) {
  const p = w.performance
  const facts: [string, string][] = [
    ['Predictions', count(w.count)], ['Version', w.version ? `v${w.version}` : ''], ['Failed', count(w.errors ?? 0)], ['Latency p95', w.latency?.p95 != null ? `${num(w.latency.p95)} ms` : ''], ['Labelled', p ? `${count(p.labelled)}${p.labelled_percent != null ? `, ${num(p.labelled_percent)} %` : ''}` : ''],
    [p ? metricName(p.metric) : 'Error', p?.value != null ? num(p.value) : ''], ['RMSE', p?.rmse != null ? num(p.rmse) : ''], ['Bias', p?.bias != null ? num(p.bias) : ''], ['Features', full ? count(full.features.length) : ''],
  ]
  return (
    <section className="panel flex flex-wrap gap-x-8 gap-y-1 px-3.5 py-2.5 text-sm">
      <b>Window {dateOf(w.from)} to {dateOf(w.to)}</b>
      {facts.filter(([, v]) => v !== '').map(([k, v]) => <span key={k}><span className="text-3">{k}</span> {v}</span>)}
      {Object.entries(w.reasons ?? {}).filter(([k, v]) => v && w.verdicts[k as VerdictKind] !== 'ok').map(([k, v]) => <span key={k} className="text-2 basis-full"><span className="text-3">{names[k as VerdictKind] ?? k}:</span> {v}</span>)}
    </section>
  )
}
