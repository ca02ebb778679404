/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/worker.c: the threads that do what a doorbell write must not wait for.
 *
 * A worker serves the queues whose number maps to it and owns an io_uring: the ring belongs to the
 * thread that submits, for the kernel cancels what a thread has in flight when it ends, and the
 * driver's threads come and go. Where io_uring is refused (containers, old kernels) the workers
 * pass requests to a pool of threads that make plain system calls.
 *
 * While the driver rings often the doorbell page is open, and workers look at it instead of
 * sleeping (poll.c).
 *
 * Threads exist between the first doorbell after enable or quiesce and the next quiesce, so that a
 * fork finds none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "models/nvme/internal.h"

void nvme_worker_wake(struct nvme_worker *w)
{
	uint64_t one = 1;

	nvme_barrier();
	if (atomic_exchange(&w->asleep, false) && write(w->wake_fd, &one, sizeof(one)) < 0)
		uvfio_log(w->n->dev, UVFIO_LOG_ERROR, "I/O thread cannot be woken: %s",
			  strerror(errno));
}

struct nvme_worker *nvme_worker_of(struct nvme *n, unsigned qid)
{
	return &n->worker[qid % n->num_workers];
}

void nvme_worker_run_sq(struct nvme *n, struct nvme_sq *sq)
{
	struct nvme_worker *w = nvme_worker_of(n, sq->id);

	atomic_fetch_or(&w->ready[sq->id / 64], 1ull << sq->id % 64);
	nvme_worker_wake(w);
}

void nvme_worker_give(struct nvme_worker *w, struct nvme_req *r)
{
	pthread_mutex_lock(&w->lock);
	nvme_fifo_push(&w->in, r);
	pthread_mutex_unlock(&w->lock);
	nvme_worker_wake(w);
}

void nvme_worker_notify(struct nvme_worker *w, struct nvme_cq *cq)
{
	if (w->has_ring)
		w->notify[cq->id / 64] |= 1ull << cq->id % 64;
	else
		nvme_cq_notify(w->n, cq);
}

static void send_notifications(struct nvme_worker *w)
{
	for (unsigned i = 0; i < 2; i++)
		while (w->notify[i]) {
			unsigned bit = (unsigned)__builtin_ctzll(w->notify[i]);

			w->notify[i] &= w->notify[i] - 1;
			nvme_cq_notify(w->n, &w->n->cq[i * 64 + bit]);
		}
}

/* ---- the pool, for where there is no io_uring ---- */

static void *pool_main(void *arg)
{
	struct nvme *n = arg;
	struct nvme_pool *pool = &n->pool;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct nvme_req *r = nvme_fifo_pop(&pool->in);

		if (!r) {
			if (pool->quit)
				break;
			pthread_cond_wait(&pool->cond, &pool->lock);
			continue;
		}
		pthread_mutex_unlock(&pool->lock);
		if (nvme_io_start(r))
			while (nvme_io_step(r, nvme_aio_run(&r->aio)))
				;
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void pool_give(struct nvme *n, struct nvme_req *r)
{
	struct nvme_pool *pool = &n->pool;
	bool alone;

	pthread_mutex_lock(&pool->lock);
	/* One thread for each request that is under way, up to the limit. */
	if (pool->threads < NVME_POOL && atomic_load(&n->inflight) > pool->threads &&
	    !uvfio_thread_start(n->dev, &pool->thread[pool->threads], pool_main, n, "nvme-pool"))
		pool->threads++;
	alone = !pool->threads;
	if (!alone)
		nvme_fifo_push(&pool->in, r);
	pthread_cond_signal(&pool->cond);
	pthread_mutex_unlock(&pool->lock);
	if (alone && nvme_io_start(r)) /* no thread to be had: this one waits for the disk */
		while (nvme_io_step(r, nvme_aio_run(&r->aio)))
			;
}

static void pool_stop(struct nvme_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->quit = true;
	pthread_cond_broadcast(&pool->cond);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->threads; i++)
		pthread_join(pool->thread[i], NULL);
	pool->threads = 0;
	pool->quit = false;
}

