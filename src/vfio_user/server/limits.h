/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/server/limits.h: the table of a client's share of this process. */
#ifndef VFIO_USER_SERVER_LIMITS_H
#define VFIO_USER_SERVER_LIMITS_H
#include <stddef.h>
#include <stdint.h>

/* less than overflows when it is counted in bits */
#define VU_LIMIT_BYTES (UINT64_MAX / 8)

/*
 * X(the name that users know, the member, default, least, most, what it is)
 *
 * fds: what a message can bring. data: config space is read at once (QEMU), and a buffer is made
 * for that of each message. dma-timeout: less than QEMU's patience with us, behind which it is
 * confused. dirty-log: the bits of 256 ranges are a bit each, at least.
 */
#define VU_LIMITS(X)                                                                               \
	X("maps", max_dma_maps, 1u << 20, 1, UINT32_MAX, "mappings of memory")                     \
	X("memory", max_mapped, 1ull << 44, 1, VU_LIMIT_BYTES, "bytes of addresses of its files")  \
	X("files", max_files, 1024, 1, 16384, "files of memory")                                   \
	X("fds", max_fds, 16, 1, VU_MAX_FDS, "descriptors in a message")                           \
	X("eventfds", max_eventfds, 4096, 1, UINT32_MAX, "vectors with an eventfd")                \
	X("data", max_data, VU_DEFAULT_DATA, 4096, 64u << 20, "bytes in a message")                \
	X("queue", max_queued, 1024, 1, 65536, "commands that wait")                               \
	X("migration", max_migration, 256u << 20, 4096, VU_LIMIT_BYTES, "bytes of a state")        \
	X("dirty-log", max_dirty_log, 32u << 20, 4096, VU_LIMIT_BYTES, "bytes of bits of the log") \
	X("dma-timeout", dma_timeout, 3000, 1, 3600 * 1000, "milliseconds of an answer to a DMA")

/* 0: the default. */
struct vu_server_limits {
#define VU_LIMIT_MEMBER(name, member, ...) uint64_t member;
	VU_LIMITS(VU_LIMIT_MEMBER)
#undef VU_LIMIT_MEMBER
};

struct vu_limit {
	const char *name, *what;
	size_t at; /* in struct vu_server_limits */
	uint64_t def, least, most;
};
/* Ends with no name. */
extern const struct vu_limit vu_limits[];
#endif
