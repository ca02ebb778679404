/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/page_request_test.c: who can have page requests and PASIDs, and what is one. (models/testdev
 * has the rest: requests and answers of a whole device.)
 */
#include "pci/test_function.h"

static unsigned outstanding;

static int create(struct uvfio_dev *dev)
{
	int ret = uvfio_add_pcie(dev, true);

	ret = ret < 0 ? ret : uvfio_add_pri(dev, outstanding);
	return ret < 0 ? ret : 0;
}

static atomic_uint answers, answer_group;

static void on_answer(struct uvfio_dev *dev, unsigned group, uint32_t pasid,
		      enum uvfio_page_answer answer)
{
	assert_int_equal(answer, UVFIO_PAGE_INVALID);
	assert_int_equal(pasid, UVFIO_NO_PASID);
	atomic_store(&answer_group, group);
	atomic_fetch_add(&answers, 1);
}

static void who(void **state)
{
	pci_function *fn;

	outstanding = 8;
	t_model.page_response = NULL;
	assert_int_equal(t_try(create, NULL, 0, NULL, 0, &fn), -EINVAL);
	t_model.page_response = on_answer;
	for (outstanding = 0; outstanding <= UVFIO_PRI_MAX + 1; outstanding += UVFIO_PRI_MAX + 1)
		assert_int_equal(t_try(create, NULL, 0, NULL, 0, &fn), -EINVAL);
	fn = t_new(NULL);
	assert_int_equal(uvfio_page_request(fn, 0, 1, UVFIO_NO_PASID, 0, true), -EINVAL);
	assert_int_equal(uvfio_add_pri(fn, 8), -EINVAL); /* too late */
	t_free(fn);
}

static void requests(void **state)
{
	pci_function *fn;

	outstanding = 2;
	fn = t_new(create);
	assert_int_equal(uvfio_page_request(fn, 0, 1, UVFIO_NO_PASID, 0, true), -EFAULT);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(uvfio_page_request(fn, 0, 0, UVFIO_NO_PASID, 0, true), -EINVAL);
	assert_int_equal(uvfio_page_request(fn, 0, 9, UVFIO_NO_PASID, 0, true), -EINVAL);
	assert_int_equal(uvfio_page_request(fn, 0, 1, UVFIO_NO_PASID, 512, true), -EINVAL);
	assert_int_equal(uvfio_page_request(fn, 0, 1, 1, 0, true), -EINVAL);
	assert_false(uvfio_page_present(fn, 0, 1, UVFIO_NO_PASID));
	/* nobody takes them: each group has its answer, on another thread */
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(uvfio_page_request(fn, 0, 1, UVFIO_NO_PASID, 100 + i, false), 0);
		assert_int_equal(uvfio_page_request(fn, 0, 2, UVFIO_NO_PASID, 100 + i, true), 0);
		WAIT(atomic_load(&answers) == i);
		assert_int_equal(atomic_load(&answer_group), 100 + i);
	}
	t_free(fn);
}

static unsigned width;
static bool exec;

static int create_pasid(struct uvfio_dev *dev)
{
	int ret;

	assert_int_equal(uvfio_add_pasid(dev, 4, false), -EINVAL); /* without PCI Express */
	ret = create(dev);
	ret = ret < 0 ? ret : uvfio_add_pasid(dev, width, exec);
	return ret < 0 ? ret : 0;
}

static void pasids(void **state)
{
	pci_function *fn;
	unsigned off;
	char c = 0;

	for (width = 0; width <= 21; width += 21)
		assert_int_equal(t_try(create_pasid, NULL, 0, NULL, 0, &fn), -EINVAL);
	width = 4;
	for (exec = false;; exec = true) {
		fn = t_new(create_pasid);
		pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
		off = pci_find_ext_cap(fn, PCI_EXT_CAP_ID_PASID);
		assert_int_equal(rd16(off + PCI_PASID_CAP),
				 4 << 8 | (exec ? PCI_PASID_CAP_EXEC : 0));
		assert_int_equal(rd16(off + PCI_PASID_CTRL), exec ? 3 : 1);
		answers = 0;
		assert_int_equal(uvfio_page_request(fn, 0, 1, 16, 0, true), -EINVAL);
		assert_int_equal(uvfio_page_request(fn, 0, 5, UVFIO_NO_PASID, 0, true), -EINVAL);
		assert_int_equal(uvfio_page_request(fn, 0, 5, 15, 0, false), exec ? 0 : -EINVAL);
		assert_int_equal(uvfio_dma_read_pasid(fn, 16, 0, &c, 1), -EINVAL);
		assert_int_equal(uvfio_dma_write_pasid(fn, UINT32_MAX, 0, &c, 1), -EINVAL);
		assert_int_equal(uvfio_dma_write_pasid(fn, 15, 0, &c, 1), -EFAULT);
		assert_int_equal(uvfio_dma_read_pasid(fn, UVFIO_NO_PASID, 0, &c, 1), -EFAULT);
		t_free(fn);
		if (exec)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who),
		cmocka_unit_test(requests),
		cmocka_unit_test(pasids),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
