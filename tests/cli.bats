#!/usr/bin/env bats
# The sub-commands of covey that people type.
load helpers

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
	LD_PRELOAD=$(compgen -G '/usr/lib/*/faketime/libfaketime.so.1') FAKETIME='+0 x20' "$TOP/build/bin/covey" "$@"
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
	run covey get photos/1.txt
	[ "$status" -eq 66 ]
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
