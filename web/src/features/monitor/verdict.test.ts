import { describe, expect, it } from 'vitest'
import type { Monitor, Verdict, WindowSummary } from '@/lib/api/types'
import { monitorVerdict, monitorWord, since, windowText, type Phrase } from './verdict'

const now = Date.UTC(2026, 10, 21, 12)
const monitor = (change: Partial<Monitor> = {}): Monitor => ({
  endpoint: 'bike', baseline: { kind: 'dataset', dataset: 'bike', dataset_version: 3, rows: 100, ready: true }, window: { by: 'time', size: 7, unit: 'day' },
  state: { drift: 'ok', performance: 'ok', quality: 'ok', service: 'ok' }, features: [{ name: 'temp', test: 'ks', statistic: 0.04, threshold: 0.1, verdict: 'ok' }, { name: 'hum', test: 'ks', statistic: 0.02, threshold: 0.1, verdict: 'ok' }],
  updated_at: new Date(now - 240_000).toISOString(), ...change,
})
const window = (i: number, drift: Verdict, value: number | null = 41): WindowSummary => ({
  id: `w${i}`, from: `2011-05-${String(i).padStart(2, '0')}T00:00:00Z`, to: `2011-05-${String(i + 1).padStart(2, '0')}T00:00:00Z`, count: 100,
  verdicts: { drift, performance: 'ok', quality: 'ok', service: 'ok' }, performance: value === null ? null : { labelled: 90, metric: 'mae', value, threshold: 45, baseline: 40 },
})
const text = (p: Phrase[]) => p.map((x) => x.text).join('')
const date = (iso: string) => iso.slice(5, 10)

describe('the sentence of a monitor', () => {
  it('says when all is well', () => {
    const w = window(1, 'ok')
    expect(text(monitorVerdict(monitor(), [w], w, date, now))).toBe('2 of 2 features inside their limits, checked 4\u202fmin ago. The MAE is 41, 9\u202f% under the limit of 45.')
  })
  it('says what drifted, since when, and what the error is', () => {
    const m = monitor({ state: { drift: 'breach', performance: 'breach', quality: 'ok', service: 'ok' }, features: [{ name: 'temp', test: 'ks', statistic: 0.3, threshold: 0.1, verdict: 'breach' }, { name: 'hum', test: 'ks', statistic: 0.02, threshold: 0.1, verdict: 'ok' }] })
    const all = [window(1, 'ok'), window(2, 'watch'), window(3, 'breach', 52)]
    expect(text(monitorVerdict(m, all, all[2], date, now))).toBe('One of 2 features has drifted since 05-02 (temp), and the MAE is 52, 16\u202f% over the limit of 45.')
  })
  it('says that labels are late or missing', () => {
    const late = [window(1, 'ok'), window(2, 'ok', null)]
    expect(text(monitorVerdict(monitor(), late, late[1], date, now))).toContain('The newest labels are of the window to 05-02.')
    const none = window(1, 'ok', null)
    expect(text(monitorVerdict(monitor(), [none], none, date, now))).toContain('No labels have arrived, so the error is not known.')
  })
  it('says what it waits for', () => {
    expect(text(monitorVerdict(monitor(), [], undefined, date, now))).toBe('No window is complete yet; the first verdict comes after 7 days of predictions.')
    expect(text(monitorVerdict(monitor({ baseline: { kind: 'first_n', rows: 80, ready: false } }), [], undefined, date, now))).toContain('Collecting a baseline')
    expect(text(monitorVerdict(monitor({ baseline: { kind: 'none', ready: false } }), [], undefined, date, now))).toContain('nothing to compare with')
  })
})

it('names the worst state', () => {
  expect(monitorWord(monitor()).word).toBe('Healthy')
  expect(monitorWord(monitor({ state: { drift: 'watch', performance: 'breach', quality: 'ok', service: 'ok' } })).word).toBe('Error too high')
  expect(monitorWord(monitor({ state: { drift: 'no_data', performance: 'no_data', quality: 'no_data', service: 'no_data' } }))).toEqual({ verdict: 'no_data', word: 'No data' })
})

it('finds where a run of windows began', () => {
  const all = [window(1, 'breach'), window(2, 'ok'), window(3, 'breach'), window(4, 'breach')]
  expect(since(all, (w) => w.verdicts.drift === 'breach')?.id).toBe('w3')
  expect(since(all, () => false)).toBeUndefined()
})

it('tells the window', () => {
  expect(windowText(monitor({ window: { by: 'count', size: 500 } }))).toBe('500 predictions')
  expect(windowText(monitor({ window: { by: 'time', size: 1, unit: 'day' } }))).toBe('1 day')
})
