import { useQueryClient } from '@tanstack/react-query'
import { Check, CircleHelp, Minus, X } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { http } from '@/lib/api/http'
import type { Experiment, Outcome } from '@/lib/api/types'
import { Dialog } from '@/ui/Dialog'
import { Field } from '@/ui/Controls'
import { EditText } from '@/ui/EditText'
import { ErrorBox } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Markdown } from '@/ui/Markdown'
import { Menu, MenuItem, MenuLine } from '@/ui/Menu'
import { Panel } from '@/ui/Panel'
import { Pill } from '@/ui/Status'
import { Code } from '@/ui/Code'
import { Time } from '@/ui/Time'
import { toast } from '@/ui/toasts'
import { cli } from '@/lib/cli'
import { href } from '@/lib/href'
import { outcomes, outcomeOf } from './outcome'

const most = 20_000

/** Writes to an experiment; the tables and pages that show it read again. */
export function useEdit(id: string): (change: Record<string, unknown>) => Promise<Experiment> {
  const client = useQueryClient()
  return async (change) => {
    const answer = await http.patch<Experiment>(`/api/v1/experiments/${encodeURIComponent(id)}`, { body: change })
    client.setQueryData(['experiments', id], answer)
    await client.invalidateQueries({ queryKey: ['experiments', 'list'] })
    return answer
  }
}

/** The question of an experiment in one line, under its title. */
export function QuestionLine({ experiment: e }: { experiment: Experiment }): ReactNode {
  const notes = `${href.experiment(e.id)}?tab=notes`
  if (!e.hypothesis && !e.verdict) return null
  const v = e.verdict
  return (
    <>
      {v && <span className="mr-2 align-[1px]"><Pill kind={outcomeOf(v.outcome).kind}>{outcomeOf(v.outcome).word}</Pill></span>}
      {e.hypothesis && <Go to={notes}><b>{firstLine(e.hypothesis)}</b></Go>}
      {v?.summary && <> {firstLine(v.summary)}</>}
      {!v && e.success_criteria && <> Holds if {lower(firstLine(e.success_criteria))}</>}
    </>
  )
}

function firstLine(text: string): string {
  const line = text.trim().split('\n')[0] ?? ''
  const cut = line.length > 160 ? `${line.slice(0, 158)}…` : line
  return /[.!?…:]$/.test(cut) ? cut : `${cut}.`
}

const lower = (text: string) => (/^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text)

/** What the experiment asks, what would answer it, and what came out; all of it edited where it stands. */
export function Notes({ experiment: e }: { experiment: Experiment }): ReactNode {
  const edit = useEdit(e.id)
  return (
    <div className="grid gap-3.5 cols:grid-cols-[minmax(0,1fr)_minmax(0,1fr)] items-start max-w-[1200px]">
      <div className="grid gap-3.5 min-w-0">
        <Panel title="Hypothesis"><div className="p-3.5"><EditText line name="hypothesis" value={e.hypothesis ?? ''} most={most} placeholder="What are these runs to show? For example: deeper trees lower the error at night." save={(text) => edit({ hypothesis: text })} /></div></Panel>
        <Panel title="Success criteria"><div className="p-3.5"><EditText name="success criteria" value={e.success_criteria ?? ''} most={most} placeholder="What would show it? For example: val_mae below 40 on trips v41, with the training time under 5 min." save={(text) => edit({ success_criteria: text })} /></div></Panel>
        <VerdictPanel experiment={e} />
      </div>
      <div className="grid gap-3.5 min-w-0">
        <Panel title="Description"><div className="p-3.5"><EditText name="description" value={e.description ?? ''} most={most} placeholder="Background, data, links: whatever the next reader needs. Markdown; MLflow shows it too." save={(text) => edit({ description: text })} /></div></Panel>
        <Panel title="On the command line"><div className="p-3.5"><Code small prompt text={cli.conclude(e.id)} /></div></Panel>
      </div>
    </div>
  )
}

