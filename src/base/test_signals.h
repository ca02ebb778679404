/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/test_signals.h: for tests of what is guarded against faults. cmocka puts handlers of its own
 * for SIGSEGV and others in place around each test, by signal(3), and takes guard_install()'s away
 * with it. A test program that includes this has a signal() that leaves all as it is.
 */
#ifndef BASE_TEST_SIGNALS_H
#define BASE_TEST_SIGNALS_H
#include <signal.h>

__attribute__((visibility("default"))) void (*signal(int sig, void (*handler)(int)))(int)
{
	return SIG_DFL;
}
#endif
