#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# testpmd_vf.sh: DPDK's testpmd, unmodified, on virtual functions of the igb model
# (net_e1000_igb_vf), of Debian 12 and the newest of Debian. First with the PF in the same program,
# whose igb driver is then the host of the VFs and answers their mailbox: VFs through the switch
# inside the device, and a VF with another device at the other end of the cable. Then with the PF
# left to the model (driver=igb): eight VFs, VLANs. What one port sent the other must have received,
# counted by the device at both ends and by the program, with none lost. With UVFIO_LONG: for
# longer, with more resets.
set -uo pipefail
# shellcheck source=tests/lib/testpmd.sh
. "$(dirname "$0")/lib/testpmd.sh"
testpmd_wants
seconds=0.4; [[ ${UVFIO_LONG-} ]] && seconds=4

# agree A B: what two ports counted since the last clear: sets $why if not, $packets
agree() {
	local ra ma ea na ta xa rb mb eb nb tb xb
	pmd_stats "$1"; read -r ra ma ea na ta xa <<<"$stats"
	pmd_stats "$2"; read -r rb mb eb nb tb xb <<<"$stats"
	packets="$ra and $rb packets"
	why="port $1 received ${ra:-?} of ${tb:-?}, port $2 ${rb:-?} of ${ta:-?}; missed ${ma:-?} ${mb:-?}, errors ${ea:-?} ${eb:-?} ${xa:-?} ${xb:-?}, no mbuf ${na:-?} ${nb:-?}"
	[[ ${ra:-0} -ge 1000 && $ra == "${tb:-}" && ${rb:-} == "${ta:-}" && $ma$ea$na$xa$mb$eb$nb$xb == 00000000 ]]
}

# port N's address, and those of all ports set so that each pair sends to each other
mac() { printf '02:00:00:00:01:%02x' "$1"; }
meet() { # A B: the commands
	echo "set eth-peer $1 $(mac "$2")"; echo "set eth-peer $2 $(mac "$1")"
}

# heard: the PF knows of its VFs (ports 1 and 2) what they told it. DPDK's igb driver answers even a
# VF's acknowledgement with a message (igb_rcv_ack_from_vf() of its igb_pf.c), and what the VF says
# in that moment is lost, the more often the less processor time there is; a VF that got no answer
# within a second says nothing more until it is started again, and its own driver tells nobody. The
# device does: so VFs are started again, which tells the PF all of it.
unheard() { [[ $pf && $(grep -c "uvfio: warn: .*: its message to the physical function" "$tmp/out") -gt $pmd_unheard ]]; }
heard() {
	local try
	for ((try = 0; try < 50; try++)); do
		unheard || return 0
		pmd_unheard=$(grep -c "uvfio: warn: .*: its message to the physical function" "$tmp/out")
		pmd "port stop 1" "port stop 2" "port start 1" "port start 2" || return
	done
	no "testpmd $version: the PF does not hear its VFs"
}

# around A B: bursts go round and round between ports A and B; status 1 and $why if they do not, or
# not all of them
around() {
	local a=$1 b=$2 said
	why="nothing goes round"
	pmd "$(meet "$a" "$b")" "set portlist $a,$b" "clear port stats all" "start tx_first" && sleep "$seconds" && pmd_busy "$a" && pmd "stop" || { pmd "stop"; return 1; }
	said=$(sed -n '/Accumulated forward statistics/,$s/.*\([RT]X\)-packets: *\([0-9]*\) *[RT]X-dropped: *\([0-9]*\) .*/\1 \2 \3/p' <<<"$reply" | tr '\n' ' ')
	agree "$a" "$b" || return 1
	why="the program says: $said"
	[[ $said =~ ^RX\ ([0-9]+)\ 0\ TX\ ([0-9]+)\ 0\ $ && ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]]
}

# forward NAME A B [COMMAND...]: COMMANDs, then bursts go round between A and B
forward() {
	local name="testpmd $version: $1" a=$2 b=$3; shift 3
	pmd "$@" && heard || { no "$name: testpmd does not answer"; return; }
	until around "$a" "$b"; do
		unheard || { no "$name: $why"; return; }
		heard
	done
	yes "$name: $packets"
}

# burst NAME FROM ADDRESS PORT...: one burst of 32 from a port to ADDRESS is received by each PORT,
# and by no other of those that are there. A PF's counters are those of the wire, its VFs' packets
# included: of port $pf it counts the descriptors that were used.
burst() {
	local name="testpmd $version: $1" from=$2 to=$3 p got expected; shift 3
	heard
	while :; do
		got="" expected=""
		pmd "set fwd rxonly" "set portlist ${pmd_ports// /,}" start stop "set portlist $from" "set eth-peer $from $to" "clear port stats all" "start tx_first 1" stop
		for p in $pmd_ports; do
			case " $* " in *" $p "*) expected+=" 32";; *) expected+=" 0";; esac
			if [[ $p == "$pf" ]]; then pmd "show port $p rxq 0 desc used count"; stats=$(sed -n 's/.*[Uu]sed desc count = //p' <<<"$reply"); else pmd_stats "$p"; fi
			got+=" ${stats%% *}"
		done
		[[ $got == "$expected" ]] && { yes "$name"; return; }
		unheard || { no "$name: the ports received$got, not$expected"; return; }
		heard
	done
}

until_port() { # PORT STATE
	local try
	for ((try = 0; try < 100; try++)); do
		pmd "show port info $1" || return
		grep -qi "Link status: $2" <<<"$reply" && return
		sleep 0.1
	done
	return 1
}

