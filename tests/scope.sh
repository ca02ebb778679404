#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# scope.sh: a program with small stacks and threads that are cancelled (tests/scope/client.c) on a
# device that takes much stack and calls cancellation points (tests/scope/model.c).
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
[[ -x $build/test/scope_client && -e $build/test/scope_model.so ]] || { echo "scope: $build/test/scope_client is missing: make shim-programs" >&2; exit 1; }
# a program that hangs does so with signals blocked
(cd / && "$build/uvfio" run --device "$build/test/scope_model.so" -- timeout -s KILL 600 "$build/test/scope_client") >"$tmp/out" 2>"$tmp/err"; rc=$?
cat "$tmp/out"
passed=$(grep -c '^ok' "$tmp/out") failed=$(grep -c '^FAIL' "$tmp/out")
if [[ $rc -ne 0 || $passed -eq 0 ]]; then
	[[ $failed -gt 0 ]] || { failed=1; echo "FAIL status $rc"; }
	tail -n 30 "$tmp/err"
fi
counts
