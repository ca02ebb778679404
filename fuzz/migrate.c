/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/migrate.c: the stream of a migration, as a hostile program writes it to a device. An input
 * is bytes as they are; or a device's own stream with some bytes changed and its checksums made
 * right again, so that what is behind them (the state of pci/, of the driver, of the model) gets
 * to see what a checksum does not stop. What was loaded then runs for a moment: with its registers
 * read, its timers and its DMA, in an address space that has some memory. The device must be there
 * afterwards, RUNNING, and answer.
 */
#include <linux/pci_regs.h>
#include <sys/mman.h>

#include "base/crc32.h"
#include "base/guard.h"
#include "base/log.h"
#include "fuzz.h"
#include "machine/machine.h"
#include "vfio/ioas.h"
#include "vfio/migrate.h"
#include "vfio/open.h"

#define STREAM_MAX (1u << 20)
#define MEM_SIZE   (16u << 12)
#define HEAD	   24u /* of a record: kind, number, length (8), checksums of bytes and of this */
#define MAGIC	   16u

static const char *const specs[] = { "testdev,migration=on,ram=8K",
				     "testdev,migration=on,ram=4K,no_soft_reset=on,disintx=off",
				     "edu,migration=on,dma_delay=1,factorial_delay=1",
				     "igb,migration=on" };
#define DEVICES (sizeof(specs) / sizeof(specs[0]))

static struct machine *machine;
static struct {
	struct vfio_open o;
	struct vfio_migrate *m;
	uint8_t *stream; /* a good one */
	size_t len;
} dev[DEVICES];
static uint8_t work[STREAM_MAX];

static void record(unsigned i)
{
	struct vfio_stream *s;
	ssize_t n;

	REQUIRE(!vfio_migrate_set(dev[i].m, VFIO_DEVICE_STATE_STOP_COPY, &s), "%s", specs[i]);
	n = vfio_stream_read(s, (uintptr_t)work, STREAM_MAX);
	REQUIRE(n > 0 && n < (ssize_t)STREAM_MAX, "%s: %zd", specs[i], n);
	vfio_stream_put(s);
	dev[i].stream = malloc((size_t)n);
	memcpy(dev[i].stream, work, (size_t)n);
	dev[i].len = (size_t)n;
	REQUIRE(!vfio_migrate_set(dev[i].m, VFIO_DEVICE_STATE_RUNNING, &s), "%s", specs[i]);
}

static void once(void)
{
	struct vfio_ioas *io;
	void *mem;
	char *err;

	log_set(2, LOG_NONE);
	guard_install();
	machine = machine_new();
	mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	io = vfio_ioas_new(machine_system(machine), false);
	if (mem == MAP_FAILED || !io ||
	    vfio_ioas_map(io, 0, (uintptr_t)mem, MEM_SIZE, IOMMU_READ | IOMMU_WRITE))
		abort();
	for (unsigned i = 0; i < DEVICES; i++) {
		REQUIRE(!machine_add(machine, specs[i], &err), "%s: %s", specs[i], err);
		vfio_open_init(&dev[i].o, machine_device(machine, i)->vdev);
		REQUIRE(!vfio_open_bind(&dev[i].o) && !vfio_device_attach(&dev[i].o, io), "%s",
			specs[i]);
		dev[i].m = vfio_device_migrate(&dev[i].o);
		record(i);
	}
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Make all checksums right from the start on, as far as there are records. */
static void sign(uint8_t *stream, size_t len)
{
	uint32_t crc;
	uint64_t n;

	for (size_t at = MAGIC; len - at >= HEAD; at += HEAD + n) {
		memcpy(&n, stream + at + 8, sizeof(n));
		if (n > len - at - HEAD)
			return;
		crc = crc32_add(0, stream + at + HEAD, n);
		memcpy(stream + at + 16, &crc, sizeof(crc));
		crc = crc32_add(0, stream + at, HEAD - 4);
		memcpy(stream + at + 20, &crc, sizeof(crc));
	}
}

/* The device's own stream, changed. Returns its length. */
static size_t changed(struct in *in, unsigned d)
{
	size_t len = dev[d].len, at = 0;
	uint16_t where;

	memcpy(work, dev[d].stream, len);
	/* begin at the state, which is last but one, or at the start */
	if (in8(in) & 1) {
		uint64_t n;

		for (at = MAGIC; get32(work + at) != VFIO_PART_STATE; at += HEAD + n)
			memcpy(&n, work + at + 8, sizeof(n));
		at += HEAD;
	}
	while (!in_end(in)) {
		where = in16(in);
		if (at + where < len)
			work[at + where] = in8(in);
	}
	sign(work, len);
	return len;
}

/* Let the device do what it has been told to. */
static void lives(unsigned d)
{
	uint64_t v;

	for (unsigned bar = 0; bar < 6; bar++)
		for (uint64_t off = 0; off < 256; off += 4)
			vfio_device_rw(&dev[d].o, bar, off, &v, 4, false);
	for (unsigned off = 0; off < 256; off += 4)
		vfio_device_rw(&dev[d].o, VFIO_PCI_CONFIG_REGION_INDEX, off, &v, 4, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool done;
	struct in in = { data, size };
	struct vfio_stream *s, *none;
	unsigned d, how;
	size_t len, n;
	uint32_t id = 0;

	if (!done)
		once();
	done = true;
	d = in8(&in) % DEVICES;
	how = in8(&in);
	REQUIRE(!vfio_migrate_set(dev[d].m, VFIO_DEVICE_STATE_RESUMING, &s), "RESUMING");
	if (how & 1) {
		len = changed(&in, d);
	} else {
		len = in.left;
		in_bytes(&in, work, len);
		if (how & 2 && len > MAGIC) {
			memcpy(work, dev[d].stream, MAGIC);
			sign(work, len);
		}
	}
	for (size_t at = 0; at < len; at += n) {
		n = how & 4 ? 1 + (at * 7 + how) % 3000 : len;
		n = n < len - at ? n : len - at;
		if (vfio_stream_write(s, (uintptr_t)work + at, n) < 0)
			break;
	}
	vfio_stream_put(s);
	if (!vfio_migrate_set(dev[d].m,
			      how & 8 ? VFIO_DEVICE_STATE_STOP_COPY : VFIO_DEVICE_STATE_RUNNING,
			      &none)) {
		lives(d);
		if (none)
			vfio_stream_put(none);
	}
	REQUIRE(!vfio_device_reset(&dev[d].o), "reset");
	REQUIRE(vfio_migrate_state(dev[d].m) == VFIO_DEVICE_STATE_RUNNING, "not RUNNING");
	vfio_device_rw(&dev[d].o, VFIO_PCI_CONFIG_REGION_INDEX, 0, &id, 4, false);
	REQUIRE(id && id != UINT32_MAX, "no answer");
	return 0;
}
