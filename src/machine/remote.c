/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/remote.c: the provider of devices behind a socket (socket=PATH), which a server of
 * vfio-user has. Its face is what the server says of config space and regions when the device is
 * made; the machine gives its BARs addresses as it does a model's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "machine/internal.h"
#include "vfio/abi.h"
#include "vfio_user/client/client.h"

#define PREFIX "socket="

struct remote {
	struct machine_hardware hw;
	struct vu_client *client;
};

static struct remote *to_remote(struct machine_hardware *hw)
{
	return container_of_type(hw, struct remote, hw);
}

/* ---- its face ---- */

static uint32_t config_read(void *hardware, unsigned off, unsigned size)
{
	struct remote *r = hardware;

	if (off % size || off + size > r->hw.face.config_size)
		return UINT32_MAX;
	return vu_client_config_read(r->client, off, size);
}

static void config_write(void *hardware, unsigned off, unsigned size, uint32_t value)
{
	vu_client_config_write(((struct remote *)hardware)->client, off, size, value);
}

static const struct pci_face_ops face_ops = { config_read, config_write };

static void make_face(struct remote *r)
{
	struct pci_face *f = &r->hw.face;

	*f = (struct pci_face){
		.ops = &face_ops,
		.hardware = r,
		.model = "socket",
		.summary = machine_remote.summary,
		.config_size = vu_client_config_size(r->client),
	};
	for (unsigned i = 0; i <= PCI_ROM_BAR; i++) {
		struct vu_client_bar b = vu_client_bar(r->client, i);

		f->bars[i] = (struct pci_bar){ .size = b.size, .flags = b.flags };
	}
}

/* ---- options ---- */

#define OPTION_TIMEOUT	 "timeout"
#define OPTION_MEMORY	 "memory"
#define OPTION_POSTED	 "posted"
#define OPTION_RECONNECT "reconnect"
#define SECONDS_MAX	 3600u
#define RECONNECT	 30u /* seconds, if nothing is said */

static const struct uvfio_option options[] = {
	{ .name = OPTION_TIMEOUT,
	  .type = UVFIO_OPT_UINT,
	  .help = "seconds in which its server has to answer, 1 to 3600; default: 60" },
	{ .name = OPTION_MEMORY,
	  .type = UVFIO_OPT_STRING,
	  .help = "how its server reaches private memory of the program, of which there is no "
		  "file: "
		  "file: it gets the program's whole address space as a file, if it can do with "
		  "it; "
		  "messages: it asks for each access; default: file" },
	{ .name = OPTION_POSTED,
	  .type = UVFIO_OPT_BOOL,
	  .help = "off: a store to a mapped BAR waits for the server's answer, for servers that "
		  "answer what asks for no answer; default: on" },
	{ .name = OPTION_RECONNECT,
	  .type = UVFIO_OPT_UINT,
	  .help = "seconds in which a server that keeps its device's state (uvfio serve --state) "
		  "has to be there again when it ended, 0 to 3600; 0: the device is gone then, as "
		  "any other server's; it migrates, and its registers are faster; default: 30" },
	{ 0 },
};

/* Take seconds, @least at least. */
static int seconds(const struct pci_option *opt, unsigned least, uint64_t *ns)
{
	unsigned long n;
	char *end;

	n = strtoul(opt->value, &end, 10);
	if (*opt->value < '0' || *opt->value > '9' || *end || n < least || n > SECONDS_MAX)
		return -EINVAL;
	*ns = n * 1000000000ull;
	return 0;
}

/* Take the word of an option: 0: it is @no; 1: @yes; -EINVAL. */
static int word(const struct pci_option *opt, const char *no, const char *yes)
{
	return !strcmp(opt->value, no) ? 0 : !strcmp(opt->value, yes) ? 1 : -EINVAL;
}

static int set_options(struct vu_client_options *o, const struct machine_request *r, char **err)
{
	for (unsigned i = 0; i < r->num_opts; i++) {
		const struct pci_option *opt = &r->opts[i];
		const char *how;
		int rc;

		if (!strcmp(opt->name, OPTION_TIMEOUT)) {
			rc = seconds(opt, 1, &o->timeout_ns);
			how = "write seconds, 1 to 3600";
		} else if (!strcmp(opt->name, OPTION_RECONNECT)) {
			rc = seconds(opt, 0, &o->reconnect_ns);
			how = "write seconds, 0 to 3600";
		} else if (!strcmp(opt->name, OPTION_MEMORY)) {
			rc = word(opt, "file", "messages");
			how = "write file or messages";
			o->memory = rc == 1 ? VU_CLIENT_MEMORY_MESSAGES : VU_CLIENT_MEMORY_FILE;
		} else if (!strcmp(opt->name, OPTION_POSTED)) {
			rc = word(opt, "off", "on");
			how = "write on or off";
			o->no_posts = !rc;
		} else if (!strcmp(opt->name, "id")) {
			continue;
		} else {
			return machine_fail(err, -EINVAL,
					    "%s: a device behind a socket has no %s=: that is its "
					    "server's matter",
					    r->model, opt->name);
		}
		if (rc < 0)
			return machine_fail(err, rc, "%s: %s=%s: %s", r->model, opt->name,
					    opt->value, how);
	}
	return 0;
}

