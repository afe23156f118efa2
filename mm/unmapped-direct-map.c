// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: changing the direct map.
 *
 * Changing the direct map takes locks (cpa_lock on x86) and waits for other
 * CPUs, so nothing here is called with a spinlock held.
 */

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/error-injection.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pageblock-flags.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>
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

/* Returns false if that has to wait. */
VISIBLE_IF_KUNIT bool unmapped_collapse_now(struct page **pages,
					    unsigned int nr)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_collapse_now, pages, nr);

	return direct_map_collapse(pages, nr);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_collapse_now);

/*
 * Where entries remain to be collapsed. Reclaim has no memory to record that, so
 * it sets a bit of the pageblock, and a bit of the region around it. Other
 * entries are left alone: set_memory_4k() and the like split some on purpose.
 * (Unless they do so in the moment between the free and the work: the entry is
 * then large again, which costs them the split that they wanted, and no more.)
 *
 * A region is what an entry of the next level maps, 1 GiB on x86. Beyond 4096 of
 * them, several share a bit.
 */
#define REGION_PAGES	(PUD_SIZE / PAGE_SIZE)
#define NR_REGION_BITS	4096U

/* Others hold init_mm's mmap_lock for microseconds, or longer if they reclaim. */
#define COLLAPSE_DELAY	DIV_ROUND_UP(HZ, 50)

static DECLARE_BITMAP(collapse_regions, NR_REGION_BITS);

static void note_pageblocks(struct page **pages, unsigned int nr)
{
	unsigned long pfn;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		pfn = page_to_pfn(pages[i]);
		set_pfnblock_bit(pages[i], pfn, PB_unmapped_collapse);
		/* Pairs with the barrier in unmapped_collapse_noted(). */
		smp_mb__before_atomic();
		set_bit(pfn / REGION_PAGES % NR_REGION_BITS, collapse_regions);
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

static void collapse_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(late_collapse, collapse_work);

VISIBLE_IF_KUNIT void unmapped_collapse_queue(void)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_collapse_queue);

	queue_delayed_work(system_dfl_wq, &late_collapse, COLLAPSE_DELAY);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_collapse_queue);

static void collapse_late(struct page **pages, unsigned int nr)
{
	note_pageblocks(pages, nr);
	unmapped_collapse_queue();
}

VISIBLE_IF_KUNIT void unmapped_collapse_region(unsigned long pfn)
{
	unsigned long end = pfn + REGION_PAGES;
	struct page *pages[16];
	unsigned int nr;

	KUNIT_STATIC_STUB_REDIRECT(unmapped_collapse_region, pfn);

	while ((nr = find_pageblocks(&pfn, end, pages, ARRAY_SIZE(pages))))
		if (!unmapped_collapse_now(pages, nr))
			collapse_late(pages, nr);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_collapse_region);

VISIBLE_IF_KUNIT void unmapped_collapse_noted(void)
{
	unsigned long pfn;
	unsigned int bit;

	/* Keep memory from being hot-removed while its pages are looked up. */
	get_online_mems();
	for_each_set_bit(bit, collapse_regions, NR_REGION_BITS) {
		clear_bit(bit, collapse_regions);
		/*
		 * A pageblock that is noted from here on sets the bit again. Pairs
		 * with the barrier in note_pageblocks().
		 */
		smp_mb__after_atomic();
		for (pfn = bit * REGION_PAGES; pfn < max_pfn;
		     pfn += NR_REGION_BITS * REGION_PAGES)
			unmapped_collapse_region(pfn);
	}
	put_online_mems();
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_collapse_noted);

static void collapse_work(struct work_struct *work)
{
	unmapped_collapse_noted();
}

#if IS_ENABLED(CONFIG_KUNIT)
/* Wait for the work item that unmapped_direct_map_collapse() queued. */
void unmapped_collapse_wait(void)
{
	flush_delayed_work(&late_collapse);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_collapse_wait);
#endif

/**
 * unmapped_direct_map_collapse() - restore the large entries of restored chunks
 * @pages: first pages of the chunks.
 * @nr: number of chunks; may be 0.
 *
 * Reclaim leaves that to a work item, which runs a moment later; so does whoever
 * would have to wait for init_mm's mmap_lock: vmemmap_remap_range() reclaims
 * memory with it. The pages can be used before that.
 *
 * Context: Process context, may sleep.
 */
void unmapped_direct_map_collapse(struct page **pages, unsigned int nr)
{
	if (!nr)
		return;

	if ((current->flags & PF_MEMALLOC) || !unmapped_collapse_now(pages, nr))
		collapse_late(pages, nr);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_direct_map_collapse);
