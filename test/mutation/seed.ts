import fc from 'fast-check'

// Fewer runs of each property than in the suite: a mutant costs a whole run of it.
fc.configureGlobal({ seed: 20_260_301, numRuns: 40 })
