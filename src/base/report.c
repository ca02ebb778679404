/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/report.c: a report becomes a line on the stack, goes to the subscribers, and leaves with one
 * write(2), so that lines of several threads and processes do not mix and a signal handler may
 * report.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"

#define LINE_MAX_BYTES	 1024
#define FORMAT_MAX_BYTES 512

__thread const struct call_frame *call_current;

static _Atomic(struct report_subscriber *) subscribers;
static atomic_int heard = LOG_NONE; /* the highest level that a subscriber wants */

void report_subscribe(struct report_subscriber *s)
{
	int level = atomic_load(&heard);

	s->next = atomic_load(&subscribers);
	while (!atomic_compare_exchange_weak(&subscribers, &s->next, s))
		;
	while (level < s->level && !atomic_compare_exchange_weak(&heard, &level, s->level))
		;
}

void report_unsubscribe(struct report_subscriber *s)
{
	struct report_subscriber *first = atomic_load(&subscribers), **at = &first;
	int level = LOG_NONE;

	while (*at && *at != s)
		at = &(*at)->next;
	if (*at)
		*at = s->next;
	atomic_store(&subscribers, first);
	for (; first; first = first->next)
		if (first->level > level)
			level = first->level;
	atomic_store(&heard, level);
}

bool report_wanted(int level)
{
	return level <= log_level() || level <= atomic_load_explicit(&heard, memory_order_relaxed);
}

/* of the program or shared object that this is in, not of another one with such a section */
#define OURS __attribute__((weak, visibility("hidden")))
extern const struct report_code *const __start_uvfio_reports[] OURS;
extern const struct report_code *const __stop_uvfio_reports[] OURS;

const struct report_code *const *report_codes(const struct report_code *const **first)
{
	*first = __start_uvfio_reports;
	return __stop_uvfio_reports;
}

/* ---- the limit ---- */

#define WINDOW_NS 1000000000ull
#define BUCKETS	  256u
#define PROBES	  8u

/*
 * A bucket for each code and device, filled once a second. Without a lock: who wins the exchange of
 * the window fills the bucket; a line too many or too few when several threads meet does no harm.
 */
struct bucket {
	atomic_ullong key; /* 0: free */
	atomic_ullong window_ns;
	atomic_uint left, skipped;
};
static struct bucket buckets[BUCKETS];

/* Add the first word of @text. */
static uint64_t add_word(uint64_t hash, const char *text)
{
	for (; *text && *text != ' '; text++) /* FNV-1a, with a 0 at the end */
		hash = (hash ^ (uint8_t)*text) * 1099511628211ull;
	return hash * 1099511628211ull;
}

/* The bucket of @key: its own, a free one, or that of whom nothing was heard for the longest. */
static struct bucket *bucket_of(uint64_t key)
{
	struct bucket *b, *oldest = &buckets[key % BUCKETS];
	unsigned long long had;

	for (unsigned i = 0; i < PROBES; i++) {
		b = &buckets[(key + i) % BUCKETS];
		had = 0;
		if (atomic_load(&b->key) == key ||
		    atomic_compare_exchange_strong(&b->key, &had, key) || had == key)
			return b;
		if (atomic_load(&b->window_ns) < atomic_load(&oldest->window_ns))
			oldest = b;
	}
	atomic_store(&oldest->window_ns, 0);
	atomic_store(&oldest->skipped, 0);
	atomic_store(&oldest->key, key);
	return oldest;
}

/* True if the line may be written; *@skipped gets how many were not since the last one. */
static bool allowed(const struct report_code *code, const char *who, unsigned *skipped)
{
	uint64_t key = add_word(add_word(14695981039346656037ull, code->name), who ? who : "");
	struct bucket *b = bucket_of(key ? key : 1);
	unsigned long long now = now_ns(), start = atomic_load(&b->window_ns);
	unsigned left;

	if ((!start || now - start >= WINDOW_NS) &&
	    atomic_compare_exchange_strong(&b->window_ns, &start, now))
		atomic_store(&b->left, REPORT_LIMIT);
	left = atomic_load(&b->left);
	do {
		if (!left) {
			atomic_fetch_add(&b->skipped, 1);
			return false;
		}
	} while (!atomic_compare_exchange_weak(&b->left, &left, left - 1));
	*skipped = atomic_exchange(&b->skipped, 0);
	return true;
}

/* ---- the line ---- */

