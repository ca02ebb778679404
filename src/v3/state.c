/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/state.c: what a device holds between two users. The driver of 2010 resets nothing, so the next
 * user finds what the one before left in registers, COMMAND.DisINTx included. Here a device goes
 * when no process has it open, and its state is what migration moves (pci/migrate.c).
 */
#include "v3/driver.h"
#include "v3/internal.h"

static int stop(struct v3_device *v)
{
	int ret = pci_function_stop(v->fn, UVFIO_STOP_DMA);

	return ret ? ret : pci_function_stop(v->fn, UVFIO_STOP_ALL);
}

static void resume(struct v3_device *v)
{
	pci_function_resume(v->fn, UVFIO_STOP_ALL);
	pci_function_resume(v->fn, UVFIO_STOP_DMA);
}

static int save(struct v3_device *v, struct uvfio_state *s)
{
	int ret;

	pci_function_describe(v->fn, s);
	uvfio_section(s, "v3");
	uvfio_put8(s, atomic_load(&v->intx.masked));
	/* what the way back from D3hot puts back */
	uvfio_put8(s, v->asleep.valid);
	if (v->asleep.valid)
		uvfio_put_bytes(s, v->asleep.state, sizeof(v->asleep.state));
	ret = stop(v);
	if (ret)
		return ret;
	ret = pci_function_track(v->fn, true);
	while (!ret && !s->err && pci_function_dirty(v->fn)) {
		uvfio_put8(s, 1);
		ret = pci_function_save_dirty(v->fn, s);
	}
	pci_function_track(v->fn, false);
	uvfio_put8(s, 0);
	return ret ? ret : pci_function_save(v->fn, s);
}

int v3_save(struct vfio_device *dev, void **out, size_t *len)
{
	struct v3_device *v = to_v3(dev);
	struct uvfio_state s;
	int ret;

	if (!v->used || pci_function_is_lost(v->fn))
		return -EOPNOTSUPP;
	if (!pci_can_migrate(v->fn))
		return report_info("state-kept", dev->name, -EOPNOTSUPP,
				   "its model cannot save its state: the next user finds it as "
				   "after a power cycle");
	pci_state_save(&s, dev->name);
	ret = save(v, &s);
	resume(v);
	if (!ret)
		ret = pci_state_end(&s);
	if (ret) {
		pci_state_free(&s);
		return ret;
	}
	*out = s.buf;
	*len = s.len;
	return 0;
}

static int load(struct v3_device *v, struct uvfio_state *s)
{
	int ret = 0;

	pci_function_describe(v->fn, s);
	uvfio_section(s, "v3");
	atomic_store(&v->intx.masked, uvfio_get8(s));
	v->asleep.valid = uvfio_get8(s);
	if (v->asleep.valid)
		uvfio_get_bytes(s, v->asleep.state, sizeof(v->asleep.state));
	while (!ret && !s->err && uvfio_get8(s))
		ret = pci_function_load_dirty(v->fn, s);
	return ret ? ret : pci_function_load(v->fn, s);
}

int v3_load(struct vfio_device *dev, const void *buf, size_t len)
{
	struct v3_device *v = to_v3(dev);
	uint8_t bound[PCI_CFG_EXP_SIZE];
	struct uvfio_state s;
	int ret = stop(v);

	if (ret)
		return ret;
	pci_save_state(v->fn, bound);
	pci_state_load(&s, dev->name, buf, len);
	ret = load(v, &s);
	if (!ret)
		ret = pci_state_end(&s);
	if (ret) {
		atomic_store(&v->intx.masked, false);
		v->asleep.valid = false;
		pci_function_reset(v->fn, UVFIO_RESET_POWER_ON);
		/* its addresses, and decoding, which no user can switch on */
		pci_restore_state(v->fn, bound);
	}
	resume(v);
	v3_command_change(v, PCI_COMMAND_MASTER, 0);
	return ret;
}
