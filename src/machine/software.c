/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/software.c: the provider of devices that models are: a PCI function, bound to the
 * vfio-pci driver or to the one that the model stands for.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "machine/internal.h"
#include "models/net/net.h"
#include "pci/function.h"
#include "v3/driver.h"
#include "vfio/abi.h"
#include "vfio_pci/vfio_pci.h"

#define MESSAGE_MAX 512

struct software {
	struct machine_hardware hw;
	pci_function *fn;
	/*
	 * of vfio-pci, made when it is first bound and kept when it is not any more: who had it
	 * open may still have a pointer
	 */
	struct vfio_device *vdev;
	bool host_drives;
	struct software *pf;	       /* of a VF */
	struct machine_plugin *plugin; /* where the model is from, or NULL */
	struct pci_address address;
	struct loop *irqs;
	void (*token_changed)(void *arg);
	void *arg;
};

static struct software *to_software(struct machine_hardware *hw)
{
	return container_of_type(hw, struct software, hw);
}

static struct software *new_software(const struct machine_request *r)
{
	struct software *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->hw.provider = &machine_software;
	s->address = r->address;
	s->irqs = r->irqs;
	s->token_changed = r->token_changed;
	s->arg = r->arg;
	return s;
}

static void software_free(struct machine_hardware *hw)
{
	struct software *s = to_software(hw);

	if (s->vdev && vfio_abi()->v3)
		v3_unbind(s->vdev);
	else if (s->vdev)
		vfio_pci_unbind(s->vdev);
	if (s->fn)
		pci_function_free(s->fn);
	machine_plugin_free(s->plugin);
	free(s);
}

/* A model's message about a wrong option begins with its name in some places and not in others. */
static int fail_model(char **err, int rc, const char *name, const char *message)
{
	size_t len = strlen(name);

	if (!*message)
		message = strerror(-rc);
	if (!strncmp(message, name, len) && message[len] == ':')
		return machine_fail(err, rc, "%s", message);
	return machine_fail(err, rc, "%s: %s", name, message);
}

static int software_make(const struct machine_request *r, struct machine_hardware **out, char **err)
{
	struct software *s = new_software(r);
	const struct uvfio_model *model;
	char message[MESSAGE_MAX] = "";
	int rc;

	if (!s)
		return machine_fail(err, -ENOMEM, "out of memory");
	rc = machine_model(r->model, &model, &s->plugin, err);
	if (rc)
		goto fail;
	rc = pci_function_new(model, r->name, r->run, r->devices, r->opts, r->num_opts, message,
			      sizeof(message), &s->fn);
	if (rc) {
		s->fn = NULL;
		fail_model(err, rc, r->model, message);
		goto fail;
	}
	if (r->multi)
		pci_function_set_multi(s->fn);
	pci_function_face(s->fn, NULL, &s->hw.face);
	s->hw.iommu = pci_function_iommu(s->fn);
	*out = &s->hw;
	return 0;
fail:
	software_free(&s->hw);
	return rc;
}

static int software_make_vf(struct machine_hardware *pf, unsigned index,
			    const struct machine_request *r, struct machine_hardware **out,
			    char **err)
{
	struct software *s = new_software(r);
	char message[MESSAGE_MAX] = "";
	int rc;

	if (!s)
		return machine_fail(err, -ENOMEM, "out of memory");
	s->pf = to_software(pf);
	rc = pci_vf_new(s->pf->fn, index, r->name, message, sizeof(message), &s->fn);
	if (rc) {
		s->fn = NULL;
		machine_fail(err, rc, "%s", *message ? message : strerror(-rc));
		software_free(&s->hw);
		return rc;
	}
	pci_function_face(s->fn, &pf->face, &s->hw.face);
	s->hw.iommu = pci_function_iommu(s->fn);
	*out = &s->hw;
	return 0;
}

static int software_bind(struct machine_hardware *hw, const char *driver)
{
	struct software *s = to_software(hw);
	int rc;

	if (driver) {
		pci_config_write(s->fn, PCI_COMMAND, 2,
				 pci_config_read(s->fn, PCI_COMMAND, 2) | PCI_COMMAND_MASTER);
		pci_sriov_host_drives(s->fn);
		s->host_drives = true;
		return 0;
	}
	if (!s->vdev) {
		rc = vfio_abi()->v3 ? v3_bind(s->fn, &s->address, &s->vdev)
				    : vfio_pci_bind(s->fn, &s->address, s->irqs, &s->vdev);
		if (rc) {
			s->vdev = NULL;
			return rc;
		}
	}
	hw->vdev = s->vdev;
	if (vfio_abi()->v3)
		return 0; /* which has no tokens, and whose VFs know nothing of their PF */
	if (s->pf)
		vfio_pci_set_pf(hw->vdev, s->pf->hw.vdev);
	if (hw->face.sriov.total)
		vfio_pci_on_token(hw->vdev, s->token_changed, s->arg);
	return 0;
}

