// What the native API answers, as this application uses it. Times are RFC 3339 in UTC.
// Fields the server may leave out are optional; pages show nothing where there is nothing.

export interface List<T> {
  items: T[]
  next_page_token?: string
}

export interface Session {
  actor?: { type: string; id: string } | null
  authentication: 'none' | 'token'
}

export interface Overview {
  endpoints: number
  endpoints_failing?: number
  alerts_open: number
  runs_running: number
  pipelines_running: number
  monitors_breach: number
}

export interface ServerInfo {
  version: string
  commit: string
  go: string
  started_at: string
}

export interface Event {
  id: string
  seq?: number
  type: string
  time: string
  actor: string
  resource: { kind: string; id: string }
  data: Record<string, unknown>
  hash?: string
}

export interface Job {
  id: string
  kind: string
  group?: string
  key?: string
  state: string
  attempt: number
  max_attempts?: number
  run_at?: string
  created_at?: string
  finished_at?: string
  error?: string
  payload?: unknown
}

// tracking

export interface Experiment {
  id: string
  name: string
  lifecycle?: string
  created_at?: string
  updated_at?: string
  tags?: Record<string, string>
  runs_count?: number
  runs_running?: number
  last_run_at?: string
  description?: string
  hypothesis?: string
  success_criteria?: string
  verdict?: ExperimentVerdict
  /** By metric: min or max, where it was declared. */
  best?: Record<string, string>
}

export type Outcome = 'supported' | 'refuted' | 'inconclusive'

export interface ExperimentVerdict {
  outcome: Outcome
  summary?: string
  by?: string
  at?: string
}

/** What a page of runs keeps under a name; `query` is the page's own. */
export interface SavedView {
  id: string
  name: string
  query: Record<string, unknown>
  by?: string
  updated_at: string
}

/** Distinct keys of an experiment's runs. */
export interface RunKeys {
  metrics: string[]
  params: string[]
  tags: string[]
}

export interface RunGroup {
  keys: Record<string, string | null>
  runs: number
  metrics: Record<string, { min?: number | null; max?: number | null; mean?: number | null; best?: number | null; last_best?: number | null; runs?: number }>
}

export interface LoggedModel {
  id: string
  experiment_id: string
  name: string
  type?: string
  status: string
  run_id?: string
  created_at: string
  metrics: Record<string, number | null>
  params: Record<string, string>
  tags: Record<string, string>
}

/** The beginning of a file. */
export interface FilePreview {
  kind: 'table' | 'text' | 'binary'
  path: string
  size: number
  truncated: boolean
  text?: string
  columns?: { name: string; type: string }[]
  rows?: (string | number | boolean | null)[][]
  total_rows?: number
  skipped?: string[]
  note?: string
}

export type RunStatus = 'RUNNING' | 'SCHEDULED' | 'FINISHED' | 'FAILED' | 'KILLED'

export interface RunInput {
  name: string
  digest: string
  context?: string
  source_type?: string
  source?: string
  schema?: unknown
}

export interface Run {
  id: string
  experiment_id: string
  name: string
  status: RunStatus
  lifecycle: string
  start_time: string
  end_time?: string
  duration_s?: number
  metrics: Record<string, number | null>
  params: Record<string, string>
  tags: Record<string, string>
  inputs?: RunInput[]
  models?: { model_id: string; name: string }[]
  artifact_uri?: string
  user?: string
  source?: string
  parent_id?: string
  commit?: string
  description?: string
  /** Of a search that asked for them: "min(metrics.loss)". */
  aggregates?: Record<string, number | null>
}

export interface RunSearch extends List<Run> {
  metric_keys?: string[]
  param_keys?: string[]
  /** All that the filter finds, when it was asked for. */
  total?: number
}

export interface MetricHistory {
  key: string
  /** NaN and the infinities are words. */
  points: { step: number; time: string; value: number | string | null }[]
}

/** One metric of one run among several. */
export interface MetricSeries {
  run_id: string
  key: string
  points: { step: number; time: string; value: number | string | null }[]
  /** Points before downsampling. */
  total?: number
}

export interface FileInfo {
  path: string
  digest?: string
  is_dir?: boolean
  size?: number
}

// registry

export interface Model {
  name: string
  description?: string
  tags?: Record<string, string>
  created_at: string
  updated_at: string
  latest_version?: string
  aliases: Record<string, string>
  versions_count: number
}

