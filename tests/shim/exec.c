/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/exec.c: programs that a program under the shim starts: they have devices of their own,
 * also when the environment was not handed on; and a static one lives, though the filter is in it
 * and the shim is not. Called again as "shim_exec WHAT" it is the child. The last argument is the
 * static program.
 */
#include <spawn.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "shim.h"

extern char **environ;
static char *self, *static_prog;

/*
 * Descriptors that another image of the same process opened: nothing answers, and the group is open
 * for as long as one of them is.
 */
static int kept(int c, int g, int d)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	struct vfio v;
	char b;

	FAILS(ioctl(c, VFIO_GET_API_VERSION), ENODEV);
	FAILS(ioctl(g, VFIO_GROUP_GET_STATUS, &st), ENODEV);
	FAILS(pread(d, &b, 1, (off_t)CONFIG), ENODEV);
	FAILS(open_group(), EBUSY);
	close(g);
	FAILS(open_group(), EBUSY);
	close(d);
	v = vfio_open();
	CHECK(works(&v));
	vfio_close(&v);
	close(c);
	return case_failed;
}

static int child(int argc, char **argv)
{
	struct vfio v;

	if (!strcmp(argv[1], "inherited")) {
		struct vfio_group_status st = { .argsz = sizeof(st) };
		int g = atoi(argv[2]);

		FAILS(ioctl(g, VFIO_GROUP_GET_STATUS, &st), ENODEV);
		CHECK(!fstat(g, &(struct stat){ 0 }));
		close(g);
		return case_failed;
	}
	if (!strcmp(argv[1], "kept"))
		return kept(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
	if (!strcmp(argv[1], "nothing"))
		return 0;
	if (!strcmp(argv[1], "wait")) {
		char c;

		return write(atoi(argv[3]), "", 1) != 1 || read(atoi(argv[2]), &c, 1) != 0;
	}
	if (!strcmp(argv[1], "busy")) {
		FAILS(open_group(), EBUSY);
		return case_failed;
	}
	v = vfio_open();
	CHECK(works(&v));
	/* the filter that was there before exec: calls past libc still come to us */
	CHECK(raw_call(SYS_ioctl, v.container, VFIO_GET_API_VERSION, 0, 0, 0, 0) ==
	      VFIO_API_VERSION);
	/* and one that is not ours, too: it must get through two shims' filter */
	CHECK(raw_call(SYS_ioctl, 1, VFIO_GET_API_VERSION, 0, 0, 0, 0) == -ENOTTY);
	vfio_close(&v);
	return case_failed;
}

static int spawn(char **argv, char **envp)
{
	pid_t pid;

	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, envp))
		return -1;
	return wait_for(pid);
}

static void exec_with_environment(void)
{
	char *argv[] = { self, "open", NULL };
	pid_t pid = fork();

	if (!pid) {
		execv(self, argv);
		_exit(99);
	}
	CHECK(wait_for(pid) == 0);
	CHECK(spawn(argv, environ) == 0);
}

static void exec_without_environment(void)
{
	char *argv[] = { self, "open", NULL }, *none[] = { NULL },
	     *other[] = { "LD_PRELOAD=", "A=b", NULL };
	pid_t pid = fork();

	if (!pid) {
		execve(self, argv, none);
		_exit(99);
	}
	CHECK(wait_for(pid) == 0);
	CHECK(spawn(argv, other) == 0);
	pid = fork();
	if (!pid) {
		clearenv();
		execl(self, self, "open", NULL);
		_exit(99);
	}
	CHECK(wait_for(pid) == 0);
	pid = vfork();
	if (!pid) {
		execle(self, self, "open", NULL, none);
		_exit(99);
	}
	CHECK(wait_for(pid) == 0);
}

static void exec_is_efault(char *const *envp)
{
	char *argv[] = { self, "open", NULL };
	int fd = open(self, O_PATH | O_CLOEXEC);
	pid_t pid;

	FAILS(execve(self, argv, envp), EFAULT);
	FAILS(execveat(AT_FDCWD, self, argv, envp, 0), EFAULT);
	FAILS(fexecve(fd, argv, envp), EFAULT);
	FAILS(execvpe(self, argv, envp), EFAULT);
	FAILS(execle(self, self, "open", NULL, envp), EFAULT);
	CHECK(posix_spawn(&pid, self, NULL, NULL, argv, envp) == EFAULT);
	CHECK(posix_spawnp(&pid, self, NULL, NULL, argv, envp) == EFAULT);
	/* what is found first */
	FAILS(execve("/nonexistent", argv, envp), ENOENT);
	CHECK(posix_spawn(&pid, "/nonexistent", NULL, NULL, argv, envp) == ENOENT);
	pid = vfork();
	if (!pid) {
		execve(self, argv, envp);
		_exit(errno == EFAULT ? 12 : 99);
	}
	CHECK(wait_for(pid) == 12);
	close(fd);
}

