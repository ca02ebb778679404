/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/dma_stress.c: threads that allocate and free without end, of which some map what they
 * have and free it while a device uses it, while others fork and begin and end. libc comes to the
 * shim with malloc's locks held; nobody may wait there for a thread that wants them. It ends when
 * every thread has made its rounds.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "shim.h"

#define MAPPERS	   3
#define ALLOCATORS 3
#define ROUNDS	   400
#define THRESHOLD  (64ul << 10)

static struct vfio v;
static pthread_mutex_t device = PTHREAD_MUTEX_INITIALIZER;
static atomic_int left;
static atomic_uint wrong, kept;

static void give_back(void *p, size_t mapped)
{
	/* the compiler does not see it being used again; each thread has its own */
	void *volatile gone = p;

	if (mapped)
		munmap(gone, mapped);
	else
		free(gone);
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13; /* Marsaglia, xorshift64 */
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

#define MUST(x)                                                                     \
	do {                                                                        \
		if (!(x) && !atomic_fetch_add(&wrong, 1))                           \
			printf("     %s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
	} while (0)

static bool fills(uint64_t iova, uint64_t len, uint32_t value)
{
	bool ok;

	pthread_mutex_lock(&device);
	ok = engine(&v, TD_OP_FILL, 0, iova, len, value) == TD_DMA_OK;
	pthread_mutex_unlock(&device);
	return ok;
}

/*
 * Will free() give it back to the kernel? What malloc(3) found in its heap is somebody else's at
 * once, under the kernel as here.
 */
static bool is_own_mapping(const void *p)
{
	return ((const size_t *)p)[-1] & 2; /* glibc's malloc.c, IS_MMAPPED */
}

/* A block that a device has: what it writes arrives, and after free() it arrives nowhere. */
static void *mapper(void *arg)
{
	uint64_t x = 0x9e3779b97f4a7c15ull * ((uintptr_t)arg + 1), iova = ((uintptr_t)arg + 1)
									  << 32;

	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t len = (1 + next(&x) % 64) * 4096, at = next(&x) % (len / 4096) * 4096,
		       part = 4096 + next(&x) % (len - at) / 4096 * 4096;
		size_t mapped = next(&x) % 4 ? 0 : len;
		uint32_t *p = mapped ? mmap(NULL, len, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
				     : aligned_alloc(4096, len);
		uint32_t *q = p + at / 4, value = (uint32_t)next(&x);
		bool early = next(&x) % 2, own = mapped || is_own_mapping(p);

		if (part > len - at)
			part = len - at;
		memset(p, 1, len);
		MUST(!dma_map(&v, q, iova, part));
		MUST(fills(iova, part, value));
		MUST(q[0] == value && q[part / 4 - 1] == value);
		if (early) {
			give_back(p, mapped);
			MUST(!own || fills(iova, part, ~value));
			atomic_fetch_add(&kept, own);
		}
		if (next(&x) % 8 == 0)
			malloc_trim(0);
		MUST(dma_unmap(&v, iova, part) == (long)part);
		if (!early)
			give_back(p, mapped);
	}
	atomic_fetch_sub(&left, 1);
	return NULL;
}

/* Blocks of all sizes that no device has: they keep what is in them. */
static void *allocator(void *arg)
{
	uint64_t x = 0xd1b54a32d192ed03ull * ((uintptr_t)arg + 1);
	unsigned char *block[32] = { NULL };
	size_t size[32] = { 0 };

	while (atomic_load(&left) > 0) {
		unsigned i = next(&x) % 32;

		for (size_t k = 0; k < size[i]; k += 509)
			MUST(block[i][k] == (unsigned char)(i + k));
		if (size[i] && next(&x) % 4 == 0) {
			size_t now = 1 + next(&x) % (2 * size[i]);

			block[i] = realloc(block[i], now);
			for (size_t k = 0; k < now && k < size[i]; k += 509)
				MUST(block[i][k] == (unsigned char)(i + k));
			size[i] = now;
		} else {
			free(block[i]);
			size[i] = 1 + next(&x) % (next(&x) % 8	 ? 2000
						  : next(&x) % 2 ? 40000
								 : 300000);
			block[i] = malloc(size[i]);
		}
		for (size_t k = 0; k < size[i]; k += 509)
			block[i][k] = (unsigned char)(i + k);
		if (next(&x) % 64 == 0)
			malloc_trim(0);
	}
	for (unsigned i = 0; i < 32; i++)
		free(block[i]);
	return NULL;
}

static void *frees(void *p)
{
	give_back(p, 0);
	return NULL;
}

/* Threads of the least stack, each of which frees, and children, each of which allocates. */
static void *beginner(void *arg)
{
	size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, least);
	for (unsigned i = 0; atomic_load(&left) > 0; i++) {
		uint32_t *p = aligned_alloc(4096, 4 * THRESHOLD);
		bool own = is_own_mapping(p);
		pid_t pid = 0;

		MUST(!dma_map(&v, p, 0x7f00000000, THRESHOLD));
		MUST(!pthread_create(&t, &attr, frees, p) && !pthread_join(t, NULL));
		MUST(!own || fills(0x7f00000000, THRESHOLD, i));
		if (i % 4 == 0) {
			pid = fork();
			if (!pid) {
				for (unsigned k = 0; k < 8; k++)
					free(malloc(k * 50000));
				_exit(0);
			}
		}
		MUST(dma_unmap(&v, 0x7f00000000, THRESHOLD) == THRESHOLD);
		if (pid)
			MUST(wait_for(pid) == 0);
	}
	pthread_attr_destroy(&attr);
	return NULL;
}

static void everybody(void)
{
	pthread_t t[MAPPERS + ALLOCATORS + 1];
	unsigned n = 0;

	v = vfio_open();
	CHECK(v.device >= 0 && bus_master(&v));
	atomic_store(&left, MAPPERS);
	for (uintptr_t i = 0; i < MAPPERS; i++)
		CHECK(!pthread_create(&t[n++], NULL, mapper, (void *)i));
	for (uintptr_t i = 0; i < ALLOCATORS; i++)
		CHECK(!pthread_create(&t[n++], NULL, allocator, (void *)i));
	CHECK(!pthread_create(&t[n++], NULL, beginner, NULL));
	while (n)
		pthread_join(t[--n], NULL);
	CHECK(!atomic_load(&wrong) && atomic_load(&kept));
	vfio_close(&v);
}

static void few_arenas(void)
{
	CHECK(mallopt(M_MMAP_THRESHOLD, THRESHOLD) && mallopt(M_TRIM_THRESHOLD, 4096) &&
	      mallopt(M_TOP_PAD, 0) && mallopt(M_ARENA_MAX, 2));
	everybody();
}

static void heap_of_blocks(void)
{
	/* nearly nothing by mmap: trims, instead */
	CHECK(mallopt(M_MMAP_THRESHOLD, 16 << 20));
	everybody();
}

static void with_handlers(void)
{
	signal(SIGUSR1, SIG_IGN);
	CHECK(signal(SIGUSR2, exit) == SIG_DFL && mallopt(M_MMAP_THRESHOLD, THRESHOLD));
	everybody();
}

int main(void)
{
	RUN(few_arenas);
	RUN(heap_of_blocks);
	RUN(with_handlers);
	return any_failed;
}
