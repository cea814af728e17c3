#!/usr/bin/env bats
# What the manuals and README say is what the programs do.
load helpers

# The options that a program's help lists, one a line: -c, --config, ...
help_options() {
	"$@" | grep -oE "^ +(-[A-Za-z0-9], )?--[a-z-]+" | grep -oE -- '-{1,2}[A-Za-z0-9][a-z-]*' | sort -u
}

# The options in the lists of a manual, or of its part for one sub-command.
manual_options() {
	grep '^\.It Fl' | grep -oE 'Fl -?[A-Za-z0-9][a-z-]*' | sed 's/^Fl /-/' | sort -u
}

# The part of covey.1 for one sub-command.
part() {
	sed -n "/^\.Ss $1\$/,/^\.S[sh] /p" "$TOP/cmd/covey.1"
}

roles="covey-httpd covey-versiond covey-discoverd covey-syncd"

@test "each role's manual has the options of its help, and no others" {
	for role in $roles; do
		echo "$role"
		help_options "$role" --help >help
		[ -s help ]
		diff help <(manual_options <"$TOP/cmd/$role.8")
	done
}

@test "covey-check's manual has the options of its help, and no others" {
	help_options covey-check --help >help
	[ -s help ]
	diff help <(manual_options <"$TOP/cmd/covey-check.1")
}

@test "each sub-command of covey has its part in the manual, with its options" {
	local names
	mapfile -t names < <(covey help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
	[ "${#names[@]}" -ge 3 ]
	diff <(printf '%s\n' "${names[@]}" | sort) \
		<(sed -n '/^\.Sh COMMANDS/,/^\.Sh [^C]/s/^\.Ss //p' "$TOP/cmd/covey.1" | grep -vx help | sort)
	for name in "${names[@]}"; do
		echo "$name"
		diff <(help_options covey help "$name" | grep -vxe --help -e -h) <(part "$name" | manual_options)
	done
}

@test "every program tells its version and refuses what it does not know" {
	for program in covey covey-check $roles; do
		echo "$program"
		run "$program" --version
		[ "$status" -eq 0 ]
		[[ $output == "$program "[0-9]* ]]
		run "$program" --no-such-option
		[ "$status" -eq 64 ]
	done
}

# Lines KEY TAB DEFAULT, from the one table of keys.
conf_table() {
	sed -n 's/^\t{ "\([a-z._]*\)", [A-Z]*, AT([a-z_.]*), \("\([^"]*\)"\|NULL\),.*/\1\t\3/p' \
		"$TOP/lib/role/conf.c"
}

# What the manual says of one key.
key_part() {
	awk -v key="$1" '/^\.(It|El|Ss|Sh)/ { on = ($1 == ".It" && $3 == key) } on' "$TOP/conf/covey.yaml.5"
}

@test "every configuration key is documented with its default, and no other" {
	local key default text
	[ "$(conf_table | wc -l)" -ge 15 ]
	diff <(conf_table | cut -f 1 | sort) <(sed -n 's/^\.It Ic \([a-z_.]*\) .*/\1/p' "$TOP/conf/covey.yaml.5" | sort)
	while IFS=$'\t' read -r key default; do
		echo "$key: default $default"
		text=$(key_part "$key")
		if [ -n "$default" ]; then
			grep -qE "^Default: ${default//./\\.}(,|\.$)" <<<"$text"
		else
			grep -qE '^(Default: |No default)' <<<"$text"
		fi
	done < <(conf_table)
}

@test "the example of covey.yaml(5) is valid" {
	sed -n '/^\.Bd -literal/,/^\.Ed/p' "$TOP/conf/covey.yaml.5" | sed '1d;$d' >"$D/example.yaml"
	# all but the key, which is no part of it
	sed -i "s|/etc/covey/group.key|$D/key|" "$D/example.yaml"
	covey key new >"$D/key"
	run covey-httpd -n -c "$D/example.yaml"
	[ "$status" -eq 0 ]
}

# The commands of README: lines of its sh blocks.
readme_lines() {
	sed -n '/^```sh/,/^```/p' "$TOP/README.md" | grep -v '^```'
}

@test "README names targets, sub-commands and files that are there" {
	local word
	[ "$(readme_lines | wc -l)" -ge 10 ]
	while read -r word; do
		echo "make $word"
		grep -q "^$word:" "$TOP/Makefile"
	done < <(readme_lines | grep -oE '(^|[ ;&])make [a-z-]+' | awk '{ print $2 }' | sort -u)
	while read -r word; do
		echo "covey $word"
		covey help | grep -q "^  $word "
	done < <(readme_lines | sed 's/sudo -u covey //' | grep -oE '(^|[ `(/])covey [a-z]+( |`|$)' | grep -oE 'covey [a-z]+' | cut -d ' ' -f 2 | sort -u)
	while read -r word; do
		echo "file $word"
		[ -e "$TOP/$word" ]
	done < <(grep -oE '\]\([A-Za-z][^):#]*\)' "$TOP/README.md" | tr -d '])(')
}

# Where a file is that lib/DESIGN.md names; httpd/ is short for cmd/covey-httpd/, and so on.
design_file() {
	case $1 in
	httpd/* | versiond/* | discoverd/* | syncd/*) echo "$TOP/cmd/covey-$1" ;;
	*) echo "$TOP/$1" ;;
	esac
}

# design_words LEAST REGEX - what matches in lib/DESIGN.md, each once, as lines of the file words
design_words() {
	grep -oE "$2" "$TOP/lib/DESIGN.md" | grep -vE 'NAME|ROOM|FILE' | sort -u >words
	[ "$(wc -l <words)" -ge "$1" ]
}

# The function is defined in one of these files, or below these directories.
defines() {
	grep -rqE --include='*.[ch]' "^([a-z].*[ *])?$1\\(" "${@:2}"
}

@test "DESIGN.md names files, functions, types and faults that are there" {
	local word file
	design_words 100 '\b(cmd|lib|include|tests|conf|httpd|versiond|discoverd|syncd)/[A-Za-z0-9_/.-]*[A-Za-z0-9_-]'
	while read -r word; do
		echo "$word"
		[ -e "$(design_file "$word")" ]
	done <words
	# each by a name that begins with its folder, so that the lines above find it
	run grep -E '(^|[^A-Za-z0-9_/.-])[a-z_]+\.[ch]\b' "$TOP/lib/DESIGN.md"
	[ "$status" -eq 1 ]
	design_words 100 '[a-z][A-Za-z0-9_/.-]*\.[ch]:[a-z_0-9]+\(\)'
	while read -r word; do
		echo "$word"
		file=$(design_file "${word%%:*}") word=${word#*:}
		defines "${word%??}" "$file"
	done <words
	design_words 100 '\b[a-z_][a-z_0-9]*\(\)'
	while read -r word; do
		echo "$word"
		defines "${word%??}" "$TOP/cmd" "$TOP/lib" "$TOP/include" "$TOP/tests"
	done <words
	design_words 5 'struct [a-z_]+'
	while read -r word; do
		echo "$word"
		grep -rqE --include='*.[ch]' "^$word \{" "$TOP/cmd" "$TOP/lib" "$TOP/include"
	done <words
	design_words 5 'tests/model/[a-z-]+\.pml [A-Z_]+'
	while read -r word; do
		echo "$word"
		file=${word##*/}
		grep -qE "fails +${file%.pml *} .*\b${word#* }\b" "$TOP/tests/model/cases"
	done <words
	design_words 5 '`make [a-z-]+'
	while read -r word; do
		echo "$word"
		grep -q "^${word#* }:" "$TOP/Makefile"
	done <words
}

