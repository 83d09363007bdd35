// Tells failures as they come and ends with one line: how many passed, how many failed.
import path from 'node:path'

export default async function* report(source) {
  let passed = 0
  let failed = 0
  let skipped = 0
  for await (const { type, data } of source) {
    if (type === 'test:stderr' || type === 'test:stdout') yield data.message
    if (type === 'test:diagnostic' && data.nesting > 0) yield `     ${data.message}\n`
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details.type === 'suite' && type === 'test:pass') continue
    // A suite that fails only because a test in it failed has been told already; a hook that broke has not.
    if (data.details.type === 'suite' && data.details.error?.failureType === 'subtestsFailed') continue
    if (data.skip !== undefined) {
      skipped++
      yield `skip ${data.name}\n`
    } else if (type === 'test:pass') {
      passed++
      yield `ok   ${data.name} (${(data.details.duration_ms / 1000).toFixed(1)} s)\n`
    } else {
      failed++
      const error = data.details.error?.cause ?? data.details.error
      yield `FAIL ${data.name} (${path.basename(data.file ?? '')}:${data.line ?? 0})\n${indent(error?.stack ?? String(error))}\n`
    }
  }
  yield `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`
}

function indent(text) {
  return text.split('\n').filter((line) => !line.includes('node:internal')).map((line) => `     ${line}`).join('\n')
}
