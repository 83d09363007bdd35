import type { ReactNode } from 'react'
import type { Version } from '@/lib/api/types'
import { standingWords, type Against } from '@/lib/champion'
import { num, plural, signed } from '@/lib/format'
import { Panel } from '@/ui/Panel'
import { Shape } from '@/ui/Shape'

const shapes = { better: 'ok', worse: 'bad', equal: 'idle', unshown: 'idle', unknown: 'idle' } as const

/** The metrics of a version beside those of the champion: where a gate measured both on the same rows, with the interval of the difference. */
export function AgainstChampion({ v, other, reign, rows }: { v: Version; other: Version | undefined; reign: 'champion' | 'before'; rows: readonly Against[] }): ReactNode {
  if (rows.length === 0) return null
  const places = [...new Set(rows.map((r) => r.on))]
  const why = [...new Set(rows.flatMap((r) => (other && r.why !== undefined && r.difference !== undefined ? [r.why] : [])))]
  const paired = rows.find((r) => r.interval)?.interval
  const name = reign === 'champion' ? 'the champion' : 'the version before'
  return (
    <Panel title="Metrics" note={other ? `against ${name} v${other.version}` : 'no version is champion yet'}>
      <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Metrics, scrolls">
        <table className="tbl dense" aria-label="Metrics">
          <thead><tr><th>Metric</th><th className="num">v{v.version}</th>{other && <><th className="num">v{other.version}</th><th className="num">Difference</th><th className="num">95 % interval</th><th>Result</th></>}</tr></thead>
          {places.map((place) => (
            <tbody key={place}>
              {places.length > 1 && <tr><th scope="rowgroup" colSpan={other ? 6 : 2} className="!text-xs !h-6 !bg-surface">{place === 'the runs' ? 'Logged by the runs' : `Measured by a gate on ${place}`}</th></tr>}
              {rows.filter((r) => r.on === place).map((r) => (
                <tr key={r.metric}>
                  <td>{r.metric}</td><td className="num strong">{num(r.mine)}</td>
                  {other && <><td className="num text-2">{num(r.theirs)}</td><td className="num">{signed(r.difference)}</td><td className="num text-2">{r.interval ? `${signed(r.interval.low)} to ${signed(r.interval.high)}` : <span className="text-3" title={r.why}>{r.difference === undefined ? '' : 'none'}</span>}</td>
                    <td>{r.difference === undefined ? <span className="text-3">{r.theirs === undefined ? `not measured of v${other.version}` : 'not comparable'}</span> : r.standing === 'unknown' ? <span className="text-3">direction not known</span> : <span className={`st ${r.standing === 'better' ? 'text-ok' : r.standing === 'worse' ? 'text-bad' : 'text-2'}`}><Shape kind={shapes[r.standing]} size={10} /><span>{standingWords[r.standing]}{r.standing === 'unshown' ? ` than ${name}` : ''}{!r.interval && r.standing !== 'equal' && <span className="text-3">, untested</span>}</span></span>}</td></>}
                </tr>
              ))}
            </tbody>
          ))}
        </table>
      </div>
      {other && (paired || why.length > 0) && <p className="px-3.5 py-2 text-3 text-sm border-t border-grid">{paired && <>Intervals are of paired differences over {plural(paired.rows, 'row')}; one that holds 0 shows no difference. </>}{why.length > 0 && <>No interval where {why.join('; or where ')}.</>}</p>}
    </Panel>
  )
}
