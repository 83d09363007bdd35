import { useQueries, useQuery } from '@tanstack/react-query'
import { useMemo, type ReactNode } from 'react'
import { q } from '@/lib/api/queries'
import type { Run } from '@/lib/api/types'
import { useBetter } from '@/lib/better'
import { againstChampion, standingWords } from '@/lib/champion'
import { num, signed } from '@/lib/format'
import { href } from '@/lib/href'
import { Go } from '@/ui/Go'

/** The champion among the compared runs: of which model, which version, and the run that made it. */
export interface Reigning {
  model: string
  version: string
  run: string
}

const mostModels = 20

/** The run among these that a model's champion comes from; undefined when there is none. */
export function useChampion(runs: readonly Run[], enabled: boolean): Reigning | undefined {
  const models = useQuery({ ...q.models(), enabled, staleTime: 30_000 })
  const champions = (models.data?.items ?? []).flatMap((m) => (m.aliases.champion ? [{ model: m.name, version: m.aliases.champion }] : [])).slice(0, mostModels)
  const versions = useQueries({ queries: champions.map((c) => ({ ...q.version(c.model, c.version), retry: false, staleTime: 30_000 })) })
  const found = versions.map((v) => v.data).find((v) => v?.run_id !== undefined && runs.some((r) => r.id === v.run_id))
  const [model, version, run] = [found?.model, found?.version, found?.run_id]
  return useMemo(() => (model !== undefined && version !== undefined && run !== undefined ? { model, version, run } : undefined), [model, version, run])
}

/** The best run against the champion, with a paired interval where a gate measured both on the same rows. */
export function Champion({ runs, reigning, main, top }: { runs: readonly Run[]; reigning: Reigning | undefined; main: string | undefined; top: Run | undefined }): ReactNode {
  const better = useBetter()
  const ask = reigning !== undefined && top !== undefined && top.id !== reigning.run
  const versions = useQuery({ ...q.versions(reigning?.model ?? ''), enabled: ask })
  const gates = useQuery({ ...q.gates(reigning?.model ?? ''), enabled: ask })
  if (!reigning || !top || !main) return null
  const champion = runs.find((r) => r.id === reigning.run)!
  const title = <Go className="link" to={href.model(reigning.model, reigning.version)}>{reigning.model} v{reigning.version}</Go>
  if (top.id === reigning.run) return <> It is the champion already, {title}.</>
  const mine = versions.data?.items.find((v) => v.run_id === top.id)
  const theirs = versions.data?.items.find((v) => v.version === reigning.version)
  const paired = mine && theirs ? againstChampion(mine, theirs, gates.data?.items ?? [], better).find((a) => a.interval) : undefined
  const [a, b] = [top.metrics[main], champion.metrics[main]]
  const logged = typeof a === 'number' && typeof b === 'number' && Number.isFinite(a - b) ? <> Against the champion {title}: {main} <b>{signed(a - b)}</b></> : <> The champion {title} has no finite {main}</>
  if (!paired?.interval) return <>{logged}; no interval, for {mine ? 'no gate measured both on the same rows' : 'it is no registered version that a gate could measure'}.</>
  return <>{logged}. On the same {paired.interval.rows} rows of {paired.on}: <b>{standingWords[paired.standing]}{paired.standing === 'unshown' ? ' than it, as far as these rows show' : ''}</b>, {paired.metric} {signed(paired.difference)} (95 % interval {num(paired.interval.low)} to {num(paired.interval.high)}).</>
}
