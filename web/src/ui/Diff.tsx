import { useMemo, useState, type ReactNode } from 'react'
import { lineDiff, wordDiff, type Edit, type LinePair } from '@/lib/diff'
import { plural } from '@/lib/format'

const context = 3
const most = 3000

/** Two texts side by side; in a changed line the words that differ are marked. Equal stretches fold. */
export function SideBySide({ left, right, names, mark }: { left: string; right: string; names: readonly [ReactNode, ReactNode]; mark?: (text: string) => ReactNode }) {
  const pairs = useMemo(() => lineDiff(left, right), [left, right])
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set())
  const changed = pairs.filter((p) => p.kind !== 'same').length
  const near = useMemo(() => {
    const out = new Array<boolean>(pairs.length).fill(false)
    pairs.forEach((p, i) => { if (p.kind !== 'same') for (let k = Math.max(0, i - context); k <= Math.min(pairs.length - 1, i + context); k++) out[k] = true })
    return out
  }, [pairs])
  if (changed === 0) return <p className="text-2 p-3.5">No line differs.</p>
  const blocks: ReactNode[] = []
  for (let i = 0; i < Math.min(pairs.length, most); i++) {
    if (near[i] || open.has(i) || pairs.length <= 2 * context + 6) {
      blocks.push(<Line key={i} pair={pairs[i]!} mark={mark} />)
      continue
    }
    let to = i
    while (to < pairs.length && !near[to] && !open.has(to)) to++
    const [from, until] = [i, to]
    blocks.push(<tr key={`fold${i}`}><td colSpan={4} className="!p-0"><button type="button" className="w-full text-left text-3 text-xs px-3.5 py-1 bg-sunken hover:bg-hover" onClick={() => setOpen(new Set([...open, ...Array.from({ length: until - from }, (_, k) => from + k)]))}>Show {plural(until - from, 'equal line')}</button></td></tr>)
    i = to - 1
  }
  return (
    <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Differences by line, scrolls">
      <table className="diff" aria-label="Differences by line">
        <colgroup><col style={{ width: 40 }} /><col /><col style={{ width: 40 }} /><col /></colgroup>
        <thead><tr><th colSpan={2}>{names[0]}</th><th colSpan={2}>{names[1]}</th></tr></thead>
        <tbody>{blocks}</tbody>
      </table>
      {pairs.length > most && <p className="text-3 text-sm px-3.5 py-2">The first {most} of {pairs.length} lines.</p>}
    </div>
  )
}

function Line({ pair: p, mark }: { pair: LinePair; mark: ((text: string) => ReactNode) | undefined }) {
  const change = p.kind === 'changed' ? wordDiff(p.left!.text, p.right!.text) : undefined
  const cell = (side: 'left' | 'right') => {
    const kind = side === 'left' ? 'gone' : 'new'
    const line = p[side]
    const on = p.kind === 'changed' || p.kind === kind
    return <><td className="ln">{line?.number}</td><td className={line ? (on ? kind : '') : 'void'}>{line && (change ? <Words edits={change.filter((e) => e.kind === 'same' || e.kind === kind)} /> : mark ? mark(line.text) : line.text)}</td></>
  }
  return <tr>{cell('left')}{cell('right')}</tr>
}

/** Text with what went struck through and what came underlined, so that colour is not the only sign. */
export function Words({ edits }: { edits: readonly Edit<string>[] }) {
  return <>{edits.map((e, i) => (e.kind === 'same' ? <span key={i}>{e.value}</span> : e.kind === 'gone' ? <del key={i}>{e.value}</del> : <ins key={i}>{e.value}</ins>))}</>
}
