/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/iommufd/probe.c: `iommufd_probe [-s SECTION]... ADDRESS`: all sections, or these; section
 * noiommu if the device has no IOMMU. Each runs in a process of its own, from nothing open, for at
 * most 60 seconds. Also the helpers that the sections share.
 */
#include "probe.h"

const char *bdf, *section;
char cdevpath[64], grouppath[64], cdevname[64];
u8 *mem;
static int has_iommu = 1;

const char *name_of(int e)
{
	static const struct {
		int e;
		const char *n;
	} t[] = { { EPERM, "EPERM" },
		  { ENOENT, "ENOENT" },
		  { EIO, "EIO" },
		  { ENXIO, "ENXIO" },
		  { E2BIG, "E2BIG" },
		  { EBADF, "EBADF" },
		  { EAGAIN, "EAGAIN" },
		  { ENOMEM, "ENOMEM" },
		  { EACCES, "EACCES" },
		  { EFAULT, "EFAULT" },
		  { EBUSY, "EBUSY" },
		  { EEXIST, "EEXIST" },
		  { ENODEV, "ENODEV" },
		  { EINVAL, "EINVAL" },
		  { ENOTTY, "ENOTTY" },
		  { ENOSPC, "ENOSPC" },
		  { ESPIPE, "ESPIPE" },
		  { ERANGE, "ERANGE" },
		  { EOVERFLOW, "EOVERFLOW" },
		  { EBADFD, "EBADFD" },
		  { EMSGSIZE, "EMSGSIZE" },
		  { EOPNOTSUPP, "EOPNOTSUPP" },
		  { EADDRINUSE, "EADDRINUSE" },
		  { ENOSYS, "ENOSYS" },
		  { ETIMEDOUT, "ETIMEDOUT" },
		  { ENOMSG, "ENOMSG" },
		  { EFBIG, "EFBIG" },
		  { EROFS, "EROFS" },
		  { ENOTDIR, "ENOTDIR" },
		  { EMFILE, "EMFILE" },
		  { 524, "ENOTSUPP" },
		  { 515, "ENOIOCTLCMD" } };
	static char b[16];
	for (unsigned i = 0; i < sizeof t / sizeof *t; i++)
		if (t[i].e == e)
			return t[i].n;
	snprintf(b, sizeof b, "E%d", e);
	return b;
}

void say(const char *q, long r, const char *more, ...)
{
	printf("%s: %s: ", section, q);
	if (r < 0)
		printf("%s", name_of(-r));
	else
		printf("%ld", r);
	if (more && *more) {
		va_list a;
		va_start(a, more);
		putchar(' ');
		vprintf(more, a);
		va_end(a);
	}
	putchar('\n');
	fflush(stdout);
}

const char *f(const char *fmt, ...)
{
	static char b[4][200];
	static int i;
	va_list a;
	i = (i + 1) & 3;
	va_start(a, fmt);
	vsnprintf(b[i], sizeof b[i], fmt, a);
	va_end(a);
	return b[i];
}

int io(int fd, unsigned nr, const void *arg)
{
	int r = ioctl(fd, 0x3b00u | nr, arg);
	return r < 0 ? -errno : r;
}

int ov(int fd, unsigned nr, unsigned long v)
{
	int r = ioctl(fd, 0x3b00u | nr, v);
	return r < 0 ? -errno : r;
}

static int fdof(int r)
{
	return r < 0 ? -errno : r;
}

void shut(int fd)
{
	if (fd >= 0)
		close(fd);
}

int opn(const char *p, int how)
{
	return fdof(open(p, how | O_CLOEXEC));
}

int iommu(void)
{
	return opn("/dev/iommu", O_RDWR);
}

int cdev(void)
{
	return cdevpath[0] ? opn(cdevpath, O_RDWR) : -ENOENT;
}

int ioas(int fd, u32 *id)
{
	struct ioas a = { sizeof a, 0, 0 };
	int r = io(fd, IOAS_ALLOC, &a);
	*id = a.id;
	return r;
}

int destroy(int fd, u32 id)
{
	u32 a[2] = { 8, id };
	return io(fd, DESTROY, a);
}

int bindto(int dev, int ifd, u32 *id)
{
	struct bind b = { .argsz = sizeof b, .fd = ifd };
	int r = io(dev, BIND, &b);
	if (id)
		*id = b.devid;
	return r;
}

int attach(int dev, u32 *pt)
{
	struct attach a = { .argsz = 12, .pt = *pt };
	int r = io(dev, ATTACH, &a);
	*pt = a.pt;
	return r;
}

int attach1(int dev, u32 pt)
{
	return attach(dev, &pt);
}

int detach(int dev)
{
	struct detach d = { .argsz = 8 };
	return io(dev, DETACH, &d);
}

int mapf(int fd, u32 id, u32 flags, u64 va, u64 len, u64 *iova)
{
	struct map m = { sizeof m, flags, id, 0, va, len, *iova };
	int r = io(fd, MAP, &m);
	*iova = m.iova;
	return r;
}

int map(int fd, u32 id, u32 flags, const void *va, u64 len, u64 iova)
{
	return mapf(fd, id, flags, (u64)(uintptr_t)va, len, &iova);
}

