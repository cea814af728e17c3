#!/usr/bin/env bats
# Who may do what: rules, users, tokens, proxies, and what of it a client sees.
# shellcheck disable=SC2016  # a $ of hashes and of Markdown is no variable
load helpers

# nginx writes over its environment, and so over what tells whose it is.
teardown() {
	[ ! -s "$D/nginx.pid" ] || kill "$(cat "$D/nginx.pid")" || :
	covey_teardown
}

# guarded RULE... - a node `one` with these rules; users ada and bob, whose passwords are their names with a 1;
# each of $TOKENS is in the file token.NAME
guarded() {
	local rule name
	mkdir -p "$D/one"
	: >>"$D/one/tokens"
	[ -e "$D/one/users" ] || users ada bob >"$D/one/users"
	{
		printf '%s\n' "${MORE-}" 'access:' '  users: users' '  tokens: tokens' '  deny: deny' '  rules:'
		for rule; do echo "  - { $rule }"; done
	} >"$D/rules"
	: >>"$D/one/deny"
	node_conf one "$(port)" "$(cat "$D/rules")"
	for name in ${TOKENS-}; do token "$name" >"token.$name"; done
	spawn one covey-httpd -c "$CONF"
	wait_until 30 ready "$URL"
}

# users NAME... - lines of a file of users
users() {
	local name
	for name; do printf '%s:%s\n' "$name" "$(openssl passwd -6 "${name}1")"; done
}

# token NAME - a new one, printed
token() { covey token new "$1" -c "$D/one/covey.yaml"; }

as() { local who=$1; shift; code -u "$who:${who}1" "$@"; }
with() { local token=$1; shift; code -H "Authorization: Bearer $token" "$@"; }
# answers STATUS CMD... - CMD prints it
answers() { [ "$("${@:2}")" = "$1" ]; }
counter() { curl -sf "$URL/.covey/metrics" | sed -n "s/^$1 //p"; }

# may OP - whether who has $token may do it: what is refused is 401, 403 or 404
may() {
	local status
	case $1 in
	get) status=$(with "$token" "$URL/d/f") ;;
	head) status=$(with "$token" -I "$URL/d/f") ;;
	range) status=$(with "$token" -r 0-1 "$URL/d/f") ;;
	index) status=$(with "$token" "$URL/d/") ;;
	deleted) status=$(with "$token" "$URL/d/?deleted") ;;
	versions) status=$(with "$token" "$URL/d/f?versions") ;;
	version) status=$(with "$token" "$URL/d/f?version=$old") ;;
	put) status=$(with "$token" -T f "$URL/d/f") ;;
	new) status=$(with "$token" -T f "$URL/d/new-$2") ;;
	form) status=$(with "$token" -F "file=@f;filename=form-$2" "$URL/d/") ;;
	mkdir) status=$(with "$token" -X PUT "$URL/d/dir-$2/") ;;
	delete) status=$(with "$token" -X DELETE "$URL/d/gone-$2") ;;
	rmdir) status=$(with "$token" -X DELETE "$URL/d/empty-$2/") ;;
	restore) status=$(with "$token" -X POST "$URL/d/f?restore=$old") ;;
	status) status=$(with "$token" "$URL/.covey/status") ;;
	layout) status=$(with "$token" "$URL/.covey/layout") ;;
	metrics) status=$(with "$token" "$URL/.covey/metrics") ;;
	esac
	echo "$1 $2: $status" >&2
	case $status in
	40[134]) return 1 ;;
	20? | 304) return 0 ;;
	*) echo "unexpected: $1 $2: $status"; return 2 ;;
	esac
}

