// SPDX-License-Identifier: GPL-2.0-only
/*
 * What pages of others cost that are next to a fragment of the unmapped page
 * allocator, in the same 2 MiB. The kernel without it has no fragments, and
 * measures any pages. Memory has to be fragmented already, see fragment.c.
 */

#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/timex.h>
#ifdef CONFIG_UNMAPPED_ALLOC
#include <linux/unmapped_alloc.h>
#endif

#include "bench.h"

#define ROUNDS	64
#define PAGES	16

static struct page *near[PAGES];

static bool is_near(struct page *page, struct page *fragment)
{
	return !fragment || page_to_pfn(page) >> PMD_ORDER ==
			    page_to_pfn(fragment) >> PMD_ORDER;
}

/* Take all pages there are until there are enough that are near. */
static int find_near(struct page *fragment)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	struct page *page, *next;
	LIST_HEAD(others);
	int n = 0;

	while (n < PAGES && (page = alloc_page(gfp))) {
		if (is_near(page, fragment))
			near[n++] = page;
		else
			list_add(&page->lru, &others);
	}
	list_for_each_entry_safe(page, next, &others, lru)
		__free_page(page);
	if (n == PAGES)
		return 0;
	while (n)
		__free_page(near[--n]);
	return -ENOENT;
}

static u64 time_frees(void)
{
	u64 start = rdtsc();
	int i;

	for (i = 0; i < PAGES; i++)
		__free_page(near[i]);
	return rdtsc() - start;
}

/* What was freed last is what the CPU's list gives first: the same again. */
static bool take_again(struct page *fragment)
{
	bool same = true;
	int i;

	for (i = PAGES - 1; i >= 0; i--) {
		near[i] = alloc_page(GFP_ATOMIC);
		same = same && near[i] && is_near(near[i], fragment);
	}
	return same;
}

static int measure(struct page *fragment)
{
	bool same = true;
	u64 free = 0;
	int i;

	for (i = 0; i < ROUNDS && same; i++) {
		local_irq_disable();
		free += time_frees();
		same = take_again(fragment);
		local_irq_enable();
	}
	for (i = 0; i < PAGES; i++)
		if (near[i])
			__free_page(near[i]);
	if (!same)
		return -ENOENT;
	bench_say(free, ROUNDS * PAGES, "page-near-free");
	return 0;
}

int bench_near(void)
{
	struct page *fragment = NULL;
	int err;

	err = bench_fragment(1 << PMD_ORDER);
	if (err)
		return err;
#ifdef CONFIG_UNMAPPED_ALLOC
	fragment = unmapped_pages_alloc(GFP_KERNEL, 0);
	if (!fragment)
		return -ENOMEM;
#endif
	err = find_near(fragment);
	err = err ?: measure(fragment);
#ifdef CONFIG_UNMAPPED_ALLOC
	unmapped_pages_free(fragment, 0);
#endif
	return err;
}
