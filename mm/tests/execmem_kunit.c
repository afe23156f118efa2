// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for memory of execmem that has no alias in the direct map, and for
 * the vmalloc() function that maps it.
 *
 * Modules, BPF and others use the cache at the same time, so the tests only look
 * at memory of their own, and at counters that change by more than others cause.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/execmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/set_memory.h>
#include <linux/sizes.h>
#include <linux/text-patching.h>
#include <linux/unmapped_alloc.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include "../execmem.h"
#include "../unmapped-alloc.h"
#include "../vmalloc.h"

/* The largest order that the page allocator has, for the stub. */
static int max_order;

static struct page *limited_source(gfp_t gfp, unsigned int order, int nid,
				   nodemask_t *nodemask)
{
	struct page *page = NULL;

	if ((int)order <= max_order)
		page = alloc_pages_node(nid, gfp, order);
	if (page)
		set_page_count(page, 0);
	return page;
}

static unsigned long nr_events(enum vm_event_item item)
{
	static unsigned long events[NR_VM_EVENT_ITEMS];

	all_vm_events(events);
	return events[item];
}

static void drain_all(void)
{
	int nid;

	for_each_online_node(nid) {
		unmapped_refill_calm(unmapped_node(nid));
		unmapped_alloc_drain(nid);
	}
}

/* Free all areas that are not in use. */
static unsigned long shrink(void)
{
	execmem_cache_flush();
	return execmem_cache_shrink();
}

static unsigned long no_split_areas(gfp_t gfp, unsigned long nr_pages)
{
	return 0;
}

/* From now on, the page allocator has nothing larger for the cache, ... */
static void limit_order(struct kunit *test, int order)
{
	max_order = order;
	kunit_activate_static_stub(test, unmapped_source_alloc,
				   limited_source);
	shrink();
	drain_all();
}

/* ... and nothing where the direct map is split already. */
static void limit_source(struct kunit *test, int order)
{
	kunit_activate_static_stub(test, unmapped_refill_split,
				   no_split_areas);
	limit_order(test, order);
}

static void *alloc_or_fail(struct kunit *test, size_t size)
{
	void *p = execmem_alloc(EXECMEM_BPF, size);

	KUNIT_ASSERT_NOT_NULL(test, p);
	return p;
}

enum perms { ROX, RW, NONE };

static enum perms perms_of(const void *addr)
{
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)addr, &level);

	if (!pte || !(pte_val(*pte) & _PAGE_PRESENT))
		return NONE;
	if (!(pte_val(*pte) & (_PAGE_RW | _PAGE_NX)))
		return ROX;
	return (pte_val(*pte) & _PAGE_RW) && (pte_val(*pte) & _PAGE_NX) ? RW : NONE;
}

/* Every page has these permissions, and is mapped nowhere else. */
static void expect_perms(struct kunit *test, void *p, size_t size,
			 enum perms perms)
{
	unsigned int bad_perms = 0, aliased = 0, unused = 0;
	struct page *page;
	size_t i;

	for (i = 0; i < size; i += PAGE_SIZE) {
		page = vmalloc_to_page(p + i);
		bad_perms += perms_of(p + i) != perms;
		aliased += !unmapped_page(page) || kernel_page_present(page);
		unused += !unmapped_page_used(page);
	}
	KUNIT_EXPECT_EQ(test, bad_perms, 0);
	KUNIT_EXPECT_EQ(test, aliased, 0);
	KUNIT_EXPECT_EQ(test, unused, 0);
}

static void expect_trapping(struct kunit *test, void *p, size_t size)
{
	KUNIT_EXPECT_NULL(test, memchr_inv(p, INT3_INSN_OPCODE, size));
}

/* What was freed has been given back. */
static void expect_at_most(struct kunit *test, enum unmapped_text what,
			   long most)
{
	execmem_cache_flush();
	KUNIT_EXPECT_LE(test, unmapped_text_count(what), most);
}

/* === Areas without an alias ============================================== */

