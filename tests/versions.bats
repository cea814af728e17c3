# versions.bats - covey-versiond: what a check costs, homes that are away or behind, strangers, idle exit
# shellcheck shell=bash disable=SC2034,SC2154

load helpers

# One group for the tests that leave it as it was; each uses names of its own.
setup_file() { shared_group 3; }
teardown_file() { end_shared_group; }
setup() {
	covey_setup
	use_shared_group 3
}

# What a test stopped goes on, or the next one would meet it.
teardown() {
	for _pid in $(children "$SHARED_PID"); do kill -CONT "$_pid"; done
	covey_teardown
}

TIME=1763809644123456001		# of versions made by hand, of no node

# got I FILTER ARG...: jq's FILTER of the last answer
got() { talk "$1" "${@:3}" | jq -nr "last(inputs) | $2"; }

# newest I PATH: how it stands, and the newest version's time
newest() { got "$1" '"\(.certainty) \(.record.time)"' newest "$2"; }

# counter I TYPE DIRECTION: messages by UDP and by HTTP
counter() { talk "$1" stats | sed -n "s/^covey_messages_total{type=\"$2\",direction=\"$3\",.*} //p" | awk '{ n += $1 } END { print n + 0 }'; }

# metric I NAME
metric() { talk "$1" stats | sed -n "s/^covey_$2 //p"; }

versiond() { role_pid "$1" covey-versiond; }
stop_versiond() { kill -STOP "$(versiond "$1")"; }
cont_versiond() { kill -CONT "$(versiond "$1")"; }

is() { # is EXPECTED CMD...
	local said status=0
	said=$("${@:2}") || status=$?
	[ "$status $said" = "0 $1" ] || { echo "expected '$1', got '$said'"; return 1; }
}

# put I PATH TEXT
put() { [[ $(code -T - "${URLS[$1]}/$2" <<<"$3") == 20[14] ]]; }

# answers N PATH COUNT - node N gets an answer of so many nodes, itself included
answers() { [ "$(talk "$1" nodes "$2" | jq -s '[.[] | select(.answered)] | length')" -eq "$3" ]; }

# costs N: so many checks cost twice as many questions and answers; where a home was slow it was asked again
costs() {
	local i sent received
	sent=$(counter 1 check sent) received=$(counter 1 record received)
	for ((i = 0; i < $1; i++)); do is confirmed got 1 .certainty newest cost; done
	is $((sent + 2 * $1)) counter 1 check sent
	wait_until 2 is $((received + 2 * $1)) counter 1 record received
}

@test "a check costs a question and an answer per other home, and nothing is stored" {
	local stored backs
	put 1 cost one
	wait_until 5 is "confirmed" got 2 .certainty newest cost
	stored=$(counter 1 store sent) backs=$(metric 1 write_backs_total)
	wait_until 60 costs 5
	is "$stored" counter 1 store sent
	is "$backs" metric 1 write_backs_total
}

@test "a record is stored at its homes, and confirmed from each" {
	is '{"confirmed":true,"all":true,"homes":"3/3"}' got 2 '{confirmed,all,homes}|tojson' store kept/a "$TIME" 9 dead
	for i in 1 2 3; do is "confirmed $TIME" newest $i kept/a; done
	is null got 1 .record newest kept/a below "$TIME" 9
	is "$TIME" got 3 .record.time newest kept/a one "$TIME" 9
	is "confirmed $TIME" got 3 '"\(.certainty) \(.record.time)"' newest kept/a write
}

@test "of a live name the directories above are settled, and its homes tell both of its records" {
	is null got 3 .entry newest deep
	is false got 1 .parent_known newest deep/er/a
	put 2 deep/er/a one
	for i in 1 2 3; do
		is true got $i .entry.directory newest deep
		is true got $i .entry.directory newest deep/er
		is null got $i .record newest deep/er
	done
	is true got 2 .parent_known newest deep/er/a		# which it has settled
	is true got 3 .all store deep/er/b "$TIME" 9 directory
	is true got 3 .parent_known newest deep/er/a
	# Somebody begins to remove it: who tells of that gate has put the directory above it.
	is true got 1 .all store deep/er/ 9999999999999999999 9 dead
	for i in 1 2 3; do
		is 10000000000000000000 got $i .entry.time newest deep/er
		is true got $i .parent_known newest deep/er/a
	done
}

