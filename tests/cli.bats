#!/usr/bin/env bats
# The sub-commands of covey that people type.
load helpers

setup_file() {
	RELEASED=$(released)
	export RELEASED
}

setup() {
	covey_setup
	httpd one
	export COVEY_NODE=$URL
}

@test "put, get, ls, log, rm and restore over HTTP" {
	printf 'first' >a
	run covey put a docs/a.txt
	[ "$status" -eq 0 ]
	[[ $output == 2*T*Z-*-0\ \ docs/a.txt ]]
	first=${output%% *}
	printf 'second!' >a
	covey put -q a /docs/a.txt >out
	[ ! -s out ]
	[ "$(covey get docs/a.txt)" = 'second!' ]
	[ "$(covey get --version "$first" docs/a.txt)" = first ]
	[ "$(covey ls)" = docs/ ]
	[ "$(covey ls docs)" = a.txt ]
	[[ $(covey ls -l /docs/) == 7\ *a.txt ]]
	covey log docs/a.txt >versions
	[ "$(wc -l <versions)" -eq 2 ]
	head -n 1 versions | grep -q current
	grep -q "^$first .* 5 " versions
	covey rm docs/a.txt
	run covey get docs/a.txt
	[ "$status" -eq 66 ]
	[ -z "$(covey ls docs)" ]
	head -n 1 <(covey log docs/a.txt) | grep -q deleted
	run covey restore docs/a.txt "$first"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == 2*docs/a.txt ]]
	[ "$(covey get docs/a.txt)" = first ]
}

@test "--json is what the node says, for programs" {
	echo x | covey put -q - f
	covey ls --json | jq -e '.[0] | .name == "f" and .type == "file" and .size == 2 and (.version | length) > 20'
	covey log --json f | jq -e '.[0] | .current == true and .deleted == false and (.sha256 | length) == 64'
	covey status --json | jq -e '.node | length == 16'
	covey status | grep -q '^store\.free  *[0-9]'
	[ "$(covey peers --json | jq length)" = 0 ]
}

@test "--json tells programs what a write made" {
	echo x >'a b'
	run covey put --json 'a b' d/
	[ "$status" -eq 0 ]
	[ "$(jq -r '[.href, .status, .state] | join(" ")' <<<"$output")" = "/d/a%20b 201 confirmed" ]
	v=$(jq -r .version <<<"$output")
	[ "$(covey log --json 'd/a b' | jq -r '.[0].version')" = "$v" ]
	[ "$(covey rm --json 'd/a b' | jq -r '[.href, .status] | join(" ")')" = "/d/a%20b 204" ]
	[ "$(covey restore --json 'd/a b' "$v" | jq -r '[.href, .status] | join(" ")')" = "/d/a%20b 201" ]
	cp 'a b' "$STORE/tree/by hand"
	[ "$(covey adopt --json -c "$CONF" | jq -r .href)" = "/by%20hand" ]
	[ "$(covey prune --json --versions 1 -c "$CONF" 'd/a b' | jq .versions)" -eq 2 ]
}

