/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/session_tests.c: REGION_WRITE_MULTI, DEVICE_RESET; clients that come, leave and are two;
 * many requests in flight.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "conform/internal.h"

#define LINE 0x3c /* Interrupt Line in config space */

static void need_line(struct ct *t)
{
	ct_need_region(t, CONFIG_REGION, 256, R_READ | R_WRITE);
}

static uint8_t line(struct ct_conn *c)
{
	uint8_t v;

	ct_read(c, CONFIG_REGION, LINE, &v, 1);
	return v;
}

/* ---- REGION_WRITE_MULTI ---- */

static struct ct_msg *multi(struct ct_conn *c, uint64_t n)
{
	struct ct_msg *m = ct_command(c, C_WRITE_MULTI);

	ct_add64(m, n);
	return m;
}

static void entry(struct ct_msg *m, uint32_t region, uint64_t off, uint32_t count, uint8_t value)
{
	uint8_t data[8] = { value };

	ct_add64(m, off);
	ct_add32(m, region);
	ct_add32(m, count);
	ct_add(m, data, 8);
}

static struct ct_conn *multi_session(struct ct *t)
{
	need_line(t);
	if (!t->device->write_multiple)
		ct_skip(t, "the server has no write_multiple");
	return ct_session(t);
}

static void multi_good(struct ct *t)
{
	struct ct_conn *c = multi_session(t);
	struct ct_msg *m;

	for (unsigned n = 1; n <= 200; n = n * 3 + 2) {
		m = multi(c, n);
		for (unsigned i = 0; i < n; i++)
			entry(m, CONFIG_REGION, LINE, 1, (uint8_t)(n + i));
		m = ct_call(c, m, 8);
		ct_check(t, ct_body64(m, 0) == n, "of %u writes %lu are said to be done", n,
			 (unsigned long)ct_body64(m, 0));
		ct_check(t, line(c) == (uint8_t)(n + n - 1),
			 "the last of %u writes is not what is "
			 "read",
			 n);
	}
	m = multi(c, 2);
	entry(m, CONFIG_REGION, LINE, 1, 0x11);
	entry(m, CONFIG_REGION, LINE, 1, 0x22);
	ct_set_flags(m, F_NO_REPLY);
	ct_send(c, m);
	ct_check(t, line(c) == 0x22, "writes with No_reply are not done");
}

static void multi_wrong(struct ct *t)
{
	static const uint64_t counts[] = { 0,	       2,	   3,
					   1000,       1ull << 32, 1ull << 60,
					   1ull << 63, UINT64_MAX, 0x0aaaaaaaaaaaaaabull };
	struct ct_conn *c = multi_session(t);
	struct ct_msg *m;

	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		m = multi(c, counts[i]);
		entry(m, CONFIG_REGION, LINE, 1, 0x33);
		ct_send(c, m);
		m = ct_reply(c, m);
		ct_check(t, ct_flags(m) & F_ERROR || (!counts[i] && !ct_body64(m, 0)),
			 "wr_cnt 0x%lx and one write: it was not refused",
			 (unsigned long)counts[i]);
	}
	m = multi(c, 1);
	entry(m, CONFIG_REGION, LINE, 9, 0x33);
	ct_refused(c, m, "a write of 9 bytes");
	m = multi(c, 1);
	entry(m, CONFIG_REGION, LINE, 0xffffffff, 0x33);
	ct_refused(c, m, "a write of 0xffffffff bytes");
	ct_still_there(c);
}

static void multi_outside(struct ct *t)
{
	struct ct_conn *c = multi_session(t);
	struct ct_msg *m = multi(c, 3), *r;

	entry(m, CONFIG_REGION, LINE, 1, 0x44);
	entry(m, 0xffff, 0, 4, 0x44);
	entry(m, CONFIG_REGION, LINE, 1, 0x55);
	ct_send(c, m);
	r = ct_reply(c, m);
	ct_check(t, ct_flags(r) & F_ERROR || ct_body64(r, 0) < 3,
		 "a write to region 0xffff is said to be done");
	ct_still_there(c);
}

static void multi_short(struct ct *t)
{
	ct_close(multi_session(t));
	ct_short_bodies(t, C_WRITE_MULTI, 8 + MULTI_ENTRY);
}

