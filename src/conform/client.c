/* SPDX-License-Identifier: BSD-3-Clause */
/* conform/client.c: serving a client under test, and the rules that what it sends has to obey. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/util.h"
#include "conform/client.h"

#define CONNECT_MS 30000 /* how long a client may take to connect */
#define SERVE_S	   20	 /* and one that talks all the time is served no longer */
#define MSIX	   4u

void cl_wrong(struct cl *cl, enum ct_level level, const char *fmt, ...)
{
	struct ct *t = cl->t;
	char text[240];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (cl->lies || (t->why && strstr(t->why, text)))
		return;
	if (++cl->wrongs > 12)
		return;
	if (level == MUST && t->test->level == MUST)
		t->broken = true;
	ct_warn(t, "%s", text);
}

/* ---- the device ---- */

static const uint32_t irqs[PCI_IRQS] = { 1, 0, MSIX, 1, 1 };

static void make_config(struct cl *cl)
{
	uint8_t *c = cl->config;

	put32(c, 0x11e81234); /* edu */
	put16(c + 0x06, 0x10);
	c[0x08] = 0x10;
	put16(c + 0x0a, 0x00ff);
	c[0x34] = 0x40;
	c[0x3d] = 1;
	c[0x40] = 0x11; /* MSI-X: table and pending bits at the end of BAR0 */
	put16(c + 0x42, MSIX - 1);
	put32(c + 0x44, CL_BAR0 - 0x2000);
	put32(c + 0x48, CL_BAR0 - 0x1000);
}

static void config_write(struct cl *cl, uint64_t off, const uint8_t *data, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t at = off + i;

		switch (at) {
		case 0x04:
		case 0x05:
		case 0x0c:
		case 0x0d:
		case 0x3c:
		case 0x43:
			cl->config[at] = data[i];
			break;
		case 0x12: /* BAR0 is 1 MiB */
			cl->config[at] = data[i] & 0xf0;
			break;
		case 0x13:
			cl->config[at] = data[i];
			break;
		case 0x19: /* BAR2 is 16 KiB */
			cl->config[at] = cl->bar2 ? data[i] & 0xc0 : 0;
			break;
		case 0x1a:
		case 0x1b:
			cl->config[at] = cl->bar2 ? data[i] : 0;
			break;
		}
	}
}

static uint64_t region_size(const struct cl *cl, uint32_t index)
{
	return index == 0		? CL_BAR0
	       : index == 2 && cl->bar2 ? CL_BAR2
	       : index == CONFIG_REGION ? sizeof(cl->config)
					: 0;
}

/* ---- what the client sends ---- */

/* Bytes that the body of a command has, at least; -1: there is no such command. */
static int body_size(uint16_t cmd)
{
	static const int8_t sizes[C_LAST + 1] = { [0] = -1,
						  [C_VERSION] = 4,
						  [C_DMA_MAP] = DMA_MAP_SIZE,
						  [C_DMA_UNMAP] = DMA_UNMAP_SIZE,
						  [C_GET_INFO] = INFO_SIZE,
						  [C_REGION_INFO] = REGION_INFO_SIZE,
						  [C_REGION_IO_FDS] = 16,
						  [C_IRQ_INFO] = IRQ_INFO_SIZE,
						  [C_SET_IRQS] = SET_IRQS_SIZE,
						  [C_REGION_READ] = REGION_RW_SIZE,
						  [C_REGION_WRITE] = REGION_RW_SIZE,
						  [C_DMA_READ] = -1,
						  [C_DMA_WRITE] = -1,
						  [C_RESET] = 0,
						  [14] = -1,
						  [C_WRITE_MULTI] = 8,
						  [C_FEATURE] = FEATURE_SIZE,
						  [C_MIG_READ] = 8,
						  [C_MIG_WRITE] = 8 };

	return cmd <= C_LAST ? sizes[cmd] : -1;
}

