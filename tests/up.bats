#!/usr/bin/env bats
# covey up: sockets handed over, roles started when wanted and again when they die, all gone at the end.
load helpers

# Start N nodes without touching them.
up() {
	local n=$1
	shift
	spawn up covey up --nodes "$n" --dir "$D/g" --port "$PORT_BASE" "$@"
	wait_until 10 grep -q '^  curl' "$D/up.log"
}

url() { echo "http://127.0.0.1:$((PORT_BASE + 10 * ($1 - 1)))"; }

# Processes of this test's directory, `covey up` itself aside.
roles() { pgrep -f -- "-c $D/[^ ]*covey.yaml" || :; }
no_roles() { [ -z "$(roles)" ]; }

@test "discoverd runs at once, the others from their first connection" {
	up 1
	wait_until 5 grep -q 'epoch 1: 1 members' up.log	# a group of its own
	role_pid 1 covey-discoverd
	for role in covey-httpd covey-versiond; do
		run role_pid 1 $role
		[ -z "$output" ]
	done
	[ "$(code "$(url 1)/.covey/healthz")" = 200 ]
	role_pid 1 covey-httpd
	run role_pid 1 covey-versiond
	[ -z "$output" ]
	stop "$PID"
	[ "$STOPPED" -eq 0 ]
}

@test "keys that cannot be read are told before anything runs" {
	node_conf one "$(port)" $'  discovery: '"$(port 1)"$'\n  versions: '"$(port 2)"$'\ngroup:\n  key_file: '"$D/key"
	run timeout 10 covey up -c "$CONF"
	[ "$status" -eq 69 ]
	[[ $output == *"$D/key: No such file"* ]]
	echo nonsense >key
	run timeout 10 covey up -c "$CONF"
	[ "$status" -eq 69 ]
	[[ $output == *"$D/key: "*"64 hexadecimal digits"* ]]
	[ ! -e "$STORE" ]
}

@test "it names the nodes and prints the curl lines to try, and they work" {
	up 3
	grep -q "node3 .*$(url 3) .*$D/g/node3/store" "$D/up.log"
	grep '^  ' "$D/up.log" >"$D/lines"
	[ "$(wc -l <"$D/lines")" -ge 3 ]
	run bash -e -c "set -o pipefail; $(sed 's/curl/curl -sf -m 10/' "$D/lines")"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *hello* ]]
}

@test "each role killed with SIGKILL comes back" {
	group 2
	echo one | curl -sf -T - "${URLS[1]}/f"
	for role in covey-httpd covey-discoverd covey-versiond covey-syncd; do
		# What runs only when wanted is wanted now.
		curl -sf "${URLS[2]}/f" >/dev/null
		curl -sf "${URLS[1]}/" >/dev/null
		old=$(role_pid 1 $role) || continue
		kill -9 "$old"
		wait_until 10 again "$role" "$old"
		[ "$(curl -sf -m 10 "${URLS[1]}/f")" = one ]
		killed+=" $role"
	done
	echo "killed:$killed"
	[ "$killed" = " covey-httpd covey-discoverd covey-versiond covey-syncd" ]
	stop "$PID"
	[ "$STOPPED" -eq 0 ]
}

# Only whole files or failures, while ROLE of the node that is asked is killed.
@test "each role killed in mid-request spoils that request at most" {
	local role whole=0 want get put
	group 2
	bytes 30000000 >"$D/big"
	want=$(sha "$D/big")
	for role in covey-httpd covey-discoverd covey-versiond covey-syncd; do
		curl -sf -T "$D/big" "${URLS[1]}/$role" -o /dev/null
		rm -f "$D/got"
		curl -sf -m 20 --limit-rate 20M "${URLS[2]}/$role" -o "$D/got" &
		get=$!
		curl -s -m 20 --limit-rate 20M -T "$D/big" "${URLS[2]}/up-$role" -o /dev/null &
		put=$!
		wait_until 10 test -s "$D/got"
		wait_until 10 role_pid 2 $role
		kill -9 "$(role_pid 2 $role)"
		if wait $get; then
			whole=$((whole + 1))
			[ "$(sha "$D/got")" = "$want" ]
		fi
		if wait $put; then echo "$role: put went through"; fi
		echo "$role: $whole whole"
		# Then all is well again, on the node that was hit.
		wait_until 20 fetched "${URLS[2]}/$role" "$want"
		code "${URLS[2]}/up-$role" >"$D/code"
		[[ $(cat "$D/code") == 404 || ($(cat "$D/code") == 200 && $(sha "$D/body") == "$want") ]]
	done
	stop "$PID"
	[ "$STOPPED" -eq 0 ]
}

fetched() { curl -sf -m 20 "$1" -o "$D/got" && [ "$(sha "$D/got")" = "$2" ]; }

again() {
	local new
	new=$(role_pid 1 "$1") && [ "$new" != "$2" ]
}

