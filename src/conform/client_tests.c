/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/client_tests.c: what a client has to bear: a server with small limits, one that is slow,
 * that sends in pieces, that reads and writes the client's memory at any time, and one that lies.
 * Whatever that one says, the client must not die of it, nor hang.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "conform/client.h"

/* ---- a server as it should be ---- */

static void rules(struct ct *t)
{
	struct cl *cl = cl_new(t);

	cl_serve(cl);
	cl_started(cl);
	for (unsigned i = 0; i <= C_LAST; i++)
		if (cl->seen[i])
			ct_note(t, "%u %s", cl->seen[i], ct_cmd_name((uint16_t)i));
}

static void mmap_region(struct ct *t)
{
	struct cl *cl = cl_new(t);

	cl->bar2 = true;
	cl_serve(cl);
	cl_started(cl);
}

static void no_json(struct ct *t)
{
	struct cl *cl = cl_new(t);

	cl->no_json = true;
	cl_serve(cl);
	cl_started(cl);
}

static void unknown_capability(struct ct *t)
{
	struct cl *cl = cl_new(t);

	cl->json = "{\"capabilities\":{\"max_msg_fds\":8,\"x_conform\":{\"a\":[1]}},\"x\":1}";
	cl_serve(cl);
	cl_started(cl);
}

static void small_transfers(struct ct *t)
{
	struct cl *cl = cl_new(t);

	cl->max_xfer = 64;
	cl_serve(cl);
	ct_check(t, cl->seen[C_VERSION], "the client did not send VERSION");
	if (!cl->accesses)
		ct_warn(t,
			"the client asks for no more than 64 bytes at once, and does not start up");
}

static void in_pieces(struct ct *t, enum cl_send how)
{
	struct cl *cl = cl_new(t);

	cl->send = how;
	cl_serve(cl);
	cl_started(cl);
}

static void bytes(struct ct *t)
{
	in_pieces(t, CL_BYTES);
}

static void halves(struct ct *t)
{
	in_pieces(t, CL_HALVES);
}

static void late(struct ct *t)
{
	in_pieces(t, CL_LATE);
}

/* ---- DMA by messages ---- */

/* Return a mapping with @flags, or NULL. */
static struct cl_map *some_map(struct cl *cl, uint32_t flags)
{
	for (unsigned i = 0; i < cl->nmaps; i++)
		if ((cl->maps[i].flags & flags) == flags && cl->maps[i].size >= 4096)
			return &cl->maps[i];
	return NULL;
}

static struct cl_map *need_map(struct cl *cl, uint32_t flags)
{
	struct cl_map *m;

	cl_serve(cl);
	cl_started(cl);
	m = some_map(cl, flags);
	if (!m)
		ct_skip(cl->t, "the client has mapped no memory with flags %u", flags);
	return m;
}

/* Ask for @count bytes; true: they came. An error is well, too, where nothing may be reached. */
static bool asked(struct cl *cl, bool read, uint64_t addr, uint64_t count, const void *data,
		  struct ct_msg **r)
{
	struct ct_msg *m = cl_dma(cl, read, addr, count, data);

	ct_send(cl->c, m);
	*r = cl_dma_reply(cl, m);
	ct_check(cl->t, *r, "the client has left when it was asked for memory");
	return !(ct_flags(*r) & F_ERROR);
}

static void need_answer(struct cl *cl, struct ct_msg *r)
{
	if (ct_flags(r) & F_ERROR)
		ct_skip(cl->t,
			"DMA is answered with error %u (%s), which a client may do while the "
			"device is no bus master",
			ct_error(r), strerror((int)ct_error(r)));
}

static void dma_read(struct ct *t)
{
	static const uint64_t counts[] = { 1, 4, 8, 512, 4096 };
	struct cl *cl = cl_new(t);
	struct cl_map *map = need_map(cl, MAP_READ);
	struct ct_msg *r;

	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
		if (!asked(cl, true, map->addr + map->size - counts[i], counts[i], NULL, &r))
			need_answer(cl, r);
}

