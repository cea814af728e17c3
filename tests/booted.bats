#!/usr/bin/env bats
# covey as it is installed, on a machine with systemd as PID 1: the package, and
# the units as they are shipped, under systemd's own filters.
load helpers

setup_file() {
	shared_machines 1
	[ ! -d "$SHARED/machines" ] || next_package
}
teardown_file() { end_shared_machines; }

URL=http://127.0.0.1:4720
CONF=/etc/covey/covey.yaml

# Every test begins with a node alone that serves, of whatever version.
setup() {
	covey_setup
	need machines
	ROOT=$SHARED/machines/1/root
	[[ $BATS_TEST_DESCRIPTION == "what README says"* ]] || on 1 sh -ec '
		command -v covey >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get -y install /root/build/deb/covey_*.deb
		systemctl stop "covey*"
		systemctl -q disable covey-httpd-inetd.socket
		rm -rf /etc/systemd/system/covey*.d
		cp /usr/share/covey/covey.yaml /etc/covey/covey.yaml
		systemctl daemon-reload
		systemctl reset-failed
		systemctl -q enable --now covey.target' >/dev/null 2>&1
}

# configure YAML: more lines of the shipped configuration, from the next start on
configure() { on 1 sh -c "cat /usr/share/covey/covey.yaml - >$CONF" <<<"$1"; }

@test "what README says installs it: nothing runs before it is enabled, then it serves on loopback" {
	on 1 dpkg -s covey | grep -qx 'Status: install ok installed'
	run on 1 systemctl is-enabled covey.target covey-httpd.socket covey-httpd-inetd.socket
	[[ $output != *enabled* ]]
	[ -z "$(on 1 systemctl list-units --no-legend 'covey*')" ]
	[ -z "$(on 1 ss -Htuln)" ]
	block=$("$TOP/tests/readme" 'apt install ./build/deb/covey_' | grep -vx 'make deb')
	[[ $block == *'systemctl enable --now covey.target'* ]]
	# what is installed already apt only says again
	on 1 sh -exc "cd; $block" < <(yes)
	[ "$(http 1 $URL/.covey/healthz)" = 200 ]
	run on 1 ss -Htuln
	[ -n "$output" ]
	run grep -v ' 127\.0\.0\.1:' <<<"$output"
	[ "$status" -eq 1 ]
	[ -z "$(on 1 systemctl --failed --no-legend)" ]
}

@test "put, get, list, a form, delete, restore and scrub under systemd's filters" {
	bytes 300000 1 >a
	echo two >b
	[ "$(http 1 -T a $URL/d/f)" = 201 ]
	[ "$(http 1 $URL/d/f)" = 200 ]
	[ "$(header Version-State)" = confirmed ]
	cmp body a
	[ "$(http 1 -T b $URL/d/f)" = 204 ]
	[ "$(http 1 -F file=@a -F file=@b $URL/form/)" = 201 ]
	[ "$(http 1 $URL/form/a)" = 200 ]
	cmp body a
	[ "$(http 1 "$URL/d/?format=text")" = 200 ]
	grep -q f body
	[ "$(http 1 -X DELETE $URL/d/f)" = 204 ]
	[ "$(http 1 $URL/d/f)" = 404 ]
	# the commands as a person on the machine gives them
	oldest=$(on 1 covey log --json /d/f | jq -r 'last(.. | .version? // empty)')
	on 1 covey restore /d/f "$oldest"
	on 1 covey get /d/f | cmp - a
	echo three | on 1 covey put - /d/g
	[ "$(on 1 covey get /d/g)" = three ]
	on 1 covey ls -R / | grep -q d/g
	on 1 covey rm /d/g
	on 1 covey status
	run on 1 sudo -u covey covey scrub
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(stat -c %a "$ROOT/var/lib/covey/tree/d/f")" = 640 ]
	[ "$(on 1 stat -c %U /var/lib/covey/tree/d/f)" = covey ]
	[ -z "$(on 1 systemctl --failed --no-legend)" ]
}

