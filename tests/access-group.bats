#!/usr/bin/env bats
# Who may do what in groups of three and five: each node judges its clients, and none its peers.
load helpers

# A group of N whose nodes all have the same rules.
ruled_group() {
	printf 'ada:%s\nbob:%s\n' "$(openssl passwd -6 ada1)" "$(openssl passwd -6 bob1)" >users
	: >tokens
	# How far the group has come everybody may see here, as the helpers do.
	group "$1" "access:
  users: $D/users
  tokens: $D/tokens
  rules:
    - { path: /, who: users, may: [read, list, history] }
    - { path: '/home/{user}/', who: users, may: [read, list, history, write, delete, restore] }
    - { path: /pub/, who: anyone, may: [read, list] }
    - { path: /pub/, who: 'user:ada', may: [write] }
    - { path: /in/, who: 'token:t', may: [append] }
    - { path: /.covey/, who: anyone, may: [admin] }"
}

# answers STATUS CMD... - CMD prints it
answers() { [ "$("${@:2}")" = "$1" ]; }
as() { local who=$1; shift; code -u "$who:${who}1" "$@"; }

# walk WRITER READER OTHER - a life of some files, by nodes of the group
walk() {
	local w=${URLS[$1]} r=${URLS[$2]} o=${URLS[$3]} id
	echo one >one; echo two >two
	[ "$(as ada -T one "$w/home/ada/f")" = 201 ]
	id=$(header ETag | tr -d '"')
	[ "$(header Version-State)" = confirmed ]
	[ "$(as ada -T two "$o/home/ada/f")" = 204 ]
	[ "$(as ada "$r/home/ada/f")" = 200 ]
	cmp two body
	[ "$(header Version-State)" = confirmed ]
	[ "$(header Cache-Control)" = 'private, no-cache' ]
	[ "$(as ada "$r/home/ada/f?version=$id")" = 200 ]
	cmp one body
	[ "$(as ada "$r/home/ada/f?versions")" = 200 ]
	[ "$(wc -l <body)" -eq 2 ]
	# By each node: others may read it, and not change it; who shows nothing may do neither.
	for node in "${URLS[@]}"; do
		[ "$(as bob "$node/home/ada/f")" = 200 ]
		[ "$(as bob -T one "$node/home/ada/f")" = 403 ]
		[ "$(as bob -X DELETE "$node/home/ada/f")" = 403 ]
		[ "$(as bob -X POST "$node/home/ada/f?restore=$id")" = 403 ]
		[ "$(code "$node/home/ada/f")" = 401 ]
		[ "$(code "$node/home/ada/none")" = 401 ]
		[ "$(code -H 'Covey-Epoch: 1' "$node/home/ada/")" = 403 ]	# nobody is a peer by saying so
		[ "$(code -H 'Covey-Push: later' -T one "$node/home/ada/f")" = 403 ]
	done
	[ "$(as ada -X POST "$o/home/ada/f?restore=$id")" = 204 ] || [ "$(as ada "$o/home/ada/f")" = 200 ]
	[ "$(as ada "$w/home/ada/f")" = 200 ]
	cmp one body
	[ "$(as ada -T one "$w/pub/f")" = 201 ]
	[ "$(code "$r/pub/f")" = 200 ]
	[ "$(header Cache-Control)" = no-cache ]
	[ "$(code "$r/pub/?format=text")" = 200 ]
	[ "$(cut -f 1 body)" = f ]
	[ "$(as ada -X DELETE "$r/home/ada/f")" = 204 ]
	[ "$(as ada "$o/home/ada/f")" = 404 ]
}

# Each name that somebody may see is told by every node, the others by none.
indexes() {
	local node
	[ "$(as ada -T one "${URLS[1]}/home/ada/g")" = 201 ]
	[ "$(as bob -T one "${URLS[2]}/home/bob/g")" = 201 ]
	for node in "${URLS[@]}"; do
		[ "$(as bob "$node/?format=text")" = 200 ]
		[ "$(cut -f 1 body | tr '\n' ' ')" = 'home/ pub/ ' ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(as bob "$node/home/?format=text&limit=1")" = 200 ]
		[ "$(cut -f 1 body)" = ada/ ]
		[ "$(as bob "$node/home/?format=text&limit=1&after=ada")" = 200 ]
		[ "$(cut -f 1 body)" = bob/ ]
		[ "$(code "$node/?format=text")" = 401 ]
	done
}

@test "three nodes: written through one, read through another, judged by each" {
	ruled_group 3
	walk 1 2 3
	indexes
}

@test "five nodes: written through one, read through another, judged by each" {
	ruled_group 5
	walk 5 3 1
	indexes
}

@test "three nodes: a token that is made is taken by all, and one that is revoked by none" {
	local token i
	ruled_group 3
	echo x >f
	token=$(covey token new t -c "$GROUP/node1/covey.yaml")
	with() { code -H "Authorization: Bearer $token" "$@"; }
	for i in 1 2 3; do
		wait_until 15 answers 201 with -T f "${URLS[i]}/in/f$i"
		[ "$(with "${URLS[i]}/in/f$i")" = 404 ]
	done
	covey token revoke t -c "$GROUP/node2/covey.yaml"
	for i in 1 2 3; do
		wait_until 15 answers 401 with -T f "${URLS[i]}/in/f$i"
	done
	[ "$(as ada "${URLS[2]}/in/f3")" = 404 ]
}
