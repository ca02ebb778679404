/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/function.c: a function's life: made from a model and the user's options, handed to a driver,
 * taken apart. And the lock that lets a model be written as if it were alone: the callbacks of one
 * device run one at a time, unless its model says that it can do better.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/event.h"
#include "pci/internal.h"

static void note_owner(pci_function *who)
{
	atomic_store_explicit(&who->turn.owner, (unsigned long)pthread_self(),
			      memory_order_relaxed);
}

void pci_model_enter(pci_function *fn)
{
	pci_function *who = pci_serial(fn);

	if (fn->model->concurrent)
		return;
	pthread_mutex_lock(&who->turn.lock);
	note_owner(who);
}

bool pci_model_enter_soon(pci_function *fn)
{
	pci_function *who = pci_serial(fn);
	struct timespec until;

	if (fn->model->concurrent)
		return true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	if (pthread_mutex_timedlock(&who->turn.lock, &until))
		return false;
	note_owner(who);
	return true;
}

void pci_model_leave(pci_function *fn)
{
	pci_function *who = pci_serial(fn);

	if (!fn->model->concurrent) {
		atomic_store_explicit(&who->turn.owner, 0, memory_order_relaxed);
		pthread_mutex_unlock(&who->turn.lock);
	}
	/* with steps that is for timers to do: one that is to be freed may wait for ours to end */
	if (atomic_load_explicit(&fn->timers.reap, memory_order_relaxed) &&
	    !atomic_load_explicit(&fn->steps, memory_order_relaxed))
		pci_timers_reap(fn);
}

void pci_model_step_out(pci_function *fn)
{
	pci_serial(fn)->turn.away++;
	pci_model_leave(fn);
}

void pci_model_step_in(pci_function *fn)
{
	pci_model_enter(fn);
	pci_serial(fn)->turn.away--;
}

void pci_model_enter_between(pci_function *fn)
{
	for (;;) {
		pci_model_enter(fn);
		if (fn->model->concurrent || !pci_serial(fn)->turn.away)
			return;
		pci_model_leave(fn);
		sched_yield();
	}
}

bool pci_model_inside(pci_function *fn)
{
	return atomic_load_explicit(&pci_serial(fn)->turn.owner, memory_order_relaxed) ==
	       (unsigned long)pthread_self();
}

/* Make a function that has neither options nor a model's life yet. NULL: no memory. */
static pci_function *alloc_function(const struct uvfio_model *model, const char *name, uint64_t run,
				    struct loop *loop)
{
	pci_function *fn = calloc(1, sizeof(*fn));

	if (!fn)
		return NULL;
	fn->name = strdup(name);
	if (!fn->name) {
		free(fn);
		return NULL;
	}
	fn->model = model;
	fn->loop = loop;
	fn->run = run;
	CDS_INIT_LIST_HEAD(&fn->options);
	CDS_INIT_LIST_HEAD(&fn->timers.live);
	CDS_INIT_LIST_HEAD(&fn->timers.dead);
	pthread_mutex_init(&fn->lock, NULL);
	pthread_mutex_init(&fn->turn.lock, NULL);
	pthread_mutex_init(&fn->irq.sink_lock, NULL);
	pthread_mutex_init(&fn->pages.lock, NULL);
	return fn;
}

static void free_memory(pci_function *fn)
{
	pci_options_free(fn);
	pci_kinds_free(fn);
	pci_taken_free(fn);
	pci_reg_maps_free(fn);
	pci_lasting_free(fn);
	pthread_mutex_destroy(&fn->lock);
	pthread_mutex_destroy(&fn->turn.lock);
	pthread_mutex_destroy(&fn->irq.sink_lock);
	pthread_mutex_destroy(&fn->pages.lock);
	pci_sriov_free(fn);
	free(fn->msix.table);
	free(fn->msix.vec);
	free(fn->vpd.data);
	free(fn->rom.image);
	free(fn->name);
	free(fn);
}

