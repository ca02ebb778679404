/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/handles.c: from descriptors to open files of VFIO. Each open file is a memfd of its own, and
 * is known by the memfd's inode; and faster by its file position, because fstat costs three times a
 * bare system call and lseek just one: the position is set once, to a number that holds a place in
 * a table and 32 random bits. A position that does not fit (it was moved by a raw lseek, or the
 * file is not ours) proves nothing, and the inode is asked.
 *
 * Streams have a message queue in the memfd's place (pollable.c).
 *
 * The program's descriptor is the memfd opened once more with access mode 3 (O_ACCMODE: open(2),
 * "neither read nor write"): it dups, passes through fork and SCM_RIGHTS and shows up in /proc as
 * any file, but the kernel refuses to read, write or map it, so that no call can succeed on the
 * memfd's bytes instead of on the device.
 *
 * The last close is the kernel's to tell, since only it knows of the descriptors in other processes
 * and in flight: inotify reports the release of the open file description. What one thread closed
 * another can open again at once. So a thread that closes or opens takes the events in first
 * (shim_handles_drain), under release_lock, which is held until the files are really given up; the
 * service thread does it for closes that no wrapper saw.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/heap.h"
#include "base/loop.h"
#include "base/rculist.h"
#include "shim/calls.h"
#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

#define BUCKETS 64u
/* file positions: 16 bits that say "ours", 32 random, 16 of a slot */
#define SLOTS	    4096u
#define POS_MARK    0x7576ull
#define NAME_PREFIX "uvfio:"

struct shim_handle {
	struct cds_list_head node; /* in its bucket; RCU */
	dev_t dev;
	ino_t ino;
	struct ref refs; /* one for the open description, one for each call under way */
	struct uapi_file *file;
	int64_t pos; /* of the description; 0: no slot was free */
	int wd;
	/* open descriptions: 1, and more after an open of /proc/self/fd/N past us; release_lock */
	int opens;
	/* of open(2), what the memfd's description cannot show: the access mode, O_NOFOLLOW */
	int flags;
	atomic_int lock_fds[SHIM_LOCKS]; /* private, or -1: shim_handle_lock_fd() */
	bool dead;			 /* from before a fork */
	atomic_bool free;		 /* nobody has used it yet (adopt.c) */
	atomic_bool kvm;
	int signal; /* of a stream: sets what poll says (pollable.c), or -1 */
	char link[VFIO_NODE_NAME];
};

static struct cds_list_head table[BUCKETS];
static struct shim_handle *slots[SLOTS]; /* the same handles by position; RCU, table_lock */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER; /* writers of the table */
/* reading events, and what follows from them; above table_lock */
static pthread_mutex_t release_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;
static atomic_uint live;       /* handles whose files are not given up yet */
static int notify_fd = -1;     /* release_lock */
static __thread bool draining; /* a model that comes or goes may close descriptors of its own */
/* of lines about handles that do not work here: a program may ask in a loop */
static struct loop *service;
static struct loop_watch *service_watch;

static void table_init(void)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		CDS_INIT_LIST_HEAD(&table[i]);
}

static struct cds_list_head *bucket(ino_t ino)
{
	return &table[ino % BUCKETS];
}

/* Take a reference unless the last one is gone already. */
static bool ref_get_live(struct ref *r)
{
	unsigned n = atomic_load_explicit(&r->n, memory_order_relaxed);

	while (n)
		if (atomic_compare_exchange_weak_explicit(&r->n, &n, n + 1, memory_order_acquire,
							  memory_order_relaxed))
			return true;
	return false;
}

struct shim_handle *shim_handle_find(dev_t dev, ino_t ino)
{
	struct shim_handle *h, *found = NULL;

	if (!atomic_load_explicit(&live, memory_order_acquire))
		return NULL;
	rcu_read_begin();
	cds_list_for_each_entry_rcu(h, bucket(ino), node) {
		if (h->ino == ino && h->dev == dev && ref_get_live(&h->refs)) {
			found = h;
			break;
		}
	}
	rcu_read_end();
	return found;
}

