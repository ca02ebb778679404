/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/ring_test.c: both halves of a ring in one process, with a mapping each: accesses and
 * their order, sleeping, threads, a peer that is gone, and a client that scribbles.
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <time.h>

#include "base/test_count.h"
#include "base/thread.h"
#include "vfio_user/ring_memory.h"
#include "vfio_user/test_conn.h"

#define REGISTERS 16u

/*
 * A device: registers of 8 bytes in region 1, of which the last one is slow, and a read of GATED
 * takes until another thread posts the gate.
 */
#define GATED (REGISTERS - 2)
struct device {
	sem_t gate;
	_Atomic uint64_t reg[REGISTERS];
	_Atomic uint32_t irqs[4]; /* flags, start, count, data: the last SET_IRQS */
	atomic_int broken;
	atomic_uint slow_ms;
};

static void sleep_ms(unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

static int access_device(void *arg, uint32_t region, uint64_t offset, void *buf, uint32_t count,
			 bool write)
{
	struct device *d = arg;
	uint64_t v = 0, i = offset / 8;

	assert_in_range(count, 1, 8);
	if (region != 1 || i >= REGISTERS)
		return -EINVAL;
	if (i == REGISTERS - 1)
		sleep_ms(d->slow_ms);
	while (i == GATED && !write && sem_wait(&d->gate))
		;
	if (write) {
		memcpy(&v, buf, count);
		atomic_store(&d->reg[i], v);
	} else {
		v = atomic_load(&d->reg[i]);
		memcpy(buf, &v, count);
	}
	return 0;
}

static int set_irqs(void *arg, const struct vu_set_irqs *set, const uint8_t *data)
{
	struct device *d = arg;
	uint32_t first;

	memcpy(&first, data, sizeof(first));
	d->irqs[0] = set->flags;
	d->irqs[1] = set->start;
	d->irqs[2] = set->count;
	d->irqs[3] = first;
	return set->index == 2 ? 0 : -ENOTTY;
}

static void broken(void *arg, int error)
{
	atomic_store(&((struct device *)arg)->broken, error);
}

static const struct vu_ring_ops ops = { access_device, set_irqs, broken };

struct ring {
	struct device d;
	struct vu_conn *c[2];
	struct vu_ring_info info;
	int fd;
	struct vu_ring_server *server;
	struct vu_ring *client;
};

static void make_ring(struct ring *r, uint64_t timeout_ns)
{
	memset(r, 0, sizeof(*r));
	sem_init(&r->d.gate, 0, 0);
	make_pair(r->c);
	assert_int_equal(vu_ring_server_new(&ops, &r->d, "test", &r->info, &r->fd, &r->server), 0);
	assert_int_equal(vu_ring_new(r->c[0], &r->info, r->fd, timeout_ns, &r->client), 0);
}

static void end_ring(struct ring *r)
{
	vu_ring_free(r->client);
	vu_ring_server_free(r->server);
	fd_close_private(r->fd);
	vu_conn_free(r->c[0]);
	vu_conn_free(r->c[1]);
	sem_destroy(&r->d.gate);
}

/* Once; the machine may be so busy that the socket would be the better way. */
static int get_once(struct ring *r, unsigned i, uint64_t *v)
{
	return vu_ring_access(r->client, 1, i * 8, v, 8, false, false);
}

static int ring_access(struct ring *r, uint32_t region, uint64_t offset, void *buf, uint32_t count,
		       bool write, bool post)
{
	int rc;

	do
		rc = vu_ring_access(r->client, region, offset, buf, count, write, post);
	while (rc == VU_RING_BUSY);
	return rc;
}

static int ring_irqs(struct ring *r, const struct vu_set_irqs *irqs, const uint8_t *data)
{
	int rc;

	do
		rc = vu_ring_set_irqs(r->client, irqs, data);
	while (rc == VU_RING_BUSY);
	return rc;
}

static int get(struct ring *r, unsigned i, uint64_t *v)
{
	return ring_access(r, 1, i * 8, v, 8, false, false);
}

static int set(struct ring *r, unsigned i, uint64_t v, bool post)
{
	return ring_access(r, 1, i * 8, &v, 8, true, post);
}

static void test_access(void **state)
{
	uint64_t v = 0x1122334455667788, back;
	struct ring r;

	make_ring(&r, SECOND * 60);
	for (unsigned n = 1; n <= 8; n++) {
		assert_int_equal(ring_access(&r, 1, 8, &v, n, true, false), 0);
		back = 0;
		assert_int_equal(ring_access(&r, 1, 8, &back, n, false, false), 0);
		assert_true(back == (n == 8 ? v : v & ((1ull << 8 * n) - 1)));
	}
	assert_int_equal(get(&r, REGISTERS, &back), -EINVAL);
	assert_int_equal(ring_access(&r, 2, 8, &v, 4, true, false), -EINVAL);
	assert_int_equal(ring_access(&r, 2, 8, &v, 4, true, true), 0); /* who knows */
	assert_int_equal(ring_access(&r, 1, 8, &v, 0, true, false), -EINVAL);
	assert_int_equal(ring_access(&r, 1, 8, &v, 9, true, false), -EINVAL);
	end_ring(&r);
}

static void test_irqs(void **state)
{
	struct vu_set_irqs s = { .flags = VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER,
				 .index = 2,
				 .start = 7,
				 .count = 8 };
	uint8_t bools[9] = { 1, 0, 1, 1, 0, 0, 0, 0, 0 };
	struct ring r;

	make_ring(&r, SECOND * 60);
	assert_int_equal(ring_irqs(&r, &s, bools), 0);
	assert_int_equal(r.d.irqs[0], s.flags);
	assert_int_equal(r.d.irqs[1], 7);
	assert_int_equal(r.d.irqs[2], 8);
	assert_int_equal(r.d.irqs[3], 0x01010001);
	s.count = 9;
	assert_int_equal(ring_irqs(&r, &s, bools), -EINVAL);
	assert_int_equal(ring_irqs(&r, &s, NULL), -EINVAL); /* the server says so */
	s.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	assert_int_equal(ring_irqs(&r, &s, NULL), -EINVAL);
	s.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK;
	s.count = 2048;
	assert_int_equal(ring_irqs(&r, &s, NULL), 0);
	assert_int_equal(r.d.irqs[2], 2048);
	s.index = 1;
	assert_int_equal(ring_irqs(&r, &s, NULL), -ENOTTY);
	end_ring(&r);
}

/* Either side has gone to sleep before the other one does something. */
static void test_sleeps(void **state)
{
	struct ring r;
	uint64_t v;

	make_ring(&r, SECOND * 60);
	for (unsigned i = 0; i < 20; i++) {
		sleep_ms(1);
		assert_int_equal(set(&r, 3, i, i % 2), 0);
		sleep_ms(1);
		assert_int_equal(get(&r, 3, &v), 0);
		assert_int_equal(v, i);
	}
	r.d.slow_ms = 3; /* the client sleeps */
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(set(&r, REGISTERS - 1, i, i % 2), 0);
		assert_int_equal(get(&r, REGISTERS - 1, &v), 0);
		assert_int_equal(v, i);
	}
	end_ring(&r);
}

