import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Link2, Plus, X } from 'lucide-react'
import { useDeferredValue, useMemo, useState, type ReactNode } from 'react'
import { epochKey } from '@/charts/curve'
import { seriesStyle } from '@/charts/maths'
import { Parallel, type ParallelRow } from '@/charts/Parallel'
import { Artifacts } from '@/features/compare/Artifacts'
import { Curve, CurveSwitches, type CurveView } from '@/features/compare/Curves'
import { Register } from '@/features/compare/Register'
import { Relations } from '@/features/compare/Relations'
import { Champion, useChampion, type Reigning } from '@/features/compare/Champion'
import { columnIds, columnLabel, dealLooks, dimOf, groupings, groupsOf, judged, limitTexts, listed, lookOf, metricKeys, parseLimits, unlisted, usualAxes, type Look, type RunGroup } from '@/features/compare/select'
import { Values } from '@/features/compare/Values'
import { q } from '@/lib/api/queries'
import type { Run } from '@/lib/api/types'
import { duration, millis, num, plural, signed } from '@/lib/format'
import { href } from '@/lib/href'
import { BetterProvider, useBetter } from '@/lib/better'
import { best, betterOf, isEpoch, mainMetric } from '@/lib/metrics'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Switch } from '@/ui/Controls'
import { Go, useGo } from '@/ui/Go'
import { Menu, MenuChoice, MenuLabel, MenuToggle } from '@/ui/Menu'
import { Page, Tabs } from '@/ui/Page'
import { Tag } from '@/ui/Status'
import { toast } from '@/ui/toasts'

const route = getRouteApi('/compare')
const most = 100
const usualCharts = 3
const mostContext = 500
const legendMost = 14

