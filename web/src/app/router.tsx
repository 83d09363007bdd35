import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Link } from '@tanstack/react-router'
import { parseSearch, stringifySearch } from '@/lib/url'
import { ErrorPanel } from '@/ui/ErrorBox'
import { Page } from '@/ui/Page'
import { Shell } from './Shell'

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <Page title="No such page">
      <p className="text-2">Nothing is at this address. It may have been renamed. <Link className="link" to="/">Go home</Link> or press Ctrl K to search.</p>
    </Page>
  ),
  errorComponent: ({ error, reset }) => (
    <Page title="This page broke">
      <ErrorPanel error={error} title="The page could not be drawn" onRetry={reset} />
    </Page>
  ),
})

const routeTree = root.addChildren([
  createRoute({ getParentRoute: () => root, path: '/', component: lazyRouteComponent(() => import('@/routes/home'), 'Home') }),
  createRoute({ getParentRoute: () => root, path: '/parts', component: lazyRouteComponent(() => import('@/routes/parts'), 'Parts') }),
])

// The application may be mounted under a path: <base href> says where.
const basepath = new URL(document.baseURI).pathname.replace(/\/$/, '') || '/'

export const router = createRouter({ routeTree, basepath, parseSearch, stringifySearch, defaultPreload: 'intent', scrollRestoration: false })

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
