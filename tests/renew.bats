#!/usr/bin/env bats
# A disk is put back to what it was, or copied: its node is silent, says so,
# and comes back with all that it has by `covey node renew`.
load helpers

NODES=3

configure() { lone_conf "$1" "$NODES"; }

# nodes I... - the first ones of a group
nodes() {
	local i
	covey key new >group.key
	chmod 600 group.key
	for i; do configure "$i"; done
	run_node "$@"
	wait_until 30 settled "$@"
}

id_of() { sed -n 's/^id = //p' "${STORES[$1]}/node.ini"; }

# settled I... - these are the members of one layout that is not joint, all up and none silent
settled() {
	local i ids
	ids=$(for i; do id_of "$i"; done | sort)
	for i; do
		curl -sf -m 2 "${URLS[$i]}/.covey/layout" >seen || return
		[ "$(jq -r 'if .joint then "joint" else .members[] | select(.in_a) | .node end' seen | sort)" = "$ids" ] || return
		jq -e 'all(.members[] | select(.in_a); .state == "up" and (.silent | not))' seen || return
	done
}

logged() { grep -q "$2" "$D/n$1.log"; }
silence() { curl -sf -m 2 "${URLS[$1]}/.covey/status" | jq -r .silent; }
names_the_command() { silence "$1" | grep -q 'covey node renew'; }
speaks() { [ "$(silence "$1")" = null ]; }

# reads I NAME: node I confirms the file as it was written
reads() {
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[$1]}/$2")" = 200 ] || return
	[ "$(header Version-State)" = confirmed ] || return
	cmp body "sent/$2"
}

# write I NAME
write() {
	mkdir -p sent
	bytes 3000 "$RANDOM" >"sent/$2"
	[ "$(code -T "sent/$2" "${URLS[$1]}/$2")" = 201 ]
}

@test "a disk that was put back is silent, says so everywhere, and renewed it is back with all it has" {
	local was
	nodes 1 2 3
	for f in a b c d; do write 2 $f; done
	stop_node 2
	cp -a "${STORES[2]}" copy
	run_node 2
	wait_until 20 settled 1 2 3
	write 2 late
	run covey node renew -c "${CONFS[2]}"	# while it runs
	[ "$status" -eq 65 ]
	[[ $output == *"programs of this node run, stop them first"* ]]
	stop_node 2
	rm -r "${STORES[2]}"
	mv copy "${STORES[2]}"
	was=$(id_of 2)

	run_node 2
	wait_until 15 names_the_command 2
	logged 2 "others remember a start of this node that this disk does not know: this node is silent"
	[ "$(code "${URLS[2]}/.covey/readyz")" = 503 ]
	grep -q "this node is silent.*covey node renew" body
	covey status --node "${URLS[2]}" | grep -q '^silent .*covey node renew'
	wait_until 15 eval 'covey layout show --node "${URLS[1]}" | grep "$was" | grep -q silent'
	stop_node 2
	run_node 2			# it stays so
	wait_until 5 names_the_command 2
	stop_node 2

	run covey node renew -c "${CONFS[2]}"
	[ "$status" -eq 0 ]
	[[ $output == "node $was is $(id_of 2) now; "*" versions go to the group when it is started" ]]
	[ "$(id_of 2)" != "$was" ]
	run_node 2
	wait_until 30 settled 1 2 3
	speaks 2
	for f in a b c d late; do for i in 1 2 3; do reads $i $f; done; done
	wait_until 10 eval '[ "$(curl -sf "${URLS[2]}/.covey/status" | jq .outbox)" = 0 ]'
}

@test "a copy of a running node's store is silent, the node is not; renewed the copy is one more" {
	nodes 1 2 3
	for f in a b c; do write 1 $f; done
	configure 4
	cp -a "${STORES[2]}" "${STORES[4]}"
	run_node 4
	wait_until 20 names_the_command 4
	wait_until 10 settled 1 2 3
	speaks 2
	[ "$(grep -c "is silent" n2.log)" -eq 0 ]
	write 2 d
	stop_node 4
	wait_until 15 settled 1 2 3
	write 2 e
	covey node renew -c "${CONFS[4]}"
	run_node 4
	wait_until 30 settled 1 2 3 4
	for f in a b c d e; do reads 4 $f; done
}

@test "what a renewed node alone knows reaches those who are to know it" {
	NODES=5
	nodes 1 2 3 4 5
	stop_node 1 3 4 5
	mkdir sent
	for d in {1..12}; do
		echo "$d" >"sent/$d"
		[ "$(code -T "sent/$d" "${URLS[2]}/d$d/f")" = 202 ]
	done
	stop_node 2
	rm "${STORES[2]}"/outbox/*	# as if all had been told, and lost it
	covey node renew -c "${CONFS[2]}"
	run_node 1 2 3 4 5
	wait_until 40 settled 1 2 3 4 5
	wait_until 60 eval '[ "$(curl -sf "${URLS[2]}/.covey/status" | jq .outbox)" = 0 ]'
	stop_node 2
	for d in {1..12}; do
		[ "$(code "${URLS[1]}/d$d/f")" = 200 ]
		cmp body "sent/$d"
	done
}
