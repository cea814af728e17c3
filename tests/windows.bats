#!/usr/bin/env bats
# The index of a directory with more names than a node tells at once (4,096), in a group: window by window.
load helpers

NAMES=5000
PATIENT='timeouts: { check: 2s, store: 10s, push: 10s }'

# One group of five; the last test stops it, for one of three.
setup_file() { shared_group 5 "$PATIENT"; }
teardown_file() { end_shared_group; }
setup() { covey_setup; }

# fill [DIRECTORY END]: /d/, or this, with NAMES empty files, which are in `expected`; their names end with END
fill() {
	local i end=${2-}
	seq -f "n%05.0f${end//ü/%%C3%%BC}" "$NAMES" >expected
	mkdir names
	(cd names && seq -f "n%05.0f$end" "$NAMES" | xargs touch)
	covey put -q --node "${URLS[1]}" -r names "/${1-d}/"	# once more it has nothing to do
	for i in "${!URLS[@]}"; do wait_until 60 outbox_empty "$i"; done
}

# large N [DIRECTORY END]: the same in the group of five, or, when that was stopped, in one of three
large() {
	if [ "$1" = 5 ]; then use_shared_group 5; else group "$1" "$PATIENT"; fi
	fill "${@:2}"
}

# A list says that it is confirmed, and its names, which are in the file `got`, are those in `expected`.
is_all() {
	[ "$(header Version-State)" = confirmed ] || { cat headers; return 1; }
	cmp expected got
}

# listed I [QUERY]: of node I, as text
listed() {
	[ "$(code "${URLS[$1]}/d/?format=text${2-}")" = 200 ] || { cat headers; return 1; }
	cut -f1 body >got
}

