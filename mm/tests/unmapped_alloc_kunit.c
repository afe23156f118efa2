// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for the unmapped page allocator.
 *
 * Nothing else may use the allocator while they run, because they count pages.
 *
 * The contents of pages are checked through a mapping of the test's own, made
 * by vmap(), never through the allocator's: if that one mapped the wrong page,
 * the test would see the wrong page, too.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/alloc_tag.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/folio_batch.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/page-isolation.h>
#include <linux/page_reporting.h>
#include <linux/pagemap.h>
#include <linux/pgalloc_tag.h>
#include <linux/prandom.h>
#include <linux/scatterlist.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/set_memory.h>
#include <linux/sort.h>
#include <linux/smp.h>
#include <linux/text-patching.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/unmapped_alloc.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include "../internal.h"
#include "../page_alloc.h"
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

/* Input and output of the stubs. Tests run one at a time. */
static struct {
	int max_order;		/* larger requests to the page allocator fail */
	struct page *area;	/* if set, hand out pieces of this ... */
	unsigned int left;	/* ... while this many pages of it are left */
	unsigned int level;	/* direct map level of the last page */
	unsigned int nr_asked;	/* requests to the page allocator, ... */
	unsigned int nr_wake;	/* ... those of them that may wake kswapd, ... */
	unsigned int nr_hard;	/* ... those that may reclaim, ... */
	unsigned int hard_order; /* ... and the last one's order */
	enum zone_watermarks can_spare; /* zones are above this watermark only */
	unsigned int nr_looked;	/* how often that was asked of a zone */
	unsigned int fail_at;	/* set_direct_map fails at this page ... */
	bool fail_valid;	/* ... when asked for this */
	bool fail_both;		/* ... or for either */
	int nr_fails;		/* this many times */
	unsigned int nr_breaks;	/* how often a block in transit was broken */
	struct read_page read;
	struct task_struct *traced; /* whose allocations are counted, ... */
	struct page *last_traced; /* ... the last one ... */
	unsigned int nr_traced;	/* ... and how many there were */
	struct page *kept[UNMAPPED_BLOCK_PAGES];
} ctl;

/* === Helpers ============================================================= */

/* Without kernel text: there is always some, at least that of this module. */
static void count_all(struct unmapped_count *sum)
{
	long text = unmapped_text_count(UNMAPPED_TEXT_BYTES) >> PAGE_SHIFT;
	struct unmapped_count count;
	int nid;

	*sum = (struct unmapped_count){
		.owned = -text,
		.used = -text,
	};
	for_each_online_node(nid) {
		unmapped_alloc_count(nid, &count);
		sum->owned += count.owned;
		sum->used += count.used;
		sum->cached += count.cached;
		sum->transit += count.transit;
		sum->lost += count.lost;
	}
}

/* The node's counter, and what is not added to it yet. */
static unsigned long nr_no_direct_map(int nid)
{
	struct pglist_data *pgdat = NODE_DATA(nid);
	long nr = atomic_long_read(&pgdat->vm_stat[NR_NO_DIRECT_MAP]);
	int cpu;

	for_each_possible_cpu(cpu)
		nr += per_cpu_ptr(pgdat->per_cpu_nodestats, cpu)->
				vm_node_stat_diff[NR_NO_DIRECT_MAP];
	return nr;
}

/* The counters of each node add up. */
static void expect_node_counts(struct kunit *test)
{
	struct unmapped_count count;
	int nid;

	for_each_online_node(nid) {
		unmapped_alloc_count(nid, &count);
		KUNIT_EXPECT_EQ(test, nr_no_direct_map(nid), count.owned);
		KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(nid));
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

/* Move all free pages to the lists of their zones. */
static void drain_pcps(void)
{
	int nid, i;

	for_each_online_node(nid)
		for (i = 0; i < UNMAPPED_NR_ZONES; i++)
			unmapped_pcp_drain(&unmapped_node(nid)->zones[i]);
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

static unsigned long nr_events(enum vm_event_item item)
{
	static unsigned long events[NR_VM_EVENT_ITEMS];

	all_vm_events(events);
	return events[item];
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

	/* debug_pagealloc unmaps free pages, whoever owns them. */
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

/* Replaces the page allocator. Its pages have no reference yet. */
static struct page *fake_source_alloc(gfp_t gfp, unsigned int order, int nid,
				      nodemask_t *nodemask)
{
	struct page *page;

	ctl.nr_asked++;
	ctl.nr_wake += !!(gfp & __GFP_KSWAPD_RECLAIM);
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

/* Make the fake source hand out the first @nr pages of @area, once. */
static void use_area(struct kunit *test, struct page *area, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		set_page_count(area + i, 0);
	ctl.area = area;
	ctl.left = nr;
	use_fake_source(test, PMD_ORDER);
}

/* Fails after the first ctl.fail_at pages if a failure is due. */
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

/* A chunk that is freed page by page merges, too. */
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

/* Every page of a block is handed out once, then the next block is used. */
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

/* Hands out memory with old contents. */
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
	unmapped_clear_chunk(folio_page(folio, 0), 2);
	expect_zero(test, folio_page(folio, 0), 2);
	folio_put(folio);
}

/* A folio removed from a file is cleared even if it has another reference. */
static void unmapped_test_free_folio(struct kunit *test)
{
	struct folio *folio = unmapped_folio_alloc(GFP_KERNEL, 0);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	fill_pages(test, folio_page(folio, 0), 0);
	/* References of the page cache, the truncating task, and another. */
	folio_ref_add(folio, 2);
	unmapped_free_folio(folio);
	expect_zero(test, folio_page(folio, 0), 0);
	folio_put_refs(folio, 3);
}

/* Pages in the cache have no old contents. */
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

/* A block enters the cache uncleared; each page is cleared when it leaves. */
static void unmapped_test_cleared_when_handed_out(struct kunit *test)
{
	struct page *block, *page, *more;
	int i, nr = 0;

	if (want_init_on_free())
		kunit_skip(test, "free pages are zero already");

	kunit_activate_static_stub(test, unmapped_source_alloc,
				   dirty_source_alloc);
	page = alloc_or_fail(test, 0);
	block = pfn_to_page(ALIGN_DOWN(page_to_pfn(page), UNMAPPED_BLOCK_PAGES));
	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++)
		nr += !with_page(test, block + i, 0, false);
	KUNIT_EXPECT_EQ(test, nr, 1);

	/* As single pages, as a chunk, and merged with pages that are zero. */
	more = alloc_or_fail(test, PMD_ORDER - 1);
	expect_zero(test, more, PMD_ORDER - 1);
	unmapped_pages_free(page, 0);
	unmapped_pages_free(more, PMD_ORDER - 1);
	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++) {
		ctl.kept[i] = alloc_or_fail(test, 0);
		expect_zero(test, ctl.kept[i], 0);
	}
	expect_count(test, UNMAPPED_BLOCK_PAGES, 0);
	release_pages(ctl.kept, UNMAPPED_BLOCK_PAGES);

	/* All of it has been handed out, and is zero now. */
	expect_zero(test, block, PMD_ORDER);
	drain_pcps();
	KUNIT_EXPECT_TRUE(test, unmapped_page_zeroed(block));
}

/* A page that is zero merges with others that are not. */
static void unmapped_test_merged_is_cleared(struct kunit *test)
{
	struct page *page;

	kunit_activate_static_stub(test, unmapped_source_alloc,
				   dirty_source_alloc);
	unmapped_pages_free(alloc_or_fail(test, 0), 0);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	page = alloc_or_fail(test, PMD_ORDER);
	expect_zero(test, page, PMD_ORDER);
	unmapped_pages_free(page, PMD_ORDER);
}

/* Pages of a bulk request are zero, too. */
static void unmapped_test_bulk_is_zero(struct kunit *test)
{
	const int nr = UNMAPPED_BLOCK_PAGES - 3;
	int i;

	kunit_activate_static_stub(test, unmapped_source_alloc,
				   dirty_source_alloc);
	KUNIT_ASSERT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL, nr, ctl.kept), nr);
	for (i = 0; i < nr; i++)
		expect_zero(test, ctl.kept[i], 0);
	release_pages(ctl.kept, nr);
}

/* All pages of a batch of folios are cleared together, and no others. */
static void unmapped_test_batch_is_cleared(struct kunit *test)
{
	struct folio_batch batch;
	struct page *other;
	unsigned int i;

	folio_batch_init(&batch);
	other = alloc_or_fail(test, 0);
	with_page(test, other, MARK, true);
	for (i = 0; i < FOLIO_BATCH_SIZE; i++) {
		/* Mix in ordinary pages and larger folios. */
		if (i % 7 == 3)
			ctl.kept[i] = alloc_page(GFP_KERNEL | __GFP_COMP);
		else
			ctl.kept[i] = unmapped_pages_alloc(GFP_KERNEL | __GFP_COMP,
							   i % 5 ? 0 : 2);
		KUNIT_ASSERT_NOT_NULL(test, ctl.kept[i]);
		with_page(test, ctl.kept[i], MARK, true);
		folio_batch_add(&batch, page_folio(ctl.kept[i]));
	}
	folios_put(&batch);
	for (i = 0; i < FOLIO_BATCH_SIZE; i++)
		if (i % 7 != 3)
			expect_zero(test, ctl.kept[i], 0);
	KUNIT_EXPECT_EQ(test, with_page(test, other, MARK, false), 0);
	unmapped_pages_free(other, 0);
	KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(numa_mem_id()));
}

/* The CPU's own mapping shows the requested page each time. */
static void unmapped_test_page_copy(struct kunit *test)
{
	unsigned long *buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct page *page = alloc_or_fail(test, 1);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	with_page(test, page, MARK, true);
	with_page(test, page + 1, MARK + 1, true);
	for (i = 0; i < 4; i++) {
		unmapped_page_copy(page + i % 2, buf, false);
		KUNIT_EXPECT_EQ(test, buf[i], MARK + i % 2);
	}
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	memset(buf, 0x5a, PAGE_SIZE);
	unmapped_page_copy(page, buf, true);
	KUNIT_EXPECT_EQ(test, with_page(test, page, buf[0], false), 0);
	KUNIT_EXPECT_EQ(test, with_page(test, page + 1, MARK + 1, false), 0);
	expect_present(test, page, 1, false);
	unmapped_pages_free(page, 1);
}

/* Reads the addresses where CPUs clear pages, like speculation would. */
static int read_clear_areas(void *arg)
{
	unsigned long *nr_read = arg, start, end, addr, word;
	struct mm_struct *mm;
	int cpu;

	while (!kthread_should_stop()) {
		for_each_online_cpu(cpu) {
			if (!unmapped_clear_area(&start, &end, cpu, &mm))
				continue;
			for (addr = start; addr < end; addr += PAGE_SIZE) {
				pagefault_disable();
				*nr_read += !__copy_from_user_inatomic(&word,
							(void __user *)addr,
							sizeof(word));
				pagefault_enable();
			}
		}
		cond_resched();
	}
	return 0;
}

/* Other CPUs never see the mapping through which a CPU clears pages. */
static void unmapped_test_clear_is_private(struct kunit *test)
{
	int i, self = raw_smp_processor_id();
	int cpu = cpumask_any_but(cpu_online_mask, self);
	unsigned long nr_read = 0, start, end;
	struct mm_struct *mm[2] = {};
	struct task_struct *reader;
	struct page *page;

	if (cpu >= nr_cpu_ids)
		kunit_skip(test, "there is no other CPU");

	/* Each test has a thread of its own, which ends with the test. */
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(self)), 0);
	reader = kthread_run_on_cpu(read_clear_areas, &nr_read, cpu,
				    "unmapped_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(reader));
	for (i = 0; i < 20000; i++) {
		page = unmapped_pages_alloc(GFP_KERNEL, i % 4 ? 0 : 5);
		if (page)
			unmapped_pages_free(page, i % 4 ? 0 : 5);
		cond_resched();
	}
	kthread_stop(reader);
	KUNIT_EXPECT_EQ(test, nr_read, 0);

	KUNIT_EXPECT_TRUE(test, unmapped_clear_area(&start, &end, cpu, &mm[0]));
	KUNIT_EXPECT_TRUE(test, unmapped_clear_area(&start, &end, self, &mm[1]));
	KUNIT_EXPECT_PTR_NE(test, mm[0], mm[1]);
	for_each_online_cpu(cpu)
		KUNIT_EXPECT_TRUE(test, unmapped_clear_area_empty(cpu));
}

