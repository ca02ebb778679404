/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/function_test.c: a function's life: options and what is said about wrong ones, callbacks one
 * at a time, timers, DMA with bus mastering off.
 */
#include <unistd.h>

#include "pci/test_function.h"

static const struct uvfio_option options[] = {
	{ .name = "size", .type = UVFIO_OPT_SIZE, .def = "4K", .min = 16, .max = 1ull << 40 },
	{ .name = "count", .type = UVFIO_OPT_UINT },
	{ .name = "on", .type = UVFIO_OPT_BOOL, .def = "yes" },
	{ .name = "name", .type = UVFIO_OPT_STRING },
	{ .name = "file", .type = UVFIO_OPT_PATH, .multiple = true },
	{ 0 },
};
static const struct uvfio_option required[] = {
	{ .name = "image", .type = UVFIO_OPT_PATH, .required = true, .help = "the disk" },
	{ 0 },
};

static pci_function *with(const struct pci_option *opts, unsigned n)
{
	pci_function *fn = NULL;
	char err[300];

	t_options = options;
	if (t_try(NULL, opts, n, err, sizeof(err), &fn))
		fail_msg("%s", err);
	t_options = NULL;
	return fn;
}

static void test_option_values(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} sizes[] = {
		{ "16", 16 },	   { "0x20", 32 },	{ "1k", 1024 },	      { "2K", 2048 },
		{ "3M", 3 << 20 }, { "0x1g", 1 << 30 }, { "1T", 1ull << 40 },
	};
	static const char *const bools[] = { "off", "on", "false", "true", "no", "yes", "0", "1" };
	pci_function *fn = with(NULL, 0);

	assert_int_equal(uvfio_opt_uint(fn, "size", 0), 4096);
	assert_string_equal(uvfio_opt_string(fn, "size", 0), "4K");
	assert_int_equal(uvfio_opt_count(fn, "size"), 1);
	assert_int_equal(uvfio_opt_uint(fn, "count", 0), 0);
	assert_int_equal(uvfio_opt_count(fn, "count"), 0);
	assert_null(uvfio_opt_string(fn, "name", 0));
	assert_true(uvfio_opt_bool(fn, "on", 0));
	log_set(-1, LOG_ERR);
	assert_null(uvfio_opt_string(fn, "nonesuch", 0));
	log_set(2, LOG_WARN);
	t_free(fn);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		fn = with(&(struct pci_option){ "size", sizes[i].text }, 1);
		assert_int_equal(uvfio_opt_uint(fn, "size", 0), sizes[i].value);
		t_free(fn);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bools); i++) {
		fn = with(&(struct pci_option){ "on", bools[i] }, 1);
		assert_int_equal(uvfio_opt_bool(fn, "on", 0), i & 1);
		t_free(fn);
	}
	fn = with((struct pci_option[]){ { "file", "/" }, { "name", "" }, { "file", "/dev/null" } },
		  3);
	assert_int_equal(uvfio_opt_count(fn, "file"), 2);
	assert_string_equal(uvfio_opt_string(fn, "file", 0), "/");
	assert_string_equal(uvfio_opt_string(fn, "file", 1), "/dev/null");
	assert_null(uvfio_opt_string(fn, "file", 2));
	assert_string_equal(uvfio_opt_string(fn, "name", 0), "");
	t_free(fn);
}

