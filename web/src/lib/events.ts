// Events in words, for the home page and the audit list.
import type { Event } from './api/types'
import { pct, shortId } from './format'
import { href, pageOf } from './href'

export interface Told {
  /** The thing it is about. */
  subject: string
  /** What happened to it, without the thing. */
  what: string
  /** Where the thing is shown. */
  to?: string
}

function text(v: unknown): string {
  return typeof v === 'string' || typeof v === 'number' ? String(v) : ''
}

/** The sentence of an event. Types that are not known are told by their own words. */
export function tell(e: Event): Told {
  const d = e.data ?? {}
  const v = (key: string) => text(d[key])
  const version = v('version') && `v${v('version')}`
  const why = v('reason') ? `: ${v('reason')}` : ''
  const at = (kind: string, id: string, subject: string, what: string): Told => {
    const to = pageOf(kind, id)
    return to ? { subject, what, to } : { subject, what }
  }
  const endpoint = (what: string) => at('endpoint', v('endpoint'), v('endpoint'), what)
  switch (e.type) {
    case 'tracking.experiment.created': return at('experiment', v('experiment_id'), v('name'), 'experiment created')
    case 'tracking.run.created': return at('run', v('run_id'), v('name') || 'a run', 'started')
    case 'tracking.run.ended': return at('run', v('run_id'), v('name') || `run ${shortId(v('run_id'))}`, `ended, ${v('status').toLowerCase()}`)
    case 'tracking.run.inputs_logged': return at('run', v('run_id'), `run ${shortId(v('run_id'))}`, 'logged its inputs')
    case 'tracking.model.logged': return at('run', v('run_id'), v('name') || 'a model', 'logged by a run')
    case 'tracking.experiment.edited': return at('experiment', v('experiment_id'), `experiment ${v('experiment_id')}`, `${fields(d.fields)} edited`)
    case 'tracking.experiment.concluded': return at('experiment', v('experiment_id'), `experiment ${v('experiment_id')}`, v('outcome') === 'open' ? 'opened again' : `concluded, ${v('outcome')}`)
    case 'tracking.run.edited': return at('run', v('run_id'), `run ${shortId(v('run_id'))}`, `${fields(d.fields)} edited`)
    case 'tracking.view.saved': return at('experiment', v('experiment_id'), `view ${v('name')}`, 'saved')
    case 'tracking.view.deleted': return at('experiment', v('experiment_id'), `view ${v('name')}`, 'deleted')
    case 'trace.deleted':
    case 'trace.restored': return { ...at('experiment', v('experiment_id'), Number(v('traces')) === 1 ? 'A trace' : `${v('traces')} traces`, e.type === 'trace.deleted' ? 'moved to the trash' : 'brought back'), to: href.traces(v('experiment_id')) }
    case 'trash.purge.done': return { subject: `${v('count')} ${v('count') === '1' ? 'thing' : 'things'}`, what: 'removed from the trash for good', to: href.trash() }
    case 'trash.contents.swept': return { subject: `${v('removed')} ${v('removed') === '1' ? 'content' : 'contents'}`, what: 'removed, nothing referred to them', to: href.trash() }
    case 'registry.model.created': return at('model', v('model'), v('model'), 'registered')
    case 'registry.version.created': return at('version', `${v('model')}/${v('version')}`, `${v('model')} ${version}`, 'registered')
    case 'registry.alias.set': return at('version', `${v('model')}/${v('version')}`, `${v('model')} ${version}`, `became @${v('alias')}${v('previous') ? ` instead of v${v('previous')}` : ''}`)
    case 'registry.alias.deleted': return at('model', v('model'), v('model'), `lost the alias @${v('alias')}`)
    case 'dataset.version.created': return at('dataset_version', `${v('dataset')}/${v('version')}`, v('dataset'), `got version ${v('version')}`)
    case 'dataset.version.refused': return at('dataset', v('dataset'), v('dataset'), 'a version was refused by the contract')
    case 'evaluation.gate.passed': return at('version', `${v('model')}/${v('version')}`, `${v('model')} ${version}`, `passed the gate ${v('gate')}`)
    case 'evaluation.gate.failed': return at('version', `${v('model')}/${v('version')}`, `${v('model')} ${version}`, `failed the gate ${v('gate')}`)
    case 'serving.endpoint.created': return endpoint(`created, serving ${v('model')} ${version}`)
    case 'serving.endpoint.deleted': return { subject: v('endpoint'), what: 'deleted' }
    case 'serving.version.loaded': return endpoint(`loaded ${version}${v('runtime') ? ` (${v('runtime')})` : ''}`)
    case 'serving.version.failed': return endpoint(`could not load ${version}`)
    case 'routing.route.changed': return endpoint(`traffic ${targets(d.targets)}${why}`)
    case 'monitor.verdict.changed': return at('monitor', v('endpoint'), v('endpoint'), `${v('kind')} went from ${words(v('previous'))} to ${words(v('verdict'))}`)
    case 'alert.opened': return at('alert', v('alert_id'), v('title') || v('endpoint'), 'alert opened')
    case 'alert.acknowledged': return at('alert', v('alert_id'), v('title') || v('endpoint'), 'alert acknowledged')
    case 'alert.resolved': return at('alert', v('alert_id'), v('title') || v('endpoint'), 'alert resolved')
    case 'pipeline.run.started': return at('pipeline', v('pipeline'), v('pipeline'), 'pipeline run started')
    case 'pipeline.run.ended': return at('pipeline', v('pipeline'), v('pipeline'), `pipeline run ${v('state')}`)
    case 'pipeline.step.started': return at('pipeline', v('pipeline'), v('pipeline'), `step ${v('step')} started`)
    case 'pipeline.step.ended': return at('pipeline', v('pipeline'), v('pipeline'), `step ${v('step')} ${v('state')}`)
    case 'lifecycle.rollout.started': return endpoint(`rollout of ${version} started`)
    case 'lifecycle.rollout.step_judged': return endpoint(`${version} judged at ${pct(Number(d.weight) / 100, 0)}: ${words(v('verdict'))}`)
    case 'lifecycle.rollout.promoted': return endpoint(`${version} promoted`)
    case 'lifecycle.rollout.rolled_back': return endpoint(`${version} rolled back${why}`)
    case 'lifecycle.rollout.halted': return endpoint(`rollout of ${version} halted${why}`)
    case 'lifecycle.retraining.started': return endpoint('retraining started')
    case 'lifecycle.retraining.ended': return endpoint(`retraining ended, ${words(v('outcome'))}`)
    case 'tracking.run.deleted':
    case 'tracking.run.restored': return at('run', v('run_id'), `run ${shortId(v('run_id'))}`, trashed(e.type))
    case 'tracking.run.purged': return { subject: `run ${shortId(v('run_id'))}`, what: trashed(e.type) }
    case 'tracking.model.deleted':
    case 'tracking.model.restored': return { ...at('run', v('run_id'), v('name') || 'a model', `logged by a run, ${trashed(e.type)}`) }
    case 'tracking.experiment.deleted':
    case 'tracking.experiment.restored': return at('experiment', v('experiment_id'), `experiment ${v('experiment_id')}`, trashed(e.type))
    case 'tracking.experiment.purged': return { subject: `experiment ${v('experiment_id')}`, what: trashed(e.type) }
    case 'registry.model.deleted':
    case 'registry.model.purged': return { subject: v('model') || (e.resource?.id ?? ''), what: trashed(e.type), to: href.trash() }
    case 'registry.model.restored': return at('model', v('model'), v('model'), trashed(e.type))
    case 'registry.version.deleted':
    case 'registry.version.purged': return { ...at('model', v('model'), `${v('model')} ${version}`, trashed(e.type)) }
    case 'registry.version.restored': return at('version', `${v('model')}/${v('version')}`, `${v('model')} ${version}`, trashed(e.type))
    default: return at(e.resource?.kind ?? '', e.resource?.id ?? '', short(e.resource), words(e.type.split('.').slice(1).join(' ')))
  }
}

function trashed(type: string): string {
  if (type.endsWith('.deleted')) return 'moved to the trash'
  return type.endsWith('.restored') ? 'brought back' : 'removed for good'
}

/** Ids that people do not choose are told by their end. */
function short(resource: Event['resource']): string {
  const id = resource?.id ?? ''
  return /^(m-)?[0-9a-f]{32}$|^[0-9a-f]{8}-/.test(id) ? `${words(resource?.kind ?? '')} ${shortId(id.replace(/^m-/, ''))}` : id
}

/** "name, description" of what an event lists. */
function fields(value: unknown): string {
  return Array.isArray(value) ? value.map((f) => words(text(f))).join(', ') : ''
}

export function words(value: string): string {
  return value.replaceAll('_', ' ')
}

function targets(value: unknown): string {
  if (!Array.isArray(value)) return 'changed'
  return value.map((t: Record<string, unknown>) => `v${text(t.version)} ${text(t.weight)} %`).join(', ')
}
