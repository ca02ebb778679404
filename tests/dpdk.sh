#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# dpdk.sh: dpdk_frames, a DPDK program that looks at what it sends bit by bit, on two igb models
# back to back, with DPDK 22.11 and the newest of Debian, on their virtual functions, and behind
# sockets of `uvfio serve`; that it fails when it is made to make a mistake; and DPDK's own example
# l3fwd-power, whose core sleeps until a receive interrupt, as the router between the two ports of
# another process. With UVFIO_LONG: more of everything.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-build}; [[ $build == /* ]] || build=$top/$build
pkg-config --exists libdpdk || { echo "SKIP: DPDK's headers (package libdpdk-dev)"; exit 77; }
[[ $(id -u) -ne 0 || -w /var/run ]] || { echo "SKIP: DPDK wants to write to /var/run"; exit 77; }
[[ $(nproc) -ge 2 ]] || { echo "SKIP: DPDK's tests want two processors"; exit 77; }
tmp=$(mktemp -d); router= server=
trap 'for p in $router $server; do kill -KILL "$p" 2>/dev/null; done; rm -rf "$tmp"' EXIT
passed=0 failed=0 n=0
yes() { passed=$((passed + 1)); echo "ok   $*"; }
no() { failed=$((failed + 1)); echo "FAIL $*"; }
long=(); [[ ${UVFIO_LONG-} ]] && long=(--long)
# shellcheck disable=SC2054
cores=(--no-huge -m 128 --iova-mode=va -l 0,1)

