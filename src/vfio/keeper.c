/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/keeper.c: threads that keep eventfds. A thread may have a table of descriptors of its own,
 * in which the numbers are free that the program has used up: it begins with a copy of the
 * program's table up to the first eventfd's number, and closes all else of it. Further eventfds it
 * takes out of the program's table with pidfd_getfd(2), where it may (Docker forbids it: then the
 * next one has a thread of its own). The number that the kernel gave an eventfd tells whether it is
 * the right one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/thread.h"
#include "vfio/keeper.h"

#define KEEPERS	  64u
#define KEPT	  4096u
#define UNSHARE	  2u /* linux/close_range.h, CLOSE_RANGE_UNSHARE: 5.9 */
#define PATH_SIZE 64

enum op { NONE, TAKE, DROP, END };

struct kept {
	struct kept *next; /* of the keeper's, whose thread alone looks there */
	struct keeper *keeper;
	unsigned key;
	int fd; /* in the keeper's table */
	long id;
	bool look_first;	   /* as in irqfd.c: a blocking description */
	unsigned refs;		   /* lock */
	atomic_uint asked, served; /* signals; futex */
};

struct keeper {
	pthread_t thread;
	atomic_uint work; /* futex */
	/* one request at a time: lock */
	_Atomic(enum op) op; /* the last that is written */
	int fd, tid;	     /* TAKE: the program's number, and whose table it is in */
	unsigned key;	     /* DROP */
	int answer;	     /* a key, or -errno */
	atomic_uint done;    /* futex */
	struct kept *first;
	int pidfd; /* of the process, in the keeper's table, or -1 */
};

/*
 * Guards what the structs above say; held until the keeper has answered. After a provider's locks,
 * before those of base/.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct keeper *keepers[KEEPERS];
static _Atomic(struct kept *) kept[KEPT];
static pid_t process; /* lock */

static void wait_word(atomic_uint *word, unsigned while_is)
{
	sys_call(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, while_is, 0, 0, 0);
}

static void wake(atomic_uint *word)
{
	sys_call(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, INT_MAX, 0, 0, 0);
}

/* ---- in the keeper's thread ---- */

/*
 * Return the number that the kernel gave the eventfd behind @fd of thread @tid (0: this one), or
 * -1: it is none. fdinfo has it since Linux 5.2.
 */
static long id_of(int tid, int fd)
{
	static const char key[] = "eventfd-id:";
	char path[PATH_SIZE], text[512];
	const char *at;
	ssize_t n;
	int info;

	if (tid)
		snprintf(path, sizeof(path), "/proc/self/task/%d/fdinfo/%d", tid, fd);
	else
		snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", fd);
	info = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (info < 0)
		return -1;
	n = sys_read(info, text, sizeof(text) - 1);
	sys_call(SYS_close, info, 0, 0, 0, 0, 0);
	if (n <= 0)
		return -1;
	text[n] = 0;
	at = strstr(text, key);
	return at ? strtol(at + sizeof(key) - 1, NULL, 10) : -1;
}

/* Return the key of one that is kept already, or -1: several interrupts may have one eventfd. */
static int find(const struct keeper *k, long id)
{
	for (struct kept *e = k->first; e; e = e->next)
		if (e->id == id) {
			e->refs++;
			return (int)e->key;
		}
	return -1;
}

/* Keep @own, if it is what the program has as k->fd. Returns a key, or -errno. */
static int keep(struct keeper *k, int own)
{
	long id = id_of(0, own), flags = sys_call(SYS_fcntl, own, F_GETFL, 0, 0, 0, 0);
	struct kept *e;
	unsigned i = 0;

	if (id < 0 || id != id_of(k->tid, k->fd))
		return -EINVAL;
	while (i < KEPT && atomic_load(&kept[i]))
		i++;
	e = i < KEPT ? heap_alloc(sizeof(*e)) : NULL;
	if (!e)
		return -EMFILE;
	*e = (struct kept){ .next = k->first,
			    .keeper = k,
			    .key = i,
			    .fd = own,
			    .id = id,
			    .refs = 1,
			    .look_first = flags < 0 || !(flags & O_NONBLOCK) };
	k->first = e;
	atomic_store(&kept[i], e);
	return (int)i;
}

/* Take k->fd out of the program's table. Returns a key, or -errno. */
static int take(struct keeper *k)
{
	long own, id = id_of(k->tid, k->fd);
	int key = id < 0 ? -EINVAL : find(k, id);

	if (key != -1)
		return key;
	if (k->pidfd < 0)
		k->pidfd = (int)sys_call(SYS_pidfd_open, process, 0, 0, 0, 0, 0);
	own = sys_call(SYS_pidfd_getfd, k->pidfd, k->fd, 0, 0, 0, 0);
	if (own < 0)
		return -EMFILE;
	key = keep(k, (int)own);
	if (key < 0)
		sys_call(SYS_close, own, 0, 0, 0, 0, 0);
	/* another table than the process's first thread has */
	return key == -EINVAL ? -EMFILE : key;
}

