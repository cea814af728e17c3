#!/usr/bin/env bats
# What is kept stays: by age, when numbers are lowered, and when a store comes back.
load helpers

N=3

configure() {
	local i
	[ -e group.key ] || (umask 077 && covey key new >group.key)
	for ((i = 1; i <= N; i++)); do lone_conf "$i" "$N"; done
}

# run_node I..., stop_node I... - all at once
run_node() {
	local i
	for i; do
		spawn "n$i" covey up -c "${CONFS[i]}"
		UPS[i]=$PID
	done
	for i; do wait_until 20 ready "${URLS[i]}"; done
}
stop_node() {
	local i pids=()
	for i; do pids+=("${UPS[i]}"); done
	stop_all "${pids[@]}"
}

nodes() { seq 1 $N; }
keep() { sed -n "/^\[$2\]/,/^\[/s/^$3 = //p" "${STORES[$1]}/state/keep.ini"; }
keeps() { [ "$(keep "$1" keep versions) $(keep "$1" keep days)" = "$2" ]; }
lowered() { curl -sf -m 5 "${URLS[$1]}/.covey/status" | jq -ce ".keep.lowered | $2"; }
# versions I PATH - how many records of it are in the history of node I; contents I PATH: that have content
versions() { find "${STORES[$1]}/history/$2" -name ',[12]*' | wc -l; }
contents() { find "${STORES[$1]}/history/$2" -type f -name ',[12]*' | wc -l; }
has() { [ "$("$1" "$2" "$3")" -eq "$4" ]; }
logged() { grep -q "$2" "$D/n$1.log"; }
all_have() { local i; for i in $(nodes); do "$1" "$i" "${@:2}" || return; done; }

@test "content is kept for 1, 20,000 and 36,500 days by covey prune" {
	httpd one
	export COVEY_NODE=$URL
	echo now | covey put -q - f
	"$TOP/tests/aged" "$STORE" f 99999 20001 19999 2 0
	URLS[1]=$URL STORES[1]=$STORE
	has contents 1 f 5
	for options in '--days 36500' '--days 36500 f' '--days 20000 --versions 6 g'; do
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

@test "content is kept for 1, 20,000 and 36,500 days by upkeep" {
	N=1
	configure
	printf 'keep: { versions: 7, days: 36500 }\n' >>"${CONFS[1]}"
	run_node 1
	wait_until 20 keeps 1 "7 36500"
	for f in f g; do echo now | covey put -q --node "${URLS[1]}" - $f; done
	stop_node 1
	"$TOP/tests/aged" "${STORES[1]}" f 99999 20001 19999 2 0
	for days in 36500:5 20000:3 1:1; do
		sed -i "s/^keep_days = .*/keep_days = ${days%:*}/" "${STORES[1]}/state/layout.ini"
		sed -i "s/^days = .*/days = ${days%:*}/" "${STORES[1]}/state/keep.ini"
		# That it was pruned is seen of one version too many.
		"$TOP/tests/aged" "${STORES[1]}" g 1 2 3 4 5 6 7
		run_node 1
		wait_until 20 has versions 1 g 6
		has contents 1 f "${days#*:}"
		has versions 1 f 5
		keeps 1 "7 ${days%:*}"
		stop_node 1
	done
}

@test "a group that is restored goes on with the numbers its store lived by" {
	configure
	run_node $(nodes)
	wait_until 30 settled
	covey layout set keep.versions=300 keep.days=36499 copies=3 -c "${CONFS[1]}" 2>set
	[ "$(grep -c 'drops in an hour' set)" -eq 1 ]	# by days
	wait_until 20 all_have layout_is 3 3 300 36499
	echo now | covey put -q --node "${URLS[1]}" - d/f
	stop_node $(nodes)
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
	run_node $(nodes)
	wait_until 30 settled
	all_have layout_is 3 3 300 36499
	grep -q "has the numbers by which this store last lived: homes 3, copies 3, keep.versions 300, keep.days 36499" n?.log
	wait_until 20 all_have keeps "300 0"
	for i in $(nodes); do wait_until 20 lowered "$i" '.days == 36499 and .goes.versions == 0'; done
	for i in $(nodes); do has versions "$i" d/f 150; done
	covey layout set keep.days=0 -c "${CONFS[1]}"
	for i in $(nodes); do
		wait_until 20 lowered "$i" not
		wait_until 5 logged "$i" "the numbers that were lowered are not any more: nothing goes by them"
	done
}

layout_is() { [ "$(layout "$1" '[.homes, .copies, .keep.versions, .keep.days] | join(" ")')" = "$2 $3 $4 $5" ]; }

# A group of N restored without state/: nobody knows its numbers any more.
lowered_group() {
	local i
	configure
	for i in $(nodes); do printf 'keep: { versions: 100 }\n' >>"${CONFS[i]}"; done
	run_node $(nodes)
	wait_until 40 settled
	echo now | covey put -q --node "${URLS[1]}" - d/f
	stop_node $(nodes)
	for i in $(nodes); do
		"$TOP/tests/aged" "${STORES[i]}" d/f {1..150}
		rm -r "${STORES[i]}/state" "${STORES[i]}/node.ini"
	done
	run_node $(nodes)
	wait_until 40 settled
	# A node of five that is no home of it has only what was put there.
	for i in $(nodes); do wait_until 20 lowered "$i" '.goes.versions >= 50'; done
}

@test "for an hour nobody prunes by lowered numbers; set back they take nothing; covey prune does not wait" {
	local at
	lowered_group
	for i in $(nodes); do
		wait_until 5 logged "$i" "by keep.versions 100, keep.days 0 51 versions and the content of 0 more, .* go in 60 min"
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
	for i in 1 2; do [ "$(versions $i d/f)" -le 100 ]; done
	for i in 3 4 5; do has versions $i d/f 150; done
	for i in $(nodes); do [ "$(curl -sf "${URLS[i]}/.covey/status" | jq .outbox)" = 0 ]; done
}

