import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import './styles/index.css'
import { newRouter } from './app/router'
import { followEvents } from './lib/api/live'
import { createClient } from './lib/api/queries'
import { mlflowPage } from './lib/mlflow'
import { followSystem } from './lib/theme'
import { TooltipProvider } from './ui/Tooltip'

fromMlflow()
const client = createClient()
const router = newRouter()
followSystem()
followEvents(client)

/** The MLflow client prints links of its own UI; they open the page of the same thing. */
function fromMlflow(): void {
  const to = mlflowPage(location.hash)
  if (to) history.replaceState(null, '', new URL(to.slice(1), document.baseURI))
}

addEventListener('hashchange', () => {
  const to = mlflowPage(location.hash)
  if (to) router.history.replace(to)
})

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <TooltipProvider>
        <RouterProvider router={router} />
      </TooltipProvider>
    </QueryClientProvider>
  </StrictMode>,
)
