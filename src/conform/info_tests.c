/* SPDX-License-Identifier: BSD-3-Clause */
/* conform/info_tests.c: DEVICE_GET_INFO, GET_REGION_INFO, GET_REGION_IO_FDS and GET_IRQ_INFO. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/util.h"
#include "conform/internal.h"

/* ---- DEVICE_GET_INFO ---- */

static void info(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *r = ct_call(c, ct_get_info(c), INFO_SIZE);

	ct_check(t, ct_body32(r, 0) == INFO_SIZE, "argsz is %u, not 16", ct_body32(r, 0));
	ct_check(t, !(ct_body32(r, 4) & ~(INFO_RESET | INFO_PCI)),
		 "flags are 0x%x: bits 0 and 1 are known", ct_body32(r, 4));
	ct_check(t, ct_body32(r, 4) & INFO_PCI, "the device is no PCI device");
	ct_check(t, !r->nfds, "the reply has descriptors");
}

static struct ct_msg *info_argsz(struct ct_conn *c, uint32_t argsz)
{
	struct ct_msg *m = ct_get_info(c);

	put32(m->data + HEADER, argsz);
	return m;
}

static void info_larger(struct ct *t)
{
	static const uint32_t sizes[] = { 17, 32, 4096, 0xffffffff };
	struct ct_conn *c = ct_session(t);

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ct_msg *r = ct_call(c, info_argsz(c, sizes[i]), INFO_SIZE);

		ct_check(t, ct_body32(r, 0) == INFO_SIZE, "argsz is %u, not the 16 that there are",
			 ct_body32(r, 0));
	}
}

static void info_smaller(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	for (uint32_t argsz = 0; argsz < INFO_SIZE; argsz++)
		ct_refused(c, info_argsz(c, argsz), "DEVICE_GET_INFO with argsz %u", argsz);
	ct_still_there(c);
}

static void info_short(struct ct *t)
{
	ct_short_bodies(t, C_GET_INFO, INFO_SIZE);
}

static void info_qemu(struct ct *t)
{
	const struct ct_device *d = t->device;

	ct_need_info(t);
	ct_check(t, d->num_regions > CONFIG_REGION && d->num_regions <= 100,
		 "%u regions: QEMU 11.1 takes 8 to 100", d->num_regions);
	ct_check(t, d->num_irqs >= 3 && d->num_irqs <= 50,
		 "%u kinds of interrupts: QEMU 11.1 takes 3 to 50", d->num_irqs);
	ct_check(t, d->region[CONFIG_REGION].size >= 256, "region 7 has %" PRIu64 " bytes",
		 d->region[CONFIG_REGION].size);
}

static void info_same(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *r;

	ct_need_info(t);
	r = ct_call(c, ct_get_info(c), INFO_SIZE);
	ct_check(t,
		 ct_body32(r, 4) == t->device->flags && ct_body32(r, 8) == t->device->num_regions &&
			 ct_body32(r, 12) == t->device->num_irqs,
		 "another connection is told of another device");
}

/* ---- DEVICE_GET_REGION_INFO ---- */

static unsigned regions(struct ct *t)
{
	ct_need_info(t);
	return t->device->num_regions < CT_REGIONS ? t->device->num_regions : CT_REGIONS;
}

static void region_info(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	for (uint32_t i = 0; i < regions(t); i++) {
		struct ct_msg *r = ct_call(c, ct_region_info(c, i, REGION_INFO_SIZE), -1);
		uint32_t argsz = ct_body32(r, 0), flags = ct_body32(r, 4);

		ct_check(t, r->size == HEADER + REGION_INFO_SIZE,
			 "region %u: a client that takes 32 bytes was sent %zu", i,
			 r->size - HEADER);
		ct_check(t, argsz >= REGION_INFO_SIZE, "region %u: argsz is %u", i, argsz);
		ct_check(t, ct_body32(r, 8) == i, "region %u: the reply is of region %u", i,
			 ct_body32(r, 8));
		ct_check(t, !(flags & ~(R_READ | R_WRITE | R_MMAP | R_CAPS)),
			 "region %u: flags are 0x%x", i, flags);
		ct_check(t, argsz == REGION_INFO_SIZE || flags & R_CAPS,
			 "region %u: argsz is %u, and it has no capabilities", i, argsz);
		ct_check(t, !(flags & R_MMAP) || ct_body64(r, 16),
			 "region %u has no bytes, and can be mapped", i);
	}
}

