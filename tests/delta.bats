# delta.bats - a new version goes in few bytes to who has an older one, and never in more trouble than whole
#
# The first part is covey-syncd alone, among peers that code badly
# (tests/delta-peers); then clients; then groups on a network whose bytes are counted.
# shellcheck shell=bash disable=SC2034,SC2154

load helpers

peers() { scenario delta-peers "$1"; }

@test "every scenario of delta-peers is a test here" { every_scenario delta-peers peers; }

@test "pulled: what is here is said, what comes coded is decoded and stored" { peers pulled; }
@test "pulled: 1 % of 50 MiB changed is less than 2 % of its bytes" { peers pulled_large; }
@test "pulled: a holder that does not code, and one that has zstd alone" { peers pulled_whole; }
@test "bombs, wrong dictionaries and wrong bytes: the same holder gives it as it is" { peers hostile; }
@test "no answer instead of a coded content: the same holder gives it as it is" { peers no_answer; }
@test "silence instead of a coded content: the next holder gives it as it is, or else the same one" { peers silence; }
@test "a coded content that breaks off goes on as it is, from there" { peers broken_off; }
@test "a coding that was not asked for is no answer" { peers not_asked_for; }
@test "a holder that dies while it gives a coded content: the next one gives the rest" { peers holder_lost; }
@test "the dictionary is pruned while a content comes coded by it" { peers pruned; }
@test "a dictionary that somebody has altered is not spoken of" { peers altered; }
@test "too small, too large, or off: as it is" { peers limits; }
@test "auto: who was slow is asked for a coding, who was quick or is not known is not" { peers auto_pull; }
@test "pushed: keepers get it coded by the version before, once each" { peers pushed; }
@test "pushed: nothing to code it by, or nothing gained: as it is, or zstd" { peers pushed_whole; }
@test "a keeper that refuses it coded, or is silent, is given it as it is at once" { peers refused; }
@test "for a keeper that is not there nothing is coded" { peers away; }
@test "a keeper that has it is not given it again" { peers has_it_already; }
@test "what is being coded for a keeper is not given to it by the drain as well" { peers drained; }
@test "an upload is held back, and goes once, coded" { peers uploaded; }
@test "an upload that becomes too large is held back no more" { peers uploaded_large; }

# clients

