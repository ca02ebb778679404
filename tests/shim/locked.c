/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/locked.c: locked instructions on a mapped BAR. Threads and processors count in one
 * register of the device, each its own way; no count is lost.
 */
#include <pthread.h>
#include <setjmp.h>

#include "shim.h"

#define TIMES 3000u

static struct vfio v;
static uint8_t *regs, *ram;
static volatile int go, stop;

typedef void *thread_fn(void *);

/* @n threads of each @fn at once; what they return, added */
static long run(thread_fn **fn, unsigned n, void *arg)
{
	pthread_t t[8];
	long sum = 0;
	void *r;

	go = 0;
	for (unsigned i = 0; i < n; i++)
		CHECK(!pthread_create(&t[i], NULL, fn[i], arg));
	__atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < n; i++) {
		pthread_join(t[i], &r);
		sum += (long)r;
	}
	return sum;
}

static void ready(void)
{
	while (!__atomic_load_n(&go, __ATOMIC_RELAXED))
		sched_yield();
}

#define COUNTER(name, code)                            \
	static void *name(void *p)                     \
	{                                              \
		ready();                               \
		for (unsigned i = 0; i < TIMES; i++) { \
			code;                          \
		}                                      \
		return NULL;                           \
	}

COUNTER(by_inc, __asm__ volatile("lock incl (%0)" : : "r"(p) : "memory", "cc"))
COUNTER(by_add, __asm__ volatile("lock addl $1, (%0)" : : "r"(p) : "memory", "cc"))
COUNTER(by_xadd, uint32_t one = 1; __asm__ volatile("lock xaddl %0, (%1)"
						    : "+r"(one)
						    : "r"(p)
						    : "memory", "cc"))
COUNTER(by_cmpxchg, uint32_t was = *(volatile uint32_t *)p;
	while (!__atomic_compare_exchange_n((uint32_t *)p, &was, was + 1, 0, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST));)
COUNTER(by_sub, __asm__ volatile("lock subl $-1, (%0)" : : "r"(p) : "memory", "cc"))
COUNTER(by_inc64, __asm__ volatile("lock incq (%0)" : : "r"(p) : "memory", "cc"))
COUNTER(by_cmpxchg64, uint64_t was = *(volatile uint64_t *)p;
	while (!__sync_bool_compare_and_swap((uint64_t *)p, was, was + 1))
		was = *(volatile uint64_t *)p;)

static void *by_cmpxchg8b(void *p)
{
	uint64_t was = 0;
	uint8_t done;

	ready();
	for (unsigned i = 0; i < TIMES; i++)
		do {
			uint32_t lo = (uint32_t)was, hi = (uint32_t)(was >> 32);

			__asm__ volatile("lock cmpxchg8b %1; sete %0"
					 : "=q"(done), "+m"(*(uint64_t *)p), "+a"(lo), "+d"(hi)
					 : "b"((uint32_t)(was + 1)),
					   "c"((uint32_t)((was + 1) >> 32))
					 : "cc");
			was = (uint64_t)hi << 32 | lo;
		} while (!done);
	return NULL;
}

/* both halves of 16 bytes, which the bus cuts in two */
static void *by_cmpxchg16b(void *p)
{
	uint64_t lo = 0, hi = 0;
	uint8_t done;

	ready();
	for (unsigned i = 0; i < TIMES; i++)
		do
			__asm__ volatile("lock cmpxchg16b %1; sete %0"
					 : "=q"(done), "+m"(*(char(*)[16])p), "+a"(lo), "+d"(hi)
					 : "b"(lo + 1), "c"(hi - 1)
					 : "cc");
		while (!done);
	return NULL;
}

/* Plain stores beside the counter, in the same word for those that are locked and wider. */
static void *stores_beside(void *p)
{
	ready();
	for (unsigned i = 0; i < TIMES; i++)
		*(volatile uint8_t *)((char *)p + 3) = (uint8_t)i;
	return NULL;
}

static void *writes_beside(void *p)
{
	long bad = 0;

	ready();
	for (unsigned i = 0; i < TIMES; i++) {
		uint8_t b = (uint8_t)i;

		bad += pwrite(v.device, &b, 1, (off_t)(RAM + ((uint8_t *)p - ram) + 3)) != 1;
	}
	return (void *)bad;
}

