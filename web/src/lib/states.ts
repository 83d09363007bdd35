// The words and marks of every state the server knows. Unknown states are shown as they are.
import type { ShapeKind } from '@/ui/Shape'
import type { StripState } from '@/charts/Strip'
import type { Verdict } from './api/types'
import { words } from './events'

export interface Look {
  kind: ShapeKind
  word: string
}

const looks: Record<string, Look> = {
  // verdicts
  ok: { kind: 'ok', word: 'OK' }, watch: { kind: 'warn', word: 'Watch' }, breach: { kind: 'bad', word: 'Breach' }, no_data: { kind: 'idle', word: 'No data' },
  pass: { kind: 'ok', word: 'Pass' }, fail: { kind: 'bad', word: 'Fail' }, insufficient_data: { kind: 'idle', word: 'Not enough data' }, inconclusive: { kind: 'idle', word: 'Not clear yet' }, not_enough_data: { kind: 'idle', word: 'Not enough data' },
  passed: { kind: 'ok', word: 'Passed' }, waived: { kind: 'warn', word: 'Waived' },
  // runs, pipelines, jobs
  RUNNING: { kind: 'info', word: 'Running' }, SCHEDULED: { kind: 'idle', word: 'Scheduled' }, FINISHED: { kind: 'ok', word: 'Finished' }, FAILED: { kind: 'bad', word: 'Failed' }, KILLED: { kind: 'pause', word: 'Stopped' },
  queued: { kind: 'idle', word: 'Queued' }, running: { kind: 'info', word: 'Running' }, succeeded: { kind: 'ok', word: 'Succeeded' }, failed: { kind: 'bad', word: 'Failed' }, cancelled: { kind: 'pause', word: 'Cancelled' },
  waiting: { kind: 'idle', word: 'Waiting' }, skipped: { kind: 'idle', word: 'Skipped' }, lost: { kind: 'warn', word: 'Lost' },
  pending: { kind: 'idle', word: 'Waiting' }, done: { kind: 'ok', word: 'Done' }, dead: { kind: 'bad', word: 'Gave up' }, retrying: { kind: 'warn', word: 'Retrying' },
  // models and endpoints
  READY: { kind: 'ok', word: 'Ready' }, PENDING: { kind: 'info', word: 'Preparing' }, ready: { kind: 'ok', word: 'Healthy' }, loading: { kind: 'info', word: 'Loading' }, degraded: { kind: 'warn', word: 'Degraded' },
  // rollouts
  promoted: { kind: 'ok', word: 'Promoted' }, rolled_back: { kind: 'bad', word: 'Rolled back' }, halted: { kind: 'bad', word: 'Halted' }, aborted: { kind: 'pause', word: 'Aborted' },
  // retrainings
  starting: { kind: 'info', word: 'Starting' }, training: { kind: 'info', word: 'Training' }, gating: { kind: 'info', word: 'At the gate' }, rolling_out: { kind: 'info', word: 'Rolling out' }, ended: { kind: 'ok', word: 'Ended' },
  // alerts
  open: { kind: 'bad', word: 'Open' }, acknowledged: { kind: 'warn', word: 'Acknowledged' }, resolved: { kind: 'ok', word: 'Resolved' },
  // data contracts
  none: { kind: 'idle', word: 'No contract' }, refused: { kind: 'bad', word: 'Refused' },
}

export function look(state: string | null | undefined): Look {
  if (!state) return { kind: 'idle', word: 'No data' }
  const known = looks[state]
  if (known) return known
  const text = words(state)
  return { kind: 'idle', word: text.charAt(0).toUpperCase() + text.slice(1).toLowerCase() }
}

export function stripState(verdict: string | null | undefined): StripState {
  return verdict === 'ok' || verdict === 'watch' || verdict === 'breach' ? verdict : 'none'
}

const rank: Record<string, number> = { breach: 3, watch: 2, ok: 1, no_data: 0 }

/** The worst of some verdicts. */
export function worst(verdicts: readonly (Verdict | undefined)[]): Verdict {
  return verdicts.reduce<Verdict>((a, b) => ((rank[b ?? 'no_data'] ?? 0) > (rank[a] ?? 0) ? b! : a), 'no_data')
}
