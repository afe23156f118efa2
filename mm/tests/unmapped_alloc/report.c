// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: free page reporting.
 */

#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/page_reporting.h>
#include <linux/pagemap.h>
#include <linux/scatterlist.h>
#include <linux/sched/mm.h>

#include "unmapped_alloc_kunit.h"

#define RUBBISH 0x5a5a5a5a5a5a5a5aUL

/* A device, and what happens while it has memory. Tests run one at a time. */
static struct {
	struct page_reporting_dev_info dev;
	struct kunit *test;
	unsigned long nr_pages;	/* reported so far, ... */
	unsigned int nr_chunks;
	unsigned long max_pages; /* ... and the most at a time */
	int err;
	void (*meanwhile)(struct kunit *test);
	struct page *page;	/* what that got */
	struct completion started, done;
	unsigned long (*empty)(int nid); /* empties the cache of ... */
	int nid;
	unsigned long nr_emptied;
} host;

/* The host may do with the contents of free memory what it wants. */
static int fake_report(struct page_reporting_dev_info *dev,
		       struct scatterlist *sgl, unsigned int nents)
{
	unsigned long i, nr, sum = 0;
	struct unmapped_count count;
	struct scatterlist *sg;
	int n;

	for_each_sg(sgl, sg, nents, n) {
		/* Or is it the page allocator's? */
		if (!unmapped_page(sg_page(sg)))
			continue;
		nr = sg->length >> PAGE_SHIFT;
		for (i = 0; !host.err && i < nr; i++)
			ua_with_page(host.test, sg_page(sg) + i, RUBBISH, true);
		sum += nr;
		host.nr_chunks++;
	}
	if (!sum)
		return host.err;

	ua_count_all(&count);
	KUNIT_EXPECT_EQ(host.test, count.transit, sum);
	KUNIT_EXPECT_EQ(host.test, count.owned,
			count.used + count.cached + count.transit);
	host.nr_pages += sum;
	host.max_pages = max(host.max_pages, sum);
	if (host.meanwhile)
		host.meanwhile(host.test);
	return host.err;
}

static void use_host(struct kunit *test)
{
	if (page_poisoning_enabled_static())
		kunit_skip(test, "free pages have a pattern");

	memset(&host, 0, sizeof(host));
	host.test = test;
	host.dev.report = fake_report;
	host.dev.no_access = true;
	host.dev.order = PAGE_REPORTING_ORDER_UNSPECIFIED;
	host.dev.capacity = PAGE_REPORTING_CAPACITY;
	init_completion(&host.started);
	init_completion(&host.done);
}

/* Returns what the page allocator's reporting gets to know. */
static int report_once(struct kunit *test)
{
	static struct scatterlist sgl[PAGE_REPORTING_CAPACITY];

	sg_init_table(sgl, ARRAY_SIZE(sgl));
	host.nr_pages = 0;
	host.nr_chunks = 0;
	host.max_pages = 0;
	ua_drain_pcps();
	return unmapped_alloc_report(&host.dev, sgl);
}

/* Now that nothing was allocated since the last report. */
static int report_all(struct kunit *test)
{
	report_once(test);
	return report_once(test);
}

static unsigned long nr_reported(void)
{
	unsigned long nr = 0;
	int nid, i;

	for_each_online_node(nid)
		for (i = 0; i < UNMAPPED_NR_ZONES; i++)
			nr += unmapped_zone_nr_reported(&unmapped_node(nid)->zones[i]);
	return nr;
}

/* Small chunks are reported, too, once nothing is allocated; all of them once. */
static void unmapped_test_report(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);

	use_host(test);
	KUNIT_EXPECT_EQ(test, report_once(test), 1);
	KUNIT_EXPECT_EQ(test, host.nr_pages, 0);

	KUNIT_EXPECT_EQ(test, report_once(test), 0);
	KUNIT_EXPECT_EQ(test, host.nr_pages, UNMAPPED_BLOCK_PAGES - 1);
	KUNIT_EXPECT_EQ(test, host.nr_chunks, PMD_ORDER);
	KUNIT_EXPECT_LE(test, host.max_pages, UNMAPPED_BLOCK_PAGES / 2);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 1);
	ua_expect_node_counts(test);

	KUNIT_EXPECT_EQ(test, report_once(test), 0);
	KUNIT_EXPECT_EQ(test, host.nr_pages, 0);
	ua_expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
}

