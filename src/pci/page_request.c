/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/page_request.c: a function that asks for pages: the capabilities ATS and Page Request, and a
 * model's page requests. An answer comes to the model on the service thread, as a timer does, since
 * whoever gives it may hold locks that the model's callbacks are under.
 */
#include <errno.h>

#include "iommu/page_request.h"
#include "pci/internal.h"

static void bring_answers(struct uvfio_dev *dev, void *arg)
{
	struct iommu_page_request last;
	int answer;

	while ((answer = iommu_page_answer(&dev->iommu, &last)) >= 0)
		dev->model->page_response(dev, last.group, last.pasid,
					  (enum uvfio_page_answer)answer);
}

static void answered(void *arg)
{
	pci_function *fn = arg;

	uvfio_timer_set(fn->page_answers, 0);
}

/*
 * Enabled from power-on: the host's IOMMU driver does that before anybody has the device, and again
 * after each reset. A request is for a whole page, and an answer has the PASID of its request,
 * without which Linux does not enable requests of a device with PASIDs.
 */
static int add_capabilities(pci_function *fn, unsigned outstanding)
{
	uint8_t ats[PCI_EXT_CAP_ATS_SIZEOF] = { 0 }, pri[PCI_EXT_CAP_PRI_SIZEOF] = { 0 };
	int off;

	put16(ats + PCI_ATS_CAP, PCI_ATS_CAP_PAGE_ALIGNED);
	put16(ats + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
	put16(pri + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
	put16(pri + PCI_PRI_STATUS, PCI_PRI_STATUS_PASID);
	put32(pri + PCI_PRI_MAX_REQ, outstanding);
	put32(pri + PCI_PRI_ALLOC_REQ, outstanding);
	off = pci_ext_cap_new(fn, PCI_EXT_CAP_ID_ATS, 1, sizeof(ats), ats + 4, NULL);
	return off < 0 ? off
		       : pci_ext_cap_new(fn, PCI_EXT_CAP_ID_PRI, 1, sizeof(pri), pri + 4, NULL);
}

int uvfio_add_pri(struct uvfio_dev *dev, unsigned outstanding)
{
	int off;

	if (!outstanding || outstanding > UVFIO_PRI_MAX || dev->vf.pf || !dev->model->page_response)
		return -EINVAL;
	off = add_capabilities(dev, outstanding);
	if (off < 0)
		return off;
	dev->page_answers = uvfio_timer_new(dev, bring_answers, NULL);
	if (!dev->page_answers || iommu_pri_add(&dev->iommu, outstanding, answered, dev))
		return -ENOMEM;
	return off;
}

/* True if a request may say so. */
static bool valid(const pci_function *fn, unsigned perm, uint32_t pasid)
{
	const unsigned known = UVFIO_PAGE_READ | UVFIO_PAGE_WRITE | UVFIO_PAGE_EXEC;

	return !(perm & ~known) && perm & (UVFIO_PAGE_READ | UVFIO_PAGE_WRITE) &&
	       pci_pasid_valid(fn, pasid) &&
	       (!(perm & UVFIO_PAGE_EXEC) ||
		(pasid != UVFIO_NO_PASID && iommu_pasid_exec(&fn->iommu)));
}

int uvfio_page_request(struct uvfio_dev *dev, uint64_t iova, unsigned perm, uint32_t pasid,
		       unsigned group, bool last)
{
	struct iommu_page_request r = { .addr = align_down(iova, PAGE_SIZE_4K),
					.pasid = pasid,
					.group = group,
					.perm = perm,
					.last = last };

	if (!dev->iommu.pri || !valid(dev, perm, pasid) || group >= UVFIO_PAGE_GROUPS)
		return -EINVAL;
	return iommu_page_request(&dev->iommu, &r);
}

bool uvfio_page_present(struct uvfio_dev *dev, uint64_t iova, unsigned perm, uint32_t pasid)
{
	return valid(dev, perm, pasid) && iommu_page_present(&dev->iommu, iova, perm, pasid);
}
