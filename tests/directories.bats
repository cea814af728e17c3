#!/usr/bin/env bats
# Directories where there are more nodes than homes: what stands at a name is
# the same on every node, whatever each has on its disk.
load helpers

# One group for the tests that leave it as it was; each uses names of its own.
setup_file() { shared_group 5 'timeouts: { check: 2s, store: 10s, push: 10s }'; }	# 201 on a busy machine, too
teardown_file() { end_shared_group; }
setup() {
	covey_setup
	use_shared_group 5
}

# What a test stopped goes on, or the next one would meet it.
teardown() {
	for _pid in $(children "$SHARED_PID"); do kill -CONT "$_pid"; done
	covey_teardown
}

is_gone() { ! kill -0 "$1" 2>kill.out; }

# stands WHAT PATH [BODY] - on every node, confirmed: file (with this body), directory or nothing
stands() {
	local i codes="" want
	case $1 in file) want=200 ;; directory) want=301 ;; nothing) want=404 ;; esac
	for i in "${!URLS[@]}"; do
		codes+="$(code -H 'Cache-Control: no-cache' "${URLS[i]}/$2") "
		[ "$1" != file ] || [ "$(cat body)" = "$3" ] || codes+="another-body "
	done
	[ "$codes" = "$(for i in "${!URLS[@]}"; do printf '%s ' $want; done)" ] ||
		{ echo "$2 is to be: $1; got: $codes"; return 1; }
}

# lists PATH NAME... - the index of PATH has just these, on every node, confirmed
lists() {
	local i got
	for i in "${!URLS[@]}"; do
		got=$(curl -sf -H 'Cache-Control: no-cache' "${URLS[i]}/$1?format=json" | jq -r 'map(.href) | join(" ")')
		[ "$got" = "${*:2}" ] || { echo "node $i lists in /$1: $got"; return 1; }
	done
}

# is_in_history PATH ETAG - on every node
is_in_history() {
	local i
	for i in "${!URLS[@]}"; do
		curl -sf "${URLS[i]}/$1?versions" | grep -q "^${2//\"/} " || { echo "not in node $i's history"; return 1; }
	done
}

# come_and_go N - a file in a directory is put at node 1, deleted at node N, the directory removed at
# node 1, and a file put in its place, for several names
come_and_go() {
	local i name
	for i in {1..6}; do
		name=go/e$i
		echo "$i" >f
		[ "$(code -T f "${URLS[1]}/$name/y")" = 201 ]
		[ "$(code -X DELETE "${URLS[$1]}/$name/y")" = 204 ]
		[ "$(code -X DELETE "${URLS[1]}/$name/")" = 204 ]
	done
	lists go/
	stands directory go
	for i in {1..6}; do
		name=go/e$i
		stands nothing "$name"
		echo "file $i" >f
		[ "$(code -T f "${URLS[1 + i % 2]}/$name")" = 201 ]
		stands file "$name" "file $i"
	done
	lists go/ e1 e2 e3 e4 e5 e6
}

@test "a directory goes when every node lists nothing in it, and a file takes its place: five nodes" {
	come_and_go 4
}

@test "a directory goes when every node lists nothing in it, and a file takes its place: four nodes" {
	PORT_BASE=$(port 60) group 4
	come_and_go 4
}

@test "of a file and a directory made at once the directory stands, and the file is in its history" {
	local i codes tag
	echo file >f
	echo below >g
	for i in {1..8}; do
		curl -sS -o /dev/null -D file.head -w '%{http_code}' -T f "${URLS[1]}/at/one$i" >file.code &
		codes=$(curl -sS -o /dev/null -w '%{http_code}' -T g "${URLS[2]}/at/one$i/x")
		wait $!
		codes="$(cat file.code) $codes"
		case $codes in
		"201 201" | "409 201")
			stands directory "at/one$i"
			stands file "at/one$i/x" below ;;
		"201 202")
			# The file came while the directory was being made: it is made once more, later.
			wait_until 20 stands directory "at/one$i"
			wait_until 20 stands file "at/one$i/x" below ;;
		"201 409")
			stands file "at/one$i" file
			stands nothing "at/one$i/x" ;;
		*)
			echo "$i: $codes"
			return 1 ;;
		esac
		[[ $codes == "201 20"* ]] || continue
		tag=$(sed -n 's/^etag: *//Ip' file.head | tr -d '\r')
		is_in_history "at/one$i" "$tag"
	done
}

