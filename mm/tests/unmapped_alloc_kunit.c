// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for the unmapped page allocator.
 *
 * Nothing else may use the allocator while they run: they count.
 *
 * The contents of pages are looked at through vmap(), a mapping of the test's
 * own, never through the allocator's: a mapping that shows the wrong page would
 * show it to the test too.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>
#include <linux/smp.h>
#include <linux/suspend.h>
#include <linux/uaccess.h>
#include <linux/unmapped_alloc.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "../unmapped-alloc.h"

#define MARK 0x5ec7e7

struct read_page {
	struct page *page;
	atomic_t nr_read;	/* CPUs that could read it */
};

struct put_work {
	struct work_struct work;
	struct page *page;
};

/* What the stubs are to do, and what they saw. One test runs at a time. */
static struct {
	int max_order;		/* larger requests to the page allocator fail */
	struct page *area;	/* if set, it hands out pieces of this ... */
	unsigned int left;	/* ... while this many pages of it are left */
	unsigned int level;	/* direct map level of the page handed out */
	unsigned int nr_hard;	/* requests that may reclaim, ... */
	unsigned int hard_order; /* ... and the last one's order */
	unsigned int fail_at;	/* the direct map fails at this page ... */
	bool fail_valid;	/* ... when asked for this */
	bool fail_both;		/* ... or for either */
	int nr_fails;		/* this many times */
	struct read_page read;
	struct page *kept[UNMAPPED_BLOCK_PAGES];
} ctl;

/* === Helpers ============================================================= */

static void count_all(struct unmapped_count *sum)
{
	struct unmapped_count count;
	int nid;

	*sum = (struct unmapped_count){};
	for_each_online_node(nid) {
		unmapped_alloc_count(nid, &count);
		sum->owned += count.owned;
		sum->used += count.used;
		sum->cached += count.cached;
		sum->transit += count.transit;
		sum->lost += count.lost;
	}
}

static unsigned long drain_all(void)
{
	unsigned long nr = 0;
	int nid;

	for_each_online_node(nid)
		nr += unmapped_alloc_drain(nid);
	return nr;
}

/* All that is free is on the zones' lists after this. */
static void drain_pcps(void)
{
	int nid, i;

	for_each_online_node(nid)
		for (i = 0; i < UNMAPPED_NR_ZONES; i++)
			unmapped_drain_pcp(&unmapped_node(nid)->zones[i]);
}

static unsigned long nr_free_chunks(enum unmapped_kind kind, int order)
{
	unsigned long nr = 0;
	int nid, i;

	drain_pcps();
	for_each_online_node(nid)
		for (i = 0; i < UNMAPPED_NR_ZONES; i++)
			nr += unmapped_node(nid)->zones[i].nr_free[kind][order];
	return nr;
}

static void expect_count(struct kunit *test, unsigned long used,
			 unsigned long cached)
{
	struct unmapped_count count;

	count_all(&count);
	KUNIT_EXPECT_EQ(test, count.used, used);
	KUNIT_EXPECT_EQ(test, count.cached, cached);
	KUNIT_EXPECT_EQ(test, count.transit, 0);
	KUNIT_EXPECT_EQ(test, count.owned, used + cached);
}

static struct page *alloc_or_fail(struct kunit *test, unsigned int order)
{
	struct page *page = unmapped_pages_alloc(GFP_KERNEL, order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	return page;
}

static void expect_present(struct kunit *test, struct page *page, int order,
			   bool present)
{
	int i, nr = 0;

	/* It unmaps what is free, be it ours or the page allocator's. */
	if (present && debug_pagealloc_enabled())
		return;

	for (i = 0; i < 1 << order; i++)
		nr += kernel_page_present(page + i);
	KUNIT_EXPECT_EQ(test, nr, present ? 1 << order : 0);
}

/* Fill a page with @mark, or return the number of words that differ from it. */
static int with_page(struct kunit *test, struct page *page, unsigned long mark,
		     bool fill)
{
	unsigned long *words = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	int i, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, words);
	for (i = 0; i < PAGE_SIZE / sizeof(*words); i++) {
		if (fill)
			words[i] = mark;
		nr += words[i] != mark;
	}
	vunmap(words);
	return nr;
}

static void fill_pages(struct kunit *test, struct page *page, int order)
{
	int i;

	for (i = 0; i < 1 << order; i++)
		with_page(test, page + i, MARK, true);
}

static void expect_zero(struct kunit *test, struct page *page, int order)
{
	int i, nr = 0;

	for (i = 0; i < 1 << order; i++)
		nr += with_page(test, page + i, 0, false);
	KUNIT_EXPECT_EQ(test, nr, 0);
}

static unsigned int direct_map_level(struct page *page)
{
#ifdef CONFIG_X86_64
	unsigned int level;

	lookup_address((unsigned long)page_address(page), &level);
	return level;
#else
	return 0;
#endif
}

/* Stands in for the page allocator. Its pages have no reference yet. */
static struct page *fake_source_alloc(gfp_t gfp, unsigned int order, int nid,
				      nodemask_t *nodemask)
{
	struct page *page;

	if (gfp & __GFP_DIRECT_RECLAIM) {
		ctl.nr_hard++;
		ctl.hard_order = order;
	}
	if ((int)order > ctl.max_order)
		return NULL;

	if (ctl.area) {
		if (ctl.left < 1 << order)
			return NULL;
		page = ctl.area;
		ctl.area += 1 << order;
		ctl.left -= 1 << order;
		return page;
	}

	page = alloc_pages_node(nid, gfp, order);
	if (page) {
		ctl.level = direct_map_level(page);
		set_page_count(page, 0);
	}
	return page;
}

static void use_fake_source(struct kunit *test, int max_order)
{
	ctl.max_order = max_order;
	kunit_activate_static_stub(test, unmapped_source_alloc,
				   fake_source_alloc);
}

/* Let it hand out the first @nr pages of @area, once. */
static void use_area(struct kunit *test, struct page *area, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		set_page_count(area + i, 0);
	ctl.area = area;
	ctl.left = nr;
	use_fake_source(test, PMD_ORDER);
}

/* Does what it is asked for, but for the first ctl.fail_at pages only. */
static int failing_set_direct_map(struct page *page, unsigned int nr,
				  bool valid)
{
	struct kunit *test = kunit_get_current_test();
	bool fail = ctl.nr_fails && (ctl.fail_both || valid == ctl.fail_valid);
	int err;

	if (fail) {
		nr = min(nr, ctl.fail_at);
		ctl.nr_fails--;
	}
	kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	err = nr ? unmapped_set_direct_map(page, nr, valid) : 0;
	kunit_activate_static_stub(test, unmapped_set_direct_map,
				   failing_set_direct_map);
	return fail ? -ENOMEM : err;
}

static void fail_direct_map(struct kunit *test, bool valid, unsigned int at,
			    int times)
{
	ctl.fail_valid = valid;
	ctl.fail_at = at;
	ctl.nr_fails = times;
	kunit_activate_static_stub(test, unmapped_set_direct_map,
				   failing_set_direct_map);
}

/* === Orders, splitting, merging ========================================== */

