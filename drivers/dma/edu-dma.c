// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA engine driver for QEMU's "edu" device.
 *
 * The device copies between memory and a buffer of its own, 4096 bytes at a
 * time, so that a copy from memory to memory takes two transfers for each chunk
 * of that size. A transfer takes 100 ms. It can't be aborted, and the device
 * ignores writes to its registers meanwhile.
 *
 * The device adds no address lines to those that its "dma_mask" property allows:
 * it clears the higher bits of an address and says nothing. There is no register
 * to read the mask from, so whoever sets the property also has to set the
 * parameter of this module. A count that exceeds the buffer is not refused,
 * either.
 *
 * States, protected by the lock of the channel:
 *
 * - edu_dma::running: a transfer was started and has not been seen to end. Only
 *   the tasklet or the watchdog ends this state.
 * - edu_dma::desc: the descriptor that the next or the running transfer belongs
 *   to. NULL while a transfer runs whose descriptor was terminated.
 * - edu_dma::stopped: the latter. Its memory is in use until the transfer ends.
 * - edu_dma::asleep: the system sleeps, or a hibernation image is made. Nothing is
 *   started meanwhile. What the device has in its buffer may be gone after that.
 * - edu_dma::dead: the device is being unbound, is gone, or hangs. Nothing is
 *   started any more; if nothing is running either, registers are not accessed.
 * - edu_dma::first_aborted: cookie of the first descriptor that was aborted then,
 *   0 if there is none. No later one has been done, either.
 */

#include <linux/cleanup.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/wait.h>

#include "virt-dma.h"

#define EDU_VENDOR_ID		0x1234
#define EDU_DEVICE_ID		0x11e8

#define EDU_REG_ID		0x00
#define EDU_ID_MASK		0xff
#define EDU_ID			0xed
#define EDU_REG_IRQ_STATUS	0x24
#define EDU_REG_IRQ_ACK		0x64
#define EDU_REG_DMA_SRC		0x80
#define EDU_REG_DMA_DST		0x88
#define EDU_REG_DMA_COUNT	0x90
#define EDU_REG_DMA_CMD		0x98
#define EDU_DMA_CMD_RUN		BIT(0)
#define EDU_DMA_CMD_TO_MEMORY	BIT(1)
#define EDU_DMA_CMD_IRQ		BIT(2)

/* The buffer, in the address space of the device. */
#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096

/* Ten times as long as a transfer takes. */
#define EDU_WATCHDOG		(1 * HZ)
#define EDU_WATCHDOG_US		(1 * USEC_PER_SEC)

static unsigned int dma_bits = 28;
module_param(dma_bits, uint, 0444);
MODULE_PARM_DESC(dma_bits,
		 "Number of address bits, as in the device's dma_mask property (default: 28, as QEMU's)");

/**
 * struct edu_dma_desc - a copy
 * @vd: the virtual descriptor.
 * @dst: where to.
 * @src: where from.
 * @len: number of bytes.
 * @done: number of bytes that have been copied.
 * @loaded: the next chunk is in the device's buffer.
 */
struct edu_dma_desc {
	struct virt_dma_desc vd;
	dma_addr_t dst;
	dma_addr_t src;
	size_t len;
	size_t done;
	bool loaded;
};

/**
 * struct edu_dma - a device
 * @ddev: the DMA engine, which owns this structure.
 * @vc: its channel.
 * @pdev: the PCI device.
 * @bar: the registers; gone after the device was unbound.
 * @desc: current descriptor, see above.
 * @stopped: see above.
 * @running: see above.
 * @dead: see above.
 * @first_aborted: see above.
 * @asleep: see above.
 * @idle: waits for @running or @stopped to end.
 * @task: goes on after a transfer.
 * @watchdog: in case that no interrupt comes.
 */
struct edu_dma {
	struct dma_device ddev;
	struct virt_dma_chan vc;
	struct pci_dev *pdev;
	void __iomem *bar;
	struct edu_dma_desc *desc;
	struct edu_dma_desc *stopped;
	bool running;
	bool dead;
	dma_cookie_t first_aborted;
	bool asleep;
	wait_queue_head_t idle;
	struct tasklet_struct task;
	struct timer_list watchdog;
};