@test "in a directory where nothing stands what is written puts it above its gate" {
	put 2 hollow/er/a one
	is 204 code -X DELETE "${URLS[2]}/hollow/er/a"
	is true got 2 .parent_known newest hollow/er/a
	is true got 1 .all store hollow/er/ 9999999999999999999 9 dead
	is false got 2 .parent_known newest hollow/er/a
	put 2 hollow/er/a two
	for i in 1 2 3; do is 10000000000000000000 got $i .entry.time newest hollow/er; done
	is true got 2 .parent_known newest hollow/er/a
}

@test "one of three homes is dead: neither reads nor writes wait for it" {
	put 1 dead/a one
	stop_versiond 3
	newest 1 dead/a >/dev/null		# it is found out
	for i in 1 2; do
		is confirmed got $i .certainty newest dead/a
		run code "${URLS[$i]}/dead/a"
		[ "$output" = 200 ]
		[ "$(header Version-State)" = confirmed ]
	done
	[ "$(talk 2 store dead/b "$TIME" 9 dead | jq -s -r 'map("\(.confirmed) \(.all) \(.last)") | join(", ")')" = "true false false, true false true" ]
	is "confirmed $TIME" newest 1 dead/b
	cont_versiond 3
	wait_until 10 is "confirmed $TIME" newest 3 dead/b
}

@test "what only one home knows is stored at the others before it is told" {
	local backs stored
	put 2 alone-a one
	wait_until 5 role_pid 2 covey-syncd
	backs=$(metric 2 write_backs_total)
	kill -STOP "$(role_pid 2 covey-syncd)"	# which would store it
	echo by hand >"${STORES[2]}/tree/alone-b"
	run covey adopt -c "$GROUP/node2/covey.yaml" /alone-b
	[ "$status" -eq 0 ]
	stored=$(counter 2 store sent)
	is confirmed got 2 .certainty newest alone-b
	is $((backs + 1)) metric 2 write_backs_total
	is $((stored + 2)) counter 2 store sent
	is confirmed got 2 .certainty newest alone-b
	is confirmed got 1 .certainty newest alone-b
	is $((backs + 1)) metric 2 write_backs_total
	kill -CONT "$(role_pid 2 covey-syncd)"
}

@test "a home that was killed in the middle of writes has all it answered for" {
	local i
	for i in {1..10}; do
		is true got 1 .confirmed store "killed/$i" "$TIME" 9 dead
		[ "$i" -ne 5 ] || kill -KILL "$(versiond 2)"
	done
	wait_until 5 versiond 2
	stop_versiond 3
	for i in {1..10}; do wait_until 5 is "confirmed $TIME" newest 1 "killed/$i"; done
	cont_versiond 3
}

@test "homes have equal digests, told at the epoch they are asked at" {
	local all group lineage epoch node behind i
	group=$(group_id)
	lineage=$(layout 1 .lineage) epoch=$(layout 1 .epoch)
	node=$(sed -n 's/^id *= *//p' "${STORES[1]}/node.ini")
	all=$(seq 0 4095)
	for i in {1..9}; do put $((i % 3 + 1)) "sums$((i % 2))/$i" "$i"; done
	# shellcheck disable=SC2086
	digests() { talk "$1" digests "$group" "$node" "$lineage" "$2" $all | jq -cS '.digests // .'; }
	same() { [ "$(digests 1 "$epoch")" = "$(digests 2 "$epoch")" ] && [ "$(digests 1 "$epoch")" = "$(digests 3 "$epoch")" ]; }
	wait_until 10 same
	was=$(digests 1 "$epoch")
	[ "$(jq -r 'map(select(. != "0000000000000000")) | length >= 2' <<<"$was")" = true ]
	is true got 1 .all store sums0/new "$TIME" 9 dead
	now=$(digests 1 "$epoch")
	[ "$now" != "$was" ]
	[ "$(jq -n --argjson a "$was" --argjson b "$now" '[$a | keys[] | select($a[.] != $b[.])] | length')" -eq 1 ]
	is "{\"stale\":$epoch}" digests 1 $((epoch - 1))
	behind=$(metric 2 behind_total)
	run talk 2 digests "$group" "$node" "$lineage" $((epoch + 1)) 0
	[ "$status" -eq 1 ]
	[[ $output == *"older"* ]]
	is $((behind + 1)) metric 2 behind_total
	run talk 2 digests "$group" "$node" "$(printf %016x 5)" "$epoch" 0
	[ "$status" -eq 1 ]
}

