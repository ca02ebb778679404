#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# guest.sh oracle|cdev : in the guest of tests/host_run.sh, with busybox: edu, nvme and igb are
# behind ports of their own, bound to vfio-pci. Each part begins with a line "== NAME"; "ok" and
# "FAIL" are cases of their own.
edu=0000:01:00.0 nvme=0000:02:00.0 igb=0000:03:00.0
export TMPDIR=/tmp
run() { uvfio run --memlock unlimited --log-file /tmp/log "$@"; }
check() { # WHAT COMMAND...
	what=$1; shift
	if "$@" >/tmp/out 2>&1; then echo "ok $what"; else echo "FAIL $what"; tail -n 5 /tmp/out; fi
}
says() { # WORDS COMMAND...: it fails and says so
	words=$1; shift
	! "$@" >/tmp/said 2>&1 && grep -qF "$words" /tmp/said && return
	cat /tmp/said; return 1
}
part() { # NAME COMMAND...
	echo "== $1"; shift; "$@" 2>/tmp/err; echo "== status $?"; tail -n 3 /tmp/err
}
show() { (cd "/sys/bus/pci/devices/$1" && cat vendor device class revision subsystem_vendor subsystem_device resource reset_method); }
held() { # GROUP COMMAND...: while somebody else has it
	group=$1; shift
	(exec 9<>"/dev/vfio/$group"; "$@" 9>&-)
}
group_of() { basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")"; }

case $1 in
oracle)
	part native host_native $edu
	part nvme nvme_driver check $nvme
	part "nvme by uvfio" run --device host=$nvme -- /guest/nvme_driver check $nvme
	part igb igb_driver check $igb
	part "igb by uvfio" run --device host=$igb -- /guest/igb_driver check $igb
	part regs nvme_driver regs $nvme
	part "regs by uvfio" run --device host=$nvme,mmap=trap -- /guest/nvme_driver regs $nvme
	part sysfs show $nvme
	echo "== sysfs by uvfio"
	run --device host=$nvme -- /guest/bash -c "$(sed -n '/^show()/p' "$0"); PATH=/guest; show $nvme"
	# what a model's answers are compared with is asked of the chip, by way of uvfio
	echo "== oracle"
	for s in $2; do
		run --kernel 6.12 --device host=$edu --device host=$nvme --device host=$igb -- \
			/guest/oracle $edu $nvme $igb $igb $nvme "$s" | grep -v '^== end'
	done
	echo "== cases"
	check "a device that is not there" says "the host has no PCI device 0000:77:00.0" run --device host=0000:77:00.0 -- /guest/true
	check "one that vfio-pci does not have: the driver's name" says "pcieport" run --device host=0000:00:04.0 -- /guest/true
	check "and what binds it" says "/driver_override; echo" run --device host=0000:00:04.0 -- /guest/true
	check "somebody else has its group (EBUSY)" held "$(group_of $edu)" says "in use" run --log-file /dev/stderr --device host=$edu -- /guest/true
	check "nobody any more" run --device host=$edu -- /guest/true
	check "this kernel has no character devices" says "has no character device" run --device host=$edu,via=cdev -- /guest/true
	check "two programs, one after the other" run --device host=$nvme -- /guest/bash -c "for i in 1 2; do nvme_driver regs $nvme || exit 1; done"
	check "two at a time, of one run: the second one gets EBUSY" run --device host=$nvme -- /guest/bash -c "exec 9<>/dev/vfio/$(group_of $nvme); ! nvme_driver regs $nvme && exec 9>&- && nvme_driver regs $nvme"
	check "at another place" run --device host=$nvme,addr=09:00.0,group=77 -- /guest/nvme_driver regs 0000:09:00.0
	check "a model beside it" run --device host=$nvme --device edu -- /guest/nvme_driver regs $nvme
	check "plugged in, used, taken away while programs run" run --device edu,addr=09:00.0 -- /guest/bash -c "uvfio ctl plug host=$nvme && nvme_driver regs $nvme && uvfio ctl list | grep $nvme &&
		! uvfio ctl unplug --surprise $nvme && nvme_driver regs $nvme && uvfio ctl unplug $nvme && ! nvme_driver regs $nvme"
	check "nobody pulls it out by words" run --device host=$nvme -- /guest/bash -c "uvfio ctl unplug --surprise $nvme 2>&1 | grep 'by hand' && uvfio ctl link $nvme down 2>&1 | grep 'no cable'"
	check "the host's file is free at the end" nvme_driver regs $nvme
	;;
cdev)
	part native host_native $edu
	part nvme nvme_driver check $nvme
	part "nvme by uvfio" run --device host=$nvme,via=cdev -- /guest/nvme_driver check $nvme
	echo "== iommufd"
	for s in $2; do run --device host=$edu -- /guest/iommufd_probe -s "$s" $edu; done
	echo "== cases"
	check "a guest of uvfio/vmm.h: interrupts of all kinds" host_vmm $edu $igb
	check "by its group" run --device host=$nvme,via=group -- /guest/nvme_driver regs $nvme
	check "somebody else has its group (EBUSY)" held "$(group_of $edu)" says "in use" run --log-file /dev/stderr --device host=$edu -- /guest/true
	;;
esac
