/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/sysfs.c: where the view and the host's directories meet. A directory above the view (/dev,
 * /sys/module, /sys/class ...) is the host's; a program that lists it by opendir and readdir finds
 * in it what the view has there, and not what the host has of these names, as with an open of a
 * name. And a descriptor below the view's /sys is one of sysfs, if one asks.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <urcu/list.h>

#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/shim.h"

/* longer than any directory above the view */
#define DIR_MAX 64

/* A stream of a directory above the view. */
struct listing {
	struct cds_list_head node;
	DIR *d;
	DIR *own; /* of the same directory below the run directory */
	bool in_own;
	char path[DIR_MAX];
};

static CDS_LIST_HEAD(listings);
static pthread_mutex_t listings_lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf */
static atomic_uint num_listings;				  /* mostly 0 */

static struct listing *find(DIR *d)
{
	struct listing *l, *found = NULL;

	if (!atomic_load_explicit(&num_listings, memory_order_relaxed))
		return NULL;
	pthread_mutex_lock(&listings_lock);
	cds_list_for_each_entry(l, &listings, node)
		if (l->d == d)
			found = l;
	pthread_mutex_unlock(&listings_lock);
	return found;
}

/*
 * Write the path of @fd, without the run directory, to @path: its length, or 0 if it does not fit.
 */
static size_t path_of(int fd, char *path, size_t size, bool *is_ours)
{
	long n = sys_readlink_fd(fd, path, size);

	if (n <= 0 || (size_t)n >= size - 1 || path[0] != '/')
		return 0;
	*is_ours = shim_unmap(path, (size_t)n) != (size_t)n;
	return strlen(path);
}

void shim_list_begin(DIR *d)
{
	char path[DIR_MAX], *own;
	struct listing *l;
	bool is_ours;

	if (!path_of(dirfd(d), path, sizeof(path), &is_ours) || is_ours || !shim_above_view(path))
		return;
	l = calloc(1, sizeof(*l));
	if (!l)
		return;
	own = malloc(shim.run_len + sizeof(path));
	if (own) {
		memcpy(own, shim.run_dir, shim.run_len);
		strcpy(own + shim.run_len, path);
		l->own = opendir(own);
		free(own);
	}
	l->d = d;
	strcpy(l->path, strcmp(path, "/") ? path : "");
	pthread_mutex_lock(&listings_lock);
	cds_list_add(&l->node, &listings);
	pthread_mutex_unlock(&listings_lock);
	atomic_fetch_add(&num_listings, 1);
}

static bool is_of_view(const struct listing *l, const char *name)
{
	char path[DIR_MAX + NAME_MAX + 2];
	size_t n = strlen(l->path);

	memcpy(path, l->path, n);
	path[n] = '/';
	strcpy(path + n + 1, name);
	return shim_in_view(path);
}

DIR *shim_list_at(DIR *d)
{
	struct listing *l = find(d);

	return l && l->in_own ? l->own : d;
}

bool shim_list_again(DIR *d, const char *name)
{
	struct listing *l = find(d);

	if (!l)
		return false;
	if (name)
		return is_of_view(l, name) != l->in_own;
	if (l->in_own || !l->own)
		return false;
	l->in_own = true;
	return true;
}

void shim_lists_abandon(void)
{
	pthread_mutex_init(&listings_lock, NULL);
}

EXPORT DIR *fdopendir(int fd)
{
	DIR *d;

	NEXT(fdopendir);
	d = real(fd);
	if (d && shim.on && shim_fd_maybe_view(fd))
		shim_list_begin(d);
	return d;
}

EXPORT int closedir(DIR *d)
{
	struct listing *l = find(d);

	NEXT(closedir);
	if (l) {
		pthread_mutex_lock(&listings_lock);
		cds_list_del(&l->node);
		pthread_mutex_unlock(&listings_lock);
		atomic_fetch_sub(&num_listings, 1);
		if (l->own)
			real(l->own);
		free(l);
	}
	return real(d);
}

EXPORT void rewinddir(DIR *d)
{
	struct listing *l = find(d);

	NEXT(rewinddir);
	if (l && l->own)
		real(l->own);
	if (l)
		l->in_own = false;
	real(d);
}

static long run_is_sysfs(void *arg, char *path)
{
	bool is_ours;

	return path_of(*(const int *)arg, path, SHIM_PATH_LONG, &is_ours) && is_ours &&
	       !strncmp(path, "/sys/", 5);
}

bool shim_is_sysfs(int fd)
{
	return shim.on && shim_run_with_room(run_is_sysfs, &fd);
}
