/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/iommufd/nodes.c: the files of /dev and what becomes of a device that is opened, bound and
 * closed.
 */
#include "probe.h"

static void fdinfo(char *l, const char *w)
{
	char *e = strchr(l, ' ');
	if (strncmp(l, "vfio", 4) || !e)
		return;
	l[strcspn(l, "\n")] = 0;
	size_t n = strlen(l), k = strlen(bdf);
	*e = 0;
	say(f("fdinfo, %s: %s", w, l), 0, "a path of /sys/devices %d, ends in the address %d",
	    !strncmp(e + 1, "/sys/devices/", 13), n > k && !strcmp(l + n - k, bdf));
}

void ask_nodes(void)
{
	struct stat st;
	char p[128], b[64] = "";
	int a, c, r;
	ssize_t n;
	r = stat("/dev/iommu", &st);
	say("stat /dev/iommu", r < 0 ? -errno : 0, "char %d major %d", !r && S_ISCHR(st.st_mode),
	    r ? -1 : (int)major(st.st_rdev));
	S("cdev found in sysfs", cdevpath[0] ? 0 : -ENOENT);
	r = stat(cdevpath, &st);
	say("stat cdev", r < 0 ? -errno : 0, "char %d", !r && S_ISCHR(st.st_mode));
	snprintf(p, sizeof p, "/sys/bus/pci/devices/%s/vfio-dev/%s/dev", bdf, cdevname);
	if ((a = open(p, O_RDONLY)) >= 0) {
		n = read(a, b, sizeof b - 1);
		(void)n;
		close(a);
	}
	snprintf(p, sizeof p, "%u:%u\n", major(st.st_rdev), minor(st.st_rdev));
	S("cdev's numbers are those in sysfs", !strcmp(p, b));
	snprintf(p, sizeof p, "/sys/class/vfio-dev/%s", cdevname);
	S("in /sys/class/vfio-dev", access(p, F_OK) ? -errno : 0);
	a = opn("/dev/iommu", O_RDONLY);
	S("open /dev/iommu O_RDONLY", a < 0 ? a : 0);
	{
		u32 id;
		if (a >= 0)
			S("IOAS_ALLOC over it", ioas(a, &id));
	}
	shut(a);
	a = opn("/dev/iommu", O_WRONLY);
	S("open /dev/iommu O_WRONLY", a < 0 ? a : 0);
	shut(a);
	a = opn("/dev/iommu", O_RDWR | O_NONBLOCK);
	S("open /dev/iommu O_NONBLOCK", a < 0 ? a : 0);
	shut(a);
	a = iommu();
	S("open /dev/iommu", a < 0 ? a : 0);
	c = iommu();
	S("open /dev/iommu once more", c < 0 ? c : 0);
	shut(c);
	if (a >= 0) {
		snprintf(p, sizeof p, "/proc/self/fd/%d", a);
		n = readlink(p, b, sizeof b - 1);
		b[n < 0 ? 0 : n] = 0;
		say("its link in /proc/self/fd", n < 0 ? -errno : 0, "%s", b);
		n = read(a, b, 8);
		S("read", n < 0 ? -errno : n);
		n = write(a, b, 8);
		S("write", n < 0 ? -errno : n);
		n = pread(a, b, 8, 0);
		S("pread", n < 0 ? -errno : n);
		n = lseek(a, 0, SEEK_SET);
		S("lseek", n < 0 ? -errno : n);
		void *m = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0);
		S("mmap shared", m == MAP_FAILED ? -errno : 0);
		m = mmap(NULL, PG, PROT_READ, MAP_PRIVATE, a, 0);
		S("mmap private", m == MAP_FAILED ? -errno : 0);
		m = mmap(NULL, PG, PROT_READ | PROT_EXEC, MAP_SHARED, a, 0);
		S("mmap exec", m == MAP_FAILED ? -errno : 0);
		struct pollfd pf = { a, POLLIN | POLLOUT, 0 };
		r = poll(&pf, 1, 0);
		say("poll", r, "revents %#x", pf.revents);
		S("ftruncate", ftruncate(a, 0) ? -errno : 0);
		S("fsync", fsync(a) ? -errno : 0);
	}
	shut(a);
	a = opn(cdevpath, O_RDONLY);
	S("open cdev O_RDONLY", a < 0 ? a : 0);
	if (a >= 0) {
		int i = iommu();
		S("bind over it", bindto(a, i, NULL));
		u8 v[4];
		n = pread(a, v, 4, 7ll << 40);
		S("read config over it", n < 0 ? -errno : n);
		n = pwrite(a, v, 4, 7ll << 40);
		S("write config over it", n < 0 ? -errno : n);
		shut(a);
		shut(i);
	}
	a = cdev();
	S("open cdev", a < 0 ? a : 0);
	c = cdev();
	S("open cdev once more", c < 0 ? c : 0);
	int g = opn(grouppath, O_RDWR);
	S("open group, cdev open and not bound", g < 0 ? g : 0);
	S("bind, group open", bindto(a, (r = iommu()), NULL));
	shut(r);
	shut(g);
	if (a >= 0) {
		char line[256];
		FILE *fi;
		snprintf(p, sizeof p, "/proc/self/fdinfo/%d", a);
		if ((fi = fopen(p, "r"))) {
			while (fgets(line, sizeof line, fi))
				fdinfo(line, "not bound");
			fclose(fi);
		}
		int i = iommu();
		S("bind", bindto(a, i, NULL));
		if ((fi = fopen(p, "r"))) {
			while (fgets(line, sizeof line, fi))
				fdinfo(line, "bound");
			fclose(fi);
		}
		g = opn(grouppath, O_RDWR);
		S("open group, cdev bound", g < 0 ? g : 0);
		shut(g);
		shut(a);
		g = opn(grouppath, O_RDWR);
		S("open group, cdev closed", g < 0 ? g : 0);
		shut(g);
		shut(i);
	}
	shut(c);
}

