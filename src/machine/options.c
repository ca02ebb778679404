/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/options.c: the options that every device has, whatever its model: one table, from which
 * they are read, written again, and explained.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/internal.h"

#define GROUP_MAX 65535u

/* ---- addr ---- */

static int parse_addr(struct machine_spec *s, const char *value, char **err)
{
	if (pci_address_parse(value, &s->addr))
		return machine_fail(err, -EINVAL,
				    "%s: addr=%s is not a PCI address: write "
				    "[DOMAIN:]BUS:DEVICE.FUNCTION, for example addr=01:00.0",
				    s->model, value);
	s->has_addr = true;
	return 0;
}

static const char *value_of_addr(const struct machine_spec *s, char buf[MACHINE_OPTION_TEXT])
{
	if (!s->has_addr)
		return NULL;
	pci_address_print(&s->addr, buf);
	return buf;
}

/* ---- group, sriov_numvfs ---- */

static int parse_number(const char *value, unsigned *out)
{
	unsigned long v;
	char *end;

	if (!isdigit((unsigned char)*value))
		return -EINVAL;
	errno = 0;
	v = strtoul(value, &end, 10);
	if (*end || errno || v > GROUP_MAX)
		return -EINVAL;
	*out = (unsigned)v;
	return 0;
}

static const char *number(unsigned v, char buf[MACHINE_OPTION_TEXT])
{
	snprintf(buf, MACHINE_OPTION_TEXT, "%u", v);
	return buf;
}

static int parse_group(struct machine_spec *s, const char *value, char **err)
{
	if (parse_number(value, &s->group))
		return machine_fail(err, -EINVAL,
				    "%s: group=%s is not the number of an IOMMU group: write a "
				    "decimal number from 0 to %u",
				    s->model, value, GROUP_MAX);
	s->has_group = true;
	return 0;
}

static const char *value_of_group(const struct machine_spec *s, char buf[MACHINE_OPTION_TEXT])
{
	return s->has_group ? number(s->group, buf) : NULL;
}

static int parse_numvfs(struct machine_spec *s, const char *value, char **err)
{
	if (parse_number(value, &s->numvfs))
		return machine_fail(err, -EINVAL,
				    "%s: sriov_numvfs=%s is not a number of virtual functions",
				    s->model, value);
	return 0;
}

static const char *value_of_numvfs(const struct machine_spec *s, char buf[MACHINE_OPTION_TEXT])
{
	return s->numvfs ? number(s->numvfs, buf) : NULL;
}

/* ---- driver, mmap, migration, id ---- */

static int parse_driver(struct machine_spec *s, const char *value, char **err)
{
	s->driver = strcmp(value, "vfio-pci") ? value : NULL;
	return 0;
}

static const char *value_of_driver(const struct machine_spec *s, char buf[MACHINE_OPTION_TEXT])
{
	return s->driver;
}

static const char *const mmap_words[] = {
	[MACHINE_MMAP_AUTO] = "auto",
	[MACHINE_MMAP_TRAP] = "trap",
	[MACHINE_MMAP_OFF] = "off",
	[MACHINE_MMAP_SHARED] = "shared",
};

static int parse_mmap(struct machine_spec *s, const char *value, char **err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(mmap_words); i++) {
		if (strcmp(value, mmap_words[i]))
			continue;
		s->mmap = i;
		return 0;
	}
	return machine_fail(err, -EINVAL, "%s: mmap=%s: write auto, trap, off or shared", s->model,
			    value);
}

static const char *value_of_mmap(const struct machine_spec *s, char buf[MACHINE_OPTION_TEXT])
{
	return s->mmap == MACHINE_MMAP_AUTO ? NULL : mmap_words[s->mmap];
}

static int parse_migration(struct machine_spec *s, const char *value, char **err)
{
	s->migration = !strcmp(value, "on");
	if (!s->migration && strcmp(value, "off"))
		return machine_fail(err, -EINVAL, "%s: migration=%s: write on or off", s->model,
				    value);
	return 0;
}

static const char *value_of_migration(const struct machine_spec *s, char buf[MACHINE_OPTION_TEXT])
{
	return s->migration ? "on" : NULL;
}

static int parse_id(struct machine_spec *s, const char *value, char **err)
{
	if (!*value)
		return machine_fail(err, -EINVAL, "%s: id= needs a name", s->model);
	s->id = value;
	return 0;
}

static const char *value_of_id(const struct machine_spec *s, char buf[MACHINE_OPTION_TEXT])
{
	return s->id;
}

/* ---- process ---- */

static int parse_process(struct machine_spec *s, const char *value, char **err)
{
	s->own_process = !strcmp(value, "own");
	if (!s->own_process && strcmp(value, "program"))
		return machine_fail(err, -EINVAL, "%s: process=%s: write own or program", s->model,
				    value);
	return 0;
}

static const char *value_of_process(const struct machine_spec *s, char buf[MACHINE_OPTION_TEXT])
{
	return s->own_process ? "own" : NULL;
}

