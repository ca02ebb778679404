/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/view.c: /sys and /dev as a program with VFIO devices finds them, as a real tree of files,
 * directories and relative links.
 *
 * It shows what Linux shows (Documentation/ABI/testing/sysfs-bus-pci, sysfs-kernel-iommu_groups;
 * checked against a Linux 6.18), with two rules of its own. A file that acts when it is written
 * (remove, reset, new_id) is there, as clients look for it, but with no right to write: a plain
 * file would take the text and do nothing. Those for which somebody acts are in store.c. And what
 * uvfio cannot serve is absent as on a kernel that lacks it: resourceN and rom (a mapping of a
 * plain file is no device), vfio-dev/ and /dev/iommu (no cdev interface). The files are a picture
 * of the moment; what changes is config space, which a client reads by VFIO.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/util.h"
#include "iommu/domain.h"
#include "machine/internal.h"
#include "machine/tree.h"

#define RO 0444u
#define RW 0644u
/* write-only in Linux, and nobody acts on it */
#define WO 0000u
/*
 * the same, and the shim acts; its descriptor is one that can read and write, as far as the mode
 * goes
 */
#define ACTS		0600u
#define IOMMU_NAME	"uvfio-iommu"
#define TEXT(number)	TEXT_OF(number)
#define TEXT_OF(number) #number
#define GROUP_MAJOR	TEXT(MACHINE_GROUP_MAJOR)

/*
 * Linux's include/linux/ioport.h: the flags in a `resource` line; the low bits are those of the BAR
 * register.
 */
#define RES_IO	      0x00000100u
#define RES_MEM	      0x00000200u
#define RES_PREFETCH  0x00002000u
#define RES_READONLY  0x00004000u
#define RES_SIZEALIGN 0x00040000u
#define RES_MEM_64    0x00100000u
/* six BARs, the ROM, and six for virtual functions with CONFIG_PCI_IOV, which distributions set */
#define RES_LINES 13u

#define VPD_MAX	  0x8000u /* PCI 3.0, appendix I: 15 bits of address */
#define VPD_TRIES 1000
#define VPD_FLAG  0x8000u

/* The CPUs of the computer, read once for all devices. */
struct cpus {
	char cpulist[256]; /* "0-3" */
	char cpumask[256]; /* "f" */
};

/* ---- CPUs ---- */

static void read_line(const char *path, char *buf, size_t size, const char *otherwise)
{
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = -1;

	if (fd >= 0) {
		n = sys_read(fd, buf, size - 1);
		sys_close(fd);
	}
	if (n <= 0) {
		snprintf(buf, size, "%s", otherwise);
		return;
	}
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
}

/*
 * A list "0-2,5" as the kernel prints a mask: hexadecimal, commas between words of 32 bits, as many
 * digits as possible CPUs need.
 */
static void list_to_mask(const char *list, unsigned last, char *out, size_t size)
{
	unsigned char nibbles[1024] = { 0 };
	unsigned digits = last / 4 + 1, from, to;
	size_t n = 0;
	char *end;

	if (digits > sizeof(nibbles))
		digits = sizeof(nibbles);
	while (*list >= '0' && *list <= '9') {
		from = to = (unsigned)strtoul(list, &end, 10);
		if (*end == '-')
			to = (unsigned)strtoul(end + 1, &end, 10);
		for (unsigned c = from; c <= to && c / 4 < digits; c++)
			nibbles[c / 4] |= (unsigned char)(1u << c % 4);
		list = *end == ',' ? end + 1 : end;
	}
	for (unsigned i = digits; i-- > 0 && n + 2 < size;) {
		out[n++] = "0123456789abcdef"[nibbles[i]];
		if (i && i % 8 == 0)
			out[n++] = ',';
	}
	out[n] = 0;
}

static void read_cpus(struct cpus *h)
{
	char possible[256], *last;

	read_line("/sys/devices/system/cpu/online", h->cpulist, sizeof(h->cpulist), "0");
	read_line("/sys/devices/system/cpu/possible", possible, sizeof(possible), h->cpulist);
	last = possible + strlen(possible);
	while (last > possible && last[-1] >= '0' && last[-1] <= '9')
		last--;
	list_to_mask(h->cpulist, (unsigned)strtoul(last, NULL, 10), h->cpumask, sizeof(h->cpumask));
}

