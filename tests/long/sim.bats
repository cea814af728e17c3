#!/usr/bin/env bats
# Each mutant of the protocol is found within 10,000 schedules of all kinds: by what clients and
# people were told, but for two.  The harm of one is mended before most of them can see it, and two
# processes of one id do none as long as both have heard the same.
load ../helpers

setup_file() {
	make -s -C "$TOP" build/covey-sim
}

# found NAME OPTION...
found() {
	mutant_sim "$1"
	run "$D/$1/build/covey-sim" "${@:2}" 1 10000
	echo "# $1: $(tail -n 2 <<<"$output" | head -n 1)" >&3
	[ "$status" -eq 1 ]
}

@test "every mutant is found within 10,000 schedules" {
	local patch name
	for patch in "$TOP"/tests/mutants/protocol/*.patch; do
		name=$(basename "$patch" .patch)
		case $name in
		other-epoch | no-raise) found "$name" ;;
		*) found "$name" -o ;;
		esac
	done
}
