import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { http } from '@/lib/api/http'
import type { FileInfo, List, Run } from '@/lib/api/types'
import { absolute } from '@/lib/format'
import { datasetOf, href } from '@/lib/href'
import { Code, Id } from '@/ui/Code'
import { Go } from '@/ui/Go'
import { KeyValues, Note, Panel } from '@/ui/Panel'
import { Tag } from '@/ui/Status'
import { gaps, reproduce, safeRepository } from './reproduce'

const mostRequirements = 64_000

interface Environment {
  /** What the official client downloads the file from. */
  uri: string
  name: string
  text: string
}

/** The list of packages: of the first model that the run logged, or an artifact of the run. */
function useEnvironment(r: Run) {
  const model = r.models?.[0]?.model_id
  return useQuery({
    queryKey: ['runs', r.id, 'environment'], staleTime: 60_000, retry: false,
    queryFn: async ({ signal }): Promise<Environment | null> => {
      const places = [...(model ? [{ api: `/api/v1/logged-models/${encodeURIComponent(model)}`, uri: `models:/${model}/`, folder: '' }] : []), ...['', 'model/'].map((folder) => ({ api: `/api/v1/runs/${encodeURIComponent(r.id)}`, uri: `runs:/${r.id}/`, folder }))]
      for (const p of places) {
        const { items } = await http.get<List<FileInfo>>(`${p.api}/files`, { query: { path: p.folder.replace(/\/$/, '') }, signal })
        const file = ['requirements.txt', 'python_env.yaml', 'conda.yaml'].map((n) => items.find((f) => f.path === p.folder + n && !f.is_dir && (f.size ?? 0) <= mostRequirements)).find(Boolean)
        if (file) return { uri: p.uri + file.path, name: file.path.split('/').at(-1) ?? file.path, text: await http.text(`${p.api}/files/content`, { query: { path: file.path }, signal }) }
      }
      return null
    },
  })
}

/** Code, environment and data of a run, and the commands that do it again. */
export function Reproduce({ run: r }: { run: Run }): ReactNode {
  const environment = useEnvironment(r).data
  const known = { server: location.origin, requirements: environment?.name === 'requirements.txt' ? environment.uri : undefined }
  const steps = reproduce(r, known)
  const missing = gaps(r, { ...known, requirements: environment?.uri })
  const t = (key: string) => r.tags[key]
  const commit = r.commit || t('mlflow.source.git.commit')
  const repository = t('mlflow.source.git.repoURL')
  return (
    <div className="grid gap-3.5 cols:grid-cols-2 items-start">
      <Panel title="How to reproduce">
        <div className="p-3.5 grid gap-3">
          {steps.length === 0 && <p className="text-2">This run told too little of itself to be done again.</p>}
          {steps.map((s) => <div key={s.what}><div className="text-2 text-sm mb-1">{s.what}</div><Code text={s.commands.join('\n')} /></div>)}
          {Object.keys(r.params).length > 0 && steps.length > 0 && <p className="text-3 text-sm">Its {Object.keys(r.params).length === 1 ? 'parameter is' : `${Object.keys(r.params).length} parameters are`} under Parameters and tags.</p>}
          {missing.length > 0 && <Note>Not recorded: {missing.join('; ')}.</Note>}
        </div>
      </Panel>
      <div className="grid gap-3.5 min-w-0">
        <Panel title="Code"><div className="p-3.5">{commit || r.source ? <KeyValues items={[
          ['Entry point', [r.source, t('mlflow.project.entryPoint')].filter(Boolean).join(', ')], ['Kind', (t('mlflow.source.type') ?? '').toLowerCase()], ['Commit', commit ? <Id key="c" id={commit} length={12} /> : ''],
          ['Branch', t('mlflow.source.git.branch')], ['Repository', repository ? (/^https?:/.test(repository) ? <a key="r" className="link" href={safeRepository(repository)} target="_blank" rel="noreferrer noopener">{safeRepository(repository)}</a> : repository) : ''],
        ]} /> : <p className="text-2">The client told of no code. A script that is run inside a git repository tells its commit by itself.</p>}</div></Panel>
        <Panel title="Data" right={(r.inputs ?? []).length || ''}><div className="p-3.5">{(r.inputs ?? []).length === 0 ? <p className="text-2">No data was named. <span className="mono">mlflow.log_input</span> names it, with its digest.</p> : <ul className="grid gap-2">{r.inputs!.map((i) => { const d = datasetOf(i.source); return <li key={i.name + i.digest} className="flex items-center gap-2 min-w-0">{d ? <Go className="link" to={href.dataset(d.name, d.version)}>{d.name} v{d.version}</Go> : <b className="clip">{i.name}</b>}{i.context && <Tag>{i.context}</Tag>}<span className="mono text-3 ml-auto">{i.digest}</span></li> })}</ul>}</div></Panel>
        <Panel title="Environment" right={environment?.name}><div className="p-3.5">{environment ? <pre className="log max-h-80 overflow-auto" tabIndex={0}>{environment.text}</pre> : <p className="text-2">No list of packages was found among the files. A logged model brings one along.</p>}</div></Panel>
        <Panel title="When and who"><div className="p-3.5"><KeyValues items={[['Started', absolute(r.start_time)], ['Ended', r.end_time ? absolute(r.end_time) : 'not yet'], ['Author', r.user], ['Host', t('mlflow.host') ?? t('host')], ['MLflow', t('mlflow.version')]]} /></div></Panel>
      </div>
    </div>
  )
}
