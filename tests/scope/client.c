/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/scope/client.c: a program whose stacks are small and whose threads are cancelled, on a
 * device whose callbacks take much stack and are cancellation points (tests/scope/model.c). What
 * the program's thread gives for a call is what a system call takes; for an access of a mapped BAR
 * it is the kernel's signal frame.
 */
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "shim/shim.h"

#define ROOM (1u << 20)

static struct vfio v;
static volatile uint32_t *bar;
static atomic_long rounds;

/* ---- how much of its stack a thread gives ---- */

static ucontext_t back;
static void (*work)(void);

static void on_stack(void)
{
	work();
}

/* Bytes of stack that @fn takes. */
static size_t depth_of(void (*fn)(void))
{
	uint8_t *stack =
		mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ucontext_t uc;
	size_t i = 0;

	if (stack == MAP_FAILED)
		return SIZE_MAX;
	memset(stack, 0xa5, ROOM);
	getcontext(&uc);
	uc.uc_stack.ss_sp = stack;
	uc.uc_stack.ss_size = ROOM;
	uc.uc_link = &back;
	work = fn;
	makecontext(&uc, on_stack, 0);
	swapcontext(&back, &uc);
	while (i < ROOM && stack[i] == 0xa5)
		i++;
	munmap(stack, ROOM);
	return ROOM - i;
}

static void on_usr1(int sig)
{
}

static void nothing(void)
{
	getppid();
}

static void a_signal(void)
{
	raise(SIGUSR1);
}

static void a_store(void)
{
	bar[1] = 7;
}

static void a_load(void)
{
	CHECK(bar[1] == 7);
}

static void a_read(void)
{
	uint32_t x = 0;

	if (pread(v.device, &x, 4, 4) != 4 || x != 7)
		case_failed = 1;
}

static void a_write(void)
{
	uint32_t x = 7;

	if (pwrite(v.device, &x, 4, 4) != 4)
		case_failed = 1;
}

static void a_vector(void)
{
	uint32_t x = 7;
	struct iovec iov = { &x, 4 };

	if (pwritev(v.device, &iov, 1, 4) != 4)
		case_failed = 1;
}

static void a_reset(void)
{
	if (ioctl(v.device, VFIO_DEVICE_RESET))
		case_failed = 1;
}

static void an_unmap(void)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, v.device, 0);

	if (p == MAP_FAILED || munmap(p, 4096))
		case_failed = 1;
}

static void a_raw_call(void)
{
	if (raw_call(SYS_ioctl, v.device, VFIO_DEVICE_RESET, 0, 0, 0, 0))
		case_failed = 1;
}

static void the_stack_stays_free(void)
{
	static const struct {
		const char *name;
		void (*fn)(void);
		bool frame;
	} calls[] = {
		{ "a store to a mapped BAR", a_store, true },
		{ "a load from one", a_load, true },
		{ "pread", a_read, false },
		{ "pwrite", a_write, false },
		{ "pwritev", a_vector, false },
		{ "ioctl", a_reset, false },
		{ "mmap and munmap of a BAR", an_unmap, false },
		{ "ioctl by the instruction", a_raw_call, true },
	};
	size_t least, frame, used;

	CHECK(signal(SIGUSR1, on_usr1) != SIG_ERR);
	/* once before: a symbol's first use is the dynamic linker's */
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		calls[i].fn();
	a_signal();
	nothing();
	least = depth_of(nothing);
	frame = depth_of(a_signal);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		used = depth_of(calls[i].fn);
		printf("     %s: %zu bytes beside the kernel's part\n", calls[i].name,
		       used - (calls[i].frame ? frame : least));
		CHECK(used <= (calls[i].frame ? frame : least) + 1024);
	}
}

/* ---- the smallest threads ---- */

static void *small(void *arg)
{
	uint32_t x = 7;

	if (pwrite(v.device, &x, 4, 4) != 4 || pread(v.device, &x, 4, 4) != 4 ||
	    ioctl(v.device, VFIO_DEVICE_RESET))
		return NULL;
	bar[1] = 8;
	return bar[1] == 8 ? arg : NULL;
}

static void smallest_threads(void)
{
	pthread_attr_t attr;
	pthread_t t;
	void *ret;

	pthread_attr_init(&attr);
	CHECK(!pthread_attr_setstacksize(&attr, (size_t)sysconf(_SC_THREAD_STACK_MIN)));
	CHECK(!pthread_create(&t, &attr, small, &v));
	CHECK(!pthread_join(t, &ret) && ret == &v);
	pthread_attr_destroy(&attr);
}

static void coroutine(void)
{
	bar[0] = 1;
}

static void coroutines(void)
{
	/* the kernel's frame, and as much as a function has for itself */
	size_t size = (getauxval(AT_MINSIGSTKSZ) + 4096 + 4095) & ~4095ul;
	char *p = mmap(NULL, size + (256 << 10), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t before = bar[0];
	ucontext_t uc;

	CHECK(p != MAP_FAILED && !mprotect(p + (256 << 10), size, PROT_READ | PROT_WRITE));
	getcontext(&uc);
	uc.uc_stack.ss_sp = p + (256 << 10);
	uc.uc_stack.ss_size = size;
	uc.uc_link = &back;
	makecontext(&uc, coroutine, 0);
	swapcontext(&back, &uc);
	CHECK(bar[0] == before + 1);
}

/* ---- cancellation ---- */

static void (*loop_work)(void);

static void *loop(void *arg)
{
	for (;;) {
		loop_work();
		atomic_fetch_add(&rounds, 1);
		pthread_testcancel();
	}
	return NULL;
}

/* A call that has begun is made to its end: the model counts what was stored. */
static void a_count(void)
{
	bar[0] = 1;
}

static void no_cancellation_points(void)
{
	void (*const works[])(void) = { a_count, a_load, a_read, a_write, a_reset };
	uint32_t before = bar[0];
	long counted = 0, from;
	pthread_t t;
	void *ret;

	bar[1] = 7;
	for (int i = 0; i < 100; i++) {
		loop_work = works[i % 5];
		from = atomic_load(&rounds);
		CHECK(!pthread_create(&t, NULL, loop, NULL));
		while (atomic_load(&rounds) == from)
			sched_yield();
		CHECK(!pthread_cancel(t) && !pthread_join(t, &ret) && ret == PTHREAD_CANCELED);
		counted += i % 5 ? 0 : atomic_load(&rounds) - from;
		a_load(); /* the device's lock is free */
	}
	CHECK(bar[0] - before == (uint32_t)counted);
}

/* First, while the program has no handler: the call has signals open. */
static void a_call_that_waits_for_a_thread(void)
{
	CHECK(!ioctl(v.device, VFIO_DEVICE_RESET));
}

int main(void)
{
	v = vfio_open();
	bar = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, 0);
	if (v.device < 0 || !bus_master(&v) || bar == MAP_FAILED)
		return 2;
	bar[1] = 7;
	RUN(a_call_that_waits_for_a_thread);
	RUN(the_stack_stays_free);
	RUN(smallest_threads);
	RUN(coroutines);
	RUN(no_cancellation_points);
	return any_failed;
}
