/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/v3/checks.h: the checks, by section, each for the device that tests/v3.sh plugs in. */
#ifndef TESTS_V3_CHECKS_H
#define TESTS_V3_CHECKS_H
#include "v3.h"

/* checks.c */
void a_discovery(void), a_no_node(void), a_no_pin(void), a_bind(void), b_open(void), b_raw(void),
	c_domain(void), c_two(void), c_remap(void), c_unsafe(void), d_bar_len(void), d_no_rom(void),
	e_config(void), e_conventional(void), e_odd(void), e_vf(void), f_bars(void), f_unsafe(void),
	g_mmap(void);
/* work.c */
void h_dma(void), h_limit(void), h_two(void), h_memory(void), h_kept(void), i_intx(void),
	i_no_pin(void), j_msi(void), j_none(void), k_msix(void), k_none(void), k_many(void),
	l_life(void), m_flow(void), n_more(void), l_remove(void), l_reset(void), o_any(void);
/* nvme.c */
void o_nvme(void);
#endif
