#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# polled.sh: pages of a BAR that a device opens and closes by itself (tests/polled/model.c) under a
# program that stores to them from many threads and does to the mapping whatever a program can do
# (tests/polled/client.c). With UVFIO_LONG the storms last a minute each instead of a second. And a
# BAR that is memory at all times (tests/polled/memory.c).
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
run() { # NAME DEVICE CLIENT [ARG] [COMMAND...]
	local name=$1 device=$2 client=$3 arg=$4 rc; shift 4
	(cd / && timeout "${UVFIO_LONG:+1}2500" "$@" "$build/uvfio" run --device "$device" -- "$build/test/$client" $arg) >"$tmp/out" 2>"$tmp/err"; rc=$?
	cases "$tmp/out" "" " ($name)"
	[[ $rc -eq 0 ]] && grep -q '^ok' "$tmp/out" && return
	grep -q '^FAIL' "$tmp/out" || no "status $rc ($name)"
	tail -n 30 "$tmp/err"
}
[[ -x $build/test/polled_client && -e $build/test/polled_model.so ]] || { echo "polled: $build/test/polled_client is missing: make shim-programs" >&2; exit 1; }
model=$build/test/polled_model.so
run "the device decides" "$model" polled_client ""
run "one processor" "$model" polled_client "" taskset -c "$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//')"
run "mmap=trap" "$model,mmap=trap" polled_client trap
run "memory" testdev,ram_memory=on polled_memory ""
run "memory, mmap=trap" testdev,ram_memory=on,mmap=trap polled_memory ""
counts
