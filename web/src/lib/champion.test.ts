import { describe, expect, it } from 'vitest'
import type { GateResult, Version } from './api/types'
import { againstChampion, declaredByGates, standing } from './champion'
import { betterOf, lowerIsBetter } from './metrics'

const version = (n: string, metrics: Record<string, number | null>): Version => ({ model: 'bike', version: n, status: 'READY', source: '', aliases: [], created_at: '', metrics })
const result = (over: Partial<GateResult>): GateResult => ({ id: 'r', gate: 'ship', model: 'bike', version: '2', verdict: 'pass', dataset: 'trips', dataset_version: 4, rules: [], created_at: '2026-01-01', ...over })

describe('a difference', () => {
  it('is shown when its interval lies on one side of 0', () => {
    expect(standing(true, -1, { low: -2, high: -0.5 })).toBe('better')
    expect(standing(false, -1, { low: -2, high: -0.5 })).toBe('worse')
    expect(standing(true, -1, { low: -2, high: 0.1 })).toBe('unshown')
    expect(standing(true, 0, { low: 0, high: 0 })).toBe('equal')
    expect(standing(undefined, -1, { low: -2, high: -0.5 })).toBe('unknown')
    expect(standing(true, NaN)).toBe('unknown')
    expect(standing(false, 1)).toBe('better')
  })
})

describe('a version against the champion', () => {
  const champion = version('1', { val_mae: 50, odd: 1 })
  const rule = { name: 'better', metric: 'mae', measured: 40, baseline: 42, against: 'models:/bike/1', verdict: 'pass', difference: { value: -2, low: -3, high: -1, rows: 100 } }
  it('is compared on the rows of a gate where one compared them, else by what is there, and says why there is no interval', () => {
    const rows = againstChampion(version('2', { val_mae: 48, 'system/cpu': 1, new: 2 }), champion, [
      result({ rules: [rule, { ...rule, metric: 'auc', measured: 0.9, baseline: 0.8, difference: undefined as never, note: 'compared as numbers: auc is no mean over rows that could be tested' }], metrics: { mae: 40, rmse: 60, p95_ms: 3 } }),
      result({ id: 'old', version: '1', metrics: { mae: 42, rmse: 61 } }),
      result({ id: 'elsewhere', version: '1', dataset_version: 3, metrics: { rmse: 1 } }),
    ], lowerIsBetter)
    expect(rows.map((r) => [r.metric, r.on, r.difference, r.standing, r.interval?.rows, r.why === undefined])).toEqual([
      ['mae', 'trips v4', -2, 'better', 100, true], ['auc', 'trips v4', expect.closeTo(0.1), 'better', undefined, false], ['rmse', 'trips v4', -1, 'better', undefined, false],
      ['val_mae', 'the runs', -2, 'better', undefined, false], ['new', 'the runs', undefined, 'unknown', undefined, false],
    ])
  })
  it('is not compared with a rule about another version', () => {
    expect(againstChampion(version('2', {}), version('9', {}), [result({ rules: [rule] })], lowerIsBetter)).toEqual([])
  })
})

it('takes what was declared before the name', () => {
  const better = betterOf({ gain: 'max' }, declaredByGates([result({ best: { bias: 'min' } })]), { gain: 'min', loss: 'max', junk: 'up' })
  expect(['gain', 'bias', 'loss', 'junk', 'mae'].map(better)).toEqual([false, true, false, undefined, true])
})
