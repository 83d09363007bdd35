import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Columns3, ExternalLink, Link2, X } from 'lucide-react'
import { useMemo, type ReactNode } from 'react'
import { CurveControls, MetricChart, runColors, type CurveView } from '@/features/run/MetricChart'
import { ApiError, http } from '@/lib/api/http'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Run, RunSearch } from '@/lib/api/types'
import { count, decimals, duration, fixed, num, plural } from '@/lib/format'
import { datasetOf, href } from '@/lib/href'
import { useKeys } from '@/lib/keys'
import { best, lowerIsBetter, mainMetric } from '@/lib/metrics'
import { saveText } from '@/lib/save'
import { look } from '@/lib/states'
import { parseSort, sortText } from '@/lib/url'
import { csv } from '@/charts/maths'
import { Code, CopyButton } from '@/ui/Code'
import { DataTable, type Column } from '@/ui/DataTable'
import { Drawer } from '@/ui/Drawer'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { FilterBox } from '@/ui/FilterBox'
import { Go, useGo } from '@/ui/Go'
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine, MenuToggle } from '@/ui/Menu'
import { Page } from '@/ui/Page'
import { KeyValues } from '@/ui/Panel'
import { Shape } from '@/ui/Shape'
import { Pill, Tag } from '@/ui/Status'
import { Time, Took } from '@/ui/Time'

const route = getRouteApi('/experiments/$id')
const crumbs = [{ label: 'Experiments', to: '/experiments' as const }]
const pageSize = 500
const mostCurves = 8
const contextCurves = 10

/** MLflow's own name of a column, for the order of a search. */
function orderColumn(id: string): string {
  if (id === 'started') return 'attributes.start_time'
  if (id === 'name') return 'attributes.run_name'
  if (id === 'took') return 'attributes.end_time'
  return id.replace(/^(m|p):(.*)$/, (_, kind: string, key: string) => `${kind === 'm' ? 'metrics' : 'params'}.\`${key}\``)
}

