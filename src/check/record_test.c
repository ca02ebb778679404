/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/record_test.c: reports become records: one for each mistake, counted after that; with what
 * led to it; no more than there is room for; by many threads and processes at once.
 */
#include <errno.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/report.h"
#include "base/test_signals.h"
#include "check/internal.h"

static struct check_shared *shared;
#define SPACE ((const void *)0x1000)

static int setup(void **state)
{
	log_set(-1, LOG_NONE);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return -1;
	shared->magic = CHECK_MAGIC;
	shared->size = sizeof(*shared);
	check_wanted_default(&shared->wanted);
	return check_start_with(shared, false);
}

static int teardown(void **state)
{
	check_stop();
	return munmap(shared, sizeof(*shared));
}

static unsigned ready(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CHECK_SLOTS; i++)
		n += atomic_load(&shared->slot[i].state) == CHECK_READY;
	return n;
}

static const struct check_record *record(unsigned seq)
{
	for (unsigned i = 0; i < CHECK_SLOTS; i++)
		if (atomic_load(&shared->slot[i].state) == CHECK_READY &&
		    shared->slot[i].r.seq == seq)
			return &shared->slot[i].r;
	return NULL;
}

static void free_slots(void)
{
	for (unsigned i = 0; i < CHECK_SLOTS; i++)
		atomic_store(&shared->slot[i].state, CHECK_FREE);
}

/* A DMA at @iova that is refused, in a call of the program's from @ip. */
static void refuse(uint64_t iova, uintptr_t ip)
{
	struct report_about about = {
		.access = REPORT_DMA, .write = true, .at = iova, .size = 64, .space = SPACE
	};
	CALL_FRAME("ioctl", ((struct call_site){ .ip = (void *)ip }));
	REPORT_CODE(code, LOG_WARN, "dma-unmapped");

	report_say_about(&code, "0000:01:00.0", 0, &about, "write at %#llx",
			 (unsigned long long)iova);
}

static void event(enum event_kind kind, uint64_t at, uint64_t size, uint64_t mem, uintptr_t ip)
{
	CALL_FRAME("ioctl", ((struct call_site){ .ip = (void *)ip }));

	event_tell(&(struct event){
		.kind = kind, .space = SPACE, .at = at, .size = size, .mem = (void *)mem });
}

static void test_once(void **state)
{
	const struct check_record *r;

	refuse(0x1000, 0x5000);
	refuse(0x2000, 0x5000);
	assert_int_equal(ready(), 1);
	r = record(0);
	assert_non_null(r);
	assert_string_equal(check_kinds[r->kind].name, "dma-unmapped");
	assert_string_equal(r->device, "0000:01:00.0");
	assert_string_equal(r->text, "write at 0x1000");
	assert_string_equal(r->call, "ioctl");
	assert_int_equal(r->pid, getpid());
	assert_int_equal(r->stack.n, 1);
	assert_int_equal(r->stack.pc[0], 0x5000);
	assert_int_equal(r->stack.module[0], CHECK_NO_MODULE);
	assert_int_equal(r->at, 0x1000);
	assert_int_equal(atomic_load(&shared->seen[r->seen].count), 2);
	/* from elsewhere it is another one */
	refuse(0x1000, 0x5010);
	assert_int_equal(ready(), 2);
	/* what is no kind is none, nor what is not looked for */
	report_warn("no-such-kind", "a", 0, "text");
	shared->wanted.kinds = 0;
	refuse(0x1000, 0x5020);
	assert_int_equal(ready(), 2);
}

static void test_modules(void **state)
{
	const struct check_record *r;
	const struct check_module *m;

	refuse(0x1000, (uintptr_t)test_modules + 8);
	refuse(0x1000, (uintptr_t)gnu_get_libc_version + 1);
	r = record(0);
	assert_int_equal(r->stack.module[0], 0);
	m = &shared->module[0];
	assert_int_equal(atomic_load(&m->state), CHECK_READY);
	assert_non_null(strstr(m->path, "check-record_test"));
	assert_int_equal(record(1)->stack.module[0], 1);
	assert_non_null(strstr(shared->module[1].path, "libc.so"));
	assert_int_equal(shared->module[1].build_id_len, 20);
}

