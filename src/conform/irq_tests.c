/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/irq_tests.c: DEVICE_SET_IRQS. A client can trigger an interrupt itself, which tells
 * whose eventfd it has, on any device.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "conform/internal.h"

/* Return a kind of interrupt with at least @least of them, or skip the test. */
static uint32_t some_irq(struct ct *t, uint32_t least)
{
	static const uint32_t order[] = { IRQ_MSIX, IRQ_MSI, IRQ_INTX, IRQ_REQ, IRQ_ERR };

	ct_need_info(t);
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		const struct ct_irq *irq = &t->device->irq[order[i]];

		if (irq->known && irq->count >= least && irq->flags & I_EVENTFD)
			return order[i];
	}
	ct_skip(t, "no kind of interrupt has %u of them", least);
}

/* Give @n eventfds to interrupts @start... of @index. */
static void assign(struct ct_conn *c, uint32_t index, uint32_t start, uint32_t n, const int *fds)
{
	struct ct_msg *m = ct_set_irqs(c, S_EVENTFD | S_TRIGGER, index, start, n);

	for (uint32_t i = 0; i < n; i++)
		ct_add_fd(m, fds[i]);
	ct_call(c, m, 0);
}

static void trigger(struct ct_conn *c, uint32_t index, uint32_t start, uint32_t n)
{
	ct_call(c, ct_set_irqs(c, S_NONE | S_TRIGGER, index, start, n), 0);
}

/* True if @fd was signalled; wait for it if it should be. */
static bool signalled(struct ct *t, int fd, bool expected)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	return poll(&p, 1, expected ? (int)t->run->o->timeout_ms : 0) == 1 &&
	       read(fd, &n, sizeof(n)) == sizeof(n);
}

static void loopback(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	unsigned tried = 0;

	ct_need_info(t);
	for (uint32_t i = 0; i < t->device->num_irqs && i < CT_IRQS; i++) {
		const struct ct_irq *irq = &t->device->irq[i];
		int fd;

		if (!irq->count || !(irq->flags & I_EVENTFD))
			continue;
		fd = ct_eventfd(t);
		assign(c, i, 0, 1, &fd);
		ct_check(t, !signalled(t, fd, false), "interrupt %u came when it was assigned", i);
		trigger(c, i, 0, 1);
		ct_check(t, signalled(t, fd, true), "interrupt %u was triggered, and did not come",
			 i);
		ct_call(c, ct_set_irqs(c, S_NONE | S_TRIGGER, i, 0, 0), 0);
		tried++;
	}
	if (!tried)
		ct_skip(t, "the device has no interrupts");
}

static void range(struct ct *t)
{
	uint32_t index = some_irq(t, 4);
	struct ct_conn *c = ct_session(t);
	int fds[4];

	for (unsigned i = 0; i < 4; i++)
		fds[i] = ct_eventfd(t);
	assign(c, index, 0, 4, fds);
	for (unsigned i = 0; i < 4; i++) {
		trigger(c, index, i, 1);
		for (unsigned k = 0; k < 4; k++)
			ct_check(t, signalled(t, fds[k], k == i) == (k == i),
				 "interrupt %u of kind %u was triggered, and %u %s", i, index, k,
				 k == i ? "did not come" : "came");
	}
}

static void bools(struct ct *t)
{
	uint32_t index = some_irq(t, 4);
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m;
	int fds[4];

	for (unsigned i = 0; i < 4; i++)
		fds[i] = ct_eventfd(t);
	assign(c, index, 0, 4, fds);
	m = ct_set_irqs(c, S_BOOL | S_TRIGGER, index, 0, 4);
	ct_add(m, "\1\0\1\0", 4);
	put32(m->data + HEADER, SET_IRQS_SIZE + 4);
	ct_call(c, m, 0);
	for (unsigned k = 0; k < 4; k++)
		ct_check(t, signalled(t, fds[k], !(k & 1)) == !(k & 1),
			 "of 1 0 1 0 interrupt %u %s", k, k & 1 ? "came" : "did not come");
}

