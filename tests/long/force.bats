#!/usr/bin/env bats
# Both halves of a cut group are forced: they stay apart, and say so, until people bring
# their nodes together; nothing that either side wrote is lost.
load ../helpers

setup() {
	covey_setup
	need hosts
	hosts up 5
	covey key new >"$D/group.key"
}

start_node() {
	host_conf "$1" 10.79.0.1:4721 10.79.0.3:4721
	spawn_on "$1" "h$1" covey up -c "$D/h$1/covey.yaml"
}

put() { host_curl "$1" -o "$D/body" -w '%{http_code}' -T - "$(host_url "$1")/$2" <<<"$3"; }
put_confirmed() { [[ $(put "$@") == 20[14] ]]; }
lay() { host_curl "$1" "$(host_url "$1")/.covey/layout" | jq -r "$2"; }
covey_on() { hosts exec "$1" covey "${@:2}" -c "$D/h$1/covey.yaml"; }

# one_layout H...: these have one layout, of exactly so many members, and all know it of all
one_layout() {
	local h seen=
	for h; do seen+=$(host_curl "$h" "$(host_url "$h")/.covey/layout" | settled_line)$'\n'; done
	is_settled $# <<<"$seen"
}

# sees H N: node H sees N nodes up, with itself
sees() { [ "$(lay "$1" '[.members[] | select(.state == "up")] | length')" -eq "$2" ]; }
of_lineage() { [ "$(lay "$1" .lineage)" = "$2" ]; }
logged() { grep -q "$2" "$D/h$1.log"; }
reads() { [ "$(host_curl "$1" -f -H 'Cache-Control: no-cache' "$(host_url "$1")/$2")" = "$3" ]; }
has_versions() { [ "$(host_curl "$1" "$(host_url "$1")/$2?versions&format=text" | grep -c "^[0-9]\{8\}T")" -eq "$3" ]; }

@test "two halves forced apart stay apart and say so; covey layout adopt loses no version of either" {
	local h one three old
	for h in 1 2 3 4 5; do start_node $h; done
	wait_until 40 one_layout 1 2 3 4 5
	old=$(lay 1 .lineage)
	[ "$(put 5 shared before)" -eq 201 ]

	hosts split 1,2 3,4 5
	for h in 1 2 3 4; do wait_until 20 sees $h 2; done
	run covey_on 1 layout force --yes
	[ "$status" -eq 0 ]
	run covey_on 3 layout force --yes
	[ "$status" -eq 0 ]
	one=$(lay 1 .lineage) three=$(lay 3 .lineage)
	[ "$one" != "$three" ]
	[ "$(lay 1 .left.lineage) $(lay 3 .left.lineage)" = "$old $old" ]
	wait_until 20 of_lineage 2 "$one"
	wait_until 20 of_lineage 4 "$three"
	wait_until 20 put_confirmed 1 shared one
	wait_until 20 put_confirmed 3 shared three
	wait_until 20 put_confirmed 3 only-there three

	hosts heal
	wait_until 30 logged 1 "another group has this key: lineage $three"
	wait_until 30 logged 3 "another group has this key: lineage $one"
	wait_until 30 logged 5 "another group has this key"
	reads 1 shared one
	reads 3 shared three
	of_lineage 5 "$old"
	run covey_on 1 layout show
	[[ $output == *"forced away from lineage $old"* ]]
	[[ $output == *"2 nodes of lineage $three stay apart; covey layout adopt $one"* ]]
	[ "$(host_curl 3 "$(host_url 3)/.covey/status" | jq -r .group.apart)" != null ]

	for h in 3 4 5; do
		run covey_on $h layout adopt "$one"
		[ "$status" -eq 0 ]
	done
	wait_until 60 one_layout 1 2 3 4 5
	for h in 1 2 3 4 5; do
		wait_until 30 has_versions $h shared 3
		wait_until 30 reads $h only-there three
	done
	run covey_on 1 layout adopt 00000000000000ff
	[ "$status" -ne 0 ]
	[[ $output == *"no node that is up is of it"* ]]
}
