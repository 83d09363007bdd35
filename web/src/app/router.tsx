import { createRootRoute, createRoute, createRouter, lazyRouteComponent, type ErrorComponentProps } from '@tanstack/react-router'
import { parseSearch, stringifySearch } from '@/lib/url'
import * as s from '@/routes/search'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Go } from '@/ui/Go'
import { Page } from '@/ui/Page'
import { Shell } from './Shell'

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <Page title="No such page">
      <p className="text-2">Nothing is at this address. It may have been renamed. <Go className="link" to="/">Go home</Go> or press Ctrl K to search.</p>
    </Page>
  ),
})

/** Stands in the place of the page, so the navigation stays. */
function Broken({ error, reset }: ErrorComponentProps) {
  return (
    <Page title="This page broke">
      <ErrorPanel error={error} title="The page could not be drawn" onRetry={reset} />
    </Page>
  )
}

// Each route is a constant of its own: inside an array literal TypeScript loses their paths.
const home = createRoute({ getParentRoute: () => root, path: '/', component: lazyRouteComponent(() => import('@/routes/home'), 'Home') })
const experiments = createRoute({ getParentRoute: () => root, path: '/experiments', validateSearch: s.listSearch, component: lazyRouteComponent(() => import('@/routes/experiments'), 'Experiments') })
const experiment = createRoute({ getParentRoute: () => root, path: '/experiments/$id', validateSearch: s.experimentSearch, component: lazyRouteComponent(() => import('@/routes/experiment'), 'ExperimentPage') })
const compare = createRoute({ getParentRoute: () => root, path: '/compare', validateSearch: s.compareSearch, component: lazyRouteComponent(() => import('@/routes/compare'), 'Compare') })
const run = createRoute({ getParentRoute: () => root, path: '/runs/$id', validateSearch: s.runSearch, component: lazyRouteComponent(() => import('@/routes/run'), 'RunPage') })
const trace = createRoute({ getParentRoute: () => root, path: '/traces/$id', validateSearch: s.traceSearch, component: lazyRouteComponent(() => import('@/routes/trace'), 'TracePage') })
const models = createRoute({ getParentRoute: () => root, path: '/models', validateSearch: s.listSearch, component: lazyRouteComponent(() => import('@/routes/models'), 'Models') })
const model = createRoute({ getParentRoute: () => root, path: '/models/$name', validateSearch: s.modelSearch, component: lazyRouteComponent(() => import('@/routes/model'), 'ModelPage') })
const prompts = createRoute({ getParentRoute: () => root, path: '/prompts', validateSearch: s.promptsSearch, component: lazyRouteComponent(() => import('@/routes/prompts'), 'Prompts') })
const prompt = createRoute({ getParentRoute: () => root, path: '/prompts/$name', validateSearch: s.promptSearch, component: lazyRouteComponent(() => import('@/routes/prompt'), 'PromptPage') })
const datasets = createRoute({ getParentRoute: () => root, path: '/datasets', validateSearch: s.listSearch, component: lazyRouteComponent(() => import('@/routes/datasets'), 'Datasets') })
const dataset = createRoute({ getParentRoute: () => root, path: '/datasets/$name', validateSearch: s.datasetSearch, component: lazyRouteComponent(() => import('@/routes/dataset'), 'DatasetPage') })
const endpoints = createRoute({ getParentRoute: () => root, path: '/endpoints', validateSearch: s.listSearch, component: lazyRouteComponent(() => import('@/routes/endpoints'), 'Endpoints') })
const endpoint = createRoute({ getParentRoute: () => root, path: '/endpoints/$name', validateSearch: s.endpointSearch, component: lazyRouteComponent(() => import('@/routes/endpoint'), 'EndpointPage') })
const monitors = createRoute({ getParentRoute: () => root, path: '/monitors', validateSearch: s.listSearch, component: lazyRouteComponent(() => import('@/routes/monitors'), 'Monitors') })
const monitor = createRoute({ getParentRoute: () => root, path: '/monitors/$endpoint', validateSearch: s.monitorSearch, component: lazyRouteComponent(() => import('@/routes/monitor'), 'MonitorPage') })
const pipelines = createRoute({ getParentRoute: () => root, path: '/pipelines', validateSearch: s.listSearch, component: lazyRouteComponent(() => import('@/routes/pipelines'), 'Pipelines') })
const pipeline = createRoute({ getParentRoute: () => root, path: '/pipelines/$name', component: lazyRouteComponent(() => import('@/routes/pipeline'), 'PipelinePage') })
const pipelineRun = createRoute({ getParentRoute: () => root, path: '/pipelines/$name/runs/$id', validateSearch: s.pipelineRunSearch, component: lazyRouteComponent(() => import('@/routes/pipeline-run'), 'PipelineRunPage') })
const alerts = createRoute({ getParentRoute: () => root, path: '/alerts', validateSearch: s.alertsSearch, component: lazyRouteComponent(() => import('@/routes/alerts'), 'Alerts') })
const lineage = createRoute({ getParentRoute: () => root, path: '/lineage', validateSearch: s.lineageSearch, component: lazyRouteComponent(() => import('@/routes/lineage'), 'LineagePage') })
const jobs = createRoute({ getParentRoute: () => root, path: '/jobs', validateSearch: s.jobsSearch, component: lazyRouteComponent(() => import('@/routes/jobs'), 'Jobs') })
const trash = createRoute({ getParentRoute: () => root, path: '/trash', validateSearch: s.trashSearch, component: lazyRouteComponent(() => import('@/routes/trash'), 'TrashPage') })
const audit = createRoute({ getParentRoute: () => root, path: '/audit', validateSearch: s.auditSearch, component: lazyRouteComponent(() => import('@/routes/audit'), 'Audit') })
const parts = createRoute({ getParentRoute: () => root, path: '/parts', component: lazyRouteComponent(() => import('@/routes/parts'), 'Parts') })

const routeTree = root.addChildren([
  home, experiments, experiment, compare, run, trace, models, model, prompts, prompt, datasets, dataset, endpoints, endpoint, monitors, monitor, pipelines, pipeline, pipelineRun, alerts, lineage, jobs, trash, audit, parts,
])

// The application may be mounted under a path: <base href> says where.
const basepath = new URL(document.baseURI).pathname.replace(/\/$/, '') || '/'

/** Made once the address is settled. */
export const newRouter = () => createRouter({ routeTree, basepath, parseSearch, stringifySearch, defaultPreload: 'intent', defaultErrorComponent: Broken, scrollRestoration: false })

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof newRouter>
  }
}
