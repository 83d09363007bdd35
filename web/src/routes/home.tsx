import { useQueries, useQuery } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { Sparkline } from '@/charts/Sparkline'
import { Strip, StripLegend } from '@/charts/Strip'
import { who } from '@/lib/actor'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Alert, Endpoint, EndpointStats, Event, PipelineRun, Rollout, Run } from '@/lib/api/types'
import { tell } from '@/lib/events'
import { href, pageOf } from '@/lib/href'
import { count, initials, large, ms, num, pct, plural } from '@/lib/format'
import { useKeys } from '@/lib/keys'
import { look, stripState } from '@/lib/states'
import { listed, needsTitle } from '@/lib/verdict'
import { Code } from '@/ui/Code'
import { Empty, Skeleton } from '@/ui/Empty'
import { Go, useGo } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page } from '@/ui/Page'
import { KeyFigures, Panel } from '@/ui/Panel'
import { Shape, type ShapeKind } from '@/ui/Shape'
import { Tag } from '@/ui/Status'
import { Time, Took } from '@/ui/Time'

interface Need {
  id: string
  kind: ShapeKind
  title: string
  why: string
  since: string
  to: string
  action: string
}

const severity: Record<Alert['severity'], ShapeKind> = { page: 'bad', ticket: 'warn', info: 'info' }

/** What waits for a person, the most urgent first. */
export function needs(alerts: readonly Alert[], rollouts: readonly Rollout[], failed: readonly PipelineRun[]): Need[] {
  const out: Need[] = []
  for (const r of rollouts) {
    if (r.state !== 'halted') continue
    out.push({ id: `rollout:${r.id}`, kind: 'bad', title: `${r.endpoint}: rollout of v${r.version} halted`, why: r.reason || `v${r.champion} serves the rest. Resume, promote or roll back.`, since: r.ended_at ?? r.started_at, to: href.endpoint(r.endpoint), action: 'Decide' })
  }
  for (const a of alerts) {
    if (a.state === 'resolved') continue
    const name = a.endpoint && !a.title.includes(a.endpoint) ? `${a.endpoint}: ${a.title}` : a.title
    out.push({ id: `alert:${a.id}`, kind: a.state === 'acknowledged' ? 'info' : severity[a.severity] ?? 'warn', title: name, why: a.reason ?? '', since: a.opened_at, to: a.endpoint ? href.monitor(a.endpoint, a.window_id ? { window: a.window_id } : {}) : a.subject?.startsWith('pipeline:') ? href.pipeline(a.subject.slice('pipeline:'.length)) : href.alert(a.id), action: 'Open' })
  }
  const told = new Set(alerts.filter((a) => a.state !== 'resolved').map((a) => a.subject))
  for (const p of failed) if (!told.has(`pipeline:${p.pipeline}`)) out.push({ id: `pipeline:${p.id}`, kind: 'warn', title: `${p.pipeline}: the last run failed`, why: p.error ?? '', since: p.ended_at ?? p.started_at ?? '', to: href.pipelineRun(p.pipeline, p.id), action: 'Open' })
  const order: Record<ShapeKind, number> = { bad: 0, warn: 1, info: 2, idle: 3, pause: 3, ok: 4 }
  return out.sort((a, b) => order[a.kind] - order[b.kind])
}

const day = { window: '24h', buckets: 24 }

