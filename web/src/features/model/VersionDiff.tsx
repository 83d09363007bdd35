import { useQuery } from '@tanstack/react-query'
import { Fragment } from 'react'
import { who } from '@/lib/actor'
import { q } from '@/lib/api/queries'
import type { Run, SignatureColumn, Version } from '@/lib/api/types'
import { bytes, num, plural, signed } from '@/lib/format'
import { datasetOf, href } from '@/lib/href'
import { useBetter } from '@/lib/better'
import type { Better } from '@/lib/metrics'
import { Empty } from '@/ui/Empty'
import { Go } from '@/ui/Go'
import { Panel } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { isElsewhere } from './Elsewhere'

interface Row {
  group: string
  key: string
  before: string
  after: string
  note?: { text: string; good?: boolean }
}

const nouns: Record<string, string> = { Metrics: 'metric', Parameters: 'parameter', Inputs: 'input', Outputs: 'output', Requirements: 'requirement', Tags: 'tag' }

const columnText = (c: SignatureColumn) => `${c.type}${c.shape ? ` [${c.shape.join(', ')}]` : ''}${c.required === false ? ', optional' : ''}`

function columns(group: string, before: readonly SignatureColumn[] = [], after: readonly SignatureColumn[] = []): Row[] {
  const name = (c: SignatureColumn, i: number) => c.name || `${group === 'Outputs' ? 'output' : 'input'} ${i + 1}`
  const [old, fresh] = [before, after].map((list) => new Map(list.map((c, i) => [name(c, i), columnText(c)])))
  return [...new Set([...old!.keys(), ...fresh!.keys()])].map((key) => ({ group, key, before: old!.get(key) ?? '', after: fresh!.get(key) ?? '' }))
}

/** "lightgbm==4.6.0" split at its version, so that an upgrade is one row. */
function packages(list: readonly string[] = []): Map<string, string> {
  return new Map(list.map((r) => { const m = /^([\w.[\]-]+)\s*(.*)$/.exec(r); return [m?.[1] ?? r, m?.[2]?.replace(/^==/, '') || 'any'] }))
}

function pairs(group: string, before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): Row[] {
  return [...new Set([...before.keys(), ...after.keys()])].sort().map((key) => ({ group, key, before: before.get(key) ?? '', after: after.get(key) ?? '' }))
}

function metrics(before: Version, after: Version, better: Better): Row[] {
  const keys = [...new Set([...Object.keys(before.metrics ?? {}), ...Object.keys(after.metrics ?? {})])].filter((k) => !k.startsWith('system/'))
  return keys.map((key) => {
    const [a, b] = [before.metrics?.[key], after.metrics?.[key]]
    const row: Row = { group: 'Metrics', key, before: num(a), after: num(b) }
    if (typeof a !== 'number' || typeof b !== 'number' || a === b) return row
    const lower = better(key)
    return { ...row, note: { text: `${signed(b - a)}${lower === undefined ? '' : (b < a) === lower ? ' better' : ' worse'}`, ...(lower === undefined ? {} : { good: (b < a) === lower }) } }
  })
}

const data = (run: Run | undefined) => (run?.inputs ?? []).map((i) => { const d = datasetOf(i.source); return d ? `${d.name} v${d.version}` : i.name }).join(', ')

/** What changed; of a version whose files are elsewhere, what they would tell is left out. */
export function versionRows(before: Version, after: Version, runs: readonly [Run | undefined, Run | undefined], better: Better): Row[] {
  const of = (run: Run | undefined) => new Map(Object.entries(run?.params ?? {}))
  const files = !isElsewhere(before) && !isElsewhere(after)
  const about = (key: string, get: (v: Version) => string | undefined): Row => ({ group: 'About', key, before: get(before) ?? '', after: get(after) ?? '' })
  return [
    ...metrics(before, after, better),
    ...pairs('Parameters', of(runs[0]), of(runs[1])),
    ...(files ? [...columns('Inputs', before.signature?.inputs, after.signature?.inputs), ...columns('Outputs', before.signature?.outputs, after.signature?.outputs), ...pairs('Requirements', packages(before.requirements), packages(after.requirements))] : []),
    { group: 'About', key: 'Data', before: data(runs[0]), after: data(runs[1]) },
    { group: 'About', key: 'Commit', before: (runs[0]?.tags['mlflow.source.git.commit'] ?? '').slice(0, 7), after: (runs[1]?.tags['mlflow.source.git.commit'] ?? '').slice(0, 7) },
    ...(files ? [about('Flavours', (v) => v.flavors?.join(', ')), about('Runtime', (v) => v.runtime), about('Python', (v) => v.python_version), about('Size', (v) => bytes(v.size_bytes)), about('Digest', (v) => v.digest?.slice(0, 12))] : [about('Source', (v) => v.source)]), about('By', (v) => (v.created_by ? who(v.created_by).name : '')),
    ...pairs('Tags', new Map(Object.entries(before.tags ?? {})), new Map(Object.entries(after.tags ?? {}))),
  ].filter((r) => r.before !== '' || r.after !== '')
}

