-- Batches of CloudEvents with ids of their own. Arguments: API key, events a request, a prefix that no other run has.
local key, count, prefix

local threads = 0
function setup(thread)
  thread:set("thread", threads)
  threads = threads + 1
end

local head, tail, sequence

function init(args)
  key, count, prefix = args[1], tonumber(args[2]), args[3] .. "-" .. thread .. "-"
  wrk.method = "POST"
  wrk.path = "/v1/events"
  wrk.headers["Authorization"] = "Bearer " .. key
  wrk.headers["Content-Type"] = "application/cloudevents-batch+json"
  head = {}
  tail = {}
  local time = os.date("!%Y-%m-%dT%H:%M:%SZ")
  -- A thousand subjects and the figures of an LLM call: about 200 bytes an event.
  for i = 0, 999 do
    head[i] = '{"specversion":"1.0","source":"/gateway/eu-1","type":"llm.request","id":"' .. prefix
    tail[i] = '","time":"' .. time .. '","subject":"customer-' .. i .. '","data":{"model":"gpt-4o","input_tokens":'
      .. (300 + i) .. ',"output_tokens":' .. (20 + i % 50) .. "}}"
  end
  sequence = 0
end

function request()
  local parts = {}
  for i = 1, count do
    sequence = sequence + 1
    local n = sequence % 1000
    parts[i] = head[n] .. sequence .. tail[n]
  end
  return wrk.format(nil, nil, nil, "[" .. table.concat(parts, ",") .. "]")
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"micros":%d,"p50":%d,"p99":%d,"max":%d,"status":%d,"socket":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
