/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/dma_memory.c: kinds of memory, mapped for DMA, and what the program does to it
 * afterwards. The kernel has pinned the pages, and the rights of the device are those of MAP_DMA:
 * whatever comes later, the device reads and writes the same pages. A program that still sees them
 * sees what the device writes.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/shm.h>
#include <sys/uio.h>

#include "shim.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#define MADV_GUARD_REMOVE  103
#endif

#define SIZE (4 * 4096ul)
#define IOVA 0x100000ul
#define BACK 0x800000ul /* where the buffer is that one looks at */

static struct vfio v;
static unsigned char *back;

static void start(void)
{
	v = vfio_open();
	back = mmap(NULL, 4 * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (v.device < 0 || back == MAP_FAILED || !bus_master(&v) ||
	    dma_map(&v, back, BACK, 4 * SIZE)) {
		printf("FAIL start: errno %d\n", errno);
		exit(1);
	}
}

static bool device_writes(size_t at, size_t len, unsigned char value)
{
	return engine(&v, TD_OP_FILL, 0, IOVA + at, len, value * 0x01010101u) == TD_DMA_OK;
}

/* Are all of the bytes @value? */
static bool device_reads(size_t at, size_t len, unsigned char value)
{
	memset(back, ~value, len);
	if (engine(&v, TD_OP_COPY, IOVA + at, BACK, len, 0) != TD_DMA_OK)
		return false;
	for (size_t i = 0; i < len; i++)
		if (back[i] != value)
			return false;
	return true;
}

static bool all(const unsigned char *p, size_t len, unsigned char value)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* ---- kinds of memory: SIZE bytes that start a page ---- */

static unsigned char *anonymous(void)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static unsigned char *shared(void)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static unsigned char *of_file(int flags)
{
	int fd = memfd_create("memory", 0);
	unsigned char *p = MAP_FAILED;

	if (!ftruncate(fd, SIZE))
		p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
	close(fd);
	return p;
}

static unsigned char *shared_file(void)
{
	return of_file(MAP_SHARED);
}

static unsigned char *private_file(void)
{
	return of_file(MAP_PRIVATE);
}

static struct kind {
	const char *name;
	unsigned char *(*get)(void);
} kinds[] = {
	{ "private memory", anonymous },
	{ "shared memory", shared },
	{ "a shared file", shared_file },
	{ "a file, private", private_file },
};
#define EACH_KIND(k) for (struct kind *k = kinds; k < kinds + sizeof(kinds) / sizeof(kinds[0]); k++)

static void report(const char *what, const char *kind)
{
	printf("%s %s: %s\n", case_failed ? "FAIL" : "ok  ", what, kind);
	fflush(stdout);
	any_failed |= case_failed;
	case_failed = 0;
}

/* ---- the program changes protection ---- */

static void protection(unsigned char *p)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC,
				     PROT_READ | PROT_WRITE };

	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE));
	for (unsigned i = 0; i < sizeof(prots) / sizeof(prots[0]); i++) {
		unsigned char value = (unsigned char)(0x20 + 2 * i);

		CHECK(!mprotect(p, SIZE, PROT_READ | PROT_WRITE));
		memset(p, value, SIZE);
		CHECK(!mprotect(p, SIZE, prots[i]));
		/* over the ends of pages, and all of it */
		CHECK(device_reads(4000, 200, value));
		CHECK(device_reads(0, SIZE, value));
		CHECK(device_writes(4000, 200, (unsigned char)(value + 1)));
		CHECK(device_reads(4000, 200, (unsigned char)(value + 1)));
		CHECK(!mprotect(p, SIZE, PROT_READ));
		CHECK(all(p, 4000, value) && all(p + 4000, 200, (unsigned char)(value + 1)) &&
		      all(p + 4200, SIZE - 4200, value));
		CHECK(device_writes(0, SIZE, (unsigned char)(value + 1)));
		CHECK(all(p, SIZE, (unsigned char)(value + 1)));
	}
	/* one page in the middle */
	CHECK(!mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	CHECK(!mprotect(p + 4096, 4096, PROT_NONE));
	CHECK(device_writes(0, SIZE, 0x51) && device_reads(0, SIZE, 0x51));
	CHECK(!mprotect(p + 4096, 4096, PROT_READ));
	CHECK(all(p, SIZE, 0x51));
	/* by a call of its own, and then the memory goes */
	CHECK(!raw_call(SYS_mprotect, (long)p, SIZE, PROT_NONE, 0, 0, 0));
	CHECK(device_reads(0, SIZE, 0x51));
	CHECK(!munmap(p, SIZE));
	CHECK(device_reads(0, SIZE, 0x51) && device_writes(0, SIZE, 0x52) &&
	      device_reads(0, SIZE, 0x52));
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
}

/*
 * The device may do what MAP_DMA said: not more than that when the program's protection is gone
 * round.
 */
static void rights_of_map(void)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = VFIO_DMA_MAP_FLAG_READ, .iova = IOVA, .size = SIZE
	};
	unsigned char *p = anonymous();

	memset(p, 0x11, SIZE);
	CHECK(!mprotect(p, SIZE, PROT_READ));
	m.vaddr = (uintptr_t)p;
	CHECK(!ioctl(v.container, VFIO_IOMMU_MAP_DMA, &m));
	CHECK(!device_writes(0, 4096, 0x22));
	CHECK(device_reads(0, SIZE, 0x11) && all(p, SIZE, 0x11));
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	/* and the program must have the rights then that the device asks for */
	FAILS(dma_map(&v, p, IOVA, SIZE), EFAULT);
	CHECK(!mprotect(p, SIZE, PROT_NONE));
	FAILS(ioctl(v.container, VFIO_IOMMU_MAP_DMA, &m), EFAULT);
	munmap(p, SIZE);
}

/* A fork in between: the child has pages of its own. */
static void protection_and_fork(void)
{
	unsigned char *p = anonymous();
	int go[2];
	pid_t pid;

	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE) && !pipe(go));
	pid = fork();
	if (!pid) {
		char c;

		close(go[1]);
		memset(p + 4096, 0x33, 4096);
		_exit(read(go[0], &c, 1) != 1 || !all(p, 4096, 0x11) || !all(p + 4096, 4096, 0x33));
	}
	CHECK(!mprotect(p, SIZE, PROT_READ));
	CHECK(device_writes(0, SIZE, 0x22));
	CHECK(all(p, SIZE, 0x22));
	CHECK(write(go[1], "x", 1) == 1 && wait_for(pid) == 0);
	CHECK(device_reads(0, SIZE, 0x22));
	close(go[0]);
	close(go[1]);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	munmap(p, SIZE);
}

