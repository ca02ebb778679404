/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/list.c: the devices of a run: what there is says the run's list, who has it open the agents.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/internal.h"

/* The words of one process about one device. */
struct use {
	pid_t pid;
	struct ctl_packet p;
};
#define USES_MAX 4096u

struct list {
	struct use *uses;
	unsigned n;
	const char **specs; /* of all devices that there are */
	unsigned num_specs;
};

static void hear(struct question *q, struct agent *a, const struct ctl_packet *p)
{
	struct request *r = q->arg;
	struct list *l = r->data;
	struct use *more;

	if (p->op != CTL_USE || l->n >= USES_MAX)
		return;
	more = realloc(l->uses, (l->n + 1) * sizeof(*more));
	if (!more)
		return;
	l->uses = more;
	l->uses[l->n++] = (struct use){ a->pid, *p };
}

const char *process_name(pid_t pid, char name[64])
{
	char path[32];
	FILE *in;

	*name = '\0';
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	in = fopen(path, "re");
	if (in) {
		if (!fgets(name, 64, in))
			*name = '\0';
		fclose(in);
	}
	name[strcspn(name, "\n")] = '\0';
	return name;
}

static void write_command(FILE *f, pid_t pid)
{
	char name[64];

	fprintf(f, "{\"pid\":%d,", (int)pid);
	json_write_member(f, "command", process_name(pid, name));
}

/* Write who has @addr open, and what its hardware says there; @has_link: about its link, too. */
static void write_uses(FILE *f, const struct list *l, const char *addr, bool leaving, bool has_link)
{
	static const char *const power[] = { "D0", "D1", "D2", "D3hot" };
	const struct ctl_packet *seen = NULL;
	bool first = true;

	fprintf(f, "\"open\":[");
	for (unsigned i = 0; i < l->n; i++) {
		const struct ctl_packet *p = &l->uses[i].p;

		if (strcmp(p->addr, addr))
			continue;
		seen = p;
		if (!p->a && !p->b)
			continue;
		if (!first)
			putc(',', f);
		first = false;
		write_command(f, l->uses[i].pid);
		fprintf(f, ",\"by_group\":%u,\"by_cdev\":%u}", p->a, p->b);
	}
	fprintf(f, "],");
	json_write_member(f, "state",
			  seen && seen->d & CTL_USE_LOST ? "lost"
			  : leaving			 ? "leaving"
			  : seen			 ? power[seen->c & 3]
							 : "closed");
	putc(',', f);
	json_write_member(f, "error",
			  !seen				    ? NULL
			  : seen->d & CTL_USE_UNCORRECTABLE ? "uncorrectable"
			  : seen->d & CTL_USE_CORRECTABLE   ? "correctable"
							    : NULL);
	putc(',', f);
	json_write_member(f, "link",
			  !has_link || !seen || !(seen->d & CTL_USE_LINK) ? NULL
			  : seen->d & CTL_USE_LINK_UP			  ? "up"
									  : "down");
	fprintf(f, ",\"bus_master\":%s",
		!seen			   ? "null"
		: seen->d & CTL_USE_MASTER ? "true"
					   : "false");
}

/* Return what is in the network socket of a device, in a word; NULL: it has none. */
static const char *cable_of(const struct list *l, const struct run_device *d)
{
	switch (machine_spec_cable(d->spec, l->specs, l->num_specs)) {
	case MACHINE_CABLE:
		return d->link_down ? "out" : "in";
	case MACHINE_NO_CABLE:
		return d->link_down ? "out" : "none";
	default:
		return NULL;
	}
}

/* Write the driver that the view shows. */
static void write_driver(FILE *f, const char *run_dir, const char *addr)
{
	char path[PATH_MAX + 64], target[PATH_MAX];
	const char *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/driver", run_dir, addr);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	slash = strrchr(target, '/');
	json_write_member(f, "driver", n > 0 ? (slash ? slash + 1 : target) : NULL);
}

/* Write the device @d; or its virtual function at @vf, which is in @group. */
static void write_device(struct request *r, const struct run_device *d, const char *vf,
			 unsigned group)
{
	const char *addr = vf ?: d->addr, *cable = vf ? NULL : cable_of(r->data, d);
	char *model = strndup(d->spec, strcspn(d->spec, ","));

	putc('{', r->out);
	json_write_member(r->out, "address", addr);
	putc(',', r->out);
	json_write_member(r->out, "model", model);
	fprintf(r->out, ",\"group\":%u,", group);
	free(model);
	write_driver(r->out, r->s->run_dir, addr);
	putc(',', r->out);
	json_write_member(r->out, "physfn", vf ? d->addr : NULL);
	putc(',', r->out);
	json_write_member(r->out, "cable", cable);
	putc(',', r->out);
	write_uses(r->out, r->data, addr, d->leaving, cable);
	putc('}', r->out);
}

static void write_vfs(struct request *r, const struct run_device *d)
{
	struct run_pf *pfs;
	unsigned n;

	if (run_pfs_read(r->s->run_dir, &pfs, &n))
		return;
	for (unsigned i = 0; i < n; i++) {
		if (!pci_address_equal(&pfs[i].address, &d->address))
			continue;
		for (unsigned k = 0; k < pfs[i].num; k++) {
			char addr[PCI_ADDRESS_TEXT];
			struct pci_address a;

			pci_address_of_vf(&pfs[i].address, pfs[i].offset, pfs[i].stride, k, &a);
			pci_address_print(&a, addr);
			putc(',', r->out);
			write_device(r, d, addr, pfs[i].groups[k]);
		}
	}
	free(pfs);
}

static void done(struct question *q)
{
	struct request *r = q->arg;
	struct run_devices devices;
	struct list *l = r->data;
	bool first = true;
	int rc;

	rc = run_devices_read(r->s->run_dir, &devices);
	if (rc) {
		request_fail(r, rc, "the list of devices cannot be read: %s", strerror(-rc));
		goto out;
	}
	l->specs = calloc(devices.n + 1, sizeof(*l->specs));
	for (unsigned i = 0; l->specs && i < devices.n; i++)
		if (!devices.d[i].died)
			l->specs[l->num_specs++] = devices.d[i].spec;
	fprintf(r->out, "{\"ok\":true,");
	json_write_member(r->out, "run", r->s->run_dir);
	fprintf(r->out, ",\"pid\":%d,\"devices\":[", (int)getpid());
	for (unsigned i = 0; i < devices.n; i++) {
		const struct run_device *d = &devices.d[i];

		if (d->died)
			continue;
		if (!first)
			putc(',', r->out);
		first = false;
		write_device(r, d, NULL, d->group);
		write_vfs(r, d);
	}
	/* who did not answer may have any of them open */
	fprintf(r->out, "],\"silent\":[");
	first = true;
	for (unsigned i = 0; i < AGENTS_MAX; i++) {
		if (!q->failed[i])
			continue;
		if (!first)
			putc(',', r->out);
		first = false;
		write_command(r->out, r->s->agents[i].pid);
		putc('}', r->out);
	}
	fprintf(r->out, "]}");
	run_devices_free(&devices);
	request_end(r);
out:
	free(l->specs);
	free(l->uses);
	free(l);
}

void request_list(struct request *r)
{
	struct ctl_packet p = { .op = CTL_ASK_USES };

	r->data = calloc(1, sizeof(struct list));
	if (!r->data) {
		request_fail(r, -ENOMEM, "out of memory");
		return;
	}
	r->question.hear = hear;
	r->question.done = done;
	r->question.arg = r;
	server_ask(r->s, &r->question, &p);
}
