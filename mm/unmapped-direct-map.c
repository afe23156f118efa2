// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: changing the direct map.
 *
 * Changing the direct map takes locks (cpa_lock on x86) and waits for other
 * CPUs, so nothing here is called with a spinlock held.
 */

#include <linux/error-injection.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pageblock-flags.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>
#include <linux/spinlock.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <asm/tlbflush.h>

#include "unmapped-alloc.h"

VISIBLE_IF_KUNIT int unmapped_set_direct_map(struct page *page, unsigned int nr,
					     bool valid)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_set_direct_map, page, nr, valid);

	return set_direct_map_valid_noflush(page, nr, valid);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_set_direct_map);
/* For the torture test. */
ALLOW_ERROR_INJECTION(unmapped_set_direct_map, ERRNO);

/**
 * unmapped_direct_map_remove() - remove a chunk from the direct map, no flush
 * @page: first page.
 * @order: order of the chunk.
 *
 * A fragment needs page tables: their allocation must not start I/O or enter a
 * filesystem, because callers may hold locks that these need. A block needs one
 * only if a 1 GiB entry is split, which allocates it at that moment. Unless
 * reclaim was needed to get the block, unmapped_node::refill_lock is held then,
 * on which other page faults wait. So nothing is reclaimed for this one page; if
 * none is free above the watermarks, it comes from the reserves. If removal
 * fails, the direct map is restored.
 *
 * Context: Process context, may sleep.
 * Return: 0 or -errno; -ENOTRECOVERABLE if the chunk is left partially mapped.
 */
int unmapped_direct_map_remove(struct page *page, unsigned int order)
{
	unsigned int flags = memalloc_flags_save(order < PMD_ORDER ?
						 PF_MEMALLOC_NOIO : PF_MEMALLOC);
	int err = unmapped_set_direct_map(page, 1U << order, false);

	if (err && unmapped_set_direct_map(page, 1U << order, true))
		err = -ENOTRECOVERABLE;
	memalloc_flags_restore(flags);

	return err;
}

/**
 * unmapped_direct_map_flush() - flush removed chunks from all CPUs' TLBs
 *
 * A single full flush for any number of chunks: for a PMD-size range, CPUs
 * flush everything anyway (on x86, above tlb_single_page_flush_ceiling, 33
 * pages), and pages that were in a vmalloc area before may still be in TLBs
 * at that address, because vunmap() defers the flush.
 *
 * Context: Process context.
 */
void unmapped_direct_map_flush(void)
{
	count_vm_event(UNMAPPED_TLB_FLUSH);
	flush_tlb_all();
}

/**
 * unmapped_direct_map_restore() - map a chunk again
 * @page: first page.
 * @order: order of the chunk.
 *
 * On success, no flush is needed: entries that are not present are not cached.
 * On failure, all of the chunk is unmapped again.
 *
 * Context: Process context, may sleep.
 * Return: 0 or -errno; -ENOTRECOVERABLE if the chunk is left partially mapped.
 */
int unmapped_direct_map_restore(struct page *page, unsigned int order)
{
	int err = unmapped_set_direct_map(page, 1U << order, true);

	if (err) {
		if (unmapped_set_direct_map(page, 1U << order, false))
			err = -ENOTRECOVERABLE;
		unmapped_direct_map_flush();
	}
	return err;
}

/* === Large entries ======================================================= */

VISIBLE_IF_KUNIT void unmapped_collapse_now(struct page **pages,
					    unsigned int nr)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_collapse_now, pages, nr);

	direct_map_collapse(pages, nr);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_collapse_now);

/*
 * Where entries remain to be collapsed. Reclaim has no memory to record that, so
 * it sets a bit of the pageblock. All pageblocks with this bit are between two
 * page frame numbers, which are protected by collapse_lock. No lock nests inside
 * it. Other entries are left alone: set_memory_4k() and the like split some on
 * purpose.
 */
static DEFINE_SPINLOCK(collapse_lock);
static unsigned long collapse_start = ULONG_MAX;
static unsigned long collapse_end;

static void note_pageblocks(struct page **pages, unsigned int nr)
{
	unsigned long pfn;
	unsigned int i;

	guard(spinlock)(&collapse_lock);
	for (i = 0; i < nr; i++) {
		pfn = page_to_pfn(pages[i]);
		set_pfnblock_bit(pages[i], pfn, PB_unmapped_collapse);
		collapse_start = min(collapse_start, pageblock_start_pfn(pfn));
		collapse_end = max(collapse_end, pageblock_end_pfn(pfn));
	}
}

/* Find up to @max pageblocks from *@pfn on, and advance it; returns how many. */
static unsigned int find_pageblocks(unsigned long *pfn, unsigned long end,
				    struct page **pages, unsigned int max)
{
	unsigned int nr = 0;
	struct page *page;

	for (; *pfn < end && nr < max; *pfn += pageblock_nr_pages) {
		cond_resched();
		page = pfn_to_online_page(*pfn);
		/* There are holes between zones, and page 0 is in none. */
		if (!page || !zone_spans_pfn(page_zone(page), *pfn) ||
		    !get_pfnblock_bit(page, *pfn, PB_unmapped_collapse))
			continue;
		clear_pfnblock_bit(page, *pfn, PB_unmapped_collapse);
		pages[nr++] = page;
	}
	return nr;
}

static void collapse_late(struct work_struct *work)
{
	struct page *pages[16];
	unsigned long pfn, end;
	unsigned int nr;

	scoped_guard(spinlock, &collapse_lock) {
		pfn = collapse_start;
		end = collapse_end;
		collapse_start = ULONG_MAX;
		collapse_end = 0;
	}

	/* Keep memory from being hot-removed while its pages are looked up. */
	get_online_mems();
	while ((nr = find_pageblocks(&pfn, end, pages, ARRAY_SIZE(pages))))
		unmapped_collapse_now(pages, nr);
	put_online_mems();
}

static DECLARE_WORK(collapse_work, collapse_late);

#if IS_ENABLED(CONFIG_KUNIT)
/* Wait for the work item that unmapped_direct_map_collapse() queued. */
void unmapped_collapse_wait(void)
{
	flush_work(&collapse_work);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_collapse_wait);
#endif

/**
 * unmapped_direct_map_collapse() - restore the large entries of restored chunks
 * @pages: first pages of the chunks.
 * @nr: number of chunks; may be 0.
 *
 * This takes init_mm's mmap_lock, with which vmemmap_remap_range() may reclaim
 * memory. So reclaim leaves it to a work item, which runs a moment later; the
 * pages can be used before that.
 *
 * Context: Process context, may sleep.
 */
void unmapped_direct_map_collapse(struct page **pages, unsigned int nr)
{
	if (!nr)
		return;

	if (!(current->flags & PF_MEMALLOC)) {
		unmapped_collapse_now(pages, nr);
		return;
	}
	note_pageblocks(pages, nr);
	queue_work(system_dfl_wq, &collapse_work);
}
