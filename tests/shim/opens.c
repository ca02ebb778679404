/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/opens.c: what is true of an open and its kin whatever way a path takes: by its text
 * alone, by a walk, with more text than a stack has room for. A handler of the program's may
 * interrupt it, and leave it; a thread may be cancelled in it; and nothing of that stays behind.
 */
#include <dirent.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>

#include "shim.h"

#define DEV "/sys/bus/pci/devices/" ADDRESS

/* our own; a directory in it with long names */
static char dir[64] = "/tmp/shim_opens.XXXXXX", deep[600];

/* @path exists in the view, and is a file of four characters or more */
static void is_read(const char *path, const char *text)
{
	char buf[16] = "";
	int fd = open(path, O_RDONLY);

	CHECK(fd >= 0 && read(fd, buf, sizeof(buf) - 1) >= 4 && !strncmp(buf, text, strlen(text)));
	close(fd);
}

static bool blocked(int sig)
{
	sigset_t set;

	return !sigprocmask(SIG_BLOCK, NULL, &set) && sigismember(&set, sig);
}

static int seen_of(const char *path, const struct stat *st, int type, struct FTW *pos)
{
	return strstr(path, "/subsystem/") ? 1 : 2;
}

static void long_paths_in_the_view(void)
{
	/* not so long that there are more than the 40 links that the kernel follows */
	char path[500] = DEV, file[3100], link[PATH_MAX], want[PATH_MAX] = "";
	struct dirent **list;
	struct stat st, direct;
	glob_t g;
	int n;

	CHECK(readlink(DEV "/iommu_group", want, sizeof(want) - 1) > 0);
	while (strlen(path) < sizeof(path) - 64) {
		strcat(path, "/subsystem/devices/" ADDRESS);
		snprintf(file, sizeof(file), "%s/vendor", path);
		is_read(file, "0x");
		CHECK(!stat(file, &st) && !stat(DEV "/vendor", &direct) &&
		      st.st_ino == direct.st_ino);
		CHECK(!access(file, R_OK));
		/* it ends where the kernel's way up does: subsystem is a link to /sys/bus/pci */
		snprintf(file, sizeof(file), "%s/subsystem/../pci/devices/" ADDRESS "/vendor",
			 path);
		is_read(file, "0x");
		snprintf(file, sizeof(file), "%s/iommu_group", path);
		memset(link, 0, sizeof(link));
		CHECK(readlink(file, link, sizeof(link)) > 0 && !strcmp(link, want));
		CHECK(realpath(file, link) && !strcmp(link, "/sys/kernel/iommu_groups/1"));
		FAILS(open(file, O_RDWR), EISDIR);
		snprintf(file, sizeof(file), "%s/no-such-name", path);
		FAILS(open(file, O_RDONLY), ENOENT);
		FAILS(unlink(file), ENOENT);
		CHECK(!blocked(SIGUSR1));
	}
	n = scandir(path, &list, NULL, alphasort);
	CHECK(n > 10);
	while (n-- > 0)
		free(list[n]);
	CHECK(nftw(path, seen_of, 4, FTW_PHYS) == 1);
	snprintf(file, sizeof(file), "%s/vend*", path);
	CHECK(!glob(file, 0, NULL, &g) && g.gl_pathc == 1 &&
	      !strncmp(g.gl_pathv[0], path, strlen(path)));
	globfree(&g);
	/* longer than any path */
	memset(file, '/', sizeof(file));
	memcpy(file, DEV, strlen(DEV));
	strcpy(file + sizeof(file) - 8, "vendor");
	is_read(file, "0x");
	{
		static char endless[PATH_MAX + 8];

		memset(endless, '/', sizeof(endless) - 1);
		memcpy(endless, DEV, strlen(DEV));
		memcpy(endless + sizeof(endless) - 7, "vendor", 6);
		FAILS(open(endless, O_RDONLY), ENAMETOOLONG);
		FAILS(stat(endless, &st), ENAMETOOLONG);
	}
	CHECK(!blocked(SIGUSR1));
}

