// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test client for DMA buffers that the kernel can't access.
 *
 * Like dmatest, it takes a DMA engine that copies memory. Each open file of
 * /dev/dma_unmapped_test has a buffer for the engine's device. User space
 * allocates and frees it, lets the device copy to and from it, maps it, and asks
 * what its pages are. tools/testing/selftests/dma/dma_unmapped.c does so.
 */

#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/unmapped_alloc.h>

#include "dma_unmapped_test.h"

static char device_name[32];
module_param_string(device, device_name, sizeof(device_name), 0444);
MODULE_PARM_DESC(device, "Bus ID of the DMA engine's device (default: any)");

static unsigned int timeout = 10000;
module_param(timeout, uint, 0644);
MODULE_PARM_DESC(timeout, "Timeout of a copy in milliseconds (default: 10000)");

#define MAX_COPY	(4 * PAGE_SIZE)

static struct dma_chan *chan;
static struct device *dev;
/* One copy at a time, so that a timeout is that of one copy. */
static DEFINE_MUTEX(copy_mutex);

/**
 * struct dut_buffer - the buffer of an open file
 * @lock: protects all of it, but not from mmap().
 * @cookie_lock: nests in @lock and in mmap_lock; protects the rest from mmap().
 * @cookie: from dma_alloc_attrs(); NULL if there is none.
 * @dma_addr: its address for the device.
 * @size: in bytes.
 * @attrs: its attributes.
 */
struct dut_buffer {
	struct mutex lock;		/* see above */
	struct mutex cookie_lock;	/* see above */
	void *cookie;
	dma_addr_t dma_addr;
	size_t size;
	unsigned long attrs;
};

/* === Allocation ========================================================== */

static unsigned long attrs_of(u64 flags)
{
	unsigned long attrs = DMA_ATTR_NO_WARN;

	if (!(flags & DUT_MAPPED))
		attrs |= DMA_ATTR_NO_KERNEL_MAPPING;
	if (flags & DUT_REQUIRE)
		attrs |= DMA_ATTR_REQUIRE_UNMAPPED;
	if (flags & DUT_CONTIGUOUS)
		attrs |= DMA_ATTR_FORCE_CONTIGUOUS;
	return attrs;
}

static int alloc_buffer(struct dut_buffer *buf, const struct dut_alloc *arg)
{
	lockdep_assert_held(&buf->lock);

	if (buf->cookie)
		return -EBUSY;
	if (!arg->size)
		return -EINVAL;

	guard(mutex)(&buf->cookie_lock);

	buf->size = arg->size;
	buf->attrs = attrs_of(arg->flags);
	buf->cookie = dma_alloc_attrs(dev, buf->size, &buf->dma_addr,
				      arg->flags & DUT_ATOMIC ? GFP_ATOMIC :
								GFP_KERNEL,
				      buf->attrs);
	return buf->cookie ? 0 : -ENOMEM;
}

static int free_buffer(struct dut_buffer *buf)
{
	lockdep_assert_held(&buf->lock);

	if (!buf->cookie)
		return -ENOENT;

	guard(mutex)(&buf->cookie_lock);
	dma_free_attrs(dev, buf->size, buf->cookie, buf->dma_addr, buf->attrs);
	buf->cookie = NULL;
	return 0;
}

/* === State =============================================================== */

static bool is_dirty(struct page *page, void *scratch)
{
	if (unmapped_page(page))
		memcpy_from_unmapped_page(scratch, page, 0, PAGE_SIZE);
	else
		memcpy_from_page(scratch, page, 0, PAGE_SIZE);
	return memchr_inv(scratch, 0, PAGE_SIZE);
}

static void look_at_page(struct page *page, struct dut_state *state,
			 void *scratch)
{
	state->pages++;
	state->unmapped += unmapped_page(page);
	state->present += kernel_page_present(page);
	state->dirty += is_dirty(page, scratch);
}

static int get_state(struct dut_buffer *buf, struct dut_state *state)
{
	void *scratch __free(kfree) = kmalloc(PAGE_SIZE, GFP_KERNEL);
	struct sg_page_iter iter;
	struct sg_table sgt;
	int err;

	lockdep_assert_held(&buf->lock);

	if (!buf->cookie || !scratch)
		return -ENOENT;

	err = dma_get_sgtable_attrs(dev, &sgt, buf->cookie, buf->dma_addr,
				    buf->size, buf->attrs);
	if (err)
		return err;

	for_each_sgtable_page(&sgt, &iter, 0)
		look_at_page(sg_page_iter_page(&iter), state, scratch);
	state->dma_addr = buf->dma_addr;
	sg_free_table(&sgt);
	return 0;
}

