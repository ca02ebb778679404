#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# guest_net.sh: Linux's igb driver in two guests, each in a QEMU under an `uvfio run` of its own,
# joined by UNIX datagrams (net=unix). One has no mapped BAR and MSI-X; the other has its BARs
# mapped into QEMU, so that the guest's accesses are loads and stores of QEMU's that fault, and MSI,
# then INTx. What went over the wire is captured (net=pcap) and judged by tcpdump. The long form
# does it with newer kernels and the newest QEMU too, and adds iperf3, suspend, and a guest that
# reboots or is killed while the other runs.
set -uo pipefail
. "$(dirname "$0")/guest/driven"
for c in ethtool tcpdump; do command -v $c >/dev/null || { echo "SKIP: $c"; exit 77; }; done
long=${UVFIO_LONG-}
files=(-f "$(command -v ethtool)")
if [[ $long ]]; then
	command -v iperf3 >/dev/null || { echo "SKIP: iperf3"; exit 77; }
	files+=(-f "$(command -v iperf3)")
	memory=320 limit=900
fi
mac_a=52:54:00:00:00:0a mac_b=52:54:00:00:00:0b
start_b() { start b "$qemu" "igb,net=unix:$tmp/b.sock:$tmp/a.sock,mac=$mac_b,vectors=1" ipv6.disable=1 -trace vfio_region_mmap; }

both() { tell a "$1" && tell b "$1"; }
carrier() { # GUEST...
	local g
	for g in "$@"; do tell "$g" 'for i in $(seq 100); do [ "$(cat /sys/class/net/eth0/carrier)" = 1 ] && break; sleep 0.1; done; [ $i -lt 100 ]' || return; done
}
interrupts() { local out; out=$(tell "$1" "grep eth0 /proc/interrupts"); echo "$out"; grep -q "$2" <<<"$out"; }
ping() { # WHERE [OPTION...]
	local out; out=$(tell a "ping -q -c 5 -i 0.1 -W 2 ${*:2} $1"); echo "$out"; [[ $out == *" 5 packets received, 0%"* ]]
}
copy() { # FROM TO ADDRESS MEGABYTES: by HTTP, whose server hands whole files to the kernel
	local want got
	want=$(tell "$1" "[ -e /tmp/data$4 ] || dd if=/dev/urandom of=/tmp/data$4 bs=1M count=$4 2>/dev/null; sha256sum /tmp/data$4; wc -c </tmp/data$4") || return
	got=$(tell "$2" "wget -q -O /tmp/data$4 http://$3/data$4; sha256sum /tmp/data$4; wc -c </tmp/data$4; rm /tmp/data$4") || return
	printf '%s\n' "$want" "$got"; [[ $want == "$got" && $want == *$'\n'$(($4 * 1048576)) ]]
}
stat() { tell "$1" "ethtool -S eth0" | sed -n "s/^ *$2: //p"; }
# The driver's own test, in all guests at once, as it waits for nine seconds and more. It gives each
# interrupt ten milliseconds to come, which a busy host cannot always keep: a guest that misses that
# alone (4) tries again, three times at most.
selftest() { # GUEST...
	local g out again=("$@") rc=0
	for _ in 1 2 3; do
		set -- "${again[@]}"; again=()
		for g in "$@"; do ask "$g" "ethtool -t eth0 offline"; done
		for g in "$@"; do
			out=$(answer "$g" 60)
			echo "$out"
			[[ $(grep -cE '^(Register|Eeprom|Interrupt|Loopback|Link) test .*[[:space:]]0$' <<<"$out") -eq 5 && $out == *"The test result is PASS"* ]] && continue
			if [[ $(grep -cE '^[A-Z][a-z]+ test .*[[:space:]]0$' <<<"$out") -eq 4 ]] && grep -qE '^Interrupt test .*[[:space:]]4$' <<<"$out"; then again+=("$g"); else rc=1; fi
		done
		[[ ${again[*]} ]] || break
	done
	[[ -z ${again[*]} && $rc -eq 0 ]]
}
wire() { tcpdump -nnvv -r "$tmp/a.pcap" "$@" 2>/dev/null; }
configure() { # also after its driver came back
	tell a "ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0; arp -s 10.0.0.2 $mac_b"
	tell b "ip link set eth0 up; ip addr add 10.0.0.2/24 dev eth0; arp -s 10.0.0.1 $mac_a"
} >/dev/null 2>&1

