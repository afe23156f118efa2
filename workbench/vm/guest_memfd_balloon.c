// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio balloon for the VMM, as the virtio specification has it (1.2, 4.2.2
 * "MMIO Device Register Layout", 5.5 "Traditional Memory Balloon Device"). What the
 * guest puts into it is punched out of the guest_memfd file. The balloon is pumped
 * up and down for ever, so that the guest's memory comes and goes under load.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/sizes.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "kvm_util.h"
#include "test_util.h"

#include "guest_memfd_linux.h"

#define QUEUE_SIZE	128

enum { INFLATE, DEFLATE, NR_QUEUES };

struct queue {
	u32 num;
	u32 ready;
	u64 desc, avail, used;	/* guest physical addresses */
	u16 seen;		/* buffers that were taken */
};

static struct {
	void *mem;
	u64 size;
	int fd;
	void (*raise_irq)(void);
	u32 features_sel, queue_sel, status, irq_status;
	struct virtio_balloon_config config;
	struct queue queues[NR_QUEUES];
	unsigned long nr_inflated, nr_punched;
} balloon;

void balloon_init(void *mem, u64 size, int fd, void (*raise_irq)(void))
{
	balloon.mem = mem;
	balloon.size = size;
	balloon.fd = fd;
	balloon.raise_irq = raise_irq;
}

static void interrupt(u32 why)
{
	balloon.irq_status |= why;
	balloon.raise_irq();
}

static void *guest_memory(u64 gpa, u64 len)
{
	TEST_ASSERT(gpa < balloon.size && len <= balloon.size - gpa,
		    "The guest's balloon has 0x%llx", (unsigned long long)gpa);
	return balloon.mem + gpa;
}

static void punch(u64 pfn, u64 end)
{
	guest_memory(pfn * SZ_4K, (end - pfn) * SZ_4K);
	TEST_ASSERT(!fallocate(balloon.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       pfn * SZ_4K, (end - pfn) * SZ_4K),
		    "punching fails: %s", strerror(errno));
	balloon.nr_punched += end - pfn;
}

/* Neighbours are punched out at once. */
static void take_pages(const __le32 *pfns, u32 nr)
{
	u64 start, end;
	u32 i;

	for (i = 0; i < nr; ) {
		start = pfns[i++];
		end = start + 1;
		for (; i < nr && (pfns[i] == end || pfns[i] + 1 == start); i++) {
			if (pfns[i] == end)
				end++;
			else
				start--;
		}
		punch(start, end);
	}
}

/* Returns whether there was a buffer. */
static bool take_buffers(struct queue *queue, bool inflate)
{
	struct vring_desc *desc = guest_memory(queue->desc, queue->num * sizeof(*desc));
	struct vring_avail *avail = guest_memory(queue->avail, sizeof(*avail));
	struct vring_used *used = guest_memory(queue->used, sizeof(*used));
	u16 seen = queue->seen, i;

	while (queue->seen != READ_ONCE(avail->idx)) {
		__sync_synchronize();
		i = avail->ring[queue->seen++ % queue->num];
		used->ring[used->idx % queue->num] = (struct vring_used_elem) { .id = i };
		for (;; i = desc[i].next) {
			if (inflate)
				take_pages(guest_memory(desc[i].addr, desc[i].len),
					   desc[i].len / sizeof(__le32));
			if (!(desc[i].flags & VRING_DESC_F_NEXT))
				break;
		}
		__sync_synchronize();
		WRITE_ONCE(used->idx, used->idx + 1);
	}
	return queue->seen != seen;
}

static void notify(u32 number)
{
	if (number < NR_QUEUES && balloon.queues[number].ready &&
	    take_buffers(&balloon.queues[number], number == INFLATE))
		interrupt(VIRTIO_MMIO_INT_VRING);
}

static u32 features(void)
{
	return balloon.features_sel ? 1U << (VIRTIO_F_VERSION_1 - 32) :
				      1U << VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
}

static u32 read_register(u64 offset)
{
	struct queue *queue = &balloon.queues[balloon.queue_sel % NR_QUEUES];

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return 'v' | 'i' << 8 | 'r' << 16 | 't' << 24;
	case VIRTIO_MMIO_VERSION:
		return 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return VIRTIO_ID_BALLOON;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return features();
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return balloon.queue_sel < NR_QUEUES ? QUEUE_SIZE : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return queue->ready;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return balloon.irq_status;
	case VIRTIO_MMIO_STATUS:
		return balloon.status;
	default:
		return 0;
	}
}

static void set_half(u64 *address, bool high, u32 value)
{
	int shift = high ? 32 : 0;

	*address = (*address & ~(0xffffffffULL << shift)) | (u64)value << shift;
}

static void write_queue(struct queue *queue, u64 offset, u32 value)
{
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		TEST_ASSERT(value && value <= QUEUE_SIZE, "a queue of %u", value);
		queue->num = value;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		queue->ready = value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&queue->desc, offset & 4, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&queue->avail, offset & 4, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&queue->used, offset & 4, value);
		break;
	}
}

static void write_register(u64 offset, u32 value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		balloon.features_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		balloon.queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		notify(value);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		balloon.irq_status &= ~value;
		break;
	case VIRTIO_MMIO_STATUS:
		balloon.status = value;
		if (!value)
			memset(balloon.queues, 0, sizeof(balloon.queues));
		break;
	default:
		write_queue(&balloon.queues[balloon.queue_sel % NR_QUEUES], offset, value);
	}
}

void balloon_mmio(u64 offset, bool write, u8 *data, u32 len)
{
	u8 *config = (u8 *)&balloon.config;
	u32 value;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		offset -= VIRTIO_MMIO_CONFIG;
		if (offset + len > sizeof(balloon.config))
			memset(data, 0, len);
		else if (write)
			memcpy(config + offset, data, len);
		else
			memcpy(data, config + offset, len);
	} else if (len != sizeof(value)) {
		memset(data, 0xff, len);
	} else if (write) {
		memcpy(&value, data, sizeof(value));
		write_register(offset, value);
	} else {
		value = read_register(offset);
		memcpy(data, &value, sizeof(value));
	}
}

/* Up to @nr_pages, and down to nothing, each time when the guest is there. */
void balloon_pump(u32 nr_pages)
{
	if (!(balloon.status & VIRTIO_CONFIG_S_DRIVER_OK) ||
	    balloon.config.actual != balloon.config.num_pages)
		return;
	balloon.nr_inflated += balloon.config.num_pages == nr_pages;
	balloon.config.num_pages = balloon.config.num_pages ? 0 : nr_pages;
	interrupt(VIRTIO_MMIO_INT_CONFIG);
}

void balloon_tell(void)
{
	say("# guest: the balloon was full %lu times, %lu pages were punched out\n",
	    balloon.nr_inflated, balloon.nr_punched);
}
