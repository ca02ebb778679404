/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/paths.h: paths that lead into the view of /sys and /dev, and what is done with
 * a file by its path.
 */
#ifndef SHIM_PATHS_H
#define SHIM_PATHS_H
#include "shim/calls.h"

/* ---- paths.c ---- */
/*
 * As long as what is looked up without a walk on a stack of ours may be, with the run directory in
 * front.
 */
#define SHIM_PATH_SHORT 192
#define SHIM_PATH_LONG	(2 * PATH_MAX)
struct shim_path {
	/* the path as the program knows it, absolute, or NULL: not in the view */
	const char *virt;
	char *text;  /* as the kernel gets it; NULL: what the program gave */
	bool above;  /* a directory from which relative paths lead into the view */
	bool walked; /* links are no news any more */
	/* the descriptor of which it is the path (/proc/self/fd/N), or -1 */
	int fd;
	int info; /* the descriptor of which it is /proc/self/fdinfo/N, or -1 */
	/* for a long text, or NULL; while it is there, signals are blocked */
	char *room;
	uint64_t mask; /* before that */
	char real[SHIM_PATH_SHORT];
};
/*
 * Return the path to give to the kernel, together with *@dirfd: @path itself, unless it is in the
 * view or comes through it. The path, as that of shim_path_again(), is there until
 * shim_path_done().
 */
const char *shim_path_at(int *dirfd, const char *path, struct shim_path *p);
/*
 * The kernel's answer @rc to *@use is that there is no such path: is there a link on its way that
 * leads into the view? Then true, once, with *@dirfd and *@use to ask for. @follow: the call
 * follows a link that is the last component.
 */
bool shim_path_again(long rc, int *dirfd, const char **use, bool follow, struct shim_path *p);
void shim_path_done(struct shim_path *p);
/*
 * In the view; a directory in which the view, or one that leads there, has a name: "/", "/sys",
 * "/sys/bus", "/dev" ...; that, or anything in /sys and /dev.
 */
bool shim_in_view(const char *path);
bool shim_above_view(const char *path);
bool shim_near_view(const char *path);
/*
 * The directory from which a relative @path starts, as the program knows it, at @base; *@inside: it
 * is one of the view. False: it is neither that nor one above the view, or the path goes nowhere
 * near the view from there.
 */
bool shim_path_start(int dirfd, const char *path, char *base, size_t size, bool *inside);
/* True if @name in the directory @fd is a node of /dev. */
bool shim_fd_has_node(int fd, const char *name);
static inline const char *shim_path(const char *path, struct shim_path *p)
{
	int dirfd = -100; /* AT_FDCWD */

	return shim_path_at(&dirfd, path, p);
}
/* Take the run directory off the front of @text, in place. Returns the new length. */
size_t shim_unmap(char *text, size_t len);
/* Look again at where the working directory is. */
void shim_cwd_changed(void);
/* Make *@st what the kernel's stat shows of a node of /dev; other paths are left alone. */
void shim_path_stat(const char *virt, struct stat *st);
/*
 * The number in "/proc/self/fd/N", "/proc/PID/fd/N" of this process or "/dev/fd/N", or -1; and in
 * the same with "fdinfo".
 */
int shim_path_self_fd(const char *path);
int shim_path_self_info(const char *path);

/* ---- walk.c: on a stack of ours ---- */
struct shim_walk {
	int dirfd;
	const char *path;
	bool again, follow; /* for links that lead into the view */
	bool is_long;	    /* the text did not fit: to be called again, with p->room */
	struct shim_path *p;
};
/*
 * @arg is a struct shim_walk: 0: its path stays as it is. Else p->text and the rest of *p say what
 * it is.
 */
