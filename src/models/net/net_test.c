/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/net_test.c: ports of one process: links, frames, answers from inside receive(),
 * closing in the middle of it, forks; and what is said about wrong options.
 */
#include <sys/wait.h>

#include "models/net/test_net.h"

static struct device a, b, c;

static void test_peer(void **state)
{
	struct frame f;

	/* the one that names the other comes first */
	OPEN(&a, "a", "net=peer:right");
	assert_false(net_link_up(a.port));
	assert_false(frame_send(&a, 0, 0, 60));
	assert_int_equal(a.links, 0);
	OPEN(&b, "b", "id=right");
	assert_true(net_link_up(a.port) && net_link_up(b.port));
	assert_true(a.up && b.up);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_true(frame_send(&a, 0, i, 60 + i));
		assert_int_equal(b.received, i + 1);
		assert_int_equal(b.last_seq, i);
		assert_int_equal(b.last_len, 60 + i);
		assert_true(frame_send(&b, 0, i, 60));
		assert_int_equal(a.received, i + 1);
	}
	assert_int_equal(a.misordered + b.misordered, 0);
	assert_true(frame_send(&a, 0, 1000, NET_FRAME_MAX));
	assert_int_equal(b.last_len, NET_FRAME_MAX);
	/* no frames */
	assert_true(frame_send(&a, 0, 1001, NET_FRAME_MIN - 1));
	assert_true(net_send(a.port, &f, 0));
	assert_true(net_send(a.port, &f, NET_FRAME_MAX + 1));
	assert_int_equal(b.received, 1001);
	assert_int_equal(stats(&a).bad, 3);
	b.full = true;
	assert_true(frame_send(&a, 0, 1001, 60));
	assert_int_equal(stats(&b).missed, 1);
	/* one end goes, and comes again */
	device_close(&b);
	assert_int_equal(a.links, 2);
	assert_false(a.up || net_link_up(a.port));
	assert_false(frame_send(&a, 0, 1002, 60));
	OPEN(&b, "b", "id=right");
	assert_true(a.up && b.up);
	assert_true(frame_send(&a, 0, 1002, 60));
	assert_int_equal(b.received, 1);
	device_close(&a);
	assert_false(b.up);
	/* the named one was first; and both name each other */
	OPEN(&a, "a", "net=peer:right");
	assert_true(a.up && b.up);
	device_close(&b);
	device_close(&a);
	OPEN(&a, "a", "net=peer:right", "id=left");
	OPEN(&b, "b", "net=peer:left", "id=right");
	assert_true(frame_send(&b, 0, 0, 60));
	assert_int_equal(a.received, 1);
	device_close(&a);
	device_close(&b);
	/* alone */
	OPEN(&a, "a", "id=left");
	assert_false(net_link_up(a.port));
	device_close(&a);
}

static void test_carrier(void **state)
{
	OPEN(&a, "a", "net=peer:right");
	net_set_carrier(a.port, false);
	OPEN(&b, "b", "id=right");
	assert_int_equal(a.links + b.links, 0);
	assert_false(frame_send(&b, 0, 0, 60));
	net_set_carrier(a.port, true);
	net_set_carrier(a.port, true);
	assert_true(a.up && b.up);
	assert_int_equal(a.links + b.links, 2);
	assert_true(frame_send(&b, 0, 0, 60));
	/* both asleep: it takes both to wake */
	net_set_carrier(a.port, false);
	net_set_carrier(b.port, false);
	assert_false(a.up || b.up || frame_send(&a, 0, 0, 60));
	net_set_carrier(a.port, true);
	assert_false(a.up || b.up);
	net_set_carrier(b.port, true);
	assert_true(a.up && b.up && frame_send(&a, 0, 0, 60));
	assert_int_equal(a.received + b.received, 2);
	/* another cable of the same port */
	net_set_carrier(a.port, false);
	device_close(&b);
	OPEN(&b, "b", "id=right");
	assert_false(a.up || b.up);
	net_set_carrier(a.port, true);
	assert_true(a.up && b.up);
	device_close(&a);
	device_close(&b);
}

/* Return what is logged while @d opens. */
static void open_logged(struct device *d, const char *name, const char *const *opts, char *text,
			size_t size)
{
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	log_set(fds[1], LOG_WARN);
	assert_int_equal(device_try(d, name, opts), 0);
	log_set(2, LOG_WARN);
	close(fds[1]);
	n = read(fds[0], text, size - 1);
	text[n < 0 ? 0 : n] = '\0';
	close(fds[0]);
}

