/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/seccomp.c: the net under the wrappers. A VFIO call that does not come through libc's symbols
 * (inline assembly, a runtime with system calls of its own) is stopped by a filter and done in the
 * SIGSYS handler.
 *
 * Filters outlive exec and cannot be taken back, so this one traps only what cannot be anything
 * else: ioctls of type ';', and accesses at an offset where only VFIO's regions are (index << 40,
 * in the first 4 GiB from there), or of a few bytes on numbers that we give to device files. A
 * child without the shim is killed by SIGSYS if it does one of these; all else of it is untouched.
 * Region 0 is at offset 0, like anything: shared mappings there, and what is written, are trapped
 * on a few numbers only, once this process has a device file of one of them.
 *
 * Our own calls carry a mark in the upper half of the descriptor, where the kernel does not look.
 * (An address would not do: a program exec'd by a program under the shim has the filters of both,
 * and its own code elsewhere.)
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "shim/calls.h"
#include "shim/mem.h"
#include "shim/shim.h"
#include "vfio/abi.h"

unsigned shim_fd_base, shim_fd_end;
volatile sig_atomic_t shim_trap_probe;

/*
 * Numbers for device files: below 1024, where select(2) works and the usual soft limit ends, and
 * below the private ones of base/sys.c.
 */
#define FD_BASE 768u
#define FD_END	896u

/* little-endian halves of a 64-bit argument */
#define LO(i) (offsetof(struct seccomp_data, args) + 8 * (i))
#define HI(i) (LO(i) + 4)

#define LOAD(off)	   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(off))
#define IF_EQ(k, yes, no)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (yes), (no))
#define IF_GE(k, yes, no)  BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (k), (yes), (no))
#define IF_GT(k, yes, no)  BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (k), (yes), (no))
#define IF_SET(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (k), (yes), (no))
#define RET(k)		   BPF_STMT(BPF_RET | BPF_K, (k))

/*
 * upper half of an offset: index << 8, with what is above 4 GiB in the region zero; no device has
 * so many regions
 */
#define INDEX_MIN (1u << 8)
#define INDEX_END (64u << 8)
#define ANONYMOUS 0x20u /* MAP_ANONYMOUS */

#define ALLOW RET(SECCOMP_RET_ALLOW)
#define TRAP  RET(SECCOMP_RET_TRAP | SHIM_TRAP_DATA)

/* The beginning of each filter: calls of other kinds (int $0x80) are left alone. */
#define NUMBER_OF_CALL                                                                    \
	LOAD(offsetof(struct seccomp_data, arch)), IF_EQ(AUDIT_ARCH_X86_64, 1, 0), ALLOW, \
		LOAD(offsetof(struct seccomp_data, nr))

/*
 * Each block is jumped over when the number is another's, and ends by itself; jumps count
 * instructions from the next one.
 */
static const struct sock_filter filter[] = {
	NUMBER_OF_CALL,

	/* ioctl(fd, cmd, arg) */
	IF_EQ(SYS_ioctl, 0, 8),
	/* 0 */ LOAD(HI(0)),
	/* 1 */ IF_EQ(SYS_PASS_MARK, 4, 0),
	/* 2 */ LOAD(LO(1)),
	/* 3 */ BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8),
	/* 4 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
	/* 5 */ IF_EQ(SHIM_VFIO_TYPE, 1, 0),
	/* 6 */ ALLOW,
	/* 7 */ TRAP,

	/* pread64, pwrite64(fd, buf, count, offset) */
	IF_EQ(SYS_pread64, 1, 0),
	IF_EQ(SYS_pwrite64, 0, 13),
	/* 0 */ LOAD(HI(0)),
	/* 1 */ IF_EQ(SYS_PASS_MARK, 10, 0),
	/* 2 */ LOAD(HI(3)),
	/* 3 */ IF_SET(0xff, 2, 0),
	/* 4 */ IF_GE(INDEX_END, 1, 0),
	/* 5 */ IF_GE(INDEX_MIN, 5, 0),
	/* 6 */ LOAD(LO(0)),
	/* 7 */ IF_GE(FD_END, 4, 0),
	/* 8 */ IF_GE(FD_BASE, 0, 3),
	/* 9 */ LOAD(LO(2)),
	/* 10 */ IF_GT(8, 1, 0),
	/* 11 */ TRAP,
	/* 12 */ ALLOW,

	/* mmap(addr, len, prot, flags, fd, offset) */
	IF_EQ(SYS_mmap, 0, 10),
	/* 0 */ LOAD(LO(3)),
	/* 1 */ IF_SET(ANONYMOUS, 6, 0),
	/* 2 */ LOAD(HI(4)),
	/* 3 */ IF_EQ(SYS_PASS_MARK, 4, 0),
	/* 4 */ LOAD(HI(5)),
	/* 5 */ IF_SET(0xff, 2, 0),
	/* 6 */ IF_GE(INDEX_END, 1, 0),
	/* 7 */ IF_GE(INDEX_MIN, 1, 0),
	/* 8 */ ALLOW,
	/* 9 */ TRAP,

	/* preadv and its kin(fd, iov, n, offset) */
	IF_EQ(SYS_preadv, 3, 0),
	IF_EQ(SYS_pwritev, 2, 0),
	IF_EQ(SYS_preadv2, 1, 0),
	IF_EQ(SYS_pwritev2, 0, 8),
	/* 0 */ LOAD(HI(0)),
	/* 1 */ IF_EQ(SYS_PASS_MARK, 4, 0),
	/* 2 */ LOAD(HI(3)),
	/* 3 */ IF_SET(0xff, 2, 0),
	/* 4 */ IF_GE(INDEX_END, 1, 0),
	/* 5 */ IF_GE(INDEX_MIN, 1, 0),
	/* 6 */ ALLOW,
	/* 7 */ TRAP,

	ALLOW,
};