static void unmapped_test_orders(struct kunit *test)
{
	struct page *page;
	int order;

	for (order = 0; order <= PMD_ORDER; order++) {
		page = alloc_or_fail(test, order);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(page_to_pfn(page), 1 << order));
		KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
		KUNIT_EXPECT_FALSE(test, PageCompound(page));
		KUNIT_EXPECT_TRUE(test, unmapped_page(page));
		KUNIT_EXPECT_TRUE(test, unmapped_page(page + ((1 << order) - 1)));
		expect_present(test, page, order, false);
		expect_zero(test, page, order);
		expect_count(test, 1 << order,
			     UNMAPPED_BLOCK_PAGES - (1 << order));
		unmapped_pages_free(page, order);
		expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
		drain_pcps();
	}
}

static void unmapped_test_bad_order(struct kunit *test)
{
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL | __GFP_NOWARN,
						     PMD_ORDER + 1));
}

static void unmapped_test_compound(struct kunit *test)
{
	struct folio *folio = unmapped_folio_alloc(GFP_KERNEL, 4);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, folio_order(folio), 4);
	expect_present(test, &folio->page, 4, false);
	folio_put(folio);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
}

static void unmapped_test_split_merge(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	int order;

	for (order = 0; order < PMD_ORDER; order++)
		KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, order), 1);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 0);

	unmapped_pages_free(page, 0);
	for (order = 0; order < PMD_ORDER; order++)
		KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, order), 0);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* A chunk may be freed page by page, and merges all the same. */
static void unmapped_test_free_by_page(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 5);
	int i;

	for (i = 1; i < 1 << 5; i++)
		set_page_count(page + i, 1);
	for (i = 0; i < 1 << 5; i++)
		__free_page(page + (i * 7) % (1 << 5));
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* Every page of a block goes to one owner, and the next block follows. */
static void unmapped_test_all_distinct(struct kunit *test)
{
	const int nr = UNMAPPED_BLOCK_PAGES + 1;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	int i, j, same = 0;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < nr; i++)
		pages[i] = alloc_or_fail(test, 0);
	for (i = 0; i < nr; i++)
		for (j = 0; j < i; j++)
			same += pages[i] == pages[j];
	KUNIT_EXPECT_EQ(test, same, 0);
	expect_count(test, nr, UNMAPPED_BLOCK_PAGES - 1);
	for (i = 0; i < nr; i++)
		unmapped_pages_free(pages[i], 0);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 2);
}

/* === Contents ============================================================ */

static void unmapped_test_reuse_is_zero(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 3), *again;

	fill_pages(test, page, 3);
	unmapped_pages_free(page, 3);
	again = alloc_or_fail(test, 3);
	KUNIT_EXPECT_PTR_EQ(test, again, page);
	expect_zero(test, again, 3);
	unmapped_pages_free(again, 3);
}

/* Memory that others have used. */
static struct page *dirty_source_alloc(gfp_t gfp, unsigned int order, int nid,
				       nodemask_t *nodemask)
{
	struct page *page = alloc_pages_node(nid, gfp & ~__GFP_ZERO, order);

	if (page) {
		memset(page_address(page), gfp & __GFP_ZERO ? 0 : 0x5a,
		       PAGE_SIZE << order);
		set_page_count(page, 0);
	}
	return page;
}

static void unmapped_test_new_is_zero(struct kunit *test)
{
	struct page *page;

	kunit_activate_static_stub(test, unmapped_source_alloc,
				   dirty_source_alloc);
	page = alloc_or_fail(test, 2);
	expect_zero(test, page, 2);
	unmapped_pages_free(page, 2);
}

static void unmapped_test_clear(struct kunit *test)
{
	struct folio *folio = unmapped_folio_alloc(GFP_KERNEL, 2);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	fill_pages(test, folio_page(folio, 0), 2);
	unmapped_folio_clear(folio);
	expect_zero(test, folio_page(folio, 0), 2);
	folio_put(folio);
}

/* A file gives up a folio, but somebody has it still: nothing stays in it. */
static void unmapped_test_free_folio(struct kunit *test)
{
	struct folio *folio = unmapped_folio_alloc(GFP_KERNEL, 0);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	fill_pages(test, folio_page(folio, 0), 0);
	/* The page cache's, who truncates, and somebody. */
	folio_ref_add(folio, 2);
	unmapped_free_folio(folio);
	expect_zero(test, folio_page(folio, 0), 0);
	folio_put_refs(folio, 3);
}

/* Looks at the pages in the cache: nothing of the old contents waits there. */
static void unmapped_test_freed_is_zero(struct kunit *test)
{
	struct page *page[3];
	int i;

	for (i = 0; i < ARRAY_SIZE(page); i++) {
		page[i] = alloc_or_fail(test, i);
		fill_pages(test, page[i], i);
	}
	for (i = 0; i < ARRAY_SIZE(page); i++)
		unmapped_pages_free(page[i], i);
	for (i = 0; i < ARRAY_SIZE(page); i++) {
		expect_present(test, page[i], i, false);
		expect_zero(test, page[i], i);
	}
}

/* Not cleared, but nobody else gets to see it, nor does the page allocator. */
static void unmapped_test_nozero(struct kunit *test)
{
	struct page *page, *again, *other;

	page = unmapped_pages_alloc_nozero(GFP_KERNEL, 0, NUMA_NO_NODE, NULL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	expect_present(test, page, 0, false);
	with_page(test, page, MARK, true);
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, with_page(test, page, MARK, false), 0);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);

	/* For others there is another block. */
	other = alloc_or_fail(test, 0);
	KUNIT_EXPECT_NE(test, page_to_pfn(other) >> PMD_ORDER,
			page_to_pfn(page) >> PMD_ORDER);
	expect_zero(test, other, 0);
	again = unmapped_pages_alloc_nozero(GFP_ATOMIC, 0, NUMA_NO_NODE, NULL);
	KUNIT_EXPECT_PTR_EQ(test, again, page);
	put_page(again);
	unmapped_pages_free(other, 0);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_NOZERO, PMD_ORDER), 1);

	KUNIT_EXPECT_EQ(test, drain_all(), 2 * UNMAPPED_BLOCK_PAGES);
	expect_zero(test, page, 0);
	expect_present(test, page, 0, true);
}

/* The window shows the page that it was asked for, each time anew. */
static void unmapped_test_window(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 1);
	unsigned long flags, seen[4];
	int i;

	with_page(test, page, MARK, true);
	with_page(test, page + 1, MARK + 1, true);
	local_irq_save(flags);
	for (i = 0; i < ARRAY_SIZE(seen); i++) {
		seen[i] = *(unsigned long *)unmapped_page_map(page + i % 2);
		unmapped_page_unmap();
	}
	local_irq_restore(flags);
	for (i = 0; i < ARRAY_SIZE(seen); i++)
		KUNIT_EXPECT_EQ(test, seen[i], MARK + i % 2);
	unmapped_pages_free(page, 1);
}

static void write_word(struct page *page, unsigned long word)
{
	CLASS(unmapped_map, map)(page);

	*(unsigned long *)map.addr = word;
}