/* Check what can only be judged when the model has said everything. */
static int check_whole(pci_function *fn)
{
	if (fn->cfg.last_ext_cap && !fn->cap.exp)
		return uvfio_error(
			fn, "extended capabilities need a PCI Express capability (uvfio_add_pcie)");
	/* PCIe 6.0, 9.3.5.3 and 6.6.2: both are required of a VF */
	if (fn->vf.pf && (!fn->cap.exp || !fn->cap.exp_flr))
		return uvfio_error(fn, "a VF needs a PCI Express capability with FLR");
	return pci_msix_check(fn) ?: pci_pages_check(fn);
}

/* Have the model say what it is. If this fails the model has been destroyed, too. */
static int run_create(pci_function *fn)
{
	const struct uvfio_model *model = fn->model;
	int ret;

	fn->create.now = true;
	pci_model_enter(fn);
	ret = model->create(fn);
	pci_model_leave(fn);
	if (ret) {
		if (ret > 0)
			ret = -EINVAL;
		if (fn->create.err_size && !fn->create.err[0])
			snprintf(fn->create.err, fn->create.err_size, "%s: %s", model->name,
				 strerror(-ret));
		return ret;
	}
	ret = check_whole(fn);
	fn->create.now = false;
	if (!ret) {
		memcpy(fn->cfg.init, fn->cfg.bytes, sizeof(fn->cfg.init));
		if (fn->vf.pf)
			ret = pci_vf_attach(fn);
	}
	if (ret) {
		pci_timers_stop(fn);
		if (model->destroy)
			model->destroy(fn);
	}
	return ret;
}

/* Make a function; if @pf is not NULL, as VF @index of that one. */
static int function_new(const struct uvfio_model *model, const char *name, uint64_t run,
			struct loop *loop, const struct pci_option *opts, unsigned num_opts,
			pci_function *pf, unsigned index, char *err, size_t err_size,
			pci_function **out)
{
	pci_function *fn;
	int ret;

	if (err && err_size)
		err[0] = '\0';
	if (model->abi != UVFIO_MODEL_ABI || model->size != sizeof(*model) || !model->name ||
	    !model->create) {
		if (err)
			snprintf(err, err_size,
				 "%s: not a model that this uvfio can use (its ABI is %u, ours %u)",
				 model->name ? model->name : "the model", model->abi,
				 UVFIO_MODEL_ABI);
		return -EINVAL;
	}
	fn = alloc_function(model, name, run, loop);
	if (!fn)
		return -ENOMEM;
	fn->vf.pf = pf;
	fn->vf.index = index;
	fn->create.err = err;
	fn->create.err_size = err ? err_size : 0;
	ret = pci_options_parse(fn, opts, num_opts) ?: pci_kinds_new(fn) ?: pci_reg_maps_new(fn)
						 ?: pci_taken_new(fn);
	if (ret)
		goto fail;
	iommu_device_init(&fn->iommu, fn->name);
	ret = pci_peer_init(fn);
	if (ret) {
		iommu_device_fini(&fn->iommu);
		goto fail;
	}
	atomic_store(&fn->iommu.blocked, true); /* COMMAND.MASTER is off at power-on */
	pci_header_init(fn);
	ret = run_create(fn);
	if (ret) {
		pci_timers_stop(fn);
		pci_timers_free(fn);
		pci_pages_free(fn);
		pci_peer_fini(fn);
		iommu_device_fini(&fn->iommu);
		goto fail;
	}
	fn->create.err = NULL; /* the caller's buffer is the caller's again */
	fn->create.err_size = 0;
	EVENT(EVENT_DEVICE, .who = fn->name, .text = model->name, .data = model->regs,
	      .mem = fn->cfg.bytes);
	pci_function_reset(fn, UVFIO_RESET_POWER_ON);
	*out = fn;
	return 0;
fail:
	free_memory(fn);
	return ret;
}

