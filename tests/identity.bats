#!/usr/bin/env bats
# Who said it: what is sealed or signed is for one node and one question, and an
# answer counts for the node that gave it, wherever it was asked.
load helpers

setup() { covey_setup; }

start_node() {
	host_conf "$1" 10.79.0.1:4721 10.79.0.2:4721
	spawn_on "$1" "h$1" covey up -c "$D/h$1/covey.yaml"
	# shellcheck disable=SC2034 # for lose_node
	UPS[$1]=$PID
}

id_of() { sed -n 's/^id *= *//p' "$D/h$1/store/node.ini"; }

# layout_of H FILTER: jq's FILTER of the layout as host H has it
layout_of() { host_curl "$1" "$(host_url "$1")/.covey/layout" | jq -r "$2"; }

# roles H NAME ROLE: the hosts that have this role for NAME, as host H knows
roles() {
	hosts exec "$1" covey-check --json -c "$D/h$1/covey.yaml" "$2" |
		jq -r "[.[] | select(.roles | index(\"$3\")) | .name | ltrimstr(\"h\")] | sort | join(\" \")"
}

# A name whose two keepers are both homes of it; sets NAME, K, M (keepers) and L (the third home).
choose_name() {
	local n homes keepers h
	for n in {1..60}; do
		NAME=d$n/f
		homes=" $(roles 1 "$NAME" home) " keepers=$(roles 1 "$NAME" keeper)
		read -r K M <<<"$keepers"
		[[ $homes == *" $K "* && $homes == *" $M "* ]] || continue
		for h in $homes; do
			[ "$h" = "$K" ] || [ "$h" = "$M" ] || L=$h
		done
		return
	done
	return 1
}

is_joint() { [ "$(layout_of "$1" .joint)" = true ]; }
is_single() { [ "$(layout_of "$1" .joint)" = false ]; }

@test "a replacement does not speak for the dead" {
	local h others try
	need hosts
	(umask 077 && covey key new >"$D/group.key")
	hosts up 5
	for h in 1 2 3 4 5; do start_node "$h"; done
	for h in 1 2 3 4 5; do wait_until 30 host_curl "$h" -f "$(host_url "$h")/.covey/readyz"; done
	wait_until 40 hosts_settled 5
	choose_name
	echo old >old
	echo new >new
	[ "$(host_code "$K" -H 'Prefer: wait=10' -T old "$(host_url "$K")/$NAME")" = 201 ]
	[ "$(host_code "$L" -H 'Cache-Control: no-cache' "$(host_url "$L")/$NAME")" = 200 ]
	cmp body old
	others=$(for h in 1 2 3 4 5; do [ "$h" = "$L" ] || echo "$h"; done | paste -sd ,)
	hosts split "$others" "$L"
	[ "$(host_code "$K" -H 'Prefer: wait=10' -T new "$(host_url "$K")/$NAME")" = 204 ]
	lose_node "$K"
	lose_node "$M"
	rm -r "$D/h$K/store"
	hosts heal
	start_node "$K"
	wait_until 30 is_joint "$L"		# the new node takes the old one's place
	for try in {1..12}; do
		is_joint "$L" || { echo "try $try: a majority of the old homes is away"; return 1; }
		h=$(host_code "$L" -H 'Cache-Control: no-cache' "$(host_url "$L")/$NAME")
		[ "$h" = 504 ] || { echo "try $try: $h"; cat headers body; return 1; }
		sleep 0.1
	done
	start_node "$M"
	wait_until 40 is_single "$L"
	for h in "$L" "$K"; do
		wait_until 20 serves_new "$h"
		[ "$(host_curl "$h" "$(host_url "$h")/$NAME?versions" | wc -l)" -eq 2 ]
	done
}

serves_new() {
	[ "$(host_code "$1" -H 'Cache-Control: no-cache' "$(host_url "$1")/$NAME")" = 200 ] && cmp "$D/body" "$D/new"
}

@test "a sealed packet is for one node, by UDP and by HTTP" {
	local id other key
	group 3
	key=$GROUP/group.key
	id=$(curl -sf "${URLS[1]}/.covey/status" | jq -r .node)
	other=$(curl -sf "${URLS[2]}/.covey/status" | jq -r .node)
	want() { "$TOP/tests/packets" want "$key" "$1" $((PORT_BASE + 1)) $((PORT_BASE + 11)) $((PORT_BASE + 21)); }
	post() {
		"$TOP/tests/packets" wanted "$key" "$1" >packet
		code --data-binary @packet "${URLS[1]}/.covey/msg?to=$2"
	}
	[ "$(want "$id")" = 1 ]
	[ "$(want "$other")" = 1 ]
	[ "$(want 0000000000000001)" = 0 ]
	[ "$(want 0000000000000000)" = 0 ]	# to whoever reads it: gossip alone
	[ "$(post "$id" discovery)" = 200 ]
	[ "$(post "$other" discovery)" = 204 ]
	[ "$(post "$id" versions)" = 403 ]	# another role
	[ "$(post "$id" sync)" = 403 ]
}

@test "what was signed for one node is refused by another, and answers are signed" {
	local id
	group 2
	id=$(curl -sf "${URLS[1]}/.covey/status" | jq -r .node)
	peer() { "$TOP/tests/as-peer" "$GROUP/group.key" "$PORT_BASE" "$@" | sed -n 1p; }
	bytes 5000 >f
	version=20261123T050000.000000001Z-00000000000000aa-0
	[ "$(peer get "/?format=text" "Covey-Epoch=$(layout 1 .epoch)")" = 200 ]
	[ "$(peer get "/?format=text" elsewhere "Covey-Epoch=$(layout 1 .epoch)")" = 403 ]
	[ "$(peer push /f f $version elsewhere)" = 403 ]
	[ "$(peer push /f f $version other-trailer)" = 403 ]
	[ "$(code -H 'Cache-Control: only-if-cached' "${URLS[1]}/f?version=$version")" = 504 ]
	[ "$(peer push /f f $version)" = 201 ]
}

@test "while the key is changed, nodes that seal with the old one and the new one sync and list" {
	local i
	(umask 077 && covey key new >a && covey key new >b && cat a b >key1 && cat b a >key2)
	for i in 1 2; do
		node_conf "n$i" "$(port $((10 * i)))" "  discovery: $(port $((10 * i + 1)))
  versions: $(port $((10 * i + 2)))
group:
  key_file: ../key$i
  seeds: [ '127.0.0.1:$(port 11)' ]"
		spawn "n$i" covey up -c "$CONF"
		URLS[i]=$URL
		wait_until 20 ready "$URL"
		[ "$i" = 2 ] || wait_until 20 settled 1
		[ "$i" = 2 ] || echo one >f
		[[ "$(code -T f "$URL/f$i")" = 20[12] ]]
	done
	wait_until 30 settled 2
	for i in 1 2; do
		wait_until 20 lists_both "$i"
		[ "$(curl -s "${URLS[i]}/f1")" = one ]
		[ "$(curl -s "${URLS[i]}/f2")" = one ]
	done
}

lists_both() {
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[$1]}/?format=text")" = 200 ] &&
		[ "$(cut -f 1 "$D/body" | paste -sd ' ')" = "f1 f2" ]
}
