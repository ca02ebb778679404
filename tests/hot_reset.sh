#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hot_reset.sh [-K] : devices that share a bus (bus=): the kernel's answers to
# tests/hot_reset/client.c and hammer.c, as recorded (with -K recorded anew; with UVFIO_LONG, as
# make interop sets it, kernels in QEMU are asked whether they still say so), and the same asked of
# uvfio. Three topologies: two edu behind a bridge to PCI, which share a group, and on the root bus;
# an NVMe controller and an 82576 as functions behind a root port, in two groups. The latter is
# asked of 6.12, which knows of the 82576 that its functions are apart; tools/kernel-iommufd's has
# no such list. Its port has 5 GT/s: after a reset Linux waits for the Data Link Layer Link Active
# bit of faster ones, which QEMU does not set, and says ENOTTY.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
here=$top/tests/hot_reset
truncate -s 1M "$tmp/image"

# topology NAME: qemu, the arguments for QEMU; kernel, who is asked; addresses there and here; opts
topology() {
	case $1 in
	pci)
		kernel=7.3 there="0000:02:01.0 0000:02:02.0" at=$there
		qemu="-device pcie-root-port,id=rp,chassis=1,addr=4 -device pcie-pci-bridge,id=br,bus=rp
			-device edu,bus=br,addr=1 -device edu,bus=br,addr=2"
		opts=(--device edu,bus=pci:a,addr=02:01.0 --device edu,bus=pci:a,addr=02:02.0);;
	root)
		kernel=7.3 there="0000:00:04.0 0000:00:05.0" at="0000:00:10.0 0000:00:11.0"
		qemu="-device edu,addr=4 -device edu,addr=5"
		opts=(--device edu,bus=root --device edu,bus=root);;
	port)
		kernel=6.12 there="0000:01:00.0 0000:01:00.1" at=$there
		qemu="-device pcie-root-port,id=rp,chassis=1,addr=4,hotplug=off,x-speed=5
			-drive if=none,id=d0,file=null-co://,format=raw
			-device nvme,serial=x,drive=d0,bus=rp,addr=0.0,multifunction=on
			-device igb,bus=rp,addr=0.1"
		opts=(--device "nvme,image=$tmp/image,bus=a" --device igb,bus=a);;
	esac
}
on_kernel() { # PROGRAM
	local q=() w
	for w in $qemu; do q+=(-Q "$w"); done
	QEMU=$top/tools/qemu-newest "$top/tools/kernel-vfio-guest" -k $kernel -u "${q[@]}" \
		-f "$build/test/hot_reset_$1" -- "for d in $there; do p=/sys/bus/pci/devices/\$d
			[ -e \$p/driver ] && echo \$d >\$p/driver/unbind
			echo vfio-pci >\$p/driver_override; echo \$d >/sys/bus/pci/drivers/vfio-pci/bind; done
		hot_reset_$1 $there" 2>&1
}
# shellcheck disable=SC2086 # a list of addresses
here_() { timeout 120 "$build/uvfio" run ${as:+--kernel $as} --log-file "$tmp/log" "${opts[@]}" -- "$build/test/hot_reset_$1" $at 2>"$tmp/err"; }
# The answers of an older kernel: it has no character devices, and 6.1 looks for the reset before it
# counts groups.
of_kernel() { # KERNEL
	if [[ $1 == 6.1 && $t == root ]]; then sed '/^cdev/d; s/^groups: reset, none: EINVAL/groups: reset, none: ENODEV/' "$recorded"; else sed '/^cdev/d' "$recorded"; fi
}

