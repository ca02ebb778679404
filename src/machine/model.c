/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/model.c: from the name in a spec to a model: one that comes with uvfio, or the symbol
 * uvfio_model of a shared object.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "machine/internal.h"
#include "models/models.h"
#include "pci/function.h"

bool machine_model_is_path(const char *name)
{
	size_t len = strlen(name);

	return strchr(name, '/') || (len > 3 && !strcmp(name + len - 3, ".so"));
}

struct machine_plugin {
	void *dl;
	struct uvfio_model model; /* as ours, whatever it was compiled with */
};

void machine_plugin_free(struct machine_plugin *p)
{
	if (!p)
		return;
	dlclose(p->dl);
	free(p);
}

static int load(const char *path, const struct uvfio_model **model, struct machine_plugin **plugin,
		char **err)
{
	const struct uvfio_model *m;
	struct machine_plugin *p;
	char why[256] = "";
	char *here = NULL;
	void *h;
	int rc;

	/* without a slash dlopen() would search the library path, and not look here */
	if (!strchr(path, '/') && asprintf(&here, "./%s", path) < 0)
		return machine_fail(err, -ENOMEM, "out of memory");
	h = dlopen(here ? here : path, RTLD_NOW | RTLD_LOCAL);
	free(here);
	if (!h)
		/* dlerror() starts with the path */
		return machine_fail(err, -ENOENT, "cannot load this model: %s", dlerror());
	m = dlsym(h, "uvfio_model");
	if (!m) {
		rc = machine_fail(err, -EINVAL,
				  "%s: not a model of uvfio: it has no symbol uvfio_model (a model "
				  "defines `const struct uvfio_model uvfio_model`; a library built "
				  "with -fvisibility=hidden must export it)",
				  path);
		goto close;
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		rc = machine_fail(err, -ENOMEM, "out of memory");
		goto close;
	}
	rc = pci_model_take(m, &p->model, why, sizeof(why));
	if (rc) {
		rc = machine_fail(err, rc, "%s: %s", path, why);
		free(p);
		goto close;
	}
	p->dl = h;
	*model = &p->model;
	*plugin = p;
	return 0;
close:
	dlclose(h);
	return rc;
}

int machine_model(const char *name, const struct uvfio_model **model,
		  struct machine_plugin **plugin, char **err)
{
	const char *near = NULL;

	*plugin = NULL;
	if (machine_model_is_path(name))
		return load(name, model, plugin, err);
	*model = models_find(name);
	if (*model)
		return 0;
	for (const struct uvfio_model *const *m = models_builtin; *m; m++)
		near = nearest_word(name, near, (*m)->name);
	for (const struct machine_provider *const *p = machine_providers; (*p)->prefix; p++)
		near = nearest_word(name, near, (*p)->prefix);
	if (near)
		return machine_fail(err, -ENOENT,
				    "there is no model '%s': did you mean '%s'? "
				    "`uvfio models` lists them",
				    name, near);
	return machine_fail(
		err, -ENOENT,
		"there is no model '%s': `uvfio models` lists them; a model of your own "
		"is given as a path, ./%s.so",
		name, name);
}
