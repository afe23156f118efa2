// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: who is charged for a page.
 */

#include <linux/alloc_tag.h>
#include <linux/completion.h>
#include <linux/folio_batch.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgalloc_tag.h>
#include <linux/prandom.h>

#include "unmapped_alloc_kunit.h"

/* The test as a consumer, and another one. */
static struct alloc_tag *consumer(void)
{
	DEFINE_ALLOC_TAG(tag);

	return &tag;
}

static struct alloc_tag *other_consumer(void)
{
	DEFINE_ALLOC_TAG(tag);

	return &tag;
}

/* One that stays charged for pages that it does not have any more. */
static struct alloc_tag *stale_consumer(void)
{
	DEFINE_ALLOC_TAG(tag);

	return &tag;
}

static struct page *alloc_tagged(struct alloc_tag *tag, gfp_t gfp,
				 unsigned int order)
{
	return alloc_hooks_tag(tag, unmapped_pages_alloc_noprof(gfp, order));
}

static void expect_charged(struct kunit *test, struct alloc_tag *tag,
			   unsigned long nr_pages, unsigned long calls)
{
	struct alloc_tag_counters c = alloc_tag_read(tag);

	KUNIT_EXPECT_EQ(test, c.bytes, nr_pages * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, c.calls, calls);
}

/* All free pages are charged to the cache, and nothing else is. */
void ua_expect_cache_charged(struct kunit *test)
{
	struct unmapped_count count;

	if (!mem_alloc_profiling_enabled())
		return;

	ua_count_all(&count);
	expect_charged(test, unmapped_cache(), count.cached, count.cached);
}

/* Without support, which is decided at boot, a module's tag has no counters. */
static void needs_profiling(struct kunit *test)
{
	if (!consumer()->counters)
		kunit_skip(test, "no memory allocation profiling on this boot");
}

static void needs_profiling_on(struct kunit *test)
{
	needs_profiling(test);
	if (!mem_alloc_profiling_enabled())
		kunit_skip(test, "memory allocation profiling is off");
}

/* A page is charged to its consumer while it is used, and to the cache before. */
static void unmapped_test_tag_orders(struct kunit *test)
{
	struct page *page;
	int order;

	needs_profiling_on(test);
	for (order = 0; order <= PMD_ORDER; order++) {
		page = alloc_tagged(consumer(), GFP_KERNEL, order);
		KUNIT_ASSERT_NOT_NULL(test, page);
		expect_charged(test, consumer(), 1UL << order, 1);
		ua_expect_cache_charged(test);
		__free_pages(page, order);
		expect_charged(test, consumer(), 0, 0);
		ua_expect_cache_charged(test);
	}
}

/* Frees don't ask how it was allocated: compound, split, whole, in a batch. */
static void unmapped_test_tag_frees(struct kunit *test)
{
	struct folio_batch folios;
	struct page *page;
	int i;

	needs_profiling_on(test);
	page = alloc_tagged(consumer(), GFP_KERNEL | __GFP_COMP, 3);
	KUNIT_ASSERT_NOT_NULL(test, page);
	expect_charged(test, consumer(), 8, 1);
	put_page(page);
	expect_charged(test, consumer(), 0, 0);

	page = alloc_tagged(consumer(), GFP_KERNEL, 3);
	KUNIT_ASSERT_NOT_NULL(test, page);
	split_page(page, 3);
	expect_charged(test, consumer(), 8, 8);
	for (i = 0; i < 8; i++)
		__free_page(page + i);
	expect_charged(test, consumer(), 0, 0);
	ua_expect_cache_charged(test);

	page = alloc_hooks_tag(consumer(), unmapped_block_alloc_noprof(GFP_KERNEL));
	KUNIT_ASSERT_NOT_NULL(test, page);
	expect_charged(test, consumer(), UNMAPPED_BLOCK_PAGES, 1);
	unmapped_block_free(page);
	expect_charged(test, consumer(), 0, 0);
	ua_expect_cache_charged(test);

	folio_batch_init(&folios);
	for (i = 0; i < 8; i++) {
		page = alloc_tagged(consumer(), GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, page);
		folio_batch_add(&folios, page_folio(page));
	}
	expect_charged(test, consumer(), 8, 8);
	folios_put(&folios);
	expect_charged(test, consumer(), 0, 0);
	ua_expect_cache_charged(test);
}

