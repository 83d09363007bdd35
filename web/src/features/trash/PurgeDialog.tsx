import { useQuery, useQueryClient } from '@tanstack/react-query'
import { TriangleAlert } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { renewAll, trash, type PurgeChoice, type Purged, type TrashPage } from '@/lib/api/trash'
import { bytes, count, plural } from '@/lib/format'
import { Field } from '@/ui/Controls'
import { Dialog } from '@/ui/Dialog'
import { Skeleton } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { Note } from '@/ui/Panel'
import { toast } from '@/ui/toasts'
import { kindCounts, kindOf } from './kinds'

interface Props {
  /** These things; without them the dialog asks which. */
  ids?: readonly string[] | undefined
  kinds: TrashPage['kinds']
  kind: string | undefined
  /** Only what is in this one. */
  workspace?: string | undefined
  undoDays: number
  onClose: () => void
  onDone: () => void
}

const word = 'purge'

/** Shows what would go before anything goes. A purge by age, which may take much, asks for a word as well. */
export function PurgeDialog({ ids, kinds, kind, workspace, undoDays, onClose, onDone }: Props): ReactNode {
  const client = useQueryClient()
  const [age, setAge] = useState(undoDays > 0 ? `${undoDays}d` : '0s')
  const [only, setOnly] = useState(kind ?? '')
  const [typed, setTyped] = useState('')
  const [gone, setGone] = useState<number | undefined>()
  const [error, setError] = useState<unknown>()
  const choice: PurgeChoice = { ...(ids ? { ids } : { older_than: age, ...(only ? { kinds: [only] } : {}) }), ...(workspace ? { workspace } : {}) }
  // What is being removed is not weighed again.
  const would = useQuery({ queryKey: ['trash', 'weigh', choice], queryFn: ({ signal }) => trash.weigh(choice, signal), gcTime: 0, staleTime: Infinity, retry: false, enabled: gone === undefined })
  const busy = gone !== undefined
  const going = would.data?.count ?? 0
  const allowed = going > 0 && !busy && (ids !== undefined || typed === word)
  const purge = async () => {
    if (!allowed) return
    setGone(0)
    setError(undefined)
    try {
      const out = await trash.purge(choice, setGone)
      toast({ kind: out.kept.length > 0 ? 'info' : 'ok', text: `Removed ${plural(out.count, 'thing')} for good; ${bytes(out.freed_bytes)} free${out.kept.length > 0 ? `, ${count(out.kept.length)} kept` : ''}` })
      onDone()
    } catch (e) {
      setError(e)
      setGone(undefined)
    } finally {
      await renewAll(client)
    }
  }
  return (
    <Dialog open onClose={() => { if (!busy) onClose() }} title={ids ? `Remove ${plural(ids.length, 'thing')} for good` : 'Remove things for good'}>
      <form className="mt-2 grid gap-3" onSubmit={(e) => { e.preventDefault(); void purge() }}>
        {!ids && (
          <div className="grid grid-cols-2 gap-3">
            <Field label="Deleted">{(p) => (
              <select {...p} className="inp" value={age} onChange={(e) => setAge(e.target.value)}>
                {undoDays > 0 && <option value={`${undoDays}d`}>more than {undoDays} days ago</option>}
                {[7, 1].filter((d) => d !== undoDays).map((d) => <option key={d} value={`${d}d`}>more than {plural(d, 'day')} ago</option>)}
                <option value="0s">at any time</option>
              </select>
            )}</Field>
            <Field label="What">{(p) => (
              <select {...p} className="inp" value={only} onChange={(e) => setOnly(e.target.value)}>
                <option value="">everything</option>
                {kinds.filter((k) => k.count > 0 || k.kind === only).map((k) => <option key={k.kind} value={k.kind}>{kindOf(k.kind).many}</option>)}
              </select>
            )}</Field>
          </div>
        )}
        <div aria-live="polite" aria-busy={would.isPending}>
          {would.error ? <ErrorBox error={would.error} title="Can't tell what would go" onRetry={() => void would.refetch()} /> : would.data ? <Would out={would.data} /> : <Skeleton rows={2} />}
        </div>
        {!ids && going > 0 && <label className="block text-sm">Type <b className="mono">{word}</b> to confirm<input className="inp mt-1" autoComplete="off" value={typed} onChange={(e) => setTyped(e.target.value)} /></label>}
        {error !== undefined && <ErrorBox error={error} title="Not all of it went" />}
        <div className="flex justify-end gap-2 items-center">
          {busy && <span className="text-2 text-sm mr-auto" role="status">{gone > 0 ? `${count(gone)} went, going on` : 'Removing'}</span>}
          <button type="button" className="btn" disabled={busy} onClick={onClose}>Cancel</button>
          <button type="submit" className="btn pri dgr" disabled={!allowed}>{going > 0 ? `Remove ${plural(going, 'thing')} for good` : 'Remove'}</button>
        </div>
      </form>
    </Dialog>
  )
}

/** What would go, kind by kind, and what stays because something living needs it. */
function Would({ out }: { out: Purged }) {
  return (
    <div className="grid gap-2.5">
      {out.count === 0 ? <p className="text-2">Nothing would go.</p> : (
        <>
          <p className="text-2 text-sm"><b className="text-1">{kindCounts(out.kinds)}</b> would go{out.more && ', and more than could be counted in time'}, and can't be brought back.</p>
          <table className="tbl dense" aria-label="What would go">
            <thead><tr><th className="!pl-0">Kind</th><th className="num">Things</th><th className="num">Files</th><th className="num !pr-0">Size</th></tr></thead>
            <tbody>{out.kinds.map((k) => <tr key={k.kind}><td className="!pl-0">{kindOf(k.kind).many}</td><td className="num">{count(k.count)}</td><td className="num">{count(k.files)}</td><td className="num !pr-0">{bytes(k.bytes)}</td></tr>)}</tbody>
          </table>
          <p className="text-sm text-2">{out.freed_bytes === out.bytes ? <>{bytes(out.freed_bytes)} become free.</> : <>{bytes(out.freed_bytes)} become free; other things share the rest of these files.</>}</p>
          {out.items.length > 0 && <details className="text-sm"><summary className="text-2">{out.items.length < out.count ? `The first ${count(out.items.length)} by name` : 'By name'}</summary><ul className="max-h-40 overflow-auto py-1">{out.items.map((i) => <li key={i.id} className="flex justify-between gap-3 py-0.5"><span className="clip">{i.name || i.id} <span className="text-3">{i.parent}</span></span><span className="text-3 flex-none">{bytes(i.bytes)}</span></li>)}</ul></details>}
        </>
      )}
      {out.kept.length > 0 && (
        <Note icon={<TriangleAlert size={14} />}>
          {plural(out.kept.length, 'thing stays', 'things stay')}:
          <ul className="max-h-28 overflow-auto">{out.kept.slice(0, 20).map((k) => <li key={k.id} className="break-words"><b>{k.name || k.id}</b> {k.used_by && k.used_by.length > 0 ? `is what ${k.used_by.slice(0, 2).join(' and ')}${k.used_by.length > 2 ? ` and ${k.used_by.length - 2} more` : ''} came from` : k.error}</li>)}</ul>
          {out.kept.length > 20 && <>and {count(out.kept.length - 20)} more</>}
        </Note>
      )}
    </div>
  )
}
