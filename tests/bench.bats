#!/usr/bin/env bats
# tests/bench/bench: that it runs and says what it measured; what the figures are is not judged.
load helpers

setup_file() {
	RELEASED=$(released)
	export RELEASED
}

@test "the bench gives one object, with each round, and leaves nothing behind" {
	mkdir data
	run --separate-stderr env COVEY_BIN="$RELEASED" TMPDIR="$PWD/data" PORT="$(port)" BENCH_SECONDS=1 BENCH_ROUNDS=1 BENCH_NAMES=50 \
		"$TOP/tests/bench/bench" --json list
	echo "$stderr"
	[ "$status" -eq 0 ]
	jq -e '.machine.kernel and .versions.covey and .rounds == 1' <<<"$output"
	jq -e '[.works[].by[0]] | length == 2 and all(.name == "covey" and .median.figure > 0)' <<<"$output"
	jq -e '[.works[].by[].rounds | length] | all(. == 1)' <<<"$output"
	[ -z "$(ls data)" ]
}

@test "the bench refuses a part that it does not know, and measures nothing" {
	run env COVEY_BIN="$RELEASED" "$TOP/tests/bench/bench" get nonsense
	[ "$status" -eq 64 ]
	[[ $output == *'usage: bench '* ]]
}
