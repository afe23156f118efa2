// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: the direct map, its large entries, flushes, aliases; fragments.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>
#include <linux/smp.h>
#include <linux/sort.h>
#include <linux/text-patching.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "unmapped_alloc_kunit.h"

static void unmapped_test_large_entry_kept(struct kunit *test)
{
	struct page *page;
	unsigned int before;

	if (!IS_ENABLED(CONFIG_X86_64) || debug_pagealloc_enabled())
		kunit_skip(test, "no large entries to look at");

	ua_use_fake_source(test, PMD_ORDER);
	page = ua_alloc_or_fail(test, 0);
	before = ua_ctl.level;
	if (before < 2)
		kunit_skip(test, "the block had no large entry before");

	ua_expect_present(test, page, PMD_ORDER, false);
	KUNIT_EXPECT_EQ(test, ua_direct_map_level(page), 2);
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), UNMAPPED_BLOCK_PAGES);
	/* The level is 3 if the block was part of a 1 GiB entry. */
	KUNIT_EXPECT_GE(test, ua_direct_map_level(page), before);
	ua_expect_present(test, page, PMD_ORDER, true);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
}

static void unmapped_test_one_flush_a_block(struct kunit *test)
{
	unsigned long before = ua_nr_events(UNMAPPED_TLB_FLUSH);
	struct page *page[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = ua_alloc_or_fail(test, 0);
	for (i = 0; i < ARRAY_SIZE(page); i++)
		unmapped_pages_free(page[i], 0);
	ua_drain_all();
	KUNIT_EXPECT_EQ(test, ua_nr_events(UNMAPPED_TLB_FLUSH) - before, 1);
}

#ifdef CONFIG_X86_64
static pte_t direct_map_entry(struct page *page)
{
	unsigned int level;

	return *lookup_address((unsigned long)page_address(page), &level);
}

static void expect_prot(struct kunit *test, int err, const void *addr,
			pteval_t prot)
{
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)addr, &level);

	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_ASSERT_NOT_NULL(test, pte);
	KUNIT_EXPECT_EQ(test, pte_flags(*pte) & (_PAGE_RW | _PAGE_NX), prot);
}

/* Change the protection of a mapping back and forth, in all ways. */
static void change_prot(struct kunit *test, const void *map, int nr)
{
	unsigned long addr = (unsigned long)map;

	expect_prot(test, set_memory_ro(addr, nr), map, _PAGE_NX);
	expect_prot(test, set_memory_x(addr, nr), map, 0);
	expect_prot(test, set_memory_nx(addr, nr), map, _PAGE_NX);
	expect_prot(test, set_memory_rw(addr, nr), map, _PAGE_NX | _PAGE_RW);
	expect_prot(test, set_memory_rox(addr, nr), map, 0);
	expect_prot(test, set_memory_nx(addr, nr), map, _PAGE_NX);
	expect_prot(test, set_memory_rw(addr, nr), map, _PAGE_NX | _PAGE_RW);
}

/* The protection of another mapping does not touch the absent alias. */
static void unmapped_test_alias_prot(struct kunit *test)
{
	unsigned long splits;
	struct page *block;
	unsigned int level;
	int i, nr;
	void *map;
	pte_t old;

	if (debug_pagealloc_enabled())
		kunit_skip(test, "no large entries to look at");

	block = ua_alloc_or_fail(test, PMD_ORDER);
	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++)
		ua_ctl.kept[i] = block + i;
	level = ua_direct_map_level(block);
	old = direct_map_entry(block);
	splits = ua_nr_events(DIRECT_MAP_LEVEL2_SPLIT);

	for (nr = 1; nr <= UNMAPPED_BLOCK_PAGES; nr *= 8) {
		map = vmap(ua_ctl.kept, nr, VM_MAP, PAGE_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, map);
		change_prot(test, map, nr);
		vunmap(map);

		KUNIT_EXPECT_EQ(test, ua_direct_map_level(block), level);
		KUNIT_EXPECT_EQ(test, pte_val(direct_map_entry(block)),
				pte_val(old));
		ua_expect_present(test, block, PMD_ORDER, false);
	}
	KUNIT_EXPECT_EQ(test, ua_nr_events(DIRECT_MAP_LEVEL2_SPLIT), splits);
	unmapped_pages_free(block, PMD_ORDER);
}