const icons = { supported: Check, refuted: X, inconclusive: Minus }

function VerdictPanel({ experiment: e }: { experiment: Experiment }) {
  const edit = useEdit(e.id)
  const [outcome, setOutcome] = useState<Outcome | undefined>()
  const v = e.verdict
  const reopen = async () => {
    const before = v
    await edit({ verdict: { outcome: 'open' } })
    toast({ kind: 'ok', text: 'The question is open again', action: { label: 'Undo', run: () => { if (before) void edit({ verdict: { outcome: before.outcome, summary: before.summary ?? '' } }) } } })
  }
  return (
    <Panel title="Verdict" right={v && <><Time at={v.at} />{v.by && ` by ${v.by}`}</>}>
      <div className="p-3.5">
        {v ? (
          <>
            <div className="flex items-center gap-2 mb-2"><Pill kind={outcomeOf(v.outcome).kind}>{outcomeOf(v.outcome).word}</Pill><span className="text-3 text-sm">{outcomeOf(v.outcome).meaning}</span></div>
            {v.summary ? <Markdown under={2} text={v.summary} /> : <p className="text-3">Nobody wrote down what was learned.</p>}
          </>
        ) : <p className="text-2">Open. Once the runs answer the question, say so here; a refuted hypothesis is a result that saves others the work.</p>}
        <div className="flex flex-wrap gap-2 mt-3">
          {v ? (
            <Menu align="start" label="Verdict" trigger={<button type="button" className="btn">Change the verdict ▾</button>}>
              {outcomes.map((o) => <MenuItem key={o.value} onSelect={() => setOutcome(o.value)}>{o.word}…</MenuItem>)}
              <MenuLine /><MenuItem onSelect={() => void reopen().catch((x: unknown) => toast({ kind: 'bad', text: String(x) }))} icon={<CircleHelp size={14} />}>Open the question again</MenuItem>
            </Menu>
          ) : outcomes.map((o) => { const Icon = icons[o.value]; return <button key={o.value} type="button" className="btn" onClick={() => setOutcome(o.value)}><Icon size={14} />{o.word}…</button> })}
        </div>
      </div>
      <Dialog open={outcome !== undefined} onClose={() => setOutcome(undefined)} title={outcome ? `Conclude: ${outcomeOf(outcome).word.toLowerCase()}` : ''}>
        {outcome && <Conclude outcome={outcome} hypothesis={e.hypothesis} start={v?.summary ?? ''} onClose={() => setOutcome(undefined)} run={async (summary) => {
          const before = v
          await edit({ verdict: { outcome, summary } })
          toast({ kind: 'ok', text: `Concluded: ${outcomeOf(outcome).word.toLowerCase()}`, action: { label: 'Undo', run: () => void edit({ verdict: before ? { outcome: before.outcome, summary: before.summary ?? '' } : { outcome: 'open' } }) } })
        }} />}
      </Dialog>
    </Panel>
  )
}

function Conclude({ outcome, hypothesis, start, onClose, run }: { outcome: Outcome; hypothesis: string | undefined; start: string; onClose: () => void; run: (summary: string) => Promise<void> }) {
  const [summary, setSummary] = useState(start)
  const [error, setError] = useState<unknown>()
  return (
    <form className="mt-2 grid gap-3" onSubmit={(e) => { e.preventDefault(); void run(summary.trim()).then(onClose, setError) }}>
      {hypothesis && <p className="text-2">{hypothesis}</p>}
      <Field label="What was learned" help="The figures and their limits, in a sentence or two. Markdown.">{(p) => <textarea {...p} className="inp" rows={4} autoFocus maxLength={most} value={summary} onChange={(e) => setSummary(e.target.value)} />}</Field>
      {error !== undefined && <ErrorBox error={error} title="Not kept" />}
      <div className="flex justify-end gap-2"><button type="button" className="btn" onClick={onClose}>Cancel</button><button type="submit" className="btn pri">{outcomeOf(outcome).action}</button></div>
    </form>
  )
}
