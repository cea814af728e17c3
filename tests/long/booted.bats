#!/usr/bin/env bats
# More on machines with systemd as PID 1 than there is time for in every test run.
load ../helpers

setup() {
	covey_setup
	need machines
	export SHARED=$D MACHINES_OWNER=$$
}

@test "README's other way to install, from source: each of its lines" {
	deps=$(make -s -C "$TOP" -f Makefile -f - print-deps <<<'print-deps:; @echo $(BUILD_DEPS)')
	[[ $deps == *gcc* && $deps == *libyaml-dev* ]]
	# shellcheck disable=SC2086  # words
	machines provide --no-install-recommends $deps
	hosts up 1
	machines up 1
	block=$("$TOP/tests/readme" 'sudo make install PREFIX=/usr')
	mkdir source
	git -C "$TOP" archive HEAD | tar -x -C source
	machines put 1 source root/
	machines exec 1 sh -exc "cd /root/source; $block"
	[ "$(http 1 http://127.0.0.1:4720/.covey/healthz)" = 200 ]
	echo one >f
	[ "$(http 1 -T f http://127.0.0.1:4720/f)" = 201 ]
	[ -z "$(on 1 systemctl --failed --no-legend)" ]
	# the same for a node of a group, but for its addresses
	block=$("$TOP/tests/readme" 'covey key new | sudo install' | sed 's/192\.0\.2\.[0-9]*/10.79.0.1/')
	on 1 sh -exc "$block"
	wait_until 30 machines_settled 1
	[ "$(http 1 "$(node 1)/f")" = 200 ]
	cmp body f
	on 1 sh -exc 'systemctl restart covey.target; cd /root/source; sudo make uninstall PREFIX=/usr'
}

@test "five machines, more than homes: a rolling restart of all under load, then each without power once" {
	installed_machines 5
	machine_group 5
	all=("$(node 1)" "$(node 2)" "$(node 3)" "$(node 4)" "$(node 5)")
	[ "$(on 4 covey layout show --json | jq '[.members[]?] | length')" -eq 5 ]
	bytes 300000 1 >a
	[ "$(http 1 -H 'Prefer: wait=20' -T a "${all[0]}/docs/a")" = 201 ]
	for i in 1 2 3 4 5; do
		[ "$(http $i "${all[i - 1]}/docs/a")" = 200 ]
		cmp body a
	done
	load "${all[@]}"
	for i in 1 2 3 4 5; do
		on $i systemctl restart covey.target
		wait_until 60 machines_settled 5
	done
	end_load
	for i in 5 4 3 2 1; do
		machine cut $i
		other=$((i % 5 + 1))
		echo "without $i" >f
		[[ $(http $other -H 'Prefer: wait=20' -T f "${all[other - 1]}/power") == 20[14] ]]
		machine up $i
		there() { [ "$(http "$i" "${all[i - 1]}/power")" = 200 ] && [ "$(header Version-State)" = confirmed ] && cmp body f; }
		wait_until 60 there
		wait_until 60 machines_settled 5
	done
	[ "$(http 5 -X DELETE "${all[4]}/docs/a")" = 204 ]
	for i in 1 2 3 4 5; do [ "$(http $i "${all[i - 1]}/docs/a")" = 404 ]; done
}
