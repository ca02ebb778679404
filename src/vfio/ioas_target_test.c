/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/ioas_target_test.c: memory of somebody else in an address space: what devices find there and
 * what is noted of it, who waits for an access that its owner does not answer, and very many of
 * such mappings.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/rcu.h"
#include "base/test_signals.h"
#include "iommu/device.h"
#include "iommu/log.h"
#include "iommu/peer.h"
#include "vfio/internal.h"
#include "vfio/test_mappings.h"

#define R     IOMMU_READ
#define W     IOMMU_WRITE
#define RW    (R | W)
#define K     4096ull
#define PAGES 16u
#define TOP   (1ull << 48)

/* Somebody's memory: what is asked of it last, and its answer. */
static struct owner {
	uint8_t bytes[PAGES * K];
	uint64_t base; /* where @bytes begin */
	uint64_t off;
	size_t len;
	unsigned calls;
	int answer;
	/* it does not answer until the wait is ended, by an answer or by an error */
	bool waits;
	sem_t asked, ended;
} owner;

static struct vfio_system *sys;
static struct vfio_ioas *io;
static struct iommu_group *group;
static struct iommu_device dev;
static struct iommu_target *target;
static uint8_t *mem;
#define MEM ((uintptr_t)mem)

static int on_access(void *arg, struct iommu_device *from, unsigned bar, uint64_t off, void *buf,
		     size_t len, bool write)
{
	struct owner *o = arg;

	assert_ptr_equal(from, &dev);
	assert_int_equal(bar, 0);
	assert_false(rcu_reading());
	o->off = off;
	o->len = len;
	o->calls++;
	if (o->waits) {
		sem_post(&o->asked);
		sem_wait(&o->ended);
	}
	if (o->answer || off < o->base || off - o->base + len > sizeof(o->bytes))
		return o->answer;
	if (write)
		memcpy(o->bytes + (off - o->base), buf, len);
	else
		memcpy(buf, o->bytes + (off - o->base), len);
	return 0;
}

static int setup(void **state)
{
	log_set(2, LOG_NONE);
	memset(&owner, 0, sizeof(owner));
	sem_init(&owner.asked, 0, 0);
	sem_init(&owner.ended, 0, 0);
	sys = vfio_system_new(NULL, NULL);
	io = vfio_ioas_new(sys, false);
	group = iommu_group_new(1);
	iommu_device_init(&dev, "0000:01:00.0");
	target = iommu_target_new_memory("client 1", on_access, &owner);
	mem = mmap(NULL, PAGES * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (iommu_group_add(group, &dev) || mem == MAP_FAILED)
		return 1;
	vfio_ioas_attach(io, group);
	return guard_install();
}

static int teardown(void **state)
{
	vfio_ioas_detach(io, group);
	iommu_group_remove(group, &dev);
	iommu_device_fini(&dev);
	iommu_group_free(group);
	vfio_ioas_put(io);
	iommu_target_put(target);
	assert_int_equal(atomic_load(&sys->ioases.mappings), 0);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 0);
	vfio_system_free(sys);
	munmap(mem, PAGES * K);
	return 0;
}

static int map(uint64_t iova, uint64_t size, unsigned prot, uint64_t offset)
{
	return vfio_ioas_map_target(io, iova, size, prot, target, offset);
}

static void unmap(uint64_t iova, uint64_t size)
{
	uint64_t done;

	assert_int_equal(vfio_ioas_unmap(io, iova, size, &done), 0);
	assert_int_equal(done, size);
}

/* Return how often @text is in the log that @fd is. */
static unsigned lines_with(int fd, const char *text)
{
	char log[8192];
	ssize_t n = pread(fd, log, sizeof(log) - 1, 0);
	unsigned found = 0;

	assert_true(n >= 0);
	log[n] = '\0';
	for (const char *at = log; (at = strstr(at, text)); at++)
		found++;
	return found;
}

