/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/kvm.c: KVM's VFIO device. A virtual machine monitor gives its VFIO files to KVM, which takes
 * references and asks whether DMA is coherent (Documentation/virt/kvm/devices/vfio.rst). KVM looks
 * for the kernel's VFIO behind the number and would refuse ours, so for ours the answer is given
 * here; nothing else follows from it, as there is no hardware behind.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/guard.h"
#include "shim/calls.h"
#include "shim/handles.h"
#include "shim/shim.h"

/* linux/kvm.h: FILE was called GROUP before 6.2, with the same numbers */
#define ATTR_GROUP_FILE 1u
#define ATTR_ADD	1u
#define ATTR_DEL	2u

/*
 * The name of the file that stands in for KVM's device when the kernel has none (it has no vfio).
 * Nothing else looks at it.
 */
#define DEVICE_LINK "anon_inode:kvm-vfio"
#define VM_LINK	    "anon_inode:kvm-vm"

static bool link_is(int fd, const char *want, bool *stand_in)
{
	char text[96];
	long n;
	size_t len;

	n = sys_readlink_fd(fd, text, sizeof(text));
	if (n < 0)
		return false;
	len = shim_link_text(text, (size_t)n);
	if (len != strlen(want) || memcmp(text, want, len))
		return false;
	*stand_in = len != (size_t)n;
	return true;
}

static long create(int fd, unsigned long arg)
{
	struct kvm_create_device cd;
	bool stand_in;
	long rc = sys_ioctl(fd, KVM_CREATE_DEVICE, (void *)arg);
	int new;

	if ((rc != -ENODEV && rc != -ENOTTY) || guard_copy(&cd, (void *)arg, sizeof(cd)))
		return rc;
	if (cd.type != KVM_DEV_TYPE_VFIO || !link_is(fd, VM_LINK, &stand_in))
		return rc;
	if (cd.flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	new = shim_memfd("uvfio::" DEVICE_LINK);
	if (new < 0)
		return new;
	cd.fd = (uint32_t) new;
	if (guard_copy((void *)arg, &cd, sizeof(cd))) {
		sys_close(new);
		return -EFAULT;
	}
	report_info("kvm-stand-in", SHIM_WHO, 0,
		    "this kernel's KVM has no VFIO device: descriptor %d stands in for it", new);
	return 0;
}

/* virt/kvm/vfio.c: kvm_vfio_file_add, kvm_vfio_file_del */
static long set_attr(struct shim_handle *h, uint64_t attr)
{
	bool add = attr == ATTR_ADD, was;

	if (!shim_handle_file(h))
		return -ENODEV;
	was = shim_handle_set_kvm(h, add);
	if (add)
		return was ? -EEXIST : 0;
	return was ? 0 : -ENOENT;
}

long shim_kvm_ioctl(int fd, unsigned cmd, unsigned long arg)
{
	struct kvm_device_attr a;
	struct shim_handle *h;
	bool stand_in = false, file;
	int32_t target;
	int err = 0;
	long rc;

	if (cmd == KVM_CREATE_DEVICE)
		return create(fd, arg);
	if (cmd == KVM_CREATE_VM) {
		rc = sys_ioctl(fd, cmd, (void *)arg);
		if (rc >= 0) {
			struct machine *m = shim_machine_if_built();

			atomic_store(&shim.kvm, true);
			if (m)
				machine_auto_mmap_off(m);
		}
		return rc;
	}
	if ((cmd != KVM_SET_DEVICE_ATTR && cmd != KVM_HAS_DEVICE_ATTR) ||
	    guard_copy(&a, (void *)arg, sizeof(a)))
		goto kernel;
	file = a.group == ATTR_GROUP_FILE && (a.attr == ATTR_ADD || a.attr == ATTR_DEL);
	if (!link_is(fd, DEVICE_LINK, &stand_in))
		goto kernel;
	if (cmd == KVM_HAS_DEVICE_ATTR) {
		if (stand_in)
			return file ? 0 : -ENXIO;
		goto kernel;
	}
	if (!file || guard_copy(&target, (void *)(uintptr_t)a.addr, sizeof(target)))
		goto kernel;
	h = shim_handle_get_own(target, &err);
	if (!h)
		goto kernel;
	rc = set_attr(h, a.attr);
	shim_handle_put(h);
	return rc;
kernel:
	return stand_in ? -ENXIO : sys_ioctl(fd, cmd, (void *)arg);
}
