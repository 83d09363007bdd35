import { useQuery } from '@tanstack/react-query'
import { Activity, Boxes, Database, FlaskConical, Keyboard, Link2, MessageSquareText, Moon, Radio, Search, Sun, Workflow, type LucideIcon } from 'lucide-react'
import { Fragment, useMemo, useState, type ReactNode } from 'react'
import { q } from '@/lib/api/queries'
import { rank } from '@/lib/search'
import { setTheme } from '@/lib/theme'
import { href } from '@/lib/href'
import { Dialog } from '@/ui/Dialog'
import { useGo } from '@/ui/Go'
import { toast } from '@/ui/toasts'
import { allPages } from './nav'

interface Command {
  id: string
  group: 'Go to' | 'Do'
  label: string
  detail?: string
  also?: string
  icon: LucideIcon
  run: () => void
}

const most = 12

/** Search for things, go to pages, run actions: one box, all by keyboard. */
export function Palette({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const commands = useCommands(onHelp)
  const found = useMemo(() => rank(text, commands, (c) => `${c.label} ${c.also ?? ''}`, (c) => c.label).slice(0, most), [text, commands])
  const shown = [...found.filter((c) => c.group === 'Go to'), ...found.filter((c) => c.group === 'Do')]
  const run = (c: Command | undefined) => {
    if (!c) return
    onClose()
    c.run()
  }
  return (
    <Dialog open onClose={onClose} title="Search or run a command" className="pal">
      <div className="flex items-center gap-2.5 px-2.5 pt-1.5 pb-2.5 border-b border-border mb-1.5">
        <Search size={14} className="text-3" />
        <input className="flex-1 bg-transparent outline-none" autoFocus placeholder="A page, a model, an endpoint, an action" value={text} role="combobox" aria-expanded aria-controls="palette" aria-activedescendant={shown[at] ? `cmd-${shown[at].id}` : undefined}
          onChange={(e) => { setText(e.target.value); setAt(0) }}
          onKeyDown={(e) => {
            if (e.key === 'ArrowDown') setAt(Math.min(shown.length - 1, at + 1))
            else if (e.key === 'ArrowUp') setAt(Math.max(0, at - 1))
            else if (e.key === 'Enter') run(shown[at])
            else return
            e.preventDefault()
          }} />
        <kbd>Esc</kbd>
      </div>
      <div id="palette" role="listbox" aria-label="Results" className="max-h-[52vh] overflow-auto">
        {shown.map((c, i) => (
          <Fragment key={c.id}>
            {c.group !== shown[i - 1]?.group && <div className="text-3 text-xs px-2.5 pt-1.5 pb-0.5">{c.group}</div>}
            <div id={`cmd-${c.id}`} role="option" aria-selected={i === at} className="cm" onMouseMove={() => setAt(i)} onClick={() => run(c)}>
              <c.icon size={16} strokeWidth={1.5} /><span className="flex-1 clip">{highlight(c.label, text)}</span>
              {c.detail && <span className="text-3 text-sm clip">{c.detail}</span>}{i === at && <kbd>Enter</kbd>}
            </div>
          </Fragment>
        ))}
        {shown.length === 0 && <p className="text-3 px-2.5 py-2">Nothing is called “{text}”.</p>}
      </div>
    </Dialog>
  )
}

function highlight(label: string, text: string): ReactNode {
  const i = text === '' ? -1 : label.toLowerCase().indexOf(text.trim().toLowerCase())
  if (i < 0) return label
  const end = i + text.trim().length
  return <>{label.slice(0, i)}<mark>{label.slice(i, end)}</mark>{label.slice(end)}</>
}

function useCommands(onHelp: () => void): Command[] {
  const to = useGo()
  const endpoints = useQuery(q.endpoints()).data?.items
  const models = useQuery(q.models()).data?.items
  const prompts = useQuery(q.prompts()).data?.items
  const experiments = useQuery(q.experiments()).data?.items
  const datasets = useQuery(q.datasets()).data?.items
  const pipelines = useQuery(q.pipelines()).data?.items
  return useMemo(() => {
    const go = (address: string) => () => to(address)
    return [
      ...allPages.map((p): Command => ({ id: p.to, group: 'Go to', label: p.label, detail: `G ${p.key.toUpperCase()}`, also: p.also ?? '', icon: p.icon, run: go(p.to) })),
      ...(endpoints ?? []).flatMap((e): Command[] => [
        { id: `endpoint:${e.name}`, group: 'Go to', label: e.name, detail: `endpoint, ${e.status.state}`, icon: Radio, run: go(href.endpoint(e.name)) },
        { id: `monitor:${e.name}`, group: 'Go to', label: `${e.name} monitor`, detail: 'monitor', icon: Activity, run: go(href.monitor(e.name)) },
      ]),
      ...(models ?? []).map((m): Command => ({ id: `model:${m.name}`, group: 'Go to', label: m.name, detail: `model, v${m.latest_version ?? '–'}`, icon: Boxes, run: go(href.model(m.name)) })),
      ...(prompts ?? []).map((m): Command => ({ id: `prompt:${m.name}`, group: 'Go to', label: m.name, detail: `prompt, v${m.latest_version ?? '–'}`, icon: MessageSquareText, run: go(href.prompt(m.name)) })),
      ...(experiments ?? []).map((e): Command => ({ id: `experiment:${e.id}`, group: 'Go to', label: e.name, detail: 'experiment', icon: FlaskConical, run: go(href.experiment(e.id)) })),
      ...(datasets ?? []).map((d): Command => ({ id: `dataset:${d.name}`, group: 'Go to', label: d.name, detail: 'dataset', icon: Database, run: go(href.dataset(d.name)) })),
      ...(pipelines ?? []).map((p): Command => ({ id: `pipeline:${p.name}`, group: 'Go to', label: p.name, detail: 'pipeline', icon: Workflow, run: go(href.pipeline(p.name)) })),
      { id: 'dark', group: 'Do', label: 'Use the dark theme', icon: Moon, run: () => setTheme('dark') },
      { id: 'light', group: 'Do', label: 'Use the light theme', icon: Sun, run: () => setTheme('light') },
      { id: 'link', group: 'Do', label: 'Copy a link to this view', icon: Link2, run: () => void navigator.clipboard.writeText(location.href).then(() => toast({ kind: 'ok', text: 'Link copied; it opens exactly this view' })) },
      { id: 'keys', group: 'Do', label: 'Show keyboard shortcuts', icon: Keyboard, run: onHelp },
      { id: 'parts', group: 'Do', label: 'Show the parts of this application', also: 'design components', icon: Boxes, run: go('/parts') },
    ]
  }, [to, onHelp, endpoints, models, prompts, experiments, datasets, pipelines])
}