void ask_unbound(void)
{
	int d = cdev();
	u8 b[8] = { 0 };
	ssize_t n;
	if (d < 0) {
		S("open", d);
		return;
	}
	each_device_ioctl(d, "not bound");
	S("not bound: GET_INFO NULL", io(d, DEVINFO, NULL));
	S("not bound: BIND NULL", io(d, BIND, NULL));
	n = pread(d, b, 4, 7ll << 40);
	S("not bound: pread config", n < 0 ? -errno : n);
	n = pwrite(d, b, 4, (7ll << 40) + 4);
	S("not bound: pwrite config", n < 0 ? -errno : n);
	n = read(d, b, 4);
	S("not bound: read", n < 0 ? -errno : n);
	n = pread(d, b, 0, 7ll << 40);
	S("not bound: pread 0 bytes", n < 0 ? -errno : n);
	n = lseek(d, 0, SEEK_SET);
	S("not bound: lseek", n < 0 ? -errno : n);
	void *m = mmap(NULL, PG, PROT_READ, MAP_SHARED, d, 0);
	S("not bound: mmap", m == MAP_FAILED ? -errno : 0);
	struct pollfd pf = { d, POLLIN | POLLOUT, 0 };
	int r = poll(&pf, 1, 0);
	say("not bound: poll", r, "revents %#x", pf.revents);
	int i = iommu();
	S("bind fails (argsz 8)", io(d, BIND, (u32[6]){ 8, 0, (u32)i }));
	S("GET_INFO after a bind that failed", io(d, DEVINFO, (u32[6]){ 24 }));
	S("bind", bindto(d, i, NULL));
	S("GET_INFO after bind", io(d, DEVINFO, (u32[6]){ 24 }));
	S("not attached: RESET", io(d, RESET, NULL));
	n = pread(d, b, 2, (7ll << 40) + 4);
	S("not attached: pread COMMAND", n < 0 ? -errno : n);
	shut(d);
	shut(i);
}

