/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/test_child.h: system calls that fail with an errno, and a child process in which they
 * do: for the unit tests of this folder.
 */
#ifndef MODELS_NVME_TEST_CHILD_H
#define MODELS_NVME_TEST_CHILD_H
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "models/nvme/test_driver.h"

/* Make system call @call fail with @err, for ever, in this thread and those that it starts. */
static inline void deny(int call, int err)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ 4, f }),
			 0);
}

/* Run @fn in a child, which is to end well within a minute. A failure of cmocka's ends it. */
static inline void run_child(void (*fn)(const void *arg), const void *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		alarm(60);
		fn(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}
#endif
