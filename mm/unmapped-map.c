// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: changing the direct map.
 *
 * The direct map has locks of its own (cpa_lock on x86) and waits for other
 * CPUs, so nothing here is called with a spinlock held.
 */

#include <linux/error-injection.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>
#include <linux/spinlock.h>
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
 * unmapped_map_remove() - remove a chunk from the direct map, but for the flush
 * @page: first page.
 * @order: order of the chunk.
 *
 * Page tables may be needed; their allocation must not recurse into whatever
 * the caller's caller holds locks of. If it fails, the map is as it was before.
 *
 * Context: Process context, may sleep.
 * Return: 0 or -errno; -ENOTRECOVERABLE if the chunk is neither mapped nor not.
 */
int unmapped_map_remove(struct page *page, unsigned int order)
{
	unsigned int noio = memalloc_noio_save();
	int err = unmapped_set_direct_map(page, 1U << order, false);

	if (err && unmapped_set_direct_map(page, 1U << order, true))
		err = -ENOTRECOVERABLE;
	memalloc_noio_restore(noio);

	return err;
}

/**
 * unmapped_map_flush() - let no CPU have a translation for removed chunks
 * @pages: first pages of the chunks.
 * @nr: number of chunks; not 0.
 * @order: their order.
 *
 * One flush for all of them, wherever they are: an area of more than a few
 * pages makes CPUs drop all of their translations anyway (x86:
 * tlb_single_page_flush_ceiling, 33 pages).
 *
 * Context: Process context.
 */
void unmapped_map_flush(struct page **pages, unsigned int nr,
			unsigned int order)
{
	unsigned long addr, start = ULONG_MAX, end = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		addr = (unsigned long)page_address(pages[i]);
		start = min(start, addr);
		end = max(end, addr + (PAGE_SIZE << order));
	}
	unmapped_count_event(UNMAPPED_TLB_FLUSH);
	flush_tlb_kernel_range(start, end);
}

/**
 * unmapped_map_restore() - map a chunk again
 * @page: first page.
 * @order: order of the chunk.
 *
 * No flush is needed when it worked: an entry that is not present is not
 * cached. If it fails, the chunk is unmapped as a whole.
 *
 * Context: Process context, may sleep.
 * Return: 0 or -errno; -ENOTRECOVERABLE if the chunk is neither mapped nor not.
 */
int unmapped_map_restore(struct page *page, unsigned int order)
{
	int err = unmapped_set_direct_map(page, 1U << order, true);

	if (err) {
		if (unmapped_set_direct_map(page, 1U << order, false))
			err = -ENOTRECOVERABLE;
		unmapped_map_flush(&page, 1, order);
	}
	return err;
}

/* === Large entries ======================================================= */

VISIBLE_IF_KUNIT void unmapped_direct_map_collapse(struct page **pages,
						   unsigned int nr)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_direct_map_collapse, pages, nr);

	direct_map_collapse(pages, nr);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_direct_map_collapse);

/*
 * Where entries are still to be made large: all areas between two page frame
 * numbers, as reclaim has no memory to remember each.
 */
static DEFINE_SPINLOCK(collapse_lock);
static unsigned long collapse_start = ULONG_MAX;
static unsigned long collapse_end;

static void note_areas(struct page **pages, unsigned int nr)
{
	unsigned long pfn;
	unsigned int i;

	guard(spinlock)(&collapse_lock);
	for (i = 0; i < nr; i++) {
		pfn = ALIGN_DOWN(page_to_pfn(pages[i]), UNMAPPED_BLOCK_PAGES);
		collapse_start = min(collapse_start, pfn);
		collapse_end = max(collapse_end, pfn + UNMAPPED_BLOCK_PAGES);
	}
}

/* Up to @max areas from *@pfn on; returns how many, and where to go on. */
static unsigned int find_areas(unsigned long *pfn, unsigned long end,
			       struct page **pages, unsigned int max)
{
	unsigned int nr = 0;

	for (; *pfn < end && nr < max; *pfn += UNMAPPED_BLOCK_PAGES) {
		pages[nr] = pfn_to_online_page(*pfn);
		nr += !!pages[nr];
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

	/* Memory that is being removed has no page to look at. */
	get_online_mems();
	while ((nr = find_areas(&pfn, end, pages, ARRAY_SIZE(pages)))) {
		unmapped_direct_map_collapse(pages, nr);
		cond_resched();
	}
	put_online_mems();
}

static DECLARE_WORK(collapse_work, collapse_late);

#if IS_ENABLED(CONFIG_KUNIT)
/* Wait until what unmapped_map_collapse() left for later is done. */
void unmapped_map_collapse_wait(void)
{
	flush_work(&collapse_work);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_map_collapse_wait);
#endif

/**
 * unmapped_map_collapse() - make the entries of restored chunks large again
 * @pages: first pages of the chunks.
 * @nr: number of chunks; may be 0.
 *
 * Reclaim comes here with whatever locks its caller has, init_mm's mmap_lock for
 * one (vmemmap_remap_range()), and this needs that lock. So for reclaim a work
 * item does it a moment later; the pages are good to use before.
 *
 * Context: Process context, may sleep.
 */
void unmapped_map_collapse(struct page **pages, unsigned int nr)
{
	if (!nr)
		return;

	if (!(current->flags & PF_MEMALLOC)) {
		unmapped_direct_map_collapse(pages, nr);
		return;
	}
	note_areas(pages, nr);
	queue_work(system_dfl_wq, &collapse_work);
}