/** Of a model's signature; a tensor and an unnamed output have no name. */
export interface SignatureColumn {
  name?: string
  type: string
  required?: boolean
  shape?: number[]
}

export interface Signature {
  inputs?: SignatureColumn[]
  outputs?: SignatureColumn[]
}

export interface Column {
  name: string
  type: string
  required?: boolean
  nullable?: boolean
}

export interface Version {
  model: string
  version: string
  status: 'READY' | 'PENDING' | 'FAILED'
  /** Of MLflow's older stages; None when it was never set. */
  stage?: string
  status_message?: string
  run_id?: string
  model_id?: string
  run_link?: string
  source: string
  description?: string
  tags?: Record<string, string>
  aliases: string[]
  flavor?: string
  flavors?: string[]
  runtime?: string
  signature?: Signature | null
  size_bytes?: number
  digest?: string
  requirements?: string[]
  python_version?: string
  mlflow_version?: string
  files_count?: number
  created_at: string
  created_by?: string
  metrics?: Record<string, number | null>
  gates?: { gate: string; verdict: string; result_id: string }[]
}

export interface ModelEvent {
  at: string
  actor: string
  what: string
  alias?: string
  version?: string
  previous?: string
  reason?: string
}

// dataset

export interface Dataset {
  name: string
  description?: string
  created_at?: string
  updated_at?: string
  latest_version?: number
  versions_count?: number
  rows?: number
  columns_count?: number
  size_bytes?: number
  contract?: string
}

export interface ProfileColumn {
  name: string
  type: string
  count: number
  missing: number
  distinct?: number
  min?: number | string | null
  max?: number | string | null
  mean?: number | null
  std?: number | null
  /** p1 p5 p25 p50 p75 p95 p99. */
  quantiles?: Record<string, number | null>
  histogram?: { edges: number[]; counts: number[] } | null
  top?: { value: unknown; count: number }[] | null
}

export interface Violation {
  column?: string
  rule: string
  expected?: unknown
  found?: unknown
  /** Rows that break the rule; 0 when it is not about rows. */
  count?: number
}

export interface DatasetVersion {
  dataset: string
  version: number
  digest: string
  rows: number
  columns: Column[]
  profile?: { columns: ProfileColumn[] }
  contract?: { verdict: string; violations?: Violation[] } | null
  source?: string
  target?: string
  time_column?: string
  description?: string
  created_at: string
  created_by?: string
  size_bytes?: number
}

// evaluation

export interface GateRule {
  name: string
  metric?: string
  /** How measured relates to required: <= or >=. */
  op?: string
  required?: number | null
  measured?: number | null
  baseline?: number | null
  against?: string
  margin?: number | null
  p_value?: number | null
  /** Measured minus baseline, with its 95 % interval of paired differences. */
  difference?: { value: number; low: number; high: number; rows: number }
  verdict: string
  note?: string
}

export interface GateResult {
  id: string
  gate: string
  model: string
  version: string
  dataset?: string
  dataset_version?: number
  verdict: 'pass' | 'fail' | 'insufficient_data'
  rules: GateRule[]
  note?: string
  metrics?: Record<string, number>
  /** By metric: min or max is its better end. */
  best?: Record<string, string>
  alias_on_pass?: string
  alias_set?: boolean
  rows?: number
  created_at: string
  created_by?: string
  seconds?: number
}

// endpoints

export type Role = 'champion' | 'canary' | 'shadow'

export interface Target {
  version: string
  weight: number
  role: Role
}

export interface EndpointVersion {
  version: string
  state: string
  runtime?: string
  engine?: string
  role?: Role
  weight?: number
  loaded_at?: string
  error?: string
  memory_bytes?: number
  load_seconds?: number
  notes?: string[]
}

export interface Endpoint {
  name: string
  model: string
  spec: { generation: number; targets: Target[] }
  status: { state: 'ready' | 'loading' | 'degraded' | 'failed'; observed_generation?: number; message?: string; versions?: EndpointVersion[] }
  signature?: Signature | null
  sample_input?: unknown
  created_at: string
  created_by?: string
  rollout_id?: string
}

export interface RouteChange {
  generation: number
  at: string
  actor?: string
  targets: Target[]
  /** The other targets score each answered row too. */
  mirror?: boolean
  reason?: string
}

export interface BucketStats {
  count: number
  errors: number
  p50_ms: number | null
  p95_ms: number | null
  p99_ms: number | null
}

