#!/usr/bin/env bats
# What `make install` brings, and the units, against systemd's own tools: there
# is no systemd to run them here, so systemd-socket-activate stands in.
load helpers

# The tree is installed once for the whole file, from the release build.
setup_file() {
	export ROOT=$BATS_FILE_TMPDIR/root
	BUILT=$(released)
	export BUILT=${BUILT%/bin}
	make -C "$TOP" --no-print-directory install B="$BUILT" DESTDIR="$ROOT" PREFIX=/usr >"$BATS_FILE_TMPDIR/install.log" 2>&1
	# systemd-analyze wants the users, the tools and the targets that the units name.
	install -D -t "$ROOT/bin" /bin/{sh,mkdir,rmdir}
	mkdir -p "$ROOT/usr/lib/systemd/system"
	cp -n /usr/lib/systemd/system/{basic,sysinit,sockets,timers,time-sync,time-set,multi-user,shutdown,local-fs,network}.target \
		"$ROOT/usr/lib/systemd/system/" 2>/dev/null || :
	cp -n /usr/lib/systemd/system/{-.slice,system.slice,systemd-journald.socket,systemd-tmpfiles-setup.service} \
		"$ROOT/usr/lib/systemd/system/" 2>/dev/null || :
	export UNITS=$ROOT/usr/lib/systemd/system
}

@test "install puts everything where it belongs" {
	for program in covey covey-httpd covey-versiond covey-discoverd covey-syncd covey-check; do
		[ -x "$ROOT/usr/bin/$program" ]
		[ "$(find "$ROOT/usr/share/man" -name "$program.[18]" | wc -l)" -eq 1 ]
	done
	[ -f "$ROOT/etc/covey/covey.yaml" ]
	[ -f "$ROOT/usr/lib/sysusers.d/covey.conf" ]
	[ -f "$ROOT/usr/lib/tmpfiles.d/covey.conf" ]
	[ -f "$ROOT/usr/share/man/man5/covey.yaml.5" ]
	[ -x "$ROOT/usr/lib/systemd/system-generators/covey-generator" ]
	[ "$(readlink -f "$UNITS/covey-http.socket")" = "$UNITS/covey-httpd.socket" ]
	run grep -r @bindir@ "$ROOT/usr/lib"
	[ "$status" -eq 1 ]
}

@test "install keeps a configuration that is there; uninstall leaves it" {
	cp -r "$ROOT" "$D/root"
	echo "# mine" >"$D/root/etc/covey/covey.yaml"
	make -C "$TOP" --no-print-directory install B="$BUILT" DESTDIR="$D/root" PREFIX=/usr
	[ "$(cat "$D/root/etc/covey/covey.yaml")" = "# mine" ]
	make -C "$TOP" --no-print-directory uninstall DESTDIR="$D/root" PREFIX=/usr
	run find "$D/root" -name '*covey*' ! -type d
	[ "$output" = "$D/root/etc/covey/covey.yaml" ]
}

