/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/drivers/nvme_check.c: asks a controller for every answer that the specification fixes and
 * writes it down, a line each. It holds no opinion of what is right: tests/drivers_oracle.sh
 * compares what two controllers say, uvfio's and QEMU's behind the kernel's vfio-pci. So no line
 * depends on what may differ between two good controllers: names, numbers of queues, the time.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nvme.h"

#define BUFFER		 (1u << 20)
#define IDENTIFY_NOTHING 0x7f /* a CNS that is reserved in 1.4 */
#define INVALID_NSID	 0xfffffffeu

static struct nvme n;
static char *data; /* BUFFER bytes for commands, and their lists */
static uint64_t data_iova, *list, list_iova;

static void nap(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)ms * 1000000 }, NULL);
}

static void saw_status(const char *name, int status)
{
	if (status == NVME_TIMEOUT)
		saw_as(name, "no completion");
	else
		saw_as(name, "status 0x%x", (unsigned)status);
}

static void saw_bool(const char *name, bool yes)
{
	saw_as(name, "%s", yes ? "yes" : "no");
}

static int admin(struct nvme_command c)
{
	return nvme_execute(&n, 0, &c, NULL);
}

/* Return what a disk has at @offset if it was written with @seed. */
static uint64_t pattern(uint64_t offset, uint64_t seed)
{
	return (offset + 1) * (seed * 2 + 0x9e3779b97f4a7c15ull);
}

static void fill(char *to, uint64_t bytes, uint64_t offset, uint64_t seed)
{
	for (uint64_t i = 0; i < bytes; i += 8)
		memcpy(to + i, &(uint64_t){ pattern(offset + i, seed) }, 8);
}

static bool filled(const char *from, uint64_t bytes, uint64_t offset, uint64_t seed)
{
	for (uint64_t i = 0; i < bytes; i += 8)
		if (memcmp(from + i, &(uint64_t){ pattern(offset + i, seed) }, 8))
			return false;
	return true;
}

/* A read or write of @bytes at @offset with the data at byte @at of the buffer. */
static int io(uint8_t opcode, uint64_t offset, uint64_t bytes, uint64_t at)
{
	struct nvme_command c = nvme_rw(&n, opcode, offset, bytes, data_iova + at, list, list_iova);

	return nvme_execute(&n, 1, &c, NULL);
}

/* ---- sections ---- */

static void check_registers(void)
{
	uint64_t cap = mmio_lh_read64(n.registers + NVME_CAP), other = n.queue[0].sq_iova;

	saw_as("registers.class", "0x%06llx", (unsigned long long)n.pci.class);
	saw_as("registers.command", "0x%x", pci_config_read(&n.pci, 4, 2) & 6);
	saw_bool("registers.cap in one load", mmio_read64(n.registers + NVME_CAP) == cap);
	saw_bool("registers.cap.mqes at least 63", (cap & 0xffff) >= 63);
	saw_as("registers.cap.cqr", "%u", (unsigned)(cap >> 16 & 1));
	saw_as("registers.cap.dstrd", "%u", (unsigned)(cap >> 32 & 15));
	saw_as("registers.cap.css nvm", "%u", (unsigned)(cap >> 37 & 1));
	saw_as("registers.cap.mpsmin", "%u", (unsigned)(cap >> 48 & 15));
	saw_as("registers.vs", "0x%x", mmio_read32(n.registers + NVME_VS));
	saw_as("registers.csts ready", "0x%x", mmio_read32(n.registers + NVME_CSTS));
	saw_as("registers.cc", "0x%x", mmio_read32(n.registers + NVME_CC));
	saw_as("registers.aqa", "0x%x", mmio_read32(n.registers + NVME_AQA));
	saw_bool("registers.asq", mmio_lh_read64(n.registers + NVME_ASQ) == other);
	saw_bool("registers.asq in one load", mmio_read64(n.registers + NVME_ASQ) == other);
	saw_bool("registers.acq", mmio_lh_read64(n.registers + NVME_ACQ) == n.queue[0].cq_iova);
	/* 3.1.3, 3.1.4: set and clear, both read as the mask */
	mmio_write32(n.registers + NVME_INTMS, 0x5);
	saw_as("registers.intms", "0x%x", mmio_read32(n.registers + NVME_INTMS));
	saw_as("registers.intmc", "0x%x", mmio_read32(n.registers + NVME_INTMC));
	mmio_write32(n.registers + NVME_INTMS, 0x10);
	mmio_write32(n.registers + NVME_INTMC, 0x4);
	saw_as("registers.intms after clearing one", "0x%x", mmio_read32(n.registers + NVME_INTMS));
	mmio_write32(n.registers + NVME_INTMC, 0xffffffff);
	saw_as("registers.intms cleared", "0x%x", mmio_read32(n.registers + NVME_INTMS));
	/* read-only ones */
	mmio_write32(n.registers + NVME_CAP, 0);
	mmio_write32(n.registers + NVME_VS, 0);
	mmio_write32(n.registers + NVME_CSTS, 0);
	saw_bool("registers.cap stays", mmio_lh_read64(n.registers + NVME_CAP) == cap);
	saw_as("registers.vs stays", "0x%x", mmio_read32(n.registers + NVME_VS));
	saw_as("registers.csts stays", "0x%x", mmio_read32(n.registers + NVME_CSTS));
	/* disabled: what the queues' registers hold, and their reserved bits (3.1.8 to 3.1.10) */
	saw_as("registers.disable", "%d", nvme_disable(&n));
	saw_as("registers.csts disabled", "0x%x", mmio_read32(n.registers + NVME_CSTS));
	mmio_write32(n.registers + NVME_AQA, 0xffffffff);
	saw_as("registers.aqa all ones", "0x%x", mmio_read32(n.registers + NVME_AQA));
	mmio_write64(n.registers + NVME_ASQ, 0x123456789abcdfffull);
	saw_as("registers.asq all ones below", "0x%llx",
	       (unsigned long long)mmio_lh_read64(n.registers + NVME_ASQ));
	mmio_hl_write64(n.registers + NVME_ACQ, 0xfedcba987654ffffull);
	saw_as("registers.acq all ones below", "0x%llx",
	       (unsigned long long)mmio_lh_read64(n.registers + NVME_ACQ));
	nvme_start(&n, false);
	saw_as("registers.started again", "0x%x", mmio_read32(n.registers + NVME_CSTS));
}

