#!/usr/bin/env bats
# https as clients see it: curl, openssl s_client, nginx, and clients that mean no good (tests/tls-clients).
load helpers

# certificate NAME COMMON-NAME NAMES [OPTION...]: NAME.crt and NAME.key in $D
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 60 -subj "/CN=$2" \
		-addext "subjectAltName=$3" -keyout "$D/$1.key" -out "$D/$1.crt" "${@:4}" 2>/dev/null
	chmod 600 "$D/$1.key"
}

# signed NAME COMMON-NAME: by ca
signed() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout "$D/$1.key" \
		-out "$D/$1.csr" 2>/dev/null
	openssl x509 -req -in "$D/$1.csr" -CA "$D/ca.crt" -CAkey "$D/ca.key" -CAcreateserial -days 5 -out "$D/$1.crt" \
		2>/dev/null
}

LOCAL=DNS:localhost,IP:127.0.0.1

# https NAME [YAML [TLS]]: a node with it, by a.crt, at $S; TLS: more lines of tls
https() {
	SECURE=$(port $((${_next_port:-90} - 40)))
	[ -e "$D/a.crt" ] || certificate a localhost "$LOCAL"
	httpd "$1" "  https: $SECURE
tls:
  certificate: [ $D/a.crt${CERTIFICATES:-} ]
  key: [ $D/a.key${KEYS:-} ]
${3-}
${2-}"
	S=https://127.0.0.1:$SECURE
	export CURL_CA_BUNDLE=$D/a.crt
}

# s_client ARG...: what it says, without the connection staying
s_client() { openssl s_client -connect "127.0.0.1:$SECURE" "$@" </dev/null 2>&1; }
subject() { s_client "$@" | sed -n 's/^subject=CN = //p'; }
clients() { "$TOP/tests/tls-clients" "$1" "$SECURE" "${@:2}"; }
handshakes() { curl -sf "$URL/.covey/metrics" | sed -n "s/^covey_tls_handshakes_total{result=\"$1\"} //p"; }
connections() { curl -sf "$URL/.covey/metrics" | sed -n 's/^covey_connections //p'; }
alone() { [ "$(connections)" -eq 1 ]; }

@test "TLS 1.2 and 1.3 are spoken, older ones are not, and of HTTP only 1.1" {
	https n
	echo hello >f
	[ "$(code -T f "$S/f")" = 201 ]
	for version in 1.2 1.3; do
		[ "$(curl -sf --tlsv$version --tls-max $version "$S/f")" = hello ]
	done
	run s_client -tls1_1 -cipher DEFAULT@SECLEVEL=0
	[ "$status" -eq 1 ]
	[[ $output == *"alert protocol version"* ]]
	run s_client -tls1_2 -cipher AES128-SHA256
	[ "$status" -eq 1 ]
	[[ $output == *"handshake failure"* ]]
	s_client -alpn h2,http/1.1 | grep -q '^ALPN protocol: http/1.1$'
	run s_client -alpn h2
	[[ $output == *"no application protocol"* ]]
	[ "$(curl -sf --http1.0 "$S/f")" = hello ]
	[ "$(curl -sf --http2 "$S/f")" = hello ]
}

