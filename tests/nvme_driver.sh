#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# nvme_driver.sh: a user-level NVMe driver (tests/drivers) in the manner of libvfn: registers and
# doorbells by loads and stores of a mapped BAR. Identify, read, write, random reads with many under
# way; polling and eventfds, doorbells and doorbell buffers. What it wrote is looked at in the
# image, and what it reads is checked. With UVFIO_LONG the reads go on for ten seconds each, and
# there are more of them.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
prog=$build/test/nvme_driver
[[ -x $prog ]] || { echo "nvme_driver: $prog is missing: make driver-programs" >&2; exit 1; }
drive() { # OPTIONS-OF-DEVICE COMMAND ARG...
	local opts=$1 command=$2; shift 2
	timeout 500 "$build/uvfio" run --memlock unlimited --log-file "$tmp/log" --device "nvme,image=$tmp/disk$opts" -- "$prog" "$command" 0000:01:00.0 "$@"
}
move() { # OPTIONS-OF-DEVICE BYTES OFFSET [-i]: what is written is what is in the image, and what is read from it
	local opts=$1 size=$2 at=$3; shift 3
	head -c "$size" /dev/urandom >"$tmp/data"
	drive "$opts" write -b "$size" -a "$at" "$@" <"$tmp/data" || return
	cmp "$tmp/data" <(tail -c +$((at + 1)) "$tmp/disk" | head -c "$size") || return
	drive "$opts" read -b "$size" -a "$at" "$@" >"$tmp/back" || return
	cmp "$tmp/data" "$tmp/back"
}
quiet() { [[ ! -s $tmp/log ]] || { cat "$tmp/log"; return 1; }; }
truncate -s 16M "$tmp/disk"
check "identify" drive "" identify
check "registers" bash -c '"$@" | grep -q "^VS *0x10400$"' _ timeout 500 "$build/uvfio" run --device "nvme,image=$tmp/disk" -- "$prog" regs 0000:01:00.0
check "one block" move "" 512 1536
check "a page" move "" 4096 8192
check "two pages, an interrupt for each command" move "" 8192 65536 -i
check "a list of pages" move "" 131072 1048576
check "blocks of 4096 bytes, an interrupt for each command" move ",blocksize=4096" 65536 4096 -i
check "doorbell buffers" move "" 131072 2097152 -d
check "doorbell buffers and interrupts" move "" 4096 4194304 -d -i
check "fill" drive "" fill
seconds=0.3 depths=(1 32); [[ ${UVFIO_LONG-} ]] && seconds=10 depths=(1 2 8 32 127 1023)
for o in "" "-i" "-d" "-d -i"; do
	for q in "${depths[@]}"; do
		# shellcheck disable=SC2086
		check "random reads, depth $q${o:+, $o}" drive "" perf -q "$q" -s "$seconds" -w 0 --verify $o
	done
done
# the doorbell page opened for moments, for long, never; and a driver that has one processor
# together with the device
for o in ",poll=5" ",poll=1000" ",poll=0" ",mmap=trap"; do
	check "random reads, depth 4, $o" drive "$o" perf -q 4 -s 0.3 -w 0 --verify
	check "random reads, depth 127, doorbell buffers, $o" drive "$o" perf -q 127 -s 0.3 -w 0 --verify -d
done
one=$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//')
on_one() { (taskset -cp "$one" $BASHPID >/dev/null && drive "$@"); }
check "one processor, depth 1" on_one "" perf -q 1 -s 0.3 -w 0 --verify
check "one processor, depth 32, interrupts" on_one "" perf -q 32 -s 0.3 -w 0 --verify -i
# completions that wait, in order and out of it; and that they do wait
for o in ",latency=30us" ",latency=0-1ms" ",latency=20us-3ms,mmap=trap"; do
	check "random reads, depth 1, $o" drive "$o" perf -q 1 -s 0.3 -w 0 --verify
	check "random reads, depth 32, interrupts, $o" drive "$o" perf -q 32 -s 0.3 -w 0 --verify -i
	check "random reads, depth 127, doorbell buffers, $o" drive "$o" perf -q 127 -s 0.3 -w 0 --verify -d
