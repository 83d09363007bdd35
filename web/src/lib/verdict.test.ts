import { describe, expect, it } from 'vitest'
import { insideLimits, listed, movesTraffic, needsTitle, toLimit } from './verdict'

it('counts what needs you', () => {
  expect(needsTitle(0)).toBe('Nothing needs you')
  expect(needsTitle(1)).toBe('One thing needs you')
  expect(needsTitle(3)).toBe('Three things need you')
  expect(needsTitle(14)).toBe('14 things need you')
})

it('lists names', () => {
  expect(listed([])).toBe('')
  expect(listed(['temperature'])).toBe('temperature')
  expect(listed(['temperature', 'humidity'])).toBe('temperature and humidity')
  expect(listed(['a', 'b', 'c'])).toBe('a, b and c')
  expect(listed(['a', 'b', 'c', 'd', 'e'])).toBe('a, b and 3 more')
})

describe('a value to its limit', () => {
  it.each([
    [2.4, 0.5, 'five times the limit'], [1, 0.5, 'twice the limit'], [52, 45, '16\u202f% over the limit'], [45, 45, 'at the limit'], [30, 60, '50\u202f% under the limit'], [100, 1, '100 times the limit'], [3, 0, 'against a limit of 0'],
  ])('%f of %f', (value, limit, words) => expect(toLimit(value, limit)).toBe(words))
})

it('says when all is well', () => {
  const now = Date.UTC(2026, 10, 21, 12)
  expect(insideLimits(12, 12, 'feature', now - 240_000, now)).toBe('12 of 12 features inside their limits, checked 4\u202fmin ago')
  expect(insideLimits(1, 1, 'feature')).toBe('1 of 1 feature inside their limits')
})

it('says what a change of traffic does', () => {
  expect(movesTraffic(562, 'v13', 'v12', 0.2)).toBe('Moves about 112 requests/s from v13 to v12.')
  expect(movesTraffic(0, 'v13', 'v12', 0.2)).toBe('Moves 20\u202f% of requests from v13 to v12; none arrive at the moment.')
  expect(movesTraffic(562, 'v13', 'v12', 0)).toBe('Nothing moves.')
})
