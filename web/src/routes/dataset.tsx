import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { ChevronRight, Download } from 'lucide-react'
import { useMemo, type ReactNode } from 'react'
import { BarChart } from '@/charts/BarChart'
import { Histogram, MiniHistogram, type HistogramData } from '@/charts/Histogram'
import { deletions } from '@/features/dataset/discard'
import { schemaDiff } from '@/features/dataset/diff'
import { who } from '@/lib/actor'
import { address } from '@/lib/api/http'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { DatasetVersion, ProfileColumn } from '@/lib/api/types'
import { bytes, count, large, num, pct, plural } from '@/lib/format'
import { href } from '@/lib/href'
import { look } from '@/lib/states'
import { listed } from '@/lib/verdict'
import { Code, Id } from '@/ui/Code'
import { DataTable, type Column } from '@/ui/DataTable'
import { DeleteMenu } from '@/ui/DeleteMenu'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page, Tabs } from '@/ui/Page'
import { KeyValues, Panel } from '@/ui/Panel'
import { Pill, Status, Tag } from '@/ui/Status'
import { Time } from '@/ui/Time'

const route = getRouteApi('/datasets/$name')

export function DatasetPage(): ReactNode {
  const { name } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const dataset = useQuery(q.dataset(name))
  const list = useQuery(q.datasetVersions(name))
  const versions = useMemo(() => [...(list.data?.items ?? [])].sort((a, b) => b.version - a.version), [list.data])
  const chosen = versions.find((v) => String(v.version) === search.version) ?? versions[0]
  const full = useQuery({ ...q.datasetVersion(name, String(chosen?.version ?? '')), enabled: chosen !== undefined })
  const before = useQuery({ ...q.datasetVersion(name, String((chosen?.version ?? 1) - 1)), enabled: (chosen?.version ?? 0) > 1, retry: false })
  const crumbs = [{ label: 'Datasets', to: '/datasets' as const }]
  const error = dataset.error ?? list.error
  if (!dataset.data || list.isPending) return <Page crumbs={crumbs} title={name}>{error ? <ErrorPanel error={error} title={`Can't read the dataset ${name}`} onRetry={() => { void dataset.refetch(); void list.refetch() }} /> : <Skeleton rows={6} />}</Page>
  const v = full.data ?? chosen
  if (!v) return <Page crumbs={crumbs} title={name} verdict={dataset.data.description} actions={<DeleteMenu deletes={deletions(name, undefined)} />}><section className="panel"><Empty title="No version yet" command={cli.pushData(name, 'data.csv')}>Each upload becomes a version that never changes.</Empty></section></Page>
  const tab = search.tab ?? 'profile'
  const contract = look(v.contract?.verdict ?? 'none')
  const data = `/api/v1/datasets/${encodeURIComponent(name)}/versions/${v.version}/data`
  return (
    <Page crumbs={crumbs} title={`${name} v${v.version}`} bare status={<Pill kind={contract.kind}>{v.contract ? (contract.kind === 'ok' ? 'Contract met' : contract.word) : 'No contract'}</Pill>}
      meta={<>{count(v.rows)} rows, {bytes(v.size_bytes)}, <Time at={v.created_at} />{v.created_by && ` by ${who(v.created_by).name}`}</>}
      actions={<><DeleteMenu deletes={deletions(name, v.version)} /><Go className="btn ghost" to={href.lineage(`dataset_version:${name}/${v.version}`)}>Who uses it</Go><a className="btn" href={address(data, { format: 'csv' })} download><Download size={14} />CSV</a><a className="btn" href={address(data, { format: 'parquet' })} download>Parquet</a></>}
      verdict={<Verdict v={v} before={before.data} />}
      tabs={<Tabs value={tab} items={[{ value: 'profile', label: 'Profile', count: v.columns.length }, { value: 'rows', label: 'Rows' }, { value: 'contract', label: 'Contract' }]} />}>
      <div className="body">
        <div className="grid gap-4 cols:grid-cols-[272px_minmax(0,1fr)] items-start">
          <div className="grid gap-3.5 min-w-0">
            <Panel title="Versions" right={versions.length}>
              <div className="py-1 max-h-[40vh] overflow-auto">{versions.map((o) => <Go key={o.version} to={href.dataset(name, o.version)} aria-current={o.version === v.version ? 'true' : undefined} className={`grid grid-cols-[44px_minmax(0,1fr)_auto] px-3.5 py-1.5 text-sm hover:bg-hover ${o.version === v.version ? 'bg-selected' : ''}`}><b>v{o.version}</b><span className="text-2 clip">{o.description || plural(o.rows, 'row')}</span><span className="text-3 pl-2"><Time at={o.created_at} /></span></Go>)}</div>
            </Panel>
            <Panel title="About"><div className="px-3.5 py-2.5"><KeyValues items={[['Target', v.target ? <span key="t" className="mono">{v.target}</span> : ''], ['Time column', v.time_column ? <span key="c" className="mono">{v.time_column}</span> : ''], ['Source', v.source], ['Digest', <Id key="d" id={v.digest} length={16} />], ['What it is', dataset.data.description], ['This version', v.description]]} /></div></Panel>
            <Panel title="Use it"><div className="p-2.5"><Code small text={`pd.read_csv("${new URL(address(data, { format: 'csv' })).href}")`} /></div></Panel>
          </div>
          <div className="min-w-0">
            {tab === 'profile' && <Load query={full} what="the profile" skeleton={<section className="panel"><Skeleton rows={8} /></section>}>{(f) => <Profile v={f} before={before.data} open={search.column} onOpen={(column) => void navigate({ search: (s) => ({ ...s, column }), replace: true })} />}</Load>}
            {tab === 'rows' && <Rows name={name} version={String(v.version)} />}
            {tab === 'contract' && <Contract v={v} text={dataset.data.contract} name={name} />}
          </div>
        </div>
      </div>
    </Page>
  )
}