static void test_option_errors(void **state)
{
	static const struct {
		const char *name, *value;
		int err;
		const char *says;
	} bad[] = {
		{ "size", "abc", -EINVAL, "test: option 'size=abc': must be a size" },
		{ "size", "", -EINVAL, "size=" },
		{ "size", "1KB", -EINVAL, "options are: size, count, on, name, file" },
		{ "size", "-1", -EINVAL, "must be a size" },
		{ "size", "15", -EINVAL, "must be from 16 to 1099511627776" },
		{ "size", "2T", -EINVAL, "must be from" },
		{ "size", "18446744073709551616", -EINVAL, "64 bits" },
		{ "size", "17179869184G", -EINVAL, "64 bits" },
		{ "count", "1K", -EINVAL, "must be a number" },
		{ "count", "0x", -EINVAL, "must be a number" },
		{ "count", "12a", -EINVAL, "must be a number" },
		{ "count", NULL, -EINVAL, "needs a value" },
		{ "on", "maybe", -EINVAL, "must be a switch" },
		{ "file", "/nonexistent/x", -ENOENT, "'file=/nonexistent/x':" },
		{ "colour", "red", -EINVAL, "there is no option 'colour'; options are: size" },
	};
	pci_function *fn = NULL;
	char err[300];
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		t_options = options;
		ret = t_try(NULL, &(struct pci_option){ bad[i].name, bad[i].value }, 1, err,
			    sizeof(err), &fn);
		if (ret != bad[i].err || !strstr(err, bad[i].says))
			fail_msg("%s=%s: %d, '%s'", bad[i].name, bad[i].value ? bad[i].value : "",
				 ret, err);
		assert_int_equal(t.destroyed, 0);
	}
	ret = t_try(NULL, (struct pci_option[]){ { "on", "1" }, { "on", "1" } }, 2, err,
		    sizeof(err), &fn);
	assert_int_equal(ret, -EINVAL);
	assert_non_null(strstr(err, "given twice"));
	t_options = required;
	assert_int_equal(t_try(NULL, NULL, 0, err, sizeof(err), &fn), -EINVAL);
	assert_non_null(strstr(err, "'image' is missing: image=a file, the disk"));
	t_options = NULL;
	assert_int_equal(t_try(NULL, &(struct pci_option){ "a", "b" }, 1, err, sizeof(err), &fn),
			 -EINVAL);
	assert_non_null(strstr(err, "it has no options"));
	/* a short buffer is filled, never overrun */
	memset(err, 'x', sizeof(err));
	assert_int_equal(t_try(NULL, &(struct pci_option){ "a", "b" }, 1, err, 8, &fn), -EINVAL);
	assert_string_equal(err, "test: t");
	assert_int_equal(err[8], 'x');
	loop_free(t.loop);
	t.loop = NULL;
}

static int create_fails(struct uvfio_dev *dev)
{
	assert_non_null(uvfio_timer_new(dev, NULL, NULL)); /* left behind: freed all the same */
	return uvfio_error(dev, "no %s today", "disk");
}

static int create_no_memory(struct uvfio_dev *dev)
{
	return -ENOMEM;
}

static void test_create_fails(void **state)
{
	struct uvfio_model wrong = t_model;
	pci_function *fn = NULL;
	char err[100];

	assert_int_equal(t_try(create_fails, NULL, 0, err, sizeof(err), &fn), -EINVAL);
	assert_string_equal(err, "test: no disk today");
	assert_int_equal(t.destroyed, 0);
	assert_int_equal(t_try(create_no_memory, NULL, 0, err, sizeof(err), &fn), -ENOMEM);
	assert_string_equal(err, "test: Cannot allocate memory");
	assert_int_equal(t.resets[0], 0);
	wrong.abi = 99;
	assert_int_equal(pci_function_new(&wrong, "x", 0, t.loop, NULL, 0, err, sizeof(err), &fn),
			 -EINVAL);
	assert_non_null(strstr(err, "ABI is 99"));
	loop_free(t.loop);
	t.loop = NULL;
}

static void test_life(void **state)
{
	pci_function *fn = with(NULL, 0);

	assert_int_equal(t.resets[UVFIO_RESET_POWER_ON], 1);
	assert_string_equal(pci_function_name(fn), "0000:01:00.0");
	assert_string_equal(uvfio_dev_name(fn), "0000:01:00.0");
	assert_ptr_equal(pci_function_model(fn), &t_model);
	uvfio_set_priv(fn, &t);
	assert_ptr_equal(uvfio_priv(fn), &t);
	pci_function_quiesce(fn);
	assert_int_equal(t.quiesced, 1);
	t_free(fn);
	pci_function_free(NULL);
	loop_free(t.loop);
	t.loop = NULL;
}