static void unmapped_test_map(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);

	write_word(page, MARK);
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	KUNIT_EXPECT_EQ(test, with_page(test, page, 0, false), 1);
	expect_present(test, page, 0, false);
	unmapped_pages_free(page, 0);
}

/* The mapping keeps the page from being anybody else's. */
static void unmapped_test_vmap(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	unsigned long *words = unmapped_page_vmap(page);

	KUNIT_ASSERT_NOT_NULL(test, words);
	words[0] = MARK;
	KUNIT_EXPECT_EQ(test, with_page(test, page, 0, false), 1);
	unmapped_pages_free(page, 0);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	KUNIT_EXPECT_EQ(test, words[0], MARK);
	unmapped_page_vunmap(words);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	expect_zero(test, page, 0);
}

static void unmapped_test_bulk_mpol(struct kunit *test)
{
	unsigned long i, nr;

	nr = unmapped_pages_alloc_bulk_mpol(GFP_KERNEL, NULL,
					    ARRAY_SIZE(ctl.kept), ctl.kept);
	KUNIT_EXPECT_EQ(test, nr, ARRAY_SIZE(ctl.kept));
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_TRUE(test, unmapped_page(ctl.kept[i]));
	release_pages(ctl.kept, nr);
}

/* === The direct map ====================================================== */

static void unmapped_test_large_entry_kept(struct kunit *test)
{
	struct page *page;
	unsigned int before;

	if (!IS_ENABLED(CONFIG_X86_64) || debug_pagealloc_enabled())
		kunit_skip(test, "no large entries to look at");

	use_fake_source(test, PMD_ORDER);
	page = alloc_or_fail(test, 0);
	before = ctl.level;
	if (before < 2)
		kunit_skip(test, "the block had no large entry before");

	expect_present(test, page, PMD_ORDER, false);
	KUNIT_EXPECT_EQ(test, direct_map_level(page), 2);
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, drain_all(), UNMAPPED_BLOCK_PAGES);
	/* 3, if it was a part of a 1 GiB entry. */
	KUNIT_EXPECT_GE(test, direct_map_level(page), before);
	expect_present(test, page, PMD_ORDER, true);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
}

static void unmapped_test_one_flush_a_block(struct kunit *test)
{
	unsigned long before = unmapped_event_count(UNMAPPED_TLB_FLUSH);
	struct page *page[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = alloc_or_fail(test, 0);
	for (i = 0; i < ARRAY_SIZE(page); i++)
		unmapped_pages_free(page[i], 0);
	drain_all();
	KUNIT_EXPECT_EQ(test, unmapped_event_count(UNMAPPED_TLB_FLUSH) - before, 1);
}

static void read_page(void *info)
{
	struct read_page *read = info;
	unsigned long word;

	if (!copy_from_kernel_nofault(&word, page_address(read->page),
				      sizeof(word)))
		atomic_inc(&read->nr_read);
}

/* Stands in for the page allocator; all CPUs have its page in their TLBs. */
static struct page *warm_source_alloc(gfp_t gfp, unsigned int order, int nid,
				      nodemask_t *nodemask)
{
	struct page *page = fake_source_alloc(gfp, order, nid, nodemask);

	ctl.read.page = page;
	atomic_set(&ctl.read.nr_read, 0);
	on_each_cpu(read_page, &ctl.read, true);
	return page;
}

/* What a CPU had in its TLB before does not help it to read the page now. */
static void unmapped_test_no_stale_translation(struct kunit *test)
{
	struct page *page;

	ctl.max_order = PMD_ORDER;
	kunit_activate_static_stub(test, unmapped_source_alloc,
				   warm_source_alloc);
	page = alloc_or_fail(test, 0);
	KUNIT_ASSERT_PTR_EQ(test, page, ctl.read.page);
	KUNIT_EXPECT_EQ(test, atomic_read(&ctl.read.nr_read), num_online_cpus());

	atomic_set(&ctl.read.nr_read, 0);
	on_each_cpu(read_page, &ctl.read, true);
	KUNIT_EXPECT_EQ(test, atomic_read(&ctl.read.nr_read), 0);
	unmapped_pages_free(page, 0);
}

/* Only what is added to the cache is unmapped, and all of that. */
static void unmapped_test_fragment(struct kunit *test)
{
	struct page *page;

	use_fake_source(test, 3);
	page = alloc_or_fail(test, 1);
	expect_count(test, 2, 6);
	expect_present(test, page, 3, false);
	expect_present(test, page + 8, 0, true);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page + 8));
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_FRAGMENT, 2), 1);

	unmapped_pages_free(page, 1);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_FRAGMENT, 3), 1);
	KUNIT_EXPECT_EQ(test, drain_all(), 8);
	expect_present(test, page, 3, true);
	KUNIT_EXPECT_GE(test, direct_map_level(page), ctl.level);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
}

/* Reclaim must not come here. */
static void fail_collapse(struct page **pages, unsigned int nr)
{
	KUNIT_FAIL(kunit_get_current_test(), "init_mm's mmap_lock in reclaim");
}

/* What reclaim gives back has a large entry all the same, if a little later. */
static void unmapped_test_collapse_late(struct kunit *test)
{
	struct page *area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
	unsigned int before, noreclaim;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, area);
	before = direct_map_level(area);
	split_page(area, PMD_ORDER);
	use_area(test, area, 8);
	unmapped_pages_free(alloc_or_fail(test, 3), 3);
	for (i = 8; i < UNMAPPED_BLOCK_PAGES; i++)
		__free_page(area + i);
	if (before < 2)
		kunit_skip(test, "no large entries to look at");
	KUNIT_EXPECT_EQ(test, direct_map_level(area), 1);

	/* In this thread; the work item is somebody else. */
	kunit_activate_static_stub(test, unmapped_direct_map_collapse,
				   fail_collapse);
	noreclaim = memalloc_noreclaim_save();
	KUNIT_EXPECT_EQ(test, drain_all(), 8);
	memalloc_noreclaim_restore(noreclaim);
	expect_present(test, area, 3, true);
	unmapped_map_collapse_wait();
	KUNIT_EXPECT_GE(test, direct_map_level(area), before);
}

static void unmapped_test_fragments_become_block(struct kunit *test)
{
	struct page *area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
	struct page *low, *high;
	unsigned int before;

	KUNIT_ASSERT_NOT_NULL(test, area);
	before = direct_map_level(area);
	use_area(test, area, UNMAPPED_BLOCK_PAGES);
	ctl.max_order = PMD_ORDER - 1;

	low = alloc_or_fail(test, PMD_ORDER - 1);
	high = alloc_or_fail(test, PMD_ORDER - 1);
	KUNIT_EXPECT_PTR_EQ(test, low, area);
	unmapped_pages_free(high, PMD_ORDER - 1);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_FRAGMENT, PMD_ORDER - 1), 1);
	unmapped_pages_free(low, PMD_ORDER - 1);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	KUNIT_EXPECT_EQ(test, drain_all(), UNMAPPED_BLOCK_PAGES);
	expect_present(test, area, PMD_ORDER, true);
	KUNIT_EXPECT_GE(test, direct_map_level(area), before);
}

/* === Zones and nodes ===================================================== */