void shim_handles_each(void (*fn)(struct uapi_file *f))
{
	struct shim_handle *h, *held[64];
	unsigned n = 0;

	if (!atomic_load_explicit(&live, memory_order_acquire))
		return;
	rcu_read_begin();
	for (unsigned i = 0; i < BUCKETS; i++)
		cds_list_for_each_entry_rcu(h, &table[i], node)
			if (n < ARRAY_SIZE(held) && !h->dead && ref_get_live(&h->refs))
				held[n++] = h;
	rcu_read_end();
	/* the last reference waits for readers */
	for (unsigned i = 0; i < n; i++) {
		fn(held[i]->file);
		shim_handle_put(held[i]);
	}
}

static struct shim_handle *find_pos(int64_t pos)
{
	struct shim_handle *h;

	if ((uint64_t)pos >> 48 != POS_MARK || (pos & 0xffff) >= SLOTS)
		return NULL;
	rcu_read_begin();
	h = rcu_get(slots[pos & 0xffff]);
	if (h && (h->pos != pos || !ref_get_live(&h->refs)))
		h = NULL;
	rcu_read_end();
	return h;
}

struct shim_handle *shim_handle_get(int fd, struct stat *st, int *err)
{
	struct shim_handle *h;
	struct stat own;
	long rc;

	shim_check_fork();
	if (!st) {
		h = find_pos(sys_call(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0));
		if (h) {
			if (err)
				*err = 0;
			return h;
		}
		st = &own;
	}
	rc = sys_call(SYS_fstat, fd, (long)st, 0, 0, 0, 0);
	if (err)
		*err = rc < 0 ? (int)rc : 0;
	if (rc < 0)
		return NULL;
	/* memfds are regular files without a name */
	if (!S_ISREG(st->st_mode) || st->st_nlink)
		return NULL;
	h = shim_handle_find(st->st_dev, st->st_ino);
	/* opened with O_PATH by its link in /proc: a place, not a file */
	if (h && sys_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0) & O_PATH) {
		shim_handle_put(h);
		h = NULL;
		if (err)
			*err = -EBADF;
	}
	return h;
}

void shim_handle_put(struct shim_handle *h)
{
	if (!ref_put(&h->refs))
		return;
	/* the table lost it before its own reference was dropped, a grace period ago */
	if (!h->dead) {
		if (h->signal >= 0)
			uapi_file_on_ready(h->file, NULL, NULL);
		fd_close_private(h->signal);
		uapi_file_set_closed(h->file);
		uapi_file_put(h->file);
		for (unsigned i = 0; i < SHIM_LOCKS; i++)
			fd_close_private(atomic_load(&h->lock_fds[i]));
	}
	heap_free(h);
}

static bool is_device(const struct uapi_file *f)
{
	enum vfio_file_kind kind = uapi_file_kind(f);

	return kind == VFIO_FILE_DEVICE || kind == VFIO_FILE_V3_DEVICE;
}

bool shim_handle_is_device(const struct shim_handle *h)
{
	return !h->dead && is_device(h->file);
}

bool shim_handle_is_dead(const struct shim_handle *h)
{
	return h->dead;
}

struct uapi_file *shim_handle_file(struct shim_handle *h)
{

	if (!h->dead)
		return h->file;
	report_warn(REPORT_LIMITED("handle-of-parent"), SHIM_WHO, 0,
		    "%s was opened before a fork: it belongs to the parent process and does not "
		    "work in this one, which can open its own",
		    h->link);
	return NULL;
}

struct shim_handle *shim_handle_get_own(int fd, int *err)
{
	struct shim_handle *h = shim_handle_get(fd, NULL, err), *own;

	if (h ? !h->dead : *err)
		return h;
	own = shim_adopt(fd);
	if (!own)
		return h;
	if (h)
		shim_handle_put(h);
	return own;
}

struct uapi_file *shim_handle_use(struct shim_handle *h, int fd, bool take)
{
	int rc = 0;

	if (!h->dead && atomic_load_explicit(&h->free, memory_order_relaxed)) {
		if (take)
			rc = shim_adopt_take(fd);
		else if (!shim_adopt_is_free(fd))
			rc = -ENODEV;
		if (take && !rc)
			atomic_store(&h->free, false);
	}
	if (!rc)
		return shim_handle_file(h);
	report_warn(REPORT_LIMITED("handle-taken"), SHIM_WHO, rc,
		    "descriptor %d: %s: another process that has it has used it first: a device "
		    "lives in the process that binds it",
		    fd, h->link);
	return NULL;
}

