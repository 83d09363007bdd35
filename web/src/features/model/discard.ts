import { http } from '@/lib/api/http'
import { trash } from '@/lib/api/trash'
import { href } from '@/lib/href'

/** How a registered model, which may be a prompt, and one of its versions go to the trash and come back. */
export function deletions(name: string, version: string | undefined, noun: 'model' | 'prompt') {
  const path = `/api/v1/models/${encodeURIComponent(name)}`
  const page = noun === 'prompt' ? href.prompt : href.model
  return [
    ...(version === undefined ? [] : [{
      label: `Delete v${version}`, what: `${name} v${version}`, away: page(name), back: page(name, version),
      remove: () => http.delete(`${path}/versions/${encodeURIComponent(version)}`), restore: () => trash.restoreLast(`${noun}_version`, `${name} version ${version}`),
    }]),
    { label: `Delete the ${noun}`, what: name, away: noun === 'prompt' ? href.prompts : href.models, back: page(name), remove: () => http.delete(path), restore: () => trash.restoreLast(noun, name) },
  ]
}
