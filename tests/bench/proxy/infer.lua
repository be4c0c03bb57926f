-- One kilobyte of JSON, as an application sends a row; and the figures, in microseconds. The path
-- is the first argument after `--`.
local data = {}
for i = 1, 140 do data[i] = string.format("%.3f", i / 140) end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"id":"0","inputs":[{"name":"input","shape":[1,140],"datatype":"FP32","data":['
    .. table.concat(data, ",") .. "]}]}"

function init(arguments)
    wrk.path = arguments[1]
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format("figures %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(50),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
