/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/caps.c: capabilities from a text and to one. Each is a line of a table, but for those
 * that are objects.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/util.h"
#include "vfio_user/caps.h"
#include "vfio_user/wire.h"

#define VALUES 64u /* of a text: three times what is known */

void vu_caps_default(struct vu_caps *c)
{
	*c = (struct vu_caps){ .max_msg_fds = VU_DEFAULT_FDS,
			       .max_data_xfer_size = VU_DEFAULT_DATA,
			       .max_dma_maps = VU_DEFAULT_DMA_MAPS,
			       .pgsizes = VU_DEFAULT_PGSIZE,
			       .twin_fd_index = -1 };
}

/* ---- from a text */

/* True if @j is a number of @least up, which @out gets. */
static bool get_number(const struct json *j, uint64_t least, uint64_t *out)
{
	if (j->type != JSON_NUMBER || j->number < 0 || (uint64_t)j->number < least)
		return false;
	*out = (uint64_t)j->number;
	return true;
}

static bool get_count(const struct json *j, uint64_t least, uint32_t *out)
{
	uint64_t v;

	if (!get_number(j, least, &v))
		return false;
	*out = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
	return true;
}

static bool get_bool(const struct json *j, bool *out)
{
	*out = j->number;
	return j->type == JSON_BOOL;
}

static bool read_fds(const struct json *j, struct vu_caps *c)
{
	return get_count(j, 0, &c->max_msg_fds);
}

static bool read_data(const struct json *j, struct vu_caps *c)
{
	return get_count(j, 1, &c->max_data_xfer_size);
}

static bool read_dma_maps(const struct json *j, struct vu_caps *c)
{
	return get_count(j, 0, &c->max_dma_maps);
}

static bool read_pgsizes(const struct json *j, struct vu_caps *c)
{
	return get_number(j, 1, &c->pgsizes);
}

static bool read_multi(const struct json *j, struct vu_caps *c)
{
	return get_bool(j, &c->write_multiple);
}

static bool read_twin(const struct json *j, struct vu_caps *c)
{
	uint32_t index;

	if (j->type != JSON_OBJECT)
		return false;
	for (const struct json *m = j->first; m; m = m->next) {
		if (!strcmp(m->key, "supported")) {
			if (!get_bool(m, &c->twin_socket))
				return false;
		} else if (!strcmp(m->key, "fd_index")) {
			if (!get_count(m, 0, &index) || index >= INT32_MAX)
				return false;
			c->twin_fd_index = (int)index;
		}
	}
	return true;
}

static bool read_migration(const struct json *j, struct vu_caps *c)
{
	if (j->type != JSON_OBJECT)
		return false;
	c->migration = true;
	for (const struct json *m = j->first; m; m = m->next)
		if ((!strcmp(m->key, "pgsize") && !get_number(m, 1, &c->mig_pgsize)) ||
		    (!strcmp(m->key, "max_bitmap_size") && !get_number(m, 1, &c->mig_max_bitmap)))
			return false;
	return true;
}

static bool read_sparse_fds(const struct json *j, struct vu_caps *c)
{
	return get_bool(j, &c->sparse_mmap_fds);
}

/* True if @j is the name of a device: 32 hexadecimal digits. */
static bool get_id(const struct json *j, uint8_t id[VU_LASTING_ID])
{
	if (j->type != JSON_STRING || strlen(j->text) != 2 * VU_LASTING_ID ||
	    strspn(j->text, "0123456789abcdef") != 2 * VU_LASTING_ID)
		return false;
	for (unsigned i = 0; i < VU_LASTING_ID; i++)
		sscanf(j->text + 2 * i, "%2hhx", &id[i]);
	return true;
}

static bool get_why(const struct json *j, char why[VU_LASTING_WHY])
{
	if (j->type != JSON_STRING)
		return false;
	snprintf(why, VU_LASTING_WHY, "%s", j->text);
	return true;
}

/* True: it can. {resume, seq}: of a client; {id, seq}, {id, resumed, why}: of a server. */
static bool read_lasting(const struct json *j, struct vu_lasting *l)
{
	bool id = false, resume = false, resumed = false, on = false;
	uint32_t seq = 0;

	*l = (struct vu_lasting){ 0 };
	if (j->type == JSON_BOOL) {
		l->kind = j->number ? VU_LASTING_OFFER : VU_LASTING_NONE;
		return true;
	}
	if (j->type != JSON_OBJECT)
		return false;
	for (const struct json *m = j->first; m; m = m->next) {
		bool good = true;

		if (!strcmp(m->key, "resume")) {
			good = get_id(m, l->id);
			resume = true;
		} else if (!strcmp(m->key, "id")) {
			good = get_id(m, l->id);
			id = true;
		} else if (!strcmp(m->key, "seq")) {
			good = get_count(m, 0, &seq) && seq <= UINT16_MAX;
		} else if (!strcmp(m->key, "resumed")) {
			good = get_bool(m, &on);
			resumed = true;
		} else if (!strcmp(m->key, "why")) {
			good = get_why(m, l->why);
		}
		if (!good)
			return false;
	}
	if (id == resume || (resume && resumed))
		return false;
	l->seq = (uint16_t)seq;
	l->kind = resume     ? VU_LASTING_RESUME
		  : !resumed ? VU_LASTING_NEW
		  : on	     ? VU_LASTING_RESUMED
			     : VU_LASTING_LOST;
	return true;
}

