# SPDX-License-Identifier: BSD-3-Clause
# make bench: how to read what it prints is in docs/benchmarks.md

bench_programs := dma msi nvme ioctl mmio polled trace vmm
bench_bins := $(addprefix $(BUILD)/bench/,$(bench_programs))

# What measures the inside links with the archives; ioctl and mmio know nothing of uvfio and meet it
# through the shim.
$(BUILD)/bench/ioctl $(BUILD)/bench/mmio: $(BUILD)/bench/%: bench/bench_%.c bench/bench.c \
		tests/lib/vfio.c bench/bench.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -Isrc -Itests -Ibench -o $@ $(filter %.c,$^) $(LDFLAGS_ALL)
# a driver of libc alone, that of the tests
$(BUILD)/bench/polled: bench/bench_polled.c bench/bench.c bench/bench.h \
		$(wildcard tests/lib/*.c tests/*/*.h) $(addprefix tests/drivers/,nvme.c pci.c)
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -g $(WARN) -Itests -Ibench -o $@ $(filter %.c,$^) \
		-lpthread
bench_below_dma  := $(foreach d,vfio iommu fault base,$(BUILD)/lib/$(d).a)
bench_below_msi  := $(archives)
bench_below_nvme := $(archives)
bench_below_trace := $(foreach d,trace base,$(BUILD)/lib/$(d).a)
bench_below_vmm := $(archives)
define bench_rule
$(BUILD)/bench/$(1): bench/bench_$(1).c bench/bench.c bench/bench.h $(bench_below_$(1))
	@mkdir -p $$(@D)
	$(CC) $(CFLAGS_ALL) -Isrc -Ibench -o $$@ $$(filter %.c,$$^) $$(filter %.a,$$^) \
		$(LDFLAGS_ALL) $(LIBS)
endef
$(foreach p,dma msi nvme trace vmm,$(eval $(call bench_rule,$(p))))

# any server's client, of the messages and the ring alone
$(BUILD)/bench/vfio-user-bench: bench/bench_vfio_user.c bench/bench.c bench/bench.h \
		$(BUILD)/lib/vfio_user.a $(BUILD)/lib/base.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -Isrc -Ibench -o $@ $(filter %.c,$^) $(filter %.a,$^) \
		$(LDFLAGS_ALL) -lpthread
bench_bins += $(BUILD)/bench/vfio-user-bench

# the guest in which vmm measures: an image that QEMU loads, too
$(BUILD)/bench/vmm_guest.elf: bench/vmm_guest.c
	@mkdir -p $(@D)
	$(CC) -m32 -std=gnu17 -O2 -ffreestanding -fno-pic -fno-stack-protector \
		-fno-asynchronous-unwind-tables -mgeneral-regs-only $(WARN) -nostdlib -static \
		-Wl,-Ttext=0x100000 -Wl,-N -Wl,-e,start -Wl,--build-id=none \
		-Wl,--no-warn-rwx-segments -o $@ $<
bench_bins += $(BUILD)/bench/vmm_guest.elf

$(bench_bins): $(FLAGS)
.PHONY: bench
bench: all $(bench_bins) driver-programs
	@bench/run $(BUILD)
