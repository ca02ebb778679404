/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/migrate.c: a function is stopped, saved, loaded, and goes on. What the model has is the
 * model's to save; here is what the layers of pci/ hold: config space, interrupts that wait, vital
 * product data, polled pages.
 *
 * Not everything of config space moves. Where the BARs are, how messages are set up and which VFs
 * there are was decided by the platform that the function is on, and stays.
 */
#include <errno.h>
#include <inttypes.h>

#include "pci/internal.h"

/* The size of the state that a model without state_size is taken to have. */
#define STATE_SIZE_GUESS (64u << 10)

bool pci_can_migrate(const pci_function *fn)
{
	return fn->model->state_version;
}

bool pci_can_track(const pci_function *fn)
{
	return fn->model->track;
}

/* ---- stop, and go on ---- */

/* Bring the gates into line with fn->halt. */
static void derive(pci_function *fn)
{
	unsigned effects;

	pthread_mutex_lock(&fn->lock);
	effects = pci_config_derive(fn);
	pthread_mutex_unlock(&fn->lock);
	pci_config_effects(fn, effects | EFFECT_FLUSH);
}

static int tell_stop(pci_function *fn, enum uvfio_stop_kind kind)
{
	int ret = 0;

	pci_model_enter_between(fn);
	if (fn->model->stop)
		ret = fn->model->stop(fn, kind);
	pci_model_leave(fn);
	if (ret)
		report_err("migration-stop", fn->name, ret, "model %s cannot stop: %m",
			   fn->model->name);
	return ret > 0 ? -EIO : ret;
}

static int stop_dma(pci_function *fn)
{
	int ret;

	atomic_store(&fn->halt.self, true);
	pci_timers_freeze(fn);
	uvfio_polled_close(fn);
	pci_pages_follow(fn);
	ret = tell_stop(fn, UVFIO_STOP_DMA);
	if (ret) {
		atomic_store(&fn->halt.self, false);
		pci_pages_follow(fn);
		pci_timers_thaw(fn);
		return ret;
	}
	atomic_store(&fn->halt.dma, true);
	derive(fn);
	return 0;
}

static int stop_all(pci_function *fn)
{
	int ret = tell_stop(fn, UVFIO_STOP_ALL);

	if (ret)
		return ret;
	atomic_store(&fn->halt.irqs, true);
	pci_msi_stop(fn, true);
	derive(fn);
	rcu_sync_all(); /* messages and accesses of others that did not see it are through */
	return 0;
}

int pci_function_stop(pci_function *fn, enum uvfio_stop_kind kind)
{
	if (kind == UVFIO_STOP_DMA)
		return atomic_load(&fn->halt.self) ? 0 : stop_dma(fn);
	return atomic_load(&fn->halt.irqs) ? 0 : stop_all(fn);
}

bool pci_irqs_wait(const pci_function *fn)
{
	return atomic_load(&fn->halt.irqs);
}

void pci_function_resume(pci_function *fn, enum uvfio_stop_kind kind)
{
	if (kind == UVFIO_STOP_ALL) {
		if (!atomic_load(&fn->halt.irqs))
			return;
		atomic_store(&fn->halt.irqs, false);
		pci_msi_stop(fn, false);
		derive(fn);
		return;
	}
	if (!atomic_load(&fn->halt.self))
		return;
	atomic_store(&fn->halt.dma, false);
	derive(fn);
	atomic_store(&fn->halt.self, false);
	if (fn->model->resume) {
		pci_model_enter(fn);
		fn->model->resume(fn);
		pci_model_leave(fn);
	}
	pci_pages_follow(fn);
	pci_timers_thaw(fn);
}

/* ---- what must be the same ---- */

/* The serial number is the device's own, and moves. */
static void blank_serial(pci_function *fn, uint8_t *cfg)
{
	unsigned dsn = pci_find_ext_cap(fn, PCI_EXT_CAP_ID_DSN);

	if (dsn)
		memset(cfg + dsn + 4, 0, 8);
}

