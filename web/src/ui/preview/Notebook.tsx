import { useEffect, useMemo, useState, type ReactNode } from 'react'
import { Markdown } from '@/ui/Markdown'
import type { NotebookFile, Output } from './notebook'
import { TableView } from './TableView'

/** A notebook as it was saved; nothing of it is run. */
export function Notebook({ file }: { file: NotebookFile }): ReactNode {
  return (
    <div className="grid gap-3">
      {file.cells.map((c, i) => (
        <div key={i} className="grid grid-cols-[44px_minmax(0,1fr)] gap-x-2">
          <span className="mono text-3 text-right pt-1.5" aria-hidden="true">{c.kind === 'code' ? `[${c.count ?? ' '}]` : ''}</span>
          {c.kind === 'markdown' ? <div className="min-w-0"><Markdown under={2} text={c.source} /></div> : <pre className={`log min-w-0 ${c.kind === 'code' ? 'bg-sunken border border-border rounded-control px-2.5 py-1.5' : 'text-2'}`}>{c.source}</pre>}
          {c.outputs.length > 0 && <div className="col-start-2 min-w-0 grid gap-2 pt-2">{c.outputs.map((o, j) => <Shown key={j} output={o} />)}</div>}
        </div>
      ))}
      {file.cells.length === 0 && <p className="text-3">This notebook has no cells.</p>}
      {file.more > 0 && <p className="text-3 text-sm">{file.more} cells more; download the file to see them.</p>}
    </div>
  )
}

function Shown({ output: o }: { output: Output }) {
  switch (o.kind) {
    case 'text': return <pre className={`log max-h-80 overflow-auto ${o.error ? 'text-bad' : ''}`} tabIndex={0}>{o.text}</pre>
    case 'image': return <Image type={o.type} base64={o.base64} />
    case 'table': return <TableView table={o.table} label="Output" />
    case 'left-out': return <p className="text-3 text-sm">An output of the kind {o.what} is not shown here.</p>
  }
}

/** From memory: the policy of the page takes no pictures written into addresses. */
function Image({ type, base64 }: { type: string; base64: string }) {
  const bytes = useMemo(() => {
    try {
      return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))
    } catch {
      return undefined
    }
  }, [base64])
  const [url, setUrl] = useState<string | undefined>()
  useEffect(() => {
    if (!bytes) return
    const made = URL.createObjectURL(new Blob([bytes], { type }))
    setUrl(made)
    return () => URL.revokeObjectURL(made)
  }, [bytes, type])
  return url ? <img src={url} alt="Output of the cell" className="max-w-full bg-white rounded-control justify-self-start" /> : bytes ? null : <p className="text-3 text-sm">A picture here is damaged.</p>
}