/* Check what is the same in all commands; false: the body is too short to be looked at. */
static bool check_common(struct cl *cl, struct ct_msg *m)
{
	const char *name = ct_cmd_name(ct_cmd(m));
	int least = body_size(ct_cmd(m));
	size_t body = m->size - HEADER;
	unsigned fds = ct_cmd(m) == C_DMA_MAP ? 1 : ct_cmd(m) == C_SET_IRQS ? CL_FD : 0;

	if (ct_flags(m) & F_ERROR)
		cl_wrong(cl, MUST, "%s has the flag Error, which is of replies (Header)", name);
	if (ct_flags(m) & ~(F_TYPE | F_NO_REPLY | F_ERROR))
		cl_wrong(cl, MUST, "%s has flags 0x%x (Header)", name, ct_flags(m));
	if (ct_error(m))
		cl_wrong(cl, SHOULD, "%s has an error field of %u: it is reserved (Header)", name,
			 ct_error(m));
	if (least < 0)
		cl_wrong(cl, MUST, "command %u, which no client sends (Commands)", ct_cmd(m));
	if (!cl->versioned && ct_cmd(m) != C_VERSION)
		cl_wrong(cl, MUST, "%s before VERSION (VFIO_USER_VERSION)", name);
	if (m->nfds > fds)
		cl_wrong(cl, ct_cmd(m) == C_SET_IRQS ? MUST : SHOULD,
			 "%s has %u descriptors: it takes %u (Socket)", name, m->nfds, fds);
	if (least > 0 && body < (size_t)least) {
		cl_wrong(cl, MUST, "%s has a body of %zu bytes, not %d (%s)", name, body, least,
			 "Commands");
		return false;
	}
	switch (ct_cmd(m)) {
	case C_DMA_MAP:
	case C_DMA_UNMAP:
	case C_GET_INFO:
	case C_IRQ_INFO:
	case C_RESET:
	case C_REGION_READ:
		if (body != (size_t)least)
			cl_wrong(cl, SHOULD, "%s has a body of %zu bytes, not %d (Commands)", name,
				 body, least);
		break;
	}
	return least >= 0;
}

static int version(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	char *text, usual[160];
	struct json nodes[128];
	const struct json *caps = NULL, *j;

	if (cl->versioned)
		cl_wrong(cl, MUST, "a second VERSION (VFIO_USER_VERSION)");
	cl->versioned = true;
	cl->client_xfer = DEFAULT_XFER;
	cl->client_fds = DEFAULT_MSG_FDS;
	if (get16(m->data + HEADER))
		cl_wrong(cl, SHOULD, "major version %u: 0 is the only one that there is",
			 get16(m->data + HEADER));
	if (m->size > HEADER + 4) {
		size_t len = m->size - HEADER - 4;

		text = ct_alloc(cl->t, len + 1);
		memcpy(text, m->data + HEADER + 4, len);
		if (text[len - 1])
			cl_wrong(cl, MUST, "version data without a NUL (VFIO_USER_VERSION)");
		if (json_parse(text, strlen(text), nodes, ARRAY_SIZE(nodes)) ||
		    nodes->type != JSON_OBJECT)
			cl_wrong(cl, MUST,
				 "version data that is no JSON object "
				 "(VFIO_USER_VERSION)");
		else
			caps = json_member(nodes, "capabilities", JSON_OBJECT);
	}
	j = caps ? json_member(caps, "max_data_xfer_size", JSON_NUMBER) : NULL;
	if (j)
		cl->client_xfer = (uint64_t)j->number;
	j = caps ? json_member(caps, "max_msg_fds", JSON_NUMBER) : NULL;
	if (j)
		cl->client_fds = (uint64_t)j->number;
	j = caps ? json_member(caps, "write_multiple", JSON_BOOL) : NULL;
	cl->multi = j && j->number && !cl->no_json && !cl->json;
	ct_add16(r, get16(m->data + HEADER));
	ct_add16(r, 0);
	if (cl->no_json)
		return 0;
	snprintf(usual, sizeof(usual),
		 "{\"capabilities\":{\"max_msg_fds\":%u,\"max_data_xfer_size\":%u%s}}", CL_FD,
		 cl->max_xfer, cl->multi ? ",\"write_multiple\":true" : "");
	text = cl->json ? (char *)cl->json : usual;
	ct_add(r, text, strlen(text) + 1);
	return 0;
}

