#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# demo.sh: unmodified QEMU guests on a uvfio NVMe disk, in each way that an interrupt can reach the
# guest and with an old and a new QEMU; and that the demo can tell a bad disk from a good one.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd); demo=$top/tools/demo
passed=0 failed=0
try() { # WANTED-STATUS ARGS...
	local want=$1 out rc; shift
	out=$("$demo" --brief "$@" 2>&1); rc=$?
	if [[ $rc -eq $want ]]; then
		passed=$((passed + 1)); echo "ok   demo $*: $(tail -n1 <<<"$out")"
	else
		failed=$((failed + 1)); echo "$out"; echo "FAIL demo $*: status $rc, not $want"
	fi
}
try 0
try 0 --nomsi
try 0 --threaded
try 0 --qemu-newest
try 0 --qemu-newest --nomsi
try 0 --qemu-newest --iommufd
try 1 --corrupt
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
