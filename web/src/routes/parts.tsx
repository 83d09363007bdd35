import { Bell, GitBranch, Play, TriangleAlert, Undo2 } from 'lucide-react'
import { lazy, Suspense, useState, type ReactNode } from 'react'
import { BarChart } from '@/charts/BarChart'
import { Histogram, MiniHistogram, RefCurLegend } from '@/charts/Histogram'
import { LimitBar, MarginBar } from '@/charts/LimitBar'
import { Sparkline } from '@/charts/Sparkline'
import { Strip, StripLegend, type StripState } from '@/charts/Strip'
import { ApiError } from '@/lib/api/http'
import type { Sort } from '@/lib/url'
import { cli } from '@/lib/cli'
import { Code, CodeTabs, Id } from '@/ui/Code'
import { Checkbox, Field, Slider, Switch } from '@/ui/Controls'
import { DataTable, type Column } from '@/ui/DataTable'
import { BeforeAfter, Confirm } from '@/ui/Dialog'
import { Empty, Skeleton } from '@/ui/Empty'
import { ErrorBox } from '@/ui/ErrorBox'
import { JsonView } from '@/ui/JsonView'
import { Markdown } from '@/ui/Markdown'
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine } from '@/ui/Menu'
import { Page } from '@/ui/Page'
import { KeyFigures, KeyValues, Note, Panel } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { Pill, Status, Tag } from '@/ui/Status'
import { Time } from '@/ui/Time'
import { toast } from '@/ui/toasts'
import { TrafficSplit, type Lane } from '@/ui/TrafficSplit'

const TimeSeries = lazy(() => import('@/charts/TimeSeries').then((m) => ({ default: m.TimeSeries })))
const Dag = lazy(() => import('@/charts/Dag'))

/** A fixed sequence in [0, 1), so that this page looks the same each time. */
function sequence(seed: number): () => number {
  let s = seed
  return () => {
    s = (s * 16_807) % 2_147_483_647
    return s / 2_147_483_647
  }
}

const start = Date.UTC(2026, 10, 21, 8) / 1000
const times = Array.from({ length: 181 }, (_, i) => start + i * 20)
const wave = (seed: number, f: (i: number) => number, noise: number) => {
  const r = sequence(seed)
  return times.map((_, i) => f(i) + (r() + r() + r() - 1.5) * noise)
}
const champion = wave(5, () => 31, 1.6)
const canary = wave(9, (i) => 33 + (i > 128 ? 5 : 0), 2.4).map((v, i) => (i > 70 && i < 78 ? null : v))
const errors = wave(11, (i) => (i < 120 ? 0.06 : Math.min(2.4, 0.06 + (i - 120) * 0.14)), 0.12).map((v) => Math.max(0, v))
const bell = (m: number, s: number) => Array.from({ length: 28 }, (_, i) => Math.exp(-0.5 * ((i / 27 - m) / s) ** 2) * 1000)
const edges = Array.from({ length: 29 }, (_, i) => -10 + i * 1.5)
const strip: StripState[] = Array.from({ length: 30 }, (_, i) => (i > 27 ? 'none' : i > 24 ? 'breach' : i > 22 || i === 9 ? 'watch' : 'ok'))

interface Row {
  name: string
  mae: number | null
  rate: number
  curve: number[]
}
const rows: Row[] = Array.from({ length: 300 }, (_, i) => {
  const r = sequence(i + 3)
  return { name: `run-${i + 1}`, mae: i % 17 === 4 ? null : 38 + (i * 37 % 90) / 10, rate: 0.02 + (i % 9) / 100, curve: Array.from({ length: 20 }, (_, k) => Math.exp(-k / 5) + r() * 0.1) }
})
const columns: Column<Row>[] = [
  { id: 'name', header: 'Run', cell: (r) => <b>{r.name}</b>, value: (r) => r.name },
  { id: 'mae', header: 'val_mae', num: true, cell: (r) => r.mae?.toFixed(1), value: (r) => r.mae, width: 90 },
  { id: 'curve', header: 'Curve', cell: (r) => <Sparkline values={r.curve} />, width: 80 },
  { id: 'rate', header: 'learning_rate', num: true, cell: (r) => <span className="mono">{r.rate.toFixed(2)}</span>, value: (r) => r.rate, width: 110 },
]

