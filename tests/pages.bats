#!/usr/bin/env bats
# The pages that a browser is shown: indexes, deleted files, histories, errors.  What they look like in
# one is tests/long/pages.bats.
load helpers

BROWSER='Accept: text/html,application/xhtml+xml,*/*;q=0.8'

# get URL...: as a browser does; the page goes to $D/body
get() { code -H "$BROWSER" "$@"; }

# page WHAT: of the last answer's page, judged (tests/page)
page() { "$TOP/tests/page" "$1" <"$D/body"; }
names() { page rows | cut -f 1; }
# shows WHAT LINE: one of page's lines is this one
shows() {
	local lines
	lines=$(page "$1") && grep -qxF "$2" <<<"$lines"
}

# put_many URL COUNT NAME...: files NAME with five digits behind it, in one form; directories end with a slash
put_many() {
	python3 - "$@" <<-'PY'
	import http.client, sys, urllib.parse
	url = urllib.parse.urlsplit(sys.argv[1])
	http_ = http.client.HTTPConnection(url.hostname, url.port)
	for name in sys.argv[3:]:
	    body = b"".join(b'--B\r\nContent-Disposition: form-data; name=f; filename="%s%05d"\r\n\r\nx\r\n' %
	                    (name.encode(), i) for i in range(int(sys.argv[2])))
	    http_.request("POST", url.path, body + b"--B--\r\n", {"Content-Type": "multipart/form-data; boundary=B"})
	    answer = http_.getresponse()
	    answer.read()
	    assert answer.status in (201, 204), answer.status
	PY
}

# walk URL: the names of all pages of an index from there, as the links lead; one "--" after each page
walk() {
	local at=$1 next
	while :; do
		[ "$(get "$at")" = 200 ] || return
		names || return
		echo --
		next=$(page next) || return
		[ -n "$next" ] || break
		at=${1%%\?*}$next
	done
}