export function Home(): ReactNode {
  const alerts = useQuery(q.alerts())
  const rollouts = useQuery(q.rollouts())
  const pipelines = useQuery(q.pipelines())
  const endpoints = useQuery(q.endpoints())
  const runs = useQuery(q.runs({ order_by: ['start_time DESC'], page_size: 12 }))
  const items = endpoints.data?.items ?? []
  const stats = useQueries({ queries: items.map((e) => q.endpointStats(e.name, day, 30_000)) })
  const lastRuns = (pipelines.data?.items ?? []).flatMap((p): PipelineRun[] => (p.last_run ? [{ ...p.last_run, pipeline: p.name }] : []))
  const going = useQueries({ queries: lastRuns.filter((r) => r.state === 'running' || r.state === 'queued').map((r) => ({ ...q.pipelineRun(r.id), refetchInterval: 3_000 })) }).flatMap((r) => (r.data ? [r.data] : []))
  const need = needs(alerts.data?.items ?? [], rollouts.data?.items ?? [], lastRuns.filter((r) => r.state === 'failed'))
  const known = alerts.data !== undefined || rollouts.data !== undefined
  const title = known ? needsTitle(need.length) : alerts.error ? 'Home' : 'Looking for what needs you'
  const fresh = endpoints.data?.items.length === 0
  const byName = new Map(items.map((e, i) => [e.name, stats[i]?.data]))
  return (
    <Page title={title} name="Home" verdict={known && endpoints.data ? <Verdict items={items} stats={byName} need={need} /> : undefined}>
      <div className="grid gap-4 cols:grid-cols-[minmax(0,1fr)_348px]">
        <div className="flex flex-col gap-4 min-w-0">
          {fresh && <StartHere runs={(runs.data?.items.length ?? 0) > 0} />}
          <NeedsYou need={need} loading={alerts.isPending && rollouts.isPending} error={alerts.error} retry={() => void alerts.refetch()} />
          {!fresh && <Endpoints query={endpoints} stats={byName} />}
          {items.length > 0 && <Figures items={items} stats={byName} />}
        </div>
        <div className="flex flex-col gap-4 min-w-0">
          <RunningNow rollouts={rollouts.data?.items ?? []} pipelines={going} runs={runs.data?.items ?? []} />
          <Panel title="Recent runs" right={<Go className="link" to={href.experiments}>All experiments</Go>}>
            <Load query={runs} what="the runs" skeleton={<Skeleton rows={4} widths={['40%', '20%']} />}>{(d) => <RecentRuns runs={d.items.slice(0, 6)} />}</Load>
          </Panel>
          <Changes />
        </div>
      </div>
    </Page>
  )
}

function Verdict({ items, stats, need }: { items: readonly Endpoint[]; stats: ReadonlyMap<string, EndpointStats | undefined>; need: readonly Need[] }) {
  if (items.length === 0) return <>No endpoint yet; the way to one is below.</>
  const troubled = new Set([...need.filter((n) => n.kind === 'bad').map((n) => n.title.split(':')[0]), ...items.filter((e) => e.status.state !== 'ready').map((e) => e.name)])
  const fine = items.filter((e) => !troubled.has(e.name))
  const total = [...stats.values()].reduce((a, s) => a + (s?.totals.count ?? 0), 0)
  const amount = large(total)
  return (
    <>
      {fine.length === items.length ? <><b>{items.length === 1 ? items[0]!.name : `All ${items.length} endpoints`}</b> {items.length === 1 ? 'answers' : 'answer'}</>
        : fine.length === 0 ? <><b>{listed(items.map((e) => e.name))}</b> {items.every((e) => e.status.state === 'ready') ? (items.length === 1 ? 'answers, and asks for your attention' : 'answer, and ask for your attention') : 'needs help'}</>
          : <><b>{fine.length} of {plural(items.length, 'endpoint')}</b> {fine.length === 1 ? 'is' : 'are'} fine; look at <b>{listed(items.filter((e) => !fine.includes(e)).map((e) => e.name))}</b></>}
      {total > 0 ? <>; <b>{amount.value} {amount.unit} predictions</b> went out in 24 hours.</> : '; no prediction went out in 24 hours.'}
    </>
  )
}

/** The way of a first model, each step ticked when it is done. */
function StartHere({ runs }: { runs: boolean }) {
  const models = useQuery(q.models()).data?.items ?? []
  const first = models.find((m) => m.aliases.champion) ?? models.find((m) => m.latest_version)
  const name = first?.name ?? 'my-model'
  const champion = first?.aliases.champion ? '@champion' : `/${first?.latest_version ?? '1'}`
  const steps: { done: boolean; title: string; text: ReactNode; command: string }[] = [
    { done: runs, title: 'Point your MLflow code here', text: 'Nothing in it changes; its runs appear by themselves.', command: cli.mlflow() },
    { done: first !== undefined, title: 'Register the model it logs', text: <>With a signature and an input example, so that inputs are checked when it serves.</>, command: `mlflow.sklearn.log_model(model, name="model", registered_model_name="${name}", input_example=X[:1])` },
    { done: false, title: 'Serve it', text: 'It answers within seconds, recorded and watched from the first request.', command: cli.deploy(`models:/${name}${champion}`, name) },
    { done: false, title: 'Say what really happened', text: 'Labels by prediction id or by your own key show how far off it is, even when they come days later.', command: `curl -s ${location.origin}/endpoints/${name}/feedback -d '{"key": "order-17", "label": 42}'` },
  ]
  const next = steps.findIndex((s) => !s.done)
  return (
    <Panel title="Start here" note="from a notebook to a watched endpoint" right={<span>or see it all on real data: <span className="mono">{cli.demo()}</span></span>}>
      {steps.map((s, i) => (
        <div key={s.title} className="grid grid-cols-[20px_minmax(0,1fr)] gap-x-3 px-3.5 py-2.5 border-b border-grid last:border-0">
          <span className="mt-1"><Shape kind={s.done ? 'ok' : i === next ? 'info' : 'idle'} size={14} /></span>
          <div className="min-w-0"><div className={s.done ? 'text-2' : 'strong'}>{s.title}</div>{!s.done && <div className="text-2 text-sm mb-1.5">{s.text}</div>}{!s.done && <Code small text={s.command} />}</div>
        </div>
      ))}
    </Panel>
  )
}

