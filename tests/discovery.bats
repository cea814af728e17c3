# discovery.bats - covey-discoverd: nodes meet, die, return, leave; strangers change nothing
#
# Node I is $D/nI with UDP port $(at I); it is called nI.

load helpers

setup() {
	covey_setup
	covey key new >"$D/key"
}

at() { port $((3 * $1 + 1)); }

# node I [SEED...] - configure and start covey-discoverd
node() {
	configure "$@"
	run_discoverd "$1"
}

configure() {
	local i=$1 seed seeds=
	shift
	for seed in "$@"; do seeds+="${seeds:+, }\"$seed\""; done
	node_conf "n$i" "$(port $((3 * i)))" "  discovery: $(at "$i")
  versions: $(port $((3 * i + 2)))
group:
  key_file: ../key
  seeds: [$seeds]
${MORE-}"
}

run_discoverd() {
	spawn "n$1" covey-discoverd -c "$D/n$1/covey.yaml"
	DAEMONS[$1]=$PID
}

# state I J - what node I thinks of node J
state() {
	awk -v name="n$2" '$1 == "name" { n = $3 } $1 == "state" && n == name { print $3 }' \
		"$D/n$1/store/state/members.ini"
}

is() { [ "$(state "$1" "$2")" = "$3" ]; }

# all_up N - each of the first N thinks so of all
all_up() {
	local i j
	for ((i = 1; i <= $1; i++)); do
		for ((j = 1; j <= $1; j++)); do is "$i" "$j" up || return 1; done
	done
}

# has_spoken I J - node I remembers that a start of node J spoke, and so does J's disk
has_spoken() {
	awk -v name="n$2" '$1 == "name" { n = $3 } $1 == "spoke" && n == name && $3 > 0 { found = 1 } END { exit !found }' \
		"$D/n$1/store/state/members.ini" &&
		awk '$1 == "start" { start = $4 } $1 == "spoke" { spoke = $4 } END { exit start == "" || start != spoke }' \
			"$D/n$2/store/state/standing.ini"
}

# settled I J - both have the joint layout of the two, which without a home's work stays as it is,
# know it of each other, and have saved that
settled() {
	local i
	for i; do
		wait_until 5 grep -qx 'epoch = 2' "$D/n$i/store/state/layout.ini"
		wait_until 5 all_have_epoch_2 "$i"
	done
}
all_have_epoch_2() { [ "$(grep -cx 'epoch = 2' "$D/n$1/store/state/members.ini")" -eq 2 ]; }

key_of() { sed -n "s/^$2 = //p" "$D/n$1/store/state/$3.ini" | head -n 1; }

# starts_of I - how often node I has started, as it counts
starts_of() { key_of "$1" start standing | cut -d ' ' -f 1; }

@test "a new node needs one seed, and nothing changes elsewhere" {
	node 1
	node 2 "127.0.0.1:$(at 1)"
	node 3 "127.0.0.1:$(at 2)"
	wait_until 5 all_up 3
	node 4 "127.0.0.1:$(at 3)"
	wait_until 5 all_up 4
}

@test "a node that is killed is suspect, then down, and comes back by itself" {
	node 1
	node 2 "127.0.0.1:$(at 1)"
	node 3 "127.0.0.1:$(at 1)"
	wait_until 5 all_up 3
	kill -KILL "${DAEMONS[2]}"
	wait_until 5 is 1 2 suspect
	wait_until 2 is 3 2 suspect
	wait_until 6 is 1 2 down
	wait_until 2 is 3 2 down
	is 1 3 up
	run_discoverd 2
	wait_until 4 all_up 3
	[ "$(starts_of 2)" -eq 2 ]
}

@test "all members are remembered when every node was killed, the seed too" {
	node 1
	node 2 "127.0.0.1:$(at 1)"
	node 3 "127.0.0.1:$(at 1)"
	wait_until 5 all_up 3
	kill -KILL "${DAEMONS[@]}"
	configure 2		# no seed any more
	configure 3
	run_discoverd 2
	run_discoverd 3
	wait_until 4 is 2 3 up
	wait_until 8 is 2 1 down
	run_discoverd 1
	wait_until 4 all_up 3
}

