import { describe, expect, it } from 'vitest'
import type { PipelineRun, PipelineStep } from '@/lib/api/types'
import { schemaDiff } from '../dataset/diff'
import { runVerdict, stepDetail, stepGraph } from './steps'

const at = (s: number) => new Date(Date.UTC(2026, 10, 21, 8, 0, s)).toISOString()
const step = (name: string, state: PipelineStep['state'], more: Partial<PipelineStep> = {}): PipelineStep => ({ name, state, needs: [], ...more })
const run = (state: PipelineRun['state'], steps: PipelineStep[], more: Partial<PipelineRun> = {}): PipelineRun => ({ id: 'r', pipeline: 'p', state, steps, ...more })
const sentence = (r: PipelineRun) => runVerdict(r).strong + runVerdict(r).rest

describe('the sentence of a pipeline run', () => {
  it('says what runs', () => expect(sentence(run('running', [step('data', 'succeeded'), step('train', 'running')]))).toBe('Running train, 1 of 2 steps done.'))
  it('says how long it took', () => expect(sentence(run('succeeded', [step('data', 'succeeded')], { started_at: at(0), ended_at: at(15) }))).toBe('All 1 steps succeeded in 15\u202fs.'))
  it('says what failed and what to do', () => expect(sentence(run('failed', [step('data', 'succeeded'), step('train', 'failed', { exit_code: 1 })]))).toBe('Step train failed with exit code 1. 1 of 2 steps had succeeded; retry goes on from there.'))
})

it('tells a step in a word', () => {
  const now = Date.parse(at(41))
  expect(stepDetail(step('a', 'waiting', { needs: ['b', 'c'] }), now)).toBe('after b, c')
  expect(stepDetail(step('a', 'running', { started_at: at(0) }), now)).toBe('running, 41\u202fs')
  expect(stepDetail(step('a', 'succeeded', { started_at: at(0), ended_at: at(12), attempt: 2 }), now)).toBe('12\u202fs, attempt 2')
})

it('draws the steps along their needs', () => {
  const g = stepGraph(run('running', [step('a', 'succeeded'), step('b', 'running', { needs: ['a'] })]), 0)
  expect(g.edges).toEqual([{ from: 'a', to: 'b', active: true }])
  expect(g.nodes.map((n) => n.state)).toEqual(['ok', 'info'])
})

it('tells what differs between two versions of a dataset', () => {
  const before = [{ name: 'hr', type: 'long' }, { name: 'temp', type: 'double' }, { name: 'gone', type: 'string' }]
  const after = [{ name: 'hr', type: 'long' }, { name: 'temp', type: 'long' }, { name: 'hum', type: 'double' }]
  expect(schemaDiff(before, after)).toEqual([{ name: 'temp', change: 'type', before: 'double', after: 'long' }, { name: 'hum', change: 'added', after: 'double' }, { name: 'gone', change: 'removed', before: 'string' }])
  expect(schemaDiff(before, before)).toEqual([])
})
