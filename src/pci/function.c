/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A function's life: made from a model and the user's options, handed to a driver, taken apart. And
 * the lock that lets a model be written as if it were alone: the callbacks of one device run one at
 * a time, unless its model says that it can do better.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "pci/internal.h"

void pci_model_enter(pci_function *fn)
{
	pci_function *who = pci_serial(fn);

	if (fn->model->concurrent)
		return;
	pthread_mutex_lock(&who->turn.lock);
	atomic_store_explicit(&who->turn.owner, (unsigned long)pthread_self(),
			      memory_order_relaxed);
}

void pci_model_leave(pci_function *fn)
{
	pci_function *who = pci_serial(fn);

	if (!fn->model->concurrent) {
		atomic_store_explicit(&who->turn.owner, 0, memory_order_relaxed);
		pthread_mutex_unlock(&who->turn.lock);
	}
	if (atomic_load_explicit(&fn->timers.reap, memory_order_relaxed))
		pci_timers_reap(fn);
}

bool pci_model_inside(pci_function *fn)
{
	return atomic_load_explicit(&pci_serial(fn)->turn.owner, memory_order_relaxed) ==
	       (unsigned long)pthread_self();
}

static void function_free_memory(pci_function *fn)
{
	pci_options_free(fn);
	pthread_mutex_destroy(&fn->lock);
	pthread_mutex_destroy(&fn->turn.lock);
	pthread_mutex_destroy(&fn->irq.sink_lock);
	pci_sriov_free(fn);
	pthread_mutex_destroy(&fn->pages.lock);
	free(fn->msix.table);
	free(fn->msix.vec);
	free(fn->vpd.data);
	free(fn->rom.image);
	free(fn->name);
	free(fn);
}

/* What can only be judged when the model has said everything. */
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

/* @pf: NULL, or it becomes VF @index of that */
static int function_new(const struct uvfio_model *model, const char *name, uint64_t run,
			struct loop *loop, const struct pci_option *opts, unsigned num_opts,
			pci_function *pf, unsigned index, char *err, size_t err_size,
			pci_function **out)
{
	pci_function *fn;
	int ret;

	if (err && err_size)
		err[0] = '\0';
	if (model->abi != UVFIO_MODEL_ABI || !model->name || !model->create) {
		if (err)
			snprintf(err, err_size,
				 "%s: not a model that this uvfio can use (its ABI is %u, ours %u)",
				 model->name ? model->name : "the model", model->abi,
				 UVFIO_MODEL_ABI);
		return -EINVAL;
	}
	fn = calloc(1, sizeof(*fn));
	if (!fn)
		return -ENOMEM;
	fn->model = model;
	fn->loop = loop;
	fn->run = run;
	fn->vf.pf = pf;
	fn->vf.index = index;
	fn->create.err = err;
	fn->create.err_size = err ? err_size : 0;
	CDS_INIT_LIST_HEAD(&fn->options);
	CDS_INIT_LIST_HEAD(&fn->timers.live);
	CDS_INIT_LIST_HEAD(&fn->timers.dead);
	pthread_mutex_init(&fn->lock, NULL);
	pthread_mutex_init(&fn->turn.lock, NULL);
	pthread_mutex_init(&fn->irq.sink_lock, NULL);
	pthread_mutex_init(&fn->pages.lock, NULL);
	fn->name = strdup(name);
	if (!fn->name) {
		ret = -ENOMEM;
		goto free_memory;
	}
	ret = pci_options_parse(fn, opts, num_opts);
	if (ret)
		goto free_memory;

	iommu_device_init(&fn->iommu, fn->name);
	atomic_store(&fn->iommu.blocked, true); /* COMMAND.MASTER is off at power-on */
	pci_header_init(fn);
	fn->create.now = true;
	pci_model_enter(fn);
	ret = model->create(fn);
	pci_model_leave(fn);
	if (ret) {
		if (ret > 0)
			ret = -EINVAL;
		if (err && err_size && !err[0])
			snprintf(err, err_size, "%s: %s", model->name, strerror(-ret));
		goto stop_timers;
	}
	ret = check_whole(fn);
	fn->create.now = false;
	if (ret)
		goto destroy;
	memcpy(fn->cfg.init, fn->cfg.bytes, sizeof(fn->cfg.init));
	if (pf)
		ret = pci_vf_attach(fn);
	if (ret)
		goto destroy;
	fn->create.err = NULL; /* the caller's buffer is the caller's again */
	fn->create.err_size = 0;
	pci_function_reset(fn, UVFIO_RESET_POWER_ON);
	*out = fn;
	return 0;

destroy:
	pci_timers_stop(fn);
	if (model->destroy)
		model->destroy(fn);
stop_timers:
	pci_timers_stop(fn);
	pci_timers_free(fn);
	pci_pages_free(fn);
	iommu_device_fini(&fn->iommu);
free_memory:
	function_free_memory(fn);
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
	pci_timers_stop(fn);
	if (fn->model->destroy)
		fn->model->destroy(fn);
	pci_set_irq_sink(fn, NULL);
	pci_set_pages_sink(fn, NULL);
	pci_pages_free(fn);
	iommu_device_fini(&fn->iommu);
	pci_timers_free(fn);
	function_free_memory(fn);
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