static int dma_map(struct cl *cl, struct ct_msg *m)
{
	struct cl_map map = { ct_body64(m, 16), ct_body64(m, 24), ct_body32(m, 4) };
	uint64_t off = ct_body64(m, 8);

	if (ct_body32(m, 0) != DMA_MAP_SIZE)
		cl_wrong(cl, SHOULD, "DMA_MAP has argsz %u, not 32 (VFIO_USER_DMA_MAP)",
			 ct_body32(m, 0));
	if (map.flags & ~0xfu || !(map.flags & 3))
		cl_wrong(cl, SHOULD, "DMA_MAP has flags 0x%x (VFIO_USER_DMA_MAP)", map.flags);
	if (!m->nfds && off)
		cl_wrong(cl, SHOULD, "DMA_MAP has an offset and no descriptor (VFIO_USER_DMA_MAP)");
	if (!map.size || (map.addr | map.size | (m->nfds ? off : 0)) & 4095 ||
	    (map.addr + map.size && add_overflows(map.addr, map.size)))
		cl_wrong(cl, MUST,
			 "DMA_MAP of 0x%" PRIx64 " bytes at 0x%" PRIx64 " "
			 "(VFIO_USER_DMA_MAP)",
			 map.size, map.addr);
	for (unsigned i = 0; i < cl->nmaps; i++)
		if (cl->maps[i].addr < map.addr + map.size &&
		    map.addr < cl->maps[i].addr + cl->maps[i].size) {
			cl_wrong(cl, MUST,
				 "DMA_MAP over a mapping that there is "
				 "(VFIO_USER_DMA_MAP)");
			return EEXIST;
		}
	if (cl->nmaps == CL_MAPS)
		return ENOSPC;
	cl->maps[cl->nmaps++] = map;
	return 0;
}

static int dma_unmap(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	uint64_t addr = ct_body64(m, 8), size = ct_body64(m, 16);
	uint32_t flags = ct_body32(m, 4);

	if (ct_body32(m, 0) < DMA_UNMAP_SIZE)
		cl_wrong(cl, SHOULD, "DMA_UNMAP has argsz %u, below the reply's 24 (Message sizes)",
			 ct_body32(m, 0));
	if (flags & ~UNMAP_ALL)
		cl_wrong(cl, SHOULD, "DMA_UNMAP has flags 0x%x (VFIO_USER_DMA_UNMAP)", flags);
	ct_add(r, m->data + HEADER, DMA_UNMAP_SIZE);
	if (flags & UNMAP_ALL) {
		cl->nmaps = 0;
		return 0;
	}
	for (unsigned i = 0; i < cl->nmaps; i++)
		if (cl->maps[i].addr == addr && cl->maps[i].size == size) {
			cl->maps[i] = cl->maps[--cl->nmaps];
			return 0;
		}
	cl_wrong(cl, MUST,
		 "DMA_UNMAP of 0x%" PRIx64 " bytes at 0x%" PRIx64 ", which is no mapping "
		 "(VFIO_USER_DMA_UNMAP)",
		 size, addr);
	return ENOENT;
}

static void zero_fields(struct cl *cl, struct ct_msg *m, const unsigned *offs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (ct_body32(m, offs[i]))
			cl_wrong(cl, SHOULD,
				 "%s has 0x%x at %u of its body, which must be zero (%s)",
				 ct_cmd_name(ct_cmd(m)), ct_body32(m, offs[i]), offs[i],
				 "all other fields must be zero");
}

