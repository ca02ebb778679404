/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/admin_test.c: the admin command set: every command, its results and its error
 * statuses; log pages, events, features.
 */
#include "models/nvme/test_driver.h"

#define SIZE	  (4u << 20)
#define DNR	  (NVME_DNR | NVME_MORE)
#define HOLE_IOVA 0x700000000ull

static int setup(void **state)
{
	struct pci_option o[3] = { { "serial", "S3R1AL" },
				   { "image", NULL },
				   { "max_queues", "8" } };
	char second[64];
	struct drv *d;

	make_image(second, sizeof(second), SIZE * 2, "/dev/shm");
	o[1].value = second;
	d = drv_new(SIZE, "/dev/shm", o, 3);
	strcpy(d->image2, second);
	enable(d);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	unplug(*state);
	return 0;
}

static struct nvme_cmd identify(struct drv *d, unsigned cns, uint32_t nsid, uint64_t at)
{
	return (struct nvme_cmd){
		.opc = NVME_ADM_IDENTIFY, .nsid = nsid, .cdw10 = cns, .prp1 = iova(at)
	};
}

static void test_identify(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_id_ctrl *c = (void *)(d->mem + a);
	struct nvme_id_ns *ns = (void *)(d->mem + a);
	uint32_t *list = (void *)(d->mem + a);
	uint8_t uuid[16];

	assert_int_equal(admin(d, identify(d, 1, 0, a), NULL), 0);
	assert_memory_equal(c->sn, "S3R1AL              ", 20);
	assert_int_equal(c->ver, NVME_VS_1_4);
	assert_int_equal(c->nn, 2);
	assert_int_equal(c->mdts, 7);
	assert_int_equal(c->sqes, 0x66);
	assert_int_equal(c->cqes, 0x44);
	assert_int_equal(c->sgls, 0);
	assert_int_equal(c->cntrltype, 1);
	assert_int_equal(c->vwc & 1, 1);
	assert_memory_equal(c->subnqn, "nqn.2014-08.org.nvmexpress:uuid:", 32);
	assert_int_equal(strlen(c->subnqn), 68);

	assert_int_equal(admin(d, identify(d, 0, 1, a), NULL), 0);
	assert_int_equal(ns->nsze, SIZE / 512);
	assert_int_equal(ns->lbaf[0].lbads, 9);
	assert_int_equal(ns->nsattr, 0);
	assert_int_equal(admin(d, identify(d, 0x11, 2, a), NULL), 0);
	assert_int_equal(ns->nsze, SIZE * 2 / 512);
	assert_int_equal(admin(d, identify(d, 0, 3, a), NULL), NVME_INVALID_NAMESPACE | DNR);
	assert_int_equal(admin(d, identify(d, 0, 0, a), NULL), NVME_INVALID_NAMESPACE | DNR);
	assert_int_equal(admin(d, identify(d, 0, NVME_NSID_ALL, a), NULL),
			 NVME_INVALID_NAMESPACE | DNR);

	assert_int_equal(admin(d, identify(d, 2, 0, a), NULL), 0);
	assert_int_equal(list[0], 1);
	assert_int_equal(list[1], 2);
	assert_int_equal(list[2], 0);
	assert_int_equal(admin(d, identify(d, 0x10, 1, a), NULL), 0);
	assert_int_equal(list[0], 2);
	assert_int_equal(list[1], 0);
	assert_int_equal(admin(d, identify(d, 2, 2, a), NULL), 0);
	assert_int_equal(list[0], 0);
	assert_int_equal(admin(d, identify(d, 2, 0xfffffffe, a), NULL),
			 NVME_INVALID_NAMESPACE | DNR);

	assert_int_equal(admin(d, identify(d, 3, 1, a), NULL), 0);
	assert_int_equal(d->mem[a], 3);
	assert_int_equal(d->mem[a + 1], 16);
	assert_int_equal(d->mem[a + 20], 0);
	memcpy(uuid, d->mem + a + 4, 16);
	assert_int_equal(admin(d, identify(d, 3, 2, a), NULL), 0);
	assert_memory_not_equal(uuid, d->mem + a + 4, 16);
	assert_int_equal(admin(d, identify(d, 3, 9, a), NULL), NVME_INVALID_NAMESPACE | DNR);

	/* the only controller, 0, from CNTID on */
	for (unsigned cns = 0x12; cns <= 0x13; cns++) {
		uint16_t *controllers = (void *)(d->mem + a);

		memset(d->mem + a, 0x55, 4096);
		assert_int_equal(admin(d, identify(d, cns, 2, a), NULL), 0);
		assert_int_equal(controllers[0], 1);
		assert_int_equal(controllers[1], 0);
		assert_int_equal(controllers[2047], 0);
		assert_int_equal(admin(d, identify(d, 1 << 16 | cns, 2, a), NULL), 0);
		assert_int_equal(controllers[0], 0);
	}
	assert_int_equal(admin(d, identify(d, 0x12, 3, a), NULL), NVME_INVALID_NAMESPACE | DNR);
	/* what the NVM command set has beyond 00h and 01h; Linux asks for it */
	for (unsigned cns = 5; cns <= 6; cns++) {
		struct nvme_cmd csi = identify(d, cns, 2, a);

		memset(d->mem + a, 0x55, 4096);
		assert_int_equal(admin(d, csi, NULL), 0);
		for (unsigned i = 0; i < 4096; i++)
			assert_int_equal(d->mem[a + i], 0);
		csi.cdw11 = 2u << 24;
		assert_int_equal(admin(d, csi, NULL), NVME_INVALID_FIELD | DNR);
	}
	assert_int_equal(admin(d, identify(d, 5, 3, a), NULL), NVME_INVALID_NAMESPACE | DNR);
	assert_int_equal(admin(d, identify(d, 6, 0, a), NULL), 0);
	for (unsigned cns = 4; cns < 256; cns++)
		if (cns != 5 && cns != 6 && (cns < 0x10 || cns > 0x13))
			assert_int_equal(admin(d, identify(d, cns, 0, a), NULL),
					 NVME_INVALID_FIELD | DNR);
	/* over two pages, to a wrong offset, to nowhere */
	struct nvme_cmd cmd = identify(d, 1, 0, alloc_at(d, 8192, 4096) + 2048);

	cmd.prp2 = cmd.prp1 + 2048;
	assert_int_equal(admin(d, cmd, NULL), 0);
	assert_int_equal(*(uint16_t *)(d->mem + cmd.prp1 - MEM_IOVA), 0x1b36);
	assert_int_equal(*(uint8_t *)(d->mem + cmd.prp1 - MEM_IOVA + 512), 0x66);
	cmd.prp2 += 8;
	assert_int_equal(admin(d, cmd, NULL), NVME_INVALID_PRP_OFFSET | DNR);
	cmd.prp1 = cmd.prp2 = HOLE_IOVA;
	assert_int_equal(admin(d, cmd, NULL), NVME_DATA_TRANSFER_ERROR | NVME_MORE);
}

