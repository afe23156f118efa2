// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is fragmented on purpose: as long as the module is there, it keeps
 * one page of each 2 MiB of what was free. They can't be moved, so that no 2 MiB
 * can be had, with most of the memory free.
 */

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/vmstat.h>

#include "bench.h"

/* What is left to the system while all other memory is taken. */
#define LEFT_PAGES	(SZ_32M >> PAGE_SHIFT)

static LIST_HEAD(kept);

static void free_list_of_pages(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

/* Single pages, until there is not much left. Takes no page by force. */
static void take_all(struct list_head *pages)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	struct page *page;

	while (global_zone_page_state(NR_FREE_PAGES) > LEFT_PAGES) {
		page = alloc_page(gfp);
		if (!page)
			break;
		list_add(&page->lru, pages);
	}
}

int bench_fragment(void)
{
	unsigned long nr_kept = 0, nr_freed = 0;
	struct page *page, *next;
	LIST_HEAD(taken);
	LIST_HEAD(rest);

	take_all(&taken);
	list_for_each_entry_safe(page, next, &taken, lru) {
		bool keep = IS_ALIGNED(page_to_pfn(page), 1UL << PMD_ORDER);

		list_move(&page->lru, keep ? &kept : &rest);
		nr_kept += keep;
		nr_freed += !keep;
	}
	free_list_of_pages(&rest);
	pr_info("fragment: kept %lu pages, freed %lu\n", nr_kept, nr_freed);
	return nr_kept ? 0 : -ENOMEM;
}

void bench_fragment_exit(void)
{
	free_list_of_pages(&kept);
}
