/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/v3.c: what the interface of 2010 has that today's has not. Memory: a mapping for DMA goes
 * away together with the program's memory, where today's keeps the pages (keep.c). That was the
 * kernel's MMU notifier; here it is a look before each call that takes memory away or changes it,
 * and before fork(), by which private memory is shared with the child until one of the two writes.
 * (What the kernel does by itself, swapping and moving pages, has no part in it.) And a file
 * of sysfs that shows what is in this process.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/maps.h"
#include "shim/handles.h"
#include "shim/keep.h"
#include "shim/mem.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "v3/v3.h"
#include "vfio/abi.h"
#include "vfio/aside.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* linux/mman.h, 5.7 */
#endif

struct going {
	struct vfio_system *system;
	uint64_t addr, len;
	const char *how;
	int prot; /* what it gets, or -1 */
};

/* False for the first mapping of the line that lies in it and has another protection. */
static bool is_protected_so(const char *line, void *arg)
{
	struct going *g = arg;
	uint64_t start, end;
	const char *rights = strchr(line, ' ');
	int prot;

	maps_bounds(line, &start, &end);
	if (end <= g->addr || start >= g->addr + g->len || !rights)
		return true;
	prot = (rights[1] == 'r' ? PROT_READ : 0) | (rights[2] == 'w' ? PROT_WRITE : 0) |
	       (rights[3] == 'x' ? PROT_EXEC : 0);
	if (prot == g->prot)
		return true;
	g->prot = -1;
	return false;
}

static long goes(void *arg)
{
	struct going *g = arg;

	if (!vfio_pages_in_use(g->system, (void *)(uintptr_t)g->addr, g->len))
		return 0;
	/* the kernel does nothing at all where the protection is the same */
	if (g->prot >= 0)
		maps_each(is_protected_so, g);
	if (g->prot < 0)
		v3_memory_goes(g->system, g->addr, g->len, g->how);
	return 0;
}

/* True if such mappings end with their memory: all that is asked of other programs is one load. */
static bool ends(void)
{
	return vfio_abi()->v3 && vfio_abi()->mmu_notifier;
}

static void look(const void *addr, size_t len, const char *how, int prot)
{
	struct going g = { NULL, (uint64_t)addr, align_up(len, PAGE_SIZE_4K), how, prot };
	struct machine *m;

	if (!ends() || g.addr % PAGE_SIZE_4K || !len || add_overflows(g.addr, len + PAGE_SIZE_4K))
		return;
	m = keep_near_device(addr, g.len);
	if (!m)
		return;
	g.system = machine_system(m);
	shim_run(goes, &g);
}

void shim_v3_goes(const void *addr, size_t len, const char *how)
{
	look(addr, len, how, -1);
}

void shim_v3_protect(const void *addr, size_t len, int prot)
{
	look(addr, len, "mprotect", prot & (PROT_READ | PROT_WRITE | PROT_EXEC));
}

bool shim_v3_mremap(void *old, size_t have, size_t want, int flags, void *to, long *ret)
{
	if (!ends())
		return false;
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		if (flags & MREMAP_FIXED)
			shim_v3_goes(to, want, "mremap");
		shim_v3_goes(old, have, "mremap");
		return false;
	}
	if (want <= have) {
		shim_v3_goes((char *)old + want, have - want, "mremap");
		return false;
	}
	/* what grows where it is loses nothing */
	*ret = sys_call(SYS_mremap, (long)old, (long)have, (long)want, 0, 0, 0);
	if (!sys_failed(*ret) || !(flags & MREMAP_MAYMOVE))
		return true;
	shim_v3_goes(old, have, "mremap");
	return false;
}

/* End what is of the segment attached at our address, as shmdt(2) finds it. */
static bool segment_goes(const char *line, void *arg)
{
	struct going *g = arg, part = *g;
	uint64_t end;

	maps_bounds(line, &part.addr, &end);
	part.len = end - part.addr;
	if (part.addr >= g->addr && strstr(line, " /SYSV")) {
		/* they lie side by side */
		if (part.addr != g->addr)
			return false;
		goes(&part);
		g->addr = end;
	}
	return true;
}

static long all_of_segment(void *arg)
{
	maps_each(segment_goes, arg);
	return 0;
}

void shim_v3_shmdt(void *addr)
{
	struct going g = { NULL, (uint64_t)addr, 0, "shmdt", -1 };
	struct machine *m = ends() ? keep_near_device(addr, UINT64_MAX - (uint64_t)addr) : NULL;

	if (!m)
		return;
	g.system = machine_system(m);
	shim_run(all_of_segment, &g);
}

/* ---- fork ---- */

static bool loses_at_fork(uint64_t addr, uint64_t len)
{
	return keep_is_private((void *)(uintptr_t)addr, len, false);
}

static long forks(void *arg)
{
	v3_forks(arg, loses_at_fork);
	return 0;
}

void shim_v3_forks(void)
{
	struct machine *m = ends() ? keep_near_device(NULL, UINT64_MAX) : NULL;

	/* a child that has not noticed yet that it is one has no device */
	if (m && (!shim.alive || *shim.alive))
		shim_run(forks, machine_system(m));
}

/* ---- sysfs ---- */

/* Find the number of the device in "/sys/.../vfio7/@name", or -1: it is another path. */
static long number_in(const char *virt, const char *name)
{
	const char *slash = strrchr(virt, '/'), *p = slash;
	long id = 0, place = 1;

	if (!slash || strcmp(slash + 1, name))
		return -1;
	while (p > virt && p[-1] >= '0' && p[-1] <= '9' && place < 1000000) {
		id += place * (*--p - '0');
		place *= 10;
	}
	return p < slash && p - virt > 5 && !strncmp(p - 5, "/vfio", 5) ? id : -1;
}

bool shim_v3_shows(const char *virt)
{
	return vfio_abi()->v3 && number_in(virt, "locked_pages") >= 0;
}

int shim_v3_show(const char *virt, char *text, size_t size)
{
	struct machine *m = shim_machine_if_built();
	struct vfio_place place;
	struct vfio_device *dev;

	if (!m ||
	    vfio_system_cdev(machine_system(m), (unsigned)number_in(virt, "locked_pages"), &place))
		return -ENOENT;
	dev = vfio_group_device(place.group, &place.address);
	return dev ? snprintf(text, size, "%llu\n", (unsigned long long)v3_locked_pages(dev))
		   : -ENOENT;
}