const char *shim_handle_link(const struct shim_handle *h)
{
	return h->link;
}

int shim_handle_flags(const struct shim_handle *h)
{
	return h->flags;
}

bool shim_handle_has_lock(struct shim_handle *h, enum shim_lock kind)
{
	return atomic_load(&h->lock_fds[kind]) >= 0;
}

/* Open the file that is locked for @h: a private descriptor or -ENOLCK. */
static int open_lock(const struct shim_handle *h, enum shim_lock kind)
{
	static const char *const kinds[] = { "flock", "ofd", "process" };
	/* the process's locks know no access mode: vfs.c looks at it */
	int flags = O_CLOEXEC | (kind == SHIM_LOCK_PROCESS ? O_RDWR : h->flags & O_ACCMODE), fd,
	    own;
	const char *name = strrchr(h->link, '/');
	char path[PATH_MAX + 64];

	/* all anonymous inodes are one */
	snprintf(path, sizeof(path), "%s/claims/%s-%s", shim.run_dir, kinds[kind],
		 name ? name + 1 : "anon_inode");
	fd = sys_open(path, flags, 0);
	if (fd == -ENOENT) {
		own = sys_open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
		if (own >= 0)
			sys_close(own);
		fd = sys_open(path, flags, 0);
	}
	own = fd < 0 ? fd : fd_make_private(fd);
	if (own < 0) {
		report_warn("no-locks", SHIM_WHO, own, "%s: %s: %m: no locks, ENOLCK", h->link,
			    path);
		if (fd >= 0)
			sys_close(fd);
		own = -ENOLCK;
	}
	return own;
}

/*
 * Duplicate the descriptor that another handle of the same file has for the process's locks, or
 * return -1. The file must not be opened again: one descriptor would be closed when it is moved to
 * a private number, and the locks would be gone with it.
 */
static int share_lock(const struct shim_handle *h)
{
	struct shim_handle *o;
	int fd = -1, their;

	rcu_read_begin();
	for (unsigned i = 0; i < BUCKETS && fd < 0; i++)
		cds_list_for_each_entry_rcu(o, &table[i], node) {
			their = atomic_load(&o->lock_fds[SHIM_LOCK_PROCESS]);
			if (fd < 0 && their >= 0 && !o->dead && !strcmp(o->link, h->link))
				fd = fd_dup_private(their);
		}
	rcu_read_end();
	return fd;
}

int shim_handle_lock_fd(struct shim_handle *h, enum shim_lock kind)
{
	int fd = atomic_load(&h->lock_fds[kind]), none = -1;

	if (fd >= 0)
		return fd;
	if (kind == SHIM_LOCK_PROCESS)
		fd = share_lock(h);
	if (fd < 0)
		fd = open_lock(h, kind);
	if (fd < 0 || atomic_compare_exchange_strong(&h->lock_fds[kind], &none, fd))
		return fd;
	fd_close_private(fd);
	return none;
}

/* Set *@st to the mode and the times of the node, which are those of its open file. */
static __attribute__((noinline)) bool node_stat(const char *link, struct stat *st)
{
	char path[PATH_MAX + 48];
	struct stat own;

	snprintf(path, sizeof(path), "%s%s", shim.run_dir, link);
	if (sys_call(SYS_newfstatat, AT_FDCWD, (long)path, (long)&own, AT_SYMLINK_NOFOLLOW, 0, 0))
		return false;
	*st = own;
	shim_path_stat(link, st);
	return true;
}

bool shim_handle_set_kvm(struct shim_handle *h, bool added)
{
	return atomic_exchange(&h->kvm, added);
}

void shim_link_stat(const char *link, struct stat *st)
{
	const struct vfio_node *node;
	unsigned id;

	st->st_size = 0;
	st->st_blocks = 0;
	st->st_nlink = 1;
	node = vfio_node_find(link, &id, NULL);
	if (!node) {
		/* fs/anon_inodes.c: no file type at all */
		st->st_mode = 0600;
		st->st_rdev = 0;
	} else if (!node_stat(link, st)) {
		st->st_mode = S_IFREG | node->mode;
		shim_path_stat(link, st);
	}
}

/* ---- the last close ---- */

/* Take @h out of the table; its own reference is the caller's now. table_lock. */
static void unlink_handle(struct shim_handle *h)
{
	cds_list_del_rcu(&h->node);
	if (h->pos)
		rcu_set(slots[h->pos & 0xffff], NULL);
}

