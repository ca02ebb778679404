/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/sriov/client.c: `client PF-ADDRESS`: asks of a PF that is bound to vfio-pci what the kernel
 * fixes about SR-IOV, and writes the answers down, one a line: what writing sriov_numvfs says and
 * shows, who may open what with which VF token, and what of a VF's config space a user sees. The
 * same binary runs on the kernel and under uvfio (tests/sriov.sh); it holds no opinion of what is
 * right. Nothing in a line depends on the device but that it has two VFs. libc alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/saw.h"
#include "lib/vfio.h"

#define CONFIG VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)
#define T1     "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
#define T1_BIG "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE"
#define T2     "11111111-2222-3333-4444-555555555555"

static const char *pf;
static char vf[2][32];

static __attribute__((noreturn)) void give_up(const char *what)
{
	printf("gave up: %s: %s\n", what, strerror(errno));
	exit(1);
}

static const char *attr_path(const char *dev, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", dev, name);
	return path;
}

static const char *attr(const char *dev, const char *name)
{
	static char text[2][4096];
	static int n;
	char *t = text[n++ & 1];
	int fd = open(attr_path(dev, name), O_RDONLY);
	ssize_t len;

	if (fd < 0)
		return "(none)";
	len = read(fd, t, sizeof(text[0]) - 1);
	close(fd);
	t[len > 0 ? len : 0] = '\0';
	t[strcspn(t, "\n")] = '\0';
	return t;
}

/* The last component of a link, or the error. */
static const char *target(const char *dev, const char *name)
{
	static char text[2][256];
	static int k;
	char *t = text[k++ & 1];
	ssize_t n = readlink(attr_path(dev, name), t, sizeof(text[0]) - 1);

	if (n < 0)
		return strerrorname_np(errno);
	t[n] = '\0';
	return strrchr(t, '/') ? strrchr(t, '/') + 1 : t;
}

/* ---- sriov_numvfs ---- */

static long put_text(const char *text, size_t n)
{
	int fd = open(attr_path(pf, "sriov_numvfs"), O_WRONLY | O_TRUNC), e;
	long r;

	if (fd < 0)
		return -1;
	r = write(fd, text, n);
	e = errno;
	close(fd);
	errno = e;
	return r;
}

static void put(const char *text)
{
	saw(put_text(text, strlen(text)), "numvfs write \"%s\"", text);
}

static void put_number(long n, const char *what)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", n);
	saw(put_text(text, strlen(text)) < 0 ? -1 : 0, "numvfs write %s", what);
}

static void numvfs(void)
{
	long total = strtol(attr(pf, "sriov_totalvfs"), NULL, 10);

	saw(total >= 2, "there are two");
	put("0");
	saw(put_text("", 0), "numvfs write of nothing");
	put("abc");
	put("-1");
	put("1 ");
	put(" 1");
	put("1x");
	put("1,");
	put("0x");
	put("08");
	put("+");
	put("65536");
	put("99999999999999999999");
	put_number(total + 1, "total + 1");
	put_number(65535, "65535");
	saw(strtol(attr(pf, "sriov_numvfs"), NULL, 10), "numvfs after that");
	put("0x1");
	saw(strtol(attr(pf, "sriov_numvfs"), NULL, 10), "numvfs after 0x1");
	put("0");
	put("+1");
	put("1");
	put("00");
	put("2");
	put("2");
	put("1");
	put("3");
	put_number(total + 1, "total + 1 while enabled");
	put("abc");
	saw(strtol(attr(pf, "sriov_numvfs"), NULL, 10), "numvfs at the end");
}

static unsigned rid(const char *addr)
{
	unsigned domain, bus, dev, fn;

	return sscanf(addr, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) == 4 ? bus << 8 | dev << 3 | fn
									  : 0;
}