@test "a role killed by -9 comes back, and nothing is lost" {
	bytes 300000 1 >a
	[ "$(http 1 -T a $URL/f)" != 202 ]
	was=$(pid_of 1 httpd)
	[ "$was" -gt 0 ]
	on 1 kill -9 "$was"
	[ "$(http 1 $URL/f)" = 200 ]
	cmp body a
	[ "$(pid_of 1 httpd)" -ne "$was" ]
	on 1 systemctl start covey-syncd.service
	was=$(pid_of 1 syncd)
	on 1 kill -9 "$was"
	back() { now=$(pid_of 1 syncd) && [ "$now" -gt 0 ] && [ "$now" -ne "$was" ]; }
	wait_until 10 back
	wait_until 10 is 1 covey-syncd.service active
}

@test "20 restarts of covey-httpd under load: no request fails" {
	load $URL
	for ((i = 0; i < 20; i++)); do
		on 1 systemctl restart covey-httpd.service
		[ "$(http 1 $URL/.covey/healthz)" = 200 ]
	done
	end_load
}

@test "systemctl reload under load: the same process serves, and no request fails" {
	[ "$(http 1 $URL/.covey/healthz)" = 200 ]
	was=$(pid_of 1 httpd)
	load $URL
	for ((i = 0; i < 20; i++)); do on 1 systemctl reload covey-httpd.service; done
	end_load
	[ "$(pid_of 1 httpd)" -eq "$was" ]
	is 1 covey-httpd.service active
}

@test "systemctl restart covey.target under load: no request fails, nobody is refused" {
	[ "$(http 1 $URL/.covey/healthz)" = 200 ]
	load $URL
	for ((i = 0; i < 5; i++)); do
		was=$(pid_of 1 httpd)
		on 1 systemctl restart covey.target
		[ "$(http 1 $URL/.covey/healthz)" = 200 ]
		[ "$(pid_of 1 httpd)" -ne "$was" ]
	done
	end_load
}

@test "an upgrade of the package under load: no request fails, and the new programs serve" {
	machine put 1 "$(next_package)" root/next/
	[ "$(http 1 $URL/.covey/healthz)" = 200 ]
	was=$(pid_of 1 httpd)
	load $URL
	on 1 sh -ec 'DEBIAN_FRONTEND=noninteractive apt-get -y install /root/next/covey_*.deb'
	[ "$(http 1 $URL/.covey/healthz)" = 200 ]
	end_load
	[ "$(pid_of 1 httpd)" -ne "$was" ]
	[ "$(on 1 readlink "/proc/$(pid_of 1 httpd)/exe")" = /usr/bin/covey-httpd ]
	on 1 covey --version | grep '^covey 9\.'
}

@test "it leaves when idle, and the next request starts it again" {
	configure 'limits: { idle_exit: 1s }'
	on 1 systemctl restart covey.target
	echo one >f
	[[ $(http 1 -T f $URL/idle) == 20[14] ]]
	for ((i = 0; i < 3; i++)); do
		wait_until 20 is 1 covey-httpd.service inactive
		is 1 covey-httpd.socket active
		[ "$(http 1 $URL/idle)" = 200 ]
		cmp body f
	done
}

@test "the inetd variant is chosen by one command, and stays chosen until it is taken back" {
	block=$("$TOP/tests/readme" covey-httpd-inetd.socket)
	on 1 sh -exc "$block"
	inetd_serves() {
		[ "$(http 1 $URL/.covey/healthz)" = 200 ] &&
			is 1 covey-httpd-inetd.socket active && is 1 covey-httpd.socket inactive && is 1 covey-httpd.service inactive
	}
	inetd_serves
	echo one >f
	[[ $(http 1 -T f $URL/inetd) == 20[14] ]]
	on 1 systemctl enable --now covey.target
	inetd_serves
	on 1 systemctl restart covey.target
	inetd_serves
	on 1 systemctl stop covey.target
	is 1 covey-httpd-inetd.socket inactive
	on 1 systemctl start covey.target
	inetd_serves
	[ "$(http 1 $URL/inetd)" = 200 ]
	cmp body f
	on 1 systemctl disable --now covey-httpd-inetd.socket
	on 1 systemctl restart covey.target
	[ "$(http 1 $URL/inetd)" = 200 ]
	wait_until 10 is 1 covey-httpd.service active
	is 1 covey-httpd-inetd.socket inactive
}

