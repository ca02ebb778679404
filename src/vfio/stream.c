/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/stream.c: the stream of a migration. It begins with a magic number and the version of this
 * format; then come records: a header with kind, number, length and checksums, and that many bytes.
 * The first is DEVICE, then MEMORY as often as it likes, STATE, END. DEVICE may come again, up to
 * STATE, when it says something else than before. The number is the record's place, so that one
 * that is missing, or in another's place, is seen; numbers are little-endian.
 *
 * Who reads may take any number of bytes at a time, and who writes may bring them in any pieces.
 * What comes is loaded record by record, after its checksum was found right; but STATE only when
 * the client leaves RESUMING, and only if END has come, too.
 */
#include <errno.h>
#include <string.h>

#include "base/client.h"
#include "base/crc32.h"
#include "base/heap.h"
#include "base/report.h"
#include "vfio/stream.h"

#define FORMAT	   2u
#define RECORD_MAX (1u << 30)  /* bytes of one that is accepted */
#define ROOM	   (64u << 10) /* memory is taken as bytes come, not as they are announced */

struct magic {
	char text[8];
	uint32_t format;
	uint32_t crc; /* of what is before it */
};
static const char magic_text[8] = "uvfiomig";

enum { RECORD_END = VFIO_PART_STATE + 1 };
struct record {
	uint32_t kind; /* enum vfio_part, or END */
	uint32_t number;
	uint64_t len;
	uint32_t crc;	   /* of what follows */
	uint32_t head_crc; /* of what is before it */
};

/* Bytes that wait to be read. */
struct piece {
	struct piece *next;
	union {
		struct magic magic;
		struct record record;
	} head;
	size_t head_len, len, done;
	uint8_t *data;
};

struct vfio_stream {
	struct ref ref;
	struct vfio_migrate *m; /* whose lock guards all of it */
	bool resuming;
	bool dead;
	void (*on_ready)(void *arg, bool ready);
	void *on_ready_arg;
	uint32_t number; /* of the next record */

	/* of one that is read */
	struct piece *first, *last;
	uint64_t waiting; /* bytes in these, that were not read */
	uint64_t kept;	  /* bytes of memory that these are */
	uint64_t read;	  /* bytes that were read */
	uint64_t initial; /* as many were there when it began, or were to come */
	bool complete;	  /* nothing comes any more */
	bool idle;	  /* a relay's, which had nothing when it was asked */
	bool described;	  /* there was a DEVICE; of the last one: */
	size_t device_len;
	uint32_t device_crc;

	/* of one that is written */
	bool begun;	    /* the magic number has come */
	uint32_t last_kind; /* of the record that came last; 0: none has */
	union {
		struct magic magic;
		struct record record;
	} head;		/* of the record that is coming */
	size_t have;	/* bytes of head and data that have come */
	uint8_t *data;	/* its bytes */
	size_t room;	/* that data has */
	uint8_t *state; /* what came in STATE */
	size_t state_len;
};

/* ---- life ---- */

/* Of a relay's stream nobody tells when there is something: it is tried until there is not. */
static void set_ready(struct vfio_stream *s)
{
	if (s->on_ready)
		s->on_ready(s->on_ready_arg,
			    s->resuming || s->dead || s->complete || s->waiting || s->m->relay);
}

static int append(struct vfio_stream *s, const void *head, size_t head_len, void *data, size_t len)
{
	struct piece *p = heap_alloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	if (head_len)
		memcpy(&p->head, head, head_len);
	p->head_len = head_len;
	p->data = data;
	p->len = len;
	s->kept += sizeof(*p) + len;
	if (s->last)
		s->last->next = p;
	else
		s->first = p;
	s->last = p;
	s->waiting += head_len + len;
	set_ready(s);
	return 0;
}

static int put_magic(struct vfio_stream *s)
{
	struct magic magic = { .format = FORMAT };

	memcpy(magic.text, magic_text, sizeof(magic.text));
	magic.crc = crc32_add(0, &magic, offsetof(struct magic, crc));
	return append(s, &magic, sizeof(magic), NULL, 0);
}