static void bools_short(struct ct *t)
{
	uint32_t index = some_irq(t, 2);
	struct ct_conn *c = ct_session(t);

	for (unsigned n = 0; n < 2; n++) {
		struct ct_msg *m = ct_set_irqs(c, S_BOOL | S_TRIGGER, index, 0, 2);

		ct_add_zeros(m, n);
		put32(m->data + HEADER, SET_IRQS_SIZE + n);
		ct_refused(c, m, "two booleans, of which %u are there", n);
		m = ct_set_irqs(c, S_BOOL | S_TRIGGER, index, 0, 2);
		ct_add_zeros(m, n);
		put32(m->data + HEADER, SET_IRQS_SIZE + 2);
		ct_refused(c, m, "two booleans as argsz says, of which %u are there", n);
	}
	ct_still_there(c);
}

static void deassign_one(struct ct *t)
{
	uint32_t index = some_irq(t, 4);
	struct ct_conn *c = ct_session(t);
	int fds[4];

	for (unsigned i = 0; i < 4; i++)
		fds[i] = ct_eventfd(t);
	assign(c, index, 0, 4, fds);
	ct_call(c, ct_set_irqs(c, S_EVENTFD | S_TRIGGER, index, 2, 1), 0);
	for (unsigned i = 0; i < 4; i++) {
		struct ct_msg *m = ct_set_irqs(c, S_NONE | S_TRIGGER, index, i, 1);

		ct_send(c, m);
		ct_reply(c, m); /* without an eventfd it may be refused */
		ct_check(t, signalled(t, fds[i], i != 2) == (i != 2),
			 "interrupt 2 of 4 was taken its eventfd: %u %s", i,
			 i == 2 ? "still comes" : "does not come any more");
	}
}

static void disable(struct ct *t)
{
	uint32_t index = some_irq(t, 1);
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m;
	int fd = ct_eventfd(t);

	assign(c, index, 0, 1, &fd);
	ct_call(c, ct_set_irqs(c, S_NONE | S_TRIGGER, index, 0, 0), 0);
	m = ct_set_irqs(c, S_NONE | S_TRIGGER, index, 0, 1);
	ct_send(c, m);
	ct_reply(c, m);
	ct_check(t, !signalled(t, fd, false), "all interrupts were disabled, and one came");
}

static void disable_twice(struct ct *t)
{
	uint32_t index = some_irq(t, 1);
	struct ct_conn *c = ct_session(t);

	ct_call(c, ct_set_irqs(c, S_NONE | S_TRIGGER, index, 0, 0), 0);
	ct_call(c, ct_set_irqs(c, S_NONE | S_TRIGGER, index, 0, 0), 0);
}

static void replace(struct ct *t)
{
	uint32_t index = some_irq(t, 1);
	struct ct_conn *c = ct_session(t);
	int old = ct_eventfd(t), new = ct_eventfd(t);

	assign(c, index, 0, 1, &old);
	assign(c, index, 0, 1, &new);
	trigger(c, index, 0, 1);
	ct_check(t, signalled(t, new, true), "the eventfd that was set last is not signalled");
	ct_check(t, !signalled(t, old, false), "the eventfd that was replaced is signalled");
}

static void flags(struct ct *t)
{
	uint32_t index = some_irq(t, 1);
	struct ct_conn *c = ct_session(t);

	for (uint32_t f = 0; f < 64; f++) {
		uint32_t data = f & 7, action = f & 0x38;
		struct ct_msg *m;

		if (is_pow2(data) && is_pow2(action))
			continue;
		m = ct_set_irqs(c, f, index, 0, 1);
		put32(m->data + HEADER, SET_IRQS_SIZE + 1);
		ct_add_zeros(m, 1);
		ct_refused(c, m, "flags 0x%x, which are not one of each kind", f);
	}
	ct_still_there(c);
}

