import { useQueryClient } from '@tanstack/react-query'
import { MoreHorizontal, RotateCcw } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { renewAll, trash } from '@/lib/api/trash'
import { href } from '@/lib/href'
import { useGo } from './Go'
import { Menu, MenuItem, MenuLine } from './Menu'
import { toast } from './toasts'
import { useDiscard, type Discarded } from './useDiscard'

/** The "more" of a page: what else can be done with the thing, and deleting it, which can be undone. */
export function DeleteMenu({ deletes, label = 'More', children }: { label?: string; deletes: readonly (Discarded & { label: string })[]; children?: ReactNode }): ReactNode {
  const discard = useDiscard()
  const go = useGo()
  return (
    <Menu label={label} trigger={<button type="button" className="btn icon ghost" aria-label={label}><MoreHorizontal size={14} /></button>}>
      {children}{children && <MenuLine />}
      {deletes.map((d) => <MenuItem key={d.label} onSelect={() => void discard(d)}>{d.label}</MenuItem>)}
      <MenuLine /><MenuItem onSelect={() => go(href.trash())}>Open the trash</MenuItem>
    </Menu>
  )
}

/** In place of the menu when the thing is in the trash itself. */
export function RestoreButton({ id, children }: { id: string; children: ReactNode }): ReactNode {
  const client = useQueryClient()
  const [busy, setBusy] = useState(false)
  const restore = async () => {
    setBusy(true)
    try {
      await trash.restore([id])
      await renewAll(client)
    } catch (e) {
      toast({ kind: 'bad', text: `Not restored: ${e instanceof Error ? e.message : String(e)}` })
    } finally {
      setBusy(false)
    }
  }
  return <button type="button" className="btn" disabled={busy} onClick={() => void restore()}><RotateCcw size={14} />{children}</button>
}