static void check_identify(void)
{
	char first[NVME_PAGE];
	struct nvme_command c = { .opcode = NVME_ADMIN_IDENTIFY, .cdw10 = 1 };

	saw_status("identify.controller", nvme_identify(&n, 1, 0));
	memcpy(first, n.page, sizeof(first));
	saw_as("identify.version", "0x%x", *(uint32_t *)(first + 80));
	saw_as("identify.sqes cqes", "0x%x 0x%x", (unsigned)(uint8_t)first[512],
	       (unsigned)(uint8_t)first[513]);
	saw_bool("identify.namespaces", n.namespaces >= 1);
	saw_bool("identify.serial number", first[4] > ' ' && first[4] < 127);
	saw_as("identify.max transfer", "%llu", (unsigned long long)n.max_transfer);
	saw_bool("identify.doorbell buffer config", n.oacs & 1 << 8);
	saw_as("identify.compare, dataset management, write zeroes", "%u %u %u", n.oncs & 1,
	       n.oncs >> 2 & 1, n.oncs >> 3 & 1);
	saw_as("identify.volatile write cache", "%u", first[525] & 1);
	/* the same in two pieces: 4.3 */
	c.prp1 = data_iova + 0x800;
	c.prp2 = data_iova + 0x1000;
	memset(data, 0, 0x2000);
	saw_status("identify.across a page", admin(c));
	saw_bool("identify.across a page, the same", !memcmp(data + 0x800, first, sizeof(first)));
	saw_bool("identify.nothing before it", !data[0x7ff]);
	saw_bool("identify.nothing behind it", !data[0x1800]);
	c.prp2 = data_iova + 0x1008;
	saw_status("identify.second page with an offset", admin(c));
	saw_status("identify.namespace", nvme_identify(&n, 0, 1));
	saw_as("identify.blocks", "%llu of %u", (unsigned long long)n.blocks, 1u << n.lba_shift);
	saw_status("identify.namespace 0", nvme_identify(&n, 0, 0));
	saw_status("identify.namespace invalid", nvme_identify(&n, 0, INVALID_NSID));
	saw_status("identify.active namespaces", nvme_identify(&n, 2, 0));
	saw_as("identify.active namespaces, the first two", "%u %u", ((uint32_t *)n.page)[0],
	       ((uint32_t *)n.page)[1]);
	saw_status("identify.active namespaces above 1", nvme_identify(&n, 2, 1));
	saw_as("identify.active namespaces above 1, the first", "%u", ((uint32_t *)n.page)[0]);
	saw_status("identify.active namespaces above the last", nvme_identify(&n, 2, 0xffffffff));
	saw_status("identify.descriptors", nvme_identify(&n, 3, 1));
	saw_bool("identify.descriptors, one", n.page[0] >= 1 && n.page[0] <= 4 && n.page[1]);
	saw_status("identify.of the NVM command set, namespace", nvme_identify(&n, 5, 1));
	saw_status("identify.of the NVM command set, controller", nvme_identify(&n, 6, 0));
	saw_status("identify.controllers of the namespace", nvme_identify(&n, 0x12, 1));
	saw_as("identify.controllers of the namespace, how many", "%u", *(uint16_t *)n.page);
	saw_status("identify.controllers", nvme_identify(&n, 0x13, 0));
	saw_status("identify.reserved cns", nvme_identify(&n, IDENTIFY_NOTHING, 1));
	saw_status("admin.reserved opcode", admin((struct nvme_command){ .opcode = 0x7f }));
	saw_status("admin.fused", admin((struct nvme_command){ .opcode = NVME_ADMIN_IDENTIFY,
							       .flags = 1,
							       .cdw10 = 1,
							       .prp1 = data_iova }));
	saw_status("admin.sgl", admin((struct nvme_command){ .opcode = NVME_ADMIN_IDENTIFY,
							     .flags = NVME_FLAGS_SGL,
							     .cdw10 = 1,
							     .prp1 = data_iova }));
	saw_status("admin.to nowhere",
		   admin((struct nvme_command){
			   .opcode = NVME_ADMIN_IDENTIFY, .cdw10 = 1, .prp1 = 0x7000000000ull }));
}