struct vfio_stream *vfio_stream_new(struct vfio_migrate *m, bool resuming)
{
	struct vfio_stream *s = heap_alloc(sizeof(*s));

	if (!s)
		return NULL;
	ref_init(&s->ref);
	s->m = m;
	s->resuming = resuming;
	if (!resuming && !m->relay && put_magic(s)) {
		heap_free(s);
		return NULL;
	}
	ref_get(&m->ref);
	return s;
}

static void drop_piece(struct vfio_stream *s)
{
	struct piece *p = s->first;

	s->first = p->next;
	s->kept -= sizeof(*p) + p->len;
	if (!s->first)
		s->last = NULL;
	heap_free(p->data);
	heap_free(p);
}

static void drop_all(struct vfio_stream *s)
{
	while (s->first)
		drop_piece(s);
	s->waiting = 0;
	heap_free(s->data);
	heap_free(s->state);
	s->data = s->state = NULL;
	s->room = s->state_len = 0;
}

void vfio_stream_get(struct vfio_stream *s)
{
	ref_get(&s->ref);
}

void vfio_stream_put(struct vfio_stream *s)
{
	if (!ref_put(&s->ref))
		return;
	drop_all(s);
	vfio_migrate_put(s->m);
	heap_free(s);
}

void vfio_stream_kill(struct vfio_stream *s)
{
	s->dead = true;
	drop_all(s);
	set_ready(s);
}

bool vfio_stream_resuming(const struct vfio_stream *s)
{
	return s->resuming;
}

void vfio_stream_on_ready(struct vfio_stream *s, void (*fn)(void *arg, bool ready), void *arg)
{
	pthread_mutex_lock(&s->m->lock);
	s->on_ready = fn;
	s->on_ready_arg = arg;
	set_ready(s);
	vfio_migrate_unlock(s->m);
}

/* ---- saving ---- */

static int put_record(struct vfio_stream *s, uint32_t kind, void *data, size_t len)
{
	struct record r = {
		.kind = kind, .number = s->number++, .len = len, .crc = crc32_add(0, data, len)
	};
	int ret;

	r.head_crc = crc32_add(0, &r, offsetof(struct record, head_crc));
	ret = append(s, &r, sizeof(r), data, len);
	if (ret)
		heap_free(data);
	return ret;
}

/* 0 if the stream may keep @len bytes more, in memory of its own; -ENOSPC, with a line. */
static int check_room(const struct vfio_stream *s, uint64_t kept, uint64_t len)
{
	uint64_t most = s->m->most;

	if (!most || (kept <= most && len <= most - kept))
		return 0;
	return report_warn(REPORT_LIMITED("migration-bound"), s->m->dev->name, -ENOSPC,
			   "the stream has %llu bytes more, and may keep %llu, of which %llu are "
			   "in use",
			   (unsigned long long)len, (unsigned long long)most,
			   (unsigned long long)kept);
}

/* Return how many bytes of memory changed. */
static uint64_t dirty(const struct vfio_migrate *m)
{
	return m->ops->dirty ? m->ops->dirty(m->dev) : 0;
}

int vfio_stream_save(struct vfio_stream *s, enum vfio_part part)
{
	struct vfio_migrate *m = s->m;
	void *data = NULL;
	size_t len = 0;
	int ret;

	if (s->dead)
		return -ENODEV;
	ret = m->ops->save(m->dev, part, &data, &len);
	if (!ret) {
		ret = check_room(s, s->kept, sizeof(struct piece) + len);
		if (ret)
			heap_free(data);
		else
			ret = put_record(s, part, data, len);
	}
	if (ret)
		vfio_stream_kill(s);
	return ret;
}