static void execmem_test_no_alias(struct kunit *test)
{
	static const size_t sizes[] = {
		PAGE_SIZE, 5 * PAGE_SIZE, PMD_SIZE, PMD_SIZE + PAGE_SIZE,
	};
	void *p;
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		p = alloc_or_fail(test, sizes[i]);
		expect_perms(test, p, sizes[i], ROX);
		expect_trapping(test, p, sizes[i]);
		execmem_free(p);
	}
}

/* What is written becomes executable, and is gone when it is freed. */
static void execmem_test_write(struct kunit *test)
{
	size_t size = 3 * PAGE_SIZE;
	void *p = execmem_alloc_rw(EXECMEM_MODULE_TEXT, size), *again;

	KUNIT_ASSERT_NOT_NULL(test, p);
	expect_perms(test, p, size, RW);
	memset(p, 0x90, size);
	KUNIT_EXPECT_EQ(test, execmem_restore_rox(p, size), 0);
	expect_perms(test, p, size, ROX);
	KUNIT_EXPECT_NULL(test, memchr_inv(p, 0x90, size));
	execmem_free(p);

	again = alloc_or_fail(test, size);
	expect_trapping(test, again, size);
	execmem_free(again);
}

/* All types of text share blocks. */
static void execmem_test_share(struct kunit *test)
{
	static const enum execmem_type types[] = {
		EXECMEM_MODULE_TEXT, EXECMEM_KPROBES, EXECMEM_FTRACE, EXECMEM_BPF,
	};
	long before = unmapped_text_count(UNMAPPED_TEXT_BLOCKS);
	void *p[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = execmem_alloc(types[i % ARRAY_SIZE(types)], PAGE_SIZE);
		KUNIT_EXPECT_NOT_NULL(test, p[i]);
	}
	KUNIT_EXPECT_LE(test, unmapped_text_count(UNMAPPED_TEXT_BLOCKS),
			before + 1);
	for (i = 0; i < ARRAY_SIZE(p); i++)
		execmem_free(p[i]);
}

