#!/usr/bin/env bats
# What is kept stays: by age, when numbers are lowered, and when a store comes back.
load helpers

N=3

configure() {
	local i
	[ -e group.key ] || (umask 077 && covey key new >group.key)
	for ((i = 1; i <= N; i++)); do lone_conf "$i" "$N"; done
}

nodes() { seq 1 $N; }

# start_group, stop_group - all of them
start_group() {
	local i all
	mapfile -t all < <(nodes)
	run_node "${all[@]}"
	for i in "${all[@]}"; do wait_until 20 ready "${URLS[i]}"; done
}
stop_group() {
	local all
	mapfile -t all < <(nodes)
	stop_node "${all[@]}"
}

keep() { sed -n "/^\[$2\]/,/^\[/s/^$3 = //p" "${STORES[$1]}/state/keep.ini"; }
keeps() { [ "$(keep "$1" keep versions) $(keep "$1" keep days)" = "$2" ]; }
lowered() { curl -sf -m 5 "${URLS[$1]}/.covey/status" | jq -ce ".keep.lowered | $2"; }
# versions I PATH - how many records of it are in the history of node I; contents I PATH: that have content
versions() { find "${STORES[$1]}/history/$2" -name ',[12]*' | wc -l; }
contents() { find "${STORES[$1]}/history/$2" -type f -name ',[12]*' | wc -l; }
has() { [ "$("$1" "$2" "$3")" -eq "$4" ]; }
owes_nothing() { [ "$(curl -sf "${URLS[$1]}/.covey/status" | jq .outbox)" = 0 ]; }
has_at_most() { [ "$("$1" "$2" "$3")" -le "$4" ]; }
logged() { grep -q "$2" "$D/n$1.log"; }
all_have() { local i; for i in $(nodes); do "$1" "$i" "${@:2}" || return; done; }

@test "content is kept for 1, 20,000 and 36,500 days by covey prune" {
	httpd one
	export COVEY_NODE=$URL
	echo now | covey put -q - f
	"$TOP/tests/aged" "$STORE" f 99999 20001 19999 2 0
	URLS[1]=$URL STORES[1]=$STORE
	has contents 1 f 5
	for options in '--days=36500' '--days=36500 f' '--days=20000 g'; do
		# shellcheck disable=SC2086
		run covey prune -c "$CONF" $options
		[ "$status" -eq 0 ]
		[[ $output == "0 versions, content of 0 more, 0 dropped" ]]
	done
	sed -i '$a keep: {days: 36500}' "$CONF"
	run covey prune -c "$CONF"
	[[ $output == "0 versions, content of 0 more, 0 dropped" ]]
	has contents 1 f 5
	run covey prune -c "$CONF" --days 20000
	[[ $output == "0 versions, content of 2 more, 12 dropped" ]]
	run covey prune -c "$CONF" --days 1
	[[ $output == "0 versions, content of 2 more, 8 dropped" ]]
	has contents 1 f 1
	has versions 1 f 5
	[ "$(covey log f | wc -l)" -eq 6 ]
	[ "$(covey get f)" = now ]
}

@test "covey prune ends the hour of the numbers that it went by, and of no others" {
	httpd one 'keep: { versions: 200 }'
	URLS[1]=$URL STORES[1]=$STORE
	printf '[keep]\nversions = 300\ndays = 0\n[lowered]\nversions = 100\ndays = 0\nleft = 3000\n' >"$STORE/state/keep.ini"
	covey prune -c "$CONF"
	keeps 1 "300 0"
	[ "$(keep 1 lowered versions)" = 100 ]
	sed -i 's/versions: 200/versions: 100/' "$CONF"
	covey prune -c "$CONF"
	keeps 1 "100 0"
	[ -z "$(keep 1 lowered versions)" ]
}