@test "systemd-analyze verify finds nothing to say of the units" {
	run systemd-analyze verify --man=no --root="$ROOT" \
		"$UNITS"/covey.target "$UNITS"/stop-covey@.service "$UNITS"/covey-*.socket "$UNITS"/covey-syncd.timer \
		"$UNITS"/covey-{httpd,versiond,discoverd,syncd}.service "$UNITS"/covey-httpd-inetd@.service
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "enabling covey.target is all, and leaves the choice of inetd style alone" {
	cp -r "$ROOT" "$D/root"
	mkdir "$D/root/etc/systemd"
	enabled() { (cd "$D/root/etc/systemd/system" && find . ! -type d | sort | xargs); }
	systemctl --root="$D/root" enable covey.target
	[ "$(enabled)" = ./multi-user.target.wants/covey.target ]
	systemctl --root="$D/root" enable covey-httpd-inetd.socket
	systemctl --root="$D/root" enable covey.target
	[ "$(enabled)" = "./covey-http.socket ./multi-user.target.wants/covey.target" ]
	[[ $(readlink "$D/root/etc/systemd/system/covey-http.socket") == */covey-httpd-inetd.socket ]]
	systemctl --root="$D/root" disable covey-httpd-inetd.socket
	[ "$(enabled)" = ./multi-user.target.wants/covey.target ]
	grep -qx 'Wants=covey-http.socket .*' "$UNITS/covey.target"
	# A machine that is set up by presets serves in the usual way.
	systemctl --root="$D/root" preset covey-httpd-inetd.socket
	[ "$(enabled)" = ./multi-user.target.wants/covey.target ]
}

@test "sysusers and tmpfiles accept what is shipped" {
	run systemd-sysusers --root="$ROOT" --dry-run covey.conf
	[ "$status" -eq 0 ]
	grep -qx 'u covey .*' "$ROOT/usr/lib/sysusers.d/covey.conf"
	mkdir -p "$D/t/usr/lib" "$D/t/etc"
	cp -r "$ROOT/usr/lib/tmpfiles.d" "$D/t/usr/lib/"
	printf 'root:x:0:0::/:/bin/sh\ncovey:x:%s:%s::/:/bin/sh\n' "$(id -u)" "$(id -g)" >"$D/t/etc/passwd"
	printf 'root:x:0:\ncovey:x:%s:\n' "$(id -g)" >"$D/t/etc/group"
	run systemd-tmpfiles --root="$D/t" --create covey.conf
	[ "$status" -eq 0 ]
	[ "$(stat -c %a "$D/t/run/covey")" = 750 ]
}

@test "every service is confined: exposure 0.8 or less, 1.6 of the one that connects, 1.4 of the one of root" {
	local most
	for service in covey-httpd covey-versiond covey-discoverd covey-syncd covey-httpd-inetd@ stop-covey@; do
		most=8
		[ $service != covey-syncd ] || most=16
		[ $service != stop-covey@ ] || most=14
		run systemd-analyze security --offline=true --root="$ROOT" --threshold=$most "$service.service"
		echo "# $service: $(tail -n 1 <<<"$output")" >&3
		[ "$status" -eq 0 ]
	done
}

@test "who is neither root nor of the group covey reaches no socket of the roles, and each role reloads" {
	local role
	for role in discoverd versiond syncd; do
		grep -qx 'SocketMode=0660' "$UNITS/covey-$role.socket"
		grep -qx 'SocketUser=covey' "$UNITS/covey-$role.socket"
		grep -qx 'SocketGroup=covey' "$UNITS/covey-$role.socket"
	done
	for role in httpd discoverd versiond syncd; do
		grep -qx "ExecReload=/bin/sh -c 'kill -HUP \${MAINPID}'" "$UNITS/covey-$role.service"
	done
}

@test "a role that cannot start takes its sockets along, one that hangs is ended" {
	local common=$UNITS/covey-.service.d/10-common.conf
	grep -qx 'OnFailure=stop-covey@%p.service' "$common"
	grep -qx 'After=stop-covey@%p.service' "$common"
	grep -q 'systemctl --no-block stop %i.socket' "$UNITS/stop-covey@.service"
	for service in "$UNITS"/covey-*.service; do
		service=${service##*/}
		service=${service%.service}
		[ -f "$UNITS/${service%@}.socket" ]
		[[ $service == *@ ]] || grep -qx 'WatchdogSec=2min' "$UNITS/$service.service"
	done
	# What listens by UDP goes with the socket of the same role.
	for socket in "$UNITS"/covey-*-udp.socket; do
		grep -qx "StopPropagatedFrom=$(basename "${socket%-udp.socket}").socket" "$socket"
	done
	# A role may take its time to stop before systemd loses patience.
	run sed -n 's/^#define SERVICE_STOP_MS \([0-9]*\)$/\1/p' "$TOP/include/service.h"
	[ "$output" -gt 0 ]
	[ "$(sed -n 's/^TimeoutStopSec=//p' "$common")" -gt $((output / 1000)) ]
}

@test "the listeners stop with the target and outlive its restart" {
	grep -qx 'StopPropagatedFrom=covey.target' "$UNITS/covey-.socket.d/10-common.conf"
	run grep -lE '^PartOf=' "$UNITS"/covey-*.socket "$UNITS"/covey-.socket.d/* "$UNITS"/covey-httpd-inetd@.service
	[ "$status" -eq 1 ]
	run grep -Lx 'PartOf=covey.target' "$UNITS"/covey-{httpd,versiond,discoverd,syncd}.service
	[ -z "$output" ]
}

@test "every service names a program that is there, and hands over known sockets" {
	while read -r program; do
		[ -x "$ROOT$program" ]
	done < <(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$UNITS"/covey-*.service)
	run sed -n 's/^FileDescriptorName=//p' "$UNITS"/covey-*.socket
	[ "$(sort -u <<<"$output" | xargs)" = "discover discovery http http-unix https sync version versions" ]
}

@test "as shipped every socket is on loopback or a local path" {
	run grep -hE '^Listen' "$UNITS"/covey-*.socket
	[ "$status" -eq 0 ]
	run grep -vE '^Listen[A-Za-z]*=(127\.0\.0\.1:|/run/covey/)' <<<"$output"
	[ "$status" -eq 1 ]
}

@test "the shipped configuration is valid" {
	run covey-httpd -n -c "$ROOT/etc/covey/covey.yaml"
	[ "$status" -eq 0 ]
}

@test "covey-httpd adopts a socket (Accept=no)" {
	node_conf one "$(port 1)"
	spawn activate "${ACTIVATE[@]}" -l "127.0.0.1:$(port 1)" --fdname=http \
		"$COVEY_BIN/covey-httpd" -c "$CONF"
	wait_until 5 grep -q Listening "$D/activate.log"
	echo hello >"$D/f"
	[ "$(code -T "$D/f" "$URL/f")" = 201 ]
	[ "$(code "$URL/f")" = 200 ]
	cmp "$D/body" "$D/f"
}

@test "covey-httpd serves one connection of inetd (Accept=yes)" {
	node_conf one "$(port 2)"
	spawn activate "${ACTIVATE[@]}" -a --inetd -l "127.0.0.1:$(port 2)" \
		"$COVEY_BIN/covey-httpd" --inetd -c "$CONF"
	wait_until 5 grep -q Listening "$D/activate.log"
	echo hello >"$D/f"
	[ "$(code -T "$D/f" "$URL/f")" = 201 ]
	[ "$(code "$URL/f")" = 200 ]
	cmp "$D/body" "$D/f"
}

# Splits the output of covey units at its "# FILE" lines into $1/FILE.
split_units() {
	local file=
	while IFS= read -r line; do
		if [[ $line =~ ^#\ (/[^ ]+)$ ]]; then
			file=$1${BASH_REMATCH[1]}
			mkdir -p "${file%/*}"
			: >"$file"
		elif [ -n "$file" ]; then
			echo "$line" >>"$file"
		fi
	done
}

@test "covey units leaves alone what the shipped configuration has" {
	run covey units -c "$ROOT/etc/covey/covey.yaml"
	[ "$status" -eq 0 ]
	# Only that this file is not /etc/covey/covey.yaml.
	[ "$(grep -v '^$' <<<"$output")" = "# /etc/systemd/system/covey-.service.d/50-address.conf
[Service]
Environment=COVEY_CONFIG=$ROOT/etc/covey/covey.yaml" ]
}

@test "covey units prints drop-ins for other addresses that systemd accepts" {
	covey key new >"$D/key"
	chmod 600 "$D/key"
	cat >"$D/covey.yaml" <<-YAML
	node:
	  address: 192.0.2.7
	  store: $D/store
	  run: $D/run
	listen:
	  http: ["[::1]:8080", 8081]
	  https: 8443
	  unix: $D/run/http.sock
	  discovery: 5721
	  versions: 192.0.2.8:5722
	tls: { certificate: a, key: b }
	group:
	  key_file: $D/key
	access: open
	YAML
	run covey units -c "$D/covey.yaml"
	[ "$status" -eq 0 ]
	[[ $output == *$'Wants=covey-httpd-https.socket covey-httpd-unix.socket\n[Socket]\nListenStream=\nListenStream=[::1]:8080\nListenStream=192.0.2.7:8081\n'* ]]
	[[ $output == *"ListenStream=$D/run/http.sock"* ]]
	[[ $output == *'Sockets=covey-httpd-https.socket covey-httpd-unix.socket'* ]]
	[[ $output == *$'covey-httpd-https.socket.d/50-address.conf\n[Socket]\nListenStream=\nListenStream=192.0.2.7:8443\n'* ]]
	[[ $output == *'ListenDatagram=192.0.2.7:5721'* ]]
	[[ $output == *'ListenDatagram=192.0.2.8:5722'* ]]
	[[ $output == *"ListenSequentialPacket=$D/run/version.sock"* ]]
	[[ $output == *"ReadWritePaths=$D/store"* ]]
	[[ $output == *"ReadWritePaths=$D/run"* ]]
	cp -r "$ROOT" "$D/root"
	split_units "$D/root" <<<"$output"
	run systemd-analyze verify --man=no --root="$D/root" \
		"$D/root/usr/lib/systemd/system"/covey-{httpd,versiond,discoverd,syncd}.service \
		"$D/root/usr/lib/systemd/system"/covey{.target,-*.socket}
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	run sed -n 's/^Wants=//p' "$D/root/etc/systemd/system/covey.target.d/50-address.conf"
	[ -n "$output" ]
	for unit in $output; do
		[ -f "$UNITS/$unit" ]
	done
}

# A node with addresses of its own, in a group: $D/covey.yaml.
grouped_conf() {
	cat >"$D/covey.yaml" <<-YAML
	node: { address: 192.0.2.7, store: /var/lib/covey, run: /run/covey }
	group: { key_file: $D/key }
	access: open
	YAML
}

@test "covey units --write writes what covey units prints" {
	grouped_conf
	mkdir "$D/written"
	run covey units -c "$D/covey.yaml" --write "$D/written"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	run covey units -c "$D/covey.yaml"
	split_units "$D/printed" <<<"$output"
	find "$D/printed" -type f -exec sed -i '/^$/d' {} +
	diff -r "$D/printed/etc/systemd/system" "$D/written"
	[ -f "$D/written/covey.target.d/50-address.conf" ]
	run covey units -c "$D/covey.yaml" --write "$D/none"
	[ "$status" -eq 66 ]
	[[ $output == *"$D/none"* ]]
}

# The installed generator, with its paths below $D.
generate() {
	sed -e "s,/usr/bin/,$COVEY_BIN/," -e "s,/etc/covey/,$D/," -e "s,/run/,$D/," \
		-e "s,systemd-cat .*,tee -a $D/journal," \
		"$ROOT/usr/lib/systemd/system-generators/covey-generator" >"$D/generator"
	rm -rf "$D/normal"
	mkdir "$D/normal"
	run sh "$D/generator" "$D/normal" "$D/early" "$D/late"
	[ "$status" -eq 0 ]
}

@test "the generator writes what covey units says, and repeats it while covey.yaml is invalid" {
	: >"$D/journal"
	generate
	[ -z "$(ls "$D/normal")" ]
	grouped_conf
	mkdir "$D/written"
	covey units -c "$D/covey.yaml" --write "$D/written"
	generate
	diff -r "$D/written" "$D/normal"
	[ ! -s "$D/journal" ]
	echo 'nonsense: 1' >>"$D/covey.yaml"
	generate
	diff -r "$D/written" "$D/normal"
	[ "$(cat "$D/journal")" = "covey: $D/covey.yaml:4: nonsense: no such key" ]
	# What is no longer said goes.
	echo "node: { store: /var/lib/covey, run: /run/covey }" >"$D/covey.yaml"
	generate
	[ "$(ls "$D/normal")" = covey-.service.d ]
	# Of a configuration that was removed nothing comes back.
	rm "$D/covey.yaml"
	generate
	[ -z "$(ls "$D/normal")" ]
	echo 'nonsense: 1' >"$D/covey.yaml"
	generate
	[ -z "$(ls "$D/normal")" ]
}

@test "while a socket is open the generator repeats what it wrote, whatever became of covey.yaml" {
	: >"$D/journal"
	grouped_conf
	generate
	cp -r "$D/normal" "$D/written"
	[ -f "$D/written/covey-httpd.socket.d/50-address.conf" ]
	# as each socket unit does
	grep -qx 'ExecStartPre=/bin/mkdir -p /run/covey-generator/open/%n' "$UNITS/covey-.socket.d/10-common.conf"
	grep -qx 'ExecStopPost=-/bin/rmdir /run/covey-generator/open/%n' "$UNITS/covey-.socket.d/10-common.conf"
	mkdir -p "$D/covey-generator/open/covey-httpd.socket"
	for edit in 's/192.0.2.7/192.0.2.8/' '$a nonsense: 1' d; do
		sed -i "$edit" "$D/covey.yaml"
		generate
		diff -r "$D/written" "$D/normal"
	done
	rm "$D/covey.yaml"
	generate
	diff -r "$D/written" "$D/normal"
	rmdir "$D/covey-generator/open/covey-httpd.socket"
	generate
	[ -z "$(ls "$D/normal")" ]
	grouped_conf
	sed -i 's/192.0.2.7/192.0.2.8/' "$D/covey.yaml"
	generate
	grep -qx 'ListenStream=192.0.2.8:4720' "$D/normal/covey-httpd.socket.d/50-address.conf"
}

@test "where covey.yaml never was valid, the generator has no socket opened, and a role say why" {
	echo 'nonsense: 1' >"$D/covey.yaml"
	generate
	grep -qx "ConditionPathExists=!$D/covey.yaml" "$D/normal/covey-.socket.d/50-address.conf"
	grep -qx "Wants=covey-syncd.service" "$D/normal/covey.target.d/50-address.conf"
}
