#!/usr/bin/env bats
# Dates and ages: seconds of HTTP over versions of nanoseconds, clocks that are wrong, machines that sleep.
load helpers

setup_file() {
	covey_setup
	gcc -shared -fPIC -o "$BATS_FILE_TMPDIR/set-clock.so" "$TOP/tests/set-clock.c"
	covey_teardown
}

setup() {
	covey_setup
	# Preloaded before the sanitizer's own library.
	export ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 SET_CLOCK=$D/clock
}

# set_clock AHEAD [SLEPT]: from now on, in seconds, for what was started by `clocked`
set_clock() {
	printf '%-40s\n' "$1 ${2:-0}" 1<>"$SET_CLOCK"		# at once, and in place
}

# clocked CMD...: CMD, and what it spawns, by the clock that is set
clocked() {
	export LD_PRELOAD=$BATS_FILE_TMPDIR/set-clock.so
	"$@"
	unset LD_PRELOAD
}

DAYS_400=$((400 * 86400))
ahead() { LC_ALL=C date -u -d "@$(($(date +%s) + $1))" '+%a, %d %b %Y %H:%M:%S GMT'; }
count() { curl -sf -m 5 "$1/.covey/status" | jq .versions.ahead; }

# A header of the last answer as seconds since 1970.
seconds() { date -u -d "$(header "$1")" +%s; }

# HTTP's dates

