#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mistakes.sh: `uvfio run --check`. Each driver of tests/mistakes/ makes one mistake, and uvfio names
# it, with the line of the source that is marked; without the mistake it says nothing. Some of them by
# gcc and clang, not optimized and optimized.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top/tests/mistakes" || exit 1
U=$build/uvfio

# compile NAME MISTAKE COMPILER FLAG...: makes $tmp/NAME.MISTAKE
compile() {
	local name=$1 mistake=$2 cc=$3; shift 3
	$cc -std=gnu17 -D_GNU_SOURCE -g -Wall -Werror -DMISTAKE="$mistake" -I. -I"$top/src" "$@" \
		-o "$tmp/$name.$mistake" "$name.c" -pthread
}
field() { sed -n "s/\. .*//; s/.*$2: \([^;]*\).*/\1/p" "$1.c" | head -n 1; }
# the device that NAME drives; COUNTER is the example's, NVME one whose doorbells are not polled
truncate -s 16M "$tmp/disk"
device() { field "$1" device | sed "s,^COUNTER,$build/examples/counter.so,; s,^NVME,nvme\,image=$tmp/disk\,mmap=trap,"; }
place= # ,process=own: the device is in a process of its own
# drive NAME MISTAKE OPTION...: runs it, with the reports in $tmp/log; its status is in $rc
drive() {
	local name=$1 mistake=$2 asked under; shift 2
	asked=$(field "$name" asked) under=$(field "$name" under)
	# shellcheck disable=SC2086
	timeout 60 "$U" run "--check${asked:+=$asked}" --error-exitcode 99 --log-file "$tmp/log" "$@" \
		--device "$(device "$name")$place" -- $under "$tmp/$name.$mistake" >"$tmp/out" 2>&1
	rc=$?
}
# the file and line of the first frame that is in the driver's own file
first_frame() { grep -oE "$1\.c:[0-9]+" "$tmp/log" | head -n 1; }
judge() { # NAME WHAT
	local name=$1 kind line says
	kind=$(field "$name" kind) says=$(field "$name" says)
	line=$(grep -n '/\* MISTAKE' "$name.c" | head -n 1 | cut -d: -f1)
	if [[ $rc -ne 99 ]]; then no "$2: status $rc" "$(cat "$tmp/out" "$tmp/log")"
	elif ! grep -q "uvfio: 1 mistake:" "$tmp/log" || ! grep -qE "^==[0-9]*== uvfio: $kind: (0000:01:00.0|/dev/vfio/vfio|memory for DMA): " "$tmp/log"; then
		no "$2: not one $kind" "$(cat "$tmp/log")"
	elif [[ $(first_frame "$name") != "$name.c:$line" ]]; then
		no "$2: at $(first_frame "$name"), not line $line" "$(cat "$tmp/log")"
	elif [[ $says ]] && ! grep -qE "$says" "$tmp/log"; then
		no "$2: does not say '$says'" "$(cat "$tmp/log")"
	else ok "$2"; fi
}
# both NAME HOW COMPILER FLAG...
both() {
	local name=$1 how=$2; shift 2
	: >"$tmp/log"
	if ! compile "$name" 1 "$@" || ! compile "$name" 0 "$@"; then no "$name, $how: compiles"; return; fi
	drive "$name" 1
	judge "$name" "$name, $how"
	: >"$tmp/log"
	drive "$name" 0
	if [[ $rc -ne 0 || $(cat "$tmp/log") != *"no mistakes were seen" ]]; then
		no "$name, $how, without the mistake: status $rc" "$(cat "$tmp/out" "$tmp/log")"
	else ok "$name, $how, without the mistake"; fi
}

for source in *.c; do
	by=$(field "${source%.c}" by) # the only compiler, with its flags
	if [[ $(field "${source%.c}" under) == valgrind* ]] && ! command -v valgrind >/dev/null; then
		skipped=$((skipped + 1)); echo "SKIP: ${source%.c}: valgrind is missing"; continue
	fi
	# shellcheck disable=SC2086
	both "${source%.c}" "${by:-gcc -O2}" ${by:-gcc -O2}
done
for name in dma_short dma_stale dma_handler mmio_width proto_user; do
	both $name "gcc -O0" gcc -O0
	both $name "clang -O2" clang -O2
done

echo "# devices in a process of their own"
place=,process=own
for name in dma_later dma_pwrite dma_short dma_stale mmio_width proto_user; do
	both $name "process=own" gcc -O2
done
compile dma_short 1 gcc -O1; : >"$tmp/log"; drive dma_short 1
has "its process and thread are the program's" '^==([0-9]+)==   by the program.s memory access, in thread \1 "dma_short.1":'
drive dma_short 1 --check-fatal
same "and stops at its first mistake" 134 $rc
compile dma_freed 1 gcc -O1; drive dma_freed 1
same "memory that is gone is a line, as in the kernel's log, and no mistake of a kind" 0 $rc
place=

