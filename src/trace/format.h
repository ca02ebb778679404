/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/format.h: a record, as it is in the rings and in a file of `uvfio run --trace`. A file is a
 * struct trace_file and records behind it, in no order of time. Who reads one believes nothing: it
 * may be cut, and a program may have written over the rings.
 */
#ifndef TRACE_FORMAT_H
#define TRACE_FORMAT_H
#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC    0x3165636172747675ull /* "uvtrace1" */
#define TRACE_VERSION  1u
#define TRACE_DATA_MAX 4096u /* bytes behind a record */
#define TRACE_NONE     0xffffu

enum trace_kind {
	TRACE_NOTHING, /* a record that nobody wrote */
	TRACE_PAD,     /* of a ring: up to its end there is nothing; the first 8 bytes alone */
	/* what happened */
	TRACE_ACCESS, /* of region @sub at @at; @value, or more than 8 bytes of data */
	TRACE_DMA,    /* at @at; data: its first bytes */
	TRACE_SPACE,
	TRACE_MAP, /* @at, of @value bytes; data: the address of the memory */
	TRACE_UNMAP,
	TRACE_ATTACH, /* of the device to @space; 0: to none */
	TRACE_IRQ,    /* @sub: enum event_irq; @at: the vector, or TRACE_INTX */
	TRACE_RESET,  /* @sub: enum uvfio_reset_kind */
	TRACE_CALL,   /* ioctl @at of a file, @sub: its kind; @value, or data: its argument */
	TRACE_RETURN, /* of ioctl @at: @value; data: its argument now */
	TRACE_BEGIN,  /* of command @at of queue @sub at @space: @value, @size; data: its name */
	TRACE_END,    /* of command @at of queue @sub, with status @value */
	TRACE_REPORT, /* @sub: enum log_level; data: its code, 0, its text */
	TRACE_EVENTS, /* number of those so far */
	/* tables */
	TRACE_THREAD = 64, /* @sub: its number; data: struct trace_thread_data */
	TRACE_DEVICE,	   /* @sub: its number; data: struct trace_device_data */
	TRACE_REGISTER,	   /* @sub: its number; data: struct trace_register */
	TRACE_CLOCK,	   /* @at: CLOCK_MONOTONIC, @value: CLOCK_REALTIME, both in ns, at @time */
	TRACE_DROPPED,	   /* @value: how many events there was no room for, so far */
	TRACE_LAST,	   /* nothing comes behind it */
};

enum {
	TRACE_WRITE = 1,
	TRACE_MAPPED = 2, /* of an access: by a mapping, not by read and write */
	TRACE_MODEL = 4,  /* of a DMA: the model reads or writes memory by itself */
};

#define TRACE_INTX UINT64_MAX

struct trace_record {
	uint32_t len; /* all of it, a multiple of 8 */
	uint8_t kind;
	uint8_t flags;
	uint16_t thread; /* or TRACE_NONE */
	uint64_t time;	 /* ticks; TRACE_CLOCK says what they are */
	uint16_t device; /* or TRACE_NONE */
	uint16_t sub;
	uint32_t size;
	uint64_t at, value;
	uint32_t space; /* of an I/O address space: the same number for the same one */
	int16_t err;	/* 0 or -errno; of a DMA enum iommu_fault_reason */
	uint16_t data;	/* bytes behind this */
};

struct trace_thread_data {
	int32_t pid, tid;
	char name[16];
};

#define TRACE_CONFIG 256u
struct trace_device_data {
	char name[64], model[32];
	uint32_t first, registers; /* of the table of registers */
	uint32_t config;	   /* bytes of @bytes that are known */
	uint32_t zero;
	uint8_t bytes[TRACE_CONFIG]; /* config space when the device was new */
};

/* struct uvfio_reg of uvfio/model.h */
struct trace_register {
	uint64_t offset;
	uint32_t count, stride;
	uint8_t bar, width, access, zero[5];
	char name[40];
};

struct trace_file {
	uint64_t magic;
	uint32_t version;
	uint32_t head;	 /* bytes from the start of the file to the first record */
	uint32_t of_dma; /* bytes of each DMA that are recorded */
	uint32_t tsc;	 /* ticks are of the processor's counter, else ns of CLOCK_MONOTONIC */
	uint64_t zero[5];
};
#endif
