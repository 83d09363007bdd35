import { describe, expect, it } from 'vitest'
import { inParts } from './source'

const ids = Array.from({ length: 2500 }, (_, i) => `r${i}`)

describe('a change of more runs than the server takes at once', () => {
  it('goes in several calls and tells which runs it changed', async () => {
    const calls: number[] = []
    const changed = await inParts(ids, (part) => { calls.push(part.length); return Promise.resolve(part.filter((id) => id !== 'r7')) }, () => Promise.reject(new Error('nothing is to be taken back')))
    expect(calls).toEqual([1000, 1000, 500])
    expect(changed).toEqual(ids.filter((id) => id !== 'r7'))
  })
  it('takes back what it did when a later call is refused', async () => {
    const there = new Set(ids)
    const change = (part: readonly string[]) => {
      if (part.includes('r2400')) return Promise.reject(new Error('r2400 cannot be deleted'))
      for (const id of part) there.delete(id)
      return Promise.resolve(part)
    }
    const back = (part: readonly string[]) => {
      expect(part.length).toBeLessThanOrEqual(1000)
      for (const id of part) there.add(id)
      return Promise.resolve()
    }
    await expect(inParts(ids, change, back)).rejects.toThrow('r2400 cannot be deleted')
    expect(there.size).toBe(ids.length)
  })
})
