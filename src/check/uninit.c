/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/uninit.c: devices that read what nobody wrote (kind dma-uninit). Only what is certain: a
 * page of private memory of no file that is not there yet, and bytes of which MemorySanitizer or
 * valgrind's memcheck knows.
 */
#include "base/defined.h"
#include "base/report.h"
#include "base/untouched.h"
#include "check/internal.h"

#define CODE REPORT_LIMITED("dma-uninit")

void check_uninit_look(const struct event *e)
{
	REPORT_CODE(page_code, LOG_WARN, CODE);
	REPORT_CODE(byte_code, LOG_WARN, CODE);
	struct report_about about = {
		.access = REPORT_DMA, .at = e->at, .size = e->size, .space = e->space
	};
	uint64_t mem = (uintptr_t)e->mem, page;
	size_t known = defined_bytes(e->mem, e->size);

	if (known < e->size) {
		about.at += known;
		report_say_about(&byte_code, e->who, 0, &about,
				 "read of %llu bytes at IOVA %#llx: byte %zu of them, at %#llx of "
				 "the program, was never written",
				 (unsigned long long)e->size, (unsigned long long)e->at, known,
				 (unsigned long long)(mem + known));
		return;
	}
	if (!untouched_find(mem, e->size, &page) || !untouched_is_plain(page, 1, false))
		return;
	about.at += page < mem ? 0 : page - mem;
	report_say_about(&page_code, e->who, 0, &about,
			 "read of %llu bytes at IOVA %#llx: the page at %#llx of the program was "
			 "never written",
			 (unsigned long long)e->size, (unsigned long long)e->at,
			 (unsigned long long)page);
}