static void check_features(void)
{
	struct nvme_command get = { .opcode = NVME_ADMIN_GET_FEATURES },
			    set = { .opcode = NVME_ADMIN_SET_FEATURES };
	static const uint8_t known[] = {
		0x01, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b
	}; /* 5.21.1: mandatory, and the write cache */
	uint32_t result = 0;
	char name[64];
	int status;

	for (size_t i = 0; i < sizeof(known); i++) {
		get.cdw10 = known[i];
		snprintf(name, sizeof(name), "features.get 0x%02x", known[i]);
		saw_status(name, nvme_execute(&n, 0, &get, NULL));
	}
	get.cdw10 = 0x05;
	saw_status("features.get 0x05 of no namespace", nvme_execute(&n, 0, &get, NULL));
	get.nsid = 1;
	saw_status("features.get 0x05 of a namespace", nvme_execute(&n, 0, &get, NULL));
	get.nsid = 0xffffffff;
	saw_status("features.get 0x05 of all", nvme_execute(&n, 0, &get, NULL));
	get.nsid = 0;
	get.prp1 = data_iova;
	get.cdw10 = 0x0f;
	saw_status("features.get keep alive", nvme_execute(&n, 0, &get, NULL));
	get.cdw10 = 0x16;
	memset(data, 0xee, 513);
	saw_status("features.get host behavior", nvme_execute(&n, 0, &get, NULL));
	saw_as("features.host behavior", "0x%x 0x%x 0x%x", (unsigned)(uint8_t)data[0],
	       (unsigned)(uint8_t)data[511], (unsigned)(uint8_t)data[512]);
	saw_status("admin.keep alive", admin((struct nvme_command){ .opcode = 0x18 }));
	get.cdw10 = 0x30; /* reserved */
	saw_status("features.get reserved", nvme_execute(&n, 0, &get, NULL));
	set.cdw10 = 0x30;
	saw_status("features.set reserved", nvme_execute(&n, 0, &set, NULL));
	set.cdw10 = get.cdw10 = 0x04; /* temperature threshold: 340 K, over, composite */
	set.cdw11 = 340;
	saw_status("features.set temperature", nvme_execute(&n, 0, &set, NULL));
	status = nvme_execute(&n, 0, &get, &result);
	saw_as("features.temperature", "status 0x%x, %u", (unsigned)status, result & 0xffff);
	set.cdw10 = get.cdw10 = 0x08; /* interrupt coalescing */
	set.cdw11 = 0x0203;
	saw_status("features.set coalescing", nvme_execute(&n, 0, &set, NULL));
	status = nvme_execute(&n, 0, &get, &result);
	saw_as("features.coalescing", "status 0x%x, 0x%x", (unsigned)status, result);
	set.cdw11 = 0;
	nvme_execute(&n, 0, &set, NULL);
	set.cdw10 = 7;
	set.cdw11 = 0xffff; /* 5.21.1.7: 65536 is no count */
	saw_status("features.number of queues 0xffff", nvme_execute(&n, 0, &set, NULL));
	get = (struct nvme_command){ .opcode = NVME_ADMIN_ABORT, .cdw10 = 0x12340000 };
	status = nvme_execute(&n, 0, &get, &result);
	saw_as("abort.no such command", "status 0x%x, result %u", (unsigned)status, result & 1);
	get.cdw10 = 0x12340001;
	status = nvme_execute(&n, 0, &get, &result);
	saw_as("abort.no such queue", "status 0x%x, result %u", (unsigned)status, result & 1);
	saw_status("log.smart", admin((struct nvme_command){ .opcode = NVME_ADMIN_GET_LOG,
							     .nsid = 0xffffffff,
							     .cdw10 = 127 << 16 | 2,
							     .prp1 = data_iova }));
	saw_status("log.smart of a namespace",
		   admin((struct nvme_command){ .opcode = NVME_ADMIN_GET_LOG,
						.nsid = 1,
						.cdw10 = 127 << 16 | 2,
						.prp1 = data_iova }));
	saw_status("log.errors", admin((struct nvme_command){ .opcode = NVME_ADMIN_GET_LOG,
							      .nsid = 0xffffffff,
							      .cdw10 = 15 << 16 | 1,
							      .prp1 = data_iova }));
	saw_status("log.reserved", admin((struct nvme_command){ .opcode = NVME_ADMIN_GET_LOG,
								.nsid = 0xffffffff,
								.cdw10 = 15 << 16 | 0x6f,
								.prp1 = data_iova }));
}

static int create_cq(unsigned id, unsigned entries_less_one, uint32_t flags, uint64_t at)
{
	return admin((struct nvme_command){ .opcode = NVME_ADMIN_CREATE_CQ,
					    .cdw10 = entries_less_one << 16 | id,
					    .cdw11 = flags,
					    .prp1 = at });
}

static int create_sq(unsigned id, unsigned entries_less_one, uint32_t flags, uint64_t at)
{
	return admin((struct nvme_command){ .opcode = NVME_ADMIN_CREATE_SQ,
					    .cdw10 = entries_less_one << 16 | id,
					    .cdw11 = flags,
					    .prp1 = at });
}

static int delete (uint8_t opcode, unsigned id)
{
	return admin((struct nvme_command){ .opcode = opcode, .cdw10 = id });
}