@test "SIGTERM says stopped; the node may come back" {
	node 1
	node 2 "127.0.0.1:$(at 1)"
	node 3 "127.0.0.1:$(at 1)"
	wait_until 5 all_up 3
	stop "${DAEMONS[3]}"
	[ "$STOPPED" -eq 0 ]
	wait_until 2 is 1 3 stopped
	wait_until 2 is 2 3 stopped
	sleep 4
	is 1 3 stopped
	run_discoverd 3
	wait_until 4 all_up 3
}

@test "LEAVE says stopped and keeps silent until the next start" {
	node 1
	node 2 "127.0.0.1:$(at 1)"
	wait_until 5 all_up 2
	run "$TOP/tests/packets" frame "$D/n2/store/run/discover.sock" 3
	[ "$status" -eq 0 ]
	[ "$output" = 5 ]
	wait_until 2 is 1 2 stopped
	sleep 4
	is 1 2 stopped
	kill -0 "${DAEMONS[2]}"
	stop "${DAEMONS[2]}"
	[ "$STOPPED" -eq 0 ]
	run_discoverd 2
	wait_until 5 all_up 2
}

@test "what is no request on discover.sock is refused, and harms nobody" {
	local socket=$D/n1/store/run/discover.sock
	node 1
	wait_until 5 test -S "$socket"
	run "$TOP/tests/packets" noframe "$socket"
	[ "$status" -eq 0 ]
	run "$TOP/tests/packets" frame "$socket" 77		# unknown
	[ "$output" = 255 ]
	run "$TOP/tests/packets" frame "$socket" 1 00		# VIEW takes nothing
	[ "$output" = 255 ]
	run "$TOP/tests/packets" frame "$socket" 1
	[ "$output" = 4 ]
	kill -0 "${DAEMONS[1]}"
}

@test "packets that are spoiled, cut short, too long or garbage change nothing" {
	node 1
	spawn relay "$TOP/tests/packets" relay "$(at 9)" "$(at 1)" "$D/seen"
	node 2 "127.0.0.1:$(at 9)"
	wait_until 5 all_up 2
	wait_until 5 test -s "$D/seen"
	settled 1 2
	wait_until 15 has_spoken 1 2
	wait_until 15 has_spoken 2 1
	cp "$D/n1/store/state/members.ini" "$D/before"
	run "$TOP/tests/packets" spoil "$D/seen" "$(at 1)"
	[ "$status" -eq 0 ]
	sleep 1
	cmp "$D/before" "$D/n1/store/state/members.ini"
	all_up 2
	kill -0 "${DAEMONS[1]}"
}

@test "replayed packets bring nobody back, before and after a restart" {
	node 1
	spawn relay "$TOP/tests/packets" relay "$(at 9)" "$(at 1)" "$D/seen"
	node 2 "127.0.0.1:$(at 9)"
	wait_until 5 all_up 2
	wait_until 15 has_spoken 2 1
	kill -KILL "${DAEMONS[2]}"
	wait_until 12 is 1 2 down
	cp "$D/n1/store/state/members.ini" "$D/before"
	run "$TOP/tests/packets" replay "$D/seen" "$(at 1)"
	[ "$status" -eq 0 ]
	sleep 1
	cmp "$D/before" "$D/n1/store/state/members.ini"
	kill -KILL "${DAEMONS[1]}"
	run_discoverd 1
	wait_until 5 test "$D/n1/store/state/members.ini" -nt "$D/before"
	run "$TOP/tests/packets" replay "$D/seen" "$(at 1)"
	[ "$status" -eq 0 ]
	sleep 1
	is 1 2 down
}

