#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# testpmd.sh: DPDK's testpmd, unmodified, with its igb driver on two ports back to back: io and mac forwarding and four queues, after a reset
# of the ports and after one was detached and attached. What one port sent the other must have received: counted by the program and
# by the device, at both ends, with none lost.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-build}; [[ $build == /* ]] || build=$top/$build
testpmd=${TESTPMD:-$(command -v dpdk-testpmd)}
[[ -n $testpmd ]] || { echo "SKIP: dpdk-testpmd (package dpdk-dev)"; exit 77; }
[[ -w /var/run ]] || { echo "SKIP: testpmd wants to write to /var/run"; exit 77; }
[[ $(nproc) -ge 2 ]] || { echo "SKIP: testpmd wants two processors"; exit 77; }
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0
no() { failed=$((failed + 1)); echo "FAIL $*"; tail -n 40 "$tmp/out"; }

# The last statistics of both ports: "received missed errors sent errors", a port a line.
counts() {
	sed -n 's/.*RX-packets: *\([0-9]*\) *RX-missed: *\([0-9]*\) .*/r \1 \2/p; s/.*RX-errors: *\([0-9]*\).*/e \1/p;
		s/.*TX-packets: *\([0-9]*\) *TX-errors: *\([0-9]*\) .*/t \1 \2/p' "$tmp/out" | tail -n 6 | tr '\n' ' '
}

# run NAME COMMANDS OPTION...: COMMANDS, one a line, "sleep N" among them, end with a show of the statistics
run() {
	local name=$1 commands=$2 rc r0 m0 e0 t0 x0 r1 m1 e1 t1 x1; shift 2
	{
		sleep 1.5
		while read -r line; do
			case $line in sleep*) $line;; *) echo "$line";; esac
		done <<<"$commands"
		sleep 0.5
		echo quit
	} | timeout 60 stdbuf -oL "$build/uvfio" run --memlock unlimited --device igb,id=a,net=peer:b --device igb,id=b,net=peer:a -- \
		"$testpmd" --file-prefix="uvfio$$" --no-huge -m 64 --iova-mode=va -l 0,1 -a 01:00.0 -a 02:00.0 -- \
		--no-mlockall -i --total-num-mbufs=8192 "$@" >"$tmp/out" 2>&1
	rc=${PIPESTATUS[1]}
	[[ $rc -eq 0 ]] || { no "$name: status $rc"; return; }
	read -r _ r0 m0 _ e0 _ t0 x0 _ r1 m1 _ e1 _ t1 x1 <<<"$(counts)"
	if [[ ${r0:-0} -gt 10000 && $r0 == "${t1:-}" && ${r1:-} == "${t0:-}" && $m0$e0$x0$m1$e1$x1 == 000000 ]]; then
		passed=$((passed + 1)); echo "ok   $name: $r0 and $r1 packets"
	else
		no "$name: port 0 received ${r0:-?} of ${t1:-?}, port 1 ${r1:-?} of ${t0:-?}; missed and errors ${m0:-?} ${e0:-?} ${x0:-?} ${m1:-?} ${e1:-?} ${x1:-?}"
	fi
}

seconds=1; [[ ${UVFIO_LONG-} ]] && seconds=10
go="start tx_first"$'\nsleep '$seconds$'\nstop\nsleep 0.5'
show=$'show port stats all'
run "io" "$go"$'\n'"$show" --forward-mode=io
run "mac" "$go"$'\n'"$show" --forward-mode=mac
run "four queues" "$go"$'\n'"$show" --rxq=4 --txq=4 --rxd=256 --txd=256
run "port reset" "$go"$'\nport stop all\nsleep 0.5\nport reset all\nsleep 1\nport start all\nsleep 1\nclear port stats all\n'"$go"$'\n'"$show"
run "detach and attach" "$go"$'\nport stop 1\nsleep 0.5\nport close 1\nsleep 0.5\ndevice detach 0000:02:00.0\nsleep 0.5
port attach 0000:02:00.0\nsleep 1\nport start 1\nsleep 1\nclear port stats all\n'"$go"$'\n'"$show"
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
