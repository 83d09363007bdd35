import { useVirtualizer } from '@tanstack/react-virtual'
import { ChevronRight } from 'lucide-react'
import { useEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { ms } from '@/lib/format'
import { useKeys } from '@/lib/keys'
import { Shape } from '@/ui/Shape'
import { rowsOf, spanOf, ticks, visible, type Row } from './tree'
import type { Span } from './api'

const height = 28
const virtualFrom = 120

/** Colours by what a span does; the same all over the page. Types beyond the eighth share the first. */
export function typeColors(spans: readonly Span[]): Map<string, string> {
  const types = [...new Set(spans.map((s) => s.type))].sort((a, b) => Number(a === 'UNKNOWN') - Number(b === 'UNKNOWN') || a.localeCompare(b))
  return new Map(types.map((t, i) => [t, t === 'UNKNOWN' ? 'var(--ref)' : `var(--c${(i % 8) + 1})`]))
}

/** Spans as a tree beside their bars on one time axis. J and K move, ← and → fold. */
export function Waterfall({ spans, selected, onSelect, colors }: { spans: readonly Span[]; selected: string | undefined; onSelect: (id: string) => void; colors: ReadonlyMap<string, string> }): ReactNode {
  const rows = useMemo(() => rowsOf(spans), [spans])
  const [folded, setFolded] = useState<ReadonlySet<string>>(() => new Set())
  const shown = useMemo(() => visible(rows, folded), [rows, folded])
  const total = useMemo(() => spanOf(spans), [spans])
  const box = useRef<HTMLDivElement>(null)
  const at = shown.findIndex((r) => r.span.id === selected)
  const virtual = useVirtualizer({ count: shown.length, getScrollElement: () => box.current, estimateSize: () => height, overscan: 12, enabled: shown.length > virtualFrom })
  const move = (by: number) => {
    const next = shown[Math.min(shown.length - 1, Math.max(0, at + by))]
    if (next) onSelect(next.span.id)
  }
  const fold = (row: Row | undefined, close: boolean) => {
    if (!row) return
    if (close && (row.below === 0 || folded.has(row.span.id))) {
      if (row.span.parent_id && rows.some((r) => r.span.id === row.span.parent_id)) onSelect(row.span.parent_id)
      return
    }
    setFolded((f) => { const next = new Set(f); if (close) next.add(row.span.id); else next.delete(row.span.id); return next })
  }
  useKeys([
    { keys: 'j', label: 'Next span', run: () => move(1) }, { keys: 'k', label: 'Previous span', run: () => move(-1) },
    { keys: 'ArrowDown', label: 'Next span', run: () => move(1), quiet: true }, { keys: 'ArrowUp', label: 'Previous span', run: () => move(-1), quiet: true },
    { keys: 'ArrowLeft', label: 'Fold the span, or go to its parent', run: () => fold(shown[at], true) }, { keys: 'ArrowRight', label: 'Unfold the span', run: () => fold(shown[at], false) },
  ])
  useEffect(() => {
    if (at < 0) return
    if (shown.length > virtualFrom) virtual.scrollToIndex(at)
    else box.current?.querySelector(`[data-span="${CSS.escape(shown[at]!.span.id)}"]`)?.scrollIntoView({ block: 'nearest' })
    // Only a moved selection scrolls.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [selected])
  const items = shown.length > virtualFrom ? virtual.getVirtualItems().map((v) => ({ row: shown[v.index]!, top: v.start })) : shown.map((row, i) => ({ row, top: i * height }))
  return (
    <div className="flex flex-col min-h-0">
      <div className="wf wf-head" aria-hidden="true"><span className="pl-3.5">Span</span><span className="wf-axis">{ticks(total).map((t) => <i key={t} style={{ left: `${(t / total) * 100}%` }}>{ms(t)}</i>)}</span></div>
      <div ref={box} className="overflow-auto min-h-0" style={{ maxHeight: 'max(320px, calc(100vh - 300px))' }} role="tree" tabIndex={0} aria-label={`${spans.length} spans over ${ms(total)}`} aria-activedescendant={at >= 0 ? `span-${shown[at]!.span.id}` : undefined}>
        <div className="relative" style={{ height: shown.length * height }}>
          {items.map(({ row, top }) => <SpanRow key={row.span.id} row={row} top={top} total={total} on={row.span.id === selected} folded={folded.has(row.span.id)} color={colors.get(row.span.type) ?? 'var(--ref)'}
            onSelect={() => onSelect(row.span.id)} onFold={() => fold(row, !folded.has(row.span.id))} />)}
        </div>
      </div>
    </div>
  )
}

function SpanRow({ row, top, total, on, folded, color, onSelect, onFold }: { row: Row; top: number; total: number; on: boolean; folded: boolean; color: string; onSelect: () => void; onFold: () => void }) {
  const s = row.span
  const left = (s.offset_ms / total) * 100
  const width = ((s.duration_ms ?? total - s.offset_ms) / total) * 100
  const bad = s.status === 'ERROR'
  const late = left + width > 78 // the figure stands before the bar where there is no room behind it
  return (
    <div id={`span-${s.id}`} data-span={s.id} role="treeitem" aria-level={row.depth + 1} aria-selected={on} aria-expanded={row.below > 0 ? !folded : undefined}
      className={`wf wf-row ${on ? 'on' : ''}`} style={{ top, height }} onClick={onSelect}>
      <span className="flex items-center min-w-0 gap-1.5" style={{ paddingLeft: 8 + Math.min(row.depth, 16) * 14 }}>
        {row.below > 0 ? <button type="button" tabIndex={-1} className="wf-fold" aria-label={folded ? 'Unfold' : 'Fold'} onClick={(e) => { e.stopPropagation(); onFold() }}><ChevronRight size={12} style={{ rotate: folded ? '0deg' : '90deg' }} /></button> : <span className="w-4 flex-none" />}
        {bad ? <Shape kind="bad" size={10} /> : <i className="sw" style={{ background: color }} />}
        <span className={`clip ${bad ? 'text-bad strong' : ''}`} title={s.name}>{s.name}</span><span className="sr-only">, {s.type}{bad && ', failed'}, </span>
        {folded && <span className="text-3 text-xs flex-none">+{row.below}</span>}
      </span>
      <span className="wf-lane">
        <i className={`wf-bar ${s.duration_ms === undefined ? 'open' : ''}`} style={{ left: `${left}%`, width: `max(2px, ${width}%)`, background: bad ? 'var(--bad-fill)' : color }} />
        <span className="wf-took" style={late ? { right: `calc(${100 - left}% + 5px)` } : { left: `calc(${left + width}% + 5px)` }}>{s.duration_ms === undefined ? 'running' : ms(s.duration_ms)}</span>
      </span>
    </div>
  )
}
