/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/sriov.c: virtual functions in a machine. A VF is made when it is first needed and then
 * kept: enabling plugs it in (a group, a name by which it is found), disabling takes it out, and
 * the object waits. So a pointer to a VF never goes bad while the machine stands.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "machine/internal.h"
#include "machine/run/run.h"

bool machine_vf_address(const struct plugged *pf, unsigned i, struct pci_address *out)
{
	return pci_address_of_vf(&pf->d.address, pf->layout.offset, pf->layout.stride, i, out);
}

/* Check that there is room for the VFs, whether they are enabled or not. */
static int check_places(struct plugged *dev, char **err)
{
	const struct plugged *other;
	char addr[PCI_ADDRESS_TEXT];
	struct pci_address a;

	if (dev->spec.numvfs > dev->layout.total)
		return machine_fail(err, -ERANGE,
				    "%s: sriov_numvfs=%u: it has %u virtual functions",
				    dev->spec.model, dev->spec.numvfs, dev->layout.total);
	if (!dev->layout.total)
		return 0;
	if (!machine_vf_address(dev, dev->layout.total - 1, &a))
		return machine_fail(err, -EINVAL,
				    "%s: on bus %02x its virtual functions would be beyond "
				    "the last bus",
				    dev->spec.model, dev->d.address.bus);
	for (unsigned i = 0; i < dev->layout.total; i++) {
		machine_vf_address(dev, i, &a);
		other = machine_owner(dev->m, &a);
		if (!other)
			continue;
		pci_address_print(&a, addr);
		return machine_fail(err, -EBUSY,
				    "%s: its virtual function %u would be at %s, which %s "
				    "takes: choose another "
				    "place with addr=",
				    dev->spec.model, i, addr, other->spec.model);
	}
	return 0;
}

int machine_pf_init(struct plugged *dev, char **err)
{
	const struct pci_face_sriov *iov = &dev->hw->face.sriov;
	struct machine_vf_layout layout = { iov->total, iov->offset, iov->stride };
	int rc;

	if (dev->settled) {
		/* a model whose file was replaced */
		if (memcmp(&layout, &dev->layout, sizeof(layout)))
			return machine_fail(
				err, -EINVAL,
				"%s at %s: its virtual functions are not what they were "
				"when the run began",
				dev->spec.model, dev->d.addr);
		return machine_check_driver(dev, err);
	}
	if (layout.total > RUN_VFS_MAX)
		return machine_fail(err, -EINVAL, "%s: %u virtual functions, and there can be %u",
				    dev->spec.model, layout.total, RUN_VFS_MAX);
	dev->layout = layout;
	rc = check_places(dev, err);
	return rc ? rc : machine_check_driver(dev, err);
}

int machine_alloc_vfs(struct plugged *dev)
{
	if (dev->layout.total)
		dev->vfs = calloc(dev->layout.total, sizeof(*dev->vfs));
	return dev->layout.total && !dev->vfs ? -ENOMEM : 0;
}

/* Make struct plugged of VFs [0, @n). */
static int add_vfs(struct plugged *pf, unsigned n)
{
	struct pci_address a;
	struct plugged *vf;

	for (unsigned i = 0; i < n; i++) {
		if (pf->vfs[i])
			continue;
		vf = calloc(1, sizeof(*vf));
		if (!vf)
			return -ENOMEM;
		vf->m = pf->m;
		vf->pf = pf;
		vf->index = i;
		vf->claim = -1;
		machine_set_driver(vf, NULL);
		machine_vf_address(pf, i, &a);
		machine_set_address(vf, &a);
		pthread_mutex_lock(&pf->m->tables_lock);
		pf->vfs[i] = vf;
		pthread_mutex_unlock(&pf->m->tables_lock);
	}
	return 0;
}

static int make_vf(struct plugged *vf, char **err)
{
	struct machine_request r = machine_request(vf);
	struct plugged *pf = vf->pf;
	char *why = NULL;
	int rc;

	rc = pf->hw->provider->make_vf(pf->hw, vf->index, &r, &vf->hw, &why);
	if (rc)
		vf->hw = NULL;
	else
		rc = machine_bind(vf, pf);
	if (!rc) {
		/* the PF's model can; if its VFs' cannot, they have none */
		rc = machine_set_migration(vf, pf);
		if (rc == -EOPNOTSUPP)
			rc = 0;
	}
	if (rc) {
		machine_unmake(vf);
		machine_fail(err, rc, "%s at %s: virtual function %u cannot be made: %s",
			     pf->spec.model, pf->d.addr, vf->index, why ? why : strerror(-rc));
	}
	free(why);
	return rc;
}

