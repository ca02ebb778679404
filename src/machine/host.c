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

static void make_face(struct host *h)
{
	struct pci_face *f = &h->hw.face;

	*f = (struct pci_face){
		.ops = &face_ops,
		.hardware = h,
		.model = "host",
		.summary = machine_host.summary,
		.config_size = host_config_size(h->dev),
	};
	for (unsigned bar = 0; bar <= PCI_ROM_BAR; bar++)
		host_bar(h->dev, bar, &f->bars[bar]);
	h->vpd = pci_face_find_cap(f, PCI_CAP_ID_VPD);
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
	if (rc) {
		free(h);
		return rc;
	}
	host_set_place(h->dev, r->name, &r->address);
	h->hw.provider = &machine_host;
	h->hw.iommu = host_iommu(h->dev);
	make_face(h);
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

static void host_free(struct machine_hardware *hw)
{
	struct host *h = to_host(hw);

	host_close(h->dev);
	free(h);
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
	.place = host_place,
	.make = host_make,
	.bind = host_bind,
	.unbind = host_unbind,
	.free = host_free,
	.abandon = host_drop,
};
