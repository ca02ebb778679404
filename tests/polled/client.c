/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/polled/client.c: polled_client [trap]: pages of a BAR that the device opens and closes
 * (tests/polled/model.c) under every kind of store and everything that a program can do to a
 * mapping meanwhile. A store that the device never sees, or that comes after a later one, is a
 * failure. trap: the device was given mmap=trap, so that nothing opens. UVFIO_LONG: minutes instead
 * of seconds.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "lib/caught.h"
#include "shim/shim.h"

#define BAR	0ull
#define PAGE	4096ul
#define SIZE	(8 * PAGE)
#define CONTROL 0x000
#define OPENS	0x008
#define RESULT	0x010
#define CALLS	0x018
#define WRONG	0x020
#define LOOKS	0x028
#define ACK(i)	(0x400 + 8 * (i))
#define SECOND	128
#define THREADS 12u
#define BOTH	(PROT_READ | PROT_WRITE)

static struct vfio v;
static char *bar; /* pages 0 to 4 */
static bool trap;
static double seconds = 1;
static uint64_t number; /* stored to doorbell 0 last */

static size_t doorbell(unsigned i)
{
	static const unsigned page[] = { 1, 2, 4 };

	return page[i / 16] * PAGE + i % 16 * 256;
}

static uint64_t get(uint64_t reg)
{
	return *(volatile uint64_t *)(bar + reg);
}

static void set(uint64_t reg, uint64_t value)
{
	*(volatile uint64_t *)(bar + reg) = value;
}

/* The signal that a load of @p gives, or 0. */
static int load(const void *p, uint64_t *value)
{
	int sig = sigsetjmp(caught_at, 1);

	if (!sig)
		*value = *(volatile const uint64_t *)p;
	return sig;
}

static int store(void *p, uint64_t value)
{
	int sig = sigsetjmp(caught_at, 1);

	if (!sig)
		*(volatile uint64_t *)p = value;
	return sig;
}

static double now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void nap(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* Wait until it is so; a minute is longer than any load of the machine. */
#define WAIT_FOR(x)                                         \
	do {                                                \
		double end_ = now(CLOCK_MONOTONIC) + 60;    \
		while (!(x) && now(CLOCK_MONOTONIC) < end_) \
			nap(200);                           \
		CHECK(x);                                   \
	} while (0)

static bool acked(unsigned i, uint64_t value)
{
	return get(ACK(i)) == value;
}

static void *map(uint64_t pos, size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_SHARED, v.device, (off_t)(BAR + pos));
}

static void begin(void)
{
	number = 0;
	v = vfio_open();
	bar = map(0, 5 * PAGE, BOTH);
	if (v.device < 0 || bar == MAP_FAILED) {
		printf("FAIL the device cannot be opened and mapped (errno %d)\n", errno);
		exit(1);
	}
	catch_faults();
}

static void end(void)
{
	uint64_t wrong = get(WRONG);
	static const char *const kinds[] = {
		"", "an older value came after a newer one",
		"the second store was seen before the first",
		"a store while the page was closed did not come as a callback"
	};

	if (wrong)
		printf("     doorbell %u: %s (..%04x)\n", (unsigned)(wrong >> 32),
		       kinds[wrong >> 16 & 3], (unsigned)(wrong & 0xffff));
	CHECK(!wrong);
	munmap(bar, 5 * PAGE);
	vfio_close(&v);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
}

/* The device opens and stays open; with mmap=trap it cannot. */
static void opened(void)
{
	uint64_t before;

	set(CONTROL, 2);
	/* not before it: a device that opens and closes goes on doing so until then */
	before = get(OPENS);
	if (trap)
		WAIT_FOR(get(RESULT) == ENOENT);
	else /* the first one may have looked at CONTROL before, and close again */
		WAIT_FOR(get(OPENS) > before + 1);
}

static void closed(void)
{
	set(CONTROL, 0);
}

