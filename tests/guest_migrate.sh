#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# guest_migrate.sh: a guest with an nvme moves from one QEMU to another, each under an `uvfio run`
# of its own, as QEMU migrates a machine with a device of vfio-pci: it copies the memory while the
# guest runs, asks VFIO what the device wrote meanwhile, stops the device and hands its state over.
# The guest's disk is busy all the time. The long form goes on to the next QEMU, and the next.
set -uo pipefail
. "$(dirname "$0")/guest/driven"
qemu=$top/tools/qemu-newest
event() { # PATTERN: the next line of QEMU's control channel that has it
	local line part
	for _ in $(seq 120); do
		IFS= read -r -t 2 -u "$1" part || { line+=$part; continue; }
		line+=$part
		[[ $line == *'"error"'* ]] && { echo "$line"; return 1; }
		[[ $line =~ $2 ]] && return
		line=
	done
	echo "QEMU does not say $2"; return 1
}
declare -A qmp_in qmp_out
qemu_with_control() { # NAME OPTIONS-OF-THE-DISK [QEMU-OPTION]...
	local name=$1 opts=$2 fd; shift 2
	rm -f "$tmp/$name.qmp".*; mkfifo "$tmp/$name.qmp".{in,out}
	exec {fd}<>"$tmp/$name.qmp.in"; qmp_in[$name]=$fd
	exec {fd}<>"$tmp/$name.qmp.out"; qmp_out[$name]=$fd
	functions="01:00.0,enable-migration=on" start "$name" "$qemu" "nvme,image=$tmp/disk,serial=one,migration=on,mmap=off$opts" "" \
		-chardev "pipe,id=qmp,path=$tmp/$name.qmp" -mon chardev=qmp,mode=control "$@"
}
control() { printf '{"execute":"%s","arguments":{%s}}\n' "$2" "$3" >&"${qmp_in[$1]}"; event "${qmp_out[$1]}" return; }
# A program of the guest's writes and reads back, past its cache, until /tmp/stop is there; what is
# wrong it says, and how often it was right.
load='n=0; while [ ! -e /tmp/stop ]; do n=$((n+1)); dd if=/tmp/data of=/dev/nvme0n1 bs=64k oflag=direct seek=$((n%4*16)) 2>/tmp/err || cat /tmp/err; dd if=/dev/nvme0n1 bs=64k iflag=direct skip=$((n%4*16)) count=16 2>/tmp/err | cmp - /tmp/data || { echo "round $n"; cat /tmp/err; }; echo $n >/tmp/rounds; done'
move() { # FROM TO
	local rounds
	qemu_with_control "$2" ",incoming=on" -incoming "unix:$tmp/$2.sock"
	for _ in $(seq 300); do [[ -S $tmp/$2.sock ]] && break; sleep 0.1; done
	# the guest's shell answers over there, and its first line may be half an answer of before
	cp "$tmp/$1.number" "$tmp/$2.number" 2>/dev/null
	rounds=$(tell "$1" "cat /tmp/rounds")
	control "$1" migrate-set-parameters '"max-bandwidth":0,"downtime-limit":30000' || return
	control "$1" migrate "\"uri\":\"unix:$tmp/$2.sock\"" || return
	for _ in $(seq 600); do
		printf '{"execute":"query-migrate"}\n' >&"${qmp_in[$1]}"
		event "${qmp_out[$1]}" '"return".*"status": "([a-z-]+)"' || return
		case ${BASH_REMATCH[1]} in completed) break;; failed) return 1;; esac
		sleep 0.1
	done
	tell "$2" "for i in \$(seq 200); do [ \$(cat /tmp/rounds) -gt $((rounds + 3)) ] && break; sleep 0.1; done; [ \$i -lt 200 ]" 60
}
hand_over() { # FROM TO
	check "from $1 to $2, with the disk busy" move "$1" "$2"
	check "the QEMU that it left ends" eval "control $1 quit '' && wait ${pid[$1]}"
	unset "pid[$1]"
	check "QEMU $1 has nothing to say" eval '! grep -vE "dma-buf not supported in kernel|-mon.*deprecated|KVM VFIO device is|support device and IOMMU dirty tracking" "$tmp/'$1'.qemu"'
	check "uvfio of $1 has nothing to say" eval "cat '$tmp/$1.log'; [[ ! -s '$tmp/$1.log' ]]"
}
truncate -s 64M "$tmp/disk"
vm=$("$top/tools/guest-initrd" -M nvme -i "$top/tests/guest/shell" -o "$tmp/initrd") || exit 1
qemu_with_control a ""
check "the guest is up" ready a || { counts; exit; }
check "QEMU listens" control a qmp_capabilities ""
tell a 'dd if=/dev/urandom of=/tmp/data bs=64k count=16 2>/dev/null; for i in $(seq 100); do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done'
tell a "( $load ) >/tmp/said 2>&1 & sleep 1"
hand_over a b
last=b
check "all reads were right" eval "tell $last 'touch /tmp/stop; sleep 1; cat /tmp/said; [ ! -s /tmp/said ]'"
check "the kernel has nothing to say" eval "! tell $last 'dmesg | grep -E \"nvme.*timeout|I/O error|WARNING|BUG:\"'"
check "the guest ends well" end $last
counts
