/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/region_tests.c: REGION_READ and REGION_WRITE, posted or not. What may be written on any
 * device is little: Interrupt Line (config space, 0x3c) is a byte that nothing depends on.
 */
#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "conform/internal.h"

#define VENDOR_ID 0x00
#define COMMAND	  0x04
#define BAR0	  0x10
#define LINE	  0x3c

static void need_config(struct ct *t)
{
	ct_need_region(t, CONFIG_REGION, 256, R_READ | R_WRITE);
}

static void read_sizes(struct ct *t)
{
	static const uint32_t sizes[] = { 1, 2, 4, 8, 16, 64, 256 };
	struct ct_conn *c = ct_session(t);
	uint8_t all[256], some[256];

	need_config(t);
	ct_read(c, CONFIG_REGION, 0, all, sizeof(all));
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		for (uint32_t off = 0; off + sizes[i] <= 64; off += sizes[i]) {
			ct_read(c, CONFIG_REGION, off, some, sizes[i]);
			ct_check(t, !memcmp(some, all + off, sizes[i]),
				 "config space at 0x%x: %u bytes read otherwise than 256 at once",
				 off, sizes[i]);
		}
}

static void read_whole(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint64_t size = t->device->region[CONFIG_REGION].size;
	uint8_t *all = ct_alloc(t, 4096);

	need_config(t);
	ct_read(c, CONFIG_REGION, 0, all, size < 4096 ? (uint32_t)size : 4096);
	ct_check(t, get16(all) != 0xffff, "config space begins with ffff: there is no device");
}

static void read_odd(struct ct *t)
{
	static const struct {
		uint32_t off, count;
	} odd[] = { { 0, 3 }, { 1, 2 }, { 1, 4 }, { 3, 1 }, { 2, 6 }, { 5, 7 }, { 0x3d, 2 } };
	struct ct_conn *c = ct_session(t);
	uint8_t all[256];

	need_config(t);
	ct_read(c, CONFIG_REGION, 0, all, sizeof(all));
	for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
		struct ct_msg *m = ct_region_read(c, CONFIG_REGION, odd[i].off, odd[i].count), *r;

		ct_send(c, m);
		r = ct_reply(c, m);
		if (ct_flags(r) & F_ERROR) {
			ct_note(t, "0x%x, %u bytes: refused with error %u", odd[i].off,
				odd[i].count, ct_error(r));
			continue;
		}
		ct_check(t, r->size == HEADER + REGION_RW_SIZE + odd[i].count,
			 "0x%x, %u bytes: %zu came", odd[i].off, odd[i].count,
			 r->size - HEADER - REGION_RW_SIZE);
		ct_check(t,
			 !memcmp(r->data + HEADER + REGION_RW_SIZE, all + odd[i].off, odd[i].count),
			 "0x%x, %u bytes: not those that 256 at once gave", odd[i].off,
			 odd[i].count);
	}
	ct_still_there(c);
}

static void count_zero(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m, *r;

	need_config(t);
	m = ct_region_read(c, CONFIG_REGION, 0, 0);
	ct_send(c, m);
	r = ct_reply(c, m);
	ct_check(t, ct_flags(r) & F_ERROR || r->size == HEADER + REGION_RW_SIZE,
		 "a read of no bytes: the reply has %zu bytes behind the header, not %u",
		 r->size - HEADER, REGION_RW_SIZE);
	m = ct_region_write(c, CONFIG_REGION, 0, NULL, 0);
	ct_send(c, m);
	r = ct_reply(c, m);
	ct_check(t, ct_flags(r) & F_ERROR || r->size == HEADER + REGION_RW_SIZE,
		 "a write of no bytes: the reply has %zu bytes behind the header, not %u",
		 r->size - HEADER, REGION_RW_SIZE);
	ct_still_there(c);
}

struct access {
	uint64_t off;
	uint32_t count;
};

/* Accesses of a region of @size bytes that do not lie in it. */
static unsigned outside(uint64_t size, struct access *a)
{
	const struct access all[] = {
		{ size, 1 },	       { size - 1, 2 },	      { size - 3, 4 },
		{ size, 4 },	       { size + 1, 1 },	      { UINT64_MAX, 1 },
		{ UINT64_MAX - 3, 4 }, { UINT64_MAX - 3, 8 }, { UINT64_MAX - 0xff, 0x200 },
		{ 1ull << 63, 4 },     { 1ull << 32, 4 },     { 1ull << 40, 4 }
	};

	memcpy(a, all, sizeof(all));
	return ARRAY_SIZE(all);
}

