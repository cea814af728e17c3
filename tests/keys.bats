#!/usr/bin/env bats
# keys.bats - the key of a group is changed while it runs, and files are read again on SIGHUP
#
# Each node has a key file of its own, group.key beside its configuration.
load helpers

conf_of() { echo "$GROUP/node$1/covey.yaml"; }
key_of() { echo "$GROUP/node$1/group.key"; }

# keyed_group N: a group by one `covey up`
keyed_group() {
	local i
	group_conf "$1" 'timeouts: { check: 10s, store: 20s, push: 10s, pull: 10s }'
	for ((i = 1; i <= $1; i++)); do
		sed -i 's|key_file: .*|key_file: group.key|' "$D/group/node$i/covey.yaml"
		cp "$D/group/group.key" "$D/group/node$i/"
	done
	group "$1"
}

# names FILE...: what the keys in it are called
names() { grep -h '^[0-9a-f]' "$@" | while read -r key; do name_of "$key"; done | paste -sd ' '; }
name_of() { echo "$1" >"$D/one.key" && "$TOP/tests/packets" group "$D/one.key" | cut -c 1-8; }

# uses I NAME...: covey-httpd of node I has these keys, in this order
uses() {
	[ "$(curl -sf -m 5 "${URLS[$1]}/.covey/status" | jq -r '[.keys.first, .keys.second | strings] | join(" ")')" = "${*:2}" ]
}

# roles_say COUNT TEXT: so many roles have said that
roles_say() { [ "$(grep -cF "$2" "$D/group.log")" -ge "$1" ]; }

# steady ARG...: tests/steady-load on every node, each answer confirmed, until end_steady
steady() {
	spawn load "$TOP/tests/steady-load" --confirmed "${URLS[@]}"
	LOAD_PID=$PID
}
end_steady() {
	stop "$LOAD_PID"
	echo "# $(head -n 1 "$D/load.log")" >&3
	[ "$STOPPED" -eq 0 ] || { cat "$D/load.log"; return 1; }
}

# step STEP NODE...: covey key STEP on each, one after the other
step() {
	local i step=$1
	shift
	for i; do
		run covey key "$step" -c "$(conf_of "$i")" <"$D/new.key"
		echo "$step on node $i: $output"
		[ "$status" -eq 0 ]
		# shellcheck disable=SC2046
		wait_until 10 uses "$i" $(names "$(key_of "$i")")
	done
}

# change N ADD-ORDER SWITCH-ORDER DROP-ORDER
change() {
	local old new
	old=$(names "$(key_of 1)")
	covey key new >"$D/new.key"
	new=$(names "$D/new.key")
	# shellcheck disable=SC2086
	{
		step add $2
		roles_say $((4 * $1)) "the group's key is $old now, and $new is taken, too"
		step switch $3
		roles_say $((4 * $1)) "the group's key is $new now, and $old is taken, too"
		step drop $4
		roles_say $((4 * $1)) "the group's key is $new now, and no other is taken"
	}
}

# opened I KEYFILE: whether node I answers what is sealed with the first key of that file
opened() {
	local id base=$((PORT_BASE + 10 * $1 - 10))
	id=$(curl -sf "${URLS[$1]}/.covey/status" | jq -r .node)
	[ "$("$TOP/tests/packets" want "$2" "$id" $((base + 1)))" = 1 ]
}

@test "the key of three nodes is changed node by node, in every order, and no answer fails or is unconfirmed" {
	local epoch
	keyed_group 3
	epoch=$(layout 1 '"\(.lineage) \(.epoch)"')
	steady
	cp "$(key_of 1)" first.key
	change 3 '1 2 3' '1 2 3' '1 2 3'
	change 3 '1 2 3' '3 2 1' '2 1 3'
	change 3 '3 1 2' '2 3 1' '1 3 2'
	change 3 '2 3 1' '1 3 2' '3 1 2'
	end_steady
	settled
	[ "$(layout 1 '"\(.lineage) \(.epoch)"')" = "$epoch" ]	# nobody was away
	run grep -E 'another key|is down' "$D/group.log"
	[ "$status" -eq 1 ]
	wait_until 20 eval '! opened 1 first.key'
	opened 1 "$(key_of 1)"
}

