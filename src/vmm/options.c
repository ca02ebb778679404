/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/options.c: the options of uvfio_vm_assign(): a table of words and how each is read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/uuid.h"
#include "vmm/internal.h"

#define DEFAULT_INTX_TIMEOUT 1100u /* ms: a ping each second keeps the timer from running out */

/* Read all of @text as a number up to @max. */
static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 0);
	return !errno && !*end && *out <= max;
}

static bool parse_switch(const char *text, bool *out)
{
	*out = !strcmp(text, "on");
	return *out || !strcmp(text, "off");
}

static int read_rom(struct vm_options *o, const char *value)
{
	o->rom_asked = true;
	/* the last one counts */
	free(o->rom_file);
	o->rom_file = NULL;
	if (parse_switch(value, &o->rom))
		return 0;
	if (!*value)
		return -EINVAL;
	o->rom_file = strdup(value);
	o->rom = true;
	return o->rom_file ? 0 : -ENOMEM;
}
static int read_mmap(struct vm_options *o, const char *value)
{
	return parse_switch(value, &o->mmap) ? 0 : -EINVAL;
}
static int read_pba(struct vm_options *o, const char *value)
{
	return parse_switch(value, &o->pba_trapped) ? 0 : -EINVAL;
}
static int read_io(struct vm_options *o, const char *value)
{
	return parse_switch(value, &o->io) ? 0 : -EINVAL;
}
static int read_multifunction(struct vm_options *o, const char *value)
{
	return parse_switch(value, &o->multifunction) ? 0 : -EINVAL;
}

/* "-2-4" */
static int read_bars(struct vm_options *o, const char *value)
{
	if (!*value)
		return -EINVAL;
	while (*value) {
		if (value[0] != '-' || value[1] < '0' || value[1] > '5')
			return -EINVAL;
		o->trapped_bars |= 1u << (value[1] - '0');
		value += 2;
	}
	return 0;
}

static int read_timeout(struct vm_options *o, const char *value)
{
	uint64_t n;

	if (!parse_number(value, 3600000, &n))
		return -EINVAL;
	o->intx_timeout = (unsigned)n;
	return 0;
}

static int read_msix(struct vm_options *o, const char *value)
{
	o->msix_bar = VM_MSIX_KEEP;
	if (!strcmp(value, "keep"))
		return 0;
	if (strncmp(value, "bar", 3) || value[3] < '0' || value[3] > '5' || value[4])
		return -EINVAL;
	o->msix_bar = (uint32_t)(value[3] - '0');
	return 0;
}

