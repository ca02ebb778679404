/* SPDX-License-Identifier: BSD-3-Clause */
/* fault/test_fault_table.h: faults in a unit test, without a run. */
#ifndef FAULT_TEST_FAULT_TABLE_H
#define FAULT_TEST_FAULT_TABLE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/report.h"
#include "fault/table.h"

static struct fault_table *test_faults;

/* Begin anew, with no fault. */
static inline void faults_begin(uint64_t seed)
{
	test_faults = calloc(1, sizeof(*test_faults));
	test_faults->seed = seed;
	log_set(-1, LOG_NONE);
}

static inline void faults_add(const char *text)
{
	struct fault_spec spec;
	char why[512];

	if (fault_parse(text, &spec, why, sizeof(why)))
		fail_msg("%s: %s", text, why);
	assert_int_equal(fault_table_add(test_faults, &spec), 0);
	fault_follow_table(test_faults);
}

static inline void faults_end(void)
{
	fault_stop();
	free(test_faults);
	test_faults = NULL;
	log_set(2, LOG_WARN);
}
#endif
