/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/sriov_test.c: SR-IOV: the capability, what a VF is, and how VFs follow their PF through
 * writes, resets and D-states.
 */
#include "pci/test_function.h"

#define TOTAL  4u
#define OFFSET 0x80u
#define STRIDE 2u

static struct {
	struct uvfio_dev *dev[TOTAL];
	int created, destroyed, resets[TOTAL][5], changed, calls;
	char order[64]; /* c: vfs_changed, p: PF's reset, v: a VF's */
	bool wrong_id, no_pcie, add_bar, add_pin;
	uint64_t value;
	unsigned bar;
	int (*more)(struct uvfio_dev *dev);
} v;

static void note(char c)
{
	size_t n = strlen(v.order);

	if (n + 1 < sizeof(v.order))
		v.order[n] = c;
}

static int vf_create(struct uvfio_dev *dev)
{
	struct uvfio_ids ids = { 0x8086, 0x10ca, 0x8086, 0xa03c, 0x020000, 1 };

	assert_non_null(uvfio_pf(dev));
	assert_ptr_equal(uvfio_priv(uvfio_pf(dev)), &v);
	ids.device += v.wrong_id;
	if (uvfio_set_ids(dev, &ids))
		return -EINVAL;
	if (!v.no_pcie && uvfio_add_pcie(dev, true) < 0)
		return -EINVAL;
	if (v.add_bar)
		return uvfio_add_bar(dev, 1, 4096, 0);
	if (v.add_pin)
		return uvfio_add_intx(dev, 1, true);
	v.created++;
	v.dev[uvfio_vf_index(dev)] = dev;
	return uvfio_add_msix(dev, 3, 3, 0, 3, 0x2000) < 0 ? -EINVAL : 0;
}
static void vf_destroy(struct uvfio_dev *dev)
{
	assert_null(uvfio_vf(uvfio_pf(dev), uvfio_vf_index(dev)));
	v.destroyed++;
}
static void vf_reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	v.resets[uvfio_vf_index(dev)][kind]++;
	note('v');
}
static int vf_read(struct uvfio_dev *dev, unsigned bar, uint64_t off, unsigned size,
		   uint64_t *value)
{
	*value = 0x1000 * uvfio_vf_index(dev) + bar;
	return 0;
}
static int vf_write(struct uvfio_dev *dev, unsigned bar, uint64_t off, unsigned size,
		    uint64_t value)
{
	v.bar = bar;
	v.value = value;
	return 0;
}
static struct uvfio_model vf_model = {
	UVFIO_MODEL_INIT,  .name = "vf",	.create = vf_create,   .destroy = vf_destroy,
	.reset = vf_reset, .bar_read = vf_read, .bar_write = vf_write,
};

static void changed(struct uvfio_dev *pf, unsigned num)
{
	v.changed = (int)num;
	v.calls++;
	note('c');
}
static void drives(struct uvfio_dev *pf)
{
	note('h');
}

static struct uvfio_sriov sriov;
static int pf_create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { 0x8086, 0x10c9, 0x8086, 0xa03c, 0x020000, 1 };
	int off;

	uvfio_set_ids(dev, &ids);
	uvfio_set_priv(dev, &v);
	uvfio_add_bar(dev, 0, 0x20000, 0);
	uvfio_add_pm(dev, false);
	uvfio_add_pcie(dev, true);
	off = uvfio_add_sriov(dev, &sriov);
	return off < 0 ? off : 0;
}

static void good(void)
{
	memset(&v, 0, sizeof(v));
	v.changed = -1;
	sriov = (struct uvfio_sriov){
		.vf = &vf_model,
		.vf_device_id = 0x10ca,
		.total_vfs = TOTAL,
		.first_vf_offset = OFFSET,
		.vf_stride = STRIDE,
		.bars = { [0] = { 0x4000, UVFIO_BAR_64 }, [3] = { 0x4000, UVFIO_BAR_64 } },
		.vfs_changed = changed,
	};
	vf_model.concurrent = false;
	vf_model.options = NULL;
}

static pci_function *vfs[TOTAL];
static pci_function *make(unsigned n)
{
	pci_function *fn;
	char err[256] = "";

	good();
	fn = t_new(pf_create);
	for (unsigned i = 0; i < n; i++)
		if (pci_vf_new(fn, i, "0000:01:10.0", err, sizeof(err), &vfs[i]))
			fail_msg("%s", err);
	memset(v.order, 0, sizeof(v.order));
	return fn;
}
static void unmake(pci_function *fn, unsigned n)
{
	while (n)
		pci_function_free(vfs[--n]);
	t_free(fn);
}

