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
	[[ $output == "covey: ask http://127.0.0.1:4720 (the default, without /etc/covey/covey.yaml"*"): "* ]]
}

@test "init writes the sample with this node's lines, and a key, once" {
	need mounts
	init --address 127.0.0.2
	[ "$status" -eq 0 ]
	[ "$(sed -n 1,2p <<<"$output")" = "wrote   /etc/covey/group.key, a new key: every node of the group must have it
wrote   /etc/covey/covey.yaml" ]
	# README has the commands that follow, too.
	next=$(sed -n 's/^  sudo/sudo/p' <<<"$output")
	[ "$next" = "sudo systemctl stop 'covey*'
sudo systemctl daemon-reload
sudo systemctl enable --now covey.target" ]
	[[ $(sed 's/  *#.*//' "$TOP/README.md") == *"$next"* ]]
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
	[[ $stderr == "covey: replace /etc/covey/covey.yaml: it is not as init writes it: somebody changed it, or it comes from another version: edit it, or say --force, "* ]]
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

@test "a configuration that is replaced keeps its owner, group and mode, and so does the old one" {
	need mounts
	init --address 127.0.0.2
	local whose=0:0
	[ "$(id -u)" != 0 ] || whose=1:4720
	chown $whose etc/covey/covey.yaml
	chmod 640 etc/covey/covey.yaml
	init --address 127.0.0.3
	[ "$status" -eq 0 ]
	[ "$(stat -c '%a %u:%g' etc/covey/covey.yaml)" = "640 $whose" ]
	echo '# mine' >>etc/covey/covey.yaml
	init --address 127.0.0.4 --force
	[ "$status" -eq 0 ]
	for f in covey.yaml covey.yaml.old; do
		[ "$(stat -c '%a %u:%g' etc/covey/$f)" = "640 $whose" ]
	done
	tail -n 1 etc/covey/covey.yaml.old | grep -qx '# mine'
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
	[[ $stderr == *"no interface of this machine has 192.0.2.7"* ]]
	# It was said for this address, and not for another.
	init --address 192.0.2.7
	[ "$status" -eq 0 ]
	init --address 192.0.2.8
	[ "$status" -eq 77 ]
}

@test "init has nothing to say of an address that the machine has" {
	need mounts
	init --address 127.0.0.1
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
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

@test "^C and ^Z while the key is asked for do what they do, and the terminal shows again what is typed" {
	cat >keys.py <<-'EOF'
	import os, pty, signal, sys, termios
	def echo():
	    return bool(termios.tcgetattr(fd)[3] & termios.ECHO)
	def until(text):
	    seen = b""
	    while text not in seen:
	        seen += os.read(fd, 1000)
	pid, fd = pty.fork()
	if pid == 0:
	    # A session of its own, with this as the shell: who is stopped has a parent in it.
	    child = os.fork()
	    if child == 0:
	        os.setpgid(0, 0)
	        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
	        os.tcsetpgrp(0, os.getpid())
	        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
	        os.execvp("covey", ["covey", "init", *sys.argv[1:]])
	    while True:
	        _, status = os.waitpid(child, os.WUNTRACED)
	        if not os.WIFSTOPPED(status):
	            os.write(1, b"ended by %d\n" % (os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0))
	            os.read(0, 1)
	            os._exit(0)
	        os.write(1, b"stopped, echo %d\n" % bool(termios.tcgetattr(0)[3] & termios.ECHO))
	        os.kill(child, signal.SIGCONT)
	until(b"not shown): ")
	assert not echo()
	os.write(fd, b"\x1a")
	until(b"stopped, echo 1")
	while echo():
	    pass
	os.write(fd, b"\x03")
	until(b"ended by 2")
	assert echo()
	EOF
	run timeout 20 python3 keys.py --address 127.0.0.1 --join 127.0.0.2 -c node/covey.yaml
	echo "$output"
	[ "$status" -eq 0 ]
	[ -z "$(find node -type f)" ]
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
	# The same once more, or nothing: it is kept.
	cp given first
	init --address 127.0.0.3 --join 127.0.0.4
	[ "$status" -eq 0 ]
	[[ $output == *"kept    /etc/covey/group.key, the key that was there"* ]]
	: >given
	init --address 127.0.0.3 --join 127.0.0.4
	[ "$status" -eq 0 ]
	[[ $output == "nothing changes"* ]]
	run with_etc bash -c 'exec covey init --address 127.0.0.3 --join 127.0.0.4 <&-'
	[ "$status" -eq 0 ]
	cmp first etc/covey/group.key
}

@test "another key than the one that is there is refused, or with --force taken, and the old one kept" {
	need mounts
	covey key new >given
	init --address 127.0.0.3 --join 127.0.0.2
	cp given first
	sum=$(cat etc/covey/* | sha)
	covey key new >given
	init --address 127.0.0.4 --join 127.0.0.2
	[ "$status" -eq 65 ]
	[[ $stderr == "covey: standard input: another key than /etc/covey/group.key: "*"--force"* ]]
	echo 'echo the rest of a script' >given
	init --address 127.0.0.4 --join 127.0.0.2
	[ "$status" -eq 65 ]
	[[ $stderr == "covey: standard input: "*"</dev/null"* ]]
	[ "$(cat etc/covey/* | sha)" = "$sum" ]
	# The first node does not read it.
	init --address 127.0.0.4
	[ "$status" -eq 0 ]
	covey key new >given
	chmod 644 etc/covey/group.key
	init --address 127.0.0.3 --join 127.0.0.2 --force
	[ "$status" -eq 0 ]
	[[ $output == *"kept    /etc/covey/group.key.old, as it was"* ]]
	cmp given etc/covey/group.key
	cmp first etc/covey/group.key.old
	[ "$(stat -c %a etc/covey/group.key etc/covey/group.key.old | xargs)" = "600 640" ]
	# While a key is changed a file has two, in either order.
	cat first given >etc/covey/group.key
	cat given first >both
	mv both given
	init --address 127.0.0.3 --join 127.0.0.2
	[ "$status" -eq 0 ]
	[[ $output == "nothing changes"* ]]
}

@test "a key that is there is made the services' to read, and nobody else's" {
	[ "$(id -u)" = 0 ] || skip "NOT RUN: only root gives files away"
	need mounts
	mkdir -p etc/covey
	{ grep -v '^covey:' /etc/group; echo covey:x:4720:; } >etc/group
	covey key new >etc/covey/group.key
	chmod 600 etc/covey/group.key
	init --address 127.0.0.2
	[ "$status" -eq 0 ]
	[[ $output == "changed /etc/covey/group.key: now root:covey, mode 640"$'\n'* ]]
	[ "$(stat -c '%a %u %g' etc/covey/group.key)" = "640 0 4720" ]
	init --address 127.0.0.2
	[[ $output == "nothing changes"* ]]
	chmod 666 etc/covey/group.key
	init --address 127.0.0.2
	[ "$status" -eq 0 ]
	[[ $output == "changed /etc/covey/group.key: "*"; everybody on this machine could use it"$'\n'* ]]
	[[ $output != *"nothing changes"* ]]
	[ "$(stat -c '%a %u %g' etc/covey/group.key)" = "640 0 4720" ]
	# Not what a link leads to.
	cp etc/covey/group.key other
	chmod 600 other
	ln -sf "$D/other" etc/covey/group.key
	init --address 127.0.0.2
	[ "$status" -eq 65 ]
	[[ $stderr == "covey: open /etc/covey/group.key: a symbolic link: "* ]]
	[ "$(stat -c '%a %u %g' other)" = "600 0 0" ]
	rm etc/covey/group.key
	echo nonsense >etc/covey/group.key
	init --address 127.0.0.2
	[ "$status" -eq 65 ]
	[[ $stderr == "covey: /etc/covey/group.key: "*": remove it, or put the group's key there" ]]
}

@test "a key that everybody can read is closed to others, or refused" {
	mkdir node
	covey key new >node/group.key
	chmod 644 node/group.key
	run covey init --address 127.0.0.1 -c node/covey.yaml
	[ "$status" -eq 0 ]
	[[ $output == "changed node/group.key: "*"mode 640; everybody on this machine could use it"* ]]
	[ "$(stat -c %a node/group.key)" = 640 ]
	[ "$(id -u)" = 0 ] || skip "NOT RUN: only root gives files away"
	chown 1 node/group.key
	chmod 644 node/group.key
	rm node/covey.yaml
	run setpriv --bounding-set=-all covey init --address 127.0.0.1 -c node/covey.yaml
	[ "$status" -eq 74 ]
	[[ $output == "covey: make the key "*"mode 640: "*"node/group.key"*": Operation not permitted" ]]
	[ ! -e node/covey.yaml ]
}

@test "init refuses what is no address and no host, in words of the command line" {
	covey key new >given
	run covey init -c node/covey.yaml
	[ "$status" -eq 64 ]
	for address in attic 0.0.0.0 '127.0.0.1 # x' 127.0.0.1:80 '::'; do
		run covey init --address "$address" -c node/covey.yaml
		[ "$status" -eq 65 ]
		[[ $output == "covey: --address "* ]]
	done
	for host in "a'b" 'a b' "a
b" '[::1' '[::1]x' a:b: a:b :1 a:70000 '' 0.0.0.0 '[::]:1'; do
		run covey init --address 127.0.0.1 --join "$host" -c node/covey.yaml <given
		[ "$status" -eq 65 ]
		[[ $output == "covey: --join "* ]]
	done
	# A node cannot join itself.
	for pair in 127.0.0.1=127.0.0.1 127.0.0.1=127.0.0.1:4721 ::1=::1 '::1=[0:0::1]' '::1=[::1]:4721'; do
		run covey init --address "${pair%%=*}" --join "${pair#*=}" -c node/covey.yaml <given
		[ "$status" -eq 65 ]
		[[ $output == "covey: --join "*": this node's own address: "* ]]
	done
	# Nothing is left by any of this, nor by what is refused later.
	run covey init --address 192.0.2.7 --join 192.0.2.8 -c node/covey.yaml <given
	[ "$status" -eq 77 ]
	run covey init --address 127.0.0.1 --join 127.0.0.2 -c node/covey.yaml </dev/null
	[ "$status" -eq 66 ]
	[ ! -e node ]
	for pair in attic=attic:4721 attic:5=attic:5 127.0.0.1:5=127.0.0.1:5 '::1=[::1]:4721' '[::1]=[::1]:4721' '[::1]:5=[::1]:5'; do
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