/* A block that is not in use is kept, until there is need for memory. */
static void execmem_test_spare(struct kunit *test)
{
	void *p[3];
	long before;
	int i;

	shrink();
	before = unmapped_text_count(UNMAPPED_TEXT_BLOCKS);
	for (i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = alloc_or_fail(test, PMD_SIZE);
	for (i = 0; i < ARRAY_SIZE(p); i++)
		execmem_free(p[i]);

	expect_at_most(test, UNMAPPED_TEXT_BLOCKS, before + 1);
	KUNIT_EXPECT_EQ(test, execmem_cache_spare(), UNMAPPED_BLOCK_PAGES);
	/* While it is in use again, it is not promised to anybody. */
	p[0] = alloc_or_fail(test, PMD_SIZE);
	KUNIT_EXPECT_EQ(test, shrink(), 0);
	KUNIT_EXPECT_EQ(test, execmem_cache_spare(), 0);
	execmem_free(p[0]);
	expect_at_most(test, UNMAPPED_TEXT_BLOCKS, before + 1);

	KUNIT_EXPECT_EQ(test, execmem_cache_spare(), UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, shrink(), UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, execmem_cache_spare(), 0);
	KUNIT_EXPECT_LE(test, unmapped_text_count(UNMAPPED_TEXT_BLOCKS), before);

	/* Nor is it kept for long. */
	execmem_free(alloc_or_fail(test, PMD_SIZE));
	execmem_cache_flush();
	KUNIT_EXPECT_EQ(test, execmem_cache_spare(), UNMAPPED_BLOCK_PAGES);
	execmem_cache_age();
	KUNIT_EXPECT_EQ(test, execmem_cache_spare(), 0);
	KUNIT_EXPECT_LE(test, unmapped_text_count(UNMAPPED_TEXT_BLOCKS), before);
}

/* === When memory is fragmented or short ================================== */

/* One fragment is enough, and the area goes back although it is small. */
static void execmem_test_fragment(struct kunit *test)
{
	size_t size = PMD_SIZE / 2;
	unsigned long fragments;
	long bytes, blocks;
	int nr = 0;
	void *p[8];

	limit_source(test, PMD_ORDER - 1);
	bytes = unmapped_text_count(UNMAPPED_TEXT_BYTES);
	blocks = unmapped_text_count(UNMAPPED_TEXT_BLOCKS);
	fragments = nr_events(UNMAPPED_REFILL_FRAGMENT);

	/* Fill up what is free in blocks in use. */
	do {
		p[nr] = alloc_or_fail(test, size);
	} while (unmapped_text_count(UNMAPPED_TEXT_BYTES) == bytes &&
		 ++nr < ARRAY_SIZE(p) - 1);

	KUNIT_EXPECT_EQ(test, unmapped_text_count(UNMAPPED_TEXT_BYTES),
			bytes + (long)size);
	KUNIT_EXPECT_EQ(test, nr_events(UNMAPPED_REFILL_FRAGMENT),
			fragments + 1);
	KUNIT_EXPECT_EQ(test, unmapped_text_count(UNMAPPED_TEXT_BLOCKS), blocks);
	if (nr == ARRAY_SIZE(p) - 1) {
		KUNIT_FAIL(test, "blocks in use have too much room");
		nr--;
	}
	expect_perms(test, p[nr], size, ROX);
	expect_trapping(test, p[nr], size);
	for (; nr >= 0; nr--)
		execmem_free(p[nr]);
	expect_at_most(test, UNMAPPED_TEXT_BYTES, bytes);
}

/* Allocate pages until an area is made for one. Returns the area's size. */
static size_t make_area(struct kunit *test, void **p, unsigned int *nr,
			unsigned int max)
{
	long grown = 0, bytes = unmapped_text_count(UNMAPPED_TEXT_BYTES);

	while (!grown && *nr < max) {
		p[(*nr)++] = alloc_or_fail(test, PAGE_SIZE);
		grown = unmapped_text_count(UNMAPPED_TEXT_BYTES) - bytes;
	}
	return grown;
}

/* Without blocks, requests of a page share an area, if memory is there for one. */
static void execmem_test_shared_area(struct kunit *test)
{
	const unsigned int max = 4 * UNMAPPED_BLOCK_PAGES;
	void **p = kunit_kcalloc(test, max + 8, sizeof(*p), GFP_KERNEL);
	unsigned int nr = 0, i;
	long bytes;

	KUNIT_ASSERT_NOT_NULL(test, p);
	limit_source(test, get_order(SZ_64K));
	KUNIT_EXPECT_EQ(test, make_area(test, p, &nr, max), SZ_64K);
	bytes = unmapped_text_count(UNMAPPED_TEXT_BYTES);
	for (i = 0; i < 8; i++)
		p[nr++] = alloc_or_fail(test, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, unmapped_text_count(UNMAPPED_TEXT_BYTES), bytes);

	max_order = 0;
	drain_all();
	KUNIT_EXPECT_EQ(test, make_area(test, p, &nr, max), PAGE_SIZE);
	while (nr--)
		execmem_free(p[nr]);
}

/* What is unmapped already is used before anything is split. */
static void execmem_test_cached_pages(struct kunit *test)
{
	unsigned long fragments, splits;
	struct page *pages[16];
	long blocks;
	int i, nr = 0;
	void *p;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = unmapped_pages_alloc(GFP_KERNEL, PMD_ORDER - 1);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	limit_source(test, -1);
	blocks = unmapped_text_count(UNMAPPED_TEXT_BLOCKS);
	/* Of each block, half is free. */
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		if (IS_ALIGNED(page_to_pfn(pages[i]), UNMAPPED_BLOCK_PAGES))
			pages[nr++] = pages[i];
		else
			unmapped_pages_free(pages[i], PMD_ORDER - 1);
	}

	fragments = nr_events(UNMAPPED_REFILL_FRAGMENT);
	splits = nr_events(UNMAPPED_AREA_SPLIT);
	p = alloc_or_fail(test, PMD_SIZE);
	expect_perms(test, p, PMD_SIZE, ROX);
	expect_trapping(test, p, PMD_SIZE);
	KUNIT_EXPECT_EQ(test, nr_events(UNMAPPED_REFILL_FRAGMENT),
			fragments);
	KUNIT_EXPECT_EQ(test, nr_events(UNMAPPED_AREA_SPLIT), splits);
	KUNIT_EXPECT_EQ(test, unmapped_text_count(UNMAPPED_TEXT_BLOCKS), blocks);
	execmem_free(p);
	while (nr--)
		unmapped_pages_free(pages[nr], PMD_ORDER - 1);
}

