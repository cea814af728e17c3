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

@test "the bench of scale: what it lays by hand are versions, and every store is measured" {
	mkdir data
	run --separate-stderr env COVEY_BIN="$RELEASED" TMPDIR="$PWD/data" PORT="$(port)" BENCH_SECONDS=1 BENCH_ROUNDS=1 \
		BENCH_STORE=1100 BENCH_VERSIONS=20 BENCH_IDLE=50 "$TOP/tests/bench/bench" --json scale
	echo "$stderr"
	[ "$status" -eq 0 ]
	jq -e '[.works[] | select(.unit != "requests/s") | .by[].name] | length == 8' <<<"$output"
	jq -e 'all(.works[].by[]; .median.figure > 0)' <<<"$output"
	[ -z "$(ls data)" ]
}
