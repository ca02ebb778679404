#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# guest_hotplug.sh: QEMU gives devices back and takes them again while its guest runs: device_del
# and device_add of an igb and an nvme, idle and under load. The partner on the igb's cable stays.
# At last `uvfio ctl` removes both while the monitor does.
set -uo pipefail
. "$(dirname "$0")/guest/driven"
long=${UVFIO_LONG-}
# the partner is in a network namespace of its own, that of the process whose number is in /tmp/ns
other() { echo "nsenter -t \$(cat /tmp/ns) -n sh -c '$1'"; }
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
wait_for() { tell a "for i in \$(seq 100); do $1 && break; sleep 0.1; done; $1"; }
unplug() { # that QEMU has nothing of it open is what device_add finds
	control device_del '"id":"nic"' && event 'DEVICE_DELETED.*"nic"' && control device_del '"id":"disk"' && event 'DEVICE_DELETED.*"disk"'
}
gone() { wait_for '[ ! -e /sys/class/net/nic ] && [ ! -e /dev/nvme0n1 ]'; }
plug() {
	control device_add '"driver":"vfio-pci","id":"nic","bus":"rp1","host":"0000:01:00.0"' && event return &&
		control device_add '"driver":"vfio-pci","id":"disk","bus":"rp2","host":"0000:02:00.0"' && event return
}
configure() {
	wait_for '[ -e /sys/class/net/eth0 ] && [ -b /dev/nvme0n1 ]' || return
	tell a "ip link set eth0 name nic; ip link set nic up; ip addr add 10.0.0.1/24 dev nic; arp -s 10.0.0.2 $partner"
	wait_for '[ "$(cat /sys/class/net/nic/carrier)" = 1 ]'
}
# The run takes a device away, and QEMU, asked for it (REQ), asks its guest; and the monitor asks for
# the same at that time. Who comes second is told that it is under way, which is all; it goes once.
# (tests/guest_iommufd.sh has the run's asking alone.)
taken() { # FIRST ADDRESS ID
	local asked said
	if [[ $1 == monitor ]]; then control device_del "\"id\":\"$3\"" && event return || return; fi
	timeout 200 "$build/uvfio" ctl --run "$(<"$tmp/a.qemu.pid")" unplug "$2" >"$tmp/taken" 2>/dev/null & asked=$!
	if [[ $1 == run ]]; then
		for _ in $(seq 100); do "$build/uvfio" ctl --run "$(<"$tmp/a.qemu.pid")" list | grep -q leaving && break; sleep 0.1; done
		control device_del "\"id\":\"$3\""
		said=$(event return) || [[ $said == *"already in the process of unplug"* ]] || { echo "$said"; return 1; }
	fi
	event "DEVICE_DELETED.*\"$3\"" && wait "$asked" && [[ $(<"$tmp/taken") == "0000:$2 is gone" ]]
}
copy() {
	local want got
	want=$(tell a "sha256sum </tmp/data"); got=$(tell a "wget -q -O /tmp/got http://10.0.0.2/data; wc -c </tmp/got; sha256sum </tmp/got; rm /tmp/got") || return
	printf '%s\n' "$want" "$got"; [[ $got == "4194304"$'\n'"$want" ]]
}
disk() { tell a 'dd if=/tmp/data of=/dev/nvme0n1 bs=256k conv=fsync 2>/dev/null && echo 3 >/proc/sys/vm/drop_caches && dd if=/dev/nvme0n1 bs=256k count=16 2>/dev/null | cmp - /tmp/data'; }
partner_says() { local out; out=$(tell a "$(other "ip link show eth1")"); echo "$out"; [[ $out == *"$1"* ]]; }

life() { # KERNEL QEMU
	rm -f "$tmp"/{disk,a.log,qmp.*}; truncate -s 64M "$tmp/disk"; mkfifo "$tmp"/qmp.{in,out}
	exec {to_qemu}<>"$tmp/qmp.in" {from_qemu}<>"$tmp/qmp.out"
	vm=$("$top/tools/guest-initrd" -k "$1" -M igb -M nvme -i "$top/tests/guest/shell" -o "$tmp/initrd") || { check "kernel $1" false; return; }
	before="-device pcie-root-port,id=rp1,slot=1,chassis=1 -device pcie-root-port,id=rp2,slot=2,chassis=2" functions="01:00.0,bus=rp1,id=nic 02:00.0,bus=rp2,id=disk 03:00.0" \
		start a "$2" "igb,id=one,net=peer:two,mac=$nic nvme,image=$tmp/disk igb,id=two,mac=$partner" ipv6.disable=1 \
		-chardev "pipe,id=qmp,path=$tmp/qmp" -mon chardev=qmp,mode=control
	check "the guest is up" ready a || return
	tell a "dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null"
	# which is which is told by the address
	tell a 'unshare -n sleep 100000 & echo $! >/tmp/ns; sleep 0.3; for i in eth0 eth1; do [ $(cat /sys/class/net/$i/address) = '$partner' ] && ip link set $i name far; done; ip link set far netns $(cat /tmp/ns); [ -e /sys/class/net/eth1 ] && ip link set eth1 name eth0; true'
	tell a "$(other "ip link set far name eth1; ip link set lo up; ip link set eth1 up; ip addr add 10.0.0.2/24 dev eth1; arp -s 10.0.0.1 $nic; httpd -h /tmp")"
	check "links are up" configure
	check "the driver tells the chip's link to the machine" eval 'tell a "dmesg | grep igb.*PCIe:" | grep "PCIe:2.5Gb/s:Width x4"'
	check "copy" copy
	check "disk" disk
	control qmp_capabilities ""; check "QEMU listens" event return
	for round in idle "under load" again; do
		if [[ $round == "under load" ]]; then
			tell a 'while true; do wget -q -O /dev/null http://10.0.0.2/data; done >/dev/null 2>&1 & echo $! >/tmp/load'
			tell a 'while true; do dd if=/dev/nvme0n1 of=/dev/null bs=64k count=100 iflag=direct; sleep 0.01; done >/dev/null 2>&1 & echo $! >>/tmp/load'
			tell a "sleep 0.5"
		fi
		check "$round: unplugged" unplug
		check "$round: gone from the guest" gone
		tell a '[ -e /tmp/load ] && kill $(cat /tmp/load) && rm /tmp/load'
		check "$round: plugged in" plug
		check "$round: there again" configure
		check "$round: the partner's link is up" partner_says LOWER_UP
		check "$round: copy" copy
		check "$round: disk" disk
	done
	check "the run takes the port away, and so does the monitor" taken run 01:00.0 nic
	check "the monitor takes the disk, and so does the run" taken monitor 02:00.0 disk
	check "both are gone from the guest" gone
	check "the kernel has nothing to say" eval '! tell a "dmesg | grep -E \"igb.*(Hang|hang|timed out)|nvme.*timeout|WARNING|BUG:\""'
	check "QEMU ends well" end a
	check "QEMU has nothing to say" eval '! grep -vE "dma-buf not supported in kernel|-mon.*deprecated|KVM VFIO device is|already in the process of unplug" "$tmp/a.qemu"'
	check "uvfio has nothing to say" eval "cat '$tmp/a.log'; [[ ! -s '$tmp/a.log' ]]"
}

nic=52:54:00:00:00:0a partner=52:54:00:00:00:0b
if [[ $long ]]; then
	limit=600
	mode="6.1, QEMU 7.2"; life 6.1 qemu-system-x86_64
	mode="6.12, newest QEMU"; life 6.12 "$top/tools/qemu-newest"
else
	life 6.1 qemu-system-x86_64
fi
counts