/* A cable has two ends; who finds none hears why, and gets the next that is free. */
static void test_mismatch(void **state)
{
	char text[512];

	OPEN(&a, "a", "net=peer:right");
	OPEN(&b, "b", "id=right");
	open_logged(&c, "c", OPTS("net=peer:right"), text, sizeof(text));
	assert_non_null(strstr(
		text, "net=peer:right of c: no link: right is connected to another already"));
	assert_false(c.up);
	device_close(&a);
	assert_true(c.up && b.up);
	assert_true(frame_send(&c, 0, 0, 60));
	assert_int_equal(b.received, 1);
	device_close(&b);
	assert_false(c.up);
	open_logged(&b, "b", OPTS("id=right", "net=peer:elsewhere"), text, sizeof(text));
	assert_non_null(strstr(text, "net=peer:right of c: no link: right names another peer"));
	assert_false(b.up || c.up);
	device_close(&b);
	open_logged(&b, "b", OPTS("id=right", "net=unix:/tmp/uvfio-net-test-mismatch"), text,
		    sizeof(text));
	assert_non_null(strstr(text, "right has a tap or a socket at its end"));
	assert_false(c.up);
	device_close(&b);
	device_close(&c);
	/* two that name each other belong together, even if a third names one of them first */
	OPEN(&c, "c", "net=peer:right");
	OPEN(&a, "a", "net=peer:right", "id=left");
	open_logged(&b, "b", OPTS("id=right", "net=peer:left"), text, sizeof(text));
	assert_non_null(strstr(text, "of c: no link: right names another peer"));
	assert_true(a.up && b.up && !c.up);
	device_close(&a);
	device_close(&b);
	device_close(&c);
}

static void test_bad_options(void **state)
{
	static const struct {
		const char *opts[4];
		int err;
		const char *says;
	} bad[] = {
		{ { "net=hub:1" }, -EINVAL, "net=hub:1: must be peer:NAME, tap:IFNAME, unix:PATH" },
		{ { "net=peer:" }, -EINVAL, "needs a name" },
		{ { "net=peer:x", "id=x" }, -EINVAL, "cannot be its own peer" },
		{ { "net=peer:x", "net=peer:y" },
		  -EINVAL,
		  "net=peer:y: there is net=peer:x already" },
		{ { "net=pcap:" }, -EINVAL, "needs a file" },
		{ { "net=pcap:/tmp/x", "net=pcap:/tmp/y" },
		  -EINVAL,
		  "there is net=pcap:/tmp/x already" },
		{ { "net=pcap:/nonexistent/x" }, -ENOENT, "net=pcap:/nonexistent/x: No such file" },
		{ { "net=pcap:/dev/null" }, -EINVAL, "not a regular file" },
		{ { "net=pcap:/tmp" }, -EISDIR, "Is a directory" },
		{ { "net=tap:" }, -EINVAL, "interface's name of 1 to 15 characters" },
		{ { "net=tap:sixteencharacter" },
		  -EINVAL,
		  "interface's name of 1 to 15 characters" },
		{ { "net=tap:a/b" }, -EINVAL, "interface's name" },
		{ { "net=unix:" }, -EINVAL, "an empty path" },
		{ { "net=unix:/tmp/a:" }, -EINVAL, "an empty path" },
		{ { "net=unix:/tmp/a:/tmp/a" }, -EINVAL, "would send to itself" },
		{ { "net=unix:/nonexistent/x" }, -ENOENT, "net=unix:/nonexistent/x: No such file" },
		{ { "net=unix:/tmp" }, -EADDRINUSE, "there is something that is no socket" },
		{ { "net=unix:/"
		    "012345678901234567890123456789012345678901234567890123456789012345678901234"
		    "567890123456789012345678901234567" },
		  -ENAMETOOLONG,
		  "longer than the 107 characters" },
		{ { "id=taken" }, -EEXIST, "id=taken: is the name of b already" },
		/* a first part that was opened is closed again */
		{ { "net=unix:/tmp/uvfio-net-test-bad", "net=peer:x" },
		  -EINVAL,
		  "there is net=unix:" },
		{ { "net=unix:/tmp/uvfio-net-test-bad", "id=taken" }, -EEXIST, "is the name of b" },
	};
	unsigned fds;

	OPEN(&b, "b", "id=taken");
	fds = count_private();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(device_try(&a, "a", bad[i].opts), bad[i].err);
		if (!strstr(a.err, bad[i].says))
			fail_msg("'%s' does not say '%s'", a.err, bad[i].says);
		assert_null(a.port);
	}
	assert_int_equal(count_private(), fds);
	assert_int_equal(access("/tmp/uvfio-net-test-bad", F_OK), -1);
	device_close(&b);
}