static void test_history(void **state)
{
	const struct check_record *r;

	event(EVENT_SPACE, 0, UINT64_MAX, 0, 0);
	event(EVENT_MAP, 0x10000, 0x2000, 0x700000, 0x6000);
	event(EVENT_UNMAP, 0x10000, 0x2000, 0, 0x6010);
	event(EVENT_MAP, 0x20000, 0x1000, 0x800000, 0x6020);
	/* stale: both are told */
	refuse(0x11000, 0x5000);
	r = record(0);
	assert_string_equal(check_kinds[r->kind].name, "dma-stale");
	assert_int_equal(r->parts, 2);
	assert_int_equal(r->part[0].role, CHECK_UNMAPPED);
	assert_int_equal(r->part[0].stack.pc[0], 0x6010);
	assert_int_equal(r->part[1].role, CHECK_MAPPED);
	assert_int_equal(r->part[1].stack.pc[0], 0x6000);
	assert_int_equal(r->part[1].size, 0x2000);
	assert_string_equal(r->part[1].call, "ioctl");
	/* a virtual address: of what is mapped now, not of what was */
	refuse(0x800010, 0x5010);
	r = record(1);
	assert_string_equal(check_kinds[r->kind].name, "dma-unmapped");
	assert_int_equal(r->has_meant, 1);
	assert_int_equal(r->meant, 0x20010);
	refuse(0x700010, 0x5020);
	assert_int_equal(record(2)->has_meant, 0);
	/* mapped again, and unmapped in part: the last one is told */
	event(EVENT_MAP, 0x10000, 0x2000, 0x700000, 0x6030);
	event(EVENT_UNMAP, 0x11000, 0x1000, 0, 0x6040);
	refuse(0x11000, 0x5030);
	r = record(3);
	assert_int_equal(r->part[0].stack.pc[0], 0x6040);
	assert_int_equal(r->part[1].stack.pc[0], 0x6030);
	/* a new space at the same address has nothing of it */
	event(EVENT_SPACE, 0, UINT64_MAX, 0, 0);
	refuse(0x11000, 0x5040);
	assert_string_equal(check_kinds[record(4)->kind].name, "dma-unmapped");
	assert_int_equal(record(4)->parts, 0);
}

static void store(uint64_t at, uint64_t value, uintptr_t ip)
{
	CALL_FRAME("memory access", ((struct call_site){ .ip = (void *)ip, .exact = true }));

	event_tell(&(struct event){ .kind = EVENT_STORE,
				    .at = at,
				    .size = 4,
				    .who = "0000:01:00.0",
				    .bar = 2,
				    .value = value,
				    .reg = "DMA_CMD" });
}

static void test_store(void **state)
{
	const struct check_record *r;

	store(0x98, 1, 0x7000);
	store(0x9c, 2, 0x7010);
	report_warn("dma-rights", "0000:02:00.0", 0, "another device");
	report_warn("dma-rights", "0000:01:00.0", 0, "this one");
	assert_int_equal(record(0)->parts, 0);
	r = record(1);
	assert_string_equal(r->call, "");
	assert_int_equal(r->parts, 1);
	assert_int_equal(r->part[0].role, CHECK_STARTED);
	assert_int_equal(r->part[0].at, 0x9c);
	assert_int_equal(r->part[0].bar, 2);
	assert_int_equal(r->part[0].value, 2);
	assert_string_equal(r->part[0].reg, "DMA_CMD");
	assert_int_equal(r->part[0].stack.pc[0], 0x7010);
	assert_int_equal(r->part[0].stack.exact, 1);
}

