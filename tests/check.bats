# check.bats - covey-check tells who has which version, in words, in JSON and by its exit status
# shellcheck shell=bash disable=SC2034,SC2154

load helpers

# One home for a path, so that a node may have an older version, or none.
setup_file() { shared_group 3 'replication: {homes: 1, copies: 1}'; }
teardown_file() { end_shared_group; }
setup() {
	covey_setup
	use_shared_group 3
}

check() { run covey-check -c "$GROUP/node$1/covey.yaml" "${@:2}"; }

# homed I NAME: a directory NAME... whose names have node I as their home
homed() {
	local n
	for n in {1..100}; do
		check "$1" --json "$2$n/x" >/dev/null
		! jq -e '.[0].roles | contains(["home"])' <<<"$output" >/dev/null || { echo "$2$n"; return 0; }
	done
	return 1
}

@test "wrong usage, no configuration, no path: sysexits, not a verdict" {
	run covey-check
	[ "$status" -eq 64 ]
	run covey-check --frobnicate a
	[ "$status" -eq 64 ]
	run covey-check -c "$D/none.yaml" a
	[ "$status" -eq 78 ]
	for path in / "" a//b ../a .covey/x; do
		run covey-check --run "$D" "$path"
		[ "$status" -eq 65 ]
	done
	run covey-check --help
	[ "$status" -eq 0 ]
	[[ $output == usage:* ]]
}

@test "covey-versiond is away: unknown" {
	run covey-check --run "$D" a
	[ "$status" -eq 2 ]
	[[ $output == *"version.sock"* ]]
	run covey-check -q --run "$D" a
	[ "$status" -eq 2 ]
	[ -z "$output" ]
}

@test "a group of one: one row, and it is the newest" {
	covey key new >"$D/key"
	node_conf alone "$(port 60)" "  discovery: $(port 61)
  versions: $(port 62)
group: {key_file: $D/key}"
	spawn alone covey up -c "$CONF"
	wait_until 10 ready "$URL"
	wait_until 10 eval '[ "$(curl -sf "$URL/.covey/layout" | jq .epoch)" = 1 ]'	# it has founded its group
	bytes 5000 >a
	[ "$(code -T a "$URL/docs/a")" = 201 ]
	run covey-check -c "$CONF" docs/a
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ ${lines[0]} == "* "*" home,keeper content "*" 5000 $(sha a | cut -c 1-12) "* ]]
	run covey-check -c "$CONF" --json /docs/a
	[ "$status" -eq 0 ]
	[ "$(jq -r '.[0] | "\(.self) \(.newest) \(.has) \(.size) \(.sha256)"' <<<"$output")" = "true true content 5000 $(sha a)" ]
	[ "$(jq -r '.[0].version' <<<"$output")" = "$(code "$URL/docs/a" >/dev/null; header ETag | tr -d '"')" ]
	run covey-check -c "$CONF" -q nothing-there
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "a row per node, the newest marked; exit 0, 1 and 2" {
	local d
	d=$(homed 3 rows)
	bytes 100 >a
	bytes 200 2 >b
	[ "$(code -T a "${URLS[1]}/$d/a")" = 201 ]
	[ "$(code "${URLS[2]}/$d/a")" = 200 ]
	[ "$(code -T b "${URLS[3]}/$d/a")" = 204 ]
	check 3 "$d/a"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 3 ]
	[ "$(grep -c '^\* ' <<<"$output")" -eq 1 ]
	[[ ${lines[0]} == "* "*" home"*" 200 "* ]]
	check 1 -q "$d/a"
	[ "$status" -eq 1 ]
	wait_until 5 test -f "${STORES[2]}/tree/$d/a"	# the read has been stored by now
	check 2 --json "$d/a"
	[ "$status" -eq 1 ]
	[ "$(jq -c '[.[] | .size] | sort' <<<"$output")" = "[100,100,200]" ]
	[ "$(jq '[.[] | select(.newest)] | length' <<<"$output")" -eq 1 ]
	[ "$(jq -r '.[] | select(.newest) | .sha256' <<<"$output")" = "$(sha b)" ]
	[ "$(jq '[.[] | select(.answered and .age_ms < 5000 and .state == "up")] | length' <<<"$output")" -eq 3 ]

	victim=$(role_pid 2 covey-versiond)
	kill -STOP "$victim"
	check 3 "$d/a"
	[ "$status" -eq 2 ]
	[ "$(grep -c ' silent ' <<<"$output")" -eq 1 ]
	# A newer one that is known stays a fact, whoever is silent.
	check 1 -q "$d/a"
	[ "$status" -eq 1 ]
	kill -CONT "$victim"
}

