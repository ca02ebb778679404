/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/aio_signal.c: see aio_signal.h.
 *
 * write(2) to an eventfd waits where the counter is full and the description is a blocking one.
 * Whoever shares the description can make it one at any time, and fill the counter between a look
 * at it and the write. Only the kernel's own eventfd_signal() never waits, and a process has it
 * called by AIO: an operation that is done tells an eventfd. The operation here is a poll of that
 * same eventfd, which is done at once, since any counter can be read or written to.
 *
 * What is done is noted in a ring, which nobody wants to read: its head follows its tail. Threads
 * may store an older tail there than another one has; the next one stores a newer one.
 */
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "vfio/aio_signal.h"

#define EVENTS 256u
#define MAGIC  0xa10a10a1u
#define TRIES  4u

/* fs/aio.c, struct aio_ring: what libaio reads, too */
struct ring {
	uint32_t id, nr;
	_Atomic uint32_t head, tail;
	uint32_t magic, compat, incompat, header_length;
};

static aio_context_t context;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void)
{
	aio_context_t c = 0;
	const struct ring *r;

	if (sys_call(SYS_io_setup, EVENTS, (long)&c, 0, 0, 0, 0) < 0)
		return;
	r = (const struct ring *)c;
	if (r->magic == MAGIC && !r->incompat)
		context = c;
	else
		sys_call(SYS_io_destroy, (long)c, 0, 0, 0, 0, 0);
}

bool aio_signal_ready(void)
{
	pthread_once(&once, prepare);
	return context;
}

bool aio_signal(int fd)
{
	struct ring *r = (struct ring *)context;
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_POLL,
			   .aio_fildes = (uint32_t)fd,
			   .aio_buf = POLLIN | POLLOUT,
			   .aio_flags = IOCB_FLAG_RESFD,
			   .aio_resfd = (uint32_t)fd };
	struct iocb *list = &cb;
	bool done = false;

	for (unsigned i = 0; i < TRIES && !done; i++) {
		done = sys_call(SYS_io_submit, (long)context, 1, (long)&list, 0, 0, 0) == 1;
		atomic_store_explicit(&r->head,
				      atomic_load_explicit(&r->tail, memory_order_relaxed),
				      memory_order_relaxed);
	}
	return done;
}
