// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: hibernation.
 *
 * An image is written to disk, so a page in use prevents it, unless its consumer
 * has called unmapped_image_allow(). The cache is emptied when user space is
 * frozen, to make the image small. What is left, free pages of blocks that are
 * partly in use, is in the image as pages of zeroes, which take no space there.
 * Allocations are never blocked, because a page fault must not fail or wait for a
 * hibernation: should a kernel thread allocate a page after that, the image is
 * refused when it is about to be created and nothing else can run.
 */

#define pr_fmt(fmt) "unmapped_alloc: " fmt

#include <linux/atomic.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/pageblock-flags.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/swap.h>
#include <linux/unmapped_alloc.h>
#include <linux/workqueue.h>

#include <kunit/visibility.h>

#include "internal.h"
#include "unmapped-alloc.h"

/* === Contents ============================================================ */

void unmapped_image_copy(void *dst, struct page *page)
{
	if (unmapped_image_allowed(page))
		unmapped_page_copy(page, dst, false);
	else
		clear_page(dst);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_image_copy);

/* === Pages with a hardware error ========================================= */

static bool has_poisoned(unsigned long pfn, unsigned long end)
{
	struct page *page = pfn_to_online_page(pfn);

	if (!page || !(get_pfnblock_flags(page, pfn) & UNMAPPED_PAGEBLOCK_MASK))
		return false;

	for (; pfn < end; pfn++, page++)
		if (PageHWPoison(page) && unmapped_page(page) &&
		    unmapped_image_allowed(page))
			return true;
	return false;
}

/*
 * Has a page in use that belongs in an image got a hardware error? It can't be read.
 * Its consumer expects the contents when the system resumes: a CPU would execute
 * whatever it finds in place of kernel text. Without hibernation, the access is
 * a machine check. A free page with an error is left out, and is not handed out.
 */
static bool image_lacks_page(void)
{
	unsigned long pfn, end;
	struct zone *zone;

	if (!atomic_long_read(&unmapped_nr_image_allowed))
		return false;

	for_each_populated_zone(zone) {
		for (pfn = zone->zone_start_pfn; pfn < zone_end_pfn(zone);
		     pfn = end) {
			end = min(pageblock_end_pfn(pfn), zone_end_pfn(zone));
			if (has_poisoned(pfn, end))
				return true;
		}
	}
	return false;
}

/* === Pages by consumer =================================================== */

static void show_consumers(void)
{
	struct unmapped_consumer consumers[UNMAPPED_MAX_CONSUMERS] = {};
	int i;

	unmapped_count_consumers(consumers, unmapped_image_allowed);
	for (i = 0; i < ARRAY_SIZE(consumers) && consumers[i].nr_pages; i++)
		pr_info("%s: %lu kB\n", consumers[i].name,
			K(consumers[i].nr_pages));
}

/* === Pages by process ==================================================== */

/* Processes are named up to this number. */
#define MAX_HOLDERS	8

/**
 * struct holder - the files without a direct map that a process has
 * @seen: those found so far; a process often has a file open and mapped.
 * @nr_seen: their number.
 * @nr_pages: number of pages in them.
 */
struct holder {
	const struct address_space *seen[16];
	unsigned int nr_seen;
	unsigned long nr_pages;
};

static void add_file(struct holder *holder, const struct file *file)
{
	const struct address_space *mapping = file->f_mapping;
	unsigned int i;

	if (!mapping_no_direct_map(mapping) ||
	    holder->nr_seen == ARRAY_SIZE(holder->seen))
		return;

	for (i = 0; i < holder->nr_seen; i++)
		if (holder->seen[i] == mapping)
			return;
	holder->seen[holder->nr_seen++] = mapping;
	holder->nr_pages += READ_ONCE(mapping->nrpages);
}

/* Stops when no more files are counted. */
static int add_open_file(const void *data, struct file *file, unsigned int fd)
{
	struct holder *holder = (void *)data;

	add_file(holder, file);
	return holder->nr_seen == ARRAY_SIZE(holder->seen);
}

static void add_mapped_files(struct holder *holder, struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	/* Its holder may wait for something that takes long. */
	if (!mmap_read_trylock(mm))
		return;
	for_each_vma(vmi, vma)
		if (vma->vm_file)
			add_file(holder, vma->vm_file);
	mmap_read_unlock(mm);
}

/* Returns whether the process has pages that prevent an image. */
static bool show_holder(struct task_struct *process)
{
	struct task_struct *task = find_lock_task_mm(process);
	struct holder holder = {};
	struct mm_struct *mm;

	if (!task)
		return false;

	if (task->files)
		iterate_fd(task->files, 0, add_open_file, &holder);
	mm = task->mm;
	mmget(mm);
	task_unlock(task);

	add_mapped_files(&holder, mm);
	mmput(mm);
	if (holder.nr_pages)
		pr_info("%s (pid %d) has %lu kB\n", process->comm,
			task_tgid_nr(process), K(holder.nr_pages));
	return holder.nr_pages;
}

static void show_holders(void)
{
	struct task_struct *process;
	bool go_on = true;
	int nr = 0;

	rcu_read_lock();
	for_each_process(process) {
		if (process->flags & PF_KTHREAD)
			continue;
		get_task_struct(process);
		rcu_read_unlock();
		nr += show_holder(process);
		cond_resched();
		rcu_read_lock();
		/* One that has ended has no next one. */
		go_on = pid_alive(process) && nr < MAX_HOLDERS;
		put_task_struct(process);
		if (!go_on)
			break;
	}
	rcu_read_unlock();
}

/* === Preparation ========================================================= */

static void count_all_nodes(struct unmapped_count *sum)
{
	struct unmapped_count count;
	int nid;

	*sum = (struct unmapped_count){};
	for_each_online_node(nid) {
		unmapped_alloc_count(nid, &count);
		sum->used += count.used;
		sum->transit += count.transit;
	}
}

static void drain_node(int nid)
{
	/* A refill may still be due for allocations before user space froze. */
	cancel_work_sync(&unmapped_node(nid)->refill_work);
	unmapped_alloc_drain(nid);
}

int unmapped_image_check(void)
{
	struct unmapped_count count;
	long nr_denied;

	if (!unmapped_alloc_available())
		return 0;

	/* A per-CPU batch of folios may hold the last reference to a page. */
	lru_add_drain_all();
	count_all_nodes(&count);
	nr_denied = count.used - atomic_long_read(&unmapped_nr_image_allowed);
	if (nr_denied > 0) {
		pr_info("no hibernation, %lu kB in use must not be in the image\n",
			K(nr_denied));
		show_consumers();
		show_holders();
		return -EBUSY;
	}
	if (image_lacks_page()) {
		pr_info("no hibernation, a page that must be in the image has a hardware error\n");
		return -EBUSY;
	}
	return 0;
}

int unmapped_image_prepare(void)
{
	int nid, err = unmapped_image_check();

	if (err || !unmapped_alloc_available())
		return err;

	for_each_online_node(nid)
		drain_node(nid);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_image_prepare);

bool unmapped_image_ready(void)
{
	struct unmapped_count count;

	if (!unmapped_alloc_available())
		return true;

	count_all_nodes(&count);
	return count.used == atomic_long_read(&unmapped_nr_image_allowed) &&
	       !count.transit && !unmapped_refill_running() &&
	       !image_lacks_page();
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_image_ready);