@test "each right lets in what it is for, and nothing else" {
	local right token op old allowed all rules=()
	all='get head range index deleted versions version put new form mkdir delete rmdir restore status layout metrics'
	for right in read list history append write delete restore; do
		rules+=("path: /d/, who: 'token:$right', may: $right")
	done
	rules+=("path: /d/, who: 'token:both', may: [read, history]" "path: /d/, who: 'token:index', may: [list, history]"
		"path: /, who: 'user:ada', may: [write, history, delete]" "path: /d/, who: 'user:ada', may: [write, history]"
		"path: /, who: 'token:admin', may: [admin]" "path: /, who: 'token:metrics', may: metrics")
	TOKENS='read list history append write delete restore both index admin metrics' guarded "${rules[@]}"
	echo one >f
	[ "$(as ada -T f "$URL/d/f")" = 201 ]
	old=$(header ETag | tr -d '"')
	[ "$(as ada -T f "$URL/d/f")" = 204 ]
	for right in read list history append write delete restore both index admin metrics; do
		[ "$(as ada -T f "$URL/d/gone-$right")" = 201 ]
		[ "$(as ada -X PUT "$URL/d/empty-$right/")" = 201 ]
		token=$(cat "token.$right")
		allowed=''
		for op in $all; do if may "$op" "$right"; then allowed+="$op "; else [ $? -eq 1 ]; fi; done
		echo "$right: $allowed"
		case $right in
		read) [ "$allowed" = 'get head range ' ] ;;
		list) [ "$allowed" = 'index ' ] ;;
		history) [ "$allowed" = 'versions ' ] ;;
		both) [ "$allowed" = 'get head range versions version ' ] ;;
		index) [ "$allowed" = 'index deleted versions ' ] ;;
		append | write) [ "$allowed" = 'put new form mkdir ' ] ;;
		delete) [ "$allowed" = 'delete rmdir ' ] ;;
		restore) [ "$allowed" = 'restore ' ] ;;
		admin) [ "$allowed" = 'status layout metrics ' ] ;;
		metrics) [ "$allowed" = 'metrics ' ] ;;
		esac
	done
}

@test "the longest path decides alone, and {user} is the asker's own name" {
	guarded 'path: /, who: users, may: [read, list, write]' 'path: "/home/{user}/", who: users, may: [read, list, write, delete]' \
		'path: /home/, who: users, may: [list]' 'path: /closed/, who: anyone, may: []'
	echo x >f
	[ "$(as ada -T f "$URL/home/ada/f")" = 201 ]
	[ "$(as bob "$URL/home/ada/f")" = 403 ]		# it lists /home/, but not what is in there
	[ "$(as bob "$URL/home/ada/deep/f")" = 404 ] || [ "$(as bob "$URL/home/ada/deep/f")" = 403 ]
	[ "$(as bob -T f "$URL/home/ada/g")" = 403 ]
	[ "$(as ada -T f "$URL/home2/f")" = 201 ]
	[ "$(as ada -T f "$URL/home/f")" = 403 ]
	[ "$(as ada -T f "$URL/closed/f")" = 404 ]
	[ "$(as ada "$URL/home/ada/f")" = 200 ]
	[ "$(as ada -X DELETE "$URL/home/ada/f")" = 204 ]
	[ "$(as ada -X DELETE "$URL/home2/f")" = 403 ]
}

@test "what is refused is told alike whether it is there or not, and without it being looked for" {
	local token path
	TOKENS=other guarded 'path: /, who: "user:ada", may: [read, write, list]' 'path: /open/, who: anyone, may: [read]'
	token=$(cat token.other)
	echo x >f
	[ "$(as ada -T f "$URL/secret/f")" = 201 ]
	same() {	# same CURL-ARG... - the answers for what is there, and for what is not, are one
		code "$@" "$URL/secret/f" >there; grep -v '^Date' headers >>there; cat body >>there
		code "$@" "$URL/secret/g" >absent; grep -v '^Date' headers >>absent; cat body >>absent
		diff there absent
	}
	same
	same -H "Authorization: Bearer $token"
	[ "$(with "$token" "$URL/secret/f")" = 404 ]
	same -I
	same -H "Authorization: Bearer $token" -r 0-0
	same -H "Authorization: Bearer $token" -H 'If-None-Match: *'
	same -H "Authorization: Bearer $token" -H "If-Match: \"x\"" -T f
	same -H "Authorization: Bearer $token" -X DELETE
	same -H "Authorization: Bearer $token" -H 'Cache-Control: only-if-cached'
	for path in 'secret/f?versions' 'secret/?versions' 'secret/' 'secret' 'secret/?deleted' "secret/f?version=$(as ada -I "$URL/secret/f" >/dev/null; header ETag | tr -d '"')"; do
		echo "$path"
		[ "$(with "$token" "$URL/$path")" = 404 ]
		[ "$(code "$URL/$path")" = 401 ]
	done
	# Who may write and not read learns nothing by conditions.
	[ "$(code -X POST "$URL/open/f?restore=20261120T000000.000000000Z-0123456789abcdef-0")" = 401 ]
}

