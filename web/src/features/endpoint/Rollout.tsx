import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Undo2 } from 'lucide-react'
import { useState } from 'react'
import { http } from '@/lib/api/http'
import { q } from '@/lib/api/queries'
import type { Endpoint, Rollout, RolloutCheck, RolloutStep } from '@/lib/api/types'
import { who } from '@/lib/actor'
import { cli } from '@/lib/cli'
import { words } from '@/lib/events'
import { clock, count, day, duration, millis, ms, num, pct } from '@/lib/format'
import { look } from '@/lib/states'
import { Code } from '@/ui/Code'
import { Field } from '@/ui/Controls'
import { BeforeAfter, Confirm, Dialog } from '@/ui/Dialog'
import { ErrorBox } from '@/ui/ErrorBox'
import { Note, Panel } from '@/ui/Panel'
import { Shape, type ShapeKind } from '@/ui/Shape'
import { Pill } from '@/ui/Status'
import { toast } from '@/ui/toasts'

const marks: Record<RolloutStep['state'], ShapeKind> = { waiting: 'idle', running: 'info', passed: 'ok', failed: 'bad', inconclusive: 'warn' }
const checkMarks: Record<RolloutCheck['verdict'], ShapeKind> = { ok: 'ok', fail: 'bad', inconclusive: 'idle', not_enough_data: 'idle' }
const checkNames: Record<string, string> = { error_rate: 'Errors', latency_p95: 'Latency p95', labelled_error: 'Labelled error' }

/** The steps of a rollout with what each was judged on. */
export function RolloutPanel({ rollout: r }: { rollout: Rollout }) {
  const going = r.state === 'running' || r.state === 'halted'
  const state = look(r.state)
  return (
    <Panel title={`Rollout of v${r.version}`} right={<>{r.started_by && `by ${who(r.started_by).name}`}{!going && <Pill kind={state.kind}>{state.word}</Pill>}</>}>
      <div className="px-3.5 pt-1 pb-2">
        {r.steps.map((s, i) => <Step key={i} step={s} />)}
        {going
          ? <div className="mt-2"><Note tone="bad" icon={<Undo2 size={14} />}><b>Rolling back takes under 1 s.</b> v{r.champion} stays loaded until the rollout ends; the requests logged so far are kept as evidence.</Note></div>
          : r.reason && <p className="text-sm text-2 mt-1">{r.reason}</p>}
      </div>
    </Panel>
  )
}

function Step({ step: s }: { step: RolloutStep }) {
  const quiet = s.state === 'waiting'
  const took = s.started_at && s.ended_at ? duration(millis(s.ended_at) - millis(s.started_at)) : ''
  const head = { waiting: 'Waits', running: 'Judging now', passed: `Passed${took ? ` after ${took}` : ''}`, failed: `Failed${took ? ` after ${took}` : ''}`, inconclusive: 'Not enough data' }[s.state]
  return (
    <div className="step">
      <Shape kind={marks[s.state]} size={14} />
      <b className={quiet ? 'text-3' : ''}>{s.weight} %</b>
      <div className="min-w-0">
        <div className={s.state === 'failed' ? 'text-bad strong' : quiet ? 'text-3' : 'strong'}>{head}{s.samples ? <span className="text-3 font-normal"> · {count(s.samples)} rows{s.labelled ? `, ${count(s.labelled)} labelled` : ''}</span> : null}</div>
        {(s.checks ?? []).map((c) => <Check key={c.name} check={c} />)}
      </div>
      <span className="text-3" title={s.started_at}>{s.started_at ? when(s.started_at) : ''}</span>
    </div>
  )
}

function Check({ check: c }: { check: RolloutCheck }) {
  const show = (v: number) => (c.name === 'error_rate' ? pct(v, 2) : c.name === 'latency_p95' ? ms(v) : num(v))
  const judged = c.verdict === 'ok' || c.verdict === 'fail'
  return (
    <div className={`flex gap-1.5 ${c.verdict === 'fail' ? 'text-bad' : 'text-2'}`}>
      <span className="mt-[3px]"><Shape kind={checkMarks[c.verdict]} size={11} /></span>
      <span className="min-w-0">{checkNames[c.name] ?? words(c.name)}{(judged || c.measured > 0) && <> <b>{show(c.measured)}</b></>}<span className="text-3">{c.required > 0 && ` limit ${show(c.required)}`}{c.baseline !== undefined && judged ? `, champion ${show(c.baseline)}` : ''}</span>{c.note && <span className="block text-3">{c.note}</span>}</span>
    </div>
  )
}