/* No kernel address maps any of the pages, whatever was done with them. */
static void unmapped_test_not_mapped_anywhere(struct kunit *test)
{
	unsigned long i, nr, seen;
	void *addr;

	nr = unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE, NULL,
				       ARRAY_SIZE(ctl.kept), ctl.kept);
	for (i = 0; i < nr; i += 3) {
		unmapped_pages_free(ctl.kept[i], 0);
		ctl.kept[i] = alloc_or_fail(test, 0);
	}
	KUNIT_EXPECT_EQ(test, unmapped_count_mappings(true, &seen), 0);
	KUNIT_EXPECT_GT(test, seen, 0);

	/* A mapping that does exist is found. */
	addr = vmap(ctl.kept, 2, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_EQ(test, unmapped_count_mappings(true, &seen), 2);
	vunmap(addr);
	vm_unmap_aliases();
	KUNIT_EXPECT_EQ(test, unmapped_count_mappings(true, &seen), 0);
	release_pages(ctl.kept, nr);
}

/* The mapping keeps the page from being reused. */
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
	unmapped_page_vunmap_flush();
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	expect_zero(test, page, 0);
}

/* The flushes since @start that are due to time, not to the number of mappings. */
static unsigned long timed_flushes(unsigned long start)
{
	return (jiffies - start) / HZ + 1;
}

/* Mappings that are dropped are removed 64 at a time, with a single flush. */
static void unmapped_test_vmap_batch(struct kunit *test)
{
	const unsigned long nr_batches = 4, nr = nr_batches * UNMAPPED_VMAP_BATCH;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	void **maps = kunit_kcalloc(test, nr, sizeof(*maps), GFP_KERNEL);
	unsigned long flushes, start, seen, i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_ASSERT_NOT_NULL(test, maps);
	KUNIT_ASSERT_EQ(test, nr,
			unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE, NULL,
						  nr, pages));
	for (i = 0; i < nr; i++) {
		maps[i] = unmapped_page_vmap(pages[i]);
		KUNIT_ASSERT_NOT_NULL(test, maps[i]);
		KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page(maps[i]), pages[i]);
	}

	unmapped_page_vunmap_flush();
	start = jiffies;
	flushes = atomic_long_read(&unmapped_vmap_flushes);
	for (i = 0; i < nr; i++)
		unmapped_page_vunmap(maps[i]);
	flushes = atomic_long_read(&unmapped_vmap_flushes) - flushes;
	KUNIT_EXPECT_LE(test, flushes, nr_batches + timed_flushes(start));
	KUNIT_EXPECT_GE(test, flushes, nr_batches);

	unmapped_page_vunmap_flush();
	KUNIT_EXPECT_EQ(test, unmapped_count_mappings(true, &seen), 0);
	/* No mapping has kept a reference. */
	release_pages(pages, nr);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
}

/* Pages that take turns get their mappings back, so there is nothing to flush. */
static void unmapped_test_vmap_again(struct kunit *test)
{
	struct page *pages[] = { alloc_or_fail(test, 0), alloc_or_fail(test, 0) };
	unsigned long flushes, start;
	void *map = NULL, *next;
	int i;

	unmapped_page_vunmap_flush();
	start = jiffies;
	flushes = atomic_long_read(&unmapped_vmap_flushes);
	for (i = 0; i < 100 * UNMAPPED_VMAP_BATCH; i++) {
		next = unmapped_page_vmap(pages[i % 2]);
		KUNIT_ASSERT_NOT_NULL(test, next);
		KUNIT_ASSERT_PTR_EQ(test, vmalloc_to_page(next), pages[i % 2]);
		if (map)
			unmapped_page_vunmap(map);
		map = next;
	}
	KUNIT_EXPECT_LE(test, atomic_long_read(&unmapped_vmap_flushes) - flushes,
			timed_flushes(start));

	unmapped_page_vunmap(map);
	unmapped_page_vunmap_flush();
	release_pages(pages, ARRAY_SIZE(pages));
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
}

/* A mapping that was dropped is removed in time, even if it is the only one. */
static void unmapped_test_vmap_timer(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	void *map = unmapped_page_vmap(page);

	KUNIT_ASSERT_NOT_NULL(test, map);
	unmapped_page_vunmap(map);
	unmapped_pages_free(page, 0);
	/* Unless the second is over, this does not wait for it to be. */
	unmapped_vmap_flush_work();
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	expect_zero(test, page, 0);
}

/* Reads what a mapping shows the way /proc/kcore does. */
static void expect_vread(struct kunit *test, const void *map, size_t offset,
			 size_t len, const void *expected)
{
	char *buf = kunit_kzalloc(test, len, GFP_KERNEL);
	struct kvec kvec = { .iov_base = buf, .iov_len = len };
	struct iov_iter iter;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	iov_iter_kvec(&iter, ITER_DEST, &kvec, 1, len);
	KUNIT_EXPECT_EQ(test, vread_iter(&iter, map + offset, len), len);
	KUNIT_EXPECT_EQ(test, iov_iter_count(&iter), 0);
	KUNIT_EXPECT_MEMEQ(test, buf, expected + offset, len);
}

static void unmapped_test_vread(struct kunit *test)
{
	struct page *pages[4], *page = alloc_or_fail(test, 1);
	struct page *mapped = alloc_pages(GFP_KERNEL, 1);
	int i, nr = ARRAY_SIZE(pages) * PAGE_SIZE / sizeof(int);
	int *map;

	KUNIT_ASSERT_NOT_NULL(test, mapped);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = (i % 2 ? page : mapped) + i / 2;
	map = vmap(pages, ARRAY_SIZE(pages), VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, map);
	for (i = 0; i < nr; i++)
		map[i] = MARK + i;

	expect_vread(test, map, 0, ARRAY_SIZE(pages) * PAGE_SIZE, map);
	expect_vread(test, map, PAGE_SIZE + 3, 1000, map);
	expect_vread(test, map, 2 * PAGE_SIZE - 5, 10, map);
	expect_present(test, page, 1, false);
	vunmap(map);
	__free_pages(mapped, 1);
	unmapped_pages_free(page, 1);
}

/* Debuggers and BPF read where a page is mapped, and fault in the direct map. */
static void unmapped_test_nofault(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	unsigned long word = 0, *map;

	map = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, map);
	map[1] = MARK;
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&word, map + 1,
						       sizeof(word)), 0);
	KUNIT_EXPECT_EQ(test, word, MARK);
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&word,
						       page_address(page) + 8,
						       sizeof(word)), -EFAULT);
	KUNIT_EXPECT_EQ(test, word, 0);
	vunmap(map);
	unmapped_pages_free(page, 0);
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
	/* The level is 3 if the block was part of a 1 GiB entry. */
	KUNIT_EXPECT_GE(test, direct_map_level(page), before);
	expect_present(test, page, PMD_ORDER, true);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
}

static void unmapped_test_one_flush_a_block(struct kunit *test)
{
	unsigned long before = nr_events(UNMAPPED_TLB_FLUSH);
	struct page *page[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = alloc_or_fail(test, 0);
	for (i = 0; i < ARRAY_SIZE(page); i++)
		unmapped_pages_free(page[i], 0);
	drain_all();
	KUNIT_EXPECT_EQ(test, nr_events(UNMAPPED_TLB_FLUSH) - before, 1);
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

	block = alloc_or_fail(test, PMD_ORDER);
	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++)
		ctl.kept[i] = block + i;
	level = direct_map_level(block);
	old = direct_map_entry(block);
	splits = nr_events(DIRECT_MAP_LEVEL2_SPLIT);

	for (nr = 1; nr <= UNMAPPED_BLOCK_PAGES; nr *= 8) {
		map = vmap(ctl.kept, nr, VM_MAP, PAGE_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, map);
		change_prot(test, map, nr);
		vunmap(map);

		KUNIT_EXPECT_EQ(test, direct_map_level(block), level);
		KUNIT_EXPECT_EQ(test, pte_val(direct_map_entry(block)),
				pte_val(old));
		expect_present(test, block, PMD_ORDER, false);
	}
	KUNIT_EXPECT_EQ(test, nr_events(DIRECT_MAP_LEVEL2_SPLIT), splits);
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
	struct page *pages[2], *page = alloc_or_fail(test, 1);
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
	expect_present(test, page, 1, false);
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
		before = nr_events(NR_TLB_REMOTE_FLUSH);
		expect_prot(test, set_memory_ro(addr, 1), map, _PAGE_NX);
		expect_prot(test, set_memory_rw(addr, 1), map,
			    _PAGE_NX | _PAGE_RW);
		least = min(least, nr_events(NR_TLB_REMOTE_FLUSH) - before);
	}
	vunmap(map);
	return least;
}

/* All of the TLB is flushed for an alias that is present, not for an absent one. */
static void unmapped_test_alias_prot_flush(struct kunit *test)
{
	struct page *mapped = alloc_page(GFP_KERNEL);
	struct page *page = alloc_or_fail(test, 0);

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
	struct page *page = fake_source_alloc(gfp, order, nid, nodemask);

	ctl.read.page = page;
	atomic_set(&ctl.read.nr_read, 0);
	on_each_cpu(read_page, &ctl.read, true);
	return page;
}

/* A CPU can't read the page through a translation cached before. */
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

/* Exactly the fragment that is added to the cache is unmapped. */
static void unmapped_test_fragment(struct kunit *test)
{
	struct page *page;

	use_fake_source(test, 4);
	page = alloc_or_fail(test, 1);
	expect_count(test, 2, 14);
	expect_present(test, page, 4, false);
	expect_present(test, page + 16, 0, true);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page + 16));
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_FRAGMENT, 3), 1);

	unmapped_pages_free(page, 1);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_FRAGMENT, 4), 1);
	KUNIT_EXPECT_EQ(test, drain_all(), 16);
	expect_present(test, page, 4, true);
	KUNIT_EXPECT_GE(test, direct_map_level(page), ctl.level);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
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
	before = direct_map_level(area);
	split_page(area, PMD_ORDER);
	use_area(test, area, 8);
	unmapped_pages_free(alloc_or_fail(test, 3), 3);
	for (i = 8; i < UNMAPPED_BLOCK_PAGES; i++)
		__free_page(area + i);
	if (before < 2)
		kunit_skip(test, "no large entries to look at");
	KUNIT_EXPECT_EQ(test, direct_map_level(area), 1);

	kunit_activate_static_stub(test, unmapped_collapse_now, *now);
	if (reclaim)
		noreclaim = memalloc_noreclaim_save();
	KUNIT_EXPECT_EQ(test, drain_all(), 8);
	if (reclaim)
		memalloc_noreclaim_restore(noreclaim);
	expect_present(test, area, 3, true);
	unmapped_collapse_wait();
	KUNIT_EXPECT_GE(test, direct_map_level(area), before);
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
	if (direct_map_level(area[1]) < 2)
		kunit_skip(test, "no large entries to look at");
	KUNIT_EXPECT_EQ(test, unmapped_set_direct_map(area[1], 1, false), 0);
	KUNIT_EXPECT_EQ(test, unmapped_set_direct_map(area[1], 1, true), 0);

	for (i = 0; i < 3; i += 2) {
		split_page(area[i], PMD_ORDER);
		use_area(test, area[i], 8);
		chunk[i] = alloc_or_fail(test, 3);
	}
	for (i = 0; i < 3; i += 2) {
		unmapped_pages_free(chunk[i], 3);
		for (j = 8; j < UNMAPPED_BLOCK_PAGES; j++)
			__free_page(area[i] + j);
	}

	noreclaim = memalloc_noreclaim_save();
	KUNIT_EXPECT_EQ(test, drain_all(), 16);
	memalloc_noreclaim_restore(noreclaim);
	unmapped_collapse_wait();
	KUNIT_EXPECT_GE(test, direct_map_level(area[0]), 2);
	KUNIT_EXPECT_EQ(test, direct_map_level(area[1]), 1);
	KUNIT_EXPECT_GE(test, direct_map_level(area[2]), 2);

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

/* A nodemask excludes pages that are cached on other nodes. */
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

/* The zone's lists are accessed once for many order-0 pages. */
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
	KUNIT_EXPECT_GE(test, unmapped_pcp_count(uz), UNMAPPED_PCP_BATCH);
	KUNIT_EXPECT_LT(test, unmapped_pcp_count(uz), 2 * UNMAPPED_PCP_BATCH);
	migrate_enable();

	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	drain_pcps();
	KUNIT_EXPECT_EQ(test, unmapped_pcp_count(uz), 0);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* A CPU's list is filled from small chunks if they fill half of it. */
static void unmapped_test_pcp_splits_nothing(struct kunit *test)
{
	const int half = UNMAPPED_BLOCK_PAGES / 2, nr = UNMAPPED_PCP_BATCH / 2;
	/* The number of chunks that are taken at a time. */
	const int taken_at_once = min(nr, UNMAPPED_BATCH);
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
	KUNIT_EXPECT_EQ(test, unmapped_pcp_count(uz), taken_at_once - 1);
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

/* Pages do not stay on the list of a CPU that goes offline. */
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
	unsigned long flushes = nr_events(UNMAPPED_TLB_FLUSH);
	int i, present = 0, nonzero = 0;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_EXPECT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL, nr, pages), nr);
	KUNIT_EXPECT_EQ(test, nr_events(UNMAPPED_TLB_FLUSH) - flushes, 1);
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