static void test_unknown(void **state)
{
	struct drv *d = *state;
	static const uint8_t known[] = { 0, 1, 2, 4, 5, 6, 8, 9, 0xa, 0xc, 0x18, 0x7c };

	for (unsigned opc = 0; opc < 256; opc++) {
		if (memchr(known, (int)opc, sizeof(known)))
			continue; /* Format, Firmware, Namespace Management, ... */
		assert_int_equal(admin(d, (struct nvme_cmd){ .opc = (uint8_t)opc }, NULL),
				 NVME_INVALID_OPCODE | DNR);
	}
	assert_int_equal(admin(d, (struct nvme_cmd){ .opc = 6, .flags = 0x40 }, NULL),
			 NVME_INVALID_FIELD | DNR);
	assert_int_equal(admin(d, (struct nvme_cmd){ .opc = 6, .flags = 1 }, NULL),
			 NVME_INVALID_FIELD | DNR);
}

/* ---- queues: 5.3 to 5.6 ---- */

static void test_create_errors(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 64 << 12, 4096);
	struct nvme_cmd cq = {
		.opc = NVME_ADM_CREATE_CQ, .prp1 = iova(a), .cdw10 = 15 << 16 | 1, .cdw11 = 1
	};
	struct nvme_cmd sq = { .opc = NVME_ADM_CREATE_SQ,
			       .prp1 = iova(a),
			       .cdw10 = 15 << 16 | 1,
			       .cdw11 = 1 << 16 | 1 };
	struct nvme_cmd c;

	c = cq, c.cdw10 = 15 << 16;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_QID | DNR);
	c = cq, c.cdw10 = 15 << 16 | 9; /* max_queues=8 */
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_QID | DNR);
	c = cq, c.cdw10 = 15 << 16 | 0xffff;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_QID | DNR);
	c = cq, c.cdw10 = 1;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_QSIZE | DNR);
	c = cq, c.cdw10 = 4096 << 16 | 1;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_QSIZE | DNR);
	c = cq, c.cdw11 = 0;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_FIELD | DNR);
	c = cq, c.prp1 += 64;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_PRP_OFFSET | DNR);
	c = cq, c.cdw11 = 65 << 16 | 3;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_VECTOR | DNR);
	c = cq, c.cdw11 = 0xffff0000 | 3;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_VECTOR | DNR);
	c = cq, c.cdw11 = 65 << 16 | 1; /* interrupts off, and no such vector all the same */
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_VECTOR | DNR);

	assert_int_equal(admin(d, sq, NULL), NVME_CQ_INVALID | DNR);
	c = sq, c.cdw11 = 1;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_QID | DNR);
	c = sq, c.cdw11 = 9 << 16 | 1;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_QID | DNR);
	c = cq, c.cdw10 = 4095u << 16 | 1; /* the largest */
	assert_int_equal(admin(d, c, NULL), 0);
	assert_int_equal(admin(d, cq, NULL), NVME_INVALID_QID | DNR);
	c = sq, c.cdw10 = 15 << 16;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_QID | DNR);
	c = sq, c.cdw10 = 15 << 16 | 9;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_QID | DNR);
	c = sq, c.cdw10 = 1;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_QSIZE | DNR);
	c = sq, c.cdw10 = 4096u << 16 | 1;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_QSIZE | DNR);
	c = sq, c.cdw11 = 1 << 16;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_FIELD | DNR);
	c = sq, c.prp1 += 4;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_PRP_OFFSET | DNR);
	c = sq, c.cdw10 = 4095u << 16 | 1;
	assert_int_equal(admin(d, c, NULL), 0);
	assert_int_equal(admin(d, sq, NULL), NVME_INVALID_QID | DNR);

	assert_int_equal(delete_cq(d, 1), NVME_INVALID_QDELETE | DNR);
	assert_int_equal(delete_cq(d, 0), NVME_INVALID_QID | DNR);
	assert_int_equal(delete_cq(d, 2), NVME_INVALID_QID | DNR);
	assert_int_equal(delete_cq(d, 99), NVME_INVALID_QID | DNR);
	assert_int_equal(delete_sq(d, 0), NVME_INVALID_QID | DNR);
	assert_int_equal(delete_sq(d, 2), NVME_INVALID_QID | DNR);
	assert_int_equal(delete_sq(d, 65535), NVME_INVALID_QID | DNR);
	assert_int_equal(delete_sq(d, 1), 0);
	assert_int_equal(delete_sq(d, 1), NVME_INVALID_QID | DNR);
	assert_int_equal(delete_cq(d, 1), 0);
	assert_int_equal(delete_cq(d, 1), NVME_INVALID_QID | DNR);
}