/** Every part and state on one page: what a change of style touches is seen here first. */
export function Parts(): ReactNode {
  return (
    <Page title="Parts and states" verdict="Every part of this application in every state it has. A change of look is seen here first.">
      <div className="grid gap-3.5 cols:grid-cols-3">
        <div className="grid gap-3.5 content-start min-w-0"><Words /><Forms /><Series /></div>
        <div className="grid gap-3.5 content-start min-w-0"><Moves /><States /></div>
        <div className="grid gap-3.5 content-start min-w-0"><Texts /></div>
      </div>
      <div className="grid gap-3.5 mt-3.5 cols:grid-cols-2"><Charts /><Tables /></div>
    </Page>
  )
}

const Box = ({ title, children }: { title: string; children: ReactNode }) => <section className="panel"><h2 className="text-3 text-sm px-3.5 pt-2.5">{title}</h2><div className="px-3.5 py-3">{children}</div></section>
const Wrap = ({ children }: { children: ReactNode }) => <div className="flex flex-wrap gap-2 items-center">{children}</div>

function Words() {
  return (
    <Box title="Status: shape, word, colour">
      <Wrap>
        <Pill kind="ok">Healthy</Pill><Pill kind="warn">Watch</Pill><Pill kind="bad">Breach</Pill><Pill kind="info">Running</Pill><Pill kind="pause">Paused</Pill><Pill kind="idle">No data</Pill>
        <Tag look="accent">@champion</Tag><Tag>canary</Tag><Tag look="line">shadow</Tag>
        <Status kind="ok">OK</Status><Status kind="warn">Watch</Status><Status kind="bad">Breach</Status>
      </Wrap>
    </Box>
  )
}

function Forms() {
  const [step, setStep] = useState<'step' | 'time' | 'epoch'>('step')
  const [live, setLive] = useState(true)
  const [log, setLog] = useState(false)
  const [amount, setAmount] = useState(0.4)
  const [box, setBox] = useState<boolean | 'mixed'>('mixed')
  return (
    <>
      <Box title="Buttons and controls">
        <Wrap>
          <button type="button" className="btn pri">Apply change</button><button type="button" className="btn">Discard</button><button type="button" className="btn dgr"><Undo2 size={14} />Roll back</button><button type="button" className="btn dgr edge">Roll back to v12</button>
          <button type="button" className="btn ghost">More</button><button type="button" className="btn s">Small</button><button type="button" className="btn" disabled>Disabled</button>
          <Segmented label="Axis" value={step} onChange={setStep} options={[{ value: 'step', label: 'Step' }, { value: 'time', label: 'Time' }, { value: 'epoch', label: 'Epoch' }]} />
          <Switch checked={live} onChange={setLive}>Live</Switch><Switch checked={log} onChange={setLog}>Log scale</Switch>
          <Checkbox label="All rows" checked={box} onChange={() => setBox(box !== true)} />
          <span className="inline-flex items-center gap-2 w-40">Smooth <Slider label="Smoothing" value={amount} min={0} max={0.99} step={0.01} onChange={setAmount} /> {amount}</span>
          <Menu label="Example" trigger={<button type="button" className="btn">Menu</button>}>
            <MenuLabel>Columns</MenuLabel><MenuChoice checked onSelect={() => undefined}>val_mae</MenuChoice><MenuChoice checked={false} onSelect={() => undefined}>val_rmse</MenuChoice><MenuLine /><MenuItem icon={<Bell size={14} />} onSelect={() => undefined} hint="A">Make alert</MenuItem>
          </Menu>
        </Wrap>
      </Box>
      <Box title="Form">
        <div className="grid gap-2.5">
          <Field label="Endpoint name" help="Callers use /endpoints/fraud-scoring. It can't change later.">{(p) => <input {...p} className="inp" defaultValue="fraud-scoring" />}</Field>
          <Field label="Error limit" error="50 % is above the policy's 5 %. Choose a lower limit or change the policy.">{(p) => <input {...p} className="inp" defaultValue="50" />}</Field>
          <Code prompt small text={cli.deploy('models:/fraud@champion', 'fraud-scoring')} />
        </div>
      </Box>
    </>
  )
}