@test "several files, directories, standard input, content types, and names of any bytes" {
	mkdir in
	for name in 'a b' 'ä%41' $'tab\there' $'\xff\xfe'; do printf '%s' "$name" >"in/$name"; done
	covey put -q in/* up/
	for name in 'a b' 'ä%41' $'tab\there' $'\xff\xfe'; do
		[ "$(covey get "up/$name")" = "$name" ]
	done
	[ "$(covey ls up | wc -l)" -eq 4 ]
	covey ls up | grep -qaxF 'a b'
	mkdir out
	(cd out && covey get -O "up/a b" "up/ä%41")
	cmp "in/a b" "out/a b"
	printf '<p>' | covey put -q -t text/x-mine - page
	code "$URL/page"
	[ "$(header content-type)" = text/x-mine ]
	touch -d 2001-02-03 in/old
	covey put -q in/old up/
	code -I "$URL/up/old"
	run covey put in/old 'in/a b' nodirectory
	[ "$status" -eq 64 ]
}

@test "put says what it read: the digest goes ahead of the bytes" {
	bytes 300000 >f
	digest=$(openssl dgst -sha256 -binary f | base64)
	unsure
	run covey put f g
	[ "$status" -eq 75 ]
	grep -qxF "digest sha-256=:$digest:" unsure.log
}

@test "put of what cannot be read stores nothing, and the worst of several files is the status" {
	run covey put /proc/self/mem f		# a plain file, by its kind
	echo "$output"
	[ "$status" -eq 74 ]
	[[ $output == *"read /proc/self/mem"* ]]
	[ "$(code "$URL/f")" = 404 ]
	echo x >there
	run covey put -q none there d/
	[ "$status" -eq 66 ]
	[ "$(covey ls d)" = there ]
	run covey get d/none d/there
	[ "$status" -eq 66 ]
	[ "${lines[-1]}" = x ]
	run covey rm d/none d/there
	[ "$status" -eq 66 ]
	[ "$(code "$URL/d/there")" = 404 ]
}

@test "ls -R lists all that is below, with names of any bytes" {
	mkdir -p in
	echo x >f
	for path in a b/c b/d/e 'b/d/ä b%41' b/$'\xff' z/y; do covey put -q f "$path"; done
	covey rm b/c
	run covey ls -R
	[ "$status" -eq 0 ]
	covey ls -R >got
	LC_ALL=C diff got <(printf '%s\n' a b/ b/d/ b/d/e 'b/d/ä b%41' b/$'\xff' z/ z/y)
	LC_ALL=C diff <(covey ls -R --deleted b) <(printf '%s\n' c d/ d/e 'd/ä b%41' $'\xff')
	[ "$(covey ls -lR b/d | wc -l)" -eq 2 ]
	[ "$(covey ls -R --json b | jq -r '.[].href' | tr '\n' ' ')" = "d/ d/e d/%C3%A4%20b%2541 %FF " ]
	[ "$(covey ls -R --json z/ | jq -r '.[0] | .name + .type')" = yfile ]
	run covey ls -R none
	[ "$status" -eq 66 ]
}

@test "get continues what broke off, and keeps only what is whole" {
	bytes 3000000 >big
	covey put -q big big
	version=$(covey log --json big | jq -r '.[0].version')
	head -c 1000000 big >"copy.$version.part"
	covey get -o copy big
	cmp big copy
	[ ! -e "copy.$version.part" ]
	# A part with other bytes is found out by the digest.
	bytes 1000000 other >"copy2.$version.part"
	run covey get -o copy2 big
	[ "$status" -eq 65 ]
	[ ! -e copy2 ]
	[ ! -e "copy2.$version.part" ]
	# A whole part, and one that is too long.
	cp big "copy3.$version.part"
	covey get -o copy3 big
	cmp big copy3
	(cat big; echo more) >"copy4.$version.part"
	covey get -o copy4 big
	cmp big copy4
	covey get big | cmp - big
	covey get -o /dev/null big
}

@test "a changed file is not stored under its old digest" {
	bytes 100000 >f
	sum=$(openssl dgst -sha256 -binary f | base64)
	[ "$(code -T f -H "Repr-Digest: sha-256=:$sum:" "$URL/f")" = 201 ]
	printf x >>f
	[ "$(code -T f -H "Repr-Digest: sha-256=:$sum:" "$URL/f")" = 400 ]
	[ "$(covey log f | wc -l)" -eq 1 ]
}

@test "exit statuses say what kind of failure it was" {
	echo x | covey put -q - f
	run covey ls none;                      [ "$status" -eq 66 ]
	[ "$output" = "covey: none: no such directory (404)" ]
	run covey ls --json none;               [ "$status" -eq 66 ]
	[ "$output" = "covey: none: no such directory (404)" ]
	run covey get none;                     [ "$status" -eq 66 ]
	run covey rm none f;                    [ "$status" -eq 66 ]
	run covey put nofile f;                 [ "$status" -eq 66 ]
	run covey get --version 7 none;         [ "$status" -eq 65 ]
	echo x | covey put -q - d/f
	run bash -c 'echo x | covey put - d';   [ "$status" -eq 65 ]
	run covey ls --node 127.0.0.1:1;        [ "$status" -eq 69 ]
	run covey ls --node ftp://127.0.0.1/;   [ "$status" -eq 65 ]
	run covey ls a b;                       [ "$status" -eq 64 ]
	run covey get;                          [ "$status" -eq 64 ]
	run covey get d/;                       [ "$status" -eq 64 ]
	run covey nothing;                      [ "$status" -eq 64 ]
	run covey;                              [ "$status" -eq 64 ]
	run covey adopt -c "$D/none.yaml";      [ "$status" -eq 78 ]
	run covey key old;                      [ "$status" -eq 64 ]
	run bash -c 'covey help >/dev/full';    [ "$status" -eq 74 ]
}

@test "help comes from the table, for every sub-command" {
	run covey help
	[ "$status" -eq 0 ]
	mapfile -t names < <(sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' <<<"$output")
	[ "${#names[@]}" -ge 15 ]
	for name in "${names[@]}"; do
		[ "$name" != check ] || continue
		run covey "$name" --help
		echo "$output"
		[ "$status" -eq 0 ]
		[[ $output == "usage: covey $name"* ]]
		[ "$output" = "$(covey help "$name")" ]
		run covey "$name" --no-such
		[ "$status" -eq 64 ]
	done
	run covey help nothing
	[ "$status" -eq 64 ]
}

# A node that confirms nothing, and prints the Prefer of every request.
unsure() {
	cat >unsure.py <<'EOF'
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        more = self.headers.get("Transfer-Encoding") is not None
        while more:
            size = int(self.rfile.readline(), 16)
            self.rfile.read(size + 2)
            more = size > 0
        print("digest", self.headers.get("Repr-Digest"))
        print("prefer", self.headers.get("Prefer"), flush=True)
        self.send_response(202); self.send_header("Content-Length", "0")
        self.send_header("ETag", '"20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0"')
        self.send_header("Version-State", "unconfirmed; homes=1/3; copies=1"); self.end_headers()
    do_DELETE = do_POST = do_PUT
    def do_GET(self):
        self.send_response(404); self.send_header("Content-Length", "0")
        self.send_header("Version-State", "unconfirmed; peers=0/2"); self.end_headers()
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
EOF
	spawn unsure python3 unsure.py "$(port 6)"
	wait_until 5 bash -c "ss -Htln 'sport = :$(port 6)' | grep -q ."
	COVEY_NODE=http://127.0.0.1:$(port 6)
}

asked() { [ "$(tail -n 1 unsure.log)" = "prefer $1" ]; }

@test "a node alone has no layout, and nothing to change" {
	run covey layout show
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "no layout yet" ]]
	[ "$(covey layout show -c "$CONF" --json | jq -r '[.epoch, .joint, .homes, .copies, .keep.versions] | join(" ")')" = "0 false 3 2 100" ]
	run covey layout leave -c "$CONF";              [ "$status" -eq 69 ]
	run covey layout join -c "$CONF";               [ "$status" -eq 69 ]
	run covey layout set -c "$CONF" homes=3;        [ "$status" -eq 69 ]
	run covey layout force -c "$CONF" --yes;        [ "$status" -eq 69 ]
	run covey layout set -c "$CONF";                [ "$status" -eq 64 ]
	run covey layout;                               [ "$status" -eq 64 ]
	run covey layout grow;                          [ "$status" -eq 64 ]
	run covey layout leave home;                    [ "$status" -eq 64 ]
	run covey layout leave --node "$URL";           [ "$status" -eq 64 ]
	# What is wrong in itself is refused before anybody is asked.
	sed -i "\$a group: {key_file: $D/key}" "$CONF"
	covey key new >"$D/key"
	for setting in homes=8 homes=0 copies=x keep.versions=0 keep.days=-1 homes= homes colour=3; do
		run covey layout set -c "$CONF" "$setting"
		[ "$status" -eq 64 ]
	done
	run covey layout set -c "$CONF" homes=3;        [ "$status" -eq 69 ]
	run covey layout force -c "$CONF" --yes;        [ "$status" -eq 69 ]
}

# hurried ARG... - covey, for whom a minute is three seconds; its clock is set by a preloaded
# library, which a sanitized program does not take
hurried() {
	LD_PRELOAD=$(compgen -G '/usr/lib/*/faketime/libfaketime.so.1') FAKETIME='+0 x20' "$RELEASED/covey" "$@"
}

