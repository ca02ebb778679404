#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# socket.sh [PART] : devices behind sockets: `uvfio serve` has them, and programs by --device
# socket=PATH get the answers that they get in process.
#   drivers  user-level drivers of nvme and igb (tests/drivers), in process and behind sockets
#   given    a socket that is connected already (socket=fd:N)
#   iommufd  the client of tests/iommufd, whose answers on Linux 7.3 are recorded, too
#   one      server and program on one processor, where nobody looks at a ring for long
#   oracle   the clients of tests/oracle, whose answers on Linux 7.3 are recorded
#   selftests  the kernel's own; with UVFIO_LONG also those that take long, and on igb
#   shared   doorbells that the program maps (mmap=shared)
#   testpmd  DPDK's testpmd, of Debian 12 and the newest, on two igb ports back to back, and on two
#            virtual functions of one
# With UVFIO_LONG also:
#   qemu     QEMU's vfio-pci boots Linux with its disk behind a socket: by group and container, and
#            the newest one by character device and iommufd
set -uo pipefail
# shellcheck source=tests/lib/testpmd.sh
. "$(dirname "$0")/lib/testpmd.sh"
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
parts=(drivers given iommufd one oracle selftests shared testpmd); [[ ! ${UVFIO_LONG-} ]] || parts+=(qemu)
[[ $# -eq 0 ]] || parts=("$@")
servers=()
stop() { [[ ${#servers[@]} -eq 0 ]] || kill "${servers[@]}" 2>/dev/null; wait "${servers[@]}" 2>/dev/null; servers=(); }
trap 'stop; pmd_kill; rm -rf "$tmp"' EXIT
# serve SPEC...: a server with these devices; their sockets are $tmp/0.sock, ...; $vfs are virtual
# functions of devices that are not served themselves
serve() {
	local args=() i=0 d
	for d in "$@"; do args+=(--device "$d" --socket "$tmp/$i.sock"); i=$((i + 1)); done
	rm -f "$tmp/server"; : >"$tmp/served"
	${on_one+"${on_one[@]}"} "$build/uvfio" serve --log-file "$tmp/server" "${args[@]}" >"$tmp/served" & servers+=($!)
	until [[ $(grep -c sock "$tmp/served") -eq ${vfs:-$i} ]]; do kill -0 "${servers[-1]}" || { no "serve $*"; cat "$tmp/server"; return 1; }; sleep 0.02; done
}
run() { timeout 500 "$build/uvfio" run --memlock unlimited --log-file "$tmp/log" "$@"; }

drivers() {
	local d status
	truncate -s 64M "$tmp/disk" "$tmp/disk2"
	serve "nvme,image=$tmp/disk" igb || return
	for d in nvme igb; do
		run --device "$([[ $d == igb ]] && echo igb || echo "nvme,image=$tmp/disk2")" -- "$build/test/${d}_driver" check 0000:01:00.0 >"$tmp/$d.here" 2>&1 &
		status=0
		run --device "socket=$tmp/$([[ $d == igb ]] && echo 1 || echo 0).sock" -- "$build/test/${d}_driver" check 0000:01:00.0 >"$tmp/$d.there" 2>&1 || status=$?
		wait $!
		same "$d: its driver ends well" 0 $status
		check "$d: $(wc -l <"$tmp/$d.there") answers are those in process" diff "$tmp/$d.here" "$tmp/$d.there"
		check "$d: there are some" [ "$(wc -l <"$tmp/$d.there")" -gt 100 ]
	done
	stop
}

given() {
	truncate -s 1M "$tmp/disk"
	serve "nvme,image=$tmp/disk" || return
	check "a socket that is connected already" python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); os.set_inheritable(s.fileno(), True)
os.execv(sys.argv[2], [sys.argv[2], "run", "--memlock", "unlimited", "--device", "socket=fd:%d" % s.fileno(), "--"] + sys.argv[3:])' \
		"$tmp/0.sock" "$build/uvfio" "$build/test/nvme_driver" regs 0000:01:00.0
	same "it was the one connection" 1 "$(grep -c ' connected' "$tmp/server")"
	stop
}

# counted OUTPUT: adds what the line `N passed, N failed` of another script says
counted() {
	local ok bad
	grep -v ' passed, ' "$1"
	read -r ok _ bad _ < <(grep ' passed, ' "$1" || echo "0 passed, 1 failed")
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + $(grep -c '^SKIP: ' "$1")))
}

iommufd() {
	BUILD=$build "$top/tests/iommufd/run" -k 7.3 -r -s >"$tmp/result"
	counted "$tmp/result"
}

one() {
	local cpu on_one=()
	cpu=$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//')
	on_one=(taskset -c "$cpu")
	serve igb || return
	check "both on one processor: igb's driver ends well" timeout 500 "${on_one[@]}" "$build/uvfio" run --memlock unlimited --log-file "$tmp/log" --device "socket=$tmp/0.sock" -- "$build/test/igb_driver" check 0000:01:00.0
	stop
}

oracle() {
	local all=() i status=0
	{ printf '\x55\xaa'; head -c 22 /dev/zero; printf '\x1c\0\0\0PCIR\0\0\0\0\0\0\x18\0\0\0\0\0\1\0\0\0\0\x80'; } >"$tmp/rom"
	truncate -s 4096 "$tmp/rom"; truncate -s 1M "$tmp/disk"
	serve edu "nvme,image=$tmp/disk" igb "testdev,romfile=$tmp/rom" testdev,no_soft_reset=on || return
	for i in 0 1 2 3 4; do all+=(--device "socket=$tmp/$i.sock"); done
	look() { run --device "$1" -- sh -c 'lspci -vvv; xxd /sys/bus/pci/devices/0000:01:00.0/vpd' 2>/dev/null; }
	look "testdev,romfile=$tmp/rom" >"$tmp/here"
	look "socket=$tmp/3.sock" >"$tmp/there"
	check "sysfs shows what it shows of a device in process" diff "$tmp/here" "$tmp/there"
	check "product data is among it" grep -q 'VPD\|Vital Product Data' "$tmp/there"
	# the limit of locked memory is one of its questions
	timeout 300 "$build/uvfio" run --log-file "$tmp/log" "${all[@]}" -- "$build/test/oracle" 0000:01:00.0 0000:02:00.0 0000:03:00.0 0000:04:00.0 0000:05:00.0 >"$tmp/there" || status=$?
	cat "$top"/tests/{oracle,socket}/expected-differences >"$tmp/expected"
	"$top/tests/oracle/compare" -s $status 7.3 "$tmp/expected" "$top/tests/oracle/kernel-7.3.txt" "$tmp/there" >"$tmp/result" || tail -n 5 "$tmp/log"
	counted "$tmp/result"
	stop
}

shared() {
	local how
	truncate -s 64M "$tmp/disk" "$tmp/disk2"
	run --device "nvme,image=$tmp/disk2" -- "$build/test/nvme_driver" check 0000:01:00.0 >"$tmp/here" 2>&1
	serve "nvme,image=$tmp/disk,mmap=shared" || return
	run --device "socket=$tmp/0.sock" -- "$build/test/nvme_driver" check 0000:01:00.0 >"$tmp/there" 2>&1
	check "doorbells are memory: $(wc -l <"$tmp/there") answers are those in process" diff "$tmp/here" "$tmp/there"
	check "the disk is filled" run --device "socket=$tmp/0.sock" -- "$build/test/nvme_driver" fill 0000:01:00.0
	for how in "" --irq --dbbuf "--dbbuf --irq"; do
		# shellcheck disable=SC2086
		check "what is read is what was written${how:+, with $how}" run --device "socket=$tmp/0.sock" -- "$build/test/nvme_driver" perf --verify --seconds 0.3 $how 0000:01:00.0
	done
	stop
}

testpmd() {
	local r0 m0 t0 r1 m1 t1 e of
	command -v dpdk-testpmd >/dev/null && [[ $(nproc) -ge 2 && -w /var/run ]] || { echo "SKIP: dpdk-testpmd, two processors, /var/run"; skipped=$((skipped + 1)); return; }
	for of in newest bookworm; do
		testpmd_use $of && serve igb,id=a,net=peer:b igb,id=b || return
		pmd_start --log-file "$tmp/log" --device "socket=$tmp/0.sock" --device "socket=$tmp/1.sock" -- -a 01:00.0 -a 02:00.0 -- || return
		pmd "clear port stats all" "start tx_first"; pmd_busy 0; pmd stop
		pmd_stats 0; read -r r0 m0 e _ t0 _ <<<"$stats"
		pmd_stats 1; read -r r1 m1 e _ t1 _ <<<"$stats"
		same "testpmd $version: what one port sent the other received, or had no buffer for ($r0 and $r1 packets)" "$t1 $t0" "$((r0 + m0)) $((r1 + m1))"
		pmd_quit && ok "testpmd $version ends well"
		stop
	done
	# they meet in the switch of their device, whose driver is the server's
	vfs=2 serve "igb,driver=igb,sriov_numvfs=2,net=unix:$tmp/wire" || return
	pmd_start --log-file "$tmp/log" --device "socket=$tmp/0.sock.vf0" --device "socket=$tmp/0.sock.vf1" -- -a 01:00.0 -a 02:00.0 -- || return
	pmd "mac_addr set 0 02:00:00:00:01:00" "mac_addr set 1 02:00:00:00:01:01" "set eth-peer 0 02:00:00:00:01:01" "set eth-peer 1 02:00:00:00:01:00" "set fwd mac" "clear port stats all" "start tx_first"; pmd_busy 0; pmd stop
	pmd_stats 0; read -r r0 m0 e _ t0 _ <<<"$stats"
	pmd_stats 1; read -r r1 m1 e _ t1 _ <<<"$stats"
	# Two sockets have no order between them: what one function sends may come before the buffers
	# that the driver gave the other one earlier, and then its ring of 511 has none for the last of
	# 16 times 32 frames. That is counted where the PF's driver sees it, and no VF's (RQDPC).
	check "testpmd $version: virtual functions ($r0 of $t1 and $r1 of $t0 packets)" [ "$r0" -le "$t1" -a "$r1" -le "$t0" ]
	check "testpmd $version: there were some" [ "$r0" -gt 1000 -a "$r1" -gt 1000 ]
	pmd_quit && ok "testpmd $version ends well"
	stop
}

selftests() {
	# without those for which there are huge pages at one time and none at another
	results() { grep -E '^(not )?ok ' "$1" | grep -v hugetlb; }
	local bin prog model i w all
	bin=$("$top/tools/kernel-vfio-selftests") || { echo "SKIP: the kernel's selftests could not be built"; skipped=$((skipped + 1)); return; }
	all=("vfio_dma_mapping_test testdev 0" "vfio_dma_mapping_mmio_test testdev 0" "vfio_pci_device_init_perf_test testdev 0" "vfio_pci_device_test testdev 0"
		"vfio_iommufd_setup_test testdev 0" "vfio_iommufd_setup_test igb 1")
	[[ ! ${UVFIO_LONG-} ]] || all+=("vfio_pci_driver_test igb 1" "vfio_dma_mapping_test igb 1" "vfio_dma_mapping_mmio_test igb 1" "vfio_pci_device_init_perf_test igb 1" "vfio_pci_device_test igb 1")
	serve testdev igb || return
	for w in "${all[@]}"; do
		read -r prog model i <<<"$w"
		run --device "$model" -- "$bin/$prog" 0000:01:00.0 >"$tmp/here" 2>&1
		run --device "socket=$tmp/$i.sock" -- "$bin/$prog" 0000:01:00.0 >"$tmp/there" 2>&1
		same "selftests: $prog on $model" "$(results "$tmp/here")" "$(results "$tmp/there")"
		check "selftests: $prog on $model: $(grep -c '^ok ' "$tmp/there") cases" grep -q '^# Totals: pass:[1-9].* fail:0 ' "$tmp/there"
	done
	stop
}

for p in "${parts[@]}"; do
	case $p in
	drivers | given | iommufd | one | oracle | selftests | shared | testpmd) "$p" ;;
	qemu)
		check "QEMU's vfio-pci, its disk behind a socket" "$top/tools/demo" --brief --socket --build "$build"
		check "the same by iommufd" "$top/tools/demo" --brief --socket --iommufd --qemu-newest --build "$build"
		;;
	*) echo "socket: no part $p" >&2; exit 2 ;;
	esac
done
counts