static void region_argsz_larger(struct ct *t)
{
	static const uint32_t sizes[] = { 33, 4096, 65536, 0xffffffff };
	struct ct_conn *c = ct_session(t);

	for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++)
		for (uint32_t i = 0; i < regions(t); i++) {
			struct ct_msg *r = ct_call(c, ct_region_info(c, i, sizes[k]), -1);
			uint32_t argsz = ct_body32(r, 0);

			ct_check(t, argsz >= REGION_INFO_SIZE, "region %u: argsz is %u", i, argsz);
			ct_check(t,
				 r->size - HEADER == (argsz <= sizes[k] ? argsz : sizes[k]) ||
					 (argsz > sizes[k] && r->size - HEADER == REGION_INFO_SIZE),
				 "region %u: argsz is %u, asked with %u, and there are %zu bytes",
				 i, argsz, sizes[k], r->size - HEADER);
		}
}

static void region_argsz_smaller(struct ct *t)
{
	static const uint32_t sizes[] = { 0, 1, 8, 16, 24, 31 };
	struct ct_conn *c = ct_session(t);

	for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++)
		ct_refused(c, ct_region_info(c, 0, sizes[k]),
			   "DEVICE_GET_REGION_INFO with argsz %u", sizes[k]);
	ct_still_there(c);
}

static void region_index(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	const uint32_t wrong[] = { t->device->num_regions, t->device->num_regions + 1, 0x7fffffff,
				   0x80000000, 0xffffffff };

	ct_need_info(t);
	for (unsigned k = 0; k < ARRAY_SIZE(wrong); k++)
		ct_refused(c, ct_region_info(c, wrong[k], REGION_INFO_SIZE),
			   "region 0x%x, where there are %u", wrong[k], t->device->num_regions);
	ct_still_there(c);
}

static void region_short(struct ct *t)
{
	ct_short_bodies(t, C_REGION_INFO, REGION_INFO_SIZE);
}

static void region_long(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m = ct_region_info(c, CONFIG_REGION, 4064);

	ct_add_zeros(m, 4064 - REGION_INFO_SIZE);
	ct_call(c, m, -1);
	ct_still_there(c);
}

static void check_sparse(struct ct *t, uint32_t i, const uint8_t *p, uint64_t room, uint64_t size)
{
	uint32_t n = room >= 16 ? get32(p + 8) : 0;

	ct_check(t, room >= 16 && n <= (room - 16) / 16,
		 "region %u: a sparse capability of %u areas does not fit", i, n);
	ct_check(t, n, "region %u: a sparse capability without areas", i);
	for (uint32_t k = 0; k < n; k++) {
		uint64_t off = ct_get64(p + 16 + 16 * k), len = ct_get64(p + 24 + 16 * k);

		ct_check(t, len && range_within(off, len, size),
			 "region %u: area 0x%" PRIx64 " of 0x%" PRIx64
			 " bytes in a region of 0x%" PRIx64,
			 i, off, len, size);
		if ((off | len) & 4095)
			ct_warn(t,
				"region %u: area 0x%" PRIx64 " of 0x%" PRIx64
				" bytes are no whole pages",
				i, off, len);
		for (uint32_t o = 0; o < k; o++) {
			uint64_t off2 = ct_get64(p + 16 + 16 * o);
			uint64_t len2 = ct_get64(p + 24 + 16 * o);

			ct_check(t, off + len <= off2 || off2 + len2 <= off,
				 "region %u: areas %u and %u overlap", i, o, k);
		}
	}
}

static void region_caps(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	bool any = false;

	for (uint32_t i = 0; i < regions(t); i++) {
		uint32_t argsz, at, before = 0;
		struct ct_msg *r;
		uint8_t *p;

		if (!(t->device->region[i].flags & R_CAPS))
			continue;
		any = true;
		r = ct_call(c, ct_region_info(c, i, 65536), -1);
		argsz = ct_body32(r, 0);
		p = r->data + HEADER;
		ct_check(t, r->size == HEADER + argsz, "region %u: argsz is %u, and %zu bytes came",
			 i, argsz, r->size - HEADER);
		at = ct_body32(r, 12);
		ct_check(t, at, "region %u has the flag of capabilities, and cap_offset 0", i);
		for (; at; before = at, at = get32(p + at + 4)) {
			ct_check(t,
				 at >= REGION_INFO_SIZE && at > before && !(at & 3) &&
					 at + 8 <= argsz,
				 "region %u: a capability at %u of %u bytes", i, at, argsz);
			if (get16(p + at) == CAP_SPARSE_MMAP) {
				ct_check(t, t->device->region[i].flags & R_MMAP,
					 "region %u has sparse areas, and cannot be mapped", i);
				check_sparse(t, i, p + at, argsz - at, t->device->region[i].size);
			}
		}
	}
	if (!any)
		ct_skip(t, "no region has capabilities");
}

