/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/lock.c: what LOCK# is to a processor's bus. A locked instruction on a mapped BAR (lock add,
 * xadd, cmpxchg16b, any xchg with memory) is a read and a write of the device, and no other access
 * of the program's may come between the two. So plain accesses of a device share its lock, and a
 * locked instruction has it alone; DMA and the device's own threads do not take part, as a device
 * does not in hardware.
 *
 * A device has a lock of its own, in struct vfio_device, so that one whose model sleeps holds up no
 * other. The lock is held across the model's callback, since that is what is to be done alone.
 * Three things keep that from being a deadlock. A thread holds one at a time, with signals blocked
 * or for one call (trap.c, io.c). One that waits to be alone keeps newcomers out for some time
 * only, so an access that ends when another access has been made does end. And a child of a fork
 * has no use for its parent's: what it has of the devices is dropped (fork.c), and mappings of them
 * are bus errors.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include "shim/bars.h"

#define ALONE (1u << 31) /* in a lock's state */
/*
 * how long newcomers stay behind one that waits to be alone; many times what the accesses take that
 * it waits for
 */
#define DEFER_NS 2000000l

static void sleep_while(struct vfio_access_lock *l, uint32_t state, const struct timespec *most)
{
	atomic_fetch_add(&l->asleep, 1);
	sys_call(SYS_futex, (long)&l->state, FUTEX_WAIT_PRIVATE, (long)state, (long)most, 0, 0);
	atomic_fetch_sub(&l->asleep, 1);
}

static void wake(struct vfio_access_lock *l)
{
	if (atomic_load(&l->asleep))
		sys_call(SYS_futex, (long)&l->state, FUTEX_WAKE_PRIVATE, INT_MAX, 0, 0, 0);
}

void shim_access_begin(struct vfio_device *dev)
{
	struct vfio_access_lock *l = &dev->access;
	uint64_t now, until = 0;
	struct timespec most;
	uint32_t s;

	for (;;) {
		s = atomic_load(&l->state);
		if (s & ALONE) {
			sleep_while(l, s, NULL);
			continue;
		}
		if (atomic_load(&l->lone)) {
			now = now_ns();
			until = until ? until : now + DEFER_NS;
			if (now < until) {
				most = (struct timespec){ .tv_nsec = (long)(until - now) };
				sleep_while(l, s, &most);
				continue;
			}
		}
		if (atomic_compare_exchange_weak(&l->state, &s, s + 1))
			return;
	}
}

void shim_access_end(struct vfio_device *dev)
{
	struct vfio_access_lock *l = &dev->access;

	if (atomic_fetch_sub(&l->state, 1) == 1)
		wake(l);
}

void shim_access_lock(struct vfio_device *dev)
{
	struct vfio_access_lock *l = &dev->access;
	uint32_t s = 0;

	if (atomic_compare_exchange_strong(&l->state, &s, ALONE))
		return;
	atomic_fetch_add(&l->lone, 1);
	for (;;) {
		s = 0;
		if (atomic_compare_exchange_strong(&l->state, &s, ALONE))
			break;
		sleep_while(l, s, NULL);
	}
	atomic_fetch_sub(&l->lone, 1);
}

void shim_access_unlock(struct vfio_device *dev)
{
	struct vfio_access_lock *l = &dev->access;

	atomic_store(&l->state, 0);
	wake(l);
}