@test "DESIGN.md names tests that are there" {
	local word
	design_words 20 'tests/[a-z/-]+\.bats: [^`]+'
	while read -r word; do
		echo "$word"
		grep -qF "@test \"${word#*: }\"" "$TOP/${word%%: *}"
	done <words
}

@test "help of make lists every target that README and this tree use" {
	run make -C "$TOP" --no-print-directory help
	[ "$status" -eq 0 ]
	for target in all deps run test lint fuzz soak bench install deb uninstall clean help; do
		grep -qE "^$target +" <<<"$output"
	done
}

@test "README's backup lines keep the versions; a restored copy gets an id of its own" {
	local line etag
	httpd one
	echo hello >f
	[ "$(code -T f "$URL/docs/f")" = 201 ]
	[ "$(code -T f "$URL/docs/f")" = 204 ]
	etag=$(header ETag)
	stop "$PID"
	line=$(readme_lines | grep '^rsync ')
	line=${line//\/var\/lib\/covey\//$STORE/}
	mkdir -p backup
	eval "$line"
	line=$(readme_lines | grep '^tar ')
	eval "${line//-C \/var\/lib -cf covey.tar covey/-C \"$STORE\" -cf covey.tar .}"
	mkdir -p "$D/two/store" "$D/three/store"
	cp -a backup/covey/. "$D/two/store/"
	tar --xattrs --xattrs-include='user.*' -C "$D/three/store" -xf covey.tar
	for copy in two three; do
		node_conf "$copy" "$(port)"
		line=$(readme_lines | grep 'covey node renew')
		eval "${line#sudo -u covey } -c '$CONF'"
		httpd "$copy"
		[ "$(code "$URL/docs/f")" = 200 ]
		[ "$(header ETag)" = "$etag" ]
		[ "$(curl -sf "$URL/docs/f?versions" | wc -l)" -eq 2 ]
		[ "$(grep ^id "$D/$copy/store/node.ini")" != "$(grep ^id "$D/one/store/node.ini")" ]
	done
}
