#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# explore.sh: uvfio explore: each access of a program goes wrong in turn. Which runs are bad, why,
# and that the command that is told for one repeats it.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
U=$build/uvfio D=$build/test/fault_driver
export TMPDIR=$tmp
# explore OPTION... -- WORD...: its status is in $rc, what it prints in $tmp/log
explore() {
	local options=()
	while [[ $1 != -- ]]; do options+=("$1"); shift; done
	shift
	timeout 120 "$U" explore --device testdev "${options[@]}" -- "$D" "$@" >"$tmp/log" 2>"$tmp/err" </dev/null; rc=$?
}
# repeat N: runs the command that was told for the N-th bad run; its status
repeat() {
	local command
	command=$(grep '^    uvfio run ' "$tmp/log" | sed -n "$1s/^    uvfio//p")
	(eval "timeout 60 '$U' $command") >/dev/null 2>&1; echo $?
} 2>/dev/null

explore -- fills 2 reads 1 maps 1
same "a program that bears everything: status" 0 "$rc"
has "each access is made to go wrong" "^dma-write +0000:01:00.0 +2 +2 +2 +0 +0 +0 +0 +0$"
has "a program that ends with an error has failed well" "^map +- +2 +2 +1 +1 +0 +0 +0 +0$"
has "what it does not do is told" "^msi: the program has no such access$"
has "the end" "^0 of [0-9]+ runs are bad$"

explore --points read -- trusting reads 1
same "a crash: status" 1 "$rc"
has "a crash" "^CRASHED: read of 0000:01:00.0, 1 of 2: read of 4 bytes at 0x0 of BAR2, ID; signal 11, Segmentation fault$"
has "with the command" "^    uvfio run --device=testdev --fault=read,device=0000:01:00.0,after=0,times=1 --seed=1 -- .*fault_driver trusting reads 1$"
same "which repeats it" 139 "$(repeat 1)"
explore --points read -- reads 1 trusting
has "the other access" "^CRASHED: read of 0000:01:00.0, 2 of 2:"

explore --points msi --timeout 1 -- patient
same "a hang: status" 1 "$rc"
has "a hang" "^HUNG: msi of 0000:01:00.0, 1 of 1: message 0; ended after [12]\.[0-9] s$"
same "nothing is left of it" "" "$(pgrep -f "^$D patient" )"

explore --points dma-write=corrupt,dma-write --wrong-status 42 --json-file "$tmp/json" --jobs 2 -- careful
same "wrong data by a status" 1 "$rc"
has "which is told" "^WRONG DATA: dma-write=corrupt of 0000:01:00.0, 1 of 1: .*; exit status 42$"
has "and an error is none" "^dma-write +0000:01:00.0 +1 +1 +0 +1 +0 +0 +0 +0$"
same "1 run is bad" "1 of 2 runs are bad" "$(tail -n 1 "$tmp/log")"
check "--json-file" python3 - "$tmp/json" <<'PY'
import json, sys
runs = {r["fault"].split(",")[0]: r for r in map(json.loads, open(sys.argv[1]))}
bad, good = runs["dma-write=corrupt"], runs["dma-write"]
assert bad["result"] == "WRONG DATA" and bad["status"] == 42 and bad["signal"] == 0, bad
assert bad["access"] == "write of 64 bytes at IOVA 0x100000", bad
assert bad["command"].startswith("uvfio run --device=testdev --fault=dma-write=corrupt,"), bad
assert good["result"] == "failed" and good["status"] == 3, good
PY
explore --points dma-write --ok-status 0,4 -- careful
has "a status that is not right" "^BAD STATUS: dma-write of .*; exit status 3$"
explore --points dma-write --same-output -- blind
has "an output that is another one" "^WRONG DATA: dma-write of .*; exit status 0$"
explore --points dma-write --verify "! grep -q nothing /proc/self/status" -- blind
same "--verify that agrees" 0 "$rc"
explore --points dma-write --verify false -- blind
has "and one that does not" "^WRONG DATA: "

explore --points read,dma-write --max-runs 3 -- reads 10 fills 2
has "--max-runs" "^[0-9]+ accesses at which something can go wrong, 3 runs of up to [0-9]+ s each \([0-9]+ are left out: --max-runs\)$"
has "is spread" "^dma-write +0000:01:00.0 +2 +[12] "

refused() { # WHAT PATTERN ARGUMENT...
	local what=$1 pattern=$2; shift 2
	"$U" explore "$@" >"$tmp/log" 2>&1
	same "$what: status" 2 $?
	has "$what" "$pattern"
}
refused "no program" "^uvfio: explore: no program to run" --device testdev
refused "no such point" "^uvfio: explore: --points: there is no fault 'rede': did you mean 'read'\?" --points rede -- true
refused "no such option" "there is no option --point: did you mean --points\?" --point read -- true
refused "--log-file" "--log-file: each run has its own" --log-file "$tmp/x" -- true
refused "a program that fails anyway" "the program does not end well without any fault: exit status 1" -- false
same "no directory is left" "" "$(compgen -G "$tmp/uvfio-*")"
counts
