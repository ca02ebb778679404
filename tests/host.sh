#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# host.sh [CASE]... : real devices by the provider of src/host/, in one guest with the kernel's VFIO
# and an emulated IOMMU (tests/host/client.c), and their config space as a virtual machine has it
# (tests/host/config.c), their BARs (tests/host/bars.c), its memory and resets
# (tests/host/memory.c). They are: an edu beside a network card on a bus of conventional PCI, which
# is one IOMMU group; an NVMe controller, an 82576 with a VF, another edu, and an SD host
# controller, which has 256 bytes of registers, each behind a root port. Ports have 5 GT/s: after a
# reset Linux waits for the Data Link Layer Link Active bit of faster ones, which QEMU does not set.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
client=$build/test/host_client config=$build/test/host_config memory=$build/test/host_memory
guest=$build/test/host_vmm bar=$build/test/host_bars
for x in "$client" "$config" "$memory" "$guest" "$bar"; do
	[[ -x $x ]] || { echo "host: $x is missing: make test-programs" >&2; exit 1; }
done
"$top/tools/qemu-newest" --version >"$tmp/version" 2>&1 || { cat "$tmp/version"; echo "SKIP: the newest QEMU of Debian (tools/qemu-newest)"; exit 77; }
truncate -s 1M "$tmp/image"
qemu=()
q() { local a; for a in "$@"; do qemu+=(-Q "$a"); done; }
q -global intel-iommu.aw-bits=39 -drive if=none,id=d0,format=raw,file="$tmp/image"
for i in 1 2 3 4 5; do q -device pcie-root-port,id=rp$i,chassis=$i,x-speed=5,addr=$((3 + i)); done
q -device pcie-pci-bridge,id=br,bus=rp1 -device edu,bus=br,addr=1 -device e1000,bus=br,addr=2
q -device nvme,serial=tests,drive=d0,bus=rp2 -device igb,bus=rp3 -device edu,bus=rp4,romfile="$tmp/rom"
q -device sdhci-pci,bus=rp5
# an image of 512 bytes that says another device id than the edu's
{ printf '\x55\xaa\1'; head -c 21 /dev/zero; printf '\x1c\0\0\0PCIR\x34\x12\1\0\0\0\x18\0\0\0\0\0\1\0\0\0\0\x80'; } >"$tmp/rom"
truncate -s 4096 "$tmp/rom"

# the neighbour has its own driver at first
before="not_bound not_viable" after="by_address registers interrupts dma two_spaces peer identify busy a_group tokens ranges memlock given resets removal features"
configs="config_edu config_nvme config_igb config_vf rom guest_flr left_as_it_was"
memories="vm_ram vm_moves vm_ranges vm_memlock vm_discards vm_second vm_peer vm_own_iommu"
memories+=" vm_reset_kinds vm_reset_leaves_nothing vm_reset_together"
bars="direct pieces_nvme pieces_igb table_elsewhere sub_page accesses away"
all="$before $after $configs $bars $memories"
# a guest of uvfio/vmm.h that drives an edu and an 82576, real ones and models
driver="host_vmm 0000:05:00.0 0000:04:00.0"
[[ $# -gt 0 ]] && after=$* configs=$* bars=$* memories=$* before= all=$* driver=
cat >"$tmp/run" <<'END'
cd /sys/bus/pci
echo 1 >/sys/module/vfio_pci/parameters/enable_sriov
bind() {
	echo vfio-pci >devices/$1/driver_override
	[ -e devices/$1/driver ] && echo $1 >devices/$1/driver/unbind
	echo $1 >drivers_probe
}
for d in 0000:02:01.0 0000:03:00.0 0000:04:00.0 0000:05:00.0 0000:06:00.0; do bind $d; done
END
echo "host_client $before; bind 0000:02:02.0; host_client $after; host_config $configs; host_bars $bars; host_memory $memories; echo real; ${driver:-true}; true" >>"$tmp/run"
QEMU=$top/tools/qemu-newest GUEST_TIMEOUT=400 "$top/tools/kernel-vfio-guest" -k 6.12 -u -M e1000 -f "$client" -f "$config" -f "$memory" -f "$guest" -f "$bar" "${qemu[@]}" -- "$(cat "$tmp/run")" >"$tmp/out" 2>&1 || no "the guest" "$(tail -n 5 "$tmp/out")"
sed '/^real/,$d' "$tmp/out" >"$tmp/cases"
cases "$tmp/cases" "" ""
same "as many cases as there are" "$(wc -w <<<"$all")" "$((passed + failed))"
if [[ $driver ]]; then
	sed '1,/^real/d' "$tmp/out" >"$tmp/real"
	timeout 60 "$guest" edu igb >"$tmp/models" 2>&1
	cases "$tmp/real" "a guest's driver on real devices: " ""
	cases "$tmp/models" "a guest's driver on models: " ""
	same "the same cases on both" "$(grep -c '^ok' "$tmp/models")" "$(grep -c '^ok' "$tmp/real")"
fi
counts
