#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# bind.sh: devices get drivers, lose them, leave the bus and come back, by what programs write to
# sysfs: shells, dd, Python, and unmodified dpdk-devbind.py and driverctl.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
PATH=$PATH:/usr/sbin:/sbin
record=
[[ ${1-} == -K ]] && record=1
for c in udevadm dpdk-devbind.py driverctl python3 lspci; do
	command -v "$c" >/dev/null || { echo "SKIP: $c (tools/setup installs it)"; exit 77; }
done
run() { : >"$tmp/log"; timeout 300 "$build/uvfio" run --log-file "$tmp/log" "${devices[@]}" -- "$@" 2>"$tmp/err"; }
sh_() { run sh -c "$@"; }
D1=/sys/bus/pci/devices/0000:01:00.0
V=/sys/bus/pci/drivers/vfio-pci
devices=(--device igb --device igb,driver=igb)

echo "# dpdk-devbind.py"
run dpdk-devbind.py --status-dev net >"$tmp/out"
has "devbind --status: vfio-pci is DPDK's" "^0000:01:00\.0 .*drv=vfio-pci" "$tmp/out"
has "devbind --status: a driver of the host" "^0000:02:00\.0 .*drv=igb unused=vfio-pci" "$tmp/out"
run dpdk-devbind.py -b vfio-pci 01:00.0 >"$tmp/out"; same "devbind -b to the driver that it has" 0 $?
has "and it says so" "already bound to driver vfio-pci, skipping" "$tmp/err"
run sh -c 'dpdk-devbind.py -u 01:00.0 || exit; ls /dev/vfio; lspci -ks 01:00.0; dpdk-devbind.py --status-dev net; dpdk-devbind.py -b vfio-pci 01:00.0; ls /dev/vfio; cat $0/uevent' $D1 >"$tmp/out"
has "devbind -u: no driver" "^0000:01:00\.0 .*unused=vfio-pci" "$tmp/out"
same "no group, and after -b it has both again" "vfio|1|vfio|DRIVER=vfio-pci" "$(grep -xE '1|vfio|DRIVER=.*' "$tmp/out" | paste -sd'|')"
same "lspci -k, between the two, knows no driver" "" "$(grep 'driver in use' "$tmp/out")"
run sh -c 'dpdk-devbind.py -b vfio-pci 02:00.0 && dpdk-devbind.py --status-dev net; ls /dev/vfio; echo open 2 0000:02:00.0 | "$0"' "$build/test/processes_client" >"$tmp/out"
same "from the host's driver to vfio-pci, and a program opens it" "2 1|2|vfio ok" "$(grep -c drv=vfio-pci "$tmp/out") $(grep -xE '1|2|vfio' "$tmp/out" | paste -sd'|') $(tail -n 1 "$tmp/out")"
run sh -c 'dpdk-devbind.py -b vfio-pci 02:00.0 && dpdk-devbind.py -b igb 02:00.0 && dpdk-devbind.py --status-dev net' >"$tmp/out"
same "and back to it" 1 "$(grep -c drv=igb "$tmp/out")"
run dpdk-devbind.py -b e1000e 01:00.0; same "to a driver that is not there: refused" 1 $?
has "and devbind says why" "Driver 'e1000e' is not loaded" "$tmp/err"

echo "# driverctl"
same "driverctl list-devices" "0000:01:00.0 vfio-pci [*]|0000:02:00.0 igb" "$(run driverctl list-devices | paste -sd'|')"
same "driverctl list-overrides" "0000:01:00.0 vfio-pci" "$(run driverctl list-overrides)"
same "driverctl set-override to the driver that it has: it is as it was" "vfio-pci 1" "$(sh_ 'driverctl --nosave set-override 0000:01:00.0 vfio-pci && echo $(cat $0/driver_override) $(ls /dev/vfio | grep -c "^1$")' $D1)"
same "from the host's driver to vfio-pci, and none, and back" "vfio-pci [*]|(none) [*]|igb" \
	"$(sh_ 'for d in vfio-pci none; do driverctl --nosave set-override 0000:02:00.0 $d || exit; driverctl list-devices; done; driverctl --nosave unset-override 0000:02:00.0; driverctl list-devices' | sed -n 's/^0000:02:00.0 //p' | paste -sd'|')"
devices=(--device igb)
run driverctl --nosave unset-override 0000:01:00.0; same "driverctl unset-override: no driver wants it" 1 $?
has "and driverctl says so" "failed to bind device 0000:01:00\.0" "$tmp/err"