static int get_info(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	static const unsigned zeros[] = { 4, 8, 12 };

	zero_fields(cl, m, zeros, ARRAY_SIZE(zeros));
	if (ct_body32(m, 0) < INFO_SIZE) {
		cl_wrong(cl, MUST, "DEVICE_GET_INFO has argsz %u (Message sizes)", ct_body32(m, 0));
		return EINVAL;
	}
	ct_add32(r, INFO_SIZE);
	ct_add32(r, INFO_RESET | INFO_PCI);
	ct_add32(r, PCI_REGIONS);
	ct_add32(r, PCI_IRQS);
	return 0;
}

static int region_info(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	static const unsigned zeros[] = { 4, 12, 16, 20, 24, 28 };
	uint32_t argsz = ct_body32(m, 0), index = ct_body32(m, 8);
	bool mmap = index == 2 && cl->bar2;
	uint64_t size = region_size(cl, index);

	zero_fields(cl, m, zeros, ARRAY_SIZE(zeros));
	if (argsz < REGION_INFO_SIZE) {
		cl_wrong(cl, MUST, "DEVICE_GET_REGION_INFO has argsz %u (Message sizes)", argsz);
		return EINVAL;
	}
	if (index >= PCI_REGIONS) {
		cl_wrong(cl, SHOULD, "region %u is asked for, of %u (%s)", index, PCI_REGIONS,
			 "VFIO_USER_DEVICE_GET_REGION_INFO");
		return EINVAL;
	}
	ct_add32(r, REGION_INFO_SIZE);
	ct_add32(r, size ? R_READ | R_WRITE | (mmap ? R_MMAP : 0) : 0);
	ct_add32(r, index);
	ct_add32(r, 0);
	ct_add64(r, size);
	ct_add64(r, 0);
	if (mmap)
		ct_add_fd(r, cl->bar2_fd);
	return 0;
}

static int irq_info(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	static const unsigned zeros[] = { 4, 12 };
	uint32_t index = ct_body32(m, 8);

	zero_fields(cl, m, zeros, ARRAY_SIZE(zeros));
	if (ct_body32(m, 0) < IRQ_INFO_SIZE) {
		cl_wrong(cl, MUST, "DEVICE_GET_IRQ_INFO has argsz %u (Message sizes)",
			 ct_body32(m, 0));
		return EINVAL;
	}
	if (index >= PCI_IRQS) {
		cl_wrong(cl, SHOULD, "interrupt %u is asked for, of %u", index, PCI_IRQS);
		return EINVAL;
	}
	ct_add32(r, IRQ_INFO_SIZE);
	ct_add32(r, I_EVENTFD | (index == IRQ_INTX ? I_MASKABLE | I_AUTOMASKED : 0));
	ct_add32(r, index);
	ct_add32(r, irqs[index]);
	return 0;
}

static int set_irqs(struct cl *cl, struct ct_msg *m)
{
	uint32_t argsz = ct_body32(m, 0), flags = ct_body32(m, 4), index = ct_body32(m, 8);
	uint32_t start = ct_body32(m, 12), count = ct_body32(m, 16);
	size_t data = m->size - HEADER - SET_IRQS_SIZE;

	if (argsz != m->size - HEADER && argsz != SET_IRQS_SIZE)
		cl_wrong(cl, SHOULD, "DEVICE_SET_IRQS has argsz %u and a body of %zu bytes (%s)",
			 argsz, m->size - HEADER, "VFIO_USER_DEVICE_SET_IRQS");
	if (!is_pow2(flags & 7) || !is_pow2(flags & 0x38) || flags & ~0x3fu) {
		cl_wrong(cl, MUST, "DEVICE_SET_IRQS has flags 0x%x (VFIO_USER_DEVICE_SET_IRQS)",
			 flags);
		return EINVAL;
	}
	if (index >= PCI_IRQS || !range_within(start, count, irqs[index])) {
		cl_wrong(cl, MUST, "DEVICE_SET_IRQS of kind %u, interrupts %u to %u (%s)", index,
			 start, start + count, "VFIO_USER_DEVICE_SET_IRQS");
		return EINVAL;
	}
	if (flags & S_BOOL && data < count)
		cl_wrong(cl, MUST, "DEVICE_SET_IRQS of %u interrupts has %zu booleans", count,
			 data);
	if (flags & S_EVENTFD && m->nfds && m->nfds != count) {
		cl_wrong(cl, MUST, "DEVICE_SET_IRQS of %u interrupts has %u descriptors", count,
			 m->nfds);
		return EINVAL;
	}
	return 0;
}

