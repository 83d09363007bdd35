// Servers for the tests: each a process of its own on a free port, stopped at the end.
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'

const program = process.env.MODELYARD_BIN

export async function freePort() {
  const probe = net.createServer()
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/** Nothing of the caller's own settings reaches the program. */
function environment(extra = {}) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('MODELYARD_') && !key.startsWith('MLFLOW_')))
  return { ...clean, ...extra }
}

/** Runs the first weeks of the demo into a folder: training, deployment, drift, alerts, a retraining, rollouts. */
export async function seed(dir, log) {
  const port = await freePort()
  const out = createWriteStream(log)
  const child = spawn(program, ['demo', '--days', '45', '--exit', '--data-dir', dir, '--listen', `127.0.0.1:${port}`, '--no-color'], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.pipe(out, { end: false })
  child.stderr.pipe(out, { end: false })
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code !== 0) throw new Error(`modelyard demo ended with ${code}:\n${(await readFile(log, 'utf8')).slice(-3000)}`)
}

/** Starts a server and answers once it is ready. */
export async function start(dataDir, { token } = {}) {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = spawn(program, ['up', '--data-dir', dataDir, '--listen', `127.0.0.1:${port}`], { env: environment(token ? { MODELYARD_TOKEN: token } : {}), stdio: ['ignore', 'pipe', 'pipe'], cwd: path.dirname(dataDir) })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { said = (said + chunk).slice(-4000) })
  const ended = new Promise((resolve) => child.once('close', resolve))
  let over = false
  void ended.then(() => { over = true })
  const until = Date.now() + 90_000
  for (;;) {
    if (over) throw new Error(`the server ended at its start:\n${said}`)
    try {
      if ((await fetch(`${url}/readyz`)).ok) break
    } catch {
      // It does not listen yet.
    }
    if (Date.now() > until) throw new Error(`the server was not ready in 90 s:\n${said}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return {
    url,
    api: api(url, token),
    async stop() {
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await ended
      clearTimeout(late)
    },
  }
}

/** What the pages show is compared with what the server says here. */
function api(url, token) {
  const call = async (method, address, body, more = {}) => {
    const headers = { ...more, ...(token ? { Authorization: `Bearer ${token}` } : {}), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) }
    const response = await fetch(url + address, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${address}: ${response.status} ${text}`)
    return (response.headers.get('Content-Type') ?? '').includes('json') ? JSON.parse(text) : text
  }
  return {
    url,
    get: (address) => call('GET', address),
    post: (address, body = {}, headers = {}) => call('POST', address, body, headers),
    put: (address, body) => call('PUT', address, body),
    delete: (address) => call('DELETE', address),
    /** A file as it is. */
    upload: async (address, body) => {
      const response = await fetch(url + address, { method: 'PUT', body, headers: token ? { Authorization: `Bearer ${token}` } : {} })
      if (!response.ok) throw new Error(`PUT ${address}: ${response.status} ${await response.text()}`)
    },
  }
}