bool shim_traps(void)
{
	shim_trap_probe = 0;
	sys_call(SYS_ioctl, -1, SHIM_PROBE_CMD, 0, 0, 0, 0);
	return shim_trap_probe;
}

static long install(const struct sock_filter *f, size_t n)
{
	struct sock_fprog prog = { .len = (unsigned short)n, .filter = (struct sock_filter *)f };
	long rc;

	/*
	 * with CAP_SYS_ADMIN a filter needs no no_new_privs, and set-uid children (sudo, ping) keep
	 * working
	 */
	rc = sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		      SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, (long)&prog, 0, 0,
		      0);
	if (rc == -EACCES) {
		sys_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
		rc = sys_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			      SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW,
			      (long)&prog, 0, 0, 0);
	}
	return rc;
}

void shim_seccomp_init(void)
{
	struct rlimit rl;
	long rc;

	/*
	 * numbers in the filter's range have to stay out of the private ones' way, which start 128
	 * below the limit
	 */
	if (!sys_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&rl, 0, 0) &&
	    rl.rlim_cur >= FD_END + 128) {
		shim_fd_base = FD_BASE;
		shim_fd_end = FD_END;
	}
	/*
	 * a program exec'd by one under the shim has the filter already; a second one would only
	 * cost time
	 */
	if (shim_traps())
		return;
	rc = install(filter, ARRAY_SIZE(filter));
	/* a positive value is a thread that could not be brought along (TSYNC) */
	if (rc)
		report_warn("no-seccomp", SHIM_WHO, 0,
			    "no seccomp filter (%s %ld): VFIO calls that do not go through libc "
			    "will reach the kernel and fail there",
			    rc < 0 ? "error" : "thread", rc < 0 ? -rc : rc);
}

/* ---- region 0 ---- */

#define BLOCK 8u

/*
 * A child's dynamic linker, which comes before its shim, reads a library's headers by pread64 and
 * maps it privately: these are let through.
 */
