import { useQueries, useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { http } from '@/lib/api/http'
import type { FileInfo, List, Run } from '@/lib/api/types'
import { canonical } from '@/lib/diff'
import { bytes, plural } from '@/lib/format'
import { href } from '@/lib/href'
import { SideBySide } from '@/ui/Diff'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Panel } from '@/ui/Panel'
import type { Look } from './select'

const mostRuns = 8
const mostFiles = 400
const mostDepth = 4
const mostBytes = 1_000_000
const pictures = /\.(png|jpe?g|gif|webp|avif)$/i

/** All files of a run, folders opened, up to a bound. */
async function everyFile(run: string, signal: AbortSignal): Promise<FileInfo[]> {
  const out: FileInfo[] = []
  const folders: [string, number][] = [['', 0]]
  while (folders.length > 0 && out.length < mostFiles) {
    const [path, depth] = folders.shift()!
    const { items } = await http.get<List<FileInfo>>(`/api/v1/runs/${encodeURIComponent(run)}/files`, { signal, query: { path } })
    for (const f of items) {
      if (!f.is_dir) out.push(f)
      else if (depth + 1 < mostDepth) folders.push([f.path, depth + 1])
    }
  }
  return out
}

const content = (run: string) => `/api/v1/runs/${encodeURIComponent(run)}/files/content`

interface Props {
  runs: readonly Run[]
  looks: ReadonlyMap<string, Look>
  file: string | undefined
  onFile: (path: string) => void
  a: string | undefined
  b: string | undefined
  onPair: (a: string, b: string) => void
}

