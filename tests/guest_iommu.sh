#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# guest_iommu.sh: a guest with an IOMMU of its own (QEMU's intel-iommu), which maps each buffer for
# the time of one transfer and takes it away at once (iommu.strict=1): QEMU hands that on as MAP_DMA
# and UNMAP_DMA, by the thousand. Two igb back to back and an nvme; a device that looks at memory a
# moment too late, or keeps a translation, is seen in uvfio's log or in the data.
set -uo pipefail
. "$(dirname "$0")/guest/driven"
long=${UVFIO_LONG-}
# eth1 is in a network namespace of its own, that of the process whose number is in /tmp/ns
other() { echo "nsenter -t \$(cat /tmp/ns) -n sh -c '$1'"; }
copy() { # INTO ("" or other) ADDRESS
	local get="wget -q -O /tmp/got http://$2/data" want got
	[[ $1 ]] && get=$(other "$get")
	want=$(tell a "sha256sum </tmp/data") || return
	got=$(tell a "$get; wc -c </tmp/got; sha256sum </tmp/got; rm /tmp/got") || return
	printf '%s\n' "$want" "$got"; [[ $got == "$((mib * 1048576))"$'\n'"$want" ]]
}
carrier() { tell a 'for i in $(seq 100); do [ "$(cat /sys/class/net/eth0/carrier)" = 1 ] && break; sleep 0.1; done; [ $i -lt 100 ]'; }
configure() {
	tell a "ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0; httpd -h /tmp"
	tell a "$(other "ip link set lo up; ip link set eth1 up; ip addr add 10.0.0.2/24 dev eth1; httpd -h /tmp")"
	carrier
}
mapped() { grep -c vfio_iommu_map_notify "$tmp/a.qemu"; }
disk() { tell a 'dd if=/tmp/data of=/dev/nvme0n1 bs=256k conv=fsync 2>/dev/null && echo 3 >/proc/sys/vm/drop_caches && dd if=/dev/nvme0n1 bs=256k count='$((mib * 4))' 2>/dev/null | cmp - /tmp/data'; }

life() { # KERNEL QEMU
	local n
	rm -f "$tmp/disk" "$tmp/a.log"; truncate -s 64M "$tmp/disk"
	vm=$("$top/tools/guest-initrd" -k "$1" -M igb -M nvme -i "$top/tests/guest/shell" -o "$tmp/initrd") || { check "kernel $1" false; return; }
	before="-device intel-iommu,caching-mode=on" functions="01:00.0 02:00.0 03:00.0" \
		start a "$2" "igb,id=one,net=peer:two igb,id=two,mmap=off nvme,image=$tmp/disk" "ipv6.disable=1 intel_iommu=on iommu.strict=1" -trace vfio_iommu_map_notify
	check "the guest is up" ready a || return
	tell a 'unshare -n sleep 100000 & echo $! >/tmp/ns; sleep 0.3; ip link set eth1 netns $(cat /tmp/ns)'
	tell a "dd if=/dev/urandom of=/tmp/data bs=1M count=$mib 2>/dev/null"
	check "its IOMMU translates for the devices, strictly" eval '[[ $(tell a "dmesg | grep -c \"DMA domain TLB invalidation policy: strict\"; cat /sys/class/net/eth0/device/iommu_group/type") == 1$'"'\n'"'DMA ]]'
	check "links are up" configure
	n=$(mapped)
	check "copy from one to two" copy other 10.0.0.1
	check "copy from two to one" copy "" 10.0.0.2
	check "each buffer was mapped anew" eval 'echo $(mapped) after $n; [[ $(mapped) -gt $((n + 100)) ]]'
	n=$(mapped)
	check "disk: written and read back" disk
	check "each buffer was mapped anew" eval 'echo $(mapped) after $n; [[ $(mapped) -gt $((n + 50)) ]]'
	check "jumbo frames" tell a "ip link set eth0 mtu 9000 && $(other "ip link set eth1 mtu 9000")"
	check "links are up again" carrier
	check "jumbo frames: copy" copy other 10.0.0.1
	again='for f in one nvme; do case $f in one) d=$(basename $(readlink /sys/class/net/eth0/device)) m=igb;; *) d=$(basename $(readlink -f /sys/class/nvme/nvme0/device)) m=nvme;; esac; echo $d >/sys/bus/pci/drivers/$m/unbind; echo 1 >/sys/bus/pci/devices/$d/reset; echo $d >/sys/bus/pci/drivers/$m/bind; done; for i in $(seq 50); do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done; [ -b /dev/nvme0n1 ]'
	check "unbound, function reset, bound" tell a "$again"
	check "links are up after it" configure
	check "copy after it" copy "" 10.0.0.2
	check "disk after it" disk
	check "the kernel has nothing to say" eval '! tell a "dmesg | grep -E \"DMAR:.*fault|igb.*(Hang|hang|timed out)|nvme.*timeout|WARNING|BUG:\""'
	check "QEMU ends well" end a
	# at its end the guest puts igb to sleep with its BARs enabled, and QEMU maps them for DMA as all memory: EFAULT, as by a
	# kernel, whose vfio-pci has no pages of a BAR in D3hot (__vfio_pci_memory_enabled())
	check "QEMU has nothing to say" eval '! grep -vE "vfio_iommu_map_notify|dma-buf not supported in kernel|VFIO_MAP_DMA failed: Bad address|dma_map.*0xfeb.*Bad address" "$tmp/a.qemu"'
	check "uvfio has nothing to say" eval "cat '$tmp/a.log'; [[ ! -s '$tmp/a.log' ]]"
}

mib=4
if [[ $long ]]; then
	mib=32 memory=320 limit=600
	mode="6.1, QEMU 7.2"; life 6.1 qemu-system-x86_64
	mode="6.12, newest QEMU"; life 6.12 "$top/tools/qemu-newest"
else
	life 6.1 qemu-system-x86_64
fi
counts
