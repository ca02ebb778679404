/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/ring.c: the client's half of a ring: a lane for each access, its order among others,
 * and waiting for its answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/pool.h"
#include "base/report.h"
#include "base/thread.h"
#include "vfio_user/internal.h"
#include "vfio_user/ring_memory.h"

/* Who sleeps looks as often whether the server is still there. */
#define LOOK_NS 20000000u
/* While the socket is faster, one request of so many goes by the ring. */
#define TRY_AGAIN 16u

/* What of a lane is not the server's business. */
struct lane {
	_Alignas(LINE) atomic_bool taken; /* a thread has it, whose is what follows: */
	uint32_t last;			  /* the number of its last request */
	uint32_t passed_by;		  /* requests that went by the socket instead */
	struct vu_ring_spin spin;
	_Atomic uint32_t last_post; /* of any thread: of its last posted write */
};

struct vu_ring {
	struct vu_conn *conn;
	struct vu_ring_memory *m;
	uint64_t timeout_ns;
	atomic_int error; /* 0, or why it is dead */
	struct lane lanes[VU_RING_LANES];
};

void vu_ring_sleep(_Atomic uint32_t *word, uint32_t value, uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000u),
			       .tv_nsec = (long)(ns % 1000000000u) };

	sys_call(SYS_futex, (long)word, FUTEX_WAIT, value, (long)&ts, 0, 0);
}

