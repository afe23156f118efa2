// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is fragmented on purpose: as long as the module is there, it keeps
 * one page of each 2 MiB of what was free, or every second page. They can't be
 * moved, so that no 2 MiB can be had, or nothing but single pages.
 */

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "bench.h"

static LIST_HEAD(kept);

static void free_list_of_pages(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

/* Keep one page in @step of a block, free all others. */
static void break_block(struct page *block, unsigned int step)
{
	int i;

	split_page(block, PMD_ORDER);
	for (i = 0; i < 1 << PMD_ORDER; i++)
		if (i % step)
			__free_page(block + i);
		else
			list_add(&block[i].lru, &kept);
}

int bench_fragment(unsigned int step)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	unsigned long broken = 0;
	struct page *block;

	/* What is freed does not make a block again, so this comes to an end. */
	while ((block = alloc_pages(gfp, PMD_ORDER))) {
		break_block(block, step);
		broken++;
		cond_resched();
	}
	pr_info("fragment: %lu blocks broken\n", broken);
	return broken ? 0 : -ENOMEM;
}

void bench_fragment_exit(void)
{
	free_list_of_pages(&kept);
}