struct line {
	char text[LINE_MAX_BYTES];
	size_t len; /* may be beyond the end: cut */
};

static void add_v(struct line *l, const char *fmt, va_list ap)
{
	size_t used = l->len < sizeof(l->text) ? l->len : sizeof(l->text) - 1;
	int n = vsnprintf(l->text + used, sizeof(l->text) - used, fmt, ap);

	if (n > 0)
		l->len = used + (size_t)n;
}

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_v(l, fmt, ap);
	va_end(ap);
}

/* Room for the '\n' that log_write() puts there. */
static void end_line(struct line *l)
{
	if (l->len > sizeof(l->text) - 2) { /* cut: say so */
		l->len = sizeof(l->text) - 2;
		memcpy(l->text + l->len - 3, "...", 3);
	}
	l->text[l->len] = '\0';
	/* what a client gave (a name, a path) must not make a second line */
	for (size_t i = 0; i < l->len; i++)
		if ((unsigned char)l->text[i] < ' ' || l->text[i] == 0x7f)
			l->text[i] = '?';
}

/*
 * Copy @fmt to @out with what @err means for each %m, as vsnprintf's own may ask for translations,
 * under locks. True if there was one. A format that does not fit is cut before a conversion.
 */
static bool put_reason(char out[FORMAT_MAX_BYTES], const char *fmt, int err)
{
	const char *why = strerrordesc_np(-err);
	bool found = false;
	size_t n = 0, len;

	for (; *fmt; fmt += len) {
		const char *piece = fmt;
		size_t size;

		size = len = *fmt == '%' && fmt[1] ? 2 : 1;
		if (len == 2 && fmt[1] == 'm') {
			piece = why ? why : "unknown error";
			size = strlen(piece);
			found = true;
		}
		if (n + size >= FORMAT_MAX_BYTES)
			break;
		memcpy(out + n, piece, size);
		n += size;
	}
	out[n] = '\0';
	return found;
}

__attribute__((format(printf, 5, 0))) static void say(const struct report_code *code,
						      const char *who, int err,
						      const struct report_about *about,
						      const char *fmt, va_list ap)
{
	bool shown = false;
	struct report r = { .code = code,
			    .who = who,
			    .err = err,
			    .call = call_current,
			    .about = about,
			    .shown = &shown };
	struct report_subscriber *s = atomic_load(&subscribers);
	const char *name = err ? strerrorname_np(-err) : NULL;
	char with_reason[FORMAT_MAX_BYTES];
	struct line l;
	int saved = errno;
	unsigned skipped = 0;
	size_t start;

	if (!report_wanted(code->severity))
		return;
	l.len = 0;
	r.limited = code->limited && !allowed(code, who, &skipped);
	if (r.limited && !s)
		return;
	add(&l, "uvfio: %s: %s%s", log_level_name(code->severity), who ? who : "", who ? ": " : "");
	start = l.len;
	if (strstr(fmt, "%m") && put_reason(with_reason, fmt, err ? err : -saved)) {
		add_v(&l, with_reason, ap);
	} else {
		add_v(&l, fmt, ap);
		if (name)
			add(&l, ": %s", name);
		else if (err)
			add(&l, ": error %d", -err);
	}
	if (code->hint)
		add(&l, "%s", code->hint);
	if (skipped)
		add(&l, " (%u before it not shown)", skipped);
	if (r.call && log_level() >= LOG_DEBUG) {
		/* many a text begins with the call's name */
		bool named = start < sizeof(l.text) &&
			     !strncmp(l.text + start, r.call->name, strlen(r.call->name));

		add(&l, " [%s%sfrom %p]", named ? "" : r.call->name, named ? "" : " ",
		    r.call->from.ip);
	}
	end_line(&l);
	r.line = l.text;
	r.text = l.text + (start < l.len ? start : l.len);
	for (; s; s = s->next)
		if (code->severity <= s->level)
			s->fn(&r, s->arg);
	if (!r.limited && !shown)
		log_write(code->severity, l.text, l.len);
	errno = saved;
}

void report_vsay(const struct report_code *code, const char *who, int err, const char *fmt,
		 va_list ap)
{
	say(code, who, err, NULL, fmt, ap);
}

void report_say_about(const struct report_code *code, const char *who, int err,
		      const struct report_about *about, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(code, who, err, about, fmt, ap);
	va_end(ap);
}

void report_say(const struct report_code *code, const char *who, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(code, who, err, NULL, fmt, ap);
	va_end(ap);
}