/* The first page of the chunk remains, the others are freed by themselves. */
static void unmapped_test_tag_late_reference(struct kunit *test)
{
	struct page *page;

	needs_profiling_on(test);
	page = alloc_tagged(consumer(), GFP_KERNEL, 3);
	KUNIT_ASSERT_NOT_NULL(test, page);
	get_page(page);
	__free_pages(page, 3);
	expect_charged(test, consumer(), 1, 1);
	ua_expect_cache_charged(test);
	put_page(page);
	expect_charged(test, consumer(), 0, 0);
	ua_expect_cache_charged(test);
}

static void unmapped_test_tag_nolock(struct kunit *test)
{
	struct page *page;

	needs_profiling_on(test);
	ua_skip_if_rt(test);
	page = alloc_tagged(consumer(), GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	free_pages_nolock(page, 0);
	unmapped_alloc_sync_deferred();
	expect_charged(test, consumer(), 0, 0);
	ua_expect_cache_charged(test);
}

static void unmapped_test_tag_bulk(struct kunit *test)
{
	unsigned long nr;

	needs_profiling_on(test);
	nr = alloc_hooks_tag(consumer(),
			     unmapped_pages_alloc_bulk_noprof(GFP_KERNEL,
							      NUMA_NO_NODE, NULL,
							      300, ua_ctl.kept));
	KUNIT_EXPECT_EQ(test, nr, 300);
	expect_charged(test, consumer(), nr, nr);
	ua_expect_cache_charged(test);
	release_pages(ua_ctl.kept, nr);
	expect_charged(test, consumer(), 0, 0);
	ua_expect_cache_charged(test);
}

/* A page that moves from one consumer to another by way of the cache. */
static void unmapped_test_tag_reused(struct kunit *test)
{
	struct page *page, *again;

	needs_profiling_on(test);
	page = alloc_tagged(consumer(), GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_page(page);
	again = alloc_tagged(other_consumer(), GFP_KERNEL, 0);
	KUNIT_EXPECT_PTR_EQ(test, again, page);
	expect_charged(test, consumer(), 0, 0);
	expect_charged(test, other_consumer(), 1, 1);
	__free_page(again);
	expect_charged(test, other_consumer(), 0, 0);
}

/* What is lost is charged to nothing. */
static void unmapped_test_tag_lost(struct kunit *test)
{
	struct page *page;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "no memory failure handling");

	needs_profiling_on(test);
	page = alloc_tagged(consumer(), GFP_KERNEL, 2);
	KUNIT_ASSERT_NOT_NULL(test, page);
	SetPageHWPoison(page + 1);
	__free_pages(page, 2);
	expect_charged(test, consumer(), 0, 0);
	ua_expect_cache_charged(test);

	/* One that gets lost while it is free. */
	SetPageHWPoison(page);
	page = alloc_tagged(consumer(), GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	expect_charged(test, consumer(), 1, 1);
	__free_page(page);
	ua_drain_pcps();
	ua_expect_cache_charged(test);
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page),
							  1));
	ua_drain_all();
}

