#!/usr/bin/env bats
# The ground the other tests stand on: a helper that hides a failure hides theirs.
load helpers

@test "a test's directory is its own and not on tmpfs" {
	[ -d "$D" ]
	[ "$(stat -f -c %T "$D")" != tmpfs ]
	[ "$PWD" = "$D" ]
}

@test "the ports are free and inside this file's hundred" {
	[ "$(port 99)" -eq $((PORT_BASE + 99)) ]
	run ss -Htuln "sport >= :$PORT_BASE and sport < :$((PORT_BASE + 100))"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

both_run() {
	[ "$(_leftovers | wc -l)" -ge 2 ] && [ -e "$D/deaf" ]
}

@test "leftover processes are found and stopped, and only ours" {
	spawn sleeper sleep 300
	spawn stubborn bash -c 'trap "" TERM; : >"$1/deaf"; while :; do sleep 1; done' bash "$D"
	mine=$PID
	# until a child has become its program, it has not the test's mark
	wait_until 5 both_run
	env -u COVEY_TEST_MARK sleep 20 3>&- &
	other=$!
	_end_leftovers
	# at most a zombie is left of it, which is this shell's to bury
	[ ! -e "/proc/$mine" ] || grep -q '^State:.Z' "/proc/$mine/status"
	kill "$other"
}

@test "wait_until fails when the time has passed" {
	run wait_until 1 false
	[ "$status" -eq 1 ]
	[[ $output == *"not within 3 times 1 s"* ]]
	wait_until 1 true
}

# bats_lint LINE... - tests/lint/bats of a file with these lines
bats_lint() {
	printf '%s\n' "$@" >"$D/shape.bats"
	run "$TOP/tests/lint/bats" "$D/shape.bats"
}

@test "lint refuses what bats would ignore, and what wait_until would look at once" {
	local line
	for line in '[ -e a ] && [ -e b ]' '[[ $a == b ]] && cmp a b' 'cmp a b && cmp b c' 'A=$(false) && export A' \
		'[ "$(code "$URL/a")" = 200 ] && [ "$(cat body)" = a ]' '*) echo "$a" && false ;;' \
		'wait_until 5 test "$(wc -l <a)" -eq 2' 'wait_until $n [ -z "$(cat a)" ]' 'wait_until 5 test 2 -eq "$(cat a)"'; do
		bats_lint '@test "a" {' "	$line" '	true' '}'
		echo "$line: $output"
		[ "$status" -eq 1 ]
		[[ $output == *"shape.bats:2: "*"$line" ]]
	done
	bats_lint '@test "a" {' '	[ -e a ] &&' '		[ -e b ]' '	true' '}'
	[ "$status" -eq 1 ]
	bats_lint 'both() {' '	[ -e a ] && [ -e b ]' '}' 'both_too() { [ -e "${b[1]}" ] && [ -e a ]; }' '@test "a" {' \
		'	[[ -e a && -e b ]]' '	[ -e a ] && [ -e b ] || return 1' '	if [ -e a ] && [ -e b ]; then true; fi' \
		'	(cd a && ls)' '	wait_until 5 test -L "$(file a)"' "	wait_until 5 eval '[ \"\$(cat a)\" = b ]'" '}'
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "CI: a skip is a failure unless it is on the list, and so is a test that did not run" {
	mkdir -p ci/.ci bin
	cp "$TOP/.ci/run" "$TOP/.ci/skips" ci/.ci
	printf '#!/bin/sh\n[ "$1" = test-deps ] || cat "%s/tap"\n' "$D" >bin/make
	chmod +x bin/make
	ends_with() {	# ends_with STATUS COUNTS TAP-LINE...
		printf '%s\n' "${@:3}" >tap
		run env PATH="$D/bin:$PATH" ci/.ci/run
		echo "$output"
		[ "$status $2" = "$1 ${lines[-1]}" ]
	}
	ends_with 0 "1 passed, 0 failed, 1 skipped" 1..2 "ok 1 a" "ok 2 b # skip NOT RUN: no loop devices here"
	ends_with 1 "1 passed, 1 failed, 0 skipped" 1..2 "ok 1 a" "ok 2 b # skip NOT RUN: no tool here"
	[[ $output == *"not in .ci/skips: ok 2 b"* ]]
	ends_with 1 "1 passed, 1 failed, 0 skipped" 1..2 "ok 1 a"
	ends_with 1 "1 passed, 1 failed, 0 skipped" 1..2 "ok 1 a" "not ok 2 b"
	late="# skip NOT RUN: no time left on this machine"
	ends_with 0 "1 passed, 0 failed, 3 skipped" 1..4 "ok 1 a" "ok 2 b $late" "ok 3 c $late" "ok 4 d $late"
	ends_with 1 "1 passed, 1 failed, 4 skipped" 1..5 "ok 1 a" "ok "{2..5}" b $late"
}

@test "after the deadline tests are skipped, and neither groups nor machines are started for them" {
	printf '%s\n' "load $TOP/tests/helpers" "setup_file() { shared_group 3; shared_machines 1; }" \
		"teardown_file() { end_shared_group; end_shared_machines; }" \
		"@""test one { false; }" "@""test two { false; }" >late.bats
	run env TEST_DEADLINE=$((EPOCHSECONDS - 1)) bats --tap late.bats
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(grep -c '^ok [12] .* # skip NOT RUN: no time left on this machine$' <<<"$output")" -eq 2 ]
	sed -i /_file/d late.bats
	run env TEST_DEADLINE=$((EPOCHSECONDS + 100)) bats --tap late.bats
	[ "$status" -eq 1 ]
	[ "$(grep -c '^not ok' <<<"$output")" -eq 2 ]
}

@test "a sanitizer's report fails the test" {
	echo "ERROR" >"$D/sanitizer.1"
	run covey_teardown
	[ "$status" -eq 1 ]
}

@test "hosts reach each other, are split and heal, by IPv4 and IPv6" {
	need hosts
	hosts up 3
	hosts exec 1 ping -c 1 -W 2 10.79.0.3
	hosts exec 3 ping -6 -c 1 -W 2 fd79::2
	hosts split 1,2 3
	hosts exec 1 ping -c 1 -W 2 10.79.0.2
	run hosts exec 1 ping -c 1 -W 1 10.79.0.3
	[ "$status" -eq 1 ]
	hosts heal
	hosts exec 1 ping -c 1 -W 2 10.79.0.3
}