static void read_outside(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct access a[16];

	ct_need_info(t);
	for (uint32_t i = 0; i < t->device->num_regions && i < CT_REGIONS; i++) {
		const struct ct_region *r = &t->device->region[i];
		unsigned n = outside(r->size, a);

		if (!r->size || !(r->flags & R_READ))
			continue;
		for (unsigned k = 0; k < n; k++)
			if (!range_within(a[k].off, a[k].count, r->size))
				ct_refused(c, ct_region_read(c, i, a[k].off, a[k].count),
					   "a read of %u bytes at 0x%" PRIx64 " of region %u, "
					   "which has 0x%" PRIx64,
					   a[k].count, a[k].off, i, r->size);
	}
	ct_still_there(c);
}

static void write_outside(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint8_t zeros[0x200] = { 0 };
	struct access a[16];

	ct_need_info(t);
	for (uint32_t i = 0; i < t->device->num_regions && i < CT_REGIONS; i++) {
		const struct ct_region *r = &t->device->region[i];
		unsigned n = outside(r->size, a);

		if (!r->size || !(r->flags & R_WRITE))
			continue;
		for (unsigned k = 0; k < n; k++)
			if (!range_within(a[k].off, a[k].count, r->size))
				ct_refused(c, ct_region_write(c, i, a[k].off, zeros, a[k].count),
					   "a write of %u bytes at 0x%" PRIx64 " of region %u, "
					   "which has 0x%" PRIx64,
					   a[k].count, a[k].off, i, r->size);
	}
	ct_still_there(c);
}

static void region_absent(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint32_t n = t->device->num_regions, zero = 0;
	const uint32_t wrong[] = { n, n + 1, 0xff, 0x80000000, 0xffffffff };

	ct_need_info(t);
	for (uint32_t i = 0; i < n && i < CT_REGIONS; i++) {
		if (t->device->region[i].size)
			continue;
		ct_refused(c, ct_region_read(c, i, 0, 4), "a read of region %u, which has no bytes",
			   i);
		ct_refused(c, ct_region_write(c, i, 0, &zero, 4),
			   "a write of region %u, which has no bytes", i);
	}
	for (unsigned k = 0; k < ARRAY_SIZE(wrong); k++) {
		ct_refused(c, ct_region_read(c, wrong[k], 0, 4),
			   "a read of region 0x%x, which there is not", wrong[k]);
		ct_refused(c, ct_region_write(c, wrong[k], 0, &zero, 4),
			   "a write of region 0x%x, which there is not", wrong[k]);
	}
	ct_still_there(c);
}

static void region_rights(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint32_t zero = 0;
	bool any = false;

	ct_need_info(t);
	for (uint32_t i = 0; i < t->device->num_regions && i < CT_REGIONS; i++) {
		const struct ct_region *r = &t->device->region[i];

		if (r->size < 4)
			continue;
		if (!(r->flags & R_READ)) {
			any = true;
			ct_refused(c, ct_region_read(c, i, 0, 4),
				   "a read of region %u, which has flags 0x%x", i, r->flags);
		}
		if (!(r->flags & R_WRITE)) {
			any = true;
			ct_refused(c, ct_region_write(c, i, 0, &zero, 4),
				   "a write of region %u, which has flags 0x%x", i, r->flags);
		}
	}
	if (!any)
		ct_skip(t, "every region can be read and written");
	ct_still_there(c);
}

static void read_over_max(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint64_t max = t->device->max_xfer;

	need_config(t);
	if (max < UINT32_MAX)
		ct_refused(c, ct_region_read(c, CONFIG_REGION, 0, (uint32_t)max + 1),
			   "a read of max_data_xfer_size + 1 bytes");
	ct_refused(c, ct_region_read(c, CONFIG_REGION, 0, 0x7fffffff),
		   "a read of 0x7fffffff bytes");
	ct_refused(c, ct_region_read(c, CONFIG_REGION, 0, 0xffffffff),
		   "a read of 0xffffffff bytes");
	ct_refused(c, ct_region_read(c, CONFIG_REGION, 0, 0xfffffff0),
		   "a read of 0xfffffff0 bytes");
	ct_still_there(c);
}

static void read_short(struct ct *t)
{
	ct_short_bodies(t, C_REGION_READ, REGION_RW_SIZE);
}

static void write_short(struct ct *t)
{
	ct_short_bodies(t, C_REGION_WRITE, REGION_RW_SIZE);
}

