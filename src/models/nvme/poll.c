/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/poll.c: doorbells as memory. While a driver rings often the doorbell page is open: a
 * store costs it nothing, and a worker looks at the words. After a while without a store the page
 * is closed and the worker sleeps, so an idle device uses no processor.
 *
 * Why no doorbell is lost. The word in the page is the register, open or closed: a trapped doorbell
 * is stored there too, and the thread that runs a queue takes its tail from there, under the
 * queue's lock. So it has to be shown that after every store some thread looks.
 *
 * 1. A store while the page is closed is a callback, which looks.
 * 2. A store while it is open: a worker looks in each round, and it sleeps only after it has closed
 *    the page and looked once more. uvfio_polled_close() returns when no processor can write the
 *    page any more; a store is then either in memory, and found by that last look, or becomes a
 *    callback.
 * 3. The page is opened by a worker that is awake and looks in its next round. Several may be
 *    awake; the one that opened it looks after the queues of those that sleep.
 * 4. Reset, quiesce and the end of the threads close the page first. A store that is found after
 *    quiesce is looked at by the register write that resumes, and by quiesce itself after closing.
 *
 * With doorbell buffers (7.13) it is the same, but that "closed" is an event index which says "ring
 * me" and "open" one that is left behind; neither needs a mapping.
 *
 * With mmap=shared a driver in another process has the page mapped at all times, and "closed" is a
 * word of which it does not hear. A timer looks instead of the callback, and has the page "opened":
 * often while there is something to do, else every millisecond, which is what a driver that was
 * idle may have to wait.
 *
 * The page is opened for drivers that ring often, and not where the worker would have to share its
 * processor: then no worker polls for a while. Polled are drivers that poll, or that use MSI-X.
 * With the interrupt pin or MSI the head doorbell takes the interrupt away: that must have happened
 * when the store is done.
 */
#include <time.h>

#include "models/nvme/internal.h"

#define BACK_OFF 1000000000ull /* ns: nobody maps the page, so do not ask again at once */
/*
 * ns: with more to run than processors a worker that waits for one is worse than a trap. It is
 * asked so often, and when it had not had one for a quarter of that time it does not poll for so
 * long; the scheduler's slice is some milliseconds.
 */
#define CROWD_WINDOW   10000000ull
#define CROWD_BACK_OFF 300000000ull

#define LOOK_NS	     100000ull	/* how often the timer looks */
#define LOOK_IDLE_NS 1000000ull /* when it found nothing so many times: */
#define QUIET_LOOKS  100u
#define NOT_RUNG     UINT32_MAX

static bool may_poll(struct nvme *n)
{
	return atomic_load(&n->open) && !atomic_load(&n->paused) && uvfio_dma_allowed(n->dev) &&
	       (uvfio_irq_mode(n->dev) == UVFIO_IRQ_MSIX || !atomic_load(&n->pin_queues) ||
		uvfio_polled_shared(n->dev));
}

/* Have a worker open the page and look. */
static void ask_to_poll(struct nvme *n)
{
	/* the thread that ends the workers forbids polling first and passes through the lock */
	pthread_mutex_lock(&n->page_lock);
	if (may_poll(n)) {
		atomic_store(&n->worker[0].poll, true);
		nvme_worker_wake(&n->worker[0]);
	}
	pthread_mutex_unlock(&n->page_lock);
}

void nvme_poll_rung(struct nvme *n)
{
	uint64_t now, last;

	if (!n->poll_ns || atomic_load_explicit(&n->polling, memory_order_relaxed))
		return;
	now = nvme_now_ns();
	last = atomic_exchange_explicit(&n->last_ring, now, memory_order_relaxed);
	/* one that rings now and then is served at once, in its own thread */
	if (now - last > n->poll_ns ||
	    now < atomic_load_explicit(&n->poll_not_before, memory_order_relaxed))
		return;
	ask_to_poll(n);
}

static uint64_t run_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/*
 * While it polls a thread never sleeps, so time in which it did not run is time in which others
 * did.
 */
static bool crowded(struct nvme_worker *w)
{
	uint64_t now, ran, wall;
	bool yes;

	if (++w->rounds % 64)
		return false;
	now = nvme_now_ns();
	wall = now - w->looked_at;
	if (wall < CROWD_WINDOW)
		return false;
	ran = run_ns();
	yes = ran - w->ran < wall - wall / 4;
	w->looked_at = now;
	w->ran = ran;
	if (yes)
		atomic_store(&w->n->poll_not_before, now + CROWD_BACK_OFF);
	return yes;
}

static void open_page(struct nvme_worker *w)
{
	struct nvme *n = w->n;

	pthread_mutex_lock(&n->page_lock);
	if (may_poll(n) && !atomic_load(&n->polling)) {
		atomic_store(&n->page_open, !uvfio_polled_open(n->dev));
		w->opened = atomic_load(&n->page_open) || atomic_load(&n->kept->shadow);
		atomic_store(&n->polling, w->opened);
		if (!w->opened)
			atomic_store(&n->poll_not_before, nvme_now_ns() + BACK_OFF);
		w->looked_at = nvme_now_ns();
		w->ran = run_ns();
	}
	pthread_mutex_unlock(&n->page_lock);
}

void nvme_poll_stop(struct nvme *n)
{
	pthread_mutex_lock(&n->page_lock);
	if (atomic_exchange(&n->page_open, false))
		uvfio_polled_close(n->dev);
	atomic_store(&n->polling, false);
	pthread_mutex_unlock(&n->page_lock);
}

/*
 * @w looks after its own queues, and if it opened the page also after those of sleepers: they are
 * woken.
 */