static struct edu_dma *to_edu_dma(struct dma_chan *chan)
{
	return container_of(to_virt_chan(chan), struct edu_dma, vc);
}

static struct edu_dma_desc *to_edu_desc(struct virt_dma_desc *vd)
{
	return container_of(vd, struct edu_dma_desc, vd);
}

static size_t edu_chunk(const struct edu_dma_desc *desc)
{
	return min(desc->len - desc->done, EDU_BUFFER_SIZE);
}

/* === Transfers =========================================================== */

/* Start the next transfer of the current descriptor. */
static void edu_dma_start(struct edu_dma *edu)
{
	struct edu_dma_desc *desc = edu->desc;
	u64 src = EDU_BUFFER, dst = EDU_BUFFER;
	u32 cmd = EDU_DMA_CMD_RUN | EDU_DMA_CMD_IRQ;

	lockdep_assert_held(&edu->vc.lock);

	if (desc->loaded) {
		dst = desc->dst + desc->done;
		cmd |= EDU_DMA_CMD_TO_MEMORY;
	} else {
		src = desc->src + desc->done;
	}

	edu->running = true;
	mod_timer(&edu->watchdog, jiffies + EDU_WATCHDOG);
	writeq(src, edu->bar + EDU_REG_DMA_SRC);
	writeq(dst, edu->bar + EDU_REG_DMA_DST);
	writeq(edu_chunk(desc), edu->bar + EDU_REG_DMA_COUNT);
	writeq(cmd, edu->bar + EDU_REG_DMA_CMD);
}

/* Start what was issued, unless the device is still busy. */
static void edu_dma_start_next(struct edu_dma *edu)
{
	struct virt_dma_desc *vd;

	lockdep_assert_held(&edu->vc.lock);

	if (edu->running || edu->dead || edu->asleep)
		return;

	if (!edu->desc) {
		vd = vchan_next_desc(&edu->vc);
		if (!vd)
			return;
		list_del(&vd->node);
		edu->desc = to_edu_desc(vd);
	}
	edu_dma_start(edu);
}

static void edu_dma_finish(struct edu_dma_desc *desc,
			   enum dmaengine_tx_result result)
{
	desc->vd.tx_result.result = result;
	desc->vd.tx_result.residue = desc->len - desc->done;
	vchan_cookie_complete(&desc->vd);
}

/* No transfer is running: whoever waits for that frees the descriptor. */
static void edu_dma_end(struct edu_dma *edu)
{
	lockdep_assert_held(&edu->vc.lock);

	edu->running = false;
	if (edu->stopped)
		vchan_terminate_vdesc(&edu->stopped->vd);
	edu->stopped = NULL;
	wake_up_all(&edu->idle);
}

/* The current transfer has ended: go on with the next one. */
static void edu_dma_advance(struct edu_dma *edu)
{
	struct edu_dma_desc *desc = edu->desc;

	lockdep_assert_held(&edu->vc.lock);

	edu_dma_end(edu);
	if (desc) {
		if (desc->loaded)
			desc->done += edu_chunk(desc);
		desc->loaded = !desc->loaded;
		if (desc->done == desc->len) {
			edu->desc = NULL;
			edu_dma_finish(desc, DMA_TRANS_NOERROR);
		}
	}
	edu_dma_start_next(edu);
}

/*
 * Complete all that was submitted as aborted, and start nothing any more. The
 * device does not access memory by now.
 */
static void edu_dma_abort(struct edu_dma *edu)
{
	struct virt_dma_desc *vd, *next;
	LIST_HEAD(head);

	lockdep_assert_held(&edu->vc.lock);

	edu->dead = true;
	edu_dma_end(edu);
	if (edu->desc)
		list_add_tail(&edu->desc->vd.node, &head);
	edu->desc = NULL;
	list_splice_tail_init(&edu->vc.desc_issued, &head);
	list_splice_tail_init(&edu->vc.desc_submitted, &head);
	list_for_each_entry_safe(vd, next, &head, node) {
		list_del(&vd->node);
		if (!edu->first_aborted)
			edu->first_aborted = vd->tx.cookie;
		edu_dma_finish(to_edu_desc(vd), DMA_TRANS_ABORTED);
	}
}

