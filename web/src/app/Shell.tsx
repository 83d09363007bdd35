import { useQuery } from '@tanstack/react-query'
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router'
import { CircleHelp, Menu as MenuIcon, Monitor, Moon, Search, Sun } from 'lucide-react'
import { useEffect, useState, type ReactNode } from 'react'
import { who } from '@/lib/actor'
import { tokenNeeded } from '@/lib/api/http'
import { liveState } from '@/lib/api/live'
import { q } from '@/lib/api/queries'
import { initials } from '@/lib/format'
import { dispatchKey, useKeys } from '@/lib/keys'
import { useStore } from '@/lib/store'
import { setTheme, themeChoice, type ThemeChoice } from '@/lib/theme'
import { Dialog } from '@/ui/Dialog'
import { Menu, MenuChoice, MenuLabel } from '@/ui/Menu'
import { Shape, type ShapeKind } from '@/ui/Shape'
import { Toasts } from '@/ui/Toasts'
import { Tooltip } from '@/ui/Tooltip'
import { allPages, foot, nav, type NavItem } from './nav'
import { Palette } from './Palette'
import { Shortcuts } from './Shortcuts'
import { TokenPrompt } from './TokenPrompt'

/** The frame around every page. */
export function Shell() {
  const navigate = useNavigate()
  const [palette, setPalette] = useState(false)
  const [help, setHelp] = useState(false)
  const [sheet, setSheet] = useState(false)
  useEffect(() => {
    addEventListener('keydown', dispatchKey)
    return () => removeEventListener('keydown', dispatchKey)
  }, [])
  useKeys([
    { keys: 'mod+k', label: 'Search or run a command', run: () => setPalette(true), always: true },
    { keys: '?', label: 'Keyboard shortcuts', run: () => setHelp(true) },
    { keys: '/', label: 'Filter this page', run: () => document.querySelector<HTMLElement>('[data-filter]')?.focus(), works: () => document.querySelector('[data-filter]') !== null },
    ...allPages.map((p) => ({ keys: `g ${p.key}`, label: p.label, run: () => void navigate({ to: p.to }) })),
  ])
  return (
    <div className="app">
      <a href="#main" className="btn skip" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus() }}>Skip to the page</a>
      <header className="top">
        <button type="button" className="chip only-sheet" aria-label="Navigation" onClick={() => setSheet(true)}><MenuIcon size={16} /></button>
        <Link className="brand" to="/" aria-label="Modelyard, home"><Mark /><span className="not-sheet">Modelyard</span></Link>
        <div className="middle">
          <button type="button" className="cmdk" onClick={() => setPalette(true)}>
            <Search size={14} /><span className="flex-1">Search or run a command</span><kbd>{/Mac/.test(navigator.platform) ? '⌘' : 'Ctrl'}</kbd><kbd>K</kbd>
          </button>
        </div>
        <span className="flex-1" />
        <Live />
        <button type="button" className="chip not-sheet" aria-label="Help and shortcuts" onClick={() => setHelp(true)}><CircleHelp size={16} /></button>
        <ThemeMenu />
        <Who />
      </header>
      <Navigation />
      <main className="main" id="main" tabIndex={-1}><Outlet /></main>
      <Dialog open={sheet} onClose={() => setSheet(false)} title="Navigation" className="sheet">
        <div className="p-3 brand"><Mark />Modelyard</div>
        <Navigation onGo={() => setSheet(false)} />
      </Dialog>
      {palette && <Palette onClose={() => setPalette(false)} onHelp={() => setHelp(true)} />}
      <Shortcuts open={help} onClose={() => setHelp(false)} />
      <TokenGate />
      <Toasts />
    </div>
  )
}

export function Mark({ size = 20 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.7" strokeLinejoin="round" strokeLinecap="round" aria-hidden="true">
      <path d="M2.5 16.5v-10L7.5 10l5-3.5v10M7.5 10v6.5M12.5 10l5-3.5v10" />
    </svg>
  )
}

function TokenGate() {
  return useStore(tokenNeeded) ? <TokenPrompt /> : null
}

