import { openDatabase } from '../../src/database/database.ts'
import { migrateDatabase } from '../../src/database/migrations.ts'

/** A process that opens the embedded database in argv[2], commits a row, says so, and waits to be killed. */
const database = await openDatabase({ kind: 'embedded', directory: process.argv[2] ?? '' })
await migrateDatabase(database)
await database.db
  .insertInto('tenants')
  .values({ id: 'committed', name: 'before the kill', created_at: new Date(0) })
  .onConflict((conflict) => conflict.doNothing())
  .execute()
process.stdout.write('ready\n')
setInterval(() => undefined, 1000)