/* A protection key of the thread's does not bind a device. Processors without them say so. */
static void protection_key(void)
{
	unsigned char *p = anonymous();
	int key = pkey_alloc(0, 0), why = errno;

	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE));
	if (key >= 0) {
		CHECK(!pkey_mprotect(p, SIZE, PROT_READ | PROT_WRITE, key));
		CHECK(!pkey_set(key, PKEY_DISABLE_ACCESS));
		CHECK(device_reads(0, SIZE, 0x11) && device_writes(0, SIZE, 0x22));
		CHECK(!pkey_set(key, 0) && all(p, SIZE, 0x22));
		CHECK(!pkey_mprotect(p, SIZE, PROT_READ | PROT_WRITE, 0));
		pkey_free(key);
	} else {
		CHECK(why == ENOSPC || why == EINVAL || why == ENOSYS);
	}
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	munmap(p, SIZE);
}

/* ---- the program takes memory away, or puts something else there ---- */

/*
 * The device has what it had: @value. It writes, and what lies at @other (may be NULL) is none of
 * its business.
 */
static void device_keeps(size_t at, size_t len, unsigned char value, const unsigned char *other)
{
	unsigned char first = other ? *other : 0;

	CHECK(device_reads(at, len, value));
	CHECK(device_writes(at, len, (unsigned char)(value + 1)) &&
	      device_reads(at, len, (unsigned char)(value + 1)));
	CHECK(!other || all(other, len, first));
	CHECK(device_writes(at, len, value));
}

static bool is_mapped(const void *p)
{
	return !msync((void *)((uintptr_t)p & ~4095ul), 4096, MS_ASYNC);
}

static unsigned char *over(unsigned char *p, size_t len, unsigned char value)
{
	unsigned char *q = mmap(p, len, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	CHECK(q == p);
	memset(q, value, len);
	return q;
}

static void losses(const struct kind *k)
{
	bool private = k->get == anonymous || k->get == private_file;
	unsigned char *p = k->get(), *q;
	int self;

#define BEGIN()                                     \
	do {                                        \
		p = k->get();                       \
		memset(p, 0x11, SIZE);              \
		CHECK(!dma_map(&v, p, IOVA, SIZE)); \
	} while (0)
#define END()                                             \
	do {                                              \
		CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE); \
		munmap(p, SIZE);                          \
	} while (0)
	munmap(p, SIZE);
	BEGIN();
	CHECK(!munmap(p, SIZE) && !is_mapped(p));
	q = over(p, SIZE, 0x77);
	device_keeps(0, SIZE, 0x11, q);
	END();
	BEGIN();
	CHECK(!munmap(p + 4096, 4096) && !is_mapped(p + 4096));
	device_keeps(0, SIZE, 0x11, NULL);
	END();
	BEGIN();
	q = over(p + 4096, 8192, 0x77);
	device_keeps(4096, 8192, 0x11, q);
	END();
	/* once more where it was moved from */
	BEGIN();
	CHECK(!munmap(p, SIZE));
	q = over(p, SIZE, 0x55);
	CHECK(!dma_map(&v, q, IOVA + SIZE, SIZE));
	CHECK(!munmap(q, SIZE));
	device_keeps(0, SIZE, 0x11, NULL);
	device_keeps(SIZE, SIZE, 0x55, NULL);
	CHECK(dma_unmap(&v, IOVA + SIZE, SIZE) == SIZE);
	END();
	BEGIN();
	CHECK(!madvise(p, SIZE, MADV_DONTNEED));
	CHECK(all(p, SIZE, k->get == anonymous ? 0 : private ? 0 : 0x11));
	if (private)
		memset(p, 0x77, SIZE);
	device_keeps(0, SIZE, 0x11, private ? p : NULL);
	END();
	/* the page is the program's and the device's until it goes */
	BEGIN();
	CHECK(!madvise(p, SIZE, MADV_COLD) && !madvise(p, SIZE, MADV_PAGEOUT));
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(device_writes(0, SIZE, 0x33) && all(p, SIZE, 0x33));
	END();
	BEGIN();
	if (!madvise(p, SIZE, MADV_GUARD_INSTALL)) {
		device_keeps(0, SIZE, 0x11, NULL);
		CHECK(!madvise(p, SIZE, MADV_GUARD_REMOVE));
		device_keeps(0, SIZE, 0x11, NULL);
		if (private) {
			memset(p, 0x77, SIZE);
			device_keeps(0, SIZE, 0x11, p);
		}
	}
	END();
	BEGIN();
	self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (process_madvise(self, &(struct iovec){ p, SIZE }, 1, MADV_DONTNEED, 0) == SIZE)
		CHECK(all(p, SIZE, private ? 0 : 0x11));
	else
		CHECK(device_writes(0, SIZE, 0x11) && all(p, SIZE, 0x11));
	device_keeps(0, SIZE, 0x11, NULL);
	close(self);
	END();
	if (private) {
		BEGIN();
		q = mremap(p, SIZE, SIZE / 2, 0);
		CHECK(q == p);
		device_keeps(0, SIZE, 0x11, NULL);
		END();
	} else {
		BEGIN();
		q = mmap(NULL, 2 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
		device_keeps(0, SIZE, 0x11, NULL);
		CHECK(device_writes(0, SIZE, 0x33) && all(q, SIZE, 0x33));
		munmap(q, 2 * SIZE);
		END();
		BEGIN();
		CHECK(!remap_file_pages(p, 4096, 0, 2, 0));
		device_keeps(0, SIZE, 0x11, NULL);
		/* page 2 is seen at page 0 now */
		CHECK(device_writes(8192, 4096, 0x44) && all(p, 4096, 0x44) &&
		      device_reads(0, 4096, 0x11));
		END();
	}
}

/* Program and device have the same pages: at @p. */
static void have_both(unsigned char *p, size_t at, size_t len)
{
	CHECK(device_writes(at, len, 0x22) && all(p, len, 0x22));
	memset(p, 0x11, len);
	CHECK(device_reads(at, len, 0x11));
}

/* Private memory moves, and the devices with it. */
static void moves(const struct kind *k)
{
	unsigned char *p = k->get(), *q,
		      *room = mmap(NULL, 8 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE / 2) &&
	      !dma_map(&v, p + SIZE / 2, IOVA + SIZE / 2, SIZE / 2) &&
	      !dma_map(&v, p + 4096, 0x4000000, 4096));
	/* to a place, and on from there, also where it is */
	CHECK(mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room && !is_mapped(p));
	have_both(room, 0, SIZE);
	have_both(room + 4096, 0x4000000 - IOVA, 4096);
	q = over(p, SIZE, 0x77);
	have_both(room, 0, SIZE);
	CHECK(all(q, SIZE, 0x77));
	munmap(q, SIZE);
	CHECK(mremap(room, SIZE, 2 * SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, room + 3 * SIZE) ==
		      room + 3 * SIZE &&
	      !is_mapped(room));
	have_both(room + 3 * SIZE, 0, SIZE);
	/* where there is room */
	CHECK(over(room + 5 * SIZE, SIZE, 0x66) != MAP_FAILED);
	q = mremap(room + 3 * SIZE, 2 * SIZE, 64 * SIZE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != room + 3 * SIZE);
	have_both(q, 0, SIZE);
	if (k->get == anonymous)
		CHECK(all(q + SIZE, 63 * SIZE, 0));
	/* and shorter, without what no device has; the old room may be in it */
	room = mmap(NULL, 8 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mremap(q, 64 * SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room &&
	      !is_mapped(q) && !is_mapped(q + 63 * SIZE));
	have_both(room, 0, SIZE);
	/* the place stays the program's */
	q = mremap(room, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (q != MAP_FAILED) {
		have_both(q, 0, SIZE);
		CHECK(is_mapped(room) && (k->get != anonymous || all(room, SIZE, 0)));
		memset(room, 0x77, SIZE);
		have_both(q, 0, SIZE);
		CHECK(all(room, SIZE, 0x77));
		p = room;
		room = q;
	} else {
		p = room;
	}
	/* what it loses there is lost to it alone */
	CHECK(!munmap(room, SIZE));
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE && dma_unmap(&v, 0x4000000, 4096) == 4096);
	munmap(p, SIZE);
	/* a part of a mapping cannot, and nothing has changed */
	p = k->get();
	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE));
	q = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(q, 0x55, SIZE);
	FAILS(mremap(p + 4096, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, q) == MAP_FAILED ? -1 : 0,
	      ENOMEM);
	have_both(p, 0, SIZE);
	CHECK(all(q, SIZE, 0x55));
	munmap(q, SIZE);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	munmap(p, SIZE);
}

