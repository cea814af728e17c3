#!/usr/bin/env bats
# Much at once: many writers of one path, a large file, many files over a group.
load helpers

setup_file() {
	RELEASED=$(released)
	export RELEASED BATS_TEST_TIMEOUT=180
}

# On a busy machine nobody is given up for being slow.
PATIENT='timeouts: {check: 10s, store: 60s, push: 30s, pull: 30s}'

json() { curl -sf -g -m 30 -H 'Accept: application/json' "$@"; }

@test "200 concurrent uploads to one path are all kept as versions" {
	httpd one
	for ((i = 1; i <= 200; i++)); do echo "version $i" >"v$i"; done
	run xargs -P 200 -I{} curl -s -m 60 -o /dev/null -w '%{http_code}\n' -T v{} "$URL/one" < <(seq 200)
	[ "$status" -eq 0 ]
	# one made it, all others came after
	[ "$(sort <<<"$output" | uniq -c | xargs)" = "1 201 199 204" ]
	json "$URL/one?versions" >history
	[ "$(jq length history)" -eq 200 ]
	[ "$(jq -r '.[].version' history | sort -u | wc -l)" -eq 200 ]
	diff <(jq -r '.[].sha256' history | sort) <(sha256sum v* | cut -c 1-64 | sort)
	# the newest is what is served, and the order is that of the names
	[ "$(code "$URL/one")" = 200 ]
	[ "$(sha body)" = "$(jq -r '.[0].sha256' history)" ]
	[ "$(jq -r '.[].version' history)" = "$(jq -r '.[].version' history | sort -r)" ]
}

@test "100 concurrent uploads to one path through three nodes are all confirmed and kept" {
	group 3 "$PATIENT"
	for ((i = 1; i <= 100; i++)); do echo "version $i" >"v$i"; done
	run xargs -P 100 -n 2 bash -c 'curl -s -m 60 -H "Prefer: wait=50" -o /dev/null -w "%{http_code}\n" -T "v$0" "$1/one"' \
		< <(for ((i = 1; i <= 100; i++)); do echo "$i ${URLS[1 + i % 3]}"; done)
	[ "$status" -eq 0 ]
	# who found nothing there made it
	sort <<<"$output" | uniq -c
	[[ $(sort -u <<<"$output" | xargs) =~ ^201(\ 204)?$ ]]
	for i in 1 2 3; do
		json "${URLS[i]}/one?versions" >"history$i"
		[ "$(jq length "history$i")" -eq 100 ]
		diff <(jq -r '.[].sha256' "history$i" | sort) <(sha256sum v* | cut -c 1-64 | sort)
		[ "$(jq -r '.[].version' "history$i")" = "$(jq -r '.[].version' history1)" ]
	done
}

@test "the memory that many uploads at once took is given back when they are over" {
	PATH=$RELEASED:$PATH	# a sanitized program keeps what it frees
	httpd one
	own() { awk '$1 == "Pss_Anon:" { print $2 }' "/proc/$PID/smaps_rollup"; }
	threads() { awk '$1 == "Threads:" { print $2 }' "/proc/$PID/status"; }
	bytes 4000000 >large
	[ "$(code -T large "$URL/warm")" = 201 ]
	before=$(own)
	run xargs -P 64 -I{} curl -s -m 100 -o /dev/null -w '%{http_code}\n' -T large "$URL/{}" < <(seq 64)
	[ "$status" -eq 0 ]
	[ "$(sort <<<"$output" | uniq -c | xargs)" = "64 201" ]
	echo "KiB: $before, then $(own) by $(threads) threads"
	is_given_back() { [ "$(threads)" -le 8 ] && [ "$(own)" -le $((before + 2048)) ]; }
	wait_until 40 is_given_back
}

@test "connections that rest take little memory, those that were never used and those that were" {
	PATH=$RELEASED:$PATH	# a sanitized program takes more for everything
	ulimit -n 4000
	httpd one $'limits:\n  connections: 3000'
	echo text >text
	[ "$(code -T text "$URL/f")" = 201 ]
	run timeout 100 python3 - "${URL##*:}" "$PID" <<-'EOF'
		import socket, sys, time

		def own():
		    with open(f"/proc/{sys.argv[2]}/smaps_rollup") as file:
		        return next(int(line.split()[1]) for line in file if line.startswith("Pss_Anon:"))

		def get(client):
		    client.sendall(b"GET /f HTTP/1.1\r\nHost: localhost\r\n\r\n")
		    answer = b""
		    while not answer.endswith(b"text\n"):
		        got = client.recv(4096)
		        assert got, answer
		        answer += got

		first = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		get(first)
		before = own()
		held = [socket.create_connection(first.getpeername()) for _ in range(2000)]
		get(first)	# they all came before this
		silent = own() - before
		for client in held:
		    get(client)
		print(f"KiB for 2000: {silent} silent, {own() - before} after a request of each")
		assert silent <= 2000 and own() - before <= 2000
	EOF
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "a file of more than 2 GiB goes up, across and down" {
	need space 8G
	group 2 "$PATIENT"
	# Mostly a hole, so that the disk is not what is measured; each mark differs.
	truncate -s 2149580801 big
	for at in 0 1 1023 2047 2049; do
		bytes 4096 $at | dd of=big bs=1M seek=$at conv=notrunc status=none
	done
	# It has been on both disks before the answer.
	[ "$(CURL_SECONDS=100 code -H 'Prefer: wait=60' -T big "${URLS[1]}/big")" = 201 ]
	curl -s -m 100 "${URLS[2]}/big" | cmp - big
	[ "$(curl -s -m 100 -r 2147483648-2147483747 "${URLS[2]}/big" | sha)" = \
		"$(tail -c +2147483649 big | head -c 100 | sha)" ]
	[ "$(stat -c %s "${STORES[2]}/tree/big")" -eq 2149580801 ]
}

@test "1,000 files of random names and bytes on random nodes are read back from all" {
	group 3 "$PATIENT"
	run "$TOP/tests/scatter" -c 1000 "${SEED:-$RANDOM}" "${URLS[@]}"
	echo "$output"
	[ "$status" -eq 0 ]
}
