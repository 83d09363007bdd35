import { Activity, Bell, Boxes, Database, FileText, FlaskConical, GitBranch, House, List, MessageSquareText, Radio, Trash2, Workflow, type LucideIcon } from 'lucide-react'

export interface NavItem {
  to: '/' | '/datasets' | '/experiments' | '/pipelines' | '/models' | '/prompts' | '/endpoints' | '/monitors' | '/alerts' | '/lineage' | '/audit' | '/jobs' | '/trash'
  label: string
  icon: LucideIcon
  /** The second key of "g …". */
  key: string
  /** Words that find it in the palette. */
  also?: string
  /** Pages that belong to it, though their addresses begin otherwise. */
  holds?: readonly string[]
}

export interface NavGroup {
  label: string
  items: readonly NavItem[]
}

/** The navigation follows the loop. Only what the server can do today is listed. */
export const nav: readonly NavGroup[] = [
  { label: '', items: [{ to: '/', label: 'Home', icon: House, key: 'h', also: 'start overview' }] },
  { label: 'Data', items: [{ to: '/datasets', label: 'Datasets', icon: Database, key: 'd', also: 'data contract profile' }] },
  { label: 'Build', items: [
    { to: '/experiments', label: 'Experiments', icon: FlaskConical, key: 'x', also: 'runs metrics tracking', holds: ['/runs/', '/compare', '/traces/'] },
    { to: '/prompts', label: 'Prompts', icon: MessageSquareText, key: 'r', also: 'templates genai versions' },
    { to: '/pipelines', label: 'Pipelines', icon: Workflow, key: 'p', also: 'training steps logs' },
  ] },
  { label: 'Ship', items: [
    { to: '/models', label: 'Models', icon: Boxes, key: 'm', also: 'registry versions aliases' },
    { to: '/endpoints', label: 'Endpoints', icon: Radio, key: 'e', also: 'serving traffic rollout canary' },
  ] },
  { label: 'Watch', items: [
    { to: '/monitors', label: 'Monitors', icon: Activity, key: 'w', also: 'drift quality performance' },
    { to: '/alerts', label: 'Alerts', icon: Bell, key: 'a', also: 'webhooks' },
  ] },
  { label: 'Govern', items: [
    { to: '/lineage', label: 'Lineage', icon: GitBranch, key: 'l', also: 'graph origin' },
    { to: '/audit', label: 'Audit', icon: FileText, key: 'u', also: 'events history' },
  ] },
]

export const foot: readonly NavItem[] = [
  { to: '/jobs', label: 'Jobs', icon: List, key: 'j', also: 'queue workers' },
  { to: '/trash', label: 'Trash', icon: Trash2, key: 't', also: 'deleted restore undo purge garbage' },
]
export const allPages: readonly NavItem[] = [...nav.flatMap((g) => g.items), ...foot]