/* ---- one device ---- */

struct dev_view {
	struct tree *t;
	const struct pci_face *f;
	const struct machine_device *d;
	const struct machine_device *pf; /* of a VF */
	char dir[64];			 /* sys/devices/pci0000:01/0000:01:00.0 */
};

#define FILE_PATH(v, name) path_of((char[PATH_MAX]){ 0 }, v, name)
static const char *path_of(char *buf, const struct dev_view *v, const char *name)
{
	snprintf(buf, PATH_MAX, "%s/%s", v->dir, name);
	return buf;
}
#define ATTR(v, name, ...) tree_text((v)->t, RO, FILE_PATH(v, name), __VA_ARGS__)

static uint32_t cfg(const struct dev_view *v, unsigned off, unsigned size)
{
	return pci_face_read(v->f, off, size);
}

/* The flags of a BAR of VFs, which are in no register of theirs. */
static uint64_t memory_flags(unsigned bar)
{
	uint64_t flags = RES_MEM | RES_SIZEALIGN;

	if (bar & UVFIO_BAR_PREFETCH)
		flags |= RES_PREFETCH | PCI_BASE_ADDRESS_MEM_PREFETCH;
	if (bar & UVFIO_BAR_64)
		flags |= RES_MEM_64 | PCI_BASE_ADDRESS_MEM_TYPE_64;
	return flags;
}

/* Return the flags of a BAR of a function that is no VF: what its register says, and more. */
static uint64_t own_flags(struct dev_view *v, unsigned bar)
{
	const struct pci_bar *b = &v->f->bars[bar];
	uint64_t flags;

	if (bar == PCI_ROM_BAR)
		return RES_SIZEALIGN | RES_MEM | RES_PREFETCH | RES_READONLY;
	if (b->flags & UVFIO_BAR_IO)
		flags = RES_IO | RES_SIZEALIGN | PCI_BASE_ADDRESS_SPACE_IO;
	else
		flags = RES_SIZEALIGN | RES_MEM |
			(cfg(v, PCI_BASE_ADDRESS_0 + 4 * bar, 4) &
			 (PCI_BASE_ADDRESS_MEM_TYPE_MASK | PCI_BASE_ADDRESS_MEM_PREFETCH));
	if (b->flags & UVFIO_BAR_PREFETCH)
		flags |= RES_PREFETCH;
	if (b->flags & UVFIO_BAR_64)
		flags |= RES_MEM_64;
	return flags;
}

static void write_resource(struct dev_view *v)
{
	char text[RES_LINES * 64];
	size_t n = 0;

	for (unsigned i = 0; i < RES_LINES; i++) {
		bool of_vfs = i >= PCI_FACE_VF_BARS;
		const struct pci_bar *b =
			of_vfs ? &v->f->sriov.bars[i - PCI_FACE_VF_BARS] : &v->f->bars[i];
		uint64_t start = 0, end = 0, flags = 0;

		if (b->size) {
			start = pci_face_bar_address(v->f, i);
			/* those of the VFs: what all of them take */
			end = start + b->size * (of_vfs ? v->f->sriov.total : 1) - 1;
			flags = of_vfs || v->pf ? memory_flags(b->flags) : own_flags(v, i);
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "0x%016llx 0x%016llx 0x%016llx\n",
				      (unsigned long long)start, (unsigned long long)end,
				      (unsigned long long)flags);
	}
	tree_data(v->t, RO, FILE_PATH(v, "resource"), text, n);
}

/* "5.0 GT/s PCIe" of a Link Speeds field (PCIe 6.0, 7.5.3.18) */
static const char *speed_text(unsigned speed)
{
	static const char *const text[] = { "Unknown",	     "2.5 GT/s PCIe",  "5.0 GT/s PCIe",
					    "8.0 GT/s PCIe", "16.0 GT/s PCIe", "32.0 GT/s PCIe",
					    "64.0 GT/s PCIe" };

	return speed < ARRAY_SIZE(text) ? text[speed] : text[0];
}

