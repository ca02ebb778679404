/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/handles.h: the program's descriptors that are files of VFIO, or of the view:
 * the table of handles, hints about numbers, and handles that outlive the process that made them.
 */
#ifndef SHIM_HANDLES_H
#define SHIM_HANDLES_H
#include "shim/shim.h"

/* ---- handles.c ---- */
struct shim_handle;
/*
 * The handle behind @fd, with a reference; NULL: none of ours. @st (may be NULL) gets what fstat
 * gave; *@err -EBADF or 0.
 */
struct shim_handle *shim_handle_get(int fd, struct stat *st, int *err);
/* The same from a stat that was made already. */
struct shim_handle *shim_handle_find(dev_t dev, ino_t ino);
void shim_handle_put(struct shim_handle *h);
/*
 * The same as shim_handle_get(), for a call that goes to the file: what another process opened, and
 * nobody has used yet, is made this one's (adopt.c).
 */
struct shim_handle *shim_handle_get_own(int fd, int *err);
/* NULL: the handle came from before a fork; then a line was logged. */
struct uapi_file *shim_handle_file(struct shim_handle *h);
/*
 * The same, for a call on @fd that leaves something with the file (@take), or finds what is there.
 * NULL: also, another process has used it first; then a line was logged.
 */
struct uapi_file *shim_handle_use(struct shim_handle *h, int fd, bool take);
/*
 * Enter @file in the table as that of @fd, which is one already; its link is @link. A handle with a
 * reference, which has the caller's of @file; or NULL with *@err.
 */
struct shim_handle *shim_handle_enter(int fd, struct uapi_file *file, int flags, int *err);
bool shim_handle_is_dead(const struct shim_handle *h);
bool shim_handle_is_device(const struct shim_handle *h); /* by its node or not */
const char *shim_handle_link(const struct shim_handle *h);
/* Of open(2): the access mode and O_NOFOLLOW. */
int shim_handle_flags(const struct shim_handle *h);
/*
 * A file in the run directory that is locked in @h's place, one for each kind of lock: a private
 * descriptor, which goes with @h; or -errno.
 */
enum shim_lock { SHIM_LOCK_FLOCK, SHIM_LOCK_OFD, SHIM_LOCK_PROCESS, SHIM_LOCKS };
int shim_handle_lock_fd(struct shim_handle *h, enum shim_lock kind);
bool shim_handle_has_lock(struct shim_handle *h, enum shim_lock kind); /* it was called */
/* KVM's table of VFIO files (kvm.c): returns what it was. */
bool shim_handle_set_kvm(struct shim_handle *h, bool added);
/* Make *@st what fstat shows of the kernel's file with that link. */
void shim_link_stat(const char *link, struct stat *st);
/*
 * A new descriptor for @file (whose reference it takes on success): the number or -errno. @flags:
 * open's.
 */
int shim_handle_install(struct uapi_file *file, int flags);
/* memfd_create, O_CLOEXEC */
int shim_memfd(const char *name);
/*
 * pollable.c: open a descriptor for the program, with O_CLOEXEC and @flags (O_NONBLOCK), that is
 * writable for poll, and readable while shim_pollable_set() says so: its number or -errno. It
 * cannot be read or written. @name is what its link in /proc reads, behind a slash. *@signal: a
 * private descriptor, to set it by.
 */
int shim_pollable_open(const char *name, int flags, int *signal);
void shim_pollable_set(int signal, bool ready);
/*
 * Give up the files whose last descriptor is closed. Returns how many. Does nothing while none is
 * open.
 */
unsigned shim_handles_drain(void);
/*
 * In this thread a drain does nothing while @off: the machine may make devices, with locks held
 * that a drain takes. Returns what it was.
 */
bool shim_drain_off(bool off);
/* In a forked child: no handle of the parent's works any more. */
void shim_handles_abandon(void);
void shim_handles_lock(void); /* around a fork */
void shim_handles_unlock(void);
/*
 * @text is the text of a link in /proc: if it names a memfd of ours, it becomes what the kernel's
 * file would have. Returns the new length.
 */
size_t shim_link_text(char *text, size_t len);
/* It may be such a text; it may be cut, too. */
bool shim_link_is_ours(const char *text, size_t len);
/* @fd is a handle of another process, or from before an exec: a line is logged. */
bool shim_is_foreign(int fd);
/* @text gets what @fd is a link to, if that is a file of ours or of the view. */
bool shim_fd_link(int fd, char *text, size_t size);
/* the same without a line: what it is a link to */
bool shim_foreign_link(int fd, char *text, size_t size);

/* ---- fds.c: hints about numbers ---- */
void shim_fd_mark(int fd, bool handle); /* handle, or directory of the view or above it */
bool shim_fd_maybe_handle(int fd);
bool shim_fd_maybe_view(int fd);
void shim_fd_no_handle(int fd); /* @fd was seen to be none */
void shim_fd_copy_marks(int from, int to);
long shim_close(int fd);
long shim_dup(int fd);
long shim_dup3(int oldfd, int newfd, int flags, bool dup2_rules);
long shim_fcntl(int fd, int cmd, unsigned long arg);
long shim_close_range(unsigned first, unsigned last, unsigned flags);
long shim_prlimit(pid_t pid, int what, const void *set, void *get);

/* ---- adopt.c: handles that another process opened ---- */
/*
 * Make the file that @fd is a handle of this process's: a handle with a reference; NULL: it cannot
 * be, which is not logged.
 */
struct shim_handle *shim_adopt(int fd);
/*
 * Have it for this process, if it is free: 0; -ENODEV: another process has it; -EMFILE and its kin.
 */
int shim_adopt_take(int fd);
bool shim_adopt_is_free(int fd); /* nobody has used it yet; false also for those that never are */
void shim_adopt_abandon(void);	 /* in a forked child */

/* ---- left.c: handles that outlive the process that made them ---- */
/* what a link in /proc to a handle begins with; then its tag */
#define SHIM_MEMFD_LINK "/memfd:uvfio:"
/*
 * Write the tag that stands in the name of a handle's memfd, between the colons, to @tag: of the
 * group, or -1, and the access mode in @flags.
 */
void shim_left_tag(char *tag, size_t size, long group, int flags);
/*
 * Read the tag in a link that begins with SHIM_MEMFD_LINK: false: it is not of this run. *@file
 * points to the file's own link.
 */
bool shim_left_read(const char *link, int *process, int *flags, const char **file);
/* True if some process has a file of @group, or of a device in it. */
bool shim_left_open(unsigned group);
/* Lines about what came over an exec. */
void shim_left_say(void);
/*
 * fn() of each descriptor of @process ("self", a number) that can be looked at, until it says true,
 * which is returned.
 */
bool shim_each_fd(const char *process, bool (*fn)(void *arg, int fd, const char *link), void *arg);
/* Call @fn for the open files of this process: 64 of them, if there are more. */
void shim_handles_each(void (*fn)(struct uapi_file *f));
#endif
