/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/supervise.c: stay with the program until its end, as if the caller had started it itself.
 *
 * Both are in one process group. What the terminal sends (^C, ^\, ^Z, a window's size) both get
 * from the kernel, and it is left to the program; what somebody sends to uvfio alone (kill, a
 * service manager) is passed on. When the program is stopped by job control, uvfio stops too, so
 * that the caller's shell sees it. A program whose uvfio dies gets SIGTERM: nothing would take its
 * run directory away.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cli.h"

static const int passed_on[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
				 SIGALRM, SIGPIPE, SIGCONT, SIGTSTP, SIGWINCH };

/* In the child: never returns. */
static void start(const char *path, char **argv, char **envp, const sigset_t *mask,
		  const struct sigaction *sigchld, pid_t parent, int report)
{
	int e;

	/* the parent's end is asked about after the signal is set: it may come in between */
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() != parent)
		_exit(CLI_USAGE);
	sigaction(SIGCHLD, sigchld, NULL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execve(path, argv, envp);
	e = errno;
	if (write(report, &e, sizeof(e)) != sizeof(e))
		_exit(CLI_USAGE + 1);
	_exit(CLI_USAGE);
}

/* Find out what became of the child; true: it ended. */
static bool reap(pid_t pid, int *status)
{
	while (waitpid(pid, status, WNOHANG | WUNTRACED) == pid) {
		if (!WIFSTOPPED(*status))
			return true;
		/* SIGSTOP is between the program and who sent it (a debugger) */
		if (WSTOPSIG(*status) != SIGSTOP)
			raise(SIGSTOP);
	}
	return false;
}

static int wait_for(pid_t pid, const sigset_t *set, int *sig)
{
	siginfo_t info;
	int status = 0, s;

	while (!reap(pid, &status)) {
		s = sigwaitinfo(set, &info);
		if (s < 0 || s == SIGCHLD)
			continue;
		/* SI_KERNEL: from the terminal, to the whole group */
		if (info.si_code == SI_KERNEL && s != SIGCONT)
			continue;
		kill(pid, s);
	}
	if (WIFSIGNALED(status)) {
		*sig = WTERMSIG(status);
		return 128 + *sig;
	}
	return WEXITSTATUS(status);
}

int supervise(const char *path, char **argv, char **envp, int *sig)
{
	pid_t pid, self = getpid();
	struct sigaction dfl = { .sa_handler = SIG_DFL }, old_chld;
	sigset_t set, old;
	int report[2], e, rc;

	*sig = 0;
	if (pipe2(report, O_CLOEXEC))
		return -errno;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		sigaddset(&set, passed_on[i]);
	sigprocmask(SIG_BLOCK, &set, &old);
	/*
	 * a caller that ignores SIGCHLD hands that down, and the kernel would keep no status for us
	 */
	sigaction(SIGCHLD, &dfl, &old_chld);
	pid = fork();
	if (pid < 0) {
		rc = -errno;
		close(report[0]);
		close(report[1]);
		goto out;
	}
	if (!pid)
		start(path, argv, envp, &old, &old_chld, self, report[1]);
	close(report[1]);
	/* an end of file: execve() closed the pipe */
	while ((rc = (int)read(report[0], &e, sizeof(e))) < 0 && errno == EINTR)
		;
	close(report[0]);
	if (rc == sizeof(e)) {
		waitpid(pid, NULL, 0);
		rc = -e;
		goto out;
	}
	rc = wait_for(pid, &set, sig);
out:
	/*
	 * what came too late for the program (a ^C that it answered by its exit) must not change
	 * the status that the caller gets
	 */
	while (sigtimedwait(&set, NULL, &(struct timespec){ 0 }) > 0)
		;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return rc;
}
