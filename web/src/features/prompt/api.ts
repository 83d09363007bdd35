import { http } from '@/lib/api/http'
import { ownDraftTags, systemTags, type Draft } from './draft'
import { tagNames } from './text'

const mlflow = '/api/2.0/mlflow'
const pairs = (tags: Record<string, string>) => Object.entries(tags).map(([key, value]) => ({ key, value }))

/** What MLflow's client names as the source of a version that is text alone. */
const source = 'prompt-template'

/** Makes the prompt that versions are saved under. */
export const createPrompt = (name: string, d: Draft) => http.post(`${mlflow}/registered-models/create`, { body: { name, tags: pairs({ [tagNames.isPrompt]: 'true', ...ownDraftTags(d) }) } })

/** Saves a draft as the next version and answers with its number. */
export async function saveVersion(name: string, d: Draft): Promise<string> {
  const { model_version: v } = await http.post<{ model_version: { version: string } }>(`${mlflow}/model-versions/create`, { body: { name, source, description: d.message, tags: pairs({ ...ownDraftTags(d), ...systemTags(d) }) } })
  return v.version
}

export const setAlias = (name: string, alias: string, version: string, reason: string) => http.put(`/api/v1/models/${encodeURIComponent(name)}/aliases/${encodeURIComponent(alias)}`, { body: { version, reason } })