export function ExperimentPage(): ReactNode {
  const { id } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const go = useGo()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const experiment = useQuery(q.experiment(id))
  const sort = parseSort(search.sort)
  const body = { experiment_ids: [id], filter: search.filter ?? '', order_by: sort ? [`${orderColumn(sort.id)} ${sort.desc ? 'DESC' : 'ASC'}`] : ['attributes.start_time DESC'], page_size: pageSize }
  const pages = useInfiniteQuery({
    queryKey: ['runs', 'search', 'pages', body],
    queryFn: ({ pageParam, signal }) => http.post<RunSearch>('/api/v1/runs/search', { signal, body: { ...body, page_token: pageParam } }),
    initialPageParam: '', getNextPageParam: (last) => last.next_page_token || undefined, placeholderData: keepPreviousData,
    refetchInterval: (query) => (query.state.data?.pages.some((p) => p.items.some((r) => r.status === 'RUNNING')) ? 4_000 : false),
  })
  const runs = useMemo(() => pages.data?.pages.flatMap((p) => p.items) ?? [], [pages.data])
  const metricKeys = useMemo(() => keysOf(pages.data?.pages[0]?.metric_keys, runs, (r) => r.metrics), [pages.data, runs])
  const paramKeys = useMemo(() => keysOf(pages.data?.pages[0]?.param_keys, runs, (r) => r.params), [pages.data, runs])
  const metric = search.metric ?? mainMetric(metricKeys)
  const selected = useMemo(() => new Set(search.runs ?? []), [search.runs])
  const winner = metric ? best(runs, metric) : undefined
  const view: CurveView = { smooth: search.smooth ?? 0, byTime: search.x === 'time', log: search.log ?? false }
  const hidden = useHidden(search.hide, metricKeys, paramKeys, metric, runs)
  const columns = useColumns(runs, metric, metricKeys, paramKeys, winner?.id)
  const plotted = runs.filter((r) => metric !== undefined && (r.metrics[metric] !== undefined || r.status === 'RUNNING'))
  const shownCurves = search.runs ? runs.filter((r) => selected.has(r.id)).slice(0, mostCurves) : plotted.slice(0, 5)
  const context = search.runs ? plotted.filter((r) => !selected.has(r.id)).slice(0, contextCurves) : plotted.slice(5, 5 + contextCurves)
  const colorOf = (search.runs ?? shownCurves.map((r) => r.id)).join()
  const colors = useMemo(() => runColors(colorOf.split(',')), [colorOf])
  const compare = () => go(href.compare([...selected].slice(0, 20)))
  useKeys([{ keys: 'c', label: 'Compare the selected runs', run: () => selected.size > 1 && compare() }])
  const filterError = pages.error instanceof ApiError && pages.error.status === 400 ? pages.error : undefined
  const running = runs.filter((r) => r.status === 'RUNNING').length
  const name = experiment.data?.name ?? id
  const open = search.run ? runs.find((r) => r.id === search.run) : undefined
  const suggestions = useMemo(() => [...metricKeys.map((k) => `metrics.${quote(k)}`), ...paramKeys.map((k) => `params.${quote(k)}`), 'attributes.status', 'attributes.run_name', 'attributes.start_time', 'tags.', 'and', 'like', 'ilike'], [metricKeys, paramKeys])
  return (
    <Page crumbs={crumbs} title={name} bare
      status={running > 0 ? <Pill kind="info">{running} running</Pill> : undefined}
      meta={<>{plural(experiment.data?.runs_count ?? runs.length, 'run')}{winner && metric ? <>, best <b className="text-1">{num(winner.metrics[metric])}</b> {metric} by {winner.name}, <Time at={winner.start_time} /></> : ''}</>}
      actions={<button type="button" className="btn" onClick={() => saveText(`${name}-runs.csv`, runsCsv(runs, metricKeys, paramKeys), 'text/csv')}>Export CSV</button>}>
      <div className="flex flex-1 min-h-0 border-t border-border mt-2">
        <div className="flex-1 min-w-0 flex flex-col min-h-0 relative">
          <div className="flex gap-2 px-6 pt-3 pb-2.5">
            <FilterBox mono onEnter value={search.filter ?? ''} placeholder='metrics.val_mae < 46 and params.model = "lightgbm"' error={filterError?.message} suggestions={suggestions} onChange={(filter) => set({ filter: filter || undefined })} />
            <ColumnMenu metricKeys={metricKeys} paramKeys={paramKeys} hidden={hidden} onChange={(h) => set({ hide: h })} />
          </div>
          {filterError && <p className="text-bad text-sm px-6 pb-2">{filterError.message}{filterError.hint && ` ${filterError.hint}`}</p>}
          {metric && runs.length > 0 && (
            <div className="px-6 pb-1">
              <div className="flex items-center h-7 gap-2 text-sm"><b>{plural(runs.length, 'run')}{pages.hasNextPage ? ' and more' : ''}</b><MetricMenu keys={metricKeys} value={metric} onChange={(m) => set({ metric: m })} /><span className="flex-1" /><CurveControls view={view} onChange={(v) => set({ smooth: v.smooth || undefined, x: v.byTime ? 'time' : undefined, log: v.log || undefined })} /></div>
              <div className="grid grid-cols-[minmax(0,1fr)_auto] gap-3">
                <MetricChart metric={metric} runs={shownCurves} context={context} colors={colors} view={view} height={168} />
                <div className="not-sheet flex flex-col justify-end pb-6 gap-0.5 text-xs text-2 w-32">{shownCurves.map((r) => <span key={r.id} className="flex items-center gap-1.5 min-w-0"><i className="sw" style={{ background: colors.get(r.id) }} /><span className="clip">{r.name}</span></span>)}</div>
              </div>
            </div>
          )}
          <div className={`flex-1 min-h-0 flex flex-col border-t border-border bg-raised ${pages.isPlaceholderData ? 'stale' : ''}`}>
            {pages.isPending ? <Skeleton rows={10} /> : pages.error && !filterError && runs.length === 0 ? <div className="p-3.5"><ErrorBox error={pages.error} title="Can't read the runs" onRetry={() => void pages.refetch()} /></div>
              : runs.length === 0 ? (search.filter ? <Empty title="No run fits the filter">Change it, or <button type="button" className="link" onClick={() => set({ filter: undefined })}>show all runs</button>.</Empty>
                : <Empty title="No runs yet" command={cli.mlflow()}>Point your MLflow code here and the first run appears by itself.</Empty>)
                : <DataTable label={`Runs of ${name}`} columns={columns} rows={runs} rowKey={(r) => r.id} sorted scroll wide hidden={hidden} sort={sort} onSort={(s) => set({ sort: sortText(s) })}
                  selected={selected} onSelect={(s) => set({ runs: s.size > 0 ? ordered(search.runs, s) : undefined })} mark={(r) => <span className="sw" style={{ background: selected.has(r.id) ? colors.get(r.id) : 'transparent' }} />}
                  focused={search.run} onOpen={(r) => set({ run: r.id })} onEnd={() => { if (pages.hasNextPage && !pages.isFetchingNextPage) void pages.fetchNextPage() }} />}
          </div>
          {selected.size > 0 && (
            <div className="float">
              <b>{plural(selected.size, 'run')}</b><span className="text-3 text-sm mr-2">selected</span>
              <button type="button" className="btn pri s" disabled={selected.size < 2} onClick={compare}>Compare <kbd className="!bg-transparent !text-inherit !border-transparent">C</kbd></button>
              <button type="button" className="btn s ghost" onClick={() => saveText(`${name}-selected.csv`, runsCsv(runs.filter((r) => selected.has(r.id)), metricKeys, paramKeys), 'text/csv')}>Export</button>
              <button type="button" className="btn s ghost icon" aria-label="Clear the selection" onClick={() => set({ runs: undefined })}><X size={14} /></button>
            </div>
          )}
        </div>
        {search.run && <RunDrawer id={search.run} known={open} winner={winner && winner.id !== search.run ? winner : undefined} metric={metric} onClose={() => set({ run: undefined })} />}
      </div>
    </Page>
  )
}

