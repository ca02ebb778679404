/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/pages.c: pages of a memory BAR as a driver maps them: trapped, polled, memory or not at all.
 * Polled pages are a memfd that the model looks at; the sink, which maps it for a driver, is told
 * when the mappings may be used and when not: when the model says so. Memory is a memfd too, which
 * may be used while the function decodes, and where all other accesses end as well.
 *
 * Open or closed is a flag of the function. It is set before the sink is called, in both
 * directions: a mapping that is made meanwhile looks at the flag under the lock that the sink
 * takes, so it is either found by the sink or sees what the sink is about to do. A thread that ends
 * decoding takes pages.lock afterwards: either it finds the pages open, or the thread that opens
 * them next finds decoding off.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "pci/internal.h"

static bool overlaps(const struct page_area *a, unsigned bar, uint64_t offset, uint64_t len)
{
	return a->bar == bar && a->offset < offset + len && offset < a->offset + a->len;
}

static const struct page_area *area_at(const pci_function *fn, unsigned bar, uint64_t at)
{
	const struct page_area *first = NULL;

	for (unsigned i = 0; i < fn->pages.num; i++) {
		const struct page_area *a = &fn->pages.area[i];

		if (a->kind == UVFIO_PAGE_TRAPPED)
			continue;
		if (a->bar == bar && a->offset + a->len > at &&
		    (!first || a->offset < first->offset))
			first = a;
	}
	return first;
}

static bool has_memory(const struct page_area *a)
{
	return a->kind == UVFIO_PAGE_POLLED || a->kind == UVFIO_PAGE_MEMORY;
}

static int make_memory(struct page_area *a)
{
	long fd = fd_of_ours(SYS_memfd_create, (long)"uvfio-pages", MFD_CLOEXEC | MFD_ALLOW_SEALING,
			     0, 0),
	     ret;

	if (fd < 0)
		return (int)fd;
	/*
	 * What is before its place in the BAR takes no memory. One who gets the file cannot cut it
	 * off below us.
	 */
	ret = sys_call(SYS_ftruncate, fd, (long)(a->offset + a->len), 0, 0, 0, 0);
	if (ret >= 0)
		ret = sys_call(SYS_fcntl, fd, F_ADD_SEALS,
			       F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, 0, 0, 0);
	if (ret >= 0)
		ret = sys_call(SYS_mmap, 0, (long)a->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			       (long)a->offset);
	if (sys_failed(ret)) {
		sys_close((int)fd);
		return (int)ret;
	}
	a->mem = (void *)ret;
	a->fd = fd_make_private((int)fd);
	if (a->fd < 0) {
		ret = a->fd;
		sys_call(SYS_munmap, (long)a->mem, (long)a->len, 0, 0, 0, 0);
		sys_close((int)fd);
		return (int)ret;
	}
	return 0;
}

int uvfio_set_pages(struct uvfio_dev *dev, unsigned bar, uint64_t offset, uint64_t len,
		    enum uvfio_page_kind kind)
{
	const struct pci_bar *b = pci_function_bar(dev, bar);
	struct page_area *a = &dev->pages.area[dev->pages.num];
	int ret;

	if (!dev->create.now || bar >= PCI_BARS || (unsigned)kind > UVFIO_PAGE_MEMORY)
		return -EINVAL;
	if (!b->size || b->flags & UVFIO_BAR_IO || !len || (offset | len) % PAGE_SIZE_4K ||
	    !range_within(offset, len, b->size))
		return uvfio_error(dev,
				   "pages 0x%" PRIx64 "+0x%" PRIx64
				   " of BAR%u: must be whole pages of a memory BAR",
				   offset, len, bar);
	for (unsigned i = 0; i < dev->pages.num; i++)
		if (overlaps(&dev->pages.area[i], bar, offset, len))
			return -EEXIST;
	if (dev->pages.num == PCI_PAGES_MAX)
		return -ENOSPC;
	*a = (struct page_area){ .bar = bar, .offset = offset, .len = len, .kind = kind, .fd = -1 };
	if (has_memory(a)) {
		ret = make_memory(a);
		if (ret) {
			uvfio_error(dev, "memory for pages of BAR%u: %s", bar, strerror(-ret));
			return ret;
		}
	}
	dev->pages.has_memory |= kind == UVFIO_PAGE_MEMORY;
	dev->pages.num++;
	return 0;
}

void *uvfio_polled_memory(struct uvfio_dev *dev, unsigned bar, uint64_t offset)
{
	const struct page_area *a = area_at(dev, bar, offset);

	return a && has_memory(a) && a->offset <= offset ? (char *)a->mem + (offset - a->offset)
							 : NULL;
}

int pci_pages_check(pci_function *fn)
{
	const struct pci_msix_info *m = &fn->msix.info;

	for (unsigned i = 0; fn->cap.msix && i < fn->pages.num; i++) {
		const struct page_area *a = &fn->pages.area[i];

		if (has_memory(a) &&
		    (overlaps(a, m->table_bar, m->table_offset, 16ull * m->vectors) ||
		     overlaps(a, m->pba_bar, m->pba_offset, (m->vectors + 63ull) / 64 * 8)))
			return uvfio_error(
				fn, "BAR%u: the MSI-X table or pending bits lie in a %s page",
				a->bar, a->kind == UVFIO_PAGE_POLLED ? "polled" : "memory");
	}
	return 0;
}

