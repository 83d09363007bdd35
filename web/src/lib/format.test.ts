import { describe, expect, it } from 'vitest'
import { ago, bytes, day, decimals, duration, fixed, inColumn, initials, large, ms, num, pct, plural, shortId, signed, tickWords } from './format'

describe('num', () => {
  it.each([
    [0, '0'], [38.24, '38.2'], [562.4, '562'], [1284, '1,284'], [0.01234, '0.0123'], [0.5, '0.5'], [-3.7, '−3.7'], [4, '4'],
    [1e-7, '1e−7'], [1.234e12, '1.23e12'], [-0.00001, '−1e−5'], [99.96, '100'], [NaN, 'NaN'], [Infinity, '∞'], [-Infinity, '−∞'],
  ])('%f is %s', (v, text) => expect(num(v)).toBe(text))
  it('is empty without a value', () => {
    expect(num(null)).toBe('')
    expect(num(undefined)).toBe('')
  })
})

describe('fixed', () => {
  it('keeps decimals and groups thousands', () => {
    expect(fixed(12345.678, 1)).toBe('12,345.7')
    expect(fixed(-0.04, 1)).toBe('0.0')
    expect(fixed(-1.25, 1)).toBe('−1.3')
  })
  it('gives one column the same decimals', () => {
    expect(decimals([38.2, 41.987, null])).toBe(1)
    expect(decimals([0.941, 0.9])).toBe(3)
    expect(decimals([1, 2, 300])).toBe(0)
    expect(decimals([])).toBe(0)
  })
  it('never makes a small value of a column look like none', () => {
    expect(['', inColumn(undefined, 1), inColumn(0, 1), inColumn(0.018, 1), inColumn(38.24, 1), inColumn(0.00513, 3), inColumn(0.5, 0), inColumn(7, 0), inColumn(2e31, 1), inColumn(NaN, 1)]).toEqual(['', '', '0.0', '0.018', '38.2', '0.005', '0.5', '7', '2e31', 'NaN'])
  })
})

describe('the words of an axis', () => {
  it('tell near ticks apart, and are what the ticks are', () => {
    expect(tickWords([65.43, 65.44, 65.45])).toEqual(['65.43', '65.44', '65.45'])
    expect(tickWords([33725, 33750, 33775, 33800])).toEqual(['33,725', '33,750', '33,775', '33,800'])
    expect(tickWords([-101.5, -101.25, -101])).toEqual(['−101.50', '−101.25', '−101.00'])
    expect(tickWords([1.0001e9, 1.0002e9])).toEqual(['1.0001e9', '1.0002e9'])
  })
  it('stay short where three digits say it', () => {
    expect(tickWords([0, 0.5, 1])).toEqual(['0', '0.5', '1'])
    expect(tickWords([0, 5000, 10000, 15000])).toEqual(['0', '5,000', '10,000', '15,000'])
    expect(tickWords([7])).toEqual(['7'])
    expect(tickWords([])).toEqual([])
  })
})

it('prints shares, differences and sizes with their units', () => {
  expect(pct(0.024)).toBe('2.4\u202f%')
  expect(pct(1, 0)).toBe('100\u202f%')
  expect(signed(0.006)).toBe('+0.006')
  expect(signed(-3.7)).toBe('−3.7')
  expect(signed(0)).toBe('±0')
  expect(bytes(0)).toBe('0\u202fB')
  expect(bytes(2_412_000)).toBe('2.41\u202fMB')
  expect(ms(0.42)).toBe('0.42\u202fms')
  expect(ms(31.4)).toBe('31\u202fms')
  expect(large(91_812_000)).toEqual({ value: '91.8', unit: 'million' })
  expect(large(1284)).toEqual({ value: '1,284', unit: '' })
})

describe('duration', () => {
  it.each([[41, '41\u202fms'], [3200, '3.2\u202fs'], [59_400, '59\u202fs'], [252_000, '4\u202fmin 12\u202fs'], [240_000, '4\u202fmin'], [7_500_000, '2\u202fh 5\u202fmin'], [86_400_000, '1 day'], [90_000_000, '1 d 1\u202fh'], [-1, '']])('%i ms is %s', (v, text) => expect(duration(v)).toBe(text))
})

describe('ago', () => {
  const now = Date.UTC(2026, 10, 21, 12)
  it('goes from seconds to the date', () => {
    expect(ago(now - 2_000, now)).toBe('just now')
    expect(ago(now - 42_000, now)).toBe('42\u202fs ago')
    expect(ago(now - 4 * 60_000, now)).toBe('4\u202fmin ago')
    expect(ago(now - 3 * 3_600_000, now)).toBe('3\u202fh ago')
    expect(ago(now - 2 * 86_400_000, now)).toBe('2 days ago')
    expect(ago(now - 30 * 86_400_000, now)).toBe(day(now - 30 * 86_400_000, now))
    expect(ago(now + 3_600_000, now)).toBe('in 1\u202fh')
    expect(ago('no time', now)).toBe('')
  })
  it('names the year only when it is another', () => {
    expect(day(Date.UTC(2025, 11, 2, 12), now)).toBe('2 Dec 2025')
  })
})

it('shortens names and counts things', () => {
  expect(initials('Ingrid Solberg')).toBe('IS')
  expect(initials('svc-train')).toBe('ST')
  expect(initials('')).toBe('?')
  expect(plural(1, 'run')).toBe('1 run')
  expect(plural(1284, 'run')).toBe('1,284 runs')
  expect(shortId('8c5f0b2e9a7d4c1f')).toBe('8c5f0b2e')
  expect(shortId('short')).toBe('short')
  expect(shortId('01a1fc8e-435d-7e57-aa98-1f81198c23d5')).toBe('198c23d5')
  expect(shortId('01a1fc8e67027cbfbf799635b6435002')).toBe('b6435002')
  expect(shortId('m-01a1fc8e67027cbfbf799635b6435002', 10)).toBe('m-b6435002')
})