function NeedsYou({ need, loading, error, retry }: { need: readonly Need[]; loading: boolean; error: Error | null; retry: () => void }) {
  const go = useGo()
  const [at, setAt] = useState(-1)
  useKeys([
    { keys: 'j', label: 'Next thing', run: () => setAt(Math.min(need.length - 1, at + 1)) },
    { keys: 'k', label: 'Previous thing', run: () => setAt(Math.max(0, at - 1)) },
    { keys: 'Enter', label: 'Open it', run: () => need[at] && go(need[at].to) },
  ], need.length > 0)
  return (
    <Panel title="Needs you" note={need.length > 0 ? <Tag>{need.length}</Tag> : undefined} right={need.length > 0 ? <span className="not-sheet flex items-center gap-1.5"><kbd>J</kbd><kbd>K</kbd> move <kbd>Enter</kbd> open</span> : undefined}>
      {loading ? <Skeleton rows={2} /> : error && need.length === 0 ? <div className="p-3.5 text-2">The alerts can't be read: {error.message} <button type="button" className="btn s ml-2" onClick={retry}>Retry</button></div> : need.length === 0
        ? <div className="px-3.5 py-3 flex items-center gap-2 text-2"><Shape kind="ok" size={14} />No alert is open, no rollout is halted and the last run of each pipeline succeeded.</div>
        : need.map((n, i) => (
          <div key={n.id} className={`grid grid-cols-[20px_minmax(0,1fr)_auto] gap-x-3 items-center px-3.5 py-2.5 border-b border-grid last:border-0 ${i === at ? 'bg-selected' : ''}`}>
            <span className="self-start mt-1"><Shape kind={n.kind} size={14} /></span>
            <div className="min-w-0"><div className="strong">{n.title}</div>{n.why && <div className="text-2 text-sm">{n.why}</div>}<div className="text-3 text-xs">since <Time at={n.since} /></div></div>
            <Go className={`btn ${i === 0 && n.kind === 'bad' ? 'pri' : ''}`} to={n.to}>{n.action}</Go>
          </div>
        ))}
    </Panel>
  )
}

function Endpoints({ query, stats }: { query: Parameters<typeof Load<{ items: Endpoint[] }>>[0]['query']; stats: ReadonlyMap<string, EndpointStats | undefined> }) {
  const monitors = useQuery(q.monitors()).data?.items
  return (
    <Panel title="Endpoints" note="last 24 h" right={<StripLegend />}>
      <Load query={query} what="the endpoints">
        {(d) => d.items.length === 0
          ? <Empty title="No endpoint yet" command={cli.deploy('models:/bike-demand@champion', 'bike-demand')} link={<Go className="link" to={href.models}>See the registered models</Go>}>Deploy a registered model and it is served, recorded and watched from the first request.</Empty>
          : (
            <div className="overflow-x-auto">
              <table className="tbl" aria-label="Endpoints">
                <thead><tr><th>Endpoint</th><th>Serving</th><th>Traffic</th><th className="num">Requests</th><th className="num">p95</th><th className="num">Errors</th><th>Verdicts, newest right</th></tr></thead>
                <tbody>{d.items.map((e) => <EndpointRow key={e.name} endpoint={e} stats={stats.get(e.name)} watched={monitors?.some((m) => m.endpoint === e.name) ?? false} />)}</tbody>
              </table>
            </div>
          )}
      </Load>
    </Panel>
  )
}