static void write_count(struct ct *t)
{
	static const struct {
		uint32_t count, data;
	} all[] = { { 4, 0 }, { 4, 3 }, { 8, 4 }, { 1, 0 }, { 0xffffffff, 4 }, { 0xfffffff0, 4 } };
	static const struct {
		uint32_t count, data;
	} more[] = { { 1, 2 }, { 4, 8 }, { 0, 1 } };
	struct ct_conn *c = ct_session(t);
	uint8_t line, now, zeros[8] = { 0 };

	need_config(t);
	ct_read(c, CONFIG_REGION, LINE, &line, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		struct ct_msg *m = ct_region_write(c, CONFIG_REGION, LINE, zeros, all[i].data);

		put32(m->data + HEADER + 12, all[i].count);
		ct_refused(c, m, "a write with count %u and %u bytes of data", all[i].count,
			   all[i].data);
	}
	ct_read(c, CONFIG_REGION, LINE, &now, 1);
	ct_check(t, now == line, "a write that was refused has changed the device");
	for (unsigned i = 0; i < ARRAY_SIZE(more); i++) {
		struct ct_msg *m = ct_region_write(c, CONFIG_REGION, LINE, &line, 1);

		ct_add(m, zeros, more[i].data - 1);
		put32(m->data + HEADER + 12, more[i].count);
		ct_send(c, m);
		if (!(ct_flags(ct_reply(c, m)) & F_ERROR))
			ct_note(t, "count %u and %u bytes of data: accepted", more[i].count,
				more[i].data);
	}
	ct_still_there(c);
}

static void write_back(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint8_t before, now;

	need_config(t);
	ct_read(c, CONFIG_REGION, LINE, &before, 1);
	for (unsigned v = 0; v < 256; v += 0x33) {
		uint8_t byte = (uint8_t)v;

		ct_write(c, CONFIG_REGION, LINE, &byte, 1);
		ct_read(c, CONFIG_REGION, LINE, &now, 1);
		ct_check(t, now == byte, "Interrupt Line is 0x%x after 0x%x was written", now,
			 byte);
	}
	ct_write(c, CONFIG_REGION, LINE, &before, 1);
}

static void write_read_only(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint32_t before, other;

	need_config(t);
	before = ct_read32(c, CONFIG_REGION, VENDOR_ID);
	other = ~before;
	for (uint32_t size = 1; size <= 4; size *= 2) {
		struct ct_msg *m = ct_region_write(c, CONFIG_REGION, VENDOR_ID, &other, size);

		ct_send(c, m);
		ct_reply(c, m); /* which may say success, as on a bus, or error */
		ct_check(t, ct_read32(c, CONFIG_REGION, VENDOR_ID) == before,
			 "a write of %u bytes has changed Vendor ID", size);
	}
}

static void bar_sizes(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint32_t ones = 0xffffffff;

	need_config(t);
	for (uint32_t bar = 0; bar < 6; bar++) {
		uint64_t size = t->device->region[bar].size;
		uint32_t before = ct_read32(c, CONFIG_REGION, BAR0 + 4 * bar), mask;
		uint32_t flags = before & 1 ? 3 : 15;

		ct_write(c, CONFIG_REGION, BAR0 + 4 * bar, &ones, 4);
		mask = ct_read32(c, CONFIG_REGION, BAR0 + 4 * bar);
		ct_write(c, CONFIG_REGION, BAR0 + 4 * bar, &before, 4);
		if (!size)
			continue;
		ct_check(t, size >= 1ull << 32 || (mask & ~flags) == (uint32_t)(0 - size),
			 "BAR%u reads 0x%08x after ones were written: the region has 0x%" PRIx64
			 " bytes",
			 bar, mask, size);
		if ((before & 7) == 4)
			bar++; /* the upper half */
	}
}

/* ---- posted writes ---- */

static void post(struct ct_conn *c, uint64_t off, const void *data, uint32_t count)
{
	struct ct_msg *m = ct_region_write(c, CONFIG_REGION, off, data, count);

	ct_set_flags(m, F_NO_REPLY);
	ct_send(c, m);
}

static void posted(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint8_t before, now;

	need_config(t);
	ct_read(c, CONFIG_REGION, LINE, &before, 1);
	for (unsigned i = 0; i < 8; i++) {
		uint8_t byte = (uint8_t)(before + i + 1);

		post(c, LINE, &byte, 1);
		ct_read(c, CONFIG_REGION, LINE, &now, 1);
		ct_check(t, now == byte, "Interrupt Line is 0x%x after 0x%x was written", now,
			 byte);
	}
	ct_write(c, CONFIG_REGION, LINE, &before, 1);
}

static void posted_order(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint8_t before, now, byte = 0;

	need_config(t);
	ct_read(c, CONFIG_REGION, LINE, &before, 1);
	for (unsigned i = 0; i < 2000; i++) {
		byte = (uint8_t)(i * 7);
		post(c, LINE, &byte, 1);
	}
	ct_read(c, CONFIG_REGION, LINE, &now, 1);
	ct_check(t, now == byte, "after 2000 posted writes the value is 0x%x: the last was 0x%x",
		 now, byte);
	ct_write(c, CONFIG_REGION, LINE, &before, 1);
}

