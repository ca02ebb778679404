/* SPDX-License-Identifier: BSD-3-Clause */
/* base/uuid.h: a UUID as a text (RFC 9562, 4). */
#ifndef BASE_UUID_H
#define BASE_UUID_H
#include <stdbool.h>
#include <stdint.h>

#define UUID_TEXT 36u /* characters */

/*
 * Read the 8-4-4-4-12 hexadecimal digits at the begin of @text; what follows them is not looked at.
 * False: they are not there. The bytes are in the order of the text.
 */
bool uuid_parse(const char *text, uint8_t uuid[16]);
/* Write it as such digits, ended by a null byte. */
void uuid_print(const uint8_t uuid[16], char text[UUID_TEXT + 1]);
#endif
