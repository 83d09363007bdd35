// What stands in the cells of a runs table.
import type { ReactNode } from 'react'
import { Sparkline } from '@/charts/Sparkline'
import type { Run } from '@/lib/api/types'
import { decimals, duration, inColumn, num, shortId } from '@/lib/format'
import { datasetOf, href } from '@/lib/href'
import { look } from '@/lib/states'
import { Go } from '@/ui/Go'
import { Shape } from '@/ui/Shape'
import { Tag } from '@/ui/Status'
import { Time, Took } from '@/ui/Time'
import { parseColumn, valueOf } from './columns'

/** What the cells of one column share: decimals, and the range of the bar. */
export interface ColumnLook {
  id: string
  num: boolean
  digits: number
  /** Draws a bar: how far a value is from the worst to the best at hand. */
  bar?: (v: number) => number
  /** What the words of the runs at hand need, in pixels. */
  width?: number
}

/** How a column is printed, from the runs at hand. `bar` is the better direction of the metric that the page is about. */
export function columnLook(id: string, runs: readonly Run[], bar?: 'low' | 'high'): ColumnLook {
  const c = parseColumn(id)
  if (c?.kind === 'metric') {
    const values = runs.map((r) => valueOf(r, id)).filter((v): v is number => typeof v === 'number')
    const finite = values.filter(Number.isFinite)
    // Decimals and bars are those of the usual values: of a run that went astray one more digit is no loss.
    const base: ColumnLook = { id, num: true, digits: decimals(finite.toSorted((a, b) => Math.abs(a) - Math.abs(b)).slice(0, Math.ceil(finite.length * 0.9))) }
    if (!bar || finite.length < 2) return base
    const low = Math.min(...finite)
    // A run that went astray would make all bars full; the range ends at the ninth tenth.
    const sorted = finite.toSorted((a, b) => a - b)
    const from = bar === 'low' ? low : sorted[Math.floor(sorted.length * 0.1)]!
    const to = bar === 'low' ? sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * 0.9))]! : sorted.at(-1)!
    if (!(to > from)) return base
    return { ...base, bar: (v) => Math.max(0.02, Math.min(1, bar === 'low' ? (to - v) / (to - from) : (v - from) / (to - from))) }
  }
  if (c?.kind === 'tag') return { id, num: false, digits: 0, width: wordWidth(runs.map((r) => r.tags[c.key])) }
  if (c?.kind === 'param') return { id, width: wordWidth(runs.map((r) => r.params[c.key])), num: runs.length > 0 && runs.every((r) => r.params[c.key] === undefined || (r.params[c.key] !== '' && Number.isFinite(Number(r.params[c.key])))), digits: 0 }
  return { id, num: id === 'took', digits: 0 }
}

/** Room for the longest word, up to a bound; the rest is cut and told on hover. */
function wordWidth(values: readonly (string | undefined)[]): number {
  return Math.min(168, Math.max(0, ...values.map((v) => v?.length ?? 0)) * 7.3 + 24)
}

export function Cell({ look: l, run: r, curve, color, best }: { look: ColumnLook; run: Run; curve?: readonly (number | null)[] | undefined; color?: string | undefined; best?: boolean | undefined }): ReactNode {
  const c = parseColumn(l.id)
  if (c?.kind === 'metric') {
    const v = valueOf(r, l.id)
    if (typeof v !== 'number') return v === null || v === undefined ? null : <span className="text-2" title="not finite">{num(Number(v))}</span>
    const text = inColumn(v, l.digits)
    if (!l.bar || !Number.isFinite(v)) return text
    return <span className="relative block text-right">{text}<i className="absolute left-0 -bottom-0.5 h-0.5 rounded-[1px] opacity-50" style={{ width: `${l.bar(v) * 100}%`, background: 'var(--c1)' }} /></span>
  }
  if (c?.kind === 'param') return <span className="mono" title={r.params[c.key]}>{r.params[c.key]}</span>
  if (c?.kind === 'tag') return <span className="text-2 text-sm" title={r.tags[c.key]}>{r.tags[c.key]}</span>
  switch (c?.name) {
    case 'name': return <span className="st max-w-full"><Shape kind={look(r.status).kind} /><Go to={href.run(r.id)} className="clip hover:underline">{r.name}</Go>{best && <Tag look="accent">best</Tag>}</span>
    case 'started': return <span className="text-2 text-sm"><Time at={r.start_time} /></span>
    case 'took': return <span className="text-2 text-sm">{r.status === 'RUNNING' ? 'running' : r.duration_s !== undefined ? duration(r.duration_s * 1000) : <Took from={r.start_time} to={r.end_time} />}</span>
    case 'status': return <span className="text-2 text-sm">{look(r.status).word}</span>
    case 'commit': { const v = valueOf(r, 'commit'); return v ? <span className="mono text-2" title={String(v)}>{String(v).slice(0, 7)}</span> : null }
    case 'id': return <span className="mono text-2" title={r.id}>{shortId(r.id)}</span>
    case 'data': { const i = r.inputs?.[0]; if (!i) return null; const d = datasetOf(i.source); return d ? <Go className="link text-sm" to={href.dataset(d.name, d.version)}>{d.name} v{d.version}</Go> : <span className="text-2 text-sm">{i.name}</span> }
    case 'curve': return curve && curve.length > 1 ? <Sparkline values={curve} width={64} color={color ?? 'var(--control)'} /> : null
    default: return <span className="text-2 text-sm" title={String(valueOf(r, l.id) ?? '')}>{valueOf(r, l.id)}</span>
  }
}
