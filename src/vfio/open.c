/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/open.c: the calls on an opened device: the checks that are the same for every front and
 * every provider come first, then the provider's op.
 */
#include <errno.h>
#include <limits.h>

#include "base/client.h"
#include "base/report.h"
#include "fault/fault.h"
#include "iommu/peer.h"
#include "vfio/internal.h"
#include "vfio/iommufd.h"
#include "vfio/open.h"

/* The client's memory is copied in pieces of this size. */
#define PIECE PAGE_SIZE_4K

/* ---- opening and closing ---- */

/* Say that @name of @g, which is open, is in use, or not any more. */
static int use(struct vfio_group *g, const char *name, bool take)
{
	struct vfio_system *s = g->system;

	return s->env->use ? s->env->use(s->env_arg, g->iommu->id, name, take) : 0;
}

int vfio_open_by_group(struct vfio_open *o, struct vfio_group *g, const char *name,
		       const uint8_t *uuid)
{
	int ret;

	*o = (struct vfio_open){ .via = VFIO_VIA_GROUP };
	ret = use(g, name, true);
	if (ret)
		return ret;
	ret = vfio_group_open_device(g, name, uuid, &o->dev, &o->ioas, &o->iommufd);
	if (ret) {
		use(g, name, false);
		return ret;
	}
	atomic_store(&o->bound, true);
	return 0;
}

void vfio_open_init(struct vfio_open *o, struct vfio_device *dev)
{
	*o = (struct vfio_open){ .dev = dev, .via = VFIO_VIA_OWN };
}

void vfio_open_expect(struct vfio_open *o, struct vfio_ioas *io)
{
	o->opens_for = io;
}

void vfio_open_init_cdev(struct vfio_open *o, const struct vfio_place *place)
{
	*o = (struct vfio_open){ .via = VFIO_VIA_CDEV, .place = *place };
}

/* Have the device at @o's place in this process, by taking its group. */
static int hold(struct vfio_open *o)
{
	char name[PCI_ADDRESS_TEXT];
	struct vfio_device *dev;
	int ret;

	ret = vfio_group_take(o->place.group);
	if (ret)
		return ret;
	vfio_group_refresh(o->place.group);
	/* before it is looked for: from here on it stays */
	pci_address_print(&o->place.address, name);
	ret = use(o->place.group, name, true);
	if (ret)
		goto give_back;
	dev = vfio_group_device(o->place.group, &o->place.address);
	ret = -ENODEV;
	if (!dev)
		goto unuse;
	o->dev = dev;
	return 0;
unuse:
	use(o->place.group, name, false);
give_back:
	vfio_group_give_back(o->place.group);
	return ret;
}

int vfio_open_hold(struct vfio_open *o)
{
	int ret;

	if (atomic_load(&o->bound))
		return -EINVAL;
	ret = hold(o);
	/* what this process would say: the device is open, or another iommufd has its group */
	if (ret == -EALREADY)
		ret = o->place.group->n == 1 ? -EINVAL : -EPERM;
	return ret;
}

int vfio_open_place(struct vfio_open *o)
{
	int ret = hold(o);

	if (ret)
		return ret == -EALREADY ? -EBUSY : ret;
	ret = vfio_device_open(o->dev);
	if (ret) {
		vfio_open_let_go(o);
		return ret;
	}
	atomic_store(&o->bound, true);
	return 0;
}

void vfio_open_let_go(struct vfio_open *o)
{
	use(o->place.group, o->dev->name, false);
	vfio_group_give_back(o->place.group);
}

int vfio_open_bind(struct vfio_open *o)
{
	struct vfio_group *g = o->dev->group;
	int ret;

	ret = vfio_group_take(g);
	if (ret)
		return ret == -EALREADY ? -EBUSY : ret;
	ret = use(g, o->dev->name, true);
	if (ret)
		goto give_back;
	ret = vfio_device_open_for(o->dev, o->opens_for);
	if (ret)
		goto unuse;
	atomic_store(&o->bound, true);
	return 0;
unuse:
	use(g, o->dev->name, false);
give_back:
	vfio_group_give_back(g);
	return ret;
}

