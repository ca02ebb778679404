#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# own_dpdk.sh: DPDK's secondary processes, unmodified, on devices with process=own: two igb ports
# back to back, which a primary testpmd has; beside it a secondary one forwards on queues of its own,
# dpdk-proc-info reads the ports' counters, and dpdk-pdump has the ports. They share memory by huge
# pages, of which 80 (of 2 MiB) have to be free and a hugetlbfs mounted; with UVFIO_LONG and as root
# that is done here.
set -uo pipefail
# shellcheck source=tests/lib/testpmd.sh
. "$(dirname "$0")/lib/testpmd.sh"
testpmd_wants
pages=/sys/kernel/mm/hugepages/hugepages-2048kB
free() { cat $pages/free_hugepages 2>/dev/null || echo 0; }
huge=$(sed -n 's/^[^ ]* \([^ ]*\) hugetlbfs .*/\1/p' /proc/mounts | head -n 1)
if [[ ${UVFIO_LONG-} && -w $pages/nr_hugepages ]]; then
	had=$(cat $pages/nr_hugepages) mounted=
	[[ $huge ]] || { mkdir "$tmp/huge" && mount -t hugetlbfs none "$tmp/huge" && huge=$tmp/huge mounted=1; }
	trap 'pmd_kill; [[ $mounted ]] && umount "$tmp/huge"; rm -rf "$tmp"; echo "$had" >$pages/nr_hugepages' EXIT
	[[ $(free) -ge 80 ]] || echo $((had + 80)) >$pages/nr_hugepages
fi
[[ $(free) -ge 80 && $huge ]] || { echo "SKIP: 80 free huge pages and a hugetlbfs (as root: sysctl vm.nr_hugepages=80; mount -t hugetlbfs none /dev/hugepages)"; exit 77; }
testpmd_use bookworm || { echo "$passed passed, $failed failed"; exit 1; }

prefix=uvfio$$ eal=(--file-prefix="$prefix" --huge-dir "$huge" --iova-mode=va -a 01:00.0 -a 02:00.0)
pmd=(--no-mlockall -i --total-num-mbufs=4096 --num-procs=2 --rxq=2 --txq=2)
own=process=own
mkfifo "$tmp/in"
cat >"$tmp/script" <<'END'
wait_for() { # FILE TEXT
	for _ in $(seq 600); do grep -qF -- "$2" "$1" && return; sleep 0.1; done
	echo "no '$2' in $1" >&2; return 1
}
exec 5<>"$tmp/in"
stdbuf -oL dpdk-testpmd "${eal[@]}" -m 64 -l 0,1 --proc-type=primary -- "${pmd[@]}" --proc-id=0 <&5 >"$tmp/primary" 2>&1 &
primary=$!
wait_for "$tmp/primary" "testpmd>" || exit 1
mkfifo "$tmp/in2"; exec 6<>"$tmp/in2"
stdbuf -oL dpdk-testpmd "${eal[@]}" -l 0,1 --proc-type=secondary -- "${pmd[@]}" --proc-id=1 <&6 >"$tmp/secondary" 2>&1 &
secondary=$!
wait_for "$tmp/secondary" "testpmd>" || exit 1
echo "start tx_first" >&5; echo "start tx_first" >&6
sleep 1
dpdk-proc-info "${eal[@]}" -- --stats >"$tmp/info" 2>&1
timeout -s INT 3 dpdk-pdump "${eal[@]}" -- --pdump "port=0,queue=*,rx-dev=$tmp/rx.pcap,total-num-mbufs=2047,ring-size=512" >"$tmp/pdump" 2>&1
echo stop >&6; echo stop >&5
wait_for "$tmp/secondary" "Accumulated" && wait_for "$tmp/primary" "Accumulated"
echo quit >&6; wait $secondary
echo quit >&5; wait $primary
END
cat >"$tmp/whole" <<END
tmp=$tmp eal=(${eal[*]}) pmd=(${pmd[*]})
. $tmp/script
END
timeout 300 "$build/uvfio" run --memlock unlimited --log-file "$tmp/log" --device igb,id=a,net=peer:b,$own --device igb,id=b,net=peer:a,$own -- bash "$tmp/whole" >"$tmp/out" 2>&1
rm -f "$huge/${prefix}map_"*
forwarded() { sed -n '/Accumulated/,$s/.*RX-packets: *\([0-9]*\) *RX-dropped: *0 .*/\1/p' "$1" | head -n 1; }
for p in primary secondary; do
	n=$(forwarded "$tmp/$p")
	if [[ ${n:-0} -ge 1000 ]]; then yes "DPDK $version: a $p testpmd forwards $n packets, none dropped"
	else no "DPDK $version: a $p testpmd: ${n:-nothing} forwarded"; tail -n 5 "$tmp/$p"; fi
done
n=$(sed -n 's/.*RX-packets: *\([0-9]*\) *RX-errors: *0 .*/\1/p' "$tmp/info" | awk '$1 >= 100' | wc -l)
if [[ $n -eq 2 ]]; then yes "DPDK $version: dpdk-proc-info reads both ports' counters"
else no "DPDK $version: dpdk-proc-info"; tail -n 5 "$tmp/info"; fi
# What it writes is not looked at: that of Debian 12 writes nothing, on net_null without uvfio either.
if grep -q 'capture for (1) tuples' "$tmp/pdump"; then yes "DPDK $version: dpdk-pdump has the ports"
else no "DPDK $version: dpdk-pdump"; tail -n 5 "$tmp/pdump"; fi
if grep -q 'DMA fault' "$tmp/log"; then no "$(grep -m1 'DMA fault' "$tmp/log")"; else yes "no DMA was refused"; fi
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
