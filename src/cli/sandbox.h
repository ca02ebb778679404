/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/sandbox.h: a server gives up what it needs no more, before it hears of a client. */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H
#include <stdbool.h>

/**
 * sandbox_enter - confine this process, all its threads and those to come, for good
 * @strict: refuse where the kernel has no Landlock; else a line says so
 *
 * No privilege is gained any more, no file is opened by its name, no program started, no socket
 * made but a pair, and no other process touched. What is open stays as it is. A call that is not
 * needed for that is refused with EPERM and a line that names it.
 *
 * Return: 0; or -errno after a report: the process is confined in part, and must not serve.
 */
int sandbox_enter(bool strict);

/* Its three steps, for tests: each fence holds without the other. */
int sandbox_prepare(void);
int sandbox_landlock(bool strict);
int sandbox_seccomp(void);
#endif
