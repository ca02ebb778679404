/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/options.c: a model's options: the user's text checked against the model's table before the
 * model sees any of it, so that a model reads values, never text, and every model complains about a
 * wrong option in the same words.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "base/sys.h"
#include "pci/internal.h"

/* The option that a device of any model has besides its own. */
static const struct uvfio_option id_option = { .name = "id", .type = UVFIO_OPT_STRING };

static const char *const type_text[] = {
	[UVFIO_OPT_STRING] = "a text",
	[UVFIO_OPT_SIZE] = "a size: a number of bytes, or one with K, M, G or T",
	[UVFIO_OPT_UINT] = "a number: decimal, or hexadecimal with 0x",
	[UVFIO_OPT_BOOL] = "a switch: on or off",
	[UVFIO_OPT_PATH] = "a file",
};

/* Return "options are: a, b, c", for the end of a message. */
static const char *list_options(const struct uvfio_model *model, char *buf, size_t size)
{
	const struct uvfio_option *o = model->options;
	size_t n;

	if (!o || !o->name)
		return "it has no options of its own; `uvfio models` has those of every device";
	n = (size_t)snprintf(buf, size, "options are: ");
	for (; o->name && n < size; o++)
		n += (size_t)snprintf(buf + n, size - n, "%s%s", o->name,
				      o[1].name ? ", "
						: "; `uvfio models` has those of every device");
	return buf;
}

static int parse_bool(const char *s, uint64_t *out)
{
	static const char *const on[] = { "on", "true", "yes", "1" };
	static const char *const off[] = { "off", "false", "no", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(on); i++) {
		if (!strcmp(s, on[i]) || !strcmp(s, off[i])) {
			*out = !strcmp(s, on[i]);
			return 0;
		}
	}
	return -EINVAL;
}

/* Keep @text as a value of @opt. -EINVAL, -ENOENT with a message, -ENOMEM. */
static int add_value(pci_function *fn, const struct uvfio_option *opt, const char *text)
{
	struct option_value *v;
	char all[512];
	int fd, ret = 0;

	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->opt = opt;
	v->text = strdup(text);
	if (!v->text) {
		ret = -ENOMEM;
		goto fail;
	}
	switch (opt->type) {
	case UVFIO_OPT_STRING:
		break;
	case UVFIO_OPT_SIZE:
	case UVFIO_OPT_UINT:
		ret = opt->type == UVFIO_OPT_SIZE ? size_parse(text, &v->number)
						  : number_parse(text, &v->number);
		if (ret == -ERANGE) {
			uvfio_error(fn, "option '%s=%s': does not fit in 64 bits", opt->name, text);
			ret = -EINVAL;
			goto fail;
		}
		if (!ret && (opt->min || opt->max) &&
		    (v->number < opt->min || v->number > opt->max)) {
			ret = uvfio_error(fn, "option '%s=%s': must be from %llu to %llu",
					  opt->name, text, (unsigned long long)opt->min,
					  (unsigned long long)opt->max);
			goto fail;
		}
		break;
	case UVFIO_OPT_BOOL:
		ret = parse_bool(text, &v->number);
		break;
	case UVFIO_OPT_PATH:
		fd = sys_open(text, O_PATH | O_CLOEXEC, 0);
		if (fd < 0) {
			ret = fd;
			if (fd == -ENOENT)
				uvfio_error(
					fn,
					"option '%s=%s': no such file; check the path, or make "
					"it first (an empty image of 1 GiB: `truncate -s 1G %s`)",
					opt->name, text, text);
			else
				uvfio_error(fn, "option '%s=%s': %s", opt->name, text,
					    strerror(-fd));
			goto fail;
		}
		sys_close(fd);
		break;
	default:
		ret = -EINVAL;
		break;
	}
	if (ret) {
		uvfio_error(fn, "option '%s=%s': must be %s; %s", opt->name, text,
			    (unsigned)opt->type < ARRAY_SIZE(type_text) ? type_text[opt->type]
									: "of a known type",
			    list_options(fn->model, all, sizeof(all)));
		goto fail;
	}
	cds_list_add_tail(&v->node, &fn->options);
	return 0;
fail:
	free(v->text);
	free(v);
	return ret;
}

