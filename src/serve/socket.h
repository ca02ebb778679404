/* SPDX-License-Identifier: BSD-3-Clause */
/* serve/socket.h: listening sockets with a file of their own. */
#ifndef SERVE_SOCKET_H
#define SERVE_SOCKET_H
#include <sys/stat.h>

/* A socket's file, so that it is known again. */
struct serve_socket {
	char *path; /* malloc'ed */
	dev_t dev;
	ino_t ino;
};

/*
 * Make a socket at @path that listens, with @mode. One at which nobody listens is replaced. Return
 * a private descriptor; -EADDRINUSE: somebody listens there; -EEXIST: something else is there;
 * -ENAMETOOLONG; or another error.
 */
int serve_socket_new(const char *path, unsigned mode, struct serve_socket *out);
/* Remove the file, if it is still the same one; @s can be used as before. */
void serve_socket_unlink(const struct serve_socket *s);
/* The same, and free @s. */
void serve_socket_remove(struct serve_socket *s);
#endif