static void unmapped_test_zones(struct kunit *test)
{
	static const struct {
		gfp_t gfp;
		enum zone_type highest;
	} zones[] = {
		{ GFP_KERNEL, ZONE_NORMAL },
#ifdef CONFIG_ZONE_DMA32
		{ GFP_KERNEL | GFP_DMA32, ZONE_DMA32 },
#endif
#ifdef CONFIG_ZONE_DMA
		{ GFP_KERNEL | GFP_DMA, ZONE_DMA },
#endif
	};
	struct page *page;
	int i, order;

	for (i = 0; i < ARRAY_SIZE(zones); i++) {
		for (order = 0; order < 2; order++) {
			page = unmapped_pages_alloc(zones[i].gfp, order);
			KUNIT_ASSERT_NOT_NULL(test, page);
			KUNIT_EXPECT_LE(test, page_zonenum(page),
					zones[i].highest);
			unmapped_pages_free(page, order);
		}
	}
	drain_all();
	expect_count(test, 0, 0);
}

static void unmapped_test_thisnode(struct kunit *test)
{
	struct page *page;
	int nid;

	for_each_node_state(nid, N_MEMORY) {
		page = unmapped_pages_alloc_node(GFP_KERNEL | __GFP_THISNODE, 0,
						 nid);
		KUNIT_ASSERT_NOT_NULL(test, page);
		KUNIT_EXPECT_EQ(test, page_to_nid(page), nid);
		unmapped_pages_free(page, 0);
	}
}

/* Where nothing is cached, a nodemask keeps us from what is cached elsewhere. */
static void unmapped_test_nodemask(struct kunit *test)
{
	nodemask_t none = NODE_MASK_NONE;
	nodemask_t here = nodemask_of_node(numa_mem_id());
	struct page *page = alloc_or_fail(test, 0);

	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc_nodemask(GFP_NOWAIT, 0,
							      NUMA_NO_NODE, &none));
	unmapped_pages_free(page, 0);
	page = unmapped_pages_alloc_nodemask(GFP_NOWAIT, 0, NUMA_NO_NODE, &here);
	KUNIT_ASSERT_NOT_NULL(test, page);
	unmapped_pages_free(page, 0);
}

/* === Many at a time ====================================================== */

static struct unmapped_zone *local_zone(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 1);
	struct unmapped_zone *uz = unmapped_page_zone(page);

	unmapped_pages_free(page, 1);
	return uz;
}

/* The zone's lists are asked once for many single pages. */
static void unmapped_test_pcp(struct kunit *test)
{
	const int nr = 8 * UNMAPPED_PCP_BATCH;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	struct unmapped_zone *uz = local_zone(test);
	unsigned long taken = uz->nr_taken;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	migrate_disable();
	for (i = 0; i < nr; i++)
		pages[i] = unmapped_pages_alloc(GFP_KERNEL, 0);
	KUNIT_EXPECT_EQ(test, uz->nr_taken - taken, nr / UNMAPPED_PCP_BATCH);
	for (i = 0; i < nr; i++)
		unmapped_pages_free(pages[i], 0);
	KUNIT_EXPECT_GE(test, unmapped_zone_nr_pcp(uz), UNMAPPED_PCP_BATCH);
	KUNIT_EXPECT_LT(test, unmapped_zone_nr_pcp(uz), 2 * UNMAPPED_PCP_BATCH);
	migrate_enable();

	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	drain_pcps();
	KUNIT_EXPECT_EQ(test, unmapped_zone_nr_pcp(uz), 0);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* A CPU's list is filled by small chunks, if there are enough for a half. */
static void unmapped_test_pcp_splits_nothing(struct kunit *test)
{
	const int half = UNMAPPED_BLOCK_PAGES / 2, nr = UNMAPPED_PCP_BATCH / 2;
	struct page *page = alloc_or_fail(test, PMD_ORDER);
	struct unmapped_zone *uz = unmapped_page_zone(page);
	struct page *taken;
	int i;

	split_page(page, PMD_ORDER);
	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++)
		if (i >= half || (i < 2 * nr && i % 2))
			unmapped_pages_free(page + i, 0);
	drain_pcps();
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, 0), nr);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER - 1), 1);

	taken = alloc_or_fail(test, 0);
	KUNIT_EXPECT_EQ(test, unmapped_zone_nr_pcp(uz), nr - 1);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER - 1), 1);

	unmapped_pages_free(taken, 0);
	for (i = 0; i < half; i++)
		if (i >= 2 * nr || !(i % 2))
			unmapped_pages_free(page + i, 0);
}

static void put_on_cpu(struct work_struct *work)
{
	struct put_work *put = container_of(work, struct put_work, work);

	unmapped_pages_free(put->page, 0);
}

/* What is on the list of a CPU that goes offline does not stay there. */
static void unmapped_test_dead_cpu(struct kunit *test)
{
	struct put_work put = { .page = alloc_or_fail(test, 0) };
	struct unmapped_zone *uz = unmapped_page_zone(put.page);
	int cpu = cpumask_last(cpu_online_mask);
	struct unmapped_pcp *pcp = per_cpu_ptr(uz->pcp, cpu);

	INIT_WORK_ONSTACK(&put.work, put_on_cpu);
	schedule_work_on(cpu, &put.work);
	flush_work(&put.work);
	destroy_work_on_stack(&put.work);
	KUNIT_EXPECT_GE(test, pcp->count, 1);
	if (!cpu || remove_cpu(cpu))
		kunit_skip(test, "no CPU can go offline");
	KUNIT_EXPECT_EQ(test, pcp->count, 0);
	KUNIT_EXPECT_EQ(test, add_cpu(cpu), 0);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

static void unmapped_test_bulk(struct kunit *test)
{
	const int nr = 2 * UNMAPPED_BLOCK_PAGES + 7;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	unsigned long flushes = unmapped_event_count(UNMAPPED_TLB_FLUSH);
	int i, present = 0, nonzero = 0;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_EXPECT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL, nr, pages), nr);
	KUNIT_EXPECT_EQ(test, unmapped_event_count(UNMAPPED_TLB_FLUSH) - flushes, 1);
	expect_count(test, nr, 3 * UNMAPPED_BLOCK_PAGES - nr);
	for (i = 0; i < nr; i++) {
		present += kernel_page_present(pages[i]);
		nonzero += with_page(test, pages[i], MARK, true) ? 1 : 0;
		KUNIT_EXPECT_EQ(test, page_ref_count(pages[i]), 1);
	}
	KUNIT_EXPECT_EQ(test, present, 0);
	release_pages(pages, nr);
	expect_count(test, 0, 3 * UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 3);
}

/* What there is, if there is not enough. */
static void unmapped_test_bulk_short(struct kunit *test)
{
	struct page *area = alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	struct page *pages[8];

	KUNIT_ASSERT_NOT_NULL(test, area);
	split_page(area, 2);
	use_area(test, area, 3);
	set_page_count(area + 1, 0);
	set_page_count(area + 2, 0);
	KUNIT_EXPECT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL, 8, pages), 3);
	expect_count(test, 3, 0);
	release_pages(pages, 3);
	__free_page(area + 3);
	KUNIT_EXPECT_EQ(test, unmapped_pages_alloc_bulk(GFP_NOWAIT, NUMA_NO_NODE,
							NULL, 8, pages), 3);
	release_pages(pages, 3);
}

