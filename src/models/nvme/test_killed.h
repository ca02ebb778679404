/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/test_killed.h: a controller in a process of its own that is killed and made again
 * (pci/test_killed.h), for unit tests: with the driver of test_driver.h and an image.
 */
#ifndef MODELS_NVME_TEST_KILLED_H
#define MODELS_NVME_TEST_KILLED_H
#include "models/nvme/internal.h"
#include "models/nvme/test_child.h"
#include "models/nvme/test_migrate.h"
#include "pci/test_killed.h"

struct far {
	struct drv drv; /* the first member: what test_driver.h is given */
	struct killed k;
	int denied; /* a system call that fails with EIO in the next process; 0: none */
};

static inline char *far_kept(pci_function *fn, size_t *size)
{
	const struct nvme *n = uvfio_priv(fn);

	*size = pci_lasting_size(fn);
	return (char *)n->kept;
}

static inline void far_prepare(const struct killed *k)
{
	const struct far *f = container_of_type(k, struct far, k);

	if (f->denied)
		deny(f->denied, EIO);
}

static inline uint64_t far_access(struct drv *d, uint64_t off, unsigned size, bool write,
				  uint64_t value)
{
	return killed_access(&((struct far *)d)->k, off, size, write, value);
}

static inline void far_idle(struct drv *d)
{
	killed_idle(&((struct far *)d)->k);
}

static inline struct far *far_new(uint64_t size, const char *dir, const struct pci_option *more,
				  unsigned count)
{
	struct far *f = calloc(1, sizeof(*f));
	struct drv *d = &f->drv;

	make_image(d->image, sizeof(d->image), size, dir);
	f->k = (struct killed){ .model = &model_nvme,
				.opts[0] = { "image", d->image },
				.num_opts = 1,
				.iova = MEM_IOVA,
				.mem_size = MEM_SIZE,
				.vectors = 1u << 1,
				.kept_memory = far_kept,
				.prepare = far_prepare };
	for (unsigned i = 0; i < count; i++)
		f->k.opts[f->k.num_opts++] = more[i];
	killed_begin(&f->k);
	d->mem = f->k.mem;
	d->access = far_access;
	d->idle = far_idle;
	return f;
}

static inline void far_free(struct far *f)
{
	killed_end(&f->k);
	unlink(f->drv.image);
	free(f);
}
#endif
