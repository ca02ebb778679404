/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/json.h: one line of JSON (RFC 8259), strictly: text in UTF-8, integers that fit 64 bits, no
 * member twice, no more depth than JSON_DEPTH. What a peer sends is parsed in place, into an array
 * of the caller's: nothing is allocated.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH 8u

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_type type;
	const char *key;		 /* of a member of an object, else NULL */
	const char *text;		 /* of a string: decoded, without a null character inside */
	int64_t number;			 /* of a number; of a bool 0 or 1 */
	const struct json *first, *next; /* the first inside; the next beside it; NULL: none */
};

/*
 * Parse @line, @len bytes and a null character behind them, which is changed and lives as long as
 * @nodes: @max of them, of which the first is the whole. 0; -EINVAL: it is not such a line; -E2BIG:
 * it has more values than @max.
 */
int json_parse(char *line, size_t len, struct json *nodes, unsigned max);
/* Return the member @key of @object if it is of @type, else NULL. */
const struct json *json_member(const struct json *object, const char *key, enum json_type type);
/* Return the text of a member that is a string, else NULL. */
const char *json_text(const struct json *object, const char *key);
/* Write @text as a string, with its quotes; what is no UTF-8 becomes U+FFFD. */
void json_write(FILE *f, const char *text);
/* The same as a member: "key":"text"; NULL: null. */
void json_write_member(FILE *f, const char *key, const char *text);
#endif