static int access_region(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	bool write = ct_cmd(m) == C_REGION_WRITE;
	uint64_t off = ct_body64(m, 0), size;
	uint32_t index = ct_body32(m, 8), count = ct_body32(m, 12);
	uint8_t *data = m->data + HEADER + REGION_RW_SIZE, *p;

	size = region_size(cl, index);
	cl->accesses++;
	if (write && m->size - HEADER != REGION_RW_SIZE + (size_t)count) {
		cl_wrong(cl, MUST, "REGION_WRITE of %u bytes has %zu (VFIO_USER_REGION_WRITE)",
			 count, m->size - HEADER - REGION_RW_SIZE);
		return EINVAL;
	}
	if (count > cl->max_xfer) {
		cl_wrong(cl, MUST, "%s of %u bytes: max_data_xfer_size of the server is %u (%s)",
			 ct_cmd_name(ct_cmd(m)), count, cl->max_xfer, "Read and Write Operations");
		return EINVAL;
	}
	if (!range_within(off, count, size)) {
		cl_wrong(cl, MUST,
			 "%s of %u bytes at 0x%" PRIx64 " of region %u, which has 0x%" PRIx64,
			 ct_cmd_name(ct_cmd(m)), count, off, index, size);
		return EINVAL;
	}
	ct_add(r, m->data + HEADER, REGION_RW_SIZE);
	if (index == CONFIG_REGION) {
		if (write)
			config_write(cl, off, data, count);
		else
			ct_add(r, cl->config + off, count);
		return 0;
	}
	if (write) {
		if (!index && off == 4 && count == 4)
			cl->live = ~get32(data);
		return 0;
	}
	ct_add_zeros(r, count);
	p = r->data + r->size - count;
	if (!index && !off && count == 4)
		put32(p, 0x010000ed);
	if (!index && off == 4 && count == 4)
		put32(p, cl->live);
	return 0;
}

static int write_multi(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	uint64_t n = ct_body64(m, 0);

	if (!cl->multi) {
		cl_wrong(cl, MUST, "REGION_WRITE_MULTI that was not agreed on (VFIO_USER_VERSION)");
		return EINVAL;
	}
	if (n != (m->size - HEADER - 8) / MULTI_ENTRY || m->size != HEADER + 8 + n * MULTI_ENTRY) {
		cl_wrong(cl, MUST,
			 "REGION_WRITE_MULTI of %" PRIu64 " writes has a body of %zu bytes", n,
			 m->size - HEADER);
		return EINVAL;
	}
	for (uint64_t i = 0; i < n; i++) {
		size_t at = 8 + i * MULTI_ENTRY;

		if (ct_body32(m, at + 12) > 8 ||
		    !range_within(ct_body64(m, at), ct_body32(m, at + 12),
				  region_size(cl, ct_body32(m, at + 8))))
			cl_wrong(cl, MUST, "REGION_WRITE_MULTI writes where there is nothing");
	}
	ct_add64(r, n);
	return 0;
}

