/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/sweep.h: remove files at the end of a process that may not do it itself. */
#ifndef CLI_SWEEP_H
#define CLI_SWEEP_H

/*
 * From now on the files at these @n @paths, as they are, are removed when this process ends, also
 * if it is killed. 0 or -errno. Once, before the process confines itself.
 */
int sweep_start(const char *const *paths, unsigned n);
/* Have it done now, and wait for that. */
void sweep_end(void);
#endif
