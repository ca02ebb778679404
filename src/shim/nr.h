/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/nr.h: numbers of system calls that the <sys/syscall.h> of the build need not know yet
 * (asm-generic/unistd.h).
 */
#ifndef SHIM_NR_H
#define SHIM_NR_H
#include <sys/syscall.h>

#ifndef SYS_fchmodat2 /* 6.6 */
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat /* 6.13 */
#define SYS_setxattrat	  463
#define SYS_getxattrat	  464
#define SYS_listxattrat	  465
#define SYS_removexattrat 466
#endif
#ifndef SYS_open_tree_attr /* 6.15 */
#define SYS_open_tree_attr 467
#endif
#ifndef SYS_file_getattr /* 6.17 */
#define SYS_file_getattr 468
#define SYS_file_setattr 469
#endif
#endif
