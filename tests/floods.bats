#!/usr/bin/env bats
# Who wants more than his share: tests/floods attacks a node, and says what must hold.
load helpers

# floods ATTACK: on the package's program, with as many descriptors as it needs
floods() {
	ulimit -n "$(ulimit -Hn)"
	run timeout 170 "$TOP/tests/floods" "$@"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "silent connections make room for others" { floods silent; }

@test "all places taken: the pages of /.covey/ are served, others told to come again" { floods taken; }

@test "who sends or reads a byte a second is ended, who does four thousand is not" { floods slow; }

@test "64 who list 100,000 names and do not read: others write on, in little memory" { floods lists; }

@test "22 forms of 1,000 files: others write on, with few descriptors" { floods forms; }

@test "without descriptors for all files of forms those beyond are 503, and others write on" { floods form_files; }

@test "1,000 uploads at once have one budget of memory" { floods uploads smaller_uploads; }

@test "uploads that share little memory are stored as they came" { floods contents; }

@test "with little memory uploads are 201 or 503, and the process goes on" { floods memory; }

counted() { curl -s "$URL/.covey/metrics" | sed -n "s/^covey_floods_total{kind=\"$1\"} //p"; }

@test "limits.min_rate 0: any rate will do" {
	httpd any $'limits: {min_rate: 0, idle_timeout: 1s}'
	# That a body stalls is another limit.
	printf 'PUT /f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab' | raw "${URL##*:}" 20 >answer
	grep -q '^HTTP/1.1 408' answer
	[ "$(counted slow_body)" -eq 0 ]
}

@test "limits.per_source: one address has so many connections, others and other nodes are served" {
	need hosts
	hosts up 2
	mkdir "$D/h1"
	printf 'node: {name: h1, address: 10.79.0.1, store: store}\nlimits: {per_source: 4}\naccess: open\n' >"$D/h1/covey.yaml"
	spawn_on 1 one covey-httpd -c "$D/h1/covey.yaml"
	wait_until 10 host_code 2 "$(host_url 1)/.covey/healthz"
	spawn_on 2 holds python3 -c 'import socket, sys, time
held = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(4)]
print("held", flush=True)
time.sleep(100)' 10.79.0.1 4720
	wait_until 10 grep -q held holds.log
	[ "$(host_code 2 "$(host_url 1)/f")" = 429 ]
	[ "$(header Retry-After)" = 1 ]
	[ "$(host_code 2 "$(host_url 1)/.covey/healthz")" = 200 ]
	[ "$(host_code 1 "$(host_url 1)/f")" = 404 ]
	grep -q 'limits.per_source: .* the last one from 10.79.0.2' one.log
	stop "$PID"	# who holds them
	until_served() { [ "$(host_code 2 "$(host_url 1)/f")" = 404 ]; }
	wait_until 10 until_served
}

@test "limits.prefer_wait: nobody waits for longer, nor many at once" {
	group 3 $'timeouts: {check: 100ms, store: 100ms}\nlimits: {prefer_wait: 2s, connections: 16}'
	hold_roles 2 versiond httpd
	hold_roles 3 versiond httpd
	[ "$(code -m 20 -H 'Prefer: wait=3600' -T "$BATS_TEST_FILENAME" "${URLS[1]}/f")" = 202 ]
	[ "$(header Preference-Applied)" = wait=2 ]
	# 16/4 and one more may wait; the others are answered at once.
	for i in $(seq 10); do
		curl -s -m 20 -D "h$i" -o /dev/null -H 'Prefer: wait=3600' -T "$BATS_TEST_FILENAME" "${URLS[1]}/f$i" &
		clients+=($!)
	done
	wait "${clients[@]}"
	[ "$(cat h? h10 | grep -c '^HTTP/1.1 202')" -eq 10 ]
	[ "$(grep -il '^Preference-Applied: wait=2' h? h10 | wc -l)" -le 9 ]
	URL=${URLS[1]}
	[ "$(counted wait)" -ge 11 ]
	release
}

@test "a form of small, large and empty files: the group confirms each, and none stays open" {
	group 3 'timeouts: {check: 10s, store: 60s, push: 30s, pull: 30s}'
	files() { find "/proc/$(role_pid 1 covey-httpd)/fd" -lname "${STORES[1]}/*" 2>/dev/null | wc -l; }
	[ "$(code -T "$BATS_TEST_FILENAME" "${URLS[1]}/d/warm")" = 201 ]
	for i in $(seq 40); do
		bytes $((i % 4 == 0 ? 100000 : i % 4 == 1 ? 0 : 50 * i)) "$i" >"f$i"
		form+=(-F "file=@f$i")
	done
	[ "$(CURL_SECONDS=100 code "${form[@]}" "${URLS[1]}/d/")" = 201 ]
	for i in $(seq 40); do
		for n in 1 2 3; do
			[ "$(code "${URLS[n]}/d/f$i")" = 200 ]
			[ "$(header Version-State)" = confirmed ]
			cmp "f$i" body
		done
	done
	wait_until 20 outbox_empty 1
	few() { [ "$(files)" -lt 20 ]; }
	wait_until 20 few
}