function EndpointRow({ endpoint: e, stats, watched }: { endpoint: Endpoint; stats: EndpointStats | undefined; watched: boolean }) {
  const windows = useQuery({ ...q.windows(e.name, 24), enabled: watched }).data?.items
  const cells = [...(windows ?? [])].sort((a, b) => a.to.localeCompare(b.to)).map((w) => {
    const all = Object.values(w.verdicts)
    const verdict = all.includes('breach') ? 'breach' : all.includes('watch') ? 'watch' : all.includes('ok') ? 'ok' : 'no_data'
    return { state: stripState(verdict), label: `${new Date(w.to).toISOString().slice(0, 16).replace('T', ' ')} UTC: ${look(verdict).word}` }
  })
  const served = e.spec.targets.filter((t) => t.role !== 'shadow')
  const [main, ...others] = [...served].sort((a, b) => b.weight - a.weight)
  const rate = stats?.series.map((s) => Object.values(s.versions).reduce((a, v) => a + v.count, 0)) ?? []
  const bad = (stats?.totals.error_rate ?? 0) > 0.01
  return (
    <tr>
      <td><Go to={href.endpoint(e.name)} className="st"><Shape kind={look(e.status.state).kind} /><b>{e.name}</b></Go></td>
      <td><span className="mono">{main ? `v${main.version}` : ''}</span>{others.map((t) => <span key={t.version} className="text-3 text-sm"> + v{t.version} {t.weight} %</span>)}</td>
      <td><span className="bar inline-flex align-middle" style={{ width: 56 }} role="img" aria-label={served.map((t) => `v${t.version} ${t.weight} %`).join(', ')}>{[main, ...others].map((t, i) => t && <i key={t.version} style={{ width: `${t.weight}%`, background: `var(--c${i + 1})` }} />)}</span></td>
      <td className="num"><Sparkline values={rate} width={46} height={18} color="var(--idle-fill)" /> <span className="inline-block min-w-11">{count(stats?.totals.count)}</span></td>
      <td className="num">{ms(stats?.totals.p95_ms)}</td>
      <td className={`num ${bad ? 'text-bad strong' : ''}`}>{stats && stats.totals.count > 0 ? pct(stats.totals.error_rate, 2) : ''}</td>
      <td>{cells.length > 0 ? <Go to={href.monitor(e.name)} aria-label={`Monitor of ${e.name}`}><Strip name={e.name} cells={cells} width={142} height={14} gap={1.5} /></Go> : <span className="text-3 text-sm">no window yet</span>}</td>
    </tr>
  )
}

function Figures({ items, stats }: { items: readonly Endpoint[]; stats: ReadonlyMap<string, EndpointStats | undefined> }) {
  const all = items.map((e) => stats.get(e.name)).filter((s): s is EndpointStats => s !== undefined)
  const total = all.reduce((a, s) => a + s.totals.count, 0)
  const failed = all.reduce((a, s) => a + (s.totals.error_rate ?? 0) * s.totals.count, 0)
  const slow = items.map((e) => ({ e, p95: stats.get(e.name)?.totals.p95_ms ?? -1 })).sort((a, b) => b.p95 - a.p95)[0]
  const amount = large(total)
  return (
    <KeyFigures items={[
      { label: 'Predictions, 24 h', value: amount.value, unit: amount.unit, context: `on ${plural(items.length, 'endpoint')}` },
      { label: 'Failed', value: count(failed), unit: total > 0 ? pct(failed / total, 2) : '', context: 'of all requests', bad: total > 0 && failed / total > 0.01 },
      { label: 'Slowest p95', value: slow && slow.p95 >= 0 ? num(slow.p95) : '–', unit: slow && slow.p95 >= 0 ? 'ms' : '', context: slow && slow.p95 >= 0 ? slow.e.name : 'no requests yet' },
      { label: 'Versions loaded', value: count(items.reduce((a, e) => a + (e.status.versions?.length ?? 0), 0)), context: 'ready to serve or to roll back to' },
    ]} />
  )
}

