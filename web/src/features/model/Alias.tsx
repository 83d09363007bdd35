import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { http } from '@/lib/api/http'
import { cli } from '@/lib/cli'
import { Code } from '@/ui/Code'
import { Field } from '@/ui/Controls'
import { Dialog } from '@/ui/Dialog'
import { ErrorBox } from '@/ui/ErrorBox'
import { toast } from '@/ui/toasts'

/** Points an alias of a model or a prompt at a version, with a reason for its history. */
export function AliasDialog({ name, version, aliases, open, onClose, usual = ['champion', 'challenger'] }: { name: string; version: string; aliases: Record<string, string>; open: boolean; onClose: () => void; usual?: readonly string[] }) {
  const client = useQueryClient()
  const [alias, setAlias] = useState(usual[0]!)
  const [reason, setReason] = useState('')
  const [error, setError] = useState<Error | null>(null)
  const before = aliases[alias]
  const bad = /^[A-Za-z][\w.-]{0,99}$/.test(alias) ? undefined : 'A letter, then letters, digits, dashes and dots.'
  const submit = async () => {
    setError(null)
    try {
      await http.put(`/api/v1/models/${encodeURIComponent(name)}/aliases/${encodeURIComponent(alias)}`, { body: { version, reason } })
      await client.invalidateQueries({ queryKey: ['models'] })
      toast({ kind: 'ok', text: `@${alias} is v${version}`, ...(before && before !== version ? { action: { label: 'Undo', run: () => void http.put(`/api/v1/models/${encodeURIComponent(name)}/aliases/${encodeURIComponent(alias)}`, { body: { version: before, reason: 'undone' } }).then(() => client.invalidateQueries({ queryKey: ['models'] })) } } : {}) })
      onClose()
    } catch (e) {
      setError(e instanceof Error ? e : new Error(String(e)))
    }
  }
  return (
    <Dialog open={open} onClose={onClose} title={`Set an alias to ${name} v${version}`}>
      <form className="grid gap-3 mt-2" onSubmit={(e) => { e.preventDefault(); if (!bad) void submit() }}>
        <Field label="Alias" help={before ? (before === version ? 'It is v' + version + ' already.' : `Now v${before}.`) : 'Not set on any version.'} error={bad}>{(p) => <><input {...p} className="inp" list="aliases" autoFocus value={alias} onChange={(e) => setAlias(e.target.value.replace(/^@/, ''))} /><datalist id="aliases">{[...new Set([...usual, ...Object.keys(aliases)])].map((a) => <option key={a} value={a} />)}</datalist></>}</Field>
        <Field label="Reason" help="Kept in the history of the model.">{(p) => <input {...p} className="inp" value={reason} onChange={(e) => setReason(e.target.value)} />}</Field>
        <Code small prompt text={cli.promote(name, version, alias, reason)} />
        {error && <ErrorBox error={error} title="Not set" />}
        <div className="flex justify-end gap-2"><button type="button" className="btn" onClick={onClose}>Cancel</button><button type="submit" className="btn pri" disabled={bad !== undefined || before === version}>Set @{alias} to v{version}</button></div>
      </form>
    </Dialog>
  )
}