@test "no other spelling of a path is another path" {
	local path status
	guarded 'path: /, who: anyone, may: [read, list]' 'path: /secret/, who: "user:ada", may: [read, list, write]' \
		'path: /.covey/, who: "user:ada", may: [admin]'
	echo x >f
	[ "$(as ada -T f "$URL/secret/f")" = 201 ]
	for path in /secret/f //secret/f /./secret/f /secret//f /secret/./f /%73ecret/f /secret%2Ff /x/../secret/f /x/%2e%2e/secret/f \
		/secret/f/ /secret /secret/ /secret/. '/secret/f?' '/secret/f?x=1' '/secret?versions' /secret/f%00 /.covey/status \
		//.covey/status /%2ecovey/status /.covey//status /.covey/./status /.covey/metrics /.covey /.covey/; do
		status=$(code --path-as-is "$URL$path")
		echo "$path: $status"
		[[ $status == 40[0134] ]]
		[ "$(code --path-as-is -I "$URL$path")" = "$status" ]
	done
	[ "$(code --request-target "http://127.0.0.1/secret/f" "$URL")" = 401 ]
	[ "$(code --request-target "https://localhost//secret/f" "$URL")" = 401 ]
	[ "$(code -X CONNECT "$URL/secret/f")" = 501 ]
	[ "$(code "$URL/SECRET/f")" = 404 ]		# a name of its own, where nothing is
	[ "$(code "$URL/.covey/healthz")" = 200 ]
	[ "$(code "$URL/.covey/readyz")" = 200 ]
	[ "$(code -X OPTIONS "$URL/secret/f")" = 204 ]
}

@test "nothing of a form is stored when one of its files may not be" {
	guarded 'path: /, who: anyone, may: [list, read]' 'path: /in/, who: anyone, may: [read, list, append]' 'path: /in/no/, who: anyone, may: []' \
		'path: /in/taken, who: anyone, may: [read]'
	echo x >f
	[ "$(code -F 'a=@f;filename=one' -F 'a=@f;filename=taken' -F 'a=@f;filename=two' "$URL/in/")" = 403 ]
	[ "$(code "$URL/in/one")" = 404 ]
	[ "$(code "$URL/in/two")" = 404 ]
	[ "$(code -F 'a=@f;filename=one' -F 'a=@f;filename=../two' "$URL/in/")" = 201 ]
	[ "$(code "$URL/in/one")" = 200 ]
	[ "$(code -F 'a=@f;filename=one' "$URL/")" = 403 ] || [ "$(code -F 'a=@f;filename=one' "$URL/")" = 401 ]
	# A large one, whose files go to the disk while they come.
	bytes 2000000 >big
	[ "$(code -F 'a=@big;filename=big' -F 'a=@big;filename=taken' "$URL/in/")" = 403 ]
	[ "$(code "$URL/in/big")" = 404 ]
}

@test "a site's page, a form's condition and a deleted name take the right that they would take alone" {
	MORE='sites: [/www]' TOKENS=box guarded 'path: /, who: "user:ada", may: [read, list, history, write, delete]' \
		'path: /www/, who: anyone, may: [read, list]' 'path: /www/index.html, who: "user:ada", may: [read, write]' \
		'path: /d/, who: ["user:ada", "user:bob"], may: [read, list, history, write, delete]' \
		'path: /d/plan, who: "user:ada", may: [read, write, delete]' 'path: /d/plan, who: "user:bob", may: [read]' \
		'path: /in/, who: "token:box", may: [append]'
	echo '<p>ours' >index.html
	echo x >f
	[ "$(as ada -T index.html "$URL/www/index.html")" = 201 ]
	[ "$(as ada "$URL/www/")" = 200 ]
	cmp body index.html
	[ "$(header Cache-Control)" = 'private, no-cache' ]
	[ "$(code "$URL/www/")" = 200 ]
	run ! grep -q ours body
	[ "$(as ada -T f "$URL/d/plan")" = 201 ]
	[ "$(as ada -T f "$URL/d/other")" = 201 ]
	[ "$(as ada -X DELETE "$URL/d/plan")" = 204 ]
	[ "$(as ada -X DELETE "$URL/d/other")" = 204 ]
	[ "$(as bob "$URL/d/?deleted&format=text")" = 200 ]
	grep -q other body
	run ! grep -q plan body
	[ "$(with "$(cat token.box)" -F 'file=@f;filename=box' "$URL/in/")" = 201 ]
	[ "$(with "$(cat token.box)" -H 'If-Match: "x"' -F 'file=@f;filename=box' "$URL/in/")" = 404 ]
}

@test "an index tells only what may be seen, in pages that are right" {
	local n link
	guarded 'path: /, who: anyone, may: [list]' 'path: /d/, who: anyone, may: [list]' 'path: /, who: "user:ada", may: [write, list, read]' \
		'path: /d/, who: "user:ada", may: [write, list, read, history]' 'path: /d/f3, who: "user:ada", may: [write, read]' \
		'path: /d/f5, who: "user:ada", may: [write]' 'path: /d/f6, who: "user:ada", may: [write]' \
		'path: /d/sub/, who: anyone, may: []' 'path: /d/sub/deep/, who: "user:ada", may: [read, list]' 'path: /d/sub/deep/, who: "user:bob", may: [write]'
	echo x >f
	for n in 1 2 3 4 5 6 7; do [ "$(as ada -T f "$URL/d/f$n")" = 201 ]; done
	[ "$(as bob -T f "$URL/d/sub/deep/x")" = 201 ]
	names() { code "$@" >/dev/null; cut -f 1 body | tr '\n' ' '; }
	[ "$(names -u ada:ada1 "$URL/d/?format=text")" = 'f1 f2 f3 f4 f7 sub/ ' ]
	[ "$(names "$URL/d/?format=text")" = 'f1 f2 f4 f7 ' ]
	[ "$(header Cache-Control)" = 'private, no-cache' ]
	grep -qi '^Vary: Authorization' headers
	# Pages: the next begins behind what was told, and what is hidden takes no place.
	[ "$(names "$URL/d/?format=text&limit=2")" = 'f1 f2 ' ]
	link=$(header Link)
	[[ $link == '<?after=f2&limit=2&format=text>; rel="next"' ]]
	[ "$(names "$URL/d/?after=f2&limit=2&format=text")" = 'f4 f7 ' ]
	[ -z "$(header Link)" ]
	[ "$(names "$URL/d/?after=f5&limit=2&format=text")" = 'f7 ' ]
	code -H 'Accept: text/html' "$URL/d/?limit=2" >/dev/null
	grep -qF '1 to 2 of 4' body
	run ! grep -q 'f3\|f5\|f6\|sub' body
	curl -sf "$URL/d/?format=json" | jq -e 'length == 4'
	[ "$(names "$URL/?format=text")" = 'd/ ' ]
	# What may not be done is not offered.
	code -H 'Accept: text/html' "$URL/d/" >/dev/null
	run ! grep -q 'multipart/form-data\|name="versions"\|name="deleted"' body
	code -u ada:ada1 -H 'Accept: text/html' "$URL/d/" >/dev/null
	grep -q 'multipart/form-data' body
	grep -q 'name="versions"' body
	[ "$(as ada -T f "$URL/d/f1")" = 204 ]
	code -u ada:ada1 -H 'Accept: text/html' "$URL/d/f1?versions" >/dev/null
	run ! grep -q 'restore' body
	# Of HEAD, too; and the directory that may not be listed is told of by nobody.
	[ "$(code -I "$URL/d/?limit=2")" = 200 ]
	[ "$(as bob "$URL/d/sub/")" = 403 ]
}

@test "a long directory: what is hidden costs no page, and each page goes on where the last ended" {
	local after='' n
	guarded 'path: /, who: anyone, may: [list, append]' 'path: /d/n0500, who: "user:ada", may: [read]' 'path: /d/n1001, who: "user:ada", may: [read]' \
		'path: /d/n1100, who: anyone, may: []'
	mkdir many
	for n in $(seq -w 0 1250); do echo x >"many/n$n"; done
	run covey put -qr many /d/ --node "$URL"
	[ "$status" -eq 77 ]		# three of them may not be written
	[ "$(code "$URL/d/?format=text")" = 200 ]
	cut -f 1 body >all
	run ! grep -q 'n0500\|n1001\|n1100' all
	[ "$(wc -l <all)" -ge 1200 ]
	: >paged
	while :; do
		[ "$(code "$URL/d/?format=text&limit=100${after:+&after=$after}")" = 200 ]
		cut -f 1 body >>paged
		after=$(tail -n 1 body | cut -f 1)
		[ -n "$(header Link)" ] || break
		[ "$(wc -l <body)" -eq 100 ]
	done
	diff all paged
}

@test "what not everybody would get is private to caches; what everybody gets is not" {
	local id
	guarded 'path: /, who: users, may: [read, list, history, write]' 'path: /pub/, who: anyone, may: [read, list, history]' \
		'path: /pub/, who: users, may: [write]'
	echo x >f
	[ "$(as ada -T f "$URL/f")" = 201 ]
	id=$(header ETag | tr -d '"')
	[ "$(as ada "$URL/f?version=$id")" = 200 ]
	[ "$(header Cache-Control)" = 'private, max-age=31536000, immutable' ]
	grep -qi '^Vary: Authorization' headers
	[ "$(as ada "$URL/f")" = 200 ]
	[ "$(header Cache-Control)" = 'private, no-cache' ]
	[ "$(as ada -H "If-None-Match: \"$id\"" "$URL/f")" = 304 ]
	[ "$(header Cache-Control)" = 'private, no-cache' ]
	[ "$(as ada "$URL/none")" = 404 ]
	[ "$(header Cache-Control)" = 'private, no-cache' ]
	grep -qi '^Vary: Authorization' headers
	[ "$(as ada -T f "$URL/pub/f")" = 201 ]
	id=$(header ETag | tr -d '"')
	[ "$(code "$URL/pub/f?version=$id")" = 200 ]
	[ "$(header Cache-Control)" = 'max-age=31536000, immutable' ]
	[ "$(as ada "$URL/pub/f?version=$id")" = 200 ]
	[ "$(header Cache-Control)" = 'max-age=31536000, immutable' ]
}

@test "who waits for 100 is refused before a byte of the body" {
	guarded 'path: /, who: users, may: [write]'
	printf 'PUT /f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n' | raw "${URL##*:}" >answer
	head -n 1 answer | grep -q '^HTTP/1.1 401 '
	run ! grep -q ' 100 ' answer
	grep -q '^WWW-Authenticate: Basic realm="covey", charset="UTF-8"' answer
	grep -q '^WWW-Authenticate: Bearer realm="covey"' answer
}

@test "passwords of all methods, tokens and their last day" {
	local token past
	mkdir one
	{
		users ada
		htpasswd -nbB -C 5 bob bob1 | head -n 1
		python3 -W ignore -c 'import crypt; print("cyd:" + crypt.crypt("cyd1", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$"))'
		printf 'dan:%s\n' "$(openssl passwd -5 dan1)"
		printf 'eva.e@x:%s\n' "$(openssl passwd -6 'ä:b c')"
	} >one/users
	TOKENS=t guarded 'path: /, who: users, may: [read, write]' 'path: /t/, who: "token:t", may: [write]'
	echo x >f
	for who in ada bob cyd dan; do
		[ "$(as $who -T f "$URL/$who")" = 201 ]
		[ "$(code -u "$who:${who}2" "$URL/$who")" = 401 ]
	done
	[ "$(code -u 'eva.e@x:ä:b c' "$URL/ada")" = 200 ]
	[ "$(code -u 'ADA:ada1' "$URL/ada")" = 401 ]
	[ "$(code -H 'Authorization: Basic x' "$URL/ada")" = 401 ]
	[ "$(code -H 'Authorization: Digest x' "$URL/ada")" = 401 ]
	token=$(cat token.t)
	[ "$(with "$token" -T f "$URL/t/f")" = 201 ]
	[ "$(with "${token}x" -T f "$URL/t/f")" = 401 ]
	grep -q 'error="invalid_token"' headers
	[ "$(with "$(sed 's/.*:\(.*\):.*/\1/' one/tokens)" -T f "$URL/t/f")" = 401 ]	# the hash is no token
	past=$(date -u -d yesterday +%F)
	sed -i "s/never/$past/" one/tokens
	wait_until 15 answers 401 with "$token" -T f "$URL/t/f"
}

@test "a failure slows its source and user, not others, nor who is known" {
	local i slowed="" before
	guarded 'path: /, who: users, may: [read, write]' 'path: /.covey/metrics, who: anyone, may: [read]'
	echo x >f
	[ "$(as ada -T f "$URL/f")" = 201 ]
	# An unknown user costs a hash, as a known one does.
	before=$(counter covey_passwords_checked_total)
	[ "$(code -u bob:wrong "$URL/f")" = 401 ]
	[ "$(counter covey_passwords_checked_total)" -eq $((before + 1)) ]
	[ "$(code -u nobody:wrong "$URL/f")" = 401 ]
	[ "$(counter covey_passwords_checked_total)" -eq $((before + 2)) ]
	cmp <(code -u nobody2:wrong "$URL/f"; cat body) <(code -u nobody3:wrong "$URL/f"; cat body)
	# Sooner or later the pause is longer than this machine takes for a request.
	for ((i = 0; i < 200; i++)); do
		case $(code -u eve:wrong "$URL/f") in
		429) slowed=yes; break ;;
		401) ;;
		*) false ;;
		esac
	done
	[ -n "$slowed" ]
	[ "$(header Retry-After)" -ge 1 ]
	[ "$(header Retry-After)" -le 30 ]
	# Who is known goes on, also under that name elsewhere, and others may try.
	[ "$(as ada "$URL/f")" = 200 ]
	[ "$(as bob "$URL/f")" = 200 ] || [ "$(as bob "$URL/f")" = 429 ]
	grep -q 'wrong password for user eve from 127.0.0.1' one.log
	[ "$(counter 'covey_refused_total{why="slowed"}')" -ge 1 ]
}

