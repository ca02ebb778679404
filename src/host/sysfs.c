/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/sysfs.c: what the host's sysfs says of a function: its drivers and links, BARs, config
 * space. Read by system calls of our own: in a program under the shim, /sys is what that shows.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "uvfio/model.h"
#include "host/internal.h"

/* linux/ioport.h: what the third number of a line of `resource` has */
#define RESOURCE_IO	  0x00000100u
#define RESOURCE_MEM	  0x00000200u
#define RESOURCE_PREFETCH 0x00002000u
#define RESOURCE_MEM_64	  0x00100000u

/* Write the path of a file of device @name to @path. */
static char *path_of(const struct host_env *env, const char *name, const char *file,
		     char path[HOST_PATH])
{
	snprintf(path, HOST_PATH, "%s/bus/pci/devices/%s/%s", env->sysfs, name, file);
	return path;
}

int host_sysfs_link(const struct host_env *env, const char *name, const char *link, char *out,
		    size_t size)
{
	char path[HOST_PATH], target[HOST_PATH], *last;
	long n = sys_call(SYS_readlinkat, AT_FDCWD, (long)path_of(env, name, link, path),
			  (long)target, sizeof(target) - 1, 0, 0);

	if (n < 0)
		return (int)n;
	target[n] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= size)
		return -ENAMETOOLONG;
	strcpy(out, last);
	return (int)strlen(out);
}

int host_sysfs_group(const struct host_env *env, const char *name)
{
	char group[16];
	const char *c = group;
	int id = 0, rc = host_sysfs_link(env, name, "iommu_group", group, sizeof(group));

	if (rc < 0)
		return rc;
	for (; *c >= '0' && *c <= '9' && id <= INT_MAX / 10 - 1; c++)
		id = id * 10 + (*c - '0');
	return c == group || *c ? -EINVAL : id;
}

int host_sysfs_of_cdev(const struct host_env *env, int fd, char *out, size_t size)
{
	struct stat st;
	char dir[64];
	long rc = sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0);

	if (rc < 0)
		return (int)rc;
	snprintf(dir, sizeof(dir), "dev/char/%u:%u/device", major(st.st_rdev), minor(st.st_rdev));
	return host_sysfs_link(env, HOST_SYSFS_TOP, dir, out, size);
}