void shim_seccomp_trap_device(int fd)
{
	/* blocks of numbers that have it: once each, for filters only add up */
	static atomic_uint done;
	uint32_t first = (uint32_t)fd / BLOCK * BLOCK, bit = 1u << (first - FD_BASE) / BLOCK;
	long rc;

	if (fd < (int)FD_BASE || fd >= (int)FD_END || bit & atomic_fetch_or(&done, bit))
		return;
	/* upper halves of offsets: region 0 alone; in 2010's interface all spaces lie there */
	const uint32_t end = vfio_abi()->v3 ? 16 : 1;
	const struct sock_filter region[] = {
		NUMBER_OF_CALL,

		/* mmap(addr, len, prot, flags, fd, offset) */
		IF_EQ(SYS_mmap, 0, 10),
		/* 0 */ LOAD(LO(3)),
		/* 1 */ IF_SET(ANONYMOUS, 7, 0),
		/* 2 */ IF_SET(MAP_SHARED, 0, 6), /* in MAP_SHARED_VALIDATE, too */
		/* 3 */ LOAD(HI(4)),
		/* 4 */ IF_EQ(SYS_PASS_MARK, 4, 0),
		/* 5 */ LOAD(HI(5)),
		/* 6 */ IF_GE(end, 2, 0),
		/* 7 */ LOAD(LO(4)),
		/* 8 */ IF_GE(first, 20, 0), /* to the other end of the block, below */
		/* 9 */ ALLOW,

		/* pread64(fd, buffer, n, offset), of a space other than the first */
		IF_EQ(SYS_pread64, 0, 7),
		/* 0 */ LOAD(HI(0)),
		/* 1 */ IF_EQ(SYS_PASS_MARK, 4, 0),
		/* 2 */ LOAD(HI(3)),
		/* 3 */ IF_EQ(0, 2, 0),
		/* 4 */ IF_GE(end, 1, 0),
		/* 5 */ IF_GE(1, 10, 10), /* as what follows, from 4 on */
		/* 6 */ ALLOW,

		/* pwrite64 and its kin(fd, buffer or iov, n, offset) */
		IF_EQ(SYS_pwrite64, 4, 0),
		IF_EQ(SYS_preadv, 3, 0),
		IF_EQ(SYS_pwritev, 2, 0),
		IF_EQ(SYS_preadv2, 1, 0),
		IF_EQ(SYS_pwritev2, 0, 8),
		/* 0 */ LOAD(HI(0)),
		/* 1 */ IF_EQ(SYS_PASS_MARK, 6, 0),
		/* 2 */ LOAD(HI(3)),
		/* 3 */ IF_GE(end, 4, 0),
		/* 4 */ LOAD(LO(0)),
		/* 5 */ IF_GE(first, 0, 2),
		/* 6 */ IF_GE(first + BLOCK, 1, 0),
		/* 7 */ TRAP,
		ALLOW,
	};
	rc = install(region, ARRAY_SIZE(region));
	if (rc)
		report_info("no-seccomp", SHIM_WHO, 0,
			    "no filter for device files (%s %ld): a mmap of region 0 that does not "
			    "go through libc is EACCES",
			    rc < 0 ? "error" : "thread", rc < 0 ? -rc : rc);
}

/* ---- libc's own writes ---- */

void shim_seccomp_trap_writes(int fd)
{
	/* numbers that have it: once each, for filters only add up */
	static atomic_ullong done[16];
	uintptr_t start = 0, end = 0;
	uint64_t bit = 1ull << fd % 64;
	long rc;

	if (fd < 0 || fd / 64 >= (int)ARRAY_SIZE(done)) {
		report_info("no-seccomp", SHIM_WHO, 0,
			    "descriptor %d: what libc's streams write to it in sysfs is EBADF", fd);
		return;
	}
	if (bit & atomic_fetch_or(&done[fd / 64], bit))
		return;
	/* all of libc lies in one 4 GiB, or else the number could not be compared in two halves */
	if (!shim_libc_text(&start, &end) || start >> 32 != (end - 1) >> 32) {
		report_info("no-seccomp", SHIM_WHO, 0,
			    "libc cannot be found: what its streams write to attributes in sysfs "
			    "is EBADF");
		return;
	}
	const struct sock_filter writes[] = {
		NUMBER_OF_CALL,
		IF_EQ(SYS_write, 0, 9),
		LOAD(HI(0)),
		IF_EQ(SYS_PASS_MARK, 7, 0),
		LOAD(LO(0)),
		IF_EQ((uint32_t)fd, 0, 5),
		LOAD(offsetof(struct seccomp_data, instruction_pointer) + 4),
		IF_EQ((uint32_t)(start >> 32), 0, 3),
		LOAD(offsetof(struct seccomp_data, instruction_pointer)),
		IF_GE((uint32_t)start, 0, 1),
		IF_GE((uint32_t)end, 0, 1),
		ALLOW,
		TRAP,
	};
	rc = install(writes, ARRAY_SIZE(writes));
	if (rc)
		report_info("no-seccomp", SHIM_WHO, 0,
			    "no filter for descriptor %d (%ld): what libc's streams write to it in "
			    "sysfs is EBADF",
			    fd, rc);
}
