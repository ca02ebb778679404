#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# host_run.sh [oracle] [cdev] : real devices under `uvfio run --device host=ADDRESS` and by uvfio.h.
# The same programs run in a guest with the kernel's VFIO, on it and by way of uvfio, which must say
# the same: user-level drivers of nvme and igb, and the clients of tests/oracle and tests/iommufd,
# whose answers on the kernel are recorded. What differs stands in tests/host/expected-differences
# with a reason. The machine is that of the records, and so another than that of tests/host.sh.
#   oracle  Linux 6.12: by groups and type1
#   cdev    Linux 7.3: by character devices and iommufd
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
here=$top/tests/host
what=(oracle cdev); [[ $# -gt 0 ]] && what=("$@")
"$top/tools/qemu-newest" --version >"$tmp/version" 2>&1 || { cat "$tmp/version"; echo "SKIP: the newest QEMU of Debian (tools/qemu-newest)"; exit 77; }
sections="group type1 type1_v1 device regions config config_nvme irq_args intx msi msix err_req dma power_keep memory"
# of tests/iommufd those that a real device, or the memory that is mapped for it, has a part in
iommufd="attach ranges map mapfile hwpt compat type1 features device closing"

guest() { # KERNEL ARGUMENTS...
	local k=$1 f args=(); shift
	for f in uvfio libuvfio-shim.so libuvfio.so.0 test/{host_native,host_vmm,nvme_driver,igb_driver,oracle,iommufd_probe}; do
		[[ -e $build/$f ]] || { echo "host_run: $build/$f is missing: make test-programs" >&2; exit 1; }
		args+=(-f "$build/$f")
	done
	for f in true cat bash; do args+=(-f "$(command -v "$(type -P $f)")"); done
	truncate -s 64M "$tmp/image"
	QEMU=$top/tools/qemu-newest GUEST_TIMEOUT=400 "$top/tools/kernel-vfio-guest" -k "$k" -p -d edu -d nvme,serial=x,drive=d0 -d igb \
		-Q -drive -Q if=none,id=d0,format=raw,file="$tmp/image" -f "$here/guest.sh" "${args[@]}" -- "sh /guest/guest.sh $*" >"$tmp/guest" 2>&1 ||
		no "the guest" "$(tail -n 5 "$tmp/guest")"
}
# piece NAME: what the part NAME said
piece() { awk -v want="== $1" '/^== / { on = $0 == want; next } on' "$tmp/guest" | sed 's/|/+/g'; }
status_of() { awk -v want="== $1" '$0 == want { on = 1 } on && /^== status / { print $3; exit }' "$tmp/guest"; }
# agree WHAT VERSION REFERENCE OURS: counts each line
agree() {
	local ok bad
	"$top/tests/oracle/compare" -p "$2" "$here/expected-differences" "$3" "$4" >"$tmp/result"
	grep -v ' passed, \|listed differences' "$tmp/result"
	read -r ok _ bad _ < <(grep ' passed, ' "$tmp/result" || echo "0 passed, 1 failed")
	echo "     $1: $ok answers are the same, or listed"
	passed=$((passed + ok)) failed=$((failed + bad))
	[[ $ok -gt 0 ]] || no "$1: no answers"
}
# both PART: a program says by way of uvfio what it said without
both() {
	piece "$1" >"$tmp/a"; piece "$1 by uvfio" >"$tmp/b"
	same "$1: it ends well, without uvfio and by way of it" "0 0" "$(status_of "$1") $(status_of "$1 by uvfio")"
	agree "$1" any "$tmp/a" "$tmp/b"
}
native() {
	timeout 100 "$build/test/host_native" edu 2>/dev/null | grep -v '^-' >"$tmp/a"
	piece native | grep -v '^-' >"$tmp/b"
	agree "uvfio.h on a model, and on the chip" native "$tmp/a" "$tmp/b"
	piece native >"$tmp/b"
	same "a BAR by uvfio_bar_map()" "- map: 0,- id by a load: 0x10000ed,- inverted by load and store: 0xf0f0f0f0,- map over the end: EINVAL," "$(grep '^-' "$tmp/b" | tr '\n' ,)"
}

for w in "${what[@]}"; do
	case $w in
	oracle)
		guest 6.12 oracle "'$sections'"
		native
		both nvme
		both igb
		same "mmap=trap: each load is one of ours" "$(piece regs)" "$(piece "regs by uvfio" | grep -v '^uvfio')"
		same "sysfs as the host has it" "$(piece sysfs)" "$(piece "sysfs by uvfio")"
		piece oracle >"$tmp/b"
		for s in $sections; do sed -n "/^== $s\$/,/^== /p" "$top/tests/oracle/kernel-6.12.txt" | grep -v '^== '; done >"$tmp/a"
		sed '/^== cases/,$d; 1,/^== oracle$/d' "$tmp/guest" | grep -v '^== ' >"$tmp/b"
		agree "tests/oracle" 6.12 "$tmp/a" "$tmp/b"
		;;
	cdev)
		"$top/tools/kernel-iommufd" >/dev/null 2>&1 || { echo "SKIP: character devices: Linux 7.3 (tools/kernel-iommufd)"; skipped=$((skipped + 1)); continue; }
		guest 7.3 cdev "'$iommufd'"
		native
		both nvme
		piece iommufd | sed '/^== /d' >"$tmp/b"
		grep -E "^(${iommufd// /|}): " "$top/tests/iommufd/kernel-7.3-edu.txt" >"$tmp/a"
		agree "tests/iommufd" 7.3 "$tmp/a" "$tmp/b"
		;;
	*) echo "host_run: no part $w" >&2; exit 2 ;;
	esac
	piece cases | sed 's/^ok /ok   /' >"$tmp/cases"
	cases "$tmp/cases" "" ""
done
counts