@test "rules, users and tokens are read again, without losing a request; what is broken is not taken" {
	local pid
	guarded 'path: /, who: users, may: [read, write]' 'path: /.covey/, who: anyone, may: []'
	echo x >f
	[ "$(as ada -T f "$URL/f")" = 201 ]
	while :; do curl -s -o /dev/null -w '%{http_code}\n' -u ada:ada1 "$URL/f"; done >steady &
	pid=$!
	users ada cyd >one/users
	wait_until 15 answers 200 as cyd "$URL/f"
	[ "$(as bob "$URL/f")" = 401 ]
	sed -i 's/may: \[read, write\]/may: [read]/' one/covey.yaml
	wait_until 15 answers 404 as ada -T f "$URL/g"
	# Broken: it is said where, and what was stays.
	echo 'eve:$1$abc$x' >>one/users
	wait_until 15 grep -q "$D/one/users:3: user eve: MD5-crypt" one.log
	[ "$(as cyd "$URL/f")" = 200 ]
	echo 'nonsense' >>one/covey.yaml
	users ada cyd dan >one/users
	wait_until 15 grep -q "$D/one/covey.yaml:" one.log
	[ "$(as cyd "$URL/f")" = 200 ]
	sed -i '$d' one/covey.yaml
	wait_until 15 answers 200 as dan "$URL/f"
	# Shut out.
	echo user:dan >one/deny
	wait_until 15 answers 403 as dan "$URL/f"
	[ "$(as cyd "$URL/f")" = 200 ]
	kill $pid
	wait $pid || :
	[ "$(sort -u steady)" = 200 ]
	echo from:127.0.0.0/8 >one/deny
	wait_until 15 answers 403 as cyd "$URL/f"
	[ "$(code "$URL/.covey/healthz")" = 200 ]
}

