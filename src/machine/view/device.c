/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/view/device.c: the directory of a device: its attributes and its links. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "uvfio/model.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"
#include "machine/view/internal.h"

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
/* and, of a bridge, four windows, of which the last is CardBus's */
#define RES_BRIDGE_LINES 4u

#define VPD_MAX	  0x8000u /* PCI 3.0, appendix I: 15 bits of address */
#define VPD_TRIES 1000
#define VPD_FLAG  0x8000u

struct dev_view {
	struct tree *t;
	const struct pci_face *f;
	const struct view_device *d;
	char dir[VIEW_PARENT + 32]; /* sys/devices/pci0000:01/0000:01:00.0 */
	char path[160];		    /* for path_of() */
	char up[VIEW_PARENT];	    /* the way from it to sys/: "../../../" */
	/* tree_data(), or tree_replace() for what changes */
	void (*put)(struct tree *t, unsigned mode, const char *path, const void *data, size_t len);
};

/* Return the path of @name of the device, until the next call. */
static const char *path_of(struct dev_view *v, const char *name)
{
	snprintf(v->path, sizeof(v->path), "%s/%s", v->dir, name);
	return v->path;
}
#define ATTR(v, name, ...) tree_text((v)->t, RO, path_of(v, name), __VA_ARGS__)

static uint32_t cfg(const struct dev_view *v, unsigned off, unsigned size)
{
	return pci_face_read(v->f, off, size);
}

/* Put together the way up to devices/ from a directory in devices/@parent: "../../". */
static const char *way_up(const char *parent, char up[VIEW_PARENT])
{
	size_t n = 0;

	for (; parent; parent = strchr(parent + 1, '/'))
		n += (size_t)snprintf(up + n, VIEW_PARENT - n, "../");
	snprintf(up + n, VIEW_PARENT - n, "../");
	return up;
}

/* Make the link @name of the device to @target, a path from sys/. */
static void link_to(struct dev_view *v, const char *name, const char *target)
{
	char text[VIEW_PARENT + 80];

	snprintf(text, sizeof(text), "%s%s", v->up, target);
	tree_link(v->t, path_of(v, name), text);
}

/* Return the flags of a BAR of VFs, which are in no register of theirs. */
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
	char text[(RES_LINES + RES_BRIDGE_LINES) * 64];
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
			flags = of_vfs || v->f->pf ? memory_flags(b->flags) : own_flags(v, i);
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "0x%016llx 0x%016llx 0x%016llx\n",
				      (unsigned long long)start, (unsigned long long)end,
				      (unsigned long long)flags);
	}
	for (unsigned i = 0; i < RES_BRIDGE_LINES && v->d->bridge; i++) {
		static const uint64_t flags[VIEW_WINDOWS] = { RES_IO, RES_MEM,
							      RES_MEM | RES_MEM_64 | RES_PREFETCH |
								      PCI_PREF_RANGE_TYPE_64 };
		const struct view_window *w = &v->d->bridge->windows[i];
		bool open = i < VIEW_WINDOWS && w->size;

		n += (size_t)snprintf(text + n, sizeof(text) - n, "0x%016llx 0x%016llx 0x%016llx\n",
				      (unsigned long long)(open ? w->start : 0),
				      (unsigned long long)(open ? w->start + w->size - 1 : 0),
				      (unsigned long long)(open ? flags[i] : 0));
	}
	v->put(v->t, RO, path_of(v, "resource"), text, n);
}

/* Return "5.0 GT/s PCIe" for a Link Speeds field (PCIe 6.0, 7.5.3.18). */
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

/* Put " flr pm" and maybe "bus" together, in @line. */
static const char *add_bus(const char *text, bool bus, char line[32])
{
	snprintf(line, 32, "%s%s", text, bus ? " bus" : "");
	memmove(line, line + (*line == ' '), strlen(line) + (*line != ' '));
	return line;
}

