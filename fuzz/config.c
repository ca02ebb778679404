/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/config.c: config space through the vfio-pci driver. Any writes, to testdev in several
 * make-ups and to nvme; after each of them what a user may rely on is looked at: what never changes
 * has not changed, chains are the same and end, BARs read as BARs of their size, the hardware's own
 * BARs are where firmware put them.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/guard.h"
#include "fuzz.h"
#include "machine/machine.h"
#include "vfio_pci/internal.h"

#define MAX_OPS 64u

static const char *const specs[] = {
	"testdev",
	"testdev,af=on,flr=off,msi64=off,msi_mask=off,msi_vectors=4",
	"testdev,pcie=off,af=on,vpd=off,no_soft_reset=on",
	"testdev,msix=off,msi_mask=off,intx=off",
	"testdev,pm=off,flr=off,disintx=off,vendor=off,msi=off",
	"nvme,image=/proc/self/fd/%d",
};
#define NUM (sizeof(specs) / sizeof(specs[0]))

static struct machine *machine;

static void once(void)
{
	int fd = memfd_create("image", 0);
	char text[128], *err;

	log_set(2, LOG_NONE);
	guard_install();
	machine = machine_new();
	if (fd < 0 || ftruncate(fd, 1 << 20) || !machine)
		abort();
	for (unsigned i = 0; i < NUM; i++) {
		snprintf(text, sizeof(text), specs[i], fd);
		REQUIRE(!machine_add(machine, text, &err), "%s: %s", text, err);
	}
}

static struct vfio_device *dev;
static struct vfio_pci_device *vd;
static unsigned config_size;

static uint32_t rd(unsigned pos, unsigned size)
{
	uint32_t v = 0;
	ssize_t n = dev->ops->rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, pos, &v, size, false);

	REQUIRE(n == (ssize_t)size, "read of %u at 0x%x: %zd", size, pos, n);
	return v;
}

struct seen {
	uint8_t fixed[64];
	struct {
		unsigned pos, header;
	} std[48], ext[960];
	unsigned num_std, num_ext;
	uint32_t hw_bar[7];
};

/* of the header, what no user can change (PCI 3.0, 6.1; BARs are looked at by themselves) */
static const struct {
	uint8_t at, len;
} fixed[] = {
	{ PCI_VENDOR_ID, 4 },	  { PCI_CLASS_REVISION, 4 },	  { PCI_HEADER_TYPE, 1 },
	{ PCI_CARDBUS_CIS, 4 },	  { PCI_SUBSYSTEM_VENDOR_ID, 4 }, { PCI_CAPABILITY_LIST, 8 },
	{ PCI_INTERRUPT_PIN, 3 },
};

static void look(struct seen *s)
{
	unsigned pos;

	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++) {
		for (unsigned k = 0; k < fixed[i].len; k++)
			s->fixed[fixed[i].at + k] = (uint8_t)rd(fixed[i].at + k, 1);
	}
	if (rd(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST) {
		for (pos = rd(PCI_CAPABILITY_LIST, 1); pos; pos = rd(pos + 1, 1)) {
			REQUIRE(pos >= 0x40 && pos < 0x100 && !(pos & 3), "capability at 0x%x",
				pos);
			REQUIRE(s->num_std < 48, "the chain of capabilities does not end");
			s->std[s->num_std].pos = pos;
			s->std[s->num_std++].header = rd(pos, 2);
		}
	}
	if (config_size > 256 && rd(256, 4)) {
		for (pos = 256; pos; pos = rd(pos, 4) >> 20) {
			REQUIRE(pos >= 256 && pos < 4096 && !(pos & 3),
				"extended capability at 0x%x", pos);
			REQUIRE(s->num_ext < 960,
				"the chain of extended capabilities does not end");
			s->ext[s->num_ext].pos = pos;
			s->ext[s->num_ext++].header = rd(pos, 4);
		}
	}
	/* the hardware's: the low bits tell what it is, the high ones where it is */
	for (unsigned i = 0; i < 7; i++)
		s->hw_bar[i] = pci_config_read(
			vd->fn, i < 6 ? PCI_BASE_ADDRESS_0 + 4 * i : PCI_ROM_ADDRESS, 4);
}