/* Read at most @size bytes of a file from @offset on: how many, or -errno. */
static ssize_t read_at(const struct host_env *env, const char *name, const char *file, void *out,
		       size_t size, off_t offset)
{
	char path[HOST_PATH];
	int fd = sys_open(path_of(env, name, file, path), O_RDONLY | O_CLOEXEC, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = sys_pread(fd, out, size, offset);
	sys_close(fd);
	return n;
}

int host_sysfs_read(const struct host_env *env, const char *name, const char *file, char *out,
		    size_t size)
{
	ssize_t n = read_at(env, name, file, out, size - 1, 0);

	out[n < 0 ? 0 : n] = '\0';
	return (int)n;
}

int host_sysfs_write(const struct host_env *env, const char *name, const char *file,
		     const char *text)
{
	char path[HOST_PATH];
	int fd = sys_open(path_of(env, name, file, path), O_WRONLY | O_CLOEXEC, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = sys_write(fd, text, strlen(text));
	sys_close(fd);
	return (int)n;
}

/* linux/dirent.h */
struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

int host_sysfs_each(const struct host_env *env, const char *path,
		    int (*fn)(const char *name, void *arg), void *arg)
{
	char buf[1024] __attribute__((aligned(8))), full[HOST_PATH];
	const struct entry *e;
	int fd, rc = 0;
	long n;

	snprintf(full, sizeof(full), "%s/%s", env->sysfs, path);
	fd = sys_open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	while (!rc && (n = sys_call(SYS_getdents64, fd, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
		for (long at = 0; at < n && !rc; at += e->len) {
			e = (const struct entry *)(buf + at);
			if (e->name[0] != '.')
				rc = fn(e->name, arg);
		}
	}
	sys_close(fd);
	return rc ? rc : n < 0 ? (int)n : 0;
}

/* ---- what a bus sees ---- */

/* A line of `resource`; flags 0: there is no such BAR. */
struct resource {
	uint64_t start, end, flags;
};

static int read_resource(const struct host_device *h, unsigned bar, struct resource *out)
{
	char text[2048], *line = text;
	int rc = host_sysfs_read(h->env, h->name, "resource", text, sizeof(text));

	*out = (struct resource){ 0 };
	if (rc < 0)
		return rc;
	for (; bar && line; bar--) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!line || sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64, &out->start, &out->end,
			    &out->flags) != 3)
		out->flags = 0;
	return 0;
}

int host_bar(struct host_device *h, unsigned bar, struct host_bar *out)
{
	struct resource r;
	int rc;

	*out = (struct host_bar){ 0 };
	if (bar >= HOST_BARS)
		return -EINVAL;
	rc = read_resource(h, bar, &r);
	if (rc || !r.flags)
		return rc;
	out->size = r.end - r.start + 1;
	if (r.flags & RESOURCE_IO)
		out->flags |= UVFIO_BAR_IO;
	if (r.flags & RESOURCE_MEM_64)
		out->flags |= UVFIO_BAR_64;
	if (r.flags & RESOURCE_PREFETCH)
		out->flags |= UVFIO_BAR_PREFETCH;
	return 0;
}

unsigned host_config_size(struct host_device *h)
{
	uint8_t all[PCI_CFG_SPACE_EXP_SIZE];
	ssize_t n = read_at(h->env, h->name, "config", all, sizeof(all), 0);

	return n >= (ssize_t)PCI_CFG_SPACE_EXP_SIZE ? PCI_CFG_SPACE_EXP_SIZE
	       : n >= (ssize_t)PCI_CFG_SPACE_SIZE   ? PCI_CFG_SPACE_SIZE
						    : PCI_STD_HEADER_SIZEOF;
}

int host_vpd_read(struct host_device *h, unsigned offset, uint32_t *out)
{
	ssize_t n = read_at(h->env, h->name, "vpd", out, sizeof(*out), offset);

	return n < 0 ? (int)n : n == sizeof(*out) ? 0 : -EIO;
}

static bool is_vf(const struct host_device *h)
{
	char pf[32];

	return host_sysfs_link(h->env, h->name, "physfn", pf, sizeof(pf)) > 0;
}

static uint32_t read_hex(const struct host_device *h, const char *file)
{
	char text[32];

	return host_sysfs_read(h->env, h->name, file, text, sizeof(text)) > 0
		       ? (uint32_t)strtoul(text, NULL, 16)
		       : UINT32_MAX;
}

/* Find what register @reg of a VF has, which reads as ones, or as 0. False: it is as it is. */
static bool vf_register(const struct host_device *h, unsigned reg, uint32_t *v)
{
	unsigned bar = (reg - PCI_BASE_ADDRESS_0) / 4;
	struct resource r;

	if (reg == PCI_VENDOR_ID) {
		*v = (read_hex(h, "vendor") & 0xffff) | read_hex(h, "device") << 16;
		return true;
	}
	if (reg < PCI_BASE_ADDRESS_0 || bar >= PCI_STD_NUM_BARS || read_resource(h, bar, &r))
		return false;
	*v = (uint32_t)r.start |
	     (r.flags & (PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH));
	if (!r.flags && bar && !read_resource(h, bar - 1, &r) && r.flags & RESOURCE_MEM_64)
		*v = (uint32_t)(r.start >> 32);
	return true;
}

uint32_t host_config_read(struct host_device *h, unsigned offset, unsigned size)
{
	unsigned reg = offset & ~3u;
	uint32_t v = UINT32_MAX;
	ssize_t n = read_at(h->env, h->name, "config", &v, size, offset);

	if (n != (ssize_t)size)
		v = UINT32_MAX;
	if (reg < PCI_STD_HEADER_SIZEOF && is_vf(h) && vf_register(h, reg, &v))
		v >>= 8 * (offset - reg);
	return size == 4 ? v : v & ((1u << 8 * size) - 1);
}
