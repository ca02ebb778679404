/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/irqs.c: interrupts. INTx is handled from bind to unbind: each disables the line, which the
 * user enables again by COMMAND.DisINTx. Messages are enabled by an ioctl that gives all vectors
 * their eventfds at once; they exclude each other, and INTx's eventfd is independent of them.
 */
#include "base/rcu.h"
#include "v3/internal.h"

/* ---- INTx ---- */

/*
 * Signal and disable in one step, for any number of threads: who turns `masked` on signals. Without
 * an eventfd the line is disabled all the same.
 */
static void intx_deliver(struct v3_device *v)
{
	rcu_read_begin();
	if (!atomic_exchange(&v->intx.masked, true))
		vfio_trigger_signal(&v->intx.trigger);
	rcu_read_end();
}

static void on_intx(void *arg, bool level)
{
	if (level)
		intx_deliver(arg);
}

/*
 * Enable the line, and look at it. It was stored before the sink was called: so either that call
 * finds the mask off, or the look finds the line up; both may try, and one signals.
 */
static void intx_enable(struct v3_device *v)
{
	v3_command_change(v, PCI_COMMAND_INTX_DISABLE, 0);
	atomic_store(&v->intx.masked, false);
	if (pci_intx_level(v->fn) && !pci_power_state(v->fn))
		intx_deliver(v);
}

/*
 * The bit of the hardware is written already. `masked` goes along: when the bit is cleared and the
 * line is up, the sink is called before intx_enable() looks, and one of the two signals.
 */
void v3_intx_written(struct v3_device *v, bool disable)
{
	if (disable)
		atomic_store(&v->intx.masked, true);
	else
		intx_enable(v);
}

int v3_eventfd_irq(struct v3_opener *o, int fd)
{
	struct v3_device *v = o->dev;
	int ret;

	pthread_mutex_lock(&v->igate);
	ret = vfio_trigger_set(&v->intx.trigger, fd < 0 ? -1 : fd);
	pthread_mutex_unlock(&v->igate);
	return ret;
}

/* ---- messages ---- */

static void on_message(void *arg, unsigned vector)
{
	struct v3_device *v = arg;

	if (vector < v->messages.num_triggers)
		vfio_trigger_signal(&v->messages.triggers[vector]);
}

const struct pci_irq_sink v3_sink = {
	.msi = on_message,
	.intx = on_intx,
};

/* Program the function for what is on. config_lock held. */
static void turn_on(struct v3_device *v)
{
	unsigned log2 = 0;

	if (atomic_load(&v->messages.on) == V3_MSI) {
		while (1u << log2 < v->messages.n)
			log2++;
		pci_msi_enable(v->fn, log2);
	} else {
		pci_msix_enable(v->fn);
		for (unsigned i = 0; i < v->messages.n; i++)
			pci_msix_entry(v->fn, i, true);
	}
	/* as the kernel does with messages */
	atomic_store(&v->intx.masked, true);
	v3_command_change(v, 0, PCI_COMMAND_INTX_DISABLE);
}

void v3_irqs_restore(struct v3_device *v)
{
	if (atomic_load(&v->messages.on) != V3_NONE)
		turn_on(v);
}

/* Take all eventfds away; when this returns nobody signals them. igate held. */
static void release(struct v3_device *v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->messages.num_triggers; i++)
		if (vfio_trigger_is_set(&v->messages.triggers[i]) &&
		    !vfio_trigger_swap(&v->messages.triggers[i], -1, &v->messages.old[n]))
			n++;
	vfio_trigger_release(v->messages.old, n);
}

