#!/usr/bin/env bats
# covey.yaml: every key refused on a wrong type with file and line, by every program that reads it.
load helpers

# A good file whose last line, the 5th, is to be judged.
conf_with() {
	printf '# a node\nnode:\n  store: %s/s\n  name: n\n%s\n' "$D" "$1" >"$D/c.yaml"
}

# refused LINE KEY TEXT...: covey-httpd -n says FILE:LINE: KEY: ... for each TEXT
refused() {
	local line=$1 key=$2 text
	shift 2
	for text in "$@"; do
		conf_with "$text"
		run covey-httpd -n -c "$D/c.yaml"
		echo "$text -> $status $output"
		[ "$status" -eq 100 ]
		[[ $output == *"$D/c.yaml:$line: $key"* ]]
	done
}

@test "covey-httpd -n accepts a node and listen alone, and starts nothing" {
	conf_with "listen: {http: $(port)}"
	run covey-httpd -n -c "$D/c.yaml"
	[ "$status" -eq 0 ]
	[ ! -e "$D/s" ]
	run curl -s -m 1 "http://127.0.0.1:$(port)/"
	[ "$status" -eq 7 ]
}

@test "every role checks with -n" {
	for role in covey-httpd covey-versiond covey-discoverd covey-syncd; do
		conf_with "group: {key_file: $D/key}"
		covey key new >"$D/key"
		chmod 600 "$D/key"
		run "$role" -n -c "$D/c.yaml"
		echo "$role $status $output"
		[ "$status" -eq 0 ]
		conf_with "colour: red"
		run "$role" -n -c "$D/c.yaml"
		[ "$status" -eq 100 ]
		[[ $output == *"$D/c.yaml:5: colour: no such key"* ]]
	done
}

@test "-n reads the key file: missing, without a key, too large, not a file" {
	conf_with "group: {key_file: $D/key}"
	for role in covey-httpd covey-versiond covey-discoverd covey-syncd; do
		rm -f "$D/key"
		run "$role" -n -c "$D/c.yaml"
		[ "$status" -eq 100 ]
		[[ $output == *"$D/key: No such file"* ]]
		echo 1234 >"$D/key"
		run "$role" -n -c "$D/c.yaml"
		[ "$status" -eq 100 ]
		[[ $output == *"$D/key: "*"64 hexadecimal digits"* ]]
		bytes 5000 >"$D/key"
		run "$role" -n -c "$D/c.yaml"
		[ "$status" -eq 100 ]
		[[ $output == *"$D/key: more than"* ]]
	done
	conf_with "group: {key_file: $D}"
	run covey-httpd -n -c "$D/c.yaml"
	[ "$status" -eq 100 ]
	[[ $output == *"$D: Is a directory"* ]]
}

# As a user whom permissions bind: root does without its capabilities.
bound() {
	if [ "$EUID" -eq 0 ]; then setpriv --bounding-set=-all --inh-caps=-all "$@"; else "$@"; fi
}

@test "what a role may not read is 100, as what is missing is" {
	need setpriv
	conf_with "group: {key_file: $D/key}"
	covey key new >"$D/key"
	chmod 0 "$D/key"
	for role in covey-httpd covey-versiond covey-discoverd covey-syncd; do
		run bound "$role" -n -c "$D/c.yaml"
		[ "$status" -eq 100 ]
		[[ $output == *"$D/key: Permission denied"* ]]
		run bound timeout 10 "$role" -c "$D/c.yaml"
		[ "$status" -eq 100 ]
		[[ $output == *"$D/key: Permission denied"* ]]
	done
	chmod 0 "$D/c.yaml"
	run bound covey-httpd -c "$D/c.yaml"
	[ "$status" -eq 100 ]
	[[ $output == *"$D/c.yaml: Permission denied"* ]]
}

