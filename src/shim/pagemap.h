/* SPDX-License-Identifier: BSD-3-Clause */
/* shim/pagemap.h: /proc/self/pagemap in a run without an IOMMU. */
#ifndef SHIM_PAGEMAP_H
#define SHIM_PAGEMAP_H
#include <stdio.h>

#include "shim/shim.h"

/* True if @path, which was opened, may be a pagemap, of a run without an IOMMU. */
bool shim_pagemap_path(const char *path);
/* @fd was opened by such a path. */
void shim_pagemap_opened(int fd);
/*
 * @len bytes were read from @fd to @iov, of @n pieces, at @pos (-1: where the file's own position
 * was): if it is a pagemap, the numbers of page frames become those of the machine.
 */
void shim_pagemap_read(int fd, const struct iovec *iov, size_t n, size_t len, int64_t pos);
/* Return a stream over @fd, a pagemap, or NULL with errno. */
FILE *shim_pagemap_stream(int fd, const char *mode);
#endif