/*
 * 5.3: a vector that the controller has may be named whatever is enabled. With MSI-X on it is that
 * message; with the pin it is the pin; of fewer messages of MSI than it names it is one that there
 * is.
 */
static void test_vectors(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096);
	struct queue *q = &d->io[0];

	for (int mode = 0; mode < 4; mode++) {
		uint64_t end = test_now() + 5000000000ull;
		unsigned vector = mode == 2 ? 3 : 64;

		d->used = a + 4096;
		queue_make(d, q, 1, 16, 16);
		if (mode == 1)
			pci_msi_enable(d->fn, 2);
		assert_int_equal(create_cq(d, q, vector, true), 0);
		assert_int_equal(create_sq(d, q, 1), 0);
		if (mode >= 2) {
			pci_msix_enable(d->fn);
			pci_msix_entry(d->fn, vector, true);
		}
		for (unsigned i = 0; i < 65; i++)
			atomic_store(&d->irqs.msi[i], 0);
		assert_int_equal(io(d, rw(NVME_IO_READ, 0, 1, iova(a), 0)), 0);
		switch (mode) {
		case 0:
			while (!atomic_load(&d->irqs.intx_rises))
				assert_true(test_now() < end);
			break;
		case 1:
			while (!atomic_load(&d->irqs.msi[vector % 4]))
				assert_true(test_now() < end);
			pci_msi_disable(d->fn);
			break;
		default:
			while (!atomic_load(&d->irqs.msi[vector]))
				assert_true(test_now() < end);
			pci_msix_disable(d->fn);
		}
		assert_int_equal(delete_sq(d, 1), 0);
		assert_int_equal(delete_cq(d, 1), 0);
	}
}

/* 5.6: what was fetched completes before the deletion does; the queue can be made again at once. */
static void test_delete_in_flight(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd del = { .opc = NVME_ADM_DELETE_SQ, .cdw10 = 1 };

	for (int round = 0; round < 20; round++) {
		struct queue *q = &d->io[0];
		struct nvme_cqe e;
		unsigned n = 0;

		d->used = a + 4096;
		make_pair(d, 0, 64, 64);
		for (int i = 0; i < 40; i++) {
			struct nvme_cmd c = rw(NVME_IO_WRITE, (unsigned)i, 1, iova(a), 0);

			c.cdw12 |= NVME_RW_FUA;
			put(d, q, &c);
		}
		ring_sq(d, q);
		assert_int_equal(exec(d, &d->admin, &del, NULL), 0);
		while (take(d, q, &e))
			n++;
		for (int i = 0; i < 4; i++)
			nap();
		assert_false(take(d, q, &e)); /* nothing comes later */
		assert_true(n <= 40);
		assert_int_equal(delete_cq(d, 1), 0);
	}
}

/* ---- features: 5.21 ---- */

static uint16_t get_feature(struct drv *d, unsigned fid, unsigned sel, uint32_t nsid,
			    uint32_t cdw11, uint32_t *v)
{
	return admin(d,
		     (struct nvme_cmd){ .opc = NVME_ADM_GET_FEATURES,
					.nsid = nsid,
					.cdw10 = sel << 8 | fid,
					.cdw11 = cdw11 },
		     v);
}

static uint16_t set_feature(struct drv *d, unsigned fid, uint32_t nsid, uint32_t v,
			    uint32_t *result)
{
	return admin(d,
		     (struct nvme_cmd){
			     .opc = NVME_ADM_SET_FEATURES, .nsid = nsid, .cdw10 = fid, .cdw11 = v },
		     result);
}

static uint16_t get_log(struct drv *d, unsigned lid, uint32_t nsid, uint64_t at, unsigned bytes,
			uint64_t off, bool retain)
{
	return admin(
		d,
		(struct nvme_cmd){ .opc = NVME_ADM_GET_LOG,
				   .nsid = nsid,
				   .prp1 = iova(at),
				   .cdw10 = (bytes / 4 - 1) << 16 | (unsigned)retain << 15 | lid,
				   .cdw12 = (uint32_t)off,
				   .cdw13 = (uint32_t)(off >> 32) },
		NULL);
}

