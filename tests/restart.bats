#!/usr/bin/env bats
# What SIGTERM of a role costs those who ask: nothing.
load helpers

setup_file() { export BATS_TEST_TIMEOUT=180; }

# A node of a group of one by `covey up`, whose listener outlives covey-httpd.
supervised() {
	node_conf one "$(port 1)" "${1-}"
	spawn up covey up -c "$CONF"
	GROUP_PID=$PID
	wait_until 10 ready "$URL"
}

httpd_pid() { pgrep -P "$GROUP_PID" -f covey-httpd; }

@test "20 restarts of covey-httpd under load lose no request" {
	supervised
	run timeout 170 "$TOP/tests/restarts" "$GROUP_PID" 20 covey-httpd "$URL"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == "20 restarts, "*" 0 lost" ]]
}

@test "roles of five nodes, restarted in turn under load, lose no request" {
	group 5
	run timeout 170 "$TOP/tests/restarts" "$GROUP_PID" 20 covey-httpd,covey-versiond,covey-syncd,covey-discoverd \
		"${URLS[@]:1}"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == "20 restarts, "*" 0 lost" ]]
}
