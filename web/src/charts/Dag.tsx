import { Background, Controls, Handle, Position, ReactFlow, type Edge, type Node, type NodeProps } from '@xyflow/react'
import '@xyflow/react/dist/style.css'
import { useMemo, useRef, type ReactNode } from 'react'
import { Shape, type ShapeKind } from '@/ui/Shape'
import { layout } from './dag'
import { walk } from './walk'

export interface DagNode {
  id: string
  /** A word above the name: the kind of the thing. */
  kind?: string
  icon?: ReactNode
  label: string
  detail?: string
  state?: ShapeKind
  /** Said to a screen reader with the label. */
  stateWord?: string
  /** The thing the page is about. */
  self?: boolean
}

export interface DagEdge {
  from: string
  to: string
  label?: string
  /** Something runs along it now. */
  active?: boolean
}

interface Props {
  nodes: readonly DagNode[]
  edges: readonly DagEdge[]
  selected?: string | undefined
  onSelect?: (id: string) => void
  name: string
  down?: boolean
  /** In a graph too large to read at once, the node to begin at. */
  centre?: string
}

type Data = Record<string, unknown> & DagNode & { across: boolean; chosen: boolean; onSelect?: (id: string) => void; onKey: (id: string, key: string) => boolean }

const width = 176
const height = 54

/** A directed graph; arrow keys walk its edges. */
export default function Dag({ nodes, edges, selected, onSelect, name, down, centre }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const across = !down
  const shape = JSON.stringify([nodes.map((n) => n.id), edges.map((e) => [e.from, e.to]), across])
  const placed = useMemo(
    () => new Map(layout(nodes.map((n) => ({ id: n.id, width, height })), edges, across).map((p) => [p.id, p])),
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [shape],
  )
  const onKey = (id: string, key: string) => {
    const next = walk(edges, id, key)
    if (next === undefined) return false
    onSelect?.(next)
    box.current?.querySelector<HTMLElement>(`[data-node="${CSS.escape(next)}"]`)?.focus()
    return true
  }
  const flowNodes: Node<Data>[] = nodes.map((n) => ({
    id: n.id, type: 'thing', position: { x: placed.get(n.id)?.x ?? 0, y: placed.get(n.id)?.y ?? 0 }, width, height, focusable: false,
    data: { ...n, across, chosen: n.id === selected, onKey, ...(onSelect ? { onSelect } : {}) },
  }))
  const flowEdges: Edge[] = edges.map((e) => ({
    id: `${e.from}>${e.to}>${e.label ?? ''}`, source: e.from, target: e.to, animated: e.active ?? false, focusable: false, ...(e.label ? { label: e.label } : {}),
    style: { stroke: 'var(--control)', strokeWidth: 1.4 }, labelStyle: { fill: 'var(--text-3)', fontSize: 11 }, labelBgStyle: { fill: 'var(--raised)' },
  }))
  return (
    <div ref={box} className="h-full w-full dag" role="group" aria-label={`${name}: ${nodes.length} nodes, ${edges.length} edges`}>
      <ReactFlow nodes={flowNodes} edges={flowEdges} nodeTypes={nodeTypes} fitView fitViewOptions={centre && nodes.length > 16 ? { nodes: [{ id: centre }, ...edges.flatMap((e) => (e.from === centre ? [{ id: e.to }] : e.to === centre ? [{ id: e.from }] : []))], padding: 0.1, maxZoom: 1, minZoom: 0.55 } : { padding: 0.12, maxZoom: 1 }} minZoom={0.2} maxZoom={1.6} nodesDraggable={false} nodesConnectable={false} elementsSelectable={false} deleteKeyCode={null} zoomOnScroll={false} panOnScroll={false} preventScrolling={false}>
        <Background color="var(--grid)" gap={20} />
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  )
}

function Thing({ id, data }: NodeProps<Node<Data>>) {
  const edge = data.chosen ? 'border-accent bg-accent-soft' : data.self ? 'border-accent bg-accent-soft' : data.state === 'bad' ? 'border-bad bg-surface' : 'border-border-strong bg-surface'
  const quiet = data.chosen || data.self ? 'text-2' : 'text-3'
  return (
    <>
      <Handle type="target" position={data.across ? Position.Left : Position.Top} className="!opacity-0" isConnectable={false} />
      <button type="button" data-node={id} className={`text-left border rounded-[7px] px-2.5 py-1.5 ${edge} nodrag nopan pointer-events-auto hover:border-control`} style={{ width, height, fontSize: 12, lineHeight: '17px' }}
        aria-pressed={data.chosen}
        onClick={() => data.onSelect?.(id)}
        onKeyDown={(e) => { if (e.key.startsWith('Arrow') && data.onKey(id, e.key)) e.preventDefault() }}>
        {data.kind && <span className={`${quiet} text-xs flex items-center gap-1.5`}>{data.icon}{data.kind}</span>}
        <span className="flex items-center gap-1.5 min-w-0">{data.state && <Shape kind={data.state} />}<b className="clip">{data.label}</b></span>{data.stateWord && <span className="sr-only">{data.stateWord}</span>}
        {!data.kind && <span className={`${quiet} text-xs block clip`}>{data.detail ?? ''}</span>}
      </button>
      <Handle type="source" position={data.across ? Position.Right : Position.Bottom} className="!opacity-0" isConnectable={false} />
    </>
  )
}

const nodeTypes = { thing: Thing }