static void test_features(void **state)
{
	static const struct {
		unsigned fid;
		uint32_t set, get, def, caps;
	} f[] = {
		{ NVME_FEAT_ARBITRATION, 0x01020303, 0x01020303, 0, 4 },
		{ NVME_FEAT_POWER, 0x20, 0x20, 0, 4 },
		{ NVME_FEAT_TEMPERATURE, 300, 300, 343, 4 },
		{ NVME_FEAT_WRITE_CACHE, 0, 0, 1, 4 },
		{ NVME_FEAT_IRQ_COALESCE, 0x1234, 0x1234, 0, 4 },
		{ NVME_FEAT_IRQ_VECTOR, 0x10003, 0x10003, 3, 4 },
		{ NVME_FEAT_ATOMICITY, 1, 1, 0, 4 },
		{ NVME_FEAT_ASYNC_EVENT, 0x1f, 0x1f, 0, 4 },
		{ NVME_FEAT_KEEP_ALIVE, 3600001, 3600100, 0, 4 },
	};
	struct drv *d = *state;
	uint32_t v;

	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
		uint32_t arg = f[i].fid == NVME_FEAT_IRQ_VECTOR ? 3 : 0;

		assert_int_equal(get_feature(d, f[i].fid, 0, 0, arg, &v), 0);
		assert_int_equal(v, f[i].def);
		assert_int_equal(set_feature(d, f[i].fid, 0, f[i].set, NULL), 0);
		assert_int_equal(get_feature(d, f[i].fid, 0, 0, arg, &v), 0);
		assert_int_equal(v, f[i].get);
		assert_int_equal(get_feature(d, f[i].fid, 1, 0, arg, &v), 0);
		assert_int_equal(v, f[i].def);
		assert_int_equal(get_feature(d, f[i].fid, 2, 0, arg, &v), 0);
		assert_int_equal(v, f[i].def);
		assert_int_equal(get_feature(d, f[i].fid, 3, 0, arg, &v), 0);
		assert_int_equal(v, f[i].caps);
		assert_int_equal(get_feature(d, f[i].fid, 4, 0, arg, &v), NVME_INVALID_FIELD | DNR);
		assert_int_equal(set_feature(d, f[i].fid, 1, f[i].set, NULL),
				 NVME_NOT_NS_SPECIFIC | DNR);
		assert_int_equal(set_feature(d, 1u << 31 | f[i].fid, 0, f[i].set, NULL),
				 NVME_NOT_SAVEABLE | DNR);
	}
	/* per namespace */
	assert_int_equal(set_feature(d, NVME_FEAT_ERROR_RECOVERY, 2, 7, NULL), 0);
	assert_int_equal(get_feature(d, NVME_FEAT_ERROR_RECOVERY, 0, 1, 0, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(get_feature(d, NVME_FEAT_ERROR_RECOVERY, 0, 2, 0, &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(get_feature(d, NVME_FEAT_ERROR_RECOVERY, 3, 2, 0, &v), 0);
	assert_int_equal(v, 6);
	assert_int_equal(set_feature(d, NVME_FEAT_ERROR_RECOVERY, NVME_NSID_ALL, 9, NULL), 0);
	assert_int_equal(get_feature(d, NVME_FEAT_ERROR_RECOVERY, 0, 1, 0, &v), 0);
	assert_int_equal(v, 9);
	assert_int_equal(set_feature(d, NVME_FEAT_ERROR_RECOVERY, 1, 1 << 16, NULL),
			 NVME_INVALID_FIELD | DNR);
	assert_int_equal(set_feature(d, NVME_FEAT_ERROR_RECOVERY, 3, 1, NULL),
			 NVME_INVALID_NAMESPACE | DNR);
	/* a driver that takes it for the controller's: the value of all, where all have one */
	assert_int_equal(get_feature(d, NVME_FEAT_ERROR_RECOVERY, 0, 0, 0, &v), 0);
	assert_int_equal(v, 9);
	assert_int_equal(set_feature(d, NVME_FEAT_ERROR_RECOVERY, 0, 11, NULL), 0);
	assert_int_equal(get_feature(d, NVME_FEAT_ERROR_RECOVERY, 0, 2, 0, &v), 0);
	assert_int_equal(v, 11);
	assert_int_equal(set_feature(d, NVME_FEAT_ERROR_RECOVERY, 2, 12, NULL), 0);
	assert_int_equal(get_feature(d, NVME_FEAT_ERROR_RECOVERY, 0, 0, 0, &v),
			 NVME_INVALID_NAMESPACE | DNR);
	assert_int_equal(get_feature(d, NVME_FEAT_ERROR_RECOVERY, 1, 0, 0, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(get_feature(d, NVME_FEAT_ERROR_RECOVERY, 0, NVME_NSID_ALL, 0, &v),
			 NVME_INVALID_NAMESPACE | DNR);
	/* arguments that there are not */
	assert_int_equal(set_feature(d, NVME_FEAT_POWER, 0, 1, NULL), NVME_INVALID_FIELD | DNR);
	assert_int_equal(set_feature(d, NVME_FEAT_TEMPERATURE, 0, 1 << 16 | 300, NULL),
			 NVME_INVALID_FIELD | DNR);
	assert_int_equal(set_feature(d, NVME_FEAT_TEMPERATURE, 0, 2 << 20 | 300, NULL),
			 NVME_INVALID_FIELD | DNR);
	assert_int_equal(get_feature(d, NVME_FEAT_TEMPERATURE, 0, 0, 15 << 16, &v),
			 NVME_INVALID_FIELD | DNR);
	assert_int_equal(set_feature(d, NVME_FEAT_IRQ_VECTOR, 0, 65, NULL),
			 NVME_INVALID_FIELD | DNR);
	assert_int_equal(get_feature(d, NVME_FEAT_IRQ_VECTOR, 0, 0, 65, &v),
			 NVME_INVALID_FIELD | DNR);
	for (unsigned fid = 0; fid < 256; fid++) {
		if ((fid >= 1 && fid <= 0x0b && fid != 3) || fid == NVME_FEAT_TIMESTAMP ||
		    fid == NVME_FEAT_KEEP_ALIVE || fid == NVME_FEAT_HOST_BEHAVIOR)
			continue;
		assert_int_equal(get_feature(d, fid, 0, 0, 0, &v), NVME_INVALID_FIELD | DNR);
		assert_int_equal(set_feature(d, fid, 0, 0, &v), NVME_INVALID_FIELD | DNR);
	}
	/* a controller reset brings the defaults back */
	disable(d);
	d->used = 0;
	enable(d);
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
		assert_int_equal(get_feature(d, f[i].fid, 0, 0,
					     f[i].fid == NVME_FEAT_IRQ_VECTOR ? 3 : 0, &v),
				 0);
		assert_int_equal(v, f[i].def);
	}
}

/* 5.21.1.18 */
static void test_host_behavior(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd set = { .opc = NVME_ADM_SET_FEATURES, .prp1 = iova(a) };
	struct nvme_cmd get = { .opc = NVME_ADM_GET_FEATURES, .prp1 = iova(a) };
	uint32_t v;

	set.cdw10 = get.cdw10 = NVME_FEAT_HOST_BEHAVIOR;
	for (unsigned i = 0; i < 3; i++) { /* as it starts; as it was set; after a reset */
		if (i == 1) {
			memset(d->mem + a, 0, 512);
			d->mem[a] = 1;
			assert_int_equal(admin(d, set, NULL), 0);
		} else if (i == 2) {
			disable(d);
			d->used = a + 4096;
			enable(d);
		}
		memset(d->mem + a, 0x55, 513);
		assert_int_equal(admin(d, get, NULL), 0);
		assert_int_equal(d->mem[a], i == 1);
		for (unsigned k = 1; k < 512; k++)
			assert_int_equal(d->mem[a + k], 0);
		assert_int_equal(d->mem[a + 512], 0x55);
	}
	d->mem[a] = 2;
	assert_int_equal(admin(d, set, NULL), NVME_INVALID_FIELD | DNR);
	assert_int_equal(get_feature(d, NVME_FEAT_HOST_BEHAVIOR, 3, 0, 0, &v), 0);
	assert_int_equal(v, 4);
	set.nsid = 1;
	assert_int_equal(admin(d, set, NULL), NVME_NOT_NS_SPECIFIC | DNR);
	set.nsid = 0;
	set.prp1 = get.prp1 = HOLE_IOVA;
	assert_int_equal(SC(admin(d, set, NULL)), NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(SC(admin(d, get, NULL)), NVME_DATA_TRANSFER_ERROR);
}

/* 5.18, 5.21.1.15, 7.12: a host that says nothing for so long is gone. */
static void test_keep_alive(void **state)
{
	struct nvme_cmd keep = { .opc = NVME_ADM_KEEP_ALIVE };
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096), from;
	struct nvme_error_entry *e = (void *)(d->mem + a);
	struct nvme_id_ctrl *c = (void *)(d->mem + a);
	uint32_t v;

	assert_int_equal(admin(d, identify(d, 1, 0, a), NULL), 0);
	assert_int_equal(c->kas, NVME_KAS);
	assert_int_equal(admin(d, keep, NULL), 0); /* with the timer off it does nothing */
	assert_int_equal(set_feature(d, NVME_FEAT_KEEP_ALIVE, 0, UINT32_MAX, NULL), 0);
	assert_int_equal(get_feature(d, NVME_FEAT_KEEP_ALIVE, 0, 0, 0, &v), 0);
	assert_int_equal(v, UINT32_MAX / 100 * 100);
	/* off before it expires: nothing happens */
	assert_int_equal(set_feature(d, NVME_FEAT_KEEP_ALIVE, 0, 60000, NULL), 0);
	assert_int_equal(set_feature(d, NVME_FEAT_KEEP_ALIVE, 0, 0, NULL), 0);
	assert_int_equal(csts(d), NVME_CSTS_RDY);
	from = test_now();
	assert_int_equal(set_feature(d, NVME_FEAT_KEEP_ALIVE, 0, 1, NULL), 0); /* that is 100 */
	wait_csts(d, NVME_CSTS_CFS, NVME_CSTS_CFS);
	assert_true(test_now() - from >= 100000000);
	/* a reset turns the timer off, and the log has the reason */
	disable(d);
	d->used = a + 4096;
	enable(d);
	assert_int_equal(get_feature(d, NVME_FEAT_KEEP_ALIVE, 0, 0, 0, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 64, 0, false), 0);
	assert_int_equal(e->status >> 1, NVME_KEEP_ALIVE_EXPIRED);
	assert_int_equal(e->cid, 0xffff);
	/*
	 * each Keep Alive starts it again; on a machine that stood still for so long it came too
	 * late
	 */
	for (bool late = true; late;) {
		uint64_t set = test_now();
		struct nvme_cqe cqe;

		assert_int_equal(set_feature(d, NVME_FEAT_KEEP_ALIVE, 0, 1000, NULL), 0);
		while (test_now() < set + 200000000)
			nap();
		from = test_now();
		post(d, &d->admin, &keep);
		while (!take(d, &d->admin, &cqe) && !(csts(d) & NVME_CSTS_CFS))
			nap();
		late = csts(d) & NVME_CSTS_CFS && test_now() - from < 1000000000;
		if (late)
			assert_true(test_now() - set >= 1000000000);
		wait_csts(d, NVME_CSTS_CFS, NVME_CSTS_CFS);
		if (!late)
			assert_true(test_now() - from >= 1000000000);
		disable(d);
		d->used = a + 4096;
		enable(d);
	}
}

static void test_number_of_queues(void **state)
{
	struct drv *d = *state;
	uint32_t v;

	assert_int_equal(set_feature(d, NVME_FEAT_QUEUES, 0, 63 << 16 | 63, &v), 0);
	assert_int_equal(v, 7 << 16 | 7);
	assert_int_equal(get_feature(d, NVME_FEAT_QUEUES, 0, 0, 0, &v), 0);
	assert_int_equal(v, 7 << 16 | 7);
	assert_int_equal(set_feature(d, NVME_FEAT_QUEUES, 0, 0xffff, &v), NVME_INVALID_FIELD | DNR);
	assert_int_equal(set_feature(d, NVME_FEAT_QUEUES, 0, 0xffff0000, &v),
			 NVME_INVALID_FIELD | DNR);
	make_pair(d, 0, 16, 16);
	assert_int_equal(set_feature(d, NVME_FEAT_QUEUES, 0, 0, &v), NVME_SEQUENCE_ERROR | DNR);
}

static void test_timestamp(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096), *t = (void *)(d->mem + a);
	struct nvme_cmd c = { .opc = NVME_ADM_GET_FEATURES,
			      .cdw10 = NVME_FEAT_TIMESTAMP,
			      .prp1 = iova(a) };

	*t = 55;
	assert_int_equal(admin(d, c, NULL), 0);
	assert_int_equal(*t >> 48, 0); /* counts from the reset */
	assert_true(*t < 10000);
	*t = 1700000000000ull;
	c.opc = NVME_ADM_SET_FEATURES;
	assert_int_equal(admin(d, c, NULL), 0);
	*t = 0;
	c.opc = NVME_ADM_GET_FEATURES;
	assert_int_equal(admin(d, c, NULL), 0);
	assert_int_equal(*t >> 48, 2); /* the host set it */
	assert_in_range(*t & 0xffffffffffffull, 1700000000000ull, 1700000010000ull);
	c.prp1 = HOLE_IOVA;
	assert_int_equal(SC(admin(d, c, NULL)), NVME_DATA_TRANSFER_ERROR);
	c.opc = NVME_ADM_SET_FEATURES;
	assert_int_equal(SC(admin(d, c, NULL)), NVME_DATA_TRANSFER_ERROR);
}

/* ---- log pages: 5.14 ---- */

static void test_logs(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096), b = alloc_at(d, 4096, 4096);
	struct nvme_error_entry *e = (void *)(d->mem + a);
	struct nvme_smart *s = (void *)(d->mem + b);
	uint32_t *dw = (void *)(d->mem + a);

	/* errors */
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 4096, 0, false), 0);
	assert_int_equal(e[0].error_count, 0);
	make_pair(d, 0, 16, 16);
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 0x123456789, 1, iova(a), 0))), NVME_LBA_RANGE);
	assert_int_equal(SC(admin(d, identify(d, 77, 5, a), NULL)), NVME_INVALID_FIELD);
	assert_int_equal(get_log(d, NVME_LOG_ERROR, NVME_NSID_ALL, a, 4096, 0, false), 0);
	assert_int_equal(e[0].error_count, 2);
	assert_int_equal(e[0].sqid, 0);
	assert_int_equal(e[0].nsid, 5);
	assert_int_equal(e[0].location, 40);
	assert_int_equal(e[0].status >> 1, NVME_INVALID_FIELD | DNR);
	assert_int_equal(e[1].error_count, 1);
	assert_int_equal(e[1].sqid, 1);
	assert_int_equal(e[1].lba, 0x123456789);
	assert_int_equal(e[1].nsid, 1);
	assert_int_equal(e[1].status >> 1, NVME_LBA_RANGE | DNR);
	assert_int_equal(e[2].error_count, 0);
	/* by offset; only as much as was asked for */
	memset(d->mem + a, 0x33, 4096);
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 8, 64, false), 0);
	assert_int_equal(e[0].error_count, 1);
	assert_int_equal(dw[2], 0x33333333);
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 8, 4096, false), 0);
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 8, 4100, false),
			 NVME_INVALID_FIELD | DNR);
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 8, 2, false), NVME_INVALID_FIELD | DNR);
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 8, 1ull << 32, false),
			 NVME_INVALID_FIELD | DNR);
	/* the ring goes round */
	for (int i = 0; i < 70; i++)
		io(d, rw(NVME_IO_READ, 1ull << 40, 1, iova(a), 0));
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 4096, 0, false), 0);
	assert_int_equal(e[0].error_count - e[63].error_count, 63);

	/* SMART */
	assert_int_equal(get_log(d, NVME_LOG_SMART, NVME_NSID_ALL, b, 512, 0, false), 0);
	assert_int_equal(s->temperature, 313);
	assert_int_equal(s->critical_warning, 0);
	assert_int_equal(s->spare, 100);
	assert_int_equal(s->error_entries[0], e[0].error_count);
	assert_int_equal(s->host_reads[0], 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(io(d, rw(NVME_IO_READ, 0, 8, iova(a), 0)), 0);
	for (int i = 0; i < 250; i++)
		assert_int_equal(io(d, rw(NVME_IO_WRITE, 0, 8, iova(a), 0)), 0);
	assert_int_equal(get_log(d, NVME_LOG_SMART, 0, b, 512, 0, false), 0);
	assert_int_equal(s->host_reads[0], 3);
	assert_int_equal(s->host_writes[0], 250);
	assert_int_equal(s->units_read[0], 1);
	assert_int_equal(s->units_written[0], 2);
	/* of a namespace: LPA bit 0 */
	struct nvme_cmd read = rw(NVME_IO_READ, 0, 8, iova(a), 0);

	read.nsid = 2;
	assert_int_equal(io(d, read), 0);
	assert_int_equal(get_log(d, NVME_LOG_SMART, 1, b, 512, 0, false), 0);
	assert_int_equal(s->host_reads[0], 3);
	assert_int_equal(s->host_writes[0], 250);
	assert_int_equal(get_log(d, NVME_LOG_SMART, 2, b, 512, 0, false), 0);
	assert_int_equal(s->host_reads[0], 1);
	assert_int_equal(s->host_writes[0], 0);
	assert_int_equal(s->units_written[0], 0);
	assert_int_equal(s->temperature, 313);
	assert_int_equal(get_log(d, NVME_LOG_SMART, NVME_NSID_ALL, b, 512, 0, false), 0);
	assert_int_equal(s->host_reads[0], 4);
	assert_int_equal(get_log(d, NVME_LOG_SMART, 3, b, 512, 0, false),
			 NVME_INVALID_NAMESPACE | DNR);
	assert_int_equal(admin(d, identify(d, 1, 0, b), NULL), 0);
	assert_int_equal(((struct nvme_id_ctrl *)(d->mem + b))->lpa & 1, 1);

	/* the rest */
	assert_int_equal(get_log(d, NVME_LOG_FIRMWARE, 0, a, 512, 0, false), 0);
	assert_int_equal(d->mem[a], 1);
	assert_memory_equal(d->mem + a + 8, "1.0     ", 8);
	assert_int_equal(get_log(d, NVME_LOG_CHANGED_NS, 0, a, 4096, 0, false), 0);
	assert_int_equal(dw[0], 0);
	assert_int_equal(get_log(d, NVME_LOG_COMMANDS, 0, a, 4096, 0, false), 0);
	assert_int_equal(dw[NVME_ADM_IDENTIFY], 1);
	assert_int_equal(dw[NVME_ADM_KEEP_ALIVE], 1);
	assert_int_equal(dw[0x10], 0);
	assert_int_equal(dw[256 + NVME_IO_WRITE], 3);
	for (unsigned lid = 0; lid < 256; lid++)
		if (lid < 1 || lid > 5)
			assert_int_equal(get_log(d, lid, 0, a, 64, 0, false),
					 NVME_INVALID_LOG | DNR);
}

