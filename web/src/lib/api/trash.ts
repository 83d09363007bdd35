// What was deleted: reading the trash, bringing back, removing for good.
import { infiniteQueryOptions, type QueryClient } from '@tanstack/react-query'
import { http } from './http'

/** One thing in the trash. */
export interface TrashItem {
  /** kind:id, as restore and purge take it. */
  id: string
  kind: string
  name: string
  parent?: string
  /** The one it is in. */
  workspace?: string
  /** Things inside that go with it. */
  holds?: number
  deleted_at: string
  deleted_by?: string
  /** When the daily purge may remove it. */
  purge_at?: string
  /** Missing when there is too much to count. */
  files?: number
  bytes?: number
  /** Living things that need it: a purge keeps it. */
  used_by?: string[]
}

export interface TrashPage {
  items: TrashItem[]
  next_page_token?: string
  kinds: { kind: string; count: number }[]
  /** 0: things wait until somebody purges them. */
  undo_days: number
}

export interface Purged {
  dry_run: boolean
  kinds: { kind: string; count: number; files: number; bytes: number }[]
  count: number
  files: number
  bytes: number
  freed_bytes: number
  items: { id: string; kind: string; name: string; parent?: string; files: number; bytes: number }[]
  kept: { id: string; kind: string; name: string; used_by?: string[]; error?: string }[]
  more: boolean
}

export interface Swept {
  checked: number
  removed: number
  bytes: number
  waiting: number
}

/** What a purge takes: the things of a list, or what was deleted longer ago than an age ("30d", "0s" for everything). */
export interface PurgeChoice {
  ids?: readonly string[]
  kinds?: readonly string[]
  older_than?: string
  workspace?: string
}

export const mostIds = 500
const root = '/api/v1/trash'

export const trashQuery = (kind: string | undefined, workspace: string | undefined) => infiniteQueryOptions({
  queryKey: ['trash', 'list', kind ?? '', workspace ?? ''], initialPageParam: '', getNextPageParam: (last: TrashPage) => last.next_page_token || undefined,
  queryFn: ({ pageParam, signal }) => http.get<TrashPage>(root, { signal, query: { kind, workspace, page_size: 100, page_token: pageParam } }),
})

export const trash = {
  restore: (ids: readonly string[], workspace?: string) => http.post<{ restored: number }>(`${root}/restore`, { body: { ids, workspace } }),
  /** What would go. */
  weigh: (choice: PurgeChoice, signal?: AbortSignal) => http.post<Purged>(`${root}/purge`, { body: { ...choice, dry_run: true }, ...(signal ? { signal } : {}) }),
  /** Removes for good, in as many requests as the server wants; `told` hears of each. */
  async purge(choice: PurgeChoice, told?: (count: number) => void): Promise<Purged> {
    let sum: Purged | undefined
    for (;;) {
      const part = await http.post<Purged>(`${root}/purge`, { body: { ...choice, dry_run: false } })
      sum = sum ? { ...part, count: sum.count + part.count, files: sum.files + part.files, bytes: sum.bytes + part.bytes, freed_bytes: sum.freed_bytes + part.freed_bytes } : part
      if (!part.more || part.count === 0) return sum
      told?.(sum.count)
    }
  },
  sweep: (dry: boolean) => http.post<Swept>(`${root}/sweep`, { body: { dry_run: dry } }),
  /** Brings back what was deleted under a name last: a model may have left its name in the trash more than once. */
  async restoreLast(kind: string, name: string): Promise<unknown> {
    const { items } = await http.get<TrashPage>(root, { query: { kind, page_size: 50 } })
    const found = items.find((i) => i.name === name)
    if (!found) throw new Error(`${name} is not in the trash any more.`)
    return trash.restore([found.id])
  },
}

/** Anything may have come back or gone: models hold versions, experiments runs. `lazily` leaves a page that is on its way out alone. */
export const renewAll = (client: QueryClient, lazily = false) => client.invalidateQueries(lazily ? { refetchType: 'none' } : {})
