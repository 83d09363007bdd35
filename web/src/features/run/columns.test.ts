import { describe, expect, it } from 'vitest'
import type { Run } from '@/lib/api/types'
import { differing, exported, moved, narrowed, orderedMetrics, parseColumn, reference, title, usualColumns, valueOf, wanted } from './columns'
import { parseWidths, withWidth } from './widths'

const run = (over: Partial<Run>): Run => ({ id: 'a', experiment_id: '1', name: 'n', status: 'FINISHED', lifecycle: 'active', start_time: '2026-01-01T00:00:00Z', metrics: {}, params: {}, tags: {}, ...over })

describe('columns', () => {
  it('are read from their ids, and nothing else is', () => {
    expect(parseColumn('m:val/mae')).toEqual({ kind: 'metric', key: 'val/mae' })
    expect(parseColumn('best:loss')).toEqual({ kind: 'metric', key: 'loss', aggregate: 'best' })
    expect(parseColumn('t:mlflow.user')).toEqual({ kind: 'tag', key: 'mlflow.user' })
    expect(parseColumn('name')).toEqual({ kind: 'attribute', name: 'name' })
    for (const id of ['', 'm:', 'x:y', 'constructor', ':a']) expect(parseColumn(id)).toBeUndefined()
  })
  it('are named as the search language names them', () => {
    expect(reference('m:loss')).toBe('metrics.loss')
    expect(reference('m:val/loss')).toBe('metrics.`val/loss`')
    expect(reference('min:val loss')).toBe('min(metrics.`val loss`)')
    expect(reference('started')).toBe('attributes.start_time')
    expect(reference('data')).toBeUndefined()
    expect(wanted('max:val/loss')).toBe('max(metrics.`val/loss`)')
    expect(wanted('took')).toBeUndefined()
    expect(title('best:loss')).toBe('best loss')
  })
  it('give the values of a run', () => {
    const r = run({ metrics: { loss: 2 }, params: { depth: '3' }, tags: { team: 'b', 'mlflow.user': 'ann' }, aggregates: { 'min(metrics.loss)': 1 } })
    expect(['m:loss', 'min:loss', 'max:loss', 'p:depth', 't:team', 'user', 'name'].map((id) => valueOf(r, id))).toEqual([2, 1, undefined, '3', 'b', 'ann', 'n'])
  })
  it('begin with what tells runs apart', () => {
    const sample = [run({ params: { depth: '3', seed: '1', model: 'a', fixed: 'x' } }), run({ params: { depth: '4', seed: '2', model: 'b', fixed: 'x' } })]
    const got = usualColumns({ metrics: ['system/cpu', 'train_mae', 'val_mae'], params: ['depth', 'fixed', 'model', 'seed'], tags: [] }, 'val_mae', sample)
    expect(got).toEqual(['started', 'took', 'm:val_mae', 'm:train_mae', 'p:depth', 'p:seed', 'p:model'])
    expect(orderedMetrics(['system/a', 'z', 'acc', 'loss'], 'loss')).toEqual(['loss', 'acc', 'z', 'system/a'])
  })
  it('are left out when all runs agree', () => {
    expect(differing(['p:a', 'p:b', 'm:x', 'curve', 'data', 'user'], ['params.b', 'metrics.x', 'datasets.name'])).toEqual(['p:b', 'm:x', 'curve', 'data'])
  })
  it('are named in a file as the server names them', () => {
    expect(['name', 'took', 'm:a b', 'min:loss', 'p:d', 't:team', 'curve', 'data'].map(exported)).toEqual(['attributes.run_name', 'attributes.duration_s', 'metrics.`a b`', 'min(metrics.loss)', 'params.d', 'tags.team', undefined, 'attributes.datasets'])
  })
  it('have widths that survive the address', () => {
    const list = withWidth(withWidth(undefined, 'm:val=ue', 140.4), 'name', 9999)
    expect(list).toEqual(['m:val=ue=140', 'name=640'])
    expect(parseWidths([...(list ?? []), 'm:x=abc', '=5', 'nonsense', 'p:y=1'])).toEqual({ 'm:val=ue': 140, name: 640 })
    expect(withWidth(['name=300'], 'name', undefined)).toBeUndefined()
  })
  it('move to the place of another', () => {
    expect(moved(['a', 'b', 'c', 'd'], 'a', 'c')).toEqual(['b', 'c', 'a', 'd'])
    expect(moved(['a', 'b', 'c', 'd'], 'd', 'b')).toEqual(['a', 'd', 'b', 'c'])
    expect(moved(['a', 'b'], 'a', 'nope')).toEqual(['a', 'b'])
  })
  it('narrow a filter to one group', () => {
    expect(narrowed(undefined, { 'params.depth': '8' })).toBe('params.depth = "8"')
    expect(narrowed('metrics.a < 1 or metrics.b < 1', { 'tags.my team': 'say "x"', 'params.q': null })).toBe('(metrics.a < 1 or metrics.b < 1) and tags.`my team` = \'say "x"\' and params.q IS NULL')
  })
})