@test "deleted, directories, and what nobody has" {
	local d
	d=$(homed 2 gone)
	bytes 10 >a
	[ "$(code -T a "${URLS[1]}/$d/a")" = 201 ]
	[ "$(code -X DELETE "${URLS[2]}/$d/a")" = 204 ]
	check 2 "$d/a"
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "* "*" deleted "* ]]
	check 1 "$d/a"
	[ "$status" -eq 1 ]
	check 1 "$d"
	[[ ${lines[0]} == *" directory "* ]]
	check 1 nobody/has/it
	[ "$status" -eq 0 ]
	[ "$(grep -c ' none ' <<<"$output")" -eq 3 ]
}

@test "paths from standard input, of any bytes; composes in a pipe" {
	local d conf1=$GROUP/node1/covey.yaml conf2=$GROUP/node2/covey.yaml
	d=$(homed 1 many)
	mkdir many
	for name in plain 'with space' 'a%20b' $'\xff\xfe' $'tab\there'; do
		printf %s "$name" >"many/$name"
		code -T "many/$name" "${URLS[1]}/$d/$(printf %s "$name" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g')"
	done
	cd "${STORES[1]}/tree"
	run bash -c 'find "$2" -type f | covey-check -c "$1" -q -' - "$conf1" "$d"
	[ "$status" -eq 0 ]
	run bash -c 'find "$2" -type f | covey-check -c "$1" -q -' - "$conf2" "$d"
	[ "$status" -eq 1 ]
	run bash -c 'find "$2" -type f -print0 | covey-check -c "$1" -0 --json - | jq -r .href | LC_ALL=C sort' - "$conf1" "./$d"
	[ "$status" -eq 0 ]
	[ "$output" = "$(printf "/$d/%s\n" %FF%FE a%2520b plain tab%09here with%20space)" ]
	run bash -c 'yes "$2/plain" | covey-check -c "$1" - | head -n 3; echo "${PIPESTATUS[1]}"' - "$conf1" "$d"
	[ "${lines[3]}" -eq 141 ]
	run bash -c 'printf "$2/plain\nno//path\n" | covey-check -c "$1" -q -' - "$conf1" "$d"
	[ "$status" -eq 65 ]
	run bash -c 'covey-check -c "$1" "$2/plain" >/dev/full' - "$conf1" "$d"
	[ "$status" -eq 74 ]
}

@test "covey peers and covey layout tell who is what" {
	local epoch
	epoch=$(layout 1 .epoch)
	run covey peers --node "${URLS[1]}"
	[ "$status" -eq 0 ]
	echo "$output"
	[ "${#lines[@]}" -eq 3 ]
	for i in 2 3; do [[ $output == *" node$i "*" up "*" home, council "*" $epoch"* ]]; done
	[ "$(covey peers --json --node "${URLS[2]}" | jq -c '[.[] | .name] | sort')" = '["node1","node3"]' ]
	run covey layout show -c "$GROUP/node3/covey.yaml"
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "lineage $(layout 1 .lineage), epoch $epoch" ]]
	[[ ${lines[1]} == "homes 1, copies 1, keep.versions 100, keep.days 0"* ]]
	[ "$(covey layout show --json --node "${URLS[1]}" | jq -c '[.members[] | select(.self) | .name]')" = '["node1"]' ]
	# The same number again changes nothing.
	covey layout set -c "$GROUP/node2/covey.yaml" homes=1 copies=1
	[ "$(layout 1 .epoch)" -eq "$epoch" ]
	run covey layout force --yes -c "$GROUP/node2/covey.yaml"
	[ "$status" -ne 0 ]
	[[ $output == *"What may be lost"* ]]
	run covey layout force -c "$GROUP/node2/covey.yaml" </dev/null
	[ "$status" -eq 64 ]
	[[ $output == *"nothing was changed"* ]]
}