# Each line of standard input, "FILE TEXT...", written to the file: what it says.
put() { run python3 -c '
import errno, os, sys
for line in sys.stdin:
    path, text = line.rstrip("\n").split(" ", 1)
    try:
        fd = os.open(path, os.O_WRONLY); print(os.write(fd, text.encode()), end=" "); os.close(fd)
    except OSError as e: print(errno.errorcode[e.errno], end=" ")'; }
echo "# what is written"
devices=(--device igb --device igb,driver=igb --device edu,driver=none)
same "bind, unbind, driver_override" "EBUSY 12 12 8 ENODEV ENODEV 12 12 ENODEV 12 EBUSY " \
	"$(put <<<"$V/bind 0000:01:00.0
$V/unbind 0000:01:00.0
$V/bind 0000:01:00.0
$D1/driver_override vfio-pci
$V/unbind 0000:09:00.0
$V/unbind 0000:02:00.0
/sys/bus/pci/devices/0000:02:00.0/driver/unbind 0000:02:00.0
/sys/bus/pci/drivers_probe 0000:02:00.0
$V/bind 0000:03:00.0
/sys/bus/pci/drivers_probe 0000:03:00.0
/sys/bus/pci/drivers/igb/bind 0000:02:00.0")"
same "new_id, remove_id, remove, rescan" "EINVAL 9 EEXIST 9 ENODEV EINVAL 1 ENOENT 1 0 " \
	"$(put <<<"$V/new_id 1234
$V/new_id 1234 11e8
$V/new_id 1234 11e8
$V/remove_id 1234 11e8
$V/remove_id 1234 11e8
$D1/remove yes
$D1/remove 1
$D1/remove 1
/sys/bus/pci/rescan 1
/sys/bus/pci/rescan ")"
same "by dd, and by dash's own echo" "3 vfio-pci" "$(sh_ 'printf "1234 11e8" | dd of=$0/new_id status=none; echo $(ls /dev/vfio | grep 3) $(basename $(readlink /sys/bus/pci/devices/0000:03:00.0/driver))' $V)"
same "a device that left the bus is nowhere, and comes back without its override" "1 0 0 1 (null)" \
	"$(sh_ 'n() { lspci -s 01:00.0 | wc -l; }; n; echo 1 >$0/remove; n; ls /dev/vfio /sys/bus/pci/devices /sys/kernel/iommu_groups | grep -c 01:00.0; echo 1 >/sys/bus/pci/rescan; n; cat $0/driver_override' $D1 | paste -sd' ')"
same "two writers at once: one has it" "1 1 1" "$(sh_ '
	for i in 1 2 3 4 5 6 7 8 9 10; do
		echo 0000:01:00.0 >$0/unbind
		(echo 0000:01:00.0 >$0/bind && echo won) 2>/dev/null & (echo 0000:01:00.0 >$0/bind && echo won) 2>/dev/null & wait
	done | sort | uniq -c | sed "s/ *10 won/1/"
	ls $0 | grep -c 0000:01; ls /dev/vfio | grep -c "^1$"' $V | paste -sd' ')"

echo "# resets, as the kernel's answers"
recorded=$(dirname "$0")/bind/kernel-7.3
kernel() { # PART
	QEMU=$top/tools/qemu-newest "$top/tools/kernel-vfio-guest" -k 7.3 -p -d igb -f "$build/test/bind_client" -a vfio_pci.enable_sriov=1 -- "bind_client $1 0000:01:00.0"
}
asked() { # PART: Linux's answers (recorded anew with -K), and ours
	if [[ $record ]]; then kernel "$1" >"$tmp/kernel" && cp "$tmp/kernel" "$recorded-$1.txt"; fi
	if [[ ${UVFIO_LONG-} ]]; then same "Linux 7.3 says what is recorded ($1)" "" "$(kernel "$1" | diff "$recorded-$1.txt" - 2>&1)"; fi
	run "$build/test/bind_client" "$1" 0000:01:00.0 >"$tmp/client"
	same "all of them, of igb here ($1)" "" "$(diff "$recorded-$1.txt" "$tmp/client")"
}
devices=(--device igb)
asked reset
devices=(--device edu --device edu,bus=a --device edu,bus=a --device edu,bus=root)
same "who can be reset, also when nobody has it open; on a root bus nobody" "0000:01:00.0 bus ok|0000:02:00.0 bus ok" \
	"$(sh_ 'cd /sys/bus/pci/devices; for d in 0000:0[1-9]*; do [ -e $d/reset ] && { echo 1 >$d/reset; } 2>/dev/null && echo $d $(cat $d/reset_method) ok; done' | paste -sd'|')"
same "a function that got a neighbour cannot be reset by its bus any more, and then it can" "EINVAL 8 '' 1 8 'bus'" \
	"$(run python3 -c '
import errno, os
D = "/sys/bus/pci/devices/0000:02:00."
def put(path, text):
    try:
        fd = os.open(path, os.O_WRONLY); n = os.write(fd, text.encode()); os.close(fd); return n
    except OSError as e: return errno.errorcode[e.errno]
def is_now(): return repr(open(D + "0/reset_method").read().strip())
print(put(D + "0/reset_method", "bus"), put(D + "0/reset_method", "default\n"), is_now(), put(D + "1/remove", "1"), put(D + "0/reset_method", "default\n"), is_now())')"

devices=(--device edu,bus=a --device edu,bus=a --device edu)
same "remove of a bridge takes what is below it along, and rescan finds all again" "2|waits|none|4 4 1 1 2 devices vfio ok" "$(run bash -c '
	coproc "$0"; c() { echo "$@" >&${COPROC[1]}; read -r r <&${COPROC[0]}; }; cd /sys/bus/pci/devices
	c open 1 0000:01:00.0; echo 1 >0000:00:01.0/remove & sleep 0.5; ls -d */driver | wc -l; kill -0 $! && echo waits; c close 1; wait $!
	ls | grep -c 0000:0[01] | sed s/^0$/none/; echo 1 >/sys/bus/pci/rescan; for d in 0000:01:*; do echo vfio-pci >$d/driver_override; echo $d >/sys/bus/pci/drivers_probe; done
	set -- $(ls | wc -l) $(ls -d */driver | wc -l) $(ls /sys/kernel/iommu_groups | head -n 1) $(ls /dev/vfio); c open 1 0000:01:00.1; echo $* $r' "$build/test/processes_client" | paste -sd'|')"

echo "# what is open: the same as the kernel says, and the user is asked for it"
devices=(--device igb)
asked leave
same "dpdk-devbind -u of a device in use waits for its user" "ok waits ok 0 unused=vfio-pci" "$(run bash -c '
	coproc "$0"; echo "open 1 0000:01:00.0" >&${COPROC[1]}; read -r r <&${COPROC[0]}; echo $r
	dpdk-devbind.py -u 01:00.0 >/dev/null & sleep 1; kill -0 $! && echo waits
	echo "close 1" >&${COPROC[1]}; read -r r <&${COPROC[0]}; echo $r; wait $!; echo $?
	dpdk-devbind.py --status-dev net | grep -o "unused=.*"' "$build/test/processes_client" | paste -sd' ')"
same "a writer that was killed leaves it without a driver, and who binds it goes on" "ok killed no driver ok bound ok" "$(run bash -c '
	coproc "$1"; c() { echo "$@" >&${COPROC[1]}; read -r r <&${COPROC[0]}; echo $r; }
	c open 1 0000:01:00.0; sh -c "echo 0000:01:00.0 >$0/unbind" & sleep 0.5; kill -KILL $!; wait $! 2>/dev/null || echo killed
	[ -e $0/0000:01:00.0 ] || echo no driver; c close 1
	echo 0000:01:00.0 >$0/bind; [ -e $0/0000:01:00.0 ] && echo bound; c open 1 0000:01:00.0' $V "$build/test/processes_client" | paste -sd' ')"
# the writer waits for the close, which the program makes when it is told to
same "unbind waits until the device is closed" "ok waits ok done ENOENT" "$(run bash -c '
	coproc "$1"; echo "open 1 0000:01:00.0" >&${COPROC[1]}; read -r r <&${COPROC[0]}; echo $r
	echo 0000:01:00.0 >$0/unbind & sleep 0.3; kill -0 $! && echo waits
	echo "close 1" >&${COPROC[1]}; read -r r <&${COPROC[0]}; echo $r; wait $!; [ -e $0/0000:01:00.0 ] || echo done
	echo "open 1 0000:01:00.0" >&${COPROC[1]}; read -r r <&${COPROC[0]}; echo $r' $V "$build/test/processes_client" | paste -sd' ')"
devices=(--device igb,group=4 --device igb,group=4,driver=none --device igb,driver=igb)
same "a sibling with a driver of the host: no container, and then no such driver" "EPERM ok 1 vfio-pci" "$(run bash -c '
	echo 0000:02:00.0 >/sys/bus/pci/drivers/igb/bind; "$0" <<<"open 4 0000:01:00.0"
	echo 0000:02:00.0 >/sys/bus/pci/drivers/igb/unbind
	coproc "$0"; echo "open 4 0000:01:00.0" >&${COPROC[1]}; read -r r <&${COPROC[0]}; echo $r
	echo 0000:02:00.0 2>/dev/null >/sys/bus/pci/drivers/igb/bind; echo $?
	echo vfio-pci >/sys/bus/pci/devices/0000:02:00.0/driver_override; echo 0000:02:00.0 >/sys/bus/pci/drivers_probe
	basename $(readlink /sys/bus/pci/devices/0000:02:00.0/driver)' "$build/test/processes_client" | paste -sd' ')"

counts
