/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/own.c: the process that has the devices of a run with process=own. `uvfio run` starts it by
 * this command, which is none for users, before the program; it ends when `uvfio run` has ended and
 * no process of the program is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/report.h"
#include "base/util.h"
#include "check/check.h"
#include "cli/cli.h"
#include "fault/fault.h"
#include "own/own.h"
#include "trace/trace.h"
#include "vfio/iommu_hw.h"
#include "vfio/kernel.h"

#define NAME	 "own-process"
#define LATE	 "late" /* own_new() */
#define LISTENER 3
#define UNTIL	 4

/* ---- in `uvfio run` ---- */

/* In the child of a fork: never returns. */
static void start(const char *dir, char **envp, bool late, int listener, int until)
{
	const char *argv[] = { "uvfio", NAME, dir, late ? LATE : NULL, NULL };
	char path[PATH_MAX];
	ssize_t n;

	/* not the program's group: what a terminal sends is not for it */
	setpgid(0, 0);
	/* first out of the way of the numbers that they get */
	listener = fcntl(listener, F_DUPFD, UNTIL + 1);
	until = fcntl(until, F_DUPFD, UNTIL + 1);
	if (listener < 0 || until < 0 || dup2(listener, LISTENER) < 0 || dup2(until, UNTIL) < 0)
		_exit(CLI_USAGE);
	close(listener);
	close(until);
	/* by its name: under valgrind the link itself is valgrind, and only reading it is not */
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n > 0) {
		path[n] = '\0';
		execve(path, (char **)(uintptr_t)argv, envp);
	}
	/* the file has gone: "(deleted)" */
	execve("/proc/self/exe", (char **)(uintptr_t)argv, envp);
	_exit(CLI_USAGE);
}

/* Return the environment without what is for the program alone, to be freed; or NULL. */
static char **environment(char **envp)
{
	size_t n = 0, k = 0;
	char **out;

	while (envp[n])
		n++;
	out = calloc(n + 1, sizeof(*out));
	for (size_t i = 0; out && i < n; i++)
		if (strncmp(envp[i], "LD_PRELOAD=", 11))
			out[k++] = envp[i];
	return out;
}

int own_start(const char *dir, char **envp, bool late, struct own_child *out)
{
	char **env = environment(envp);
	int pipe[2], listener = -1, rc;

	*out = (struct own_child){ .pid = -1, .until = -1 };
	if (!env)
		return -ENOMEM;
	if (pipe2(pipe, O_CLOEXEC)) {
		rc = -errno;
		goto out;
	}
	listener = own_listen(dir);
	rc = listener < 0 ? listener : 0;
	if (!rc) {
		out->pid = fork();
		if (!out->pid)
			start(dir, env, late, listener, pipe[0]);
		rc = out->pid < 0 ? -errno : 0;
		close(listener);
	}
	close(pipe[0]);
	if (rc)
		close(pipe[1]);
	else
		out->until = pipe[1];
out:
	free(env);
	return rc;
}

void own_keep(const struct own_child *c)
{
	if (write(c->until, "", 1) != 1)
		report_warn("own-keep", "run", -errno, "the devices cannot be held: %m");
}

void own_end(const char *dir, struct own_child *c)
{
	if (c->pid < 0)
		return;
	close(c->until);
	/* what it has, an image for instance, is free when `uvfio run` returns */
	if (!rundir_is_needed(dir, false))
		waitpid(c->pid, NULL, 0);
}

/* ---- the process ---- */

static int init_log(void)
{
	const char *level = getenv("UVFIO_LOG"), *file = getenv("UVFIO_LOG_FILE");
	int n = level ? log_parse_level(level) : LOG_WARN, fd = STDERR_FILENO;

	if (n == -EINVAL)
		n = LOG_WARN;
	if (file && *file) {
		fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
		if (fd < 0)
			return -errno;
	}
	log_set(fd, n);
	return 0;
}

/* Build the machine of the run, and what serves it: 0 or -errno with a line in the log. */
static int build(const char *dir, bool late, struct machine **out, struct own **own,
		 struct ctl_agent **agent)
{
	const char *memlock = getenv("UVFIO_MEMLOCK");
	struct machine *m = machine_new();
	int rc;

	if (!m)
		return -ENOMEM;
	rc = machine_claim_dir(m, dir);
	/* before the list is read: what changes later is told */
	*agent = rc ? NULL : ctl_agent_new(dir);
	if (!rc)
		rc = machine_sync(m);
	if (!rc && memlock && *memlock)
		rc = machine_set_memlock(m, memlock);
	*own = rc ? NULL : own_new(m, late);
	if (!rc && !*own)
		rc = -ENOMEM;
	if (rc) {
		ctl_agent_free(*agent);
		machine_free(m, false);
		return rc;
	}
	if (*agent) {
		ctl_agent_set_settle(*agent, own_settle, *own);
		ctl_agent_start(*agent, m, NULL);
	}
	*out = m;
	return 0;
}

static bool is_needed(void *dir)
{
	return rundir_is_needed(dir, false);
}

static int own(const struct cli_command *cmd, int argc, char **argv)
{
	static const int ignored[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP, SIGTTOU
	};
	const char *kernel = getenv("UVFIO_KERNEL"), *iommu = getenv("UVFIO_IOMMU");
	bool late = argc == 2 && !strcmp(argv[1], LATE);
	struct ctl_agent *agent;
	struct machine *m;
	struct own *o;
	int rc;

	if ((argc != 1 && !late) || fcntl(LISTENER, F_GETFD) < 0 || fcntl(UNTIL, F_GETFD) < 0)
		return cli_error(NULL, "'" NAME "' is not a command for users: `uvfio run` starts "
				       "it for devices with process=own");
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_NAME, "uvfio-devices", 0, 0, 0);
	fcntl(LISTENER, F_SETFD, FD_CLOEXEC);
	fcntl(UNTIL, F_SETFD, FD_CLOEXEC);
	rc = init_log();
	if (!rc && kernel)
		rc = vfio_kernel_choose(kernel);
	if (!rc && iommu)
		rc = vfio_iommu_choose(iommu);
	if (!rc)
		rc = guard_install();
	if (!rc)
		rc = check_start(argv[0], false);
	if (!rc)
		rc = fault_follow(argv[0]);
	if (!rc)
		rc = trace_start(argv[0]);
	if (!rc)
		rc = build(argv[0], late, &m, &o, &agent);
	if (rc)
		return report_err("own-start", "process=own", 1, "the devices cannot be made: %s",
				  strerror(-rc));
	report_info("own-started", "process=own", 0, "the devices are in process %d",
		    (int)getpid());
	own_serve(o, LISTENER, UNTIL, is_needed, argv[0]);
	ctl_agent_free(agent);
	own_free(o);
	machine_free(m, false);
	return 0;
}

const struct cli_command cli_own = {
	.name = NAME,
	.args = "",
	.run = own,
};