static unsigned cap(pci_function *fn)
{
	return pci_find_ext_cap(fn, PCI_EXT_CAP_ID_SRIOV);
}

static void capability(void **state)
{
	pci_function *fn = make(0);
	unsigned c = cap(fn);

	assert_int_equal(c, 0x100);
	assert_int_equal(rd16(c + PCI_SRIOV_TOTAL_VF), TOTAL);
	assert_int_equal(rd16(c + PCI_SRIOV_INITIAL_VF), TOTAL);
	assert_int_equal(rd16(c + PCI_SRIOV_VF_OFFSET), OFFSET);
	assert_int_equal(rd16(c + PCI_SRIOV_VF_STRIDE), STRIDE);
	assert_int_equal(rd16(c + PCI_SRIOV_VF_DID), 0x10ca);
	assert_int_equal(rd32(c + PCI_SRIOV_SUP_PGSIZE), 0x553);
	/* sized as any BAR */
	wr32(c + PCI_SRIOV_BAR, 0xffffffff);
	wr32(c + PCI_SRIOV_BAR + 4, 0xffffffff);
	assert_int_equal(rd32(c + PCI_SRIOV_BAR), 0xffffc004);
	assert_int_equal(rd32(c + PCI_SRIOV_BAR + 4), 0xffffffff);
	wr32(c + PCI_SRIOV_BAR + 8, 0xffffffff);
	assert_int_equal(rd32(c + PCI_SRIOV_BAR + 8), 0);
	assert_int_equal(pci_sriov_total(fn), TOTAL);
	assert_null(pci_function_pf(fn));
	assert_int_equal(uvfio_num_vfs(fn), 0);
	assert_null(uvfio_vf(fn, 0));
	assert_null(uvfio_vf(fn, 1000));
	assert_int_equal(pci_sriov_set(fn, TOTAL + 1), -EINVAL);
	t_free(fn);
}

static void refused(void **state)
{
	static const struct uvfio_option opts[] = { { .name = "x" }, { 0 } };
	char err[256];
	pci_function *fn;

#define REFUSED(change, text)                                                      \
	do {                                                                       \
		good();                                                            \
		change;                                                            \
		assert_true(t_try(pf_create, NULL, 0, err, sizeof(err), &fn) < 0); \
		assert_non_null(strstr(err, text));                                \
	} while (0)
	REFUSED(sriov.vf = NULL, "model");
	REFUSED(vf_model.options = opts, "model");
	REFUSED(vf_model.concurrent = true, "concurrent");
	REFUSED(sriov.total_vfs = 0, "1 to 255");
	REFUSED(sriov.total_vfs = 256, "1 to 255");
	REFUSED(sriov.first_vf_offset = 0, "offset");
	REFUSED(sriov.vf_stride = 0, "stride");
	REFUSED(sriov.bars[0].size = 3000, "VF BAR0");
	REFUSED(sriov.bars[1].size = 0x4000, "VF BAR0");
	REFUSED(sriov.bars[0].flags = UVFIO_BAR_IO, "VF BAR0");
	REFUSED(sriov.host_driver = "igb", "driver of the host");
	loop_free(t.loop);
	t.loop = NULL;

	fn = make(1);
	assert_int_equal(pci_vf_new(fn, TOTAL, "x", err, sizeof(err), &vfs[1]), -EINVAL);
	assert_int_equal(pci_vf_new(fn, 0, "x", err, sizeof(err), &vfs[1]), -EEXIST);
	assert_ptr_equal(uvfio_vf(fn, 0), vfs[0]);
#define NO_VF(what, text)                                                           \
	do {                                                                        \
		what = true;                                                        \
		assert_true(pci_vf_new(fn, 1, "x", err, sizeof(err), &vfs[1]) < 0); \
		assert_non_null(strstr(err, text));                                 \
		assert_null(uvfio_vf(fn, 1));                                       \
		what = false;                                                       \
	} while (0)
	NO_VF(v.wrong_id, "device ID");
	NO_VF(v.no_pcie, "FLR");
	NO_VF(v.add_bar, "BARs");
	NO_VF(v.add_pin, "Invalid");
	unmake(fn, 1);
}