/* If memory runs out, a bulk request returns as many pages as there are. */
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

	kunit_deactivate_static_stub(test, unmapped_demand_next);
	guard(mutex)(&node->refill_lock);
	node->refilled = jiffies - 2 * HZ;
	KUNIT_EXPECT_EQ(test, unmapped_demand_next(node), 1);
	for (i = 0; i < 8; i++) {
		batch = unmapped_demand_next(node);
		KUNIT_EXPECT_GE(test, batch, before);
		KUNIT_EXPECT_LE(test, batch, 2 * before);
		before = batch;
	}
	/* It doubles more than once if 1/128 of the node is five blocks. */
	if (node_present_pages(node->nid) >= 5 * 128 * UNMAPPED_BLOCK_PAGES)
		KUNIT_EXPECT_GT(test, batch, 2);
	node->refilled = jiffies - 2 * HZ;
	KUNIT_EXPECT_EQ(test, unmapped_demand_next(node), 1);
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

	allow_signal(SIGKILL);
	caller->page = unmapped_pages_alloc(GFP_KERNEL, 0);
	complete(&caller->done);
	return 0;
}

/* Several callers find the cache empty: one of them refills it. */
static void unmapped_test_concurrent_refill(struct kunit *test)
{
	unsigned long flushes = nr_events(UNMAPPED_TLB_FLUSH);
	int i, cpu = raw_smp_processor_id();
	struct unmapped_node *node = unmapped_node(cpu_to_mem(cpu));
	struct caller callers[3];

	scoped_guard(mutex, &node->refill_lock) {
		/* The threads have no stubs: make them see no demand. */
		node->refilled = jiffies - 2 * HZ;
		for (i = 0; i < ARRAY_SIZE(callers); i++) {
			init_completion(&callers[i].done);
			callers[i].task = kthread_run_on_cpu(alloc_in_thread,
							     &callers[i], cpu,
							     "unmapped_kunit");
			KUNIT_ASSERT_FALSE(test, IS_ERR(callers[i].task));
			/* Wait until the thread waits for the lock. */
			while (READ_ONCE(callers[i].task->__state) !=
			       TASK_KILLABLE)
				schedule_timeout_uninterruptible(1);
		}
	}
	for (i = 0; i < ARRAY_SIZE(callers); i++) {
		wait_for_completion(&callers[i].done);
		KUNIT_EXPECT_NOT_NULL(test, callers[i].page);
		if (callers[i].page)
			unmapped_pages_free(callers[i].page, 0);
	}
	KUNIT_EXPECT_EQ(test, nr_events(UNMAPPED_TLB_FLUSH) - flushes, 1);
}

/* A caller that waits for another refill can be killed. */
static void unmapped_test_killed_waiter(struct kunit *test)
{
	int cpu = raw_smp_processor_id();
	struct unmapped_node *node = unmapped_node(cpu_to_mem(cpu));
	struct caller caller = {};

	init_completion(&caller.done);
	scoped_guard(mutex, &node->refill_lock) {
		caller.task = kthread_run_on_cpu(alloc_in_thread, &caller, cpu,
						 "unmapped_kunit");
		KUNIT_ASSERT_FALSE(test, IS_ERR(caller.task));
		while (READ_ONCE(caller.task->__state) != TASK_KILLABLE)
			schedule_timeout_uninterruptible(1);
		send_sig(SIGKILL, caller.task, 1);
		KUNIT_EXPECT_GT(test,
				wait_for_completion_timeout(&caller.done, 60 * HZ),
				0);
	}
	KUNIT_EXPECT_NULL(test, caller.page);
}

static unsigned int high_demand(struct unmapped_node *node)
{
	return 4;
}

/* A caller takes one block, however high the demand. */
static void unmapped_test_one_block(struct kunit *test)
{
	struct page *page;

	kunit_deactivate_static_stub(test, unmapped_demand_next);
	kunit_activate_static_stub(test, unmapped_demand_next, high_demand);
	page = alloc_or_fail(test, 0);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
}

/* If no second block is available for a batch, the first one is used. */
static void unmapped_test_batch_fails(struct kunit *test)
{
	const int nr = UNMAPPED_BLOCK_PAGES + 1;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	struct page *area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
	unsigned long got;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_ASSERT_NOT_NULL(test, area);
	use_area(test, area, UNMAPPED_BLOCK_PAGES);
	got = unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE, NULL, nr, pages);
	KUNIT_EXPECT_EQ(test, got, UNMAPPED_BLOCK_PAGES);
	expect_count(test, UNMAPPED_BLOCK_PAGES, 0);
	release_pages(pages, got);
}

/* While demand is high, the cache is refilled before it is empty. */
static void unmapped_test_background(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, PMD_ORDER);
	struct unmapped_node *node = unmapped_node(page_to_nid(page));
	struct unmapped_count count;
	unsigned long flushes;

	/* The work item has no stubs; 1/192 of the node is the limit. */
	if (node_present_pages(node->nid) < 3 * 128 * UNMAPPED_BLOCK_PAGES)
		kunit_skip(test, "the node is too small for two blocks at once");

	enable_work(&node->refill_work);
	WRITE_ONCE(node->batch, 4);
	/* Demand of long ago does not count. */
	node->refilled = jiffies - 2 * HZ;
	unmapped_refill_wake(node);
	flush_work(&node->refill_work);
	expect_count(test, UNMAPPED_BLOCK_PAGES, 0);

	flushes = nr_events(UNMAPPED_TLB_FLUSH);
	WRITE_ONCE(node->batch, 4);
	node->refilled = jiffies;
	unmapped_refill_wake(node);
	flush_work(&node->refill_work);
	disable_work_sync(&node->refill_work);
	WRITE_ONCE(node->batch, 1);

	count_all(&count);
	KUNIT_EXPECT_EQ(test, count.used, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_GT(test, count.cached, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, nr_events(UNMAPPED_TLB_FLUSH) - flushes, 1);
	unmapped_pages_free(page, PMD_ORDER);
}

static void run_idle_work(struct unmapped_node *node)
{
	mod_delayed_work(system_dfl_wq, &node->idle_work, 0);
	/* Not flush_delayed_work(): it is queued again, and would run twice. */
	flush_work(&node->idle_work.work);
}

/* Memory that was not requested since the last run is given back. */
static void unmapped_test_idle(struct kunit *test)
{
	struct page *block = alloc_or_fail(test, PMD_ORDER);
	struct unmapped_node *node = unmapped_node(page_to_nid(block));
	struct page *page = alloc_or_fail(test, 0);

	enable_delayed_work(&node->idle_work);
	unmapped_pages_free(block, PMD_ORDER);
	run_idle_work(node);
	expect_count(test, 1, 2 * UNMAPPED_BLOCK_PAGES - 1);

	/* Requests were served from the partly used block only. */
	unmapped_pages_free(alloc_or_fail(test, 3), 3);
	run_idle_work(node);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);

	unmapped_pages_free(page, 0);
	run_idle_work(node);
	run_idle_work(node);
	expect_count(test, 0, 0);
	disable_delayed_work_sync(&node->idle_work);
}

/* A page that a CPU takes from and puts on its list again and again is needed. */
static void unmapped_test_idle_pcp(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	struct unmapped_node *node = unmapped_node(page_to_nid(page));

	enable_delayed_work(&node->idle_work);
	unmapped_pages_free(page, 0);
	run_idle_work(node);
	unmapped_pages_free(alloc_or_fail(test, 0), 0);
	run_idle_work(node);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	run_idle_work(node);
	expect_count(test, 0, 0);
	disable_delayed_work_sync(&node->idle_work);
}

/* What is needed again soon after it was given back is kept for longer. */
static void unmapped_test_idle_period(struct kunit *test)
{
	struct unmapped_node *node = unmapped_node(numa_mem_id());
	unsigned long before;

	kunit_deactivate_static_stub(test, unmapped_demand_next);
	unmapped_demand_idle(node, 1);
	guard(mutex)(&node->refill_lock);
	node->idle_period = UNMAPPED_IDLE_PERIOD;
	node->refilled = jiffies - 2 * HZ;
	unmapped_demand_next(node);
	KUNIT_EXPECT_EQ(test, node->idle_period, 2 * UNMAPPED_IDLE_PERIOD);

	/* Only once for each time. */
	node->refilled = jiffies - 2 * HZ;
	unmapped_demand_next(node);
	KUNIT_EXPECT_EQ(test, node->idle_period, 2 * UNMAPPED_IDLE_PERIOD);

	node->gave_back = true;
	node->released = jiffies - 17 * node->idle_period;
	node->refilled = jiffies - 2 * HZ;
	unmapped_demand_next(node);
	KUNIT_EXPECT_EQ(test, node->idle_period, UNMAPPED_IDLE_PERIOD);

	do {
		before = node->idle_period;
		node->gave_back = true;
		node->released = jiffies;
		node->refilled = jiffies - 2 * HZ;
		unmapped_demand_next(node);
	} while (node->idle_period > before);
	KUNIT_EXPECT_EQ(test, before, UNMAPPED_IDLE_PERIOD_MAX);
	node->idle_period = UNMAPPED_IDLE_PERIOD;
	node->batch = 1;
}

/* Blocks that arrived after an idle run have not been idle for a period. */
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

/* Memory is only reclaimed for what was requested, not for whole blocks. */
static void unmapped_test_no_effort_for_blocks(struct kunit *test)
{
	use_fake_source(test, -1);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL, 1));
	KUNIT_EXPECT_EQ(test, ctl.nr_hard, 1);
	KUNIT_EXPECT_EQ(test, ctl.hard_order, 1);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_NOWAIT, 1));
	KUNIT_EXPECT_EQ(test, ctl.nr_hard, 1);
}

static bool fake_can_spare(struct zone *zone, int order,
			   enum zone_watermarks wmark, gfp_t gfp)
{
	return wmark <= ctl.can_spare;
}

static void use_can_spare(struct kunit *test, enum zone_watermarks wmark)
{
	ctl.can_spare = wmark;
	kunit_activate_static_stub(test, unmapped_refill_can_spare,
				   fake_can_spare);
}

/* When memory is short, no more is taken than was requested. */
static void unmapped_test_short(struct kunit *test)
{
	struct page *page;

	use_fake_source(test, PMD_ORDER);
	use_can_spare(test, WMARK_MIN);
	page = alloc_or_fail(test, 0);
	KUNIT_EXPECT_EQ(test, ctl.nr_asked, 1);
	KUNIT_EXPECT_EQ(test, ctl.nr_hard, 1);
	expect_count(test, 1, 0);
	unmapped_pages_free(page, 0);
}

/* Between the low and the high watermark, a single block. */
static void unmapped_test_nearly_short(struct kunit *test)
{
	struct page **pages;
	int i;

	pages = kunit_kcalloc(test, UNMAPPED_BLOCK_PAGES + 1, sizeof(*pages),
			      GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	use_fake_source(test, PMD_ORDER);
	use_can_spare(test, WMARK_LOW);
	kunit_deactivate_static_stub(test, unmapped_demand_next);
	kunit_activate_static_stub(test, unmapped_demand_next, high_demand);
	KUNIT_ASSERT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL, 1, pages), 1);
	KUNIT_EXPECT_EQ(test, ctl.nr_asked, 1);
	KUNIT_EXPECT_EQ(test, ctl.nr_wake, 0);
	unmapped_pages_free(pages[0], 0);
	drain_all();

	/* Two blocks are needed, and are taken one by one. */
	ctl.nr_asked = 0;
	KUNIT_ASSERT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL,
							UNMAPPED_BLOCK_PAGES + 1,
							pages),
			UNMAPPED_BLOCK_PAGES + 1);
	KUNIT_EXPECT_EQ(test, ctl.nr_asked, 2);
	for (i = 0; i <= UNMAPPED_BLOCK_PAGES; i++)
		unmapped_pages_free(pages[i], 0);
}

static bool fake_only_singles(struct zone *zone, int order,
			      enum zone_watermarks wmark, gfp_t gfp)
{
	ctl.nr_looked++;
	return !order;
}

/* Did a request for a page look for more? */
static bool looked_for_more(struct kunit *test, struct page **page)
{
	unsigned int before = ctl.nr_looked;

	*page = alloc_or_fail(test, 0);
	return ctl.nr_looked != before;
}

/*
 * When only single pages are free, few requests look for more, but not for long,
 * and a block is found soon when there is one again.
 */
