import { useQuery, useQueryClient } from '@tanstack/react-query'
import { X } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { q } from '@/lib/api/queries'
import { plural } from '@/lib/format'
import { useKeys } from '@/lib/keys'
import { Dialog } from '@/ui/Dialog'
import { Field } from '@/ui/Controls'
import { ErrorBox } from '@/ui/ErrorBox'
import { toast } from '@/ui/toasts'
import { useDiscard } from '@/ui/useDiscard'
import { bulk, mostTagged, renew } from './source'

interface Props {
  experiment: string
  selected: ReadonlySet<string>
  tags: readonly string[]
  onCompare: () => void
  onExport: () => void
  onClear: () => void
}

/** What can be done with the selected runs; floats over the table. */
export function Bulk({ experiment, selected, tags, onCompare, onExport, onClear }: Props): ReactNode {
  const client = useQueryClient()
  const [dialog, setDialog] = useState<'tag' | 'move' | undefined>()
  const ids = [...selected]
  const runs = plural(ids.length, 'run')
  const discard = useDiscard()
  const remove = () => {
    let gone: readonly string[] = ids
    void discard({ what: runs, remove: async () => { gone = await bulk.remove(ids) }, restore: () => bulk.restore(gone) }).then((went) => went && onClear())
  }
  useKeys([
    { keys: 'c', label: 'Compare the selected runs', run: () => ids.length > 1 && onCompare() },
    { keys: 't', label: 'Tag the selected runs', run: () => ids.length <= mostTagged && setDialog('tag') },
    { keys: 'Delete', label: 'Delete the selected runs', run: remove },
    { keys: 'Escape', label: 'Clear the selection', run: onClear },
  ])
  return (
    <>
      <div className="float" role="toolbar" aria-label="Selected runs">
        <b>{runs}</b><span className="text-3 text-sm mr-2">selected</span>
        <button type="button" className="btn pri s" disabled={ids.length < 2} title={ids.length > 20 ? 'The first 20 of them' : undefined} onClick={onCompare}>Compare <kbd className="!bg-transparent !text-inherit !border-transparent">C</kbd></button>
        <button type="button" className="btn s ghost" disabled={ids.length > mostTagged} title={ids.length > mostTagged ? `At most ${mostTagged} runs are tagged at once, all or none` : undefined} onClick={() => setDialog('tag')}>Tag…</button>
        <button type="button" className="btn s ghost" onClick={() => setDialog('move')}>Move…</button>
        <button type="button" className="btn s ghost" onClick={onExport}>Export</button>
        <button type="button" className="btn s ghost" onClick={remove}>Delete</button>
        <button type="button" className="btn s ghost icon" aria-label="Clear the selection" onClick={onClear}><X size={14} /></button>
      </div>
      <Dialog open={dialog === 'tag'} onClose={() => setDialog(undefined)} title={`Tag ${runs}`}>{dialog === 'tag' && <TagForm ids={ids} runs={runs} known={tags} onDone={() => { setDialog(undefined); void renew(client) }} />}</Dialog>
      <Dialog open={dialog === 'move'} onClose={() => setDialog(undefined)} title={`Move ${runs}`}>{dialog === 'move' && <MoveForm ids={ids} runs={runs} from={experiment} onDone={() => { setDialog(undefined); onClear(); void renew(client) }} />}</Dialog>
    </>
  )
}

function TagForm({ ids, runs, known, onDone }: { ids: readonly string[]; runs: string; known: readonly string[]; onDone: () => void }) {
  const [key, setKey] = useState('')
  const [value, setValue] = useState('')
  const [error, setError] = useState<unknown>()
  const set = () => bulk.tag(ids, key.trim(), value).then(() => { toast({ kind: 'ok', text: `Tagged ${runs} ${key.trim()}: ${value}` }); onDone() }, setError)
  const drop = () => bulk.untag(ids, key.trim()).then(() => { toast({ kind: 'ok', text: `Removed the tag ${key.trim()} from ${runs}` }); onDone() }, setError)
  const empty = key.trim() === ''
  return (
    <form className="mt-2 grid gap-3" onSubmit={(e) => { e.preventDefault(); if (!empty) void set() }}>
      <Field label="Tag">{(p) => <><input {...p} className="inp" autoFocus list="known-tags" value={key} onChange={(e) => setKey(e.target.value)} /><datalist id="known-tags">{known.filter((k) => !k.startsWith('mlflow.')).map((k) => <option key={k} value={k} />)}</datalist></>}</Field>
      <Field label="Value" help="A value that a run has already is replaced. All are tagged, or none.">{(p) => <input {...p} className="inp" value={value} onChange={(e) => setValue(e.target.value)} />}</Field>
      {error !== undefined && <ErrorBox error={error} title="Not tagged" />}
      <div className="flex justify-end gap-2"><button type="button" className="btn ghost" disabled={empty} onClick={() => void drop()}>Remove this tag</button><span className="flex-1" /><button type="submit" className="btn pri" disabled={empty}>Tag {runs}</button></div>
    </form>
  )
}

function MoveForm({ ids, runs, from, onDone }: { ids: readonly string[]; runs: string; from: string; onDone: () => void }) {
  const experiments = useQuery(q.experiments())
  const others = experiments.data?.items.filter((e) => e.id !== from) ?? []
  const [to, setTo] = useState('')
  const [error, setError] = useState<unknown>()
  const name = others.find((e) => e.id === to)?.name ?? ''
  const move = () => bulk.move(ids, to, from).then((gone) => {
    toast({ kind: 'ok', text: `Moved ${runs} to ${name}`, action: { label: 'Undo', run: () => void bulk.move(gone, from, to).then(onDone).catch((e: unknown) => toast({ kind: 'bad', text: String(e) })) } })
    onDone()
  }, setError)
  return (
    <form className="mt-2 grid gap-3" onSubmit={(e) => { e.preventDefault(); if (to !== '') void move() }}>
      <Field label="To the experiment" help={others.length === 0 && experiments.data ? 'There is no other experiment yet. Make one with: modelyard experiment create NAME' : 'Metrics, files and models go along; links to the runs stay.'}>{(p) => <select {...p} className="inp" autoFocus value={to} onChange={(e) => setTo(e.target.value)}><option value="">Choose…</option>{others.map((e) => <option key={e.id} value={e.id}>{e.name}</option>)}</select>}</Field>
      {error !== undefined && <ErrorBox error={error} title="Not moved" />}
      <div className="flex justify-end"><button type="submit" className="btn pri" disabled={to === ''}>Move {runs}{name && ` to ${name}`}</button></div>
    </form>
  )
}
