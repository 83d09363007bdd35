// Layout of graphs by dagre; loaded with the graph itself, never with the first page.
import dagre from '@dagrejs/dagre'

export interface GraphNode {
  id: string
  width: number
  height: number
}

export interface GraphEdge {
  from: string
  to: string
  label?: string
}

export interface Placed {
  id: string
  x: number
  y: number
}

/** Steps from `root` to each node it leads to, or against the edges to each node that leads to it. */
function distances(edges: readonly GraphEdge[], root: string, forward: boolean): Map<string, number> {
  const found = new Map([[root, 0]])
  for (const at of found.keys()) // A map goes on to the keys that are added while it is walked.
    for (const e of edges) {
      const next = forward ? (e.from === at ? e.to : undefined) : e.to === at ? e.from : undefined
      if (next !== undefined && !found.has(next)) found.set(next, found.get(at)! + 1)
    }
  return found
}

/**
 * The edges that close a loop through what is after `root` back to what is before it: a retraining that an alert on
 * the served model started, say. What is both before and after stands where it is nearer, so that origins are left of
 * the root, consequences right of it, and only these edges run backwards.
 */
export function backEdges(edges: readonly GraphEdge[], root: string | undefined): Set<GraphEdge> {
  if (root === undefined) return new Set()
  const up = distances(edges, root, false)
  const down = distances(edges, root, true)
  const side = (id: string) => {
    if (id === root) return 0
    const [u, d] = [up.get(id), down.get(id)]
    if (u === undefined) return d === undefined ? undefined : 1
    return d !== undefined && d < u ? 1 : -1
  }
  return new Set(edges.filter((e) => {
    const [from, to] = [side(e.from), side(e.to)]
    return from !== undefined && to !== undefined && to < from
  }))
}

/** Left upper corners of the nodes; `across` runs from left to right, else from top to bottom. `back` edges do not count. */
export function layout(nodes: readonly GraphNode[], edges: readonly GraphEdge[], across: boolean, back: ReadonlySet<GraphEdge> = new Set()): Placed[] {
  const g = new dagre.graphlib.Graph()
  const labelled = edges.some((e) => e.label)
  g.setGraph({ rankdir: across ? 'LR' : 'TB', nodesep: labelled ? 22 : 18, ranksep: labelled ? (across ? 36 : 54) : across ? 52 : 40, marginx: 12, marginy: 12 })
  g.setDefaultEdgeLabel(() => ({}))
  for (const n of nodes) g.setNode(n.id, { width: n.width, height: n.height })
  const known = new Set(nodes.map((n) => n.id))
  for (const e of edges) if (known.has(e.from) && known.has(e.to) && !back.has(e)) g.setEdge(e.from, e.to, e.label && across ? { width: e.label.length * 5.6 + 8, height: 12, labelpos: 'c' } : {})
  dagre.layout(g)
  return nodes.map((n) => {
    const at = g.node(n.id)
    return { id: n.id, x: at.x - n.width / 2, y: at.y - n.height / 2 }
  })
}