int pci_function_new(const struct uvfio_model *model, const char *name, uint64_t run,
		     struct loop *loop, const struct pci_option *opts, unsigned num_opts, char *err,
		     size_t err_size, pci_function **out)
{
	return function_new(model, name, run, loop, opts, num_opts, NULL, 0, err, err_size, out);
}

int pci_vf_new(pci_function *pf, unsigned index, const char *name, char *err, size_t err_size,
	       pci_function **out)
{
	if (index >= pci_sriov_total(pf))
		return -EINVAL;
	if (uvfio_vf(pf, index))
		return -EEXIST;
	return function_new(pf->iov->is.vf, name, pf->run, pf->loop, NULL, 0, pf, index, err,
			    err_size, out);
}

void pci_function_free(pci_function *fn)
{
	if (!fn)
		return;
	if (fn->vf.pf)
		pci_vf_detach(fn);
	pci_peer_fini(fn);
	pci_timers_stop(fn);
	if (fn->model->destroy)
		fn->model->destroy(fn);
	pci_late_free(fn);
	pci_set_irq_sink(fn, NULL);
	pci_set_pages_sink(fn, NULL);
	pci_pages_free(fn);
	iommu_device_fini(&fn->iommu);
	pci_timers_free(fn);
	free_memory(fn);
}

void pci_function_set_multi(pci_function *fn)
{
	/* PCIe 6.0, 7.5.1.1.9 */
	fn->cfg.bytes[PCI_HEADER_TYPE] |= 0x80;
	fn->cfg.init[PCI_HEADER_TYPE] |= 0x80;
}

const char *pci_function_name(const pci_function *fn)
{
	return fn->name;
}

const struct uvfio_model *pci_function_model(const pci_function *fn)
{
	return fn->model;
}

struct iommu_device *pci_function_iommu(pci_function *fn)
{
	return &fn->iommu;
}

/* ---- the model's side ---- */

void uvfio_set_priv(struct uvfio_dev *dev, void *priv)
{
	dev->priv = priv;
}

void *uvfio_priv(const struct uvfio_dev *dev)
{
	return dev->priv;
}

const char *uvfio_dev_name(const struct uvfio_dev *dev)
{
	return dev->name;
}

uint64_t uvfio_unique(const struct uvfio_dev *dev)
{
	/* FNV-1a of the name, then the finalizer of SplitMix64 */
	uint64_t h = 14695981039346656037ull;

	for (const char *p = dev->name; *p; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211ull;
	h ^= dev->run;
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ h >> 27) * 0x94d049bb133111ebull;
	return h ^ h >> 31;
}

void uvfio_log(struct uvfio_dev *dev, enum uvfio_log_level level, const char *fmt, ...)
{
	REPORT_CODE(error, LOG_ERR, "model-error");
	REPORT_CODE(warning, LOG_WARN, "model-warning");
	REPORT_CODE(info, LOG_INFO, "model-info");
	REPORT_CODE(debug, LOG_DEBUG, "model-debug");
	static const struct report_code *const codes[] = {
		[UVFIO_LOG_ERROR] = &error,
		[UVFIO_LOG_WARN] = &warning,
		[UVFIO_LOG_INFO] = &info,
		[UVFIO_LOG_DEBUG] = &debug,
	};
	va_list ap;

	if ((unsigned)level >= ARRAY_SIZE(codes))
		return;
	va_start(ap, fmt);
	report_vsay(codes[level], dev->name, 0, fmt, ap);
	va_end(ap);
}

int uvfio_error(struct uvfio_dev *dev, const char *fmt, ...)
{
	REPORT_CODE(error, LOG_ERR, "model-error");
	va_list ap;
	int n;

	va_start(ap, fmt);
	if (dev->create.err_size) {
		n = snprintf(dev->create.err, dev->create.err_size, "%s: ", dev->model->name);
		if (n > 0 && (size_t)n < dev->create.err_size)
			vsnprintf(dev->create.err + n, dev->create.err_size - (size_t)n, fmt, ap);
	} else {
		report_vsay(&error, dev->name, 0, fmt, ap);
	}
	va_end(ap);
	return -EINVAL;
}
