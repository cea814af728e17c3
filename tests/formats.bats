#!/usr/bin/env bats
# What another release has written, or says: older stores are opened, newer ones refused, other
# protocols not listened to.
load helpers

# as_format_1 - the store of the last httpd, stopped, as the release before has written it
as_format_1() {
	sed -i 's/^format = .*/format = 1/' "$STORE/node.ini"
	rm -f "$STORE/run/counters"
	python3 - "$STORE" <<'EOF'
import os, sys
for top, directories, files in os.walk(sys.argv[1]):
    for name in [os.path.join(top, n) for n in directories + files]:
        if os.path.islink(name) or "user.covey" not in os.listxattr(name):
            continue
        record = bytearray(os.getxattr(name, "user.covey"))
        assert record[0] == 2 and record[2] & 0x7f == 0 and len(record) == 64, name
        record[:3] = 1, record[1] | record[2], 0        # the mark of a type was a flag
        os.setxattr(name, "user.covey", bytes(record))
EOF
}

formats() { find "$STORE/tree" "$STORE/history" -type f -exec getfattr -e hex -n user.covey {} + | sed -n 's/^user.covey=0x\(..\).*/\1/p' | sort | uniq -c | xargs; }

@test "a store of format 1 is opened as it is, marked, and written on in format 3" {
	httpd n
	echo one >x
	curl -sf -T x -H 'Content-Type: text/x-one' "$URL/d/a"
	curl -sf -T x "$URL/d/gone"
	curl -sf -X DELETE "$URL/d/gone"
	etag=$(curl -sf -I "$URL/d/a" | tr -d '\r' | grep -i '^etag')
	id=$(grep '^id' "$STORE/node.ini")
	stop "$PID"
	as_format_1
	[ "$(formats)" = "3 01" ]
	httpd n
	[ "$(formats)" = "3 01" ]
	grep -qx 'format = 3' "$STORE/node.ini"
	[ "$(grep '^id' "$STORE/node.ini")" = "$id" ]
	[ "$(code "$URL/d/a")" = 200 ]
	[ "$(cat body)" = one ]
	[ "$(header Content-Type)" = text/x-one ]
	[ "$(header ETag)" = "${etag#*: }" ]
	[ "$(code "$URL/d/gone")" = 404 ]
	[ "$(curl -sf "$URL/d/gone?versions&format=json" | jq -c '[.[].deleted]')" = '[true,false]' ]
	echo two | curl -sf -T - "$URL/d/a"
	[ "$(curl -sf "$URL/d/a?versions&format=json" | jq -c '[.[].type]')" = '["application/octet-stream","text/x-one"]' ]
	[ "$(formats)" = "3 01 1 02" ]
	stop "$PID"
	httpd n
	[ "$(curl -sf "$URL/d/a")" = two ]
	run -0 covey scrub -c "$CONF"
}

@test "a store of a format to come is refused, naming both" {
	httpd n
	stop "$PID"
	sed -i 's/^format = .*/format = 4/' "$STORE/node.ini"
	run covey-httpd -c "$CONF"
	[ "$status" -ne 0 ]
	[[ $output == *"open $STORE: its format is 4, this release knows 1 to 3"* ]]
	grep -qx 'format = 4' "$STORE/node.ini"
}

@test "a child is dated when it was made, apart from its place in the order" {
	local base at made=1700000123456789012
	group 1
	echo one | curl -sf -T - "${URLS[1]}/a"
	base=$(curl -sf -I "${URLS[1]}/a" | sed -n 's/^ETag: "\(.*\)-0".*/\1/p')
	at=$(stat -c %.9Y "${STORES[1]}/tree/a")
	printf 'two\n' >two
	run -0 "$TOP/tests/as-peer" "$GROUP/group.key" "${URLS[1]##*:}" push /a two "$base-9@$made"
	[[ $output == 20* ]]
	for _ in 1 2; do
		[ "$(code "${URLS[1]}/a")" = 200 ]
		[ "$(cat body)" = two ]
		[ "$(header ETag)" = "\"$base-9\"" ]
		[ "$(date -d "$(header Last-Modified)" +%s)" -eq 1700000123 ]
		[ "$(curl -sf "${URLS[1]}/?format=json" | jq -r '.[0].time')" = 2023-11-14T22:15:23.456789012Z ]
		[ "$(curl -sf "${URLS[1]}/?format=text" | cut -f 4,5)" = "$base-9"$'\t2023-11-14T22:15:23.456789012Z' ]
		[ "$(curl -sf "${URLS[1]}/a?versions&format=json" | jq -r '.[0].time')" = 2023-11-14T22:15:23.456789012Z ]
		[ "$(stat -c %.9Y "${STORES[1]}/tree/a")" = 1700000123.456789012 ]
		[ "$(stat -c %.9Y "${STORES[1]}/history/a/,$base-0")" = "$at" ]
		kill -9 "$(role_pid 1 covey-httpd)"		# what the next one finds on the disk
	done
	echo three | curl -sf -T - "${URLS[1]}/a"
	[ "$(curl -sf "${URLS[1]}/a")" = three ]
	[ "$(curl -sf "${URLS[1]}/a?versions&format=json" | jq length)" -eq 3 ]
}

# A node that has been upgraded alone, among two of another protocol.
@test "a mixed group shows incompatible, answers 202, and nothing of the other is taken" {
	local i id role
	group 3 $'timeouts:\n  store: 300ms'
	echo one | curl -sf -T - "${URLS[1]}/a"
	for i in 2 3; do
		for role in covey-discoverd covey-versiond covey-httpd; do
			kill -STOP "$(role_pid "$i" "$role")"
		done
	done
	for i in 2 3; do
		id=$(sed -n 's/^id = //p' "${STORES[i]}/node.ini")
		spawn "old$i" "$TOP/tests/packets" linger "$GROUP/group.key" 1 "$id" "$(udp 1)"
		run -0 "$TOP/tests/packets" store "$GROUP/group.key" 1 "$id" "$(udp 2)" b
	done
	wait_until 5 incompatible 2
	[ "$(echo two | code -T - "${URLS[1]}/a")" = 202 ]
	[[ $(header Version-State) == 'unconfirmed; homes=1/3;'* ]]
	[ "$(code "${URLS[1]}/a")" = 200 ]
	[[ $(header Version-State) == unconfirmed* ]]
	[ "$(code "${URLS[1]}/b")" = 404 ]
	incompatible 2
}

incompatible() { [ "$(covey peers --node "${URLS[1]}" | grep -c incompatible)" -eq "$1" ]; }

# udp N - of node 1: 1 for discovery, 2 for versions
udp() { echo $((${URLS[1]##*:} + $1)); }
