import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { ApiError, http } from '@/lib/api/http'
import { q } from '@/lib/api/queries'
import type { Model, Run, Version } from '@/lib/api/types'
import { href } from '@/lib/href'
import { Field } from '@/ui/Controls'
import { Dialog } from '@/ui/Dialog'
import { ErrorBox } from '@/ui/ErrorBox'
import { useGo } from '@/ui/Go'

/** Registers a model that a run logged: as the next version of a model, or as the first of a new one. */
export function Register({ run, why, open, onClose }: { run: Run; why: string; open: boolean; onClose: () => void }) {
  const go = useGo()
  const client = useQueryClient()
  const models = useQuery({ ...q.models(), enabled: open }).data?.items ?? []
  const logged = run.models ?? []
  const [name, setName] = useState('')
  const [model, setModel] = useState(logged[0]?.model_id ?? '')
  const [note, setNote] = useState(why)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<Error | null>(null)
  const known = models.find((m) => m.name === name)
  const bad = name === '' || /^[^/:]{1,256}$/.test(name) ? undefined : 'A name without slashes and colons.'
  const submit = async () => {
    if (busy || name === '' || bad) return
    setBusy(true)
    setError(null)
    const path = `/api/v1/models/${encodeURIComponent(name)}`
    try {
      if (!known) await http.post<Model>('/api/v1/models', { body: { name } }).catch((e: unknown) => { if (!(e instanceof ApiError && e.status === 409)) throw e })
      const version = await http.post<Version>(`${path}/versions`, { body: { source: `models:/${model}`, description: note } })
      await client.invalidateQueries({ queryKey: ['models'] })
      onClose()
      go(href.model(name, version.version))
    } catch (e) {
      setError(e instanceof Error ? e : new Error(String(e)))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog open={open} onClose={onClose} title={`Register the model of ${run.name}`}>
      <form className="grid gap-3 mt-2" onSubmit={(e) => { e.preventDefault(); void submit() }}>
        <Field label="Model" help={known ? `It becomes the version after v${known.latest_version ?? '0'}.` : name === '' ? 'One that is there, or a new name.' : 'A new model; this is its first version.'} error={bad}>{(p) => <><input {...p} className="inp" list="registered" autoFocus value={name} onChange={(e) => setName(e.target.value.trim())} /><datalist id="registered">{models.map((m) => <option key={m.name} value={m.name} />)}</datalist></>}</Field>
        {logged.length > 1 && <Field label="What the run logged">{(p) => <select {...p} className="inp" value={model} onChange={(e) => setModel(e.target.value)}>{logged.map((m) => <option key={m.model_id} value={m.model_id}>{m.name}</option>)}</select>}</Field>}
        <Field label="Note" help="What is new in it; shown beside the version.">{(p) => <input {...p} className="inp" value={note} onChange={(e) => setNote(e.target.value)} />}</Field>
        {error && <ErrorBox error={error} title="Not registered" />}
        <div className="flex justify-end gap-2"><button type="button" className="btn" onClick={onClose}>Cancel</button><button type="submit" className="btn pri" disabled={busy || name === '' || bad !== undefined || model === ''}>{known ? 'Register the next version' : 'Register the model'}</button></div>
      </form>
    </Dialog>
  )
}
