/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/page_request_test.c: page requests between a device and a queue: groups, cookies, what
 * happens when the device is reset or leaves the address space, and threads at both ends.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/util.h"
#include "iommu/group.h"
#include "iommu/page_request.h"

#define MAX 8u

struct end {
	struct iommu_device dev;
	atomic_uint answered; /* calls */
};

static struct iommu_fault_queue *q;
static struct iommu_domain *with, *without;
static struct end a, b;
static bool ready;

static void answered(void *arg)
{
	atomic_fetch_add(&((struct end *)arg)->answered, 1);
}

static void on_ready(void *arg, bool is)
{
	*(bool *)arg = is;
}

static void end_init(struct end *e, const char *name, uint32_t client)
{
	iommu_device_init(&e->dev, name);
	assert_int_equal(iommu_pri_add(&e->dev, MAX, answered, e), 0);
	iommu_pri_client(&e->dev, client);
	atomic_store(&e->answered, 0);
	iommu_device_attach(&e->dev, with);
}

static int setup(void **state)
{
	q = iommu_fault_queue_new();
	with = iommu_domain_new();
	without = iommu_domain_new();
	iommu_domain_set_faults(with, q);
	end_init(&a, "a", 5);
	end_init(&b, "b", 6);
	ready = true;
	iommu_fault_queue_on_ready(q, on_ready, &ready);
	assert_false(ready);
	return 0;
}

static int teardown(void **state)
{
	iommu_device_fini(&a.dev);
	iommu_device_fini(&b.dev);
	iommu_domain_put(with);
	iommu_domain_put(without);
	iommu_fault_queue_put(q);
	return 0;
}

static int ask(struct end *e, uint64_t addr, unsigned group, bool last)
{
	struct iommu_page_request r = {
		.addr = addr, .group = group, .perm = IOMMU_PAGE_READ, .last = last
	};

	return iommu_page_request(&e->dev, &r);
}

static struct iommu_page_record got[2 * MAX];
static int refuse; /* put fails from this record on, if not 0 */

static int put(void *arg, size_t i, const struct iommu_page_record *rec)
{
	if (refuse && (int)i >= refuse)
		return -EFAULT;
	got[i] = *rec;
	return 0;
}

static long take(size_t room)
{
	memset(got, 0, sizeof(got));
	return iommu_fault_queue_read(q, room, put, NULL);
}

/* The device takes its next answer, to group @group. */
static int answer_to(struct end *e, unsigned group)
{
	struct iommu_page_request last;
	int ret = iommu_page_answer(&e->dev, &last);

	if (ret >= 0)
		assert_int_equal(last.group, group);
	return ret;
}

static void in_groups(void **state)
{
	assert_int_equal(take(4), 0);
	/* two groups, mixed: each is seen when its last has come, in this order */
	assert_int_equal(ask(&a, 0x1000, 1, false), 0);
	assert_int_equal(ask(&a, 0x2000, 2, false), 0);
	assert_int_equal(ask(&a, 0x3000, 1, false), 0);
	assert_false(ready);
	assert_int_equal(ask(&a, 0x4000, 2, true), 0);
	assert_true(ready);
	assert_int_equal(ask(&a, 0x5000, 1, true), 0);
	assert_int_equal(take(0), -EINVAL);
	assert_int_equal(take(1), -EINVAL);
	assert_int_equal(take(4), 2); /* the second does not fit */
	assert_int_equal(got[0].r.addr, 0x2000);
	assert_int_equal(got[1].r.addr, 0x4000);
	assert_false(got[0].r.last);
	assert_true(got[1].r.last);
	assert_int_equal(got[0].cookie, 1);
	assert_int_equal(got[1].cookie, 1);
	assert_int_equal(got[0].device, 5);
	assert_true(ready);
	assert_int_equal(take(3), 3);
	assert_int_equal(got[0].r.addr, 0x1000);
	assert_int_equal(got[1].r.addr, 0x3000);
	assert_int_equal(got[2].r.addr, 0x5000);
	assert_int_equal(got[2].cookie, 2);
	assert_false(ready);
	assert_int_equal(a.answered, 0);
	assert_int_equal(answer_to(&a, 0), -ENOENT);
	assert_int_equal(iommu_fault_queue_answer(q, 0, 0), -EINVAL);
	assert_int_equal(iommu_fault_queue_answer(q, 3, 0), -EINVAL);
	assert_int_equal(iommu_fault_queue_answer(q, UINT32_MAX, 0), -EINVAL);
	assert_int_equal(iommu_fault_queue_answer(q, 1, IOMMU_PAGE_INVALID), 0);
	assert_int_equal(iommu_fault_queue_answer(q, 1, 0), -EINVAL);
	assert_int_equal(a.answered, 1);
	assert_int_equal(answer_to(&a, 2), IOMMU_PAGE_INVALID);
	/* the cookie is used again at once */
	assert_int_equal(ask(&b, 0x9000, 1, true), 0);
	assert_int_equal(take(1), 1);
	assert_int_equal(got[0].cookie, 1);
	assert_int_equal(got[0].device, 6);
	assert_int_equal(iommu_fault_queue_answer(q, 2, IOMMU_PAGE_SUCCESS), 0);
	assert_int_equal(answer_to(&a, 1), IOMMU_PAGE_SUCCESS);
	assert_int_equal(iommu_fault_queue_answer(q, 1, IOMMU_PAGE_SUCCESS), 0);
	assert_int_equal(answer_to(&b, 1), IOMMU_PAGE_SUCCESS);
	assert_int_equal(answer_to(&b, 1), -ENOENT);
}