long shim_walk(void *arg);
long shim_cwd_is_near(void *unused);
/* fn(arg) within shim_run(), with SHIM_PATH_LONG bytes. */
long shim_run_with_room(long (*fn)(void *arg, char *room), void *arg);
/* A readlink of which the text is to be translated; a getcwd that is. */
struct shim_text {
	int dirfd;
	const char *path;
	char *buf;
	size_t size;
};
long shim_walk_link(void *arg);
long shim_walk_cwd(void *arg);

/* ---- open.c ---- */
/* openat, all of it: a descriptor or -errno. */
long shim_open(int dirfd, const char *path, int flags, mode_t mode);
long shim_openat2(int dirfd, const char *path, const void *how, size_t size); /* openat2.c */
/*
 * @p is /proc/self/fd/N or its kin, of a handle: 1, and it becomes the node that it is of, or -1
 * for a device, which has none. Else 0.
 */
int shim_path_of_handle(struct shim_path *p);
/* 1: @fd is of a node of /dev (vfio/nodes.h), whose path is at @node; 0: another file; -1: none. */
int shim_fd_node(int fd, char node[VFIO_NODE_NAME]);
/*
 * @path is about to be opened: a file that this empties keeps the pages that devices have of it. An
 * open that will fail empties nothing.
 */
void shim_keep_open(int dirfd, const char *path, int flags);

/* ---- stat.c ---- */
long shim_statfs(const char *path, void *out);
long shim_stat(int dirfd, const char *path, struct stat *st, int flags);
long shim_statx(int dirfd, const char *path, int flags, unsigned mask, void *stx);
long shim_access(int dirfd, const char *path, int mode, int flags, bool at2);

/* ---- links.c ---- */
long shim_readlink(int dirfd, const char *path, char *buf, size_t size);
long shim_getcwd(char *buf, size_t size);
long shim_chdir(const char *path);
long shim_fchdir(int fd);

/* ---- sysfs.c: directories of the host's with names of the view in them ---- */
void shim_list_begin(DIR *d); /* @d was opened */
DIR *shim_list_at(DIR *d);    /* what to read an entry of @d from */
/* that gave @name, NULL: the end: is it not to be seen, or is there more? */
bool shim_list_again(DIR *d, const char *name);
void shim_lists_abandon(void); /* in a forked child */
bool shim_is_sysfs(int fd);    /* a file of the view that is one of sysfs */

/* ---- names.c ---- */
void shim_claim_rights(const char *virt); /* owner or mode of the node at @virt were changed */
/* System call @nr if it is one that changes names, or what stands with a name: true and *@ret. */
bool shim_names(long nr, const long a[6], long *ret);

/* ---- attrs.c: files of the view that are more than that ---- */
/* open.c: open the node @virt of /dev, with the checks of an open but for its mode: 0 or -errno. */
int shim_open_node(const char *virt, int flags, struct uapi_file **out);
bool shim_config_name(const char *virt);
/* True for a file that may show what is in this process: shim_config_open() makes it. */
bool shim_attr_shows(const char *virt);
/* v3.c: the same, of the interface of 2010; and its text: its length, or -ENOENT */
bool shim_v3_shows(const char *virt);
int shim_v3_show(const char *virt, char *text, size_t size);
/*
 * A descriptor with its bytes at this moment, as the bus reads them. -ENOENT: not one of ours, or
 * not made in this process.
 */
long shim_config_open(const char *virt, int flags);
/* /dev/vfio/N, which a group without a driver has not; within shim_run(), as the rest */
bool shim_node_is_there(const char *virt);
/* is the file below the run directory one, without its links? */
bool shim_attr_acts(const char *real);
/* To write it, the file at @real: a descriptor or -errno. */
long shim_attr_open(const char *real, int flags);
void shim_attr_dup(int fd); /* @fd came by a dup */
void shim_attrs_init(void); /* a descriptor may have been handed down */
/* The kernel said EBADF: true, and *@ret, if @fd is one. */
bool shim_attr_io(enum shim_io what, int fd, const void *buf, size_t n, long *ret);
#endif
