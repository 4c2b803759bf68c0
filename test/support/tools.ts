import { spawnSync } from 'node:child_process'
import { getuid } from 'node:process'

const DEBIAN_PACKAGE: Readonly<Record<string, string>> = {
  caddy: 'caddy',
  java: 'openjdk-17-jre-headless',
  mvn: 'maven',
  nginx: 'nginx-light',
  pip3: 'python3-pip',
  pdftoppm: 'poppler-utils',
  promtool: 'prometheus',
}

function present(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' }).status === 0
}

/** Debian packages that the tests need, are not there, and could not be installed. As root they are installed. */
export function missingTools({ kafka }: { readonly kafka: boolean }): string[] {
  const wanted = ['pdftoppm', 'promtool', 'nginx', 'caddy', 'pip3', ...(kafka ? ['java', 'mvn'] : [])]
  const absent = (): string[] =>
    wanted.filter((tool) => !present(tool)).map((tool) => DEBIAN_PACKAGE[tool] ?? tool)
  const packages = absent()
  if (packages.length === 0) return []
  if (getuid?.() !== 0 || !present('apt-get')) return packages
  console.log(`installing ${packages.join(' ')}`)
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit', env: environment })
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: environment,
  })
  return absent()
}