@test "content is kept for 1, 20,000 and 36,500 days by upkeep" {
	local days=(0 36500 20000 1) left=(0 5 3 1)
	for i in 1 2 3; do		# each a group of its own
		lone_conf $i 3
		sed -i "s/seeds: .*/seeds: [ '127.0.0.1:$(port $((10 * i + 1)))' ]/; s/group.key/group$i.key/" "${CONFS[i]}"
		printf 'keep: { versions: 7, days: %s }\n' "${days[i]}" >>"${CONFS[i]}"
		(umask 077 && covey key new >group$i.key)
	done
	start_group
	for i in 1 2 3; do
		wait_until 20 keeps $i "7 ${days[i]}"
		for f in f g; do echo now | covey put -q --node "${URLS[i]}" - $f; done
	done
	stop_group
	for i in 1 2 3; do
		"$TOP/tests/aged" "${STORES[i]}" f 99999 20001 19999 2 0
		# That it was pruned is seen of one version too many.
		"$TOP/tests/aged" "${STORES[i]}" g 1 2 3 4 5 6 7
	done
	start_group
	for i in 1 2 3; do
		wait_until 20 has versions $i g 6
		wait_until 20 logged $i 'pruned 1 versions'
		has contents $i f "${left[i]}"
		has versions $i f 5
	done
}

@test "a group that is restored goes on with the numbers its store lived by" {
	configure
	start_group
	wait_until 30 settled
	covey layout set keep.versions=300 keep.days=36499 copies=3 -c "${CONFS[1]}" 2>said
	[ "$(grep -c 'drops in an hour' said)" -eq 1 ]	# by days
	wait_until 20 all_have layout_is 3 3 300 36499
	echo now | covey put -q --node "${URLS[1]}" - d/f
	stop_group
	for i in $(nodes); do
		"$TOP/tests/aged" "${STORES[i]}" d/f {1..150}
		cp -a "${STORES[i]}" "backup$i"
		rm -r "${STORES[i]}"
	done
	# As README says, or by hand.
	for i in $(nodes); do
		cp -a "backup$i" "${STORES[i]}"
		rm -f "${STORES[i]}/node.ini"
	done
	covey node renew -c "${CONFS[2]}"
	start_group
	wait_until 30 settled
	all_have layout_is 3 3 300 36499
	grep -q "has the numbers by which this store last lived: homes 3, copies 3, keep.versions 300, keep.days 36499" n?.log
	wait_until 20 all_have keeps "300 0"
	for i in $(nodes); do wait_until 20 lowered "$i" '.days == 36499 and .goes.versions == 0'; done
	for i in $(nodes); do has versions "$i" d/f 150; done
	covey layout set keep.days=0 -c "${CONFS[1]}"
	for i in $(nodes); do
		wait_until 20 lowered "$i" not
		wait_until 5 logged "$i" "keep.versions and keep.days were set back within the hour: nothing is dropped by the lower numbers"
	done
}

layout_is() { [ "$(layout "$1" '[.homes, .copies, .keep.versions, .keep.days] | join(" ")')" = "$2 $3 $4 $5" ]; }

# A group of N restored without state/: nobody knows its numbers any more.
lowered_group() {
	local i
	configure
	for i in $(nodes); do printf 'keep: { versions: 100 }\n' >>"${CONFS[i]}"; done
	start_group
	wait_until 40 settled
	echo now | covey put -q --node "${URLS[1]}" - d/f
	stop_group
	for i in $(nodes); do
		"$TOP/tests/aged" "${STORES[i]}" d/f {1..150}
		rm -r "${STORES[i]}/state" "${STORES[i]}/node.ini"
	done
	start_group
	wait_until 40 settled
	# A node of five that is no home of it has only what was put there.
	for i in $(nodes); do wait_until 20 lowered "$i" '.goes.versions >= 50'; done
}

