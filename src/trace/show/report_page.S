/* SPDX-License-Identifier: BSD-3-Clause */
/* trace/show/report_page.S: report.html, which report.c puts the events into. */
	.section .rodata
	.globl trace_report_page
	.hidden trace_report_page
trace_report_page:
	.incbin "src/trace/show/report.html"
	.byte 0
	.section .note.GNU-stack, "", @progbits