void vu_ring_wake(_Atomic uint32_t *word)
{
	sys_call(SYS_futex, (long)word, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

/* ---- life ---- */

/* True if @fd has the memory, and nobody can take a part of it away. */
static bool is_memory(int fd)
{
	long seals = sys_call(SYS_fcntl, fd, F_GET_SEALS, 0, 0, 0, 0);

	return seals >= 0 && seals & F_SEAL_SHRINK &&
	       sys_call(SYS_lseek, fd, 0, SEEK_END, 0, 0, 0) >= (long)sizeof(struct vu_ring_memory);
}

int vu_ring_new(struct vu_conn *conn, const struct vu_ring_info *info, int fd, uint64_t timeout_ns,
		struct vu_ring **out)
{
	struct vu_ring *r;
	long at;

	if (info->lanes != VU_RING_LANES || info->slots != VU_RING_SLOTS ||
	    info->size != sizeof(*r->m) || !is_memory(fd))
		return -EPROTO;
	at = sys_call(SYS_mmap, 0, sizeof(*r->m), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (sys_failed(at))
		return (int)at;
	r = pages_take(sizeof(*r)); /* lanes do not share cache lines */
	if (!r) {
		sys_call(SYS_munmap, at, sizeof(*r->m), 0, 0, 0, 0);
		return -ENOMEM;
	}
	r->conn = conn;
	r->m = (struct vu_ring_memory *)at;
	r->timeout_ns = timeout_ns;
	for (unsigned i = 0; i < VU_RING_LANES; i++)
		r->lanes[i].spin =
			(struct vu_ring_spin){ .worth = VU_RING_WORTH, .never = thread_cpus() < 2 };
	*out = r;
	return 0;
}

void vu_ring_free(struct vu_ring *r)
{
	if (!r)
		return;
	sys_call(SYS_munmap, (long)r->m, sizeof(*r->m), 0, 0, 0, 0);
	pages_give(r, sizeof(*r));
}

/* ---- waiting ---- */

static int dead(struct vu_ring *r, int error)
{
	vu_conn_kill(r->conn, error);
	error = vu_conn_error(r->conn);
	atomic_store(&r->error, error);
	return error;
}

/* 0, or why the server does not answer any more. */
static int look_for_server(struct vu_ring *r, uint64_t since)
{
	int error = vu_conn_error(r->conn);

	if (!error && vu_poll(vu_conn_fd(r->conn), 0, 0) > 0)
		error = -ECONNRESET;
	if (!error && now_ns() - since > r->timeout_ns)
		error = report_warn("vfio-user-ring", NULL, -ETIMEDOUT,
				    "a server does not answer by its ring");
	return error ? dead(r, error) : 0;
}

static bool is_done(const struct vu_ring_lane *lane, uint32_t number)
{
	uint32_t done = atomic_load_explicit(&lane->answer.done, memory_order_acquire);

	return (int32_t)(done - number) >= 0;
}

/* Look for a while. False: it was not done meanwhile. */
static bool spin_until_done(const struct vu_ring_lane *lane, uint32_t number,
			    const struct vu_ring_spin *spin, uint64_t *since)
{
	uint64_t most = vu_ring_spin_ns(spin);

	for (unsigned i = 0; i < VU_RING_LOOKS && most; i++)
		if (is_done(lane, number))
			return true;
	*since = now_ns();
	while (now_ns() - *since < most)
		for (unsigned i = 0; i < 64; i++) {
			if (is_done(lane, number))
				return true;
			__builtin_ia32_pause();
		}
	return false;
}

/* Sleep until it is done. 0 or why the ring is dead. */
static int sleep_until_done(struct vu_ring *r, struct vu_ring_lane *lane, uint32_t number,
			    uint64_t since)
{
	int rc = 0;

	/* either this sees the answer, or the server sees that we sleep */
	atomic_fetch_add(&lane->waits, 1);
	for (;;) {
		uint32_t done = atomic_load(&lane->answer.done);

		if ((int32_t)(done - number) >= 0)
			break;
		vu_ring_sleep(&lane->answer.done, done, LOOK_NS);
		if (is_done(lane, number))
			break;
		rc = look_for_server(r, since);
		if (rc)
			break;
	}
	atomic_fetch_sub(&lane->waits, 1);
	return rc;
}

/* Wait until lane @i has done request @number. 0 or why the ring is dead. */
static int wait_done(struct vu_ring *r, unsigned i, uint32_t number, struct vu_ring_spin *spin)
{
	struct vu_ring_lane *lane = &r->m->lanes[i];
	uint64_t since;
	int rc = 0;

	if (is_done(lane, number))
		return 0;
	if (spin_until_done(lane, number, spin, &since)) {
		vu_ring_spin_learn(spin, true);
		return 0;
	}
	rc = sleep_until_done(r, lane, number, since);
	vu_ring_spin_learn(spin, now_ns() - since < VU_RING_SPIN_NS);
	return rc;
}

/* ---- lanes ---- */

/* The lane that a thread had last, or any. */
static unsigned hint_of_thread(void)
{
	static atomic_uint threads;
	static __thread unsigned hint; /* and 1 */

	if (!hint)
		hint = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
	return hint - 1;
}

/* Take a lane. Its number, or -1: others have them all. */
static int take_lane(struct vu_ring *r)
{
	unsigned hint = hint_of_thread();

	for (unsigned n = 0; n < VU_RING_LANES; n++) {
		unsigned i = (hint + n) % VU_RING_LANES;

		if (!atomic_exchange_explicit(&r->lanes[i].taken, true, memory_order_acquire))
			return (int)i;
	}
	return -1;
}

static void give_lane(struct vu_ring *r, unsigned i)
{
	atomic_store_explicit(&r->lanes[i].taken, false, memory_order_release);
}

/* Wait until what was posted by other lanes than @mine is done. */
static int wait_for_posts(struct vu_ring *r, int mine, struct vu_ring_spin *spin)
{
	uint32_t used = RING_GET(r->m->used);
	int rc = 0;

	for (unsigned i = 0; i < used && i < VU_RING_LANES && !rc; i++)
		if ((int)i != mine)
			rc = wait_done(
				r, i,
				atomic_load_explicit(&r->lanes[i].last_post, memory_order_acquire),
				spin);
	return rc;
}

/* Let the server look at lane @i. */
static void use_lane(struct vu_ring *r, unsigned i)
{
	uint32_t used = RING_GET(r->m->used);

	while (used <= i && !atomic_compare_exchange_weak(&r->m->used, &used, i + 1))
		;
}

/*
 * True if the socket is the faster way: the server sleeps, and the last times it did not come soon,
 * since other threads have the processors. The kernel lets who is woken by a socket run where the
 * one runs that waits for it, which a futex cannot say. Now and then the ring is tried again.
 */
static bool is_slow(struct vu_ring *r, struct lane *l)
{
	return !l->spin.never && l->spin.worth <= 1 && RING_GET(r->m->asleep) &&
	       ++l->passed_by % TRY_AGAIN;
}

/* ---- requests ---- */

struct request {
	enum vu_ring_op op;
	uint32_t region, count;
	uint64_t offset, data;
};

/* Put a request into lane @i, of which a slot is free, as number @number. */
static void put(struct vu_ring *r, unsigned i, uint32_t number, const struct request *q)
{
	struct vu_ring_slot *slot = &r->m->lanes[i].slots[number % VU_RING_SLOTS];

	atomic_store_explicit(&slot->op, q->op, memory_order_relaxed);
	atomic_store_explicit(&slot->region, q->region, memory_order_relaxed);
	atomic_store_explicit(&slot->count, q->count, memory_order_relaxed);
	atomic_store_explicit(&slot->offset, q->offset, memory_order_relaxed);
	atomic_store_explicit(&slot->data, q->data, memory_order_relaxed);
	/* it is there before asleep is looked at */
	atomic_exchange(&slot->number, number);
	if (RING_GET(r->m->asleep) && atomic_exchange(&r->m->asleep, 0))
		vu_ring_wake(&r->m->asleep);
}

/* Make a request; with @post do not wait for the answer, which else *@data gets. */
static int request(struct vu_ring *r, const struct request *q, bool post, uint64_t *data)
{
	int i, rc = atomic_load_explicit(&r->error, memory_order_relaxed);
	struct vu_ring_answer *answer;
	struct lane *l;

	if (rc)
		return rc;
	i = take_lane(r);
	if (i < 0)
		return VU_RING_BUSY;
	l = &r->lanes[i];
	if (is_slow(r, l)) {
		give_lane(r, (unsigned)i);
		return VU_RING_BUSY;
	}
	answer = &r->m->lanes[i].answer;
	use_lane(r, (unsigned)i);
	rc = wait_for_posts(r, i, &l->spin);
	if (!rc)
		rc = wait_done(r, (unsigned)i, l->last + 1 - VU_RING_SLOTS, &l->spin);
	if (rc)
		goto out;
	put(r, (unsigned)i, ++l->last, q);
	if (post) {
		atomic_store_explicit(&l->last_post, l->last, memory_order_release);
		goto out;
	}
	rc = wait_done(r, (unsigned)i, l->last, &l->spin);
	if (!rc) {
		rc = RING_GET(answer->error);
		*data = RING_GET(answer->data);
		if (rc && (rc > 0 || rc == INT_MIN || !strerrorname_np(-rc)))
			rc = -EIO;
	}
out:
	give_lane(r, (unsigned)i);
	return rc;
}

int vu_ring_access(struct vu_ring *r, uint32_t region, uint64_t offset, void *buf, uint32_t count,
		   bool write, bool post)
{
	struct request q = { .op = write ? VU_RING_WRITE : VU_RING_READ,
			     .region = region,
			     .offset = offset,
			     .count = count };
	uint64_t data;
	int rc;

	if (!count || count > VU_RING_DATA)
		return -EINVAL;
	if (write)
		memcpy(&q.data, buf, count);
	rc = request(r, &q, write && post, &data);
	if (!rc && !write)
		memcpy(buf, &data, count);
	return rc;
}

int vu_ring_set_irqs(struct vu_ring *r, const struct vu_set_irqs *set, const uint8_t *data)
{
	struct request q = { .op = VU_RING_SET_IRQS,
			     .region = set->index,
			     .count = set->count,
			     .offset = set->flags | (uint64_t)set->start << 32 };
	uint64_t none;

	if (data && set->count > VU_RING_DATA)
		return -EINVAL;
	if (data)
		memcpy(&q.data, data, set->count);
	return request(r, &q, false, &none);
}

int vu_ring_flush(struct vu_ring *r)
{
	struct vu_ring_spin spin = { .worth = VU_RING_WORTH, .never = r->lanes[0].spin.never };
	int rc = atomic_load_explicit(&r->error, memory_order_relaxed);

	return rc ? rc : wait_for_posts(r, -1, &spin);
}
