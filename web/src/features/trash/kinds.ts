import { href } from '@/lib/href'

interface Kind {
  one: string
  many: string
  /** What it holds, when it holds something. */
  holds?: [one: string, many: string]
}

/** Kinds of things in the trash, in words. */
const kinds: Record<string, Kind> = {
  run: { one: 'run', many: 'runs' },
  experiment: { one: 'experiment', many: 'experiments', holds: ['run', 'runs'] },
  logged_model: { one: 'logged model', many: 'logged models' },
  trace: { one: 'trace', many: 'traces', holds: ['span', 'spans'] },
  model: { one: 'model', many: 'models', holds: ['version', 'versions'] },
  prompt: { one: 'prompt', many: 'prompts', holds: ['version', 'versions'] },
  prompt_version: { one: 'prompt version', many: 'prompt versions' },
  model_version: { one: 'model version', many: 'model versions' },
  dataset: { one: 'dataset', many: 'datasets', holds: ['version', 'versions'] },
  dataset_version: { one: 'dataset version', many: 'dataset versions' },
}

export function kindOf(kind: string): Kind {
  const text = kind.replaceAll('_', ' ')
  return kinds[kind] ?? { one: text, many: `${text}s` }
}

/** The page of a thing that is in the trash; most have none until they are back. */
export function pageInTrash(id: string): string | undefined {
  const [kind, rest] = [id.slice(0, id.indexOf(':')), id.slice(id.indexOf(':') + 1)]
  if (kind === 'run') return href.run(rest)
  return kind === 'experiment' ? href.experiment(rest) : undefined
}

/** "12 runs and 3 models". */
export function kindCounts(list: readonly { kind: string; count: number }[]): string {
  const parts = list.filter((k) => k.count > 0).map((k) => `${k.count.toLocaleString('en')} ${k.count === 1 ? kindOf(k.kind).one : kindOf(k.kind).many}`)
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`
}
