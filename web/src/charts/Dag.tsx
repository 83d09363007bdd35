import { Background, BaseEdge, Controls, EdgeLabelRenderer, Handle, MarkerType, MiniMap, Position, ReactFlow, ReactFlowProvider, useReactFlow, type Edge, type EdgeProps, type Node, type NodeProps } from '@xyflow/react'
import '@xyflow/react/dist/style.css'
import { useEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { Shape, type ShapeKind } from '@/ui/Shape'
import { backEdges, layout } from './dag'
import { useSize } from './useWidth'
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
  /** The node the graph is about: its origins stand left of it, and a graph too large to read at once begins at it. */
  centre?: string
}

type Data = Record<string, unknown> & DagNode & { across: boolean; chosen: boolean; onSelect?: (id: string) => void; onKey: (id: string, key: string) => boolean }

const width = 176
const height = 54
/** Names are 12 px; below this zoom nobody reads them. */
const readable = 0.8
const margin = 16

/** A directed graph; arrow keys walk its edges. It keeps its fit while its frame changes, until somebody moves it. */
export default function Dag(props: Props) {
  return <ReactFlowProvider><Graph {...props} /></ReactFlowProvider>
}

function Graph({ nodes, edges, selected, onSelect, name, down, centre }: Props) {
  const [box, size] = useSize<HTMLDivElement>()
  const across = !down
  const shape = JSON.stringify([nodes.map((n) => n.id), edges.map((e) => [e.from, e.to, e.label]), across, centre])
  const { placed, back, bounds } = useMemo(() => {
    const found = backEdges(edges, centre)
    const at = layout(nodes.map((n) => ({ id: n.id, width, height })), edges, across, found)
    return {
      placed: new Map(at.map((p) => [p.id, p])), back: new Map([...found].map((e, i) => [`${e.from}>${e.to}`, i])),
      bounds: { right: Math.max(0, ...at.map((p) => p.x)) + width, bottom: Math.max(0, ...at.map((p) => p.y)) + height + found.size * 26 },
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape])
  const touched = useRef(false)
  const flow = useReactFlow()
  const [fits, setFits] = useState(true)
  const middle = placed.get(centre ?? '')
  useEffect(() => {
    if (size.width === 0 || size.height === 0) return
    const whole = Math.min(1, (size.width - 2 * margin) / bounds.right, (size.height - 2 * margin) / bounds.bottom)
    setFits(whole >= readable)
    if (touched.current) return
    const zoom = Math.max(whole, centre ? readable : 0.2)
    // What does not fit is shown from its centre, without leaving a gap at a side that has no more to show.
    const place = (frame: number, extent: number, at: number) => (extent * zoom <= frame - 2 * margin ? (frame - extent * zoom) / 2 : Math.min(margin, Math.max(frame - margin - extent * zoom, frame / 2 - at * zoom)))
    void flow.setViewport({ x: place(size.width, bounds.right, (middle?.x ?? 0) + width / 2), y: place(size.height, bounds.bottom, (middle?.y ?? 0) + height / 2), zoom })
  }, [flow, size.width, size.height, bounds, centre, middle])
  const onKey = (id: string, key: string) => {
    const next = walk(edges, id, key)
    if (next === undefined) return false
    onSelect?.(next)
    box.current?.querySelector<HTMLElement>(`[data-node="${CSS.escape(next)}"]`)?.focus({ preventScroll: true })
    return true
  }
  // A node that gets the focus out of sight is brought to the middle. The browser would scroll the frame instead, and leave it shifted.
  const reveal = (element: HTMLElement) => {
    const frame = box.current
    const at = placed.get(element.dataset.node ?? '')
    if (!frame || !at) return
    for (let e = element.parentElement; e && e !== frame.parentElement; e = e.parentElement) e.scrollTo(0, 0)
    const [f, n] = [frame.getBoundingClientRect(), element.getBoundingClientRect()]
    if (n.left >= f.left && n.right <= f.right && n.top >= f.top && n.bottom <= f.bottom) return
    touched.current = true
    void flow.setCenter(at.x + width / 2, at.y + height / 2, { zoom: flow.getZoom() })
  }
  const flowNodes: Node<Data>[] = nodes.map((n) => ({
    id: n.id, type: 'thing', position: { x: placed.get(n.id)?.x ?? 0, y: placed.get(n.id)?.y ?? 0 }, width, height, focusable: false,
    data: { ...n, across, chosen: n.id === selected, onKey, ...(onSelect ? { onSelect } : {}) },
  }))
  const flowEdges: Edge[] = edges.map((e) => {
    const loop = back.get(`${e.from}>${e.to}`)
    return {
      id: `${e.from}>${e.to}>${e.label ?? ''}`, source: e.from, target: e.to, animated: e.active ?? false, focusable: false, ...(e.label ? { label: e.label } : {}),
      markerEnd: { type: MarkerType.ArrowClosed, width: 14, height: 14, color: 'var(--control)' },
      ...(loop === undefined ? {} : { type: 'loop', data: { y: bounds.bottom - back.size * 26 + 20 + loop * 26 } }),
      style: { stroke: 'var(--control)', strokeWidth: 1.4, ...(loop === undefined ? {} : { strokeDasharray: '5 4' }) }, labelStyle: { fill: 'var(--text-3)', fontSize: 11 }, labelBgStyle: { fill: 'var(--raised)' },
    }
  })
  return (
    <div ref={box} onFocus={(e) => { const node = (e.target as HTMLElement).closest<HTMLElement>('[data-node]'); if (node) reveal(node) }} className="h-full w-full dag" role="group" aria-label={`${name}: ${nodes.length} nodes, ${edges.length} edges`}>
      <ReactFlow nodes={flowNodes} edges={flowEdges} nodeTypes={nodeTypes} edgeTypes={edgeTypes} fitViewOptions={{ padding: 0.06, maxZoom: 1 }} minZoom={0.2} maxZoom={1.6} nodesDraggable={false} nodesConnectable={false} elementsSelectable={false} deleteKeyCode={null} zoomOnScroll={false} panOnScroll={centre !== undefined} preventScrolling={centre !== undefined}
        onMoveEnd={(event) => { if (event) touched.current = true }}>
        <Background color="var(--grid)" gap={20} />
        <Controls showInteractive={false} onFitView={() => { touched.current = true }} onZoomIn={() => { touched.current = true }} onZoomOut={() => { touched.current = true }} />
        {!fits && size.width > 640 && size.height > 300 && <MiniMap pannable ariaLabel="The whole graph" nodeColor={(n) => (n.id === centre ? 'var(--accent)' : 'var(--ref)')} maskColor="color-mix(in srgb, var(--surface) 65%, transparent)" bgColor="var(--raised)" style={{ width: 180, height: 84, border: '1px solid var(--border)' }} />}
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
        aria-pressed={data.chosen} title={data.label}
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

/** An edge that runs backwards goes around below all nodes, so that it crosses none. */
function Loop({ id, sourceX: sx, sourceY: sy, targetX: tx, targetY: ty, label, style, markerEnd, data }: EdgeProps) {
  const y = Number(data?.y ?? Math.max(sy, ty) + 60)
  const reach = 44
  return (
    <>
      <BaseEdge id={id} {...(style ? { style } : {})} {...(markerEnd ? { markerEnd } : {})} path={`M${sx} ${sy}C${sx + reach} ${sy} ${sx + reach} ${y} ${sx} ${y}L${tx} ${y}C${tx - reach} ${y} ${tx - reach} ${ty} ${tx} ${ty}`} />
      {label && <EdgeLabelRenderer><span className="text-3 text-xs bg-raised px-1 absolute" style={{ transform: `translate(-50%, -50%) translate(${(sx + tx) / 2}px, ${y}px)` }}>{label}</span></EdgeLabelRenderer>}
    </>
  )
}

const nodeTypes = { thing: Thing }
const edgeTypes = { loop: Loop }
