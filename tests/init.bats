#!/usr/bin/env bats
# covey init, and the node that the commands ask when none is named: what is in
# /etc/covey.  That directory is the test's own, in a mount namespace.
load helpers

# with_etc CMD...: /etc is $D/etc, which has /etc/covey and what programs need to start; systemd seems to run
with_etc() {
	local user=()
	[ "$(id -u)" = 0 ] || user=(-r)
	mkdir -p "$D/etc/covey"
	[ -e "$D/etc/group" ] || grep -v '^covey:' /etc/group >"$D/etc/group"
	[ -e "$D/etc/passwd" ] || cp /etc/passwd "$D/etc"
	unshare "${user[@]}" -m bash -ec 'mount --bind "$D/etc" /etc
		mount -t tmpfs none /run
		mkdir -p /run/systemd/system
		exec "$@"' - "$@"
}

# init ARG...: as root of such a machine, without a terminal; a key comes in $D/given
init() {
	[ -e "$D/given" ] || : >"$D/given"
	run --separate-stderr with_etc covey init "$@" <"$D/given"
	echo "$output $stderr"
}

@test "the commands ask COVEY_NODE, else the node of /etc/covey/covey.yaml, else loopback" {
	need mounts
	httpd one
	echo hello | covey put -q - f --node "$URL"
	mkdir -p etc/covey
	cp "$CONF" etc/covey/covey.yaml
	run with_etc covey get f
	[ "$status" -eq 0 ]
	[ "$output" = hello ]
	# Every address is asked at node.address.
	sed -i "s/http: .*/http: 0.0.0.0:$(port 91)/; \$a access: open" etc/covey/covey.yaml
	run with_etc covey get f
	[ "$output" = hello ]
	# An error says which it was, and why that.
	sed -i "s/http: .*/http: $(port 3)/" etc/covey/covey.yaml
	run with_etc covey get f
	[ "$status" -eq 69 ]
	[[ $output == "covey: ask http://127.0.0.1:$(port 3) (listen.http of /etc/covey/covey.yaml): "* ]]
	run with_etc env COVEY_NODE="$URL" covey get f
	[ "$output" = hello ]
	run with_etc env COVEY_NODE="http://127.0.0.1:$(port 4)/" covey get f
	[ "$status" -eq 69 ]
	[[ $output == "covey: ask http://127.0.0.1:$(port 4) (\$COVEY_NODE): "* ]]
	run with_etc covey get f --node "127.0.0.1:$(port 4)"
	[[ $output == "covey: ask http://127.0.0.1:$(port 4): "* ]]
	echo "nonsense: yes" >etc/covey/covey.yaml
	run with_etc unshare -n covey get f
	[ "$status" -eq 69 ]
	[[ $output == "covey: ask http://127.0.0.1:4720 (the default, as /etc/covey/covey.yaml cannot be read or is not valid): "* ]]
	rm etc/covey/covey.yaml
	run with_etc unshare -n covey get f
	[[ $output == "covey: ask http://127.0.0.1:4720 (the default, without /etc/covey/covey.yaml): "* ]]
}

