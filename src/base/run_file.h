/* SPDX-License-Identifier: BSD-3-Clause */
/* base/run_file.h: files in the run directory that all processes of a run have mapped. */
#ifndef BASE_RUN_FILE_H
#define BASE_RUN_FILE_H
#include <stddef.h>

/**
 * run_file_map - map all of the file @name in @dir, to read and write, shared
 * @least: bytes that it must have at least
 * @size: gets how many it has, to be unmapped with
 *
 * No malloc, no lock.
 *
 * Return: its address, or -errno by sys_failed(): -ENOENT: it is not there; -EINVAL: too short;
 * -ENAMETOOLONG.
 */
long run_file_map(const char *dir, const char *name, size_t least, size_t *size);
#endif