export function Compare(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const go = useGo()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const ids = useMemo(() => [...new Set(search.runs ?? [])].slice(0, most), [search.runs])
  const [live, setLive] = useState(false)
  const [register, setRegister] = useState(false)
  const query = useQuery(q.runsById(ids, live))
  const found = useMemo(() => {
    const byId = new Map((query.data?.items ?? []).map((r) => [r.id, r]))
    return ids.flatMap((id) => { const r = byId.get(id); return r ? [r] : [] })
  }, [query.data, ids])
  const running = found.some((r) => r.status === 'RUNNING')
  if (running !== live) setLive(running)
  const [slots, setSlots] = useState<ReadonlyMap<string, number>>(() => dealLooks(ids, new Map()))
  const dealt = dealLooks(ids, slots)
  if (slots.size !== dealt.size || ids.some((id) => slots.get(id) !== dealt.get(id))) setSlots(dealt)
  const looks = useMemo(() => new Map([...slots].map(([id, slot]) => [id, lookOf(slot)])), [slots])
  const homes = [...new Set(found.map((r) => r.experiment_id))]
  const home = homes.length === 1 ? homes[0] : undefined
  const experiment = useQuery({ ...q.experiment(home ?? ''), enabled: home !== undefined })
  const others = useQuery({ ...q.experiments(), enabled: homes.length > 1 })
  const declared = JSON.stringify(home !== undefined ? [experiment.data?.best] : (others.data?.items ?? []).filter((e) => homes.includes(e.id)).map((e) => e.best))
  const better = useMemo(() => betterOf(...(JSON.parse(declared) as (Record<string, string> | null)[]).map((d) => d ?? undefined)), [declared])
  const reigning = useChampion(found, found.length > 0)
  const crumbs = [{ label: 'Experiments', to: '/experiments' as const }, ...(home !== undefined ? [{ label: experiment.data?.name ?? '…', to: '/experiments/$id' as const, params: { id: home }, search: { runs: ids } }] : [])]
  if (ids.length === 0) return <Page crumbs={crumbs} title="Compare runs"><section className="panel"><Empty title="No run chosen" link={<Go className="link" to={href.experiments}>Choose an experiment</Go>}>Select runs in an experiment with X and press C.</Empty></section></Page>
  const gone = query.data && !query.isPlaceholderData ? ids.length - found.length : 0
  const hidden = new Set(search.hide ?? [])
  const runs = found.filter((r) => !hidden.has(r.id))
  const keys = metricKeys(found)
  const main = mainMetric(keys, better)
  const top = main ? best(found, main, better) : undefined
  const tab = search.tab ?? 'values'
  const legend = <Legend runs={found} looks={looks} hidden={hidden} reigning={reigning} onHide={(hide) => set({ hide: hide.size > 0 ? [...hide] : undefined })} onRemove={(id) => set({ runs: ids.filter((o) => o !== id), hide: search.hide?.filter((o) => o !== id) })} />
  return (
    <Page crumbs={crumbs} title={`Compare ${plural(ids.length, 'run')}`} bare verdict={found.length > 1 ? <BetterProvider value={better}><Verdict runs={found} keys={keys} main={main} /><Champion runs={found} reigning={reigning} main={main} top={top} /></BetterProvider> : undefined}
      actions={<><button type="button" className="btn ghost" onClick={() => void navigator.clipboard.writeText(location.href).then(() => toast({ kind: 'ok', text: 'Link copied; it opens exactly this view' }))}><Link2 size={14} />Copy link</button>{home !== undefined && <button type="button" className="btn" onClick={() => go(href.experiment(home, { runs: ids.join(',') }))}><Plus size={14} />Add runs</button>}{top && (top.models?.length ?? 0) > 0 && <button type="button" className="btn pri" onClick={() => setRegister(true)}>Register best…</button>}</>}
      tabs={<Tabs value={tab} items={[{ value: 'values', label: 'Curves and values' }, { value: 'relations', label: 'Relations' }, { value: 'files', label: 'Files' }]} />}>
      <BetterProvider value={better}><div className={`body ${query.isPlaceholderData ? 'stale' : ''}`}>
        {query.error && found.length === 0 ? <ErrorPanel error={query.error} title="The runs can't be read" onRetry={() => void query.refetch()} /> : !query.data ? <Skeleton rows={6} /> : (
          <div className="flex flex-col gap-3.5">
            {gone > 0 && <p className="text-2 text-sm" role="status">{plural(gone, 'run')} of this link {gone === 1 ? 'is' : 'are'} not there any more: deleted, or of another server.</p>}
            {found.length === 0 ? <section className="panel"><Empty title="None of these runs is there" link={<Go className="link" to={href.experiments}>Choose an experiment</Go>}>They may be deleted. Choose others and press C.</Empty></section>
              : tab === 'files' ? <>{legend}<Artifacts runs={runs} looks={looks} file={search.file} onFile={(file) => set({ file })} a={search.a} b={search.b} onPair={(a, b) => set({ a, b })} /></>
                : tab === 'relations' ? <Related runs={runs} looks={looks} home={home} main={main} legend={legend} />
                  : <Overview runs={runs} looks={looks} home={home} main={main} keys={keys} legend={legend} />}
          </div>
        )}
      </div></BetterProvider>
      {top && main && register && <Register key={top.id} run={top} why={`best of ${found.length} runs by ${main}, ${num(top.metrics[main])}`} open onClose={() => setRegister(false)} />}
    </Page>
  )
}

/** The runs with their colours; a click hides one, so that lines on top of each other can be told apart. */
function Legend({ runs, looks, hidden, reigning, onHide, onRemove }: { runs: readonly Run[]; looks: ReadonlyMap<string, Look>; hidden: ReadonlySet<string>; reigning: Reigning | undefined; onHide: (hidden: Set<string>) => void; onRemove: (id: string) => void }) {
  const [all, setAll] = useState(false)
  const shown = all ? runs : runs.slice(0, legendMost)
  const toggle = (id: string) => { const next = new Set(hidden); if (!next.delete(id)) next.add(id); onHide(next) }
  return (
    <div className="legend" role="group" aria-label="Runs">
      {shown.map((r) => {
        const look = looks.get(r.id)
        const off = hidden.has(r.id)
        return (
          <span key={r.id} className="group/l !gap-0.5">
            <button type="button" aria-pressed={!off} className={`inline-flex items-center gap-1.5 min-h-6 rounded-tag px-1 hover:bg-hover ${off ? 'text-3 line-through' : 'text-1'}`} title={`${off ? 'Show' : 'Hide'} ${r.name}`} onClick={() => toggle(r.id)}>
              <svg width="14" height="8" aria-hidden="true"><path d="M0 4H14" stroke={off ? 'var(--idle-fill)' : look?.color} strokeWidth="2.4" strokeDasharray={look?.dash ? '4 2.5' : undefined} /></svg><span className="clip max-w-64">{r.name}</span>
            </button>{reigning?.run === r.id && <Tag>{reigning.model} v{reigning.version} champion</Tag>}
            {runs.length > 1 && <button type="button" className="inline-grid place-items-center w-6 h-6 -ml-1 text-3 opacity-0 group-hover/l:opacity-100 focus-visible:opacity-100" aria-label={`Take ${r.name} out of the comparison`} onClick={() => onRemove(r.id)}><X size={12} /></button>}
          </span>
        )
      })}
      {runs.length > legendMost && <button type="button" className="link min-h-6" onClick={() => setAll(!all)}>{all ? 'Fewer' : `${runs.length - legendMost} more`}</button>}
      {hidden.size > 0 && <button type="button" className="link min-h-6" onClick={() => onHide(new Set())}>Show all</button>}
    </div>
  )
}

