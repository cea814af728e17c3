#!/usr/bin/env bats
# A disk that takes its time: who only reads, or writes elsewhere, does not wait for it.
load helpers

setup_file() {
	covey_setup
	gcc -shared -fPIC -o "$BATS_FILE_TMPDIR/held-disk.so" "$TOP/tests/held-disk.c"
	covey_teardown
}

setup() {
	covey_setup
	export HELD_DISK=$D/group/held		# beside the key, where roles may read
	# Preloaded before the sanitizer's own library, of which it replaces nothing.
	export ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0
	export LD_PRELOAD=$BATS_FILE_TMPDIR/held-disk.so
	group 3
	unset LD_PRELOAD
}

# Syncs below this directory of node 1's store do not return until let_go.
hold() { echo "${STORES[1]}/$1" >"$HELD_DISK"; }
let_go() { rm "$HELD_DISK"; }

# large LINE - so many bytes that they do not go by the log, with this line first
large() { printf '%s\n%60000s\n' "$1" ''; }

put() { curl -sS -m 60 -o /dev/null -w '%{http_code}\n' -T - "$@"; }

# Nobody is told of a version that is not on disk, and nobody waits for it.
reads_old() {
	local i
	for i in 1 2 3; do
		[ "$(code -m 20 "${URLS[i]}/docs/a")" = 200 ]
		[ "$(cat body)" = old ]
		[ "$(header Version-State)" = confirmed ]
	done
	[ "$(curl -sS -m 20 "${URLS[1]}/docs/a?versions" | wc -l)" -eq 1 ]
	[ "$(curl -sS -m 20 "${URLS[1]}/docs/?format=json" | jq -r '.[] | select(.name == "a").size')" = 3 ]
}

@test "a version that is not on disk yet: all read the one before, and other paths are written" {
	[ "$(printf old | put "${URLS[1]}/docs/a")" = 201 ]
	[ "$(printf x | put "${URLS[1]}/other/x")" = 201 ]
	hold tree/docs
	large newer | put "${URLS[1]}/docs/a" >put.code &
	writer=$!
	wait_until 20 grep -qx newer "${STORES[1]}/tree/docs/a"
	reads_old
	[ "$(printf y | put "${URLS[1]}/other/y")" = 201 ]
	reads_old
	let_go
	wait "$writer"
	[[ $(cat put.code) == 20[24] ]]
	for i in 1 2 3; do
		wait_until 20 curl_is newer "${URLS[i]}/docs/a"
	done
}

curl_is() { [ "$(curl -sS -m 10 "$2" | head -n 1)" = "$1" ]; }

@test "a version that is not in the log yet: all read the one before" {
	[ "$(printf old | put "${URLS[1]}/docs/a")" = 201 ]
	hold wal
	echo newer | put "${URLS[1]}/docs/a" >put.code &
	writer=$!
	sleep 1
	[ "$(cat "${STORES[1]}/tree/docs/a")" = old ]
	reads_old
	[ ! -s put.code ]
	let_go
	wait "$writer"
	[[ $(cat put.code) == 20[24] ]]
	for i in 1 2 3; do
		wait_until 20 curl_is newer "${URLS[i]}/docs/a"
	done
}

@test "more writers of one path than there are threads: other paths are written and read" {
	local i writers=()
	[ "$(printf old | put "${URLS[1]}/docs/a")" = 201 ]
	hold tree/docs
	for ((i = 0; i < 90; i++)); do large "new $i" | put "${URLS[1]}/docs/a" >>put.codes & writers+=($!); done
	wait_until 20 grep -q new "${STORES[1]}/tree/docs/a"
	reads_old
	for i in 1 2 3; do [ "$(printf y | put "${URLS[i]}/other/$i")" = 201 ]; done
	reads_old
	let_go
	wait "${writers[@]}"
	[ "$(grep -c '^20[24]$' put.codes)" -eq 90 ]
	[ "$(curl -sS "${URLS[1]}/docs/a?versions" | wc -l)" -eq 91 ]
}
