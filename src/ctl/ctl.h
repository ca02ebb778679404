/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/ctl.h: the control of a run: `uvfio ctl` sends requests to a socket in the run directory,
 * which `uvfio run` serves. Devices live in the processes of the program, so each of them that has
 * a machine has an agent, which the server asks.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "machine/machine.h"

#define CTL_LINE_MAX 8192u /* bytes of a request, without the line break */
#define CTL_NODES    64u   /* values in it */

/* ---- agent.c: in a process of the program ---- */

struct ctl_agent;
/*
 * Connect to the server of the run at @run_dir, before the machine is brought into line for the
 * first time: what changes later is told. NULL: there is no server, or it cannot be reached (a line
 * in the log says why); the machine works without.
 */
struct ctl_agent *ctl_agent_new(const char *run_dir);
/*
 * Answer for @m from now on, on a thread of the agent's. @quiet is called around what is done with
 * the machine (true: it begins), and returns what it was before; may be NULL.
 */
void ctl_agent_start(struct ctl_agent *a, struct machine *m, bool (*quiet)(bool on));
/*
 * Before it is started: have @fn called, on the agent's thread, before a device is asked back, or
 * reset: what was closed is to be given up.
 */
void ctl_agent_set_settle(struct ctl_agent *a, void (*fn)(void *arg), void *arg);
/* Stop, before the machine is freed; @a may be NULL. */
void ctl_agent_free(struct ctl_agent *a);
/* In a forked child: forget it. Its descriptors are closed with the other private ones. */
void ctl_agent_abandon(struct ctl_agent *a);

/* ---- packet.c: in a process of the program, with a machine or without ---- */

/*
 * Have the device at @addr reset by the process that has it, this one too: 0 or as machine_reset();
 * -ENODEV: nobody has it, of all but @silent processes that did not answer. Or -errno: the server
 * cannot be reached. Holds no lock of the machine's.
 */
int ctl_ask_reset(const char *run_dir, const char *addr, unsigned *silent);

/*
 * Have whoever has the device at @addr open asked for it, which is losing its driver, for the
 * @count-th time from 0 on (machine_ask_back()): how often it is open, or -errno. As above.
 */
int ctl_ask_back(const char *run_dir, const char *addr, unsigned count);

/* ---- server.c: in `uvfio run` ---- */

struct ctl_server;
/* Make the sockets of a run whose view is written. @program: for who asks. 0 or -errno. */
int ctl_server_new(const char *run_dir, const char *program, struct ctl_server **out);
/* Serve them on a thread. 0 or -errno. */
int ctl_server_start(struct ctl_server *s);
/*
 * Stop the thread. What the server knows stays, and its descriptors: a forked child can start
 * another one. @s may be NULL.
 */
void ctl_server_stop(struct ctl_server *s);
void ctl_server_free(struct ctl_server *s);
/*
 * Have the request `release` write to @fd, an eventfd: devices are held that it lets go. -1: none
 * are any more. @s may be NULL. Any thread.
 */
void ctl_server_set_release(struct ctl_server *s, int fd);
/* Return the descriptors that the server needs, in ascending order, and how many they are. */
unsigned ctl_server_fds(const struct ctl_server *s, int *fds, unsigned max);

/* ---- local.c: in a process that has all devices of its run ---- */

struct ctl_device {
	const char *addr, *model, *socket;
	unsigned group;
	bool open, leaving;
};
/* What such a process does. With -errno it has a sentence in *@why (malloc'ed, or NULL). */
struct ctl_local {
	void (*each)(void *arg, void (*fn)(void *ctx, const struct ctl_device *d), void *ctx);
	/* Plug a device in: *@addr (PCI_ADDRESS_TEXT bytes) and *@group say where. */
	int (*plug)(void *arg, const char *spec, char *addr, unsigned *group, char **why);
	/*
	 * Take one away, at once (@surprise), or -EBUSY: who has it is asked for it, and nobody
	 * else gets it; called again soon, until @keep says that it stays, since nobody waits for
	 * it to go any more.
	 */
	int (*unplug)(void *arg, const char *addr, bool surprise, char **why);
	void (*keep)(void *arg, const char *addr);
	/* Have one report an error; -EBUSY: it cannot now, and is asked again for some seconds. */
	int (*error)(void *arg, const char *addr, enum machine_severity severity, char **why);
};
/* Have @s, which is not started, ask @l and no agents. */
void ctl_server_set_local(struct ctl_server *s, const struct ctl_local *l, void *arg);

/* ---- client.c ---- */

struct ctl_run {
	char dir[256]; /* as the server says */
	pid_t pid;     /* of `uvfio run` */
	char program[64];
};
/*
 * Find the runs of this user that can be asked: an array to free. @n: how many.
 */
struct ctl_run *ctl_find_runs(unsigned *n);
/* Return the name of a run: the last part of its directory's. */
const char *ctl_run_name(const struct ctl_run *r);
/*
 * Connect to the run that @name means: the name of its directory or the end of that behind the
 * dash, a directory, or a process of it; NULL: the only one. A descriptor, or -errno with a
 * sentence in *@why (malloc'ed).
 */
int ctl_connect(const char *name, char **why);
/* Send a line, without its break. 0 or -errno. */
int ctl_send(int fd, const char *line);
/* Read a line into *@line, which is malloc'ed and may be kept: its length, 0: the end, -errno. */
ssize_t ctl_receive(int fd, char **line);
#endif
