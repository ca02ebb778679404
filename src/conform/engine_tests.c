/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/engine_tests.c: DMA and interrupts by the device, which only a device that we know can be
 * made to do: edu (1234:11e8, also QEMU's) and testdev (1234:7e57) have registers for that. Memory
 * without a descriptor is reached by DMA_READ and DMA_WRITE, which are answered here, also wrongly.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "conform/internal.h"

#define RW	(MAP_READ | MAP_WRITE)
#define SRC	0x200000ull
#define DST	0x400000ull
#define SIZE	0x4000ull
#define COMMAND 0x04 /* in config space */
#define MEMORY	0x2u
#define MASTER	0x4u
#define NO_INTX 0x400u

/* registers: of both devices, of edu, of testdev (docs/testdev.md) */
#define REG_SRC	      0x80
#define REG_DST	      0x88
#define REG_LEN	      0x90
#define REG_CMD	      0x98
#define EDU_BUFFER    0x40000u
#define EDU_TO_DEVICE 1u
#define EDU_TO_MEMORY 3u
#define EDU_RAISE     0x60
#define EDU_ACK	      0x64
#define TD_STATUS     0x9c
#define TD_COPY	      1u
#define TD_LATER      0x200u /* the write of the command is done before the DMA is */
#define TD_BUSY	      1u
#define TD_DONE	      2u
#define TD_INTX	      0x44

struct engine {
	struct ct_conn *c;
	bool edu;
	uint32_t bar;
};

static void config16(struct ct_conn *c, uint16_t set, uint16_t clear)
{
	uint16_t v;

	ct_read(c, CONFIG_REGION, COMMAND, &v, sizeof(v));
	v = (uint16_t)((v & ~clear) | set);
	ct_write(c, CONFIG_REGION, COMMAND, &v, sizeof(v));
}

static struct engine engine(struct ct_conn *c)
{
	const struct ct_device *d = c->t->device;
	uint32_t id = d->config_known ? get32(d->config) : 0;
	struct engine e = { c, id == 0x11e81234, id == 0x11e81234 ? 0 : 2 };

	if (id != 0x11e81234 && id != 0x7e571234)
		ct_skip(c->t, "the device is neither edu nor testdev: what makes it do DMA is not "
			      "known");
	ct_need_region(c->t, e.bar, 0x100, R_READ | R_WRITE);
	config16(c, MEMORY | MASTER, NO_INTX);
	return e;
}

static void reg64(struct engine *e, uint64_t reg, uint64_t v)
{
	ct_write(e->c, e->bar, reg, &v, 8);
}

static void reg32(struct engine *e, uint64_t reg, uint32_t v)
{
	ct_write(e->c, e->bar, reg, &v, 4);
}

/* The message that starts a transfer of the engine; it is not sent. */
static struct ct_msg *start(struct engine *e, uint64_t src, uint64_t dst, uint64_t len,
			    uint32_t cmd)
{
	uint64_t v = cmd;

	reg64(e, REG_SRC, src);
	reg64(e, REG_DST, dst);
	reg64(e, REG_LEN, len);
	return ct_region_write(e->c, e->bar, REG_CMD, &v, e->edu ? 8 : 4);
}

static void wait_done(struct engine *e)
{
	double until = ct_now() + e->c->t->run->o->timeout_ms / 1000.;
	uint32_t reg = e->edu ? REG_CMD : TD_STATUS;

	while ((ct_read32(e->c, e->bar, reg) & (e->edu ? 1 : 7)) == TD_BUSY) {
		ct_check(e->c->t, ct_now() < until, "the device's DMA does not end within %u ms",
			 e->c->t->run->o->timeout_ms);
		poll(NULL, 0, 1);
	}
}

/* Have the device copy memory to memory; true if it says that it did (edu does not say). */
static bool copy(struct engine *e, uint64_t src, uint64_t dst, uint64_t len)
{
	if (e->edu) {
		ct_call(e->c, start(e, src, EDU_BUFFER, len, EDU_TO_DEVICE), REGION_RW_SIZE);
		wait_done(e);
		ct_call(e->c, start(e, EDU_BUFFER, dst, len, EDU_TO_MEMORY), REGION_RW_SIZE);
		wait_done(e);
		return true;
	}
	ct_call(e->c, start(e, src, dst, len, TD_COPY), REGION_RW_SIZE);
	wait_done(e);
	return ct_read32(e->c, e->bar, TD_STATUS) == TD_DONE;
}

/* ---- memory of ours ---- */

struct memory {
	int fd;
	uint8_t *p;
};

static struct memory memory(struct ct *t, uint8_t seed)
{
	struct memory m = { .fd = ct_memfd(t, SIZE) };
	uint8_t data[SIZE];

	for (unsigned i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(seed ? i * 7 + seed : 0);
	if (pwrite(m.fd, data, SIZE, 0) != (ssize_t)SIZE)
		ct_fail(t, "no memory: %s", strerror(errno));
	m.p = ct_alloc(t, SIZE);
	return m;
}

/* Read its bytes as they are now into @p. */
static void look(struct ct *t, struct memory *m)
{
	if (pread(m->fd, m->p, SIZE, 0) != (ssize_t)SIZE)
		ct_fail(t, "no memory: %s", strerror(errno));
}

static void map(struct ct_conn *c, uint32_t flags, uint64_t at, int fd)
{
	ct_call(c, ct_dma_map(c, flags, 0, at, SIZE, fd), 0);
}

static void check_copied(struct ct *t, struct memory *src, struct memory *dst, uint64_t len)
{
	look(t, src);
	look(t, dst);
	ct_check(t, !memcmp(src->p, dst->p, len), "the device copied other bytes than were there");
}

static bool same(const uint8_t *p, uint8_t v, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		if (p[i] != v)
			return false;
	return true;
}

/* ---- DMA by messages ---- */

enum answer { RIGHT, ERROR, WRONG_ID, WRONG_COMMAND, SHORT, LYING, LONG, WRONG_ADDRESS, NEVER };

struct served {
	enum answer answer;
	uint64_t max; /* bytes that one command may be of */
	uint8_t *src, *dst;
	unsigned reads, writes;
};

/* Answer a DMA_READ or DMA_WRITE of the device, rightly or as a bad client does. */
static void serve(struct ct_conn *c, struct ct_msg *m, void *arg)
{
	struct served *s = arg;
	struct ct *t = c->t;
	bool read = ct_cmd(m) == C_DMA_READ;
	uint64_t addr = ct_body64(m, 0), count = ct_body64(m, 8), base = read ? SRC : DST;
	struct ct_msg *r;

	ct_check(t, read || ct_cmd(m) == C_DMA_WRITE, "the server sent command %u", ct_cmd(m));
	ct_check(t, m->size == HEADER + DMA_RW_SIZE + (read ? 0 : count),
		 "%s of %" PRIu64 " bytes has a size of %zu", ct_cmd_name(ct_cmd(m)), count,
		 m->size);
	ct_check(t, !m->nfds, "%s has descriptors", ct_cmd_name(ct_cmd(m)));
	ct_check(t, count && count <= s->max,
		 "%s of %" PRIu64 " bytes: max_data_xfer_size of the client is %" PRIu64,
		 ct_cmd_name(ct_cmd(m)), count, s->max);
	ct_check(t, addr >= base && range_within(addr - base, count, SIZE),
		 "%s of 0x%" PRIx64 ", %" PRIu64 " bytes: not what was asked for",
		 ct_cmd_name(ct_cmd(m)), addr, count);
	if (read)
		s->reads++;
	else
		s->writes++;
	if (s->answer == NEVER || ct_flags(m) & F_NO_REPLY)
		return;
	r = ct_command(c, ct_cmd(m));
	memcpy(r->data + H_ID, m->data + H_ID, 2);
	ct_set_flags(r, F_REPLY);
	if (s->answer == ERROR) {
		ct_set_flags(r, F_REPLY | F_ERROR);
		put32(r->data + H_ERROR, EFAULT);
		ct_send(c, r);
		return;
	}
	ct_add64(r, s->answer == WRONG_ADDRESS ? addr + 0x1000 : addr);
	ct_add64(r, s->answer == SHORT ? count / 2 : count);
	if (read)
		ct_add(r, s->src + (addr - SRC),
		       s->answer == SHORT || s->answer == LYING ? count / 2 : count);
	else
		memcpy(s->dst + (addr - DST), m->data + HEADER + DMA_RW_SIZE, count);
	if (s->answer == LONG)
		ct_add_zeros(r, 64);
	if (s->answer == WRONG_ID)
		r->data[H_ID + 1] ^= 0x55;
	if (s->answer == WRONG_COMMAND)
		r->data[H_CMD] ^= C_DMA_READ ^ C_DMA_WRITE;
	ct_try_send(c, r, 0, r->size, false);
}

static struct served *server_of(struct ct_conn *c, enum answer answer, uint64_t max)
{
	struct served *s = ct_alloc(c->t, sizeof(*s));

	s->answer = answer;
	s->max = max;
	s->src = ct_alloc(c->t, SIZE);
	s->dst = ct_alloc(c->t, SIZE);
	for (unsigned i = 0; i < SIZE; i++)
		s->src[i] = (uint8_t)(i * 5 + 3);
	c->on_command = serve;
	c->arg = s;
	return s;
}

static void by_messages(struct ct *t)
{
	static const uint64_t sizes[] = { 4, 1, 7, 512, 4096 };
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	struct served *s = server_of(c, RIGHT, DEFAULT_XFER);

	map(c, RW, SRC, -1);
	map(c, RW, DST, -1);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		s->reads = s->writes = 0;
		memset(s->dst, 0, SIZE);
		ct_check(t, copy(&e, SRC + i, DST + i, sizes[i]),
			 "the device says that its DMA "
			 "failed");
		ct_check(t, s->reads && s->writes,
			 "memory without a descriptor was reached by %u "
			 "DMA_READ and %u DMA_WRITE",
			 s->reads, s->writes);
		ct_check(t, !memcmp(s->src + i, s->dst + i, sizes[i]) && !s->dst[i + sizes[i]],
			 "of %" PRIu64 " bytes others came than were there", sizes[i]);
	}
	ct_still_there(c);
}

static void limited(struct ct *t)
{
	struct ct_conn *c = ct_session_with(t, 0,
					    "{\"capabilities\":{\"max_msg_fds\":8,"
					    "\"max_data_xfer_size\":512}}");
	struct engine e = engine(c);
	struct served *s = server_of(c, RIGHT, 512);

	map(c, RW, SRC, -1);
	map(c, RW, DST, -1);
	ct_check(t, copy(&e, SRC, DST, 2000), "the device says that its DMA failed");
	ct_check(t, !memcmp(s->src, s->dst, 2000), "other bytes came than were there");
}

static void twin(struct ct *t)
{
	struct ct_conn *c, *w;
	struct engine e;
	struct served *s;
	struct ct_msg *m, *r;
	struct pollfd p;
	double until = ct_now() + 3 * t->run->o->timeout_ms / 1000.;
	bool replied = false;

	if (!t->device->twin_socket)
		ct_skip(t, "the server has no twin socket");
	c = ct_connect(t);
	m = ct_version(
		c, 0, 2,
		"{\"capabilities\":{\"max_msg_fds\":8,\"twin_socket\":{\"supported\":true}}}");
	r = ct_call(c, m, -1);
	ct_check(t, r->nfds == 1, "the reply to VERSION has %u descriptors", r->nfds);
	e = engine(c);
	w = ct_conn_of(t, dup(r->fds[0]));
	s = server_of(w, RIGHT, DEFAULT_XFER);
	map(c, RW, SRC, -1);
	m = start(&e, SRC, e.edu ? EDU_BUFFER : SRC, 64, 1);
	map(c, RW, DST, -1);
	if (!e.edu)
		m = start(&e, SRC, DST, 64, TD_COPY);
	ct_send(c, m);
	while (!replied || !s->reads) {
		ct_check(t, ct_now() < until, "no DMA_READ comes on the twin socket");
		if (ct_take(w, &r, 20) == CT_MSG)
			serve(w, r, s);
		if (!replied && ct_take(c, &r, 20) == CT_MSG) {
			ct_check(t, ct_flags(r) & F_REPLY,
				 "a command came on the main socket, "
				 "though there is a twin");
			replied = true;
		}
	}
	p = (struct pollfd){ .fd = w->fd, .events = POLLIN };
	while (poll(&p, 1, 50) == 1 && ct_take(w, &r, 10) == CT_MSG)
		serve(w, r, s);
	ct_still_there(c);
}

/* While the device waits for its DMA_READ, ask the server for something else. */
static void interleave(struct ct *t, bool meanwhile)
{
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	struct served *s = server_of(c, RIGHT, DEFAULT_XFER);
	struct ct_msg *go, *info = NULL, *r, *dma;
	uint32_t later = meanwhile ? TD_LATER : 0;
	double until = ct_now() + t->run->o->timeout_ms / 1000.;
	bool went = false, told = false, before;

	map(c, RW, SRC, -1);
	map(c, RW, DST, -1);
	go = start(&e, SRC, e.edu ? EDU_BUFFER : DST, 64, e.edu ? EDU_TO_DEVICE : TD_COPY | later);
	ct_send(c, go);
	do {
		ct_check(t, ct_now() < until, "no DMA_READ comes");
		if (ct_take(c, &dma, 100) != CT_MSG)
			continue;
		if (!(ct_flags(dma) & F_REPLY))
			break;
		went = true; /* a device that does its DMA later */
	} while (true);
	info = ct_get_info(c);
	ct_send(c, info);
	for (double wait = ct_now() + 0.3; !told && ct_now() < wait;) {
		if (ct_take(c, &r, 100) != CT_MSG)
			continue;
		ct_check(t, ct_flags(r) & F_REPLY, "a second command while one is not answered");
		if (get16(r->data + H_ID) == get16(info->data + H_ID))
			told = true;
		else
			went = true;
	}
	before = told;
	serve(c, dma, s);
	until = ct_now() + t->run->o->timeout_ms / 1000.;
	while (!went || !told) {
		ct_check(t, ct_now() < until && !c->closed,
			 "a command was sent while a DMA_READ was awaited: %s is not answered",
			 told ? "the write that started it" : "it");
		if (ct_take(c, &r, 100) != CT_MSG)
			continue;
		if (!(ct_flags(r) & F_REPLY))
			serve(c, r, s);
		else if (get16(r->data + H_ID) == get16(info->data + H_ID))
			told = true;
		else
			went = true;
	}
	wait_done(&e);
	if (!e.edu)
		ct_check(t,
			 ct_read32(c, e.bar, TD_STATUS) == TD_DONE && !memcmp(s->src, s->dst, 64),
			 "a command was sent while a DMA_READ was awaited, and the DMA failed");
	ct_check(t, before || !meanwhile, "while a DMA_READ is not answered, no other command is");
}

static void interleaved(struct ct *t)
{
	interleave(t, false);
}

static void not_stalled(struct ct *t)
{
	interleave(t, true);
}

/* What the server makes of a wrong answer is its own; it must live, and serve the next client. */
static void wrongly(struct ct *t, enum answer answer)
{
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	struct served *s = server_of(c, answer, DEFAULT_XFER);
	double until = ct_now() + (answer == NEVER ? 0.2 : t->run->o->timeout_ms / 1000.);
	struct ct_msg *r;

	map(c, RW, SRC, -1);
	map(c, RW, DST, -1);
	ct_send(c, start(&e, SRC, e.edu ? EDU_BUFFER : DST, 64, 1));
	while (ct_now() < until) {
		enum ct_came came = ct_take(c, &r, 100);

		if (came == CT_EOF)
			ct_note(t, "the connection was closed");
		if (came == CT_EOF || (came == CT_NOTHING && s->reads))
			break;
		if (came == CT_MSG && !(ct_flags(r) & F_REPLY))
			serve(c, r, s);
	}
	if (!c->closed && answer == ERROR) {
		ct_still_there(c);
		ct_check(t, e.edu || ct_read32(c, e.bar, TD_STATUS) != TD_DONE,
			 "DMA_READ was answered with an error, and the device got its bytes");
	}
	ct_close(c);
}

static void error_answer(struct ct *t)
{
	wrongly(t, ERROR);
}

static void bad_answers(struct ct *t)
{
	for (enum answer a = WRONG_ID; a <= NEVER; a++)
		wrongly(t, a);
}

/* ---- DMA by the descriptor ---- */

static void by_fd(struct ct *t, uint32_t mode)
{
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	struct memory src = memory(t, 9), dst = memory(t, 0);
	struct ct_msg *m;

	m = ct_dma_map(c, RW | mode, 0, SRC, SIZE, src.fd);
	ct_send(c, m);
	if (ct_flags(ct_reply(c, m)) & F_ERROR) {
		ct_check(t, mode, "DMA_MAP is refused");
		ct_skip(t, "the server does not have flag 0x%x, of 2026", mode);
	}
	map(c, RW | mode, DST, dst.fd);
	ct_check(t, copy(&e, SRC, DST, 4096), "the device says that its DMA failed");
	check_copied(t, &src, &dst, 4096);
	ct_check(t, same(dst.p + 4096, 0, SIZE - 4096), "the device wrote more than it was to");
}

static void by_mmap(struct ct *t)
{
	by_fd(t, 0);
}

static void by_mmap_flag(struct ct *t)
{
	by_fd(t, MAP_BY_MMAP);
}

static void by_file(struct ct *t)
{
	by_fd(t, MAP_BY_FILE);
}

static void by_offset(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	struct memory src = memory(t, 9), dst = memory(t, 0);

	ct_call(c, ct_dma_map(c, RW, 0x1000, SRC, 0x1000, src.fd), 0);
	ct_call(c, ct_dma_map(c, RW, 0x2000, DST, 0x1000, dst.fd), 0);
	ct_check(t, copy(&e, SRC + 16, DST + 32, 1024), "the device says that its DMA failed");
	look(t, &src);
	look(t, &dst);
	ct_check(t, !memcmp(src.p + 0x1010, dst.p + 0x2020, 1024),
		 "the offset in the file is not where the device's DMA is");
}

static void mixed(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	struct memory dst = memory(t, 0);
	struct served *s = server_of(c, RIGHT, DEFAULT_XFER);

	map(c, RW, SRC, -1);
	map(c, RW, DST, dst.fd);
	ct_check(t, copy(&e, SRC, DST, 1000), "the device says that its DMA failed");
	look(t, &dst);
	ct_check(t, !memcmp(dst.p, s->src, 1000), "other bytes came than were there");
	ct_check(t, !s->writes, "memory with a descriptor was reached by DMA_WRITE");
}

static void not_mapped(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	struct memory dst = memory(t, 0);
	bool done;

	map(c, RW, DST, dst.fd);
	done = copy(&e, SRC, DST, 256); /* any command of the server's fails the test */
	ct_check(t, e.edu || !done, "the device read memory that was not mapped");
	ct_call(c, ct_dma_unmap(c, 0, DST, SIZE), DMA_UNMAP_SIZE);
	done = copy(&e, DST, DST, 256);
	ct_check(t, e.edu || !done, "the device reached memory that was unmapped");
	ct_still_there(c);
}

static void rights(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	struct memory src = memory(t, 9), dst = memory(t, 0);

	map(c, RW, SRC, src.fd);
	map(c, MAP_READ, DST, dst.fd);
	copy(&e, SRC, DST, 256);
	look(t, &dst);
	ct_check(t, same(dst.p, 0, 256), "the device wrote memory that is mapped for reading");
	ct_still_there(c);
}

static void rights_messages(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	struct served *s = server_of(c, RIGHT, DEFAULT_XFER);

	map(c, RW, SRC, -1);
	map(c, MAP_READ, DST, -1);
	copy(&e, SRC, DST, 256);
	ct_check(t, !s->writes, "DMA_WRITE came for memory that is mapped for reading");
	ct_call(c, ct_dma_unmap(c, 0, SRC, SIZE), DMA_UNMAP_SIZE);
	map(c, MAP_WRITE, SRC, -1);
	s->reads = 0;
	copy(&e, SRC, DST, 256);
	ct_check(t, !s->reads, "DMA_READ came for memory that is mapped for writing");
	ct_still_there(c);
}

static void file_shrinks(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	struct memory src = memory(t, 9), dst = memory(t, 0);

	map(c, RW, SRC, src.fd);
	map(c, RW, DST, dst.fd);
	ct_check(t, !ftruncate(src.fd, 0) && !ftruncate(dst.fd, 0), "ftruncate fails");
	copy(&e, SRC, DST, 256);
	ct_still_there(c);
}

static void master_off(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	struct memory src = memory(t, 9), dst = memory(t, 0);

	map(c, RW, SRC, src.fd);
	map(c, RW, DST, dst.fd);
	config16(c, 0, MASTER);
	copy(&e, SRC, DST, 256);
	config16(c, MASTER, 0);
	look(t, &dst);
	ct_check(t, same(dst.p, 0, 256), "the device did DMA though it is no bus master");
}

/* ---- INTx ---- */

static void raise_intx(struct engine *e, bool on)
{
	if (e->edu)
		reg32(e, on ? EDU_RAISE : EDU_ACK, 1);
	else
		reg32(e, TD_INTX, on);
}

static bool came(struct ct *t, int fd, bool expected)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	return poll(&p, 1, expected ? (int)t->run->o->timeout_ms : 0) == 1 &&
	       read(fd, &n, sizeof(n)) == sizeof(n);
}