static bool read_uvfio(const struct json *j, struct vu_caps *c)
{
	if (j->type != JSON_OBJECT)
		return false;
	for (const struct json *m = j->first; m; m = m->next)
		if ((!strcmp(m->key, "ring") && !get_bool(m, &c->ring)) ||
		    (!strcmp(m->key, "lasting") && !read_lasting(m, &c->lasting)))
			return false;
	return true;
}

static const struct {
	const char *name;
	uint32_t bit;
	bool (*read)(const struct json *j, struct vu_caps *c);
	const char *why;
} known[] = {
	{ "max_msg_fds", VU_CAP_FDS, read_fds, "max_msg_fds is no such number" },
	{ "max_data_xfer_size", VU_CAP_DATA, read_data, "max_data_xfer_size is no such number" },
	{ "max_dma_maps", VU_CAP_DMA_MAPS, read_dma_maps, "max_dma_maps is no such number" },
	{ "pgsizes", VU_CAP_PGSIZES, read_pgsizes, "pgsizes is no such number" },
	{ "write_multiple", VU_CAP_MULTI, read_multi, "write_multiple is not true or false" },
	{ "twin_socket", VU_CAP_TWIN, read_twin, "twin_socket is not as it is to be" },
	{ "migration", VU_CAP_MIGRATION, read_migration, "migration is not as it is to be" },
	{ "sparse_mmap_fds", VU_CAP_SPARSE_FDS, read_sparse_fds,
	  "sparse_mmap_fds is not true or false" },
	{ "uvfio", VU_CAP_UVFIO, read_uvfio, "uvfio is not as it is to be" },
};

int vu_caps_parse(char *text, size_t len, struct vu_caps *out, const char **why)
{
	struct json nodes[VALUES];
	const struct json *caps = NULL;

	vu_caps_default(out);
	if (!len)
		return 0;
	*why = "the text does not end with a null character";
	if (text[len - 1])
		return -EINVAL;
	*why = "the text is no object of JSON, or has too many values";
	if (json_parse(text, len - 1, nodes, VALUES) || nodes[0].type != JSON_OBJECT)
		return -EINVAL;
	*why = "capabilities is no object";
	for (const struct json *j = nodes[0].first; j; j = j->next)
		if (!strcmp(j->key, "capabilities"))
			caps = j;
	if (!caps)
		return 0;
	if (caps->type != JSON_OBJECT)
		return -EINVAL;
	for (const struct json *j = caps->first; j; j = j->next)
		for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
			if (strcmp(j->key, known[i].name))
				continue;
			*why = known[i].why;
			if (!known[i].read(j, out))
				return -EINVAL;
			out->named |= known[i].bit;
		}
	return 0;
}

/* ---- what both have */

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void vu_caps_agree(const struct vu_caps *ours, const struct vu_caps *theirs, struct vu_caps *out)
{
	uint64_t both = ours->pgsizes & theirs->pgsizes;

	vu_caps_default(out);
	out->max_msg_fds = (uint32_t)lesser(ours->max_msg_fds, theirs->max_msg_fds);
	out->max_data_xfer_size =
		(uint32_t)lesser(ours->max_data_xfer_size, theirs->max_data_xfer_size);
	out->max_dma_maps = (uint32_t)lesser(ours->max_dma_maps, theirs->max_dma_maps);
	out->pgsizes = both ? both : ours->pgsizes;
	out->write_multiple = ours->write_multiple && theirs->write_multiple;
	out->twin_socket = ours->twin_socket && theirs->twin_socket;
	out->migration = ours->migration && theirs->migration;
	if (out->migration) {
		out->mig_pgsize = ours->mig_pgsize > theirs->mig_pgsize ? ours->mig_pgsize
									: theirs->mig_pgsize;
		out->mig_max_bitmap = ours->mig_max_bitmap;
		if (theirs->mig_max_bitmap)
			out->mig_max_bitmap = lesser(ours->mig_max_bitmap, theirs->mig_max_bitmap);
	}
	out->sparse_mmap_fds = ours->sparse_mmap_fds && theirs->sparse_mmap_fds;
	out->ring = ours->ring && theirs->ring;

	/* numbers that it said, or would take for others; and of the rest what is so */
	out->named = theirs->named & (VU_CAP_FDS | VU_CAP_DATA | VU_CAP_DMA_MAPS | VU_CAP_PGSIZES);
	if (out->max_data_xfer_size < VU_DEFAULT_DATA)
		out->named |= VU_CAP_DATA;
	if (out->max_dma_maps < VU_DEFAULT_DMA_MAPS)
		out->named |= VU_CAP_DMA_MAPS;
	if (out->max_msg_fds < VU_DEFAULT_FDS)
		out->named |= VU_CAP_FDS;
	if (out->pgsizes != VU_DEFAULT_PGSIZE)
		out->named |= VU_CAP_PGSIZES;
	out->named |=
		(out->write_multiple ? VU_CAP_MULTI : 0) | (out->twin_socket ? VU_CAP_TWIN : 0) |
		(out->migration ? VU_CAP_MIGRATION : 0) |
		(out->sparse_mmap_fds ? VU_CAP_SPARSE_FDS : 0) | (out->ring ? VU_CAP_UVFIO : 0);
}