@test "wrong types are refused with file and line: node" {
	refused 5 node.address "  address: example.org" "  address: [127.0.0.1]" "  address: 0.0.0.0" "  address:"
	refused 5 node.run "  run: {a: b}" "  run: ~"
	refused 5 node.store "  store: /other"
	refused 5 node.region "  region: a b" "  region: more-than-fifteen" "  region: [a]" "  region:"
	refused 5 node.weight "  weight: 0" "  weight: 17" "  weight: heavy" "  weight: [1]"
	refused 5 node.home "  home: perhaps" "  home: [no]" "  home: 1"
	sed -i 's/name: n/name: a b/' "$D/c.yaml"
	run covey-httpd -n -c "$D/c.yaml"
	[ "$status" -eq 100 ]
	[[ $output == *"$D/c.yaml:4: node.name: "* ]]
	printf 'node:\n  store: [a]\n' >"$D/c.yaml"
	run covey-httpd -n -c "$D/c.yaml"
	[[ $output == *"$D/c.yaml:2: node.store: "* ]]
	printf 'node:\n  name: a\n' >"$D/c.yaml"
	run covey-httpd -n -c "$D/c.yaml"
	[ "$status" -eq 100 ]
	[[ $output == *"node.store: must be given"* ]]
}

@test "wrong types are refused with file and line: listen" {
	for key in http discovery versions; do
		refused 5 "listen.$key" "listen: {$key: 0}" "listen: {$key: 70000}" "listen: {$key: x}" \
			"listen: {$key: 'localhost:80'}" "listen: {$key: '::1:80'}" "listen: {$key: [80, 0]}" \
			"listen: {$key: {a: b}}" "listen: {$key: -1}" "listen: {$key: '127.0.0.1:0'}"
	done
	refused 5 listen.discovery "listen: {discovery: [80]}"
	refused 5 listen.http "listen: {http: []}" "listen: {http: [[80]]}" "listen: {http: [1,2,3,4,5,6,7,8,9]}" \
		"listen: {http: [80, '127.0.0.1:80']}" "listen: {http: [80, '0.0.0.0:81']}"
	refused 5 listen.https "listen: {https: 80}" "listen: {https: []}" "listen: {https: 0}"
	refused 5 tls.certificate "tls: {certificate: []}" "tls: {certificate: {a: b}}" "tls: {certificate: ''}"
	refused 5 tls.key "tls: {certificate: a}" "tls: {key: a}" "tls: {certificate: [a, b], key: a}"
	refused 5 tls.client_ca "tls: {client_ca: [a]}"
	refused 5 limits.handshakes "limits: {handshakes: 0}"
	refused 5 listen.https "listen: {https: '0.0.0.0:80'}"$'\n'"tls: {certificate: a, key: b}"
	refused 5 listen.unix "listen: {unix: [a]}" "listen: {unix: /$(printf '%0120d' 0)}"
}

@test "wrong types are refused with file and line: group" {
	refused 5 group.seeds "group: {seeds: 'a:1'}" "group: {seeds: [a]}" "group: {seeds: ['a:0']}" \
		"group: {seeds: ['a b:1']}" "group: {seeds: [[a]]}" "group: {seeds: {a: 1}}" \
		"group: {seeds: ['http://a']}" "group: {seeds: ['http://a:1/x']}" "group: {seeds: ['https://a:1']}"
	refused 5 group.multicast "group: {multicast: yes}" "group: {multicast: '127.0.0.1:1'}" "group: {multicast: []}"
	refused 5 group.key_file "group: {key_file: [a]}" "group: {key_file: }"
}

@test "wrong types are refused with file and line: replication, keep" {
	for key in replication.homes replication.copies; do
		refused 5 "$key" "replication: {${key#*.}: 0}" "replication: {${key#*.}: 8}" "replication: {${key#*.}: all}" \
			"replication: {${key#*.}: [2]}"
	done
	refused 5 keep.versions "keep: {versions: 0}" "keep: {versions: 1000001}" "keep: {versions: all}" "keep: {versions: {a: 1}}"
	refused 5 keep.days "keep: {days: 36501}" "keep: {days: 1.5}" "keep: {days: -1}" "keep: {days: 1d}"
}