function Series() {
  return (
    <Box title="Series 1 to 8, reference and current">
      <div className="flex gap-1">{[1, 2, 3, 4, 5, 6, 7, 8].map((i) => <div key={i} className="flex-1 text-3 text-xs text-center"><div className="h-7 rounded" style={{ background: `var(--c${i})` }} />c{i}</div>)}</div>
      <div className="mt-2"><Histogram name="temperature" data={{ edges, reference: bell(0.55, 0.17), current: bell(0.36, 0.14) }} marks={[{ at: 12.4, text: '12.4 training', of: 'reference' }, { at: 5.2, text: '5.2 last 7 days', of: 'current' }]} /></div>
      <RefCurLegend />
    </Box>
  )
}

function Moves() {
  const [open, setOpen] = useState(false)
  const live: Lane[] = [{ version: '12', color: 'var(--c1)', weight: 75 }, { version: '13', color: 'var(--c2)', weight: 25 }]
  const [lanes, setLanes] = useState<Lane[]>([{ version: '12', color: 'var(--c1)', weight: 95 }, { version: '13', color: 'var(--c2)', weight: 5 }])
  return (
    <>
      <Box title="Traffic, a pending change, and its confirm">
        <TrafficSplit lanes={lanes} live={live} onChange={setLanes} />
        <p className="text-3 text-xs mt-1">thin bar: live now, 75 and 25 %</p>
        <div className="my-2.5"><Note tone="acc" icon={<GitBranch size={14} />}>Moves about <b>112 requests/s</b> from v13 to v12.</Note></div>
        <Wrap><button type="button" className="btn pri flex-1" onClick={() => setOpen(true)}>Apply: v13 25 % → {lanes[1]?.weight} %</button><button type="button" className="btn" onClick={() => setLanes(live)}>Discard</button></Wrap>
        <Confirm open={open} onClose={() => setOpen(false)} title="Roll back fraud-scoring to v12" action="Roll back to v12" danger reason={{ label: 'Reason', placeholder: 'device_age arrives as text' }}
          run={() => Promise.reject(new ApiError({ status: 409, title: 'Not changed', detail: 'v13 was retired 4 s ago.', hint: 'Reload the page to see what serves now.', requestId: '7f3a-91c2' }))}>
          <BeforeAfter rows={[{ name: 'v12 champion', before: '75 %', after: '100 %' }, { name: 'v13 canary', before: '25 %', after: '0 %' }]} />
          About 141 requests/s move within 1 s. The rollout of v13 ends; starting it again begins at 1 %.
        </Confirm>
      </Box>
      <Box title="Toasts">
        <Wrap>
          <button type="button" className="btn" onClick={() => toast({ kind: 'ok', text: 'Archived 5 runs', action: { label: 'Undo', run: () => toast({ kind: 'ok', text: '5 runs are back' }) } })}>Done, with undo</button>
          <button type="button" className="btn" onClick={() => toast({ kind: 'bad', text: 'Not changed: v13 was retired 4 s ago' })}>An error stays</button>
        </Wrap>
      </Box>
    </>
  )
}

