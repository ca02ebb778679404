#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ctl_testpmd.sh: DPDK's testpmd while the run's devices change: it is asked for a port and gives it
# back, sees a cable pulled, hears of a device that comes, and takes it.
set -uo pipefail
# shellcheck source=tests/lib/testpmd.sh
. "$(dirname "$0")/lib/testpmd.sh"
testpmd_wants
export TMPDIR=$tmp
ctl() { timeout 60 "$build/uvfio" ctl "$@"; }
testpmd_use bookworm || { echo "$passed passed, $failed failed"; exit 1; }
if pmd_start --device igb,id=a,net=peer:b --device igb,id=b -- -a 01:00.0 -a 02:00.0 -- --hot-plug; then
	[[ $(ctl list) == *"dpdk-testpmd ("*") by group"* ]] && yes "testpmd has its ports open" || no "testpmd has its ports open"
	link_of() { ctl list | awk -v a="0000:$1:00.0" '$1 == a { print $6 }'; }
	[[ "$(link_of 01) $(link_of 02)" == "up up" ]] && yes "its link is told" || no "its link is told"
	ctl link 01:00.0 down && until_says "Port 0: link state change event" && until_says "Port 1: link state change event" &&
		pmd "show port info 0" && [[ $reply == *"Link status: down"* ]] && yes "both ends of a cable see it go" || no "both ends of a cable see it go"
	[[ "$(link_of 01) $(link_of 02)" == "out down" ]] && yes "so it is when it is down" || no "so it is when it is down"
	ctl plug igb >/dev/null && until_says "The device: 0000:03:00.0 has been added!" && yes "a device that comes" || no "a device that comes"
	[[ $(ctl unplug 02:00.0 2>/dev/null) == "0000:02:00.0 is gone" ]] && until_says "Device is detached" && pmd "show port summary all" &&
		[[ $reply == *"Number of available ports: 1"* ]] && yes "testpmd gives a port back when it is asked for it" || no "testpmd gives a port back when it is asked for it"
	pmd "port attach 0000:03:00.0" && [[ $reply == *"Port 1 is attached"* ]] && yes "and takes the new one" || no "and takes the new one"
fi
pmd_kill
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