@test "wrong types are refused with file and line: timeouts, limits, access" {
	local key
	for key in timeouts.check timeouts.store timeouts.push timeouts.pull limits.header_timeout limits.idle_timeout limits.idle_exit; do
		refused 5 "$key" "${key%.*}: {${key#*.}: soon}" "${key%.*}: {${key#*.}: [1s]}" "${key%.*}: {${key#*.}: -1s}" \
			"${key%.*}: {${key#*.}: 1.5s}" "${key%.*}: {${key#*.}: 99999999999999999999}"
	done
	for key in max_body min_free; do
		refused 5 "limits.$key" "limits: {$key: much}" "limits: {$key: 1X}" "limits: {$key: [1]}" "limits: {$key: 99999999999T}"
	done
	refused 5 limits.per_source "limits: {per_source: -1}" "limits: {per_source: many}"
	refused 5 limits.min_rate "limits: {min_rate: fast}" "limits: {min_rate: 2G}"
	refused 5 limits.buffers "limits: {buffers: 0}" "limits: {buffers: [1M]}"
	refused 5 limits.prefer_wait "limits: {prefer_wait: 2h}" "limits: {prefer_wait: x}"
	refused 5 hosts "hosts: a" "hosts: ['a:80']" "hosts: ['*.a']" "hosts: {a: b}"
	refused 5 sites "sites: /www" "sites: [www]" "sites: [/a/../b]"
	refused 5 limits.connections "limits: {connections: 0}" "limits: {connections: many}" "limits: {connections: 1K}"
	refused 5 access "access: closed" "access: [open]" "access: {open: yes}" "access:"
}

@test "unknown keys, keys given twice and YAML that hides things are refused" {
	refused 5 "colour: no such key" "colour: red"
	refused 5 "node.colour: no such key" "  colour: red"
	refused 5 "node.name: given on line 4 already" "  name: m"
	refused 5 "node: given on line 2 already" "node: {name: m}"
	refused 5 "anchors" "access: &a open"
	refused 5 "aliases" "access: *a"
	refused 5 "tags" "access: !!str open"
	refused 5 "a second document" "---"
	refused 5 "not YAML" "	access: open"
}

@test "deep and huge files are refused at once" {
	python3 -c "print('x: ' + '[' * 100000)" >"$D/deep.yaml"
	run timeout 5 covey-httpd -n -c "$D/deep.yaml"
	[ "$status" -eq 100 ]
	head -c 100000000 /dev/zero | tr '\0' '#' >"$D/huge.yaml"
	run timeout 5 covey-httpd -n -c "$D/huge.yaml"
	[ "$status" -eq 100 ]
	[[ $output == *"huge.yaml"*"more than"* ]]
	run covey-httpd -n -c "$D"
	[ "$status" -eq 100 ]
	run covey-httpd -n -c "$D/none.yaml"
	[ "$status" -eq 100 ]
	[[ $output == *"none.yaml"* ]]
}

@test "listening beyond loopback needs access: open, and the refusal says so" {
	refused 5 "listen.http: 0.0.0.0:4720 " "listen: {http: '0.0.0.0:4720'}"
	refused 5 "listen.http: [::]:4720 " "listen: {http: '[::]:4720'}"
	refused 5 "listen.http: 192.0.2.7:4720 " "  address: 192.0.2.7"
	[[ $output == *'"access: open"'* ]]
	conf_with "access: open
listen: {http: '0.0.0.0:4720'}"
	run covey-httpd -n -c "$D/c.yaml"
	[ "$status" -eq 0 ]
}

@test "a run directory too long for sockets is told with its line" {
	refused 5 "node.run: " "  run: /$(printf 'r%.0s' {1..100})"
	[[ $output == *"too long for sockets"* ]]
}

@test "paths are taken from the file's directory" {
	mkdir -p "$D/etc" "$D/elsewhere"
	printf 'node: {store: ../data}\nlisten: {http: %s}\n' "$(port)" >"$D/etc/c.yaml"
	cd "$D/elsewhere"
	spawn relative covey-httpd -c ../etc/c.yaml
	wait_until 10 ready "http://127.0.0.1:$(port)"
	[ -d "$D/data/tree" ]
	stop "$PID"
}

@test "covey up -c refuses a bad file with status 78 and the same words" {
	conf_with "colour: red"
	run covey up -c "$D/c.yaml"
	[ "$status" -eq 78 ]
	[[ $output == *"$D/c.yaml:5: colour: no such key"* ]]
}

