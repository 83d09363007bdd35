import { useQuery, useQueryClient } from '@tanstack/react-query'
import { ChartLine, Download, Group, MoreHorizontal, X } from 'lucide-react'
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { seriesStyle } from '@/charts/maths'
import { http } from '@/lib/api/http'
import { loadCurves } from '@/lib/api/histories'
import type { Experiment, Run } from '@/lib/api/types'
import { cli } from '@/lib/cli'
import { betterWords, useBetter } from '@/lib/better'
import { bytes, count, ms, plural } from '@/lib/format'
import { href } from '@/lib/href'
import { isEpoch, lowerIsBetter, mainMetric } from '@/lib/metrics'
import { saveBlob } from '@/lib/save'
import { parseSort, sortText } from '@/lib/url'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { FilterBox } from '@/ui/FilterBox'
import { useGo } from '@/ui/Go'
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine, MenuToggle } from '@/ui/Menu'
import { toast } from '@/ui/toasts'
import { Bulk } from './Bulk'
import { ColumnChooser } from './ColumnChooser'
import { comparable, differing, moved, narrowed, parseColumn, quoted, title, usualColumns, type Keys } from './columns'
import { chartGroups, GroupChart } from './GroupChart'
import { Groups } from './Groups'
import { CurveControls, curveSearch, curveView, MetricChart, runColors } from './MetricChart'
import { RunDrawer } from './RunDrawer'
import { RunGrid, type Density } from './RunGrid'
import { exportRuns, firstIds, mostSelected, refusal, runQueries, useRuns, type RunsQuery } from './source'
import { readView, viewOf, type ViewQuery } from './view'
import { Views } from './Views'
import { parseWidths, withWidth } from './widths'

const mostCurves = 8
const contextCurves = 10
/** More selected runs than an address should hold are kept by the page alone. */
const mostInAddress = 40

export interface RunsSearch extends ViewQuery {
  runs?: readonly string[] | undefined
  run?: string | undefined
  view?: string | undefined
}

interface Props {
  experiment: Experiment
  search: RunsSearch
  set: (change: Partial<RunsSearch>) => void
}