interface PartProps {
  runs: readonly Run[]
  looks: ReadonlyMap<string, Look>
  home: string | undefined
  main: string | undefined
  legend: ReactNode
}

/** The other runs of the experiment, as context behind the compared ones. */
function useContext({ runs, looks, home }: Omit<PartProps, 'legend'>, alone: boolean): { all: Run[]; rows: ParallelRow[]; missing: number } {
  const query = useQuery({ ...q.newestRuns(home ?? '', mostContext), enabled: home !== undefined && !alone })
  return useMemo(() => {
    const chosen = new Set(runs.map((r) => r.id))
    const others = alone ? [] : (query.data?.items ?? []).filter((r) => !chosen.has(r.id) && !looks.has(r.id) && r.experiment_id === home)
    const all = [...others, ...runs]
    return { all, missing: alone ? 0 : Math.max(0, (query.data?.total ?? 0) - (query.data?.items.length ?? 0)), rows: all.map((r) => ({ id: r.id, label: r.name, ...(chosen.has(r.id) ? { color: looks.get(r.id)?.color, dash: looks.get(r.id)?.dash ?? false } : {}) })) }
  }, [runs, looks, query.data, alone, home])
}

function Overview({ keys, legend, ...part }: PartProps & { keys: readonly string[] }) {
  const { runs, looks, main } = part
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const zoom = /^(-?[\d.]+)\.\.(-?[\d.]+)$/.exec(search.zoom ?? '')
  const better = useBetter()
  const view: CurveView = { smooth: search.smooth ?? 0, axis: search.x ?? 'step', log: search.log ?? false, zoom: zoom ? [Number(zoom[1]), Number(zoom[2])] : undefined }
  // The slider answers at once; the lines follow as fast as they can be drawn.
  const drawn = useDeferredValue(view.smooth)
  const ordered = main ? [main, ...keys.filter((k) => k !== main).sort((a, b) => Number(isEpoch(a)) - Number(isEpoch(b)) || Number(better(a) === undefined) - Number(better(b) === undefined) || a.localeCompare(b))] : [...keys]
  const wanted = unlisted(search.charts)?.filter((k) => keys.includes(k))
  const shown = wanted ?? ordered.slice(0, usualCharts)
  const focus = main ? best(runs, main, better)?.id : undefined
  const ways = useMemo(() => groupings(runs), [runs])
  const by = search.group !== undefined && ways.includes(search.group) ? search.group : undefined
  const groups = useMemo(() => (by === undefined ? undefined : groupsOf(runs, by)), [by, runs])
  const onZoom = (z: [number, number] | undefined) => set({ zoom: z && `${Number(z[0].toPrecision(7))}..${Number(z[1].toPrecision(7))}` })
  return (
    <>
      {keys.length === 0 ? legend : (
        <>
          <div className="flex flex-wrap gap-x-4 gap-y-2 items-center -mt-1">
            <div className="min-w-0">{groups && by !== undefined ? <GroupLegend by={by} groups={groups} /> : legend}</div><span className="ml-auto" />
            <CurveSwitches view={view} epochs={runs.some((r) => epochKey(r.metrics))} onChange={(v) => set({ smooth: v.smooth || undefined, x: v.axis === 'step' ? undefined : v.axis, log: v.log || undefined, ...(v.zoom ? {} : { zoom: undefined }) })}>
              {ways.length > 0 && <Menu label="Group the curves" trigger={<button type="button" className="btn s">{by === undefined ? 'Group' : `By ${columnLabel(by)}`}</button>}><MenuLabel>Mean and range of the runs that share a value</MenuLabel><div className="max-h-[50vh] overflow-auto"><MenuChoice checked={by === undefined} onSelect={() => set({ group: undefined })}>Each run by itself</MenuChoice>{ways.map((id) => <MenuChoice key={id} checked={id === by} onSelect={() => set({ group: id })}>{columnLabel(id)}{id.startsWith('t:') && <span className="text-3"> tag</span>}</MenuChoice>)}</div></Menu>}
              {keys.length > 1 && <Menu label="Charts" trigger={<button type="button" className="btn s">Charts {shown.length} of {keys.length}</button>}>{ordered.map((k) => <MenuToggle key={k} checked={shown.includes(k)} onChange={(on) => set({ charts: listed(on ? [...shown, k] : shown.filter((o) => o !== k)) })}>{k}</MenuToggle>)}</Menu>}
            </CurveSwitches>
          </div>
          <div className={`grid gap-3.5 ${shown.length > 2 ? 'cols:grid-cols-3 sheet:grid-cols-2' : shown.length === 2 ? 'sheet:grid-cols-2' : ''}`}>{shown.map((k) => <section key={k} className="panel px-3.5 py-2"><Curve metric={k} runs={runs} looks={looks} groups={groups} view={{ ...view, smooth: drawn }} focus={focus} onZoom={onZoom} height={shown.length === 1 && runs.length > 4 ? 260 : 164} /></section>)}</div>
        </>
      )}
      <Lines {...part} />
      <Values runs={runs} looks={looks} all={search.all ?? false} onAll={(all) => set({ all: all || undefined })} turned={search.turn ? search.turn === 'rows' : runs.length > 10} onTurn={(t) => set({ turn: t ? 'rows' : 'columns' })}
        reference={search.ref} onReference={(ref) => set({ ref })} find={search.find ?? ''} onFind={(find) => set({ find: find || undefined })} />
    </>
  )
}

