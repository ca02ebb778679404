/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/state.c: states of devices that nobody saved. Of each model that migrates a state is saved
 * while it has a lot to say, changed in some places, and loaded: that is refused, or the device
 * goes on with it; then its registers are written to, and it is saved once more. Whatever happened,
 * a reset gives a device that works.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/guard.h"
#include "fuzz.h"
#include "iommu/device.h"
#include "iommu/domain.h"
#include "machine/machine.h"
#include "pci/state.h"
#include "vfio_pci/internal.h"

#define MEM_SIZE (1u << 20) /* at I/O address 0 */
#define EDITS	 16u
#define WRITES	 32u

static void nvme_busy(pci_function *fn);
static void igb_busy(pci_function *fn);

static struct device {
	const char *spec;
	void (*busy)(pci_function *fn); /* set it up */
	pci_function *fn;
	struct uvfio_state saved;
} devices[] = {
	{ .spec = "nvme,image=/proc/self/fd/%d,max_queues=3,vectors=4,serial=x",
	  .busy = nvme_busy },
	{ .spec = "igb", .busy = igb_busy },
	{ .spec = "testdev" },
	{ .spec = "edu" },
};
#define NUM (sizeof(devices) / sizeof(devices[0]))

static uint8_t *mem;
static struct machine *machine;

static void wr(pci_function *fn, uint64_t off, unsigned size, uint64_t v)
{
	REQUIRE(!pci_bar_write(fn, 0, off, size, v), "BAR0 at 0x%llx", (unsigned long long)off);
}

/* Put an admin command into its queue, and ring. */
static void nvme_command(pci_function *fn, uint8_t opcode, uint64_t prp1, uint64_t prp2,
			 uint32_t cdw10, uint32_t cdw11)
{
	static unsigned tail;
	uint32_t c[16] = { opcode | tail << 16 };

	memcpy(&c[6], &prp1, 8);
	memcpy(&c[8], &prp2, 8);
	c[10] = cdw10;
	c[11] = cdw11;
	memcpy(mem + 0x1000 + 64 * tail++, c, sizeof(c));
	wr(fn, 0x1000, 4, tail);
}

/* An enabled controller with doorbell buffers, two queue pairs, and a request for an event. */
static void nvme_busy(pci_function *fn)
{
	wr(fn, 0x24, 4, 31 << 16 | 31);
	wr(fn, 0x28, 8, 0x1000);
	wr(fn, 0x30, 8, 0x2000);
	wr(fn, 0x14, 4, 4 << 20 | 6 << 16 | 1);
	nvme_command(fn, 0x7c, 0x3000, 0x4000, 0, 0);
	for (unsigned i = 1; i < 3; i++) {
		nvme_command(fn, 0x05, 0x5000 * i, 0, 15 << 16 | i, i << 16 | 3);
		nvme_command(fn, 0x01, 0x5000 * i + 0x1000, 0, 15 << 16 | i, i << 16 | 1);
	}
	nvme_command(fn, 0x0c, 0, 0, 0, 0);
	nvme_command(fn, 0xc0, 0, 0, 0, 0); /* an error for the log */
}

/* A port in loopback with a ring each way, and a packet that has no end yet. */
static void igb_busy(pci_function *fn)
{
	const uint32_t d[] = { 0x8000, 0, 1u << 29 | 3u << 20 | 100, 100 << 14 };

	memcpy(mem + 0x6000, d, sizeof(d));
	wr(fn, 0x20, 4, 0x4140 | 1 << 21 | 1 << 26);
	wr(fn, 0x0, 4, 0x1a41);
	wr(fn, 0xc000, 4, 0x7000);
	wr(fn, 0xc008, 4, 1024);
	wr(fn, 0xc028, 4, 1 << 25);
	wr(fn, 0xe000, 4, 0x6000);
	wr(fn, 0xe008, 4, 1024);
	wr(fn, 0xe028, 4, 1 << 25);
	wr(fn, 0x100, 4, 1 << 1 | 1 << 3 | 1 << 4);
	wr(fn, 0x400, 4, 1 << 1);
	wr(fn, 0xc018, 4, 32);
	wr(fn, 0xe018, 4, 1);
	wr(fn, 0x1514, 4, 1 << 4);
	wr(fn, 0x1524, 4, 7);
}