static void unmapped_test_deferred_search(struct kunit *test)
{
	struct unmapped_zone *uz;
	unsigned int i, nr = 0, nr_looked = 0;
	struct unmapped_count count;

	kunit_activate_static_stub(test, unmapped_refill_can_spare,
				   fake_only_singles);
	while (nr < 64)
		nr_looked += looked_for_more(test, &ctl.kept[nr++]);
	KUNIT_EXPECT_LE(test, nr_looked, 16);
	expect_count(test, nr, 0);

	/* Requests for the lowest zone say nothing about the others. */
	uz = &unmapped_node(page_to_nid(ctl.kept[0]))->zones[ZONE_NORMAL];
	KUNIT_EXPECT_GT(test, uz->defer_shift, 0);
	KUNIT_EXPECT_EQ(test, uz[-ZONE_NORMAL].defer_shift, 0);

	WRITE_ONCE(uz->searched, jiffies - 2 * HZ);
	KUNIT_EXPECT_TRUE(test, looked_for_more(test, &ctl.kept[nr++]));

	kunit_deactivate_static_stub(test, unmapped_refill_can_spare);
	use_can_spare(test, WMARK_HIGH);
	for (i = 0; i < 16; i++)
		ctl.kept[nr++] = alloc_or_fail(test, 0);
	count_all(&count);
	KUNIT_EXPECT_GT(test, count.cached, 0);

	while (nr)
		unmapped_pages_free(ctl.kept[--nr], 0);
}

static void add_fake_chunk(struct zone *zone, int order, enum migratetype type,
			   struct list_head *chunk)
{
	list_add(chunk, &zone->free_area[order].free_list[type]);
	zone->free_area[order].nr_free++;
}

/* Parts of other pageblocks are taken only if there is nothing else. */
static void unmapped_test_refill_order(struct kunit *test)
{
	struct zone *zone = kunit_kzalloc(test, sizeof(*zone), GFP_KERNEL);
	struct list_head chunks[4];
	int order, type;

	KUNIT_ASSERT_NOT_NULL(test, zone);
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		for (type = 0; type < MIGRATE_TYPES; type++)
			INIT_LIST_HEAD(&zone->free_area[order].free_list[type]);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER), -1);

	add_fake_chunk(zone, 5, MIGRATE_RECLAIMABLE, &chunks[0]);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER), 5);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, 4), 4);
	/* Small chunks are left to others. */
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 1, 3), 1);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 6, PMD_ORDER), -1);
	add_fake_chunk(zone, 1, MIGRATE_UNMOVABLE, &chunks[1]);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER), 0);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 1, PMD_ORDER), 1);
	/* There is no other for as many. */
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 2, PMD_ORDER), 5);
	add_fake_chunk(zone, 4, MIGRATE_UNMOVABLE, &chunks[2]);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER), 4);
	/* A whole pageblock changes its type. */
	add_fake_chunk(zone, max_t(int, pageblock_order, PMD_ORDER),
		       MIGRATE_MOVABLE, &chunks[3]);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER), PMD_ORDER);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER - 1), 4);
}

/* All per-CPU lists of a zone together are a small part of it. */
static void unmapped_test_pcp_bound(struct kunit *test)
{
	struct unmapped_zone *uz = kunit_kzalloc(test, sizeof(*uz), GFP_KERNEL);
	struct zone *zone = kunit_kzalloc(test, sizeof(*zone), GFP_KERNEL);
	unsigned long pages = 256UL * 2 * num_online_cpus();

	KUNIT_ASSERT_NOT_NULL(test, uz);
	KUNIT_ASSERT_NOT_NULL(test, zone);
	atomic_long_set(&zone->managed_pages, 10 * pages);
	unmapped_pcp_update(uz, zone);
	KUNIT_EXPECT_EQ(test, uz->pcp_batch, 10);
	atomic_long_set(&zone->managed_pages, pages - 1);
	unmapped_pcp_update(uz, zone);
	KUNIT_EXPECT_EQ(test, uz->pcp_batch, 1);
	atomic_long_set(&zone->managed_pages, 1000 * pages);
	unmapped_pcp_update(uz, zone);
	KUNIT_EXPECT_EQ(test, uz->pcp_batch, UNMAPPED_PCP_BATCH);
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

/* If unmapping fails at some page of a block, the direct map is restored. */
static void unmapped_test_unmap_fails(struct kunit *test)
{
	static const unsigned int at[] = { 0, 1, 255, 511 };
	unsigned long fails = nr_events(UNMAPPED_REFILL_FAIL);
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

		/* It went back to the page allocator: get it again. */
		area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
		KUNIT_ASSERT_NOT_NULL(test, area);
	}
	__free_pages(area, PMD_ORDER);
	count_all(&count);
	KUNIT_EXPECT_EQ(test, count.owned, 0);
	KUNIT_EXPECT_GT(test, nr_events(UNMAPPED_REFILL_FAIL), fails);
}

/* If a block can't be unmapped, a smaller chunk is used. */
static void unmapped_test_unmap_fails_once(struct kunit *test)
{
	struct page *page;

	fail_direct_map(test, false, 0, 1);
	page = alloc_or_fail(test, 0);
	expect_present(test, page, 0, false);
	/* How large it is depends on what is free. */
	KUNIT_EXPECT_EQ(test, unmapped_kind(page), UNMAPPED_FRAGMENT);
	unmapped_pages_free(page, 0);
}

/* If the direct map can't be restored, the page is lost. */
static void unmapped_test_restore_fails(struct kunit *test)
{
	struct unmapped_count before, after;

	count_all(&before);
	use_fake_source(test, 0);
	ctl.fail_both = true;
	/* What is tried without reclaim is tried once more with it. */
	fail_direct_map(test, false, 0, 4);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL, 0));
	count_all(&after);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + 2);
	KUNIT_EXPECT_EQ(test, after.owned, 0);
}

/* If mapping fails while a block is given back, it stays in the cache. */
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

/* What comes from the cache can be made to fail, too. */
static void unmapped_test_fault_injection(struct kunit *test)
{
#ifdef CONFIG_FAIL_PAGE_ALLOC
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;
	struct page *page = alloc_or_fail(test, 1);

	unmapped_pages_free(page, 1);
	current->fail_nth = 1;
	page = unmapped_pages_alloc(gfp, 1);
	KUNIT_EXPECT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, current->fail_nth, 0);
	current->fail_nth = 0;
	if (page)
		unmapped_pages_free(page, 1);
	page = unmapped_pages_alloc(gfp, 1);
	KUNIT_ASSERT_NOT_NULL(test, page);
	unmapped_pages_free(page, 1);
#else
	kunit_skip(test, "no failure injection");
#endif
}

/* === Tracing ============================================================= */

#ifdef CONFIG_TRACEPOINTS
static void count_traced(void *data, struct page *page, unsigned int order,
			 gfp_t gfp, int migratetype)
{
	/* What an interrupt allocates is somebody else's. */
	if (current != ctl.traced || !in_task())
		return;
	ctl.last_traced = page;
	ctl.nr_traced++;
}

struct find_tracepoint {
	const char *name;
	struct tracepoint *found;
};

static void compare_name(struct tracepoint *tp, void *priv)
{
	struct find_tracepoint *find = priv;

	if (!strcmp(tp->name, find->name))
		find->found = tp;
}

static struct tracepoint *find_tracepoint(const char *name)
{
	struct find_tracepoint find = { .name = name };

	for_each_kernel_tracepoint(compare_name, &find);
	return find.found;
}

/* As each free is traced as mm_page_free, each allocation is traced, too. */
static void unmapped_test_trace(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 0, 2, PMD_ORDER };
	struct tracepoint *tp = find_tracepoint("mm_page_alloc");
	struct page *page[8];
	int i, err;

	KUNIT_ASSERT_NOT_NULL(test, tp);
	unmapped_pages_free(alloc_or_fail(test, 0), 0);
	err = tracepoint_probe_register(tp, count_traced, NULL);
	KUNIT_ASSERT_EQ(test, err, 0);
	ctl.traced = current;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		ctl.nr_traced = 0;
		page[0] = unmapped_pages_alloc(GFP_NOWAIT, orders[i]);
		KUNIT_EXPECT_EQ(test, ctl.nr_traced, 1);
		KUNIT_EXPECT_PTR_EQ(test, ctl.last_traced, page[0]);
		if (page[0])
			unmapped_pages_free(page[0], orders[i]);
		drain_pcps();
	}
	ctl.nr_traced = 0;
	KUNIT_EXPECT_EQ(test, unmapped_pages_alloc_bulk(GFP_NOWAIT, NUMA_NO_NODE,
							NULL, ARRAY_SIZE(page),
							page), ARRAY_SIZE(page));
	KUNIT_EXPECT_EQ(test, ctl.nr_traced, ARRAY_SIZE(page));
	release_pages(page, ARRAY_SIZE(page));

	tracepoint_probe_unregister(tp, count_traced, NULL);
	tracepoint_synchronize_unregister();
}

/* What the tracepoints have in common. */
struct trace_count {
	const char *name;
	void *probe;
	struct tracepoint *tp;
	unsigned long nr;
	unsigned long nr_pages;
};

static void count_trace(struct trace_count *count, unsigned int order)
{
	/* What an interrupt frees is somebody else's. */
	if (current != ctl.traced || !in_task())
		return;
	count->nr++;
	count->nr_pages += 1UL << order;
}

static void probe_chunk(void *data, struct page *page, unsigned int order)
{
	count_trace(data, order);
}

static void probe_alloc(void *data, struct page *page, unsigned int order,
			gfp_t gfp)
{
	count_trace(data, order);
}

/*
 * The allocator's pages, and blocks. A page table that is freed when an entry
 * becomes large again was not allocated in the meantime.
 */
static void probe_page_free(void *data, struct page *page, unsigned int order)
{
	if (order == PMD_ORDER || unmapped_page(page))
		count_trace(data, order);
}

static void probe_page_alloc(void *data, struct page *page, unsigned int order,
			     gfp_t gfp, int migratetype)
{
	probe_page_free(data, page, order);
}

static void start_trace(struct kunit *test, struct trace_count *counts, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		counts[i].tp = find_tracepoint(counts[i].name);
		KUNIT_ASSERT_NOT_NULL_MSG(test, counts[i].tp, "%s",
					  counts[i].name);
		KUNIT_ASSERT_EQ(test, 0,
				tracepoint_probe_register(counts[i].tp,
							  counts[i].probe,
							  &counts[i]));
	}
	/* Registering a probe allocates memory, too. */
	ctl.traced = current;
}

static void stop_trace(struct trace_count *counts, int nr)
{
	ctl.traced = NULL;
	while (nr--)
		tracepoint_probe_unregister(counts[nr].tp, counts[nr].probe,
					    &counts[nr]);
	tracepoint_synchronize_unregister();
}

/* Each allocation is traced, and each free, on the way there and back. */
static void unmapped_test_trace_pairs(struct kunit *test)
{
	struct trace_count counts[] = {
		{ "mm_page_alloc", probe_page_alloc },
		{ "mm_page_free", probe_page_free },
	};
	struct page *page;
	int order;

	start_trace(test, counts, ARRAY_SIZE(counts));
	for (order = 0; order <= PMD_ORDER; order++) {
		page = alloc_or_fail(test, order);
		unmapped_pages_free(page, order);
	}
	page = unmapped_block_alloc(GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, page);
	if (page)
		unmapped_block_free(page);
	drain_all();
	stop_trace(counts, ARRAY_SIZE(counts));

	/* And the block itself. */
	KUNIT_EXPECT_GE(test, counts[0].nr, PMD_ORDER + 3);
	KUNIT_EXPECT_EQ(test, counts[0].nr, counts[1].nr);
	KUNIT_EXPECT_EQ(test, counts[0].nr_pages, counts[1].nr_pages);
}

/* The life of a block that is broken and heals. */
static void unmapped_test_trace_life(struct kunit *test)
{
	struct trace_count counts[] = {
		{ "unmapped_alloc", probe_alloc },
		{ "unmapped_free", probe_chunk },
		{ "unmapped_refill", probe_chunk },
		{ "unmapped_release", probe_chunk },
		{ "unmapped_break", probe_chunk },
		{ "unmapped_heal", probe_chunk },
	};
	unsigned long breaks = nr_events(UNMAPPED_BREAK);
	unsigned long heals = nr_events(UNMAPPED_HEAL);
	struct page *page;

	start_trace(test, counts, ARRAY_SIZE(counts));
	page = alloc_or_fail(test, 2);
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page),
							  1));
	unmapped_pages_free(page, 2);
	drain_all();
	stop_trace(counts, ARRAY_SIZE(counts));

	KUNIT_EXPECT_EQ(test, counts[0].nr, 1);
	KUNIT_EXPECT_EQ(test, counts[0].nr_pages, 4);
	KUNIT_EXPECT_EQ(test, counts[1].nr, 1);
	KUNIT_EXPECT_EQ(test, counts[1].nr_pages, 4);
	KUNIT_EXPECT_EQ(test, counts[2].nr, 1);
	KUNIT_EXPECT_EQ(test, counts[2].nr_pages, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, counts[3].nr, 1);
	KUNIT_EXPECT_EQ(test, counts[3].nr_pages, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, counts[4].nr, 1);
	KUNIT_EXPECT_EQ(test, counts[5].nr, 1);
	KUNIT_EXPECT_EQ(test, nr_events(UNMAPPED_BREAK), breaks + 1);
	KUNIT_EXPECT_EQ(test, nr_events(UNMAPPED_HEAL), heals + 1);
}
#endif

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

