import { type JsonObject, type JsonReader, member } from './json-reader.ts'
import type { DimensionValues, MatrixCell, MatrixPrice, SimplePrice } from './price.ts'

const cellsMax = 10_000

/** Reads a matrix price. The prices of its cells are read by `readCellPrice`. */
export function parseMatrix(
  reader: JsonReader,
  raw: unknown,
  pointer: string,
  readCellPrice: (raw: unknown, pointer: string) => SimplePrice | null,
): MatrixPrice | null {
  const object = reader.object(raw, pointer, ['model', 'dimensions', 'cells', 'otherwise'])
  if (object === null) return null
  const dimensions = readDimensions(reader, object, pointer)
  const at = member(pointer, 'cells')
  const rawCells = reader.list(object, 'cells', pointer)
  if (rawCells.length > cellsMax) {
    reader.fault('invalidRequest', at, `has more than ${String(cellsMax)} cells`)
    return null
  }
  const seen = new Set<string>()
  const cells: MatrixCell[] = []
  rawCells.forEach((rawCell, i) => {
    const cellAt = member(at, i)
    const cell = reader.object(rawCell, cellAt, ['match', 'price'])
    if (cell === null) return
    const match = readDimensionValues(reader, cell['match'], member(cellAt, 'match'), dimensions)
    const key = JSON.stringify(dimensions.map((name) => match[name] ?? null))
    if (seen.has(key)) reader.fault('invalidRequest', member(cellAt, 'match'), 'repeats an earlier cell')
    seen.add(key)
    const price = readCellPrice(cell['price'], member(cellAt, 'price'))
    if (price !== null) cells.push({ match, price })
  })
  const otherwise = object['otherwise']
  return {
    model: 'matrix',
    dimensions,
    cells,
    otherwise:
      otherwise === undefined || otherwise === null
        ? null
        : readCellPrice(otherwise, member(pointer, 'otherwise')),
  }
}

function readDimensions(reader: JsonReader, object: JsonObject, pointer: string): readonly string[] {
  const at = member(pointer, 'dimensions')
  const raw = reader.list(object, 'dimensions', pointer)
  if (raw.length === 0 && Array.isArray(object['dimensions'])) {
    reader.fault('invalidRequest', at, 'needs at least one dimension')
  }
  const names: string[] = []
  raw.forEach((name, i) => {
    if (typeof name !== 'string' || name === '') {
      reader.fault('invalidRequest', member(at, i), 'must be the name of a dimension')
    } else if (names.includes(name)) {
      reader.fault('invalidRequest', member(at, i), 'repeats an earlier dimension')
    } else {
      names.push(name)
    }
  })
  return names
}

/** Reads `{dimension: value}`. @param known the dimensions it may name; null for any */
export function readDimensionValues(
  reader: JsonReader,
  raw: unknown,
  pointer: string,
  known: readonly string[] | null,
): DimensionValues {
  const names = known ?? (typeof raw === 'object' && raw !== null ? Object.keys(raw) : [])
  const object = reader.object(raw, pointer, names)
  if (object === null) return {}
  const values: [string, string][] = []
  for (const [name, value] of Object.entries(object)) {
    if (typeof value === 'string') values.push([name, value])
    else reader.fault('invalidRequest', member(pointer, name), 'must be text')
  }
  return Object.fromEntries(values)
}