/* Compare config space as it is at power-on: the header, and which capabilities are where. */
static void describe_config(pci_function *fn, struct uvfio_state *s)
{
	uint8_t ours[PCI_CFG_EXP_SIZE], theirs[PCI_CFG_EXP_SIZE];
	unsigned size = pci_config_size(fn);

	memcpy(ours, fn->cfg.init, sizeof(ours));
	blank_serial(fn, ours);
	uvfio_same(s, "size of config space", size);
	if (!s->loading) {
		uvfio_put_bytes(s, ours, size);
		return;
	}
	uvfio_get_bytes(s, theirs, size);
	for (unsigned i = 0; i < size && !s->err; i++)
		if (ours[i] != theirs[i])
			uvfio_load_error(s,
					 "it is of a device whose config space has 0x%02x at "
					 "0x%03x, not 0x%02x",
					 theirs[i], i, ours[i]);
}

/* Get the version of what the model saved. 0: it is none that the model can load. */
static uint32_t get_version(pci_function *fn, struct uvfio_state *s)
{
	uint32_t version = uvfio_get32(s), newest = fn->model->state_version,
		 oldest = fn->model->state_oldest ? fn->model->state_oldest : newest;

	if (s->err)
		return 0;
	if (version >= oldest && version <= newest && version)
		return version;
	if (oldest == newest)
		uvfio_load_error(s, "it is of version %u of model %s, which loads version %u",
				 version, fn->model->name, newest);
	else
		uvfio_load_error(s, "it is of version %u of model %s, which loads %u to %u",
				 version, fn->model->name, oldest, newest);
	return 0;
}

void pci_function_describe(pci_function *fn, struct uvfio_state *s)
{
	char what[] = "size of BAR0";

	uvfio_section(s, "function");
	uvfio_same_text(s, "model", fn->model->name);
	/* here, too, so that nobody stops for a state that cannot be loaded */
	if (s->loading)
		get_version(fn, s);
	else
		uvfio_put32(s, fn->model->state_version);
	describe_config(fn, s);
	for (unsigned i = 0; i <= PCI_BARS; i++) {
		what[sizeof(what) - 2] = (char)('0' + i);
		uvfio_same(s, i == PCI_ROM_BAR ? "size of the ROM" : what, fn->bars[i].size);
	}
	uvfio_same(s, "bytes of vital product data", fn->vpd.len);
	uvfio_same(s, "number of VFs", uvfio_num_vfs(fn));
	if (!fn->model->describe)
		return;
	uvfio_section(s, "model");
	pci_model_enter(fn);
	fn->model->describe(fn, s);
	pci_model_leave(fn);
}

/* ---- config space ---- */

/* True if byte @i of config space is the platform's and does not move. */
static bool stays(const pci_function *fn, unsigned i)
{
	const struct {
		unsigned off, len;
	} ranges[] = {
		{ PCI_BASE_ADDRESS_0, 4 * PCI_BARS },
		{ PCI_ROM_ADDRESS, 4 },
		{ fn->cap.msi, fn->cap.msi ? pci_msi_pending_offset(fn) + 4 : 0 },
		{ fn->cap.msix, fn->cap.msix ? PCI_CAP_MSIX_SIZEOF : 0 },
		{ fn->cap.sriov, fn->cap.sriov ? PCI_EXT_CAP_SRIOV_SIZEOF : 0 },
	};

	for (size_t r = 0; r < ARRAY_SIZE(ranges); r++)
		if (i >= ranges[r].off && i - ranges[r].off < ranges[r].len)
			return true;
	return false;
}

static void save_config(pci_function *fn, struct uvfio_state *s)
{
	uint8_t cfg[PCI_CFG_EXP_SIZE];

	pci_save_state(fn, cfg);
	uvfio_put_bytes(s, cfg, pci_config_size(fn));
}

static void load_config(pci_function *fn, struct uvfio_state *s)
{
	unsigned size = pci_config_size(fn), effects, dsn;
	uint8_t cfg[PCI_CFG_EXP_SIZE], *b;

	uvfio_get_bytes(s, cfg, size);
	if (s->err)
		return;
	dsn = pci_find_ext_cap(fn, PCI_EXT_CAP_ID_DSN);
	pthread_mutex_lock(&fn->lock);
	/* DisINTx is how the driver masks the line */
	cfg[PCI_COMMAND + 1] &= (uint8_t) ~(PCI_COMMAND_INTX_DISABLE >> 8);
	cfg[PCI_COMMAND + 1] |= fn->cfg.bytes[PCI_COMMAND + 1] & PCI_COMMAND_INTX_DISABLE >> 8;
	for (unsigned i = 0; i < size; i++) {
		b = &fn->cfg.bytes[i];
		/* what nobody can write is the same here, or a model set it */
		if (!stays(fn, i))
			*b = cfg[i];
	}
	if (dsn)
		memcpy(fn->cfg.init + dsn + 4, cfg + dsn + 4, 8);
	pci_msi_masks_changed(fn);
	effects = pci_config_derive(fn);
	pthread_mutex_unlock(&fn->lock);
	pci_config_effects(fn, effects & ~EFFECT_VFS);
}