export interface EndpointStats {
  from: string
  to: string
  bucket_s: number
  totals: { requests_per_s: number; p50_ms: number | null; p95_ms: number | null; p99_ms: number | null; error_rate: number | null; count: number }
  series: { time: string; versions: Record<string, BucketStats> }[]
  versions: { version: string; role: Role; weight: number; count: number; p50_ms: number | null; p95_ms: number | null; p99_ms: number | null; error_rate: number | null }[]
}

export interface Prediction {
  id: string
  endpoint: string
  model: string
  version: string
  role: string
  time: string
  event_time?: string
  key?: string
  inputs: Record<string, unknown>
  output: unknown
  latency_ms: number
  status: 'ok' | 'error'
  error?: string
  label?: unknown
  label_time?: string
  label_event_time?: string
  logged: boolean
}

// monitor

export type Verdict = 'ok' | 'watch' | 'breach' | 'no_data'
export type VerdictKind = 'drift' | 'performance' | 'quality' | 'service'
export const verdictKinds: readonly VerdictKind[] = ['quality', 'drift', 'performance', 'service']

export interface MonitorFeature {
  name: string
  type?: string
  test: string
  statistic: number | null
  /** From where it is a breach. */
  threshold: number
  watch?: number
  verdict: Verdict
  missing_share?: number | null
  /** Statistics of the last windows, the oldest first. */
  series?: (number | null)[]
}

export interface Monitor {
  endpoint: string
  model?: string
  /** In charge. */
  version?: string
  task?: string
  baseline: { kind: 'dataset' | 'first_n' | 'none'; dataset?: string; dataset_version?: number; rows?: number; ready: boolean; note?: string }
  window: { by: 'time' | 'count'; size: number; unit?: string }
  thresholds?: Record<string, unknown>
  state: Record<VerdictKind, Verdict>
  /** Why each state is what it is, in words. */
  reasons?: Partial<Record<VerdictKind, string>>
  /** Event time at which each state began. */
  since?: Partial<Record<VerdictKind, string>>
  last_window?: string
  verdict_text?: string
  features: MonitorFeature[]
  prediction?: MonitorFeature
  /** Event time of the newest record that was taken in. */
  watermark?: string | null
  /** Entries of the log that were not yet taken in, counted up to 1000. */
  pending?: number
  late?: number
  updated_at?: string
}

export interface Distribution {
  edges?: number[]
  labels?: string[]
  shares: number[]
  mean?: number | null
  missing?: number
}

export interface WindowFeature {
  name: string
  type?: string
  test: string
  statistic: number | null
  p_value?: number | null
  threshold: number
  watch?: number
  verdict: Verdict
  count?: number
  missing_share?: number | null
  /** Values that the reference does not know. */
  unseen_share?: number | null
  out_of_range_share?: number | null
  quality?: Verdict
  reference?: Distribution
  current?: Distribution
}

export interface Performance {
  labelled: number
  metric: string
  value: number | null
  baseline?: number | null
  baseline_from?: string
  /** Of a breach. */
  threshold?: number | null
  watch_threshold?: number | null
  rmse?: number | null
  /** Mean of prediction − label. */
  bias?: number | null
  accuracy?: number | null
  f1?: number | null
  log_loss?: number | null
  labelled_percent?: number
}

export interface WindowSummary {
  id: string
  from: string
  to: string
  count: number
  errors?: number
  latency?: { p50: number | null; p95: number | null; p99: number | null }
  verdicts: Record<VerdictKind, Verdict>
  reasons?: Partial<Record<VerdictKind, string>>
  performance?: Performance | null
  number?: number
  /** In charge when it was judged. */
  version?: string
  versions?: Record<string, { count: number; errors: number; labelled: number; value: number | null; latency?: { p95: number | null } }>
  drifted?: { name: string; test: string; statistic: number; threshold: number; verdict: Verdict }[]
  late?: number
  reason?: string
}

export interface MonitorWindow extends WindowSummary {
  features: WindowFeature[]
  prediction?: WindowFeature
}

export interface FeatureHistory {
  name: string
  windows: { id: string; from: string; to: string; statistic: number | null; threshold: number; verdict: Verdict; missing_share?: number | null }[]
  reference?: Distribution
  current?: Distribution
}

// alert

