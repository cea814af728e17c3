#!/usr/bin/env bats
# operators.bats - what operators see: log lines, states of peers, readiness, counters, warnings
load helpers

# singles N [YAML]: the nodes of a group, each by a covey up of its own, whose log is upI.log
singles() {
	local i
	group_conf "$1" "${2-}"
	_group_places "$1" "$D/group"
	for ((i = 1; i <= $1; i++)); do start "$i"; done
	for ((i = 1; i <= $1; i++)); do wait_until 30 ready "${URLS[i]}"; done
	wait_until 60 settled "$1"
}

start() {
	spawn "up$1" covey up -c "$GROUP/node$1/covey.yaml"
	UPS[$1]=$PID
}

conf() { echo "$GROUP/node$1/covey.yaml"; }
id() { sed -n 's/^id = //p' "${STORES[$1]}/node.ini"; }

times() { grep -cF -- "$2" "$D/up$1.log" || :; }

# said I TEXT [TIMES]: the log of node I has it at least so often, or once
said() { [ "$(times "$1" "$2")" -ge "${3-1}" ]; }
said_once() { [ "$(times "$1" "$2")" -eq 1 ]; }

# is I J STATE: node I says so of node J, by its name; `gone`: it does not list it
is() {
	local state
	state=$(covey peers --node "${URLS[$1]}" --json | jq -r ".[] | select(.name == \"node$2\") | .state") || return
	[ "${state:-gone}" = "$3" ]
}

confirms() { [ "$(code "${URLS[$1]}/.covey/readyz?confirm")" = "$2" ]; }

put_until_said() {
	echo again | curl -sf -m 20 -o /dev/null -T - "${URLS[1]}/again"
	said 1 "$1"
}

# Of N nodes the last ones die, so many that no majority is left; then they come back.
comings_and_goings() {
	local n=$1 i last=$1
	singles "$n"
	for ((i = 2; i <= n; i++)); do
		wait_until 10 said 1 "node$i ($(id "$i")) at 127.0.0.1:$((PORT_BASE + 10 * i - 9)) is up"
		wait_until 10 said 1 "; with node$i ($(id "$i"))"
	done
	confirms 1 200
	[ "$(cat "$D/body")" = "ready; reads and writes are confirmed" ]
	[ "$(echo one | code -T - "${URLS[1]}/f")" = 201 ]

	for ((i = 2; i < n; i++)); do stop "${UPS[i]}" KILL; done
	stop "${UPS[last]}"
	for ((i = 2; i < n; i++)); do
		wait_until 30 is 1 "$i" down
		wait_until 10 said 1 "warning: node$i ($(id "$i")) at 127.0.0.1:$((PORT_BASE + 10 * i - 9)) is down"
	done
	wait_until 10 said 1 "node$last ($(id "$last")) at 127.0.0.1:$((PORT_BASE + 10 * last - 9)) has stopped"
	confirms 1 503
	[ "$(code "${URLS[1]}/.covey/readyz?t=7&confirm=1")" = 503 ]
	grep -q "this node cannot confirm now: 1 of $n members are up, no majority of the homes of" "$D/body"
	[ "$(code "${URLS[1]}/.covey/readyz")" = 200 ]
	for i in 1 2 3; do [ "$(echo two | code -T - "${URLS[1]}/f$i")" = 202 ]; done
	[ "$(code "${URLS[1]}/f")" = 200 ]
	[ "$(header Version-State)" = "unconfirmed; peers=0/$((n - 1))" ]
	said_once 1 "warning: writes are not confirmed (202): 1 of $n members are up"

	for ((i = 2; i <= n; i++)); do start "$i"; done
	for ((i = 2; i <= n; i++)); do
		wait_until 30 said 1 "node$i ($(id "$i")) at 127.0.0.1:$((PORT_BASE + 10 * i - 9)) is up" 2
	done
	wait_until 30 confirms 1 200
	wait_until 30 put_until_said "writes are confirmed again"
	# Each line of a role has its time and node; what covey up says itself begins with its name.
	run grep -vE '^(covey up: |[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z node1 covey-(httpd|versiond|discoverd|syncd): )' "$D/up1.log"
	[[ $output == "node1 "*"try, in another terminal"* ]]
	[ "${#lines[@]}" -eq 6 ]
}

@test "the log tells who comes and goes, and when writes are confirmed: three nodes" { comings_and_goings 3; }
@test "the log tells who comes and goes, and when writes are confirmed: five nodes" { comings_and_goings 5; }

