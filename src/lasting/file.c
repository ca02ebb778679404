/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lasting/file.c: see file.h. The file is
 *
 *	a page: struct head, which does not change once the file has its name
 *	a page: struct control
 *	two records: what was done last, and which of the two places has the state
 *	the description, the two places, the model's memory
 *
 * each from the start of a page. All of it is reserved when the file is made, so that no store is
 * a SIGBUS for want of room. It is made under another name, and gets its own when it is whole.
 *
 * A state is written into the place, and what was done into the record, that do not count; then
 * one store to control.mark says that they do. Stores of a process are seen in its order by whoever
 * looks at the memory later (x86), so what is behind the mark is whole. The sums are for files that
 * were copied, cut off or written to by somebody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/util.h"
#include "lasting/file.h"

#define FORMAT	  1u
#define PAGE	  4096ull
#define PLACES	  2u
#define MAX_ALL	  (1ull << 40)
#define MAX_ERRNO 4095 /* linux/err.h */

static const char magic[8] = "uvfiosta";

struct head {
	char magic[8];
	uint32_t format, zero;
	uint64_t size; /* of the file */
	uint64_t describe_room, room;
	uint64_t memory;
	char spec[LASTING_SPEC];
	uint64_t sum; /* of what is before it */
};

/* control.mark: a kind in the low bits, above them the number of the record that counts */
#define MARK_BITS 2u
#define MARK_KIND ((1u << MARK_BITS) - 1)

struct control {
	_Atomic uint64_t mark;
	/* these are written while nobody's state counts */
	uint8_t id[LASTING_ID];
	uint64_t describe_len, describe_sum; /* the sum is of the id, too */
};

struct record {
	uint64_t number;
	uint64_t len, sum; /* of the state */
	uint32_t place;	   /* which has it */
	uint32_t any, recorded, seq;
	int32_t error;
	uint32_t reply_len;
	uint64_t own_sum; /* of what is before, and of the reply */
	uint8_t reply[LASTING_REPLY];
};

struct part_head {
	uint32_t part, zero;
	uint64_t len;
};

struct lasting_file {
	char *path;
	int fd;
	uint8_t *mem;
	uint64_t size;
	struct head head; /* a copy: of the file only what is checked is looked at */
	uint64_t number;  /* of the record that counts, or counted */
	uint32_t place;	  /* where its state is */
	uint64_t len, sum;
	size_t put; /* bytes of the state that is being written */
	uint8_t id[LASTING_ID];
	struct lasting_last last;
};

/* ---- sums: enough to see what nobody meant to change ---- */

#define SUM_START  0x9e3779b97f4a7c15ull
#define SUM_FACTOR 0xbf58476d1ce4e5b9ull

static uint64_t sum_add(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t w, four[4] = { 1, 2, 3, 4 };

	/* four at a time, since the next one need not wait for a product then */
	for (h ^= len; len >= sizeof(four); len -= sizeof(four), p += sizeof(four)) {
		for (unsigned i = 0; i < 4; i++) {
			memcpy(&w, p + i * sizeof(w), sizeof(w));
			four[i] = (four[i] ^ w) * SUM_FACTOR;
			four[i] ^= four[i] >> 32;
		}
	}
	for (unsigned i = 0; i < 4; i++) {
		h = (h ^ four[i]) * SUM_FACTOR;
		h ^= h >> 32;
	}
	for (; len >= sizeof(w); len -= sizeof(w), p += sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		h = (h ^ w) * SUM_FACTOR;
		h ^= h >> 32;
	}
	w = 0;
	memcpy(&w, p, len);
	h = (h ^ w) * SUM_FACTOR;
	return h ^ h >> 32;
}

static uint64_t record_sum(const struct record *r)
{
	return sum_add(sum_add(SUM_START, r, offsetof(struct record, own_sum)), r->reply,
		       r->reply_len);
}

static uint64_t describe_sum(const uint8_t id[LASTING_ID], const void *text, size_t len)
{
	return sum_add(sum_add(SUM_START, id, LASTING_ID), text, len);
}

/* ---- places ---- */

static uint64_t records_at(void)
{
	return 2 * PAGE;
}

static uint64_t record_size(void)
{
	return align_up(sizeof(struct record), PAGE);
}

static uint64_t describe_at(void)
{
	return records_at() + PLACES * record_size();
}

