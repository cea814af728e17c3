-- wrk: every request puts 4 KiB under a name of its own.
local body = string.rep("covey 4k", 512)
local n = 0
local run = tostring(os.time())

function request()
	n = n + 1
	return wrk.format("PUT", wrk.path .. "/" .. run .. "-" .. n, nil, body)
end
