// What we use of kafkajs 2.2.4 below its public face, which has no types: a connection and the encoding of requests.
// The version is pinned and frozen; test/log/wire-protocol.test.ts fails when one of these moves.

declare module 'kafkajs/src/network/connection.js' {
  import type { Socket } from 'node:net'

  interface Call {
    readonly request: unknown
    readonly response: {
      readonly decode: (raw: Buffer) => Promise<unknown>
      readonly parse: (decoded: unknown) => Promise<unknown>
    }
    readonly requestTimeout?: number
    readonly logResponseError?: boolean
  }
  interface Logger {
    readonly namespace: () => Logger
    readonly debug: () => void
    readonly info: () => void
    readonly warn: () => void
    readonly error: () => void
  }
  interface RequestQueue {
    pending: readonly unknown[]
    throttledUntil: number
    throttleCheckTimeoutId: NodeJS.Timeout | null
    checkPendingRequests: () => void
    scheduleCheckPendingRequests: () => void
    destroy: () => void
  }
  declare class Connection {
    constructor(options: {
      readonly host: string
      readonly port: number
      readonly clientId: string
      readonly logger: Logger
      readonly socketFactory: (options: {
        readonly host: string
        readonly port: number
        readonly onConnect: () => void
      }) => Socket
      readonly connectionTimeout: number
      readonly requestTimeout: number
      readonly enforceRequestTimeout: boolean
    })
    readonly requestQueue: RequestQueue
    connect(): Promise<unknown>
    send(call: Call): Promise<unknown>
    rejectRequests(error: Error): void
    isConnected(): boolean
  }
  export = Connection
}

declare module 'kafkajs/src/protocol/requests/index.js' {
  interface Definition {
    readonly versions: readonly string[]
    readonly protocol: (options: { readonly version: number }) => (params: object) => {
      readonly request: unknown
      readonly response: { readonly decode: (raw: Buffer) => Promise<unknown> }
      readonly requestTimeout?: number
    }
  }
  declare const exported: { readonly requests: Readonly<Record<string, Definition>> }
  export = exported
}

declare module 'kafkajs/src/protocol/requests/apiKeys.js' {
  declare const keys: Readonly<Record<string, number>>
  export = keys
}

declare module 'kafkajs/src/protocol/error.js' {
  declare const exported: {
    readonly errorCodes: readonly {
      readonly type: string
      readonly code: number
      readonly message: string
    }[]
  }
  export = exported
}
