#!/usr/bin/env bats
# Indexes and histories in a group with more nodes than homes: a confirmed page
# says what confirmed reads say, and an empty directory is removed only when it is.
load helpers

setup_file() { shared_group 5 'timeouts: { check: 2s, store: 10s, push: 10s }'; }	# 201 on a busy machine, too
teardown_file() { end_shared_group; }
setup() {
	covey_setup
	use_shared_group 5
}
# homes_of PATH: its homes in HOMES, as nodes' numbers, the others in OTHERS
homes_of() {
	local names i
	names=" $(covey-check --json -c "$GROUP/node1/covey.yaml" "$1" | jq -r '[.[] | select(.roles | index("home")) | .name] | join(" ")') "
	HOMES=() OTHERS=()
	for i in 1 2 3 4 5; do
		if [[ $names == *" node$i "* ]]; then HOMES+=("$i"); else OTHERS+=("$i"); fi
	done
	[ ${#HOMES[@]} -eq 3 ]
}

all_quiet() {
	local i
	for i in 1 2 3 4 5; do wait_until 20 outbox_empty "$i"; done
}

# The version that stands at PATH of node I as the name of a file.
at() { curl -sf "${URLS[$1]}$2?versions" | head -n 1 | cut -d' ' -f1; }

# A node by itself, of no group: what it makes of a path can be laid into another node's store.
solo() { httpd solo && SOLO=$STORE SOLO_URL=$URL; }

# set_aside I PATH: what stands there is an older version at node I
set_aside() {
	local old
	old=$(at "$1" "/$2")
	mkdir -p "${STORES[$1]}/history/$2"
	mv "${STORES[$1]}/tree/$2" "${STORES[$1]}/history/$2/,$old"
}

# lay I PATH, lay_deletion I PATH: node I alone of the group knows what the solo node made of PATH
lay() {
	set_aside "$@"
	cp -a "$SOLO/tree/$2" "${STORES[$1]}/tree/$2"
}
lay_deletion() {
	set_aside "$@"
	cp -a "$SOLO/history/$2/." "${STORES[$1]}/history/$2"
}
# lay_older I PATH: the same of a version that is not the newest
lay_older() {
	mkdir -p "${STORES[$1]}/history/$2"
	cp -a "$SOLO/tree/$2" "${STORES[$1]}/history/$2/,$(curl -sf "$SOLO_URL/$2?versions" | cut -d' ' -f1)"
}

# versions_at I PATH: the versions of a confirmed history
versions_at() {
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[$1]}$2?versions&format=json")" = 200 ] || { cat body; return 1; }
	[ "$(header Version-State)" = confirmed ]
	jq -c 'map([.version, .deleted])' body
}

# row_at I DIRECTORY NAME: type and version in a confirmed index; nothing when it is not there
row_at() {
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[$1]}$2?format=text")" = 200 ] || { cat body; return 1; }
	[ "$(header Version-State)" = confirmed ]
	awk -F'\t' -v name="$3" '$1 == name { print $2, $4 }' body
}

# read_at I PATH: status and version of a confirmed read
read_at() {
	local status
	status=$(code -I -H 'Cache-Control: no-cache' "${URLS[$1]}$2")
	[ "$(header Version-State)" = confirmed ] || { echo "$status, not confirmed"; return 1; }
	echo "$status $(header ETag | tr -d '"')"
}