iperf() { # OPTION...
	local out; out=$(tell a "iperf3 -f m -t 8 -c 10.0.0.2 $*" 60); local rc=$?
	grep -E 'sender|receiver|error' <<<"$out"
	[[ $rc -eq 0 ]] && grep -q 'Mbits/sec.*receiver' <<<"$out" && ! grep -q ' 0.00 Mbits/sec.*receiver' <<<"$out"
}
alive() { # b came back: the addresses anew, and a copy each way
	ready b && tell b "httpd -h /tmp" && configure; carrier b && ping 10.0.0.2 && copy a b 10.0.0.1 4 && copy b a 10.0.0.2 4
}
longer() {
	check "self-tests, by MSI-X and by INTx" selftest a b
	check "iperf3 server" tell b "iperf3 -s -D"
	check "iperf3: a to b" iperf; tail -n 2 "$tmp/out"
	check "iperf3: b to a" iperf -R; tail -n 2 "$tmp/out"
	check "iperf3: both ways, four streams" iperf --bidir -P 4; grep SUM "$tmp/out"
	check "iperf3: UDP" iperf -u -b 20M; tail -n 1 "$tmp/out"
	sleeps() { tell a "echo 1 >/sys/module/suspend/parameters/pm_test_delay; echo devices >/sys/power/pm_test; echo mem >/sys/power/state" && carrier a; }
	check "a sleeps and wakes" sleeps
	check "after its sleep: copy" copy a b 10.0.0.1 8
	both "ip link set eth0 mtu 9000"; carrier a b
	check "jumbo frames: a longer copy" copy b a 10.0.0.2 32
	both "ip link set eth0 mtu 1500"; carrier a b
	tell a "while true; do wget -q -O /dev/null http://10.0.0.2/data64; done >/dev/null 2>&1 &"
	sleep 1; ask b "reboot -f"
	check "b reboots under load" alive
	tell b "dd if=/dev/urandom of=/tmp/data64 bs=1M count=64 2>/dev/null"; sleep 1
	kill -KILL "$(<"$tmp/b.qemu.pid")"; wait "${pid[b]}" 2>/dev/null
	check "a goes on when b is killed" tell a "ethtool -S eth0 >/dev/null"
	start_b
	check "b is killed under load and started again" alive
	tell a "kill %1"
}
traffic() { # what goes over the wire, with offloads and without
	local was
	check "ping" ping 10.0.0.2
	check "ping, in fragments" ping 10.0.0.2 -s 20000
	vlan_up() { both "ip link add link eth0 name eth0.5 type vlan id 5 && ip link set eth0.5 up" && tell a "ip addr add 10.5.0.1/24 dev eth0.5" && tell b "ip addr add 10.5.0.2/24 dev eth0.5"; }
	check "VLAN" vlan_up
	check "VLAN: ping" ping 10.5.0.2
	check "VLAN: copy" copy a b 10.5.0.1 2
	check "VLAN: without offloads" both "ethtool -K eth0 rxvlan off txvlan off"
	check "VLAN: without offloads: ping" ping 10.5.0.2
	check "VLAN: without offloads: copy" copy b a 10.5.0.2 2
	check "VLAN: b leaves it" tell b "ip link del eth0.5"
	unjoined() { local before after; before=$(stat b rx_packets); ! ping 10.5.0.2 && after=$(stat b rx_packets) && echo "$before frames, then $after" && [[ $((after - before)) -lt 5 ]]; } # an ARP request may come
	check "VLAN: b hears nothing more of it" unjoined
	tell a "ip link del eth0.5"; both "ethtool -K eth0 rxvlan on txvlan on" >/dev/null

	offloads() { tell "$1" "ethtool -k eth0" | grep -cE "^(rx-checksumming|tx-checksumming|tcp-segmentation-offload|scatter-gather): $2"; }
	check "offloads are on" eval '[[ $(offloads a on) -eq 4 && $(offloads b on) -eq 4 ]]'
	check "copy a to b" copy a b 10.0.0.1 $((long ? 64 : 8))
	check "copy b to a" copy b a 10.0.0.2 $((long ? 64 : 8))
	segmented() { local n; n=$(stat a tx_tcp_seg_good); echo "$n segmented"; [[ $n -gt 20 ]]; }
	check "the device segmented" segmented
	check "offloads off" both "ethtool -K eth0 rx off tx off sg off tso off gso off gro off"
	was=$(stat a tx_tcp_seg_good)
	check "without offloads: copy a to b" copy a b 10.0.0.1 4
	check "without offloads: copy b to a" copy b a 10.0.0.2 4
	check "without offloads: the device did not segment" eval '[[ $was -eq $(stat a tx_tcp_seg_good) ]]'
	check "offloads on again" both "ethtool -K eth0 rx on tx on sg on tso on gso on gro on"

	check "jumbo frames" both "ip link set eth0 mtu 9000"
	check "jumbo frames: links are up" carrier a b
	check "jumbo frames: ping" ping 10.0.0.2 -s 8900
	check "jumbo frames: copy a to b" copy a b 10.0.0.1 8
	check "jumbo frames: copy b to a" copy b a 10.0.0.2 8
	both "ip link set eth0 mtu 1500"; carrier a b
}