/* 5.3, 5.4, 5.5, 5.6 */
static void check_queues(void)
{
	uint64_t at = data_iova;

	saw_status("cq.0", create_cq(0, 7, 1, at));
	saw_status("cq.beyond what was granted", create_cq(0x7000, 7, 1, at));
	saw_status("cq.one entry", create_cq(1, 0, 1, at));
	saw_status("cq.too many entries", create_cq(1, 0xffff, 1, at));
	saw_status("cq.at an offset", create_cq(1, 7, 1, at + 8));
	saw_status("cq.not contiguous", create_cq(1, 7, 0, at));
	saw_status("cq.no such vector", create_cq(1, 7, 0xfff0u << 16 | 3, at));
	/* 5.3: what the controller has, whatever is enabled; nothing is now */
	saw_status("cq.vector 1 without MSI-X", create_cq(1, 7, 1u << 16 | 3, at));
	delete (NVME_ADMIN_DELETE_CQ, 1);
	saw_status("cq.1", create_cq(1, 7, 1, at));
	saw_status("cq.1 again", create_cq(1, 7, 1, at));
	saw_status("sq.0", create_sq(0, 7, 1u << 16 | 1, at + 4096));
	saw_status("sq.beyond what was granted", create_sq(0x7000, 7, 1u << 16 | 1, at + 4096));
	saw_status("sq.one entry", create_sq(1, 0, 1u << 16 | 1, at + 4096));
	saw_status("sq.too many entries", create_sq(1, 0xffff, 1u << 16 | 1, at + 4096));
	saw_status("sq.at an offset", create_sq(1, 7, 1u << 16 | 1, at + 4096 + 64));
	saw_status("sq.not contiguous", create_sq(1, 7, 1u << 16, at + 4096));
	saw_status("sq.on cq 0", create_sq(1, 7, 1, at + 4096));
	saw_status("sq.on a cq that is not there", create_sq(1, 7, 2u << 16 | 1, at + 4096));
	saw_status("sq.1", create_sq(1, 7, 1u << 16 | 1, at + 4096));
	saw_status("sq.1 again", create_sq(1, 7, 1u << 16 | 1, at + 4096));
	saw_status("cq.delete in use", delete (NVME_ADMIN_DELETE_CQ, 1));
	saw_status("sq.delete 0", delete (NVME_ADMIN_DELETE_SQ, 0));
	saw_status("sq.delete one that is not there", delete (NVME_ADMIN_DELETE_SQ, 2));
	saw_status("sq.delete", delete (NVME_ADMIN_DELETE_SQ, 1));
	saw_status("sq.delete again", delete (NVME_ADMIN_DELETE_SQ, 1));
	saw_status("cq.delete 0", delete (NVME_ADMIN_DELETE_CQ, 0));
	saw_status("cq.delete", delete (NVME_ADMIN_DELETE_CQ, 1));
	saw_status("cq.delete again", delete (NVME_ADMIN_DELETE_CQ, 1));
}

/* Written one way, read another: @at is where in a page the data begins. */
static void transfer(const char *name, uint64_t offset, uint64_t bytes, uint64_t at, uint64_t back)
{
	char line[96];
	int status;

	fill(data + at, bytes, offset, bytes + at);
	snprintf(line, sizeof(line), "io.write %s", name);
	status = io(NVME_WRITE, offset, bytes, at);
	saw_status(line, status);
	memset(data, 0xee, BUFFER);
	snprintf(line, sizeof(line), "io.read %s", name);
	status = io(NVME_READ, offset, bytes, back);
	saw_status(line, status);
	snprintf(line, sizeof(line), "io.data %s", name);
	saw_bool(line, filled(data + back, bytes, offset, bytes + at) &&
			       (uint8_t)data[back + bytes] == 0xee &&
			       (!back || (uint8_t)data[back - 1] == 0xee));
}

