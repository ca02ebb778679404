#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# guest_vf.sh: Linux's igbvf driver in a guest, on two virtual functions of an igb whose physical
# function is with the host's driver (driver=igb), as a machine's owner gives them to a virtual
# machine. At the other end of the cable (net=unix), in another QEMU, Linux's igb. The two virtual
# functions also talk to each other, through the device's own switch: nothing of that may be in the
# capture of the wire.
set -uo pipefail
. "$(dirname "$0")/guest/driven"
for c in ethtool tcpdump; do command -v $c >/dev/null || { echo "SKIP: $c"; exit 77; }; done
long=${UVFIO_LONG-}
files=(-f "$(command -v ethtool)")
if [[ $long ]]; then
	command -v iperf3 >/dev/null || { echo "SKIP: iperf3"; exit 77; }
	files+=(-f "$(command -v iperf3)")
	memory=320 limit=600
fi
pf=52:54:00:00:00:0a vf0=52:d4:00:00:00:0a vf1=52:d4:00:00:00:0b far=52:54:00:00:00:0c moved=52:54:00:00:00:0d

both() { tell a "$1" && tell b "$1"; }
carrier() { # GUEST INTERFACE
	tell "$1" 'for i in $(seq 100); do [ "$(cat /sys/class/net/'"$2"'/carrier)" = 1 ] && break; sleep 0.1; done; [ $i -lt 100 ]'
}
links() { carrier a eth0 && carrier b eth0; }
# eth1 is in a network namespace of its own, that of the process whose number is in /tmp/ns
other() { echo "nsenter -t \$(cat /tmp/ns) -n sh -c '$1'"; }
ping() { # FROM WHERE [OPTION...]; FROM: a, b, or a's other one
	local g=$1 c="ping -q -c 5 -i 0.1 -W 2 ${*:3} $2" out
	[[ $g == other ]] && { g=a; c=$(other "$c"); }
	out=$(tell $g "$c"); echo "$out"; [[ $out == *" 5 packets received, 0%"* ]]
}
copy() { # FROM-GUEST TO ADDRESS MEGABYTES: by HTTP; TO: a, b, or a's other one
	local g=$2 get="wget -q -O /tmp/got http://$3/data$4" want got
	[[ $g == other ]] && { g=a; get=$(other "$get"); }
	want=$(tell "$1" "[ -e /tmp/data$4 ] || dd if=/dev/urandom of=/tmp/data$4 bs=1M count=$4 2>/dev/null; sha256sum </tmp/data$4; wc -c </tmp/data$4") || return
	got=$(tell "$g" "$get; sha256sum </tmp/got; wc -c </tmp/got; rm /tmp/got") || return
	printf '%s\n' "$want" "$got"; [[ $want == "$got" && $want == *$'\n'$(($4 * 1048576)) ]]
}
stat() { tell "$1" "ethtool -S ${3:-eth0}" | sed -n "s/^ *$2: //p"; }
wire() { tcpdump -nnvve -r "$tmp/a.pcap" "$@" 2>/dev/null; }
address() { tell a "cat /sys/class/net/$1/address" | grep -xF "$2"; }
configure() { # no address resolution, no IPv6: nothing goes over the wire but what is sent here
	tell a "ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0; arp -s 10.0.0.2 $far; arp -s 10.0.0.3 $vf1"
	tell a "$(other "ip link set lo up; ip link set eth1 up; ip addr add 10.0.0.3/24 dev eth1; arp -s 10.0.0.1 $vf0; arp -s 10.0.0.2 $far")"
	tell b "ip link set eth0 up; ip addr add 10.0.0.2/24 dev eth0; arp -s 10.0.0.1 $vf0; arp -s 10.0.0.3 $vf1"
} >/dev/null 2>&1

