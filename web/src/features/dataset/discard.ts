import { http } from '@/lib/api/http'
import { trash } from '@/lib/api/trash'
import { href } from '@/lib/href'

/** How a dataset and one of its versions go to the trash and come back. */
export function deletions(name: string, version: number | undefined) {
  const path = `/api/v1/datasets/${encodeURIComponent(name)}`
  return [
    ...(version === undefined ? [] : [{ label: `Delete v${version}`, what: `${name} v${version}`, away: href.dataset(name), back: href.dataset(name, version), remove: () => http.delete(`${path}/versions/${version}`), restore: () => trash.restoreLast('dataset_version', `${name}@${version}`) }]),
    { label: 'Delete the dataset', what: name, away: href.datasets, back: href.dataset(name), remove: () => http.delete(path), restore: () => trash.restoreLast('dataset', name) },
  ]
}
