#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# cdev.sh: /dev/vfio/devices/vfioN and /dev/iommu, handed on: the newest QEMU gets both as
# descriptors (fd=), as from a manager, and by address; and whose they are (tests/shim/cdevs.c has
# the same between C programs); dirty pages, page requests, PASIDs.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
qemu=$top/tools/qemu-newest
run() { : >"$tmp/log"; timeout 120 "$build/uvfio" run --memlock unlimited --log info --log-file "$tmp/log" --device edu --device igb -- "$@" 2>"$tmp/err"; }

# What a monitor sees of the devices 1234:11e8 (edu) and 8086:10c9 (igb). It ends by itself.
cat >"$tmp/vm" <<'END'
exec "$qemu" -m 64M -display none -nodefaults -S -monitor stdio "$@" < <(echo "info pci"; echo quit)
END
devices() { grep -aoE 'PCI device (1234:11e8|8086:10c9)' "$1" | paste -sd' '; }
export qemu
if "$qemu" --version >/dev/null; then
	run bash "$tmp/vm" -object iommufd,id=i -device vfio-pci,host=01:00.0,iommufd=i -device vfio-pci,host=02:00.0,iommufd=i >"$tmp/out"
	same "QEMU opens two devices for one iommufd" "PCI device 1234:11e8 PCI device 8086:10c9" "$(devices "$tmp/out")"
	run bash -c 'exec 3<>/dev/vfio/devices/vfio0 4<>/dev/vfio/devices/vfio1 5<>/dev/iommu; exec bash "$@"' - "$tmp/vm" \
		-object iommufd,id=i,fd=5 -device vfio-pci,id=a,fd=3,iommufd=i -device vfio-pci,id=b,fd=4,iommufd=i >"$tmp/out"
	same "and gets them from who opened them" "PCI device 1234:11e8 PCI device 8086:10c9" "$(devices "$tmp/out")"
	has "which is told" "descriptor 4, /dev/vfio/devices/vfio1, was opened by another process: nobody has used it"
else
	echo "SKIP: QEMU 11.1 (tools/qemu-newest)"; skipped=$((skipped + 3))
fi

if [[ $(id -u) -eq 0 ]] && nobody="setpriv --reuid=65534 --regid=65534 --clear-groups" && $nobody test -x "$build/uvfio"; then
	export nobody TMPDIR=$tmp/open prog=$build/test/shim_cdevs; mkdir -m 777 "$TMPDIR"; chmod 755 "$tmp"
	same "the node's owner may bind it, others may not open it" "/dev/vfio/devices/vfio1: Permission denied|0" "$(run bash -c '
		chown 65534 /dev/vfio/devices/vfio0 /dev/iommu
		$nobody sh -c "exec 3<>/dev/vfio/devices/vfio1" 2>&1 | grep -o "/dev/vfio.*"
		$nobody bash -c "exec 3<>/dev/vfio/devices/vfio0 4<>/dev/iommu; exec $prog bind 3 4"; echo $?' | paste -sd'|')"
else
	echo "SKIP: whose the nodes are: root, and a build that others can run"; skipped=$((skipped + 1))
fi

# the pages 3, 4 and 63 of 64; what could not be told is told again
same "which pages a device wrote" "bind 0|ioas 0|hwpt 0|attach 0|map 0|track 0|nowhere EFAULT|look 0 8000000000000018|take 0 8000000000000018|again 0 0 5555" \
	"$("$build/uvfio" run --log none --iommu dirty-tracking=on --device testdev -- "$build/test/cdev_dirty" | paste -sd'|')"

# A driver that maps a page when the device asks for it. (status 1 busy, 2 done, 3 fault; page status with the group above: 2 success, 3 invalid)
cat >"$tmp/expected" <<'END'
bind 0
ioas 0
queue 0
hwpt 0, destroy the queue EBUSY
attach 0
empty: out, cut: EINVAL
status 1
request flags 2 ours pasid 0 group 511 perm 2 addr 100000 cookie 1
map 0, another answer EINVAL, another cookie EINVAL, answer 0, again EINVAL
request flags 2 ours pasid 0 group 511 perm 2 addr 101000 cookie 1
map 0, another answer EINVAL, another cookie EINVAL, answer 0, again EINVAL
status 2 right out
invalid: status 3
no map: status 3
out, out, in out
two of three EINVAL, 39 bytes ESPIPE, nowhere EFAULT, all 160
request flags 0 ours pasid 0 group 7 perm 1 addr 8000 cookie 1
request flags 0 ours pasid 0 group 7 perm 2 addr 9000 cookie 1
request flags 2 ours pasid 0 group 7 perm 3 addr a000 cookie 1
request flags 2 ours pasid 0 group 8 perm 1 addr a000 cookie 2
a good answer and a bad one: 8, page status 80003, 70002
a thread: status 2, 60 pages
hwpt 0
in out, attach 0
left: 3 3 out, late EINVAL
without: 3
attach 0
closed: out, late EINVAL
END
same "page requests are served, refused and left" "$(cat "$tmp/expected")" "$(timeout 100 "$build/uvfio" run --log none --device testdev,pri=on -- "$build/test/cdev_pages")"
same "a device without them takes no HWPT with a fault queue" "attach ENODEV" "$(timeout 100 "$build/uvfio" run --log none --device testdev -- "$build/test/cdev_pages" 1 | tail -1)"

# An address space for each PASID. (caps 2: execute)
cat >"$tmp/expected" <<'END'
bind 0
hw info 0 caps 2, PASIDs of 8 bits
ATS 1, PRI 1, PASID 0
queue 0
hwpt 0
hwpt 0
hwpt 0
map 0
attach: too large ENOSPC, no such ENOENT, an IOAS EINVAL, not made for it EINVAL, 9 bits EINVAL, right 0
beside it: an IOAS EINVAL, not made for it EINVAL, another PASID 0
PASID 5: status 2, aaaa
request flags 3 pasid 6 perm 2 addr 100000
map 0
PASID 6: status 2, bbbb
PASID 7: status 3
without: status 3
replace 0, detach 0, again 0
PASID 6: status 2, eeee bbbb
PASID 5: status 3, eeee
without, not made for it: EINVAL, detach 0, then 0, and a PASID EINVAL
END
same "a device with PASIDs sees an address space for each" "$(cat "$tmp/expected")" "$(timeout 100 "$build/uvfio" run --log warn --log-file "$tmp/log" --device testdev,pri=on,pasid_bits=8 -- "$build/test/cdev_pasids")"
has "and a fault names its PASID" "write of 4 bytes at IOVA 0x100000 of PASID 7: the device is attached to no I/O address space"
counts
