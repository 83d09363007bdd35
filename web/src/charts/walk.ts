interface Edge {
  from: string
  to: string
}

/**
 * Where an arrow key leads in a graph drawn from left to right: left and right walk the edges, up and down go
 * between the neighbours that share an end. Undefined when there is nowhere to go.
 */
export function walk(edges: readonly Edge[], at: string, key: string): string | undefined {
  if (key === 'ArrowRight') return edges.find((e) => e.from === at)?.to
  if (key === 'ArrowLeft') return edges.find((e) => e.to === at)?.from
  if (key !== 'ArrowUp' && key !== 'ArrowDown') return undefined
  const parents = edges.filter((e) => e.to === at).map((e) => e.from)
  const children = edges.filter((e) => e.from === at).map((e) => e.to)
  const peers = [...new Set([
    ...edges.filter((e) => parents.includes(e.from)).map((e) => e.to),
    ...edges.filter((e) => children.includes(e.to)).map((e) => e.from),
  ])]
  const i = peers.indexOf(at)
  return i < 0 ? undefined : peers[i + (key === 'ArrowDown' ? 1 : -1)]
}
