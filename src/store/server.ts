import { Readable } from 'node:stream'
import type { ClickHouseClient } from '@clickhouse/client'
import { type BinaryRows, type SqlParams, StoreError, type UsageStore } from '../aggregate/ports.ts'
import { failureOf } from './failure.ts'
import { INSERT_SETTINGS, withReadSettings } from './settings.ts'

/** A server: every statement is its own HTTP request, so lanes run side by side by themselves. */
export function createServerStore(client: ClickHouseClient): UsageStore {
  const run = async <T>(task: () => Promise<T>): Promise<T> => {
    try {
      return await task()
    } catch (error) {
      throw failureOf(error)
    }
  }
  return {
    kind: 'server',
    query: <Row>(sql: string, params: SqlParams = {}, lane: 'write' | 'read' | 'background' = 'read') =>
      run(async () => {
        const answer = await client.query({
          query: withReadSettings(sql, lane),
          query_params: params,
          format: 'JSONEachRow',
        })
        return answer.json<Row>()
      }),
    command: (sql, params = {}) =>
      run(async () => {
        await client.command({ query: sql, query_params: params })
      }),
    insert: (rows) =>
      run(async () => {
        const result = await client.exec({
          query: `INSERT INTO ${rows.table} (${columnNames(rows)}) SETTINGS ${INSERT_SETTINGS} FORMAT RowBinary`,
          values: Readable.from(rows.chunks, { objectMode: false }),
        })
        result.stream.resume()
        const written = result.summary?.written_rows
        if (written !== undefined && Number(written) !== rows.rows) {
          throw new StoreError('rowsLost', `${rows.table}: ${rows.rows} rows sent, ${written} written`, {
            retryable: true,
          })
        }
      }),
    close: () => client.close(),
  }
}

export function columnNames(rows: BinaryRows): string {
  return rows.columns.map(([name]) => name).join(', ')
}
