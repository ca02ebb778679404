/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/explore.h: the inside of `uvfio explore`: one run of the program after the other. */
#ifndef CLI_EXPLORE_H
#define CLI_EXPLORE_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* How a run ended. */
enum explore_end {
	EXPLORE_EXIT,	/* with @status */
	EXPLORE_SIGNAL, /* by @status */
	EXPLORE_HANG,	/* it was ended, since it took too long */
};

/* A run that is there. Its files are in a directory of its own, "DIR/N". */
struct explore_child {
	pid_t pid; /* of `uvfio run`, and its process group; 0: none */
	unsigned n;
	uint64_t since, deadline; /* CLOCK_MONOTONIC, ns */
	bool told;		  /* SIGTERM was sent, SIGKILL is next */
	enum explore_end end;
	int status;
	void *arg;
};

/*
 * Start argv[0] with its standard output and error in DIR/N/out and DIR/N/err. 0 or -errno.
 */
int explore_start(struct explore_child *c, const char *dir, unsigned n, char **argv,
		  uint64_t timeout_ns);
/*
 * Wait until one of the @num children has ended, or is stopped by a signal of the user's: NULL. The
 * child that is returned has no process any more.
 */
struct explore_child *explore_wait(struct explore_child *c, unsigned num);
/* End all that are there, and wait for them. */
void explore_kill(struct explore_child *c, unsigned num);
/* Have the user's signals end explore_wait(); and not any more. */
void explore_signals(bool on);
/* Remove what is in DIR/N, and it. */
void explore_remove(const char *dir, unsigned n);
#endif
