// Fails the build when the application grows past its budget (kB are 1000 bytes, gzip level 9):
// first load (entry, what it imports, and the home page) 260, any other chunk 100, everything on disk 3000 raw.
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const limits = { firstLoad: 260, chunk: 100, total: 3000 }
const dist = new URL('../../internal/ui/dist/', import.meta.url).pathname
const manifest = JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8'))
const kB = (bytes) => bytes / 1000
const gz = (file) => kB(gzipSync(readFileSync(join(dist, file)), { level: 9 }).length)

function closure(key, seen = new Set()) {
  if (seen.has(key)) return seen
  seen.add(key)
  for (const next of manifest[key].imports ?? []) closure(next, seen)
  return seen
}
const entry = Object.keys(manifest).find((key) => manifest[key].isEntry)
const home = Object.keys(manifest).find((key) => key.endsWith('routes/home.tsx'))
if (!entry || !home) throw new Error('budget: the manifest names no entry or no home page')
const first = new Set([...closure(entry), ...closure(home)])
const files = new Set([...first].flatMap((key) => [manifest[key].file, ...(manifest[key].css ?? [])]))
const firstLoad = [...files].reduce((sum, file) => sum + gz(file), 0)

const problems = []
if (firstLoad > limits.firstLoad) problems.push(`first load is ${firstLoad.toFixed(1)} kB gzip, the limit is ${limits.firstLoad}`)
let total = 0
for (const name of readdirSync(dist, { recursive: true })) {
  if (!statSync(join(dist, name)).isFile() || /\.(br|gz)$/.test(name)) continue
  total += kB(statSync(join(dist, name)).size)
  if (!name.endsWith('.js') || files.has(name)) continue
  const size = gz(name)
  if (size > limits.chunk) problems.push(`${name} is ${size.toFixed(1)} kB gzip, the limit for a chunk is ${limits.chunk}`)
}
if (total > limits.total) problems.push(`the build is ${total.toFixed(0)} kB, the limit is ${limits.total}`)
console.log(`budget: first load ${firstLoad.toFixed(1)} kB gzip of ${limits.firstLoad}, all files ${total.toFixed(0)} kB of ${limits.total}`)
for (const problem of problems) console.error(`budget: ${problem}`)
if (problems.length > 0) process.exit(1)
// The manifest has done its work; the binary does not need it.
rmSync(join(dist, '.vite'), { recursive: true })
