#!/usr/bin/env bats
# Three machines that `covey init` made a group, each with systemd as PID 1 and the
# units as they are shipped.
load helpers

setup_file() {
	shared_machines 3
	[ ! -d "$SHARED/machines" ] || machine_group 3
}
teardown_file() { end_shared_machines; }

setup() {
	covey_setup
	need machines
}

ROLES='httpd versiond discoverd syncd'

# put I PATH FILE: confirmed by now, or soon
put() { [[ $(http "$1" -H 'Prefer: wait=20' -T "$3" "$(node "$1")$2") == 20[14] ]]; }

# answers I PATH CODE: when it is confirmed, by now or soon
answers() {
	confirmed() { code=$(http "$1" "$(node "$1")$2") && [ "$(header Version-State)" = confirmed ]; }
	wait_until 20 confirmed "$1" "$2" && [ "$code" = "$3" ]
}

# has I PATH FILE: these bytes
has() { answers "$1" "$2" 200 && cmp body "$3"; }

@test "a group by covey init: put on one, read from the others, list, delete" {
	bytes 300000 1 >a
	put 1 /docs/a a
	for i in 1 2 3; do has $i /docs/a a; done
	[ "$(http 2 -X DELETE "$(node 2)/docs/a")" = 204 ]
	for i in 1 2 3; do answers $i /docs/a 404; done
	# no command is told which node
	run on 3 covey peers
	[ "$status" -eq 0 ]
	[[ $output == *m1* && $output == *m2* ]]
	[ "$(on 2 covey layout show --json | jq '[.. | .epoch? // empty] | length > 0')" = true ]
	echo b | on 3 covey put - /docs/b
	[ "$(on 1 covey get /docs/b)" = b ]
	on 2 covey status
	on 2 covey check /docs/b
	for i in 1 2 3; do [ -z "$(on $i systemctl --failed --no-legend)" ]; done
}

@test "each role killed by -9 on each machine comes back, and the group confirms" {
	for role in $ROLES; do
		for i in 1 2 3; do
			# it is there when it has something to do
			echo "$role $i" >f
			put $i /kill f
			has $i /kill f
			on $i systemctl start "covey-$role.service"
			was=$(pid_of $i "$role")
			on $i kill -9 "$was"
			back() { now=$(pid_of "$i" "$role") && [ "$now" -gt 0 ] && [ "$now" -ne "$was" ]; }
			wait_until 20 back
			for j in 1 2 3; do wait_until 20 has $j /kill f; done
			[ "$role" != discoverd ] || wait_until 30 machines_settled 3	# it is silent at first
		done
	done
	wait_until 60 machines_settled 3
}

@test "a rolling restart of all roles under load: no request fails" {
	load "$(node 1)" "$(node 2)" "$(node 3)"
	for i in 1 2 3; do
		on $i systemctl restart covey.target
		# as one does it: the next one when this one is back
		wait_until 60 machines_settled 3
	done
	end_load
	echo after >f
	put 2 /rolled f
	for i in 1 2 3; do has $i /rolled f; done
}

# key_names I: what the keys are called that covey-httpd of machine I has
key_names() { on "$1" covey status --json | jq -r '[.keys.first, .keys.second | strings] | join(" ")'; }

@test "the key is changed under load, without a restart: no request fails" {
	local role i old new was='' now=''
	covey key new >new.key
	new=$("$TOP/tests/packets" group new.key | cut -c 1-8)
	old=$(key_names 1)
	for i in 1 2 3; do
		for role in $ROLES; do
			on $i systemctl start "covey-$role.service"
			was+=" $(pid_of $i "$role")"
		done
	done
	uses() { [ "$(key_names "$1")" = "$2" ]; }
	load "$(node 1)" "$(node 2)" "$(node 3)"
	for i in 1 2 3; do on $i covey key add <new.key; done
	for i in 1 2 3; do wait_until 10 uses $i "$old $new"; done
	for i in 3 1 2; do on $i covey key switch <new.key; done
	for i in 1 2 3; do wait_until 10 uses $i "$new $old"; done
	for i in 2 3 1; do on $i covey key drop <new.key; done
	for i in 1 2 3; do wait_until 10 uses $i "$new"; done
	end_load
	for i in 1 2 3; do
		for role in $ROLES; do now+=" $(pid_of $i "$role")"; done
		[ "$(on $i stat -c '%a %U %G' /etc/covey/group.key)" = '640 root covey' ]
		[ -z "$(on $i systemctl --failed --no-legend)" ]
	done
	[ "$was" = "$now" ]
	echo after >f
	put 1 /docs/key f
	for i in 1 2 3; do has $i /docs/key f; done
}