/*
 * Cannot be read: the array, its end, a string, one that has no address at all, the end of one;
 * and what is behind the end of a file, with SIGBUS blocked.
 */
static void environment_that_cannot_be_read(void)
{
	char *bad[] = { (char *)8, NULL }, *later[] = { "A=b", (char *)(1ull << 63), NULL };
	char *argv[] = { self, "open", NULL }, *cut[2] = { NULL }, *p, **list, **old = environ;
	char **volatile nowhere = (char **)8, **file;
	int m = memfd_create("short", 0);
	sigset_t bus, was;

	p = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	file = mmap(NULL, 4096, PROT_READ, MAP_SHARED, m, 0);
	CHECK(p != MAP_FAILED && (char *)file != MAP_FAILED);
	CHECK(!mprotect(p + 8192, 4096, PROT_NONE));
	exec_is_efault(nowhere);
	exec_is_efault(bad);
	exec_is_efault(later);
	list = (char **)(p + 8192) - 1;
	*list = "A=b";
	exec_is_efault(list);
	memset(p, 'x', 8192);
	memcpy(p, "LD_PRELOAD=", 11);
	cut[0] = p;
	exec_is_efault(cut);
	p[8191] = '\0';
	memcpy(p, "OTHERNAME__=", 12);
	CHECK(spawn(argv, cut) == 0);
	sigemptyset(&bus);
	sigaddset(&bus, SIGBUS);
	CHECK(!sigprocmask(SIG_BLOCK, &bus, &was));
	exec_is_efault(file);
	CHECK(!sigprocmask(SIG_SETMASK, &was, NULL));
	environ = nowhere;
	FAILS(execv(self, argv), EFAULT);
	FAILS(execl(self, self, "open", NULL), EFAULT);
	environ = old;
	FAILS(execve(self, nowhere, environ), EFAULT);
	/* posix_spawn counts argv in libc */
	munmap(p, 12288);
	munmap(file, 4096);
	close(m);
}

/* A debugger stops at each: one says whether the filter is there, and that is all before main. */
static void signals_before_main(void)
{
	int st = 0, traps = 0, others = 0;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl(self, self, "nothing", "else", NULL);
		_exit(99);
	}
	while (waitpid(pid, &st, 0) == pid && WIFSTOPPED(st)) {
		int sig = WSTOPSIG(st);

		traps += sig == SIGSYS;
		others += sig != SIGSYS && sig != SIGTRAP;
		ptrace(PTRACE_CONT, pid, NULL, (void *)(long)(sig == SIGTRAP ? 0 : sig));
	}
	CHECK(WIFEXITED(st) && !WEXITSTATUS(st));
	CHECK(traps == 1);
	CHECK(others == 0);
}

/* As few numbers as docs/differences.md says. */
static void few_numbers(void)
{
	struct rlimit few = { 17, 17 };
	pid_t pid = fork();

	if (!pid) {
		/* what we were started with */
		if (close_range(3, ~0u, 0) || setrlimit(RLIMIT_NOFILE, &few))
			_exit(98);
		execl(self, self, "open", NULL);
		_exit(99);
	}
	CHECK(wait_for(pid) == 0);
}

static void inherited_over_exec(void)
{
	int g = open_group();
	char text[16], *argv[] = { self, "inherited", text, NULL };

	CHECK(fcntl(g, F_GETFD) == 0);
	snprintf(text, sizeof(text), "%d", g);
	CHECK(spawn(argv, environ) == 0);
	close(g);
}

static void static_child_lives(void)
{
	char *argv[] = { static_prog, NULL };
	struct vfio v = vfio_open();

	CHECK(works(&v));
	CHECK(spawn(argv, environ) == 0);
	CHECK(works(&v));
	vfio_close(&v);
}

static void exclusive_between_processes(void)
{
	struct vfio v = vfio_open();
	char *busy[] = { self, "busy", NULL }, *argv[] = { self, "open", NULL };

	CHECK(works(&v));
	CHECK(spawn(busy, environ) == 0);
	CHECK(works(&v));
	vfio_close(&v);
	CHECK(spawn(argv, environ) == 0);
}

static void works_again(void)
{
	struct vfio v = vfio_open();

	CHECK(works(&v));
	vfio_close(&v);
}

