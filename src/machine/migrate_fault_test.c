/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/migrate_fault_test.c: a device moves from one machine to another, in one process, with
 * each allocation on the way failing in turn: the change of state says so, the device is in the
 * state that it was in, and the next try succeeds.
 */
#include <linux/pci_regs.h>

#include "base/log.h"
#include "base/test_fault.h"
#include "machine/machine.h"
#include "models/testdev/regs.h"
#include "vfio/migrate.h"
#include "vfio/open.h"

#define SPEC "testdev,migration=on"

struct side {
	struct machine *m;
	struct vfio_open o;
	struct vfio_migrate *mig;
};

static uint8_t stream[256u << 10];
static size_t len;

static void set_up(struct side *s)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	s->m = machine_new();
	assert_non_null(s->m);
	assert_int_equal(machine_add(s->m, SPEC, NULL), 0);
	vfio_open_init(&s->o, machine_device(s->m, 0)->vdev);
	assert_int_equal(vfio_open_bind(&s->o), 0);
	assert_int_equal(
		vfio_device_rw(&s->o, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command, 2, true),
		2);
	s->mig = vfio_device_migrate(&s->o);
	assert_non_null(s->mig);
}

static void take_down(struct side *s)
{
	vfio_open_close(&s->o);
	machine_free(s->m, false);
}

static uint32_t get(struct side *s, unsigned bar, uint64_t off)
{
	uint32_t v = 0;

	assert_int_equal(vfio_device_rw(&s->o, bar, off, &v, 4, false), 4);
	return v;
}

static void set(struct side *s, unsigned bar, uint64_t off, uint32_t v)
{
	assert_int_equal(vfio_device_rw(&s->o, bar, off, &v, 4, true), 4);
}

static void save(void **state)
{
	struct vfio_stream *s = NULL;
	struct side from;

	set_up(&from);
	for (uint32_t i = 0; i < 65536; i += 4)
		set(&from, 0, i, ~i);
	set(&from, 2, TD_SCRATCH32, 4711);
	FAULT_LOOP(l, FAULT_MEMORY) {
		int rc;

		assert_int_equal(vfio_migrate_set(from.mig, VFIO_DEVICE_STATE_RUNNING, &s), 0);
		fault_begin(&l);
		rc = vfio_migrate_set(from.mig, VFIO_DEVICE_STATE_STOP_COPY, &s);
		fault_end(&l, rc);
		assert_int_equal(vfio_migrate_state(from.mig),
				 rc ? VFIO_DEVICE_STATE_STOP : VFIO_DEVICE_STATE_STOP_COPY);
		assert_int_equal(s != NULL, !rc);
		if (l.done)
			assert_true(l.failed > 6);
		else if (s)
			vfio_stream_put(s);
	}
	len = (size_t)vfio_stream_read(s, (uintptr_t)stream, sizeof(stream));
	assert_true(len > 65536 && len < sizeof(stream));
	vfio_stream_put(s);
	take_down(&from);
}

/* The same beforehand, while it runs: a stream that lost something is dead. */
static void precopy(void **state)
{
	struct vfio_stream *s, *none;
	struct side from;
	ssize_t n = 0;

	set_up(&from);
	FAULT_LOOP(l, FAULT_MEMORY) {
		int rc;

		assert_int_equal(vfio_migrate_set(from.mig, VFIO_DEVICE_STATE_RUNNING, &s), 0);
		fault_begin(&l);
		rc = vfio_migrate_set(from.mig, VFIO_DEVICE_STATE_PRE_COPY, &s);
		for (n = 1; !rc && n > 0;)
			n = vfio_stream_read(s, (uintptr_t)stream, sizeof(stream));
		if (!rc && n != -ENOMSG)
			rc = (int)n;
		if (!rc)
			rc = vfio_migrate_set(from.mig, VFIO_DEVICE_STATE_STOP_COPY, &none);
		fault_end(&l, rc);
		if (rc && s)
			assert_int_equal(vfio_stream_read(s, (uintptr_t)stream, 1), -ENODEV);
		if (s)
			vfio_stream_put(s);
	}
	take_down(&from);
}

static void load(void **state)
{
	struct vfio_stream *s;
	struct side to;

	set_up(&to);
	FAULT_LOOP(l, FAULT_MEMORY) {
		ssize_t n = 0;
		int rc;

		assert_int_equal(vfio_device_reset(&to.o), 0);
		assert_int_equal(vfio_migrate_state(to.mig), VFIO_DEVICE_STATE_RUNNING);
		fault_begin(&l);
		rc = vfio_migrate_set(to.mig, VFIO_DEVICE_STATE_RESUMING, &s);
		if (!rc)
			n = vfio_stream_write(s, (uintptr_t)stream, len);
		if (n < 0)
			rc = (int)n;
		if (!rc)
			rc = vfio_migrate_set(to.mig, VFIO_DEVICE_STATE_RUNNING,
					      &(struct vfio_stream *){ 0 });
		fault_end(&l, rc);
		if (s)
			vfio_stream_put(s);
	}
	for (uint32_t i = 0; i < 65536; i += 4)
		assert_int_equal(get(&to, 0, i), ~i);
	assert_int_equal(get(&to, 2, TD_SCRATCH32), 4711);
	take_down(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(save), cmocka_unit_test(load),
					    cmocka_unit_test(precopy) };

	log_set(-1, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
