#!/usr/bin/env bats
# The steps of homes, askers and layouts under a seeded scheduler: histories of many schedules,
# and four mutants of the protocol that they must not let pass.
load helpers

SIM=$TOP/build/asan/covey-sim

@test "sim: thousands of schedules, each history linearizable" {
	"$SIM" 1 1200 >"$D/even" 2>&1 &
	local even=$!
	run "$SIM" 100001 1200
	[ "$status" -eq 0 ]
	wait "$even" || { cat "$D/even"; return 1; }
}

@test "sim: a seed gives the same run again" {
	run "$SIM" -v 5
	[ "$status" -eq 0 ]
	local first=$output
	[ "${#lines[@]}" -gt 100 ]
	run "$SIM" -v 5
	[ "$status" -eq 0 ]
	[ "$output" = "$first" ]
}

# mutant NAME - the simulator of a copy of the sources with tests/mutants/NAME.patch,
# judging by what clients were told alone, finds a history that must not be.  What a mutant
# does not use any more may be warned of.
mutant() {
	local copy=$D/$1
	mkdir -p "$copy/tests" "$copy/build/asan"
	cp -a "$TOP/Makefile" "$TOP/include" "$TOP/lib" "$copy"
	cp -a "$TOP/tests/sim" "$copy/tests"
	cp -a "$TOP/build/asan/few" "$copy/build/asan"
	run patch -d "$copy" -p1 --fuzz=0 --no-backup-if-mismatch -i "$TOP/tests/mutants/$1.patch"
	[ "$status" -eq 0 ]
	run make -s -C "$copy" SANITIZE=1 WERROR= build/asan/covey-sim
	[ "$status" -eq 0 ]
	run "$copy/build/asan/covey-sim" -o 1 1200
	[ "$status" -eq 1 ]
	[[ $output == *"invariant 8: "* ]]
	[[ $output != *AddressSanitizer* && $output != *"runtime error"* ]]
}

@test "sim: without the fence it fails" {
	mutant no-fence
}

@test "sim: with a majority of one set of a joint layout it fails" {
	mutant no-joint-majority
}

@test "sim: without sync before a joint layout becomes single it fails" {
	mutant no-sync
}

@test "sim: without writing back what a read found at a minority it fails" {
	mutant no-write-back
}