static void flags_unknown(struct ct *t)
{
	uint32_t index = some_irq(t, 1);
	struct ct_conn *c = ct_session(t);

	for (unsigned bit = 6; bit < 32; bit++)
		ct_refused(c, ct_set_irqs(c, S_NONE | S_TRIGGER | 1u << bit, index, 0, 1),
			   "flags with bit %u, which there is not", bit);
	ct_still_there(c);
}

static void out_of_range(struct ct *t)
{
	uint32_t index = some_irq(t, 1), count = t->device->irq[index].count;
	const struct {
		uint32_t index, start, count;
	} wrong[] = { { index, count, 1 },
		      { index, 0, count + 1 },
		      { index, count - 1, 2 },
		      { index, 0xffffffff, 1 },
		      { index, 1, 0xffffffff },
		      { index, 0, 0xffffffff },
		      { index, 0xffffffff, 0xffffffff },
		      { index, 0x80000000, 0x80000000 },
		      { t->device->num_irqs, 0, 1 },
		      { 0xffffffff, 0, 1 } };
	struct ct_conn *c = ct_session(t);
	int fd = ct_eventfd(t);

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct ct_msg *m = ct_set_irqs(c, S_NONE | S_TRIGGER, wrong[i].index,
					       wrong[i].start, wrong[i].count);

		ct_refused(c, m, "kind 0x%x, interrupts 0x%x, 0x%x of them", wrong[i].index,
			   wrong[i].start, wrong[i].count);
		m = ct_set_irqs(c, S_EVENTFD | S_TRIGGER, wrong[i].index, wrong[i].start,
				wrong[i].count);
		ct_add_fd(m, fd);
		ct_refused(c, m, "kind 0x%x, eventfds of interrupts 0x%x, 0x%x of them",
			   wrong[i].index, wrong[i].start, wrong[i].count);
	}
	ct_still_there(c);
}

static void fds_count(struct ct *t)
{
	uint32_t index = some_irq(t, 4);
	struct ct_conn *c = ct_session(t);
	int fd = ct_eventfd(t);

	for (unsigned n = 1; n <= 4; n++)
		for (unsigned nfds = 1; nfds <= 4; nfds++) {
			struct ct_msg *m = ct_set_irqs(c, S_EVENTFD | S_TRIGGER, index, 0, n);

			if (n == nfds)
				continue;
			for (unsigned i = 0; i < nfds; i++)
				ct_add_fd(m, fd);
			ct_refused(c, m, "%u interrupts and %u eventfds", n, nfds);
		}
	ct_still_there(c);
}

/* Let the server have @fd for an eventfd, and signal it, if it takes it. */
static void odd_fd(struct ct *t, int fd, const char *what)
{
	uint32_t index = some_irq(t, 1);
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m = ct_set_irqs(c, S_EVENTFD | S_TRIGGER, index, 0, 1);

	ct_add_fd(m, fd);
	ct_send(c, m);
	if (ct_flags(ct_reply(c, m)) & F_ERROR) {
		ct_note(t, "%s: refused", what);
	} else {
		ct_note(t, "%s: accepted", what);
		m = ct_set_irqs(c, S_NONE | S_TRIGGER, index, 0, 1);
		ct_send(c, m);
		ct_reply(c, m);
	}
	ct_still_there(c);
	ct_close(c);
}

static void no_eventfd(struct ct *t)
{
	int p[2], s[2];

	odd_fd(t, ct_memfd(t, 4096), "a memfd");
	odd_fd(t, ct_hold(t, open("/dev/null", O_RDONLY | O_CLOEXEC)),
	       "a file that cannot be "
	       "written");
	odd_fd(t, ct_hold(t, open("/", O_PATH | O_CLOEXEC)), "an O_PATH descriptor");
	if (pipe2(p, O_CLOEXEC))
		ct_fail(t, "pipe: %s", strerror(errno));
	close(p[0]);
	odd_fd(t, ct_hold(t, p[1]), "a pipe that nobody reads");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s))
		ct_fail(t, "socketpair: %s", strerror(errno));
	close(s[0]);
	odd_fd(t, ct_hold(t, s[1]), "a socket that is closed");
}