static void check_io(void)
{
	uint64_t block = 1u << n.lba_shift, end = n.blocks << n.lba_shift, two[2];
	struct nvme_command c;

	if (nvme_create_queue(&n, 1, 64, -1))
		die("queue pair 1");
	transfer("one block", 0, block, 0, 0);
	transfer("one block at an offset", 7 * block, block, 0x200, 0xe00);
	transfer("a page", 4096, 4096, 0, 0);
	transfer("a page over two", 8192, 4096, 0x800, 0x204);
	transfer("two pages", 16384, 8192, 0, 0x400);
	transfer("three pages", 32768, 12288, 0, 0);
	transfer("128 KiB", 65536, 131072, 0, 0xffc);
	transfer("the last block", end - block, block, 0, 0);
	transfer("all of the largest", 1 << 20, n.max_transfer, 0, 0);

	/* 4.3: a list that goes on in another page, its last entry the pointer to it */
	c = nvme_rw(&n, NVME_READ, 1 << 20, 6 * 4096, data_iova, list, list_iova);
	c.prp2 = list_iova + 4096 - 24;
	for (int i = 0; i < 2; i++)
		list[512 - 3 + i] = data_iova + (uint64_t)(i + 1) * 4096;
	list[511] = list_iova + 4096;
	for (int i = 0; i < 3; i++)
		list[512 + i] = data_iova + (uint64_t)(i + 3) * 4096;
	memset(data, 0xee, BUFFER);
	saw_status("io.read by two lists", nvme_execute(&n, 1, &c, NULL));
	saw_bool("io.data by two lists", filled(data, 6 * 4096, 1 << 20, n.max_transfer));
	/* pages in any order */
	c = nvme_rw(&n, NVME_READ, 1 << 20, 3 * 4096, data_iova + 8192, list, list_iova);
	list[0] = data_iova;
	list[1] = data_iova + 4096;
	saw_status("io.read pages in another order", nvme_execute(&n, 1, &c, NULL));
	saw_bool("io.data pages in another order",
		 filled(data + 8192, 4096, 1 << 20, n.max_transfer) &&
			 filled(data, 8192, (1 << 20) + 4096, n.max_transfer));
	list[1] += 8;
	saw_status("io.a list entry with an offset", nvme_execute(&n, 1, &c, NULL));
	c = nvme_rw(&n, NVME_READ, 0, 8192, data_iova, list, list_iova);
	c.prp2 += 8;
	saw_status("io.a second page with an offset", nvme_execute(&n, 1, &c, NULL));
	c.prp2 = 0x7000000000ull;
	saw_status("io.to nowhere", nvme_execute(&n, 1, &c, NULL));
	c.opcode = NVME_WRITE;
	saw_status("io.from nowhere", nvme_execute(&n, 1, &c, NULL));

	/* what is refused */
	saw_status("io.behind the end", io(NVME_READ, end, block, 0));
	saw_status("io.over the end", io(NVME_READ, end - block, 2 * block, 0));
	saw_status("io.write over the end", io(NVME_WRITE, end - block, 2 * block, 0));
	c = nvme_rw(&n, NVME_READ, 0, block, data_iova, list, list_iova);
	c.cdw11 = 0xffffffff;
	c.cdw10 = 0xffffffff;
	saw_status("io.the last number of a block", nvme_execute(&n, 1, &c, NULL));
	c = nvme_rw(&n, NVME_READ, 0, 2 * n.max_transfer, data_iova, list, list_iova);
	saw_status("io.more than the largest", nvme_execute(&n, 1, &c, NULL));
	c = nvme_rw(&n, NVME_READ, 0, block, data_iova, list, list_iova);
	c.nsid = 0;
	saw_status("io.namespace 0", nvme_execute(&n, 1, &c, NULL));
	c.nsid = INVALID_NSID;
	saw_status("io.namespace invalid", nvme_execute(&n, 1, &c, NULL));
	c.nsid = 0xffffffff;
	saw_status("io.namespace all", nvme_execute(&n, 1, &c, NULL));
	c.nsid = 1;
	c.flags = 1;
	saw_status("io.fused", nvme_execute(&n, 1, &c, NULL));
	c.flags = 0;
	c.opcode = 0x7f;
	saw_status("io.reserved opcode", nvme_execute(&n, 1, &c, NULL));
	c.opcode = NVME_FLUSH;
	saw_status("io.flush", nvme_execute(&n, 1, &c, NULL));
	c.nsid = INVALID_NSID;
	saw_status("io.flush namespace invalid", nvme_execute(&n, 1, &c, NULL));

	/* the optional ones that both have */
	fill(data, 4096, 0, 77);
	saw_status("io.write to compare", io(NVME_WRITE, 0, 4096, 0));
	saw_status("io.compare", io(NVME_COMPARE, 0, 4096, 0));
	data[4095] ^= 1;
	saw_status("io.compare what differs", io(NVME_COMPARE, 0, 4096, 0));
	c = (struct nvme_command){ .opcode = NVME_WRITE_ZEROES,
				   .nsid = 1,
				   .cdw12 = (uint32_t)(2048 / block) - 1 };
	saw_status("io.write zeroes", nvme_execute(&n, 1, &c, NULL));
	saw_status("io.read zeroes", io(NVME_READ, 0, 4096, 0));
	for (int i = 0; i < 2048; i++)
		if (data[i])
			die("Write Zeroes left something");
	saw_bool("io.data behind zeroes", filled(data + 2048, 2048, 2048, 77));
	memset(data, 0, 4096);
	two[0] = (uint64_t)(4096 / block) << 32; /* 6.7: attributes, blocks */
	two[1] = 8192 / block;
	memcpy(data, two, 16);
	c = (struct nvme_command){
		.opcode = NVME_DATASET_MANAGEMENT, .nsid = 1, .prp1 = data_iova, .cdw11 = 4
	};
	saw_status("io.deallocate", nvme_execute(&n, 1, &c, NULL));
	two[1] = n.blocks;
	memcpy(data, two, 16);
	saw_status("io.deallocate behind the end", nvme_execute(&n, 1, &c, NULL));
}

/* Data by scatter-gather lists, where the controller has them: 4.4. */
static void check_sgl(void)
{
	struct nvme_command c;
	struct nvme_sgl *sgl = (struct nvme_sgl *)&c.prp1, *segment = (struct nvme_sgl *)list;

	saw_bool("sgl.offered", n.sgls & 3);
	if (!(n.sgls & 3))
		return;
	fill(data, 8192, 0, 5);
	saw_status("sgl.write", io(NVME_WRITE, 0, 8192, 0));
	memset(data, 0, 32768);
	c = nvme_rw(&n, NVME_READ, 0, 8192, data_iova, list, list_iova);
	c.flags = NVME_FLAGS_SGL;
	*sgl = (struct nvme_sgl){ .address = data_iova + 0x100, .length = 8192 };
	saw_status("sgl.read", nvme_execute(&n, 1, &c, NULL));
	saw_bool("sgl.data", filled(data + 0x100, 8192, 0, 5));
	*sgl = (struct nvme_sgl){ .address = list_iova, .length = 48, .type = 0x30 };
	segment[0] = (struct nvme_sgl){ .address = data_iova + 0x4000, .length = 512 };
	segment[1] = (struct nvme_sgl){ .address = data_iova + 0x3000, .length = 1024 };
	segment[2] = (struct nvme_sgl){ .address = data_iova + 0x5000, .length = 8192 - 1536 };
	saw_status("sgl.read segment", nvme_execute(&n, 1, &c, NULL));
	saw_bool("sgl.data segment", filled(data + 0x4000, 512, 0, 5) &&
					     filled(data + 0x3000, 1024, 512, 5) &&
					     filled(data + 0x5000, 8192 - 1536, 1536, 5));
	segment[2].length = 512;
	saw_status("sgl.too short", nvme_execute(&n, 1, &c, NULL));
}

