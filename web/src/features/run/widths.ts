// Widths of columns as the address and saved views keep them: "m:val_mae=140", in pixels.
import { narrowest, parseColumn, widest } from './columns'

/** The widths of a list; what can't be read is left out. */
export function parseWidths(list: readonly string[] | undefined): Record<string, number> {
  const out: Record<string, number> = {}
  for (const text of list ?? []) {
    const at = text.lastIndexOf('=')
    const id = text.slice(0, Math.max(0, at))
    const width = Number(text.slice(at + 1))
    if (parseColumn(id) && Number.isInteger(width) && width >= narrowest && width <= widest) out[id] = width
  }
  return out
}

/** The list with one width changed, or taken back to the usual one. */
export function withWidth(list: readonly string[] | undefined, id: string, width: number | undefined): string[] | undefined {
  const rest = Object.entries(parseWidths(list)).filter(([k]) => k !== id)
  const next = [...rest, ...(width === undefined ? [] : [[id, Math.max(narrowest, Math.min(widest, Math.round(width)))] as const])]
  return next.length > 0 ? next.map(([k, w]) => `${k}=${w}`) : undefined
}
