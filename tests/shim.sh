#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# shim.sh [NAME]... : the programs of tests/shim, each under `uvfio run --device testdev`. One line
# a case; the log of a program that fails is shown. As an ordinary user, too, if we are root and can
# become one: the filter then needs no_new_privs, and files have modes that count.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
chmod 755 "$tmp"
under=()
one() { # WHO NAME ARG...
	local who=$1 name=$2 as=() rc; shift 2
	[[ $who == user ]] && as=(setpriv --reuid=65534 --regid=65534 --clear-groups env "TMPDIR=$tmp/user")
	# the limits that a login has: the library's own descriptors lie just below
	(ulimit -n "${limit:-1024}"; cd / && timeout 600 "${as[@]}" "$build/uvfio" run --memlock 256M --device testdev -- "${under[@]}" "$build/test/$name" "$@") >"$tmp/out" 2>"$tmp/err"; rc=$?
	cases "$tmp/out" "$name: " " ($who)"
	if [[ $rc -ne 0 ]]; then
		grep -q '^FAIL' "$tmp/out" || no "$name: status $rc ($who)"
		tail -n 30 "$tmp/err"
	elif ! grep -q '^ok' "$tmp/out"; then
		no "$name: no case ran ($who)"
	fi
}
names=("$@")
# all there are; static is for exec
[[ $# -gt 0 ]] || for f in "$top"/tests/shim/*.c; do
	n=$(basename "$f" .c)
	[[ $n == static ]] || names+=("$n")
done
mkdir -m 777 "$tmp/user"
users=(self)
# the build must be where that user can read it
[[ $(id -u) -eq 0 ]] && setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$build/uvfio" 2>/dev/null && users+=(user)
for who in "${users[@]}"; do
	for n in "${names[@]}"; do
		args=(); [[ $n == exec ]] && args=("$build/test/shim_static")
		[[ $n == kvm && $who == user ]] && continue
		limit=1024; [[ $n == handles && $who == user ]] && limit=20000
		one "$who" "shim_$n" "${args[@]}"
	done
done
# valgrind makes the program's system calls, and ours, in its own way
if [[ " ${names[*]} " == *" dma_memory "* ]]; then
	under=(valgrind -q); one valgrind shim_dma_memory next_to_nothing
fi
counts
