#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# fault.sh: faults that `uvfio run --fault` has devices make, as a driver meets them; that a seed
# brings them back at the same accesses; what is told of them.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
U=$build/uvfio D=$build/test/fault_driver
export TMPDIR=$tmp

# drive OPTION... -- WORD...: what the driver prints
drive() {
	: >"$tmp/log"
	local options=()
	while [[ $1 != -- ]]; do options+=("$1"); shift; done
	shift
	timeout 60 "$U" run --device testdev --log-file "$tmp/log" "${options[@]}" -- "$D" "$@" 2>&1
}
faults() { grep -c ": injected " "$tmp/log"; }

echo "# each point"
same "none" ".... .. .. 0:3" "$(drive -- fills 4 reads 2 maps 2 irqs 3)"
same "nor of INTx" 1 "$(drive -- line)"
same "a DMA is aborted" "..a." "$(drive --fault dma-write=abort,after=2,times=1 -- fills 4)"
has "and told, with the seed" "^uvfio: warn: 0000:01:00.0: injected dma-write=abort,after=2,times=1: write of 64 bytes at IOVA 0x100000 \(its number 1, access 3; --seed [0-9]+\)$"
has "and at the end" "^uvfio: fault dma-write=abort,after=2,times=1: happened once, of 4 accesses$"
same "a DMA is corrupted" ".x.x" "$(drive --fault dma=corrupt,every=2 -- fills 4)"
same "a register reads as ones" ".ffffffff." "$(drive --fault read=ones,reg=ID,after=1,times=1 -- reads 3)"
same "a mapping fails" ".ENOSPC.ENOMEM" "$(drive --fault map=ENOSPC,after=2,times=1 --fault map,after=4 -- maps 4)"
same "any request fails" ".EBUSY." "$(drive --fault ioctl=EBUSY,cmd=0x3b71,after=2,times=1 -- maps 3)"
same "half of the vectors can be had" "2" "$(drive --fault irqs -- irqs 4)"
same "a message is lost" "0:3" "$(drive --fault msi,vector=1 -- irqs 4)"
same "another comes twice" "0:5" "$(drive --fault msi=duplicate,vector=2 -- irqs 4)"
same "late, or in another order: all come" "0:4" "$(drive --fault msi=delay:5ms,vector=0 --fault msi=reorder,vector=2 -- irqs 4)"
same "INTx is lost" "0" "$(drive --fault intx -- line)"
same "the device reports an error" "1" "$(drive --fault aer=fatal,addr=0,bar=2 -- error)"
has "behind an access" "injected aer=fatal,addr=0,bar=2: at an access of 0x0 of BAR2 "
same "another device's" "..." "$(drive --fault dma,device=02:00.0 -- fills 3)"
has "is none that happened" "^uvfio: fault dma,device=02:00.0: NEVER happened, of 0 accesses$"

echo "# seeds"
first=$(drive --fault dma,rate=1/3 -- fills 40)
seed=$(sed -n 's/^uvfio: faults of --seed \([0-9]*\):$/\1/p' "$tmp/log")
same "the same seed: the same accesses" "$first" "$(drive --fault dma,rate=1/3 --seed "$seed" -- fills 40)"
same "another one: others" 1 "$([[ $(drive --fault dma,rate=1/3 --seed $((seed + 1)) -- fills 40) != "$first" ]] && echo 1)"
same "and what is corrupted is the same byte" "$(for i in 1 2; do drive --fault dma=corrupt,rate=1/2 --seed 5 -- fills 20; done | uniq | wc -l)" 1
same "of processes together it is one count" "aa .a" "$(
	timeout 60 "$U" run --device testdev --log none --fault dma,every=2 --fault dma,times=1 -- sh -c "
		'$D' fills 2 | tr '\n' ' '; '$D' fills 2" 2>/dev/null)"

echo "# other ways to a device"
same "process=own" "..a." "$(timeout 60 "$U" run --device testdev,process=own --log none --fault dma,after=2,times=1 -- "$D" fills 4 2>/dev/null)"
same "a program on the native API, in no run" "1 1" "$(UVFIO_FAULT="read=ones,times=1;msi" UVFIO_SEED=3 \
	"$build/examples/counter_native" "$build/examples/counter.so" >"$tmp/log" 2>&1; echo $? "$(faults)")"
has "with its seed" "injected read=ones,times=1: .*; --seed 3\)$"
same "and in one" "1 1" "$(timeout 60 "$U" run --log-file "$tmp/native" --fault read=ones,times=1 -- \
	"$build/examples/counter_native" "$build/examples/counter.so" >"$tmp/out" 2>&1; echo $? "$(grep -c ": injected " "$tmp/native")")"