/* Write the reset methods that Linux would list, in its order. */
static void write_reset(struct dev_view *v)
{
	unsigned exp = pci_face_find_cap(v->f, PCI_CAP_ID_EXP),
		 af = pci_face_find_cap(v->f, PCI_CAP_ID_AF);
	unsigned pm = pci_face_find_cap(v->f, PCI_CAP_ID_PM);
	char text[32] = "", line[32];

	if (exp && cfg(v, exp + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)
		strcat(text, " flr");
	if (af && (cfg(v, af + PCI_AF_CAP, 1) & (PCI_AF_CAP_TP | PCI_AF_CAP_FLR)) ==
			  (PCI_AF_CAP_TP | PCI_AF_CAP_FLR))
		strcat(text, " af_flr");
	if (pm && !(cfg(v, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_NO_SOFT_RESET))
		strcat(text, " pm");
	if (!*text && !v->d->bus_reset)
		return;
	tree_text(v->t, RW, path_of(v, "reset_method"), "%s\n",
		  add_bus(text, v->d->bus_reset, line));
	tree_text(v->t, ACTS, path_of(v, "reset"), "%s", "");
	/* what can be chosen among: a device may be here that was another before */
	snprintf(v->path, sizeof(v->path), VIEW_RESETS "/%s", v->d->addr);
	add_bus(text, v->d->bus_above, line);
	tree_replace(v->t, RO, v->path, line, strlen(line));
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
			report_warn("vpd-timeout", v->d->addr, 0,
				    "VPD at 0x%x does not become ready", len);
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
		tree_data(v->t, RO, path_of(v, "vpd"), data, next + 1 + (data[next] & 7u));
	else
		report_warn("vpd-end", v->d->addr, 0,
			    "VPD has no end tag: it is not shown in sysfs");
	pci_face_write(v->f, cap + PCI_VPD_ADDR, 2, 0);
	free(data);
}

static void write_config(struct dev_view *v)
{
	uint8_t buf[PCI_CFG_EXP_SIZE];
	unsigned size = pci_face_config(v->f, buf);

	v->put(v->t, RO, path_of(v, "config"), buf, size);
}

/* Write the IDs. A VF reads ones, and the kernel takes them from the PF. */
static void write_ids(struct dev_view *v)
{
	const struct pci_face *pf = v->f->pf;
	unsigned vendor = pci_face_read(pf ? pf : v->f, PCI_VENDOR_ID, 2);
	unsigned device = pf ? pf->sriov.vf_device_id : cfg(v, PCI_DEVICE_ID, 2);
	/* a bridge has them in a capability, if at all: these have none */
	unsigned sv = v->d->bridge ? 0 : cfg(v, PCI_SUBSYSTEM_VENDOR_ID, 2);
	unsigned sd = v->d->bridge ? 0 : cfg(v, PCI_SUBSYSTEM_ID, 2);
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
	     "%s%s%sPCI_CLASS=%04X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n"
	     "PCI_SLOT_NAME=%s\nMODALIAS=%s\n",
	     v->d->driver ? "DRIVER=" : "", v->d->driver ? v->d->driver : "",
	     v->d->driver ? "\n" : "", class, vendor, device, sv, sd, v->d->addr, modalias);
}

static void write_sriov(struct dev_view *v)
{
	const struct pci_face_sriov *iov = &v->f->sriov;

	if (!iov->total)
		return;
	/* the shim takes what is written to it (store.c) */
	tree_text(v->t, RW, path_of(v, "sriov_numvfs"), "0\n");
	ATTR(v, "sriov_totalvfs", "%u\n", iov->total);
	ATTR(v, "sriov_offset", "%u\n", iov->offset);
	ATTR(v, "sriov_stride", "%u\n", iov->stride);
	ATTR(v, "sriov_vf_device", "%x\n", iov->vf_device_id);
	ATTR(v, "sriov_vf_total_msix", "0\n");
	ATTR(v, "sriov_drivers_autoprobe", "1\n");
}

/* Write what a bridge has besides: the bus behind it. */
static void write_bridge(struct dev_view *v, const struct cpus *c)
{
	char name[32];

	ATTR(v, "secondary_bus_number", "%u\n", v->d->bridge->secondary);
	ATTR(v, "subordinate_bus_number", "%u\n", v->d->bridge->subordinate);
	snprintf(name, sizeof(name), "%.5s%02x", v->d->addr, v->d->bridge->secondary);
	view_bus_dir(v->t, c, v->dir, name);
}

int view_remove_file(struct tree *t, const char *dir)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/remove", dir);
	tree_replace(t, ACTS, path, "", 0);
	return t->err;
}

