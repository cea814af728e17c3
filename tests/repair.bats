# repair.bats - what anybody missed reaches him: the outbox, sync, KEEP
#
# Real groups, by `covey up`.
# shellcheck shell=bash disable=SC2034,SC2154

load helpers

conf() { echo "$D/group/node$1/covey.yaml"; }

# settled N: one layout of N members everywhere, not joint
settled() {
	local i members
	for ((i = 1; i < ${#URLS[@]} + 1; i++)); do
		members=$(curl -sf "${URLS[i]}/.covey/layout" |
			jq -r '"\(.epoch) \(.joint) \([.members[] | select(.in_a)] | length)"') || return 1
		[[ $members == *" false $1" ]] || return 1
		[ "$i" = 1 ] || [ "$members" = "$before" ] || return 1
		local before=$members
	done
}

# The roles of node I
roles() {
	local role
	for role in httpd versiond discoverd syncd; do role_pid "$1" "covey-$role" || :; done
}
freeze() { local pid; for pid in $(roles "$1"); do kill -STOP "$pid"; done; }
thaw() { local pid; for pid in $(roles "$1"); do kill -CONT "$pid"; done; }

# Files of node I's tree that a home does not know or a keeper has not.
lacking() {
	(cd "${STORES[$1]}/tree" && find . \( -type f -o -type l \) -printf '/%P\0') |
		{ covey-check -c "$(conf "$1")" --json -0 - || :; } |
		jq -r 'select([.nodes[] | select(((.roles | index("home")) and (.newest | not)) or
		       ((.roles | index("keeper")) and (.has | IN("content", "deleted") | not)))] | length > 0) | .href'
}
complete() { [ -z "$(lacking "$1")" ]; }

# as_put I: node I gives what was put, by put_some
as_put() {
	local f
	for f in "$D"/put/*; do
		if [ "$(code "${URLS[$1]}/d/${f##*/}")" != 200 ] || [ "$(sha "$D/body")" != "$(sha "$f")" ]; then
			echo "node $1: ${f##*/}"
			return 1
		fi
	done
}

# put_some I FROM TO STATUS
put_some() {
	local i status
	mkdir -p "$D/put"
	for ((i = $2; i <= $3; i++)); do
		bytes $((i * 5000)) "$i" >"$D/put/f$i"
		status=$(code -T "$D/put/f$i" "${URLS[$1]}/d/f$i")
		[ "$status" = "$4" ] || { echo "PUT f$i: $status $(header Version-State)"; return 1; }
	done
}

@test "what was written while all others were away reaches everybody, though the roles are killed" {
	group 3
	wait_until 20 settled 3
	put_some 1 1 3 201
	freeze 2
	freeze 3
	put_some 1 4 12 202
	[ "$(code -X DELETE "${URLS[1]}/d/f1")" = 202 ]
	rm "$D/put/f1"
	[ "$(code -X PUT "${URLS[1]}/empty/")" = 202 ]
	kill -KILL "$(role_pid 1 covey-syncd)" "$(role_pid 1 covey-httpd)"
	thaw 2
	thaw 3
	wait_until 10 role_pid 1 covey-syncd
	kill -KILL "$(role_pid 1 covey-syncd)"
	wait_until 20 complete 1
	[ "$(find "${STORES[2]}/tree/d" "${STORES[3]}/tree/d" -name 'f*' | wc -l)" -eq 22 ]
	[ -d "${STORES[2]}/tree/empty" ]
	[ -d "${STORES[3]}/tree/empty" ]
	freeze 1
	as_put 2
	as_put 3
	[ "$(code "${URLS[3]}/d/f1")" = 404 ]
	[ "$(header Version-State)" = confirmed ]
}

@test "a node that was away gets what it missed, at the cost of what differs" {
	group 3
	wait_until 20 settled 3
	put_some 1 1 5 201
	freeze 3
	put_some 2 6 12 201
	thaw 3
	wait_until 15 complete 2
	freeze 1
	as_put 3
}

@test "a disk that was lost fills again by itself" {
	group 3
	wait_until 20 settled 3
	put_some 1 1 6 201
	put_some 3 7 12 201
	bytes 3000000 >"$D/put/large"
	[ "$(code -T "$D/put/large" "${URLS[2]}/d/large")" = 201 ]
	stop "$PID"
	rm -rf "${STORES[2]}"
	group 3
	wait_until 60 complete 1
	as_put 2
	freeze 1
	as_put 3
}

@test "a member that leaves has handed over what it kept" {
	group 3
	wait_until 20 settled 3
	put_some 3 1 12 201
	run timeout 60 covey layout leave -c "$(conf 3)"
	echo "$output"
	[ "$status" -eq 0 ]
	unset 'URLS[3]'
	wait_until 10 settled 2
	complete 1
	freeze 3
	as_put 1
	as_put 2
}

nothing_owed() { [ "$(curl -sf "${URLS[$1]}/.covey/status" | jq .outbox)" -eq 0 ]; }