/* A free half of an area whose other half is in use and mapped by small entries. */
static struct page *split_area(struct kunit *test, struct page **used)
{
	unsigned int half = UNMAPPED_BLOCK_PAGES / 2;
	struct page *page[32] = {}, *found = NULL;
	int i;

	for (i = 0; i < ARRAY_SIZE(page) && !found; i++) {
		page[i] = alloc_pages(GFP_KERNEL, PMD_ORDER - 1);
		if (i && page[i] && page[i - 1] &&
		    page_to_pfn(page[i]) == (page_to_pfn(page[i - 1]) ^ half))
			found = page[i];
	}
	KUNIT_EXPECT_NOT_NULL(test, found);
	for (i = found ? i - 2 : i; i--;)
		if (page[i])
			__free_pages(page[i], PMD_ORDER - 1);
	if (!found)
		return NULL;

	*used = pfn_to_page(page_to_pfn(found) ^ half);
	KUNIT_EXPECT_EQ(test, unmapped_set_direct_map(*used, 1, false), 0);
	KUNIT_EXPECT_EQ(test, unmapped_set_direct_map(*used, 1, true), 0);
	return found;
}

/* Where the direct map is split already, taking memory splits nothing. */
static void execmem_test_split_areas(struct kunit *test)
{
	unsigned long splits, fragments;
	struct page *free, *used;
	int nr = 0;
	void *p[8];

	free = split_area(test, &used);
	if (!free)
		return;
	limit_order(test, -1);
	__free_pages(free, PMD_ORDER - 1);
	fragments = nr_events(UNMAPPED_REFILL_FRAGMENT);
	splits = nr_events(DIRECT_MAP_LEVEL2_SPLIT);

	/* Fill up what is free in blocks in use. */
	do {
		p[nr] = alloc_or_fail(test, PMD_SIZE / 4);
		expect_perms(test, p[nr], PMD_SIZE / 4, ROX);
		expect_trapping(test, p[nr], PMD_SIZE / 4);
	} while (unmapped_kind(vmalloc_to_page(p[nr++])) != UNMAPPED_FRAGMENT &&
		 nr < ARRAY_SIZE(p));

	KUNIT_EXPECT_GT(test, nr_events(UNMAPPED_REFILL_FRAGMENT),
			fragments);
	KUNIT_EXPECT_EQ(test, nr_events(DIRECT_MAP_LEVEL2_SPLIT), splits);
	while (nr--)
		execmem_free(p[nr]);
	__free_pages(used, PMD_ORDER - 1);
}

/* Without unmapped memory, all is as before, and counted. */
static void execmem_test_fallback(struct kunit *test)
{
	long before = unmapped_text_count(UNMAPPED_TEXT_FALLBACK);
	size_t size = PMD_SIZE + PAGE_SIZE;
	void *p;

	limit_source(test, -1);
	p = alloc_or_fail(test, size);
	KUNIT_EXPECT_FALSE(test, unmapped_page(vmalloc_to_page(p)));
	KUNIT_EXPECT_GE(test, unmapped_text_count(UNMAPPED_TEXT_FALLBACK),
			before + (long)size);
	KUNIT_EXPECT_EQ(test, perms_of(p), ROX);
	expect_trapping(test, p, size);
	execmem_free(p);
	expect_at_most(test, UNMAPPED_TEXT_FALLBACK, before);
}

