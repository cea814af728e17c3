#!/usr/bin/env bats
# What other programs send: git, apt, proxies, links with other people's parameters.
load helpers

# git and apt as they are out of the box, and nothing between them and the node
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY

# upload DIR PATH: every file of it
upload() {
	(cd "$1" && find . -type f -printf '%P\n') | while read -r name; do
		curl -sf -T "$1/$name" "$URL$2/$name" || return
	done
}

@test "git clones over dumb http, and fetches what is new" {
	need git
	httpd n
	git init -q -b main work
	for n in 1 2 3; do
		echo "$n" >"work/file $n"
		git -C work add .
		git -C work commit -qm "$n"
	done
	git clone -q --bare work repo.git
	git -C repo.git update-server-info
	upload repo.git /git/repo.git
	run git clone "$URL/git/repo.git" clone
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(git -C clone rev-parse HEAD)" = "$(git -C work rev-parse HEAD)" ]
	diff -r -x .git work clone

	echo 4 >"work/file 4"
	git -C work add .
	git -C work commit -qm 4
	git -C work push -q "$D/repo.git" main
	git -C repo.git repack -qad
	git -C repo.git update-server-info
	upload repo.git /git/repo.git
	run git -C clone pull -q
	echo "$output"
	[ "$status" -eq 0 ]
	diff -r -x .git work clone
}

# release: Packages and Release of the packages in repo/, as apt wants them
release() {
	(cd repo && dpkg-scanpackages -m . >Packages 2>/dev/null)
	printf 'Suite: flat\nDate: %s\nSHA256:\n %s %s Packages\n' "$(LC_ALL=C date -Ru)" "$(sha repo/Packages)" \
		"$(stat -c %s repo/Packages)" >repo/Release
}

later_than() { [ "$(date +%s)" -gt "$1" ]; }	# seconds since 1970

# build VERSION: a package of that version
build() {
	mkdir -p "p$1/DEBIAN" "p$1/usr/share/covey-flat"
	echo "$1" >"p$1/usr/share/covey-flat/version"
	printf 'Package: covey-flat\nVersion: %s\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: a test\n' \
		"$1" >"p$1/DEBIAN/control"
	dpkg-deb --root-owner-group -b "p$1" "repo/covey-flat_$1_all.deb" >/dev/null
}

apt_get() {
	apt-get -o Dir::State="$D/apt/state" -o Dir::Cache="$D/apt/cache" -o Dir::Etc::SourceList="$D/sources.list" \
		-o Dir::Etc::SourceParts=- -o Dir::Etc::Parts=- -o Dir::State::status="$D/apt/status" \
		-o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none -o Acquire::http::Proxy=DIRECT "$@"
}

@test "apt takes packages from a flat repository" {
	need apt-get
	need dpkg-scanpackages
	httpd n
	mkdir -p repo apt/state/lists/partial apt/cache/archives/partial
	touch apt/status
	echo "deb [trusted=yes] $URL/debian ./" >sources.list
	build 1.0
	release
	upload repo /debian
	run apt_get update
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output != *Err:* ]]
	run apt_get download covey-flat
	echo "$output"
	[ "$status" -eq 0 ]
	cmp covey-flat_1.0_all.deb repo/covey-flat_1.0_all.deb

	# What did not change is not sent again, what did is.
	run apt_get update
	[ "$status" -eq 0 ]
	[[ $output == *"Hit:"* ]]
	# apt asks by date, which does not tell apart what was put within a second.
	wait_until 50 later_than "$(date +%s)"
	build 1.1
	release
	upload repo /debian
	run apt_get update
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"Get:"* ]]
	run apt_get download covey-flat
	echo "$output"
	[ "$status" -eq 0 ]
	cmp covey-flat_1.1_all.deb repo/covey-flat_1.1_all.deb
}

@test "a reader's unknown parameters are ignored, covey's own are strict, and so are writes" {
	httpd n
	echo one | curl -sfT - "$URL/d/f"
	id=$(curl -sf "$URL/d/f?versions&format=text" | cut -d ' ' -f 1)
	echo two | curl -sfT - "$URL/d/f"
	for query in v=3 'utm_source=x&utm_medium=y' service=git-upload-pack '=' 'x=%' '%zz' 'x&x'; do
		[ "$(code -g "$URL/d/f?$query")" = 200 ]
		[ "$(cat body)" = two ]
		[ "$(code -g -I "$URL/d/f?$query")" = 200 ]
		[ "$(code -g "$URL/d/f?$query&version=$id")" = 200 ]
		[ "$(cat body)" = one ]
		[ "$(code -g "$URL/d/?$query&format=text")" = 200 ]
		[ "$(wc -l <body)" -eq 1 ]
		[ "$(code -g "$URL/d/f?versions&$query&limit=1")" = 200 ]
		[ "$(wc -l <body)" -eq 1 ]
		[ "$(code -g "$URL/.covey/healthz?$query")" = 200 ]
		[ "$(code -g "$URL/.covey/status?$query")" = 200 ]
	done
	for query in version=1 limit=0 format=pdf versions=1 'versions&versions' "versions&version=$id" "restore=$id"; do
		[ "$(code "$URL/d/f?$query")" = 400 ]
		[ "$(code "$URL/d/f?x=1&$query")" = 400 ]
	done
	for query in v=3 utm_source=x "restore=$id&v=3"; do
		[ "$(code -T "$CONF" "$URL/d/f?$query")" = 400 ]
		[ "$(code -X POST --data-binary x "$URL/d/f?$query")" = 400 ]
		[ "$(code -X DELETE "$URL/d/f?$query")" = 400 ]
		[ "$(code -X PUT "$URL/e/?$query")" = 400 ]
		[ "$(code -X DELETE "$URL/d/?$query")" = 400 ]
	done
	[ "$(curl -sf "$URL/d/f?versions" | wc -l)" -eq 2 ]
}

