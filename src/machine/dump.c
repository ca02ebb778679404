/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/dump.c: what `uvfio dump` and `uvfio models` print. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "machine/internal.h"
#include "models/models.h"

static const char *const type_names[] = {
	[UVFIO_OPT_STRING] = "TEXT", [UVFIO_OPT_SIZE] = "SIZE", [UVFIO_OPT_UINT] = "NUMBER",
	[UVFIO_OPT_BOOL] = "on|off", [UVFIO_OPT_PATH] = "FILE",
};

/*
 * All output goes through a stream of its own on a duplicate of @fd, so that a write error is seen.
 */
static FILE *stream(int fd)
{
	int copy = dup(fd);
	FILE *f;

	if (copy < 0)
		return NULL;
	f = fdopen(copy, "w");
	if (!f)
		close(copy);
	return f;
}

static int finish(FILE *f)
{
	bool bad = ferror(f);

	return fclose(f) || bad ? -EIO : 0;
}

int machine_dump(struct machine_device *d, int fd)
{
	uint8_t config[PCI_CFG_EXP_SIZE];
	unsigned size = pci_face_config(d->face, config);
	FILE *f = stream(fd);

	if (!f)
		return -errno;
	fprintf(f, "%s %s: %s\n", d->addr, d->face->model,
		d->face->summary ? d->face->summary : "");
	for (unsigned off = 0; off < size; off += 16) {
		fprintf(f, "%02x:", off);
		for (unsigned i = 0; i < 16; i++)
			fprintf(f, " %02x", config[off + i]);
		fputc('\n', f);
	}
	fputc('\n', f);
	return finish(f);
}

/* ---- models ---- */

/* Print an option; @values: what its value may be, or NULL: as its type says. */
static void print_option(FILE *f, const struct uvfio_option *o, const char *values)
{
	const char *type = (unsigned)o->type < ARRAY_SIZE(type_names) ? type_names[o->type] : "?";
	int n = fprintf(f, "    %s=%s", o->name, values ?: type);

	fprintf(f, "%s%*s%s", n < 28 ? "" : "\n", n < 28 ? 28 - n : 28, "", o->help ? o->help : "");
	if (o->required)
		fputs(" (required)", f);
	if (o->multiple)
		fputs(" (may be given several times)", f);
	if (o->def)
		fprintf(f, " (default %s)", o->def);
	if ((o->min || o->max) && (o->type == UVFIO_OPT_UINT || o->type == UVFIO_OPT_SIZE))
		fprintf(f, " (%llu to %llu)", (unsigned long long)o->min,
			(unsigned long long)o->max);
	fputc('\n', f);
}

static void print_model(FILE *f, const struct uvfio_model *m)
{
	fprintf(f, "%s\n    %s\n", m->name, m->summary ? m->summary : "");
	for (const struct uvfio_option *o = m->options; o && o->name; o++)
		print_option(f, o, NULL);
	fputc('\n', f);
}

static void print_models(FILE *f, const struct uvfio_model *only)
{
	if (only)
		print_model(f, only);
	for (const struct uvfio_model *const *m = models_builtin; !only && *m; m++)
		print_model(f, *m);
	fputs("options of every device\n", f);
	for (const struct machine_option *o = machine_options; o->is.name; o++)
		print_option(f, &o->is, o->values);
}

static void print_names(FILE *f, const struct uvfio_model *only)
{
	for (const struct uvfio_model *const *m = models_builtin; !only && *m; m++)
		fprintf(f, "%s\n", (*m)->name);
	for (const struct uvfio_option *o = only ? only->options : NULL; o && o->name; o++)
		fprintf(f, "%s=\n", o->name);
	for (const struct machine_option *o = machine_options; only && o->is.name; o++)
		fprintf(f, "%s=\n", o->is.name);
}

/* Find the model @only, unless it is NULL, and let @print write to @fd. */
static int list(int fd, const char *only, void (*print)(FILE *f, const struct uvfio_model *only))
{
	const struct uvfio_model *model = NULL;
	struct machine_plugin *plugin = NULL;
	FILE *f;
	int rc;

	if (only) {
		rc = machine_model(only, &model, &plugin, NULL);
		if (rc)
			return rc;
	}
	f = stream(fd);
	rc = f ? 0 : -errno;
	if (f) {
		print(f, model);
		rc = finish(f);
	}
	machine_plugin_free(plugin);
	return rc;
}

int machine_list_models(int fd, const char *only)
{
	return list(fd, only, print_models);
}

int machine_list_names(int fd, const char *only)
{
	return list(fd, only, print_names);
}