# ports 0: the PF; 1, 2: VFs; 3: the other device. The PF's own address is VF 0's as far as the
# device can see: so DPDK sets it (rte_eth_dev_start() has the PMD write it anew, for pool 0), and
# what is sent to it is not looked at here.
pf_too() {
	local pf=0 pmd_unheard=0 token=14d63f20-8445-11ea-8900-1f9ce7d5650d i
	pmd_ports="0 1 2 3" pmd_memory=96 pmd_mbufs=12000
	pmd_start --device igb,sriov_numvfs=2,id=a --device igb,net=peer:a -- --vfio-vf-token=$token -a 01:00.0 -a 01:10.0 -a 01:10.2 -a 02:00.0 -- || return
	for i in 1 2 3; do pmd "mac_addr set $i $(mac $i)"; done
	forward "two VFs, io" 1 2 "set fwd io"
	forward "two VFs, mac" 1 2 "set fwd mac"
	forward "a VF and the other end of the cable" 1 3
	pmd "set promisc all off" "set promisc 3 on"
	burst "to a VF: there alone" 1 "$(mac 2)" 2
	burst "from outside to a VF: there alone" 3 "$(mac 1)" 1
	burst "to all" 1 ff:ff:ff:ff:ff:ff 0 2 3
	burst "to nobody here: out" 1 02:00:00:00:02:01 3
	pmd "mac_addr set 2 02:00:00:00:02:01"
	burst "a VF's new address" 1 02:00:00:00:02:01 2
	burst "and not its old one" 1 "$(mac 2)" 3
	pmd "mac_addr set 2 $(mac 2)"
	forward "after a stop and start of a VF" 1 2 "set fwd mac" "port stop 1" "port start 1"
	forward "after a VF was detached and attached" 2 3 "port stop 2" "port close 2" "device detach 0000:01:10.2" "port attach 0000:01:10.2" "port start 2" "mac_addr set 2 $(mac 2)"
	for ((i = 0; i < 20 * (${UVFIO_LONG:+1} + 0); i++)); do forward "after a stop and start of both VFs $i" 1 2 "port stop 1" "port stop 2" "port start 1" "port start 2"; done
	# the PF stops: its reset takes the VFs along, which see that the link went
	pmd "port stop 0" "set link-down port 0"
	if until_port 1 down; then yes "testpmd $version: without the PF a VF has no link"; else no "testpmd $version: without the PF a VF has a link: $reply"; fi
	pmd "set link-up port 0" "port start 0" "port stop 1" "port stop 2" "port start 1" "port start 2"
	until_port 1 up || no "testpmd $version: with the PF back a VF has no link: $reply"
	forward "after a stop and start of the PF" 1 2
	pmd_quit
}

# eight VFs, and the other device, with nobody on the PF
model_hosts() {
	local i pf="" vfs=()
	pmd_ports="0 1 2 3 4 5 6 7 8" pmd_memory=160 pmd_mbufs=24000
	for i in 10.0 10.2 10.4 10.6 11.0 11.2 11.4 11.6; do vfs+=(-a "01:$i"); done
	pmd_start --device igb,sriov_numvfs=8,driver=igb,id=a --device igb,net=peer:a -- "${vfs[@]}" -a 02:00.0 -- || return
	for i in {0..8}; do pmd "mac_addr set $i $(mac "$i")"; done
	pmd "set promisc all off" "set promisc 8 on"
	forward "of eight VFs the first and the last" 0 7 "set fwd mac"
	pmd "$(meet 0 1)" "$(meet 2 3)" "$(meet 4 5)" "$(meet 6 7)" "set portlist 0,1,2,3,4,5,6,7" "clear port stats all" "start tx_first"; sleep "$seconds"; for p in {0..7}; do pmd_busy $p; done; pmd stop
	for i in 0 2 4 6; do
		if agree $i $((i + 1)); then yes "testpmd $version: four pairs of VFs at once: $packets"; else no "testpmd $version: four pairs of VFs at once: $why"; fi
	done
	forward "a VF and the other end of the cable" 5 8
	burst "to all" 5 ff:ff:ff:ff:ff:ff 0 1 2 3 4 6 7 8
	burst "multicast that nobody asked for" 5 01:00:5e:00:00:fb 8
	pmd "set allmulti 3 on"
	burst "multicast to a VF that takes all of it" 5 01:00:5e:00:00:fb 3 8
	pmd "set allmulti 3 off" "mcast_addr add 2 01:00:5e:00:00:fb"
	burst "multicast to a VF that asked for it" 5 01:00:5e:00:00:fb 2 8
	pmd "port stop 8" "tx_vlan set 8 100" "port start 8"
	burst "a tag to a VF that is not of that VLAN" 8 "$(mac 1)"
	pmd "port stop 1" "port config 1 rx_offload vlan_filter on" "port start 1" "rx_vlan add 100 1"
	burst "a tag to a VF of that VLAN" 8 "$(mac 1)" 1
	burst "a tag to all: the VLAN alone" 8 ff:ff:ff:ff:ff:ff 1
	pmd "rx_vlan rm 100 1"
	burst "a VF that left the VLAN" 8 "$(mac 1)"
	pmd "port stop 8" "tx_vlan reset 8" "port start 8"
	forward "and without tags again" 1 8 "set fwd mac"
	pmd_quit
}

for which in bookworm newest; do
	testpmd_use $which || continue
	pf_too
	model_hosts
done
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
