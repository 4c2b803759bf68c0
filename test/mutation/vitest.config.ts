import { defineConfig } from 'vitest/config'

/** The tests that must notice a changed line of `src/rating` and `src/money`. One seed, so that a run can be repeated. */
// eslint-disable-next-line no-restricted-syntax -- Vitest reads the default export
export default defineConfig({
  test: {
    include: ['test/rating/**/*.test.ts', 'test/money/**/*.test.ts'],
    setupFiles: ['test/mutation/seed.ts'],
    testTimeout: 30_000,
  },
})
