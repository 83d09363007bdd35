import type { ReactNode } from 'react'
import type { Version } from '@/lib/api/types'
import { Empty } from '@/ui/Empty'

/** Whether a version has no files here: MLflow's client may register a folder of an object store, which clients read by themselves. */
export const isElsewhere = (v: Version): boolean => v.status === 'READY' && v.files_count === 0

/** Where the files of a version lie when they are not here. */
export const whereabouts = (v: Version): ReactNode => (v.source ? <>in <span className="mono break-all">{v.source}</span></> : 'not known')

/** What MLflow's client runs to copy them here, as a new version. */
export function bringing(v: Version): string {
  const text = (value: string) => JSON.stringify(value)
  return `files = mlflow.artifacts.download_artifacts(${text(v.source || 'FOLDER OF THE MODEL')})
with mlflow.start_run() as run:
    mlflow.log_artifacts(files, "model")
mlflow.register_model(f"runs:/{run.info.run_id}/model", ${text(v.model)})`
}

/** In place of the files: where they are, and how they come here. */
export function Elsewhere({ v }: { v: Version }): ReactNode {
  return (
    <section className="panel">
      <Empty title="The files are not in this server" command={bringing(v)}>
        They are {whereabouts(v)}, which clients read by themselves. From here they cannot be previewed, judged by a gate or served. Copy them into this server, from where they can be read, and they become a new version that can.
      </Empty>
    </section>
  )
}
