-- Closed loop: each connection sends the next body as soon as its last answer is there.
--   wrk -t1 -c32 -d8s -s closed.lua URL -- FOLDER COUNT CONTENT_TYPE
-- Prints one line of JSON: seconds, requests, errors, and percentiles of the latency in seconds.
local requests, last = {}, 0

function init(args)
  for number = 0, tonumber(args[2]) - 1 do
    local file = assert(io.open(args[1] .. "/" .. number, "rb"))
    requests[number] = wrk.format("POST", nil, { ["Content-Type"] = args[3] }, file:read("*a"))
    file:close()
  end
end

function request()
  last = (last + 1) % (#requests + 1)
  return requests[last]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"seconds": %.4f, "requests": %d, "errors": %d, "p50": %.6f, "p90": %.6f, "p99": %.6f, "worst": %.6f}\n',
    summary.duration / 1e6, summary.requests, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e6, latency:percentile(90) / 1e6, latency:percentile(99) / 1e6, latency.max / 1e6))
end
