import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Activity, Bell, Boxes, Database, FlaskConical, Radio, RefreshCw, ShieldCheck, Workflow, type LucideIcon } from 'lucide-react'
import { lazy, Suspense, useMemo, useState, type ReactNode } from 'react'
import { fold } from '@/features/lineage/fold'
import { who } from '@/lib/actor'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Lineage, LineageNode } from '@/lib/api/types'
import { words } from '@/lib/events'
import { href, pageOf } from '@/lib/href'
import { plural } from '@/lib/format'
import { CopyButton } from '@/ui/Code'
import { Drawer } from '@/ui/Drawer'
import { Empty, Skeleton } from '@/ui/Empty'
import { FilterBox } from '@/ui/FilterBox'
import { Go } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page } from '@/ui/Page'
import { KeyValues, Panel } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { Time } from '@/ui/Time'

const Dag = lazy(() => import('@/charts/Dag'))
const route = getRouteApi('/lineage')
const icons: Record<string, LucideIcon> = { dataset: Database, dataset_version: Database, run: FlaskConical, experiment: FlaskConical, model: Boxes, version: Boxes, logged_model: Boxes, endpoint: Radio, monitor: Activity, alert: Bell, gate: ShieldCheck, pipeline: Workflow, pipeline_run: Workflow, retraining: RefreshCw, rollout: Radio }

const kindOf = (node: string) => node.slice(0, node.indexOf(':'))
const idOf = (node: string) => node.slice(node.indexOf(':') + 1)

export function LineagePage(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const depth = search.depth ?? 3
  const node = search.node ?? ''
  const query = useQuery({ ...q.lineage(node, depth), enabled: node !== '' })
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }) })
  const label = query.data?.nodes.find((n) => n.id === node)?.label ?? idOf(node)
  if (node === '') return <Start />
  return (
    <Page title={label || 'Lineage'} name={`Lineage of ${label}`} fill crumbs={[{ label: 'Lineage', to: '/lineage' }]} meta={words(kindOf(node))}
      verdict={query.data ? <Verdict lineage={query.data} node={node} /> : undefined}
      actions={<><span className="flex items-center gap-2 text-sm text-2">Steps <Segmented small label="Steps each way" value={String(depth)} onChange={(d) => set({ depth: d === '3' ? undefined : Number(d) })} options={['1', '2', '3', '5', '8'].map((v) => ({ value: v, label: v }))} /></span>{pageOf(kindOf(node), idOf(node)) && <Go className="btn" to={pageOf(kindOf(node), idOf(node))!}>Open it</Go>}</>}>
      <div className="flex flex-1 min-h-0 gap-3.5">
        <section className={`panel flex-1 min-h-[320px] flex flex-col ${query.isPlaceholderData ? 'stale' : ''}`}>
          <Load query={query} what="the lineage" skeleton={<Skeleton rows={6} />}>
            {(l) => l.nodes.length === 0
              ? <Empty title="Nothing is linked to it yet">Edges come from what happens: a run that reads a dataset, a version that is registered, an endpoint that serves.</Empty>
              : <Graph lineage={l} node={node} label={label} selected={search.at} onSelect={(at) => set({ at })} />}
          </Load>
        </section>
        {search.at && query.data?.nodes.some((n) => n.id === search.at) && <NodeDrawer lineage={query.data} node={query.data.nodes.find((n) => n.id === search.at)!} onClose={() => set({ at: undefined })} onCentre={(id) => set({ node: id, at: undefined })} />}
      </div>
    </Page>
  )
}

function Graph({ lineage, node, label, selected, onSelect }: { lineage: Lineage; node: string; label: string; selected: string | undefined; onSelect: (id: string) => void }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  const shown = useMemo(() => fold(lineage, node, open), [lineage, node, open])
  return (
    <Suspense fallback={<Skeleton />}>
      <Dag key={`${node} ${shown.nodes.length}`} name={`Lineage of ${label}`} selected={selected} onSelect={(id) => (shown.folded.has(id) ? setOpen(new Set([...open, id])) : onSelect(id))} centre={node}
        edges={shown.edges.map((e) => ({ from: e.from, to: e.to, label: words(e.relation) }))}
        nodes={shown.nodes.map((n) => { const Icon = icons[n.kind]; const more = shown.folded.get(n.id); return { id: n.id, kind: more ? `${words(more.kind)}s` : words(n.kind), label: n.label || idOf(n.id), self: n.id === node, ...(Icon ? { icon: <Icon size={12} /> } : {}) } })} />
    </Suspense>
  )
}

function reach(edges: Lineage['edges'], from: string, down: boolean): Set<string> {
  const seen = new Set<string>()
  const queue = [from]
  while (queue.length > 0) {
    const at = queue.pop()!
    for (const e of edges) {
      const next = down ? (e.from === at ? e.to : undefined) : e.to === at ? e.from : undefined
      if (next !== undefined && !seen.has(next) && next !== from) {
        seen.add(next)
        queue.push(next)
      }
    }
  }
  return seen
}

