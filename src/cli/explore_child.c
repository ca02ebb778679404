/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/explore_child.c: a run of the program that is explored: started in a process group of its
 * own, and ended with all of it when it takes too long.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "cli/explore.h"

#define GRACE_NS 2000000000ull /* from SIGTERM to SIGKILL */

static sigset_t old_mask;

static void set_of(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

void explore_signals(bool on)
{
	sigset_t set;

	set_of(&set);
	if (on)
		sigprocmask(SIG_BLOCK, &set, &old_mask);
	else
		sigprocmask(SIG_SETMASK, &old_mask, NULL);
}

/* In the child: open @name as descriptor @to. */
static void redirect(const char *name, int flags, int to)
{
	int fd = open(name, flags, 0600);

	if (fd < 0 || dup2(fd, to) < 0)
		_exit(126);
	if (fd != to)
		close(fd);
}

/* In the child: never returns. */
static void start(const char *place, char **argv)
{
	char out[4200], err[4200];

	setpgid(0, 0);
	snprintf(out, sizeof(out), "%s/out", place);
	snprintf(err, sizeof(err), "%s/err", place);
	redirect("/dev/null", O_RDONLY, 0);
	redirect(out, O_WRONLY | O_CREAT | O_TRUNC, 1);
	redirect(err, O_WRONLY | O_CREAT | O_TRUNC, 2);
	/* its run directory goes with ours, also when it is killed */
	setenv("TMPDIR", place, 1);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	execv(argv[0], argv);
	_exit(127);
}

int explore_start(struct explore_child *c, const char *dir, unsigned n, char **argv,
		  uint64_t timeout_ns)
{
	char place[4096];
	void *arg = c->arg;

	snprintf(place, sizeof(place), "%s/%u", dir, n);
	if (mkdir(place, 0700))
		return -errno;
	*c = (struct explore_child){ .n = n, .since = now_ns(), .arg = arg };
	c->deadline = c->since + timeout_ns;
	c->pid = fork();
	if (c->pid < 0) {
		c->pid = 0;
		return -errno;
	}
	if (!c->pid)
		start(place, argv);
	/* here as well: it may be killed before it has come so far */
	setpgid(c->pid, c->pid);
	return 0;
}

/* Take the status of @c if it has ended. What it left of its group goes with it. */
static bool reap(struct explore_child *c)
{
	int status;

	if (!c->pid || waitpid(c->pid, &status, WNOHANG) != c->pid)
		return false;
	kill(-c->pid, SIGKILL);
	c->pid = 0;
	if (c->told) {
		c->end = EXPLORE_HANG;
	} else if (WIFSIGNALED(status)) {
		c->end = EXPLORE_SIGNAL;
		c->status = WTERMSIG(status);
	} else if (WEXITSTATUS(status) > 128 && WEXITSTATUS(status) <= 128 + SIGRTMAX) {
		/* as a shell says it of a program that it ran */
		c->end = EXPLORE_SIGNAL;
		c->status = WEXITSTATUS(status) - 128;
	} else {
		c->end = EXPLORE_EXIT;
		c->status = WEXITSTATUS(status);
	}
	return true;
}

static void end_late(struct explore_child *c, uint64_t now)
{
	if (!c->pid || now < c->deadline)
		return;
	kill(-c->pid, c->told ? SIGKILL : SIGTERM);
	/* a stopped one does not hear it */
	kill(-c->pid, SIGCONT);
	c->told = true;
	c->deadline = now + GRACE_NS;
}

struct explore_child *explore_wait(struct explore_child *c, unsigned num)
{
	sigset_t set;

	set_of(&set);
	for (;;) {
		uint64_t now = now_ns(), next = now + 1000000000ull;
		struct timespec left;
		int sig;

		for (unsigned i = 0; i < num; i++) {
			if (reap(&c[i]))
				return &c[i];
			end_late(&c[i], now);
			if (c[i].pid && c[i].deadline < next)
				next = c[i].deadline;
		}
		next = next > now ? next - now : 0;
		left = (struct timespec){ (time_t)(next / 1000000000), (long)(next % 1000000000) };
		sig = sigtimedwait(&set, NULL, &left);
		if (sig > 0 && sig != SIGCHLD)
			return NULL;
	}
}

void explore_kill(struct explore_child *c, unsigned num)
{
	for (unsigned i = 0; i < num; i++) {
		if (!c[i].pid)
			continue;
		kill(-c[i].pid, SIGKILL);
		waitpid(c[i].pid, NULL, 0);
		c[i].pid = 0;
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	remove(path);
	return 0;
}

void explore_remove(const char *dir, unsigned n)
{
	char place[4096];

	snprintf(place, sizeof(place), "%s/%u", dir, n);
	nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