/* A group that could not be given as a whole stays. */
static void put_fails(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ask(&a, i << 12, 1, true), 0);
	refuse = 2;
	assert_int_equal(take(MAX), 2);
	assert_int_equal(ask(&a, 0x8000, 2, false), 0);
	assert_int_equal(ask(&a, 0x9000, 2, true), 0);
	refuse = 1;
	assert_int_equal(take(MAX), 1);
	assert_int_equal(take(MAX), -EFAULT);
	refuse = 0;
	assert_true(ready);
	assert_int_equal(take(MAX), 2);
	assert_int_equal(got[0].cookie, 4);
	assert_false(ready);
}

static void full(void **state)
{
	for (unsigned i = 0; i < MAX; i++)
		assert_int_equal(ask(&a, i << 12, i, i % 2), 0);
	assert_int_equal(ask(&a, 0, 9, true), -EBUSY);
	assert_int_equal(ask(&b, 0, 9, true), 0);
	assert_int_equal(take(MAX), MAX / 2 + 1);
	/* an answer gives room when the device has taken it */
	assert_int_equal(iommu_fault_queue_answer(q, got[0].cookie, 0), 0);
	assert_int_equal(ask(&a, 0, 9, true), -EBUSY);
	assert_int_equal(answer_to(&a, 1), 0);
	assert_int_equal(ask(&a, 0, 9, true), 0);
	/* a reset forgets all, and there are as many again; the client does not hear of it */
	for (unsigned k = 0; k < 3; k++) {
		iommu_pri_reset(&a.dev);
		for (unsigned i = 0; i < MAX; i++)
			assert_int_equal(ask(&a, 0, 10 + i, k < 2 || i < MAX / 2), 0);
		assert_int_equal(ask(&a, 0, 30, true), -EBUSY);
	}
	assert_int_equal(iommu_fault_queue_answer(q, got[1].cookie, 0), 0);
	assert_int_equal(answer_to(&a, 0), -ENOENT); /* it has forgotten it */
	assert_int_equal(ask(&a, 0, 30, true), -EBUSY);
	/* it has all that was ever asked */
	assert_int_equal(take(2 * MAX), 2 * MAX);
	assert_int_equal(take(2 * MAX), MAX / 2 + 1);
}

static void nobody(void **state)
{
	struct iommu_page_request r = { .group = 3, .perm = 1, .last = true };

	iommu_device_attach(&a.dev, without);
	assert_int_equal(iommu_page_request(&a.dev, &r), 0);
	assert_int_equal(answer_to(&a, 3), IOMMU_PAGE_INVALID);
	iommu_device_attach(&a.dev, NULL);
	assert_int_equal(iommu_page_request(&a.dev, &r), 0);
	assert_int_equal(answer_to(&a, 3), IOMMU_PAGE_INVALID);
	/* in the address space, but the client does not have it */
	iommu_device_attach(&a.dev, with);
	iommu_pri_client(&a.dev, 0);
	assert_int_equal(iommu_page_request(&a.dev, &r), 0);
	assert_int_equal(answer_to(&a, 3), IOMMU_PAGE_INVALID);
	iommu_pri_client(&a.dev, 5);
	atomic_store(&a.dev.blocked, true);
	assert_int_equal(iommu_page_request(&a.dev, &r), -EFAULT);
	assert_false(iommu_page_present(&a.dev, 0, 1, IOMMU_NO_PASID));
	assert_false(ready);
}

