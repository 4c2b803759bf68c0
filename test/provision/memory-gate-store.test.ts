import { describeGateStore } from '../conformance/gate-store.ts'
import { createMemoryGateStore } from '../support/memory-gate-store.ts'

describeGateStore('memory', async () => {
  const store = createMemoryGateStore()
  return { ...store, published: async () => store.published.splice(0) }
})
