/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/oracle/container.c: containers, groups, and what a handle is: dup, fork, SCM_RIGHTS, the
 * order of closing.
 */
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "oracle.h"

#define UNKNOWN _IO(VFIO_TYPE, 200)

void test_container(void)
{
	int c = open("/dev/vfio/vfio", O_RDWR), g;
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct stat st;
	char b[16];

	MUST(c >= 0);
	saw(ioctl(c, VFIO_GET_API_VERSION), "container.api_version");
	saw(ioctl(c, VFIO_GET_API_VERSION, 7), "container.api_version with an argument");
	for (int i = 0; i <= 11; i++)
		if (i != 4) /* DMA_CC depends on the platform's cache coherence */
			saw(ioctl(c, VFIO_CHECK_EXTENSION, i), "container.check_extension %d", i);
	saw(ioctl(c, VFIO_CHECK_EXTENSION, 4), "container.check_extension 4 before set_iommu");
	saw(ioctl(c, VFIO_CHECK_EXTENSION, 0x10001), "container.check_extension 0x10001");
	saw(ioctl(c, UNKNOWN), "container.unknown before set_iommu");
	saw(ioctl(c, 0x5401, b), "container.TCGETS before set_iommu");
	saw(ioctl(c, VFIO_IOMMU_GET_INFO, &info), "container.get_info before set_iommu");
	saw(vfio_dma_map(c, b, 0, 4096, 3), "container.map before set_iommu");
	saw(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "container.set_iommu without a group");
	saw(ioctl(c, VFIO_DEVICE_GET_INFO, &info), "container.device_get_info");
	saw(ioctl(c, VFIO_GROUP_GET_STATUS, &info), "container.group_get_status");
	saw(read(c, b, 4), "container.read");
	saw(write(c, b, 4), "container.write");
	saw(pread(c, b, 4, 0), "container.pread");
	saw(pwrite(c, b, 4, 0), "container.pwrite");
	saw(lseek(c, 0, SEEK_SET), "container.lseek");
	saw((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, c, 0), "container.mmap");
	MUST(fstat(c, &st) == 0);
	saw(S_ISCHR(st.st_mode), "container.is_chr");
	saw_hex(st.st_rdev, "container.rdev");
	saw(ftruncate(c, 4096), "container.ftruncate");
	saw(close(c), "container.close");

	saw((c = open("/dev/vfio/vfio", O_RDONLY)) < 0 ? -1 : 0, "container.open read-only");
	saw(ioctl(c, VFIO_GET_API_VERSION), "container.api_version read-only");
	saw(fcntl(c, F_GETFD), "container.getfd");
	close(c);
	saw((c = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC)) < 0 ? -1 : 0,
	    "container.open cloexec");
	saw(fcntl(c, F_GETFD), "container.getfd cloexec");
	saw(fcntl(c, F_GETFL) & O_ACCMODE, "container.accmode");
	saw(open("/dev/vfio/vfio", O_RDWR | O_CREAT | O_EXCL, 0600), "container.open O_EXCL");
	saw(open("/dev/vfio/vfio/x", O_RDWR), "container.open below");
	saw(open("/dev/vfio/99999", O_RDWR), "container.open no such group");
	saw(access("/dev/vfio/vfio", R_OK | W_OK), "container.access");

	MUST((g = open(edu.group, O_RDWR)) >= 0);
	saw(ioctl(g, VFIO_GROUP_SET_CONTAINER, &c), "container.set_container");
	saw(ioctl(c, VFIO_SET_IOMMU, 0), "container.set_iommu 0");
	saw(ioctl(c, VFIO_SET_IOMMU, 2), "container.set_iommu spapr");
	saw(ioctl(c, VFIO_SET_IOMMU, 8), "container.set_iommu noiommu");
	saw(ioctl(c, VFIO_SET_IOMMU, 99), "container.set_iommu 99");
	saw(ioctl(c, UNKNOWN), "container.unknown with a group");
	saw(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "container.set_iommu v2");
	saw(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "container.set_iommu again");
	saw(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), "container.set_iommu other type");
	for (int i = 0; i <= 11; i++)
		if (i != 4)
			saw(ioctl(c, VFIO_CHECK_EXTENSION, i),
			    "container.check_extension %d after set_iommu", i);
	saw(ioctl(c, UNKNOWN), "container.unknown after set_iommu");
	saw(ioctl(c, 0x5401, b), "container.TCGETS after set_iommu");
	saw(ioctl(c, VFIO_DEVICE_GET_REGION_INFO, &info),
	    "container.get_region_info after set_iommu");
	saw(ioctl(c, VFIO_IOMMU_ENABLE), "container.iommu_enable");
	saw(ioctl(c, VFIO_IOMMU_DISABLE), "container.iommu_disable");
	saw(read(c, b, 4), "container.read after set_iommu");
	saw(write(c, b, 4), "container.write after set_iommu");
	saw((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, c, 0), "container.mmap after set_iommu");
}

