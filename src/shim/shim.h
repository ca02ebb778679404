/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/shim.h: what the files of the shim share. The shim is loaded into an unmodified program, so
 * it owns no control flow: everything here is called from a wrapper of a libc function, from a
 * signal handler, or on the shim's service thread.
 *
 * Four ideas hold it together:
 * - A handle is known by its inode, never by its number (handles.c). Nothing that the program does
 * to numbers can mislead us.
 * - A handle's descriptor can neither read nor write nor map (access mode 3): a call that reaches
 * the kernel past the wrappers fails there.
 * - What is cached about numbers is a hint that costs time when it is wrong, never correctness: a
 * vfork child shares our memory, not our table.
 * - Nothing is built before the program opens a file of /dev/vfio, and a forked child starts from
 * nothing (fork.c).
 *
 * Locks, in order: build_lock > release_lock > table_lock; bars_lock (bars.c) after build_lock,
 * with none of the others. All are taken with every signal blocked but the three that are ours,
 * since a handler of the program may call us. The lock of a device's accesses (lock.c) is held
 * around an access, before the locks of vfio_pci/ and of the model; bars_lock comes after it, when
 * the device opens its pages.
 */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H
/*
 * the fortified inlines of libc would turn our own definitions of open, read ... into calls of
 * something else
 */
#undef _FORTIFY_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "base/call.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"
#include "machine/machine.h"
#include "shim/next.h"
#include "uapi/uapi.h"

/* a symbol that takes the place of libc's */
#define EXPORT __attribute__((visibility("default")))

#define SHIM_WHO "shim"

struct shim {
	bool on;		/* the constructor ran and found a run directory */
	char run_dir[PATH_MAX]; /* canonical, no slash at its end */
	size_t run_len;
	dev_t run_dev;
	char *devices; /* copies: the program may change its environment */
	char *places;  /* of the devices, line by line */
	char *memlock;
	_Atomic(struct machine *) machine;
	pthread_mutex_t build_lock;
	atomic_bool kvm; /* the program made a virtual machine */
	/* the working directory is such that a relative path may lead into the view */
	atomic_bool cwd_near;
	/* a page that a fork wipes: 0 in a child that no atfork handler has seen */
	volatile char *alive;
	int log_fd; /* private, or -1: standard error */
	/* private: says to `uvfio run` that the run directory is needed */
	int presence_fd;
	bool valgrind;	   /* the program runs on its simulated processor */
	_Atomic pid_t pid; /* whose memory this is; a vfork child has another */
};
extern struct shim shim;

/* Kernel's value to libc's: -1 with errno. */
static inline long shim_ret(long v)
{
	if (sys_failed(v)) {
		errno = (int)-v;
		return -1;
	}
	return v;
}

/* ---- shim.c ---- */
/* Build the machine if it is not there: NULL with *@err = -errno and a line in the log. */
struct machine *shim_machine(int *err);
/* The machine if it is built in this process, else NULL. */
struct machine *shim_machine_if_built(void);
extern const struct uapi_fds shim_fds;