@test "the key of five nodes is changed, and no answer fails or is unconfirmed" {
	keyed_group 5
	steady
	change 5 '1 2 3 4 5' '5 3 1 2 4' '2 4 1 5 3'
	end_steady
	settled
	run grep -E 'another key|is down' "$D/group.log"
	[ "$status" -eq 1 ]
}

# Node I of N, each with a `covey up` of its own.
single_conf() {
	lone_conf "$1" "$2"
	sed -i 's|key_file: .*|key_file: group.key|' "${CONFS[$1]}"
	cp "$D/group.key" "$D/n$1/"
}

@test "a node that was away while the key was changed comes back with the new key; without it both sides say so" {
	local i old new
	(umask 077 && covey key new >group.key)
	for i in 1 2 3; do single_conf "$i" 3; done
	run_node 1 2 3
	wait_until 30 settled 3
	old=$(names group.key)
	covey key new >new.key
	new=$(names new.key)
	for i in 1 2 3; do covey key add -c "${CONFS[i]}" <new.key; done
	stop_node 3
	for i in 1 2; do
		covey key switch -c "${CONFS[i]}" <new.key
		wait_until 10 uses "$i" "$new" "$old"
	done
	run_node 3		# it has both, the old one first
	wait_until 30 settled 3
	echo one >f
	[ "$(code -T f -H 'Prefer: wait=30' "${URLS[3]}/f")" = 201 ]
	stop_node 3
	cp group.key n3/	# as a backup of its configuration has it
	for i in 1 2; do
		covey key drop -c "${CONFS[i]}" <new.key
		wait_until 10 uses "$i" "$new"
	done
	for i in 1 2; do wait_until 20 eval "! opened_alone $i group.key"; done
	run_node 3
	wait_until 20 grep -q "covey-discoverd: warning: a packet from 127.0.0.1:$(port 31) is dropped: it was sealed with another key" n1.log
	wait_until 20 grep -q "covey-discoverd: warning: a packet from 127.0.0.1:$(port 11) is dropped: it was sealed with another key" n3.log
	wait_until 20 shut_out 1 3
	wait_until 20 shut_out 3 1
	[ "$(metric 1 'covey_unopened_total{by="discovery"}')" -gt 0 ]
	[ "$(metric 3 'covey_unopened_total{by="discovery"}')" -gt 0 ]
	[ "$(code -T f -H 'Prefer: wait=20' "${URLS[1]}/f")" = 204 ]	# the others are a majority
	# It is let in again without a restart.
	covey key add -c "${CONFS[3]}" <new.key
	covey key switch -c "${CONFS[3]}" <new.key
	wait_until 30 settled 3
	wait_until 10 eval '! shut_out 1 3'
	wait_until 10 eval '! shut_out 3 1'
	[ "$(code -T f -H 'Prefer: wait=30' "${URLS[3]}/f")" = 204 ]
}

opened_alone() {
	local id
	id=$(curl -sf "${URLS[$1]}/.covey/status" | jq -r .node)
	[ "$("$TOP/tests/packets" want "$2" "$id" "$(port $((10 * $1 + 1)))")" = 1 ]
}

# shut_out I J: what node I says of node J
shut_out() { covey peers --node "${URLS[$1]}" | grep -q " n$2 .* other key "; }

metric() { curl -sf -m 5 "${URLS[$1]}/.covey/metrics" | awk -v name="$2" '$1 == name { print $2 }'; }

@test "a key file that cannot be used changes nothing, and the log says why" {
	local name
	keyed_group 1
	echo here >f
	[ "$(code -T f "${URLS[1]}/f")" = 201 ]		# now all four roles run
	name=$(names "$(key_of 1)")
	for text in nonsense '' '# no key' "$(cat "$(key_of 1)")0"; do
		echo "$text" >"$(key_of 1).new"
		mv "$(key_of 1).new" "$(key_of 1)"
	done
	wait_until 10 roles_say 4 "the group's keys stay as they were: $(key_of 1): read key file: a line that is not 64 hexadecimal digits"
	uses 1 "$name"
	rm "$(key_of 1)"
	wait_until 10 roles_say 4 "the group's keys stay as they were: open $(key_of 1): No such file or directory"
	uses 1 "$name"
	opened 1 "$D/group/group.key"
	[ "$(code -T f "${URLS[1]}/f")" = 204 ]
	# And from there on as ever.
	{ cat "$D/group/group.key" && covey key new; } >"$(key_of 1)"
	# shellcheck disable=SC2046
	wait_until 10 uses 1 $(names "$(key_of 1)")
}