@test "the name that a client asks for chooses the certificate" {
	certificate b b.example.org 'DNS:b.example.org,DNS:*.b.example.org'
	CERTIFICATES=", $D/b.crt" KEYS=", $D/b.key" https n 'hosts: [ www.b.example.org ]'
	[ "$(subject -servername b.example.org)" = b.example.org ]
	[ "$(subject -servername x.B.example.org)" = b.example.org ]
	[ "$(subject -servername x.y.b.example.org)" = localhost ]
	[ "$(subject -servername localhost)" = localhost ]
	[ "$(subject -noservername)" = localhost ]
	echo x | curl -sfT - "$URL/f"
	[ "$(curl -sf --cacert b.crt --resolve "www.b.example.org:$SECURE:127.0.0.1" "https://www.b.example.org:$SECURE/f")" = x ]
	run curl -s --cacert b.crt "$S/f"
	[ "$status" -eq 60 ]
}

@test "large files go both ways, whole and in parts, and connections are kept" {
	https n
	bytes 50000000 >big
	[ "$(code -T big "$S/big")" = 201 ]
	cmp big "$STORE/tree/big"
	curl -sf "$S/big" | cmp - big
	[ "$(code "$S/big" -r 12345678-43210987)" = 206 ]
	cmp body <(tail -c +12345679 big | head -c 30865310)
	curl -sf "$S/big" -r -1000 | cmp - <(tail -c 1000 big)
	curl -sfI "$S/big" | grep -qi '^content-length: 50000000'
	# in chunks, with 100 Continue, and by HTTP/1.0
	[ "$(code -T - "$S/chunked" <big)" = 201 ]
	[ "$(code -T big -H 'Expect: 100-continue' "$S/continued")" = 201 ]
	grep -q '^HTTP/1.1 100 ' headers
	cmp big "$STORE/tree/chunked"
	cmp big "$STORE/tree/continued"
	curl -sf0 "$S/big" | cmp - big
	# several on one connection, small and large
	bytes 5000 >small
	curl -sfT small "$S/small"
	run curl -sf "$S/small" -o 1 -w '%{num_connects}\n' --next -sf "$S/big" -o 2 -w '%{num_connects}\n' \
		--next -sfT small "$S/again" -w '%{num_connects}\n' --next -sf "$S/again" -o 3 -w '%{num_connects}\n'
	[ "$output" = $'1\n0\n0\n0' ]
	cmp 1 small
	cmp 2 big
	cmp 3 small
	# by TLS 1.2, too
	curl -sf --tls-max 1.2 "$S/big" | cmp - big
	[ "$(code --tls-max 1.2 -T big "$S/12")" = 201 ]
	cmp big "$STORE/tree/12"
}

@test "requests that follow each other without waiting are all answered, in order" {
	https n
	for i in 1 2 3; do echo "content $i" | curl -sfT - "$S/$i"; done
	for i in 1 2 3 1 2 3; do printf 'GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n' $i; done >asked
	printf 'PUT /4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nfour\nGET /4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >>asked
	openssl s_client -quiet -no_ign_eof -connect "127.0.0.1:$SECURE" <asked >got 2>/dev/null || :
	openssl s_client -quiet -connect "127.0.0.1:$SECURE" <asked >got 2>/dev/null
	[ "$(grep -ac '^HTTP/1.1 20[0-9] ' got)" -eq 8 ]
	[ "$(grep -a '^content\|^four' got | tr '\n' ' ')" = "content 1 content 2 content 3 content 1 content 2 content 3 four " ]
}

@test "a session is resumed, also after the certificates were read again" {
	https n
	for version in tls1_2 tls1_3; do
		(printf 'GET /.covey/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'; nap 1) |
			openssl s_client -$version -ign_eof -connect "127.0.0.1:$SECURE" -sess_out "$version" >said 2>&1
		grep -q '^New, ' said
		s_client -$version -sess_in $version | grep -q '^Reused, '
	done
	before=$(subject)
	certificate a again "$LOCAL"
	wait_until 20 shows again
	[ "$before" = localhost ]
	for version in tls1_2 tls1_3; do
		s_client -$version -sess_in $version | grep -q '^Reused, '
	done
	[ "$(handshakes resumed)" -ge 4 ]
}
shows() { [ "$(subject)" = "$1" ]; }

@test "what speaks no TLS is told so in clear" {
	https n
	[ "$(code "http://127.0.0.1:$SECURE/f")" = 400 ]
	grep -q 'https' body
	[ "$(header Connection)" = close ]
	[ "$(header Content-Type)" = 'text/plain; charset=utf-8' ]
	echo x >f
	[ "$(code -T f "http://127.0.0.1:$SECURE/f")" = 400 ]
	[ "$(code -X PROPFIND "http://127.0.0.1:$SECURE/f")" = 400 ]
	[ "$(code "$S/f")" = 404 ]
	wait_until 10 alone
}

@test "certificates are read again under load, and no request fails" {
	https n
	bytes 300000 >f
	curl -sfT f "$S/f"
	certificate b second "$LOCAL"
	cat a.crt b.crt >both.crt
	ask() {
		local i=0
		while [ ! -e enough ]; do
			curl -sf --cacert both.crt "$S/f" | cmp - f || { touch failed; return 1; }
			i=$((i + 1))
		done
		echo $i >"asked.$1"
	}
	ask 1 &
	local asking=($!)
	ask 2 &
	asking+=($!)
	# A connection from before stays, whatever comes.
	coproc OLD { openssl s_client -quiet -connect "127.0.0.1:$SECURE" 2>/dev/null; }
	printf 'GET /.covey/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"${OLD[1]}"
	read -rt 10 line <&"${OLD[0]}"
	[[ $line == 'HTTP/1.1 200 '* ]]
	# The certificate is there before its key: what was before counts until both are.
	cp b.crt a.crt
	wait_until 20 grep -q 'key values mismatch.*stay in use' n.log
	[ "$(subject)" = localhost ]
	[ "$(curl -sf "$URL/.covey/status" | jq .https.stale)" = true ]
	cp b.key a.key
	wait_until 20 shows second
	[ "$(curl -sf "$URL/.covey/status" | jq .https.stale)" = false ]
	grep -q 'were read again' n.log
	: >a.crt
	wait_until 20 grep -q 'no start line.*stay in use' n.log
	[ "$(subject)" = second ]
	printf 'GET /f HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&"${OLD[1]}"
	cat <&"${OLD[0]}" >old
	tail -c 300000 old | cmp - f
	touch enough
	wait "${asking[@]}"
	[ ! -e failed ]
	[ "$(cat asked.1)" -ge 2 ]
	[ "$(cat asked.2)" -ge 2 ]
	[ "$(grep -c 'stay in use' n.log)" -eq 2 ]
}

@test "a certificate that expires soon is told of once, and status and metrics say when" {
	certificate a localhost "$LOCAL" -days 3
	https n
	grep -q 'expires in [23] days' n.log
	for i in 1 2 3; do curl -sf "$S/.covey/healthz"; done
	[ "$(grep -c 'expires in' n.log)" -eq 1 ]
	want=$(date -d "$(openssl x509 -enddate -noout -in a.crt | cut -d = -f 2)" +%s)
	[ "$(curl -sf "$URL/.covey/status" | jq .https.expires)" = "$want" ]
	curl -sf "$URL/.covey/metrics" | grep -qx "covey_tls_certificate_expires_seconds $want"
}

@test "handshakes are bounded in number: 300 silent connections, and another client is served" {
	https n
	run clients silent 300 curl -sf "$S/.covey/healthz"
	[ "$status" -eq 0 ]
	[[ $output =~ ^'0 alive '([0-9]+)$ ]]
	[ "${BASH_REMATCH[1]}" -ge 40 ]
	[ "$(handshakes dropped)" -ge 40 ]
	wait_until 20 alone
	stop "$PID"
	[ "$STOPPED" -eq 0 ]
}

@test "handshakes are bounded in time, and a record that never becomes whole keeps no connection" {
	https n "limits: { header_timeout: 1s, idle_timeout: 1s }"
	run clients silent 3 bash -c "until [ \"\$(curl -sf $URL/.covey/metrics | sed -n 's/^covey_connections //p')\" -eq 1 ]; do :; done"
	[ "$output" = '0  3' ]
	[ "$(handshakes dropped)" -eq 3 ]
	[ "$(clients drip)" = closed ]
	wait_until 10 alone
}

@test "nonsense and resets instead of a handshake harm nobody" {
	https n
	[ "$(clients nonsense)" = True ]
	[ "$(clients resets 60)" = gone ]
	wait_until 20 alone
	[ "$(code "$S/.covey/healthz")" = 200 ]
	run s_client -tls1_2
	[[ $output == *"Secure Renegotiation IS supported"* ]]
	# R asks for another handshake: the client is not given one.
	run bash -c "(echo R; read -rt 2 <> <(:)) | openssl s_client -tls1_2 -connect 127.0.0.1:$SECURE 2>&1"
	[[ $output == *"no renegotiation"* ]]
	[ "$(code "$S/.covey/healthz")" = 200 ]
}

@test "an upload that is cut off makes no file, whether TLS says that it ends or not" {
	https n
	for how in length length-announced chunked chunked-announced; do
		[ "$(clients cut "/$how" $how)" = gone ]
	done
	wait_until 20 alone
	for how in length length-announced chunked chunked-announced; do
		[ "$(code "$S/$how")" = 404 ]
	done
	[ -z "$(find "$STORE/tree" -type f)" ]
}

@test "a slow reader gets all, one that leaves frees its connection, and half a connection is answered" {
	https n
	bytes 3000000 >f
	curl -sfT f "$S/f"
	[ "$(clients slow /f 500)" = "$(sha f) announced" ]
	[ "$(clients half_close /.covey/status)" = True ]
	run curl -s -m 20 "$S/f" -o /dev/null --max-filesize 1000
	[ "$status" -ne 0 ]
	for i in 1 2 3 4 5; do curl -s "$S/f" | head -c 10 >/dev/null; done
	wait_until 20 alone
}

@test "a client that is gone is not waited for" {
	https n
	bytes 5000000 >f
	curl -sfT f "$S/f"
	for version in 1.2 1.3; do
		spawn "c$version" curl -s --tls-max $version --limit-rate 1k "$S/f" -o got
		wait_until 10 test -s got
		kill -KILL "$PID"
		rm -f got
	done
	wait_until 20 alone
}

@test "an answer that is cut off does not say that it is whole" {
	https n
	bytes 30000000 >f
	curl -sfT f "$S/f"
	[[ $(clients shorter /f "$STORE/tree/f") == @(cut|reset) ]]
}

@test "many connections at once, and many that rest" {
	https n
	bytes 100000 >f
	curl -sfT f "$S/f"
	for i in {1..100}; do printf 'url = "%s/f?%s"\noutput = "out.%s"\n' "$S" "" "$i"; done | sed 's/?"/"/' >config
	curl -sf --parallel --parallel-immediate --parallel-max 100 -K config
	for i in {1..100}; do cmp f "out.$i"; done
	run clients idle 200 true
	[ "$output" = "0  200" ]
}

@test "clients may show a certificate that client_ca has signed, and no other" {
	certificate ca authority DNS:authority -addext basicConstraints=critical,CA:TRUE
	signed jo 'Jo Doe'
	certificate stranger 'Jo Doe' DNS:x
	https n '' "  client_ca: $D/ca.crt"
	for version in 1.2 1.3; do
		[ "$(code --tls-max $version "$S/f")" = 404 ]
		[ "$(code --tls-max $version --cert jo.crt --key jo.key "$S/f")" = 404 ]
		run curl -s --tls-max $version --cert stranger.crt --key stranger.key "$S/f"
		[ "$status" -ne 0 ]
	done
	[ "$(handshakes failed)" -eq 2 ]
	s_client | grep -q 'CN = authority'
}

@test "a node with a key cannot be looked into by others of its user" {
	[ "$(id -u)" = 0 ] || skip "NOT RUN: changing the user needs root"
	need setpriv
	certificate a localhost "$LOCAL"
	# The directories of the tests may be below one that is root's alone.
	home=$(mktemp -d /tmp/covey-tls.XXXXXX)
	cp a.crt a.key "$home"
	printf 'node: { store: store }\nlisten: { http: %s, https: %s }\ntls: { certificate: a.crt, key: a.key }\n' \
		"$(port 1)" "$(port 2)" >"$home/covey.yaml"
	# A sanitized one stays open to its checker of leaks.
	cp "$(released)/covey-httpd" "$home"
	chown -R 65534:65534 "$home"
	owner() { stat -c %u "/proc/$PID/environ"; }
	spawn n setpriv --reuid=65534 --regid=65534 --clear-groups "$home/covey-httpd" -c "$home/covey.yaml"
	wait_until 20 ready "http://127.0.0.1:$(port 1)"
	[ "$(owner)" = 0 ]
	stop "$PID"
	sed -i 's/, https: [0-9]*//; /^tls/d' "$home/covey.yaml"
	spawn n setpriv --reuid=65534 --regid=65534 --clear-groups "$home/covey-httpd" -c "$home/covey.yaml"
	wait_until 20 ready "http://127.0.0.1:$(port 1)"
	[ "$(owner)" = 65534 ]
	stop "$PID"
	rm -rf "$home"
}

@test "what cannot be used is said by -n and at the start; a key that others can read is told of" {
	node_conf n "$(port 1)" "  https: $(port 2)
tls: { certificate: $D/a.crt, key: $D/a.key }"
	check() {
		run covey-httpd -n -c "$CONF"
		[ "$status" -eq 100 ]
		[[ $output == *"$1"* ]]
		run timeout 20 covey-httpd -c "$CONF"
		[ "$status" -eq 100 ]
		[[ $output == *"$1"* ]]
	}
	check "$D/a.crt: "
	certificate a localhost "$LOCAL"
	certificate b localhost "$LOCAL"
	cp b.key a.key
	check "$D/a.key: key values mismatch"
	certificate a localhost "$LOCAL"
	run covey-httpd -n -c "$CONF"
	[ "$status" -eq 0 ]
	chmod 644 a.key
	spawn n covey-httpd -c "$CONF"
	wait_until 20 ready "$URL"
	grep -q "may read the certificate's key: say chmod o= $D/a.key" n.log
	[[ $(curl -sf "$URL/.covey/status" | jq -r .https.key) == *"chmod o= $D/a.key" ]]
	chmod 600 a.key
	[ "$(curl -sf "$URL/.covey/status" | jq .https.key)" = null ]
}

@test "covey's commands ask by https, by --cacert or COVEY_CACERT" {
	https n
	unset CURL_CA_BUNDLE
	bytes 100000 >f
	run covey put --node "$S" f f
	[ "$status" -eq 69 ]
	[[ $output == *certificate*--cacert* ]]
	covey put -q --node "$S" --cacert a.crt f f
	export COVEY_NODE=$S COVEY_CACERT=$D/a.crt
	covey get f | cmp - f
	[ "$(covey ls)" = f ]
	[ "$(covey status --json | jq .https.stale)" = false ]
	run covey ls --cacert missing.crt
	[ "$status" -ne 0 ]
}

@test "a group of three serves https, each by the sockets that it is handed" {
	certificate a localhost "$LOCAL"
	group_conf 3 'timeouts: { check: 5s, store: 30s, push: 10s, pull: 10s }'
	for i in 1 2 3; do
		sed -i "s|^  http: .*|&\n  https: $(port $((50 + i)))|" "group/node$i/covey.yaml"
		printf 'tls: { certificate: %s/a.crt, key: %s/a.key }\n' "$D" "$D" >>"group/node$i/covey.yaml"
	done
	group 3
	bytes 2000000 >f
	curl -sf --cacert a.crt -T f "https://localhost:$(port 51)/f"
	for i in 2 3; do curl -sf --cacert a.crt "https://localhost:$(port $((50 + i)))/f" | cmp - f; done
	# covey-httpd, started by its https socket alone
	kill "$(role_pid 3 covey-httpd)"
	curl -sf --retry 5 --retry-all-errors --cacert a.crt "https://localhost:$(port 53)/f" | cmp - f
}

@test "the kernel encrypts where it can" {
	grep -qw tls /proc/sys/net/ipv4/tcp_available_ulp || skip "NOT RUN: this kernel does not encrypt TLS"
	https n
	sent() { sed -n 's/^TlsTxSw[[:space:]]*//p' /proc/net/tls_stat; }
	before=$(sent)
	bytes 20000000 >f
	curl -sfT f "$S/f"
	for version in 1.2 1.3; do curl -sf --tls-max $version "$S/f" | cmp - f; done
	[ "$(clients slow /f 100)" = "$(sha f) announced" ]
	[ "$(sent)" -gt "$before" ]
}

@test "nginx in front reaches it by https" {
	need nginx
	https n
	cat >nginx.conf <<-CONF
	worker_processes 1; daemon off; pid $D/nginx.pid; error_log $D/nginx-error.log;
	events { }
	http {
		access_log off; client_max_body_size 0; client_body_temp_path $D/body-temp; proxy_temp_path $D/proxy-temp;
		fastcgi_temp_path $D/t1; uwsgi_temp_path $D/t2; scgi_temp_path $D/t3;
		upstream node { server 127.0.0.1:$SECURE; keepalive 4; }
		server {
			listen 127.0.0.1:$(port 60);
			location / {
				proxy_pass https://node; proxy_http_version 1.1; proxy_set_header Host localhost;
				proxy_set_header Connection "";
				proxy_ssl_verify on; proxy_ssl_trusted_certificate $D/a.crt; proxy_ssl_name localhost;
				proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3;
			}
		}
	}
	CONF
	[ "$(id -u)" != 0 ] || sed -i '1s/^/user root; /' nginx.conf
	LD_PRELOAD='' spawn nginx nginx -e "$D/nginx-error.log" -c "$D/nginx.conf"
	wait_until 10 healthy "http://127.0.0.1:$(port 60)"
	bytes 20000000 >f
	[ "$(code -T f "http://127.0.0.1:$(port 60)/f")" = 201 ]
	for i in 1 2 3; do curl -sf "http://127.0.0.1:$(port 60)/f" | cmp - f; done
	[ "$(handshakes failed)" -eq 0 ]
}