echo "# while a program runs"
mkfifo "$tmp/in" "$tmp/said"
: >"$tmp/log"
timeout 60 "$U" run --device testdev --log-file "$tmp/log" -- "$D" fills 2 wait fills 3 wait fills 2 maps 1 wait reads 1 \
	<"$tmp/in" >"$tmp/said" 2>&1 & run=$!
exec 7>"$tmp/in" 8<"$tmp/said"
heard() { local text; IFS= read -r -d "$1" -u 8 text; echo "$text"; }
ctl() { "$U" ctl "$@" 7>&- 8<&-; }
heard ' ' >/dev/null
same "uvfio ctl fault" "--seed" "$(ctl fault 01:00.0 dma,after=1,times=1 | cut -d' ' -f1)"
echo >&7; heard ' ' >/dev/null; same "it happens" ".a." "$(heard ' ')"
same "the device may come first" 1 "$(ctl 01:00.0 fault dma,times=1 | grep -c seed)"
same "or be none" 1 "$(ctl --json fault map | grep -c '"ok":true,"device":null,"fault":"map","seed":[0-9]*}')"
echo >&7; heard ' ' >/dev/null; same "they happen, too" "a. ENOMEM" "$(heard ' ') $(heard ' ')"
for bad in "fault 01:00.0 dna" "fault 01:00.0 nvme.statis" "fault 09:00.0 dma" "fault 01:00.0 map" "fault 01:00.0 dma,device=01:00.0"; do
	ctl $bad 2>&1 | sed 's/^uvfio: ctl: //'
done >"$tmp/out"
same "what is wrong is told" "dna: there is no fault 'dna': did you mean 'dma'?
nvme.statis: the model nvme has no fault 'statis': did you mean 'nvme.status'?
there is no device at 0000:09:00.0: \`uvfio ctl list\` shows all
map: a mapping is none of a device's: leave the device out
dma,device=01:00.0: device= is there twice" "$(cat "$tmp/out")"
echo >&7; wait $run; same "the program ends well" 0 $?
exec 7>&- 8<&-
has "and what happened is told" "^uvfio: fault map: happened once, of 1 accesses$"

echo "# faults of models"
same "a model of a user's: its driver sees it" "1 1" "$(timeout 60 "$U" run --log-file "$tmp/counter" --fault counter.lose-lap,lap=2 \
	--device "$build/examples/counter.so" -- "$build/examples/counter_driver" 0000:01:00.0 >"$tmp/out" 2>&1; echo $? "$(grep -c ": injected counter.lose-lap,lap=2: lap 2 " "$tmp/counter")")"
"$U" models "$build/examples/counter.so" >"$tmp/log"
has "which is listed" "^    counter.lose-lap  +A lap is not told: no report, no interrupt; lap=$"

echo "# what is told"
drive --fault dma=count --fault msi=count --fault-file "$tmp/json" -- fills 3 irqs 2 >/dev/null
check "--fault-file" python3 - "$tmp/json" <<'PY'
import json, sys
a, b = map(json.loads, open(sys.argv[1]))
assert (a["fault"], a["device"], a["accesses"], a["happened"]) == ("dma=count", "0000:01:00.0", 3, 0), a
assert (b["fault"], b["accesses"]) == ("msi=count", 2), b
PY
refused() { # WHAT PATTERN OPTION...
	local what=$1 pattern=$2; shift 2
	"$U" run --device testdev "$@" -- true >"$tmp/out" 2>&1
	same "$what: status" 2 $?
	has "$what" "$pattern" "$tmp/out"
}
refused "no such point" "^uvfio: run: --fault dna: there is no fault 'dna': did you mean 'dma'\?" --fault dna
refused "no such action" "dma=drop: there is no such action; there are count, abort, corrupt, delay:TIME" --fault dma=drop
refused "no such condition" "msi: there is no 'vektor': did you mean vector=\?" --fault msi,vektor=1
refused "no such fault of a model" "the model nvme has no fault 'statis': did you mean 'nvme.status'\?" --fault nvme.statis
refused "no such number of it" "nvme.status: there is no 'opcode'; there are .*, opc, qid, cid, nsid" --fault nvme.status,opcode=2
refused "a value that is too large" "nvme.status: STATUS is at most 0x7fff" --fault nvme.status=0x10000
refused "no such model" "there is no model 'nvne', and no device is one" --fault nvne.status
refused "no such number" "--seed x: write a number" --seed x
"$U" run --fault help >"$tmp/help"; same "--fault help: status" 0 $?
has "--fault help" "rate=M/N" "$tmp/help"
"$U" help fault >"$tmp/help2"; check "uvfio help fault is the same" cmp "$tmp/help" "$tmp/help2"
counts
