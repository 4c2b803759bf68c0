import type { LocalGateOutcome } from '../../provision/local-gate.ts'

/** The headers that tell a service who calls. A proxy must take them away from what callers send. */
type CallerHeader = 'x-gate-key' | 'x-gate-customer' | 'x-gate-subject' | 'x-gate-environment'

/**
 * Who calls, for the service behind the proxy: all of the headers, empty where there is nothing to tell, so that what
 * a caller wrote in one is always replaced. Names are percent-encoded: headers carry ASCII.
 */
export function callerHeaders({ caller }: LocalGateOutcome): Readonly<Record<CallerHeader, string>> {
  return {
    'x-gate-key': caller?.keyId ?? '',
    'x-gate-customer': encodeURIComponent(caller?.customer ?? ''),
    'x-gate-subject': encodeURIComponent(caller?.subject ?? ''),
    'x-gate-environment': caller?.environment ?? '',
  }
}

/** JSON that a header can carry: what is not ASCII is escaped. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
