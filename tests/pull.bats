# pull.bats - a content comes from the node that has it, whole and right, or not at all
#
# The first half is covey-syncd alone, among peers that misbehave
# (tests/pull-peers); the second half is a real group, in which a content
# has one copy until it is read elsewhere.
# shellcheck shell=bash disable=SC2034,SC2154

load helpers

# On a busy machine nobody is given up for being slow.
setup_file() {
	shared_group 3 'replication: {copies: 1}
timeouts: {check: 5s, store: 30s, push: 30s, pull: 10s}'
}
teardown_file() { end_shared_group; }
setup() {
	covey_setup
	use_shared_group 3
}

peers() { scenario pull-peers "$1"; }

@test "every scenario of pull-peers is a test here" { every_scenario pull-peers peers; }

@test "contents of any size arrive, under names of any bytes" { peers plain; }
@test "a holder that answers anything but the truth in its header costs a step" { peers next_holder; }
@test "nobody at the port, or no member: the next one" { peers refused; }
@test "a silent holder costs one time-out, then it is asked last" { peers silent_holder; }
@test "a transfer that breaks off goes on at the next holder" { peers resume_elsewhere; }
@test "a transfer that breaks off goes on at the same holder" { peers resume_here; }
@test "a holder that ignores Range is understood" { peers range_ignored; }
@test "a holder that gives another range is not believed" { peers range_wrong; }
@test "a stalled transfer goes on at the next holder" { peers stalled; }
@test "wrong bytes are thrown away, and the next holder gives all" { peers wrong_bytes_next; }
@test "a byte too many: refused, and the next holder gives what is missing" { peers too_many_bytes; }
@test "wrong bytes from all: failed, nothing stored" { peers wrong_bytes_only; }
@test "half a lie: the honest holder alone gives all" { peers half_a_lie; }
@test "many ask for one content: fetched once, and no more when it is here" { peers joined; }
@test "the asker leaves: a large pull is given up, a small one goes on" { peers asker_leaves; }
@test "what this node is given meanwhile is not fetched as well" { peers given_meanwhile; }
@test "of what is more than half here the rest is fetched, given or not" { peers nearly_there; }
@test "who joins a pull that waits for that gets all of it" { peers joins_while_given; }
@test "little room on the disk: passed on, not kept; no room: FULL, nothing left" { peers disk_full; }
@test "covey-syncd killed in mid-pull: nothing left, and again" { peers killed; }
@test "300 pulls at once, from good and bad" { peers many; }
@test "indexes and histories: a part of each peer, who is silent is counted" { peers listings; }
@test "a window of an index: what is asked for, and whose end is no name" { peers windows; }
@test "indexes and histories while nobody answers: one time-out, then as long as a check" { peers all_silent; }
@test "a home that has a newer layout: covey-discoverd is told" { peers behind; }
@test "addresses are resolved, nonsense is not" { peers names; }
@test "what is no request is refused and harms nobody" { peers nonsense; }
@test "covey-syncd stopped in the midst of everything" { peers stopping; }
@test "covey-syncd leaves when idle, and comes back" { peers idle; }

# put I PATH FILE: onto node I of the group
put() {
	local status
	status=$(code -H 'Prefer: wait=25' -T "$3" "${URLS[$1]}$2")
	[ "$status" = 201 ] || [ "$status" = 204 ] || { echo "PUT $2 on $1: $status"; return 1; }
}

