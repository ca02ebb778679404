#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Code that each compiler makes of accesses to registers, at each level, on trapped pages against plain memory (mmio.mk builds them).
set -uo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build} passed=0 failed=0
make --no-print-directory BUILD="$build" ${CC:+CC="$CC"} mmio-programs || exit 1
for p in "$build"/test/mmio_*_O*; do
	[[ -x $p && $p != *.o ]] || continue
	out=$(timeout 120 "$p" 2>&1); rc=$?
	read -r ok no _ <<<"$(sed -n 's/.*: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' <<<"$out" | tail -n1) 0 0"
	[[ $rc -ne 0 && $no -eq 0 ]] && no=1
	[[ $no -gt 0 ]] && { echo "FAIL ${p##*/} (exit $rc)"; tail -n 20 <<<"$out"; } || echo "ok   ${p##*/}: $ok operations"
	passed=$((passed + ok)) failed=$((failed + no))
done
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
