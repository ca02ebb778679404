/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/split_tests.c: a stream socket keeps no borders of messages. A message comes in as many
 * pieces as the sender's buffer makes, several come at once, and the largest ones need both.
 */
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "conform/internal.h"

/* Give the peer the time to read what was sent by itself, before there is more. */
static void rest(unsigned ms)
{
	poll(NULL, 0, (int)ms);
}

static void each_place(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	for (size_t at = 1; at < HEADER + INFO_SIZE; at++) {
		struct ct_msg *m = ct_get_info(c);

		ct_send_part(c, m, 0, at, false);
		rest(1);
		ct_send_part(c, m, at, m->size - at, false);
		ct_success(c, m, INFO_SIZE);
	}
}

static void send_bytes(struct ct_conn *c, struct ct_msg *m)
{
	struct ct *t = c->t;
	unsigned logged;

	for (size_t i = 0; i < m->size; i++) {
		logged = t->logged;
		ct_send_part(c, m, i, 1, false);
		if (i)
			t->logged = logged; /* one line for all of them is enough */
		if (i < 40)
			rest(1);
	}
}

static void byte_by_byte(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m = ct_region_info(c, CONFIG_REGION, REGION_INFO_SIZE);

	ct_need_info(t);
	send_bytes(c, m);
	ct_success(c, m, -1);
	m = ct_get_info(c);
	send_bytes(c, m);
	ct_success(c, m, INFO_SIZE);
}

static void version_bytes(struct ct *t)
{
	struct ct_conn *c = ct_connect(t);
	struct ct_msg *m = ct_version(c, 0, 0, "{\"capabilities\":{\"max_msg_fds\":8}}");

	send_bytes(c, m);
	ct_success(c, m, -1);
	ct_still_there(c);
}

static void late_body(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m = ct_get_info(c);

	ct_send_part(c, m, 0, HEADER, false);
	rest(100);
	ct_send_part(c, m, HEADER, m->size - HEADER, false);
	ct_success(c, m, INFO_SIZE);
}

static void late_header(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m = ct_get_info(c);

	ct_send_part(c, m, 0, HEADER / 2, false);
	rest(100);
	ct_send_part(c, m, HEADER / 2, m->size - HEADER / 2, false);
	ct_success(c, m, INFO_SIZE);
}

/* Send @n messages and @part bytes of one more in one write, and then the rest of that. */
static void joined(struct ct_conn *c, unsigned n, size_t part)
{
	struct ct_msg *all = ct_get_info(c), *m[17];
	size_t at;

	all->size = 0;
	for (unsigned i = 0; i <= n; i++) {
		m[i] = i % 3 == 1 ? ct_irq_info(c, 0) : ct_get_info(c);
		all->size_given = true;
		ct_add(all, m[i]->data, m[i]->size);
	}
	at = n * (HEADER + INFO_SIZE) + part;
	ct_send_part(c, all, 0, at, false);
	for (unsigned i = 0; i < n; i++)
		ct_success(c, m[i], INFO_SIZE);
	rest(2);
	ct_send_part(c, all, at, all->size - at, false);
	ct_success(c, m[n], INFO_SIZE);
}

static void several(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	joined(c, 2, 0);
	joined(c, 16, 0);
}

static void several_and_part(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	joined(c, 1, 1);
	joined(c, 1, HEADER);
	joined(c, 1, HEADER + 1);
	joined(c, 5, HEADER - 1);
	joined(c, 16, HEADER + INFO_SIZE - 1);
}

/* A write of @count bytes that no region takes: it is refused, and the next message is served. */
static void big_write(struct ct_conn *c, uint32_t count, size_t piece)
{
	struct ct_msg *m = ct_command(c, C_REGION_WRITE);

	ct_add64(m, 0);
	ct_add32(m, 0xffff);
	ct_add32(m, count);
	ct_add_zeros(m, count);
	if (piece) {
		unsigned logged = c->t->logged;

		for (size_t at = 0; at < m->size; at += piece) {
			ct_send_part(c, m, at, m->size - at < piece ? m->size - at : piece, false);
			if (at)
				c->t->logged = logged + 1;
			rest(1);
		}
		ct_check(c->t, ct_flags(ct_reply(c, m)) & F_ERROR,
			 "a write to region 0xffff says success");
	} else {
		ct_refused(c, m, "a write of %u bytes to region 0xffff", count);
	}
	ct_still_there(c);
}

static void large(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	for (uint32_t count = 4096; count < t->device->max_xfer && count <= DEFAULT_XFER;
	     count *= 2)
		big_write(c, count, 0);
}

static uint32_t largest(struct ct *t)
{
	ct_need_info(t);
	if (t->device->max_xfer > 16u << 20)
		ct_skip(t, "max_data_xfer_size is %" PRIu64 ": more than this test sends",
			t->device->max_xfer);
	return (uint32_t)t->device->max_xfer;
}

