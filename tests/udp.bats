#!/usr/bin/env bats
# A network that lets no UDP through: the same messages travel by HTTP.
load helpers

setup() {
	covey_setup
	need hosts
}

block_udp() { hosts exec "$1" ip xfrm policy add dir out src 0.0.0.0/0 dst 0.0.0.0/0 proto udp action block; }
allow_udp() { hosts exec "$1" ip xfrm policy del dir out src 0.0.0.0/0 dst 0.0.0.0/0 proto udp; }

# counter H DIRECTION BY: messages about versions
counter() { "$TOP/tests/ask-versions" "$D/h$1/store/run/version.sock" stats |
	sed -n "s/^covey_messages_total{.*direction=\"$2\",by=\"$3\"} //p" |
	awk '{ sum += $1 } END { if (NR) print sum }'; }

start_hosts() {
	local h
	covey key new >"$D/group.key"
	chmod 600 "$D/group.key"
	hosts up 3
	for h in 1 2 3; do
		[ -z "${1-}" ] || "$1" $h
		host_conf $h http://10.79.0.{1,2,3}:4720	# the first word cannot come by UDP either
		echo 'timeouts: { check: 1s, store: 5s }' >>"$D/h$h/covey.yaml"	# a busy machine needs it
		spawn_on $h "h$h" covey up -c "$D/h$h/covey.yaml"
	done
	for h in 1 2 3; do wait_until 20 host_curl $h -f "$(host_url $h)/.covey/readyz"; done
	wait_until 60 hosts_settled 3
}

@test "without UDP from the beginning a group is founded, and confirms reads and writes" {
	start_hosts block_udp
	echo one >f
	[ "$(host_code 1 -H 'Prefer: wait=10' -T f "$(host_url 1)/f")" = 201 ]
	for h in 1 2 3; do
		[ "$(host_code $h "$(host_url $h)/f")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(cat body)" = one ]
		[ "$(counter $h received udp)" -eq 0 ]
	done
	[ "$(counter 1 sent http)" -gt 0 ]
}

@test "UDP that goes away is done without, and used again when it is back" {
	start_hosts
	echo one >f
	[ "$(host_code 1 -T f "$(host_url 1)/f")" = 201 ]
	[ "$(counter 1 received udp)" -gt "$(counter 1 received http)" ]	# a busy machine may need a little of it
	for h in 1 2 3; do block_udp $h; done
	echo two >f
	[ "$(host_code 2 -H 'Prefer: wait=10' -T f "$(host_url 2)/f")" = 204 ]
	for h in 1 2 3; do
		[ "$(host_code $h "$(host_url $h)/f")" = 200 ]
		[ "$(header Version-State)" = confirmed ]
		[ "$(cat body)" = two ]
	done
	was=$(counter 1 received udp)
	for h in 1 2 3; do allow_udp $h; done
	used_again() { host_curl 1 -o /dev/null "$(host_url 1)/f" && [ "$(counter 1 received udp)" -gt "$was" ]; }
	wait_until 20 used_again
}