/** Parallel coordinates over the whole experiment, the compared runs in front. */
function Lines(part: Omit<PartProps, 'legend'>) {
  const { runs, main } = part
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const { all, rows, missing } = useContext(part, search.alone ?? false)
  const better = useBetter()
  const possible = useMemo(() => columnIds(all), [all])
  const axes = useMemo(() => {
    const wanted = unlisted(search.axes)?.filter((id) => possible.includes(id))
    return wanted && wanted.length > 0 ? wanted : usualAxes(all, main, better)
  }, [search.axes, possible, all, main, better])
  const dims = useMemo(() => axes.map((id) => dimOf(all, id)), [axes, all])
  const brushes = useMemo(() => new Map([...parseLimits(search.limits)].filter(([id]) => axes.includes(id))), [search.limits, axes])
  if (axes.length < 2 || all.length < 2) return null
  const move = (id: string, by: -1 | 1) => { const i = axes.indexOf(id); const next = [...axes]; next.splice(i, 1); next.splice(i + by, 0, id); set({ axes: listed(next) }) }
  return (
    <section className="panel px-3.5 pt-2.5 pb-1">
      <Parallel title="Parameters against result" note={`${missing > 0 ? `the newest ${plural(all.length, 'run')}` : plural(all.length, 'run')}${all.length > runs.length ? `, ${runs.length} compared in front` : ''}${brushes.size > 0 ? `, kept: ${[...brushes].map(([id, [a, b]]) => `${columnLabel(id)} ${typeof a === 'number' ? num(a) : a} to ${typeof b === 'number' ? num(b) : b}`).join('; ')}` : '. Drag along an axis, or open its name, to keep a range'}`}
        dims={dims} rows={rows} brushes={brushes} fit={search.fit ?? false}
        onBrush={(id, b) => { const next = new Map(brushes); if (b) next.set(id, b); else next.delete(id); set({ limits: limitTexts(next) }) }} onMove={move} onRemove={(id) => set({ axes: listed(axes.filter((o) => o !== id)) })}
        right={
          <span className="flex items-center gap-3 text-sm text-2">
            {brushes.size > 0 && <><Switch checked={search.fit ?? false} onChange={(fit) => set({ fit: fit || undefined })}>Fit</Switch><button type="button" className="btn s" onClick={() => set({ limits: undefined, fit: undefined })}>Clear limits</button></>}
            {part.home !== undefined && <Switch checked={!search.alone} onChange={(on) => set({ alone: on ? undefined : true })}>Whole experiment</Switch>}
            <Menu label="Axes" trigger={<button type="button" className="btn s">Axes {axes.length} of {possible.length}</button>}>
              <div className="max-h-[50vh] overflow-auto">
                <MenuToggle checked={axes.length === possible.length} onChange={(on) => set({ axes: on ? listed(possible) : undefined })}>{axes.length === possible.length ? 'The usual ones' : 'All'}</MenuToggle>
                {possible.map((id) => <MenuToggle key={id} checked={axes.includes(id)} onChange={(on) => set({ axes: listed(on ? [...axes, id] : axes.filter((o) => o !== id)) })}>{columnLabel(id)}{id.startsWith('m:') && <span className="text-3"> metric</span>}{id.startsWith('t:') && <span className="text-3"> tag</span>}</MenuToggle>)}
              </div>
            </Menu>
          </span>
        } />
    </section>
  )
}