function Verdict({ v, before }: { v: DatasetVersion; before: DatasetVersion | undefined }) {
  const rows = large(v.rows)
  const missing = (v.profile?.columns ?? []).filter((c) => c.missing > 0)
  const changes = before ? schemaDiff(before.columns, v.columns) : []
  const broken = v.contract?.violations ?? []
  return (
    <>
      <b>{rows.value} {rows.unit} rows of {plural(v.columns.length, 'column')}</b>
      {before && <>, {v.rows === before.rows ? 'as many as' : `${count(Math.abs(v.rows - before.rows))} ${v.rows > before.rows ? 'more' : 'fewer'} than`} v{before.version}{changes.length > 0 ? <>; <b>{listed(changes.map((c) => c.name))}</b> {changes.length === 1 ? 'differs' : 'differ'} from it</> : ' with the same columns'}</>}.{' '}
      {broken.length > 0 ? <b>The contract is broken {broken.length === 1 ? 'once' : `${broken.length} times`}.</b> : missing.length > 0 ? `Values are missing in ${listed(missing.map((c) => c.name))}.` : v.profile ? 'No value is missing.' : ''}
    </>
  )
}

function histogram(c: ProfileColumn, before: ProfileColumn | undefined): HistogramData | undefined {
  if (c.histogram && c.histogram.counts.length > 0) {
    const same = before?.histogram && before.histogram.edges.length === c.histogram.edges.length && before.histogram.edges.every((e, i) => e === c.histogram!.edges[i])
    return { edges: c.histogram.edges, reference: c.histogram.counts, ...(same ? { current: before.histogram!.counts } : {}) }
  }
  if (c.top && c.top.length > 0) return { labels: c.top.map((t) => String(t.value)), reference: c.top.map((t) => t.count) }
  return undefined
}

function Profile({ v, before, open, onOpen }: { v: DatasetVersion; before: DatasetVersion | undefined; open: string | undefined; onOpen: (name: string | undefined) => void }) {
  const profile = new Map(v.profile?.columns.map((c) => [c.name, c]))
  const old = new Map(before?.profile?.columns.map((c) => [c.name, c]))
  const changes = new Map((before ? schemaDiff(before.columns, v.columns) : []).map((c) => [c.name, c]))
  const show = (x: unknown) => (typeof x === 'number' ? num(x) : x === null || x === undefined ? '' : /^\d{4}-\d\d-\d\dT/.test(String(x)) ? String(x).slice(0, 10) : String(x))
  const columns: Column<DatasetVersion['columns'][number]>[] = [
    { id: 'name', header: 'Column', width: 190, cell: (c) => <span className="flex items-center gap-1.5 min-w-0"><ChevronRight size={12} className="text-3 flex-none" style={{ rotate: c.name === open ? '90deg' : '0deg' }} /><span className="mono clip">{c.name}</span>{c.name === v.target && <Tag look="accent">target</Tag>}{c.name === v.time_column && <Tag>time</Tag>}{changes.get(c.name) && <Tag look="line">{changes.get(c.name)!.change === 'added' ? 'new' : `was ${changes.get(c.name)!.before}`}</Tag>}</span> },
    { id: 'type', header: 'Type', width: 80, cell: (c) => <span className="mono text-2">{c.type}</span> },
    { id: 'dist', header: 'Distribution', width: 110, from: 760, cell: (c) => { const p = profile.get(c.name); const h = p && histogram(p, undefined); return h && c.name !== open ? <MiniHistogram name={c.name} data={h} /> : '' } },
    { id: 'missing', header: 'Missing', num: true, width: 84, from: 640, cell: (c) => { const p = profile.get(c.name); return p ? <span className={p.missing > 0 ? 'text-warn strong' : 'text-2'}>{p.count + p.missing > 0 ? pct(p.missing / Math.max(v.rows, 1)) : ''}</span> : '' } },
    { id: 'distinct', header: 'Distinct', num: true, width: 84, from: 860, cell: (c) => count(profile.get(c.name)?.distinct) },
    { id: 'min', header: 'Min', num: true, width: 106, cell: (c) => show(profile.get(c.name)?.min) },
    { id: 'mean', header: 'Mean', num: true, width: 76, from: 460, cell: (c) => num(profile.get(c.name)?.mean) },
    { id: 'max', header: 'Max', num: true, width: 106, cell: (c) => show(profile.get(c.name)?.max) },
  ]
  return (
    <Panel title="Columns" note={before ? `changes against v${before.version}` : undefined} right={<Status kind={look(v.contract?.verdict ?? 'none').kind}>{v.contract ? look(v.contract.verdict).word : 'No contract'}</Status>}>
      <DataTable dense fixed label="Columns" columns={columns} rows={v.columns} rowKey={(c) => c.name} onOpen={(c) => onOpen(c.name === open ? undefined : c.name)} opened={new Set(open ? [open] : [])}
        detail={(c) => {
          const p = profile.get(c.name)
          if (!p) return <p className="text-3 text-sm">This column was not profiled.</p>
          const h = histogram(p, old.get(c.name))
          return (
            <div className="grid gap-6 cols:grid-cols-[minmax(0,1fr)_240px]">
              <div className="min-w-0"><div className="ctitle">Distribution <small>share of rows{h?.current && before ? `; outline: v${before.version}` : ''}</small></div>
                {!h ? <p className="text-3 text-sm">No histogram is kept for this type.</p> : h.labels && h.labels.length > 8 ? <BarChart name={c.name} rows={h.labels.slice(0, 12).map((label, i) => ({ label, value: h.reference[i]! / Math.max(1, v.rows) }))} format={(x) => pct(x)} /> : <Histogram name={c.name} data={h} currentName={before ? `v${before.version}` : 'before'} />}</div>
              <div><div className="ctitle mb-1">Figures</div><KeyValues items={[['Values', count(p.count)], ['Missing', count(p.missing)], ['Mean', num(p.mean)], ['Standard deviation', num(p.std)], ...Object.entries(p.quantiles ?? {}).map(([k, x]): [string, string] => [quantileName(k), num(x)]), ...(h?.labels ? (p.top ?? []).slice(0, 5).map((t): [string, string] => [String(t.value), count(t.count)]) : [])]} /></div>
            </div>
          )
        }} />
    </Panel>
  )
}