/* === Demand ============================================================== */

static void unmapped_test_demand(struct kunit *test)
{
	struct unmapped_node *node = unmapped_node(numa_mem_id());
	unsigned int batch, before = 1;
	int i;

	kunit_deactivate_static_stub(test, unmapped_refill_demand);
	guard(mutex)(&node->refill_lock);
	node->refilled = jiffies - 2 * HZ;
	KUNIT_EXPECT_EQ(test, unmapped_refill_demand(node), 1);
	for (i = 0; i < 8; i++) {
		batch = unmapped_refill_demand(node);
		KUNIT_EXPECT_GE(test, batch, before);
		KUNIT_EXPECT_LE(test, batch, 2 * before);
		before = batch;
	}
	/* Twice more than once, if a 128th of the node is three blocks. */
	if (node_present_pages(node->nid) >= 3 * 128 * UNMAPPED_BLOCK_PAGES)
		KUNIT_EXPECT_GT(test, batch, 2);
	node->refilled = jiffies - 2 * HZ;
	KUNIT_EXPECT_EQ(test, unmapped_refill_demand(node), 1);
	node->batch = 1;
}

struct caller {
	struct task_struct *task;
	struct page *page;
	struct completion done;
};

static int alloc_in_thread(void *arg)
{
	struct caller *caller = arg;

	caller->page = unmapped_pages_alloc(GFP_KERNEL, 0);
	complete(&caller->done);
	return 0;
}

/* Several callers find the cache empty: one of them refills it. */
static void unmapped_test_concurrent_refill(struct kunit *test)
{
	unsigned long flushes = unmapped_event_count(UNMAPPED_TLB_FLUSH);
	int i, cpu = raw_smp_processor_id();
	struct unmapped_node *node = unmapped_node(cpu_to_mem(cpu));
	struct caller callers[3];

	scoped_guard(mutex, &node->refill_lock) {
		/* The threads have no stubs; no demand is known to them. */
		node->refilled = jiffies - 2 * HZ;
		for (i = 0; i < ARRAY_SIZE(callers); i++) {
			init_completion(&callers[i].done);
			callers[i].task = kthread_run_on_cpu(alloc_in_thread,
							     &callers[i], cpu,
							     "unmapped_kunit");
			KUNIT_ASSERT_FALSE(test, IS_ERR(callers[i].task));
			/* It waits for the lock. */
			while (READ_ONCE(callers[i].task->__state) !=
			       TASK_UNINTERRUPTIBLE)
				schedule_timeout_uninterruptible(1);
		}
	}
	for (i = 0; i < ARRAY_SIZE(callers); i++) {
		wait_for_completion(&callers[i].done);
		KUNIT_EXPECT_NOT_NULL(test, callers[i].page);
		if (callers[i].page)
			unmapped_pages_free(callers[i].page, 0);
	}
	KUNIT_EXPECT_EQ(test, unmapped_event_count(UNMAPPED_TLB_FLUSH) - flushes, 1);
}

static unsigned int high_demand(struct unmapped_node *node)
{
	return 4;
}

static void unmapped_test_batch(struct kunit *test)
{
	unsigned long flushes = unmapped_event_count(UNMAPPED_TLB_FLUSH);
	struct page *page;

	kunit_deactivate_static_stub(test, unmapped_refill_demand);
	kunit_activate_static_stub(test, unmapped_refill_demand, high_demand);
	page = alloc_or_fail(test, 0);
	KUNIT_EXPECT_EQ(test, unmapped_event_count(UNMAPPED_TLB_FLUSH) - flushes, 1);
	expect_count(test, 1, 4 * UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 4);
}

/* The second block of a batch can't be unmapped: the first one will do. */
static void unmapped_test_batch_fails(struct kunit *test)
{
	struct page *area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, area);
	use_area(test, area, UNMAPPED_BLOCK_PAGES);
	kunit_deactivate_static_stub(test, unmapped_refill_demand);
	kunit_activate_static_stub(test, unmapped_refill_demand, high_demand);
	page = alloc_or_fail(test, 0);
	KUNIT_EXPECT_PTR_EQ(test, page, area);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
}

/* While demand is high, there is more before the cache is empty. */
static void unmapped_test_background(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, PMD_ORDER);
	struct unmapped_node *node = unmapped_node(page_to_nid(page));
	struct unmapped_count count;

	enable_work(&node->refill_work);
	WRITE_ONCE(node->batch, 4);
	/* A demand of long ago is none. */
	node->refilled = jiffies - 2 * HZ;
	unmapped_refill_wake(node);
	flush_work(&node->refill_work);
	expect_count(test, UNMAPPED_BLOCK_PAGES, 0);

	WRITE_ONCE(node->batch, 4);
	node->refilled = jiffies;
	unmapped_refill_wake(node);
	flush_work(&node->refill_work);
	disable_work_sync(&node->refill_work);
	WRITE_ONCE(node->batch, 1);

	count_all(&count);
	KUNIT_EXPECT_EQ(test, count.used, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_GT(test, count.cached, 0);
	unmapped_pages_free(page, PMD_ORDER);
}

static void run_idle_work(struct unmapped_node *node)
{
	mod_delayed_work(system_dfl_wq, &node->idle_work, 0);
	/* Not flush_delayed_work(): it is queued again, and would run twice. */
	flush_work(&node->idle_work.work);
}

/* What nobody asked for since the last time is given back. */
static void unmapped_test_idle(struct kunit *test)
{
	struct page *block = alloc_or_fail(test, PMD_ORDER);
	struct unmapped_node *node = unmapped_node(page_to_nid(block));
	struct page *page = alloc_or_fail(test, 0);

	enable_delayed_work(&node->idle_work);
	unmapped_pages_free(block, PMD_ORDER);
	run_idle_work(node);
	expect_count(test, 1, 2 * UNMAPPED_BLOCK_PAGES - 1);

	/* In use, but not all of it. */
	unmapped_pages_free(alloc_or_fail(test, 3), 3);
	run_idle_work(node);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);

	unmapped_pages_free(page, 0);
	run_idle_work(node);
	run_idle_work(node);
	expect_count(test, 0, 0);
	disable_delayed_work_sync(&node->idle_work);
}

/* What was idle has gone; what came then has not been idle for a period. */
static void unmapped_test_idle_anew(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	struct unmapped_node *node = unmapped_node(page_to_nid(page));

	enable_delayed_work(&node->idle_work);
	unmapped_pages_free(alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	run_idle_work(node);
	unmapped_pages_free(alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	run_idle_work(node);
	expect_count(test, 1, 2 * UNMAPPED_BLOCK_PAGES - 1);

	drain_all();
	unmapped_pages_free(alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	unmapped_pages_free(alloc_or_fail(test, 3), 3);
	run_idle_work(node);
	expect_count(test, 1, 2 * UNMAPPED_BLOCK_PAGES - 1);

	unmapped_pages_free(page, 0);
	disable_delayed_work_sync(&node->idle_work);
}

/* === When it fails ======================================================= */

static void unmapped_test_exhausted(struct kunit *test)
{
	struct page *page;

	use_fake_source(test, -1);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL, 0));
	expect_count(test, 0, 0);

	ctl.max_order = 0;
	page = alloc_or_fail(test, 0);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL, 1));
	unmapped_pages_free(page, 0);
	expect_count(test, 0, 1);
}

