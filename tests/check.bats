# check.bats - covey-check tells who has which version, in words, in JSON and by its exit status
# shellcheck shell=bash disable=SC2034,SC2154

load helpers

check() { run covey-check -c "$D/group/node$1/covey.yaml" "${@:2}"; }

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
	group 1
	bytes 5000 >a
	[ "$(code -T a "${URLS[1]}/docs/a")" = 201 ]
	check 1 docs/a
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ ${lines[0]} == "* "*" content "*" 5000 $(sha a | cut -c 1-12) "* ]]
	check 1 --json /docs/a
	[ "$status" -eq 0 ]
	[ "$(jq -r '.[0] | "\(.self) \(.newest) \(.has) \(.size) \(.sha256)"' <<<"$output")" = "true true content 5000 $(sha a)" ]
	[ "$(jq -r '.[0].version' <<<"$output")" = "$(code "${URLS[1]}/docs/a" >/dev/null; header ETag | tr -d '"')" ]
	check 1 -q nothing-there
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "a row per node, the newest marked; exit 0, 1 and 2" {
	group 3
	bytes 100 >a
	bytes 200 2 >b
	code -T a "${URLS[1]}/a"
	code "${URLS[2]}/a"
	code -T b "${URLS[3]}/a"
	check 3 a
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 3 ]
	[ "$(grep -c '^\* ' <<<"$output")" -eq 1 ]
	[[ ${lines[0]} == "* "*" 200 "* ]]
	check 1 -q a
	[ "$status" -eq 1 ]
	check 2 --json a
	[ "$status" -eq 1 ]
	[ "$(jq -c '[.[] | .size] | sort' <<<"$output")" = "[100,100,200]" ]
	[ "$(jq '[.[] | select(.newest)] | length' <<<"$output")" -eq 1 ]
	[ "$(jq -r '.[] | select(.newest) | .sha256' <<<"$output")" = "$(sha b)" ]
	[ "$(jq '[.[] | select(.answered and .age_ms < 5000 and .state == "up")] | length' <<<"$output")" -eq 3 ]

	victim=$(role_pid 2 covey-versiond)
	kill -STOP "$victim"
	check 3 a
	[ "$status" -eq 2 ]
	[ "$(grep -c ' silent ' <<<"$output")" -eq 1 ]
	# A newer one that is known stays a fact, whoever is silent.
	check 1 -q a
	[ "$status" -eq 1 ]
	kill -CONT "$victim"
}

@test "deleted, directories, and what nobody has" {
	group 2
	bytes 10 >a
	code -T a "${URLS[1]}/d/a"
	code -X DELETE "${URLS[2]}/d/a"
	check 2 d/a
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "* "*" deleted "* ]]
	check 1 d/a
	[ "$status" -eq 1 ]
	check 1 d
	[[ ${lines[0]} == *" directory "* ]]
	check 1 nobody/has/it
	[ "$status" -eq 0 ]
	[ "$(grep -c ' none ' <<<"$output")" -eq 2 ]
}

@test "paths from standard input, of any bytes; composes in a pipe" {
	group 2
	mkdir many
	for name in plain 'with space' 'a%20b' $'\xff\xfe' $'tab\there'; do
		printf %s "$name" >"many/$name"
		code -T "many/$name" "${URLS[1]}/m/$(printf %s "$name" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g')"
	done
	cd "${STORES[1]}/tree"
	run bash -c 'find . -type f | covey-check -c "$1" -q -' - "$D/group/node1/covey.yaml"
	[ "$status" -eq 0 ]
	run bash -c 'find . -type f | covey-check -c "$1" -q -' - "$D/group/node2/covey.yaml"
	[ "$status" -eq 1 ]
	run bash -c 'find . -type f -print0 | covey-check -c "$1" -0 --json - | jq -r .href | LC_ALL=C sort' - "$D/group/node1/covey.yaml"
	[ "$status" -eq 0 ]
	[ "$output" = "$(printf '%s\n' /m/%FF%FE /m/a%2520b /m/plain /m/tab%09here /m/with%20space)" ]
	run bash -c 'yes m/plain | covey-check -c "$1" - | head -n 3; echo "${PIPESTATUS[1]}"' - "$D/group/node1/covey.yaml"
	[ "${lines[3]}" -eq 141 ]
	run bash -c 'printf "m/plain\nno//path\n" | covey-check -c "$1" -q -' - "$D/group/node1/covey.yaml"
	[ "$status" -eq 65 ]
	run bash -c 'covey-check -c "$1" m/plain >/dev/full' - "$D/group/node1/covey.yaml"
	[ "$status" -eq 74 ]
}