/** The runs of an experiment: question, chart, table, and what can be done with them. */
export function RunsTab({ experiment: e, search, set }: Props): ReactNode {
  const go = useGo()
  const sort = parseSort(search.sort)
  const query = useMemo<RunsQuery>(() => ({ experiment: e.id, filter: search.filter ?? '', order: parseSort(search.sort), columns: search.cols && withMetric(search.cols, search.metric) }), [e.id, search.filter, search.sort, search.cols, search.metric])
  const rows = useRuns(query)
  const keys = useExperimentKeys(e.id, rows.first)
  const better = useBetter()
  const metric = search.metric ?? mainMetric(keys.metrics, better)
  const lower = metric ? better(metric) : undefined
  const winner = useQuery({ ...runQueries.best(query, metric ?? '', lower ?? true), enabled: metric !== undefined && lower !== undefined && rows.total > 0 && refusal(rows.error) === undefined }).data ?? undefined
  const [selected, select] = useSelection(search.runs, (runs) => set({ runs }))
  const widths = useMemo(() => parseWidths(search.wide), [search.wide])
  const sample = rows.first?.items
  const usual = useMemo(() => usualColumns(keys, metric, sample ?? [], better), [keys, metric, sample, better])
  const chosen = search.cols ?? withCurve(usual, metric)
  const asked = useMemo(() => (search.diff ? [...new Set(chosen.flatMap((id) => comparable(id) ?? []))].sort() : []), [chosen, search.diff])
  const { data: varied, isLoading: looking } = useQuery(runQueries.varied(query, asked))
  const columns = useMemo(() => (search.diff && varied && varied.runs > 1 ? differing(chosen, varied.columns) : [...chosen]).filter((id) => parseColumn(id) !== undefined && id !== 'name'), [chosen, search.diff, varied])
  const pinned = useMemo(() => new Set(search.pin ?? []), [search.pin])
  const density: Density = search.rows ?? 'usual'
  const chart = useChartRuns(rows.here, selected, search.runs, metric, winner)
  const [visible, setVisible] = useState<readonly Run[]>([])
  const curves = useCurves(columns.includes('curve') ? metric : undefined, visible)
  const filterError = refusal(rows.error)
  const grouped = (search.group?.length ?? 0) > 0
  const setColumns = (cols: string[] | undefined) => set({ cols })
  const groups = useQuery({ ...runQueries.groups(query, search.group ?? [], metric ? [metric] : []), enabled: grouped && metric !== undefined }).data?.items
  const groupColors = useMemo(() => new Map(search.chart === 'off' ? [] : (groups ?? []).slice(0, chartGroups).map((g, i) => [JSON.stringify(g.keys), seriesStyle(i).color])), [groups, search.chart])
  const move = (id: string, to: string) => {
    const pins = new Set(pinned)
    if (pins.has(to)) pins.add(id)
    else pins.delete(id)
    const pin = moved([...new Set([...(search.pin ?? []), ...pins])].filter((c) => pins.has(c)), id, to)
    set({ cols: moved(arranged(chosen, pinned), id, to), pin: pin.length > 0 ? pin : undefined })
  }
  const compare = () => go(href.compare([...selected].slice(0, 20)))
  const selectAll = async () => {
    const { ids, total } = await firstIds(query, mostSelected)
    select(new Set(ids))
    if (total > ids.length) toast({ kind: 'info', text: `Selected the first ${count(ids.length)} of ${plural(total, 'run')}; a filter makes them fewer` })
  }
  const suggestions = useSuggestions(keys)
  const onVisible = useCallback((runs: readonly Run[]) => setVisible(runs), [])
  const empty = rows.total === 0 && !rows.pending
  return (
    <div className="flex flex-1 min-h-0">
      <div className="flex-1 min-w-0 flex flex-col min-h-0 relative">
        <div className="flex flex-wrap gap-2 px-6 pt-3 pb-2.5">
          <div className="flex flex-1 min-w-60"><FilterBox mono onEnter value={search.filter ?? ''} placeholder='metrics.val_mae < 46 and params.model = "lightgbm"' error={filterError?.message} suggestions={suggestions} onChange={(filter) => set({ filter: filter || undefined })} /></div>
          <Views experiment={e.id} current={search.view} query={viewOf(search)} onOpen={(v) => set(v ? { ...readView(v.query), view: v.id } : { ...readView({}), view: undefined })} />
          <GroupMenu keys={keys} by={search.group ?? []} onChange={(group) => set({ group: group.length > 0 ? group : undefined })} />
          <ColumnChooser keys={keys} main={metric} columns={chosen} onChange={setColumns} onlyDiffering={search.diff ?? false} onOnlyDiffering={(diff) => set({ diff: diff || undefined })} />
          <More density={density} chart={search.chart !== 'off'} set={set} total={rows.total} onDownload={() => void download(`${e.name}-runs.csv`, () => exportRuns({ query }, columns))} />
        </div>
        {filterError && <p className="text-bad text-sm px-6 pb-2" role="alert">{filterError.message}{filterError.hint && ` ${filterError.hint}`}</p>}
        {metric && !empty && (
          <div className="px-6 pb-1">
            <div className="relative z-3 flex flex-wrap items-center min-h-7 gap-x-2 gap-y-1 text-sm">
              <b aria-live="polite">{plural(rows.total, 'run')}</b>{rows.took !== undefined && <span className="text-3">in {ms(rows.took)}</span>}
              <MetricMenu experiment={e} keys={keys.metrics} value={metric} onChange={(m) => set({ metric: m })} /><span className="text-3 not-sheet">{betterWords(lower)}</span>
              <span className="flex-1" />
              {search.chart !== 'off' && <CurveControls view={curveView(search)} epochs={keys.metrics.some(isEpoch)} onChange={(v) => set(curveSearch(v))} />}
              <button type="button" className="btn ghost icon s" aria-label={search.chart === 'off' ? 'Show the chart' : 'Hide the chart'} title={search.chart === 'off' ? 'Show the chart' : 'Hide the chart'} onClick={() => set({ chart: search.chart === 'off' ? undefined : 'off' })}>{search.chart === 'off' ? <ChartLine size={14} /> : <X size={14} />}</button>
            </div>
            {search.chart !== 'off' && (
              grouped ? <div><GroupChart query={query} metric={metric} groups={groups ?? []} view={curveView(search)} height={172} /></div>
              : <div className="grid grid-cols-[minmax(0,1fr)] sheet:grid-cols-[minmax(0,1fr)_auto] gap-x-3">
                <div className="untitled"><MetricChart metric={metric} runs={chart.shown} context={chart.context} colors={chart.colors} view={curveView(search)} height={172} /></div>
                <div className="flex flex-wrap gap-x-3 sheet:flex-col sheet:flex-nowrap sheet:justify-end pb-2 sheet:pb-6 gap-y-0.5 text-xs text-2 sheet:w-32">{chart.shown.map((r) => <span key={r.id} className="flex items-center gap-1.5 min-w-0"><i className="sw" style={{ background: chart.colors.get(r.id) }} /><span className="clip">{r.name}</span></span>)}</div>
              </div>
            )}
          </div>
        )}
        {rows.error !== undefined && rows.error !== null && !filterError && !empty && <div className="px-6 pb-2"><ErrorBox error={rows.error} title="Can't read these runs; those of before are shown" onRetry={rows.retry} /></div>}
        {grouped && <GroupLine by={search.group ?? []} onClear={() => set({ group: undefined })} />}
        {search.diff && !grouped && looking && <p className="px-6 pb-2 text-sm text-2" role="status">Looking for the columns that differ</p>}
        {search.diff && !grouped && varied && varied.runs > 1 && chosen.length > columns.length && <p className="px-6 pb-2 text-sm text-2" role="status">{plural(chosen.length - columns.length, 'column')} {chosen.length - columns.length === 1 ? 'is' : 'are'} hidden: the same in all {plural(varied.runs, 'run')}. <button type="button" className="link" onClick={() => set({ diff: undefined })}>Show all columns</button></p>}
        <div className={`flex-1 min-h-0 flex flex-col border-t border-border bg-raised ${rows.stale ? 'stale' : ''}`}>
          {rows.pending ? <Skeleton rows={10} /> : rows.error && !filterError && empty ? <div className="p-3.5"><ErrorBox error={rows.error} title="Can't read the runs" onRetry={rows.retry} /></div>
            : empty ? <div className="px-2.5 max-[800px]:px-0.5">{search.filter ? <Empty title="No run fits the filter">Change it, or <button type="button" className="link" onClick={() => set({ filter: undefined })}>show all runs</button>.</Empty>
              : <Empty title="No runs yet" command={`${cli.mlflow()}\nexport MLFLOW_EXPERIMENT_NAME='${e.name.replaceAll("'", "'\\''")}'`}>Point your MLflow code here and the first run appears by itself.</Empty>}</div>
              : grouped ? <Groups query={query} by={search.group ?? []} columns={chosen} main={metric} colors={groupColors} onOpen={(g) => set({ group: undefined, filter: narrowed(search.filter, g.keys) })} />
                : <RunGrid label={`Runs of ${e.name}`} rows={rows} columns={columns} pinned={pinned} widths={widths} density={density} sort={sort} selected={selected} colors={chart.colors} focused={search.run} best={winner?.id}
                  bar={metric && lower !== undefined ? { metric, better: lower ? 'low' : 'high' } : undefined} curves={curves} onSort={(s) => set({ sort: sortText(s) })} onSelect={select} onSelectAll={() => void selectAll().catch((error: unknown) => toast({ kind: 'bad', text: `Not selected: ${error instanceof Error ? error.message : String(error)}` }))} onOpen={(r) => set({ run: r.id })}
                  onWidth={(id, w) => set({ wide: withWidth(search.wide, id, w) })} onMove={move} onPin={(id) => set({ pin: toggled(search.pin, id) })} onHide={(id) => setColumns(chosen.filter((c) => c !== id))}
                  onAggregate={(id, a) => { const c = parseColumn(id); if (c?.kind === 'metric') setColumns([...new Set(chosen.map((x) => (x === id ? `${a ?? 'm'}:${c.key}` : x)))]) }} onGroup={(id) => set({ group: [id] })} onVisible={onVisible} />}
        </div>
        {selected.size > 0 && !grouped && <Bulk experiment={e.id} selected={selected} tags={keys.tags} onCompare={compare} onClear={() => select(new Set())} onExport={() => void download(`${e.name}-selected.csv`, () => exportRuns({ runs: [...selected] }, columns))} />}
      </div>
      {search.run && <RunDrawer key={search.run} id={search.run} winner={winner && winner.id !== search.run ? winner : undefined} metric={metric} color={chart.colors.get(search.run)} onClose={() => set({ run: undefined })} />}
    </div>
  )
}

