import type { Outcome } from '@/lib/api/types'
import type { ShapeKind } from '@/ui/Shape'

export interface OutcomeLook {
  value: Outcome
  word: string
  kind: ShapeKind
  meaning: string
  action: string
}

export const outcomes: readonly OutcomeLook[] = [
  { value: 'supported', word: 'Supported', kind: 'ok', meaning: 'the runs meet the criteria', action: 'Call it supported' },
  { value: 'refuted', word: 'Refuted', kind: 'info', meaning: 'the runs show that it does not hold: a result', action: 'Call it refuted' },
  { value: 'inconclusive', word: 'Inconclusive', kind: 'idle', meaning: 'the runs do not tell', action: 'Call it inconclusive' },
]

/** How an outcome is shown; one that nobody knows keeps its word. */
export function outcomeOf(value: string): Omit<OutcomeLook, 'value'> {
  return outcomes.find((o) => o.value === value) ?? { word: value, kind: 'idle', meaning: 'written by another program', action: 'Conclude' }
}
