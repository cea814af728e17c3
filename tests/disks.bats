#!/usr/bin/env bats
# Disks that fail, turn read-only, go away and fill up under a node: it says so, and heals.
load helpers

teardown() {
	_end_leftovers
	local mounted
	for mounted in "$D"/*/store "$D"/group/*/store; do
		! mountpoint -q "$mounted" || umount -l "$mounted"
	done
	covey_teardown
}

# disk DIRECTORY SIZE [MKFS-ARG...]: an ext4 file system of $D/image there
disk() {
	[ "$(id -u)" -eq 0 ] || skip "NOT RUN: mounting needs root"
	need mkfs.ext4
	mkdir -p "$1"
	truncate -s "$2" "$D/image"
	mkfs.ext4 -q -F -m 0 "${@:3}" "$D/image"
	mount -o loop "$D/image" "$1" || skip "NOT RUN: no loop devices here"
}

# shut_down DIRECTORY: its file system refuses everything, as after an error of the disk
shut_down() {
	python3 -c 'import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))' "$1" ||
		skip "NOT RUN: this file system cannot be shut down"
}

# What programs have mapped to write keeps a file system from being remounted: so the sockets lie elsewhere.
run_elsewhere() { sed -i "s|^  store: .*|&\n  run: $D/run|" "$1"; }

# break_syncs INJECTION PID...: strace injects it into their syncs, until mend_syncs
break_syncs() {
	local pid all=()
	need strace
	for pid in "${@:2}"; do all+=(-p "$pid"); done
	spawn strace strace -f -o "$D/syncs" -e trace=fsync,fdatasync,syncfs -e inject="$1" "${all[@]}"
	STRACE_PID=$PID
	for pid in "${@:2}"; do
		wait_until 20 grep -q "Process $pid attached" "$D/strace.log" ||
			{ ! grep -q 'not permitted' "$D/strace.log" || skip "NOT RUN: strace may not attach here"; }
	done
}

mend_syncs() {
	stop "$STRACE_PID" || :
	rm -f "$D/strace.log"
}

# LeakSanitizer cannot run in a process that is traced, or that can have no thread.
no_leak_check() { export LEAK_CHECK=0; }

versions_of() { curl -s "$1?versions&format=json" | jq length; }

@test "one failed sync: 5xx and nothing of it is visible; the role is started again and works" {
	no_leak_check
	group 1
	local at old=0 was code count failed=0 width
	echo 0 | curl -sf -T - "${URLS[1]}/f"
	# Of what the log does not take the body, the history, the directory, the outbox; and the log.
	for at in fsync:error=EIO:when={1,2,3} fdatasync:error=EIO:when=1 fdatasync:error=EIO:when=1+0; do
		[[ $at == *+0 ]] && width=1 || width=60000
		was=$(role_pid 1 covey-httpd)
		count=$(versions_of "${URLS[1]}/f")
		break_syncs "${at%+0}" "$was"
		code=$(printf "%-${width}s" "$at" | code -T - "${URLS[1]}/f")
		mend_syncs
		# A write may have fewer syncs than that.
		if [ "$code" -lt 300 ]; then
			old=$(printf "%-${width}s" "$at")
			continue
		fi
		failed=$((failed + 1))
		[ "$code" -ge 500 ]
		wait_until 20 ready "${URLS[1]}"
		[ "$(role_pid 1 covey-httpd)" != "$was" ]
		grep -q "covey-httpd .*(process $was) ended with status 111" "$D/group.log"
		[ "$(curl -s "${URLS[1]}/f")" = "$old" ]
		[ "$(versions_of "${URLS[1]}/f")" -eq "$count" ]
	done
	[ $failed -ge 4 ]
	[ "$(code -T - "${URLS[1]}/f" <<<new)" = 204 ]
	[ "$(curl -s "${URLS[1]}/f")" = new ]
}