/*
 * @total reads, up to @burst with one doorbell; the completions in order of nothing, each command
 * once.
 */
static void burst(const char *name, unsigned queue, unsigned total, unsigned most)
{
	struct nvme_queue *q = &n.queue[queue];
	unsigned done = 0, bad = 0, begun = 0;
	static uint8_t seen[4096];
	struct nvme_completion e;
	uint64_t limit = now_ns() + 20000000000ull;

	memset(seen, 0, sizeof(seen));
	while (done < total && now_ns() < limit) {
		unsigned now = 0;

		for (; begun < total && begun - done < most; begun++) {
			struct nvme_command c =
				nvme_rw(&n, NVME_READ, begun % 16 * 4096, 4096,
					data_iova + begun % 16 * 4096, list, list_iova);

			c.cid = (uint16_t)begun;
			nvme_submit(q, &c);
		}
		nvme_ring(q);
		while (nvme_reap(q, &e)) {
			now++;
			bad += e.status >> 1 || e.sq_id != queue || e.cid >= begun || seen[e.cid]++;
		}
		if (now)
			nvme_queue_reaped(q);
		else
			sched_yield();
		done += now;
	}
	saw_as(name, "%u of %u, %u bad", done, total, bad);
}

static void check_rings(void)
{
	struct nvme_queue *one = &n.queue[1];
	unsigned bad = 0;

	for (unsigned i = 0; i < 16; i++) {
		fill(data, 4096, i * 4096, 9);
		bad += !!io(NVME_WRITE, i * 4096, 4096, 0);
	}
	saw_as("rings.write", "%u bad", bad);
	burst("rings.one at a time", 1, 200, 1);
	burst("rings.all that fit", 1, 1000, 63);
	saw_bool("rings.data", filled(data, 16 * 4096, 0, 9));
	saw_status("rings.delete 1", nvme_delete_queue(&n, 1));
	saw_status("rings.create 1 with two entries", nvme_create_queue(&n, 1, 2, -1));
	burst("rings.two entries", 1, 100, 1);
	saw_status("rings.create 2", nvme_create_queue(&n, 2, 5, -1));
	burst("rings.five entries", 2, 101, 4);
	burst("rings.two entries again", 1, 10, 1);
	/* a second submission queue on the completion queue of another */
	saw_status("rings.delete 2", nvme_delete_queue(&n, 2));
	saw_status("rings.delete two entries", nvme_delete_queue(&n, 1));
	saw_status("rings.create 1", nvme_create_queue(&n, 1, 64, -1));
	nvme_queue_memory(&n, 3, 8);
	saw_status("rings.a second submission queue",
		   create_sq(3, 7, 1u << 16 | 1, n.queue[3].sq_iova));
	{
		struct nvme_command c = nvme_rw(&n, NVME_READ, 0, 4096, data_iova, list, list_iova);
		struct nvme_completion e = { .sq_id = 0 };
		uint64_t limit = now_ns() + 20000000000ull;

		c.cid = 0x4321;
		nvme_submit(&n.queue[3], &c);
		nvme_ring(&n.queue[3]);
		while (!nvme_reap(one, &e) && now_ns() < limit)
			sched_yield();
		nvme_queue_reaped(one);
		saw_as("rings.its completion", "queue %u, command 0x%x, status 0x%x, head %u",
		       e.sq_id, e.cid, e.status >> 1, e.sq_head);
	}
	saw_status("rings.delete it", delete (NVME_ADMIN_DELETE_SQ, 3));
}

/* 5.2, 3.1.24: what a wrong doorbell leads to. */
static void check_events(void)
{
	struct nvme_queue *q = &n.queue[0];
	struct nvme_completion e = { .result = 0 };
	struct nvme_command c = { .opcode = 0x0c, .cid = 0x100 };
	uint64_t limit;

	for (int i = 0; i < 2; i++) {
		nvme_submit(q, &c);
		nvme_ring(q);
		nap(20);
		saw_bool(i ? "events.waits again" : "events.waits", !nvme_reap(q, &e));
		if (i)
			mmio_write32(n.doorbells + 2 * 1 * n.stride, 0x7fff); /* no such entry */
		else
			mmio_write32(n.doorbells + 2 * 8 * n.stride, 1); /* no such queue */
		limit = now_ns() + 5000000000ull;
		while (!nvme_reap(q, &e) && now_ns() < limit)
			sched_yield();
		nvme_queue_reaped(q);
		saw_as(i ? "events.wrong value" : "events.wrong queue",
		       "command 0x%x, status 0x%x, result 0x%x", e.cid, e.status >> 1 & 0x7ff,
		       e.result);
		/* the log takes the event away */
		saw_status("events.log", admin((struct nvme_command){ .opcode = NVME_ADMIN_GET_LOG,
								      .nsid = 0xffffffff,
								      .cdw10 = 15 << 16 | 1,
								      .prp1 = data_iova }));
	}
	burst("events.the queue goes on", 1, 10, 3);
}

