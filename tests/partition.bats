#!/usr/bin/env bats
# A group as hosts of a network: a partition and its healing, nodes that join
# and leave under load, IPv6.
load helpers

setup() {
	covey_setup
	need hosts
}

start_node() {
	host_conf "$1" "$(host_at 1 4721)"
	spawn_on "$1" "h$1" covey up -c "$D/h$1/covey.yaml"
	wait_until 20 host_curl "$1" -f "$(host_url "$1")/.covey/readyz"
}

# peers H STATE: how many others host H sees in STATE
peers() {
	host_curl "$1" "$(host_url "$1")/.covey/status" |
		jq "[.group.peers[] | select(.state == \"$2\")] | length"
}

sees() { [ "$(peers "$1" "$2")" -eq "$3" ]; }

start_group() {
	local n=$1 h
	covey key new >"$D/group.key"
	chmod 600 "$D/group.key"
	hosts up "$n"
	for ((h = 1; h <= n; h++)); do start_node "$h"; done
	for ((h = 1; h <= n; h++)); do wait_until 20 sees "$h" up $((n - 1)); done
	wait_until 30 hosts_settled "$n"
}

serves() { # serves H PATH TEXT
	[ "$(host_curl "$1" "$(host_url "$1")$2")" = "$3" ]
}