/* === Failures ============================================================ */

/* Of what can fail, this one fails; 0: nothing does. */
static unsigned int fail_at;
static unsigned int nr_asked;

static int fail_one(void)
{
	return ++nr_asked == fail_at ? -ENOMEM : 0;
}

/* Let the next thing fail. Returns false if there was nothing any more. */
static bool fail_next(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, execmem_cache_check());
	if (nr_asked < fail_at)
		return false;
	fail_at++;
	nr_asked = 0;
	return true;
}

static void fail_from_first(void)
{
	fail_at = 0;
	nr_asked = 0;
}

static void begin_failing(struct kunit *test)
{
	kunit_activate_static_stub(test, execmem_may_fail, fail_one);
}

static void end_failing(struct kunit *test)
{
	kunit_deactivate_static_stub(test, execmem_may_fail);
}

/* Some pages are free in an area of which this one is in use. */
static void *make_room(struct kunit *test)
{
	void *used = alloc_or_fail(test, PAGE_SIZE);

	execmem_free(alloc_or_fail(test, 3 * PAGE_SIZE));
	execmem_cache_flush();
	return used;
}

/* An allocation that fails loses nothing, and hands out nothing that is in use. */
static void fail_allocs(struct kunit *test, size_t size)
{
	void *p;

	fail_from_first();
	begin_failing(test);
	while (fail_next(test)) {
		p = execmem_alloc(EXECMEM_BPF, size);
		if (!p)
			continue;
		KUNIT_EXPECT_EQ(test, perms_of(p), ROX);
		expect_trapping(test, p, size);
		KUNIT_EXPECT_TRUE(test, execmem_cache_check());
		/* That may fail, too, and is done later then. */
		execmem_free(p);
		KUNIT_EXPECT_TRUE(test, execmem_cache_check());
		execmem_cache_flush();
	}
	end_failing(test);
	KUNIT_EXPECT_GT(test, fail_at, 2);
}

static void execmem_test_fail_alloc(struct kunit *test)
{
	void *used = make_room(test);

	fail_allocs(test, PAGE_SIZE);
	execmem_free(used);
}

/* The same with areas that have to be made, ... */
static void execmem_test_fail_populate(struct kunit *test)
{
	long before;

	shrink();
	before = unmapped_text_count(UNMAPPED_TEXT_BYTES);
	fail_allocs(test, 2 * PMD_SIZE);
	shrink();
	expect_at_most(test, UNMAPPED_TEXT_BYTES, before);
	KUNIT_EXPECT_TRUE(test, execmem_cache_check());
}

/* ... and without the allocator. */
static void execmem_test_fail_fallback(struct kunit *test)
{
	long before = unmapped_text_count(UNMAPPED_TEXT_FALLBACK);

	limit_source(test, -1);
	fail_allocs(test, PMD_SIZE + PAGE_SIZE);
	expect_at_most(test, UNMAPPED_TEXT_FALLBACK, before);
	KUNIT_EXPECT_TRUE(test, execmem_cache_check());
}

/* Memory that can't be freed at once is freed later, with its permissions. */
static void execmem_test_fail_free(struct kunit *test)
{
	void *p, *again, *used = make_room(test);

	fail_from_first();
	while (fail_next(test)) {
		p = alloc_or_fail(test, PAGE_SIZE);
		begin_failing(test);
		execmem_free(p);
		KUNIT_EXPECT_TRUE(test, execmem_cache_check());
		end_failing(test);
		execmem_cache_flush();
		KUNIT_EXPECT_TRUE(test, execmem_cache_check());
		again = alloc_or_fail(test, PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, perms_of(again), ROX);
		expect_trapping(test, again, PAGE_SIZE);
		execmem_free(again);
		execmem_cache_flush();
	}
	KUNIT_EXPECT_GT(test, fail_at, 3);
	execmem_free(used);
}

