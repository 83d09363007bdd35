import type { Column } from '@/lib/api/types'

export interface ColumnChange {
  name: string
  change: 'added' | 'removed' | 'type'
  before?: string
  after?: string
}

/** What differs between the columns of two versions, in the order of the newer one, removed ones last. */
export function schemaDiff(before: readonly Column[], after: readonly Column[]): ColumnChange[] {
  const old = new Map(before.map((c) => [c.name, c.type]))
  const now = new Set(after.map((c) => c.name))
  const out: ColumnChange[] = []
  for (const c of after) {
    const type = old.get(c.name)
    if (type === undefined) out.push({ name: c.name, change: 'added', after: c.type })
    else if (type !== c.type) out.push({ name: c.name, change: 'type', before: type, after: c.type })
  }
  for (const c of before) if (!now.has(c.name)) out.push({ name: c.name, change: 'removed', before: c.type })
  return out
}
