/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/ids.c: new_id and remove_id: IDs that a driver learns while it runs, as
 * drivers/pci/pci-driver.c has them. They are lines of ids/DRIVER in the run directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "base/sys.h"
#include "machine/run/internal.h"

#define ANY_ID	 0xffffffffu
#define FILE_MAX 65536u
#define FORMAT	 "%x %x %x %x %x %x"

struct dynamic {
	struct run_id id;
	unsigned class_mask;
	unsigned long data; /* the driver's own; only looked at */
};

static bool parse(const char *line, struct dynamic *d, int *fields)
{
	*d = (struct dynamic){ .id = { .subvendor = ANY_ID, .subdevice = ANY_ID } };
	*fields = sscanf(line, FORMAT " %lx", &d->id.vendor, &d->id.device, &d->id.subvendor,
			 &d->id.subdevice, &d->id.class, &d->class_mask, &d->data);
	return *fields >= 2;
}

static bool is_one(unsigned want, unsigned is)
{
	return want == ANY_ID || want == is;
}

/* pci_match_one_id() */
static bool matches(const struct dynamic *d, const struct run_id *id)
{
	return is_one(d->id.vendor, id->vendor) && is_one(d->id.device, id->device) &&
	       is_one(d->id.subvendor, id->subvendor) && is_one(d->id.subdevice, id->subdevice) &&
	       !((d->id.class ^ id->class) & d->class_mask);
}

/* Read the lines of @driver to be freed; none: "". */
static int read_ids(const char *run_dir, const char *driver, char **out)
{
	char name[RUN_DRIVER_NAME + 8], path[PATH_MAX];
	long n;
	int fd, rc;

	snprintf(name, sizeof(name), "ids/%s", driver);
	rc = run_path(run_dir, name, path);
	*out = rc ? NULL : calloc(1, FILE_MAX);
	if (!*out)
		return rc ? rc : -ENOMEM;
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd == -ENOENT)
		return 0;
	n = fd < 0 ? fd : sys_read(fd, *out, FILE_MAX - 1);
	if (fd >= 0)
		sys_close(fd);
	if (n >= 0)
		return 0;
	free(*out);
	*out = NULL;
	return (int)n;
}

static int write_ids(const char *run_dir, const char *driver, const char *text)
{
	struct tree t = { .root = run_dir };
	char name[RUN_DRIVER_NAME + 8];

	snprintf(name, sizeof(name), "ids/%s", driver);
	tree_replace(&t, 0644, name, text, strlen(text));
	return t.err;
}

/* Return the line of @ids that @fits, or NULL; *@next is behind it. */
static char *find(char *ids, bool (*fits)(const struct dynamic *d, const void *arg),
		  const void *arg, char **next)
{
	struct dynamic d;
	int fields;

	for (char *line = ids; *line; line = *next) {
		*next = strchrnul(line, '\n');
		*next += **next != '\0';
		if (parse(line, &d, &fields) && fits(&d, arg))
			return line;
	}
	return NULL;
}

static bool fits_id(const struct dynamic *d, const void *id)
{
	return matches(d, id);
}

bool run_has_dynamic_id(const char *run_dir, const char *driver, const struct run_id *id)
{
	char *ids, *next;
	bool has;

	if (read_ids(run_dir, driver, &ids))
		return false;
	has = find(ids, fits_id, id, &next) != NULL;
	free(ids);
	return has;
}

/* Make a text of what was written, which ends at a null byte. NULL: no memory. */
static char *text_of(const struct run_text *t)
{
	return strndup(t->text, t->len);
}

int run_new_id_store(const char *run_dir, const char *driver, const struct run_text *t)
{
	char *text = text_of(t), *ids = NULL, *next, *all = NULL;
	struct dynamic d;
	int fields, rc;

	rc = !text ? -ENOMEM : parse(text, &d, &fields) ? read_ids(run_dir, driver, &ids) : -EINVAL;
	if (rc)
		goto out;
	/* the data of an ID have to be those of one in the driver's table, if it has a table */
	if (d.data && strcmp(driver, RUN_PCI_STUB)) {
		rc = -EINVAL;
		goto out;
	}
	/* an ID with all seven fields may be there twice */
	if (fields != 7 && (run_driver_has_id(driver, &d.id) || find(ids, fits_id, &d.id, &next))) {
		rc = -EEXIST;
		goto out;
	}
	if (strlen(ids) + 80 > FILE_MAX ||
	    asprintf(&all, "%s" FORMAT "\n", ids, d.id.vendor, d.id.device, d.id.subvendor,
		     d.id.subdevice, d.id.class, d.class_mask) < 0) {
		all = NULL;
		rc = -ENOMEM;
		goto out;
	}
	rc = write_ids(run_dir, driver, all);
	if (!rc)
		rc = run_attach_driver(run_dir, driver);
out:
	free(all);
	free(ids);
	free(text);
	return rc;
}

static bool fits_removal(const struct dynamic *d, const void *arg)
{
	const struct dynamic *want = arg;

	return d->id.vendor == want->id.vendor && d->id.device == want->id.device &&
	       is_one(want->id.subvendor, d->id.subvendor) &&
	       is_one(want->id.subdevice, d->id.subdevice) &&
	       !((d->id.class ^ want->id.class) & want->class_mask);
}

int run_remove_id_store(const char *run_dir, const char *driver, const struct run_text *t)
{
	char *text = text_of(t), *ids = NULL, *next, *line;
	struct dynamic want;
	int fields, rc;

	rc = !text			   ? -ENOMEM
	     : parse(text, &want, &fields) ? read_ids(run_dir, driver, &ids)
					   : -EINVAL;
	line = rc ? NULL : find(ids, fits_removal, &want, &next);
	if (line) {
		memmove(line, next, strlen(next) + 1);
		rc = write_ids(run_dir, driver, ids);
	} else if (!rc) {
		rc = -ENODEV;
	}
	free(ids);
	free(text);
	return rc;
}
