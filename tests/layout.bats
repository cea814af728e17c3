# layout.bats - a group founds itself, grows, shrinks and heals, by itself
#
# Node I is $D/nI with UDP port $(at I); it is called nI.  covey-discoverd runs alone;
# that records reached their new homes is said for covey-syncd by tests/packets.

load helpers

setup() {
	covey_setup
	covey key new >"$D/group.key"
}

at() { port $((3 * $1 + 1)); }

# configure I [SEED...]; MORE_NODE and MORE: more lines
configure() {
	local i=$1 seed seeds=
	shift
	for seed in "$@"; do seeds+="${seeds:+, }\"127.0.0.1:$(at "$seed")\""; done
	node_conf "n$i" "$(port $((3 * i)))" "  discovery: $(at "$i")
  versions: $(port $((3 * i + 2)))
group:
  key_file: ../group.key
  seeds: [$seeds]
${MORE-}"
	[ -z "${MORE_NODE-}" ] || sed -i "s/^node:\$/node:\n  $MORE_NODE/" "$D/n$i/covey.yaml"
}

run_discoverd() {
	spawn "n$1" covey-discoverd -c "$D/n$1/covey.yaml"
	DAEMONS[$1]=$PID
	[ -n "${SYNC[$1]-}" ] || spawn "sync$1" "$TOP/tests/packets" synced "$D/n$1/store/run/discover.sock"
	SYNC[$1]=yes
}

# crash I... - without a word; its ports are free then
crash() {
	local i
	for i; do kill -KILL "${DAEMONS[i]}"; done
	for i; do wait "${DAEMONS[i]}" || :; done
}

# node I [SEED...] - configure and start covey-discoverd
node() {
	configure "$@"
	run_discoverd "$1"
}

ini() { echo "$D/n$1/store/state/layout.ini"; }
value() { sed -n "s/^$2 = //p" "$(ini "$1")" | head -n 1; }
id() { sed -n 's/^id = //p' "$D/n$1/store/node.ini"; }

# settled I... - these have the same layout, of exactly these, and it is not joint
settled() {
	local i files=()
	for i; do files+=("$D/n$i/store/node.ini" "$D/n$i/store/state/layout.ini"); done
	# One process: it is asked again and again.
	awk -v nodes=$# '
		FNR == 1 { file++ }
		file % 2 { if (/^id = /) ids[$3]; next }
		{ layout[file / 2] = layout[file / 2] $0 "\n" }
		/^\[[0-9a-f]+\]$/ { members[substr($0, 2, length($0) - 2)] }
		/^sets = A*B/ { joint = 1 }
		END {
			for (i = 2; i <= nodes; i++) if (layout[i] != layout[1]) exit 1
			for (id in ids) { known++; if (!(id in members)) exit 1 }
			for (id in members) count++
			exit joint || known != nodes || count != nodes
		}' "${files[@]}"
}

# standing I KEY - what node I has on its disk of itself
standing() { sed -n "s/^$2 = //p" "$D/n$1/store/state/standing.ini"; }

