#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# guest_vfio_user.sh: a guest of QEMU whose devices `uvfio serve` has, by -device vfio-user-pci, and
# whose memory is shared with the server: Linux has a disk and two network ports with a cable:
# MSI-X, MSI and INTx, hot-plug, writes that QEMU does not wait for while the server stands still,
# servers that die and come back, `uvfio ctl` (long form), and a reset of the machine. The long form
# has guests with memory that no file stands for, so that all DMA goes by messages, and with an
# IOMMU of their own: by which vfio-pci gives programs a testdev and an edu; and which maps and
# unmaps each block of a disk under load.
#   tests/guest_vfio_user.sh [PART]...: shared messages disk_by_messages
set -uo pipefail
# shellcheck source=tests/guest/driven
. "$(dirname "$0")/guest/driven"
qemu=$top/tools/qemu-newest long=${UVFIO_LONG-}
program=$build/test/guest_vfio_user_device
[[ -x $program ]] || { echo "guest_vfio_user: $program is missing: make test-programs" >&2; exit 1; }
nic=52:54:00:00:00:0a partner=52:54:00:00:00:0b
declare -A server

# ---- servers
serve() { # NAME DEVICE...: its sockets are $tmp/NAME.0, ...; its log is $tmp/NAME.log
	local name=$1 n=0 args=() d; shift
	for d in "$@"; do args+=(--device "$d" --socket "$tmp/$name.$((n++))"); done
	"$build/uvfio" serve --log-file "$tmp/$name.log" "${args[@]}" >"$tmp/$name.said" 2>&1 & server[$name]=$!
	# not until their files are there: those of a server that was killed are
	for _ in $(seq 600); do [[ $(grep -c "$tmp/$name\.[0-9]" "$tmp/$name.said") -ge $n ]] && return; sleep 0.1; done
	cat "$tmp/$name.said" "$tmp/$name.log"; return 1
}
again() { serve t "nvme,image=$tmp/disk2,msix=off" "testdev,mmap=off,msix=off"; }
stopped() { # NAME: ends as it is told to
	local rc=0 p=${server[$1]}; unset "server[$1]"
	kill "$p"; wait "$p" || rc=$?
	[[ $rc -eq 0 ]] || { echo "status $rc"; cat "$tmp/$1.said"; return 1; }
	! ls "$tmp/$1".[0-9] 2>/dev/null
}
finish_servers() { for p in "${server[@]}"; do kill -CONT "$p" 2>/dev/null; kill "$p" 2>/dev/null; done; finish; }
trap finish_servers EXIT
quiet() { # NAME [PATTERN]: what it may have to say
	! grep -E '^(uvfio: )?(warn|error)' "$tmp/$1.log" | grep -vE "${2:-^$}"
}