/* An area that can't be given back stays, until it can. */
static void execmem_test_fail_shrink(struct kunit *test)
{
	fail_from_first();
	while (fail_next(test)) {
		execmem_free(alloc_or_fail(test, PMD_SIZE));
		execmem_cache_flush();
		begin_failing(test);
		execmem_cache_shrink();
		end_failing(test);
	}
	KUNIT_EXPECT_GT(test, fail_at, 1);
	shrink();
	KUNIT_EXPECT_EQ(test, execmem_cache_spare(), 0);
}

/* === Mapping given pages ================================================= */

static void execmem_test_map_pages(struct kunit *test)
{
	unsigned int nr = UNMAPPED_BLOCK_PAGES + 3, i, level;
	struct page *block, *small, **pages;
	struct vm_struct *area;
	unsigned long addr, accounted;

	pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	block = unmapped_pages_alloc(GFP_KERNEL, PMD_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, block);
	small = unmapped_pages_alloc(GFP_KERNEL, 2);
	KUNIT_ASSERT_NOT_NULL(test, small);
	for (i = 0; i < nr; i++)
		pages[i] = i < UNMAPPED_BLOCK_PAGES ? block + i :
			   small + 2 - (i - UNMAPPED_BLOCK_PAGES);

	accounted = global_node_page_state(NR_VMALLOC);
	area = vmalloc_map_pages(pages, nr, PAGE_SIZE, VMALLOC_START,
				 VMALLOC_END, PAGE_KERNEL, 0, GFP_KERNEL,
				 __builtin_return_address(0));
	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_EXPECT_GE(test, global_node_page_state(NR_VMALLOC) + 128,
			accounted + nr);
	addr = (unsigned long)area->addr;
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page((void *)addr +
							  i * PAGE_SIZE), pages[i]);
		*(unsigned int *)(addr + i * PAGE_SIZE) = i;
	}
	lookup_address(addr, &level);
	KUNIT_EXPECT_EQ(test, level, PG_LEVEL_2M);
	lookup_address(addr + PMD_SIZE, &level);
	KUNIT_EXPECT_EQ(test, level, PG_LEVEL_4K);

	vmalloc_unmap_pages(area);
	KUNIT_EXPECT_NULL(test, find_vm_area((void *)addr));
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, perms_of((void *)addr + i * PAGE_SIZE), NONE);
	unmapped_pages_free(block, PMD_ORDER);
	unmapped_pages_free(small, 2);
}

/* === Suite =============================================================== */

static int execmem_test_init(struct kunit *test)
{
	if (!unmapped_alloc_available() || !execmem_is_rox(EXECMEM_BPF))
		kunit_skip(test, "no unmapped pages on this boot");
	return 0;
}

static struct kunit_case execmem_test_cases[] = {
	KUNIT_CASE(execmem_test_no_alias),
	KUNIT_CASE(execmem_test_write),
	KUNIT_CASE(execmem_test_share),
	KUNIT_CASE(execmem_test_spare),
	KUNIT_CASE(execmem_test_fragment),
	KUNIT_CASE(execmem_test_shared_area),
	KUNIT_CASE(execmem_test_cached_pages),
	KUNIT_CASE(execmem_test_split_areas),
	KUNIT_CASE(execmem_test_fallback),
	KUNIT_CASE(execmem_test_fail_alloc),
	KUNIT_CASE(execmem_test_fail_populate),
	KUNIT_CASE(execmem_test_fail_fallback),
	KUNIT_CASE(execmem_test_fail_free),
	KUNIT_CASE(execmem_test_fail_shrink),
	KUNIT_CASE(execmem_test_map_pages),
	{}
};

static struct kunit_suite execmem_test_suite = {
	.name = "execmem",
	.init = execmem_test_init,
	.test_cases = execmem_test_cases,
};

kunit_test_suite(execmem_test_suite);

MODULE_DESCRIPTION("KUnit tests for execmem");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
