/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/sandbox_test.c: a child confines itself, and tries what it may not do, from the thread that
 * did it, from one that was there before and from one that comes later; and what it has to be able
 * to do. Each device that a server may have works on behind the fence.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/maps.h"
#include "base/sanitize.h"
#include "base/sys.h"
#include "base/util.h"
#include "cli/sandbox.h"

/* In a child, a failure is its exit status and a line. */
#define NEED(x)                                                            \
	do {                                                               \
		if (!(x)) {                                                \
			dprintf(2, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			_exit(1);                                          \
		}                                                          \
	} while (0)

static void in_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* All that must be refused. */
static void *try_all(void *arg)
{
	static const struct {
		const char *what;
		long nr, a[6];
	} calls[] = {
		{ "open", SYS_open, { (long)"/dev/null", O_RDONLY } },
		{ "openat", SYS_openat, { AT_FDCWD, (long)"/etc/passwd", O_RDONLY } },
		{ "creat", SYS_creat, { (long)"/tmp/uvfio-sandbox", 0600 } },
		{ "truncate", SYS_truncate, { (long)"/tmp/uvfio-sandbox", 0 } },
		{ "unlink", SYS_unlink, { (long)"/tmp/uvfio-sandbox" } },
		{ "rename", SYS_rename, { (long)"/tmp/a", (long)"/tmp/b" } },
		{ "mkdir", SYS_mkdir, { (long)"/tmp/uvfio-sandbox", 0700 } },
		{ "chmod", SYS_chmod, { (long)"/tmp/uvfio-sandbox", 0777 } },
		{ "mount", SYS_mount, { (long)"a", (long)"/tmp", (long)"tmpfs" } },
		{ "execve", SYS_execve, { (long)"/bin/true" } },
		{ "execveat", SYS_execveat, { AT_FDCWD, (long)"/bin/true" } },
		{ "fork", SYS_fork, { 0 } },
		{ "vfork", SYS_vfork, { 0 } },
		{ "clone", SYS_clone, { SIGCHLD } },
		{ "unshare", SYS_unshare, { 0x10000000 } },
		{ "socket", SYS_socket, { AF_UNIX, SOCK_STREAM } },
		{ "socket", SYS_socket, { AF_INET, SOCK_DGRAM } },
		{ "socketpair of datagrams", SYS_socketpair, { AF_UNIX, SOCK_DGRAM } },
		{ "connect", SYS_connect, { 0 } },
		{ "bind", SYS_bind, { 0 } },
		{ "listen", SYS_listen, { 0 } },
		{ "ptrace", SYS_ptrace, { PTRACE_TRACEME } },
		{ "process_vm_readv", SYS_process_vm_readv, { 1 } },
		{ "process_vm_writev", SYS_process_vm_writev, { 1 } },
		{ "pidfd_open", SYS_pidfd_open, { 1 } },
		{ "kill", SYS_kill, { 1 } },
		{ "tgkill of another", SYS_tgkill, { 1, 1 } },
		{ "setuid", SYS_setuid, { 0 } },
		{ "io_uring_setup", SYS_io_uring_setup, { 4 } },
		{ "io_uring_enter", SYS_io_uring_enter, { 0 } },
		{ "bpf", SYS_bpf, { 0 } },
		{ "perf_event_open", SYS_perf_event_open, { 0 } },
		{ "keyctl", SYS_keyctl, { 0 } },
		{ "prctl", SYS_prctl, { PR_SET_DUMPABLE, 1 } },
		{ "ioctl TIOCSTI", SYS_ioctl, { 0, 0x5412 } },
		{ "fcntl F_SETOWN", SYS_fcntl, { 0, F_SETOWN, 1 } },
		{ "memory to run",
		  SYS_mmap,
		  { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
	};
	long rc;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const long *a = calls[i].a;

		rc = sys_call(calls[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		if (rc != -EPERM && rc != -EACCES) {
			dprintf(2, "%s: %ld\n", calls[i].what, rc);
			_exit(1);
		}
	}
	return arg;
}

/* Let system call @nr fail with @err from now on. */
static void deny(int nr, int err)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	NEED(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	NEED(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ 4, f }));
}

static pthread_barrier_t confined;

static void *before(void *arg)
{
	pthread_barrier_wait(&confined);
	return try_all(arg);
}

static bool line(const char *text, void *arg)
{
	(*(unsigned *)arg)++;
	return true;
}

/* What a server does all the time. */
static void serve(void)
{
	char name[SYS_FD_NAME], text[64], byte = 1;
	int pair[2], fd, got;
	unsigned lines = 0;
	struct iovec iov = { &byte, 1 };
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	NEED(fd >= 0 && !ftruncate(fd, 8192));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	NEED(sendmsg(pair[0], &msg, 0) == 1);
	NEED(recvmsg(pair[1], &msg, MSG_CMSG_CLOEXEC) == 1);
	memcpy(&got, CMSG_DATA(c), sizeof(got));
	NEED(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, got, 0) != MAP_FAILED);
	NEED(fd_make_private(got) >= 0);
	NEED(sys_readlink_fd(fd, text, sizeof(text)) > 0 && sys_fd_name(name, fd));
	NEED(eventfd(0, EFD_CLOEXEC) >= 0);
	NEED(!maps_each(line, &lines) && lines > 10);
}

static void *later(void *arg)
{
	serve();
	return try_all(arg);
}

static void confine(void)
{
	pthread_t old, new;

	pthread_barrier_init(&confined, NULL, 2);
	NEED(!pthread_create(&old, NULL, before, NULL));
	NEED(!sandbox_enter(false));
	pthread_barrier_wait(&confined);
	try_all(NULL);
	serve();
	NEED(!pthread_create(&new, NULL, later, NULL));
	NEED(!pthread_join(old, NULL) && !pthread_join(new, NULL));
}

/* ---- each fence alone ---- */

/* Where there is no Landlock the rest of the tests is of seccomp alone. */
static bool has_landlock(void)
{
	return sys_call(SYS_landlock_create_ruleset, 0, 0, 1, 0, 0, 0) > 0;
}

static void *try_files(void *arg)
{
	NEED(open("/dev/null", O_RDONLY) < 0 && errno == EACCES);
	NEED(open("/tmp/uvfio-sandbox", O_CREAT | O_RDWR, 0600) < 0 && errno == EACCES);
	NEED(mkdir("/tmp/uvfio-sandbox", 0700) < 0 && errno == EACCES);
	NEED(execl("/bin/true", "true", NULL) < 0 && errno == EACCES);
	return arg;
}

static void *files_before(void *arg)
{
	pthread_barrier_wait(&confined);
	return try_files(arg);
}

static void only_landlock(void)
{
	pthread_t old[3];

	pthread_barrier_init(&confined, NULL, 4);
	for (unsigned i = 0; i < 3; i++)
		NEED(!pthread_create(&old[i], NULL, files_before, NULL));
	NEED(!sandbox_prepare() && !sandbox_landlock(true));
	pthread_barrier_wait(&confined);
	try_files(NULL);
	for (unsigned i = 0; i < 3; i++)
		NEED(!pthread_join(old[i], NULL));
}

static void *deaf(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	pthread_barrier_wait(&confined);
	pause();
	return arg;
}

/* One thread that cannot be confined, and all is refused. */
static void blocked(void)
{
	pthread_t thread;

	pthread_barrier_init(&confined, NULL, 2);
	NEED(!pthread_create(&thread, NULL, deaf, NULL));
	pthread_barrier_wait(&confined);
	NEED(sandbox_enter(false) == -EBUSY);
}

/* An old kernel: a line, or no server. */
static void without_landlock(void)
{
	deny(SYS_landlock_create_ruleset, ENOSYS);
	NEED(!sandbox_prepare());
	NEED(sandbox_landlock(true) == -ENOSYS);
	NEED(!sandbox_landlock(false));
	NEED(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
	NEED(!sandbox_seccomp());
	NEED(open("/dev/null", O_RDONLY) < 0 && errno == EPERM);
}

static void landlock_alone(void **state)
{
	if (!has_landlock())
		skip();
	in_child(only_landlock);
	in_child(blocked);
}

static void seccomp_alone(void **state)
{
	in_child(without_landlock);
}

static void nothing_else(void **state)
{
	in_child(confine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_else),
		cmocka_unit_test(landlock_alone),
		cmocka_unit_test(seccomp_alone),
	};

#if defined(SANITIZED_THREAD)
	/* its run time has a thread that takes no signals, and starts others */
	return 0;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
