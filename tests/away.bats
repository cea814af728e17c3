# What covey-httpd answers when another role is away, and how it leaves itself.
load helpers

@test "covey-versiond stopped: answers come from the disk, marked" {
	group 3
	echo one >one
	[ "$(code -T one "${URLS[1]}/f")" = 201 ]
	[ "$(code "${URLS[2]}/f")" = 200 ]
	wait_until 5 cmp one "${STORES[2]}/tree/f"
	kill -STOP "$(role_pid 2 covey-versiond)"

	[ "$(code "${URLS[2]}/f")" = 200 ]
	[ "$(header Version-State)" = "unconfirmed; peers=0/2" ]
	cmp one "$D/body"
	[ "$(code -T one "${URLS[2]}/g")" = 202 ]
	[[ $(header Version-State) =~ ^unconfirmed\;\ homes=[01]/3\;\ copies=[12]$ ]]
	run covey put -q --node "${URLS[2]}" one g
	[ "$status" -eq 75 ]
	[[ $output == *"not confirmed by the group yet (202; unconfirmed; homes="* ]]
	covey put -q --async --node "${URLS[2]}" one g
	[ "$(code "${URLS[2]}/nothing")" = 404 ]
	[ "$(header Version-State)" = "unconfirmed; peers=0/2" ]
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[2]}/f")" = 504 ]

	kill -CONT "$(role_pid 2 covey-versiond)"
	wait_until 10 eval '[ "$(code "${URLS[1]}/g")" = 200 ] && [ "$(header Version-State)" = confirmed ]'
	wait_until 5 eval '[ "$(code "${URLS[2]}/f")" = 200 ] && [ "$(header Version-State)" = confirmed ]'
}

@test "covey-syncd stopped: an older version, or 503; never a hang" {
	group 2 'replication: {copies: 1}'
	echo old >old
	echo newer >newer
	[ "$(code -T old "${URLS[2]}/f")" = 201 ]
	[ "$(code -T newer "${URLS[1]}/f")" = 204 ]
	[ "$(code -T newer "${URLS[1]}/only")" = 201 ]
	[ "$(code "${URLS[2]}/")" = 200 ]	# covey-syncd runs by now
	kill -STOP "$(role_pid 2 covey-syncd)"

	[ "$(code "${URLS[2]}/f")" = 200 ]
	cmp old "$D/body"
	[ "$(header Cache-Status)" = '"node2"; hit; detail="older"' ]
	[[ $(header Version-State) == unconfirmed* ]]
	[ "$(code "${URLS[2]}/only")" = 503 ]
	[ "$(code "${URLS[2]}/?format=text")" = 200 ]
	[[ $(header Version-State) == unconfirmed* ]]
	[ "$(cut -f 1 "$D/body" | xargs)" = "f only" ]	# this node is a home: it knows all names

	kill -CONT "$(role_pid 2 covey-syncd)"
	wait_until 5 eval '[ "$(code "${URLS[2]}/f")" = 200 ] && cmp newer "$D/body"'
	[ "$(code "${URLS[2]}/only")" = 200 ]
}

@test "covey-versiond and covey-syncd killed again and again: requests are answered" {
	group 2
	echo text >text
	for i in 1 2 3 4 5; do
		[[ $(code -T text "${URLS[1]}/f$i") == 20[12] ]]
		kill -9 "$(role_pid 2 covey-versiond)" || true
		[[ $(code "${URLS[2]}/f$i") =~ ^(200|404)$ ]]
		kill -9 "$(role_pid 2 covey-syncd)" || true
		[[ $(code "${URLS[2]}/f$i") =~ ^(200|404|503)$ ]]
	done
	for i in 1 2 3 4 5; do
		wait_until 10 eval '[ "$(code "${URLS[2]}/f'$i'")" = 200 ]'
		cmp text "$D/body"
		wait_until 10 eval '[ "$(code -H "Cache-Control: no-cache" "${URLS[2]}/f'$i'")" = 200 ]'
	done
}

