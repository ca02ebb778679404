/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve/state.h: the directory of a server whose devices outlive it (uvfio_server_set_state()): a
 * file for each device, ADDRESS.state, and the number that makes these devices differ from others,
 * so that one that is made again has the addresses and serial numbers that it had.
 *
 * @why of these functions gets a sentence, of @size bytes, if they fail.
 */
#ifndef SERVE_STATE_H
#define SERVE_STATE_H
#include "lasting/file.h"
#include "machine/machine.h"

/*
 * Have the directory @dir be used: *@real is its name from the root on, malloc'ed, and @run the
 * number for machine_set_run(). 0; -ENOTDIR; -EINVAL: there is a file `run` that is none of ours;
 * or another error.
 */
int serve_state_dir(const char *dir, char **real, uint64_t *run, char *why, size_t size);
/*
 * Open or make the file of @d, a device that was made of @spec and is not open. *@hides: it offers
 * no migration of its own. 0; -EOPNOTSUPP: its state cannot be saved; or as lasting_file_open().
 */
int serve_state_open(const char *dir, struct machine_device *d, const char *spec,
		     struct lasting_file **out, bool *hides, char *why, size_t size);
#endif