group_id() { "$TOP/tests/packets" group "$GROUP/group.key"; }

# sync: what a SYNC of node 2's is made of, for `talk 1`
sync() {
	SYNC=(digests "$(group_id)" "$(sed -n 's/^id *= *//p' "${STORES[2]}/node.ini")"
		"$(layout 1 .lineage)" "$(layout 1 .epoch)" 0)
}

@test "a stream of SYNC holds up no more than a group could ask for" {
	local got
	sync
	got=$(talk 1 flood "$(versiond 1)" STOP "${SYNC[@]}")
	[ "$(jq '.answered >= 64 and .refused > 0 and .answered + .refused == 300' <<<"$got")" = true ] || { echo "$got"; return 1; }
	[ "$(talk 1 "${SYNC[@]}" | jq 'has("digests")')" = true ]
}

@test "what comes while covey-versiond leaves is refused, not begun" {
	local pid got
	pid=$(versiond 1)
	sync
	got=$(talk 1 flood "$pid" LEAVE "${SYNC[@]}")
	ended() { ! kill -0 "$pid" 2>/dev/null; }
	wait_until 15 ended
	[ "$(jq .answered <<<"$got")" = 0 ] || { echo "$got"; return 1; }
	[ -z "$(find "$SHARED" -maxdepth 1 -name 'sanitizer.*')" ]
	wait_until 10 is confirmed got 2 .certainty newest leaves
}

@test "a node of another epoch is not counted, neither way" {
	local layout=${STORES[2]}/state/layout.ini was epoch pid
	put 1 fence one
	epoch=$(layout 1 .epoch)
	# Nobody may put it right while it is looked at.
	for i in 1 2 3; do kill -STOP "$(role_pid $i covey-discoverd)"; done
	was=$(cat "$layout")
	sed -i "s/^epoch = .*/epoch = $((epoch + 5))/" "$layout"
	pid=$(versiond 2)
	kill -KILL "$pid"
	restarted() { local now; now=$(versiond 2) && [ "$now" != "$pid" ]; }
	wait_until 5 restarted
	wait_until 5 is $((epoch + 5)) metric 2 versions_epoch
	# It is silent itself, too, before its covey-discoverd has said that it forgot nothing.
	is "unconfirmed 0/3" got 2 '"\(.certainty) \(.homes)"' newest fence
	is "confirmed 2/3 $epoch" got 1 '"\(.certainty) \(.homes) \(.epoch)"' newest fence
	[ "$(metric 1 behind_total)" -ge 1 ]
	[ "$(counter 2 stale sent)" -ge 1 ]
	is "true false" got 1 '"\(.confirmed) \(.all)"' store fence "$TIME" 9
	printf '%s\n' "$was" >"$layout"
	pid=$(versiond 2)
	kill -KILL "$pid"
	wait_until 5 restarted
	for i in 1 2 3; do kill -CONT "$(role_pid $i covey-discoverd)"; done
	wait_until 10 is "confirmed $epoch" got 2 '"\(.certainty) \(.epoch)"' newest fence
}

