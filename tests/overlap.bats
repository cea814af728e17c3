# overlap.bats - a large body goes on to a keeper while it still comes; whatever breaks
# meanwhile, nobody is left with a part of it
#
# A real group, asked through node 1 by a client that stops in the middle.
# shellcheck shell=bash disable=SC2034,SC2154

load helpers

teardown() {
	_end_leftovers
	! mountpoint -q "$D/group/node2/store" || umount -l "$D/group/node2/store"
	covey_teardown
}

# A client that sends half of a file, and the rest when $D/go is there; then prints the status.
HALVES='import os, socket, sys, time
port, path, name = sys.argv[1:]
with open(name, "rb") as f:
    body = f.read()
s = socket.create_connection(("127.0.0.1", int(port)))
s.sendall(b"PUT %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nPrefer: wait=60\r\nContent-Length: %d\r\n\r\n" %
          (path.encode(), len(body)))
s.sendall(body[:len(body) // 2])
while not os.path.exists("go"):
    time.sleep(0.02)
s.sendall(body[len(body) // 2:])
print(s.makefile("rb").read(12)[9:].decode())'

# halves PATH: it sends big there; CLIENT is its process, and its status comes to client.log
halves() {
	spawn client python3 -c "$HALVES" "${URLS[1]##*:}" "$1" big
	CLIENT=$PID
}

# answered STATUS: when the client has sent the rest
answered() {
	touch go
	wait "$CLIENT"
	[ "$(cat client.log)" = "$1" ] || { echo "the client got $(cat client.log)"; return 1; }
}

# receiving PATH: the client has sent half of big, RECEIVER has most of that
receiving() {
	bytes 60000000 >big
	halves "$1"
	wait_until 20 receives 28000000
}

# unnamed PID: the sizes of the files without a name that it has
unnamed() { find "/proc/$1/fd" -lname '*(deleted)' -exec stat -Lc %s {} +; }

# stages I ROLE: of bodies in the group's node I
stages() { unnamed "$(role_pid "$1" "covey-$2")"; }

# Another node has so much of the body: RECEIVER
receives() {
	local i size
	for ((i = 2; i <= ${#URLS[@]}; i++)); do
		size=$(stages $i httpd)
		if [ "${size:-0}" -ge "$1" ]; then
			RECEIVER=$i
			return 0
		fi
	done
	return 1
}

# No body without a name, and no file, on any node.
nothing_left() {
	local i
	for ((i = 1; i <= ${#URLS[@]}; i++)); do
		[ -z "$(stages $i httpd)" ] || return 1
		[ -z "$(stages $i syncd)" ] || return 1
		[ -z "$(find "${STORES[i]}"/{tree,tmp,history} -type f)" ] || return 1
	done
}

nobody_knows() {
	local url
	for url in "${URLS[@]}"; do [ "$(code "$url$1")" = 404 ] || return 1; done
	[ "$(curl -sf "${URLS[1]}/.covey/status" | jq .outbox)" -eq 0 ]
}

# copies PATH: how many nodes have big there on their disks
copies() {
	local i count=0
	for ((i = 1; i <= ${#URLS[@]}; i++)); do
		! cmp -s big "${STORES[i]}/tree$1" || count=$((count + 1))
	done
	echo "$count"
}
has_copies() { [ "$(copies "$1")" -ge "$2" ]; }

reads() {
	local status
	status=$(code "$1$2")
	[ "$status" = 200 ] || { echo "GET $1$2: $status $(head -c 200 body)"; return 1; }
	cmp body big
}

everybody_reads() {
	local url
	for url in "${URLS[@]}"; do reads "$url" "$1" || return 1; done
}

comes_while_sent() {
	group "$1"
	receiving /d/big
	[ "$(copies /d/big)" -eq 0 ]
	nobody_knows /d/big
	answered 201
	[ "$(copies /d/big)" -ge 2 ]
	everybody_reads /d/big
}
@test "a keeper has what the client has sent so far, and shows none of it; in a group of three" { comes_while_sent 3; }
@test "a keeper has what the client has sent so far, and shows none of it; in a group of five" { comes_while_sent 5; }

client_leaves() {
	group "$1"
	receiving /big
	kill -9 "$CLIENT"
	wait_until 10 nothing_left
	nobody_knows /big
}
@test "a client that breaks off leaves nothing at a keeper; in a group of three" { client_leaves 3; }
@test "a client that breaks off leaves nothing at a keeper; in a group of five" { client_leaves 5; }

keeper_dies() {
	group "$1"
	receiving /big
	kill -9 "$(role_pid "$RECEIVER" covey-httpd)"
	answered 201
	[ "$(copies /big)" -ge 2 ]
	wait_until 20 outbox_empty 1
	everybody_reads /big
}
@test "a keeper that dies in the middle: the write is confirmed, with as many copies; in a group of three" { keeper_dies 3; }
@test "a keeper that dies in the middle: the write is confirmed, with as many copies; in a group of five" { keeper_dies 5; }

origin_dies() {
	group "$1"
	receiving /big
	kill -9 "$(role_pid 1 covey-httpd)" "$(role_pid 1 covey-syncd)"
	touch go
	wait "$CLIENT" || :
	[ "$(cat client.log)" != 201 ]
	wait_until 20 ready "${URLS[1]}"
	wait_until 20 nothing_left
	nobody_knows /big
	[ "$(code -T big "${URLS[1]}/big")" = 201 ]
	everybody_reads /big
}
@test "a node that dies while it is sent a body: nothing of it is anywhere; in a group of three" { origin_dies 3; }
@test "a node that dies while it is sent a body: nothing of it is anywhere; in a group of five" { origin_dies 5; }

@test "covey-httpd dies alone while it is sent a body: the keeper waits no longer than for a client" {
	group 3 $'limits: { idle_timeout: 15s }\ntimeouts: { check: 1s, store: 5s }'
	receiving /big
	kill -9 "$(role_pid 1 covey-httpd)"
	wait_until 20 ready "${URLS[1]}"
	wait_until 20 nothing_left
	nobody_knows /big
}

# kept_by CONF NAME NAME: these nodes, in this order, are the keepers of P
kept_by() {
	local n
	for ((n = 0; n < 300; n++)); do
		P=/p$n
		printf '%s\0' "${P#/}" | covey-check -c "$1" --json -0 - >roles || :
		[ "$(jq -c '[.nodes[] | select(.roles | index("keeper")) | .name] | sort' roles)" != "[\"$2\",\"$3\"]" ] ||
			return 0
	done
	return 1
}

keeper_full() {
	local i
	[ "$(id -u)" -eq 0 ] || skip "NOT RUN: mounting needs root"
	need mkfs.ext4
	group_conf "$1" 'timeouts: { check: 1s, store: 5s }'
	sed -i "s|^  store: .*|&\n  run: $D/run|" "$D/group/node2/covey.yaml"
	mkdir -p "$D/group/node2/store"
	truncate -s 192M image		# half of it fits
	mkfs.ext4 -q -F -m 0 image
	mount -o loop image "$D/group/node2/store" || skip "NOT RUN: no loop devices here"
	group "$1"
	kept_by "$D/group/node1/covey.yaml" node1 node2
	bytes 240000000 >big
	halves "$P"
	wait_until 20 receives 28000000
	[ "$RECEIVER" -eq 2 ]
	answered 201
	[ "$(copies "$P")" -ge 2 ]
	[ ! -f "${STORES[2]}/tree$P" ]
	[ -z "$(stages 2 httpd)" ]
	# Node 2 has no room to pass on so much.
	for ((i = 1; i <= $1; i++)); do [ $i -eq 2 ] || reads "${URLS[i]}" "$P"; done
	[ "$(code -T - "${URLS[2]}/small" <<<fits)" = 201 ]
}
@test "a keeper whose disk is full in the middle: another has the copy, and it has its room again; in a group of three" { keeper_full 3; }
@test "a keeper whose disk is full in the middle: another has the copy, and it has its room again; in a group of five" { keeper_full 5; }

# httpds FROM TO: covey-httpd of these nodes
httpds() {
	local i
	for ((i = $1; i <= $2; i++)); do pgrep -P "${UPS[i]}" covey-httpd; done
}

# bodies I ROLE: as stages, of a node with a `covey up` of its own
bodies() { unnamed "$(pgrep -P "${UPS[$1]}" "covey-$2")"; }

# served PID...: bytes that these have sent of files
served() {
	local pid sum=0
	for pid; do sum=$((sum + $(awk '/^rchar/ { print $2 }' "/proc/$pid/io"))); done
	echo $sum
}

# is_given I: a content is on its way to node I from who owes it, or is there
is_given() { cmp -s big "${STORES[$1]}/tree$P" || bodies "$1" httpd | grep -qv '^0$'; }
pulls_nothing() { [ -z "$(bodies "$1" syncd)" ]; }

# While it is found out that it lacks the content, nobody gives it but who owes it: else it would depend
# on which of the two is quicker how much it has fetched before it is given the first bytes.
owed_once() {
	local n=$1 i before after others
	(umask 077 && covey key new >group.key)
	for ((i = 1; i <= n; i++)); do lone_conf $i "$n"; done
	mapfile -t all < <(seq 1 "$n")
	run_node "${all[@]}"
	wait_until 60 settled
	kept_by "${CONFS[1]}" n1 "n$n"
	bytes 150000000 >big
	stop_node "$n"
	[ "$(code -H 'Prefer: wait=60' -T big "${URLS[1]}$P")" = 201 ]
	mapfile -t others < <(httpds 1 $((n - 1)))
	[ ${#others[@]} -eq $((n - 1)) ]
	before=$(served "${others[@]}")
	hold "${others[@]}"
	run_node "$n"
	wait_until 60 is_given "$n"
	nap 0.5				# it looks for that ten times a second
	release
	wait_until 60 cmp big "${STORES[n]}/tree$P"
	wait_until 60 outbox_empty 1
	wait_until 60 pulls_nothing "$n"
	after=$(served "${others[@]}")
	echo "fetched, beside what was given: $((after - before)) bytes"
	[ $((after - before)) -lt 10000000 ]
}
@test "a node that returns is given what it is owed, and does not fetch it as well; in a group of three" { owed_once 3; }
@test "a node that returns is given what it is owed, and does not fetch it as well; in a group of five" { owed_once 5; }
