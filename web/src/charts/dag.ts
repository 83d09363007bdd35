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

/** Left upper corners of the nodes; `across` runs from left to right, else from top to bottom. */
export function layout(nodes: readonly GraphNode[], edges: readonly GraphEdge[], across: boolean): Placed[] {
  const g = new dagre.graphlib.Graph()
  g.setGraph({ rankdir: across ? 'LR' : 'TB', nodesep: edges.some((e) => e.label) ? 28 : 18, ranksep: edges.some((e) => e.label) ? (across ? 112 : 54) : across ? 52 : 40, marginx: 12, marginy: 12 })
  g.setDefaultEdgeLabel(() => ({}))
  for (const n of nodes) g.setNode(n.id, { width: n.width, height: n.height })
  const known = new Set(nodes.map((n) => n.id))
  for (const e of edges) if (known.has(e.from) && known.has(e.to)) g.setEdge(e.from, e.to)
  dagre.layout(g)
  return nodes.map((n) => {
    const at = g.node(n.id)
    return { id: n.id, x: at.x - n.width / 2, y: at.y - n.height / 2 }
  })
}