static void view(void)
{
	unsigned offset = (unsigned)strtoul(attr(pf, "sriov_offset"), NULL, 10),
		 stride = (unsigned)strtoul(attr(pf, "sriov_stride"), NULL, 10);
	char want[16];

	for (int i = 0; i < 2; i++) {
		char name[16];

		snprintf(name, sizeof(name), "virtfn%d", i);
		snprintf(vf[i], sizeof(vf[i]), "%s", target(pf, name));
		saw(rid(vf[i]) == rid(pf) + offset + (unsigned)i * stride,
		    "vf%d is where offset and stride say", i);
		saw(!strcmp(target(vf[i], "physfn"), pf), "vf%d physfn is the PF", i);
		printf("vf%d driver: %s\n", i, target(vf[i], "driver"));
		printf("vf%d driver_override: %s\n", i, attr(vf[i], "driver_override"));
		saw(strcmp(target(vf[i], "iommu_group"), target(pf, "iommu_group")) != 0,
		    "vf%d is in another group than the PF", i);
		saw(!strcmp(attr(vf[i], "vendor"), attr(pf, "vendor")), "vf%d vendor is the PF's",
		    i);
		snprintf(want, sizeof(want), "0x%s", attr(pf, "sriov_vf_device"));
		saw(!strcmp(attr(vf[i], "device"), want), "vf%d device is the capability's", i);
		saw(!strcmp(attr(vf[i], "class"), attr(pf, "class")), "vf%d class is the PF's", i);
		printf("vf%d sriov_totalvfs: %s\n", i, attr(vf[i], "sriov_totalvfs"));
		printf("vf%d irq: %s\n", i, attr(vf[i], "irq"));
	}
	saw(strcmp(target(vf[0], "iommu_group"), target(vf[1], "iommu_group")) != 0,
	    "the two VFs are in groups of their own");
	printf("virtfn2: %s\n", target(pf, "virtfn2"));
	printf("pf physfn: %s\n", target(pf, "physfn"));
	printf("pf sriov_drivers_autoprobe: %s\n", attr(pf, "sriov_drivers_autoprobe"));
	printf("pf sriov_vf_total_msix: %s\n", attr(pf, "sriov_vf_total_msix"));
}

/* ---- opening ---- */

static struct vfio ready(const char *dev)
{
	char group[128];
	struct vfio v;

	if (vfio_group_path(dev, group, sizeof(group)) ||
	    vfio_set_up(&v, group, VFIO_TYPE1v2_IOMMU))
		give_up(dev);
	return v;
}

static int device(const struct vfio *h, const char *dev, const char *option)
{
	char text[512];

	snprintf(text, sizeof(text), "%s%s%s", dev, option ? " " : "", option ? option : "");
	return ioctl(h->group, VFIO_GROUP_GET_DEVICE_FD, text);
}

/* Only whether it can be had. */
static void try(const struct vfio *h, const char *dev, const char *option, const char *what)
{
	int fd = device(h, dev, option), e = errno;

	if (fd >= 0)
		close(fd);
	errno = e;
	saw(fd < 0 ? -1 : 0, "token: %s", what);
}

static long feature(int fd, uint32_t flags, const void *uuid, size_t n)
{
	char buf[64] = { 0 };
	struct vfio_device_feature *f = (void *)buf;

	f->argsz = (uint32_t)(sizeof(*f) + n);
	f->flags = VFIO_DEVICE_FEATURE_PCI_VF_TOKEN | flags;
	memcpy(f->data, uuid, n);
	return ioctl(fd, VFIO_DEVICE_FEATURE, f);
}