/* Does the device say that the transfer has ended? Aborts if it is gone. */
static bool edu_dma_ended(struct edu_dma *edu)
{
	u64 cmd;

	lockdep_assert_held(&edu->vc.lock);

	if (!edu->running)
		return false;

	cmd = readq(edu->bar + EDU_REG_DMA_CMD);
	if (cmd == ~0ULL) {
		dev_err(&edu->pdev->dev, "the device is gone\n");
		edu_dma_abort(edu);
		return false;
	}
	return !(cmd & EDU_DMA_CMD_RUN);
}

static void edu_dma_task(struct tasklet_struct *t)
{
	struct edu_dma *edu = from_tasklet(edu, t, task);

	guard(spinlock_irqsave)(&edu->vc.lock);
	if (edu_dma_ended(edu))
		edu_dma_advance(edu);
}

static irqreturn_t edu_dma_irq(int irq, void *data)
{
	struct edu_dma *edu = data;
	u32 status = readl(edu->bar + EDU_REG_IRQ_STATUS);

	/* Not ours, or all ones from a device that was removed. */
	if (!status || status == ~0U)
		return IRQ_NONE;

	writel(status, edu->bar + EDU_REG_IRQ_ACK);
	tasklet_schedule(&edu->task);
	return IRQ_HANDLED;
}

/*
 * No interrupt. Either it was lost, or the device hangs. Then it must not access
 * memory any more, which gets other owners.
 */
static void edu_dma_watchdog(struct timer_list *t)
{
	struct edu_dma *edu = timer_container_of(edu, t, watchdog);

	guard(spinlock_irqsave)(&edu->vc.lock);
	if (!edu->running || timer_pending(&edu->watchdog))
		return;

	if (edu_dma_ended(edu)) {
		dev_warn_ratelimited(&edu->pdev->dev, "lost an interrupt\n");
		edu_dma_advance(edu);
	} else if (edu->running) {
		dev_err(&edu->pdev->dev, "a transfer does not end\n");
		pci_clear_master(edu->pdev);
		edu_dma_abort(edu);
	}
}

/* === DMA engine ========================================================== */

static struct dma_async_tx_descriptor *
edu_dma_prep_memcpy(struct dma_chan *chan, dma_addr_t dst, dma_addr_t src,
		    size_t len, unsigned long flags)
{
	struct edu_dma *edu = to_edu_dma(chan);
	struct edu_dma_desc *desc;

	if (!len || READ_ONCE(edu->dead))
		return NULL;

	desc = kzalloc_obj(*desc, GFP_NOWAIT);
	if (!desc)
		return NULL;

	desc->dst = dst;
	desc->src = src;
	desc->len = len;
	return vchan_tx_prep(&edu->vc, &desc->vd, flags);
}

static void edu_dma_desc_free(struct virt_dma_desc *vd)
{
	dma_descriptor_unmap(&vd->tx);
	kfree(to_edu_desc(vd));
}

static void edu_dma_issue_pending(struct dma_chan *chan)
{
	struct edu_dma *edu = to_edu_dma(chan);

	guard(spinlock_irqsave)(&edu->vc.lock);
	if (!vchan_issue_pending(&edu->vc))
		return;
	if (edu->dead && !edu->running)
		edu_dma_abort(edu);
	else
		edu_dma_start_next(edu);
}

static size_t edu_dma_residue(struct edu_dma *edu, dma_cookie_t cookie)
{
	struct edu_dma_desc *desc = edu->desc;
	struct virt_dma_desc *vd;

	lockdep_assert_held(&edu->vc.lock);

	if (desc && desc->vd.tx.cookie == cookie)
		return desc->len - desc->done;

	vd = vchan_find_desc(&edu->vc, cookie);
	return vd ? to_edu_desc(vd)->len : 0;
}

static enum dma_status edu_dma_tx_status(struct dma_chan *chan,
					 dma_cookie_t cookie,
					 struct dma_tx_state *state)
{
	struct edu_dma *edu = to_edu_dma(chan);
	enum dma_status status;