@test "an index: upload above the list, directories first, each by name; deleted files behind a button" {
	httpd n
	for name in b/x a Z/x c .d/x ä; do curl -sfT - "$URL/i/$name" <<<x; done
	[ "$(get "$URL/i/")" = 200 ]
	[ "$(names)" = $'.d/\nZ/\nb/\na\nc\nä' ]
	[ "$(page hrefs)" = $'.d/\nZ/\nb/\na\nc\n%C3%A4' ]
	[ "$(page outline | head -n 7)" = "a n
h1 i
label Upload files to this directory
input file -
button Upload
button Deleted files
table -" ]
	[ "$(page forms | head -n 2)" = $'post ./ -\nget ./ deleted' ]
	# What programs read stays in the order of names.
	[ "$(curl -sf "$URL/i/?format=text" | cut -f 1)" = $'.d/\nZ/\na\nb/\nc\n%C3%A4' ]
	[ "$(curl -sf "$URL/i/?format=json" | jq -r '.[].href')" = $'.d/\nZ/\na\nb/\nc\n%C3%A4' ]
}

@test "an index is shown to a browser by 1,000 names a page; a program gets it whole" {
	httpd n
	put_many "$URL/m/" 1000 f
	for name in f00500 z; do curl -sf -X PUT "$URL/m/d$name/" -o /dev/null; done
	run walk "$URL/m/"
	[ "$status" -eq 0 ]
	{
		printf '%s/\n' df00500 dz
		printf 'f%05d\n' {0..999}
	} >all
	[ "$output" = "$(sed '1000s/$/\n--/; $s/$/\n--/' all)" ]
	[ "$(get "$URL/m/")" = 200 ]
	[ "$(page next)" = '?after=f00997' ]
	[ "$(header Link)" = '<?after=f00997>; rel="next"' ]
	grep -qF '1 to 1,000 of 1,002' body
	[ "$(get "$URL/m/?after=f00997")" = 200 ]
	grep -qF '1,001 to 1,002 of 1,002' body
	shows outline 'a ← First page'
	# curl, wget, lftp and rclone take anything, and would not look for a second page.
	[ "$(code "$URL/m/")" = 200 ]
	[[ $(header Content-Type) == text/html* ]]
	[ "$(names)" = "$(cat all)" ]
	[ -z "$(header Link)" ]
	[ "$(code -H 'Accept: text/html' "$URL/m/?limit=3000")" = 200 ]
	[ "$(names)" = "$(cat all)" ]
	[ "$(curl -sf "$URL/m/?format=text" | wc -l)" -eq 1002 ]
	[ "$(curl -sf "$URL/m/?format=json" | jq length)" -eq 1002 ]
}

@test "an index's pages go on where one ended, between directories too, whatever was made meanwhile" {
	httpd n
	for name in b/x a/x e/x a1 c f; do curl -sfT - "$URL/i/$name" <<<x; done
	for limit in 1 4; do
		[ "$(walk "$URL/i/?limit=$limit" | grep -v '^--')" = $'a/\nb/\ne/\na1\nc\nf' ]
	done
	[ "$(get "$URL/i/?limit=2")" = 200 ]
	[ "$(page next)" = '?after=b/&limit=2' ]
	curl -sf -X PUT "$URL/i/aa/" -o /dev/null
	curl -sf -X PUT "$URL/i/d/" -o /dev/null
	[ "$(get "$URL/i/$(page next)")" = 200 ]
	[ "$(names)" = $'d/\ne/' ]
	[ "$(get "$URL/i/?after=e/")" = 200 ]
	[ "$(names)" = $'a1\nc\nf' ]
	[ "$(get "$URL/i/?after=zz")" = 200 ]
	grep -q 'Nothing follows here' body
	# Where all is in the order of names, a slash behind one changes nothing.
	[ "$(curl -sf "$URL/i/?format=text&after=b/" | cut -f 1)" = $'c\nd/\ne/\nf' ]
}

@test "deleted files are a click away: their page, their history, and back" {
	httpd n
	for name in keep gone 'g%22%3C' dir/in dir/deep/in; do curl -sfT - "$URL/d/$name" <<<"$name"; done
	for name in gone 'g%22%3C' dir/in dir/deep/in dir/deep/ dir/; do curl -sf -X DELETE "$URL/d/$name"; done
	[ "$(get "$URL/d/")" = 200 ]
	[ "$(names)" = keep ]
	shows forms 'get ./ deleted'
	[ "$(get "$URL/d/?deleted=")" = 200 ]	# as the button asks
	[ "$(names)" = $'dir/\ng"<\ngone' ]
	[ "$(page forms)" = $'get dir/ deleted\nget g%22%3C versions\nget gone versions' ]
	shows outline 'a ← What is here now'
	[ "$(get "$URL/d/gone?versions=")" = 200 ]
	restore=$(page forms | sed -n 's/^post \(?restore=.*\) -$/\1/p')
	[ "$(get -X POST -H "Origin: $URL" "$URL/d/gone$restore")" = 303 ]
	[ "$(curl -sf "$URL/d/gone")" = gone ]
	# The directory is gone, and what was in it can still be found.
	[ "$(get "$URL/d/dir/")" = 404 ]
	[ "$(get "$URL/d/dir/?deleted=")" = 200 ]
	[ "$(names)" = $'deep/\nin' ]
	[ "$(curl -sf "$URL/d/dir/?deleted&format=json" | jq -c 'map([.name, .type])')" = \
		'[["deep","deleted"],["in","deleted"]]' ]
	[ "$(get "$URL/d/dir/deep/?deleted=")" = 200 ]
	[ "$(page forms)" = 'get in versions' ]
	# Nothing was deleted there, or there was never a directory.
	curl -sf -X PUT "$URL/new/" -o /dev/null
	[ "$(get "$URL/new/?deleted=")" = 200 ]
	grep -q 'Nothing was deleted here' body
	[ "$(get "$URL/d/keep/?deleted=")" = 404 ]
	[ "$(get "$URL/never/?deleted=")" = 404 ]
}

@test "what is deleted goes by pages, too" {
	httpd n
	for name in b/x a/x c d; do curl -sfT - "$URL/i/$name" <<<x; done
	for name in b/x a/x b/ a/ c; do curl -sf -X DELETE "$URL/i/$name"; done
	[ "$(walk "$URL/i/?limit=1&deleted")" = $'a/\n--\nb/\n--\nc\n--' ]
}

@test "an error is a page to a browser, with a way back; a line, or a problem document, to a program" {
	httpd n 'limits: { max_body: 1000 }'
	curl -sfT - "$URL/d/f" <<<x
	[ "$(get "$URL/d/none")" = 404 ]
	[ "$(header Content-Type)" = "text/html; charset=utf-8" ]
	[[ $(header Content-Security-Policy) == *"default-src 'none'"* ]]
	[ "$(header Version-State)" = confirmed ]
	[ "$(page outline)" = $'a n\na d\nh1 Not Found\np no such file' ]
	length=$(header Content-Length)
	[ "$(get -I "$URL/d/none")" = 404 ]
	[ "$(header Content-Length)" = "$length" ]
	[ "$(get "$URL/none/")" = 404 ]
	[ "$(get "$URL/d/f?limit=x")" = 400 ]
	[ "$(get "$URL/%")" = 400 ]
	[ "$(page outline | head -n 1)" = 'h1 Bad Request' ]
	# After an upload that failed: back to the directory.
	bytes 2000 >big
	[ "$(get -H "Origin: $URL" -F file=@big "$URL/d/")" = 413 ]
	[ "$(page outline | head -n 3)" = $'a n\na d\nh1 Content Too Large' ]
	[ "$(get -H "Origin: $URL" -F file=@big "$URL/")" = 413 ]
	[ "$(page outline | head -n 2)" = $'a n\nh1 Content Too Large' ]
	[ "$(code "$URL/d/none")" = 404 ]
	[ "$(cat body)" = "no such file" ]
	[ "$(code -H 'Accept: application/json' "$URL/d/none")" = 404 ]
	[ "$(jq -r .detail body)" = "no such file" ]
}

# histories_of_a_group N: each version by the node that took it
histories_of_a_group() {
	local i n=$1
	group "$n"
	for ((i = 1; i <= n; i++)); do
		[[ $(code --data-binary "by $i" "${URLS[i]}/d/f") == 20[14] ]]
	done
	[ "$(code -X DELETE "${URLS[1]}/d/f")" = 204 ]
	[ "$(code -X PUT "${URLS[2]}/d/sub/")" = 201 ]
	[ "$(get "${URLS[n]}/d/f?versions")" = 200 ]
	[ "$(page rows | cut -f 4)" = "node1"$'\n'"$(for ((i = n; i >= 1; i--)); do echo "node$i"; done)" ]
	[ "$(page rows | grep -cE '^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}	')" -eq $((n + 1)) ]
	[ "$(page rows | cut -f 5 | sort | uniq -c | sed 's/^ *//')" = "1 deleted (current)"$'\n'"$n restore" ]
	for ((i = 1; i <= n; i++)); do
		grep -qF "<span title=\"$(curl -sf "${URLS[i]}/.covey/status" | jq -r .node)\">node$i</span>" body
	done
	for name in z a/x y c/x old/x; do curl -sfT - "${URLS[1]}/p/$name" <<<x; done
	for name in old/x old/; do [ "$(code -X DELETE "${URLS[2]}/p/$name")" = 204 ]; done
	for i in 1 "$n"; do
		[ "$(get "${URLS[i]}/d/?deleted")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(names)" = f ]
		[ "$(get "${URLS[i]}/p/?deleted")" = 200 ]
		[ "$(page forms)" = 'get old/ deleted' ]
		[ "$(get "${URLS[i]}/p/old/?deleted")" = 200 ]
		[ "$(header Version-State) $(page forms)" = 'confirmed get x versions' ]
		[ "$(get "${URLS[i]}/p/z/?deleted")" = 404 ]
		[ "$(get "${URLS[i]}/p/never/?deleted")" = 404 ]
		[ "$(walk "${URLS[i]}/p/?limit=1" | grep -v '^--')" = $'a/\nc/\ny\nz' ]
	done
}

@test "a history says which node made each version, and when, to the second: three nodes" {
	histories_of_a_group 3
}

@test "a history says which node made each version, and when, to the second: five nodes" {
	histories_of_a_group 5
}

@test "a page that could not be confirmed says so above what it shows" {
	covey key new >group.key
	lone_conf 1 3
	spawn n1 covey up -c "${CONFS[1]}"
	wait_until 30 curl -sf -o /dev/null "${URLS[1]}/.covey/healthz"
	[ "$(code --data-binary x "${URLS[1]}/d/f")" = 202 ]
	for at in d/ 'd/?deleted' 'd/f?versions'; do
		[ "$(get "${URLS[1]}/$at")" = 200 ]
		[[ $(header Version-State) == unconfirmed* ]]
		shows outline "p This could not be confirmed now, and there may be something newer: $(header Version-State)"
	done
}

@test "a version of a node that this one never met goes by the beginning of its id" {
	httpd n
	curl -sfT - "$URL/f" <<<old
	id=$(curl -sf "$URL/.covey/status" | jq -r .node)
	stop "$PID"
	covey node renew -c "$CONF"
	spawn again covey-httpd -c "$CONF"
	wait_until 30 ready "$URL"
	curl -sfT - "$URL/f" <<<new
	[ "$(get "$URL/f?versions")" = 200 ]
	[ "$(page rows | cut -f 4)" = n$'\n'"${id:0:8}…" ]
	grep -qF "<span title=\"$id\">" body
}
