#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mmio_codegen.sh [--build]: the code that each compiler makes of accesses to registers, at each level, on
# trapped pages against plain memory (tests/mmio/mmio.mk builds it); or only builds it.
set -uo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build} passed=0 failed=0 skipped=0
compilers="gcc clang"
if tools/clang-newest --version >/dev/null; then compilers+=" clang-newest"; else echo "SKIP: clang-19 of Debian 13"; skipped=1; fi
make -j"${JOBS:-$(nproc)}" --no-print-directory BUILD="$build" ${CC:+CC="$CC"} mmio_compilers="$compilers" mmio-programs || exit 1
[[ ${1-} != --build ]] || exit 0
programs=(); for c in $compilers; do programs+=("$build"/test/mmio_"$c"_O*); done
for p in "${programs[@]}"; do
	[[ -x $p && $p != *.o ]] || continue
	out=$(timeout 600 "$p" 2>&1); rc=$?
	read -r ok no _ <<<"$(sed -n 's/.*: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' <<<"$out" | tail -n1) 0 0"
	[[ $rc -ne 0 && $no -eq 0 ]] && no=1
	[[ $no -gt 0 ]] && { echo "FAIL ${p##*/} (exit $rc)"; tail -n 20 <<<"$out"; } || echo "ok   ${p##*/}: $ok operations"
	passed=$((passed + ok)) failed=$((failed + no))
done
echo "$passed passed, $failed failed$([[ $skipped -gt 0 ]] && echo ", $skipped skipped")"
[[ $failed -eq 0 && $passed -gt 0 ]]