/* A late reference to the head keeps only the head, see __free_pages(). */
static void unmapped_test_late_reference_high_order(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 4);

	get_page(page);
	unmapped_pages_free(page, 4);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	put_page(page);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

static void unmapped_test_late_reference_block(struct kunit *test)
{
	struct page *page = unmapped_block_alloc(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	get_page(page);
	unmapped_block_free(page);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	put_page(page);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* Who follows page tables has page frames, of memory or of none. */
static void unmapped_test_pfn(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	unsigned long pfn = page_to_pfn(page);

	KUNIT_EXPECT_TRUE(test, unmapped_pfn(pfn));
	unmapped_pages_free(page, 0);
	drain_all();
	KUNIT_EXPECT_FALSE(test, unmapped_pfn(pfn));
	/* No machine has memory there. */
	pfn = PHYS_PFN(BIT_ULL(MAX_PHYSMEM_BITS)) - 1;
	KUNIT_EXPECT_FALSE(test, unmapped_pfn(pfn));
}

/* Covers orders that the page allocator's per-CPU lists take or don't take. */
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

/* Ordinary pages of a pageblock that has a fragment are freed as usual. */
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

	/* On whatever CPU the test runs, each in an interrupt of its own. */
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
	static const unsigned int orders[] = { 1, PMD_ORDER };
	unsigned long flags, used, before;
	struct unmapped_zone *uz;
	struct page *page;
	int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		page = alloc_or_fail(test, orders[i]);
		uz = unmapped_page_zone(page);
		before = uz->count.used;
		fill_pages(test, page, orders[i]);
		local_irq_save(flags);
		free_pages_nolock(page, orders[i]);
		used = uz->count.used;
		local_irq_restore(flags);
		unmapped_alloc_sync_deferred();
		KUNIT_EXPECT_EQ(test, used, before);
		expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
		expect_zero(test, page, orders[i]);
	}
}

struct late_put {
	struct page *page;
	struct completion queued;
	bool other_done;
};

/* Free a page without locks, and keep interrupts off until others are done. */
static int put_late(void *arg)
{
	struct late_put *late = arg;
	unsigned long flags;

	local_irq_save(flags);
	free_pages_nolock(late->page, 0);
	complete(&late->queued);
	while (!READ_ONCE(late->other_done))
		cpu_relax();
	local_irq_restore(flags);
	return 0;
}

/* It does not wait for another CPU, which is late. */
static void unmapped_test_put_nolock_late(struct kunit *test)
{
	int self = raw_smp_processor_id();
	int cpu = cpumask_any_but(cpu_online_mask, self);
	struct page *page = alloc_or_fail(test, 0);
	struct late_put late = { .page = alloc_or_fail(test, 0) };
	struct unmapped_zone *uz = unmapped_page_zone(page);
	unsigned long used = uz->count.used;
	struct task_struct *other;

	if (cpu >= nr_cpu_ids) {
		unmapped_pages_free(page, 0);
		unmapped_pages_free(late.page, 0);
		kunit_skip(test, "there is no other CPU");
	}

	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(self)), 0);
	init_completion(&late.queued);
	other = kthread_run_on_cpu(put_late, &late, cpu, "unmapped_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(other));
	wait_for_completion(&late.queued);
	free_pages_nolock(page, 0);
	KUNIT_EXPECT_EQ(test, READ_ONCE(uz->count.used), used - 1);
	WRITE_ONCE(late.other_done, true);
	unmapped_alloc_sync_deferred();
	KUNIT_EXPECT_EQ(test, READ_ONCE(uz->count.used), used - 2);
}

static void queue_nothing(struct irq_work *work)
{
}

/* What a CPU had deferred when it died is put by another one, however much it is. */
static void unmapped_test_put_nolock_dead(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, PMD_ORDER);
	struct unmapped_zone *uz = unmapped_page_zone(page);
	unsigned long used = uz->count.used;
	unsigned int cpu;

	fill_pages(test, page, PMD_ORDER);
	kunit_activate_static_stub(test, unmapped_queue_deferred, queue_nothing);
	cpu = get_cpu();
	free_pages_nolock(page, PMD_ORDER);
	put_cpu();
	kunit_deactivate_static_stub(test, unmapped_queue_deferred);
	KUNIT_EXPECT_EQ(test, uz->count.used, used);

	unmapped_put_deferred_of(cpu);
	KUNIT_EXPECT_EQ(test, uz->count.used, used - UNMAPPED_BLOCK_PAGES);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	expect_zero(test, page, PMD_ORDER);
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

/* No hibernation image with a page in use: nothing changes, but it is refused. */
static void unmapped_test_image_in_use(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);

	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), -EBUSY);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
}

/*
 * With none in use, it is prepared. Allocations do not fail even then, but
 * there is no image after one.
 */
static void unmapped_test_image(struct kunit *test)
{
	unmapped_pages_free(alloc_or_fail(test, 0), 0);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
	expect_count(test, 0, 0);

	unmapped_pages_free(alloc_or_fail(test, 0), 0);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
}

static int image_while_unmapping(struct page *page, unsigned int nr, bool valid)
{
	struct kunit *test = kunit_get_current_test();

	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	return unmapped_set_direct_map(page, nr, valid);
}

/* A refill that is interrupted has unmapped pages that are not counted yet. */
static void unmapped_test_image_refill(struct kunit *test)
{
	int order;

	for (order = 0; order <= PMD_ORDER; order += PMD_ORDER) {
		use_fake_source(test, order);
		KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
		kunit_activate_static_stub(test, unmapped_set_direct_map,
					   image_while_unmapping);
		unmapped_pages_free(alloc_or_fail(test, 0), 0);
		drain_all();
		KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
	}
}

/* Memory that was given back is ordinary memory and can be written to. */
/* Pages that may be in an image are copied, and prevent none. */
static void unmapped_test_image_allowed(struct kunit *test)
{
	unsigned long *buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct page *page = alloc_or_fail(test, 1);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	fill_pages(test, page, 1);
	unmapped_image_allow(page, 1);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
	/* What the block had besides is not in the image. */
	expect_count(test, 2, 0);
	expect_present(test, page, 1, false);

	unmapped_image_copy(buf, page + 1);
	KUNIT_EXPECT_EQ(test, buf[0], MARK);
	KUNIT_EXPECT_EQ(test, buf[PAGE_SIZE / sizeof(*buf) - 1], MARK);
	expect_present(test, page, 1, false);

	unmapped_image_deny(page, 1);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), -EBUSY);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	unmapped_pages_free(page, 1);
	expect_zero(test, page, 1);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
}

/* No image without the contents of a page that belongs there. */
static void unmapped_test_image_lacks_page(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 1);

	split_page(page, 1);
	unmapped_image_allow(page, 0);
	unmapped_image_allow(page + 1, 0);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	SetPageHWPoison(page + 1);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), -EBUSY);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	ClearPageHWPoison(page + 1);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
	unmapped_image_deny(page, 0);
	unmapped_image_deny(page + 1, 0);
	unmapped_pages_free(page, 0);
	unmapped_pages_free(page + 1, 0);
}

/* Others prevent an image all the same, and their contents never get there. */
static void unmapped_test_image_denied(struct kunit *test)
{
	unsigned long *buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct page *page = alloc_or_fail(test, 0);
	struct page *secret = alloc_or_fail(test, 0);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	fill_pages(test, secret, 0);
	unmapped_image_allow(page, 0);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), -EBUSY);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	memset(buf, 0x5a, PAGE_SIZE);
	unmapped_image_copy(buf, secret);
	KUNIT_EXPECT_NULL(test, memchr_inv(buf, 0, PAGE_SIZE));

	unmapped_pages_free(secret, 0);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	/* A free page is no more welcome than a secret one. */
	secret = alloc_or_fail(test, 0);
	unmapped_pages_free(secret, 0);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	unmapped_image_deny(page, 0);
	unmapped_pages_free(page, 0);
}

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

/* Partly used blocks are used up before a whole one is split. */
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

/* The rest of a fragment is used before a whole block. */
static void unmapped_test_fragments_before_whole_blocks(struct kunit *test)
{
	struct page *page, *more;

	use_fake_source(test, 4);
	page = alloc_or_fail(test, 0);
	ctl.max_order = PMD_ORDER;
	unmapped_pages_free(alloc_or_fail(test, PMD_ORDER), PMD_ORDER);

	more = alloc_or_fail(test, 2);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	unmapped_pages_free(more, 2);
	unmapped_pages_free(page, 0);
}

/* As a last resort, the free part of a block in use can be released. */
static void unmapped_test_break_block(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	struct unmapped_zone *uz = unmapped_page_zone(page);

	drain_pcps();
	KUNIT_ASSERT_TRUE(test, unmapped_zone_break_block(uz, 1));
	KUNIT_EXPECT_FALSE(test, unmapped_zone_break_block(uz, 1));
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

/* Eight chunks of order 6, which are all of a block. */
static void alloc_eighths(struct kunit *test, struct page **eighths)
{
	int i;

	for (i = 0; i < 8; i++)
		eighths[i] = alloc_or_fail(test, PMD_ORDER - 3);
}

/* The block with the most free pages is broken, not that with the largest chunk. */
static void unmapped_test_break_emptiest(struct kunit *test)
{
	struct page *half = alloc_or_fail(test, PMD_ORDER - 1), *eighths[8];
	struct page *other_half = alloc_or_fail(test, PMD_ORDER - 1);
	struct unmapped_zone *uz = unmapped_page_zone(half);
	int i;

	alloc_eighths(test, eighths);
	unmapped_pages_free(half, PMD_ORDER - 1);
	for (i = 0; i < 8; i++)
		if (i % 4)
			unmapped_pages_free(eighths[i], PMD_ORDER - 3);

	KUNIT_EXPECT_FALSE(test, unmapped_zone_break_block(uz, 385));
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 1));
	KUNIT_EXPECT_EQ(test, unmapped_kind(eighths[0]), UNMAPPED_FRAGMENT);
	KUNIT_EXPECT_EQ(test, unmapped_kind(other_half), UNMAPPED_BLOCK);
	KUNIT_EXPECT_FALSE(test, unmapped_zone_break_block(uz, 257));
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 256));
	KUNIT_EXPECT_EQ(test, unmapped_kind(other_half), UNMAPPED_FRAGMENT);

	unmapped_pages_free(other_half, PMD_ORDER - 1);
	unmapped_pages_free(eighths[0], PMD_ORDER - 3);
	unmapped_pages_free(eighths[4], PMD_ORDER - 3);
}

static unsigned long large_page_cache(int nid)
{
	return 448 + 1;
}

static unsigned long no_page_cache(int nid)
{
	return 0;
}

/* kswapd breaks a block rather than taking what demand will need soon. */
static void unmapped_test_kswapd_reserve(struct kunit *test)
{
	struct unmapped_node *node;
	struct page *eighths[8];
	int i;

	kunit_activate_static_stub(test, unmapped_nr_page_cache, no_page_cache);
	alloc_eighths(test, eighths);
	node = unmapped_node(page_to_nid(eighths[0]));
	unmapped_pages_free(alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	for (i = 0; i < 7; i++)
		unmapped_pages_free(eighths[i], PMD_ORDER - 3);
	WRITE_ONCE(node->batch, 16);
	WRITE_ONCE(node->refilled, jiffies);

	current->flags |= PF_KSWAPD;
	unmapped_alloc_reclaim(node->nid, ZONE_NORMAL, 1, true, DEF_PRIORITY);
	current->flags &= ~PF_KSWAPD;
	WRITE_ONCE(node->batch, 1);
	expect_count(test, 64, 512);
	unmapped_pages_free(eighths[7], PMD_ORDER - 3);
}

/* Even if its chunk was moved to the end of a long list before. */
static void unmapped_test_break_on_long_list(struct kunit *test)
{
	struct page *best[8], *other[8][8];
	struct unmapped_zone *uz;
	int i, k;

	alloc_eighths(test, best);
	for (i = 0; i < 8; i++)
		alloc_eighths(test, other[i]);
	uz = unmapped_page_zone(best[0]);

	for (k = 0; k < 6; k += 2)
		unmapped_pages_free(best[k], PMD_ORDER - 3);
	for (i = 0; i < 8; i++)
		unmapped_pages_free(other[i][0], PMD_ORDER - 3);
	unmapped_pages_free(best[6], PMD_ORDER - 3);

	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 128));
	KUNIT_EXPECT_EQ(test, unmapped_kind(best[1]), UNMAPPED_FRAGMENT);

	for (k = 1; k < 8; k += 2)
		unmapped_pages_free(best[k], PMD_ORDER - 3);
	for (i = 0; i < 8; i++)
		for (k = 1; k < 8; k++)
			unmapped_pages_free(other[i][k], PMD_ORDER - 3);
}