@test "/./ and // are normalised for every method, and .. is refused" {
	httpd n
	as_is() { code --path-as-is "$@"; }
	[ "$(echo one | as_is -T - "$URL//d/./f")" = 201 ]
	[ "$(echo two | as_is -T - "$URL/./d///f")" = 204 ]
	[ "$(curl -sf "$URL/d/f")" = two ]
	[ "$(as_is "$URL/d/.//f")" = 200 ]
	[ "$(cat body)" = two ]
	[ "$(as_is "$URL//d//f?versions")" = 200 ]
	[ "$(wc -l <body)" -eq 2 ]
	id=$(tail -n 1 body | cut -d ' ' -f 1)
	[ "$(as_is "$URL//d/f?version=$id")" = 200 ]
	[ "$(cat body)" = one ]
	[ "$(as_is -X POST "$URL/d/./f?restore=$id")" = 204 ]
	[ "$(curl -sf "$URL/d/f")" = one ]
	for directory in /d/. /d/./ /d// //d/ /./d/./.; do
		[ "$(as_is "$URL$directory?format=text")" = 200 ]
		[ "$(wc -l <body)" -eq 1 ]
		[ "$(as_is -X DELETE "$URL$directory")" = 409 ]
		[ "$(echo x | as_is -T - "$URL$directory")" = 400 ]
	done
	[ "$(as_is -X PUT "$URL//e/.")" = 201 ]
	[ "$(as_is -X DELETE "$URL/./e/")" = 204 ]
	[ "$(as_is -F "file=@$CONF;filename=g" "$URL/d/.//")" = 201 ]
	[ "$(curl -sf "$URL/d/g")" = "$(cat "$CONF")" ]
	[ "$(as_is -L "$URL/./d")" = 200 ]
	[ "$(as_is -L "$URL/d/.//../d")" = 400 ]
	for up in /.. /d/.. /d/../d/f /d/%2e%2e/d/f /d/.%2E/f /%2e./d/f /d/%2e/f; do
		[ "$(as_is "$URL$up")" = 400 ]
		[ "$(echo x | as_is -T - "$URL$up")" = 400 ]
		[ "$(as_is -X DELETE "$URL$up")" = 400 ]
	done
	[ "$(as_is "$URL//.covey/x")" = 403 ]
	[ "$(as_is -X DELETE "$URL//d/./f")" = 204 ]
	[ "$(code "$URL/d/f")" = 404 ]
	[ "$(cd "$STORE/tree" && find . -type f)" = ./d/g ]
}

# The node, below /sub of another server, which knows nothing of what is behind it.
proxy() {
	spawn proxy python3 -c 'import http.client, http.server, sys
class Proxy(http.server.BaseHTTPRequestHandler):
    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        back = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]))
        back.request(self.command, self.path.removeprefix("/sub"), body, dict(self.headers))
        answer = back.getresponse()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.read())
    do_GET = do_HEAD = do_POST = do_PUT = forward
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Proxy).serve_forever()' "$1" "${URL##*:}"
	wait_until 20 ready "http://127.0.0.1:$1/sub"
}

@test "redirects survive the sub-path of a proxy" {
	need python3
	httpd n
	proxy "$(port 1)"
	sub=http://127.0.0.1:$(port 1)/sub
	echo x | curl -sfT - "$URL/a/d/f"
	echo x | curl -sfT - "$URL/a/d:%20%C3%A4/f"
	for directory in a a/d a/d:%20%C3%A4; do
		[ "$(code "$sub/$directory?limit=1")" = 301 ]
		[ "$(code -L -w '%{http_code} %{url_effective}' "$sub/$directory?limit=1&format=text")" = \
			"200 $sub/${directory/:/%3A}/?limit=1&format=text" ]
		[ "$(wc -l <body)" -ge 1 ]
	done
	[ "$(code "$URL/a/d")" = 301 ]
	[ "$(header Location)" = d/ ]
	browser=(-L -H 'Accept: text/html' -H 'Sec-Fetch-Site: same-origin' -w '%{http_code} %{url_effective}')
	echo y >g
	[ "$(code "${browser[@]}" -F file=@g "$sub/a/d/")" = "200 $sub/a/d/" ]
	[ "$(code "${browser[@]}" -F file=@g "$sub/a/d/f")" = "200 $sub/a/d/" ]
	id=$(curl -sf "$URL/a/d/f?versions" | tail -n 1 | cut -d ' ' -f 1)
	[ "$(code "${browser[@]}" -d '' "$sub/a/d/f?restore=$id")" = "200 $sub/a/d/f?versions" ]
	[ "$(curl -sf "$URL/a/d/f")" = x ]
}
