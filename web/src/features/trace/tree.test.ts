import { describe, expect, it } from 'vitest'
import { plain, type Span } from './api'
import { culprit, rowsOf, selfTime, slowest, spanOf, ticks, visible } from './tree'

const span = (id: string, parent: string | undefined, offset: number, took: number, more: Partial<Span> = {}): Span =>
  ({ id, ...(parent ? { parent_id: parent } : {}), name: id, type: 'X', status: 'OK', offset_ms: offset, duration_ms: took, attributes: [], events: [], ...more })

describe('rowsOf', () => {
  it('puts children under their parent by start, and counts what is below', () => {
    const rows = rowsOf([span('b', 'a', 50, 10), span('a', undefined, 0, 100), span('c', 'a', 10, 20), span('d', 'c', 12, 5), span('late', 'gone', 5, 1)])
    expect(rows.map((r) => [r.span.id, r.depth, r.below])).toEqual([['a', 0, 3], ['c', 1, 1], ['d', 2, 0], ['b', 1, 0], ['late', 0, 0]])
    expect(visible(rows, new Set(['c'])).map((r) => r.span.id)).toEqual(['a', 'c', 'b', 'late'])
    expect(visible(rows, new Set(['a'])).map((r) => r.span.id)).toEqual(['a', 'late'])
  })
  it('cuts loops', () => {
    expect(rowsOf([span('a', 'b', 0, 1), span('b', 'a', 0, 1), span('c', 'c', 0, 1)]).map((r) => r.span.id).sort()).toEqual(['a', 'b', 'c'])
  })
  it('reads ten thousand spans in a chain', () => {
    const chain = Array.from({ length: 10_000 }, (_, i) => span(String(i), i > 0 ? String(i - 1) : undefined, i, 1))
    expect(rowsOf(chain)[0]!.below).toBe(9_999)
  })
})

describe('times', () => {
  it('counts overlapping children once', () => {
    expect(selfTime(span('a', undefined, 0, 100), [span('b', 'a', 10, 30), span('c', 'a', 20, 30), span('d', 'a', 90, 50)])).toBe(50)
  })
  it('spans from the first start to the last end', () => expect(spanOf([span('a', undefined, 0, 10), span('b', 'a', 5, 20)])).toBe(25))
  it('marks an axis roundly', () => {
    expect(ticks(100)).toEqual([0, 20, 40, 60, 80, 100])
    expect(ticks(0.7).length).toBeGreaterThan(2)
    expect(ticks(61_000)[1]).toBe(20_000)
  })
  it('names the deepest failure and the slowest', () => {
    const rows = rowsOf([span('a', undefined, 0, 100, { status: 'ERROR' }), span('b', 'a', 0, 90, { status: 'ERROR' }), span('c', 'a', 90, 5)])
    expect(culprit(rows)?.span.id).toBe('b')
    expect(slowest(rows)?.span.id).toBe('b')
  })
})

describe('previews', () => {
  it('of one text are that text, all others stay', () => {
    expect(plain('{"question":"Why?"}')).toBe('Why?')
    expect(plain('"Because."')).toBe('Because.')
    expect(plain('{"a":"x","b":2}')).toBe('a: x, b: 2')
    expect(plain('{"a":{"b":"c"}}')).toBe('a: {"b":"c"}')
    for (const same of ['', 'Why?', '{"a":"cut of', '"cut of', '["a"]']) expect(plain(same)).toBe(same)
  })
})
