import { describe, expect, it } from 'vitest'
import { align, alongEdges, averages, axisBounds, csv, evenEdges, extent, nearest, outline, seriesStyle, shares, smooth, thin, ticks } from './maths'
import { walk } from './walk'
import { backEdges, layout } from './dag'

it('colours eight series, then dashes', () => {
  expect(seriesStyle(0)).toEqual({ color: 'var(--c1)', dash: false })
  expect(seriesStyle(7).color).toBe('var(--c8)')
  expect(seriesStyle(8)).toEqual({ color: 'var(--c1)', dash: true })
})

it('turns counts into shares', () => {
  expect(shares([1, 3])).toEqual([0.25, 0.75])
  expect(shares([0, 0])).toEqual([0, 0])
})

describe('axes', () => {
  it('leave air, start at zero where asked, and are never empty', () => {
    expect(extent([1, null, NaN, 5], [-2])).toEqual([-2, 5])
    expect(extent([null])).toBeUndefined()
    expect(axisBounds([10, 20])).toEqual([9.5, 20.5])
    expect(axisBounds([10, 20], { zero: true })).toEqual([0, 20])
    expect(axisBounds([0, 0.31], { zero: true })[1]).toBeCloseTo(0.4)
    expect(axisBounds([0, 562], { zero: true })).toEqual([0, 600])
    expect(axisBounds([10, 20], { include: [40] })).toEqual([8.5, 41.5])
    expect(axisBounds([7, 7], { zero: true })[1]).toBeGreaterThan(7)
    const [a, b] = axisBounds([3, 3])
    expect(a).toBeLessThan(3)
    expect(b).toBeGreaterThan(3)
    expect(axisBounds([0, 0], { zero: true })).toEqual([0, 1])
  })
  it('have round ticks inside their bounds', () => {
    expect(ticks(0, 630, 4)).toEqual([0, 200, 400, 600])
    expect(ticks(0, 0.3, 3)).toEqual([0, 0.1, 0.2, 0.3])
    expect(ticks(-10, 32, 5)).toEqual([-10, 0, 10, 20, 30])
    expect(ticks(5, 5, 4)).toEqual([])
    for (const [low, high] of [[36.3, 61], [1e-6, 3e-6], [-0.02, 0.7], [1e6, 9e6]] as const) {
      const t = ticks(low, high, 4)
      expect(t.length).toBeGreaterThanOrEqual(2)
      expect(t.every((v) => v >= low - 1e-9 * Math.abs(low) && v <= high * (1 + 1e-9))).toBe(true)
    }
  })
})

describe('smoothing', () => {
  it('changes nothing at 0 and nothing of a constant', () => {
    expect(smooth([1, null, 3], 0)).toEqual([1, null, 3])
    for (const v of smooth([5, 5, 5, 5], 0.9)) expect(v).toBeCloseTo(5, 12)
  })
  it('equals the debiased average worked by hand, and keeps gaps', () => {
    // weight 0.5: 2; (2*0.25 + 4*0.5)/0.75; gap; (2*0.125 + 4*0.25 + 8*0.5)/0.875
    const out = smooth([2, 4, null, 8], 0.5)
    expect(out[0]).toBeCloseTo(2, 12)
    expect(out[1]).toBeCloseTo(10 / 3, 12)
    expect(out[2]).toBeNull()
    expect(out[3]).toBeCloseTo(6, 12)
  })
})

it('thins a line without losing its peaks', () => {
  const values = Array.from({ length: 10_000 }, (_, i) => Math.sin(i / 50))
  values[4321] = 99
  values[7777] = -99
  const out = thin(values, 200)
  expect(out.length).toBeLessThanOrEqual(200)
  expect(Math.max(...out)).toBe(99)
  expect(Math.min(...out)).toBe(-99)
  expect(out[0]).toBe(values[0])
  expect(out.at(-1)).toBe(values.at(-1))
  expect(thin([1, 2], 200)).toEqual([1, 2])
})

it('averages a line down to the size of a word', () => {
  expect(averages([1, 3, 5, 7], 2)).toEqual([2, 6])
  expect(averages([1, null, null, null], 2)).toEqual([1, null])
  expect(averages([1, 2], 5)).toEqual([1, 2])
})

