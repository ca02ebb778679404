#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# lspci.sh: pciutils, unmodified, sees the devices: through the sysfs view of `uvfio run`, and in
# the text of `uvfio dump`.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
uvfio=$build/uvfio
PATH=$PATH:/usr/sbin:/sbin
command -v lspci >/dev/null || { echo "SKIP: lspci (package pciutils)"; exit 77; }
truncate -s 1M "$tmp/image"
has() { # FILE WHAT PATTERN
	if grep -qE "$3" "$1"; then passed=$((passed + 1)); echo "ok   $2"
	else failed=$((failed + 1)); cat "$1"; echo "FAIL $2: no line like '$3'"; fi
}
status() { # WHAT WANTED-STATUS COMMAND...
	local what=$1 want=$2 rc; shift 2
	"$@" >"$tmp/out" 2>"$tmp/err"; rc=$?
	if [[ $rc -eq $want ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); cat "$tmp/err"; echo "FAIL $what: status $rc, not $want"; fi
}
devices=(--device "nvme,image=$tmp/image" --device edu --device testdev)
status "uvfio run lspci -nn" 0 "$uvfio" run "${devices[@]}" -- lspci -nn
has "$tmp/out" "lspci -nn: nvme" '^01:00\.0 .*\[0108\]: '
has "$tmp/out" "lspci -nn: edu" '^02:00\.0 .*\[00ff\]: .*\[1234:11e8\]'
has "$tmp/out" "lspci -nn: testdev" '^03:00\.0 '
status "uvfio run lspci -vvv -s" 0 "$uvfio" run "${devices[@]}" -- lspci -vvv -s 01:00.0
has "$tmp/out" "lspci -vvv: MSI-X" 'MSI-X: Enable- Count='
has "$tmp/out" "lspci -vvv: express" 'Express \(v2\) Endpoint'
has "$tmp/out" "lspci -vvv: the driver" 'Kernel driver in use: vfio-pci'
has "$tmp/out" "lspci -vvv: the group" 'IOMMU group: 1'
has "$tmp/out" "lspci -vvv: a region" 'Memory at '
for m in "nvme,image=$tmp/image" edu testdev igb; do
	"$uvfio" dump --device "$m" >"$tmp/dump" 2>"$tmp/err"
	status "lspci -F of ${m%%,*}" 0 lspci -F "$tmp/dump" -vvv
	has "$tmp/out" "dump ${m%%,*}: one function" '^01:00\.0 '
	has "$tmp/out" "dump ${m%%,*}: capabilities" 'Capabilities: \['
	if grep -qE '<chain (looped|broken)>|<access denied>|\?\?' "$tmp/out"; then failed=$((failed + 1)); cat "$tmp/out"; echo "FAIL dump ${m%%,*}: lspci stumbles"; else passed=$((passed + 1)); fi
	grep -v libkmod "$tmp/err" >"$tmp/complaints" # the host has no modules of its own
	[[ -s $tmp/complaints ]] && { failed=$((failed + 1)); cat "$tmp/err"; echo "FAIL lspci complains about ${m%%,*}"; }
done
status "lspci -t of buses that devices share" 0 "$uvfio" run --device edu,bus=pci:a --device edu,bus=pci:a --device edu,bus=switch:b --device edu,bus=root -- lspci -t
has "$tmp/out" "lspci -t: a bridge to PCI" '01\.0-\[01-02\]----00\.0-\[02\]--\+-00\.0'
has "$tmp/out" "lspci -t: a switch" '02\.0-\[03-0c\]----00\.0-\[04-0c\]----00\.0-\[05\]----00\.0'
has "$tmp/out" "lspci -t: the root bus" '[+\\]-10\.0$'
counts