@test "without covey-discoverd a group goes on by what it knows" {
	local pid
	put 1 lost one
	# Stopped, not killed: covey up would start it again.
	for i in 1 2 3; do kill -STOP "$(role_pid $i covey-discoverd)"; done
	wait_until 5 answers 2 lost 3
	pid=$(versiond 2)
	kill -KILL "$pid"
	restarted() { local now; now=$(versiond 2) && [ "$now" != "$pid" ]; }
	wait_until 5 restarted			# it reads members.ini and layout.ini
	is confirmed got 2 .certainty newest lost
	run code "${URLS[2]}/lost"
	[ "$output" = 200 ]
	[ "$(header Version-State)" = confirmed ]
	[ "$(cat "$D/body")" = one ]
	for i in 1 2 3; do kill -CONT "$(role_pid $i covey-discoverd)"; done
	wait_until 10 _all_up
}

@test "garbage, and sealed packets that do not belong there, change nothing" {
	local versions=$((PORT_BASE + 2)) pid
	put 1 garbage one
	pid=$(versiond 1)
	# What a node says to the seeds is well sealed, but is no CHECK.
	spawn relay "$TOP/tests/packets" relay "$(port 80)" "$((PORT_BASE + 1))" "$D/seen"
	node_conf n9 "$(port 81)" "  discovery: $(port 82)
  versions: $(port 83)
group:
  key_file: $GROUP/group.key
  seeds: [\"127.0.0.1:$(port 80)\"]"
	sed -i 's/^node:/node:\n  home: no/' "$CONF"
	spawn n9 covey-discoverd -c "$CONF"
	wait_until 5 test -s "$D/seen"
	stop "$PID"
	run "$TOP/tests/packets" spoil "$D/seen" "$versions"
	[ "$status" -eq 0 ]
	run "$TOP/tests/packets" replay "$D/seen" "$versions"
	[ "$status" -eq 0 ]
	is "$pid" versiond 1
	is confirmed got 2 .certainty newest garbage
}

@test "what is no request on version.sock is refused, and harms nobody" {
	local socket=${STORES[1]}/run/version.sock pid type body
	put 1 refused one
	pid=$(versiond 1)
	run "$TOP/tests/packets" noframe "$socket"
	[ "$status" -eq 0 ]
	for type in 1 3 6 8 10 99; do
		for body in "" 00 0001 00022e2e00000000000000000000000000000000000000000000000001 ffff; do
			[ "$type/$body" != 3/0000 ] || continue
			run "$TOP/tests/packets" frame "$socket" $type "$body"
			[ "$output" = 255 ]
		done
	done
	run "$TOP/tests/packets" frame "$socket" 1 00016100000000000000000000000000000000000000000000000001
	[ "$output" = 2 ]
	is "$pid" versiond 1
}

@test "covey-versiond leaves when idle, and is back for the next check of a peer" {
	PORT_BASE=$((PORT_BASE + 30))
	group 2 'limits: {idle_exit: 1s}'
	put 1 idle one
	gone() { ! versiond "$1"; }
	for _ in 1 2 3; do
		wait_until 15 gone 2
		wait_until 5 is confirmed got 1 .certainty newest idle	# a cold start may be later than the check it was for
	done
	stop "$GROUP_PID"
}

@test "a group whose others have left is still a group: nothing is confirmed" {
	local i
	PORT_BASE=$((PORT_BASE + 30))
	group 2
	put 1 a one
	stop "$GROUP_PID"
	for i in 1 2; do
		spawn "up$i" covey up -c "$GROUP/node$i/covey.yaml"
		UPS[i]=$PID
	done
	wait_until 10 _all_up
	wait_until 10 is confirmed got 1 .certainty newest a
	stop "${UPS[2]}"
	is "unconfirmed 1/2" got 1 '"\(.certainty) \(.homes)"' newest a
	run code -T - "${URLS[1]}/a" <<<two
	[ "$output" = 202 ]
	[[ $(header Version-State) == "unconfirmed; homes=1/2"* ]]
	stop "${UPS[1]}"
	spawn again covey up -c "$GROUP/node1/covey.yaml"
	wait_until 10 ready "${URLS[1]}"
	is unconfirmed got 1 .certainty newest a
	run code "${URLS[1]}/a"
	[ "$output" = 200 ]
	[[ $(header Version-State) == "unconfirmed; "* ]]
}