@test "a version ahead of the clock has no Last-Modified, and no date vouches for it" {
	set_clock $DAYS_400
	clocked httpd n
	[ "$(echo one | code -T - "$URL/f")" = 201 ]
	tag=$(header ETag)
	curl -sfR -o f -D headers "$URL/f"
	[ "$(seconds Last-Modified)" -le "$(seconds Date)" ]
	[ "$(stat -c %Y f)" -gt $(($(date +%s) + DAYS_400 - 3600)) ]

	set_clock 0
	[ "$(code "$URL/f")" = 200 ]
	[ -z "$(header Last-Modified)" ]
	[ "$(code -I "$URL/f")" = 200 ]
	[ -z "$(header Last-Modified)" ]
	[ "$(code -H "If-None-Match: $tag" "$URL/f")" = 304 ]
	[ -z "$(header Last-Modified)" ]
	[ "$(code "$URL/f?version=${tag//\"/}")" = 200 ]
	[ -z "$(header Last-Modified)" ]
	[ "$(echo two | code -T - "$URL/f")" = 204 ]
	curl -sf -z f -o got "$URL/f"
	[ "$(cat got)" = two ]
	for date in "$(ahead 0)" "$(ahead $DAYS_400)" "$(ahead $((2 * DAYS_400)))"; do
		[ "$(code -H "If-Modified-Since: $date" "$URL/f")" = 200 ]
		[ "$(code -H "If-Unmodified-Since: $date" "$URL/f")" = 412 ]
		[ "$(echo lost | code -H "If-Unmodified-Since: $date" -T - "$URL/f")" = 412 ]
		[ "$(code -r 1- -H "If-Range: $date" "$URL/f")" = 200 ]
	done
	# A file's own, older date is not ahead; the one that the client has, is.
	[ "$(echo three | code -H 'X-OC-Mtime: 1000000000' -T - "$URL/f")" = 204 ]
	[ "$(code -H "If-Modified-Since: $(ahead $DAYS_400)" "$URL/f")" = 200 ]
	[ "$(cat body)" = three ]
	[ "$(header Last-Modified)" = 'Sun, 09 Sep 2001 01:46:40 GMT' ]
	[ "$(code -H "If-Modified-Since: $(header Last-Modified)" "$URL/f")" = 304 ]
}

@test "two versions within a second are never joined by a date" {
	set_clock 0
	clocked httpd n
	echo 'one one one' | curl -sfT - "$URL/f"
	code "$URL/f" >/dev/null
	modified=$(header Last-Modified)
	echo 'two two two' | curl -sf -H "X-OC-Mtime: $(seconds Last-Modified)" -T - "$URL/f"
	set_clock 10
	[ "$(code "$URL/f")" = 200 ]
	[ "$(header Last-Modified)" = "$modified" ]
	[ "$(code -r 5- -H "If-Range: $modified" "$URL/f")" = 200 ]
	[ "$(cat body)" = 'two two two' ]
	[ "$(code -r 5- -H "If-Range: $(header ETag)" "$URL/f")" = 206 ]
}

@test "dates before 1970 are judged, in each of their forms" {
	httpd n
	echo one | curl -sfT - "$URL/f"
	for date in 'Wed, 31 Dec 1969 23:59:59 GMT' 'Wed Dec 31 23:59:59 1969' 'Mon, 01 Jan 0001 00:00:00 GMT'; do
		[ "$(echo two | code -H "If-Unmodified-Since: $date" -T - "$URL/f")" = 412 ]
		[ "$(code -H "If-Unmodified-Since: $date" "$URL/f")" = 412 ]
		[ "$(code -H "If-Modified-Since: $date" "$URL/f")" = 200 ]
	done
	[ "$(curl -sf "$URL/f?versions" | wc -l)" -eq 1 ]
}

@test "an empty If-None-Match is no condition" {
	httpd n
	[ "$(echo one | code -H 'If-None-Match;' -T - "$URL/f")" = 201 ]
	[ "$(echo two | code -H 'If-None-Match;' -T - "$URL/f")" = 204 ]
	[ "$(code -H 'If-None-Match;' "$URL/f")" = 200 ]
	[ "$(code -H 'If-None-Match: ,' "$URL/f")" = 200 ]
	modified=$(header Last-Modified)
	[ "$(code -H 'If-None-Match;' -H "If-Modified-Since: $modified" "$URL/f")" = 304 ]
	[ "$(code -H 'If-None-Match: f' "$URL/f")" = 400 ]
}

@test "the last bytes of an empty file are all of it" {
	httpd n
	printf '' | curl -sfT - "$URL/f"
	for range in bytes=-5 bytes=0-,-5; do
		[ "$(code -H "Range: $range" "$URL/f")" = 200 ]
		[ "$(header Content-Length)" = 0 ]
		[ ! -s body ]
	done
	[ "$(code -H 'Range: bytes=0-' "$URL/f")" = 416 ]
	printf abc | curl -sfT - "$URL/f"
	[ "$(code -H 'Range: bytes=-5' "$URL/f")" = 206 ]
	[ "$(cat body)" = abc ]
}

@test "what varies with Accept says so: errors too" {
	httpd n
	echo x | curl -sfT - "$URL/d/f"
	[ "$(code "$URL/none")" = 404 ]
	[ "$(header Vary)" = Accept ]
	[ "$(code -H 'Accept: application/problem+json' "$URL/none")" = 404 ]
	[ "$(header Vary)" = Accept ]
	[ "$(code "$URL/none/")" = 404 ]
	[ "$(header Vary)" = Accept ]
	[ "$(code "$URL/d/?limit=x")" = 400 ]
	[ "$(header Vary)" = Accept ]
	[ "$(code "$URL/d/")" = 200 ]
	[ "$(header Vary)" = Accept ]
	[ "$(code "$URL/d/f?versions")" = 200 ]
	[ "$(header Vary)" = Accept ]
	[ "$(code "$URL/d/f")" = 200 ]
	[ -z "$(header Vary)" ]
}

# clocks that are wrong

@test "no path becomes unwritable by a time that the file system cannot hold" {
	{ [ "$(id -u)" = 0 ] && unshare -m true && losetup -f >/dev/null; } ||
		skip "NOT RUN: no loop devices here (not root)"
	truncate -s 64M disk
	mkfs.ext4 -q -I 256 disk	# its times end in 2446
	node_conf n "$(port 1)" $'limits:\n  min_free: 1M'
	mkdir "$STORE"
	set_clock $(($(date -u -d 2490-01-01 +%s) - $(date +%s)))
	clocked spawn n unshare -m sh -c 'mount -o loop disk "$1" && exec covey-httpd -c "$2"' - "$STORE" "$CONF"
	wait_until 30 ready "$URL"
	[ "$(echo one | code -T - "$URL/d/f")" = 201 ]
	[ "$(echo two | code -T - "$URL/d/f")" = 204 ]
	[ "$(curl -sf "$URL/d/f")" = two ]
	set_clock 0			# and a version that is above these
	[ "$(echo three | code -T - "$URL/d/f")" = 204 ]
	[ "$(curl -sf "$URL/d/f")" = three ]
	[[ $(curl -sf "$URL/d/f?versions") == 2490*$'\n'2490*$'\n'2490* ]]
	last=$(curl -sf "$URL/d/f?versions" | tail -n 1 | cut -d ' ' -f 1)
	[ "$(curl -sf "$URL/d/f?version=$last")" = one ]
	[ "$(code -X POST "$URL/d/f?restore=$last")" = 204 ]
	[ "$(curl -sf "$URL/d/f")" = one ]
	[ "$(code -X DELETE "$URL/d/f")" = 204 ]
	[ "$(stat -c %Y "/proc/$PID/root$STORE/history/d/f/,$last")" -eq 15032385535 ]
}

@test "versions that came from more than a minute ahead are logged once, and counted" {
	set_clock $DAYS_400
	clocked httpd n
	echo one | curl -sfT - "$URL/f"
	[ "$(count "$URL")" -eq 0 ]	# its clock is all the time there is
	set_clock 0
	echo two | curl -sfT - "$URL/f"
	echo x | curl -sfT - "$URL/other"
	for ((i = 0; i < 5; i++)); do code "$URL/f" >/dev/null; done
	[ "$(count "$URL")" -eq 1 ]
	[ "$(COVEY_NODE=$URL covey status | grep -c '^versions.ahead  *1$')" -eq 1 ]
	curl -sf "$URL/.covey/metrics" | grep -qx 'covey_versions_ahead_total 1'
	[ "$(grep -c 'version .* of /f is 345[0-9]* s ahead of the clock' n.log)" -eq 1 ]
	[ "$(grep -c 'ahead of the clock' n.log)" -eq 1 ]
	stop "$PID"
	spawn n covey-httpd -c "$CONF"
	wait_until 30 ready "$URL"
	code "$URL/f" >/dev/null
	[ "$(count "$URL")" -eq 1 ]
	[ "$(code -X DELETE "$URL/f")" = 204 ]
	[ "$(count "$URL")" -eq 2 ]
}

# Node I, with the others.
start() { spawn "n$1" covey up -c "${CONFS[$1]}"; }
told() { grep -c 'ahead of the clock' "$D/n$1.log" || :; }
told_as_counted() { [ "$(told "$1")" -eq "$(count "${URLS[$1]}")" ]; }

@test "content goes by the group's clock, not by one that is wrong" {
	local i n=3 pids=()
	covey key new >group.key
	for ((i = 1; i <= n; i++)); do
		lone_conf $i $n
		echo 'keep: { versions: 7, days: 100 }' >>"${CONFS[i]}"
	done
	for ((i = 1; i <= n; i++)); do start $i; pids[i]=$PID; done
	wait_until 60 settled $n
	for f in f g; do echo now | curl -sfT - "${URLS[3]}/$f"; done
	stop "${pids[3]}"
	"$TOP/tests/aged" "${STORES[3]}" f 99 1
	# That it was pruned is seen of one version too many.
	"$TOP/tests/aged" "${STORES[3]}" g 1 2 3 4 5 6 7
	set_clock $DAYS_400
	clocked start 3
	wait_until 60 grep -q 'pruned 1 versions and the content of 0' n3.log
	[ "$(find "${STORES[3]}/history/f" -type f -name ',[12]*' | wc -l)" -eq 2 ]
	stop "$PID"
}

# five nodes, of which three are the file's homes
@test "what a node wrote alone by a wrong clock is told once by each that learns of it" {
	local i n=5 know=0 put=0 pids=()
	covey key new >group.key
	for ((i = 1; i <= n; i++)); do lone_conf $i $n; done
	set_clock 0
	clocked start 1
	pids[1]=$PID
	for ((i = 2; i <= n; i++)); do start $i; pids[i]=$PID; done
	wait_until 60 settled $n
	# One clock of five is wrong, and that node goes by the others'.
	set_clock $DAYS_400
	in_time() {
		echo x | code -T - "${URLS[1]}/clocks/$((++put))" >/dev/null
		[[ $(header ETag) == "\"$(date -u +%Y%m)"* ]]
	}
	wait_until 60 in_time
	stop_all "${pids[@]:2}"
	# Alone it keeps to what it last knew of them, unless it forgot.
	stop "${pids[1]}"
	sed -i '/^offset/d' "${STORES[1]}"/state/*.ini
	clocked start 1
	pids[1]=$PID
	wait_until 30 ready "${URLS[1]}"
	[ "$(echo late | code -T - "${URLS[1]}/clocks/late")" = 202 ]
	[[ $(header ETag) != "\"$(date -u +%Y)"* ]]
	[ "$(told 1)" -eq 0 ]
	set_clock 0
	for ((i = 2; i <= n; i++)); do start $i; pids[i]=$PID; done
	wait_until 60 settled $n
	for ((i = 2; i <= n; i++)); do wait_until 60 is_late "${URLS[i]}/clocks/late"; done
	for ((i = 1; i <= n; i++)); do
		wait_until 20 told_as_counted $i
		[ "$(told $i)" -le 1 ]
		know=$((know + $(told $i)))
	done
	[ "$know" -ge 2 ]
}
is_late() { [ "$(curl -sf -m 10 "$1")" = late ]; }

@test "what was confirmed before the machine slept is as old as the night" {
	local age
	set_clock 0
	clocked group 3
	echo x | curl -sf -m 20 -T - "${URLS[1]}/f"
	confirmed() { [ "$(code "${URLS[1]}/f")" = 200 ] && [ "$(header Version-State)" = confirmed ]; }
	wait_until 30 confirmed
	[ "$(code -H 'Cache-Control: max-stale' "${URLS[1]}/f")" = 200 ]
	[ "$(header Age)" -lt 3600 ]
	[ "$(code -H 'Cache-Control: max-age=3600' "${URLS[1]}/f")" = 200 ]
	[ -n "$(header Age)" ]
	set_clock 0 28800
	[ "$(code -H 'Cache-Control: max-stale' "${URLS[1]}/f")" = 200 ]
	age=$(header Age)
	[ "$age" -ge 28800 ]
	[ "$age" -lt 32400 ]
	[ "$(code -H 'Cache-Control: max-age=3600' "${URLS[1]}/f")" = 200 ]
	[ -z "$(header Age)" ]
	wait_until 30 confirmed
	[ "$(code -H 'Cache-Control: max-age=3600' "${URLS[1]}/f")" = 200 ]
	[ "$(header Age)" -lt 3600 ]
}

@test "a scrub.last later than now counts as never" {
	httpd n
	echo one | curl -sfT - "$URL/a"
	printf '[round]\nlast = %s\n' $(($(date +%s) + DAYS_400)) >"$STORE/state/scrub.ini"
	[ "$(curl -sf "$URL/.covey/status" | jq .scrub.last)" = 0 ]
	curl -sf "$URL/.covey/metrics" | grep -qx 'covey_scrub_last_seconds 0'
	spawn syncd covey-syncd -c "$CONF"
	wait_until 30 grep -q 'scrub: a round is done' "$D/syncd.log"
	[ "$(curl -sf "$URL/.covey/status" | jq .scrub.last)" -gt $(($(date +%s) - 600)) ]
}