function States() {
  return (
    <>
      <section className="panel"><Empty title="No runs yet" command="export MLFLOW_TRACKING_URI=http://localhost:5000" link={<a className="link" href="#runs">Log a run from a notebook</a>}>Point your MLflow code here and the first run appears by itself.</Empty></section>
      <section className="panel px-3.5 py-3"><ErrorBox error={new ApiError({ status: 503, title: "Can't read predictions for 14:00", detail: 'The segment is still being sealed; it takes up to 2 min. Nothing is lost. Older hours are shown.', requestId: '7f3a-91c2' })} onRetry={() => undefined} /></section>
      <section className="panel"><Skeleton /></section>
      <Box title="Notes in place">
        <div className="grid gap-2">
          <Note tone="acc" icon={<GitBranch size={14} />}>1 pending change on fraud-scoring.</Note><Note icon={<TriangleAlert size={14} />}>Labels are 2 days late; the error is estimated.</Note>
          <Note tone="bad" icon={<TriangleAlert size={14} />}>This version was built from data that has since been deleted.</Note><Note tone="ok" icon={<Play size={14} />}>Both runtimes gave the same answer on 1,024 rows.</Note>
        </div>
      </Box>
    </>
  )
}

function Texts() {
  return (
    <>
      <Box title="Code in languages, ids, times">
        <div className="grid gap-2.5">
          <CodeTabs tabs={[{ name: 'curl', text: "curl -s localhost:5000/endpoints/bike-demand/predict -d '{\"hour\": 8, \"temp\": 0.3}'" }, { name: 'Python', text: "import requests\nrequests.post(url, json={'hour': 8})" }, { name: 'CLI', text: cli.predict('bike-demand', '{"hour": 8}') }]} />
          <KeyValues items={[['Id', <Id key="i" id="8c5f0b2e9a7d4c1f" />], ['Started', <Time key="t" at={Date.now() - 11_000_000} />], ['Author', 'Ingrid Solberg'], ['Empty rows are left out', '']]} />
        </div>
      </Box>
      <Box title="JSON"><JsonView value={{ prediction: 214.7, model: 'bike-demand', version: 3, logged: true, inputs: { hour: 8, temp: null, tags: ['a', 'b'] } }} /></Box>
      <Box title="Markdown"><Markdown text={'## Model card\nPredicts **hourly** rentals. Trained on `bike@3`.\n\n- winter only\n- fails in summer, see [report](/models)\n\n| split | MAE |\n|---|---|\n| train | 33.5 |\n| April | 48.0 |'} /></Box>
      <Box title="Small charts">
        <div className="grid gap-3">
          <Strip name="Drift" cells={strip.map((state, i) => ({ state, label: `window ${i + 1}` }))} /><StripLegend />
          <Wrap><LimitBar value={0.31} limit={0.1} tone="bad" /><LimitBar value={0.13} limit={0.1} tone="warn" /><LimitBar value={0.04} limit={0.1} tone="ok" /><MarginBar margin={0.5} tone="ok" /><MarginBar margin={-0.2} tone="bad" /><MiniHistogram name="humidity" data={{ edges, reference: bell(0.55, 0.17), current: bell(0.66, 0.14) }} /><Sparkline values={errors} limit={0.5} dot="var(--bad-fill)" /></Wrap>
          <BarChart name="Importance" rows={[{ label: 'temperature', value: 0.34 }, { label: 'hour_of_day', value: 0.28 }, { label: 'humidity', value: 0.12 }]} />
          <Histogram name="season" height={96} data={{ labels: ['winter', 'spring', 'summer', 'autumn'], reference: [90, 4, 3, 3], current: [10, 60, 25, 5] }} />
        </div>
      </Box>
    </>
  )
}

