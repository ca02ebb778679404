#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# v3.sh: the interface of July 2010 (--abi v3): the checks of tests/v3/, each with its number, which
# a client of libc makes. A number is counted for each device that it is checked on.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
run() { # ABI DEVICE... -- PROGRAM...
	local abi=$1 devices=(); shift
	while [[ $1 != -- ]]; do devices+=(--device "$1"); shift; done
	timeout -k 5 120 "$build/uvfio" run --abi "$abi" ${memlock:+--memlock "$memlock"} --log-file "$tmp/log" "${devices[@]}" "$@"
}
checks() { # ABI DEVICE... -- SECTION...
	local at=("$@") i
	for ((i = 0; i < $#; i++)); do [[ ${at[i]} == -- ]] && break; done
	: >"$tmp/log"
	run "${at[@]:0:i+1}" "$build/test/v3_checks" "${at[@]:i+1}" >"$tmp/out" 2>&1 || echo "FAIL ${at[*]:i+1}: status $?" >>"$tmp/out"
	cases "$tmp/out" "" " (${at[*]:0:i})"
}
checks v3 testdev testdev -- a_discovery c_two h_two
checks v3 testdev,disintx=off -- a_no_node
has "A8: and a line says why" "COMMAND.DisINTx does not work" "$tmp/out"
checks v3 testdev,intx=off -- a_no_pin i_no_pin
checks v3 testdev,driver=none -- a_bind
checks v3 testdev -- b_open b_raw c_domain d_bar_len e_config f_bars g_mmap h_dma
checks v3 testdev -- h_memory
has "H22: a line names the cause" "munmap: the mapping of 12288 bytes at 0x[0-9a-f]+ to IOVA 0x10000 is gone"
checks v3 testdev -- i_intx j_msi k_msix l_life l_reset m_flow n_more
has "K4: a line about fewer vectors" "65 vectors were asked for, and there are 64"
checks v3,intr_remap=off testdev -- c_remap
checks v3,intr_remap=off,allow_unsafe_intrs=1 testdev -- c_unsafe f_unsafe
checks v3 testdev,rom=off -- d_no_rom
checks v3 testdev,pcie=off -- e_conventional
checks v3 "$build/test/v3_odd.so" -- e_odd
checks v3,mmu_notifier=off testdev -- h_kept
memlock=64K checks v3 testdev -- h_limit
checks v3 testdev,msi=off -- j_none
checks v3 testdev,msix=off -- k_none
checks v3 testdev,vectors=2048 -- k_many
run v3 igb,driver=igb -- sh -c 'echo 1 >/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs && exec "$0" e_vf' "$build/test/v3_checks" >"$tmp/out" 2>&1
cases "$tmp/out" "" " (a VF of igb)"
UNPLUG="$build/uvfio ctl unplug 0000:01:00.0" checks v3 testdev -- l_remove
# what comes to the place of a device that was unplugged does not find what that one left
run v3 testdev -- sh -c '"$0" l_life >/dev/null 2>&1; ls "$UVFIO_RUN_DIR/kept"; "$1" ctl unplug 0000:01:00.0 >/dev/null; ls "$UVFIO_RUN_DIR/kept"' "$build/test/v3_checks" "$build/uvfio" >"$tmp/out" 2>&1
same "an unplugged device leaves nothing to the next one" "0000:01:00.0" "$(cat "$tmp/out")"
truncate -s 1M "$tmp/disk"
checks v3 "nvme,image=$tmp/disk" edu igb testdev -- o_any
checks v3 "nvme,image=$tmp/disk" -- o_nvme
same "every model: nothing in the log" "" "$(cat "$tmp/log")"

# a driver as they were written then: two VFs through the switch, and each with a wire to the other
vfs() { # NET VFS ARGUMENT...
	run v3 "igb,driver=igb,net=unix:$1" -- sh -c 'echo '"$2"' >/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs && exec "$0" "$@"' "$build/test/v3_vf82576" "${@:3}"
}
same "two VFs of an 82576, by the switch" "200 frames" "$(vfs "$tmp/a:$tmp/b" 2 switch 200 2>&1)"
vfs "$tmp/a:$tmp/b" 1 echo 300 >"$tmp/echo" 2>&1 &
for ((i = 0; i < 300; i++)); do mac=$(head -n1 "$tmp/echo"); [[ $mac ]] && break; sleep 0.1; done
same "two VFs of two of them, by a wire" "300 frames" "$(vfs "$tmp/b:$tmp/a" 1 send 300 "$mac" 2>&1)"
wait
same "the other end" "300 frames" "$(tail -n1 "$tmp/echo")"
counts
