/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/lib/saw.h: reports that are compared between machines, one line an answer: "WHAT: ANSWER".
 * The clients that write them hold no opinion of what is right. Each line is flushed, so that what
 * dies leaves all of its lines behind.
 */
#ifndef TESTS_LIB_SAW_H
#define TESTS_LIB_SAW_H

/* Write what a call returned, or, if that is -1, the name of its errno. */
void saw(long r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void saw_hex(unsigned long v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void saw_text(const char *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Write "@what: ", then the answer as @fmt says it. */
void saw_as(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#endif
