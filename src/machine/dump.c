/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/dump.c: what `uvfio dump`, `uvfio models` and `uvfio help` print of models. */
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

/* Print the mistakes of drivers that @m knows. @in: how far the lines are moved in. */
static void print_kinds(FILE *f, const struct uvfio_model *m, unsigned in)
{
	for (const struct uvfio_kind *k = m->kinds; k && k->name; k++) {
		int n = fprintf(f, "%*sproto-%s-%s", (int)in, "", m->name, k->name);

		fprintf(f, "%*s%s\n", n < 31 ? 32 - n : 1, "", k->line);
	}
}

/* @kinds: the mistakes of drivers that it knows, and its faults, too. */
static void print_model(FILE *f, const struct uvfio_model *m, bool kinds)
{
	fprintf(f, "%s\n    %s\n", m->name, m->summary ? m->summary : "");
	for (const struct uvfio_option *o = m->options; o && o->name; o++)
		print_option(f, o, NULL);
	if (kinds && m->kinds) {
		fputs("    mistakes of a driver that it knows:\n", f);
		print_kinds(f, m, 4);
	}
	if (kinds && m->faults) {
		fputs("    faults that a user can ask for (`uvfio run --fault`):\n", f);
		machine_print_faults(f, m, 4);
	}
	fputc('\n', f);
}

/* Things to list: a model, the device of a provider without models, or (both NULL) all. */
struct choice {
	const struct uvfio_model *model;
	const struct machine_provider *provider;
};

static bool is_all(const struct choice *c)
{
	return !c->model && !c->provider;
}

/* True if the chosen device has the option @o of every device. */
static bool has(const struct choice *c, const struct machine_option *o)
{
	return !c->provider || !c->provider->is_real || o->of_real;
}

static void print_provider(FILE *f, const struct machine_provider *p)
{
	const char *comma = "";

	fprintf(f, "%s%s\n    %s\n", p->prefix, p->argument, p->summary);
	for (const struct uvfio_option *o = p->options; o && o->name; o++)
		print_option(f, o, NULL);
	fputs("    of the options of every device: ", f);
	for (const struct machine_option *o = machine_options; o->is.name; o++) {
		if (!has(&(struct choice){ .provider = p }, o))
			continue;
		fprintf(f, "%s%s=", comma, o->is.name);
		comma = ", ";
	}
	fputs("\n\n", f);
}

static void print_models(FILE *f, const struct choice *c)
{
	if (c->model)
		print_model(f, c->model, true);
	for (const struct uvfio_model *const *m = models_builtin; is_all(c) && *m; m++)
		print_model(f, *m, false);
	for (const struct machine_provider *const *p = machine_providers; (*p)->prefix; p++)
		if (is_all(c) || *p == c->provider)
			print_provider(f, *p);
	fputs("options of every device\n", f);
	for (const struct machine_option *o = machine_options; o->is.name; o++)
		if (has(c, o))
			print_option(f, &o->is, o->values);
}

static void print_names(FILE *f, const struct choice *c)
{
	const struct uvfio_option *own = c->model      ? c->model->options
					 : c->provider ? c->provider->options
						       : NULL;

	for (const struct uvfio_model *const *m = models_builtin; is_all(c) && *m; m++)
		fprintf(f, "%s\n", (*m)->name);
	for (const struct machine_provider *const *p = machine_providers; is_all(c) && (*p)->prefix;
	     p++)
		fprintf(f, "%s\n", (*p)->prefix);
	for (const struct uvfio_option *o = own; o && o->name; o++)
		fprintf(f, "%s=\n", o->name);
	for (const struct machine_option *o = machine_options; !is_all(c) && o->is.name; o++)
		if (has(c, o))
			fprintf(f, "%s=\n", o->is.name);
}

/* Find the model @only, unless it is NULL, and let @print write to @fd. */
static int list(int fd, const char *only, void (*print)(FILE *f, const struct choice *c))
{
	struct choice choice = { 0 };
	struct machine_plugin *plugin = NULL;
	FILE *f;
	int rc;

	if (only) {
		choice.provider = machine_provider_of(only);
		if (!choice.provider->prefix) {
			choice.provider = NULL;
			rc = machine_model(only, &choice.model, &plugin, NULL);
			if (rc)
				return rc;
		}
	}
	f = stream(fd);
	rc = f ? 0 : -errno;
	if (f) {
		print(f, &choice);
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

/* ---- kinds of mistakes ---- */

/* True if @name is that of @k, or how it begins. */
static bool fits(const char *name, const struct uvfio_model *m, const struct uvfio_kind *k)
{
	char full[128];
	size_t len = strlen(name);

	snprintf(full, sizeof(full), "proto-%s-%s", m->name, k->name);
	return !strncmp(full, name, len) && (!full[len] || full[len] == '-');
}

bool machine_may_be_kind(const char *name)
{
	for (const struct uvfio_model *const *m = models_builtin; *m; m++) {
		size_t len = strlen((*m)->name);

		if (strncmp(name, "proto-", 6) || strncmp(name + 6, (*m)->name, len) ||
		    (name[6 + len] && name[6 + len] != '-'))
			continue;
		for (const struct uvfio_kind *k = (*m)->kinds; k && k->name; k++)
			if (fits(name, *m, k))
				return true;
		return false;
	}
	return true;
}

int machine_list_kinds(int fd, const char *only)
{
	FILE *f = stream(fd);
	bool found = false;
	int rc;

	if (!f)
		return -errno;
	for (const struct uvfio_model *const *m = models_builtin; *m; m++) {
		if (!only)
			print_kinds(f, *m, 2);
		for (const struct uvfio_kind *k = only ? (*m)->kinds : NULL; k && k->name; k++) {
			if (!fits(only, *m, k))
				continue;
			fprintf(f, "%sproto-%s-%s: %s%s%s%s.\n\nWhat to do: %s\n",
				found ? "\n" : "", (*m)->name, k->name, k->line,
				k->section ? " (" : "", k->section ? k->section : "",
				k->section ? ")" : "", k->fix);
			found = true;
		}
	}
	rc = finish(f);
	return rc || !only || found ? rc : -ENOENT;
}
