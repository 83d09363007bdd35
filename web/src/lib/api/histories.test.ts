import { afterEach, describe, expect, it, vi } from 'vitest'
import { batches, loadHistory } from './histories'

afterEach(() => vi.unstubAllGlobals())

describe('histories', () => {
  it('are asked together where runs are the same', () => {
    const wishes = ['a', 'b'].flatMap((run) => ['x', 'y'].map((key) => ({ run, key })))
    expect(batches(wishes)).toEqual([{ runs: ['a', 'b'], keys: ['x', 'y'] }])
    expect(batches([...wishes, { run: 'c', key: 'x' }])).toEqual([{ runs: ['a', 'b', 'c'], keys: ['x'] }, { runs: ['a', 'b'], keys: ['y'] }])
    expect(batches(Array.from({ length: 250 }, (_, i) => ({ run: String(i), key: 'x' }))).map((b) => b.runs.length)).toEqual([100, 100, 50])
  })
  it('of one moment share a request, and a series that is not there is empty', async () => {
    const calls: unknown[] = []
    vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
      calls.push(JSON.parse(init.body as string))
      return new Response(JSON.stringify({ series: [{ run_id: 'a', key: 'x', points: [{ step: 1, time: '2026-01-01T00:00:00Z', value: 2 }] }] }), { headers: { 'Content-Type': 'application/json' } })
    })
    const [a, b] = await Promise.all([loadHistory('a', 'x'), loadHistory('b', 'x')])
    expect(calls).toEqual([{ runs: ['a', 'b'], keys: ['x'], max_points: 1000 }])
    expect(a.points).toHaveLength(1)
    expect(b.points).toEqual([])
  })
})
