import { href } from './href'

/** The page for a link of MLflow's own UI ("#/experiments/1/runs/8c5f"); undefined for anything else. */
export function mlflowPage(hash: string): string | undefined {
  const [, path, query] = /^#\/([^?]+)(?:\?(.*))?$/.exec(hash) ?? []
  if (!path) return undefined
  if (path === 'compare-runs') return compared(query)
  const parts = path.split('/').filter(Boolean).map(decode)
  const [kind, a, sub, b] = parts
  if (kind === 'experiments') {
    if (a === undefined) return href.experiments
    return sub === 'runs' && b ? href.run(b) : href.experiment(a)
  }
  if (kind === 'models') {
    if (a === undefined) return href.models
    return sub === 'versions' && b ? href.model(a, b) : href.model(a)
  }
  if (kind === 'prompts') return a === undefined ? href.prompts : href.prompt(a)
  return undefined
}

/** MLflow writes the runs that it compares as a JSON list. */
function compared(query: string | undefined): string | undefined {
  try {
    const runs: unknown = JSON.parse(new URLSearchParams(query).get('runs') ?? '')
    return Array.isArray(runs) && runs.length > 0 && runs.every((r) => typeof r === 'string') ? href.compare(runs) : undefined
  } catch {
    return undefined
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