/* Reclaim gets all that is free; a part of a block only if it is worth a split. */
static void unmapped_test_reclaim(struct kunit *test)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct page *eighths[8];
	int i, nid;

	kunit_activate_static_stub(test, unmapped_nr_page_cache, no_page_cache);
	alloc_eighths(test, eighths);
	nid = page_to_nid(eighths[0]);
	unmapped_pages_free(alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	unmapped_pages_free(eighths[0], PMD_ORDER - 3);
	expect_count(test, 448, 512 + 64);
	KUNIT_EXPECT_EQ(test, unmapped_alloc_releasable(), 512 + 64);

	if (page_zonenum(eighths[0]) > 0)
		unmapped_alloc_reclaim(nid, page_zonenum(eighths[0]) - 1, 1,
				       true, 0);
	expect_count(test, 448, 512 + 64);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, true, DEF_PRIORITY);
	expect_count(test, 448, 64);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, true, DEF_PRIORITY);
	expect_count(test, 448, 64);

	for (i = 1; i < 7; i++)
		unmapped_pages_free(eighths[i], PMD_ORDER - 3);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, false, DEF_PRIORITY);
	expect_count(test, 64, 448);
	kunit_activate_static_stub(test, unmapped_nr_page_cache,
				   large_page_cache);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, true, DEF_PRIORITY);
	expect_count(test, 64, 448);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, true, DEF_PRIORITY - 1);
	expect_count(test, 64, 0);
	kunit_activate_static_stub(test, unmapped_nr_page_cache, no_page_cache);
	expect_present(test, eighths[0], PMD_ORDER - 3, true);

	unmapped_pages_free(eighths[7], PMD_ORDER - 3);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, false, DEF_PRIORITY);
	expect_count(test, 0, 0);

	/* The last bit, before somebody is killed. */
	alloc_eighths(test, eighths);
	unmapped_pages_free(eighths[0], PMD_ORDER - 3);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, true, 2);
	expect_count(test, 448, 0);
	for (i = 1; i < 8; i++)
		unmapped_pages_free(eighths[i], PMD_ORDER - 3);
	memalloc_noreclaim_restore(noreclaim);
}

/* A split-up block becomes a block again if all of it is freed. */
static void unmapped_test_broken_block_heals(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 4);

	KUNIT_ASSERT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page), 1));
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_FRAGMENT, PMD_ORDER - 1), 1);
	unmapped_pages_free(page, 4);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

static struct page *block_of(struct page *page)
{
	return pfn_to_page(ALIGN_DOWN(page_to_pfn(page), UNMAPPED_BLOCK_PAGES));
}

/* Another CPU breaks blocks while one is in transit, there and back. */
static int breaking_set_direct_map(struct page *page, unsigned int nr,
				   bool valid)
{
	struct kunit *test = kunit_get_current_test();
	struct unmapped_zone *uz = unmapped_page_zone(page);
	int err;

	if (ctl.nr_breaks++ < 2) {
		unmapped_zone_break_this(uz, page);
		KUNIT_EXPECT_FALSE(test, unmapped_zone_break_block(uz, 1));
	}
	kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	err = unmapped_set_direct_map(page, nr, valid);
	kunit_activate_static_stub(test, unmapped_set_direct_map,
				   breaking_set_direct_map);
	return err;
}

/* A block on its way from or to the page allocator can't be broken. */
static void unmapped_test_break_in_transit(struct kunit *test)
{
	struct page *page;

	kunit_activate_static_stub(test, unmapped_set_direct_map,
				   breaking_set_direct_map);
	page = alloc_or_fail(test, 0);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER - 1), 1);
	KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(page_to_nid(page)));
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, drain_all(), UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
	expect_present(test, page, PMD_ORDER, true);
}

/* Take a block, and free every other page of it; returns its first page. */
static struct page *alloc_holes(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, PMD_ORDER);
	int i;

	split_page(page, PMD_ORDER);
	for (i = 1; i < UNMAPPED_BLOCK_PAGES; i += 2)
		unmapped_pages_free(page + i, 0);
	drain_pcps();
	return page;
}

static void free_rest(struct page *block)
{
	int i;

	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i += 2)
		unmapped_pages_free(block + i, 0);
	drain_pcps();
}

/* Another CPU breaks the same block when a part of it is broken already. */
static unsigned long break_again(struct unmapped_zone *uz, unsigned long pfn,
				 unsigned long i)
{
	struct kunit *test = kunit_get_current_test();
	struct page *block = pfn_to_page(pfn);

	kunit_deactivate_static_stub(test, unmapped_move_chunks);
	i = unmapped_move_chunks(uz, pfn, i);
	KUNIT_EXPECT_LT(test, i, UNMAPPED_BLOCK_PAGES);

	/* What was moved so far is released. */
	KUNIT_EXPECT_EQ(test, drain_all(), i / 2);
	KUNIT_EXPECT_FALSE(test, unmapped_page(block + 1));
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 1));
	KUNIT_EXPECT_FALSE(test, unmapped_page(block + 1));
	KUNIT_EXPECT_TRUE(test, unmapped_page(block));
	return i;
}

static void unmapped_test_break_twice(struct kunit *test)
{
	struct page *block = alloc_holes(test);
	struct unmapped_zone *uz = unmapped_page_zone(block);

	kunit_activate_static_stub(test, unmapped_move_chunks, break_again);
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 1));
	KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(page_to_nid(block)));
	free_rest(block);
	drain_all();
	expect_count(test, 0, 0);
	KUNIT_EXPECT_FALSE(test, unmapped_page(block));
	expect_present(test, block, PMD_ORDER, true);
}

/* Another CPU frees the rest of the block while it is broken. */
static unsigned long heal(struct unmapped_zone *uz, unsigned long pfn,
			  unsigned long i)
{
	struct kunit *test = kunit_get_current_test();
	struct page *block = pfn_to_page(pfn);

	kunit_deactivate_static_stub(test, unmapped_move_chunks);
	i = unmapped_move_chunks(uz, pfn, i);
	KUNIT_EXPECT_LT(test, i, UNMAPPED_BLOCK_PAGES);
	free_rest(block);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	/* As if only the pages before had been looked at. */
	return 0;
}

static void unmapped_test_break_while_it_heals(struct kunit *test)
{
	struct page *block = alloc_holes(test);
	struct unmapped_zone *uz = unmapped_page_zone(block);

	kunit_activate_static_stub(test, unmapped_move_chunks, heal);
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 1));
	KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(page_to_nid(block)));
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_FRAGMENT, PMD_ORDER), 0);
	KUNIT_EXPECT_EQ(test, drain_all(), UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_FALSE(test, unmapped_page(block));
	expect_present(test, block, PMD_ORDER, true);
}

/* Its memory is removed while the block is broken: struct pages are gone. */
static unsigned long removed(struct unmapped_zone *uz, unsigned long pfn,
			     unsigned long i)
{
	struct kunit *test = kunit_get_current_test();
	/* No machine has memory there. */
	unsigned long gone = PHYS_PFN(BIT_ULL(MAX_PHYSMEM_BITS)) -
			     PAGES_PER_SECTION;

	kunit_deactivate_static_stub(test, unmapped_move_chunks);
	KUNIT_EXPECT_EQ(test, unmapped_move_chunks(uz, gone, i),
			UNMAPPED_BLOCK_PAGES);
	return unmapped_move_chunks(uz, pfn, i);
}

static void unmapped_test_break_while_it_is_removed(struct kunit *test)
{
	struct page *block = alloc_holes(test);

	kunit_activate_static_stub(test, unmapped_move_chunks, removed);
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(block), 1));
	KUNIT_EXPECT_EQ(test, drain_all(), UNMAPPED_BLOCK_PAGES / 2);
	free_rest(block);
	drain_all();
	expect_count(test, 0, 0);
}

/* === Isolated pageblocks ================================================= */

#if defined(CONFIG_MEMORY_ISOLATION) && defined(CONFIG_CONTIG_ALLOC)
/* Free memory in the cache does not keep alloc_contig_range() from it. */
static void unmapped_test_contig_range(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 3, PMD_ORDER };
	struct page *page;
	unsigned long pfn;
	int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		page = alloc_or_fail(test, orders[i]);
		pfn = page_to_pfn(block_of(page));
		unmapped_pages_free(page, orders[i]);
		KUNIT_ASSERT_EQ(test, alloc_contig_range(pfn, pfn + UNMAPPED_BLOCK_PAGES,
							 ACR_FLAGS_NONE,
							 GFP_KERNEL), 0);
		KUNIT_EXPECT_FALSE(test, unmapped_page(page));
		expect_present(test, pfn_to_page(pfn), PMD_ORDER, true);
		free_contig_range(pfn, UNMAPPED_BLOCK_PAGES);
		expect_count(test, 0, 0);
	}
}

/* Isolate the block of a page in use. */
static void isolate_block_of(struct kunit *test, struct page *page)
{
	unsigned long pfn = page_to_pfn(block_of(page));
	int err;

	/* Like a page on the LRU, it must not look unmovable. */
	set_page_count(page, 0);
	err = start_isolate_page_range(pfn, pfn + UNMAPPED_BLOCK_PAGES,
				       PB_ISOLATE_MODE_OTHER);
	set_page_count(page, 1);
	KUNIT_ASSERT_EQ(test, err, 0);
}

static void undo_isolate_block_of(struct page *page)
{
	unsigned long pfn = page_to_pfn(block_of(page));

	undo_isolate_page_range(pfn, pfn + UNMAPPED_BLOCK_PAGES);
}

/* What is freed of an isolated pageblock goes to the page allocator. */
static void unmapped_test_isolated(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0), *other;
	struct unmapped_node *node = unmapped_node(page_to_nid(page));
	int order;

	drain_pcps();
	isolate_block_of(test, page);
	for (order = 0; order < PMD_ORDER; order += 3) {
		other = alloc_or_fail(test, order);
		KUNIT_EXPECT_PTR_NE(test, block_of(other), block_of(page));
		unmapped_pages_free(other, order);
	}
	flush_work(&node->isolated_work);
	expect_count(test, 1, 2 * UNMAPPED_BLOCK_PAGES - 1);

	with_page(test, page, MARK, true);
	release_pages(&page, 1);
	flush_work(&node->isolated_work);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
	expect_present(test, block_of(page), PMD_ORDER, true);
	undo_isolate_block_of(page);
}

/* Also if that was isolated after the free had begun. */
static void unmapped_test_isolated_late(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	struct unmapped_node *node = unmapped_node(page_to_nid(page));
	struct llist_node *batch = NULL;

	drain_pcps();
	KUNIT_ASSERT_TRUE(test, put_page_testzero(page));
	unmapped_alloc_catch(page, 0, BIT(PB_unmapped_block), false, &batch);
	/* The helper is for pages in use. */
	isolate_block_of(test, page);
	set_page_count(page, 0);
	flush_work(&node->isolated_work);
	KUNIT_EXPECT_TRUE(test, unmapped_page(page));

	unmapped_alloc_free_batch(batch);
	flush_work(&node->isolated_work);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
	undo_isolate_block_of(page);
}

/* While pageblocks are isolated, no page gets on a per-CPU list. */
static void unmapped_test_isolated_lists(struct kunit *test)
{
	struct page *block = alloc_or_fail(test, PMD_ORDER), *page;
	struct unmapped_zone *uz = unmapped_page_zone(block);

	unmapped_pages_free(alloc_or_fail(test, 0), 0);
	isolate_block_of(test, block);
	drain_pcps();
	page = alloc_or_fail(test, 0);
	KUNIT_EXPECT_PTR_EQ(test, unmapped_page_zone(page), uz);
	KUNIT_EXPECT_EQ(test, unmapped_pcp_count(uz), 0);
	expect_zero(test, page, 0);
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, unmapped_pcp_count(uz), 0);
	undo_isolate_block_of(block);
	unmapped_pages_free(block, PMD_ORDER);
}

/* The second block that is taken is isolated before it is in the cache. */
static struct page *second_block;
static unsigned int nr_blocks;