@test "a proxy is believed when it is trusted, and nobody else" {
	local said=(-H 'X-Forwarded-User: ada')
	guarded 'path: /, who: "user:ada", may: [read, write]'
	echo x >f
	[ "$(code "${said[@]}" -T f "$URL/f")" = 401 ]
	stop "$PID"
	MORE='trust_proxy: [ 192.0.2.1, 127.0.0.0/8 ]' guarded 'path: /, who: "user:ada", may: [read, write]'
	[ "$(code "${said[@]}" -T f "$URL/f")" = 201 ]
	[ "$(code -H 'X-Forwarded-User: bob' "$URL/f")" = 404 ]
	[ "$(code -H 'X-Forwarded-User;' "$URL/f")" = 401 ]
	[ "$(code "${said[@]}" -H 'X-Forwarded-User: bob' "$URL/f")" = 403 ]
	[ "$(code -H 'X-Forwarded-User: a/b' "$URL/f")" = 403 ]
	[ "$(as ada "$URL/f")" = 200 ]
	[ "$(code "$URL/f")" = 401 ]
	# It is the last address that no trusted proxy has.
	echo from:198.51.100.7 >one/deny
	wait_until 15 answers 403 code "${said[@]}" -H "X-Forwarded-For: 198.51.100.7" "$URL/f"
	[ "$(code "${said[@]}" -H 'X-Forwarded-For: 198.51.100.7, 192.0.2.1' "$URL/f")" = 403 ]
	[ "$(code "${said[@]}" -H 'X-Forwarded-For: 198.51.100.7, 198.51.100.8' "$URL/f")" = 200 ]
	[ "$(code "${said[@]}" "$URL/f")" = 200 ]
}