const quote = (key: string) => (/^\w+$/.test(key) ? key : `\`${key}\``)

/** Keeps the order in which runs were chosen, so that they keep their colours. */
function ordered(before: readonly string[] | undefined, now: ReadonlySet<string>): string[] {
  return [...(before ?? []).filter((id) => now.has(id)), ...[...now].filter((id) => !(before ?? []).includes(id))]
}

function keysOf(given: readonly string[] | undefined, runs: readonly Run[], pick: (r: Run) => Record<string, unknown>): string[] {
  if (given && given.length > 0) return [...given]
  return [...new Set(runs.slice(0, 200).flatMap((r) => Object.keys(pick(r) ?? {})))].sort()
}

/** Without a choice: the main metrics and the parameters that differ, up to nine columns. */
function useHidden(chosen: readonly string[] | undefined, metrics: readonly string[], params: readonly string[], metric: string | undefined, runs: readonly Run[]): string[] {
  return useMemo(() => {
    if (chosen) return chosen[0] === 'none' ? [] : [...chosen]
    const own = metrics.filter((k) => k !== metric && !k.startsWith('system/'))
    const numeric = (k: string) => runs.some((r) => r.params[k] !== undefined && r.params[k] !== '' && Number.isFinite(Number(r.params[k])))
    const varied = params.filter((k) => new Set(runs.flatMap((r) => (r.params[k] === undefined ? [] : [r.params[k]]))).size > 1).sort((a, b) => Number(numeric(b)) - Number(numeric(a)))
    const shown = new Set([...own.slice(0, 4).map((k) => `m:${k}`), ...varied.slice(0, 4).map((k) => `p:${k}`), ...(varied.length === 0 ? params.filter(numeric).slice(0, 3).map((k) => `p:${k}`) : [])])
    return [...metrics.filter((k) => k !== metric).map((k) => `m:${k}`), ...params.map((k) => `p:${k}`)].filter((id) => !shown.has(id))
  }, [chosen, metrics, params, metric, runs])
}