@test "copies 1: content moves only when it is read" {
	group 3
	wait_until 20 settled 3
	run covey layout set copies=1 -c "$(conf 1)"
	echo "$output"
	[ "$status" -eq 0 ]
	wait_until 10 settled 3
	put_some 2 1 8 201
	for i in 1 2 3; do wait_until 10 nothing_owed $i; done
	[ "$(find "${STORES[2]}/tree/d" -type f | wc -l)" -eq 8 ]
	[ "$(find "${STORES[1]}/tree/d" "${STORES[3]}/tree/d" -type f | wc -l)" -eq 0 ]
	as_put 3
	all_here() { [ "$(find "${STORES[3]}/tree/d" -type f | wc -l)" -eq 8 ]; }
	wait_until 10 all_here
	[ "$(find "${STORES[1]}/tree/d" -type f | wc -l)" -eq 0 ]
}

# What holds the lock of a path, as a writer does that takes long
hold_path() {
	spawn hold python3 -c '
import fcntl, struct, sys, time
h = 0xcbf29ce484222325
for b in sys.argv[2].encode():
    h = (h ^ b) * 0x100000001b3 % 2**64
F_OFD_SETLKW = 38
f = open(sys.argv[1] + "/locks", "r+b")
fcntl.fcntl(f, F_OFD_SETLKW, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, (h ^ h >> 32) % 16384, 1, 0))
print("held", flush=True)
time.sleep(100)' "$1" "$2"
	wait_until 10 grep -q held "$D/hold.log"
}
somebody_waits() { grep -q -e "-> OFDLCK .*:$(stat -c %i "$1/locks") " /proc/locks; }
versions_of() { find "$1/tree/$2" "$1/history/$2" -type f | wc -l; }

@test "a rule that is changed while it is counted what goes by one before is counted as soon as that is over" {
	local i
	group 1 'keep: {versions: 50}'
	for ((i = 1; i <= 9; i++)); do
		[[ $(code --data-binary "$i" -X PUT "${URLS[1]}/d/f") == 20[14] ]]
	done
	hold_path "${STORES[1]}" d/f
	covey layout set keep.versions=6 -c "$(conf 1)"
	wait_until 20 somebody_waits "${STORES[1]}"
	covey layout set keep.versions=3 -c "$(conf 1)"
	[ "$(layout 1 .keep.versions)" = 3 ]
	sleep 1			# for covey-syncd to hear of it as well
	stop "$PID"
	told() { curl -sf "${URLS[1]}/.covey/status" | jq -e '.keep.lowered | .versions == 3 and .goes.versions == 6'; }
	wait_until 20 told
	[ "$(versions_of "${STORES[1]}" d/f)" -eq 9 ]
	covey prune -c "$(conf 1)"
	[ "$(versions_of "${STORES[1]}" d/f)" -eq 3 ]
}

outbox_of() { curl -sf "${URLS[$1]}/.covey/metrics" | sed -n 's/^covey_outbox_entries //p'; }

@test "a member leaves with more than is remembered of a keeper at once" {
	local dir i count=1500
	group 3 'replication: {copies: 1}
timeouts: {check: 5s, store: 30s, push: 30s, pull: 10s}'
	# paths so long that half a thousand of them are what is remembered
	dir=${STORES[3]}/tree/$(printf '%0200d/%0200d/%0200d/%0200d' 1 2 3 4)
	mkdir -p "$dir"
	for ((i = 0; i < count; i++)); do echo "$i" >"$dir/file$i"; done
	covey adopt -q -c "$(conf 3)"
	idle() { [ "$(outbox_of 3)" = 0 ]; }
	wait_until 60 idle
	run timeout 90 covey layout leave -c "$(conf 3)"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(grep -rh . "${STORES[1]}/tree" "${STORES[2]}/tree" | sort -un | wc -l)" -eq $count ]
}

has_ended() { ! kill -0 "$1"; }

# room I SIZE: so much is to be free on the disk of node I, whose covey-syncd begins anew
room() {
	local was
	was=$(role_pid "$1" covey-syncd)
	sed -i '/^limits:/,$d' "$(conf "$1")"
	printf 'limits:\n  min_free: %s\n' "$2" >>"$(conf "$1")"
	stop "$was"
}

@test "a member that leaves is woken when its covey-syncd has ended before all is handed over" {
	local i
	group 3 'replication: { copies: 1 }'
	for i in 1 2 3 4; do echo "$i" | curl -sf -o /dev/null -T - "${URLS[3]}/f$i"; done
	wait_until 20 nothing_owed 3
	for i in 1 2; do room $i 900T; done
	spawn leave covey layout leave -c "$(conf 3)"
	wait_until 30 grep -q "waits for node .* node[12]: its disk is full" leave.log
	stop "$(role_pid 3 covey-syncd)"
	for i in 1 2; do room $i 1M; done
	wait_until 40 has_ended "$PID"
	wait "$PID"
}