/* ---- interrupts ---- */

static void save_irqs(pci_function *fn, struct uvfio_state *s)
{
	uvfio_put8(s, pci_intx_level(fn));
	uvfio_put32(s, pci_msi_pending(fn));
	pthread_mutex_lock(&fn->lock);
	for (unsigned i = 0; i < fn->msix.info.vectors; i++) {
		const struct msix_entry *e = &fn->msix.table[i];
		uint8_t b[13];

		b[0] = atomic_load(&fn->msix.vec[i]) & (VEC_MASKED | VEC_PENDING);
		put32(b + 1, e->addr_lo);
		put32(b + 5, e->addr_hi);
		put32(b + 9, e->data);
		uvfio_put_bytes(s, b, sizeof(b));
	}
	pthread_mutex_unlock(&fn->lock);
}

static void set_pending(atomic_uint *word, bool on)
{
	if (on)
		atomic_fetch_or(word, VEC_PENDING);
	else
		atomic_fetch_and(word, ~VEC_PENDING);
}

/* Load what waits. Whether an entry is masked is the driver's to settle, which set it up. */
static void load_irqs(pci_function *fn, struct uvfio_state *s)
{
	bool level = uvfio_get8(s);
	uint32_t pending = uvfio_get32(s);

	if (level && fn->intx.pin)
		atomic_fetch_or(&fn->intx.state, INTX_LEVEL | INTX_ROSE);
	else
		atomic_fetch_and(&fn->intx.state, ~INTX_LEVEL);
	for (unsigned i = 0; i < fn->msi.vectors; i++)
		set_pending(&fn->msi.vec[i], pending >> i & 1);
	pthread_mutex_lock(&fn->lock);
	for (unsigned i = 0; i < fn->msix.info.vectors; i++) {
		struct msix_entry *e = &fn->msix.table[i];
		unsigned vec = uvfio_get8(s);

		set_pending(&fn->msix.vec[i], vec & VEC_PENDING);
		if (vec & VEC_MASKED)
			atomic_fetch_or(&fn->msix.vec[i], VEC_MASKED);
		else
			atomic_fetch_and(&fn->msix.vec[i], ~VEC_MASKED);
		e->addr_lo = uvfio_get32(s) & ~3u;
		e->addr_hi = uvfio_get32(s);
		e->data = uvfio_get32(s);
	}
	pthread_mutex_unlock(&fn->lock);
}

/* ---- memory that pci/ holds ---- */

static void move_memory(struct uvfio_state *s, void *mem, size_t len)
{
	if (!s->loading)
		uvfio_put_bytes(s, mem, len);
	else if (len <= s->end - s->pos)
		uvfio_get_bytes(s, mem, len);
	else
		uvfio_load_error(s, "memory of %zu bytes is cut short", len);
}

/* The same with a page that a driver may store to meanwhile, word by word as it does. */
static void move_page(struct uvfio_state *s, _Atomic uint32_t *mem, size_t len)
{
	if (s->loading && len > s->end - s->pos) {
		uvfio_load_error(s, "memory of %zu bytes is cut short", len);
		return;
	}
	for (size_t i = 0; i < len / 4; i++) {
		if (s->loading)
			atomic_store(&mem[i], uvfio_get32(s));
		else
			uvfio_put32(s, atomic_load(&mem[i]));
	}
}

static void move_memories(pci_function *fn, struct uvfio_state *s)
{
	if (fn->vpd.writable) {
		pthread_mutex_lock(&fn->lock);
		move_memory(s, fn->vpd.data, fn->vpd.len);
		pthread_mutex_unlock(&fn->lock);
	}
	for (unsigned i = 0; i < fn->pages.num; i++)
		if (fn->pages.area[i].kind == UVFIO_PAGE_POLLED)
			move_page(s, fn->pages.area[i].mem, fn->pages.area[i].len);
}