@test "a directory is made with those above it, once, and is no node's own" {
	local i has
	[ "$(code -X PUT "${URLS[1]}/mk/a/b/")" = 201 ]
	lists mk/ a/
	lists mk/a/ b/
	lists mk/a/b/
	for i in "${!URLS[@]}"; do [ "$(code -X PUT "${URLS[i]}/mk/a/b/")" = 204 ]; done
	# Its homes alone have a record of it, whoever made it.
	run covey-check --json -c "$SHARED/group/node1/covey.yaml" /mk/a/b
	[ "$status" -eq 0 ]
	has=$(jq -r '[.[] | "\(.has) \(.roles | index("home") != null)"] | unique | join(",")' <<<"$output")
	[[ $has == "directory true,none false" || $has == "directory false,directory true,none false" ]] ||
		{ echo "$has"; return 1; }
	for i in a/b a; do [ "$(code -X DELETE "${URLS[4]}/mk/$i/")" = 204 ]; done
	lists mk/
	stands nothing mk/a/b
}

@test "what is refused by 409 is stored nowhere, and never shows" {
	local i
	echo below >f
	[ "$(code -T f "${URLS[1]}/no/d/x")" = 201 ]
	[ "$(code -T f "${URLS[1]}/no/f")" = 201 ]
	for i in "${!URLS[@]}"; do
		echo "refused $i" >g
		[ "$(code -T g "${URLS[i]}/no/d")" = 409 ]
		[ "$(code -T g "${URLS[i]}/no/f/x")" = 409 ]
		[ "$(code -T g "${URLS[i]}/no/f/x/y")" = 409 ]
		[ "$(code -X PUT "${URLS[i]}/no/f/")" = 409 ]
		[ "$(code -X PUT "${URLS[i]}/no/d/")" = 204 ]
	done
	for i in "${!URLS[@]}"; do wait_until 10 outbox_empty "$i"; done
	[ "$(code -X DELETE "${URLS[2]}/no/d/x")" = 204 ]
	[ "$(code -X DELETE "${URLS[3]}/no/d/")" = 204 ]
	stands nothing no/d
	stands file no/f below
	lists no/ f
	for i in "${!URLS[@]}"; do
		run grep -rl refused "${STORES[i]}/tree" "${STORES[i]}/history"
		[ -z "$output" ]
	done
}

@test "a file below what is a file now is refused, by who knew it as a directory, too" {
	local i
	echo x >f
	[ "$(code -T f "${URLS[1]}/was/d/x")" = 201 ]
	[ "$(code -X DELETE "${URLS[4]}/was/d/x")" = 204 ]
	[ "$(code -X DELETE "${URLS[5]}/was/d/")" = 204 ]
	[ "$(code -T f "${URLS[2]}/was/d")" = 201 ]
	for i in "${!URLS[@]}"; do [ "$(code -T f "${URLS[i]}/was/d/y")" = 409 ]; done
	stands file was/d x
}

@test "what was stored while its directory could not be made is listed when it can" {
	local i homes codes="" pids=()
	echo x >f
	[ "$(code -T f "${URLS[1]}/late/first")" = 201 ]
	homes=$(talk 1 nodes late/d | jq -r 'select(.roles % 2 == 1) | .name' | tr -d node)
	for i in $homes; do kill -STOP "$(role_pid "$i" covey-versiond)"; done
	for i in $homes; do
		curl -sS -o /dev/null -w '%{http_code}' -H 'Prefer: respond-async' -T f "${URLS[$i]}/late/d/x$i" >"$i.code" &
		pids+=($!)
	done
	wait "${pids[@]}"
	for i in $homes; do codes+=$(cat "$i.code"); done
	[ "$codes" = 202202202 ]
	for i in $homes; do kill -CONT "$(role_pid "$i" covey-versiond)"; done
	wait_until 15 lists late/ d/ first
	for i in $homes; do stands file "late/d/x$i" x; done
}

