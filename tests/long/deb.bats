#!/usr/bin/env bats
# The package, built a second time: by a packager with flags of his own from a tree that is no git's.
load ../helpers

setup_file() {
	ONE=$(package)
	export ONE TWO=$BATS_FILE_TMPDIR/two
	local tree=$BATS_FILE_TMPDIR/tree
	mkdir "$tree"
	tar -C "$TOP" -cf - --exclude=./build --exclude=./.git --exclude=./covey-nodes . | tar -C "$tree" -xmf -
	make -C "$tree" --no-print-directory -j2 deb B="$TWO" V=1 CPPFLAGS=-DPACKAGERS_CPP CFLAGS=-DPACKAGERS_C \
		LDFLAGS=-Wl,--no-undefined >"$BATS_FILE_TMPDIR/two.log" 2>&1
}

@test "the same sources give the same package, whatever directory and flags they are built with" {
	cmp "$ONE" "$TWO/deb/${ONE##*/}"
	[ "$(tail -n 1 "$BATS_FILE_TMPDIR/two.log")" = "$TWO/deb/${ONE##*/}" ]
}

@test "the packager's flags reach the compiler and the linker" {
	local lines
	lines=$(grep -c -- ' -c -o ' "$BATS_FILE_TMPDIR/two.log")
	[ "$lines" -ge 100 ]
	[ "$(grep -- ' -c -o ' "$BATS_FILE_TMPDIR/two.log" |
		grep -c -- '-D_FORTIFY_SOURCE=2 -DPACKAGERS_CPP .*-fstack-protector-strong .*-DPACKAGERS_C')" -eq "$lines" ]
	[ "$(grep -c -- '-Wl,-z,relro.*-Wl,--no-undefined -o [^ ]*/bin/covey' "$BATS_FILE_TMPDIR/two.log")" -eq 6 ]
}
