# scrub.bats - what a disk has changed is found, kept aside, and comes back from another node
# shellcheck shell=bash disable=SC2034,SC2154

load helpers

conf() { echo "$GROUP/node$1/covey.yaml"; }

# flip FILE: one byte of it is another, and neither its size nor its mtime tell
flip() {
	python3 - "$1" <<-'PY'
	import os, sys
	fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOFOLLOW)
	st = os.fstat(fd)
	at = st.st_size // 2
	os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ 1]), at)
	os.fsync(fd)
	os.utime(fd, ns=(st.st_atime_ns, st.st_mtime_ns))
	PY
}

# holds I FILE PATH: node I has that content on its disk
holds() { [ ! -L "${STORES[$1]}/tree/$3" ] && cmp -s "$2" "${STORES[$1]}/tree/$3"; }

# keepers PATH: their numbers
keepers() {
	printf '%s\0' "$1" | covey-check -c "$(conf 1)" --json -0 - |
		jq -r '.nodes[] | select(.roles | index("keeper")) | .name' | sed 's/^node//' | sort
}

# The bad copies of a path that node I keeps aside
aside() { find "${STORES[$1]}/history/$2" -maxdepth 1 -name ',bad-*' 2>/dev/null; }

@test "a byte that a keeper's disk changed is found, and the content comes back" {
	group 3
	bytes 300000 1 >old
	bytes 700000 2 >new
	[ "$(code -T old "${URLS[1]}/d/f")" = 201 ]
	old=$(header ETag | tr -d '"')
	[ "$(code -T new "${URLS[1]}/d/f")" = 204 ]
	two_keepers() { [ "$(keepers d/f | wc -l)" -eq 2 ]; }
	wait_until 10 two_keepers
	mapfile -t k < <(keepers d/f)
	for i in "${k[@]}"; do wait_until 20 holds "$i" new d/f; done
	at=${k[0]}
	run covey scrub -c "$(conf "$at")"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *", 0 bad" ]]

	flip "${STORES[$at]}/tree/d/f"
	flip "${STORES[$at]}/history/d/f/,$old"
	run covey scrub -c "$(conf "$at")" d
	echo "$output"
	[ "$status" -eq 65 ]
	[[ $output == *"$old  /d/f: its sha256 is another; set aside as ,bad-$old in history/d/f"* ]]
	[[ $output == *"2 contents, "*" read, 2 bad" ]]
	# Nobody asks for them, and within seconds they are here again.
	wait_until 10 holds "$at" new d/f
	wait_until 10 cmp -s old "${STORES[$at]}/history/d/f/,$old"
	[ "$(code "${URLS[$at]}/d/f")" = 200 ]
	cmp body new
	[ "$(code "${URLS[$at]}/d/f?version=$old")" = 200 ]
	cmp body old
	[ "$(aside "$at" d/f | wc -l)" -eq 2 ]
	[ "$(cmp -l "$(aside "$at" d/f | grep -- "$old")" old | wc -l)" -eq 1 ]
	run covey scrub --json -c "$(conf "$at")"
	[ "$status" -eq 0 ]
	[ "$(jq -c '[.contents, .bytes, .bad]' <<<"$output")" = "[2,1000000,[]]" ]
}

@test "once a bad copy was found no read gives its bytes" {
	group 3
	bytes 900000 3 >f
	[ "$(code -T f "${URLS[1]}/f")" = 201 ]
	mapfile -t k < <(keepers f)
	at=${k[1]}
	wait_until 20 holds "$at" f f
	flip "${STORES[$at]}/tree/f"
	covey scrub -c "$(conf "$at")" f >scrubbed || :
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ "$(code "${URLS[$at]}/f")" = 200 ]
		cmp body f
	done
	grep -q ', 1 bad' scrubbed
	wait_until 10 holds "$at" f f
}