/* A mistake that is where the program did something before, whatever it does now. */
static void test_place(void **state)
{
	CALL_FRAME("close", ((struct call_site){ .ip = (void *)0x9000, .exact = true }));
	struct report_about about = { .place = "it was set up", .of = "device 1" };
	REPORT_CODE(code, LOG_WARN, "dma-rights");
	const struct check_record *r;

	for (unsigned i = 0; i < 2; i++) {
		CALL_FRAME("ioctl",
			   ((struct call_site){ .ip = (void *)(0x8000ul + i), .exact = true }));

		event_place("it was set up", i ? "device 1" : "device 0");
	}
	report_say_about(&code, "device 1", 0, &about, "not taken back");
	r = record(0);
	assert_string_equal(r->call, "");
	assert_int_equal(r->stack.n, 0);
	assert_int_equal(r->parts, 1);
	assert_int_equal(r->part[0].role, CHECK_PLACE);
	assert_string_equal(r->part[0].reg, "it was set up");
	assert_int_equal(r->part[0].stack.pc[0], 0x8001);
	/* of what nothing is known the call is told */
	about.of = "device 2";
	report_say_about(&code, "device 2", 0, &about, "not taken back");
	r = record(1);
	assert_string_equal(r->call, "close");
	assert_int_equal(r->stack.pc[0], 0x9000);
	assert_int_equal(r->parts, 0);
}

static unsigned lines;

static void count(const struct report *r, void *arg)
{
	lines += !*r->shown;
}

static struct report_subscriber counter = { .fn = count, .level = LOG_WARN };

static void test_full(void **state)
{
	lines = 0;
	/* those that came first are told first, and this one shall see what the checker said */
	check_stop();
	report_subscribe(&counter);
	assert_int_equal(check_start_with(shared, false), 0);
	for (unsigned i = 0; i < CHECK_SLOTS + 5; i++)
		refuse(0x1000, 0x5000 + 16 * i);
	assert_int_equal(ready(), CHECK_SLOTS);
	assert_int_equal(atomic_load(&shared->lost), 5);
	assert_int_equal(lines, 5);
	/* when there is room they are told when they come again */
	free_slots();
	refuse(0x1000, 0x5000 + 16 * CHECK_SLOTS);
	refuse(0x1000, 0x5000);
	assert_int_equal(ready(), 1);
	/* nobody reads any more: lines */
	atomic_store(&shared->closed, 1);
	refuse(0x1000, 0x4000);
	assert_int_equal(lines, 6);
	report_unsubscribe(&counter);
}

/* ---- many at once ---- */

#define THREADS 4u
#define ROUNDS	2000u

static atomic_bool over;

static void *worker(void *arg)
{
	uintptr_t n = (uintptr_t)arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t at = 0x100000 * (n + 1) + 0x1000ull * (i % 8);

		event(EVENT_MAP, at, 0x1000, 0x7000000 + at, 0x6000 + n);
		store(i % 16, i, 0x7000 + n);
		event(EVENT_UNMAP, at, 0x1000, 0, 0x6100 + n);
		refuse(at, 0x5000 + 16 * (i % 50) + 0x10000 * n);
		report_warn("dma-rights", "0000:01:00.0", 0, "by no call");
	}
	return NULL;
}

