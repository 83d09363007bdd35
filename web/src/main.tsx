import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import './styles/index.css'
import { router } from './app/router'
import { followEvents } from './lib/api/live'
import { createClient } from './lib/api/queries'
import { followSystem } from './lib/theme'
import { TooltipProvider } from './ui/Tooltip'

const client = createClient()
followSystem()
followEvents(client)

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <TooltipProvider>
        <RouterProvider router={router} />
      </TooltipProvider>
    </QueryClientProvider>
  </StrictMode>,
)