int vfio_stream_describe(struct vfio_stream *s)
{
	struct vfio_migrate *m = s->m;
	bool again = s->described;
	void *data = NULL;
	size_t len = 0;
	uint32_t crc;
	int ret;

	if (s->dead)
		return -ENODEV;
	ret = m->ops->save(m->dev, VFIO_PART_DEVICE, &data, &len);
	if (!ret) {
		crc = crc32_add(0, data, len);
		if (again && len == s->device_len && crc == s->device_crc) {
			heap_free(data);
			return 0;
		}
		ret = check_room(s, s->kept, sizeof(struct piece) + len);
		if (ret) { /* it is said when there is room again */
			heap_free(data);
			return ret;
		}
		ret = put_record(s, VFIO_PART_DEVICE, data, len);
	}
	if (ret) {
		vfio_stream_kill(s);
		return ret;
	}
	s->described = true;
	s->device_len = len;
	s->device_crc = crc;
	if (!again)
		s->initial = s->waiting + dirty(m);
	return again;
}

int vfio_stream_save_memory(struct vfio_stream *s)
{
	struct vfio_migrate *m = s->m;
	uint64_t left, before = UINT64_MAX;
	int ret = 0;

	while (!ret) {
		left = dirty(m);
		if (!left)
			break;
		if (left < before) {
			ret = vfio_stream_save(s, VFIO_PART_MEMORY);
		} else {
			vfio_stream_kill(s);
			ret = report_err("migration-dirty", m->dev->name, -EIO,
					 "memory of the stopped device changes, or is not saved");
		}
		before = left;
	}
	return ret;
}

int vfio_stream_finish(struct vfio_stream *s)
{
	int ret = put_record(s, RECORD_END, NULL, 0);

	s->complete = !ret;
	if (ret)
		vfio_stream_kill(s);
	return ret;
}

/* Copy from @p to the client; returns how many bytes, or -EFAULT. */
static ssize_t read_piece(struct piece *p, uintptr_t addr, size_t count)
{
	bool in_head = p->done < p->head_len;
	const uint8_t *from =
		in_head ? (const uint8_t *)&p->head + p->done : p->data + (p->done - p->head_len);
	size_t n = (in_head ? p->head_len : p->head_len + p->len) - p->done;

	if (n > count)
		n = count;
	if (client_put(addr, from, n))
		return -EFAULT;
	p->done += n;
	return (ssize_t)n;
}

/* Have more to read, if there is something. 0 or -errno. */
static int save_more(struct vfio_stream *s)
{
	struct vfio_migrate *m = s->m;
	void *data = NULL;
	size_t len = 0;
	int ret;

	if (!m->relay)
		return dirty(m) ? vfio_stream_save(s, VFIO_PART_MEMORY) : 0;
	ret = vfio_relay_read(m, &data, &len);
	if (!ret && len)
		ret = append(s, NULL, 0, data, len);
	if (ret || !len) {
		s->complete = !ret && !vfio_migrate_in_precopy(m);
		s->idle = !ret && !s->complete;
		set_ready(s);
		heap_free(data);
	}
	if (ret)
		vfio_stream_kill(s);
	return ret;
}

static ssize_t read_some(struct vfio_stream *s, uintptr_t addr, size_t count)
{
	struct vfio_migrate *m = s->m;
	size_t done = 0;
	ssize_t n;
	int ret;

	if (s->dead)
		return -ENODEV;
	if (!s->first && !s->complete && (count || !m->relay)) {
		ret = save_more(s);
		if (ret)
			return ret;
	}
	if (!s->first && !s->complete)
		return count ? -ENOMSG : 0;
	while (done < count && s->first) {
		n = read_piece(s->first, addr + done, count - done);
		if (n < 0)
			return done ? (ssize_t)done : n;
		done += (size_t)n;
		s->waiting -= (uint64_t)n;
		s->read += (uint64_t)n;
		if (s->first->done == s->first->head_len + s->first->len)
			drop_piece(s);
	}
	set_ready(s);
	return (ssize_t)done;
}

ssize_t vfio_stream_read(struct vfio_stream *s, uintptr_t addr, size_t count)
{
	ssize_t ret;

	pthread_mutex_lock(&s->m->lock);
	ret = read_some(s, addr, count);
	vfio_migrate_unlock(s->m);
	return ret;
}