int vfio_open_bind_iommufd(struct vfio_open *o, struct vfio_iommufd *ictx,
			   int (*tell)(void *arg, uint32_t id), void *arg)
{
	struct vfio_group *g = o->dev->group;
	uint32_t id;
	int ret;

	ret = vfio_group_take(g);
	if (ret)
		return ret;
	ret = use(g, o->dev->name, true);
	if (ret)
		goto give_back;
	ret = vfio_iommufd_bind(ictx, o->dev, &id);
	if (ret)
		goto unuse;
	ret = vfio_device_open(o->dev);
	if (ret)
		goto unbind;
	ret = tell(arg, id);
	if (ret)
		goto close;
	o->iommufd = true;
	atomic_store(&o->bound, true);
	return 0;
close:
	vfio_device_close(o->dev);
unbind:
	vfio_iommufd_unbind(o->dev);
unuse:
	use(g, o->dev->name, false);
give_back:
	vfio_group_give_back(g);
	return ret;
}

void vfio_open_close(struct vfio_open *o)
{
	struct vfio_device *dev = o->dev;

	if (!atomic_exchange(&o->bound, false))
		return;
	pthread_mutex_lock(&dev->mappers_lock);
	if (o->mapper)
		cds_list_del(&o->in_mappers);
	o->mapper = NULL;
	pthread_mutex_unlock(&dev->mappers_lock);
	if (o->via == VFIO_VIA_GROUP) {
		struct vfio_group *g = dev->group;

		vfio_group_close_device(g, dev, o->ioas, o->iommufd);
		use(g, dev->name, false);
		if (o->iommufd)
			vfio_group_closed_device(g);
		return;
	}
	vfio_device_close(dev);
	vfio_device_detach(o);
	if (o->iommufd)
		vfio_iommufd_unbind(dev);
	use(dev->group, dev->name, false);
	vfio_group_give_back(dev->group);
}

int vfio_device_attach(struct vfio_open *o, struct vfio_ioas *io)
{
	int ret;

	if (!atomic_load(&o->bound) || o->via != VFIO_VIA_OWN || o->ioas)
		return -EINVAL;
	ret = vfio_group_attach(o->dev->group, o->dev, io);
	if (!ret)
		o->ioas = io;
	return ret;
}

void vfio_device_detach(struct vfio_open *o)
{
	if (o->via != VFIO_VIA_OWN || !o->ioas)
		return;
	vfio_group_detach(o->dev->group, o->dev, o->ioas);
	o->ioas = NULL;
}

/* ---- what there is ---- */

static bool has_region(const struct vfio_open *o, uint32_t index)
{
	return atomic_load(&o->bound) && index < o->dev->num_regions;
}

int vfio_device_region(struct vfio_open *o, uint32_t index, struct vfio_region *out)
{
	*out = (struct vfio_region){ 0 };
	return has_region(o, index) ? o->dev->ops->region(o->dev, index, out) : -EINVAL;
}

int vfio_device_irq(struct vfio_open *o, uint32_t index, struct vfio_irq *out)
{
	*out = (struct vfio_irq){ 0 };
	if (!atomic_load(&o->bound) || index >= o->dev->num_irqs)
		return -EINVAL;
	return o->dev->ops->irq(o->dev, index, out);
}

/* ---- access ---- */

/*
 * Return 0 if an access may begin. Config space does nothing at all when one would run over its
 * end, so that is seen before the first piece of it; elsewhere the part before the end is done.
 */
static int check_rw(struct vfio_open *o, uint32_t index, uint64_t pos, size_t count)
{
	struct vfio_region r = { 0 };
	int ret;

	if (!has_region(o, index) || count > SSIZE_MAX)
		return -EINVAL;
	if (index != VFIO_PCI_CONFIG_REGION_INDEX)
		return 0;
	ret = o->dev->ops->region(o->dev, index, &r);
	if (ret)
		return ret;
	return range_within(pos, count, r.size) ? 0 : -EFAULT;
}