int machine_make_vfs(struct plugged *pf, unsigned n, char **err)
{
	int rc = add_vfs(pf, n);

	if (rc)
		machine_fail(err, rc, "out of memory");
	for (unsigned i = 0; i < n && !rc; i++)
		if (!pf->vfs[i]->hw)
			rc = make_vf(pf->vfs[i], err);
	return rc;
}

int machine_set_vfs(struct plugged *pf, unsigned num)
{
	return pf->hw->provider->set_vfs(pf->hw, num);
}

void machine_unmake_vfs(struct plugged *pf)
{
	if (pf->hw && pf->layout.total)
		machine_set_vfs(pf, 0);
	for (unsigned i = pf->layout.total; i-- > 0;)
		if (pf->vfs[i])
			machine_unmake(pf->vfs[i]);
}

void machine_drop_vfs(struct plugged *pf)
{
	for (unsigned i = 0; pf->vfs && i < pf->layout.total; i++)
		free(pf->vfs[i]);
	free(pf->vfs);
	pf->vfs = NULL;
}

void machine_disable_vfs(struct plugged *pf)
{
	unsigned n = pf->num_vfs;

	pthread_mutex_lock(&pf->m->tables_lock);
	pf->num_vfs = 0;
	pthread_mutex_unlock(&pf->m->tables_lock);
	for (unsigned i = 0; i < n; i++) {
		machine_unplug(pf->vfs[i]);
		machine_leave_group(pf->vfs[i]);
		/* it may come back as another */
		pf->vfs[i]->leaving = pf->vfs[i]->asked_back = false;
		if (pf->vfs[i]->d.vdev)
			vfio_device_leave(pf->vfs[i]->d.vdev, false);
	}
	if (pf->hw)
		machine_set_vfs(pf, 0);
}

int machine_plug_vfs(struct plugged *pf, char **err)
{
	int rc = machine_make_vfs(pf, pf->num_vfs, err);

	for (unsigned i = 0; i < pf->num_vfs && !rc; i++) {
		rc = machine_plug(pf->vfs[i]);
		if (rc)
			machine_fail(err, rc, "%s: virtual function %u cannot be plugged in: %s",
				     pf->d.addr, i, strerror(-rc));
	}
	if (!rc && pf->num_vfs)
		machine_set_vfs(pf, pf->num_vfs);
	return rc;
}

/* Plug in VFs [0, @num), in @groups or, if that is NULL, in free ones. plug_lock is held. */
static int enable(struct plugged *pf, unsigned num, const unsigned *groups, char **err)
{
	unsigned joined = 0;
	int rc = pf->hw ? machine_make_vfs(pf, num, err) : add_vfs(pf, num);

	if (rc)
		return rc;
	while (joined < num && !rc) {
		rc = machine_join_group(pf->m, pf->vfs[joined],
					groups ? groups[joined] : machine_free_group(pf->m));
		if (rc)
			machine_fail(err, rc, "%s: virtual function %u cannot join a group: %s",
				     pf->d.addr, joined, strerror(-rc));
		else
			joined++;
	}
	pthread_mutex_lock(&pf->m->tables_lock);
	pf->num_vfs = joined;
	pthread_mutex_unlock(&pf->m->tables_lock);
	if (!rc && pf->hw)
		rc = machine_plug_vfs(pf, err);
	if (rc)
		machine_disable_vfs(pf);
	return rc;
}

int machine_start(struct machine *m, char **err)
{
	int rc = 0;

	if (err)
		*err = NULL;
	pthread_mutex_lock(&m->plug_lock);
	for (unsigned i = 0; i < m->num_plugged && !rc; i++) {
		struct plugged *pf = m->plugged[i];

		if (pf->spec.own_process)
			rc = machine_fail(err, -ENOTSUP,
					  "%s: process=own is for `uvfio run`; elsewhere a "
					  "device is in another process by `uvfio serve` and "
					  "socket=",
					  pf->spec.model);
		else if (!pf->num_vfs && pf->spec.numvfs)
			rc = enable(pf, pf->spec.numvfs, NULL, err);
	}
	pthread_mutex_unlock(&m->plug_lock);
	return rc;
}

/* ---- in step with the run ---- */

static bool in_step(const struct plugged *pf, const struct run_pf *st)
{
	if (pf->num_vfs != st->num)
		return false;
	for (unsigned i = 0; i < st->num; i++)
		if (pf->vfs[i]->d.group != st->groups[i])
			return false;
	return true;
}