function when(at: string): string {
  return Date.now() - millis(at) < 20 * 3_600_000 ? clock(at) : day(at)
}

interface RollbackProps {
  endpoint: Endpoint
  to: string
  rollout: Rollout | undefined
  rate: number
  open: boolean
  onClose: () => void
}

/** One click and this: what moves, how fast, what it ends. */
export function RollbackDialog({ endpoint, to, rollout, rate, open, onClose }: RollbackProps) {
  const client = useQueryClient()
  const moving = endpoint.spec.targets.filter((t) => t.role !== 'shadow' && t.version !== to)
  const share = moving.reduce((a, t) => a + t.weight, 0) / 100
  const running = rollout?.state === 'running' || rollout?.state === 'halted'
  const before = endpoint.spec.targets.find((t) => t.version === to)?.weight ?? 0
  return (
    <Confirm open={open} onClose={onClose} danger title={`Roll back ${endpoint.name} to v${to}`} action={`Roll back to v${to}`} reason={{ label: 'Reason', placeholder: 'for the audit log' }}
      run={async (reason) => {
        await http.post(`/api/v1/endpoints/${encodeURIComponent(endpoint.name)}/rollback`, { body: { reason: reason || 'rolled back by hand' } })
        await client.invalidateQueries()
        toast({ kind: 'ok', text: `${endpoint.name} serves v${to}` })
      }}>
      <BeforeAfter rows={[{ name: `v${to}`, before: `${before} %`, after: '100 %' }, ...moving.map((t) => ({ name: `v${t.version} ${t.role}`, before: `${t.weight} %`, after: '0 %' }))]} />
      {rate > 0 ? `About ${Math.round(rate * share)} requests/s move within 1 s. ` : 'Requests move within 1 s. '}
      {running ? `The rollout of v${rollout!.version} ends; starting it again begins at its first step.` : 'Deploying the other version again undoes it.'}
    </Confirm>
  )
}

/** Resume, promote or abort: one confirm each. */
export function RolloutDecision({ rollout, action, onClose }: { rollout: Rollout; action: 'resume' | 'promote' | 'abort' | null; onClose: () => void }) {
  const client = useQueryClient()
  if (!action) return null
  const title = { resume: `Resume the rollout of v${rollout.version}`, promote: `Promote v${rollout.version} to all traffic`, abort: `Abort the rollout of v${rollout.version}` }[action]
  return (
    <Confirm open onClose={onClose} title={title} action={action === 'resume' ? 'Resume' : action === 'promote' ? `Promote v${rollout.version}` : 'Abort rollout'} danger={action === 'abort'} reason={{ label: 'Reason', placeholder: 'for the audit log' }}
      run={async (reason) => {
        await http.post(`/api/v1/rollouts/${encodeURIComponent(rollout.id)}/${action}`, { body: { reason: reason || 'decided by hand' } })
        await client.invalidateQueries()
        toast({ kind: 'ok', text: { resume: `The rollout of v${rollout.version} goes on`, promote: `v${rollout.version} takes all traffic`, abort: `The rollout of v${rollout.version} ended` }[action] })
      }}>
      {action === 'resume' && 'The step that stopped is judged again on new requests. Its checks stay the same, so the same fault halts it again.'}
      {action === 'promote' && `v${rollout.version} takes 100 % without the remaining steps being judged. v${rollout.champion} stays loaded, so a rollback takes under 1 s.`}
      {action === 'abort' && `All traffic goes back to v${rollout.champion}.`}
    </Confirm>
  )
}

