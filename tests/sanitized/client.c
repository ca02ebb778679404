/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/sanitized/client.c: a VFIO client that is built with a sanitizer (tests/sanitized.sh). Its
 * run time has handlers of SIGSEGV and SIGBUS, functions of libc of its own, and shadow memory for
 * every address, those of mapped BARs included. "good" must work, and each fault that is made on
 * purpose must still be found.
 */
#include <pthread.h>
#include <setjmp.h>

#include "shim/shim.h"

static struct vfio v;
static volatile uint32_t *regs;
static uint8_t *ram;
static sigjmp_buf env;

static void on_bus(int sig)
{
	siglongjmp(env, sig);
}

static bool decode(bool on)
{
	uint16_t command;

	if (pread(v.device, &command, 2, (off_t)(CONFIG + PCI_COMMAND)) != 2)
		return false;
	command = (uint16_t)(on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY);
	return pwrite(v.device, &command, 2, (off_t)(CONFIG + PCI_COMMAND)) == 2;
}

/*
 * ThreadSanitizer's run time makes atomic operations itself, since version 14 of LLVM with a lock
 * of its own held, which a fault's handler would wait for: on a mapped BAR they must be the
 * program's own (docs/differences.md).
 */
#ifdef __clang__
#define OWN_ATOMICS __attribute__((noinline, disable_sanitizer_instrumentation))
#else
#define OWN_ATOMICS __attribute__((noinline, no_sanitize("thread")))
#endif
OWN_ATOMICS static uint32_t fetch_add(volatile uint32_t *p, uint32_t n)
{
	return __atomic_fetch_add(p, n, __ATOMIC_SEQ_CST);
}

static void registers(void)
{
	uint8_t one[300], two[300];

	CHECK(regs[TD_ID / 4] == TD_ID_VALUE);
	regs[TD_SCRATCH32 / 4] = 0x12345678;
	CHECK(regs[TD_SCRATCH32 / 4] == 0x12345678 && get32(v.device, TD_SCRATCH32) == 0x12345678);
	CHECK(fetch_add(&regs[TD_SCRATCH32 / 4], 1) == 0x12345678);
	CHECK(get32(v.device, TD_SCRATCH32) == 0x12345679);
	for (size_t i = 0; i < sizeof(one); i++)
		one[i] = (uint8_t)(i * 7);
	memcpy(ram + 5, one, sizeof(one));
	memmove(ram + 1000, ram + 5, sizeof(one));
	memcpy(two, ram + 1000, sizeof(two));
	CHECK(!memcmp(one, two, sizeof(one)) && !memcmp(ram + 1000, one, sizeof(one)));
	memset(ram + 5, 0xa5, sizeof(one));
	CHECK(pread(v.device, two, sizeof(two), RAM + 5) == (ssize_t)sizeof(two) &&
	      two[0] == 0xa5 && two[299] == 0xa5);
}

static void faults(void)
{
	void *volatile bad = (void *)8;
	volatile uint32_t x = 0;
	int sig;

	FAILS(ioctl(v.device, VFIO_DEVICE_GET_INFO, bad), EFAULT);
	CHECK(signal(SIGBUS, on_bus) != SIG_ERR);
	for (int i = 0; i < 3; i++) {
		CHECK(decode(false));
		sig = sigsetjmp(env, 1);
		if (!sig)
			x = regs[0];
		CHECK(sig == SIGBUS);
		CHECK(decode(true));
		x = regs[0];
		CHECK(x == TD_ID_VALUE);
	}
	signal(SIGBUS, SIG_DFL);
}

static void *counts(void *arg)
{
	for (int i = 0; i < 1000; i++)
		fetch_add((volatile uint32_t *)ram, 1);
	return arg;
}

static void threads(void)
{
	pthread_t t[3];

	*(volatile uint32_t *)ram = 0;
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(&t[i], NULL, counts, NULL));
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK(*(volatile uint32_t *)ram == 3000);
}

/*
 * An access of a mapped BAR may be the first thing that a thread does, before or while the run time
 * makes it known.
 */
static pthread_barrier_t all_there;

static void *first_access(void *arg)
{
	bool ok = regs[TD_ID / 4] == TD_ID_VALUE;

	pthread_barrier_wait(&all_there);
	return ok ? arg : NULL;
}

static void storm(void)
{
	pthread_t t[60];
	void *ret;

	for (int round = 0; round < 5; round++) {
		pthread_barrier_init(&all_there, NULL, 60);
		for (int i = 0; i < 60; i++)
			CHECK(!pthread_create(&t[i], NULL, first_access, &v));
		for (int i = 0; i < 60; i++)
			CHECK(!pthread_join(t[i], &ret) && ret == &v);
		pthread_barrier_destroy(&all_there);
	}
}

static void dma(void)
{
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		*heap = aligned_alloc(4096, 4096);

	CHECK(!dma_map(&v, p, 0x10000, 4096) && !dma_map(&v, heap, 0x20000, 4096) &&
	      bus_master(&v));
	memset(heap, 0x3c, 4096);
	CHECK(engine(&v, TD_OP_COPY, 0x20000, 0x10000, 4096, 0) == TD_DMA_OK);
	CHECK(!memcmp(p, heap, 4096));
	CHECK(engine(&v, TD_OP_FILL, 0, 0x90000, 4, 0) == TD_DMA_FAULT);
	CHECK(dma_unmap(&v, 0x10000, 4096) == 4096 && dma_unmap(&v, 0x20000, 4096) == 4096);
	munmap(p, 8192);
	free(heap);
}

static void child(void)
{
	pid_t pid = fork();

	if (!pid) {
		char *volatile p = malloc(10);

		p[9] = 1;
		free(p);
		_exit(7);
	}
	CHECK(wait_for(pid) == 7);
	CHECK(regs[TD_ID / 4] == TD_ID_VALUE);
}

/* ---- what must be found ---- */

static volatile int sink, racing;

static void *races(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		racing++;
		regs[TD_SCRATCH32 / 4] = (uint32_t)i;
	}
	return arg;
}

static void fault(const char *which)
{
	char *volatile p = malloc(16);
	volatile int one = 1, big = INT32_MAX;
	pthread_t t[2];

	if (!strcmp(which, "overflow")) {
		sink = p[16 * one];
	} else if (!strcmp(which, "free")) {
		free(p);
		memcpy(ram, p, 16); /* to the device, out of what is freed */
	} else if (!strcmp(which, "null")) {
		*(volatile int *)(uintptr_t)(one * 8) = 1;
	} else if (!strcmp(which, "bus")) {
		decode(false);
		sink = (int)regs[0];
	} else if (!strcmp(which, "beyond")) { /* the end of a mapping that is a page */
		munmap((void *)regs, 4096);
		sink = (int)regs[0];
	} else if (!strcmp(which, "ub")) {
		sink = big + (int)(regs[TD_ID / 4] != 0);
	} else if (!strcmp(which, "race")) {
		for (int i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, races, NULL);
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
	} else {
		_exit(3);
	}
}

int main(int argc, char **argv)
{
	v = vfio_open();
	regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, (off_t)REGS);
	ram = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, (off_t)RAM);
	if (v.device < 0 || regs == MAP_FAILED || ram == MAP_FAILED)
		return 2;
	if (argc > 1) {
		fault(argv[1]);
		return any_failed;
	}
	RUN(registers);
	RUN(faults);
	RUN(threads);
	RUN(storm);
	RUN(dma);
	RUN(child);
	return any_failed;
}
