/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/bars.h: mapped BARs. bars_lock (bars.c) guards the table's writers, with signals blocked;
 * readers are under RCU. It is taken after build_lock, and after the lock of a device's accesses
 * (lock.c), when the device opens its pages.
 */
#ifndef SHIM_BARS_H
#define SHIM_BARS_H
#include "shim/shim.h"

/* A part of the address space that is a mapping of a BAR. */
struct shim_range {
	uintptr_t start, end;
	struct uapi_file *file; /* a reference each */
	uint64_t pos;		/* of start: region << 40 | offset */
	/* of the region; they live as long as the file */
	const struct vfio_region_area *areas;
	unsigned num_areas;
	int prot;
	bool dead; /* from before a fork */
};

/* ---- bars.c ---- */
/* Find the BAR at @addr: true, and a copy of what is known of it, to be given back with _put(). */
bool shim_bar_get(const void *addr, struct shim_range *out);
void shim_bar_put(const struct shim_range *r);
/* mmap of @f, the arguments as the program gave them: the address or -errno. */
long shim_bar_map(struct uapi_file *f, void *addr, size_t len, int prot, int flags, uint64_t pos);
/*
 * System call @nr, after which [addr, addr + len) is no longer what it was (munmap, mmap over it):
 * the mappings in it are forgotten. Costs one load while there are none.
 */
long shim_bar_replace(void *addr, size_t len, long nr, const long a[6]);
long shim_bar_munmap(void *addr, size_t len);
/*
 * pkey_mprotect over mapped BARs (@pkey -1: mprotect): true, and *@ret, if the range touches one.
 */
bool shim_bar_protect(void *addr, size_t len, int prot, int pkey, long *ret);
/* The mapped BARs in [from, from + len), which has nothing else, go to @to. 0 or -errno. */
long shim_bar_move(void *from, size_t len, void *to);
/* remap_file_pages of a mapped BAR: 0 or -errno. */
long shim_bar_remap_pages(void *addr, size_t len, int prot, uint64_t page);
/*
 * Return how much of [addr, addr + len), from its beginning, is a mapped BAR (*@bar), or is none.
 */
size_t shim_bar_stretch(const void *addr, size_t len, bool *bar);
bool shim_bar_polls(const void *addr, size_t len); /* it has polled pages */
/* After mlockall: mapped BARs are not among what is locked. */
void shim_bar_unlock_pages(void);
/* True if any of [@addr, @addr + @len) is in a mapped BAR. */
bool shim_bar_has(const void *addr, size_t len);
/* True if there is a mapped BAR. */
bool shim_bar_any(void);
/*
 * @call got EFAULT with [@buf, @buf + @len): true, and a line in the log says why, if that is in a
 * mapped BAR.
 */
bool shim_bar_efault(const char *call, const void *buf, size_t len);
/* Say over there what this process has mapped (far_links_on_hello()). */
void shim_bars_hold(void *unused);
/* for machine_set_device_memory() */
bool shim_bar_memory(void *unused, uint64_t vaddr, uint64_t size, struct vfio_bar *first);
void shim_bars_lock(void); /* around a fork */
void shim_bars_unlock(void);
void shim_bars_abandon(void); /* in a forked child: accesses are bus errors */

/* ---- gone.c ---- */
/* Keep for the checker that what of @r is in [@start, @end) was unmapped. Signals are blocked. */
void shim_gone_note(const struct shim_range *r, uintptr_t start, uintptr_t end);
/* A BAR is mapped there now. Signals are blocked. */
void shim_gone_forget(uintptr_t start, uintptr_t end);
bool shim_gone_any(void);
/* There is nothing at @addr, which the program accessed: say so if a BAR was mapped there. */
void shim_gone_fault(uintptr_t addr, bool write);
void shim_gone_abandon(void); /* in a forked child */

/* ---- bar_access.c ---- */
/*
 * Carry out the instruction that faulted at @info's address, in the BAR @at, whose reference goes:
 * -1 when that is done; else what is due to the program, SIGSEGV (*@bad is the address to blame, 0
 * for a misaligned operand) or SIGBUS; 0: the fault is not of a BAR after all.
 */
int shim_bar_fault(const struct shim_range *at, const siginfo_t *info, ucontext_t *uc,
		   uintptr_t *bad);

/* ---- lock.c: locked instructions ---- */
/* Begin an access of @dev, together with others, and end it. Waits for one that is locked. */
void shim_access_begin(struct vfio_device *dev);
void shim_access_end(struct vfio_device *dev);
/* Begin one that has @dev alone, and end it. Waits for all others. */
void shim_access_lock(struct vfio_device *dev);
void shim_access_unlock(struct vfio_device *dev);
#endif