function Verdict({ lineage, node }: { lineage: Lineage; node: string }) {
  const up = reach(lineage.edges, node, false)
  const down = reach(lineage.edges, node, true)
  const served = [...down].filter((id) => kindOf(id) === 'endpoint').map(idOf)
  const data = [...up].filter((id) => /^dataset/.test(kindOf(id))).map((id) => lineage.nodes.find((n) => n.id === id)?.label ?? idOf(id))
  return <Sentence up={up.size} down={down.size} data={data} served={served} />
}

function Sentence({ up, down, data, served }: { up: number; down: number; data: readonly string[]; served: readonly string[] }) {
  const rest = up - data.length
  return (
    <>
      {up === 0 ? 'Nothing is recorded before it' : <>Made from <b>{data.length > 0 ? data.join(' and ') : plural(up, 'thing')}</b>{data.length > 0 && rest > 0 ? ` through ${plural(rest, 'step')}` : ''}</>};{' '}
      {down === 0 ? 'nothing depends on it.' : down === served.length ? <>{served.length === 1 ? 'the endpoint' : 'the endpoints'} <b>{served.join(' and ')}</b> {down === 1 ? 'depends' : 'depend'} on it.</> : <><b>{plural(down, 'thing')}</b> depend on it{served.length > 0 ? <>, among them <b>{served.join(' and ')}</b></> : ''}.</>}
    </>
  )
}

function NodeDrawer({ lineage, node, onClose, onCentre }: { lineage: Lineage; node: LineageNode; onClose: () => void; onCentre: (id: string) => void }) {
  const to = pageOf(node.kind, idOf(node.id))
  const name = (id: string) => lineage.nodes.find((n) => n.id === id)?.label ?? idOf(id)
  const edges = lineage.edges.filter((e) => e.from === node.id || e.to === node.id)
  return (
    <Drawer label="Node" title={node.label} onClose={onClose} actions={<CopyButton text={node.id} label="Copy id" />} footer={<><button type="button" className="btn" onClick={() => onCentre(node.id)}>Centre here</button>{to && <Go className="btn pri" to={to}>Open it</Go>}</>}>
      <div className="ds"><KeyValues items={[['Kind', words(node.kind)], ['Id', <span key="i" className="mono">{idOf(node.id)}</span>], ...Object.entries(node.meta ?? {}).map(([k, v]): [string, ReactNode] => [words(k), v === null || v === undefined ? '' : typeof v === 'object' ? <span key={k} className="mono">{JSON.stringify(v)}</span> : String(v)])]} /></div>
      <div className="ds"><div className="sec">Links</div>{edges.map((e) => <div key={e.from + e.to + e.relation} className="text-sm py-1"><span className="text-2">{e.from === node.id ? <>{words(e.relation)} <b className="text-1">{name(e.to)}</b></> : <><b className="text-1">{name(e.from)}</b> {words(e.relation)} it</>}</span>{e.at && <span className="text-3 block text-xs"><Time at={e.at} />{e.actor ? ` by ${who(e.actor).name}` : ''}</span>}</div>)}</div>
    </Drawer>
  )
}

/** Without a node: where to start. */
function Start() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const endpoints = useQuery(q.endpoints())
  const models = useQuery(q.models())
  const datasets = useQuery(q.datasets())
  const groups = [
    { title: 'Endpoints', items: endpoints.data?.items.map((e) => ({ id: `endpoint:${e.name}`, label: e.name })) },
    { title: 'Models', items: models.data?.items.flatMap((m) => (m.latest_version ? [{ id: `version:${m.name}/${m.latest_version}`, label: `${m.name} v${m.latest_version}` }] : [])) },
    { title: 'Datasets', items: datasets.data?.items.flatMap((d) => (d.latest_version ? [{ id: `dataset_version:${d.name}/${d.latest_version}`, label: `${d.name} v${d.latest_version}` }] : [])) },
  ]
  const none = groups.every((g) => g.items?.length === 0)
  return (
    <Page title="Lineage" verdict="Where a thing comes from and what depends on it, from data to prediction. Start from one of these, or from the Lineage button of any page.">
      {none ? <section className="panel"><Empty title="Nothing is linked yet" command={cli.mlflow()}>Edges come from what happens: a run that reads a dataset, a version that is registered, an endpoint that serves.</Empty></section> : (
        <>
          <div className="flex mb-3"><FilterBox value="" onEnter placeholder="kind:id, such as version:bike-demand/3" onChange={(node) => node.includes(':') && void navigate({ search: { ...search, node } })} /></div>
          <div className="grid gap-3.5 cols:grid-cols-3">{groups.map((g) => <Panel key={g.title} title={g.title} right={g.items?.length}>{g.items === undefined ? <Skeleton rows={3} widths={['60%']} /> : g.items.length === 0 ? <p className="p-3.5 text-3">None yet.</p> : <div className="py-1 max-h-[50vh] overflow-auto">{g.items.map((i) => <Go key={i.id} to={href.lineage(i.id)} className="block px-3.5 py-1.5 hover:bg-hover">{i.label}</Go>)}</div>}</Panel>)}</div>
        </>
      )}
    </Page>
  )
}
