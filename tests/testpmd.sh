#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# testpmd.sh: DPDK's testpmd, unmodified, of Debian 12 and the newest of Debian, with its igb driver
# on two ports back to back: forwarding by io and mac, one queue and four, after a reset of the
# ports, after a port was detached and attached. What one port sent the other must have received,
# counted by the device at both ends and by the program, with none lost. With UVFIO_LONG: more
# modes, frames of all sizes, for minutes.
set -uo pipefail
# shellcheck source=tests/lib/testpmd.sh
. "$(dirname "$0")/lib/testpmd.sh"
testpmd_wants
seconds=0.5; [[ ${UVFIO_LONG-} ]] && seconds=4

# equal: what the devices counted since the last clear agrees: sets $why if not, $packets
equal() {
	pmd_stats 0; read -r r0 m0 e0 n0 t0 x0 <<<"$stats"
	pmd_stats 1; read -r r1 m1 e1 n1 t1 x1 <<<"$stats"
	packets="$r0 and $r1 packets"
	why="port 0 received ${r0:-?} of ${t1:-?}, port 1 ${r1:-?} of ${t0:-?}; missed ${m0:-?} ${m1:-?}, errors ${e0:-?} ${e1:-?} ${x0:-?} ${x1:-?}, no mbuf ${n0:-?} ${n1:-?}"
	[[ ${r0:-0} -ge 1000 && $r0 == "${t1:-}" && ${r1:-} == "${t0:-}" && $m0$e0$n0$x0$m1$e1$n1$x1 == 00000000 ]]
}

# forward NAME [COMMAND...]: COMMANDs, then a burst each way goes round and round for a while
forward() {
	local name="testpmd $version: $1" said; shift
	if ! pmd "clear port stats all" "$@" "start tx_first" || ! sleep "$seconds" || ! pmd_busy 0 || ! pmd "stop"; then no "$name: nothing goes round"; return; fi
	stopped=$reply
	# of the forwarding, as the program sums it up: all that it received it sent, and nothing
	# was dropped on the way
	said=$(sed -n '/Accumulated forward statistics/,$s/.*\([RT]X\)-packets: *\([0-9]*\) *[RT]X-dropped: *\([0-9]*\) .*/\1 \2 \3/p' <<<"$reply" | tr '\n' ' ')
	if ! equal; then no "$name: $why"
	elif ! [[ $said =~ ^RX\ ([0-9]+)\ 0\ TX\ ([0-9]+)\ 0\ $ && ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]]; then no "$name: the program says: $said"
	elif grep -qE 'Bad-(ip|l4)csum: *[1-9]' <<<"$stopped"; then no "$name: $(grep -E 'Bad-(ip|l4)csum' <<<"$stopped")"
	else yes "$name: $packets"; fi
}

# after forward, with several queues: each stream had something to forward, by the program's own
# count
streams() { # NAME COUNT
	local n; n=$(grep -A1 'Forward Stats for RX Port' <<<"$stopped" | grep -cE 'RX-packets: *[1-9]')
	if [[ $n -eq $2 ]]; then yes "testpmd $version: $1: $n streams"; else no "testpmd $version: $1: $n streams of $2"; fi
}

# the test of the test: nobody empties port 1's ring, so the check above must see what is lost; and
# the device must have counted it
overrun() {
	pmd "clear port stats all" "set portlist 0" "set fwd txonly" start; pmd_busy 1 missed; pmd stop
	if equal; then no "testpmd $version: a loss was not noticed: $why"
	elif [[ $r1 -gt 0 && $m1 -gt 0 && $((r1 + m1)) -eq $t0 ]]; then yes "testpmd $version: a ring that nobody empties: of $t0 packets $r1 received, $m1 missed"
	else no "testpmd $version: a ring that nobody empties: $why"; fi
	pmd "set portlist 0,1"
}

# with four queues: a rule takes a burst of each of port 0's queues, which are many flows to one
# address and port, to one queue of port 1
flow_rule() {
	local name="testpmd $version: a flow rule" q used=
	pmd "flow create 1 ingress pattern eth / ipv4 dst is 198.18.0.2 proto is 17 / udp dst is 9 / end actions queue index 2 / end"
	[[ $reply == *"Flow rule #0 created"* ]] || { no "$name: $reply"; return; }
	pmd start stop "set portlist 0" "start tx_first 1" stop # what is left in the rings goes first
	for q in 0 1 2 3; do pmd "show port 1 rxq $q desc used count"; used+=" $(sed -n 's/.*[Uu]sed desc count = //p' <<<"$reply")"; done
	pmd "set portlist 0,1" "flow flush 1"
	if [[ $used == " 0 0 128 0" ]]; then yes "$name"; else no "$name: the queues have$used"; fi
}