# adopts NAME ARG...: systemd-socket-activate with ARGs hands its socket to covey-httpd -c $CONF
adopts() {
	local name=$1
	shift
	spawn "$name" "${ACTIVATE[@]}" "$@" covey-httpd -c "$CONF"
	wait_until 5 grep -q "Listening on" "$name.log"
	curl -s -m 5 -o /dev/null "http://127.0.0.1:$(port)/" || :
	echo x 2>/dev/null >"/dev/udp/127.0.0.1/$(port)" || :
}

refused_adoption() {
	wait_until 10 grep -q 'adopt socket "' "$1.log"
	wait_until 10 gone "$PID"
	wait "$PID" || status=$?
	[ "$status" -eq 100 ]
	grep -q "$2" "$1.log"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

@test "a socket that is handed over is compared with listen and access" {
	need systemd-socket-activate
	node_conf n "$(port)"
	adopts wide -l "0.0.0.0:$(port)" --fdname=http
	refused_adoption wide 'listen.http says'
	adopts name -l "127.0.0.1:$(port)" --fdname=web
	refused_adoption name '"web"'
	adopts udp -d -l "127.0.0.1:$(port)" --fdname=http
	refused_adoption udp 'not a listening TCP socket'
	sed -i "s/http: .*/http: $(port 1)/" "$CONF"
	adopts port -l "127.0.0.1:$(port)" --fdname=http
	refused_adoption port 'listen.http says'
	sed -i "s/http: .*/http: '0.0.0.0:$(port)'/; \$a access: open" "$CONF"
	adopts open -l "0.0.0.0:$(port)" --fdname=http
	wait_until 10 ready "http://127.0.0.1:$(port)"
}

@test "several listeners: each is compared, and all are opened, or none that a supervisor does not know" {
	need systemd-socket-activate
	node_conf n "$(port)"
	sed -i "s/http: .*/http: [$(port), $(port 1)]\n  unix: http.sock/" "$CONF"
	# Without a supervisor it opens all three.
	spawn own covey-httpd -c "$CONF"
	for at in "http://127.0.0.1:$(port)" "http://127.0.0.1:$(port 1)"; do
		wait_until 10 ready "$at"
	done
	echo x | curl -sf --unix-socket "${CONF%/*}/http.sock" -T - http://localhost/f
	[ "$(curl -sf "http://127.0.0.1:$(port 1)/f")" = x ]
	[ "$(stat -c %a "${CONF%/*}/http.sock")" = 660 ]
	stop "$PID"
	adopts one -l "127.0.0.1:$(port)" --fdname=http
	refused_adoption one "none is at 127.0.0.1:$(port 1)"
	adopts twice -l "127.0.0.1:$(port)" -l "127.0.0.1:$(port 1)" --fdname=http:http
	refused_adoption twice "none is at .*/http.sock"
	adopts all -l "127.0.0.1:$(port)" -l "127.0.0.1:$(port 1)" -l "${CONF%/*}/http.sock" --fdname=http:http:http-unix
	wait_until 10 ready "http://127.0.0.1:$(port 1)"
	[ "$(curl -sf --unix-socket "${CONF%/*}/http.sock" http://localhost/f)" = x ]
	stop "$PID"
	sed -i '/unix:/d' "$CONF"
	adopts unwanted -l "127.0.0.1:$(port)" -l "127.0.0.1:$(port 1)" -l "${CONF%/*}/http.sock" --fdname=http:http:http-unix
	refused_adoption unwanted 'no listen.unix'
}

@test "IPv6: PORT goes to node.address, and [ADDRESS]:PORT as it says" {
	printf 'node: {store: s, address: "::1"}\nlisten: {http: %s}\n' "$(port)" >c.yaml
	spawn v6 covey up -c c.yaml
	wait_until 10 ready "http://[::1]:$(port)"
	grep -q "curl.*http://\[::1\]:$(port)/" v6.log
	stop "$PID"
	printf 'node: {store: s}\nlisten: {http: "[::1]:%s"}\n' "$(port 1)" >c.yaml
	spawn v6b covey-httpd -c c.yaml
	wait_until 10 ready "http://[::1]:$(port 1)"
	echo x | covey put -q --node "http://[::1]:$(port 1)" - f
	[ "$(covey get --node "[::1]:$(port 1)" f)" = x ]
	stop "$PID"
}
