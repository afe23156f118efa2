/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the KUnit tests of the unmapped page allocator share. Nothing else may use
 * the allocator while they run, because they count pages.
 *
 * The contents of pages are checked through a mapping of the tests' own, made
 * by vmap(), never through the allocator's: if that one mapped the wrong page,
 * a test would see the wrong page, too.
 */
#ifndef UNMAPPED_ALLOC_KUNIT_H
#define UNMAPPED_ALLOC_KUNIT_H

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/unmapped_alloc.h>
#include <linux/vm_event_item.h>
#include <linux/workqueue.h>

#include "../../internal.h"
#include "../../page_alloc.h"
#include "../../unmapped-alloc.h"

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
struct ua_ctl {
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
	unsigned int nr_changes; /* how often the direct map was changed */
	struct read_page read;
	struct task_struct *traced; /* whose allocations are counted, ... */
	struct page *last_traced; /* ... the last one ... */
	unsigned int nr_traced;	/* ... and how many there were */
	struct page *kept[UNMAPPED_BLOCK_PAGES];
};

extern struct ua_ctl ua_ctl;
void ua_skip_if_rt(struct kunit *test);
void ua_count_all(struct unmapped_count *sum);
void ua_expect_node_counts(struct kunit *test);
void ua_expect_count(struct kunit *test, unsigned long used,
		     unsigned long cached);
unsigned long ua_drain_all(void);
void ua_drain_pcps(void);
unsigned long ua_nr_free_chunks(enum unmapped_kind kind, int order);
unsigned long ua_nr_events(enum vm_event_item item);

struct page *ua_alloc_or_fail(struct kunit *test, unsigned int order);
void ua_expect_present(struct kunit *test, struct page *page, int order,
		       bool present);
int ua_with_page(struct kunit *test, struct page *page, unsigned long mark,
		 bool fill);
void ua_fill_pages(struct kunit *test, struct page *page, int order);
void ua_expect_zero(struct kunit *test, struct page *page, int order);
unsigned int ua_direct_map_level(struct page *page);

struct page *ua_fake_source_alloc(gfp_t gfp, unsigned int order, int nid,
				  nodemask_t *nodemask);
void ua_use_fake_source(struct kunit *test, int max_order);
void ua_use_area(struct kunit *test, struct page *area, unsigned int nr);
void ua_fail_direct_map(struct kunit *test, bool valid, unsigned int at,
			int times);

#if defined(CONFIG_MEMORY_ISOLATION) && defined(CONFIG_CONTIG_ALLOC)
void ua_isolate_block_of(struct kunit *test, struct page *page);
void ua_undo_isolate_block_of(struct page *page);
#endif

#ifdef CONFIG_MEM_ALLOC_PROFILING
void ua_expect_cache_charged(struct kunit *test);
#else
static inline void ua_expect_cache_charged(struct kunit *test)
{
}
#endif

static inline struct page *ua_block_of(struct page *page)
{
	return pfn_to_page(ALIGN_DOWN(page_to_pfn(page), UNMAPPED_BLOCK_PAGES));
}

int ua_suite_init(struct kunit_suite *suite);
void ua_suite_exit(struct kunit_suite *suite);
int ua_init(struct kunit *test);
void ua_exit(struct kunit *test);

/* A suite begins and ends each of its tests with an empty cache. */
#define UA_SUITE(_name, _cases)				\
static struct kunit_suite ua_suite = {				\
	.name = _name,						\
	.suite_init = ua_suite_init,				\
	.suite_exit = ua_suite_exit,				\
	.init = ua_init,					\
	.exit = ua_exit,					\
	.test_cases = _cases,					\
};								\
								\
kunit_test_suite(ua_suite)

#endif /* UNMAPPED_ALLOC_KUNIT_H */