void pci_pages_free(pci_function *fn)
{
	for (unsigned i = 0; i < fn->pages.num; i++) {
		if (!has_memory(&fn->pages.area[i]))
			continue;
		sys_call(SYS_munmap, (long)fn->pages.area[i].mem, (long)fn->pages.area[i].len, 0, 0,
			 0, 0);
		fd_close_private(fn->pages.area[i].fd);
	}
	fn->pages.num = 0;
}

bool pci_function_pages(const pci_function *fn, unsigned bar, uint64_t at, struct pci_pages *out)
{
	const struct page_area *a = area_at(fn, bar, at);

	if (a)
		*out = (struct pci_pages){
			.offset = a->offset, .len = a->len, .kind = a->kind, .fd = a->fd
		};
	return a;
}

/* ---- accesses that come by a call ---- */

static uint64_t load(const void *p, unsigned size)
{
	switch (size) {
	case 1:
		return __atomic_load_n((const uint8_t *)p, __ATOMIC_ACQUIRE);
	case 2:
		return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
	case 4:
		return __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
	default:
		return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
	}
}

static void store(void *p, unsigned size, uint64_t value)
{
	switch (size) {
	case 1:
		__atomic_store_n((uint8_t *)p, (uint8_t)value, __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n((uint16_t *)p, (uint16_t)value, __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((uint32_t *)p, (uint32_t)value, __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n((uint64_t *)p, value, __ATOMIC_RELEASE);
	}
}

bool pci_pages_access(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t *value,
		      bool write)
{
	const struct page_area *a;
	char *at;

	if (!fn->pages.has_memory)
		return false;
	a = area_at(fn, bar, off);
	if (!a || a->kind != UVFIO_PAGE_MEMORY || a->offset > off)
		return false;
	at = (char *)a->mem + (off - a->offset);
	if (write)
		store(at, size, *value);
	else
		*value = load(at, size);
	return true;
}

/* ---- open and closed ---- */

/* Open or close all mappings of a kind, and return how many there are. With pages.lock. */
static unsigned set_kind(pci_function *fn, enum uvfio_page_kind kind, bool open)
{
	atomic_store(kind == UVFIO_PAGE_POLLED ? &fn->pages.open : &fn->pages.memory_open, open);
	return fn->pages.sink.set ? fn->pages.sink.set(fn->pages.sink.arg, kind, open) : 0;
}

static unsigned set_open(pci_function *fn, bool open)
{
	return set_kind(fn, UVFIO_PAGE_POLLED, open);
}

bool pci_pages_open(const pci_function *fn, enum uvfio_page_kind kind)
{
	return atomic_load(kind == UVFIO_PAGE_POLLED ? &fn->pages.open : &fn->pages.memory_open);
}

static bool decodes(const pci_function *fn)
{
	return atomic_load(&fn->decode) & DECODE_MEM;
}

/* Have memory open if it may be. With pages.lock. */
static void follow_memory(pci_function *fn)
{
	bool open = decodes(fn) && !fn->pages.held && !atomic_load(&fn->halt.self);

	if (fn->pages.has_memory && open != atomic_load(&fn->pages.memory_open))
		set_kind(fn, UVFIO_PAGE_MEMORY, open);
}

void pci_set_pages_sink(pci_function *fn, const struct pci_pages_sink *sink)
{
	pthread_mutex_lock(&fn->pages.lock);
	if (atomic_load(&fn->pages.open))
		set_open(fn, false);
	if (atomic_load(&fn->pages.memory_open))
		set_kind(fn, UVFIO_PAGE_MEMORY, false);
	fn->pages.sink = sink ? *sink : (struct pci_pages_sink){ 0 };
	if (sink)
		follow_memory(fn);
	pthread_mutex_unlock(&fn->pages.lock);
}

void pci_pages_follow(pci_function *fn)
{
	if (!fn->pages.num || (decodes(fn) && !fn->pages.has_memory))
		return;
	pthread_mutex_lock(&fn->pages.lock);
	if (atomic_load(&fn->pages.open) && !decodes(fn))
		set_open(fn, false);
	follow_memory(fn);
	pthread_mutex_unlock(&fn->pages.lock);
}

void pci_pages_hold(pci_function *fn, bool held)
{
	pthread_mutex_lock(&fn->pages.lock);
	fn->pages.held = held;
	if (held && atomic_load(&fn->pages.open))
		set_open(fn, false);
	follow_memory(fn);
	pthread_mutex_unlock(&fn->pages.lock);
}

int uvfio_polled_open(struct uvfio_dev *dev)
{
	int ret = 0;

	/* at the store the device takes what is behind the doorbell: it is a trap, always */
	if (uvfio_takes(dev))
		return -ENOENT;
	pthread_mutex_lock(&dev->pages.lock);
	if (!decodes(dev) || dev->pages.held || atomic_load(&dev->halt.self)) {
		ret = -EIO;
	} else if (!atomic_load(&dev->pages.open) && !set_open(dev, true) &&
		   !atomic_load(&dev->pages.shared)) {
		set_open(dev, false); /* also what was mapped meanwhile */
		ret = -ENOENT;
	}
	pthread_mutex_unlock(&dev->pages.lock);
	return ret;
}

void uvfio_polled_close(struct uvfio_dev *dev)
{
	pthread_mutex_lock(&dev->pages.lock);
	if (atomic_load(&dev->pages.open))
		set_open(dev, false);
	pthread_mutex_unlock(&dev->pages.lock);
}

void pci_pages_share(pci_function *fn, bool shared)
{
	atomic_store(&fn->pages.shared, shared);
}

bool uvfio_polled_shared(const struct uvfio_dev *dev)
{
	return atomic_load(&dev->pages.shared);
}