static long status(int g)
{
	struct vfio_group_status s = { .argsz = sizeof(s) };

	return ioctl(g, VFIO_GROUP_GET_STATUS, &s) ? -1 : (long)s.flags;
}

void test_group(void)
{
	int g = open(edu.group, O_RDWR), c = open("/dev/vfio/vfio", O_RDWR),
	    c2 = open("/dev/vfio/vfio", O_RDWR);
	int bad = -1, file = open("/dev/null", O_RDWR), d, d2, g2;
	struct vfio_group_status s = { .argsz = sizeof(s) };
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	char big[8192], b[16];

	MUST(g >= 0 && c >= 0 && c2 >= 0);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	saw(open(edu.group, O_RDWR), "group.open twice");
	saw(status(g), "group.status");
	for (uint32_t a = 0; a < 16; a += 4) {
		s.argsz = a;
		saw(ioctl(g, VFIO_GROUP_GET_STATUS, &s), "group.status argsz %u", a);
	}
	saw(ioctl(g, VFIO_GROUP_GET_STATUS, NOWHERE), "group.status bad pointer");
	saw(ioctl(g, VFIO_GROUP_GET_STATUS, NULL), "group.status null");
	saw(ioctl(g, UNKNOWN), "group.unknown");
	saw(ioctl(g, 0x5401, b), "group.TCGETS");
	saw(ioctl(g, VFIO_GET_API_VERSION), "group.api_version");
	saw(ioctl(g, VFIO_IOMMU_GET_INFO, &info), "group.get_info");
	saw(read(g, b, 4), "group.read");
	saw(write(g, b, 4), "group.write");
	saw(pread(g, b, 4, 0), "group.pread");
	saw((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, g, 0), "group.mmap");
	saw(lseek(g, 0, SEEK_SET), "group.lseek");
	saw(ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "group.unset before set");
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu.addr), "group.get_device_fd before set");
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NOWHERE),
	    "group.get_device_fd bad pointer before set");
	saw(ioctl(g, VFIO_GROUP_SET_CONTAINER, NOWHERE), "group.set_container bad pointer");
	saw(ioctl(g, VFIO_GROUP_SET_CONTAINER, &bad), "group.set_container -1");
	bad = 9999;
	saw(ioctl(g, VFIO_GROUP_SET_CONTAINER, &bad), "group.set_container 9999");
	saw(ioctl(g, VFIO_GROUP_SET_CONTAINER, &file), "group.set_container /dev/null");
	saw(ioctl(g, VFIO_GROUP_SET_CONTAINER, &g), "group.set_container itself");
	saw(ioctl(g, VFIO_GROUP_SET_CONTAINER, &c), "group.set_container");
	saw(ioctl(g, VFIO_GROUP_SET_CONTAINER, &c), "group.set_container again");
	saw(ioctl(g, VFIO_GROUP_SET_CONTAINER, &c2), "group.set_container other");
	saw(status(g), "group.status set");
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu.addr), "group.get_device_fd before set_iommu");
	saw(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "group.set_iommu");
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NOWHERE), "group.get_device_fd bad pointer");
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, ""), "group.get_device_fd empty");
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, nvme.addr), "group.get_device_fd of another group");
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu.addr + 5), "group.get_device_fd without domain");
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, big), "group.get_device_fd long");
	snprintf(big, sizeof(big), "%s ", edu.addr);
	d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, big);
	saw(d < 0 ? -1 : 0, "group.get_device_fd trailing blank");
	close(d);
	snprintf(big, sizeof(big), "%s junk", edu.addr);
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, big), "group.get_device_fd junk option");
	snprintf(big, sizeof(big), "%sjunk", edu.addr);
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, big), "group.get_device_fd junk attached");
	snprintf(big, sizeof(big), "%s vf_token=2ab74924-c335-45f4-9b16-8569e5b08258", edu.addr);
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, big), "group.get_device_fd vf_token");
	snprintf(big, sizeof(big), "%s vf_token=2ab7", edu.addr);
	saw(ioctl(g, VFIO_GROUP_GET_DEVICE_FD, big), "group.get_device_fd bad vf_token");
	d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu.addr);
	saw(d < 0 ? -1 : 0, "group.get_device_fd");
	d2 = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu.addr);
	saw(d2 < 0 ? -1 : 0, "group.get_device_fd twice");
	saw(ioctl(g, VFIO_GROUP_SET_CONTAINER, &d), "group.set_container again, device");
	saw(ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "group.unset with devices open");
	close(d);
	saw(ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "group.unset with one device open");
	close(d2);
	MUST(vfio_dma_map(c, pages(1), 0, 4096, 3) == 0);
	saw(ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "group.unset");
	saw(status(g), "group.status after unset");
	saw(ioctl(c, VFIO_IOMMU_GET_INFO, &info), "group.get_info after the last group left");
	saw(ioctl(g, VFIO_GROUP_SET_CONTAINER, &c), "group.set_container after unset");
	saw(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), "group.set_iommu v1 after unset");
	saw(vfio_dma_unmap(c, 0, 4096, 0), "group.unmap of what was mapped before");

	/* two groups in one container: what is mapped stays while one is left */
	MUST((g2 = open(nvme.group, O_RDWR)) >= 0);
	MUST((d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, edu.addr)) >= 0);
	saw(ioctl(g2, VFIO_GROUP_SET_CONTAINER, &d), "group2.set_container a device");
	MUST(vfio_dma_map(c, pages(1), 0x10000, 4096, 3) == 0);
	saw(ioctl(g2, VFIO_GROUP_SET_CONTAINER, &c), "group2.set_container");
	saw(status(g2), "group2.status");
	saw((d2 = ioctl(g2, VFIO_GROUP_GET_DEVICE_FD, nvme.addr)) < 0 ? -1 : 0,
	    "group2.get_device_fd");
	close(d);
	saw(ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "group2.unset the first");
	saw(vfio_dma_unmap(c, 0x10000, 4096, 0), "group2.unmap after it left");
	/* the container lives on behind its groups */
	close(c);
	saw(status(g2), "group2.status after the container was closed");
	saw(pread(d2, b, 2, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)),
	    "group2.config after the container was closed");
	close(g2);
	saw(open(nvme.group, O_RDWR), "group2.open while its device is open");
	saw(pread(d2, b, 2, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)),
	    "group2.config after the group was closed");
	close(d2);
	saw((g2 = open(nvme.group, O_RDWR)) < 0 ? -1 : 0,
	    "group2.open after its device was closed");
	saw(status(g2), "group2.status after open again");
}