/* ---- to a text */

struct writing {
	char *text;
	size_t size, len;   /* with the null character; too long if len >= size */
	const char *before; /* the next member */
};

static void put(struct writing *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct writing *w, const char *format, ...)
{
	size_t at = w->len < w->size ? w->len : w->size;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(w->text + at, w->size - at, format, ap);
	va_end(ap);
	w->len += n > 0 ? (size_t)n : 0;
}

/* Begin the member @name. */
static void put_name(struct writing *w, const char *name)
{
	put(w, "%s\"%s\":", w->before, name);
	w->before = ",";
}

static void put_number(struct writing *w, const char *name, uint64_t v)
{
	put_name(w, name);
	put(w, "%llu", (unsigned long long)v);
}

static void put_bool(struct writing *w, const char *name, bool v)
{
	put_name(w, name);
	put(w, v ? "true" : "false");
}

/* Begin an object, and end it. */
static void put_object(struct writing *w, const char *name)
{
	put_name(w, name);
	w->before = "{";
}

static void put_end(struct writing *w)
{
	put(w, *w->before == '{' ? "{}" : "}");
	w->before = ",";
}

static void put_id(struct writing *w, const char *name, const uint8_t id[VU_LASTING_ID])
{
	put_name(w, name);
	put(w, "\"");
	for (unsigned i = 0; i < VU_LASTING_ID; i++)
		put(w, "%02x", id[i]);
	put(w, "\"");
}

/* Put a sentence, without what would end the string, or is to be written in another way. */
static void put_why(struct writing *w, const char *why)
{
	put_name(w, "why");
	put(w, "\"");
	for (; *why; why++)
		put(w, "%c", *why < ' ' || *why > '~' || *why == '"' || *why == '\\' ? '?' : *why);
	put(w, "\"");
}

static void put_lasting(struct writing *w, const struct vu_lasting *l)
{
	if (l->kind == VU_LASTING_NONE)
		return;
	if (l->kind == VU_LASTING_OFFER) {
		put_bool(w, "lasting", true);
		return;
	}
	put_object(w, "lasting");
	put_id(w, l->kind == VU_LASTING_RESUME ? "resume" : "id", l->id);
	if (l->kind == VU_LASTING_RESUME || l->kind == VU_LASTING_NEW)
		put_number(w, "seq", l->seq);
	else
		put_bool(w, "resumed", l->kind == VU_LASTING_RESUMED);
	if (l->kind == VU_LASTING_LOST)
		put_why(w, l->why);
	put_end(w);
}

int vu_caps_write(const struct vu_caps *c, char *text, size_t size)
{
	struct writing w = { .text = text, .size = size, .before = "{" };

	put_object(&w, "capabilities");
	if (c->named & VU_CAP_FDS)
		put_number(&w, "max_msg_fds", c->max_msg_fds);
	if (c->named & VU_CAP_DATA)
		put_number(&w, "max_data_xfer_size", c->max_data_xfer_size);
	if (c->named & VU_CAP_DMA_MAPS)
		put_number(&w, "max_dma_maps", c->max_dma_maps);
	if (c->named & VU_CAP_PGSIZES)
		put_number(&w, "pgsizes", c->pgsizes);
	if (c->named & VU_CAP_MULTI)
		put_bool(&w, "write_multiple", c->write_multiple);
	if (c->named & VU_CAP_TWIN) {
		put_object(&w, "twin_socket");
		put_bool(&w, "supported", c->twin_socket);
		if (c->twin_fd_index >= 0)
			put_number(&w, "fd_index", (uint64_t)c->twin_fd_index);
		put_end(&w);
	}
	if (c->named & VU_CAP_MIGRATION && c->migration) {
		put_object(&w, "migration");
		if (c->mig_pgsize)
			put_number(&w, "pgsize", c->mig_pgsize);
		if (c->mig_max_bitmap)
			put_number(&w, "max_bitmap_size", c->mig_max_bitmap);
		put_end(&w);
	}
	if (c->named & VU_CAP_SPARSE_FDS)
		put_bool(&w, "sparse_mmap_fds", c->sparse_mmap_fds);
	if (c->named & VU_CAP_UVFIO) {
		put_object(&w, "uvfio");
		if (c->ring)
			put_bool(&w, "ring", true);
		put_lasting(&w, &c->lasting);
		put_end(&w);
	}
	put_end(&w);
	put_end(&w);
	return w.len < w.size ? (int)w.len + 1 : -E2BIG;
}
