/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/mmio/main.c: runs each operation of ops.c on plain memory and on trapped pages of
 * the same contents, and compares what it returns, what memory holds afterwards, and, where the
 * source says what the device must see, each access.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/guard.h"
#include "ops.h"
#include "x86/emulate.h"

#define SIZE (4 * 4096u)

static uint8_t *trapped, *device, *plain;
static unsigned accesses;
static struct {
	bool write;
	unsigned size;
} seen[64];
static const char *running;

static int where(void *arg, uintptr_t addr, size_t len)
{
	uintptr_t lo = (uintptr_t)trapped;

	return addr + len <= lo || addr >= lo + SIZE   ? 0
	       : addr >= lo && addr + len <= lo + SIZE ? 1
						       : -1;
}
static void note(bool write, unsigned size)
{
	if (accesses < sizeof(seen) / sizeof(seen[0])) {
		seen[accesses].write = write;
		seen[accesses].size = size;
	}
	accesses++;
}
static int bus_read(void *arg, uintptr_t addr, unsigned size, uint64_t *value)
{
	note(false, size);
	*value = 0;
	memcpy(value, device + (addr - (uintptr_t)trapped), size);
	return 0;
}
static int bus_write(void *arg, uintptr_t addr, unsigned size, uint64_t value)
{
	note(true, size);
	memcpy(device + (addr - (uintptr_t)trapped), &value, size);
	return 0;
}
static const struct x86_bus bus = { .where = where, .read = bus_read, .write = bus_write };

static void on_signal(int sig, siginfo_t *info, void *ucontext)
{
	char what[48] = "";
	char line[160];
	uintptr_t bad;
	int ret;

	if (guard_fault(sig, info, ucontext) || x86_fault(sig, info, ucontext))
		return;
	ret = where(NULL, (uintptr_t)info->si_addr, 1) == 1
		      ? x86_emulate(ucontext, &bus, &bad, what, sizeof(what))
		      : -EFAULT;
	if (!ret)
		return;
	ret = snprintf(line, sizeof(line), "%s: %s: signal %d at %p, emulation returned %d\n",
		       running, what, sig, info->si_addr, ret);
	if (write(2, line, (size_t)ret) < 0 || true)
		_exit(3);
}

static void fill(uint8_t *p, uint32_t seed)
{
	for (unsigned n = 0; n < SIZE; n++) {
		seed = seed * 1664525 + 1013904223; /* Numerical Recipes, 7.1 */
		p[n] = (uint8_t)(seed >> 24);
	}
}

/* NULL: all well; or what is not */
static const char *check(const struct mmio_op *op, uint64_t x)
{
	uint64_t want, got;

	fill(plain, (uint32_t)x);
	memcpy(device, plain, SIZE);
	/*
	 * each from the same state of the buffers that they share: what they read, they have
	 * written
	 */
	want = op->run(plain, x);
	accesses = 0;
	got = op->run(trapped, x);
	if (want != got)
		return "another result than on plain memory";
	if (memcmp(plain, device, SIZE))
		return "other memory than on plain memory";
	if (op->size)
		for (unsigned n = 0; n < accesses && n < sizeof(seen) / sizeof(seen[0]); n++)
			if (seen[n].size != op->size)
				return "an access of another width";
	if (op->accesses) {
		if (accesses != strlen(op->accesses))
			return "another number of accesses";
		for (unsigned n = 0; n < accesses; n++)
			if (seen[n].write != (op->accesses[n] == 'w'))
				return "a read for a write, or the reverse";
	}
	return NULL;
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };
	static const uint64_t xs[] = {
		0, 1, 0x7f, 0x1234567890abcdefull, 0xffffffffffffffffull, 0x80000000ull
	};
	unsigned passed = 0, failed = 0;
	int fd = memfd_create("mmio", MFD_CLOEXEC);

	guard_handled_elsewhere();
	if (fd < 0 || ftruncate(fd, SIZE))
		return 2;
	device = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	trapped = mmap(NULL, SIZE, PROT_NONE, MAP_SHARED, fd, 0);
	plain = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (device == MAP_FAILED || trapped == MAP_FAILED || plain == MAP_FAILED)
		return 2;
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	for (size_t i = 0; i < mmio_num_ops; i++) {
		const char *err = NULL;

		running = mmio_ops[i].name;
		for (size_t k = 0; k < sizeof(xs) / sizeof(xs[0]) && !err; k++)
			err = check(&mmio_ops[i], xs[k]);
		if (err)
			printf("FAIL %s: %s (%u accesses, the first of %u bytes)\n",
			       mmio_ops[i].name, err, accesses, seen[0].size);
		failed += err != NULL;
		passed += err == NULL;
	}
	printf("%s: %u passed, %u failed\n", mmio_compiler, passed, failed);
	return failed != 0;
}