/* The function stops first, so that no event comes when this returns. igate held. */
static void turn_off(struct v3_device *v)
{
	if (atomic_load(&v->messages.on) == V3_NONE)
		return;
	pthread_mutex_lock(&v->config_lock);
	/* as the kernel leaves a table: masked */
	for (unsigned i = 0; atomic_load(&v->messages.on) == V3_MSIX && i < v->messages.n; i++)
		pci_msix_entry(v->fn, i, false);
	if (atomic_load(&v->messages.on) == V3_MSI)
		pci_msi_disable(v->fn);
	else
		pci_msix_disable(v->fn);
	atomic_store(&v->messages.on, V3_NONE);
	v->messages.n = 0;
	intx_enable(v);
	pthread_mutex_unlock(&v->config_lock);
	rcu_sync();
	release(v);
}

/* Return how many vectors the function has, 0: there is no such capability. */
static unsigned vectors_of(struct v3_device *v, bool msix)
{
	struct pci_msix_info info;

	if (!msix)
		return pci_msi_vectors(v->fn);
	return pci_msix_info(v->fn, &info) ? info.vectors : 0;
}

static int turn_on_new(struct v3_device *v, bool msix, unsigned n, const int *fds)
{
	unsigned have = vectors_of(v, msix), i;
	int unused, err = 0;

	/* V3 looks at the eventfds before it asks for vectors */
	for (i = 0; i < n && !err; i++)
		err = vfio_check_eventfd(fds[i]);
	if (err)
		return err;
	if (!have)
		return -EINVAL;
	if (n > have)
		return (int)have;
	for (i = 0; i < n && !err; i++)
		err = vfio_trigger_swap(&v->messages.triggers[i], fds[i], &unused);
	if (!err) {
		pthread_mutex_lock(&v->config_lock);
		if (pci_power_state(v->fn)) {
			err = -EINVAL; /* the table cannot be programmed outside of D0 */
		} else {
			atomic_store(&v->messages.on, msix ? V3_MSIX : V3_MSI);
			v->messages.n = n;
			turn_on(v);
		}
		pthread_mutex_unlock(&v->config_lock);
	}
	if (err)
		release(v);
	return err;
}

int v3_messages_check(struct v3_opener *o, bool msix, bool enable)
{
	int on = atomic_load(&o->dev->messages.on);

	return on == (enable ? V3_NONE : msix ? V3_MSIX : V3_MSI) ? 0 : -EINVAL;
}

int v3_messages(struct v3_opener *o, bool msix, unsigned n, const int *fds)
{
	struct v3_device *v = o->dev;
	int ret;

	pthread_mutex_lock(&v->igate);
	ret = v3_messages_check(o, msix, n);
	if (!ret && n)
		ret = turn_on_new(v, msix, n, fds);
	else if (!ret)
		turn_off(v);
	pthread_mutex_unlock(&v->igate);
	if (ret > 0)
		report_warn("few-vectors", v->vdev.name, 0,
			    "%u vectors were asked for, and there are %d: none is enabled, which "
			    "the ioctl says by a positive number",
			    n, ret);
	return ret;
}

/* ---- life ---- */

void v3_irqs_drop_all(struct v3_device *v)
{
	pthread_mutex_lock(&v->igate);
	turn_off(v);
	vfio_trigger_set(&v->intx.trigger, -1);
	pthread_mutex_unlock(&v->igate);
}

int v3_irqs_init(struct v3_device *v)
{
	unsigned msi = vectors_of(v, false), n = vectors_of(v, true);

	if (n < msi)
		n = msi;
	vfio_trigger_init(&v->intx.trigger);
	if (!n)
		return 0;
	v->messages.triggers = heap_array(n, sizeof(*v->messages.triggers));
	v->messages.old = heap_array(n, sizeof(*v->messages.old));
	if (!v->messages.triggers || !v->messages.old)
		return -ENOMEM;
	v->messages.num_triggers = n;
	for (unsigned i = 0; i < n; i++)
		vfio_trigger_init(&v->messages.triggers[i]);
	return 0;
}

void v3_irqs_fini(struct v3_device *v)
{
	heap_free(v->messages.triggers);
	heap_free(v->messages.old);
}