static void tokens(void)
{
	static const uint8_t two[16] = { 0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33,
					 0x44, 0x44, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55 };
	struct vfio p = ready(pf), v = ready(vf[0]), w;
	int fp, fv, fp2;

	/* nobody has set one */
	try(&v, vf[0], NULL, "vf, none");
	try(&v, vf[0], "vf_token=" T1, "vf, one that was not set");
	try(&v, vf[0], "vf_token=", "vf, empty");
	try(&v, vf[0], "vf_token=" T1 "x", "vf, too long");
	try(&v, vf[0], "vf_token=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeee", "vf, too short");
	try(&v, vf[0], "vf_token=aaaaaaaabbbb-cccc-dddd-eeeeeeeeeeeeee", "vf, dashes elsewhere");
	try(&v, vf[0], "vf_token=gaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "vf, not hexadecimal");
	try(&v, vf[0], "vf_token=" T1 " vf_token=" T1, "vf, twice");
	try(&v, vf[0], "token=" T1, "vf, unknown option");
	try(&v, "0000:ff:1f.7", "vf_token=" T1, "another device");
	w = (struct vfio){ -1, vfio_open_group(vf[1]), -1, NULL };
	try(&w, vf[1], NULL, "vf, none, no container");
	try(&w, vf[1], "vf_token=" T1, "vf, wrong, no container");
	close(w.group);

	/* set by the PF's opening */
	fp = device(&p, pf, "vf_token=" T1);
	saw(fp < 0 ? -1 : 0, "token: pf sets one");
	try(&v, vf[0], NULL, "vf, none, pf open");
	try(&v, vf[0], "vf_token=" T2, "vf, wrong, pf open");
	try(&v, vf[0], "vf_token=" T1_BIG, "vf, right in capitals");
	try(&v, vf[0], " vf_token=" T1 "  ", "vf, right with spaces");
	fv = device(&v, vf[0], "vf_token=" T1);
	saw(fv < 0 ? -1 : 0, "token: vf, right");
	try(&p, pf, NULL, "pf again, none, vf open");
	try(&p, pf, "vf_token=" T2, "pf again, wrong, vf open");
	try(&p, pf, "vf_token=" T1, "pf again, right, vf open");
	try(&v, vf[0], NULL, "vf again, none");
	try(&v, vf[0], "vf_token=" T1, "vf again, right");
	close(fp);
	try(&p, pf, NULL, "pf after its close, none, vf open");
	try(&p, pf, "vf_token=" T2, "pf after its close, wrong, vf open");
	try(&p, pf, "vf_token=" T1, "pf after its close, right, vf open");
	close(fv);

	/* it outlives its user */
	try(&v, vf[0], "vf_token=" T1, "vf, right, pf closed");
	try(&p, pf, NULL, "pf, none, no vf open");
	try(&v, vf[0], "vf_token=" T1, "vf, right, after a pf without");
	try(&p, pf, "vf_token=" T2, "pf, another, no vf open");
	try(&v, vf[0], "vf_token=" T1, "vf, the old one");
	try(&v, vf[0], "vf_token=" T2, "vf, the new one");
	try(&p, pf, "vf_token=" T1 "x", "pf, malformed");

	/* set by the feature, while VFs are open, too */
	fp = device(&p, pf, "vf_token=" T1);
	fv = device(&v, vf[0], "vf_token=" T1);
	saw(feature(fp, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET, two, 16),
	    "token: feature probe set");
	saw(feature(fp, VFIO_DEVICE_FEATURE_PROBE, two, 0), "token: feature probe");
	saw(feature(fp, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET, two, 16),
	    "token: feature probe get");
	saw(feature(fp,
		    VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
		    two, 16),
	    "token: feature probe both");
	saw(feature(fp, VFIO_DEVICE_FEATURE_GET, two, 16), "token: feature get");
	saw(feature(fp, 0, two, 16), "token: feature without get or set");
	saw(feature(fp, VFIO_DEVICE_FEATURE_SET, two, 15), "token: feature set of 15 bytes");
	saw(feature(fv, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET, two, 16),
	    "token: feature probe set of a vf");
	saw(feature(fv, VFIO_DEVICE_FEATURE_SET, two, 16), "token: feature set of a vf");
	try(&v, vf[0], "vf_token=" T1, "vf, before the feature");
	saw(feature(fp, VFIO_DEVICE_FEATURE_SET, two, 16), "token: feature set");
	try(&v, vf[0], "vf_token=" T1, "vf, the old one, after the feature");
	try(&v, vf[0], "vf_token=" T2, "vf, the new one, after the feature");
	fp2 = device(&p, pf, "vf_token=" T2);
	saw(fp2 < 0 ? -1 : 0, "token: pf, the new one, after the feature");
	close(fp2);
	close(fv);
	close(fp);
	vfio_close(&v);
	vfio_close(&p);
}

/* ---- a VF as its user sees it ---- */

static uint32_t get(int fd, unsigned off, unsigned n)
{
	uint32_t v = 0;

	if (pread(fd, &v, n, (off_t)(CONFIG + off)) != (ssize_t)n)
		give_up("config read");
	return v;
}

static void set(int fd, unsigned off, unsigned n, uint32_t v)
{
	if (pwrite(fd, &v, n, (off_t)(CONFIG + off)) != (ssize_t)n)
		give_up("config write");
}

static unsigned ext_cap(int fd, unsigned id)
{
	uint32_t h = 0;

	for (unsigned off = 0x100, n = 0; off >= 0x100 && n < 64; off = h >> 20, n++) {
		h = get(fd, off, 4);
		if ((h & 0xffff) == id)
			return off;
	}
	return 0;
}

static long do_hot_reset(int fd, const int *groups, unsigned n)
{
	char buf[64] = { 0 };
	struct vfio_pci_hot_reset *r = (void *)buf;

	r->argsz = sizeof(*r) + 4 * n;
	r->count = n;
	memcpy(r->group_fds, groups, 4 * n);
	return ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, r);
}

