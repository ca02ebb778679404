/* SPDX-License-Identifier: BSD-3-Clause */
/* shim_paths: the view of sysfs and /dev, by every function that takes or tells a path. */
#include "shim.h"
#include <dirent.h>
#include <ftw.h>
#include <glob.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

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
	static const char *const bad[] = { DEV "/../../" ADDRESS "/vendor", "/sys/bus/pcix/devices", "/sys/bus/pci/devices/0000:77:00.0/vendor", DEV "/vendor/" };

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
	CHECK(f >= 0 && !ioctl(f, VFIO_GROUP_GET_STATUS, &(struct vfio_group_status){ .argsz = 8 }));
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
		found |= !strcmp(e->d_name, name) && (strcmp(dir, "/dev/vfio") || e->d_type == DT_CHR);
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
	CHECK(!glob(DEVICES "/0000:*", 0, NULL, &g) && g.gl_pathc == 1 && !strcmp(g.gl_pathv[0], DEV));
	CHECK(!glob("/dev/vfio/*", GLOB_APPEND, NULL, &g) && g.gl_pathc == 3 && !strcmp(g.gl_pathv[1], "/dev/vfio/1"));
	globfree(&g);
	CHECK(!nftw("/dev/vfio", on_file, 10, FTW_PHYS) && walked == 1 && !strcmp(walk_path, "/dev/vfio/vfio"));
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
	CHECK(!fstatat(AT_FDCWD, "/dev/vfio/vfio", &st, 0) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 196));
	CHECK(!statx(AT_FDCWD, "/dev/vfio/1", 0, STATX_BASIC_STATS, &sx) && S_ISCHR(sx.stx_mode) && sx.stx_rdev_minor == 1);
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
	FAILS(open(DEV "/driver_override", O_WRONLY), EACCES);
	FAILS(open("/sys/bus/pci/drivers/vfio-pci/unbind", O_WRONLY), EACCES);
	FAILS(open(DEV "/config", O_RDWR), EACCES);
	FAILS(open(DEV "/new", O_WRONLY | O_CREAT, 0600), EACCES);
	FAILS(open("/dev/vfio/new", O_WRONLY | O_CREAT, 0600), EACCES);
	CHECK(!fopen("/sys/bus/pci/drivers/vfio-pci/bind", "w") && errno == EACCES);
	FAILS(open(DEV "/config2", O_RDWR), ENOENT);
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

int main(void)
{
	RUN(spellings);
	RUN(relative);
	RUN(names_told);
	RUN(lists);
	RUN(files);
	RUN(view_is_read_only);
	RUN(config_is_live);
	return any_failed;
}