# Whether node 4 is no home and no keeper of PATH, which is known
is_not_of_4() {
	covey-check -c "$(conf 1)" --json "$1" |
		jq -e '[.[] | select(.name == "node4") | .roles[] | select(. == "home" or . == "keeper")] == []' >/dev/null
}

@test "a member leaves with versions of which nobody is to keep that many" {
	local path i n syncd
	group 4 'keep: {versions: 3}
timeouts: {check: 5s, store: 30s, push: 30s, pull: 10s}'
	# Once, soon after its start, it asks what it holds that is not the newest: then with another path.
	syncd=$(role_pid 4 covey-syncd)
	for ((n = 1; n <= 40; n++)); do
		path=d$n/f
		[ "$(code --data-binary 1 -X PUT "${URLS[4]}/$path")" = 201 ]
		is_not_of_4 "$path" || continue
		for i in 2 3; do [ "$(code --data-binary "$i" -X PUT "${URLS[4]}/$path")" = 204 ]; done
		kill -STOP "$syncd"
		for i in 4 5 6 7; do [ "$(code --data-binary "$i" -X PUT "${URLS[1]}/$path")" = 204 ]; done
		for i in 1 2 3; do
			covey prune -c "$(conf $i)"
			[ "$(versions_of "${STORES[i]}" "$path")" -le 3 ]
		done
		[ "$(versions_of "${STORES[4]}" "$path")" -lt 3 ] || break	# a slow push may have left it more
		kill -CONT "$syncd"
	done
	[ "$(versions_of "${STORES[4]}" "$path")" -ge 3 ]
	kill -CONT "$syncd"
	run timeout 60 covey layout leave -c "$(conf 4)"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(curl -sf "${URLS[2]}/$path")" = 7 ]
}

@test "a record that cannot be taken keeps no other one from being taken" {
	local i
	group 3
	echo 1 >f
	[ "$(code -T f "${URLS[1]}/d4/f")" = 201 ]
	for ((i = 1; i <= 20; i++)); do [ "$(code -T f "${URLS[1]}/d9/f$i")" = 201 ]; done
	wait_until 20 complete 1
	stop "$PID"
	# of two partitions that are asked about at once the first has a record that contradicts ours
	python3 -c '
import os, sys
x = "user.covey"
f = sys.argv[1]
record = os.readlink(f) if os.path.islink(f) else None
if record is None:
    b = bytearray(os.getxattr(f, x))
    b[59] ^= 1
    os.setxattr(f, x, bytes(b))
else:
    os.remove(f)
    os.symlink(record.replace(record.split(" ")[3][:8], "00000000"), f)
' "${STORES[3]}/tree/d4/f"
	rm "${STORES[3]}"/tree/d9/f*
	group 3
	all_known() { [ "$(find "${STORES[3]}/tree/d9" -name 'f*' | wc -l)" -eq 20 ]; }
	wait_until 20 all_known
}

@test "contents whose records were missed as well come with them" {
	local i
	group 3
	echo 1 >f
	for ((i = 1; i <= 40; i++)); do [ "$(code -T f "${URLS[1]}/c$i/f")" = 201 ]; done
	wait_until 20 complete 1
	stop "$PID"
	rm "${STORES[3]}"/tree/c*/f
	group 3
	wait_until 20 complete 1
}

@test "what one that falls silent was asked, another home answers" {
	local i role
	group 3
	echo 1 >f
	for ((i = 1; i <= 40; i++)); do [ "$(code -T f "${URLS[1]}/c$i/f")" = 201 ]; done
	wait_until 20 complete 1
	# node 2 takes questions and answers none
	for role in httpd versiond syncd; do kill -STOP "$(role_pid 2 covey-$role)"; done
	rm "${STORES[3]}"/tree/c*/f
	kill -KILL "$(role_pid 3 covey-versiond)" "$(role_pid 3 covey-syncd)"
	wait_until 10 role_pid 3 covey-syncd
	sleep 2			# for it to ask node 2
	kill -STOP "$(role_pid 2 covey-discoverd)"
	all_known() { [ "$(find "${STORES[3]}/tree" -path '*/c*/f' | wc -l)" -eq 40 ]; }
	wait_until 30 all_known
}

# Nobody waits for a home that let a question pass: the first answer to STORE is the last.
@test "a home that is not waited for has what it missed within ten seconds, whatever timeouts.store is" {
	group 3 'timeouts: { check: 2s, store: 60s }'
	echo one >one
	kill -STOP "$(role_pid 3 covey-versiond)"
	run covey-check -c "$(conf 1)" f	# all are asked, and node 3 says nothing
	[ "$(code -T one "${URLS[1]}/f")" = 201 ]
	sleep 2
	[ "$(outbox_of 1)" = 1 ]
	kill -CONT "$(role_pid 3 covey-versiond)"
	all_told() { [ "$(outbox_of 1)" = 0 ]; }
	wait_until 15 all_told
}
