/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/show/names.c: names of registers: of BARs from the tables that models have, of config space
 * from the specification and the capabilities that the device has.
 */
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>

#include "uvfio/model.h"
#include "base/util.h"
#include "trace/show/internal.h"

/* ---- BARs ---- */

static bool covers(const struct trace_register *r, uint64_t off, uint64_t *index, uint64_t *byte)
{
	uint64_t at = off - r->offset;

	if (off < r->offset)
		return false;
	*index = r->count && r->stride ? at / r->stride : 0;
	*byte = at - *index * r->stride;
	return *index < (r->count ? r->count : 1) && *byte < r->width;
}

static bool bar_name(const struct trace_log *log, const struct trace_record *rec,
		     char name[TRACE_NAME])
{
	const struct trace_device_data *d = trace_device(log, rec);
	uint64_t index, byte;
	int n;

	for (uint32_t i = 0; d && i < d->registers; i++) {
		const struct trace_register *r = &log->reg[d->first + i];

		if (r->bar != rec->sub || !covers(r, rec->at, &index, &byte))
			continue;
		n = snprintf(name, TRACE_NAME, "%s", r->name);
		if (r->count)
			n += snprintf(name + n, TRACE_NAME - (size_t)n, "[%u]", (unsigned)index);
		if (byte)
			snprintf(name + n, TRACE_NAME - (size_t)n, "+%u", (unsigned)byte);
		return true;
	}
	return false;
}

/* ---- config space ---- */

struct field {
	uint8_t at, size;
	const char *name;
};

/* PCI 3.0, 6.1: of a device that is no bridge */
static const struct field header[] = {
	{ 0, 2, "VENDOR_ID" },	   { 2, 2, "DEVICE_ID" },
	{ 4, 2, "COMMAND" },	   { 6, 2, "STATUS" },
	{ 8, 1, "REVISION" },	   { 9, 3, "CLASS" },
	{ 12, 1, "CACHE_LINE" },   { 13, 1, "LATENCY" },
	{ 14, 1, "HEADER_TYPE" },  { 15, 1, "BIST" },
	{ 16, 4, "BAR0" },	   { 20, 4, "BAR1" },
	{ 24, 4, "BAR2" },	   { 28, 4, "BAR3" },
	{ 32, 4, "BAR4" },	   { 36, 4, "BAR5" },
	{ 40, 4, "CARDBUS_CIS" },  { 44, 2, "SUBSYSTEM_VENDOR" },
	{ 46, 2, "SUBSYSTEM_ID" }, { 48, 4, "ROM" },
	{ 52, 1, "CAPABILITIES" }, { 60, 1, "IRQ_LINE" },
	{ 61, 1, "IRQ_PIN" },	   { 62, 1, "MIN_GNT" },
	{ 63, 1, "MAX_LAT" },	   { 0 },
};
static const struct field power[] = { { 2, 2, "PMC" }, { 4, 2, "PMCSR" }, { 0 } };
static const struct field msi[] = { { 2, 2, "CONTROL" }, { 4, 4, "ADDRESS" }, { 0 } };
static const struct field msix[] = {
	{ 2, 2, "CONTROL" }, { 4, 4, "TABLE" }, { 8, 4, "PBA" }, { 0 }
};
static const struct field express[] = {
	{ 2, 2, "FLAGS" },    { 4, 4, "DEVCAP" },   { 8, 2, "DEVCTL" },	  { 10, 2, "DEVSTA" },
	{ 12, 4, "LNKCAP" },  { 16, 2, "LNKCTL" },  { 18, 2, "LNKSTA" },  { 36, 4, "DEVCAP2" },
	{ 40, 2, "DEVCTL2" }, { 44, 4, "LNKCAP2" }, { 48, 2, "LNKCTL2" }, { 0 },
};
static const struct field advanced[] = {
	{ 3, 1, "CAP" }, { 4, 1, "CTRL" }, { 5, 1, "STATUS" }, { 0 }
};
static const struct {
	uint8_t id;
	const char *name;
	const struct field *fields;
} capabilities[] = {
	{ PCI_CAP_ID_PM, "PM", power },	     { PCI_CAP_ID_MSI, "MSI", msi },
	{ PCI_CAP_ID_MSIX, "MSIX", msix },   { PCI_CAP_ID_EXP, "EXP", express },
	{ PCI_CAP_ID_AF, "AF", advanced },   { PCI_CAP_ID_VPD, "VPD", NULL },
	{ PCI_CAP_ID_VNDR, "VENDOR", NULL },
};

