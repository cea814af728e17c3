#!/usr/bin/env bats
# A disk is lost: its node comes back with an empty one and a new id, at the
# same address, and nobody gives a command.
load helpers

NODES=3
FILES=24

start_node() {
	lone_conf "$1" "$NODES"
	run_node "$1"
	wait_until 20 ready "${URLS[$1]}"
}

# all of them are in one layout that is not joint
settled() {
	local url
	for url in "${URLS[@]}"; do
		curl -sf -m 2 "$url/.covey/layout" |
			jq -e "(.joint | not) and ([.members[] | select(.in_a and .state == \"up\")] | length == $NODES)" || return
	done
}

name_of() { echo "/d$(($1 % 4))/f$1"; }

# Every file has exactly two keepers, and both have its content, as node 1 sees it.
copies_are_back() {
	local n
	for ((n = 0; n < FILES; n++)); do name_of $n; done | covey-check --json -c "$D/n1/covey.yaml" - >checked || :
	jq -se "length == $FILES and all(.[]; [.nodes[] | select(.roles | index(\"keeper\"))] |
		length == 2 and all(.[]; .state == \"up\" and .has == \"content\"))" checked
}

# Every file is confirmed by node I, as it was written.
reads_all() {
	local n
	for ((n = 0; n < FILES; n++)); do
		[ "$(code -H 'Cache-Control: no-cache' "${URLS[$1]}$(name_of $n)")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		cmp body "$D/sent/$n"
	done
}

@test "a wiped disk of three costs no content, and both copies of each file come back by themselves" {
	covey key new >group.key
	chmod 600 group.key
	for i in 1 2 3; do start_node $i; done
	wait_until 30 settled
	mkdir sent
	for ((n = 0; n < FILES; n++)); do
		bytes $((n % 8 == 0 ? 2000000 : 10 + n * 331)) $n >sent/$n
		[ "$(code -T sent/$n "${URLS[1 + n % 3]}$(name_of $n)")" = 201 ]
	done
	wait_until 20 copies_are_back

	id=$(grep '^id' "$D/n2/store/node.ini")
	lose_node 2
	rm -rf "$D/n2/store"
	reads_all 1
	reads_all 3
	start_node 2
	[ "$(grep '^id' "$D/n2/store/node.ini")" != "$id" ]
	wait_until 60 copies_are_back
	wait_until 30 settled
	reads_all 2
}
