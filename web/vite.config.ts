import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import tailwind from '@tailwindcss/vite'
import { defineConfig } from 'vitest/config'

// The server that `npm run dev` talks to; its own pages are replaced by Vite's.
const server = process.env.MODELYARD_SERVER ?? 'http://127.0.0.1:5000'
const proxied = ['/api', '/v2', '/health', '/healthz', '/readyz', '/metrics', '/version', '/openapi.json']

export default defineConfig({
  // Relative addresses, so that one <base href> moves the whole application under a sub-path.
  base: './',
  plugins: [react(), tailwind()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    outDir: '../internal/ui/dist',
    emptyOutDir: true,
    manifest: true,
    target: 'es2022',
    // The policy of the server allows no inline data, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(proxied.map((path) => [path, { target: server, changeOrigin: true }])),
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    pool: 'threads',
  },
})
