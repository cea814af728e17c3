-- wrk: every request puts 4 KiB under a name of its own; or, with the argument "over", all over one file.
local body = string.rep("covey 4k", 512)
local n = 0
local over = false
local run = tostring(os.time())

-- What came of them: a write that the group has not confirmed is 202.
local threads = {}
confirmed, accepted, failed = 0, 0, 0

function setup(thread)
	table.insert(threads, thread)
end

function response(status)
	if status == 201 or status == 204 then
		confirmed = confirmed + 1
	elseif status == 202 then
		accepted = accepted + 1
	else
		failed = failed + 1
	end
end

function done()
	local sums = { confirmed = 0, accepted = 0, failed = 0 }
	for _, thread in ipairs(threads) do
		for name, sum in pairs(sums) do
			sums[name] = sum + thread:get(name)
		end
	end
	io.write(string.format("Writes: %d confirmed, %d not, %d failed\n", sums.confirmed, sums.accepted, sums.failed))
end

function init(args)
	over = args[1] == "over"
end

function request()
	if over then
		return wrk.format("PUT", wrk.path, nil, body)
	end
	n = n + 1
	return wrk.format("PUT", wrk.path .. "/" .. run .. "-" .. n, nil, body)
end