/** Columns as the table shows them: the pinned ones first. */
const arranged = (columns: readonly string[], pinned: ReadonlySet<string>): string[] => [...columns.filter((c) => pinned.has(c)), ...columns.filter((c) => !pinned.has(c))]
const toggled = (list: readonly string[] | undefined, id: string): string[] | undefined => {
  const next = list?.includes(id) ? list.filter((x) => x !== id) : [...(list ?? []), id]
  return next.length > 0 ? next : undefined
}

/** The chart and the winner need the main metric even where its column is hidden. */
function withMetric(columns: readonly string[], metric: string | undefined): string[] {
  return metric && !columns.includes(`m:${metric}`) ? [...columns, `m:${metric}`] : [...columns]
}

function withCurve(columns: readonly string[], metric: string | undefined): string[] {
  const at = columns.indexOf(`m:${metric}`)
  return at < 0 ? [...columns] : [...columns.slice(0, at + 1), 'curve', ...columns.slice(at + 1)]
}

/** All keys of the experiment; while they are on their way, those of the first page. */
function useExperimentKeys(id: string, first: { metric_keys?: string[]; param_keys?: string[] } | undefined): Keys {
  const keys = useQuery(runQueries.keys(id)).data
  return useMemo(() => keys ?? { metrics: first?.metric_keys ?? [], params: first?.param_keys ?? [], tags: [] }, [keys, first])
}