@test "stopped it refuses at once; started it serves what it had" {
	echo one >f
	[[ $(http 1 -T f $URL/stop) == 20[14] ]]
	# it does not wait until all has stopped
	on 1 systemctl stop covey.target
	wait_until 30 is 1 covey-httpd.socket inactive
	run http 1 $URL/stop
	[ "$status" -eq 7 ]
	[ -z "$(on 1 ss -Htuln)" ]
	[ -z "$(on 1 systemctl list-units --no-legend --state=active 'covey*')" ]
	on 1 systemctl start covey.target
	[ "$(http 1 $URL/stop)" = 200 ]
	cmp body f
}

@test "it starts again at boot" {
	echo one >f
	[[ $(http 1 -T f $URL/boot) == 20[14] ]]
	machine off 1
	machine up 1
	[ "$(http 1 $URL/boot)" = 200 ]
	cmp body f
	[ -z "$(on 1 systemctl --failed --no-legend)" ]
}

# The journal may have it a moment later than systemd.
says_once() { [ "$(on 1 journalctl -o cat -u "$1" | grep -c nonsense)" -eq 1 ]; }

@test "an error that stays is said once, stops the sockets, and one command brings it back" {
	configure 'nonsense: here'
	on 1 journalctl --rotate --vacuum-time=1us >/dev/null 2>&1
	on 1 systemctl restart covey.target || :
	# whoever comes is sent away, not kept waiting
	for ((i = 0; i < 3; i++)); do
		run http 1 $URL/f
		[ "$status" -ne 0 ]
		[ "$status" -ne 28 ]
	done
	wait_until 10 is 1 covey-httpd.socket inactive
	run http 1 $URL/f
	[ "$status" -eq 7 ]
	is 1 covey-httpd.service failed
	[ "$(on 1 systemctl show -P ExecMainStatus covey-httpd.service)" -eq 100 ]
	[ "$(on 1 systemctl show -P NRestarts covey-httpd.service)" -eq 0 ]
	wait_until 10 says_once covey-httpd.service
	run on 1 sh -exc "$("$TOP/tests/readme" 'list-units --failed')"
	[ "$status" -eq 0 ]
	[[ $output == *covey-httpd.service* && $output == *nonsense* ]]
	configure ''
	on 1 systemctl restart covey.target
	[ "$(http 1 $URL/.covey/healthz)" = 200 ]
}

@test "so it is inetd style" {
	on 1 systemctl -q enable --now covey-httpd-inetd.socket
	[ "$(http 1 $URL/.covey/healthz)" = 200 ]
	configure 'nonsense: here'
	on 1 journalctl --rotate --vacuum-time=1us >/dev/null 2>&1
	run http 1 $URL/f
	[ "$status" -ne 0 ]
	[ "$status" -ne 28 ]
	wait_until 10 is 1 covey-httpd-inetd.socket inactive
	run http 1 $URL/f
	[ "$status" -eq 7 ]
	wait_until 10 says_once 'covey-httpd-inetd@*'
	configure ''
	on 1 systemctl restart covey.target
	[ "$(http 1 $URL/.covey/healthz)" = 200 ]
	is 1 covey-httpd-inetd.socket active
}

@test "a role that dies badly when it is stopped is started again" {
	for signal in SIGKILL SIGSEGV SIGWINCH; do
		# one that it does not hear ends by systemd's patience
		drop_in 1 covey-httpd.service '[Service]' KillSignal=$signal TimeoutStopSec=1
		on 1 systemctl restart covey.target
		[ "$(http 1 $URL/.covey/healthz)" = 200 ]
		on 1 journalctl --rotate --vacuum-time=1us >/dev/null 2>&1
		was=$(pid_of 1 httpd)
		on 1 systemctl restart covey.target
		anew() { [ "$(http 1 $URL/.covey/healthz)" = 200 ] && [ "$(pid_of 1 httpd)" -ne "$was" ]; }
		wait_until 10 anew
		is 1 covey-httpd.socket active
		on 1 journalctl -u covey-httpd.service | grep -E "Failed with result '(signal|core-dump|timeout)'"
	done
}