@test "nginx in front, as README says: it knows the users, or covey does" {
	local front nginx=$D/nginx.conf
	MORE='trust_proxy: [ 127.0.0.1 ]' guarded 'path: /, who: "user:ada", may: [read, write, list]' 'path: /pub/, who: anyone, may: [read]'
	front=http://127.0.0.1:$(port 7)
	serve() {	# serve SED-SCRIPT - nginx with the block of README, changed by it
		{
			printf 'user root;\ndaemon off;\nerror_log stderr;\npid %s;\nevents {}\nhttp {\naccess_log off;\n' "$D/nginx.pid"
			printf '%s_temp_path %s;\n' client_body "$D/t1" proxy "$D/t2" fastcgi "$D/t3" uwsgi "$D/t4" scgi "$D/t5"
			sed -n '/^```nginx$/,/^```$/p' "$TOP/README.md" | sed '1d;$d' |
				sed "s/listen .*;/listen 127.0.0.1:$(port 7);/; /server_name/d; /ssl_/d; s|http://127.0.0.1:4720|$URL|; s|/etc/nginx/covey.users|$D/one/users|; $1"
			echo '}'
		} >"$nginx"
		spawn nginx nginx -c "$nginx"
		wait_until 20 curl -s -o /dev/null "$front/"
	}
	serve ''
	echo x >f
	[ "$(code "$front/f")" = 401 ]
	[ "$(code -u ada:ada1 -T f "$front/f")" = 201 ]
	[ "$(code -u ada:ada1 "$front/f")" = 200 ]
	[ "$(code -u bob:bob1 "$front/f")" = 404 ]
	[ "$(code -u bob:bob1 -H 'X-Forwarded-User: ada' "$front/f")" = 404 ]
	[ "$(code -u ada:wrong "$front/f")" = 401 ]
	stop "$PID"
	# Without its own users, covey is asked, and a forged name is worth nothing.
	serve '/auth_basic/d; /Authorization/d; s|X-Forwarded-User .*|X-Forwarded-User "";|'
	[ "$(code "$front/f")" = 401 ]
	[ "$(code -H 'X-Forwarded-User: ada' "$front/f")" = 401 ]
	[ "$(code -u ada:ada1 "$front/f")" = 200 ]
	[ "$(code "$front/pub/none")" = 404 ]
}

