/* SPDX-License-Identifier: BSD-3-Clause */
/* conform/version_tests.c: VERSION in all its forms. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/util.h"
#include "conform/internal.h"

/* What QEMU 11.1 sends, with the length that its request has: 214 bytes. */
static const char qemu_json[] =
	"{\"capabilities\": {\"max_msg_fds\": 16, \"max_data_xfer_size\": 1048576, \"migration\": "
	"{\"pgsize\": 4096, \"max_bitmap_size\": 268435456}, \"max_dma_maps\": 65535, "
	"\"write_multiple\": true, \"pgsizes\": 4096}}";

struct reply {
	uint16_t major, minor;
	char *json; /* "" if there is none */
	size_t size;
	unsigned nfds;
};

static struct reply read_reply(struct ct *t, struct ct_msg *r)
{
	struct reply v = { .size = r->size, .json = "", .nfds = r->nfds };

	ct_check(t, r->size >= HEADER + 4, "the reply to VERSION has %zu bytes: no version",
		 r->size);
	v.major = get16(r->data + HEADER);
	v.minor = get16(r->data + HEADER + 2);
	if (r->size > HEADER + 4) {
		v.json = (char *)r->data + HEADER + 4;
		ct_check(t, !r->data[r->size - 1], "the JSON of the reply does not end in NUL");
	}
	return v;
}

/* Propose @major.@minor with @json, which must be accepted. */
static struct reply propose(struct ct *t, uint16_t major, uint16_t minor, const char *json)
{
	struct ct_conn *c = ct_connect(t);
	struct reply v = read_reply(t, ct_call(c, ct_version(c, major, minor, json), -1));

	ct_check(t, v.major == major, "the reply has major %u: proposed was %u", v.major, major);
	ct_check(t, v.minor <= minor, "the reply has minor %u: at most %u was proposed", v.minor,
		 minor);
	ct_still_there(c);
	ct_close(c);
	return v;
}

static void accepted_none(struct ct *t)
{
	propose(t, 0, 0, NULL);
}

static void accepted_empty(struct ct *t)
{
	propose(t, 0, 0, "{}");
}

static void accepted_no_caps(struct ct *t)
{
	propose(t, 0, 0, "{\"capabilities\":{}}");
}

static void accepted_unknown(struct ct *t)
{
	propose(t, 0, 0,
		"{\"capabilities\":{\"x_conform_test\":{\"a\":[1,null]},\"max_msg_fds\":1},"
		"\"x_conform_test\":true}");
}

static void accepted_spaces(struct ct *t)
{
	propose(t, 0, 0, " {\n\t\"capabilities\" : { \"max_msg_fds\" : 8 } }\r\n");
}

static void minor_higher(struct ct *t)
{
	propose(t, 0, 3, "{}");
	propose(t, 0, 0xffff, "{}");
}

static void minor_zero(struct ct *t)
{
	propose(t, 0, 0, qemu_json);
}

/* VERSION with @body behind the version must not be accepted. */
static void refuse(struct ct *t, const char *what, const void *body, size_t len)
{
	struct ct_conn *c = ct_connect(t);
	struct ct_msg *m = ct_version(c, 0, 0, NULL);

	ct_add(m, body, len);
	ct_broken(c, m, "%s", what);
	ct_close(c);
}

#define REFUSE(t, what, text) refuse(t, what, text, sizeof(text))

static void bad_json(struct ct *t)
{
	REFUSE(t, "an object that does not end", "{\"capabilities\":");
	REFUSE(t, "no JSON at all", "hello");
	REFUSE(t, "two values", "{} {}");
}

static void not_object(struct ct *t)
{
	REFUSE(t, "an array", "[]");
	REFUSE(t, "a number", "5");
	REFUSE(t, "null", "null");
	REFUSE(t, "capabilities that are an array", "{\"capabilities\":[]}");
}

static void bad_types(struct ct *t)
{
	REFUSE(t, "max_msg_fds that is a text", "{\"capabilities\":{\"max_msg_fds\":\"8\"}}");
	REFUSE(t, "max_msg_fds of -1", "{\"capabilities\":{\"max_msg_fds\":-1}}");
	REFUSE(t, "max_data_xfer_size that is null",
	       "{\"capabilities\":{\"max_data_xfer_size\":null}}");
	REFUSE(t, "max_data_xfer_size of -1", "{\"capabilities\":{\"max_data_xfer_size\":-1}}");
}