static bool look(struct nvme_worker *w, struct nvme_sq *sq)
{
	struct nvme *n = w->n;
	struct nvme_worker *owner = nvme_worker_of(n, sq->id);
	struct nvme_cq *cq = nvme_cq_of(sq);
	bool any = nvme_cq_poll(n, cq);

	if (!nvme_sq_rung(n, sq) || atomic_load_explicit(&cq->starved, memory_order_relaxed))
		return any;
	if (owner == w)
		nvme_sq_kick(sq, true);
	else if (w->opened && atomic_load(&owner->asleep))
		nvme_worker_run_sq(n, sq);
	else
		return any;
	return true;
}

static bool look_all(struct nvme_worker *w)
{
	struct nvme *n = w->n;
	bool any = false;

	for (unsigned i = 0; i < 2; i++)
		for (uint64_t bits = atomic_load_explicit(&n->live[i], memory_order_relaxed); bits;
		     bits &= bits - 1)
			any |= look(w, &n->sq[i * 64 + (unsigned)__builtin_ctzll(bits)]);
	return any;
}

bool nvme_poll(struct nvme_worker *w)
{
	if (atomic_load_explicit(&w->poll, memory_order_relaxed) &&
	    atomic_exchange(&w->poll, false))
		open_page(w);
	if (!atomic_load_explicit(&w->n->polling, memory_order_relaxed))
		return false;
	return look_all(w);
}

static bool others_awake(struct nvme_worker *w)
{
	for (unsigned i = 0; i < w->n->num_workers; i++)
		if (i != w->index && !atomic_load(&w->n->worker[i].asleep))
			return true;
	return false;
}

/*
 * The last look; see above. With the page closed there may still be a queue to run, and a driver
 * that must be asked to ring.
 */
static void close_page(struct nvme_worker *w)
{
	w->opened = false;
	nvme_poll_stop(w->n);
	nvme_barrier();
	nvme_doorbells_look(w->n);
}

bool nvme_poll_again(struct nvme_worker *w, bool any)
{
	struct nvme *n = w->n;
	uint64_t now;

	if (w->opened && crowded(w)) {
		w->quiet_at = 0;
		close_page(w);
		return true;
	}
	if (any) {
		w->quiet_at = 0;
		if (!w->opened || may_poll(n))
			return true;
	}
	if (!w->opened && !atomic_load_explicit(&n->polling, memory_order_relaxed))
		return false;
	if (may_poll(n)) {
		now = nvme_now_ns();
		if (!w->quiet_at)
			w->quiet_at = now + n->poll_ns;
		if (now < w->quiet_at) {
			__builtin_ia32_pause();
			return true;
		}
		w->quiet_at = 0;
	}
	if (!w->opened)
		return false;
	if (may_poll(n) && others_awake(w))
		return true;
	close_page(w);
	return true;
}

void nvme_poll_end(struct nvme_worker *w)
{
	if (w->opened)
		close_page(w);
}

/*
 * True if @sq was rung. Of one with a doorbell buffer the doorbell itself counts, since the buffer
 * is the driver's memory: what is put there in its place no driver stores.
 */
static bool came(struct nvme *n, struct nvme_sq *sq)
{
	bool yes;

	if (!atomic_load_explicit(&sq->kept->shadow, memory_order_relaxed))
		return nvme_sq_rung(n, sq);
	if (atomic_load_explicit(sq->doorbell, memory_order_relaxed) == NOT_RUNG ||
	    pthread_mutex_trylock(&sq->lock))
		return false; /* or the next time */
	yes = atomic_load(&sq->kept->shadow) && atomic_exchange(sq->doorbell, NOT_RUNG) != NOT_RUNG;
	pthread_mutex_unlock(&sq->lock);
	return yes;
}

/* True if a doorbell was rung that no queue has. The last look of who polls says which. */
static bool stray(const struct nvme *n)
{
	for (unsigned i = 0; i < NVME_DOORBELLS_N; i++)
		if (atomic_load_explicit(&n->doorbells[i], memory_order_relaxed) &&
		    (i / 2 > n->max_queues ||
		     !atomic_load_explicit(i & 1 ? &n->cq[i / 2].kept->size
						 : &n->sq[i / 2].kept->size,
					   memory_order_relaxed)))
			return true;
	return false;
}

static void watch(struct uvfio_dev *dev, void *arg)
{
	struct nvme *n = arg;
	bool any = atomic_load(&n->polling);

	if (!(atomic_load(&n->kept->csts) & NVME_CSTS_RDY))
		return;
	if (!any) {
		/* the pin goes when a head is stored */
		pthread_mutex_lock(&n->irq_lock);
		any = n->pending[0] || n->pending[1];
		pthread_mutex_unlock(&n->irq_lock);
		for (unsigned i = 0; i < 2; i++)
			for (uint64_t bits = atomic_load(&n->live[i]); bits; bits &= bits - 1)
				any |= came(n, &n->sq[i * 64 + (unsigned)__builtin_ctzll(bits)]);
		if (any || stray(n))
			ask_to_poll(n);
	}
	n->quiet_looks = any ? 0 : n->quiet_looks + 1;
	uvfio_timer_set(n->look, n->quiet_looks < QUIET_LOOKS ? LOOK_NS : LOOK_IDLE_NS);
}

int nvme_poll_watch(struct nvme *n)
{
	if (!uvfio_polled_shared(n->dev))
		return 0;
	if (!n->look)
		n->look = uvfio_timer_new(n->dev, watch, n);
	if (!n->look)
		return -ENOMEM;
	uvfio_timer_set(n->look, LOOK_NS);
	return 0;
}