function useSuggestions(keys: Keys): string[] {
  return useMemo(() => [...keys.metrics.flatMap((k) => [`metrics.${quoted(k)}`, `min(metrics.${quoted(k)})`, `max(metrics.${quoted(k)})`]), ...keys.params.map((k) => `params.${quoted(k)}`), ...keys.tags.map((k) => `tags.${quoted(k)}`),
    'attributes.status', 'attributes.run_name', 'attributes.start_time', 'attributes.end_time', 'attributes.duration_s', 'and', 'or', 'not', 'in', 'like', 'ilike', 'is null'], [keys])
}

/** Selected runs, in the order they were chosen, so that they keep their colours; in the address as long as they are few. */
function useSelection(inAddress: readonly string[] | undefined, put: (runs: string[] | undefined) => void): [ReadonlySet<string>, (next: ReadonlySet<string>) => void] {
  const [many, setMany] = useState<ReadonlySet<string> | undefined>()
  const named = useMemo(() => new Set(inAddress ?? []), [inAddress])
  const selected = many ?? named
  const select = (next: ReadonlySet<string>) => {
    const list = [...[...selected].filter((id) => next.has(id)), ...[...next].filter((id) => !selected.has(id))]
    setMany(list.length > mostInAddress ? new Set(list) : undefined)
    put(list.length > 0 && list.length <= mostInAddress ? list : undefined)
  }
  return [selected, select]
}

