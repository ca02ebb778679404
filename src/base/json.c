/* SPDX-License-Identifier: BSD-3-Clause */
/* base/json.c: a strict parser of one value, in place, and strings as JSON has them. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/util.h"

struct parser {
	char *p, *end; /* *end is 0 */
	struct json *nodes;
	unsigned n, max;
};

static void skip_space(struct parser *s)
{
	/* strchr() would find the end of the list, too */
	while (s->p < s->end && memchr(" \t\r\n", *s->p, 4))
		s->p++;
}

static bool take(struct parser *s, char c)
{
	if (s->p >= s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool take_word(struct parser *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n))
		return false;
	s->p += n;
	return true;
}

/*
 * Return how many bytes the character at @p has, of which @left are there; 0: it is no UTF-8 (RFC
 * 3629: not the longest form, no surrogate, nothing beyond U+10FFFF).
 */
static unsigned utf8_length(const char *p, size_t left)
{
	const unsigned char *u = (const unsigned char *)p;
	unsigned n = u[0] < 0x80   ? 1
		     : u[0] < 0xc2 ? 0
		     : u[0] < 0xe0 ? 2
		     : u[0] < 0xf0 ? 3
		     : u[0] < 0xf5 ? 4
				   : 0;

	if (n > left)
		return 0;
	for (unsigned i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] >= 0xa0) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] >= 0x90))
		return 0;
	return n;
}

static char *put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

static bool take_hex4(struct parser *s, uint32_t *out)
{
	*out = 0;
	for (unsigned i = 0; i < 4; i++, s->p++) {
		char c = s->p < s->end ? *s->p : 0, low = (char)(c | 0x20);

		if (c >= '0' && c <= '9')
			*out = *out << 4 | (uint32_t)(c - '0');
		else if (low >= 'a' && low <= 'f')
			*out = *out << 4 | (uint32_t)(low - 'a' + 10);
		else
			return false;
	}
	return true;
}

/* Take what stands behind a backslash; the text gets shorter, never longer. */
static bool take_escape(struct parser *s, char **to)
{
	static const char from[] = "\"\\/bfnrt", is[] = "\"\\/\b\f\n\r\t";
	const char *at;
	uint32_t c, low;

	if (s->p >= s->end)
		return false;
	if (*s->p != 'u') {
		at = memchr(from, *s->p, sizeof(from) - 1);
		if (!at)
			return false;
		*(*to)++ = is[at - from];
		s->p++;
		return true;
	}
	s->p++;
	if (!take_hex4(s, &c) || !c || (c >= 0xdc00 && c < 0xe000))
		return false;
	if (c >= 0xd800 && c < 0xdc00) {
		if (!take_word(s, "\\u") || !take_hex4(s, &low) || low < 0xdc00 || low >= 0xe000)
			return false;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*to = put_utf8(*to, c);
	return true;
}

static bool take_string(struct parser *s, const char **out)
{
	char *to = s->p + 1;
	unsigned n;

	if (!take(s, '"'))
		return false;
	*out = to;
	for (;;) {
		if (s->p >= s->end || (unsigned char)*s->p < 0x20)
			return false;
		if (take(s, '"'))
			break;
		if (take(s, '\\')) {
			if (!take_escape(s, &to))
				return false;
			continue;
		}
		n = utf8_length(s->p, (size_t)(s->end - s->p));
		if (!n)
			return false;
		memmove(to, s->p, n);
		to += n;
		s->p += n;
	}
	*to = '\0'; /* where the quote was, or before */
	return true;
}

static bool take_number(struct parser *s, int64_t *out)
{
	const uint64_t most = INT64_MAX;
	bool minus = take(s, '-');
	const char *start = s->p;
	uint64_t v = 0;

	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
		unsigned digit = (unsigned)(*s->p - '0');

		if (v > (most - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (s->p == start || (*start == '0' && s->p > start + 1))
		return false;
	*out = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

static int parse_value(struct parser *s, const char *key, unsigned depth, struct json **out);

static bool is_member(const struct json *object, const char *key)
{
	for (const struct json *j = object->first; j; j = j->next)
		if (!strcmp(j->key, key))
			return true;
	return false;
}

/* Parse what is between brackets, of which the first is taken. */
static int parse_inside(struct parser *s, struct json *v, unsigned depth)
{
	char end = v->type == JSON_OBJECT ? '}' : ']';
	const struct json **link = &v->first;
	struct json *child;
	int rc;

	if (depth >= JSON_DEPTH)
		return -EINVAL;
	skip_space(s);
	if (take(s, end))
		return 0;
	do {
		const char *key = NULL;

		skip_space(s);
		if (v->type == JSON_OBJECT) {
			if (!take_string(s, &key) || is_member(v, key))
				return -EINVAL;
			skip_space(s);
			if (!take(s, ':'))
				return -EINVAL;
		}
		rc = parse_value(s, key, depth + 1, &child);
		if (rc)
			return rc;
		*link = child;
		link = &child->next;
		skip_space(s);
	} while (take(s, ','));
	return take(s, end) ? 0 : -EINVAL;
}

static int parse_value(struct parser *s, const char *key, unsigned depth, struct json **out)
{
	struct json *v;

	if (s->n >= s->max)
		return -E2BIG;
	v = *out = &s->nodes[s->n++];
	*v = (struct json){ .key = key };
	skip_space(s);
	if (take(s, '{')) {
		v->type = JSON_OBJECT;
		return parse_inside(s, v, depth);
	}
	if (take(s, '[')) {
		v->type = JSON_ARRAY;
		return parse_inside(s, v, depth);
	}
	if (s->p < s->end && *s->p == '"') {
		v->type = JSON_STRING;
		return take_string(s, &v->text) ? 0 : -EINVAL;
	}
	if (take_word(s, "null"))
		return 0;
	v->type = JSON_BOOL;
	v->number = take_word(s, "true");
	if (v->number || take_word(s, "false"))
		return 0;
	v->type = JSON_NUMBER;
	return take_number(s, &v->number) ? 0 : -EINVAL;
}

int json_parse(char *line, size_t len, struct json *nodes, unsigned max)
{
	struct parser s = { .p = line, .end = line + len, .nodes = nodes, .max = max };
	struct json *whole;
	int rc;

	rc = parse_value(&s, NULL, 0, &whole);
	if (rc)
		return rc;
	skip_space(&s);
	return s.p == s.end ? 0 : -EINVAL;
}

const struct json *json_member(const struct json *object, const char *key, enum json_type type)
{
	if (object->type != JSON_OBJECT)
		return NULL;
	for (const struct json *j = object->first; j; j = j->next)
		if (!strcmp(j->key, key))
			return j->type == type ? j : NULL;
	return NULL;
}

const char *json_text(const struct json *object, const char *key)
{
	const struct json *j = json_member(object, key, JSON_STRING);

	return j ? j->text : NULL;
}

void json_write(FILE *f, const char *text)
{
	size_t left = strlen(text);

	putc('"', f);
	while (left) {
		unsigned n = utf8_length(text, left);

		if (!n)
			fputs("\\ufffd", f);
		else if (*text == '"' || *text == '\\')
			fprintf(f, "\\%c", *text);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			fprintf(f, "\\u%04x", (unsigned)*text);
		else
			fwrite(text, 1, n, f);
		n = n ? n : 1;
		text += n;
		left -= n;
	}
	putc('"', f);
}

void json_write_member(FILE *f, const char *key, const char *text)
{
	json_write(f, key);
	putc(':', f);
	if (text)
		json_write(f, text);
	else
		fputs("null", f);
}