/* Say how much there is to read. @again: the device was just described again. */
static void fill_info(struct vfio_stream *s, bool again, struct vfio_precopy_info *info)
{
	struct vfio_migrate *m = s->m;
	uint64_t all = s->waiting + dirty(m);

	if (m->precopy_v2) {
		info->flags = again ? VFIO_PRECOPY_INFO_REINIT : 0;
		if (again) /* what is before it has to be read first, and counts, too */
			s->initial = s->read + all;
	}
	info->initial_bytes = s->initial > s->read ? s->initial - s->read : 0;
	/* what it was taken to be may have been too much */
	if (info->initial_bytes > all)
		info->initial_bytes = all;
	info->dirty_bytes = all - info->initial_bytes;
	if (!all)
		s->initial = 0;
	if (all && !s->waiting && s->on_ready)
		s->on_ready(s->on_ready_arg, true);
}

void vfio_stream_wake(struct vfio_stream *s)
{
	s->idle = false;
	set_ready(s);
}

/* The same of a relay's: what was read from it, and not by the client yet, counts first. */
static int relay_info(struct vfio_stream *s, struct vfio_precopy_info *info)
{
	int ret = s->dead ? -ENODEV : s->m->relay->precopy(s->m->dev, s->m->precopy_v2, info);

	if (!ret && info->initial_bytes)
		info->initial_bytes += s->waiting;
	else if (!ret)
		info->dirty_bytes += s->waiting;
	if (!ret && (info->initial_bytes || info->dirty_bytes))
		vfio_stream_wake(s);
	return ret;
}

int vfio_stream_precopy(struct vfio_stream *s, struct vfio_precopy_info *info)
{
	struct vfio_migrate *m = s->m;
	int ret;

	pthread_mutex_lock(&m->lock);
	if (!vfio_migrate_in_precopy(m))
		ret = -EINVAL;
	else if (s->resuming)
		ret = -ENODEV;
	else if (m->relay)
		ret = relay_info(s, info);
	else
		ret = vfio_stream_describe(s);
	if (ret >= 0 && !m->relay)
		fill_info(s, ret, info);
	vfio_migrate_unlock(m);
	return ret < 0 ? ret : 0;
}

/* ---- loading ---- */

#define REFUSE(s, ...) report_err("migration-stream", (s)->m->dev->name, -EINVAL, __VA_ARGS__)

static int take_magic(struct vfio_stream *s)
{
	const struct magic *magic = &s->head.magic;

	if (memcmp(magic->text, magic_text, sizeof(magic->text)))
		return REFUSE(s, "this is no stream of a uvfio device");
	if (magic->crc != crc32_add(0, magic, offsetof(struct magic, crc)))
		return REFUSE(s, "the stream is damaged at its start");
	if (magic->format != FORMAT)
		return REFUSE(s, "the stream has format %u, this uvfio reads format %u",
			      magic->format, FORMAT);
	s->begun = true;
	return 0;
}

/* Check the header of a record, before the bytes of it come. */
static int take_head(struct vfio_stream *s)
{
	const struct record *r = &s->head.record;
	bool fits;

	if (r->head_crc != crc32_add(0, r, offsetof(struct record, head_crc)))
		return REFUSE(s, "the stream is damaged: the header of record %u", s->number);
	if (r->number != s->number)
		return REFUSE(s, "the stream has record %u where record %u should be", r->number,
			      s->number);
	switch (r->kind) {
	case VFIO_PART_DEVICE:
	case VFIO_PART_MEMORY:
	case VFIO_PART_STATE:
		fits = s->last_kind == VFIO_PART_DEVICE || s->last_kind == VFIO_PART_MEMORY ||
		       (!s->last_kind && r->kind == VFIO_PART_DEVICE);
		break;
	default:
		fits = r->kind == RECORD_END && s->last_kind == VFIO_PART_STATE && !r->len;
	}
	if (!fits)
		return REFUSE(s, "the stream has a record of kind %u where none can be", r->kind);
	if (r->len > RECORD_MAX)
		return REFUSE(s, "the stream has a record of %llu bytes",
			      (unsigned long long)r->len);
	s->number++;
	return check_room(s, s->state_len, r->len);
}