@test "covey-discoverd gone: the status page still names the members" {
	group 2
	kill -STOP "$(role_pid 2 covey-discoverd)"
	[ "$(code "${URLS[2]}/.covey/status")" = 200 ]
	[ "$(jq -r '.group.peers | length' "$D/body")" = 1 ]
	[ "$(jq -r '.group.peers[0].name' "$D/body")" = node1 ]
	kill -CONT "$(role_pid 2 covey-discoverd)"
}

@test "a key and no group founded yet: nothing is confirmed; then a group of one confirms" {
	covey key new >secret
	# covey-httpd alone: no covey-discoverd founds or joins a group.
	httpd alone $'group:\n  key_file: '"$D/secret"
	echo text >text
	[ "$(code -T text "$URL/f")" = 202 ]
	[ "$(header Version-State)" = "unconfirmed; peers=0/0" ]
	[ "$(code "$URL/f")" = 200 ]
	[ "$(header Version-State)" = "unconfirmed; peers=0/0" ]
	[ "$(code -H 'Cache-Control: no-cache' "$URL/f")" = 504 ]
	stop "$PID"
	sed -i "s/^listen:/&\n  discovery: $(port 71)\n  versions: $(port 72)/" "$CONF"
	spawn up covey up -c "$CONF"
	wait_until 10 eval '[ "$(curl -sf "$URL/.covey/layout" | jq .epoch)" = 1 ]'
	[ "$(code -H 'Cache-Control: no-cache' "$URL/f")" = 200 ]
	[ "$(header Version-State)" = confirmed ]
	[ "$(code -T text "$URL/f")" = 204 ]
	[ "$(header Version-State)" = confirmed ]
	[ "$(code -H 'If-Match: "x"' -T text "$URL/f")" = 412 ]
	tag=$(curl -sfI "$URL/f" | sed -n 's/^ETag: \(.*\)\r$/\1/p')
	[ "$(code -H "If-Match: $tag" -T text "$URL/f")" = 204 ]
	[ "$(code -X DELETE "$URL/f")" = 204 ]
}

@test "SIGTERM: what is under way is finished, then it leaves with 0" {
	httpd one
	bytes 30000000 >big
	[ "$(code -T big "$URL/big")" = 201 ]
	spawn get curl -s --limit-rate 15M -o "$D/got" "$URL/big"
	get=$PID
	spawn put curl -s --limit-rate 15M -T big -o "$D/answer" -w '%{http_code}' "$URL/other"
	put=$PID
	httpd_pid=$(pgrep -f "covey-httpd -c $CONF")
	wait_until 10 test -s got
	wait_until 10 bash -c "ls -l /proc/$httpd_pid/fd | grep -q deleted"	# the upload's stage
	kill "$httpd_pid"
	wait "$get"
	cmp big got
	wait "$put"
	[ "$(cat put.log)" = 201 ]
	wait_until 5 eval '! pgrep -f "covey-httpd -c $CONF"'
	cmp big "$STORE/tree/other"
}

@test "an adopted covey-httpd leaves when idle, with 0, and not before" {
	need systemd-socket-activate
	node_conf idle "$(port 5)" $'limits:\n  idle_exit: 1s\n  idle_timeout: 100s'
	spawn idle "${ACTIVATE[@]}" -l "127.0.0.1:$(port 5)" --fdname=http \
		"$COVEY_BIN/covey-httpd" -c "$CONF"
	pid=$PID
	wait_until 5 grep -q '^Listening' idle.log
	# Its first connection, which starts it: after another it might have left before this one comes.
	spawn held python3 -c 'import socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
time.sleep(6)		# longer than one that is to stop would wait for it
s.sendall(b"GET /.covey/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
print(s.recv(100).split(b"\r\n")[0].decode())' "$(port 5)"
	wait "$PID"
	[ "$(cat held.log)" = "HTTP/1.1 200 OK" ]
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 0 ]
}

