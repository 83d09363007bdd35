import { useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { RotateCcw, Square } from 'lucide-react'
import { lazy, Suspense, useMemo, useState, type ReactNode } from 'react'
import { StepLog } from '@/features/pipeline/Log'
import { runVerdict, stepDetail, stepGraph, triggerText } from '@/features/pipeline/steps'
import { http } from '@/lib/api/http'
import { q } from '@/lib/api/queries'
import type { PipelineRun, PipelineStep } from '@/lib/api/types'
import { bytes, clock, day, duration, millis, shortId } from '@/lib/format'
import { href } from '@/lib/href'
import { useKeys } from '@/lib/keys'
import { look } from '@/lib/states'
import { Confirm } from '@/ui/Dialog'
import { Skeleton } from '@/ui/Empty'
import { Id } from '@/ui/Code'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { JsonView } from '@/ui/JsonView'
import { Page } from '@/ui/Page'
import { KeyValues } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { Shape } from '@/ui/Shape'
import { Pill } from '@/ui/Status'
import { Time, Took } from '@/ui/Time'
import { toast } from '@/ui/toasts'
import { useNow } from '@/ui/useNow'

const Dag = lazy(() => import('@/charts/Dag'))
const route = getRouteApi('/pipelines/$name/runs/$id')

export function PipelineRunPage(): ReactNode {
  const { name, id } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const client = useQueryClient()
  const now = useNow()
  const query = useQuery({ ...q.pipelineRun(id), refetchInterval: (x) => (x.state.data && ['running', 'queued'].includes(x.state.data.state) ? 2_000 : false) })
  const [shape, setShape] = useState<'graph' | 'time'>('graph')
  const [ask, setAsk] = useState<'cancel' | 'retry' | null>(null)
  const run = query.data
  const graph = useMemo(() => (run ? stepGraph(run, now) : undefined), [run, now])
  const steps = run?.steps ?? []
  const step = steps.find((s) => s.name === search.step) ?? steps.find((s) => s.state === 'failed') ?? steps.find((s) => s.state === 'running') ?? steps.findLast((s) => s.started_at) ?? steps[0]
  const choose = (s: string | undefined) => s && void navigate({ search: (o) => ({ ...o, step: s }), replace: true })
  const move = (by: number) => choose(steps[steps.findIndex((s) => s.name === step?.name) + by]?.name)
  useKeys([{ keys: 'j', label: 'Next step', run: () => move(1) }, { keys: 'k', label: 'Previous step', run: () => move(-1) }])
  const crumbs = [{ label: 'Pipelines', to: '/pipelines' as const }, { label: name, to: '/pipelines/$name' as const, params: { name } }]
  if (!run || !graph) return <Page crumbs={crumbs} title={shortId(id)}>{query.error ? <ErrorPanel error={query.error} title="Can't read the pipeline run" onRetry={() => void query.refetch()} /> : <Skeleton rows={6} />}</Page>
  const state = look(run.state)
  const verdict = runVerdict(run)
  const going = run.state === 'running' || run.state === 'queued'
  const path = `/api/v1/pipeline-runs/${encodeURIComponent(id)}`
  const rank = new Map(steps.map((s, i) => [s.name, i]))
  const deep = Math.max(1, ...levels(steps))
  return (
    <Page crumbs={crumbs} title={`Run of ${run.started_at || run.created_at ? `${day(run.started_at ?? run.created_at!)}, ${clock(run.started_at ?? run.created_at!)}` : shortId(id)}`} name={`${name} run`} fill status={<Pill kind={state.kind}>{state.word}</Pill>}
      meta={<>started <Time at={run.started_at ?? run.created_at} /> {triggerText(run.trigger)}{run.trigger?.kind === 'alert' && run.trigger.ref && <> (<Go className="link" to={href.alert(run.trigger.ref)}>see it</Go>)</>}, {going ? 'for' : 'took'} <Took from={run.started_at} to={run.ended_at} />, <Id id={id} /></>}
      actions={<>{going ? <button type="button" className="btn dgr" onClick={() => setAsk('cancel')}><Square size={14} />Cancel…</button> : <button type="button" className="btn" onClick={() => setAsk('retry')}><RotateCcw size={14} />{run.state === 'failed' ? `Retry from ${steps.find((s) => s.state === 'failed')?.name ?? 'start'}…` : 'Run again…'}</button>}</>}
      verdict={<><b>{verdict.strong}</b>{verdict.rest}{going && run.message ? ` ${run.message}.` : ''}</>}>
      <div className="grid gap-3.5 flex-1 min-h-0" style={{ gridTemplateRows: `${shape === 'graph' ? Math.min(330, 128 + widest(steps) * 64) : Math.min(330, 56 + steps.length * 30)}px minmax(220px, 1fr)` }}>
        <section className="panel flex flex-col">
          <div className="ph"><h2>Steps</h2><span className="text-3 text-sm">{steps.filter((s) => s.state === 'succeeded').length} of {steps.length} done</span><div className="r"><span className="not-sheet flex gap-1.5"><kbd>J</kbd><kbd>K</kbd> step</span><Segmented small label="View" value={shape} onChange={setShape} options={[{ value: 'graph', label: 'Graph' }, { value: 'time', label: 'Timeline' }]} /></div></div>
          <div className="flex-1 min-h-0 overflow-auto">{shape === 'graph' ? <Suspense fallback={<Skeleton />}><Dag key={deep} name={`Steps of ${name}`} nodes={graph.nodes} edges={graph.edges} selected={step?.name} onSelect={choose} /></Suspense> : <Gantt run={run} now={now} selected={step?.name} onSelect={choose} />}</div>
        </section>
        {step && (
          <section className="panel flex flex-col min-h-0">
            <div className="ph"><Shape kind={look(step.state).kind} /><h2>{step.name}</h2><span className="text-3 text-sm">{stepDetail(step, now)}</span><div className="r">{step.run_id && <Go className="btn s" to={href.run(step.run_id)}>Open its run</Go>}</div></div>
            <div className="grid flex-1 min-h-0 cols:grid-cols-[minmax(0,1fr)_300px]">
              <StepLog key={step.name + (step.attempt ?? 1)} run={id} step={step.name} live={step.state === 'running' || (step.state === 'waiting' && going)} />
              <div className="border-l border-border overflow-auto p-3.5 text-sm grid gap-3 content-start">
                <Facts step={step} />
                {Object.keys(run.params ?? {}).length > 0 && <div><div className="sec">Parameters</div><JsonView value={run.params} depth={1} /></div>}
                {Object.keys(run.outputs ?? {}).length > 0 && <div><div className="sec">Outputs of the run</div><JsonView value={run.outputs} depth={1} /></div>}
              </div>
            </div>
          </section>
        )}
      </div>
      <Confirm open={ask === 'cancel'} onClose={() => setAsk(null)} danger title="Cancel this run" action="Cancel the run" run={async () => { await http.post(`${path}/cancel`); await client.invalidateQueries({ queryKey: ['pipeline-runs'] }) }}>Running steps are stopped; what they logged stays. It can be retried from the step it reached.</Confirm>
      <Confirm open={ask === 'retry'} onClose={() => setAsk(null)} title={run.state === 'failed' ? 'Retry the failed step' : `Run again from ${step?.name}`} action={run.state === 'failed' ? 'Retry' : 'Run again'}
        run={async () => {
          const from = run.state === 'failed' ? steps.find((s) => s.state === 'failed' || s.state === 'lost')?.name : [...steps].sort((a, b) => rank.get(a.name)! - rank.get(b.name)!)[0]?.name
          const next = await http.post<PipelineRun | undefined>(`${path}/retry`, { body: from ? { from_step: from } : {} })
          await client.invalidateQueries({ queryKey: ['pipeline-runs'] })
          toast({ kind: 'ok', text: 'Started again' })
          if (next?.id && next.id !== id) void navigate({ to: '/pipelines/$name/runs/$id', params: { name, id: next.id }, search: {} })
        }}>Steps that succeeded before it keep their results; the step and those after it run again.</Confirm>
    </Page>
  )
}

/** The depth of each step below the first ones. */
function levels(steps: readonly PipelineStep[]): number[] {
  const depth = new Map<string, number>()
  const of = (name: string, seen: readonly string[]): number => {
    if (seen.includes(name)) return 0
    const known = depth.get(name)
    if (known !== undefined) return known
    const needs = steps.find((s) => s.name === name)?.needs ?? []
    const d = needs.length === 0 ? 0 : 1 + Math.max(...needs.map((n) => of(n, [...seen, name])))
    depth.set(name, d)
    return d
  }
  return steps.map((s) => of(s.name, []))
}

function widest(steps: readonly PipelineStep[]): number {
  const count = new Map<number, number>()
  for (const d of levels(steps)) count.set(d, (count.get(d) ?? 0) + 1)
  return Math.max(1, ...count.values())
}

function Facts({ step: s }: { step: PipelineStep }) {
  return <KeyValues items={[
    ['State', look(s.state).word], ['Attempt', (s.attempt ?? 1) > 1 ? String(s.attempt) : ''], ['Error', s.error ? <span key="e" className="text-bad">{s.error}</span> : ''], ['Exit code', s.ended_at && s.exit_code !== null && s.exit_code !== undefined ? String(s.exit_code) : ''],
    ['Started', s.started_at ? <Time key="s" at={s.started_at} /> : ''], ['Took', s.started_at ? <Took key="t" from={s.started_at} to={s.ended_at} /> : ''], ['Needs', s.needs?.join(', ')], ['Peak memory', bytes(s.max_rss_bytes)], ['Processor time', s.cpu_s ? duration(s.cpu_s * 1000) : ''],
    ['Command', s.script || s.command ? <span key="c" className="mono">{s.script || s.command?.join(' ')}</span> : ''],
  ]} />
}

function Gantt({ run, now, selected, onSelect }: { run: PipelineRun; now: number; selected: string | undefined; onSelect: (step: string) => void }) {
  const begin = millis(run.started_at ?? run.created_at ?? now)
  const end = run.ended_at ? millis(run.ended_at) : now
  const total = Math.max(1000, end - begin)
  const tone: Record<string, string> = { succeeded: 'ok', running: 'info', failed: 'bad', lost: 'bad' }
  return (
    <div className="py-1.5">
      {(run.steps ?? []).map((s) => {
        const from = s.started_at ? millis(s.started_at) - begin : 0
        const to = s.started_at ? (s.ended_at ? millis(s.ended_at) : now) - begin : 0
        return (
          <button key={s.name} type="button" onClick={() => onSelect(s.name)} aria-pressed={s.name === selected} className={`grid grid-cols-[180px_minmax(0,1fr)_90px] items-center gap-3 w-full h-[30px] px-3.5 text-left text-sm hover:bg-hover ${s.name === selected ? 'bg-selected' : ''}`}>
            <span className="st"><Shape kind={look(s.state).kind} /><span className="clip">{s.name}</span></span>
            <span className="relative h-3 rounded-[3px] bg-idle-soft">{s.started_at && <i className="absolute h-3 rounded-[3px]" style={{ left: `${(from / total) * 100}%`, width: `max(2px, ${((to - from) / total) * 100}%)`, background: `var(--${tone[s.state] ?? 'idle'}-fill)` }} />}</span>
            <span className="text-3 text-right">{s.started_at ? duration(to - from) : ''}</span>
          </button>
        )
      })}
    </div>
  )
}
