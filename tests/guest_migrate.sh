#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# guest_migrate.sh: a guest with an nvme and two igbs, a cable between them, moves from one QEMU to
# another, each under an `uvfio run` of its own, as QEMU migrates a machine with devices of vfio-pci:
# it copies the memory and what of the devices can come early while the guest runs, asks VFIO what
# the devices wrote meanwhile, stops all of them and hands their states over. Disk and network are
# busy all the time, and what they carry is compared. The long form goes on to the next QEMU, five
# times, also with unmapped BARs, without igbs, with two virtual functions of one igb instead, and by
# way of iommufd.
set -uo pipefail
. "$(dirname "$0")/guest/driven"
qemu=$top/tools/qemu-newest long=${UVFIO_LONG-} also=
nic=52:54:00:00:00:0a partner=52:54:00:00:00:0b
declare -A qmp_in qmp_out
event() { # NAME PATTERN: the next line of QEMU's control channel that has it
	local line part
	for _ in $(seq 60); do
		IFS= read -r -t 2 -u "${qmp_out[$1]}" part || { line+=$part; continue; }
		line+=$part
		[[ $line == *'"error"'* ]] && { echo "$line"; return 1; }
		[[ $line =~ $2 ]] && return
		line=
	done
	echo "QEMU does not say $2"; return 1
}
control() { printf '{"execute":"%s","arguments":{%s}}\n' "$2" "$3" >&"${qmp_in[$1]}"; event "$1" return; }
machine() { # NAME OPTIONS-OF-THE-DISK [QEMU-OPTION]...
	local name=$1 disk="nvme,image=$tmp/disk,serial=one,migration=on$opts$2" fd; shift 2
	rm -f "$tmp/$name.qmp".*; mkfifo "$tmp/$name.qmp".{in,out}
	exec {fd}<>"$tmp/$name.qmp.in"; qmp_in[$name]=$fd
	exec {fd}<>"$tmp/$name.qmp.out"; qmp_out[$name]=$fd
	functions=$places start "$name" "$qemu" "$disk ${nics//NAME/$name}" ipv6.disable=1 -chardev "pipe,id=qmp,path=$tmp/$name.qmp" -mon chardev=qmp,mode=control "$@"
	control "$name" qmp_capabilities ""
}
# Programs of the guest: one writes and reads back, past the cache, one copies over the cable, until
# /tmp/stop is there; what is wrong they say, and in /tmp/*.n how often it was right.
load_disk='n=0; while [ ! -e /tmp/stop ]; do n=$((n+1)); dd if=/tmp/data of=/dev/nvme0n1 bs=64k oflag=direct seek=$((n%4*16)) 2>/tmp/err || cat /tmp/err; dd if=/dev/nvme0n1 bs=64k iflag=direct skip=$((n%4*16)) count=16 2>/tmp/err | cmp - /tmp/data || { echo "round $n"; cat /tmp/err; }; echo $n >/tmp/disk.n; done'
load_net='n=0; while [ ! -e /tmp/stop ]; do n=$((n+1)); wget -q -O - http://10.0.0.2/data | cmp - /tmp/data || echo "copy $n"; echo $n >/tmp/net.n; done'
other() { echo "nsenter -t \$(cat /tmp/ns) -n sh -c '$1'"; }
cable() { # two networks, so that what one end sends comes to the other by the cable
	tell "$1" 'for i in $(seq 100); do [ -e /sys/class/net/eth1 ] && break; sleep 0.1; done; unshare -n sleep 100000 & echo $! >/tmp/ns; sleep 0.3; for i in eth0 eth1; do [ $(cat /sys/class/net/$i/address) = '$partner' ] && ip link set $i name far; done; ip link set far netns $(cat /tmp/ns); for i in /sys/class/net/eth*; do ip link set ${i##*/} name nic; done'
	tell "$1" "$(other "ip link set lo up; ip link set far up; ip addr add 10.0.0.2/24 dev far; arp -s 10.0.0.1 $nic; httpd -h /tmp")"
	tell "$1" "ip link set nic up; ip addr add 10.0.0.1/24 dev nic; arp -s 10.0.0.2 $partner; for i in \$(seq 100); do [ \$(cat /sys/class/net/nic/carrier) = 1 ] && break; sleep 0.1; done; [ \$i -lt 100 ]"
}
grows() { # NAME: all loads get further
	tell "$1" 'cd /tmp; for f in *.n; do was=$(cat $f); for i in $(seq 300); do [ $(cat $f) -gt $((was + 2)) ] && break; sleep 0.1; done; [ $i -lt 300 ] || { echo "$f stays $was"; exit 1; }; done' 90
}
move() { # FROM TO
	local uri="\"uri\":\"unix:$tmp/$2.sock\"" both='"capabilities":[{"capability":"return-path","state":true},{"capability":"switchover-ack","state":true}]'
	machine "$2" ",incoming=on" -incoming defer || return
	# the guest does not stop before the other side has said that it can take what came in PRE_COPY
	control "$1" migrate-set-capabilities "$both" && control "$2" migrate-set-capabilities "$both" && control "$2" migrate-incoming "$uri" || return
	control "$1" migrate-set-parameters '"max-bandwidth":0,"downtime-limit":5000' && control "$1" migrate "$uri" || return
	for _ in $(seq 1200); do
		printf '{"execute":"query-migrate"}\n' >&"${qmp_in[$1]}"
		event "$1" '"return".*"status": "([a-z-]+)"' || return
		case ${BASH_REMATCH[1]} in completed) break;; failed) return 1;; esac
		sleep 0.1
	done
	grows "$2" # its shell answers over there
}
quiet() { # NAME
	# where the guest arrives QEMU maps BARs for DMA before it enables them, which is EFAULT, as on a kernel
	check "QEMU $1 has nothing to say" eval '! grep -vE "dma_map.*Bad address|peer-to-peer transactions|dma-buf not supported in kernel|-mon.*deprecated|KVM VFIO device is$also" "$tmp/'"$1"'.qemu"'
	check "uvfio of $1 has nothing to say" eval "cat '$tmp/$1.log'; [[ ! -s '$tmp/$1.log' ]]"
}
life() { # NETWORK OPTIONS QEMU...: the guest goes from the first to the last
	local a=$3 b with="enable-migration=on${before:+,iommufd=fd}"; opts=$2 nics= places="01:00.0,$with"
	if [[ $1 == vfs ]]; then # they are at one port, whose switch is between them
		nics="igb,net=unix:$tmp/NAME.wire:$tmp/nobody,mac=${nic/54/d4},driver=igb,sriov_numvfs=2,migration=on$opts"
		places+=" 02:10.0,$with 02:10.2,$with"
	elif [[ $1 ]]; then
		nics="igb,id=one,net=peer:two,mac=$nic,migration=on$opts igb,id=two,mac=$partner,migration=on$opts"
		places+=" 02:00.0,$with 03:00.0,$with"
	fi
	rm -f "$tmp/disk"; truncate -s 64M "$tmp/disk"
	check "QEMU listens" machine "$a" "" && check "the guest is up" ready "$a" || return
	tell "$a" 'dd if=/dev/urandom of=/tmp/data bs=64k count=16 2>/dev/null; for i in $(seq 100); do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done'
	[[ ! $1 ]] || { check "the cable" cable "$a"; tell "$a" "echo 0 >/tmp/net.n; ( $load_net ) >/tmp/net.said 2>&1 &"; }
	tell "$a" "echo 0 >/tmp/disk.n; ( $load_disk ) >/tmp/disk.said 2>&1 & sleep 1"
	check "disk and network are busy" grows "$a"
	for b in "${@:4}"; do
		check "from $a to $b" move "$a" "$b" || return
		check "QEMU $a ends well" eval "control $a quit '' && wait ${pid[$a]}"
		unset "pid[$a]"
		quiet "$a"
		a=$b
	done
	check "all that came was right" eval "tell $a 'touch /tmp/stop; sleep 2; cat /tmp/*.said; [ -z \"\$(cat /tmp/*.said)\" ]'"
	check "the kernel has nothing to say" eval "! tell $a 'dmesg | grep -E \"nvme.*timeout|I/O error|igb.*([Hh]ang|timed out)|WARNING|BUG:\"'"
	check "the guest ends well" end "$a"
	quiet "$a"
}
vm=$("$top/tools/guest-initrd" -M nvme -M igb -M igbvf -i "$top/tests/guest/shell" -o "$tmp/initrd") || exit 1
if [[ $long ]]; then
	mode="disk"; life "" "" a b c d e f
	mode="mmap=off"; life net ",mmap=off" a b c
	mode="disk and network"; life net "" a b c d e f
	mode="virtual functions"; life vfs "" a b c d
	# QEMU maps BARs for DMA, by dma-bufs; on the way in before it writes the COMMAND register that
	# came: they are revoked then, as the kernel's are, and it warns
	mode="iommufd" before="-object iommufd,id=fd" also="|dma_map.*No such device|peer-to-peer transactions"; life net "" a b c
else
	life net "" a b
fi
counts