@test "for an hour nobody prunes by lowered numbers; set back they take nothing; covey prune does not wait" {
	lowered_group
	for i in $(nodes); do
		wait_until 5 logged "$i" "in 60 min this node prunes by keep.versions 100, keep.days 0, which drops 51 versions and the content of 0 more, .* bytes"
		lowered "$i" '.versions == 100 and .days == 0 and (.at - now | . > 3500 and . < 3660)'
		has versions "$i" d/f 150
	done
	covey status --node "${URLS[1]}" | grep '^keep.lowered.goes.versions *51$'
	covey status --node "${URLS[1]}" | grep '^keep.lowered.say .*covey layout set.*covey prune'

	covey layout set keep.versions=300 -c "${CONFS[1]}"
	for i in $(nodes); do
		wait_until 20 lowered "$i" 'not'
		keeps "$i" "300 0"
	done
	run covey layout set keep.versions=100 -c "${CONFS[2]}"
	[ "$status" -eq 0 ]
	[[ $output == *"each node drops in an hour"* ]]
	for i in $(nodes); do wait_until 20 lowered "$i" '.goes.versions == 51'; done

	# Its own hour goes on where it was, also after a clock that was set, for it is not asked.
	stop_node 2 3
	sed -i 's/^left = .*/left = 1800/' "${STORES[2]}/state/keep.ini"
	sed -i 's/^left = .*/left = 0/' "${STORES[3]}/state/keep.ini"
	run_node 2 3
	wait_until 30 settled
	lowered 2 '.goes.versions == 51 and (.at - now | . > 1700 and . < 1860)'

	run covey prune -c "${CONFS[1]}"
	[[ $output == "51 versions, content of 0 more"* ]]
	lowered 1 'not'
	keeps 1 "100 0"
	has versions 1 d/f 99
	has versions 2 d/f 150
	lowered 2 '.goes.versions == 51'
	wait_until 20 has versions 3 d/f 99	# it was over
	lowered 3 'not'
	logged 3 "from now on this node prunes by keep.versions 100, keep.days 0"
}

# told I - what node I says of the versions, when that is confirmed
told() {
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[$1]}/d/f?versions&format=text")" = 200 ] || return
	[ "$(header Version-State)" = confirmed ] || return
	grep -c . body
}
tells() { [ "$(told "$1")" = "$2" ]; }

@test "of five nodes some have pruned and others wait: they agree, and repair nothing" {
	N=5
	lowered_group
	for i in 1 2; do
		run covey prune -c "${CONFS[i]}"
		[[ $output == "5"[01]" versions"* ]]
	done
	stop_node 1 3		# and what is compared at a start differs in nothing
	run_node 1 3
	wait_until 40 settled
	wait_until 20 all_have tells 100
	# What came back while it was being dropped goes within a minute.
	for i in 1 2; do wait_until 80 has_at_most versions $i d/f 100; done
	for i in 3 4 5; do has versions $i d/f 150; done
	wait_until 30 all_have owes_nothing
}

# What two stores hold, for whoever compares them: every name, content and record, and when it was made.
holdings() {
	(
		cd "$1" || exit
		find tree history \( -type f -printf '%p %s %T@ %m ' -exec sha256sum {} \; \) -o -printf '%p %y %l\n'
		getfattr -Rhd -m '^user\.' tree history
	) | sort
}

@test "covey backup copies a store with its records, and then what has changed" {
	httpd one
	export COVEY_NODE=$URL
	for f in a d/b 'd/c d' gone; do for i in 1 2 3; do echo "$f $i" | covey put -q - "$f"; done; done
	covey rm gone
	curl -sf -X PUT "$URL/empty/"
	curl -sf -T <(echo typed) -H 'Content-Type: text/x-odd' "$URL/typed" -o out
	run covey backup -c "$CONF" "$D/for/one"
	mv for/one b
	[ "$status" -eq 0 ]
	echo "$output"
	[[ $output == "$D/for/one: "*" files copied, "*" 0 were the same, 0 went" ]]
	diff <(holdings "$STORE") <(holdings b)
	grep -qx 'whole = yes' b/backup.ini
	[ ! -e b/run ]
	[ ! -e b/tmp ]

	run covey backup -c "$CONF" --json b
	[ "$(jq -c '[.bytes < 4096, .went]' <<<"$output")" = '[true,0]' ]
	# Another size and kind, the same size within one second, one that goes, and a directory for a file.
	echo "a 4" | covey put -q - a
	echo "a longer one" | covey put -q - d/b
	covey prune -c "$CONF" --versions 1 'd/c d'
	covey rm typed
	echo in | covey put -q - typed/in
	run covey backup -c "$CONF" b
	[ "$status" -eq 0 ]
	[[ $output == *", 2 went" ]] || [[ $output != *", 0 went" ]]
	diff <(holdings "$STORE") <(holdings b)

	# Only where it may: not in the store, not over what is none or another node's.
	run covey backup -c "$CONF" ""
	[ "$status" -eq 66 ]
	run covey backup -c "$CONF" "$STORE/b"
	[ "$status" -eq 65 ]
	[[ $output == *"it is in the store"* ]]
	mkdir mine
	echo mine >mine/file
	run covey backup -c "$CONF" mine
	[ "$status" -eq 65 ]
	[[ $output == *"it is not empty, and no backup"* ]]
	[ "$(ls mine)" = file ]
	httpd two
	run covey backup -c "$CONF" b
	[ "$status" -eq 65 ]
	[[ $output == *"it is the backup of node $(sed -n 's/^id = //p' "$D/one/store/node.ini")"*"a directory of its own"* ]]
}

