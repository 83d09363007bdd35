// Writes a .br and a .gz beside each file of the build that gets smaller by it, so that the server never compresses at request time.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const dist = new URL('../../internal/ui/dist/', import.meta.url).pathname
for (const name of readdirSync(dist, { recursive: true })) {
  const path = join(dist, name)
  if (!statSync(path).isFile() || !/\.(js|css|svg|json)$/.test(name)) continue
  const raw = readFileSync(path)
  const packed = {
    br: brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length } }),
    gz: gzipSync(raw, { level: 9 }),
  }
  for (const [ext, data] of Object.entries(packed)) if (data.length < raw.length * 0.95) writeFileSync(`${path}.${ext}`, data)
}
