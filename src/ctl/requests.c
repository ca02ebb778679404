/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/requests.c: a line of a client becomes a request: which there are, what members they may
 * have, and how an answer looks. An answer is one line, too: {"ok":true,...}, or
 * {"ok":false,"error":"ERRNO","message":"a sentence"}.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "ctl/internal.h"

struct member {
	const char *name;
	enum json_type type;
	bool required;
};

struct request_kind {
	const char *name;
	void (*begin)(struct request *r);
	struct member members[6]; /* besides "request"; ends with name NULL */
};

static void request_run(struct request *r)
{
	fprintf(r->out, "{\"ok\":true,");
	json_write_member(r->out, "run", r->s->run_dir);
	fprintf(r->out, ",\"pid\":%d,", (int)getpid());
	json_write_member(r->out, "program", r->s->program);
	fprintf(r->out, ",\"version\":\"" UVFIO_VERSION "\"}");
	request_end(r);
}

/* Let devices go that `uvfio run --hold` holds. */
static void request_release(struct request *r)
{
	uint64_t one = 1;
	int fd = atomic_load(&r->s->release_fd);

	if (fd < 0) {
		request_fail(r, -ENOENT,
			     "nothing is held: `uvfio run --hold` holds the devices of a program "
			     "that failed");
		return;
	}
	fprintf(r->out, "{\"ok\":true}");
	request_end(r);
	sys_write(fd, &one, sizeof(one));
}

static const struct request_kind kinds[] = {
	{ "run", request_run, { { 0 } } },
	{ "list", request_list, { { 0 } } },
	{ "show", request_show, { { "device", JSON_STRING, true } } },
	{ "release", request_release, { { 0 } } },
	{ "unplug",
	  request_unplug,
	  { { "device", JSON_STRING, true },
	    { "surprise", JSON_BOOL, false },
	    { "timeout", JSON_NUMBER, false },
	    { "progress", JSON_BOOL, false } } },
	{ "plug", request_plug, { { "device", JSON_STRING, true } } },
	{ "aer",
	  request_aer,
	  { { "device", JSON_STRING, true }, { "severity", JSON_STRING, true } } },
	{ "link",
	  request_link,
	  { { "device", JSON_STRING, true }, { "state", JSON_STRING, true } } },
	{ "fault",
	  request_fault,
	  { { "device", JSON_STRING, false }, { "fault", JSON_STRING, true } } },
	{ "sriov",
	  request_sriov,
	  { { "device", JSON_STRING, true }, { "numvfs", JSON_NUMBER, true } } },
};

static void request_free(struct request *r)
{
	cds_list_del(&r->node);
	if (r->out)
		fclose(r->out);
	free(r->answer);
	free(r);
}

void request_end(struct request *r)
{
	fclose(r->out);
	r->out = NULL;
	if (r->client) {
		server_say(r->client, r->answer, r->answer_len);
		r->client->request = NULL;
	}
	request_free(r);
}

void request_fail(struct request *r, int err, const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	rewind(r->out);
	fprintf(r->out, "{\"ok\":false,");
	json_write_member(r->out, "error", strerrorname_np(-err) ?: "EIO");
	putc(',', r->out);
	json_write_member(r->out, "message", message);
	putc('}', r->out);
	request_end(r);
}

/* What agents are asked comes to an end by itself. */
void request_abandon(struct request *r)
{
	r->client->request = NULL;
	r->client = NULL;
	if (request_waits(r))
		removal_abandon(r);
	else if (!r->try_until)
		return;
	request_free(r);
}

bool request_waits(const struct request *r)
{
	return r->kind && r->kind->begin == request_unplug && r->data;
}

const char *request_device(struct request *r)
{
	const char *text = json_text(r->nodes, "device");
	struct pci_address a;

	if (!pci_address_parse(text, &a)) {
		pci_address_print(&a, r->addr);
		return r->addr;
	}
	request_fail(r, -EINVAL, "'%s' is no address of a device, as 0000:01:00.0", text);
	return NULL;
}

bool request_finds_device(struct request *r)
{
	char path[64];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", r->addr);
	if (run_view_has(r->s->run_dir, path))
		return true;
	request_fail(r, -ENODEV, "there is no device at %s: `uvfio ctl list` shows all", r->addr);
	return false;
}

static const struct request_kind *find(struct request *r, const char *name)
{
	const char *near = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
		near = nearest_word(name, near, kinds[i].name);
	}
	request_fail(r, -EOPNOTSUPP, "there is no request '%.64s'%s%s%s", name,
		     near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

/* Check the members of a request; false: it was answered. */
static bool check(struct request *r)
{
	const struct member *m;

	for (const struct json *j = r->nodes[0].first; j; j = j->next) {
		if (!strcmp(j->key, "request"))
			continue;
		for (m = r->kind->members; m->name && strcmp(m->name, j->key); m++)
			;
		if (!m->name || m->type != j->type) {
			request_fail(r, -EINVAL, "%s: the member '%.64s' is %s", r->kind->name,
				     j->key, m->name ? "of another type" : "unknown");
			return false;
		}
	}
	for (m = r->kind->members; m->name; m++) {
		if (m->required && !json_member(r->nodes, m->name, m->type)) {
			request_fail(r, -EINVAL, "%s: the member '%s' is missing", r->kind->name,
				     m->name);
			return false;
		}
	}
	return true;
}

void request_begin(struct ctl_server *s, struct client *c, const char *line, size_t len)
{
	static const char no_memory[] = "{\"ok\":false,\"error\":\"ENOMEM\",\"message\":"
					"\"out of memory\"}";
	struct request *r = calloc(1, sizeof(*r));
	const struct request_kind *kind;
	const char *name;
	int rc;

	if (r)
		r->out = open_memstream(&r->answer, &r->answer_len);
	if (!r || !r->out) {
		free(r);
		server_say(c, no_memory, sizeof(no_memory) - 1);
		return;
	}
	r->s = s;
	r->client = c;
	c->request = r;
	cds_list_add_tail(&r->node, &s->requests);
	memcpy(r->text, line, len);
	rc = json_parse(r->text, len, r->nodes, CTL_NODES);
	name = rc ? NULL : json_text(r->nodes, "request");
	if (!name) {
		request_fail(r, rc ?: -EINVAL, "%s: a request is a line as {\"request\":\"list\"}",
			     rc == -E2BIG ? "too many values"
			     : rc	  ? "no line of JSON, with whole numbers, no member twice"
					  : "no request");
		return;
	}
	kind = find(r, name); /* NULL: it was answered, and is gone */
	if (!kind)
		return;
	r->kind = kind;
	if (check(r) && !local_begin(r, kind->name))
		kind->begin(r);
}
