#!/usr/bin/env bats
# The store on file systems of its own: full, without what covey needs, and put back from a backup.
load helpers

teardown() {
	_end_leftovers
	local mounted
	for mounted in "$D"/n/store/* "$D"/n/store; do
		! mountpoint -q "$mounted" || umount -l "$mounted"
	done
	covey_teardown
}

# disk SIZE [MKFS-ARG...]: an ext4 file system as the store of node n
disk() {
	local size=$1
	shift
	[ "$(id -u)" -eq 0 ] || skip "NOT RUN: only root mounts"
	command -v mkfs.ext4 >/dev/null || skip "NOT RUN: no mkfs.ext4 here"
	mkdir -p "$D/n/store"
	truncate -s "$size" "$D/image"
	mkfs.ext4 -q -F -m 0 "$@" "$D/image"
	mount -o loop "$D/image" "$D/n/store" || skip "NOT RUN: no loop devices here"
}

# Nothing is left for anybody, not even for root.
fill() {
	dd if=/dev/zero of="$STORE/ballast" bs=64K 2>/dev/null || :
	dd if=/dev/zero of="$STORE/ballast2" bs=1K 2>/dev/null || :
	[ "$(stat -f -c %a "$STORE")" -eq 0 ]
}

@test "a full disk: 507 and nothing lost; reads, DELETE and prune go on" {
	disk 48M
	httpd n $'limits:\n  min_free: 1K'
	local i
	for i in 1 2 3 4; do
		bytes 3000000 "$i" >"v$i"
		curl -sf -T "v$i" "$URL/d/big"
	done
	echo small >small
	curl -sf -T small "$URL/d/small"
	curl -sf -T small "$URL/one/more"
	sha256sum <v4 >want
	fill
	[ "$(code -T v1 "$URL/d/new")" = 507 ]
	[ "$(code -T v1 "$URL/d/big")" = 507 ]
	[ "$(code -T small "$URL/e/f/g")" = 507 ]
	[ "$(code "$URL/d/new")" = 404 ]
	[ "$(curl -s "$URL/d/big" | sha256sum)" = "$(cat want)" ]
	[ "$(curl -s "$URL/d/big?versions&format=json" | jq length)" -eq 4 ]
	[ "$(code -X DELETE "$URL/d/small")" = 204 ]
	[ "$(code "$URL/d/small")" = 404 ]
	[ "$(curl -s "$URL/d/?format=json" | jq -r '.[].name')" = big ]
	python3 -c 'import os, sys
st = os.stat(sys.argv[1])
fd = os.open(sys.argv[1], os.O_WRONLY)
os.pwrite(fd, b"!", 1)
os.utime(fd, ns=(st.st_atime_ns, st.st_mtime_ns))' "$STORE/tree/one/more"
	run covey scrub -c "$CONF"
	[ "$status" -eq 65 ]
	[[ $output == *", 1 bad" ]]
	[ -L "$STORE/tree/one/more" ]
	run covey prune -c "$CONF" --versions 2 /d/big
	[ "$status" -eq 0 ]
	[ "$(curl -s "$URL/d/big?versions&format=json" | jq length)" -eq 2 ]
	# What prune freed is there for writers.
	[ "$(code -T v1 "$URL/d/new")" = 201 ]
	[ "$(curl -s "$URL/d/new" | sha256sum)" = "$(sha256sum <v1)" ]
	stop "$PID"
	umount "$STORE"
	run e2fsck -fn image
	[ "$status" -eq 0 ]
	mount -o loop image "$STORE"
	httpd n $'limits:\n  min_free: 1K'
	[ "$(curl -s "$URL/d/big" | sha256sum)" = "$(cat want)" ]
	[ "$(code "$URL/d/small")" = 404 ]
	[ "$(code -T small "$URL/d/small")" = 201 ]
}

@test "power cuts: what was acknowledged is there, and the newest is not an older one" {
	disk 256M
	local round
	httpd n
	for round in 1 2 3 4 5; do
		"$TOP/tests/power-cut" write "$URL" "$STORE" acknowledged "$round"
		kill -KILL "$PID" || :		# it leaves by itself, too
		_await_end "$PID"
		umount "$STORE"
		mount -o loop image "$STORE"
		httpd n
		"$TOP/tests/power-cut" check "$URL" acknowledged
	done
	[ "$(wc -l <acknowledged)" -gt 50 ]
	[ -z "$(find "$STORE/tmp" -type f)" ]
}

@test "what only the log has is there before the first answer; who cannot have it there is told" {
	disk 64M
	httpd n
	echo one >x
	curl -sf -T x "$URL/d/f"
	kill -KILL "$PID"
	_await_end "$PID"
	ls "$STORE"/wal/*.wal
	run -65 covey backup -c "$CONF" backup
	[[ $output == *"is put in its place when one is started"* ]]
	rm -r "$STORE/tree/d/f" "$STORE/run/counters"	# as a power cut would have it, and a boot
	mount -o remount,ro "$STORE"
	run ! timeout 20 covey-httpd -c "$CONF"
	[[ $output == *"its log has versions that have to be replayed"* || $output == *"read-only"* ]]
	mount -o remount,rw "$STORE"
	httpd n
	[ "$(curl -sf "$URL/d/f")" = one ]
	[ "$(cat "$STORE/tree/d/f")" = one ]
	run -0 covey backup -c "$CONF" backup
}

@test "a full disk: covey starts on it, and pruning may come first" {
	disk 48M
	httpd n $'limits:\n  min_free: 1K'
	local i
	for i in 1 2 3; do
		bytes 3000000 "$i" >"v$i"
		curl -sf -T "v$i" "$URL/big"
	done
	stop "$PID"
	fill
	spawn n covey-httpd -c "$CONF"
	wait_until 10 curl -sf "$URL/.covey/healthz"
	[ "$(curl -s "$URL/big" | sha256sum)" = "$(sha256sum <v3)" ]
	[ "$(code -T v1 "$URL/big")" = 507 ]
	run covey prune -c "$CONF" --versions 2 /big
	[ "$status" -eq 0 ]
	echo small >small
	[ "$(code -T small "$URL/big")" = 204 ]
}

@test "many deletions on a full disk live off the reserve, which comes back" {
	disk 64M
	httpd n $'limits:\n  min_free: 1K'
	local i
	for i in $(seq 100); do echo "/$i"; done >names
	while read -r i; do printf 'x' | curl -sf -T - "$URL/many$i"; done <names
	[ "$(stat -c %s "$STORE/reserve")" -gt 1000000 ]
	fill
	while read -r i; do [ "$(code -X DELETE "$URL/many$i")" = 204 ]; done <names
	[ "$(curl -s "$URL/many/?format=json" | jq length)" -eq 0 ]
	[ "$(stat -c %s "$STORE/reserve")" -eq 0 ]
	rm "$STORE"/ballast*
	[ "$(code -T names "$URL/again")" = 201 ]
	[ "$(stat -c %s "$STORE/reserve")" -gt 1000000 ]
}

@test "no inodes left for writers: 507, and DELETE and prune go on" {
	disk 64M -N 1024
	httpd n $'limits:\n  min_free: 1K'
	local i
	echo small >small
	for i in 1 2 3 4 5 6; do [ "$(code -T small "$URL/d/f")" -lt 300 ]; done
	for ((i = 0; i < 1024; i++)); do echo "url = $URL/e/$i"; printf '%s\n' 'upload-file = small' 'output = /dev/null'; done >uploads
	run curl -s -w '%{http_code}\n' -K uploads
	[ "$status" -eq 0 ]
	[ "$(sort -u <<<"$output" | tr '\n' ' ')" = '201 507 ' ]
	[ "$(code -T small "$URL/d/f")" = 507 ]
	[ "$(code -X DELETE "$URL/d/f")" = 204 ]
	[ "$(code "$URL/d/f")" = 404 ]
	[ "$(code -X DELETE "$URL/e/0")" = 204 ]
	run covey prune -c "$CONF" --versions 1 /d/f
	[ "$status" -eq 0 ]
	[ "$(curl -s "$URL/d/f?versions&format=json" | jq length)" -eq 1 ]
	[ "$(curl -s "$URL/e/1")" = small ]
}

@test "min_free: writes are 507 below it, and readyz says so; reads and deletes go on" {
	disk 64M
	httpd n $'limits:\n  min_free: 40M'
	echo small >small
	[ "$(code -T small "$URL/f")" = 201 ]
	dd if=/dev/zero of="$STORE/ballast" bs=1M count=20 2>/dev/null
	[ "$(code -T small "$URL/f")" = 507 ]
	[ "$(code -T small "$URL/new/dir/f")" = 507 ]
	[ "$(code -X PUT "$URL/dir/")" = 507 ]
	[ "$(code "$URL/.covey/readyz")" = 503 ]
	[ "$(code "$URL/.covey/healthz")" = 200 ]
	[ "$(curl -s "$URL/f")" = small ]
	[ "$(code -X DELETE "$URL/f")" = 204 ]
	rm "$STORE/ballast"
	[ "$(code -T small "$URL/f")" = 201 ]
	[ "$(code "$URL/.covey/readyz")" = 200 ]
}

# refused PATTERN: covey-httpd does not start on this store, and says why
refused() {
	run timeout 10 covey-httpd -c "$CONF"
	[ "$status" -eq 100 ]
	[[ $output == *$1* ]]
}

@test "a store is refused where its file system lacks what covey needs" {
	[ "$(id -u)" -eq 0 ] || skip "NOT RUN: only root mounts"
	node_conf n "$(port 1)"
	mkdir -p "$STORE"
	mount -t ramfs ramfs "$STORE"
	refused "has no user extended attributes"
	umount "$STORE"
	mkdir -p "$STORE/tree"
	mount --bind "$STORE/tree" "$STORE/tree"
	refused "on a file system of its own"
	umount "$STORE/tree"
	disk 16M -I 128
	refused "has no times in nanoseconds"
}

@test "files are 0640 and directories 0750; a store is formatted once" {
	httpd n
	echo x >x
	curl -sf -T x "$URL/a/b"
	curl -sf -T x "$URL/a/b"
	[ "$(stat -c %a "$STORE/tree/a/b")" = 640 ]
	[ "$(stat -c %a "$STORE/tree/a")" = 750 ]
	# Nobody relies on it, or reads there, before it is on disk.
	wait_until 10 eval '[ "$(stat -c %a "$STORE/history/a/b")" = 750 ]'
	[ "$(find "$STORE" -perm /027 -not -type l -not -type s | wc -l)" -eq "$(find "$STORE" -perm /020 -not -type l -not -type s | wc -l)" ]
	grep -q '^id = [0-9a-f]\{16\}$' "$STORE/node.ini"
	cp "$STORE/node.ini" before
	stop "$PID"
	httpd n
	cmp "$STORE/node.ini" before
	[ "$(curl -s "$URL/a/b")" = x ]
}

@test "root does not write into the store of another user, who could not read it" {
	[ "$(id -u)" -eq 0 ] || skip "NOT RUN: only root runs as another user"
	httpd n
	echo x | curl -sf -T - "$URL/d/f"
	stop "$PID"
	echo mine >"$STORE/tree/d/mine"
	chown -R nobody "$STORE"
	run covey adopt -c "$CONF" /
	[ "$status" -eq 77 ]
	[[ $output == *"sudo -u nobody covey"* ]]
	[ -z "$(find "$STORE" -user root)" ]
	chown -R root "$STORE"
	run covey adopt -c "$CONF" /
	[ "$status" -eq 0 ]
	[[ $output == *d/mine* ]]
}

@test "a backup that keeps attributes comes back as it was, under a new node id" {
	httpd n
	local i tag
	for i in 1 2 3; do echo "$i" | curl -sf -T - -H 'Content-Type: text/x-mine' "$URL/d/f"; done
	echo gone | curl -sf -T - "$URL/d/gone"
	curl -sf -X DELETE "$URL/d/gone"
	[ "$(code "$URL/d/f")" = 200 ]
	tag=$(header ETag)
	stop "$PID"
	tar --xattrs -C "$STORE" -cf backup.tar tree history
	rm -rf "$STORE"
	mkdir -p "$STORE"
	tar --xattrs --xattrs-include='user.*' -C "$STORE" -xf backup.tar
	httpd n
	[ "$(code "$URL/d/f")" = 200 ]
	[ "$(header ETag)" = "$tag" ]
	[ "$(header Content-Type)" = text/x-mine ]
	[ "$(code "$URL/d/gone")" = 404 ]
	[ "$(curl -s "$URL/d/f?versions&format=json" | jq length)" -eq 3 ]
	echo 4 | curl -sf -T - "$URL/d/f"
	[ "$(curl -s "$URL/d/f?versions&format=json" | jq -r '[.[].node] | unique | length')" -eq 2 ]
}

@test "a file system that turned read-only: 503, readyz too; reads go on" {
	disk 48M
	# What programs have mapped to write keeps a file system from being remounted.
	node_conf n "$(port 60)"
	sed -i "s|^node:|&\n  run: $D/run|" "$CONF"
	spawn n covey-httpd -c "$CONF"
	wait_until 10 ready "$URL"
	echo kept | curl -sf -T - "$URL/f"
	wait_until 20 mount -o remount,ro "$STORE"	# the log is open a while
	[ "$(code -T "$CONF" "$URL/g")" = 503 ]
	[[ $(cat body) == *"read-only"* ]]
	[ "$(code -X DELETE "$URL/f")" = 503 ]
	[ "$(code "$URL/.covey/readyz")" = 503 ]
	[ "$(code "$URL/.covey/healthz")" = 200 ]
	[ "$(curl -sf "$URL/f")" = kept ]
	mount -o remount,rw "$STORE"
	[ "$(code -T "$CONF" "$URL/g")" = 201 ]
	[ "$(code "$URL/.covey/readyz")" = 200 ]
}

@test "where a person's file stands, nothing is confirmed until a version takes its place" {
	httpd n
	echo 1 | curl -sf -T - "$URL/f"
	echo 2 | curl -sf -T - "$URL/f"
	echo by hand >>"$STORE/tree/f"
	[ "$(code "$URL/f")" = 200 ]
	[ "$(cat body)" = 1 ]
	[ "$(header Version-State)" = "unconfirmed; peers=0/0" ]	# 2 was newer
	[ "$(code -H 'Cache-Control: no-cache' "$URL/f")" = 504 ]
	echo new >"$STORE/tree/g"
	[ "$(code "$URL/g")" = 404 ]
	[ "$(header Version-State)" = "unconfirmed; peers=0/0" ]
	echo 3 | curl -sf -T - "$URL/f"
	[ "$(code "$URL/f")" = 200 ]
	[ "$(header Version-State)" = confirmed ]
}