static void no_nul(struct ct *t)
{
	refuse(t, "JSON without a NUL behind it", "{\"capabilities\":{}}", 19);
}

/* Whatever is answered to @body, the server must answer or close, and live. */
static void survive(struct ct *t, const char *what, const void *body, size_t len)
{
	struct ct_conn *c = ct_connect(t);
	struct ct_msg *m = ct_version(c, 0, 0, NULL), *r;

	ct_add(m, body, len);
	if (!ct_try_send(c, m, 0, m->size, true))
		return;
	switch (ct_take(c, &r, t->run->o->timeout_ms)) {
	case CT_NOTHING:
		ct_fail(t, "%s: it was neither answered nor was the connection closed", what);
	case CT_EOF:
		ct_note(t, "%s: the connection was closed", what);
		break;
	case CT_MSG:
		ct_note(t, "%s: %s", what, ct_flags(r) & F_ERROR ? "refused" : "accepted");
		break;
	}
	ct_close(c);
}

#define SURVIVE(t, what, text) survive(t, what, text, sizeof(text))

static void odd_json(struct ct *t)
{
	size_t len = 200000;
	char *deep = ct_alloc(t, len + 1);

	SURVIVE(t, "an empty text", "");
	SURVIVE(t, "a NUL and more behind the JSON", "{\"capabilities\":{}}\0garbage");
	SURVIVE(t, "bytes that are no UTF-8", "{\"\xff\xc0\x80\":1}");
	SURVIVE(t, "numbers beyond all", "{\"capabilities\":{\"max_msg_fds\":1e999}}");
	SURVIVE(t, "max_data_xfer_size 0", "{\"capabilities\":{\"max_data_xfer_size\":0}}");
	SURVIVE(t, "a limit of 2^64", "{\"capabilities\":{\"max_dma_maps\":18446744073709551616}}");
	memset(deep, '[', len);
	survive(t, "200000 brackets", deep, len + 1);
	memset(deep, 'x', len);
	survive(t, "200000 letters", deep, len + 1);
}

static void major_higher(struct ct *t)
{
	for (unsigned major = 1; major < 4; major++) {
		struct ct_conn *c = ct_connect(t);

		ct_broken(c, ct_version(c, (uint16_t)major, 0, "{}"), "version %u.0", major);
		ct_close(c);
	}
}

static void short_body(struct ct *t)
{
	for (unsigned n = 0; n < 4; n++) {
		struct ct_conn *c = ct_connect(t);
		struct ct_msg *m = ct_command(c, C_VERSION);

		ct_add_zeros(m, n);
		ct_broken(c, m, "VERSION with a body of %u bytes", n);
		ct_close(c);
	}
}

static void twice(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	if (ct_broken(c, ct_version(c, 0, 0, "{}"), "a second VERSION"))
		ct_still_there(c);
}

static void first(struct ct *t)
{
	struct ct_conn *c = ct_connect(t);

	ct_broken(c, ct_get_info(c), "DEVICE_GET_INFO before VERSION");
	ct_close(c);
	c = ct_connect(t);
	ct_broken(c, ct_command(c, C_RESET), "DEVICE_RESET before VERSION");
}

static void no_reply(struct ct *t)
{
	struct ct_conn *c = ct_connect(t);
	struct ct_msg *m = ct_version(c, 0, 0, "{}"), *r, *info;

	ct_set_flags(m, F_NO_REPLY);
	ct_send(c, m);
	info = ct_get_info(c);
	if (!ct_try_send(c, info, 0, info->size, false))
		return;
	if (ct_take(c, &r, t->run->o->timeout_ms) == CT_MSG)
		ct_check(t, ct_cmd(r) == C_GET_INFO, "VERSION with No_reply was answered");
}

static void same_id(struct ct *t)
{
	static const uint16_t ids[] = { 0, 1, 0x7fff, 0xffff };

	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
		struct ct_conn *c = ct_connect(t);

		c->next_id = ids[i];
		ct_call(c, ct_version(c, 0, 0, "{}"), -1);
		ct_close(c);
	}
}

