#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# p2p.sh: DMA from device to device: a BAR that is mapped by type1, and one that an IOAS has as a
# dma-buf. What the program must see of two testdevs, and what the log says of them.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
truncate -s 1M "$tmp/disk"
run() { # WAY [OPTIONS]
	: >"$tmp/log"
	timeout 120 "$build/uvfio" run --log warn --log-file "$tmp/log" --device "testdev${2-}" --device "testdev${2-}" --device nvme,image="$tmp/disk" -- "$build/test/p2p" "$1" >"$tmp/out" 2>&1
	cases "$tmp/out" "$1: " "${2+ ($2)}"
}
run type1
has "an access that nobody answers is named" \
	'0000:01:00.0: DMA fault: read of 8 bytes at IOVA 0x200000, BAR0 of 0000:02:00.0 at 0x0: unsupported request'
run iommufd
has "and one by a dma-buf that was revoked" \
	'0000:01:00.0: DMA fault: write of 4 bytes at IOVA 0x200000, BAR0 of 0000:02:00.0 at 0x0: the dma-buf was revoked'
# a BAR that programs have as memory is none to other devices
run type1 ,ram_memory=on
run iommufd ,ram_memory=on
counts
