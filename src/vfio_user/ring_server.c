/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/ring_server.c: the server's half of a ring: a thread that looks at all lanes by turns,
 * and sleeps when nothing came for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/heap.h"
#include "base/report.h"
#include "base/thread.h"
#include "base/util.h"
#include "vfio_user/ring_memory.h"

/* A client wakes the thread for a request. One that does so many times for none is none of ours. */
#define EMPTY_WAKES 1000u

struct vu_ring_server {
	const struct vu_ring_ops *ops;
	void *arg;
	const char *name;
	struct vu_ring_memory *m;
	pthread_t thread;
	atomic_bool stop, ended;
	/* the thread's: */
	uint32_t next[VU_RING_LANES]; /* the number of each lane's next request */
	struct vu_ring_spin spin;
	unsigned empty_wakes;
};

/* ---- requests ---- */

static int set_irqs(struct vu_ring_server *r, struct vu_ring_slot *slot, uint32_t count)
{
	uint64_t flags_start = RING_GET(slot->offset), data = RING_GET(slot->data);
	struct vu_set_irqs set = { .argsz = sizeof(set),
				   .flags = (uint32_t)flags_start,
				   .index = RING_GET(slot->region),
				   .start = (uint32_t)(flags_start >> 32),
				   .count = count };

	/* descriptors go by the socket, and so does what has no room here */
	if (set.flags & VFIO_IRQ_SET_DATA_EVENTFD ||
	    (set.flags & VFIO_IRQ_SET_DATA_BOOL && count > VU_RING_DATA))
		return -EINVAL;
	return r->ops->set_irqs(r->arg, &set, (const uint8_t *)&data);
}

static int carry_out(struct vu_ring_server *r, struct vu_ring_slot *slot, uint64_t *data)
{
	uint32_t op = RING_GET(slot->op), count = RING_GET(slot->count);

	if (op == VU_RING_SET_IRQS)
		return set_irqs(r, slot, count);
	if ((op != VU_RING_READ && op != VU_RING_WRITE) || !count || count > VU_RING_DATA)
		return -EINVAL;
	*data = op == VU_RING_WRITE ? RING_GET(slot->data) : 0;
	return r->ops->access(r->arg, RING_GET(slot->region), RING_GET(slot->offset), data, count,
			      op == VU_RING_WRITE);
}

/* Carry out what has come on a lane. True if anything had. */
static bool serve_lane(struct vu_ring_server *r, unsigned i)
{
	struct vu_ring_lane *lane = &r->m->lanes[i];
	uint32_t number = r->next[i], n = 0;

	while (n < VU_RING_SLOTS) {
		struct vu_ring_slot *slot = &lane->slots[(number + n) % VU_RING_SLOTS];
		uint64_t data = 0;
		int error;

		if (atomic_load_explicit(&slot->number, memory_order_acquire) != number + n)
			break;
		error = carry_out(r, slot, &data);
		atomic_store_explicit(&lane->answer.error, error, memory_order_relaxed);
		atomic_store_explicit(&lane->answer.data, data, memory_order_relaxed);
		/* before waits is looked at */
		atomic_exchange(&lane->answer.done, number + n);
		if (RING_GET(lane->waits))
			vu_ring_wake(&lane->answer.done);
		n++;
	}
	r->next[i] = number + n;
	return n;
}

static bool serve_all(struct vu_ring_server *r)
{
	uint32_t used = RING_GET(r->m->used);
	bool any = false;

	if (used > VU_RING_LANES)
		used = VU_RING_LANES;
	for (unsigned i = 0; i < used; i++)
		any |= serve_lane(r, i);
	if (any)
		r->empty_wakes = 0;
	return any;
}

/* ---- the thread ---- */

/* Look for a while. True if something came, which was served. */
static bool look(struct vu_ring_server *r, uint64_t *since)
{
	uint64_t most = vu_ring_spin_ns(&r->spin);

	for (unsigned i = 0; i < VU_RING_LOOKS && most; i++)
		if (serve_all(r))
			return true;
	*since = now_ns();
	while (now_ns() - *since < most && !RING_GET(r->stop))
		for (unsigned i = 0; i < 32; i++) {
			if (serve_all(r))
				return true;
			__builtin_ia32_pause();
		}
	return false;
}

