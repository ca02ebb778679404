/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/model_test.c: models that were compiled with an older or a newer struct uvfio_model than this
 * uvfio has.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "pci/function.h"

static int create(struct uvfio_dev *dev)
{
	const struct uvfio_ids ids = { .vendor = 0x1af4, .device = 0x7777 };

	return uvfio_set_ids(dev, &ids);
}

static unsigned quiesced;

static void quiesce(struct uvfio_dev *dev)
{
	quiesced++;
}

static int save(struct uvfio_dev *dev, struct uvfio_state *s)
{
	return 0;
}

static int load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version)
{
	return 0;
}

static uint64_t dirty(struct uvfio_dev *dev)
{
	return 0;
}

static const struct uvfio_option options[] = { { .name = "file" }, { 0 } };

/* The struct as it stood in the header when UVFIO_MODEL_ABI was 1. */
static const struct {
	uint32_t abi;
	const char *name;
	const char *summary;
	const struct uvfio_option *options;
	bool concurrent;
	int (*create)(struct uvfio_dev *dev);
	void (*destroy)(struct uvfio_dev *dev);
	void (*reset)(struct uvfio_dev *dev, enum uvfio_reset_kind kind);
	int (*bar_read)(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			uint64_t *value);
	int (*bar_write)(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			 uint64_t value);
	void (*config_written)(struct uvfio_dev *dev, unsigned offset, unsigned size);
	void (*power)(struct uvfio_dev *dev, unsigned d);
	void (*quiesce)(struct uvfio_dev *dev);
} first_abi = {
	.abi = 1,
	.name = "first",
	.summary = "of the first ABI",
	.options = options,
	.concurrent = true,
	.create = create,
	.quiesce = quiesce,
};

static char why[256];

static int take(const void *theirs, struct uvfio_model *full)
{
	why[0] = '\0';
	memset(full, 0x5a, sizeof(*full));
	return pci_model_take(theirs, full, why, sizeof(why));
}

/* It is a whole model, and a device can be made of it. */
static void is_usable(const struct uvfio_model *m)
{
	struct loop *loop = loop_new();
	pci_function *fn;

	assert_int_equal(m->abi, UVFIO_MODEL_ABI);
	assert_int_equal(m->size, sizeof(*m));
	assert_int_equal(
		pci_function_new(m, "0000:01:00.0", 0, loop, NULL, 0, why, sizeof(why), &fn), 0);
	pci_function_quiesce(fn);
	pci_function_free(fn);
	loop_free(loop);
}

static void test_first_abi(void **state)
{
	struct uvfio_model full;

	assert_int_equal(take(&first_abi, &full), 0);
	assert_string_equal(full.name, "first");
	assert_string_equal(full.summary, "of the first ABI");
	assert_ptr_equal(full.options, options);
	assert_true(full.concurrent);
	assert_ptr_equal(full.create, create);
	assert_null(full.destroy);
	assert_null(full.power);
	assert_ptr_equal(full.quiesce, quiesce);
	quiesced = 0;
	is_usable(&full);
	assert_int_equal(quiesced, 1);
}

/* Memory behind a shorter one is not its own, and not looked at. */
static void test_shorter(void **state)
{
	struct uvfio_model m = { UVFIO_MODEL_INIT, .name = "short", .create = create }, full;

	m.size = offsetof(struct uvfio_model, quiesce);
	memset((char *)&m + m.size, 0xff, sizeof(m) - m.size);
	assert_int_equal(take(&m, &full), 0);
	assert_null(full.quiesce);
	assert_ptr_equal(full.create, create);
	is_usable(&full);
	m.size = offsetof(struct uvfio_model, create);
	assert_int_equal(take(&m, &full), -EINVAL);
	assert_non_null(strstr(why, "UVFIO_MODEL_INIT"));
}

static void test_longer(void **state)
{
	struct {
		struct uvfio_model m;
		char more[24];
	} l = { { UVFIO_MODEL_INIT, .name = "long", .create = create }, "" };
	struct uvfio_model full;

	l.m.size = sizeof(l);
	assert_int_equal(take(&l, &full), 0);
	assert_string_equal(full.name, "long");
	is_usable(&full);
	l.more[sizeof(l.more) - 1] = 1;
	assert_int_equal(take(&l, &full), -EINVAL);
	assert_non_null(strstr(why, "headers of a newer uvfio"));
}

static void test_refused(void **state)
{
	struct uvfio_model m = { UVFIO_MODEL_INIT, .name = "m", .create = create }, full;

	assert_int_equal(take(&m, &full), 0);
	m.size = 0;
	assert_int_equal(take(&m, &full), -EINVAL);
	assert_string_equal(why, "uvfio_model.size is not set: start it with UVFIO_MODEL_INIT");
	m.size = SIZE_MAX;
	assert_int_equal(take(&m, &full), -EINVAL);
	m = (struct uvfio_model){ UVFIO_MODEL_INIT, .name = "m" };
	assert_int_equal(take(&m, &full), -EINVAL);
	assert_string_equal(why, "uvfio_model.create is not set");
	m = (struct uvfio_model){ UVFIO_MODEL_INIT, .create = create };
	assert_int_equal(take(&m, &full), -EINVAL);
	assert_string_equal(why, "uvfio_model.name is not set");
	m = (struct uvfio_model){ UVFIO_MODEL_INIT, .name = "m", .create = create };
	m.state_version = 1; /* and neither save nor load */
	assert_int_equal(take(&m, &full), -EINVAL);
	assert_non_null(strstr(why, "state_version needs save and load"));
	m.save = save;
	m.load = load;
	assert_int_equal(take(&m, &full), 0);
	m.state_oldest = 2;
	assert_int_equal(take(&m, &full), -EINVAL);
	m.state_oldest = 1;
	m.dirty = dirty;
	assert_int_equal(take(&m, &full), -EINVAL);
	assert_non_null(strstr(why, "come together"));
	m.abi = UVFIO_MODEL_ABI + 1;
	assert_int_equal(take(&m, &full), -EINVAL);
	assert_non_null(strstr(why, "version 3 of the model interface"));
	m.abi = 0;
	assert_int_equal(take(&m, &full), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_abi),
		cmocka_unit_test(test_shorter),
		cmocka_unit_test(test_longer),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