@test "syncs that go on failing: writes and readyz are 503, reads go on; it ends, and heals" {
	no_leak_check
	group 3
	local pids
	echo old | curl -sf -T - "${URLS[1]}/f"
	pids=$(for role in httpd versiond syncd discoverd; do role_pid 1 covey-$role || :; done)
	# shellcheck disable=SC2086
	break_syncs fsync,fdatasync,syncfs:error=EIO "$GROUP_PID" $pids
	[ "$(code -T - "${URLS[1]}/f" <<<lost)" -ge 500 ]
	[ "$(code "${URLS[1]}/.covey/readyz")" = 503 ]
	[ "$(code -T - "${URLS[1]}/f" <<<lost)" = 503 ]
	[ "$(code "${URLS[1]}/f")" = 200 ]
	[ "$(cat body)" = old ]
	[ "$(code -T - "${URLS[2]}/f" <<<new)" = 204 ]
	[ "$(curl -s "${URLS[1]}/f")" = new ]
	mend_syncs
	wait_until 20 ready "${URLS[1]}"
	[ "$(code -T - "${URLS[1]}/f" <<<newer)" = 204 ]
	pids=$(for role in httpd versiond syncd discoverd; do role_pid 1 covey-$role || :; done)
	# shellcheck disable=SC2086
	break_syncs fsync,fdatasync,syncfs:error=EIO "$GROUP_PID" $pids
	[ "$(code -T - "${URLS[1]}/f" <<<lost)" -ge 500 ]
	kill "$GROUP_PID"
	wait_until 5 not_running "$GROUP_PID"
	mend_syncs
}
not_running() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

@test "a sync that fails in covey-versiond or covey-syncd: it leaves and is started again" {
	no_leak_check
	group 3
	local pid i
	pid=$(role_pid 1 covey-versiond)
	break_syncs fsync:error=EIO "$pid"
	# Two of three keep each: it is almost certain that of some of 30 node 1 is no keeper. Its
	# covey-versiond alone stores the record of those, and its covey-syncd pulls their content.
	for i in {1..30}; do [ "$(code -T - "${URLS[2]}/p$i" <<<"$i")" = 201 ]; done
	wait_until 20 grep -q "covey-versiond .*(process $pid) ended with status 111" "$D/group.log"
	mend_syncs
	wait_until 20 ready "${URLS[1]}"
	wait_until 20 role_pid 1 covey-syncd
	pid=$(role_pid 1 covey-syncd)
	break_syncs fsync:error=EIO "$pid"
	for i in {1..30}; do
		[ "$(code "${URLS[1]}/p$i")" = 200 ]
		[ "$(cat body)" = "$i" ]
	done
	wait_until 20 grep -q "covey-syncd .*(process $pid) ended with status 111" "$D/group.log"
	mend_syncs
	wait_until 20 settled
	[ "$(code -T - "${URLS[1]}/p1" <<<new)" = 204 ]
}

# group_on_disk N: of N nodes, the first on a disk of its own
group_on_disk() {
	group_conf "$1"
	run_elsewhere "$D/group/node1/covey.yaml"
	disk "$D/group/node1/store" 64M
	group "$1"
	STORE=${STORES[1]} URL=${URLS[1]}
}

# Of node 1, whose disk takes nothing: writes are 503, and what others know is read through it.
reads_pass_through() {
	[ "$(code "$URL/.covey/readyz")" = 503 ]
	[ "$(code "$URL/f")" = 200 ]
	[ "$(cat body)" = old ]
	[ "$(code -T - "$URL/f" <<<lost)" = 503 ]
	[ "$(code -X DELETE "$URL/f")" = 503 ]
	[ "$(code -T - "${URLS[2]}/f" <<<new)" = 204 ]
	bytes 300000 new >big
	[ "$(code -T big "${URLS[3]}/d/big")" = 201 ]
	[ "$(code "$URL/f")" = 200 ]
	[ "$(cat body)" = new ]
	[ "$(header Version-State)" = confirmed ]
	[ "$(code "$URL/d/big")" = 200 ]
	cmp body big
	[ "$(code "$URL/d/?format=json")" = 200 ]
	[ "$(jq -r '.[].name' body)" = big ]
	[ "$(code "$URL/nothing")" = 404 ]
}

