import { scopes } from '@/lib/keys'
import { useStore } from '@/lib/store'
import { Dialog } from '@/ui/Dialog'

function Keys({ keys }: { keys: string }) {
  const mac = /Mac/.test(navigator.platform)
  const names = keys.split(' ').flatMap((k) => k.split('+')).map((k) => (k === 'mod' ? (mac ? '⌘' : 'Ctrl') : k === 'Escape' ? 'Esc' : k.length === 1 ? k.toUpperCase() : k))
  return <span className="flex gap-1">{names.map((n, i) => <kbd key={i}>{n}</kbd>)}</span>
}

/** What every key does here and now. */
export function Shortcuts({ open, onClose }: { open: boolean; onClose: () => void }) {
  const all = useStore(scopes).flatMap((s) => s.bindings).filter((b) => !b.quiet && (b.works?.() ?? true))
  const seen = new Set<string>()
  const unique = all.toReversed().filter((b) => !seen.has(b.keys) && seen.add(b.keys)).toReversed()
  const go = unique.filter((b) => b.keys.startsWith('g '))
  const here = unique.filter((b) => !b.keys.startsWith('g '))
  return (
    <Dialog open={open} onClose={onClose} title="Keyboard shortcuts">
      <div className="grid grid-cols-2 gap-6 mt-3">
        {([['Here', here], ['Go to', go]] as const).map(([title, list]) => (
          <div key={title}>
            <div className="text-3 text-sm mb-1">{title}</div>
            {list.map((b) => <div key={b.keys} className="flex items-center justify-between py-1 gap-3"><span>{b.label}</span><Keys keys={b.keys} /></div>)}
          </div>
        ))}
      </div>
    </Dialog>
  )
}