@test "another protocol version shows as incompatible, and with another key not at all" {
	node 1
	wait_until 5 test -s "$D/n1/store/state/members.ini"
	covey key new >"$D/other"
	run "$TOP/tests/packets" gossip "$D/other" 1 00000000000000bb "$(at 1)"
	[ "$status" -eq 0 ]
	run "$TOP/tests/packets" gossip "$D/key" 1 00000000000000aa "$(at 1)"
	[ "$status" -eq 0 ]
	wait_until 5 grep -q '^state = incompatible$' "$D/n1/store/state/members.ini"
	grep -q '^\[00000000000000aa\]$' "$D/n1/store/state/members.ini"
	grep -q '^protocol = 1-1$' "$D/n1/store/state/members.ini"
	run grep -c '^\[00000000000000bb\]$' "$D/n1/store/state/members.ini"
	[ "$output" -eq 0 ]
	wait_until 12 grep -q '^state = down$' "$D/n1/store/state/members.ini"
}

@test "a new id at a dead member's address takes its place" {
	node 1
	node 2 "127.0.0.1:$(at 1)"
	wait_until 5 all_up 2
	kill -KILL "${DAEMONS[2]}"
	rm -r "$D/n2/store"
	run_discoverd 2
	wait_until 5 all_up_but_one_left
}

all_up_but_one_left() {
	[ "$(grep -c '^state = up$' "$D/n1/store/state/members.ini")" -eq 2 ] &&
		[ "$(grep -c '^state = left$' "$D/n1/store/state/members.ini")" -eq 1 ]
}

@test "a node that moves to another address keeps its name" {
	node 1
	node 2 "127.0.0.1:$(at 1)"
	wait_until 5 all_up 2
	stop "${DAEMONS[2]}"
	sed -i "s/discovery: $(at 2)/discovery: $(at 7)/" "$D/n2/covey.yaml"
	run_discoverd 2
	wait_until 5 all_up 2
	grep -qx "discovery = 127.0.0.1:$(at 7)" "$D/n1/store/state/members.ini"
	[ "$(grep -c '^state = ' "$D/n1/store/state/members.ini")" -eq 2 ]
}

@test "nodes with different keys do not meet; with two keys a change is seamless" {
	node 1
	node 2 "127.0.0.1:$(at 1)"
	wait_until 5 all_up 2
	covey key new >"$D/new"
	stop "${DAEMONS[2]}"
	cp "$D/new" "$D/n2/key"
	sed -i 's,\.\./key,key,' "$D/n2/covey.yaml"
	run_discoverd 2
	wait_until 8 is 2 1 down
	is 1 2 stopped
	cat "$D/key" >>"$D/n2/key"
	cat "$D/new" >>"$D/key"		# node 1 seals with the old one, node 2 with the new one
	stop "${DAEMONS[2]}"
	stop "${DAEMONS[1]}"
	run_discoverd 1
	run_discoverd 2
	wait_until 8 all_up 2
}

@test "IPv6 works as IPv4 does" {
	local i
	for i in 1 2; do
		configure "$i" "[::1]:$(at 1)"
		sed -i 's/address: 127.0.0.1/address: "::1"/' "$D/n$i/covey.yaml"
		run_discoverd "$i"
	done
	wait_until 5 all_up 2
	grep -qx "discovery = \[::1\]:$(at 2)" "$D/n1/store/state/members.ini"
}

@test "one socket for both: a node that listens on [::] is met by IPv4" {
	configure 1
	sed -i "s/discovery: $(at 1)/discovery: \"[::]:$(at 1)\"/" "$D/n1/covey.yaml"
	echo "access: open" >>"$D/n1/covey.yaml"
	run_discoverd 1
	node 2 "127.0.0.1:$(at 1)"
	wait_until 5 all_up 2
	kill -KILL "${DAEMONS[2]}"
	configure 2
	run_discoverd 2		# and finds IPv4 addresses by itself
	wait_until 5 all_up 2
}

# copy_is_silent I J - node I knows that J runs on a copy of its store, which is silent, and goes on
copy_is_silent() {
	wait_until 10 grep -q "a copy of its store was started there" "$D/n$1.log"
	wait_until 10 grep -q "this node is silent" "$D/n$2.log"
	sleep 3
	run -1 grep "this node is silent" "$D/n$1.log"
	[ "$(cat "$D/n$1.log" "$D/n$2.log" | grep -c "others know start")" -le 3 ]
}