/* MSI-X through eventfds: whose completion it is, and only that one. */
static void check_msix(void)
{
	int fd[4];
	unsigned good = 0;

	saw_bool("msix.vectors", n.pci.irq[VFIO_PCI_MSIX_IRQ_INDEX].count >= 4);
	for (int i = 0; i < 4; i++)
		fd[i] = new_eventfd();
	saw_as("msix.set", "%d", pci_set_eventfds(&n.pci, VFIO_PCI_MSIX_IRQ_INDEX, 0, 4, fd));
	nvme_start(&n, false);
	saw_bool("msix.the admin queue", eventfd_wait(fd[0], 2000) > 0);
	saw_status("msix.create 1", nvme_create_queue(&n, 1, 64, 1));
	saw_status("msix.create 2", nvme_create_queue(&n, 2, 64, 2));
	saw_status("msix.create 3, polled", nvme_create_queue(&n, 3, 64, -1));
	while (eventfd_wait(fd[0], 50))
		;
	for (int i = 0; i < 50; i++) {
		struct nvme_command c = nvme_rw(&n, NVME_READ, 0, 4096, data_iova, list, list_iova);
		struct nvme_queue *q = &n.queue[1 + i % 2];
		struct nvme_completion e;

		nvme_submit(q, &c);
		nvme_ring(q);
		/* the completion is there when the interrupt is: 7.5, PCIe ordering */
		good += eventfd_wait(fd[1 + i % 2], 5000) == 1 && nvme_reap(q, &e) &&
			!(e.status >> 1);
		nvme_queue_reaped(q);
	}
	saw_as("msix.an interrupt for each command", "%u of 50", good);
	{
		struct nvme_command c = nvme_rw(&n, NVME_READ, 0, 4096, data_iova, list, list_iova);

		saw_status("msix.polled", nvme_execute(&n, 3, &c, NULL));
	}
	nap(20);
	for (int i = 0; i < 4; i++) {
		char name[32];

		snprintf(name, sizeof(name), "msix.vector %d is quiet", i);
		saw_bool(name, !eventfd_wait(fd[i], 0));
	}
	burst("msix.a burst", 1, 300, 40);
	saw_bool("msix.interrupts of the burst", eventfd_wait(fd[1], 2000) > 0);
	saw_bool("msix.no other", !eventfd_wait(fd[2], 0));
	saw_as("msix.off", "%d",
	       pci_irq_action(&n.pci, VFIO_PCI_MSIX_IRQ_INDEX, 0, 0, VFIO_IRQ_SET_ACTION_TRIGGER));
	/* one of the first burst's may have come between the look above and the end of them all */
	eventfd_wait(fd[1], 0);
	burst("msix.a burst without interrupts", 1, 100, 20);
	saw_bool("msix.nothing after off", !eventfd_wait(fd[1], 20));
}

/* The pin: level triggered, masked by the driver of the kernel when it fires, and by INTMS. */
static void check_intx(void)
{
	struct nvme_command c = nvme_rw(&n, NVME_READ, 0, 4096, data_iova, list, list_iova);
	struct nvme_completion e;
	int fd = new_eventfd(), ret;

	saw_as("intx.count", "%u", n.pci.irq[VFIO_PCI_INTX_IRQ_INDEX].count);
	nvme_start(&n, false);
	saw_status("intx.create", nvme_create_queue(&n, 1, 64, 0));
	ret = pci_set_eventfds(&n.pci, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &fd);
	saw_as("intx.set", "%d", ret);
	nap(20);
	eventfd_wait(fd, 0);
	pci_irq_action(&n.pci, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, VFIO_IRQ_SET_ACTION_UNMASK);
	saw_bool("intx.quiet", !eventfd_wait(fd, 20));
	nvme_submit(&n.queue[1], &c);
	nvme_ring(&n.queue[1]);
	saw_as("intx.a completion", "%llu", (unsigned long long)eventfd_wait(fd, 5000));
	pci_irq_action(&n.pci, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, VFIO_IRQ_SET_ACTION_UNMASK);
	saw_as("intx.unmasked before it is taken", "%llu",
	       (unsigned long long)eventfd_wait(fd, 5000));
	saw_bool("intx.the completion", nvme_reap(&n.queue[1], &e) && !(e.status >> 1));
	nvme_queue_reaped(&n.queue[1]);
	mmio_read32(n.registers +
		    NVME_CSTS); /* the doorbell has reached the device when this returns */
	nap(20);
	pci_irq_action(&n.pci, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, VFIO_IRQ_SET_ACTION_UNMASK);
	saw_bool("intx.quiet when it is taken", !eventfd_wait(fd, 50));
	mmio_write32(n.registers + NVME_INTMS, 1);
	nvme_submit(&n.queue[1], &c);
	nvme_ring(&n.queue[1]);
	saw_bool("intx.masked by intms", !eventfd_wait(fd, 50));
	mmio_write32(n.registers + NVME_INTMC, 1);
	saw_as("intx.unmasked by intmc", "%llu", (unsigned long long)eventfd_wait(fd, 5000));
	saw_bool("intx.its completion", nvme_reap(&n.queue[1], &e) && !(e.status >> 1));
	nvme_queue_reaped(&n.queue[1]);
	saw_as("intx.off", "%d",
	       pci_irq_action(&n.pci, VFIO_PCI_INTX_IRQ_INDEX, 0, 0, VFIO_IRQ_SET_ACTION_TRIGGER));
}