static struct option_value *nth_value(const pci_function *fn, const char *name, unsigned i)
{
	struct option_value *v;

	cds_list_for_each_entry(v, &fn->options, node) {
		if (!strcmp(v->opt->name, name) && i-- == 0)
			return v;
	}
	return NULL;
}

int pci_options_parse(pci_function *fn, const struct pci_option *opts, unsigned n)
{
	const struct uvfio_option *o;
	char all[512];
	int ret;

	for (unsigned i = 0; i < n; i++) {
		for (o = fn->model->options; o && o->name && strcmp(o->name, opts[i].name); o++)
			;
		if ((!o || !o->name) && !strcmp(opts[i].name, id_option.name))
			o = &id_option;
		if (!o || !o->name)
			return uvfio_error(fn, "there is no option '%s'; %s", opts[i].name,
					   list_options(fn->model, all, sizeof(all)));
		if (!opts[i].value)
			return uvfio_error(fn, "option '%s' needs a value: %s=%s", o->name, o->name,
					   type_text[o->type]);
		if (!o->multiple && nth_value(fn, o->name, 0))
			return uvfio_error(fn, "option '%s' is given twice", o->name);
		ret = add_value(fn, o, opts[i].value);
		if (ret)
			return ret;
	}
	for (o = fn->model->options; o && o->name; o++) {
		if (nth_value(fn, o->name, 0))
			continue;
		if (o->required)
			return uvfio_error(fn, "option '%s' is missing: %s=%s%s%s", o->name,
					   o->name, type_text[o->type], o->help ? ", " : "",
					   o->help ? o->help : "");
		if (o->def) {
			ret = add_value(fn, o, o->def);
			if (ret)
				return ret;
		}
	}
	return 0;
}

void pci_options_free(pci_function *fn)
{
	struct option_value *v, *next;

	cds_list_for_each_entry_safe(v, next, &fn->options, node) {
		cds_list_del(&v->node);
		free(v->text);
		free(v);
	}
}

/*
 * A value that the model asks for; asking for what its own table lacks is a mistake in the model
 * that must be seen.
 */
static struct option_value *value_of(const pci_function *fn, const char *name, unsigned i)
{
	const struct uvfio_option *o;

	for (o = fn->model->options; o && o->name; o++) {
		if (!strcmp(o->name, name))
			return nth_value(fn, name, i);
	}
	report_err("model-option", fn->name, 0,
		   "model %s asks for its option '%s', which its table does not have",
		   fn->model->name, name);
	return NULL;
}

const char *uvfio_dev_id(const struct uvfio_dev *dev)
{
	struct option_value *v = nth_value(dev, id_option.name, 0);

	return v && v->opt == &id_option ? v->text : NULL;
}

const char *uvfio_opt_string(const struct uvfio_dev *dev, const char *name, unsigned i)
{
	struct option_value *v = value_of(dev, name, i);

	return v ? v->text : NULL;
}

uint64_t uvfio_opt_uint(const struct uvfio_dev *dev, const char *name, unsigned i)
{
	struct option_value *v = value_of(dev, name, i);

	return v ? v->number : 0;
}

bool uvfio_opt_bool(const struct uvfio_dev *dev, const char *name, unsigned i)
{
	struct option_value *v = value_of(dev, name, i);

	return v && v->number;
}

unsigned uvfio_opt_count(const struct uvfio_dev *dev, const char *name)
{
	struct option_value *v;
	unsigned n = 0;

	cds_list_for_each_entry(v, &dev->options, node)
		n += !strcmp(v->opt->name, name);
	return n;
}