@test "init writes the sample with this node's lines, and a key, once" {
	need mounts
	init --address 127.0.0.2
	[ "$status" -eq 0 ]
	[ "$(sed -n 1,2p <<<"$output")" = "wrote   /etc/covey/group.key, a new key: every node of the group must have it
wrote   /etc/covey/covey.yaml" ]
	# README has the commands that follow, too.
	[ "$(sed -n 3p <<<"$output")" = next: ]
	[ "$(grep -c '^  sudo systemctl ' <<<"$output")" -eq 3 ]
	while read -r line; do
		grep -qxF "$line" <(sed 's/  *#.*//' "$TOP/README.md")
	done < <(grep '^  sudo systemctl ' <<<"$output")
	run diff "$TOP/conf/covey.yaml" etc/covey/covey.yaml
	[ "$(grep '^[<>]' <<<"$output")" = "<   address: 127.0.0.1          # what other nodes reach this one by
>   address: 127.0.0.2          # what other nodes reach this one by
< # group:
< #   key_file: /etc/covey/group.key
> group:
>   key_file: /etc/covey/group.key" ]
	[[ $(cat etc/covey/group.key) =~ ^[0-9a-f]{64}$ ]]
	[ "$(stat -c %a etc/covey/group.key etc/covey/covey.yaml | xargs)" = "600 644" ]
	[ "$(find etc/covey -type f | wc -l)" -eq 2 ]
	sum=$(cat etc/covey/* | sha)
	init --address 127.0.0.2
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "nothing changes: /etc/covey/covey.yaml and /etc/covey/group.key are as asked" ]
	[ "$(cat etc/covey/* | sha)" = "$sum" ]
}

@test "init gives the key to the group covey, where there is one" {
	[ "$(id -u)" = 0 ] || skip "NOT RUN: only root gives files away"
	need mounts
	mkdir etc
	{ grep -v '^covey:' /etc/group; echo covey:x:4720:; } >etc/group
	init --address 127.0.0.2
	[ "$status" -eq 0 ]
	[ "$(stat -c '%a %u %g' etc/covey/group.key)" = "640 0 4720" ]
}

@test "init replaces the sample and what it wrote, and not what a person changed" {
	need mounts
	mkdir -p etc/covey
	cp "$TOP/conf/covey.yaml" etc/covey
	init --address 127.0.0.2
	[ "$status" -eq 0 ]
	init --address 127.0.0.3 --join attic
	[ "$status" -eq 0 ]
	grep -q "^  seeds: \[ 'attic:4721' ]\$" etc/covey/covey.yaml
	init --address 127.0.0.4
	[ "$status" -eq 0 ]
	sed -i 's/# region/region/' etc/covey/covey.yaml
	# It says what is asked, so there is nothing to do.
	init --address 127.0.0.4
	[ "$status" -eq 0 ]
	[[ $output == "nothing changes"* ]]
	rm etc/covey/group.key
	init --address 127.0.0.5
	[ "$status" -eq 65 ]
	[[ $stderr == "covey: replace /etc/covey/covey.yaml: somebody changed it: "* ]]
	[ ! -e etc/covey/group.key ]
	cp etc/covey/covey.yaml mine
	init --address 127.0.0.5 --force
	[ "$status" -eq 0 ]
	cmp mine etc/covey/covey.yaml.old
	grep -q '^  address: 127.0.0.5 ' etc/covey/covey.yaml
	# Also what is no configuration at all.
	echo nonsense >etc/covey/covey.yaml
	init --address 127.0.0.5
	[ "$status" -eq 65 ]
	[ "$(cat etc/covey/covey.yaml)" = nonsense ]
}

@test "beyond loopback init wants to be told that everybody may read and write" {
	need mounts
	init --address 192.0.2.7
	[ "$status" -eq 77 ]
	[[ $stderr == *"say --open" ]]
	[ -z "$(find etc/covey -type f)" ]
	init --address 192.0.2.7 --open
	[ "$status" -eq 0 ]
	grep -qx 'access: open' etc/covey/covey.yaml
	[[ $output == *"ssh 192.0.2.7 sudo cat /etc/covey/group.key | sudo covey init --open --address ADDRESS --join 192.0.2.7" ]]
	# It was said for this address, and not for another.
	init --address 192.0.2.7
	[ "$status" -eq 0 ]
	init --address 192.0.2.8
	[ "$status" -eq 77 ]
}

@test "a terminal is asked once whether everybody may, and for the key, which it does not show" {
	covey key new >given
	cat >ask.py <<-'EOF'
	import os, pty, sys
	answers = [a.encode() + b"\n" for a in sys.argv[1].split(",")] if sys.argv[1] else []
	pid, fd = pty.fork()
	if pid == 0:
	    os.execvp("covey", ["covey", "init", *sys.argv[2:]])
	seen, asked = b"", 0
	while True:
	    try:
	        more = os.read(fd, 1000)
	    except OSError:
	        break
	    seen += more
	    if asked < len(answers) and seen.count(b"go on: ") + seen.count(b"not shown): ") > asked:
	        os.write(fd, answers[asked])
	        asked += 1
	sys.stdout.write(seen.decode().replace("\r", ""))
	sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	EOF
	run timeout 20 python3 ask.py no --address 192.0.2.7 -c node/covey.yaml
	[ "$status" -eq 77 ]
	run timeout 20 python3 ask.py "yes,$(cat given)" --address 192.0.2.7 --join 192.0.2.1 -c node/covey.yaml
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output != *"$(cat given)"* ]]
	cmp given node/group.key
	run timeout 20 python3 ask.py "" --address 192.0.2.7 --join 192.0.2.1 -c node/covey.yaml
	[ "$status" -eq 0 ]
	[[ $output == "nothing changes"* ]]
}

@test "a node that joins takes the key from standard input, and no other text" {
	need mounts
	init --address 127.0.0.3 --join 127.0.0.2
	[ "$status" -eq 66 ]
	[[ $stderr == *"ssh HOST sudo cat /etc/covey/group.key | sudo covey init ..." ]]
	echo 'Permission denied' >given
	init --address 127.0.0.3 --join 127.0.0.2
	[ "$status" -eq 65 ]
	[ -z "$(find etc/covey -type f)" ]
	covey key new >given
	init --address 127.0.0.3 --join 127.0.0.2
	[ "$status" -eq 0 ]
	cmp given etc/covey/group.key
	# A key that is there already is kept.
	cp given first
	covey key new >given
	init --address 127.0.0.3 --join 127.0.0.4
	[ "$status" -eq 0 ]
	[[ $output == *"kept    /etc/covey/group.key, the key that was there"* ]]
	cmp first etc/covey/group.key
}

@test "init refuses what is no address and no host, in words of the command line" {
	run covey init -c node/covey.yaml
	[ "$status" -eq 64 ]
	for address in attic 0.0.0.0 '127.0.0.1 # x' 127.0.0.1:80 '::'; do
		run covey init --address "$address" -c node/covey.yaml
		[ "$status" -eq 65 ]
		[[ $output == "covey: --address "* ]]
	done
	for host in "a'b" 'a b' "a
b"; do
		run covey init --address 127.0.0.1 --join "$host" -c node/covey.yaml
		[ "$status" -eq 65 ]
		[[ $output == "covey: --join "* ]]
	done
	covey key new >given
	for host in '[::1' a:b: :1 ''; do
		run covey init --address 127.0.0.1 --join "$host" -c node/covey.yaml <given
		echo "$output"
		[ "$status" -eq 65 ]
	done
	[ -z "$(find node -type f)" ]
	for pair in attic=attic:4721 attic:5=attic:5 '::1=[::1]:4721' '[::1]=[::1]:4721' '[::1]:5=[::1]:5'; do
		rm -rf node
		covey init --address 127.0.0.1 --join "${pair%%=*}" -c node/covey.yaml <given
		grep -qF "  seeds: [ '${pair#*=}' ]" node/covey.yaml
	done
}

@test "who may not write there is told to use sudo" {
	local no_more=()
	[ "$(id -u)" != 0 ] || no_more=(setpriv --bounding-set=-all)
	mkdir -m 555 node
	run "${no_more[@]}" covey init --address 127.0.0.1 -c node/covey.yaml
	[ "$status" -eq 77 ]
	[ "$output" = "covey: write in node: Permission denied
covey: run it with sudo" ]
}

on_every() {
	local h
	for h in 1 2 3; do
		[ "$(hosts exec $h curl -sf -m 2 "http://10.79.0.$h:4720/.covey/layout" | settled_line)" = "$1" ] || return 1
	done
}

three_settled() {
	local line
	line=$(hosts exec 1 curl -sf -m 2 http://10.79.0.1:4720/.covey/layout | settled_line)
	is_settled 3 <<<"$line" && on_every "$line"
}

@test "three nodes made by init are a group" {
	need hosts
	hosts up 3
	covey init --open --address 10.79.0.1 -c 1/covey.yaml
	for h in 2 3; do
		covey init --open --address 10.79.0.$h --join 10.79.0.1 -c $h/covey.yaml <1/group.key
	done
	for h in 1 2 3; do spawn_on $h up$h covey up -c "$D/$h/covey.yaml"; done
	wait_until 40 three_settled
	echo hello >f
	hosts exec 1 covey put -q f f --node 10.79.0.1:4720
	[ "$(hosts exec 3 covey get f --node 10.79.0.3:4720)" = hello ]
}
