import { ArrowDownToLine } from 'lucide-react'
import { useEffect, useMemo, useRef, useState } from 'react'
import { address, http } from '@/lib/api/http'
import { openStream } from '@/lib/api/sse'
import { ErrorBox } from '@/ui/ErrorBox'

interface Props {
  run: string
  step: string
  live: boolean
}

/** Enough for a screen reader and a search; the download has all. */
const mostChars = 400_000
const errorLine = /\b(ERROR|CRITICAL|FATAL)\b|^\s*Traceback |^[\w.]*(Error|Exception)\b[:\s]|^(fatal|error|panic):/
const ansi = new RegExp(String.fromCharCode(27) + '\\[[0-9;?]*[A-Za-z]', 'g')

/** The output of a step: follows while it runs, holds still when scrolled up, searches. */
export function StepLog({ run, step, live }: Props) {
  const base = `/api/v1/pipeline-runs/${encodeURIComponent(run)}/steps/${encodeURIComponent(step)}/log`
  const [text, setText] = useState('')
  const [cut, setCut] = useState(false)
  const [error, setError] = useState<Error | null>(null)
  const [loaded, setLoaded] = useState(false)
  const [find, setFind] = useState('')
  const [follow, setFollow] = useState(true)
  const box = useRef<HTMLDivElement>(null)

  useEffect(() => {
    const stop = new AbortController()
    let offset = 0
    const append = (more: string) => setText((old) => {
      const all = old + more
      if (all.length <= mostChars) return all
      setCut(true)
      return all.slice(all.indexOf('\n', all.length - mostChars) + 1)
    })
    const read = async (): Promise<void> => {
      const response = await http.raw(base, { query: { offset }, signal: stop.signal })
      const next = Number(response.headers.get('X-Modelyard-Next-Offset') ?? NaN)
      const body = await response.text()
      if (body !== '') append(body)
      const moved = Number.isFinite(next) && next > offset
      offset = Number.isFinite(next) ? next : offset + new TextEncoder().encode(body).length
      setLoaded(true)
      if (moved && body !== '') return read()
    }
    let end = () => {}
    read().then(() => {
      if (!live || stop.signal.aborted) return
      end = openStream(`${base}/stream`, { query: { offset }, once: true, onEvent: (e) => { if (e.event === 'message' || e.event === 'log') append(e.data.endsWith('\n') ? e.data : `${e.data}\n`) } })
    }).catch((e: unknown) => { if (!stop.signal.aborted) setError(e instanceof Error ? e : new Error(String(e))) })
    return () => {
      stop.abort()
      end()
      setText('')
      setCut(false)
      setError(null)
      setLoaded(false)
    }
  }, [base, live])

  const lines = useMemo(() => text.replace(ansi, '').replace(/\n$/, '').split('\n').map((l) => l.slice(l.lastIndexOf('\r') + 1)), [text])
  const shown = find === '' ? lines.map((l, i) => ({ l, i })) : lines.map((l, i) => ({ l, i })).filter(({ l }) => l.toLowerCase().includes(find.toLowerCase()))
  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight
  }, [text, follow])

  return (
    <div className="flex flex-col min-h-0 flex-1">
      <div className="flex items-center gap-2 px-3.5 py-2 border-b border-border">
        <input className="inp !w-56" placeholder="Search the log" aria-label="Search the log" value={find} onChange={(e) => setFind(e.target.value)} />
        <span className="text-3 text-sm">{find === '' ? `${lines.length.toLocaleString('en')} lines` : `${shown.length} of ${lines.length.toLocaleString('en')} lines`}{cut ? ', the newest part' : ''}</span>
        <span className="ml-auto flex gap-2">
          {!follow && <button type="button" className="btn s" onClick={() => setFollow(true)}><ArrowDownToLine size={14} />Follow</button>}
          <a className="btn s" href={address(base)} download={`${step}.log`}>Download</a>
        </span>
      </div>
      {error ? <div className="p-3.5"><ErrorBox error={error} title="Can't read the log" /></div> : (
        <div ref={box} className="log flex-1 min-h-40 overflow-auto bg-sunken px-3.5 py-2" tabIndex={0} role="log" aria-label={`Log of ${step}`}
          onScroll={(e) => { const el = e.currentTarget; setFollow(el.scrollHeight - el.scrollTop - el.clientHeight < 24) }}>
          {text === '' ? <span className="text-3">{loaded ? (live ? 'Nothing printed yet.' : 'This step printed nothing.') : ''}</span>
            : shown.map(({ l, i }) => <div key={i} className={errorLine.test(l) ? 'text-bad' : ''}><span className="text-3 select-none inline-block w-11 pr-3 text-right">{i + 1}</span>{l}</div>)}
        </div>
      )}
    </div>
  )
}
