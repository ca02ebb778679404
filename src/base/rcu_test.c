/* SPDX-License-Identifier: BSD-3-Clause */
/* base/rcu_test.c: readers in threads and in handlers, a writer that waits for them, forks. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/rcu.h"

#define READERS 80 /* more than counters */
#define ALIVE	0x1234567u
#define DEAD	0xdeadu

struct thing {
	unsigned a, b;
};
#define THINGS 2000
static struct thing things[THINGS], *current;
static atomic_bool stop;
static atomic_long wrong, sections;

static void look(void)
{
	struct thing *t;

	rcu_read_begin();
	t = rcu_get(current);
	/* one in the other: the outer one counts */
	rcu_read_begin();
	if (__atomic_load_n(&t->a, __ATOMIC_RELAXED) != ALIVE)
		atomic_fetch_add(&wrong, 1);
	rcu_read_end();
	if (atomic_fetch_add(&sections, 1) % 16 == 0)
		sched_yield();
	if (__atomic_load_n(&t->b, __ATOMIC_RELAXED) != ALIVE)
		atomic_fetch_add(&wrong, 1);
	rcu_read_end();
	if (rcu_self)
		atomic_fetch_add(&wrong, 1);
}

static void *reader(void *arg)
{
	while (!atomic_load(&stop)) {
		look();
		/*
		 * a thread that has to stop in a section keeps the writer waiting: with so many it
		 * shall be outside, mostly
		 */
		sched_yield();
	}
	return NULL;
}

static void on_signal(int sig)
{
	unsigned self = rcu_self;

	rcu_read_begin();
	if (__atomic_load_n(&rcu_get(current)->a, __ATOMIC_RELAXED) != ALIVE)
		atomic_fetch_add(&wrong, 1);
	rcu_read_end();
	if (rcu_self != self)
		atomic_fetch_add(&wrong, 1);
}

/*
 * Memory that a reader may have stays, also with handlers that read as well in the middle of the
 * reader's functions.
 */
static void test_readers_and_a_writer(void **state)
{
	pthread_t t[READERS];
	struct thing *old;

	signal(SIGUSR1, on_signal);
	for (int i = 0; i < THINGS; i++)
		things[i] = (struct thing){ ALIVE, ALIVE };
	current = things;
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, NULL), 0);
	for (int n = 1; n < THINGS; n++) {
		old = current;
		rcu_set(current, &things[n]);
		pthread_kill(t[n % READERS], SIGUSR1);
		rcu_sync();
		__atomic_store_n(&old->a, DEAD, __ATOMIC_RELAXED);
		__atomic_store_n(&old->b, DEAD, __ATOMIC_RELAXED);
		for (long from = atomic_load(&sections); atomic_load(&sections) - from < 20;)
			sched_yield();
	}
	atomic_store(&stop, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
}

static atomic_bool inside, leave, synced;

static void *stays(void *arg)
{
	rcu_read_begin();
	atomic_store(&inside, true);
	while (!atomic_load(&leave))
		usleep(100);
	rcu_read_end();
	return NULL;
}

static void *syncs(void *arg)
{
	rcu_sync();
	atomic_store(&synced, true);
	return NULL;
}

/*
 * A writer waits for who is there, newcomers do not keep it, and a child does not wait for threads
 * that it has not got.
 */
static void test_who_is_waited_for(void **state)
{
	struct timespec end;
	pthread_t r, w;
	pid_t pid;
	int status;

	assert_int_equal(pthread_create(&r, NULL, stays, NULL), 0);
	while (!atomic_load(&inside))
		usleep(100);
	assert_int_equal(pthread_create(&w, NULL, syncs, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		rcu_read_begin();
		rcu_read_end();
	}
	/* long enough for one that does not wait; one that does is not in a hurry */
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec++;
	assert_int_equal(pthread_timedjoin_np(w, NULL, &end), ETIMEDOUT);
	assert_false(atomic_load(&synced));
	atomic_store(&leave, true);
	pthread_join(r, NULL);
	pthread_join(w, NULL);
	assert_true(atomic_load(&synced));

	atomic_store(&inside, false);
	atomic_store(&leave, false);
	assert_int_equal(pthread_create(&r, NULL, stays, NULL), 0);
	while (!atomic_load(&inside))
		usleep(100);
	rcu_before_fork();
	pid = fork();
	if (!pid) {
		rcu_after_fork_in_child();
		alarm(20);
		rcu_sync();
		_exit(0);
	}
	rcu_after_fork_in_parent();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	atomic_store(&leave, true);
	pthread_join(r, NULL);
}

static void *stays_long(void *arg)
{
	unsigned side = rcu_long_begin();

	atomic_store(&inside, true);
	while (!atomic_load(&leave))
		usleep(100);
	rcu_sync_all(); /* not for itself */
	rcu_long_end(side);
	return NULL;
}

static void *syncs_all(void *arg)
{
	rcu_sync_all();
	atomic_store(&synced, true);
	return NULL;
}

/* Long sections keep those waiting that wait for all, and nobody else. */
static void test_long_sections(void **state)
{
	struct timespec end;
	pthread_t r, w;
	unsigned side;

	atomic_store(&inside, false);
	atomic_store(&leave, false);
	atomic_store(&synced, false);
	rcu_sync_all();
	assert_int_equal(pthread_create(&r, NULL, stays_long, NULL), 0);
	while (!atomic_load(&inside))
		usleep(100);
	rcu_sync();
	assert_int_equal(pthread_create(&w, NULL, syncs_all, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		side = rcu_long_begin();
		rcu_long_end(side);
	}
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += 200000000;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	assert_int_equal(pthread_timedjoin_np(w, NULL, &end), ETIMEDOUT);
	assert_false(atomic_load(&synced));
	atomic_store(&leave, true);
	pthread_join(r, NULL);
	pthread_join(w, NULL);
	assert_true(atomic_load(&synced));
}

static struct rcu_visits visits, others;

static void *visits_long(void *arg)
{
	unsigned side = rcu_visit_begin(&visits);

	atomic_store(&inside, true);
	while (!atomic_load(&leave))
		usleep(100);
	rcu_visit_end(&visits, side);
	return NULL;
}

static void *waits_for_visits(void *arg)
{
	rcu_visits_wait(&visits);
	atomic_store(&synced, true);
	return NULL;
}

/* Sections of one thing keep nobody waiting but who waits for them. */
static void test_visits(void **state)
{
	pthread_t r, w;
	unsigned side;

	atomic_store(&inside, false);
	atomic_store(&leave, false);
	atomic_store(&synced, false);
	assert_int_equal(pthread_create(&r, NULL, visits_long, NULL), 0);
	while (!atomic_load(&inside))
		usleep(100);
	rcu_sync_all();
	rcu_visits_wait(&others);
	assert_int_equal(pthread_create(&w, NULL, waits_for_visits, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		side = rcu_visit_begin(&visits);
		rcu_visit_end(&visits, side);
	}
	usleep(50000);
	assert_false(atomic_load(&synced));
	/* newcomers do not: one is there all the time, of which the waiting began before */
	while (!atomic_load(&visits.current))
		usleep(100);
	side = rcu_visit_begin(&visits);
	atomic_store(&leave, true);
	pthread_join(w, NULL);
	assert_true(atomic_load(&synced));
	rcu_visit_end(&visits, side);
	pthread_join(r, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_and_a_writer),
		cmocka_unit_test(test_who_is_waited_for),
		cmocka_unit_test(test_long_sections),
		cmocka_unit_test(test_visits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