static void dma_write(struct ct *t)
{
	struct cl *cl = cl_new(t);
	struct cl_map *map = need_map(cl, MAP_READ | MAP_WRITE);
	uint8_t before[64], data[64];
	struct ct_msg *r;

	if (!asked(cl, true, map->addr, sizeof(before), NULL, &r))
		need_answer(cl, r);
	memcpy(before, r->data + HEADER + DMA_RW_SIZE, sizeof(before));
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(before[i] ^ (i + 1));
	ct_check(t, asked(cl, false, map->addr, sizeof(data), data, &r), "DMA_WRITE is refused");
	ct_check(t, asked(cl, true, map->addr, sizeof(data), NULL, &r), "DMA_READ is refused");
	ct_check(t, !memcmp(r->data + HEADER + DMA_RW_SIZE, data, sizeof(data)),
		 "what DMA_WRITE wrote DMA_READ does not read");
	ct_check(t, asked(cl, false, map->addr, sizeof(before), before, &r),
		 "DMA_WRITE is refused");
}

static void dma_outside(struct ct *t)
{
	static const uint64_t sizes[] = { 1, 8, 4096, DEFAULT_XFER };
	struct cl *cl = cl_new(t);
	uint64_t end = 0;
	struct ct_msg *r;
	uint8_t *zeros = ct_alloc(t, DEFAULT_XFER);

	need_map(cl, 0);
	for (unsigned i = 0; i < cl->nmaps; i++)
		if (cl->maps[i].addr + cl->maps[i].size > end)
			end = cl->maps[i].addr + cl->maps[i].size;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		ct_check(t, !asked(cl, true, end + 0x100000, sizes[i], NULL, &r),
			 "DMA_READ of memory that is not mapped is answered");
		ct_check(t, !asked(cl, false, end + 0x100000, sizes[i], zeros, &r),
			 "DMA_WRITE of memory that is not mapped is answered");
		ct_check(t, !asked(cl, true, UINT64_MAX - 3, sizes[i] + 8, NULL, &r),
			 "DMA_READ of memory past all addresses is answered");
	}
}

static void dma_rights(struct ct *t)
{
	struct cl *cl = cl_new(t);
	uint8_t zeros[64] = { 0 };
	struct cl_map *map = NULL;
	struct ct_msg *r;

	need_map(cl, 0);
	for (unsigned i = 0; i < cl->nmaps; i++)
		if ((cl->maps[i].flags & 3) == MAP_READ)
			map = &cl->maps[i];
	if (!map)
		ct_skip(t, "the client has mapped no memory for reading alone");
	ct_check(t, !asked(cl, false, map->addr, sizeof(zeros), zeros, &r),
		 "DMA_WRITE of memory that is mapped for reading is answered");
}

static void dma_sizes(struct ct *t)
{
	struct cl *cl = cl_new(t);
	struct cl_map *map = need_map(cl, MAP_READ);
	struct ct_msg *m, *r;

	if (cl->client_xfer < UINT32_MAX && cl->client_xfer < map->size) {
		ct_check(t, !asked(cl, true, map->addr, cl->client_xfer + 1, NULL, &r),
			 "DMA_READ of more than the client's max_data_xfer_size is answered");
		asked(cl, true, map->addr, cl->client_xfer, NULL, &r);
	}
	ct_check(t, !asked(cl, true, map->addr, 1ull << 40, NULL, &r),
		 "DMA_READ of 2^40 bytes is answered");
	ct_check(t, !asked(cl, true, map->addr, UINT64_MAX, NULL, &r),
		 "DMA_READ of 2^64 - 1 bytes is answered");
	m = cl_dma(cl, false, map->addr, 8, "\0\0\0\0\0\0\0");
	memset(m->data + HEADER + 8, 0xff, 4); /* its count is not what there is */
	ct_send(cl->c, m);
	if (ct_take(cl->c, &r, t->run->o->timeout_ms) == CT_MSG)
		ct_check(t, ct_flags(r) & F_ERROR,
			 "DMA_WRITE of 2^32 - 1 bytes with 8 is answered");
}

/* Ask the client for memory when it waits for the reply to a command of its own. */
static struct ct_msg *ask_first(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	struct cl_map *map = some_map(cl, MAP_READ);
	struct ct_msg *answer;
	double start;

	if (cl->step || !map || (ct_cmd(m) != C_REGION_READ && ct_cmd(m) != C_GET_INFO) ||
	    cl->seen[ct_cmd(m)] < 2)
		return r;
	cl->step = true;
	start = ct_now();
	asked(cl, true, map->addr, 64, NULL, &answer);
	if (ct_now() > start + 4)
		cl_wrong(cl, MUST,
			 "DMA_READ is answered when the client's own time limit is over: it "
			 "takes %.1f s",
			 ct_now() - start);
	return r;
}

static void interleaved(struct ct *t)
{
	struct cl *cl = cl_new(t);

	cl->answer = ask_first;
	cl_serve(cl);
	cl_started(cl);
	if (!cl->step)
		ct_skip(t, "the client has mapped no memory before it reads a region");
}

