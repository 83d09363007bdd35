import type { Lineage, LineageEdge, LineageNode } from '@/lib/api/types'

export interface Folded extends Lineage {
  /** Ids of nodes that stand for several others, and how many. */
  folded: Map<string, { count: number; kind: string }>
}

const most = 5
const kept = 4

/**
 * Makes a graph readable: where more than five things of one kind hang on the same thing, the newest four stay and
 * one node stands for the rest, with what hangs on those alone. `open` names the nodes that were unfolded.
 */
export function fold(lineage: Lineage, root: string, open: ReadonlySet<string>): Folded {
  const nodes = new Map(lineage.nodes.map((n) => [n.id, n]))
  const at = new Map<string, string>()
  for (const e of lineage.edges) for (const end of [e.from, e.to]) if ((e.at ?? '') > (at.get(end) ?? '')) at.set(end, e.at ?? '')
  const hidden = new Set<string>()
  const folded: Folded['folded'] = new Map()
  const extra: { node: LineageNode; edge: LineageEdge }[] = []
  for (const down of [true, false]) {
    for (const parent of lineage.nodes) {
      const groups = new Map<string, LineageEdge[]>()
      for (const e of lineage.edges) {
        if ((down ? e.from : e.to) !== parent.id) continue
        const child = nodes.get(down ? e.to : e.from)
        if (!child || child.id === root) continue
        groups.set(child.kind, [...(groups.get(child.kind) ?? []), e])
      }
      for (const [kind, edges] of groups) {
        const children = [...new Set(edges.map((e) => (down ? e.to : e.from)))]
        const id = `fold:${parent.id}:${kind}:${down ? 'down' : 'up'}`
        if (children.length <= most || open.has(id)) continue
        const rest = children.sort((a, b) => (at.get(b) ?? '').localeCompare(at.get(a) ?? '') || b.localeCompare(a)).slice(kept)
        for (const child of rest) hidden.add(child)
        folded.set(id, { count: rest.length, kind })
        extra.push({ node: { id, kind: 'fold', label: `${rest.length} more` }, edge: { from: down ? parent.id : id, to: down ? id : parent.id, relation: edges[0]!.relation } })
      }
    }
  }
  // What can no longer be reached from the root without a hidden node is hidden with it.
  const seen = new Set<string>([root])
  const queue = [root]
  while (queue.length > 0) {
    const here = queue.pop()!
    for (const e of lineage.edges) {
      const next = e.from === here ? e.to : e.to === here ? e.from : undefined
      if (next === undefined || seen.has(next) || hidden.has(next)) continue
      seen.add(next)
      queue.push(next)
    }
  }
  const stays = extra.filter((x) => seen.has(x.edge.from) || seen.has(x.edge.to))
  return {
    ...lineage,
    nodes: [...lineage.nodes.filter((n) => seen.has(n.id)), ...stays.map((x) => x.node)],
    edges: [...lineage.edges.filter((e) => seen.has(e.from) && seen.has(e.to)), ...stays.map((x) => x.edge)],
    folded,
  }
}