/** Which runs the chart draws: those chosen, or the first ones; some more behind them in grey. */
function useChartRuns(here: readonly Run[], selected: ReadonlySet<string>, inAddress: readonly string[] | undefined, metric: string | undefined, winner: Run | undefined) {
  const ids = [...selected].slice(0, mostCurves)
  const plotted = here.filter((r) => metric !== undefined && (typeof r.metrics[metric] === 'number' || r.status === 'RUNNING'))
  const known = new Map(here.map((r) => [r.id, r]))
  const free = winner && !plotted.slice(0, 5).some((r) => r.id === winner.id) ? [winner, ...plotted.slice(0, 4)] : plotted.slice(0, 5)
  const shownNow = selected.size > 0 ? ids.flatMap((id) => known.get(id) ?? []) : free
  const contextNow = plotted.filter((r) => !shownNow.some((s) => s.id === r.id)).slice(0, contextCurves)
  // Rows scroll in and out; the lines stay until the choice changes.
  const name = JSON.stringify([shownNow.map((r) => [r.id, r.status]), metric, inAddress])
  const kept = useRef({ name: '', shown: shownNow, context: contextNow })
  if (kept.current.name !== name && (shownNow.length > 0 || here.length > 0)) kept.current = { name, shown: shownNow, context: contextNow }
  const { shown, context } = kept.current
  const order = (selected.size > 0 ? ids : shown.map((r) => r.id)).join()
  const colors = useMemo(() => runColors(order.split(',')), [order])
  return { shown, context, colors }
}

/** The curves of the rows on the screen, read once they rest; those that were read stay. */
function useCurves(metric: string | undefined, visible: readonly Run[]): ReadonlyMap<string, readonly (number | null)[]> {
  const [curves, setCurves] = useState<{ metric: string | undefined; all: ReadonlyMap<string, readonly (number | null)[]> }>({ metric, all: new Map() })
  const all = curves.metric === metric ? curves.all : none
  const missing = metric ? visible.filter((r) => (r.metrics[metric] !== undefined || r.status === 'RUNNING') && !all.has(r.id)).map((r) => r.id).join() : ''
  useEffect(() => {
    if (!metric || missing === '') return
    const stop = new AbortController()
    const timer = setTimeout(() => {
      loadCurves(missing.split(','), metric, stop.signal).then((found) => setCurves((old) => {
        const next = new Map(old.metric === metric ? old.all : [])
        for (const id of missing.split(',')) next.set(id, found.get(id) ?? [])
        return { metric, all: next }
      }), () => {}) // a picture less; the value stands beside it
    }, 120)
    return () => {
      clearTimeout(timer)
      stop.abort()
    }
  }, [metric, missing])
  return all
}

const none: ReadonlyMap<string, readonly (number | null)[]> = new Map()

function MetricMenu({ experiment: e, keys, value, onChange }: { experiment: Experiment; keys: readonly string[]; value: string; onChange: (key: string) => void }) {
  const client = useQueryClient()
  const declared = e.best?.[value]
  const byName = lowerIsBetter(value)
  const declare = async (best: 'min' | 'max' | '') => {
    client.setQueryData(['experiments', e.id], await http.patch<Experiment>(`/api/v1/experiments/${encodeURIComponent(e.id)}`, { body: { best: { [value]: best } } }))
    await client.invalidateQueries({ queryKey: ['runs'] })
  }
  const failed = (error: unknown) => toast({ kind: 'bad', text: error instanceof Error ? error.message : String(error) })
  const choice = (best: 'min' | 'max' | '', words: string) => <MenuChoice checked={(declared ?? '') === best} onSelect={() => void declare(best).catch(failed)}>{words}</MenuChoice>
  return (
    <Menu align="start" label="Metric" trigger={<button type="button" className="btn s ghost strong !text-1">{value} ▾</button>}>
      <MenuLabel>Metric of chart, bars and best</MenuLabel>
      <div className="max-h-72 overflow-auto">{keys.map((k) => <MenuChoice key={k} checked={k === value} onSelect={() => onChange(k)}>{k}</MenuChoice>)}</div>
      <MenuLine /><MenuLabel>Better is, for everybody who opens this experiment</MenuLabel>
      {choice('', `as the name says: ${byName === undefined ? 'nothing' : byName ? 'lower' : 'higher'}`)}{choice('min', 'lower')}{choice('max', 'higher')}
    </Menu>
  )
}