static void errors(void **state)
{
	int log = memfd_create("log", MFD_CLOEXEC);
	uint64_t done;

	assert_int_equal(map(0, 0, RW, 0), -EINVAL);
	assert_int_equal(map(-K, 2 * K, RW, 0), -EOVERFLOW);
	assert_int_equal(map(0, 2 * K, RW, -K), -EOVERFLOW);
	assert_int_equal(map(0, K, 0, 0), -EINVAL);
	assert_int_equal(map(1, K, RW, 0), -EINVAL);
	assert_int_equal(map(0, K + 1, RW, 0), -EINVAL);
	/* beyond what the table can have */
	assert_int_equal(map(0, 1ull << 63, RW, 0), -EINVAL);
	assert_int_equal(map(0, TOP, RW, 0), -EINVAL); /* interrupt messages are in it */
	assert_int_equal(map(TOP, K, RW, 0), -EINVAL);
	assert_int_equal(map(1ull << 57, K, RW, 0), -EINVAL);
	assert_int_equal(map(0xfee00000, K, RW, 0), -EINVAL);
	/* an overlap is told, of either kind with either */
	log_set(log, LOG_WARN);
	assert_int_equal(map(4 * K, 4 * K, RW, 0), 0);
	assert_int_equal(map(7 * K, K, RW, 0), -EEXIST);
	assert_int_equal(lines_with(log, "DMA_MAP of 0x1000 bytes at IOVA 0x7000: 0x4000-0x7fff is "
					 "mapped: EEXIST"),
			 1);
	assert_int_equal(vfio_ioas_map_kept(io, 4 * K, MEM, K, RW, -1, 0), -EEXIST);
	assert_int_equal(lines_with(log, "EEXIST"), 2);
	assert_int_equal(vfio_ioas_map_kept(io, 3 * K, MEM, K, RW, -1, 0), 0);
	assert_int_equal(map(0, 4 * K, R, 0), -EEXIST);
	assert_int_equal(lines_with(log, "0x3000-0x3fff is mapped"), 1);
	log_set(2, LOG_NONE);
	/* not a part of one */
	assert_int_equal(vfio_ioas_unmap(io, 5 * K, K, &done), -EINVAL);
	unmap(3 * K, 5 * K);
	close(log);
}

/* One transfer over the program's memory, somebody's, and the program's again. */
static void reads_and_writes(void **state)
{
	uint8_t buf[3 * K];

	owner.base = 0x123456789012ull;
	assert_int_equal(vfio_ioas_map(io, 0x1ff000, MEM, K, RW), 0);
	assert_int_equal(map(0x200000, K, RW, owner.base), 0);
	assert_int_equal(vfio_ioas_map(io, 0x201000, MEM + K, K, RW), 0);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 2);
	memset(buf, 7, sizeof(buf));
	assert_int_equal(iommu_dma_write(&dev, 0x1ff008, buf, 2 * K), 0);
	assert_int_equal(owner.calls, 1);
	assert_true(owner.off == owner.base);
	assert_int_equal(owner.len, K);
	assert_int_equal(mem[K - 1], 7);
	assert_int_equal(owner.bytes[0], 7);
	assert_int_equal(owner.bytes[K - 1], 7);
	assert_int_equal(mem[K + 7], 7);
	assert_int_equal(mem[K + 8], 0);
	owner.bytes[0x123] = 0x5a;
	assert_int_equal(iommu_dma_read(&dev, 0x200122, buf, 3), 0);
	assert_memory_equal(buf, "\x07\x5a\x07", 3);
	assert_true(owner.off == owner.base + 0x122);
	assert_int_equal(atomic_load(&dev.faults), 0);
}

/* As large as there can be, and larger than a window: the offset is that of the byte. */
static void large(void **state)
{
	static const uint64_t at[] = { 0, (1ull << 40) - K, 1ull << 40, 0x7123456789ab,
				       TOP - 2 * K };
	uint64_t base = 0xfee01000 - 0xff00000, iova = IOMMU_MSI_END + 1, off;
	uint32_t value;

	assert_int_equal(map(iova, TOP - iova, RW, base), 0);
	assert_int_equal(map(0, IOMMU_MSI_START, RW, 5), 0);
	owner.base = UINT64_MAX; /* any address will do */
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		off = at[i] < TOP - iova - K ? at[i] : TOP - iova - K;
		assert_int_equal(iommu_dma_read(&dev, iova + off, &value, 4), 0);
		assert_true(owner.off == base + off);
		assert_int_equal(owner.len, 4);
	}
	assert_int_equal(iommu_dma_read(&dev, 0x1234, &value, 4), 0);
	assert_true(owner.off == 0x1234 + 5);
	unmap(iova, TOP - iova);
	assert_int_equal(iommu_dma_read(&dev, iova, &value, 4), -EFAULT);
	unmap(0, IOMMU_MSI_START);
}