@test "a majority works on, confirmed; a minority goes on, marked; healing makes them one" {
	start_group 3
	echo before >f
	[ "$(host_code 1 -T f "$(host_url 1)/f")" = 201 ]
	serves 3 /f before

	hosts split 1,2 3
	echo "left side" >f
	[ "$(host_code 1 -H 'Prefer: wait=10' -T f "$(host_url 1)/f")" = 204 ]
	[ "$(header Version-State)" = confirmed ]
	[ "$(host_code 2 "$(host_url 2)/f")" = 200 ]
	[ "$(header Version-State)" = confirmed ]
	[ "$(cat body)" = "left side" ]
	# The lone node still serves what it has, marked, and takes writes.
	[ "$(host_code 3 "$(host_url 3)/f")" = 200 ]
	[ "$(cat body)" = before ]
	[ "$(header Version-State)" = "unconfirmed; peers=0/2" ]
	[ "$(host_code 3 -H 'Cache-Control: no-cache' "$(host_url 3)/f")" = 504 ]
	echo "right side" >g
	[ "$(host_code 3 -T g "$(host_url 3)/g")" = 202 ]
	[ "$(header Version-State)" = "unconfirmed; homes=1/3; copies=1" ]
	serves 3 /g "right side"
	[ "$(host_code 1 "$(host_url 1)/g")" = 404 ]
	[ "$(header Version-State)" = confirmed ]
	# and both sides write one path: the later write wins, neither is lost
	echo "left h" >h
	[ "$(host_code 2 -H 'Prefer: wait=10' -T h "$(host_url 2)/h")" = 201 ]
	echo "right h" >h
	[ "$(host_code 3 -T h "$(host_url 3)/h")" = 202 ]
	wait_until 15 sees 1 down 1

	hosts heal
	for h in 1 2 3; do wait_until 20 sees "$h" up 2; done
	for h in 1 2 3; do
		wait_until 10 serves "$h" /f "left side"
		wait_until 10 serves "$h" /g "right side"
		wait_until 10 serves "$h" /h "right h"
		[ "$(host_code "$h" -H 'Accept: application/json' "$(host_url "$h")/h?versions")" = 200 ]
		[ "$(jq length body)" -eq 2 ]
		[ "$(host_code "$h" "$(host_url "$h")/g")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
	done
}

@test "what all sides wrote without a majority shows as a conflict, and nothing is dropped" {
	start_group 3
	hosts split 1 2 3
	for h in 1 2 3; do
		echo "side $h" >f
		[ "$(host_code "$h" -T f "$(host_url "$h")/f")" = 202 ]
	done
	echo "side 1" >d
	[ "$(host_code 1 -T d "$(host_url 1)/d")" = 202 ]
	[ "$(host_code 2 -T d "$(host_url 2)/d/below")" = 202 ]
	hosts heal
	for h in 1 2 3; do
		wait_until 30 serves "$h" /f "side 3"
		wait_until 10 conflicts "$h" 3
		wait_until 10 logs_conflicts "$h" 3	# until all homes have them, who answers decides
		# The directory stands against the file, whose version stays in the history.
		wait_until 10 serves "$h" /d/below "side 1"
		[ "$(host_code "$h" "$(host_url "$h")/d")" = 301 ]
		[ "$(host_curl "$h" -H 'Accept: application/json' "$(host_url "$h")/d?versions" | jq '[.[] | select(.size == 7)] | length')" -eq 1 ]
	done
	# A write that knows them all ends it.
	echo "one again" >f
	[ "$(host_code 2 -H 'Prefer: wait=10' -T f "$(host_url 2)/f")" = 204 ]
	[ "$(host_curl 1 -H 'Accept: application/json' "$(host_url 1)/f?versions" | jq -c '[.[] | .rel]')" = '[null,"conflict","conflict","conflict"]' ]
}

# The same, as covey log prints it.
logs_conflicts() {
	[ "$(hosts exec "$1" env COVEY_NODE="$(host_url "$1")" covey log f | grep -c ' conflict$\|, conflict$')" -eq "$2" ]
}

# conflicts H N: host H tells of N versions of /f in conflict
conflicts() {
	[ "$(host_curl "$1" -H 'Accept: application/json' "$(host_url "$1")/f?versions" | jq '[.[] | select(.rel == "conflict")] | length')" -eq "$2" ]
}

@test "a request during a partition is answered by who is cut off, marked" {
	start_group 3
	echo x >f
	[ "$(host_code 1 -T f "$(host_url 1)/f")" = 201 ]
	serves 2 /f x
	hosts split 1 2 3
	[ "$(host_code 2 "$(host_url 2)/f")" = 200 ]
	[ "$(header Version-State)" = "unconfirmed; peers=0/2" ]
}

@test "a cut node is suspected, then shown as down, and comes back by itself" {
	start_group 3
	hosts split 1,2 3
	wait_until 8 sees 1 suspect 1
	wait_until 10 sees 1 down 1
	hosts heal
	wait_until 15 sees 1 up 2
	wait_until 15 sees 3 up 2
}

# writer H FILE: puts new files until told to stop, and keeps a list of those accepted
writer() {
	local h=$1 n=0
	local end=$((SECONDS + 100))
	while [ ! -e "$D/enough" ] && [ -d "$D" ] && [ $SECONDS -lt $end ]; do
		n=$((n + 1))
		echo "from $h number $n" >"$D/w$h"
		[[ $(host_curl "$h" -o /dev/null -w '%{http_code}' -T "$D/w$h" "$(host_url "$h")/load/$h-$n") != 20[12] ]] ||
			echo "$h-$n" >>"$D/accepted"
	done
}

# more_accepted: ten more than until now
more_accepted() {
	local before
	before=$(wc -l <"$D/accepted")
	accepted() { [ "$(wc -l <"$D/accepted")" -ge $((before + 10)) ]; }
	wait_until 20 accepted
}

@test "nodes join and leave under load, and nothing accepted is lost" {
	start_group 2
	: >accepted
	writers=()
	for h in 1 2; do
		writer "$h" >/dev/null 2>&1 3>&- 4>&- &
		writers+=($!)
	done
	more_accepted
	hosts up_more 3
	start_node 3
	wait_until 20 sees 1 up 2
	pid3=$PID
	more_accepted
	stop "$pid3"
	wait_until 10 sees 1 stopped 1
	more_accepted
	touch enough
	wait "${writers[@]}"
	start_node 3
	wait_until 20 sees 3 up 2
	[ "$(wc -l <accepted)" -gt 20 ]
	# A sample of everything accepted, read from the node that was away.
	while read -r name; do
		serves 3 "/load/$name" "from ${name%-*} number ${name#*-}" || { echo "lost $name"; false; }
	done < <(shuf -n 40 --random-source=<(yes) accepted)
	[ "$(host_curl 3 -H 'Accept: application/json' "$(host_url 3)/load/" | jq length)" -ge "$(wc -l <accepted)" ]
}

@test "a group works by IPv6" {
	export ADDRESS_OF=fd79::
	start_group 2
	echo six >f
	[ "$(host_code 1 -T f "$(host_url 1)/f")" = 201 ]
	[ "$(header Version-State)" = confirmed ]
	serves 2 /f six
}
