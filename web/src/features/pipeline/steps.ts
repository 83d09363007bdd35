import type { PipelineRun, PipelineStep } from '@/lib/api/types'
import { duration, millis } from '@/lib/format'
import { look } from '@/lib/states'
import type { DagEdge, DagNode } from '@/charts/Dag'

/** "12 s", "running, 41 s", "waits for train". */
export function stepDetail(s: PipelineStep, now: number): string {
  if (!s.started_at) return s.state === 'waiting' && s.needs && s.needs.length > 0 ? `after ${s.needs.join(', ')}` : look(s.state).word.toLowerCase()
  const took = duration((s.ended_at ? millis(s.ended_at) : now) - millis(s.started_at))
  const again = (s.attempt ?? 1) > 1 ? `, attempt ${s.attempt}` : ''
  return s.state === 'succeeded' ? took + again : `${look(s.state).word.toLowerCase()}, ${took}${again}`
}

export function stepGraph(run: PipelineRun, now: number): { nodes: DagNode[]; edges: DagEdge[] } {
  const steps = run.steps ?? []
  const state = new Map(steps.map((s) => [s.name, s.state]))
  return {
    nodes: steps.map((s) => ({ id: s.name, label: s.name, detail: stepDetail(s, now), state: look(s.state).kind, stateWord: look(s.state).word })),
    edges: steps.flatMap((s) => (s.needs ?? []).map((from) => ({ from, to: s.name, active: state.get(from) === 'succeeded' && s.state === 'running' }))),
  }
}

/** How a run stands, in a sentence: which step, how long, what failed. */
export function runVerdict(run: PipelineRun): { strong: string; rest: string } {
  const steps = run.steps ?? []
  const done = steps.filter((s) => s.state === 'succeeded').length
  const failed = steps.find((s) => s.state === 'failed' || s.state === 'lost')
  const now = steps.filter((s) => s.state === 'running').map((s) => s.name)
  switch (run.state) {
    case 'queued': return { strong: 'Waiting for a worker', rest: '.' }
    case 'running': return { strong: now.length > 0 ? `Running ${now.join(' and ')}` : 'Running', rest: `, ${done} of ${steps.length} steps done.` }
    case 'succeeded': return { strong: `All ${steps.length} steps succeeded`, rest: run.started_at && run.ended_at ? ` in ${duration(millis(run.ended_at) - millis(run.started_at))}.` : '.' }
    case 'failed': return failed ? { strong: `Step ${failed.name} failed`, rest: `${failed.error ? `: ${failed.error}` : failed.exit_code !== null && failed.exit_code !== undefined ? ` with exit code ${failed.exit_code}` : ''}. ${done} of ${steps.length} steps had succeeded; retry goes on from there.` } : { strong: 'Failed', rest: run.error ? `: ${run.error}` : '.' }
    case 'cancelled': return { strong: 'Cancelled', rest: ` after ${done} of ${steps.length} steps.` }
    default: return { strong: look(run.state).word, rest: '.' }
  }
}

/** Where a pipeline run came from, in words. */
export function triggerText(t: PipelineRun['trigger']): string {
  if (!t) return ''
  return { manual: 'by hand', cron: 'on schedule', alert: 'by an alert', api: 'by the API' }[t.kind] ?? t.kind
}
