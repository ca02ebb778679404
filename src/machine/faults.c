/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/faults.c: faults of models (struct uvfio_fault): is there one that a user asks for? */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "base/util.h"
#include "fault/table.h"
#include "machine/internal.h"
#include "models/models.h"
#include "pci/function.h"

struct sentence {
	char *text;
	size_t size, len;
};

static void add(struct sentence *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct sentence *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->text + s->len, s->size - s->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		s->len = s->len + (size_t)n < s->size ? s->len + (size_t)n : s->size - 1;
}

static bool has_key(const struct uvfio_fault *f, const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(f->keys) && f->keys[i]; i++)
		if (!strcmp(f->keys[i], name))
			return true;
	return false;
}

static int check_fault(const struct uvfio_fault *f, const struct fault_spec *spec,
		       struct sentence *s)
{
	if (spec->has_value && !f->value) {
		add(s, "%s.%s takes no value", spec->model, spec->name);
		return -EINVAL;
	}
	if (spec->has_value && spec->param > f->max) {
		add(s, "%s.%s: %s is at most 0x%" PRIx64, spec->model, spec->name, f->value,
		    f->max);
		return -EINVAL;
	}
	for (unsigned i = 0; i < spec->num_keys && i < FAULT_KEYS; i++) {
		if (has_key(f, spec->key[i].name))
			continue;
		add(s, "%s.%s: there is no '%s'; there are after, at, device, every, rate, times",
		    spec->model, spec->name, spec->key[i].name);
		for (unsigned k = 0; k < ARRAY_SIZE(f->keys) && f->keys[k]; k++)
			add(s, ", %s", f->keys[k]);
		return -EINVAL;
	}
	return 0;
}

static int check(const struct uvfio_model *m, const struct fault_spec *spec, struct sentence *s)
{
	const char *near = NULL;

	for (const struct uvfio_fault *f = m->faults; f && f->name; f++) {
		if (!strcmp(f->name, spec->name))
			return check_fault(f, spec, s);
		near = nearest_word(spec->name, near, f->name);
	}
	add(s, "the model %s has no fault '%s'", m->name, spec->name);
	if (near) {
		add(s, ": did you mean '%s.%s'?", m->name, near);
		return -EINVAL;
	}
	for (const struct uvfio_fault *f = m->faults; f && f->name; f++)
		add(s, "%s %s", f == m->faults ? "; it has" : ",", f->name);
	return -EINVAL;
}

int machine_check_fault(const char *const *devices, unsigned n, const struct fault_spec *spec,
			char *why, size_t size)
{
	struct sentence s = { why, size, 0 };
	const struct uvfio_model *m = NULL;
	struct machine_plugin *plugin;
	char name[4096];
	int rc = -ENOENT;

	if (!spec->model[0])
		return 0;
	for (unsigned i = 0; i < n && rc == -ENOENT; i++) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(devices[i], ","), devices[i]);
		if (machine_model(name, &m, &plugin, NULL))
			continue;
		if (!strcmp(m->name, spec->model))
			rc = check(m, spec, &s);
		machine_plugin_free(plugin);
	}
	/* of a device that comes later */
	m = rc == -ENOENT ? models_find(spec->model) : NULL;
	if (m)
		return check(m, spec, &s);
	if (rc == -ENOENT)
		add(&s, "there is no model '%s', and no device is one", spec->model);
	return rc == -ENOENT ? -EINVAL : rc;
}

/* Write how the fault @f of @m is asked for, and what it does. */
static void print_fault(FILE *f, const struct uvfio_model *m, const struct uvfio_fault *fault,
			unsigned in)
{
	int n = fprintf(f, "%*s%s.%s", (int)in, "", m->name, fault->name);

	if (fault->value)
		n += fprintf(f, "=%s", fault->value);
	fprintf(f, "%*s%s", n < 31 ? 32 - n : 1, "", fault->line);
	for (unsigned i = 0; i < ARRAY_SIZE(fault->keys) && fault->keys[i]; i++)
		fprintf(f, "%s%s=", i ? ", " : "; ", fault->keys[i]);
	if (fault->value)
		fprintf(f, " (default 0x%" PRIx64 ")", fault->def);
	putc('\n', f);
}

void machine_print_faults(FILE *f, const struct uvfio_model *m, unsigned in)
{
	for (const struct uvfio_fault *fault = m->faults; fault && fault->name; fault++)
		print_fault(f, m, fault, in);
}

void machine_list_faults(FILE *f)
{
	for (const struct uvfio_model *const *m = models_builtin; *m; m++)
		machine_print_faults(f, *m, 2);
}
