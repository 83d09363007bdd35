import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Check, Plus } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { who } from '@/lib/actor'
import { http } from '@/lib/api/http'
import { cli } from '@/lib/cli'
import { q } from '@/lib/api/queries'
import type { Alert, Webhook } from '@/lib/api/types'
import { absolute, num, plural, shortId } from '@/lib/format'
import { href } from '@/lib/href'
import { useKeys } from '@/lib/keys'
import { look } from '@/lib/states'
import { words } from '@/lib/events'
import { Code } from '@/ui/Code'
import { Field } from '@/ui/Controls'
import { DataTable, type Column } from '@/ui/DataTable'
import { Confirm, Dialog } from '@/ui/Dialog'
import { Drawer } from '@/ui/Drawer'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Load } from '@/ui/Load'
import { Page, Tabs } from '@/ui/Page'
import { KeyValues, Panel } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import type { ShapeKind } from '@/ui/Shape'
import { Pill, Status, Tag } from '@/ui/Status'
import { Time, Took } from '@/ui/Time'
import { toast } from '@/ui/toasts'

const route = getRouteApi('/alerts')
const severities: Record<Alert['severity'], { kind: ShapeKind; word: string }> = { page: { kind: 'bad', word: 'Urgent' }, ticket: { kind: 'warn', word: 'Soon' }, info: { kind: 'info', word: 'To know' } }

const urgency: Record<Alert['severity'], number> = { page: 0, ticket: 1, info: 2 }

function mark(a: Alert): { kind: ShapeKind; word: string } {
  if (a.state === 'resolved') return look('resolved')
  return a.state === 'acknowledged' ? { kind: 'info', word: 'Acknowledged' } : (severities[a.severity] ?? severities.ticket)
}

const columns: Column<Alert>[] = [
  { id: 'state', header: 'State', cell: (a) => { const m = mark(a); return <Status kind={m.kind}>{m.word}</Status> }, width: 130 },
  { id: 'title', header: 'Alert', cell: (a) => <span className="block clip"><b title={a.title}>{a.title}</b>{a.reason && <span className="text-2 text-sm block clip" title={a.reason}>{a.reason}</span>}</span> },
  { id: 'endpoint', header: 'About', width: 130, from: 600, cell: (a) => a.endpoint ? <Go className="link" to={href.monitor(a.endpoint, a.window_id ? { window: a.window_id } : {})}>{a.endpoint}</Go> : a.subject?.startsWith('pipeline:') ? <Go className="link" to={href.pipeline(a.subject.slice(9))}>{a.subject.slice(9)}</Go> : a.subject },
  { id: 'kind', header: 'Kind', cell: (a) => words(a.kind), width: 110, from: 940 },
  { id: 'count', header: 'Seen', num: true, cell: (a) => (a.count && a.count > 1 ? `${a.count} times` : 'once'), width: 90, from: 840 },
  { id: 'opened', header: 'Opened', cell: (a) => <Time at={a.opened_at} />, width: 110, from: 480 },
  { id: 'lasted', header: 'Lasted', num: true, cell: (a) => <Took from={a.opened_at} to={a.resolved_at} />, width: 110, from: 720 },
]