static void multi_not_agreed(struct ct *t)
{
	struct ct_conn *c = ct_session_with(t, 0, "{}");
	struct ct_msg *m = multi(c, 1);

	need_line(t);
	entry(m, CONFIG_REGION, LINE, 1, 0x44);
	ct_refused(c, m, "REGION_WRITE_MULTI that was not agreed on");
	ct_still_there(c);
}

/* ---- DEVICE_RESET ---- */

static void need_reset(struct ct *t)
{
	ct_need_info(t);
	if (!(t->device->flags & INFO_RESET))
		ct_skip(t, "the device has no reset");
}

static void reset(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint32_t id;

	need_reset(t);
	need_line(t);
	id = ct_read32(c, CONFIG_REGION, 0);
	ct_call(c, ct_command(c, C_RESET), 0);
	ct_check(t, ct_read32(c, CONFIG_REGION, 0) == id, "after a reset it is another device");
	ct_call(c, ct_command(c, C_RESET), 0);
	ct_still_there(c);
}

static void reset_keeps(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	need_reset(t);
	if (!t->device->dma)
		ct_skip(t, "the server takes no DMA_MAP");
	ct_call(c, ct_dma_map(c, MAP_READ | MAP_WRITE, 0, 0x10000, 0x1000, ct_memfd(t, 0x1000)), 0);
	ct_call(c, ct_command(c, C_RESET), 0);
	ct_call(c, ct_dma_unmap(c, 0, 0x10000, 0x1000), DMA_UNMAP_SIZE);
}

static void reset_none(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	ct_need_info(t);
	if (t->device->flags & INFO_RESET)
		ct_skip(t, "the device has a reset");
	ct_refused(c, ct_command(c, C_RESET), "DEVICE_RESET of a device without");
	ct_still_there(c);
}

/* ---- clients ---- */

static void irqs_dropped(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	const struct ct_irq *irq = &t->device->irq[IRQ_INTX];
	uint32_t index = irq->count ? IRQ_INTX : IRQ_MSIX;
	int fd = ct_eventfd(t);
	struct ct_msg *m;
	uint64_t n;

	ct_need_info(t);
	if (!t->device->irq[index].count)
		ct_skip(t, "the device has no interrupts");
	m = ct_set_irqs(c, S_EVENTFD | S_TRIGGER, index, 0, 1);
	ct_add_fd(m, fd);
	ct_call(c, m, 0);
	ct_close(c);
	c = ct_session(t);
	m = ct_set_irqs(c, S_NONE | S_TRIGGER, index, 0, 1);
	ct_send(c, m);
	ct_reply(c, m);
	ct_check(t, read(fd, &n, sizeof(n)) < 0,
		 "an interrupt came to the eventfd of a client that has left");
}

static void state_kept(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint8_t before, v;

	if (t->run->o->once)
		ct_skip(t, "the server has one client only");
	need_line(t);
	before = line(c);
	v = before ^ 0x5a;
	ct_write(c, CONFIG_REGION, LINE, &v, 1);
	ct_close(c);
	c = ct_session(t);
	ct_check(t, line(c) == v || t->run->o->command,
		 "Interrupt Line is 0x%x: the client before wrote 0x%x", line(c), v);
	ct_write(c, CONFIG_REGION, LINE, &before, 1);
}

static void many_clients(struct ct *t)
{
	for (unsigned i = 0; i < 50; i++) {
		struct ct_conn *c = ct_session(t);

		ct_still_there(c);
		ct_close(c);
	}
}

static void silent_clients(struct ct *t)
{
	for (unsigned i = 0; i < 20; i++)
		ct_close(ct_connect(t));
	ct_close(ct_session(t));
}

static void second_client(struct ct *t)
{
	struct ct_conn *c = ct_session(t), *second;
	struct ct_msg *m, *r;

	if (t->run->o->once)
		ct_skip(t, "the server has one client only");
	second = ct_connect(t);
	m = ct_version(second, 0, 0, "{}");
	if (ct_try_send(second, m, 0, m->size, false))
		switch (ct_take(second, &r, 100)) {
		case CT_MSG:
			ct_note(t, "the second client is %s",
				ct_flags(r) & F_ERROR ? "refused" : "served");
			break;
		case CT_EOF:
			ct_note(t, "the second client's connection is closed");
			break;
		case CT_NOTHING:
			ct_note(t, "the second client waits");
			break;
		}
	ct_still_there(c);
	ct_close(second);
	ct_still_there(c);
}

