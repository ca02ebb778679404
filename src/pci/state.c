/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/state.c: a state as bytes. A section is its name, its length, and what is in it; what
 * uvfio_same() says is a letter, a name, and the value. An error stays: from then on puts do
 * nothing and gets give zeroes, and who made the state finds it at the end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "base/report.h"
#include "base/util.h"
#include "pci/state.h"

#define TEXT_MAX 255u

void pci_state_save(struct uvfio_state *s, const char *who)
{
	*s = (struct uvfio_state){ .who = who };
}

void pci_state_save_in(struct uvfio_state *s, const char *who, void *buf, size_t room)
{
	*s = (struct uvfio_state){ .who = who, .buf = buf, .room = room };
}

void pci_state_load(struct uvfio_state *s, const char *who, const void *buf, size_t len)
{
	*s = (struct uvfio_state){
		.who = who, .loading = true, .buf = (uint8_t *)buf, .len = len, .end = len
	};
}

void pci_state_free(struct uvfio_state *s)
{
	if (!s->loading)
		heap_free(s->buf);
	*s = (struct uvfio_state){ 0 };
}

int uvfio_load_error(struct uvfio_state *s, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (s->err)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->err = -EINVAL;
	return report_err("migration-state", s->who, -EINVAL, "a state cannot be loaded: %s", text);
}

/* ---- saving ---- */

/* Return @len more bytes at the end of the state; NULL: there was an error. */
static uint8_t *grow(struct uvfio_state *s, size_t len)
{
	size_t room;
	uint8_t *buf;

	if (s->err)
		return NULL;
	if (s->loading) {
		uvfio_load_error(s, "the model saves while it loads");
		return NULL;
	}
	if (len > s->room - s->len) {
		room = s->room + s->room / 2 + len + 256;
		buf = room < len ? NULL : heap_resize(s->buf, room);
		if (!buf) {
			s->err = report_err("migration-memory", s->who, -ENOMEM,
					    "no memory for the state");
			return NULL;
		}
		s->buf = buf;
		s->room = room;
	}
	s->len += len;
	return s->buf + s->len - len;
}

/* Write the length of the open section before it. */
static void close_section(struct uvfio_state *s)
{
	uint32_t len;

	if (!s->section || s->err)
		return;
	if (s->len - s->section > UINT32_MAX) {
		s->err = report_err("migration-size", s->who, -E2BIG,
				    "section '%s' of the state has more than 4 GiB", s->name);
		return;
	}
	len = (uint32_t)(s->len - s->section);
	memcpy(s->buf + s->section - sizeof(len), &len, sizeof(len));
}

void uvfio_put_bytes(struct uvfio_state *s, const void *data, size_t len)
{
	uint8_t *p = grow(s, len);

	if (p && len)
		memcpy(p, data, len);
}

/* Every machine that this runs on is little-endian. */
void uvfio_put8(struct uvfio_state *s, uint8_t value)
{
	uvfio_put_bytes(s, &value, sizeof(value));
}

void uvfio_put16(struct uvfio_state *s, uint16_t value)
{
	uvfio_put_bytes(s, &value, sizeof(value));
}

void uvfio_put32(struct uvfio_state *s, uint32_t value)
{
	uvfio_put_bytes(s, &value, sizeof(value));
}

void uvfio_put64(struct uvfio_state *s, uint64_t value)
{
	uvfio_put_bytes(s, &value, sizeof(value));
}

/* Put a name or text of at most @max characters, with its length. */
static void put_text(struct uvfio_state *s, const char *text, size_t max)
{
	size_t len = strnlen(text, max);

	uvfio_put8(s, (uint8_t)len);
	uvfio_put_bytes(s, text, len);
}

/* ---- loading ---- */

void uvfio_get_bytes(struct uvfio_state *s, void *data, size_t len)
{
	memset(data, 0, len);
	if (s->err)
		return;
	if (!s->loading) {
		uvfio_load_error(s, "the model loads while it saves");
	} else if (len > s->end - s->pos) {
		uvfio_load_error(s, "%s%s%s ends too early", s->section ? "section '" : "it",
				 s->section ? s->name : "", s->section ? "'" : "");
	} else {
		memcpy(data, s->buf + s->pos, len);
		s->pos += len;
	}
}

uint8_t uvfio_get8(struct uvfio_state *s)
{
	uint8_t v;

	uvfio_get_bytes(s, &v, sizeof(v));
	return v;
}

