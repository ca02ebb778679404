#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# guest_iommufd.sh: the newest QEMU with `-object iommufd`, which opens the devices by
# /dev/vfio/devices/vfioN: an igb and an nvme that share a group in one guest, an igb in another, a
# wire between (net=unix). Copies, the disk, and the disk taken away and given back by QEMU's
# monitor, then taken by `uvfio ctl`. The long form takes the igb away under load, too, three times.
# QEMU maps the BARs of a device for the others, and warns that it cannot: IOAS_MAP of device memory
# is EFAULT in the kernel, too.
set -uo pipefail
. "$(dirname "$0")/guest/driven"
qemu=$top/tools/qemu-newest
"$qemu" --version >/dev/null || { echo "SKIP: the newest QEMU of Debian (tools/qemu-newest)"; exit 77; }
limit=600
nic=52:54:00:00:00:0a partner=52:54:00:00:00:0b

event() { # PATTERN: the next line of QEMU's control channel that has it
	local line part
	for _ in $(seq 30); do
		IFS= read -r -t 2 -u "$from_qemu" part || { line+=$part; continue; }
		line+=$part
		[[ $line == *'"error"'* ]] && { echo "$line"; return 1; }
		[[ $line =~ $1 ]] && return
		line=
	done
	echo "QEMU does not say $1"; return 1
}
control() { printf '{"execute":"%s","arguments":{%s}}\n' "$1" "$2" >&"$to_qemu"; }
wait_for() { tell "$1" "for i in \$(seq 100); do $2 && break; sleep 0.1; done; $2"; }
copy() { # FROM TO ADDRESS
	local want got
	want=$(tell "$1" "sha256sum </tmp/data")
	got=$(tell "$2" "wget -q -O /tmp/got http://$3/data; sha256sum </tmp/got; rm /tmp/got") || return
	printf '%s\n' "$want" "$got"; [[ $got == "$want" && ${#got} -gt 60 ]]
}
disk() { tell a 'dd if=/tmp/data of=/dev/nvme0n1 bs=256k conv=fsync 2>/dev/null && echo 3 >/proc/sys/vm/drop_caches && dd if=/dev/nvme0n1 bs=256k count=16 2>/dev/null | cmp - /tmp/data'; }
configure() {
	wait_for a '[ -e /sys/class/net/eth0 ]' && wait_for b '[ -e /sys/class/net/eth0 ]' &&
		tell a "ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0; arp -s 10.0.0.2 $partner" &&
		tell b "ip link set eth0 up; ip addr add 10.0.0.2/24 dev eth0; arp -s 10.0.0.1 $nic" &&
		wait_for a '[ "$(cat /sys/class/net/eth0/carrier)" = 1 ]' && wait_for b '[ "$(cat /sys/class/net/eth0/carrier)" = 1 ]'
}

vm=$("$top/tools/guest-initrd" -k 6.1 -M igb -M nvme -i "$top/tests/guest/shell" -o "$tmp/initrd") || exit 1
truncate -s 64M "$tmp/disk"; mkfifo "$tmp"/qmp.{in,out}
exec {to_qemu}<>"$tmp/qmp.in" {from_qemu}<>"$tmp/qmp.out"
object="-object iommufd,id=io -device pcie-root-port,id=rp1,slot=1,chassis=1 -device pcie-root-port,id=rp2,slot=2,chassis=2 -trace iommufd_cdev_connect_and_bind"
before=$object functions="01:00.0,bus=rp1,id=nic,iommufd=io 02:00.0,bus=rp2,id=disk,iommufd=io" \
	start a "$qemu" "igb,group=1,net=unix:$tmp/a.sock:$tmp/b.sock,mac=$nic nvme,group=1,image=$tmp/disk" ipv6.disable=1 \
	-chardev "pipe,id=qmp,path=$tmp/qmp" -mon chardev=qmp,mode=control
before=$object functions="01:00.0,bus=rp1,iommufd=io" \
	start b "$qemu" "igb,net=unix:$tmp/b.sock:$tmp/a.sock,mac=$partner" ipv6.disable=1
check "guest a is up" ready a && check "guest b is up" ready b || { counts; exit 1; }
tell a "dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null; httpd -h /tmp"
tell b "dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null; httpd -h /tmp"
check "a: both devices are bound to the iommufd" eval "[[ \$(grep -c 'iommufd_cdev_connect_and_bind' '$tmp/a.qemu') -eq 2 ]]"
check "links are up" configure
check "a to b" copy a b 10.0.0.1
check "b to a" copy b a 10.0.0.2
check "disk" disk
control qmp_capabilities ""; check "QEMU listens" event return
for round in 1 ${UVFIO_LONG:+2 3}; do
	control device_del '"id":"disk"'; check "disk $round: unplugged" event 'DEVICE_DELETED.*"disk"'
	check "disk $round: gone from the guest" wait_for a '[ ! -e /dev/nvme0n1 ]'
	check "disk $round: the igb of its group goes on" copy a b 10.0.0.1
	control device_add '"driver":"vfio-pci","id":"disk","bus":"rp2","host":"0000:02:00.0","iommufd":"io"'
	check "disk $round: plugged in" event return
	check "disk $round: there again" wait_for a '[ -b /dev/nvme0n1 ]'
	check "disk $round: written and read" disk
	[[ ${UVFIO_LONG-} ]] || continue
	tell b 'while true; do wget -q -O /dev/null http://10.0.0.1/data; done >/dev/null 2>&1 & echo $! >/tmp/load'
	control device_del '"id":"nic"'; check "igb $round: unplugged under load" event 'DEVICE_DELETED.*"nic"'
	tell b 'kill $(cat /tmp/load)'
	control device_add '"driver":"vfio-pci","id":"nic","bus":"rp1","host":"0000:01:00.0","iommufd":"io"'
	check "igb $round: plugged in" event return
	check "igb $round: links are up" configure
	check "igb $round: a to b" copy a b 10.0.0.1
done
# the host wants the disk: QEMU hears of it by the REQ interrupt, and has the guest let go of it
check "uvfio ctl unplug: QEMU gives the disk back" timeout 60 "$build/uvfio" ctl --run "$(<"$tmp/a.qemu.pid")" unplug 0000:02:00.0
check "uvfio ctl unplug: gone from the guest" wait_for a '[ ! -e /dev/nvme0n1 ]'
check "uvfio ctl unplug: the igb of its group goes on" copy b a 10.0.0.2
for g in a b; do
	check "$g: the kernel has nothing to say" eval "! tell $g 'dmesg | grep -E \"igb.*(Hang|hang|timed out)|nvme.*timeout|WARNING|BUG:\"'"
	check "$g: QEMU ends well" end $g
	check "$g: QEMU has nothing to say" eval "! grep -vE 'iommufd_cdev|dma-buf not supported in kernel|-mon.*deprecated|KVM VFIO device is|IOMMU_IOAS_MAP failed: Bad address, PCI BAR|vfio_container_dma_map.*Bad address|peer-to-peer transactions on BARs' '$tmp/$g.qemu'"
	check "$g: uvfio has nothing to say" eval "cat '$tmp/$g.log'; [[ ! -s '$tmp/$g.log' ]]"
done
counts