export function Alerts(): ReactNode {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true })
  const query = useQuery(q.alerts())
  const webhooks = useQuery(q.webhooks())
  const all = query.data?.items ?? []
  const open = all.filter((a) => a.state !== 'resolved')
  const state = search.state ?? 'open'
  const shown = (state === 'open' ? open : state === 'resolved' ? all.filter((a) => a.state === 'resolved') : all).toSorted((a, b) => (state === 'open' ? urgency[a.severity] - urgency[b.severity] : 0) || b.opened_at.localeCompare(a.opened_at))
  const chosen = all.find((a) => a.id === search.alert)
  const tab = search.tab ?? 'alerts'
  return (
    <Page title="Alerts" bare
      verdict={query.data ? (open.length === 0 ? <><b>No alert is open.</b> {all.length > 0 ? `${plural(all.length, 'alert')} resolved so far.` : 'Monitors and rollouts open them by themselves.'}</> : <><b>{plural(open.length, 'alert')} {open.length === 1 ? 'is' : 'are'} open</b>, {open.filter((a) => a.state === 'acknowledged').length} acknowledged. {(webhooks.data?.items.length ?? 0) === 0 && 'Nobody is told: no webhook is set up.'}</>) : undefined}
      tabs={<Tabs value={tab} items={[{ value: 'alerts', label: 'Alerts', count: open.length }, { value: 'webhooks', label: 'Webhooks', count: webhooks.data?.items.length }]} right={tab === 'alerts' ? <Segmented small label="State" value={state} onChange={(v) => set({ state: v === 'open' ? undefined : v })} options={[{ value: 'open', label: 'Open' }, { value: 'resolved', label: 'Resolved' }, { value: 'all', label: 'All' }]} /> : undefined} />}>
      {tab === 'webhooks' ? <div className="body"><Webhooks query={webhooks} /></div> : (
        <div className="flex flex-1 min-h-0">
          <div className="body min-w-0">
            <section className="panel">
              <Load query={query} what="the alerts" skeleton={<Skeleton rows={5} />}>
                {() => shown.length === 0
                  ? <Empty title={state === 'open' ? 'No alert is open' : 'No alert here'} link={<Go className="link" to={href.monitors}>See the monitors</Go>}>A monitor opens one when a verdict reaches breach, and resolves it when the windows are fine again.</Empty>
                  : <DataTable fixed label="Alerts" columns={columns} rows={shown} rowKey={(a) => a.id} focused={search.alert} onOpen={(a) => set({ alert: a.id })} />}
              </Load>
            </section>
          </div>
          {chosen && <AlertDrawer alert={chosen} onClose={() => set({ alert: undefined })} />}
        </div>
      )}
    </Page>
  )
}

function AlertDrawer({ alert: a, onClose }: { alert: Alert; onClose: () => void }) {
  const client = useQueryClient()
  const [resolve, setResolve] = useState(false)
  const m = mark(a)
  const act = async (action: 'acknowledge' | 'resolve', note: string) => {
    await http.post(`/api/v1/alerts/${encodeURIComponent(a.id)}/${action}`, { body: { note } })
    await client.invalidateQueries({ queryKey: ['alerts'] })
    await client.invalidateQueries({ queryKey: ['overview'] })
    toast({ kind: 'ok', text: action === 'acknowledge' ? 'Acknowledged; it stays open until it is resolved' : 'Resolved' })
  }
  const acknowledge = useMutation({ mutationFn: () => act('acknowledge', '') })
  useKeys([{ keys: 'a', label: 'Acknowledge the alert', run: () => a.state === 'open' && acknowledge.mutate() }, { keys: 'r', label: 'Resolve the alert', run: () => a.state !== 'resolved' && setResolve(true) }])
  const retraining = useQuery(q.retrainings(a.endpoint)).data?.items.find((r) => r.id === a.started?.retraining_id || r.alert_id === a.id)
  return (
    <Drawer label="Alert" title={a.title} onClose={onClose}
      footer={a.state !== 'resolved' ? <>{a.state === 'open' && <button type="button" className="btn" disabled={acknowledge.isPending} onClick={() => acknowledge.mutate()}><Check size={14} />Acknowledge</button>}<button type="button" className="btn pri" onClick={() => setResolve(true)}>Resolve…</button></> : undefined}>
      <div className="px-4 pb-3 flex items-center gap-2 text-sm text-3"><Pill kind={m.kind}>{m.word}</Pill>opened <Time at={a.opened_at} /></div>
      {acknowledge.error && <div className="ds"><ErrorBox error={acknowledge.error} title="Not acknowledged" /></div>}
      {a.reason && <div className="ds"><p>{a.reason}</p></div>}
      {(a.features?.length ?? 0) > 0 && <div className="ds"><div className="sec">Outside their limits</div><table className="tbl dense"><tbody>{a.features!.map((f) => <tr key={f.name}><td className="!pl-0">{a.endpoint ? <Go className="link" to={href.monitor(a.endpoint, { feature: f.name, ...(a.window_id ? { window: a.window_id } : {}) })}>{f.name}</Go> : f.name}</td><td className="num strong">{num(f.statistic)}</td><td className="num text-3 !pr-0">limit {num(f.threshold)}</td></tr>)}</tbody></table></div>}
      <div className="ds"><KeyValues items={[
        ['Kind', words(a.kind)], ['Lasted', <Took key="l" from={a.opened_at} to={a.resolved_at} />], ['Endpoint', a.endpoint ? <Go key="e" className="link" to={href.endpoint(a.endpoint)}>{a.endpoint}</Go> : ''], ['Evidence', a.endpoint && a.window_id ? <Go key="w" className="link" to={href.monitor(a.endpoint, { window: a.window_id })}>the window</Go> : ''], ['Data until', a.event_time ? absolute(a.event_time) : ''],
        ['Seen', a.count ? plural(a.count, 'time') : ''], ['Acknowledged', a.acknowledged_at ? <Time key="a" at={a.acknowledged_at} /> : ''], ['By', a.acknowledged_by ? who(a.acknowledged_by).name : ''], ['Note', a.note], ['Resolved', a.resolved_at ? <Time key="r" at={a.resolved_at} /> : ''], ['Because', a.resolved_reason],
      ]} /></div>
      {retraining && <div className="ds"><div className="sec">What it started</div><KeyValues items={[['Retraining', words(retraining.outcome || retraining.state)], ['Pipeline run', retraining.pipeline_run_id ? <span key="p" className="mono">{shortId(retraining.pipeline_run_id)}</span> : ''], ['Challenger', retraining.challenger ? `v${retraining.challenger}` : ''], ['Reason', retraining.reason]]} /></div>}
      <Confirm open={resolve} onClose={() => setResolve(false)} title="Resolve this alert" action="Resolve" reason={{ label: 'What was done', placeholder: 'for the next who sees it' }} run={(note) => act('resolve', note)}>If the next window is still outside its limits, a new alert opens.</Confirm>
    </Drawer>
  )
}

