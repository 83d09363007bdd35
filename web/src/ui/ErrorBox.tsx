import { ApiError } from '@/lib/api/http'
import { Shape } from './Shape'

/** What happened, what it means, what to do, and the request to ask about. */
export function ErrorBox({ error, title, onRetry }: { error: unknown; title?: string; onRetry?: () => void }) {
  const api = error instanceof ApiError ? error : undefined
  const text = error instanceof Error ? error.message : String(error)
  const head = title ?? api?.title ?? 'This did not work'
  return (
    <div role="alert">
      <div className="flex items-center gap-2">
        <Shape kind="bad" /><b className="flex-1">{head}</b>
        {onRetry && <button type="button" className="btn s" onClick={onRetry}>Retry</button>}
      </div>
      <div className="text-2 text-sm ml-5 mt-0.5">
        {text !== head && <p>{text}</p>}
        {api?.fields.filter((f) => !text.includes(f.message)).map((f) => <p key={f.field}><span className="mono">{f.field}</span>: {f.message}</p>)}
        {api?.hint && <p>{api.hint}</p>}
      </div>
      {api?.requestId && <div className="text-3 text-xs mono ml-5 mt-1">request {api.requestId}</div>}
    </div>
  )
}

export function ErrorPanel(props: Parameters<typeof ErrorBox>[0]) {
  return <section className="panel px-3.5 py-3"><ErrorBox {...props} /></section>
}
