# versions.bats - covey-versiond: peers that stop, a group without discovery, strangers, idle exit

load helpers

# took CMD... - how long it takes, in ms, in $MS
took() {
	local from
	from=$(date +%s%N)
	run "$@"
	MS=$((($(date +%s%N) - from) / 1000000))
}

check() { covey-check -c "$D/group/node$1/covey.yaml" "$2"; }

# answers N PATH COUNT - node N gets an answer of so many nodes, itself included
answers() {
	[ "$(covey-check --json -c "$D/group/node$1/covey.yaml" "$2" | jq '[.. | objects | select(.answered == true)] | length')" -eq "$3" ]
}

put() {
	run code -T - "${URLS[$1]}/$2" <<<"$3"
	[ "$output" = 202 ]
}

@test "a peer that is stopped costs one time-out, is asked last, and is waited for again when it answers" {
	group 3
	put 1 a one
	wait_until 5 answers 1 a 3
	pid=$(role_pid 3 covey-versiond)
	kill -STOP "$pid"
	took check 1 a
	[ "$status" -eq 2 ]			# one member did not answer
	[ "$MS" -ge 240 ]
	for _ in 1 2 3; do
		took check 1 a
		[ "$status" -eq 2 ]
		[ "$MS" -lt 150 ]
	done
	answers 1 a 2
	kill -CONT "$pid"
	run check 1 a
	wait_until 2 answers 1 a 3
}

@test "without covey-discoverd a group goes on by what it knows" {
	group 2
	put 1 a one
	# Stopped, not killed: covey up would start it again.
	kill -STOP "$(role_pid 1 covey-discoverd)" "$(role_pid 2 covey-discoverd)"
	answers 2 a 2
	kill -KILL "$(role_pid 2 covey-versiond)"
	wait_until 5 answers 2 a 2		# started again, it reads members.ini
	run code "${URLS[2]}/a"
	[ "$output" = 200 ]
	[ "$(header Version-State)" = "unconfirmed; peers=1/1" ]
	[ "$(cat "$D/body")" = one ]
	kill -CONT "$(role_pid 1 covey-discoverd)" "$(role_pid 2 covey-discoverd)"
	wait_until 5 _sees_all_up "${URLS[2]}" 1
}

@test "a view that changes is seen: a member that left is not asked" {
	group 2
	put 1 a one
	answers 1 a 2
	kill -TERM "$(role_pid 2 covey-discoverd)"	# says left, and is started again
	wait_until 10 _sees_all_up "${URLS[1]}" 1
	kill -KILL "$(role_pid 1 covey-discoverd)"
	wait_until 10 _sees_all_up "${URLS[1]}" 1
	wait_until 5 answers 1 a 2
}

@test "garbage, and sealed packets that do not belong there, change nothing" {
	group 2
	put 1 a one
	answers 2 a 2
	local versions=$((PORT_BASE + 2)) pid up=$PID
	pid=$(role_pid 1 covey-versiond)
	# What a node says to the seeds is well sealed, but is no CHECK.
	spawn relay "$TOP/tests/packets" relay "$(port 80)" "$((PORT_BASE + 1))" "$D/seen"
	node_conf n9 "$(port 81)" "  discovery: $(port 82)
  versions: $(port 83)
group:
  key_file: ../group/group.key
  seeds: [\"127.0.0.1:$(port 80)\"]"
	spawn n9 covey-discoverd -c "$CONF"
	wait_until 5 test -s "$D/seen"
	stop "$PID"
	PID=$up
	run "$TOP/tests/packets" spoil "$D/seen" "$versions"
	[ "$status" -eq 0 ]
	run "$TOP/tests/packets" replay "$D/seen" "$versions"
	[ "$status" -eq 0 ]
	[ "$(role_pid 1 covey-versiond)" = "$pid" ]
	wait_until 5 answers 2 a 2
}

@test "what is no request on version.sock is refused, and harms nobody" {
	local socket pid
	group 2
	put 1 a one
	socket=$(find "$D/group/node1" -name version.sock)
	pid=$(role_pid 1 covey-versiond)
	run "$TOP/tests/packets" noframe "$socket"
	[ "$status" -eq 0 ]
	for body in "" 00 0001 00022e2e00000000000000000000000000000000 ffff; do
		run "$TOP/tests/packets" frame "$socket" 1 "$body"
		[ "$output" = 255 ]
	done
	run "$TOP/tests/packets" frame "$socket" 1 000161000000000000000000000000000000000000
	[ "$output" = 2 ]
	[ "$(role_pid 1 covey-versiond)" = "$pid" ]
}

@test "covey-versiond leaves when idle, and is back for the next check of a peer" {
	local i
	group 2
	put 1 a one
	stop "$PID"
	for i in 1 2; do printf 'limits:\n  idle_exit: 1s\n' >>"$D/group/node$i/covey.yaml"; done
	for i in 1 2; do
		spawn "up$i" covey up -c "$D/group/node$i/covey.yaml"
		UPS[i]=$PID
	done
	wait_until 10 ready "${URLS[1]}"
	wait_until 10 _sees_all_up "${URLS[1]}" 1
	for _ in 1 2 3; do
		wait_until 10 gone 1
		wait_until 10 gone 2
		wait_until 2 answers 1 a 2	# a cold start may be later than the check it was for
	done
}

@test "a group whose others have left is still a group: nothing is confirmed" {
	local i
	group 2
	put 1 a one
	stop "$PID"
	for i in 1 2; do
		spawn "up$i" covey up -c "$D/group/node$i/covey.yaml"
		UPS[i]=$PID
	done
	wait_until 10 _sees_all_up "${URLS[1]}" 1
	stop "${UPS[2]}"
	wait_until 5 sees_left 1
	put 1 a two
	[ "$(header Version-State)" = "unconfirmed; peers=0/0" ]
	stop "${UPS[1]}"
	spawn again covey up -c "$D/group/node1/covey.yaml"
	wait_until 10 ready "${URLS[1]}"
	put 1 a three
	run code "${URLS[1]}/a"
	[ "$output" = 200 ]
	[ "$(header Version-State)" = "unconfirmed; peers=0/0" ]
	run code -T - -H 'If-Match: *' "${URLS[1]}/a" <<<four
	[ "$output" = 501 ]
}

sees_left() {
	[ "$(curl -sf -m 2 "${URLS[$1]}/.covey/status" | jq '[.group.peers[] | select(.state == "left")] | length')" -eq 1 ]
}

gone() {
	! pgrep -P "${UPS[$1]}" -f covey-versiond
}
