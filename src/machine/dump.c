/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/dump.c: what `uvfio dump` and `uvfio models` print. */
#include <dlfcn.h>
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

static const struct uvfio_option common_options[] = {
	{ .name = "addr",
	  .type = UVFIO_OPT_STRING,
	  .help = "PCI address, [DOMAIN:]BUS:DEVICE.FUNCTION; default: 01:00.0, 02:00.0, ..." },
	{ .name = "group", .type = UVFIO_OPT_UINT, .help = "IOMMU group; default: 1, 2, ..." },
	{ .name = "driver",
	  .type = UVFIO_OPT_STRING,
	  .help = "vfio-pci, or the driver of a host that the model can stand for (igb: nobody "
		  "opens the device, its "
		  "virtual functions need no token); default: vfio-pci" },
	{ .name = "sriov_numvfs",
	  .type = UVFIO_OPT_UINT,
	  .help = "virtual functions at the start; a program changes it by writing sriov_numvfs in "
		  "sysfs; default: 0" },
	{ .name = "mmap",
	  .type = UVFIO_OPT_STRING,
	  .help = "trap: BARs can be mapped, and every load and store is carried out by the "
		  "device; off: "
		  "pread and pwrite only; auto: off for a program that uses KVM, else trap "
		  "with polled doorbells; default: auto" },
	{ .name = "id", .type = UVFIO_OPT_STRING, .help = "a name for the device" },
	{ 0 },
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

static void print_option(FILE *f, const struct uvfio_option *o)
{
	const char *type = (unsigned)o->type < ARRAY_SIZE(type_names) ? type_names[o->type] : "?";
	int n = fprintf(f, "    %s=%s", o->name, type);

	fprintf(f, "%*s%s", n < 28 ? 28 - n : 1, "", o->help ? o->help : "");
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
		print_option(f, o);
	fputc('\n', f);
}

int machine_list_models(int fd, const char *only)
{
	const struct uvfio_model *model = NULL;
	void *handle = NULL;
	FILE *f;
	int rc;

	if (only) {
		rc = machine_model(only, &model, &handle, NULL);
		if (rc)
			return rc;
	}
	f = stream(fd);
	if (!f) {
		rc = -errno;
		goto out;
	}
	if (model)
		print_model(f, model);
	for (const struct uvfio_model *const *m = models_builtin; !model && *m; m++)
		print_model(f, *m);
	fputs("options of every device\n", f);
	for (const struct uvfio_option *o = common_options; o->name; o++)
		print_option(f, o);
	rc = finish(f);
out:
	if (handle)
		dlclose(handle);
	return rc;
}

int machine_list_names(int fd, const char *only)
{
	const struct uvfio_model *model = NULL;
	void *handle = NULL;
	FILE *f;
	int rc;

	if (only) {
		rc = machine_model(only, &model, &handle, NULL);
		if (rc)
			return rc;
	}
	f = stream(fd);
	if (!f) {
		rc = -errno;
		goto out;
	}
	for (const struct uvfio_model *const *m = models_builtin; !model && *m; m++)
		fprintf(f, "%s\n", (*m)->name);
	for (const struct uvfio_option *o = model ? model->options : NULL; o && o->name; o++)
		fprintf(f, "%s=\n", o->name);
	for (const struct uvfio_option *o = common_options; model && o->name; o++)
		fprintf(f, "%s=\n", o->name);
	rc = finish(f);
out:
	if (handle)
		dlclose(handle);
	return rc;
}