/* Is a store of doorbell 0 plain memory now? */
static bool direct(char *at)
{
	uint64_t calls = get(CALLS);

	*(volatile uint64_t *)(at + doorbell(0)) = ++number;
	return get(CALLS) == calls;
}

/* ---- stores ---- */

static atomic_bool stop;
static _Atomic unsigned lost;

/* How thread @t stores @n to its doorbell. */
static void ring(unsigned t, char *at, unsigned width, uint64_t n)
{
	switch (t) {
	case 0: /* 8 bytes, two of them in order */
	case 8:
		*(volatile uint64_t *)at = n;
		__asm__ volatile("" ::: "memory");
		*(volatile uint64_t *)(at + SECOND) = n;
		break;
	case 1:
		*(volatile uint32_t *)at = (uint32_t)n;
		break;
	case 2:
		*(volatile uint16_t *)at = (uint16_t)n;
		break;
	case 3:
		*(volatile uint8_t *)at = (uint8_t)n;
		break;
	case 4: { /* xadd gives what was there, which nobody else changes */
		uint64_t old = __atomic_fetch_add((uint64_t *)at, 1, __ATOMIC_SEQ_CST);

		if (old != n - 1) {
			printf("     xadd of doorbell %u found %llu instead of %llu\n", t,
			       (unsigned long long)old, (unsigned long long)n - 1);
			lost++;
		}
		break;
	}
	case 5: {
		uint32_t old = __atomic_exchange_n((uint32_t *)at, (uint32_t)n, __ATOMIC_SEQ_CST);

		if (old != (uint32_t)(n - 1)) {
			printf("     xchg of doorbell %u found %u instead of %u\n", t, old,
			       (uint32_t)(n - 1));
			lost++;
		}
		break;
	}
	case 6:
		__asm__ volatile("lock addw $1, (%0)" : : "r"(at) : "memory", "cc");
		break;
	case 7:
		__asm__ volatile("incb (%0)" : : "r"(at) : "memory", "cc");
		break;
	case 9: { /* a part of a register by pwrite, a part by a store */
		uint32_t x = (uint32_t)n;

		if (n % 16)
			*(volatile uint32_t *)at = x;
		else if (pwrite(v.device, &x, 4, (off_t)(BAR + (uint64_t)(at - bar))) != 4)
			lost++;
		break;
	}
	case 10: {
		uint16_t x = (uint16_t)n;
		const void *from = &x;
		unsigned long count = 1;

		__asm__ volatile("cld; rep movsw" : "+S"(from), "+c"(count), "+D"(at) : : "memory");
		break;
	}
	default: {
		unsigned long count = 1;

		__asm__ volatile("cld; rep stosb" : "+c"(count), "+D"(at) : "a"(n) : "memory");
	}
	}
}

static void *rings(void *arg)
{
	unsigned t = (unsigned)(uintptr_t)arg,
		 i = t < 4   ? t
		     : t < 8 ? 16 + t - 4
			     : 32 + t - 8,
		 width = 8u >> (i & 3), seed = t + 1;
	uint64_t mask = width == 8 ? UINT64_MAX : (1ull << 8 * width) - 1, n = 0, rounds = 0;
	char *at = bar + doorbell(i);

	while (!stop) {
		unsigned burst = (unsigned)rand_r(&seed) % (rounds % 8 ? 50 : 5000) + 1;
		double give_up;

		while (burst--)
			ring(t, at, width, ++n);
		give_up = now(CLOCK_MONOTONIC) + 60;
		while (get(ACK(i)) != (n & mask)) {
			if (now(CLOCK_MONOTONIC) > give_up) {
				printf("     lost: doorbell %u of %u bytes: stored %llu, the "
				       "device saw %llu, memory has %llu\n",
				       i, width, (unsigned long long)(n & mask),
				       (unsigned long long)get(ACK(i)),
				       (unsigned long long)(*(volatile uint64_t *)at & mask));
				lost++;
				return (void *)(uintptr_t)n;
			}
			sched_yield();
		}
		if (++rounds % 4 == 0)
			nap(rand_r(&seed) % 300);
	}
	return (void *)(uintptr_t)n;
}