@test "who asks by a Unix socket is known by its process" {
	[ "$(id -u)" = 0 ] || skip "NOT RUN: only root can be another user"
	cat >ask.py <<-'EOF'
	import os, socket, subprocess, sys
	conf, uid, gid, groups, path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
	listener = socket.socket(socket.AF_UNIX)
	listener.bind("door.sock")
	os.chmod("door.sock", 0o777)
	listener.listen()
	if os.fork() == 0:
	    client = socket.socket(socket.AF_UNIX)
	    os.setgroups([int(g) for g in groups.split(",") if g])
	    os.setgid(gid)
	    os.setuid(uid)
	    client.connect("door.sock")
	    client.sendall(b"GET " + path.encode() + b" HTTP/1.0\r\n\r\n")
	    print(client.recv(100).decode().split()[1])
	    sys.stdout.flush()
	    os._exit(0)
	server = listener.accept()[0]
	os.unlink("door.sock")
	subprocess.run(["covey-httpd", "--inetd", "-c", conf], stdin=server, stdout=server)
	server.close()
	os.wait()
	EOF
	chmod 755 .
	guarded 'path: /, who: "unix:user=daemon", may: [list]' 'path: /g/, who: "unix:group=bin", may: [list]' \
		'path: /.covey/, who: "unix:group=bin", may: [admin]' 'path: /n/, who: ["unix:user=nobody-here", "unix:group=bin"], may: read'
	[ "$(grep -c 'this machine has no user nobody-here: it names nobody' one.log)" -eq 1 ]
	[ "$(grep -c 'this machine has no' one.log)" -eq 1 ]
	stop "$PID"
	[ "$(python3 ask.py "$CONF" "$(id -u daemon)" 65534 '' /)" = 200 ]
	[ "$(python3 ask.py "$CONF" 65534 65534 '' /)" = 401 ]
	[ "$(python3 ask.py "$CONF" 0 0 '' /)" = 401 ]
	[ "$(python3 ask.py "$CONF" 65534 65534 "$(getent group bin | cut -d : -f 3)" /.covey/status)" = 200 ]
	[ "$(python3 ask.py "$CONF" 65534 "$(getent group bin | cut -d : -f 3)" '' /.covey/status)" = 200 ]
	[ "$(python3 ask.py "$CONF" 65534 65534 4 /.covey/status)" = 401 ]
}

@test "a node beyond loopback wants rules, or the word open" {
	node_conf one "0.0.0.0:$(port)"
	run covey-httpd -n -c "$CONF"
	[ "$status" -eq 100 ]
	[[ $output == *"access: {rules: ...}"*"access: open"* ]]
	echo 'access: { rules: [ { path: /, who: anyone, may: read } ] }' >>"$CONF"
	run covey-httpd -n -c "$CONF"
	[ "$status" -eq 0 ]
	sed -i '$d' "$CONF"
	echo 'access: { users: users, rules: [ { path: /, who: anyone, may: read } ] }' >>"$CONF"
	run covey-httpd -n -c "$CONF"
	[ "$status" -eq 100 ]
	[[ $output == *"$D/one/users: No such file"* ]]
	echo 'ada:secret' >one/users
	run covey-httpd -n -c "$CONF"
	[ "$status" -eq 100 ]
	[[ $output == *"$D/one/users:1: user ada: no hash"* ]]
}