static int command(struct cl *cl, struct ct_msg *m, struct ct_msg *r)
{
	if (!check_common(cl, m))
		return body_size(ct_cmd(m)) < 0 ? ENOSYS : EINVAL;
	cl->seen[ct_cmd(m)]++;
	switch (ct_cmd(m)) {
	case C_VERSION:
		return version(cl, m, r);
	case C_DMA_MAP:
		return dma_map(cl, m);
	case C_DMA_UNMAP:
		return dma_unmap(cl, m, r);
	case C_GET_INFO:
		return get_info(cl, m, r);
	case C_REGION_INFO:
		return region_info(cl, m, r);
	case C_IRQ_INFO:
		return irq_info(cl, m, r);
	case C_SET_IRQS:
		return set_irqs(cl, m);
	case C_REGION_READ:
	case C_REGION_WRITE:
		return access_region(cl, m, r);
	case C_WRITE_MULTI:
		return write_multi(cl, m, r);
	case C_RESET:
		put16(cl->config + 4, 0);
		return 0;
	case C_FEATURE:
		return ENOTTY;
	default:
		return EINVAL;
	}
}

/* ---- answers ---- */

static void send_reply(struct cl *cl, struct ct_msg *r)
{
	size_t piece = cl->send == CL_BYTES ? 1 : cl->send == CL_HALVES ? r->size / 2 + 1 : r->size;
	unsigned logged = cl->t->logged;

	if (cl->send == CL_LATE)
		poll(NULL, 0, 30);
	for (size_t at = 0; at < r->size; at += piece) {
		if (!ct_try_send(cl->c, r, at, r->size - at < piece ? r->size - at : piece, !at)) {
			cl->over = true;
			return;
		}
		if (at)
			cl->t->logged = logged + 1;
		if (cl->send == CL_HALVES || at < 20)
			poll(NULL, 0, piece < r->size ? 1 : 0);
	}
}

static void serve(struct cl *cl, struct ct_msg *m)
{
	struct ct_msg *r = ct_command(cl->c, ct_cmd(m));
	int rc;

	if ((ct_flags(m) & F_TYPE) != F_COMMAND) {
		cl_wrong(cl, MUST, "a message of type %u that is no reply to anything (Header)",
			 ct_flags(m) & F_TYPE);
		return;
	}
	put16(r->data + H_ID, get16(m->data + H_ID));
	ct_set_flags(r, F_REPLY);
	rc = command(cl, m, r);
	if (rc) {
		r->size = HEADER;
		r->nfds = 0;
		put32(r->data + H_SIZE, HEADER);
		ct_set_flags(r, F_REPLY | F_ERROR);
		put32(r->data + H_ERROR, (uint32_t)rc);
	}
	if (cl->answer)
		r = cl->answer(cl, m, r);
	if (r && !(ct_flags(m) & F_NO_REPLY))
		send_reply(cl, r);
}

void cl_serve(struct cl *cl)
{
	double now = ct_now(), end = now + SERVE_S, last = now;
	struct ct_msg *m;

	while (!cl->over && now < end) {
		/* one that has not come to its registers yet may be slow to start */
		double silent = cl->t->run->o->silent_ms / 1000. * (cl->accesses > 1 ? 1 : 5);
		enum ct_came came = ct_take(cl->c, &m, 100);

		now = ct_now();
		if (came == CT_EOF)
			cl->over = true;
		if (came == CT_NOTHING && now > last + silent)
			return;
		if (came != CT_MSG)
			continue;
		serve(cl, m);
		last = ct_now();
	}
}

struct ct_msg *cl_dma(struct cl *cl, bool read, uint64_t addr, uint64_t count, const void *data)
{
	struct ct_msg *m = ct_command(cl->c, read ? C_DMA_READ : C_DMA_WRITE);

	ct_add64(m, addr);
	ct_add64(m, count);
	if (!read)
		ct_add(m, data, count);
	return m;
}

struct ct_msg *cl_dma_reply(struct cl *cl, struct ct_msg *m)
{
	const char *name = ct_cmd_name(ct_cmd(m));
	double until = ct_now() + cl->t->run->o->timeout_ms / 1000.;
	bool read = ct_cmd(m) == C_DMA_READ;
	uint64_t count = ct_body64(m, 8);
	struct ct_msg *r;

