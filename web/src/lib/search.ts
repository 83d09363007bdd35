/**
 * Orders `items` by how well they answer `text`: names that begin with it, then words that do, then any place,
 * then all words somewhere. An empty text keeps everything in order.
 */
export function rank<T>(text: string, items: readonly T[], haystack: (item: T) => string, name: (item: T) => string): T[] {
  const wanted = text.trim().toLowerCase()
  if (wanted === '') return [...items]
  const words = wanted.split(/\s+/)
  const score = (item: T): number => {
    const hay = haystack(item).toLowerCase()
    const title = name(item).toLowerCase()
    if (title === wanted) return 0
    if (title.startsWith(wanted)) return 1
    if (title.split(/[\s\-_./@]+/).some((w) => w.startsWith(wanted))) return 2
    if (title.includes(wanted)) return 3
    return words.every((w) => hay.includes(w)) ? 4 : -1
  }
  return items.map((item, i) => ({ item, i, s: score(item) })).filter((x) => x.s >= 0).sort((a, b) => a.s - b.s || a.i - b.i).map((x) => x.item)
}