static void rights_and_faults(void **state)
{
	int log = memfd_create("log", MFD_CLOEXEC);
	uint8_t buf[8];
	struct iovec v;

	assert_int_equal(map(0, K, R, 0), 0);
	assert_int_equal(map(K, K, W, K), 0);
	assert_int_equal(map(2 * K, K, RW, 2 * K), 0);
	assert_int_equal(iommu_dma_write(&dev, 0, buf, 8), -EFAULT);
	assert_int_equal(iommu_dma_read(&dev, K, buf, 8), -EFAULT);
	assert_int_equal(iommu_dma_read(&dev, 3 * K, buf, 8), -EFAULT);
	assert_int_equal(owner.calls, 0);
	assert_int_equal(atomic_load(&dev.faults), 3);
	/* its owner's answer; what was before it has been read */
	log_set(log, LOG_WARN);
	owner.bytes[0] = owner.bytes[K - 1] = 1;
	owner.answer = -EPERM;
	assert_int_equal(iommu_dma_read(&dev, 2 * K + 16, buf, 8), -EFAULT);
	assert_memory_equal(buf, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	assert_int_equal(iommu_dma_write(&dev, 2 * K + 16, buf, 8), -EFAULT);
	assert_int_equal(lines_with(log,
				    "0000:01:00.0: DMA fault: write of 8 bytes at IOVA 0x2010, "
				    "memory of client 1 at 0x2010"),
			 1);
	assert_int_equal(lines_with(log, "EPERM"), 2);
	assert_int_equal(atomic_load(&dev.faults), 5);
	owner.answer = 0;
	/* no pointers, and nobody waits in a section of RCU */
	rcu_read_begin();
	assert_int_equal(iommu_dma_sg(&dev, 2 * K, 8, false, &v, 1), -E2BIG);
	assert_int_equal(iommu_dma_read(&dev, 2 * K, buf, 8), -EFAULT);
	rcu_read_end();
	assert_int_equal(lines_with(log, "between uvfio_dma_begin and _end"), 1);
	log_set(2, LOG_NONE);
	assert_int_equal(iommu_dma_read(&dev, 2 * K, buf, 8), 0);
	close(log);
}

static void dirty_and_logged(void **state)
{
	struct iommu_log_range range = { K, 4 * K - 1 };
	uint64_t bits = 0, logged = 0;
	unsigned shift = 12;
	bool any = false;
	uint8_t c = 9;

	assert_int_equal(map(0, 8 * K, RW, 0), 0);
	assert_int_equal(iommu_domain_dirty_start(vfio_ioas_domain(io)), 0);
	assert_int_equal(iommu_log_start(&dev, &range, 1, &shift), 0);
	assert_int_equal(iommu_dma_write(&dev, 3 * K + 5, &c, 1), 0);
	assert_int_equal(iommu_dma_write(&dev, 6 * K - 1, &c, 1), 0);
	assert_int_equal(iommu_dma_read(&dev, 2 * K, &c, 1), 0);
	assert_int_equal(iommu_domain_dirty_read(vfio_ioas_domain(io), 0, 8 * K, K, true, &bits),
			 0);
	assert_int_equal(bits, 1 << 3 | 1 << 5);
	assert_int_equal(iommu_log_read(&dev, 0, 8 * K - 1, 12, &logged, &any), 0);
	assert_int_equal(logged, 1 << 3);
	iommu_log_stop(&dev);
}

/* The same memory in a second address space, which outlives the first. */
static void shared(void **state)
{
	struct vfio_ioas *other = vfio_ioas_new(sys, false);
	uint8_t c = 3;

	assert_int_equal(map(0, 4 * K, RW, 0x1000), 0);
	assert_int_equal(ioas_share(other, 0x10000, RW, io, K, 2 * K), 0);
	unmap(0, 4 * K);
	vfio_ioas_replace(io, other, group);
	assert_int_equal(iommu_dma_write(&dev, 0x10000 + K, &c, 1), 0);
	assert_true(owner.off == 0x1000 + 2 * K);
	assert_int_equal(owner.bytes[0x1000 + 2 * K], 3);
	vfio_ioas_replace(other, io, group);
	vfio_ioas_put(other);
}

/* ---- who waits ---- */

static int dma_result;

static void *make_access(void *arg)
{
	uint32_t value = 0x11223344;

	dma_result = iommu_dma_write(&dev, (uintptr_t)arg, &value, 4);
	return NULL;
}

struct waiter {
	pthread_t thread;
	atomic_bool done;
};

static void *make_unmap(void *arg)
{
	struct waiter *w = arg;

	unmap(0, K);
	atomic_store(&w->done, true);
	return NULL;
}

static void *make_detach(void *arg)
{
	struct waiter *w = arg;

	vfio_ioas_detach(io, group);
	atomic_store(&w->done, true);
	return NULL;
}

/* Nothing but the unmap of the memory that is accessed waits for the access, and a detach. */
static void who_waits(void **state)
{
	void *(*const waits[])(void *) = { make_unmap, make_detach };
	struct waiter w;
	pthread_t access;
	uint8_t c = 0;

	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		assert_int_equal(map(0, K, RW, 0), 0);
		assert_int_equal(map(4 * K, K, RW, 4 * K), 0);
		assert_int_equal(vfio_ioas_map(io, 8 * K, MEM, K, RW), 0);
		owner.waits = true;
		assert_int_equal(pthread_create(&access, NULL, make_access, NULL), 0);
		sem_wait(&owner.asked);
		/* others', and who changes the device, do not wait; this thread would for ever */
		unmap(4 * K, K);
		unmap(8 * K, K);
		rcu_sync_all();
		assert_int_equal(map(4 * K, K, RW, 4 * K), 0);
		unmap(4 * K, K);

		atomic_init(&w.done, false);
		assert_int_equal(pthread_create(&w.thread, NULL, waits[i], &w), 0);
		usleep(20000);
		assert_false(atomic_load(&w.done));
		/* the owner ends the access, as it must */
		owner.answer = -ECANCELED;
		sem_post(&owner.ended);
		pthread_join(w.thread, NULL);
		pthread_join(access, NULL);
		assert_int_equal(dma_result, -EFAULT);
		owner.waits = false;
		owner.answer = 0;
		assert_int_equal(iommu_dma_read(&dev, 0, &c, 1), -EFAULT);
	}
	vfio_ioas_attach(io, group);
	assert_int_equal(iommu_dma_read(&dev, 0, &c, 1), 0);
	unmap(0, K);
}