static void software_unbind(struct machine_hardware *hw)
{
	struct software *s = to_software(hw);

	if (s->host_drives)
		pci_function_reset(s->fn, UVFIO_RESET_POWER_ON);
	else if (hw->vdev && hw->face.sriov.total && !vfio_abi()->v3)
		vfio_pci_load_token(hw->vdev, (uint8_t[16]){ 0 }); /* it goes with the driver */
	s->host_drives = false;
	hw->vdev = NULL;
}

static int software_set_vfs(struct machine_hardware *pf, unsigned num)
{
	return pf->vdev && !vfio_abi()->v3 ? vfio_pci_sriov_configure(pf->vdev, num)
					   : pci_sriov_set(to_software(pf)->fn, num);
}

static void software_lose(struct machine_hardware *hw)
{
	pci_function_lose(to_software(hw)->fn);
}

static int software_error(struct machine_hardware *hw, enum machine_severity severity)
{
	static const enum pci_severity all[] = {
		[MACHINE_CORRECTABLE] = PCI_CORRECTABLE,
		[MACHINE_NONFATAL] = PCI_NONFATAL,
		[MACHINE_FATAL] = PCI_FATAL,
	};

	return pci_function_error(to_software(hw)->fn, all[severity]);
}

static int software_link(struct machine_hardware *hw, bool up)
{
	return pci_function_link(to_software(hw)->fn, up);
}

static int software_link_up(struct machine_hardware *hw)
{
	return pci_function_link_up(to_software(hw)->fn);
}

static void software_show(struct machine_hardware *hw, struct text *t)
{
	pci_function_show(to_software(hw)->fn, t);
}

static int software_reset(struct machine_hardware *hw, enum vfio_reset_method how)
{
	pci_function *fn = to_software(hw)->fn;
	uint8_t state[PCI_CFG_EXP_SIZE];

	if (how != VFIO_RESET_BY_BUS &&
	    !pci_can_reset_by(fn, how == VFIO_RESET_BY_FLR	? PCI_RESET_FLR
				  : how == VFIO_RESET_BY_AF_FLR ? PCI_RESET_AF_FLR
								: PCI_RESET_PM))
		return -ENOTTY;
	pci_save_state(fn, state);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	pci_function_reset(fn, how == VFIO_RESET_BY_BUS	 ? UVFIO_RESET_BUS
			       : how == VFIO_RESET_BY_PM ? UVFIO_RESET_D3
							 : UVFIO_RESET_FLR);
	pci_restore_state(fn, state);
	return pci_function_is_lost(fn) ? -ENOTTY : 0;
}

static void software_set_mmap(struct machine_hardware *hw, enum machine_mmap how)
{
	static const enum vfio_pci_mmap all[] = {
		[MACHINE_MMAP_AUTO] = VFIO_PCI_MMAP_AUTO,
		[MACHINE_MMAP_TRAP] = VFIO_PCI_MMAP_TRAP,
		[MACHINE_MMAP_OFF] = VFIO_PCI_MMAP_OFF,
		[MACHINE_MMAP_SHARED] = VFIO_PCI_MMAP_SHARED,
	};

	if (vfio_abi()->v3)
		v3_set_mmap(hw->vdev, how != MACHINE_MMAP_OFF);
	else
		vfio_pci_set_mmap(hw->vdev, all[how]);
}

static int software_set_migration(struct machine_hardware *hw)
{
	return vfio_abi()->v3 ? -ENOSYS : vfio_pci_set_migration(hw->vdev);
}

static int software_save_state(struct machine_hardware *hw, void **out, size_t *len)
{
	return vfio_abi()->v3 ? v3_save(hw->vdev, out, len) : -EOPNOTSUPP;
}

static int software_load_state(struct machine_hardware *hw, const void *buf, size_t len)
{
	return v3_load(hw->vdev, buf, len);
}

static void software_token(struct machine_hardware *pf, uint8_t uuid[16])
{
	if (vfio_abi()->v3)
		memset(uuid, 0, 16);
	else
		vfio_pci_token(pf->vdev, uuid);
}

static void software_set_token(struct machine_hardware *pf, const uint8_t uuid[16])
{
	if (!vfio_abi()->v3)
		vfio_pci_load_token(pf->vdev, uuid);
}

static const char *software_tied_to(const struct pci_option *opt)
{
	return strcmp(opt->name, NET_OPTION) ? NULL : net_peer_name(opt->value);
}

const struct machine_provider machine_software = {
	.name = "software",
	.make = software_make,
	.tied_to = software_tied_to,
	.make_vf = software_make_vf,
	.bind = software_bind,
	.unbind = software_unbind,
	.set_vfs = software_set_vfs,
	.lose = software_lose,
	.error = software_error,
	.link = software_link,
	.link_up = software_link_up,
	.show = software_show,
	.reset = software_reset,
	.set_mmap = software_set_mmap,
	.shares_memory = true,
	.set_migration = software_set_migration,
	.save_state = software_save_state,
	.load_state = software_load_state,
	.token = software_token,
	.set_token = software_set_token,
	.free = software_free,
};