/* By who has some of the groups, and who has all of them. */
static void hot_reset(int fp, int fv, int pf_group, int vf_group)
{
	int all[3] = { pf_group, vf_group, vfio_open_group(vf[0]) }, some[2] = { vf_group, all[2] };
	struct vfio_pci_hot_reset_info hi = { .argsz = sizeof(hi) };
	uint32_t x;

	set(fv, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	saw(do_hot_reset(fv, &vf_group, 1), "hot reset: of a vf, by its group");
	saw(do_hot_reset(fv, some, 2), "hot reset: of a vf, by the VFs' groups");
	saw(do_hot_reset(fv, all, 3), "hot reset: of a vf, by all groups");
	saw(ioctl(fp, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi), "hot reset: info of the pf");
	saw(hi.count, "hot reset: of the pf takes along");
	saw(do_hot_reset(fp, &pf_group, 1), "hot reset: of the pf, by its group");
	saw(do_hot_reset(fp, all, 3), "hot reset: of the pf, by all groups");
	saw(get(fv, PCI_COMMAND, 2) & PCI_COMMAND_MASTER, "hot reset: the vf's bus mastering");
	saw(get(fv, PCI_VENDOR_ID, 2) == strtoul(attr(pf, "vendor"), NULL, 16),
	    "hot reset: the vf is there");
	saw(pread(fv, &x, 4, 0), "hot reset: load from the vf's BAR0");
	close(all[2]);
}

static void config(void)
{
	static const uint16_t commands[] = { 0,
					     PCI_COMMAND_MEMORY,
					     PCI_COMMAND_MASTER,
					     PCI_COMMAND_IO,
					     0x7ff,
					     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER };
	struct vfio p = ready(pf), v = ready(vf[1]);
	int fp = device(&p, pf, "vf_token=" T1), fv = device(&v, vf[1], "vf_token=" T1);
	struct vfio_device_info di = { .argsz = sizeof(di) };
	unsigned cap;
	uint32_t x;

	if (fp < 0 || fv < 0)
		give_up("open");
	saw(get(fv, PCI_VENDOR_ID, 2) == get(fp, PCI_VENDOR_ID, 2), "config: vendor is the PF's");
	saw(get(fv, PCI_DEVICE_ID, 2) == strtoul(attr(pf, "sriov_vf_device"), NULL, 16),
	    "config: device is the capability's");
	saw(get(fv, 0, 4) >> 16 == get(fv, PCI_DEVICE_ID, 2), "config: both at once");
	saw(get(fv, PCI_COMMAND, 2), "config: command at open");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		set(fv, PCI_COMMAND, 2, commands[i]);
		/*
		 * the other bits are the hardware's; QEMU's VFs have some that should read 0 (PCIe
		 * 6.0, 9.3.4.1.3)
		 */
		saw(get(fv, PCI_COMMAND, 2) & (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER),
		    "config: command 0x%x reads", commands[i]);
		saw(pread(fv, &x, 4, 0), "config: load from BAR0 with command 0x%x", commands[i]);
	}
	saw(get(fv, PCI_INTERRUPT_PIN, 1), "config: pin");
	set(fv, PCI_INTERRUPT_LINE, 1, 5);
	saw(get(fv, PCI_INTERRUPT_LINE, 1), "config: line");
	saw(get(fv, PCI_ROM_ADDRESS, 4), "config: rom");
	set(fv, PCI_ROM_ADDRESS, 4, 0xffffffff);
	saw(get(fv, PCI_ROM_ADDRESS, 4), "config: rom sized");
	for (unsigned i = 0; i < 6; i++) {
		struct vfio_region_info ri = { .argsz = sizeof(ri), .index = i };
		unsigned reg = PCI_BASE_ADDRESS_0 + 4 * i;
		uint32_t first = get(fv, reg, 4);

		if (ioctl(fv, VFIO_DEVICE_GET_REGION_INFO, &ri))
			give_up("region info");
		set(fv, reg, 4, 0xffffffff);
		if (ri.size) {
			/* an address of the host's is not the user's to know */
			saw(first & ~0xfu, "config: bar address at open");
			saw((get(fv, reg, 4) & ~0xfu) == (uint32_t) ~(ri.size - 1),
			    "config: bar sizes as its region");
			saw(!(ri.flags & VFIO_REGION_INFO_FLAG_READ) ||
				    !(ri.flags & VFIO_REGION_INFO_FLAG_WRITE),
			    "config: bar lacks read or write");
		}
	}
	saw(ioctl(fv, VFIO_DEVICE_GET_INFO, &di), "config: device info");
	saw(di.flags & (VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI), "config: device flags");
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		struct vfio_irq_info ii = { .argsz = sizeof(ii), .index = i };

		saw(ioctl(fv, VFIO_DEVICE_GET_IRQ_INFO, &ii), "config: irq %u", i);
		if (i == VFIO_PCI_INTX_IRQ_INDEX || i >= VFIO_PCI_ERR_IRQ_INDEX)
			saw(ii.count, "config: irq %u vectors", i);
		if (i == VFIO_PCI_MSIX_IRQ_INDEX)
			saw(ii.count > 0, "config: has MSI-X");
	}
	saw(ext_cap(fv, PCI_EXT_CAP_ID_SRIOV), "config: a VF has no SR-IOV");

	/* the PF's capability is to be seen and not to be changed */
	cap = ext_cap(fp, PCI_EXT_CAP_ID_SRIOV);
	saw(cap != 0, "config: the PF has SR-IOV");
	saw(get(fp, cap + PCI_SRIOV_NUM_VF, 2), "config: NumVFs");
	saw(get(fp, cap + PCI_SRIOV_CTRL, 2) & (PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE),
	    "config: VF Enable and MSE");
	set(fp, cap + PCI_SRIOV_NUM_VF, 2, 1);
	set(fp, cap + PCI_SRIOV_CTRL, 2, 0);
	saw(get(fp, cap + PCI_SRIOV_NUM_VF, 2), "config: NumVFs, written");
	saw(get(fp, cap + PCI_SRIOV_CTRL, 2) & (PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE),
	    "config: VF Enable and MSE, written");

	/* resets: of the VF alone, and of the PF, which takes the VF along and gets its VFs back */
	set(fv, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	saw(ioctl(fv, VFIO_DEVICE_RESET), "reset: vf");
	saw(get(fv, PCI_COMMAND, 2) & PCI_COMMAND_MASTER,
	    "reset: vf's bus mastering after its own");
	saw(ioctl(fp, VFIO_DEVICE_RESET), "reset: pf");
	saw(get(fp, cap + PCI_SRIOV_NUM_VF, 2), "reset: NumVFs after the PF's");
	saw(get(fp, cap + PCI_SRIOV_CTRL, 2) & (PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE),
	    "reset: VF Enable and MSE after the PF's");
	saw(get(fv, PCI_VENDOR_ID, 2) == get(fp, PCI_VENDOR_ID, 2),
	    "reset: the VF is there after the PF's");
	saw(get(fv, PCI_COMMAND, 2) & PCI_COMMAND_MASTER,
	    "reset: vf's bus mastering after the PF's");
	saw(pread(fv, &x, 4, 0), "reset: load from the VF's BAR0 after the PF's");
	saw(get(fv, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, "reset: status of the VF after the PF's");

	/* who is reset with it: all of the device */
	{
		struct vfio_pci_hot_reset_info hi = { .argsz = sizeof(hi) };

		saw(ioctl(fv, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &hi), "hot reset info of a vf");
		saw(hi.count, "hot reset of a vf takes along");
	}
	hot_reset(fp, fv, p.group, v.group);
	close(fv);
	vfio_close(&v);
	close(fp);
	vfio_close(&p);
	put("0");
	printf("virtfn0 after 0: %s\n", target(pf, "virtfn0"));
	saw(access(attr_path(vf[0], ""), F_OK), "vf0 after 0");
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: client PF-ADDRESS\n");
		return 2;
	}
	pf = argv[1];
	numvfs();
	view();
	tokens();
	config();
	return 0;
}
