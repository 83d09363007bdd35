import { describe, expect, it } from 'vitest'
import { canonical, edits, lineDiff, wordDiff, words } from './diff'

const apply = (list: { kind: string; value: string }[], without: string) => list.filter((e) => e.kind !== without).map((e) => e.value).join('')

describe('differences', () => {
  it('lead from one text to the other and back, for many pairs', () => {
    let seed = 7
    const random = (n: number) => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n }
    for (let i = 0; i < 200; i++) {
      const make = () => Array.from({ length: random(30) }, () => 'abc'[random(3)]!).join('')
      const [a, b] = [make(), make()]
      const d = edits([...a], [...b])
      expect(apply(d, 'new')).toBe(a)
      expect(apply(d, 'gone')).toBe(b)
    }
  })

  it('are the shortest', () => {
    expect(edits([...'abcabba'], [...'cbabac']).filter((e) => e.kind !== 'same')).toHaveLength(5)
  })

  it('are told by word', () => {
    expect(wordDiff('at most three sentences.', 'at most two sentences, in {{ language }}.')).toEqual([
      { kind: 'same', value: 'at most ' }, { kind: 'gone', value: 'three' }, { kind: 'new', value: 'two' }, { kind: 'same', value: ' sentences' }, { kind: 'new', value: ', in {{ language }}' }, { kind: 'same', value: '.' },
    ])
    expect(words('Größe 2×').join('')).toBe('Größe 2×')
    expect(wordDiff('', '')).toEqual([])
  })

  it('pair changed lines and number them', () => {
    expect(lineDiff('a\nb\nc', 'a\nB\nc\nd')).toEqual([
      { kind: 'same', left: { number: 1, text: 'a' }, right: { number: 1, text: 'a' } },
      { kind: 'changed', left: { number: 2, text: 'b' }, right: { number: 2, text: 'B' } },
      { kind: 'same', left: { number: 3, text: 'c' }, right: { number: 3, text: 'c' } },
      { kind: 'new', right: { number: 4, text: 'd' } },
    ])
  })

  it('give up on texts that have nothing in common, without hanging', () => {
    const a = Array.from({ length: 4000 }, (_, i) => `a${i}`)
    const b = Array.from({ length: 4000 }, (_, i) => `b${i}`)
    expect(edits(a, b)).toHaveLength(8000)
  })

  it('do not see the order of keys in JSON', () => {
    expect(canonical('{"b":1,"a":[{"d":1,"c":2}]}')).toBe(canonical('{"a":[{"c":2,"d":1}],"b":1}'))
    expect(canonical('no json')).toBe('no json')
  })
})