@test "a node that is silent is named, with the time it had" {
	need python3
	node=$PID
	listens() { [ -n "$(ss -Htln "sport = :$1")" ]; }
	echo x | covey put -q - f
	printf 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart' >part
	spawn stops python3 -c 'import socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
c = s.accept()[0]
c.recv(4096)
c.send(open("part", "rb").read())
time.sleep(300)' "$(port 1)"
	wait_until 5 listens "$(port 1)"
	hurried get --node "127.0.0.1:$(port 1)" f >stopped 2>&1 &
	stopped=$!
	kill -STOP "$node"		# the kernel accepts, and nobody answers
	hurried get f >got 2>&1 &
	get=$!
	hurried log f >logged 2>&1 &
	log=$!
	run hurried rm --wait 3 f
	[ "$status" -eq 75 ]
	[ "$output" = "covey: ask $URL (\$COVEY_NODE): no answer for 63 s" ]
	status=0; wait $stopped || status=$?
	[ $status -eq 75 ]
	[[ $(cat stopped) == *"covey: ask http://127.0.0.1:$(port 1): nothing more of its answer for 60 s" ]]
	kill -CONT "$node"
	status=0; wait $get || status=$?
	[ $status -eq 75 ]
	[ "$(cat got)" = "covey: ask $URL (\$COVEY_NODE): no answer for 60 s" ]
	status=0; wait $log || status=$?
	[ $status -eq 75 ]
	[ "$(cat logged)" = "covey: ask $URL (\$COVEY_NODE): no answer for 60 s" ]
}

