/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/sriov_test.c: a PF and its VFs under the driver: what a VF's user sees, tokens, and
 * resets that take neighbours along. tests/sriov.sh asks the kernel the same questions.
 */
#include "vfio_pci/test_device.h"

#define VFS 2u

/* VF tokens */
static const uint8_t one[16] = { 0xaa, 0xaa, 0xaa, 0xaa, 0xbb, 0xbb, 0xcc, 0xcc,
				 0xdd, 0xdd, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee };
static const uint8_t two[16] = { 0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33,
				 0x44, 0x44, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55 };

static char order[64]; /* P, V: resets of the models */
static void note(char c)
{
	size_t n = strlen(order);

	if (n + 1 < sizeof(order))
		order[n] = c;
}
static void pf_reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	note(kind == UVFIO_RESET_BUS ? 'B' : 'P');
}
static void vf_reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	note(kind == UVFIO_RESET_PF ? 'v' : 'V');
}
static int read_index(struct uvfio_dev *dev, unsigned bar, uint64_t off, unsigned size,
		      uint64_t *value)
{
	*value = 0x40 + uvfio_vf_index(dev);
	return 0;
}
static int vf_create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { 0x1234, 0x5602, 0x1234, 2, 0xff0000, 1 };

	if (uvfio_set_ids(dev, &ids) || uvfio_add_pcie(dev, true) < 0 ||
	    uvfio_add_msix(dev, 2, 2, 0, 2, 0x800) < 0)
		return -EINVAL;
	return uvfio_add_aer(dev) < 0 ? -EINVAL : 0;
}
static const struct uvfio_model vf_model = {
	UVFIO_MODEL_INIT,  .name = "vf",	   .create = vf_create,
	.reset = vf_reset, .bar_read = read_index,
};
static int pf_create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { 0x1234, 0x5601, 0x1234, 1, 0xff0000, 1 };
	static const struct uvfio_sriov sriov = {
		.vf = &vf_model,
		.vf_device_id = 0x5602,
		.total_vfs = VFS,
		.first_vf_offset = 0x80,
		.vf_stride = 2,
		.bars = { [0] = { 0x4000, UVFIO_BAR_64 | UVFIO_BAR_PREFETCH },
			  [2] = { 0x1000, 0 } },
	};

	if (uvfio_set_ids(dev, &ids) || uvfio_add_bar(dev, 0, 0x1000, 0) ||
	    uvfio_add_pm(dev, false) < 0 || uvfio_add_pcie(dev, true) < 0)
		return -EINVAL;
	return uvfio_add_sriov(dev, &sriov) < 0 ? -EINVAL : 0;
}
static const struct uvfio_model pf_model = {
	UVFIO_MODEL_INIT,  .name = "pf",	   .create = pf_create,
	.reset = pf_reset, .bar_read = read_index,
};

/* the names[0], then the VFs, each in a group of its own */
static struct vfio_system *sys;
static struct iommu_group *ig[1 + VFS];
static struct vfio_group *g[1 + VFS];
static struct tdev t[1 + VFS];
static const char *const names[1 + VFS] = { "0000:01:00.0", "0000:01:10.0", "0000:01:10.2" };

static void plug(unsigned i)
{
	struct pci_address a;
	char err[256];

	if (i ? pci_vf_new(t[0].fn, i - 1, names[i], err, sizeof(err), &t[i].fn)
	      : pci_function_new(&pf_model, names[0], 0, sys->loop, NULL, 0, err, sizeof(err),
				 &t[0].fn))
		fail_msg("%s", err);
	t[i].loop = sys->loop;
	assert_int_equal(pci_address_parse(names[i], &a), 0);
	assert_int_equal(vfio_pci_bind(t[i].fn, &a, sys->loop, &t[i].dev), 0);
	t_opener(&t[i]);
	if (i)
		vfio_pci_set_pf(t[i].dev, t[0].dev);
	ig[i] = iommu_group_new(i + 1);
	assert_int_equal(vfio_system_add_group(sys, ig[i], &g[i]), 0);
	assert_int_equal(vfio_group_add_device(g[i], t[i].dev), 0);
}

