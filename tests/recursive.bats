#!/usr/bin/env bats
# covey put -r, get -r and rm -r: whole directories, in a group of three and of five.
load helpers

setup_file() { shared_group 3; }
teardown_file() { end_shared_group; }
setup() {
	covey_setup
	use_shared_group 3
	export COVEY_NODE=${URLS[1]}
	HERE=/t$BATS_TEST_NUMBER	# a directory of the group, of this test
}

# tree DIRECTORY: files and directories with names of any kind, all older than any upload
tree() {
	mkdir -p "$1/a/b c" "$1/empty/below" "$1/,comma" "$1/"$'\xff\xfe'
	echo one >"$1/1"
	echo two >"$1/a/2 ä%41"
	: >"$1/a/nothing"
	bytes 300000 >"$1/a/b c/big"
	echo x >"$1/,comma/,x"
	echo y >"$1/"$'\xff\xfe'/$'tab\tand\nline'
	find "$1" -type f -exec touch -d '2001-02-03 04:05:06.789' {} +
}

# versions NODE-URL PATH: how many there are of each file below it, in all
versions() {
	local name count=0
	while read -r name; do
		count=$((count + $(curl -sf "$1$2/$name?versions&format=text" | wc -l)))
	done < <(curl -sf "$1$2/?format=text" | cut -f 1 | grep -v '/$')
	echo "$count"
}

mtimes() { (cd "$1" && find . -type f -printf '%P\0%Ts\n' | sort); }

@test "put -r stores a directory, get -r brings it, the same to the second, from any node" {
	local node=
	tree src
	run covey put -r src "$HERE/"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = "6 files stored, 0 are the same" ]
	for node in "${URLS[@]}"; do
		rm -rf out
		run covey get -r --node "$node" "$HERE/" out
		echo "$output"
		[ "$status" -eq 0 ]
		[ "$output" = "6 files fetched, 0 are the same" ]
		diff -r src out
		diff <(mtimes src) <(mtimes out)
	done
	[ -z "$(find out -name '*.part')" ]
	# Without its slash it is the same directory.
	covey get -rq "$HERE" again >told
	[ ! -s told ]
	diff -r src again
}