@test "a node that others stopped beside is alone of three: peers=0/2" {
	singles 3
	[ "$(echo one | code -T - "${URLS[1]}/f")" = 201 ]
	stop_all "${UPS[2]}" "${UPS[3]}"
	wait_until 10 is 1 2 stopped
	wait_until 10 is 1 3 stopped
	wait_until 10 eval 'code "${URLS[1]}/f" && [ "$(header Version-State)" = "unconfirmed; peers=0/2" ]'
	run -2 covey check -c "$(conf 1)" /f
	[[ $output == *"node2"*"stopped"* ]]
	# Who was told stopped, and is started again itself, still says so.
	stop "${UPS[1]}"
	start 1
	wait_until 30 ready "${URLS[1]}"
	is 1 2 stopped
	# All are back, without a seed: who starts looks for those that it knows.
	sed -i 's/seeds: .*/seeds: []/' "$(conf 2)" "$(conf 3)"
	start 2
	start 3
	wait_until 30 settled 3
}

forgetting() {
	local n=$1 i left=$1
	singles "$n"
	run covey layout forget -c "$(conf 1)" "node$left"
	[ "$status" -ne 0 ]
	[[ $output == *"knows none called node$left that is not up"* ]]
	run covey layout forget -c "$(conf 1)" "$(id "$left")"
	[ "$status" -ne 0 ]
	[[ $output == *"it is up; say covey layout leave there, and stop it"* ]]
	stop "${UPS[2]}"
	wait_until 10 is 1 2 stopped
	run covey layout forget -c "$(conf 1)" node2
	[ "$status" -ne 0 ]
	[[ $output == *"it is a member of the layout"*"covey layout force"* ]]
	start 2
	wait_until 30 settled "$n"

	covey layout leave -c "$(conf "$left")"
	stop "${UPS[left]}"
	for ((i = 1; i < n; i++)); do wait_until 10 is "$i" "$left" left; done
	run -0 covey layout forget -c "$(conf 1)" "node$left"
	for ((i = 1; i < n; i++)); do wait_until 10 is "$i" "$left" gone; done
	run -0 covey layout show --node "${URLS[2]}"
	[[ $output != *"node$left"* ]]
	# Nobody brings it back but itself.
	stop "${UPS[1]}"
	start 1
	wait_until 30 ready "${URLS[1]}"
	wait_until 30 is 1 2 up
	is 1 "$left" gone
	start "$left"
	for ((i = 1; i < n; i++)); do wait_until 30 is "$i" "$left" up; done
}

@test "covey layout forget takes off who has left, everywhere, and no member: three nodes" { forgetting 3; }
@test "covey layout forget takes off who has left, everywhere, and no member: five nodes" { forgetting 5; }

# old ID FILE: it was heard of last eight days ago
old() { sed -i "/^\[$1\]/,/^\[/s/^seen = .*/seen = $(($(date +%s) - 8 * 86400))/" "$2"; }

@test "who is gone for a week is not listed any more, a member of the layout is" {
	local i gone member
	singles 3
	gone=$(id 3) member=$(id 2)
	covey layout leave -c "$(conf 3)"
	stop "${UPS[3]}"
	wait_until 10 is 2 3 left
	stop "${UPS[2]}"
	wait_until 10 is 1 2 stopped
	stop "${UPS[1]}"
	for i in 1 2; do
		grep -q '^seen = [1-9]' "${STORES[i]}/state/members.ini"
		old "$gone" "${STORES[i]}/state/members.ini"
	done
	old "$member" "${STORES[1]}/state/members.ini"
	start 1
	wait_until 30 ready "${URLS[1]}"
	wait_until 10 is 1 3 gone
	is 1 2 stopped
	wait_until 10 eval "! grep -q '^\[$gone\]' '${STORES[1]}/state/members.ini'"
	start 2		# which has been away, and would tell
	wait_until 30 is 1 2 up
	wait_until 10 is 2 3 gone
	is 1 3 gone
}

@test "a stranger's packet is told of, once, and which role heard it" {
	local port
	singles 1
	covey key new >"$D/other.key"
	for port in 1 2; do
		"$TOP/tests/packets" gossip "$D/other.key" 3 00000000000000aa $((PORT_BASE + port))
		"$TOP/tests/packets" gossip "$D/other.key" 3 00000000000000aa $((PORT_BASE + port))
	done
	wait_until 10 said 1 "covey-discoverd: warning: a packet from 127.0.0.1:"
	wait_until 10 said 1 "covey-versiond: warning: a packet from 127.0.0.1:"
	said 1 "is dropped: it was sealed with another key than this group's, or changed on its way" 2
	said_once 1 "covey-discoverd: warning: a packet"
	said_once 1 "covey-versiond: warning: a packet"
}

# metric I NAME: its value
metric() { curl -sf -m 5 "${URLS[$1]}/.covey/metrics" | awk -v name="$2" '$1 == name { print $2 }'; }

answers() { echo $(($(metric 1 'covey_answers_total{state="confirmed"}') + $(metric 1 'covey_answers_total{state="unconfirmed"}'))); }

# Also when covey-versiond, which is started for it, takes its time.
has_checks() {
	local checks
	checks=$(metric 1 'covey_checks_total{result="confirmed"}') && [ "${checks:-0}" -ge "$1" ]
}

