/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * own/own.h: the process that has the devices of a run (process=own). All processes of the program
 * call it (far/wire.h), and it serves the calls by uapi/, as the kernel does: what a file holds
 * lives as long as any of them has a descriptor or a mapping of it. A driver that corrupts its
 * memory, or is killed, does not touch a device.
 */
#ifndef OWN_OWN_H
#define OWN_OWN_H

#include <stdbool.h>

struct machine;

/**
 * own_listen - make the socket of the run at @run_dir
 *
 * Return: its descriptor, or -errno.
 */
int own_listen(const char *run_dir);
/**
 * own_serve - serve calls on the devices of @m
 * @listener: of own_listen()
 * @until: an end of a pipe, whose other end is closed by all who have it when it shall end,
 * @needed: but not before this says no, which is asked now and then
 *
 * Returns 0 then, or -errno with a line in the log. What the processes have open is given up.
 */
int own_serve(struct machine *m, int listener, int until, bool (*needed)(void *arg), void *arg);
#endif
