/* SPDX-License-Identifier: BSD-3-Clause */
/* A model's own descriptors are private, as the core's are: base/sys.h. */
#include "base/sys.h"
#include "pci/internal.h"

int uvfio_fd_keep(struct uvfio_dev *dev, int fd)
{
	return fd_make_private(fd);
}

void uvfio_fd_close(struct uvfio_dev *dev, int fd)
{
	fd_close_private(fd);
}