static int read_bus(struct vm_options *o, const char *value)
{
	static const char *const names[] = { [VM_BUS_PORT] = "port",
					     [VM_BUS_ROOT] = "root",
					     [VM_BUS_PCI] = "pci",
					     [VM_BUS_CONVENTIONAL] = "conventional" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(value, names[i])) {
			o->bus = (enum vm_bus)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_id(const char *value, uint32_t max, uint32_t *out)
{
	uint64_t n;

	if (!parse_number(value, max, &n))
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}
/* a vendor of 0xffff is no device at all */
static int read_vendor(struct vm_options *o, const char *value)
{
	return read_id(value, 0xfffe, &o->vendor);
}
static int read_device(struct vm_options *o, const char *value)
{
	return read_id(value, 0xffff, &o->device);
}
static int read_subvendor(struct vm_options *o, const char *value)
{
	return read_id(value, 0xffff, &o->subvendor);
}
static int read_subdevice(struct vm_options *o, const char *value)
{
	return read_id(value, 0xffff, &o->subdevice);
}

/* "0x10+0xe" */
static int read_hide(struct vm_options *o, const char *value)
{
	while (true) {
		char text[8];
		size_t len = strcspn(value, "+");
		uint64_t n;

		if (len >= sizeof(text) || o->num_hide == VM_HIDDEN_CAPS)
			return -EINVAL;
		memcpy(text, value, len);
		text[len] = 0;
		if (!parse_number(text, 0xffff, &n))
			return -EINVAL;
		o->hide[o->num_hide++] = (uint16_t)n;
		if (!value[len])
			return 0;
		value += len + 1;
	}
}

static int read_iommu(struct vm_options *o, const char *value)
{
	o->iommu_vmm = !strcmp(value, "vmm");
	return o->iommu_vmm || !strcmp(value, "guest") ? 0 : -EINVAL;
}

static int read_token(struct vm_options *o, const char *value)
{
	o->has_token = strlen(value) == UUID_TEXT && uuid_parse(value, o->token);
	return o->has_token ? 0 : -EINVAL;
}

static const struct option {
	const char *name, *values;
	int (*read)(struct vm_options *o, const char *value);
} options[] = {
	{ "rom", "on, off or a file", read_rom },
	{ "mmap", "on or off", read_mmap },
	{ "bars", "-0 to -5, one after the other", read_bars },
	{ "pba", "on or off", read_pba },
	{ "intx_timeout", "milliseconds, up to 3600000", read_timeout },
	{ "io", "on or off", read_io },
	{ "msix", "keep, or bar0 to bar5", read_msix },
	{ "bus", "port, root, pci or conventional", read_bus },
	{ "vendor", "an id up to 0xfffe", read_vendor },
	{ "device", "an id up to 0xffff", read_device },
	{ "subvendor", "an id up to 0xffff", read_subvendor },
	{ "subdevice", "an id up to 0xffff", read_subdevice },
	{ "multifunction", "on or off", read_multifunction },
	{ "hide", "ids of extended capabilities with + between, up to 32", read_hide },
	{ "iommu", "guest or vmm", read_iommu },
	{ "vf_token", "a UUID", read_token },
};
#define NUM_OPTIONS (sizeof(options) / sizeof(options[0]))

/* Read one "name=value", which is cut in two. */
static int read_one(struct uvfio_vm *vm, struct vm_options *o, char *text)
{
	char *value = strchr(text, '=');
	const char *near = NULL;
	int rc;

	if (value)
		*value++ = 0;
	for (size_t i = 0; i < NUM_OPTIONS; i++) {
		if (strcmp(options[i].name, text))
			continue;
		rc = value ? options[i].read(o, value) : -EINVAL;
		if (rc == -ENOMEM)
			return vm_fail(vm, rc, "out of memory");
		if (rc)
			return vm_fail(vm, rc, "%s=%s: it takes %s", text, value ? value : "",
				       options[i].values);
		return 0;
	}
	for (size_t i = 0; i < NUM_OPTIONS; i++)
		near = nearest_word(text, near, options[i].name);
	return vm_fail(vm, -EINVAL, "there is no option %s%s%s%s", text,
		       near ? ": did you mean " : "", near ? near : "", near ? "=?" : "");
}

int vm_options_parse(struct uvfio_vm *vm, const char *text, struct vm_options *o)
{
	char *copy, *next, *word;
	int rc = 0;

	*o = (struct vm_options){
		.rom = true,
		.mmap = true,
		.pba_trapped = true,
		.io = true,
		.intx_timeout = DEFAULT_INTX_TIMEOUT,
		.msix_bar = VM_MSIX_KEEP,
		.vendor = VM_ID_KEEP,
		.device = VM_ID_KEEP,
		.subvendor = VM_ID_KEEP,
		.subdevice = VM_ID_KEEP,
	};
	if (!text || !*text)
		return 0;
	next = copy = strdup(text);
	if (!copy)
		return vm_fail(vm, -ENOMEM, "out of memory");
	while (!rc && (word = strsep(&next, ",")))
		rc = read_one(vm, o, word);
	free(copy);
	if (rc)
		vm_options_fini(o);
	return rc;
}

void vm_options_fini(struct vm_options *o)
{
	free(o->rom_file);
	o->rom_file = NULL;
}
