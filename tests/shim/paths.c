/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/shim/paths.c: the view of sysfs and /dev, by every function that takes or tells a path. */
#include <dirent.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <utime.h>

#include "shim.h"

#define DEVICES "/sys/bus/pci/devices"
#define DEV	DEVICES "/" ADDRESS

static bool read_is(const char *path, const char *text)
{
	char buf[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (fd >= 0)
		close(fd);
	return n >= (ssize_t)strlen(text) && !memcmp(buf, text, strlen(text));
}

static void spellings(void)
{
	static const char *const good[] = {
		DEV "/vendor",
		"//sys//bus/./pci/devices/" ADDRESS "//vendor",
		"/./sys/bus/pci/devices/" ADDRESS "/vendor",
		"/proc/../sys/bus/pci/devices/" ADDRESS "/vendor",
		"/sys/class/../bus/pci/devices/" ADDRESS "/vendor",
		"/dev/../sys/bus/pci/devices/" ADDRESS "/vendor",
		"/sys/bus/pci/drivers/../devices/" ADDRESS "/vendor",
		/* the directory's parent is the root complex's, not devices/ */
		DEV "/../" ADDRESS "/vendor",
		DEV "/driver/../vfio-pci/" ADDRESS "/vendor",
		"/sys/kernel/iommu_groups/1/devices/" ADDRESS "/vendor",
		DEV "/iommu_group/devices/" ADDRESS "/vendor",
		"/dev/vfio/../../sys/bus/pci/devices/" ADDRESS "/vendor",
	};
	static const char *const bad[] = { DEV "/../../" ADDRESS "/vendor", "/sys/bus/pcix/devices",
					   "/sys/bus/pci/devices/0000:77:00.0/vendor",
					   DEV "/vendor/" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK(read_is(good[i], "0x1234"));
		if (!read_is(good[i], "0x1234"))
			printf("     %s\n", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(open(bad[i], O_RDONLY) == -1);
	CHECK(!access("/sys/class/../bus/pci/devices", R_OK));
	CHECK(!access("/proc/self/../../sys/kernel", F_OK));
}

static void relative(void)
{
	char cwd[256], back[256];
	int d, f;

	CHECK(getcwd(back, sizeof(back)));
	CHECK(!chdir(DEVICES));
	CHECK(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, DEVICES));
	CHECK(read_is(ADDRESS "/vendor", "0x1234"));
	/* up from where the link leads: /sys/devices/pciDDDD:BB */
	CHECK(read_is("./" ADDRESS "/../../../bus/pci/devices/" ADDRESS "/vendor", "0x1234"));
	CHECK(read_is("../devices/" ADDRESS "/vendor", "0x1234"));
	CHECK(!chdir("/"));
	CHECK(read_is("sys/bus/pci/devices/" ADDRESS "/vendor", "0x1234"));
	CHECK(!chdir("/dev"));
	f = open("vfio/vfio", O_RDWR);
	CHECK(f >= 0 && !ioctl(f, VFIO_GET_API_VERSION));
	close(f);
	CHECK(!chdir("vfio"));
	f = open("1", O_RDWR);
	CHECK(f >= 0 &&
	      !ioctl(f, VFIO_GROUP_GET_STATUS, &(struct vfio_group_status){ .argsz = 8 }));
	close(f);
	CHECK(!chdir("/tmp"));
	CHECK(read_is("../sys/bus/pci/devices/" ADDRESS "/vendor", "0x1234"));
	FAILS(open("sys/bus/pci/devices", O_RDONLY), ENOENT);
	/* by a directory's descriptor */
	d = open("/sys/bus/pci", O_RDONLY | O_DIRECTORY);
	CHECK(d >= 0);
	f = openat(d, "devices/" ADDRESS "/vendor", O_RDONLY);
	CHECK(f >= 0);
	close(f);
	CHECK(!faccessat(d, "../pci/devices", F_OK, 0));
	CHECK(!fchdir(d));
	CHECK(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/sys/bus/pci"));
	close(d);
	d = open("/dev/vfio", O_RDONLY | O_DIRECTORY);
	f = openat(d, "vfio", O_RDWR);
	CHECK(f >= 0 && !ioctl(f, VFIO_GET_API_VERSION));
	close(f);
	close(d);
	CHECK(!chdir(back));
}

static void names_told(void)
{
	char buf[4096], want[256];
	char *r = realpath(DEV, NULL);
	ssize_t n;
	int d;

	CHECK(r && !strncmp(r, "/sys/devices/pci", 16) && !strcmp(r + strlen(r) - 12, ADDRESS));
	snprintf(want, sizeof(want), "%s", r ? r : "");
	free(r);
	CHECK(realpath(DEVICES "/../../pci/devices/" ADDRESS, buf) == buf && !strcmp(buf, want));
	r = canonicalize_file_name(DEV "/driver");
	CHECK(r && !strcmp(r, "/sys/bus/pci/drivers/vfio-pci"));
	free(r);
	n = readlink(DEV "/driver", buf, sizeof(buf));
	CHECK(n > 9 && !memcmp(buf + n - 9, "/vfio-pci", 9));
	n = readlink(DEV "/iommu_group", buf, sizeof(buf));
	CHECK(n > 2 && buf[n - 2] == '/' && buf[n - 1] == '1');
	CHECK(readlink(DEV "/driver", buf, 3) == 3);
	FAILS(readlink(DEV "/vendor", buf, sizeof(buf)), EINVAL);
	d = open(DEVICES, O_RDONLY | O_DIRECTORY);
	snprintf(want, sizeof(want), "/proc/self/fd/%d", d);
	n = readlink(want, buf, sizeof(buf));
	CHECK(n == (ssize_t)strlen(DEVICES) && !memcmp(buf, DEVICES, (size_t)n));
	close(d);
}

static bool list_has(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;

	if (!d)
		return false;
	while ((e = readdir(d)))
		found |= !strcmp(e->d_name, name) &&
			 (strcmp(dir, "/dev/vfio") || e->d_type == DT_CHR);
	closedir(d);
	return found;
}

static int walked;
static char walk_path[256];

static int on_file(const char *path, const struct stat *st, int type, struct FTW *f)
{
	if (!strcmp(path + f->base, "vfio") && type == FTW_F && S_ISCHR(st->st_mode)) {
		walked++;
		snprintf(walk_path, sizeof(walk_path), "%s", path);
	}
	return 0;
}

static void lists(void)
{
	struct dirent **e;
	glob_t g = { 0 };
	int n, m, f;
	DIR *d;

	CHECK(list_has(DEVICES, ADDRESS));
	CHECK(list_has("/dev/vfio", "vfio") && list_has("/dev/vfio", "1"));
	CHECK(list_has("/sys/kernel/iommu_groups", "1"));
	CHECK(list_has("/sys/bus/pci/drivers/vfio-pci", ADDRESS));
	CHECK(list_has("/sys/module/vfio_pci", "drivers") || !access("/sys/module/vfio_pci", F_OK));
	d = opendir(DEVICES);
	CHECK(d);
	f = openat(dirfd(d), ADDRESS "/device", O_RDONLY);
	CHECK(f >= 0);
	close(f);
	closedir(d);
	n = scandir(DEVICES, &e, NULL, alphasort);
	CHECK(n == 3 && !strcmp(e[2]->d_name, ADDRESS));
	for (m = 0; m < n; m++)
		free(e[m]);
	free(e);
	CHECK(!glob(DEVICES "/0000:*", 0, NULL, &g) && g.gl_pathc == 1 &&
	      !strcmp(g.gl_pathv[0], DEV));
	CHECK(!glob("/dev/vfio/*", GLOB_APPEND, NULL, &g) && g.gl_pathc == 4 &&
	      !strcmp(g.gl_pathv[1], "/dev/vfio/1"));
	globfree(&g);
	CHECK(!nftw("/dev/vfio", on_file, 10, FTW_PHYS) && walked == 1 &&
	      !strcmp(walk_path, "/dev/vfio/vfio"));
}

static void files(void)
{
	char line[64];
	struct stat st;
	struct statx sx;
	struct statfs sf;
	FILE *f = fopen(DEV "/device", "r");

	CHECK(f && fgets(line, sizeof(line), f) && !strcmp(line, "0x7e57\n"));
	if (f)
		fclose(f);
	f = freopen(DEV "/class", "re", fopen("/dev/null", "r"));
	CHECK(f && fgets(line, sizeof(line), f) && !strncmp(line, "0x", 2));
	if (f)
		fclose(f);
	CHECK(!stat(DEV, &st) && S_ISDIR(st.st_mode));
	CHECK(!lstat(DEV, &st) && S_ISLNK(st.st_mode));
	CHECK(!lstat(DEV "/", &st) && S_ISDIR(st.st_mode));
	CHECK(!fstatat(AT_FDCWD, "/dev/vfio/vfio", &st, 0) && S_ISCHR(st.st_mode) &&
	      st.st_rdev == makedev(10, 196));
	CHECK(!statx(AT_FDCWD, "/dev/vfio/1", 0, STATX_BASIC_STATS, &sx) && S_ISCHR(sx.stx_mode) &&
	      sx.stx_rdev_minor == 1);
	CHECK(!syscall(SYS_newfstatat, AT_FDCWD, "/dev/vfio/1", &st, 0) && S_ISCHR(st.st_mode));
	CHECK(!statfs(DEV, &sf) && sf.f_type == 0x62656572);
	CHECK(!access("/dev/vfio/vfio", R_OK | W_OK) && !euidaccess("/dev/vfio/vfio", R_OK));
	FAILS(access("/dev/vfio/77", F_OK), ENOENT);
	FAILS(stat(DEV "/nothing", &st), ENOENT);
	FAILS(open((char *)8, O_RDONLY), EFAULT);
	FAILS(stat("", &st), ENOENT);
}

/* Nobody would act on what is written there. */
static void view_is_read_only(void)
{
	FAILS(open(DEV "/vendor", O_WRONLY), EACCES);
	FAILS(open("/sys/bus/pci/drivers/vfio-pci/uevent", O_WRONLY), EACCES);
	FAILS(open(DEV "/config", O_RDWR), EACCES);
	FAILS(open(DEV "/new", O_WRONLY | O_CREAT, 0600), EACCES);
	FAILS(open("/dev/vfio/new", O_WRONLY | O_CREAT, 0600), EACCES);
	FAILS(open("/dev/vfio/new", O_RDWR | O_CREAT | O_DIRECTORY, 0600), EINVAL);
	FAILS(open("/dev/vfio", O_RDWR | O_CREAT | O_DIRECTORY, 0600), EINVAL);
	FAILS(open(GROUP, O_RDWR | O_CREAT | O_DIRECTORY, 0600), EINVAL);
	FAILS(open(DEV "/new", O_RDONLY | O_CREAT | O_DIRECTORY, 0600), EINVAL);
	CHECK(!fopen("/sys/bus/pci/drivers/vfio-pci/uevent", "w") && errno == EACCES);
	FAILS(open(DEV "/config2", O_RDWR), ENOENT);
}

/*
 * Somebody acts on these: a descriptor takes what sysfs takes, and nothing else can come of a
 * write.
 */
static void drivers(void)
{
	int fd = open(DEV "/driver_override", O_RDWR),
	    own = open("/sys/bus/pci/drivers/vfio-pci/bind", O_WRONLY);
	FILE *f = fopen(DEV "/driver_override", "w");
	char buf[32];

	CHECK(fd >= 0 && own >= 0 && f);
	CHECK(write(fd, "vfio-pci\n", 9) == 9);
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && read(fd, buf, sizeof(buf)) == 9 &&
	      !memcmp(buf, "vfio-pci\n", 9));
	FAILS(write(own, "0000:01:00.0", 12), EBUSY);
	FAILS(write(own, "0000:01:00.1", 12), ENODEV);
	FAILS(pwrite(own, "0000:01:00.0", 12, 0), EBUSY);
	CHECK(fputs("vfio-pci", f) >= 0 && !fclose(f));
	FAILS((int)write(open("/sys/bus/pci/drivers/vfio-pci/unbind", O_WRONLY | O_APPEND | O_CREAT,
			      0666),
			 "edu", 3),
	      ENODEV);
	CHECK(!stat(DEV "/driver_override", &(struct stat){ 0 }) && !access(DEV "/driver", F_OK));
	close(fd);
	close(own);
}

/* config is the hardware's, of now */
static void config_is_live(void)
{
	uint16_t cmd = 0xffff, id = 0;
	struct stat st;
	struct vfio v;
	int f = open(DEV "/config", O_RDONLY);

	CHECK(pread(f, &id, 2, 0) == 2 && id == 0x1234);
	close(f);
	v = vfio_open();
	CHECK(bus_master(&v));
	f = open(DEV "/config", O_RDONLY);
	CHECK(!fstat(f, &st) && st.st_size == 4096);
	CHECK(pread(f, &cmd, 2, PCI_COMMAND) == 2 && cmd & PCI_COMMAND_MASTER);
	FAILS(write(f, &cmd, 2), EBADF);
	close(f);
	vfio_close(&v);
	f = open(DEV "/config", O_RDONLY);
	CHECK(pread(f, &cmd, 2, PCI_COMMAND) == 2 && !(cmd & PCI_COMMAND_MASTER));
	close(f);
}

static bool opens(int dirfd, const char *path, int flags)
{
	int f = openat(dirfd, path, flags);

	if (f >= 0)
		close(f);
	return f >= 0;
}

static bool same(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A path that comes through the view and leaves it goes on in the host's tree. */
static void out_of_the_view(void)
{
	char buf[PATH_MAX], back[256];
	struct stat st;
	int d;

	CHECK(same("/dev/vfio/..", "/dev") && same("/dev/vfio/../..", "/") &&
	      same("/sys/bus/pci/..", "/sys/bus"));
	CHECK(!lstat("/dev/vfio/../null", &st) && S_ISCHR(st.st_mode));
	CHECK(opens(AT_FDCWD, "/sys/devices/pci0000:01/../system/cpu/online", O_RDONLY));
	/* by the link: the device's place is below /sys/devices */
	CHECK(!access("/sys/bus/pci/devices/" ADDRESS "/../../../..", F_OK) &&
	      same(DEV "/../../..", "/sys"));
	CHECK(opens(AT_FDCWD, DEV "/../../system/cpu/online", O_RDONLY));
	CHECK(realpath("/dev/vfio/../null", buf) && !strcmp(buf, "/dev/null"));
	CHECK(list_has("/dev/vfio/..", "null"));
	/* what is before ".." has to be there, and a directory */
	FAILS(stat("/dev/vfio/nothing/../vfio", &st), ENOENT);
	FAILS(stat("/dev/vfio/../nothing/../null", &st), ENOENT);
	FAILS(stat("/dev/vfio/vfio/../../null", &st), ENOTDIR);
	FAILS(stat("/sys/bus/pci/devices/nothing/../../../..", &st), ENOENT);
	/* from inside */
	CHECK(getcwd(back, sizeof(back)));
	CHECK(!chdir("/dev/vfio") && opens(AT_FDCWD, "../null", O_RDWR));
	CHECK(!chdir("..") && getcwd(buf, sizeof(buf)) && !strcmp(buf, "/dev"));
	CHECK(opens(AT_FDCWD, "null", O_RDWR) && opens(AT_FDCWD, "vfio/vfio", O_RDWR));
	CHECK(!chdir(DEV) && !chdir("../../..") && getcwd(buf, sizeof(buf)) &&
	      !strcmp(buf, "/sys"));
	CHECK(!chdir(back));
	d = open("/dev/vfio", O_RDONLY | O_DIRECTORY);
	CHECK(opens(d, "../null", O_RDWR) && opens(d, "../vfio/vfio", O_RDWR));
	close(d);
}

/* Descriptors of directories in which the view has a name. */
static void from_above(void)
{
	static const struct {
		const char *dir, *path;
	} t[] = {
		{ "/", "sys/bus/pci/devices/" ADDRESS "/vendor" },
		{ "/sys", "bus/pci/devices/" ADDRESS "/vendor" },
		{ "/sys/", "bus/pci/drivers/vfio-pci/" ADDRESS "/vendor" },
		{ "/sys/bus", "pci/devices/" ADDRESS "/vendor" },
		{ "/sys/kernel", "iommu_groups/1/type" },
		{ "/sys/class", "iommu/uvfio-iommu/devices/" ADDRESS "/vendor" },
		{ "/sys/module", "vfio_pci/initstate" },
		{ "/sys/devices", "pci0000:01/" ADDRESS "/vendor" },
		{ "/sys/devices/virtual", "iommu/uvfio-iommu/uevent" },
		{ "/sys/bus/../class/..", "kernel/iommu_groups/1/type" },
		{ "/dev/vfio/..", "vfio/1" },
		{ "/dev", "vfio/1" },
	};
	static const int flags[] = { O_RDONLY, O_RDONLY | O_DIRECTORY | O_CLOEXEC, O_PATH };
	char buf[256], back[256];
	struct stat st;
	DIR *dir;
	int d, e;

	CHECK(getcwd(back, sizeof(back)));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		for (size_t j = 0; j < sizeof(flags) / sizeof(flags[0]); j++) {
			d = open(t[i].dir, flags[j]);
			if (d < 0 && errno == ENOENT && !access(t[i].dir, F_OK))
				break; /* the host has no such directory */
			CHECK(d >= 0);
			e = fcntl(d, F_DUPFD, 200);
			CHECK(!fstatat(e, t[i].path, &st, 0));
			CHECK(!faccessat(d, t[i].path, F_OK, 0));
			if (i + 2 < sizeof(t) / sizeof(t[0]))
				CHECK(opens(d, t[i].path, O_RDONLY) &&
				      opens(e, t[i].path, O_RDONLY));
			if (case_failed)
				printf("     %s + %s\n", t[i].dir, t[i].path);
			close(d);
			close(e);
		}
	}
	d = open("/dev", O_RDONLY | O_DIRECTORY);
	e = openat(d, "vfio/vfio", O_RDWR);
	CHECK(e >= 0 && !ioctl(e, VFIO_GET_API_VERSION));
	close(e);
	CHECK(opens(d, "null", O_RDWR));
	close(d);
	/* also when the host has the name: what it lists is the view's */
	d = open("/sys/bus", O_PATH);
	CHECK(readlinkat(d, "pci/devices/" ADDRESS "/driver", buf, sizeof(buf)) > 9);
	CHECK(!fchdir(d));
	CHECK(read_is("pci/devices/" ADDRESS "/vendor", "0x1234"));
	close(d);
	d = open("pci/..", O_RDONLY);
	CHECK(!fstatat(d, "pci/drivers/vfio-pci", &st, 0));
	CHECK(!chdir("/"));
	close(d);
	d = open(".", O_PATH);
	e = openat(d, "sys", O_PATH);
	CHECK(!fstatat(e, "bus/pci/drivers/vfio-pci", &st, 0));
	close(e);
	close(d);
	dir = opendir("/sys/bus");
	CHECK(dir && !fstatat(dirfd(dir), "pci/drivers/vfio-pci", &st, 0));
	closedir(dir);
	/* one that nobody saw coming */
	d = (int)raw_call(SYS_openat, AT_FDCWD, (long)"/dev", O_RDONLY | O_DIRECTORY, 0, 0, 0);
	CHECK(!fstatat(d, "vfio/vfio", &st, 0) && S_ISCHR(st.st_mode));
	close(d);
	CHECK(!chdir(back));
}

/* Owner, mode and times of a name of the view can be changed. */
static void owner_and_mode(void)
{
	struct timespec ts[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct timeval tv[2] = { { .tv_sec = 3000 }, { .tv_sec = 4000 } };
	uid_t other = getuid() ? getuid() : 65534;
	char buf[4096];
	struct stat st;
	int d, in;

	CHECK(!chown(GROUP, other, (gid_t)-1) && !stat(GROUP, &st) && st.st_uid == other &&
	      S_ISCHR(st.st_mode));
	CHECK(!fchownat(AT_FDCWD, GROUP, getuid(), getgid(), 0) && !stat(GROUP, &st) &&
	      st.st_uid == getuid());
	CHECK(!lchown(DEV, getuid(), (gid_t)-1));
	CHECK(!chmod(GROUP, 0660) && !stat(GROUP, &st) && st.st_mode == (S_IFCHR | 0660));
	d = open("/dev", O_PATH);
	CHECK(!fchmodat(d, "vfio/1", 0, 0) && !stat(GROUP, &st) && st.st_mode == S_IFCHR);
	/* root may anyway */
	if (geteuid())
		FAILS(open_group(), EACCES);
	else
		CHECK(opens(AT_FDCWD, GROUP, O_RDWR));
	CHECK(!chmod(GROUP, 0400));
	if (geteuid())
		FAILS(open_group(), EACCES);
	CHECK(!syscall(SYS_fchmodat, d, "vfio/1", 0600) && !stat(GROUP, &st) &&
	      st.st_mode == (S_IFCHR | 0600));
	CHECK(opens(AT_FDCWD, GROUP, O_RDWR));
	close(d);
	CHECK(!utimensat(AT_FDCWD, "/dev/vfio/vfio", ts, 0) && !stat("/dev/vfio/vfio", &st) &&
	      st.st_mtime == 2000);
	CHECK(!utimes("/dev/vfio/vfio", tv) && !stat("/dev/vfio/vfio", &st) && st.st_mtime == 4000);
	CHECK(!utime("/dev/vfio/vfio", &(struct utimbuf){ 5000, 6000 }) &&
	      !stat("/dev/vfio/vfio", &st) && st.st_mtime == 6000);
	CHECK(!lutimes(DEV, tv) && !lstat(DEV, &st) && st.st_mtime == 4000);
	FAILS(chown("/dev/vfio/77", 0, 0), ENOENT);
	FAILS(chmod(DEV "/nothing", 0600), ENOENT);
	/* a mode does not make a file of the view one that can be written */
	CHECK(!chmod(DEV "/numa_node", 0644));
	FAILS(open(DEV "/numa_node", O_WRONLY), EACCES);
	CHECK(!chmod(DEV "/numa_node", 0444));
	CHECK(listxattr(DEV "/vendor", buf, sizeof(buf)) >= 0);
	in = inotify_init1(IN_NONBLOCK);
	CHECK(inotify_add_watch(in, "/dev/vfio", IN_ATTRIB) >= 0);
	CHECK(!chmod(GROUP, 0600) && read(in, buf, sizeof(buf)) > 0);
	FAILS(inotify_add_watch(in, "/dev/vfio/nothing", IN_ATTRIB), ENOENT);
	close(in);
}

/*
 * sysfs lets nobody make, take or move a name: root is told EPERM, others that the directory is not
 * theirs.
 */
static void names_stay(void)
{
	int e = geteuid() ? EACCES : EPERM, d = open("/dev/vfio", O_PATH);
	char old[] = "/tmp/shim_paths.XXXXXX", cmd[64];
	struct stat st;

	close(mkstemp(old));
	FAILS(unlink(DEV "/vendor"), e);
	FAILS(unlinkat(d, "1", 0), e);
	FAILS(remove("/dev/vfio/1"), e);
	FAILS(unlink(DEV), e);
	FAILS(unlink("/sys/bus/pci/devices"), geteuid() ? EACCES : EISDIR);
	FAILS(rmdir("/sys/bus/pci/devices"), e);
	FAILS(unlinkat(AT_FDCWD, "/sys/bus/pci/devices", AT_REMOVEDIR), e);
	FAILS(rmdir(DEV "/vendor"), geteuid() ? EACCES : ENOTDIR);
	FAILS(unlink(DEV "/nothing"), ENOENT);
	FAILS(mkdir(DEV "/new", 0755), e);
	FAILS(mkdirat(d, "new", 0755), e);
	FAILS(syscall(SYS_mkdir, "/dev/vfio/new", 0755), e);
	FAILS(mkdir(DEV "/vendor", 0755), EEXIST);
	FAILS(mkdir(DEV "/nothing/new", 0755), ENOENT);
	FAILS(mkdir(DEV "/vendor/new", 0755), ENOTDIR);
	FAILS(mknod("/dev/vfio/new", S_IFREG, 0), e);
	FAILS(mkfifo("/dev/vfio/new", 0600), e);
	FAILS(symlink("1", "/dev/vfio/new"), e);
	FAILS(symlinkat("1", d, "vfio"), EEXIST);
	FAILS(rename("/dev/vfio/1", "/dev/vfio/2"), e);
	FAILS(rename("/dev/vfio/77", "/dev/vfio/2"), ENOENT);
	FAILS(renameat(d, "1", d, "vfio"), e);
	FAILS(rename("/dev/vfio/1", "/tmp/1"), EXDEV);
	FAILS(rename(old, "/dev/vfio/1"), EXDEV);
	FAILS(link("/dev/vfio/1", "/dev/vfio/2"), e);
	FAILS(link("/dev/vfio/1", "/dev/vfio/vfio"), EEXIST);
	FAILS(link("/dev/vfio/1", "/tmp/shim_paths.link"), EXDEV);
	FAILS(truncate(DEV "/vendor", 0), EACCES);
	FAILS(truncate("/dev/vfio/vfio", 0), EINVAL);
	FAILS(truncate("/dev/vfio", 0), EISDIR);
	FAILS(truncate(DEV "/nothing", 0), ENOENT);
	CHECK(read_is(DEV "/vendor", "0x1234") && list_has("/dev/vfio", "1") &&
	      !list_has("/dev/vfio", "new"));
	/* and outside all is as it was */
	snprintf(cmd, sizeof(cmd), "%s.2", old);
	CHECK(!rename(old, cmd) && !link(cmd, old) && !unlink(cmd) && !truncate(old, 5) &&
	      !stat(old, &st) && st.st_size == 5);
	CHECK(!chmod(old, 0640) && !stat(old, &st) && st.st_mode == (S_IFREG | 0640));
	CHECK(!remove(old) && !mkdir(old, 0700) && !remove(old));
	close(d);
}

/* Links outside that lead into the view. */
static void links_into_the_view(void)
{
	char dir[] = "/tmp/shim_paths.XXXXXX", back[256], buf[PATH_MAX], cmd[256];
	struct dirent *ent;
	struct stat st;
	FILE *f;
	DIR *d;
	int n;

	CHECK(getcwd(back, sizeof(back)) && mkdtemp(dir) && !chdir(dir));
	CHECK(!symlink("/dev/vfio/vfio", "l") && !symlink("l", "ll") &&
	      !symlink("/dev/vfio", "dir") && !symlink(DEV, "dev"));
	CHECK(!symlink("../../sys/bus/pci/devices/" ADDRESS "/vendor", "vendor") &&
	      !symlink("loop", "loop") && !symlink("/dev/vfio/77", "none"));
	n = open("l", O_RDWR);
	CHECK(n >= 0 && !ioctl(n, VFIO_GET_API_VERSION));
	close(n);
	CHECK(opens(AT_FDCWD, "ll", O_RDWR) && opens(AT_FDCWD, "dir/vfio", O_RDWR) &&
	      opens(AT_FDCWD, "./dir/../vfio/1", O_RDWR));
	CHECK(opens(AT_FDCWD, "dir/../null", O_RDWR));
	CHECK(read_is("vendor", "0x1234") && read_is("dev/vendor", "0x1234") &&
	      read_is("dev/driver/" ADDRESS "/vendor", "0x1234"));
	f = fopen("vendor", "r");
	CHECK(f && fgets(buf, sizeof(buf), f) && !strncmp(buf, "0x1234", 6));
	if (f)
		fclose(f);
	CHECK(!stat("l", &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 196));
	CHECK(!lstat("l", &st) && S_ISLNK(st.st_mode));
	CHECK(!lstat("dir/1", &st) && S_ISCHR(st.st_mode));
	CHECK(!access("ll", R_OK) && !faccessat(AT_FDCWD, "dev/vendor", R_OK, AT_EACCESS));
	FAILS(open("l", O_RDWR | O_NOFOLLOW), ELOOP);
	FAILS(open("l", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	FAILS(open("none", O_RDWR), ENOENT);
	FAILS(open("loop", O_RDWR), ELOOP);
	FAILS(open("dir/nothing", O_RDWR), ENOENT);
	FAILS(open("vendor/x", O_RDONLY), ENOTDIR);
	FAILS(open("vendor", O_WRONLY), EACCES);
	FAILS(mkdir("dir/new", 0755), geteuid() ? EACCES : EPERM);
	CHECK(realpath("l", buf) && !strcmp(buf, "/dev/vfio/vfio"));
	CHECK(realpath("dev/driver", buf) && !strcmp(buf, "/sys/bus/pci/drivers/vfio-pci"));
	CHECK(readlink("l", buf, sizeof(buf)) == 14 &&
	      readlink("dev/iommu_group", buf, sizeof(buf)) > 0);
	CHECK(!chmod("dir/1", 0660) && !stat(GROUP, &st) && st.st_mode == (S_IFCHR | 0660) &&
	      !chmod("dir/1", 0600));
	d = opendir("dir");
	for (n = 0; d && (ent = readdir(d));)
		n += ent->d_type == DT_CHR;
	CHECK(d && n == 2 && !fstatat(dirfd(d), "vfio", &st, 0));
	if (d)
		closedir(d);
	CHECK(!chdir("dir") && getcwd(buf, sizeof(buf)) && !strcmp(buf, "/dev/vfio"));
	CHECK(!chdir(dir));
	snprintf(cmd, sizeof(cmd),
		 "test \"$(readlink -f ll dev/driver | tr '\\n' +)\" = "
		 "/dev/vfio/vfio+/sys/bus/pci/drivers/vfio-pci+");
	CHECK(!system(cmd));
	CHECK(!chdir(back));
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	CHECK(!system(cmd) && !access(GROUP, F_OK));
}

static void tools(void)
{
	CHECK(!system("ls -la /dev/vfio /sys/bus/pci/devices/ >/dev/null"));
	CHECK(!system("test \"$(find /dev/vfio -type c | sort | tr '\\n' +)\" = "
		      "/dev/vfio/1+/dev/vfio/devices/vfio0+/dev/vfio/vfio+"));
	CHECK(!system("cd /dev/vfio && cd .. && test -c null && cat vfio/../null"));
	CHECK(!system("chmod 660 /dev/vfio/1 && test \"$(stat -c %a /dev/vfio/1)\" = 660 && chmod "
		      "600 /dev/vfio/1"));
}

int main(void)
{
	RUN(spellings);
	RUN(relative);
	RUN(names_told);
	RUN(lists);
	RUN(files);
	RUN(view_is_read_only);
	RUN(drivers);
	RUN(config_is_live);
	RUN(out_of_the_view);
	RUN(from_above);
	RUN(owner_and_mode);
	RUN(names_stay);
	RUN(links_into_the_view);
	RUN(tools);
	return any_failed;
}
