/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/model.c: from the name in a spec to a model: one that comes with uvfio, one of the
 * program's own, or the symbol uvfio_model of a shared object.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
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

/* ---- models of the program's own ---- */

struct registered {
	struct uvfio_model model; /* as ours */
	struct registered *next;
};
/* Those that were registered, for as long as the process lives; and who registers one. */
static _Atomic(struct registered *) registered;
static pthread_mutex_t register_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct uvfio_model *find(const char *name)
{
	for (struct registered *r = atomic_load(&registered); r; r = r->next)
		if (!strcmp(r->model.name, name))
			return &r->model;
	return models_find(name);
}

int machine_register_model(const struct uvfio_model *model, char **err)
{
	struct registered *r = calloc(1, sizeof(*r));
	char why[256] = "";
	int rc;

	if (!r)
		return machine_fail(err, -ENOMEM, "out of memory");
	rc = pci_model_take(model, &r->model, why, sizeof(why));
	if (rc) {
		free(r);
		return machine_fail(err, rc, "%s", why);
	}
	if (!r->model.name || !*r->model.name || strpbrk(r->model.name, ",=") ||
	    machine_model_is_path(r->model.name)) {
		free(r);
		return machine_fail(err, -EINVAL,
				    "the model has no name that a spec can begin with");
	}
	pthread_mutex_lock(&register_lock);
	if (find(r->model.name)) {
		rc = machine_fail(err, -EEXIST, "there is a model '%s'", r->model.name);
		free(r);
	} else {
		r->next = atomic_load(&registered);
		atomic_store(&registered, r);
	}
	pthread_mutex_unlock(&register_lock);
	return rc;
}

int machine_model(const char *name, const struct uvfio_model **model,
		  struct machine_plugin **plugin, char **err)
{
	const char *near = NULL;

	*plugin = NULL;
	if (machine_model_is_path(name))
		return load(name, model, plugin, err);
	*model = find(name);
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
