import { expect, it } from 'vitest'
import type { Lineage } from '@/lib/api/types'
import { fold } from './fold'

const graph = (n: number): Lineage => ({
  nodes: [{ id: 'alert:a', kind: 'alert', label: 'a' }, ...Array.from({ length: n }, (_, i) => ({ id: `retraining:${i}`, kind: 'retraining', label: `r${i}` })), ...Array.from({ length: n }, (_, i) => ({ id: `run:${i}`, kind: 'run', label: `run${i}` }))],
  edges: [...Array.from({ length: n }, (_, i) => ({ from: 'alert:a', to: `retraining:${i}`, relation: 'started', at: `2026-01-${String(i + 1).padStart(2, '0')}` })), ...Array.from({ length: n }, (_, i) => ({ from: `retraining:${i}`, to: `run:${i}`, relation: 'ran', at: `2026-01-${String(i + 1).padStart(2, '0')}` }))],
})

it('leaves small graphs alone', () => {
  const f = fold(graph(5), 'alert:a', new Set())
  expect(f.nodes).toHaveLength(11)
  expect(f.folded.size).toBe(0)
})

it('keeps the newest and says how many it hides, with all that hangs on them', () => {
  const f = fold(graph(12), 'alert:a', new Set())
  expect(f.nodes.map((n) => n.id)).toEqual(['alert:a', 'retraining:8', 'retraining:9', 'retraining:10', 'retraining:11', 'run:8', 'run:9', 'run:10', 'run:11', 'fold:alert:a:retraining:down'])
  expect(f.nodes.at(-1)?.label).toBe('8 more')
  expect(f.edges).toHaveLength(9)
})

it('unfolds', () => expect(fold(graph(12), 'alert:a', new Set(['fold:alert:a:retraining:down'])).nodes).toHaveLength(25))

it('never hides what the page is about', () => {
  const f = fold(graph(12), 'retraining:0', new Set())
  expect(f.nodes.some((n) => n.id === 'retraining:0')).toBe(true)
})