static void check_bars(void)
{
	bool upper = false;

	for (unsigned i = 0; i < 6; i++) {
		const struct pci_bar *b = pci_function_bar(vd->fn, i);
		uint32_t v = rd(PCI_BASE_ADDRESS_0 + 4 * i, 4), flags, mask;
		uint64_t size = b->size;

		if (upper) {
			upper = false;
			continue;
		}
		if (!size) {
			REQUIRE(!v, "BAR %u is not there and reads 0x%x", i, v);
			continue;
		}
		if (b->flags & UVFIO_BAR_IO) {
			flags = PCI_BASE_ADDRESS_SPACE_IO;
			mask = ~3u;
		} else {
			if (size < 4096)
				size = size < 16 ? 16 : size;
			flags = (b->flags & UVFIO_BAR_64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
				(b->flags & UVFIO_BAR_PREFETCH ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
			mask = ~15u;
			upper = b->flags & UVFIO_BAR_64;
		}
		REQUIRE((v & ~mask) == flags, "BAR %u reads 0x%x: another kind", i, v);
		if (size <= UINT32_MAX)
			REQUIRE(!(v & mask & ((uint32_t)size - 1)),
				"BAR %u of 0x%lx bytes reads 0x%x", i, (unsigned long)size, v);
	}
}

static void check(const struct seen *was, const char *after)
{
	static struct seen now;

	look(&now);
	REQUIRE(!memcmp(was->fixed, now.fixed, sizeof(now.fixed)),
		"%s: a read-only part of the header changed", after);
	REQUIRE(was->num_std == now.num_std && !memcmp(was->std, now.std, sizeof(now.std)),
		"%s: the chain of capabilities changed", after);
	REQUIRE(was->num_ext == now.num_ext && !memcmp(was->ext, now.ext, sizeof(now.ext)),
		"%s: the chain of extended capabilities changed", after);
	REQUIRE(!memcmp(was->hw_bar, now.hw_bar, sizeof(now.hw_bar)),
		"%s: the hardware's BARs changed", after);
	check_bars();
	/* without SET_IRQS neither is on; the user's own writes do not make them so */
	for (unsigned i = 0; i < now.num_std; i++) {
		unsigned pos = now.std[i].pos;

		if ((now.std[i].header & 0xff) == PCI_CAP_ID_MSIX)
			REQUIRE(!(rd(pos + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE),
				"%s: MSI-X enabled", after);
		if ((now.std[i].header & 0xff) == PCI_CAP_ID_MSI)
			REQUIRE(!(rd(pos + PCI_MSI_FLAGS, 2) &
				  (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE)),
				"%s: MSI enabled", after);
		if ((now.std[i].header & 0xff) == PCI_CAP_ID_EXP)
			REQUIRE(!(rd(pos + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_BCR_FLR),
				"%s: FLR reads 1", after);
	}
}

/* Bits that the driver's own tables call virtual and not writable. */
static void check_tables(const struct vfio_pci_config *was, const char *after)
{
	const struct vfio_pci_config *now = &vd->config;

	for (unsigned i = 0; i < now->size; i++) {
		uint8_t keep = now->virt[i] & (uint8_t)~now->write[i];
		const struct vfio_pci_cap *cap =
			now->cap_of[i] ? &now->caps[now->cap_of[i] - 1] : NULL;

		/*
		 * VPD data comes from the device; the others have bits that the driver itself sets
		 */
		if (cap &&
		    (cap->pos == vd->cap.vpd || cap->pos == vd->cap.msi ||
		     cap->pos == vd->cap.pm) &&
		    cap->pos && i >= cap->pos + 2)
			continue;
		REQUIRE(!((was->vconfig[i] ^ now->vconfig[i]) & keep),
			"%s: byte 0x%x: 0x%02x was 0x%02x", after, i, now->vconfig[i],
			was->vconfig[i]);
	}
}

/* no short counts: all of it or -EFAULT */
static ssize_t expected(unsigned pos, unsigned count)
{
	return !count || pos + count <= config_size ? (ssize_t)count : -EFAULT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vfio_pci_config config_was;
	static struct seen was;
	static bool done;
	struct in in = { data, size };
	uint8_t buf[4096 + 64];
	struct vfio_region r;
	char after[64];

	if (!done)
		once();
	done = true;
	dev = machine_device(machine, in8(&in) % NUM)->vdev;
	vd = to_vfio_pci(dev);
	REQUIRE(!vfio_device_open(dev), "open");
	REQUIRE(!dev->ops->region(dev, VFIO_PCI_CONFIG_REGION_INDEX, &r), "no config region");
	config_size = (unsigned)r.size;
	REQUIRE(!(rd(PCI_COMMAND, 2) & PCI_COMMAND_MASTER), "bus master at open");
	look(&was);
	config_was = vd->config;
	check(&was, "open");
	for (unsigned op = 0; op < MAX_OPS && !in_end(&in); op++) {
		unsigned kind = in8(&in), pos = in16(&in) % (config_size + 16),
			 count = 1 + (kind >> 4) % 8;
		ssize_t n;

		switch (kind & 7) {
		case 0: /* anything anywhere */
			if ((kind & 0x88) == 0x88)
				count = in16(&in) % sizeof(buf);
			break;
		case 1: /* a register */
			count = 1u << (kind >> 4) % 3;
			pos &= ~(count - 1);
			break;
		case 2: /* within a capability */
			if (was.num_std)
				pos = was.std[pos % was.num_std].pos + pos / was.num_std % 24;
			break;
		case 3:
			if (was.num_ext)
				pos = was.ext[pos % was.num_ext].pos + pos / was.num_ext % 48;
			break;
		case 4:
			pos = PCI_COMMAND;
			count = 2;
			break;
		case 5: /* BARs */
			pos = PCI_BASE_ADDRESS_0 + pos % 40;
			break;
		case 6:
			n = dev->ops->rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, pos, buf, count, false);
			REQUIRE(n == expected(pos, count), "read of %u at 0x%x: %zd", count, pos,
				n);
			continue;
		case 7:
			if (kind & 0x80)
				dev->ops->reset(dev);
			break;
		}
		in_bytes(&in, buf, count < 64 ? count : 64);
		if ((kind & 0x0f) == 0x0c)
			memset(buf, 0xff, count);
		n = dev->ops->rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, pos, buf, count, true);
		REQUIRE(n == expected(pos, count), "write of %u at 0x%x: %zd", count, pos, n);
		snprintf(after, sizeof(after), "write %u of %u at 0x%x", op, count, pos);
		check(&was, after);
		check_tables(&config_was, after);
	}
	/*
	 * whatever was written, a reset gives a device that works: memory decode can be turned on,
	 * and a BAR answers
	 */
	if (!dev->ops->reset(dev)) {
		uint16_t cmd = PCI_COMMAND_MEMORY | PCI_COMMAND_IO;

		REQUIRE(dev->ops->rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &cmd, 2,
				     true) == 2,
			"COMMAND");
		REQUIRE(dev->ops->rw(dev, 0, 0, buf, 4, false) == 4, "BAR0 after a reset");
	}
	vfio_device_close(dev);
	return 0;
}
