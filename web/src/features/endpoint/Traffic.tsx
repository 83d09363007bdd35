import { useMutation, useQueryClient } from '@tanstack/react-query'
import { GitBranch } from 'lucide-react'
import { useState } from 'react'
import { http } from '@/lib/api/http'
import type { Endpoint, EndpointStats, Rollout } from '@/lib/api/types'
import { movesTraffic } from '@/lib/verdict'
import { ErrorBox } from '@/ui/ErrorBox'
import { Note, Panel } from '@/ui/Panel'
import { Tag } from '@/ui/Status'
import { setWeight, TrafficSplit, type Lane } from '@/ui/TrafficSplit'
import { toast } from '@/ui/toasts'
import { active } from './verdict'

interface Props {
  endpoint: Endpoint
  colors: ReadonlyMap<string, string>
  rate: number
  rollout: Rollout | undefined
  onAdd: () => void
  stats: EndpointStats | undefined
}

/** Traffic by version. Edits are drafted: nothing moves until the button that repeats the change is pressed. */
export function Traffic({ endpoint, colors, rate, rollout, onAdd }: Props) {
  const client = useQueryClient()
  const live: Lane[] = endpoint.spec.targets.filter((t) => t.role !== 'shadow').map((t) => ({ version: t.version, weight: t.weight, color: colors.get(t.version) ?? 'var(--ref)' }))
  const [draft, setDraft] = useState<{ generation: number; lanes: Lane[] } | null>(null)
  // A draft belongs to the state it was made from; once that changed it no longer says what it would do.
  const lanes = draft?.generation === endpoint.spec.generation ? draft.lanes : live
  const edit = (next: Lane[]) => setDraft({ generation: endpoint.spec.generation, lanes: next })
  const changed = lanes.filter((l) => live.find((o) => o.version === l.version)?.weight !== l.weight)
  const apply = useMutation({
    mutationFn: () => http.put<Endpoint>(`/api/v1/endpoints/${encodeURIComponent(endpoint.name)}/traffic`, {
      body: { targets: endpoint.spec.targets.map((t) => ({ ...t, weight: lanes.find((l) => l.version === t.version)?.weight ?? t.weight })), reason: `set by hand: ${describe(live, lanes)}`, if_generation: endpoint.spec.generation },
    }),
    onSuccess: async () => {
      const undo = [...live]
      setDraft(null)
      await client.invalidateQueries({ queryKey: ['endpoints'] })
      toast({ kind: 'ok', text: `Traffic moved: ${describe(live, lanes)}`, action: { label: 'Draft the way back', run: () => setDraft({ generation: endpoint.spec.generation + 1, lanes: undo }) } })
    },
  })
  const from = changed.find((l) => l.weight < weightOf(live, l.version))
  const to = changed.find((l) => l.weight > weightOf(live, l.version))
  const share = changed.filter((l) => l.weight > weightOf(live, l.version)).reduce((a, l) => a + l.weight - weightOf(live, l.version), 0) / 100
  return (
    <Panel title="Traffic" note={changed.length > 0 ? <Tag look="accent">1 pending change</Tag> : undefined} right={active(rollout) ? undefined : <button type="button" className="btn s ghost" onClick={onAdd}>Try a version…</button>}>
      <div className="p-3.5">
        <TrafficSplit lanes={lanes} live={live} onChange={edit} />
        <div className="text-3 text-xs mt-1">{live.length > 1 ? `thin bar: live now, ${live.map((l) => l.weight).join(' and ')} %` : 'one version takes everything'}</div>
        {live.length > 1 && (
          <div className="flex flex-wrap items-center gap-x-3.5 gap-y-2 text-sm mt-2">
            {lanes.map((l) => (
              <label key={l.version} className="flex items-center gap-1.5">
                <i className="sw" style={{ background: l.color }} />v{l.version}
                <span className="inline-flex items-center gap-1"><input className="inp text-right strong !w-14" inputMode="numeric" aria-label={`Traffic to v${l.version} in percent`} value={l.weight} onChange={(e) => edit(setWeight(lanes, l.version, Number(e.target.value.replace(/\D/g, ''))))} />%</span>
              </label>
            ))}
            <span className="text-3">sums to 100</span>
          </div>
        )}
        {changed.length > 0 && from && to && (
          <>
            <div className="mt-2.5"><Note tone="acc" icon={<GitBranch size={14} />}>{movesTraffic(rate, `v${from.version}`, `v${to.version}`, share)}{rollout?.state === 'running' ? ' The running rollout may move it again at its next step.' : ''}</Note></div>
            {apply.error && <div className="mt-2.5"><ErrorBox error={apply.error} title="Not changed" /></div>}
            <div className="flex gap-2 mt-2.5">
              <button type="button" className="btn pri flex-1" disabled={apply.isPending} onClick={() => apply.mutate()}>Apply: {describe(live, lanes)}</button>
              <button type="button" className="btn" onClick={() => setDraft(null)}>Discard</button>
            </div>
          </>
        )}
      </div>
    </Panel>
  )
}

const weightOf = (lanes: readonly Lane[], version: string) => lanes.find((l) => l.version === version)?.weight ?? 0

/** "v13 25 % → 5 %": the change of the last version is enough when there are two. */
function describe(live: readonly Lane[], lanes: readonly Lane[]): string {
  const changed = lanes.filter((l) => l.weight !== weightOf(live, l.version))
  const shown = changed.length === 2 ? changed.slice(1) : changed
  return shown.map((l) => `v${l.version} ${weightOf(live, l.version)} % → ${l.weight} %`).join(', ')
}