static void vf_config(void **state)
{
	pci_function *pf = make(2), *fn = vfs[1];
	unsigned exp;

	/* not enabled: nobody answers */
	assert_int_equal(rd32(0), 0xffffffff);
	assert_int_equal(rd16(PCI_COMMAND), 0xffff);
	assert_int_equal(rd8(0x40), 0xff);
	/* but itself */
	assert_int_equal(uvfio_config_get(fn, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	assert_int_equal(pci_sriov_set(pf, 2), 0);
	assert_int_equal(uvfio_num_vfs(pf), 2);
	assert_int_equal(rd32(0), 0xffffffff);
	assert_int_equal(rd32(PCI_SUBSYSTEM_VENDOR_ID), 0xa03c8086);
	assert_int_equal(rd32(PCI_CLASS_REVISION), 0x02000001);
	wr16(PCI_COMMAND, 0xffff);
	assert_int_equal(rd16(PCI_COMMAND), PCI_COMMAND_MASTER);
	for (unsigned off = PCI_CACHE_LINE_SIZE; off < PCI_SUBSYSTEM_VENDOR_ID; off++) {
		wr8(off, 0xff);
		assert_int_equal(rd8(off), 0);
	}
	wr32(PCI_ROM_ADDRESS, 0xffffffff);
	assert_int_equal(rd32(PCI_ROM_ADDRESS), 0);
	wr32(PCI_INTERRUPT_LINE, 0xffffffff);
	assert_int_equal(rd32(PCI_INTERRUPT_LINE), 0);
	exp = pci_find_cap(fn, PCI_CAP_ID_EXP);
	wr16(exp + PCI_EXP_DEVCTL, 0x7fff);
	assert_int_equal(rd16(exp + PCI_EXP_DEVCTL), 0);
	wr16(exp + PCI_EXP_LNKCTL, 0xffff);
	assert_int_equal(rd16(exp + PCI_EXP_LNKCTL), 0);
	wr16(exp + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(v.resets[1][UVFIO_RESET_FLR], 1);
	assert_int_equal(v.resets[0][UVFIO_RESET_FLR], 0);
	assert_int_equal(pci_function_bar(fn, 0)->size, 0x4000);
	assert_int_equal(pci_function_bar(fn, 1)->size, 0);
	assert_ptr_equal(pci_function_pf(fn), pf);
	unmake(pf, 2);
}

static void access_and_dma(void **state)
{
	pci_function *fn = make(2);
	unsigned c = cap(fn);
	uint64_t value;

	assert_int_equal(pci_bar_read(vfs[1], 0, 0, 4, &value), -EIO);
	pci_sriov_set(fn, 2);
	assert_int_equal(pci_bar_read(vfs[1], 0, 0, 4, &value), 0);
	assert_int_equal(value, 0x1000);
	assert_int_equal(pci_bar_write(vfs[0], 0, 8, 4, 77), 0);
	assert_int_equal(v.value, 77);
	/* DMA and messages by the VF's own bus master bit */
	assert_true(vfs[1]->iommu.blocked);
	pci_config_write(vfs[1], PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_false(vfs[1]->iommu.blocked);
	assert_true(vfs[0]->iommu.blocked);
	test_irqs_watch(&t.irqs, vfs[1]);
	pci_msix_enable(vfs[1]);
	pci_msix_entry(vfs[1], 1, true);
	uvfio_msi(vfs[1], 1);
	assert_int_equal(t.irqs.msi[1], 1);
	/* memory of all VFs is switched in the PF, and goes when the PF sleeps */
	wr16(c + PCI_SRIOV_CTRL, PCI_SRIOV_CTRL_VFE);
	assert_int_equal(pci_bar_read(vfs[1], 0, 0, 4, &value), -EIO);
	assert_false(vfs[1]->iommu.blocked);
	wr16(c + PCI_SRIOV_CTRL, PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	assert_int_equal(pci_bar_read(vfs[1], 0, 0, 4, &value), 0);
	wr16(pci_find_cap(fn, PCI_CAP_ID_PM) + PCI_PM_CTRL, 3);
	assert_int_equal(pci_bar_read(vfs[1], 0, 0, 4, &value), -EIO);
	assert_true(vfs[1]->iommu.blocked);
	uvfio_msi(vfs[1], 1);
	assert_int_equal(t.irqs.msi[1], 1);
	/* the PF comes back reset: no VFs */
	wr16(pci_find_cap(fn, PCI_CAP_ID_PM) + PCI_PM_CTRL, 0);
	assert_int_equal(uvfio_num_vfs(fn), 0);
	assert_int_equal(v.resets[1][UVFIO_RESET_PF], 1);
	assert_int_equal(v.changed, 0);
	unmake(fn, 2);
}

static void enable_disable(void **state)
{
	pci_function *fn = make(3);
	unsigned c = cap(fn);

	assert_int_equal(pci_sriov_set(fn, 3), 0);
	assert_string_equal(v.order, "c");
	assert_int_equal(v.changed, 3);
	assert_int_equal(rd16(c + PCI_SRIOV_NUM_VF), 3);
	/* frozen while VFs are enabled */
	wr16(c + PCI_SRIOV_NUM_VF, 1);
	assert_int_equal(rd16(c + PCI_SRIOV_NUM_VF), 3);
	wr32(c + PCI_SRIOV_BAR, 0x80000000);
	assert_int_equal(rd32(c + PCI_SRIOV_BAR), 4);
	pci_config_write(vfs[2], PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	memset(v.order, 0, sizeof(v.order));
	assert_int_equal(pci_sriov_set(fn, 0), 0);
	assert_string_equal(v.order, "cvvv");
	assert_int_equal(v.changed, 0);
	assert_int_equal(rd16(c + PCI_SRIOV_NUM_VF), 0);
	assert_true(vfs[2]->iommu.blocked);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(v.resets[i][UVFIO_RESET_PF], 1);
	/* back with one less, and the registers of power-on */
	assert_int_equal(pci_sriov_set(fn, 2), 0);
	assert_int_equal(pci_config_read(vfs[1], PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	assert_int_equal(pci_config_read(vfs[2], PCI_STATUS, 2), 0xffff);
	assert_true(vfs[0]->iommu.blocked);
	assert_int_equal(v.created, 3);
	/* more than there are */
	pci_sriov_set(fn, 0);
	wr16(c + PCI_SRIOV_NUM_VF, 0x7fff);
	wr16(c + PCI_SRIOV_CTRL, PCI_SRIOV_CTRL_VFE);
	assert_int_equal(uvfio_num_vfs(fn), TOTAL);
	unmake(fn, 3);
	assert_int_equal(v.destroyed, 3);
}

static void pf_reset(void **state)
{
	pci_function *fn = make(2);
	unsigned c = cap(fn);
	uint8_t saved[PCI_CFG_EXP_SIZE];
	uint32_t bar;

	wr32(c + PCI_SRIOV_BAR, 0x40000000);
	pci_save_state(fn, saved); /* before VFs are enabled, as at an open */
	pci_sriov_set(fn, 2);
	t.on_reset = NULL;
	memset(v.order, 0, sizeof(v.order));
	pci_function_reset(fn, UVFIO_RESET_FLR);
	assert_string_equal(v.order, "cvv");
	assert_int_equal(v.changed, 0);
	assert_int_equal(rd16(c + PCI_SRIOV_CTRL), 0);
	assert_int_equal(rd32(c + PCI_SRIOV_BAR), 4);
	assert_int_equal(pci_config_read(vfs[0], PCI_STATUS, 2), 0xffff);
	/* what the platform asked for comes back, not what was saved */
	pci_restore_state(fn, saved);
	assert_int_equal(rd16(c + PCI_SRIOV_NUM_VF), 2);
	assert_int_equal(rd16(c + PCI_SRIOV_CTRL), PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	bar = rd32(c + PCI_SRIOV_BAR);
	assert_int_equal(bar, 0x40000004);
	assert_int_equal(v.changed, 2);
	assert_int_equal(v.resets[0][UVFIO_RESET_PF], 1);
	/* and none, when none is wanted any more */
	pci_save_state(fn, saved);
	pci_sriov_set(fn, 0);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	pci_restore_state(fn, saved);
	assert_int_equal(uvfio_num_vfs(fn), 0);
	assert_int_equal(rd32(c + PCI_SRIOV_BAR), 0x40000004);
	unmake(fn, 2);
}

static void host(void **state)
{
	pci_function *fn;

	good();
	sriov.host_driver = "igb";
	sriov.host_drives = drives;
	fn = t_new(pf_create);
	assert_string_equal(pci_sriov_info(fn)->host_driver, "igb");
	memset(v.order, 0, sizeof(v.order));
	pci_sriov_host_drives(fn);
	assert_string_equal(v.order, "h");
	t_free(fn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capability),	  cmocka_unit_test(refused),
		cmocka_unit_test(vf_config),	  cmocka_unit_test(access_and_dma),
		cmocka_unit_test(enable_disable), cmocka_unit_test(pf_reset),
		cmocka_unit_test(host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
