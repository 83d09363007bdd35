import { describe, expect, it } from 'vitest'
import { flag, list, oneOf, parseSearch, parseSort, parseSpan, real, sortText, spanText, stringifySearch, text, whole, webAddress } from './url'

describe('search parameters', () => {
  it('are flat and come back as they went', () => {
    const query = stringifySearch({ sort: '-val_mae', runs: ['a', 'b'], live: true, off: false, none: undefined, empty: '', page: 3 })
    expect(query).toBe('?sort=-val_mae&runs=a,b&live=1&page=3')
    const raw = parseSearch(query)
    expect(list(raw, 'runs')).toEqual(['a', 'b'])
    expect(flag(raw, 'live')).toBe(true)
    expect(whole(raw, 'page', 1, 10)).toBe(3)
  })
  it('survives what is in a name', () => {
    const raw = parseSearch(stringifySearch({ filter: 'metrics.mae < 46 and params.model = "lightgbm & co"', node: 'version:bike-demand/3' }))
    expect(text(raw, 'filter')).toBe('metrics.mae < 46 and params.model = "lightgbm & co"')
    expect(text(raw, 'node')).toBe('version:bike-demand/3')
  })
  it('keeps commas and signs in the items of a list', () => {
    const names = ['m:a,b', 'p:100%', 'x%2Cy', 't:c=d']
    expect(list(parseSearch(stringifySearch({ cols: names })), 'cols')).toEqual(names)
  })
  it('is nothing when there is nothing', () => expect(stringifySearch({ a: undefined, b: [] })).toBe(''))
})

describe('bad links open the page in its usual state', () => {
  it.each([['tab=nonsense'], ['tab='], ['']])('%s', (query) => expect(oneOf(parseSearch(query), 'tab', ['live', 'versions'])).toBeUndefined())
  it('keeps numbers inside their bounds', () => {
    expect(whole(parseSearch('n=1.5'), 'n', 0, 9)).toBeUndefined()
    expect(whole(parseSearch('n=99'), 'n', 0, 9)).toBeUndefined()
    expect(real(parseSearch('s=0.4'), 's', 0, 0.99)).toBe(0.4)
    expect(real(parseSearch('s=NaN'), 's', 0, 0.99)).toBeUndefined()
  })
  it('reads ranges', () => {
    expect(parseSpan('1763712000..1763715600')).toEqual({ from: 1763712000, to: 1763715600 })
    expect(parseSpan('5..5')).toBeUndefined()
    expect(parseSpan('yesterday')).toBeUndefined()
    expect(spanText({ from: 10.4, to: 19.2 })).toBe('10..20')
  })
  it('reads a sort order', () => {
    expect(parseSort('-val_mae')).toEqual({ id: 'val_mae', desc: true })
    expect(parseSort('name')).toEqual({ id: 'name', desc: false })
    expect(parseSort('-')).toBeUndefined()
    expect(sortText({ id: 'a', desc: true })).toBe('-a')
    expect(sortText(undefined)).toBeUndefined()
  })
})

describe('addresses of the web', () => {
  it('are http and https alone', () => {
    expect(webAddress('https://mlflow.example/#/experiments/1/runs/2')).toBe('https://mlflow.example/#/experiments/1/runs/2')
    expect(webAddress('http://10.0.0.1:5000/x y')).toBe('http://10.0.0.1:5000/x%20y')
    for (const bad of ['javascript:alert(1)', 'JavaScript:alert(1)', ' javascript:alert(1)', 'java\nscript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', '//host/x', '/runs/1', 'run 1', '', 'https://', 'https://user:secret@host/', 'blob:https://x/y']) expect(webAddress(bad)).toBeUndefined()
  })
})
