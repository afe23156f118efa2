/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What kernel/dma/dma_unmapped_test.c and its selftest have in common. Not a stable
 * interface.
 */
#ifndef _KERNEL_DMA_DMA_UNMAPPED_TEST_H
#define _KERNEL_DMA_DMA_UNMAPPED_TEST_H

#include <linux/const.h>
#include <linux/ioctl.h>
#include <linux/types.h>

/* How a buffer is allocated. */
#define DUT_REQUIRE	_BITUL(0)	/* DMA_ATTR_REQUIRE_UNMAPPED */
#define DUT_CONTIGUOUS	_BITUL(1)	/* DMA_ATTR_FORCE_CONTIGUOUS */
#define DUT_ATOMIC	_BITUL(2)	/* GFP_ATOMIC */
#define DUT_MAPPED	_BITUL(3)	/* no DMA_ATTR_NO_KERNEL_MAPPING */

struct dut_alloc {
	__u64 size;
	__u64 flags;
};

/* What a buffer consists of. */
struct dut_state {
	__u64 pages;		/* all of its pages */
	__u64 unmapped;		/* pages of the unmapped page allocator */
	__u64 present;		/* pages that are in the direct map */
	__u64 dirty;		/* pages that are not all zero */
	__u64 dma_addr;
};

/* Let the device copy between user space and a buffer, up to 4096 bytes. */
#define DUT_FROM_BUFFER	_BITUL(0)
#define DUT_VIA_SG	_BITUL(1)	/* map its scatterlist for the device */

struct dut_copy {
	__u64 offset;
	__u64 len;
	__u64 data;
	__u64 flags;
	__u64 bounced;		/* out: it was not the buffer that was mapped */
};

/* Read the scatterlist of a buffer by the CPU: how much of it was copied. */
#define DUT_ALLOC	_IOW('D', 0x80, struct dut_alloc)
#define DUT_FREE	_IO('D', 0x81)
#define DUT_STATE	_IOR('D', 0x82, struct dut_state)
#define DUT_COPY	_IOWR('D', 0x83, struct dut_copy)
#define DUT_SG_READ	_IOR('D', 0x84, __u64)

#endif