/* Have the device make an access that was checked, and tell of it. */
static ssize_t tell_rw(struct vfio_open *o, uint32_t index, uint64_t pos, void *buf, size_t count,
		       bool write)
{
	ssize_t ret;

	if (write)
		vfio_device_tell(o, index, pos, buf, count, true, false, 0);
	ret = o->dev->ops->rw(o->dev, index, pos, buf, count, write);
	if (ret < 0)
		vfio_device_tell(o, index, pos, buf, count, write, false, (int)ret);
	else if (!write)
		vfio_device_tell(o, index, pos, buf, (size_t)ret, false, false, 0);
	vfio_device_accessed(o, index, pos, count);
	return ret;
}

void vfio_device_event(const struct vfio_open *o, uint32_t index, uint64_t pos, size_t size)
{
	const struct vfio_system *s = o->dev->group->system;
	const struct fault_where w = {
		.device = o->dev->name, .at = pos, .size = size, .bar = index
	};
	struct fault f;

	if (index <= VFIO_PCI_BAR5_REGION_INDEX && s->env->happen && fault_at(FAULT_EVENT, &w, &f))
		s->env->happen(s->env_arg, o->dev->name, &f);
}

ssize_t vfio_device_rw(struct vfio_open *o, uint32_t index, uint64_t pos, void *buf, size_t count,
		       bool write)
{
	int ret = check_rw(o, index, pos, count);

	return ret ? ret : tell_rw(o, index, pos, buf, count, write);
}

/*
 * Pieces end at pages of the region, so that the provider cuts each into accesses just as it would
 * cut the whole.
 */
ssize_t vfio_device_rw_client(struct vfio_open *o, uint32_t index, uint64_t pos, uintptr_t addr,
			      size_t count, bool write)
{
	uint8_t buf[PIECE] __attribute__((aligned(8)));
	size_t done = 0, n;
	ssize_t ret;

	ret = check_rw(o, index, pos, count);
	if (ret)
		return ret;
	while (done < count) {
		n = PIECE - (size_t)(pos % PIECE);
		if (n > count - done)
			n = count - done;
		if (write && client_get(buf, addr + done, n))
			return -EFAULT;
		ret = tell_rw(o, index, pos, buf, n, write);
		if (ret < 0)
			/* the end of a BAR after some bytes is a short result */
			return done && ret == -EINVAL ? (ssize_t)done : ret;
		if (!write && ret && client_put(addr + done, buf, (size_t)ret))
			return -EFAULT;
		done += (size_t)ret;
		pos += (uint64_t)ret;
		if ((size_t)ret < n)
			break;
	}
	return (ssize_t)done;
}

bool vfio_region_part(const struct vfio_region *r, unsigned *i, uint64_t *offset, uint64_t *size)
{
	const struct vfio_region_area *a = &r->areas[*i];

	if (*i >= r->num_areas)
		return false;
	*offset = a->offset;
	for (*size = a->size; ++*i < r->num_areas && a[1].offset == *offset + *size; a++)
		*size += a[1].size;
	return true;
}

/* The kernel's vfio_pci_core_mmap(): inside of the region, which is rounded up to pages. */
int vfio_device_check_map(struct vfio_open *o, uint32_t index, uint64_t pos, uint64_t len)
{
	uint64_t end, start, size;
	struct vfio_region r;
	unsigned i = 0;
	int ret;

	ret = vfio_device_region(o, index, &r);
	if (ret)
		return ret;
	if (!(r.flags & VFIO_REGION_INFO_FLAG_MMAP) || !o->dev->ops->mmio)
		return report_warn("mmap-refused", o->dev->name, -EINVAL,
				   "mmap of region %u: it has no VFIO_REGION_INFO_FLAG_MMAP, use "
				   "pread and pwrite",
				   index);
	end = align_up(r.size, PAGE_SIZE_4K);
	if (!len || len > end || !range_within(pos, align_up(len, PAGE_SIZE_4K), end))
		return -EINVAL;
	if (!r.num_areas)
		return 0;
	while (vfio_region_part(&r, &i, &start, &size))
		if (pos >= start && range_within(pos - start, align_up(len, PAGE_SIZE_4K),
						 align_up(size, PAGE_SIZE_4K)))
			return 0;
	return report_warn("mmap-sparse", o->dev->name, -EINVAL,
			   "mmap of region %u at 0x%llx: not all of it is in an area of its "
			   "sparse-mmap capability",
			   index, (unsigned long long)pos);
}