/* Only what create must do is required of a model. */
static void test_minimal(void **state)
{
	static const struct uvfio_model minimal = { UVFIO_MODEL_INIT, .name = "minimal",
						    .create = create_no_memory };
	struct uvfio_model ok = { UVFIO_MODEL_INIT, .name = "ok", .create = t_create };
	struct loop *loop = loop_new();
	pci_function *fn = NULL;
	uint64_t v;

	memset(&t, 0, sizeof(t));
	assert_int_equal(pci_function_new(&minimal, "a", 0, loop, NULL, 0, NULL, 0, &fn), -ENOMEM);
	assert_int_equal(pci_function_new(&ok, "a", 0, loop, NULL, 0, NULL, 0, &fn), 0);
	fn->bars[0].size = 4096;
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_int_equal(pci_bar_read(fn, 0, 0, 4, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(pci_bar_write(fn, 0, 0, 4, 1), 0);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	pci_function_quiesce(fn);
	pci_function_free(fn);
	loop_free(loop);
}

/* ---- one callback at a time ---- */

static atomic_int inside, worst;

static int slow_write(struct uvfio_dev *dev, unsigned bar, uint64_t off, unsigned size,
		      uint64_t value)
{
	int n = atomic_fetch_add(&inside, 1) + 1;

	if (n > worst)
		worst = n;
	for (volatile int spin = 200; spin > 0; spin--)
		;
	atomic_fetch_sub(&inside, 1);
	return 0;
}

static int create_bar(struct uvfio_dev *dev)
{
	return uvfio_add_bar(dev, 0, 4096, 0);
}

static void *writer(void *arg)
{
	for (int i = 0; i < 2000; i++)
		assert_int_equal(pci_bar_write(arg, 0, 0, 4, 1), 0);
	return NULL;
}

static void test_serialised(void **state)
{
	pci_function *fn;
	pthread_t threads[2];

	t_model.bar_write = slow_write;
	worst = 0;
	fn = t_new(create_bar);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, writer, fn), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(worst, 1);
	t_model.bar_write = t_write;
	t_free(fn);
}

/* ---- timers ---- */

static atomic_int fired;
static struct uvfio_timer *timer;

static void on_timer(struct uvfio_dev *dev, void *arg)
{
	atomic_fetch_add(&fired, 1);
	if (arg && atomic_load(&fired) < 3)
		uvfio_timer_set(timer, 1000000);
}

static bool wait_fired(int n)
{
	for (int i = 0; i < 2000 && atomic_load(&fired) < n; i++)
		usleep(1000);
	return atomic_load(&fired) == n;
}

static int create_nothing(struct uvfio_dev *dev)
{
	return 0;
}

static void test_timer(void **state)
{
	pci_function *fn = t_new(create_nothing);

	fired = 0;
	timer = uvfio_timer_new(fn, on_timer, NULL);
	assert_non_null(timer);
	uvfio_timer_set(timer, 0);
	assert_true(wait_fired(1));
	usleep(5000);
	assert_int_equal(fired, 1); /* one shot */
	uvfio_timer_set(timer, 3000000000ull);
	uvfio_timer_set(timer, 1000000); /* replaced */
	assert_true(wait_fired(2));
	uvfio_timer_set(timer, 5000000);
	uvfio_timer_set(timer, UINT64_MAX);
	usleep(20000);
	assert_int_equal(fired, 2);
	uvfio_timer_free(timer);
	uvfio_timer_free(NULL);
	/* sets itself again; left to the function's end */
	fired = 0;
	timer = uvfio_timer_new(fn, on_timer, fn);
	uvfio_timer_set(timer, 1000);
	assert_true(wait_fired(3));
	t_free(fn);
}

/*
 * A callback of the model disarms or frees a timer whose own callback already waits for its turn.
 */
static int freeing_write(struct uvfio_dev *dev, unsigned bar, uint64_t off, unsigned size,
			 uint64_t value)
{
	uvfio_timer_set(timer, 0);
	usleep(20000); /* the service thread stands at the door */
	if (value)
		uvfio_timer_free(timer);
	else
		uvfio_timer_set(timer, UINT64_MAX);
	return 0;
}

static void test_timer_disarmed_in_callback(void **state)
{
	pci_function *fn;

	t_model.bar_write = freeing_write;
	fn = t_new(create_bar);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	fired = 0;
	timer = uvfio_timer_new(fn, on_timer, NULL);
	assert_int_equal(pci_bar_write(fn, 0, 0, 4, 0), 0);
	usleep(10000);
	assert_int_equal(fired, 0);
	assert_int_equal(pci_bar_write(fn, 0, 0, 4, 1), 0);
	usleep(10000);
	assert_int_equal(fired, 0);
	pthread_mutex_lock(&fn->lock);
	assert_true(cds_list_empty(&fn->timers.live) && cds_list_empty(&fn->timers.dead));
	pthread_mutex_unlock(&fn->lock);
	t_model.bar_write = t_write;
	t_free(fn);
}

static void free_self(struct uvfio_dev *dev, void *arg)
{
	uvfio_timer_free(timer);
	atomic_fetch_add(&fired, 1);
}

static void test_timer_frees_itself(void **state)
{
	for (int concurrent = 0; concurrent < 2; concurrent++) {
		pci_function *fn;

		t_model.concurrent = concurrent;
		fn = t_new(create_nothing);
		fired = 0;
		timer = uvfio_timer_new(fn, free_self, NULL);
		uvfio_timer_set(timer, 0);
		assert_true(wait_fired(1));
		t_free(fn);
		t_model.concurrent = false;
	}
}

/* ---- DMA ---- */

static atomic_uint_fast64_t *page;

static void test_dma(void **state)
{
	pci_function *fn = t_new(create_nothing);
	struct iommu_domain *d = iommu_domain_new();
	struct iovec iov[2];
	uint64_t v = 0;

	page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(page != MAP_FAILED);
	page[0] = 0x1234;
	assert_int_equal(iommu_domain_map(d, 0x100000, page, 8192, IOMMU_READ | IOMMU_WRITE), 0);
	iommu_device_attach(pci_function_iommu(fn), d);
	iommu_domain_put(d);
	log_set(-1, LOG_ERR);
	assert_int_equal(uvfio_dma_read(fn, 0x100000, &v, 8), -EFAULT); /* COMMAND.MASTER is off */
	uvfio_dma_begin(fn);
	assert_int_equal(uvfio_dma_sg(fn, 0x100000, 8, false, iov, 2), -EFAULT);
	uvfio_dma_end(fn);
	wr16(PCI_COMMAND, PCI_COMMAND_MASTER);
	assert_int_equal(uvfio_dma_read(fn, 0x100000, &v, 8), 0);
	assert_int_equal(v, 0x1234);
	assert_int_equal(uvfio_dma_write(fn, 0x101ff8, &v, 8), 0);
	assert_int_equal(page[1023], 0x1234);
	assert_int_equal(uvfio_dma_write(fn, 0x101ffc, &v, 8), -EFAULT);
	uvfio_dma_begin(fn);
	assert_int_equal(uvfio_dma_sg(fn, 0x100800, 4096, true, iov, 2), 1);
	assert_ptr_equal(iov[0].iov_base, (char *)page + 0x800);
	uvfio_dma_end(fn);
	/* a reset takes the right to do DMA away before the model hears of it */
	pci_function_reset(fn, UVFIO_RESET_FLR);
	assert_int_equal(uvfio_dma_read(fn, 0x100000, &v, 8), -EFAULT);
	log_set(2, LOG_WARN);
	iommu_device_attach(pci_function_iommu(fn), NULL);
	munmap(page, 8192);
	t_free(fn);
}

/*
 * When bus mastering is off, or the reset has reached the model, no DMA that began before is still
 * under way.
 */
static atomic_bool go, writing_allowed;
static atomic_int wrong;

static void *dma_thread(void *arg)
{
	struct iovec iov;
	uint64_t v;

	while (atomic_load(&go)) {
		uvfio_dma_begin(arg);
		if (uvfio_dma_sg(arg, 0x100000, 8, true, &iov, 1) == 1) {
			for (volatile int spin = 50; spin > 0; spin--)
				;
			if (!atomic_load(&writing_allowed))
				atomic_fetch_add(&wrong, 1);
			guard_copy(&v, iov.iov_base, 8);
		}
		uvfio_dma_end(arg);
	}
	return NULL;
}

static void on_reset(struct uvfio_dev *dev)
{
	atomic_store(&writing_allowed, false);
	for (volatile int spin = 500; spin > 0; spin--)
		;
}

static void test_dma_ends(void **state)
{
	pci_function *fn = t_new(create_nothing);
	struct iommu_domain *d = iommu_domain_new();
	pthread_t thread;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(iommu_domain_map(d, 0x100000, page, 4096, IOMMU_READ | IOMMU_WRITE), 0);
	iommu_device_attach(pci_function_iommu(fn), d);
	iommu_domain_put(d);
	log_set(-1, LOG_NONE);
	t.on_reset = on_reset;
	wrong = 0;
	atomic_store(&go, true);
	assert_int_equal(pthread_create(&thread, NULL, dma_thread, fn), 0);
	for (int i = 0; i < 200; i++) {
		atomic_store(&writing_allowed, true);
		wr16(PCI_COMMAND, PCI_COMMAND_MASTER);
		usleep(50);
		if (i & 1) {
			wr16(PCI_COMMAND, 0);
			atomic_store(&writing_allowed, false);
			usleep(50);
		} else {
			pci_function_reset(fn, UVFIO_RESET_FLR);
		}
	}
	atomic_store(&go, false);
	pthread_join(thread, NULL);
	log_set(2, LOG_WARN);
	assert_int_equal(wrong, 0);
	iommu_device_attach(pci_function_iommu(fn), NULL);
	munmap(page, 4096);
	t_free(fn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_option_values),
		cmocka_unit_test(test_option_errors),
		cmocka_unit_test(test_create_fails),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_minimal),
		cmocka_unit_test(test_serialised),
		cmocka_unit_test(test_timer),
		cmocka_unit_test(test_timer_disarmed_in_callback),
		cmocka_unit_test(test_timer_frees_itself),
		cmocka_unit_test(test_dma),
		cmocka_unit_test(test_dma_ends),
	};

	log_set(2, LOG_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