#define THREADS 3
static atomic_bool over;

static int on_quick_access(void *arg, struct iommu_device *from, unsigned bar, uint64_t off,
			   void *buf, size_t len, bool write)
{
	atomic_int *in = arg;

	if (atomic_load(&in[off / K]) < 0)
		return -EPROTO; /* it is unmapped */
	atomic_fetch_add(&in[off / K], 1);
	sched_yield();
	atomic_fetch_sub(&in[off / K], 1);
	return 0;
}

static void *access_all(void *arg)
{
	uint64_t value = 0;

	for (unsigned i = 0; !atomic_load(&over); i++)
		iommu_dma_write(&dev, i % PAGES * K, &value, 8);
	return NULL;
}

/* Pages come and go while devices are at it: nobody is in one that is gone. */
static void come_and_go(void **state)
{
	static atomic_int in[PAGES];
	struct iommu_target *t = iommu_target_new_memory("client 2", on_quick_access, in);
	pthread_t threads[THREADS];

	atomic_store(&over, false);
	for (unsigned i = 0; i < PAGES; i++)
		atomic_store(&in[i], -1);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, access_all, NULL), 0);
	for (unsigned i = 0; i < 1000; i++) {
		unsigned page = i * 7 % PAGES;

		atomic_store(&in[page], 0);
		assert_int_equal(vfio_ioas_map_target(io, page * K, K, RW, t, page * K), 0);
		if (i < 8)
			continue;
		page = (i - 8) * 7 % PAGES;
		unmap(page * K, K);
		assert_int_equal(atomic_exchange(&in[page], -1), 0);
	}
	atomic_store(&over, true);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	vfio_ioas_detach(io, group);
	vfio_ioas_put(io);
	io = vfio_ioas_new(sys, false);
	vfio_ioas_attach(io, group);
	iommu_target_put(t);
}

/* ---- a file ---- */