int unmap(int fd, u32 id, u64 iova, u64 len, u64 *out)
{
	struct unmap u = { sizeof u, id, iova, len };
	int r = io(fd, UNMAP, &u);
	if (out)
		*out = u.len;
	return r;
}

int unmap1(int fd, u32 id, u64 iova, u64 len)
{
	return unmap(fd, id, iova, len, NULL);
}

int copyf(int fd, u32 dst, u32 src, u32 flags, u64 len, u64 diova, u64 siova)
{
	struct copy c = { sizeof c, flags, dst, src, len, diova, siova };
	return io(fd, COPY, &c);
}

int hwpt(int fd, u32 dev, u32 pt, u32 flags, u32 *out)
{
	struct hwpt h = { .size = sizeof h, .flags = flags, .dev = dev, .pt = pt };
	int r = io(fd, HWPT, &h);
	if (out)
		*out = h.out;
	return r;
}

int allowf(int fd, u32 id, u32 n, const struct range *r)
{
	struct allow a = { sizeof a, id, n, 0, (u64)(uintptr_t)r };
	return io(fd, ALLOW, &a);
}

void *ro(const void *what, size_t n)
{
	void *p = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(p, what, n);
	mprotect(p, PG, PROT_READ);
	return p;
}

struct st start(void)
{
	struct st s = { iommu(), cdev(), 0, 0, 0 };
	int r = bindto(s.d, s.i, &s.dev);
	int q = ioas(s.i, &s.as);
	s.ok = s.i >= 0 && s.d >= 0 && r == 0 && q == 0;
	if (!s.ok)
		printf("%s: no start: iommu %s, cdev %s, bind %s, ioas %s\n", section,
		       s.i < 0 ? name_of(-s.i) : "0", s.d < 0 ? name_of(-s.d) : "0",
		       r < 0 ? name_of(-r) : "0", q < 0 ? name_of(-q) : "0");
	return s;
}

static const struct {
	const char *n;
	void (*f)(void);
} all[] = {
	{ "nodes", ask_nodes },		{ "unbound", ask_unbound }, { "bind", ask_bind },
	{ "attach", ask_attach },	{ "ioas", ask_ioas },	    { "ranges", ask_ranges },
	{ "allow", ask_allow },		{ "map", ask_map },	    { "unmap", ask_unmap },
	{ "copy", ask_copy },		{ "mapfile", ask_mapfile }, { "option", ask_option },
	{ "hwpt", ask_hwpt },		{ "hwinfo", ask_hwinfo },   { "dirty", ask_dirty },
	{ "vfioioas", ask_vfioioas },	{ "compat", ask_compat },   { "type1", ask_type1 },
	{ "virt", ask_virt },		{ "sizes", ask_sizes },	    { "features", ask_features },
	{ "gfeatures", ask_gfeatures }, { "dmabuf", ask_dmabuf },   { "device", ask_device },
	{ "closing", ask_closing },	{ "noiommu", ask_noiommu }
};
int main(int argc, char **argv)
{
	char p[128];
	const char *only[32];
	int no = 0, o;
	while ((o = getopt(argc, argv, "s:")) != -1)
		if (o == 's' && no < 32)
			only[no++] = optarg;
		else
			return 2;
	if (optind >= argc) {
		fprintf(stderr, "iommufd_probe [-s SECTION]... BDF\n");
		return 2;
	}
	bdf = argv[optind];
	snprintf(p, sizeof p, "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	DIR *dir = opendir(p);
	struct dirent *e;
	if (dir) {
		while ((e = readdir(dir)))
			if (strstr(e->d_name, "vfio")) {
				snprintf(cdevname, sizeof cdevname, "%.40s", e->d_name);
				snprintf(cdevpath, sizeof cdevpath, "/dev/vfio/devices/%.40s",
					 e->d_name);
			}
		closedir(dir);
	}
	char l[256];
	snprintf(p, sizeof p, "/sys/bus/pci/devices/%s/iommu_group", bdf);
	ssize_t n = readlink(p, l, sizeof l - 1);
	if (n > 0) {
		l[n] = 0;
		snprintf(grouppath, sizeof grouppath, "/dev/vfio/noiommu-%.40s",
			 strrchr(l, '/') + 1);
		has_iommu = access(grouppath, F_OK);
		if (has_iommu)
			snprintf(grouppath, sizeof grouppath, "/dev/vfio/%.40s",
				 strrchr(l, '/') + 1);
	}
	mem = mmap(NULL, 64 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(mem, 1, 64 * PG);
	for (unsigned k = 0; k < sizeof all / sizeof *all; k++) {
		int want = !no && (!has_iommu || all[k].f != ask_noiommu);
		for (int j = 0; j < no; j++)
			want |= !strcmp(only[j], all[k].n);
		if (!want)
			continue;
		fflush(stdout);
		pid_t c = fork();
		if (!c) {
			alarm(60);
			section = all[k].n;
			all[k].f();
			fflush(stdout);
			_exit(0);
		}
		int st;
		waitpid(c, &st, 0);
		if (WIFSIGNALED(st))
			printf("%s: DIED of signal %d\n", all[k].n, WTERMSIG(st));
		else if (WEXITSTATUS(st))
			printf("%s: EXITED %d\n", all[k].n, WEXITSTATUS(st));
	}
	return 0;
}