@test "what one home alone knows: index, history and read tell the same from every node" {
	local k l m i told
	homes_of /d/f
	k=${HOMES[0]} l=${HOMES[1]} m=${HOMES[2]}
	solo
	echo one >one
	echo two >two
	[ "$(code -T one "${URLS[k]}/d/f")" = 201 ]
	all_quiet
	[ "$(code -T two "$SOLO_URL/d/f")" = 201 ]
	lay "$k" d/f

	# Of K and L the answers differ: what L tells then is known to M as well.
	hold_roles "$m" httpd versiond
	told=$(versions_at "$l" /d/f)
	[ "$(jq length <<<"$told")" -eq 2 ]
	[ "$(row_at "$l" /d/ f)" = "file $(jq -r '.[0][0]' <<<"$told")" ]
	release
	hold_roles "$k" httpd versiond
	for i in "$l" "$m" "${OTHERS[@]}"; do
		[ "$(versions_at "$i" /d/f)" = "$told" ]
		[ "$(row_at "$i" /d/ f)" = "file $(jq -r '.[0][0]' <<<"$told")" ]
		[ "$(read_at "$i" /d/f)" = "200 $(jq -r '.[0][0]' <<<"$told")" ]
	done
	release

	# The same of the index alone, asked from a node that is no home.
	[ "$(code -T one "${URLS[k]}/d/g")" = 201 ]
	all_quiet
	[ "$(code -T two "$SOLO_URL/d/g")" = 201 ]
	lay "$k" d/g
	hold_roles "$m" httpd versiond
	told=$(row_at "${OTHERS[0]}" /d/ g)
	release
	hold_roles "$k" httpd versiond
	for i in "$l" "$m" "${OTHERS[@]}"; do [ "$(row_at "$i" /d/ g)" = "$told" ]; done
	release

	# And of a version that is not the newest.
	[ "$(code -T one "${URLS[k]}/d/h")" = 201 ]
	[ "$(code -T two "$SOLO_URL/d/h")" = 201 ]
	[ "$(code -T one "${URLS[k]}/d/h")" = 204 ]
	all_quiet
	lay_older "$l" d/h
	hold_roles "$m" httpd versiond
	told=$(versions_at "${OTHERS[1]}" /d/h)
	[ "$(jq length <<<"$told")" -eq 3 ]
	release
	hold_roles "$l" httpd versiond
	for i in "$k" "$m" "${OTHERS[@]}"; do [ "$(versions_at "$i" /d/h)" = "$told" ]; done
}

@test "a deletion that one home alone knows of is told by all" {
	local k l m i
	homes_of /t/f
	k=${HOMES[1]} l=${HOMES[2]} m=${HOMES[0]}
	solo
	echo one >one
	[ "$(code -T one "${URLS[l]}/t/f")" = 201 ]
	all_quiet
	[ "$(code -T one "$SOLO_URL/t/f")" = 201 ]
	[ "$(code -X DELETE "$SOLO_URL/t/f")" = 204 ]
	lay_deletion "$k" t/f
	hold_roles "$m" httpd versiond
	[ -z "$(row_at "$l" /t/ f)" ]
	release
	hold_roles "$k" httpd versiond
	for i in "$l" "$m" "${OTHERS[@]}"; do
		[ -z "$(row_at "$i" /t/ f)" ]
		[[ $(read_at "$i" /t/f) == 404* ]]
		[ "$(versions_at "$i" /t/f | jq -c '.[0][1]')" = true ]
	done
}

# pointers I DIRECTORY N: home I alone knows of N files in the directory
pointers() {
	python3 - "${STORES[$1]}/tree/$2" "$3" <<'PY'
import os, sys
for i in range(int(sys.argv[2])):
    os.symlink(f"20261122T070000.000000001Z-00000000000000aa-0 - 5 {'1' * 64} 0", f"{sys.argv[1]}/{i:04}")
PY
	# As one whose sync worker never learned of them: its digests are of what it has.
	kill -KILL "$(role_pid "$1" covey-versiond)"
	rm -rf "${STORES[$1]}"/state/digests*
}

confirms() { [ "$(code "$1")" = 200 ] && [ "$(header Version-State)" = confirmed ]; }
has_names() { confirms "${URLS[$1]}$2?format=text" && [ "$(grep -c . body)" -eq "$3" ]; }

