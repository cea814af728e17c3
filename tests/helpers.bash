# helpers.bash - what every bats file of covey starts from: `load helpers`.
#
# A test gets, from setup() below (a file that has its own calls covey_setup):
#   $D            a directory of its own, on a real file system, gone after the test
#   port [N]      the N-th port of this file's own hundred (default 0), free when asked
#   $COVEY_BIN    where the programs are; first in PATH.  Sanitized (build/asan/bin) where strangers' bytes
#                 are what is tested; the release build (released) in files that start group after group
# and afterwards, from teardown() (covey_teardown): every process that the test
# left is stopped, and a report of a sanitizer fails the test.  After $TEST_DEADLINE (seconds
# since 1970), when that is set, what has not begun is skipped.
#
# One node of a group of one, covey-httpd alone:
#   httpd NAME [YAML]        writes $D/NAME/covey.yaml, starts it, waits until ready;
#                            sets URL, STORE, CONF and PID.  YAML: more lines of configuration
#   node_conf NAME PORT [YAML]   only writes the file, and sets URL, STORE, CONF
# A group, by `covey up`, in $GROUP/node1, $GROUP/node2, ...:
#   group N [YAML]           N nodes; sets URLS, STORES (index from 1), GROUP, GROUP_PID and PID;
#                            waits until they are settled.  YAML: more lines of each configuration,
#                            whose timeouts are longer than usual unless it says them
#   group_conf N [YAML]      only writes the files, which `group N` then finds
#   settled [HOMES]          every node has the same layout, of HOMES members (default: all), and
#                            knows that every other has it; for wait_until
#   role_pid I ROLE          process of a role of node I, as `role_pid 2 covey-versiond`
#   layout I FILTER          jq's FILTER of the layout as node I has it
# A group whose nodes can stop or die alone:
#   lone_conf I N            writes the configuration of node I of N, each with a `covey up` of its
#                            own; sets URLS[I], STORES[I] and CONFS[I]
#   run_node I...            starts these; sets UPS[I], and waits until each answers
#   stop_node I...           stops these, all at once
#   lose_node I              kill -9, the whole of node I
# Nodes of either:
#   hold PID..., hold_roles I ROLE...   processes (httpd, versiond, ... of node I) that answer nobody,
#   release                  until this, or the end of the test
#   talk I ARG...            asks covey-versiond of node I: see tests/ask-versions
#   outbox_empty I           node I has nothing left to tell another
# Without sanitizers:
#   package, next_package    prints the path of this checkout's Debian package, and of the same
#                            as version 9.something, built when what it is built from has changed
#   released                 prints where the programs of that package are
# The same group for all tests of a file, whose $D are their own:
#   setup_file() { shared_group 3; }   teardown_file() { end_shared_group; }
#   setup() { covey_setup; use_shared_group 3; }
# Processes:
#   spawn NAME CMD...        in the background; output to $D/NAME.log; sets PID
#   nap SECONDS              sleep, without a process of its own
#   stop PID [SIGNAL]        signal (TERM) and wait, at most 15 s; status in $STOPPED
#   stop_all PID...          the same, all at once
#   wait_until SECONDS CMD...   until CMD succeeds; else fails and says so.  SECONDS is ample where
#                            nothing else runs; a busy machine has three times that
# HTTP and files:
#   code CURL-ARG...         prints the status alone; the body goes to $D/body, headers to $D/headers
#   header NAME              value of a header of the last `code`
#   raw PORT [SECONDS]       sends standard input as it is, prints what comes until the end
#   bytes N [SEED]           N bytes, the same for the same SEED
#   sha FILE                 its sha256 (`sha -` reads standard input)
#   scenario SCRIPT NAME [ARG...]   runs that scenario of tests/SCRIPT, on sanitized programs
#   every_scenario SCRIPT WORD   each scenario of tests/SCRIPT is a test `{ WORD NAME; }` of this file
#   mutant_sim NAME          makes $D/NAME/build/covey-sim of the sources with tests/mutants/protocol/NAME.patch
#   need WHAT                skip, loudly, unless WHAT is there: `need hosts`, `need space 5G`.  CI takes
#                            a skip for a failure, unless .ci/skips gives its reason
# Hosts in network namespaces: see tests/hosts; `need hosts` first, then
#   hosts up 3; hosts exec 1 CMD...; hosts split 1,2 3; hosts heal   (down is teardown's)
#   host_at H PORT, host_url H   ADDRESS:PORT, and the URL of its covey-httpd
#   host_curl H CURL-ARG..., host_code H CURL-ARG...   curl, run on host H; code, run there
#   hosts_settled N          hosts 1..N have the same layout, of them all; for wait_until
#   host_conf H SEED...      writes $D/hH/covey.yaml: node hH at $ADDRESS_OF (10.79.0.) H, with the usual ports
#   spawn_on H NAME CMD...   spawn, in host H
# Disks whose power is cut: see tests/block-cuts; `need recorded-disks FILE-SYSTEM` first, then
#   block_cuts FILE-SYSTEM SEED CUTS OPERATIONS   what it found, and what it left, is in the output of a failure
# Machines that boot systemd: see tests/machines; `need machines` first, then
#   hosts up 1; machines up 1; machines exec 1 CMD...   (down is teardown's)
#   load URL...              tests/steady-load in host 1 until end_load, which fails if a request did
#   installed_machines N     hosts and machines 1..N, with the package installed as README says, in
#                            /root, as if `make deb` had been said there
# The same for all tests of a file, whose $D are their own:
#   setup_file() { shared_machines N; }   teardown_file() { end_shared_machines; }
#   setup() { covey_setup; need machines; }
#   machine CMD..., host CMD..., as `machine exec 1 ls`   machines and hosts, of these
#   on I CMD...              run in machine I
#   http I CURL-ARG...       `code`, in host I
#   state I UNIT             its ActiveState on machine I; `is I UNIT active` compares
#   pid_of I ROLE            process of covey-ROLE.service there
#   drop_in I UNIT LINE...   a drop-in of these lines there, until no_drop_ins I
#   machine_group N          makes machines 1..N a group, as `covey init` says it is done
#   machines_settled N       for wait_until: all have one layout, of N members
#   node I                   the URL of node I of it
#
# Write `run CMD`, then the exact status: [ "$status" -eq 0 ].
# shellcheck shell=bash
# shellcheck disable=SC2034  # what is set here is read by the tests