/* What `uvfio run` does: nothing that it finds is half a record. */
static void *reader(void *arg)
{
	unsigned *bad = arg;
	bool last = false;

	while (!last) {
		last = atomic_load(&over);
		for (unsigned i = 0; i < CHECK_SLOTS; i++) {
			struct check_slot *s = &shared->slot[i];

			if (atomic_load_explicit(&s->state, memory_order_acquire) != CHECK_READY)
				continue;
			*bad += s->r.pid != getpid() || s->r.parts > CHECK_PARTS ||
				strcmp(s->r.device, "0000:01:00.0");
			for (unsigned k = 0; k < s->r.parts && k < CHECK_PARTS; k++)
				*bad += s->r.part[k].stack.n != 1;
			atomic_store_explicit(&s->state, CHECK_FREE, memory_order_release);
		}
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[THREADS], r;
	unsigned bad = 0;
	unsigned long long n = 0;

	atomic_store(&over, false);
	assert_int_equal(pthread_create(&r, NULL, reader, &bad), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, worker, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	atomic_store(&over, true);
	pthread_join(r, NULL);
	assert_int_equal(bad, 0);
	for (unsigned i = 0; i < CHECK_SEEN; i++)
		n += atomic_load(&shared->seen[i].count);
	assert_int_equal(n, 2 * THREADS * ROUNDS);
}

/* Children that are killed while they report: what they leave is whole, or is not READY. */
static void test_killed(void **state)
{
	unsigned cut = 0;

	for (unsigned i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (!pid) {
			check_forked();
			for (uintptr_t k = 0;; k++)
				refuse(0x1000, 0x100000 * (i + 1) + 16 * (k % 32));
		}
		usleep(500 * (i % 5));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		for (unsigned k = 0; k < CHECK_SLOTS; k++) {
			struct check_slot *s = &shared->slot[k];

			if (atomic_load(&s->state) == CHECK_READY) {
				assert_string_equal(s->r.device, "0000:01:00.0");
				assert_int_equal(s->r.stack.n, 1);
				atomic_store(&s->state, CHECK_FREE);
			}
		}
	}
	for (unsigned k = 0; k < CHECK_SLOTS; k++)
		cut += atomic_load(&shared->slot[k].state) == CHECK_WRITING;
	assert_true(cut <= 40);
	/* and this process goes on */
	refuse(0x1000, 0x5000);
	assert_int_equal(ready(), 1);
}

/* ---- kinds ---- */

static void test_kinds(void **state)
{
	const uint64_t stale = 1ull << check_kind_find("dma-stale");
	const uint64_t rights = 1ull << check_kind_find("dma-rights");
	struct check_wanted w;
	const char *bad;
	unsigned len;
	uint64_t all;

	check_wanted_default(&w);
	all = w.kinds;
	assert_false(check_is_wanted(&w, (unsigned)check_kind_find("dma-uninit"), NULL));
	assert_int_equal(check_wanted_parse("dma", &w, &bad, &len), 0);
	assert_true(check_is_wanted(&w, (unsigned)check_kind_find("dma-uninit"), NULL));
	for (unsigned i = 0; i < check_num_kinds; i++)
		all |= check_kinds[i].asked ? 1ull << i : 0;
	assert_int_equal(check_wanted_parse("-all,dma-stale,dma-rights", &w, &bad, &len), 0);
	assert_int_equal(w.kinds, stale | rights);
	assert_int_equal(check_wanted_parse("-dma-stale", &w, &bad, &len), 0);
	assert_int_equal(w.kinds, rights);
	assert_int_equal(check_wanted_parse("all", &w, &bad, &len), 0);
	assert_int_equal(w.kinds, all);
	assert_int_equal(check_wanted_parse("dma,no-such,x", &w, &bad, &len), -EINVAL);
	assert_int_equal(len, 7);
	assert_memory_equal(bad, "no-such", 7);
	assert_int_equal(check_wanted_parse("", &w, &bad, &len), -EINVAL);
	assert_int_equal(check_wanted_parse("dma,", &w, &bad, &len), -EINVAL);
	assert_int_equal(check_wanted_parse("proto-", &w, &bad, &len), -EINVAL);
	assert_int_equal(check_kind_find("dma"), -1);
	for (unsigned i = 0; i < check_num_kinds; i++) {
		assert_int_equal(check_kind_find(check_kinds[i].name), i);
		assert_true(strlen(check_kinds[i].name) < 18);
	}
}

static void test_kinds_of_models(void **state)
{
	struct check_wanted w;
	const char *bad;
	unsigned len;

	check_wanted_default(&w);
	assert_true(check_is_wanted(&w, CHECK_PROTO, "proto-x-one"));
	assert_int_equal(check_wanted_parse("-proto-x,proto-x-one", &w, &bad, &len), 0);
	assert_true(check_is_wanted(&w, CHECK_PROTO, "proto-x-one"));
	assert_false(check_is_wanted(&w, CHECK_PROTO, "proto-x-two"));
	assert_true(check_is_wanted(&w, CHECK_PROTO, "proto-xy-two"));
	assert_true(check_is_wanted(&w, 0, "proto-x-two"));
	assert_int_equal(check_wanted_parse("-proto", &w, &bad, &len), 0);
	assert_false(check_is_wanted(&w, CHECK_PROTO, "proto-x-one"));
	assert_true(check_is_wanted(&w, 0, ""));
	for (unsigned i = 0; i < CHECK_RULES; i++)
		assert_int_equal(check_wanted_parse("proto-x", &w, &bad, &len), 0);
	assert_int_equal(check_wanted_parse("proto-x", &w, &bad, &len), -EINVAL);
	assert_int_equal(len, 7);
}

/* What is in the table for others comes with the report of a model. */
static void test_models(void **state)
{
	static const struct report_code one = { "proto-x-one", " (X 1.0)", LOG_WARN, true, "Not." };
	static const struct report_code two = { "proto-x-two", NULL, LOG_WARN, true, "Nor." };
	const struct check_record *r;

	report_say(&one, "a", 0, "text");
	report_say(&one, "a", 0, "text");
	report_say(&two, "a", 0, "text");
	assert_int_equal(ready(), 2);
	r = record(0);
	assert_int_equal(r->kind, CHECK_PROTO);
	assert_string_equal(r->kind_name, "proto-x-one");
	assert_string_equal(r->text, "text (X 1.0)");
	assert_string_equal(r->fix, "Not.");
	assert_int_equal(atomic_load(&shared->seen[r->seen].count), 2);
	assert_string_equal(record(1)->kind_name, "proto-x-two");
	shared->wanted.kinds &= ~(1ull << CHECK_PROTO);
	report_say(&one, "b", 0, "text");
	assert_int_equal(ready(), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A call that another process makes here is told with its own places. */
static void test_client(void **state)
{
	struct client_place place = {
		.pid = 77,
		.tid = 78,
		.thread = "far",
		.n = 3,
		.exact = 1,
		.pc = { 0x5000 | 4ull << CLIENT_MODULE_BIT, 0x6000 | 0xfffeull << CLIENT_MODULE_BIT,
			0x7000 | (uint64_t)CLIENT_NO_MODULE << CLIENT_MODULE_BIT }
	};
	bool stop = false;
	struct client c = { .place = &place, .stop = &stop };
	const struct check_record *r;

	client_now = &c;
	event(EVENT_MAP, 0x2000, 0x1000, 0, 0x1111);
	event(EVENT_UNMAP, 0x2000, 0x1000, 0, 0x1111);
	refuse(0x2000, 0x2222);
	client_now = NULL;
	assert_false(stop);
	r = record(0);
	assert_non_null(r);
	assert_int_equal(r->pid, 77);
	assert_int_equal(r->tid, 78);
	assert_string_equal(r->thread, "far");
	assert_int_equal(r->stack.n, 3);
	assert_int_equal(r->stack.exact, 1);
	assert_int_equal(r->stack.pc[0], 0x5000);
	assert_int_equal(r->stack.module[0], 3);
	assert_int_equal(r->stack.pc[1], 0x6000);
	assert_int_equal(r->stack.module[1], CHECK_NO_MODULE);
	assert_int_equal(r->stack.module[2], CHECK_NO_MODULE);
	assert_int_equal(r->parts, 2);
	assert_int_equal(r->part[0].tid, 78);
	assert_int_equal(r->part[0].stack.pc[0], 0x5000);
	assert_int_equal(r->part[0].stack.module[0], 3);
}

/* And a process says where its calls to another are. */
static void test_own_place(void **state)
{
	struct client_place place = { .n = 9 };

	check_place(&place);
	assert_int_equal(place.n, 0);
	{
		CALL_FRAME("ioctl", ((struct call_site){ .ip = (void *)test_once, .exact = true }));
		check_place(&place);
	}
	assert_int_equal(place.n, 1);
	assert_int_equal(place.pid, getpid());
	assert_int_equal(place.pc[0] & ((1ull << CLIENT_MODULE_BIT) - 1), (uintptr_t)test_once);
	assert_in_range(place.pc[0] >> CLIENT_MODULE_BIT, 1, CHECK_MODULES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_client, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_place, setup, teardown),
		TEST(test_once),
		TEST(test_modules),
		TEST(test_history),
		TEST(test_store),
		TEST(test_place),
		TEST(test_full),
		TEST(test_threads),
		TEST(test_killed),
		TEST(test_models),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_kinds_of_models),
	};

	if (guard_install())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