echo "# stacks"
both dma_short "gcc -O2 without frame pointers" gcc -O2 -fomit-frame-pointer
both dma_short "no unwind tables" gcc -O0 -fno-asynchronous-unwind-tables -Wl,--no-eh-frame-hdr
both dma_short "at a fixed address" clang -O0 -no-pie
both dma_pwrite "gcc, ASan" gcc -O1 -fsanitize=address
both dma_stale "clang, ASan" clang -O1 -fsanitize=address
name=dma_short
compile $name 1 gcc -O1
(cd "$tmp" && objcopy --only-keep-debug $name.1 $name.debug && strip $name.1 &&
	objcopy --add-gnu-debuglink=$name.debug $name.1)
: >"$tmp/log"; drive $name 1; judge $name "a stripped binary, whose debug file is beside it"
rm "$tmp/$name.debug"
: >"$tmp/log"; drive $name 1
has "and without: addresses in the file" "^==[0-9]+==     #0 0x[0-9a-f]+ \(dma_short.1\+0x[0-9a-f]+\)$"
sed -i 's/^==.* in main .*//' "$tmp/log"
same "and no names" 0 "$(grep -c 'dma_short.c' "$tmp/log")"
compile $name 1 gcc -O1
cp "$tmp/$name.1" "$tmp/same.1"
: >"$tmp/log"
timeout 60 "$U" run --check --log-file "$tmp/log" --device testdev -- \
	sh -c "'$tmp/$name.1'; echo >'$tmp/new' && mv '$tmp/new' '$tmp/$name.1'"
has "a file that is another one by now names nothing" "dma-unmapped|1 mistake"

echo "# what is done with them"
compile dma_unmapped 1 gcc -O1
B=$tmp/dma_unmapped.1
# run OPTION... [-- COMMAND...]: its status is in $rc, reports in $tmp/log
run() {
	: >"$tmp/log"
	timeout 60 "$U" run --check --log-file "$tmp/log" --device testdev "$@" >"$tmp/out" 2>&1; rc=$?
} 2>/dev/null # bash tells of signals
run -- "$B"; same "the program's status stays" 0 "$rc"
run --error-exitcode 7 -- "$B"; same "--error-exitcode" 7 "$rc"
run -- sh -c "'$B'; '$B' & wait; '$B'"
has "processes of a run: one mistake" "uvfio: 1 mistake:"
has "counted" "dma-unmapped: .*, 3 times"
run --error-exitcode 7 -- sh -c "'$B'; kill -9 \$\$"
same "a program that is killed: as it was" 137 "$rc"
has "and what it did before is named" "uvfio: 1 mistake:"
run --check-fatal -- "$B"; same "--check-fatal" 134 "$rc"
if type gdb >/dev/null 2>&1; then
	# the shim's own signals are no events for a debugger
	run --check-fatal -- gdb -batch -nx -ex 'handle SIGSYS SIGSEGV nostop noprint pass' -ex run "$B"
	has "and in a debugger it is SIGTRAP" "received signal SIGTRAP" "$tmp/out"
	has "when the report was shown" "uvfio: dma-unmapped: "
fi
has "the report comes first" "uvfio: dma-unmapped: "
run --check=-dma-unmapped -- "$B"
has "a kind that is not looked for is a line" "^uvfio: warn: 0000:01:00.0: DMA fault"
has "and no mistake" "no mistakes were seen"
run --check-file "$tmp/json" --gen-suppressions="$tmp/sup" -- "$B"
check "--check-file" python3 - "$tmp/json" <<'PY'
import json, sys
(m,) = map(json.loads, open(sys.argv[1]))
assert m["kind"] == "dma-unmapped" and m["device"] == "0000:01:00.0", m
assert m["dma"] == {"iova": "0x101000", "size": 64, "write": True}, m
assert m["call"] == "memory access" and m["errno"] == 0 and m["pid"] and m["time_ns"], m
f = next(f for f in m["stack"] if f["file"].endswith("dma_unmapped.c"))
assert f["function"] == "main" and f["line"] == 9, f
assert [b["what"] for b in m["before"]] == ["mapping-below"], m
PY
run --suppress "$tmp/sup" --error-exitcode 7 -- "$B"
same "a suppression that was written: no mistake" 0 "$rc"
has "but it is told that there was one" "1 is suppressed"
same "and not shown" 0 "$(grep -c 'DMA fault' "$tmp/log")"
run --suppress "$tmp/sup" --check-fatal -- "$B"; same "nor does the program stop" 0 "$rc"
sup() { # WHAT WANTED LINE...: a suppression with these lines
	local what=$1 want=$2; shift 2
	{ echo "{ " | tr -d ' '; printf '%s\n' "$@"; echo "}"; } >"$tmp/sup"
	run --suppress "$tmp/sup" --error-exitcode 7 -- "$B"; same "suppression: $what" "$want" "$rc"
}
sup "by kind" 0 name kind:dma-*
sup "by another device" 7 name kind:dma-* device:0000:02:00.0
sup "by a frame further out" 0 name ... "src:dma_unmapped.c"
sup "by the file" 0 name "obj:*.1"
sup "frames in another order" 7 name ... fun:main fun:write32
sup "a line that is none" 2 name kind:x frame:y
sup "no name" 2
same "says where" 1 "$(grep -c 'sup:3: a name' "$tmp/out")"
counts
