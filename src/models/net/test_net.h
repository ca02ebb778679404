/* SPDX-License-Identifier: BSD-3-Clause */
/* models/net/test_net.h: a device that is nothing but a port, for the unit tests of this folder. */
#ifndef MODELS_NET_TEST_NET_H
#define MODELS_NET_TEST_NET_H
#include <pthread.h>
#include <stdio.h>

#include "base/sys.h"
#include "models/net/internal.h"
#include "pci/test_platform.h"

#define TYPE \
	0x88b5 /* IEEE 802, local experimental EtherType 1: what the host sends by itself is \
		  another */
#define SENDERS 4

struct frame {
	uint8_t dst[6], src[6];
	uint8_t type[2];
	uint32_t sender, seq; /* of the sender's frames */
	uint8_t fill[NET_FRAME_MAX - 22];
} __attribute__((packed));

struct device {
	pci_function *fn;
	struct loop *loop;
	struct net_port *port;
	char err[256];

	pthread_mutex_t lock; /* a model's: held in receive, as models do */
	uint32_t next[SENDERS];
	_Atomic uint32_t last_seq;
	_Atomic size_t last_len;
	atomic_uint received, misordered, links, late, inside;
	atomic_bool up, closed, full;
	atomic_uint replies;	  /* to each frame */
	struct net_port *forward; /* where replies go; NULL: back */
	atomic_uint nested;	  /* a receive() of this thread ran inside another */
};

static struct device *opening;
static __thread unsigned depth;

static void frame_make(struct frame *f, uint32_t sender, uint32_t seq)
{
	memset(f, 0xff, 12);
	f->type[0] = TYPE >> 8;
	f->type[1] = TYPE & 0xff;
	f->sender = sender;
	f->seq = seq;
	memset(f->fill, (int)seq, 64);
}

static inline bool frame_send(struct device *d, uint32_t sender, uint32_t seq, size_t len)
{
	struct frame f;

	if (len > sizeof(f))
		memset(&f, 0, sizeof(f));
	frame_make(&f, sender, seq);
	return net_send(d->port, &f, len);
}

static bool on_receive(void *arg, const void *data, size_t len)
{
	struct device *d = arg;
	const struct frame *f = data;
	unsigned replies;
	struct frame r;

	if (len < 22 || f->type[0] != TYPE >> 8 || f->type[1] != (TYPE & 0xff))
		return true;
	if (atomic_load(&d->closed))
		atomic_fetch_add(&d->late, 1);
	if (depth++)
		atomic_fetch_add(&d->nested, 1);
	pthread_mutex_lock(&d->lock);
	if (f->sender < SENDERS) {
		if (f->seq < d->next[f->sender])
			atomic_fetch_add(&d->misordered, 1);
		d->next[f->sender] = f->seq + 1;
	}
	d->last_seq = f->seq;
	d->last_len = len;
	replies = d->replies;
	pthread_mutex_unlock(&d->lock);
	if (replies) {
		frame_make(&r, f->sender, 0);
		for (unsigned i = 0; i < replies; i++) {
			r.seq = f->seq * replies + i;
			net_send(d->forward ? d->forward : d->port, &r, 60);
		}
	}
	depth--;
	atomic_fetch_add(&d->received, 1);
	return !atomic_load(&d->full);
}

static void on_link(void *arg, bool up)
{
	struct device *d = arg;

	if (atomic_load(&d->closed))
		atomic_fetch_add(&d->late, 1);
	if (atomic_fetch_add(&d->inside, 1))
		atomic_fetch_add(&d->nested, 1);
	atomic_fetch_add(&d->links, 1);
	atomic_store(&d->up, up);
	atomic_fetch_sub(&d->inside, 1);
}

static int port_create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1234,
					      .device = 0x5678,
					      .class_code = 0x020000 };
	static const struct net_ops ops = { .receive = on_receive, .link = on_link };
	int err = uvfio_set_ids(dev, &ids);

	uvfio_set_priv(dev, opening);
	return err ? err : net_open(dev, &ops, opening, &opening->port);
}

static void port_destroy(struct uvfio_dev *dev)
{
	struct device *d = uvfio_priv(dev);

	net_close(d->port);
	atomic_store(&d->closed, true);
}

static const struct uvfio_option port_options[] = { NET_OPTIONS, { 0 } };
static const struct uvfio_model port_model = {
	UVFIO_MODEL_INIT,   .name = "port",	   .options = port_options,
	.concurrent = true, .create = port_create, .destroy = port_destroy,
};

/* @opts: "net=...", "id=...", up to four, then NULL. */
static int device_try(struct device *d, const char *name, const char *const *opts)
{
	struct pci_option o[4];
	char text[4][256];
	unsigned n = 0;
	int err;

	memset(d, 0, sizeof(*d));
	pthread_mutex_init(&d->lock, NULL);
	for (; opts[n]; n++) {
		snprintf(text[n], sizeof(text[n]), "%s", opts[n]);
		o[n].value = strchr(text[n], '=') + 1;
		text[n][o[n].value - text[n] - 1] = '\0';
		o[n].name = text[n];
	}
	opening = d;
	d->loop = loop_new();
	err = pci_function_new(&port_model, name, 0, d->loop, o, n, d->err, sizeof(d->err), &d->fn);
	if (err) {
		loop_free(d->loop);
		pthread_mutex_destroy(&d->lock);
	}
	return err;
}
#define OPTS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define OPEN(d, name, ...)                                  \
	do {                                                \
		if (device_try(d, name, OPTS(__VA_ARGS__))) \
			fail_msg("%s: %s", name, (d)->err); \
	} while (0)

static void device_close(struct device *d)
{
	pci_function_free(d->fn);
	loop_free(d->loop);
	pthread_mutex_destroy(&d->lock);
}

static inline struct net_stats stats(struct device *d)
{
	struct net_stats s;

	net_get_stats(d->port, &s);
	return s;
}

static inline unsigned count_private(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 65536; fd++)
		n += fd_is_private(fd);
	return n;
}
#endif