@test "the same again transfers nothing and makes no versions; what changed is sent" {
	local before
	tree src
	mkdir src/many
	for ((i = 0; i < 30; i++)); do echo "$i" >src/many/$i; done
	touch -d 2001-02-03 src/many/*
	covey put -rq src "$HERE"
	before=$(versions "${URLS[1]}" "$HERE/many")
	[ "$before" -eq 30 ]
	run covey put -r --node "${URLS[2]}" src "$HERE"
	[ "$output" = "0 files stored, 36 are the same" ]
	run covey put -r --checksum src/ "$HERE/"
	[ "$output" = "0 files stored, 36 are the same" ]
	[ "$(versions "${URLS[1]}" "$HERE/many")" -eq 30 ]
	covey get -rq "$HERE" out
	run covey get -r "$HERE" out
	[ "$output" = "0 files fetched, 36 are the same" ]
	# Another size, another time, another content of the same size and time.
	echo longer >src/many/1
	touch -d 2001-02-03 src/many/1
	touch src/many/2
	echo z >src/many/3
	touch -d 2001-02-03 src/many/3
	run covey put -r src "$HERE"
	[ "$output" = "2 files stored, 34 are the same" ]
	run covey put -r --checksum src "$HERE"
	[ "$output" = "1 files stored, 35 are the same" ]
	[ "$(versions "${URLS[1]}" "$HERE/many")" -eq 33 ]
	run covey get -r "$HERE" out
	[ "$output" = "2 files fetched, 34 are the same" ]
	run covey get -r --checksum "$HERE" out
	[ "$output" = "1 files fetched, 35 are the same" ]
	diff -r src out
}

@test "a file that changed within the second of its upload is found changed" {
	mkdir src
	echo one >src/f
	covey put -rq src "$HERE"
	modified=$(stat -c %Y src/f)
	run covey put -r src "$HERE"
	[ "$output" = "0 files stored, 1 are the same" ]
	echo two >src/f
	touch -d "@$modified" src/f
	covey put -rq src "$HERE"
	[ "$(covey get "$HERE/f")" = two ]
	# So it is with what was stored without a time: two versions of one size in one second.
	echo 3 | curl -sfT - "$COVEY_NODE$HERE/g"
	covey get -rq "$HERE" out
	run covey get -r "$HERE" out
	[ "$output" = "0 files fetched, 2 are the same" ]
	echo 4 | curl -sfT - "$COVEY_NODE$HERE/g"
	touch -d "@$(date -d "$(covey ls --json "$HERE" | jq -r '.[] | select(.name == "g") | .time')" +%s)" out/g
	covey get -rq "$HERE" out
	[ "$(cat out/g)" = 4 ]
}

@test "what is no file is skipped with a line, what covey cannot hold is an error of that file" {
	mkdir -p src/d
	ln -s /etc/passwd src/link
	ln -s d src/linked
	mkfifo src/pipe
	long=$(printf '%255s' '' | tr ' ' n)
	echo x >"src/$long"
	echo y >src/d/y
	echo z >src/z
	run covey put -r src "$HERE"
	echo "$output"
	[ "$status" -eq 65 ]
	grep -qx 'covey: src/link: a symbolic link, skipped' <<<"$output"
	grep -qx 'covey: src/linked: a symbolic link, skipped' <<<"$output"
	grep -qx 'covey: src/pipe: neither a file nor a directory, skipped' <<<"$output"
	grep -q "^covey: put src/$long: " <<<"$output"
	grep -qx '2 files stored, 0 are the same' <<<"$output"
	[ "$(covey ls -R "$HERE" | tr '\n' ' ')" = "d/ d/y z " ]
	rm "src/$long"
	run covey put -r src "$HERE"
	[ "$status" -eq 0 ]
	run covey put -r src/z "$HERE";                 [ "$status" -ne 0 ]
	run covey put -r none "$HERE";                  [ "$status" -eq 66 ]
	run covey put -r src a b;                       [ "$status" -eq 64 ]
	run covey put -r -t text/plain src "$HERE";     [ "$status" -eq 64 ]
	run covey put --checksum src/z "$HERE/z";       [ "$status" -eq 64 ]
	run covey get -r "$HERE/none" out;              [ "$status" -eq 66 ]
	[ ! -e out ]
	run covey get -r "$HERE";                       [ "$status" -eq 64 ]
	run covey get -r -o f "$HERE" out;              [ "$status" -eq 64 ]
	# A directory is in a file's way, and the other way round: the rest is stored.
	mkdir src2
	echo x >src2/d
	mkdir src2/z
	echo x >src2/z/x
	echo x >src2/w
	run covey put -r src2 "$HERE"
	echo "$output"
	[ "$status" -eq 65 ]
	[ "$(covey get "$HERE/w")" = x ]
	[ "$(covey get "$HERE/z")" = z ]
	# A name that leaves no room for a part's is fetched, too.
	long=${long:0:254}
	echo x | covey put -q - "$HERE/$long"
	covey get -rq "$HERE" out
	[ "$(cat "out/$long")" = x ]
}

# interrupted CMD...: what was spawned last is killed when CMD succeeds; it goes on for moments only
interrupted() {
	local try
	for ((try = 0; try < 2000; try++)); do
		kill -STOP "$PID" || return
		if "$@"; then
			stop "$PID" KILL
			return
		fi
		kill -CONT "$PID"
		nap 0.01
	done
	return 1
}

@test "an interrupted put -r, get -r or rm -r is continued by the next" {
	mkdir src
	for ((i = 0; i < 300; i++)); do echo "$i" >src/$i; done
	touch -d 2001-02-03 src/*
	spawn put covey put -r src "$HERE"
	some_there() { [ "$(covey ls "$HERE" | wc -l)" -ge 20 ]; }
	interrupted some_there
	there=$(covey ls "$HERE" | wc -l)
	run covey put -r src "$HERE"
	echo "$there; $output"
	[ "$status" -eq 0 ]
	[[ $output =~ ^([0-9]+)\ files\ stored,\ ([0-9]+)\ are\ the\ same$ ]]
	[ $((BASH_REMATCH[1] + BASH_REMATCH[2])) -eq 300 ]
	[ "${BASH_REMATCH[2]}" -ge "$there" ]
	spawn get covey get -r "$HERE" out
	some_here() { compgen -G 'out/*' | grep -qv part; }
	interrupted some_here
	covey get -rq "$HERE" out
	[ -z "$(find out -name '*.part')" ]
	diff -r src out
	spawn rm covey rm -r "$HERE"
	some_gone() { [ "$(covey ls "$HERE" | wc -l)" -lt 300 ]; }
	interrupted some_gone
	run covey rm -r "$HERE"
	[ "$status" -eq 0 ] || [ "$status" -eq 66 ]
	run covey ls "$HERE"
	[ "$status" -eq 66 ]
}

@test "a part that get -r left is continued" {
	mkdir src out
	bytes 1000000 >src/big
	covey put -rq src "$HERE"
	version=$(covey log --json "$HERE/big" | jq -r '.[0].version')
	head -c 600000 src/big >"out/big.$version.part"
	covey get -rq "$HERE" out
	cmp src/big out/big
	[ "$(ls out)" = big ]
	# With other bytes it is found out.
	rm out/big
	bytes 600000 other >"out/big.$version.part"
	run covey get -rq "$HERE" out
	[ "$status" -eq 65 ]
	[ -z "$(ls out)" ]
	# One that is whole is fetched anew, and no other file is in the way of that.
	cp src/big "out/big.$version.part"
	echo mine >out/big.part
	covey get -rq "$HERE" out
	cmp src/big out/big
	[ "$(ls out)" = "$(printf 'big\nbig.part')" ]
	[ "$(cat out/big.part)" = mine ]
}

@test "a part that get -r left is no file of the group's" {
	mkdir src
	bytes 300000 >src/big
	covey put -rq src "$HERE"
	part=big.$(covey log --json "$HERE/big" | jq -r '.[0].version').part
	head -c 1000 src/big >"src/$part"
	run covey put -r src "$HERE"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "covey: src/$part: left by a download that was interrupted, skipped" ]
	[ "${lines[1]}" = "0 files stored, 1 are the same" ]
	# Where it was put there all the same, it is not what the other is renamed from.
	covey put -q "src/$part" "$HERE/"
	run covey get -r "$HERE" out
	echo "$output"
	[ "$status" -eq 65 ]
	[[ ${lines[0]} == "covey: $HERE/$part: not fetched: "* ]]
	[ "$(ls out)" = big ]
	cmp src/big out/big
}

@test "rm -r removes directories with all that is in them, and their history stays" {
	tree src
	covey put -rq src "$HERE"
	covey put -q src/1 "$HERE-beside"
	run covey rm -r "$HERE/"
	echo "$output"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	for node in "${URLS[@]}"; do
		run covey ls --node "$node" "$HERE"
		[ "$status" -eq 66 ]
	done
	[ "$(covey get "$HERE-beside")" = one ]
	version=$(covey log --json "$HERE/1" | jq -r '.[1].version')
	covey restore "$HERE/1" "$version"
	[ "$(covey get "$HERE/1")" = one ]
	# A file, several, what is not there, and all.
	covey rm -r "$HERE-beside" "$HERE"
	run covey get "$HERE-beside";                   [ "$status" -eq 66 ]
	run covey rm -r "$HERE";                        [ "$status" -eq 66 ]
	run covey rm -r /;                              [ "$status" -eq 64 ]
	echo x | covey put -q - "$HERE/f"
	run covey rm "$HERE"
	[ "$status" -eq 65 ]
}

# fake SCRIPT: a node that answers as its do(method, target) says, with (status, fields, body), and
# does expected(target) before it is sent a large body
fake() {
	{
		printf 'import http.server, json, sys, threading, time\nseen, lock = [], threading.Lock()\n'
		printf 'expected = lambda target: None\n'
		printf '%s\n' "$1" | sed 's/^\t//'
		cat <<'PY'
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        size = int(self.headers.get("Content-Length") or 0)
        if len(self.rfile.read(size)) < size: return
        with lock:
            status, fields, body = do(self.command, self.path)
            seen.append((self.command, self.path))
            print(self.command, self.path, status, flush=True)
        self.send_response(status)
        fields = {"Version-State": "confirmed", "Content-Length": len(body), **fields}
        for name, value in fields.items(): self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection |= fields["Content-Length"] != len(body)
    def handle_expect_100(self):
        expected(self.path)
        return super().handle_expect_100()
    do_GET = do_PUT = do_DELETE = answer
    def log_message(self, *args): pass
class S(http.server.ThreadingHTTPServer):
    request_queue_size = 100
S(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
PY
	} >fake.py
	fakes=$((${fakes:-89} + 1))
	: >fake.log
	spawn fake python3 fake.py "$(port $fakes)"
	COVEY_NODE=http://127.0.0.1:$(port $fakes)
	wait_until 10 bash -c "ss -Htln 'sport = :$(port $fakes)' | grep -q ."
}

row='def row(href, type="file", size=2):
	    return {"name": href, "href": href, "type": type, "size": size, "mtime": None, "sha256": "ab" * 32,
	            "time": "2026-11-22T11:07:24.123456001Z", "version": "20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0"}
	def page(*rows): return 200, {"Content-Type": "application/json"}, json.dumps(rows).encode()'

@test "a listing without an end is stopped, and nothing fills the memory" {
	# Many rows; a directory in each; an answer that says that it is larger than any listing.
	fake "$row"'
	many = b"[" + b",".join([b"{}"] * 50000) + b"]"
	def do(method, target):
	    if target.startswith("/many/?"): return page(*[row("%d/" % i, "directory") for i in range(100)])
	    if target.startswith("/many/"): return 200, {"Content-Type": "application/json"}, many
	    if target.startswith("/flat/"): return 200, {"Content-Type": "application/json"}, b"[" + b"{}," * 2000000 + b"{}]"
	    if target.startswith("/deep/"): return page(row("deeper/", "directory"))
	    return 200, {"Content-Type": "application/json", "Content-Length": 1 << 31}, b"[]"'
	run covey ls -R --json many
	[ "$status" -eq 65 ]
	[[ ${lines[0]} == "covey: ls many: stopped: these are more than 2000000 names or 1024 MB"* ]]
	[ "$(grep -o '{' <<<"${lines[1]}" | wc -l)" -eq 2000000 ]
	covey ls flat >flat.txt
	[ "$(wc -l <flat.txt)" -eq 2000001 ]
	run covey ls -R deep
	[ "$status" -eq 76 ]
	[[ ${lines[0]} == *"the path is longer than 900 bytes" ]]
	[ "$(grep -c '^GET /deep/' fake.log)" -lt 200 ]
	mkdir src
	for command in "ls huge" "ls -R huge" "log huge" "put -r src huge" "get -r huge/ got"; do
		read -ra words <<<"$command"
		run covey "${words[@]}"
		[ "$status" -eq 65 ]
		[[ ${lines[0]} == *"the answer has more than 1024 MB" ]]
	done
}

@test "a write that is not confirmed is no success: one line for all, and 75" {
	fake 'def do(method, target):
	    if method == "GET": return 404, {}, b""
	    return 202, {"Version-State": "unconfirmed; homes=1/3; copies=1"}, b""'
	mkdir src
	echo x | tee src/{1,2,3} >/dev/null
	run covey put -r src d
	echo "$output"
	[ "$status" -eq 75 ]
	[ "${lines[0]}" = "covey: 3 of 3 are on this node's disk, and not confirmed by the group yet (202)" ]
	[ "${lines[1]}" = "3 files stored, 0 are the same" ]
	run covey put -r --async src d
	[ "$status" -eq 0 ]
	[ "$output" = "3 files stored, 0 are the same" ]
	run covey put -r --json src d
	[ "$status" -eq 75 ]
	[ "$(grep -c '^{.*"status":202' <<<"$output")" -eq 3 ]
}

@test "the line of what is not confirmed counts the empty directories that were made, too" {
	fake 'def do(method, target):
	    if method == "GET": return 404, {}, b""
	    return 202, {"Version-State": "unconfirmed; homes=1/3; copies=1"}, b""'
	mkdir -p src/{empty,hollow}
	echo x >src/1
	run covey put -r src d
	echo "$output"
	[ "$status" -eq 75 ]
	[ "${lines[0]}" = "covey: 3 of 3 are on this node's disk, and not confirmed by the group yet (202)" ]
	[ "${lines[1]}" = "1 files stored, 0 are the same" ]
}

@test "an answer that breaks off is not counted as a file that is stored" {
	fake 'def do(method, target):
	    if method == "GET": return 404, {}, b""
	    return 201, {"Content-Length": 5}, b""'
	mkdir src
	echo x >src/1
	run covey put -r src d
	echo "$output"
	[ "$status" -eq 69 ]
	[ "${lines[-1]}" = "0 files stored, 0 are the same" ]
}

@test "a 404 that says nothing of the group is no missing confirmation" {
	fake 'def do(method, target):
	    return (404, {"Version-State": ""}, b"") if method != "PUT" else (201, {}, b"")'
	mkdir src
	echo x >src/1
	run covey get -r d here
	[ "$status" -eq 66 ]
	[ "$output" = "covey: /d: no such directory" ]
	run covey put -r src d
	[ "$status" -eq 0 ]
	[ "$output" = "1 files stored, 0 are the same" ]
	run covey rm -r d
	[ "$status" -eq 66 ]
}

@test "the status is the worst of all, and each file that failed is told" {
	fake 'def do(method, target):
	    if method == "GET": return 404, {}, b""
	    return (202, {}, b"") if target.endswith("2") else (400, {}, b"no such thing\n") if target.endswith("3") else (201, {}, b"")'
	mkdir src
	echo x | tee src/{1,2,3,4} >/dev/null
	run covey put -r src d
	echo "$output"
	[ "$status" -eq 65 ]
	grep -qx 'covey: d/3: no such thing (400)' <<<"$output"
	grep -qx '3 files stored, 0 are the same' <<<"$output"
	# So it is with several that are named: 75 would be tried again.
	run covey put src/2 src/3 src/1 d/
	[ "$status" -eq 65 ]
	run covey rm d/2 d/3 d/1
	[ "$status" -eq 65 ]
}

@test "when the node is gone the rest is not tried" {
	mkdir src
	for ((i = 0; i < 100; i++)); do echo "$i" >src/$i; done
	fake 'import os
	def do(method, target):
	    if method == "GET": return 404, {}, b""
	    os._exit(1)'
	run covey put -r src d
	echo "$output"
	[ "$status" -eq 69 ]
	[ "$(grep -c 'the rest is not tried' <<<"$output")" -eq 1 ]
	[ "${#lines[@]}" -lt 20 ]
}

@test "a file that breaks off is told, and the rest is fetched" {
	fake "$row
	def do(method, target):
	    if target.startswith('/d/?'): return page(*[row('f%02d' % i) for i in range(60)])
	    return 200, {'Content-Length': 9} if target == '/d/f30' else {}, b'x\n'"
	run covey get -r d out
	echo "$output"
	[ "$status" -eq 69 ]
	[[ ${lines[0]} == "covey: get d/f30: ask $COVEY_NODE"*"7 bytes remaining"* ]]
	[ "${lines[1]}" = "59 files fetched, 0 are the same" ]
	[ ! -e out/f30 ]
	[ -e out/f00 ]
	[ -e out/f59 ]
}

@test "a file that becomes shorter while it is sent fails at once, one that grows is sent as it was" {
	mkdir src
	bytes 8000000 >src/shorter
	bytes 8000000 >src/longer
	echo x >src/x
	fake 'import os
	def expected(target): os.truncate("src" + target[2:], 100 if "shorter" in target else 16000000)
	def do(method, target): return (404, {}, b"") if method == "GET" else (201, {}, b"")'
	run covey put -r src d
	echo "$output"
	cat fake.log
	[ "$status" -eq 65 ]
	[ "${lines[0]}" = "covey: put src/shorter: read the content: it became shorter meanwhile" ]
	[ "${lines[1]}" = "2 files stored, 0 are the same" ]
	[ "$(grep -c '^PUT .* 201$' fake.log)" -eq 2 ]
	# Nothing of it stands in the way of the next one on the connection.
	bytes 8000000 >src/longer
	run covey put src/longer src/x d/
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(grep -c '^PUT .* 201$' fake.log)" -eq 4 ]
}

@test "what a node tells reaches the terminal without escapes, each in a line of its own" {
	fake "$row
	def do(method, target):
	    if target.startswith('/d/?'): return page(row('%1B%5D0;x%07%0Acovey%7F'))
	    return 404, {}, b''"
	run covey get -r d out
	echo "$output"
	[ "$status" -eq 66 ]
	[ "${lines[0]}" = "covey: d/?]0;x??covey?: no such path (404)" ]
}

@test "links in the directory here are not followed" {
	fake "$row
	def do(method, target):
	    if target.startswith('/d/?'): return page(row('sub/', 'directory', None), row('file'))
	    if target.startswith('/d/sub/?'): return page(row('x'))
	    return 200, {'ETag': '\"20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0\"'}, b'x\n'"
	mkdir here elsewhere
	ln -s ../elsewhere here/sub
	ln -s ../elsewhere/file here/file
	run covey get -r d here
	echo "$output"
	[ "$status" -ne 0 ]
	[ -z "$(ls elsewhere)" ]
	[ "$(cat here/file)" = x ]
	[ ! -L here/file ]
}

@test "what is in the way here is told, nothing is left of what was for it, and the rest comes" {
	mkdir -p src/directory here/file
	echo x | tee src/directory/x src/file src/other >/dev/null
	echo mine >here/directory
	covey put -rq src "$HERE"
	run covey get -r "$HERE" here
	echo "$output"
	[ "$status" -ne 0 ]
	grep -q '^covey: open directory here/directory: Not a directory' <<<"$output"
	grep -q "^covey: get ${HERE#/}/file: .* to file: Is a directory" <<<"$output"
	[ "$(cat here/directory)" = mine ]
	[ "$(cat here/other)" = x ]
	[ -z "$(find here -name '*.part')" ]
}

@test "another file system that is mounted in the directory here is written, too" {
	mkdir -p src/sub/deep here/sub
	echo x >src/sub/deep/x
	covey put -rq src "$HERE"
	need mounts
	run unshare -rm bash -c "mount -t tmpfs none here/sub && covey get -r $HERE here && cat here/sub/deep/x"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${lines[1]}" = x ]
}

@test "a name of a listing that is none is refused" {
	local name
	fake "$row
	def do(method, target):
	    if target.startswith('/list/'): return page(row(open('name').read()))
	    return 200, {}, b'x\n'"
	mkdir outer
	for name in .. . %2E%2E a%2Fb ..%2Fb a%00b '' %2F %zz; do
		printf '%s' "$name" >name
		run covey get -r list outer/here
		echo "$name: $output"
		[ "$status" -eq 76 ]
		run covey rm -r list
		[ "$status" -eq 76 ]
	done
	[ -z "$(ls outer)" ]
	run grep -q ^DELETE fake.log
	[ "$status" -eq 1 ]
}

@test "a listing without end is followed as far as a path can go" {
	fake "$row
	def do(method, target):
	    if method == 'GET': return page(*[row('d/', 'directory', None)] * (len(seen) < 2000))
	    return 204, {}, b''"
	run covey get -r list here
	[ "$status" -eq 76 ]
	[[ ${lines[0]} == "covey: list /list/d/d/"*": over 900 bytes" ]]
	[ "$(grep -c '^GET' fake.log)" -lt 500 ]
	run covey rm -r list
	[ "$status" -eq 76 ]
	[[ ${lines[0]} == "covey: list /list/d/d/"*": over 900 bytes" ]]
}

@test "what came while rm -r removed is removed once more; what is in the way then is told" {
	fake "$row
	def do(method, target):
	    if method == 'GET': return page(row('f%d' % len(seen)))
	    return (409, {}, b'the directory is not empty\n') if target.endswith('/') and len(seen) < 4 else (204, {}, b'')"
	run covey rm -r d
	cat fake.log
	[ "$status" -eq 0 ]
	[ "$(grep -c '^GET' fake.log)" -eq 2 ]
	[ "$(tail -n 1 fake.log)" = "DELETE /d/ 204" ]
	fake "$row
	def do(method, target):
	    if method == 'GET': return page(row('f'))
	    return (409, {}, b'the directory is not empty\n') if target.endswith('/') else (204, {}, b'')"
	run covey rm -r d
	[ "$status" -eq 65 ]
	[ "$output" = "covey: d: the directory is not empty (409)" ]
}

@test "one line of progress on a terminal, none elsewhere" {
	need script
	mkdir src
	for ((i = 0; i < 40; i++)); do echo "$i" >src/$i; done
	fake 'def do(method, target):
	    if method == "GET": return 404, {}, b""
	    time.sleep(0.04)
	    return 201, {}, b""'
	run script -qec "covey put -r src d" /dev/null
	[ "$status" -eq 0 ]
	[[ $output == *$'\r'*"src  "*" of 40 so far"*$'\r\e[K40 files stored'* ]]
	run covey put -r src d
	[ "$output" = "40 files stored, 0 are the same" ]
}

@test "in a group of five each node puts, gets and removes" {
	D=$D/five
	mkdir "$D"
	cd "$D"
	PORT_BASE=$((PORT_BASE + 30)) group 5
	tree src
	covey put -rq --node "${URLS[1]}" src /d/
	for node in "${URLS[@]}"; do
		covey get -rq --node "$node" /d "out"
		diff -r src out
		run covey put -r --node "$node" src /d
		[ "$output" = "0 files stored, 6 are the same" ]
		run covey get -r --checksum --node "$node" /d out
		[ "$output" = "0 files fetched, 6 are the same" ]
		rm -r out
	done
	covey rm -r --node "${URLS[5]}" /d
	for node in "${URLS[@]}"; do
		run covey ls --node "$node" /d
		[ "$status" -eq 66 ]
	done
}

@test "alone among three a node tells that nothing is confirmed" {
	D=$D/three
	mkdir "$D"
	cd "$D"
	mkdir group
	covey key new >group/group.key
	chmod 600 group/group.key
	PORT_BASE=$((PORT_BASE + 30))
	group_conf 3
	_group_places 3 "$D/group"
	for i in 1 2 3; do
		spawn "n$i" covey up -c "$D/group/node$i/covey.yaml"
		pids[i]=$PID
	done
	wait_until 30 settled 3
	tree src
	covey put -rq --node "${URLS[1]}" src /d
	stop_all "${pids[2]}" "${pids[3]}"
	run covey get -r --node "${URLS[1]}" /d out
	echo "$output"
	[ "$status" -eq 75 ]
	grep -q '^covey: /d: the group does not confirm now what is in it' <<<"$output"
	echo more >src/more
	run covey put -r --node "${URLS[1]}" src /d
	echo "$output"
	[ "$status" -eq 75 ]
	run covey put -r --async --node "${URLS[1]}" src /d
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = "0 files stored, 7 are the same" ]
}
