/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/memlock.c: how much memory devices may pin: what the user says, or the limit of the
 * process as the kernel reads it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/size.h"
#include "base/sys.h"
#include "machine/internal.h"

/* True if capabilities count: the kernel asks capable(), which root of a user namespace is not. */
static bool in_first_user_namespace(void)
{
	unsigned inside, outside, count;
	char text[128];
	ssize_t n;
	int fd;

	fd = sys_open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC, 0);
	if (fd == -ENOENT)
		return true; /* a kernel without user namespaces */
	if (fd < 0)
		return false;
	n = sys_read(fd, text, sizeof(text) - 1);
	sys_close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	return sscanf(text, "%u %u %u", &inside, &outside, &count) == 3 && !inside && !outside &&
	       count == UINT32_MAX;
}

bool machine_capable(void *arg, unsigned cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (sys_call(SYS_capget, (long)&head, (long)data, 0, 0, 0, 0) < 0)
		return false;
	return data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap) && in_first_user_namespace();
}

/* Return RLIMIT_MEMLOCK. A capability is looked for only if the limit does not do. */
static uint64_t process_limit(uint64_t want)
{
	struct rlimit rl;

	if (sys_call(SYS_prlimit64, 0, RLIMIT_MEMLOCK, 0, (long)&rl, 0, 0) < 0 ||
	    rl.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	if (rl.rlim_cur < want && machine_capable(NULL, CAP_IPC_LOCK))
		return UINT64_MAX;
	return rl.rlim_cur;
}

uint64_t machine_memlock(void *arg, uint64_t want)
{
	struct machine *m = arg;

	return m->memlock_inherit ? process_limit(want) : m->memlock_limit;
}

int machine_parse_memlock(const char *text, uint64_t *bytes)
{
	if (!strcmp(text, "inherit")) {
		*bytes = process_limit(UINT64_MAX);
		return 0;
	}
	if (!strcmp(text, "unlimited")) {
		*bytes = UINT64_MAX;
		return 0;
	}
	return size_parse(text, bytes) ? -EINVAL : 0;
}

int machine_set_memlock(struct machine *m, const char *text)
{
	int ret = machine_parse_memlock(text, &m->memlock_limit);

	if (!ret)
		m->memlock_inherit = !strcmp(text, "inherit");
	return ret;
}