const kinds = ['alert.opened', 'alert.resolved', 'lifecycle.rollout.halted', 'lifecycle.rollout.rolled_back', 'lifecycle.rollout.promoted', 'evaluation.gate.failed', 'registry.alias.set', 'dataset.version.refused', 'pipeline.run.ended']

function Webhooks({ query }: { query: Parameters<typeof Load<{ items: Webhook[] }>>[0]['query'] }) {
  const [add, setAdd] = useState(false)
  return (
    <>
      <Load query={query} what="the webhooks">
        {(d) => d.items.length === 0
          ? <section className="panel"><Empty title="No webhook" command={cli.addWebhook('https://hooks.example.org/ml', ['alert.opened'])} link={<button type="button" className="link" onClick={() => setAdd(true)}>Add one here</button>}>A webhook tells another system, signed and retried, what happens here.</Empty></section>
          : <div className="grid gap-3.5">{d.items.map((w) => <Hook key={w.id} hook={w} />)}<div><button type="button" className="btn" onClick={() => setAdd(true)}><Plus size={14} />Add a webhook…</button></div></div>}
      </Load>
      <AddHook open={add} onClose={() => setAdd(false)} />
    </>
  )
}

function Hook({ hook: w }: { hook: Webhook }) {
  const client = useQueryClient()
  const deliveries = useQuery(q.deliveries(w.id))
  const [remove, setRemove] = useState(false)
  const path = `/api/v1/webhooks/${encodeURIComponent(w.id)}`
  const test = useMutation({ mutationFn: () => http.post(`${path}/test`), onSuccess: () => { toast({ kind: 'ok', text: 'A test was sent; see the deliveries' }); void client.invalidateQueries({ queryKey: ['webhooks'] }) } })
  return (
    <Panel title={<span className="mono">{w.url}</span>} right={<><button type="button" className="btn s" disabled={test.isPending} onClick={() => test.mutate()}>Send a test</button><button type="button" className="btn s dgr" onClick={() => setRemove(true)}>Remove…</button></>}>
      <div className="px-3.5 py-2.5 flex flex-wrap gap-1.5">{w.events.length === 0 ? <Tag>every event</Tag> : w.events.map((e) => <Tag key={e}>{e}</Tag>)}</div>
      {test.error && <div className="px-3.5 pb-3"><ErrorBox error={test.error} title="The test was not sent" /></div>}
      <Load query={deliveries} what="the deliveries" skeleton={<Skeleton rows={2} />}>
        {(d) => d.items.length === 0 ? <p className="px-3.5 pb-3 text-3 text-sm">Nothing was sent yet.</p> : <table className="tbl dense" aria-label="Deliveries"><thead><tr><th>State</th><th>Event</th><th className="num">Answer</th><th className="num">Attempt</th><th>When</th><th>Error</th></tr></thead><tbody>{d.items.slice(0, 10).map((x) => { return <tr key={x.id}><td><Status kind={x.state === 'delivered' ? 'ok' : x.state === 'failed' ? 'bad' : 'info'}>{x.state === 'delivered' ? 'Delivered' : x.state === 'failed' ? 'Gave up' : x.attempt ? 'Tries again' : 'Waiting'}</Status></td><td className="mono">{x.type}</td><td className="num">{x.status || ''}</td><td className="num">{x.attempt}</td><td><Time at={x.at ?? x.created_at} /></td><td className="text-bad !whitespace-normal">{x.error}</td></tr> })}</tbody></table>}
      </Load>
      <Confirm open={remove} onClose={() => setRemove(false)} danger title="Remove this webhook" action="Remove" run={async () => { await http.delete(path); await client.invalidateQueries({ queryKey: ['webhooks'] }); toast({ kind: 'ok', text: 'Webhook removed' }) }}>{w.url} is told nothing from now on. What was sent stays in the audit.</Confirm>
    </Panel>
  )
}

