/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim_exec: programs that a program under the shim starts: they have devices of their own, also when the environment was not handed on; and a static one
 * lives, though the filter is in it and the shim is not. Called again as "shim_exec WHAT" it is the child. The last argument is the static program.
 */
#include "shim.h"
#include <spawn.h>

extern char **environ;
static char *self, *static_prog;

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
	if (!strcmp(argv[1], "busy")) {
		FAILS(open_group(), EBUSY);
		return case_failed;
	}
	v = vfio_open();
	CHECK(works(&v));
	/* the filter that was there before exec: calls past libc still come to us */
	CHECK(raw_call(SYS_ioctl, v.container, VFIO_GET_API_VERSION, 0, 0, 0, 0) == VFIO_API_VERSION);
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
	char *argv[] = { self, "open", NULL }, *none[] = { NULL }, *other[] = { "LD_PRELOAD=", "A=b", NULL };
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

int main(int argc, char **argv)
{
	self = argv[0];
	static_prog = argv[argc - 1];
	if (argc > 2 || (argc > 1 && (!strcmp(argv[1], "open") || !strcmp(argv[1], "busy"))))
		return child(argc, argv);
	RUN(exec_with_environment);
	RUN(exec_without_environment);
	RUN(inherited_over_exec);
	if (argc > 1)
		RUN(static_child_lives);
	RUN(exclusive_between_processes);
	return any_failed;
}