	guard(spinlock_irqsave)(&edu->vc.lock);
	status = dma_cookie_status(chan, cookie, state);
	/* What was aborted is complete, by its cookie. */
	if (edu->first_aborted && cookie >= edu->first_aborted)
		return DMA_ERROR;
	if (status != DMA_COMPLETE)
		dma_set_residue(state, edu_dma_residue(edu, cookie));
	return status;
}

/*
 * The device goes on with the transfer that it has begun, see
 * edu_dma_synchronize().
 */
static int edu_dma_terminate_all(struct dma_chan *chan)
{
	struct edu_dma *edu = to_edu_dma(chan);
	LIST_HEAD(head);

	scoped_guard(spinlock_irqsave, &edu->vc.lock) {
		vchan_get_all_descriptors(&edu->vc, &head);
		if (edu->running && edu->desc)
			edu->stopped = edu->desc;
		else if (edu->desc)
			vchan_terminate_vdesc(&edu->desc->vd);
		edu->desc = NULL;
	}
	vchan_dma_desc_free_list(&edu->vc, &head);
	return 0;
}

static bool edu_dma_is_idle(struct edu_dma *edu)
{
	guard(spinlock_irqsave)(&edu->vc.lock);
	return !edu->running;
}

static bool edu_dma_is_stopping(struct edu_dma *edu)
{
	guard(spinlock_irqsave)(&edu->vc.lock);
	return edu->stopped;
}

/* Waits for one transfer at most, which the watchdog ends. */
static void edu_dma_synchronize(struct dma_chan *chan)
{
	struct edu_dma *edu = to_edu_dma(chan);

	wait_event(edu->idle, !edu_dma_is_stopping(edu));
	vchan_synchronize(&edu->vc);
}

static void edu_dma_free_chan_resources(struct dma_chan *chan)
{
	edu_dma_terminate_all(chan);
	edu_dma_synchronize(chan);
	vchan_free_chan_resources(to_virt_chan(chan));
}

/* === Device ============================================================== */

static void edu_dma_release(struct dma_device *ddev)
{
	struct edu_dma *edu = container_of(ddev, struct edu_dma, ddev);

	tasklet_kill(&edu->vc.task);
	put_device(&edu->pdev->dev);
	kfree(edu);
}

static void edu_dma_init_engine(struct edu_dma *edu)
{
	struct dma_device *ddev = &edu->ddev;

	ddev->dev = &edu->pdev->dev;
	INIT_LIST_HEAD(&ddev->channels);
	dma_cap_set(DMA_MEMCPY, ddev->cap_mask);
	dma_cap_set(DMA_PRIVATE, ddev->cap_mask);
	ddev->copy_align = DMAENGINE_ALIGN_1_BYTE;
	ddev->directions = BIT(DMA_MEM_TO_MEM);
	ddev->residue_granularity = DMA_RESIDUE_GRANULARITY_BURST;
	ddev->device_prep_dma_memcpy = edu_dma_prep_memcpy;
	ddev->device_issue_pending = edu_dma_issue_pending;
	ddev->device_tx_status = edu_dma_tx_status;
	ddev->device_terminate_all = edu_dma_terminate_all;
	ddev->device_synchronize = edu_dma_synchronize;
	ddev->device_free_chan_resources = edu_dma_free_chan_resources;
	ddev->device_release = edu_dma_release;
	vchan_init(&edu->vc, ddev);
	edu->vc.desc_free = edu_dma_desc_free;
}

static struct edu_dma *edu_dma_create(struct pci_dev *pdev, void __iomem *bar)
{
	struct edu_dma *edu = kzalloc_obj(*edu);

	if (!edu)
		return NULL;

	get_device(&pdev->dev);
	edu->pdev = pdev;
	edu->bar = bar;
	init_waitqueue_head(&edu->idle);
	tasklet_setup(&edu->task, edu_dma_task);
	timer_setup(&edu->watchdog, edu_dma_watchdog, 0);
	edu_dma_init_engine(edu);
	return edu;
}