/* What sg_copy_to_buffer() reads of the buffer. */
static int read_sg(struct dut_buffer *buf, u64 *copied)
{
	void *data __free(kvfree) = kvmalloc(buf->size, GFP_KERNEL);
	struct sg_table sgt;
	int err;

	lockdep_assert_held(&buf->lock);

	if (!buf->cookie || !data)
		return -ENOENT;

	err = dma_get_sgtable_attrs(dev, &sgt, buf->cookie, buf->dma_addr,
				    buf->size, buf->attrs);
	if (err)
		return err;

	*copied = sg_copy_to_buffer(sgt.sgl, sgt.orig_nents, data, buf->size);
	sg_free_table(&sgt);
	return 0;
}

/* === Copies by the device ================================================ */

struct copy_done {
	struct completion done;
	enum dmaengine_tx_result result;
};

static void copy_callback(void *param, const struct dmaengine_result *result)
{
	struct copy_done *copy = param;

	copy->result = result ? result->result : DMA_TRANS_NOERROR;
	complete(&copy->done);
}

static int device_copy(dma_addr_t dst, dma_addr_t src, size_t len)
{
	struct copy_done copy = {
		.done = COMPLETION_INITIALIZER_ONSTACK(copy.done),
	};
	struct dma_async_tx_descriptor *tx;
	dma_cookie_t cookie;
	bool good, polled;

	guard(mutex)(&copy_mutex);
	tx = dmaengine_prep_dma_memcpy(chan, dst, src, len,
				       DMA_PREP_INTERRUPT | DMA_CTRL_ACK);
	if (!tx)
		return -ENODEV;

	tx->callback_result = copy_callback;
	tx->callback_param = &copy;
	cookie = dmaengine_submit(tx);
	if (dma_submit_error(cookie))
		return -EIO;
	dma_async_issue_pending(chan);

	if (!wait_for_completion_timeout(&copy.done, msecs_to_jiffies(timeout))) {
		dmaengine_terminate_sync(chan);
		return -ETIMEDOUT;
	}
	good = copy.result == DMA_TRANS_NOERROR;
	polled = dmaengine_tx_status(chan, cookie, NULL) == DMA_COMPLETE;
	/* Those who poll must not hear of another result. */
	if (polled != good)
		return -EPROTO;
	return good ? 0 : -EIO;
}

/* Between ordinary memory and an address of the device. */
static int copy_to_addr(const struct dut_copy *arg, void *data,
			dma_addr_t addr)
{
	bool from = arg->flags & DUT_FROM_BUFFER;
	enum dma_data_direction dir = from ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
	dma_addr_t data_addr;
	int err;

	data_addr = dma_map_single(dev, data, arg->len, dir);
	if (dma_mapping_error(dev, data_addr))
		return -EIO;

	if (from)
		err = device_copy(data_addr, addr, arg->len);
	else
		err = device_copy(addr, data_addr, arg->len);
	dma_unmap_single(dev, data_addr, arg->len, dir);
	return err;
}

/* The segment that contains the offset, by its address for the device. */
static int find_segment(struct sg_table *sgt, struct dut_copy *arg,
			dma_addr_t *addr)
{
	u64 offset = arg->offset;
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (offset < sg_dma_len(sg)) {
			*addr = sg_dma_address(sg) + offset;
			arg->bounced = sg_dma_address(sg) != sg_phys(sg);
			return offset + arg->len <= sg_dma_len(sg) ? 0 : -EINVAL;
		}
		offset -= sg_dma_len(sg);
	}
	return -EINVAL;
}

/* As a device would that imports the buffer. */
static int copy_via_sg(struct dut_buffer *buf, struct dut_copy *arg, void *data)
{
	enum dma_data_direction dir = arg->flags & DUT_FROM_BUFFER ?
				      DMA_TO_DEVICE : DMA_BIDIRECTIONAL;
	struct sg_table sgt;
	dma_addr_t addr;
	int err;

	err = dma_get_sgtable_attrs(dev, &sgt, buf->cookie, buf->dma_addr,
				    buf->size, buf->attrs);
	if (err)
		return err;

	err = dma_map_sgtable(dev, &sgt, dir, 0);
	if (!err) {
		err = find_segment(&sgt, arg, &addr);
		if (!err)
			err = copy_to_addr(arg, data, addr);
		dma_unmap_sgtable(dev, &sgt, dir, 0);
	}
	sg_free_table(&sgt);
	return err;
}