function useColumns(runs: readonly Run[], metric: string | undefined, metrics: readonly string[], params: readonly string[], winner: string | undefined): Column<Run>[] {
  return useMemo(() => {
    const ordered = metric ? [metric, ...metrics.filter((m) => m !== metric)] : metrics
    const metricColumn = (key: string): Column<Run> => {
      const digits = decimals(runs.map((r) => r.metrics[key] ?? null))
      const values = runs.map((r) => r.metrics[key]).filter((v): v is number => typeof v === 'number' && Number.isFinite(v))
      const [low, high] = [Math.min(...values), Math.max(...values)]
      const lower = lowerIsBetter(key)
      const share = (v: number) => (high > low ? (lower ? (high - v) / (high - low) : (v - low) / (high - low)) : 1)
      return {
        id: `m:${key}`, header: key, title: key, num: true, width: Math.max(88, Math.min(180, key.length * 7.4 + 34)), value: (r) => r.metrics[key],
        cell: (r) => {
          const v = r.metrics[key]
          if (v === undefined) return ''
          const text = v !== null && Math.abs(v) >= 1e6 ? num(v) : fixed(v, digits)
          return key === metric && v !== null && lower !== undefined ? <span className="relative inline-block min-w-17 text-right">{text}<i className="absolute left-0 -bottom-0.5 h-0.5 rounded-[1px] opacity-50" style={{ width: `${share(v) * 100}%`, background: 'var(--c1)' }} /></span> : text
        },
      }
    }
    return [
      { id: 'name', header: 'Run', width: 240, value: (r: Run) => r.name, cell: (r: Run) => <span className="st max-w-full"><Shape kind={look(r.status).kind} /><Go to={href.run(r.id)} className="clip hover:underline">{r.name}</Go>{r.id === winner && <Tag look="accent">best</Tag>}</span> },
      { id: 'started', header: 'Started', width: 104, value: (r: Run) => r.start_time, cell: (r: Run) => <span className="text-2 text-sm"><Time at={r.start_time} /></span> },
      { id: 'took', header: 'Took', num: true, width: 98, cell: (r: Run) => <span className="text-2 text-sm">{r.status === 'RUNNING' ? <Took from={r.start_time} /> : r.duration_s !== undefined ? duration(r.duration_s * 1000) : <Took from={r.start_time} to={r.end_time} />}</span> },
      ...ordered.map(metricColumn),
      ...params.map((key): Column<Run> => ({ id: `p:${key}`, header: key, title: key, num: runs.every((r) => r.params[key] === undefined || Number.isFinite(Number(r.params[key]))), width: Math.max(80, Math.min(170, key.length * 7.4 + 34)), value: (r) => r.params[key], cell: (r) => <span className="mono">{r.params[key]}</span> })),
      { id: 'data', header: 'Data', width: 130, cell: (r: Run) => { const i = r.inputs?.[0]; if (!i) return ''; const d = datasetOf(i.source); return d ? <Go className="link text-sm" to={href.dataset(d.name, d.version)}>{d.name} v{d.version}</Go> : <span className="text-2 text-sm">{i.name}</span> } },
    ]
  }, [runs, metric, metrics, params, winner])
}

function MetricMenu({ keys, value, onChange }: { keys: readonly string[]; value: string; onChange: (key: string) => void }) {
  return (
    <Menu align="start" label="Metric" trigger={<button type="button" className="btn s ghost">{value} ▾</button>}>
      <MenuLabel>Metric of the chart</MenuLabel>
      <div className="max-h-72 overflow-auto">{keys.map((k) => <MenuChoice key={k} checked={k === value} onSelect={() => onChange(k)}>{k}</MenuChoice>)}</div>
    </Menu>
  )
}

function ColumnMenu({ metricKeys, paramKeys, hidden, onChange }: { metricKeys: readonly string[]; paramKeys: readonly string[]; hidden: readonly string[]; onChange: (hidden: string[] | undefined) => void }) {
  const off = new Set(hidden)
  const flip = (id: string, on: boolean) => {
    const next = on ? hidden.filter((h) => h !== id) : [...hidden, id]
    onChange(next.length > 0 ? next : ['none'])
  }
  const total = metricKeys.length + paramKeys.length
  return (
    <Menu label="Columns" trigger={<button type="button" className="btn !h-8"><Columns3 size={14} />Columns <span className="text-3">{total - hidden.length}</span></button>}>
      <MenuItem onSelect={() => onChange(undefined)}>The usual columns</MenuItem><MenuItem onSelect={() => onChange(['none'])}>All columns</MenuItem><MenuLine />
      <div className="max-h-96 overflow-auto">
        <MenuLabel>Metrics</MenuLabel>{metricKeys.map((k) => <MenuToggle key={k} checked={!off.has(`m:${k}`)} onChange={(on) => flip(`m:${k}`, on)}>{k}</MenuToggle>)}
        <MenuLabel>Parameters</MenuLabel>{paramKeys.map((k) => <MenuToggle key={k} checked={!off.has(`p:${k}`)} onChange={(on) => flip(`p:${k}`, on)}>{k}</MenuToggle>)}
      </div>
    </Menu>
  )
}

