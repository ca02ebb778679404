#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# view.sh: what programs find in /sys and /dev, asked with the tools that people use: listings in
# which the view and the host's directories meet, udevadm. (pciutils: lspci.sh; binding: bind.sh)
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
PATH=$PATH:/usr/sbin:/sbin
for c in udevadm python3; do
	command -v "$c" >/dev/null || { echo "SKIP: $c (tools/setup installs it)"; exit 77; }
done
run() { : >"$tmp/log"; timeout 300 "$build/uvfio" run --log-file "$tmp/log" "${devices[@]}" -- "$@" 2>"$tmp/err"; }
sh_() { run sh -c "$@"; }
D1=/sys/bus/pci/devices/0000:01:00.0
devices=(--device igb --device igb,driver=igb)

echo "# listings"
same "directories of the host's list the view's names, once" "vfio|iommu_groups|vfio vfio-pci vfio_iommu_type1 vfio_pci vfio_pci_core|pci0000:01 pci0000:02|vfio|vfio-dev" \
	"$(sh_ 'ls /dev | grep vfio; ls /sys/kernel | grep iommu_groups; echo $(ls /sys/module | grep vfio); echo $(ls /sys/devices | grep pci); ls /sys/class | grep vfio' | paste -sd'|')"
same "find does, and other walks" "/dev/vfio /dev/vfio/1 /dev/vfio/devices /dev/vfio/devices/vfio0 /dev/vfio/vfio" "$(sh_ 'echo $(find /dev -path "/dev/vfio*" | sort)')"
same "and Python" "['vfio', 'vfio-pci', 'vfio_iommu_type1', 'vfio_pci', 'vfio_pci_core']" "$(run python3 -c 'import os; print(sorted(m for m in os.listdir("/sys/module") if "vfio" in m))')"
same "and again from the start" "1 1" "$(run python3 -c '
import ctypes
c = ctypes.CDLL(None); c.opendir.restype = c.readdir.restype = ctypes.c_void_p; c.readdir.argtypes = c.rewinddir.argtypes = [ctypes.c_void_p]
d = c.opendir(b"/dev")
for _ in range(2):
    n = 0
    while e := c.readdir(d): n += ctypes.string_at(e + 19) == b"vfio"
    print(n, end=" " if not _ else "\n"); c.rewinddir(d)')"
# a host with devices of its own: a /dev and a /sys of ours, in a mount namespace
cat >"$tmp/host" <<'END'
mount -t tmpfs none "$tmp/dev" || exit 3
for f in null zero urandom; do touch "$tmp/dev/$f"; mount --bind "/dev/$f" "$tmp/dev/$f" || exit 3; done
mkdir -p "$tmp/dev/vfio/devices"; touch "$tmp/dev/iommu" "$tmp/dev/vfio/7" "$tmp/dev/vfio/devices/vfio0"
mount --rbind "$tmp/dev" /dev || exit 3
[ -e /dev/iommu ] || exit 3
exec "$@"
END
mkdir "$tmp/dev"; export tmp
on_host() { unshare $([[ $(id -u) -eq 0 ]] || echo -r) -m sh "$tmp/host" timeout 300 "$build/uvfio" run --log-file "$tmp/log" "${devices[@]}" -- "$@" 2>"$tmp/err"; }
if unshare $([[ $(id -u) -eq 0 ]] || echo -r) -m true 2>/dev/null; then
	same "a host's /dev/iommu and /dev/vfio are not ours" "10:126 2 242:0 vfio0 iommu vfio" "$(on_host python3 -c '
import os
def no(f, *a):
    try: f(*a); return 0
    except OSError as e: return e.errno
def dev(f): r = os.stat(f).st_rdev; return "%d:%d" % (os.major(r), os.minor(r))
print(dev("/dev/iommu"), no(os.open, "/dev/vfio/7", os.O_RDWR), dev("/dev/vfio/devices/vfio0"), *os.listdir("/dev/vfio/devices"), *sorted(n for n in os.listdir("/dev") if n in ("iommu", "vfio")))')"
else
	echo "     no mount namespaces here: a host with /dev/iommu is not tried"
fi

echo "# udevadm"
run udevadm info -q all -p $D1 >"$tmp/out"
has "udevadm info: path" '^P: /devices/pci0000:01/0000:01:00\.0$' "$tmp/out"
has "udevadm info: driver and subsystem" '^E: DRIVER=vfio-pci$' "$tmp/out"
has "udevadm info: modalias" '^E: MODALIAS=pci:v00008086d000010C9' "$tmp/out"
run udevadm info -a -p $D1 >"$tmp/out"
has "udevadm info -a: attributes" 'ATTR\{vendor\}=="0x8086"' "$tmp/out"
has "udevadm info -a: the bus above" "looking at parent device '/devices/pci0000:01'" "$tmp/out"
same "udevadm info of a module" "P: /module/vfio_pci" "$(run udevadm info -p /sys/module/vfio_pci | head -n 1)"
run udevadm info /dev/vfio/1 >"$tmp/out"
has "udevadm info of a group's file" "^N: vfio/1$" "$tmp/out"
same "the numbers of the device files are sysfs's" "ok ok ok ok" "$(sh_ 'for f in vfio/vfio vfio/1 vfio/devices/vfio0 iommu; do
	n=$(stat -c "%Hr:%Lr" /dev/$f); grep -q "^DEVNAME=$f$" /sys/dev/char/$n/uevent && [ "$(cat /sys/class/*/${f##*/}/dev)" = $n ] && echo ok; done' | paste -sd' ')"
same "a group of virtual functions comes and goes there, too" "3 0" "$(sh_ 'echo 2 >$1/sriov_numvfs; ls /sys/class/vfio | wc -l; echo 0 >$1/sriov_numvfs; ls /sys/class/vfio /sys/devices/virtual/vfio | grep -c "[34]"' - $D1 | paste -sd' ')"
same "and so do their character devices" "vfio0 vfio1 vfio2|vfio-dev/vfio1 vfio-dev/vfio2|vfio0|" "$(sh_ 'echo 2 >$1/sriov_numvfs; ls /dev/vfio/devices | xargs; cd $1; ls -d virtfn[01]/vfio-dev/* | sed s,virtfn./,, | xargs; echo 0 >sriov_numvfs; ls /sys/class/vfio-dev; ls /sys/dev/char | grep 242:[12]' - $D1 | paste -sd'|' | sed 's/$/|/')"
same "the lowest free number is the next one's" "vfio0 vfio2|vfio2|vfio0" "$(devices=(--device edu --device edu --device edu); sh_ 'cd /sys/bus/pci; echo 0000:02:00.0 >drivers/vfio-pci/unbind; ls /dev/vfio/devices | xargs; echo 0000:01:00.0 >drivers/vfio-pci/unbind; ls /sys/class/vfio-dev; echo 0000:02:00.0 >drivers/vfio-pci/bind; ls devices/0000:02:00.0/vfio-dev' | paste -sd'|')"

counts
