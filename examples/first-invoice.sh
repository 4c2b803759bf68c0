#!/bin/sh
# From nothing to the first invoice preview, with the command line. Needs a server: npm start
set -eu
cd "$(dirname "$0")/.."

tallyman() {
  npx --no-install tallyman "$@"
}

tallyman meter put input_tokens --name 'Input tokens' --event-type llm.request --aggregation sum --value-property contextTokens
tallyman meter put output_tokens --name 'Output tokens' --event-type llm.request --aggregation sum --value-property generatedTokens
tallyman meter put requests --name Requests --event-type llm.request --aggregation count
tallyman plan put llm-api --file examples/plan.yaml
tallyman customer put acme --name 'Acme Inc.' --subject acme --currency USD --timezone UTC
tallyman subscription put --customer acme --plan llm-api --starts-at "$(date -u +%Y-%m-01T00:00:00Z)"

# The third event repeats the second: it is taken as a duplicate and counts once.
tallyman events send examples/events.ndjson
tallyman usage query requests --customer acme --window day
tallyman invoice preview --customer acme