function runsCsv(runs: readonly Run[], metrics: readonly string[], params: readonly string[]): string {
  return csv(['run_id', 'name', 'status', 'start_time', 'duration_s', ...metrics.map((m) => `metrics.${m}`), ...params.map((p) => `params.${p}`)],
    runs.map((r) => [r.id, r.name, r.status, r.start_time, r.duration_s ?? null, ...metrics.map((m) => r.metrics[m] ?? null), ...params.map((p) => r.params[p] ?? null)]))
}

function RunDrawer({ id, known, winner, metric, onClose }: { id: string; known: Run | undefined; winner: Run | undefined; metric: string | undefined; onClose: () => void }) {
  const query = useQuery({ ...q.run(id), ...(known ? { initialData: known } : {}) })
  const files = useQuery(q.runFiles(id, ''))
  const r = query.data
  if (!r) return <Drawer label="Run" title={id} onClose={onClose}>{query.error ? <div className="p-4"><ErrorBox error={query.error} /></div> : <Skeleton rows={5} />}</Drawer>
  const state = look(r.status)
  const shown = [metric, ...Object.keys(r.metrics)].filter((k, i, all): k is string => k !== undefined && r.metrics[k] !== undefined && all.indexOf(k) === i).slice(0, 6)
  const changed = winner ? [...new Set([...Object.keys(r.params), ...Object.keys(winner.params)])].filter((k) => r.params[k] !== winner.params[k]).slice(0, 10) : []
  const commit = r.tags['mlflow.source.git.commit']
  return (
    <Drawer label="Run" title={r.name} onClose={onClose} actions={<CopyButton text={new URL(href.run(id).slice(1), document.baseURI).href} label="Copy link" />}
      footer={<><Go className="btn" to={href.run(id)}><ExternalLink size={14} />Open run</Go><Go className="btn" to={href.lineage(`run:${id}`)}><Link2 size={14} />Lineage</Go></>}>
      <div className="px-4 pb-3 flex items-center gap-2 text-sm text-3"><Pill kind={state.kind}>{state.word}</Pill><Time at={r.start_time} />{r.end_time && <>, took <Took from={r.start_time} to={r.end_time} /></>}</div>
      {shown.length > 0 && <div className="ds grid grid-cols-3 gap-y-2">{shown.map((k) => <div key={k} className="min-w-0"><div className="text-xs text-3 clip" title={k}>{k}</div><div className="text-lg strong">{num(r.metrics[k])}</div></div>)}</div>}
      <div className="ds"><KeyValues items={[
        ['Author', r.user], ['Code', commit ? <span key="c" className="mono">{commit.slice(0, 7)}</span> : ''], ['Source', r.source],
        ...(r.inputs ?? []).map((i): [string, ReactNode] => { const d = datasetOf(i.source); return [i.context ? `Data (${i.context})` : 'Data', d ? <Go key={i.digest} className="link" to={href.dataset(d.name, d.version)}>{d.name} v{d.version}</Go> : i.name] }),
      ]} /></div>
      {changed.length > 0 && winner && <div className="ds"><div className="sec">Differs from {winner.name} (best)</div><div className="kv mono">{changed.map((k) => <div key={k} className="contents"><dt>{k}</dt><dd><span className="text-3">{winner.params[k] ?? 'not set'} →</span> <b>{r.params[k] ?? 'not set'}</b></dd></div>)}</div></div>}
      {(files.data?.items.length ?? 0) > 0 && <div className="ds"><div className="sec">Artifacts <span className="text-3 font-normal">{count(files.data?.items.length)}</span></div><div className="text-sm text-2 grid gap-0.5">{files.data?.items.slice(0, 8).map((f) => <span key={f.path}>{f.path}{f.is_dir ? '/' : ''}</span>)}</div></div>}
      <div className="ds"><div className="sec">On the command line</div><Code small prompt text={cli.getRun(r.id)} /></div>
    </Drawer>
  )
}