static int setup(void **state)
{
	log_set(2, LOG_ERR);
	sys = vfio_system_new(NULL, NULL);
	for (unsigned i = 0; i <= VFS; i++)
		plug(i);
	pci_config_write(t[0].fn, PCI_BASE_ADDRESS_0, 4, 0xe0000000);
	pci_config_write(t[0].fn,
			 pci_find_ext_cap(t[0].fn, PCI_EXT_CAP_ID_SRIOV) + PCI_SRIOV_BAR + 8, 4,
			 0xe0010000);
	assert_int_equal(vfio_pci_sriov_configure(t[0].dev, VFS), 0);
	memset(order, 0, sizeof(order));
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 1 + VFS; i-- > 0;) {
		vfio_pci_unbind(t[i].dev);
		pci_function_free(t[i].fn);
		iommu_group_free(ig[i]);
	}
	vfio_system_free(sys);
	return 0;
}

static void open_all(void)
{
	for (unsigned i = 0; i <= VFS; i++)
		assert_int_equal(vfio_device_open(t[i].dev), 0);
	memset(order, 0, sizeof(order));
}
static void close_all(void)
{
	for (unsigned i = 1 + VFS; i-- > 0;)
		vfio_device_close(t[i].dev);
}

static ssize_t load(struct tdev *d, unsigned bar, uint32_t *v)
{
	*v = 0;
	return d->dev->ops->rw(d->dev, bar, 0, v, 4, false);
}