static _Atomic(unsigned char *) coveted;
static atomic_bool got_in, moved_enough;

static void *intrude(void *arg)
{
	unsigned char *at;

	while (!atomic_load(&moved_enough)) {
		at = atomic_load(&coveted);
		if (!at || mmap(at, SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at)
			continue;
		/* else it has moved on */
		if (atomic_load(&coveted) == at)
			atomic_store(&got_in, true);
		munmap(at, SIZE);
	}
	return NULL;
}

/* The place that private memory moves to is nobody else's in the meantime. */
static void nobody_comes_in(void)
{
	unsigned char *p = anonymous(), *to;
	pthread_t t;

	CHECK(!dma_map(&v, p, IOVA, SIZE));
	CHECK(!pthread_create(&t, NULL, intrude, NULL));
	for (int i = 0; i < 2000 && !atomic_load(&got_in); i++) {
		to = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		atomic_store(&coveted, to);
		CHECK(mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
		p = to;
	}
	atomic_store(&moved_enough, true);
	pthread_join(t, NULL);
	CHECK(!atomic_load(&got_in));
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	munmap(p, SIZE);
}

/* A locked page can be dropped by one advice only. */
static void locked(void)
{
	unsigned char *p = anonymous();

	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE));
	if (!mlock(p, SIZE) && !madvise(p, SIZE, MADV_DONTNEED_LOCKED)) {
		CHECK(all(p, SIZE, 0));
		device_keeps(0, SIZE, 0x11, p);
	}
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	munmap(p, SIZE);
}

/* A call that is refused takes nothing away: program and device have the same pages. */
static void refused(void)
{
	EACH_KIND(k)
	{
		unsigned char *p = k->get(),
			      *const nothing = mmap(NULL, SIZE, PROT_NONE,
						    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			      *q;
		int readonly = open("/proc/self/exe", O_RDONLY);
		bool anonymous_one = k->get == anonymous;
		int rc;

		munmap(nothing, SIZE);
		memset(p, 0x11, SIZE);
		CHECK(!dma_map(&v, p, IOVA, SIZE));
#define SHARED()                                                                          \
	CHECK(all(p, SIZE, 0x11) && device_writes(0, SIZE, 0x22) && all(p, SIZE, 0x22) && \
	      device_writes(0, SIZE, 0x11))
		q = mmap(p, SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED, 9999, 0);
		CHECK(q == MAP_FAILED);
		SHARED();
		q = mmap(p, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, readonly, 0);
		CHECK(q == MAP_FAILED);
		SHARED();
		q = mmap(p, SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED, readonly, 100);
		CHECK(q == MAP_FAILED);
		SHARED();
		q = mmap(p, SIZE, PROT_READ, MAP_FIXED | MAP_ANONYMOUS, -1, 0);
		CHECK(q == MAP_FAILED);
		SHARED();
		q = mremap(nothing, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, p);
		CHECK(q == MAP_FAILED);
		SHARED();
		q = mremap(p + 4096, SIZE - 4096, SIZE - 4096, MREMAP_MAYMOVE | MREMAP_FIXED, p);
		CHECK(q == MAP_FAILED);
		SHARED();
		q = mremap(back, SIZE, SIZE, MREMAP_FIXED, p);
		CHECK(q == MAP_FAILED);
		SHARED();
		FAILS(munmap(p + 1, 4096), EINVAL);
		FAILS(munmap(p, 0), EINVAL);
		FAILS(madvise(p + 1, 4096, MADV_DONTNEED), EINVAL);
		FAILS(madvise(p, SIZE, 12345), EINVAL);
		SHARED();
		if (!mlock(p + 4096, 4096)) {
			FAILS(madvise(p + 4096, 4096, MADV_DONTNEED), EINVAL);
			SHARED();
			CHECK(!munlock(p + 4096, 4096));
		}
		/*
		 * this one is not refused for private memory, but a page that a device has is not
		 * taken
		 */
		rc = madvise(p, SIZE, MADV_FREE);
		CHECK(anonymous_one ? !rc : rc == -1);
		SHARED();
		close(readonly);
		CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
		munmap(p, SIZE);
	}
}

/*
 * Sealed memory cannot be unmapped, but its pages can be dropped. Kernels before 6.10 have no
 * mseal.
 */
static void sealed(void)
{
	unsigned char *p = anonymous();

	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE));
	if (!syscall(462 /* mseal */, p, SIZE, 0)) {
		FAILS(munmap(p, SIZE), EPERM);
		have_both(p, 0, SIZE);
		CHECK(mmap(p, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		      MAP_FAILED);
		have_both(p, 0, SIZE);
		CHECK(!madvise(p, SIZE, MADV_DONTNEED) && all(p, SIZE, 0));
		device_keeps(0, SIZE, 0x11, p);
	}
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
}

