#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# testpmd_noiommu.sh: DPDK's testpmd, unmodified, of Debian 12 and the newest, on two igb ports back
# to back without an IOMMU: it finds the mode in sysfs, opens noiommu-N, takes physical addresses of
# /proc/self/pagemap, and forwards; none lost, no DMA refused. DPDK does that with huge pages alone,
# of which 40 (of 2 MiB) have to be free; with UVFIO_LONG and as root they are reserved here.
set -uo pipefail
# shellcheck source=tests/lib/testpmd.sh
. "$(dirname "$0")/lib/testpmd.sh"
testpmd_wants
pages=/sys/kernel/mm/hugepages/hugepages-2048kB
free() { cat $pages/free_hugepages 2>/dev/null || echo 0; }
if [[ $(free) -lt 40 && ${UVFIO_LONG-} && -w $pages/nr_hugepages ]]; then
	had=$(cat $pages/nr_hugepages)
	trap 'pmd_kill; rm -rf "$tmp"; echo "$had" >$pages/nr_hugepages' EXIT
	echo $((had + 40)) >$pages/nr_hugepages
fi
[[ $(free) -ge 40 ]] || { echo "SKIP: 40 free huge pages (as root: sysctl vm.nr_hugepages=40)"; exit 77; }

# shellcheck disable=SC2054
ports=(--noiommu all --log-file "$tmp/log" --device igb,id=a,net=peer:b --device igb,id=b,net=peer:a)
pmd_eal=(--in-memory -m 64)
for of in bookworm newest; do
	testpmd_use $of || continue
	: >"$tmp/log"
	pmd_start "${ports[@]}" -- -a 01:00.0 -a 02:00.0 -- || continue
	if grep -q "Selected IOVA mode 'PA'" "$tmp/out" && grep -q 'Using IOMMU type 8 (No-IOMMU)' "$tmp/out"; then
		yes "testpmd $version: physical addresses, and no IOMMU"
	else no "testpmd $version: another mode"; fi
	pmd "clear port stats all" "start tx_first"; pmd_busy 0; pmd stop
	pmd_stats 0; read -r r0 m0 e0 n0 t0 x0 <<<"$stats"
	pmd_stats 1; read -r r1 m1 e1 n1 t1 x1 <<<"$stats"
	if [[ ${r0:-0} -ge 1000 && $r0 == "${t1:-}" && ${r1:-} == "${t0:-}" && $m0$e0$n0$x0$m1$e1$n1$x1 == 00000000 ]]; then
		yes "testpmd $version: io, $r0 and $r1 packets"
	else no "testpmd $version: port 0 received ${r0:-?} of ${t1:-?}, port 1 ${r1:-?} of ${t0:-?}"; fi
	pmd "port stop 1" "port close 1" "device detach 0000:02:00.0" "port attach 0000:02:00.0" "port start 1" "clear port stats all" "start tx_first"
	if pmd_busy 0; then yes "testpmd $version: after detach and attach"; else no "testpmd $version: after detach and attach: $reply"; fi
	pmd stop
	pmd_quit
	if grep -q 'DMA fault' "$tmp/log"; then no "testpmd $version: $(grep -m1 'DMA fault' "$tmp/log")"; else yes "testpmd $version: no DMA was refused"; fi
done

echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
