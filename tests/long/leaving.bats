#!/usr/bin/env bats
# A member that leaves has handed over all that it has, however long its keepers could not take it.
load ../helpers

is_gone() { ! kill -0 "$1"; }

# min_free I SIZE: so much is to be free on the disk of node I
min_free() {
	local was
	was=$(role_pid "$1" covey-syncd)
	sed -i '/^limits:/,$d' "$GROUP/node$1/covey.yaml"
	printf 'limits:\n  min_free: %s\n' "$2" >>"$GROUP/node$1/covey.yaml"
	kill "$was"
	wait_until 20 is_gone "$was"
}

@test "a member that leaves begins anew when its keepers lack more than it remembers" {
	local dir i count=1500
	group 3 'replication: {copies: 1}'
	# paths so long that half a thousand of them are what is remembered
	dir=${STORES[3]}/tree/$(printf '%0200d/%0200d/%0200d/%0200d' 1 2 3 4)
	mkdir -p "$dir"
	for ((i = 0; i < count; i++)); do echo "$i" >"$dir/file$i"; done
	covey adopt -q -c "$GROUP/node3/covey.yaml"
	idle() { [ "$(curl -sf "${URLS[3]}/.covey/status" | jq .outbox)" = 0 ]; }
	wait_until 60 idle
	for i in 1 2; do min_free $i 900T; done
	spawn leave covey layout leave -c "$GROUP/node3/covey.yaml"
	wait_until 30 grep -q "waits for node .* node[12]: its disk is full" leave.log
	sleep 40		# until it has asked about all that it has, in vain
	[ "$(layout 3 .joint)" = true ]
	for i in 1 2; do min_free $i 1M; done
	wait_until 100 is_gone "$PID"
	wait "$PID"
	[ "$(grep -rh . "${STORES[1]}/tree" "${STORES[2]}/tree" | sort -un | wc -l)" -eq $count ]
}