static void leave_in_flight(struct ct *t)
{
	for (unsigned i = 0; i < 5; i++) {
		struct ct_conn *c = ct_session(t);

		need_line(t);
		for (unsigned k = 0; k < 60; k++) {
			struct ct_msg *m = ct_region_read(c, CONFIG_REGION, 0, 256);

			if (!ct_try_send(c, m, 0, m->size, false))
				break;
		}
		ct_close(c);
	}
}

static void many_in_flight(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m[1000];
	unsigned sent = 0, disorder = 0;

	need_line(t);
	/* Ask as long as the server takes it, without reading what it answers. */
	for (; sent < ARRAY_SIZE(m); sent++) {
		struct pollfd p = { .fd = c->fd, .events = POLLOUT };

		if (poll(&p, 1, 50) != 1)
			break;
		m[sent] = ct_region_read(c, CONFIG_REGION, 0, 256);
		ct_send(c, m[sent]);
	}
	/* They may come in another order than they were asked for, each once. */
	for (unsigned got = 0; got < sent; got++) {
		struct ct_msg *r;
		unsigned i = 0;

		ct_check(t, ct_take(c, &r, t->run->o->timeout_ms) == CT_MSG,
			 "of %u requests in flight %u are answered, and no more", sent, got);
		while (i < sent && (!m[i] || get16(m[i]->data + H_ID) != get16(r->data + H_ID)))
			i++;
		ct_check(t, i < sent && r->size == HEADER + REGION_RW_SIZE + 256,
			 "reply %u has id 0x%x and %zu bytes", got, get16(r->data + H_ID), r->size);
		m[i] = NULL;
		disorder += i != got;
	}
	if (disorder)
		ct_note(t, "%u replies came out of order", disorder);
	ct_note(t, "%u requests were in flight", sent);
	ct_still_there(c);
}

#define MULTI "VFIO_USER_REGION_WRITE_MULTI"
#define RESET "VFIO_USER_DEVICE_RESET"
const struct ct_test ct_session_tests[] = {
	{ "multi-write", MUST, MULTI, "1 to 17 writes in one message are done, in order",
	  multi_good },
	{ "multi-write-wrong", MUST, MULTI, "counts that are not those of the message are refused",
	  multi_wrong },
	{ "multi-write-outside", MUST, MULTI, "a write to no region is not said to be done",
	  multi_outside },
	{ "multi-write-short", MUST, MULTI, "bodies of 0 to 31 bytes are refused", multi_short },
	{ "multi-write-not-agreed", SHOULD, MULTI, "without write_multiple the command is refused",
	  multi_not_agreed },
	{ "reset", MUST, RESET, "the device is reset, and the same", reset },
	{ "reset-keeps-dma", PRACTICE, RESET, "mappings survive a reset, as with the kernel's VFIO",
	  reset_keeps },
	{ "reset-none", SHOULD, RESET, "a device without the flag is not reset", reset_none },
	{ "client-irqs", MUST, "Client Disconnection",
	  "the eventfds of a client that has left are not signalled", irqs_dropped },
	{ "client-state", SHOULD, "Client Disconnection",
	  "the device is for the next client as the one before left it", state_kept },
	{ "client-many", MUST, "Client Disconnection", "50 clients, one after the other",
	  many_clients },
	{ "client-silent", MUST, "Client Disconnection",
	  "clients that come and leave without a word", silent_clients },
	{ "client-second", MUST, "Socket",
	  "a second client may wait, be refused or be served, and the first is served on",
	  second_client },
	{ "client-leaves", MUST, "Client Disconnection", "a client leaves with requests in flight",
	  leave_in_flight },
	{ "many-in-flight", MUST, "Command Concurrency",
	  "requests whose answers are not read, as many as the server takes, are all answered",
	  many_in_flight },
	{ 0 }
};