is_gone() { ! role_pid "$1" "$2"; }

@test "counters go on after covey-httpd and covey-versiond left idle, or were killed" {
	local answers connection i
	group 1 'limits: { idle_exit: 300ms }'
	for i in 1 2 3; do [ "$(echo "$i" | code -T - "${URLS[1]}/f$i")" = 201 ]; done
	answers=$(answers)
	[ "$answers" -ge 3 ]
	wait_until 20 has_checks 3
	wait_until 30 is_gone 1 covey-httpd
	wait_until 30 is_gone 1 covey-versiond
	[ "$(answers)" -eq "$answers" ]
	wait_until 20 has_checks 3
	# While somebody is connected it does not leave by itself.
	exec {connection}<>"/dev/tcp/127.0.0.1/${URLS[1]##*:}"
	[ "$(code "${URLS[1]}/f1")" = 200 ]
	kill -KILL "$(role_pid 1 covey-httpd)"
	exec {connection}>&-
	[ "$(answers)" -eq $((answers + 1)) ]
}

@test "a group key that everybody may read is warned of, in the log and in covey status" {
	group_conf 1
	_group_places 1 "$D/group"
	chmod 644 "$GROUP/group.key"
	start 1
	wait_until 30 ready "${URLS[1]}"
	wait_until 10 said 1 "covey-discoverd: warning: whoever has a login here may read the group's key: say chmod o= $GROUP/node1/../group.key"
	run -0 covey status --node "${URLS[1]}"
	[[ $output == *"chmod o= $GROUP"* ]]
	chmod 640 "$GROUP/group.key"
	[ "$(curl -sf "${URLS[1]}/.covey/status" | jq .key)" = null ]
	umask 022
	covey key new >"$D/fresh"
	[ "$(stat -c %a "$D/fresh")" = 640 ]
	[ "$(wc -c <"$D/fresh")" -eq 65 ]
}

# full_disk NAME LEVEL: a node that takes its disk for full
full_disk() {
	node_conf "$1" "$(port "$((80 + ${#1}))")" "limits: { min_free: $((free * 2)) }
log: { level: $2 }"
	spawn "$1" covey-httpd -c "$CONF"
	wait_until 30 curl -sf -o /dev/null "$URL/.covey/healthz"
}

@test "log.level leaves out what is less; the disk is nearly full is said once, and not each 507" {
	local free i
	free=$(df --output=avail -B1 "$D" | tail -n 1)
	httpd near "limits: { min_free: $((free * 6 / 10)) }"
	for i in 1 2 3; do [ "$(echo "$i" | code -T - "$URL/f$i")" = 201 ]; done
	[ "$(grep -c "covey-httpd: warning: the disk of $STORE is nearly full" "$D/near.log")" -eq 1 ]
	full_disk full error
	for i in {1..5}; do [ "$(echo "$i" | code -T - "$URL/f$i")" = 507 ]; done
	[ ! -s "$D/full.log" ]
	full_disk flood warning
	for i in {1..30}; do [ "$(echo "$i" | code -T - "$URL/f$i")" = 507 ]; done
	[ "$(grep -c ': 507 ' "$D/flood.log")" -eq 10 ]
	node_conf wrong 1 'log: { level: loud }'
	run covey-httpd -n -c "$CONF"
	[ "$status" -eq 100 ]
	[[ $output == *'log.level: "loud" is not error, warning or info'* ]]
}

# only_at I PATH: node I has its content, and none of the others
only_at() {
	local j
	for j in "${!STORES[@]}"; do
		if [ "$j" -eq "$1" ]; then
			[ -f "${STORES[j]}/tree/$2" ] || return
		else
			[ ! -f "${STORES[j]}/tree/$2" ] || return
		fi
	done
}

# Content that one node alone has, which hangs, costs a reader less than timeouts.pull.
@test "a reader does not wait timeouts.pull for a holder that is suspected" {
	local n=5 i found=
	singles "$n" 'replication: { copies: 1 }
timeouts: { pull: 50s }'
	for ((i = 1; i <= 40; i++)); do
		echo "$i" | curl -sf -m 20 -o /dev/null -T - "${URLS[n]}/f$i"
		! only_at "$n" "f$i" || { found=f$i; break; }
	done
	[ -n "$found" ]
	mapfile -t roles < <(children "${UPS[n]}")
	kill -STOP "${UPS[n]}" "${roles[@]}"
	wait_until 30 is 1 "$n" down
	[ "$(CURL_SECONDS=25 code "${URLS[1]}/$found")" = 503 ]
	kill -CONT "${UPS[n]}" "${roles[@]}"
	wait_until 30 is 1 "$n" up
	wait_until 10 eval '[ "$(code "${URLS[1]}/'"$found"'")" = 200 ]'
}

