#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mistakes.sh: `uvfio run --check`. Each driver of tests/mistakes/ makes one mistake, and uvfio names
# it, with the line of the source that is marked; without the mistake it says nothing. By gcc and
# clang, not optimized and optimized.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top/tests/mistakes" || exit 1
U=$build/uvfio

# compile NAME MISTAKE COMPILER FLAG...: makes $tmp/NAME.MISTAKE
compile() {
	local name=$1 mistake=$2 cc=$3; shift 3
	$cc -std=gnu17 -D_GNU_SOURCE -g -Wall -Werror -DMISTAKE="$mistake" -I. -I"$top/src" "$@" \
		-o "$tmp/$name.$mistake" "$name.c" -pthread
}
field() { sed -n "s/\. .*//; s/.*$2: \([^;]*\).*/\1/p" "$1.c" | head -n 1; }
# drive NAME MISTAKE OPTION...: runs it, with the reports in $tmp/log; its status is in $rc
drive() {
	local name=$1 mistake=$2; shift 2
	timeout 60 "$U" run --check --error-exitcode 99 --log-file "$tmp/log" "$@" \
		--device "$(field "$name" device)" -- "$tmp/$name.$mistake" >"$tmp/out" 2>&1
	rc=$?
}
# the file and line of the first frame that is in the driver's own file
first_frame() { grep -oE "$1\.c:[0-9]+" "$tmp/log" | head -n 1; }
judge() { # NAME WHAT
	local name=$1 kind line says
	kind=$(field "$name" kind) says=$(field "$name" says)
	line=$(grep -n '/\* MISTAKE' "$name.c" | head -n 1 | cut -d: -f1)
	if [[ $rc -ne 99 ]]; then no "$2: status $rc" "$(cat "$tmp/out" "$tmp/log")"
	elif ! grep -q "uvfio: 1 mistake:" "$tmp/log" || ! grep -q "^==[0-9]*== uvfio: $kind: 0000:01:00.0: " "$tmp/log"; then
		no "$2: not one $kind" "$(cat "$tmp/log")"
	elif [[ $(first_frame "$name") != "$name.c:$line" ]]; then
		no "$2: at $(first_frame "$name"), not line $line" "$(cat "$tmp/log")"
	elif [[ $says ]] && ! grep -qE "$says" "$tmp/log"; then
		no "$2: does not say '$says'" "$(cat "$tmp/log")"
	else ok "$2"; fi
}
# both NAME HOW COMPILER FLAG...
both() {
	local name=$1 how=$2; shift 2
	: >"$tmp/log"
	if ! compile "$name" 1 "$@" || ! compile "$name" 0 "$@"; then no "$name, $how: compiles"; return; fi
	drive "$name" 1
	judge "$name" "$name, $how"
	: >"$tmp/log"
	drive "$name" 0
	if [[ $rc -ne 0 || $(cat "$tmp/log") != *"no mistakes were seen" ]]; then
		no "$name, $how, without the mistake: status $rc" "$(cat "$tmp/out" "$tmp/log")"
	else ok "$name, $how, without the mistake"; fi
}

for source in *.c; do
	both "${source%.c}" "gcc -O0" gcc -O0
	both "${source%.c}" "clang -O2" clang -O2
done
counts
