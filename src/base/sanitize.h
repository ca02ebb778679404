/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/sanitize.h: which sanitizers this is built with, whatever the compiler calls it:
 * SANITIZED_ADDRESS, SANITIZED_THREAD.
 */
#ifndef BASE_SANITIZE_H
#define BASE_SANITIZE_H
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED_ADDRESS 1
#endif
#ifdef __SANITIZE_THREAD__
#define SANITIZED_THREAD 1
#endif
#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined(SANITIZED_ADDRESS)
#define SANITIZED_ADDRESS 1
#endif
#if __has_feature(thread_sanitizer) && !defined(SANITIZED_THREAD)
#define SANITIZED_THREAD 1
#endif
#endif
#endif