/* ---- asynchronous events: 5.2 ---- */

static uint16_t request_event(struct drv *d)
{
	return post(d, &d->admin, &(struct nvme_cmd){ .opc = NVME_ADM_ASYNC_EVENT });
}

static void expect_none(struct drv *d)
{
	struct nvme_cqe e;

	for (int i = 0; i < 4; i++)
		nap();
	assert_false(take(d, &d->admin, &e));
}

static void test_events(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cqe e;
	uint16_t first = request_event(d), second = request_event(d), third, fourth;
	uint32_t v;

	expect_none(d);
	/* a doorbell of a queue that there is not */
	wr(d, NVME_DOORBELLS + 8 * 5, 4, 1);
	reap(d, &d->admin, &e);
	assert_int_equal(e.cid, first);
	assert_int_equal(e.status >> 1, 0);
	assert_int_equal(e.result, 0x010000);
	/*
	 * of the same type nothing comes until the log was read, and not if that retains the event
	 */
	wr(d, NVME_DOORBELLS + 8 * 5 + 4, 4, 1);
	wr(d, NVME_DOORBELLS + 8 * 200, 4, 1);
	expect_none(d);
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 64, 0, true), 0);
	expect_none(d);
	post(d, &d->admin,
	     &(struct nvme_cmd){ .opc = NVME_ADM_GET_LOG,
				 .prp1 = iova(a),
				 .cdw10 = 15 << 16 | NVME_LOG_ERROR });
	reap(d, &d->admin, &e);
	if (e.cid != second) {
		reap(d, &d->admin, &e);
		assert_int_equal(e.cid, second);
		assert_int_equal(e.result, 0x010000);
	} else {
		assert_int_equal(e.result, 0x010000);
		reap(d, &d->admin, &e);
	}
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 64, 0, false), 0);

	/* values out of range: the admin queue's tail, a head beyond what was posted */
	third = request_event(d);
	wr(d, NVME_DOORBELLS, 4, 32);
	reap(d, &d->admin, &e);
	assert_int_equal(e.cid, third);
	assert_int_equal(e.result, 0x010100);
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 64, 0, false), 0);
	wr(d, NVME_DOORBELLS + 4, 4, (d->admin.head + 1) % 32);
	third = request_event(d); /* the event waited for the request */
	reap(d, &d->admin, &e);
	assert_int_equal(e.cid, third);
	assert_int_equal(e.result, 0x010100);
	assert_int_equal(get_log(d, NVME_LOG_ERROR, 0, a, 64, 0, false), 0);

	/* temperature: only if the driver wants to know */
	third = request_event(d);
	assert_int_equal(set_feature(d, NVME_FEAT_TEMPERATURE, 0, 310, &v), 0);
	expect_none(d);
	assert_int_equal(set_feature(d, NVME_FEAT_TEMPERATURE, 0, 343, &v), 0);
	assert_int_equal(set_feature(d, NVME_FEAT_ASYNC_EVENT, 0, 2, &v), 0);
	expect_none(d);
	put(d, &d->admin,
	    &(struct nvme_cmd){
		    .opc = NVME_ADM_SET_FEATURES, .cdw10 = NVME_FEAT_TEMPERATURE, .cdw11 = 310 });
	ring_sq(d, &d->admin);
	reap(d, &d->admin, &e);
	if (e.cid != third)
		reap(d, &d->admin, &e);
	else
		reap(d, &d->admin, &(struct nvme_cqe){ 0 });
	assert_int_equal(e.cid, third);
	assert_int_equal(e.result, 0x020101);
	assert_int_equal(get_log(d, NVME_LOG_SMART, 0, a, 512, 0, false), 0);
	assert_int_equal(d->mem[a], 2);

	/* at most four, 5.2 */
	for (int i = 0; i < 4; i++)
		third = request_event(d);
	request_event(d);
	reap(d, &d->admin, &e);
	assert_int_equal(e.status >> 1, NVME_AER_LIMIT | DNR);
	/* Abort takes one back; another command it does not find */
	fourth = post(d, &d->admin,
		      &(struct nvme_cmd){ .opc = NVME_ADM_ABORT, .cdw10 = (uint32_t)third << 16 });
	reap(d, &d->admin, &e);
	assert_int_equal(e.cid, third);
	assert_int_equal(e.status >> 1, NVME_ABORT_REQUESTED);
	reap(d, &d->admin, &e);
	assert_int_equal(e.cid, fourth);
	assert_int_equal(e.result, 0);
	assert_int_equal(
		admin(d, (struct nvme_cmd){ .opc = NVME_ADM_ABORT, .cdw10 = 0xabcd0000 }, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(admin(d, (struct nvme_cmd){ .opc = NVME_ADM_ABORT, .cdw10 = 1 }, &v), 0);
	assert_int_equal(v, 1);
	/* a reset forgets requests and events */
	disable(d);
	d->used = 0;
	enable(d);
	wr(d, NVME_DOORBELLS + 8 * 5, 4, 1);
	expect_none(d);
	for (int i = 0; i < 3; i++)
		request_event(d);
	reap(d, &d->admin, &e);
	assert_int_equal(e.result, 0x010000);
	expect_none(d);
}

/* An event must wait for a place in a full admin completion queue. */
static void test_event_cq_full(void **state)
{
	struct drv *d = *state;
	struct nvme_cqe e;
	uint16_t aer, get;

	disable(d);
	d->used = 0;
	enable_sized(d, 8, 2);
	aer = request_event(d);
	get = post(d, &d->admin,
		   &(struct nvme_cmd){ .opc = NVME_ADM_GET_FEATURES, .cdw10 = NVME_FEAT_QUEUES });
	for (int i = 0; i < 4; i++)
		nap();
	wr(d, NVME_DOORBELLS + 8 * 5, 4, 1); /* the only entry is taken */
	reap(d, &d->admin, &e);
	assert_int_equal(e.cid, get);
	reap(d, &d->admin, &e);
	assert_int_equal(e.cid, aer);
	assert_int_equal(e.result, 0x010000);
}

/* ---- doorbell buffers: 5.7 ---- */

static void test_doorbell_buffer(void **state)
{
	struct drv *d = *state;
	uint64_t shadow = alloc_at(d, 4096, 4096), event = alloc_at(d, 4096, 4096),
		 a = alloc_at(d, 4096, 4096);
	volatile uint32_t *db = (void *)(d->mem + shadow), *ei = (void *)(d->mem + event);
	struct nvme_cmd c = { .opc = NVME_ADM_DOORBELL_BUFFER,
			      .prp1 = iova(shadow) + 8,
			      .prp2 = iova(event) };
	struct nvme_cmd read = rw(NVME_IO_READ, 0, 1, iova(a), 0);
	struct queue *q, *r;
	struct nvme_cqe e;

	assert_int_equal(admin(d, c, NULL), NVME_INVALID_FIELD | DNR);
	c.prp1 = iova(shadow);
	c.prp2 += 512;
	assert_int_equal(admin(d, c, NULL), NVME_INVALID_FIELD | DNR);
	c.prp2 = iova(event);
	q = make_pair(d, 0, 16, 16); /* one queue before, one after */
	assert_int_equal(io(d, read), 0);
	assert_int_equal(admin(d, c, NULL), 0);
	assert_int_equal(db[2], 1);
	assert_int_equal(ei[2], 1);
	r = make_pair(d, 1, 16, 4);
	/* the tail comes from memory: one doorbell starts all that is there */
	for (int i = 0; i < 5; i++)
		put(d, q, &read);
	db[2] = q->tail;
	wr(d, NVME_DOORBELLS + 8, 4, 2); /* a stale value */
	for (int i = 0; i < 5; i++) {
		uint64_t end = test_now() + 5000000000ull;

		while (!take(d, q, &e))
			assert_true(test_now() < end);
	}
	/* "ring me for the next one": at once, or when the worker that polls has had enough */
	for (uint64_t end = test_now() + 5000000000ull; ei[2] != q->tail;)
		assert_true(test_now() < end);
	db[3] = q->head;
	/*
	 * a completion queue that was full: the controller asks for its doorbell, and reads the
	 * head itself
	 */
	for (int i = 0; i < 6; i++)
		put(d, r, &read);
	db[4] = r->tail;
	ring_sq(d, r);
	for (int i = 0; i < 6; i++) {
		uint64_t end = test_now() + 5000000000ull;

		while (!take(d, r, &e)) {
			db[5] = r->head;
			__sync_synchronize();
			if (i == 3 || i == 5)
				ring_cq(d, r);
			assert_true(test_now() < end);
		}
	}
	/* a value that no queue has: an event, not a fetch */
	request_event(d);
	db[2] = 16;
	wr(d, NVME_DOORBELLS + 8, 4, 0);
	reap(d, &d->admin, &e);
	assert_int_equal(e.result, 0x010100);
	assert_int_equal(csts(d), NVME_CSTS_RDY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identify, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vectors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delete_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_features, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_behavior, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keep_alive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_number_of_queues, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timestamp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_logs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_event_cq_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doorbell_buffer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