/* A device that leaves has its answers: those that were read, and those that were not. */
static void leaving(void **state)
{
	assert_int_equal(ask(&a, 0x1000, 1, true), 0);
	assert_int_equal(ask(&b, 0x2000, 2, true), 0);
	assert_int_equal(take(2), 2);
	assert_int_equal(ask(&a, 0x3000, 3, true), 0);
	assert_int_equal(ask(&a, 0x4000, 4, false), 0);
	iommu_device_attach(&a.dev, without);
	assert_false(ready);
	assert_int_equal(answer_to(&a, 3), IOMMU_PAGE_INVALID);
	assert_int_equal(answer_to(&a, 1), IOMMU_PAGE_INVALID);
	assert_int_equal(iommu_fault_queue_answer(q, 1, 0), -EINVAL);
	/* the other one stays; what was half asked is forgotten */
	iommu_device_attach(&a.dev, with);
	assert_int_equal(ask(&a, 0x5000, 4, true), 0);
	assert_int_equal(take(2), 1);
	assert_int_equal(iommu_fault_queue_answer(q, 2, 0), 0);
	assert_int_equal(answer_to(&b, 2), IOMMU_PAGE_SUCCESS);
	/* replaced by one with a queue: answered, too, but half of a group stays */
	assert_int_equal(ask(&a, 0x6000, 6, false), 0);
	iommu_device_attach(&a.dev, with);
	assert_int_equal(answer_to(&a, 4), IOMMU_PAGE_INVALID);
	assert_int_equal(ask(&a, 0x7000, 6, true), 0);
	assert_int_equal(take(2), 2);
}

static void present(void **state)
{
	static char page[4096] __attribute__((aligned(4096)));

	assert_int_equal(iommu_domain_map(with, 0x1000, page, 4096, IOMMU_READ), 0);
	assert_true(iommu_page_present(&a.dev, 0x1fff, IOMMU_PAGE_READ, IOMMU_NO_PASID));
	assert_false(iommu_page_present(&a.dev, 0x1000, IOMMU_PAGE_WRITE, IOMMU_NO_PASID));
	assert_false(iommu_page_present(&a.dev, 0x2000, IOMMU_PAGE_READ, IOMMU_NO_PASID));
	iommu_device_attach(&a.dev, NULL);
	assert_false(iommu_page_present(&a.dev, 0x1000, IOMMU_PAGE_READ, IOMMU_NO_PASID));
}

static void groups_have(void **state)
{
	struct iommu_group *g = iommu_group_new(1);
	struct iommu_device c;

	iommu_device_init(&c, "c");
	assert_int_equal(iommu_group_add(g, &a.dev), 0);
	assert_true(iommu_group_has_pri(g));
	assert_int_equal(iommu_group_add(g, &c), 0);
	assert_false(iommu_group_has_pri(g));
	iommu_group_free(g);
	iommu_device_fini(&c);
}

/* ---- threads: a device asks, a client answers, a third takes the device out and in ---- */

#define ROUNDS 3000u

static atomic_bool stop;

static void *client(void *arg)
{
	struct iommu_page_record one[MAX];
	long n;

	while (!atomic_load(&stop)) {
		n = iommu_fault_queue_read(q, MAX, put, NULL);
		memcpy(one, got, sizeof(one));
		for (long i = 0; i < n; i++)
			if (one[i].r.last) /* or it has left meanwhile */
				iommu_fault_queue_answer(q, one[i].cookie, IOMMU_PAGE_SUCCESS);
		if (n <= 0)
			sched_yield();
	}
	return NULL;
}

static void *mover(void *arg)
{
	for (unsigned i = 0; !atomic_load(&stop); i++) {
		iommu_device_attach(&a.dev, i % 3 ? with : without);
		sched_yield();
	}
	return NULL;
}

/* Each group has one answer, whoever gives it. */
static void threads(void **state)
{
	struct iommu_page_request last;
	unsigned answers = 0;
	pthread_t t[2];

	atomic_store(&stop, false);
	pthread_create(&t[0], NULL, client, NULL);
	pthread_create(&t[1], NULL, mover, NULL);
	for (unsigned i = 0; i < ROUNDS;) {
		if (!ask(&a, i << 12, i % 512, true))
			i++;
		while (iommu_page_answer(&a.dev, &last) >= 0)
			answers++;
	}
	while (answers < ROUNDS) {
		if (iommu_page_answer(&a.dev, &last) >= 0)
			answers++;
		else
			sched_yield();
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(iommu_page_answer(&a.dev, &last), -ENOENT);
	assert_int_equal(a.answered, ROUNDS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* A reset gives all requests back: those whose answer nobody took, and those answered after it. */
static void resets_give_back(void **state)
{
	for (unsigned i = 0; i < 4 * MAX; i++) {
		assert_int_equal(ask(&a, 0x1000, i, true), 0);
		assert_int_equal(take(MAX), 1);
		if (i & 1)
			iommu_pri_reset(&a.dev);
		iommu_device_attach(&a.dev, without);
		if (!(i & 1))
			iommu_pri_reset(&a.dev);
		iommu_device_attach(&a.dev, with);
	}
	assert_int_equal(answer_to(&a, 0), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(in_groups),   TEST(put_fails), TEST(full),
		TEST(nobody),	   TEST(leaving),   TEST(present),
		TEST(groups_have), TEST(threads),   TEST(resets_give_back),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
