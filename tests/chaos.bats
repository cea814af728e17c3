#!/usr/bin/env bats
# Half a minute of what `make soak` does for longer: see tests/chaos.
load helpers

setup_file() {
	RELEASED=$(released)
	export RELEASED
}

setup() {
	covey_setup
	need hosts
}

@test "clients see one register per path, whatever is cut, killed, stopped or off its time" {
	# Not sanitized: one clock is set by a preloaded library.  A busy machine may settle late.
	export COVEY_BIN=$RELEASED CHAOS_SETTLE=80
	run "$TOP/tests/chaos" 20
	echo "$output"
	[ "$status" -eq 0 ]
}