/* Return the PF that @st is about if @m has other VFs of it, else NULL. */
static struct plugged *differs(struct machine *m, const struct run_pf *st)
{
	for (unsigned i = 0; i < m->num_plugged; i++) {
		struct plugged *pf = m->plugged[i];

		if (!pf->gone && pci_address_equal(&pf->d.address, &st->address))
			return st->num > pf->layout.total || in_step(pf, st) ? NULL : pf;
	}
	return NULL;
}

static int follow(struct plugged *pf, const struct run_pf *st)
{
	char *why = NULL;
	int rc = 0;

	if (pf->num_vfs)
		machine_disable_vfs(pf);
	if (st->num)
		rc = enable(pf, st->num, st->groups, &why);
	if (rc)
		report_err("device-not-made", "machine", 0, "%s", why ? why : strerror(-rc));
	free(why);
	return rc;
}

static int read_state(struct machine *m, struct run_pf **states, unsigned *n)
{
	bool any = false;
	int rc;

	*states = NULL;
	*n = 0;
	for (unsigned i = 0; i < m->num_plugged; i++)
		any |= m->plugged[i]->vfs && !m->plugged[i]->gone;
	if (!any || !m->run_dir)
		return 0;
	rc = run_pfs_read(m->run_dir, states, n);
	if (rc)
		report_err("run-state", "machine", rc,
			   "%s: cannot tell which virtual functions there are: %m", m->run_dir);
	return rc;
}

int machine_is_behind(struct machine *m)
{
	struct run_pf *states;
	unsigned n;
	int rc = machine_has_changed(m);

	if (rc)
		return rc;
	rc = read_state(m, &states, &n);
	for (unsigned i = 0; i < n && !rc; i++)
		rc = differs(m, &states[i]) != NULL;
	free(states);
	return rc;
}

int machine_sync(struct machine *m)
{
	struct run_pf *states = NULL;
	struct plugged *pf;
	unsigned n = 0;
	int rc;

	pthread_mutex_lock(&m->plug_lock);
	rc = machine_follow(m);
	if (!rc)
		rc = read_state(m, &states, &n);
	for (unsigned i = 0; i < n && !rc; i++) {
		pf = differs(m, &states[i]);
		if (pf)
			rc = follow(pf, &states[i]);
	}
	if (!rc)
		machine_follow_drivers(m);
	pthread_mutex_unlock(&m->plug_lock);
	free(states);
	return rc;
}

/* ---- VF tokens ---- */

/*
 * Put the path of the file with the token together, which is there whole or not at all: the
 * kernel's vfio-pci has the token for as long as it is bound, whichever process set it.
 */
static int token_path(const struct plugged *pf, const char *suffix, char *out, size_t size)
{
	int n = pf->m->run_dir ? snprintf(out, size, "%s/claims/token-%s%s", pf->m->run_dir,
					  pf->d.addr, suffix)
			       : -1;

	return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

void machine_keep_token(void *arg)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	struct plugged *pf = arg;
	uint8_t uuid[16];
	long rc;
	int fd;

	if (token_path(pf, "", path, sizeof(path)) ||
	    token_path(pf, ".new", temporary, sizeof(temporary)))
		return;
	/* of two that are set at once, the last one to be written is the one that the device has */
	pthread_mutex_lock(&pf->m->token_lock);
	pf->hw->provider->token(pf->hw, uuid);
	fd = sys_open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	rc = fd;
	if (fd >= 0) {
		rc = sys_write(fd, uuid, 16);
		sys_close(fd);
		if (rc == 16)
			rc = sys_call(SYS_renameat, AT_FDCWD, (long)temporary, AT_FDCWD, (long)path,
				      0, 0);
	}
	pthread_mutex_unlock(&pf->m->token_lock);
	if (rc < 0)
		report_warn("token-not-kept", pf->d.addr, (int)rc,
			    "%s: %m: another process of this run will not know this VF token",
			    path);
}

void machine_load_token(struct plugged *pf)
{
	char path[PATH_MAX];
	uint8_t uuid[16];
	int fd;

	if (!pf->d.vdev || !pf->layout.total || token_path(pf, "", path, sizeof(path)))
		return;
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sys_read(fd, uuid, sizeof(uuid)) == sizeof(uuid))
		pf->hw->provider->set_token(pf->hw, uuid);
	sys_close(fd);
}