/* Nothing is behind what goes: tests/shim.sh has this under valgrind, too. */
static void next_to_nothing(void)
{
	unsigned char *p = anonymous();

	CHECK(!munmap(p + SIZE / 2, SIZE / 2));
	memset(p, 0x11, SIZE / 2);
	CHECK(!dma_map(&v, p, IOVA, SIZE / 2));
	CHECK(!munmap(p + 4096, SIZE / 2 - 4096) && !munmap(p, 4096));
	device_keeps(0, SIZE / 2, 0x11, NULL);
	CHECK(dma_unmap(&v, IOVA, SIZE / 2) == SIZE / 2);
}

/* ---- a file loses pages: the device has what it had, the file and the program do not ---- */

static unsigned char *file_memory(int *fd, unsigned char **other)
{
	unsigned char *p;

	*fd = memfd_create("memory", MFD_ALLOW_SEALING);
	CHECK(!ftruncate(*fd, SIZE));
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	*other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE));
	return p;
}

static void file_gone(unsigned char *p, unsigned char *other, int fd)
{
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	munmap(p, SIZE);
	munmap(other, SIZE);
	close(fd);
}

static void shorter_file(void)
{
	unsigned char *p, *other, c = 0;
	char path[64];
	int fd;

	for (int way = 0; way < 3; way++) {
		p = file_memory(&fd, &other);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		/* the page with the end stays, but for what is behind it */
		if (way == 0)
			CHECK(!ftruncate(fd, 4096 + 100));
		else if (way == 1)
			CHECK(!syscall(SYS_ftruncate, fd, 4096 + 100));
		else
			CHECK(!truncate(path, 4096 + 100));
		CHECK(device_reads(0, 4096 + 100, 0x11) && device_reads(4096 + 100, 3996, 0) &&
		      device_reads(8192, 8192, 0x11));
		CHECK(device_writes(0, SIZE, 0x22) && device_reads(0, SIZE, 0x22) &&
		      all(p, 8192, 0x22));
		CHECK(!ftruncate(fd, SIZE) && all(p + 8192, 8192, 0) &&
		      device_reads(8192, 8192, 0x22));
		file_gone(p, other, fd);
	}
	/* refused, or not shorter */
	p = file_memory(&fd, &other);
	FAILS(ftruncate(fd, -1), EINVAL);
	CHECK(!ftruncate(fd, SIZE) && !ftruncate(fd, 2 * SIZE) && !ftruncate(fd, SIZE));
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	FAILS(ftruncate(fd, 0), EPERM);
	CHECK(device_writes(0, SIZE, 0x22) && all(p, SIZE, 0x22) && all(other, SIZE, 0x22) &&
	      pread(fd, &c, 1, 0) == 1 && c == 0x22);
	file_gone(p, other, fd);
}

static void emptied_by_open(void)
{
	unsigned char *p, *other;
	char path[64];
	FILE *f = NULL;
	int fd, new;

	for (int way = 0; way < 6; way++) {
		p = file_memory(&fd, &other);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		new = way == 0	 ? open(path, O_RDWR | O_TRUNC)
		      : way == 1 ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_TRUNC)
		      : way == 2 ? creat(path, 0600)
				 : -1;
		if (way == 3)
			f = fopen(path, "w");
		else if (way == 4)
			f = freopen(path, "w+", fopen("/dev/null", "r"));
		else if (way == 5)
			f = fopen64(path, "w+");
		CHECK(way < 3 ? new >= 0 : f != NULL);
		CHECK(lseek(fd, 0, SEEK_END) == 0 && device_reads(0, SIZE, 0x11));
		CHECK(!ftruncate(fd, SIZE) && all(p, SIZE, 0) && device_reads(0, SIZE, 0x11));
		if (way < 3)
			close(new);
		else if (f)
			fclose(f);
		file_gone(p, other, fd);
	}
	/* refused: nothing is emptied */
	p = file_memory(&fd, &other);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FAILS(open(path, O_RDWR | O_CREAT | O_EXCL | O_TRUNC, 0600), EEXIST);
	CHECK(!fopen(path, "wx"));
	CHECK(device_writes(0, SIZE, 0x33) && all(p, SIZE, 0x33) && all(other, SIZE, 0x33));
	file_gone(p, other, fd);
}

