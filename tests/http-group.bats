#!/usr/bin/env bats
# HTTP in a group of several nodes: what is confirmed, and what an answer says when it cannot be.
load helpers

# A group whose nodes are all homes.
homes() {
	local i
	group "$@"
	for ((i = 1; i <= $1; i++)); do wait_until 20 has_members "${URLS[i]}" "$1"; done
}

has_members() { [ "$(curl -sf "$1/.covey/layout" | jq '[.members[] | select(.home)] | length')" -eq "$2" ]; }

# What covey-httpd itself goes by.
has_epoch() { [ "$(curl -sf "$1/.covey/status" | jq .layout.epoch)" -eq "$2" ]; }

is_unconfirmed() { [ "$(code "$1")" = 200 ] && [[ $(header Version-State) = unconfirmed* ]]; }

# knows_silent I J: node I knows that node J gives no answers as a home
knows_silent() { [ "$(layout "$1" ".members[] | select(.name == \"node$2\") | .silent")" = true ]; }

# confirms URL TEXT
confirms() { [ "$(code "$1")" = 200 ] && [ "$(header Version-State)" = confirmed ] && [ "$(cat body)" = "$2" ]; }

@test "writes are 201 and 204, and at once seen by every node" {
	homes 3
	for i in 1 2 3; do
		echo "$i" >f
		[ "$(code -T f "${URLS[i]}/d/a")" = $((i == 1 ? 201 : 204)) ]
		[ "$(header Version-State)" = confirmed ]
		tag=$(header ETag)
		for j in 1 2 3; do
			[ "$(code "${URLS[j]}/d/a")" = 200 ]
			[ "$(header Version-State)" = confirmed ]
			[ "$(header ETag)" = "$tag" ]
			cmp body f
		done
	done
	[ "$(code -X DELETE "${URLS[3]}/d/a")" = 204 ]
	for i in 1 2 3; do
		[ "$(code "${URLS[i]}/d/a")" = 404 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(code -X DELETE "${URLS[i]}/d/a")" = 404 ]
		[ "$(code -X DELETE "${URLS[i]}/never/was")" = 404 ]
	done
	[ "$(code -X PUT "${URLS[2]}/e/")" = 201 ]
	[ "$(code -X PUT "${URLS[1]}/e/")" = 204 ]
	[ "$(code -F file=@f -F file=@headers "${URLS[2]}/e/f/")" = 201 ]
	[ "$(code "${URLS[3]}/e/f/f")" = 200 ]
	[ "$(code -X DELETE "${URLS[1]}/e/f/")" = 409 ]
	[ "$(code -X DELETE "${URLS[1]}/e/")" = 409 ]
	for i in 1 2 3; do wait_until 10 outbox_empty $i; done
}

@test "a write over what only others know is 204" {
	homes 3
	echo one >f
	[ "$(code -T f "${URLS[1]}/a")" = 201 ]
	for i in 1 2 3; do wait_until 10 outbox_empty $i; done
	rm "${STORES[3]}/tree/a"
	[ "$(code -T f "${URLS[3]}/a")" = 204 ]
}

@test "a node that was not told of its layout yet promises nothing" {
	homes 2
	mv "${STORES[1]}/state/layout.ini" layout.ini
	mv "${STORES[1]}/run/discover.sock" discover.sock
	stop "$(role_pid 1 covey-httpd)" KILL
	wait_until 10 ready "${URLS[1]}"
	has_epoch "${URLS[1]}" 0
	echo one >f
	[ "$(code -T f "${URLS[1]}/a")" = 202 ]
	[[ $(header Version-State) = unconfirmed* ]]
	mv discover.sock "${STORES[1]}/run/discover.sock"
	wait_until 10 has_epoch "${URLS[1]}" 3
	[ "$(code -T f "${URLS[1]}/a")" = 204 ]
	wait_until 10 outbox_empty 1
}

@test "what was pruned before everybody had it does not stay in the outbox" {
	homes 3 'keep: {versions: 1}'
	hold_roles 3 httpd versiond discoverd syncd
	for i in 1 2 3; do
		echo "$i" >f
		[[ $(code -T f "${URLS[1]}/a") = 20[14] ]]
	done
	run covey prune -c "$D/group/node1/covey.yaml"
	[ "$status" -eq 0 ]
	[ "$(find "${STORES[1]}/history/a" -name ',2*' | wc -l)" -eq 0 ]
	release
	wait_until 30 outbox_empty 1
	[ "$(curl -s "${URLS[3]}/a")" = 3 ]
}

@test "what a keeper drops for newer versions is no copy, and does not stay in the outbox" {
	homes 2 'keep: {versions: 1}'
	version=20201123T050000.000000001Z-00000000000000aa-0
	echo old >old
	echo new >new
	hold_roles 1 syncd
	[ "$(code -T old "${URLS[1]}/k")" = 202 ]
	[[ $(header Version-State) == *copies=1 ]]
	[ "$(code -T new "${URLS[2]}/k")" = 204 ]
	[ "$("$TOP/tests/as-peer" "$D/group/group.key" $((PORT_BASE + 10)) push /k old $version)" = 410 ]
	release
	wait_until 30 outbox_empty 1
	[ "$(curl -s "${URLS[1]}/k")" = new ]
}

@test "every byte that was confirmed is on two disks" {
	homes 3
	for i in 1 2 3; do
		for n in 10 50000 3000000; do
			bytes $n "$i" >"f$i-$n"
			[ "$(code -T "f$i-$n" "${URLS[i]}/k/f$i-$n")" = 201 ]
			found=0
			for j in 1 2 3; do
				! cmp -s "f$i-$n" "${STORES[j]}/tree/k/f$i-$n" || found=$((found + 1))
			done
			[ "$found" -ge 2 ]
		done
	done
}

commits() { curl -sf "$1/.covey/metrics" | sed -n 's/^covey_home_commits_total //p'; }

@test "a home that is given the content has no record to put on disk besides" {
	homes 2
	echo f >f
	[ "$(code -T f "${URLS[1]}/d/f")" = 201 ]
	wait_until 10 outbox_empty 1
	before=$(commits "${URLS[2]}")
	for i in {1..20}; do [ "$(code -H 'Prefer: wait=20' -T f "${URLS[1]}/d/n$i")" = 201 ]; done
	wait_until 10 outbox_empty 1
	# Not none: when the disk is slow, the homes are asked before.
	[ $(($(commits "${URLS[2]}") - before)) -lt 10 ]
}

# together PORT N PID: GETs of one path by N connections, one after the other, and then once more at once
together() {
	python3 - "$@" <<-'EOF'
	import os, signal, socket, sys, time
	port, count, pid = map(int, sys.argv[1:])
	ask = b"GET /f HTTP/1.1\r\nHost: localhost\r\n\r\n"
	def answer(s):
	    got = b""
	    while b"\r\n\r\n" not in got or not got.endswith(b"same\n"):
	        piece = s.recv(65536)
	        assert piece, got
	        got += piece
	    assert got.startswith(b"HTTP/1.1 200 ") and b"\r\nVersion-State: confirmed\r\n" in got, got
	places = [socket.create_connection(("127.0.0.1", port), 20) for i in range(count)]
	for s in places:
	    s.sendall(ask)
	    answer(s)
	os.kill(pid, signal.SIGSTOP)
	try:
	    for s in places:
	        s.sendall(ask)
	finally:
	    os.kill(pid, signal.SIGCONT)
	for s in places[1:]:
	    answer(s)
	places[0].close()
	EOF
}

checks() { curl -sf "$1/.covey/metrics" | sed -n 's/^covey_checks_total{result="confirmed"} //p'; }

@test "readers of one path that come together ask together" {
	homes 2
	echo same >f
	[ "$(code -T f "${URLS[1]}/f")" = 201 ]
	before=$(checks "${URLS[1]}")
	together "$(port 0)" 60 "$(role_pid 1 covey-httpd)"
	# Sixty one after the other; then at most one for each of its threads, of which it has 16 at most.
	asked=$(($(checks "${URLS[1]}") - before))
	[ "$asked" -ge 61 ]
	[ "$asked" -le 76 ]
}

@test "an update is 412 where it clearly fails, else 501; nothing is stored" {
	homes 2
	echo one >one
	[ "$(code -T one "${URLS[1]}/a")" = 201 ]
	tag=$(header ETag)
	for i in 1 2; do
		[ "$(code -T one -H 'If-None-Match: *' "${URLS[i]}/a")" = 412 ]
		[ "$(code -T one -H 'If-Match: "other"' "${URLS[i]}/a")" = 412 ]
		[ "$(code -T one -H 'If-Match: *' "${URLS[i]}/none")" = 412 ]
		[ "$(code -T one -H "If-Match: $tag" "${URLS[i]}/a")" = 501 ]
		[ "$(code -X DELETE -H "If-Match: $tag" "${URLS[i]}/a")" = 501 ]
		[ "$(code -T one -H 'If-None-Match: *' "${URLS[i]}/none")" = 501 ]
		[ "$(code -T one -H 'If-Unmodified-Since: Fri, 01 Jan 2100 00:00:00 GMT' "${URLS[i]}/a")" = 501 ]
		[ "$(code -T one -H 'If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT' "${URLS[i]}/a")" = 412 ]
		[ "$(code -H "If-None-Match: $tag" "${URLS[i]}/a")" = 304 ]
	done
	[ "$(curl -sf "${URLS[1]}/a?versions&format=json" | jq length)" -eq 1 ]
	[ "$(code "${URLS[2]}/none")" = 404 ]
}

@test "without a majority no condition of a write fails: 503, and a read's 412 is marked" {
	homes 3
	echo one >one
	[ "$(code -T one "${URLS[1]}/a")" = 201 ]
	wait_until 10 confirms "${URLS[3]}/a" one
	hold_roles 1 versiond
	hold_roles 2 versiond
	[ "$(code -T one -H 'If-None-Match: *' "${URLS[3]}/a")" = 503 ]
	[ "$(code -X DELETE -H 'If-Match: "other"' "${URLS[3]}/a")" = 503 ]
	[ "$(code -T one -H 'If-Match: *' "${URLS[3]}/none")" = 503 ]
	[ "$(code -T one -H 'If-Match: nonsense' "${URLS[3]}/a")" = 400 ]
	[ "$(code -H 'If-Match: "other"' "${URLS[3]}/a")" = 412 ]
	[[ $(header Version-State) = unconfirmed* ]]
	[ "$(code -H 'If-Match: *' "${URLS[3]}/none")" = 412 ]
	[[ $(header Version-State) = unconfirmed* ]]
	release
	wait_until 10 confirms "${URLS[3]}/a" one
	[ "$(code -T one -H 'If-None-Match: *' "${URLS[3]}/a")" = 412 ]
	[ "$(curl -sf "${URLS[3]}/a?versions&format=json" | jq length)" -eq 1 ]
}

@test "freshness: only-if-cached, max-age, max-stale, no-cache" {
	homes 3
	echo one >one
	echo two >two
	# A node that is no keeper, of a file that was not handed on to it because a keeper was slow.
	for a in a{1..9}; do
		covey-check --json -c "$D/group/node1/covey.yaml" "/$a" >roles || [ $? -eq 66 ]
		keeper=$(jq -r 'first(.[] | select(.roles | index("keeper"))).name' roles)
		away=$(jq -r 'first(.[] | select(.roles | index("keeper") | not)).name' roles)
		keeper=${URLS[${keeper#node}]} away=${URLS[${away#node}]}
		[ "$(code -T one "$keeper/$a")" = 201 ]
		for i in 1 2 3; do wait_until 10 outbox_empty $i; done
		[ "$(code -H 'Cache-Control: only-if-cached' "$away/$a")" = 200 ] || break
	done
	[ "$(code -H 'Cache-Control: only-if-cached' "$away/$a")" = 504 ]
	[ "$(code -I "$away/$a")" = 200 ]
	[ "$(code -H 'Cache-Control: only-if-cached' "$away/$a")" = 504 ]
	[ "$(code -H 'Cache-Control: no-cache' "$away/$a")" = 200 ]
	[[ $(header Cache-Status) == *fwd=*stored* ]]
	other=${URLS[2]}
	[ "$(code "$other/$a")" = 200 ]
	wait_until 5 curl -sf -o /dev/null -H 'Cache-Control: only-if-cached' "$other/$a"
	[ "$(code "$other/$a")" = 200 ]
	[ "$(header Age)" = "" ]
	[[ $(header Cache-Status) == *hit* ]]
	# The other nodes' versiond asks nobody: who relies on it is answered from memory.
	for i in 1 2 3; do hold_roles $i versiond; done
	for control in max-age=60 max-stale=60 max-stale 'max-age=1, max-stale=60'; do
		[ "$(code -H "Cache-Control: $control" "$other/$a")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		[[ $(header Age) =~ ^[0-9]+$ ]]
		cmp body one
	done
	[ "$(code -H 'Cache-Control: max-age=60, only-if-cached' "$other/$a")" = 200 ]
	[ "$(code -H 'Cache-Control: max-age=0, only-if-cached' "$other/$a")" = 504 ]
	[ "$(code -H 'Cache-Control: no-cache, only-if-cached' "$other/$a")" = 504 ]
	[ "$(code -H 'Cache-Control: no-cache' "$other/$a")" = 504 ]
	[ "$(code -H 'Cache-Control: max-age=0' "$other/$a")" = 200 ]
	[[ $(header Version-State) == unconfirmed* ]]
	[ "$(header Age)" = "" ]
	release
	# A write here is newer than what is remembered; one elsewhere need not be known here.
	[ "$(code -T two "${URLS[1]}/$a")" = 204 ]
	[ "$(code -H 'Cache-Control: max-age=60' "${URLS[1]}/$a")" = 200 ]
	cmp body two
	[ "$(code -H 'Cache-Control: no-cache' "$other/$a")" = 200 ]
	cmp body two
}

@test "without a majority: 202 with homes and copies, unconfirmed, 504; and confirmed again when it is back" {
	homes 3
	echo one >one
	echo two >two
	[ "$(code -T one "${URLS[1]}/w/a")" = 201 ]
	hold_roles 2 versiond
	hold_roles 3 versiond
	[ "$(code -T two "${URLS[1]}/w/a")" = 202 ]
	[[ $(header Version-State) =~ ^unconfirmed\;\ homes=[01]/[123]\;\ copies=[12]$ ]]
	[ "$(code -X DELETE "${URLS[1]}/w/nothing")" = 202 ]
	[ "$(code -X PUT "${URLS[1]}/v/")" = 202 ]
	[ "$(code "${URLS[1]}/w/a")" = 200 ]
	[[ $(header Version-State) == unconfirmed\;* ]]
	cmp body two
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[1]}/w/a")" = 504 ]
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[1]}/w/")" = 504 ]
	[ "$(code "${URLS[1]}/w/?format=json")" = 200 ]
	release
	wait_until 10 outbox_empty 1
	for i in 1 2 3; do
		[ "$(code -H 'Cache-Control: no-cache' "${URLS[i]}/w/a")" = 200 ]
		cmp body two
		[ "$(code "${URLS[i]}/w/?format=json")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(jq -c 'map(.href)' body)" = '["a"]' ]
		[ "$(curl -sf "${URLS[i]}/?format=json" | jq -c 'map(.href)')" = '["v/","w/"]' ]
	done
}

@test "one of three homes that does not answer changes nothing" {
	homes 3
	hold_roles 3 versiond httpd
	for n in 1 2 3; do
		echo "$n" >f
		[ "$(code -T f "${URLS[n % 2 + 1]}/m/$n")" = 201 ]
		for i in 1 2; do
			[ "$(code "${URLS[i]}/m/$n")" = 200 ]
			[ "$(header Version-State)" = confirmed ]
			[ "$(code "${URLS[i]}/m/?format=text")" = 200 ]
			[ "$(header Version-State)" = confirmed ]
			[ "$(wc -l <body)" -eq "$n" ]
			[ "$(code "${URLS[i]}/m/$n?versions")" = 200 ]
			[ "$(header Version-State)" = confirmed ]
		done
	done
	release
	for i in 1 2; do wait_until 15 outbox_empty $i; done
	[ "$(curl -sf "${URLS[3]}/m/?format=text" | wc -l)" -eq 3 ]
}

@test "Prefer: respond-async and wait are applied, and said to be" {
	homes 3
	echo one >one
	[ "$(code -T one -H 'Prefer: respond-async' "${URLS[1]}/p")" = 202 ]
	[ "$(header Preference-Applied)" = respond-async ]
	[[ $(header Version-State) == unconfirmed\;\ homes=*\;\ copies=1 ]]
	wait_until 10 outbox_empty 1
	[ "$(code -T one -H 'Prefer: wait=0' "${URLS[1]}/p")" = 202 ]
	[ "$(header Preference-Applied)" = wait=0 ]
	[ "$(code -T one -H 'Prefer: wait=20' "${URLS[1]}/p")" = 204 ]
	[ "$(header Preference-Applied)" = wait=20 ]
	wait_until 10 outbox_empty 1
	[ "$(curl -sf "${URLS[2]}/p?versions&format=json" | jq length)" -eq 3 ]
}

@test "roles of this node that are away cost a marked answer" {
	homes 3
	echo one >one
	[ "$(code -T one "${URLS[1]}/r")" = 201 ]
	hold_roles 1 syncd
	[ "$(code -T one "${URLS[1]}/r")" = 202 ]
	[[ $(header Version-State) == *copies=1 ]]
	[ "$(code "${URLS[1]}/?format=text")" = 200 ]
	[[ $(header Version-State) == unconfirmed* ]]
	release
	wait_until 10 outbox_empty 1
	[ "$(code -T one "${URLS[1]}/r")" = 204 ]
	hold_roles 1 versiond
	[ "$(code -T one "${URLS[1]}/r")" = 202 ]
	[ "$(code "${URLS[1]}/r")" = 200 ]
	[[ $(header Version-State) == unconfirmed* ]]
	[ "$(code "${URLS[2]}/r")" = 200 ]
	release
	wait_until 10 outbox_empty 1
	[ "$(curl -sf "${URLS[3]}/r?versions&format=json" | jq length)" -eq 4 ]
}

@test "HEAD tells of the newest and pulls nothing; GET of a range across nodes" {
	homes 3
	bytes 3000000 >a
	[ "$(code -T a "${URLS[1]}/a")" = 201 ]
	for i in 1 2 3; do
		[ "$(code -I "${URLS[i]}/a")" = 200 ]
		[ "$(header Content-Length)" = 3000000 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(code -r 1000000-1999999 "${URLS[i]}/a")" = 206 ]
		cmp body <(tail -c +1000001 a | head -c 1000000)
		[ "$(curl -sf "${URLS[i]}/a" | sha)" = "$(sha a)" ]
	done
}

@test "indexes and histories are complete on every node, and confirmed" {
	homes 3
	for i in 1 2 3; do
		echo "$i" | curl -sf -o /dev/null -T - "${URLS[i]}/u/f$i"
		echo "$i" | curl -sf -o /dev/null -T - "${URLS[i]}/u/same"
	done
	echo x | curl -sf -o /dev/null -T - "${URLS[3]}/u/deep/er/x"
	curl -sf -X PUT -o /dev/null "${URLS[2]}/u/sub/"
	curl -sf -X DELETE -o /dev/null "${URLS[3]}/u/f1"
	for i in 1 2 3; do
		[ "$(code "${URLS[i]}/u/?format=json")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(jq -c 'map(.href)' body)" = '["deep/","f2","f3","same","sub/"]' ]
		[ "$(code "${URLS[i]}/u/sub/?format=json")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(code "${URLS[i]}/u/none/?format=json")" = 404 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(curl -sf "${URLS[i]}/u/?format=json&limit=2&after=f2" | jq -c 'map(.href)')" = '["f3","same"]' ]
		[ "$(code "${URLS[i]}/u/same?versions&format=json")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(jq -c '[length, (map(.node) | unique | length), .[0].current]' body)" = '[3,3,true]' ]
		middle=$(jq -r '.[1].version' body)
		[ "$(curl -sf "${URLS[i]}/u/same?versions&format=json&limit=1&after=$(jq -r '.[0].version' body)" |
			jq -c 'map([.version, .current])')" = "[[\"$middle\",false]]" ]
		[ "$(curl -sf "${URLS[i]}/u/?format=text")" = "$(curl -sf "${URLS[1]}/u/?format=text")" ]
		jq -r '.[].version' body | while read -r version; do
			curl -sf "${URLS[i]}/u/same?version=$version" | grep -q '^[123]$'
		done
	done
	oldest=$(curl -sf "${URLS[3]}/u/same?versions&format=json" | jq -r '.[2].version')
	[ "$(code -X POST "${URLS[3]}/u/same?restore=$oldest")" = 204 ]
	[ "$(curl -sf "${URLS[2]}/u/same")" = 1 ]
}

@test "an index is not confirmed by a home whose disk has forgotten something" {
	homes 2
	echo one >f
	[ "$(code -T f "${URLS[1]}/d/a")" = 201 ]
	sed -i 's/^silent = no/silent = yes/' "${STORES[2]}/state/standing.ini"
	stop "$(role_pid 2 covey-discoverd)" KILL
	for i in 1 2; do wait_until 10 knows_silent "$i" 2; done
	for i in 1 2; do
		for what in '' 'd/a?versions'; do
			wait_until 10 is_unconfirmed "${URLS[i]}/$what"
		done
	done
}

# hears I J PATH: node J tells node I what it knows of PATH, not as a home
hears() {
	"$TOP/tests/ask-versions" "${STORES[$1]}/run/version.sock" nodes "$3" |
		jq -se --arg name "node$2" 'any(.[]; .name == $name and .answered == 1)'
}

# roles I...: all processes of these nodes, in ROLES
roles() {
	local i role pid
	ROLES=()
	for i; do
		for role in covey-discoverd covey-versiond covey-syncd covey-httpd; do
			! pid=$(role_pid "$i" "$role") || ROLES+=("$pid")
		done
	done
}

@test "a disk that went back in time confirms nothing, though covey-discoverd never comes to say so" {
	local what
	homes 3
	echo old >f
	[ "$(CURL_SECONDS=60 code -H 'Prefer: wait=30' -T f "${URLS[2]}/a")" = 201 ]
	for i in 1 2 3; do wait_until 20 outbox_empty $i; done
	mkdir backup
	cp -a "${STORES[2]}"/{tree,history,outbox,state} backup
	roles 3
	hold "${ROLES[@]}"
	echo new >f
	[ "$(CURL_SECONDS=60 code -H 'Prefer: wait=30' -T f "${URLS[2]}/a")" = 204 ]
	roles 1 2
	hold "${ROLES[@]}"
	for what in tree history outbox state; do
		rm -r "${STORES[2]:?}/$what"
		mv "backup/$what" "${STORES[2]}"
	done
	for what in versiond syncd httpd; do kill -KILL "$(role_pid 2 covey-$what)"; done
	roles 3
	kill -CONT "${ROLES[@]}"
	# Homes 2 and 3 are a majority, and neither has the newest version.  One that answered
	# too late is asked by HTTP alone for ten seconds, and is waited for less: so five times.
	wait_until 60 hears 3 2 a
	for _ in {1..5}; do
		[ "$(code -I "${URLS[3]}/a")" = 200 ]
		[[ $(header Version-State) == unconfirmed* ]]
		[ "$(code -I -H 'Cache-Control: no-cache' "${URLS[3]}/a")" = 504 ]
	done
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[2]}/a?versions")" = 504 ]
	roles 1
	kill -CONT "${ROLES[@]}"
	wait_until 20 confirms "${URLS[3]}/a" new
}

# lay I EPOCH [LINEAGE]: node I's disk has a layout of that epoch, and its covey-httpd has not heard of it
lay() {
	sed -i "s/^epoch = .*/epoch = $2/; s/^lineage = .*/lineage = ${3:-$lineage}/" "${STORES[$1]}/state/layout.ini"
}

@test "an index is confirmed by homes of one layout alone, which is the newest on each disk" {
	local epoch lineage i
	homes 3
	echo one >f
	[ "$(code -T f "${URLS[1]}/d/a")" = 201 ]
	for i in 1 2 3; do wait_until 10 outbox_empty $i; done
	[ "$(code -X PUT "${URLS[1]}/e/")" = 201 ]
	epoch=$(layout 1 .epoch)
	lineage=$(layout 1 .lineage)
	for i in 1 2 3; do hold_roles $i discoverd; done
	all() { # all STATE: so node 1 answers, and with no-cache 504 unless it is confirmed
		local what state expected
		for what in / /d/ /d/a?versions; do
			expected=$(code "${URLS[1]}$what")
			state=$(header Version-State)
			[[ $state == "$1"* ]] || { echo "$what: $expected $state"; return 1; }
			[ "$1" = confirmed ] || expected=504
			[ "$(code -H 'Cache-Control: no-cache' "${URLS[1]}$what")" = "$expected" ] || return 1
		done
	}
	all confirmed
	# Its own disk: what the others say is of the epoch before.
	lay 1 $((epoch + 1))
	all unconfirmed
	[ "$(code -X DELETE "${URLS[1]}/e/")" = 503 ]		# who knows that it is empty
	lay 1 "$epoch" 0123456789abcdef		# another group's, of the same epoch
	all unconfirmed
	lay 1 "$epoch"
	all confirmed
	# The others' disks.
	lay 2 $((epoch + 1))
	all confirmed
	lay 3 $((epoch + 1))
	all unconfirmed
	run "$TOP/tests/as-peer" "$D/group/group.key" $((PORT_BASE + 10)) get /?format=text "Covey-Epoch=$epoch"
	[ "$output" = $'421\n'"Covey-Epoch $((epoch + 1))" ]
	lay 3 "$epoch" 0123456789abcdef
	all unconfirmed
	run "$TOP/tests/as-peer" "$D/group/group.key" $((PORT_BASE + 20)) get /?format=text "Covey-Epoch=$epoch" "Covey-Lineage=$lineage"
	[ "$output" = $'421\n'"Covey-Epoch $epoch" ]
	release
}

@test "copies: 1, and who made it is stopped: whoever has read it gives it" {
	local name origin="" reader=""
	homes 4 'replication: {copies: 1}'
	bytes 200000 >a
	# One node neither is a home nor would be the keeper.
	for name in f{1..40}; do
		covey-check --json -c "$D/group/node1/covey.yaml" "/c/$name" >roles || :
		other=$(jq -r '.[] | select(.roles == []) | .name' roles)
		[ -z "$other" ] || break
	done
	other=${other#node}
	for i in 1 2 3 4; do
		[ "$i" != "$other" ] || continue
		[ -n "$origin" ] && reader=$i || origin=$i
	done
	[ "$(code -T a "${URLS[origin]}/c/$name")" = 201 ]
	[ "$(code "${URLS[other]}/c/$name")" = 200 ]
	wait_until 10 cmp a "${STORES[other]}/tree/c/$name"
	hold_roles "$origin" httpd versiond discoverd syncd
	[ "$(code "${URLS[reader]}/c/$name")" = 200 ]
	[ "$(header Version-State)" = confirmed ]
	cmp body a
}

@test "a version that only another node holds is restored from there" {
	homes 2
	run covey layout set -c "$D/group/node1/covey.yaml" copies=1
	[ "$status" -eq 0 ]
	bytes 300000 1 >one
	bytes 200000 2 >two
	curl -sf -H 'Content-Type: text/x-made' -T one "${URLS[1]}/r"
	curl -sfT two "${URLS[1]}/r"
	[ ! -f "${STORES[2]}/tree/r" ]
	oldest=$(curl -sf "${URLS[2]}/r?versions&format=json" | jq -r '.[1].version')
	[ "$(code -X POST "${URLS[2]}/r?restore=$oldest")" = 204 ]
	for i in 1 2; do
		[ "$(code "${URLS[i]}/r")" = 200 ]
		[ "$(header Content-Type)" = text/x-made ]
		cmp body one
		[ "$(curl -sf "${URLS[i]}/r?versions&format=json" | jq length)" -eq 3 ]
	done
}

@test "a file below another node's file, and over another node's directory, is 409" {
	homes 3
	echo x >x
	curl -sfT x "${URLS[1]}/file"
	curl -sf -X PUT -o /dev/null "${URLS[1]}/dir/"
	for i in 2 3; do
		[ "$(code -T x "${URLS[i]}/file/below")" = 409 ]
		[ "$(code -T x "${URLS[i]}/file/far/below")" = 409 ]
		[ "$(code -T x "${URLS[i]}/dir")" = 409 ]
		[ "$(code -X PUT "${URLS[i]}/file/")" = 409 ]
		[ "$(code "${URLS[i]}/dir")" = 301 ]
		[ "$(code "${URLS[i]}/file")" = 200 ]
	done
}

@test "directories come and go as the group knows them, not one node" {
	homes 3
	echo x >x
	[ "$(code -T x "${URLS[1]}/d/e/x")" = 201 ]
	for i in 2 3; do [ "$(code -X DELETE "${URLS[i]}/d/e/")" = 409 ]; done
	[ "$(code -X DELETE "${URLS[2]}/d/e/x")" = 204 ]
	[ "$(code -X DELETE "${URLS[3]}/d/e/")" = 204 ]
	for i in 1 2 3; do
		[ "$(code "${URLS[i]}/d/e/?format=json")" = 404 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(code -X DELETE "${URLS[i]}/d/e/")" = 404 ]
	done
	# Who writes below it again makes it again, for everybody.
	[ "$(code -T x "${URLS[1]}/d/e/y")" = 201 ]
	for i in 1 2 3; do
		[ "$(curl -sf "${URLS[i]}/d/?format=json" | jq -c 'map(.href)')" = '["e/"]' ]
		[ "$(curl -sf "${URLS[i]}/d/e/?format=json" | jq -c 'map(.href)')" = '["y"]' ]
	done
}

@test "versions that two halves wrote are both there, marked as a conflict" {
	homes 2
	echo one >one
	[ "$(code -T one "${URLS[1]}/c")" = 201 ]
	hold_roles 1 versiond
	hold_roles 2 versiond
	[ "$(code -T one "${URLS[1]}/c")" = 202 ]
	[ "$(code -T one "${URLS[2]}/c")" = 202 ]
	release
	for i in 1 2; do wait_until 10 outbox_empty $i; done
	for i in 1 2; do
		[ "$(code "${URLS[i]}/c?versions&format=json")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(jq -c 'map([.blind, .rel])' body)" = '[[true,"conflict"],[true,"conflict"],[false,null]]' ]
		[ "$(header Link | grep -o 'rel="conflict"' | wc -l)" -eq 2 ]
		[ "$(curl -sf "${URLS[i]}/c?versions" | grep -c 'conflict$')" -eq 2 ]
	done
	# Who writes again has seen both.
	[ "$(code -T one "${URLS[1]}/c")" = 204 ]
	[ "$(curl -sf "${URLS[2]}/c?versions&format=json" | jq -c '.[0] | [.blind, .rel]')" = '[false,null]' ]
}

# forge I PATH RECORD: home I alone knows of this version, whose content it has not.
forge() {
	local store=${STORES[$1]} old
	old=$(curl -sf "${URLS[1]}/$2?versions" | cut -d' ' -f1)
	mkdir -p "$store/history/$2"
	mv "$store/tree/$2" "$store/history/$2/,$old"
	ln -s "$3" "$store/tree/$2"
}

@test "a version that one home alone knows is settled with its content, or was never confirmed" {
	homes 4
	echo one >one
	bytes 9000 >two
	[ "$(code -T one "${URLS[1]}/never")" = 201 ]
	[ "$(code -T one "${URLS[1]}/late")" = 201 ]
	guest=$(covey-check --json -c "$D/group/node1/covey.yaml" /late | jq -r '.[] | select(.roles | index("home") | not) | .name')
	guest=${guest#node}
	home=$((guest == 1 ? 2 : 1))
	rest=$(printf '9000 %s 0' "$(sha two)")
	forge $home never "20991123T070000.000000001Z-00000000000000aa-0 - $rest"
	for i in 1 2 3 4; do
		[ "$(code -H 'Cache-Control: no-cache' "${URLS[i]}/never")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		[[ $(header Cache-Status) != *older* ]]
		cmp body one
	done
	# Who made it has it, and is no home.
	version=20991123T070000.000000001Z-$(curl -sf "${URLS[guest]}/.covey/status" | jq -r .node)-0
	[ "$("$TOP/tests/as-peer" "$D/group/group.key" $((PORT_BASE + 10 * (guest - 1))) push /late two "$version")" = 201 ]
	forge $home late "$version - $rest"
	for i in $home 1 2 3 4; do
		[ "$(code -I "${URLS[i]}/late")" = 200 ]
		[ "$(code -H 'Cache-Control: no-cache' "${URLS[i]}/late")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		cmp body two
	done
}

# take URL KEY-FILE RECEIVER: what comes of three contents that are given together, of which the second
# is not its record's; then of a message for another node, and of one that is not whole
take() {
	PYTHONPATH=$TOP/tests python3 - "$@" <<'EOF'
import sys, urllib.request, urllib.error
from wire import *
url, key, receiver = sys.argv[1], key_of(sys.argv[2]), int(sys.argv[3], 16)

def item(path, content, of=None):
    return record(of or content, when=1700000000 * SECOND) + string(b"") + string(path) + string(content)

def post(receiver, items):
    plain = BULK_HEAD.pack(group=group_of(key), sender=0x1000, receiver=receiver, role=SYNC, id=7, lineage=1, epoch=1,
                           type=BULK_TAKE, body=items)
    try:
        with urllib.request.urlopen(url + "/.covey/msg?to=contents", sealed(key, plain), timeout=20) as answer:
            return list(BULK_HEAD.read(opened(key, answer.read())).body)
    except urllib.error.HTTPError as e:
        return e.code

all = item(b"t/right", b"right") + item(b"t/wrong", b"wrong", b"right") + item(b"t/too", b"")
print(post(receiver, all), post(receiver + 1, all), post(receiver, all[:-1]))
EOF
}

@test "contents that are given together are taken one by one, and only as their records say" {
	PORT_BASE=$(port 50) group 5
	local key version=20231114T221320.000000000Z-0000000000001000-0
	key=$(find "$D/group" -name group.key)
	[ "$(take "${URLS[1]}" "$key" "$(sed -n 's/^id = //p' "${STORES[1]}/node.ini")")" = '[1, 3, 1] 403 403' ]
	[ "$(cat "${STORES[1]}/tree/t/right")" = right ]
	[ -e "${STORES[1]}/tree/t/too" ]
	[ ! -e "${STORES[1]}/tree/t/wrong" ]
	[ ! -e "${STORES[1]}/history/t/wrong" ]
	[ "$(code -H 'Cache-Control: only-if-cached' "${URLS[1]}/t/right?version=$version")" = 200 ]
}

@test "requests between peers: signed, fresh, once; pushes leave what fits or nothing" {
	homes 2
	port=$PORT_BASE key=$(find "$D/group" -name group.key)
	peer() { "$TOP/tests/as-peer" "$key" "$port" "$@"; }
	epoch=$(curl -sf "${URLS[1]}/.covey/layout" | jq .epoch)
	[ "$(code -H 'Covey-Epoch: 1' "${URLS[1]}/")" = 403 ]
	[ "$(peer get /?format=text "Covey-Epoch=$epoch")" = $'200\n'"Covey-Epoch $epoch" ]
	[ "$(peer get /none/?format=text "Covey-Epoch=0")" = $'200\n'"Covey-Epoch $epoch" ]
	[ "$(peer get /?format=text "Covey-Epoch=$((epoch + 1))")" = $'421\n'"Covey-Epoch $epoch" ]
	[ "$(peer get /?format=text "Covey-Epoch=$epoch" "Covey-Lineage=$(layout 1 .lineage)")" = $'200\n'"Covey-Epoch $epoch" ]
	[ "$(peer get /?format=text "Covey-Epoch=$epoch" Covey-Lineage=0000000000000005)" = $'421\n'"Covey-Epoch $epoch" ]
	[ "$(peer get /?format=text forged "Covey-Epoch=$epoch")" = 403 ]
	[ "$(peer get /?format=text elsewhere "Covey-Epoch=$epoch")" = 403 ]
	[ "$(peer get /?format=text replayed "Covey-Epoch=$epoch")" = $'200\n'"Covey-Epoch $epoch"$'\n403' ]
	run peer get /?format=text old "Covey-Epoch=$epoch"
	[[ $output == $'403\nCovey-Time '* ]]
	bytes 20000 >f
	version=20261123T050000.000000001Z-00000000000000aa-0
	for defect in bare forged elsewhere wrong-sha wrong-size no-trailer unsigned-trailer other-trailer; do
		status=$(peer push /p/q f $version $defect)
		[[ $status == 40[03] ]]
		[ "$(code -H 'Cache-Control: only-if-cached' "${URLS[1]}/p/q?version=$version")" = 504 ]
	done
	[ "$(peer push /p/q f $version)" = 201 ]
	cmp f "${STORES[1]}/tree/p/q"
	[ "$(peer push /p/q f $version)" = 201 ]
	[ "$(peer push /p/q f $version known)" = 200 ]
	[ "$(code -H 'Cache-Control: only-if-cached' "${URLS[1]}/p/q?version=$version")" = 200 ]
	# 503, when the role takes its time
	is_refused() { [ "$(peer msg versions f)" = 403 ]; }
	wait_until 10 is_refused
	[ "$(peer msg nobody f)" = 404 ]
	bytes 70000 >long
	[ "$(peer msg sync long)" = 413 ]
}

@test "a push below min_free is 507" {
	openssl rand -hex 32 >key
	node_conf full "$(port 90)" "group:
  key_file: ../key
limits:
  min_free: 900T"
	spawn full covey-httpd -c "$CONF"
	wait_until 10 curl -sf -o /dev/null "$URL/.covey/healthz"
	echo x >f
	[ "$("$TOP/tests/as-peer" key "$(port 90)" push /p f 20261123T050000.000000001Z-00000000000000aa-0)" = 507 ]
	[ "$(code "$URL/p?version=20261123T050000.000000001Z-00000000000000aa-0")" = 404 ]
}

@test "what a client gave up waiting for is above nothing that is written later" {
	group 3 'timeouts: { check: 2s, store: 10s, push: 10s }'
	echo first >f
	[ "$(code -T f "${URLS[2]}/left")" = 201 ]
	kill -STOP "$(role_pid 1 covey-versiond)"
	echo abandoned >f
	spawn leaves curl -sv -H 'Prefer: wait=60' -T f "${URLS[1]}/left"
	wait_until 10 grep -q 'completely uploaded' leaves.log
	stop "$PID" KILL
	wait_until 10 grep -qx abandoned "${STORES[1]}/tree/left"
	echo newer >f
	[ "$(code -T f "${URLS[2]}/left")" = 204 ]
	kill -CONT "$(role_pid 1 covey-versiond)"
	wait_until 20 outbox_empty 1
	[ "$(curl -sf -H 'Cache-Control: no-cache' "${URLS[2]}/left")" = newer ]
}