@test "SIGHUP has every role read its files at once, also those of covey up, and ends nobody" {
	local role before after
	keyed_group 2
	for role in httpd versiond syncd discoverd; do wait_until 20 role_pid 1 "covey-$role"; done
	roles() { for role in httpd versiond syncd discoverd; do role_pid 1 "covey-$role"; done; }
	before=$(roles)
	# As long as the file is open for writing nobody is told that it has changed.
	exec {held}>>"$(key_of 1)"
	covey key new | tee new.key >&"$held"
	kill -HUP "$(role_pid 1 covey-httpd)"
	wait_until 10 uses 1 "$(names "$D/group/group.key")" "$(names new.key)"
	kill -HUP "$GROUP_PID"
	wait_until 10 roles_say 4 "and $(names new.key) is taken, too"
	exec {held}>&-
	kill -HUP "$GROUP_PID"
	kill -HUP "$GROUP_PID"
	after=$(roles)
	[ "$before" = "$after" ]
	[ "$(code "${URLS[1]}/.covey/healthz")" = 200 ]
	stop "$GROUP_PID"
	[ "$STOPPED" -eq 0 ]
}

@test "who has the key leaves its memory to root alone" {
	local as=() user keeper node
	[ "$COVEY_BIN" != "$TOP/build/asan/bin" ] || skip "NOT RUN: a sanitized program looks for leaks in its own memory"
	if [ "$(id -u)" = 0 ]; then
		as=(setpriv --reuid 4720 --regid 4720 --clear-groups)
		chmod 711 "$D"
	fi
	node_conf grouped "$(port 51)" $'  discovery: '"$(port 52)"$'\n  versions: '"$(port 53)"$'\ngroup:\n  key_file: group.key'
	covey key new >grouped/group.key
	node_conf alone "$(port 54)"
	[ ${#as[@]} -eq 0 ] || chown -R 4720:4720 grouped alone
	for node in grouped alone; do
		spawn $node "${as[@]}" covey-httpd -c "$D/$node/covey.yaml"
		[ $node = grouped ] || user=$PID
		[ $node = alone ] || keeper=$PID
	done
	wait_until 20 ready "http://127.0.0.1:$(port 54)"
	wait_until 20 healthy "http://127.0.0.1:$(port 51)"
	[ "$(stat -c %u "/proc/$keeper/mem")" = 0 ]
	bytes 300000 >large		# which goes to the disk by its own /proc/self/fd
	[[ $(code -T large "http://127.0.0.1:$(port 51)/large") == 20[12] ]]
	cmp large grouped/store/tree/large
	[ "$(stat -c %u "/proc/$user/mem")" != 0 ]
}

@test "a role of covey up is confined to its files" {
	local role pid
	[ "$COVEY_BIN" != "$TOP/build/asan/bin" ] || skip "NOT RUN: a sanitized program is not confined"
	keyed_group 2
	! grep -q 'not confined to its files' group.log || skip "NOT RUN: the kernel has no Landlock"
	for role in httpd versiond syncd discoverd; do
		wait_until 20 role_pid 1 "covey-$role"
		pid=$(role_pid 1 "covey-$role")
		grep -qx 'NoNewPrivs:.1' "/proc/$pid/status"
	done
	# A file of another directory, which this user may read, is out of reach.
	mkdir elsewhere
	{ cat "$(key_of 1)" && covey key new; } >elsewhere/group.key
	ln -s "$D/elsewhere/group.key" link
	mv link "$(key_of 1)"
	wait_until 10 roles_say 4 "the group's keys stay as they were: open $(key_of 1): Permission denied"
	uses 1 "$(names "$D/group/group.key")"
	# What the directory has is not.
	cp elsewhere/group.key "$GROUP/node1/second.key"
	ln -s second.key link
	mv link "$(key_of 1)"
	# shellcheck disable=SC2046
	wait_until 10 uses 1 $(names elsewhere/group.key)
}

@test "covey up ends when its terminal is closed" {
	group_conf 1
	cat >terminal.py <<-'END'
		import os, pty, subprocess, sys
		leader, terminal = pty.openpty()
		def own():
		    os.setsid()
		    os.close(os.open(os.ttyname(terminal), os.O_RDWR))
		up = subprocess.Popen(sys.argv[1:], stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=own)
		os.close(terminal)
		seen = b""
		while b"Ctrl-C" not in seen:
		    seen += os.read(leader, 4096)
		os.close(leader)
		sys.exit(up.wait())
	END
	run timeout 60 python3 terminal.py "$COVEY_BIN/covey" up --nodes 1 --dir "$D/group" --port "$PORT_BASE"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "README's commands change the key of a group" {
	local line old
	keyed_group 3
	old=$(names "$(key_of 1)")
	mkdir bin
	cat >bin/ssh <<-'END'
		#!/bin/sh
		# 192.0.2.I is node I
		[ "$1" != -n ] || shift
		node=${1##*.}
		shift 2			# and sudo
		exec "$@" -c "$D/group/node$node/covey.yaml"
	END
	chmod +x bin/ssh
	"$TOP/tests/readme" 'covey key switch' >commands
	mapfile -t lines <commands
	PATH=$D/bin:$PATH
	steady
	for line in "${lines[@]}"; do
		echo "$line"
		bash -ec "$line"
		for i in 1 2 3; do
			# shellcheck disable=SC2046
			wait_until 10 uses "$i" $(names "$(key_of "$i")")
		done
	done
	end_steady
	for i in 1 2 3; do cmp "$(key_of 1)" "$(key_of "$i")"; done
	[ "$(names "$(key_of 1)")" != "$old" ]
	[ "$(wc -l <"$(key_of 1)")" -eq 1 ]
	[ ! -e new.key ]
	[ "$(stat -c %a "$(key_of 1)")" = 600 ]
}

@test "covey key keeps the file's mode and what people wrote in it, and refuses what makes no sense" {
	local a b
	node_conf one "$(port)" $'  discovery: '"$(port 1)"$'\n  versions: '"$(port 2)"$'\ngroup:\n  key_file: link'
	a=$(covey key new) b=$(covey key new)
	printf '# ours\n\n  %s' "$a" >one/group.key
	chmod 640 one/group.key
	ln -s group.key one/link
	key() { covey key "$@" -c "$CONF"; }
	[ "$(key show)" = "$(names <(echo "$a"))  seals and opens" ]
	run key switch <<<"$b";		[ "$status" -ne 0 ]
	[[ $output == *"has not the key from standard input: say covey key add on every node first" ]]
	run key drop <<<"$b";		[ "$status" -ne 0 ]
	run key add <<<nonsense;	[ "$status" -eq 65 ]
	run key add <<<"$a"$'\n'"$b";	[ "$status" -eq 65 ]
	[[ $output == *"more than one key"* ]]
	run key add <<<"$b";		[ "$status" -eq 0 ]
	cmp one/group.key <(printf '# ours\n\n  %s\n%s\n' "$a" "$b")
	run key add <<<"$b";		[ "$status" -eq 0 ]	# once more changes nothing
	run key add < <(covey key new);	[ "$status" -ne 0 ]
	[[ $output == *"has two keys already"* ]]
	run key drop <<<"$b";		[ "$status" -ne 0 ]	# the old one seals still
	[[ $output == *"say covey key switch on every node first" ]]
	for _ in 1 2; do		# once more changes nothing
		run key switch <<<"$b";	[ "$status" -eq 0 ]
		cmp one/group.key <(printf '# ours\n\n%s\n  %s\n' "$b" "$a")
	done
	for _ in 1 2; do
		run key drop <<<"$b";	[ "$status" -eq 0 ]
		[ "$output" = "$(names <(echo "$b"))  seals and opens" ]
	done
	cmp one/group.key <(printf '# ours\n\n%s\n' "$b")
	[ "$(stat -c %a one/group.key)" = 640 ]
	[ -L one/link ]
}
