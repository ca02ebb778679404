/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench/bench_polled.c: the user-level NVMe driver of tests/drivers under `uvfio run`: doorbells
 * are stores to a polled page, completions are polled for, and the work between is done by the
 * model's thread on another processor. The floor of that is one word of shared memory sent to a
 * thread on another processor and back; that of a read of 4 KiB is pread(2) from the same file,
 * which takes one processor, where this takes two: the driver's own, whose time is what is printed,
 * and the device's.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../tests/drivers/nvme.h"
#include "bench.h"

#define BLOCK	  4096u
#define MAX_DEPTH 128u
#define ENTRIES	  256u

struct world {
	struct nvme n;
	int image;
	uint64_t blocks, random, list_iova;
	char *data;
	uint64_t data_iova;
	/* the echo */
	sem_t start;
	_Alignas(64) atomic_uint question;
	_Alignas(64) atomic_uint answer;
	atomic_uint rounds;
};

struct reads {
	struct world *w;
	unsigned depth;
};

static uint64_t next_place(struct world *w)
{
	w->random ^= w->random << 13; /* Marsaglia, xorshift64 */
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % w->blocks * BLOCK;
}

static void *echo(void *arg)
{
	struct world *w = arg;

	/* asleep between its turns, so that the device's thread has the processor in its own */
	for (unsigned seen = 0;;) {
		unsigned rounds;

		while (sem_wait(&w->start))
			;
		for (rounds = atomic_load(&w->rounds); rounds; rounds--) {
			while (atomic_load_explicit(&w->question, memory_order_acquire) == seen)
				__builtin_ia32_pause();
			seen++;
			atomic_store_explicit(&w->answer, seen, memory_order_release);
		}
	}
	return NULL;
}

static void ping_pong(void *arg, uint64_t n)
{
	struct world *w = arg;

	atomic_store(&w->rounds, (unsigned)n);
	sem_post(&w->start);
	for (; n; n--) {
		unsigned q = atomic_load_explicit(&w->question, memory_order_relaxed) + 1;

		atomic_store_explicit(&w->question, q, memory_order_release);
		while (atomic_load_explicit(&w->answer, memory_order_acquire) != q)
			__builtin_ia32_pause();
	}
}

/* 5.14: the number of queues; nothing is read or written but queue entries and doorbells. */
static void get_feature(void *arg, uint64_t n)
{
	struct world *w = arg;
	struct nvme_command c = { .opcode = NVME_ADMIN_GET_FEATURES, .cdw10 = 7 };
	struct nvme_queue *q = &w->n.queue[0];
	struct nvme_completion done;

	while (n--) {
		nvme_submit(q, &c);
		nvme_ring(q);
		while (!nvme_reap(q, &done))
			__builtin_ia32_pause();
		nvme_queue_reaped(q);
		if (done.status >> 1)
			die("Get Features: status %#x", done.status >> 1);
	}
}

static void submit_read(struct world *w, unsigned cid)
{
	struct nvme_command c = nvme_rw(&w->n, NVME_READ, next_place(w), BLOCK,
					w->data_iova + cid * BLOCK, NULL, 0);

	c.cid = (uint16_t)cid;
	nvme_submit(&w->n.queue[1], &c);
}

static void nvme_reads(void *arg, uint64_t n)
{
	struct reads *r = arg;
	struct nvme_queue *q = &r->w->n.queue[1];
	struct nvme_completion done;
	uint64_t left = n, completed = 0;

	for (unsigned i = 0; i < r->depth && left; i++, left--)
		submit_read(r->w, i);
	nvme_ring(q);
	while (completed < n) {
		unsigned found = 0;

		while (nvme_reap(q, &done)) {
			if (done.status >> 1)
				die("read: status %#x", done.status >> 1);
			found++;
			if (left) {
				submit_read(r->w, done.cid);
				left--;
			}
		}
		if (!found) {
			__builtin_ia32_pause();
			continue;
		}
		completed += found;
		nvme_queue_reaped(q);
		nvme_ring(q);
	}
}

static void preads(void *arg, uint64_t n)
{
	struct world *w = arg;

	while (n--)
		if (pread(w->image, w->data, BLOCK, (off_t)next_place(w)) != BLOCK)
			bench_die("pread of the image", EIO);
}

int main(int argc, char **argv)
{
	static struct world w;
	static struct reads one = { &w, 1 }, some = { &w, 32 }, many = { &w, MAX_DEPTH };
	static struct bench b;
	pthread_t thread;
	int floor;

	if (argc != 3)
		die("usage: polled ADDRESS IMAGE, under uvfio run");
	nvme_open(&w.n, argv[1], 1, false);
	w.image = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (w.image < 0)
		die("%s cannot be opened", argv[2]);
	if (nvme_create_queue(&w.n, 1, ENTRIES, -1))
		die("the queue pair cannot be made");
	w.blocks = (w.n.blocks << w.n.lba_shift) / BLOCK;
	w.random = 88172645463325252ull;
	w.data = pci_dma_alloc(&w.n.pci, MAX_DEPTH * BLOCK, &w.data_iova);
	if (sem_init(&w.start, 0, 0) || pthread_create(&thread, NULL, echo, &w))
		die("no thread");
	floor = bench_floor(&b, "a word to another CPU and back, shared memory", ping_pong, &w,
			    4000);
	bench_add(&b, "doorbell to completion, polled page: a command without data", get_feature,
		  &w, 2000, floor, 0, 0);
	floor = bench_floor(&b, "pread of 4 KiB at random", preads, &w, 1000);
	bench_add(&b, "NVMe read of 4 KiB through the shim, queue depth 1", nvme_reads, &one, 1000,
		  floor, 0, 0);
	bench_add(&b, "NVMe read of 4 KiB through the shim, queue depth 32", nvme_reads, &some,
		  4000, floor, 0, 2000);
	bench_add(&b, "NVMe read of 4 KiB through the shim, queue depth 128", nvme_reads, &many,
		  4000, floor, 0, 2000);
	bench_run(&b);
	nvme_close(&w.n);
	return 0;
}