static void test_config(void **state)
{
	struct tdev *v = &t[2];
	struct vfio_region r;
	struct vfio_irq irq;
	uint32_t x;

	assert_int_equal(vfio_device_open(v->dev), 0);
	assert_int_equal(hr(v, 0, 4), 0xffffffff);
	assert_int_equal(cr(v, 0, 4), 0x56021234);
	assert_int_equal(cr(v, 1, 1), 0x12);
	assert_int_equal(cr(v, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	/* the user's bit, and what it does not switch */
	cw(v, PCI_COMMAND, 2, 0);
	assert_int_equal(cr(v, PCI_COMMAND, 2), 0);
	assert_int_equal(load(v, 0, &x), 4);
	assert_int_equal(x, 0x41);
	cw(v, PCI_COMMAND, 1, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_IO);
	assert_int_equal(cr(v, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(hr(v, PCI_COMMAND, 2), PCI_COMMAND_MASTER);
	assert_int_equal(cr(v, PCI_COMMAND, 4) & 0xffff, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	/* BARs: sized, of the PF's sorts, and no address of the host */
	assert_int_equal(cr(v, PCI_BASE_ADDRESS_0, 4), 0xc);
	cw(v, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	cw(v, PCI_BASE_ADDRESS_1, 4, 0xffffffff);
	cw(v, PCI_BASE_ADDRESS_2, 4, 0xffffffff);
	cw(v, PCI_BASE_ADDRESS_3, 4, 0xffffffff);
	assert_int_equal(cr(v, PCI_BASE_ADDRESS_0, 4), 0xffffc00c);
	assert_int_equal(cr(v, PCI_BASE_ADDRESS_1, 4), 0xffffffff);
	assert_int_equal(cr(v, PCI_BASE_ADDRESS_2, 4), 0xfffff000);
	assert_int_equal(cr(v, PCI_BASE_ADDRESS_3, 4), 0);
	assert_int_equal(load(v, 0, &x), 4); /* nothing moved */
	assert_int_equal(v->dev->ops->region(v->dev, 0, &r), 0);
	assert_int_equal(r.size, 0x4000);
	assert_true(r.flags & VFIO_REGION_INFO_FLAG_MMAP);
	assert_int_equal(v->dev->ops->irq(v->dev, INTX, &irq), 0);
	assert_int_equal(irq.count, 0);
	assert_int_equal(cr(v, PCI_INTERRUPT_PIN, 1), 0);
	assert_true(v->dev->flags & VFIO_DEVICE_FLAGS_RESET);
	vfio_device_close(v->dev);
}

static int check(unsigned i, const uint8_t *token)
{
	return vfio_device_check_token(t[i].dev, token);
}

static unsigned heard;
static uint8_t heard_uuid[16];
static void on_token(void *arg)
{
	assert_ptr_equal(arg, &heard);
	heard++;
	vfio_pci_token(t[0].dev, heard_uuid);
}

static void test_tokens(void **state)
{
	uint8_t buf[16];

	log_set(2, LOG_NONE);
	vfio_pci_on_token(t[0].dev, on_token, &heard);
	heard = 0;
	assert_int_equal(check(1, NULL), -EACCES);
	assert_int_equal(check(1, one), -EACCES);
	assert_int_equal(check(0, NULL), 0);
	assert_int_equal(heard, 0);
	assert_int_equal(check(0, one), 0);
	assert_int_equal(heard, 1);
	assert_int_equal(heard_uuid[0], 0xaa);
	assert_int_equal(check(1, one), 0);
	assert_int_equal(check(1, two), -EACCES);
	/* while a VF is in use, a user of the PF has to know it; the last one counts */
	assert_int_equal(vfio_device_open(t[1].dev), 0);
	assert_int_equal(vfio_device_open(t[2].dev), 0);
	assert_int_equal(check(0, NULL), -EACCES);
	assert_int_equal(check(0, two), -EACCES);
	assert_int_equal(check(0, one), 0);
	assert_int_equal(heard, 1);
	vfio_device_close(t[1].dev);
	assert_int_equal(check(0, NULL), -EACCES);
	vfio_device_close(t[2].dev);
	assert_int_equal(check(0, NULL), 0);
	assert_int_equal(check(0, two), 0);
	assert_int_equal(heard, 2);

	/* the feature */
	assert_int_equal(vfio_device_open(t[0].dev), 0);
	assert_int_equal(vfio_device_open(t[1].dev), 0);
	memcpy(buf, two, 16);
	buf[0] = 0x99;
	assert_null(t[1].dev->ops->set_vf_token);
	assert_int_equal(heard, 2);
	assert_int_equal(t[0].dev->ops->set_vf_token(t[0].dev, buf), 0);
	assert_int_equal(heard, 3);
	assert_int_equal(check(1, two), -EACCES);
	vfio_pci_load_token(t[0].dev, two);
	assert_int_equal(heard, 3);
	assert_int_equal(check(1, two), 0);
	vfio_device_close(t[1].dev);
	vfio_device_close(t[0].dev);
	log_set(2, LOG_ERR);
}

/* A PF with another driver: there is no token. */
static void test_lone_vf(void **state)
{
	log_set(2, LOG_NONE);
	vfio_pci_set_pf(t[1].dev, NULL);
	assert_int_equal(check(1, NULL), 0);
	assert_int_equal(check(1, one), -EINVAL);
	assert_null(t[1].dev->ops->slot_reset);
	assert_int_equal(vfio_device_open(t[1].dev), 0);
	assert_int_equal(check(0, NULL), 0); /* nobody's user */
	vfio_device_close(t[1].dev);
	vfio_pci_set_pf(t[1].dev, t[0].dev);
	log_set(2, LOG_ERR);
}

static unsigned num_vfs_reg(void)
{
	return cr(&t[0], user_ext_cap(&t[0], PCI_EXT_CAP_ID_SRIOV) + PCI_SRIOV_NUM_VF, 2);
}

static void test_pf_capability(void **state)
{
	unsigned cap;

	open_all();
	cap = user_ext_cap(&t[0], PCI_EXT_CAP_ID_SRIOV);
	assert_true(cap);
	assert_int_equal(num_vfs_reg(), VFS);
	cw(&t[0], cap + PCI_SRIOV_CTRL, 2, 0);
	cw(&t[0], cap + PCI_SRIOV_NUM_VF, 2, 0);
	assert_int_equal(num_vfs_reg(), VFS);
	assert_int_equal(uvfio_num_vfs(t[0].fn), VFS);
	/* its power neither: it would be theirs */
	cw(&t[0], user_cap(&t[0], PCI_CAP_ID_PM) + PCI_PM_CTRL, 2, 3);
	assert_int_equal(pci_power_state(t[0].fn), 0);
	assert_int_equal(cr(&t[0], user_cap(&t[0], PCI_CAP_ID_PM) + PCI_PM_CTRL, 2) & 3, 0);
	/*
	 * VFs that come and go while the PF is open are what its user sees, and stay when it closes
	 */
	vfio_device_close(t[1].dev);
	vfio_device_close(t[2].dev);
	assert_int_equal(vfio_pci_sriov_configure(t[0].dev, 0), 0);
	assert_int_equal(num_vfs_reg(), 0);
	cw(&t[0], user_cap(&t[0], PCI_CAP_ID_PM) + PCI_PM_CTRL, 2, 3);
	assert_int_equal(vfio_pci_sriov_configure(t[0].dev, 1), 0);
	assert_int_equal(pci_power_state(t[0].fn), 0);
	assert_int_equal(num_vfs_reg(), 1);
	vfio_device_close(t[0].dev);
	assert_int_equal(uvfio_num_vfs(t[0].fn), 1);
	assert_int_equal(vfio_device_open(t[1].dev), 0);
	vfio_device_close(t[1].dev);
	assert_int_equal(vfio_pci_sriov_configure(t[0].dev, VFS + 1), -EINVAL);
}

static void test_pf_reset(void **state)
{
	int fd = t_eventfd();
	uint32_t x;

	open_all();
	cw(&t[1], PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(set_irqs(&t[1], MSIX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	uvfio_msi(t[1].fn, 0);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(t[0].dev->ops->reset(t[0].dev), 0);
	assert_string_equal(order, "Pvv");
	assert_int_equal(num_vfs_reg(), VFS);
	/* the VF is there again, as after power-on: its driver has to begin anew */
	assert_int_equal(load(&t[1], 0, &x), 4);
	assert_int_equal(x, 0x40);
	assert_int_equal(cr(&t[1], PCI_COMMAND, 2) & PCI_COMMAND_MASTER, 0);
	uvfio_msi(t[1].fn, 0);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(t[1].dev->ops->reset(t[1].dev), 0);
	cw(&t[1], PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	uvfio_msi(t[1].fn, 0);
	assert_int_equal(taken(fd), 1);
	close_all();
	close(fd);
}

static void test_slot(void **state)
{
	struct vfio_place out[8];

	open_all();
	for (unsigned i = 0; i <= VFS; i++) {
		assert_int_equal(vfio_slot_places(t[i].dev, out, 8), 1 + VFS);
		assert_int_equal(vfio_slot_reset(t[i].dev), -EINVAL);
	}
	assert_string_equal(order, "");
	close_all();
	/* without its VFs the PF is alone */
	assert_int_equal(vfio_pci_sriov_configure(t[0].dev, 0), 0);
	for (unsigned i = 1; i <= VFS; i++)
		vfio_group_remove_device(g[i], t[i].dev);
	memset(order, 0, sizeof(order));
	assert_int_equal(vfio_slot_places(t[0].dev, out, 8), 1);
	assert_int_equal(vfio_slot_reset(t[0].dev), 0);
	assert_string_equal(order, "B");
}

/* The PF goes first; what its last user leaves is a reset, after which the VF still answers. */
static void test_close_order(void **state)
{
	uint32_t x;

	open_all();
	vfio_device_close(t[0].dev);
	assert_int_equal(load(&t[1], 0, &x), 4);
	assert_int_equal(x, 0x40);
	assert_int_equal(cr(&t[1], 0, 4), 0x56021234);
	vfio_device_close(t[1].dev);
	vfio_device_close(t[2].dev);
	/* left open, as by a program that ends */
	assert_int_equal(vfio_device_open(t[2].dev), 0);
	assert_int_equal(vfio_device_open(t[0].dev), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_config),	  T(test_tokens), T(test_lone_vf),     T(test_pf_capability),
		T(test_pf_reset), T(test_slot),	  T(test_close_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