# store_late N - a home is stopped, node N; a file in a directory comes and goes with it, and a file takes its
# place, for several names. Then the home is told of all that, what came first as well.
store_late() {
	local i names=()
	for i in {1..40}; do
		[ ${#names[@]} -lt 4 ] || break
		talk 1 nodes "back/d$i/f" | jq -es --arg n "node$1" 'any(.name == $n and .roles % 2 == 1)' >talk.out || continue
		names+=("d$i")
	done
	[ ${#names[@]} -eq 4 ]
	echo below >f
	kill -STOP "$(role_pid "$1" covey-versiond)"
	for i in "${names[@]}"; do
		[ "$(code -T f "${URLS[1]}/back/$i/f")" = 201 ]
		[ "$(code -X DELETE "${URLS[1]}/back/$i/f")" = 204 ]
		[ "$(code -X DELETE "${URLS[1]}/back/$i/")" = 204 ]
		echo "file $i" >g
		[ "$(code -T g "${URLS[1]}/back/$i")" = 201 ]
	done
	kill -CONT "$(role_pid "$1" covey-versiond)"
	wait_until 20 outbox_empty 1
	for i in "${names[@]}"; do stands file "back/$i" "file $i"; done
	mapfile -t names < <(printf '%s\n' "${names[@]}" | LC_ALL=C sort)
	lists back/ "${names[@]}"
}

@test "what is stored late makes no directory where a file is by now: five nodes" { store_late 5; }

@test "what is stored late makes no directory where a file is by now: three nodes" {
	PORT_BASE=$(port 70) group 3
	store_late 3
}

# Brought without its gate, from another group or an outbox of long ago.
@test "the end of a directory in which something is comes too late" {
	echo x >f
	[ "$(code -T f "${URLS[1]}/ends/d/e/x")" = 201 ]
	[ "$(talk 1 store ends/d 9000000000000000000 9 ended | jq -s 'any(.confirmed)')" = true ]
	lists ends/ d/
	stands file ends/d/e/x x
	[ "$(code -X DELETE "${URLS[1]}/ends/d/e/x")" = 204 ]
	[ "$(code -X DELETE "${URLS[1]}/ends/d/e/")" = 204 ]
	[ "$(talk 1 store ends/d 9100000000000000000 9 ended | jq -s 'any(.confirmed)')" = true ]
	lists ends/
}

# One tick above what was read is where an entry is made that somebody settles late.
@test "the end of a directory is two ticks above all that was known, whatever the clocks" {
	[ "$(talk 1 store room/d 9000000000000000000 9 directory | jq -s 'any(.confirmed)')" = true ]
	[ "$(code -X DELETE "${URLS[1]}/room/d/")" = 204 ]
	[[ $(header ETag) == *.000000002Z-* ]]
	stands nothing room/d
}

@test "a process that settles what stands behind a gate stops at once" {
	local pid
	PORT_BASE=$(port 70) group 3 'timeouts: { check: 2s, store: 30s, push: 10s }'
	echo x >f
	[ "$(code -T f "${URLS[1]}/held/d/f")" = 201 ]
	kill -STOP "$(role_pid 2 covey-versiond)" "$(role_pid 3 covey-versiond)"
	talk 1 store held/d 9000000000000000000 9 ended >talk.out 2>&1 &
	wait_until 10 test -L "${STORES[1]}/history/held/d/,closed"
	sleep 0.5
	pid=$(role_pid 1 covey-versiond)
	kill "$pid"
	wait_until 5 is_gone "$pid"
	kill -CONT "$(role_pid 2 covey-versiond)" "$(role_pid 3 covey-versiond)"
}

@test "a directory whose record was lost is made again for what is in it" {
	local i
	echo x >f
	# Through every node: each knows then that the directory stands, as long as its covey-versiond runs.
	for i in "${!URLS[@]}"; do [[ $(code -T f "${URLS[i]}/lost/d/e/x") == 20[14] ]]; done
	lists lost/ d/
	for i in "${!URLS[@]}"; do
		[ ! -d "${STORES[i]}/tree/lost/d" ] || setfattr -x user.covey "${STORES[i]}/tree/lost/d" || :
	done
	lists lost/
	for i in "${!URLS[@]}"; do kill "$(role_pid "$i" covey-syncd)"; done
	wait_until 40 lists lost/ d/		# after a round in which somebody did not answer comes another, a minute later
	stands file lost/d/e/x x
}