/* ---- answers ---- */

static void test_answers(void **state)
{
	OPEN(&a, "a", "net=peer:right");
	OPEN(&b, "b", "id=right");
	b.replies = 3;
	for (uint32_t i = 0; i < 100; i++)
		assert_true(frame_send(&a, 0, i, 60));
	assert_int_equal(b.received, 100);
	assert_int_equal(a.received, 300); /* all of them before net_send returned */
	assert_int_equal(a.misordered, 0);
	/* an echo that would never end */
	a.replies = b.replies = 1;
	a.received = b.received = 0;
	assert_true(frame_send(&a, SENDERS, 0, 60));
	assert_int_equal(a.received + b.received, 1 + NET_DEFER_MAX);
	assert_int_equal(stats(&a).full + stats(&b).full, 1);
	assert_true(frame_send(&a, SENDERS, 0, 60));
	assert_int_equal(a.received + b.received, 2 * (1 + NET_DEFER_MAX));
	/* one that would grow as well */
	a.replies = b.replies = 3;
	assert_true(frame_send(&a, SENDERS, 0, 60));
	assert_int_equal(a.received + b.received, 3 * (1 + NET_DEFER_MAX));
	assert_int_equal(a.nested + b.nested, 0);
	device_close(&a);
	device_close(&b);
}

/* A device that forwards between two ports of its own, into a loop. */
static void test_forward(void **state)
{
	static struct device d;

	OPEN(&a, "a", "net=peer:x");
	OPEN(&b, "b", "id=x");
	OPEN(&c, "c", "net=peer:y");
	OPEN(&d, "d", "id=y");
	b.forward = c.port;
	b.replies = 1;
	assert_true(frame_send(&a, 0, 5, 60));
	assert_int_equal(d.received, 1);
	assert_int_equal(d.last_seq, 5);
	d.forward = a.port;
	d.replies = 1;
	assert_true(frame_send(&a, SENDERS, 6, 60));
	assert_int_equal(b.received + d.received, 2 + 1 + NET_DEFER_MAX);
	assert_int_equal(a.nested + b.nested + c.nested + d.nested, 0);
	device_close(&d);
	assert_true(frame_send(&a, SENDERS, 7, 60)); /* forwarded to nobody */
	device_close(&a);
	device_close(&b);
	device_close(&c);
}

/* ---- threads ---- */

#define FRAMES 5000u
struct sender {
	pthread_t thread;
	struct device *d;
	uint32_t id;
	atomic_bool *stop; /* else FRAMES */
	unsigned sent;
};

static void *send_many(void *arg)
{
	struct sender *s = arg;

	for (uint32_t i = 0; s->stop ? !atomic_load(s->stop) : i < FRAMES; i++)
		s->sent += frame_send(s->d, s->id, i, 60);
	return NULL;
}

static void senders_start(struct sender *s, unsigned n, atomic_bool *stop)
{
	for (unsigned i = 0; i < n; i++) {
		s[i] = (struct sender){ .d = i % 2 ? &b : &a, .id = i, .stop = stop };
		assert_int_equal(pthread_create(&s[i].thread, NULL, send_many, &s[i]), 0);
	}
}