/* The log of a child says which, as far as they are open then. */
static void handles_over_exec(void)
{
	char log[] = "/tmp/shim_exec-XXXXXX", num[3][16], text[4096] = "",
	     *argv[] = { self, "kept", num[0], num[1], num[2], static_prog, NULL };
	int f = mkstemp(log), n;
	pid_t pid;

	CHECK(f >= 0 && !unlink(log));
	pid = fork();
	if (!pid) {
		struct vfio v = vfio_open();

		if (!works(&v) || dup2(f, 2) < 0)
			_exit(97);
		fcntl(open_group(), F_SETFD, FD_CLOEXEC); /* EBUSY */
		dup2(v.container, 100);
		fcntl(100, F_SETFD, FD_CLOEXEC);
		fcntl(v.device, F_SETFD, 0);
		snprintf(num[0], 16, "%d", v.container);
		snprintf(num[1], 16, "%d", v.group);
		snprintf(num[2], 16, "%d", v.device);
		execv(self, argv);
		_exit(98);
	}
	CHECK(wait_for(pid) == 0);
	n = (int)pread(f, text, sizeof(text) - 1, 0);
	CHECK(n > 0);
	CHECK(strstr(text, "/dev/vfio/vfio, was kept open over an exec"));
	CHECK(strstr(text, GROUP ", was kept open over an exec"));
	CHECK(strstr(text, "[vfio-device], was kept open over an exec"));
	CHECK(!strstr(text, "descriptor 100"));
	close(f);
	works_again();
}

/*
 * Descriptors that a child has by accident do not harm the parent, and keep the group open, as in
 * the kernel.
 */
static void a_child_has_it_too(void)
{
	int p[2], up[2];
	char num[2][16], *argv[] = { self, "wait", num[0], num[1], static_prog, NULL }, c;
	struct vfio v = vfio_open();
	pid_t pid;

	CHECK(works(&v) && !pipe2(p, 0) && !pipe(up));
	fcntl(p[1], F_SETFD, FD_CLOEXEC);
	fcntl(v.device, F_SETFD, 0);
	snprintf(num[0], 16, "%d", p[0]);
	snprintf(num[1], 16, "%d", up[1]);
	CHECK(!posix_spawn(&pid, self, NULL, NULL, argv, environ));
	CHECK(read(up[0], &c, 1) == 1);
	CHECK(works(&v));
	vfio_close(&v);
	FAILS(open_group(), EBUSY);
	close(p[1]);
	CHECK(wait_for(pid) == 0);
	close(p[0]);
	close(up[0]);
	close(up[1]);
	works_again();
}

/* The process that opened it is gone, and a child of it has it still. */
static void an_orphan_has_it(void)
{
	int p[2], up[2];
	pid_t pid;
	char c;

	CHECK(!pipe(p) && !pipe(up));
	pid = fork();
	if (!pid) {
		int g = open_group();

		close(p[1]);
		if (g < 0)
			_exit(1);
		if (!fork()) {
			close(up[0]);
			_exit(read(p[0], &c, 1) != 0);
		}
		_exit(0);
	}
	close(up[1]);
	CHECK(wait_for(pid) == 0);
	FAILS(open_group(), EBUSY);
	FAILS(open_group(), EBUSY);
	close(p[1]);
	CHECK(read(up[0], &c, 1) == 0); /* it ended */
	close(p[0]);
	close(up[0]);
	works_again();
}

/* So it is with one that was passed on. */
static void passed_on(void)
{
	char b = 0, ctl[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &b, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	int sv[2], fd;
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	pid = fork();
	if (!pid) {
		fd = open_group();
		*h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
				       .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(h), &fd, sizeof(int));
		_exit(fd < 0 || sendmsg(sv[0], &m, 0) != 1);
	}
	CHECK(recvmsg(sv[1], &m, 0) == 1 && CMSG_FIRSTHDR(&m));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	CHECK(wait_for(pid) == 0);
	FAILS(open_group(), EBUSY);
	close(fd);
	close(sv[0]);
	close(sv[1]);
	works_again();
}

int main(int argc, char **argv)
{
	self = argv[0];
	static_prog = argv[argc - 1];
	if (argc > 2 || (argc > 1 && (!strcmp(argv[1], "open") || !strcmp(argv[1], "busy"))))
		return child(argc, argv);
	RUN(exec_with_environment);
	RUN(exec_without_environment);
	RUN(environment_that_cannot_be_read);
	RUN(signals_before_main);
	RUN(few_numbers);
	RUN(inherited_over_exec);
	if (argc > 1)
		RUN(static_child_lives);
	RUN(exclusive_between_processes);
	RUN(handles_over_exec);
	RUN(a_child_has_it_too);
	RUN(an_orphan_has_it);
	RUN(passed_on);
	return any_failed;
}