@test "a backup that is made while files are written, deleted and pruned has only whole versions" {
	httpd one
	cat >writer <<-'SH'
	while [ ! -e enough ]; do
		for f in a b c; do
			for text in one two six; do curl -s -o out -X PUT -d "$text" "$URL/d/$f"; done
		done
		curl -s -o out -X DELETE "$URL/d/b"
		covey prune -c "$CONF" --versions 4 >out
		touch round
	done
	SH
	export URL CONF
	spawn writer sh writer
	for i in 1 2 3 4; do
		rm -f round
		wait_until 20 test -e round
		covey backup -c "$CONF" b
	done
	touch enough
	stop_when_done "$PID"
	node_conf two "$(port)"
	covey recover -c "$CONF" b
	run covey scrub -c "$CONF" --json
	[ "$status" -eq 0 ]
	jq -e '.contents >= 3 and .bad == []' <<<"$output"
	spawn two covey-httpd -c "$CONF"
	wait_until 20 ready "$URL"
	for f in a c; do
		[[ $(curl -s "$URL/d/$f") =~ ^(one|two|six)$ ]]
		[ "$(covey log --node "$URL" d/$f | wc -l)" -ge 4 ]
	done
}

stop_when_done() { wait_until 20 eval "! kill -0 $1"; }

@test "a backup that was cut off, or has lost its attributes, is not taken for one" {
	httpd one
	export COVEY_NODE=$URL
	for i in 1 2 3; do echo "$i" | covey put -q - f; done
	stop "$PID"
	covey backup -c "$CONF" b
	# Cut off at its first file that is to be copied.
	cp -a b cut
	rm cut/tree/f
	mkdir cut/copying
	run covey backup -c "$CONF" cut
	[ "$status" -ne 0 ]
	rmdir cut/copying
	node_conf two "$(port)"
	run covey recover -c "$CONF" cut
	[ "$status" -eq 65 ]
	[[ $output == *"it is not whole"* ]]
	covey backup -c "$D/one/covey.yaml" cut
	# Plain cp keeps what is seen, and loses what counts.
	cp -r b plain
	run covey recover -c "$CONF" plain
	[ "$status" -eq 65 ]
	[[ $output == *"have lost their extended attributes"* ]]
	run covey recover -c "$CONF" "$D/one"
	[ "$status" -eq 65 ]
	[[ $output == *"it is no backup"* ]]
	[ ! -e "$STORE/node.ini" ]
	covey recover -c "$CONF" cut
	httpd two
	[ "$(covey log --node "$URL" f | wc -l)" -eq 3 ]
}

@test "what lost its attributes is not backed up over what has them" {
	httpd one
	for i in 1 2 3; do echo "$i" | covey put -q --node "$URL" - f; done
	stop "$PID"
	covey backup -c "$CONF" b
	mv "$STORE" whole
	cp -r whole "$STORE"
	run covey backup -c "$CONF" b
	[ "$status" -eq 65 ]
	[[ $output == *"have lost their extended attributes"*"covey adopt"* ]]
	diff <(holdings whole) <(holdings b)
	node_conf two "$(port 1)"
	covey recover -c "$CONF" b
	httpd two
	[ "$(covey log --node "$URL" f | wc -l)" -eq 3 ]
}

# spawn_stopped CALL PATH CMD...: CMD, stopped behind its first such system call on the path, until go_on
spawn_stopped() {
	need strace
	export LEAK_CHECK=0
	spawn stopped strace -f -o steps -P "$2" -e trace="$1" -e inject="$1":signal=STOP:when=1 "${@:3}"
	wait_until 20 grep -q 'stopped by SIGSTOP' steps
}
go_on() {
	kill -CONT "$(sed -n 's/ .*stopped by SIGSTOP.*//p' steps)"
	stop_when_done "$PID"
}