life() { # KERNEL QEMU
	local v w was
	rm -f "$tmp"/*.pcap
	vm=$("$top/tools/guest-initrd" -k "$1" -M igb -M igbvf -M 8021q "${files[@]}" -i "$top/tests/guest/shell" -o "$tmp/initrd") || { check "kernel $1" false; return; }
	functions="01:10.0 01:10.2" start a "$2" "igb,net=unix:$tmp/a.sock:$tmp/b.sock,net=pcap:$tmp/a.pcap,mac=$pf,sriov_numvfs=2,driver=igb" ipv6.disable=1
	start b "$2" "igb,net=unix:$tmp/b.sock:$tmp/a.sock,mac=$far" ipv6.disable=1
	check "guest a is up" ready a || return
	check "guest b is up" ready b || return
	tell a "uname -r; dmesg | grep igbvf"
	check "two virtual functions, the host's addresses" eval "address eth0 $vf0 && address eth1 $vf1"
	check "a namespace for the second" tell a 'unshare -n sleep 100000 & echo $! >/tmp/ns; sleep 0.3; ip link set eth1 netns $(cat /tmp/ns)'
	both "httpd -h /tmp"; tell a "$(other "httpd -h /tmp")"; configure

	check "links are up" links
	check "MSI-X" eval '[[ $(tell a "grep -c eth0 /proc/interrupts") -eq 3 ]]'
	check "self-test" eval 'tell a "ethtool -t eth0" | grep "The test result is PASS"'
	check "ping over the wire" ping a 10.0.0.2
	check "ping over the wire, the second" ping other 10.0.0.2
	check "ping, in fragments" ping a 10.0.0.2 -s 20000
	check "copy from b" copy b a 10.0.0.2 $((long ? 64 : 8))
	check "copy to b" copy a b 10.0.0.1 $((long ? 64 : 8))
	check "copy from b, the second" copy b other 10.0.0.2 4

	w=$(wire | wc -l)
	check "through the switch: ping" ping a 10.0.0.3
	check "through the switch: ping, back" ping other 10.0.0.1
	check "through the switch: copy" copy a other 10.0.0.1 8
	check "through the switch: counted as looped back" eval '[[ $(tell a "$(other "ethtool -S eth1")" | sed -n "s/^ *lbrx_packets: //p") -gt 5000 ]]'
	check "through the switch: nothing on the wire" eval '[[ $(wire | wc -l) -eq $w ]]'

	check "VLAN" both "ip link add link eth0 name eth0.5 type vlan id 5 && ip link set eth0.5 up"
	tell a "ip addr add 10.5.0.1/24 dev eth0.5; arp -s 10.5.0.2 $far"; tell b "ip addr add 10.5.0.2/24 dev eth0.5; arp -s 10.5.0.1 $vf0"
	check "VLAN: ping" ping a 10.5.0.2
	check "VLAN: copy" copy b a 10.5.0.2 2
	check "VLAN: a leaves it" tell a "ip link del eth0.5"
	unjoined() { local r; r=$(stat a rx_packets); tell b "ping -q -c 5 -i 0.1 -W 1 10.5.0.1"; [[ $(stat a rx_packets) -eq $r ]]; }
	check "VLAN: a hears nothing more of it" unjoined
	tell b "ip link del eth0.5"

	check "without offloads" both "ethtool -K eth0 rx off tx off sg off tso off gso off gro off"
	check "without offloads: copy" copy b a 10.0.0.2 4
	check "without offloads: copy back" copy a b 10.0.0.1 4
	both "ethtool -K eth0 rx on tx on sg on tso on gso on gro on" >/dev/null
	check "jumbo frames" both "ip link set eth0 mtu 9000"
	links
	check "jumbo frames: ping" ping a 10.0.0.2 -s 8900
	check "jumbo frames: copy" copy a b 10.0.0.1 8
	both "ip link set eth0 mtu 1500"; links

	check "another address" tell a "ip link set eth0 down; ip link set eth0 address $moved && ip link set eth0 up"
	tell b "arp -s 10.0.0.1 $moved"; configure; tell b "arp -s 10.0.0.1 $moved"; links
	check "another address: ping" ping a 10.0.0.2
	gone() { tell b "arp -s 10.0.0.1 $vf0"; ! ping b 10.0.0.1; }
	check "another address: the old one is nobody's" gone
	tell a "ip link set eth0 down; ip link set eth0 address $vf0"; configure; links
	check "the old address again" ping b 10.0.0.1

	# on a busy host the wire may lose a frame, which TCP sends again: not each time
	counted() {
		local v was i
		for i in 1 2 3 4 5; do
			v=$(stat b rx_packets); was=$(stat a tx_packets)
			ping a 10.0.0.2 && copy a b 10.0.0.1 2 || return
			[[ $(stat a tx_packets) -gt $((was + 100)) ]] || return
			[[ $(($(stat b rx_packets) - v)) -eq $(($(stat a tx_packets) - was)) ]] && return
			echo "a sent $(($(stat a tx_packets) - was)), b received $(($(stat b rx_packets) - v))"
		done
		return 1
	}
	check "statistics: a sent what b received" counted

	check "down" tell a "ip link set eth0 down"
	check "down: nothing gets through" eval '! ping b 10.0.0.1'
	check "down: the second is not touched" ping other 10.0.0.2
	rebind='d=$(basename $(readlink /sys/class/net/eth0/device)); s=/sys/bus/pci/devices/$d; echo $d >/sys/bus/pci/drivers/igbvf/unbind; echo 1 >$s/reset && echo $d >/sys/bus/pci/drivers/igbvf/bind && ls /sys/class/net/eth0'
	check "unbound, function reset, bound" tell a "$rebind"
	check "the second is not touched" ping other 10.0.0.2
	configure
	check "links are up again" links
	check "the host's address again" address eth0 $vf0
	check "copy" copy b a 10.0.0.2 4
	[[ $long ]] && longer

	for g in a b; do
		quiet() { ! tell $g "dmesg | grep -E 'igb.*([Hh]ang|timed out|[Ff]ail|[Ee]rror|Reset adapter)|WARNING|BUG:|nobody cared|transmit queue .* timed out'"; }
		check "$g: the kernel has nothing to say" quiet
		check "$g: QEMU ends well" end $g
		check "$g: uvfio has nothing to say" eval "cat '$tmp/$g.log'; [[ ! -s '$tmp/$g.log' ]]"
	done
	check "capture: checksums are right" eval '! wire | grep -iE "incorrect|bad.cksum|wrong|truncated|invalid"'
	check "capture: VLAN" eval '[[ $(wire vlan 5 | wc -l) -gt 10 ]]'
	check "capture: nothing of the switch's" eval '[[ $(wire ether src $vf0 and ether dst $vf1 | wc -l) -eq 0 ]]'
}
iperf() { # OPTION...
	local out; out=$(tell a "iperf3 -f m -t 8 -c 10.0.0.2 $*" 60); local rc=$?
	grep -E 'sender|receiver|error' <<<"$out"
	[[ $rc -eq 0 ]] && grep -q 'Mbits/sec.*receiver' <<<"$out" && ! grep -q ' 0.00 Mbits/sec.*receiver' <<<"$out"
}
longer() {
	check "iperf3 server" tell b "iperf3 -s -D"
	check "iperf3: a to b" iperf; tail -n 2 "$tmp/out"
	check "iperf3: b to a" iperf -R; tail -n 2 "$tmp/out"
	check "iperf3: both ways, four streams" iperf --bidir -P 4; grep SUM "$tmp/out"
	sleeps() { tell a "echo 1 >/sys/module/suspend/parameters/pm_test_delay; echo devices >/sys/power/pm_test; echo mem >/sys/power/state" && links; }
	check "a sleeps and wakes" sleeps
	check "after its sleep: copy" copy b a 10.0.0.2 8
	ask a "reboot -f"
	check "a reboots" ready a
	tell a 'httpd -h /tmp; unshare -n sleep 100000 & echo $! >/tmp/ns; sleep 0.3; ip link set eth1 netns $(cat /tmp/ns)'; configure
	check "after the reboot: links are up" links
	check "after the reboot: copy" copy b a 10.0.0.2 8
	check "after the reboot: the second" ping other 10.0.0.2
}

if [[ $long ]]; then
	for kernel in 6.1 6.12; do
		mode="$kernel, QEMU 7.2"; life $kernel qemu-system-x86_64
	done
	mode="6.12, newest QEMU"; life 6.12 "$top/tools/qemu-newest"
else
	life 6.1 qemu-system-x86_64
fi
counts