/* Whole blocks do not wait. */
static void unmapped_test_report_block(struct kunit *test)
{
	use_host(test);
	unmapped_pages_free(ua_alloc_or_fail(test, 0), 0);
	KUNIT_EXPECT_EQ(test, report_once(test), 0);
	KUNIT_EXPECT_EQ(test, host.nr_pages, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, host.nr_chunks, 1);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, nr_reported(), 0);
}

/* What was reported is not zero any more: alone, in bulk, and as a chunk. */
static void unmapped_test_report_is_cleared(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0), *chunk;
	int i;

	use_host(test);
	/* All of it is known to be zero. */
	chunk = ua_alloc_or_fail(test, PMD_ORDER - 1);
	unmapped_pages_free(chunk, PMD_ORDER - 1);
	report_all(test);
	KUNIT_EXPECT_EQ(test, ua_with_page(test, chunk, RUBBISH, false), 0);

	chunk = ua_alloc_or_fail(test, PMD_ORDER - 1);
	ua_expect_zero(test, chunk, PMD_ORDER - 1);
	for (i = 0; i < 3; i++) {
		ua_ctl.kept[i] = ua_alloc_or_fail(test, 0);
		ua_expect_zero(test, ua_ctl.kept[i], 0);
	}
	release_pages(ua_ctl.kept, i);
	ua_drain_pcps();
	KUNIT_EXPECT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL, 255, ua_ctl.kept), 255);
	for (i = 0; i < 255; i++)
		ua_expect_zero(test, ua_ctl.kept[i], 0);
	release_pages(ua_ctl.kept, 255);
	unmapped_pages_free(chunk, PMD_ORDER - 1);
	unmapped_pages_free(page, 0);
}

/* A chunk that was reported merges with one that is zero: it is neither. */
static void unmapped_test_report_merged(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, PMD_ORDER - 1);

	use_host(test);
	report_all(test);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES / 2);
	unmapped_pages_free(page, PMD_ORDER - 1);
	KUNIT_EXPECT_EQ(test, nr_reported(), 0);
	page = ua_alloc_or_fail(test, PMD_ORDER);
	ua_expect_zero(test, page, PMD_ORDER);
	unmapped_pages_free(page, PMD_ORDER);

	KUNIT_EXPECT_EQ(test, report_once(test), 0);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES);
}

/* What is left of a chunk that was reported is not reported again. */
static void unmapped_test_report_split(struct kunit *test)
{
	struct page *page;

	use_host(test);
	unmapped_pages_free(ua_alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	report_all(test);
	page = ua_alloc_or_fail(test, 2);
	ua_expect_zero(test, page, 2);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 4);
	report_all(test);
	KUNIT_EXPECT_EQ(test, host.nr_pages, 0);

	/* Nor when it becomes a fragment. */
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page), 1));
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 4);
	ua_expect_node_counts(test);
	report_all(test);
	KUNIT_EXPECT_EQ(test, host.nr_pages, 0);
	unmapped_pages_free(page, 2);
}

/* Memory that the host did not accept is reported again. */
static void unmapped_test_report_fails(struct kunit *test)
{
	use_host(test);
	unmapped_pages_free(ua_alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	host.err = -EIO;
	KUNIT_EXPECT_EQ(test, report_once(test), -EIO);
	KUNIT_EXPECT_EQ(test, nr_reported(), 0);
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	host.err = 0;
	KUNIT_EXPECT_EQ(test, report_once(test), 0);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES);
}