function Charts() {
  const [range, setRange] = useState<[number, number]>()
  const common = { x: times, time: true, sync: 'parts', ...(range ? { xRange: range } : {}), onZoom: (a: number, b: number) => setRange([a, b]), onReset: () => setRange(undefined) }
  const marks = [{ x: times[120]!, label: 'v13 to 25 %' }, { x: times[156]!, label: 'halted', tone: 'bad' as const }]
  return (
    <div className="grid gap-3.5 content-start min-w-0">
      <Panel bare title="By version" right="drag to zoom, double click to go back">
        <div className="px-3.5 pb-2 grid gap-2">
          <Suspense fallback={<Skeleton rows={4} />}>
            <TimeSeries {...common} title="Latency p95" unit="ms" height={110} hideX series={[{ id: 'a', label: 'v12', color: 'var(--c1)', values: champion }, { id: 'b', label: 'v13', color: 'var(--c2)', values: canary, low: canary.map((v) => v && v - 3), high: canary.map((v) => v && v + 3) }]} limits={[{ value: 50, label: '50 ms' }]} events={marks} />
            <TimeSeries {...common} title="Errors" unit="% of requests" height={124} zero series={[{ id: 'e', label: 'v13', color: 'var(--c2)', values: errors }]} limits={[{ value: 0.5, label: '0.5 %', tone: 'bad' }]} events={marks.map((m) => ({ ...m, label: '' }))} />
            <TimeSeries title="Empty chart" time x={[]} series={[{ id: 'n', label: 'v12', color: 'var(--c1)', values: [] }]} height={84} xRange={[start, start + 3600]} empty="No requests between 02:00 and 03:00" />
          </Suspense>
        </div>
      </Panel>
      <Panel title="Graph" right="arrow keys walk the edges"><div className="h-56"><Suspense fallback={<Skeleton rows={4} />}><Graph /></Suspense></div></Panel>
      <KeyFigures items={[{ label: 'Requests', value: '562', unit: '/s', spark: <Sparkline values={champion} height={34} /> }, { label: 'p95', value: '33', unit: 'ms', context: 'limit 50 ms' }, { label: 'Errors', value: '0.63', unit: '%', bad: true, context: 'limit 0.5 %' }]} />
    </div>
  )
}

function Graph() {
  const [at, setAt] = useState<string | undefined>('train')
  return (
    <Dag name="nightly-retrain" selected={at} onSelect={setAt}
      nodes={[{ id: 'check', label: 'check-data', detail: '12 s', state: 'ok', stateWord: 'succeeded' }, { id: 'train', label: 'train', detail: 'running, 41 s', state: 'info', stateWord: 'running' }, { id: 'eval', label: 'evaluate', detail: 'waits', state: 'idle', stateWord: 'waiting' }, { id: 'report', label: 'report', detail: 'waits', state: 'idle', stateWord: 'waiting' }]}
      edges={[{ from: 'check', to: 'train', active: true }, { from: 'train', to: 'eval' }, { from: 'train', to: 'report' }]} />
  )
}

function Tables() {
  const [sort, setSort] = useState<Sort | undefined>({ id: 'mae', desc: false })
  const [selected, setSelected] = useState<Set<string>>(new Set(['run-3']))
  const [opened, setOpened] = useState<Set<string>>(new Set())
  const flip = (id: string) => setOpened(opened.has(id) ? new Set() : new Set([id]))
  return (
    <div className="grid gap-3.5 content-start min-w-0">
      <section className="panel flex flex-col relative" style={{ height: 360 }}>
        <div className="ph"><h2>300 rows, virtual</h2><div className="r"><kbd>J</kbd><kbd>K</kbd> move <kbd>X</kbd> select</div></div>
        <DataTable label="Example runs" columns={columns} rows={rows} rowKey={(r) => r.name} sort={sort} onSort={setSort} selected={selected} onSelect={setSelected} scroll fixed />
        {selected.size > 0 && <div className="float"><b>{selected.size} runs</b><span className="text-3 text-sm mr-2">selected</span><button type="button" className="btn pri s">Compare</button><button type="button" className="btn ghost s" onClick={() => setSelected(new Set())}>Clear</button></div>}
      </section>
      <Panel title="Rows that open"><DataTable label="Example features" quiet dense columns={columns} rows={rows.slice(0, 5)} rowKey={(r) => r.name} onOpen={(r) => flip(r.name)} opened={opened} detail={(r) => <Histogram name={r.name} data={{ edges, reference: bell(0.5, 0.2), current: bell(0.4, 0.2) }} />} /></Panel>
    </div>
  )
}