interface Count {
  text: string
  tone?: 'warn' | 'bad'
}

/** Numbers beside the navigation: only what asks for something, with the shape when it has a colour. */
function useCounts(): Partial<Record<NavItem['to'], Count>> {
  const { data } = useQuery(q.overview())
  const halted = useQuery(q.rollouts()).data?.items.filter((r) => r.state === 'halted').length ?? 0
  if (!data) return {}
  const out: Partial<Record<NavItem['to'], Count>> = {}
  const deciding = (data.endpoints_failing ?? 0) + halted
  if (deciding) out['/endpoints'] = { text: String(deciding), tone: 'bad' }
  if (data.monitors_breach) out['/monitors'] = { text: String(data.monitors_breach), tone: 'bad' }
  if (data.alerts_open) out['/alerts'] = { text: String(data.alerts_open), tone: 'warn' }
  if (data.pipelines_running) out['/pipelines'] = { text: String(data.pipelines_running) }
  if (data.runs_running) out['/experiments'] = { text: String(data.runs_running) }
  return out
}

function Navigation({ onGo }: { onGo?: () => void }) {
  const counts = useCounts()
  const path = useRouterState({ select: (s) => s.location.pathname })
  const item = ({ to, label, icon: Icon, holds }: NavItem): ReactNode => {
    const count = counts[to]
    const inside = holds?.some((h) => path.startsWith(h)) ?? false
    return (
      <Link key={to} to={to} onClick={onGo} className={inside ? 'on' : ''} activeOptions={{ exact: to === '/', includeSearch: false }} activeProps={{ className: 'on', 'aria-current': 'page' }} title={label}>
        <Icon size={16} strokeWidth={1.5} />{label}
        {count && <span className={`n ${count.tone ?? ''}`}>{count.tone && <Shape kind={count.tone} size={10} />}{count.text}</span>}
      </Link>
    )
  }
  return (
    <nav className="nav" aria-label="Main">
      {nav.map((g) => <div key={g.label} className="contents">{g.label && <h2>{g.label}</h2>}{g.items.map(item)}</div>)}
      <div className="foot">{foot.map(item)}</div>
    </nav>
  )
}

const liveWords = { open: ['ok', 'Live'], connecting: ['info', 'Connecting'], lost: ['warn', 'Not live'] } as const satisfies Record<string, [ShapeKind, string]>

/** Whether the page follows the server. */
function Live() {
  const state = useStore(liveState)
  const [kind, word] = liveWords[state]
  const { data } = useQuery(q.server())
  const tip = state === 'open' ? `Pages follow the server as it works${data ? `; Modelyard ${data.version}` : ''}` : 'The line to the server is down; trying again. What you see may be old.'
  return <Tooltip text={tip} side="bottom"><span className="chip not-sheet" role="status" tabIndex={0}><Shape kind={kind} size={10} />{word}</span></Tooltip>
}

const themes: readonly { value: ThemeChoice; label: string }[] = [{ value: 'light', label: 'Light' }, { value: 'dark', label: 'Dark' }, { value: 'system', label: 'As the system' }]

function ThemeMenu() {
  const choice = useStore(themeChoice)
  const Icon = choice === 'dark' ? Moon : choice === 'light' ? Sun : Monitor
  return (
    <Menu label="Theme" trigger={<button type="button" className="chip" aria-label="Theme"><Icon size={16} strokeWidth={1.5} /></button>}>
      <MenuLabel>Theme</MenuLabel>
      {themes.map((t) => <MenuChoice key={t.value} checked={t.value === choice} onSelect={() => setTheme(t.value)}>{t.label}</MenuChoice>)}
    </Menu>
  )
}

function Who() {
  const { data } = useQuery(q.session())
  if (!data?.actor) return null
  const { name } = who(data.actor)
  const note = data.authentication === 'none' ? 'This server listens on this machine only and asks for no account.' : 'Signed in with a token.'
  return <Tooltip text={`${name}. ${note}`} side="bottom"><span className="ava" tabIndex={0} role="img" aria-label={name}>{initials(name)}</span></Tooltip>
}