for t in pci root port; do
	topology $t
	recorded=$here/kernel-$kernel-$t.txt
	[[ ${1-} == -K ]] && on_kernel client >"$tmp/kernel" && cp "$tmp/kernel" "$recorded"
	[[ ${UVFIO_LONG-} ]] && same "$t: Linux $kernel says what is recorded" "" "$(on_kernel client | diff "$recorded" - 2>&1)"
	here_ client >"$tmp/client"
	# the kernel that has no iommufd was not asked
	[[ $kernel == 7.3 ]] || sed -i '/^cdev/d' "$tmp/client"
	exec 3<"$tmp/client"
	while IFS= read -r want; do
		IFS= read -r got <&3 || got="(nothing)"
		same "$t: ${want%: *}" "$want" "$got"
	done <"$recorded"
	same "$t: as many answers as the kernel's" "$(wc -l <"$recorded")" "$(wc -l <"$tmp/client")"
	for k in 6.1 6.12; do
		same "$t: --kernel $k: all of them" "" "$(of_kernel $k | diff - <(as=$k here_ client | sed '/^cdev/d'))"
		[[ ${UVFIO_LONG-} && $k != "$kernel" ]] && same "$t: Linux $k says so" "" "$(of_kernel $k | diff - <(kernel=$k on_kernel client) 2>&1)"
	done
done

hammered="resets of the bus: 1
resets of the bus: SIGBUS: 0
decoding off: SIGBUS in each thread: 1
decoding on: none: 1
low power: SIGBUS in each thread: 1
low power ended: none: 1"
for t in pci port; do
	topology $t
	[[ ${UVFIO_LONG-} ]] && same "$t: threads on mapped BARs, Linux $kernel" "$hammered" "$(on_kernel hammer)"
	same "$t: threads on mapped BARs" "$hammered" "$(here_ hammer)"
done

echo "# two processes"
topology port
same "a device that another process has is not reset" "other process: EINVAL" "$(timeout 120 "$build/uvfio" run --log-file "$tmp/log" "${opts[@]}" -- python3 -c '
import errno, fcntl, os, struct, sys
def open_one(group, name):
    c = os.open("/dev/vfio/vfio", os.O_RDWR); g = os.open("/dev/vfio/" + group, os.O_RDWR)
    fcntl.ioctl(g, 0x3b68, struct.pack("i", c)); fcntl.ioctl(c, 0x3b66, 3)
    return g, fcntl.ioctl(g, 0x3b6a, bytearray(name.encode() + b"\0"), True)
r, w = os.pipe(); r2, w2 = os.pipe()
if os.fork() == 0:
    os.close(w2); open_one("2", "0000:01:00.1"); os.write(w, b"x"); os.read(r2, 1); os._exit(0)
os.read(r, 1)
g, d = open_one("1", "0000:01:00.0")
try: fcntl.ioctl(d, 0x3b71, struct.pack("IIIi", 16, 0, 1, g)); print("other process: 0")
except OSError as e: print("other process:", errno.errorcode[e.errno])
os.write(w2, b"x"); os.wait()' 2>&1)"
echo "# a neighbour without vfio-pci"
topology pci
cat >"$tmp/unbind.py" <<'END'
import errno, fcntl, os, struct, sys
A, B = sys.argv[1:3]
def e(f):
    try: return f()
    except OSError as x: return errno.errorcode[x.errno]
group = os.path.basename(os.readlink(f"/sys/bus/pci/devices/{A}/iommu_group"))
c = os.open("/dev/vfio/vfio", os.O_RDWR); g = os.open("/dev/vfio/" + group, os.O_RDWR)
fcntl.ioctl(g, 0x3b68, struct.pack("i", c)); fcntl.ioctl(c, 0x3b66, 3)
d = fcntl.ioctl(g, 0x3b6a, bytearray(A.encode() + b"\0"), True)
def ask():
    b = bytearray(struct.pack("III", 76, 0, 0) + bytes(64)); e(lambda: fcntl.ioctl(d, 0x3b70, b, True))
    print(struct.unpack("III", b[:12])[2], e(lambda: fcntl.ioctl(d, 0x3b71, struct.pack("IIIi", 16, 0, 1, g)) and 0))
def put(name): open("/sys/bus/pci/drivers/vfio-pci/" + name, "w").write(B)
ask(); put("unbind"); ask(); put("bind"); ask()
END
# shellcheck disable=SC2086
same "counted, and nothing can be reset with it" "2 0|2 EINVAL|2 0" "$(timeout 120 "$build/uvfio" run --log-file "$tmp/log" "${opts[@]}" -- python3 "$tmp/unbind.py" $at 2>&1 | paste -sd'|')"
counts
