/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/migrate_test.c: a state as bytes, and a function that is stopped, saved, loaded into another
 * one, and goes on there.
 */
#include "pci/test_function.h"

#define VECTORS 4u
#define IOVA	0x100000u

/* ---- a state as bytes ---- */

static void test_numbers(void **state)
{
	struct uvfio_state s, l;
	char text[5];

	pci_state_save(&s, "dev");
	uvfio_put8(&s, 0x12);
	uvfio_put16(&s, 0x3456);
	uvfio_put32(&s, 0x789abcde);
	uvfio_put64(&s, 0x1122334455667788);
	uvfio_put_bytes(&s, "hello", 5);
	assert_int_equal(pci_state_end(&s), 0);
	assert_int_equal(s.len, 20);
	assert_memory_equal(s.buf, "\x12\x56\x34\xde\xbc\x9a\x78", 7);
	pci_state_load(&l, "dev", s.buf, s.len);
	assert_int_equal(uvfio_get8(&l), 0x12);
	assert_int_equal(uvfio_get16(&l), 0x3456);
	assert_int_equal(uvfio_get32(&l), 0x789abcde);
	assert_int_equal(uvfio_get64(&l), 0x1122334455667788);
	uvfio_get_bytes(&l, text, 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(pci_state_end(&l), 0);
	/* behind the end there are zeroes, and the error stays */
	text[0] = 1;
	uvfio_get_bytes(&l, text, 1);
	assert_int_equal(text[0], 0);
	assert_int_equal(pci_state_end(&l), -EINVAL);
	/* something left */
	pci_state_load(&l, "dev", s.buf, s.len);
	uvfio_get8(&l);
	assert_int_equal(pci_state_end(&l), -EINVAL);
	/* the wrong way round */
	pci_state_load(&l, "dev", s.buf, s.len);
	uvfio_put8(&l, 1);
	assert_int_equal(pci_state_end(&l), -EINVAL);
	assert_int_equal(uvfio_get8(&s), 0);
	assert_int_equal(pci_state_end(&s), -EINVAL);
	pci_state_free(&s);
}

static void two_sections(struct uvfio_state *s)
{
	pci_state_save(s, "dev");
	uvfio_section(s, "one");
	uvfio_put16(s, 7);
	uvfio_section(s, "two");
	uvfio_put8(s, 8);
	assert_int_equal(pci_state_end(s), 0);
}

static void test_sections(void **state)
{
	struct uvfio_state s, l;

	two_sections(&s);
	for (int how = 0; how < 5; how++) {
		pci_state_load(&l, "dev", s.buf, how == 4 ? s.len - 1 : s.len);
		uvfio_section(&l, how == 1 ? "other" : "one");
		if (how != 2)
			uvfio_get16(&l);
		if (how == 3)
			assert_int_equal(uvfio_get8(&l), 0); /* not of the next one */
		uvfio_section(&l, "two");
		uvfio_get8(&l);
		assert_int_equal(pci_state_end(&l), how ? -EINVAL : 0);
	}
	/* a length that is a lie */
	s.buf[4] = 0xff;
	pci_state_load(&l, "dev", s.buf, s.len);
	uvfio_section(&l, "one");
	assert_int_equal(pci_state_end(&l), -EINVAL);
	pci_state_free(&s);
}

static int same(struct uvfio_state *s, uint64_t n, const char *text)
{
	struct uvfio_state l;
	int ret;

	pci_state_load(&l, "dev", s->buf, s->len);
	uvfio_same(&l, "number", n);
	uvfio_same_text(&l, "text", text);
	ret = pci_state_end(&l);
	return ret;
}

static void test_same(void **state)
{
	struct uvfio_state s, l;

	pci_state_save(&s, "dev");
	uvfio_same(&s, "number", 5);
	uvfio_same_text(&s, "text", "a\nb");
	assert_int_equal(pci_state_end(&s), 0);
	assert_int_equal(same(&s, 5, "a\nb"), 0);
	assert_int_equal(same(&s, 6, "a\nb"), -EINVAL);
	assert_int_equal(same(&s, 5, "a?b"), -EINVAL);
	assert_int_equal(same(&s, 5, NULL), -EINVAL);
	pci_state_load(&l, "dev", s.buf, s.len);
	uvfio_same(&l, "another", 5);
	assert_int_equal(pci_state_end(&l), -EINVAL);
	pci_state_load(&l, "dev", s.buf, s.len);
	uvfio_same_text(&l, "number", "5");
	assert_int_equal(pci_state_end(&l), -EINVAL);
	pci_state_free(&s);
}

/* ---- functions ---- */

static struct {
	uint32_t state;
	uint32_t version; /* that load was told */
	struct uvfio_timer *timer;
	atomic_uint fired;
	int stops[2], resumes, stop_answer[2];
	uint64_t ram_size;
	bool forgets;
} m;

static void fired(struct uvfio_dev *dev, void *arg)
{
	atomic_fetch_add(&m.fired, 1);
}

static int m_create(struct uvfio_dev *dev)
{
	const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x5678 };
	static const uint8_t vpd[8];

	m.timer = uvfio_timer_new(dev, fired, NULL);
	uvfio_set_ids(dev, &ids);
	uvfio_add_bar(dev, 0, 0x10000, 0);
	uvfio_set_pages(dev, 0, 0, 0x1000, UVFIO_PAGE_POLLED);
	uvfio_add_intx(dev, 1, true);
	uvfio_add_pm(dev, true);
	uvfio_add_msi(dev, 4, true, true);
	uvfio_add_msix(dev, VECTORS, 0, 0x8000, 0, 0xc000);
	uvfio_add_pcie(dev, true);
	uvfio_add_vpd(dev, vpd, sizeof(vpd), true);
	uvfio_add_dsn(dev, m.state);
	return 0;
}

