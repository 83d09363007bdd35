// How a version stands to the champion: what was measured of both, on which rows, and what can be said of the difference.
import type { GateResult, Version } from './api/types'
import type { Better } from './metrics'

/** "equal" is of the very same values; "unshown" of a difference whose interval holds 0. */
export type Standing = 'better' | 'worse' | 'equal' | 'unshown' | 'unknown'

export interface Against {
  metric: string
  mine: number | undefined
  theirs: number | undefined
  difference: number | undefined
  /** The 95 % interval of the difference, of paired rows. */
  interval: { low: number; high: number; rows: number } | undefined
  standing: Standing
  /** Where both were measured. */
  on: string
  /** Why there is no interval. */
  why: string | undefined
}

/** What a difference says: better or worse where the whole interval lies on one side of 0, not shown where it holds it. */
export function standing(lower: boolean | undefined, difference: number | undefined, interval?: { low: number; high: number }): Standing {
  if (difference === undefined || !Number.isFinite(difference)) return 'unknown'
  if (interval && interval.low <= 0 && interval.high >= 0) return difference === 0 && interval.low === interval.high ? 'equal' : 'unshown'
  if (difference === 0) return 'equal'
  if (lower === undefined) return 'unknown'
  return difference < 0 === lower ? 'better' : 'worse'
}

const numeric = (v: number | string | null | undefined): number | undefined => (v === null || v === undefined ? undefined : Number(v))
const less = (a: number | undefined, b: number | undefined) => (a !== undefined && b !== undefined && Number.isFinite(a - b) ? a - b : undefined)

/** Rows of gates first, where both were judged on the same data; then what their runs logged. Results come newest first. */
export function againstChampion(v: Version, champion: Version, results: readonly GateResult[], better: Better): Against[] {
  const out = new Map<string, Against>()
  const uri = `models:/${champion.model}/${champion.version}`
  const of = (version: string) => results.filter((g) => g.version === version).toSorted((a, b) => b.created_at.localeCompare(a.created_at))
  const mine = of(v.version)
  const dataset = (g: GateResult) => `${g.dataset} v${g.dataset_version}`
  for (const g of mine)
    for (const r of g.rules) {
      if (!r.metric || r.against !== uri || out.has(`gate ${r.metric}`) || typeof r.measured !== 'number' || typeof r.baseline !== 'number') continue
      const difference = less(r.measured, r.baseline)
      const interval = r.difference && { low: r.difference.low, high: r.difference.high, rows: r.difference.rows }
      out.set(`gate ${r.metric}`, {
        metric: r.metric, mine: r.measured, theirs: r.baseline, difference, interval, standing: standing(better(r.metric), difference, interval), on: dataset(g),
        why: interval ? undefined : r.note?.includes('no mean over rows') ? `${r.metric} is no mean over rows, so its difference has no paired interval` : 'the gate kept no interval; check it again and it will',
      })
    }
  for (const g of mine)
    for (const [metric, value] of Object.entries(g.metrics ?? {})) {
      if (out.has(`gate ${metric}`) || metric.endsWith('_ms')) continue
      const other = of(champion.version).find((o) => dataset(o) === dataset(g) && o.metrics?.[metric] !== undefined)
      if (!other) continue
      const difference = less(value, other.metrics![metric])
      out.set(`gate ${metric}`, { metric, mine: value, theirs: other.metrics![metric], difference, interval: undefined, standing: standing(better(metric), difference), on: dataset(g), why: 'each was measured in a check of its own; a rule with better_than: alias:champion compares them row by row' })
    }
  const keys = Object.keys(v.metrics ?? {}).filter((k) => !k.startsWith('system/'))
  for (const metric of keys) {
    const [a, b] = [numeric(v.metrics?.[metric]), numeric(champion.metrics?.[metric])]
    const difference = less(a, b)
    out.set(`run ${metric}`, { metric, mine: a, theirs: b, difference, interval: undefined, standing: standing(better(metric), difference), on: 'the runs', why: 'runs log one number each, and one number has no interval' })
  }
  return [...out.values()]
}

/** What gates declare of directions. */
export function declaredByGates(results: readonly GateResult[]): Record<string, string> {
  return Object.assign({}, ...results.toReversed().map((g) => g.best ?? {})) as Record<string, string>
}

/** "better than", as a sentence takes it. */
export const standingWords: Record<Standing, string> = { better: 'better', worse: 'worse', equal: 'equal', unshown: 'no better', unknown: '' }
