/* SPDX-License-Identifier: BSD-3-Clause */
/* x86/stepping.h: between stepping.c and step_run.S. */
#ifndef X86_STEPPING_H
#define X86_STEPPING_H
#include <stdint.h>

/* One instruction to run, with the program's state. The offsets are step_run.S's, too. */
struct step {
	uint64_t gpr[16]; /* by their numbers; not rsp, which stays ours */
	uint64_t flags;	  /* 128 */
	uint64_t code;	  /* 136 */
	const void *from; /* 144: XSAVE area to load */
	void *to;	  /* 152: XSAVE area to store; NULL: none */
	uint64_t mask;	  /* 160: state components */
};
/* 0; -1: the instruction faulted and x86_fault() sent it to x86_step_faulted; @s as it was */
int x86_step_run(struct step *s) __attribute__((visibility("hidden")));
extern const char x86_step_back[] __attribute__((visibility("hidden")));
extern const char x86_step_faulted[] __attribute__((visibility("hidden")));
#endif