static bool field_name(const struct field *f, const char *prefix, unsigned off,
		       char name[TRACE_NAME])
{
	for (; f && f->name; f++) {
		if (off < f->at || off >= f->at + f->size)
			continue;
		snprintf(name, TRACE_NAME, off > f->at ? "%s%s+%u" : "%s%s", prefix, f->name,
			 off - f->at);
		return true;
	}
	return false;
}

/* Write the name of offset @off of the capability at @cap of config space @c. */
static void capability_name(const uint8_t *c, unsigned cap, unsigned off, char name[TRACE_NAME])
{
	char prefix[16];

	for (unsigned i = 0; i < ARRAY_SIZE(capabilities); i++) {
		if (capabilities[i].id != c[cap])
			continue;
		snprintf(prefix, sizeof(prefix), "%s.", capabilities[i].name);
		if (!field_name(capabilities[i].fields, prefix, off - cap, name))
			snprintf(name, TRACE_NAME, "%s+%u", capabilities[i].name, off - cap);
		return;
	}
	snprintf(name, TRACE_NAME, "CAP_%02X+%u", c[cap], off - cap);
}

static bool config_name(const struct trace_device_data *d, uint64_t at, char name[TRACE_NAME])
{
	unsigned cap, found = 0, left = 48;

	if (at < 64)
		return field_name(header, "", (unsigned)at, name);
	if (!d || d->config < TRACE_CONFIG || at >= TRACE_CONFIG)
		return false;
	/* the capability that begins last before it */
	for (cap = d->bytes[PCI_CAPABILITY_LIST] & ~3u; cap >= 64 && left--;
	     cap = d->bytes[cap + 1] & ~3u)
		if (cap <= at && cap > found)
			found = cap;
	if (!found)
		return false;
	capability_name(d->bytes, found, (unsigned)at, name);
	return true;
}

bool trace_reg_name(const struct trace_log *log, const struct trace_record *r,
		    char name[TRACE_NAME])
{
	if (r->sub == VFIO_PCI_CONFIG_REGION_INDEX)
		return config_name(trace_device(log, r), r->at, name);
	return bar_name(log, r, name);
}

/* ---- others ---- */

const char *trace_region_name(unsigned index, char name[TRACE_NAME])
{
	if (index <= VFIO_PCI_BAR5_REGION_INDEX)
		snprintf(name, TRACE_NAME, "BAR%u", index);
	else if (index == VFIO_PCI_ROM_REGION_INDEX)
		return "ROM";
	else if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return "config";
	else
		snprintf(name, TRACE_NAME, "region %u", index);
	return name;
}

const char *trace_irq_name(unsigned what)
{
	static const char *const names[] = {
		[EVENT_RAISED] = "raised",	 [EVENT_LOWERED] = "lowered",
		[EVENT_PENDING] = "pending",	 [EVENT_NOBODY] = "reaches nobody",
		[EVENT_SIGNALLED] = "signalled", [EVENT_MASKED] = "masked",
		[EVENT_UNMASKED] = "unmasked",
	};

	return what < ARRAY_SIZE(names) ? names[what] : "?";
}

const char *trace_reset_name(unsigned kind)
{
	switch (kind) {
	case UVFIO_RESET_POWER_ON:
		return "power-on";
	case UVFIO_RESET_FLR:
		return "FLR";
	case UVFIO_RESET_BUS:
		return "bus";
	case UVFIO_RESET_D3:
		return "D3hot to D0";
	case UVFIO_RESET_PF:
		return "of the PF";
	default:
		return "?";
	}
}