static uint64_t storm(unsigned threads, void (*meanwhile)(void))
{
	double until = now(CLOCK_MONOTONIC) + seconds;
	pthread_t thread[THREADS];
	uint64_t stores = 0;
	void *n;

	stop = false;
	lost = 0;
	for (unsigned t = 0; t < threads; t++)
		CHECK(!pthread_create(&thread[t], NULL, rings, (void *)(uintptr_t)t));
	while (now(CLOCK_MONOTONIC) < until && !lost) {
		if (meanwhile)
			meanwhile();
		else
			nap(1000);
	}
	stop = true;
	for (unsigned t = 0; t < threads; t++) {
		pthread_join(thread[t], &n);
		stores += (uint64_t)(uintptr_t)n;
	}
	CHECK(!lost);
	return stores;
}

static void no_store_is_lost(void)
{
	uint64_t stores, opens, calls;

	begin();
	set(CONTROL, 1);
	stores = storm(THREADS, NULL);
	opens = get(OPENS);
	calls = get(CALLS);
	printf("     %llu stores, %llu of them callbacks; opened %llu times\n",
	       (unsigned long long)stores, (unsigned long long)calls, (unsigned long long)opens);
	CHECK(calls && (trap ? !opens : opens && calls < stores));
	end();
}

static void one_thread(void)
{
	begin();
	set(CONTROL, 1);
	storm(1, NULL);
	end();
}

/* ---- what can be mapped ---- */

static void areas(void)
{
	char buf[512] = { 0 };
	struct vfio_region_info *r = (void *)buf;
	struct vfio_region_info_cap_sparse_mmap *s;
	uint64_t x = 0;
	char *p;

	begin();
	r->argsz = sizeof(buf);
	r->index = 0;
	CHECK(!ioctl(v.device, VFIO_DEVICE_GET_REGION_INFO, r));
	CHECK(r->size == SIZE && r->flags & VFIO_REGION_INFO_FLAG_MMAP &&
	      r->flags & VFIO_REGION_INFO_FLAG_CAPS && r->cap_offset);
	s = (void *)(buf + r->cap_offset);
	CHECK(s->header.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP && s->header.version == 1 &&
	      !s->header.next && s->nr_areas == 2);
	CHECK(s->areas[0].offset == 0 && s->areas[0].size == 5 * PAGE &&
	      s->areas[1].offset == 6 * PAGE && s->areas[1].size == 2 * PAGE);
	FAILS((long)map(5 * PAGE, PAGE, PROT_READ), EINVAL);
	FAILS((long)map(0, SIZE, PROT_READ), EINVAL);
	FAILS((long)map(4 * PAGE, 2 * PAGE, PROT_READ), EINVAL);
	FAILS((long)map(4 * PAGE, 3 * PAGE, PROT_READ), EINVAL);
	FAILS((long)map(7 * PAGE, 2 * PAGE, PROT_READ), EINVAL);
	p = map(6 * PAGE, 2 * PAGE, BOTH);
	CHECK(p != MAP_FAILED);
	*(volatile uint64_t *)(p + PAGE) = 17;
	CHECK(pread(v.device, &x, 8, (off_t)(BAR + 7 * PAGE)) == 8 && x == 17);
	munmap(p, 2 * PAGE);
	x = 18;
	CHECK(pwrite(v.device, &x, 8, (off_t)(BAR + 5 * PAGE)) == 8);
	x = 0;
	CHECK(pread(v.device, &x, 8, (off_t)(BAR + 5 * PAGE)) == 8 && x == 18);
	end();
}

/*
 * A store is memory while the page is open, to every mapping of it; the trapped pages beside it are
 * not.
 */
