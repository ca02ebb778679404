#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# qemu_nvme.sh: QEMU's user-level NVMe driver (block/nvme.c, nvme:// disks), unmodified: it maps
# BAR0 and drives registers and doorbells by plain loads and stores. What it wrote is looked at in
# the image.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
nvme() { local opts=$1; shift; (cd "$tmp" && timeout 600 "$build/uvfio" run --memlock unlimited --device "nvme,image=$tmp/disk$opts" -- "$@"); }
io() { # DEVICE-OPTIONS COMMAND...: qemu-io exits with 0 whatever its commands said
	local opts=$1 c args=(); shift
	for c in "$@"; do args+=(-c "$c"); done
	nvme "$opts" qemu-io -f raw "${args[@]}" nvme://0000:01:00.0/1 >"$tmp/io" 2>&1 || { cat "$tmp/io"; return 1; }
	cat "$tmp/io"; ! grep -qiE 'fail|error|denied' "$tmp/io"
}
bytes_are() { # OFFSET LENGTH OCTAL
	[[ $(dd if="$tmp/disk" bs=4096 skip=$(($1 / 4096)) count=$(($2 / 4096)) status=none | tr -d "\\$3" | wc -c) -eq 0 ]]
}
mib=1048576
truncate -s 64M "$tmp/disk"
# the test of the test: this must fail
if [[ ${1-} == --wrong-pattern ]]; then io "" "write -P 1 0 4k" "read -P 2 0 4k"; exit; fi
check "write and read back" io "" "write -P 0x5a 1M 4M" "read -P 0x5a 1M 4M" flush
check "the image has it" bytes_are $mib $((4 * mib)) 132
check "write zeroes, discard" io "" "write -z 2M 1M" "read -P 0 2M 1M" "discard 3M 1M" "read -P 0x5a 4M 1M" flush
check "the image has zeroes" bytes_are $((2 * mib)) $mib 000
check "odd sizes and vectors" io "" "write -P 1 512 512" "writev -P 2 8192 512 1024 4096" "readv -P 2 8192 4096 512 1024" "read -P 1 512 512" "aio_write -P 3 16M 1M" "aio_write -P 4 17M 1M" aio_flush "read -P 3 16M 1M" "read -P 4 17M 1M"
check "blocks of 4096 bytes" io ",blocksize=4096" "write -P 0x11 8M 1M" "read -P 0x11 8M 1M"
check "a wrong pattern is noticed" bash -c '! "$@"' _ "$0" --wrong-pattern
check "50000 reads, 32 at a time" nvme "" qemu-img bench -f raw -c 50000 -d 32 -s 4096 -t writeback nvme://0000:01:00.0/1
head -c 8M /dev/urandom >"$tmp/random"
check "convert to the device" nvme "" qemu-img convert -n -f raw -O raw "$tmp/random" nvme://0000:01:00.0/1
check "byte for byte" cmp -n $((8 * mib)) "$tmp/random" "$tmp/disk"
cp "$tmp/disk" "$tmp/copy"
check "compare from the device" nvme "" qemu-img compare -f raw -F raw "$tmp/copy" nvme://0000:01:00.0/1
counts