	for (;;) {
		enum ct_came came = ct_take(cl->c, &r, 50);

		if (came == CT_EOF) {
			cl->over = true;
			return NULL;
		}
		ct_check(cl->t, came == CT_MSG || ct_now() < until,
			 "%s is not answered within %u ms", name, cl->t->run->o->timeout_ms);
		if (came != CT_MSG)
			continue;
		if ((ct_flags(r) & F_TYPE) == F_REPLY)
			break;
		serve(cl, r);
	}
	ct_check(cl->t, get16(r->data + H_ID) == get16(m->data + H_ID) && ct_cmd(r) == ct_cmd(m),
		 "the reply to %s has id 0x%x and command %u", name, get16(r->data + H_ID),
		 ct_cmd(r));
	ct_check(cl->t, !r->nfds, "the reply to %s has descriptors", name);
	if (ct_flags(r) & F_ERROR) {
		ct_check(cl->t, r->size == HEADER, "an error reply to %s of %zu bytes", name,
			 r->size);
		return r;
	}
	ct_check(cl->t,
		 r->size == HEADER + DMA_RW_SIZE + (read ? count : 0) ||
			 (!read && r->size == HEADER + 12),
		 "the reply to %s of %" PRIu64 " bytes has a body of %zu", name, count,
		 r->size - HEADER);
	ct_check(cl->t, ct_body64(r, 0) == ct_body64(m, 0) && ct_body32(r, 8) == (uint32_t)count,
		 "the reply to %s is of 0x%" PRIx64 ", %u bytes", name, ct_body64(r, 0),
		 ct_body32(r, 8));
	return r;
}

/* ---- its life ---- */

struct cl *cl_new(struct ct *t)
{
	struct pollfd p = { .fd = t->run->listener, .events = POLLIN };
	struct cl *cl = ct_alloc(t, sizeof(*cl));
	double until = ct_now() + CONNECT_MS / 1000.;
	int rc;

	if (t->run->gone)
		ct_skip(t, "no client came for the tests before");
	rc = ct_process_start(t->run);
	if (rc)
		ct_fail(t, "%s: %s", t->run->o->command[0], strerror(-rc));
	if (!t->run->o->command)
		fprintf(stderr, "%s: waiting for a client at %s\n", t->test->name, t->run->socket);
	while (poll(&p, 1, 100) != 1) {
		if (ct_process_ended(t->run, 0))
			ct_fail(t, "the client ended with status %d before it connected",
				t->run->status);
		if (ct_now() > until) {
			t->run->gone = true;
			ct_fail(t, "no client has connected within %d s", CONNECT_MS / 1000);
		}
	}
	cl->t = t;
	cl->c = ct_conn_of(t, accept4(t->run->listener, NULL, NULL, SOCK_CLOEXEC));
	cl->max_xfer = DEFAULT_XFER;
	cl->bar2_fd = ct_memfd(t, CL_BAR2);
	make_config(cl);
	return cl;
}

void cl_end(struct cl *cl)
{
	struct ct_run *run = cl->t->run;

	ct_process_ended(run, cl->over ? 300 : 0);
	ct_process_kill(run);
}

void cl_started(struct cl *cl)
{
	struct ct *t = cl->t;

	ct_check(t, cl->seen[C_VERSION], "the client did not send VERSION");
	ct_check(t, cl->seen[C_GET_INFO] && cl->seen[C_REGION_INFO] && cl->accesses,
		 "the client did not start up: it sent %u DEVICE_GET_INFO, %u "
		 "DEVICE_GET_REGION_INFO and %u accesses",
		 cl->seen[C_GET_INFO], cl->seen[C_REGION_INFO], cl->accesses);
	if (cl->over && ct_process_ended(t->run, 2000))
		ct_check(t, !t->run->status, "the client ended with status %d", t->run->status);
}