@test "the same store used twice is told, and does not spin" {
	node 1
	node 2 "127.0.0.1:$(at 1)"
	wait_until 5 all_up 2
	wait_until 15 has_spoken 1 2
	configure 3 "127.0.0.1:$(at 1)"
	cp -r "$D/n2/store" "$D/n3/store"
	rm -r "$D/n3/store/run"
	run_discoverd 3
	copy_is_silent 2 3
}

@test "a copy from before the group grew does not speak, though it knows of nobody" {
	node 1
	wait_until 15 grep -qx 'epoch = 1' "$D/n1/store/state/layout.ini"
	configure 3 "127.0.0.1:$(at 1)"
	cp -r "$D/n1/store" "$D/n3/store"
	rm -r "$D/n3/store/run"
	node 2 "127.0.0.1:$(at 1)"
	settled 1 2
	wait_until 15 has_spoken 2 1
	run_discoverd 3
	copy_is_silent 1 3
	run -1 grep -x "spoke = $(key_of 3 start standing)" "$D/n3/store/state/standing.ini"
}

@test "a copy of the store of a node that ended speaks no sooner than if it had not" {
	node 1
	node 2 "127.0.0.1:$(at 1)"
	wait_until 5 all_up 2
	settled 1 2
	wait_until 15 has_spoken 1 2
	stop "${DAEMONS[2]}"
	configure 3 "127.0.0.1:$(at 1)"
	cp -r "$D/n2/store" "$D/n3/store"
	rm -r "$D/n3/store/run"
	local began=${EPOCHREALTIME/./} took
	run_discoverd 3
	wait_until 15 has_spoken 1 3
	took=$((${EPOCHREALTIME/./} - began))
	[ "$took" -ge 2000000 ]
	stop "${DAEMONS[3]}"
	run_discoverd 3		# at its address it may go on at once
	wait_until 15 has_spoken 1 3
}

@test "the first node of a group speaks after a start, though those that were joining are gone for good" {
	node 1
	wait_until 15 grep -qx 'epoch = 1' "$D/n1/store/state/layout.ini"
	node 2 "127.0.0.1:$(at 1)"
	settled 1 2
	stop "${DAEMONS[2]}"
	kill -KILL "${DAEMONS[1]}"
	run_discoverd 1
	wait_until 15 grep -q '^spoke = 2 ' "$D/n1/store/state/standing.ini"
}

@test "a seed may be a name, which covey-syncd resolves" {
	need localhost
	node 1
	configure 2 "localhost:$(at 1)"
	spawn syncd covey-syncd -c "$D/n2/covey.yaml"
	run_discoverd 2
	wait_until 12 all_up 2
}

@test "on a LAN multicast is enough" {
	MORE="  multicast: 239.255.47.21:$(at 20)"
	node 1
	node 2
	wait_until 12 all_up 2
}

@test "without a key a node is a group of one, and listens to nobody" {
	node_conf n1 "$(port 3)"
	run_discoverd 1
	wait_until 5 test -S "$D/n1/store/run/discover.sock"
	wait_until 5 is 1 1 up
	run ss -Huanp
	[ "$status" -eq 0 ]
	[[ $output != *"pid=${DAEMONS[1]},"* ]]
}

@test "a bad key file is refused with its name" {
	configure 1
	echo 1234 >"$D/key"
	run timeout 10 covey-discoverd -c "$D/n1/covey.yaml"
	[ "$status" -eq 100 ]
	[[ $output == *"/key: "*"64 hexadecimal digits"* ]]
}

@test "a store put back from an older copy is heard again" {
	node 1
	node 2 "127.0.0.1:$(at 1)"
	wait_until 5 all_up 2
	cp "$D/n2/store/state/standing.ini" "$D/old"
	stop "${DAEMONS[2]}"
	run_discoverd 2
	wait_until 5 all_up 2
	stop "${DAEMONS[2]}"
	wait_until 2 is 1 2 stopped
	cp "$D/old" "$D/n2/store/state/standing.ini"
	rm "$D/n2/store/state/members.ini"
	sed -i 's/^start = 1 /start = 0 /' "$D/n2/store/state/standing.ini"
	run_discoverd 2
	wait_until 20 all_up 2		# silent, once it is sure that nobody else is it
	[ "$(starts_of 2)" -gt 2 ]
}