static void counters(void)
{
	thread_fn *mixed[] = { by_inc, by_add, by_xadd, by_cmpxchg, by_sub };
	thread_fn *wide[] = { by_inc64, by_cmpxchg8b, by_cmpxchg64 };
	thread_fn *widest[] = { by_cmpxchg16b, by_cmpxchg16b, by_cmpxchg16b };
	thread_fn *beside[] = { by_add, by_xadd, stores_beside, writes_beside, by_inc };
	volatile uint32_t *r = (uint32_t *)(regs + TD_SCRATCH32);
	volatile uint64_t *m = (uint64_t *)ram;

	*r = 0;
	run(mixed, 5, (void *)r);
	CHECK(*r == 5 * TIMES);
	m[0] = 0xfffffff0ull; /* it carries */
	run(wide, 3, (void *)m);
	CHECK(m[0] == 0xfffffff0ull + 3ull * TIMES);
	m[2] = 0;
	m[3] = 0;
	run(widest, 3, (void *)(m + 2));
	CHECK(m[2] == 3 * TIMES && m[3] == -3ull * TIMES);
	/* the lower three bytes count, the fourth is somebody else's */
	m[4] = 0;
	CHECK(run(beside, 5, (void *)(m + 4)) == 0);
	CHECK(((uint32_t)m[4] & 0xffffff) == 3 * TIMES);
}

/* xchg is locked without saying so: tokens that go in come out once each */
static void *exchanges(void *p)
{
	static uint32_t next = 1;
	unsigned long sum = 0;

	ready();
	for (unsigned i = 0; i < TIMES; i++)
		sum += __atomic_exchange_n((uint32_t *)p,
					   __atomic_fetch_add(&next, 1, __ATOMIC_SEQ_CST),
					   __ATOMIC_SEQ_CST);
	return (void *)sum;
}

static void tokens(void)
{
	thread_fn *four[] = { exchanges, exchanges, exchanges, exchanges };
	unsigned long n = 4 * TIMES, sum;
	volatile uint32_t *r = (uint32_t *)(regs + TD_SCRATCH32);

	*r = 0;
	sum = (unsigned long)run(four, 4, (void *)r);
	CHECK(sum + *r == n * (n + 1) / 2);
}

/* each thread owns a bit of one word, sets and clears it, and sees it as it was left */
static void *owns_a_bit(void *p)
{
	static uint32_t owners;
	uint64_t bit = __atomic_fetch_add(&owners, 1, __ATOMIC_SEQ_CST) % 4 * 9;
	long bad = 0;
	uint8_t was;

	ready();
	for (unsigned i = 0; i < TIMES; i++) {
		__asm__ volatile("lock btsq %2, (%1); setc %0"
				 : "=q"(was)
				 : "r"(p), "r"(bit)
				 : "memory", "cc");
		bad += was;
		__asm__ volatile("lock btcq %2, (%1); setc %0"
				 : "=q"(was)
				 : "r"(p), "r"(bit)
				 : "memory", "cc");
		bad += !was;
		__asm__ volatile("lock btrq %2, (%1); setc %0"
				 : "=q"(was)
				 : "r"(p), "r"(bit)
				 : "memory", "cc");
		bad += was;
	}
	return (void *)bad;
}

static void bits(void)
{
	thread_fn *four[] = { owns_a_bit, owns_a_bit, owns_a_bit, owns_a_bit };
	volatile uint64_t *m = (uint64_t *)ram;

	m[0] = 0;
	CHECK(run(four, 4, (void *)m) == 0);
	CHECK(m[0] == 0);
}

/* Those who only load and store never stop; the locked ones still get their turn. */
static void *loads_and_stores(void *p)
{
	volatile uint32_t *r = p;

	ready();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		r[1] = r[2];
	return NULL;
}