static void __iomem *edu_dma_enable(struct pci_dev *pdev)
{
	void __iomem *bar;
	u64 cmd;
	int err;

	err = pcim_enable_device(pdev);
	if (err)
		return IOMEM_ERR_PTR(err);

	bar = pcim_iomap_region(pdev, 0, KBUILD_MODNAME);
	if (IS_ERR(bar))
		return bar;

	if ((readl(bar + EDU_REG_ID) & EDU_ID_MASK) != EDU_ID)
		return IOMEM_ERR_PTR(-ENODEV);

	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(dma_bits));
	if (err)
		return IOMEM_ERR_PTR(err);

	/* One segment is as long as a client likes. */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);

	/* A former driver's transfer must not get access to memory now. */
	err = readq_poll_timeout(bar + EDU_REG_DMA_CMD, cmd,
				 !(cmd & EDU_DMA_CMD_RUN), USEC_PER_MSEC,
				 EDU_WATCHDOG_US);
	if (err)
		return IOMEM_ERR_PTR(-EBUSY);

	pci_set_master(pdev);
	return bar;
}

static int edu_dma_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu_dma *edu;
	void __iomem *bar;
	int err;

	if (!in_range(dma_bits, 1, 64))
		return -EINVAL;

	bar = edu_dma_enable(pdev);
	if (IS_ERR(bar))
		return PTR_ERR(bar);

	edu = edu_dma_create(pdev, bar);
	if (!edu)
		return -ENOMEM;

	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI | PCI_IRQ_INTX);
	if (err < 0)
		goto err_release;

	err = request_irq(pci_irq_vector(pdev, 0), edu_dma_irq, IRQF_SHARED,
			  KBUILD_MODNAME, edu);
	if (err)
		goto err_free_vectors;

	err = dma_async_device_register(&edu->ddev);
	if (err)
		goto err_free_irq;

	pci_set_drvdata(pdev, edu);
	return 0;

err_free_irq:
	free_irq(pci_irq_vector(pdev, 0), edu);
	tasklet_kill(&edu->task);
err_free_vectors:
	pci_free_irq_vectors(pdev);
err_release:
	edu_dma_release(&edu->ddev);
	return err;
}

/*
 * Clients may still have the channel, and keep the structure alive. What they
 * have submitted is aborted, what they submit from now on is refused.
 */
static void edu_dma_remove(struct pci_dev *pdev)
{
	struct edu_dma *edu = pci_get_drvdata(pdev);

	/* The device can't be stopped, so wait for the end of a transfer. */
	scoped_guard(spinlock_irqsave, &edu->vc.lock)
		edu->dead = true;
	wait_event(edu->idle, edu_dma_is_idle(edu));
	scoped_guard(spinlock_irqsave, &edu->vc.lock)
		edu_dma_abort(edu);

	free_irq(pci_irq_vector(pdev, 0), edu);
	tasklet_kill(&edu->task);
	timer_shutdown_sync(&edu->watchdog);
	pci_free_irq_vectors(pdev);
	pci_clear_master(pdev);
	dma_async_device_unregister(&edu->ddev);
}

static int edu_dma_suspend(struct device *dev)
{
	struct edu_dma *edu = dev_get_drvdata(dev);

	scoped_guard(spinlock_irqsave, &edu->vc.lock)
		edu->asleep = true;
	wait_event(edu->idle, edu_dma_is_idle(edu));
	return 0;
}

static int edu_dma_resume(struct device *dev)
{
	struct edu_dma *edu = dev_get_drvdata(dev);

	guard(spinlock_irqsave)(&edu->vc.lock);
	edu->asleep = false;
	if (edu->desc)
		edu->desc->loaded = false;
	edu_dma_start_next(edu);
	return 0;
}

static DEFINE_SIMPLE_DEV_PM_OPS(edu_dma_pm, edu_dma_suspend, edu_dma_resume);

static const struct pci_device_id edu_dma_ids[] = {
	{ PCI_DEVICE(EDU_VENDOR_ID, EDU_DEVICE_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edu_dma_ids);

static struct pci_driver edu_dma_driver = {
	.name = KBUILD_MODNAME,
	.id_table = edu_dma_ids,
	.probe = edu_dma_probe,
	.remove = edu_dma_remove,
	.driver.pm = pm_sleep_ptr(&edu_dma_pm),
};
module_pci_driver(edu_dma_driver);

MODULE_DESCRIPTION("DMA engine driver for QEMU's edu device");
MODULE_LICENSE("GPL");