/* 5.7, 7.13 */
static void check_doorbell_buffers(void)
{
	int status;

	nvme_start(&n, true);
	saw_bool("buffers.configured", n.shadow_used);
	saw_status("buffers.create 1", nvme_create_queue(&n, 1, 64, -1));
	saw_status("buffers.create 2", nvme_create_queue(&n, 2, 3, -1));
	burst("buffers.one at a time", 1, 300, 1);
	burst("buffers.all that fit", 1, 1000, 63);
	burst("buffers.a small queue", 2, 300, 2);
	saw_bool("buffers.data", filled(data, 16 * 4096, 0, 9));
	saw_status("buffers.delete 1", nvme_delete_queue(&n, 1));
	saw_status("buffers.create 1 again", nvme_create_queue(&n, 1, 16, -1));
	burst("buffers.in the new one", 1, 100, 15);
	status = admin((struct nvme_command){ .opcode = NVME_ADMIN_DOORBELL_BUFFER,
					      .prp1 = data_iova + 8,
					      .prp2 = data_iova + 4096 });
	saw_status("buffers.at an offset", status);
	/* a reset forgets them */
	nvme_start(&n, false);
	saw_status("buffers.create 1 after a reset", nvme_create_queue(&n, 1, 64, -1));
	burst("buffers.doorbells again", 1, 100, 20);
}

static void check_resets(void)
{
	struct nvme_queue *q = &n.queue[1];
	uint16_t command;
	bool late = false;

	/* under load: 7.3.1; what is under way may complete before, but nothing comes after */
	for (unsigned i = 0; i < 60; i++) {
		struct nvme_command c =
			nvme_rw(&n, NVME_READ, 0, 65536, data_iova, list, list_iova);

		c.cid = (uint16_t)i;
		nvme_submit(q, &c);
	}
	nvme_ring(q);
	saw_as("reset.disable under load", "%d", nvme_disable(&n));
	memset((void *)q->cq, 0, q->size * sizeof(*q->cq));
	memset(data, 0xdd, 65536);
	nap(50);
	for (unsigned i = 0; i < q->size; i++)
		late |= q->cq[i].status != 0;
	for (unsigned i = 0; i < 65536; i++)
		late |= (uint8_t)data[i] != 0xdd;
	saw_bool("reset.nothing comes late", !late);
	nvme_start(&n, false);
	saw_status("reset.create", nvme_create_queue(&n, 1, 64, -1));
	burst("reset.goes on", 1, 100, 30);
	saw_as("reset.shutdown", "0x%x", (unsigned)nvme_shutdown(&n));
	saw_as("reset.csts shut down", "0x%x", mmio_read32(n.registers + NVME_CSTS));
	saw_as("reset.disable", "%d", nvme_disable(&n));
	saw_as("reset.csts disabled", "0x%x", mmio_read32(n.registers + NVME_CSTS));
	nvme_start(&n, false);
	saw_status("reset.create after shutdown", nvme_create_queue(&n, 1, 64, -1));
	burst("reset.goes on after shutdown", 1, 100, 30);
	/* the function: registers as after power-on, config space as the user left it */
	saw_as("reset.function", "%d", pci_reset(&n.pci));
	saw_as("reset.cc", "0x%x", mmio_read32(n.registers + NVME_CC));
	saw_as("reset.csts", "0x%x", mmio_read32(n.registers + NVME_CSTS));
	saw_as("reset.command", "0x%x", pci_config_read(&n.pci, 4, 2) & 6);
	pci_config_write(&n.pci, 4, 2, pci_config_read(&n.pci, 4, 2) | 6);
	nvme_start(&n, false);
	saw_status("reset.create after the function's", nvme_create_queue(&n, 1, 64, -1));
	burst("reset.goes on after the function's", 1, 100, 30);
	saw_bool("reset.data", filled(data, 16 * 4096, 0, 9));
	/* memory decode and bus mastering off */
	command = (uint16_t)pci_config_read(&n.pci, 4, 2);
	pci_config_write(&n.pci, 4, 2, command & ~4u);
	memset(data, 0xdd, 4096);
	{
		struct nvme_command c = nvme_rw(&n, NVME_READ, 0, 4096, data_iova, list, list_iova);

		nvme_submit(q, &c);
		nvme_ring(q);
		nap(50);
		saw_bool("reset.no bus mastering, no data",
			 (uint8_t)data[0] == 0xdd && (uint8_t)data[4095] == 0xdd);
	}
	pci_config_write(&n.pci, 4, 2, command);
	nvme_start(&n, false);
	saw_status("reset.create at the end", nvme_create_queue(&n, 1, 64, -1));
	burst("reset.goes on at the end", 1, 100, 30);
}

int nvme_check(const char *address)
{
	nvme_open(&n, address, 1, false);
	data = pci_dma_alloc(&n.pci, BUFFER + 4096, &data_iova);
	list = pci_dma_alloc(&n.pci, 2 * NVME_PAGE, &list_iova);
	check_registers();
	check_identify();
	check_features();
	check_queues();
	check_io();
	check_sgl();
	check_rings();
	check_events();
	check_msix();
	check_intx();
	check_doorbell_buffers();
	check_resets();
	saw_as("end.shutdown", "0x%x", (unsigned)nvme_shutdown(&n));
	saw_as("end.disable", "%d", nvme_disable(&n));
	nvme_close(&n);
	return 0;
}