@test "what one node alone does not find may be there: 75, and not 66" {
	unsure
	for command in "get f" "log f" "ls d/" "get -r d here" "rm -r d"; do
		# shellcheck disable=SC2086
		run covey $command
		echo "$command: $output"
		[ "$status" -eq 75 ]
		[[ $output == *"the group does not confirm"* ]]
	done
	[ ! -e here ]
}

@test "put, rm and restore of what is not confirmed exit 75, unless --async" {
	local version=20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0
	unsure
	echo x >f
	run covey put f g
	echo "$output"
	[ "$status" -eq 75 ]
	[[ $output == *"$version  g"* ]]
	[[ $output == *"not confirmed"*"(202; unconfirmed; homes=1/3; copies=1)"* ]]
	asked None
	run covey put --async f g
	[ "$status" -eq 0 ]
	[ "$output" = "$version  g" ]
	asked respond-async
	run covey put -q --wait 7 - g <f
	[ "$status" -eq 75 ]
	[[ $output == *"(202; "* ]]
	asked wait=7
	run covey put --json f g
	[ "$status" -eq 75 ]
	[ "$(jq -r '[.status, .state] | join(" ")' <<<"$output")" = "202 unconfirmed; homes=1/3; copies=1" ]
	run covey rm g;                                 [ "$status" -eq 75 ]
	run covey rm --async g;                         [ "$status" -eq 0 ]
	[ -z "$output" ]
	asked respond-async
	run covey restore g "$version";                 [ "$status" -eq 75 ]
	run covey restore --wait 3 g "$version";        [ "$status" -eq 75 ]
	asked wait=3
	run covey put --async --wait 3 f g;             [ "$status" -eq 64 ]
	run covey put --wait 0 f g;                     [ "$status" -eq 64 ]
	run covey rm --wait 3601 g;                     [ "$status" -eq 64 ]
}

@test "key new prints a fresh key each time" {
	a=$(covey key new) b=$(covey key new)
	[[ $a =~ ^[0-9a-f]{64}$ ]]
	[[ $b =~ ^[0-9a-f]{64}$ ]]
	[ "$a" != "$b" ]
}

