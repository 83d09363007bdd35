import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { http, tokenNeeded } from '@/lib/api/http'
import { Dialog } from '@/ui/Dialog'
import { Field } from '@/ui/Controls'

/** Asked when the server answers 401: it listens on more than this machine, so it wants its token. */
export function TokenPrompt() {
  const client = useQueryClient()
  const [token, setToken] = useState('')
  const [error, setError] = useState<string>()
  const [busy, setBusy] = useState(false)
  const submit = async () => {
    setBusy(true)
    try {
      await http.post('/api/v1/session', { body: { token: token.trim() } })
      tokenNeeded.set(false)
      await client.invalidateQueries()
    } catch (e) {
      setError(e instanceof Error ? e.message : String(e))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog open onClose={() => tokenNeeded.set(false)} title="Sign in">
      <form className="mt-2 grid gap-3" onSubmit={(e) => { e.preventDefault(); void submit() }}>
        <p className="text-2">This server can be reached from other machines, so it asks who you are.</p>
        <Field label="Admin token" help="The one the server was started with: MODELYARD_TOKEN." error={error}>
          {(p) => <input {...p} className="inp" type="password" autoComplete="current-password" autoFocus value={token} onChange={(e) => setToken(e.target.value)} />}
        </Field>
        <div className="flex justify-end"><button type="submit" className="btn pri" disabled={busy || token.trim() === ''}>Sign in</button></div>
      </form>
    </Dialog>
  )
}