static void write_link(struct dev_view *v)
{
	unsigned cap = pci_face_find_cap(v->f, PCI_CAP_ID_EXP);
	uint32_t most, now;

	if (!cap)
		return;
	most = cfg(v, cap + PCI_EXP_LNKCAP, 4);
	now = cfg(v, cap + PCI_EXP_LNKSTA, 2);
	ATTR(v, "max_link_speed", "%s\n", speed_text(most & PCI_EXP_LNKCAP_SLS));
	ATTR(v, "max_link_width", "%u\n", (most & PCI_EXP_LNKCAP_MLW) >> 4);
	ATTR(v, "current_link_speed", "%s\n", speed_text(now & PCI_EXP_LNKSTA_CLS));
	ATTR(v, "current_link_width", "%u\n",
	     (now & PCI_EXP_LNKSTA_NLW) >> PCI_EXP_LNKSTA_NLW_SHIFT);
}

/*
 * The methods that Linux would list, in its order. A bus reset is none: the function sits on a root
 * bus.
 */
static void write_reset(struct dev_view *v)
{
	unsigned exp = pci_face_find_cap(v->f, PCI_CAP_ID_EXP),
		 af = pci_face_find_cap(v->f, PCI_CAP_ID_AF);
	unsigned pm = pci_face_find_cap(v->f, PCI_CAP_ID_PM);
	char text[32] = "";

	if (exp && cfg(v, exp + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)
		strcat(text, " flr");
	if (af && (cfg(v, af + PCI_AF_CAP, 1) & (PCI_AF_CAP_TP | PCI_AF_CAP_FLR)) ==
			  (PCI_AF_CAP_TP | PCI_AF_CAP_FLR))
		strcat(text, " af_flr");
	if (pm && !(cfg(v, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_NO_SOFT_RESET))
		strcat(text, " pm");
	if (!*text)
		return;
	ATTR(v, "reset_method", "%s\n", text + 1);
	tree_text(v->t, WO, FILE_PATH(v, "reset"), "%s", "");
}

/*
 * Read product data as a driver does, by address and flag; what Linux shows ends with the end tag
 * (PCI 3.0, I.2).
 */
static void write_vpd(struct dev_view *v)
{
	unsigned cap = pci_face_find_cap(v->f, PCI_CAP_ID_VPD), len = 0, tries, next = 0;
	unsigned char *data;
	uint32_t word;

	if (!cap)
		return;
	data = malloc(VPD_MAX);
	if (!data) {
		v->t->err = -ENOMEM;
		return;
	}
	/*
	 * a tag needs up to three bytes: small ones have the length in the low bits, large ones in
	 * the next two
	 */
	for (; len < VPD_MAX; len += 4) {
		pci_face_write(v->f, cap + PCI_VPD_ADDR, 2, len);
		for (tries = VPD_TRIES; tries; tries--)
			if (cfg(v, cap + PCI_VPD_ADDR, 2) & VPD_FLAG)
				break;
		if (!tries) {
			log_warn(v->d->addr, "VPD at 0x%x does not become ready", len);
			break;
		}
		word = cfg(v, cap + PCI_VPD_DATA, 4);
		for (unsigned i = 0; i < 4; i++)
			data[len + i] = (unsigned char)(word >> 8 * i);
		while (next + 3 <= len + 4 || (next < len + 4 && !(data[next] & 0x80))) {
			if (data[next] & 0x80)
				next += 3u + data[next + 1] + 256u * data[next + 2];
			else if (data[next] >> 3 == 0xf || !data[next])
				goto done; /* the end tag, or no tag at all */
			else
				next += 1u + (data[next] & 7u);
		}
	}
done:
	if (next < len + 4 && next < VPD_MAX && len < VPD_MAX && data[next] >> 3 == 0xf)
		tree_data(v->t, RO, FILE_PATH(v, "vpd"), data, next + 1 + (data[next] & 7u));
	else
		log_warn(v->d->addr, "VPD has no end tag: it is not shown in sysfs");
	pci_face_write(v->f, cap + PCI_VPD_ADDR, 2, 0);
	free(data);
}

static void write_config(struct dev_view *v)
{
	uint8_t buf[PCI_CFG_EXP_SIZE];
	unsigned size = pci_face_config(v->f, buf);

	tree_data(v->t, RO, FILE_PATH(v, "config"), buf, size);
}

/* A VF reads ones for its IDs, and the kernel takes them from the PF. */
static void write_ids(struct dev_view *v)
{
	const struct pci_face *pf = v->f->pf;
	unsigned vendor = pci_face_read(pf ? pf : v->f, PCI_VENDOR_ID, 2);
	unsigned device = pf ? pf->sriov.vf_device_id : cfg(v, PCI_DEVICE_ID, 2);
	unsigned sv = cfg(v, PCI_SUBSYSTEM_VENDOR_ID, 2), sd = cfg(v, PCI_SUBSYSTEM_ID, 2);
	unsigned class = cfg(v, PCI_CLASS_REVISION, 4) >> 8;
	char modalias[80];

	snprintf(modalias, sizeof(modalias), "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", vendor,
		 device, sv, sd, class >> 16, class >> 8 & 0xff, class & 0xff);
	ATTR(v, "vendor", "0x%04x\n", vendor);
	ATTR(v, "device", "0x%04x\n", device);
	ATTR(v, "subsystem_vendor", "0x%04x\n", sv);
	ATTR(v, "subsystem_device", "0x%04x\n", sd);
	ATTR(v, "class", "0x%06x\n", class);
	ATTR(v, "revision", "0x%02x\n", cfg(v, PCI_REVISION_ID, 1));
	ATTR(v, "modalias", "%s\n", modalias);
	ATTR(v, "uevent",
	     "DRIVER=%s\nPCI_CLASS=%04X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n"
	     "PCI_SLOT_NAME=%s\nMODALIAS=%s\n",
	     v->d->driver, class, vendor, device, sv, sd, v->d->addr, modalias);
}

static void write_sriov(struct dev_view *v)
{
	const struct pci_face_sriov *iov = &v->f->sriov;

	if (!iov->total)
		return;
	/* the shim takes what is written to it (store.c) */
	tree_text(v->t, RW, FILE_PATH(v, "sriov_numvfs"), "0\n");
	ATTR(v, "sriov_totalvfs", "%u\n", iov->total);
	ATTR(v, "sriov_offset", "%u\n", iov->offset);
	ATTR(v, "sriov_stride", "%u\n", iov->stride);
	ATTR(v, "sriov_vf_device", "%x\n", iov->vf_device_id);
	ATTR(v, "sriov_vf_total_msix", "0\n");
	ATTR(v, "sriov_drivers_autoprobe", "1\n");
}

/* The attributes, and the links that do not depend on the group. */
static void write_attributes(struct dev_view *v, const struct cpus *h)
{
	static const char *const power_states[] = { "D0", "D1", "D2", "D3hot" };
	char target[PATH_MAX];

	write_ids(v);
	write_resource(v);
	write_config(v);
	write_link(v);
	write_reset(v);
	write_vpd(v);
	write_sriov(v);
	ATTR(v, "irq", "%u\n", cfg(v, PCI_INTERRUPT_PIN, 1) ? cfg(v, PCI_INTERRUPT_LINE, 1) : 0);
	ATTR(v, "enable", "%u\n", v->d->vdev ? 0 : 1);
	ATTR(v, "numa_node", "-1\n");
	ATTR(v, "local_cpus", "%s\n", h->cpumask);
	ATTR(v, "local_cpulist", "%s\n", h->cpulist);
	tree_text(v->t, RW, FILE_PATH(v, "driver_override"), "%s\n",
		  v->d->vdev ? "vfio-pci" : "(null)");
	ATTR(v, "power_state", "%s\n", power_states[pci_face_power_state(v->f)]);
	ATTR(v, "msi_bus", "1\n");
	ATTR(v, "dma_mask_bits", "32\n");
	ATTR(v, "consistent_dma_mask_bits", "32\n");
	ATTR(v, "broken_parity_status", "0\n");
	ATTR(v, "ari_enabled", "0\n");
	ATTR(v, "d3cold_allowed", "0\n");
	/* a VF comes and goes by its PF */
	if (v->pf) {
		tree_text(v->t, WO, FILE_PATH(v, "sriov_vf_msix_count"), "%s", "");
	} else {
		tree_text(v->t, WO, FILE_PATH(v, "remove"), "%s", "");
		tree_text(v->t, WO, FILE_PATH(v, "rescan"), "%s", "");
	}
	tree_dir(v->t, FILE_PATH(v, "link"));
	ATTR(v, "power/control", "on\n");
	ATTR(v, "power/runtime_status", "active\n");
	tree_link(v->t, FILE_PATH(v, "subsystem"), "../../../bus/pci");
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", v->d->driver);
	tree_link(v->t, FILE_PATH(v, "driver"), target);
	tree_link(v->t, FILE_PATH(v, "iommu"), "../../virtual/iommu/" IOMMU_NAME);
	if (v->pf) {
		snprintf(target, sizeof(target), "../%s", v->pf->addr);
		tree_link(v->t, FILE_PATH(v, "physfn"), target);
	}
}

/*
 * Each link of the view that says that @addr, whose directory is below devices/@root, is there: for
 * @fn to make or to take away.
 */
void machine_view_links(struct tree *t, const char *root, const char *addr, const char *driver,
			unsigned group,
			void (*fn)(struct tree *t, const char *path, const char *target))
{
	char path[PATH_MAX], target[PATH_MAX];

	snprintf(path, sizeof(path), "sys/devices/%s/%s/iommu_group", root, addr);
	snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%u", group);
	fn(t, path, target);
	snprintf(target, sizeof(target), "../../../devices/%s/%s", root, addr);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", addr);
	fn(t, path, target);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/devices/%s", group, addr);
	snprintf(target, sizeof(target), "../../../../devices/%s/%s", root, addr);
	fn(t, path, target);
	snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/%s", driver, addr);
	fn(t, path, target);
	snprintf(path, sizeof(path), "sys/devices/virtual/iommu/" IOMMU_NAME "/devices/%s", addr);
	snprintf(target, sizeof(target), "../../../../%s/%s", root, addr);
	fn(t, path, target);
}

static void write_device(struct tree *t, const struct cpus *h, struct machine_device *d)
{
	struct dev_view v = { .t = t, .f = d->face, .d = d };
	char root[16];

	snprintf(root, sizeof(root), "pci%.7s", d->addr);
	snprintf(v.dir, sizeof(v.dir), "sys/devices/%s/%s", root, d->addr);
	write_attributes(&v, h);
	machine_view_links(t, root, d->addr, d->driver, d->group, tree_link);
}

/*
 * The directories of all VFs that the PF can have, aside: a process that enables VFs may be a
 * shell, which has no devices to look at, and has only to move them to their place. They are
 * written as they look when they are enabled.
 */
static int write_vfs(struct tree *t, const struct cpus *h, struct plugged *dev)
{
	unsigned total = dev->layout.total;
	char *why = NULL;
	int rc;

	if (!total)
		return 0;
	rc = machine_make_vfs(dev, total, &why);
	if (rc) {
		log_err("machine", "%s", why ? why : strerror(-rc));
		free(why);
		return rc;
	}
	machine_set_vfs(dev, total);
	for (unsigned i = 0; i < total; i++) {
		struct machine_device *d = &dev->vfs[i]->d;
		struct dev_view v = { .t = t, .f = d->face, .d = d, .pf = &dev->d };

		snprintf(v.dir, sizeof(v.dir), MACHINE_VFS_ASIDE "/%s", d->addr);
		write_attributes(&v, h);
	}
	machine_set_vfs(dev, 0);
	return t->err;
}

/* ---- what is not a device ---- */

static void write_driver(struct tree *t, const char *name)
{
	static const struct {
		const char *name;
		unsigned mode;
	} files[] = { { "bind", ACTS },
		      { "unbind", ACTS },
		      { "new_id", WO },
		      { "remove_id", WO },
		      { "uevent", WO } };
	char path[PATH_MAX];

	for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/%s", name, files[i].name);
		tree_text(t, files[i].mode, path, "%s", "");
	}
}

static void write_bus(struct tree *t, struct machine *m)
{
	tree_dir(t, "sys/bus/pci/devices");
	tree_dir(t, "sys/bus/pci/slots");
	tree_text(t, RO, "sys/bus/pci/drivers_autoprobe", "1\n");
	tree_text(t, RO, "sys/bus/pci/resource_alignment", "\n");
	tree_text(t, ACTS, "sys/bus/pci/drivers_probe", "%s", "");
	tree_text(t, WO, "sys/bus/pci/rescan", "%s", "");
	tree_text(t, WO, "sys/bus/pci/uevent", "%s", "");
	write_driver(t, "vfio-pci");
	for (unsigned i = 0; i < m->num_plugged; i++) {
		bool first = !m->plugged[i]->d.vdev;

		for (unsigned k = 0; k < i; k++)
			first &= strcmp(m->plugged[i]->d.driver, m->plugged[k]->d.driver) != 0;
		if (first)
			write_driver(t, m->plugged[i]->d.driver);
	}
	tree_link(t, "sys/bus/pci/drivers/vfio-pci/module", "../../../../module/vfio_pci");
}

static void write_root_bus(struct tree *t, const struct cpus *h, const struct machine_device *d)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "sys/devices/pci%.7s/pci_bus/%.7s/cpuaffinity", d->addr,
		 d->addr);
	tree_text(t, RO, path, "%s\n", h->cpumask);
	snprintf(path, sizeof(path), "sys/devices/pci%.7s/pci_bus/%.7s/cpulistaffinity", d->addr,
		 d->addr);
	tree_text(t, RO, path, "%s\n", h->cpulist);
	snprintf(path, sizeof(path), "sys/devices/pci%.7s/uevent", d->addr);
	tree_text(t, RO, path, "%s", "");
	snprintf(path, sizeof(path), "sys/devices/pci%.7s/power/control", d->addr);
	tree_text(t, RO, path, "auto\n");
}