/* and such as come through it */
static void long_paths_outside(void)
{
	char path[PATH_MAX], here[PATH_MAX];
	const char *back = strrchr(deep, '/');
	struct stat st;

	snprintf(path, sizeof(path), "%s/file", deep);
	is_read(path, "text");
	snprintf(path, sizeof(path), "/sys/bus/pci/../../..%s/file", deep);
	is_read(path, "text");
	CHECK(!stat(path, &st) && st.st_size == 4 && !access(path, R_OK) && !truncate(path, 4));
	snprintf(path, sizeof(path), "/sys/bus/pci/../../..%s/no-such-name", deep);
	FAILS(open(path, O_RDONLY), ENOENT);
	CHECK(!mkdir(path, 0700) && !rmdir(path) && !blocked(SIGUSR1));
	/* with a link at its end that leads into the view and out of it once more */
	snprintf(path, sizeof(path), "/sys/bus/pci/../../..%s/way", deep);
	is_read(path, "text");
	CHECK(!blocked(SIGUSR1));
	/* a working directory with a long name */
	CHECK(getcwd(here, sizeof(here)) && !chdir(deep));
	CHECK(getcwd(path, sizeof(path)) && !strcmp(path, deep));
	FAILS(getcwd(path, 100) ? 0 : -1, ERANGE);
	is_read("file", "text");
	snprintf(path, sizeof(path), "..%s/file", back);
	is_read(path, "text");
	snprintf(path, sizeof(path), "..%s/led/vendor", back);
	is_read(path, "0x");
	is_read("led/vendor", "0x");
	FAILS(open("no-such-name", O_RDONLY), ENOENT);
	FAILS(open("../no-such-name/x", O_RDONLY), ENOENT);
	CHECK(!chdir("led") && !chdir("..") && getcwd(path, sizeof(path)) &&
	      !strcmp(path, "/sys/devices/pci0000:01"));
	CHECK(!chdir(here));
}

/* ---- opens that wait: of a pipe with a name, by each way ---- */

static char fifo[3][128];

static pthread_t waiter;
static atomic_bool enough;

/* Sends signals to the waiter, who may be anywhere, until it is enough. */
static void *sends(void *unused)
{
	while (!atomic_load(&enough)) {
		pthread_kill(waiter, SIGUSR1);
		usleep(200);
	}
	return NULL;
}

static void nothing(int sig)
{
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = nothing };
	pthread_t t;

	sigaction(SIGUSR1, &sa, NULL);
	waiter = pthread_self();
	for (int i = 0; i < 3; i++) {
		atomic_store(&enough, false);
		CHECK(!pthread_create(&t, NULL, sends, NULL));
		for (int n = 0; n < 20; n++)
			FAILS(open(fifo[i], O_RDONLY), EINTR);
		atomic_store(&enough, true);
		pthread_join(t, NULL);
	}
	signal(SIGUSR1, SIG_DFL);
}

static sigjmp_buf env;
static volatile sig_atomic_t armed;

static void jump(int sig)
{
	if (armed) {
		armed = 0;
		siglongjmp(env, 1);
	}
}

/* The address space in pages. */
static long size_now(void)
{
	char line[64] = "";
	int fd = open("/proc/self/statm", O_RDONLY);

	if (read(fd, line, sizeof(line) - 1) <= 0)
		line[0] = '\0';
	close(fd);
	return strtol(line, NULL, 10);
}