/** Starts a canary: which version, in which steps. */
export function StartRollout({ endpoint, open, onClose }: { endpoint: Endpoint; open: boolean; onClose: () => void }) {
  const client = useQueryClient()
  const versions = useQuery({ ...q.versions(endpoint.model), enabled: open })
  const serving = new Set(endpoint.spec.targets.map((t) => t.version))
  const choices = (versions.data?.items ?? []).filter((v) => v.status === 'READY' && !serving.has(v.version))
  const [version, setVersion] = useState('')
  const [steps, setSteps] = useState('10, 50, 100')
  const [samples, setSamples] = useState('200')
  const [limits, setLimits] = useState({ errors: '1', latency: '2', error: '5' })
  const chosen = version || choices[0]?.version || ''
  const parsed = steps.split(/[\s,]+/).filter(Boolean).map(Number)
  const stepsError = parsed.length === 0 || parsed.some((s, i) => !Number.isInteger(s) || s < 1 || s > 100 || (i > 0 && s <= parsed[i - 1]!)) ? 'Whole percentages that rise, such as 10, 50, 100.' : parsed.at(-1) !== 100 ? 'The last step is 100 %.' : undefined
  const samplesError = /^\d{1,7}$/.test(samples) && Number(samples) > 0 ? undefined : 'A number of requests, at least 1.'
  const limitsError = Object.values(limits).every((v) => /^\d+(\.\d+)?$/.test(v.trim())) && Number(limits.latency) >= 1 ? undefined : 'Numbers; the latency at least 1.'
  const start = useMutation({
    mutationFn: () => http.post('/api/v1/rollouts', { body: { endpoint: endpoint.name, version: chosen, steps: parsed, min_samples: Number(samples), checks: { max_error_rate: Number(limits.errors) / 100, max_latency_ratio: Number(limits.latency), max_metric_increase: Number(limits.error) / 100 } } }),
    onSuccess: async () => {
      await client.invalidateQueries()
      toast({ kind: 'ok', text: `v${chosen} starts at ${parsed[0]} %` })
      onClose()
    },
  })
  return (
    <Dialog open={open} onClose={onClose} title={`Try a version on ${endpoint.name}`}>
      <form className="grid gap-3 mt-2" onSubmit={(e) => { e.preventDefault(); if (!stepsError && !samplesError && !limitsError && chosen) start.mutate() }}>
        <p className="text-2">It takes traffic in steps. Each step is judged on errors, latency and labelled error; a step that fails rolls back by itself.</p>
        {versions.data && choices.length === 0
          ? <Note>{endpoint.model} has no other version that is ready. Register one, then come back.</Note>
          : (
            <Field label="Version" help={`Of ${endpoint.model}, newest first.`}>
              {(p) => <select {...p} className="inp" value={chosen} onChange={(e) => setVersion(e.target.value)}>{choices.map((v) => <option key={v.version} value={v.version}>v{v.version}{v.aliases.length > 0 ? ` @${v.aliases.join(' @')}` : ''}{v.description ? `: ${v.description.slice(0, 60)}` : ''}</option>)}</select>}
            </Field>
          )}
        <Field label="Steps" help="Percent of requests at each step." error={stepsError}>{(p) => <input {...p} className="inp" value={steps} onChange={(e) => setSteps(e.target.value)} />}</Field>
        <Field label="Requests to judge a step" help="Fewer are not enough data, which is a verdict of its own." error={samplesError}>{(p) => <input {...p} className="inp" inputMode="numeric" value={samples} onChange={(e) => setSamples(e.target.value)} />}</Field>
        <fieldset className="grid grid-cols-3 gap-2"><legend className="strong mb-1">Limits that fail a step</legend>
          {([['errors', 'Failed requests, %'], ['latency', 'p95, times champion'], ['error', 'Labelled error, +%']] as const).map(([k, label]) => <label key={k} className="text-sm text-2">{label}<input className="inp mt-1" inputMode="decimal" value={limits[k]} onChange={(e) => setLimits({ ...limits, [k]: e.target.value })} /></label>)}
          {limitsError && <span className="text-bad text-sm col-span-3">{limitsError}</span>}
        </fieldset>
        <Code small prompt text={cli.rollout(endpoint.name, chosen || 'VERSION', { steps: parsed.join(','), minSamples: samples, maxErrorRate: String(Number(limits.errors) / 100), maxLatencyRatio: limits.latency, maxMetricIncrease: String(Number(limits.error) / 100) })} />
        {start.error && <ErrorBox error={start.error} title="Not started" />}
        <div className="flex justify-end gap-2">
          <button type="button" className="btn" onClick={onClose}>Cancel</button>
          <button type="submit" className="btn pri" disabled={!chosen || Boolean(stepsError) || Boolean(samplesError) || Boolean(limitsError) || start.isPending}>{chosen ? `Start v${chosen} at ${parsed[0] ?? ''} %` : 'Start'}</button>
        </div>
      </form>
    </Dialog>
  )
}
