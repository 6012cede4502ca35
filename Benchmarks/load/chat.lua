-- One fixed request for wrk, and its figures as one line of JSON.
--
--   wrk ... -s chat.lua URL -- REQUEST-FILE [REQUESTS-PER-SECOND-OF-ONE-THREAD]
--
-- REQUEST-FILE holds header lines "name: value", an empty line, and the body. With a rate, requests leave on a
-- schedule of that many a second; without one, each connection sends the next as soon as it has its answer.

local function read_request(path)
   local file = assert(io.open(path, "rb"))
   local text = file:read("*a")
   file:close()
   local head_end, body_start = text:find("\n\n", 1, true)
   for name, value in text:sub(1, head_end):gmatch("([^:\n]+): ([^\n]*)\n") do
      wrk.headers[name] = value
   end
   wrk.body = text:sub(body_start + 1)
   wrk.method = "POST"
end

-- The milliseconds that a connection waits before its next request, so that this thread sends `rate` in a second.
local function scheduled_delay(rate)
   local ffi = require("ffi")
   ffi.cdef [[
      typedef struct { long seconds; long nanoseconds; } bench_timespec;
      int clock_gettime(int clock, bench_timespec *time);
   ]]
   local monotonic, time, due = 1, ffi.new("bench_timespec"), nil
   return function()
      ffi.C.clock_gettime(monotonic, time)
      local now = tonumber(time.seconds) * 1000 + tonumber(time.nanoseconds) / 1e6
      -- A second behind is as far as the schedule is made up for: beyond it the subject cannot keep the rate.
      due = math.max((due or now) + 1000 / rate, now - 1000)
      return math.max(0, math.floor(due - now))
   end
end

function init(args)
   read_request(args[1])
   if args[2] then delay = scheduled_delay(tonumber(args[2])) end
end

-- Latencies and the duration are in microseconds.
function done(summary, latency, requests)
   local errors = summary.errors
   print(string.format(
      '{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "max_us": %d, "connect_errors": %d, ' ..
      '"read_errors": %d, "write_errors": %d, "timeouts": %d, "status_errors": %d}',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
      errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