static void intx(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct engine e = engine(c);
	uint32_t flags = t->device->irq[IRQ_INTX].flags;
	struct ct_msg *m;
	int fd = ct_eventfd(t);

	if (!t->device->irq[IRQ_INTX].count)
		ct_skip(t, "the device has no INTx");
	raise_intx(&e, false);
	m = ct_set_irqs(c, S_EVENTFD | S_TRIGGER, IRQ_INTX, 0, 1);
	ct_add_fd(m, fd);
	ct_call(c, m, 0);
	raise_intx(&e, true);
	ct_check(t, came(t, fd, true), "INTx was raised, and did not come");
	if (!(flags & I_AUTOMASKED)) {
		raise_intx(&e, false);
		ct_skip(t, "INTx came; it is not automasked, and how it goes on is not said");
	}
	raise_intx(&e, false);
	raise_intx(&e, true);
	ct_check(t, !came(t, fd, false), "INTx masks itself, and came twice");
	ct_call(c, ct_set_irqs(c, S_NONE | S_UNMASK, IRQ_INTX, 0, 1), 0);
	ct_check(t, came(t, fd, true), "INTx was unmasked while the line is up, and did not come");
	raise_intx(&e, false);
	ct_call(c, ct_set_irqs(c, S_NONE | S_UNMASK, IRQ_INTX, 0, 1), 0);
	ct_still_there(c);
	ct_check(t, !came(t, fd, false), "INTx was unmasked while the line is down, and came");
	ct_call(c, ct_set_irqs(c, S_NONE | S_MASK, IRQ_INTX, 0, 1), 0);
	raise_intx(&e, true);
	ct_check(t, !came(t, fd, false), "INTx came while it is masked");
	ct_call(c, ct_set_irqs(c, S_NONE | S_UNMASK, IRQ_INTX, 0, 1), 0);
	ct_check(t, came(t, fd, true), "INTx was raised while masked, unmasked, and did not come");
	raise_intx(&e, false);
}