void machine_view_group(struct tree *t, unsigned id)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/reserved_regions", id);
	tree_text(t, RO, path, "0x%016llx 0x%016llx msi\n", IOMMU_MSI_START, IOMMU_MSI_END);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/type", id);
	tree_text(t, RO, path, "DMA\n");
	/* who may open the group may claim it: the shim gives both files another mode or owner */
	snprintf(path, sizeof(path), "claims/group-%u", id);
	tree_lock(t, path);
}

/*
 * A character device that no bus has: its directory in devices/virtual/@class, and where it is
 * found. @mode: what udev is told, or "".
 */
static void write_chardev(struct tree *t, const char *class, const char *name, unsigned major,
			  unsigned minor, const char *mode)
{
	char path[PATH_MAX], target[PATH_MAX];

	snprintf(path, sizeof(path), "sys/devices/virtual/%s/%s/dev", class, name);
	tree_text(t, RO, path, "%u:%u\n", major, minor);
	snprintf(path, sizeof(path), "sys/devices/virtual/%s/%s/uevent", class, name);
	tree_text(t, RO, path, "MAJOR=%u\nMINOR=%u\nDEVNAME=vfio/%s\n%s", major, minor, name, mode);
	snprintf(path, sizeof(path), "sys/devices/virtual/%s/%s/subsystem", class, name);
	snprintf(target, sizeof(target), "../../../../class/%s", class);
	tree_link(t, path, target);
	snprintf(target, sizeof(target), "../../devices/virtual/%s/%s", class, name);
	snprintf(path, sizeof(path), "sys/class/%s/%s", class, name);
	tree_link(t, path, target);
	snprintf(path, sizeof(path), "sys/dev/char/%u:%u", major, minor);
	tree_link(t, path, target);
}