export interface Alert {
  id: string
  kind: string
  severity: 'page' | 'ticket' | 'info'
  state: 'open' | 'acknowledged' | 'resolved'
  subject?: string
  endpoint?: string
  title: string
  reason?: string
  features?: { name: string; statistic: number; threshold: number }[]
  window_id?: string
  event_time?: string
  opened_at: string
  acknowledged_at?: string
  acknowledged_by?: string
  note?: string
  last_at?: string
  resolved_by?: string
  resolved_at?: string
  resolved_reason?: string
  count?: number
  started?: { retraining_id?: string } | null
}

export interface Webhook {
  id: string
  url: string
  events: string[]
  /** Only in the answer to its creation, and only when the server made it. */
  secret?: string
  created_at?: string
}

export interface Delivery {
  id: string
  type: string
  state: 'pending' | 'delivered' | 'failed'
  /** HTTP status of the last attempt. */
  status?: number
  attempt: number
  error?: string
  milliseconds?: number
  created_at: string
  at?: string
}

// pipeline

export interface PipelineStep {
  name: string
  needs?: string[]
  command?: string[]
  script?: string
  state: 'waiting' | 'running' | 'succeeded' | 'failed' | 'skipped' | 'cancelled' | 'lost'
  attempt?: number
  started_at?: string
  ended_at?: string
  exit_code?: number | null
  error?: string
  run_id?: string
  max_rss_bytes?: number
  cpu_s?: number
}

export interface PipelineRun {
  id: string
  pipeline: string
  state: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled'
  trigger?: { kind: string; ref?: string }
  params?: Record<string, string>
  steps?: PipelineStep[]
  outputs?: Record<string, string>
  digest?: string
  /** What it does now, such as making the environment. */
  message?: string
  created_by?: string
  created_at?: string
  started_at?: string
  ended_at?: string
  error?: string
}

export interface Pipeline {
  name: string
  description?: string
  /** The definition as it was written, YAML. */
  spec?: string
  params?: Record<string, { default?: string; description?: string; required?: boolean }>
  digest?: string
  schedule?: string
  next_fire?: string
  created_at?: string
  updated_at?: string
  last_run?: { id: string; state: PipelineRun['state']; started_at?: string; ended_at?: string } | null
}

// lifecycle

export interface RolloutCheck {
  /** error_rate, latency_p95 or labelled_error. */
  name: string
  required: number
  measured: number
  baseline?: number
  margin?: number | null
  samples?: number
  verdict: 'ok' | 'fail' | 'inconclusive' | 'not_enough_data'
  note?: string
}

export interface RolloutStep {
  weight: number
  state: 'waiting' | 'running' | 'passed' | 'failed' | 'inconclusive'
  started_at?: string
  ended_at?: string
  samples?: number
  labelled?: number
  checks?: RolloutCheck[]
  verdict?: string
}

export interface Rollout {
  id: string
  endpoint: string
  model: string
  version: string
  champion: string
  state: 'running' | 'promoted' | 'rolled_back' | 'halted' | 'aborted'
  steps: RolloutStep[]
  spec?: { min_samples?: number; min_labelled?: number }
  conditions?: { type: string; status: boolean; message: string; since: string }[]
  retraining_id?: string
  reason?: string
  started_by?: string
  started_at: string
  ended_at?: string
}

export interface Retraining {
  id: string
  endpoint: string
  alert_id?: string
  state: string
  pipeline_run_id?: string
  challenger?: string
  gate_result_id?: string
  rollout_id?: string
  outcome?: string
  reason?: string
  started_at: string
  ended_at?: string
}

export interface Policy {
  pipeline?: string
  on?: string[]
  cooldown_hours?: number
  gate?: unknown
  rollout?: { steps?: number[]; min_samples?: number; checks?: Record<string, number>; on_inconclusive?: string }
}

// governance

export interface LineageNode {
  id: string
  kind: string
  label: string
  meta?: Record<string, unknown>
}

export interface LineageEdge {
  from: string
  to: string
  relation: string
  at?: string
  actor?: string
  meta?: Record<string, string>
}

/** One line of the answer to "where does this prediction come from". */
export interface Fact {
  what: string
  value: string
  node?: string
  at: string
  actor?: string
  note?: string
}

export interface PredictionLineage {
  facts: Fact[]
}

export interface Lineage {
  nodes: LineageNode[]
  edges: LineageEdge[]
  truncated?: boolean
}
