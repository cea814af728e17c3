#!/usr/bin/env bats
# The protocol's models, by spin: the fast configurations hold, the mutants fail.
load ../helpers

# Exploring takes processor time and nothing else: beside two builds three times as long or more.
setup_file() { export BATS_TEST_TIMEOUT=600; }

setup() {
	covey_setup
	export TMPDIR=$D
}

@test "a path is one register while its homes change" {
	run "$TOP/tests/model/run" fast homes
	[ "$status" -eq 0 ]
}

@test "a path is one register while a change of homes is given up" {
	run "$TOP/tests/model/run" fast way-back
	[ "$status" -eq 0 ]
}

@test "a synod decides one value, also while its acceptors change" {
	run "$TOP/tests/model/run" fast synod
	[ "$status" -eq 0 ]
}

@test "one layout per epoch, and what was confirmed survives the chain of them" {
	run "$TOP/tests/model/run" fast chain
	[ "$status" -eq 0 ]
}

@test "a directory with a file that was acknowledged below it stands, whoever removes it" {
	run "$TOP/tests/model/run" fast rmdir
	[ "$status" -eq 0 ]
}

@test "a name is a file or a directory, and all agree which" {
	run "$TOP/tests/model/run" fast kinds
	[ "$status" -eq 0 ]
}

@test "a mutant that is taken for correct, or the reverse, is an error" {
	cp -r "$TOP/tests/model" "$D/model"
	echo 'fast holds chain NODES=3 A=3 B=4 LAST=3 NO_SYNC' >"$D/model/cases"
	run "$D/model/run" fast
	[ "$status" -ne 0 ]
	[[ $output == *'NOT OK fails: chain'* ]]
	echo 'fast fails chain NODES=3 A=3 B=4 LAST=3' >"$D/model/cases"
	run "$D/model/run" fast
	[ "$status" -ne 0 ]
	[[ $output == *'NOT OK holds: chain'* ]]
	run "$D/model/run" fast no-such-model
	[ "$status" -eq 1 ]
}