static int m_stop(struct uvfio_dev *dev, enum uvfio_stop_kind kind)
{
	m.stops[kind]++;
	return m.stop_answer[kind];
}

static void m_resume(struct uvfio_dev *dev)
{
	m.resumes++;
}

static void m_describe(struct uvfio_dev *dev, struct uvfio_state *s)
{
	uvfio_same(s, "ram", m.ram_size);
}

static int m_save(struct uvfio_dev *dev, struct uvfio_state *s)
{
	uvfio_put32(s, m.state);
	uvfio_put64(s, uvfio_timer_left(m.timer));
	return 0;
}

static int m_load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version)
{
	m.version = version;
	m.state = uvfio_get32(s);
	if (m.state == 13)
		return uvfio_load_error(s, "13 is bad luck");
	if (!m.forgets)
		uvfio_timer_set(m.timer, uvfio_get64(s));
	return 0;
}

static struct uvfio_model m_model = {
	UVFIO_MODEL_INIT,	.name = "m",	.create = m_create,
	.state_version = 3,	.stop = m_stop, .resume = m_resume,
	.describe = m_describe, .save = m_save, .load = m_load,
};

static struct loop *loop;
static struct test_irqs irqs;

static pci_function *make(void)
{
	pci_function *fn;
	char err[256];

	if (!loop)
		loop = loop_new();
	if (pci_function_new(&m_model, "0000:01:00.0", 0, loop, NULL, 0, err, sizeof(err), &fn))
		fail_msg("%s", err);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	test_irqs_watch(&irqs, fn);
	return fn;
}

static void stop(pci_function *fn)
{
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_DMA), 0);
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_ALL), 0);
}

static void go_on(pci_function *fn)
{
	pci_function_resume(fn, UVFIO_STOP_ALL);
	pci_function_resume(fn, UVFIO_STOP_DMA);
}

