/** Longest key of a customer, meter, plan, price or quota. */
const RESOURCE_KEY_CHARS_MAX = 128

const RESOURCE_KEY = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

/** What a tenant may name its resources: it goes into paths, file names and exports without being quoted. */
export const RESOURCE_KEY_RULE = `1 to ${RESOURCE_KEY_CHARS_MAX} letters, digits, ".", "_" or "-", beginning with a letter or a digit`

export function isResourceKey(text: string): boolean {
  return text.length <= RESOURCE_KEY_CHARS_MAX && RESOURCE_KEY.test(text)
}
