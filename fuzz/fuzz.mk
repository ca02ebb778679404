# SPDX-License-Identifier: BSD-3-Clause
# Fuzzing: the whole core is built once more, by clang with libFuzzer's coverage under
# AddressSanitizer and UBSan, in a folder beside BUILD.
#   make fuzz-short       each target for FUZZ_SHORT seconds: what `make check` runs
#   make fuzz             each target for FUZZ_TIME seconds; inputs that reach new code are kept in
#                         $(BUILD)-fuzz/corpus/TARGET
#   make fuzz TARGET=uapi one of them
#   make fuzz-afl TARGET=vu_conn
#                         the same target by AFL++ (Debian: afl++), for FUZZ_TIME seconds; what
#                         it finds is in $(BUILD)-afl/found/TARGET
# Inputs to begin with are in fuzz/corpus/TARGET, words in fuzz/TARGET.dict.
#
# An input that fails is left in $(BUILD)-fuzz/found/; run it again with $(BUILD)-fuzz/fuzz/TARGET
# FILE.

FUZZ_SHORT ?= 8
FUZZ_TIME  ?= 1800
FUZZ_CC    ?= clang
FUZZ_BUILD := $(BUILD)-fuzz
fuzz_targets := cfi config ctl lasting migrate uapi v3 spec trace x86 state vmm \
	vu_caps vu_conn vu_client vu_ring vu_server

.PHONY: fuzz fuzz-afl fuzz-short fuzz-programs fuzz-link
fuzz-programs:
	@$(MAKE) --no-print-directory CC="$(FUZZ_CC)" BUILD=$(FUZZ_BUILD) OPT=-O1 \
		SANITIZE=fuzzer-no-link,address,undefined fuzz-link
fuzz-short: fuzz-programs
	@fuzz/run $(FUZZ_BUILD) $(FUZZ_SHORT) $(or $(TARGET),$(fuzz_targets))
fuzz: fuzz-programs
	@fuzz/run $(FUZZ_BUILD) $(FUZZ_TIME) $(or $(TARGET),$(fuzz_targets))

# AFL++'s compiler brings a main() for such a target that runs many inputs in one process
fuzz-afl:
	$(if $(TARGET),,$(error TARGET=NAME is one of: $(fuzz_targets)))
	@AFL_QUIET=1 $(MAKE) --no-print-directory CC=afl-clang-fast BUILD=$(BUILD)-afl OPT=-O1 \
		SANITIZE=fuzzer-no-link,address $(BUILD)-afl/fuzz/$(TARGET)
	@fuzz/run-afl $(BUILD)-afl $(TARGET) $(FUZZ_TIME)

# in the build of fuzz-programs
fuzz-link: $(foreach t,$(fuzz_targets),$(BUILD)/fuzz/$(t))
$(BUILD)/fuzz/%: fuzz/%.c $(archives)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -Isrc -MMD -MP -MF $@.d -o $@ $< \
		$(filter-out $(archives),$(filter %.a,$^)) $(archives) $(LDFLAGS_ALL) \
		-fsanitize=fuzzer $(LIBS)
# what is the command's alone
$(BUILD)/fuzz/trace: $(BUILD)/lib/trace/show.a
