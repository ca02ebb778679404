/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/process.c: the command that is the server, or the client, under test. A server that ends
 * with its client is started again for the next test; what it writes is kept, for a test that finds
 * it dead.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform/internal.h"

#define OUTPUT_SHOWN 4000

extern char **environ;

int ct_process_start(struct ct_run *run)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, defaults;
	int in[2], rc;

	if (!run->o->command || run->pid)
		return 0;
	if (run->output <= 0) {
		run->output = memfd_create("uvfio-conform", MFD_CLOEXEC);
		if (run->output < 0)
			return -errno;
	}
	if (ftruncate(run->output, 0) || lseek(run->output, 0, SEEK_SET))
		return -errno;
	/* A server that waits at its input for a key must not read the end of it. */
	if (pipe2(in, O_CLOEXEC))
		return -errno;
	if (!run->o->client)
		unlink(run->socket);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, run->output, 1);
	posix_spawn_file_actions_adddup2(&actions, run->output, 2);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETPGROUP);
	rc = posix_spawnp(&run->pid, run->o->command[0], &actions, &attr, run->o->command, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	if (rc) {
		run->pid = 0;
		close(in[1]);
		return -rc;
	}
	run->input = in[1];
	return 0;
}

static void ended(struct ct_run *run)
{
	run->pid = 0;
	close(run->input);
	run->input = -1;
}

bool ct_process_ended(struct ct_run *run, int wait_ms)
{
	double until = ct_now() + wait_ms / 1000.;
	int st;

	if (!run->o->command)
		return false;
	while (run->pid && waitpid(run->pid, &st, WNOHANG) != run->pid) {
		if (ct_now() >= until)
			return false;
		poll(NULL, 0, 2);
	}
	if (!run->pid)
		return true;
	if (WIFSIGNALED(st) && !run->died)
		run->died = WTERMSIG(st);
	run->status = WIFEXITED(st) ? WEXITSTATUS(st) : 0;
	ended(run);
	return true;
}

void ct_process_kill(struct ct_run *run)
{
	int died = run->died;

	if (!run->pid)
		return;
	kill(-run->pid, SIGTERM);
	if (!ct_process_ended(run, 1000)) {
		kill(-run->pid, SIGKILL);
		waitpid(run->pid, NULL, 0);
		ended(run);
	}
	run->died = died; /* not by us */
}

void ct_process_output(struct ct_run *run, FILE *f, const char *indent)
{
	char text[OUTPUT_SHOWN + 1], *line, *save;
	off_t size = run->output > 0 ? lseek(run->output, 0, SEEK_END) : 0;
	ssize_t n;

	if (size <= 0)
		return;
	n = pread(run->output, text, OUTPUT_SHOWN, size > OUTPUT_SHOWN ? size - OUTPUT_SHOWN : 0);
	if (n <= 0)
		return;
	text[n] = 0;
	fprintf(f, "%sthe end of what %s wrote:\n", indent, run->o->command[0]);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		fprintf(f, "%s  %s\n", indent, line);
}
