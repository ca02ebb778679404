# SPDX-License-Identifier: BSD-3-Clause
# testpmd.sh: for the tests that drive DPDK's testpmd, which source it: starts it under `uvfio run`,
# has it do one command after the other and reads what it says to each. It knows when a command is
# done by a question that follows it (the number of a port that is not there, which is named in the
# answer), so nothing waits for a time to pass.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-build}; [[ $build == /* ]] || build=$top/$build
passed=0 failed=0
trap '' PIPE # testpmd may be gone
tmp=$(mktemp -d); trap 'pmd_kill; rm -rf "$tmp"' EXIT
yes() { passed=$((passed + 1)); echo "ok   $*"; }
no() { failed=$((failed + 1)); echo "FAIL $*"; [[ ! -e $tmp/out ]] || { tail -n 50 "$tmp/out"; echo; }; }

testpmd_wants() { # or the test is skipped
	command -v dpdk-testpmd >/dev/null || { echo "SKIP: dpdk-testpmd (package dpdk-dev)"; exit 77; }
	[[ $(id -u) -ne 0 || -w /var/run ]] || { echo "SKIP: testpmd wants to write to /var/run"; exit 77; }
	[[ $(nproc) -ge 2 ]] || { echo "SKIP: testpmd wants two processors"; exit 77; }
}

# testpmd_use bookworm|newest: which one the functions below run; its version goes to $version.
# Status 1: it is not to be had.
testpmd_use() {
	pmd=(dpdk-testpmd)
	[[ $1 == newest ]] && pmd=("$top/tools/dpdk-newest" testpmd)
	version=$("${pmd[@]}" -v --no-huge --no-pci --no-shconf -m 16 -- --help 2>&1 | sed -n "s/.*RTE Version: 'DPDK \(.*\)'.*/\1/p")
	[[ -n $version ]] || { no "testpmd of $1 does not run"; return 1; }
}

pmd_kill() { [[ -n ${pmd_pid-} ]] && kill -KILL "$pmd_pid" 2>/dev/null; pmd_pid=; }

# until_says TEXT: waits for TEXT in what testpmd wrote; status 1 if it ended instead, or a minute
# went by
until_says() {
	local until=$((SECONDS + 300))
	until grep -qF -- "$1" "$tmp/out"; do
		kill -0 "$pmd_pid" 2>/dev/null || { grep -qF -- "$1" "$tmp/out"; return; }
		[[ $SECONDS -lt $until ]] || { echo "FAIL no '$1' within five minutes"; return 1; }
		sleep 0.02
	done
}

# pmd_start UVFIO-OPTION... -- EAL-OPTION... -- OPTION...: without the first, by itself; through
# what is in pmd_as. The first bursts of `start tx_first` are of many UDP flows (22.11 varies the
# address, 25.11 the port). Memory is ordinary memory, $pmd_memory MiB, or as pmd_eal says.
pmd_start() {
	local run=() eal=() under=() memory=(--no-huge -m "${pmd_memory:-64}" --iova-mode=va)
	[[ ! ${pmd_eal-} ]] || memory=("${pmd_eal[@]}")
	while [[ $1 != -- ]]; do run+=("$1"); shift; done; shift
	while [[ $1 != -- ]]; do eal+=("$1"); shift; done; shift
	[[ ${#run[@]} -eq 0 ]] || under=("$build/uvfio" run --memlock unlimited "${run[@]}" --)
	pmd_mark=60000
	rm -f "$tmp/in" "$tmp/out"; mkfifo "$tmp/in"; : >"$tmp/out"
	stdbuf -oL ${pmd_as[@]+"${pmd_as[@]}"} "${under[@]}" "${pmd[@]}" --file-prefix="uvfio$$.${tmp##*.}" "${memory[@]}" \
		-l 0,1 "${eal[@]}" -- --no-mlockall -i --txonly-multi-flow --total-num-mbufs="${pmd_mbufs:-8192}" "$@" <"$tmp/in" >"$tmp/out" 2>&1 &
	pmd_pid=$!
	exec {pmd_in}>"$tmp/in"
	pmd && [[ $reply == *"ports array is [ ${pmd_ports:-0 1} ]"* ]] && return
	no "testpmd $version does not start"; pmd_kill; return 1
}

# pmd COMMAND...: has it done and puts what was written meanwhile into $reply
pmd() {
	local from; from=$(stat -c %s "$tmp/out")
	pmd_mark=$((pmd_mark + 1))
	{ [[ $# -eq 0 ]] || printf '%s\n' "$@"; echo "show port info $pmd_mark"; } >&"$pmd_in" || return 1
	until_says "Invalid port $pmd_mark" || return 1
	reply=$(tail -c +$((from + 1)) "$tmp/out")
}

pmd_quit() {
	local rc
	echo quit >&"$pmd_in"; exec {pmd_in}>&-
	until_says "Bye..."
	wait "$pmd_pid"; rc=$?; pmd_pid=
	[[ $rc -eq 0 ]] && ! grep -q 'uvfio.*error' "$tmp/out" && return
	no "testpmd $version ends with status $rc"
}

# pmd_stats PORT: what the device counted, as `show port stats` says it: "received missed errors
# no-mbuf sent errors" into $stats
pmd_stats() {
	stats=
	pmd "show port stats $1" || return
	stats=$(sed -n 's/.*RX-packets: *\([0-9]*\) *RX-missed: *\([0-9]*\) .*/\1 \2/p; s/.*RX-errors: *\([0-9]*\).*/\1/p; s/.*RX-nombuf: *\([0-9]*\).*/\1/p
		s/.*TX-packets: *\([0-9]*\) *TX-errors: *\([0-9]*\) .*/\1 \2/p' <<<"$reply" | tr '\n' ' ')
}

# pmd_busy PORT [missed]: waits until PORT received, or missed, a thousand packets since the last
# clear, however slow the machine; status 1: not within five minutes
pmd_busy() {
	local until=$((SECONDS + 300)) got missed
	while pmd_stats "$1" && read -r got missed _ <<<"$stats"; do
		[[ ${2-} == missed ]] && got=$missed
		[[ ${got:-0} -lt 1000 ]] || return 0
		[[ $SECONDS -lt $until ]] || break
		sleep 0.05
	done
	return 1
}
