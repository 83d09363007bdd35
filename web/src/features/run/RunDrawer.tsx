import { useQuery } from '@tanstack/react-query'
import { ExternalLink, Link2 } from 'lucide-react'
import type { ReactNode } from 'react'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Run } from '@/lib/api/types'
import { bytes, count, num, signed } from '@/lib/format'
import { datasetOf, href } from '@/lib/href'
import { look } from '@/lib/states'
import { Code, CopyButton } from '@/ui/Code'
import { Drawer } from '@/ui/Drawer'
import { Skeleton } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Markdown } from '@/ui/Markdown'
import { KeyValues } from '@/ui/Panel'
import { Pill } from '@/ui/Status'
import { Time, Took } from '@/ui/Time'

/** One run beside the table: how it did, what it was made of, what differs from the best. */
export function RunDrawer({ id, winner, metric, color, onClose }: { id: string; winner: Run | undefined; metric: string | undefined; color: string | undefined; onClose: () => void }): ReactNode {
  const query = useQuery(q.run(id))
  const best = useQuery({ ...q.run(winner?.id ?? ''), enabled: winner !== undefined }).data
  const files = useQuery(q.runFiles(id, ''))
  const r = query.data
  if (!r) return <Drawer label="Run" title={id} onClose={onClose}>{query.error ? <div className="p-4"><ErrorBox error={query.error} /></div> : <Skeleton rows={5} />}</Drawer>
  const state = look(r.status)
  const shown = [metric, ...Object.keys(r.metrics)].filter((k, i, all): k is string => k !== undefined && r.metrics[k] !== undefined && all.indexOf(k) === i && !k.startsWith('system/')).slice(0, 6)
  const changed = best ? [...new Set([...Object.keys(r.params), ...Object.keys(best.params)])].filter((k) => r.params[k] !== best.params[k]).slice(0, 10) : []
  const against = (k: string) => { const [a, b] = [r.metrics[k], best?.metrics[k]]; return typeof a === 'number' && typeof b === 'number' && Number.isFinite(a - b) ? `${signed(a - b)} to best` : '' }
  const commit = r.commit || r.tags['mlflow.source.git.commit']
  const items = files.data?.items ?? []
  return (
    <Drawer label="Run" title={<span className="flex items-center gap-2 min-w-0"><i className="sw" style={{ background: color ?? 'var(--c1)' }} /><span className="clip">{r.name}</span></span>} onClose={onClose} actions={<CopyButton text={new URL(href.run(id).slice(1), document.baseURI).href} label="Copy link" />}
      footer={<><Go className="btn" to={href.run(id)}><ExternalLink size={14} />Open run</Go><Go className="btn" to={href.lineage(`run:${id}`)}><Link2 size={14} />Lineage</Go></>}>
      <div className="px-4 pb-3 flex items-center gap-2 text-sm text-3"><Pill kind={state.kind}>{state.word}</Pill><span><Time at={r.start_time} />{r.end_time && <>, took <Took from={r.start_time} to={r.end_time} /></>}</span></div>
      {shown.length > 0 && <div className="ds grid grid-cols-3 gap-y-2 gap-x-3">{shown.map((k) => <div key={k} className="min-w-0"><div className="text-xs text-3 clip" title={k}>{k}</div><div className="text-lg strong">{num(r.metrics[k])}</div><div className="text-xs text-3 clip">{against(k)}</div></div>)}</div>}
      {r.description && <div className="ds"><div className="sec">Note</div><div className="text-sm"><Markdown under={2} text={r.description} /></div></div>}
      <div className="ds"><KeyValues items={[
        ['Author', r.user], ['Code', commit ? <span key="c" className="mono">{commit.slice(0, 7)}</span> : ''], ['Source', r.source],
        ...(r.inputs ?? []).map((i): [string, ReactNode] => { const d = datasetOf(i.source); return [i.context ? `Data (${i.context})` : 'Data', d ? <Go key={i.digest} className="link" to={href.dataset(d.name, d.version)}>{d.name} v{d.version}</Go> : i.name] }),
      ]} /></div>
      {changed.length > 0 && best && <div className="ds"><div className="sec">Differs from {best.name} (best)</div><dl className="kv mono">{changed.map((k) => <div key={k} className="contents"><dt>{k}</dt><dd><span className="text-3">{best.params[k] ?? 'not set'} →</span> <b>{r.params[k] ?? 'not set'}</b></dd></div>)}</dl></div>}
      {items.length > 0 && <div className="ds"><div className="sec">Artifacts <span className="text-3 font-normal">{count(items.length)}</span></div><div className="text-sm text-2 grid gap-0.5">{items.slice(0, 8).map((f) => <Go key={f.path} className="flex hover:underline" to={`${href.run(id)}?tab=files&file=${encodeURIComponent(f.path)}`}><span className="clip flex-1">{f.path}{f.is_dir ? '/' : ''}</span><span className="text-3">{f.is_dir ? '' : bytes(f.size)}</span></Go>)}</div></div>}
      <div className="ds"><div className="sec">On the command line</div><Code small prompt text={cli.getRun(r.id)} /></div>
    </Drawer>
  )
}
