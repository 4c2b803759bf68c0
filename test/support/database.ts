import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { type Database, openDatabase } from '../../src/database/database.ts'
import { migrateDatabase } from '../../src/database/migrations.ts'

/** A migrated, empty database of its own: on DATABASE_URL's server where that is set, else embedded. `stop` removes it. */
export async function openTestDatabase(): Promise<Database> {
  const database = await openEmptyDatabase()
  await migrateDatabase(database)
  return database
}

/** As `openTestDatabase`, before any migration. */
async function openEmptyDatabase(): Promise<Database> {
  const url = process.env['DATABASE_URL']
  return url === undefined ? openEmbedded() : openOnServer(url)
}

async function openEmbedded(): Promise<Database> {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-test-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  try {
    return thenDo(await openDatabase({ kind: 'embedded', directory }), async () => remove())
  } catch (error) {
    remove()
    throw error
  }
}

async function openOnServer(url: string): Promise<Database> {
  const name = `tallyman_test_${randomBytes(6).toString('hex')}`
  const administer = async (sql: string): Promise<void> => {
    const client = new Client({ connectionString: url })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  await administer(`create database ${name}`)
  const address = new URL(url)
  address.pathname = `/${name}`
  return thenDo(await openDatabase({ kind: 'url', url: address.href }), () =>
    administer(`drop database ${name} with (force)`),
  )
}

function thenDo(database: Database, after: () => Promise<void>): Database {
  return {
    ...database,
    stop: async () => {
      await database.stop()
      await after()
    },
  }
}
