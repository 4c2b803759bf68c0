#!/usr/bin/env node
// Plain JavaScript in a CommonJS folder (bin/package.json): a Node that is too old for TypeScript can read this
// much, find the Node that npm installed beside us, and run the command with that one.
{
  const versionMin = 24
  const current = process.versions.node
  if (Number.parseInt(current, 10) >= versionMin) {
    void import('../src/cli/main.ts')
  } else {
    const { createRequire } = process.getBuiltinModule('node:module')
    const { spawn } = process.getBuiltinModule('node:child_process')
    const path = process.getBuiltinModule('node:path')
    let pinned = ''
    try {
      pinned = path.join(createRequire(__filename).resolve('node/package.json'), '..', 'bin', 'node')
    } catch {
      console.error(
        `tallyman needs Node ${versionMin} or newer; this is ${current}, and the one that npm installs with it is missing.`,
      )
      console.error('Run `npm ci` in the folder of tallyman, or install a newer Node.')
      process.exitCode = 1
    }
    if (pinned !== '') {
      const child = spawn(pinned, [__filename, ...process.argv.slice(2)], { stdio: 'inherit' })
      // The terminal sends Ctrl-C to both: the child decides how to end, and we end as it did.
      process.on('SIGINT', () => undefined)
      process.on('SIGTERM', () => child.kill('SIGTERM'))
      process.on('SIGHUP', () => child.kill('SIGHUP'))
      child.on('error', (error) => {
        console.error(
          `tallyman needs Node ${versionMin} or newer, and ${pinned} does not start: ${error.message}`,
        )
        process.exitCode = 1
      })
      child.on('exit', (code, signal) => {
        if (signal === null) process.exitCode = code ?? 1
        else process.exitCode = 1
      })
    }
  }
}
