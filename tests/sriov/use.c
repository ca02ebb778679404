/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/sriov/use.c: `use STEP...`: uses the functions of tests/sriov/model.c as the steps say, and
 * prints a line for each: what it gave, or an errno. A device is open from its "open" until "close"
 * or the end. libc alone.
 *
 *     open ADDR TOKEN|-      container, group, device
 *     group ADDR             only the group, and gives it back
 *     close ADDR             all three
 *     read ADDR OFF          a register of BAR 0
 *     write ADDR OFF VALUE
 *     dma ADDR               map a page at 0x10000 for its container, let it write there: what is
 *                            in the page then
 *     alias ADDR ADDR2       the first writes to what the second one's container has mapped
 *     msi ADDR               MSI-X 0 arrives
 *     numvfs ADDR N          write sriov_numvfs
 *     stdio ADDR N           the same by fprintf and fclose
 *     map ADDR OFF           a register through mmap
 *     wait                   say "ready", go on at a line or the end of stdin
 *     vfs ADDR               the number that the PF's capability tells
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/vfio.h"

#define CONFIG VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)
#define IOVA   0x10000ull

static struct opened {
	char addr[32];
	struct vfio vfio;
	uint8_t *page;
} opened[8];

static void say(const char *step, const char *about, long r)
{
	int e = errno;

	if (r == -1)
		printf("%s %s: %s\n", step, about, strerrorname_np(e));
	else
		printf("%s %s: 0x%lx\n", step, about, r);
	fflush(stdout);
}

static struct opened *find(const char *addr)
{
	for (int i = 0; i < 8; i++)
		if (!strcmp(opened[i].addr, addr))
			return &opened[i];
	return NULL;
}

static void close_all(struct opened *o)
{
	vfio_close(&o->vfio);
	o->addr[0] = '\0';
}

static long open_device(const char *addr, const char *token)
{
	struct opened *o = find("");
	char name[128], group[128];

	if (vfio_group_path(addr, group, sizeof(group)))
		return -1;
	*o = (struct opened){ .page = NULL };
	snprintf(name, sizeof(name), "%s%s%s", addr,
		 *token == '-' ? "" : " vf_token=", *token == '-' ? "" : token);
	if (vfio_open_device(&o->vfio, group, name)) {
		close_all(o);
		return -1;
	}
	snprintf(o->addr, sizeof(o->addr), "%s", addr);
	return 0;
}

static uint64_t load(const struct opened *o, uint64_t off, unsigned n)
{
	uint64_t v = 0;

	return pread(o->vfio.device, &v, n, (off_t)off) == (ssize_t)n ? v : UINT64_MAX;
}

static int store(const struct opened *o, uint64_t off, unsigned n, uint64_t v)
{
	return pwrite(o->vfio.device, &v, n, (off_t)off) == (ssize_t)n ? 0 : -1;
}

static void master(const struct opened *o)
{
	store(o, CONFIG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static int map_page(struct opened *o)
{
	if (o->page)
		return 0;
	o->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return vfio_dma_map(o->vfio.container, o->page, IOVA, 4096,
			    VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
}

/* @by writes its number to IOVA; what is in the page of @where then */
static long dma(struct opened *by, struct opened *where)
{
	if (map_page(where))
		return -1;
	memset(where->page, 0, 4);
	master(by);
	store(by, 0x18, 8, IOVA);
	return (long)(*(volatile uint32_t *)where->page | load(by, 0x18, 4) << 32);
}

static long msi(const struct opened *o)
{
	int efd = eventfd(0, EFD_NONBLOCK);
	struct pollfd p = { .fd = efd, .events = POLLIN };

	master(o);
	if (vfio_set_irqs(o->vfio.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			  VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &efd) ||
	    store(o, 0x10, 4, 0))
		return -1;
	return poll(&p, 1, 2000);
}

static long numvfs(const char *addr, const char *text)
{
	char path[128];
	int fd, e;
	long r;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", addr);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	r = write(fd, text, strlen(text));
	e = errno;
	close(fd);
	errno = e;
	return r;
}

static long stdio(const char *addr, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", addr);
	f = fopen(path, "w");
	if (!f)
		return -1;
	fprintf(f, "%s\n", text);
	return fclose(f) ? -1 : 0;
}

static long mapped(const struct opened *o, uint64_t off)
{
	volatile uint32_t *p =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, o->vfio.device, 0);

	long v;

	if (p == MAP_FAILED)
		return -1;
	v = p[off / 4];
	munmap((void *)p, 4096); /* a mapping keeps the device open */
	return v;
}

static long vfs(const struct opened *o)
{
	uint32_t h = 0;

	for (unsigned off = 0x100; off >= 0x100; off = h >> 20) {
		h = (uint32_t)load(o, CONFIG + off, 4);
		if ((h & 0xffff) == PCI_EXT_CAP_ID_SRIOV)
			return load(o, CONFIG + off + PCI_SRIOV_CTRL, 2) & PCI_SRIOV_CTRL_VFE
				       ? (long)load(o, CONFIG + off + PCI_SRIOV_NUM_VF, 2)
				       : 0;
	}
	return -1;
}

int main(int argc, char **argv)
{
	char line[64];

	for (int i = 1; i < argc; i++) {
		const char *s = argv[i], *a = i + 1 < argc ? argv[i + 1] : "",
			   *b = i + 2 < argc ? argv[i + 2] : "",
			   *c = i + 3 < argc ? argv[i + 3] : "";
		struct opened *o = find(a);

		if (!strcmp(s, "wait")) {
			puts("ready");
			fflush(stdout);
			if (!fgets(line, sizeof(line), stdin))
				return 0;
			continue;
		}
		i++;
		if (!strcmp(s, "group")) {
			int g = vfio_open_group(a), e = errno;

			if (g >= 0)
				close(g);
			errno = e;
			say(s, a, g < 0 ? -1 : 0);
		} else if (!strcmp(s, "open")) {
			say(s, a, open_device(a, b)), i++;
		} else if (!strcmp(s, "numvfs")) {
			say(s, b, numvfs(a, b)), i++;
		} else if (!strcmp(s, "stdio")) {
			say(s, b, stdio(a, b)), i++;
		} else if (!o || !*a) {
			printf("%s %s: not open\n", s, a);
			i += !strcmp(s, "read") + 2 * !strcmp(s, "write") + !strcmp(s, "alias") +
			     !strcmp(s, "map");
		} else if (!strcmp(s, "close")) {
			close_all(o);
		} else if (!strcmp(s, "read")) {
			say(s, a, (long)load(o, strtoul(b, NULL, 0), 4)), i++;
		} else if (!strcmp(s, "write")) {
			say(s, a, store(o, strtoul(b, NULL, 0), 4, strtoul(c, NULL, 0))), i += 2;
		} else if (!strcmp(s, "dma")) {
			say(s, a, dma(o, o));
		} else if (!strcmp(s, "alias")) {
			say(s, a, find(b) ? dma(o, find(b)) : -1), i++;
		} else if (!strcmp(s, "msi")) {
			say(s, a, msi(o));
		} else if (!strcmp(s, "map")) {
			say(s, a, mapped(o, strtoul(b, NULL, 0))), i++;
		} else if (!strcmp(s, "vfs")) {
			say(s, a, vfs(o));
		} else {
			fprintf(stderr, "use: %s?\n", s);
			return 2;
		}
	}
	return 0;
}