static struct shim_handle *find_wd(int wd)
{
	struct shim_handle *h;

	for (unsigned i = 0; i < BUCKETS; i++)
		cds_list_for_each_entry(h, &table[i], node)
			if (!h->dead && h->wd == wd)
				return h;
	return NULL;
}

/* Take in the events about closes; return how many files were given up. release_lock is held. */
static unsigned drain_locked(void)
{
	char buf[512] __attribute__((aligned(8)));
	struct inotify_event *e;
	struct shim_handle *h;
	unsigned released = 0;
	ssize_t n;

	while (notify_fd >= 0 && (n = sys_read(notify_fd, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n; p += sizeof(*e) + e->len) {
			e = (struct inotify_event *)p;
			if (e->mask & IN_Q_OVERFLOW)
				report_err("inotify-overflow", SHIM_WHO, 0,
					   "events about closed files were lost: "
					   "fs.inotify.max_queued_events is too small, some files "
					   "will stay open");
			pthread_mutex_lock(&table_lock);
			h = find_wd(e->wd);
			if (h && e->mask & IN_OPEN)
				h->opens++;
			if (h && e->mask & IN_CLOSE && !--h->opens)
				unlink_handle(h);
			else
				h = NULL;
			pthread_mutex_unlock(&table_lock);
			if (!h)
				continue;
			sys_call(SYS_inotify_rm_watch, notify_fd, e->wd, 0, 0, 0, 0);
			rcu_sync();
			report_debug("last-close", SHIM_WHO, 0, "%s: last close", h->link);
			shim_handle_put(h);
			/*
			 * not before: a thread that sees that nothing is open does not wait for
			 * release_lock
			 */
			atomic_fetch_sub_explicit(&live, 1, memory_order_release);
			released++;
		}
	}
	return released;
}

static long run_drain(void *unused)
{
	unsigned n;

	pthread_mutex_lock(&release_lock);
	draining = true;
	n = drain_locked();
	draining = false;
	pthread_mutex_unlock(&release_lock);
	return n;
}

unsigned shim_handles_drain(void)
{
	shim_check_fork();
	if (draining || !atomic_load_explicit(&live, memory_order_acquire))
		return 0;
	/* a child of vfork has our memory, but closes descriptors of its own */
	if (sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0) != shim.pid)
		return 0;
	return (unsigned)shim_run(run_drain, NULL);
}

bool shim_drain_off(bool off)
{
	bool was = draining;

	draining = off;
	return was;
}

static void on_notify(void *arg)
{
	shim_handles_drain();
}

