/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/fork.c: children. A forked child has a copy of everything but threads and of what only one
 * process can own (the images' descriptors, the models' threads). It drops the machine where it
 * stands, without a call into a model, and builds its own when it opens a device.
 *
 * Noticed in two ways: by pthread_atfork, which sees fork(); and by a page that the kernel wipes in
 * a child, for clone() and _Fork(). vfork and posix_spawn share the parent's memory and must do
 * nothing here; neither way sees them, as it should be.
 */
#include <sys/syscall.h>

#include "base/fork.h"
#include "check/check.h"
#include "far/link.h"
#include "shim/bars.h"
#include "shim/handles.h"
#include "shim/mem.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "trace/trace.h"
#include "vfio/keeper.h"

static uint64_t fork_mask;

static void before(void)
{
	struct machine *m;

	shim_v3_forks();
	shim_block_signals(&fork_mask);
	pthread_mutex_lock(&shim.build_lock);
	shim_handles_lock();
	shim_bars_lock();
	m = atomic_load(&shim.machine);
	if (m)
		machine_hold(m);
	fork_before();
}

static void after_in_parent(void)
{
	struct machine *m = atomic_load(&shim.machine);

	fork_after_in_parent();
	if (m)
		machine_unhold(m);
	shim_bars_unlock();
	shim_handles_unlock();
	pthread_mutex_unlock(&shim.build_lock);
	shim_restore_signals(&fork_mask);
}

static void drop_private(int fd, void *arg)
{
	if (fd != shim.log_fd && fd != shim.presence_fd)
		fd_close_private(fd);
}

static long after_fork(void *unused)
{
	struct machine *m;

	shim_bars_abandon(); /* while the files are there to say what it is a mapping of */
	shim_handles_abandon();
	ctl_agent_abandon(shim.agent);
	shim.agent = NULL;
	m = atomic_exchange(&shim.machine, NULL);
	if (m)
		machine_free(m, true);
	if (shim.far)
		far_links_abandon(shim.far);
	fd_for_each_private(drop_private, NULL)
		;
	return 0;
}

void shim_after_fork(void)
{
	uint64_t mask;

	shim_block_signals(&mask);
	if (shim.alive)
		*shim.alive = 1;
	shim.pid = (pid_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	pthread_mutex_init(&shim.build_lock, NULL);
	check_forked();
	shim_gone_abandon();
	trace_forked();
	vfio_keeper_abandon();
	fork_after_in_child();
	shim_signals_abandon();
	shim_stacks_abandon();
	shim_lists_abandon();
	shim_on_stack(after_fork, NULL);
	shim_restore_signals(&mask);
}

static void after_in_child(void)
{
	shim_after_fork();
	shim_restore_signals(&fork_mask);
}

void shim_fork_init(void)
{
	fork_hooks_elsewhere();
	if (pthread_atfork(before, after_in_parent, after_in_child))
		report_warn("no-atfork", SHIM_WHO, 0,
			    "pthread_atfork: no memory; children of fork() may not use devices");
}
