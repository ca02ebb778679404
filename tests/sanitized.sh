#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# sanitized.sh: programs that are built with a sanitizer, by each compiler, run time linked in or
# loaded: they drive mapped BARs under `uvfio run`, and the sanitizer still finds what it is there
# for.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top"
good() { passed=$((passed + 1)); echo "ok   $*"; }
bad() { failed=$((failed + 1)); echo "FAIL $*"; tail -n 25 "$tmp/out"; }
run() { timeout -k 5 300 "$build/uvfio" run --log error --device testdev -- "$tmp/prog" "$@" >"$tmp/out" 2>&1; }
finds() { # NAME FAULT WHAT: the program ends badly and says so; undefined behaviour it only reports
	local rc
	run "$2"; rc=$?
	if grep -Eq "$3" "$tmp/out" && [[ $rc -ne 0 || $2 == ub ]]; then good "$1: finds: $2"; else bad "$1: finds: $2 (status $rc)"; fi
}
variant() { # COMPILER SANITIZER [FLAG]
	local name="$*" rc f
	if ! "$1" -std=gnu17 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer -fsanitize="$2" ${3:+"$3"} -Itests -Isrc -o "$tmp/prog" tests/sanitized/client.c tests/lib/vfio.c -lpthread >"$tmp/out" 2>&1; then
		bad "$name: does not build"; return
	fi
	# clang's run time as a library is not where the linker looks
	LD_LIBRARY_PATH=$(dirname "$("$1" -print-file-name=libclang_rt.asan-x86_64.so)") run; rc=$?
	# LLVM 14's do not know more than 28 bits of randomization (sysctl vm.mmap_rnd_bits)
	if grep -q 'unexpected memory mapping' "$tmp/out"; then
		echo "SKIP: $name: its run time does not work with this kernel's address randomization"; skipped=$((skipped + 1)); return
	fi
	if [[ $rc -eq 0 && $(grep -c '^ok' "$tmp/out") -eq 6 ]]; then good "$name: a mapped BAR, DMA, faults, threads, their first access, fork"; else bad "$name (status $rc)"; fi
	[[ ${3:-} ]] && return
	case $2 in
	address)
		finds "$name" overflow 'AddressSanitizer: heap-buffer-overflow'
		finds "$name" free 'AddressSanitizer: heap-use-after-free'
		finds "$name" null 'AddressSanitizer: SEGV on unknown address 0x0*8 '
		finds "$name" bus 'AddressSanitizer: BUS'
		finds "$name" beyond 'AddressSanitizer: SEGV';;
	thread)
		finds "$name" race 'ThreadSanitizer: data race'
		finds "$name" free 'ThreadSanitizer: heap-use-after-free'
		finds "$name" bus 'ThreadSanitizer: BUS';;
	undefined)
		finds "$name" ub 'runtime error: signed integer overflow';;
	esac
}
for cc in gcc clang; do
	variant $cc address
	variant $cc thread
	variant $cc undefined
done
variant gcc address -static-libasan
variant clang address -shared-libasan
variant clang memory
counts
