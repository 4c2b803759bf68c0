/** The requests that we make of a broker, and what kafkajs decodes from the answers. Offsets are decimal text. */
export interface KafkaProtocol {
  Produce: {
    params: {
      readonly acks: -1
      readonly timeout: number
      readonly topicData: readonly {
        readonly topic: string
        readonly partitions: readonly {
          readonly partition: number
          readonly firstSequence: number
          readonly messages: readonly { readonly key: null; readonly value: Buffer }[]
        }[]
      }[]
    }
    result: {
      readonly topics: readonly {
        readonly topicName: string
        readonly partitions: readonly {
          readonly partition: number
          readonly errorCode: number
          readonly baseOffset: string
        }[]
      }[]
    }
  }
  Fetch: {
    params: {
      readonly maxWaitTime: number
      readonly minBytes: number
      readonly maxBytes: number
      readonly isolationLevel: number
      readonly topics: readonly {
        readonly topic: string
        readonly partitions: readonly {
          readonly partition: number
          readonly fetchOffset: number
          readonly maxBytes: number
        }[]
      }[]
    }
    result: {
      readonly errorCode: number
      readonly responses: readonly {
        readonly topicName: string
        readonly partitions: readonly FetchedPartition[]
      }[]
    }
  }
  ListOffsets: {
    params: {
      readonly isolationLevel: number
      readonly topics: readonly {
        readonly topic: string
        readonly partitions: readonly { readonly partition: number; readonly timestamp: number }[]
      }[]
    }
    result: {
      readonly responses: readonly {
        readonly partitions: readonly {
          readonly partition: number
          readonly errorCode: number
          readonly offset: string
        }[]
      }[]
    }
  }
  Metadata: {
    params: { readonly topics: readonly string[]; readonly allowAutoTopicCreation: false }
    result: {
      readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[]
      readonly clusterId: string
      readonly controllerId: number
      readonly topicMetadata: readonly {
        readonly topicErrorCode: number
        readonly topic: string
        readonly partitionMetadata: readonly {
          readonly partitionErrorCode: number
          readonly partitionId: number
          readonly leader: number
          readonly replicas: readonly number[]
          readonly isr: readonly number[]
        }[]
      }[]
    }
  }
  CreateTopics: {
    params: {
      readonly topics: readonly {
        readonly topic: string
        readonly numPartitions: number
        readonly replicationFactor: number
        readonly configEntries: readonly { readonly name: string; readonly value: string }[]
      }[]
      readonly validateOnly: boolean
      readonly timeout: number
    }
    result: {
      readonly topicErrors: readonly { readonly errorCode: number; readonly errorMessage: string | null }[]
    }
  }
  DescribeConfigs: {
    params: {
      readonly resources: readonly {
        readonly type: number
        readonly name: string
        /** Empty: all of them. */
        readonly configNames: readonly string[]
      }[]
    }
    result: {
      readonly resources: readonly {
        readonly errorCode: number
        readonly resourceName: string
        readonly configEntries: readonly {
          readonly configName: string
          readonly configValue: string | null
        }[]
      }[]
    }
  }
  GroupCoordinator: {
    params: { readonly groupId: string }
    result: { readonly errorCode: number; readonly coordinator: { readonly nodeId: number } }
  }
  JoinGroup: {
    params: {
      readonly groupId: string
      readonly sessionTimeout: number
      readonly rebalanceTimeout: number
      readonly memberId: string
      readonly protocolType: 'consumer'
      readonly groupProtocols: readonly { readonly name: string; readonly metadata: Buffer }[]
    }
    result: {
      readonly errorCode: number
      readonly generationId: number
      readonly leaderId: string
      readonly memberId: string
      readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
    }
  }
  SyncGroup: {
    params: {
      readonly groupId: string
      readonly generationId: number
      readonly memberId: string
      readonly groupAssignment: readonly { readonly memberId: string; readonly memberAssignment: Buffer }[]
    }
    result: { readonly errorCode: number; readonly memberAssignment: Buffer }
  }
  Heartbeat: {
    params: { readonly groupId: string; readonly groupGenerationId: number; readonly memberId: string }
    result: { readonly errorCode: number }
  }
  LeaveGroup: {
    params: { readonly groupId: string; readonly memberId: string }
    result: { readonly errorCode: number }
  }
  OffsetCommit: {
    params: {
      readonly groupId: string
      readonly groupGenerationId: number
      readonly memberId: string
      readonly topics: readonly {
        readonly topic: string
        readonly partitions: readonly { readonly partition: number; readonly offset: number }[]
      }[]
    }
    result: {
      readonly responses: readonly {
        readonly partitions: readonly { readonly partition: number; readonly errorCode: number }[]
      }[]
    }
  }
  OffsetFetch: {
    params: {
      readonly groupId: string
      readonly topics: readonly {
        readonly topic: string
        readonly partitions: readonly { readonly partition: number }[]
      }[]
    }
    result: {
      readonly errorCode: number
      readonly responses: readonly {
        readonly partitions: readonly {
          readonly partition: number
          readonly offset: string
          readonly errorCode: number
        }[]
      }[]
    }
  }
  ApiVersions: {
    params: Record<string, never>
    result: {
      readonly errorCode: number
      readonly apiVersions: readonly {
        readonly apiKey: number
        readonly minVersion: number
        readonly maxVersion: number
      }[]
    }
  }
}
export type KafkaApi = keyof KafkaProtocol

export interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: string
  readonly messages: readonly {
    readonly offset: string
    readonly timestamp: string
    readonly value: Buffer | null
    readonly isControlRecord: boolean
  }[]
}

/** Versions that kafkajs would speak with a broker, by API. The newest of its own that the broker still knows. */
export const APIS = [
  'Produce',
  'Fetch',
  'ListOffsets',
  'Metadata',
  'CreateTopics',
  'DescribeConfigs',
  'GroupCoordinator',
  'JoinGroup',
  'SyncGroup',
  'Heartbeat',
  'LeaveGroup',
  'OffsetCommit',
  'OffsetFetch',
  'ApiVersions',
] as const satisfies readonly KafkaApi[]
