import { describe, expect, it } from 'vitest'
import type { Run } from '@/lib/api/types'
import { columnIds, dealLooks, limitTexts, listed, lookOf, onGrid, parseLimits, rowsOf, unlisted, usualAxes } from './select'

const run = (id: string, params: Record<string, string>, metrics: Record<string, number>, tags: Record<string, string> = {}): Run => ({ id, experiment_id: '1', name: id, status: 'FINISHED', lifecycle: 'active', start_time: '2026-01-01T00:00:00Z', end_time: '2026-01-01T00:01:00Z', params, metrics, tags })
const runs = [
  run('a', { rate: '0.1', depth: '3', seed: '1' }, { val_mae: 40, odd: 1, 'system/cpu': 9 }, { team: 'x', 'mlflow.user': 'ann' }),
  run('b', { rate: '0.2', depth: '3', seed: '1' }, { val_mae: 41, odd: 2 }, { team: 'y' }),
  run('c', { rate: '0.3', depth: '5', seed: '1' }, { val_mae: 45, odd: 3 }),
  run('d', { rate: '0.4', depth: '5', seed: '1' }, { val_mae: 46, odd: 4 }),
]

describe('columns', () => {
  it('are parameters, metrics and the tags that people set', () => {
    expect(columnIds(runs)).toEqual(['p:depth', 'p:rate', 'p:seed', 'm:val_mae', 'm:odd', 't:team'])
  })
  it('begin with what the result moves with, and end with the result', () => {
    expect(usualAxes(runs, 'val_mae')).toEqual(['p:rate', 'p:depth', 'm:val_mae'])
  })
})

describe('the address', () => {
  it('keeps names with commas and signs', () => {
    const names = ['p:a,b', 'm:c=d', 'x%2C']
    expect(unlisted(listed(names))).toEqual(names)
    expect(listed([])).toBeUndefined()
  })
  it('keeps brushes, and drops what it can not read', () => {
    const limits = new Map<string, [number | string, number | string]>([['m:val_mae', [40, 44.5]], ['p:kind,of=it', ['dart', 'gbdt']]])
    expect(parseLimits(limitTexts(limits))).toEqual(limits)
    expect(parseLimits(['nonsense', 'q:x=1..2'])).toEqual(new Map())
  })
})

describe('looks', () => {
  it('stay with their run when others go', () => {
    const first = dealLooks(['a', 'b', 'c'], new Map())
    const second = dealLooks(['c', 'd', 'b'], first)
    expect(second.get('c')).toBe(first.get('c'))
    expect(second.get('b')).toBe(first.get('b'))
    expect(second.get('d')).toBe(0)
    expect(lookOf(8)).toEqual({ color: 'var(--c1)', dash: true })
  })
})

describe('rows', () => {
  it('say what differs and who is best', () => {
    const rows = new Map(rowsOf(runs).map((r) => [r.key, r]))
    expect(rows.get('rate')).toMatchObject({ group: 'Parameters', differs: true })
    expect(rows.get('seed')?.differs).toBe(false)
    expect(rows.get('val_mae')?.best).toBe(0)
    expect(rows.get('odd')?.best).toBe(-1)
    expect(rows.get('team')?.cells).toEqual(['x', 'y', '', ''])
    expect(rows.has('mlflow.user')).toBe(false)
    expect(rows.has('Data')).toBe(false)
  })
})

describe('a common grid', () => {
  it('keeps every point while there are few', () => {
    expect(onGrid([{ x: [0, 2], y: [1, 3] }, { x: [1], y: [5] }], 10)).toEqual({ x: [0, 1, 2], ys: [[1, undefined, 3], [undefined, 5, undefined]] })
  })
  it('keeps peaks when there are many', () => {
    const x = Array.from({ length: 10_000 }, (_, i) => i)
    const { x: grid, ys } = onGrid([{ x, y: x.map((i) => (i === 4321 ? 99 : i % 2)) }], 500)
    expect(grid).toHaveLength(500)
    expect(Math.max(...ys[0]!.map(Number))).toBe(99)
  })
})