@test "adopt makes versions of what was put into tree/ by hand" {
	mkdir -p "$STORE/tree/photos/2020"
	echo one >"$STORE/tree/photos/1.txt"
	echo two >"$STORE/tree/photos/2020/2.txt"
	# A home that has a file which is no version says nothing of it, so that no absence is confirmed.
	run covey get photos/1.txt
	[ "$status" -eq 75 ]
	run covey adopt -c "$CONF" photos
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *photos/1.txt* && $output == *photos/2020/2.txt* && $output == *"adopted 2"* ]]
	[ "$(covey get photos/1.txt)" = one ]
	[ "$(covey get photos/2020/2.txt)" = two ]
	run covey adopt -c "$CONF"
	[ "$status" -eq 0 ]
	[[ $output == *"adopted 0"* ]]
}

@test "prune drops old versions and keeps the newest" {
	for i in 1 2 3 4 5; do echo $i | covey put -q - f; done
	[ "$(covey log f | wc -l)" -eq 5 ]
	covey prune -c "$CONF" f
	[ "$(covey log f | wc -l)" -eq 5 ]
	covey prune -c "$CONF" --days 1 f
	[ "$(covey log f | wc -l)" -eq 5 ]
	run covey prune -c "$CONF" --versions 2 f
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == "3 versions"* ]]
	[ "$(covey log f | wc -l)" -eq 2 ]
	sed -i '$a keep: {versions: 1}' "$CONF"
	covey prune -c "$CONF" f
	[ "$(covey log f | wc -l)" -eq 1 ]
	[ "$(covey get f)" = 5 ]
	for i in 1 2 3; do echo $i | covey put -q - d/g; echo $i | covey put -q - h; done
	run covey prune -c "$CONF" --versions 2
	[[ $output == "2 versions"* ]]
	[ "$(covey log d/g | wc -l)" -eq 2 ]
	run covey prune -c "$CONF" --json
	[ "$(jq -c '[.versions, .contents]' <<<"$output")" = "[2,0]" ]
	run covey prune -c "$CONF" --versions 0 f
	[ "$status" -eq 64 ]
}

@test "a long transfer shows its progress on a terminal, a short one does not" {
	bytes 4000000 >f
	cat >slow.py <<'EOF'
import http.server, time
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "4000000"); self.end_headers()
        for i in range(20): self.wfile.write(b"x" * 200000); self.wfile.flush(); time.sleep(0.12)