void vfio_open_set_mapper(struct vfio_open *o, vfio_mapper_fn *mapper, void *arg)
{
	pthread_mutex_lock(&o->dev->mappers_lock);
	if (!o->mapper) {
		o->mapper = mapper;
		o->mapper_arg = arg;
		cds_list_add_tail(&o->in_mappers, &o->dev->mappers);
	}
	pthread_mutex_unlock(&o->dev->mappers_lock);
}

/* Return how many bytes from @pos of a region on are VFIO_AREA_DIRECT, without a gap. */
static uint64_t direct_from(struct vfio_open *o, uint32_t index, uint64_t pos)
{
	struct vfio_region r;
	uint64_t end = pos;

	if (vfio_device_region(o, index, &r))
		return 0;
	for (unsigned i = 0; i < r.num_areas; i++)
		if (r.areas[i].kind == VFIO_AREA_DIRECT && end >= r.areas[i].offset &&
		    end - r.areas[i].offset < r.areas[i].size)
			end = r.areas[i].offset + r.areas[i].size;
	return end - pos;
}

void vfio_device_bar(struct vfio_open *o, uint32_t index, uint64_t pos, struct vfio_bar *out)
{
	const struct vfio_device_ops *ops = o->dev->ops;
	bool bar = index <= VFIO_PCI_BAR5_REGION_INDEX;

	*out = (struct vfio_bar){ .bar = index, .offset = pos };
	out->answers = !bar || !ops->memory_answers || ops->memory_answers(o->dev);
	if (bar && !ops->target)
		out->direct = direct_from(o, index, pos);
	if (!bar || !ops->target)
		return;
	out->target = ops->target(o->dev);
	iommu_target_get(out->target);
}

bool vfio_device_area_open(const struct vfio_open *o, enum vfio_area_kind kind)
{
	const struct vfio_device_ops *ops = o->dev->ops;

	return ops->area_open ? ops->area_open(o->dev, kind) : kind == VFIO_AREA_DIRECT;
}

unsigned vfio_device_set_areas(struct vfio_device *dev, enum vfio_area_kind kind, bool open)
{
	struct vfio_open *o;
	unsigned n = 0;

	pthread_mutex_lock(&dev->mappers_lock);
	cds_list_for_each_entry(o, &dev->mappers, in_mappers)
		n += o->mapper(o, o->mapper_arg, kind, open);
	pthread_mutex_unlock(&dev->mappers_lock);
	return n;
}

/* ---- interrupts ---- */

/* linux/vfio.h: argsz counts what comes before data[] */
#define IRQ_SET_SIZE (offsetof(struct vfio_irq_set, count) + sizeof(uint32_t))

int vfio_device_check_irqs(struct vfio_open *o, uint32_t argsz, uint32_t flags, uint32_t index,
			   uint32_t start, uint32_t count, size_t *data_size)
{
	const uint32_t known = VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK;
	struct vfio_irq irq;
	uint64_t unit;

	*data_size = 0;
	if (argsz < IRQ_SET_SIZE || count >= UINT32_MAX - start || (flags & ~known) ||
	    vfio_device_irq(o, index, &irq))
		return -EINVAL;
	/* also for count 0: on an index that has no vectors there is nothing to disable */
	if (start >= irq.count || count > irq.count - start)
		return -EINVAL;
	switch (flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		unit = 0;
		break;
	case VFIO_IRQ_SET_DATA_BOOL:
		unit = sizeof(uint8_t);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		unit = sizeof(int32_t);
		break;
	default: /* none or several */
		return -EINVAL;
	}
	if (argsz - IRQ_SET_SIZE < count * unit)
		return -EINVAL;
	*data_size = count * unit;
	return 0;
}