/* A device that might access the pages gets none. */
static void unmapped_test_report_not_to_all(struct kunit *test)
{
	use_host(test);
	unmapped_pages_free(ua_alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	host.dev.no_access = false;
	KUNIT_EXPECT_EQ(test, report_all(test), 0);
	KUNIT_EXPECT_EQ(test, host.nr_pages, 0);
	KUNIT_EXPECT_EQ(test, nr_reported(), 0);
}

/* More chunks than the device takes at a time. */
static void unmapped_test_report_many(struct kunit *test)
{
	unsigned int i, nr = UNMAPPED_BLOCK_PAGES / 2;
	struct page *pages[4];

	use_host(test);
	KUNIT_ASSERT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE, NULL,
							UNMAPPED_BLOCK_PAGES, ua_ctl.kept),
			UNMAPPED_BLOCK_PAGES);
	/* Not next to each other. */
	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++)
		if (page_to_pfn(ua_ctl.kept[i]) % 2)
			unmapped_pages_free(ua_ctl.kept[i], 0);
	ua_drain_pcps();
	report_all(test);
	KUNIT_EXPECT_EQ(test, host.nr_chunks, nr);
	KUNIT_EXPECT_EQ(test, host.max_pages, PAGE_REPORTING_CAPACITY);
	KUNIT_EXPECT_EQ(test, nr_reported(), nr);

	/* Those that are not reported yet are found behind others, too. */
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = unmapped_pages_alloc(GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		unmapped_pages_free(pages[i], 0);
	report_all(test);
	KUNIT_EXPECT_GE(test, host.nr_pages, ARRAY_SIZE(pages));
	KUNIT_EXPECT_EQ(test, nr_reported(), nr);

	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++)
		if (!(page_to_pfn(ua_ctl.kept[i]) % 2))
			unmapped_pages_free(ua_ctl.kept[i], 0);
}

static void alloc_meanwhile(struct kunit *test)
{
	if (!host.page)
		host.page = unmapped_pages_alloc(GFP_NOWAIT, 0);
}

/* A caller that can't wait gets a page while others are being reported. */
static void unmapped_test_report_leaves_some(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);

	use_host(test);
	host.meanwhile = alloc_meanwhile;
	report_all(test);
	KUNIT_EXPECT_NOT_NULL(test, host.page);
	if (host.page)
		unmapped_pages_free(host.page, 0);
	unmapped_pages_free(page, 0);
}

/* One that can wait refills the cache. */
static void unmapped_test_report_refill(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, PMD_ORDER - 1), *other;

	use_host(test);
	host.meanwhile = alloc_meanwhile;
	report_all(test);
	KUNIT_EXPECT_NULL(test, host.page);
	other = ua_alloc_or_fail(test, PMD_ORDER - 1);
	unmapped_pages_free(other, PMD_ORDER - 1);
	unmapped_pages_free(page, PMD_ORDER - 1);
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
}

static int empty_cache(void *arg)
{
	wait_for_completion(&host.started);
	host.nr_emptied = host.empty(host.nid);
	complete_all(&host.done);
	return 0;
}

/* The cache is being emptied, but not while the host has the memory. */
static void expect_it_waits(struct kunit *test)
{
	complete(&host.started);
	KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&host.done, HZ / 5), 0);
}

static void expect_waits_for_report(struct kunit *test,
				    unsigned long (*empty)(int nid))
{
	struct page *page = ua_alloc_or_fail(test, PMD_ORDER);
	struct task_struct *task;

	use_host(test);
	host.nid = page_to_nid(page);
	host.empty = empty;
	host.meanwhile = expect_it_waits;
	unmapped_pages_free(page, PMD_ORDER);
	task = kthread_run(empty_cache, NULL, "unmapped_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	report_once(test);
	KUNIT_EXPECT_EQ(test, host.nr_pages, UNMAPPED_BLOCK_PAGES);
	wait_for_completion(&host.done);
	KUNIT_EXPECT_EQ(test, host.nr_emptied, UNMAPPED_BLOCK_PAGES);
	ua_expect_count(test, 0, 0);
}

/* Hibernation, memory that goes offline, alloc_contig_range() */
static void unmapped_test_report_drain(struct kunit *test)
{
	expect_waits_for_report(test, unmapped_alloc_drain);
}

static unsigned long reclaim(int nid)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct unmapped_count before, after;

	/* Reclaim waits for a second at most, which a slow machine may need. */
	unmapped_node(nid)->report_start = jiffies + 60 * HZ;
	unmapped_alloc_count(nid, &before);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, false, 0);
	unmapped_alloc_count(nid, &after);
	memalloc_noreclaim_restore(noreclaim);
	return before.owned - after.owned;
}

/* Nothing else is free: the next step would be to kill a process. */
static void unmapped_test_report_reclaim(struct kunit *test)
{
	expect_waits_for_report(test, reclaim);
}

