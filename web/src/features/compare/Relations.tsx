import { useMemo, type ReactNode } from 'react'
import { BoxPlot } from '@/charts/BoxPlot'
import type { ParallelRow } from '@/charts/Parallel'
import { Scatter } from '@/charts/Scatter'
import type { Run } from '@/lib/api/types'
import { useBetter } from '@/lib/better'
import { Empty } from '@/ui/Empty'
import { Segmented } from '@/ui/Segmented'
import { columnIds, columnLabel, dimOf, usualAxes, type ColumnId } from './select'

export type Plot = 'scatter' | 'contour' | 'box'

interface Props {
  runs: readonly Run[]
  rows: readonly ParallelRow[]
  main: string | undefined
  plot: Plot
  x: ColumnId | undefined
  y: ColumnId | undefined
  z: ColumnId | undefined
  by: ColumnId | undefined
  onChange: (change: { plot?: Plot; px?: string; py?: string; pz?: string; by?: string }) => void
  onOpen: (id: string) => void
}

/** How a result hangs together with what was set: points, a contour, or boxes by group. */
export function Relations({ runs, rows, main, plot, x, y, z, by, onChange, onOpen }: Props) {
  const ids = useMemo(() => columnIds(runs), [runs])
  const dims = useMemo(() => new Map(ids.map((id) => [id, dimOf(runs, id)])), [ids, runs])
  const better = useBetter()
  const usual = useMemo(() => usualAxes(runs, main, better), [runs, main, better])
  const numeric = ids.filter((id) => dims.get(id)?.kind === 'number')
  const known = (id: ColumnId | undefined, otherwise: ColumnId | undefined) => (id && dims.has(id) ? id : otherwise)
  const result = main ? `m:${main}` : numeric.find((id) => id.startsWith('m:'))
  const distinct = (id: ColumnId) => new Set(dims.get(id)?.values).size
  const tuned = usual.filter((id) => id.startsWith('p:') && dims.get(id)?.kind === 'number').sort((a, b) => Number(distinct(a) < 5) - Number(distinct(b) < 5))
  // A contour shows the result on the ground of two parameters; points show it over one of them.
  // Nothing is drawn over itself: with one thing logged there is nothing to relate.
  const up = plot === 'contour' ? (tuned[1] ?? result) : result
  const px = known(x, [tuned[0], ...usual, ...ids].find((id) => id !== undefined && id !== known(y, up)))
  const py = known(y, up)
  const pz = z === 'none' ? undefined : known(z, plot === 'contour' ? result : tuned[1])
  const group = known(by, usual.find((id) => id.startsWith('p:') && distinct(id) <= 12) ?? usual[0] ?? ids[0])
  const value = known(y, result)
  if (ids.length < 2) return <section className="panel"><Empty title={ids.length === 0 ? 'These runs logged nothing to relate' : `Only ${columnLabel(ids[0]!)} was logged`}>Points, contours and boxes show one value over another: log a parameter, a tag or a second metric beside it.</Empty></section>
  const pick = (label: string, at: ColumnId | undefined, among: readonly ColumnId[], choose: (id: string) => void, none?: string): ReactNode => (
    <label className="flex items-center gap-1.5">{label}
      <select className="inp !h-6 !w-auto max-w-44 text-sm" value={at ?? 'none'} onChange={(e) => choose(e.target.value)}>
        {none !== undefined && <option value="none">{none}</option>}
        {(['m:', 'p:', 't:'] as const).map((kind) => { const some = among.filter((id) => id.startsWith(kind)); return some.length > 0 && <optgroup key={kind} label={{ 'm:': 'Metrics', 'p:': 'Parameters', 't:': 'Tags' }[kind]}>{some.map((id) => <option key={id} value={id}>{columnLabel(id)}</option>)}</optgroup> })}
      </select>
    </label>
  )
  const controls = <Segmented small label="Picture" value={plot} onChange={(p) => onChange({ plot: p })} options={[{ value: 'scatter', label: 'Scatter' }, { value: 'contour', label: 'Contour' }, { value: 'box', label: 'Boxes' }]} />
  return (
    <section className="panel">
      <div className="px-3.5 py-2.5 flex flex-wrap gap-x-4 gap-y-2 items-center text-sm text-2 border-b border-grid">
        {controls}
        {plot === 'box'
          ? <>{pick('Value', value, numeric, (id) => onChange({ py: id }))}{pick('by', group, ids, (id) => onChange({ by: id }))}</>
          : <>{pick('Across', px, ids, (id) => onChange({ px: id }))}{pick('Up', py, ids, (id) => onChange({ py: id }))}{pick(plot === 'contour' ? 'Ground' : 'Colour', pz, numeric, (id) => onChange({ pz: id }), plot === 'contour' ? undefined : 'by run')}</>}
      </div>
      <div className="px-3.5 py-2">
        {plot === 'box'
          ? value && group ? <BoxPlot title={`${columnLabel(value)} by ${columnLabel(group)}`} value={dims.get(value)!} by={dims.get(group)!} rows={rows} /> : <p className="text-2 py-4">These runs logged no number to make boxes of.</p>
          : px && py && px !== py ? <Scatter title={`${columnLabel(py)} over ${columnLabel(px)}`} x={dims.get(px)!} y={dims.get(py)!} z={pz && dims.get(pz)?.kind === 'number' ? dims.get(pz) : undefined} rows={rows} contour={plot === 'contour'} onOpen={onOpen} /> : <p className="text-2 py-4">{px && px === py ? `${columnLabel(px)} over itself is a straight line: choose another value across or up.` : 'These runs logged nothing to set against each other.'}</p>}
      </div>
    </section>
  )
}