@test "a deletion while its history is backed up: the backup is of before or after" {
	httpd one
	for i in 1 2; do echo $i | covey put -q --node "$URL" - d/f; done
	covey rm --node "$URL" d/f
	echo 3 | covey put -q --node "$URL" - d/f
	spawn_stopped newfstatat history/d/f/, covey backup -c "$CONF" b
	covey rm --node "$URL" d/f
	go_on
	[ -e "b/history/d/f/,$(readlink b/history/d/f/,)" ]
	node_conf two "$(port 1)"
	covey recover -c "$CONF" b
	httpd two
	[ "$(code "$URL/d/f")" = 404 ]
	[[ $(covey log --node "$URL" d/f | head -n 1) == *deleted* ]]
}

@test "a directory that becomes a link while it is backed up" {
	httpd one
	for f in d/f g; do echo $f | covey put -q --node "$URL" - $f; done
	spawn_stopped newfstatat tree/d/f covey backup -c "$CONF" b
	mv "$STORE/tree/d" away
	ln -s "$D/away" "$STORE/tree/d"
	go_on
	[ ! -e b/tree/d/f ]
	[ "$(cat b/tree/g)" = g ]
	grep -qx 'whole = yes' b/backup.ini
}

@test "a link in a backup, or in the way of a copy, leads nowhere out of it" {
	mkdir out out/d
	httpd one
	for f in d/e/f d/g; do echo $f | covey put -q --node "$URL" - $f; done
	stop "$PID"
	covey backup -c "$CONF" b
	node_conf two "$(port 1)"
	local part
	for part in tree history outbox state; do
		cp -a b linked
		rm -r linked/$part
		ln -s "$D/out" linked/$part
		run covey recover -c "$CONF" linked
		[ "$status" -eq 65 ]
		[[ $output == *"linked/$part: it is no directory"* ]]
		[ "$(cd out && find . | sort | xargs)" = ". ./d" ]
		rm -r linked "$STORE"
	done
	# Somebody puts one there between two steps.
	spawn_stopped mkdirat d covey recover -c "$CONF" b
	mv "$STORE/tree/d" away
	ln -s "$D/out/d" "$STORE/tree/d"
	go_on
	grep -q 'Too many levels of symbolic links' stopped.log
	[ -z "$(ls out/d)" ]
}

# on_mount OPTIONS CMD...: CMD, with what these options of mount name at ./there, for it alone
on_mount() {
	local options=$1
	[ "$(id -u)" = 0 ] || skip "NOT RUN: only root mounts file systems"
	shift
	mkdir -p there
	# shellcheck disable=SC2086
	unshare -m mount $options there || skip "NOT RUN: no mount $options here"
	# shellcheck disable=SC2016
	run unshare -m sh -c 'mount $0 there && exec "$@"' "$options" "$@"
}

@test "where the file system loses attributes or times, covey backup says so" {
	httpd one
	echo f | covey put -q --node "$URL" - f
	on_mount "-t ramfs none" covey backup -c "$CONF" there/b
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"the file system there keeps no extended attributes"* ]]
	truncate -s 20M image
	mkfs.ext4 -q -I 128 image
	on_mount "-o loop image" sh -c 'covey backup -c "$0" there/b; echo $?; cat there/b/backup.ini' "$CONF"
	echo "$output"
	[[ $output == *"the file system there keeps no times in nanoseconds"*"whole = no"* ]]
}

