// How to do a run again, as far as it told: code, environment, data and parameters, as commands to copy.
import type { Run } from '@/lib/api/types'
import { quoted } from '@/lib/cli'
import { datasetOf } from '@/lib/href'

export interface Step {
  what: string
  commands: string[]
}

// A text that begins with a dash would be an option of the command it stands in, so it is none of ours.
const tag = (r: Run, key: string) => (r.tags[key] && !r.tags[key].startsWith('-') ? r.tags[key] : undefined)
const commitOf = (r: Run) => [r.commit, tag(r, 'mlflow.source.git.commit')].find((c) => c && /^[0-9a-f]{4,64}$/i.test(c))

/** A repository's folder after a clone. */
function folder(url: string): string {
  return url.replace(/\/+$/, '').split(/[/:]/).at(-1)?.replace(/\.git$/, '') || 'code'
}

/** The address people clone, without a user's name or password in it. */
export function safeRepository(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]*@/, '$1')
}

/** Values that a command line takes; a long one is named by its length, for it was no option. */
function options(r: Run, flag: string): string {
  return Object.entries(r.params).filter(([, v]) => v !== '' && v !== 'None' && v.length <= 80 && !v.includes('\n')).slice(0, 20).map(([k, v]) => `${flag} ${quoted(`${k}=${v}`)}`).join(' ')
}

export interface Known {
  /** Where the tracking server answers. */
  server: string
  /** The address of a file that lists the packages, such as models:/m-1/requirements.txt. */
  requirements?: string | undefined
}

/** The commands, in order. What a run did not tell is left out, never guessed. */
export function reproduce(r: Run, known: Known): Step[] {
  const steps: Step[] = []
  const commit = commitOf(r)
  const repository = tag(r, 'mlflow.source.git.repoURL') ?? tag(r, 'mlflow.gitRepoURL')
  // A pipeline's step notes its whole command.
  const source = (tag(r, 'mlflow.source.name') ?? r.source)?.replace(/^python3?\s+(?=[^-\s])/, '')
  const entry = tag(r, 'mlflow.project.entryPoint')
  if (commit) steps.push({ what: 'The code as it was', commands: [...(repository ? [`git clone ${quoted(safeRepository(repository))} && cd ${quoted(folder(repository))}`] : []), `git checkout ${quoted(commit)}`] })
  if (known.requirements) steps.push({ what: 'The environment', commands: ['python -m venv .venv && . .venv/bin/activate', `mlflow artifacts download -u ${quoted(known.requirements)} -d .`, 'pip install -r requirements.txt'] })
  const data = (r.inputs ?? []).flatMap((i) => { const d = datasetOf(i.source); return d ? [`modelyard dataset pull ${quoted(`${d.name}@${d.version}`)}`] : [] })
  if (data.length > 0) steps.push({ what: 'The data', commands: [...new Set(data)] })
  const server = `export MLFLOW_TRACKING_URI=${quoted(known.server)}`
  if (entry || tag(r, 'mlflow.source.type') === 'PROJECT') {
    const from = repository ? quoted(safeRepository(repository)) : '.'
    steps.push({ what: 'The run', commands: [server, ['mlflow run', from, entry ? `-e ${quoted(entry)}` : '', repository && commit ? `-v ${quoted(commit)}` : '', `--experiment-id ${quoted(r.experiment_id)}`, options(r, '-P')].filter(Boolean).join(' ')] })
  } else if (source && /\.py$/.test(source) && !/^python3?\s/.test(source)) {
    steps.push({ what: 'The run', commands: [server, `python ${quoted(source.split('/').at(-1) ?? source)}`] })
  } else if (source && /\.ipynb$/.test(source)) {
    steps.push({ what: 'The run', commands: [server, `jupyter execute ${quoted(source.split('/').at(-1) ?? source)}`] })
  }
  return steps
}

/** What is missing for doing the run again, in words. */
export function gaps(r: Run, known: Known): string[] {
  const out: string[] = []
  const commit = commitOf(r)
  if (!commit) out.push('the commit (run inside a git repository, and MLflow notes it)')
  else if (tag(r, 'mlflow.source.git.dirty') === 'True' || tag(r, 'mlflow.source.git.dirty') === 'true') out.push('changes that were not committed')
  if (!known.requirements) out.push('the packages (log a model, or requirements.txt as an artifact)')
  if ((r.inputs ?? []).length === 0) out.push('the data (mlflow.log_input)')
  return out
}

/** Metrics by what stands before their first slash: "train/loss" is of "train"; figures of the machine come last. */
export function byPrefix(keys: readonly string[]): { name: string; keys: string[] }[] {
  const groups = new Map<string, string[]>()
  for (const key of keys) {
    const name = key.includes('/') ? key.slice(0, key.indexOf('/')) : ''
    groups.set(name, [...(groups.get(name) ?? []), key])
  }
  const rank = (name: string) => (name === '' ? 0 : name === 'system' ? 3 : /^(val|valid|validation|test|eval)/i.test(name) ? 1 : 2)
  return [...groups].map(([name, of]) => ({ name, keys: of })).sort((a, b) => rank(a.name) - rank(b.name))
}
