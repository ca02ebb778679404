/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/sriov/model.c: a device with SR-IOV for tests, as a plug-in: a PF and up to 4 VFs with the
 * same few registers in BAR 0. What is said to a VF's mailbox the PF can read, and the reverse; a
 * store of an address makes the function write its number there.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "uvfio/model.h"

#define VFS 4u

/* BAR 0, 32 bits each */
enum {
	REG_WHO = 0x00,	    /* 0x5046 of the PF, 0x100 + index of a VF */
	REG_SCRATCH = 0x04, /* 0 after a reset */
	REG_RESETS = 0x08,  /* how many so far */
	REG_ENABLED = 0x0c, /* of the PF: VFs that are enabled */
	REG_MSI = 0x10,	    /* a store sends that message */
	REG_DMA = 0x18, /* 64 bits: a store makes the function write REG_WHO there; a load says what
			   became of the last (-errno) */
	REG_MAIL = 0x40, /* of the PF: VF i's at 4 * i; of a VF: its own */
};

struct function {
	uint32_t scratch, resets;
	int dma;
};
struct device {
	struct function fn[1 + VFS]; /* the PF, then the VFs */
	uint32_t mail[VFS];
	unsigned enabled;
	bool hosted;
};

static struct device *device_of(struct uvfio_dev *dev)
{
	return uvfio_priv(uvfio_pf(dev) ? uvfio_pf(dev) : dev);
}

static struct function *function_of(struct uvfio_dev *dev)
{
	return &device_of(dev)->fn[uvfio_pf(dev) ? 1 + uvfio_vf_index(dev) : 0];
}

static uint32_t who(struct uvfio_dev *dev)
{
	return uvfio_pf(dev) ? 0x100 + uvfio_vf_index(dev) : 0x5046;
}

static uint32_t *mail(struct uvfio_dev *dev, uint64_t offset)
{
	uint64_t i = uvfio_pf(dev) ? uvfio_vf_index(dev) : (offset - REG_MAIL) / 4;

	return offset < REG_MAIL || i >= VFS || (uvfio_pf(dev) && offset != REG_MAIL)
		       ? NULL
		       : &device_of(dev)->mail[i];
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	struct function *f = function_of(dev);
	uint32_t *m = mail(dev, offset);

	if (bar)
		return 0;
	switch (offset) {
	case REG_WHO:
		*value = who(dev);
		break;
	case REG_SCRATCH:
		*value = f->scratch;
		break;
	case REG_RESETS:
		*value = f->resets;
		break;
	case REG_ENABLED:
		*value = device_of(dev)->enabled;
		break;
	case REG_DMA:
		*value = (uint32_t)-f->dma;
		break;
	default:
		*value = m ? *m : 0;
	}
	return 0;
}

static int bar_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value)
{
	struct function *f = function_of(dev);
	uint32_t id = who(dev), *m = mail(dev, offset);

	if (bar)
		return 0;
	switch (offset) {
	case REG_SCRATCH:
		f->scratch = (uint32_t)value;
		break;
	case REG_MSI:
		uvfio_msi(dev, (unsigned)value);
		break;
	case REG_DMA:
		f->dma = uvfio_dma_write(dev, value, &id, sizeof(id));
		break;
	default:
		if (m)
			*m = (uint32_t)value;
	}
	return 0;
}

static void reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	struct function *f = function_of(dev);

	f->scratch = 0;
	f->resets++;
}

static int common(struct uvfio_dev *dev, uint16_t device)
{
	const struct uvfio_ids ids = {
		.vendor = 0x1234,
		.device = device,
		.subsystem_vendor = 0x1234,
		.subsystem = 1,
		.class_code = 0xff0000,
		.revision = 1,
	};
	int rc = uvfio_set_ids(dev, &ids);

	if (rc >= 0)
		rc = uvfio_add_pcie(dev, true);
	return rc;
}

static int vf_create(struct uvfio_dev *dev)
{
	int rc = common(dev, 0x5f02);

	if (rc >= 0)
		rc = uvfio_add_msix(dev, 2, 2, 0, 2, 0x800);
	return rc < 0 ? rc : 0;
}

static const struct uvfio_model vf_model = {
	UVFIO_MODEL_INIT, .name = "sriov_test_vf", .create = vf_create,
	.reset = reset,	  .bar_read = bar_read,	   .bar_write = bar_write,
};

static void vfs_changed(struct uvfio_dev *dev, unsigned num)
{
	device_of(dev)->enabled = num;
}

static void host_drives(struct uvfio_dev *dev)
{
	device_of(dev)->hosted = true;
}

static const struct uvfio_sriov sriov = {
	.vf = &vf_model,
	.vf_device_id = 0x5f02,
	.total_vfs = VFS,
	.first_vf_offset = 0x80,
	.vf_stride = 2,
	.bars = { [0] = { 0x1000, UVFIO_BAR_64 }, [2] = { 0x1000, 0 } },
	.vfs_changed = vfs_changed,
	.host_driver = "sriovtest",
	.host_drives = host_drives,
};

static int create(struct uvfio_dev *dev)
{
	struct device *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return -ENOMEM;
	uvfio_set_priv(dev, d);
	rc = common(dev, 0x5f01);
	if (rc >= 0)
		rc = uvfio_add_bar(dev, 0, 0x1000, 0);
	if (rc >= 0)
		rc = uvfio_add_bar(dev, 2, 0x1000, 0);
	if (rc >= 0)
		rc = uvfio_add_pm(dev, true);
	if (rc >= 0)
		rc = uvfio_add_msix(dev, 2, 2, 0, 2, 0x800);
	if (rc >= 0)
		rc = uvfio_add_aer(dev);
	if (rc >= 0)
		rc = uvfio_add_sriov(dev, &sriov);
	if (rc >= 0)
		return 0;
	free(d);
	return rc;
}

static void destroy(struct uvfio_dev *dev)
{
	free(uvfio_priv(dev));
}

__attribute__((visibility("default"))) const struct uvfio_model uvfio_model = {
	UVFIO_MODEL_INIT,     .name = "sriov_test",   .summary = "a device with SR-IOV, for tests",
	.create = create,     .destroy = destroy,     .reset = reset,
	.bar_read = bar_read, .bar_write = bar_write,
};
