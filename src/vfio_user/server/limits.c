/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/server/limits.c: a client's share of this process, by its names and by default. */
#include <errno.h>
#include <string.h>

#include "vfio_user/server/internal.h"

#define ROW(name, member, def, least, most, what) \
	{ name, what, offsetof(struct vu_server_limits, member), def, least, most },
const struct vu_limit vu_limits[] = { VU_LIMITS(ROW){ 0 } };

static uint64_t *value_of(struct vu_server_limits *l, const struct vu_limit *k)
{
	return (uint64_t *)((char *)l + k->at);
}

int vu_server_limit(struct vu_server_limits *l, const char *name, uint64_t value)
{
	for (const struct vu_limit *k = vu_limits; k->name; k++) {
		if (strcmp(k->name, name))
			continue;
		if (value < k->least || value > k->most)
			return -ERANGE;
		*value_of(l, k) = value;
		return 0;
	}
	return -ENOENT;
}

void vu_limits_default(struct vu_server_limits *l)
{
	for (const struct vu_limit *k = vu_limits; k->name; k++)
		if (!*value_of(l, k))
			*value_of(l, k) = k->def;
}
