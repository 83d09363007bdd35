import { launch, open, settled, accessibility, overflow } from './lib/browser.mjs'
process.env.CHROMIUM ??= '/usr/bin/chromium'
const base = 'http://127.0.0.1:5977'
const dir = '/work/plan/shots/runs-ui/'
const b = await launch()
const steps = process.argv.slice(2)
for (const s of steps) {
  const [name, path, theme = 'light', act = ''] = s.split('|')
  const page = await b.page(base, { theme, expected: [] })
  const t0 = Date.now()
  try {
    await open(page, path)
    await page.waitForTimeout(700)
    if (act) await (new Function('page', `return (async()=>{${act}})()`))(page)
    await page.waitForTimeout(300)
    await page.screenshot({ path: `${dir}${name}.png`, animations: 'disabled' })
    console.log(name, Date.now() - t0, 'ms', page.faults, await accessibility(page), await overflow(page))
  } catch (e) { console.log(name, 'FAILED', e.message.slice(0, 600), page.faults); await page.screenshot({ path: `${dir}${name}.png` }) }
  await page.context().close()
}
await b.close()