static void largest_write(struct ct *t)
{
	uint32_t max = largest(t);
	struct ct_conn *c = ct_session(t);

	big_write(c, max, 0);
}

static void largest_in_pieces(struct ct *t)
{
	uint32_t max = largest(t);
	struct ct_conn *c = ct_session(t);

	big_write(c, max, max / 16 + 1);
}

static void larger(struct ct *t)
{
	uint32_t max = largest(t);
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m = ct_command(c, C_REGION_WRITE);

	ct_add64(m, 0);
	ct_add32(m, CONFIG_REGION);
	ct_add32(m, max + 1);
	ct_add_zeros(m, max + 1);
	if (ct_broken(c, m, "a write of max_data_xfer_size + 1 bytes"))
		ct_still_there(c);
}

/* One write whose header and descriptor come with @first bytes, and the rest behind. */
static void map_split(struct ct *t, size_t first)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m =
		ct_dma_map(c, MAP_READ | MAP_WRITE, 0, 0x10000, 0x1000, ct_memfd(t, 0x1000));

	if (!t->device->dma)
		ct_skip(t, "the server takes no DMA_MAP");
	ct_send_part(c, m, 0, first, true);
	rest(5);
	ct_send_part(c, m, first, m->size - first, false);
	ct_success(c, m, 0);
	/* by file offset: it fails where the descriptor was lost, since messages take no offset */
	ct_call(c, ct_dma_unmap(c, 0, 0x10000, 0x1000), -1);
	ct_still_there(c);
}

static void fds_with_header(struct ct *t)
{
	map_split(t, HEADER);
}

static void fds_with_first_byte(struct ct *t)
{
	map_split(t, 1);
}

static void fds_late(struct ct *t)
{
	static const size_t at[] = { 8, HEADER, HEADER + 8 };

	if (!t->device->dma)
		ct_skip(t, "the server takes no DMA_MAP");
	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct ct_conn *c = ct_session(t);
		struct ct_msg *m = ct_dma_map(c, MAP_READ | MAP_WRITE, 0, 0x10000, 0x1000,
					      ct_memfd(t, 0x1000)),
			      *r;

		ct_send_part(c, m, 0, at[i], false);
		rest(5);
		if (ct_try_send(c, m, at[i], m->size - at[i], true) &&
		    ct_take(c, &r, t->run->o->timeout_ms) == CT_MSG) {
			ct_note(t, "with byte %zu: %s", at[i],
				ct_flags(r) & F_ERROR ? "refused" : "accepted");
			ct_still_there(c);
		} else {
			ct_check(t, c->closed,
				 "a DMA_MAP with its descriptor at byte %zu is not "
				 "answered",
				 at[i]);
			ct_note(t, "with byte %zu: the connection was closed", at[i]);
		}
		ct_close(c);
	}
}

#define SECTION "Protocol Specification"
const struct ct_test ct_split_tests[] = {
	{ "split-each-place", MUST, SECTION, "a message in two parts, at each of its bytes",
	  each_place },
	{ "split-bytes", MUST, SECTION, "messages byte by byte", byte_by_byte },
	{ "split-version", MUST, SECTION, "VERSION byte by byte", version_bytes },
	{ "split-late-body", MUST, SECTION, "a body that comes 100 ms after its header",
	  late_body },
	{ "split-late-header", MUST, SECTION, "a header of which half comes 100 ms late",
	  late_header },
	{ "joined", MUST, "Command Concurrency", "several messages in one write", several },
	{ "joined-and-part", MUST, "Command Concurrency",
	  "several messages in one write, of which the last is not whole", several_and_part },
	{ "size-large", MUST, "Message sizes",
	  "messages of 4 KiB to half of max_data_xfer_size are read whole", large },
	{ "size-largest", MUST, "Message sizes",
	  "a message with max_data_xfer_size bytes of data is read whole", largest_write },
	{ "size-largest-in-pieces", MUST, "Message sizes", "the same in 16 pieces",
	  largest_in_pieces },
	{ "size-larger", MUST, "Message sizes", "one byte more than max_data_xfer_size is refused",
	  larger },
	{ "fds-with-header", MUST, "VFIO_USER_DMA_MAP",
	  "a descriptor that comes with the header, and the body later", fds_with_header },
	{ "fds-with-first-byte", SHOULD, "VFIO_USER_DMA_MAP",
	  "a descriptor that comes with the first byte, and the rest later", fds_with_first_byte },
	{ "fds-late", PRACTICE, "VFIO_USER_DMA_MAP",
	  "a descriptor with a later byte is taken or refused: all clients send it with the first",
	  fds_late },
	{ 0 }
};
