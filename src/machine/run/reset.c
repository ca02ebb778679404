/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/reset.c: the attributes reset and reset_method, as drivers/pci/pci-sysfs.c and
 * pci_reset_function() of Linux 7.3 have them. A device that no process has is as after a reset;
 * one that a process has is reset there, which whoever writes asks for (struct run_wait).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"
#include "machine/run/internal.h"

static const char *const names[] = {
	[RUN_RESET_FLR] = "flr",
	[RUN_RESET_AF_FLR] = "af_flr",
	[RUN_RESET_PM] = "pm",
	[RUN_RESET_BUS] = "bus",
};

/* Cut the next word off the words at *@text; NULL: there is none. A line break ends them all. */
static const char *next_word(char **text)
{
	char *word;

	do
		word = strsep(text, " ");
	while (word && !*word);
	return word;
}

/* Read words as methods: how many; -EINVAL: one is none. */
static int parse(char *text, enum run_reset_method out[RUN_RESET_METHODS])
{
	const char *word;
	unsigned n = 0;

	text[strcspn(text, "\n")] = '\0';
	while ((word = next_word(&text))) {
		size_t m = 0;

		while (m < ARRAY_SIZE(names) && strcmp(names[m], word))
			m++;
		if (m == ARRAY_SIZE(names) || n == RUN_RESET_METHODS)
			return -EINVAL;
		out[n++] = (enum run_reset_method)m;
	}
	return (int)n;
}

int run_reset_methods(const char *run_dir, const char *addr,
		      enum run_reset_method out[RUN_RESET_METHODS])
{
	struct run_shown d = { .run_dir = run_dir };
	char text[RUN_PAGE_MAX];
	long n;

	snprintf(d.dir, sizeof(d.dir), "sys/bus/pci/devices/%s", addr);
	n = run_read(&d, "reset_method", text);
	return n < 0 ? (int)n : parse(text, out);
}

static int is_other(const char *name, void *arg)
{
	const struct run_shown *d = arg;
	struct pci_address a;

	return strcmp(name, d->addr) && !pci_address_parse(name, &a);
}

/* True if something else is on the bus of @d, also VFs. */
static bool has_neighbours(const struct run_shown *d)
{
	char bus[RUN_DIR];

	snprintf(bus, sizeof(bus), "%.*s", (int)(strrchr(d->dir, '/') - d->dir), d->dir);
	return run_each_name(d->run_dir, bus, is_other, (void *)d) != 0;
}

/* Read the words of the methods that @d can be reset by now, as Linux probes them. 0 or -errno. */
static int read_all(const struct run_shown *d, char text[RUN_PAGE_MAX])
{
	static const char bus[] = "bus";
	struct run_shown at = { .run_dir = d->run_dir, .dir = VIEW_RESETS };
	long n = run_read(&at, d->addr, text);
	char *last;

	if (n < 0)
		return (int)n;
	last = n >= (long)sizeof(bus) - 1 ? text + n - (sizeof(bus) - 1) : text;
	if (!strcmp(last, bus) && has_neighbours(d))
		last[last > text ? -1 : 0] = '\0';
	return 0;
}

int run_reset_default(const struct run_shown *d)
{
	char text[RUN_PAGE_MAX];
	int rc;

	if (!run_has(d, "reset_method"))
		return 0;
	rc = read_all(d, text);
	if (!rc && *text)
		strcat(text, "\n");
	return rc ? rc : run_write(d, "reset_method", text, strlen(text));
}

/* sysfs_streq(@text, @word): a line break at the end of @text does not count. */
static bool is_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(text, word, n) && (!text[n] || (text[n] == '\n' && !text[n + 1]));
}

/* Return @word without white space around it, as strim(). */
static char *trim(char *word)
{
	size_t n;

	word += strspn(word, " \t\n\v\f\r");
	n = strlen(word);
	while (n && strchr(" \t\n\v\f\r", word[n - 1]))
		word[--n] = '\0';
	return word;
}

static bool has_word(const char *line, const char *word)
{
	char copy[RUN_PAGE_MAX], *rest = copy;
	const char *w;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((w = next_word(&rest)))
		if (!strcmp(w, word))
			return true;
	return false;
}

/*
 * Put the methods that @text names together in @out, a line, or nothing for none. Its length, or
 * -EINVAL: a word is no method of the device, whose are in @all, or there are too many.
 */
static int choose(const struct run_shown *d, char *text, const char *all, char out[128])
{
	unsigned n = 0;
	size_t len = 0;
	char *word;

	while ((word = strsep(&text, " "))) {
		if (is_word(word, ""))
			continue;
		word = trim(word);
		if (!*word || !has_word(all, word))
			return report_info("reset-method", d->addr, -EINVAL,
					   "reset_method: '%.32s' is none of the device's", word);
		if (n++ == RUN_RESET_METHODS)
			return report_info("reset-method", d->addr, -EINVAL,
					   "reset_method: more than %u", RUN_RESET_METHODS);
		len += (size_t)snprintf(out + len, 128 - len, "%s%s", len ? " " : "", word);
	}
	if (len)
		out[len++] = '\n';
	return (int)len;
}

/* Answer as reset_method_store(). */
int run_reset_method_store(const char *run_dir, const char *addr, const struct run_text *t)
{
	char text[RUN_PAGE_MAX + 1], all[RUN_PAGE_MAX], out[128];
	struct run_shown d;
	int rc = run_find(run_dir, addr, strlen(addr), &d);

	if (rc)
		return rc;
	memcpy(text, t->text, t->len);
	text[t->len] = '\0';
	if (is_word(text, "")) {
		report_warn("reset-method", d.addr, 0, "All device reset methods disabled by user");
		return run_write(&d, "reset_method", "", 0);
	}
	if (is_word(text, "default"))
		return run_reset_default(&d);
	rc = read_all(&d, all);
	if (rc)
		return rc;
	rc = choose(&d, text, all, out);
	return rc < 0 ? rc : run_write(&d, "reset_method", out, (size_t)rc);
}

/* Answer as reset_store() and pci_reset_function(). */
int run_reset_store(const char *run_dir, const char *addr, const struct run_text *t)
{
	enum run_reset_method methods[RUN_RESET_METHODS];
	struct tree tree = { .root = run_dir };
	char kept[64];
	struct run_shown d;
	unsigned long v;
	int rc = run_number(t->text, t->len, &v);

	if (rc || v != 1)
		return -EINVAL;
	rc = run_find(run_dir, addr, strlen(addr), &d);
	if (rc)
		return rc;
	rc = run_reset_methods(run_dir, addr, methods);
	if (rc <= 0)
		return rc ? rc
			  : report_info("reset-none", d.addr, -ENOTTY,
					"reset: its reset_method is empty");
	/* whoever takes its driver away has its lock in the kernel */
	rc = d.leaving ? run_release_driver(&d, t->wait) : 0;
	if (rc)
		return rc;
	/* what a device of 2010's interface holds that no process has open */
	snprintf(kept, sizeof(kept), RUN_KEPT "/%s", d.addr);
	tree_remove(&tree, kept);
	return tree.err ? tree.err : run_wait_for(t->wait, RUN_WAIT_RESET, &d);
}
