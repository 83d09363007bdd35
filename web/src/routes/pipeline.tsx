import { useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Play } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { runVerdict, triggerText } from '@/features/pipeline/steps'
import { http } from '@/lib/api/http'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { PipelineRun } from '@/lib/api/types'
import { plural, shortId } from '@/lib/format'
import { href } from '@/lib/href'
import { look } from '@/lib/states'
import { Code, CopyButton } from '@/ui/Code'
import { Field } from '@/ui/Controls'
import { DataTable, type Column } from '@/ui/DataTable'
import { Dialog } from '@/ui/Dialog'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox, ErrorPanel } from '@/ui/ErrorBox'
import { Go, useGo } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page } from '@/ui/Page'
import { Panel } from '@/ui/Panel'
import { Pill, Status } from '@/ui/Status'
import { Time, Took } from '@/ui/Time'

const route = getRouteApi('/pipelines/$name')

const fill: Record<string, string> = { succeeded: 'ok', running: 'info', failed: 'bad', lost: 'bad' }

const columns: Column<PipelineRun>[] = [
  { id: 'run', header: 'Run', cell: (r) => <Go to={href.pipelineRun(r.pipeline, r.id)} className="mono strong">{shortId(r.id)}</Go>, width: 140 },
  { id: 'state', header: 'State', cell: (r) => <Status kind={look(r.state).kind}>{look(r.state).word}</Status>, width: 120 },
  { id: 'steps', header: 'Steps', cell: (r) => <span className="bar inline-flex align-middle" style={{ width: 120 }} role="img" aria-label={(r.steps ?? []).map((s) => `${s.name} ${s.state}`).join(', ')}>{(r.steps ?? []).map((s) => <i key={s.name} title={`${s.name}: ${s.state}`} style={{ flex: 1, background: fill[s.state] ? `var(--${fill[s.state]}-fill)` : 'transparent', opacity: s.state === 'succeeded' ? 0.7 : 1 }} />)}</span>, width: 150 },
  { id: 'when', header: 'Started', cell: (r) => <Time at={r.started_at ?? r.created_at} />, width: 110 },
  { id: 'took', header: 'Took', num: true, cell: (r) => <Took from={r.started_at} to={r.ended_at} />, width: 110 },
  { id: 'why', header: 'Started', cell: (r) => <span className="text-2">{triggerText(r.trigger)}</span>, width: 120 },
  { id: 'error', header: 'Note', cell: (r) => <span className="text-2 inline-block max-w-[240px] clip align-bottom" title={r.error}>{r.error || (r.state === 'running' ? r.message || runVerdict(r).strong : '')}</span> },
]

export function PipelinePage(): ReactNode {
  const { name } = route.useParams()
  const go = useGo()
  const pipeline = useQuery(q.pipeline(name))
  const runs = useQuery({ ...q.pipelineRuns(name), refetchInterval: (query) => (query.state.data?.items.some((r) => r.state === 'running' || r.state === 'queued') ? 3_000 : 20_000) })
  const [start, setStart] = useState(false)
  const crumbs = [{ label: 'Pipelines', to: '/pipelines' as const }]
  const p = pipeline.data
  if (!p) return <Page crumbs={crumbs} title={name}>{pipeline.error ? <ErrorPanel error={pipeline.error} title={`Can't read the pipeline ${name}`} onRetry={() => void pipeline.refetch()} /> : <Skeleton rows={6} />}</Page>
  const last = runs.data?.items[0]
  const text = p.spec
  return (
    <Page crumbs={crumbs} title={name} status={last ? <Pill kind={look(last.state).kind}>{look(last.state).word}</Pill> : undefined}
      meta={<>{p.schedule ? <>on schedule <span className="mono">{p.schedule}</span> UTC{p.next_fire && <>, next <Time at={p.next_fire} /></>}</> : 'no schedule'}{runs.data && `, ${plural(runs.data.items.length, 'run')}`}</>}
      actions={<button type="button" className="btn pri" onClick={() => setStart(true)}><Play size={14} />Start a run…</button>}
      verdict={last ? <>Last run: <b>{runVerdict(last).strong}</b>{runVerdict(last).rest}</> : p.description}>
      <div className="grid gap-4 cols:grid-cols-[minmax(0,1fr)_372px] items-start">
        <section className="panel">
          <Load query={runs} what="the runs">
            {(d) => d.items.length === 0 ? <Empty title="It has not run yet" command={cli.runPipeline(name)}>Start it here, on a schedule, or by an alert.</Empty> : <DataTable label={`Runs of ${name}`} columns={columns} rows={d.items} rowKey={(r) => r.id} onOpen={(r) => go(href.pipelineRun(name, r.id))} />}
          </Load>
        </section>
        <Panel title="Definition" right={text ? <CopyButton text={text} /> : undefined}>
          <div className="max-h-[60vh] overflow-auto p-3.5"><pre className="log">{text}</pre></div>
        </Panel>
      </div>
      <StartDialog name={name} params={last?.params ?? Object.fromEntries(Object.entries(p.params ?? {}).map(([k, v]) => [k, v.default ?? '']))} open={start} onClose={() => setStart(false)} />
    </Page>
  )
}

/** Parameters are texts; anything else goes as JSON. */
function texts(params: object): Record<string, string> {
  return Object.fromEntries(Object.entries(params).map(([k, v]) => [k, typeof v === 'string' ? v : JSON.stringify(v)]))
}

function StartDialog({ name, params, open, onClose }: { name: string; params: Record<string, unknown>; open: boolean; onClose: () => void }) {
  const client = useQueryClient()
  const go = useGo()
  const [text, setText] = useState<string>()
  const [error, setError] = useState<Error | null>(null)
  const value = text ?? JSON.stringify(params, null, 2)
  let bad: string | undefined
  let parsed: unknown = {}
  try {
    parsed = value.trim() === '' ? {} : JSON.parse(value)
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) bad = 'Parameters are a JSON object: {"name": value}.'
  } catch (e) {
    bad = `No valid JSON: ${e instanceof Error ? e.message : String(e)}`
  }
  const submit = async () => {
    setError(null)
    try {
      const run = await http.post<PipelineRun>(`/api/v1/pipelines/${encodeURIComponent(name)}/runs`, { body: { params: texts(parsed as object) } })
      await client.invalidateQueries({ queryKey: ['pipelines'] })
      go(href.pipelineRun(name, run.id))
    } catch (e) {
      setError(e instanceof Error ? e : new Error(String(e)))
    }
  }
  const flags = bad ? {} : texts(parsed as object)
  return (
    <Dialog open={open} onClose={onClose} title={`Start ${name}`}>
      <form className="grid gap-3 mt-2" onSubmit={(e) => { e.preventDefault(); if (!bad) void submit() }}>
        <Field label="Parameters" help="Of the last run; change what differs." error={bad}>{(p) => <textarea {...p} className="inp mono" rows={Math.min(12, value.split('\n').length + 1)} spellCheck={false} value={value} onChange={(e) => setText(e.target.value)} />}</Field>
        <Code small prompt text={cli.runPipeline(name, flags)} />
        {error && <ErrorBox error={error} title="Not started" />}
        <div className="flex justify-end gap-2"><button type="button" className="btn" onClick={onClose}>Cancel</button><button type="submit" className="btn pri" disabled={bad !== undefined}>Start the run</button></div>
      </form>
    </Dialog>
  )
}
