/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/iommufd/probe.h: a client that asks /dev/iommu, the character device of a PCI device and
 * its group some 2500 questions, and writes the answers down, one a line: "section: question:
 * answer".
 *
 * The same binary runs under uvfio and in a virtual machine on a kernel that has all three
 * (tools/kernel-iommufd); tests/iommufd/run compares the two. Answers hold no address, and no
 * number that may vary. It uses libc alone: the requests of linux/iommufd.h and linux/vfio.h stand
 * here in a short form, since no header of Debian 12 has all of them.
 */
#ifndef PROBE_H
#define PROBE_H
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;
#define PG  4096ull
#define ALL (~0ull)

/* the requests, by their number in ';' */
enum {
	DESTROY = 0x80,
	IOAS_ALLOC,
	ALLOW,
	COPY,
	RANGES,
	MAP,
	UNMAP,
	OPTION,
	VFIO_IOAS,
	HWPT,
	HWINFO,
	SETDIRTY,
	GETDIRTY,
	INVAL,
	FAULTQ,
	MAPFILE,
	VIOMMU,
	VDEVICE,
	CHPROC,
	VEVENTQ,
	HWQUEUE,
	GETPA
};
enum {
	API = 100,
	CHECK,
	SETIOMMU,
	STATUS,
	SETCONT,
	UNSETCONT,
	GETDEV,
	DEVINFO,
	REGION,
	IRQINFO,
	SETIRQS,
	RESET,
	HOTINFO,
	HOTRESET,
	GFXPLANE,
	GFXDMABUF,
	IOEVENT,
	FEATURE,
	BIND,
	ATTACH,
	DETACH,
	PRECOPY
};
enum { C_INFO = 112, C_MAP, C_UNMAP, C_ENABLE, C_DISABLE, C_DIRTY };
enum { FIXED = 1, WR = 2, RD = 4 };
#define RW (RD | WR)
struct ioas {
	u32 size, flags, id;
};
struct range {
	u64 start, last;
};
struct ranges {
	u32 size, id, num, res;
	u64 ptr, align;
};
struct allow {
	u32 size, id, num, res;
	u64 ptr;
};
struct map {
	u32 size, flags, id, res;
	u64 va, len, iova;
};
struct mapfile {
	u32 size, flags, id;
	int fd;
	u64 start, len, iova;
};
struct copy {
	u32 size, flags, dst, src;
	u64 len, diova, siova;
};
struct unmap {
	u32 size, id;
	u64 iova, len;
};
struct option {
	u32 size, opt;
	u16 op, res;
	u32 obj;
	u64 val;
};
struct vioas {
	u32 size, id;
	u16 op, res;
};
struct hwpt {
	u32 size, flags, dev, pt, out, res, type, len;
	u64 ptr;
	u32 fault, res2;
};
struct hwinfo {
	u32 size, flags, dev, len;
	u64 ptr;
	u32 type;
	u8 pasid, res[3];
	u64 caps;
};
struct setdirty {
	u32 size, flags, hwpt, res;
};
struct getdirty {
	u32 size, hwpt, flags, res;
	u64 iova, len, pgsz, data;
};
struct inval {
	u32 size, hwpt;
	u64 ptr;
	u32 type, elen, enum_, res;
};
struct faultq {
	u32 size, flags, id, fd;
};
struct viommu {
	u32 size, flags, type, dev, hwpt, out, len, res;
	u64 ptr;
};
struct vdevice {
	u32 size, viommu, dev, out;
	u64 virt;
};
struct veventq {
	u32 size, flags, viommu, type, depth, out, fd, res;
};
struct hwqueue {
	u32 size, flags, viommu, type, index, out;
	u64 iova, len;
};
struct getpa {
	u32 size, flags, id, res;
	u64 iova, len, phys;
};
struct bind {
	u32 argsz, flags;
	int fd;
	u32 devid;
	u64 token;
};
struct attach {
	u32 argsz, flags, pt, pasid;
};
struct detach {
	u32 argsz, flags, pasid;
};
struct dmap {
	u32 argsz, flags;
	u64 va, iova, size;
};
struct dunmap {
	u32 argsz, flags;
	u64 iova, size;
};

extern const char *bdf, *section;
extern char cdevpath[64], grouppath[64], cdevname[64];
extern u8 *mem; /* 64 pages of anonymous memory */

/* the usual state: an iommufd, the device bound to it, an address space */
struct st {
	int i, d;
	u32 dev, as;
	int ok;
};

/* Return the name of an errno. */
const char *name_of(int e);
/* Print an answer: @r < 0 is an error, else a value; then what more there is to say. */
void say(const char *q, long r, const char *more, ...);
/* Return the text of a question, made up. */
const char *f(const char *fmt, ...);
/* Make request @nr with a pointer, or (ov) a value; return its answer or -errno. */
int io(int fd, unsigned nr, const void *arg);
int ov(int fd, unsigned nr, unsigned long v);
void shut(int fd);
/* Open a file; the answer may be -errno, which shut() takes, too. */
int opn(const char *p, int how);
int iommu(void);
int cdev(void);
int ioas(int fd, u32 *id);
int destroy(int fd, u32 id);
int bindto(int dev, int ifd, u32 *id);
int attach(int dev, u32 *pt);
int attach1(int dev, u32 pt);
int detach(int dev);
int mapf(int fd, u32 id, u32 flags, u64 va, u64 len, u64 *iova);
int map(int fd, u32 id, u32 flags, const void *va, u64 len, u64 iova);
int unmap(int fd, u32 id, u64 iova, u64 len, u64 *out);
int unmap1(int fd, u32 id, u64 iova, u64 len);
int copyf(int fd, u32 dst, u32 src, u32 flags, u64 len, u64 diova, u64 siova);
int hwpt(int fd, u32 dev, u32 pt, u32 flags, u32 *out);
int allowf(int fd, u32 id, u32 n, const struct range *r);
/* Return a copy of @n bytes of @what in memory that may only be read. */
void *ro(const void *what, size_t n);
struct st start(void);

#define S(q, r) say(q, r, NULL)

/* shared by sections */
void each_device_ioctl(int d, const char *when);
int opt(int i, u32 o, u16 op, u32 obj, u64 *v);
int mfile(int i, u32 id, u32 flags, int fd, u64 start, u64 len, u64 iova);

/* the sections */
void ask_nodes(void);
void ask_unbound(void);
void ask_bind(void);
void ask_attach(void);
void ask_ioas(void);
void ask_ranges(void);
void ask_allow(void);
void ask_map(void);
void ask_unmap(void);
void ask_copy(void);
void ask_mapfile(void);
void ask_option(void);
void ask_hwpt(void);
void ask_hwinfo(void);
void ask_dirty(void);
void ask_vfioioas(void);
void ask_compat(void);
void ask_type1(void);
void ask_virt(void);
void ask_sizes(void);
void ask_features(void);
void ask_gfeatures(void);
void ask_dmabuf(void);
void ask_device(void);
void ask_closing(void);
void ask_noiommu(void);
#endif