#define READ  "VFIO_USER_DMA_READ"
#define WRITE "VFIO_USER_DMA_WRITE"
#define MAP   "VFIO_USER_DMA_MAP"
const struct ct_test ct_engine_tests[] = {
	{ "engine-mmap", MUST, MAP, "the device copies memory that has descriptors", by_mmap },
	{ "engine-mmap-flag", PRACTICE, MAP, "the same with the flag of 2026 for mmap",
	  by_mmap_flag },
	{ "engine-file", PRACTICE, MAP, "the same with the flag of 2026 for file I/O", by_file },
	{ "engine-offset", MUST, MAP, "DMA is where the offset in the file says", by_offset },
	{ "engine-messages", MUST, READ,
	  "memory without descriptors is copied by DMA_READ and DMA_WRITE", by_messages },
	{ "engine-messages-max", MUST, "Read and Write Operations",
	  "a command of the server's is of no more bytes than the client's max_data_xfer_size",
	  limited },
	{ "engine-mixed", MUST, MAP, "from memory without a descriptor into memory with one",
	  mixed },
	{ "engine-twin-socket", MUST, "Socket",
	  "with a twin socket DMA_READ and DMA_WRITE come there", twin },
	{ "engine-interleaved", MUST, "Command Concurrency",
	  "a command that comes while DMA_READ is awaited is served, and the DMA is right",
	  interleaved },
	{ "engine-not-stalled", SHOULD, "Socket",
	  "a command is answered while the client takes its time with DMA_READ", not_stalled },
	{ "engine-error", MUST, READ, "an error for DMA_READ is the device's, and all goes on",
	  error_answer },
	{ "engine-bad-answers", MUST, "Security Considerations",
	  "wrong ids, commands, sizes, addresses, and silence do no harm", bad_answers },
	{ "engine-not-mapped", MUST, MAP,
	  "memory that is not mapped, or not any more, is not reached", not_mapped },
	{ "engine-rights", MUST, MAP, "memory that is mapped for reading is not written", rights },
	{ "engine-rights-messages", MUST, MAP, "the same by messages, in both directions",
	  rights_messages },
	{ "engine-file-shrinks", MUST, "Security Considerations",
	  "memory whose file is cut off under the device does no harm", file_shrinks },
	{ "engine-master-off", SHOULD, MAP, "a device that is no bus master does no DMA",
	  master_off },
	{ "engine-intx", MUST, "VFIO_USER_DEVICE_SET_IRQS",
	  "INTx comes, masks itself if it says so, and comes again when it is unmasked", intx },
	{ 0 }
};