void machine_view_group_node(struct tree *t, unsigned id)
{
	char name[16], path[PATH_MAX];

	snprintf(name, sizeof(name), "%u", id);
	write_chardev(t, "vfio", name, MACHINE_GROUP_MAJOR, id, "");
	snprintf(path, sizeof(path), "dev/vfio/%u", id);
	tree_node(t, 0600, path);
}

void machine_view_drop_group_node(struct tree *t, unsigned id)
{
	static const char *const names[] = { "dev/vfio/%u",
					     "sys/class/vfio/%u",
					     "sys/dev/char/" GROUP_MAJOR ":%u",
					     "sys/devices/virtual/vfio/%u/subsystem",
					     "sys/devices/virtual/vfio/%u/uevent",
					     "sys/devices/virtual/vfio/%u/dev",
					     "sys/devices/virtual/vfio/%u" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), names[i], id);
		tree_remove(t, path);
	}
}

static void write_groups(struct tree *t, struct machine *m)
{
	for (unsigned i = 0; i < m->num_groups; i++) {
		if (m->groups[i]->iommu->n)
			machine_view_group(t, m->groups[i]->id);
		/* none for a group of a driver of the host */
		if (m->groups[i]->vfio->n)
			machine_view_group_node(t, m->groups[i]->id);
	}
}

