import { describe, expect, it } from 'vitest'
import type { Endpoint, EndpointStats, Rollout, RouteChange, Target } from '@/lib/api/types'
import { endpointLook, endpointVerdict, rollbackTo, sampleRecord, versionColors, type Phrase } from './verdict'

const champion = (version: string, weight = 100): Target => ({ version, weight, role: 'champion' })
const canary = (version: string, weight: number): Target => ({ version, weight, role: 'canary' })
const endpoint = (targets: Target[], state: Endpoint['status']['state'] = 'ready', message = ''): Endpoint => ({ name: 'bike', model: 'bike', spec: { generation: 1, targets }, status: { state, message }, created_at: '2026-11-21T00:00:00Z' })
const stats = (count: number, errors = 0): EndpointStats => ({ from: '', to: '', bucket_s: 10, totals: { requests_per_s: 562, p50_ms: 11, p95_ms: 33, p99_ms: 54, error_rate: errors, count }, series: [], versions: [] })
const rollout = (state: Rollout['state'], reason = ''): Rollout => ({
  id: 'r', endpoint: 'bike', model: 'bike', version: '13', champion: '12', state, reason, started_at: '2026-11-21T00:00:00Z',
  steps: [{ weight: 10, state: 'passed' }, { weight: 25, state: state === 'halted' ? 'failed' : 'running', checks: [{ name: 'labelled_error', required: 50, measured: 0, verdict: 'not_enough_data', note: '96 of 200 labelled rows' }] }, { weight: 100, state: 'waiting' }],
})
const text = (p: Phrase[]) => p.map((x) => x.text).join('')

describe('the sentence of an endpoint', () => {
  it('says what it answers', () => expect(text(endpointVerdict(endpoint([champion('12')]), stats(1000), undefined, '1\u202fh'))).toBe('v12 answers 562 requests/s, 95\u202f% of them within 33\u202fms; none fails.'))
  it('says what fails', () => expect(text(endpointVerdict(endpoint([champion('12', 75), canary('13', 25)]), stats(1000, 0.0063), undefined, '1\u202fh'))).toBe('v12 (75\u202f%) and v13 (25\u202f%) answer 562 requests/s, 95\u202f% of them within 33\u202fms; 0.63\u202f% fail.'))
  it('says that nobody asks', () => expect(text(endpointVerdict(endpoint([champion('12')]), stats(0), undefined, '6\u202fh'))).toBe('v12 is ready; no request in the last 6\u202fh.'))
  it('says how a rollout stands', () => expect(text(endpointVerdict(endpoint([champion('12', 75), canary('13', 25)]), stats(9), rollout('running'), '1\u202fh'))).toBe('v13 is on trial at 25\u202f%, 1 of 3 steps passed; v12 carries the rest. The check on labelled error waits for data: 96 of 200 labelled rows.'))
  it('says why a rollout halted', () => expect(text(endpointVerdict(endpoint([champion('12', 75), canary('13', 25)]), stats(9), rollout('halted', 'errors 2.4\u202f%, limit 0.5\u202f%'), '1\u202fh'))).toBe('The rollout of v13 halted at 25\u202f%: errors 2.4\u202f%, limit 0.5\u202f%. v12 (75\u202f%) and v13 (25\u202f%) carry the traffic.'))
  it('says why it does not answer', () => expect(text(endpointVerdict(endpoint([champion('12')], 'failed', 'the model file is damaged'), undefined, undefined, '1\u202fh'))).toBe('This endpoint does not answer: the model file is damaged.'))
  it('marks the claim', () => expect(endpointVerdict(endpoint([champion('12')]), stats(5), undefined, '1\u202fh')[0]?.strong).toBe(true))
})

it('puts the worst into the pill', () => {
  expect(endpointLook(endpoint([champion('1')]), undefined)).toEqual({ kind: 'ok', word: 'Healthy' })
  expect(endpointLook(endpoint([champion('1')]), rollout('halted')).kind).toBe('bad')
  expect(endpointLook(endpoint([champion('1')], 'degraded'), rollout('running')).word).toBe('Degraded')
})

describe('a rollback', () => {
  const change = (generation: number, targets: Target[]): RouteChange => ({ generation, at: '', targets })
  it('leads to the champion while another version has traffic', () => expect(rollbackTo(endpoint([champion('12', 75), canary('13', 25)]), [])).toBe('12'))
  it('leads to the champion before', () => expect(rollbackTo(endpoint([champion('13')]), [change(3, [champion('13')]), change(2, [champion('12', 50), canary('13', 50)]), change(1, [champion('11')])])).toBe('12'))
  it('is not offered without one', () => expect(rollbackTo(endpoint([champion('1')]), [change(1, [champion('1')])])).toBeUndefined())
})

it('keeps the colour of a version on the page', () => {
  const colors = versionColors(endpoint([canary('13', 25), champion('12', 75), { version: '14', weight: 0, role: 'shadow' }]), ['11'])
  expect(Object.fromEntries(colors)).toEqual({ 12: 'var(--c1)', 13: 'var(--c2)', 14: 'var(--c3)', 11: 'var(--c4)' })
  expect(new Set(versionColors(endpoint([champion('1')]), ['2', '3', '4', '5', '6']).values()).size).toBe(6)
})

it('finds one record to try, whatever form the example has', () => {
  const of = (sample_input: unknown) => sampleRecord({ sample_input, signature: { inputs: [{ name: 'hr', type: 'long' }, { name: 'season', type: 'string' }] } })
  expect(of({ hr: 8 })).toEqual({ hr: 8 })
  expect(of([{ hr: 9 }, { hr: 10 }])).toEqual({ hr: 9 })
  expect(of({ dataframe_split: { columns: ['hr', 'temp'], data: [[8, 0.3]] } })).toEqual({ hr: 8, temp: 0.3 })
  expect(of(null)).toEqual({ hr: 0, season: '' })
  expect(of({ columns: ['a'], data: [] })).toEqual({ hr: 0, season: '' })
})