/* Sleep until woken for a request. */
static void go_to_sleep(struct vu_ring_server *r, uint64_t since)
{
	/* either this sees a request that comes now, or its client sees that we sleep */
	atomic_store(&r->m->asleep, 1);
	if (atomic_load(&r->stop))
		return;
	if (!serve_all(r)) {
		vu_ring_sleep(&r->m->asleep, 1, UINT64_C(3600000000000));
		if (!serve_all(r) && ++r->empty_wakes == EMPTY_WAKES) {
			report_warn("vfio-user-ring", r->name, -EPROTO,
				    "the client wakes the ring, and asks for nothing");
			r->ops->broken(r->arg, -EPROTO);
			/* until it is freed */
			while (!atomic_load(&r->stop))
				vu_ring_sleep(&r->m->asleep, RING_GET(r->m->asleep), 1000000);
		}
	}
	atomic_store(&r->m->asleep, 0);
	vu_ring_spin_learn(&r->spin, now_ns() - since < VU_RING_SPIN_NS);
}

static void *serve(void *arg)
{
	struct vu_ring_server *r = arg;
	uint64_t since;

	while (!atomic_load(&r->stop)) {
		if (look(r, &since))
			vu_ring_spin_learn(&r->spin, true);
		else
			go_to_sleep(r, since);
	}
	atomic_store(&r->ended, true);
	return NULL;
}

/* ---- life ---- */

/* Make memory that neither side can take away from the other. Its descriptor or -errno. */
static int make_memory(void)
{
	int fd = (int)fd_of_ours(SYS_memfd_create, (long)"uvfio-ring",
				 MFD_CLOEXEC | MFD_ALLOW_SEALING, 0, 0),
	    own;
	long rc;

	if (fd < 0)
		return fd;
	own = fd_make_private(fd);
	if (own < 0) {
		sys_close(fd);
		return own;
	}
	rc = sys_call(SYS_ftruncate, own, sizeof(struct vu_ring_memory), 0, 0, 0, 0);
	if (!rc)
		rc = sys_call(SYS_fcntl, own, F_ADD_SEALS,
			      F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, 0, 0, 0);
	if (!rc)
		return own;
	fd_close_private(own);
	return (int)rc;
}

int vu_ring_server_new(const struct vu_ring_ops *ops, void *arg, const char *name,
		       struct vu_ring_info *info, int *fd, struct vu_ring_server **out)
{
	struct vu_ring_server *r = heap_alloc(sizeof(*r));
	int memory, rc;
	long at;

	if (!r)
		return -ENOMEM;
	memory = rc = make_memory();
	if (rc < 0)
		goto free;
	at = sys_call(SYS_mmap, 0, sizeof(*r->m), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	rc = sys_failed(at) ? (int)at : 0;
	if (rc)
		goto close;
	r->ops = ops;
	r->arg = arg;
	r->name = name;
	r->m = (struct vu_ring_memory *)at;
	r->spin = (struct vu_ring_spin){ .worth = VU_RING_WORTH, .never = thread_cpus() < 2 };
	for (unsigned i = 0; i < VU_RING_LANES; i++)
		r->next[i] = 1;
	r->m->magic = VU_RING_MAGIC;
	r->m->lanes_there = VU_RING_LANES;
	r->m->slots_there = VU_RING_SLOTS;
	rc = thread_start(&r->thread, serve, r, "uvfio-ring");
	if (rc)
		goto unmap;
	*info = (struct vu_ring_info){ VU_RING_LANES, VU_RING_SLOTS, sizeof(*r->m) };
	*fd = memory;
	*out = r;
	return 0;
unmap:
	sys_call(SYS_munmap, at, sizeof(*r->m), 0, 0, 0, 0);
close:
	fd_close_private(memory);
free:
	heap_free(r);
	return rc;
}

void vu_ring_server_free(struct vu_ring_server *r)
{
	const struct timespec soon = { .tv_nsec = 50000 };

	if (!r)
		return;
	atomic_store(&r->stop, true);
	/* again and again: the client may write to that word, too */
	while (!atomic_load(&r->ended)) {
		atomic_store(&r->m->asleep, 0);
		vu_ring_wake(&r->m->asleep);
		sys_call(SYS_nanosleep, (long)&soon, 0, 0, 0, 0, 0);
	}
	pthread_join(r->thread, NULL);
	sys_call(SYS_munmap, (long)r->m, sizeof(*r->m), 0, 0, 0, 0);
	heap_free(r);
}