# the other end's link goes and comes: the program hears of it by an interrupt, and packets pass
# again
link() { # NAME
	local seen
	pmd "port stop 1" "set link-down port 1"; until_port 0 down; seen=$?
	pmd "set link-up port 1" "port start 1"; until_port 0 up && [[ $seen -eq 0 ]] || { no "testpmd $version: $1: the link's state: $reply"; return; }
	forward "$1"
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

# shellcheck disable=SC2054
back_to_back=(--device igb,id=a,net=peer:b --device igb,id=b,net=peer:a)
both=(-a 01:00.0 -a 02:00.0)
reset=("port stop all" "port reset all" "port start all")
again=("port stop 1" "port close 1" "device detach 0000:02:00.0" "port attach 0000:02:00.0" "port start 1")
queues() { echo "port stop all"; printf 'port config all %s\n' "rxq $1" "txq $1" "rxd $2" "txd $2"; echo "port start all"; [[ $1 -eq 1 ]] || echo "port config all rss udp"; }

# how the program opens devices: by groups, also the newest, though there are character devices
opened() {
	local said; said=$("$build/uvfio" ctl --run "$pmd_pid" list)
	if [[ $(grep -c "by group" <<<"$said") -eq 2 && $said != *"by cdev"* ]]; then yes "testpmd $version: both devices are open by group"; else no "testpmd $version: how devices are open: $said"; fi
}

short() {
	pmd_start "${back_to_back[@]}" -- "${both[@]}" -- || return
	opened
	forward "io"
	forward "mac" "set fwd mac"
	forward "io after a reset of both ports" "set fwd io" "${reset[@]}"
	forward "io after detach and attach" "${again[@]}"
	forward "io, four queues" "$(queues 4 256)"
	streams "io, four queues" 8
	flow_rule
	overrun
	pmd_quit
}

long() {
	local n i
	# without huge pages every page is a mapping of its own, and VFIO allows 65535 of them
	pmd_memory=192 pmd_mbufs=40000
	pmd_start "${back_to_back[@]}" -- "${both[@]}" -- || return
	for n in io mac macswap 5tswap csum; do forward "$n" "set fwd $n"; done
	forward "csum, by the device" "port stop all" "csum set ip hw 0" "csum set udp hw 0" "csum set ip hw 1" "csum set udp hw 1" "port start all"
	for n in 60 64 65 127 128 256 511 1024 1514 200,300,400 64,64,64,64; do forward "io, frames of $n bytes" "set fwd io" "${reset[@]}" "set txpkts $n"; done
	pmd "set txpkts 64"
	for n in 2 3 4 8 16; do
		forward "io, $n queues" "$(queues $n $((n > 4 ? 4096 / n : 1024)))"
		streams "io, $n queues" $((2 * n))
	done
	for n in 128 1024 4096; do forward "io, rings of $n" "$(queues 2 $n)"; done
	forward "io, one queue" "$(queues 1 512)"
	for n in 1 8 64 256; do forward "io, bursts of $n" "set burst $n"; done
	pmd "set burst 32"
	link "io after the link went and came"
	seconds=0.3
	for i in {1..15}; do
		forward "mac after detach and attach $i" "set fwd mac" "${again[@]}"
		forward "io after a reset $i" "set fwd io" "${reset[@]}"
	done
	seconds=4
	overrun
	forward "io after the overrun" "set fwd io" "${reset[@]}"
	pmd_quit

	for n in legacy msi msix; do
		pmd_start "${back_to_back[@]}" -- "${both[@]}" --vfio-intr="$n" -- || continue
		link "io, link interrupts by $n"
		pmd_quit
	done
	pmd_start "${back_to_back[@]}" -- "${both[@]}" -- --max-pkt-len=9018 --enable-scatter --txd=256 || return
	for n in 9000 2000,2000,2000,1500 2040,2040; do forward "io, jumbo frames of $n bytes over several buffers" "set txpkts $n"; done
	pmd_quit
	pmd_mbufs=8192
	pmd_start "${back_to_back[@]}" -- "${both[@]}" -- --max-pkt-len=9018 --mbuf-size=10240 || return
	forward "mac, jumbo frames of 9000 bytes in one buffer" "set fwd mac" "set txpkts 9000"
	pmd_quit
	unset pmd_memory pmd_mbufs
}

# as somebody who may do nothing: no capability, and the limit of locked memory that a login has
user() {
	setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$build/uvfio" 2>/dev/null || { echo "SKIP: an ordinary user cannot read $build"; return; }
	mkdir -m 777 "$tmp/user"; chmod 755 "$tmp"
	pmd_as=(setpriv --reuid=65534 --regid=65534 --clear-groups env "TMPDIR=$tmp/user" "XDG_RUNTIME_DIR=$tmp/user" prlimit --memlock=65536)
	pmd_start "${back_to_back[@]}" -- "${both[@]}" -- || return
	forward "io, as an ordinary user"
	pmd_quit
	unset pmd_as
}

for which in bookworm newest; do
	testpmd_use $which || continue
	if [[ ${UVFIO_LONG-} ]]; then long; else short; fi
	[[ $which == newest || $(id -u) -ne 0 ]] || user
done
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