@test "beyond 1,000 differences an index is not confirmed, and its homes are compared" {
	local i
	homes_of /many/f
	echo one >one
	[ "$(code -T one "${URLS[1]}/many/f")" = 201 ]
	all_quiet
	pointers "${HOMES[0]}" many 1100
	hold_roles "${HOMES[1]}" httpd	# so that it is the first home's answer that is compared with
	[ "$(code "${URLS[OTHERS[0]]}/many/?format=text")" = 200 ]
	[[ $(header Version-State) == unconfirmed* ]]
	[ "$(grep -c . body)" -eq 1101 ]
	release
	for i in 1 2 3 4 5; do wait_until 30 has_names "$i" /many/ 1101; done
}

# heads STATE WHAT...: HEAD of each at node R has the status and the fields of GET, in that state, and nothing behind them
# (but for how many of those that are up answered in time)
heads() {
	local what state=$1 unsteady='/^date/Id; s/^(Version-State: unconfirmed; [a-z]+=)[0-9]+/\1n/I'
	for what in "${@:2}"; do
		code "${URLS[R]}$what" >get.code
		[[ $(header Version-State) == $state* ]]
		sed -E "$unsteady" headers >of_get
		code -I "${URLS[R]}$what" >head.code
		sed -E "$unsteady" headers >of_head
		cmp get.code head.code
		diff of_get of_head
		printf 'HEAD %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$what" | raw "${URLS[R]##*:}" 20 >answer
		[ "$(sed '1,/^\r$/d' answer | wc -c)" -eq 0 ]
	done
}

@test "HEAD of an index and of a history says what GET says, and no more" {
	local what=('/h/' '/h/?format=json' '/h/?limit=1&format=text' '/h/f?versions')
	homes_of /h/f
	R=${OTHERS[0]}
	echo one >one
	[ "$(code -T one "${URLS[1]}/h/f")" = 201 ]
	[ "$(code -T one "${URLS[1]}/h/g")" = 201 ]
	all_quiet
	heads confirmed "${what[@]}" /h/none/ '/h/none?versions'
	hold_roles "${HOMES[0]}" httpd versiond
	hold_roles "${HOMES[1]}" httpd versiond
	heads unconfirmed "${what[@]}"
}

@test "an empty directory is removed, for everybody; one that is not, or is not there, is told" {
	local i d
	echo x >x
	for d in r1 r2 r3; do
		# Of what the test before held some may still have much to read.
		[ "$(code -H 'Prefer: wait=60' -m 70 -T x "${URLS[1]}/$d/e/y")" = 201 ]
		[ "$(code -X DELETE "${URLS[3]}/$d/e/")" = 409 ]
		[ "$(code -X DELETE "${URLS[4]}/$d/e/y")" = 204 ]
		[ "$(code -X DELETE "${URLS[1]}/$d/e/")" = 204 ]
		[ "$(header Version-State)" = confirmed ]
		for i in 1 2 3 4 5; do
			[ "$(code "${URLS[i]}/$d/e/")" = 404 ]
			[ "$(header Version-State)" = confirmed ]
			[ -z "$(row_at "$i" "/$d/" e/)" ]
		done
		[ "$(code -X DELETE "${URLS[5]}/$d/e/")" = 404 ]
		[ "$(code -X DELETE "${URLS[5]}/$d/")" = 204 ]
	done
	# It comes again with the next file, or a file takes its name.
	[ "$(code -T x "${URLS[2]}/r1/e/z")" = 201 ]
	[ "$(code -T x "${URLS[2]}/r2/e")" = 201 ]
	for i in 1 2 3 4 5; do
		[ "$(row_at "$i" /r1/ e/ | cut -d' ' -f1)" = directory ]
		[ "$(row_at "$i" /r2/ e | cut -d' ' -f1)" = file ]
	done
}

@test "a node that reaches no majority removes no directory" {
	local i
	[ "$(code -X PUT "${URLS[1]}/cut/")" = 201 ]
	[ "$(code -X PUT "${URLS[1]}/cut/in/")" = 201 ]
	all_quiet
	for i in 2 3 4 5; do hold_roles "$i" versiond httpd; done
	[ "$(code -X DELETE "${URLS[1]}/cut/in/")" = 503 ]
	[[ $(header Version-State) == unconfirmed* ]]
	run covey rm --node "${URLS[1]}" cut/in/
	[ "$status" -eq 75 ]
	release
	for i in 1 2 3 4 5; do wait_until 10 confirms "${URLS[i]}/cut/in/"; done
	run covey rm --node "${URLS[1]}" cut/ cut/in/
	[ "$status" -eq 65 ]		# not empty, when it came to the first
	[ -z "$(row_at 2 /cut/ in/)" ]
	[ "$(code -X DELETE "${URLS[1]}/cut/")" = 204 ]
}

