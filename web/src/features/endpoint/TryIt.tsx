import { useMutation } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { http } from '@/lib/api/http'
import type { Endpoint } from '@/lib/api/types'
import { ms } from '@/lib/format'
import { href } from '@/lib/href'
import { CodeTabs } from '@/ui/Code'
import { ErrorBox } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { JsonView } from '@/ui/JsonView'
import { Panel } from '@/ui/Panel'
import { Shape } from '@/ui/Shape'
import { Tag } from '@/ui/Status'
import { sampleRecord } from './verdict'

interface Answer {
  prediction: unknown
  prediction_id?: string
  version?: string
  logged?: boolean
}

/** One request by hand, and the same request in code. */
export function TryIt({ endpoint }: { endpoint: Endpoint }) {
  const initial = useMemo(() => JSON.stringify(sampleRecord(endpoint), null, 2), [endpoint])
  const [text, setText] = useState(initial)
  const parsed = useMemo(() => parse(text), [text])
  const path = `/endpoints/${encodeURIComponent(endpoint.name)}/predict`
  const send = useMutation({
    mutationFn: async (body: unknown) => {
      const begun = performance.now()
      const answer = await http.post<Answer>(path, { body })
      return { answer, took: performance.now() - begun }
    },
  })
  const base = new URL(document.baseURI).href.replace(/\/$/, '')
  const flat = parsed.ok ? JSON.stringify(parsed.value) : text
  return (
    <div className="grid gap-3.5 cols:grid-cols-2 items-start">
      <Panel title="Request" note={`POST ${path}`} right={<button type="button" className="btn s ghost" onClick={() => setText(initial)}>Reset</button>}>
        <form className="p-3.5 grid gap-2.5" onSubmit={(e) => { e.preventDefault(); if (parsed.ok) send.mutate(parsed.value) }}>
          <textarea className="inp mono" rows={Math.min(20, Math.max(8, text.split('\n').length + 1))} spellCheck={false} aria-label="Record as JSON" aria-invalid={!parsed.ok} value={text} onChange={(e) => setText(e.target.value)}
            onKeyDown={(e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey) && parsed.ok) { e.preventDefault(); send.mutate(parsed.value) } }} />
          {!parsed.ok && <div className="text-bad text-sm">{parsed.error}</div>}
          <div className="flex items-center gap-3"><button type="submit" className="btn pri" disabled={!parsed.ok || send.isPending}>Send request</button><span className="text-3 text-sm">Ctrl Enter. It is recorded like any other request.</span></div>
        </form>
      </Panel>
      <div className="grid gap-3.5 min-w-0">
        <Panel title="Answer" right={send.data && `${ms(send.data.took)} from this browser`}>
          <div className="p-3.5" aria-live="polite">
            {send.error ? <ErrorBox error={send.error} title="Refused" /> : send.data
              ? (
                <div className="grid gap-2.5">
                  <div className="flex items-center gap-2 flex-wrap"><Shape kind="ok" /><b className="text-xl">{typeof send.data.answer.prediction === 'object' ? JSON.stringify(send.data.answer.prediction) : String(send.data.answer.prediction)}</b>{send.data.answer.version && <Tag look="accent">v{send.data.answer.version}</Tag>}{send.data.answer.logged === false && <Tag>not logged</Tag>}
                    {send.data.answer.prediction_id && <Go className="link text-sm" to={href.endpoint(endpoint.name, { tab: 'requests', prediction: send.data.answer.prediction_id })}>See its record</Go>}</div>
                  <JsonView value={send.data.answer} />
                </div>
              )
              : <p className="text-2">Nothing sent yet. The record holds the model's example; change a value and send it.</p>}
          </div>
        </Panel>
        <Panel title="The same in code">
          <div className="p-3.5"><CodeTabs tabs={[
            { name: 'curl', text: `curl -s ${base}${path} \\\n  -H 'Content-Type: application/json' \\\n  -d '${flat.replaceAll("'", "'\\''")}'` },
            { name: 'Python', text: `import requests\n\nanswer = requests.post(\n    "${base}${path}",\n    json=${flat.replace(/\btrue\b/g, 'True').replace(/\bfalse\b/g, 'False').replace(/\bnull\b/g, 'None')},\n).json()\nprint(answer["prediction"])` },
            { name: 'Label it later', text: `curl -s ${base}/endpoints/${encodeURIComponent(endpoint.name)}/feedback \\\n  -H 'Content-Type: application/json' \\\n  -d '{"prediction_id": "${send.data?.answer.prediction_id ?? 'ID'}", "label": 0}'` },
          ]} /></div>
        </Panel>
        {endpoint.signature?.inputs && (
          <Panel title="Inputs" note={`${endpoint.signature.inputs.length} columns`}>
            <div className="grid grid-cols-[1fr_auto] gap-x-3 gap-y-0.5 text-sm px-3.5 py-2.5">
              {endpoint.signature.inputs.map((c, i) => <div key={c.name ?? i} className="contents"><span className="mono clip">{c.name}{c.required === false && <span className="text-3"> optional</span>}</span><span className="mono text-3">{c.type}</span></div>)}
              {(endpoint.signature.outputs ?? []).map((c, i) => <div key={`out${i}`} className="contents"><span className="mono strong">→ {c.name || 'prediction'}</span><span className="mono text-3">{c.type}</span></div>)}
            </div>
          </Panel>
        )}
      </div>
    </div>
  )
}

function parse(text: string): { ok: true; value: unknown } | { ok: false; error: string } {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return { ok: false, error: 'One record is a JSON object: {"column": value}.' }
    return { ok: true, value }
  } catch (e) {
    return { ok: false, error: `No valid JSON: ${e instanceof Error ? e.message : String(e)}` }
  }
}