static void open_and_closed(void)
{
	char *one, *two;
	uint64_t x;

	begin();
	CHECK(!direct(bar));
	opened();
	CHECK(direct(bar) == !trap);
	WAIT_FOR(acked(0, number));
	set(3 * PAGE, 33);
	CHECK(pread(v.device, &x, 8, (off_t)(BAR + 3 * PAGE)) == 8 && x == 33);
	/* by pwrite too, and what is read is what was stored either way */
	x = ++number;
	CHECK(pwrite(v.device, &x, 8, (off_t)(BAR + doorbell(0))) == 8);
	CHECK(*(volatile uint64_t *)(bar + doorbell(0)) == number);
	CHECK(direct(bar) == !trap);
	CHECK(pread(v.device, &x, 8, (off_t)(BAR + doorbell(0))) == 8 && x == number);
	/* made while it is open */
	one = map(PAGE, PAGE, BOTH);
	two = map(PAGE, 2 * PAGE, BOTH);
	CHECK(one != MAP_FAILED && two != MAP_FAILED);
	CHECK(direct(one - PAGE) == !trap && direct(two - PAGE) == !trap && direct(bar) == !trap);
	CHECK(!munmap(one, PAGE) && load(one, &x) == SIGSEGV);
	CHECK(direct(two - PAGE) == !trap && direct(bar) == !trap);
	/* the second page of it goes, the first stays; and the other way */
	CHECK(!munmap(two + PAGE, PAGE) && load(two + PAGE, &x) == SIGSEGV &&
	      direct(two - PAGE) == !trap);
	CHECK(!munmap(bar + PAGE, PAGE) && load(bar + PAGE, &x) == SIGSEGV &&
	      store(bar + 2 * PAGE, 1) == 0);
	CHECK(direct(two - PAGE) == !trap);
	closed();
	CHECK(!direct(two - PAGE));
	set(CONTROL, 1);
	for (int i = 0; i < 2000; i++)
		CHECK(!store(two, ++number) && !load(two, &x) && x == number &&
		      load(bar + PAGE, &x) == SIGSEGV);
	WAIT_FOR(acked(0, number));
	CHECK(mmap(bar + PAGE, PAGE, BOTH, MAP_SHARED | MAP_FIXED, v.device, (off_t)(BAR + PAGE)) ==
	      bar + PAGE);
	munmap(two, PAGE);
	opened();
	CHECK(direct(bar) == !trap);
	end();
}

static void protection(void)
{
	char *at;
	uint64_t x = 0;

	begin();
	at = bar + doorbell(0);
	for (int round = 0; round < 3; round++) {
		if (round == 0)
			opened();
		else
			set(CONTROL, round == 1 ? 1 : 0);
		for (int i = 0; i < 200; i++) {
			CHECK(!mprotect(bar + PAGE, 2 * PAGE, PROT_READ));
			CHECK(store(at, 1) == SIGSEGV && caught.si_code == SEGV_ACCERR &&
			      caught.si_addr == at);
			CHECK(!load(at, &x) && x == number);
			if (round == 0)
				CHECK(!store(bar + 3 * PAGE, 1));
			CHECK(!mprotect(bar, 5 * PAGE, PROT_NONE) && load(at, &x) == SIGSEGV &&
			      store(at, 1) == SIGSEGV);
			CHECK(!mprotect(bar, 5 * PAGE, BOTH));
			CHECK(!store(at, ++number));
			if (round == 0 && !trap) /* mprotect leaves it open */
				CHECK(direct(bar));
			/* half of an area */
			CHECK(!mprotect(bar + 2 * PAGE, PAGE, PROT_READ) && !store(at, ++number) &&
			      store(at + PAGE, 1) == SIGSEGV);
			CHECK(!mprotect(bar + 2 * PAGE, PAGE, BOTH));
			WAIT_FOR(acked(0, number));
		}
	}
	at = map(PAGE, 2 * PAGE, PROT_READ);
	CHECK(at != MAP_FAILED);
	opened();
	CHECK(store(at, 1) == SIGSEGV && !load(at, &x) && x == number);
	FAILS(mprotect(bar + 1, PAGE, BOTH), EINVAL);
	FAILS(mprotect(bar, PAGE, 0x40), EINVAL);
	FAILS(mprotect(bar, (size_t)-8192, BOTH), ENOMEM);
	FAILS(mprotect(bar, (size_t)-1, BOTH), ENOMEM);
	munmap(at, 2 * PAGE);
	end();
}