static void test_timers(void **state)
{
	pci_function *fn = make();

	memset(&m.stops, 0, sizeof(m.stops));
	m.resumes = 0;
	atomic_store(&m.fired, 0);
	assert_true(uvfio_timer_left(m.timer) == UINT64_MAX);
	uvfio_timer_set(m.timer, 3600000000000);
	stop(fn);
	assert_int_equal(m.stops[UVFIO_STOP_DMA], 1);
	assert_int_equal(m.stops[UVFIO_STOP_ALL], 1);
	assert_in_range(uvfio_timer_left(m.timer), 3500000000000, 3600000000000);
	/* twice is once */
	stop(fn);
	assert_int_equal(m.stops[UVFIO_STOP_DMA] + m.stops[UVFIO_STOP_ALL], 2);
	uvfio_timer_set(m.timer, 1000000);
	usleep(5000);
	assert_int_equal(atomic_load(&m.fired), 0);
	assert_int_equal(uvfio_timer_left(m.timer), 1000000);
	go_on(fn);
	assert_int_equal(m.resumes, 1);
	WAIT(atomic_load(&m.fired) == 1);
	go_on(fn);
	assert_int_equal(m.resumes, 1);
	/* one that is made of a function that is stopped stands still, too */
	stop(fn);
	m.timer = uvfio_timer_new(fn, fired, NULL);
	uvfio_timer_set(m.timer, 0);
	usleep(2000);
	assert_int_equal(atomic_load(&m.fired), 1);
	go_on(fn);
	WAIT(atomic_load(&m.fired) == 2);
	pci_function_free(fn);
}

static void test_dma(void **state)
{
	pci_function *fn = make();
	uint8_t *mem = test_memory_give(fn, IOVA, 0x1000, 0, NULL);
	uint32_t v = 1;

	log_set(-1, LOG_NONE);
	assert_int_equal(uvfio_dma_write(fn, IOVA, &v, 4), 0);
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_DMA), 0);
	assert_false(uvfio_dma_allowed(fn));
	assert_int_equal(uvfio_dma_write(fn, IOVA, &v, 4), -EFAULT);
	/* no way around it */
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(uvfio_dma_write(fn, IOVA, &v, 4), -EFAULT);
	assert_int_equal(uvfio_polled_open(fn), -EIO);
	pci_function_resume(fn, UVFIO_STOP_DMA);
	assert_int_equal(uvfio_dma_write(fn, IOVA, &v, 4), 0);
	/* a model that cannot stop: all goes on */
	m.stop_answer[UVFIO_STOP_DMA] = -EBUSY;
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_DMA), -EBUSY);
	assert_int_equal(uvfio_dma_write(fn, IOVA, &v, 4), 0);
	atomic_store(&m.fired, 0);
	uvfio_timer_set(m.timer, 0);
	WAIT(atomic_load(&m.fired) == 1);
	m.stop_answer[UVFIO_STOP_DMA] = 0;
	m.stop_answer[UVFIO_STOP_ALL] = -EBUSY;
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_DMA), 0);
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_ALL), -EBUSY);
	uvfio_intx(fn, true);
	assert_int_equal(irqs.intx_level, 1);
	m.stop_answer[UVFIO_STOP_ALL] = 0;
	log_set(2, LOG_WARN);
	go_on(fn);
	test_function_free(fn, mem, 0x1000);
}

static void test_interrupts(void **state)
{
	pci_function *fn = make();

	/* the line */
	stop(fn);
	uvfio_intx(fn, true);
	assert_int_equal(irqs.intx_calls, 0);
	go_on(fn);
	assert_int_equal(irqs.intx_level, 1);
	uvfio_intx(fn, false);
	/* MSI-X, masked and not; switching it off and on while the function is stopped */
	pci_msix_enable(fn);
	pci_msix_entry(fn, 0, true);
	pci_msix_entry(fn, 1, true);
	stop(fn);
	uvfio_msi(fn, 0);
	uvfio_msi(fn, 2);
	assert_int_equal(irqs.msi[0], 0);
	pci_msix_disable(fn);
	pci_msix_enable(fn);
	pci_msix_entry(fn, 0, true);
	assert_int_equal(irqs.msi[0], 0);
	go_on(fn);
	assert_int_equal(irqs.msi[0], 1);
	assert_int_equal(irqs.msi[2], 0);
	pci_msix_entry(fn, 2, true);
	assert_int_equal(irqs.msi[2], 1);
	/* a reset of a stopped function: what waits is gone, what comes waits */
	stop(fn);
	uvfio_msi(fn, 0);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pci_msix_enable(fn);
	pci_msix_entry(fn, 0, true);
	pci_msix_entry(fn, 1, true);
	uvfio_msi(fn, 1);
	assert_int_equal(irqs.msi[1], 0);
	go_on(fn);
	assert_int_equal(irqs.msi[0], 1);
	assert_int_equal(irqs.msi[1], 1);
	pci_function_free(fn);
}