/* Map what the reply @r says of region @i with its descriptor, in areas or as a whole. */
static void map_region(struct ct *t, uint32_t i, const struct ct_msg *r)
{
	uint64_t offset = ct_body64(r, 24), whole[2] = { 0, ct_body64(r, 16) };
	const uint8_t *areas = (uint8_t *)whole;
	uint32_t n = 1, at = ct_body32(r, 12);

	for (; ct_body32(r, 4) & R_CAPS && at; at = ct_body32(r, at + 4))
		if ((ct_body32(r, at) & 0xffff) == CAP_SPARSE_MMAP) {
			n = ct_body32(r, at + 8);
			areas = r->data + HEADER + at + 16;
			break;
		}
	for (uint32_t k = 0; k < n; k++) {
		uint64_t off = ct_get64(areas + 16 * k), len = ct_get64(areas + 16 * k + 8);
		struct stat st;
		void *p;

		if (!fstat(r->fds[0], &st) && S_ISREG(st.st_mode))
			ct_check(t, range_within(offset + off, len, (uint64_t)st.st_size),
				 "region %u: its file has 0x%" PRIx64 " bytes, and 0x%" PRIx64
				 " at 0x%" PRIx64 " are to be mapped",
				 i, (uint64_t)st.st_size, len, offset + off);
		p = mmap(NULL, len, PROT_READ, MAP_SHARED, r->fds[0], (off_t)(offset + off));
		ct_check(t, p != MAP_FAILED,
			 "region %u: mmap of 0x%" PRIx64 " bytes at 0x%" PRIx64 " fails: %s", i,
			 len, offset + off, strerror(errno));
		munmap(p, len);
	}
}

static void region_fds(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	bool any = false;

	for (uint32_t i = 0; i < regions(t); i++) {
		struct ct_msg *r = ct_call(c, ct_region_info(c, i, 65536), -1);

		if (!(ct_body32(r, 4) & R_MMAP)) {
			ct_check(t, !r->nfds, "region %u cannot be mapped, and has a descriptor",
				 i);
			continue;
		}
		any = true;
		ct_check(t, r->nfds, "region %u can be mapped, and has no descriptor", i);
		if (r->nfds > 1)
			ct_warn(t, "region %u: %u descriptors: QEMU 11.1 takes one", i, r->nfds);
		map_region(t, i, r);
	}
	if (!any)
		ct_skip(t, "no region can be mapped");
}

static void region_config(struct ct *t)
{
	const struct ct_region *r = &t->device->region[CONFIG_REGION];

	ct_need_info(t);
	ct_check(t, t->device->num_regions > CONFIG_REGION && r->known, "there is no region 7");
	ct_check(t, r->size == 256 || r->size == 4096, "config space has %" PRIu64 " bytes",
		 r->size);
	ct_check(t, (r->flags & (R_READ | R_WRITE)) == (R_READ | R_WRITE),
		 "config space has flags 0x%x: it is read and written", r->flags);
	ct_check(t, !(r->flags & R_MMAP), "config space can be mapped");
}

/* ---- DEVICE_GET_REGION_IO_FDS ---- */

static struct ct_msg *io_fds(struct ct_conn *c, uint32_t index, uint32_t argsz)
{
	struct ct_msg *m = ct_command(c, C_REGION_IO_FDS);

	ct_add32(m, argsz);
	ct_add32(m, 0);
	ct_add32(m, index);
	ct_add32(m, 0);
	return m;
}