/* ---- the worker ---- */

static void submit(struct nvme_worker *w, struct nvme_req *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&w->ring);

	if (!sqe) { /* entries are written but not submitted */
		io_uring_submit(&w->ring);
		sqe = io_uring_get_sqe(&w->ring);
	}
	nvme_aio_prep(sqe, &r->aio);
	io_uring_sqe_set_data(sqe, r);
	w->in_ring++;
}

static bool start_requests(struct nvme_worker *w)
{
	struct nvme_req *r;
	bool any = false;

	pthread_mutex_lock(&w->lock);
	while ((r = nvme_fifo_pop(&w->in)))
		nvme_fifo_push(&w->backlog, r);
	pthread_mutex_unlock(&w->lock);
	/*
	 * Bounce buffers come with the start, so the ring's size bounds them too. One entry is the
	 * wake-up's.
	 */
	while (w->in_ring < NVME_RING - 1 && (r = nvme_fifo_pop(&w->backlog))) {
		any = true;
		if (!w->has_ring)
			pool_give(w->n, r);
		else if (nvme_io_start(r))
			submit(w, r);
	}
	return any;
}

static bool run_queues(struct nvme_worker *w)
{
	bool any = false;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t bits = atomic_load_explicit(&w->ready[i], memory_order_relaxed)
					? atomic_exchange(&w->ready[i], 0)
					: 0;

		for (; bits; bits &= bits - 1) {
			nvme_sq_kick(&w->n->sq[i * 64 + (unsigned)__builtin_ctzll(bits)], true);
			any = true;
		}
	}
	return any;
}

static bool reap(struct nvme_worker *w)
{
	struct io_uring_cqe *cqe;
	bool any = false;

	while (!io_uring_peek_cqe(&w->ring, &cqe)) {
		struct nvme_req *r = io_uring_cqe_get_data(cqe);
		long res = cqe->res;

		io_uring_cqe_seen(&w->ring, cqe);
		any = true;
		if (!r) {
			w->wake_armed = false;
			continue;
		}
		w->in_ring--;
		if (nvme_io_step(r, res))
			submit(w, r);
	}
	return any;
}

static void sleep_in_ring(struct nvme_worker *w)
{
	if (!w->wake_armed) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&w->ring);

		if (!sqe) {
			io_uring_submit(&w->ring);
			return;
		}
		io_uring_prep_read(sqe, w->wake_fd, &w->wake_value, sizeof(w->wake_value), 0);
		io_uring_sqe_set_data(sqe, NULL);
		w->wake_armed = true;
	}
	io_uring_submit_and_wait(&w->ring, 1);
}

static bool has_work(struct nvme_worker *w)
{
	bool work;

	if (atomic_load(&w->poll))
		return true;

	if (atomic_load(&w->ready[0]) || atomic_load(&w->ready[1]) || atomic_load(&w->quit))
		return true;
	pthread_mutex_lock(&w->lock);
	work = w->in.first;
	pthread_mutex_unlock(&w->lock);
	return work;
}

/* Make the ring. Its descriptor is kept out of the program's reach, as the images' are. */
static int ring_open(struct nvme_worker *w)
{
	int err = io_uring_queue_init(NVME_RING, &w->ring, 0), fd;

	if (err)
		return err;
	fd = uvfio_fd_keep(w->n->dev, w->ring.ring_fd);
	if (fd >= 0)
		w->ring.ring_fd = w->ring.enter_ring_fd = fd;
	w->ring_kept = fd >= 0;
	return 0;
}

static void ring_close(struct nvme_worker *w)
{
	int kept = w->ring.ring_fd;

	if (w->ring_kept) {
		/*
		 * liburing closes a number of its own, past libc: it must be made so, too, for
		 * ThreadSanitizer, which would take the next use of it for a race with this one
		 */
		w->ring.ring_fd = w->ring.enter_ring_fd = (int)syscall(SYS_dup, kept);
		uvfio_fd_close(w->n->dev, kept);
	}
	io_uring_queue_exit(&w->ring);
}

