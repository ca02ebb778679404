# SPDX-License-Identifier: BSD-3-Clause
# What tests/guest_vfio_user.sh runs in its guests: a driver of libc alone.
$(BUILD)/test/guest_vfio_user_device: tests/guest_vfio_user/device.c $(tests_lib) $(tests_headers)
	$(test_link)
test-programs: $(BUILD)/test/guest_vfio_user_device