/* Start the watch for closes: 0 or -errno. release_lock is held. */
static int notify_start(void)
{
	int fd, rc = 0;

	if (notify_fd >= 0)
		return 0;
	fd = (int)fd_of_ours(SYS_inotify_init1, IN_NONBLOCK | IN_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return report_err("inotify-missing", SHIM_WHO, fd,
				  "inotify_init1: %m; uvfio needs one inotify instance in each "
				  "process (sysctl fs.inotify.max_user_instances)");
	notify_fd = fd_make_private(fd);
	if (notify_fd < 0) {
		rc = notify_fd;
		notify_fd = -1;
		sys_close(fd);
		return rc;
	}
	service = loop_new();
	if (service)
		service_watch = loop_watch(service, notify_fd, on_notify, NULL, &rc);
	else
		rc = -ENOMEM;
	if (!service_watch) {
		if (service)
			loop_free(service);
		service = NULL;
		fd_close_private(notify_fd);
		notify_fd = -1;
	}
	return rc;
}

/* ---- new handles ---- */

#ifndef MFD_NOEXEC_SEAL
/* linux/memfd.h, 6.3: a system may insist on it (sysctl vm.memfd_noexec) */
#define MFD_NOEXEC_SEAL 8u
#endif

int shim_memfd(const char *name)
{
	long flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	long fd = fd_of_ours(SYS_memfd_create, (long)name, flags | MFD_NOEXEC_SEAL, 0, 0);

	return (int)(fd == -EINVAL ? fd_of_ours(SYS_memfd_create, (long)name, flags, 0, 0) : fd);
}

/* Give @h, whose descriptor is @fd, a slot and the position that leads to it. table_lock. */
static void take_slot(struct shim_handle *h, int fd)
{
	uint32_t bits = 0;
	int64_t pos;

	if (sys_call(SYS_getrandom, (long)&bits, sizeof(bits), 1 /* GRND_NONBLOCK */, 0, 0, 0) !=
	    sizeof(bits))
		return;
	for (unsigned i = 0; i < SLOTS; i++) {
		if (slots[i])
			continue;
		pos = (int64_t)(POS_MARK << 48 | (uint64_t)bits << 16 | i);
		if (sys_call(SYS_lseek, fd, pos, SEEK_SET, 0, 0, 0) != pos)
			return;
		h->pos = pos;
		rcu_set(slots[i], h);
		return;
	}
}

/* Flags that F_GETFL shows; F_SETFL can change most of them. */
#define KEPT (O_APPEND | O_NONBLOCK | O_SYNC | O_ASYNC | O_NOATIME)

/*
 * Open the memfd once more, for the program, so that the kernel allows ioctl, fstat and close
 * alone. Closes @memfd.
 */
static int reopen(int memfd, int flags, bool free)
{
	long seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | (free ? 0 : F_SEAL_SEAL);
	char path[SYS_FD_NAME];
	int fd;

	/*
	 * whoever opens it past us by its link in /proc finds nothing, and can leave nothing there
	 */
	sys_call(SYS_fcntl, memfd, F_ADD_SEALS, seals, 0, 0, 0);
	fd = (int)fd_of_ours(SYS_openat, AT_FDCWD, (long)sys_fd_name(path, memfd),
			     O_ACCMODE | O_CLOEXEC | (flags & KEPT), 0);
	sys_close(memfd);
	return fd;
}

/* Give @fd the number that the program sees: the lowest free one, or one of the filter's range. */
static int renumber(int fd, int flags, bool device)
{
	int dup_cmd = flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, rc = -EMFILE;

	if (device && shim_fd_base)
		rc = (int)sys_call(SYS_fcntl, fd, dup_cmd, shim_fd_base, 0, 0, 0);
	if (rc >= 0 && (unsigned)rc >= shim_fd_end) {
		sys_close(rc);
		rc = -EMFILE;
	}
	if (rc < 0)
		rc = (int)sys_call(SYS_fcntl, fd, dup_cmd, 0, 0, 0, 0);
	sys_close(fd);
	if (device && rc >= 0)
		shim_seccomp_trap_device(rc);
	return rc;
}

static void on_ready(void *arg, bool ready)
{
	const struct shim_handle *h = arg;

	shim_pollable_set(h->signal, ready);
}

/* Return a handle for @file that is in no table yet, or NULL. */
static struct shim_handle *new_handle(struct uapi_file *file, int flags)
{
	struct shim_handle *h = heap_alloc(sizeof(*h));

	if (!h)
		return NULL;
	snprintf(h->link, sizeof(h->link), "%s", uapi_file_link(file));
	ref_init(&h->refs);
	h->file = file;
	h->opens = 1;
	h->flags = flags & (O_ACCMODE | O_NOFOLLOW);
	h->signal = -1;
	for (unsigned i = 0; i < SHIM_LOCKS; i++)
		atomic_init(&h->lock_fds[i], -1);
	return h;
}

/*
 * Watch for the last close of @fd, and put @h in the table as its handle. @mine: the description is
 * this process's, which may set its position. 0 or -errno.
 */
static int enter(struct shim_handle *h, int fd, bool mine)
{
	struct shim_handle *old, *next;
	char path[SYS_FD_NAME];
	struct stat st;
	uint64_t mask;
	int rc;

	rc = (int)sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0);
	if (rc < 0)
		return rc;
	h->dev = st.st_dev;
	h->ino = st.st_ino;
	shim_block_signals(&mask);
	pthread_mutex_lock(&release_lock);
	rc = notify_start();
	if (!rc) {
		rc = (int)sys_call(SYS_inotify_add_watch, notify_fd, (long)sys_fd_name(path, fd),
				   IN_OPEN | IN_CLOSE, 0, 0, 0);
	}
	if (rc >= 0) {
		h->wd = rc;
		pthread_mutex_lock(&table_lock);
		/*
		 * dead ones of a parent stay in the table without their close being seen: the
		 * inode's number may come again
		 */
		cds_list_for_each_entry_safe(old, next, bucket(h->ino), node)
			if (old->ino == h->ino && old->dev == h->dev) {
				unlink_handle(old);
				atomic_fetch_sub(&live, 1);
			}
		cds_list_add_rcu(&h->node, bucket(h->ino));
		if (mine)
			take_slot(h, fd);
		atomic_fetch_add_explicit(&live, 1, memory_order_release);
		pthread_mutex_unlock(&table_lock);
	}
	pthread_mutex_unlock(&release_lock);
	shim_restore_signals(&mask);
	if (rc < 0)
		return report_err("last-close-watch", SHIM_WHO, rc,
				  "%s: cannot watch for its last close", h->link);
	return 0;
}