static void link_of(int fd, const struct dut *d, const char *what)
{
	char path[64], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = 0;
	if (d && !strcmp(link, d->group))
		strcpy(link, "(the group's path)");
	saw_text(link, "handles.link of %s", what);
}

void test_handles(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &edu), d2, sv[2], status_, fl;
	char b[8], ctl[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = b, .iov_len = 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)
	};
	struct cmsghdr *h;
	struct stat st;
	pid_t pid;

	link_of(s.container, NULL, "the container");
	link_of(s.group, &edu, "the group");
	link_of(d, NULL, "the device");
	MUST(fstat(s.group, &st) == 0);
	saw(S_ISCHR(st.st_mode), "handles.group is_chr");
	MUST(stat(edu.group, &st) == 0);
	saw(S_ISCHR(st.st_mode), "handles.group path is_chr");
	saw(minor(st.st_rdev) < 64, "handles.group minor is small");
	fl = fcntl(d, F_GETFL);
	saw(fl & O_ACCMODE, "handles.device accmode");
	saw(fcntl(d, F_GETFD), "handles.device cloexec");
	saw(lseek(d, 0, SEEK_CUR), "handles.device lseek");
	saw(fsync(d), "handles.device fsync");
	saw(ftruncate(d, 0), "handles.device ftruncate");
	saw(ioctl(d, 0x5401, b), "handles.device TCGETS");

	/* dup: the same open file */
	MUST((d2 = dup(d)) >= 0);
	saw(fcntl(d2, F_GETFD), "handles.dup cloexec");
	close(d);
	saw(pread(d2, b, 4, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)),
	    "handles.dup after close of the first");
	MUST((d = fcntl(d2, F_DUPFD_CLOEXEC, 100)) >= 100);
	close(d2);
	saw(pread(d, b, 4, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)), "handles.dupfd");
	MUST(dup2(d, 50) == 50);
	close(d);
	d = 50;
	saw(ioctl(s.group, VFIO_GROUP_UNSET_CONTAINER), "handles.unset while a dup is open");

	/* fork: shared */
	MUST((pid = fork()) >= 0);
	if (!pid) {
		saw(ioctl(s.container, VFIO_GET_API_VERSION), "handles.child: api_version");
		saw(status(s.group), "handles.child: group status");
		saw(pread(d, b, 4, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)),
		    "handles.child: config");
		saw(open(edu.group, O_RDWR), "handles.child: open of the group");
		saw(vfio_dma_map(s.container, b, 1, 1, 3), "handles.child: misaligned map");
		close(d);
		_exit(0);
	}
	waitpid(pid, &status_, 0);
	saw(status_, "handles.child");
	saw(pread(d, b, 4, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)),
	    "handles.after the child closed and ended");

	/* SCM_RIGHTS: a handle in flight is open */
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	h = CMSG_FIRSTHDR(&m);
	*h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
			       .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(h), &d, sizeof(d));
	MUST(sendmsg(sv[0], &m, 0) == 1);
	close(d);
	saw(ioctl(s.group, VFIO_GROUP_UNSET_CONTAINER), "handles.unset while in flight");
	m.msg_controllen = sizeof(ctl);
	MUST(recvmsg(sv[1], &m, 0) == 1);
	memcpy(&d, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(d));
	saw(pread(d, b, 4, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)), "handles.received");
	close(d);
	saw(ioctl(s.group, VFIO_GROUP_UNSET_CONTAINER), "handles.unset after the last close");
}
