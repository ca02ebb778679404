/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve: a program with a device of its own, which it serves to virtual machines by vfio-user. The
 * device is a tally: it counts what the guest adds, shows the program's clients since it began, and
 * interrupts at each hundred.
 *
 *	cc -o serve serve.c $(pkg-config --cflags --libs uvfio)
 *	./serve /tmp/tally.sock start=7
 *	qemu-system-x86_64 -object memory-backend-memfd,id=ram,size=1G,share=on -m 1G \
 *	    -machine q35,memory-backend=ram -device '{"driver":"vfio-user-pci","socket":
 *	    {"type":"unix","path":"/tmp/tally.sock"}}' ...
 *
 * BAR0, 32 bits each: 0x00 SUM (RO), 0x04 ADD (WO), 0x08 CLIENTS (RO).
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uvfio/model.h>
#include <uvfio/server.h>

static atomic_uint clients;

/* ---- the device: see counter.c for one with DMA, too ---- */

struct tally {
	uint32_t start, sum;
};

static int tally_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t *value)
{
	struct tally *t = uvfio_priv(dev);

	if (size != 4 || (offset != 0x00 && offset != 0x08))
		return -EINVAL;
	*value = offset ? atomic_load(&clients) : t->sum;
	return 0;
}

static int tally_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		       uint64_t value)
{
	struct tally *t = uvfio_priv(dev);
	uint32_t before = t->sum;

	if (size != 4 || offset != 0x04)
		return -EINVAL;
	t->sum += (uint32_t)value;
	if (t->sum / 100 != before / 100)
		uvfio_msi(dev, 0);
	return 0;
}

/* The client has gone, or wants it so. */
static void tally_reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	struct tally *t = uvfio_priv(dev);

	t->sum = t->start;
}

static int tally_create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1234,
					      .device = 0x7a11,
					      .class_code = 0x118000 };
	struct tally *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return -ENOMEM;
	uvfio_set_priv(dev, t);
	t->sum = t->start = (uint32_t)uvfio_opt_uint(dev, "start", 0);
	if ((rc = uvfio_set_ids(dev, &ids)) || (rc = uvfio_add_bar(dev, 0, 4096, 0)) ||
	    (rc = uvfio_add_bar(dev, 1, 4096, 0)) ||
	    (rc = uvfio_add_msix(dev, 1, 1, 0, 1, 2048)) < 0) {
		free(t);
		return rc;
	}
	return 0;
}

static void tally_destroy(struct uvfio_dev *dev)
{
	free(uvfio_priv(dev));
}

static const struct uvfio_option options[] = {
	{ .name = "start",
	  .type = UVFIO_OPT_UINT,
	  .def = "0",
	  .help = "where the sum begins",
	  .max = UINT32_MAX },
	{ 0 },
};

static const struct uvfio_model tally = {
	UVFIO_MODEL_INIT,     .name = "tally",	      .summary = "adds up",
	.options = options,   .create = tally_create, .destroy = tally_destroy,
	.reset = tally_reset, .bar_read = tally_read, .bar_write = tally_write,
};

/* ---- its server ---- */

static void on_event(void *ctx, struct uvfio_server_device *dev, enum uvfio_server_event event,
		     unsigned client, int error)
{
	if (event == UVFIO_SERVER_OPENED)
		atomic_fetch_add(&clients, 1);
	if (event == UVFIO_SERVER_REFUSED)
		fprintf(stderr, "client %u: %s\n", client, strerror(-error));
}

int main(int argc, char **argv)
{
	const struct uvfio_server_ops ops = { .event = on_event };
	struct uvfio_server *s = NULL;
	char spec[128];
	sigset_t set;
	int sig;

	if (argc < 2) {
		fprintf(stderr, "usage: serve SOCKET [start=N]\n");
		return 2;
	}
	snprintf(spec, sizeof(spec), "tally%s%s", argc > 2 ? "," : "", argc > 2 ? argv[2] : "");
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (uvfio_server_register(&tally) || !(s = uvfio_server_new(&ops, NULL)) ||
	    uvfio_server_add(s, spec, argv[1], 0, NULL) || uvfio_server_start(s)) {
		fprintf(stderr, "serve: %s\n", uvfio_server_strerror(s));
		uvfio_server_free(s);
		return 1;
	}
	printf("%s is served at %s\n", spec, argv[1]);
	fflush(stdout);
	sigwait(&set, &sig);
	uvfio_server_free(s);
	return 0;
}
