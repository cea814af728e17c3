-- wrk: 4 KiB under a key, by etcd's gateway from JSON to its API.  The arguments are what and how many:
--
--   put        each under a key of its own
--   get N      linearizable, of N keys in turn: those that tests/bench/servers.py makes
--
-- Twelve digits are base64, too, of nine bytes: they serve as a key as they are.
local value = string.rep("Y292", 1365) .. "Yw=="	-- 4096 bytes
local run = os.time() % 100000
local n, count, put = 0, 1, false

function init(args)
	put = args[1] == "put"
	count = tonumber(args[2] or 1)
end

function request()
	n = n + 1
	if put then
		return wrk.format("POST", "/v3/kv/put", nil, string.format('{"key":"%05d%07d","value":"%s"}', run, n, value))
	end
	return wrk.format("POST", "/v3/kv/range", nil, string.format('{"key":"%012d"}', n % count))
end