/* Do with a whole record what can be done with it now. */
static int take_record(struct vfio_stream *s)
{
	const struct record *r = &s->head.record;
	struct vfio_migrate *m = s->m;

	if (r->crc != crc32_add(0, s->data, r->len))
		return REFUSE(s, "the stream is damaged: record %u", r->number);
	s->last_kind = r->kind;
	switch (r->kind) {
	case VFIO_PART_DEVICE:
	case VFIO_PART_MEMORY:
		return m->ops->load(m->dev, (enum vfio_part)r->kind, s->data, r->len);
	case VFIO_PART_STATE:
		s->state = s->data;
		s->state_len = r->len;
		s->data = NULL;
		s->room = 0;
		return 0;
	default:
		s->complete = true;
		return 0;
	}
}

/* Have room for some bytes more of the record that is coming. 0 or -ENOMEM. */
static int make_room(struct vfio_stream *s, size_t got)
{
	size_t len = (size_t)s->head.record.len, room = s->room * 2;
	uint8_t *data;

	if (got < s->room || got == len)
		return 0;
	if (room < ROOM)
		room = ROOM;
	if (room > len)
		room = len;
	data = heap_resize(s->data, room);
	if (!data)
		return report_err("migration-memory", s->m->dev->name, -ENOMEM,
				  "no memory for a record of %zu bytes", len);
	s->data = data;
	s->room = room;
	return 0;
}

/* Take up to @count bytes of the client's. Returns how many, or -errno. */
static ssize_t take(struct vfio_stream *s, uintptr_t addr, size_t count)
{
	size_t head = s->begun ? sizeof(struct record) : sizeof(struct magic), n;
	uint8_t *to;
	int ret = 0;

	if (s->complete)
		return REFUSE(s, "the stream goes on behind its end");
	if (s->have < head) {
		to = (uint8_t *)&s->head + s->have;
		n = head - s->have;
	} else {
		ret = make_room(s, s->have - head);
		if (ret)
			return ret;
		to = s->data + (s->have - head);
		n = s->room - (s->have - head);
		if (n > s->head.record.len - (s->have - head))
			n = (size_t)s->head.record.len - (s->have - head);
	}
	if (n > count)
		n = count;
	if (client_get(to, addr, n))
		return -EFAULT;
	s->have += n;
	if (!s->begun) {
		if (s->have == head) {
			ret = take_magic(s);
			s->have = 0;
		}
		return ret ? ret : (ssize_t)n;
	}
	if (s->have == head)
		ret = take_head(s);
	if (!ret && s->have >= head && s->have - head == s->head.record.len) {
		ret = take_record(s);
		s->have = 0;
	}
	return ret ? ret : (ssize_t)n;
}

static ssize_t write_some(struct vfio_stream *s, uintptr_t addr, size_t count)
{
	size_t done = 0;
	ssize_t n;

	if (s->dead)
		return -ENODEV;
	while (done < count) {
		n = s->m->relay ? vfio_relay_write(s->m, addr + done, count - done)
				: take(s, addr + done, count - done);
		if (n == -EFAULT)
			return done ? (ssize_t)done : n;
		if (n < 0) {
			vfio_stream_kill(s);
			return n;
		}
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t vfio_stream_write(struct vfio_stream *s, uintptr_t addr, size_t count)
{
	ssize_t ret;

	pthread_mutex_lock(&s->m->lock);
	ret = write_some(s, addr, count);
	vfio_migrate_unlock(s->m);
	return ret;
}

int vfio_stream_load(struct vfio_stream *s, bool *lost)
{
	int ret;

	if (s->dead)
		return REFUSE(s, "the stream was refused, and its state cannot be loaded");
	if (!s->complete)
		return REFUSE(s, "the stream is cut short: its end has not come");
	ret = s->m->ops->load(s->m->dev, VFIO_PART_STATE, s->state, s->state_len);
	*lost = ret;
	return ret;
}