const mostGroups = 3

function GroupMenu({ keys, by, onChange }: { keys: Keys; by: readonly string[]; onChange: (by: string[]) => void }) {
  const flip = (id: string, on: boolean) => onChange(on ? [...by, id].slice(-mostGroups) : by.filter((x) => x !== id))
  return (
    <Menu label="Group by" trigger={<button type="button" className="btn !h-8"><Group size={14} />Group{by.length > 0 && <span className="text-3">{by.length}</span>}</button>}>
      <div className="max-h-96 overflow-auto">
        {by.length > 0 && <><MenuItem onSelect={() => onChange([])}>No groups</MenuItem><MenuLine /></>}
        <MenuLabel>Parameters</MenuLabel>{keys.params.map((k) => <MenuToggle key={k} checked={by.includes(`p:${k}`)} onChange={(on) => flip(`p:${k}`, on)}>{k}</MenuToggle>)}
        <MenuLabel>Tags</MenuLabel>{keys.tags.map((k) => <MenuToggle key={k} checked={by.includes(`t:${k}`)} onChange={(on) => flip(`t:${k}`, on)}>{k}</MenuToggle>)}
      </div>
    </Menu>
  )
}

function GroupLine({ by, onClear }: { by: readonly string[]; onClear: () => void }) {
  return <div className="px-6 pb-2 text-sm text-2 flex items-center gap-2"><span>Grouped by <b className="text-1">{by.map(title).join(', ')}</b>. A row opens its runs.</span><button type="button" className="btn s ghost" onClick={onClear}>No groups</button></div>
}

const densities: readonly { value: Density; label: string }[] = [{ value: 'dense', label: 'Dense rows' }, { value: 'usual', label: 'Usual rows' }, { value: 'roomy', label: 'Roomy rows' }]

function More({ density, chart, set, total, onDownload }: { density: Density; chart: boolean; set: Props['set']; total: number; onDownload: () => void }) {
  return (
    <Menu label="More" trigger={<button type="button" className="btn icon !h-8 !w-8" aria-label="More"><MoreHorizontal size={14} /></button>}>
      {densities.map((d) => <MenuChoice key={d.value} checked={d.value === density} onSelect={() => set({ rows: d.value === 'usual' ? undefined : d.value })}>{d.label}</MenuChoice>)}
      <MenuLine /><MenuToggle checked={chart} onChange={(on) => set({ chart: on ? undefined : 'off' })}>Chart above the table</MenuToggle>
      <MenuLine /><MenuItem icon={<Download size={14} />} disabled={total === 0} onSelect={onDownload}>{total === 1 ? 'Download the run as CSV' : `Download all ${plural(total, 'run')} as CSV`}</MenuItem>
    </Menu>
  )
}

/** A file of the server, in the columns of the view: every run that fits, however many there are. */
async function download(name: string, read: () => Promise<Blob>): Promise<void> {
  try {
    const file = await read()
    saveBlob(name, file)
    toast({ kind: 'ok', text: `Downloaded ${name}, ${bytes(file.size)}` })
  } catch (error) {
    toast({ kind: 'bad', text: `Not downloaded: ${error instanceof Error ? error.message : String(error)}` })
  }
}