function RunningNow({ rollouts, pipelines, runs }: { rollouts: readonly Rollout[]; pipelines: readonly PipelineRun[]; runs: readonly Run[] }) {
  const lines: { id: string; to: string; name: string; note: ReactNode; parts: { state: string; weight: number }[] }[] = []
  for (const r of rollouts) {
    if (r.state !== 'running') continue
    const step = r.steps.find((s) => s.state === 'running')
    lines.push({ id: r.id, to: href.endpoint(r.endpoint), name: `${r.endpoint} · rollout of v${r.version}`, note: step ? `at ${step.weight} %` : '', parts: r.steps.map((s) => ({ state: s.state, weight: 1 })) })
  }
  for (const p of pipelines) {
    if (p.state !== 'running' && p.state !== 'queued') continue
    const steps = p.steps ?? []
    const now = steps.find((s) => s.state === 'running')
    lines.push({ id: p.id, to: href.pipelineRun(p.pipeline, p.id), name: p.pipeline, note: p.message || (now ? now.name : p.state), parts: steps.map((s) => ({ state: s.state, weight: 1 })) })
  }
  for (const r of runs) if (r.status === 'RUNNING') lines.push({ id: r.id, to: href.run(r.id), name: r.name, note: <Took from={r.start_time} />, parts: [] })
  if (lines.length === 0) return null
  const fill: Record<string, string> = { passed: 'ok', succeeded: 'ok', running: 'info', failed: 'bad', inconclusive: 'warn' }
  return (
    <Panel title="Running now" right={lines.length}>
      {lines.slice(0, 6).map((l) => (
        <Go key={l.id} to={l.to} className="block px-3.5 py-2 border-b border-grid last:border-0 hover:bg-hover">
          <div className="flex gap-2"><b className="flex-1 clip">{l.name}</b><span className="text-3 text-xs">{l.note}</span></div>
          {l.parts.length > 0 && <div className="bar mt-1">{l.parts.map((p, i) => <i key={i} style={{ width: `${100 / l.parts.length}%`, background: fill[p.state] ? `var(--${fill[p.state]}-fill)` : 'transparent', opacity: fill[p.state] === 'ok' ? 0.7 : 1 }} />)}</div>}
        </Go>
      ))}
    </Panel>
  )
}

function RecentRuns({ runs }: { runs: readonly Run[] }) {
  if (runs.length === 0) return <Empty title="No runs yet" command={cli.mlflow()}>Point your MLflow code here and the first run appears by itself.</Empty>
  return (
    <table className="tbl" aria-label="Recent runs">
      <tbody>
        {runs.map((r) => {
          const metric = Object.entries(r.metrics).find(([, v]) => v !== null)
          return (
            <tr key={r.id}>
              <td className="max-w-[170px] clip"><Go to={href.run(r.id)} className="st"><Shape kind={look(r.status).kind} /><b className="clip">{r.name}</b></Go></td>
              <td className="num text-sm">{metric ? <><span className="text-3">{metric[0].split('/').at(-1)}</span> {num(metric[1])}</> : <span className="text-3"><Time at={r.start_time} /></span>}</td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}

function Changes() {
  const events = useQuery(q.recentEvents())
  const quiet = (e: Event) => /\.(step|inputs_logged|window)\b|run\.created|version\.loaded|model\.logged/.test(e.type)
  return (
    <Panel title="What changed" right={<Go className="link" to={href.audit()}>Audit</Go>}>
      <Load query={events} what="the events" skeleton={<Skeleton rows={5} widths={['70%', '12%']} />}>
        {(d) => {
          const shown = d.items.filter((e) => !quiet(e)).slice(0, 9)
          return shown.length === 0 ? <p className="px-3.5 py-3 text-2">Nothing has happened yet.</p> : <div className="py-1.5">{shown.map((e) => <Change key={e.id} event={e} />)}</div>
        }}
      </Load>
    </Panel>
  )
}

function Change({ event: e }: { event: Event }) {
  const { subject, what, to } = tell(e)
  const target = to ?? pageOf(e.resource.kind, e.resource.id)
  const { name, system } = who(e.actor)
  return (
    <div className="grid grid-cols-[18px_minmax(0,1fr)_auto] gap-x-2 px-3.5 py-1 text-sm items-start">
      <span className={`ava s ${system ? 'sys' : ''}`} title={e.actor}>{system ? 'M' : initials(name)}</span>
      <span className="text-2 min-w-0">{target ? <Go to={target} className="strong text-1 hover:underline">{subject}</Go> : <b className="text-1">{subject}</b>} {what}</span>
      <span className="text-3"><Time at={e.time} /></span>
    </div>
  )
}