/* ---- bus ---- */

static const char *value_of_bus(const struct machine_spec *s, char buf[MACHINE_OPTION_TEXT])
{
	return s->bus;
}

/* ---- the table ---- */

#define OPTION(option, type_, of, real, values_, help_)                                      \
	{                                                                                    \
		{ .name = option, .type = type_, .help = help_ }, values_, real, parse_##of, \
			value_of_##of                                                        \
	}
const struct machine_option machine_options[] = {
	OPTION("addr", UVFIO_OPT_STRING, addr, true, NULL,
	       "PCI address, [DOMAIN:]BUS:DEVICE.FUNCTION; default: 01:00.0, 02:00.0, ..., of a "
	       "real device its own"),
	{ { .name = "bus",
	    .type = UVFIO_OPT_STRING,
	    .help = "a bus that several devices share, by a name of yours: functions behind a root "
		    "port; pci:NAME: slots behind a bridge to PCI; switch:NAME: ports of a switch; "
		    "root: the root bus 0000:00. Default: a bus of its own" },
	  "NAME|pci:NAME|switch:NAME|root",
	  false,
	  machine_bus_parse,
	  value_of_bus },
	OPTION("group", UVFIO_OPT_UINT, group, true, NULL,
	       "IOMMU group; default: 1, 2, ..., with bus= as it would be on a host, and of a real "
	       "device its own"),
	OPTION("driver", UVFIO_OPT_STRING, driver, false, "vfio-pci|none|pci-stub|NAME",
	       "that it has at the start: vfio-pci, none, pci-stub, or Linux's driver of such a "
	       "device, which keeps it from its group's users (igb: its virtual functions are had "
	       "from it, and need no token); default: vfio-pci"),
	OPTION("sriov_numvfs", UVFIO_OPT_UINT, numvfs, false, NULL,
	       "virtual functions at the start; a program changes it by writing sriov_numvfs in "
	       "sysfs; default: 0"),
	OPTION("mmap", UVFIO_OPT_STRING, mmap, true, "auto|trap|off|shared",
	       "trap: BARs can be mapped, and every load and store is carried out by the device; "
	       "off: pread and pwrite only; auto: off for a program that uses KVM, else trap with "
	       "polled doorbells, and of a real device always its own memory; shared: as auto, and "
	       "who is served the device maps its memory and polled doorbells, for good; default: "
	       "auto"),
	OPTION("migration", UVFIO_OPT_BOOL, migration, false, NULL,
	       "on: the device's state can be saved and loaded (VFIO_DEVICE_FEATURE_MIGRATION), "
	       "and its DMA writes logged, as by a migration driver of the kernel for a chip of "
	       "its "
	       "own; the model has to be able to; default: off, as with the kernel's vfio-pci"),
	OPTION("process", UVFIO_OPT_STRING, process, false, "own|program",
	       "own: the devices of the run are in a process of their own, and all processes of "
	       "the "
	       "program can use them at once, as with the kernel; program: each is in the process "
	       "that opens it, which is faster; the same for all devices; default: program"),
	OPTION("id", UVFIO_OPT_STRING, id, true, NULL, "a name for the device"),
	{ { 0 }, NULL, false, NULL, NULL },
};

int machine_option_parse(struct machine_spec *s, const char *name, const char *value, char **err)
{
	int rc;

	for (const struct machine_option *o = machine_options; o->is.name; o++) {
		if (strcmp(name, o->is.name))
			continue;
		rc = o->parse(s, value, err);
		return rc ? rc : 1;
	}
	return 0;
}

/* Return what a user of a real device can do in place of an option, or what there is of it. */
static const char *of_real(const char *option)
{
	static const char *const all[][2] = {
		{ "bus", "it has a place; addr= is for another one" },
		{ "driver", "it has vfio-pci in the host, and here, too" },
		{ "sriov_numvfs", "virtual functions of the host are devices of their own, each "
				  "with a --device" },
		{ "migration", "its state stays in the chip" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!strcmp(all[i][0], option))
			return all[i][1];
	return "it is no model";
}

static int not_of_real(const struct machine_spec *s, const char *option, char **err)
{
	return machine_fail(err, -EINVAL, "%s: a real device has no %s=: %s", s->model, option,
			    of_real(option));
}

int machine_options_of_real(const struct machine_provider *p, const struct machine_spec *s,
			    char **err)
{
	char buf[MACHINE_OPTION_TEXT];

	for (unsigned i = 0; i < s->num_opts; i++) {
		const struct uvfio_option *o = p->options;

		while (o && o->name && strcmp(o->name, s->opts[i].name))
			o++;
		if (!o || !o->name)
			return not_of_real(s, s->opts[i].name, err);
	}
	for (const struct machine_option *o = machine_options; o->is.name; o++)
		if (!o->of_real && o->value(s, buf))
			return not_of_real(s, o->is.name, err);
	return 0;
}