/* The direct map could not be restored: the whole block is lost. */
static void unmapped_test_tag_lost_block(struct kunit *test)
{
	struct page *page;

	needs_profiling_on(test);
	page = alloc_tagged(consumer(), GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_page(page);
	ua_fail_direct_map(test, true, 1, 2);
	ua_ctl.fail_both = true;
	ua_drain_all();
	ua_expect_cache_charged(test);
}

/* As writing to vm.mem_profiling does. */
static void switch_profiling(bool on)
{
	static_branch_enable(&mem_profiling_switched);
	if (on)
		static_branch_enable(&mem_alloc_profiling_key);
	else
		static_branch_disable(&mem_alloc_profiling_key);
}

/* Free pages that were not charged are not uncharged, whoever gets them. */
static void unmapped_test_tag_switched_on(struct kunit *test)
{
	bool was_on = mem_alloc_profiling_enabled();
	struct page *before[2], *after[2];

	needs_profiling(test);
	if (IS_ENABLED(CONFIG_MEM_ALLOC_PROFILING_DEBUG))
		kunit_skip(test, "can't be switched off");

	switch_profiling(false);
	before[0] = alloc_tagged(consumer(), GFP_KERNEL, 0);
	before[1] = alloc_tagged(consumer(), GFP_KERNEL, 4);
	switch_profiling(true);
	expect_charged(test, unmapped_cache(), 0, 0);
	expect_charged(test, consumer(), 0, 0);

	after[0] = alloc_tagged(consumer(), GFP_KERNEL, 0);
	after[1] = alloc_tagged(consumer(), GFP_KERNEL, 4);
	expect_charged(test, consumer(), 17, 2);
	expect_charged(test, unmapped_cache(), 0, 0);
	/* They are charged from when they are freed. */
	__free_page(before[0]);
	__free_pages(before[1], 4);
	expect_charged(test, consumer(), 17, 2);
	expect_charged(test, unmapped_cache(), 17, 17);
	__free_page(after[0]);
	__free_pages(after[1], 4);
	expect_charged(test, consumer(), 0, 0);
	expect_charged(test, unmapped_cache(), 34, 34);

	ua_drain_all();
	ua_expect_count(test, 0, 0);
	ua_expect_cache_charged(test);
	switch_profiling(was_on);
}

/* Single pages that are freed and reused while profiling is off. */
static void unmapped_test_tag_switched_off(struct kunit *test)
{
	bool was_on = mem_alloc_profiling_enabled();
	struct page *page, *high;

	needs_profiling(test);
	if (IS_ENABLED(CONFIG_MEM_ALLOC_PROFILING_DEBUG))
		kunit_skip(test, "can't be switched off");

	switch_profiling(true);
	page = alloc_tagged(consumer(), GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	switch_profiling(false);
	__free_page(page);
	KUNIT_EXPECT_PTR_EQ(test, alloc_tagged(other_consumer(), GFP_KERNEL, 0),
			    page);
	/* Its pages had a reference each in the cache. */
	high = alloc_tagged(other_consumer(), GFP_KERNEL, 4);
	KUNIT_ASSERT_NOT_NULL(test, high);
	switch_profiling(true);
	__free_page(page);
	__free_pages(high, 4);
	expect_charged(test, consumer(), 0, 0);
	expect_charged(test, other_consumer(), 0, 0);
	ua_expect_cache_charged(test);

	ua_drain_all();
	ua_expect_cache_charged(test);
	switch_profiling(was_on);
}

/* What is freed while profiling is off is not charged to its consumer later. */
static void unmapped_test_tag_freed_off(struct kunit *test)
{
	bool was_on = mem_alloc_profiling_enabled();
	struct page *page;

	needs_profiling(test);
	if (IS_ENABLED(CONFIG_MEM_ALLOC_PROFILING_DEBUG))
		kunit_skip(test, "can't be switched off");

	switch_profiling(true);
	page = alloc_tagged(consumer(), GFP_KERNEL, 4);
	KUNIT_ASSERT_NOT_NULL(test, page);
	switch_profiling(false);
	__free_pages(page, 4);
	switch_profiling(true);
	expect_charged(test, consumer(), 0, 0);
	ua_drain_all();
	ua_expect_cache_charged(test);
	switch_profiling(was_on);
}

/* A page's old reference must not be taken for that of a larger chunk. */
static void unmapped_test_tag_grown(struct kunit *test)
{
	bool was_on = mem_alloc_profiling_enabled();
	struct page *page, *block;
	unsigned int nr = 0;

	needs_profiling(test);
	if (IS_ENABLED(CONFIG_MEM_ALLOC_PROFILING_DEBUG))
		kunit_skip(test, "can't be switched off");

	/* Its pages have no references. */
	switch_profiling(false);
	block = ua_alloc_or_fail(test, PMD_ORDER);
	__free_pages(block, PMD_ORDER);

	/* But the first one has, and those that came before it. */
	switch_profiling(true);
	do {
		page = alloc_tagged(consumer(), GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, page);
		ua_ctl.kept[nr++] = page;
	} while (page != block && nr < ARRAY_SIZE(ua_ctl.kept));
	KUNIT_EXPECT_PTR_EQ(test, page, block);
	switch_profiling(false);
	release_pages(ua_ctl.kept, nr);
	ua_drain_pcps();
	page = ua_alloc_or_fail(test, PMD_ORDER);
	KUNIT_EXPECT_PTR_EQ(test, page, block);
	switch_profiling(true);

	__free_pages(page, PMD_ORDER);
	expect_charged(test, consumer(), 0, 0);
	ua_expect_cache_charged(test);
	ua_drain_all();
	ua_expect_cache_charged(test);
	switch_profiling(was_on);
}

/* What the page allocator did not uncharge is nothing of the cache's. */
static void unmapped_test_tag_entered(struct kunit *test)
{
	bool was_on = mem_alloc_profiling_enabled();
	struct alloc_tag_counters before;
	struct page *area;
	unsigned int i;

	needs_profiling(test);
	if (IS_ENABLED(CONFIG_MEM_ALLOC_PROFILING_DEBUG))
		kunit_skip(test, "can't be switched off");

	switch_profiling(true);
	area = alloc_hooks_tag(other_consumer(),
			       alloc_pages_noprof(GFP_KERNEL, PMD_ORDER));
	KUNIT_ASSERT_NOT_NULL(test, area);
	before = alloc_tag_read(stale_consumer());
	for (i = 1; i < UNMAPPED_BLOCK_PAGES; i++)
		pgalloc_tag_move(area + i, 0, stale_consumer(), 1);
	ua_use_area(test, area, UNMAPPED_BLOCK_PAGES);
	__free_page(alloc_tagged(consumer(), GFP_KERNEL, 0));
	expect_charged(test, other_consumer(), 0, 0);
	ua_expect_cache_charged(test);
	KUNIT_EXPECT_EQ(test, alloc_tag_read(stale_consumer()).bytes,
			before.bytes + (UNMAPPED_BLOCK_PAGES - 1) * PAGE_SIZE);
	ua_drain_all();
	ua_expect_cache_charged(test);
	switch_profiling(was_on);
}

/* Pages that are given back while profiling is off. */
static void unmapped_test_tag_given_back(struct kunit *test)
{
	bool was_on = mem_alloc_profiling_enabled();

	needs_profiling(test);
	if (IS_ENABLED(CONFIG_MEM_ALLOC_PROFILING_DEBUG))
		kunit_skip(test, "can't be switched off");

	switch_profiling(true);
	__free_page(alloc_tagged(consumer(), GFP_KERNEL, 0));
	ua_expect_cache_charged(test);
	switch_profiling(false);
	ua_drain_all();
	switch_profiling(true);
	expect_charged(test, unmapped_cache(), 0, 0);

	/* Most likely, these are the same pages. */
	__free_page(alloc_tagged(consumer(), GFP_KERNEL, 0));
	ua_expect_cache_charged(test);
	ua_drain_all();
	expect_charged(test, unmapped_cache(), 0, 0);
	switch_profiling(was_on);
}

#define TAG_THREADS	4
#define TAG_ROUNDS	2000
#define TAG_KEPT	16

/* A thread of random load, and what it still has at the end. */
struct tag_load {
	struct alloc_tag *tag;
	struct rnd_state rnd;
	struct completion done;
	struct page *pages[TAG_KEPT];
	unsigned char orders[TAG_KEPT];
	unsigned long nr_pages;
	unsigned long calls;
};

static void load_free(struct tag_load *load, unsigned int i)
{
	if (!load->pages[i])
		return;

	__free_pages(load->pages[i], load->orders[i]);
	load->pages[i] = NULL;
	load->nr_pages -= 1UL << load->orders[i];
	load->calls--;
}

static void load_alloc(struct tag_load *load, unsigned int i)
{
	unsigned int order = prandom_u32_state(&load->rnd) % 8;

	/* Mostly single pages. */
	order = order > 4 ? order - 4 : 0;
	load->pages[i] = alloc_tagged(load->tag, GFP_KERNEL, order);
	if (!load->pages[i])
		return;

	load->orders[i] = order;
	load->nr_pages += 1UL << order;
	load->calls++;
}

static int run_load(void *arg)
{
	struct tag_load *load = arg;
	unsigned int i, round;

	for (round = 0; round < TAG_ROUNDS; round++) {
		i = prandom_u32_state(&load->rnd) % TAG_KEPT;
		if (load->pages[i])
			load_free(load, i);
		else
			load_alloc(load, i);
		if (!(round % 256))
			ua_drain_all();
	}
	complete(&load->done);
	return 0;
}

/* After any load, all sums are exact. */
static void unmapped_test_tag_load(struct kunit *test)
{
	struct tag_load *loads = kunit_kcalloc(test, TAG_THREADS, sizeof(*loads),
					       GFP_KERNEL);
	unsigned long nr_pages[2] = {}, calls[2] = {};
	struct unmapped_count count;
	unsigned int i, j;

	needs_profiling_on(test);
	KUNIT_ASSERT_NOT_NULL(test, loads);
	for (i = 0; i < TAG_THREADS; i++) {
		loads[i].tag = i % 2 ? other_consumer() : consumer();
		prandom_seed_state(&loads[i].rnd, i + 1);
		init_completion(&loads[i].done);
		KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(run_load, &loads[i],
							    "tag_load")));
	}
	for (i = 0; i < TAG_THREADS; i++) {
		wait_for_completion(&loads[i].done);
		nr_pages[i % 2] += loads[i].nr_pages;
		calls[i % 2] += loads[i].calls;
	}

	expect_charged(test, consumer(), nr_pages[0], calls[0]);
	expect_charged(test, other_consumer(), nr_pages[1], calls[1]);
	ua_expect_cache_charged(test);
	ua_count_all(&count);
	KUNIT_EXPECT_EQ(test, count.used, nr_pages[0] + nr_pages[1]);

	for (i = 0; i < TAG_THREADS; i++)
		for (j = 0; j < TAG_KEPT; j++)
			load_free(&loads[i], j);
	expect_charged(test, consumer(), 0, 0);
	expect_charged(test, other_consumer(), 0, 0);
}

static struct kunit_case ua_cases[] = {
	KUNIT_CASE(unmapped_test_tag_orders),
	KUNIT_CASE(unmapped_test_tag_frees),
	KUNIT_CASE(unmapped_test_tag_late_reference),
	KUNIT_CASE(unmapped_test_tag_nolock),
	KUNIT_CASE(unmapped_test_tag_bulk),
	KUNIT_CASE(unmapped_test_tag_reused),
	KUNIT_CASE(unmapped_test_tag_lost),
	KUNIT_CASE(unmapped_test_tag_lost_block),
	KUNIT_CASE(unmapped_test_tag_switched_on),
	KUNIT_CASE(unmapped_test_tag_switched_off),
	KUNIT_CASE(unmapped_test_tag_freed_off),
	KUNIT_CASE(unmapped_test_tag_grown),
	KUNIT_CASE(unmapped_test_tag_entered),
	KUNIT_CASE(unmapped_test_tag_given_back),
	KUNIT_CASE(unmapped_test_tag_load),
	{}
};

UA_SUITE("unmapped_alloc_tag", ua_cases);
