/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/shim.h: what the files of the shim share. The shim is loaded into an unmodified program, so
 * it owns no control flow: everything here is called from a wrapper of a libc function, from a
 * signal handler, or on the shim's service thread.
 *
 * Four ideas hold it together:
 * - A handle is known by its inode, never by its number (handles.c). Nothing that the program does
 *   to numbers can mislead us.
 * - A handle's descriptor can neither read nor write nor map (access mode 3): a call that reaches
 *   the kernel past the wrappers fails there.
 * - What is cached about numbers is a hint that costs time when it is wrong, never correctness: a
 *   vfork child shares our memory, not our table.
 * - Nothing is built before the program opens a file of /dev/vfio, and a forked child starts from
 *   nothing (fork.c).
 *
 * Locks, in order: build_lock > release_lock > table_lock; bars_lock (bars.c) after build_lock,
 * with none of the others. All are taken with every signal blocked but the three that are ours,
 * since a handler of the program may call us. The lock of a device's accesses (lock.c) is held
 * around an access, before the locks of vfio_pci/ and of the model; bars_lock comes after it, when
 * the device opens its pages.
 */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H
/*
 * the fortified inlines of libc would turn our own definitions of open, read ... into calls of
 * something else
 */
#undef _FORTIFY_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "base/call.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"
#include "ctl/ctl.h"
#include "machine/machine.h"
#include "shim/next.h"
#include "uapi/uapi.h"

/* a symbol that takes the place of libc's */
#define EXPORT __attribute__((visibility("default")))

#define SHIM_WHO "shim"

struct shim {
	bool on;		/* the constructor ran and found a run directory */
	bool noiommu;		/* of a run without an IOMMU */
	struct far_links *far;	/* the devices are in another process; NULL: in this one */
	char run_dir[PATH_MAX]; /* canonical, no slash at its end */
	size_t run_len;
	dev_t run_dev;
	char *memlock; /* a copy: the program may change its environment */
	_Atomic(struct machine *) machine;
	struct ctl_agent *agent; /* of the machine, or NULL; build_lock */
	pthread_mutex_t build_lock;
	atomic_bool kvm; /* the program made a virtual machine */
	/* the working directory is such that a relative path may lead into the view */
	atomic_bool cwd_near;
	/* a page that a fork wipes: 0 in a child that no atfork handler has seen */
	volatile char *alive;
	int log_fd; /* private, or -1: standard error */
	/* private: says to `uvfio run` that the run directory is needed */
	int presence_fd;
	bool valgrind;	   /* the program runs on its simulated processor */
	_Atomic pid_t pid; /* whose memory this is; a vfork child has another */
};
extern struct shim shim;

/* Kernel's value to libc's: -1 with errno. */
static inline long shim_ret(long v)
{
	if (sys_failed(v)) {
		errno = (int)-v;
		return -1;
	}
	return v;
}

/* ---- shim.c ---- */
/* Build the machine if it is not there: NULL with *@err = -errno and a line in the log. */
struct machine *shim_machine(int *err);
/* The machine if it is built in this process, else NULL. */
struct machine *shim_machine_if_built(void);
extern const struct uapi_fds shim_fds;

/* report_say(), on a stack of ours. */
void shim_report(const struct report_code *code, const char *who, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define report_say shim_report

/* ---- fork.c ---- */
void shim_fork_init(void);
void shim_after_fork(void);
/* At each entry that touches state which a fork makes stale. */
static inline void shim_check_fork(void)
{
	if (__builtin_expect(shim.alive && !*shim.alive, 0))
		shim_after_fork();
}

/* ---- exec.c ---- */
void shim_exec_init(void);
#endif
