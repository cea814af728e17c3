#!/usr/bin/env bats
# HTTP in a group of several nodes, where nothing is confirmed yet: honest statuses, freshness, unions.
load helpers

@test "writes are 202, reads unconfirmed with every peer counted" {
	group 3
	echo one >one
	[ "$(code -T one "${URLS[1]}/d/a")" = 202 ]
	[[ $(header Version-State) == "unconfirmed; peers=2/2"* ]]
	tag=$(header ETag)
	for i in 1 2 3; do
		[ "$(code "${URLS[i]}/d/a")" = 200 ]
		[ "$(header ETag)" = "$tag" ]
		[ "$(header Version-State)" = "unconfirmed; peers=2/2" ]
		cmp body one
	done
	[ "$(code -T one "${URLS[2]}/d/a")" = 202 ]
	[ "$(code -X DELETE "${URLS[3]}/d/a")" = 202 ]
	[ "$(code "${URLS[1]}/d/a")" = 404 ]
	[ "$(header Version-State)" = "unconfirmed; peers=2/2" ]
	[ "$(code -X PUT "${URLS[2]}/e/")" = 202 ]
	[ "$(code -F file=@one "${URLS[2]}/e/f/")" = 202 ]
	[ "$(code "${URLS[3]}/e/f/one")" = 200 ]
}

@test "an update is 412 where it clearly fails, else 501; nothing is stored" {
	group 2
	echo one >one
	[ "$(code -T one "${URLS[1]}/a")" = 202 ]
	tag=$(header ETag)
	for i in 1 2; do
		[ "$(code -T one -H 'If-None-Match: *' "${URLS[i]}/a")" = 412 ]
		[ "$(code -T one -H 'If-Match: "other"' "${URLS[i]}/a")" = 412 ]
		[ "$(code -T one -H 'If-Match: *' "${URLS[i]}/none")" = 412 ]
		[ "$(code -T one -H "If-Match: $tag" "${URLS[i]}/a")" = 501 ]
		[ "$(code -X DELETE -H "If-Match: $tag" "${URLS[i]}/a")" = 501 ]
		[ "$(code -T one -H 'If-None-Match: *' "${URLS[i]}/none")" = 501 ]
		[ "$(code -H "If-None-Match: $tag" "${URLS[i]}/a")" = 304 ]
	done
	[ "$(curl -sf "${URLS[1]}/a?versions&format=json" | jq length)" -eq 1 ]
	[ "$(code "${URLS[2]}/none")" = 404 ]
}

@test "freshness: only-if-cached, max-age, no-cache" {
	group 2
	echo one >one
	curl -sfT one "${URLS[1]}/a"
	[ "$(code -H 'Cache-Control: only-if-cached' "${URLS[2]}/a")" = 504 ]
	[ "$(code -H 'Cache-Control: no-cache' "${URLS[2]}/a")" = 504 ]
	[ "$(code "${URLS[2]}/a")" = 200 ]
	[[ $(header Cache-Status) == *fwd=*stored* ]]
	wait_until 5 curl -sfH 'Cache-Control: only-if-cached' "${URLS[2]}/a"
	[ "$(code "${URLS[2]}/a")" = 200 ]
	[[ $(header Cache-Status) == *hit* ]]
	echo two >two
	curl -sfT two "${URLS[1]}/a"
	[ "$(code -H 'Cache-Control: max-age=60' "${URLS[2]}/a")" = 200 ]
	cmp body one
	[[ $(header Age) =~ ^[0-9]+$ ]]
	[ "$(code -H 'Cache-Control: only-if-cached' "${URLS[2]}/a")" = 200 ]
	cmp body one
	[ "$(code -H 'Cache-Control: max-age=0' "${URLS[2]}/a")" = 200 ]
	cmp body two
}

@test "HEAD tells of the newest and pulls nothing; GET of a range across nodes" {
	group 2
	bytes 3000000 >a
	curl -sfT a "${URLS[1]}/a"
	[ "$(code -I "${URLS[2]}/a")" = 200 ]
	[ "$(header Content-Length)" = 3000000 ]
	[ "$(code -H 'Cache-Control: only-if-cached' "${URLS[2]}/a")" = 504 ]
	[ "$(code -r 1000000-1999999 "${URLS[2]}/a")" = 206 ]
	cmp body <(tail -c +1000001 a | head -c 1000000)
	[ "$(curl -sf "${URLS[2]}/a" | sha)" = "$(sha a)" ]
}

@test "indexes and histories are the union of all nodes" {
	group 3
	for i in 1 2 3; do
		echo "$i" | curl -sf -o /dev/null -T - "${URLS[i]}/u/f$i"
		echo "$i" | curl -sf -o /dev/null -T - "${URLS[i]}/u/same"
	done
	curl -sf -X PUT -o /dev/null "${URLS[2]}/u/sub/"
	curl -sf -X DELETE -o /dev/null "${URLS[3]}/u/f1"
	for i in 1 2 3; do
		[ "$(curl -sf "${URLS[i]}/u/?format=json" | jq -c 'map(.href)')" = '["f2","f3","same","sub/"]' ]
		[ "$(code "${URLS[i]}/u/same?versions&format=json")" = 200 ]
		[[ $(header Version-State) == "unconfirmed; peers=2/2" ]]
		[ "$(jq -c '[length, (map(.node) | unique | length), .[0].current]' body)" = '[3,3,true]' ]
		[ "$(curl -sf "${URLS[i]}/u/?format=text")" = "$(curl -sf "${URLS[1]}/u/?format=text")" ]
		jq -r '.[].version' body | while read -r version; do
			curl -sf "${URLS[i]}/u/same?version=$version" | grep -q '^[123]$'
		done
	done
	[ "$(curl -sf -H 'Cache-Control: only-if-cached' "${URLS[1]}/u/?format=json" | jq -c 'map(.href)')" != '["f2","f3","same","sub/"]' ]
	oldest=$(curl -sf "${URLS[3]}/u/same?versions&format=json" | jq -r '.[2].version')
	[ "$(code -X POST "${URLS[3]}/u/same?restore=$oldest")" = 202 ]
	[ "$(curl -sf "${URLS[2]}/u/same")" = 1 ]
}

@test "a version that only another node holds is restored from there" {
	group 2
	bytes 300000 1 >one
	bytes 200000 2 >two
	curl -sf -H 'Content-Type: text/x-made' -T one "${URLS[1]}/r"
	curl -sfT two "${URLS[1]}/r"
	oldest=$(curl -sf "${URLS[2]}/r?versions&format=json" | jq -r '.[1].version')
	[ "$(code -X POST "${URLS[2]}/r?restore=$oldest")" = 202 ]
	for i in 1 2; do
		[ "$(code "${URLS[i]}/r")" = 200 ]
		[ "$(header Content-Type)" = text/x-made ]
		cmp body one
		[ "$(curl -sf "${URLS[i]}/r?versions&format=json" | jq length)" -eq 3 ]
	done
}

@test "a file below another node's file, and over another node's directory, is 409" {
	group 2
	echo x >x
	curl -sfT x "${URLS[1]}/file"
	curl -sf -X PUT -o /dev/null "${URLS[1]}/dir/"
	[ "$(code -T x "${URLS[2]}/file/below")" = 409 ]
	[ "$(code -T x "${URLS[2]}/file/far/below")" = 409 ]
	[ "$(code -T x "${URLS[2]}/dir")" = 409 ]
	[ "$(code "${URLS[2]}/dir")" = 301 ]
	[ "$(code "${URLS[2]}/file")" = 200 ]
}
