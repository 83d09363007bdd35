// The names that this application uses for what the native API answers. The shapes are the server's own: schema.ts is generated from its
// routes (make docs). Times are RFC 3339 in UTC; pages show nothing where there is nothing.
import type * as api from './schema'

/**
 * A shape of the server with what its document leaves open: R says which words a text can be, and that a number which is not finite comes
 * as null; nobody relies on the fields in Maybe. A field that the server does not have, or a type that cannot be the server's, is an error.
 */
type Refine<T, R extends { [K in keyof R]: K extends keyof T ? Fits<R[K], NonNullable<T[K]>> : never }, Maybe extends keyof T = never> = Omit<T, keyof R | Maybe> & R & Partial<Pick<T, Maybe>>

type Fits<A, B> = [NonNullable<A>] extends [B] ? A : [B] extends [NonNullable<A>] ? A : NonNullable<A> extends object ? A : never

type AsItIs = Record<never, never>

/** Not finite is null. */
type Numbers = Record<string, number | null>

export interface List<T> {
  items: T[]
  next_page_token?: string
}

export type Session = api.AuthSession

export type Overview = Refine<api.AppOverview, AsItIs, 'endpoints_failing'>

export type ServerInfo = Refine<api.AppVersionInfo, AsItIs, 'platform' | 'store'>

export type Event = Refine<api.GovernanceEventView, {
  data: Record<string, unknown>
}, 'seq' | 'hash' | 'prev_hash'>

export type Job = Refine<api.JobsJob, AsItIs, 'max_attempts' | 'run_at' | 'created_at'>

// tracking

export type Experiment = Refine<api.TrackingExperimentView, {
  verdict?: ExperimentVerdict
}, 'lifecycle' | 'created_at' | 'updated_at' | 'tags' | 'runs_count'>

export type Outcome = 'supported' | 'refuted' | 'inconclusive'

export type ExperimentVerdict = Refine<api.TrackingVerdictView, {
  outcome: Outcome
}>

/** What a page of runs keeps under a name; `query` is the page's own. */
export type SavedView = Refine<api.TrackingSavedViewView, AsItIs, 'created_at'>

/** Distinct keys of an experiment's runs. */
export type RunKeys = api.TrackingKeysView

export type RunGroup = Refine<api.TrackingGroupView, {
  metrics: Record<string, { min?: number | null; max?: number | null; mean?: number | null; best?: number | null; last_best?: number | null; runs?: number }>
}>

export type LoggedModel = Refine<api.TrackingModelView, {
  metrics: Numbers
}, 'artifact_uri' | 'updated_at'>

/** The beginning of a file. */
export type FilePreview = Refine<api.TableFilePreview, {
  columns?: { name: string; type: string }[]
  rows?: (string | number | boolean | null)[][]
}>

export type RunStatus = 'RUNNING' | 'SCHEDULED' | 'FINISHED' | 'FAILED' | 'KILLED'

export type RunInput = Refine<api.TrackingInputView, {
  schema?: unknown
}, 'context' | 'source_type' | 'source'>

export type Run = Refine<api.TrackingFoundRun, {
  status: RunStatus
  metrics: Numbers
  inputs?: RunInput[]
  models?: { model_id: string; name: string }[]
  /** Of a search that asked for them: "min(metrics.loss)". */
  aggregates?: Numbers
}, 'artifact_uri' | 'user' | 'source'>

export type RunSearch = Refine<api.TrackingRunList, {
  items: Run[]
}, 'metric_keys' | 'param_keys'>

export type MetricHistory = Refine<api.TrackingHistoryView, {
  /** NaN and the infinities are words. */
  points: { step: number; time: string; value: number | string | null }[]
}>

/** One metric of one run among several. */
export type MetricSeries = Refine<api.TrackingSeriesView, {
  points: { step: number; time: string; value: number | string | null }[]
}, 'total'>

export type FileInfo = Refine<api.BlobFile, AsItIs, 'size'>

// registry

export type Model = Refine<api.RegistryModel, AsItIs, 'description' | 'tags'>

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

export type Column = Refine<api.DatasetColumn, AsItIs, 'nullable'>

export type Version = Refine<api.RegistryVersion, {
  status: 'READY' | 'PENDING' | 'FAILED'
  signature?: Signature | null
  metrics?: Numbers
  gates?: { gate: string; verdict: string; result_id: string }[]
}, 'stage' | 'description' | 'tags' | 'flavor' | 'flavors' | 'runtime' | 'size_bytes' | 'digest' | 'files_count' | 'created_by' | 'updated_at'>