function AddHook({ open, onClose }: { open: boolean; onClose: () => void }) {
  const client = useQueryClient()
  const [url, setUrl] = useState('')
  const [secret, setSecret] = useState('')
  const [events, setEvents] = useState<Set<string>>(new Set(['alert.opened', 'alert.resolved']))
  const [touched, setTouched] = useState(false)
  const bad = URL.canParse(url) && /^https?:/.test(url) ? undefined : 'An address that starts with https:// or http://.'
  const save = useMutation({ mutationFn: () => http.post('/api/v1/webhooks', { body: { url, events: [...events], ...(secret ? { secret } : {}) } }), onSuccess: () => { void client.invalidateQueries({ queryKey: ['webhooks'] }); toast({ kind: 'ok', text: 'Webhook added' }); onClose() } })
  return (
    <Dialog open={open} onClose={onClose} title="Add a webhook">
      <form className="grid gap-3 mt-2" onSubmit={(e) => { e.preventDefault(); setTouched(true); if (!bad && events.size > 0) save.mutate() }}>
        <Field label="Address" help="It gets a POST with the event as JSON." error={touched ? bad : undefined}>{(p) => <input {...p} className="inp" placeholder="https://hooks.example.org/ml" value={url} autoFocus onBlur={() => setTouched(url !== '')} onChange={(e) => setUrl(e.target.value)} />}</Field>
        <Field label="Secret" help="Signs each request, so that the receiver can tell it is ours. Shown nowhere again.">{(p) => <input {...p} className="inp" type="password" autoComplete="new-password" value={secret} onChange={(e) => setSecret(e.target.value)} />}</Field>
        <fieldset><legend className="strong mb-1">Events</legend><div className="grid grid-cols-2 gap-1">{kinds.map((k) => <label key={k} className="flex items-center gap-2 text-sm"><input type="checkbox" checked={events.has(k)} onChange={(e) => { const next = new Set(events); if (e.target.checked) next.add(k); else next.delete(k); setEvents(next) }} /><span className="mono">{k}</span></label>)}</div>{events.size === 0 && <p className="text-bad text-sm mt-1">Choose at least one.</p>}</fieldset>
        <Code small prompt text={cli.addWebhook(url || 'https://hooks.example.org/ml', [...events])} />
        {save.error && <ErrorBox error={save.error} title="Not added" />}
        <div className="flex justify-end gap-2"><button type="button" className="btn" onClick={onClose}>Cancel</button><button type="submit" className="btn pri" disabled={save.isPending || events.size === 0}>Add webhook</button></div>
      </form>
    </Dialog>
  )
}