/* Nobody reclaims memory, or is killed, for more than what was asked for. */
static void unmapped_test_no_effort_for_blocks(struct kunit *test)
{
	use_fake_source(test, -1);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL, 1));
	KUNIT_EXPECT_EQ(test, ctl.nr_hard, 1);
	KUNIT_EXPECT_EQ(test, ctl.hard_order, 1);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_NOWAIT, 1));
	KUNIT_EXPECT_EQ(test, ctl.nr_hard, 1);
}

static void unmapped_test_atomic(struct kunit *test)
{
	struct page *page;

	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_ATOMIC, 0));
	page = alloc_or_fail(test, 0);
	unmapped_pages_free(page, 0);
	page = unmapped_pages_alloc(GFP_ATOMIC, 2);
	KUNIT_ASSERT_NOT_NULL(test, page);
	expect_count(test, 4, UNMAPPED_BLOCK_PAGES - 4);
	unmapped_pages_free(page, 2);
}

/* The direct map fails at some page of a block: all is as before. */
static void unmapped_test_unmap_fails(struct kunit *test)
{
	static const unsigned int at[] = { 0, 1, 255, 511 };
	unsigned long fails = unmapped_event_count(UNMAPPED_REFILL_FAIL);
	struct unmapped_count count;
	struct page *area, *page;
	int i;

	area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, area);

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		use_area(test, area, UNMAPPED_BLOCK_PAGES);
		fail_direct_map(test, false, at[i], 1);
		page = unmapped_pages_alloc(GFP_KERNEL, PMD_ORDER);
		KUNIT_EXPECT_NULL(test, page);
		expect_present(test, area, PMD_ORDER, true);
		KUNIT_EXPECT_FALSE(test, unmapped_page(area));

		/* It went back to the page allocator: have it again. */
		area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
		KUNIT_ASSERT_NOT_NULL(test, area);
	}
	__free_pages(area, PMD_ORDER);
	count_all(&count);
	KUNIT_EXPECT_EQ(test, count.owned, 0);
	KUNIT_EXPECT_GT(test, unmapped_event_count(UNMAPPED_REFILL_FAIL), fails);
}

/* If a block can't be unmapped, a smaller chunk may do. */
static void unmapped_test_unmap_fails_once(struct kunit *test)
{
	struct page *page;

	fail_direct_map(test, false, 0, 1);
	page = alloc_or_fail(test, 0);
	expect_present(test, page, 0, false);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_FRAGMENT, PMD_ORDER - 2), 1);
	unmapped_pages_free(page, 0);
}

/* The direct map can't be restored: the page is never seen again. */
static void unmapped_test_restore_fails(struct kunit *test)
{
	struct unmapped_count before, after;

	count_all(&before);
	use_fake_source(test, 0);
	ctl.fail_both = true;
	fail_direct_map(test, false, 0, 2);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL, 0));
	count_all(&after);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + 1);
	KUNIT_EXPECT_EQ(test, after.owned, 0);
}

/* The direct map fails while a block is given back: it stays in the cache. */
static void unmapped_test_map_fails(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	unsigned long block = page_to_pfn(page) & ~(UNMAPPED_BLOCK_PAGES - 1);

	unmapped_pages_free(page, 0);
	fail_direct_map(test, true, 100, 1);
	KUNIT_EXPECT_EQ(test, drain_all(), 0);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	expect_present(test, pfn_to_page(block), PMD_ORDER, false);
	KUNIT_EXPECT_EQ(test, drain_all(), UNMAPPED_BLOCK_PAGES);
	expect_present(test, pfn_to_page(block), PMD_ORDER, true);
}

/* === Put paths and contexts ============================================== */

static void unmapped_test_late_reference(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);

	with_page(test, page, MARK, true);
	get_page(page);
	unmapped_pages_free(page, 0);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	KUNIT_EXPECT_EQ(test, with_page(test, page, MARK, false), 0);
	put_page(page);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	expect_zero(test, page, 0);
}

/* The head's late reference keeps the head only, as in __free_pages(). */
static void unmapped_test_late_reference_high_order(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 4);

	get_page(page);
	unmapped_pages_free(page, 4);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	put_page(page);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* Of orders that the page allocator's lists per CPU have, and that they lack. */
static void unmapped_test_put_paths(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 2, 4, PMD_ORDER };
	struct page *page[3];
	struct folio *folio;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		for (j = 0; j < ARRAY_SIZE(page); j++) {
			folio = unmapped_folio_alloc(GFP_KERNEL, orders[i]);
			KUNIT_ASSERT_NOT_NULL(test, folio);
			page[j] = folio_page(folio, 0);
		}
		put_page(page[0]);
		folio = page_folio(page[1]);
		folio_get(folio);
		folio_put_refs(folio, 2);
		release_pages(&page[2], 1);
		__free_pages(alloc_or_fail(test, orders[i]), orders[i]);
		drain_all();
		expect_count(test, 0, 0);
	}
}

/* Ordinary pages of a pageblock that has a fragment are freed as ever. */
static void unmapped_test_neighbours(struct kunit *test)
{
	struct page *area = alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, area);
	split_page(area, 2);
	use_area(test, area, 1);
	page = alloc_or_fail(test, 0);
	KUNIT_ASSERT_PTR_EQ(test, page, area);

	__free_page(area + 1);
	expect_count(test, 1, 0);
	unmapped_pages_free(page, 0);
	expect_count(test, 0, 1);
	__free_page(area + 2);
	__free_page(area + 3);
	expect_count(test, 0, 1);
	KUNIT_EXPECT_EQ(test, drain_all(), 1);
}

struct put_irq_work {
	struct irq_work work;
	struct page *page;
};

static void put_in_hardirq(struct irq_work *work)
{
	put_page(container_of(work, struct put_irq_work, work)->page);
}

static void unmapped_test_put_in_hardirq(struct kunit *test)
{
	struct put_irq_work put;
	int i;

	/* On whatever CPU the test runs, in an interrupt of its own. */
	for (i = 0; i < 16; i++) {
		put.page = alloc_or_fail(test, 0);
		with_page(test, put.page, MARK, true);
		init_irq_work(&put.work, put_in_hardirq);
		irq_work_queue(&put.work);
		irq_work_sync(&put.work);
		expect_zero(test, put.page, 0);
	}
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
}

static void put_in_softirq(struct work_struct *work)
{
	put_page(container_of(work, struct put_work, work)->page);
}

static void unmapped_test_put_in_softirq(struct kunit *test)
{
	struct put_work put = { .page = alloc_or_fail(test, 0) };

	with_page(test, put.page, MARK, true);
	INIT_WORK_ONSTACK(&put.work, put_in_softirq);
	queue_work(system_bh_wq, &put.work);
	flush_work(&put.work);
	destroy_work_on_stack(&put.work);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	expect_zero(test, put.page, 0);
}