@test "a machine without power is done without, and has everything when it is back" {
	echo before >f
	put 3 /power f
	machine cut 3
	echo meanwhile >f
	put 1 /power f
	has 2 /power f
	machine up 3
	wait_until 60 has 3 /power f
	wait_until 60 machines_settled 3
}

@test "a machine powered off in good order is done without, and comes back by itself" {
	machine off 2
	echo meanwhile >f
	put 1 /off f
	has 3 /off f
	machine up 2
	wait_until 60 has 2 /off f
	wait_until 60 machines_settled 3
}

@test "cut off from the others a machine says so, and is one of them again" {
	echo before >f
	put 1 /cut f
	has 3 /cut f
	host split 1,2 3
	echo after >after
	put 2 /cut after
	has 1 /cut after
	unconfirmed() { [ "$(http 3 "$(node 3)/cut")" = 200 ] && [[ $(header Version-State) == unconfirmed* ]] && cmp body f; }
	wait_until 20 unconfirmed
	host heal
	wait_until 60 has 3 /cut after
	wait_until 60 machines_settled 3
}

@test "each role that hangs is ended by the watchdog" {
	drop_in 2 covey-.service '[Service]' WatchdogSec=2 TimeoutAbortSec=1
	on 2 systemctl restart covey.target
	for role in $ROLES; do
		echo "$role" >f
		put 2 /hang f
		on 2 systemctl start "covey-$role.service"
		was=$(pid_of 2 "$role")
		on 2 kill -STOP "$was"
		back() { now=$(pid_of 2 "$role") && [ "$now" -gt 0 ] && [ "$now" -ne "$was" ]; }
		wait_until 30 back
		for i in 1 2 3; do wait_until 20 has $i /hang f; done
	done
	no_drop_ins 2
	on 2 systemctl restart covey.target
	wait_until 60 machines_settled 3
}

@test "an error that stays closes all of a node's sockets, and one command brings it back" {
	echo before >f
	put 3 /error f
	on 3 sh -ec 'cp -a /etc/covey/covey.yaml /etc/covey/covey.yaml.good; echo "nonsense: here" >>/etc/covey/covey.yaml'
	on 3 journalctl --rotate --vacuum-time=1us >/dev/null 2>&1
	on 3 systemctl restart covey.target || :
	closed() { [ -z "$(on 3 ss -Htuln)" ]; }
	asked() { http 3 "$(node 3)/error" || closed; }
	wait_until 30 asked
	wait_until 30 closed
	# Whoever is asked for something, by a local program too, says it once.
	for name in discover version sync; do
		on 3 python3 -c "import socket; socket.socket(1, 5).connect('/run/covey/$name.sock')" || :
	done
	# The journal may have it a moment later than systemd.
	says_once() { [ "$(on 3 journalctl -o cat -u "covey-$1.service" | grep -c nonsense)" -eq 1 ]; }
	for role in $ROLES; do
		wait_until 30 is 3 "covey-$role.socket" inactive
		is 3 "covey-$role.service" failed
		wait_until 10 says_once "$role" || { on 3 journalctl -o short-precise -n 100; return 1; }
	done
	echo meanwhile >f
	put 1 /error f
	on 3 sh -ec 'mv /etc/covey/covey.yaml.good /etc/covey/covey.yaml'
	on 3 systemctl restart covey.target
	wait_until 60 has 3 /error f
	wait_until 60 machines_settled 3
}