static void test_posts(void **state)
{
	struct ring r;
	uint64_t v;

	make_ring(&r, SECOND * 60);
	for (unsigned i = 0; i < 3000; i++) {
		assert_int_equal(set(&r, i % 8, i, true), 0);
		if (i % 100)
			continue;
		assert_int_equal(get(&r, i % 8, &v), 0);
		assert_int_equal(v, i);
	}
	assert_int_equal(vu_ring_flush(r.client), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(r.d.reg[(2992 + i) % 8], 2992 + i);
	end_ring(&r);
}

/* ---- threads */

struct player {
	struct ring *r;
	pthread_t thread;
	atomic_uint *turn;
	unsigned me, rounds, failed;
};

/* By turns: each one sees what the other one posted last. */
static void *play(void *arg)
{
	struct player *p = arg;
	uint64_t v;

	for (unsigned i = p->me; i < p->rounds; i += 2) {
		while (atomic_load(p->turn) != i)
			sched_yield();
		p->failed += get(p->r, 2, &v) || v != i;
		p->failed += set(p->r, 5, i, true) != 0;
		p->failed += set(p->r, 2, i + 1, true) != 0;
		atomic_store(p->turn, i + 1);
	}
	return NULL;
}

static void test_order_of_threads(void **state)
{
	struct player p[2];
	atomic_uint turn = 0;
	struct ring r;

	make_ring(&r, SECOND * 60);
	for (unsigned i = 0; i < 2; i++) {
		p[i] = (struct player){ .r = &r, .turn = &turn, .me = i, .rounds = 2000 };
		assert_int_equal(pthread_create(&p[i].thread, NULL, play, &p[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(p[i].thread, NULL);
		assert_int_equal(p[i].failed, 0);
	}
	end_ring(&r);
}

/* One of more than there are lanes, some of which have the same register. */
static void *hammer(void *arg)
{
	struct player *p = arg;
	uint64_t v;

	for (unsigned i = 0; i < p->rounds; i++) {
		p->failed += set(p->r, p->me % 8, p->me, i % 3) != 0;
		p->failed += get(p->r, p->me % 8, &v) || v % 8 != p->me % 8;
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	static struct player p[VU_RING_LANES + 8];
	struct ring r;

	make_ring(&r, SECOND * 60);
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = (struct player){ .r = &r, .me = i, .rounds = 50 };
		assert_int_equal(pthread_create(&p[i].thread, NULL, hammer, &p[i]), 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
		pthread_join(p[i].thread, NULL);
		assert_int_equal(p[i].failed, 0);
	}
	end_ring(&r);
}

static atomic_bool stop_slow;

static void *get_slow(void *arg)
{
	struct ring *r = arg;
	int rc = 0;
	uint64_t v;

	while (!atomic_load(&stop_slow) && !rc)
		rc = get(r, REGISTERS - 1, &v);
	return (void *)(intptr_t)rc;
}

static void test_no_lane(void **state)
{
	pthread_t t[VU_RING_LANES];
	struct ring r;
	uint64_t v;
	void *rc;

	make_ring(&r, SECOND * 60);
	r.d.slow_ms = 1;
	for (unsigned i = 0; i < VU_RING_LANES; i++)
		assert_int_equal(pthread_create(&t[i], NULL, get_slow, &r), 0);
	while (get_once(&r, 0, &v) != VU_RING_BUSY)
		;
	atomic_store(&stop_slow, true);
	for (unsigned i = 0; i < VU_RING_LANES; i++) {
		pthread_join(t[i], &rc);
		assert_null(rc);
	}
	assert_int_equal(get(&r, 0, &v), 0);
	end_ring(&r);
}

/* Where a server that sleeps does not come soon, most requests go by the socket. */
static void test_slow_to_wake(void **state)
{
	struct vu_ring_memory *m;
	unsigned n = 0, others = 0;
	struct ring r;
	uint64_t v;

	if (thread_cpus() < 2)
		skip();
	make_ring(&r, SECOND * 60);
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	assert_ptr_not_equal(m, MAP_FAILED);
	r.d.slow_ms = 1;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(get(&r, REGISTERS - 1, &v), 0);
	for (; n < 50; n++) {
		while (!atomic_load(&m->asleep))
			sched_yield();
		others += get_once(&r, REGISTERS - 1, &v) == VU_RING_BUSY;
	}
	assert_in_range(others, 40, 49);
	munmap(m, sizeof(*m));
	end_ring(&r);
}

/* ---- the end */

#define GATED_READS 7u /* so many may be overtaken */

static void *read_gated(void *arg)
{
	uint64_t v = 0;

	/* cmocka's assertions are the main thread's */
	return ring_access(arg, 1, GATED * 8, &v, 8, false, false) || v != 77 ? arg : NULL;
}

/* Reads that take long are overtaken by what comes on other lanes. */
static void test_overtaken(void **state)
{
	pthread_t threads[GATED_READS];
	struct ring r;
	uint64_t v;
	void *bad;

	make_ring(&r, SECOND * 60);
	v = 77;
	assert_int_equal(ring_access(&r, 1, GATED * 8, &v, 8, true, false), 0);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < GATED_READS; i++)
			assert_int_equal(thread_start(&threads[i], read_gated, &r, "reader"), 0);
		for (unsigned i = 0; i < 100; i++) {
			v = i;
			assert_int_equal(ring_access(&r, 1, 8, &v, 8, true, i % 2), 0);
			assert_int_equal(ring_access(&r, 1, 8, &v, 8, false, false), 0);
			assert_int_equal(v, i);
		}
		for (unsigned i = 0; i < GATED_READS; i++)
			sem_post(&r.d.gate);
		for (unsigned i = 0; i < GATED_READS; i++) {
			pthread_join(threads[i], &bad);
			assert_null(bad);
		}
	}
	end_ring(&r);
}

/* What stands behind such a read on its own lane comes after it, also if all sleep. */
static void test_behind_overtaken(void **state)
{
	struct vu_ring_slot *slot;
	struct vu_ring_memory *m;
	struct ring r;
	uint64_t v = 0;

	make_ring(&r, SECOND * 60);
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	assert_ptr_not_equal(m, MAP_FAILED);
	/* by hand, on a lane that the client does not use: a read, and a write behind it */
	for (unsigned n = 1; n <= 2; n++) {
		slot = &m->lanes[5].slots[n];
		atomic_store(&slot->op, n == 1 ? VU_RING_READ : VU_RING_WRITE);
		atomic_store(&slot->region, 1);
		atomic_store(&slot->count, 8);
		atomic_store(&slot->offset, n == 1 ? GATED * 8 : 3 * 8);
		atomic_store(&slot->data, 33);
		atomic_store(&slot->number, n);
	}
	atomic_store(&m->used, 6);
	while (!atomic_load(&r.d.reg[0])) {
		v = 1;
		assert_int_equal(ring_access(&r, 1, 0, &v, 8, true, false), 0);
	}
	assert_int_equal(atomic_load(&r.d.reg[3]), 0);
	while (!atomic_load(&m->asleep))
		sleep_ms(1);
	sem_post(&r.d.gate);
	while (atomic_load(&m->lanes[5].answer.done) != 2)
		sleep_ms(1);
	assert_int_equal(atomic_load(&r.d.reg[3]), 33);
	munmap(m, sizeof(*m));
	end_ring(&r);
}

static void test_server_gone(void **state)
{
	struct ring r;
	uint64_t v = 0;

	make_ring(&r, SECOND * 60);
	assert_int_equal(get(&r, 0, &v), 0);
	vu_ring_server_free(r.server);
	r.server = NULL;
	vu_conn_free(r.c[1]);
	r.c[1] = NULL;
	assert_int_equal(get(&r, 0, &v), -ECONNRESET);
	assert_int_equal(get(&r, 0, &v), -ECONNRESET);
	assert_int_equal(set(&r, 0, v, true), -ECONNRESET);
	assert_int_equal(vu_ring_flush(r.client), -ECONNRESET);
	assert_int_equal(vu_conn_error(r.c[0]), -ECONNRESET);
	end_ring(&r);
}

static void test_server_silent(void **state)
{
	struct ring r;
	uint64_t v;

	make_ring(&r, 1000000);
	r.d.slow_ms = 200;
	assert_int_equal(get(&r, REGISTERS - 1, &v), -ETIMEDOUT);
	assert_int_equal(vu_conn_error(r.c[0]), -ETIMEDOUT);
	end_ring(&r);
}

/* An error that is none, as another server might say, is EIO. */
static void test_odd_error(void **state)
{
	static const int32_t errors[] = { 1, 4095, -4095, INT32_MIN };
	struct vu_ring_memory *m;
	struct ring r;
	uint64_t v;

	make_ring(&r, SECOND * 60);
	vu_ring_server_free(r.server);
	r.server = NULL;
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	assert_ptr_not_equal(m, MAP_FAILED);
	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		for (unsigned k = 0; k < VU_RING_LANES; k++) {
			m->lanes[k].answer.error = errors[i];
			m->lanes[k].answer.done = i + 1;
		}
		assert_int_equal(get(&r, 0, &v), -EIO);
	}
	munmap(m, sizeof(*m));
	end_ring(&r);
}

static void test_no_ring(void **state)
{
	const unsigned seals = F_SEAL_SHRINK | F_SEAL_GROW;
	struct vu_ring_info wrong;
	struct vu_ring *c;
	struct ring r;
	int fd;

	make_ring(&r, SECOND);
	for (unsigned i = 0; i < 3; i++) {
		wrong = r.info;
		wrong.lanes += i == 0;
		wrong.slots -= i == 1;
		wrong.size += i == 2;
		assert_int_equal(vu_ring_new(r.c[0], &wrong, r.fd, 0, &c), -EPROTO);
	}
	/* memory that its maker can take away, or that is too short; no memory */
	fd = memfd_create("ring", MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, (off_t)r.info.size), 0);
	assert_int_equal(vu_ring_new(r.c[0], &r.info, fd, 0, &c), -EPROTO);
	assert_int_equal(ftruncate(fd, (off_t)r.info.size - 1), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	assert_int_equal(vu_ring_new(r.c[0], &r.info, fd, 0, &c), -EPROTO);
	close(fd);
	assert_int_equal(vu_ring_new(r.c[0], &r.info, vu_conn_fd(r.c[0]), 0, &c), -EPROTO);
	/* and of ours neither side can */
	assert_int_equal(ftruncate(r.fd, 0), -1);
	assert_int_equal(fcntl(r.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	end_ring(&r);
}

/* ---- a client that scribbles */

static void test_scribble(void **state)
{
	_Atomic uint32_t *words;
	struct vu_ring_memory *m;
	unsigned seed = 1, n;
	struct ring r;

	make_ring(&r, SECOND * 60);
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	assert_ptr_not_equal(m, MAP_FAILED);
	words = (_Atomic uint32_t *)m;
	n = sizeof(*m) / sizeof(*words);
	for (unsigned i = 0; i < 300000; i++)
		atomic_store_explicit(&words[(unsigned)rand_r(&seed) % n],
				      (unsigned)rand_r(&seed) % 20, memory_order_relaxed);
	munmap(m, sizeof(*m));
	end_ring(&r);
}

/* It wakes the server for nothing, over and over: that ends its connection, not the server. */
static void test_wake_for_nothing(void **state)
{
	struct vu_ring_memory *m;
	struct ring r;

	make_ring(&r, SECOND * 60);
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	assert_ptr_not_equal(m, MAP_FAILED);
	while (!atomic_load(&r.d.broken)) {
		if (atomic_exchange(&m->asleep, 0))
			vu_ring_wake(&m->asleep);
		sched_yield();
	}
	assert_int_equal(r.d.broken, -EPROTO);
	atomic_store(&m->asleep, 1); /* nor does this keep it */
	munmap(m, sizeof(*m));
	end_ring(&r);
}

static void test_nothing_left(void **state)
{
	unsigned fds = test_count_fds(), maps = test_count_file_mappings();
	struct ring r;

	for (unsigned i = 0; i < 10; i++) {
		make_ring(&r, SECOND * 60);
		end_ring(&r);
	}
	assert_int_equal(test_count_fds(), fds);
	assert_int_equal(test_count_file_mappings(), maps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access),		 cmocka_unit_test(test_irqs),
		cmocka_unit_test(test_sleeps),		 cmocka_unit_test(test_posts),
		cmocka_unit_test(test_order_of_threads), cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_no_lane),		 cmocka_unit_test(test_slow_to_wake),
		cmocka_unit_test(test_overtaken),	 cmocka_unit_test(test_behind_overtaken),
		cmocka_unit_test(test_server_gone),	 cmocka_unit_test(test_server_silent),
		cmocka_unit_test(test_odd_error),	 cmocka_unit_test(test_no_ring),
		cmocka_unit_test(test_scribble),	 cmocka_unit_test(test_wake_for_nothing),
		cmocka_unit_test(test_nothing_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
