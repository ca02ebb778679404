/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/sriov.c: a PF and its VFs under the driver. Both are bound to it, so that the kernel's
 * rule applies: the user of a PF can read and disturb what a VF does, so a user of a VF has to show
 * that it belongs together with the user of the PF, by a token (a UUID) that the PF's user sets.
 * The token is the driver's, not an opening's: it outlives the user that set it.
 */
#include <sys/random.h>

#include "base/heap.h"
#include "vfio_pci/internal.h"

int vfio_pci_sriov_init(struct vfio_pci_device *vd)
{
	struct vfio_pci_token *t;

	vd->virtfn = pci_function_pf(vd->fn);
	if (!pci_sriov_total(vd->fn))
		return 0;
	t = heap_alloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	/* one that nobody knows, until a user of the PF says another */
	if (getrandom(t->uuid, sizeof(t->uuid), 0) != sizeof(t->uuid)) {
		pthread_mutex_destroy(&t->lock);
		heap_free(t);
		return -EIO;
	}
	vd->token = t;
	return 0;
}

void vfio_pci_sriov_fini(struct vfio_pci_device *vd)
{
	if (!vd->token)
		return;
	pthread_mutex_destroy(&vd->token->lock);
	heap_free(vd->token);
}

int vfio_pci_sriov_configure(struct vfio_device *pf, unsigned num)
{
	struct vfio_pci_device *vd = to_vfio_pci(pf);
	int ret;

	pthread_mutex_lock(&vd->config_lock);
	pthread_rwlock_wrlock(&vd->memory_lock);
	/* a PF must not sleep deeper than its VFs (PCIe 6.0, 9.6) */
	if (num)
		vfio_pci_set_power(vd, 0);
	ret = pci_sriov_set(vd->fn, num);
	pthread_rwlock_unlock(&vd->memory_lock);
	pthread_mutex_unlock(&vd->config_lock);
	return ret;
}

/* ---- tokens ---- */

void vfio_pci_load_token(struct vfio_device *pf, const uint8_t uuid[16])
{
	struct vfio_pci_token *t = to_vfio_pci(pf)->token;

	pthread_mutex_lock(&t->lock);
	memcpy(t->uuid, uuid, sizeof(t->uuid));
	pthread_mutex_unlock(&t->lock);
}

void vfio_pci_token(struct vfio_device *pf, uint8_t uuid[16])
{
	struct vfio_pci_token *t = to_vfio_pci(pf)->token;

	pthread_mutex_lock(&t->lock);
	memcpy(uuid, t->uuid, sizeof(t->uuid));
	pthread_mutex_unlock(&t->lock);
}

void vfio_pci_on_token(struct vfio_device *pf, void (*fn)(void *arg), void *arg)
{
	struct vfio_pci_token *t = to_vfio_pci(pf)->token;

	t->changed = fn;
	t->arg = arg;
}

/* Tell the keeper of tokens that a user set another one. t->lock is not held. */
static void token_changed(const struct vfio_pci_token *t)
{
	if (t->changed)
		t->changed(t->arg);
}

/*
 * Return 0 if @uuid is the PF's token, else -EACCES, with the reason in the log. t->lock is held.
 */
static int compare(const struct vfio_pci_device *vd, const struct vfio_pci_token *t,
		   const uint8_t *uuid)
{
	if (uuid && !memcmp(uuid, t->uuid, sizeof(t->uuid)))
		return 0;
	if (uuid)
		report_warn("token-wrong", vd->vdev.name, -EACCES,
			    "GROUP_GET_DEVICE_FD: this is not the VF token of %s",
			    vd->pf ? vd->pf->vdev.name : "the VFs' users");
	else
		report_warn(REPORT_HINT("token-missing", " (append \" vf_token=UUID\"; DPDK: "
							 "--vfio-vf-token, QEMU: vf-token=)"),
			    vd->vdev.name, -EACCES, "GROUP_GET_DEVICE_FD: %s",
			    vd->pf ? "a VF of a PF that vfio-pci drives takes the PF's VF token"
				   : "VFs of this PF are in use, and it takes their VF token");
	return -EACCES;
}

int vfio_pci_check_token(struct vfio_device *dev, const uint8_t *uuid)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	struct vfio_pci_token *t = vd->virtfn ? (vd->pf ? vd->pf->token : NULL) : vd->token;
	bool set = false;
	int ret = 0;

	if (!t) {
		if (!uuid)
			return 0;
		return report_warn("token-unexpected", dev->name, -EINVAL,
				   "GROUP_GET_DEVICE_FD: VF token given, but the %s",
				   vd->virtfn ? "PF is not bound to vfio-pci"
					      : "device is neither a PF nor a VF");
	}
	pthread_mutex_lock(&t->lock);
	if (vd->virtfn || t->users) {
		ret = compare(vd, t, uuid);
	} else if (uuid) {
		memcpy(t->uuid, uuid, sizeof(t->uuid));
		set = true;
	}
	pthread_mutex_unlock(&t->lock);
	if (set)
		token_changed(t);
	return ret;
}

void vfio_pci_vf_users(struct vfio_pci_device *vd, int by)
{
	if (!vd->pf)
		return;
	pthread_mutex_lock(&vd->pf->token->lock);
	vd->pf->token->users += (unsigned)by;
	pthread_mutex_unlock(&vd->pf->token->lock);
}

int vfio_pci_set_vf_token(struct vfio_device *dev, const uint8_t uuid[16])
{
	vfio_pci_load_token(dev, uuid);
	token_changed(to_vfio_pci(dev)->token);
	return 0;
}
