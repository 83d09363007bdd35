import { describe, expect, it } from 'vitest'
import { kindCounts, kindOf, pageInTrash } from './kinds'

describe('kinds of things in the trash', () => {
  it('are counted in words, those that are there', () => {
    expect(kindCounts([{ kind: 'run', count: 1284 }, { kind: 'model', count: 0 }, { kind: 'model_version', count: 1 }])).toBe('1,284 runs and 1 model version')
    expect(kindCounts([{ kind: 'run', count: 1 }, { kind: 'trace', count: 2 }, { kind: 'dataset', count: 3 }])).toBe('1 run, 2 traces and 3 datasets')
    expect(kindCounts([])).toBe('')
  })

  it('that are new have a name all the same', () => expect(kindOf('feature_view')).toEqual({ one: 'feature view', many: 'feature views' }))

  it('have a page only where a deleted thing is still shown', () => {
    expect(pageInTrash('run:a/b')).toBe('/runs/a%2Fb')
    expect(pageInTrash('experiment:12')).toBe('/experiments/12')
    expect(pageInTrash('model:0192')).toBeUndefined()
  })
})
