-- wrk script: questions of a proxy to the gate, each with one of the keys of a file.
-- wrk -t1 -c32 -d8s --latency -s gate.lua http://host:port -- FILE_OF_KEYS PATH
local requests = {}
local at = 0

function init(args)
  local path = args[2]
  for key in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", path, {
      ["Authorization"] = "Bearer " .. key,
      ["X-Forwarded-For"] = "203.0.113.9",
      ["X-Forwarded-Method"] = "GET",
      ["X-Forwarded-Uri"] = "/v1/chat",
      ["User-Agent"] = "wrk",
    })
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  print(string.format(
    'RESULT {"requests":%d,"micros":%d,"p50":%d,"p99":%d,"status":%d,"socket":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