farewell() {
	for g in a b; do
		quiet() { ! tell $g "dmesg | grep -E 'igb.*([Hh]ang|timed out|[Ff]ail|[Ee]rror|Reset adapter)|WARNING|BUG:|nobody cared|transmit queue .* timed out'"; }
		check "$g: the kernel has nothing to say" quiet
		check "$g: QEMU ends well" end $g
		check "$g: uvfio has nothing to say" eval "cat '$tmp/$g.log'; [[ ! -s '$tmp/$g.log' ]]"
	done
	check "capture: checksums are right" eval '! wire | grep -iE "incorrect|bad.cksum|wrong|truncated|invalid"'
	frames() { local n; n=$(wire "$@" | grep -c .); echo "$n lines for $*"; [[ $n -gt 10 ]]; }
	check "capture: TCP" frames tcp
	check "capture: VLAN" frames vlan 5
	check "capture: jumbo" frames greater 5000
	check "capture: nothing is longer than a frame" eval '[[ $(wire greater 9019 | wc -l) -eq 0 ]]'
}

life() { # KERNEL QEMU
	qemu=$2
	rm -f "$tmp"/*.pcap
	vm=$("$top/tools/guest-initrd" -k "$1" -M igb -M 8021q "${files[@]}" -i "$top/tests/guest/shell" -o "$tmp/initrd") || { check "kernel $1" false; return; }
	start a "$qemu" "igb,net=unix:$tmp/a.sock:$tmp/b.sock,net=pcap:$tmp/a.pcap,mac=$mac_a,mmap=off" ipv6.disable=1
	start_b
	check "guest a is up" ready a || return
	check "guest b is up" ready b || return
	both "uname -r; dmesg | grep 'igb.*0000'"
	both "httpd -h /tmp"; configure
	check "a has no mapped BAR, b has" eval '! grep -q "BAR 0" "$tmp/a.qemu" && grep "BAR 0" "$tmp/b.qemu"'
	check "links are up" carrier a b
	check "a has MSI-X" interrupts a 'PCI-MSI.*eth0-rx'
	check "b has MSI" interrupts b 'PCI-MSI.*eth0$'
	traffic
	check "self-tests, by MSI-X and by MSI" selftest a b
	check "links are up after it" carrier a b
	registers() { # the link is up, and the first receive address is the port's
		local out; out=$(tell "$1" "ethtool -d eth0"); grep -E 'STATUS|RCTL|Link up|Link speed' <<<"$out"
		grep -q 'Link up: *link config' <<<"$out" && grep -q 'Link speed: *1000Mb/s' <<<"$out"
	}
	eeprom() { # its address, its length, and its checksum: the first 64 words make 47802 (baba in hexadecimal)
		local out; out=$(tell "$1" "ethtool -e eth0 raw on >/tmp/ee; wc -c </tmp/ee; hexdump -v -n 128 -e '1/2 \"%u \"' /tmp/ee; echo; hexdump -v -n 6 -e '1/1 \"%02x:\"' /tmp/ee")
		echo "$out"; awk -v mac="$2:" 'NR==1 && $1!=2048{bad=1} NR==2{for(i=1;i<=NF;i++)s+=$i; if(s%65536!=47802)bad=1} NR==3 && $1!=mac{bad=1} END{exit bad||NR!=3}' <<<"$out"
	}
	check "a: registers" registers a
	check "b: registers" registers b
	check "a: EEPROM" eeprom a $mac_a
	check "b: EEPROM" eeprom b $mac_b
	holds() { eeprom a $mac_a && tell a "hexdump -v -s 16 -n 1 -e '1/1 \"%02x\"' /tmp/ee | grep -x $1"; }
	check "a: writing the EEPROM" tell a "ethtool -E eth0 magic 0x10c98086 offset 0x10 value 0x77"
	check "a: it is written, and its checksum made anew" holds 77

	count() { wc -l < <(tcpdump -nn -r "$tmp/a.pcap" 2>/dev/null); }
	agree() { # nothing but what is sent here goes over the wire: addresses are fixed, IPv6 is off
		local n k v w
		local -A is=()
		w=$(count)
		for n in a b; do
			while read -r k v; do is[$n.$k]=-$v; done < <(tell $n "ethtool -S eth0" | sed -n 's/^ *\([a-z0-9_]*\): /\1 /p')
		done
		ping 10.0.0.2 && copy a b 10.0.0.1 2 && copy b a 10.0.0.2 2 || return
		w=$(($(count) - w))
		for n in a b; do
			while read -r k v; do is[$n.$k]=$((v${is[$n.$k]})); done < <(tell $n "ethtool -S eth0" | sed -n 's/^ *\([a-z0-9_]*\): /\1 /p')
		done
		for k in "${!is[@]}"; do echo "$k ${is[$k]}"; done | grep -v ' 0$' | sort
		echo "captured $w"
		[[ ${is[a.tx_packets]} -eq ${is[b.rx_packets]} && ${is[b.tx_packets]} -eq ${is[a.rx_packets]} && ${is[a.tx_bytes]} -eq ${is[b.rx_bytes]} &&
			${is[b.tx_bytes]} -eq ${is[a.rx_bytes]} && $w -eq $((is[a.tx_packets] + is[a.rx_packets])) && ${is[a.tx_packets]} -gt 100 ]] || return
		for n in a b; do for k in rx_missed_errors rx_no_buffer_count rx_errors tx_errors tx_dropped rx_queue_0_csum_err; do [[ ${is[$n.$k]} -eq 0 ]] || return; done; done
		# what the queues had is what the device counts
		[[ $((is[a.rx_queue_0_packets] + is[a.rx_queue_1_packets])) -eq ${is[a.rx_packets]} && ${is[b.rx_queue_0_packets]} -eq ${is[b.rx_packets]} ]]
	}
	# on a busy host the wire may lose a frame, which TCP sends again: not each time
	often() { local i; for i in 1 2 3 4 5; do agree && return; done; return 1; }
	check "statistics agree: drivers, devices and capture" often

	check "down" both "ip link set eth0 down"
	check "down: nothing gets through" eval '! ping 10.0.0.2'
	configure
	check "up" carrier a b
	check "up: ping" ping 10.0.0.2
	settings() { both "ethtool -G eth0 rx 512 tx 128 && ethtool -C eth0 rx-usecs 100 && ethtool -A eth0 autoneg off rx off tx off && ethtool -r eth0" && tell a "ethtool -L eth0 combined 1"; }
	check "rings, coalescing, queues, renegotiation" settings
	carrier a b
	speed() { # ADVERTISED SPEED
		tell a "ethtool -s eth0 autoneg on advertise $1" && carrier a && [[ $(tell a "cat /sys/class/net/eth0/speed /sys/class/net/eth0/duplex") == "$2" ]]
	}
	check "100 Mbit/s half duplex is what a offers" speed 0x004 $'100\nhalf'
	check "everything again" speed 0x02f $'1000\nfull'
	check "rings, coalescing, queues: copy" copy a b 10.0.0.1 4
	rebind() { # the function's reset in between; @2: 0 for INTx
		tell "$1" 'd=$(basename $(readlink /sys/class/net/eth0/device)); s=/sys/bus/pci/devices/$d; echo $d >/sys/bus/pci/drivers/igb/unbind; echo 1 >$s/reset && echo '"$2"' >$s/msi_bus; echo $d >/sys/bus/pci/drivers/igb/bind && ls /sys/class/net/eth0 >/dev/null'
	}
	check "a: unbound, reset, bound" rebind a 1
	check "a: the EEPROM kept what was written" holds 77
	check "b: unbound, reset, bound without MSI" rebind b 0
	configure
	check "links are up again" carrier a b
	check "a has MSI-X again" interrupts a 'PCI-MSI.*eth0-rx'
	check "b has INTx" interrupts b 'IO-APIC.*eth0$'
	check "INTx: ping" ping 10.0.0.2
	check "INTx: copy a to b" copy a b 10.0.0.1 8
	check "INTx: copy b to a" copy b a 10.0.0.2 8
	[[ $long ]] && longer
	farewell
}

# At the other end QEMU's own 82576, with the same driver: what is on the wire is what another
# implementation puts there and takes.
oracle() {
	rm -f "$tmp"/*.{pcap,log}; touch "$tmp/b.log"
	vm=$("$top/tools/guest-initrd" -k 6.12 -M igb -M 8021q "${files[@]}" -i "$top/tests/guest/shell" -o "$tmp/initrd") || { check "kernel" false; return; }
	start a qemu-system-x86_64 "igb,net=unix:$tmp/a.sock:$tmp/b.sock,net=pcap:$tmp/a.pcap,mac=$mac_a" ipv6.disable=1
	start b "$top/tools/qemu-newest" "" ipv6.disable=1 -device "igb,netdev=n,mac=$mac_b" \
		-netdev "dgram,id=n,local.type=unix,local.path=$tmp/b.sock,remote.type=unix,remote.path=$tmp/a.sock"
	check "guest a is up" ready a || return
	check "guest b is up" ready b || return
	both "httpd -h /tmp"; configure
	check "links are up" carrier a b
	traffic
	farewell
}

if [[ $long ]]; then
	for kernel in 6.1 6.12; do
		mode="$kernel, QEMU 7.2"; life $kernel qemu-system-x86_64
	done
	mode="6.12, newest QEMU"; life 6.12 "$top/tools/qemu-newest"
	mode="QEMU's own igb"; oracle
else
	life 6.1 qemu-system-x86_64
fi
counts