static void *worker_main(void *arg)
{
	struct nvme_worker *w = arg;
	int err = ring_open(w);

	w->has_ring = !err;
	if (err && !w->index)
		uvfio_log(w->n->dev, UVFIO_LOG_INFO, "io_uring: %s; a pool of threads does the I/O",
			  strerror(-err));
	while (!atomic_load(&w->quit)) {
		bool any = run_queues(w);

		any |= nvme_poll(w);
		any |= start_requests(w);
		if (w->has_ring) {
			if (io_uring_sq_ready(&w->ring))
				io_uring_submit(&w->ring);
			any |= reap(w);
			send_notifications(w);
		}
		if (nvme_poll_again(w, any))
			continue;
		atomic_store(&w->asleep, true);
		nvme_barrier();
		if (has_work(w)) {
			atomic_store(&w->asleep, false);
			continue;
		}
		if (w->has_ring)
			sleep_in_ring(w);
		else if (read(w->wake_fd, &w->wake_value, sizeof(w->wake_value)) < 0 &&
			 errno != EINTR)
			break;
		atomic_store(&w->asleep, false);
	}
	nvme_poll_end(w);
	return NULL;
}

static int worker_start(struct nvme *n, struct nvme_worker *w, unsigned index)
{
	char name[16];
	int err, fd;

	w->n = n;
	w->index = index;
	w->wake_armed = w->has_ring = false;
	w->in_ring = 0;
	w->notify[0] = w->notify[1] = 0;
	atomic_store(&w->asleep, false);
	atomic_store(&w->quit, false);
	atomic_store(&w->poll, false);
	atomic_store(&w->ready[0], 0);
	atomic_store(&w->ready[1], 0);
	nvme_fifo_init(&w->in);
	nvme_fifo_init(&w->backlog);
	fd = eventfd(0, EFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	w->wake_fd = uvfio_fd_keep(n->dev, fd);
	if (w->wake_fd < 0) {
		close(fd);
		return w->wake_fd;
	}
	snprintf(name, sizeof(name), "nvme-io%u", index);
	err = uvfio_thread_start(n->dev, &w->thread, worker_main, w, name);
	if (err)
		uvfio_fd_close(n->dev, w->wake_fd);
	return err;
}

int nvme_workers_start(struct nvme *n)
{
	/* they may poll, and the driver needs processors, too */
	unsigned cpus = uvfio_cpus(n->dev) / 2, want = cpus < 1		     ? 1
						       : cpus > NVME_WORKERS ? NVME_WORKERS
									     : cpus;
	int err = 0;

	if (n->running)
		return 0;
	nvme_fifo_init(&n->pool.in);
	for (n->num_workers = 0; n->num_workers < want; n->num_workers++) {
		err = worker_start(n, &n->worker[n->num_workers], n->num_workers);
		if (err)
			break;
	}
	if (!n->num_workers) {
		uvfio_log(n->dev, UVFIO_LOG_ERROR, "no thread for I/O: %s", strerror(-err));
		return err;
	}
	n->running = true;
	return 0;
}

void nvme_workers_stop(struct nvme *n)
{
	uint64_t one = 1;

	if (!n->running)
		return;
	for (unsigned i = 0; i < n->num_workers; i++) {
		struct nvme_worker *w = &n->worker[i];

		atomic_store(&w->quit, true);
		if (write(w->wake_fd, &one, sizeof(one)) < 0)
			uvfio_log(n->dev, UVFIO_LOG_ERROR, "I/O thread cannot be stopped: %s",
				  strerror(errno));
	}
	for (unsigned i = 0; i < n->num_workers; i++)
		pthread_join(n->worker[i].thread, NULL);
	/*
	 * Not before all have ended: a ring's memory must not become another one's without the
	 * sanitizers knowing.
	 */
	for (unsigned i = 0; i < n->num_workers; i++) {
		if (n->worker[i].has_ring)
			ring_close(&n->worker[i]);
		uvfio_fd_close(n->dev, n->worker[i].wake_fd);
	}
	pool_stop(&n->pool);
	n->running = false;
}
