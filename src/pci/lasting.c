/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/lasting.c: memory of a model that outlives its process. It is ordinary memory until somebody
 * has a file for it; then the file's pages take its place, at the same address, and what the model
 * stores is in the page cache, where SIGKILL does not reach. Another process makes the same device,
 * has the file's pages taken for what its own model had there, and the model goes on from them.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "pci/internal.h"

#define IN_FILE 0x10000u /* lasting.access, beside the number */

static long map(void *at, size_t len, int flags, int fd, off_t offset)
{
	return sys_call(SYS_mmap, (long)at, (long)len, PROT_READ | PROT_WRITE,
			flags | (at ? MAP_FIXED : 0), fd < 0 ? fd : SYS_PASS(fd), offset);
}

void *uvfio_lasting(struct uvfio_dev *dev, size_t size)
{
	long ret;

	if (!dev->create.now || dev->lasting.mem || !size || size > SIZE_MAX - PAGE_SIZE_4K) {
		uvfio_error(dev, "uvfio_lasting: %s",
			    dev->create.now && size ? "asked for twice, or too large"
						    : "in create alone, and for something");
		return NULL;
	}
	size = (size + PAGE_SIZE_4K - 1) & ~(size_t)(PAGE_SIZE_4K - 1);
	ret = map(NULL, size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sys_failed(ret)) {
		uvfio_error(dev, "memory of %zu bytes that lasts: %s", size, strerror((int)-ret));
		return NULL;
	}
	dev->lasting.mem = (void *)ret;
	dev->lasting.size = size;
	return dev->lasting.mem;
}

size_t pci_lasting_size(const pci_function *fn)
{
	return fn->lasting.size;
}

/* Write what the memory holds to the file, which may have had another one's. */
static int write_out(const pci_function *fn, int fd, off_t offset)
{
	const char *mem = fn->lasting.mem;

	for (size_t i = 0; i < fn->lasting.size; i += PAGE_SIZE_4K) {
		ssize_t n = sys_pwrite(fd, mem + i, PAGE_SIZE_4K, offset + (off_t)i);

		if (n != PAGE_SIZE_4K)
			return n < 0 ? (int)n : -ENOSPC;
	}
	return 0;
}

int pci_lasting_map(pci_function *fn, int fd, off_t offset, bool carry_on)
{
	long ret;
	int err;

	if (!fn->lasting.mem)
		return 0;
	err = carry_on ? 0 : write_out(fn, fd, offset);
	if (err)
		return err;
	ret = map(fn->lasting.mem, fn->lasting.size, MAP_SHARED, fd, offset);
	if (sys_failed(ret))
		return (int)ret;
	atomic_store(&fn->lasting.access, IN_FILE);
	return 0;
}

void pci_lasting_access(pci_function *fn, uint16_t number)
{
	if (atomic_load(&fn->lasting.access))
		atomic_store(&fn->lasting.access, IN_FILE | number);
}

uint32_t uvfio_lasting_access(const struct uvfio_dev *dev)
{
	return atomic_load_explicit(&dev->lasting.access, memory_order_relaxed);
}

int pci_lasting_unmap(pci_function *fn, bool keep)
{
	size_t size = fn->lasting.size;
	long fresh, ret;

	if (!size)
		return 0;
	fresh = map(NULL, size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sys_failed(fresh))
		return (int)fresh;
	if (keep)
		memcpy((void *)fresh, fn->lasting.mem, size);
	ret = sys_call(SYS_mremap, fresh, (long)size, (long)size, MREMAP_MAYMOVE | MREMAP_FIXED,
		       (long)fn->lasting.mem, 0);
	if (!sys_failed(ret)) {
		atomic_store(&fn->lasting.access, 0);
		return 0;
	}
	sys_call(SYS_munmap, fresh, (long)size, 0, 0, 0, 0);
	return (int)ret;
}

bool pci_can_carry_on(const pci_function *fn)
{
	return fn->model->carry_on && fn->lasting.mem;
}

int pci_function_carry_on(pci_function *fn)
{
	int ret;

	pci_model_enter(fn);
	ret = fn->model->carry_on(fn);
	pci_model_leave(fn);
	return ret > 0 ? -EIO : ret;
}

void pci_lasting_free(pci_function *fn)
{
	if (fn->lasting.mem)
		sys_call(SYS_munmap, (long)fn->lasting.mem, (long)fn->lasting.size, 0, 0, 0, 0);
	fn->lasting.mem = NULL;
	fn->lasting.size = 0;
}