/* The same, with the reply and the command in one write. */
static struct ct_msg *ask_joined(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	struct cl_map *map = some_map(cl, MAP_READ);
	struct ct_msg *ask, *both;

	if (cl->step || !map || ct_cmd(m) != C_REGION_READ || ct_flags(r) & F_ERROR)
		return r;
	cl->step = true;
	ask = cl_dma(cl, true, map->addr, 64, NULL);
	both = ct_command(cl->c, C_REGION_READ);
	both->size = 0;
	both->size_given = true;
	ct_add(both, ask->data, ask->size);
	ct_add(both, r->data, r->size);
	ct_send(cl->c, both);
	cl_dma_reply(cl, ask);
	return NULL;
}

static void joined(struct ct *t)
{
	struct cl *cl = cl_new(t);

	cl->answer = ask_joined;
	cl_serve(cl);
	cl_started(cl);
	if (!cl->step)
		ct_skip(t, "the client has mapped no memory before it reads a region");
}

static void unknown_command(struct ct *t)
{
	static const uint16_t cmds[] = { 0, 14, 19, 0xffff, C_GET_INFO };
	struct cl *cl = cl_new(t);

	cl_serve(cl);
	cl_started(cl);
	for (unsigned i = 0; i < ARRAY_SIZE(cmds); i++) {
		struct ct_msg *m = ct_command(cl->c, cmds[i]), *r;

		ct_add_zeros(m, 32);
		if (!ct_try_send(cl->c, m, 0, m->size, false))
			return;
		switch (ct_take(cl->c, &r, t->run->o->timeout_ms)) {
		case CT_EOF:
			ct_fail(t, "command %u of the server ends the connection", cmds[i]);
		case CT_NOTHING:
			ct_fail(t, "command %u of the server is not answered", cmds[i]);
		case CT_MSG:
			ct_check(t, ct_flags(r) & F_ERROR,
				 "command %u of the server is answered with success", cmds[i]);
		}
	}
}

/* ---- a server that lies, or fails ---- */

/* Serve with @answer; the client must end or go on, but not die. */
static struct cl *bear(struct ct *t,
		       struct ct_msg *(*answer)(struct cl *, struct ct_msg *, struct ct_msg *))
{
	struct cl *cl = cl_new(t);

	cl->answer = answer;
	cl->lies = true;
	cl_serve(cl);
	ct_check(t, cl->seen[C_VERSION], "the client did not send VERSION");
	return cl;
}

/* @bad is not what a client may work with: it must give the server up. */
static void refuse(struct ct *t, const char *what, const char *json,
		   struct ct_msg *(*answer)(struct cl *, struct ct_msg *, struct ct_msg *))
{
	struct cl *cl = cl_new(t);

	cl->json = json;
	cl->answer = answer;
	cl_serve(cl);
	ct_check(t, !cl->accesses, "%s, and the client goes on", what);
}

static struct ct_msg *major(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) == C_VERSION)
		put16(r->data + HEADER, 1);
	return r;
}

static struct ct_msg *minor(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) == C_VERSION)
		put16(r->data + HEADER + 2, 0xffff);
	return r;
}

static void other_major(struct ct *t)
{
	refuse(t, "the reply to VERSION has major 1", NULL, major);
}

static void other_minor(struct ct *t)
{
	refuse(t, "the reply to VERSION has minor 65535", NULL, minor);
}

static void bad_json(struct ct *t)
{
	refuse(t, "the reply to VERSION has no JSON", "{\"capabilities\":", NULL);
}

static void bad_limits(struct ct *t)
{
	refuse(t, "the reply to VERSION has a max_data_xfer_size of -1",
	       "{\"capabilities\":{\"max_data_xfer_size\":-1}}", NULL);
}

static struct ct_msg *refusal(struct ct_msg *m, struct ct_msg *r, uint32_t error)
{
	if (ct_cmd(m) == C_VERSION || ct_cmd(m) == C_GET_INFO)
		return r;
	r->size = HEADER;
	r->nfds = 0;
	put32(r->data + H_SIZE, HEADER);
	ct_set_flags(r, F_REPLY | F_ERROR);
	put32(r->data + H_ERROR, error);
	return r;
}

static struct ct_msg *errors(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	return refusal(m, r, EIO);
}

static struct ct_msg *zero_errors(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	return refusal(m, r, 0);
}