static void remapped(void)
{
	char *at;
	uint64_t x;

	begin();
	at = map(0, 5 * PAGE, BOTH);
	for (int round = 0; round < 2; round++) {
		if (round)
			opened();
		FAILS((long)mremap(at, 5 * PAGE, 6 * PAGE, MREMAP_MAYMOVE), EFAULT);
		CHECK(mremap(at, (5 - (size_t)round) * PAGE, (4 - (size_t)round) * PAGE, 0) == at);
		CHECK(load(at + (4 - (size_t)round) * PAGE, &x) == SIGSEGV);
		CHECK(direct(at) == (round && !trap));
	}
	/* moved: polled pages go along, and the device opens and closes them there */
	char *to = mmap(NULL, 3 * PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(mremap(at, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	CHECK(direct(to) == !trap && load(at, &x) == SIGSEGV);
	closed();
	CHECK(!direct(to));
	*(volatile uint64_t *)(to + doorbell(1)) = 77;
	CHECK(!store(to + doorbell(1), 78) && !load(to + doorbell(1), &x) && x == 78);
	opened();
	CHECK(direct(to) == !trap);
	/* it cannot be sealed: the kernel would not let the pages close again */
	if (!trap)
		FAILS(syscall(462, to, 3 * PAGE, 0), EPERM);
	munmap(to, 3 * PAGE);
	end();
}

/*
 * Memory of the program's takes the place of a mapping while the device opens and closes: nothing
 * may touch it any more.
 */
static void replaced(void)
{
	double until = now(CLOCK_MONOTONIC) + seconds;
	long rounds = 0;

	begin();
	set(CONTROL, 1);
	while (now(CLOCK_MONOTONIC) < until && !case_failed) {
		char *at = map(0, 5 * PAGE, BOTH), *mine;
		size_t from = rounds % 5 * PAGE, len = (1 + rounds % 3) * PAGE;

		CHECK(at != MAP_FAILED);
		if (at == MAP_FAILED)
			break;
		at[doorbell(1)] = 1;
		if (from + len > 5 * PAGE)
			len = 5 * PAGE - from;
		switch (rounds % 4) {
		case 0:
			CHECK(mmap(at + from, len, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				   -1, 0) == at + from);
			break;
		case 1:
			mine = mmap(NULL, len, BOTH, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			CHECK(mremap(mine, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at + from) ==
			      at + from);
			break;
		case 2:
			CHECK(!munmap(at + from, len));
			CHECK(mmap(at + from, len, BOTH,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
				   0) == at + from);
			break;
		default: /* other pages of the BAR: what was polled is trapped now */
			CHECK(mmap(at + PAGE, PAGE, BOTH, MAP_SHARED | MAP_FIXED, v.device,
				   (off_t)(BAR + 3 * PAGE)) == at + PAGE);
			for (uint64_t i = 1, x; i < 20; i++) {
				*(volatile uint64_t *)(at + PAGE) = i + (uint64_t)rounds;
				CHECK(pread(v.device, &x, 8, (off_t)(BAR + 3 * PAGE)) == 8 &&
				      x == i + (uint64_t)rounds);
			}
			goto next;
		}
		for (int i = 0; i < 20; i++) {
			memset(at + from, i, len);
			nap(20);
			for (size_t k = 0; k < len; k += 64)
				CHECK(at[from + k] == (char)i);
		}
	next:
		munmap(at, 5 * PAGE);
		rounds++;
	}
	CHECK(rounds);
	end();
}

/* ---- decoding, power, reset ---- */

static uint16_t config16(unsigned at)
{
	uint16_t x = 0;

	CHECK(pread(v.device, &x, 2, (off_t)(CONFIG + at)) == 2);
	return x;
}

static void put_config16(unsigned at, uint16_t x)
{
	CHECK(pwrite(v.device, &x, 2, (off_t)(CONFIG + at)) == 2);
}

static unsigned capability(uint8_t id)
{
	uint8_t at = 0, c[2];

	for (pread(v.device, &at, 1, (off_t)CONFIG + PCI_CAPABILITY_LIST); at; at = c[1])
		if (pread(v.device, c, 2, (off_t)CONFIG + at) != 2 || c[0] == id)
			break;
	return at;
}

static void gone(char *at)
{
	uint64_t x;

	CHECK(store(at, 99) == SIGBUS && caught.si_code == BUS_ADRERR && caught.si_addr == at);
	CHECK(load(at, &x) == SIGBUS);
	CHECK(store(at + PAGE, 99) == SIGBUS && store(bar + doorbell(32), 99) == SIGBUS);
}

static void decoding(void)
{
	uint16_t command, pm;
	char *at;
	uint64_t x;

	begin();
	at = bar + doorbell(0);
	command = config16(PCI_COMMAND);
	pm = (uint16_t)(capability(PCI_CAP_ID_PM) + PCI_PM_CTRL);
	for (int mode = 0; mode < 3; mode++) {
		for (int i = 0; i < (mode == 1 ? 1000 : 20) && !case_failed; i++) {
			if (mode == 2)
				opened();
			else
				set(CONTROL, (uint64_t)mode);
			CHECK(!store(at, ++number));
			WAIT_FOR(acked(0, number));
			put_config16(PCI_COMMAND, command & (uint16_t)~PCI_COMMAND_MEMORY);
			gone(at);
			put_config16(PCI_COMMAND, command);
			CHECK(!load(at, &x) && x == number && !store(at, ++number));
			WAIT_FOR(acked(0, number));
			if (i % 10)
				continue;
			/*
			 * D3hot: the way back is a reset of this device, after which vfio-pci
			 * restores config space
			 */
			put_config16(pm, 3);
			gone(at);
			put_config16(pm, 0);
			CHECK(!load(at, &x) && x == 0 && get(CONTROL) == 0 && !direct(bar));
		}
	}
	end();
}

static void resets(void)
{
	uint16_t command;
	unsigned cap;

	begin();
	command = config16(PCI_COMMAND);
	cap = capability(PCI_CAP_ID_EXP);
	CHECK(cap);
	for (int i = 0; i < 40 && !case_failed; i++) {
		if (i & 1)
			opened();
		else
			set(CONTROL, 1);
		CHECK(!store(bar + doorbell(0), ++number));
		if (i & 2) {
			CHECK(!ioctl(v.device, VFIO_DEVICE_RESET));
		} else {
			put_config16(cap + PCI_EXP_DEVCTL,
				     config16(cap + PCI_EXP_DEVCTL) | PCI_EXP_DEVCTL_BCR_FLR);
			put_config16(PCI_COMMAND, command);
		}
		CHECK(get(CONTROL) == 0 && get(ACK(0)) == 0 && get(OPENS) == 0 && !direct(bar));
	}
	end();
}

/* ---- children ---- */

/* In a child: no access of the parent's mapping does anything. */
static int child(void)
{
	uint64_t x;

	for (unsigned i = 0; i < 48; i += 16)
		if (store(bar + doorbell(i), UINT64_MAX) != SIGBUS ||
		    load(bar + doorbell(i), &x) != SIGBUS)
			return 1 + (int)i;
	return load(bar, &x) == SIGBUS ? 0 : 100;
}

static void forks(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(child());
	CHECK(wait_for(pid) == 0);
	/* fork(2) itself, of which libc's handlers do not hear */
	pid = (pid_t)raw_call(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
	if (!pid)
		_exit(child());
	CHECK(wait_for(pid) == 0);
	pid = vfork();
	if (!pid)
		_exit(0);
	CHECK(wait_for(pid) == 0);
}

static void fork_while_open(void)
{
	begin();
	opened();
	CHECK(direct(bar) == !trap);
	for (int i = 0; i < 10; i++) {
		forks();
		CHECK(direct(bar) == !trap);
		WAIT_FOR(acked(0, number));
	}
	end();
}

/*
 * The children's stores would be the largest numbers, and the device would never come back from
 * them.
 */
static void fork_while_storing(void)
{
	begin();
	set(CONTROL, 1);
	storm(4, forks);
	end();
}

/* A child has a device of its own: its parent's has to go first. */
static void child_with_device(void)
{
	pid_t pid;

	begin();
	opened();
	direct(bar);
	end();
	pid = fork();
	if (!pid) {
		begin();
		opened();
		case_failed |= direct(bar) != !trap;
		end();
		_exit(case_failed);
	}
	CHECK(wait_for(pid) == 0);
}

static void closes_while_open(void)
{
	for (int i = 0; i < 30 && !case_failed; i++) {
		begin();
		if (i & 1)
			opened();
		else
			set(CONTROL, 1);
		CHECK(!store(bar + doorbell(0), 1));
		if (i & 2) { /* the mapping keeps the device */
			vfio_close(&v);
			CHECK(!store(bar + doorbell(0), 2));
			WAIT_FOR(acked(0, 2));
			munmap(bar, 5 * PAGE);
			continue;
		}
		end();
	}
	begin();
	CHECK(get(OPENS) == 0 && *(volatile uint64_t *)(bar + doorbell(0)) == 0);
	end();
}

/* ---- limits ---- */

/*
 * As many mappings as there may be: what cannot be opened is trapped, and what is open can be
 * closed.
 */
static void no_more_mappings(void)
{
	enum { MOST = 70000 };
	char *room = mmap(NULL, MOST * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	size_t made = 0;

	CHECK(room != MAP_FAILED);
	begin();
	CHECK(!mprotect(bar + 2 * PAGE, PAGE, PROT_READ) && !mprotect(bar + 2 * PAGE, PAGE, BOTH));
	set(CONTROL, 1);
	while (made < MOST - 2 && !mprotect(room + made * PAGE, PAGE, PROT_READ))
		made += 2;
	if (made >= MOST - 2)
		printf("     vm.max_map_count is too large to come to its end\n");
	for (int i = 0; i < 3000 && !case_failed; i++) {
		CHECK(!store(bar + doorbell(0), ++number) && !store(bar + doorbell(16), number));
		if (i % 50 == 0) {
			WAIT_FOR(acked(0, number));
			WAIT_FOR(acked(16, number));
		}
	}
	munmap(room, MOST * PAGE);
	opened();
	CHECK(direct(bar) == !trap);
	end();
}

/* ---- quiet ---- */

/* After a quiet interval nobody uses a processor: far less than somebody who polls. */
static void idle(void)
{
	double cpu, wall;

	begin();
	opened();
	direct(bar);
	closed();
	nap(10000);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	wall = now(CLOCK_MONOTONIC);
	sleep(1);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = now(CLOCK_MONOTONIC) - wall;
	printf("     %.1f ms of processor in %.1f ms\n", cpu * 1e3, wall * 1e3);
	CHECK(cpu < wall / 10);
	end();
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	trap = argc > 1 && !strcmp(argv[1], "trap");
	if (getenv("UVFIO_LONG"))
		seconds = 60;
	RUN(areas);
	RUN(open_and_closed);
	RUN(protection);
	RUN(remapped);
	RUN(one_thread);
	RUN(no_store_is_lost);
	RUN(replaced);
	RUN(decoding);
	RUN(resets);
	RUN(fork_while_open);
	RUN(fork_while_storing);
	RUN(child_with_device);
	RUN(closes_while_open);
	RUN(no_more_mappings);
	RUN(idle);
	return any_failed;
}
