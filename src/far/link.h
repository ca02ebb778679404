/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * far/link.h: this process's links to the one that has the run's devices (far/wire.h).
 *
 * Threads: any. One lock, a leaf, which is not held during a call.
 */
#ifndef FAR_LINK_H
#define FAR_LINK_H
#include <stddef.h>

#include "far/wire.h"

struct far_links;

/* Give a new file a descriptor: return its number, or -errno. */
typedef int far_install_fn(void *arg, const struct far_info *info, int flags);

/**
 * far_links_new - make ready for links to the process of the run at @run_dir, which outlives this
 *
 * Nothing is connected before the first call.
 *
 * Return: them, or NULL: no memory.
 */
struct far_links *far_links_new(const char *run_dir);
/**
 * far_links_abandon - forget all links, in a forked child: they are the parent's
 *
 * The descriptors are closed by whoever closes all private ones. The child is a process of its own
 * over there from then on.
 */
void far_links_abandon(struct far_links *l);
/**
 * far_links_on_hello - have @fn called when this process has said hello, before its first call
 *
 * It may make calls.
 */
void far_links_on_hello(struct far_links *l, void (*fn)(void *arg), void *arg);
/**
 * far_links_set_place - have @fn say where in the program a call is that is being made
 *
 * It fills all but ip, on any thread. @stop is called behind a call that was a mistake for which
 * the program shall stop. Before the first call.
 */
void far_links_set_place(struct far_links *l, void (*fn)(struct client_place *out),
			 void (*stop)(void));
/**
 * far_call - make a call, and wait for its end
 * @r: with all but num_fds and numbers
 * @fds: descriptors that go along, and their numbers at the same time; may be NULL
 * @num_fds: any number
 * @install: called for each file that the call makes, with @arg
 * @out: gets the answer; may be NULL
 *
 * Return: the call's value; or -ENODEV, with a line in the log: the process has gone.
 */
long far_call(struct far_links *l, struct far_request *r, const int *fds, size_t num_fds,
	      far_install_fn *install, void *arg, struct far_reply *out);
#endif