TOP=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
export TOP
# A sanitized program takes ten times as long to start, and twelve of them are a group of three:
# `make soak` runs these files sanitized, too.
unsanitized=' access-group away check cli clients cuts dates delta directories disks docs floods held history holders http-group
	identity init keys layout lists load operators overlap pages partition pull recursive renew repair restart restore scrub up windows wipe '
released() { local deb; deb=$("$TOP/tests/package") && echo "${deb%/*}/work/build/bin"; }
export SCENARIO_BIN="${SCENARIO_BIN-${COVEY_BIN-$TOP/build/asan/bin}}"
if [ -z "${COVEY_BIN-}" ]; then
	COVEY_BIN=$TOP/build/asan/bin FILE=${BATS_TEST_FILENAME##*/}
	[[ $unsanitized != *[[:space:]]"${FILE%.bats}"[[:space:]]* ]] || COVEY_BIN=$(released)
fi
export COVEY_BIN
# A make that a test starts is no part of the make that started the tests.
unset MAKEFLAGS MFLAGS
# Scripts of tests/ start quickly when they have been compiled.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX=$TOP/build/tests/python
# What Debian's packages installed, not what somebody's shell finds before it.
export PATH="$COVEY_BIN:/usr/sbin:/usr/bin:/sbin:/bin:$PATH" LC_ALL=C.UTF-8
bats_require_minimum_version 1.8.0

# sleep, without a process of its own
exec {NAP}<> <(:)
nap() { read -rt "$1" -u "$NAP" || :; }

# A hundred ports for this file, held by a lock for as long as the file runs:
# other files, and other trees on this machine, take others.
_reserve_ports() {
	local locks=/tmp/covey-test-ports-$UID base try
	[ "${PORTS_OF-}" != "$BATS_TEST_FILENAME" ] || return 0
	mkdir -p "$locks"
	for ((try = 0; try < 200; try++)); do
		base=$((10000 + 100 * (RANDOM % 100)))
		exec {PORTS_LOCK}>"$locks/$base"
		if flock -n "$PORTS_LOCK" && ! ss -Htuln "sport >= :$base and sport < :$((base + 100))" | grep -q .; then
			export PORTS_OF=$BATS_TEST_FILENAME PORT_BASE=$base
			return 0
		fi
		exec {PORTS_LOCK}>&-
	done
	echo "no free ports" >&2
	return 1
}
_reserve_ports

# Where this file's tests have their directories.
_choose_directories() {
	[ "${DIRECTORIES_OF-}" != "$BATS_TEST_FILENAME" ] || return 0
	export DIRECTORIES_OF=$BATS_TEST_FILENAME DIRECTORIES=$TOP/build/tests
	mkdir -p "$DIRECTORIES"
	[ "$(stat -f -c %T "$DIRECTORIES")" != tmpfs ] || DIRECTORIES=/var/tmp
	[ "$(stat -f -c %T "$DIRECTORIES")" != tmpfs ] || { echo "no place off tmpfs for a store" >&2; return 1; }
}
_choose_directories

port() { echo $((PORT_BASE + ${1:-0})); }

setup() { covey_setup; }
teardown() { covey_teardown; }

in_time() { [ -z "${TEST_DEADLINE-}" ] || [ "$EPOCHSECONDS" -lt "$TEST_DEADLINE" ]; }

covey_setup() {
	# For a whole file (in setup_file) nothing can be skipped.
	if [ -n "${BATS_TEST_NAME-}" ] && ! in_time; then
		D='' COVEY_TEST_MARK=''
		skip "NOT RUN: no time left on this machine"
	fi
	printf -v D '%s/t.%06x' "$DIRECTORIES" $((SRANDOM & 0xffffff))	# short: sockets are in it
	mkdir -m 700 "$D" || return
	# What the test starts is known by this mark in its environment.
	export D COVEY_TEST_MARK=$D
	# Leaks are looked for in what `spawn` starts; a command that soon ends would take twice as long.
	export ASAN_OPTIONS=log_path=$D/sanitizer:abort_on_error=0:exitcode=99:detect_leaks=0
	export LEAK_CHECK=1
	export UBSAN_OPTIONS=log_path=$D/sanitizer:print_stacktrace=1:exitcode=99
	export LSAN_OPTIONS=exitcode=99 TSAN_OPTIONS=log_path=$D/sanitizer:exitcode=99
	cd "$D" || return
}

covey_teardown() {
	local failed=0 report log
	[ -n "${D-}" ] || return 0
	[ ${#HELD[@]} -eq 0 ] || kill -CONT "${HELD[@]}" 2>/dev/null || :
	[ ! -d "$D/machines" ] || machines down || failed=1
	_end_leftovers
	[ -z "${CUTS-}" ] || _end_block_cuts
	for report in "$D"/sanitizer.*; do
		[ -e "$report" ] || continue
		head -n 40 "$report"
		failed=1
	done
	if [ -z "${BATS_TEST_COMPLETED-}" ] || [ $failed -ne 0 ]; then
		for log in "$D"/*.log ${SHARED:+"$SHARED"/*.log}; do
			[ ! -s "$log" ] || { echo "--- ${log##*/}"; tail -n 30 "$log"; }
		done
	fi
	cd "$TOP" || return
	if [ -n "${COVEY_KEEP-}" ]; then echo "kept $D"; else rm -rf "$D"; fi
	return $failed
}

# Processes started with this test's mark in their environment; grep itself has none.
_leftovers() {
	local mark=$COVEY_TEST_MARK
	(
		unset COVEY_TEST_MARK
		cd /proc && exec grep -lszxF "COVEY_TEST_MARK=$mark" [0-9]*/environ
	)
}

_end_leftovers() {
	local signal pid try pids living
	[ -n "${COVEY_TEST_MARK-}" ] || return 0
	for signal in TERM KILL; do
		for ((try = 0; try < 80; try++)); do
			# Looked for again now and then: what ends may have started something.
			if [ $((try % 10)) -eq 0 ] || [ ${#pids[@]} -eq 0 ]; then mapfile -t pids < <(_leftovers); fi
			[ ${#pids[@]} -gt 0 ] || return 0
			if [ $((try % 40)) -eq 0 ]; then
				for pid in "${pids[@]}"; do kill -"$signal" "${pid%/environ}" 2>/dev/null || :; done
			fi
			nap 0.05
			living=()
			for pid in "${pids[@]}"; do [ ! -e "/proc/$pid" ] || living+=("$pid"); done
			pids=("${living[@]}")
		done
	done
}

# systemd-socket-activate passes little of its environment on: without the mark, what it starts is
# not found when the test ends.
ACTIVATE=(systemd-socket-activate -E ASAN_OPTIONS -E UBSAN_OPTIONS -E COVEY_TEST_MARK)

# Descriptors above 2 are bats' own: a child that holds them would hang it.
spawn() {
	local name=$1
	shift
	(
		for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done
		ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=$LEAK_CHECK exec "$@"
	) </dev/null >>"$D/$name.log" 2>&1 &
	PID=$!
}

stop() {
	kill -"${2:-TERM}" "$1" && _await_end "$1"
}

stop_all() {
	local pid
	kill -TERM "$@" || return
	for pid; do _await_end "$pid" || return; done
}

_await_end() {
	local pid=$1 try
	for ((try = 0; try < 150; try++)); do
		if ! kill -0 "$pid" 2>/dev/null || grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; then
			STOPPED=0
			wait "$pid" 2>/dev/null || STOPPED=$?
			return 0
		fi
		nap 0.1
	done
	echo "process $pid does not stop"
	return 1
}

# Who waits long asks less often, and nobody asks for more than a quarter of the time: starting
# processes is what a busy machine is slow at.
wait_until() {
	local seconds=$1 end began now pause=50000
	shift
	began=${EPOCHREALTIME/[.,]/}
	end=$((began + 3 * seconds * 1000000))
	until "$@" >/dev/null 2>&1; do
		now=${EPOCHREALTIME/[.,]/}
		if [ "$now" -ge $end ]; then
			echo "not within 3 times $seconds s: $*"
			return 1
		fi
		pause=$((pause < 200000 ? pause * 5 / 4 : 250000))
		[ $((3 * (now - began))) -le $pause ] || pause=$((3 * (now - began)))
		[ $pause -le 1500000 ] || pause=1500000
		nap "$((pause / 1000000)).$(printf %06d $((pause % 1000000)))"
		began=${EPOCHREALTIME/[.,]/}
	done
}

node_conf() {
	local name=$1 port=$2
	mkdir -p "$D/$name"
	CONF=$D/$name/covey.yaml STORE=$D/$name/store URL=http://127.0.0.1:$port
	{
		printf 'node:\n  name: %s\n  address: 127.0.0.1\n  store: %s\nlisten:\n  http: %s\n' \
			"$name" "$STORE" "$port"
		[ -z "${3-}" ] || printf '%s\n' "$3"
	} >"$CONF"
}

lone_conf() {
	local i=$1 n seeds=
	for ((n = 1; n <= $2; n++)); do seeds+="${seeds:+, }'127.0.0.1:$(port $((10 * n + 1)))'"; done
	# A busy machine's disk is no reason to leave a write unconfirmed.
	node_conf "n$i" "$(port $((10 * i)))" "  discovery: $(port $((10 * i + 1)))
  versions: $(port $((10 * i + 2)))
group:
  key_file: $D/group.key
  seeds: [ $seeds ]
timeouts: { check: 5s, store: 30s, push: 10s, pull: 10s }"
	URLS[i]=$URL STORES[i]=$STORE CONFS[i]=$CONF
}

run_node() {
	local i
	for i; do
		spawn "n$i" covey up -c "${CONFS[i]}"
		UPS[i]=$PID
	done
	for i; do wait_until 20 healthy "${URLS[i]}"; done
}

stop_node() {
	local i pids=()
	for i; do pids+=("${UPS[i]}"); done
	stop_all "${pids[@]}"
}

lose_node() {
	local pids
	mapfile -t pids < <(children "${UPS[$1]}")
	kill -KILL "${UPS[$1]}" "${pids[@]}"
	wait "${UPS[$1]}" || :
}

HELD=()
hold() {
	kill -STOP "$@"
	HELD+=("$@")
}

hold_roles() {
	local role pid
	for role in "${@:2}"; do
		pid=$(role_pid "$1" "covey-$role")
		hold "$pid"
	done
}

release() {
	[ ${#HELD[@]} -eq 0 ] || kill -CONT "${HELD[@]}"
	HELD=()
}

talk() { "$TOP/tests/ask-versions" "${STORES[$1]}/run/version.sock" "${@:2}"; }
outbox_empty() { [ "$(curl -sf -m 5 "${URLS[$1]}/.covey/status" | jq .outbox)" -eq 0 ]; }

# _says_yes URL: it answers 200 at once, asked by the shell, for that is asked again and again
_says_yes() {
	local rest=${1#http://} place host status
	place=${rest%%/*} host=${place%:*} host=${host#[} host=${host%]}
	trap '' PIPE	# who was killed just now takes the connection, and resets it
	{
		printf 'GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n' "${rest#*/}" "$place" >&9 && read -rt 2 -u 9 status
	} 9<>"/dev/tcp/$host/${place##*:}" 2>/dev/null || status=
	trap - PIPE
	[[ $status == 'HTTP/1.'?' 200 '* ]]
}
healthy() { _says_yes "$1/.covey/healthz"; }
ready() { _says_yes "$1/.covey/readyz"; }

httpd() {
	local name=$1
	_next_port=$((${_next_port:-90} + 1))
	node_conf "$name" "$(port $_next_port)" "${2-}"
	spawn "$name" covey-httpd -c "$CONF"
	wait_until 30 ready "$URL"
}

# _all URL-PATH FILTER: jq's FILTER of the list of what every node of URLS answers; false when one does not
_all() {
	curl -sf -m 2 "${URLS[@]/%/$1}" | jq -esr --argjson n ${#URLS[@]} "if length == \$n then $2 else false end"
}

_all_up() { _all /.covey/status 'all(.[]; [.group.peers[] | select(.state == "up")] | length == $n - 1)'; }

layout() { curl -sf -m 2 "${URLS[$1]}/.covey/layout" | jq -r "$2"; }

# A layout as "LINEAGE EPOCH HOMES EPOCHS": the last are those of every member that is not away by its own word.
# A home that has just come back, and is silent yet, is not settled.
SETTLED_LINE='if .joint or any(.members[]; .in_a and .silent) then "not yet" else "\(.lineage) \(.epoch) \([.members[] | select(.in_a)] | length) \(
	[.members[] | select(.state != "left" and .state != "stopped") | .epoch] | unique | join(","))" end'
settled_line() { jq -r "$SETTLED_LINE" | grep . || echo away; }

# is_settled HOMES: all such lines are one, and all have that epoch
is_settled() {
	local seen
	seen=$(sed '/^$/d' | sort -u)
	[[ $seen =~ ^[0-9a-f]{16}\ ([0-9]+)\ "$1"\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ]
}

settled() { _all /.covey/layout ".[] | $SETTLED_LINE" | is_settled "${1:-${#URLS[@]}}"; }

# As covey up writes them, and with YAML.
group_conf() {
	local n=$1 i seeds='' places=()
	for ((i = 1; i <= n; i++)); do places+=("$D/group/node$i"); done
	mkdir -p "${places[@]}"
	[ -e "$D/group/group.key" ] || (umask 077 && covey key new >"$D/group/group.key")
	for ((i = 1; i <= n; i++)); do seeds+="${seeds:+, }'127.0.0.1:$((PORT_BASE + 10 * i - 9))'"; done
	for ((i = 1; i <= n; i++)); do
		printf '%s\n' node: "  name: node$i" '  address: 127.0.0.1' '  store: store' \
			listen: "  http: $((PORT_BASE + 10 * i - 10))" "  discovery: $((PORT_BASE + 10 * i - 9))" \
			"  versions: $((PORT_BASE + 10 * i - 8))" \
			group: '  key_file: ../group.key' "  seeds: [ $seeds ]" "${2-}" >"$D/group/node$i/covey.yaml"
	done
}

_group_places() {
	local n=$1 i
	GROUP=$2 URLS=() STORES=()
	for ((i = 1; i <= n; i++)); do
		URLS[i]=http://127.0.0.1:$((PORT_BASE + 10 * (i - 1)))
		STORES[i]=$GROUP/node$i/store
	done
}

group() {
	local n=$1 yaml=${2-} i guests=0
	# A busy machine is no reason to leave a write or a read unconfirmed.
	[[ $yaml == *timeouts:* ]] || yaml+=$'\ntimeouts: { check: 2s, store: 5s, push: 10s, pull: 10s }'
	if [ -n "${2-}" ] || [ ! -e "$D/group" ]; then group_conf "$n" "$yaml"; fi
	spawn group covey up --nodes "$n" --dir "$D/group" --port "$PORT_BASE"
	GROUP_PID=$PID
	_group_places "$n" "$D/group"
	for ((i = 1; i <= n; i++)); do
		wait_until 20 ready "${URLS[i]}"
		! grep -q '^ *home: no' "$GROUP/node$i/covey.yaml" || guests=$((guests + 1))
	done
	wait_until 20 _all_up
	wait_until 30 settled $((n - guests))
}

shared_group() {
	in_time || return 0
	covey_setup
	group "$@"
	export SHARED=$D SHARED_PID=$GROUP_PID
}

use_shared_group() {
	_group_places "$1" "$SHARED/group"
	PID=$SHARED_PID GROUP_PID=$SHARED_PID
}

end_shared_group() {
	[ -n "${SHARED-}" ] || return 0
	D=$SHARED COVEY_TEST_MARK=$SHARED BATS_TEST_COMPLETED=1 covey_teardown
}

# is_child PID PARENT
is_child() {
	local stat fields
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -ra fields <<<"${stat##*) }"
	[ "${fields[1]}" = "$2" ]
}

# children PID: its processes
children() {
	local pid
	for pid in /proc/[0-9]*; do
		! is_child "${pid#/proc/}" "$1" || echo "${pid#/proc/}"
	done
}

# The roles are the children of `covey up`, known by their configuration.
role_pid() {
	local file args pid found=
	for file in /proc/[0-9]*/cmdline; do
		{ mapfile -d '' args <"$file"; } 2>/dev/null || continue
		[[ ${args[0]-} == *"$2" && "${args[*]} " == *"/node$1/covey.yaml "* ]] || continue
		pid=${file#/proc/} pid=${pid%/*}
		! is_child "$pid" "${GROUP_PID:-$PID}" || found=$pid
	done
	[ -n "$found" ] && echo "$found"
}

code() {
	curl -s -m "${CURL_SECONDS:-30}" -o "$D/body" -D "$D/headers" -w '%{http_code}' "$@"
}

header() {
	local line value=
	while IFS= read -r line; do
		[[ ${line,,} == "${1,,}:"* ]] || continue
		value=${line%$'\r'} value=${value#*:} value=${value#"${value%%[! ]*}"}
	done <"$D/headers"
	echo "$value"
}

raw() {
	"$TOP/tests/raw" "$1" "${2:-5}"
}

bytes() {
	openssl enc -aes-128-ctr -nosalt -pass "pass:${2:-covey}" -md sha256 -in /dev/zero 2>/dev/null | head -c "$1"
}

sha() {
	sha256sum "${1:--}" | cut -c 1-64
}

scenario() {
	PATH=$SCENARIO_BIN:$PATH run timeout 100 "$TOP/tests/$1" "${@:2}"
	echo "$output"
	[ "$status" -eq 0 ]
}

every_scenario() {
	run bash -c '"$1" --list | cut -d " " -f 1 | sort' - "$TOP/tests/$1"
	[ "$status" -eq 0 ]
	[ "$output" = "$(sed -n "s/.*[{&] $2 \([a-z_]*\); }\$/\1/p" "$BATS_TEST_FILENAME" | sort)" ]
}

mutant_sim() {
	local copy=$D/$1
	mkdir -p "$copy/tests" "$copy/build"
	cp -a "$TOP/Makefile" "$TOP/include" "$TOP/lib" "$copy"
	cp -a "$TOP/tests/sim" "$copy/tests"
	cp -a "$TOP/build/few" "$copy/build"
	run patch -d "$copy" -p1 --fuzz=0 --no-backup-if-mismatch -i "$TOP/tests/mutants/protocol/$1.patch"
	[ "$status" -eq 0 ]
	# What it does not use any more may be warned of.
	run make -s -C "$copy" WERROR= build/covey-sim
	[ "$status" -eq 0 ]
}

need() {
	case $1 in
	hosts)
		"$TOP/tests/hosts" can || skip "NOT RUN: no network namespaces here (neither root nor unshare -Urn)" ;;
	machines)
		local lacks
		lacks=$(machines can 2>&1) || skip "NOT RUN: no machines that boot systemd here: $lacks" ;;
	mounts)
		local user=()
		[ "$(id -u)" = 0 ] || user=(-r)
		unshare "${user[@]}" -m mount --bind "$D" /etc 2>/dev/null ||
			skip "NOT RUN: no mount namespaces here (neither root nor unshare -rm)" ;;
	recorded-disks)
		[ "$(id -u)" = 0 ] || skip "NOT RUN: mounting needs root"
		need "mkfs.$2"
		/usr/bin/python3 -c 'import fusepy' 2>/dev/null || skip "NOT RUN: no python3-fusepy here"
		[ -c /dev/fuse ] || skip "NOT RUN: no FUSE here"
		losetup -f >/dev/null 2>&1 || skip "NOT RUN: no loop devices here"
		grep -qw "$2" /proc/filesystems || modprobe -q "$2" || skip "NOT RUN: this kernel has no $2" ;;
	space)
		local free
		free=$(df --output=avail -B1 "$D" | tail -n 1)
		[ "$free" -ge "$(numfmt --from=iec "$2")" ] || skip "NOT RUN: less than $2 free for $D" ;;
	localhost)
		getent ahostsv4 localhost >/dev/null || skip "NOT RUN: localhost has no address here" ;;
	*)
		command -v "$1" >/dev/null || skip "NOT RUN: no $1 here" ;;
	esac
}

# What it leaves after a failure is not in $D.
block_cuts() {
	CUTS=$TOP/build/block-cuts/$1-$2
	rm -rf "$CUTS"
	# Out of sight of a test that makes a namespace meanwhile, which would keep the disks mounted.
	run unshare --mount "$TOP/tests/block-cuts" "$CUTS" "$(port 1)" "$@"
	echo "# $output" >&3
	[ "$status" -eq 0 ]
	_end_block_cuts
}

# It unmounts everything itself, unless it was killed.
_end_block_cuts() {
	local mounted
	for mounted in "$CUTS"/*; do
		! mountpoint -q "$mounted" || umount -l "$mounted"
	done
	[ -e "$CUTS/failed" ] || rm -rf "$CUTS"
}

hosts() { "$TOP/tests/hosts" "$@"; }

host_conf() {
	local h=$1 seed seeds=
	for seed in "${@:2}"; do seeds+="${seeds:+, }\"$seed\""; done
	mkdir -p "$D/h$h"
	cat >"$D/h$h/covey.yaml" <<-YAML
	node: { name: h$h, address: "${ADDRESS_OF:-10.79.0.}$h", store: $D/h$h/store }
	listen: { http: 4720, discovery: 4721, versions: 4722 }
	group: { key_file: $D/group.key, seeds: [ $seeds ] }
	access: open
	YAML
}

host_at() {
	local host=${ADDRESS_OF:-10.79.0.}$1
	[[ $host != *:* ]] || host=[$host]
	echo "$host:$2"
}
host_url() { echo "http://$(host_at "$1" 4720)"; }
host_curl() { hosts exec "$1" curl -s -g -m 20 "${@:2}"; }
host_code() { host_curl "$1" -o "$D/body" -D "$D/headers" -w '%{http_code}' "${@:2}"; }
hosts_settled() {
	local h seen=
	for ((h = 1; h <= $1; h++)); do
		seen+=$(host_curl "$h" "$(host_url "$h")/.covey/layout" | settled_line)$'\n'
	done
	is_settled "$1" <<<"$seen"
}

# $$ is the test's own shell, also in a subshell of it.
machines() { MACHINES_OWNER=${MACHINES_OWNER:-$$} "$TOP/tests/machines" "$@"; }

package() { "$TOP/tests/package"; }
next_package() { "$TOP/tests/package" next; }

installed_machines() {
	local i install
	install=$("$TOP/tests/readme" 'apt install ./build/deb/covey_' | grep 'apt install') || return
	machines provide "$(package)" || return
	hosts up "$1"
	for ((i = 1; i <= $1; i++)); do
		machines up $i && machines put $i "$(package)" root/build/deb/ || return
		machines exec $i sh -ec "cd; $install" < <(yes) || return
	done
}

shared_machines() {
	in_time || return 0
	covey_setup
	export SHARED=$D MACHINES_OWNER=$$
	! machines can >/dev/null 2>&1 || installed_machines "$1"
}

end_shared_machines() {
	[ -n "${SHARED-}" ] || return 0
	D=$SHARED COVEY_TEST_MARK=$SHARED BATS_TEST_COMPLETED=1 covey_teardown
}

machine() { D=$SHARED COVEY_TEST_MARK=$SHARED machines "$@"; }
host() { D=$SHARED COVEY_TEST_MARK=$SHARED hosts "$@"; }
on() { machine exec "$@"; }
http() {
	host exec "$1" curl -s -m "${CURL_SECONDS:-30}" -o "$D/body" -D "$D/headers" -w '%{http_code}' "${@:2}"
}

state() { on "$1" systemctl show -P ActiveState "$2"; }
is() { [ "$(state "$1" "$2")" = "$3" ]; }
pid_of() { on "$1" systemctl show -P MainPID "covey-$2.service"; }

drop_in() {
	on "$1" mkdir -p "/etc/systemd/system/$2.d"
	printf '%s\n' "${@:3}" | on "$1" sh -c "cat >/etc/systemd/system/$2.d/test.conf"
	on "$1" systemctl daemon-reload
}
no_drop_ins() { on "$1" sh -ec 'rm -rf /etc/systemd/system/covey*.d; systemctl daemon-reload'; }

node() { echo "http://10.79.0.$1:4720"; }

machines_settled() {
	local i seen=
	for ((i = 1; i <= $1; i++)); do
		seen+=$(host exec "$i" curl -s -m 5 "$(node "$i")/.covey/layout" | settled_line)$'\n'
	done
	is_settled "$1" <<<"$seen"
}

# as_init_says I OPTION...: covey init, and the commands that it prints for this node
as_init_says() {
	local i=$1
	on "$i" sudo covey init --open --address "10.79.0.$i" "${@:2}" >"$D/init" || return
	cat "$D/init"
	on "$i" sh -exc "$(awk '/^next:/ { here = 1; next } /^[^ ]/ { here = 0 } here' "$D/init" | grep systemctl)"
}

machine_group() {
	local i
	as_init_says 1 </dev/null || return
	for ((i = 2; i <= $1; i++)); do
		on 1 sudo cat /etc/covey/group.key | as_init_says "$i" --join 10.79.0.1 || return
	done
	wait_until 60 machines_settled "$1"
}

load() {
	spawn load env D="$SHARED" "$TOP/tests/hosts" exec 1 "$TOP/tests/steady-load" "$@"
	LOAD_PID=$PID
}

end_load() {
	stop "$LOAD_PID" || return
	echo "# load: $(head -n 1 "$D/load.log")" >&3
	[ "$STOPPED" -eq 0 ] || { cat "$D/load.log"; return 1; }
}

spawn_on() {
	local host=$1 name=$2
	shift 2
	spawn "$name" "$TOP/tests/hosts" exec "$host" "$@"
}
