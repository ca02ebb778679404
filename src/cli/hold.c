/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/hold.c: uvfio run --hold: the devices of a program that failed stay as it left them, in their
 * own process (process=own), until the user has looked at them.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/util.h"
#include "cli/cli.h"

#define SECONDS_MAX 1000000ul

int hold_parse(const char *text, struct hold *out)
{
	char word[16], *end;
	size_t len;

	out->is_on = true;
	for (; text; text = text[len] ? text + len + 1 : NULL) {
		len = strcspn(text, ",");
		if (!len || len >= sizeof(word))
			return -EINVAL;
		memcpy(word, text, len);
		word[len] = '\0';
		if (!strcmp(word, "always")) {
			out->always = true;
			continue;
		}
		out->seconds = strtoul(word, &end, 10);
		if (*word < '0' || *word > '9' || *end || !out->seconds ||
		    out->seconds > SECONDS_MAX)
			return -EINVAL;
	}
	return 0;
}

/* Say what there is, and what can be done. */
static void tell(const struct hold *h, const char *dir, const struct own_child *devices, int status,
		 int sig)
{
	const char *slash = strrchr(dir, '/');
	char how[64], ends[64] = "";

	if (sig)
		snprintf(how, sizeof(how), "was ended by SIG%s", sigabbrev_np(sig) ?: "?");
	else
		snprintf(how, sizeof(how), "ended with status %d", status);
	if (h->seconds)
		snprintf(ends, sizeof(ends), " (and after %lu s)", h->seconds);
	/* wherever the log goes: who waits for the run to end has to see it */
	fprintf(stderr,
		"uvfio: run: the program %s, and its devices are held as it left them: look at "
		"them by `uvfio ctl --run %s list` (or show 01:00.0), or `gdb -p %d`; ^C, SIGTERM "
		"to process %d, or `uvfio ctl --run %s release` ends it%s\n",
		how, slash ? slash + 1 : dir, (int)devices->pid, (int)getpid(),
		slash ? slash + 1 : dir, ends);
	fflush(stderr);
}

void hold_devices(const struct hold *h, const char *dir, const struct own_child *devices,
		  struct ctl_server *ctl, int status, int sig)
{
	static const int ends[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct pollfd p[3];
	uint64_t until = h->seconds ? now_ns() + h->seconds * 1000000000ull : UINT64_MAX, now;
	sigset_t set, old;
	int rc = 0;

	if (!h->is_on || devices->pid < 0 || (!h->always && !sig && !status))
		return;
	own_keep(devices);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		sigaddset(&set, ends[i]);
	sigprocmask(SIG_BLOCK, &set, &old);
	/* one that there is no room for is not waited for */
	p[0] = (struct pollfd){ signalfd(-1, &set, SFD_CLOEXEC), POLLIN, 0 };
	p[1] = (struct pollfd){ eventfd(0, EFD_CLOEXEC), POLLIN, 0 };
	p[2] = (struct pollfd){ (int)syscall(SYS_pidfd_open, devices->pid, 0), POLLIN, 0 };
	ctl_server_set_release(ctl, p[1].fd);
	tell(h, dir, devices, status, sig);
	while (rc <= 0 && (now = now_ns()) < until) {
		uint64_t ms = (until - now) / 1000000u + 1;

		rc = poll(p, ARRAY_SIZE(p), ms < 1000000u ? (int)ms : 1000000);
	}
	ctl_server_set_release(ctl, -1);
	if (p[2].revents)
		fprintf(stderr, "uvfio: run: the devices' process has ended\n");
	while (sigtimedwait(&set, NULL, &(struct timespec){ 0 }) > 0)
		;
	sigprocmask(SIG_SETMASK, &old, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		if (p[i].fd >= 0)
			close(p[i].fd);
}