static void file(void **state)
{
	int fd = memfd_create("memory", MFD_CLOEXEC), self = open("/proc/self/mem", O_RDWR);
	struct iommu_target *t, *of_self;
	uint8_t buf[16] = "sixteen bytes ..";

	assert_int_equal(ftruncate(fd, 3 * K - 8), 0);
	t = iommu_target_new_file("file", fd, false);
	assert_int_equal(vfio_ioas_map_target(io, 0, 2 * K, RW, t, K + 0x10), 0);
	assert_int_equal(iommu_dma_write(&dev, K - 8, buf, 16), 0);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(pread(fd, buf, 16, 2 * K + 8), 16);
	assert_memory_equal(buf, "sixteen bytes ..", 16);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(iommu_dma_read(&dev, K - 8, buf, 16), 0);
	assert_memory_equal(buf, "sixteen bytes ..", 16);
	/* it ends before the mapping does; what there is, is read */
	assert_int_equal(pwrite(fd, "x", 1, 3 * K - 9), 1);
	assert_int_equal(iommu_dma_read(&dev, 2 * K - 0x19, buf, 4), -EFAULT);
	assert_memory_equal(buf, "x\xff\xff\xff", 4);
	unmap(0, 2 * K);
	iommu_target_put(t);
	/* memory of a process, by its addresses */
	of_self = iommu_target_new_file("process", self, false);
	assert_int_equal(vfio_ioas_map_target(io, 0, PAGES * K, R, of_self, MEM), 0);
	mem[5 * K + 1] = 0x77;
	assert_int_equal(iommu_dma_read(&dev, 5 * K, buf, 2), 0);
	assert_int_equal(buf[1], 0x77);
	unmap(0, PAGES * K);
	iommu_target_put(of_self);
	/* no offset that a file can have */
	t = iommu_target_new_file("file", fd, false);
	assert_int_equal(vfio_ioas_map_target(io, 0, K, R, t, 1ull << 63), 0);
	assert_int_equal(iommu_dma_read(&dev, 0, buf, 2), -EFAULT);
	unmap(0, K);
	iommu_target_put(t);
	close(fd);
	close(self);
}

/* ---- very many ---- */

/* Map @count pages, each by itself, in an order that no tree likes; the time of each tenth. */
static void map_many(uint64_t count, bool kept, double tenth[10])
{
	uint64_t step = count / 10, k = 1;
	double start = test_processor_time();

	/* the step has no divisor in common with @count, a power of ten or twice one: each once */
	for (uint64_t i = 0; i < count; i++, k = (k + 77777) % count) {
		uint64_t iova = (1ull << 33) + 2 * k * K;

		if (kept)
			assert_int_equal(vfio_ioas_map_kept(io, iova, MEM, K, RW, -1, 0), 0);
		else
			assert_int_equal(map(iova, K, RW, iova), 0);
		if ((i + 1) % step == 0) {
			tenth[i / step] = test_processor_time() - start;
			start = test_processor_time();
		}
	}
}

static void many(void **state)
{
	uint64_t count = test_mappings(), iova = (1ull << 33) + 2 * (count / 2) * K, done;
	double start, unmapped, cycles, tenth[10];

	owner.base = UINT64_MAX;
	for (int kept = 0; kept < 2; kept++) {
		uint32_t value;

		map_many(count, kept, tenth);
		assert_int_equal(atomic_load(&sys->ioases.pages_locked), 0);
		assert_int_equal(vfio_ioas_map_kept(io, iova, MEM, K, RW, -1, 0), -EEXIST);
		assert_int_equal(map(iova, K, RW, 0), -EEXIST);
		assert_int_equal(iommu_dma_read(&dev, iova + 8, &value, 4), 0);
		if (!kept)
			assert_true(owner.off == iova + 8);
		/* one goes and comes, again and again, and then another */
		start = test_processor_time();
		for (unsigned i = 0; i < 1000; i++) {
			unmap(iova + 2 * (i % 3) * K, K);
			unmap(iova + 8 * K, K);
			assert_int_equal(map(iova + 2 * (i % 3) * K, K, RW, 0), 0);
			assert_int_equal(map(iova + 8 * K, K, RW, 0), 0);
		}
		cycles = test_processor_time() - start;
		start = test_processor_time();
		assert_int_equal(vfio_ioas_unmap(io, 0, TOP, &done), 0);
		unmapped = test_processor_time() - start;
		assert_int_equal(done, count * K);
		print_message("%s, %lu mappings: map the first tenth %.3f s, the last %.3f s; "
			      "2000 times unmap one and map it %.3f s; unmap all %.3f s\n",
			      kept ? "kept" : "targets", count, tenth[0], tenth[9], cycles,
			      unmapped);
		/* a search, or a wait for each, would be a hundred times that */
		assert_true(tenth[9] < 10 * tenth[0] + 0.05);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(errors, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_and_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(large, setup, teardown),
		cmocka_unit_test_setup_teardown(rights_and_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(dirty_and_logged, setup, teardown),
		cmocka_unit_test_setup_teardown(shared, setup, teardown),
		cmocka_unit_test_setup_teardown(who_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(file, setup, teardown),
		cmocka_unit_test_setup_teardown(many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