/* Write what was asked of @e since the last time. */
static void serve(struct kept *e)
{
	struct pollfd p = { .fd = e->fd, .events = POLLOUT };
	struct timespec now = { 0 };
	unsigned asked = atomic_load(&e->asked);
	uint64_t n = asked - atomic_load(&e->served);

	if (!n)
		return;
	/* a counter without room for all is as good as full */
	if (!e->look_first || sys_call(SYS_ppoll, (long)&p, 1, (long)&now, 0, 0, 0) == 1)
		sys_write(e->fd, &n, sizeof(n));
	atomic_store(&e->served, asked);
	wake(&e->served);
}

static void drop(struct keeper *k, unsigned key)
{
	struct kept **at = &k->first, *e = atomic_load(&kept[key]);

	if (--e->refs)
		return;
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	atomic_store(&kept[key], NULL);
	sys_call(SYS_close, e->fd, 0, 0, 0, 0, 0);
	heap_free(e);
}

static void answer(struct keeper *k, int value)
{
	k->answer = value;
	k->op = NONE;
	atomic_store(&k->done, 1);
	wake(&k->done);
}

/* Make the table this thread's own, with nothing in it but the eventfd. Returns its key. */
static int begin(struct keeper *k)
{
	unsigned fd = (unsigned)k->fd;

	if (sys_call(SYS_close_range, fd + 1, ~0u, UNSHARE, 0, 0, 0) < 0)
		return -EMFILE;
	if (fd)
		sys_call(SYS_close_range, 0, fd - 1, 0, 0, 0, 0);
	return keep(k, k->fd);
}

static void *run(void *arg)
{
	struct keeper *k = arg;
	int rc = begin(k);

	answer(k, rc);
	if (rc < 0)
		return NULL;
	for (;;) {
		if (!atomic_exchange(&k->work, 0)) {
			wait_word(&k->work, 0);
			continue;
		}
		for (struct kept *e = k->first; e; e = e->next)
			serve(e);
		switch (atomic_load(&k->op)) {
		case TAKE:
			answer(k, take(k));
			break;
		case DROP:
			drop(k, k->key);
			answer(k, 0);
			break;
		case END:
			return NULL;
		case NONE:
			break;
		}
	}
}

/* ---- in the threads that ask it ---- */

/* Have @k do @op, and return its answer. lock is held. */
static int request(struct keeper *k, enum op op)
{
	atomic_store(&k->done, 0);
	k->op = op;
	atomic_store(&k->work, 1);
	wake(&k->work);
	while (!atomic_load(&k->done))
		wait_word(&k->done, 0);
	return k->answer;
}

static void end(struct keeper *k)
{
	k->op = END;
	atomic_store(&k->work, 1);
	wake(&k->work);
	pthread_join(k->thread, NULL);
	heap_free(k);
}

/* Start a keeper for the eventfd @fd, in place @i. Returns the key, or -EMFILE. */
static int start(unsigned i, int fd, int tid)
{
	struct keeper *k = heap_alloc(sizeof(*k));
	int rc;

	if (!k)
		return -EMFILE;
	*k = (struct keeper){ .fd = fd, .tid = tid, .pidfd = -1 };
	if (thread_start(&k->thread, run, k, "uvfio-keeper")) {
		heap_free(k);
		return -EMFILE;
	}
	while (!atomic_load(&k->done))
		wait_word(&k->done, 0);
	rc = k->answer;
	if (rc < 0) {
		pthread_join(k->thread, NULL);
		heap_free(k);
	} else {
		keepers[i] = k;
	}
	return rc;
}

void vfio_keeper_abandon(void)
{
	pthread_mutex_init(&lock, NULL);
	memset(keepers, 0, sizeof(keepers));
	memset(kept, 0, sizeof(kept));
}

int vfio_keeper_take(int fd)
{
	int tid = (int)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0), rc = -EMFILE;
	unsigned i;

	pthread_mutex_lock(&lock);
	process = (pid_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	for (i = 0; i < KEEPERS && rc == -EMFILE; i++) {
		if (!keepers[i])
			continue;
		keepers[i]->fd = fd;
		keepers[i]->tid = tid;
		rc = request(keepers[i], TAKE);
	}
	for (i = 0; i < KEEPERS && rc == -EMFILE; i++)
		if (!keepers[i]) {
			rc = start(i, fd, tid);
			break;
		}
	pthread_mutex_unlock(&lock);
	if (rc >= 0)
		report_info("irqfd-slow", "irqfd", 0,
			    "no number is left for eventfd %d, and the hard limit of open files is "
			    "reached: a thread writes it, which is slow",
			    fd);
	return rc;
}

void vfio_keeper_signal(int key)
{
	struct kept *e = atomic_load(&kept[key]);
	unsigned mine, served;

	if (!e)
		return;
	mine = atomic_fetch_add(&e->asked, 1) + 1;
	if (!atomic_exchange(&e->keeper->work, 1))
		wake(&e->keeper->work);
	while (served = atomic_load(&e->served), (int)(served - mine) < 0)
		wait_word(&e->served, served);
}

void vfio_keeper_drop(int key)
{
	struct kept *e = atomic_load(&kept[key]);
	struct keeper *k;
	unsigned i = 0;

	if (!e)
		return;
	pthread_mutex_lock(&lock);
	k = e->keeper;
	k->key = (unsigned)key;
	request(k, DROP);
	if (!k->first) {
		while (keepers[i] != k)
			i++;
		keepers[i] = NULL;
		end(k);
	}
	pthread_mutex_unlock(&lock);
}
