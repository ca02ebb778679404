/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/spec.c: the text of --device in pieces. A spec is split once, in place; what the model's
 * own options mean is checked by pci/ against the model's table.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine/internal.h"

int machine_fail(char **err, int rc, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return rc;
	va_start(ap, fmt);
	if (vasprintf(err, fmt, ap) < 0)
		*err = NULL;
	va_end(ap);
	return rc;
}

const struct machine_provider *const machine_providers[] = { &machine_host, &machine_remote,
							     &machine_software };

const struct machine_provider *machine_provider_of(const char *model)
{
	const struct machine_provider *const *p = machine_providers;

	while ((*p)->prefix && strncmp(model, (*p)->prefix, strlen((*p)->prefix)))
		p++;
	return *p;
}

bool machine_spec_is_real(const char *spec)
{
	return machine_provider_of(spec)->is_real;
}

/*
 * Cut the piece that starts at *@p off at the next single comma, "double comma" becomes one. *@p:
 * the next piece, or NULL.
 */
static char *next_piece(char **p)
{
	char *start = *p, *from = start, *to = start;

	for (;; from++) {
		if (*from == ',') {
			if (from[1] != ',')
				break;
			from++;
		} else if (!*from) {
			break;
		}
		*to++ = *from;
	}
	*p = *from ? from + 1 : NULL;
	*to = 0;
	return start;
}

int machine_spec_parse(const char *text, struct machine_spec *s, char **err)
{
	unsigned commas = 0;
	char *p, *piece, *eq;
	int rc;

	memset(s, 0, sizeof(*s));
	for (const char *q = text; *q; q++) {
		commas += *q == ',';
		/* the specs travel to the program as lines */
		if (*q == '\n')
			return machine_fail(err, -EINVAL,
					    "a device cannot have a line break in "
					    "its options");
	}
	s->text = strdup(text);
	s->opts = calloc(commas + 1, sizeof(*s->opts));
	if (!s->text || !s->opts) {
		rc = machine_fail(err, -ENOMEM, "out of memory");
		goto fail;
	}
	p = s->text;
	s->model = next_piece(&p);
	if (!*s->model) {
		rc = machine_fail(
			err, -EINVAL,
			"'%s' does not begin with a model: write MODEL[,option=value]...; "
			"`uvfio models` lists the models",
			text);
		goto fail;
	}
	while (p) {
		piece = next_piece(&p);
		eq = strchr(piece, '=');
		if (!*piece) {
			rc = machine_fail(err, -EINVAL,
					  "%s: an option is empty in '%s' (a comma in "
					  "a value is written ,,)",
					  s->model, text);
			goto fail;
		}
		if (!eq || eq == piece) {
			rc = machine_fail(err, -EINVAL,
					  "%s: '%s' is not option=value (a comma in a value is "
					  "written ,,)",
					  s->model, piece);
			goto fail;
		}
		*eq++ = 0;
		rc = machine_option_parse(s, piece, eq, err);
		if (rc < 0)
			goto fail;
		if (rc)
			continue;
		s->opts[s->num_opts].name = piece;
		s->opts[s->num_opts++].value = eq;
	}
	if (s->own_process && machine_provider_of(s->model)->prefix) {
		rc = machine_fail(err, -EINVAL,
				  "%s: process=own is for models: this device is in no program's "
				  "process as it is",
				  s->model);
		goto fail;
	}
	if (s->own_process && s->migration) {
		rc = machine_fail(
			err, -EINVAL,
			"%s: process=own: not with migration=on, whose streams are in the "
			"program's process",
			s->model);
		goto fail;
	}
	return 0;
fail:
	machine_spec_free(s);
	return rc;
}

void machine_spec_free(struct machine_spec *s)
{
	free(s->text);
	free(s->opts);
	memset(s, 0, sizeof(*s));
}

/* ---- absolute paths ---- */

/* Append @text to @f, with each comma written twice. */
static void put_escaped(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == ',')
			fputc(',', f);
		fputc(*text, f);
	}
}

static void put_path(FILE *f, const char *cwd, const char *path)
{
	if (*path != '/') {
		put_escaped(f, cwd);
		if (strcmp(cwd, "/"))
			fputc('/', f);
		while (!strncmp(path, "./", 2))
			path += 2;
	}
	put_escaped(f, path);
}

/* Write the first word of a spec: the name of a model, its file, or a provider's device. */
static void put_model(FILE *f, const char *cwd, const struct machine_spec *s,
		      const struct uvfio_model *model)
{
	const struct machine_provider *p = machine_provider_of(s->model);
	size_t len = p->prefix ? strlen(p->prefix) : 0;

	if (p->is_path && p->is_path(s->model + len)) {
		put_escaped(f, p->prefix);
		put_path(f, cwd, s->model + len);
	} else if (model && machine_model_is_path(s->model)) {
		put_path(f, cwd, s->model);
	} else {
		put_escaped(f, s->model);
	}
}

static bool is_path_option(const struct uvfio_model *model, const char *name)
{
	for (const struct uvfio_option *o = model ? model->options : NULL; o && o->name; o++)
		if (!strcmp(o->name, name))
			return o->type == UVFIO_OPT_PATH;
	return false;
}

int machine_spec_absolute(const char *spec, char **out, char **err)
{
	const struct uvfio_model *model = NULL;
	struct machine_spec s;
	struct machine_plugin *plugin = NULL;
	char *cwd = NULL, buf[MACHINE_OPTION_TEXT];
	const char *value;
	size_t len;
	bool bad;
	FILE *f;
	int rc;

	*out = NULL;
	rc = machine_spec_parse(spec, &s, err);
	if (rc)
		return rc;
	if (!machine_provider_of(s.model)->prefix)
		rc = machine_model(s.model, &model, &plugin, err);
	if (rc)
		goto out;
	cwd = getcwd(NULL, 0);
	if (!cwd) {
		rc = machine_fail(err, -errno, "cannot tell the current directory: %s",
				  strerror(errno));
		goto out;
	}
	f = open_memstream(out, &len);
	if (!f) {
		rc = machine_fail(err, -ENOMEM, "out of memory");
		goto out;
	}
	put_model(f, cwd, &s, model);
	for (unsigned i = 0; i < s.num_opts; i++) {
		fprintf(f, ",%s=", s.opts[i].name);
		if (is_path_option(model, s.opts[i].name))
			put_path(f, cwd, s.opts[i].value);
		else
			put_escaped(f, s.opts[i].value);
	}
	for (const struct machine_option *o = machine_options; o->is.name; o++) {
		value = o->value(&s, buf);
		if (!value)
			continue;
		fprintf(f, ",%s=", o->is.name);
		put_escaped(f, value);
	}
	bad = ferror(f); /* which fclose() does not report again */
	if (fclose(f) || bad || !*out) {
		free(*out);
		*out = NULL;
		rc = machine_fail(err, -ENOMEM, "out of memory");
	}
out:
	free(cwd);
	machine_plugin_free(plugin);
	machine_spec_free(&s);
	return rc;
}