static void unmapped_test_put_irqs_off(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 2);
	unsigned long flags;

	fill_pages(test, page, 2);
	local_irq_save(flags);
	unmapped_pages_free(page, 2);
	local_irq_restore(flags);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	expect_zero(test, page, 2);
}

/* Where no lock can be taken, the page is put back a little later. */
static void unmapped_test_put_nolock(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 1);
	struct unmapped_zone *uz;
	unsigned long flags, used;

	uz = &unmapped_node(page_to_nid(page))->zones[page_zonenum(page)];
	fill_pages(test, page, 1);
	local_irq_save(flags);
	free_pages_nolock(page, 1);
	used = uz->count.used;
	local_irq_restore(flags);
	irq_work_sync(&uz->deferred_work);
	KUNIT_EXPECT_EQ(test, used, 2);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	expect_zero(test, page, 1);
}

/* === Giving back ========================================================= */

static void unmapped_test_drain_keeps_used(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	struct page *block = alloc_or_fail(test, PMD_ORDER);

	unmapped_pages_free(block, PMD_ORDER);
	KUNIT_EXPECT_EQ(test, drain_all(), UNMAPPED_BLOCK_PAGES);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	expect_present(test, page, 0, false);
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, drain_all(), UNMAPPED_BLOCK_PAGES);
	expect_count(test, 0, 0);
}

static int tell_image(unsigned long action)
{
	return notifier_to_errno(unmapped_prepare_for_image(NULL, action,
							    NULL));
}

/* No image of the system is made with pages in use, and none comes into one. */
static void unmapped_test_image(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);

	KUNIT_EXPECT_EQ(test, tell_image(PM_HIBERNATION_PREPARE), -EBUSY);
	/* The system goes on as before. */
	drain_all();
	unmapped_pages_free(alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	unmapped_pages_free(page, 0);

	KUNIT_EXPECT_EQ(test, tell_image(PM_HIBERNATION_PREPARE), 0);
	expect_count(test, 0, 0);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL | __GFP_NOWARN,
						     0));
	KUNIT_EXPECT_EQ(test, tell_image(PM_POST_HIBERNATION), 0);
	unmapped_pages_free(alloc_or_fail(test, 0), 0);
}

/* What was given back is an ordinary page again: it can be written to. */
static void unmapped_test_usable_after_drain(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, PMD_ORDER);
	unsigned long pfn = page_to_pfn(page);
	struct page *again;

	unmapped_pages_free(page, PMD_ORDER);
	drain_all();
	again = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, again);
	memset(page_address(again), 0x5a, PAGE_SIZE << PMD_ORDER);
	__free_pages(again, PMD_ORDER);
	KUNIT_EXPECT_FALSE(test, PageUnmappedFree(pfn_to_page(pfn)));
}

/* Partly used blocks are used up before a whole one is broken. */
static void unmapped_test_whole_blocks_last(struct kunit *test)
{
	struct page *block[2], *page;

	block[0] = alloc_or_fail(test, PMD_ORDER);
	block[1] = alloc_or_fail(test, PMD_ORDER);
	unmapped_pages_free(block[0], PMD_ORDER);
	page = alloc_or_fail(test, 0);
	unmapped_pages_free(block[1], PMD_ORDER);

	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	unmapped_pages_free(alloc_or_fail(test, 8), 8);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	unmapped_pages_free(page, 0);
}

/* What is left of a fragment is used before a block that is whole. */
static void unmapped_test_fragments_before_whole_blocks(struct kunit *test)
{
	struct page *page, *more;

	use_fake_source(test, 3);
	page = alloc_or_fail(test, 0);
	ctl.max_order = PMD_ORDER;
	unmapped_pages_free(alloc_or_fail(test, PMD_ORDER), PMD_ORDER);

	more = alloc_or_fail(test, 2);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	unmapped_pages_free(more, 2);
	unmapped_pages_free(page, 0);
}

/* When nothing else helps, the free part of a block that is in use goes. */
static void unmapped_test_break_block(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	struct unmapped_zone *uz = unmapped_page_zone(page);

	drain_pcps();
	KUNIT_ASSERT_TRUE(test, unmapped_zone_break_block(uz));
	KUNIT_EXPECT_FALSE(test, unmapped_zone_break_block(uz));
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(page_to_nid(page)));
	KUNIT_EXPECT_EQ(test, drain_all(), UNMAPPED_BLOCK_PAGES - 1);
	expect_count(test, 1, 0);
	expect_present(test, page, 0, false);
	expect_present(test, page + 1, 0, true);
	KUNIT_EXPECT_TRUE(test, unmapped_page(page));
	KUNIT_EXPECT_FALSE(test, unmapped_page(page + 1));
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, drain_all(), 1);
	expect_present(test, page, PMD_ORDER, true);
}

/* If all of it comes back meanwhile, it is a block again. */
static void unmapped_test_broken_block_heals(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 4);

	KUNIT_ASSERT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page)));
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_FRAGMENT, PMD_ORDER - 1), 1);
	unmapped_pages_free(page, 4);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* A page that the hardware reported as bad is not handed out any more. */
static void unmapped_test_poisoned(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0), *seen;
	struct unmapped_zone *uz = unmapped_page_zone(page);
	struct unmapped_count before, after;
	int i;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "no memory failure handling");

	count_all(&before);
	fill_pages(test, page, 0);
	SetPageHWPoison(page);
	/* It can't be touched, not even to clear it. */
	unmapped_folio_clear(page_folio(page));
	KUNIT_EXPECT_EQ(test, with_page(test, page, MARK, false), 0);
	unmapped_pages_free(page, 0);
	for (i = 0; i < UNMAPPED_BLOCK_PAGES - 1; i++) {
		seen = alloc_or_fail(test, 0);
		KUNIT_EXPECT_PTR_NE(test, seen, page);
		ctl.kept[i] = seen;
	}
	count_all(&after);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + 1);
	KUNIT_EXPECT_EQ(test, after.cached, 0);

	/* One that is bad only once it is free, on the CPU's list. */
	page = ctl.kept[0];
	unmapped_pages_free(page, 0);
	SetPageHWPoison(page);
	ctl.kept[0] = alloc_or_fail(test, 0);
	KUNIT_EXPECT_PTR_NE(test, ctl.kept[0], page);
	release_pages(ctl.kept, UNMAPPED_BLOCK_PAGES - 1);
	count_all(&after);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + 2);
	KUNIT_EXPECT_EQ(test, after.used, 0);

	/* The rest of the block is as good as ever. */
	drain_pcps();
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz));
	drain_all();
	expect_count(test, 0, 0);
}

/* A page of a block is bad, and nothing else of it is in use. */
static struct page *lose_page(struct kunit *test)
{
	struct page *page;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "no memory failure handling");

	page = alloc_or_fail(test, 0);
	SetPageHWPoison(page);
	unmapped_pages_free(page, 0);
	drain_pcps();
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES - 1);
	return page;
}

