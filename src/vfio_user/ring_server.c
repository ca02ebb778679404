/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/ring_server.c: the server's half of a ring: a thread that looks at all lanes by turns,
 * and sleeps when nothing came for a while. A read that takes long is overtaken by what comes on
 * other lanes (turns.h); its own lane waits for it.
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
#include "vfio_user/turns.h"

/* A client wakes the thread for a request. One that does so many times for none is none of ours. */
#define EMPTY_WAKES 1000u
/* What may be overtaken, for turns.h. */
#define READING 1u

struct vu_ring_server {
	const struct vu_ring_ops *ops;
	void *arg;
	const char *name;
	struct vu_ring_memory *m;
	pthread_t thread;
	struct vu_turns turns;
	atomic_bool stop, ended;
	atomic_uint empty_wakes;
	/* a thread is inside a read of this lane, and has the lane, with the turn or without it */
	atomic_bool reading[VU_RING_LANES];
	/* ---- by the turn ---- */
	uint32_t next[VU_RING_LANES]; /* the number of each lane's next request: of who has that */
	struct vu_ring_spin spin;
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

/* Carry out a request; false: it was a read, and another thread has the turn now. */
static bool carry_out(struct vu_ring_server *r, struct vu_ring_slot *slot, uint64_t *data,
		      int *error)
{
	uint32_t op = RING_GET(slot->op), count = RING_GET(slot->count);
	uint64_t ticket = 0;

	*error = -EINVAL;
	if (op == VU_RING_SET_IRQS) {
		*error = set_irqs(r, slot, count);
		return true;
	}
	if ((op != VU_RING_READ && op != VU_RING_WRITE) || !count || count > VU_RING_DATA)
		return true;
	*data = op == VU_RING_WRITE ? RING_GET(slot->data) : 0;
	if (op == VU_RING_READ)
		ticket = vu_turns_begin(&r->turns, READING);
	*error = r->ops->access(r->arg, RING_GET(slot->region), RING_GET(slot->offset), data, count,
				op == VU_RING_WRITE);
	return op == VU_RING_WRITE || vu_turns_end(&r->turns, ticket);
}

static void answer(struct vu_ring_lane *lane, uint32_t number, int error, uint64_t data)
{
	atomic_store_explicit(&lane->answer.error, error, memory_order_relaxed);
	atomic_store_explicit(&lane->answer.data, data, memory_order_relaxed);
	/* before waits is looked at */
	atomic_exchange(&lane->answer.done, number);
	if (RING_GET(lane->waits))
		vu_ring_wake(&lane->answer.done);
}

/* A read of lane @i that was overtaken is done: what came behind it there was passed by. */
static void give_back(struct vu_ring_server *r, unsigned i)
{
	/* either who has the turn sees this, or we see that it sleeps */
	atomic_store(&r->reading[i], false);
	atomic_store(&r->empty_wakes, 0);
	if (atomic_exchange(&r->m->asleep, 0))
		vu_ring_wake(&r->m->asleep);
}

enum found { NOTHING, SOMETHING, LOST /* the turn */ };

/* Carry out what has come on a lane. */
static enum found serve_lane(struct vu_ring_server *r, unsigned i)
{
	struct vu_ring_lane *lane = &r->m->lanes[i];
	enum found found = NOTHING;
	bool mine = true;

	if (atomic_load(&r->reading[i]))
		return NOTHING;
	for (unsigned n = 0; n < VU_RING_SLOTS && mine; n++) {
		uint32_t number = r->next[i];
		struct vu_ring_slot *slot = &lane->slots[number % VU_RING_SLOTS];
		uint64_t data = 0;
		int error;

		if (atomic_load_explicit(&slot->number, memory_order_acquire) != number)
			break;
		/* seen by who takes the turn over */
		atomic_store_explicit(&r->reading[i], true, memory_order_relaxed);
		mine = carry_out(r, slot, &data, &error);
		answer(lane, number, error, data);
		r->next[i] = number + 1;
		if (mine)
			atomic_store_explicit(&r->reading[i], false, memory_order_release);
		found = SOMETHING;
	}
	if (mine)
		return found;
	give_back(r, i);
	return LOST;
}

static enum found serve_all(struct vu_ring_server *r)
{
	uint32_t used = RING_GET(r->m->used);
	enum found found = NOTHING, now;

	if (used > VU_RING_LANES)
		used = VU_RING_LANES;
	for (unsigned i = 0; i < used; i++) {
		now = serve_lane(r, i);
		if (now == LOST)
			return LOST;
		if (now == SOMETHING)
			found = SOMETHING;
	}
	if (found)
		atomic_store_explicit(&r->empty_wakes, 0, memory_order_relaxed);
	return found;
}

/* ---- who has the turn ---- */

/* Look for a while. */
static enum found look(struct vu_ring_server *r, uint64_t *since)
{
	uint64_t most = vu_ring_spin_ns(&r->spin);
	enum found found = NOTHING;

	for (unsigned i = 0; i < VU_RING_LOOKS && most && !found; i++)
		found = serve_all(r);
	if (found)
		return found;
	*since = now_ns();
	while (!found && now_ns() - *since < most && !RING_GET(r->stop))
		for (unsigned i = 0; i < 32 && !found; i++) {
			found = serve_all(r);
			__builtin_ia32_pause();
		}
	return found;
}

/* The client woke us; find what for. */
static enum found woken(struct vu_ring_server *r)
{
	enum found found = serve_all(r);

	if (found || atomic_fetch_add(&r->empty_wakes, 1) + 1 != EMPTY_WAKES)
		return found;
	report_warn(REPORT_LIMITED("vfio-user-ring"), r->name, -EPROTO,
		    "the client wakes the ring, and asks for nothing");
	r->ops->broken(r->arg, -EPROTO);
	/* until it is freed */
	while (!atomic_load(&r->stop))
		vu_ring_sleep(&r->m->asleep, RING_GET(r->m->asleep), 1000000);
	return NOTHING;
}

/* Sleep until woken for a request. False: the turn is lost. */
static bool go_to_sleep(struct vu_ring_server *r, uint64_t since)
{
	enum found found;

	/* either this sees a request that comes now, or its client sees that we sleep */
	atomic_store(&r->m->asleep, 1);
	if (atomic_load(&r->stop))
		return true;
	found = serve_all(r);
	if (!found) {
		vu_ring_sleep(&r->m->asleep, 1, UINT64_C(3600000000000));
		found = woken(r);
	}
	if (found == LOST)
		return false;
	atomic_store(&r->m->asleep, 0);
	vu_ring_spin_learn(&r->spin, now_ns() - since < VU_RING_SPIN_NS);
	return true;
}

static bool carry(void *arg)
{
	struct vu_ring_server *r = arg;
	enum found found;
	uint64_t since = 0;

	/* who lost the turn may have been about to sleep */
	atomic_store(&r->m->asleep, 0);
	while (!atomic_load(&r->stop)) {
		found = look(r, &since);
		if (found == SOMETHING)
			vu_ring_spin_learn(&r->spin, true);
		else if (found == LOST || !go_to_sleep(r, since))
			return false;
	}
	return true;
}

static const struct vu_turns_ops turns = { .carry = carry, .name = "uvfio-ring" };

static void *serve(void *arg)
{
	struct vu_ring_server *r = arg;

	vu_turns_run(&r->turns);
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
	vu_turns_init(&r->turns, &turns, r);
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
	vu_turns_fini(&r->turns);
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
	vu_turns_fini(&r->turns);
	sys_call(SYS_munmap, (long)r->m, sizeof(*r->m), 0, 0, 0, 0);
	heap_free(r);
}