/** The files of the runs beside each other: which differ, pictures in a row, texts line by line. */
export function Artifacts({ runs: all, looks, file, onFile, a, b, onPair }: Props) {
  const runs = all.slice(0, mostRuns)
  const lists = useQueries({ queries: runs.map((r) => ({ queryKey: ['runs', r.id, 'every-file'], staleTime: 30_000, queryFn: ({ signal }: { signal: AbortSignal }) => everyFile(r.id, signal) })) })
  const pending = lists.some((l) => l.isPending)
  const failed = lists.find((l) => l.error)
  const stamp = lists.map((l) => l.dataUpdatedAt).join()
  const paths = useMemo(() => {
    const found = new Map<string, (FileInfo | undefined)[]>()
    lists.forEach((l, i) => { for (const f of l.data ?? []) { const row = found.get(f.path) ?? new Array<FileInfo | undefined>(runs.length).fill(undefined); row[i] = f; found.set(f.path, row) } })
    return [...found].sort(([x], [y]) => x.localeCompare(y))
    // The answers are told apart by when they came.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [stamp, runs.length])
  if (pending) return <section className="panel"><Skeleton rows={5} /></section>
  if (failed?.error && paths.length === 0) return <section className="panel p-3.5"><ErrorBox error={failed.error} title="Can't read the files" onRetry={() => void failed.refetch()} /></section>
  if (paths.length === 0) return <section className="panel"><Empty title="These runs logged no file" command='mlflow.log_artifact("report.html")'>Files that runs log under the same name are shown here side by side.</Empty></section>
  const state = (row: (FileInfo | undefined)[]) => {
    const there = row.filter((f): f is FileInfo => f !== undefined)
    if (there.length < runs.length) return `in ${there.length} of ${runs.length}`
    return new Set(there.map((f) => f.digest ?? '')).size === 1 && there[0]?.digest ? 'equal' : 'differs'
  }
  const open = paths.find(([p]) => p === file) ?? paths.find(([p, row]) => state(row) === 'differs' && !/\.(bin|pkl|pickle|pt|pth|npy|npz|onnx|joblib|zip|gz|h5|ubj)$/i.test(p)) ?? paths.find(([, row]) => state(row) === 'differs') ?? paths[0]!
  const have = runs.filter((_, i) => open[1][i])
  const left = have.find((r) => r.id === a) ?? have[0]!
  const right = have.find((r) => r.id === b && r.id !== left.id) ?? have.find((r) => r.id !== left.id)
  return (
    <div className="grid gap-3.5 cols:grid-cols-[280px_minmax(0,1fr)] items-start">
      <Panel title="Files" right={plural(paths.length, 'file')}>
        <div className="py-1 max-h-[68vh] overflow-auto" role="listbox" aria-label="Files">
          {paths.map(([path, row]) => <button key={path} type="button" role="option" aria-selected={path === open[0]} className={`flex w-full gap-2 px-3.5 py-1 min-h-7 text-sm text-left hover:bg-hover ${path === open[0] ? 'bg-selected' : ''}`} onClick={() => onFile(path)}><span className="mono clip flex-1" title={path}>{path}</span><span className={state(row) === 'differs' ? 'text-accent' : 'text-3'}>{state(row)}</span></button>)}
        </div>
        {all.length > mostRuns && <p className="text-3 text-xs px-3.5 py-2 border-t border-grid">The first {mostRuns} of {all.length} runs.</p>}
      </Panel>
      {pictures.test(open[0]) ? (
        <Panel title={<span className="mono">{open[0]}</span>} right={`of ${plural(have.length, 'run')}`}>
          <div className="grid gap-3.5 p-3.5 sheet:grid-cols-2">{have.map((r) => <figure key={r.id} className="min-w-0"><figcaption className="flex items-center gap-1.5 text-sm mb-1"><i className="sw" style={{ background: looks.get(r.id)?.color }} /><Go to={href.run(r.id)} className="hover:underline clip">{r.name}</Go></figcaption><Picture run={r.id} path={open[0]} name={r.name} /></figure>)}</div>
        </Panel>
      ) : right === undefined ? (
        <Panel title={<span className="mono">{open[0]}</span>}><p className="p-3.5 text-2">Only {left.name} has this file. <Go className="link" to={`${href.run(left.id)}?tab=files&file=${encodeURIComponent(open[0])}`}>Open it there</Go></p></Panel>
      ) : (
        <Panel title={<span className="mono">{open[0]}</span>} right={<>
          <select className="inp !h-6 !w-auto max-w-40 text-sm" aria-label="Left run" value={left.id} onChange={(e) => onPair(e.target.value, e.target.value === right.id ? left.id : right.id)}>{have.map((r) => <option key={r.id} value={r.id}>{r.name}</option>)}</select>
          <span>against</span>
          <select className="inp !h-6 !w-auto max-w-40 text-sm" aria-label="Right run" value={right.id} onChange={(e) => onPair(e.target.value === left.id ? right.id : left.id, e.target.value)}>{have.map((r) => <option key={r.id} value={r.id}>{r.name}</option>)}</select>
        </>}>
          <Texts key={open[0] + left.id + right.id} path={open[0]} left={left} right={right} looks={looks} sizes={[open[1][runs.indexOf(left)]?.size, open[1][runs.indexOf(right)]?.size]} />
        </Panel>
      )}
    </div>
  )
}

function Picture({ run, path, name }: { run: string; path: string; name: string }) {
  const blob = useQuery({ queryKey: ['picture', run, path], staleTime: 300_000, queryFn: async ({ signal }) => URL.createObjectURL(await (await http.raw(content(run), { query: { path }, signal })).blob()) })
  if (blob.error) return <ErrorBox error={blob.error} title="Can't read the picture" onRetry={() => void blob.refetch()} />
  return blob.data ? <img src={blob.data} alt={`${path} of ${name}`} className="max-w-full border border-border rounded-control" /> : <Skeleton rows={3} widths={['60%']} />
}

async function text(run: string, path: string, signal: AbortSignal): Promise<string | undefined> {
  const data = new Uint8Array(await (await http.raw(content(run), { query: { path }, signal })).arrayBuffer())
  return data.subarray(0, 4000).includes(0) ? undefined : new TextDecoder().decode(data)
}

function Texts({ path, left, right, looks, sizes }: { path: string; left: Run; right: Run; looks: ReadonlyMap<string, Look>; sizes: readonly [number | undefined, number | undefined] }) {
  const large = sizes.some((s) => (s ?? 0) > mostBytes)
  const both = useQueries({ queries: [left, right].map((r) => ({ queryKey: ['text', r.id, path], enabled: !large, staleTime: 60_000, retry: false, queryFn: async ({ signal }: { signal: AbortSignal }) => ({ text: await text(r.id, path, signal) }) })) })
  const failed = both.find((x) => x.error)
  const name = (r: Run) => <span className="inline-flex items-center gap-1.5"><i className="sw" style={{ background: looks.get(r.id)?.color }} />{r.name}</span>
  if (large) return <p className="p-3.5 text-2">{bytes(sizes[0])} against {bytes(sizes[1])}: too large to show line by line.</p>
  if (failed?.error) return <div className="p-3.5"><ErrorBox error={failed.error} title="Can't read the file" onRetry={() => void failed.refetch()} /></div>
  const [a, b] = both.map((x) => x.data)
  if (!a || !b) return <Skeleton rows={5} widths={['60%']} />
  if (a.text === undefined || b.text === undefined) return <p className="p-3.5 text-2">No text: {bytes(sizes[0])} of {left.name} against {bytes(sizes[1])} of {right.name}.</p>
  const form = /\.(json|ipynb)$/i.test(path) ? canonical : (t: string) => t
  return <SideBySide left={form(a.text)} right={form(b.text)} names={[name(left), name(right)]} />
}