static void holes_in_a_file(void)
{
	unsigned char *p, *other;
	int fd;

	for (int way = 0; way < 3; way++) {
		p = file_memory(&fd, &other);
		if (way == 0)
			CHECK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096 - 10,
					 8192 + 20));
		else if (way == 1)
			CHECK(!madvise(p + 4096, 8192, MADV_REMOVE));
		else
			CHECK(!madvise(other + 4096, 8192, MADV_REMOVE));
		CHECK(all(p + 4096, 8192, 0) && all(other + 4096, 8192, 0) &&
		      device_reads(4096, 8192, 0x11));
		CHECK(device_writes(0, SIZE, 0x22) && all(p + 4096, 8192, 0) &&
		      all(p, 4096, 0x22) && all(other + 12288, 4096, 0x22));
		CHECK(device_reads(0, SIZE, 0x22));
		file_gone(p, other, fd);
	}
	p = file_memory(&fd, &other);
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, SIZE), EOPNOTSUPP);
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, -4096, SIZE), EINVAL);
	if (!mlock(p, 4096)) {
		FAILS(madvise(p, SIZE, MADV_REMOVE), EINVAL);
		munlock(p, 4096);
	}
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE), EPERM);
	CHECK(device_writes(0, SIZE, 0x22) && all(p, SIZE, 0x22) && all(other, SIZE, 0x22));
	file_gone(p, other, fd);
}

/*
 * The same when the program has no view of them any more, or another one: the device's is ours
 * then, and of the file all the same.
 */
static void lost_behind_a_view(void)
{
	unsigned char *p, *other, *q;
	int fd;

	for (int way = 0; way < 9; way++) {
		p = file_memory(&fd, &other);
		/* the device has some of it twice */
		CHECK(!dma_map(&v, p + 4096, 0x4000000, 8192));
		q = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (way % 3 == 0)
			CHECK(!munmap(p, SIZE));
		else if (way % 3 == 1)
			over(p, SIZE, 0x77);
		else
			CHECK(mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
		have_both(other, 0, SIZE);
		if (way / 3 == 0)
			CHECK(!ftruncate(fd, 8192) && !ftruncate(fd, SIZE));
		else if (way / 3 == 1)
			CHECK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192,
					 8192));
		else
			CHECK(!madvise(other + 8192, 8192, MADV_REMOVE));
		have_both(other, 0, 8192);
		CHECK(all(other + 8192, 8192, 0) && (way % 3 != 2 || all(q + 8192, 8192, 0)));
		device_keeps(8192, 8192, 0x11, other + 8192);
		/* and once more, of what was left */
		CHECK(!ftruncate(fd, 0) && !ftruncate(fd, SIZE));
		device_keeps(0, SIZE, 0x11, other);
		CHECK(device_writes(0x4000000 - IOVA, 8192, 0x33) &&
		      device_reads(4096, 8192, 0x33));
		CHECK(dma_unmap(&v, 0x4000000, 8192) == 8192 && device_reads(4096, 8192, 0x33));
		munmap(q, SIZE);
		file_gone(p, other, fd);
	}
}

/* Mappings that touch, of one file but of places that do not: one call takes both. */
static void several_at_once(void)
{
	unsigned char *p, *q, *first, *second;
	int fd;

	for (int way = 0; way < 4; way++) {
		fd = memfd_create("memory", 0);
		CHECK(!ftruncate(fd, 16 * SIZE));
		first = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		second = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 10 * SIZE);
		p = mmap(NULL, 2 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		q = mmap(NULL, 2 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(mmap(p, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == p);
		CHECK(mmap(p + SIZE, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			   10 * SIZE) == p + SIZE);
		CHECK(!dma_map(&v, p, IOVA, 2 * SIZE));
		if (way == 0)
			/* the kernel does since 6.17 */
			CHECK(mremap(p, 2 * SIZE, 2 * SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q) ==
				      q ||
			      errno == EFAULT);
		else if (way == 1)
			FAILS(mremap(p, 2 * SIZE, 3 * SIZE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0,
			      EFAULT);
		else if (way == 2)
			CHECK(!munmap(p, 2 * SIZE));
		else
			over(p, 2 * SIZE, 0x77);
		have_both(first, 0, SIZE);
		have_both(second, SIZE, SIZE);
		munmap(second, SIZE);
		second = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, SIZE);
		CHECK(all(second, SIZE, 0));
		CHECK(dma_unmap(&v, IOVA, 2 * SIZE) == 2 * SIZE);
		munmap(first, SIZE);
		munmap(second, SIZE);
		munmap(p, 2 * SIZE);
		munmap(q, 2 * SIZE);
		close(fd);
	}
}

/* A move that the kernel refuses takes nothing away from where it would have gone. */
static void refused_over_memory(void)
{
	unsigned char *p = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0),
		      *q = anonymous();

	CHECK(!mprotect(p + SIZE, SIZE, PROT_READ));
	memset(q, 0x11, SIZE);
	CHECK(!dma_map(&v, q, IOVA, SIZE));
	FAILS(mremap(p, 2 * SIZE, 3 * SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == MAP_FAILED ? -1
											    : 0,
	      EFAULT);
	have_both(q, 0, SIZE);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	munmap(q, SIZE);
	munmap(p, 2 * SIZE);
}

/* ---- System V segments ---- */

static void segments(void)
{
	int id = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600),
	    other = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600);
	unsigned char *p = shmat(id, NULL, 0), *q;

	memset(p, 0x11, SIZE);
	/* some of it is of another protection: shmdt takes all */
	CHECK(!dma_map(&v, p + 4096, IOVA, SIZE - 4096) && !mprotect(p + 8192, 4096, PROT_READ));
	FAILS(shmdt(p + 4096), EINVAL);
	CHECK(device_writes(0, 4096, 0x12) && all(p + 4096, 4096, 0x12) &&
	      device_writes(0, 4096, 0x11));
	CHECK(!shmdt(p) && !is_mapped(p) && !is_mapped(p + 8192));
	q = over(p, SIZE, 0x77);
	device_keeps(0, SIZE - 4096, 0x11, q);
	/* the segment's still */
	p = shmat(id, NULL, 0);
	CHECK(device_writes(0, SIZE - 4096, 0x22) && all(p, 4096, 0x11) &&
	      all(p + 4096, SIZE - 4096, 0x22));
	/* and what it does not have */
	CHECK(dma_unmap(&v, IOVA, SIZE - 4096) == SIZE - 4096 && !dma_map(&v, p, IOVA, SIZE));
	memset(p, 0x11, SIZE);
	CHECK(shmat(other, p, SHM_REMAP) == p && all(p, SIZE, 0));
	memset(p, 0x77, SIZE);
	device_keeps(0, SIZE, 0x11, p);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE && !shmdt(p));
	/* by number */
	p = shmat(id, NULL, 0);
	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE) && !syscall(SYS_shmdt, p));
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	shmctl(id, IPC_RMID, NULL);
	shmctl(other, IPC_RMID, NULL);
	munmap(q, SIZE);
}