static void test_both_ways(void **state)
{
	struct sender s[SENDERS];

	OPEN(&a, "a", "net=peer:right");
	OPEN(&b, "b", "id=right");
	senders_start(s, SENDERS, NULL);
	for (unsigned i = 0; i < SENDERS; i++) {
		pthread_join(s[i].thread, NULL);
		assert_int_equal(s[i].sent, FRAMES);
	}
	assert_int_equal(a.received, FRAMES * SENDERS / 2);
	assert_int_equal(b.received, FRAMES * SENDERS / 2);
	assert_int_equal(a.misordered + b.misordered, 0);
	/* and with answers, the two crossing */
	a.replies = b.replies = 1;
	a.received = b.received = 0;
	for (uint32_t i = 0; i < 2; i++) {
		s[i] = (struct sender){ .d = i ? &b : &a, .id = SENDERS };
		pthread_create(&s[i].thread, NULL, send_many, &s[i]);
		if (i) {
			usleep(20000);
			a.replies = 0; /* no more storms: let it end */
		}
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(s[i].thread, NULL);
	assert_int_equal(a.nested + b.nested, 0);
	device_close(&a);
	device_close(&b);
}

/* One end comes and goes while both send; the other end's memory is reused each time. */
static void test_close_in_flight(void **state)
{
	static struct device *d;
	atomic_bool stop = false;
	struct sender s[SENDERS];
	unsigned got = 0, links = 0;

	OPEN(&a, "a", "net=peer:right");
	for (unsigned i = 0; i < SENDERS; i++) {
		s[i] = (struct sender){ .d = &a, .id = i, .stop = &stop };
		pthread_create(&s[i].thread, NULL, send_many, &s[i]);
	}
	for (int i = 0; i < 150; i++) {
		d = malloc(sizeof(*d));
		OPEN(d, "d", "id=right");
		d->replies = i % 3 ? 0 : 1;
		if (i % 2)
			usleep(500);
		pci_function_free(d->fn);
		loop_free(d->loop);
		got += d->received;
		links += d->links;
		if (d->late)
			fail_msg("called after net_close");
		memset(d, 0xa5, sizeof(*d));
		free(d);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(s[i].thread, NULL);
	assert_true(got > 0);
	assert_int_equal(links, 150);
	assert_false(a.up || net_link_up(a.port));
	assert_true(a.links % 2 == 0);
	assert_int_equal(a.nested, 0);
	device_close(&a);
}

struct end {
	struct device *d;
	int me;
};

static void *churn(void *arg)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER; /* device_try() has a global */
	static const char *const names[2] = { "left", "right" };
	/* not `me ? &b : &a`: clang reads both, and ThreadSanitizer sees it */
	struct device *d = ((struct end *)arg)->d;
	int me = ((struct end *)arg)->me;
	char mine[32], other[32];
	atomic_bool stop;

	snprintf(mine, sizeof(mine), "id=%s", names[me]);
	snprintf(other, sizeof(other), "net=peer:%s", names[!me]);
	for (int i = 0; i < 200; i++) {
		struct net_port *p;
		struct sender s = { .d = d, .id = 0, .stop = &stop };
		int err;

		pthread_mutex_lock(&one);
		err = device_try(d, names[me], OPTS(mine, other));
		pthread_mutex_unlock(&one);
		if (err)
			return d->err;
		p = d->port;
		stop = false;
		pthread_create(&s.thread, NULL, send_many, &s);
		if (i % 4 == me)
			usleep(200);
		stop = true;
		pthread_join(s.thread, NULL);
		if (net_link_up(p) && i % 2)
			frame_send(d, 0, 0, 60);
		device_close(d);
		if (d->late)
			return "called after net_close";
	}
	return NULL;
}

/* Both ends at the same time. */
static void test_close_both(void **state)
{
	pthread_t t[2];
	struct end who[2] = { { &a, 0 }, { &b, 1 } };
	void *err;

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, churn, &who[i]);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], &err);
		if (err)
			fail_msg("%s", (char *)err);
	}
}

/* The child's ports of the same names find each other, not the parent's; the parent's go on. */
static void test_fork(void **state)
{
	static struct device x, y;
	pid_t pid;
	int st;

	OPEN(&a, "a", "net=peer:right", "id=left");
	OPEN(&b, "b", "id=right");
	pid = fork();
	if (!pid) {
		if (device_try(&x, "x", OPTS("net=peer:right", "id=left")) || x.up)
			_exit(1);
		if (device_try(&y, "y", OPTS("id=right")) || !x.up || !y.up)
			_exit(2);
		if (!frame_send(&x, 0, 0, 60) || y.received != 1 || a.received || b.received)
			_exit(3);
		net_close(a.port); /* not its own: nothing happens */
		if (a.links != 1 || b.links != 1)
			_exit(4);
		device_close(&x);
		device_close(&y);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
	assert_true(frame_send(&a, 0, 0, 60));
	assert_int_equal(b.received, 1);
	device_close(&a);
	device_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_carrier),
		cmocka_unit_test(test_mismatch),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_close_in_flight),
		cmocka_unit_test(test_close_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