# A group whose nodes are all lost, from the backup of each.
@test "a group of five is recovered, and a backup of one node is not the group's" {
	local n
	N=5
	configure
	start_group
	wait_until 40 settled
	for n in {1..12}; do
		echo "$n" | covey put -q --node "${URLS[1]}" - "d$n/f"
		echo "$n again" | covey put -q --node "${URLS[2]}" - "d$n/f"
	done
	covey layout set keep.versions=30 -c "${CONFS[1]}" 2>said
	for i in $(nodes); do
		run covey backup -c "${CONFS[i]}" "b$i"
		[ "$status" -eq 0 ]
		[[ $output == *"not the group: the content of $(find "b$i/tree" -type l | wc -l) files is on other nodes alone"*"back up each node"* ]]
	done
	[ "$(find b?/tree -type l | wc -l)" -gt 0 ]
	[ "$(find b1/tree b1/history -type f | wc -l)" -lt 24 ]
	stop_group
	for i in $(nodes); do
		rm -r "${STORES[i]}"
		covey recover -c "${CONFS[i]}" "b$i" >recovered
	done
	start_group
	wait_until 40 settled
	all_have layout_is 3 2 30 0
	for n in {1..12}; do
		wait_until 20 reads $((n % 5 + 1)) "d$n/f" "$n again"
		[ "$(covey log --node "${URLS[n % 5 + 1]}" "d$n/f" | wc -l)" -eq 2 ]
	done
	wait_until 30 all_have owes_nothing
}

# reads I PATH TEXT: node I confirms it
reads() {
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[$1]}/$2")" = 200 ] && [ "$(header Version-State)" = confirmed ] &&
		[ "$(cat body)" = "$3" ]
}

# other_node FILE TEXT: as if another node had made a version of it in the same nanosecond, of the same size
other_node() {
	python3 - "$@" <<-'PY'
	import hashlib, os, sys
	name, text = sys.argv[1], sys.argv[2].encode()
	record, st = bytearray(os.getxattr(name, "user.covey")), os.stat(name)
	assert st.st_size == len(text)
	record[19] ^= 1
	record[28:60] = hashlib.sha256(text).digest()
	with open(name + ",", "wb") as f:
	    f.write(text)
	os.setxattr(name + ",", "user.covey", bytes(record))
	os.utime(name + ",", ns=(st.st_mtime_ns, st.st_mtime_ns))
	os.chmod(name + ",", st.st_mode)
	os.rename(name + ",", name)
	PY
}

