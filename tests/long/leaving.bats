#!/usr/bin/env bats
# A member that leaves has told all that it has, however long its keepers could not be asked.
load ../helpers

# on H PAGE: of host H's own node
on() { hosts exec "$1" curl -sf -m 5 "http://10.79.0.$1:4720/.covey/$2"; }
hosts_settled() {
	local h seen=
	for h in 1 2 3; do seen+=$(on $h layout | settled_line)$'\n'; done
	is_settled 3 <<<"$seen"
}

@test "a member that leaves begins anew when it could not ask about all that it has" {
	local dir h i count=1500
	need hosts
	hosts up 3
	covey key new >"$D/group.key"
	for h in 1 2 3; do
		host_conf $h 10.79.0.1:4721 10.79.0.2:4721
		echo 'replication: {copies: 1}' >>"$D/h$h/covey.yaml"
		spawn_on $h "h$h" covey up -c "$D/h$h/covey.yaml"
	done
	wait_until 30 hosts_settled
	# paths so long that half a thousand of them are what is remembered
	dir=$D/h3/store/tree/$(printf '%0200d/%0200d/%0200d/%0200d' 1 2 3 4)
	mkdir -p "$dir"
	for ((i = 0; i < count; i++)); do echo "$i" >"$dir/file$i"; done
	hosts exec 3 covey adopt -q -c "$D/h3/covey.yaml"
	idle() { [ "$(on 3 metrics | sed -n 's/^covey_outbox_entries //p')" = 0 ]; }
	wait_until 30 idle
	hosts exec 3 ip rule add pref 1 ipproto tcp dport 4720 prohibit
	spawn_on 3 leave covey layout leave -c "$D/h3/covey.yaml"
	wait_until 30 grep -q "waits for node .* h[12]: it does not answer" leave.log
	sleep 20			# for it to look for all that it has
	hosts exec 3 ip rule del pref 1
	wait "$PID"
	[ "$(grep -rh . h1/store/tree h2/store/tree | sort -un | wc -l)" -eq $count ]
}
