import type { ModelEvent } from '@/lib/api/types'

/** One stay of an alias on a version. */
export interface Stay {
  alias: string
  from: string
  /** Missing while it is still there. */
  to?: string
  by: string
  reason?: string
  /** The version that got it afterwards; missing when it was taken off. */
  next?: string
}

/** Which aliases each version carried, when, by whom and why; the newest first. `events` may come in any order. */
export function aliasLife(events: readonly ModelEvent[]): Map<string, Stay[]> {
  const out = new Map<string, Stay[]>()
  const open = new Map<string, Stay>()
  for (const e of [...events].sort((a, b) => a.at.localeCompare(b.at))) {
    if (!e.alias) continue
    const before = open.get(e.alias)
    if (/alias_(set|deleted|removed)/.test(e.what) && before) {
      before.to = e.at
      open.delete(e.alias)
    }
    if (e.what !== 'alias_set' || !e.version) continue
    if (before) before.next = e.version
    const stay: Stay = { alias: e.alias, from: e.at, by: e.actor, ...(e.reason ? { reason: e.reason } : {}) }
    open.set(e.alias, stay)
    out.set(e.version, [stay, ...(out.get(e.version) ?? [])])
  }
  return out
}
