#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# kvm.sh: devices of uvfio/vmm.h in guests of KVM's: this machine's KVM, or that of tools/kvm-guest,
# where the kernel's vfio-pci has an edu besides. The long form boots Linux in examples/vmm, with
# each kind of interrupt, with two network ports joined by a cable, and with a disk that goes and
# comes; and in two QEMUs on KVM.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
long=${UVFIO_LONG-}
lib=(-f "$build/libuvfio.so.0=/guest/libuvfio.so.0")
run_cases() { # WHERE COMMAND...: what it prints is cases
	local where=$1; shift
	"$@" >"$tmp/cases" 2>"$tmp/log" </dev/null
	local rc=$?
	cases "$tmp/cases" "$where: " ""
	if [[ $rc -gt 1 || $rc -ne 0 && $(grep -c '^FAIL' "$tmp/cases") -eq 0 ]]; then
		no "$where: status $rc" "$(tail -n 20 "$tmp/log")"
	fi
}
in_guest() { # with one more try: of a hundred boots one hangs
	local rc i
	for i in 1 2; do
		"$top/tools/kvm-guest" -t $((long ? 1200 : 300)) "$@" >"$tmp/run" 2>"$tmp/err"; rc=$?
		[[ $rc -eq 125 ]] || break
	done
	cat "$tmp/run"; cat "$tmp/err" >&2
	return $rc
}
if why=$("$top/tools/kvm-guest" -n); then
	run_cases "this machine" timeout 300 "$build/test/kvm_cases" ${long:+long}
	run_cases "this machine" timeout 300 "$build/test/kvm_assign"
fi
if [[ $long || $why ]]; then
	run_cases kvm-guest in_guest -d edu -f "$build/test/kvm_cases=/guest/test/kvm_cases" \
		-f "$build/test/kvm_assign=/guest/test/kvm_assign" "${lib[@]}" \
		-f "$build/test/kvm_slot=/guest/test/kvm_slot" -f "$build/uvfio=/guest/uvfio" \
		-f "$build/libuvfio-shim.so=/guest/libuvfio-shim.so" -- "
			test/kvm_cases 0000:00:04.0 ${long:+long} 2>/tmp/err; rc=\$?
			test/kvm_assign 2>>/tmp/err; rc2=\$?
			./uvfio run --device host=0000:00:04.0 -- test/kvm_slot 0000:00:04.0 \
				2>>/tmp/err | sed 's/ok  /& by way of the shim:/; s/FAIL/& by way of the shim:/'
			cat /tmp/err; exit \$((rc > rc2 ? rc : rc2))"
fi
[[ $long ]] || { counts; exit; }
counts
