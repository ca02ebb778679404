/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/group.c: ioctls of /dev/vfio/N, and the device files that GROUP_GET_DEVICE_FD makes.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/uuid.h"
#include "uapi/internal.h"

static long get_status(struct uapi_file *f, unsigned long arg)
{
	struct vfio_group_status st;
	int err;

	if (uapi_get(&st, arg, sizeof(st)))
		return -EFAULT;
	if (st.argsz < sizeof(st))
		return -EINVAL;
	vfio_group_refresh(f->group);
	err = vfio_group_status(f->group, &st.flags);
	return err ? err : uapi_put(arg, &st, sizeof(st));
}

static long set_container(struct uapi_file *f, unsigned long arg)
{
	struct uapi_file *c;
	uint32_t flags;
	int fd, err;
	long ret;

	if (uapi_get(&fd, arg, sizeof(fd)))
		return -EFAULT;
	c = f->fds.fget(f->fds.arg, fd, &err);
	if (!c && err)
		return err;
	vfio_group_refresh(f->group);
	err = vfio_group_status(f->group, &flags);
	if (flags & VFIO_GROUP_FLAGS_CONTAINER_SET)
		ret = -EINVAL;
	else if (err)
		ret = err;
	else if (c && c->ops->kind == VFIO_FILE_IOMMUFD)
		ret = vfio_group_set_iommufd(f->group, c->iommufd);
	else if (!c || c->ops->kind != VFIO_FILE_CONTAINER)
		ret = vfio_kernel_has(VFIO_KERNEL_NO_CONTAINER_EBADFD) ? -EBADFD : -EINVAL;
	else
		ret = vfio_group_set_container(f->group, c->container);
	if (c)
		uapi_file_put(c);
	return ret;
}

/* ---- GROUP_GET_DEVICE_FD ---- */

#define TOKEN_ARG "vf_token="

/* The device that a text asks for: "0000:05:00.0", or "0000:05:10.0 vf_token=UUID". */
struct device_arg {
	char name[32]; /* more than any device's name has */
	bool has_token;
	uint8_t token[16]; /* in the order of the text */
};

/* Parse what stands behind the name in a text of GROUP_GET_DEVICE_FD. 0 or -EINVAL. */
static int parse_options(struct device_arg *a, const char *text)
{
	while (*text) {
		if (*text == ' ') {
			text++;
			continue;
		}
		if (a->has_token || strncmp(text, TOKEN_ARG, sizeof(TOKEN_ARG) - 1) ||
		    !uuid_parse(text + sizeof(TOKEN_ARG) - 1, a->token))
			return report_warn("token-malformed", a->name, -EINVAL,
					   "GROUP_GET_DEVICE_FD: \"%s\" is not " TOKEN_ARG "UUID",
					   text);
		a->has_token = true;
		text += sizeof(TOKEN_ARG) - 1 + UUID_TEXT;
	}
	return 0;
}

/*
 * Decode @text. -ENODEV; -EINVAL: it is malformed behind the name, where the kernel looks only if
 * @g has the device.
 */
static int parse_device(struct vfio_group *g, struct device_arg *a, const char *text)
{
	size_t n = strcspn(text, " ");

	if (n < sizeof(a->name))
		memcpy(a->name, text, n);
	if (n >= sizeof(a->name) || !vfio_group_has_device(g, a->name))
		return report_warn("device-unknown", text, -ENODEV,
				   "GROUP_GET_DEVICE_FD: there is no such device in group %u",
				   g->iommu->id);
	return parse_options(a, text + n);
}

static long get_device_fd(struct uapi_file *f, unsigned long arg)
{
	char text[PAGE_SIZE_4K]; /* strndup_user(arg, PAGE_SIZE) */
	struct device_arg want = { 0 };
	struct uapi_file *df = NULL;
	long n = client_get_string(text, arg, sizeof(text));
	int err;

	if (n == -ENAMETOOLONG)
		return -EINVAL;
	if (n < 0)
		return n;
	vfio_group_refresh(f->group);
	err = parse_device(f->group, &want, text);
	if (err)
		return err;
	df = uapi_file_new(f->sys, &f->fds, &uapi_device_ops, "anon_inode:[vfio-device]");
	if (!df)
		return -ENOMEM;
	err = vfio_open_by_group(&df->open, f->group, want.name,
				 want.has_token ? want.token : NULL);
	if (err) {
		uapi_file_free(df);
		return err;
	}
	if (!df->open.iommufd) {
		df->group_file = f;
		uapi_file_get(f);
	}
	return uapi_file_install(df, O_RDWR | O_CLOEXEC);
}

static long group_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_GROUP_GET_STATUS:
		return get_status(f, arg);
	case VFIO_GROUP_SET_CONTAINER:
		return set_container(f, arg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return vfio_group_unset_container(f->group);
	case VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(f, arg);
	}
	return report_warn("ioctl-unknown", f->link, -ENOTTY,
			   "ioctl 0x%x is not one of a VFIO group", cmd);
}

static void group_release(struct uapi_file *f)
{
	vfio_group_release(f->sys, f->group);
}

static const char *const names[] = {
	"GROUP_GET_STATUS",
	"GROUP_SET_CONTAINER",
	"GROUP_UNSET_CONTAINER",
	"GROUP_GET_DEVICE_FD",
};

const struct uapi_file_ops uapi_group_ops = {
	.kind = VFIO_FILE_GROUP,
	.ioctl = group_ioctl,
	.release = group_release,
	.names = { names, VFIO_BASE + 3, ARRAY_SIZE(names) },
};

int uapi_group_open(struct vfio_system *sys, const struct uapi_fds *fds, unsigned id,
		    struct vfio_group *g, struct uapi_file **out)
{
	char link[VFIO_NODE_NAME];
	struct uapi_file *f;
	int ret;

	vfio_node_name(vfio_node_of_group(g->noiommu), id, link);
	f = uapi_file_new(sys, fds, &uapi_group_ops, link);
	if (!f)
		return -ENOMEM;
	ret = vfio_group_open(sys, g);
	if (ret) {
		uapi_file_free(f);
		return ret;
	}
	f->group = g;
	*out = f;
	return 0;
}