/* Write the attributes, and the links that do not depend on the group. */
static void write_attributes(struct dev_view *v, const struct cpus *c)
{
	static const char *const power_states[] = { "D0", "D1", "D2", "D3hot" };
	char target[64];

	write_ids(v);
	write_resource(v);
	write_config(v);
	write_link(v);
	if (!v->d->bridge)
		write_reset(v);
	write_vpd(v);
	write_sriov(v);
	ATTR(v, "irq", "%u\n", cfg(v, PCI_INTERRUPT_PIN, 1) ? cfg(v, PCI_INTERRUPT_LINE, 1) : 0);
	ATTR(v, "enable", "%u\n", v->d->on);
	ATTR(v, "numa_node", "-1\n");
	ATTR(v, "local_cpus", "%s\n", c->cpumask);
	ATTR(v, "local_cpulist", "%s\n", c->cpulist);
	tree_text(v->t, RW, path_of(v, "driver_override"), "%s\n",
		  v->d->driver && !v->d->on ? v->d->driver : "(null)");
	ATTR(v, "power_state", "%s\n", power_states[pci_face_power_state(v->f)]);
	ATTR(v, "msi_bus", "1\n");
	ATTR(v, "dma_mask_bits", "32\n");
	ATTR(v, "consistent_dma_mask_bits", "32\n");
	ATTR(v, "broken_parity_status", "0\n");
	ATTR(v, "ari_enabled", "0\n");
	ATTR(v, "d3cold_allowed", "0\n");
	/* a VF comes and goes by its PF */
	if (v->d->pf_addr) {
		tree_text(v->t, WO, path_of(v, "sriov_vf_msix_count"), "%s", "");
	} else {
		view_remove_file(v->t, v->dir);
		tree_text(v->t, ACTS, path_of(v, "rescan"), "%s", "");
	}
	tree_dir(v->t, path_of(v, "link"));
	ATTR(v, "power/control", "on\n");
	ATTR(v, "power/runtime_status", "active\n");
	link_to(v, "subsystem", "../bus/pci");
	if (v->d->driver) {
		snprintf(target, sizeof(target), "../bus/pci/drivers/%s", v->d->driver);
		link_to(v, "driver", target);
	}
	if (v->d->group != VIEW_NO_GROUP)
		link_to(v, "iommu", "virtual/iommu/" IOMMU_NAME);
	if (v->d->pf_addr) {
		snprintf(target, sizeof(target), "../%s", v->d->pf_addr);
		tree_link(v->t, path_of(v, "physfn"), target);
	}
}

void view_links(struct tree *t, const char *parent, const char *addr, const char *driver,
		unsigned group, void (*fn)(struct tree *t, const char *path, const char *target))
{
	char path[VIEW_PARENT + 64], target[VIEW_PARENT + 64], up[VIEW_PARENT];

	if (group != VIEW_NO_GROUP) {
		snprintf(path, sizeof(path), "sys/devices/%s/%s/iommu_group", parent, addr);
		snprintf(target, sizeof(target), "%s../kernel/iommu_groups/%u", way_up(parent, up),
			 group);
		fn(t, path, target);
	}
	snprintf(target, sizeof(target), "../../../devices/%s/%s", parent, addr);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", addr);
	fn(t, path, target);
	if (group != VIEW_NO_GROUP) {
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/devices/%s", group, addr);
		snprintf(target, sizeof(target), "../../../../devices/%s/%s", parent, addr);
		fn(t, path, target);
	}
	snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/%s", driver ? driver : "", addr);
	if (driver)
		fn(t, path, target);
	if (group == VIEW_NO_GROUP)
		return;
	snprintf(path, sizeof(path), "sys/devices/virtual/iommu/" IOMMU_NAME "/devices/%s", addr);
	snprintf(target, sizeof(target), "../../../../%s/%s", parent, addr);
	fn(t, path, target);
}

bool view_parent(const struct tree *t, const char *addr, char parent[VIEW_PARENT])
{
	static const char in[] = "../../../devices/";
	char path[PATH_MAX], target[PATH_MAX];
	char *slash;
	long n;

	n = snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s", t->root, addr);
	if (n < 0 || (size_t)n >= sizeof(path))
		return false;
	n = sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)target, sizeof(target) - 1, 0, 0);
	if (n < 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	if (strncmp(target, in, sizeof(in) - 1) || slash < target + sizeof(in))
		return false;
	*slash = '\0';
	n = snprintf(parent, VIEW_PARENT, "%s", target + sizeof(in) - 1);
	return (size_t)n < VIEW_PARENT;
}

void view_device(struct tree *t, const struct cpus *c, const struct view_device *d)
{
	struct dev_view v = { .t = t, .f = d->face, .d = d, .put = tree_data };

	way_up(d->parent, v.up);
	snprintf(v.dir, sizeof(v.dir), "sys/devices/%s/%s", d->parent, d->addr);
	write_attributes(&v, c);
	if (d->bridge)
		write_bridge(&v, c);
	view_links(t, d->parent, d->addr, d->driver, d->group, tree_link);
	if (d->is_vfio)
		view_cdev(t, v.dir, d->group == VIEW_NO_GROUP);
}

void view_windows(struct tree *t, const struct view_device *d)
{
	struct dev_view v = { .t = t, .f = d->face, .d = d, .put = tree_replace };

	snprintf(v.dir, sizeof(v.dir), "sys/devices/%s/%s", d->parent, d->addr);
	write_resource(&v);
	write_config(&v);
}

/* It gets its driver when it is there (run/numvfs.c). */
void view_vf_aside(struct tree *t, const struct cpus *c, const struct view_device *d)
{
	struct view_device bare = *d;
	struct dev_view v = { .t = t, .f = d->face, .d = &bare, .put = tree_data };

	bare.driver = NULL;
	way_up(d->parent, v.up);
	snprintf(v.dir, sizeof(v.dir), VIEW_VFS_ASIDE "/%s", d->addr);
	write_attributes(&v, c);
}
