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
struct own;

/**
 * own_new - make ready to serve calls on the devices of @m
 * @late: what a process has when it ends is given up no sooner than another call is made, so that
 *	its devices are until then as it left them
 *
 * Return: it, or NULL with a line in the log.
 */
struct own *own_new(struct machine *m, bool late);
/* Give everything up that the processes have open, and free it. */
void own_free(struct own *o);
/**
 * own_settle - give up now what was closed, before something is done that waits for last closes
 * @own: a struct own
 */
void own_settle(void *own);
/**
 * own_listen - make the socket of the run at @run_dir
 *
 * Return: its descriptor, or -errno.
 */
int own_listen(const char *run_dir);
/**
 * own_serve - serve calls
 * @listener: of own_listen()
 * @until: an end of a pipe, whose other end is closed by all who have it when it shall end; a byte
 *	in it before that: what is open now stays open until the end, whoever ends or closes it
 * @needed: but not before this says no, which is asked now and then
 *
 * Returns then; nobody calls any more.
 */
void own_serve(struct own *o, int listener, int until, bool (*needed)(void *arg), void *arg);
#endif
