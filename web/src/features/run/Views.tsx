import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Star } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { http } from '@/lib/api/http'
import { q } from '@/lib/api/queries'
import type { SavedView } from '@/lib/api/types'
import { Dialog } from '@/ui/Dialog'
import { Field } from '@/ui/Controls'
import { ErrorBox } from '@/ui/ErrorBox'
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine } from '@/ui/Menu'
import { toast } from '@/ui/toasts'
import { sameView, type ViewQuery } from './view'

interface Props {
  experiment: string
  /** The saved view that the page came from. */
  current: string | undefined
  query: ViewQuery
  onOpen: (view: SavedView | undefined) => void
}

/** Saved views: shared by all who look at the experiment. */
export function Views({ experiment, current, query, onOpen }: Props): ReactNode {
  const views = useQuery(q.views(experiment))
  const client = useQueryClient()
  const [naming, setNaming] = useState<'new' | 'rename' | undefined>()
  const list = views.data?.items ?? []
  const now = list.find((v) => v.id === current)
  const changed = now !== undefined && !sameView(now.query, query)
  const path = `/api/v1/experiments/${encodeURIComponent(experiment)}/views`
  const renew = () => client.invalidateQueries({ queryKey: ['experiments', experiment, 'views'] })
  const save = async (name: string) => {
    const view = naming === 'rename' && now ? await http.patch<SavedView>(`${path}/${now.id}`, { body: { name } }) : await http.post<SavedView>(path, { body: { name, query } })
    await renew()
    onOpen(view)
    toast({ kind: 'ok', text: `${view.name} saved for everybody` })
  }
  const replace = async (view: SavedView) => {
    const before = view.query
    await http.patch(`${path}/${view.id}`, { body: { query } })
    await renew()
    toast({ kind: 'ok', text: `${view.name} shows this from now on`, action: { label: 'Undo', run: () => void http.patch(`${path}/${view.id}`, { body: { query: before } }).then(renew) } })
  }
  const remove = async (view: SavedView) => {
    await http.delete(`${path}/${view.id}`)
    await renew()
    onOpen(undefined)
    toast({ kind: 'ok', text: `View ${view.name} deleted`, action: { label: 'Undo', run: () => void http.post(path, { body: { name: view.name, query: view.query } }).then(renew) } })
  }
  const failed = (e: unknown) => toast({ kind: 'bad', text: e instanceof Error ? e.message : String(e) })
  return (
    <>
      <Menu label="Views" trigger={<button type="button" className="btn !h-8"><Star size={14} /><span className="clip max-w-40">{now ? now.name : 'Views'}</span>{changed && <span className="text-3">changed</span>}<span className="text-3">▾</span></button>}>
        <MenuLabel>{list.length > 0 ? 'Saved views' : 'No view is saved yet'}</MenuLabel>
        <div className="max-h-72 overflow-auto">
          <MenuChoice checked={now === undefined} onSelect={() => onOpen(undefined)}>All runs</MenuChoice>
          {list.map((v) => <MenuChoice key={v.id} checked={v.id === current} onSelect={() => onOpen(v)}>{v.name}</MenuChoice>)}
        </div>
        <MenuLine />
        {now && changed && <MenuItem onSelect={() => void replace(now).catch(failed)}>Save the changes to {now.name}</MenuItem>}
        <MenuItem onSelect={() => setNaming('new')}>Save as a new view…</MenuItem>
        {now && <><MenuItem onSelect={() => setNaming('rename')}>Rename {now.name}…</MenuItem><MenuItem onSelect={() => void remove(now).catch(failed)}>Delete {now.name}</MenuItem></>}
      </Menu>
      <Naming open={naming !== undefined} title={naming === 'rename' ? `Rename ${now?.name ?? ''}` : 'Save this view'} action={naming === 'rename' ? 'Rename view' : 'Save view'} start={naming === 'rename' ? (now?.name ?? '') : ''} onClose={() => setNaming(undefined)} run={save} />
    </>
  )
}

function Naming({ open, title, action, start, onClose, run }: { open: boolean; title: string; action: string; start: string; onClose: () => void; run: (name: string) => Promise<void> }) {
  return <Dialog open={open} onClose={onClose} title={title}>{open && <NamingForm action={action} start={start} onClose={onClose} run={run} />}</Dialog>
}

function NamingForm({ action, start, onClose, run }: { action: string; start: string; onClose: () => void; run: (name: string) => Promise<void> }) {
  const [name, setName] = useState(start)
  const [error, setError] = useState<unknown>()
  const submit = () => run(name.trim()).then(onClose, setError)
  return (
    <form className="mt-2 grid gap-3" onSubmit={(e) => { e.preventDefault(); if (name.trim() !== '') void submit() }}>
      <Field label="Name" help="Filter, order, columns, grouping and chart. Everybody who opens this experiment sees it.">{(p) => <input {...p} className="inp" autoFocus maxLength={100} value={name} onChange={(e) => setName(e.target.value)} />}</Field>
      {error !== undefined && <ErrorBox error={error} title="Not saved" />}
      <div className="flex justify-end gap-2"><button type="button" className="btn" onClick={onClose}>Cancel</button><button type="submit" className="btn pri" disabled={name.trim() === ''}>{action}</button></div>
    </form>
  )
}
