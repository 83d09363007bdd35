// Differences of two texts, by line and by word. The edit script is Myers' (1986), O(ND).

export interface Edit<T> {
  kind: 'same' | 'gone' | 'new'
  value: T
}

/** Beyond so many edits the rest counts as replaced: nobody reads such a diff line by line. */
const mostEdits = 2000

/** The shortest way from `a` to `b`. */
export function edits<T>(a: readonly T[], b: readonly T[], equal: (x: T, y: T) => boolean = Object.is): Edit<T>[] {
  let head = 0
  while (head < a.length && head < b.length && equal(a[head]!, b[head]!)) head++
  let tail = 0
  while (tail < a.length - head && tail < b.length - head && equal(a[a.length - 1 - tail]!, b[b.length - 1 - tail]!)) tail++
  const middle = myers(a.slice(head, a.length - tail), b.slice(head, b.length - tail), equal)
  const same = (value: T): Edit<T> => ({ kind: 'same', value })
  return [...b.slice(0, head).map(same), ...middle, ...b.slice(b.length - tail).map(same)]
}

function myers<T>(a: readonly T[], b: readonly T[], equal: (x: T, y: T) => boolean): Edit<T>[] {
  const replaced = (): Edit<T>[] => [...a.map((value): Edit<T> => ({ kind: 'gone', value })), ...b.map((value): Edit<T> => ({ kind: 'new', value }))]
  if (a.length === 0 || b.length === 0) return replaced()
  const most = Math.min(a.length + b.length, mostEdits)
  const size = 2 * most + 1
  let v = new Int32Array(size + 2)
  const trace: Int32Array[] = []
  for (let d = 0; d <= most; d++) {
    trace.push(v.slice())
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && v[most + k - 1]! < v[most + k + 1]!)
      let x = down ? v[most + k + 1]! : v[most + k - 1]! + 1
      let y = x - k
      while (x < a.length && y < b.length && equal(a[x]!, b[y]!)) {
        x++
        y++
      }
      v[most + k] = x
      if (x >= a.length && y >= b.length) return backtrack(a, b, trace, d, most)
    }
    v = v.slice()
  }
  return replaced()
}

function backtrack<T>(a: readonly T[], b: readonly T[], trace: readonly Int32Array[], steps: number, most: number): Edit<T>[] {
  const out: Edit<T>[] = []
  let [x, y] = [a.length, b.length]
  for (let d = steps; d >= 0; d--) {
    const v = trace[d]!
    const k = x - y
    const down = k === -d || (k !== d && v[most + k - 1]! < v[most + k + 1]!)
    const before = down ? k + 1 : k - 1
    const [px, py] = d === 0 ? [0, 0] : [v[most + before]!, v[most + before]! - before]
    while (x > px && y > py) {
      out.push({ kind: 'same', value: b[y - 1]! })
      x--
      y--
    }
    if (d > 0) out.push(down ? { kind: 'new', value: b[--y]! } : { kind: 'gone', value: a[--x]! })
  }
  return out.reverse()
}

/** Words, spaces and marks of a text; joined they are the text again. */
export function words(text: string): string[] {
  return text.match(/[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu) ?? []
}

/** The differences by word, neighbours of one kind joined. */
export function wordDiff(a: string, b: string): Edit<string>[] {
  const out: Edit<string>[] = []
  for (const e of edits(words(a), words(b))) {
    const last = out.at(-1)
    if (last?.kind === e.kind) last.value += e.value
    else out.push({ ...e })
  }
  return out
}

export interface LinePair {
  kind: 'same' | 'changed' | 'gone' | 'new'
  /** Line numbers begin at 1. */
  left?: { number: number; text: string }
  right?: { number: number; text: string }
}

/** The lines of two texts side by side; a removed line beside an added one is a changed one. */
export function lineDiff(a: string, b: string): LinePair[] {
  const out: LinePair[] = []
  let [left, right] = [0, 0]
  let gone: { number: number; text: string }[] = []
  let fresh: { number: number; text: string }[] = []
  const flush = () => {
    for (let i = 0; i < Math.max(gone.length, fresh.length); i++) {
      const [l, r] = [gone[i], fresh[i]]
      out.push({ kind: l && r ? 'changed' : l ? 'gone' : 'new', ...(l ? { left: l } : {}), ...(r ? { right: r } : {}) })
    }
    gone = []
    fresh = []
  }
  for (const e of edits(a.split('\n'), b.split('\n'))) {
    if (e.kind === 'gone') gone.push({ number: ++left, text: e.value })
    else if (e.kind === 'new') fresh.push({ number: ++right, text: e.value })
    else {
      flush()
      out.push({ kind: 'same', left: { number: ++left, text: e.value }, right: { number: ++right, text: e.value } })
    }
  }
  flush()
  return out
}

/** JSON with sorted keys and one value a line, so that only what differs differs; any other text as it is. */
export function canonical(text: string): string {
  try {
    return JSON.stringify(sorted(JSON.parse(text)), null, 2)
  } catch {
    return text
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sorted(v)]))
}