sources=("$top"/tests/dpdk/{frames,ports,events}.c)
compile() { # PROGRAM FLAG...
	local out=$1; shift
	${CC:-cc} -std=gnu17 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror -DALLOW_EXPERIMENTAL_API -o "$out" "${sources[@]}" "$@"
}
# use VERSION: $frames is the command that runs dpdk_frames with it
use() {
	local root lib flags
	version=$1 frames=("$tmp/frames")
	if [[ $version == "$system" ]]; then
		read -ra flags <<<"$(pkg-config --cflags --libs libdpdk)"
		compile "$tmp/frames" "${flags[@]}"
		return
	fi
	root=$("$top/tools/newer-debs" sid dpdk-dev) || return
	lib=$root/usr/lib/x86_64-linux-gnu
	# what its libraries want of a newer libc is there when it runs
	compile "$tmp/frames-newest" -march=corei7 -include rte_config.h -I"$root/usr/include/dpdk" -I"$root/usr/include/x86_64-linux-gnu/dpdk" \
		-Wl,--unresolved-symbols=ignore-in-shared-libs -L"$lib" -lrte_ethdev -lrte_mbuf -lrte_mempool -lrte_eal -lrte_net -lrte_hash -lrte_log || return
	version=$(PKG_CONFIG_LIBDIR=$lib/pkgconfig pkg-config --modversion libdpdk)
	frames=("$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$tmp/frames-newest" -d "$(echo "$lib"/dpdk/pmds-*)")
}
run() { # DEVICE DEVICE OPTION...: dpdk_frames on two devices, or on their functions of the address $function
	local a=$1 b=$2; shift 2; n=$((n + 1))
	timeout $((${#long[@]} ? 1800 : 300)) "$build/uvfio" run --memlock unlimited --device "$a" --device "$b" -- "${frames[@]}" "${cores[@]}" \
		--file-prefix="uvfio$$.$n" -a "01:$function" -a "02:$function" -- "${long[@]}" "$@" >"$tmp/out" 2>&1
}
# shellcheck disable=SC2054
ends=(igb,id=a,net=peer:b igb,id=b,net=peer:a)
function=00.0 what=dpdk_frames
cases() {
	local line rc before=$failed
	run "${ends[@]}" "$@"; rc=$?
	while read -r line; do
		case $line in
		"ok   "*) yes "$what $version: ${line#ok   }" ;;
		"FAIL "*) no "$what $version: ${line#FAIL }" ;;
		esac
	done < <(sed 's/^ok  */ok   /' "$tmp/out")
	[[ $rc -eq 0 || $failed -gt $before ]] || no "$what $version: status $rc"
	if grep '^uvfio: error' "$tmp/out"; then no "$what $version: uvfio complains"; fi
	[[ $failed -eq $before ]] || tail -n 40 "$tmp/out"
}
mistake() { # WHAT CASE WHAT-IT-SAYS
	run "${ends[@]}" --wrong "$1" "$2"
	if [[ $? -eq 1 ]] && grep -q "^FAIL $2: .*$3" "$tmp/out"; then yes "a wrong $1 is noticed: $(sed -n 's/^FAIL //p' "$tmp/out")"
	else no "a wrong $1 in $2 is not noticed"; tail -n 20 "$tmp/out"; fi
}

system=$(pkg-config --modversion libdpdk)
virtual() { # the same on a virtual function of each; what a PF decides (addresses, VLANs, RSS, interrupts) is in testpmd_vf.sh
	local function=10.0 what="dpdk_frames on VFs" ends=("${ends[@]/%/,sriov_numvfs=1,driver=igb}")
	cases contents jumbo segments checksums both_ways restart
}
# the same where the two are devices of a server; [vf]: functions of them, whose driver is the server's
socketed() {
	local served=("${ends[@]}") vf= function=00.0 what="dpdk_frames behind sockets" which=()
	[[ ${1-} != vf ]] || { vf=.vf0 what+=", on VFs" served=("${ends[@]/%/,sriov_numvfs=1,driver=igb}") which=(contents jumbo segments checksums both_ways restart); }
	# some of it, which others have at all lengths
	[[ $vf || ${UVFIO_LONG-} ]] || which=(contents jumbo statistics overrun checksums tso vlan_filter addresses rss both_ways rx_interrupts link)
	rm -f "$tmp"/?.sock*; : >"$tmp/served"
	"$build/uvfio" serve --log-file "$tmp/server" --device "${served[0]}" --socket "$tmp/0.sock" --device "${served[1]}" --socket "$tmp/1.sock" >"$tmp/served" & server=$!
	until [[ $(grep -c sock "$tmp/served") -eq 2 ]]; do kill -0 "$server" || { no "$what: no server"; cat "$tmp/server"; return; }; sleep 0.02; done
	local ends=("socket=$tmp/0.sock$vf" "socket=$tmp/1.sock$vf")
	cases "${which[@]}"
	kill "$server"; wait "$server"; server=
}
if use "$system"; then cases; virtual; socketed; [[ -z ${UVFIO_LONG-} ]] || socketed vf; else no "dpdk_frames does not compile with DPDK $system"; fi
mistake bit contents "byte 6[0-9] of a frame of 69"
[[ -z ${UVFIO_LONG-} ]] || mistake length contents "a frame of 68 bytes, not 69"
mistake swapped contents "byte"
mistake lost contents "did not come\|a frame of"
[[ -z ${UVFIO_LONG-} ]] || mistake bit jumbo "byte"
mistake offload checksums "byte"
[[ -z ${UVFIO_LONG-} ]] || mistake bit checksums "byte"
mistake bit tso "byte"
[[ -z ${UVFIO_LONG-} ]] || mistake offload vlan "frame of"
mistake tag vlan "byte\|tag"
if use newest; then cases; [[ -z ${UVFIO_LONG-} ]] || { virtual; socketed; }; else no "dpdk_frames does not compile with the newest DPDK"; fi

# ---- l3fwd-power: its source is not in Debian's binary packages ----
l3fwd() {
	local src pid before after ticks wakes
	src=$("$top/tools/newer-debs" bookworm source:dpdk)/usr/src/dpdk/examples/l3fwd-power || { no "DPDK's source is not to be had"; return; }
	mkdir "$tmp/l3fwd-power" && cp "$src"/* "$tmp/l3fwd-power" 2>/dev/null
	make -s -C "$tmp/l3fwd-power" >"$tmp/out" 2>&1 || { no "l3fwd-power does not compile"; tail -n 20 "$tmp/out"; return; }
	stdbuf -oL "$build/uvfio" run --memlock unlimited --device "igb,net=unix:$tmp/r0:$tmp/f0" --device "igb,net=unix:$tmp/r1:$tmp/f1" -- \
		"$tmp/l3fwd-power/build/l3fwd-power" "${cores[@]}" --file-prefix="uvfio$$.r" -a 01:00.0 -a 02:00.0 -- -p 3 -P --config="(0,0,1),(1,0,1)" \
		--interrupt-only >"$tmp/router" 2>&1 &
	router=$!; : >>"$tmp/router"
	for ((i = 0; i < 600; i++)); do
		grep -q 'portid=1 rxqueueid=0' "$tmp/router" && break
		kill -0 "$router" 2>/dev/null || break
		sleep 0.05
	done
	# its core, asleep: how much of two seconds was it on a processor?
	read -r pid _ <"/proc/$router/task/$router/children"
	core=$(grep -lE '(dpdk|rte)-worker-?1$' "/proc/$pid"/task/*/comm | head -n1); core=${core%/comm}
	before=$(awk '{print $14 + $15}' "$core/stat"); sleep 2; after=$(awk '{print $14 + $15}' "$core/stat")
	ticks=$((after - before))
	if [[ $ticks -lt $(($(getconf CLK_TCK))) ]] && ! grep -q 'waked up' "$tmp/router"; then yes "l3fwd-power $system sleeps: $ticks ticks of $((2 * $(getconf CLK_TCK)))"
	else no "l3fwd-power: $ticks ticks in two seconds without a frame"; fi
	use "$system"
	run "igb,net=unix:$tmp/f0:$tmp/r0" "igb,net=unix:$tmp/f1:$tmp/r1" routed
	wakes=$(grep -c 'waked up from rx interrupt on port [01] queue 0' "$tmp/router")
	if grep -q '^ok   routed' "$tmp/out" && [[ $wakes -gt 50 ]]; then yes "l3fwd-power $system: $(sed -n 's/^ok   //p' "$tmp/out"), woken $wakes times by interrupts"
	else no "l3fwd-power: woken $wakes times; $(grep -aE '^(FAIL|ok)' "$tmp/out")"; tail -n 20 "$tmp/out" "$tmp/router"; fi
	kill -INT "$pid"; wait "$router"; router=
}
l3fwd
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