static void reply_size(struct ct *t)
{
	struct reply v = propose(t, 0, 0, qemu_json);

	ct_check(t, v.size <= QEMU_VERSION_REPLY,
		 "the reply has %zu bytes: QEMU 11.1 takes %u, the size of its request", v.size,
		 QEMU_VERSION_REPLY);
	ct_check(t, !v.nfds, "the reply has %u descriptors: QEMU 11.1 gives up then", v.nfds);
}

static const struct json *capabilities(struct ct *t, struct reply *v, struct json *nodes,
				       unsigned max)
{
	char *text = ct_alloc(t, strlen(v->json) + 1);

	if (!*v->json)
		return NULL;
	strcpy(text, v->json);
	ct_check(t, !json_parse(text, strlen(text), nodes, max),
		 "the reply's JSON cannot be read: %s", v->json);
	ct_check(t, nodes->type == JSON_OBJECT, "the reply's JSON is no object: %s", v->json);
	return json_member(nodes, "capabilities", JSON_OBJECT);
}

static void reply_json(struct ct *t)
{
	static const char *const numbers[] = { "max_msg_fds", "max_data_xfer_size", "max_dma_maps",
					       "pgsizes" };
	static const char *const all[] = { NULL, "{}", qemu_json };
	struct json nodes[128];

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		struct reply v = propose(t, 0, 0, all[i]);
		const struct json *caps = capabilities(t, &v, nodes, ARRAY_SIZE(nodes));

		for (const struct json *j = caps ? caps->first : NULL; j; j = j->next) {
			for (unsigned k = 0; k < ARRAY_SIZE(numbers); k++)
				ct_check(t,
					 strcmp(j->key, numbers[k]) ||
						 (j->type == JSON_NUMBER && j->number >= 0),
					 "%s of the reply is no number", j->key);
			ct_check(t, strcmp(j->key, "write_multiple") || j->type == JSON_BOOL,
				 "write_multiple of the reply is no boolean");
			ct_check(t, strcmp(j->key, "twin_socket") || j->type == JSON_OBJECT,
				 "twin_socket of the reply is no object");
		}
	}
}

static void reply_limits(struct ct *t)
{
	const struct ct_device *d = t->device;

	ct_need_info(t);
	ct_check(t, d->max_msg_fds >= 1 && d->max_msg_fds <= 16,
		 "max_msg_fds %lu: QEMU 11.1 refuses more than 16", (unsigned long)d->max_msg_fds);
	ct_check(t, d->max_xfer >= 4096 && d->max_xfer <= 64u << 20,
		 "max_data_xfer_size %lu: QEMU 11.1 reads 4096 bytes of config space at once, and "
		 "refuses more than 64 MiB",
		 (unsigned long)d->max_xfer);
	ct_check(t, d->max_dma_maps <= DEFAULT_DMA_MAPS,
		 "max_dma_maps %lu: QEMU 11.1 refuses more than 65535",
		 (unsigned long)d->max_dma_maps);
	ct_check(t, d->pgsizes >= 4096 && !(d->pgsizes % 4096),
		 "pgsizes 0x%lx: QEMU 11.1 wants a multiple of 4096", (unsigned long)d->pgsizes);
}

static void no_modes(struct ct *t)
{
	static const char *const all[] = { NULL, "{\"capabilities\":{\"max_msg_fds\":8}}",
					   "{\"capabilities\":{\"write_multiple\":false,"
					   "\"twin_socket\":{\"supported\":false}}}" };
	struct json nodes[128];

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		struct reply v = propose(t, 0, 2, all[i]);
		const struct json *caps = capabilities(t, &v, nodes, ARRAY_SIZE(nodes)), *j;

		j = caps ? json_member(caps, "twin_socket", JSON_OBJECT) : NULL;
		j = j ? json_member(j, "supported", JSON_BOOL) : NULL;
		ct_check(t, !j || !j->number, "a twin socket was set up that nobody asked for");
		ct_check(t, !v.nfds, "the reply has %u descriptors that nobody asked for", v.nfds);
		j = caps ? json_member(caps, "write_multiple", JSON_BOOL) : NULL;
		ct_check(t, !j || !j->number, "write_multiple was agreed on by one side alone");
	}
}

static void subset(struct ct *t)
{
	struct reply v = propose(t, 0, 0, "{\"capabilities\":{\"max_msg_fds\":8}}");
	struct json nodes[128];
	const struct json *caps = capabilities(t, &v, nodes, ARRAY_SIZE(nodes));

	for (const struct json *j = caps ? caps->first : NULL; j; j = j->next)
		if (strcmp(j->key, "max_msg_fds"))
			ct_note(t, "%s was not proposed", j->key);
}