/* ---- what libc does inside of itself ---- */

#define LARGE (4ul << 20) /* more than malloc takes from its heap */

/* The compiler knows free(), and that nobody looks at the memory afterwards. */
static void (*volatile give_back)(void *) = free;

static void freed(void)
{
	unsigned char *p = aligned_alloc(4096, LARGE), *q, *r;

	memset(p, 0x11, LARGE);
	CHECK(!dma_map(&v, p + SIZE, IOVA, SIZE) && !dma_map(&v, p + 4 * SIZE, IOVA + SIZE, SIZE));
	give_back(p);
	device_keeps(0, 2 * SIZE, 0x11, NULL);
	/* what nobody has is gone, and nobody can map it again */
	CHECK(!is_mapped(p) && !is_mapped(p + 2 * SIZE) && !is_mapped(p + LARGE - 8192));
	FAILS(dma_map(&v, p + SIZE, IOVA + 2 * SIZE, SIZE), EFAULT);
	FAILS(dma_map(&v, p + LARGE / 2, IOVA + 2 * SIZE, SIZE), EFAULT);
	/* memory of the same size is other memory */
	q = aligned_alloc(4096, LARGE);
	memset(q, 0x77, LARGE);
	CHECK(device_writes(0, 2 * SIZE, 0x33) && all(q, LARGE, 0x77));
	/* a place that the program takes for itself stays its own */
	r = over(p + SIZE + 4096, 4096, 0x55);
	CHECK(device_writes(0, 2 * SIZE, 0x44) && all(r, 4096, 0x55));
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	CHECK(all(r, 4096, 0x55) && !is_mapped(p + SIZE) && !is_mapped(p + SIZE + 8192));
	CHECK(device_reads(SIZE, SIZE, 0x44));
	CHECK(dma_unmap(&v, IOVA + SIZE, SIZE) == SIZE && !is_mapped(p + 4 * SIZE));
	CHECK(all(q, LARGE, 0x77));
	munmap(r, 4096);
	give_back(q);
}

/* Mapped twice, in two pieces and as one: it stays until the last goes. */
static void freed_twice_mapped(void)
{
	unsigned char *p = aligned_alloc(4096, LARGE);

	memset(p, 0x11, LARGE);
	CHECK(!dma_map(&v, p, IOVA, 8192) && !dma_map(&v, p + 8192, IOVA + 8192, 8192) &&
	      !dma_map(&v, p + 4096, 0x4000000, 8192));
	give_back(p);
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(dma_unmap(&v, IOVA, 8192) == 8192);
	device_keeps(8192, 8192, 0x11, NULL);
	device_keeps(0x4000000 - IOVA, 8192, 0x11, NULL);
	CHECK(dma_unmap(&v, IOVA + 8192, 8192) == 8192);
	device_keeps(0x4000000 - IOVA, 8192, 0x11, NULL);
	CHECK(dma_unmap(&v, 0x4000000, 8192) == 8192);
	CHECK(!is_mapped(p) && !is_mapped(p + 4096) && !is_mapped(p + 12288));
}

/* With a container goes what it had. */
static void freed_and_closed(void)
{
	unsigned char *p = aligned_alloc(4096, LARGE);

	memset(p, 0x11, LARGE);
	CHECK(!dma_map(&v, p, IOVA, SIZE));
	give_back(p);
	device_keeps(0, SIZE, 0x11, NULL);
	vfio_close(&v);
	CHECK(!is_mapped(p));
	munmap(back, 4 * SIZE);
	start();
}

static void reallocated(void)
{
	unsigned char *p = aligned_alloc(4096, LARGE), *q;
	size_t at;

	/* shorter: the end goes */
	memset(p, 0x11, LARGE);
	CHECK(!dma_map(&v, p + LARGE - SIZE, IOVA, SIZE));
	q = realloc(p, LARGE / 2);
	CHECK(all(q, LARGE / 2, 0x11));
	memset(q, 0x77, LARGE / 2);
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(all(q, LARGE / 2, 0x77) && dma_unmap(&v, IOVA, SIZE) == SIZE);
	/* longer: wherever it went to, the data went along, and the device has its pages */
	memset(q, 0x11, LARGE / 2);
	CHECK(!dma_map(&v, (void *)(((uintptr_t)q + 4095) & ~4095ul), IOVA, SIZE));
	at = -(uintptr_t)q % 4096;
	p = realloc(q, 8 * LARGE);
	CHECK(all(p, LARGE / 2, 0x11));
	/* from a mapping of its own to a longer one: the device went along */
	CHECK(device_writes(0, SIZE, 0x33) && all(p + at, SIZE, 0x33) &&
	      device_writes(0, SIZE, 0x11));
	memset(p + SIZE + 4096, 0x77, 8 * LARGE - SIZE - 4096);
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(all(p + SIZE + 4096, 8 * LARGE - SIZE - 4096, 0x77));
	give_back(p);
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
}

/*
 * The heap ends in memory that the device has: what of it is used again is the program's, and
 * calloc's is empty.
 */
static void trimmed(void)
{
	unsigned char *p, *q, *page;

	CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 30) && mallopt(M_TRIM_THRESHOLD, 64 << 10) &&
	      mallopt(M_TOP_PAD, 0));
	p = malloc(LARGE);
	memset(p, 0x11, LARGE);
	page = (unsigned char *)(((uintptr_t)p + LARGE / 2) & ~4095ul);
	CHECK(!dma_map(&v, page, IOVA, SIZE));
	give_back(p);
	malloc_trim(0);
	CHECK(device_reads(0, SIZE, 0x11));
	q = calloc(1, LARGE);
	CHECK(all(q, LARGE, 0));
	give_back(q);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	q = malloc(2 * LARGE);
	memset(q, 0x22, 2 * LARGE);
	give_back(q);
	malloc_trim(0);
	q = calloc(1, LARGE);
	CHECK(all(q, LARGE, 0));
	give_back(q);
	CHECK(mallopt(M_MMAP_THRESHOLD, 128 << 10));
}