/* An alias that is present still gets the protection of the other mapping. */
static void unmapped_test_alias_prot_present(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);
	unsigned long addr;
	void *map;

	KUNIT_ASSERT_NOT_NULL(test, page);
	map = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, map);
	addr = (unsigned long)map;

	KUNIT_EXPECT_EQ(test, set_memory_ro(addr, 1), 0);
	expect_prot(test, 0, page_address(page), _PAGE_NX);
	KUNIT_EXPECT_EQ(test, set_memory_rw(addr, 1), 0);
	expect_prot(test, 0, page_address(page), _PAGE_NX | _PAGE_RW);
	vunmap(map);
	__free_page(page);
}

/* What patches kernel text writes to pages that are mapped read-only. */
static void unmapped_test_text_poke(struct kunit *test)
{
	struct page *pages[2], *page = ua_alloc_or_fail(test, 1);
	u8 *map, code[64];

	pages[0] = page;
	pages[1] = page + 1;
	map = vmap(pages, ARRAY_SIZE(pages), VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, map);
	KUNIT_EXPECT_EQ(test, set_memory_rox((unsigned long)map, 2), 0);

	/* Across the pages. */
	memset(code, 0x5a, sizeof(code));
	text_poke_copy(map + PAGE_SIZE - 32, code, sizeof(code));
	KUNIT_EXPECT_MEMEQ(test, map + PAGE_SIZE - 32, code, sizeof(code));
	KUNIT_EXPECT_EQ(test, map[PAGE_SIZE - 33], 0);
	KUNIT_EXPECT_EQ(test, map[PAGE_SIZE + 32], 0);
	expect_prot(test, 0, map, 0);
	ua_expect_present(test, page, 1, false);
	vunmap(map);
	unmapped_pages_free(page, 1);
}

#ifdef CONFIG_DEBUG_TLBFLUSH
/*
 * The smallest number of complete flushes that two changes of the protection
 * took: some are not due to the test.
 */
static unsigned long min_flushes(struct kunit *test, struct page *page)
{
	void *map = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	unsigned long addr = (unsigned long)map;
	unsigned long before, least = ULONG_MAX;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, map);
	for (i = 0; i < 10; i++) {
		before = ua_nr_events(NR_TLB_REMOTE_FLUSH);
		expect_prot(test, set_memory_ro(addr, 1), map, _PAGE_NX);
		expect_prot(test, set_memory_rw(addr, 1), map,
			    _PAGE_NX | _PAGE_RW);
		least = min(least, ua_nr_events(NR_TLB_REMOTE_FLUSH) - before);
	}
	vunmap(map);
	return least;
}

/* All of the TLB is flushed for an alias that is present, not for an absent one. */
static void unmapped_test_alias_prot_flush(struct kunit *test)
{
	struct page *mapped = alloc_page(GFP_KERNEL);
	struct page *page = ua_alloc_or_fail(test, 0);

	KUNIT_ASSERT_NOT_NULL(test, mapped);
	KUNIT_EXPECT_GE(test, min_flushes(test, mapped), 2);
	KUNIT_EXPECT_EQ(test, min_flushes(test, page), 0);
	__free_page(mapped);
	unmapped_pages_free(page, 0);
}
#endif /* CONFIG_DEBUG_TLBFLUSH */
#endif /* CONFIG_X86_64 */

static void read_page(void *info)
{
	struct read_page *read = info;
	unsigned long word;

	if (!copy_from_kernel_nofault(&word, page_address(read->page),
				      sizeof(word)))
		atomic_inc(&read->nr_read);
}

/* Replaces the page allocator; all CPUs have its page in their TLBs. */
static struct page *warm_source_alloc(gfp_t gfp, unsigned int order, int nid,
				      nodemask_t *nodemask)
{
	struct page *page = ua_fake_source_alloc(gfp, order, nid, nodemask);

	ua_ctl.read.page = page;
	atomic_set(&ua_ctl.read.nr_read, 0);
	on_each_cpu(read_page, &ua_ctl.read, true);
	return page;
}

