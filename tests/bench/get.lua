-- wrk: the requests go through as many files as the argument says: PATH/0, PATH/1, ...
local n, count = 0, 1

function init(args)
	count = tonumber(args[1])
end

function request()
	n = n + 1
	return wrk.format("GET", wrk.path .. "/" .. n % count)
end
