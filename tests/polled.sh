#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# polled.sh: pages of a BAR that a device opens and closes by itself (tests/polled/model.c) under a
# program that stores to them from many threads and does to the mapping whatever a program can do
# (tests/polled/client.c). With UVFIO_LONG the storms last a minute each instead of a second.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
run() { # NAME DEVICE-OPTIONS COMMAND...
	local name=$1 opts=$2 rc; shift 2
	(cd / && timeout "${UVFIO_LONG:+1}2500" "$@" "$build/uvfio" run --device "$build/test/polled_model.so$opts" -- "$build/test/polled_client" ${opts:+trap}) >"$tmp/out" 2>"$tmp/err"; rc=$?
	cases "$tmp/out" "" " ($name)"
	[[ $rc -eq 0 ]] && grep -q '^ok' "$tmp/out" && return
	grep -q '^FAIL' "$tmp/out" || no "status $rc ($name)"
	tail -n 30 "$tmp/err"
}
[[ -x $build/test/polled_client && -e $build/test/polled_model.so ]] || { echo "polled: $build/test/polled_client is missing: make shim-programs" >&2; exit 1; }
run "the device decides" ""
run "one processor" "" taskset -c "$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//')"
run "mmap=trap" ",mmap=trap"
counts
