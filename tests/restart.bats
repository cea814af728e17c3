#!/usr/bin/env bats
# What SIGTERM of a role costs those who ask: nothing.
load helpers

setup_file() { export BATS_TEST_TIMEOUT=180; }

# A node of a group of one by `covey up`, whose listener outlives covey-httpd.
supervised() {
	node_conf one "$(port 1)"
	spawn up covey up -c "$CONF"
	GROUP_PID=$PID
	wait_until 10 ready "$URL"
}

# A node with a listener of its own, told to stop in scenario NAME of tests/stopping.
stopping() {
	node_conf one "$(port 2)"
	sed "s/http: .*/http: $(port 3)/; s,store: .*,store: $D/watched," "$CONF" >watched.yaml
	scenario stopping "$1" "$(port 2)" covey-httpd -c "$CONF"
}

@test "the scenarios of tests/stopping are all here" { every_scenario stopping stopping; }
@test "an accepted connection that has not asked yet is answered" { stopping first_request; }
@test "a kept connection is answered once more, and told that it ends" { stopping next_request; }
@test "a head that has begun keeps its time" { stopping begun_head; }
@test "of pipelined requests one is answered, and no reset overtakes the answer" { stopping pipelined; }
@test "an upload under way is stored, and told that the connection ends" { stopping upload; }
@test "an answer on its way may be followed by one more request" { stopping laid_out; }
@test "nobody connected: it ends" { stopping nobody; }
@test "those who never ask do not keep it" { stopping silent; }
@test "a request that came in time is answered by a process that woke up late" { stopping in_time; }
@test "who waits to be accepted is answered" { stopping queued; }
@test "how many connections are left is told as they go" { stopping counted; }
@test "with no place left, who ignores the end keeps none" { stopping no_place_left; }
@test "inetd: the one connection is answered" { stopping inetd; }
@test "a supervisor is told READY, STATUS, WATCHDOG and STOPPING" { stopping told; }

@test "20 restarts of covey-httpd under load lose no request" {
	supervised
	run timeout 170 "$TOP/tests/restarts" "$GROUP_PID" 20 covey-httpd "$URL"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == "20 restarts, "*" 0 lost"* ]]
}

@test "roles of five nodes, restarted in turn under load, lose no request" {
	group 5
	run timeout 170 "$TOP/tests/restarts" "$GROUP_PID" 20 covey-httpd,covey-versiond,covey-syncd,covey-discoverd \
		"${URLS[@]:1}"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == "20 restarts, "*" 0 lost"* ]]
}

@test "contents that a stopping covey-syncd passes on are whole, and so are those asked for meanwhile" {
	group_conf 2 'timeouts: {pull: 2s}'
	sed -i 's/^node:/node:\n  home: no/' group/node2/covey.yaml
	group 2
	run timeout 120 "$TOP/tests/passing" "$GROUP_PID" "${URLS[1]}" "${URLS[2]}"
	echo "$output"
	[ "$status" -eq 0 ]
	run grep -c 'leaving anyway' group.log
	[ "$output" = 0 ]
}

# The words of a role of a group of one, from its start until it is told to stop.
words_of() {
	timeout 30 python3 - "$@" <<'PY'
import os, signal, socket, subprocess, sys
said = []
notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notified.bind("notify")
notified.settimeout(20)
process = subprocess.Popen(sys.argv[2:], env={**os.environ, "NOTIFY_SOCKET": os.path.abspath("notify")})


def until(*wanted):
    while not all(any(line.startswith(w) for line in said) for w in wanted):
        said.extend(notified.recv(4096).decode().split("\n"))


until("READY=1", "STATUS=" + sys.argv[1])
process.send_signal(signal.SIGTERM)
until("STOPPING=1", "STATUS=stopping")
status = process.wait(20)
print("\n".join(said))
sys.exit(status)
PY
}

@test "the other roles tell a supervisor what they are at" {
	covey key new >group.key
	chmod 600 group.key
	node_conf one "$(port 4)" "  discovery: $(port 5)
  versions: $(port 6)
group: {key_file: $D/group.key}"
	run words_of "epoch 1, 1 members, 0 of 0 peers up" covey-discoverd -c "$CONF"
	echo "$output"
	[ "$status" -eq 0 ]
	rm notify
	run words_of "epoch 1, 0 other nodes" covey-versiond -c "$CONF"
	echo "$output"
	[ "$status" -eq 0 ]
	rm notify
	run words_of "0 writes to bring to other nodes" covey-syncd -c "$CONF"
	echo "$output"
	[ "$status" -eq 0 ]
}