static uint64_t place_at(const struct head *h, unsigned i)
{
	return describe_at() + align_up(h->describe_room, PAGE) + i * align_up(h->room, PAGE);
}

static struct control *control(const struct lasting_file *f)
{
	return (struct control *)(f->mem + PAGE);
}

static struct record *record(const struct lasting_file *f, uint64_t number)
{
	return (struct record *)(f->mem + records_at() + number % PLACES * record_size());
}

int lasting_memory(const struct lasting_file *f, uint64_t *offset)
{
	*offset = place_at(&f->head, PLACES);
	return f->fd;
}

/* ---- making, opening ---- */

struct opening {
	const struct lasting_layout *l;
	char *why;
	size_t size;
	struct head want;
};

static int no(struct opening *o, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int no(struct opening *o, int rc, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = snprintf(o->why, o->size, "the state file %s ", o->l->path);
	if (n >= 0 && (size_t)n < o->size)
		vsnprintf(o->why + n, o->size - (size_t)n, fmt, ap);
	va_end(ap);
	return rc;
}

static int want(struct opening *o)
{
	const struct lasting_layout *l = o->l;
	struct head *h = &o->want;

	if (strlen(l->spec) >= LASTING_SPEC)
		return no(o, -ENAMETOOLONG, "has room for a device of %u characters, not %zu",
			  LASTING_SPEC - 1, strlen(l->spec));
	memcpy(h->magic, magic, sizeof(magic));
	h->format = FORMAT;
	h->describe_room = l->describe_room;
	h->room = l->room;
	h->memory = l->memory;
	strcpy(h->spec, l->spec);
	h->size = place_at(h, PLACES) + h->memory;
	if (h->size > MAX_ALL)
		return no(o, -EFBIG, "would have %llu bytes", (unsigned long long)h->size);
	h->sum = sum_add(SUM_START, h, offsetof(struct head, sum));
	return 0;
}

static int open_private(const char *path, int flags)
{
	return fd_own(sys_open(
		path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600));
}

/*
 * Have the file alone. The lock is the open file's, so it ends with its process. A server that was
 * just killed may still be about to end.
 */
#define LOCK_TRIES 100u
#define LOCK_US	   10000u
static int lock(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int rc = -EAGAIN;

	for (unsigned i = 0; i < LOCK_TRIES && rc == -EAGAIN; i++) {
		if (i)
			usleep(LOCK_US);
		rc = fcntl(fd, F_OFD_SETLK, &l) ? -errno : 0;
		if (rc == -EACCES)
			rc = -EAGAIN;
	}
	return rc == -EAGAIN ? -EBUSY : rc;
}

/* Reserve @size bytes; of a file that is not @fresh nothing is overwritten. */
static int reserve(int fd, uint64_t size, bool fresh)
{
	static const uint8_t zeros[1 << 16];
	long rc = sys_call(SYS_fallocate, fd, 0, 0, (long)size, 0, 0);

	if (rc != -EOPNOTSUPP)
		return (int)rc;
	/* a filesystem without: by writing, which has been done with one that was there */
	if (!fresh)
		return 0;
	for (uint64_t at = 0; at < size; at += (uint64_t)rc) {
		uint64_t n = size - at < sizeof(zeros) ? size - at : sizeof(zeros);

		rc = sys_pwrite(fd, zeros, n, (off_t)at);
		if (rc <= 0)
			return rc ? (int)rc : -ENOSPC;
	}
	return 0;
}

/* Make the file. A descriptor; -EEXIST: somebody else did. */
static int make(struct opening *o)
{
	const char *path = o->l->path;
	char *temp;
	int fd, rc;

	if (asprintf(&temp, "%s.%d.new", path, getpid()) < 0)
		return -ENOMEM;
	unlink(temp);
	fd = open_private(temp, O_CREAT | O_EXCL);
	rc = fd < 0 ? fd : reserve(fd, o->want.size, true);
	if (!rc) {
		ssize_t n = sys_pwrite(fd, &o->want, sizeof(o->want), 0);

		rc = n < 0 ? (int)n : (size_t)n < sizeof(o->want) ? -ENOSPC : lock(fd);
	}
	if (!rc && link(temp, path))
		rc = -errno;
	if (fd >= 0)
		unlink(temp);
	free(temp);
	if (rc && fd >= 0)
		fd_close_private(fd);
	return rc ? rc : fd;
}

/* True if @fd is still what has the name. */
static bool is_named(int fd, const char *path)
{
	struct stat is, named;

	return !fstat(fd, &is) && !lstat(path, &named) && is.st_dev == named.st_dev &&
	       is.st_ino == named.st_ino;
}

/* Open the file that is there: a descriptor; -EEXIST: it was another one in the meantime. */
static int open_old(struct opening *o)
{
	int fd = open_private(o->l->path, 0), rc;
	struct stat st;

	if (fd < 0)
		return fd;
	rc = fstat(fd, &st) ? -errno : S_ISREG(st.st_mode) ? lock(fd) : -ENXIO;
	if (!rc && !is_named(fd, o->l->path))
		rc = -EEXIST;
	if (rc)
		fd_close_private(fd);
	return rc ? rc : fd;
}

/* True if there is no state in the file. */
static bool is_nobodys(int fd)
{
	uint64_t mark;

	return sys_pread(fd, &mark, sizeof(mark), PAGE + offsetof(struct control, mark)) ==
		       sizeof(mark) &&
	       (mark & MARK_KIND) == LASTING_NOBODY;
}

/* Check the file that is there. 0; -ENOENT: it is to be made anew; or -errno, with a sentence. */
static int check(struct opening *o, int fd)
{
	struct head h;
	struct stat st;
	ssize_t n = sys_pread(fd, &h, sizeof(h), 0);

	if (n < 0 || fstat(fd, &st))
		return no(o, n < 0 ? (int)n : -EIO, "cannot be read: %s",
			  strerror(n < 0 ? (int)-n : EIO));
	if ((size_t)n < sizeof(h.magic) || memcmp(h.magic, magic, sizeof(magic)))
		return no(o, -EINVAL, "is none of uvfio's: move it away");
	if ((size_t)n >= offsetof(struct head, zero) && h.format != FORMAT)
		return no(o, -EINVAL,
			  "has version %u, and this uvfio reads %u: remove it, and with it the "
			  "state",
			  h.format, FORMAT);
	if ((size_t)n < sizeof(h) || h.sum != sum_add(SUM_START, &h, offsetof(struct head, sum)) ||
	    !memchr(h.spec, 0, sizeof(h.spec)))
		return no(o, -EINVAL, "is damaged: remove it, and with it the state");
	/* what nobody wants makes room */
	if (memcmp(&h, &o->want, sizeof(h)) && is_nobodys(fd))
		return -ENOENT;
	if (strcmp(h.spec, o->want.spec))
		return no(o, -EEXIST,
			  "is of the device '%s', not of '%s': remove it, and with it the state",
			  h.spec, o->want.spec);
	if (memcmp(&h, &o->want, sizeof(h)))
		return no(o, -EEXIST,
			  "is of another version of this device: remove it, and with it the state");
	if ((uint64_t)st.st_size != h.size)
		return no(o, -EINVAL, "is cut off: remove it, and with it the state");
	return 0;
}

#define TRIES 10u
/* Open or make it. A descriptor, or -errno with a sentence; *@made: it is new. */
static int open_or_make(struct opening *o, bool *made)
{
	int fd = -EEXIST, rc;

	for (unsigned i = 0; i < TRIES && fd == -EEXIST; i++) {
		*made = false;
		fd = open_old(o);
		rc = fd < 0 ? 0 : check(o, fd);
		if (rc == -ENOENT)
			unlink(o->l->path);
		if (rc) {
			fd_close_private(fd);
			fd = rc;
			if (rc != -ENOENT)
				return rc;
		}
		if (fd == -ENOENT) {
			*made = true;
			fd = make(o);
		}
	}
	switch (fd) {
	case -EBUSY:
	case -EEXIST:
		return no(o, -EBUSY, "is in use by another server");
	case -ENXIO:
	case -ELOOP:
		return no(o, -EINVAL, "is no file");
	default:
		return fd < 0 ? no(o, fd, "cannot be %s: %s", *made ? "made" : "opened",
				   strerror(-fd))
			      : fd;
	}
}

int lasting_file_open(const struct lasting_layout *l, char *why, size_t size,
		      struct lasting_file **out)
{
	struct opening o = { .l = l, .why = why, .size = size };
	struct lasting_file *f = calloc(1, sizeof(*f));
	bool made = false;
	int rc;

	snprintf(why, size, "out of memory");
	if (!f)
		return -ENOMEM;
	f->fd = -1;
	f->path = strdup(l->path);
	rc = f->path ? want(&o) : -ENOMEM;
	if (!rc) {
		f->fd = open_or_make(&o, &made);
		rc = f->fd < 0 ? f->fd : 0;
	}
	/* so that not even the pages of a hole are to be found when they are stored to */
	if (!rc && !made) {
		rc = reserve(f->fd, o.want.size, false);
		if (rc)
			no(&o, rc, "cannot have its room: %s", strerror(-rc));
	}
	if (rc)
		goto fail;
	f->head = o.want;
	f->size = o.want.size;
	f->mem = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (f->mem == MAP_FAILED) {
		rc = no(&o, -errno, "cannot be mapped: %s", strerror(errno));
		goto fail;
	}
	f->number = atomic_load(&control(f)->mark) >> MARK_BITS;
	*out = f;
	return 0;
fail:
	if (f->fd >= 0) {
		if (made)
			unlink(l->path);
		fd_close_private(f->fd);
	}
	free(f->path);
	free(f);
	return rc;
}

void lasting_file_close(struct lasting_file *f)
{
	if (!f)
		return;
	/* in a sandbox it stays */
	if (lasting_mark(f) == LASTING_NOBODY && is_named(f->fd, f->path))
		unlink(f->path);
	munmap(f->mem, f->size);
	fd_close_private(f->fd);
	free(f->path);
	free(f);
}

/* ---- the state ---- */

static void set_mark(struct lasting_file *f, enum lasting_mark mark)
{
	atomic_store_explicit(&control(f)->mark, f->number << MARK_BITS | mark,
			      memory_order_release);
}

enum lasting_mark lasting_mark(const struct lasting_file *f)
{
	return (enum lasting_mark)(atomic_load(&control(f)->mark) & MARK_KIND);
}

void lasting_drop(struct lasting_file *f)
{
	set_mark(f, LASTING_NOBODY);
}

int lasting_begin(struct lasting_file *f, const uint8_t id[LASTING_ID], const void *describe,
		  size_t len)
{
	struct control *c = control(f);

	set_mark(f, LASTING_NOBODY);
	if (len > f->head.describe_room)
		return -E2BIG;
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(f->mem + describe_at(), describe, len);
	memcpy(c->id, id, sizeof(c->id));
	memcpy(f->id, id, sizeof(f->id));
	c->describe_len = len;
	c->describe_sum = describe_sum(id, describe, len);
	f->last.any = false;
	f->last.len = 0;
	set_mark(f, LASTING_DIRTY);
	return 0;
}

void lasting_dirty(struct lasting_file *f)
{
	set_mark(f, LASTING_DIRTY);
	/* before any store of what follows */
	atomic_signal_fence(memory_order_seq_cst);
}

void lasting_clean_again(struct lasting_file *f)
{
	set_mark(f, LASTING_CLEAN);
}

void lasting_note(struct lasting_file *f, uint16_t seq, int error, const struct iovec *iov,
		  unsigned iovcnt)
{
	struct lasting_last *l = &f->last;
	size_t len = 0;

	for (unsigned i = 0; i < iovcnt; i++)
		len += iov[i].iov_len;
	l->any = true;
	l->seq = seq;
	l->error = error;
	l->recorded = len <= LASTING_REPLY;
	l->len = 0;
	for (unsigned i = 0; i < iovcnt && l->recorded; l->len += (uint32_t)iov[i++].iov_len)
		if (iov[i].iov_len)
			memcpy(l->reply + l->len, iov[i].iov_base, iov[i].iov_len);
}

int lasting_put(struct lasting_file *f, bool first, uint32_t part, const void *data, size_t len)
{
	struct part_head h = { .part = part, .len = len };
	uint8_t *to;

	if (first)
		f->put = 0;
	if (len > f->head.room || f->head.room - len < sizeof(h) ||
	    f->put > f->head.room - len - sizeof(h))
		return -E2BIG;
	/* into the place that does not count */
	to = f->mem + place_at(&f->head, !f->place) + f->put;
	memcpy(to, &h, sizeof(h));
	if (len)
		memcpy(to + sizeof(h), data, len);
	f->put += sizeof(h) + len;
	return 0;
}

void lasting_commit(struct lasting_file *f, bool same)
{
	struct record *r = record(f, f->number + 1);

	if (!same) {
		f->place = !f->place;
		f->len = f->put;
		f->sum = sum_add(SUM_START, f->mem + place_at(&f->head, f->place), f->len);
	}
	r->number = f->number + 1;
	r->len = f->len;
	r->sum = f->sum;
	r->place = f->place;
	r->any = f->last.any;
	r->recorded = f->last.recorded;
	r->seq = f->last.seq;
	r->error = f->last.error;
	r->reply_len = f->last.len;
	memcpy(r->reply, f->last.reply, f->last.len);
	r->own_sum = record_sum(r);
	f->number++;
	set_mark(f, LASTING_CLEAN);
}

/* ---- what another process left ---- */

/* Check the parts of @s: that each ends within it. */
static bool parts_fit(const struct lasting_state *s)
{
	struct part_head h;

	for (size_t at = 0; at < s->parts_len; at += sizeof(h) + (size_t)h.len) {
		if (s->parts_len - at < sizeof(h))
			return false;
		memcpy(&h, s->parts + at, sizeof(h));
		if (h.zero || h.len > s->parts_len - at - sizeof(h))
			return false;
	}
	return true;
}

/* Copy what counts into @out, which has memory for it. False: it is damaged. */
static bool copy_out(struct lasting_file *f, const struct record *r, const struct control *c,
		     struct lasting_state *out)
{
	uint8_t *p = out->memory;

	out->describe = p;
	out->describe_len = c->describe_len;
	memcpy(p, f->mem + describe_at(), c->describe_len);
	memcpy(out->id, c->id, sizeof(out->id));
	if (describe_sum(c->id, p, c->describe_len) != c->describe_sum)
		return false;
	p += c->describe_len;
	out->parts = p;
	out->parts_len = r->len;
	memcpy(p, f->mem + place_at(&f->head, r->place), r->len);
	return sum_add(SUM_START, p, r->len) == r->sum && parts_fit(out);
}

int lasting_take(struct lasting_file *f, struct lasting_state *out)
{
	uint64_t mark = atomic_load(&control(f)->mark);
	struct control c;
	struct record r;

	*out = (struct lasting_state){ 0 };
	switch (mark & MARK_KIND) {
	case LASTING_NOBODY:
		return -ENOENT;
	case LASTING_DIRTY:
		return -EUCLEAN;
	case LASTING_CLEAN:
		break;
	default:
		return -EINVAL;
	}
	/* copies, which nobody else can change */
	memcpy(&c, control(f), sizeof(c));
	memcpy(&r, record(f, mark >> MARK_BITS), sizeof(r));
	if (c.describe_len > f->head.describe_room || r.number != mark >> MARK_BITS ||
	    r.place >= PLACES || r.len > f->head.room || r.reply_len > LASTING_REPLY ||
	    r.error > 0 || r.error < -MAX_ERRNO || r.own_sum != record_sum(&r))
		return -EINVAL;
	/* pages of its own: malloc asks about files before it gives memory back (cli/sandbox.c) */
	out->memory_len = c.describe_len + r.len + 1;
	out->memory = mmap(NULL, out->memory_len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (out->memory == MAP_FAILED) {
		out->memory = NULL;
		return -ENOMEM;
	}
	if (!copy_out(f, &r, &c, out)) {
		lasting_state_free(out);
		return -EINVAL;
	}
	f->number = r.number;
	f->place = r.place;
	f->len = r.len;
	f->sum = r.sum;
	memcpy(f->id, c.id, sizeof(f->id));
	f->last.any = r.any;
	f->last.recorded = r.recorded;
	f->last.seq = (uint16_t)r.seq;
	f->last.error = r.error;
	f->last.len = r.reply_len;
	memcpy(f->last.reply, r.reply, r.reply_len);
	return 0;
}

void lasting_state_free(struct lasting_state *s)
{
	if (s->memory)
		munmap(s->memory, s->memory_len);
	*s = (struct lasting_state){ 0 };
}

bool lasting_next(struct lasting_state *s, struct lasting_part *out)
{
	struct part_head h;

	if (s->at == s->parts_len)
		return false;
	memcpy(&h, s->parts + s->at, sizeof(h));
	*out = (struct lasting_part){ .part = h.part,
				      .len = (size_t)h.len,
				      .data = s->parts + s->at + sizeof(h) };
	s->at += sizeof(h) + (size_t)h.len;
	return true;
}

const struct lasting_last *lasting_last(const struct lasting_file *f)
{
	return &f->last;
}

const uint8_t *lasting_id(const struct lasting_file *f)
{
	return f->id;
}