# spoke_anew START I... - node 2 has started after START, as its disk says it, and these know that it has spoken since
spoke_anew() {
	local i now
	now=$(standing 2 start)
	[ "$now" != "$1" ] || return
	for i in "${@:2}"; do
		[ "$(sed -n "/^\[$(id 2)\]/,/^$/s/^spoke = //p" "$D/n$i/store/state/members.ini")" = "$now" ] || return
	done
}

is_silenced() { [ "$(standing "$1" silent)" = yes ]; }	# for good
is_to_leave() { [ "$(standing "$1" guest)" = yes ]; }
is_to_stay() { [ "$(standing "$1" guest)" = no ]; }

# is_up I J: node I sees node J
is_up() { grep -A2 "^\[$(id "$2")\]" "$D/n$1/store/state/members.ini" | grep -q '^state = up'; }

logged() { grep -q "$2" "$D/n$1.log"; }

three() {
	node 1
	node 2 1
	node 3 1
	wait_until 10 settled 1 2 3
}

@test "a node without seeds founds a group when it has heard nobody for two seconds" {
	local began=${EPOCHREALTIME/./}
	node 1
	wait_until 10 test -e "$(ini 1)"
	[ $((${EPOCHREALTIME/./} - began)) -ge 2000000 ]
	wait_until 3 settled 1
	[ "$(value 1 epoch)" -eq 1 ]
	[ "$(value 1 homes)" -eq 3 ]
	[ "$(value 1 copies)" -eq 2 ]
	[ "$(value 1 keep_versions)" -eq 100 ]
}

@test "a node whose seed does not answer waits for it" {
	node 1 2
	wait_until 10 logged 1 "0 of 1 seeds have answered"
	[ ! -e "$(ini 1)" ]
	node 2
	wait_until 5 settled 1 2
}

@test "the second and the third node join with one seed and no command" {
	node 1
	wait_until 5 settled 1
	node 2 1
	wait_until 5 settled 1 2
	node 3 2
	wait_until 5 settled 1 2 3
}

@test "three nodes that list each other are a group at once, every time" {
	local round i before
	for round in 1 2 3; do
		before=$(date +%s%N)
		for i in 1 2 3; do node $i 1 2 3; done
		wait_until 8 settled 1 2 3
		echo "round $round: $((($(date +%s%N) - before) / 1000000)) ms"
		[ "$(value 1 epoch)" -le 5 ]
		for i in 1 2 3; do
			stop "${DAEMONS[i]}"
			rm -r "$D/n$i"
		done
	done
}

@test "a group settles though one of its nodes is killed again and again meanwhile" {
	local i
	for i in 1 2 3; do node $i 1 2 3; done
	for i in 1 2 3 1 2 3; do
		sleep 0.2
		crash $i
		run_discoverd "$i"
	done
	wait_until 20 settled 1 2 3
}

@test "a layout outlives kill -9 of all, and grows on" {
	local lineage
	three
	lineage=$(value 1 lineage)
	crash "${!DAEMONS[@]}"
	for i in 1 2 3; do run_discoverd $i; done
	node 4 1
	wait_until 10 settled 1 2 3 4
	[ "$(value 4 lineage)" = "$lineage" ]
}

@test "a guest knows the layout and is in none; it founds nothing" {
	MORE_NODE="home: no" node 1
	sleep 3
	[ ! -e "$(ini 1)" ]
	node 2 1
	node 3 1
	wait_until 10 settled 2 3
	wait_until 5 cmp "$(ini 1)" "$(ini 2)"
}

@test "covey layout leave: done when the others have a layout without the leaver" {
	three
	run covey layout leave -c "$D/n2/covey.yaml"
	[ "$status" -eq 0 ]
	wait_until 5 settled 1 3
	wait_until 5 cmp "$(ini 1)" "$(ini 2)"
	sleep 1
	settled 1 3
}

@test "a node that left stays out when it is started again, until covey layout join" {
	three
	run covey layout leave -c "$D/n2/covey.yaml"
	[ "$status" -eq 0 ]
	crash 2
	run_discoverd 2
	wait_until 5 logged 2 "this node left the layout"
	wait_until 5 cmp "$(ini 1)" "$(ini 2)"
	sleep 2
	settled 1 3
	run covey layout join -c "$D/n2/covey.yaml"
	[ "$status" -eq 0 ]
	settled 1 2 3
	crash 2
	run_discoverd 2
	wait_until 5 is_up 1 2
	sleep 1
	settled 1 2 3
	sed -i 's/^node:/node:\n  home: no/' "$D/n2/covey.yaml"
	stop "${DAEMONS[2]}"
	run_discoverd 2
	wait_until 10 settled 1 3
	run covey layout join -c "$D/n2/covey.yaml"
	[ "$status" -ne 0 ]
	[[ $output == *"node.home"* ]]
}

@test "leaving and joining take each other back, and stand when nobody waits" {
	three
	stop "${DAEMONS[1]}"
	stop "${DAEMONS[3]}"		# nothing can be decided
	spawn leave covey layout leave -c "$D/n2/covey.yaml"
	wait_until 5 is_to_leave 2
	spawn join covey layout join -c "$D/n2/covey.yaml"
	wait_until 5 grep -q "taken back" "$D/leave.log"
	wait_until 5 is_to_stay 2
	wait "$PID"
	spawn leave_again covey layout leave -c "$D/n2/covey.yaml"
	wait_until 5 is_to_leave 2
	stop "$PID"
	[ "$STOPPED" -eq 143 ]		# it still waited
	run_discoverd 1
	run_discoverd 3
	wait_until 15 settled 1 3
}

is_stopped() { grep -A2 "^\[$(id "$2")\]" "$D/n$1/store/state/members.ini" | grep -q '^state = stopped'; }

@test "a renewed node waits for the group that it knew, which has stopped, until that is forgotten" {
	node 1
	node 2 1
	wait_until 10 settled 1 2
	stop "${DAEMONS[2]}"
	wait_until 5 is_stopped 1 2
	stop "${DAEMONS[1]}"
	covey node renew -c "$D/n1/covey.yaml"
	run_discoverd 1
	wait_until 20 logged 1 "no group yet.* n2, $(id 2), is of one, and stopped: start it"
	[ ! -e "$(ini 1)" ]
	run covey layout forget -c "$D/n1/covey.yaml" "$(id 2)"
	echo "$output"
	[ "$status" -eq 0 ]
	wait_until 10 settled 1
}

@test "the only member cannot leave" {
	node 1
	wait_until 5 settled 1
	run covey layout leave -c "$D/n1/covey.yaml"
	[ "$status" -ne 0 ]
	[[ $output == *"only member"* ]]
}

@test "SIGTERM changes no layout" {
	three
	cp "$(ini 1)" "$D/before"
	stop "${DAEMONS[3]}"
	sleep 3
	cmp "$(ini 1)" "$D/before"
}

@test "covey layout set: one number for the group, by whatever node; homes go by ones" {
	local epoch i
	three
	epoch=$(value 1 epoch)
	run covey layout set copies=3 keep.versions=7 keep.days=9 -c "$D/n3/covey.yaml"
	[ "$status" -eq 0 ]
	[[ $output == *"homes=3 copies=3 of 3 members no node can be spared"* ]]
	wait_until 5 settled 1 2 3
	[ "$(value 1 copies) $(value 1 keep_versions) $(value 1 keep_days)" = "3 7 9" ]
	[ "$(value 1 epoch)" -eq $((epoch + 1)) ]
	run covey layout set homes=1 -c "$D/n2/covey.yaml"
	[ "$status" -eq 0 ]
	wait_until 5 settled 1 2 3
	[ "$(value 1 homes)" -eq 1 ]
	[ "$(value 1 epoch)" -eq $((epoch + 5)) ]	# 2 and 1, each joint first
	run covey layout set keep.days=8 -c "$D/n2/covey.yaml"
	[ "$status" -eq 0 ]
	[[ $output != *"spared"* ]]
}

@test "another node at a dead member's address takes its place at once" {
	local old
	three
	old=$(id 3)
	crash 3
	rm -r "$D/n3/store"
	run_discoverd 3
	wait_until 15 settled 1 2 3
	[ "$(id 3)" != "$old" ]
}

@test "a member that does not answer stays a member" {
	three
	cp "$(ini 1)" "$D/before"
	crash 3
	sleep 9
	cmp "$(ini 1)" "$D/before"
	run_discoverd 3
	sleep 2
	cmp "$(ini 1)" "$D/before"
}

@test "covey layout force: refused while the council decides, then the survivors go on" {
	local lineage epoch
	three
	run covey layout force --yes -c "$D/n1/covey.yaml"
	[ "$status" -ne 0 ]
	[[ $output == *"majority of the council is up"* ]]
	lineage=$(value 1 lineage) epoch=$(value 1 epoch)
	crash 2 3
	rm -r "$D/n2/store" "$D/n3"
	both_down() { [ "$(grep -c '^state = down' "$D/n1/store/state/members.ini")" -eq 2 ]; }
	wait_until 15 both_down
	run covey layout force --yes -c "$D/n1/covey.yaml"
	[ "$status" -eq 0 ]
	[[ $output == *"forced away from lineage $lineage, epoch $epoch"* ]]
	settled 1
	[ "$(value 1 lineage)" != "$lineage" ]
	[ "$(value 1 left_lineage) $(value 1 left_epoch)" = "$lineage $epoch" ]
	run_discoverd 2
	wait_until 15 settled 1 2
}

misses() { ! is_up "$1" "$2"; }

@test "covey layout set that nobody agrees to in time says whether it is withdrawn" {
	three
	cp "$(ini 1)" "$D/before"
	crash 2 3
	run covey layout set --within 1 copies=1 -c "$D/n1/covey.yaml"	# it thinks they are up yet
	[ "$status" -ne 0 ]
	[[ $output == *"may still take effect"* ]]
	wait_until 15 misses 1 2
	wait_until 15 misses 1 3
	run covey layout set --within 1 copies=1 -c "$D/n1/covey.yaml"
	[ "$status" -ne 0 ]
	[[ $output == *"nothing was begun, and it is withdrawn"* ]]
	run_discoverd 2
	run_discoverd 3
	wait_until 5 is_up 1 2
	wait_until 5 is_up 1 3
	sleep 2
	cmp "$(ini 1)" "$D/before"
}

# refused_by_1: node 1 alone agrees to a change, and that is no majority
refused_by_1() {
	run covey layout set --within 2 keep.versions=7 -c "$D/n1/covey.yaml"
	echo "$output"
	[ "$status" -ne 0 ]
	[ "$(value 1 keep_versions)" = 100 ]
}

@test "who cannot write down what it promises gives no vote on a layout" {
	local i promise
	three
	promise=synod-$(value 1 lineage).ini
	for i in 2 3; do
		rm -f "$D/n$i/store/state/$promise"
		mkdir "$D/n$i/store/state/$promise"
	done
	refused_by_1
	wait_until 5 logged 2 "give no vote on the next layout"
	for i in 2 3; do rmdir "$D/n$i/store/state/$promise"; done
	run covey layout set keep.versions=7 -c "$D/n1/covey.yaml"
	[ "$status" -eq 0 ]
	wait_until 5 settled 1 2 3
	[ "$(value 3 keep_versions)" = 7 ]
}

# Three nodes, of which 2 is stopped, and the others have heard that it has saved its sequence at 50.
three_knowing_2() {
	local i
	three
	stop "${DAEMONS[2]}"
	sed -i 's/^sequence = .*/sequence = 50/' "$D/n2/store/state/standing.ini"
	run_discoverd 2
	for i in 1 3; do wait_until 5 grep -q '^sequence = 51' "$D/n$i/store/state/members.ini"; done
	stop "${DAEMONS[2]}"
}

@test "a node that has forgotten something gives no vote on a layout" {
	three_knowing_2
	sed -i 's/^sequence = .*/sequence = 20/' "$D/n2/store/state/standing.ini"
	run_discoverd 2
	wait_until 5 is_silenced 2
	crash 3
	refused_by_1
}

@test "a disk that forgot what others count on makes its node silent" {
	three_knowing_2
	sed -i 's/^sequence = .*/sequence = 50/' "$D/n2/store/state/standing.ini"
	run_discoverd 2
	sleep 3
	[ "$(standing 2 silent)" = no ]	# one save is what a crash may cost
	stop "${DAEMONS[2]}"
	sed -i 's/^sequence = .*/sequence = 20/' "$D/n2/store/state/standing.ini"
	run_discoverd 2
	wait_until 5 logged 2 "others remember what this disk has forgotten"
	wait_until 5 is_silenced 2
	stop "${DAEMONS[2]}"
	run_discoverd 2
	wait_until 5 logged 2 "this node forgot something"
	stop "${DAEMONS[2]}"
	rm "$D/n2/store/node.ini"	# formatted anew
	run_discoverd 2
	wait_until 15 settled 1 2 3
	[ "$(standing 2 silent)" = no ]
}

@test "a store put back from a copy of the start before makes its node silent" {
	three
	stop "${DAEMONS[2]}"
	cp -a "$D/n2/store/state" "$D/copy"
	start=$(standing 2 start)
	run_discoverd 2
	wait_until 15 spoke_anew "$start" 1 3
	stop "${DAEMONS[2]}"
	rm -r "$D/n2/store/state"
	cp -a "$D/copy" "$D/n2/store/state"
	run_discoverd 2
	wait_until 5 logged 2 "a start of this node that this disk does not know"
	wait_until 5 is_silenced 2
}

@test "a store that was put back is found out though it has started as often as the others know" {
	three
	stop "${DAEMONS[2]}"
	cp -a "$D/n2/store/state" "$D/copy"
	start=$(standing 2 start)
	run_discoverd 2
	wait_until 15 spoke_anew "$start" 1 3
	crash 1 2 3
	rm -r "$D/n2/store/state"
	mv "$D/copy" "$D/n2/store/state"
	for _ in 1 2; do		# nobody is there to tell it
		started() { [ "$(standing 2 start | cut -d ' ' -f 1)" -eq "$start" ]; }
		start=$(($(standing 2 start | cut -d ' ' -f 1) + 1))
		run_discoverd 2
		wait_until 5 started
		crash 2
	done
	for i in 1 2 3; do run_discoverd $i; done
	wait_until 15 is_silenced 2
}

@test "what a disk must remember is known though all others were started again too" {
	three
	stop "${DAEMONS[2]}"
	sed -i 's/^sequence = .*/sequence = 50/' "$D/n2/store/state/standing.ini"
	run_discoverd 2
	wait_until 5 grep -q '^sequence = 51' "$D/n1/store/state/members.ini"
	wait_until 5 grep -q '^sequence = 51' "$D/n3/store/state/members.ini"
	crash "${!DAEMONS[@]}"
	sed -i 's/^sequence = .*/sequence = 20/' "$D/n2/store/state/standing.ini"
	for i in 1 2 3; do run_discoverd $i; done
	wait_until 5 logged 2 "others remember what this disk has forgotten"
}

# is_silent I YES: node I says that it answers as no home; by its covey-httpd
is_silent() { [ "$(curl -sf "http://127.0.0.1:$(port $((3 * $1)))/.covey/layout" | jq ".members[] | select(.name == \"n$1\") | .silent")" = "$2" ]; }

@test "a node is silent after its start until another home has told what it remembers" {
	three
	MORE_NODE="home: no" node 4 2
	wait_until 10 cmp "$(ini 4)" "$(ini 2)"
	crash "${!DAEMONS[@]}"
	rm -r "$D/n4/store"
	run_discoverd 2
	run_discoverd 4			# has never heard of it
	spawn httpd2 covey-httpd -c "$D/n2/covey.yaml"
	wait_until 5 grep -q '^name = n2' "$D/n4/store/state/members.ini"
	wait_until 5 logged 2 "no other home tells what it remembers of this node"
	sleep 2
	is_silent 2 true
	run_discoverd 1
	wait_until 5 is_silent 2 false
}

@test "where a home is alone with its directories it is silent only for a moment after its start" {
	three
	run covey layout set homes=1 -c "$D/n2/covey.yaml"
	[ "$status" -eq 0 ]
	crash "${!DAEMONS[@]}"
	run_discoverd 2
	spawn httpd2 covey-httpd -c "$D/n2/covey.yaml"
	wait_until 10 is_silent 2 false
}

@test "a copy of a store, started while its node runs elsewhere, is silent, and the node is not" {
	three
	configure 4 1
	cp -a "$D/n2/store" "$D/n4/"
	run_discoverd 4
	wait_until 20 logged 4 "a start of this node that this disk does not know"
	wait_until 5 is_silenced 4
	logged 2 "a copy of its store was started there"
	[ "$(standing 2 silent)" = no ]
	stop "${DAEMONS[4]}"
	wait_until 5 is_up 1 2
}

@test "20 restarts by kill -9, at any moment, make no node silent" {
	local n
	three
	for ((n = 0; n < 20; n++)); do
		crash 2
		[ "$(standing 2 silent)" = no ]
		[ "$(grep -c "is silent" n2.log)" -eq 0 ]
		run_discoverd 2
		sleep "0.$((RANDOM % 2))$((RANDOM % 10))"
	done
	crash 1 2 3			# and all at once
	for i in 1 2 3; do run_discoverd $i; done
	speaks() { [ "$(standing "$1" start)" = "$(standing "$1" spoke)" ]; }
	for i in 1 2 3; do wait_until 10 speaks $i; done
	for i in 1 2 3; do [ "$(standing $i silent)" = no ]; done
	for i in 1 2 3; do [ "$(grep -c "is silent" n$i.log)" -eq 0 ]; done
}

@test "solo groups that meet become one" {
	node 1
	node 2
	wait_until 5 settled 1
	wait_until 5 settled 2
	[ "$(value 1 lineage)" != "$(value 2 lineage)" ]
	stop "${DAEMONS[2]}"
	node 2 1
	wait_until 10 settled 1 2
}

@test "a solo group gives itself up for a larger one" {
	local lineage
	node 3
	node 1
	node 2 1
	wait_until 10 settled 1 2
	wait_until 5 settled 3
	lineage=$(value 1 lineage)
	stop "${DAEMONS[3]}"
	node 3 2
	wait_until 10 settled 1 2 3
	[ "$(value 3 lineage)" = "$lineage" ]
}

@test "two larger groups with one key stay apart, and say so" {
	node 1
	node 2 1
	node 3
	node 4 3
	wait_until 10 settled 1 2
	wait_until 10 settled 3 4
	stop "${DAEMONS[4]}"
	node 4 3 1
	wait_until 15 logged 4 "another group has this key"
	wait_until 15 logged 1 "another group has this key"
	sleep 1
	settled 1 2
	settled 3 4
}

@test "keepers follow weight, homes and keepers regions: the layout has what members say" {
	MORE_NODE="region: east" node 1
	MORE_NODE="weight: 4" node 2 1
	wait_until 10 settled 1 2
	grep -qx "region = east" "$(ini 2)"
	grep -qx "weight = 4" "$(ini 1)"
	stop "${DAEMONS[2]}"
	MORE_NODE="region: west" node 2 1
	wait_until 10 grep -qx "region = west" "$(ini 1)"
	settled 1 2
	run grep -c "weight = 4" "$(ini 1)"
	[ "$output" -eq 0 ]
}

@test "what cannot be a layout is not used" {
	three
	stop "${DAEMONS[3]}"
	sed -i 's/^sets = A/sets = C/' "$(ini 3)"
	run_discoverd 3
	wait_until 5 logged 3 "forget the layout"
	wait_until 10 settled 1 2 3
}

# host H SEED: a whole node on host H of the network, by covey up
host() {
	host_conf "$1" "$2"
	ln -s "h$1" "$D/n$1"
	spawn_on "$1" "h$1" covey up -c "$D/h$1/covey.yaml"
}

@test "UDP blocked: a group comes together by HTTP, from a seed of either kind" {
	local h
	need hosts
	hosts up 3
	for h in 1 2 3; do hosts exec $h ip rule add pref 1 ipproto udp blackhole; done
	run hosts exec 1 ip route get 10.79.0.2 ipproto udp dport 4721
	[ "$status" -ne 0 ]
	host 1 http://10.79.0.1:4720
	host 2 http://10.79.0.1:4720
	wait_until 30 settled 1 2
	host 3 10.79.0.1:4721
	wait_until 30 settled 1 2 3
}

@test "UDP blocked one way: a group settles" {
	need hosts
	hosts up 3
	hosts exec 2 ip rule add pref 1 ipproto udp blackhole
	host 1 10.79.0.1:4721
	host 2 10.79.0.1:4721
	host 3 10.79.0.1:4721
	wait_until 30 settled 1 2 3
}

@test "what was said to change the layout does nothing when somebody sends it again" {
	local i epoch packet
	need hosts
	hosts up 1
	for i in 1 2 3; do
		configure $i 1 2 3
		spawn_on 1 "n$i" covey-discoverd -c "$D/n$i/covey.yaml"
		spawn "sync$i" "$TOP/tests/packets" synced "$D/n$i/store/run/discover.sock"
	done
	spawn_on 1 httpd2 covey-httpd -c "$D/n2/covey.yaml"
	wait_until 15 settled 1 2 3
	mkdir "$D/kept"
	spawn_on 1 overhear "$TOP/tests/overhear" keep "$D/kept"
	wait_until 5 test -e "$D/kept/ready"
	run covey layout set keep.versions=1 copies=1 -c "$D/n1/covey.yaml"
	[ "$status" -eq 0 ]
	stop "$PID"
	rm "$D/kept/ready"
	run covey layout set keep.versions=100 copies=2 -c "$D/n1/covey.yaml"
	[ "$status" -eq 0 ]
	wait_until 10 settled 1 2 3
	epoch=$(value 2 epoch)
	hosts exec 1 "$TOP/tests/overhear" repeat "$D/kept"
	for packet in "$D"/kept/*-"$(at 2)"; do
		run hosts exec 1 "$TOP/tests/as-peer" "$D/group.key" "$(port 6)" msg discovery "$packet"
		echo "$output"
		[[ $output == 20[04]* ]]
	done
	sleep 3
	settled 1 2 3
	[ "$(value 2 epoch) $(value 2 copies) $(value 2 keep_versions)" = "$epoch 2 100" ]
}