/* A CPU can't read the page through a translation cached before. */
static void unmapped_test_no_stale_translation(struct kunit *test)
{
	struct page *page;

	ua_ctl.max_order = PMD_ORDER;
	kunit_activate_static_stub(test, unmapped_source_alloc,
				   warm_source_alloc);
	page = ua_alloc_or_fail(test, 0);
	KUNIT_ASSERT_PTR_EQ(test, page, ua_ctl.read.page);
	KUNIT_EXPECT_EQ(test, atomic_read(&ua_ctl.read.nr_read), num_online_cpus());

	atomic_set(&ua_ctl.read.nr_read, 0);
	on_each_cpu(read_page, &ua_ctl.read, true);
	KUNIT_EXPECT_EQ(test, atomic_read(&ua_ctl.read.nr_read), 0);
	unmapped_pages_free(page, 0);
}

/* Exactly the fragment that is added to the cache is unmapped. */
static void unmapped_test_fragment(struct kunit *test)
{
	struct page *page;

	ua_use_fake_source(test, 4);
	page = ua_alloc_or_fail(test, 1);
	ua_expect_count(test, 2, 14);
	ua_expect_present(test, page, 4, false);
	ua_expect_present(test, page + 16, 0, true);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page + 16));
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_FRAGMENT, 3), 1);

	unmapped_pages_free(page, 1);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_FRAGMENT, 4), 1);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), 16);
	ua_expect_present(test, page, 4, true);
	KUNIT_EXPECT_GE(test, ua_direct_map_level(page), ua_ctl.level);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
}

/* Pages near a fragment can be in the swap cache, which has no inode. */
static void unmapped_test_count_fragment(struct kunit *test)
{
	struct unmapped_consumer *consumers =
		kunit_kcalloc(test, UNMAPPED_MAX_CONSUMERS, sizeof(*consumers),
			      GFP_KERNEL);
	struct page *area = alloc_pages(GFP_KERNEL, PMD_ORDER), *page;
	struct folio *other;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, consumers);
	KUNIT_ASSERT_NOT_NULL(test, area);
	split_page(area, PMD_ORDER);
	ua_use_area(test, area, 16);
	page = unmapped_pages_alloc(GFP_KERNEL, 0);
	KUNIT_EXPECT_PTR_EQ(test, page ? ua_block_of(page) : NULL, area);

	other = page_folio(area + 16);
	folio_set_swapbacked(other);
	folio_set_swapcache(other);
	unmapped_count_consumers(consumers, unmapped_image_allowed);
	folio_clear_swapcache(other);
	folio_clear_swapbacked(other);
	KUNIT_EXPECT_STREQ(test, consumers[0].name, "no_file");
	KUNIT_EXPECT_EQ(test, consumers[0].nr_pages, 1);
	KUNIT_EXPECT_EQ(test, consumers[1].nr_pages, 0);

	if (page)
		unmapped_pages_free(page, 0);
	ua_drain_all();
	for (i = 16; i < UNMAPPED_BLOCK_PAGES; i++)
		__free_page(area + i);
}

/* Reclaim must not call this. */
static bool fail_collapse(struct page **pages, unsigned int nr)
{
	KUNIT_FAIL(kunit_get_current_test(), "init_mm's mmap_lock in reclaim");
	return false;
}

/* Somebody else has the lock. */
static bool busy_collapse(struct page **pages, unsigned int nr)
{
	return false;
}

/* The stub is for this thread only, not for the work item. */
static void collapse_late(struct kunit *test,
			  bool (*now)(struct page **pages, unsigned int nr),
			  bool reclaim)
{
	struct page *area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
	unsigned int before, noreclaim;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, area);
	before = ua_direct_map_level(area);
	split_page(area, PMD_ORDER);
	ua_use_area(test, area, 8);
	unmapped_pages_free(ua_alloc_or_fail(test, 3), 3);
	for (i = 8; i < UNMAPPED_BLOCK_PAGES; i++)
		__free_page(area + i);
	if (before < 2)
		kunit_skip(test, "no large entries to look at");
	KUNIT_EXPECT_EQ(test, ua_direct_map_level(area), 1);

	kunit_activate_static_stub(test, unmapped_collapse_now, *now);
	if (reclaim)
		noreclaim = memalloc_noreclaim_save();
	KUNIT_EXPECT_EQ(test, ua_drain_all(), 8);
	if (reclaim)
		memalloc_noreclaim_restore(noreclaim);
	ua_expect_present(test, area, 3, true);
	unmapped_collapse_wait();
	KUNIT_EXPECT_GE(test, ua_direct_map_level(area), before);
}

