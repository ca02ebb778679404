/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/feature.c: VFIO_DEVICE_FEATURE: one table of the features that there are. A feature's call
 * gets the address of the payload, since some have pointers in it, and the file, since some make
 * descriptors; the waist has a typed call for each (vfio/open.h).
 */
#include "uapi/internal.h"

#define PROBE VFIO_DEVICE_FEATURE_PROBE
#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET

struct feature {
	int absent; /* what a device without the feature answers, if that is not -ENOTTY */
	enum vfio_kernel_change since; /* an older kernel does not know the feature: -ENOTTY */
	uint32_t ops;		       /* GET, SET: what can be done with it */
	size_t size;		       /* bytes of the payload, at least */
	bool (*has)(const struct uapi_file *f);
	/*
	 * Do @op, one of @ops; @size bytes of payload are at @arg. Return what the ioctl returns.
	 */
	long (*call)(struct uapi_file *f, uint32_t op, unsigned long arg);
};

static bool has_vf_token(const struct uapi_file *f)
{
	return vfio_device_has_vf_token(&f->open);
}

static long set_vf_token(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	uint8_t uuid[16];

	if (uapi_get(uuid, arg, sizeof(uuid)))
		return -EFAULT;
	return vfio_device_set_vf_token(&f->open, uuid);
}

static bool has_low_power(const struct uapi_file *f)
{
	return vfio_device_has_low_power(&f->open);
}

static long low_power_entry(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	return vfio_device_low_power(&f->open, true, -1);
}

static long low_power_entry_with_wakeup(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	struct vfio_device_low_power_entry_with_wakeup entry;

	if (uapi_get(&entry, arg, sizeof(entry)))
		return -EFAULT;
	if (entry.wakeup_eventfd < 0)
		return -EINVAL;
	return vfio_device_low_power(&f->open, true, entry.wakeup_eventfd);
}

static long low_power_exit(struct uapi_file *f, uint32_t op, unsigned long arg)
{
	return vfio_device_low_power(&f->open, false, -1);
}

static const struct feature features[] = {
	[VFIO_DEVICE_FEATURE_DMA_BUF] = { .since = VFIO_KERNEL_DMA_BUF,
					  .ops = GET,
					  .size = sizeof(struct vfio_device_feature_dma_buf),
					  .has = uapi_has_dmabuf,
					  .call = uapi_dmabuf },
	/* never read, since it could be the token of an earlier user */
	[VFIO_DEVICE_FEATURE_PCI_VF_TOKEN] = { .ops = SET,
					       .size = 16,
					       .has = has_vf_token,
					       .call = set_vf_token },
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY] = { .ops = SET,
						  .has = has_low_power,
						  .call = low_power_entry },
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP] = {
		.ops = SET,
		.size = sizeof(struct vfio_device_low_power_entry_with_wakeup),
		.has = has_low_power,
		.call = low_power_entry_with_wakeup,
	},
	[VFIO_DEVICE_FEATURE_LOW_POWER_EXIT] = { .ops = SET,
						 .has = has_low_power,
						 .call = low_power_exit },
	[VFIO_DEVICE_FEATURE_MIGRATION] = { .ops = GET,
					    .size = sizeof(struct vfio_device_feature_migration),
					    .has = uapi_has_migration,
					    .call = uapi_migration },
	[VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE] = { .ops = GET | SET,
						   .size = sizeof(
							   struct vfio_device_feature_mig_state),
						   .has = uapi_has_migration,
						   .call = uapi_mig_state },
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_START] = {
		.ops = SET,
		.size = sizeof(struct vfio_device_feature_dma_logging_control),
		.has = uapi_has_migration,
		.call = uapi_dma_log_start,
	},
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP] = { .ops = SET,
						   .has = uapi_has_migration,
						   .call = uapi_dma_log_stop },
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT] = {
		.ops = GET,
		.size = sizeof(struct vfio_device_feature_dma_logging_report),
		.has = uapi_has_migration,
		.call = uapi_dma_log_report,
	},
	[VFIO_DEVICE_FEATURE_MIG_DATA_SIZE] = { .since = VFIO_KERNEL_PRE_COPY,
						.ops = GET,
						.size = sizeof(
							struct vfio_device_feature_mig_data_size),
						.has = uapi_has_migration,
						.call = uapi_mig_data_size },
	/*
	 * the kernel asks whether the device migrates with PRE_COPY before it looks at the rest,
	 * and not with ENOTTY
	 */
	[VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2] = { .absent = -EINVAL,
						     .since = VFIO_KERNEL_PRECOPY_INFO_V2,
						     .ops = SET,
						     .has = uapi_has_precopy,
						     .call = uapi_precopy_v2 },
};

long uapi_device_feature(struct uapi_file *f, unsigned long arg)
{
	const uint32_t known = VFIO_DEVICE_FEATURE_MASK | GET | SET | PROBE;
	struct vfio_device_feature hdr;
	const struct feature *ft;
	uint32_t nr, op;

	if (uapi_get(&hdr, arg, sizeof(hdr)))
		return -EFAULT;
	if (hdr.argsz < sizeof(hdr) || (hdr.flags & ~known))
		return -EINVAL;
	nr = hdr.flags & VFIO_DEVICE_FEATURE_MASK;
	op = hdr.flags & (GET | SET);
	if (!(hdr.flags & PROBE) && op == (GET | SET))
		return -EINVAL;
	/* migration needs a device that has it */
	if (nr >= ARRAY_SIZE(features))
		return -ENOTTY;
	ft = &features[nr];
	if (!vfio_kernel_has(ft->since))
		return -ENOTTY;
	if (!ft->has || !ft->has(f))
		return ft->absent ? ft->absent : -ENOTTY;
	/* the kernel's vfio_check_feature() */
	if (op & ~ft->ops)
		return -EINVAL;
	if (hdr.flags & PROBE)
		return 0;
	if (!op || hdr.argsz - sizeof(hdr) < ft->size)
		return -EINVAL;
	return ft->call(f, op, arg + sizeof(hdr));
}