/*
 * Return what a user wants set-up of MSI or MSI-X to end with: an error, or so many vectors as can
 * be had, as the kernel's vfio_msi_enable(); 0: nothing.
 */
static int irqs_fault(const struct vfio_open *o, const struct vfio_irq_set_args *a)
{
	uint32_t wanted = a->start + a->count;
	const struct fault_where w = { .device = o->dev->name, .size = wanted };
	struct fault f;

	if (!(a->flags & VFIO_IRQ_SET_DATA_EVENTFD) || !(a->flags & VFIO_IRQ_SET_ACTION_TRIGGER) ||
	    (a->index != VFIO_PCI_MSI_IRQ_INDEX && a->index != VFIO_PCI_MSIX_IRQ_INDEX) ||
	    !fault_at(FAULT_IRQS, &w, &f))
		return 0;
	if (f.action == FAULT_ERRNO)
		return f.err;
	if (f.action != FAULT_SHORT || f.param >= wanted)
		return 0;
	/* of one vector there is no part: pci_alloc_irq_vectors() fails */
	return (int)(f.param ?: wanted / 2) ?: -ENOSPC;
}

int vfio_device_set_irqs(struct vfio_open *o, const struct vfio_irq_set_args *a)
{
	size_t size;
	/* the size of a->data is the caller's word: what it must be follows from the rest */
	int ret = vfio_device_check_irqs(o, UINT32_MAX, a->flags, a->index, a->start, a->count,
					 &size);

	if (ret)
		return ret;
	if (size && !a->data)
		return -EINVAL;
	if (fault_wanted(FAULT_IRQS)) {
		ret = irqs_fault(o, a);
		if (ret)
			return ret;
	}
	return o->dev->ops->set_irqs(o->dev, a);
}

int vfio_device_ioeventfd(struct vfio_open *o, uint32_t flags, uint64_t offset, uint64_t data,
			  int fd)
{
	if (!atomic_load(&o->bound) || flags & ~VFIO_DEVICE_IOEVENTFD_SIZE_MASK ||
	    __builtin_popcount(flags) != 1 || fd < -1)
		return -EINVAL;
	if (!o->dev->ops->ioeventfd)
		return -ENOTTY;
	return o->dev->ops->ioeventfd(o->dev, flags, offset, data, fd);
}

/* ---- features ---- */

bool vfio_device_has_vf_token(const struct vfio_open *o)
{
	return atomic_load(&o->bound) && o->dev->ops->set_vf_token;
}

int vfio_device_set_vf_token(struct vfio_open *o, const uint8_t uuid[16])
{
	if (!vfio_device_has_vf_token(o))
		return -ENOTTY;
	return o->dev->ops->set_vf_token(o->dev, uuid);
}

int vfio_device_low_power(struct vfio_open *o, bool enter, int wake)
{
	return vfio_device_has_low_power(o) ? o->dev->ops->low_power(o->dev, enter, wake) : -ENOTTY;
}

struct vfio_migrate *vfio_device_migrate(const struct vfio_open *o)
{
	return atomic_load(&o->bound) ? o->dev->migrate : NULL;
}

/* ---- resets ---- */

int vfio_device_reset(struct vfio_open *o)
{
	if (!atomic_load(&o->bound) || !(o->dev->flags & VFIO_DEVICE_FLAGS_RESET))
		return -EINVAL;
	return o->dev->ops->reset(o->dev);
}

int vfio_device_slot(struct vfio_open *o, struct vfio_place *out, unsigned max)
{
	if (!atomic_load(&o->bound))
		return -EINVAL;
	if (o->dev->ops->slot)
		return o->dev->ops->slot(o->dev, out, max);
	if (!o->dev->ops->slot_reset || o->dev->reset_scope == VFIO_RESET_NONE)
		return -ENODEV;
	return (int)vfio_slot_places(o->dev, out, max);
}

int vfio_device_slot_reset(struct vfio_open *o)
{
	if (!atomic_load(&o->bound))
		return -EINVAL;
	return o->dev->ops->hot_reset ? o->dev->ops->hot_reset(o->dev) : vfio_slot_reset(o->dev);
}
