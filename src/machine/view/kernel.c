/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/view/kernel.c: what sysfs has that is no device: the bus, drivers, modules, the IOMMU. */
#include <limits.h>
#include <stdio.h>

#include "base/util.h"
#include "machine/view/internal.h"
#include "vfio/abi.h"

void view_driver(struct tree *t, const char *name)
{
	static const struct {
		const char *name;
		unsigned mode;
	} files[] = { { "bind", ACTS },
		      { "unbind", ACTS },
		      { "new_id", ACTS },
		      { "remove_id", ACTS },
		      { "uevent", WO } };
	char path[PATH_MAX];

	for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/%s", name, files[i].name);
		tree_text(t, files[i].mode, path, "%s", "");
	}
}

void view_host_driver(struct tree *t, const char *name, const char *module)
{
	char path[PATH_MAX], target[PATH_MAX];

	view_driver(t, name);
	snprintf(path, sizeof(path), "sys/module/%s/initstate", module);
	tree_text(t, RO, path, "live\n");
	snprintf(path, sizeof(path), "sys/module/%s/drivers/pci:%s", module, name);
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", name);
	tree_link(t, path, target);
	snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/module", name);
	snprintf(target, sizeof(target), "../../../../module/%s", module);
	tree_link(t, path, target);
}

void view_bus(struct tree *t)
{
	tree_dir(t, "sys/bus/pci/devices");
	tree_dir(t, "sys/bus/pci/slots");
	tree_text(t, RW, "sys/bus/pci/drivers_autoprobe", "1\n");
	tree_text(t, RO, "sys/bus/pci/resource_alignment", "\n");
	tree_text(t, ACTS, "sys/bus/pci/drivers_probe", "%s", "");
	tree_text(t, ACTS, "sys/bus/pci/rescan", "%s", "");
	tree_text(t, WO, "sys/bus/pci/uevent", "%s", "");
	view_host_driver(t, "pci-stub", "pci_stub");
	if (vfio_abi()->v3) {
		view_host_driver(t, "vfio", "vfio");
		return;
	}
	view_driver(t, "vfio-pci");
	tree_link(t, "sys/bus/pci/drivers/vfio-pci/module", "../../../../module/vfio_pci");
}

void view_bus_dir(struct tree *t, const struct cpus *c, const char *dir, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/pci_bus/%s/cpuaffinity", dir, name);
	tree_text(t, RO, path, "%s\n", c->cpumask);
	snprintf(path, sizeof(path), "%s/pci_bus/%s/cpulistaffinity", dir, name);
	tree_text(t, RO, path, "%s\n", c->cpulist);
}

void view_root_bus(struct tree *t, const struct cpus *c, const char *bus)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "sys/devices/pci%s", bus);
	view_bus_dir(t, c, path, bus);
	snprintf(path, sizeof(path), "sys/devices/pci%s/uevent", bus);
	tree_text(t, RO, path, "%s", "");
	snprintf(path, sizeof(path), "sys/devices/pci%s/power/control", bus);
	tree_text(t, RO, path, "auto\n");
}

void view_iommu(struct tree *t)
{
	tree_text(t, RO, "sys/devices/virtual/iommu/" IOMMU_NAME "/uevent", "%s", "");
	tree_link(t, "sys/devices/virtual/iommu/" IOMMU_NAME "/subsystem",
		  "../../../../class/iommu");
	tree_dir(t, "sys/devices/virtual/iommu/" IOMMU_NAME "/devices");
	tree_link(t, "sys/class/iommu/" IOMMU_NAME, "../../devices/virtual/iommu/" IOMMU_NAME);
}

struct parameter {
	const char *module, *name, *value;
};

void view_modules(struct tree *t, unsigned dma_entry_limit, bool noiommu)
{
	/* the defaults of Linux 6.1, as `modinfo` and drivers/vfio tell */
	static const struct parameter parameters[] = {
		{ "vfio_iommu_type1", "allow_unsafe_interrupts", "N" },
		{ "vfio_iommu_type1", "disable_hugepages", "N" },
		{ "vfio_pci", "disable_denylist", "N" },
		{ "vfio_pci", "disable_idle_d3", "N" },
		{ "vfio_pci", "disable_vga", "N" },
		{ "vfio_pci", "enable_sriov", "Y" }, /* but this, or there would be no SR-IOV */
		{ "vfio_pci", "ids", "" },
		{ "vfio_pci", "nointxmask", "N" },
	};
	static const char *const modules[] = { "vfio", "vfio_iommu_type1", "vfio_pci",
					       "vfio_pci_core" };
	char path[PATH_MAX];

	if (vfio_abi()->v3) {
		tree_text(t, RO, "sys/module/vfio/version", "0.1\n");
		tree_text(t, RO, "sys/module/uiommu/initstate", "live\n");
		tree_text(t, RO, "sys/module/uiommu/version", "0.1\n");
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(modules); i++) {
		snprintf(path, sizeof(path), "sys/module/%s/initstate", modules[i]);
		tree_text(t, RO, path, "live\n");
		snprintf(path, sizeof(path), "sys/module/%s/holders", modules[i]);
		tree_dir(t, path);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(parameters); i++) {
		snprintf(path, sizeof(path), "sys/module/%s/parameters/%s", parameters[i].module,
			 parameters[i].name);
		tree_text(t, RO, path, "%s\n", parameters[i].value);
	}
	tree_text(t, RW, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "%c\n",
		  noiommu ? 'Y' : 'N');
	tree_text(t, RO, "sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "%u\n",
		  dma_entry_limit);
	tree_dir(t, "sys/module/vfio_pci/drivers");
	tree_link(t, "sys/module/vfio_pci/drivers/pci:vfio-pci",
		  "../../../bus/pci/drivers/vfio-pci");
	/*
	 * No kernel has this name. driverctl looks for the module under the driver's, and asks
	 * modprobe otherwise, which knows the host's modules, and theirs only.
	 */
	tree_link(t, "sys/module/vfio-pci", "vfio_pci");
}