/* Memory released by reclaim gets its large entry back, a little later. */
static void unmapped_test_collapse_late(struct kunit *test)
{
	collapse_late(test, fail_collapse, true);
}

static void unmapped_test_collapse_busy(struct kunit *test)
{
	collapse_late(test, busy_collapse, false);
}

static int compare_pages(const void *a, const void *b)
{
	struct page *const *x = a, *const *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* An area in between, which somebody else has split, stays as it is. */
static void unmapped_test_collapse_own_only(struct kunit *test)
{
	struct page *area[3], *chunk[3];
	unsigned int noreclaim;
	int i, j;

	for (i = 0; i < 3; i++) {
		area[i] = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
		KUNIT_ASSERT_NOT_NULL(test, area[i]);
	}
	sort(area, 3, sizeof(area[0]), compare_pages, NULL);
	if (ua_direct_map_level(area[1]) < 2)
		kunit_skip(test, "no large entries to look at");
	KUNIT_EXPECT_EQ(test, unmapped_set_direct_map(area[1], 1, false), 0);
	KUNIT_EXPECT_EQ(test, unmapped_set_direct_map(area[1], 1, true), 0);

	for (i = 0; i < 3; i += 2) {
		split_page(area[i], PMD_ORDER);
		ua_use_area(test, area[i], 8);
		chunk[i] = ua_alloc_or_fail(test, 3);
	}
	for (i = 0; i < 3; i += 2) {
		unmapped_pages_free(chunk[i], 3);
		for (j = 8; j < UNMAPPED_BLOCK_PAGES; j++)
			__free_page(area[i] + j);
	}

	noreclaim = memalloc_noreclaim_save();
	KUNIT_EXPECT_EQ(test, ua_drain_all(), 16);
	memalloc_noreclaim_restore(noreclaim);
	unmapped_collapse_wait();
	KUNIT_EXPECT_GE(test, ua_direct_map_level(area[0]), 2);
	KUNIT_EXPECT_EQ(test, ua_direct_map_level(area[1]), 1);
	KUNIT_EXPECT_GE(test, ua_direct_map_level(area[2]), 2);

	KUNIT_EXPECT_TRUE(test, unmapped_collapse_now(&area[1], 1));
	__free_pages(area[1], PMD_ORDER);
}

static unsigned long looked_at[8];
static unsigned int nr_looked_at;

static void count_region(unsigned long pfn)
{
	if (nr_looked_at < ARRAY_SIZE(looked_at))
		looked_at[nr_looked_at] = pfn;
	nr_looked_at++;
}

static void collapse_later(void)
{
}

/* Nobody searches memory between two areas for more. */
static void unmapped_test_collapse_regions(struct kunit *test)
{
	struct page *area[2];
	unsigned int i, noreclaim;

	area[0] = alloc_pages(GFP_KERNEL | GFP_DMA32, PMD_ORDER);
	area[1] = alloc_pages(GFP_KERNEL, PMD_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, area[0]);
	KUNIT_ASSERT_NOT_NULL(test, area[1]);

	unmapped_collapse_wait();
	nr_looked_at = 0;
	kunit_activate_static_stub(test, unmapped_collapse_queue, collapse_later);
	kunit_activate_static_stub(test, unmapped_collapse_region, count_region);
	noreclaim = memalloc_noreclaim_save();
	unmapped_direct_map_collapse(area, 2);
	unmapped_collapse_noted();
	KUNIT_ASSERT_GE(test, nr_looked_at, 1);
	KUNIT_ASSERT_LE(test, nr_looked_at, 2);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, looked_at[i ? nr_looked_at - 1 : 0],
				ALIGN_DOWN(page_to_pfn(area[i]), PTRS_PER_PMD * PTRS_PER_PTE));
	/* Nor again. */
	unmapped_collapse_noted();
	KUNIT_EXPECT_LE(test, nr_looked_at, 2);

	kunit_deactivate_static_stub(test, unmapped_collapse_region);
	unmapped_direct_map_collapse(area, 2);
	memalloc_noreclaim_restore(noreclaim);
	unmapped_collapse_noted();
	for (i = 0; i < 2; i++)
		__free_pages(area[i], PMD_ORDER);
}

