#!/usr/bin/env bats
# Slips that anybody can make, put into the code one by one: what guards against them notices.
load ../helpers

# The tests in the copy have sockets, whose names must not be long: it is not in $D.
setup_file() {
	make -s -C "$TOP" -j2 SANITIZE=1 all units
	COPY=$(mktemp -d /var/tmp/mutants.XXXXXX)/copy
	export COPY
}
teardown_file() { rm -rf "${COPY%/copy}"; }

@test "of the mutants in tests/mutants nine of ten are caught, and each has its test" {
	local patch all=0 caught=0 broken=0 test
	# What fails with unchanged code would catch everything.
	while read -r test; do
		run "$TOP/tests/mutant" "$COPY" - "$test"
		echo "# $output" >&3
		[ "$status" -eq 1 ]
	done < <(sed -sn '1s/^Caught by: //p' "$TOP"/tests/mutants/*.patch | sort -u)
	for patch in "$TOP"/tests/mutants/*.patch; do
		run "$TOP/tests/mutant" "$COPY" "$patch"
		echo "# $output" >&3
		all=$((all + 1))
		case $status in
		0) caught=$((caught + 1)) ;;
		1) ;;
		*) broken=$((broken + 1)) ;;
		esac
	done
	echo "# $caught of $all mutants are caught" >&3
	[ "$all" -ge 30 ]
	[ "$broken" -eq 0 ]
	[ $((10 * caught)) -ge $((9 * all)) ]
}