/* report_say(), on a stack of ours. */
void shim_report(const struct report_code *code, const char *who, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define report_say shim_report

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
/* NULL: the handle came from before a fork; then a line was logged. */
struct uapi_file *shim_handle_file(struct shim_handle *h);
bool shim_handle_is_dead(const struct shim_handle *h);
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
/* The number in "/proc/self/fd/N", "/proc/PID/fd/N" of this process or "/dev/fd/N", or -1. */
int shim_path_self_fd(const char *path);

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
/* 1: @fd is of a node of /dev (uapi/nodes.h), whose path is at @node; 0: another file; -1: none. */
int shim_fd_node(int fd, char node[UAPI_NODE_NAME]);
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

/* ---- io.c ---- */
/*
 * True if it is an ioctl that we look at: of type ';' (linux/vfio.h, VFIO_TYPE), or KVM's for its
 * VFIO device.
 */
#define SHIM_VFIO_TYPE 0x3bu
#define SHIM_KVM_TYPE  0xaeu
static inline bool shim_ioctl_is_ours(unsigned cmd)
{
	unsigned type = cmd >> 8 & 0xff;

	return type == SHIM_VFIO_TYPE ||
	       (type == SHIM_KVM_TYPE &&
		((cmd & 0xff) == 0x01 || ((cmd & 0xff) >= 0xe0 && (cmd & 0xff) <= 0xe3)));
}
long shim_ioctl(int fd, unsigned long cmd, unsigned long arg);
/* The calls that read and write; an odd one writes. */
enum shim_io {
	SHIM_READ,
	SHIM_WRITE,
	SHIM_PREAD,
	SHIM_PWRITE,
	SHIM_READV,
	SHIM_WRITEV,
	SHIM_PREADV,
	SHIM_PWRITEV
};
/* System call @nr, one of these: its result. */
long shim_io_call(long nr, const long a[6]);
/* @call got EFAULT with these: a line in the log if one of them is in a mapped BAR. Keeps errno. */
void shim_efault_iov(const char *call, const struct iovec *iov, size_t n);

/* ---- syscall.c: system calls by number ---- */
/* System call @nr if it is one that the wrappers would have seen: true and *@ret. */
bool shim_syscall(long nr, const long a[6], long *ret);

/* ---- left.c: handles that outlive the process that made them ---- */
/* what a link in /proc to a handle begins with; then its tag */
#define SHIM_MEMFD_LINK "/memfd:uvfio:"
/*
 * Write the tag that stands in the name of a handle's memfd, between the colons, to @tag: of the
 * group with @group_link, or NULL.
 */
void shim_left_tag(char *tag, size_t size, const char *group_link);
/* True if some process has a file of @group, or of a device in it. */
bool shim_left_open(unsigned group);
/* Lines about what came over an exec. */
void shim_left_say(void);
/*
 * fn() of each descriptor of @process ("self", a number) that can be looked at, until it says true,
 * which is returned.
 */
bool shim_each_fd(const char *process, bool (*fn)(void *arg, int fd, const char *link), void *arg);

/* ---- vfs.c: calls on any file that are answered for a handle ---- */
/* System call @nr if it is one of them, on a handle: true and *@ret. */
bool shim_vfs(long nr, const long a[6], long *ret);
/* @call: libc's, for a lock that waits, or NULL */
bool shim_vfs_fcntl(int fd, int cmd, unsigned long arg, int (*call)(int fd, int cmd, ...),
		    long *ret);
bool shim_vfs_ioctl(int fd, unsigned cmd, unsigned long arg, long *ret);
void shim_vfs_closing(int fd); /* a handle */
/*
 * System call @nr, about extended attribute @attr, on a file of /dev/vfio or, if not @node, on a
 * device: -errno, or 1: as the file system has it.
 */
long shim_vfs_xattr(long nr, const char *attr, bool node);
/*
 * System call @nr, which takes a path, on a link in /proc to a device: 0 or -errno, or 1: it is the
 * kernel's.
 */
long shim_vfs_device_path(long nr, const long a[6]);

/* ---- attrs.c: files of the view that are more than that ---- */
bool shim_config_name(const char *virt);
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

/* ---- mem.c ---- */
/* System call @nr if it is one on memory: true and *@ret. */
bool shim_memory(long nr, const long a[6], long *ret);
/*
 * UFFDIO_REGISTER on @fd of a range that has a mapped BAR, which is no memory that a userfaultfd
 * can have.
 */
bool shim_uffd_refuses(int fd, const void *arg);
long shim_munmap(void *addr, size_t len);
long shim_madvise(void *addr, size_t len, int advice);
int shim_brk(void *addr); /* libc's brk, as the program calls it */

/* ---- keep.c: memory that devices keep ---- */
/*
 * Let devices keep what is in [addr, addr + len), which is about to go; @taken: its place goes,
 * too.
 */
void shim_keep(void *addr, size_t len, bool taken);
/* with MAP_FIXED */
void shim_keep_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t pos);
bool shim_advice_loses(int advice); /* the pages go */
/* True, and *@ret: all is done. */
bool shim_keep_madvise(void *addr, size_t len, int advice, long *ret);
/* whole pages */
bool shim_keep_mremap(void *old, size_t have, size_t want, int flags, void *to, long *ret);
void shim_keep_shared(void *addr, size_t len); /* if it is shared memory */
void shim_keep_segment(void *addr);	       /* that shmdt takes away */
/* Pages that a file is about to lose. */
void shim_keep_ftruncate(int fd, off_t len);
void shim_keep_truncate(const char *path, off_t len);
void shim_keep_fallocate(int fd, int mode, off_t pos, off_t len);

/* ---- libc.c: what libc does inside of itself ---- */
void shim_libc_init(void);
/* Find out where libc's code lies. */
bool shim_libc_text(uintptr_t *start, uintptr_t *end);
/* libc's idea of where the heap ends, which its malloc and its sbrk() go by */
extern void *__curbrk;
int shim_set_break(
	void *addr); /* brk, without a look at devices that have the memory; -1 with errno */

/* ---- scope.c: a call of ours in the program's thread ---- */
/*
 * fn(arg) as a system call is made: on a stack of ours, with no handler of the program in its
 * middle, and no cancellation. Every entry that looks at a table, takes a lock or calls what lies
 * below shim/ goes through it, before it does so; within another one it costs nothing. For any
 * thread, in a handler, too; nothing is allocated. Not around what must remain a cancellation
 * point, or what runs code of the program's.
 */
long shim_run(long (*fn)(void *arg), void *arg);
/*
 * Within shim_run(), among a function's declarations: it does the program's call @name, and reports
 * say so (base/call.h). Where in the program the call came from has been noted at its entry.
 */
