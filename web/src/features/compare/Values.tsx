import { Fragment, useMemo } from 'react'
import type { Run } from '@/lib/api/types'
import { useBetter } from '@/lib/better'
import { plural } from '@/lib/format'
import { href } from '@/lib/href'
import { Empty } from '@/ui/Empty'
import { Go } from '@/ui/Go'
import { Panel } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { rowsOf, type Look, type Row } from './select'

interface Props {
  runs: readonly Run[]
  looks: ReadonlyMap<string, Look>
  all: boolean
  onAll: (all: boolean) => void
  /** Runs down the side instead of along the top. */
  turned: boolean
  onTurn: (turned: boolean) => void
  reference: string | undefined
  onReference: (id: string | undefined) => void
  find: string
  onFind: (text: string) => void
}

/** Every value side by side: what differs from the reference is marked, the best of a metric is named. */
export function Values({ runs, looks, all, onAll, turned, onTurn, reference, onReference, find, onFind }: Props) {
  const better = useBetter()
  const rows = useMemo(() => rowsOf(runs, better), [runs, better])
  const base = Math.max(0, runs.findIndex((r) => r.id === reference) >= 0 ? runs.findIndex((r) => r.id === reference) : runs.length - 1)
  const wanted = find.trim().toLowerCase()
  const shown = rows.filter((r) => (all || r.differs || r.group === 'Metrics') && (wanted === '' || r.key.toLowerCase().includes(wanted)))
  const params = rows.filter((r) => r.group === 'Parameters')
  const differ = params.filter((r) => r.differs).length
  const head = (r: Run, i: number) => (
    <span className="inline-flex items-center gap-1.5 align-middle">
      <i className="sw" style={{ background: looks.get(r.id)?.color }} /><Go to={href.run(r.id)} className="hover:underline clip max-w-44" title={r.name}>{r.name}</Go>
      <button type="button" className={`text-xs px-1 min-h-6 rounded-tag hover:bg-hover ${i === base ? 'text-accent' : 'text-3 opacity-0 group-hover/c:opacity-100 focus-visible:opacity-100'}`} aria-pressed={i === base} title={i === base ? 'The others are compared with it' : 'Compare the others with it'} onClick={() => onReference(r.id)}>reference</button>
    </span>
  )
  const groups = [...new Set(shown.map((r) => r.group))]
  return (
    <Panel bare title={all ? 'Values' : 'Differences'} note={runs.length < 2 ? undefined : `${params.length === 0 ? 'no parameter was logged' : `${differ} of ${plural(params.length, 'parameter')} differ`}; marked is what is not as in ${runs[base]?.name ?? 'the last run'}`}
      right={<><input className="inp !h-6 !w-32 text-sm not-sheet" type="search" aria-label="Find a row" placeholder="Find a row" value={find} onChange={(e) => onFind(e.target.value)} /><Segmented small label="Rows" value={all ? 'all' : 'diff'} onChange={(v) => onAll(v === 'all')} options={[{ value: 'diff', label: 'Only differences' }, { value: 'all', label: 'All' }]} /><button type="button" className="btn s" aria-pressed={turned} onClick={() => onTurn(!turned)}>Transpose</button></>}>
      {shown.length === 0 ? <Empty title="Nothing differs">{wanted ? 'No row of this name.' : 'These runs have the same parameters, tags and data. Choose All to see them.'}</Empty> : (
        <div className={`overflow-auto ${turned ? 'max-h-[70vh]' : ''}`} tabIndex={0} role="region" aria-label="Values, scrolls">
          {turned ? (
            <table className="tbl dense sticky freeze" aria-label="Differences">
              <thead><tr><th>Run</th>{shown.map((r) => <th key={r.group + r.key} className="num" title={r.group}>{r.key}</th>)}</tr></thead>
              <tbody>{runs.map((run, i) => <tr key={run.id} className="group/c"><th scope="row" className="!text-1">{head(run, i)}</th>{shown.map((r) => <Cell key={r.group + r.key} row={r} i={i} base={base} />)}</tr>)}</tbody>
            </table>
          ) : (
            <table className="tbl dense sticky freeze" aria-label="Differences">
              <thead><tr><th style={{ width: 190 }}><span className="sr-only">Row</span></th>{runs.map((r, i) => <th key={r.id} className="num group/c">{head(r, i)}</th>)}</tr></thead>
              <tbody>
                {groups.map((g) => (
                  <Fragment key={g}>
                    {groups.length > 1 && <tr><th scope="colgroup" colSpan={runs.length + 1} className="!text-xs !h-6 !bg-surface">{g}</th></tr>}
                    {shown.filter((r) => r.group === g).map((r) => <tr key={r.key}><td className={`text-2 ${r.group === 'Parameters' || r.group === 'Tags' ? 'mono' : ''}`}>{r.key}</td>{runs.map((run, i) => <Cell key={run.id} row={r} i={i} base={base} />)}</tr>)}
                  </Fragment>
                ))}
              </tbody>
            </table>
          )}
        </div>
      )}
    </Panel>
  )
}

function Cell({ row, i, base }: { row: Row; i: number; base: number }) {
  const text = row.cells[i] ?? ''
  const mono = row.group === 'Parameters' || row.group === 'Tags' ? 'mono' : ''
  if (row.group === 'Metrics') return <td className="num">{i === row.best ? <b className="text-ok font-semibold" title="the best">{text}<span className="sr-only"> the best</span></b> : text}</td>
  const changed = row.differs && text !== row.cells[base]
  return <td className={`num ${mono}`}>{changed ? <span className="bg-accent-soft rounded-tag px-1.5 -mr-1.5">{text || 'not set'}</span> : text || <span className="text-3">{row.differs ? 'not set' : ''}</span>}</td>
}