static void io_fds_valid(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	unsigned refused = 0, n = regions(t);

	for (uint32_t i = 0; i < n; i++) {
		struct ct_msg *m = io_fds(c, i, 65536), *r;
		uint32_t argsz, count, stride;

		ct_send(c, m);
		r = ct_reply(c, m);
		if (ct_flags(r) & F_ERROR) {
			refused++;
			continue;
		}
		argsz = ct_body32(r, 0);
		count = ct_body32(r, 12);
		ct_check(t,
			 r->size >= HEADER + 16 && argsz == r->size - HEADER && !ct_body32(r, 4) &&
				 ct_body32(r, 8) == i,
			 "region %u: argsz %u, flags %u, index %u, and %zu bytes", i, argsz,
			 ct_body32(r, 4), ct_body32(r, 8), r->size - HEADER);
		if (!count)
			continue;
		stride = (argsz - 16) / count;
		if (stride != 40)
			ct_warn(t, "region %u: an entry has %u bytes: the text says 40", i, stride);
		for (uint32_t k = 0; k < count; k++) {
			size_t at = 16 + (size_t)k * stride;

			ct_check(t, ct_body32(r, at + 16) < r->nfds,
				 "region %u: entry %u is of descriptor %u of %u", i, k,
				 ct_body32(r, at + 16), r->nfds);
			ct_check(t,
				 range_within(ct_body64(r, at), ct_body64(r, at + 8),
					      t->device->region[i].size),
				 "region %u: entry %u is not within it", i, k);
		}
	}
	if (refused == n)
		ct_skip(t, "the server has no such command, which is optional");
}

static void io_fds_wrong(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	ct_need_info(t);
	ct_refused(c, io_fds(c, t->device->num_regions, 4096), "region %u, which there is not",
		   t->device->num_regions);
	ct_refused(c, io_fds(c, 0xffffffff, 4096), "region 0xffffffff, which there is not");
	ct_refused(c, io_fds(c, 0, 15), "DEVICE_GET_REGION_IO_FDS with argsz 15");
	ct_still_there(c);
	ct_close(c);
	ct_short_bodies(t, C_REGION_IO_FDS, 16);
}

/* ---- DEVICE_GET_IRQ_INFO ---- */

static void irq_info(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	ct_need_info(t);
	for (uint32_t i = 0; i < t->device->num_irqs && i < CT_IRQS; i++) {
		struct ct_msg *r = ct_call(c, ct_irq_info(c, i), IRQ_INFO_SIZE);
		uint32_t flags = ct_body32(r, 4), count = ct_body32(r, 12);

		ct_check(t, ct_body32(r, 0) == IRQ_INFO_SIZE, "interrupt %u: argsz is %u", i,
			 ct_body32(r, 0));
		ct_check(t, ct_body32(r, 8) == i, "the reply is of interrupt %u, not %u",
			 ct_body32(r, 8), i);
		ct_check(t, !(flags & ~0xfu), "interrupt %u: flags are 0x%x", i, flags);
		ct_check(t, !count || flags & I_EVENTFD,
			 "interrupt %u: count is %u, and it cannot be signalled", i, count);
		ct_check(t, !(flags & I_AUTOMASKED) || flags & I_MASKABLE,
			 "interrupt %u masks itself, and cannot be unmasked", i);
		ct_check(t, i != IRQ_INTX || count <= 1, "INTx: count is %u", count);
		ct_check(t, i != IRQ_MSI || count <= 32, "MSI: count is %u", count);
		ct_check(t, i != IRQ_MSIX || count <= 2048, "MSI-X: count is %u", count);
		ct_check(t, (i != IRQ_ERR && i != IRQ_REQ) || count <= 1,
			 "interrupt %u: count is %u", i, count);
	}
}

static void irq_index(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	const uint32_t wrong[] = { t->device->num_irqs, t->device->num_irqs + 1, 0x80000000,
				   0xffffffff };

	ct_need_info(t);
	for (unsigned k = 0; k < ARRAY_SIZE(wrong); k++)
		ct_refused(c, ct_irq_info(c, wrong[k]), "interrupt 0x%x, where there are %u kinds",
			   wrong[k], t->device->num_irqs);
	ct_still_there(c);
}

static void irq_short(struct ct *t)
{
	ct_short_bodies(t, C_IRQ_INFO, IRQ_INFO_SIZE);
}

static void irq_argsz(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m;

	for (uint32_t argsz = 0; argsz < IRQ_INFO_SIZE; argsz++) {
		m = ct_irq_info(c, 0);
		put32(m->data + HEADER, argsz);
		ct_refused(c, m, "DEVICE_GET_IRQ_INFO with argsz %u", argsz);
	}
	m = ct_irq_info(c, 0);
	put32(m->data + HEADER, 4096);
	m = ct_call(c, m, IRQ_INFO_SIZE);
	ct_check(t, ct_body32(m, 0) == IRQ_INFO_SIZE, "argsz is %u, not the 16 that there are",
		 ct_body32(m, 0));
}

