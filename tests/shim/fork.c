/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/fork.c: forked children, by every way of forking: what a child inherits is dead in it,
 * what it opens itself works, and the parent notices nothing.
 */
#include <sched.h>
#include <spawn.h>

#include "shim.h"

extern char **environ;

/* in a child */
static int check_inherited(struct vfio *v)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_group_status st = { .argsz = sizeof(st) };
	char c;

	case_failed = 0;
	FAILS(ioctl(v->device, VFIO_DEVICE_GET_INFO, &info), ENODEV);
	FAILS(ioctl(v->group, VFIO_GROUP_GET_STATUS, &st), ENODEV);
	FAILS(ioctl(v->container, VFIO_GET_API_VERSION), ENODEV);
	FAILS(pread(v->device, &c, 1, (off_t)CONFIG), ENODEV);
	/* the parent has it */
	FAILS(open_group(), EBUSY);
	vfio_close(v);
	FAILS(open_group(), EBUSY);
	fflush(stdout);
	return case_failed;
}

static int check_fresh(void)
{
	struct vfio v = vfio_open();

	case_failed = 0;
	CHECK(v.device >= 0);
	CHECK(works(&v));
	vfio_close(&v);
	fflush(stdout);
	return case_failed;
}

static void child_opens_everything(void)
{
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(check_fresh());
		CHECK(wait_for(pid) == 0);
	}
}

static void inherited_handles_are_dead(void)
{
	struct vfio v = vfio_open();
	pid_t pid;

	CHECK(put32(v.device, TD_SCRATCH32, 0x1234));
	pid = fork();
	if (!pid)
		_exit(check_inherited(&v));
	CHECK(wait_for(pid) == 0);
	CHECK(get32(v.device, TD_SCRATCH32) == 0x1234);
	vfio_close(&v);
	pid = fork();
	if (!pid)
		_exit(check_fresh());
	CHECK(wait_for(pid) == 0);
	v = vfio_open();
	CHECK(works(&v));
	vfio_close(&v);
}

/* fork() that no atfork handler sees */
static void raw_fork(void)
{
	struct vfio v = vfio_open();
	pid_t pid;

	CHECK(works(&v));
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!pid)
		_exit(check_inherited(&v));
	CHECK(wait_for(pid) == 0);
	CHECK(works(&v));
	vfio_close(&v);
	v = vfio_open();
	CHECK(works(&v));
	vfio_close(&v);
	pid = (pid_t)raw_call(SYS_fork, 0, 0, 0, 0, 0, 0);
	if (!pid)
		_exit(check_fresh());
	CHECK(wait_for(pid) == 0);
}

/* A child that still has the descriptor keeps the group open, as in the kernel. */
static void child_keeps_group_open(void)
{
	int g = open_group(), p[2];
	pid_t pid;
	char c;

	CHECK(!pipe(p));
	pid = fork();
	if (!pid) {
		close(p[1]);
		_exit(read(p[0], &c, 1) != 0);
	}
	close(p[0]);
	close(g);
	FAILS(open_group(), EBUSY);
	close(p[1]);
	CHECK(wait_for(pid) == 0);
	g = open_group();
	CHECK(g >= 0);
	close(g);
}

/*
 * vfork shares memory: what the child does to its descriptors must not be believed of the parent's
 */
static void vfork_child_closes_all(void)
{
	struct vfio v = vfio_open();
	pid_t pid;

	CHECK(works(&v));
	signal(SIGSEGV, SIG_IGN);
	pid = vfork();
	if (!pid) {
		for (int i = 3; i < 1024; i++)
			close(i);
		signal(SIGSEGV, SIG_DFL);
		dup2(0, v.device);
		char c;

		if (pread(v.device, &c, 0, 0))
			_exit(2);
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	CHECK(wait_for(pid) == 0);
	CHECK(signal(SIGSEGV, SIG_DFL) == SIG_IGN);
	CHECK(works(&v));
	vfio_close(&v);
	v = vfio_open();
	CHECK(works(&v));
	vfio_close(&v);
}

static void spawned_children(void)
{
	struct vfio v = vfio_open();
	char *argv[] = { "true", NULL };
	posix_spawn_file_actions_t fa;
	pid_t pid;

	CHECK(works(&v));
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addclosefrom_np(&fa, 3);
	CHECK(!posix_spawn(&pid, "/bin/true", &fa, NULL, argv, environ));
	CHECK(wait_for(pid) == 0);
	CHECK(system("true") == 0);
	CHECK(works(&v));
	vfio_close(&v);
}

static void grandchildren(void)
{
	pid_t pid = fork(), pid2;

	if (!pid) {
		struct vfio v = vfio_open();

		case_failed = !works(&v);
		pid2 = fork();
		if (!pid2)
			_exit(check_inherited(&v));
		case_failed |= wait_for(pid2) != 0;
		case_failed |= !works(&v);
		_exit(case_failed);
	}
	CHECK(wait_for(pid) == 0);
}

int main(void)
{
	RUN(child_opens_everything);
	RUN(inherited_handles_are_dead);
	RUN(raw_fork);
	RUN(child_keeps_group_open);
	RUN(vfork_child_closes_all);
	RUN(spawned_children);
	RUN(grandchildren);
	return any_failed;
}
