import { describe, expect, it } from 'vitest'
import { axisOf, box, dimension, field, influence, inside, isoline, within } from './relate'

describe('dimensions', () => {
  it('are numbers when every value is one, and text otherwise', () => {
    expect(dimension('p:a', 'a', ['0.1', '1e-3', undefined, 2])).toMatchObject({ kind: 'number', values: [0.1, 0.001, null, 2], log: true })
    expect(dimension('p:b', 'b', ['3', 'auto'])).toMatchObject({ kind: 'text', values: ['3', 'auto'] })
    expect(dimension('p:c', 'c', [undefined, ''])).toMatchObject({ kind: 'text', values: [null, null] })
    expect(dimension('m:d', 'd', [-5, 500]).log).toBe(false)
  })

  it('have axes that lead there and back', () => {
    const axis = axisOf(dimension('', '', [0, 10]), 100, 0)
    expect(axis.at(5)).toBe(50)
    expect(axis.invert(25)).toBe(7.5)
    expect(axis.ends).toEqual(['0', '10'])
    const same = axisOf(dimension('', '', [3, 3]), 0, 100)
    expect(same.at(3)).toBe(50)
    const log = axisOf(dimension('', '', [0.001, 0.1]), 0, 100)
    expect(log.at(0.01)).toBeCloseTo(50)
    const text = axisOf(dimension('', '', ['v10', 'v2', 'x']), 0, 100)
    expect(text.ticks.map((t) => t.value)).toEqual(['v2', 'v10', 'x'])
    expect(text.invert(text.at('v10') + 3)).toBe('v10')
  })

  it('keep to whole numbers where all are whole', () => {
    expect(axisOf(dimension('', '', [11, 12]), 0, 100).ticks.map((t) => t.value)).toEqual([11, 12])
  })

  it('are limited by brushes, of numbers and of texts', () => {
    const a = dimension('m:a', 'a', [1, 2, 3, undefined])
    const b = dimension('p:b', 'b', ['v2', 'v10', 'x', 'x'])
    expect(within(a, 2, [3, 1])).toBe(true)
    expect(within(a, null, [0, 9])).toBe(false)
    expect(inside([a, b], new Map([['m:a', [2, 9]], ['p:b', ['v2', 'v10']]]), 4)).toEqual([false, true, false, false])
    expect(inside([a, b], new Map(), 4)).toEqual([true, true, true, true])
  })
})

it('sums up values in a box', () => {
  expect(box([1, 2, 3, 4, 100])).toEqual({ q1: 2, median: 3, q3: 4, low: 1, high: 4, outliers: [100], count: 5 })
  expect(box([7])).toMatchObject({ q1: 7, median: 7, low: 7, high: 7 })
  expect(box([NaN])).toBeUndefined()
})

describe('a contour', () => {
  const f = field([{ x: 0, y: 0.5, z: 0 }, { x: 1, y: 0.5, z: 1 }], 20, 5, 0.3)
  it('runs between its points and says nothing far from them', () => {
    expect(f.values[2 * 20]!).toBeLessThan(0.05)
    expect(f.values[2 * 20 + 19]!).toBeGreaterThan(0.95)
    expect(field([{ x: 0, y: 0, z: 1 }], 10, 10, 0.05).values.at(-1)).toBeNull()
  })
  it('has the line of the middle in the middle', () => {
    const line = isoline(field([{ x: 0, y: 0.5, z: 0 }, { x: 1, y: 0.5, z: 1 }], 20, 5, 0.4), 0.5)
    expect(line.length).toBe(4)
    for (const [x1, , x2] of line) {
      expect(x1).toBeCloseTo(10, 5)
      expect(x2).toBeCloseTo(10, 5)
    }
  })
})

it('ranks columns by how much a result moves with them', () => {
  const on = dimension('m:r', 'r', [1, 2, 3, 4, 5, 6])
  expect(influence(dimension('', '', [10, 20, 30, 40, 50, 600]), on)).toBeCloseTo(1)
  expect(influence(dimension('', '', [6, 5, 4, 3, 2, 1]), on)).toBeCloseTo(1)
  expect(influence(dimension('', '', ['a', 'a', 'a', 'b', 'b', 'b']), on)).toBeGreaterThan(0.8)
  expect(influence(dimension('', '', ['a', 'b', 'a', 'b', 'b', 'a']), on)).toBeLessThan(0.4)
  expect(influence(dimension('', '', ['a', 'b', 'c', 'd', 'e', 'f']), on)).toBe(0)
  expect(influence(dimension('', '', [1, 1, 1, 1, 1, 1]), on)).toBe(0)
})