static void all_errors(struct ct *t)
{
	bear(t, errors);
}

static void all_zero_errors(struct ct *t)
{
	struct cl *cl = cl_new(t);

	cl->answer = zero_errors;
	cl->lies = true;
	cl_serve(cl);
	ct_check(t, !cl->accesses,
		 "error replies whose error is 0 are taken for success: the client goes on");
}

/* Cut replies to @cmd to @size bytes, header and all. */
static struct ct_msg *cut(struct ct_msg *r, uint32_t size)
{
	r->size = size;
	put32(r->data + H_SIZE, size);
	return r;
}

static struct ct_msg *short_info(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	return ct_cmd(m) == C_GET_INFO ? cut(r, HEADER + 4) : r;
}

static struct ct_msg *short_region(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	return ct_cmd(m) == C_REGION_INFO ? cut(r, HEADER) : r;
}

static struct ct_msg *short_read(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	return ct_cmd(m) == C_REGION_READ && r->size > HEADER ? cut(r, (uint32_t)r->size - 1) : r;
}

static struct ct_msg *long_info(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) == C_GET_INFO)
		ct_add_zeros(r, 4096);
	return r;
}

static struct ct_msg *long_read(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) == C_REGION_READ)
		ct_add_zeros(r, 4096);
	return r;
}

static struct ct_msg *size_small(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) == C_GET_INFO)
		put32(r->data + H_SIZE, 4);
	return r;
}

static struct ct_msg *size_huge(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) == C_GET_INFO)
		put32(r->data + H_SIZE, 0xfffffff0);
	return r;
}

static void info_cut(struct ct *t)
{
	bear(t, short_info);
}

static void region_cut(struct ct *t)
{
	bear(t, short_region);
}

static void read_cut(struct ct *t)
{
	bear(t, short_read);
}

static void sizes_long(struct ct *t)
{
	cl_end(bear(t, long_info));
	bear(t, long_read);
}

static void header_sizes(struct ct *t)
{
	cl_end(bear(t, size_small));
	bear(t, size_huge);
}

static struct ct_msg *wrong_id(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) == C_GET_INFO)
		r->data[H_ID + 1] ^= 0x55;
	return r;
}

static struct ct_msg *wrong_command(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) == C_GET_INFO)
		r->data[H_CMD] = C_IRQ_INFO;
	return r;
}

static void ids(struct ct *t)
{
	cl_end(bear(t, wrong_id));
	bear(t, wrong_command);
}

static struct ct_msg *with_fds(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) == C_REGION_INFO || ct_cmd(m) == C_GET_INFO)
		for (unsigned i = 0; i < 4; i++)
			ct_add_fd(r, cl->bar2_fd);
	return r;
}

static void fds(struct ct *t)
{
	bear(t, with_fds);
}

/* Region 2 has capabilities that run in a circle, and an area beyond all. */
static struct ct_msg *caps(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) != C_REGION_INFO || ct_body32(m, 8) != 2 || r->size < HEADER + 32)
		return r;
	put32(r->data + HEADER, 64);
	put32(r->data + HEADER + 4, R_READ | R_WRITE | R_MMAP | R_CAPS);
	if (ct_body32(m, 0) < 64)
		return r;
	put32(r->data + HEADER + 12, 32);
	ct_add16(r, CAP_SPARSE_MMAP);
	ct_add16(r, 1);
	ct_add32(r, 32);
	ct_add32(r, 0x10000000);
	ct_add32(r, 0);
	ct_add64(r, 0xfffffffffffff000);
	ct_add64(r, 0x2000);
	return r;
}

static struct ct_msg *many(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) == C_GET_INFO) {
		put32(r->data + HEADER + 8, 0xffffffff);
		put32(r->data + HEADER + 12, 0xffffffff);
	}
	return r;
}

static struct ct_msg *large(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) == C_REGION_INFO && r->size >= HEADER + 32)
		memset(r->data + HEADER + 16, 0xff, 8);
	if (ct_cmd(m) == C_IRQ_INFO && r->size >= HEADER + 16)
		put32(r->data + HEADER + 12, 0xffffffff);
	return r;
}

static void lies(struct ct *t)
{
	struct cl *cl = cl_new(t);

	cl->bar2 = cl->lies = true;
	cl->answer = caps;
	cl_serve(cl);
	cl_end(cl);
	cl_end(bear(t, many));
	bear(t, large);
}

/* Close the connection instead of answering. */
static struct ct_msg *leave_info(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) != C_GET_INFO)
		return r;
	ct_close(cl->c);
	cl->over = true;
	return NULL;
}

