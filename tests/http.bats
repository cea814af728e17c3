#!/usr/bin/env bats
# HTTP as a client sees it, on a group of one: covey-httpd alone, curl, and bytes no client would send.
load helpers

PORT() { echo "${URL##*:}"; }

# answer REQUEST...: each argument is sent as printf's format; what came is in $D/answer
answer() {
	# shellcheck disable=SC2059  # the request is the format
	printf "$@" | raw "$(PORT)" "${RAW_SECONDS:-5}" >"$D/answer"
}

# statuses: the status of each response in $D/answer, in order
statuses() {
	grep -aoE 'HTTP/1\.1 [0-9]{3} ' "$D/answer" | cut -d ' ' -f 2 | tr '\n' ' '
}

# refused STATUS REQUEST: one answer of that status, and the connection closes
refused() {
	local want=$1
	shift
	answer "$@"
	[ "$(statuses)" = "$want " ] || { echo "want $want, got $(statuses) for $1"; return 1; }
	grep -aqi '^connection: close' "$D/answer" || { echo "not closed: $1"; return 1; }
}

versions() {
	curl -sf "$1?versions&format=json" | jq length
}

# PUT, POST, GET, HEAD, DELETE

@test "PUT is 201, then 204; GET gives the newest, with its version as entity tag" {
	httpd n
	bytes 100000 >a
	[ "$(code -T a "$URL/a.bin")" = 201 ]
	tag=$(header ETag)
	[ "$(header Version-State)" = confirmed ]
	[[ $tag =~ ^\"20[0-9]{6}T[0-9]{6}\.[0-9]{9}Z-[0-9a-f]{16}-0\"$ ]]
	[ "$(code "$URL/a.bin")" = 200 ]
	[ "$(header ETag)" = "$tag" ]
	[ "$(header Version-State)" = confirmed ]
	[ "$(header Content-Length)" = 100000 ]
	[ "$(header Content-Type)" = application/octet-stream ]
	[ "$(header Accept-Ranges)" = bytes ]
	[ "$(header X-Content-Type-Options)" = nosniff ]
	[[ $(header Cache-Status) == *hit* ]]
	cmp body a
	echo two >b
	[ "$(code -T b "$URL/a.bin")" = 204 ]
	[ "$(header ETag)" != "$tag" ]
	[ "$(curl -sf "$URL/a.bin")" = two ]
	cmp "$STORE/tree/a.bin" b
}

@test "POST of a raw body is an upload; no length at all is 411" {
	httpd n
	[ "$(code -H 'Content-Type: text/x-made' --data-binary hello "$URL/p")" = 201 ]
	[ "$(code "$URL/p")" = 200 ]
	[ "$(header Content-Type)" = text/x-made ]
	[ "$(cat body)" = hello ]
	[ "$(code --data-binary hello "$URL/q.html")" = 201 ]
	[ "$(code "$URL/q.html")" = 200 ]
	[ "$(header Content-Type)" = "text/html; charset=utf-8" ]
	answer 'PUT /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
	[ "$(statuses)" = "411 " ]
	[ "$(code -X PUT --data-binary '' "$URL/empty")" = 201 ]
	[ "$(code "$URL/empty")" = 200 ]
	[ "$(header Content-Length)" = 0 ]
}

@test "HEAD is GET without its body" {
	httpd n
	bytes 5000 >a
	curl -sfT a "$URL/a"
	[ "$(code "$URL/a")" = 200 ]
	grep -viE '^(date|cache-status):' headers >get.headers
	[ "$(code -I "$URL/a")" = 200 ]
	grep -viE '^(date|cache-status):' headers >head.headers
	diff get.headers head.headers
	answer 'HEAD /a HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /none HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
	[ "$(statuses)" = "200 404 200 " ]
	run grep -avE '^(HTTP/1\.1 .*|[A-Za-z-]+: .*|)$' <(tr -d '\r' <answer)	# heads, and nothing else
	[ "$status" -eq 1 ]
}

@test "DELETE is 204, then 404; the history stays" {
	httpd n
	echo one | curl -sfT - "$URL/a"
	[ "$(code -X DELETE "$URL/a")" = 204 ]
	[ -n "$(header ETag)" ]
	[ "$(code "$URL/a")" = 404 ]
	[ "$(code -X DELETE "$URL/a")" = 404 ]
	[ "$(versions "$URL/a")" -eq 2 ]
	[ "$(code -X DELETE "$URL/never")" = 404 ]
	echo two | curl -sfT - "$URL/a"
	[ "$(curl -sf "$URL/a")" = two ]
	[ "$(versions "$URL/a")" -eq 3 ]
}

@test "OPTIONS tells the methods; an unknown one is 501, a service page 405" {
	httpd n
	[ "$(code -X OPTIONS "$URL/a")" = 204 ]
	[[ $(header Allow) == *GET*HEAD*PUT*POST*DELETE*OPTIONS* ]]
	[ "$(code -X OPTIONS --request-target '*' "$URL")" = 204 ]
	[ "$(code -X BREW "$URL/a")" = 501 ]
	[ "$(code -X POST -d x "$URL/.covey/healthz")" = 405 ]
	[ "$(header Allow)" = "GET, HEAD" ]
	[ "$(code "$URL/.covey/healthz")" = 200 ]
	[ "$(code "$URL/.covey/readyz")" = 200 ]
	[ "$(code "$URL/.covey/status")" = 200 ]
	jq -e '.node and .store.free and (.group.peers == [])' body
	[ "$(code "$URL/.covey/layout")" = 200 ]
	jq -e '.epoch == 0 and .lineage == null and (.joint | not) and .homes == 3 and .keep.versions == 100' body
	[ "$(code "$URL/.covey/metrics")" = 200 ]
	[ "$(header content-type)" = "text/plain; version=0.0.4; charset=utf-8" ]
	grep -qx 'covey_connections 1' body
	run grep -vE '^# (HELP|TYPE) covey_|^covey_[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9]+$' body
	[ -z "$output" ]
	[ "$(code "$URL/.covey/nothing")" = 404 ]
	[ "$(code -T "$CONF" "$URL/.covey/healthz")" = 405 ]
}

# forms

@test "a form with one file at a path, several to a directory" {
	httpd n
	bytes 300000 1 >a
	bytes 70000 2 >b
	[ "$(code -F file=@a "$URL/p")" = 201 ]
	[ "$(sha <(curl -sf "$URL/p"))" = "$(sha a)" ]
	[ "$(code -F file=@a -F note=ignored -F file=@b "$URL/dir/")" = 201 ]
	curl -sf "$URL/dir/a" | cmp - a
	curl -sf "$URL/dir/b" | cmp - b
	[ "$(code -F file=@a -F file=@b "$URL/q")" = 400 ]
	[ "$(code "$URL/q")" = 404 ]
	[ "$(code -F note=text "$URL/dir/")" = 400 ]
	[ "$(code -d x=y "$URL/dir/")" = 400 ]
}

@test "file names of forms: quotes, UTF-8, percent, directories left away" {
	httpd n
	mkdir -p sub
	for name in 'a"b.txt' 'ä ö.txt' '100%.txt' 'semi;colon' 'back\slash'; do
		echo "$name" >"sub/$name"
	done
	[ "$(code -F 'f=@"sub/a\"b.txt"' "$URL/d/")" = 201 ]
	[ "$(curl -sf "$URL/d/a%22b.txt")" = 'a"b.txt' ]
	for name in 'ä ö.txt' '100%.txt' 'semi;colon'; do
		[ "$(code -F "f=@\"sub/$name\"" "$URL/d/")" = 201 ]
		[ "$(curl -sf "$URL/d/$(jq -rn --arg n "$name" '$n|@uri')")" = "$name" ]
	done
	[ "$(code -F 'f=@sub/100%.txt;filename=../../up' "$URL/d/")" = 201 ]
	[ "$(code "$URL/d/up")" = 200 ]
	[ "$(code -F 'f=@sub/100%.txt;filename=..' "$URL/d/")" = 400 ]
}

@test "a browser's form is answered 303 to the index; another site's is 403" {
	httpd n
	echo x >a
	[ "$(code -H 'Accept: text/html,*/*;q=0.8' -H "Origin: $URL" -F file=@a "$URL/d/")" = 303 ]
	[ "$(header Location)" = ./ ]
	[ "$(code -H 'Accept: text/html' -H 'Sec-Fetch-Site: same-origin' -F file=@a "$URL/d/")" = 303 ]
	[ "$(code -H 'Origin: http://evil.example' -F file=@a "$URL/d/evil/")" = 403 ]
	[ "$(code -H 'Sec-Fetch-Site: cross-site' -F file=@a "$URL/d/evil/")" = 403 ]
	[ "$(code -H 'Sec-Fetch-Site: same-site' -d x "$URL/d/evil")" = 403 ]
	[ "$(code -H 'Origin: null' -X DELETE "$URL/d/a")" = 403 ]
	[ "$(code "$URL/d/a")" = 200 ]
	[ "$(code "$URL/d/evil/")" = 404 ]
	[ "$(code -H 'Origin: http://evil.example' "$URL/d/a")" = 200 ]
}

@test "a form that is cut off or malformed stores nothing" {
	httpd n
	form='--B\r\nContent-Disposition: form-data; name=f; filename=cut\r\n\r\nhello'
	answer "POST /d/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: $((${#form} - 6))\r\n\r\n$form"
	[ "$(statuses)" = "400 " ]
	[ "$(code -H 'Content-Type: multipart/form-data' --data-binary x "$URL/d/")" = 400 ]
	[ "$(code "$URL/d/cut")" = 404 ]
	run find "$STORE/tree" "$STORE/tmp" -type f
	[ -z "$output" ]
}

# versions

@test "?versions: newest first, with every field; text, JSON and a page" {
	httpd n
	echo one | curl -sfT - "$URL/a.txt"
	echo three | curl -sfT - "$URL/a.txt"
	curl -sf -X DELETE "$URL/a.txt"
	echo fourth | curl -sfT - -H 'Content-Type: text/x-made' "$URL/a.txt"
	[ "$(code -H 'Accept: application/json' "$URL/a.txt?versions")" = 200 ]
	[ "$(header Content-Type)" = application/json ]
	[ "$(header Version-State)" = confirmed ]
	[ "$(jq -c 'map([.size, .deleted, .current])' body)" = '[[7,false,true],[0,true,false],[6,false,false],[4,false,false]]' ]
	[ "$(jq -r '.[0].type' body)" = text/x-made ]
	[ "$(jq -r '.[2].type' body)" = "text/plain; charset=utf-8" ]
	[ "$(jq -r '.[3].sha256' body)" = "$(echo one | sha)" ]
	[ "$(jq -r '.[1].sha256' body)" = null ]
	jq -e 'all(.version | test("^20[0-9]{6}T[0-9]{6}[.][0-9]{9}Z-[0-9a-f]{16}-0$"))' body
	jq -e 'all(.time | test("^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.][0-9]{9}Z$"))' body
	jq -e '(map(.version) | sort | reverse) == map(.version)' body
	jq -e 'all(.node | test("^[0-9a-f]{16}$"))' body
	[ "$(code "$URL/a.txt?versions")" = 200 ]
	[[ $(header Content-Type) == text/plain* ]]
	[ "$(wc -l <body)" -eq 4 ]
	[ "$(code -H 'Accept: text/html' "$URL/a.txt?versions")" = 200 ]
	[[ $(header Content-Type) == text/html* ]]
	grep -q "?restore=" body
	[ "$(code "$URL/none?versions")" = 404 ]
}

@test "?version= gives each version for ever; ?restore= makes it the newest again" {
	httpd n
	echo one | curl -sfT - "$URL/a.txt"
	echo two | curl -sfT - "$URL/a.txt"
	curl -sf -X DELETE "$URL/a.txt"
	mapfile -t id < <(curl -sf "$URL/a.txt?versions&format=json" | jq -r '.[].version')
	[ "$(curl -sf "$URL/a.txt?version=${id[2]}")" = one ]
	[ "$(curl -sf "$URL/a.txt?version=${id[1]}")" = two ]
	[ "$(code "$URL/a.txt?version=${id[1]}")" = 200 ]
	[ "$(header ETag)" = "\"${id[1]}\"" ]
	[[ $(header Cache-Control) == *immutable* ]]
	[ "$(code -r 1-2 "$URL/a.txt?version=${id[1]}")" = 206 ]
	[ "$(cat body)" = wo ]
	[ "$(code "$URL/a.txt?version=${id[0]}")" = 404 ]
	[ "$(code "$URL/a.txt?version=${id[0]%?}1")" = 404 ]
	[ "$(code "$URL/a.txt?version=nonsense")" = 400 ]
	[ "$(code -X POST "$URL/a.txt?restore=${id[2]}")" = 201 ]
	tag=$(header ETag)
	[ "$tag" != "\"${id[2]}\"" ]
	[ "$(curl -sf "$URL/a.txt")" = one ]
	[ "$(code -X POST "$URL/a.txt?restore=${id[1]}")" = 204 ]
	[ "$(curl -sf "$URL/a.txt")" = two ]
	[ "$(versions "$URL/a.txt")" -eq 5 ]
	[ "$(code -X POST -H 'Accept: text/html,*/*;q=0.8' -H "Origin: $URL" "$URL/a.txt?restore=${id[2]}")" = 303 ]
	[ "$(header Location)" = '?versions' ]
	[ "$(code -X POST -H 'Sec-Fetch-Site: cross-site' "$URL/a.txt?restore=${id[2]}")" = 403 ]
	[ "$(code -X POST "$URL/a.txt?restore=${id[0]}")" = 404 ]
	[ "$(code -X POST "$URL/other?restore=${id[1]}")" = 404 ]
	[ "$(code "$URL/a.txt?restore=${id[1]}")" = 400 ]
	[ "$(versions "$URL/a.txt")" -eq 6 ]
}

@test "a parameter that means nothing here is 400 of a write, which then does nothing" {
	httpd n
	echo one | curl -sfT - "$URL/a"
	[ "$(code -T "$CONF" "$URL/b?x=1")" = 400 ]
	[ "$(code "$URL/b")" = 404 ]
	[ "$(code -T "$CONF" "$URL/b?versions")" = 400 ]
	[ "$(code "$URL/a?version=%zz")" = 400 ]
	[ "$(code "$URL/?limit=0")" = 400 ]
	[ "$(code "$URL/a?")" = 200 ]
}

@test "a refusal says why, and not what the store was doing" {
	httpd n
	echo one | curl -sfT - "$URL/d/f"
	[ "$(code -X DELETE "$URL/none")" = 404 ]
	[ "$(cat body)" = "no such file" ]
	[ "$(code -T "$CONF" "$URL/d")" = 409 ]
	[[ $(cat body) == "a directory stands there: "* ]]
	[ "$(code -X DELETE "$URL/d/")" = 409 ]
	[ "$(cat body)" = "the directory is not empty" ]
	[ "$(code "$URL/none/")" = 404 ]
	[ "$(cat body)" = "no such directory" ]
	[ "$(code -H 'Accept: application/problem+json' -X DELETE "$URL/none")" = 404 ]
	[ "$(jq -r .detail body)" = "no such file" ]
	# of several files it says which
	[ "$(code -F "a=@$CONF;filename=a" -F "b=@$CONF;filename=d" "$URL/")" = 409 ]
	[[ $(cat body) == "/d: a directory stands there: "* ]]
}

# directories and indexes

@test "PUT and DELETE of a directory; a file and a directory exclude each other" {
	httpd n
	[ "$(code -X PUT "$URL/d/")" = 201 ]
	[ "$(code -X PUT "$URL/d/")" = 204 ]
	[ "$(code "$URL/d/")" = 200 ]
	[ "$(code "$URL/d")" = 301 ]
	[ "$(header Location)" = d/ ]
	[ "$(code -T "$CONF" "$URL/d")" = 409 ]
	grep -qi directory body
	[ "$(code -X PUT --data-binary x "$URL/e/")" = 400 ]
	echo x | curl -sfT - "$URL/d/f"
	[ "$(code -X DELETE "$URL/d/")" = 409 ]
	[ "$(code -T "$CONF" "$URL/d/f/g")" = 409 ]
	[ "$(code -X PUT "$URL/d/f/")" = 409 ]
	[ "$(code "$URL/d/f/")" = 404 ]
	curl -sf -X DELETE "$URL/d/f"
	[ "$(code -X DELETE "$URL/d/")" = 204 ]
	[ "$(code "$URL/d/")" = 404 ]
	[ "$(code -X DELETE "$URL/d/")" = 404 ]
	[ "$(code -X DELETE "$URL/")" = 409 ]
	[ "$(code -X PUT "$URL/")" = 409 ]
	[ "$(code -T "$CONF" "$URL/x/y/z")" = 201 ]
	[ "$(code "$URL/x/y/")" = 200 ]
	[ "$(code -T "$CONF" "$URL/d")" = 201 ]
}

@test "an index as JSON: name, href, type, size, time, version; sorted by bytes" {
	httpd n
	curl -sf -X PUT "$URL/i/sub/" -o /dev/null
	for name in b 'a%20x' '%FFz' 'Z' 'q%22%3C'; do
		printf '%s' "$name" | curl -sf -T - "$URL/i/$name"
	done
	curl -sf -X PUT "$URL/i/sub/" -o /dev/null
	echo gone | curl -sfT - "$URL/i/gone"
	curl -sf -X DELETE "$URL/i/gone"
	[ "$(code -H 'Accept: application/json' "$URL/i/")" = 200 ]
	[ "$(header Content-Type)" = application/json ]
	[ "$(jq -c 'map(.href)' body)" = '["Z","a%20x","b","q%22%3C","sub/","%FFz"]' ]
	[ "$(jq -c 'map(.name)' body)" = '["Z","a x","b","q\"<","sub","�z"]' ]
	[ "$(jq -c 'map(.type)' body)" = '["file","file","file","file","directory","file"]' ]
	[ "$(jq -c 'map(.size)' body)" = '[1,5,1,7,null,4]' ]
	jq -e 'map(select(.type == "file")) | all((.version | test("Z-[0-9a-f]{16}-0$")) and (.time | test("^20.*Z$")))' body
	jq -r '.[] | select(.type == "file") | .href' body | while read -r href; do
		[ "$(curl -sf "$URL/i/$href")" = "$href" ]
	done
	[ "$(curl -sf "$URL/i/?format=json&deleted" | jq -r '.[] | select(.type == "deleted") | .name')" = gone ]
	[ "$(code "$URL/none/")" = 404 ]
	[ "$(curl -sf "$URL/?format=json" | jq -c 'map([.name, .type])')" = '[["i","directory"]]' ]
}

@test "an index as text: one line per name, tabs between, percent-encoded" {
	httpd n
	echo x | curl -sfT - "$URL/t/a%09b"
	curl -sf -X PUT "$URL/t/sub/" -o /dev/null
	[ "$(code "$URL/t/?format=text")" = 200 ]
	[[ $(header Content-Type) == text/plain* ]]
	[ "$(cut -f 1-3 body)" = "$(printf 'a%%09b\tfile\t2\nsub/\tdirectory\t0')" ]
	[ "$(awk -F '\t' '{ print NF }' body)" = "$(printf '7\n5')" ]
	[ "$(code -H 'Accept: text/plain' "$URL/t/")" = 200 ]
	[ "$(awk 'END { print NR }' body)" = 2 ]
}

@test "an index as a page: links that walk, a form, no script, a policy" {
	httpd n
	printf '<b>&' | curl -sfT - "$URL/h/%3Cb%3E%26.txt"
	curl -sf -X PUT "$URL/h/sub/" -o /dev/null
	[ "$(code "$URL/h/")" = 200 ]
	[[ $(header Content-Type) == "text/html; charset=utf-8" ]]
	[[ $(header Content-Security-Policy) == *"default-src 'none'"* ]]
	[ "$(header X-Content-Type-Options)" = nosniff ]
	grep -q '<a href="%3Cb%3E%26.txt">&lt;b&gt;&amp;.txt</a>' body
	grep -q '<a href="sub/">sub/</a>' body
	[ "$(grep -c '<form[^>]*multipart/form-data' body)" -eq 1 ]
	run grep -ci '<script\|<b>&' body
	[ "$status" -eq 1 ]
	length=$(header Content-Length)
	[ "$(code -I "$URL/h/")" = 200 ]
	[ "$(header Content-Length)" = "$length" ]
}

@test "wget -r brings a whole tree" {
	need wget
	httpd n
	for p in a 'sub/b%20c' 'sub/deep/%C3%A4.txt'; do
		printf '%s' "$p" | curl -sf -T - "$URL/w/$p"
	done
	wget -q -r -np -nH --restrict-file-names=nocontrol -R 'index.html*' "$URL/w/"
	[ "$(cat w/a)" = a ]
	[ "$(cat 'w/sub/b c')" = 'sub/b%20c' ]
	[ "$(cat 'w/sub/deep/ä.txt')" = 'sub/deep/%C3%A4.txt' ]
	[ "$(find w -type f ! -name 'index.html*' | wc -l)" -eq 3 ]
}

@test "pages of an index: limit, after, Link: rel=next" {
	httpd n
	for i in 1 2 3 4 5; do echo $i | curl -sfT - "$URL/p/f%20$i"; done
	next="?format=json&limit=2" names=
	for round in 1 2 3; do
		[ "$(code "$URL/p/$next")" = 200 ]
		names+=$(jq -r 'map(.name) | join(",")' body),
		[ $round -lt 3 ] || break
		[[ $(header Link) =~ \<(.*)\>\;\ rel=\"next\" ]]
		next="${BASH_REMATCH[1]}"	# as it is: the next page is JSON too
	done
	[ "$names" = "f 1,f 2,f 3,f 4,f 5," ]
	[ -z "$(header Link)" ]
}

@test "pages of a history: limit, after, Link: rel=next, in each format" {
	httpd n
	for i in 1 2 3 4 5; do echo $i | curl -sfT - "$URL/h"; done
	mapfile -t id < <(curl -sf "$URL/h?versions&format=json" | jq -r '.[].version')
	[ "${#id[@]}" -eq 5 ]
	next="?versions&format=json&limit=2" all=
	for round in 1 2 3; do
		[ "$(code "$URL/h$next")" = 200 ]
		all+=$(jq -r 'map("\(.version) \(.current)") | join(",")' body),
		[ $round -lt 3 ] || break
		[[ $(header Link) =~ \<(.*)\>\;\ rel=\"next\" ]]
		next="${BASH_REMATCH[1]}"
	done
	[ "$all" = "${id[0]} true,${id[1]} false,${id[2]} false,${id[3]} false,${id[4]} false," ]
	[ -z "$(header Link)" ]
	[ "$(curl -sf "$URL/h?versions&after=${id[1]}&limit=1" | cut -d' ' -f1)" = "${id[2]}" ]
	[ "$(curl -sf "$URL/h?versions&after=${id[2]}" | wc -l)" -eq 2 ]
	[ "$(code "$URL/h?versions&limit=1&format=html")" = 200 ]
	grep -qF "<a rel=\"next\" href=\"?versions&amp;after=${id[0]}&amp;limit=1&amp;format=html\">" body
	run ! grep -qF "${id[1]}" body
	[ "$(code "$URL/h?versions&after=h")" = 400 ]
	[ "$(code "$URL/h?versions&limit=0")" = 400 ]
}

# many DIRECTORY N: so many files that nobody has the content of, whose names are long
many() {
	curl -sf -X PUT "$URL/$1/" -o /dev/null
	python3 - "$STORE/tree/$1" "$2" <<'PY'
import os, sys
os.chdir(sys.argv[1])
for i in range(int(sys.argv[2])):
    os.symlink(f"20261122T070000.000000001Z-00000000000000aa-0 - 5 {'1' * 64} 0", b"%05d" % i + b"\xff" * 200)
PY
}
names_of_json() { jq -r '.[].href[0:5]' "$@"; }

@test "a long index is told in parts: the same names in each format, to HTTP/1.0 too, whole and by pages" {
	httpd n
	many m 5000
	curl -sf -X PUT "$URL/m/z/" -o /dev/null
	{ seq -f %05.0f 0 4999; echo z/; } >all
	[ "$(code "$URL/m/?format=text")" = 200 ]
	[ "$(header Transfer-Encoding)" = chunked ]
	[ -z "$(header Content-Length)" ]
	cut -c 1-5 body | sed 's,^z.*,z/,' | cmp - all
	[ "$(code "$URL/m/?format=json")" = 200 ]
	names_of_json body | cmp - all
	[ "$(code -0 "$URL/m/?format=json")" = 200 ]
	[ -z "$(header Transfer-Encoding)" ]
	[ "$(header Connection)" = close ]
	names_of_json body | cmp - all
	# To people directories come first.
	[ "$(code "$URL/m/")" = 200 ]
	grep -o '^<tr><td><a href="[^"]*' body | sed 's,.*",,' | cut -c 1-5 | cmp - <(echo z/; head -n -1 all)
	[ "$(tail -n 1 body)" = '</html>' ]
	printf 'HEAD /m/?format=text HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' | raw "${URL##*:}" 20 >answer
	grep -qi '^transfer-encoding: chunked' answer
	[ "$(sed '1,/^\r$/d' answer | wc -c)" -eq 0 ]
	# Pages of one part and of several link on, until nothing follows.
	for limit in 700 1000 2200; do
		next="?format=json&limit=$limit"
		: >got
		while [ -n "$next" ]; do
			[ "$(code "$URL/m/$next")" = 200 ]
			[ "$(jq length body)" -le "$limit" ]
			names_of_json body >>got
			if [[ $(header Link) =~ \<(.*)\>\;\ rel=\"next\" ]]; then next=${BASH_REMATCH[1]}; else next=; fi
		done
		cmp got all
	done
	[ "$(code "$URL/m/?format=text&limit=5001")" = 200 ]
	[ -z "$(header Link)" ]
	[ "$(wc -l <body)" -eq 5001 ]
	[ "$(curl -sf "$URL/m/?format=text&after=04998$(printf '%%FF%.0s' {1..200})" | wc -l)" -eq 2 ]
}

# listers N READ: so many clients that read so many bytes of a long index each, and then close, or are reset
listers() {
	python3 - "${URL##*:}" "$1" "$2" <<'PY'
import socket, struct, sys
port, n, read = map(int, sys.argv[1:])
all = []
for i in range(n):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    s.sendall(b"GET /m/?format=json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    all.append(s)
for i, s in enumerate(all):
    got = 0
    while got < read:
        got += len(s.recv(min(4096, read - got)))
    if i % 2:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
PY
}
open_files() { find "/proc/$PID/fd" -type l | wc -l; }
has_open() { [ "$(open_files)" -le "$1" ]; }

@test "clients that hang up in the middle of a long index leave nothing behind" {
	httpd n
	many m 8000
	[ "$(curl -sf "$URL/m/?format=text" | wc -l)" -eq 8000 ]
	before=$(open_files)
	listers 20 0
	listers 20 20000
	wait_until 20 has_open "$before"
	[ "$(curl -sf "$URL/m/?format=text" | wc -l)" -eq 8000 ]
}

@test "a long index that cannot be told to its end is cut, and does not look whole" {
	httpd n
	many m 8000
	# Its list is kept when the directory has been still for a while.
	listed() { curl -sf -o /dev/null "$URL/m/?limit=1" && [ -n "$(ls "$STORE/state/lists")" ]; }
	wait_until 20 listed
	for version in 1.1 1.0; do
		wait_until 20 listed
		run python3 - "${URL##*:}" "$version" "$STORE/state/lists" <<'PY'
import os, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"GET /m/?format=json HTTP/%s\r\nHost: localhost\r\n\r\n" % sys.argv[2].encode())
got = s.recv(4096)
for name in os.listdir(sys.argv[3]):
    os.truncate(sys.argv[3] + "/" + name, 100)
end = "closed"
try:
    while True:
        more = s.recv(65536)
        if not more:
            break
        got = got[-100:] + more
except ConnectionResetError:
    end = "reset"
print(end, got.endswith(b"0\r\n\r\n") or b"]\n" in got[-20:])
PY
		[ "$status" -eq 0 ]
		if [ "$version" = 1.1 ]; then [ "$output" = "closed False" ]; else [ "$output" = "reset False" ]; fi
		grep -q 'GET /m/.*: 200 .*it is spoiled' n.log
		[ "$(curl -sf "$URL/m/?format=text" | wc -l)" -eq 8000 ]
	done
}

@test "a long index for HTTP/1.0 whose reader is given up is cut, and does not look whole" {
	httpd n 'limits: {idle_timeout: 1s}'
	many m 8000
	run python3 - "${URL##*:}" <<'PY'
import socket, subprocess, sys, time
port = sys.argv[1]
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(("127.0.0.1", int(port)))
s.sendall(b"GET /m/?format=text HTTP/1.0\r\n\r\n")
until = time.monotonic() + 60
while subprocess.run(["ss", "-Htn", "state", "established", "sport = :" + port], capture_output=True).stdout:
    assert time.monotonic() < until, "it is not given up"
    time.sleep(0.1)
try:
    while s.recv(65536):
        pass
    print("closed")
except ConnectionResetError:
    print("reset")
PY
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = reset ]
}

@test "a list that is kept lacks nothing that came, by covey or by hand, also after a kill" {
	httpd n
	many m 5000
	listed() { curl -sf -o /dev/null "$URL/m/?limit=1" && [ -n "$(ls "$STORE/state/lists")" ]; }
	wait_until 20 listed
	echo x | curl -sfT - "$URL/m/by-covey"
	[ "$(curl -sf "$URL/m/?format=text" | grep -c '^by-covey')" -eq 1 ]
	wait_until 20 listed
	ln -s "20261122T070000.000000001Z-00000000000000aa-0 - 5 $(printf %064d 1) 0" "$STORE/tree/m/by-hand"
	[ "$(curl -sf "$URL/m/?format=text&limit=2&after=by" | cut -f 1 | tr '\n' ' ')" = 'by-covey by-hand ' ]
	wait_until 20 listed
	# What a person changed in its place is no version any more.
	echo more >>"$STORE/tree/m/by-covey"
	[ "$(curl -sf "$URL/m/?format=text&limit=1&after=by" | cut -f 1)" = by-hand ]
	kill -KILL "$PID"
	rm "$STORE/tree/m/by-hand"
	spawn n covey-httpd -c "$CONF"
	wait_until 30 ready "$URL"
	curl -sf "$URL/m/?format=text" >told
	[ "$(grep -c '^0' told)" -eq 5000 ]
	run ! grep -q by-hand told
	wait_until 20 listed
	# Nobody needs it.
	rm -r "$STORE/state/lists"
	curl -sf "$URL/m/?format=text" | cmp - told
	rm -rf "$STORE/state/lists"
	touch "$STORE/state/lists"
	curl -sf "$URL/m/?format=text" | cmp - told
}

# ranges and conditions

@test "ranges: one, a suffix, to the end, several, none that can be" {
	httpd n
	bytes 10000 >a
	curl -sfT a "$URL/a"
	[ "$(code -r 0-4 "$URL/a")" = 206 ]
	[ "$(header Content-Range)" = "bytes 0-4/10000" ]
	[ "$(header Content-Length)" = 5 ]
	cmp body <(head -c 5 a)
	[ "$(code -r 9000- "$URL/a")" = 206 ]
	cmp body <(tail -c 1000 a)
	[ "$(code -r -10 "$URL/a")" = 206 ]
	cmp body <(tail -c 10 a)
	[ "$(code -r 10000- "$URL/a")" = 416 ]
	[ "$(header Content-Range)" = "bytes */10000" ]
	[ "$(code -r 0-9,5000-5009 "$URL/a")" = 206 ]
	[[ $(header Content-Type) == multipart/byteranges* ]]
	[ "$(header Content-Length)" = "$(stat -c %s body)" ]
	python3 - <<'PY'
import email, re
head = re.search(r"(?im)^content-type: *(.*?)\r?$", open("headers").read()).group(1)
message = email.message_from_bytes(b"Content-Type: " + head.encode() + b"\r\n\r\n" + open("body", "rb").read())
whole = open("a", "rb").read()
parts = message.get_payload()
assert [p["Content-Range"] for p in parts] == ["bytes 0-9/10000", "bytes 5000-5009/10000"], parts
body = open("body", "rb").read()
assert body.count(whole[0:10]) and body.count(whole[5000:5010])
PY
	[ "$(code -H 'Range: bytes=9-1' "$URL/a")" = 200 ]
	[ "$(code -H 'Range: lines=0-1' "$URL/a")" = 200 ]
	[ "$(code -H "Range: bytes=$(seq -s, -f '%g-' 0 99)" "$URL/a")" = 200 ]
	tag=$(header ETag)
	[ "$(code -r 0-4 -H "If-Range: $tag" "$URL/a")" = 206 ]
	[ "$(code -r 0-4 -H 'If-Range: "other"' "$URL/a")" = 200 ]
	head -c 4000 a >part
	curl -sf -C - -o part "$URL/a"
	cmp part a
}

@test "If-None-Match and If-Modified-Since: 304" {
	httpd n
	echo x | curl -sfT - "$URL/a"
	[ "$(code "$URL/a")" = 200 ]
	tag=$(header ETag) modified=$(header Last-Modified)
	rm body
	[ "$(code -H "If-None-Match: $tag" "$URL/a")" = 304 ]
	[ "$(header ETag)" = "$tag" ]
	[ ! -s body ]
	[ "$(code -H "If-None-Match: W/$tag, \"x\"" "$URL/a")" = 304 ]
	[ "$(code -H 'If-None-Match: *' "$URL/a")" = 304 ]
	[ "$(code -H 'If-None-Match: "x"' "$URL/a")" = 200 ]
	[ "$(code -H 'If-None-Match: x' "$URL/a")" = 400 ]
	[ "$(code -H "If-Modified-Since: $modified" "$URL/a")" = 304 ]
	[ "$(code -H 'If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT' "$URL/a")" = 200 ]
	[ "$(code -H "If-Modified-Since: $modified" -H 'If-None-Match: "x"' "$URL/a")" = 200 ]
	[ "$(code -H 'If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT' "$URL/a")" = 412 ]
	[ "$(code -H "If-Unmodified-Since: $modified" "$URL/a")" = 200 ]
	curl -sf --etag-save tag -o got "$URL/a"
	[ "$(code --etag-compare tag "$URL/a")" = 304 ]
}

@test "If-Match and If-None-Match: * on writes hold under the lock" {
	httpd n
	echo one >one
	[ "$(code -T one -H 'If-Match: *' "$URL/a")" = 412 ]
	[ "$(code -T one -H 'If-None-Match: *' "$URL/a")" = 201 ]
	first=$(header ETag)
	[ "$(code -T one -H 'If-None-Match: *' "$URL/a")" = 412 ]
	[ "$(code -T one -H "If-Match: $first" "$URL/a")" = 204 ]
	second=$(header ETag)
	[ "$(code -T one -H "If-Match: $first" "$URL/a")" = 412 ]
	[ "$(curl -s -T one -H "If-Match: $first" "$URL/a")" = "the newest version is $second" ]
	[ "$(code -X DELETE -H "If-Match: $first" "$URL/a")" = 412 ]
	[ "$(code -T one -H 'If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT' "$URL/a")" = 412 ]
	[ "$(code -T one -H 'If-Match: nonsense' "$URL/a")" = 400 ]
	[ "$(versions "$URL/a")" -eq 2 ]
	[ "$(code -X DELETE -H "If-Match: $second" "$URL/a")" = 204 ]
	[ "$(code -T one -H "If-Match: $second" "$URL/a")" = 412 ]
	[ "$(code -T one -H 'If-None-Match: *' "$URL/a")" = 201 ]
	tag=$(header ETag)
	for i in $(seq 20); do
		printf 'url=%s\nupload-file=one\nheader="If-Match: %s"\noutput=/dev/null\nwrite-out="%%{http_code}\\n"\n' \
			"$URL/a" "${tag//\"/\\\"}"
		[ "$i" -eq 20 ] || echo next
	done >many
	run curl -s -Z --parallel-immediate -K many
	[ "$(grep -c 204 <<<"$output")" -eq 1 ]
	[ "$(grep -c 412 <<<"$output")" -eq 19 ]
}

# bodies

@test "Expect: 100-continue: asked for before it comes, refused before it comes" {
	httpd n 'limits:
  max_body: 1M'
	bytes 500000 >a
	curl -sfv -H 'Expect: 100-continue' --expect100-timeout 10 -T a "$URL/a" 2>trace
	grep -q '< HTTP/1.1 100' trace
	[ "$(curl -sf "$URL/a" | sha)" = "$(sha a)" ]
	bytes 2000000 >b
	[ "$(code -H 'Expect: 100-continue' --expect100-timeout 10 -T b "$URL/b")" = 413 ]
	[ "$(code -T b -H 'Expect:' "$URL/b")" = 413 ]
	[ "$(code -T b -H 'Expect:' -H 'Transfer-Encoding: chunked' "$URL/b")" = 413 ]
	[ "$(code "$URL/b")" = 404 ]
	[ "$(code -H 'Expect: 200-ok' -T a "$URL/c")" = 417 ]
	[ "$(code -H 'Expect: 100-continue' --expect100-timeout 10 -H 'If-Match: "x"' -T a "$URL/a")" = 412 ]
	[ "$(versions "$URL/a")" -eq 1 ]
	answer 'PUT /s HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi'
	[[ $(statuses) == *"201 " ]]
}

@test "chunked bodies, with extensions and trailers; digests in a trailer count" {
	httpd n
	answer 'PUT /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5;x="y"\r\nhello\r\n006\r\n world\r\n0\r\nX: y\r\n\r\n'
	[ "$(statuses)" = "201 " ]
	[ "$(curl -sf "$URL/a")" = "hello world" ]
	digest=$(printf hello | openssl dgst -sha256 -binary | base64)
	answer "PUT /b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nRepr-Digest: sha-256=:$digest:\r\n\r\n"
	[ "$(statuses)" = "201 " ]
	answer "PUT /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhullo\r\n0\r\nRepr-Digest: sha-256=:$digest:\r\n\r\n"
	[ "$(statuses)" = "400 " ]
	[ "$(code "$URL/c")" = 404 ]
	bytes 3000000 >big
	[ "$(code -T - "$URL/big" <big)" = 201 ]
	[ "$(curl -sf "$URL/big" | sha)" = "$(sha big)" ]
}

@test "digests are checked on upload and given when wanted" {
	httpd n
	echo hello >a
	digest=$(openssl dgst -sha256 -binary a | base64)
	wrong=$(echo other | openssl dgst -sha256 -binary | base64)
	[ "$(code -T a -H "Repr-Digest: sha-256=:$digest:" "$URL/a")" = 201 ]
	[ "$(code -T a -H "Content-Digest: other=:AAAA:, sha-256=:$digest:" "$URL/a")" = 204 ]
	[ "$(code -T a -H "Repr-Digest: sha-256=:$wrong:" "$URL/a")" = 400 ]
	[ "$(code -T a -H "Content-Digest: sha-256=:$wrong:" "$URL/a")" = 400 ]
	[ "$(code -T a -H 'Repr-Digest: sha-256=nonsense' "$URL/a")" = 400 ]
	[ "$(code -T a -H 'Repr-Digest: sha-512=:AAAA:' "$URL/a")" = 400 ]
	digest_512=$(openssl dgst -sha512 -binary a | base64 -w0)
	[ "$(code -T a -H "Content-Digest: sha-512=:$digest_512:" "$URL/a")" = 204 ]
	[ "$(code -T a -H "Content-Digest: sha-512=:${digest_512/[a-m]/z}:" "$URL/b")" = 400 ]
	[ "$(code "$URL/b")" = 404 ]
	[ "$(versions "$URL/a")" -eq 3 ]
	[ "$(code -H 'Want-Repr-Digest: sha-256=10' "$URL/a")" = 200 ]
	[ "$(header Repr-Digest)" = "sha-256=:$digest:" ]
	[ "$(code -r 0-1 -H 'Want-Repr-Digest: sha-256=1' "$URL/a")" = 206 ]
	[ "$(header Repr-Digest)" = "sha-256=:$digest:" ]
	[ "$(code "$URL/a")" = 200 ]
	[ -z "$(header Repr-Digest)" ]
	[ "$(code -H 'Want-Repr-Digest: sha-256=0' "$URL/a")" = 200 ]
	[ -z "$(header Repr-Digest)" ]
}

@test "Content-Range on an upload: the whole or 400" {
	httpd n
	echo hello >a
	[ "$(code -T a -H 'Content-Range: bytes 0-5/6' "$URL/a")" = 201 ]
	[ "$(code -T a -H 'Content-Range: bytes 6-11/12' "$URL/a")" = 400 ]
	[ "$(code -T a -H 'Content-Range: bytes 0-5/12' "$URL/a")" = 400 ]
	[ "$(code -T a -H 'Content-Range: bytes 0-11/12' "$URL/a")" = 400 ]	# six bytes came
	[ "$(code -C 3 -T a "$URL/a")" = 400 ]
	[ "$(code -T a -H 'Content-Encoding: gzip' "$URL/a")" = 415 ]
	[ "$(versions "$URL/a")" -eq 1 ]
}

@test "a body that stops in the middle stores nothing" {
	httpd n
	RAW_SECONDS=1
	answer 'PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhello' || :
	answer 'PUT /b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n' || :
	(printf 'PUT /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n'; bytes 3000000) | timeout 1 "$TOP/tests/raw" "$(PORT)" 1 >/dev/null || :
	for p in a b c; do [ "$(code "$URL/$p")" = 404 ]; done
	run find "$STORE/tree" "$STORE/tmp" "$STORE/history" -type f
	[ -z "$output" ]
}

# connections

@test "pipelined requests are answered in order; keep-alive; close" {
	httpd n
	echo -n one | curl -sfT - "$URL/a"
	answer 'GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nPUT /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\ntwoGET /b HTTP/1.1\r\nHost: localhost\r\n\r\nPUT /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\nGET /c HTTP/1.1\r\nHost: localhost\r\n\r\nDELETE /b HTTP/1.1\r\nHost: localhost\r\n\r\nGET /b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\nGET /a HTTP/1.1\r\nHost: localhost\r\n\r\n'
	[ "$(statuses)" = "200 201 200 201 200 204 404 " ]
	[ "$(curl -sf -w '%{num_connects} ' -o /dev/null "$URL/a" -o /dev/null "$URL/c" "$URL/a")" = "1 0 one0 " ]
	answer 'GET /a HTTP/1.0\r\n\r\nGET /a HTTP/1.0\r\n\r\n'
	[ "$(statuses)" = "200 " ]
	answer 'GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /a HTTP/1.0\r\n\r\n'
	[ "$(statuses)" = "200 200 " ]
	for _ in $(seq 500); do printf 'GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n'; done >pipe
	raw "$(PORT)" 2 <pipe >"$D/answer"
	[ "$(statuses | wc -w)" -eq 500 ]
}

@test "a slow head is cut off, a stalled body too, and others go on" {
	httpd n 'limits:
  header_timeout: 1
  idle_timeout: 100'
	echo x | curl -sfT - "$URL/a"
	# A byte now and then is no excuse: the whole head is to come within the time.
	spawn slow python3 -c 'import select, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"GET /a HTTP/1.1\r\nX: ")
for _ in range(200):
    if select.select([s], [], [], 0.1)[0]:
        break
    s.sendall(b"T")
s.settimeout(0)
print(s.recv(100).split(b"\r\n")[0].decode())' "$(PORT)"
	[ "$(code "$URL/a")" = 200 ]
	wait "$PID"
	[[ $(cat slow.log) == "HTTP/1.1 408 "* ]]

	httpd m 'limits:
  header_timeout: 100
  idle_timeout: 2'
	echo x | curl -sfT - "$URL/a"
	exec {body}<>"/dev/tcp/127.0.0.1/$(PORT)" {idle}<>"/dev/tcp/127.0.0.1/$(PORT)"
	printf 'PUT /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhel' >&$body
	run timeout 60 cat <&$body
	[ "$status" -eq 0 ]
	run timeout 60 cat <&$idle
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "$(code "$URL/b")" = 404 ]
	[ "$(code "$URL/a")" = 200 ]
}

@test "many slow clients hold nobody up" {
	httpd n
	echo x | curl -sfT - "$URL/a"
	python3 - "$(PORT)" <<'PY' &
import socket, sys, time
slow = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(300)]
for i, s in enumerate(slow):
    s.sendall((b"GET /a HTTP/1.1\r\nX: ", b"PUT /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx", b"")[i % 3])
open("sent", "w").close()
time.sleep(100)
PY
	slow=$!
	wait_until 5 test -e sent
	for _ in 1 2 3 4 5; do
		[ "$(code "$URL/a")" = 200 ]
		[[ $(code -T "$CONF" "$URL/c") == 20[14] ]]
	done
	kill "$slow"
	[ "$(code "$URL/b")" = 404 ]
	[ "$(versions "$URL/c")" -eq 5 ]
}

@test "a client that vanishes in the middle leaves nothing behind" {
	httpd n
	bytes 50000000 >big
	clients=()
	curl -s --limit-rate 5M -T big "$URL/big" &
	clients+=($!)
	curl -s --limit-rate 5M -T - "$URL/chunked" <big &
	clients+=($!)
	curl -s --limit-rate 5M -F file=@big "$URL/form" &
	clients+=($!)
	wait_until 5 bash -c "[ \$(ls -l /proc/$PID/fd | grep -c deleted) -eq 3 ]"
	kill -9 "${clients[@]}"
	wait_until 5 bash -c "! ls -l /proc/$PID/fd | grep -q deleted"
	for p in big chunked form; do [ "$(code "$URL/$p")" = 404 ]; done
	run find "$STORE/tree" "$STORE/tmp" "$STORE/history" -type f
	[ -z "$output" ]
	curl -sf --limit-rate 20M -o /dev/null -T big "$URL/big"
	curl -s --limit-rate 1M -o part "$URL/big" &
	wait_until 5 test -s part
	kill -9 $!
	[ "$(code -r 0-4 "$URL/big")" = 206 ]
}

@test "an adopted listener: LISTEN_FDS with the name http, and no other" {
	need systemd-socket-activate
	node_conf n "$(port)"
	spawn n "${ACTIVATE[@]}" -l "127.0.0.1:$(port)" --fdname=http covey-httpd -c "$CONF"
	[ "$(code --retry 20 --retry-connrefused --retry-delay 1 "$URL/.covey/healthz")" = 200 ]
	echo x | curl -sfT - "$URL/a"
	[ "$(curl -sf "$URL/a")" = x ]
	spawn wrong "${ACTIVATE[@]}" -l "127.0.0.1:$(port 1)" --fdname=http covey-httpd -c "$CONF"
	run curl -s -m 20 --retry 5 --retry-connrefused "http://127.0.0.1:$(port 1)/a"
	[[ $status == 5[26] ]]		# who accepted it has ended
	grep -qi "$(port 1)\|listen" wrong.log
}

@test "inetd: one connection on standard input and output" {
	node_conf n "$(port)"
	# shellcheck disable=SC2059
	request() { printf "$@" | timeout 10 covey-httpd --inetd -c "$CONF"; }
	run request 'PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello'
	[ "$status" -eq 0 ]
	[[ $output == "HTTP/1.1 201"* ]]
	run request 'GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n'
	[ "$status" -eq 0 ]
	[[ $output == "HTTP/1.1 200"*hello"HTTP/1.1 404"* ]]
	run request 'GET /a HTTP/1.0\n\n'
	[[ $output == "HTTP/1.1 400"* ]]
	cmp "$STORE/tree/a" <(printf hello)
}

# names

@test "names: percent-encoding, UTF-8 and other bytes come back as they went" {
	httpd n
	for name in 'a%20b' '%C3%A4' '%FF%FE' 'a+b' '%25' '%0A' ',comma' ',,two' 'x%3Fy' '%23' "it's" '-dash' '~' '%5C' '.hidden' '..%2e' '%22'; do
		[ "$(printf '%s' "$name" | code --path-as-is -T - "$URL/n/$name")" = 201 ]
		[ "$(curl -sf --path-as-is "$URL/n/$name")" = "$name" ]
	done
	[ "$(curl -sf "$URL/n/?format=json" | jq length)" -eq 17 ]
	[ "$(curl -sf "$URL/n/a%20b")" = "$(curl -sf "$URL/n/%61%20%62")" ]
	answer 'GET /n/\xc3\xa4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
	[ "$(statuses)" = "200 " ]
	long=$(printf 'x%.0s' $(seq 254))
	[ "$(code -T "$CONF" "$URL/$long")" = 201 ]
	[ "$(code -T "$CONF" "$URL/${long}x")" = 414 ]
	[ "$(code -T "$CONF" "$URL/$long/$long/$long/$long")" = 414 ]
}

@test "paths that name nothing in the store are refused" {
	httpd n
	for p in '/../x' '/a/../b' '/%2e/x' '/%2e%2e/x' '/a/%2E./b' '/a%2Fb' '/a%00b' '/%' '/%4' '/%zz' '/.covey' '/.covey/x'; do
		run code --path-as-is -T "$CONF" "$URL$p"
		[[ $output == 40[0345] ]] || { echo "$p: $output"; return 1; }
	done
	[ -z "$(ls -A "$STORE/tree")" ]
}

# errors

@test "errors are one plain line, or a problem document for who accepts it" {
	httpd n
	[ "$(code "$URL/none")" = 404 ]
	[[ $(header Content-Type) == text/plain* ]]
	[ "$(wc -l <body)" -eq 1 ]
	[ "$(code -H 'Accept: application/problem+json' "$URL/none")" = 404 ]
	[ "$(header Content-Type)" = application/problem+json ]
	[ "$(jq -r '[.status, .title] | @text' body)" = '[404,"Not Found"]' ]
	jq -e '.detail | length > 0' body
	[ "$(code -I "$URL/none")" = 404 ]
	[ "$(code -H 'Covey-Version: 1' "$URL/none")" = 403 ]
	[ "$(code -H 'covey-x: 1' -T "$CONF" "$URL/x")" = 403 ]
	[ "$(code "$URL/x")" = 404 ]
}

@test "stored HTML is served where it can do no harm" {
	httpd n
	echo '<script>alert(1)</script>' | curl -sfT - "$URL/x.html"
	[ "$(code "$URL/x.html")" = 200 ]
	[ "$(header X-Content-Type-Options)" = nosniff ]
	[[ $(header Content-Security-Policy) == *sandbox* ]]
	[[ $(header Content-Security-Policy) != *allow-scripts* ]]
	echo '<svg/>' | curl -sf -H 'Content-Type: image/svg+xml' -T - "$URL/y"
	[ "$(code "$URL/y")" = 200 ]
	[[ $(header Content-Security-Policy) == *sandbox* ]]
	# A browser runs what is in any kind of XML.
	for type in application/rdf+xml 'application/RSS+XML; charset=utf-8' text/xsl text/xml; do
		echo '<svg/>' | curl -sf -H "Content-Type: $type" -T - "$URL/z"
		[ "$(code "$URL/z")" = 200 ]
		[ "$(header Content-Type)" = "$type" ]
		[[ $(header Content-Security-Policy) == *sandbox* ]]
	done
	echo x | curl -sf -H 'Content-Type: text/plain' -T - "$URL/z"
	[ "$(code "$URL/z")" = 200 ]
	[ -z "$(header Content-Security-Policy)" ]
}

@test "what a browser might run is served sandboxed, whatever its name and type" {
	httpd n
	for name in a.atom a.xsl a.mml a.xhtml a.svg a.html a.xml a.js; do
		echo '<x/>' | curl -sfT - "$URL/$name"
		[ "$(code "$URL/$name")" = 200 ]
		[[ $(header Content-Security-Policy) == "sandbox; default-src 'none';"* ]]
		[ "$(header X-Content-Type-Options)" = nosniff ]
	done
	echo x | curl -sf -H 'Content-Type: multipart/x-mixed-replace; boundary=b' -T - "$URL/m"
	[ "$(code "$URL/m")" = 200 ]
	[[ $(header Content-Security-Policy) == sandbox* ]]
	[ "$(header Content-Disposition)" = attachment ]
	for name in a.png a.txt a.pdf a.zip a.mp4 a.bin; do
		echo x | curl -sfT - "$URL/$name"
		[ "$(code "$URL/$name")" = 200 ]
		[ -z "$(header Content-Security-Policy)" ]
		[ "$(header X-Content-Type-Options)" = nosniff ]
	done
}

@test "sites: a directory shows its index.html, and runs what is in it, there alone" {
	httpd n 'sites: [/www]'
	page='<script>1</script>'
	for path in www/index.html www/d/index.html www/b/x.html wwwx/index.html; do
		echo "$page$path" | curl -sfT - "$URL/$path"
	done
	for path in www/ www/d/; do
		[ "$(code "$URL/$path")" = 200 ]
		[ "$(cat body)" = "$page${path}index.html" ]
		[ -z "$(header Content-Security-Policy)" ]
		[[ $(header Content-Type) == text/html* ]]
		etag=$(header ETag)
		[ "$(code -H "If-None-Match: $etag" "$URL/$path")" = 304 ]
	done
	[ "$(code "$URL/www")" = 301 ]
	[ "$(code "$URL/www/b/x.html")" = 200 ]
	[ -z "$(header Content-Security-Policy)" ]
	# Without a page it is a directory, and so it is for who asks for a list, and elsewhere.
	[ "$(curl -sf -H 'Accept: text/plain' "$URL/www/b/")" = "$(curl -sf "$URL/www/b/?format=text")" ]
	grep -q x.html <(curl -sf "$URL/www/b/")
	grep -q index.html <(curl -sf "$URL/www/?format=text")
	[ "$(code "$URL/wwwx/")" = 200 ]
	[ "$(grep -c script body)" = 0 ]
	[ "$(code "$URL/wwwx/index.html")" = 200 ]
	[[ $(header Content-Security-Policy) == sandbox* ]]
	[ "$(code "$URL/www/none/")" = 404 ]
	[ "$(code "$URL/www/none")" = 404 ]
}

@test "a name that is not this node's is 421, so that a page of another site writes nothing" {
	httpd n 'hosts: [files.example.org]'
	[ "$(code -H 'Host: evil.example' -H 'Origin: http://evil.example' -T "$CONF" "$URL/f")" = 421 ]
	grep -q 'hosts in covey.yaml' body
	[ "$(code -H 'Host: evil.example' "$URL/.covey/status")" = 421 ]
	[ "$(code "$URL/f")" = 404 ]
	for name in localhost LOCALHOST: "localhost.:${URL##*:}" 127.0.0.1 '[::1]:1' n "$(uname -n)" files.example.org Files.Example.ORG:80; do
		[ "$(code -H "Host: ${name%:}" "$URL/f")" = 404 ]
	done
	for name in example.org evil-files.example.org 127.0.0.1.evil.example nn; do
		[ "$(code -H "Host: $name" "$URL/f")" = 421 ]
	done
	for page in healthz readyz; do
		[ "$(code -H 'Host: any.example' "$URL/.covey/$page")" = 200 ]
	done
	printf 'GET /f HTTP/1.0\r\n\r\n' | raw "${URL##*:}" | grep -q '^HTTP/1.1 404'
	printf 'GET http://evil.example/f HTTP/1.1\r\nHost: localhost\r\n\r\n' | raw "${URL##*:}" | grep -q '^HTTP/1.1 421'
	[ "$(curl -s "$URL/.covey/metrics" | sed -n 's/^covey_floods_total{kind="host"} //p')" -eq 7 ]
	grep -q "hosts: asked by another name, answered 421: 1 since the last such line, the last one from this machine" n.log
	[ "$(grep -c 'answered 421' n.log)" -eq 1 ]
}

@test "Cache-Control: only-if-cached, max-age, no-cache in a group of one" {
	httpd n
	echo x | curl -sfT - "$URL/a"
	for c in only-if-cached max-age=60 max-age=0 no-cache 'no-cache, only-if-cached' nonsense; do
		[ "$(code -H "Cache-Control: $c" "$URL/a")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
	done
	[ "$(code -H 'Cache-Control: no-cache' "$URL/none")" = 404 ]
	[ "$(header Version-State)" = confirmed ]
}

@test "X-OC-Mtime is kept as the file's time" {
	httpd n
	echo x | curl -sf -H 'X-OC-Mtime: 1000000000' -T - "$URL/a"
	[ "$(code "$URL/a")" = 200 ]
	[ "$(header Last-Modified)" = "Sun, 09 Sep 2001 01:46:40 GMT" ]
}

# what two parsers could read differently

@test "requests that could be smuggled are refused and the connection closes" {
	httpd n
	echo x | curl -sfT - "$URL/a"
	h='Host: localhost\r\n'
	refused 400 "POST /a HTTP/1.1\r\n${h}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcdGET /a HTTP/1.1\r\n${h}\r\n"
	refused 400 "POST /a HTTP/1.1\r\n${h}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"
	refused 400 "POST /a HTTP/1.1\r\n${h}Content-Length: 4, 4\r\n\r\nabcd"
	refused 400 "POST /a HTTP/1.1\r\n${h}Content-Length : 4\r\n\r\nabcdGET /a HTTP/1.1\r\n${h}\r\n"
	refused 400 "POST /a HTTP/1.1\r\n${h}Content-Length: +4\r\n\r\nabcd"
	refused 400 "POST /a HTTP/1.1\r\n${h}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /a HTTP/1.1\r\n${h}\r\n"
	refused 400 "POST /a HTTP/1.1\r\n${h}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
	refused 501 "POST /a HTTP/1.1\r\n${h}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
	refused 501 "POST /a HTTP/1.1\r\n${h}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"
	refused 400 "POST /a HTTP/1.1\r\n${h}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"
	refused 400 "POST /a HTTP/1.1\r\n${h}Transfer-Encoding: chunked\r\n x\r\n\r\n0\r\n\r\n"
	refused 400 "POST /a HTTP/1.1\r\n${h}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"
	refused 400 'POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
	refused 400 "POST /a HTTP/1.1\r\n${h}Transfer-Encoding: chunked\r\n\r\n4\nabcd\r\n0\r\n\r\n"
	refused 400 "POST /a HTTP/1.1\r\n${h}Transfer-Encoding: chunked\r\n\r\n0x4\r\nabcd\r\n0\r\n\r\n"
	refused 400 "POST /a HTTP/1.1\r\n${h}Transfer-Encoding: chunked\r\n\r\n4\r\nabcdX\r\n0\r\n\r\n"
	refused 400 "POST /a HTTP/1.1\r\n${h}Transfer-Encoding: chunked\r\n\r\n4;a\nb\r\nabcd\r\n0\r\n\r\n"
	refused 400 "GET /a HTTP/1.1\n${h}\r\n"
	refused 400 "GET /a HTTP/1.1\r\nHost: a\n\r\n"
	refused 400 "GET /a HTTP/1.1\r\n${h}X: a\rb\r\n\r\n"
	refused 400 "GET /a HTTP/1.1\r\n${h}X: a\0b\r\n\r\n"
	refused 400 "GET /a HTTP/1.1\r\n${h} X: folded\r\n\r\n"
	refused 400 "GET /a HTTP/1.1\r\nX: y\r\n\r\n"
	refused 400 "GET /a HTTP/1.1\r\n${h}${h}\r\n"
	refused 400 'GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n'
	refused 400 'GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n'
	refused 400 "GET  /a HTTP/1.1\r\n${h}\r\n"
	refused 400 "GET /a\r\n${h}\r\n"
	refused 400 '\x16\x03\x01\x02\x00'
	refused 505 "GET /a HTTP/2.0\r\n${h}\r\n"
	refused 501 "CONNECT a:80 HTTP/1.1\r\n${h}\r\n"
	[ "$(versions "$URL/a")" -eq 1 ]
	[ "$(code "$URL/a")" = 200 ]
}

@test "limits of a head: 414, 431" {
	httpd n
	[ "$(code "$URL/$(printf 'a%.0s' $(seq 8300))")" = 414 ]
	printf 'X: %s' "$(printf 'a%.0s' $(seq 33000))" >long
	[ "$(code -H @long "$URL/a")" = 431 ]
	seq -f 'X-%g: y' 120 >many
	[ "$(code -H @many "$URL/a")" = 431 ]
	seq -f 'X-%g: y' 90 >some
	[ "$(code -H @some "$URL/a")" = 404 ]
}
