#!/usr/bin/env bats
# The judge of histories: a checker that finds nothing would prove nothing.
load helpers

judge() { python3 "$TOP/tests/history" "$@"; }

@test "the checker finds every seeded violation, agrees with brute force, and accuses no true register" {
	run judge selftest
	[ "$status" -eq 0 ]
}

@test "what the chaos test writes down of an answer is no more, and no less, than the answer says" {
	run "$TOP/tests/chaos" selftest
	[ "$status" -eq 0 ]
}

@test "a history is judged by exit status: 0 fine, 1 wrong, 2 nothing to judge" {
	cat >fine <<-E
	{"key": "a", "op": "w", "value": "1", "start": 0, "end": 1, "ok": true, "client": "c1"}
	{"key": "a", "op": "r", "value": "1", "start": 2, "end": 3, "ok": true, "client": "c2"}
	{"key": "a#versions", "op": "w", "value": "V1", "start": 0, "end": 1, "ok": true}
	{"key": "a#versions", "op": "l", "values": ["V1"], "start": 4, "end": 5, "ok": true, "final": true}
	E
	run judge check fine
	[ "$status" -eq 0 ]
	{ cat fine; echo '{"key": "a", "op": "r", "value": null, "start": 4, "end": 5, "ok": true}'; } >stale
	run judge check stale
	[ "$status" -eq 1 ]
	[[ $output == "order: a: "* ]]
	sed 's/\["V1"\]/[]/' fine >lost
	run judge check lost
	[ "$status" -eq 1 ]
	[[ $output == "lost: a#versions: "* ]]
	: >empty
	run judge check empty
	[ "$status" -eq 2 ]
	run judge check
	[ "$status" -eq 64 ]
}