@test "a socket of another address, name or kind than configured is refused with 100" {
	need systemd-socket-activate
	node_conf x "$(port 6)"
	refused() {
		local pid status=0 wake=$1
		shift
		spawn x "${ACTIVATE[@]}" "$@" "$COVEY_BIN/covey-httpd" -c "$CONF"
		pid=$PID
		wait_until 5 eval "$wake"
		wait "$pid" || status=$?
		[ "$status" -eq 100 ]
	}
	refused ": >/dev/tcp/127.0.0.1/$(port 7)" -l "127.0.0.1:$(port 7)" --fdname=http
	refused ": >/dev/tcp/127.0.0.1/$(port 6)" -l "127.0.0.1:$(port 6)" --fdname=web
	refused "ss -Huln 'sport = :$(port 6)' | grep . && echo x >/dev/udp/127.0.0.1/$(port 6)" -d -l "127.0.0.1:$(port 6)" --fdname=http
	grep -q "listen.http says" x.log
	grep -q "none of that name" x.log
	grep -q "not a listening TCP socket" x.log
}

@test "wrong usage is 64, a wrong configuration 100, a port in use 111" {
	run covey-httpd --what
	[ "$status" -eq 64 ]
	run covey-httpd -c "$D/none.yaml"
	[ "$status" -eq 100 ]
	httpd first
	node_conf second "${URL##*:}"
	run covey-httpd -n -c "$CONF"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	run timeout 10 covey-httpd -c "$CONF"
	[ "$status" -eq 111 ]
	[[ $output == *"bind 127.0.0.1:"* ]]
}

@test "all peers stopped: an index and a history wait for them, and are answered from this disk, marked" {
	group 2
	echo one >one
	[ "$(code -T one "${URLS[2]}/f")" = 201 ]
	[ "$(code "${URLS[2]}/?format=text")" = 200 ]	# all roles run by now
	for role in covey-httpd covey-versiond covey-discoverd; do
		kill -STOP "$(role_pid 1 $role)"
	done
	for target in '?format=text' f f?versions; do
		[ "$(code "${URLS[2]}/$target")" = 200 ]
		[ "$(header Version-State)" = "unconfirmed; peers=0/1" ]
	done
	for role in covey-httpd covey-versiond covey-discoverd; do
		kill -CONT "$(role_pid 1 $role)"
	done
}

@test "limits.connections: who is silent makes room for others, and who comes beyond it is served in the end" {
	httpd few $'limits:\n  connections: 4\n  idle_timeout: 2s'
	echo text >text
	[ "$(code -T text "$URL/f")" = 201 ]
	clients=()
	spawn holds python3 -c 'import socket, sys, time
held = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(10)]
time.sleep(30)' "${URL##*:}"
	for i in $(seq 20); do
		curl -sf --retry 50 --retry-max-time 60 -m 25 -o "$D/got$i" "$URL/f" &
		clients+=($!)
	done
	wait "${clients[@]}"
	for i in $(seq 20); do cmp text "got$i"; done
	[ "$(code "$URL/.covey/healthz")" = 200 ]
}

is_gone() { ! kill -0 "$1"; }

# end_role I ROLE: the next one reads its configuration anew
end_role() {
	local was
	was=$(role_pid "$1" "$2")
	kill "$was"
	wait_until 20 is_gone "$was"
}

@test "covey layout leave says whom it waits for, and join undoes it" {
	local i
	group 3
	for i in 1 2 3 4 5 6 7 8; do
		[ "$(code -T - "${URLS[2]}/f$i" <<<"$i")" -eq 201 ]
	done
	for i in 1 3; do
		printf 'limits:\n  min_free: 900T\n' >>"$GROUP/node$i/covey.yaml"
		end_role $i covey-syncd
	done
	spawn leave covey layout leave -c "$GROUP/node2/covey.yaml"
	wait_until 30 grep -q "waits for node [0-9a-f]* node[13]: its disk is full" "$D/leave.log"
	[ "$(layout 2 .joint)" = true ]
	run covey layout join -c "$GROUP/node2/covey.yaml"
	[ "$status" -eq 0 ]
	wait_until 20 settled
	wait_until 5 grep -q "taken back" "$D/leave.log"
}