@test "a directory is removed while files are put into it: who was told 201 is found from the root" {
	local i
	echo x >x
	for i in {1..12}; do
		[ "$(code -X PUT "${URLS[1]}/race$i/")" = 201 ]
		curl -s -o /dev/null -w '%{http_code}' -T x "${URLS[2]}/race$i/f" >put.code &
		curl -s -o /dev/null -w '%{http_code}' -X DELETE "${URLS[3]}/race$i/" >rmdir.code
		wait $!
		[[ $(cat rmdir.code) == 20[24] || $(cat rmdir.code) == 409 ]] || { cat rmdir.code; return 1; }
		[ "$(cat put.code)" = 201 ] || continue
		[ "$(row_at 4 / "race$i/" | cut -d' ' -f1)" = directory ]
		[ "$(row_at 5 "/race$i/" f | cut -d' ' -f1)" = file ]
	done
}

# A group of five that waits for roles that are held.  Directory $1 is in it; node R is to remove it while
# node W writes into it.  Neither is a home of what is in it, which LISTERS are.
patient_group() {
	PORT_BASE=$(port 50) group 5 'timeouts: { check: 10s, store: 20s, push: 10s, pull: 10s }'
	homes_of "/$1/f"
	LISTERS=("${HOMES[@]}") R=${OTHERS[0]} W=${OTHERS[1]}
	echo x >x
	[ "$(code -X PUT "${URLS[W]}/$1/")" = 201 ]
	all_quiet
}

hold_lists() { local i; for i in "${LISTERS[@]}"; do hold_roles "$i" httpd; done; }
resume_lists() { local i; for i in "${LISTERS[@]}"; do kill -CONT "$(role_pid "$i" covey-httpd)"; done; }
resume_stores() { kill -CONT "$(role_pid "$R" covey-versiond)"; }

# lists_are_asked: each that is held has a request before it
lists_are_asked() {
	local i
	for i in "${LISTERS[@]}"; do
		ss -Htn state established "sport = :${URLS[i]##*:}" | awk '$1 > 0 { found = 1 } END { exit !found }' || return
	done
}

# removes DIRECTORY: node R does, and has its gate on its disk alone
removes() {
	hold_lists
	curl -s -m 60 -o /dev/null -w '%{http_code}' -X DELETE "${URLS[R]}/$1/" >rmdir.code &
	REMOVAL=$!
	wait_until 10 lists_are_asked
	hold_roles "$R" versiond
	resume_lists
	wait_until 10 test -L "${STORES[R]}/history/$1/,closed"
}

# still_there DIRECTORY: and the file in it, from the root, on every node
still_there() {
	local i
	for i in 1 2 3 4 5; do
		[ "$(row_at "$i" / "$1/" | cut -d' ' -f1)" = directory ]
		[ "$(row_at "$i" "/$1/" f | cut -d' ' -f1)" = file ]
	done
}

@test "a file that comes when a directory was found empty, and before the gate, keeps it" {
	patient_group early
	removes early
	[ "$(code -T x "${URLS[W]}/early/f")" = 201 ]
	resume_stores
	wait "$REMOVAL"
	[ "$(cat rmdir.code)" = 409 ]
	still_there early
}

@test "a file that comes behind the gate makes its directory again, above the end" {
	patient_group late
	removes late
	hold_lists
	resume_stores
	wait_until 10 lists_are_asked
	hold_roles "$R" versiond
	resume_lists
	wait_until 10 test -L "${STORES[R]}/history/late/,directory"	# it ends, and R alone knows
	[ "$(code -T x "${URLS[W]}/late/f")" = 201 ]
	resume_stores
	wait "$REMOVAL"
	[[ $(cat rmdir.code) == 20[24] ]]
	still_there late
}

