/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/kvm.c: what a virtual machine monitor does to tell KVM of its VFIO files. Without
 * /dev/kvm a file with the name of a virtual machine's takes its place: the shim answers only where
 * the kernel says that it has no such device.
 */
#include <linux/kvm.h>

#include "shim.h"

#define GROUP_FILE 1
#define ADD	   1
#define DEL	   2

static int vm;

static int attr(int dev, unsigned long cmd, uint32_t group, uint64_t a, int fd)
{
	int32_t n = fd;
	struct kvm_device_attr x = { .group = group, .attr = a, .addr = (uintptr_t)&n };

	return ioctl(dev, cmd, &x);
}

static void vfio_device(void)
{
	struct kvm_create_device cd = { .type = KVM_DEV_TYPE_VFIO,
					.flags = KVM_CREATE_DEVICE_TEST };
	struct vfio v = vfio_open();
	int dev, other = open("/dev/null", O_RDWR);

	CHECK(!ioctl(vm, KVM_CREATE_DEVICE, &cd));
	cd.flags = 0;
	CHECK(!ioctl(vm, KVM_CREATE_DEVICE, &cd));
	dev = (int)cd.fd;
	CHECK(!attr(dev, KVM_HAS_DEVICE_ATTR, GROUP_FILE, ADD, 0));
	FAILS(attr(dev, KVM_HAS_DEVICE_ATTR, 17, 3, 0), ENXIO);
	FAILS(attr(dev, KVM_SET_DEVICE_ATTR, GROUP_FILE, DEL, v.group), ENOENT);
	CHECK(!attr(dev, KVM_SET_DEVICE_ATTR, GROUP_FILE, ADD, v.group));
	FAILS(attr(dev, KVM_SET_DEVICE_ATTR, GROUP_FILE, ADD, v.group), EEXIST);
	CHECK(!attr(dev, KVM_SET_DEVICE_ATTR, GROUP_FILE, ADD, v.device));
	CHECK(!attr(dev, KVM_SET_DEVICE_ATTR, GROUP_FILE, DEL, v.group));
	CHECK(!attr(dev, KVM_SET_DEVICE_ATTR, GROUP_FILE, DEL, v.device));
	CHECK(attr(dev, KVM_SET_DEVICE_ATTR, GROUP_FILE, ADD, other) == -1);
	CHECK(attr(dev, KVM_SET_DEVICE_ATTR, GROUP_FILE, ADD, 9999) == -1);
	close(dev);
	close(other);
	vfio_close(&v);
}

/* The same numbers on other files are the kernel's. */
static void other_files(void)
{
	struct kvm_create_device cd = { .type = KVM_DEV_TYPE_VFIO };
	struct vfio v = vfio_open();
	int other = open("/dev/null", O_RDWR);

	FAILS(ioctl(other, KVM_CREATE_DEVICE, &cd), ENOTTY);
	FAILS(attr(other, KVM_SET_DEVICE_ATTR, GROUP_FILE, ADD, v.group), ENOTTY);
	FAILS(attr(v.device, KVM_SET_DEVICE_ATTR, GROUP_FILE, ADD, v.group), ENOTTY);
	cd.type = 4711;
	CHECK(ioctl(vm, KVM_CREATE_DEVICE, &cd) == -1);
	close(other);
	vfio_close(&v);
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	vm = kvm >= 0 ? ioctl(kvm, KVM_CREATE_VM, 0) : -1;
	printf("     with %s\n",
	       vm >= 0 ? "the kernel's KVM" : "a file in place of a virtual machine");
	if (vm < 0)
		vm = memfd_create("uvfio:anon_inode:kvm-vm", MFD_CLOEXEC);
	RUN(vfio_device);
	RUN(other_files);
	return any_failed;
}