turns_read_only() {
	group_on_disk "$1"
	# What node 1 writes itself is in its outbox, which then is open and keeps the disk busy.
	echo old | curl -sf -T - "${URLS[2]}/f"
	local was
	was=$(role_pid 1 covey-httpd)
	wait_until 20 mount -o remount,ro "$STORE"
	reads_pass_through
	run covey status --node "$URL"
	[[ $output == *"mounted read-only"* ]]
	mount -o remount,rw "$STORE"
	wait_until 10 ready "$URL"
	[ "$(code -T - "$URL/f" <<<newer)" = 204 ]
	[ "$(role_pid 1 covey-httpd)" = "$was" ]
}
@test "remounted read-only in a group of three: 503, reads pass through; it heals without a restart" { turns_read_only 3; }
@test "remounted read-only in a group of five" { turns_read_only 5; }

@test "a store that is read-only at the start is served, and written when it can be" {
	disk "$D/n/store" 48M
	node_conf n "$(port 60)"
	run_elsewhere "$CONF"
	spawn n covey-httpd -c "$CONF"
	wait_until 20 ready "$URL"
	echo kept | curl -sf -T - "$URL/f"
	stop "$PID"
	local where
	for where in "$D/run" "$STORE/run"; do	# the second cannot be written either
		sed -i "s|^  run: .*|  run: $where|" "$CONF"
		mount -o remount,ro "$STORE"
		spawn n covey-httpd -c "$CONF"
		wait_until 20 curl -sf "$URL/.covey/healthz"
		[ "$(code "$URL/.covey/readyz")" = 503 ]
		[ "$(curl -s "$URL/f")" = kept ]
		[ "$(code "$URL/g")" = 404 ]
		[ "$(code -T - "$URL/f" <<<lost)" = 503 ]
		[[ $(covey status --node "$URL") == *"mounted read-only"* ]]
		grep -q "serve what is there: .*mounted read-only" "$D/n.log"
		mount -o remount,rw "$STORE"
		wait_until 10 ready "$URL"
		[ "$(code -T - "$URL/f" <<<kept)" = 204 ]
		[[ $(covey status --node "$URL") != *"mounted read-only"* ]]
		stop "$PID"
	done
	rm -rf "${STORE:?}"/*
	mount -o remount,ro "$STORE"
	run timeout 20 covey-httpd -c "$CONF"
	[ "$status" -eq 111 ]
	[[ $output == *"Read-only"* ]]
}

shuts_down() {
	group_on_disk "$1"
	echo old | curl -sf -T - "$URL/f"
	shut_down "$STORE"
	wait_until 20 code "$URL/.covey/readyz"
	reads_pass_through
	# The same disk, come back as another device.
	umount -l "$STORE"
	cp "$D/image" "$D/image2"
	mount -o loop "$D/image2" "$STORE"
	wait_until 30 ready "$URL"
	wait_until 30 settled
	[ "$(code -T - "$URL/f" <<<newer)" = 204 ]
	[ "$(curl -s "${URLS[2]}/f")" = newer ]
}
@test "a file system shut down in a group of three: 503, reads pass through; mounted again it heals" { shuts_down 3; }
@test "a file system shut down in a group of five" { shuts_down 5; }

@test "a store removed while it is used, or unmounted: 503, and nothing is confirmed absent; alone" {
	disk "$D/n/store" 48M
	local how
	for how in 'umount -l' 'rm -rf'; do
		httpd n
		echo kept | curl -sf -T - "$URL/d/f"
		if [ "$how" = 'rm -rf' ]; then rm -rf "${STORE:?}"/* ; else umount -l "$STORE"; fi
		[ "$(code "$URL/.covey/readyz")" = 503 ]
		[ "$(code "$URL/nothing")" = 503 ]
		[[ $(cat body) == *"is gone"* ]]
		[ "$(code "$URL/d/")" = 503 ]
		[ "$(code "$URL/d/f?versions")" = 503 ]
		[ "$(code -T - "$URL/g" <<<lost)" = 503 ]
		[ "$(code -X DELETE "$URL/nothing")" = 503 ]
		[ ! -e "$STORE/tree" ]
		stop "$PID"
		[ "$how" = 'rm -rf' ] || mount -o loop "$D/image" "$STORE"
	done
}

goes_away() {
	group_on_disk "$1"
	local i was
	echo old | curl -sf -T - "$URL/f"
	echo other | curl -sf -T - "$URL/e/g"
	was=$(role_pid 1 covey-httpd)
	umount -l "$STORE"
	reads_pass_through
	# What two others of three homes say, or no majority: never a word of this one.
	[ "$(code "$URL/e/g")" = 200 ]
	for ((i = 2; i <= $1; i++)); do kill -STOP "$(role_pid $i covey-versiond)"; done
	[ "$(code "$URL/away")" != 200 ]
	[ "$(header Version-State)" != confirmed ]
	for ((i = 2; i <= $1; i++)); do kill -CONT "$(role_pid $i covey-versiond)"; done
	# The disk comes back, as another device.
	cp "$D/image" "$D/image2"
	mount -o loop "$D/image2" "$STORE"
	wait_until 30 ready "$URL"
	[ "$(role_pid 1 covey-httpd)" != "$was" ]
	wait_until 30 settled
	[ "$(code -T - "$URL/f" <<<newer)" = 204 ]
}
@test "a store unmounted in a group of three: 503, reads pass through, it is no home; it comes back" { goes_away 3; }
@test "a store unmounted in a group of five" { goes_away 5; }

@test "a body that does not fit is 507 before 100 Continue; one that grows stops at min_free" {
	disk "$D/n/store" 64M
	httpd n $'limits:\n  min_free: 24M'
	bytes 60000000 >large
	run curl -s -v -m 30 -o /dev/null -T large -H 'Expect: 100-continue' --expect100-timeout 30 "$URL/large"
	[[ $output == *"HTTP/1.1 507"* ]]
	[[ $output != *"100 Continue"* ]]
	[ "$(code -T large -H 'Expect:' "$URL/large")" = 507 ]
	[ "$(code -F file=@large "$URL/d/")" = 507 ]
	# Of unknown length: it ends where min_free begins, and leaves others their room.
	spawn watch python3 -c 'import os, sys, time
least = 1 << 60
while not os.path.exists(sys.argv[2]):
    s = os.statvfs(sys.argv[1])
    least = min(least, s.f_bavail * s.f_frsize)
print(least)' "$STORE" "$D/end"
	local watch=$PID
	[ "$(code -T - "$URL/grows" <large)" = 507 ]
	touch end
	_await_end "$watch"
	[ "$(cat watch.log)" -ge $((20 << 20)) ]
	[ "$(code -T - "$URL/small" <<<fits)" = 201 ]
	[ "$(code "$URL/.covey/readyz")" = 200 ]
	bytes 1000000 >fits
	[ "$(code -T fits "$URL/fits")" = 201 ]
}

@test "two sets of roles on one store: the second is refused, and told who has it" {
	httpd n
	local first=$PID other
	sed "s|^  http: .*|  http: $(port 70)|" "$CONF" >other.yaml
	sed "s|^  store: .*|&\n  run: $D/other|" "$CONF" >run.yaml
	for other in other run; do
		run timeout 20 covey-httpd -c $other.yaml
		[ "$status" -eq 111 ]
		[[ $output == *"another node runs on it, http ${URL#http://}, run directory $STORE/run"* ]]
		run timeout 20 covey up -c $other.yaml
		[ "$status" -eq 69 ]
		[[ $output == *"another node runs on it"* ]]
	done
	# Its own commands are no other node, and when it has left there is none.
	echo x >"$STORE/tree/x"
	run covey adopt -c "$CONF" /x
	[ "$status" -eq 0 ]
	run covey adopt -c other.yaml /
	[ "$status" -eq 0 ]
	[ "$(curl -s "$URL/x")" = x ]
	stop "$first"
	spawn up covey up -c other.yaml
	wait_until 20 ready "http://127.0.0.1:$(port 70)"
	# covey up holds it also while none of its roles runs.
	run timeout 20 covey-httpd -c "$CONF"
	[ "$status" -eq 111 ]
	[[ $output == *"another node runs on it, http 127.0.0.1:$(port 70)"* ]]
	# The same one again is another, if it is elsewhere (a container) and has the port, too.
	run timeout 20 covey up -c other.yaml
	[ "$status" -eq 69 ]
	[[ $output == *"another covey up runs a node on it"* ]]
	[ "$(code "http://127.0.0.1:$(port 70)/x")" = 200 ]
}

@test "node.id: another store, or a fresh one, is refused with a clear word, and not made" {
	httpd n
	local id
	id=$(sed -n 's/^id = //p' "$STORE/node.ini")
	stop "$PID"
	sed -i "s|^  store: .*|&\n  id: $id|" "$CONF"
	spawn n covey-httpd -c "$CONF"
	wait_until 20 ready "$URL"
	[ "$(covey status --node "$URL" --json | jq -r .node)" = "$id" ]
	stop "$PID"
	sed "s|^  id: .*|  id: 0123456789abcdef|" "$CONF" >foreign.yaml
	run timeout 20 covey-httpd -c foreign.yaml
	[ "$status" -eq 111 ]
	[[ $output == *"it is the store of node $id, but node.id says 0123456789abcdef"* ]]
	mv "$STORE" "$STORE.away"
	local made
	for made in no yes; do
		[ $made = no ] || mkdir "$STORE"
		run timeout 20 covey-httpd -c "$CONF"
		[ "$status" -eq 111 ]
		[[ $output == *"there is no store, but node.id says $id: is its disk mounted?"* ]]
		run timeout 20 covey up -c "$CONF"
		[ "$status" -eq 69 ]
		run covey adopt -c "$CONF" /
		[ "$status" -eq 69 ]
		[ -z "$(ls -A "$STORE" 2>/dev/null)" ]
	done
	rmdir "$STORE"
	mv "$STORE.away" "$STORE"
	run covey node renew -c "$CONF"
	[ "$status" -eq 0 ]
	[[ $output == *"node.id"* ]]
	run timeout 20 covey-httpd -c "$CONF"
	[ "$status" -eq 111 ]
	[[ $output == *"it is the store of node"* ]]
	for id in 12 0123456789abcdeg 0000000000000000; do
		sed "s|^  id: .*|  id: $id|" "$CONF" >wrong.yaml
		run covey-httpd -n -c wrong.yaml
		[ "$status" -eq 100 ]
		[[ $output == *"node.id: "* ]]
	done
}

@test "covey units: the services wait for the disk of a store elsewhere" {
	node_conf n "$(port 1)"
	run covey units -c "$CONF"
	[ "$status" -eq 0 ]
	[[ $output == *$'50-address.conf\n[Unit]\nRequiresMountsFor='"$STORE"$'\n'* ]]
	mkdir written
	covey units -c "$CONF" --write written
	grep -qxF "RequiresMountsFor=$STORE" written/covey-.service.d/50-address.conf
}

@test "no thread can be had: a write is 503 and a line in the log, reads go on" {
	[ "$(id -u)" -eq 0 ] || skip "NOT RUN: another user is needed, whose processes are counted"
	need prlimit
	no_leak_check
	# A user of its own: the limit counts all that one has.
	local user=$((200000 + $$ % 100000))
	node_conf n "$(port 60)"
	mkdir -p "$STORE"
	chown -R $user "$D"
	spawn n setpriv --reuid $user --clear-groups covey-httpd -c "$CONF"
	wait_until 20 ready "$URL"
	setpriv --reuid $user --clear-groups prlimit --pid "$PID" --nproc=1:
	[ "$(code -T - "$URL/f" <<<x)" = 503 ]
	[[ $(cat body) == *"start a thread"* ]]
	grep -q 'PUT /f: 503 start a thread: ' n.log
	[ "$(code -F "file=@$CONF" "$URL/d/")" = 503 ]
	[ "$(code -X DELETE "$URL/f")" = 503 ]
	[ "$(code "$URL/?format=json")" = 200 ]
	[ "$(code "$URL/nothing")" = 404 ]
	[ "$(code "$URL/.covey/status")" = 200 ]
	setpriv --reuid $user --clear-groups prlimit --pid "$PID" --nproc=100:
	[ "$(code -T - "$URL/f" <<<x)" = 201 ]
	stop "$PID"
	[ "$STOPPED" -eq 0 ]
	# So it is from the start on, too.
	spawn n setpriv --reuid $user --clear-groups prlimit --nproc=1: covey-httpd -c "$CONF"
	wait_until 20 ready "$URL"
	[ "$(nproc)" -eq 1 ] || grep -q 'serve with fewer threads: ' n.log
	[ "$(curl -s "$URL/f")" = x ]
	[ "$(code -T - "$URL/f" <<<y)" = 503 ]
}

@test "deletions go on where inodes have run out, by covey's own files or by others'" {
	disk "$D/n/store" 64M -N 16384
	httpd n $'limits:\n  min_free: 1K'
	local i
	echo small >small
	for ((i = 1; i <= 160; i++)); do printf 'url = %s/a/%d\nupload-file = small\noutput = /dev/null\n' "$URL" $i; done >uploads
	curl -sf -K uploads
	# Writers leave what some hundred deletions take; others leave nothing.
	python3 -c 'import os, sys
os.mkdir(sys.argv[1])
i = 0
while os.statvfs(sys.argv[1]).f_favail > int(sys.argv[2]):
    os.close(os.open("%s/%d" % (sys.argv[1], i), os.O_CREAT))
    i += 1' "$STORE/others" 500
	[ "$(code -T small "$URL/more")" = 507 ]
	[[ $(cat body) == *"fewer than 512 inodes"* ]]
	for ((i = 1; i <= 100; i++)); do echo "/a/$i"; done >names
	run xargs -a names covey rm --node "$URL"
	[ "$status" -eq 0 ]
	python3 -c 'import os, sys
i = 100000
try:
    while True:
        os.close(os.open("%s/%d" % (sys.argv[1], i), os.O_CREAT))
        i += 1
except OSError:
    pass' "$STORE/others"
	[ "$(stat -f -c %d "$STORE")" -eq 0 ]
	for ((i = 101; i <= 160; i++)); do echo "/a/$i"; done >names
	run xargs -a names covey rm --node "$URL"
	[ "$status" -eq 0 ]
	[ "$(curl -s "$URL/a/?format=json" | jq length)" -eq 0 ]
	[ ! -e "$STORE/reserve-inodes/383" ]
	rm -rf "$STORE/others"
	[ "$(code -T small "$URL/a/1")" = 201 ]
	[ -e "$STORE/reserve-inodes/383" ]
	[ "$(curl -s "$URL/a/1?versions&format=json" | jq length)" -eq 3 ]
}

@test "read-only at the start in a group of three: it serves what is there, is silent, and comes back" {
	group_on_disk 3
	local i
	echo old | curl -sf -T - "${URLS[2]}/f"
	curl -sf -o /dev/null "$URL/f"
	wait_until 20 test -e "$STORE/tree/f"
	stop "$GROUP_PID"
	mount -o remount,ro "$STORE"
	for i in 1 2; do	# also after another start
		spawn group covey up --nodes 3 --dir "$D/group" --port "$PORT_BASE"
		GROUP_PID=$PID
		wait_until 20 ready "${URLS[2]}"
		echo "new $i" >new
		wait_until 20 code_is 204 -T new "${URLS[2]}/f"
		[ "$(code "$URL/.covey/readyz")" = 503 ]
		wait_until 20 serves "$URL/f" "new $i"
		[[ $(covey status --node "$URL") == *"mounted read-only"* ]]
		[ $i -eq 2 ] || stop "$GROUP_PID"
	done
	mount -o remount,rw "$STORE"
	wait_until 20 ready "$URL"
	wait_until 30 settled
	[ "$(code -T - "$URL/f" <<<newer)" = 204 ]
}
code_is() { [ "$(code "${@:2}")" = "$1" ]; }
serves() { [ "$(curl -s -m 10 "$1")" = "$2" ]; }
