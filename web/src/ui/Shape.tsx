export type ShapeKind = 'ok' | 'warn' | 'bad' | 'info' | 'idle' | 'pause'

/** The mark of a status; its form tells the same as its colour. */
export function Shape({ kind, size = 12 }: { kind: ShapeKind; size?: number }) {
  const fill = `var(--${kind === 'pause' ? 'idle' : kind}-fill)`
  return (
    <svg width={size} height={size} viewBox="0 0 12 12" aria-hidden="true" className="flex-none">
      {kind === 'ok' && <><circle cx="6" cy="6" r="5" fill={fill} /><path d="M3.6 6.2 5.3 7.9 8.5 4.4" stroke="#fff" strokeWidth="1.5" fill="none" strokeLinecap="round" strokeLinejoin="round" /></>}
      {kind === 'warn' && <><path d="M6 .9 11.6 11H.4z" fill={fill} stroke={fill} strokeLinejoin="round" strokeWidth=".6" /><path d="M6 4.6v2.8M6 9.1v.2" stroke="#fff" strokeWidth="1.4" strokeLinecap="round" /></>}
      {kind === 'bad' && <><path d="M3.9.8h4.2l3.1 3.1v4.2l-3.1 3.1H3.9L.8 8.1V3.9z" fill={fill} /><path d="M4.3 4.3l3.4 3.4M7.7 4.3 4.3 7.7" stroke="#fff" strokeWidth="1.4" strokeLinecap="round" /></>}
      {kind === 'info' && <><circle cx="6" cy="6" r="4.5" fill="none" stroke={fill} strokeWidth="1.5" /><path d="M6 3.2a2.8 2.8 0 0 1 0 5.6z" fill={fill} /></>}
      {kind === 'idle' && <circle cx="6" cy="6" r="4.3" fill="none" stroke={fill} strokeWidth="1.6" />}
      {kind === 'pause' && <><circle cx="6" cy="6" r="5" fill={fill} /><path d="M4.7 4v4M7.3 4v4" stroke="#fff" strokeWidth="1.4" strokeLinecap="round" /></>}
    </svg>
  )
}
