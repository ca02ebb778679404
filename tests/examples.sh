#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# examples.sh: the example device, a shared object, under the example driver both ways: a plain VFIO
# program through the shim, and the native API. And that the driver's checks can fail: a device that
# counts otherwise, a device that is another one. And the monitors that need no KVM.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top"
BUILD=${BUILD:-build} CC=${CC:-cc}
U=$top/$BUILD/uvfio E=$top/$BUILD/examples

# runs NAME STATUS TEXT COMMAND...: exits with STATUS and says TEXT
runs() {
	local name=$1 want=$2 text=$3 out rc; shift 3
	out=$(timeout 300 "$@" 2>&1); rc=$?
	if [[ $rc -ne $want ]]; then no "$name" "status $rc, not $want" "$out"
	elif [[ $out != *"$text"* ]]; then no "$name" "no '$text' in: $out"
	else ok "$name"; fi
}

for step in 1 3 1000; do
	runs "the VFIO program, step $step" 0 $'stopped the device\nok' "$U" run --log error --device "$E/counter.so,step=$step" -- "$E/counter_driver"
	runs "the native program, step $step" 0 $'stopped the device\nok' "$E/counter_native" "$E/counter.so,step=$step"
done
runs "the driver of 2010 and today, by 2010's interface" 0 $'VFIO of July 2010\na lap by MSI-X\ntwo laps by INTx\nok' "$U" run --abi v3 --log error --device "$E/counter.so" -- "$E/v3_driver"
runs "and by today's" 0 $'VFIO of today\na lap by MSI-X\ntwo laps by INTx\nok' "$U" run --log error --device "$E/counter.so" -- "$E/v3_driver"
runs "the VFIO program, elsewhere" 0 "ok" "$U" run --log error --device edu --device "$E/counter.so,addr=0000:2a:03.1" -- "$E/counter_driver" 0000:2a:03.1
runs "the log names the stray DMA" 0 "0000:01:00.0: DMA fault: write of 8 bytes at IOVA 0x100040: not mapped" "$U" run --device "$E/counter.so" -- "$E/counter_driver"
runs "two drivers, one device after the other" 0 "ok" "$U" run --log error --device "$E/counter.so" -- sh -c "'$E/counter_driver' && '$E/counter_driver'"
runs "an option out of range" 2 "counter: option 'step=1001': must be from 1 to 1000" "$U" run --device "$E/counter.so,step=1001" -- "$E/counter_driver"

truncate -s 16M "$tmp/disk.img"
runs "a monitor without KVM: edu" 0 $'\nmessages: all as it should be\n' "$E/vmm_soft" edu
runs "and it goes on to the end" 0 $'the line: all as it should be\nok' "$E/vmm_soft" edu
runs "a monitor without KVM: nvme" 0 $'the line: all as it should be\nok' "$E/vmm_soft" "nvme,image=$tmp/disk.img"
runs "its guest sees DMA that goes astray" 1 "not so" "$E/vmm_soft" edu,dma_mask=0xffff
runs "its guest has no driver for another device" 1 "nvme and edu alone" "$E/vmm_soft" testdev
runs "the requests that KVM had" 0 $'by line 11\nan interrupt by message, GSI 24\nok' "$E/kvm_assign"

# a counter that forgets to interrupt, one that writes the wrong number, one whose count is off
broken() {
	sed "$3" examples/counter.c >"$tmp/broken.c"
	if cmp -s examples/counter.c "$tmp/broken.c"; then no "a counter that $1: the source has changed, change this test"; return; fi
	$CC -D_GNU_SOURCE -shared -fPIC -fvisibility=hidden -Iinclude -o "$tmp/broken.so" "$tmp/broken.c" || { no "a counter that $1 builds"; return; }
	runs "the VFIO program notices a counter that $1" 1 "$2" "$U" run --log error --device "$tmp/broken.so" -- "$E/counter_driver"
	runs "the driver of 2010 notices a counter that $1" 1 "not so" "$U" run --abi v3 --log error --device "$tmp/broken.so" -- "$E/v3_driver"
	runs "the native program notices a counter that $1" 1 "$2" "$E/counter_native" "$tmp/broken.so"
}
broken "does not interrupt" "interrupts(irq, 1000) == 1: not so" 's/uvfio_msi(dev, 0)/(void)0/'
broken "writes the wrong number" "laps[8] == 1" 's/c->laps++/c->laps += 2/'
broken "counts wrong" "COUNT) == 9 * step" 's/(uint32_t)value \* c->step/(uint32_t)value/; s/{ .step = /{ .step = 1 + /'
runs "the VFIO program notices another device" 1 "not so" "$U" run --log error --device testdev -- "$E/counter_driver"
runs "the native program notices another device" 1 "id == 0xc0471234" "$E/counter_native" testdev

counts