static struct ct_msg *leave_midst(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (ct_cmd(m) != C_REGION_READ || ct_flags(r) & F_ERROR)
		return r;
	ct_try_send(cl->c, r, 0, r->size - 1, false);
	ct_close(cl->c);
	cl->over = true;
	return NULL;
}

static void leaves(struct ct *t)
{
	cl_end(bear(t, leave_info));
	cl_end(bear(t, leave_midst));
}

#define PROTOCOL "Protocol Specification"
#define SECURITY "Security Considerations"
#define VERSION	 "VFIO_USER_VERSION"
const struct ct_test ct_client_tests[] = {
	{ "client-rules", MUST, PROTOCOL, "the client starts up, and all that it sends is right",
	  rules },
	{ "client-mmap", MUST, "VFIO_USER_DEVICE_GET_REGION_INFO",
	  "the same with a region that can be mapped", mmap_region },
	{ "client-no-json", PRACTICE, VERSION, "a reply to VERSION without JSON, which is optional",
	  no_json },
	{ "client-unknown-capability", MUST, VERSION,
	  "capabilities that a client does not know are passed over", unknown_capability },
	{ "client-small-transfers", MUST, "Read and Write Operations",
	  "a server that takes 64 bytes at once is not asked for more", small_transfers },
	{ "client-bytes", MUST, PROTOCOL, "replies byte by byte", bytes },
	{ "client-halves", MUST, PROTOCOL, "replies in two parts", halves },
	{ "client-late", MUST, "Request Retry and Response Timeout", "replies that take 30 ms",
	  late },
	{ "client-dma-read", MUST, "VFIO_USER_DMA_READ", "memory that is mapped is read",
	  dma_read },
	{ "client-dma-write", MUST, "VFIO_USER_DMA_WRITE",
	  "memory that is mapped is written, and read back", dma_write },
	{ "client-dma-outside", MUST, "VFIO_USER_DMA_READ", "memory that is not mapped is refused",
	  dma_outside },
	{ "client-dma-rights", MUST, "VFIO_USER_DMA_MAP",
	  "memory that is mapped for reading is not written", dma_rights },
	{ "client-dma-sizes", MUST, "Read and Write Operations",
	  "counts above max_data_xfer_size, and of more than there is, are refused", dma_sizes },
	{ "client-interleaved", MUST, "Command Concurrency",
	  "DMA_READ is answered while the client waits for a reply", interleaved },
	{ "client-joined", MUST, "Command Concurrency",
	  "so it is when command and reply come at once", joined },
	{ "client-unknown-command", SHOULD, "Commands",
	  "commands that a server does not send are answered with an error", unknown_command },
	{ "client-errors", MUST, "Header", "a server that refuses everything does no harm",
	  all_errors },
	{ "client-errors-zero", MUST, "Header",
	  "an error reply whose error is 0, which it may be, is an error all the same",
	  all_zero_errors },
	{ "client-major", MUST, VERSION, "a server of another major version is given up",
	  other_major },
	{ "client-minor", SHOULD, VERSION, "a server with a minor above the client's is given up",
	  other_minor },
	{ "client-bad-json", SHOULD, VERSION, "a server that sends no JSON is given up", bad_json },
	{ "client-bad-limits", SHOULD, VERSION, "a server with a limit of -1 is given up",
	  bad_limits },
	{ "client-short-info", MUST, SECURITY, "a DEVICE_GET_INFO reply of 4 bytes does no harm",
	  info_cut },
	{ "client-short-region", MUST, SECURITY,
	  "a DEVICE_GET_REGION_INFO reply without a body does no harm", region_cut },
	{ "client-short-read", MUST, SECURITY,
	  "a REGION_READ reply without its last byte does no harm", read_cut },
	{ "client-sizes-long", MUST, SECURITY, "replies that are too long do no harm", sizes_long },
	{ "client-header-sizes", MUST, SECURITY,
	  "sizes of 4 bytes and 4 GiB in the header do no harm", header_sizes },
	{ "client-ids", MUST, SECURITY, "replies to something else do no harm", ids },
	{ "client-fds", MUST, SECURITY, "descriptors where none belong do no harm", fds },
	{ "client-lies", MUST, SECURITY,
	  "capabilities in a circle, and numbers beyond all, do no harm", lies },
	{ "client-server-leaves", MUST, "Server Disconnection",
	  "a server that goes away does not take the client along", leaves },
	{ 0 }
};
