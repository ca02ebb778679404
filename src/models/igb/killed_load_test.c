/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/killed_load_test.c: the port's process is killed again and again, at any moment, while
 * frames go both ways over a socket, which its own thread reads. What is sent arrives, in its
 * order, the frame that was on its way at most twice. What comes in arrives once or not at all, in
 * its order and whole: a socket whose process ends loses what is in it. The statistics tell of all
 * frames but for those that were on their way.
 */
#include <errno.h>
#include <sys/un.h>

#include "models/igb/test_killed.h"

struct load {
	struct far *f;
	int sock; /* the other end */
	struct sockaddr_un to;
	uint64_t random;
	uint32_t out, in;	 /* numbers of frames: the last that arrived, the last one in */
	uint32_t given, arrived; /* of those the other way */
	uint32_t twice, received, said, told;
	unsigned first; /* of the descriptors that are under way */
};

static uint32_t random32(struct load *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return (uint32_t)(l->random >> 16);
}

static uint32_t length(uint32_t number)
{
	return 62 + number * 36 % 1400;
}

/* Send as many as there are descriptors for, each from a buffer of its own. */
static void send_some(struct load *l)
{
	struct far *f = l->f;
	bool any = false;

	for (unsigned n = random32(l) % RING; n && (f->tail + 1) % RING != l->first; n--) {
		uint32_t len = length(++f->sent), at = TX_BUF + f->tail * 1536;

		fill((uint8_t *)f->k.mem + at, len, f->sent);
		put(f, at, len, ADV | TXD_EOP | TXD_RS, len << 14);
		any = true;
	}
	if (any)
		ring(f);
}

/* What is done is the driver's, to use as it likes. */
static void reap(struct load *l)
{
	struct far *f = l->f;

	while (l->first != f->tail) {
		volatile struct igb_desc *d = &txd(f)[l->first];

		if (!(d->opt & TXD_DD) && !(f->reused >> l->first & 1))
			break;
		assert_int_equal(d->opt, f->reused >> l->first & 1 ? 0 : TXD_DD);
		memset(f->k.mem + TX_BUF + l->first * 1536, 0xee, 1536);
		d->addr = 0x123456;
		d->cmd = d->opt = 0;
		l->first = (l->first + 1) % RING;
	}
}

/* Take what arrived at the other end. */
static void arrive(struct load *l)
{
	uint8_t p[2048];
	ssize_t len;

	while ((len = recv(l->sock, p, sizeof(p), MSG_DONTWAIT)) > 0) {
		uint32_t n = number_of(p, (uint32_t)len);

		assert_int_equal(len, length(n));
		if (n == l->out) {
			l->twice++;
			continue;
		}
		assert_int_equal(n, l->out + 1);
		l->out = n;
	}
}

/* Send some the other way. */
static void give_some(struct load *l)
{
	uint8_t p[2048];

	for (unsigned n = random32(l) % 8; n; n--) {
		uint32_t len = length(++l->given);

		fill(p, len, l->given);
		if (sendto(l->sock, p, len, MSG_DONTWAIT, (void *)&l->to, sizeof(l->to)) < 0)
			assert_true(errno == EAGAIN || errno == ENOENT || errno == ECONNREFUSED);
	}
}

static void take_some(struct load *l)
{
	uint8_t p[LONGEST];
	uint32_t len, n;

	while ((len = far_take(l->f, p))) {
		n = number_of(p, len);
		assert_int_equal(len, length(n));
		if (n <= l->in || n > l->given)
			fail_msg("frame %u comes after frame %u", n, l->in);
		l->in = n;
		l->received++;
	}
}

static void read_counters(struct load *l)
{
	l->said += r(l->f, IGB_GPRC);
	l->told += r(l->f, IGB_GPTC);
}

static int other_end(char *path, size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(path, size, "/tmp/uvfio-igb-%d", getpid());
	snprintf(a.sun_path, sizeof(a.sun_path), "%s.far", path);
	unlink(a.sun_path);
	assert_int_equal(bind(fd, (void *)&a, sizeof(a)), 0);
	return fd;
}

static void settle(struct load *l)
{
	uint64_t end = killed_now() + 20000000000ull;

	while (l->first != l->f->tail || l->out != l->f->sent) {
		assert_true(killed_now() < end);
		killed_idle(&l->f->k);
		reap(l);
		arrive(l);
	}
}

static void test_load(void **state)
{
	struct load l = { .random = killed_now() | 1, .to.sun_family = AF_UNIX };
	uint64_t end = killed_now() + (getenv("UVFIO_LONG") ? 60 : 2) * 1000000000ull;
	/* what a system call writes to pages that are watched is no store, but an error */
	bool count = CAN_COUNT_STORES && !getenv("UVFIO_TEST_FOREIGN");
	uint32_t before;
	char path[64], net[200];
	struct far *f;

	l.sock = other_end(path, sizeof(path));
	strcpy(l.to.sun_path, path);
	snprintf(net, sizeof(net), "unix:%s:%s.far", path, path);
	l.f = f = far_new(net);
	far_rings(f, 2u | 1u << 25, false);
	/* on a busy machine it takes longer, and is killed often all the same */
	while (killed_now() < end || f->k.kills < 20) {
		uint32_t dice = random32(&l) % 64;

		if (dice == 0)
			killed_kill(&f->k);
		else if (dice < 3)
			f->k.kill_in = 1 + random32(&l) % 60000;
		else if (dice == 3 && count)
			killed_arm(&f->k, 1 + (int)(random32(&l) % 300));
		else if (dice == 4)
			read_counters(&l);
		send_some(&l);
		reap(&l);
		arrive(&l);
		give_some(&l);
		take_some(&l);
		killed_idle(&f->k);
	}
	killed_arm(&f->k, 0);
	settle(&l);
	take_some(&l);
	/* it works as ever */
	before = l.received;
	while (l.received == before) {
		give_some(&l);
		take_some(&l);
		assert_true(killed_now() < end + 60000000000ull);
	}
	while (recv(l.sock, net, sizeof(net), MSG_DONTWAIT) > 0)
		;
	killed_kill(&f->k); /* what is in the socket is gone: nothing comes any more */
	take_some(&l);
	read_counters(&l);
	assert_int_equal(r(f, IGB_TXQ(0, TDH)), f->tail);
	assert_int_equal(r(f, IGB_RXQ(0, RDH)), f->at);
	assert_true(l.twice <= f->k.kills);
	assert_in_range(l.told, f->sent, f->sent + f->k.kills);
	assert_in_range(l.said, l.received, l.received + f->k.kills);
	print_message("%u times killed, %u frames out, %u twice, %u in\n", f->k.kills, f->sent,
		      l.twice, l.received);
	far_free(f);
	close(l.sock);
	unlink(path);
	strcat(path, ".far");
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_load) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