export type ModelEvent = Refine<api.RegistryHistoryEntry, AsItIs, 'id'>

// dataset

export type Dataset = Refine<api.DatasetDataset, AsItIs, 'description' | 'created_at' | 'updated_at' | 'latest_version' | 'versions_count' | 'rows' | 'size_bytes' | 'contract'>

export type ProfileColumn = Refine<api.DatasetColumnProfile, {
  min?: number | string | null
  max?: number | string | null
  mean?: number | null
  std?: number | null
  /** p1 p5 p25 p50 p75 p95 p99. */
  quantiles?: Numbers
}, 'distinct'>

export type Violation = Refine<api.TableViolation, {
  expected?: unknown
  found?: unknown
}, 'count'>

export type DatasetVersion = Refine<api.DatasetVersion, {
  columns: Column[]
  profile?: { columns: ProfileColumn[] }
  contract?: { verdict: string; violations?: Violation[] } | null
}, 'description' | 'created_by' | 'size_bytes' | 'data_path' | 'format'>

// evaluation

export type GateRule = Refine<api.EvaluationRuleResult, {
  required?: number | null
  measured?: number | null
  baseline?: number | null
  margin?: number | null
  p_value?: number | null
}>

export type GateResult = Refine<api.EvaluationResult, {
  verdict: 'pass' | 'fail' | 'insufficient_data'
  rules: GateRule[]
}, 'dataset' | 'dataset_version' | 'metrics' | 'alias_set' | 'rows' | 'created_by' | 'seconds'>

// endpoints

export type Role = 'champion' | 'canary' | 'shadow'

export type Target = Refine<api.RoutingTarget, {
  role: Role
}>

export type EndpointVersion = Refine<api.ServingVersionStatus, {
  role?: Role
}, 'weight'>

export type Endpoint = Refine<api.ServingEndpoint, {
  spec: { generation: number; targets: Target[] }
  status: { state: 'ready' | 'loading' | 'degraded' | 'failed'; observed_generation?: number; message?: string; versions?: EndpointVersion[] }
  signature?: Signature | null
  sample_input?: unknown
}, 'created_by' | 'rollout_id' | 'model_uri'>

export type RouteChange = Refine<api.RoutingRoute, {
  targets: Target[]
}, 'actor' | 'mirror' | 'reason' | 'endpoint' | 'model'>

export type BucketStats = Refine<api.PredlogFigures, AsItIs, 'error_rate' | 'requests_per_s'>

export type EndpointStats = Refine<api.PredlogStats, {
  totals: { requests_per_s: number; p50_ms: number | null; p95_ms: number | null; p99_ms: number | null; error_rate: number | null; count: number }
  series: { time: string; versions: Record<string, BucketStats> }[]
  versions: { version: string; role: Role; weight: number; count: number; p50_ms: number | null; p95_ms: number | null; p99_ms: number | null; error_rate: number | null }[]
}>

export type Prediction = Refine<api.PredlogPrediction, {
  status: 'ok' | 'error'
}, 'event_time' | 'label' | 'request_id'>

// monitor

export type Verdict = 'ok' | 'watch' | 'breach' | 'no_data'
export type VerdictKind = 'drift' | 'performance' | 'quality' | 'service'
export const verdictKinds: readonly VerdictKind[] = ['quality', 'drift', 'performance', 'service']

export type MonitorFeature = Refine<api.MonitorMonitorFeature, {
  verdict: Verdict
}, 'type' | 'watch' | 'missing_share' | 'series'>

export type Monitor = Refine<api.MonitorMonitor, {
  baseline: { kind: 'dataset' | 'first_n' | 'none'; dataset?: string; dataset_version?: number; rows?: number; ready: boolean; note?: string }
  window: { by: 'time' | 'count'; size: number; unit?: api.MonitorWindowSpec['unit'] }
  state: Record<VerdictKind, Verdict>
  /** Why each state is what it is, in words. */
  reasons?: Partial<Record<VerdictKind, string>>
  /** Event time at which each state began. */
  since?: Partial<Record<VerdictKind, string>>
  features: MonitorFeature[]
  prediction?: MonitorFeature
}, 'model' | 'version' | 'task' | 'thresholds' | 'last_window' | 'verdict_text' | 'watermark' | 'pending' | 'late' | 'updated_at' | 'created_at' | 'label_column'>

export type Distribution = Refine<api.MonitorDistribution, {
  mean?: number | null
}, 'count'>