function Related({ legend, ...part }: PartProps) {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const go = useGo()
  const { all, rows } = useContext(part, search.alone ?? false)
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  return (
    <>
      {part.home === undefined ? legend : <div className="flex flex-wrap gap-x-4 gap-y-2 text-sm text-2">{legend}<span className="ml-auto" /><Switch checked={!search.alone} onChange={(on) => set({ alone: on ? undefined : true })}>Whole experiment</Switch></div>}
      <Relations runs={all} rows={rows} main={part.main} plot={search.plot ?? 'scatter'} x={search.px} y={search.py} z={search.pz} by={search.by} onChange={({ plot, ...rest }) => set({ ...(plot ? { plot: plot === 'scatter' ? undefined : plot } : {}), ...rest })} onOpen={(id) => go(href.run(id))} />
    </>
  )
}

/** The groups with their colours, in place of the runs. */
function GroupLegend({ by, groups }: { by: string; groups: readonly RunGroup[] }) {
  return <div className="legend" role="group" aria-label={`Groups by ${columnLabel(by)}`}>{groups.map((g, i) => <span key={g.name} className="!gap-1.5 min-h-6"><svg width="14" height="8" aria-hidden="true"><path d="M0 4H14" stroke={seriesStyle(i).color} strokeWidth="2.4" /></svg>{columnLabel(by)} {g.name}<span className="text-3">{plural(g.runs.length, 'run')}</span></span>)}</div>
}

function Verdict({ runs, keys, main }: { runs: readonly Run[]; keys: readonly string[]; main: string | undefined }) {
  const better = useBetter()
  if (keys.length === 0 || !main) return <>These runs logged no metric; what differs between them is below.</>
  if (better(main) === undefined) return <>Neither the names of these metrics nor their experiment say which direction is better, so no run is called the best.</>
  const has = (r: Run) => Number.isFinite(r.metrics[main] ?? NaN)
  const top = best(runs, main, better)
  if (!top) return <>No run has a finite {main}, so none is the best.</>
  const value = top.metrics[main]!
  const rivals = runs.filter((r) => r.id !== top.id && has(r))
  const second = best(rivals, main, better)
  if (!second) return <><b>Only {top.name} has a finite {main}</b>, {num(value)}: there is nothing to compare it with.</>
  const gap = value - second.metrics[main]!
  if (gap === 0) { const equal = rivals.filter((r) => r.metrics[main] === value).length; return <><b>{top.name}</b> and {equal === 1 ? second.name : `${equal} others`} are equal: {main} {num(value)}.</> }
  const all = judged(runs, keys, better)
  const wins = all.filter((k) => best(runs, k, better)?.id === top.id).length
  const took = (r: Run) => (r.end_time ? millis(r.end_time) - millis(r.start_time) : undefined)
  const more = took(top) !== undefined && took(second) !== undefined ? took(top)! - took(second)! : undefined
  return <><b>{top.name}</b> is best{all.length > 1 && ` on ${wins} of ${plural(all.length, 'metric')}`}: {main} {num(value)}, <b>{signed(gap)}</b> to the next, {second.name}.{more !== undefined && Math.abs(more) >= 1000 && ` It took ${duration(Math.abs(more))} ${more > 0 ? 'longer' : 'less'}.`}</>
}
