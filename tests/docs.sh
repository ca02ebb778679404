#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# docs.sh: the files that documents and comments name are there: a path of the tree or of src/, or a
# file of some folder; and so is what the links of the documents lead to. docs/abi.md has one line
# for each name of Linux 7.3's headers (tests/docs/abi-names), with a state and a test that is there.
# The tests that docs/vmm.md names are there and are run.
set -u
cd "$(dirname "$0")/.."
passed=0 failed=0
exists() { # NAME [FOLDER OF THE DOCUMENT]: a file's name as it stands in a text
	local n=$1
	[[ $n == *NAME* ]] && return # a place for a name
	compgen -G "$n" >/dev/null || compgen -G "src/$n" >/dev/null ||
		compgen -G "include/$n" >/dev/null || compgen -G "${2-.}/$n" >/dev/null ||
		{ [[ $n != */* ]] && compgen -G "*/$n" >/dev/null; } ||
		{ [[ $n != */* ]] && compgen -G "*/*/$n" >/dev/null; } ||
		{ [[ $n != */* ]] && compgen -G "*/*/*/$n" >/dev/null; }
}
look() { # FILE: all names in it
	local f=$1 n bad=0
	while read -r n; do
		exists "$n" "$(dirname "$f")" || { echo "     $f: $n is not there"; bad=1; }
	done < <(names "$f" | sort -u)
	if [[ $bad -eq 0 ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}
# In documents: what stands between backquotes, and what links lead to. In C: paths of our folders.
roots="$(cd src && printf "%s|" */ | sed "s,/|,|,g")tests|tools|include/uvfio|docs"
names() {
	if [[ $1 == *.md ]]; then
		grep -oE '`[a-zA-Z_0-9./*-]+\.(c|h|S|sh|mk|md|awk)`' "$1" | tr -d '`'
		grep -oE '\]\([a-zA-Z_0-9./-]+' "$1" | cut -c3-
	else
		grep -E '^[ /]?\*|/\*' "$1" |
			grep -oE "(^|[ (])($roots)/[a-z_0-9/]+\.(c|h|S|sh|md)\b" |
			tr -d ' ('
	fi
}
# a tree without git has them, too
mapfile -t sources < <(find src include tests bench fuzz examples -name '*.[chS]' | sort)
for f in *.md docs/*.md "${sources[@]}"; do
	look "$f"
done

# docs/abi.md
rows=$(sed -nE 's/^\| `([A-Z]+_[A-Za-z0-9_]*)` \| *(.*[^ ]) *\| *(.*) \|$/\1|\2|\3/p' docs/abi.md)
sections() { # CLIENT: the sections of tests/CLIENT
	case $1 in
	oracle) sed -nE 's/^\t\{ \.name = "([a-z0-9_]+)".*/\1/p' tests/oracle/main.c;;
	iommufd) sed -nE 's/^void ask_([a-z0-9]+)\(void\);/\1/p' tests/iommufd/probe.h;;
	esac
}
oracle=$(sections oracle) iommufd=$(sections iommufd)
wrong() { failed=$((failed + 1)); echo "FAIL docs/abi.md: $1"; }
while read -r n; do
	wrong "$n: not one line of its own"
done < <(comm -3 <(cut -d'|' -f1 <<<"$rows" | sort) <(grep -v '^#' tests/docs/abi-names | sort))
while IFS='|' read -r n state tests; do
	bad=
	[[ $state != "not yet" ]] || bad=1
	while read -r test; do
		case $test in
		"oracle "*) grep -qx "${test#* }" <<<"$oracle";;
		"iommufd "*) grep -qx "${test#* }" <<<"$iommufd";;
		*) [[ $test && -e $test ]];;
		esac || bad=1
	done < <(sed 's/, */\n/g' <<<"$tests")
	if [[ ! $bad ]]; then passed=$((passed + 1))
	else wrong "$n: state '$state', and tests '$tests', which must be there"; fi
done <<<"$rows"

# docs/vmm.md: | NUMBER | what | `FILE`: TEST, TEST; `FILE`: TEST |
number=0
while IFS='|' read -r _ n _ where _; do
	bad=
	[[ $((n)) -eq $((++number)) ]] || bad="it comes after $((number - 1))"
	while read -r file test; do
		[[ -e $file ]] || file=src/$file
		case $file in # a unit test is in main()'s list; in others a function will do
		*_test.c) pattern="cmocka_unit_test[a-z_]*\\($test\\b";;
		*.c) pattern="^static .*\\b$test\\(";;
		*) pattern="\\b$test\\b";;
		esac
		grep -qE "$pattern" "$file" || bad="$file has no test $test"
	done < <(grep -oE '`[a-z0-9_/]+\.c`: [a-z0-9_, ]+|`tests/kvm/monitors`[^:]*: [a-z_, ]+' <<<"$where" |
		sed -E 's/^`([^`]*)`[^:]*:/\1:/; s/,//g' |
		while IFS=: read -r file tests; do printf "$file %s\n" $tests; done)
	if [[ ! $bad ]]; then passed=$((passed + 1))
	else failed=$((failed + 1)); echo "FAIL docs/vmm.md: test $((n)): $bad"; fi
done < <(grep -E '^\| [0-9]+ \|' docs/vmm.md)
[[ $number -eq 83 ]] || { failed=$((failed + 1)); echo "FAIL docs/vmm.md: $number tests, not 83"; }
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