interface Props {
  name: string
  version: Version
  versions: readonly Version[]
  base: string | undefined
  onBase: (version: string) => void
  all: boolean
  onAll: (all: boolean) => void
}

/** What changed from one version to this one: figures, parameters, signature, packages, data. */
export function VersionDiff({ name, version, versions, base, onBase, all, onAll }: Props) {
  const others = versions.filter((v) => v.version !== version.version)
  const champion = others.find((v) => v.aliases.includes('champion'))
  const chosen = others.find((v) => v.version === base) ?? champion ?? others.find((v) => Number(v.version) < Number(version.version)) ?? others[0]
  const full = useQuery({ ...q.version(name, chosen?.version ?? ''), enabled: chosen !== undefined })
  const before = full.data ?? chosen
  const better = useBetter()
  const runA = useQuery({ ...q.run(before?.run_id ?? ''), enabled: Boolean(before?.run_id), retry: false })
  const runB = useQuery({ ...q.run(version.run_id ?? ''), enabled: Boolean(version.run_id), retry: false })
  if (!before) return <section className="panel"><Empty title="Nothing to compare with">This is the only version of {name}. The next one can be compared with it here.</Empty></section>
  const rows = versionRows(before, version, [runA.data, runB.data], better)
  const changed = rows.filter((r) => r.before !== r.after)
  const shown = all ? rows : changed
  const groups = [...new Set(shown.map((r) => r.group))]
  const told = groups.map((g) => [g, changed.filter((r) => r.group === g).length] as const).filter(([, n]) => n > 0).map(([g, n]) => plural(n, nouns[g] ?? 'other value'))
  return (
    <Panel title={<>v{before.version} to v{version.version}</>} note={changed.length === 0 ? 'nothing differs' : told.join(', ')}
      right={<>
        <label className="flex items-center gap-1.5">Against<select className="inp !h-6 !w-auto text-sm" value={before.version} onChange={(e) => onBase(e.target.value)}>{others.map((v) => <option key={v.version} value={v.version}>v{v.version}{v.aliases.length > 0 ? ` @${v.aliases.join(' @')}` : ''}</option>)}</select></label>
        <Segmented small label="Rows" value={all ? 'all' : 'diff'} onChange={(x) => onAll(x === 'all')} options={[{ value: 'diff', label: 'Only differences' }, { value: 'all', label: 'All' }]} />
        {before.run_id && version.run_id && before.run_id !== version.run_id && <Go className="btn s" to={href.compare([before.run_id, version.run_id])}>Compare their runs</Go>}
      </>}>
      {shown.length === 0 ? <Empty title="Nothing differs">The two versions have the same figures, parameters, signature and packages.</Empty> : (
        <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Differences, scrolls">
          <table className="tbl dense" aria-label={`Differences of v${before.version} and v${version.version}`}>
            <thead><tr><th style={{ width: 220 }}>What</th><th>v{before.version}</th><th>v{version.version}</th><th>Change</th></tr></thead>
            <tbody>
              {groups.map((g) => (
                <Fragment key={g}>
                  <tr><th scope="colgroup" colSpan={4} className="!text-xs !h-6 !bg-surface">{g}</th></tr>
                  {shown.filter((r) => r.group === g).map((r) => (
                    <tr key={r.key}><td className="mono text-2">{r.key}</td><td className="mono !whitespace-normal">{r.before || <span className="text-3">not there</span>}</td><td className="mono !whitespace-normal">{r.after === r.before ? r.after : <span className="bg-accent-soft rounded-tag px-1.5 -ml-1.5">{r.after || 'not there'}</span>}</td>
                      <td className={r.note?.good === true ? 'text-ok' : r.note?.good === false ? 'text-bad' : 'text-3'}>{r.note?.text ?? (r.before === r.after ? '' : r.before === '' ? 'new' : r.after === '' ? 'gone' : 'changed')}</td></tr>
                  ))}
                </Fragment>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p className="px-3.5 py-2 text-3 text-sm border-t border-grid">{plural(rows.length - changed.length, 'value')} {rows.length - changed.length === 1 ? 'is' : 'are'} the same in both.</p>
    </Panel>
  )
}