void ask_bind(void)
{
	int i = iommu(), j = iommu(), d = cdev(), e = cdev(), x;
	u8 uu[16] = { 1 };
	u32 id = 77;
	if (d < 0 || i < 0) {
		S("open", d < 0 ? d : i);
		return;
	}
	static const u32 sz[] = { 0, 4, 8, 12, 15 };
	for (unsigned k = 0; k < 5; k++) {
		struct bind b = { .argsz = sz[k], .fd = i };
		S(f("argsz %u", sz[k]), io(d, BIND, &b));
	}
	for (u32 k = 16; k <= 4096; k = k == 16	  ? 20
					: k == 20 ? 24
					: k == 24 ? 32
					: k == 32 ? 64
					: k == 64 ? 4096
						  : 9999) {
		u8 *p = calloc(1, 8192);
		struct bind *b = (void *)p;
		b->argsz = k;
		b->fd = i;
		b->devid = 77;
		int q = cdev(); /* a fresh fd each, closed again */
		int r = io(q, BIND, b);
		say(f("argsz %u, zero tail", k), r, "id %s",
		    b->devid == 77 ? "unchanged"
		    : b->devid	   ? "set"
				   : "0");
		shut(q);
		free(p);
	}
	for (u32 k = 32; k <= 8192; k *= 16) {
		u8 *p = calloc(1, 16384);
		struct bind *b = (void *)p;
		b->argsz = k;
		b->fd = i;
		p[k - 1] = 1;
		S(f("argsz %u, last byte 1", k), io(d, BIND, b));
		free(p);
	}
	{
		u8 *p = calloc(1, 64);
		struct bind *b = (void *)p;
		b->argsz = 24;
		b->fd = i;
		p[24] = 1;
		int q = cdev();
		S("argsz 24, a byte behind it", io(q, BIND, b));
		shut(q);
		free(p);
	}
	{
		u8 *p = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		munmap(p + PG, PG);
		struct bind *b = (void *)(p + PG - 16);
		b->argsz = 24;
		b->fd = i;
		S("struct cut off by the end of memory", io(d, BIND, b));
		b->argsz = 16;
		int q = cdev();
		S("argsz 16 at the end of memory", io(q, BIND, b));
		shut(q);
	}
	S("NULL", io(d, BIND, NULL));
	{
		u32 a = 24;
		S("a bare argsz, unreadable behind", io(d, BIND, (u8 *)ro(&a, 4) + PG - 4));
	}
	for (int k = 0; k < 32; k += k < 3 ? 1 : 28)
		if (k) {
			struct bind b = { .argsz = 24, .flags = 1u << k, .fd = i };
			S(f("flag %#x", 1u << k), io(d, BIND, &b));
		}
	{
		struct bind b = { .argsz = 24, .flags = 1, .fd = i };
		static const char *n[] = { "TOKEN", "TOKEN, NULL", "TOKEN, argsz 16",
					   "TOKEN, bad pointer" };
		const u64 t[] = { (u64)(uintptr_t)uu, 0, 0, ~0ull };
		for (int k = 0; k < 4; k++) {
			int q = cdev();
			b.token = t[k];
			b.argsz = k == 2 ? 16 : 24;
			S(n[k], io(q, BIND, &b));
			shut(q);
		}
	}
	{
		struct bind b = { .argsz = 24, .flags = 0, .fd = i, .token = 1 };
		int q = cdev();
		S("token pointer without TOKEN", io(q, BIND, &b));
		shut(q);
	}
	S("fd -1", bindto(d, -1, NULL));
	S("fd -2", bindto(d, -2, NULL));
	S("fd 1000, not open", bindto(d, 1000, NULL));
	x = open("/dev/null", O_RDWR);
	S("fd of /dev/null", bindto(d, x, NULL));
	close(x);
	x = eventfd(0, 0);
	S("fd of an eventfd", bindto(d, x, NULL));
	close(x);
	x = opn("/dev/vfio/vfio", O_RDWR);
	S("fd of a container", bindto(d, x, NULL));
	shut(x);
	S("fd of the device itself", bindto(d, d, NULL));
	{
		struct bind b = { .argsz = 24, .fd = i };
		void *p = ro(&b, sizeof b);
		S("struct not writable", io(d, BIND, p));
		S("GET_INFO after that", io(d, DEVINFO, (u32[6]){ 24 }));
	}
	{
		int r = bindto(d, i, &id);
		say("bind", r, "id %s", id == 77 ? "unchanged" : id == 1 ? "1" : "other");
	}
	S("bind again", bindto(d, i, NULL));
	S("bind again, other iommufd", bindto(d, j, NULL));
	S("bind again, fd -1", bindto(d, -1, NULL));
	S("bind again, fd not open", bindto(d, 1000, NULL));
	S("second cdev fd, same iommufd", bindto(e, i, NULL));
	S("second cdev fd, other iommufd", bindto(e, j, NULL));
	S("second cdev fd, GET_INFO", io(e, DEVINFO, (u32[6]){ 24 }));
	S("DESTROY device id", destroy(i, id));
	S("group open while bound", (x = opn(grouppath, O_RDWR)) < 0 ? x : 0);
	shut(x);
	shut(d);
	S("DESTROY device id, device closed", destroy(i, id));
	S("second cdev fd, after the first closed", bindto(e, j, NULL));
	shut(e);
	{
		int q = cdev();
		u32 id2;
		int r = bindto(q, i, &id2);
		say("bind after close", r, "id %s", id2 == id ? "same" : "other");
		int w = dup(q);
		shut(q);
		S("dup'd fd after close: GET_INFO", io(w, DEVINFO, (u32[6]){ 24 }));
		q = cdev();
		S("bind while a dup is open", bindto(q, i, NULL));
		shut(w);
		S("bind after the dup closed", bindto(q, i, NULL));
		shut(q);
	}
	/* the group's side */
	int g = opn(grouppath, O_RDWR);
	d = cdev();
	S("group open: bind", bindto(d, i, NULL));
	S("group open: second open of the group", (x = opn(grouppath, O_RDWR)) < 0 ? x : 0);
	S("BIND on a group fd", bindto(g, i, NULL));
	shut(g);
	S("group closed: bind", bindto(d, i, NULL));
	shut(d);
	shut(i);
	shut(j);
}

