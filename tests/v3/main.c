/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/v3/main.c: v3_checks SECTION...: run the checks of these. */
#include "checks.h"

#define SECTION(name)       \
	{                   \
#name, name \
	}
static const struct {
	const char *name;
	void (*run)(void);
} sections[] = {
	SECTION(a_discovery), SECTION(a_no_node),      SECTION(a_no_pin),  SECTION(a_bind),
	SECTION(b_open),      SECTION(b_raw),	       SECTION(c_domain),  SECTION(c_two),
	SECTION(c_remap),     SECTION(c_unsafe),       SECTION(d_bar_len), SECTION(d_no_rom),
	SECTION(e_config),    SECTION(e_conventional), SECTION(e_odd),	   SECTION(e_vf),
	SECTION(f_bars),      SECTION(f_unsafe),       SECTION(g_mmap),	   SECTION(h_dma),
	SECTION(h_limit),     SECTION(h_two),	       SECTION(h_memory),  SECTION(h_kept),
	SECTION(i_intx),      SECTION(i_no_pin),       SECTION(j_msi),	   SECTION(j_none),
	SECTION(k_msix),      SECTION(k_none),	       SECTION(k_many),	   SECTION(l_life),
	SECTION(m_flow),      SECTION(n_more),	       SECTION(l_remove),  SECTION(l_reset),
	SECTION(o_any),	      SECTION(o_nvme),
};

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		unsigned k = 0;

		while (k < sizeof(sections) / sizeof(sections[0]) &&
		       strcmp(argv[i], sections[k].name))
			k++;
		if (k == sizeof(sections) / sizeof(sections[0])) {
			fprintf(stderr, "v3_checks: no section %s\n", argv[i]);
			return 2;
		}
		sections[k].run();
		say_end();
	}
	return 0;
}