static void write_iommu(struct tree *t)
{
	tree_text(t, RO, "sys/devices/virtual/iommu/" IOMMU_NAME "/uevent", "%s", "");
	tree_link(t, "sys/devices/virtual/iommu/" IOMMU_NAME "/subsystem",
		  "../../../../class/iommu");
	tree_dir(t, "sys/devices/virtual/iommu/" IOMMU_NAME "/devices");
	tree_link(t, "sys/class/iommu/" IOMMU_NAME, "../../devices/virtual/iommu/" IOMMU_NAME);
}

struct parameter {
	const char *module, *name, *value;
};

static void write_modules(struct tree *t, unsigned dma_entry_limit)
{
	/* the defaults of Linux 6.1, as `modinfo` and drivers/vfio tell */
	static const struct parameter parameters[] = {
		{ "vfio", "enable_unsafe_noiommu_mode", "N" },
		{ "vfio_iommu_type1", "allow_unsafe_interrupts", "N" },
		{ "vfio_iommu_type1", "disable_hugepages", "N" },
		{ "vfio_pci", "disable_denylist", "N" },
		{ "vfio_pci", "disable_idle_d3", "N" },
		{ "vfio_pci", "disable_vga", "N" },
		{ "vfio_pci", "enable_sriov", "Y" }, /* but this, or there would be no SR-IOV */
		{ "vfio_pci", "ids", "" },
		{ "vfio_pci", "nointxmask", "N" },
	};
	static const char *const modules[] = { "vfio", "vfio_iommu_type1", "vfio_pci",
					       "vfio_pci_core" };
	char path[PATH_MAX];

	for (unsigned i = 0; i < ARRAY_SIZE(modules); i++) {
		snprintf(path, sizeof(path), "sys/module/%s/initstate", modules[i]);
		tree_text(t, RO, path, "live\n");
		snprintf(path, sizeof(path), "sys/module/%s/holders", modules[i]);
		tree_dir(t, path);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(parameters); i++) {
		snprintf(path, sizeof(path), "sys/module/%s/parameters/%s", parameters[i].module,
			 parameters[i].name);
		tree_text(t, RO, path, "%s\n", parameters[i].value);
	}
	tree_text(t, RO, "sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "%u\n",
		  dma_entry_limit);
	tree_dir(t, "sys/module/vfio_pci/drivers");
	tree_link(t, "sys/module/vfio_pci/drivers/pci:vfio-pci",
		  "../../../bus/pci/drivers/vfio-pci");
	/*
	 * No kernel has this name. driverctl looks for the module under the driver's, and asks
	 * modprobe otherwise, which knows the host's modules, and theirs only.
	 */
	tree_link(t, "sys/module/vfio-pci", "vfio_pci");
}

int machine_write_view(struct machine *m, const char *dir)
{
	struct tree t = { .root = dir };
	struct cpus h;

	read_cpus(&h);
	write_bus(&t, m);
	write_iommu(&t);
	write_modules(&t, m->sys->dma_entry_limit);
	tree_node(&t, 0666, "dev/vfio/vfio");
	/* linux/miscdevice.h, VFIO_MINOR */
	write_chardev(&t, "misc", "vfio", 10, 196, "DEVMODE=0666\n");
	tree_dir(&t, "sys/class/vfio");
	tree_dir(&t, "sys/kernel/iommu_groups");
	write_groups(&t, m);
	for (unsigned i = 0; i < m->num_plugged && !t.err; i++) {
		struct machine_device *d = &m->plugged[i]->d;
		bool first = true;

		for (unsigned j = 0; j < i; j++)
			first &= memcmp(d->addr, m->plugged[j]->d.addr, 7) != 0;
		if (first)
			write_root_bus(&t, &h, d);
		write_device(&t, &h, d);
		if (!t.err)
			t.err = write_vfs(&t, &h, m->plugged[i]);
	}
	return t.err ? t.err : machine_state_init(m, dir);
}