static void enable(pci_function *fn)
{
	pci_config_write(fn, PCI_COMMAND, 2,
			 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void stop(pci_function *fn)
{
	REQUIRE(!pci_function_stop(fn, UVFIO_STOP_DMA) && !pci_function_stop(fn, UVFIO_STOP_ALL),
		"%s does not stop", pci_function_name(fn));
}

static void resume(pci_function *fn)
{
	pci_function_resume(fn, UVFIO_STOP_ALL);
	pci_function_resume(fn, UVFIO_STOP_DMA);
}

static int save(pci_function *fn, struct uvfio_state *s)
{
	int ret, end;

	pci_state_save(s, "saved");
	pci_function_describe(fn, s);
	ret = pci_function_save(fn, s);
	end = pci_state_end(s);
	return ret ? ret : end;
}

static int load(pci_function *fn, const void *buf, size_t len)
{
	struct uvfio_state s;
	int ret, end;

	pci_state_load(&s, "loaded", buf, len);
	pci_function_describe(fn, &s);
	ret = s.err ? s.err : pci_function_load(fn, &s);
	end = pci_state_end(&s);
	return ret ? ret : end;
}

static void once(void)
{
	int fd = memfd_create("image", 0);
	struct iommu_domain *dom = iommu_domain_new();
	char text[128], *err;

	log_set(2, LOG_NONE);
	guard_install();
	machine = machine_new();
	mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || ftruncate(fd, 1 << 20) || !machine || !dom || mem == MAP_FAILED ||
	    iommu_domain_map(dom, 0, mem, MEM_SIZE, IOMMU_READ | IOMMU_WRITE))
		abort();
	for (unsigned i = 0; i < NUM; i++) {
		struct device *d = &devices[i];

		snprintf(text, sizeof(text), d->spec, fd);
		REQUIRE(!machine_add(machine, text, &err), "%s: %s", text, err);
		d->fn = to_vfio_pci(machine_device(machine, i)->vdev)->fn;
		iommu_device_attach(pci_function_iommu(d->fn), dom);
		enable(d->fn);
		if (d->busy)
			d->busy(d->fn);
		stop(d->fn);
		REQUIRE(!save(d->fn, &d->saved), "%s is not saved", d->spec);
		REQUIRE(!load(d->fn, d->saved.buf, d->saved.len), "%s is not loaded", d->spec);
		pci_function_reset(d->fn, UVFIO_RESET_FLR);
		resume(d->fn);
	}
}

/* Change bytes here and there, and return the length. */
static size_t edit(struct in *in, uint8_t *buf, size_t len)
{
	for (unsigned n = in8(in) % EDITS; n && !in_end(in); n--) {
		unsigned how = in8(in);
		size_t at = in32(in) % len, left = len - at;
		uint64_t v = in64(in);

		switch (how & 3) {
		case 0:
			buf[at] ^= (uint8_t)v;
			break;
		case 1:
			memcpy(buf + at, &v, left < 8 ? left : 8);
			break;
		case 2:
			memset(buf + at, how & 4 ? 0xff : 0, left < v % 64 ? left : v % 64);
			break;
		default: /* cut off, or out of the middle */
			if (how & 4)
				return at;
			left -= left < v % 16 ? left : v % 16;
			memmove(buf + at, buf + len - left, left);
			len = at + left;
			if (!len)
				return 0;
			break;
		}
	}
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = { data, size };
	struct uvfio_state again;
	static bool done;
	struct device *d;
	uint8_t *buf;
	uint64_t v;
	size_t len;

	if (!done)
		once();
	done = true;
	d = &devices[in8(&in) % NUM];
	buf = malloc(d->saved.len);
	memcpy(buf, d->saved.buf, d->saved.len);
	len = edit(&in, buf, d->saved.len);
	stop(d->fn);
	if (!load(d->fn, buf, len)) {
		resume(d->fn);
		for (unsigned i = 0; i < WRITES && !in_end(&in); i++) {
			unsigned off = in16(&in) * 4u;

			/* what is not decoded, or beyond the BAR, answers with an error */
			v = in32(&in);
			if (off % 8)
				pci_bar_write(d->fn, 0, off, 4, v);
			else
				pci_bar_read(d->fn, 0, off, 4, &v);
		}
		stop(d->fn);
		REQUIRE(!save(d->fn, &again), "%s cannot be saved again", d->spec);
		pci_state_free(&again);
	}
	free(buf);
	pci_function_reset(d->fn, UVFIO_RESET_FLR);
	resume(d->fn);
	enable(d->fn);
	REQUIRE(!pci_bar_read(d->fn, 0, 0, 4, &v), "BAR0 of %s after a reset", d->spec);
	return 0;
}
