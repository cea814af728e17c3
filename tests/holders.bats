#!/usr/bin/env bats
# Deletions and newer versions reach whoever holds a file without being its home, without a read.
load helpers

setup_file() { shared_group 6; }
teardown_file() { end_shared_group; }
setup() { covey_setup; use_shared_group 6; }

# seek NAME - a path P, a HOLDER that is neither home nor keeper of it, a KEEPER that is no home,
# and a HOME
seek() {
	local i
	for ((i = 0; i < 100; i++)); do
		P=$1$i/f
		printf "%s\\0" "$P" | covey-check -c "$GROUP/node1/covey.yaml" --json -0 - >roles || :
		HOLDER=$(having '.roles == []')
		KEEPER=$(having '(.roles | index("keeper")) and (.roles | index("home") | not)')
		HOME_OF_IT=$(having '(.roles | index("home"))')
		[ -z "$HOLDER" ] || [ -z "$KEEPER" ] || return 0
	done
	return 1
}

# having FILTER - the number of a node of `roles` for which it holds
having() { jq -r "[.nodes[] | select($1) | .name][0] // \"\" | ltrimstr(\"node\")" roles; }

file() { echo "${STORES[$1]}/$2"; }
# Every tree is without the path.
gone() {
	local i
	for ((i = 1; i <= 6; i++)); do [ ! -e "$(file "$i" "tree/$1")" ] && [ ! -L "$(file "$i" "tree/$1")" ] || return 1; done
}
# No tree has a file there with other bytes, and none a pointer to another version.
current() {
	local i tree
	for ((i = 1; i <= 6; i++)); do
		tree=$(file "$i" "tree/$1")
		if [ -L "$tree" ]; then [[ $(readlink "$tree") == "$3 "* ]] || return 1
		elif [ -e "$tree" ]; then [ "$(cat "$tree")" = "$2" ] || return 1; fi
	done
}
put() { echo "$2" | code -T - "${URLS[$1]}/$P" >status; [[ $(cat status) == 20[14] ]]; VERSION=$(header ETag | tr -d '"'); }
# A round of every node, which otherwise is an hour away: a slow push may have left copies elsewhere, too.
round() { local i; for i in 1 2 3 4 5 6; do kill -KILL "$(role_pid "$i" covey-syncd)"; done; }
kept() { [ -f "$(file "$KEEPER" "$1")" ]; }

@test "a keeper that returns gets what it has lost, without a read" {
	seek r
	put "$HOME_OF_IT" one
	wait_until 10 kept "tree/$P"
	rm "$(file "$KEEPER" "tree/$P")"
	kill -KILL "$(role_pid "$KEEPER" covey-discoverd)"	# so fast that nobody sees it go
	wait_until 20 kept "tree/$P"
}

@test "what was deleted elsewhere is in no tree any more, and the holder's copy goes" {
	seek a
	put "$HOLDER" one
	wait_until 10 kept "tree/$P"
	[ "$(code -X DELETE "${URLS[HOME_OF_IT]}/$P")" = 204 ]
	[ "$(cat "$(file "$HOLDER" "tree/$P")")" = one ]
	[ "$(cat "$(file "$KEEPER" "tree/$P")")" = one ]
	round
	wait_until 20 gone "$P"
	wait_until 20 test -L "$(file "$HOLDER" "history/$P/,$VERSION")"
	[ "$(cat "$(file "$KEEPER" "history/$P/,$VERSION")")" = one ]
	[ "$(curl -sf "${URLS[HOLDER]}/$P?version=$VERSION")" = one ]
}

@test "what is newer elsewhere replaces what is older in each tree, and the holder's copy goes" {
	local old try
	# A slow push may bring the holder the newer content itself: then another path.
	for try in {1..9}; do
		seek "b$try-"
		put "$HOLDER" one
		old=$VERSION
		wait_until 10 kept "tree/$P"
		put "$HOME_OF_IT" two
		[ "$(cat "$(file "$HOLDER" "tree/$P")")" != one ] || break
	done
	[ "$(cat "$(file "$HOLDER" "tree/$P")")" = one ]
	round
	wait_until 20 current "$P" two "$VERSION"
	wait_until 20 test -L "$(file "$HOLDER" "history/$P/,$old")"
	[ "$(cat "$(file "$KEEPER" "history/$P/,$old")")" = one ]
	[ "$(curl -sf "${URLS[HOLDER]}/$P")" = two ]
	[ "$(curl -sf "${URLS[HOLDER]}/$P?version=$old")" = one ]
}

@test "a holder that asks for itself has it at once" {
	seek c
	put "$HOLDER" one
	[ "$(code -X DELETE "${URLS[HOME_OF_IT]}/$P")" = 204 ]
	[ -e "$(file "$HOLDER" "tree/$P")" ]
	[ "$(code "${URLS[HOLDER]}/$P")" = 404 ]
	wait_until 20 test ! -e "$(file "$HOLDER" "tree/$P")"
	put "$HOLDER" two
	put "$HOME_OF_IT" three
	[ "$(code -I "${URLS[HOLDER]}/$P")" = 200 ]
	# A slow push may have brought it the newer content itself.
	old_copy_gone() {
		local tree
		tree=$(file "$HOLDER" "tree/$P")
		if [ -L "$tree" ]; then [[ $(readlink "$tree") == "$VERSION "* ]]; else [ "$(cat "$tree")" = three ]; fi
	}
	wait_until 20 old_copy_gone
}