static void twin(struct ct *t)
{
	struct ct_conn *c = ct_connect(t);
	struct json nodes[128];
	const struct json *caps, *j, *index;
	struct reply v;

	v = read_reply(t, ct_call(c,
				  ct_version(c, 0, 2,
					     "{\"capabilities\":{\"max_msg_fds\":8,"
					     "\"twin_socket\":{\"supported\":true}}}"),
				  -1));
	caps = capabilities(t, &v, nodes, ARRAY_SIZE(nodes));
	j = caps ? json_member(caps, "twin_socket", JSON_OBJECT) : NULL;
	index = j ? json_member(j, "fd_index", JSON_NUMBER) : NULL;
	j = j ? json_member(j, "supported", JSON_BOOL) : NULL;
	if (!j || !j->number) {
		ct_check(t, !v.nfds, "the reply has descriptors, and no twin_socket");
		ct_skip(t, "the server has no twin socket");
	}
	ct_check(t, index, "twin_socket has no fd_index");
	ct_check(t, index->number >= 0 && index->number < v.nfds,
		 "fd_index %ld: the reply has %u descriptors", (long)index->number, v.nfds);
	ct_still_there(c);
}

#define SECTION "VFIO_USER_VERSION"
const struct ct_test ct_version_tests[] = {
	{ "version-no-json", MUST, SECTION, "VERSION without version data is accepted",
	  accepted_none },
	{ "version-empty-object", MUST, SECTION, "version data of {} is accepted", accepted_empty },
	{ "version-no-capabilities", MUST, SECTION, "capabilities that are {} are accepted",
	  accepted_no_caps },
	{ "version-unknown-capability", MUST, SECTION,
	  "capabilities and members that a server does not know are passed over",
	  accepted_unknown },
	{ "version-json-spaces", MUST, SECTION, "JSON with spaces and line ends is accepted",
	  accepted_spaces },
	{ "version-json-bad", SHOULD, SECTION, "what is no JSON is refused", bad_json },
	{ "version-json-no-object", SHOULD, SECTION, "JSON that is no object is refused",
	  not_object },
	{ "version-json-types", SHOULD, SECTION,
	  "limits that are no numbers, or negative, are "
	  "refused",
	  bad_types },
	{ "version-json-no-nul", SHOULD, SECTION, "version data without its NUL is refused",
	  no_nul },
	{ "version-json-odd", MUST, "Security Considerations",
	  "JSON that is deep, long, empty or rubbish is answered, or the connection is closed",
	  odd_json },
	{ "version-short", MUST, SECTION, "a body that has no version is refused", short_body },
	{ "version-minor-zero", MUST, SECTION, "a proposal of 0.0 is answered 0.0", minor_zero },
	{ "version-minor-higher", MUST, SECTION,
	  "a higher minor is answered with the same major and a minor no higher", minor_higher },
	{ "version-major-higher", MUST, SECTION, "a major that a server does not have is refused",
	  major_higher },
	{ "version-twice", SHOULD, SECTION, "VERSION is the first message, and no other", twice },
	{ "version-first", SHOULD, SECTION, "no other command is served before VERSION", first },
	{ "version-no-reply", PRACTICE, SECTION,
	  "VERSION with No_reply is not answered; what is served then is left open", no_reply },
	{ "version-message-id", MUST, "Header", "VERSION may have any message id", same_id },
	{ "version-reply-json", MUST, SECTION, "the reply's JSON is as the specification has it",
	  reply_json },
	{ "version-reply-size", PRACTICE, SECTION,
	  "the reply to QEMU's VERSION is no longer than its request: QEMU has no room for more",
	  reply_size },
	{ "version-reply-limits", PRACTICE, SECTION,
	  "the limits in the reply are such as QEMU takes", reply_limits },
	{ "version-no-modes", MUST, SECTION,
	  "write_multiple and twin_socket are on when the client asked for them, and not else",
	  no_modes },
	{ "version-subset", PRACTICE, SECTION,
	  "a server tells its limits to a client that did not (the text wants a subset, clients "
	  "the "
	  "limits)",
	  subset },
	{ "version-twin-socket", MUST, SECTION, "a twin socket comes with its descriptor and index",
	  twin },
	{ 0 }
};