# same I PATH FILE: node I answers 200 with these bytes
same() {
	local status
	status=$(code "${URLS[$1]}$2")
	[ "$status" = 200 ] || { echo "GET $2 on $1: $status"; return 1; }
	[ "$(sha "$D/body")" = "$(sha "$3")" ] || { echo "GET $2 on $1: other bytes"; return 1; }
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

@test "put on one node, read from the others at once, and stored there" {
	bytes 3000000 >a
	put 1 /docs/a a
	before=$(now_ms)
	same 2 /docs/a a
	echo "# PUT on one node to the same 3 MB from another: $(($(now_ms) - before)) ms" >&3
	same 3 /docs/a a
	wait_until 5 cmp a "${STORES[2]}/tree/docs/a"
	wait_until 5 cmp a "${STORES[3]}/tree/docs/a"
	bytes 1000 2 >b
	put 2 /docs/a b
	for i in 1 2 3; do same $i /docs/a b; done
	[ "$(header Version-State)" = confirmed ]
	[ "$(getfattr --only-values -n user.covey "${STORES[1]}/tree/docs/a" | sha)" = \
		"$(getfattr --only-values -n user.covey "${STORES[2]}/tree/docs/a" | sha)" ]
}

@test "1,000 files of random names and bytes, put on random nodes, read from all others" {
	run timeout 280 "$TOP/tests/scatter" 1000 "${SEED:-$RANDOM}" "${URLS[@]}"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "the serving covey-httpd killed in mid-transfer: the reader gets all bytes" {
	bytes 400000000 >big
	put 1 /big1 big
	victim=$(role_pid 1 covey-httpd)
	spawn reader curl -s -m 60 -o got "${URLS[2]}/big1"
	reader=$PID
	wait_until 10 test -s got
	kill -9 "$victim"
	kill -0 "$reader"
	STOPPED=0
	wait "$reader" || STOPPED=$?
	[ "$STOPPED" -eq 0 ]
	cmp big got
}

@test "covey-syncd killed in mid-transfer: no wrong bytes, and the next read is whole" {
	bytes 400000000 >big
	put 1 /big2 big
	spawn reader curl -s -m 60 -o got "${URLS[2]}/big2"
	reader=$PID
	wait_until 10 test -s got
	kill -9 "$(role_pid 2 covey-syncd)"
	STOPPED=0
	wait "$reader" || STOPPED=$?
	if [ "$STOPPED" -eq 0 ]; then
		cmp big got
	else
		[ "$STOPPED" -eq 18 ]		# cut off, and not because it took too long
		cmp -n "$(stat -c %s got)" big got
	fi
	same 2 /big2 big
}

@test "covey-syncd of each node killed under load: no reader of small files notices" {
	spawn scatter "$TOP/tests/scatter" 1500 "${SEED:-$RANDOM}:8000" "${URLS[@]}"
	reader=$PID
	for i in 1 2 3; do
		wait_until 30 role_pid $i covey-syncd
		kill -9 "$(role_pid $i covey-syncd)"
		sleep 0.3
	done
	STOPPED=0
	wait "$reader" || STOPPED=$?
	[ "$STOPPED" -eq 0 ]
}

no_stage() { [ -e "/proc/$1" ] && [ -z "$(find "/proc/$1/fd" -lname '*(deleted)')" ]; }

@test "the only reader leaves: the pull of a large content is given up" {
	bytes 800000000 >big
	put 1 /big3 big
	spawn reader curl -s -m 60 -o got "${URLS[2]}/big3"
	wait_until 10 test -s got
	syncd=$(role_pid 2 covey-syncd)
	stop "$PID" KILL
	# An unnamed file is a stage; the whole pull would hold it for much longer.
	wait_until 3 no_stage "$syncd"
	[ ! -f "${STORES[2]}/tree/big3" ]
	[ "$(code -r 0-999 "${URLS[2]}/big3")" = 206 ]
	cmp -n 1000 "$D/body" big
}

@test "a holder whose disk lies is never believed" {
	bytes 2000000 >a
	put 1 /lie a
	# Other bytes under the same record: size and time as they were.
	touch -r "${STORES[1]}/tree/lie" time
	printf X | dd of="${STORES[1]}/tree/lie" bs=1 seek=1000000 conv=notrunc status=none
	touch -r time "${STORES[1]}/tree/lie"
	run curl -sf -m 60 -o got "${URLS[2]}/lie"
	[ "$status" -eq 18 ]		# it began, and was cut off
	[ -z "$(find "${STORES[2]}/tree/lie" "${STORES[2]}/history/lie" -type f 2>/dev/null)" ]
	# What it lied about is made good from another that has it right.
	bytes 2000000 3 >b
	put 1 /lie b
	same 2 /lie b
}
