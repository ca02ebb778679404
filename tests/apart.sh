#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# apart.sh: devices whose models sleep (tests/apart/model.c) hold up no other device of the program
# (tests/apart/client.c).
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-build}; [[ $build == /* ]] || build=$top/$build
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
[[ -x $build/test/apart_client && -e $build/test/apart_model.so ]] ||
	{ echo "apart: $build/test/apart_client is missing: make shim-programs" >&2; exit 1; }
devices=()
for ((i = 0; i < 24; i++)); do devices+=(--device "$build/test/apart_model.so"); done
# a program that hangs does so with signals blocked
(cd / && "$build/uvfio" run "${devices[@]}" -- timeout -s KILL 100 "$build/test/apart_client") \
	>"$tmp/out" 2>"$tmp/err"; rc=$?
cat "$tmp/out"
passed=$(grep -c '^ok' "$tmp/out") failed=$(grep -c '^FAIL' "$tmp/out")
if [[ $rc -ne 0 || $passed -eq 0 ]]; then
	[[ $failed -gt 0 ]] || { failed=1; echo "FAIL status $rc"; }
	tail -n 30 "$tmp/err"
fi
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
