/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/info.c: structures that the kernel fills and that grow: they begin with argsz, and
 * capabilities lie behind their fields, each with the offset of the next one. What the kernel says
 * is checked as what anybody says.
 */
#include <string.h>

#include "base/heap.h"
#include "host/internal.h"

/* The kernel's largest ones are some KiB. */
#define INFO_MAX (1u << 20)
#define CAPS_MAX 64u

int host_info(const struct host_env *env, int fd, unsigned long cmd, const void *head, size_t size,
	      void **out)
{
	uint32_t room = (uint32_t)size, argsz;
	void *buf = NULL, *more;
	int ret;

	/* twice is enough, unless it grows in between */
	for (unsigned i = 0; i < 4; i++) {
		more = heap_resize(buf, room);
		ret = -ENOMEM;
		if (!more)
			break;
		buf = more;
		memset(buf, 0, room);
		memcpy(buf, head, size);
		memcpy(buf, &room, sizeof(room));
		ret = env->ioctl(fd, cmd, buf);
		if (ret < 0)
			break;
		memcpy(&argsz, buf, sizeof(argsz));
		if (argsz <= room) {
			*out = buf;
			return (int)room;
		}
		ret = -EINVAL;
		if (argsz > INFO_MAX)
			break;
		room = argsz;
	}
	heap_free(buf);
	return ret;
}

const void *host_info_cap(const void *info, size_t size, uint32_t at, uint16_t id, size_t min,
			  size_t *room)
{
	struct vfio_info_cap_header cap;

	for (unsigned i = 0; i < CAPS_MAX && at; i++, at = cap.next) {
		if (!range_within(at, sizeof(cap), size))
			return NULL;
		memcpy(&cap, (const char *)info + at, sizeof(cap));
		if (cap.id != id)
			continue;
		*room = size - at;
		return *room < min ? NULL : (const char *)info + at;
	}
	return NULL;
}
