import { Check, Columns3 } from 'lucide-react'
import { useId, useMemo, useState, type ReactNode } from 'react'
import { plural } from '@/lib/format'
import { rank } from '@/lib/search'
import { Popover } from '@/ui/Popover'
import { Switch } from '@/ui/Controls'
import { attributes, orderedMetrics, parseColumn, title, type Aggregate, type Keys } from './columns'

interface Props {
  keys: Keys
  main: string | undefined
  /** Chosen, in the order of the table. */
  columns: readonly string[]
  onChange: (columns: string[] | undefined) => void
  onlyDiffering: boolean
  onOnlyDiffering: (on: boolean) => void
}

const mostShown = 120
const aggregates: readonly (readonly [Aggregate, string])[] = [['min', 'smallest'], ['max', 'largest'], ['best', 'best']]

/** The columns of the table: searched by name, any value of a metric, one press each. */
export function ColumnChooser({ keys, main, columns, onChange, onlyDiffering, onOnlyDiffering }: Props): ReactNode {
  const [find, setFind] = useState('')
  const id = useId()
  const chosen = new Set(columns)
  const flip = (column: string) => onChange(chosen.has(column) ? columns.filter((c) => c !== column) : [...columns, column])
  const groups = useMemo(() => {
    const all = [
      { name: 'Metrics', ids: orderedMetrics(keys.metrics, main).map((k) => `m:${k}`) },
      { name: 'Parameters', ids: keys.params.map((k) => `p:${k}`) },
      { name: 'Tags', ids: keys.tags.filter((k) => !/^mlflow\.(runName|user|source\.name|source\.git\.commit|note\.content)$/.test(k)).map((k) => `t:${k}`) },
      { name: 'About the run', ids: ['curve', ...attributes.filter((a) => a !== 'name')] as string[] },
    ]
    return all.map((g) => ({ ...g, found: rank(find, g.ids, title, title) })).filter((g) => g.found.length > 0)
  }, [keys, main, find])
  return (
    <Popover label="Columns" trigger={<button type="button" className="btn !h-8"><Columns3 size={14} />Columns <span className="text-3">{columns.length + 1}</span></button>}>
      <div className="w-84 flex flex-col max-h-[68vh]">
        <div className="p-1.5 flex gap-2"><input className="inp" autoFocus placeholder="Find a column" aria-label="Find a column" value={find} onChange={(e) => setFind(e.target.value)} /></div>
        <div className="px-2 pb-1.5 flex items-center text-sm gap-3"><Switch checked={onlyDiffering} onChange={onOnlyDiffering}>Only what differs</Switch><span className="flex-1" /><button type="button" className="btn s ghost" onClick={() => onChange(undefined)}>Usual columns</button></div>
        <div className="overflow-auto border-t border-border" tabIndex={0} role="region" aria-label="Columns to choose from">
          {groups.map((g) => (
            <div key={g.name} role="group" aria-labelledby={`${id}-${g.name}`}>
              <div id={`${id}-${g.name}`} className="text-3 text-xs px-2 pt-2 pb-0.5 flex">{g.name}<span className="flex-1" />{g.found.length > mostShown && `${mostShown} of ${g.found.length}, find to see more`}</div>
              {g.found.slice(0, mostShown).map((c) => <Choice key={c} column={c} chosen={chosen} flip={flip} />)}
            </div>
          ))}
          {groups.length === 0 && <p className="text-2 text-sm p-2">No metric, parameter or tag is called “{find}”.</p>}
        </div>
        <div className="text-3 text-xs p-2 border-t border-border">{plural(keys.metrics.length, 'metric')}, {plural(keys.params.length, 'parameter')}, {plural(keys.tags.length, 'tag')} in this experiment</div>
      </div>
    </Popover>
  )
}

function Choice({ column, chosen, flip }: { column: string; chosen: ReadonlySet<string>; flip: (column: string) => void }) {
  const c = parseColumn(column)
  const on = chosen.has(column)
  const key = c?.kind === 'metric' ? c.key : undefined
  return (
    <div className="group/choice flex items-center">
      <button type="button" role="checkbox" aria-checked={on} className="cm flex-1 min-w-0 !min-h-7 !px-2 hover:bg-hover" onClick={() => flip(column)}>
        <span className="w-4 flex-none">{on && <Check size={14} />}</span><span className="clip flex-1">{title(column)}</span>
      </button>
      {key !== undefined && aggregates.map(([a, word]) => {
        const id = `${a}:${key}`
        const has = chosen.has(id)
        return <button key={a} type="button" role="checkbox" aria-checked={has} aria-label={`${word} ${key}`} title={`The ${word} value each run ever logged`} className={`text-xs px-1.5 h-6 rounded-tag ${has ? 'bg-accent-soft text-accent' : 'text-3 opacity-0 group-hover/choice:opacity-100 focus-visible:opacity-100 hover:bg-hover'}`} onClick={() => flip(id)}>{a}</button>
      })}
    </div>
  )
}