@test "a round of the whole store comes a month after the last, and goes on where it was" {
	group 3
	for f in a/1 b/2 c/3; do
		bytes 100000 "$f" >"${f#*/}"
		[ "$(code -T "${f#*/}" "${URLS[1]}/$f")" = 201 ]
	done
	for f in a/1 b/2 c/3; do
		for i in $(keepers "$f"); do wait_until 20 holds "$i" "${f#*/}" "$f"; done
	done
	# A node that keeps two of them: of these one lies before the position.
	for at in 1 2 3; do
		mine=()
		for f in a/1 b/2 c/3; do ! keepers "$f" | grep -qx "$at" || mine+=("$f"); done
		[ ${#mine[@]} -lt 2 ] || break
	done
	first=${mine[0]} last=${mine[1]}
	state=${STORES[$at]}/state/scrub.ini
	wait_until 10 test -s "$state"
	now=$(date +%s)
	[ $((now - $(sed -n 's/^last = //p' "$state"))) -lt 600 ]
	stop "$GROUP_PID"
	printf '[round]\nlast = %d\nbegan = %d\nposition = %s\n[total]\nbytes = 5\nbad = 7\n' \
		$((now - 5000000)) $((now - 60)) "$first" >"$state"
	flip "${STORES[$at]}/tree/$first"
	flip "${STORES[$at]}/tree/$last"
	group 3
	wait_until 30 grep -q '^bad = 8$' "$state"
	wait_until 20 holds "$at" "${last#*/}" "$last"
	[ "$(aside "$at" "$last" | wc -l)" -eq 1 ]
	[ -z "$(aside "$at" "$first")" ]
	grep -q "covey-syncd: .*scrub: version .* is bad: its sha256 is another; set aside as ,bad-.* in history/$last" "$D/group.log"
	wait_until 10 grep -q '^began = 0$' "$state"
	[ "$(sed -n 's/^last = //p' "$state")" -ge "$now" ]
	run ! grep -q '^position' "$state"

	# The next round, due two months after that: it begins at the beginning.
	stop "$GROUP_PID"
	sed -i "s/^last = .*/last = $((now - 5000000))/" "$state"
	group 3
	wait_until 30 grep -q '^bad = 9$' "$state"
	wait_until 20 holds "$at" "${first#*/}" "$first"
	[ "$(curl -sf "${URLS[$at]}/.covey/metrics" | sed -n 's/^covey_scrub_bad_total //p')" -eq 9 ]
	[ "$(curl -sf "${URLS[$at]}/.covey/status" | jq .scrub.bad)" -eq 9 ]
}

@test "what nobody can give yet is asked for again, and wrong bytes never come instead" {
	group 3
	bytes 50000 4 >f
	[ "$(code -T f "${URLS[1]}/f")" = 201 ]
	mapfile -t k < <(keepers f)
	for i in "${k[@]}"; do wait_until 20 holds "$i" f f; done
	# The third node may have it from the upload; it forgets, as if it never had.
	for i in 1 2 3; do
		[ "$i" = "${k[0]}" ] || [ "$i" = "${k[1]}" ] || rm -f "${STORES[$i]}/tree/f"
	done
	at=${k[0]} other=${STORES[${k[1]}]}/tree/f
	flip "$other"
	flip "${STORES[$at]}/tree/f"
	run covey scrub -c "$(conf "$at")"
	[ "$status" -eq 65 ]
	[ "$(code -m 10 -H 'Cache-Control: only-if-cached' "${URLS[$at]}/f")" = 504 ]
	sleep 3		# by now it has asked, in vain
	[ -L "${STORES[$at]}/tree/f" ]
	flip "$other"
	wait_until 30 holds "$at" f f
}

@test "alone, a bad content is missed and not served, and its version stays known" {
	httpd n
	echo first | curl -sf -T - "$URL/f"
	echo second | curl -sf -T - "$URL/f"
	newest=$(covey log --node "$URL" --json f | jq -r '.[0].version')
	flip "$STORE/tree/f"
	run covey scrub -c "$CONF" /f
	echo "$output"
	[ "$status" -eq 65 ]
	# The older one, and said to be that; who wants the newest or nothing gets nothing.
	[ "$(code "$URL/f")" = 200 ]
	[ "$(cat body)" = first ]
	[[ $(header Version-State) == unconfirmed* ]]
	[[ $(header Cache-Status) == *older* ]]
	[ "$(code -H 'Cache-Control: no-cache' "$URL/f")" = 503 ]
	[ "$(code "$URL/f?version=$newest")" = 503 ]
	[ "$(code "$URL/f?versions&format=text")" = 200 ]
	[[ "$(head -n 1 body)" == "$newest "*away ]]
	[[ $(tail -n 1 body) == *here ]]
	[ "$(covey log --node "$URL" --json f | jq -r '.[] | select(.current) | .version')" = "$newest" ]
	run covey scrub -c "$CONF"
	[ "$status" -eq 0 ]
	[[ $output == "1 contents, 6 read, 0 bad" ]]
	run covey scrub -c "$CONF" nothing
	[ "$status" -eq 66 ]
	# A new upload stands as ever.
	[ "$(echo third | code -T - "$URL/f")" = 204 ]
	[ "$(curl -sf "$URL/f")" = third ]
}

@test "alone, covey-syncd stays for a round that is due, and leaves when it is done" {
	httpd n $'limits:\n  idle_exit: 1s'
	bytes 20000000 1 | curl -sf -T - "$URL/a"
	bytes 40000000 2 | curl -sf -T - "$URL/b"
	printf '[round]\nlast = 5\n' >"$STORE/state/scrub.ini"
	flip "$STORE/tree/b"
	# As systemd's timer would: it is started with its socket, and nobody wants anything of it.
	spawn syncd python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(sys.argv[1])
s.listen()
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="sync")
os.execvp("covey-syncd", ["covey-syncd", "-c", sys.argv[2]])' "$STORE/run/sync.sock" "$CONF"
	wait_until 60 grep -q '^bad = 1$' "$STORE/state/scrub.ini"
	[ -L "$STORE/tree/b" ]
	wait_until 20 grep -q '^began = 0$' "$STORE/state/scrub.ini"
	gone() { grep -q '^State:.Z' "/proc/$PID/status" || ! kill -0 "$PID"; }
	wait_until 20 gone
	wait "$PID"
}
