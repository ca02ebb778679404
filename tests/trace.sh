#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# trace.sh: `uvfio run --trace` and what is made of its file: a user-level NVMe driver, devices in a
# process of their own, and programs that end badly.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
U=$build/uvfio drv=$build/test/nvme_driver
[[ -x $drv ]] || { echo "trace: $drv is missing: make driver-programs" >&2; exit 1; }
truncate -s 16M "$tmp/disk"
head -c 8192 /dev/urandom >"$tmp/data"
# write FILE OPTIONS-OF-DEVICE OPTION...: has the driver write 8 KiB under a trace
write() {
	local file=$1 opts=$2; shift 2
	timeout 60 "$U" run --memlock unlimited --trace "$file" "$@" --device "nvme,image=$tmp/disk$opts" \
		-- "$drv" write 0000:01:00.0 -b 8192 -a 0 -i <"$tmp/data"
}
show() { "$U" trace "$@" >"$tmp/text" 2>"$tmp/err"; }
line() { has "$1" "$2" "$tmp/text"; }

# a store to a polled doorbell is seen while its page is not open only: by chance
for o in ,process=own ,mmap=trap; do
	check "a run is traced ($o)" write "$tmp/t" "$o"
	check "and shown" show "$tmp/t"
	same "nothing is missing" "" "$(cat "$tmp/err")"
	line "an access of a mapped BAR" ' 0000:01:00.0 bar +BAR0 write CC \(0x0014\) of 4 <- 0x00460001$'
	line "of config space" ' 0000:01:00.0 config +write COMMAND \(0x0004\) of 2 <- 0x0006$'
	line "a mapping" ' map +space [0-9a-f]{8}: \[0x1000000, 0x1001000\) is mapped to 0x[0-9a-f]+$'
	line "an ioctl" ' ioctl +VFIO_IOMMU_MAP_DMA\(\{argsz=32, flags=0x3, vaddr=0x[0-9a-f]+, iova=0x1000000, size=0x1000\}\) = 0 after'
	line "one with eventfds" ' ioctl +VFIO_DEVICE_SET_IRQS\(\{argsz=28, flags=0x24, index=2, start=0, count=2, eventfds \{-1, [0-9]+\}\}\) = 0'
	line "a DMA" ' dma +write of 16 at IOVA 0x[0-9a-f]+: 3f 00 '
	line "its data" ' dma +read of (4096|8192) at IOVA 0x[0-9a-f]+'

	line "an interrupt" ' irq +vector 1 signalled$'
	line "a reset" ' reset +FLR$'
done

line "a command" ' command queue 1 command 0 begins: Write of 8192 at 0x0$'
line "its end" ' command queue 1 command 0 ends with status 0x0 after [0-9]+ ns$'
check "numbers" show "$tmp/t" --stats
line "of registers" '^ +0 +1 0000:01:00.0 BAR0 SQTDBL\[1\] \(0x1008\)$'
line "of commands" '^  Write: 1, '
check "JSON" show "$tmp/t" --json
line "of an access" '"kind":"bar","access":"write","region":"BAR0","register":"SQTDBL\[1\]","offset":"0x1008","size":4,"mapped":true,"value":"0x1"}$'
check "for the Perfetto viewer" show "$tmp/t" --perfetto
# a slice of each command, on tracks with names, on which none overlaps another
check "its events" python3 - "$tmp/text" <<'END'
import json, sys
events = json.load(open(sys.argv[1]))["traceEvents"]
names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
until, writes = {}, 0
for e in sorted((e for e in events if e["ph"] == "X" and e["cat"] == "command"), key=lambda e: e["ts"]):
    track = e["pid"], e["tid"]
    assert names[track].startswith("queue "), names[track]
    assert e["ts"] >= until.get(track, 0), e
    until[track] = e["ts"] + e["dur"]
    writes += e["name"] == "Write" and names[track] == "queue 1"
assert writes == 1, writes
assert {"DMA", "INTx", "vector 1", "queue 0"} <= set(names.values()), names
END
check "filters" show "$tmp/t" --kind bar --register CSTS --device 01:00
same "of accesses alone" "" "$(grep -v ' BAR0 read CSTS (0x001c) of 4 -> ' "$tmp/text")"
check "by time" show "$tmp/t" --from 1us --to 100
line "leave the rest" 'VFIO_GROUP_SET_CONTAINER'
same "but not the first one" "" "$(grep power-on "$tmp/text")"

# a driver's part, made again
again() { "$U" replay "$tmp/r" --device "$1" >"$tmp/text" 2>"$tmp/err"; echo $? >"$tmp/rc"; }
check "a trace for replay" write "$tmp/r" ,mmap=trap --trace-dma all
again "nvme,image=$tmp/disk"
same "on the same device no difference" "0" "$(cat "$tmp/rc" "$tmp/err")"
line "and all is compared" '^[0-9]{2,} accesses, [0-9]+ DMA writes, 1 interrupts: 0 differences$'
truncate -s 32M "$tmp/disk2"
again "nvme,image=$tmp/disk2"
same "on another one there is" "1" "$(cat "$tmp/rc" "$tmp/err")"
line "what it writes" ' DMA write of 4096 at IOVA 0x1000000: expected .*, got '
again edu
line "on another model" '^ +0\.[0-9]+ BAR0 CC \(0x0014\) of 4: expected 0x00460001, got 0x[0-9a-f]+$'
same "a device that the trace has not" 2 "$("$U" replay "$tmp/r" --of 02:00 --device edu >"$tmp/text" 2>&1; echo $?)"

# a program that is killed, in the middle of what it does
timeout 60 "$U" run --memlock unlimited --trace "$tmp/k" --device "nvme,image=$tmp/disk" -- \
	sh -c '"$0" perf 0000:01:00.0 -s 30 & sleep 0.7; kill -9 $!' "$drv" >"$tmp/out" 2>&1
show "$tmp/k"
line "a program that is killed is in the trace" ' dma +read of 64 at IOVA'
# events that there is no room for are counted
timeout 60 "$U" run --memlock unlimited --trace "$tmp/d" --trace-memory 1M --log-file "$tmp/log" \
	--device "nvme,image=$tmp/disk,mmap=trap" -- "$drv" perf 0000:01:00.0 -s 0.2 -w 0 >"$tmp/out" 2>&1
show "$tmp/d"
same "what is dropped is said" "$(grep -oE '[0-9]+ events' "$tmp/out" | head -n 1)" \
	"$(grep -oE '[0-9]+ events' "$tmp/err" | head -n 1)"
# files that are none
head -c 1000 "$tmp/t" >"$tmp/cut"
check "one that is cut is shown as far as it goes" show "$tmp/cut"
has "and that is said" 'it has no end' "$tmp/err"
echo text >"$tmp/none"
same "another file is none" "uvfio: trace: $tmp/none: it is no trace of \`uvfio run --trace\`" \
	"$("$U" trace "$tmp/none" 2>&1)"
same "a place that cannot be written" 2 "$("$U" run --trace /nowhere/t --device edu -- true >"$tmp/out" 2>&1; echo $?)"
counts