http.server.HTTPServer(("127.0.0.1", int(__import__("sys").argv[1])), H).serve_forever()
EOF
	spawn slow python3 slow.py "$(port 5)"
	wait_until 5 bash -c "ss -Htln 'sport = :$(port 5)' | grep -q ."
	run script -qec "covey get -o out f --node http://127.0.0.1:$(port 5)" /dev/null
	[ "$status" -eq 0 ]
	[[ $output == *%*/s* ]]
	covey put -q f f
	run script -qec "covey get -o out f" /dev/null
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "the commands find a node that covey up made here, or say how to name one" {
	[ ! -e /etc/covey/covey.yaml ] || skip "NOT RUN: this machine has a node of its own"
	unset COVEY_NODE
	if [ -z "$(ss -Htln 'sport = :4720')" ]; then
		run covey ls
		[ "$status" -eq 69 ]
		[[ $output == *"--node URL names another"* ]]
	fi
	run covey adopt
	[ "$status" -eq 78 ]
	[[ $output == *"-c FILE names the configuration"* ]]
	spawn up covey up --port "$(port 20)"
	wait_until 30 ready "http://127.0.0.1:$(port 20)"
	echo x >f
	wait_until 30 covey put f f
	[ "$(curl -sf "http://127.0.0.1:$(port 20)/f")" = x ]
	echo y >"$D/covey-nodes/node1/store/tree/by-hand"
	run covey adopt
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(covey get by-hand)" = y ]
	run covey check f
	echo "$output"
	[ "$status" -eq 0 ]
	# Told otherwise, they go by that.
	run covey get --node "$URL" f
	[ "$status" -eq 66 ]
	COVEY_NODE=$URL run covey get f
	[ "$status" -eq 66 ]
}

@test "https, by the authorities that curl would go by" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout tls.key -out tls.pem \
		-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null
	cat >tls.py <<'EOP'
import socket, ssl, sys, threading
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("tls.pem", "tls.key")
def copy(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError: pass
def serve(plain):
    try: client = context.wrap_socket(plain, server_side=True)
    except OSError: return
    node = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    threading.Thread(target=copy, args=(node, client), daemon=True).start()
    copy(client, node)
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
EOP
	spawn tls python3 tls.py "$(port 30)" "${URL##*:}"
	wait_until 10 bash -c "ss -Htln 'sport = :$(port 30)' | grep -q ."
	COVEY_NODE=https://127.0.0.1:$(port 30)
	bytes 100000 >f
	run covey put f f
	echo "$output"
	[ "$status" -eq 69 ]
	[[ $output == *certificate*--cacert* ]]
	export CURL_CA_BUNDLE=$PWD/tls.pem
	covey put -q f f
	covey get f | cmp - f
	mkdir d
	echo x | tee d/{1,2,3} >/dev/null
	covey put -rq d d
	[ "$(covey ls -R --node "$COVEY_NODE/" d | tr '\n' ' ')" = "1 2 3 " ]
	unset CURL_CA_BUNDLE
	SSL_CERT_FILE=$PWD/tls.pem run covey ls
	[ "$status" -eq 0 ]
}

@test "get keeps the time that put sent" {
	echo x >f
	touch -d '2001-02-03 04:05:06' f
	covey put -q f d/
	covey get -o g d/f
	[ "$(stat -c %Y g)" = "$(stat -c %Y f)" ]
	(mkdir own && cd own && covey get -O d/f)
	[ "$(stat -c %Y own/f)" = "$(stat -c %Y f)" ]
	covey get d/f >h
	[ "$(stat -c %Y h)" != "$(stat -c %Y f)" ]
	# An old version has its own; one that was put without has the version's.
	version=$(covey log --json d/f | jq -r '.[0].version')
	echo y | covey put -q - d/f
	covey get -v "$version" -o g d/f
	[ "$(stat -c %Y g)" = "$(stat -c %Y f)" ]
	covey get -o g d/f
	[ "$(stat -c %Y g)" = "$(date -d "$(covey log --json d/f | jq -r '.[0].time')" +%s)" ]
}

@test "what is no text does not go to a terminal, unless it is said so" {
	need script
	printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR' >png
	echo text >text
	covey put -q png text d/
	run script -qec "covey get d/png" /dev/null
	echo "$output"
	[ "$status" -eq 65 ]
	[[ $output != *PNG* ]]
	[[ $output == *"-o FILE keeps it, -o - shows it all the same"* ]]
	run script -qec "covey get -o - d/png" /dev/null
	[ "$status" -eq 0 ]
	[[ $output == *PNG* ]]
	run script -qec "covey get d/text" /dev/null
	[ "$status" -eq 0 ]
	[[ $output == text* ]]
	covey get d/png | cmp - png
}

@test "errors name the cause and the way out" {
	echo x | covey put -q - a/b/c
	run covey get a/b
	[ "$status" -eq 65 ]
	[ "$output" = "covey: get a/b: a directory: covey ls a/b/ shows it, covey get -r a/b/ DIR fetches it" ]
	run covey get -o f a/b
	[ "$status" -eq 65 ]
	[ ! -e f ]
	run covey get a/b/
	[ "$status" -eq 64 ]
	[[ $output == *"covey ls a/b/"* ]]
	mkdir dir
	run covey put dir a/
	[ "$status" -eq 65 ]
	[[ $output == *"covey put -r dir PATH/"* ]]
	run covey rm a/b
	[ "$status" -eq 65 ]
	# A named pipe has perhaps no writer, for ever; one of a shell's has.
	mkfifo pipe
	run timeout 10 covey put pipe p
	[ "$status" -eq 65 ]
	[[ $output == *"covey put - PATH <pipe"* ]]
	run covey get p
	[ "$status" -eq 66 ]
	covey put -q <(echo from a shell) p
	[ "$(covey get p)" = "from a shell" ]
}

@test "-h is help, for every sub-command and program" {
	[ "$(covey -h)" = "$(covey help)" ]
	[ "$(covey help -h)" = "$(covey help)" ]
	for name in $(covey help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'); do
		run covey "$name" -h
		echo "$output"
		[ "$status" -eq 0 ]
		[ "$output" = "$(covey "$name" --help)" ]
	done
	for program in covey-check covey-httpd covey-versiond covey-discoverd covey-syncd; do
		run "$program" -h
		[ "$status" -eq 0 ]
		[ "$output" = "$("$program" --help)" ]
	done
}

@test "root is told whose the store is, before anything of root's is in it" {
	[ "$(id -u)" = 0 ] || skip "NOT RUN: only root gives files away"
	local user
	user=$(id -un 65534)
	chown -R 65534 "$STORE"
	echo x >"$STORE/tree/f"
	for command in adopt prune scrub "node renew"; do
		# shellcheck disable=SC2086
		run covey $command -c "$CONF"
		echo "$output"
		[ "$status" -eq 77 ]
		[[ $output == *"it belongs to $user: say sudo -u $user covey"* ]]
	done
	# So it is with one that nobody has opened yet.
	node_conf fresh "$(port 40)"
	mkdir "$STORE"
	chown 65534 "$STORE"
	run covey adopt -c "$CONF"
	[ "$status" -eq 77 ]
	[ -z "$(ls -A "$STORE")" ]
}

# typed KEYS: what a command line of bash prints, when it was typed with covey's completion
typed() {
	python3 - "$1" <<'EOP'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--noprofile", "--rcfile", "bashrc", "-i"])
def until_prompt():
    got = b""
    while not got.endswith(b"READY> "):
        got += os.read(fd, 4096)
    return got
until_prompt()
os.write(fd, os.fsencode(sys.argv[1]) + b"\n")
told = until_prompt()
sys.stdout.buffer.write(told[:-7].replace(b"\r", b""))
os.write(fd, b"exit\n")
os.waitpid(pid, 0)
EOP
}

@test "completion knows the names that the node has" {
	printf '%s\n' 'PS1="READY> "' 'bind "set enable-bracketed-paste off"' "source '$TOP/conf/covey.completion'" \
		'timeout() { shift; "$@"; }	# a busy machine has more' "history -s 'echo \"before\"'" >bashrc
	echo 1 | covey put -q - "t/a b:c"
	echo 2 | covey put -q - "t/sub dir/it's"
	echo 3 | covey put -q - "u/\$(touch evil); touch evil"
	echo 4 | covey put -q - other
	tab=$'\t'
	typed "covey get /t/a$tab" | grep -x 1
	typed "covey get t/a\\ b:$tab" | grep -x 1
	typed "covey get \"/t/a b$tab" | grep -x 1
	typed "covey get --node $URL /t/su$tab$tab" | grep -x 2
	typed "covey get ot$tab" | grep -x 4
	typed "covey ls t/su$tab" | grep -x "it's"
	typed "covey log t/$tab$tab" | grep 'b:c  *sub.* dir/'
	typed "covey get u/$tab" | grep -x 3
	typed "covey get \"u/$tab" | grep -x 3
	typed "covey get 'u/$tab" | grep -x 3
	echo 6 | covey put -q - "h/a!!:s|before|;touch evil;|"
	typed "covey get \"h/$tab" | grep -x 6
	[ ! -e evil ]
	touch here
	typed "covey put -q he$tab t/su$tab"
	[ "$(covey ls 't/sub dir')" = "$(printf 'here\nit'\''s')" ]
	# What an option is given, and what follows a colon, is no word of its own.
	typed "covey get -r -q --node $URL t/su$tab got"
	[ "$(cat "got/it's")" = 2 ]
	echo 5 | covey put -q - v:w/deep/er
	typed "covey get -r -q v:w/de$tab got2"
	[ "$(cat got2/er)" = 5 ]
	# Of a node that is not there nothing is known.
	COVEY_NODE=127.0.0.1:1 typed "covey get /t/a$tab" | grep -q '69\|covey: ask'
}
