import { useMutation } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { trash } from '@/lib/api/trash'
import { bytes, count, plural } from '@/lib/format'
import { ErrorBox } from '@/ui/ErrorBox'
import { Panel } from '@/ui/Panel'
import { toast } from '@/ui/toasts'

/** Contents that no name refers to: counted first, removed at the second click. */
export function Sweep(): ReactNode {
  const look = useMutation({ mutationFn: () => trash.sweep(true) })
  const sweep = useMutation({
    mutationFn: () => trash.sweep(false),
    onSuccess: (out) => { look.reset(); toast({ kind: 'ok', text: `Removed ${plural(out.removed, 'content')} that nothing referred to; ${bytes(out.bytes)} free` }) },
  })
  const found = look.data
  const error = look.error ?? sweep.error
  return (
    <Panel title="Contents without a name" note="what uploads that broke off and replaced files left behind">
      <div className="px-3.5 py-2.5 flex items-center gap-3 flex-wrap">
        <p className="text-2 text-sm flex-1 min-w-56" role="status">
          {look.isPending ? 'Looking at every content…' : sweep.isPending ? 'Removing…' : !found ? 'The server looks once a day and removes them. You can have it look now.'
            : found.removed === 0 ? `None among ${plural(found.checked, 'content')}${found.waiting > 0 ? `; ${count(found.waiting)} may still be needed by an upload or a backup` : ''}.`
              : <><b className="text-1">{plural(found.removed, 'content')}</b> of {count(found.checked)} can go, {bytes(found.bytes)}{found.waiting > 0 && `; ${count(found.waiting)} may still be needed by an upload or a backup`}.</>}
        </p>
        {found && found.removed > 0 && <button type="button" className="btn dgr" disabled={sweep.isPending} onClick={() => sweep.mutate()}>Remove {plural(found.removed, 'content')}</button>}
        <button type="button" className="btn" disabled={look.isPending || sweep.isPending} onClick={() => look.mutate()}>{found ? 'Look again' : 'Look for them'}</button>
      </div>
      {error && <div className="ds !px-3.5"><ErrorBox error={error} title="The contents could not be swept" /></div>}
    </Panel>
  )
}