@test "no backup puts a new record over old bytes, though two versions are of one size and time" {
	local line first second try
	httpd one
	line=$(sed -n '/^```sh/,/^```/p' "$TOP/README.md" | grep '^rsync ')
	line=${line//\/var\/lib\/covey\//$STORE/}
	# Until the two are of one second, in which there is a backup between.
	for try in {1..20}; do
		rm -rf backup
		mkdir -p backup
		while [[ ${EPOCHREALTIME#*[.,]} != 00* ]]; do :; done
		[[ $(code -d "first  $try" -X PUT "$URL/f") == 20[14] ]]
		first=$(header ETag)
		eval "$line"
		[ "$(code -d "second $try" -X PUT "$URL/f")" = 204 ]
		second=$(header ETag)
		[ "${first%%.*}" != "${second%%.*}" ] || break
	done
	[ "${first%%.*}" = "${second%%.*}" ] || skip "NOT RUN: no second has two writes and rsync in it here"
	eval "$line"
	[ "$(cat backup/covey/tree/f)" = "second $try" ]
	diff <(holdings "$STORE") <(holdings backup/covey)
	stop "$PID"
	covey backup -c "$CONF" b
	other_node "$STORE/tree/f" "third  $try"
	eval "$line"
	diff <(holdings "$STORE") <(holdings backup/covey)
	covey backup -c "$CONF" b
	diff <(holdings "$STORE") <(holdings b)
	[ "$(cat b/tree/f)" = "third  $try" ]
}

@test "what root recovers belongs to whom the store's directory belongs to" {
	[ "$(id -u)" = 0 ] || skip "NOT RUN: only root gives files away"
	httpd one
	echo f | covey put -q --node "$URL" - d/f
	stop "$PID"
	covey backup -c "$CONF" b
	node_conf two "$(port)"
	install -d -o nobody -g nogroup "$STORE"
	covey recover -c "$CONF" b
	[ -e "$STORE/tree/d/f" ]
	[ -e "$STORE/node.ini" ]
	[ -z "$(find "$STORE" -not \( -user nobody -group nogroup \))" ]
}

@test "a store that lost its attributes says so, and covey adopt brings its files back" {
	httpd one
	for f in a d/b d/c; do echo "$f" | covey put -q --node "$URL" - "$f"; done
	[ "$(covey status --node "$URL" --json | jq .store.lost)" = null ]
	stop "$PID"
	mv "$STORE" whole
	cp -r whole "$STORE"
	spawn lost covey-httpd -c "$CONF"
	wait_until 20 ready "$URL"
	grep -q "$STORE: the files in tree/ have lost their extended attributes.*covey adopt" lost.log
	covey status --node "$URL" | grep -q '^store.lost .*covey adopt'
	[ "$(code "$URL/d/b")" = 404 ]
	run covey adopt -c "$CONF"
	[ "$status" -eq 0 ]
	[[ $output == *"adopted 3"* ]]
	[ "$(covey status --node "$URL" --json | jq .store.lost)" = null ]
	[ "$(covey get --node "$URL" d/b)" = d/b ]

	# A person's files in a store that has its records are no such thing, nor are those of an import.
	cp whole/tree/a "$STORE/tree/mine"
	node_conf fresh "$(port 5)"
	mkdir -p "$STORE/tree"
	cp -r whole/tree/. "$STORE/tree"
	spawn fresh covey-httpd -c "$CONF"
	wait_until 20 ready "$URL"
	[ "$(covey status --node "$URL" --json | jq .store.lost)" = null ]
	stop "$PID"
	# A store of an older release, that has its records and no mark yet, is given it.
	setfattr -x user.covey.store whole/tree
	mv whole "$D/old"
	node_conf old2 "$(port 6)"
	mv "$D/old" "$STORE"
	spawn old covey-httpd -c "$CONF"
	wait_until 20 ready "$URL"
	[ "$(getfattr --only-values -n user.covey.store "$STORE/tree")" = 1 ]
	[ "$(covey status --node "$URL" --json | jq .store.lost)" = null ]
	[ "$(covey get --node "$URL" d/b)" = d/b ]
}

@test "covey recover makes another node of a backup, which knows and gives all that was in it" {
	local was
	httpd one
	export COVEY_NODE=$URL
	for i in 1 2 3; do echo "$i" | covey put -q - d/f; done
	echo gone | covey put -q - gone
	covey rm gone
	was=$(sed -n 's/^id = //p' "$STORE/node.ini")
	covey backup -c "$CONF" b
	run covey recover -c "$CONF" b		# while it runs
	[ "$status" -eq 65 ]
	[[ $output == *"programs of this node run, stop them first"* ]]
	stop "$PID"
	run covey recover -c "$CONF" b
	[ "$status" -eq 65 ]
	[[ $output == *"there are files of a store already"* ]]
	printf '[keep]\nversions = 300\ndays = 0\n[lowered]\nversions = 100\ndays = 0\nleft = 60\n' >"$STORE/state/keep.ini"
	covey backup -c "$CONF" b
	mv "$STORE" before
	# Cut off it cannot be started, and goes on when it is said again.
	mkdir -p "$STORE/history" "$STORE/copying"
	run covey recover -c "$CONF" b
	[ "$status" -ne 0 ]
	rmdir "$STORE/copying"
	run timeout 20 covey-httpd -c "$CONF"
	[ "$status" -ne 0 ]
	[[ $output == *"covey recover was cut off: say it again"* ]]
	run covey recover -c "$CONF" b
	[ "$status" -eq 0 ]
	[[ ${lines[1]} == "it is node $(sed -n 's/^id = //p' "$STORE/node.ini") now, and may be started" ]]
	[[ $output != *"$was"* ]]
	diff <(holdings b) <(holdings "$STORE")
	# Numbers that were lowered wait a whole hour here.
	grep -q '^versions = 300$' "$STORE/state/keep.ini"
	grep -q '^left = 3600$' "$STORE/state/keep.ini"
	# Where node.id is configured it must say the new one.
	rm -r "$STORE"
	sed "s|^  store: .*|&\n  id: $was|" "$CONF" >id.yaml
	run covey recover -c id.yaml b
	[ "$status" -eq 0 ]
	[[ $output != *"may be started"* ]]
	[[ $output == *"now say so in id.yaml, or it does not start:  id: $(sed -n 's/^id = //p' "$STORE/node.ini")"* ]]
	spawn again covey-httpd -c "$CONF"
	wait_until 20 ready "$URL"
	[ "$(covey get d/f)" = 3 ]
	[ "$(covey log d/f | wc -l)" -eq 3 ]
	run covey get gone
	[ "$status" -ne 0 ]
}
