/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/view/cpus.c: the CPUs of the computer, as sysfs prints them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "machine/view/view.h"

/* Read the first line of @path, or take @otherwise. */
static void read_line(const char *path, char *buf, size_t size, const char *otherwise)
{
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = -1;

	if (fd >= 0) {
		n = sys_read(fd, buf, size - 1);
		sys_close(fd);
	}
	if (n <= 0) {
		snprintf(buf, size, "%s", otherwise);
		return;
	}
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
}

/*
 * Write a list "0-2,5" as the kernel prints a mask: hexadecimal, commas between words of 32 bits,
 * as many digits as possible CPUs need.
 */
static void list_to_mask(const char *list, unsigned last, char *out, size_t size)
{
	unsigned char nibbles[1024] = { 0 };
	unsigned digits = last / 4 + 1, from, to;
	size_t n = 0;
	char *end;

	if (digits > sizeof(nibbles))
		digits = sizeof(nibbles);
	while (*list >= '0' && *list <= '9') {
		from = to = (unsigned)strtoul(list, &end, 10);
		if (*end == '-')
			to = (unsigned)strtoul(end + 1, &end, 10);
		for (unsigned c = from; c <= to && c / 4 < digits; c++)
			nibbles[c / 4] |= (unsigned char)(1u << c % 4);
		list = *end == ',' ? end + 1 : end;
	}
	for (unsigned i = digits; i-- > 0 && n + 2 < size;) {
		out[n++] = "0123456789abcdef"[nibbles[i]];
		if (i && i % 8 == 0)
			out[n++] = ',';
	}
	out[n] = 0;
}

void view_cpus_read(struct cpus *c)
{
	char possible[256], *last;

	read_line("/sys/devices/system/cpu/online", c->cpulist, sizeof(c->cpulist), "0");
	read_line("/sys/devices/system/cpu/possible", possible, sizeof(possible), c->cpulist);
	last = possible + strlen(possible);
	while (last > possible && last[-1] >= '0' && last[-1] <= '9')
		last--;
	list_to_mask(c->cpulist, (unsigned)strtoul(last, NULL, 10), c->cpumask, sizeof(c->cpumask));
}