static void shrinking_heap(void)
{
	unsigned char *heap, *old;

	/* malloc has room in what it has: it must not have anything behind us */
	CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 30) && mallopt(M_TRIM_THRESHOLD, 1 << 30));
	give_back(malloc(4 * LARGE));
	old = heap = sbrk(0);
	heap = (unsigned char *)(((uintptr_t)heap + 4095) & ~4095ul);
	CHECK(!brk(heap + 2 * SIZE) && sbrk(0) == heap + 2 * SIZE);
	memset(heap, 0x11, 2 * SIZE);
	CHECK(!dma_map(&v, heap, IOVA, 2 * SIZE));
	CHECK(sbrk(-(intptr_t)SIZE) == heap + 2 * SIZE && sbrk(0) == heap + SIZE &&
	      !is_mapped(heap + SIZE));
	CHECK(!brk(heap) && sbrk(0) == heap && !is_mapped(heap));
	device_keeps(0, 2 * SIZE, 0x11, NULL);
	CHECK(!brk(heap + SIZE) && all(heap, SIZE, 0));
	memset(heap, 0x77, SIZE);
	device_keeps(0, SIZE, 0x11, heap);
	CHECK(dma_unmap(&v, IOVA, 2 * SIZE) == 2 * SIZE);
	CHECK(!dma_map(&v, heap, IOVA, SIZE));
	memset(heap, 0x11, SIZE);
	CHECK(syscall(SYS_brk, heap) == (long)heap);
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE && !brk(old) && sbrk(0) == old);
	CHECK(mallopt(M_MMAP_THRESHOLD, 128 << 10));
}

static unsigned char *volatile of_thread;

/*
 * Memory of a thread's arena, which is trimmed by other calls than the heap, and its stack, which
 * goes when it ends, with all signals blocked.
 */
static void *thread(void *arg)
{
	unsigned char on_stack[3 * 4096],
		*page = (unsigned char *)(((uintptr_t)on_stack + 4095) & ~4095ul);
	unsigned char *p = malloc(LARGE), *q = malloc(LARGE),
		      *r = (unsigned char *)(((uintptr_t)q + 4095) & ~4095ul);

	memset(on_stack, 0x11, sizeof(on_stack));
	memset(p, 0x11, LARGE);
	memset(q, 0x11, LARGE);
	of_thread = page;
	CHECK(!dma_map(&v, page, IOVA, 8192) && !dma_map(&v, r, IOVA + 8192, 8192));
	give_back(p);
	give_back(q);
	malloc_trim(0);
	device_keeps(0, SIZE, 0x11, NULL);
	return NULL;
}

static void threads(void)
{
	pthread_attr_t attr;
	unsigned char *stack;
	pthread_t t;

	CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 30) && mallopt(M_TRIM_THRESHOLD, 64 << 10));
	pthread_attr_init(&attr);
	/* more than libc keeps for the next thread */
	CHECK(!pthread_attr_setstacksize(&attr, 64 << 20));
	for (int i = 0; i < 2; i++) {
		CHECK(!pthread_create(&t, i ? NULL : &attr, thread, NULL) &&
		      !pthread_join(t, NULL));
		device_keeps(0, SIZE, 0x11, NULL);
		CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	}
	/* a stack of the program's own */
	stack = mmap(NULL, 256 << 10, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	CHECK(!pthread_attr_setstack(&attr, stack, 256 << 10));
	CHECK(!pthread_create(&t, &attr, thread, NULL) && !pthread_join(t, NULL));
	CHECK(!munmap(stack, 256 << 10));
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	pthread_attr_destroy(&attr);
	CHECK(mallopt(M_MMAP_THRESHOLD, 128 << 10));
}

/* free() on the least stack that a thread can have */
static void *frees(void *p)
{
	give_back(p);
	return NULL;
}

static void small_stack(void)
{
	unsigned char *p = aligned_alloc(4096, LARGE);
	pthread_attr_t attr;
	pthread_t t;

	memset(p, 0x11, LARGE);
	CHECK(!dma_map(&v, p + SIZE, IOVA, SIZE));
	pthread_attr_init(&attr);
	CHECK(!pthread_attr_setstacksize(&attr, (size_t)sysconf(_SC_THREAD_STACK_MIN)));
	CHECK(!pthread_create(&t, &attr, frees, p) && !pthread_join(t, NULL));
	pthread_attr_destroy(&attr);
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE && !is_mapped(p + SIZE));
}

/* The first page of @lib's that can be written. */
static unsigned char *data_of(const char *lib)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start = 0;
	char line[512], mode[8];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, lib) && sscanf(line, "%lx-%*x %7s", &start, mode) == 2 &&
		    !strcmp(mode, "rw-p"))
			break;
		else
			start = 0;
	if (f)
		fclose(f);
	return (unsigned char *)start;
}

/* A library of libc's that nobody uses is unloaded, with what a device has of it. */
static void unloaded(void)
{
	void *lib = dlopen("libresolv.so.2", RTLD_LAZY | RTLD_LOCAL);
	unsigned char *p = lib ? data_of("libresolv") : NULL;

	CHECK(p);
	if (!p)
		return;
	CHECK(!dma_map(&v, p, IOVA, 4096));
	/* the end of its page is nobody's or is not looked at any more */
	memset(p + 4096 - 64, 0x11, 64);
	CHECK(!dlclose(lib));
	device_keeps(4096 - 64, 64, 0x11, NULL);
	p = over(p, 4096, 0x77);
	device_keeps(4096 - 64, 64, 0x11, p + 4096 - 64);
	CHECK(dma_unmap(&v, IOVA, 4096) == 4096 && all(p, 4096, 0x77));
	munmap(p, 4096);
}

/* A child frees memory that its parent's device has: the parent's stays. */
static void freed_in_a_child(void)
{
	unsigned char *p = aligned_alloc(4096, LARGE);
	pid_t pid;

	memset(p, 0x11, LARGE);
	CHECK(!dma_map(&v, p, IOVA, SIZE));
	pid = fork();
	if (!pid) {
		give_back(p);
		_exit(is_mapped(p) ? 1 : 0);
	}
	CHECK(wait_for(pid) == 0);
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(all(p, SIZE, 0x11));
	give_back(p);
	device_keeps(0, SIZE, 0x11, NULL);
	pid = fork();
	if (!pid)
		_exit(0);
	CHECK(wait_for(pid) == 0);
	device_keeps(0, SIZE, 0x11, NULL);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE && !is_mapped(p));
}

