#!/usr/bin/env bats
# The package that `make deb` builds, and what its scripts do: with /etc and /var
# of the test's own and the package's files in /usr, in a mount namespace.
load helpers

setup_file() {
	ONE=$(package)
	export ONE=${ONE%/deb/*} FILES=$BATS_FILE_TMPDIR/files CONTROL=$BATS_FILE_TMPDIR/control
	ARCH=$(dpkg --print-architecture)
	VERSION=$(sed -n 's/^VERSION *:= //p' "$TOP/Makefile")
	export ARCH VERSION DEB=covey_${VERSION}_$ARCH.deb
	dpkg-deb -x "$ONE/deb/$DEB" "$FILES"
	dpkg-deb -e "$ONE/deb/$DEB" "$CONTROL"
}

# machine SCRIPT: as root of a machine that has the package's files, with $D/etc and $D/var
machine() {
	run unshare -m bash -ec '
		mount -t overlay -o lowerdir="$FILES/usr:/usr" overlay /usr
		mount --bind "$D/etc" /etc
		mount --bind "$D/var" /var
		mount -t tmpfs none /run
		PATH=$CONTROL:/usr/bin:/usr/sbin DEBIAN_FRONTEND=noninteractive
		export PATH DEBIAN_FRONTEND
		eval "$1"' - "$1"
	echo "$output"
}

need_machine() {
	[ "$(id -u)" = 0 ] || skip "NOT RUN: only root runs a package's scripts"
	mkdir -p "$D/etc" "$D/var/lib" "$D/var/cache/debconf"
	cp /etc/{passwd,group,debconf.conf} "$D/etc/"
	sed -i '/^covey:/d' "$D/etc/passwd" "$D/etc/group"
	# debconf knows a script and its templates by their names.
	cp "$CONTROL/postinst" "$D/etc/covey.postinst"
	cp "$CONTROL/postrm" "$D/etc/covey.postrm"
	cp "$CONTROL/templates" "$D/etc/covey.templates"
	machine true
	[ "$status" -eq 0 ] || skip "NOT RUN: no overlay mounts here"
}

@test "hardening by the packager does not clash with ours" {
	for flags in 'CPPFLAGS=-D_FORTIFY_SOURCE=3' 'CFLAGS=-O0' 'CFLAGS=-O3 -D_FORTIFY_SOURCE=1'; do
		run make -C "$TOP" --no-print-directory CI=1 V=1 B="$D/b" "$flags" "$D/b/obj/lib/base/err.o"
		echo "$output"
		[ "$status" -eq 0 ]
		[[ $output != *warning* ]]
		[[ $output == *"${flags#*=}"* ]]
		rm -r "$D/b"
	done
}

@test "lintian finds nothing to say of it" {
	need lintian
	run lintian --allow-root --fail-on warning "$ONE/deb/$DEB"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "it has what make install brings, in its place" {
	run dpkg-deb -f "$ONE/deb/$DEB" Package Version Architecture
	[ "$output" = "Package: covey
Version: $VERSION
Architecture: $ARCH" ]
	run dpkg-deb -f "$ONE/deb/$DEB" Depends
	[[ $output == *systemd,* && $output == *libc6\ * && $output == *libsodium23* && $output == *libzstd1* ]]
	for program in covey covey-httpd covey-versiond covey-discoverd covey-syncd covey-check; do
		[ "$(stat -c %a "$FILES/usr/bin/$program")" = 755 ]
		[ "$(find "$FILES/usr/share/man" -name "$program.[18].gz" | wc -l)" -eq 1 ]
		run readelf -S "$FILES/usr/bin/$program"
		[[ $output != *.debug_info* ]]
	done
	for file in lib/systemd/system/covey.target lib/sysusers.d/covey.conf lib/tmpfiles.d/covey.conf \
		share/bash-completion/completions/covey share/doc/covey/{copyright,changelog.gz,README.md,SECURITY.md}; do
		[ "$(stat -c %a "$FILES/usr/$file")" = 644 ]
	done
	cmp "$FILES/usr/share/covey/covey.yaml" "$TOP/conf/covey.yaml"
	(cd "$FILES" && md5sum --quiet -c "$CONTROL/md5sums")
}

@test "its programs check at run time what the release build has them check" {
	local program file flag
	for program in covey covey-httpd covey-versiond covey-discoverd covey-syncd covey-check; do
		file=$FILES/usr/bin/$program
		readelf -hW "$file" | grep -q 'Type: *DYN'			# anywhere in memory
		readelf -lW "$file" | grep -q ' GNU_RELRO '
		readelf -dW "$file" | grep -q 'BIND_NOW'
		readelf -lW "$file" | grep -qE ' GNU_STACK .* RW +0x'		# nothing runs on the stack
		readelf -sW --dyn-syms "$file" | grep -q __stack_chk_fail
		readelf -sW --dyn-syms "$file" | grep -q __snprintf_chk
		# How each file was compiled is told by what the package leaves out.
		readelf -p .debug_str "$ONE/deb/work/build/bin/$program" | grep -o 'GNU C17.*' >compiled
		[ -s compiled ]
		for flag in -ftrivial-auto-var-init=zero -fstack-clash-protection -fstack-protector-strong; do
			[ "$(grep -c -- "$flag" compiled)" -eq "$(wc -l <compiled)" ]
		done
	done
	[ "$(dpkg --print-architecture)" != amd64 ] || [ "$(objdump -d --no-show-raw-insn "$file" | grep -c endbr64)" -gt 20 ]
	make -C "$TOP" -n V=1 B="$D/none" "$D/none/obj/lib/base/buf.o" | grep -q -- -D_FORTIFY_SOURCE=3
	# and clang takes the same
	make -C "$TOP" -n V=1 B="$D/none" CC=clang "$D/none/obj/lib/base/buf.o" | grep -q -- -ftrivial-auto-var-init=zero
}

@test "no configuration of it is dpkg's, so an upgrade asks nothing" {
	[ ! -e "$CONTROL/conffiles" ]
	[ -z "$(find "$FILES/etc" ! -type d)" ]
	[ "$(stat -c %a "$FILES/etc/covey")" = 755 ]
}

@test "its changelog and its version are those of the tree" {
	[ "$(dpkg-parsechangelog -l "$TOP/conf/deb/changelog" -S Version)" = "$VERSION" ]
	[ "$("$FILES/usr/bin/covey" --version)" = "covey $VERSION" ]
}

@test "installing makes the user and the first configuration, and enables nothing" {
	need_machine
	mkdir "$D/etc/covey"
	machine '/etc/covey.postinst configure ""; ls -ld /run/covey'
	[ "$status" -eq 0 ]
	[[ $output == *"drwxr-x--- 2 covey covey "* ]]
	cmp "$D/etc/covey/covey.yaml" "$TOP/conf/covey.yaml"
	grep -q ^covey: "$D/etc/passwd"
	[ ! -e "$D/etc/systemd" ]
	# An upgrade keeps what a person wrote.
	echo "# mine" >>"$D/etc/covey/covey.yaml"
	machine "/etc/covey.postinst configure $VERSION"
	[ "$status" -eq 0 ]
	[ "$(tail -n 1 "$D/etc/covey/covey.yaml")" = "# mine" ]
	[ "$(find "$D/etc/covey" -type f | wc -l)" -eq 1 ]
}

@test "removing disables what was enabled, an upgrade does not" {
	need_machine
	machine 'systemctl enable covey.target covey-httpd-inetd.socket; prerm upgrade 9
		/etc/covey.postrm upgrade 9; find /etc/systemd -type l'
	[ "$status" -eq 0 ]
	[[ $output == */multi-user.target.wants/covey.target* && $output == */covey-http.socket* ]]
	# What a person wrote stays.
	machine 'systemctl mask covey-syncd.timer; prerm remove; /etc/covey.postrm remove'
	[ "$status" -eq 0 ]
	[ "$(find "$D/etc/systemd" -type l)" = "$D/etc/systemd/system/covey-syncd.timer" ]
}