uint16_t uvfio_get16(struct uvfio_state *s)
{
	uint16_t v;

	uvfio_get_bytes(s, &v, sizeof(v));
	return v;
}

uint32_t uvfio_get32(struct uvfio_state *s)
{
	uint32_t v;

	uvfio_get_bytes(s, &v, sizeof(v));
	return v;
}

uint64_t uvfio_get64(struct uvfio_state *s)
{
	uint64_t v;

	uvfio_get_bytes(s, &v, sizeof(v));
	return v;
}

static void get_text(struct uvfio_state *s, char text[TEXT_MAX + 1])
{
	size_t len = uvfio_get8(s);

	uvfio_get_bytes(s, text, len);
	text[len] = '\0';
}

/* Replace what cannot be shown in a message, and return @text. */
static const char *printable(char *text)
{
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return text;
}

/* Check that nothing of the section, or of all, is left. */
static void all_read(struct uvfio_state *s)
{
	if (!s->err && s->pos != s->end)
		uvfio_load_error(s, "%zu bytes too many in %s%s%s", s->end - s->pos,
				 s->section ? "section '" : "it", s->section ? s->name : "",
				 s->section ? "'" : "");
}

int pci_state_end(struct uvfio_state *s)
{
	if (s->loading) {
		all_read(s);
		s->end = s->len;
		s->section = 0;
		all_read(s);
	} else {
		close_section(s);
	}
	return s->err;
}

/* ---- both ---- */

static void next_section(struct uvfio_state *s, const char *name)
{
	char text[TEXT_MAX + 1];
	uint32_t len;

	if (s->section)
		all_read(s);
	s->end = s->len;
	s->section = 0;
	get_text(s, text);
	len = uvfio_get32(s);
	if (s->err)
		return;
	if (strcmp(text, name)) {
		uvfio_load_error(s, "section '%s' where '%s' should be", printable(text), name);
	} else if (len > s->len - s->pos) {
		uvfio_load_error(s, "section '%s' is cut short", name);
	} else {
		s->section = s->pos;
		s->end = s->pos + len;
	}
}

void uvfio_section(struct uvfio_state *s, const char *name)
{
	char text[PCI_STATE_NAME];

	snprintf(text, sizeof(text), "%s", name);
	if (s->loading) {
		next_section(s, text);
	} else {
		close_section(s);
		put_text(s, text, PCI_STATE_NAME - 1);
		uvfio_put32(s, 0);
		s->section = s->len;
	}
	memcpy(s->name, text, sizeof(s->name));
}

/* Get the letter and the name of what comes next. False: it is something else. */
static bool get_what(struct uvfio_state *s, char letter, const char *what)
{
	char got = (char)uvfio_get8(s), text[TEXT_MAX + 1];

	get_text(s, text);
	if (!s->err && (got != letter || strncmp(text, what, PCI_STATE_NAME - 1)))
		uvfio_load_error(s, "it is of a device that has '%s' where this one has '%s'",
				 printable(text), what);
	return !s->err;
}

void uvfio_same(struct uvfio_state *s, const char *what, uint64_t value)
{
	uint64_t theirs;

	if (!s->loading) {
		uvfio_put8(s, 'n');
		put_text(s, what, PCI_STATE_NAME - 1);
		uvfio_put64(s, value);
		return;
	}
	if (!get_what(s, 'n', what))
		return;
	theirs = uvfio_get64(s);
	if (!s->err && theirs != value)
		uvfio_load_error(s,
				 "it is of a device whose %s is %" PRIu64 " (0x%" PRIx64
				 "), not %" PRIu64 " (0x%" PRIx64 ")",
				 what, theirs, theirs, value, value);
}

void uvfio_same_text(struct uvfio_state *s, const char *what, const char *text)
{
	char theirs[TEXT_MAX + 1];

	if (!text)
		text = "";
	if (!s->loading) {
		uvfio_put8(s, 't');
		put_text(s, what, PCI_STATE_NAME - 1);
		put_text(s, text, TEXT_MAX);
		return;
	}
	if (!get_what(s, 't', what))
		return;
	get_text(s, theirs);
	if (!s->err && strncmp(theirs, text, TEXT_MAX))
		uvfio_load_error(s, "it is of a device whose %s is '%s', not '%.255s'", what,
				 printable(theirs), text);
}
