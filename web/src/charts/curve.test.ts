import { describe, expect, it } from 'vitest'
import { bandOf, align, commonGrid } from './maths'
import { epochAt, epochKey, lineOf, type RawPoint } from './curve'

const at = (step: number, value: RawPoint['value'], second = step): RawPoint => ({ step, value, time: new Date(second * 1000).toISOString() })

describe('a line', () => {
  it('runs over steps, seconds or epochs', () => {
    const points = [at(0, 5, 10), at(10, 4, 12), at(20, 3, 14), at(30, 2, 16)]
    expect(lineOf(points, { axis: 'step', start: 0 }).x).toEqual([0, 10, 20, 30])
    expect(lineOf(points, { axis: 'time', start: 10_000 }).x).toEqual([0, 2, 4, 6])
    const epochs = [at(0, 0), at(10, 0), at(20, 1), at(40, 2)]
    expect(lineOf(points, { axis: 'epoch', start: 0, epochs })).toMatchObject({ x: [0, 1, 1.5], y: [4, 3, 2] })
    expect(lineOf(points, { axis: 'epoch', start: 0 }).x).toEqual([])
  })
  it('has a gap where a point is no number, and says which', () => {
    const line = lineOf([at(0, 1), at(1, 'NaN'), at(2, 'Infinity'), at(3, '-Infinity'), at(4, 2)], { axis: 'step', start: 0 })
    expect(line.y).toEqual([1, null, null, null, 2])
    expect([...line.odd]).toEqual([[1, 'NaN'], [2, '∞'], [3, '−∞']])
  })
  it('finds the epochs by their name', () => {
    expect(epochKey({ 'trainer/epoch': 1, epoch: 1, loss: 2 })).toBe('epoch')
    expect(epochKey({ epochs_left: 1 })).toBeUndefined()
    expect(epochAt([at(5, 1)], 4)).toBeUndefined()
    expect(epochAt([at(5, 1)], 9)).toBe(1)
  })
})

describe('aligned lines', () => {
  it('go on where only others have a point, and break where they say so', () => {
    expect(align([{ x: [0, 2, 4], y: [1, null, 3] }, { x: [1, 3], y: [7, 8] }]).ys).toEqual([[1, null, null, null, 3], [undefined, 7, undefined, 8, undefined]])
  })
})

describe('a band', () => {
  it('is the mean and the range of the curves that reach a place', () => {
    const curves = [{ x: [0, 2], y: [0, 2] }, { x: [0, 1, 2], y: [2, 2, 4] }, { x: [1, 2], y: [null, 9] }]
    const grid = commonGrid(curves)
    expect(grid).toEqual([0, 1, 2])
    expect(bandOf(curves, grid)).toEqual({ mean: [1, 1.5, 5], low: [0, 1, 2], high: [2, 2, 9] })
    expect(bandOf([{ x: [5], y: [1] }], [4, 5, 6])).toEqual({ mean: [null, 1, null], low: [null, 1, null], high: [null, 1, null] })
  })
  it('has at most so many places', () => expect(commonGrid([{ x: Array.from({ length: 1000 }, (_, i) => i) }], 5)).toEqual([0, 249.75, 499.5, 749.25, 999]))
})