/* Nothing is taken while the cache is being emptied. */
static void unmapped_test_report_paused(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, PMD_ORDER);
	struct unmapped_node *node = unmapped_node(page_to_nid(page));

	use_host(test);
	unmapped_pages_free(page, PMD_ORDER);
	unmapped_report_pause(node);
	KUNIT_EXPECT_EQ(test, report_once(test), 1);
	KUNIT_EXPECT_EQ(test, host.nr_pages, 0);
	unmapped_report_resume(node);
	KUNIT_EXPECT_EQ(test, report_once(test), 0);
	KUNIT_EXPECT_EQ(test, host.nr_pages, UNMAPPED_BLOCK_PAGES);
}

#if defined(CONFIG_MEMORY_ISOLATION) && defined(CONFIG_CONTIG_ALLOC)
/* What is about to go offline is left alone. */
static void unmapped_test_report_isolated(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);

	use_host(test);
	ua_isolate_block_of(test, page);
	report_all(test);
	KUNIT_EXPECT_EQ(test, nr_reported(), 0);
	ua_undo_isolate_block_of(page);
	report_all(test);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
}
#endif

static void unmapped_test_report_poisoned(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0), *bad;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "no memory failure handling");

	use_host(test);
	bad = ua_block_of(page) + (page == ua_block_of(page));
	ua_drain_pcps();
	ua_with_page(test, bad, MARK, true);
	SetPageHWPoison(bad);
	report_all(test);
	report_all(test);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 2);
	KUNIT_EXPECT_EQ(test, ua_with_page(test, bad, MARK, false), 0);
	unmapped_pages_free(page, 0);
	ua_drain_pcps();
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page),
							  1));
	ua_drain_all();
}

/*
 * As long as something was allocated, another report follows. What
 * flush_delayed_work() returns does not tell that: it can find the work done.
 */
static void flush_reports(void)
{
	do {
		flush_delayed_work(&host.dev.work);
	} while (delayed_work_pending(&host.dev.work));
}

/* Called by the page allocator's reporting, when there is something to report. */
static void unmapped_test_report_registered(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	struct unmapped_node *node = unmapped_node(page_to_nid(page));

	use_host(test);
	ua_drain_pcps();
	if (page_reporting_register(&host.dev)) {
		unmapped_pages_free(page, 0);
		kunit_skip(test, "there is a device already");
	}
	flush_reports();
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 1);

	/* A block is whole. */
	unmapped_pages_free(page, 0);
	ua_drain_pcps();
	flush_reports();
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES);

	/* A smaller chunk is free, when the idle work looks. */
	page = ua_alloc_or_fail(test, 1);
	unmapped_pages_free(ua_alloc_or_fail(test, 0), 0);
	ua_drain_pcps();
	flush_reports();
	unmapped_report_wake(node);
	flush_reports();
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 2);
	page_reporting_unregister(&host.dev);
	unmapped_pages_free(page, 1);
}

static struct kunit_case ua_cases[] = {
	KUNIT_CASE(unmapped_test_report),
	KUNIT_CASE(unmapped_test_report_block),
	KUNIT_CASE(unmapped_test_report_is_cleared),
	KUNIT_CASE(unmapped_test_report_merged),
	KUNIT_CASE(unmapped_test_report_split),
	KUNIT_CASE(unmapped_test_report_fails),
	KUNIT_CASE(unmapped_test_report_not_to_all),
	KUNIT_CASE(unmapped_test_report_many),
	KUNIT_CASE(unmapped_test_report_leaves_some),
	KUNIT_CASE(unmapped_test_report_refill),
	KUNIT_CASE(unmapped_test_report_drain),
	KUNIT_CASE(unmapped_test_report_reclaim),
	KUNIT_CASE(unmapped_test_report_paused),
#if defined(CONFIG_MEMORY_ISOLATION) && defined(CONFIG_CONTIG_ALLOC)
	KUNIT_CASE(unmapped_test_report_isolated),
#endif
	KUNIT_CASE(unmapped_test_report_poisoned),
	KUNIT_CASE(unmapped_test_report_registered),
	{}
};

UA_SUITE("unmapped_alloc_report", ua_cases);