/* A handler leaves the call, wherever in it it comes; more often than there is of anything. */
static void left_by_longjmp(void)
{
	static const char *const ways[] = { fifo[0],
					    DEV "/vendor",
					    fifo[1],
					    DEV "/vendor",
					    DEV "/../" ADDRESS "/vendor",
					    fifo[2],
					    "/dev/vfio/vfio",
					    "/etc/no-such-name" };
	struct sigaction sa = { .sa_handler = jump };
	volatile long before = 0;
	volatile int rounds, fd;
	pthread_t t;

	sigaction(SIGUSR1, &sa, NULL);
	waiter = pthread_self();
	atomic_store(&enough, false);
	CHECK(!pthread_create(&t, NULL, sends, NULL));
	for (rounds = 0; rounds < 600; rounds++) {
		if (rounds == 100)
			before = size_now();
		fd = -1;
		if (!sigsetjmp(env, 1)) {
			armed = 1;
			/* by others than the pipe's until the signal comes */
			do {
				fd = open(ways[rounds % 7], O_RDONLY);
				if (fd >= 0)
					close(fd);
			} while (armed);
		}
		armed = 0;
	}
	atomic_store(&enough, true);
	pthread_join(t, NULL);
	signal(SIGUSR1, SIG_DFL);
	/* what an open made that was left before it said so stays open: files, not memory */
	CHECK(size_now() < before + 200);
	CHECK(!blocked(SIGUSR1));
	for (int i = 3; i < 700; i++)
		close(i);
	is_read(DEV "/../" ADDRESS "/vendor", "0x");
	fd = open("/dev/vfio/vfio", O_RDWR);
	CHECK(ioctl(fd, VFIO_GET_API_VERSION) == VFIO_API_VERSION);
	close(fd);
}

static void *opens(void *path)
{
	return (void *)(long)open(path, O_RDONLY);
}

static void cancelled(void)
{
	void *ret;
	pthread_t t;

	for (int i = 0; i < 3; i++)
		for (int n = 0; n < 50; n++) {
			CHECK(!pthread_create(&t, NULL, opens, fifo[i]));
			if (n % 2)
				usleep(500);
			CHECK(!pthread_cancel(t) && !pthread_join(t, &ret) &&
			      ret == PTHREAD_CANCELED);
		}
	is_read(DEV "/../" ADDRESS "/vendor", "0x");
}

int main(void)
{
	char name[700], part[201], target[700];
	int fd;

	if (!mkdtemp(dir)) {
		printf("FAIL %s: errno %d\n", dir, errno);
		return 1;
	}
	memset(part, 'x', sizeof(part) - 1);
	part[sizeof(part) - 1] = '\0';
	snprintf(deep, sizeof(deep), "%s/%s", dir, part);
	CHECK(!mkdir(deep, 0755));
	strcat(deep, "/");
	strcat(deep, part);
	CHECK(!mkdir(deep, 0755));
	snprintf(name, sizeof(name), "%s/file", deep);
	fd = open(name, O_WRONLY | O_CREAT, 0644);
	CHECK(write(fd, "text", 4) == 4);
	close(fd);
	snprintf(name, sizeof(name), "%s/led", deep);
	CHECK(!symlink(DEV, name));
	snprintf(name, sizeof(name), "%s/way", deep);
	snprintf(target, sizeof(target), DEV "/../../../..%s/file", deep);
	CHECK(!symlink(target, name));
	snprintf(fifo[0], sizeof(fifo[0]), "%s/fifo", dir);
	snprintf(fifo[1], sizeof(fifo[1]), "/sys/bus/pci/../../..%s/fifo", dir);
	snprintf(fifo[2], sizeof(fifo[2]), "%s/out/fifo", dir);
	CHECK(!mkfifo(fifo[0], 0644));
	/* by a link that leads into the view and out of it */
	snprintf(name, sizeof(name), "%s/out", dir);
	snprintf(target, sizeof(target), "/sys/bus/pci/devices/../../../..%s", dir);
	CHECK(!symlink(target, name));
	RUN(long_paths_in_the_view);
	RUN(long_paths_outside);
	RUN(interrupted);
	RUN(left_by_longjmp);
	RUN(cancelled);
	if (chdir("/"))
		return 1;
	execl("/bin/sh", "sh", "-c", any_failed ? "rm -r -- \"$0\"; exit 1" : "rm -r -- \"$0\"",
	      dir, NULL);
	return 1;
}
