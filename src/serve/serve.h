/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve/serve.h: what `uvfio serve` can do with a server beside uvfio/server.h: by addresses of
 * devices, for `uvfio ctl`. Threads: any.
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H
#include <stdbool.h>
#include <stdio.h>

#include "uvfio/server.h"
#include "machine/machine.h"

struct serve_info {
	const char *addr, *model, *path; /* no path: NULL */
	unsigned group;
	bool open, leaving;
};
/* Call @fn for each device. It calls no function of the server's. */
void serve_each(struct uvfio_server *s, void (*fn)(void *ctx, const struct serve_info *i),
		void *ctx);
/*
 * Take the device at @addr away, and its virtual functions. 0; -ENODEV: there is none; -EOPNOTSUPP:
 * it is a virtual function; -EBUSY: a client has it, or one of them, which is asked for it by REQ,
 * and no other one gets it. @surprise: it is hung up on. A client that is inside a callback of the
 * model then is waited for for two seconds; after that the device is gone from the list, and is
 * freed when a device is plugged in later, or with the server.
 */
int serve_unplug(struct uvfio_server *s, const char *addr, bool surprise);
/* Let clients have the device again, of which serve_unplug() said -EBUSY. */
void serve_keep(struct uvfio_server *s, const char *addr);
/*
 * Have it report an error. 0, -ENODEV, or as machine_error(); -EBUSY: its client is inside a
 * callback of the model, and the device is one whose state is kept.
 */
int serve_error(struct uvfio_server *s, const char *addr, enum machine_severity severity);
/* Write a line for each limit of uvfio_server_set_limit(): its name, default, and what it is. */
void serve_print_limits(FILE *f);
/*
 * End the server: as uvfio_server_free(), which comes next, but wait no longer than @ns nanoseconds
 * for clients that are inside a callback of a model, and free neither those devices nor @s. Return
 * how many devices are given up, each with a line; then only the end of the process helps:
 * uvfio_server_free() would go on waiting.
 */
unsigned serve_end(struct uvfio_server *s, uint64_t ns);
#endif