/* ---- memory that nobody thinks of ---- */

static unsigned char in_data[3 * 4096] = { 1 }, in_bss[3 * 4096];

static void program_memory(void)
{
	unsigned char on_stack[3 * 4096], *const at[] = { in_data, in_bss, on_stack };

	for (unsigned i = 0; i < 3; i++) {
		unsigned char *p = (unsigned char *)(((uintptr_t)at[i] + 4095) & ~4095ul);

		memset(p, 0x11, 8192);
		CHECK(!dma_map(&v, p, IOVA, 8192));
		device_keeps(0, 8192, 0x11, NULL);
		CHECK(device_writes(0, 8192, 0x22) && all(p, 8192, 0x22));
		CHECK(dma_unmap(&v, IOVA, 8192) == 8192);
	}
}

#define HUGE (2ul << 20)

/* Huge pages, if the machine has some to spare: they go as a whole. */
static void of_huge_pages(int flags)
{
	unsigned char *p = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
				MAP_ANONYMOUS | MAP_HUGETLB | flags, -1, 0);

	if (p == MAP_FAILED)
		return;
	for (int way = 0; way < 4; way++) {
		memset(p, 0x11, 2 * HUGE);
		CHECK(!dma_map(&v, p, IOVA, SIZE) && !dma_map(&v, p + HUGE, IOVA + SIZE, SIZE));
		if (way == 0) {
			CHECK(!mprotect(p, 2 * HUGE, PROT_NONE));
			CHECK(device_reads(0, 2 * SIZE, 0x11));
			/* shared ones cannot be written so: docs/differences.md */
			if (flags & MAP_PRIVATE) {
				CHECK(device_writes(0, 2 * SIZE, 0x33) &&
				      !mprotect(p, 2 * HUGE, PROT_READ));
				CHECK(all(p, SIZE, 0x33) && all(p + HUGE, SIZE, 0x33) &&
				      device_writes(0, 2 * SIZE, 0x44) && all(p, SIZE, 0x44));
			}
			CHECK(!mprotect(p, 2 * HUGE, PROT_READ | PROT_WRITE));
		} else if (way == 1) {
			FAILS(munmap(p, 4096), EINVAL);
			CHECK(all(p, SIZE, 0x11) && device_writes(0, SIZE, 0x33) &&
			      all(p, SIZE, 0x33));
		} else if (way == 2) {
			if (!madvise(p, HUGE, MADV_DONTNEED))
				device_keeps(0, SIZE, 0x11, NULL);
		} else {
			CHECK(!munmap(p, 2 * HUGE));
			device_keeps(0, 2 * SIZE, 0x11, NULL);
		}
		CHECK(dma_unmap(&v, IOVA, 2 * SIZE) == 2 * SIZE);
	}
}

static void huge_pages(void)
{
	of_huge_pages(MAP_PRIVATE);
	of_huge_pages(MAP_SHARED);
}

/* Such as the kernel makes by itself. */
static void transparent_huge_pages(void)
{
	unsigned char *area =
		mmap(NULL, 3 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *p = (unsigned char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));

	madvise(p, HUGE, MADV_HUGEPAGE);
	memset(p, 0x11, HUGE);
	CHECK(!dma_map(&v, p, IOVA, HUGE));
	CHECK(!mprotect(p + SIZE, SIZE, PROT_NONE));
	device_keeps(0, 4 * SIZE, 0x11, NULL);
	CHECK(!munmap(p + SIZE, 4096) && !is_mapped(p + SIZE));
	device_keeps(0, 4 * SIZE, 0x11, NULL);
	CHECK(!madvise(p + 2 * SIZE, SIZE, MADV_DONTNEED) && all(p + 2 * SIZE, SIZE, 0));
	device_keeps(0, 4 * SIZE, 0x11, NULL);
	CHECK(!munmap(area, 3 * HUGE));
	device_keeps(0, 4 * SIZE, 0x11, NULL);
	device_keeps(HUGE - SIZE, SIZE, 0x11, NULL);
	CHECK(dma_unmap(&v, IOVA, HUGE) == (long)HUGE);
}

/* Pages that the program touches only after the device. */
static void untouched(void)
{
	EACH_KIND(k)
	{
		unsigned char *p = k->get();

		CHECK(!dma_map(&v, p, IOVA, SIZE));
		CHECK(device_reads(0, SIZE, 0) && device_writes(0, 4096, 0x11) &&
		      all(p, 4096, 0x11) && all(p + 4096, SIZE - 4096, 0));
		p[8192] = 7;
		CHECK(device_reads(8192, 1, 7));
		CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
		munmap(p, SIZE);
	}
}

int main(int argc, char **argv)
{
	/* set, it stays: else it grows with what is freed */
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	start();
	if (argc > 1 && !strcmp(argv[1], "next_to_nothing")) {
		RUN(next_to_nothing);
		vfio_close(&v);
		return any_failed;
	}
	EACH_KIND(k)
	{
		protection(k->get());
		report("protection", k->name);
	}
	RUN(rights_of_map);
	RUN(protection_and_fork);
	RUN(protection_key);
	EACH_KIND(k)
	{
		losses(k);
		report("losses", k->name);
	}
	EACH_KIND(k)
	{
		if (k->get != anonymous && k->get != private_file)
			continue;
		moves(k);
		report("moves", k->name);
	}
	RUN(nobody_comes_in);
	RUN(locked);
	RUN(refused);
	RUN(sealed);
	RUN(next_to_nothing);
	RUN(shorter_file);
	RUN(emptied_by_open);
	RUN(holes_in_a_file);
	RUN(lost_behind_a_view);
	RUN(several_at_once);
	RUN(refused_over_memory);
	RUN(segments);
	RUN(freed);
	RUN(freed_twice_mapped);
	RUN(freed_and_closed);
	RUN(reallocated);
	RUN(trimmed);
	RUN(shrinking_heap);
	RUN(threads);
	RUN(small_stack);
	RUN(unloaded);
	RUN(freed_in_a_child);
	RUN(program_memory);
	RUN(huge_pages);
	RUN(transparent_huge_pages);
	RUN(untouched);
	vfio_close(&v);
	return any_failed;
}
