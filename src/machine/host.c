/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/host.c: the provider of real devices (host=ADDRESS): a function of the host that the
 * kernel's VFIO has. Its face is what the host's sysfs shows, which needs no open; addresses of its
 * BARs are those that the host gave them. It is opened when a user opens it here (host/host.h).
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/uuid.h"
#include "host/host.h"
#include "machine/internal.h"

#define PREFIX "host="

struct host {
	struct machine_hardware hw;
	struct host_device *dev;
	unsigned vpd;	   /* offset of its capability; 0: none */
	uint16_t vpd_addr; /* that was written */
};

static struct host *to_host(struct machine_hardware *hw)
{
	return container_of_type(hw, struct host, hw);
}

/* ---- its face ---- */

static uint32_t config_read(void *hardware, unsigned off, unsigned size)
{
	struct host *h = hardware;
	uint32_t v;

	/* product data is read by sysfs, not by two who write the same register */
	if (h->vpd && off == h->vpd + PCI_VPD_ADDR && size == 2)
		return h->vpd_addr;
	if (h->vpd && off == h->vpd + PCI_VPD_DATA && size == 4)
		return host_vpd_read(h->dev, h->vpd_addr & PCI_VPD_ADDR_MASK, &v) ? UINT32_MAX : v;
	return host_config_read(h->dev, off, size);
}

/* Nobody but the user of the device writes its registers. */
static void config_write(void *hardware, unsigned off, unsigned size, uint32_t value)
{
	struct host *h = hardware;
	uint32_t v;

	if (!h->vpd || off != h->vpd + PCI_VPD_ADDR || size != 2 || value & PCI_VPD_ADDR_F)
		return;
	h->vpd_addr = (uint16_t)value;
	if (!host_vpd_read(h->dev, h->vpd_addr, &v))
		h->vpd_addr |= PCI_VPD_ADDR_F;
}

static const struct pci_face_ops face_ops = { config_read, config_write };

/* 0 or -errno. */
static int make_face(struct host *h)
{
	struct pci_face *f = &h->hw.face;
	struct host_bar bar;
	int rc;

	*f = (struct pci_face){
		.ops = &face_ops,
		.hardware = h,
		.model = "host",
		.summary = machine_host.summary,
		.config_size = host_config_size(h->dev),
	};
	for (unsigned i = 0; i <= PCI_ROM_BAR; i++) {
		rc = host_bar(h->dev, i, &bar);
		if (rc)
			return rc;
		f->bars[i] = (struct pci_bar){ .size = bar.size, .flags = bar.flags };
	}
	h->vpd = pci_face_find_cap(f, PCI_CAP_ID_VPD);
	return 0;
}

/* ---- options ---- */

#define OPTION_VIA   "via"
#define OPTION_TOKEN "vf_token"

static const struct uvfio_option options[] = {
	{ .name = OPTION_VIA,
	  .type = UVFIO_OPT_STRING,
	  .help = "the kernel's files by which it is had: group, or cdev (with an iommufd; Linux "
		  "6.6); default: cdev, if these are there and can be opened, else group" },
	{ .name = OPTION_TOKEN,
	  .type = UVFIO_OPT_STRING,
	  .help = "VF token, a UUID, that is shown to the kernel if the program shows none" },
	{ 0 },
};

static int set_via(struct host_device *dev, const char *model, const char *value, char **err)
{
	enum host_via via = !strcmp(value, "cdev")    ? HOST_VIA_CDEV
			    : !strcmp(value, "group") ? HOST_VIA_GROUP
						      : HOST_VIA_ANY;
	char *why = NULL;
	int rc;

	if (via == HOST_VIA_ANY)
		return machine_fail(err, -EINVAL, "%s: " OPTION_VIA "=%s: write group or cdev",
				    model, value);
	rc = host_set_via(dev, via, &why);
	if (rc)
		machine_fail(err, rc, "%s: " OPTION_VIA "=%s: %s", model, value,
			     why ? why : strerror(-rc));
	free(why);
	return rc;
}