# changed FILE SHARE: the same with one byte in SHARE another, in runs of 100
changed() {
	python3 -c 'import random, sys
r, share = random.Random(7), int(sys.argv[1])
b = bytearray(sys.stdin.buffer.read())
for _ in range(max(1, len(b) // share // 100)):
    at = r.randrange(len(b) - 100)
    b[at:at + 100] = r.randbytes(100)
sys.stdout.buffer.write(b)' "$2" <"$1"
}

by() { printf 'Available-Dictionary: :%s:' "$(openssl dgst -sha256 -binary "$1" | base64)"; }

# as_text: the last head of answers, sorted, without what differs from one answer to the next
as_text() { tr -d '\r' <"$D/headers" | grep -viE '^(Date|Age|Cache-Status):' | sort; }

older_and_newer() {
	bytes 300000 >old
	changed old 100 >new
	[ "$(code -T old "$URL/d/f.bin")" = 201 ]
	OLD=$(header ETag)
	[ "$(code -T new "$URL/d/f.bin")" = 204 ]
	TAG=$(header ETag)
}

@test "curl with Available-Dictionary gets what is new, and zstd --patch-from has the file" {
	httpd one
	older_and_newer
	[ "$(code -H 'Accept-Encoding: gzip, dcz' -H "$(by old)" "$URL/d/f.bin")" = 200 ]
	[ "$(header Content-Encoding)" = dcz ]
	[ "$(header Vary)" = "Accept-Encoding, Available-Dictionary" ]
	[ "$(header Content-Length)" -eq "$(stat -c %s body)" ]
	[ "$(stat -c %s body)" -lt 6000 ]
	[ "$(head -c 40 body | od -An -v -tx1 | tr -d ' \n')" = "5e2a4d1820000000$(sha old)" ]
	zstd -q -d --patch-from=old body -o got
	cmp got new
	curl -s "$URL/.covey/metrics" | grep -x 'covey_coded_total{way="answer"} 1'
	curl -s "$URL/.covey/metrics" | grep -xE 'covey_coded_saved_bytes_total\{way="answer"\} 29[0-9]{4}'
	# by the newest itself it is nearly nothing
	[ "$(code -H 'Accept-Encoding: dcz' -H "$(by new)" "$URL/d/f.bin")" = 200 ]
	[ "$(stat -c %s body)" -lt 200 ]
	# and of an older version by a newer one
	[ "$(code -H 'Accept-Encoding: dcz' -H "$(by new)" "$URL/d/f.bin?version=${OLD//\"/}")" = 200 ]
	zstd -q -d --patch-from=new body -o older
	cmp older old
}

@test "HEAD tells of the file as it is, and codes nothing; the digest is that of what is sent" {
	httpd one
	older_and_newer
	ask=(-H 'Accept-Encoding: dcz' -H "$(by old)" -H 'Want-Repr-Digest: sha-256=1' "$URL/d/f.bin")
	[ "$(code "${ask[@]}")" = 200 ]
	[ "$(header Content-Encoding)" = dcz ]
	[ "$(header Repr-Digest)" = "sha-256=:$(openssl dgst -sha256 -binary body | base64):" ]
	[ "$(code -I "${ask[@]}")" = 200 ]
	[ -z "$(header Content-Encoding)" ]
	[ "$(header Content-Length)" -eq 300000 ]
	[ "$(header ETag)" = "$TAG" ]
	[ "$(header Vary)" = "Accept-Encoding, Available-Dictionary" ]
	as_text >by-head
	# as GET has it when too many are coded already, or in a range
	[ "$(code "${ask[@]}" -r 0-)" = 206 ]
	as_text | grep -vE '^(HTTP|Content-Range)' >by-get
	diff by-get <(grep -vE '^(HTTP|Use-As-Dictionary)' by-head)
	[ "$(code -H 'Want-Repr-Digest: sha-256=1' "$URL/d/f.bin")" = 200 ]
	[ "$(header Repr-Digest)" = "sha-256=:$(openssl dgst -sha256 -binary new | base64):" ]
}

# had_coded: what a client asks for, dcz, and the tag of what it got, coded
had_coded() {
	httpd one
	older_and_newer
	dcz=(-H 'Accept-Encoding: dcz' -H "$(by old)" "$URL/d/f.bin")
	[ "$(code "${dcz[@]}")" = 200 ]
	coded=$(header ETag)
}

@test "what is coded has a tag of its own, which conditions take for the version's" {
	had_coded
	[ "$coded" != "$TAG" ]
	[[ $coded == "${TAG%\"};dcz-"*'"' ]]
	[ "$(code -H "If-None-Match: $coded" "${dcz[@]}")" = 304 ]
	[ "$(header ETag)" = "$coded" ]
	[ "$(header Vary)" = "Accept-Encoding, Available-Dictionary" ]
	[ "$(code -H "If-None-Match: $TAG" "${dcz[@]}")" = 304 ]
	[ "$(header ETag)" = "$TAG" ]
	# who did not ask for it has not got it
	[ "$(code -H "If-None-Match: $coded" "$URL/d/f.bin")" = 200 ]
	[ "$(code -H "If-None-Match: $coded" -H 'Accept-Encoding: dcz' -H "$(by new)" "$URL/d/f.bin")" = 200 ]
	[ "$(code -H "If-None-Match: $coded, $TAG" "${dcz[@]}")" = 304 ]
	[ "$(header ETag)" = "$TAG" ]
	[ "$(code -H "If-None-Match: ${OLD%\"};dcz-00\"" "${dcz[@]}")" = 200 ]
	[ "$(code -H "If-Match: ${OLD}" "${dcz[@]}")" = 412 ]
	[ "$(code -H "If-Match: $coded" "${dcz[@]}")" = 200 ]
	[ "$(code -H "If-Match: $coded" -T new "$URL/d/f.bin")" = 204 ]
	[ "$(code -H "If-Match: $coded" -T new "$URL/d/f.bin")" = 412 ]
}

@test "a range is of the file as it is; by the tag of what is coded it is the whole" {
	had_coded
	[ "$(code -r 1000-1999 "${dcz[@]}")" = 206 ]
	[ "$(header ETag)" = "$TAG" ]
	[ -z "$(header Content-Encoding)" ]
	cmp body <(tail -c +1001 new | head -c 1000)
	[ "$(code -r 1000-1999 -H "If-Range: $coded" "${dcz[@]}")" = 200 ]
	[ "$(header Content-Encoding)" = dcz ]
	zstd -q -d --patch-from=old body -o got
	cmp got new
}

# whole CURL-ARG...: the file comes as it is
whole() {
	[ "$(code "$@" "$URL/d/f.bin")" = 200 ] || return
	[ -z "$(header Content-Encoding)" ] && [ "$(header ETag)" = "$TAG" ] && cmp body new
}

@test "who does not ask for it, or not rightly, gets the file as it is" {
	httpd one
	older_and_newer
	whole
	as_text >plain
	if grep -iE '^(Vary|Content-Encoding|Use-As-Dictionary):' plain; then false; fi
	whole -H 'Accept-Encoding: gzip, br, zstd, *'
	diff plain <(as_text)
	whole -H "$(by old)"
	diff plain <(as_text)
	whole -H 'Accept-Encoding: dcz'
	whole -H 'Accept-Encoding: dcz;q=0' -H "$(by old)"
	whole -H 'Accept-Encoding: dcb' -H "$(by old)"
	whole -H 'Accept-Encoding: zstd' -H "$(by old)"
	whole -H 'Accept-Encoding: dcz' -H 'Available-Dictionary: :AAAA:'
	whole -H 'Accept-Encoding: dcz' -H 'Available-Dictionary: x'
	bytes 300000 9 >other
	whole -H 'Accept-Encoding: dcz' -H "$(by other)"
	[ "$(header Vary)" = "Accept-Encoding, Available-Dictionary" ]
	# another file's content is nobody's dictionary
	[ "$(code -T other "$URL/other")" = 201 ]
	whole -H 'Accept-Encoding: dcz' -H "$(by other)"
	# nor for a page of another site, which would learn by lengths
	whole -H 'Accept-Encoding: dcz' -H "$(by old)" -H 'Sec-Fetch-Site: cross-site'
	if grep -iE '^Use-As-Dictionary:' headers; then false; fi
	# of which little stayed
	bytes 300000 5 >new
	[ "$(code -T new "$URL/d/f.bin")" = 204 ]
	TAG=$(header ETag)
	whole -H 'Accept-Encoding: dcz' -H "$(by old)"
}

@test "browsers, and who names dcz, are told that they may keep it" {
	httpd one
	older_and_newer
	for ask in 'Accept-Encoding: dcz' 'Sec-Fetch-Site: same-origin' 'Sec-Fetch-Site: none'; do
		[ "$(code -H "$ask" "$URL/d/f.bin")" = 200 ]
		[ "$(header Use-As-Dictionary)" = 'match="/d/f.bin"' ]
	done
	[ "$(code -H "$ask" "$URL/d/f.bin?version=${TAG//\"/}")" = 200 ]
	[ -z "$(header Use-As-Dictionary)" ]
	[ "$(code -T new "$URL/a(b)*.bin")" = 201 ]
	[ "$(code -H "$ask" "$URL/a(b)*.bin")" = 200 ]
	[ -z "$(header Use-As-Dictionary)" ]
	head -c 16383 new >small
	[ "$(code -T small "$URL/small")" = 201 ]
	[ "$(code -H "$ask" "$URL/small")" = 200 ]
	[ -z "$(header Use-As-Dictionary)" ]
}

@test "off: nobody gets anything coded, nor is told of it" {
	httpd one 'group: { delta: off }'
	older_and_newer
	whole -H 'Accept-Encoding: dcz' -H "$(by old)" -H 'Sec-Fetch-Site: none'
	if grep -iE '^Use-As-Dictionary:' headers; then false; fi
}

@test "the dictionary's content is gone, or altered by hand: the file comes as it is" {
	httpd one
	older_and_newer
	stored=$STORE/history/d/f.bin/,${OLD//\"/}
	when=$(stat -c %y "$stored")
	printf X | dd of="$stored" conv=notrunc status=none
	touch -d "$when" "$stored"
	whole -H 'Accept-Encoding: dcz' -H "$(by old)"
	rm "$stored"
	whole -H 'Accept-Encoding: dcz' -H "$(by old)"
}

@test "below min_free nothing is coded: the file comes as it is" {
	httpd one
	older_and_newer
	stop "$PID"
	node_conf one "$(port 89)" $'limits:\n  min_free: 900T'
	spawn one covey-httpd -c "$CONF"
	wait_until 10 curl -sf -o body "$URL/d/f.bin"		# it is not ready, for it takes nothing
	whole -H 'Accept-Encoding: dcz' -H "$(by old)"
	curl -s "$URL/.covey/metrics" | grep -x 'covey_coded_total{way="answer"} 0'
}

@test "many ask at once: two are coded, the others as they are, all are right, and memory is bounded" {
	httpd one
	bytes 20000000 >old
	changed old 100 >new
	[ "$(code -T old "$URL/f")" = 201 ]
	[ "$(code -T new "$URL/f")" = 204 ]
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		curl -s -o "got$i" -D "head$i" -H 'Accept-Encoding: dcz' -H "$(by old)" "$URL/f" &
		curls[i]=$!
	done
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do wait "${curls[i]}"; done
	coded=0
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		if grep -qi '^Content-Encoding: dcz' "head$i"; then
			zstd -q -d --patch-from=old "got$i" -o "decoded$i"
			cmp "decoded$i" new
			coded=$((coded + 1))
		else
			cmp "got$i" new
		fi
	done
	echo "$coded of 12 were coded"
	[ $coded -ge 1 ]
	peak=$(awk '/VmHWM/ { print $2 }' "/proc/$PID/status")
	echo "peak $peak kB"
	[ "$peak" -lt 400000 ]
}

# keepers

# A group of one node with a key, that another one pushes to: as $1 says, and so many more lines
keyed() {
	covey key new >"$D/group.key"
	chmod 600 "$D/group.key"
	group_conf 1 "${1-}"
	group 1
	PORT=${URLS[1]##*:}
	VERSION=20261201T000000.000000001Z-00000000000000aa-0
	bytes 300000 >old
	changed old 100 >new
	[ "$(code -T old "${URLS[1]}/f")" = 201 ]
	OLD=$(header ETag)
	OLD=${OLD//\"/}
	dcz old new >new.dcz
}

# dcz OLD NEW, dcz_as OLD NEW CLAIMED: by OLD, or as if by CLAIMED
dcz_as() {
	printf '^*M\x18 \0\0\0'
	openssl dgst -sha256 -binary "$3"
	zstd -q -c --patch-from="$1" "$2"
}
dcz() { dcz_as "$1" "$2" "$1"; }

# A push of `new`, coded as this file: CODED-FILE [NAME=VALUE...]
pushes() { "$TOP/tests/as-peer" "$D/group/group.key" "$PORT" coded /f new "$VERSION" "$@"; }
by_old=(Content-Encoding=dcz)

# Nothing of it is there, by its status: not_taken STATUS CODED-FILE [NAME=VALUE...]
not_taken() {
	local status
	status=$(pushes "${@:2}")
	echo "$2: $status, expected $1"
	[ "$status" = "$1" ]
	cmp "${STORES[1]}/tree/f" old
	[ "$(find "${STORES[1]}"/tmp -type f | wc -l)" -eq 0 ]
}

@test "a keeper takes what is coded by a version that it has, once" {
	keyed
	[ "$(pushes new.dcz Content-Encoding=dcz Covey-Dictionary="$OLD")" = 201 ]
	cmp "${STORES[1]}/history/f/,$VERSION" new || cmp "${STORES[1]}/tree/f" new
	[ "$(pushes new.dcz Content-Encoding=dcz Covey-Dictionary="$OLD")" = 200 ]
	yes 'all work and no play' | head -c 300000 >new
	zstd -q -c new >new.zst
	VERSION=20261201T000000.000000002Z-00000000000000aa-0
	[ "$(pushes new.zst Content-Encoding=zstd)" = 201 ]
	cmp "${STORES[1]}/history/f/,$VERSION" new || cmp "${STORES[1]}/tree/f" new
}

@test "what is badly coded leaves nothing at a keeper" {
	keyed
	with=(Content-Encoding=dcz "Covey-Dictionary=$OLD")
	bytes 300000 8 >other
	(tail -c +2 old && head -c 1 old) >turned
	not_taken 415 new.dcz Content-Encoding=dcz
	not_taken 415 new.dcz "Covey-Dictionary=$OLD"
	not_taken 415 new.dcz Content-Encoding=gzip "Covey-Dictionary=$OLD"
	not_taken 415 new.dcz Content-Encoding=zstd "Covey-Dictionary=$OLD"
	not_taken 400 new.dcz Content-Encoding=dcz Covey-Dictionary=old
	not_taken 422 new.dcz Content-Encoding=dcz Covey-Dictionary=20261201T000000.000000000Z-00000000000000aa-0
	not_taken 400 new.dcz			# as it is: these are not its bytes
	not_taken 400 new.dcz Content-Encoding=zstd
	head -c -100 new.dcz >short
	not_taken 400 short "${with[@]}"
	(cat new.dcz && echo more) >long
	not_taken 400 long "${with[@]}"
	dcz turned new >by-another
	not_taken 400 by-another "${with[@]}"
	dcz_as turned new old >by-unclaimed
	not_taken 400 by-unclaimed "${with[@]}"
	changed old 50 >another
	dcz old another >other-content
	not_taken 400 other-content "${with[@]}"
	(head -c 40 new.dcz && head -c 67108864 /dev/zero | zstd -q -c) >bomb
	not_taken 400 bomb "${with[@]}"
	head -c 5000 other >garbage
	not_taken 400 garbage "${with[@]}"
	: >nothing
	not_taken 400 nothing "${with[@]}"
	# more bytes than it would have as it is
	bytes 300001 8 >large
	not_taken 413 large "${with[@]}"
	[ "$(pushes new.dcz "${with[@]}")" = 201 ]
}

@test "off: a keeper takes nothing coded" {
	keyed '  delta: off'
	not_taken 415 new.dcz Content-Encoding=dcz "Covey-Dictionary=$OLD"
}

@test "the fields that say how it is coded are signed" {
	keyed
	run "$TOP/tests/as-peer" "$D/group/group.key" "$PORT" get "/f?version=$OLD" Cache-Control=only-if-cached \
		Accept-Encoding=dcz "Available-Dictionary=:$(openssl dgst -sha256 -binary old | base64):"
	[ "$output" = 200 ]
}

# groups, on a network whose bytes are counted

# hosts_group N DELTA [MORE]: with this of group.delta, and more lines of configuration
hosts_group() {
	local n=$1 h
	need hosts
	covey key new >"$D/group.key"
	chmod 600 "$D/group.key"
	hosts up "$n"
	for ((h = 1; h <= n; h++)); do
		host_conf "$h" "$(host_at 1 4721)"
		sed -i "s/^group: {/group: { delta: $2,/" "$D/h$h/covey.yaml"
		# On a busy machine nobody is given up for being slow.
		printf '%s\n' 'timeouts: {check: 5s, store: 30s, push: 30s, pull: 10s}' "${3-}" >>"$D/h$h/covey.yaml"
		spawn_on "$h" "h$h" covey up -c "$D/h$h/covey.yaml"
		UPS[h]=$PID
	done
	for ((h = 1; h <= n; h++)); do wait_until 20 host_curl "$h" -f "$(host_url "$h")/.covey/readyz"; done
	wait_until 30 hosts_settled "$n"
	N=$n
}

# Bytes that all hosts together have sent to others.
sent() {
	local h total=0
	for ((h = 1; h <= N; h++)); do
		total=$((total + $(hosts exec "$h" ip -s -j link show dev eth0 | jq '.[0].stats64.tx.bytes')))
	done
	echo $total
}

# metric H NAME: of host H
metric() { host_curl "$1" "$(host_url "$1")/.covey/metrics" | awk -v name="$2" '$1 == name { print $2 }'; }
# all WAY: contents that went coded this way, by the counts of all hosts
all() {
	local h total=0
	for ((h = 1; h <= N; h++)); do total=$((total + $(metric "$h" "covey_coded_total{way=\"$1\"}"))); done
	echo $total
}
again() {
	local h total=0
	for ((h = 1; h <= N; h++)); do total=$((total + $(metric "$h" covey_coded_again_total))); done
	echo $total
}

put() { # put H FILE: as /f
	local status
	status=$(host_code "$1" -m 100 -H 'Prefer: wait=60' -T "$2" "$(host_url "$1")/f")
	[ "$status" = 201 ] || [ "$status" = 204 ] || { echo "PUT on $1: $status"; return 1; }
}
same() { # same H FILE: it is what /f is there
	[ "$(host_code "$1" -m 100 "$(host_url "$1")/f")" = 200 ] && cmp "$D/body" "$2"
}
outboxes_empty() {
	local h
	for ((h = 1; h <= N; h++)); do
		[ "$(host_curl "$h" "$(host_url "$h")/.covey/status" | jq .outbox)" -eq 0 ] || return
	done
}

LARGE=52428800

# Two contents of 50 MiB, of which the second differs by 1 %.
large() {
	bytes $LARGE >old
	changed old 100 >new
}

# Of N nodes: a version pushed, to as many keepers as the group has beside the writer
push_costs_little() {
	local before bytes coded
	hosts_group "$1" on
	large
	put 1 old
	# All have it: where a keeper takes its time another node is given the next one as well, or it twice.
	for ((h = 1; h <= N; h++)); do same "$h" old; done
	wait_until 30 outboxes_empty
	before=$(sent)
	put 1 new
	wait_until 30 outboxes_empty
	bytes=$(($(sent) - before)) coded=$(all push)
	echo "$bytes bytes for $coded pushes: $((100 * bytes / LARGE)) %"
	[ "$coded" -ge 1 ]
	[ "$(again)" -eq 0 ]
	[ $((50 * bytes)) -lt $((N * LARGE)) ]
	for ((h = 1; h <= N; h++)); do
		[ ! -f "$D/h$h/store/tree/f" ] || [ -L "$D/h$h/store/tree/f" ] || cmp "$D/h$h/store/tree/f" new
	done
	same "$N" new
}

# Of N nodes, with one copy: each that has the older version reads the newer one
pull_costs_little() {
	local before bytes
	hosts_group "$1" on 'replication: { copies: 1 }'
	large
	put 1 old
	for ((h = 1; h <= N; h++)); do same "$h" old; done
	wait_until 30 outboxes_empty
	before=$(sent)
	put 1 new
	for ((h = 1; h <= N; h++)); do same "$h" new; done
	wait_until 30 outboxes_empty
	bytes=$(($(sent) - before)) coded=$(($(all pull) + $(all push)))
	echo "$bytes bytes for $coded pulls and pushes: $((100 * bytes / LARGE)) %"
	[ "$coded" -eq $((N - 1)) ]
	[ "$(again)" -eq 0 ]
	[ $((50 * bytes)) -lt $(((N - 1) * LARGE)) ]
}

@test "two nodes: 1 % of 50 MiB pushed costs less than 2 % of its bytes" { push_costs_little 2; }
@test "three nodes: the same, for each of the others" { push_costs_little 3; }
@test "five nodes: the same, for each of the others" { push_costs_little 5; }
@test "two nodes: 1 % of 50 MiB pulled costs less than 2 % of its bytes" { pull_costs_little 2; }
@test "three nodes: the same, for each who reads it" { pull_costs_little 3; }
@test "five nodes: the same, for each who reads it" { pull_costs_little 5; }

@test "a keeper that has lost the older version is given the newer one as it is" {
	hosts_group 2 on
	bytes 3000000 >old
	changed old 100 >new
	put 1 old
	wait_until 30 outboxes_empty
	# or it may have had it again by then
	hold "$(pgrep -P "${UPS[2]}" covey-syncd)"
	rm "$D/h2/store/tree/f"
	put 1 new
	wait_until 30 cmp "$D/h2/store/tree/f" new
	release
	echo "coded $(all push), again $(again), pulled coded $(all pull)"
	[ "$(again)" -eq 1 ]
	[ "$(all push)" -eq 0 ]
}

@test "a slow network: auto codes when it has seen two contents go; covey-httpd killed in mid-transfer harms nobody" {
	hosts_group 2 auto
	for h in 1 2; do
		hosts exec "$h" tc qdisc add dev eth0 root tbf rate 40mbit burst 32kb latency 100ms || skip "no tc here"
	done
	bytes 2000000 >old
	for i in 1 2 3; do
		cp old before
		changed old 100 >new
		put 1 new
		wait_until 30 outboxes_empty
		mv new old
	done
	echo "pushed coded: $(all push), of three"
	[ "$(all push)" -ge 1 ]
	[ "$(again)" -eq 0 ]
	# a long one, as it is and slowly, whose receiver dies
	bytes 8000000 3 >other
	spawn_on 1 writer curl -s -m 100 -H 'Prefer: wait=60' -T other "$(host_url 1)/f"
	writer=$PID
	nap 0.7
	kill -KILL "$(pgrep -P "${UPS[2]}" covey-httpd)"
	wait "$writer"
	wait_until 60 cmp "$D/h2/store/tree/f" other
}

@test "auto: over loopback contents go as they are" {
	group_conf 2 'timeouts: {check: 5s, store: 30s, push: 30s, pull: 10s}'
	group 2
	bytes 20000000 >old
	for i in 1 2 3 4 5; do
		[[ "$(code -H 'Prefer: wait=25' -T old "${URLS[1]}/f")" = 20[14] ]]
		wait_until 20 outbox_empty 1
		changed old 100 >new
		mv new old
	done
	for i in 1 2; do
		curl -sf "${URLS[i]}/.covey/metrics" >metrics
		grep -qx 'covey_coded_total{way="push"} 0' metrics
		grep -qx 'covey_coded_total{way="pull"} 0' metrics
		grep -qx 'covey_coded_again_total 0' metrics
	done
}
