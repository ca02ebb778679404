/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * own/files.c: the table of open files. A file is known by the inode of the descriptor that stands
 * for it in the program (a memfd, shim/handles.c), and lives until that is closed by all who have
 * it, which inotify tells whatever became of them; or until nobody has it mapped any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "own/internal.h"

int own_files_init(struct own_files *t)
{
	int fd = (int)fd_of_ours(SYS_inotify_init1, IN_NONBLOCK | IN_CLOEXEC, 0, 0, 0);

	if (fd < 0)
		return fd;
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->release_lock, NULL);
	CDS_INIT_LIST_HEAD(&t->list);
	t->notify = fd_make_private(fd);
	if (t->notify < 0) {
		sys_close(fd);
		return t->notify;
	}
	return 0;
}

/* Take @f out of the table, with the lock held: the file, whose reference is the caller's. */
static struct uapi_file *take_out(struct own_files *t, struct own_file *f)
{
	struct uapi_file *file = f->file;

	cds_list_del(&f->node);
	sys_call(SYS_inotify_rm_watch, t->notify, f->wd, 0, 0, 0, 0);
	free(f);
	return file;
}

void own_files_fini(struct own_files *t)
{
	struct own_file *f, *next;

	/* devices first: a group that is put before its devices stays open for them */
	cds_list_for_each_entry_safe(f, next, &t->list, node)
		uapi_file_put(take_out(t, f));
	fd_close_private(t->notify);
	pthread_mutex_destroy(&t->release_lock);
	pthread_mutex_destroy(&t->lock);
}

int own_files_add(struct own_files *t, int fd, struct uapi_file *file)
{
	struct own_file *f = calloc(1, sizeof(*f));
	char path[SYS_FD_NAME];
	struct stat st;
	int rc;

	if (!f)
		return -ENOMEM;
	if (fstat(fd, &st)) {
		free(f);
		return -errno;
	}
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->file = file;
	f->opens = 1;
	pthread_mutex_lock(&t->lock);
	f->wd = (int)sys_call(SYS_inotify_add_watch, t->notify, (long)sys_fd_name(path, fd),
			      IN_OPEN | IN_CLOSE, 0, 0, 0);
	if (f->wd >= 0)
		cds_list_add(&f->node, &t->list);
	rc = f->wd;
	pthread_mutex_unlock(&t->lock);
	if (rc >= 0)
		return 0;
	free(f);
	return report_err("last-close-watch", WHO, rc, "%s: cannot watch for its last close",
			  uapi_file_link(file));
}

static struct own_file *find(struct own_files *t, uint64_t dev, uint64_t ino)
{
	struct own_file *f;

	cds_list_for_each_entry(f, &t->list, node)
		if (f->ino == ino && f->dev == dev)
			return f;
	return NULL;
}

struct uapi_file *own_files_get(struct own_files *t, uint64_t dev, uint64_t ino)
{
	struct uapi_file *file = NULL;
	struct own_file *f;

	pthread_mutex_lock(&t->lock);
	f = find(t, dev, ino);
	if (f) {
		file = f->file;
		uapi_file_get(file);
	}
	pthread_mutex_unlock(&t->lock);
	return file;
}

/* Note one event, and give the file up that nobody has any more. */
static void note(struct own_files *t, const struct inotify_event *e)
{
	struct uapi_file *file = NULL;
	struct own_file *f;

	pthread_mutex_lock(&t->lock);
	cds_list_for_each_entry(f, &t->list, node) {
		if (f->wd != e->wd)
			continue;
		if (e->mask & IN_OPEN)
			f->opens++;
		if (e->mask & IN_CLOSE && f->opens && !--f->opens && !f->holds)
			file = take_out(t, f);
		break;
	}
	pthread_mutex_unlock(&t->lock);
	if (file)
		report_debug("last-close", WHO, 0, "%s: last close", uapi_file_link(file));
	uapi_file_put(file);
}

/* Return a file that nobody has any more, out of the table, or NULL. */
static struct uapi_file *next_dropped(struct own_files *t)
{
	struct uapi_file *file = NULL;
	struct own_file *f;

	pthread_mutex_lock(&t->lock);
	if (t->dropped) {
		cds_list_for_each_entry(f, &t->list, node) {
			if (f->opens || f->holds)
				continue;
			file = take_out(t, f);
			break;
		}
		t->dropped = file;
	}
	pthread_mutex_unlock(&t->lock);
	return file;
}

void own_files_drain(struct own_files *t)
{
	char buf[1024] __attribute__((aligned(8)));
	const struct inotify_event *e;
	struct uapi_file *file;
	ssize_t n;

	/* whoever comes next finds the files really given up */
	pthread_mutex_lock(&t->release_lock);
	while ((n = sys_read(t->notify, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n; p += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)p;
			if (e->mask & IN_Q_OVERFLOW)
				report_err("inotify-overflow", WHO, 0,
					   "events about closed files were lost: "
					   "fs.inotify.max_queued_events is too small, some files "
					   "will stay open");
			note(t, e);
		}
	while ((file = next_dropped(t)))
		uapi_file_put(file);
	pthread_mutex_unlock(&t->release_lock);
}

void own_files_keep(struct own_files *t)
{
	struct own_file *f;

	pthread_mutex_lock(&t->lock);
	cds_list_for_each_entry(f, &t->list, node)
		f->holds++;
	pthread_mutex_unlock(&t->lock);
}

bool own_files_hold(struct own_files *t, uint64_t dev, uint64_t ino, bool hold)
{
	struct own_file *f;

	pthread_mutex_lock(&t->lock);
	f = find(t, dev, ino);
	if (f && hold)
		f->holds++;
	else if (f && f->holds && !--f->holds)
		t->dropped = true;
	pthread_mutex_unlock(&t->lock);
	return f;
}
