/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/removal.c: what happens to the devices of a running machine from outside: the run takes
 * one away, somebody pulls it out, it reports an error, its cable is pulled.
 *
 * A device that leaves keeps its hardware as long as this process has its unit claimed: whoever
 * found it before may still hold a pointer. Nobody can open it, which is looked at under the
 * device's own lock.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "machine/internal.h"
#include "machine/run/run.h"
#include "models/net/net.h"

void machine_released(void *arg)
{
	struct machine *m = arg;

	if (m->on_release)
		m->on_release(m->on_release_arg);
}

void machine_on_release(struct machine *m, void (*fn)(void *arg), void *arg)
{
	m->on_release = fn;
	m->on_release_arg = arg;
}

/* Return the device at @addr, or NULL. plug_lock is held. */
static struct plugged *find(struct machine *m, const char *addr)
{
	struct machine_device *d = machine_find(m, addr);

	return d ? container_of_type(d, struct plugged, d) : NULL;
}

static void lose(struct plugged *dev)
{
	dev->lost = true;
	if (dev->hw && dev->hw->provider->lose)
		dev->hw->provider->lose(dev->hw);
}

static unsigned leave(struct plugged *dev, unsigned count)
{
	struct vfio_device *vdev = dev->d.vdev;
	unsigned open = vdev ? vfio_device_leave(vdev, true) : 0;

	dev->leaving = true;
	if (open && vdev->ops->request)
		vdev->ops->request(vdev, count);
	return open;
}

unsigned machine_leave(struct machine *m, const char *addr, unsigned count, bool lost)
{
	struct plugged *dev;
	unsigned open = 0;

	pthread_mutex_lock(&m->plug_lock);
	dev = find(m, addr);
	if (dev && lost && !dev->lost)
		lose(dev);
	/* a driver that leaves takes the VFs that it enabled along, at first */
	for (unsigned i = 0; dev && i < dev->num_vfs; i++)
		open += leave(dev->vfs[i], count);
	if (dev)
		open += leave(dev, count);
	pthread_mutex_unlock(&m->plug_lock);
	return open;
}

unsigned machine_ask_back(struct machine *m, const char *addr, unsigned count)
{
	char driver[RUN_DRIVER_NAME];
	struct vfio_device *vdev;
	struct plugged *dev;
	unsigned open = 0;

	pthread_mutex_lock(&m->plug_lock);
	dev = find(m, addr);
	vdev = dev ? dev->d.vdev : NULL;
	/* a question that comes late is none: it has a driver again */
	if (vdev && m->run_dir && (run_driver(m->run_dir, addr, driver) || !*driver)) {
		open = vfio_device_leave(vdev, true);
		dev->asked_back = true;
		if (open && vdev->ops->request)
			vdev->ops->request(vdev, count);
	}
	pthread_mutex_unlock(&m->plug_lock);
	return open;
}

int machine_set_link(struct plugged *dev, bool up)
{
	dev->link_down = !up;
	if (!dev->hw)
		return -ENODEV;
	if (!dev->hw->provider->link)
		return -EOPNOTSUPP;
	return dev->hw->provider->link(dev->hw, up);
}

void machine_catch_up(struct plugged *dev)
{
	/* the device may have been bound before, and left */
	if (dev->d.vdev)
		vfio_device_leave(dev->d.vdev, dev->leaving);
	if (dev->lost)
		lose(dev);
	if (dev->link_down)
		machine_set_link(dev, false);
}

int machine_error(struct machine *m, const char *addr, enum machine_severity severity)
{
	struct plugged *dev;
	int rc = -ENODEV;

	pthread_mutex_lock(&m->plug_lock);
	dev = find(m, addr);
	if (dev && dev->d.vdev && vfio_device_opens(dev->d.vdev))
		rc = dev->hw->provider->error ? dev->hw->provider->error(dev->hw, severity)
					      : -EOPNOTSUPP;
	pthread_mutex_unlock(&m->plug_lock);
	return rc;
}

/* True if the model of @s has a socket for a cable; *@net: which net= of its is about. */
static bool has_socket(const struct machine_spec *s, bool *net)
{
	const struct uvfio_model *model;
	struct machine_plugin *plugin = NULL;
	bool has;

	has = !machine_model(s->model, &model, &plugin, NULL) &&
	      model->size > offsetof(struct uvfio_model, link) && model->link;
	*net = false;
	for (const struct uvfio_option *o = has ? model->options : NULL; o && o->name; o++)
		*net |= !strcmp(o->name, NET_OPTION);
	machine_plugin_free(plugin);
	return has;
}