#define SHIM_CALL(name)	 CALL_FRAME(name, shim_take_from())
#define SHIM_NOTE_FROM() (shim_from = __builtin_return_address(0))
extern __thread const void *shim_from; /* NULL: not noted */
static inline const void *shim_take_from(void)
{
	const void *from = shim_from;

	shim_from = NULL;
	return from;
}
/* The same in the handler of a fault, which has signals blocked. */
long shim_run_fault(const ucontext_t *uc, long (*fn)(void *arg), void *arg);
bool shim_inside(void); /* this thread is in one of them */
/*
 * To be called before the program's first handler is put in place: when it returns, no call is
 * under way that counts on there being none.
 */
void shim_will_have_handlers(void);
/* Note that a thread was seen that has some of our three blocked. Does not wait. */
void shim_have_masks(void);

/* ---- stack.c ---- */
/*
 * Call fn(arg) on a stack of ours, unless this is one already or there is no memory. Only within
 * shim_run(): a longjmp out of it would leave the stack taken.
 */
long shim_on_stack(long (*fn)(void *arg), void *arg);
/* For scope.c. A stack's number or -1; @open: by a call that has signals open. */
int shim_stack_take(bool open);
void shim_stack_give(int i);
long shim_stack_use(int i, long (*fn)(void *arg), void *arg);
void shim_stacks_wait_open(void); /* until those that were taken by such a call are given back */
/* fn(arg), and the thread has no alternate signal stack meanwhile. */
long shim_without_alternate(long (*fn)(void *arg), void *arg);
void shim_stacks_abandon(void); /* in a forked child */

/* ---- signals.c ---- */
void shim_signals_init(void);
/* The thread's alternate stack, as libc's sigaltstack set it. */
const stack_t *shim_alternate(void);
/*
 * In a thread's first call: it may begin with all signals blocked by who started it, and libc's own
 * mask calls do not come to us.
 */
void shim_thread(void);
/* the kernel's struct sigaction */
struct shim_ksigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};
long shim_sigaction(int sig, const struct shim_ksigaction *act, struct shim_ksigaction *old);
long shim_sigmask(int how, const uint64_t *set, uint64_t *old);
/* Block everything but our three; for the time that one of our locks is held. */
void shim_block_signals(uint64_t *saved);
/* In the handler of a fault: our three are open, where @mask is what was interrupted. */
void shim_open_own(uint64_t mask);
/* Let the program have what was sent to it in the middle of a call of ours. */
void shim_settle(void);
/*
 * Around an exec (@self), or what makes a child with another image: the kernel's mask is what the
 * program believes.
 */
struct shim_exec_mask {
	uint64_t mask;
	bool changed;
};
void shim_mask_for_exec(struct shim_exec_mask *m, bool self);
void shim_mask_after_exec(const struct shim_exec_mask *m);
/* in a forked child, which has nothing that was sent to its parent */
void shim_signals_abandon(void);
/*
 * The program read @n bytes of a file: if that was a signal, what the kernel blocks for its sake is
 * open again.
 */
void shim_signal_was_read(long n);
void shim_restore_signals(const uint64_t *saved);

/* ---- seccomp.c ---- */
#define SHIM_TRAP_DATA 0x7576 /* SECCOMP_RET_DATA: the trap is ours */
void shim_seccomp_init(void);
/*
 * From now on in this process (and what it forks), what is at the offsets of region 0 on number
 * @fd, a device file's, comes to the SIGSYS handler.
 */
void shim_seccomp_trap_device(int fd);
/*
 * From now on in this process (and what it forks), write on number @fd by libc's own code comes to
 * the SIGSYS handler.
 */
void shim_seccomp_trap_writes(int fd);
/*
 * Descriptors of device files get numbers here when they are free: the filter traps small pread and
 * pwrite on them.
 */
extern unsigned shim_fd_base, shim_fd_end;
/* set by the handler when a trap arrives during the probe */
extern volatile sig_atomic_t shim_trap_probe;
#define SHIM_PROBE_CMD 0x3bffu
bool shim_traps(void); /* the filter is in place */

/* ---- go.c ---- */
bool shim_go_without_libc(void); /* the program is one in Go that has no libc */
void shim_go_init(void);
#define SHIM_GO_CMD 0x3bfe
/*
 * ioctl(-1, SHIM_GO_CMD) was trapped: true, and the result is in place, if it stands for a call of
 * a Go program.
 */
bool shim_go_call(ucontext_t *uc);

/* ---- fork.c ---- */
void shim_fork_init(void);
void shim_after_fork(void);
/* At each entry that touches state which a fork makes stale. */
static inline void shim_check_fork(void)
{
	if (__builtin_expect(shim.alive && !*shim.alive, 0))
		shim_after_fork();
}

/* ---- exec.c ---- */
void shim_exec_init(void);

/* ---- kvm.c ---- */
long shim_kvm_ioctl(int fd, unsigned cmd, unsigned long arg);
#endif
