// SPDX-License-Identifier: GPL-2.0-only
/*
 * A reader in the kernel: a thread sweeps the direct map for marks (mark.h) from
 * when 1 is written to the file until 0 is. What the file says then: whole sweeps,
 * pages that could be read, marks that were seen.
 */

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "check.h"
#include "mark.h"

static DEFINE_MUTEX(mutex);
static struct task_struct *thread;	/* protected by mutex */

/* Written by the thread alone. */
static unsigned long sweeps, readable, marks;

static void read_page(unsigned long pfn)
{
	const char *page = __va(PFN_PHYS(pfn));
	/* Where a copy on the stack begins, no mark is looked for. */
	struct {
		u64 nothing;
		struct text_mark mark;
	} copy __aligned(64);
	unsigned long at;

	if (copy_from_kernel_nofault(&copy.mark, page, sizeof(copy.mark)))
		return;
	readable++;
	for (at = 0; at < PAGE_SIZE; at += MARK_UNIT) {
		if (!copy_from_kernel_nofault(&copy.mark, page + at, sizeof(copy.mark)) &&
		    is_text_mark(&copy.mark))
			marks++;
	}
}

static void sweep_node(int nid)
{
	unsigned long pfn;

	for (pfn = node_start_pfn(nid); pfn < node_end_pfn(nid); pfn++) {
		if (kthread_should_stop())
			return;
		if (pfn_valid(pfn))
			read_page(pfn);
		/* Others want the CPU; ftrace and kprobes wait until each task has slept. */
		if (pfn % 512 == 0)
			schedule_timeout_idle(1);
	}
}

static int sweep_thread(void *unused)
{
	int nid;

	while (!kthread_should_stop()) {
		for_each_online_node(nid)
			sweep_node(nid);
		if (!kthread_should_stop())
			sweeps++;
	}
	return 0;
}

static int start(void)
{
	struct task_struct *new;

	if (thread)
		return -EBUSY;
	sweeps = 0;
	readable = 0;
	marks = 0;
	new = kthread_run(sweep_thread, NULL, "text_sweep");
	if (IS_ERR(new))
		return PTR_ERR(new);
	thread = new;
	return 0;
}

static void stop(void)
{
	if (thread)
		kthread_stop(thread);
	thread = NULL;
}

static ssize_t sweep_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	bool on;
	int err = kstrtobool_from_user(buf, count, &on);

	if (err)
		return err;
	guard(mutex)(&mutex);
	if (on)
		err = start();
	else
		stop();
	return err ?: count;
}

static int sweep_show(struct seq_file *m, void *v)
{
	seq_printf(m, "sweeps %lu\nreadable %lu\nmarks %lu\n", READ_ONCE(sweeps),
		   READ_ONCE(readable), READ_ONCE(marks));
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(sweep);

void sweep_init(struct dentry *dir)
{
	debugfs_create_file("sweep", 0600, dir, NULL, &sweep_fops);
}

void sweep_exit(void)
{
	stop();
}