/* Nothing of its block may be in the image, nor handed out from now on. */
static void unmapped_test_image_poisoned(struct kunit *test)
{
	lose_page(test);
	KUNIT_EXPECT_EQ(test, tell_image(PM_HIBERNATION_PREPARE), 0);
	expect_count(test, 0, 0);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL | __GFP_NOWARN,
						     0));
	KUNIT_EXPECT_EQ(test, tell_image(PM_POST_HIBERNATION), 0);
}

/* Its block can go offline, and what comes in its place is not ours. */
static void unmapped_test_offline_poisoned(struct kunit *test)
{
	struct page *page = lose_page(test);
	struct memory_notify range = {
		.start_pfn = ALIGN_DOWN(page_to_pfn(page), UNMAPPED_BLOCK_PAGES),
		.nr_pages = UNMAPPED_BLOCK_PAGES,
	};

	unmapped_memory_callback(NULL, MEM_GOING_OFFLINE, &range);
	expect_count(test, 0, 0);
	KUNIT_EXPECT_TRUE(test, unmapped_page(page));
	unmapped_memory_callback(NULL, MEM_OFFLINE, &range);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
}

/* === Suite =============================================================== */

/* One block at a time, unless a test wants to see what demand does. */
static unsigned int low_demand(struct unmapped_node *node)
{
	return 1;
}

/* The allocator's own work would change what the tests count. */
static int unmapped_test_suite_init(struct kunit_suite *suite)
{
	int nid;

	if (!unmapped_alloc_available())
		return 0;

	for_each_online_node(nid) {
		disable_delayed_work_sync(&unmapped_node(nid)->idle_work);
		disable_work_sync(&unmapped_node(nid)->refill_work);
	}
	return 0;
}

static void unmapped_test_suite_exit(struct kunit_suite *suite)
{
	int nid;

	if (!unmapped_alloc_available())
		return;

	for_each_online_node(nid) {
		enable_work(&unmapped_node(nid)->refill_work);
		enable_delayed_work(&unmapped_node(nid)->idle_work);
		unmapped_release_wake(unmapped_node(nid));
	}
}

static int unmapped_test_init(struct kunit *test)
{
	if (!unmapped_alloc_available())
		kunit_skip(test, "the allocator is not available on this boot");

	memset(&ctl, 0, sizeof(ctl));
	kunit_activate_static_stub(test, unmapped_refill_demand, low_demand);
	drain_all();
	expect_count(test, 0, 0);
	return 0;
}

static void unmapped_test_exit(struct kunit *test)
{
	int nid;

	if (!unmapped_alloc_available())
		return;

	for_each_online_node(nid)
		KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(nid));
	ctl.nr_fails = 0;
	drain_all();
	expect_count(test, 0, 0);
	for_each_online_node(nid)
		KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(nid));
}

static struct kunit_case unmapped_test_cases[] = {
	KUNIT_CASE(unmapped_test_orders),
	KUNIT_CASE(unmapped_test_bad_order),
	KUNIT_CASE(unmapped_test_compound),
	KUNIT_CASE(unmapped_test_split_merge),
	KUNIT_CASE(unmapped_test_free_by_page),
	KUNIT_CASE(unmapped_test_all_distinct),
	KUNIT_CASE(unmapped_test_reuse_is_zero),
	KUNIT_CASE(unmapped_test_new_is_zero),
	KUNIT_CASE(unmapped_test_clear),
	KUNIT_CASE(unmapped_test_free_folio),
	KUNIT_CASE(unmapped_test_freed_is_zero),
	KUNIT_CASE(unmapped_test_nozero),
	KUNIT_CASE(unmapped_test_window),
	KUNIT_CASE(unmapped_test_map),
	KUNIT_CASE(unmapped_test_vmap),
	KUNIT_CASE(unmapped_test_bulk_mpol),
	KUNIT_CASE(unmapped_test_large_entry_kept),
	KUNIT_CASE(unmapped_test_one_flush_a_block),
	KUNIT_CASE(unmapped_test_no_stale_translation),
	KUNIT_CASE(unmapped_test_fragment),
	KUNIT_CASE(unmapped_test_collapse_late),
	KUNIT_CASE(unmapped_test_fragments_become_block),
	KUNIT_CASE(unmapped_test_zones),
	KUNIT_CASE(unmapped_test_thisnode),
	KUNIT_CASE(unmapped_test_nodemask),
	KUNIT_CASE(unmapped_test_pcp),
	KUNIT_CASE(unmapped_test_pcp_splits_nothing),
	KUNIT_CASE(unmapped_test_dead_cpu),
	KUNIT_CASE(unmapped_test_bulk),
	KUNIT_CASE(unmapped_test_bulk_short),
	KUNIT_CASE(unmapped_test_demand),
	KUNIT_CASE(unmapped_test_concurrent_refill),
	KUNIT_CASE(unmapped_test_batch),
	KUNIT_CASE(unmapped_test_batch_fails),
	KUNIT_CASE(unmapped_test_background),
	KUNIT_CASE(unmapped_test_idle),
	KUNIT_CASE(unmapped_test_idle_anew),
	KUNIT_CASE(unmapped_test_exhausted),
	KUNIT_CASE(unmapped_test_no_effort_for_blocks),
	KUNIT_CASE(unmapped_test_atomic),
	KUNIT_CASE(unmapped_test_unmap_fails),
	KUNIT_CASE(unmapped_test_unmap_fails_once),
	KUNIT_CASE(unmapped_test_restore_fails),
	KUNIT_CASE(unmapped_test_map_fails),
	KUNIT_CASE(unmapped_test_late_reference),
	KUNIT_CASE(unmapped_test_late_reference_high_order),
	KUNIT_CASE(unmapped_test_put_paths),
	KUNIT_CASE(unmapped_test_neighbours),
	KUNIT_CASE(unmapped_test_put_in_hardirq),
	KUNIT_CASE(unmapped_test_put_in_softirq),
	KUNIT_CASE(unmapped_test_put_irqs_off),
	KUNIT_CASE(unmapped_test_put_nolock),
	KUNIT_CASE(unmapped_test_drain_keeps_used),
	KUNIT_CASE(unmapped_test_image),
	KUNIT_CASE(unmapped_test_usable_after_drain),
	KUNIT_CASE(unmapped_test_whole_blocks_last),
	KUNIT_CASE(unmapped_test_fragments_before_whole_blocks),
	KUNIT_CASE(unmapped_test_break_block),
	KUNIT_CASE(unmapped_test_broken_block_heals),
	KUNIT_CASE(unmapped_test_poisoned),
	KUNIT_CASE(unmapped_test_image_poisoned),
	KUNIT_CASE(unmapped_test_offline_poisoned),
	{}
};

static struct kunit_suite unmapped_test_suite = {
	.name = "unmapped_alloc",
	.suite_init = unmapped_test_suite_init,
	.suite_exit = unmapped_test_suite_exit,
	.init = unmapped_test_init,
	.exit = unmapped_test_exit,
	.test_cases = unmapped_test_cases,
};

kunit_test_suite(unmapped_test_suite);

MODULE_DESCRIPTION("KUnit tests for the unmapped page allocator");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