/* Save @fn, stopped, in *@out. */
static void save(pci_function *fn, struct uvfio_state *out)
{
	pci_state_save(out, "from");
	assert_int_equal(pci_function_save(fn, out), 0);
	assert_int_equal(pci_state_end(out), 0);
}

static int load(pci_function *fn, const struct uvfio_state *from, size_t len)
{
	struct uvfio_state s;
	int ret;

	pci_state_load(&s, "to", from->buf, len);
	ret = pci_function_load(fn, &s);
	return ret ? ret : pci_state_end(&s);
}

static void test_moves(void **state)
{
	struct uvfio_state s;
	pci_function *from, *to;
	unsigned cap, dsn;
	uint64_t v;

	m.state = 42;
	from = make();
	pci_config_write(from, PCI_BASE_ADDRESS_0, 4, 0xe0000000);
	pci_config_write(from, PCI_CACHE_LINE_SIZE, 1, 0x10);
	cap = pci_find_cap(from, PCI_CAP_ID_VPD);
	pci_config_write(from, cap + PCI_VPD_DATA, 4, 0xabcd);
	pci_config_write(from, cap + PCI_VPD_ADDR, 2, 0x8004);
	pci_msix_enable(from);
	pci_msix_entry(from, 1, true);
	uvfio_intx(from, true);
	*(uint32_t *)uvfio_polled_memory(from, 0, 8) = 77;
	uvfio_timer_set(m.timer, 5000000);
	stop(from);
	uvfio_msi(from, 1);
	uvfio_msi(from, 3);
	save(from, &s);
	pci_function_free(from);

	m.state = 43;
	to = make();
	pci_config_write(to, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	pci_config_write(to, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	stop(to);
	assert_int_equal(load(to, &s, s.len), 0);
	assert_int_equal(m.state, 42);
	assert_int_equal(m.version, 3);
	assert_in_range(uvfio_timer_left(m.timer), 1, 5000000);
	atomic_store(&m.fired, 0);
	assert_int_equal(pci_config_read(to, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(pci_config_read(to, PCI_BASE_ADDRESS_0, 4), 0xd0000000);
	assert_int_equal(pci_config_read(to, PCI_CACHE_LINE_SIZE, 1), 0x10);
	assert_int_equal(*(uint32_t *)uvfio_polled_memory(to, 0, 8), 77);
	assert_true(pci_intx_level(to));
	/* the driver here has not switched MSI-X on so far; what waits stays */
	assert_false(pci_config_read(to, pci_find_cap(to, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2) &
		     PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(pci_bar_read(to, 0, 0xc000, 8, &v), 0);
	assert_int_equal(v, 1 << 1 | 1 << 3);
	pci_msix_enable(to);
	pci_msix_entry(to, 1, true);
	go_on(to);
	assert_int_equal(irqs.msi[1], 1);
	assert_int_equal(irqs.msi[3], 0);
	pci_msix_entry(to, 3, true);
	assert_int_equal(irqs.msi[3], 1);
	WAIT(atomic_load(&m.fired) == 1);
	/* vital product data, and the serial number, which stays when it is reset */
	pci_config_write(to, cap + PCI_VPD_ADDR, 2, 4);
	assert_int_equal(pci_config_read(to, cap + PCI_VPD_DATA, 4), 0xabcd);
	pci_function_reset(to, UVFIO_RESET_FLR);
	dsn = pci_find_ext_cap(to, PCI_EXT_CAP_ID_DSN);
	assert_int_equal(pci_config_read(to, dsn + 4, 4), 42);
	pci_function_free(to);
	pci_state_free(&s);
}

/* Describe @a to @b, a function of a model that differs in something. */
static int compare(pci_function *a, pci_function *b, uint64_t ram)
{
	struct uvfio_state s, l;
	int ret;

	m.ram_size = 64;
	pci_state_save(&s, "from");
	pci_function_describe(a, &s);
	assert_int_equal(pci_state_end(&s), 0);
	m.ram_size = ram;
	pci_state_load(&l, "to", s.buf, s.len);
	pci_function_describe(b, &l);
	ret = pci_state_end(&l);
	pci_state_free(&s);
	return ret;
}

static int other_create(struct uvfio_dev *dev)
{
	const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x5679 };

	return uvfio_set_ids(dev, &ids) ? -EINVAL
	       : m_create(dev)		? -EINVAL
					: uvfio_add_bar(dev, 2, 64, 0);
}

/* Compare @fn with a description. */
static int understand(pci_function *fn, const struct uvfio_state *from)
{
	struct uvfio_state s;

	pci_state_load(&s, "to", from->buf, from->len);
	pci_function_describe(fn, &s);
	return pci_state_end(&s);
}

static void test_refused(void **state)
{
	pci_function *fn = make(), *other;
	struct uvfio_state s;

	log_set(-1, LOG_NONE);
	m.state = 1;
	stop(fn);
	save(fn, &s);
	for (size_t i = 0; i < s.len; i++)
		assert_int_equal(load(fn, &s, i), -EINVAL);
	assert_int_equal(load(fn, &s, s.len), 0);
	/* a load that reads too little, or says no */
	m.forgets = true;
	assert_int_equal(load(fn, &s, s.len), -EINVAL);
	m.forgets = false;
	pci_state_free(&s);
	m.state = 13;
	save(fn, &s);
	assert_int_equal(load(fn, &s, s.len), -EINVAL);
	pci_state_free(&s);
	/* versions */
	m.state = 2;
	save(fn, &s);
	m_model.state_version = 4;
	m.version = 0;
	assert_int_equal(load(fn, &s, s.len), -EINVAL);
	m_model.state_oldest = 3;
	assert_int_equal(load(fn, &s, s.len), 0);
	assert_int_equal(m.version, 3);
	m_model.state_version = m_model.state_oldest = 2;
	assert_int_equal(load(fn, &s, s.len), -EINVAL);
	m_model.state_version = 3;
	m_model.state_oldest = 0;
	pci_state_free(&s);
	/* they are told of beforehand, too */
	pci_state_save(&s, "from");
	pci_function_describe(fn, &s);
	assert_int_equal(pci_state_end(&s), 0);
	assert_int_equal(understand(fn, &s), 0);
	m_model.state_version = 4;
	assert_int_equal(understand(fn, &s), -EINVAL);
	m_model.state_oldest = 2;
	assert_int_equal(understand(fn, &s), 0);
	m_model.state_version = m_model.state_oldest = 2;
	assert_int_equal(understand(fn, &s), -EINVAL);
	m_model.state_version = 3;
	m_model.state_oldest = 0;
	pci_state_free(&s);
	/* other devices */
	assert_int_equal(compare(fn, fn, 64), 0);
	assert_int_equal(compare(fn, fn, 65), -EINVAL);
	m_model.create = other_create;
	other = make();
	assert_int_equal(compare(fn, other, 64), -EINVAL);
	assert_int_equal(compare(other, other, 64), 0);
	pci_function_free(other);
	m_model.create = m_create;
	log_set(2, LOG_WARN);
	pci_function_free(fn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_sections),
		cmocka_unit_test(test_same),	cmocka_unit_test(test_timers),
		cmocka_unit_test(test_dma),	cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_moves),	cmocka_unit_test(test_refused),
	};

	int failed;

	log_set(2, LOG_NONE);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	loop_free(loop);
	return failed;
}