/* ---- the provider ---- */

static bool is_path(const char *argument)
{
	return strncmp(argument, "fd:", 3) != 0;
}

static int remote_make(const struct machine_request *r, struct machine_hardware **out, char **err)
{
	struct vu_client_options o = { .name = r->name,
				       .devices = r->devices,
				       .irqs = r->irqs,
				       .reconnect_ns = RECONNECT * 1000000000ull };
	struct remote *h;
	char *why = NULL;
	int rc;

	if (vfio_abi()->v3)
		return machine_fail(err, -EINVAL,
				    "%s: the interface of 2010 (--abi v3) has no devices behind a "
				    "socket",
				    r->model);
	rc = set_options(&o, r, err);
	if (rc)
		return rc;
	h = calloc(1, sizeof(*h));
	if (!h)
		return machine_fail(err, -ENOMEM, "out of memory");
	rc = vu_client_new(r->model + strlen(PREFIX), &o, &h->client, &why);
	if (rc) {
		machine_fail(err, rc, PREFIX "%s", why ? why : strerror(-rc));
		free(why);
		free(h);
		return rc;
	}
	make_face(h);
	vu_client_set_address(h->client, &r->address);
	h->hw.provider = &machine_remote;
	h->hw.iommu = vu_client_iommu(h->client);
	*out = &h->hw;
	return 0;
}

/* Its server takes one client at a time, and that will be the program. */
static int remote_check(struct machine_hardware *hw)
{
	vu_client_let_go(to_remote(hw)->client);
	return 0;
}

static int remote_bind(struct machine_hardware *hw, const char *driver)
{
	hw->vdev = vu_client_vdev(to_remote(hw)->client);
	return 0;
}

static void remote_unbind(struct machine_hardware *hw)
{
	hw->vdev = NULL;
}

static void remote_mmap(struct machine_hardware *hw, enum machine_mmap how)
{
	static const enum vu_client_mmap all[] = {
		[MACHINE_MMAP_AUTO] = VU_CLIENT_MMAP_AUTO,
		[MACHINE_MMAP_TRAP] = VU_CLIENT_MMAP_TRAP,
		[MACHINE_MMAP_OFF] = VU_CLIENT_MMAP_OFF,
	};

	vu_client_set_mmap(to_remote(hw)->client, all[how]);
}

static void remote_lose(struct machine_hardware *hw)
{
	vu_client_lose(to_remote(hw)->client);
}

static void remote_free(struct machine_hardware *hw)
{
	struct remote *h = to_remote(hw);

	vu_client_free(h->client);
	free(h);
}

static void remote_drop(struct machine_hardware *hw)
{
	vu_client_abandon(to_remote(hw)->client);
}

/* ---- by its path ---- */

int machine_spec_of_socket(const char *path, char **out)
{
	char *p = malloc(strlen(PREFIX) + 2 * strlen(path) + 1);

	*out = p;
	if (!p)
		return -ENOMEM;
	p = stpcpy(p, PREFIX);
	for (; *path; path++) {
		if (*path == ',')
			*p++ = ',';
		*p++ = *path;
	}
	*p = '\0';
	return 0;
}

struct machine_device *machine_find_socket(struct machine *m, const char *path)
{
	struct machine_device *d = NULL;

	pthread_mutex_lock(&m->tables_lock);
	for (unsigned i = 0; i < m->num_plugged && !d; i++) {
		const struct plugged *dev = m->plugged[i];

		if (!dev->gone && dev->provider == &machine_remote &&
		    !strcmp(dev->spec.model + strlen(PREFIX), path))
			d = &m->plugged[i]->d;
	}
	pthread_mutex_unlock(&m->tables_lock);
	return d;
}

const struct machine_provider machine_remote = {
	.name = "socket",
	.prefix = PREFIX,
	.argument = "PATH",
	.summary = "a device behind a socket, which a server of vfio-user has",
	.is_path = is_path,
	.needs_iommu = true,
	.options = options,
	.make = remote_make,
	.check = remote_check,
	.bind = remote_bind,
	.unbind = remote_unbind,
	.set_mmap = remote_mmap,
	.lose = remote_lose,
	.free = remote_free,
	.abandon = remote_drop,
};
