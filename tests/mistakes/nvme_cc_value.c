/* SPDX-License-Identifier: BSD-3-Clause */
/* device: NVME; kind: proto-nvme-cc-value; says: CC.MPS is beyond CAP.MPSMAX. */
#include "nvme.h"

int main(void)
{
	open_nvme();
	set_admin_queue();
	write32(CC, CC_ENABLE | (MISTAKE ? 15u << 7 : 0)); /* MISTAKE */
	return 0;
}