static int isolate_second(struct page *page, unsigned int nr, bool valid)
{
	struct kunit *test = kunit_get_current_test();
	unsigned long pfn = page_to_pfn(page);
	int err;

	if (++nr_blocks == 2 &&
	    !start_isolate_page_range(pfn, pfn + nr, PB_ISOLATE_MODE_OTHER))
		second_block = page;
	kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	err = unmapped_set_direct_map(page, nr, valid);
	kunit_activate_static_stub(test, unmapped_set_direct_map, isolate_second);
	return err;
}

/* It is given back as well. */
static void unmapped_test_isolated_refill(struct kunit *test)
{
	const int nr = UNMAPPED_BLOCK_PAGES + 1;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	unsigned long got;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	second_block = NULL;
	nr_blocks = 0;
	kunit_activate_static_stub(test, unmapped_set_direct_map, isolate_second);
	got = unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE, NULL, nr, pages);
	kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	KUNIT_ASSERT_NOT_NULL(test, second_block);

	flush_work(&unmapped_node(page_to_nid(second_block))->isolated_work);
	KUNIT_EXPECT_FALSE(test, unmapped_page(second_block));
	expect_present(test, second_block, PMD_ORDER, true);
	undo_isolate_block_of(second_block);
	release_pages(pages, got);
}

/* If it is not isolated any more, it is used again. */
static void unmapped_test_isolated_for_a_while(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0), *other;

	drain_pcps();
	isolate_block_of(test, page);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_NOWAIT, 0));
	undo_isolate_block_of(page);
	other = alloc_or_fail(test, 0);
	KUNIT_EXPECT_PTR_EQ(test, block_of(other), block_of(page));
	unmapped_pages_free(other, 0);
	unmapped_pages_free(page, 0);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
}
#endif

/* === Poisoned pages ====================================================== */

/* A page with a hardware error is not handed out any more. */
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
	/* It must not be accessed, not even to clear it. */
	unmapped_clear_chunk(page, 0);
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

	/* Now a page that becomes bad while it is free, on the CPU's list. */
	page = ctl.kept[0];
	unmapped_pages_free(page, 0);
	SetPageHWPoison(page);
	ctl.kept[0] = alloc_or_fail(test, 0);
	KUNIT_EXPECT_PTR_NE(test, ctl.kept[0], page);
	release_pages(ctl.kept, UNMAPPED_BLOCK_PAGES - 1);
	count_all(&after);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + 2);
	KUNIT_EXPECT_EQ(test, after.used, 0);

	/* The rest of the block can still be used. */
	drain_pcps();
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 1));
	drain_all();
	expect_count(test, 0, 0);
}

/* Lose a page of a block of which no other page is in use. */
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

/* A lost page is not counted any more, and does not come back. */
static void unmapped_test_unpoison(struct kunit *test)
{
	struct page *page = lose_page(test);

	KUNIT_EXPECT_EQ(test, unpoison_memory(page_to_pfn(page)), -EBUSY);
	/* Soft offlining takes a reference after it has dropped the last one. */
	page_ref_inc(page);
	KUNIT_EXPECT_EQ(test, unpoison_memory(page_to_pfn(page)), -EBUSY);
	KUNIT_EXPECT_TRUE(test, PageHWPoison(page));
	drain_pcps();
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES - 1);

	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page),
							  1));
	KUNIT_EXPECT_EQ(test, drain_all(), UNMAPPED_BLOCK_PAGES - 1);
}

/* The block of a bad page is released before hibernation. */
static void unmapped_test_image_poisoned(struct kunit *test)
{
	lose_page(test);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
	expect_count(test, 0, 0);
}

/* The block of a bad page can go offline, and is forgotten then. */
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

/*
 * Nor is a poisoned page in use, to which memory_failure() keeps a reference: its
 * memory goes offline, and then it is not in use any more.
 */
static void unmapped_test_offline_poisoned_in_use(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	struct memory_notify range = {
		.start_pfn = ALIGN_DOWN(page_to_pfn(page), UNMAPPED_BLOCK_PAGES),
		.nr_pages = UNMAPPED_BLOCK_PAGES,
	};
	struct unmapped_count before, after;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE)) {
		unmapped_pages_free(page, 0);
		kunit_skip(test, "no memory failure handling");
	}

	count_all(&before);
	SetPageHWPoison(page);
	unmapped_memory_callback(NULL, MEM_GOING_OFFLINE, &range);
	expect_count(test, 1, 0);
	unmapped_memory_callback(NULL, MEM_OFFLINE, &range);
	expect_count(test, 0, 0);
	count_all(&after);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + 1);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
}

/* Memory that is in use does not go offline: its blocks are left as they are. */
static void unmapped_test_offline_in_use(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);
	struct memory_notify range = {
		.start_pfn = ALIGN_DOWN(page_to_pfn(page), UNMAPPED_BLOCK_PAGES),
		.nr_pages = UNMAPPED_BLOCK_PAGES,
	};

	unmapped_memory_callback(NULL, MEM_GOING_OFFLINE, &range);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* === Free page reporting ================================================= */

#ifdef CONFIG_UNMAPPED_REPORTING
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
			with_page(host.test, sg_page(sg) + i, RUBBISH, true);
		sum += nr;
		host.nr_chunks++;
	}
	if (!sum)
		return host.err;

	count_all(&count);
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
	drain_pcps();
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
	struct page *page = alloc_or_fail(test, 0);

	use_host(test);
	KUNIT_EXPECT_EQ(test, report_once(test), 1);
	KUNIT_EXPECT_EQ(test, host.nr_pages, 0);

	KUNIT_EXPECT_EQ(test, report_once(test), 0);
	KUNIT_EXPECT_EQ(test, host.nr_pages, UNMAPPED_BLOCK_PAGES - 1);
	KUNIT_EXPECT_EQ(test, host.nr_chunks, PMD_ORDER);
	KUNIT_EXPECT_LE(test, host.max_pages, UNMAPPED_BLOCK_PAGES / 2);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 1);
	expect_node_counts(test);

	KUNIT_EXPECT_EQ(test, report_once(test), 0);
	KUNIT_EXPECT_EQ(test, host.nr_pages, 0);
	expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
}

/* Whole blocks do not wait. */
static void unmapped_test_report_block(struct kunit *test)
{
	use_host(test);
	unmapped_pages_free(alloc_or_fail(test, 0), 0);
	KUNIT_EXPECT_EQ(test, report_once(test), 0);
	KUNIT_EXPECT_EQ(test, host.nr_pages, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, host.nr_chunks, 1);
	KUNIT_EXPECT_EQ(test, drain_all(), UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, nr_reported(), 0);
}

/* What was reported is not zero any more: alone, in bulk, and as a chunk. */
static void unmapped_test_report_is_cleared(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0), *chunk;
	int i;

	use_host(test);
	/* All of it is known to be zero. */
	chunk = alloc_or_fail(test, PMD_ORDER - 1);
	unmapped_pages_free(chunk, PMD_ORDER - 1);
	report_all(test);
	KUNIT_EXPECT_EQ(test, with_page(test, chunk, RUBBISH, false), 0);

	chunk = alloc_or_fail(test, PMD_ORDER - 1);
	expect_zero(test, chunk, PMD_ORDER - 1);
	for (i = 0; i < 3; i++) {
		ctl.kept[i] = alloc_or_fail(test, 0);
		expect_zero(test, ctl.kept[i], 0);
	}
	release_pages(ctl.kept, i);
	drain_pcps();
	KUNIT_EXPECT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL, 255, ctl.kept), 255);
	for (i = 0; i < 255; i++)
		expect_zero(test, ctl.kept[i], 0);
	release_pages(ctl.kept, 255);
	unmapped_pages_free(chunk, PMD_ORDER - 1);
	unmapped_pages_free(page, 0);
}

/* A chunk that was reported merges with one that is zero: it is neither. */
static void unmapped_test_report_merged(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, PMD_ORDER - 1);

	use_host(test);
	report_all(test);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES / 2);
	unmapped_pages_free(page, PMD_ORDER - 1);
	KUNIT_EXPECT_EQ(test, nr_reported(), 0);
	page = alloc_or_fail(test, PMD_ORDER);
	expect_zero(test, page, PMD_ORDER);
	unmapped_pages_free(page, PMD_ORDER);

	KUNIT_EXPECT_EQ(test, report_once(test), 0);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES);
}

/* What is left of a chunk that was reported is not reported again. */
static void unmapped_test_report_split(struct kunit *test)
{
	struct page *page;

	use_host(test);
	unmapped_pages_free(alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	report_all(test);
	page = alloc_or_fail(test, 2);
	expect_zero(test, page, 2);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 4);
	report_all(test);
	KUNIT_EXPECT_EQ(test, host.nr_pages, 0);

	/* Nor when it becomes a fragment. */
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page), 1));
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 4);
	expect_node_counts(test);
	report_all(test);
	KUNIT_EXPECT_EQ(test, host.nr_pages, 0);
	unmapped_pages_free(page, 2);
}

/* Memory that the host did not accept is reported again. */
static void unmapped_test_report_fails(struct kunit *test)
{
	use_host(test);
	unmapped_pages_free(alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	host.err = -EIO;
	KUNIT_EXPECT_EQ(test, report_once(test), -EIO);
	KUNIT_EXPECT_EQ(test, nr_reported(), 0);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	host.err = 0;
	KUNIT_EXPECT_EQ(test, report_once(test), 0);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES);
}

/* A device that might access the pages gets none. */
static void unmapped_test_report_not_to_all(struct kunit *test)
{
	use_host(test);
	unmapped_pages_free(alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
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
							UNMAPPED_BLOCK_PAGES, ctl.kept),
			UNMAPPED_BLOCK_PAGES);
	/* Not next to each other. */
	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++)
		if (page_to_pfn(ctl.kept[i]) % 2)
			unmapped_pages_free(ctl.kept[i], 0);
	drain_pcps();
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
		if (!(page_to_pfn(ctl.kept[i]) % 2))
			unmapped_pages_free(ctl.kept[i], 0);
}

static void alloc_meanwhile(struct kunit *test)
{
	if (!host.page)
		host.page = unmapped_pages_alloc(GFP_NOWAIT, 0);
}

/* A caller that can't wait gets a page while others are being reported. */
static void unmapped_test_report_leaves_some(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0);

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
	struct page *page = alloc_or_fail(test, PMD_ORDER - 1), *other;

	use_host(test);
	host.meanwhile = alloc_meanwhile;
	report_all(test);
	KUNIT_EXPECT_NULL(test, host.page);
	other = alloc_or_fail(test, PMD_ORDER - 1);
	unmapped_pages_free(other, PMD_ORDER - 1);
	unmapped_pages_free(page, PMD_ORDER - 1);
	expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
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
	struct page *page = alloc_or_fail(test, PMD_ORDER);
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
	expect_count(test, 0, 0);
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
	struct page *page = alloc_or_fail(test, PMD_ORDER);
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
	struct page *page = alloc_or_fail(test, 0);

	use_host(test);
	isolate_block_of(test, page);
	report_all(test);
	KUNIT_EXPECT_EQ(test, nr_reported(), 0);
	undo_isolate_block_of(page);
	report_all(test);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
}
#endif

static void unmapped_test_report_poisoned(struct kunit *test)
{
	struct page *page = alloc_or_fail(test, 0), *bad;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "no memory failure handling");

	use_host(test);
	bad = block_of(page) + (page == block_of(page));
	drain_pcps();
	with_page(test, bad, MARK, true);
	SetPageHWPoison(bad);
	report_all(test);
	report_all(test);
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 2);
	KUNIT_EXPECT_EQ(test, with_page(test, bad, MARK, false), 0);
	unmapped_pages_free(page, 0);
	drain_pcps();
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page),
							  1));
	drain_all();
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
	struct page *page = alloc_or_fail(test, 0);
	struct unmapped_node *node = unmapped_node(page_to_nid(page));

	use_host(test);
	drain_pcps();
	if (page_reporting_register(&host.dev)) {
		unmapped_pages_free(page, 0);
		kunit_skip(test, "there is a device already");
	}
	flush_reports();
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 1);

	/* A block is whole. */
	unmapped_pages_free(page, 0);
	drain_pcps();
	flush_reports();
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES);

	/* A smaller chunk is free, when the idle work looks. */
	page = alloc_or_fail(test, 1);
	unmapped_pages_free(alloc_or_fail(test, 0), 0);
	drain_pcps();
	flush_reports();
	unmapped_report_wake(node);
	flush_reports();
	KUNIT_EXPECT_EQ(test, nr_reported(), UNMAPPED_BLOCK_PAGES - 2);
	page_reporting_unregister(&host.dev);
	unmapped_pages_free(page, 1);
}
#endif /* CONFIG_UNMAPPED_REPORTING */