# pages I FORMAT LIMIT: the same by pages, as Link says
pages() {
	local at="/d/?format=$2&limit=$3" next
	: >all
	while [ -n "$at" ]; do
		[ "$(code "${URLS[$1]}$at")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		"$2_names" <body >page
		[ "$(wc -l <page)" -le "$3" ]
		cat page >>all
		next=$(header Link | sed -n 's/^<\(.*\)>; *rel="next"$/\1/p')
		at=${next:+/d/$next}
	done
	mv all got
}
text_names() { cut -f1; }
json_names() { jq -r '.[].href'; }
html_names() { sed -n 's/^.*<td><a href="\([^"?]*\)">.*$/\1/p'; }

each_form() {
	local i
	large "$1"
	# There is no directory that could come before the files of a page for people.
	pages 3 html 3000
	is_all
	[ "$(code -X PUT "${URLS[2]}/d/a/")" = 201 ]
	[ "$(code -X PUT "${URLS[2]}/d/n04096x/")" = 201 ]
	{ echo a/; sed 's:^n04096$:&\nn04096x/:' expected; } >with
	mv with expected
	for ((i = 1; i <= $1; i++)); do
		listed "$i"
		is_all
		header Transfer-Encoding | grep -q chunked
	done
	[ "$(code "${URLS[2]}/d/?format=json")" = 200 ]
	json_names <body >got
	is_all
	pages 3 text 1000
	is_all
	pages 2 json 3000
	is_all
	pages 1 text 4500
	is_all
	[ "$(code -I "${URLS[3]}/d/?format=text")" = 200 ]
	[ "$(header Version-State)" = confirmed ]
	# A page for people has directories first.
	{ echo a/; echo n04096x/; seq -f 'n%05.0f' "$NAMES"; } >expected
	[ "$(code "${URLS[2]}/d/?format=html&limit=6000")" = 200 ]
	html_names <body >got
	is_all
	pages 3 html 4000
	is_all
	[ "$(code -H 'Accept: text/html' "${URLS[1]}/d/")" = 200 ]
	html_names <body >got
	head -n 1000 expected >some
	mv some expected
	is_all
	covey rm --node "${URLS[1]}" /d/a/ /d/n04096x/ >/dev/null
}

@test "five nodes: every form and every page" { each_form 5; }

confirms() { [ "$(code -H 'Cache-Control: no-cache' "${URLS[$1]}/?format=text")" = 200 ]; }

# slowly I [DIRECTORY]: a client that reads the beginning of node I's list of /d/, and goes on when there is a file `go`.
# Then it says in slow.end whether the list came to its end; the names are in `got`.
slowly() {
	rm -f go begun slow.end
	cat >slow.py <<'END'
import os
import socket
import sys
import time

host, port = sys.argv[1].removeprefix("http://").split(":")
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect((host, int(port)))
s.sendall(b"GET /%s/?format=text HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % sys.argv[2].encode())
answer = s.recv(1000)
open("begun", "w").close()
while not os.path.exists("go"):
    time.sleep(0.02)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
try:
    while block := s.recv(65536):
        answer += block
except ConnectionResetError:
    pass
head, _, body = answer.partition(b"\r\n\r\n")
names = [line.split(b"\t")[0] for line in body.split(b"\n") if line.count(b"\t") == 6 or line.count(b"\t") == 4]
open("headers", "wb").write(head + b"\r\n")
open("got", "wb").write(b"".join(name + b"\n" for name in names))
with open("new.end", "w") as f:
    print("whole" if body.endswith(b"\r\n0\r\n\r\n") else "cut", file=f)
os.rename("new.end", "slow.end")
END
	spawn slow python3 slow.py "${URLS[$1]}" "${2-d}"
	wait_until 20 test -e begun
}

@test "five nodes: a home that falls silent during a list, and names that come meanwhile, take no name from it" {
	local silent
	large 5
	silent=$(covey-check --json -c "$GROUP/node1/covey.yaml" /d/n00001 |
		 jq -r '[.[] | select(.roles | index("home")) | .name] - ["node1"] | .[0]')
	slowly 1
	hold_roles "${silent#node}" httpd versiond
	: >x
	for i in b n05000x y; do [ "$(code -T x "${URLS[1]}/d/$i")" = 201 ]; done
	touch go
	wait_until 30 test -e slow.end
	[ "$(cat slow.end)" = whole ]
	grep -vx 'b\|n05000x\|y' got >old
	mv old got
	is_all
	covey rm --node "${URLS[1]}" /d/b /d/n05000x /d/y >/dev/null
}

@test "five nodes: a list that cannot be confirmed to its end is cut" {
	local i
	# Longer than what lies in a socket's buffers, so that there are windows which nobody has asked for yet.
	NAMES=9000
	large 5 long "$(printf 'ü%.0s' {1..120})"
	slowly 1 long
	for i in 2 3 4 5; do hold_roles "$i" httpd versiond; done
	touch go
	wait_until 30 test -e slow.end
	[ "$(cat slow.end)" = cut ]
	[ "$(header Version-State)" = confirmed ]
	[ "$(wc -l <got)" -gt 0 ]
	[ "$(wc -l <got)" -lt "$NAMES" ]
	cmp <(head -n "$(wc -l <got)" expected) got
	# What is not said to be confirmed goes on.
	[ "$(code "${URLS[1]}/long/?format=text")" = 200 ]
	[[ $(header Version-State) == unconfirmed* ]]
	cmp expected <(cut -f1 body)
	release
	wait_until 30 confirms 1
}

@test "five nodes: while the layout changes again and again no list that ends lacks a name" {
	local whole=0 end
	large 5
	spawn change bash -c 'while covey layout leave -c "$1" && covey layout join -c "$1"; do :; done' change "$GROUP/node5/covey.yaml"
	end=$((SECONDS + 20))
	while [ $SECONDS -lt $end ] || [ $whole -eq 0 ]; do
		slowly $((1 + RANDOM % 4))
		nap 0.$((RANDOM % 10))
		touch go
		wait_until 30 test -e slow.end
		[ "$(cat slow.end)" = whole ] || continue
		whole=$((whole + 1))
		cmp expected got
	done
	echo "$whole whole lists; layout $(layout 1 .epoch)" >&3
	[ "$(layout 1 .epoch)" -gt 5 ]
}

@test "three nodes: every form and every page of a large directory has all names; all deleted it is empty" {
	stop "$SHARED_PID"
	each_form 3
	covey rm --node "${URLS[1]}" -r /d/ >/dev/null
	[ "$(code -X PUT "${URLS[2]}/d/")" = 201 ]
	listed 2
	[ ! -s got ]
	pages 3 text 100
	[ ! -s got ]
	listed 1 '&deleted'
	[ "$(grep -c '^n[0-9]*$' got)" -eq "$NAMES" ]
	echo x >x
	[ "$(code -T x "${URLS[2]}/d/zz")" = 201 ]
	[ "$(code -X DELETE "${URLS[3]}/d/")" = 409 ]
	[ "$(code -X DELETE "${URLS[3]}/d/zz")" = 204 ]
	[ "$(code -X DELETE "${URLS[3]}/d/")" = 204 ]
	[ "$(code "${URLS[1]}/d/")" = 404 ]
}