static void unmapped_test_fragments_become_block(struct kunit *test)
{
	struct page *area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
	struct page *low, *high;
	unsigned int before;

	KUNIT_ASSERT_NOT_NULL(test, area);
	before = ua_direct_map_level(area);
	ua_use_area(test, area, UNMAPPED_BLOCK_PAGES);
	ua_ctl.max_order = PMD_ORDER - 1;

	low = ua_alloc_or_fail(test, PMD_ORDER - 1);
	high = ua_alloc_or_fail(test, PMD_ORDER - 1);
	KUNIT_EXPECT_PTR_EQ(test, low, area);
	unmapped_pages_free(high, PMD_ORDER - 1);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_FRAGMENT, PMD_ORDER - 1), 1);
	unmapped_pages_free(low, PMD_ORDER - 1);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), UNMAPPED_BLOCK_PAGES);
	ua_expect_present(test, area, PMD_ORDER, true);
	KUNIT_EXPECT_GE(test, ua_direct_map_level(area), before);
}

/* Memory that is hot-added changes the span of its zone, in several steps. */
static void unmapped_test_zone_span(struct kunit *test)
{
	static const unsigned int orders[] = { 0, PMD_ORDER };
	struct page *page = alloc_pages(GFP_KERNEL, PMD_ORDER);
	unsigned long spanned;
	struct zone *zone;
	bool first;
	int i, err;

	KUNIT_ASSERT_NOT_NULL(test, page);
	zone = page_zone(page);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		/* What has to be allocated is there then. */
		err = unmapped_own(page, orders[i], GFP_KERNEL, &first);
		KUNIT_ASSERT_EQ(test, err, 0);
		unmapped_disown(page, orders[i]);
		KUNIT_EXPECT_FALSE(test, unmapped_page(page));
		/* Any look at a pageblock checks the span. */
		if (IS_ENABLED(CONFIG_DEBUG_VM))
			continue;

		zone_span_writelock(zone);
		spanned = zone->spanned_pages;
		zone->spanned_pages = 1;
		err = unmapped_own(page, orders[i], GFP_NOWAIT, &first);
		zone->spanned_pages = spanned;
		zone_span_writeunlock(zone);
		KUNIT_EXPECT_EQ(test, err, 0);
		KUNIT_EXPECT_TRUE(test, unmapped_page(page));
		unmapped_disown(page, orders[i]);
		KUNIT_EXPECT_FALSE(test, unmapped_page(page));
	}
	__free_pages(page, PMD_ORDER);
}

static struct kunit_case ua_cases[] = {
	KUNIT_CASE(unmapped_test_large_entry_kept),
	KUNIT_CASE(unmapped_test_one_flush_a_block),
#ifdef CONFIG_X86_64
	KUNIT_CASE(unmapped_test_alias_prot),
	KUNIT_CASE(unmapped_test_alias_prot_present),
	KUNIT_CASE(unmapped_test_text_poke),
#ifdef CONFIG_DEBUG_TLBFLUSH
	KUNIT_CASE(unmapped_test_alias_prot_flush),
#endif
#endif
	KUNIT_CASE(unmapped_test_no_stale_translation),
	KUNIT_CASE(unmapped_test_fragment),
	KUNIT_CASE(unmapped_test_count_fragment),
	KUNIT_CASE(unmapped_test_collapse_late),
	KUNIT_CASE(unmapped_test_collapse_busy),
	KUNIT_CASE(unmapped_test_collapse_own_only),
	KUNIT_CASE(unmapped_test_collapse_regions),
	KUNIT_CASE(unmapped_test_fragments_become_block),
	KUNIT_CASE(unmapped_test_zone_span),
	{}
};

UA_SUITE("unmapped_alloc_direct_map", ua_cases);
