// SPDX-License-Identifier: GPL-2.0-only
/*
 * What single pages cost when they come from a CPU's own list: allocation and
 * free, of the page allocator and of the unmapped page allocator. Interrupts
 * are off while something is measured.
 */

#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/timex.h>
#ifdef CONFIG_UNMAPPED_ALLOC
#include <linux/unmapped_alloc.h>
#endif

#include "bench.h"

#define ROUNDS	64
#define PAGES	32	/* a round's; what fits in a CPU's list */

static struct page *pages[PAGES];

struct ops {
	const char *name;
	struct page *(*alloc)(void);
	void (*free)(struct page *page);
};

static struct page *alloc_plain(void)
{
	return alloc_page(GFP_KERNEL);
}

static struct page *alloc_zeroed(void)
{
	return alloc_page(GFP_KERNEL | __GFP_ZERO);
}

static void free_plain(struct page *page)
{
	__free_page(page);
}

#ifdef CONFIG_UNMAPPED_ALLOC
static struct page *alloc_unmapped(void)
{
	return unmapped_pages_alloc(GFP_KERNEL, 0);
}

static void free_unmapped(struct page *page)
{
	unmapped_pages_free(page, 0);
}
#endif

static const struct ops all_ops[] = {
	{ "page", alloc_plain, free_plain },
	{ "page-zeroed", alloc_zeroed, free_plain },
#ifdef CONFIG_UNMAPPED_ALLOC
	{ "unmapped", alloc_unmapped, free_unmapped },
#endif
};

static const struct ops used = { "used-page", alloc_plain, free_plain };

/* Instructions that reading the clock and the loop take, for a round. */
static struct page *alloc_nothing(void)
{
	barrier();
	return NULL;
}

static u64 time_allocs(struct page *(*alloc)(void))
{
	u64 start, end;
	int i;

	local_irq_disable();
	start = rdtsc();
	for (i = 0; i < PAGES; i++)
		pages[i] = alloc();
	end = rdtsc();
	local_irq_enable();
	return end - start;
}

static void free_nothing(struct page *page)
{
	barrier();
}

static u64 time_frees(void (*free)(struct page *page))
{
	u64 start, end;
	int i;

	local_irq_disable();
	start = rdtsc();
	for (i = 0; i < PAGES; i++)
		free(pages[i]);
	end = rdtsc();
	local_irq_enable();
	return end - start;
}

static u64 time_pairs(const struct ops *ops)
{
	u64 start, end;
	int i;

	local_irq_disable();
	start = rdtsc();
	for (i = 0; i < PAGES; i++)
		ops->free(ops->alloc());
	end = rdtsc();
	local_irq_enable();
	return end - start;
}

static const struct ops nothing = { "nothing", alloc_nothing, free_nothing };

static void report(const char *name, const char *what, u64 sum, u64 nothing)
{
	bench_say(sum - nothing, ROUNDS * PAGES, "%s-%s", name, what);
}

static void measure(const struct ops *ops)
{
	u64 pair = 0, alloc = 0, free = 0, none[3] = {};
	int i;

	/* Let the CPU's lists fill. */
	for (i = 0; i < PAGES; i++)
		pages[i] = ops->alloc();
	for (i = 0; i < PAGES; i++)
		ops->free(pages[i]);

	for (i = 0; i < ROUNDS; i++) {
		pair += time_pairs(ops);
		none[0] += time_pairs(&nothing);
	}
	for (i = 0; i < ROUNDS; i++) {
		alloc += time_allocs(ops->alloc);
		free += time_frees(ops->free);
		none[1] += time_allocs(alloc_nothing);
		none[2] += time_frees(free_nothing);
	}
	report(ops->name, "pair", pair, none[0]);
	report(ops->name, "alloc", alloc, none[1]);
	report(ops->name, "free", free, none[2]);
}

static int measure_used(void)
{
	measure(&used);
	return 0;
}

int bench_pages(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(all_ops); i++)
		measure(&all_ops[i]);
	return bench_while_used(measure_used);
}