@test "SIGTERM and SIGINT leave no process, and a whole store that the next one goes on with" {
	for signal in TERM INT; do
		group 2
		echo "by $signal" | curl -sf -T - "${URLS[1]}/$signal"
		curl -sf "${URLS[2]}/$signal"
		stop "$PID" $signal
		[ "$STOPPED" -eq 0 ]
		no_roles
	done
	key=$(cat "$D/group/group.key")
	[ "$(stat -c %a "$D/group/group.key")" = 600 ]
	group 2
	[ "$(cat "$D/group/group.key")" = "$key" ]
	[ "$(curl -sf "${URLS[1]}/TERM")" = "by TERM" ]
	[ "$(curl -sf "${URLS[2]}/INT")" = "by INT" ]
}

@test "SIGKILL of covey up takes the roles with it" {
	group 2
	[ -n "$(roles)" ]
	kill -9 "$PID"
	wait_until 5 no_roles
	group 2
	[ "$(code "${URLS[1]}/")" = 200 ]
}

@test "an upload under way when it is stopped is stored whole or not at all" {
	group 1
	bytes 20000000 >"$D/big"
	(curl -s --limit-rate 10M -T "$D/big" "${URLS[1]}/big" || :) &
	upload=$!
	staged() { find "/proc/$(role_pid 1 covey-httpd)/fd" -lname "*(deleted)" | grep .; }
	wait_until 10 staged
	stop "$PID"
	[ "$STOPPED" -eq 0 ]
	no_roles
	wait "$upload" || :
	group 1
	got=$(code "${URLS[1]}/big")
	[ "$got" = 404 ] || { [ "$got" = 200 ] && cmp "$D/body" "$D/big"; }
}

@test "a role that leaves when idle loses no request" {
	node_conf idle "$(port 1)" "limits: {idle_exit: 1s}"
	spawn up covey up -c "$CONF"
	wait_until 10 ready "$URL"
	echo content | curl -sf -T - "$URL/f"
	local pids=() asked=0 pid i
	processes() { printf '%s\n' "${pids[@]}" | sort -u | wc -l; }
	while [ "$asked" -lt 24 ] || [ "$(processes)" -lt 3 ]; do
		# Around the moment at which it leaves.
		sleep "$(printf '1.%02d' $((RANDOM % 30)))"
		for i in 1 2 3 4; do
			curl -sf -m 5 "$URL/f" -o "$D/body.$i" &
		done
		for i in 1 2 3 4; do wait -n; done
		for i in 1 2 3 4; do [ "$(cat "$D/body.$i")" = content ]; rm "$D/body.$i"; done
		asked=$((asked + 4))
		pid=$(pgrep -P "$PID" -f covey-httpd) || continue	# it has left already
		pids+=("$pid")
	done
	echo "asked $asked, by $(processes) processes"
	run pgrep -P "$PID" -f 'versiond|discoverd|syncd'
	[ -z "$output" ]
}

@test "a port in use is told, and nothing is left running" {
	spawn holder python3 -c "import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', $((PORT_BASE + 10)))); s.listen(); time.sleep(60)"
	wait_until 5 bash -c "ss -Htln 'sport = :$((PORT_BASE + 10))' | grep -q ."
	run covey up --nodes 2 --dir "$D/g" --port "$PORT_BASE"
	[ "$status" -eq 69 ]
	[[ $output == *"127.0.0.1:$((PORT_BASE + 10))"*"in use"* ]]
	no_roles
	stop "$PID"
	# The same for the UDP ports of a second one on the same directory.
	up 2
	run covey up --nodes 1 --dir "$D/g"
	[ "$status" -eq 69 ]
	[ "$(code "$(url 1)/.covey/healthz")" = 200 ]
}

@test "its own files are kept: another port is refused, more nodes join" {
	up 1
	stop "$PID"
	sed -i 's/^node:/node: # mine/' "$D/g/node1/covey.yaml"
	run covey up --dir "$D/g" --port $((PORT_BASE + 50))
	[ "$status" -eq 78 ]
	[[ $output == *"node1/covey.yaml"*"another port"* ]]
	spawn up covey up --nodes 2 --dir "$D/g/"
	wait_until 10 ready "$(url 1)"
	wait_until 10 ready "$(url 2)"
	grep -q '# mine' "$D/g/node1/covey.yaml"
	grep -q "seeds:.*127.0.0.1:$((PORT_BASE + 1))'.*127.0.0.1:$((PORT_BASE + 11))'" "$D/g/node2/covey.yaml"
	grep -q "seeds: \[ '127.0.0.1:$((PORT_BASE + 1))' \]" "$D/g/node1/covey.yaml"
}

@test "wrong usage, and a place too deep for sockets" {
	for arguments in "--nodes 0" "--nodes x" "--port 70000" "--nodes 101" "-c x --nodes 2" "operand" "--what"; do
		# shellcheck disable=SC2086
		run covey up $arguments
		echo "$arguments: $status $output"
		[ "$status" -eq 64 ]
	done
	run covey up --nodes 2 --port 65530 --dir "$D/h"
	[ "$status" -eq 78 ]
	[[ $output == *"ports end at 65535"* ]]
	run covey up --dir "$D/$(printf 'd%.0s' {1..90})" --port "$PORT_BASE"
	[ "$status" -eq 78 ]
	[[ $output == *"too long for sockets"* ]]
	no_roles
}
