import { describe, expect, it } from 'vitest'
import { readView, sameView, viewOf } from './view'

describe('saved views', () => {
  it('keep what is set, and opening one clears the rest', () => {
    const query = { filter: 'metrics.a < 1', cols: ['m:a'], diff: true }
    expect(viewOf({ ...query, metric: undefined, log: false })).toEqual(query)
    const read = readView(query)
    expect(read.filter).toBe('metrics.a < 1')
    expect('sort' in read && read.sort === undefined).toBe(true)
  })
  it('take nothing from what they do not know', () => {
    expect(viewOf(readView({ filter: 5, cols: [1], smooth: 'x', rows: 'huge', x: {}, sort: null, other: true }))).toEqual({})
  })
  it('are compared by what they show', () => {
    expect(sameView({ sort: '-m:a', junk: 1 }, { sort: '-m:a', diff: undefined })).toBe(true)
    expect(sameView({ sort: '-m:a' }, { sort: 'm:a' })).toBe(false)
  })
})