static void full_eventfd(struct ct *t)
{
	uint64_t full = UINT64_MAX - 1;
	int fd = ct_eventfd(t);

	fcntl(fd, F_SETFL, 0); /* a write waits, while it is full */
	if (write(fd, &full, sizeof(full)) != sizeof(full))
		ct_fail(t, "eventfd: %s", strerror(errno));
	odd_fd(t, fd, "an eventfd that is full");
}

static void argsz(struct ct *t)
{
	static const uint32_t sizes[] = { 0, 1, 16, 19 };
	uint32_t index = some_irq(t, 1);
	struct ct_conn *c = ct_session(t);

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ct_msg *m = ct_set_irqs(c, S_NONE | S_TRIGGER, index, 0, 0);

		put32(m->data + HEADER, sizes[i]);
		ct_refused(c, m, "DEVICE_SET_IRQS with argsz %u", sizes[i]);
	}
	ct_still_there(c);
}

static void short_body(struct ct *t)
{
	ct_short_bodies(t, C_SET_IRQS, SET_IRQS_SIZE);
}

static void mask(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	bool any = false;

	ct_need_info(t);
	for (uint32_t i = 0; i < t->device->num_irqs && i < CT_IRQS; i++) {
		const struct ct_irq *irq = &t->device->irq[i];
		int fd;

		if (!irq->count || !(irq->flags & I_MASKABLE))
			continue;
		any = true;
		fd = ct_eventfd(t);
		assign(c, i, 0, 1, &fd);
		ct_call(c, ct_set_irqs(c, S_NONE | S_MASK, i, 0, 1), 0);
		ct_call(c, ct_set_irqs(c, S_NONE | S_UNMASK, i, 0, 1), 0);
		ct_call(c, ct_set_irqs(c, S_NONE | S_TRIGGER, i, 0, 0), 0);
	}
	if (!any)
		ct_skip(t, "no interrupt is maskable");
}

#define SECTION "VFIO_USER_DEVICE_SET_IRQS"
const struct ct_test ct_irq_tests[] = {
	{ "irq-trigger", MUST, SECTION, "an interrupt that the client triggers signals its eventfd",
	  loopback },
	{ "irq-range", MUST, SECTION, "each of four interrupts has its own eventfd", range },
	{ "irq-bool", MUST, SECTION, "booleans choose which of a range are triggered", bools },
	{ "irq-bool-short", MUST, SECTION, "fewer booleans than the range has are refused",
	  bools_short },
	{ "irq-deassign-one", MUST, SECTION,
	  "an interrupt whose eventfd is taken does not come any more, and the others do",
	  deassign_one },
	{ "irq-disable", MUST, SECTION, "count 0 without data disables all interrupts of a kind",
	  disable },
	{ "irq-disable-twice", PRACTICE, SECTION,
	  "so it does when none is enabled: QEMU's client asks for that, the kernel's VFIO refuses",
	  disable_twice },
	{ "irq-replace", MUST, SECTION, "an eventfd takes the place of the one before", replace },
	{ "irq-flags", MUST, SECTION,
	  "flags that are not one kind of data and one action are "
	  "refused",
	  flags },
	{ "irq-flags-unknown", SHOULD, SECTION, "flags that there are not are refused",
	  flags_unknown },
	{ "irq-outside", MUST, SECTION, "interrupts that there are not are refused", out_of_range },
	{ "irq-fds-count", SHOULD, SECTION, "more or fewer eventfds than interrupts are refused",
	  fds_count },
	{ "irq-no-eventfd", MUST, "Security Considerations",
	  "descriptors that are no eventfds do no harm", no_eventfd },
	{ "irq-full-eventfd", SHOULD, "Security Considerations",
	  "an eventfd that takes no more does not stop the server", full_eventfd },
	{ "irq-argsz", SHOULD, SECTION, "an argsz without room for the structure is refused",
	  argsz },
	{ "irq-short", MUST, SECTION, "bodies of 0 to 19 bytes are refused", short_body },
	{ "irq-mask", MUST, SECTION, "what is maskable is masked and unmasked", mask },
	{ 0 }
};