/* True if @s has a cable by its own net=; with @id, one whose other end is a device of that id. */
static bool names_cable(const struct machine_spec *s, const char *id)
{
	const char *peer;

	for (unsigned i = 0; i < s->num_opts; i++) {
		if (strcmp(s->opts[i].name, NET_OPTION))
			continue;
		peer = net_peer_name(s->opts[i].value);
		if (id ? peer && !strcmp(peer, id) : net_is_cable(s->opts[i].value))
			return true;
	}
	return false;
}

enum machine_cable machine_spec_cable(const char *text, const char *const *all, unsigned n)
{
	struct machine_spec s, other;
	bool net, cable;

	if (machine_spec_parse(text, &s, NULL))
		return MACHINE_NO_SOCKET;
	if (!has_socket(&s, &net)) {
		machine_spec_free(&s);
		return MACHINE_NO_SOCKET;
	}
	/* a plug-in that has no such option knows itself what is at the other end */
	cable = !net || names_cable(&s, NULL);
	for (unsigned i = 0; i < n && !cable && s.id; i++) {
		if (machine_spec_parse(all[i], &other, NULL))
			continue;
		cable = names_cable(&other, s.id);
		machine_spec_free(&other);
	}
	machine_spec_free(&s);
	return cable ? MACHINE_CABLE : MACHINE_NO_CABLE;
}

int machine_link(struct machine *m, const char *addr, bool up)
{
	struct plugged *dev;
	int rc = -ENODEV;

	pthread_mutex_lock(&m->plug_lock);
	dev = find(m, addr);
	if (dev)
		rc = machine_set_link(dev, up);
	pthread_mutex_unlock(&m->plug_lock);
	return rc;
}

int machine_show(struct machine *m, const char *addr, struct text *t)
{
	struct plugged *dev;
	int rc = -ENODEV;

	pthread_mutex_lock(&m->plug_lock);
	dev = find(m, addr);
	if (dev && dev->hw && !dev->gone) {
		rc = dev->hw->provider->show ? 0 : -EOPNOTSUPP;
		if (!rc)
			dev->hw->provider->show(dev->hw, t);
	}
	pthread_mutex_unlock(&m->plug_lock);
	return rc;
}

static void tell_use(const struct plugged *dev, void (*fn)(void *arg, const struct machine_use *u),
		     void *arg)
{
	struct vfio_device *vdev = dev->d.vdev;
	struct machine_use u = {
		.addr = dev->d.addr,
		.lost = dev->lost || (dev->pf && dev->pf->lost),
		.leaving = dev->leaving,
		.link_up = -EOPNOTSUPP,
	};
	unsigned open, aer;

	if (!vdev || dev->gone)
		return;
	open = vfio_device_opens(vdev);
	u.by_group = atomic_load(&vdev->by_group);
	u.by_itself = open > u.by_group ? open - u.by_group : 0;
	if (!u.lost)
		u.power = pci_face_power_state(dev->d.face);
	u.has_master = !u.lost && pci_face_read(dev->d.face, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
	if (dev->hw->provider->link_up && !u.lost)
		u.link_up = dev->hw->provider->link_up(dev->hw);
	aer = u.lost ? 0 : pci_face_find_ext_cap(dev->d.face, PCI_EXT_CAP_ID_ERR);
	if (aer) {
		u.correctable = pci_face_read(dev->d.face, aer + PCI_ERR_COR_STATUS, 4);
		u.uncorrectable = pci_face_read(dev->d.face, aer + PCI_ERR_UNCOR_STATUS, 4);
	}
	fn(arg, &u);
}

void machine_each_use(struct machine *m, void (*fn)(void *arg, const struct machine_use *u),
		      void *arg)
{
	pthread_mutex_lock(&m->plug_lock);
	for (unsigned i = 0; i < m->num_plugged; i++) {
		struct plugged *dev = m->plugged[i];

		if (dev->group && dev->group->claim >= 0)
			tell_use(dev, fn, arg);
		for (unsigned k = 0; k < dev->num_vfs; k++)
			if (dev->vfs[k]->group && dev->vfs[k]->group->claim >= 0)
				tell_use(dev->vfs[k], fn, arg);
	}
	pthread_mutex_unlock(&m->plug_lock);
}