static void posted_wrong(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	uint32_t zero = 0;

	need_config(t);
	post(c, t->device->region[CONFIG_REGION].size, &zero, 4);
	post(c, UINT64_MAX - 1, &zero, 4);
	ct_still_there(c);
}

static void pipelined(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m[48];
	uint8_t all[256];

	need_config(t);
	ct_read(c, CONFIG_REGION, 0, all, sizeof(all));
	for (unsigned i = 0; i < ARRAY_SIZE(m); i++) {
		m[i] = ct_region_read(c, CONFIG_REGION, i, 1);
		ct_send(c, m[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(m); i++) {
		struct ct_msg *r = ct_success(c, m[i], REGION_RW_SIZE + 1);

		ct_check(t, r->data[HEADER + REGION_RW_SIZE] == all[i],
			 "read %u of 48 in flight has the wrong byte", i);
	}
}

static void order(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *w[16], *r[16];
	uint8_t before;

	need_config(t);
	ct_read(c, CONFIG_REGION, LINE, &before, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++) {
		uint8_t byte = (uint8_t)(before + i);

		w[i] = ct_region_write(c, CONFIG_REGION, LINE, &byte, 1);
		ct_send(c, w[i]);
		r[i] = ct_region_read(c, CONFIG_REGION, LINE, 1);
		ct_send(c, r[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++) {
		struct ct_msg *m;

		ct_success(c, w[i], REGION_RW_SIZE);
		m = ct_success(c, r[i], REGION_RW_SIZE + 1);
		ct_check(t, m->data[HEADER + REGION_RW_SIZE] == (uint8_t)(before + i),
			 "a read behind a write does not see it: commands are not served in order");
	}
	ct_write(c, CONFIG_REGION, LINE, &before, 1);
}

#define READ  "VFIO_USER_REGION_READ"
#define WRITE "VFIO_USER_REGION_WRITE"
const struct ct_test ct_region_tests[] = {
	{ "read-sizes", MUST, READ, "config space by 1 to 256 bytes reads the same", read_sizes },
	{ "read-whole", PRACTICE, READ,
	  "config space in one read, as QEMU's client does at its start", read_whole },
	{ "read-odd", PRACTICE, READ,
	  "sizes and offsets that no bus has are refused, or read right (the text does not say)",
	  read_odd },
	{ "read-outside", MUST, READ, "reads that do not lie in the region are refused",
	  read_outside },
	{ "read-over-max", MUST, "Read and Write Operations",
	  "a count above max_data_xfer_size is refused", read_over_max },
	{ "read-short", MUST, READ, "bodies of 0 to 15 bytes are refused", read_short },
	{ "access-count-zero", SHOULD, READ,
	  "accesses of no bytes are refused, or their reply has offset, region and count",
	  count_zero },
	{ "access-region-absent", MUST, READ,
	  "a region without bytes, or that there is not, is "
	  "refused",
	  region_absent },
	{ "access-rights", SHOULD, "VFIO_USER_DEVICE_GET_REGION_INFO",
	  "a region without READ or WRITE in its flags is not read or written", region_rights },
	{ "write-outside", MUST, WRITE, "writes that do not lie in the region are refused",
	  write_outside },
	{ "write-short", MUST, WRITE, "bodies of 0 to 15 bytes are refused", write_short },
	{ "write-count", MUST, WRITE,
	  "a count of more than there is data is refused, and nothing "
	  "is written",
	  write_count },
	{ "write-read-back", MUST, WRITE, "what was written is read: Interrupt Line", write_back },
	{ "write-read-only", MUST, WRITE, "Vendor ID stays as it is", write_read_only },
	{ "bar-sizes", SHOULD, WRITE, "BARs in config space say the size of their region",
	  bar_sizes },
	{ "posted-write", MUST, "Header",
	  "a write with No_reply is done when the next command is answered", posted },
	{ "posted-write-order", MUST, "Command Concurrency",
	  "2000 writes with No_reply are done in order", posted_order },
	{ "posted-write-wrong", MUST, "Header",
	  "a write with No_reply that is refused is not answered", posted_wrong },
	{ "pipelined-reads", MUST, "Command Concurrency", "48 reads in flight are all answered",
	  pipelined },
	{ "pipelined-order", MUST, "Command Concurrency",
	  "writes and reads in flight are served in the order of their coming", order },
	{ 0 }
};
