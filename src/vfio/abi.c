/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/abi.c: the choice of an interface, and its options.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "vfio/abi.h"

const char *const vfio_abi_names[] = { "vfio", "v3", NULL };

static struct vfio_abi chosen = { .intr_remap = true, .mmu_notifier = true };

/* An option of V3: a word for off and one for on. */
static const struct {
	const char *name, *off, *on;
	size_t member;
} options[] = {
	{ "allow_unsafe_intrs", "0", "1", offsetof(struct vfio_abi, allow_unsafe_intrs) },
	{ "intr_remap", "off", "on", offsetof(struct vfio_abi, intr_remap) },
	{ "mmu_notifier", "off", "on", offsetof(struct vfio_abi, mmu_notifier) },
};

/* True if the @n bytes at @text are @word. */
static bool is(const char *text, size_t n, const char *word)
{
	return strlen(word) == n && !strncmp(text, word, n);
}

static int option(struct vfio_abi *a, const char *text, size_t n, char *why, size_t size)
{
	const char *eq = memchr(text, '=', n);
	size_t len = eq ? (size_t)(eq - text) : n, left = eq ? n - len - 1 : 0;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (!is(text, len, options[i].name))
			continue;
		if (!eq || !(is(eq + 1, left, options[i].off) || is(eq + 1, left, options[i].on))) {
			snprintf(why, size, "%s is %s or %s", options[i].name, options[i].off,
				 options[i].on);
			return -EINVAL;
		}
		*(bool *)((char *)a + options[i].member) = is(eq + 1, left, options[i].on);
		return 0;
	}
	snprintf(why, size,
		 "v3 has no option %.*s: there are allow_unsafe_intrs=, intr_remap= and "
		 "mmu_notifier=",
		 (int)len, text);
	return -EINVAL;
}

int vfio_abi_choose(const char *text, char *why, size_t size)
{
	struct vfio_abi a = { .intr_remap = true, .mmu_notifier = true };
	size_t n = strcspn(text, ",");
	int ret;

	if (is(text, n, "v3")) {
		a.v3 = true;
	} else if (!is(text, n, "vfio")) {
		snprintf(why, size, "there is no interface %.*s: there are vfio and v3", (int)n,
			 text);
		return -EINVAL;
	} else if (text[n]) {
		snprintf(why, size, "vfio has no options");
		return -EINVAL;
	}
	for (text += n; *text; text += n) {
		n = strcspn(++text, ",");
		ret = option(&a, text, n, why, size);
		if (ret)
			return ret;
	}
	chosen = a;
	return 0;
}

const char *vfio_abi_driver(void)
{
	return chosen.v3 ? "vfio" : "vfio-pci";
}

const struct vfio_abi *vfio_abi(void)
{
	return &chosen;
}