@test "another site's page writes nothing by the password that the browser remembers" {
	guarded 'path: /, who: users, may: [read, write, delete]'
	echo x >f
	[ "$(as ada -T f -H 'Sec-Fetch-Site: cross-site' "$URL/f")" = 403 ]
	[ "$(as ada -T f -H 'Origin: http://evil.example' "$URL/f")" = 403 ]
	[ "$(as ada -F 'a=@f' -H 'Sec-Fetch-Site: same-site' "$URL/")" = 403 ]
	[ "$(as ada "$URL/f")" = 404 ]
}

@test "covey token makes, lists and revokes; covey access check explains" {
	local token n args pids=()
	TOKENS=t guarded 'path: /, who: users, may: [read]' 'path: /, who: "user:ada", may: [write]' 'path: /backup/, who: "token:t", may: [append]'
	token=$(cat token.t)
	[[ $token =~ ^covey_[A-Za-z0-9_-]{43}$ ]]
	run ! grep -qF "$token" one/tokens
	[ "$(stat -c %a one/tokens)" = 644 ] || [ "$(stat -c %a one/tokens)" = 640 ]
	run covey token new t -c "$CONF"
	[ "$status" -eq 65 ]
	[[ $output == *"there is one"* ]]
	covey token new u --expires 3 -c "$CONF"
	covey token new v --expires 2999-12-31 -c "$CONF"
	run covey token list -c "$CONF"
	[ "$(awk '{print $1, $2}' <<<"$output" | tr '\n' ' ')" = "t never u $(date -u -d '3 days' +%F) v 2999-12-31 " ]
	run covey token new w --expires 2001-01-01 -c "$CONF"
	[ "$status" -eq 65 ]
	run covey token new 'a b' -c "$CONF"
	[ "$status" -eq 65 ]
	for n in 1 2 3 4 5 6 7 8; do covey token new "p$n" -c "$CONF" >/dev/null & pids+=($!); done
	wait "${pids[@]}"
	[ "$(wc -l <one/tokens)" -eq 11 ]
	covey token revoke u -c "$CONF"
	[ "$(wc -l <one/tokens)" -eq 10 ]
	run covey token revoke u -c "$CONF"
	[ "$status" -eq 66 ]
	for args in new revoke 'list x' 'new a b' "list --expires 3"; do
		# shellcheck disable=SC2086  # words
		run covey token $args -c "$CONF"
		[ "$status" -eq 64 ]
	done
	run covey access check /x --user ada -c "$CONF"
	[ "$status" -eq 0 ]
	[ "$(tail -n 1 <<<"$output")" = 'may: read, write' ]
	run covey access check /backup/x --token t -c "$CONF"
	[ "$(tail -n 1 <<<"$output")" = 'may: append' ]
	[[ $output == *"/: read: does not count, for another rule has a longer path"* ]]
	run covey access check /backup/x -c "$CONF"
	[ "$(tail -n 1 <<<"$output")" = 'may: nothing' ]
	echo broken >>one/users
	run covey access check / -c "$CONF"
	[ "$status" -eq 78 ]
	[[ $output == *"$D/one/users:3: "* ]]
}

@test "covey takes a token from the environment, a password from netrc, and says what to do without" {
	local token
	TOKENS=t guarded 'path: /, who: users, may: [read, list, write]' 'path: /t/, who: "token:t", may: [write]'
	echo hello >f
	export HOME=$D
	run covey put f /f --node "$URL"
	[ "$status" -eq 77 ]
	[[ $output == *"(401): set COVEY_TOKEN, or write machine, login and password into ~/.config/covey/netrc" ]]
	mkdir -p .config/covey
	echo 'machine 127.0.0.1 login ada password ada1' >.config/covey/netrc
	chmod 600 .config/covey/netrc
	covey put -q f /f --node "$URL"
	[ "$(covey get /f --node "$URL")" = hello ]
	mv .config/covey/netrc .netrc
	[ "$(covey get /f --node "$URL")" = hello ]
	[ "$(code -n --netrc-file .netrc "$URL/f")" = 200 ]
	token=$(cat token.t)
	COVEY_TOKEN=$token covey put -q f /t/f --node "$URL"
	COVEY_TOKEN=$token run covey get /f --node "$URL"
	[ "$status" -eq 66 ]
	COVEY_TOKEN=wrong run covey get /f --node "$URL"
	[ "$status" -eq 77 ]
}