# ---- QEMU
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
control() { printf '{"execute":"%s","arguments":{%s}}\n' "$1" "$2" >&"$to_qemu"; event "${3:-return}"; }
device() { # PORT SOCKET
	[[ $2 == /* ]] || set -- "$1" "$tmp/$2"
	# a processor that is busy with other tests is no reason to give up
	echo "{\"driver\":\"vfio-user-pci\",\"x-msg-timeout\":60000,\"id\":\"on$1\",\"bus\":\"$1\",\"socket\":{\"type\":\"unix\",\"path\":\"$2\"}}"
}
plug() { control device_add "$(device "$1" "$2" | sed 's/^{//; s/}$//')"; }
unplug() { control device_del "\"id\":\"on$1\"" "DEVICE_DELETED.*\"on$1\""; }
machine() { # NAME APPEND OPTION... : five ports, and the control channel
	local fd i name=$1 append=$2; shift 2
	rm -f "$tmp"/qmp.*; mkfifo "$tmp"/qmp.{in,out}
	exec {fd}<>"$tmp/qmp.in"; to_qemu=$fd
	exec {fd}<>"$tmp/qmp.out"; from_qemu=$fd
	for i in 1 2 3 4 5; do before+=" -device pcie-root-port,id=rp$i,slot=$i,chassis=$i"; done
	start "$name" "$qemu" "" "ipv6.disable=1 $append" -chardev "pipe,id=qmp,path=$tmp/qmp" -mon chardev=qmp,mode=control "$@"
	control qmp_capabilities ""
}

# ---- in the guest
wait_for() { tell a "for i in \$(seq 100); do $1 && break; sleep 0.1; done; $1"; }
disk() { # [NAME]
	wait_for "[ -b /dev/${1:-nvme0n1} ]" &&
		tell a "dd if=/tmp/data of=/dev/${1:-nvme0n1} bs=256k conv=fsync 2>/dev/null && echo 3 >/proc/sys/vm/drop_caches && dd if=/dev/${1:-nvme0n1} bs=256k count=8 2>/dev/null | cmp - /tmp/data"
}
other() { echo "nsenter -t \$(cat /tmp/ns) -n sh -c '$1'"; }
cable() { # two networks, so that what one end sends comes to the other by the cable
	tell a 'for i in $(seq 100); do [ -e /sys/class/net/eth1 ] && break; sleep 0.1; done; unshare -n sleep 100000 & echo $! >/tmp/ns; sleep 0.3; for i in eth0 eth1; do [ $(cat /sys/class/net/$i/address) = '$partner' ] && ip link set $i name far; done; ip link set far netns $(cat /tmp/ns); for i in /sys/class/net/eth*; do ip link set ${i##*/} name nic; done'
	tell a "$(other "ip link set lo up; ip link set far up; ip addr add 10.0.0.2/24 dev far; arp -s 10.0.0.1 $nic; httpd -h /tmp")"
	tell a "ip link set nic up; ip addr add 10.0.0.1/24 dev nic; arp -s 10.0.0.2 $partner; for i in \$(seq 100); do [ \$(cat /sys/class/net/nic/carrier) = 1 ] && break; sleep 0.1; done; [ \$i -lt 100 ]"
}
copy() {
	local want got
	want=$(tell a "sha256sum </tmp/data"); got=$(tell a "wget -q -O /tmp/got http://10.0.0.2/data; wc -c </tmp/got; sha256sum </tmp/got; rm /tmp/got") || return
	printf '%s\n' "$want" "$got"; [[ $got == "2097152"$'\n'"$want" ]]
}
data() { tell a "dd if=/dev/urandom of=/tmp/data bs=256k count=8 2>/dev/null"; }
interrupts() { # NVME KIND: one of the disk's lines, and that it counts
	local out; out=$(tell a "grep $1q /proc/interrupts"); echo "$out"; grep -E "$2" <<<"$out" | awk '{s += $2 + $3} END {exit s < 5}'
}
well() { ! tell a 'dmesg | grep -E "nvme.*timeout|I/O error|igb.*([Hh]ang|timed out)|DMAR:.*fault|WARNING|BUG:"'; }

# ---- memory that is shared with the servers
shared() {
	local bdf
	rm -f "$tmp"/disk*; truncate -s 64M "$tmp/disk"; truncate -s 16M "$tmp/disk2"
	check "the servers are there" serve s "nvme,image=$tmp/disk" "igb,id=one,net=peer:two,mac=$nic" "igb,id=two,mac=$partner" &&
		check "one more, with two devices" again || return
	vm=$("$top/tools/guest-initrd" -M igb -M nvme -f "$program" -i "$top/tests/guest/shell" -o "$tmp/initrd") || return
	before= machine a "" -machine memory-backend=mem -object memory-backend-memfd,id=mem,size=192M,share=on \
		-device "$(device rp1 s.0)" -device "$(device rp2 s.1)" -device "$(device rp3 s.2)"
	check "the guest is up" ready a || return
	data
	check "disk" disk
	check "disk: MSI-X" interrupts nvme0 PCI-MSI
	check "the cable" cable
	check "copy over the cable" copy
	# a second disk, with MSI alone, plugged in and out, idle and busy
	check "plugged in" plug rp4 t.0
	check "the second disk" disk nvme1n1
	check "the second disk: MSI" interrupts nvme1 PCI-MSI
	tell a 'while true; do dd if=/dev/nvme1n1 of=/dev/null bs=64k count=100 iflag=direct; done >/dev/null 2>&1 & echo $! >/tmp/load; sleep 0.3'
	check "unplugged under load" unplug rp4
	check "gone from the guest" wait_for '[ ! -e /dev/nvme1n1 ]'
	tell a 'kill $(cat /tmp/load)'
	check "plugged in again" plug rp4 t.0
	check "the second disk again" disk nvme1n1
	check "unplugged" unplug rp4
	# the first one by INTx
	bdf='$(basename $(readlink -f /sys/block/nvme0n1/device/device))'
	tell a "d=$bdf; echo \$d >/tmp/bdf; cd /sys/bus/pci/drivers/nvme; echo \$d >unbind; echo 0 >/sys/bus/pci/devices/\$d/msi_bus; echo \$d >bind"
	check "disk by INTx" disk
	check "disk: INTx" interrupts nvme0 IO-APIC
	tell a 'd=$(cat /tmp/bdf); cd /sys/bus/pci/drivers/nvme; echo $d >unbind; echo 1 >/sys/bus/pci/devices/$d/reset; echo 1 >/sys/bus/pci/devices/$d/msi_bus; echo $d >bind'
	check "disk after a reset of the function" disk
	posted
	check "QEMU has nothing to say" eval '! grep -vE "mon.*deprecated|wrmulti" "$tmp/a.qemu"'
	server_dies
	[[ ! $long ]] || control_of_devices
	# the machine is reset: BIOS and Linux find the devices anew
	control system_reset "" && control cont ""
	check "the guest is up again" ready a || return
	data
	check "disk after the machine's reset" disk
	check "the cable after it" cable
	check "copy after it" copy
	check "the kernel has nothing to say" well
	check "the guest ends well" end a
	for n in s t; do
		check "server $n ends well" stopped $n
		# when t was told to end in the middle of it, the disk lost its driver; QEMU has no REQ
		may=; [[ $n == s ]] || may="bus mastering is off|shadow doorbell|no device request channel"
		check "server $n has nothing to say" quiet $n "$may"
	done
}
# The guest stores some 60000 times, and QEMU waits for none of them; the server stands still, so
# QEMU's queue grows until it puts many into one message.
posted() {
	check "testdev is plugged in" plug rp4 t.1
	check "the guest has it" wait_for 'cat /sys/bus/pci/devices/*/device | grep -q 0x7e57'
	tell a 'for d in /sys/bus/pci/devices/*; do [ $(cat $d/device) = 0x7e57 ] && echo 1 >$d/enable && break; done; mkfifo /tmp/fifo; guest_vfio_user_device posted $d/resource0 /tmp/fifo >/tmp/posted 2>&1 &'
	wait_for 'grep -q ready /tmp/posted'
	control trace-event-set-state '"name":"vfio_user_wrmulti","enable":true'
	kill -STOP "${server[t]}"
	tell a 'printf w 1<>/tmp/fifo; for i in $(seq 100); do grep -q stored /tmp/posted && break; sleep 0.1; done'
	kill -CONT "${server[t]}"
	tell a 'printf c 1<>/tmp/fifo; for i in $(seq 100); do grep -q there /tmp/posted && break; sleep 0.1; done; printf e 1<>/tmp/fifo'
	check "posted writes arrive, each once and in order" eval 'out=$(tell a "cat /tmp/posted"); echo "$out"; [[ $out == *stored*"all is there" && $out != *not* ]]'
	control trace-event-set-state '"name":"vfio_user_wrmulti","enable":false'
	check "many of them in one message" eval 'n=$(grep -c "wrmulti.*flush count 0xc8" "$tmp/a.qemu"); echo "$n"; [[ $n -gt 100 ]]'
	check "testdev is unplugged" unplug rp4
}

# A server is killed, told to end, and started again, under a QEMU that is connected: that goes on,
# and so does the guest when the device was taken out and put in again.
running() { control query-status "" '"running"'; }
has_data() { wait_for "[ -b /dev/nvme1n1 ]" && tell a "dd if=/dev/nvme1n1 bs=256k count=8 iflag=direct 2>/dev/null | cmp - /tmp/data"; }
reads() { # VALUE: what a register of testdev, which no driver has, reads as
	local v; v=$(tell a 'for d in /sys/bus/pci/devices/*; do [ $(cat $d/device) = 0x7e57 ] && echo 1 >$d/enable && devmem $(sed -n 3p $d/resource | cut -d" " -f1) 32; done')
	echo "$v"; [[ $v == "$1" ]]
}
server_dies() {
	local p
	check "testdev and the second disk are plugged in" eval 'plug rp5 t.1 && plug rp4 t.0'
	check "the second disk has data" disk nvme1n1
	check "testdev's register" reads 0x54465655
	p=${server[t]}; unset "server[t]"; kill -9 "$p"; wait "$p" 2>/dev/null
	check "server killed: the register reads as ones" reads 0xFFFFFFFF
	check "server killed: QEMU goes on" running
	check "the devices that are dead are unplugged" eval 'unplug rp4 && unplug rp5'
	check "the server is started again" again
	check "they are plugged in again" eval 'plug rp5 t.1 && plug rp4 t.0'
	check "the disk has its data" has_data
	check "testdev's register again" reads 0x54465655
	[[ $long ]] || { check "unplugged" eval 'unplug rp4 && unplug rp5'; return; }
	check "told to end, the server ends under QEMU" stopped t
	check "server ended: QEMU goes on" running
	check "the devices that are gone are unplugged" eval 'unplug rp4 && unplug rp5'
	check "the server is started a third time" again
	check "the disk is plugged in" plug rp4 t.0
	check "the disk still has its data" has_data
}
# `uvfio ctl` on a server. QEMU asks for no REQ: whoever manages it takes the device out.
ctl() { "$build/uvfio" ctl --run "${server[t]}" "$@"; }
control_of_devices() {
	local asked
	ctl unplug --timeout 100 01:00.0 >"$tmp/unplug" 2>&1 & asked=$!
	check "asked for, a device is there until QEMU lets it go" eval 'sleep 0.3; kill -0 $asked && has_data'
	check "unplugged" unplug rp4
	check "then the server has it no more" wait "$asked"
	check "one more device is served" ctl plug "nvme,image=$tmp/disk2"
	check "it is plugged in" eval 'plug rp4 "$(ctl --json list | grep -o "/[^\"]*-plug-[^\"]*")"'
	check "the disk has its data at the new place" has_data
	# an error of the device, ERR: QEMU stops the guest, which has to be reset
	check "an error is raised" ctl aer 01:00.0 nonfatal
	check "QEMU stops" event '"STOP"'
	check "and says why" control query-status "" '"internal-error"'
}

# ---- memory that no file stands for, and an IOMMU
run_in_guest() { # WHAT PROGRAM-ARGUMENT...
	tell a "guest_vfio_user_device $2" >"$tmp/cases" || true
	local word what n=0
	while read -r word what; do
		case $word in
		ok) n=$((n + 1)); passed=$((passed + 1)); echo "ok   $mode: $1: $what" ;;
		FAIL) n=$((n + 1)); failed=$((failed + 1)); echo "FAIL $mode: $1: $what" ;;
		*) [[ $word ]] && echo "     $word $what" ;;
		esac
	done <"$tmp/cases"
	[[ $n -gt 0 ]] || check "$1" false
}
bind='bind() { for d in /sys/bus/pci/devices/*; do [ $(cat $d/device) = $1 ] || continue; d=${d##*/}; echo vfio-pci >/sys/bus/pci/devices/$d/driver_override; echo $d >/sys/bus/pci/drivers/vfio-pci/bind; echo $d; done; }'
messages() {
	local td edu
	check "the servers are there" serve s testdev && check "a second one" serve t edu || return
	vm=$("$top/tools/guest-initrd" -M vfio_iommu_type1 -M vfio-pci -f "$program" -i "$top/tests/guest/shell" -o "$tmp/initrd") || return
	before="-machine kernel-irqchip=split -device intel-iommu,intremap=on,caching-mode=on" machine a "intel_iommu=on iommu.strict=1" \
		-device "$(device rp1 s.0)" -device "$(device rp2 t.0)"
	check "the guest is up" ready a || return
	td=$(tell a "$bind; bind 0x7e57"); edu=$(tell a "$bind; bind 0x11e8")
	run_in_guest testdev "testdev $td messages"
	run_in_guest edu "edu $edu"
	check "the kernel has nothing to say" well
	check "the guest ends well" end a
	for n in s t; do
		check "server $n ends well" stopped $n
	done
}
# A disk: a write of a doorbell has it read commands at once, while the guest's processors wait for
# replies to what they map and unmap.
disk_by_messages() {
	rm -f "$tmp"/disk* "$tmp"/*.log
	truncate -s 64M "$tmp/disk"
	check "the server is there" serve s "nvme,image=$tmp/disk" || return
	vm=$("$top/tools/guest-initrd" -M nvme -i "$top/tests/guest/shell" -o "$tmp/initrd") || return
	before="-machine kernel-irqchip=split -device intel-iommu,intremap=on,caching-mode=on" machine a "intel_iommu=on iommu.strict=1" \
		-device "$(device rp1 s.0)"
	check "the guest is up" ready a || return
	data
	check "disk" disk
	check "the disk under load" load
	check "the kernel has nothing to say" well
	# in the middle of it the machine is reset
	tell a 'for i in 1 2 3 4; do while true; do dd if=/tmp/data of=/dev/nvme0n1 bs=4k count=64 seek=$((i * 640)) oflag=direct 2>/dev/null; done & done; sleep 1'
	control system_reset ""
	check "the guest is up again" ready a || return
	data
	check "disk after the machine's reset" disk
	check "the kernel has nothing to say after it" well
	check "the guest ends well" end a
	# it unmaps all there could be when the guest turns its IOMMU on
	check "QEMU has nothing else to say" eval '! grep -vE "mon.*deprecated|dma_unmap.* = -2 |command 3 error No such" "$tmp/a.qemu"'
	check "server s ends well" stopped s
	# ... and the reset took away what was under way
	check "server s has nothing else to say" quiet s "DMA_UNMAP of 24 bytes is refused: ENOENT|ECANCELED|ENODEV|fatal status: .*cannot be"
}
# Several at once write, and read back.
load() {
	tell a 'for i in 1 2 3 4; do (for r in $(seq 12); do dd if=/tmp/data of=/dev/nvme0n1 bs=16k count=64 seek=$((i * 640)) oflag=direct 2>/dev/null && dd if=/dev/nvme0n1 bs=16k count=64 skip=$((i * 640)) iflag=direct 2>/dev/null >/tmp/got.$i && cmp -n 1048576 /tmp/got.$i /tmp/data || exit 1; done) & p="$p $!"; done; rc=0; for i in $p; do wait $i || rc=1; done; exit $rc'
}
for part in ${*:-shared ${long:+messages disk_by_messages}}; do mode=${part//_/ }; $part; done
counts