static void irq_vectors(struct ct *t)
{
	const struct ct_device *d = t->device;
	unsigned at = d->config[0x34] & ~3u, pin = d->config[0x3d];
	uint32_t msi = 0, msix = 0;

	ct_need_info(t);
	if (!d->config_known)
		ct_skip(t, "config space could not be read");
	if (get16(d->config + 6) & 0x10)
		for (unsigned n = 0; at >= 0x40 && at < 0xf8 && n < 48; n++) {
			if (d->config[at] == 0x05)
				msi = 1u << (get16(d->config + at + 2) >> 1 & 7);
			if (d->config[at] == 0x11)
				msix = (get16(d->config + at + 2) & 0x7ffu) + 1;
			at = d->config[at + 1] & ~3u;
		}
	ct_check(t, !pin == !d->irq[IRQ_INTX].count, "Interrupt Pin is %u, and INTx has count %u",
		 pin, d->irq[IRQ_INTX].count);
	ct_check(t, msi == d->irq[IRQ_MSI].count,
		 "MSI has %u vectors in config space, and count %u", msi, d->irq[IRQ_MSI].count);
	ct_check(t, msix == d->irq[IRQ_MSIX].count,
		 "MSI-X has %u vectors in config space, and count %u", msix,
		 d->irq[IRQ_MSIX].count);
}

#define INFO   "VFIO_USER_DEVICE_GET_INFO"
#define REGION "VFIO_USER_DEVICE_GET_REGION_INFO"
#define IRQ    "VFIO_USER_DEVICE_GET_IRQ_INFO"
#define IO_FDS "VFIO_USER_DEVICE_GET_REGION_IO_FDS"
const struct ct_test ct_info_tests[] = {
	{ "info", MUST, INFO, "a PCI device, argsz 16", info },
	{ "info-argsz-larger", MUST, "Message sizes", "a client with more room gets 16 bytes",
	  info_larger },
	{ "info-argsz-smaller", SHOULD, "Message sizes", "a client with less room is refused",
	  info_smaller },
	{ "info-short", MUST, INFO, "bodies of 0 to 15 bytes are refused", info_short },
	{ "info-qemu", PRACTICE, INFO, "numbers of regions and interrupts are such as QEMU takes",
	  info_qemu },
	{ "info-same", MUST, "Client Disconnection", "the next client finds the same device",
	  info_same },
	{ "region-info", MUST, REGION, "each region: index, flags, size; 32 bytes for who asks so",
	  region_info },
	{ "region-info-argsz-larger", MUST, "Message sizes",
	  "argsz says what there is, and the reply has that", region_argsz_larger },
	{ "region-info-argsz-smaller", SHOULD, "Message sizes",
	  "a client that has no room for the 32 bytes is refused", region_argsz_smaller },
	{ "region-info-index", MUST, REGION, "a region that there is not is refused",
	  region_index },
	{ "region-info-short", MUST, REGION, "bodies of 0 to 31 bytes are refused", region_short },
	{ "region-info-long", PRACTICE, REGION,
	  "a request with room for the reply behind it is served: SPDK's client sends such",
	  region_long },
	{ "region-info-capabilities", MUST, "VFIO region capabilities",
	  "capabilities are a chain within argsz, and sparse areas lie in the region",
	  region_caps },
	{ "region-info-fds", MUST, REGION,
	  "a region that can be mapped has a descriptor that mmap takes, and no other has",
	  region_fds },
	{ "region-info-config", MUST, REGION, "config space is region 7, of 256 or 4096 bytes",
	  region_config },
	{ "region-io-fds", SHOULD, IO_FDS,
	  "sub-regions are within the region, and have descriptors", io_fds_valid },
	{ "region-io-fds-wrong", MUST, IO_FDS, "wrong indexes and sizes are refused",
	  io_fds_wrong },
	{ "irq-info", MUST, IRQ, "each kind of interrupt: index, count, flags that go together",
	  irq_info },
	{ "irq-info-index", MUST, IRQ, "a kind of interrupt that there is not is refused",
	  irq_index },
	{ "irq-info-short", MUST, IRQ, "bodies of 0 to 15 bytes are refused", irq_short },
	{ "irq-info-argsz", SHOULD, "Message sizes",
	  "less room is refused, and more room gets 16 bytes", irq_argsz },
	{ "irq-info-config", SHOULD, IRQ, "counts are those of the capabilities in config space",
	  irq_vectors },
	{ 0 }
};
