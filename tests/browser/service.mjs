// Runs the service as an operator does: the binary with its own data folder, on a port that the system chooses.

import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const binary = process.env.MINTMARK_BINARY
if (!binary) throw new Error('MINTMARK_BINARY must name the binary: run ./scripts/test browser')

// How many of the last log lines the error message of a failure contains.
const KEPT_LINES = 60

// Starts the service. `settings` are named as in the environment: { TOKENS__SIGNING_ALG: 'EdDSA' }.
export async function start(settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-browser-'))
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MINTMARK__')))
  const environment = { ...own, MINTMARK__SERVER__LISTEN: '127.0.0.1:0', MINTMARK__SERVER__DRAIN_SECONDS: '0', MINTMARK__LOG__FORMAT: 'json' }
  for (const [name, value] of Object.entries(settings)) environment[`MINTMARK__${name}`] = value
  const child = spawn(binary, ['serve'], { cwd: folder, env: environment, stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
  const log = []
  const serving = new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      log.push(line)
      if (line.includes('"serving"')) resolve(JSON.parse(line))
    }).on('close', () => reject(new Error(`the service ended while it was starting:\n${log.slice(-KEPT_LINES).join('\n')}`)))
  })
  const { issuer, listen } = await serving
  // Commands derive the issuer from the address, unless `settings` has a public URL.
  environment.MINTMARK__SERVER__LISTEN = listen
  const options = { cwd: folder, env: environment, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }
  return {
    issuer,
    log,
    // Runs a command of the binary while the service runs, and returns the JSON that it prints.
    command: (...args) => JSON.parse(execFileSync(binary, [...args, '--json'], options)),
    // Runs a command that does not print JSON.
    run: (...args) => execFileSync(binary, args, options),
    async stop() {
      child.kill('SIGTERM')
      const code = await ended
      rmSync(folder, { recursive: true, force: true })
      if (code !== 0) throw new Error(`the service ended with ${code} on SIGTERM:\n${log.slice(-KEPT_LINES).join('\n')}`)
    },
  }
}
