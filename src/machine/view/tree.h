/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/view/tree.h: write a tree of directories, files and links. The first error is kept and
 * logged; after it nothing is written, so that a caller checks once.
 */
#ifndef MACHINE_VIEW_TREE_H
#define MACHINE_VIEW_TREE_H
#include <stddef.h>

struct tree {
	const char *root;
	int err; /* 0 or -errno */
};

/* Make directory @path, below the root, with its parents; what exists stays. */
void tree_dir(struct tree *t, const char *path);
/*
 * Make what stands for a device node: a socket that nobody listens on, so that an open that comes
 * past the shim is ENXIO and not a file.
 */
void tree_node(struct tree *t, unsigned mode, const char *path);
/* Write a new file of @mode with @len bytes, or with text. */
void tree_data(struct tree *t, unsigned mode, const char *path, const void *data, size_t len);
void tree_text(struct tree *t, unsigned mode, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Write one in place of a file that is there: at no time is there none, or half of one. */
void tree_replace(struct tree *t, unsigned mode, const char *path, const void *data, size_t len);
/*
 * Make an empty file of the mode 0600 that is ours, whatever it was, to be opened and locked. It is
 * never taken away.
 */
void tree_lock(struct tree *t, const char *path);
void tree_link(struct tree *t, const char *path, const char *target);
/* Take away a file or link, or an empty directory; what is not there is no error. */
void tree_remove(struct tree *t, const char *path);
/* The same of a directory with all that is in it; no link is followed. */
void tree_remove_all(struct tree *t, const char *path);
void tree_move(struct tree *t, const char *from, const char *to);
#endif
