// The tree of a trace's spans, as rows of a waterfall.
import type { Span } from './api'

export interface Row {
  span: Span
  depth: number
  /** How many spans lie below. */
  below: number
  /** Milliseconds in which none of its children ran. */
  self: number
}

/**
 * Rows in the order of the tree: children under their parent, by their start. A span whose parent is not here stands at the top; loops, which
 * only a broken client makes, are cut.
 */
export function rowsOf(spans: readonly Span[]): Row[] {
  const known = new Map(spans.map((s) => [s.id, s]))
  const children = new Map<string, Span[]>()
  for (const s of spans) {
    const parent = s.parent_id !== undefined && s.parent_id !== s.id && known.has(s.parent_id) ? s.parent_id : ''
    const list = children.get(parent)
    if (list) list.push(s)
    else children.set(parent, [s])
  }
  for (const list of children.values()) list.sort((a, b) => a.offset_ms - b.offset_ms)
  const out: Row[] = []
  const seen = new Set<string>()
  const visit = (start: Span) => {
    const stack: { span: Span; depth: number }[] = [{ span: start, depth: 0 }]
    const open: { at: number; depth: number }[] = []
    while (stack.length > 0) {
      const { span, depth } = stack.pop()!
      if (seen.has(span.id)) continue
      seen.add(span.id)
      while (open.length > 0 && open.at(-1)!.depth >= depth) open.pop()
      for (const o of open) out[o.at]!.below++
      open.push({ at: out.length, depth })
      const kids = children.get(span.id) ?? []
      out.push({ span, depth, below: 0, self: selfTime(span, kids) })
      for (const kid of kids.toReversed()) stack.push({ span: kid, depth: depth + 1 })
    }
  }
  for (const root of children.get('') ?? []) visit(root)
  for (const s of spans) if (!seen.has(s.id)) visit(s)
  return out
}

/** The time of a span that no child covers; children may overlap and outlive it. */
export function selfTime(span: Span, children: readonly Span[]): number {
  const total = span.duration_ms ?? 0
  const end = span.offset_ms + total
  const parts = children.map((c) => [Math.max(span.offset_ms, c.offset_ms), Math.min(end, c.offset_ms + (c.duration_ms ?? 0))] as const).filter(([a, b]) => b > a).sort((a, b) => a[0] - b[0])
  let covered = 0
  let until = span.offset_ms
  for (const [a, b] of parts) {
    if (b <= until) continue
    covered += b - Math.max(a, until)
    until = b
  }
  return Math.max(0, total - covered)
}

/** The rows that show when some are folded. */
export function visible(rows: readonly Row[], folded: ReadonlySet<string>): Row[] {
  const out: Row[] = []
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    out.push(row)
    if (folded.has(row.span.id)) i += row.below
  }
  return out
}

/** From the first start to the last end; at least a microsecond, so that bars have a scale. */
export function spanOf(spans: readonly Span[]): number {
  return Math.max(0.001, ...spans.map((s) => s.offset_ms + (s.duration_ms ?? 0)))
}

/** Three to six round marks of an axis from 0 to total. */
export function ticks(total: number): number[] {
  const rough = total / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough) ?? power * 10
  return Array.from({ length: Math.floor(total / step) + 1 }, (_, i) => i * step).slice(0, 8)
}

/** The first failure, deepest in the tree: where it went wrong, not who passed it on. */
export function culprit(rows: readonly Row[]): Row | undefined {
  return rows.filter((r) => r.span.status === 'ERROR').reduce<Row | undefined>((best, r) => (!best || r.depth > best.depth ? r : best), undefined)
}

/** The row that took most of the time itself. */
export function slowest(rows: readonly Row[]): Row | undefined {
  return rows.reduce<Row | undefined>((best, r) => (!best || r.self > best.self ? r : best), undefined)
}
