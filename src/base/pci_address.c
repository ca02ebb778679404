/* SPDX-License-Identifier: BSD-3-Clause */
/* base/pci_address.c: see pci_address.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/pci_address.h"

/* Read up to @max hexadecimal digits; return what follows them, or NULL. */
static const char *hex(const char *p, unsigned max, unsigned *out)
{
	unsigned v = 0, n = 0;

	while (n < max && isxdigit((unsigned char)*p)) {
		v = v * 16 +
		    (unsigned)(isdigit((unsigned char)*p) ? *p - '0' : tolower(*p) - 'a' + 10);
		p++;
		n++;
	}
	*out = v;
	return n ? p : NULL;
}

int pci_address_parse(const char *text, struct pci_address *out)
{
	unsigned segment = 0, bus, device, function;
	const char *p = text;

	/* with a segment there are two colons */
	if (strchr(p, ':') != strrchr(p, ':')) {
		p = hex(p, 4, &segment);
		if (!p || *p++ != ':')
			return -EINVAL;
	}
	p = hex(p, 2, &bus);
	if (!p || *p++ != ':')
		return -EINVAL;
	p = hex(p, 2, &device);
	if (!p || *p++ != '.')
		return -EINVAL;
	p = hex(p, 1, &function);
	if (!p || *p || device > 31 || function > 7)
		return -EINVAL;
	*out = (struct pci_address){ (uint16_t)segment, (uint8_t)bus, (uint8_t)device,
				     (uint8_t)function };
	return 0;
}

void pci_address_print(const struct pci_address *a, char out[PCI_ADDRESS_TEXT])
{
	snprintf(out, PCI_ADDRESS_TEXT, "%04x:%02x:%02x.%x", a->segment, a->bus, a->device & 31u,
		 a->function & 7u);
}

bool pci_address_of_vf(const struct pci_address *pf, unsigned offset, unsigned stride,
		       unsigned index, struct pci_address *out)
{
	unsigned rid = ((unsigned)pf->bus << 8 | pci_address_devfn(pf)) + offset + index * stride;

	*out = (struct pci_address){ pf->segment, (uint8_t)(rid >> 8), rid >> 3 & 31, rid & 7 };
	return rid <= UINT16_MAX;
}