void ask_closing(void)
{
	struct st s = start();
	u32 h, id;
	if (!s.ok)
		return;
	int q;
	u8 c[4];
	ssize_t n;
	S("ATTACH", attach1(s.d, s.as));
	S("map", map(s.i, s.as, FIXED | RW, mem, PG, 0x100000));
	shut(s.i);
	S("iommufd closed first: GET_INFO", io(s.d, DEVINFO, (u32[6]){ 24 }));
	S("iommufd closed first: DETACH", detach(s.d));
	S("iommufd closed first: ATTACH the IOAS", attach1(s.d, s.as));
	n = pread(s.d, c, 4, 7ll << 40);
	S("iommufd closed first: pread", n < 0 ? -errno : n);
	S("iommufd closed first: bind again", bindto(s.d, (q = iommu()), NULL));
	shut(q);
	S("iommufd closed first: RESET", io(s.d, RESET, NULL));
	shut(s.d);
	s = start();
	if (!s.ok)
		return;
	S("device first: ATTACH", attach1(s.d, s.as));
	S("device first: map", map(s.i, s.as, FIXED | RW, mem, PG, 0x100000));
	S("device first: HWPT", hwpt(s.i, s.dev, s.as, 0, &h));
	shut(s.d);
	S("device first: unmap", unmap1(s.i, s.as, 0x100000, PG));
	S("device first: DESTROY IOAS below an HWPT", destroy(s.i, s.as));
	S("device first: DESTROY HWPT", destroy(s.i, h));
	S("device first: DESTROY IOAS", destroy(s.i, s.as));
	q = cdev();
	S("device first: bind afresh", bindto(q, s.i, &id));
	say("device first: its id", 0, "%s", id == s.dev ? "same" : "other");
	shut(q);
	shut(s.i);
	s = start();
	if (!s.ok)
		return;
	S("attached, both closed", attach1(s.d, s.as));
	shut(s.d);
	shut(s.i);
	s = start();
	if (!s.ok)
		return;
	S("then bind, attach", attach1(s.d, s.as));
	fflush(stdout);
	pid_t p = fork();
	if (!p) {
		S("child: GET_INFO", io(s.d, DEVINFO, (u32[6]){ 24 }));
		S("child: map", map(s.i, s.as, FIXED | RW, mem, PG, 0x300000));
		S("child: DETACH", detach(s.d));
		fflush(stdout);
		_exit(0);
	}
	waitpid(p, NULL, 0);
	S("after the child: unmap its map", unmap1(s.i, s.as, 0x300000, PG));
	S("after the child: DESTROY IOAS", destroy(s.i, s.as));
	fflush(stdout);
	int w[2];
	(void)!pipe(w);
	p = fork();
	if (!p) {
		char x;
		close(w[1]);
		(void)!read(w[0], &x, 1);
		_exit(0);
	}
	close(w[0]);
	shut(s.d);
	q = cdev();
	S("closed here, open in a child: bind", bindto(q, s.i, NULL));
	close(w[1]);
	waitpid(p, NULL, 0);
	S("child gone: bind", bindto(q, s.i, NULL));
	shut(q);
	shut(s.i);
	s = start();
	if (!s.ok)
		return;
	void *m = mmap(NULL, PG, PROT_READ, MAP_SHARED, s.d, 0);
	S("mmap BAR 0", m == MAP_FAILED ? -errno : 0);
	shut(s.d);
	if (m != MAP_FAILED) {
		q = cdev();
		S("mmap keeps the fd: bind", bindto(q, s.i, NULL));
		munmap(m, PG);
		S("mmap gone: bind", bindto(q, s.i, NULL));
		shut(q);
	}
	shut(s.i);
	s = start();
	if (!s.ok)
		return;
	int j = iommu();
	u32 a2;
	ioas(j, &a2);
	S("two iommufds: ATTACH in the wrong one", attach1(s.d, a2 + 5));
	shut(s.d);
	q = cdev();
	S("two iommufds: bind to the other", bindto(q, j, NULL));
	S("two iommufds: ATTACH", attach1(q, a2));
	S("two iommufds: DESTROY in the first", destroy(s.i, s.as));
	shut(q);
	shut(j);
	shut(s.i);
}