export type WindowFeature = Refine<api.MonitorFeature, {
  verdict: Verdict
  /** Values that the reference does not know. */
  unseen_share?: number | null
  out_of_range_share?: number | null
  quality?: Verdict
  reference?: Distribution
  current?: Distribution
}, 'type' | 'p_value' | 'watch' | 'count' | 'missing_share'>

export type Performance = Refine<api.MonitorScores, {
  rmse?: number | null
  /** Mean of prediction − label. */
  bias?: number | null
  accuracy?: number | null
  f1?: number | null
  log_loss?: number | null
}, 'baseline' | 'threshold' | 'watch_threshold' | 'labelled_percent'>

export type WindowSummary = Refine<api.MonitorWindowSummary, {
  verdicts: Record<VerdictKind, Verdict>
  reasons?: Partial<Record<VerdictKind, string>>
  performance?: Performance | null
  versions?: Record<string, { count: number; errors: number; labelled: number; value: number | null; latency?: { p95: number | null } }>
  drifted?: { name: string; test: string; statistic: number; threshold: number; verdict: Verdict }[]
}, 'errors' | 'latency' | 'number' | 'version' | 'late' | 'reason' | 'buckets'>

export type MonitorWindow = Refine<api.MonitorWindow, {
  verdicts: Record<VerdictKind, Verdict>
  reasons?: Partial<Record<VerdictKind, string>>
  performance?: Performance | null
  versions?: Record<string, { count: number; errors: number; labelled: number; value: number | null; latency?: { p95: number | null } }>
  drifted?: { name: string; test: string; statistic: number; threshold: number; verdict: Verdict }[]
  features: WindowFeature[]
  prediction?: WindowFeature
}, 'errors' | 'latency' | 'number' | 'version' | 'late' | 'reason' | 'buckets'>

export type FeatureHistory = Refine<api.MonitorFeatureHistory, {
  windows: { id: string; from: string; to: string; statistic: number | null; threshold: number; verdict: Verdict; missing_share?: number | null }[]
  reference?: Distribution
  current?: Distribution
}, 'test' | 'type'>

// alert

export type Alert = Refine<api.AlertAlert, {
  features?: { name: string; statistic: number; threshold: number }[]
}, 'subject' | 'reason' | 'last_at' | 'count'>

export type Webhook = Refine<api.AlertWebhook, AsItIs, 'created_at' | 'created_by'>

export type Delivery = Refine<api.AlertDelivery, AsItIs, 'at' | 'event' | 'webhook_id'>

// pipeline

export type PipelineStep = Refine<api.PipelineStep, {
  state: 'waiting' | 'running' | 'succeeded' | 'failed' | 'skipped' | 'cancelled' | 'lost'
  exit_code?: number | null
}, 'needs' | 'attempt'>

export type PipelineRun = Refine<api.PipelineRun, {
  state: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled'
  steps?: PipelineStep[]
}, 'trigger' | 'params' | 'outputs' | 'digest' | 'created_by' | 'created_at'>

export type Pipeline = Refine<api.PipelinePipeline, {
  params?: Record<string, { default?: string; description?: string; required?: boolean }>
  last_run?: { id: string; state: PipelineRun['state']; started_at?: string; ended_at?: string } | null
}, 'spec' | 'digest' | 'created_at' | 'updated_at' | 'steps' | 'updated_by'>

// lifecycle

export type RolloutCheck = Refine<api.LifecycleCheck, {
  margin?: number | null
}, 'baseline' | 'samples' | 'note'>

export type RolloutStep = Refine<api.LifecycleStep, {
  checks?: RolloutCheck[]
}, 'samples' | 'labelled'>

export type Rollout = Refine<api.LifecycleRollout, {
  steps: RolloutStep[]
}, 'spec' | 'conditions' | 'reason' | 'started_by' | 'generation' | 'observed_generation'>

export type Retraining = Refine<api.LifecycleRetraining, {
  state: string
}, 'reason' | 'pipeline' | 'started_by'>

export type Policy = Refine<api.LifecyclePolicy, AsItIs, 'pipeline' | 'on' | 'cooldown_hours' | 'rollout' | 'updated_at'>

// governance

export type LineageNode = Refine<api.GovernanceNode, {
  meta?: Record<string, unknown>
}, 'at'>

export type LineageEdge = Refine<api.GovernanceEdge, AsItIs, 'at' | 'actor'>

/** One line of the answer to "where does this prediction come from". */
export type Fact = api.GovernanceFact

export type PredictionLineage = Refine<api.AppPredictionLineage, {
  facts: Fact[]
}, 'prediction'>

export type Lineage = Refine<api.GovernanceGraph, {
  nodes: LineageNode[]
  edges: LineageEdge[]
}, 'truncated'>
