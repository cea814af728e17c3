#!/usr/bin/env bats
# The steps of homes, askers and layouts under a seeded scheduler: histories of many schedules,
# and mutants of the protocol that they must not let pass.
load helpers

# Schedules take processor time and nothing else.
setup_file() { export BATS_TEST_TIMEOUT=600; }

# Not sanitized, which is eight times as many of them; `make soak` has some sanitized.
SIM=$TOP/build/covey-sim

@test "sim: thousands of schedules, each history linearizable" {
	"$SIM" 1 2000 >"$D/even" 2>&1 &
	local even=$!
	run "$SIM" 100001 2000
	[ "$status" -eq 0 ]
	wait "$even" || { cat "$D/even"; return 1; }
}

@test "sim: a directory that is filled, emptied and removed all the time" {
	run "$SIM" -d 4400 600
	[ "$status" -eq 0 ]
}

@test "sim: a seed gives the same run again" {
	run "$SIM" -v 8
	[ "$status" -eq 0 ]
	local first=$output
	[ "${#lines[@]}" -gt 100 ]
	run "$SIM" -v 8
	[ "$status" -eq 0 ]
	[ "$output" = "$first" ]
}

# mutant NAME OPTION... - the simulator of a mutant finds what must not be.  With -o it judges by
# what clients and people were told alone; which schedules there are is a matter of time
# (tests/long/sim.bats tries all mutants in 10,000 of all kinds).
mutant() {
	mutant_sim "$1"
	run "$D/$1/build/covey-sim" "${@:2}"
	[ "$status" -eq 1 ]
	[[ $output == *"invariant 5: "* || $output == *"invariant 6: "* || $output == *"invariant 8: "* ||
	   $output == *"layout set: "* ]]
}

@test "sim: without the fence it fails" {
	mutant no-fence -o 1 1200
}

@test "sim: with a majority of one set of a joint layout it fails" {
	mutant no-joint-majority -o -f 1 400
}

@test "sim: without sync before a joint layout becomes single it fails" {
	mutant no-sync -o -f 1 400
}

@test "sim: without writing back what a read found at a minority it fails" {
	mutant no-write-back -o -f 1 400
}

@test "sim: when a home answers that has forgotten something it fails" {
	mutant silent-home -o -h 1 400
}

@test "sim: when an answer is credited to who lived at the address it fails" {
	mutant former-owner -o -h 1 400
}

@test "sim: when a promise forgets what was accepted it fails" {
	mutant forgotten-promise -o -c 1 200
}

@test "sim: when a CHANGE is obeyed that somebody kept it fails" {
	mutant replayed-change -o -c 1 200
}

@test "sim: when lists are merged without write-back it fails" {
	mutant list-no-write-back -o -f 501 400
}

@test "sim: when what lies on a disk that is no home's counts in a list it fails" {
	mutant leftover-child -o -f 1 400
}
