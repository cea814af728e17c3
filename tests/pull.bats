# pull.bats - a content comes from the node that has it, whole and right, or not at all
#
# covey-syncd alone, among peers that misbehave (tests/pull-peers).
# shellcheck shell=bash disable=SC2034,SC2154

load helpers

peers() {
	run timeout 100 "$TOP/tests/pull-peers" "$1"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "every scenario of pull-peers is a test here" {
	run bash -c '"$1/tests/pull-peers" --list | cut -d " " -f 1 | sort' - "$TOP"
	[ "$status" -eq 0 ]
	[ "$output" = "$(sed -n 's/.*{ peers \([a-z_]*\); }$/\1/p' "$BATS_TEST_FILENAME" | sort)" ]
}

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
@test "wrong bytes from all: failed, nothing stored" { peers wrong_bytes_only; }
@test "half a lie: the honest holder alone gives all" { peers half_a_lie; }
@test "many ask for one content: fetched once, and no more when it is here" { peers joined; }
@test "the asker leaves: a large pull is given up, a small one goes on" { peers asker_leaves; }
@test "no room on the disk: FULL, nothing left" { peers disk_full; }
@test "covey-syncd killed in mid-pull: nothing left, and again" { peers killed; }
@test "300 pulls at once, from good and bad" { peers many; }
@test "indexes and histories: a part of each peer, who is silent is counted" { peers listings; }
@test "names are resolved, nonsense is not" { peers names; }
@test "what is no request is refused and harms nobody" { peers nonsense; }
@test "covey-syncd leaves when idle, and comes back" { peers idle; }