describe('histograms', () => {
  it('draw an outline over all bars', () => expect(outline([0.5, 1], 100, (v) => 10 - v * 10)).toBe('M0.0 5.0H50.0L50.0 0.0H100.0'))
  it('place a value on bins of unequal width', () => {
    const edges = [0, 1, 10, 100]
    expect(alongEdges(edges, 0.5)).toBeCloseTo(0.5 / 3)
    expect(alongEdges(edges, 5.5)).toBeCloseTo(1.5 / 3)
    expect(alongEdges(edges, -5)).toBe(0)
    expect(alongEdges(edges, 500)).toBe(1)
    expect(alongEdges([], 1)).toBe(0)
  })
  it('know whether a linear axis is honest', () => {
    expect(evenEdges([0, 1, 2, 3])).toBe(true)
    expect(evenEdges([0, 1, 10])).toBe(false)
  })
})

it('aligns series of different steps with gaps', () => {
  expect(align([{ x: [0, 2], y: [1, 3] }, { x: [1, 2], y: [5, null] }])).toEqual({ x: [0, 1, 2], ys: [[1, undefined, 3], [undefined, 5, null]] })
})

it('finds the nearest point', () => {
  expect(nearest([0, 10, 20], 14)).toBe(1)
  expect(nearest([0, 10, 20], 16)).toBe(2)
  expect(nearest([5], 100)).toBe(0)
  expect(nearest([], 1)).toBe(-1)
})

it('writes CSV that a spreadsheet neither breaks nor runs', () => {
  expect(csv(['a', 'b'], [['x,"y"', 1.5], ['=SUM(A1)', null]])).toBe('a,b\n"x,""y""",1.5\n\'=SUM(A1),\n')
})

describe('graphs', () => {
  const edges = [{ from: 'a', to: 'b' }, { from: 'a', to: 'c' }, { from: 'b', to: 'd' }, { from: 'c', to: 'd' }]
  it('are walked by arrow keys', () => {
    expect(walk(edges, 'a', 'ArrowRight')).toBe('b')
    expect(walk(edges, 'b', 'ArrowDown')).toBe('c')
    expect(walk(edges, 'c', 'ArrowUp')).toBe('b')
    expect(walk(edges, 'd', 'ArrowLeft')).toBe('b')
    expect(walk(edges, 'd', 'ArrowRight')).toBeUndefined()
    expect(walk(edges, 'a', 'ArrowDown')).toBeUndefined()
  })
  it('are laid out along their edges, and edges to nowhere are left out', () => {
    const nodes = ['a', 'b', 'c', 'd'].map((id) => ({ id, width: 100, height: 40 }))
    const at = new Map(layout(nodes, [...edges, { from: 'd', to: 'gone' }], true).map((p) => [p.id, p]))
    expect(at.get('a')!.x).toBeLessThan(at.get('b')!.x)
    expect(at.get('b')!.x).toBeLessThan(at.get('d')!.x)
    expect(at.get('b')!.y).not.toBe(at.get('c')!.y)
  })
})

describe('a loop of origins and consequences', () => {
  const nodes = ['data', 'run', 'v1', 'endpoint', 'alert', 'retraining'].map((id) => ({ id, width: 100, height: 40 }))
  const edge = (from: string, to: string) => ({ from, to })
  const edges = [edge('data', 'run'), edge('run', 'v1'), edge('v1', 'endpoint'), edge('endpoint', 'alert'), edge('alert', 'retraining'), edge('retraining', 'run')]

  it('is cut where it returns to what is before the root', () => {
    expect([...backEdges(edges, 'v1')]).toEqual([edge('alert', 'retraining')])
    expect(backEdges(edges, undefined).size).toBe(0)
    expect(backEdges(edges.slice(0, 5), 'v1').size).toBe(0)
  })

  it('is drawn with every other edge from left to right', () => {
    const back = backEdges(edges, 'v1')
    const at = new Map(layout(nodes, edges, true, back).map((p) => [p.id, p.x]))
    for (const e of edges) if (!back.has(e)) expect(at.get(e.from)!).toBeLessThan(at.get(e.to)!)
  })
})