/** "p95" and "0.95" are both the value that 95 % lie below. */
function quantileName(key: string): string {
  if (key === 'p50' || key === '0.5') return 'Median'
  return key.startsWith('p') ? `${key.slice(1)} % below` : `${pct(Number(key), 0)} below`
}

function Rows({ name, version }: { name: string; version: string }) {
  const rows = useQuery(q.datasetRows(name, version))
  return (
    <section className="panel overflow-auto max-h-[64vh]">
      <Load query={rows} what="the rows">
        {(d) => {
          const keys = Object.keys(d.items[0] ?? {})
          if (keys.length === 0) return <p className="p-3.5 text-2">This version has no rows.</p>
          return <table className="tbl dense sticky" aria-label="First rows"><thead><tr>{keys.map((k) => <th key={k} className={typeof d.items[0]![k] === 'number' ? 'num' : ''}>{k}</th>)}</tr></thead><tbody>{d.items.map((r, i) => <tr key={i}>{keys.map((k) => <td key={k} className={typeof r[k] === 'number' ? 'num' : ''}>{r[k] === null ? <span className="text-warn text-sm">missing</span> : typeof r[k] === 'object' ? JSON.stringify(r[k]) : String(r[k])}</td>)}</tr>)}</tbody></table>
        }}
      </Load>
    </section>
  )
}

function Contract({ v, text, name }: { v: DatasetVersion; text: string | undefined; name: string }) {
  const broken = v.contract?.violations ?? []
  const show = (x: unknown) => (x === null || x === undefined ? '' : typeof x === 'object' ? JSON.stringify(x) : String(x))
  return (
    <div className="grid gap-3.5">
      <Panel title="Result" right={v.contract ? <Status kind={look(v.contract.verdict).kind}>{look(v.contract.verdict).word}</Status> : undefined}>
        {!v.contract ? <Empty title="No contract" command={cli.setContract(name)}>A contract says which columns, types and ranges a version must have. One that breaks it is refused.</Empty>
          : broken.length === 0 ? <p className="p-3.5 text-2">Every rule of the contract holds for v{v.version}.</p>
            : <table className="tbl dense" aria-label="Violations"><thead><tr><th>Column</th><th>Rule</th><th>Expected</th><th>Found</th><th className="num">Rows</th></tr></thead><tbody>{broken.map((b, i) => <tr key={i}><td className="mono">{b.column}</td><td>{b.rule}</td><td className="mono text-2">{show(b.expected)}</td><td className="mono text-bad">{show(b.found)}</td><td className="num">{b.count ? count(b.count) : ''}</td></tr>)}</tbody></table>}
      </Panel>
      {text && <Panel title="Contract"><pre className="log p-3.5">{typeof text === 'string' ? text : JSON.stringify(text, null, 2)}</pre></Panel>}
    </div>
  )
}