done
check "a list of pages, late" move ",latency=1ms" 131072 1048576 -i
check "fill again" drive "" fill
waits() { # at most one completion in 5 ms
	drive ",latency=5ms" perf -q 1 -s 0.3 -w 0 >"$tmp/perf" || { cat "$tmp/perf"; return 1; }
	cat "$tmp/perf"
	[[ $(cat "$tmp/perf") =~ ([0-9]+)\ completions\ in\ ([0-9]+)\.([0-9]{3}) ]] || return 1
	((BASH_REMATCH[1] >= 1 && BASH_REMATCH[1] <= 10#${BASH_REMATCH[2]}${BASH_REMATCH[3]} / 5 + 1))
}
check "each command takes its time" waits
check "64 KiB each, one after the other" drive "" perf -q 8 -b 65536 -S -s "$seconds" -w 0 --verify
check "the device had nothing to say" quiet
# the tests of the test: a block that is not as it was filled is noticed; so is a command that fails
printf x | dd of="$tmp/disk" bs=1 seek=$((16 * 1048576 - 1)) conv=notrunc status=none
check "a wrong byte is noticed" bash -c '! "$@" 2>&1 | grep -q iops' _ timeout 500 "$build/uvfio" run --device "nvme,image=$tmp/disk" -- "$prog" perf 0000:01:00.0 -q 4 -b 65536 -S -s 0.5 -w 0 --verify
check "a write to a read-only namespace fails" bash -c '! "$@" </dev/zero' _ timeout 500 "$build/uvfio" run --device "nvme,image=$tmp/disk,readonly=on" -- "$prog" write 0000:01:00.0
# An image that is cut short while it is in use, a file and a block device: commands behind its end
# fail, and one line tells.
cut() { # IMAGE COMMAND
	rm -f "$tmp/cut.log"
	NVME_CUT=$2 timeout 500 "$build/uvfio" run --memlock unlimited --log-file "$tmp/cut.log" --device "nvme,image=$1" -- "$prog" cut 0000:01:00.0 &&
		[[ $(grep -c 'the image was cut to 524288 bytes' "$tmp/cut.log") -eq 1 && $(grep -c error: "$tmp/cut.log") -eq 2 ]] || { cat "$tmp/cut.log"; return 1; }
}
cut_device() {
	local loop status
	loop=$(losetup -f --show "$tmp/cut") || return
	cut "$loop" "truncate -s 512K $tmp/cut; losetup -c $loop"; status=$?
	losetup -d "$loop"
	return $status
}
truncate -s 1M "$tmp/cut"
check "an image that is cut short" cut "$tmp/cut" "truncate -s 512K $tmp/cut"
# A disk that fills up below: writes go to the page cache and are acknowledged, and the write-back
# fails. It takes root and a loop device; the same with a sync that only says so is in
# src/models/nvme/cache_test.c, for all.
lost() {
	local t=$tmp/full status=0 loop
	mkdir "$t" && mount -t tmpfs -o size=24M tmpfs "$t" || return
	if truncate -s 64M "$t/disk" && loop=$(losetup -f --show "$t/disk"); then
		NVME_SYNC="sync; echo 3 >/proc/sys/vm/drop_caches" NVME_GROW="mount -o remount,size=200M $t" timeout 1000 "$build/uvfio" run --memlock unlimited \
			--device "nvme,image=$loop" -- "$prog" lost 0000:01:00.0 -b $((48 << 20)) || status=1
		losetup -d "$loop"
	else
		status=1
	fi
	umount "$t"
	return $status
}
if [[ $(id -u) -eq 0 ]] && losetup -f >/dev/null 2>&1; then
	check "data that the medium did not take" lost
	truncate -s 1M "$tmp/cut"
	check "a block device that is cut short" cut_device
else
	echo "SKIP: data that the medium did not take, a block device that is cut short: no root, or no loop device"
fi
counts