@test "another address waits until the old listener is closed, and a daemon-reload of anybody does no harm" {
	echo one >f
	[[ $(http 1 -T f $URL/moved) == 20[14] ]]
	on 1 sed -i 's/4720/4799/' $CONF
	on 1 systemctl daemon-reload
	[ "$(http 1 $URL/moved)" = 200 ]
	# The listener stays also when nobody serves it.  Who is started then says what to do.
	on 1 systemctl stop covey-httpd.service
	on 1 systemctl daemon-reload
	[[ $(on 1 ss -Htln) == *127.0.0.1:4720* ]]
	on 1 journalctl --rotate --vacuum-time=1us >/dev/null 2>&1
	run http 1 $URL/moved
	[ "$status" -ne 0 ]
	wait_until 10 is 1 covey-httpd.socket inactive
	run on 1 journalctl -o cat -u covey-httpd.service
	[ "$(grep -c "listen.http says 127.0.0.1:4799; .* systemctl stop 'covey\*', daemon-reload" <<<"$output")" -eq 1 ]
	configure ''
	on 1 systemctl restart covey.target
	[ "$(http 1 $URL/moved)" = 200 ]
	on 1 sed -i 's/4720/4799/' $CONF
	on 1 sh -exc "$("$TOP/tests/readme" '# now the units fit')"
	[ "$(http 1 http://127.0.0.1:4799/moved)" = 200 ]
	cmp body f
	run http 1 $URL/moved
	[ "$status" -eq 7 ]
}

@test "a store elsewhere, made and filled as README says" {
	echo one >f
	[[ $(http 1 -T f $URL/moved) == 20[14] ]]
	id=$(on 1 grep ^id /var/lib/covey/node.ini)
	on 1 systemctl stop 'covey*'
	on 1 sh -exc "$("$TOP/tests/readme" /srv/covey)"
	on 1 sed -i 's,store: /var/lib/covey,store: /srv/covey,' $CONF
	on 1 sh -exc "$("$TOP/tests/readme" 'now the units fit')"
	[ "$(http 1 $URL/moved)" = 200 ]
	cmp body f
	echo two >g
	[ "$(http 1 -T g $URL/moved)" = 204 ]
	on 1 cat /srv/covey/tree/moved | cmp - g
	[ "$(on 1 grep ^id /srv/covey/node.ini)" = "$id" ]
}

@test "a removal that is called off leaves it running" {
	on 1 /var/lib/dpkg/info/covey.prerm remove
	run http 1 $URL/.covey/healthz
	[ "$status" -eq 7 ]
	on 1 env DEBIAN_FRONTEND=noninteractive /var/lib/dpkg/info/covey.postinst abort-remove
	[ "$(http 1 $URL/.covey/healthz)" = 200 ]
}

@test "a role that hangs is ended by the watchdog, and the next one serves" {
	[ "$(on 1 systemctl show -P WatchdogUSec covey-httpd.service)" = 2min ]
	echo one >f
	[[ $(http 1 -T f $URL/hang) == 20[14] ]]
	drop_in 1 covey-httpd.service '[Service]' WatchdogSec=1 TimeoutAbortSec=1
	on 1 systemctl restart covey.target
	[ "$(http 1 $URL/hang)" = 200 ]
	was=$(pid_of 1 httpd)
	on 1 kill -STOP "$was"
	[ "$(http 1 $URL/hang)" = 200 ]
	cmp body f
	[ "$(pid_of 1 httpd)" -ne "$was" ]
	on 1 journalctl -u covey-httpd.service | grep -qi watchdog
}

@test "purged it leaves the files, unless it is told to take them" {
	echo one >f
	[[ $(http 1 -T f $URL/purge) == 20[14] ]]
	on 1 sh -exc 'DEBIAN_FRONTEND=noninteractive apt-get -y purge covey'
	run http 1 $URL/purge
	[ "$status" -eq 7 ]
	cmp "$ROOT/var/lib/covey/tree/purge" f
	[ -z "$(find "$ROOT"/etc "$ROOT"/usr -name '*covey*' ! -path '*/etc/covey*')" ]
	[ -z "$(on 1 systemctl list-units --all --no-legend 'covey*')" ]
	# installed again it finds them
	on 1 sh -exc 'DEBIAN_FRONTEND=noninteractive apt-get -y install /root/build/deb/covey_*.deb; systemctl enable --now covey.target'
	[ "$(http 1 $URL/purge)" = 200 ]
	on 1 sh -exc "$("$TOP/tests/readme" 'covey/keep-store')" < <(yes)
	[ ! -e "$ROOT/var/lib/covey" ]
	[ ! -e "$ROOT/etc/covey" ]
}
