# rest.bats - a group in which nothing happens: it seldom wakes up, and misses nothing
# shellcheck shell=bash disable=SC2154

load helpers

# woken - how often each node's covey-discoverd has been
woken() {
	local i
	for i in "${!URLS[@]}"; do
		awk '$1 == "voluntary_ctxt_switches:" { print $2 }' "/proc/$(role_pid "$i" covey-discoverd)/status"
	done
}

# rests - every node wakes up about twice a second at most; in a group of three that listens, six times
rests() {
	local i before after
	mapfile -t before < <(woken)
	sleep 5
	mapfile -t after < <(woken)
	for i in "${!before[@]}"; do
		[ $((after[i] - before[i])) -le 12 ] || { echo "woken in five seconds: $((after[i] - before[i])) times"; return 1; }
	done
}

# thinks I J STATE
thinks() {
	[ "$(curl -sf -m 5 "${URLS[$1]}/.covey/status" | jq -r ".group.peers[] | select(.name == \"node$2\") | .state")" = "$3" ]
}

rest() {
	local n=$1 pid
	group "$n"
	wait_until 60 rests
	echo news >news
	[ "$(code -T news "${URLS[1]}/news")" = 201 ]
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[n]}/news")" = 200 ]
	cmp news body
	pid=$(role_pid "$n" covey-discoverd)
	kill -STOP "$pid"
	wait_until 20 thinks 1 "$n" down
	kill -CONT "$pid"
	wait_until 20 _all_up
	wait_until 60 rests
	kill "$pid"
	wait_until 20 grep -q "node1 covey-discoverd: node$n .* has stopped" group.log
	wait_until 20 _all_up
}
@test "where nothing happens a node seldom wakes up, and it misses nothing: three nodes" { rest 3; }
@test "where nothing happens a node seldom wakes up, and it misses nothing: five nodes" { rest 5; }
