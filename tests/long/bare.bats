#!/usr/bin/env bats
# README's two commands in a bare Debian: what they need and do not install, a
# machine on which it was once installed by hand hides.
load ../helpers

setup() {
	covey_setup
	need machines
	need git
}

@test "make run, as root" {
	run "$TOP/tests/bare" tests/first-run
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "make run, as a user who may sudo" {
	run "$TOP/tests/bare" -u tests/first-run
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "make test, and nothing of it is skipped" {
	run "$TOP/tests/bare" 'make test'
	echo "$output"
	[ "$status" -eq 0 ]
	run grep -c '# skip' <<<"$output"
	[ "$output" -eq 0 ]
}