/* True if another process may have the file as long as nobody has used it: there is no state. */
static bool begins_free(const struct uapi_file *file)
{
	enum vfio_file_kind kind = uapi_file_kind(file);

	return uapi_file_link(file)[0] == '/' &&
	       (kind == VFIO_FILE_DEVICE || kind == VFIO_FILE_IOMMUFD);
}

int shim_handle_install(struct uapi_file *file, int flags)
{
	char tag[64], name[128];
	struct shim_handle *h;
	int fd, rc;

	pthread_once(&table_once, table_init);
	h = new_handle(file, flags);
	if (!h)
		return -ENOMEM;
	atomic_init(&h->free, begins_free(file));
	shim_left_tag(tag, sizeof(tag), uapi_file_group(file), flags);
	if (uapi_file_can(file) & UAPI_IS_STREAM) {
		/* so that its link reads as a memfd's does */
		snprintf(name, sizeof(name), "memfd:" NAME_PREFIX "%s%s", tag, h->link);
		fd = shim_pollable_open(name, flags & KEPT, &h->signal);
	} else {
		snprintf(name, sizeof(name), NAME_PREFIX "%s%s", tag, h->link);
		fd = shim_memfd(name);
		if (fd >= 0)
			fd = reopen(fd, flags, begins_free(file));
	}
	if (fd < 0) {
		rc = fd;
		goto out_free;
	}
	rc = renumber(fd, flags, is_device(file));
	if (rc < 0)
		goto out_free;
	fd = rc;
	rc = enter(h, fd, true);
	if (rc < 0)
		goto out_close;
	if (h->signal >= 0) {
		/* the watch wanted the right to read: an open of its link in /proc is none, too */
		sys_call(SYS_fchmod, fd, 0, 0, 0, 0, 0);
		uapi_file_on_ready(file, on_ready, h);
	}
	shim_fd_mark(fd, true);
	return fd;
out_close:
	sys_close(fd);
out_free:
	fd_close_private(h->signal);
	heap_free(h);
	return rc;
}

struct shim_handle *shim_handle_enter(int fd, struct uapi_file *file, int flags, int *err)
{
	struct shim_handle *h;

	pthread_once(&table_once, table_init);
	h = new_handle(file, flags);
	*err = -ENOMEM;
	if (!h)
		return NULL;
	atomic_init(&h->free, begins_free(file));
	ref_get(&h->refs);
	*err = enter(h, fd, false);
	if (*err) {
		heap_free(h);
		return NULL;
	}
	shim_fd_mark(fd, true);
	return h;
}

/* ---- fork ---- */

void shim_handles_lock(void)
{
	pthread_once(&table_once, table_init);
	pthread_mutex_lock(&release_lock);
	pthread_mutex_lock(&table_lock);
}

void shim_handles_unlock(void)
{
	pthread_mutex_unlock(&table_lock);
	pthread_mutex_unlock(&release_lock);
}

void shim_handles_abandon(void)
{
	struct shim_handle *h;

	pthread_once(&table_once, table_init);
	for (unsigned i = 0; i < BUCKETS; i++)
		cds_list_for_each_entry(h, &table[i], node)
			h->dead = true;
	/*
	 * a child that came without atfork handlers may find them taken by a thread that it does
	 * not have
	 */
	pthread_mutex_init(&release_lock, NULL);
	pthread_mutex_init(&table_lock, NULL);
	shim_adopt_abandon();
	if (service)
		loop_abandon(service);
	service = NULL;
	service_watch = NULL;
	notify_fd = -1; /* private: closed with all others */
}
