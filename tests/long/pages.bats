#!/usr/bin/env bats
# The pages as a person sees them, in a headless Chromium (tests/browse): on a narrow screen, and clicked through.
load ../helpers

setup() {
	covey_setup
	need chromium
}

# browse WIDTH: the lines of standard input, done; what they print is in $D/seen
browse() {
	timeout 300 "$TOP/tests/browse" "$1" >"$D/seen" 2>"$D/browse.log" || { cat "$D/browse.log"; return 1; }
}

# What of a page is seen beyond the screen's edges: texts, buttons and links; and how wide it is.
OFF='[document.documentElement.scrollWidth, ...[...document.querySelectorAll("body *")]
.filter(e => !e.closest("thead")).map(e => [e.getBoundingClientRect(), e])
.filter(([r, e]) => r.width > 0 && (r.left < 0 || r.right > innerWidth)).map(([r, e]) => e.outerHTML.slice(0, 100))]'
OFF=${OFF//$'\n'/ }

LONG=$(printf 'n%.0s' {1..254})

@test "on a screen of 390 px nothing is off it: index, deleted files, history, errors" {
	local url i type=application/vnd.openxmlformats-officedocument.wordprocessingml.document
	node_conf n "$(port)"
	sed -i "s/name: n/name: ${LONG:0:60}/" "$CONF"
	spawn n covey-httpd -c "$CONF"
	wait_until 30 ready "$URL"
	for i in "$LONG" 'a%20b' 'd/x' "${LONG:1}d/x" gone; do curl -sfT - "$URL/l/$i" <<<x; done
	curl -sf -X DELETE "$URL/l/gone"
	curl -sfT - "$URL/l/${LONG:2}g" <<<x
	curl -sf -X DELETE "$URL/l/${LONG:2}g"
	for i in 1 2 3; do curl -sf -H "Content-Type: $type" -T - "$URL/l/t" <<<$i; done
	curl -sf -X DELETE "$URL/l/t"
	local pages=("/" "/l/" "/l/?limit=2" "/l/?after=zz" "/l/?deleted" "/l/${LONG:1}d/" "/l/${LONG:1}d/?deleted"
		"/l/$LONG?versions" "/l/t?versions" "/l/t?versions&limit=2" "/l/none" "/l/$LONG/none" "/$LONG$LONG"
		"/${LONG:0:200}/" "/l/t?versions&after=x")
	for url in "${pages[@]}"; do printf 'go %s\nprint %s\n' "$URL$url" "$OFF"; done | browse 390
	[ "$(wc -l <seen)" -eq ${#pages[@]} ]
	[ "$(sort -u seen)" = '[390]' ] || { paste -d ' ' <(printf '%s\n' "${pages[@]}") seen; return 1; }
	# On a narrow screen, too, a table is one to a screen reader.
	printf 'go %s\nroles\n' "$URL/l/" "$URL/l/t?versions" | browse 390
	jq -se 'all(.[]; contains(["cell", "columnheader", "heading", "row", "table"]))' seen
}

@test "by clicks: upload, deleted files, a history, restore, and back" {
	httpd n
	echo hello >"new file.txt"
	curl -sfT - "$URL/d/gone" <<<old
	curl -sfT - "$URL/d/gone" <<<newer
	curl -sf -X DELETE "$URL/d/gone"
	browse 390 <<-END
	go $URL/
	click table a
	print location.pathname
	choose new file.txt
	click .up button
	print [location.pathname, [...document.querySelectorAll("td:first-child")].map(e => e.innerText)]
	click button[name=deleted]
	print [location.search, [...document.querySelectorAll("td:first-child")].map(e => e.innerText)]
	click button[name=versions]
	print [document.querySelector("h1").innerText, document.querySelectorAll("tbody tr").length]
	click form[action^="?restore="] button
	print [location.pathname, location.search, document.querySelectorAll("tbody tr").length]
	click nav a:last-of-type
	print [location.pathname, [...document.querySelectorAll("td:first-child")].map(e => e.innerText)]
	END
	[ "$(cat seen)" = '"/d/"
["/d/", ["new file.txt"]]
["?deleted=", ["gone"]]
["Versions of gone", 3]
["/d/gone", "?versions", 4]
["/d/", ["gone", "new file.txt"]]' ]
	[ "$(curl -sf "$URL/d/new%20file.txt")" = hello ]
	[ "$(curl -sf "$URL/d/gone")" = newer ]
}

@test "2,500 names are three pages, none of them taller than a browser can show at ease" {
	local body=$D/form i round
	httpd n
	for round in 1 2 3; do
		for ((i = 0; i < 2500 / 3 + (round == 1); i++)); do
			printf -- '--B\r\nContent-Disposition: form-data; name=f; filename=%d-%04d\r\n\r\nx\r\n' $round $i
		done >"$body"
		printf -- '--B--\r\n' >>"$body"
		curl -sf -H 'Content-Type: multipart/form-data; boundary=B' --data-binary "@$body" "$URL/m/"
	done
	browse 390 <<-END
	go $URL/m/
	print [document.querySelectorAll("tbody tr").length, document.documentElement.scrollHeight < 80000]
	click a[rel=next]
	print document.querySelectorAll("tbody tr").length
	click a[rel=next]
	print [document.querySelectorAll("tbody tr").length, document.querySelectorAll("a[rel=next]").length]
	click a[rel=first]
	print location.search
	END
	[ "$(tr '\n' ' ' <seen)" = '[1000, true] 1000 [500, 0] "" ' ]
}

@test "what strangers stored runs nothing in a browser, what is of a site does" {
	need chromium
	httpd n 'sites: [/www]'
	page='<title>still</title><p>text</p><script>document.title = "runs"</script>'
	for path in www/index.html d/page.html; do
		[ "$(code -T - "$URL/$path" <<<"$page")" = 201 ]
	done
	echo '<html xmlns="http://www.w3.org/1999/xhtml"><title>still</title><script>document.title = "runs"</script></html>' |
		curl -sf -H 'Content-Type: application/atom+xml' -T - "$URL/d/feed"
	browse 1024 <<-LINES
		go $URL/d/page.html
		print document.title
		go $URL/d/feed
		print document.title
		go $URL/www/
		print document.title
	LINES
	[ "$(jq -r . seen | xargs)" = "still still runs" ]
}