/* ---- all of it ---- */

/* The model's answer, or the state's error, which was reported when it came. */
static int answer(pci_function *fn, struct uvfio_state *s, int ret, const char *what)
{
	if (s->err)
		return s->err;
	if (ret)
		report_err("migration-model", fn->name, ret, "model %s cannot %s its state: %m",
			   fn->model->name, what);
	return ret > 0 ? -EIO : ret;
}

static void save_own(pci_function *fn, struct uvfio_state *s)
{
	uvfio_section(s, "config space");
	save_config(fn, s);
	uvfio_section(s, "interrupts");
	save_irqs(fn, s);
	uvfio_section(s, "memories");
	move_memories(fn, s);
	uvfio_section(s, "virtual functions");
	uvfio_same(s, "number of VFs", uvfio_num_vfs(fn));
}

int pci_function_save_own(pci_function *fn, struct uvfio_state *s)
{
	save_own(fn, s);
	return s->err;
}

int pci_function_save(pci_function *fn, struct uvfio_state *s)
{
	int ret;

	save_own(fn, s);
	uvfio_section(s, "state");
	uvfio_put32(s, fn->model->state_version);
	pci_model_enter(fn);
	ret = fn->model->save(fn, s);
	pci_model_leave(fn);
	return answer(fn, s, ret, "save");
}

static void load_own(pci_function *fn, struct uvfio_state *s)
{
	uvfio_section(s, "config space");
	load_config(fn, s);
	uvfio_section(s, "interrupts");
	if (!s->err)
		load_irqs(fn, s);
	uvfio_section(s, "memories");
	move_memories(fn, s);
	uvfio_section(s, "virtual functions");
	/* once more: ours may have changed since it was described */
	uvfio_same(s, "number of VFs", uvfio_num_vfs(fn));
}

int pci_function_load_own(pci_function *fn, struct uvfio_state *s)
{
	load_own(fn, s);
	return s->err;
}

int pci_function_load(pci_function *fn, struct uvfio_state *s)
{
	uint32_t version;
	int ret = 0;

	load_own(fn, s);
	uvfio_section(s, "state");
	version = get_version(fn, s);
	if (version) {
		pci_model_enter(fn);
		ret = fn->model->load(fn, s, version);
		pci_model_leave(fn);
	}
	return answer(fn, s, ret, "load");
}

uint64_t pci_function_state_size(pci_function *fn)
{
	uint64_t size = STATE_SIZE_GUESS;

	if (fn->model->state_size) {
		pci_model_enter(fn);
		size = fn->model->state_size(fn);
		pci_model_leave(fn);
	}
	size += fn->vpd.len + 2ull * PCI_CFG_EXP_SIZE + 13ull * fn->msix.info.vectors;
	for (unsigned i = 0; i < fn->pages.num; i++)
		if (fn->pages.area[i].kind == UVFIO_PAGE_POLLED)
			size += fn->pages.area[i].len;
	return size;
}

/* ---- memory that is saved beforehand ---- */

int pci_function_track(pci_function *fn, bool on)
{
	int ret;

	if (!fn->model->track)
		return 0;
	pci_model_enter(fn);
	ret = fn->model->track(fn, on);
	pci_model_leave(fn);
	return ret > 0 ? -EIO : ret;
}

uint64_t pci_function_dirty(pci_function *fn)
{
	uint64_t bytes;

	if (!fn->model->track)
		return 0;
	pci_model_enter(fn);
	bytes = fn->model->dirty(fn);
	pci_model_leave(fn);
	return bytes;
}

int pci_function_save_dirty(pci_function *fn, struct uvfio_state *s)
{
	int ret;

	uvfio_put32(s, fn->model->state_version);
	pci_model_enter(fn);
	ret = fn->model->save_dirty(fn, s);
	pci_model_leave(fn);
	return answer(fn, s, ret, "save");
}

int pci_function_load_dirty(pci_function *fn, struct uvfio_state *s)
{
	uint32_t version = get_version(fn, s);
	int ret = 0;

	if (version && !fn->model->load_dirty)
		return uvfio_load_error(s, "model %s loads no memory beforehand", fn->model->name);
	if (version) {
		pci_model_enter(fn);
		ret = fn->model->load_dirty(fn, s, version);
		pci_model_leave(fn);
	}
	return answer(fn, s, ret, "load");
}