static void *counts_then_stops(void *p)
{
	by_inc(p);
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void fairness(void)
{
	thread_fn *all[] = { loads_and_stores, loads_and_stores, loads_and_stores,
			     loads_and_stores, loads_and_stores, counts_then_stops };
	volatile uint32_t *m = (uint32_t *)ram;

	m[0] = 0;
	stop = 0;
	run(all, 6, (void *)m);
	CHECK(m[0] == TIMES);
}

/*
 * A locked instruction that ends in a signal gives the bus back: memory decoding off, a mapping
 * that is read-only, one that ends in the middle.
 */
static sigjmp_buf env;

static void on_fault(int sig)
{
	siglongjmp(env, sig);
}

static int locked_inc(void *p)
{
	int sig = sigsetjmp(env, 1);

	if (!sig)
		__asm__ volatile("lock incl (%0)" : : "r"(p) : "memory", "cc");
	return sig;
}

static void faults(void)
{
	thread_fn *two[] = { by_inc, by_add };
	volatile uint32_t *m = (uint32_t *)ram;
	uint16_t command = 0;
	void *ro = mmap(NULL, 4096, PROT_READ, MAP_SHARED, v.device, (off_t)RAM);

	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	CHECK(pread(v.device, &command, 2, CONFIG + PCI_COMMAND) == 2);
	command &= (uint16_t)~PCI_COMMAND_MEMORY;
	CHECK(pwrite(v.device, &command, 2, CONFIG + PCI_COMMAND) == 2);
	CHECK(locked_inc(ram) == SIGBUS);
	command |= PCI_COMMAND_MEMORY;
	CHECK(pwrite(v.device, &command, 2, CONFIG + PCI_COMMAND) == 2);
	CHECK(locked_inc(ro) == SIGSEGV);
	CHECK(locked_inc(ram + 8192 - 2) == SIGBUS);
	/* the register that fails: read as ones, the store is lost; that is no signal */
	CHECK(locked_inc(regs + 0x30) == 0);
	m[0] = 0;
	run(two, 2, (void *)m);
	CHECK(m[0] == 2 * TIMES);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	munmap(ro, 4096);
}

/* A handler that uses the device, by locked instructions and by calls, and comes at any time. */
static volatile unsigned handled;

static void on_alarm(int sig)
{
	uint32_t x;

	handled++;
	__asm__ volatile("lock incl (%0)" : : "r"(ram + 64) : "memory", "cc");
	if (pread(v.device, &x, 4, (off_t)RAM + 64) != 4)
		_exit(9);
}

static void *signals(void *p)
{
	pthread_t *whom = p;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		pthread_kill(*whom, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

static void handlers(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	pthread_t self = pthread_self(), t;
	volatile uint32_t *m = (uint32_t *)ram;
	uint32_t x = 0;

	m[0] = 0;
	m[16] = 0;
	stop = 0;
	handled = 0;
	sigaction(SIGUSR1, &sa, NULL);
	CHECK(!pthread_create(&t, NULL, signals, &self));
	for (unsigned i = 0; i < TIMES || handled < 100; i++) {
		__asm__ volatile("lock incl (%0)" : : "r"(m) : "memory", "cc");
		if (pread(v.device, &x, 4, (off_t)RAM) != 4 || x != i + 1) {
			CHECK(0);
			break;
		}
	}
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	signal(SIGUSR1, SIG_IGN);
	CHECK(m[16] == handled);
}

/* A child that is forked while others hold the bus finds it free. */
static void *forks(void *p)
{
	long bad = 0;

	ready();
	for (unsigned i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			struct vfio c;

			alarm(20);
			close(v.device);
			c = vfio_open(); /* the parent has the group */
			_exit(c.device >= 0 ? 2 : locked_inc(ram) == SIGBUS ? 0 : 3);
		}
		bad += wait_for(pid) != 0;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	return (void *)bad;
}

static void *counts_until_stop(void *p)
{
	ready();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		__asm__ volatile("lock incl (%0)" : : "r"(p) : "memory", "cc");
	return NULL;
}

static void forked(void)
{
	thread_fn *all[] = { counts_until_stop, loads_and_stores, counts_until_stop, forks };

	stop = 0;
	signal(SIGBUS, on_fault);
	CHECK(run(all, 4, ram) == 0);
	signal(SIGBUS, SIG_DFL);
}

int main(void)
{
	v = vfio_open();
	regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, (off_t)REGS);
	ram = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, (off_t)RAM);
	CHECK(regs != MAP_FAILED && ram != MAP_FAILED);
	RUN(counters);
	RUN(tokens);
	RUN(bits);
	RUN(fairness);
	RUN(faults);
	RUN(handlers);
	RUN(forked);
	return any_failed;
}
