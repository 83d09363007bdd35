import { useQuery } from '@tanstack/react-query'
import { MarginBar } from '@/charts/LimitBar'
import { who } from '@/lib/actor'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { GateResult } from '@/lib/api/types'
import { count, duration, ms, num, plural } from '@/lib/format'
import { href } from '@/lib/href'
import { look } from '@/lib/states'
import { Empty, Skeleton } from '@/ui/Empty'
import { Go } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Panel } from '@/ui/Panel'
import { Status } from '@/ui/Status'
import { Time } from '@/ui/Time'

const op = (text: string | undefined) => ({ '<=': '≤', '>=': '≥' })[text ?? ''] ?? text ?? ''

const figure = (metric: string | undefined, v: number | null | undefined) => (metric?.endsWith('_ms') && typeof v === 'number' ? ms(v) : num(v))

/** Room to the limit as a share of the limit, positive when it is kept. */
function room(r: GateResult['rules'][number]): number | undefined {
  if (typeof r.measured !== 'number' || typeof r.required !== 'number') return undefined
  const scale = Math.abs(r.required) || Math.abs(r.measured) || 1
  return (r.op === '>=' ? r.measured - r.required : r.required - r.measured) / scale
}

/** Each rule of a gate: required, measured, margin, result. */
export function GatePanel({ model, version, open, onOpen }: { model: string; version: string; open: string | undefined; onOpen: (id: string | undefined) => void }) {
  const results = useQuery(q.gates(model, version))
  return (
    <Load query={results} what="the gate results" skeleton={<section className="panel"><Skeleton rows={5} /></section>}>
      {(d) => {
        const mine = d.items.filter((g) => g.version === version).sort((a, b) => b.created_at.localeCompare(a.created_at))
        const shown = mine.find((g) => g.id === open) ?? mine[0]
        if (!shown) return <Panel title="Gate"><Empty title="No gate has judged this version" command={cli.gateCheck(model, version)}>A gate says in numbers what a version must reach before it serves.</Empty></Panel>
        return <Result g={shown} others={mine} onOpen={onOpen} />
      }}
    </Load>
  )
}

function Result({ g, others, onOpen }: { g: GateResult; others: readonly GateResult[]; onOpen: (id: string | undefined) => void }) {
  const count3 = (verdict: string) => g.rules.filter((r) => r.verdict === verdict).length
  const pass = count3('pass') + count3('ok')
  const fail = count3('fail')
  const other = g.rules.length - pass - fail
  return (
    <Panel title={`Gate ${g.gate}`} note={<span className="flex gap-2.5">{pass > 0 && <Status kind="ok">{pass} pass</Status>}{fail > 0 && <Status kind="bad">{fail} fail</Status>}{other > 0 && <Status kind="idle">{other} not judged</Status>}</span>}
      right={<>{others.length > 1 && <select className="inp !h-6 !w-auto text-sm" aria-label="Earlier results" value={g.id} onChange={(e) => onOpen(e.target.value)}>{others.map((o) => <option key={o.id} value={o.id}>{o.gate}, {look(o.verdict).word.toLowerCase()}, {o.created_at.slice(0, 16).replace('T', ' ')}</option>)}</select>}<Time at={g.created_at} /></>}>
      <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={`Rules of ${g.gate}, scrolls`}>
        <table className="tbl dense" aria-label={`Rules of ${g.gate}`}>
          <thead><tr><th>Rule</th><th className="num">Required</th><th className="num">Measured</th><th style={{ width: 90 }}>Margin</th><th>Result</th></tr></thead>
          <tbody>
            {g.rules.map((r, i) => {
              const l = look(r.verdict)
              return (
                <tr key={i}>
                  <td className="!whitespace-normal min-w-36">{r.name}{(r.note || r.against) && <span className="text-3 text-sm block">{r.note || `against ${r.against}${typeof r.baseline === 'number' ? `, ${num(r.baseline)}` : ''}`}</span>}</td><td className="num text-2">{r.required !== null && r.required !== undefined ? `${op(r.op)} ${figure(r.metric ?? r.name, r.required)}` : ''}</td><td className="num strong">{figure(r.metric ?? r.name, r.measured)}</td>
                  <td>{room(r) !== undefined && <MarginBar margin={room(r)!} tone={l.kind === 'ok' ? 'ok' : l.kind === 'bad' ? 'bad' : 'idle'} />}</td><td><Status kind={l.kind}>{l.word}</Status></td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
      <div className="px-3.5 py-2 border-t border-grid text-sm text-3 linked">
        {g.rows ? `Measured on ${plural(g.rows, 'row')}` : 'Measured'}{g.dataset && <> of <Go className="link" to={href.dataset(g.dataset, g.dataset_version)}>{g.dataset} v{count(g.dataset_version)}</Go></>}{g.seconds !== undefined && ` in ${duration(g.seconds * 1000)}`}{g.created_by && `, by ${who(g.created_by).name}`}
      </div>
    </Panel>
  )
}