static int set_token(struct host_device *dev, const char *model, const char *value, char **err)
{
	uint8_t uuid[16];

	if (strlen(value) != UUID_TEXT || !uuid_parse(value, uuid))
		return machine_fail(err, -EINVAL, "%s: " OPTION_TOKEN "=%s is not a UUID", model,
				    value);
	host_set_token(dev, uuid);
	return 0;
}

/* The machine has let no others through. */
static int set_options(struct host_device *dev, const struct machine_request *r, char **err)
{
	int rc = 0;

	for (unsigned i = 0; i < r->num_opts && !rc; i++) {
		const struct pci_option *o = &r->opts[i];

		if (!strcmp(o->name, OPTION_VIA))
			rc = set_via(dev, r->model, o->value, err);
		else if (!strcmp(o->name, OPTION_TOKEN))
			rc = set_token(dev, r->model, o->value, err);
	}
	return rc;
}

/* ---- the provider ---- */

/* Open what @model names. 0 or -errno with a sentence. */
static int find(const char *model, struct host_device **out, char **err)
{
	char *why = NULL;
	int rc = host_open(model + strlen(PREFIX), out, &why);

	if (rc)
		machine_fail(err, rc, "%s", why ? why : strerror(-rc));
	free(why);
	return rc;
}

static int host_place(const char *model, struct pci_address *address, unsigned *group, char **err)
{
	struct host_device *dev;
	int rc = find(model, &dev, err);

	if (rc)
		return rc;
	*address = *host_address(dev);
	*group = host_group(dev);
	host_close(dev);
	return 0;
}

static int host_make(const struct machine_request *r, struct machine_hardware **out, char **err)
{
	struct host *h = calloc(1, sizeof(*h));
	int rc;

	if (!h)
		return machine_fail(err, -ENOMEM, "out of memory");
	rc = find(r->model, &h->dev, err);
	if (!rc)
		rc = set_options(h->dev, r, err);
	if (!rc) {
		rc = make_face(h);
		if (rc)
			machine_fail(err, rc, "%s: sysfs does not show its BARs: %s", r->model,
				     strerror(-rc));
	}
	if (rc) {
		host_close(h->dev);
		free(h);
		return rc;
	}
	host_set_place(h->dev, r->name, &r->address);
	h->hw.provider = &machine_host;
	h->hw.iommu = host_iommu(h->dev);
	*out = &h->hw;
	return 0;
}

/* vfio-pci has it: nothing else is an option of a real device, nor by sysfs in the run's view. */
static int host_bind(struct machine_hardware *hw, const char *driver)
{
	hw->vdev = host_vdev(to_host(hw)->dev);
	return 0;
}

static void host_unbind(struct machine_hardware *hw)
{
	hw->vdev = NULL;
}

static void host_mmap(struct machine_hardware *hw, enum machine_mmap how)
{
	static const enum host_mmap all[] = {
		[MACHINE_MMAP_AUTO] = HOST_MMAP_DIRECT,
		[MACHINE_MMAP_TRAP] = HOST_MMAP_TRAP,
		[MACHINE_MMAP_OFF] = HOST_MMAP_OFF,
	};

	host_set_mmap(to_host(hw)->dev, all[how]);
}

static void host_free(struct machine_hardware *hw)
{
	struct host *h = to_host(hw);

	host_close(h->dev);
	free(h);
}

static int host_available(struct machine_hardware *hw)
{
	return host_check(to_host(hw)->dev);
}

static void host_drop(struct machine_hardware *hw)
{
	host_abandon(to_host(hw)->dev);
}

const struct machine_provider machine_host = {
	.name = "host",
	.prefix = PREFIX,
	.argument = "ADDRESS",
	.summary = "a real device, which the host's vfio-pci has",
	.is_real = true,
	.options = options,
	.place = host_place,
	.make = host_make,
	.check = host_available,
	.bind = host_bind,
	.unbind = host_unbind,
	.set_mmap = host_mmap,
	.free = host_free,
	.abandon = host_drop,
};
