#!/usr/bin/env bats
# Power cuts at any write to the disk: tests/long/cuts.bats has more of them, and other file systems.
load helpers

@test "power cuts at any write to the disk: what was acknowledged is there, also when it is cut in the next start" {
	need recorded-disks ext4
	block_cuts ext4 "${SEED:-1}" 6 200
}
