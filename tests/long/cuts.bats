#!/usr/bin/env bats
# Hundreds of power cuts at any write to the disk.  SEED repeats what is drawn, though not how fast the machine is.
load ../helpers

# Four disks are recorded, of each of which 50 are cut.
cuts_on() {
	local seed=${SEED:-$RANDOM} i
	need recorded-disks "$1"
	for i in 0 1 2 3; do block_cuts "$1" "$((seed + i))" 50 500; done
}

@test "power cuts at any write on ext4 take nothing that was acknowledged" { cuts_on ext4; }
@test "power cuts at any write on XFS take nothing that was acknowledged" { cuts_on xfs; }
@test "power cuts at any write on btrfs, where there is no log, take nothing that was acknowledged" { cuts_on btrfs; }