@test "purging takes the configuration, and the files and the key only when told to" {
	need_machine
	mkdir -p "$D/etc/covey" "$D/var/lib/covey/tree"
	echo hello >"$D/var/lib/covey/tree/f"
	touch "$D/etc/covey/"{covey.yaml,covey.yaml.old,group.key}
	machine '/etc/covey.postrm remove'
	[ "$status" -eq 0 ]
	[ -e "$D/etc/covey/covey.yaml" ]
	machine '/etc/covey.postrm purge'
	[ "$status" -eq 0 ]
	[[ $output == *"group.key and the files in /var/lib/covey stay"* ]]
	[ "$(find "$D/etc/covey" -type f)" = "$D/etc/covey/group.key" ]
	[ -e "$D/var/lib/covey/tree/f" ]
	machine 'echo covey covey/keep-store boolean false | debconf-set-selections; /etc/covey.postrm purge'
	[ "$status" -eq 0 ]
	[ ! -e "$D/etc/covey" ]
	[ ! -e "$D/var/lib/covey" ]
}

@test "purging a store that is a disk of its own empties it" {
	need_machine
	mkdir -p "$D/etc/covey" "$D/var/lib/covey"
	touch "$D/etc/covey/"{covey.yaml,group.key}
	machine '
		echo covey covey/keep-store boolean false | debconf-set-selections
		mount -t tmpfs none /var/lib/covey
		mkdir -p /var/lib/covey/tree/d /var/lib/covey/history
		touch /var/lib/covey/tree/d/f
		mount -t tmpfs none /var/lib/covey/history
		touch /var/lib/covey/history/f
		! /etc/covey.postrm purge
		ls /etc/covey /var/lib/covey/history
		umount /var/lib/covey/history
		/etc/covey.postrm purge
		mountpoint /var/lib/covey
		find /var/lib/covey'
	[ "$status" -eq 0 ]
	[[ $output == *group.key*$'\nf\n'*"/var/lib/covey is a mountpoint"* ]]
	[ "${lines[-1]}" = /var/lib/covey ]
	[ ! -e "$D/etc/covey" ]
}
