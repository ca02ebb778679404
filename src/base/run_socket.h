/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/run_socket.h: sockets in a directory that only its owner may connect to. The directory is
 * named by a descriptor, since a path has no more than 107 bytes in an address. Threads: any.
 */
#ifndef BASE_RUN_SOCKET_H
#define BASE_RUN_SOCKET_H

/**
 * run_socket_listen - make the socket @name of @type (SOCK_STREAM, with flags) in @dir, and listen
 *
 * Not in a process with threads that make files meanwhile: the umask is another one for a moment.
 *
 * Return: its descriptor, with O_CLOEXEC, or -errno.
 */
int run_socket_listen(const char *dir, const char *name, int type);
/** run_socket_connect - connect to it: return a private descriptor, or -errno */
int run_socket_connect(const char *dir, const char *name, int type);
#endif
