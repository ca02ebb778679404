/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/run/internal.h: what the files about a run share. */
#ifndef MACHINE_RUN_INTERNAL_H
#define MACHINE_RUN_INTERNAL_H
#include <limits.h>

#include "machine/run/run.h"
#include "machine/view/view.h"

#define RUN_VIEW_LOCK "claims/view"

/* Put the path of @name in the run directory together. 0 or -ENAMETOOLONG. */
int run_path(const char *run_dir, const char *name, char path[PATH_MAX]);
/* Read a file of at most @most bytes: *@out is malloc'ed, with a null character behind @len. */
int run_read_file(const char *path, size_t most, char **out, size_t *len);
/* Write the state of all PFs in place of the last one. */
int run_pfs_write(const char *run_dir, const struct run_pf *st, unsigned n);

/* Stores to attributes, by run_store(): 0 or the kernel's -errno. The view is locked. */
int run_bind_store(const char *run_dir, const char *driver, const char *text, size_t len);
int run_unbind_store(const char *run_dir, const char *driver, const char *text, size_t len);
int run_probe_store(const char *run_dir, const char *text, size_t len);
int run_override_store(const char *run_dir, const char *addr, const char *text, size_t len);
/* The same of sriov_numvfs, of the PF at @addr; the view is not locked. @len or -errno. */
long run_numvfs_store(const char *run_dir, const char *addr, const char *text, size_t len);
#endif
