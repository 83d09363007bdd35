import { useQueryClient } from '@tanstack/react-query'
import { useCallback } from 'react'
import { renewAll } from '@/lib/api/trash'
import { href } from '@/lib/href'
import { useGo } from './Go'
import { toast } from './toasts'

export interface Discarded {
  /** As in the sentence "Deleted …". */
  what: string
  remove: () => Promise<unknown>
  restore: () => Promise<unknown>
  /** Where to go when the page of the thing is gone, and where Undo leads. */
  away?: string
  back?: string
}

const reason = (e: unknown) => (e instanceof Error ? e.message : String(e))

/** Moves a thing to the trash at once, and offers to undo it. Answers whether it went. */
export function useDiscard(): (d: Discarded) => Promise<boolean> {
  const client = useQueryClient()
  const go = useGo()
  return useCallback(async (d: Discarded) => {
    try {
      await d.remove()
    } catch (e) {
      toast({ kind: 'bad', text: `Not deleted: ${reason(e)}` })
      return false
    }
    const undo = async () => {
      try {
        await d.restore()
        await renewAll(client)
        if (d.back) go(d.back)
      } catch (e) {
        toast({ kind: 'bad', text: `Not restored: ${reason(e)}` })
      }
    }
    toast({ kind: 'ok', text: `Deleted ${d.what}`, link: { label: 'Trash', to: href.trash() }, action: { label: 'Undo', run: () => void undo() } })
    if (d.away) go(d.away)
    await renewAll(client, d.away !== undefined)
    return true
  }, [client, go])
}