static int copy_buffer(struct dut_buffer *buf, struct dut_copy *arg)
{
	/* Any device can access it without bounce buffers. */
	void *data __free(kfree) = kmalloc(MAX_COPY, GFP_KERNEL | GFP_DMA);
	void __user *user = u64_to_user_ptr(arg->data);
	int err;

	lockdep_assert_held(&buf->lock);

	if (!buf->cookie || !data)
		return -ENOENT;
	if (!arg->len || arg->len > MAX_COPY || arg->offset >= buf->size ||
	    arg->len > buf->size - arg->offset)
		return -EINVAL;
	if (!(arg->flags & DUT_FROM_BUFFER) &&
	    copy_from_user(data, user, arg->len))
		return -EFAULT;

	if (arg->flags & DUT_VIA_SG)
		err = copy_via_sg(buf, arg, data);
	else
		err = copy_to_addr(arg, data, buf->dma_addr + arg->offset);

	if (!err && (arg->flags & DUT_FROM_BUFFER) &&
	    copy_to_user(user, data, arg->len))
		err = -EFAULT;
	return err;
}

/* === Files =============================================================== */

static int ioctl_alloc(struct dut_buffer *buf, void __user *user)
{
	struct dut_alloc arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return alloc_buffer(buf, &arg);
}

static int ioctl_state(struct dut_buffer *buf, void __user *user)
{
	struct dut_state state = {};
	int err = get_state(buf, &state);

	if (!err && copy_to_user(user, &state, sizeof(state)))
		err = -EFAULT;
	return err;
}

static int ioctl_copy(struct dut_buffer *buf, void __user *user)
{
	struct dut_copy arg;
	int err;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	arg.bounced = 0;
	err = copy_buffer(buf, &arg);
	if (!err && copy_to_user(user, &arg, sizeof(arg)))
		err = -EFAULT;
	return err;
}

static int ioctl_sg_read(struct dut_buffer *buf, void __user *user)
{
	u64 copied = 0;
	int err = read_sg(buf, &copied);

	return err ?: put_user(copied, (u64 __user *)user);
}

static long dut_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dut_buffer *buf = file->private_data;
	void __user *user = (void __user *)arg;

	guard(mutex)(&buf->lock);
	switch (cmd) {
	case DUT_ALLOC:
		return ioctl_alloc(buf, user);
	case DUT_FREE:
		return free_buffer(buf);
	case DUT_STATE:
		return ioctl_state(buf, user);
	case DUT_COPY:
		return ioctl_copy(buf, user);
	case DUT_SG_READ:
		return ioctl_sg_read(buf, user);
	default:
		return -ENOTTY;
	}
}

/* Deliberately, nothing prevents that the buffer is freed while it is mapped. */
static int dut_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct dut_buffer *buf = file->private_data;

	/* Not @lock: copies to and from user space take mmap_lock under it. */
	guard(mutex)(&buf->cookie_lock);
	if (!buf->cookie)
		return -ENOENT;
	return dma_mmap_attrs(dev, vma, buf->cookie, buf->dma_addr, buf->size,
			      buf->attrs);
}

static int dut_open(struct inode *inode, struct file *file)
{
	struct dut_buffer *buf = kzalloc_obj(*buf);

	if (!buf)
		return -ENOMEM;

	mutex_init(&buf->lock);
	mutex_init(&buf->cookie_lock);
	file->private_data = buf;
	return 0;
}

static int dut_release(struct inode *inode, struct file *file)
{
	struct dut_buffer *buf = file->private_data;

	scoped_guard(mutex, &buf->lock)
		free_buffer(buf);
	kfree(buf);
	return 0;
}

static const struct file_operations dut_fops = {
	.owner = THIS_MODULE,
	.open = dut_open,
	.release = dut_release,
	.unlocked_ioctl = dut_ioctl,
	.mmap = dut_mmap,
};

static struct miscdevice dut_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "dma_unmapped_test",
	.fops = &dut_fops,
	.mode = 0600,
};

static bool wanted_device(struct dma_chan *c, void *unused)
{
	return !*device_name ||
	       !strcmp(dev_name(c->device->dev), device_name);
}

static int __init dut_init(void)
{
	dma_cap_mask_t mask;
	int err;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	chan = dma_request_channel(mask, wanted_device, NULL);
	if (!chan)
		return -ENODEV;

	dev = get_device(chan->device->dev);
	err = misc_register(&dut_misc);
	if (err) {
		put_device(dev);
		dma_release_channel(chan);
	}
	return err;
}
module_init(dut_init);

static void __exit dut_exit(void)
{
	misc_deregister(&dut_misc);
	put_device(dev);
	dma_release_channel(chan);
}
module_exit(dut_exit);

MODULE_DESCRIPTION("Test client for DMA buffers that the kernel can't access");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