is_removed() { [ "$(code -X DELETE "$1")" = 204 ]; }

@test "a name that was never confirmed keeps no directory, when every home tells" {
	local i k m
	homes_of /n/f
	k=${HOMES[0]} m=${HOMES[2]}
	[ "$(code -X PUT "${URLS[k]}/n/")" = 201 ]
	all_quiet
	mkdir -p "${STORES[k]}/tree/n"
	ln -s "20251123T070000.000000001Z-00000000000000aa-0 - 5 $(printf %064d 1) 0" "${STORES[k]}/tree/n/f"
	hold_roles "$m" httpd versiond
	[[ $(code -X DELETE "${URLS[k]}/n/") == @(409|503) ]]
	release
	wait_until 10 is_removed "${URLS[k]}/n/"
	for i in 1 2 3 4 5; do [ "$(code "${URLS[i]}/n/")" = 404 ]; done
}

@test "where a directory came after a file was deleted, no remembered read says that nothing is there" {
	local i o
	echo x >x
	for i in 1 2 3 4 5; do
		o=$((i % 5 + 1))
		[ "$(code -T x "${URLS[i]}/m/d$i")" = 201 ]
		[ "$(code -X DELETE "${URLS[i]}/m/d$i")" = 204 ]
		[ "$(code -T x "${URLS[o]}/m/d$i/y")" = 201 ]
		[ "$(code "${URLS[i]}/m/d$i")" = 301 ]
		[ "$(code -H 'Cache-Control: max-age=60' "${URLS[i]}/m/d$i")" = 301 ]
		[ "$(header Version-State)" = confirmed ]
		# Nor, when it is gone, where the directory was a file's end.
		[ "$(code -X DELETE "${URLS[o]}/m/d$i/y")" = 204 ]
		[ "$(code -X DELETE "${URLS[o]}/m/d$i/")" = 204 ]
		[ "$(code "${URLS[i]}/m/d$i")" = 404 ]
		[ "$(code -T x "${URLS[o]}/m/d$i")" = 201 ]
		[ "$(code -H 'Cache-Control: max-age=60' "${URLS[i]}/m/d$i")" = 200 ]
	done
	# What a file's own versions decide is remembered, of a name that was a directory, too.
	for i in 1 2 3 4 5; do
		[ "$(code -X DELETE "${URLS[i]}/m/d$i")" = 204 ]
		[ "$(code "${URLS[i]}/m/d$i")" = 404 ]
		[ "$(code -H 'Cache-Control: max-age=60' "${URLS[i]}/m/d$i")" = 404 ]
		[ -n "$(header Age)" ]
	done
}

keeps() {
	local i
	for i in 1 2 3 4 5; do [ "$(curl -sf "${URLS[i]}/.covey/layout" | jq .keep.versions)" -eq "$1" ] || return 1; done
}

@test "versions that were never confirmed are not counted among those that are kept" {
	local k i told
	homes_of /k/f
	k=${HOMES[0]}
	covey layout set keep.versions=2 -c "$GROUP/node1/covey.yaml"
	wait_until 20 keeps 2
	for i in one two three; do
		echo "$i" >"$i"
		[[ $(code -T "$i" "${URLS[k]}/k/f") == 20[14] ]]
	done
	all_quiet
	told=$(versions_at "$k" /k/f)
	[ "$(jq length <<<"$told")" -eq 2 ]
	# K alone tells of another one, whose content nobody has.
	set_aside "$k" k/f
	ln -s "20991123T070000.000000001Z-00000000000000aa-0 - 5 $(sha one) 0" "${STORES[k]}/tree/k/f"
	for i in 1 2 3 4 5; do [ "$(versions_at "$i" /k/f)" = "$told" ]; done
	covey layout set keep.versions=100 -c "$GROUP/node1/covey.yaml"
	wait_until 20 keeps 100
}