/* === Allocation profiling ================================================ */

#ifdef CONFIG_MEM_ALLOC_PROFILING
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
static void expect_cache_charged(struct kunit *test)
{
	struct unmapped_count count;

	if (!mem_alloc_profiling_enabled())
		return;

	count_all(&count);
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
		expect_cache_charged(test);
		__free_pages(page, order);
		expect_charged(test, consumer(), 0, 0);
		expect_cache_charged(test);
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
	expect_cache_charged(test);

	page = alloc_hooks_tag(consumer(), unmapped_block_alloc_noprof(GFP_KERNEL));
	KUNIT_ASSERT_NOT_NULL(test, page);
	expect_charged(test, consumer(), UNMAPPED_BLOCK_PAGES, 1);
	unmapped_block_free(page);
	expect_charged(test, consumer(), 0, 0);
	expect_cache_charged(test);

	folio_batch_init(&folios);
	for (i = 0; i < 8; i++) {
		page = alloc_tagged(consumer(), GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, page);
		folio_batch_add(&folios, page_folio(page));
	}
	expect_charged(test, consumer(), 8, 8);
	folios_put(&folios);
	expect_charged(test, consumer(), 0, 0);
	expect_cache_charged(test);
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
	expect_cache_charged(test);
	put_page(page);
	expect_charged(test, consumer(), 0, 0);
	expect_cache_charged(test);
}

static void unmapped_test_tag_nolock(struct kunit *test)
{
	struct page *page;

	needs_profiling_on(test);
	page = alloc_tagged(consumer(), GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	free_pages_nolock(page, 0);
	unmapped_alloc_sync_deferred();
	expect_charged(test, consumer(), 0, 0);
	expect_cache_charged(test);
}

static void unmapped_test_tag_bulk(struct kunit *test)
{
	unsigned long nr;

	needs_profiling_on(test);
	nr = alloc_hooks_tag(consumer(),
			     unmapped_pages_alloc_bulk_noprof(GFP_KERNEL,
							      NUMA_NO_NODE, NULL,
							      300, ctl.kept));
	KUNIT_EXPECT_EQ(test, nr, 300);
	expect_charged(test, consumer(), nr, nr);
	expect_cache_charged(test);
	release_pages(ctl.kept, nr);
	expect_charged(test, consumer(), 0, 0);
	expect_cache_charged(test);
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
	expect_cache_charged(test);

	/* One that gets lost while it is free. */
	SetPageHWPoison(page);
	page = alloc_tagged(consumer(), GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	expect_charged(test, consumer(), 1, 1);
	__free_page(page);
	drain_pcps();
	expect_cache_charged(test);
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page),
							  1));
	drain_all();
}

/* The direct map could not be restored: the whole block is lost. */
static void unmapped_test_tag_lost_block(struct kunit *test)
{
	struct page *page;

	needs_profiling_on(test);
	page = alloc_tagged(consumer(), GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_page(page);
	fail_direct_map(test, true, 1, 2);
	ctl.fail_both = true;
	drain_all();
	expect_cache_charged(test);
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

	drain_all();
	expect_count(test, 0, 0);
	expect_cache_charged(test);
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
	expect_cache_charged(test);

	drain_all();
	expect_cache_charged(test);
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
	drain_all();
	expect_cache_charged(test);
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
	block = alloc_or_fail(test, PMD_ORDER);
	__free_pages(block, PMD_ORDER);

	/* But the first one has, and those that came before it. */
	switch_profiling(true);
	do {
		page = alloc_tagged(consumer(), GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, page);
		ctl.kept[nr++] = page;
	} while (page != block && nr < ARRAY_SIZE(ctl.kept));
	KUNIT_EXPECT_PTR_EQ(test, page, block);
	switch_profiling(false);
	release_pages(ctl.kept, nr);
	drain_pcps();
	page = alloc_or_fail(test, PMD_ORDER);
	KUNIT_EXPECT_PTR_EQ(test, page, block);
	switch_profiling(true);

	__free_pages(page, PMD_ORDER);
	expect_charged(test, consumer(), 0, 0);
	expect_cache_charged(test);
	drain_all();
	expect_cache_charged(test);
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
	use_area(test, area, UNMAPPED_BLOCK_PAGES);
	__free_page(alloc_tagged(consumer(), GFP_KERNEL, 0));
	expect_charged(test, other_consumer(), 0, 0);
	expect_cache_charged(test);
	KUNIT_EXPECT_EQ(test, alloc_tag_read(stale_consumer()).bytes,
			before.bytes + (UNMAPPED_BLOCK_PAGES - 1) * PAGE_SIZE);
	drain_all();
	expect_cache_charged(test);
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
	expect_cache_charged(test);
	switch_profiling(false);
	drain_all();
	switch_profiling(true);
	expect_charged(test, unmapped_cache(), 0, 0);

	/* Most likely, these are the same pages. */
	__free_page(alloc_tagged(consumer(), GFP_KERNEL, 0));
	expect_cache_charged(test);
	drain_all();
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
			drain_all();
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
	expect_cache_charged(test);
	count_all(&count);
	KUNIT_EXPECT_EQ(test, count.used, nr_pages[0] + nr_pages[1]);

	for (i = 0; i < TAG_THREADS; i++)
		for (j = 0; j < TAG_KEPT; j++)
			load_free(&loads[i], j);
	expect_charged(test, consumer(), 0, 0);
	expect_charged(test, other_consumer(), 0, 0);
}
#else
static void expect_cache_charged(struct kunit *test)
{
}
#endif /* CONFIG_MEM_ALLOC_PROFILING */

/* === Suite =============================================================== */

/* One block at a time, except in tests of demand. */
static unsigned int low_demand(struct unmapped_node *node)
{
	return 1;
}

/* The allocator's own work items would change what the tests count. */
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
		unmapped_idle_wake(unmapped_node(nid));
	}
}

static int unmapped_test_init(struct kunit *test)
{
	int nid, i;

	if (!unmapped_alloc_available())
		kunit_skip(test, "the allocator is not available on this boot");

	memset(&ctl, 0, sizeof(ctl));
	for_each_online_node(nid) {
		for (i = 0; i < UNMAPPED_NR_ZONES; i++)
			unmapped_node(nid)->zones[i].skip_search = 0;
		/* Others had a demand: the text of this module, for example. */
		unmapped_refill_calm(unmapped_node(nid));
	}
	kunit_activate_static_stub(test, unmapped_demand_next, low_demand);
	drain_all();
	expect_count(test, 0, 0);
	return 0;
}

static void unmapped_test_exit(struct kunit *test)
{
	if (!unmapped_alloc_available())
		return;

	expect_node_counts(test);
	expect_cache_charged(test);
	ctl.nr_fails = 0;
	drain_all();
	expect_count(test, 0, 0);
	expect_cache_charged(test);
	expect_node_counts(test);
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
	KUNIT_CASE(unmapped_test_cleared_when_handed_out),
	KUNIT_CASE(unmapped_test_merged_is_cleared),
	KUNIT_CASE(unmapped_test_bulk_is_zero),
	KUNIT_CASE(unmapped_test_batch_is_cleared),
	KUNIT_CASE(unmapped_test_page_copy),
	KUNIT_CASE(unmapped_test_clear_is_private),
	KUNIT_CASE(unmapped_test_not_mapped_anywhere),
	KUNIT_CASE(unmapped_test_vmap),
	KUNIT_CASE(unmapped_test_vmap_batch),
	KUNIT_CASE(unmapped_test_vmap_again),
	KUNIT_CASE(unmapped_test_vmap_timer),
	KUNIT_CASE(unmapped_test_vread),
	KUNIT_CASE(unmapped_test_nofault),
	KUNIT_CASE(unmapped_test_bulk_mpol),
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
	KUNIT_CASE(unmapped_test_collapse_late),
	KUNIT_CASE(unmapped_test_collapse_busy),
	KUNIT_CASE(unmapped_test_collapse_own_only),
	KUNIT_CASE(unmapped_test_collapse_regions),
	KUNIT_CASE(unmapped_test_fragments_become_block),
	KUNIT_CASE(unmapped_test_zone_span),
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
	KUNIT_CASE(unmapped_test_killed_waiter),
	KUNIT_CASE(unmapped_test_one_block),
	KUNIT_CASE(unmapped_test_batch_fails),
	KUNIT_CASE(unmapped_test_background),
	KUNIT_CASE(unmapped_test_idle),
	KUNIT_CASE(unmapped_test_idle_anew),
	KUNIT_CASE(unmapped_test_idle_pcp),
	KUNIT_CASE(unmapped_test_idle_period),
	KUNIT_CASE(unmapped_test_exhausted),
	KUNIT_CASE(unmapped_test_no_effort_for_blocks),
	KUNIT_CASE(unmapped_test_short),
	KUNIT_CASE(unmapped_test_nearly_short),
	KUNIT_CASE(unmapped_test_deferred_search),
	KUNIT_CASE(unmapped_test_refill_order),
	KUNIT_CASE(unmapped_test_pcp_bound),
	KUNIT_CASE(unmapped_test_atomic),
	KUNIT_CASE(unmapped_test_unmap_fails),
	KUNIT_CASE(unmapped_test_unmap_fails_once),
	KUNIT_CASE(unmapped_test_restore_fails),
	KUNIT_CASE(unmapped_test_map_fails),
	KUNIT_CASE(unmapped_test_fault_injection),
#ifdef CONFIG_TRACEPOINTS
	KUNIT_CASE(unmapped_test_trace),
	KUNIT_CASE(unmapped_test_trace_pairs),
	KUNIT_CASE(unmapped_test_trace_life),
#endif
	KUNIT_CASE(unmapped_test_late_reference),
	KUNIT_CASE(unmapped_test_late_reference_high_order),
	KUNIT_CASE(unmapped_test_late_reference_block),
	KUNIT_CASE(unmapped_test_pfn),
	KUNIT_CASE(unmapped_test_put_paths),
	KUNIT_CASE(unmapped_test_neighbours),
	KUNIT_CASE(unmapped_test_put_in_hardirq),
	KUNIT_CASE(unmapped_test_put_in_softirq),
	KUNIT_CASE(unmapped_test_put_irqs_off),
	KUNIT_CASE(unmapped_test_put_nolock),
	KUNIT_CASE(unmapped_test_put_nolock_late),
	KUNIT_CASE(unmapped_test_put_nolock_dead),
	KUNIT_CASE(unmapped_test_drain_keeps_used),
	KUNIT_CASE(unmapped_test_image_in_use),
	KUNIT_CASE(unmapped_test_image),
	KUNIT_CASE(unmapped_test_image_refill),
	KUNIT_CASE(unmapped_test_image_allowed),
	KUNIT_CASE(unmapped_test_image_denied),
	KUNIT_CASE(unmapped_test_image_lacks_page),
	KUNIT_CASE(unmapped_test_usable_after_drain),
	KUNIT_CASE(unmapped_test_whole_blocks_last),
	KUNIT_CASE(unmapped_test_fragments_before_whole_blocks),
	KUNIT_CASE(unmapped_test_break_block),
	KUNIT_CASE(unmapped_test_break_emptiest),
	KUNIT_CASE(unmapped_test_break_on_long_list),
	KUNIT_CASE(unmapped_test_kswapd_reserve),
	KUNIT_CASE(unmapped_test_reclaim),
	KUNIT_CASE(unmapped_test_broken_block_heals),
	KUNIT_CASE(unmapped_test_break_in_transit),
	KUNIT_CASE(unmapped_test_break_twice),
	KUNIT_CASE(unmapped_test_break_while_it_heals),
	KUNIT_CASE(unmapped_test_break_while_it_is_removed),
#if defined(CONFIG_MEMORY_ISOLATION) && defined(CONFIG_CONTIG_ALLOC)
	KUNIT_CASE(unmapped_test_contig_range),
	KUNIT_CASE(unmapped_test_isolated),
	KUNIT_CASE(unmapped_test_isolated_late),
	KUNIT_CASE(unmapped_test_isolated_lists),
	KUNIT_CASE(unmapped_test_isolated_refill),
	KUNIT_CASE(unmapped_test_isolated_for_a_while),
#endif
	KUNIT_CASE(unmapped_test_poisoned),
	KUNIT_CASE(unmapped_test_unpoison),
	KUNIT_CASE(unmapped_test_image_poisoned),
	KUNIT_CASE(unmapped_test_offline_poisoned),
	KUNIT_CASE(unmapped_test_offline_poisoned_in_use),
	KUNIT_CASE(unmapped_test_offline_in_use),
#ifdef CONFIG_UNMAPPED_REPORTING
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
#endif
#ifdef CONFIG_MEM_ALLOC_PROFILING
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
#endif
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
