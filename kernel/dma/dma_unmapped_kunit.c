// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for DMA buffers without a kernel mapping, on devices that are none.
 */

#include <kunit/device.h>
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/set_memory.h>
#include <linux/sizes.h>
#include <linux/unmapped_alloc.h>

#include "../../mm/unmapped-alloc.h"

#define HINT	(DMA_ATTR_NO_KERNEL_MAPPING | DMA_ATTR_NO_WARN)
#define REQUIRE	(HINT | DMA_ATTR_REQUIRE_UNMAPPED)

/* On all of these, dma-direct's cookie is a pointer to the first page. */
static struct device *device_with_mask(struct kunit *test, u64 mask)
{
	struct device *dev = kunit_device_register(test, "dma_unmapped");

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	dev->dma_mask = &dev->coherent_dma_mask;
	KUNIT_ASSERT_EQ(test, dma_set_mask_and_coherent(dev, mask), 0);
	return dev;
}

static void drain_all(void)
{
	int nid;

	for_each_online_node(nid) {
		unmapped_refill_calm(unmapped_node(nid));
		unmapped_alloc_drain(nid);
	}
}

/* From now on, the page allocator has nothing. */
static struct page *no_source(gfp_t gfp, unsigned int order, int nid,
			      nodemask_t *nodemask)
{
	return NULL;
}

static void expect_buffer(struct kunit *test, struct page *page, size_t size,
			  bool unmapped)
{
	unsigned long i, nr = PAGE_ALIGN(size) >> PAGE_SHIFT;
	unsigned long nr_unmapped = 0, nr_present = 0, nr_dirty = 0;
	void *data = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, data);
	for (i = 0; i < nr; i++) {
		nr_unmapped += unmapped_page(page + i);
		nr_present += kernel_page_present(page + i);
		if (unmapped_page(page + i))
			memcpy_from_unmapped_page(data, page + i, 0, PAGE_SIZE);
		else
			memcpy_from_page(data, page + i, 0, PAGE_SIZE);
		nr_dirty += !!memchr_inv(data, 0, PAGE_SIZE);
	}
	KUNIT_EXPECT_EQ(test, nr_unmapped, unmapped ? nr : 0);
	KUNIT_EXPECT_EQ(test, nr_present, unmapped ? 0 : nr);
	KUNIT_EXPECT_EQ(test, nr_dirty, 0);
	kunit_kfree(test, data);
}

/* Allocate and free a buffer, and look at it in between. */
static void expect_alloc(struct kunit *test, struct device *dev, size_t size,
			 gfp_t gfp, unsigned long attrs, bool unmapped)
{
	dma_addr_t addr;
	struct page *page = dma_alloc_attrs(dev, size, &addr, gfp, attrs);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, addr, page_to_phys(page));
	KUNIT_EXPECT_LE(test, addr + size - 1, dev->coherent_dma_mask);
	expect_buffer(test, page, size, unmapped);
	dma_free_attrs(dev, size, page, addr, attrs);
}

static void expect_refusal(struct kunit *test, struct device *dev, size_t size,
			   gfp_t gfp)
{
	dma_addr_t addr;

	KUNIT_EXPECT_NULL(test, dma_alloc_attrs(dev, size, &addr, gfp, REQUIRE));
}

/* Buffers of all sizes are absent from the direct map. */
static void dma_unmapped_test_sizes(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));
	size_t size;

	for (size = PAGE_SIZE; size <= PMD_SIZE; size *= 2) {
		expect_alloc(test, dev, size, GFP_KERNEL, HINT, true);
		expect_alloc(test, dev, size, GFP_KERNEL, REQUIRE, true);
		expect_alloc(test, dev, size - 1, GFP_KERNEL, HINT, true);
	}
	expect_alloc(test, dev, 2 * PMD_SIZE, GFP_KERNEL, HINT, false);
	expect_refusal(test, dev, 2 * PMD_SIZE, GFP_KERNEL);
}

/* They are within the device's mask; small masks do without. */
static void dma_unmapped_test_masks(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));

	dev->coherent_dma_mask = DMA_BIT_MASK(40);
	expect_alloc(test, dev, SZ_64K, GFP_KERNEL, REQUIRE, true);
	dev->coherent_dma_mask = DMA_BIT_MASK(32);
	expect_alloc(test, dev, SZ_64K, GFP_KERNEL, REQUIRE, true);
	dev->coherent_dma_mask = DMA_BIT_MASK(31);
	expect_alloc(test, dev, SZ_64K, GFP_KERNEL, HINT, false);
	expect_refusal(test, dev, SZ_64K, GFP_KERNEL);
	dev->coherent_dma_mask = DMA_BIT_MASK(24);
	expect_alloc(test, dev, PAGE_SIZE, GFP_KERNEL, HINT, false);
	expect_refusal(test, dev, PAGE_SIZE, GFP_KERNEL);

	/* The bus may be the limit. */
	dev->coherent_dma_mask = DMA_BIT_MASK(64);
	dev->bus_dma_limit = DMA_BIT_MASK(28);
	expect_alloc(test, dev, PAGE_SIZE, GFP_KERNEL, HINT, false);
	expect_refusal(test, dev, PAGE_SIZE, GFP_KERNEL);
}

/* Ordinary buffers are cleared, too: their pages were full of something else. */
static void dma_unmapped_test_cleared(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));
	struct page *page;
	dma_addr_t addr;
	int i;

	dev->coherent_dma_mask = DMA_BIT_MASK(31);
	for (i = 0; i < 4; i++) {
		page = dma_alloc_attrs(dev, SZ_64K, &addr, GFP_KERNEL, HINT);
		KUNIT_ASSERT_NOT_NULL(test, page);
		expect_buffer(test, page, SZ_64K, false);
		memset(page_address(page), 0xa5, SZ_64K);
		dma_free_attrs(dev, SZ_64K, page, addr, HINT);
	}
}

/* Without memory for it, a hint is ignored, and a requirement is not met. */
static void dma_unmapped_test_no_memory(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));

	drain_all();
	kunit_activate_static_stub(test, unmapped_source_alloc, no_source);
	expect_alloc(test, dev, SZ_64K, GFP_KERNEL, HINT, false);
	expect_refusal(test, dev, SZ_64K, GFP_KERNEL);
	kunit_deactivate_static_stub(test, unmapped_source_alloc);
	expect_alloc(test, dev, SZ_64K, GFP_KERNEL, HINT, true);
}

/* Counts the attempts that may reclaim memory. */
static int nr_reclaims;

static struct page *reclaiming_source(gfp_t gfp, unsigned int order, int nid,
				      nodemask_t *nodemask)
{
	nr_reclaims += !!(gfp & __GFP_DIRECT_RECLAIM);
	return NULL;
}

/* No memory is reclaimed for a hint. */
static void dma_unmapped_test_no_reclaim(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));

	drain_all();
	nr_reclaims = 0;
	kunit_activate_static_stub(test, unmapped_source_alloc,
				   reclaiming_source);
	expect_alloc(test, dev, SZ_64K, GFP_KERNEL, HINT, false);
	KUNIT_EXPECT_EQ(test, nr_reclaims, 0);
	expect_refusal(test, dev, SZ_64K, GFP_KERNEL);
	KUNIT_EXPECT_GT(test, nr_reclaims, 0);
}

static struct page *source_without_blocks(gfp_t gfp, unsigned int order,
					  int nid, nodemask_t *nodemask)
{
	struct page *page = NULL;

	if (order < PMD_ORDER)
		page = alloc_pages_node(nid, gfp, order);
	if (page)
		set_page_count(page, 0);
	return page;
}

/* Nor is the direct map split. */
static void dma_unmapped_test_no_split(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));

	drain_all();
	kunit_activate_static_stub(test, unmapped_source_alloc,
				   source_without_blocks);
	expect_alloc(test, dev, SZ_64K, GFP_KERNEL, HINT, false);
	expect_alloc(test, dev, SZ_64K, GFP_KERNEL, REQUIRE, true);
	kunit_deactivate_static_stub(test, unmapped_source_alloc);
	drain_all();
}

#define BULK_PAGES	(2 * (1U << PMD_ORDER) + 3)

/* What an IOMMU maps is in large chunks, as far as it goes. */
static void dma_unmapped_test_large_chunks(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));
	struct page **pages = kunit_kcalloc(test, BULK_PAGES, sizeof(*pages),
					    GFP_KERNEL);
	struct page *other = unmapped_pages_alloc(GFP_KERNEL, 0);
	unsigned int i, nr = 0;

	/* The rest of a block that is in use is there for single pages. */
	KUNIT_ASSERT_NOT_NULL(test, other);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_ASSERT_TRUE(test, dma_unmapped_alloc_bulk(dev, GFP_KERNEL, HINT,
							BULK_PAGES, pages));
	for (i = 0; i < 2U << PMD_ORDER; i++)
		nr += pages[i] == pages[ALIGN_DOWN(i, 1U << PMD_ORDER)] +
				  i % (1U << PMD_ORDER);
	KUNIT_EXPECT_EQ(test, nr, 2U << PMD_ORDER);
	for (i = 0; i < 2U << PMD_ORDER; i += 1U << PMD_ORDER)
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(page_to_pfn(pages[i]),
						   1U << PMD_ORDER));
	for (i = 0; i < BULK_PAGES; i++)
		KUNIT_EXPECT_TRUE(test, unmapped_page(pages[i]));
	dma_unmapped_free_bulk(pages, BULK_PAGES);
	unmapped_pages_free(other, 0);
}

/* A caller that can't sleep gets what is cached. */
static void dma_unmapped_test_atomic(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));
	struct page *page;
	dma_addr_t addr;

	drain_all();
	expect_alloc(test, dev, SZ_64K, GFP_ATOMIC, HINT, false);
	expect_refusal(test, dev, SZ_64K, GFP_ATOMIC);

	/* Now the rest of a block is there. */
	page = dma_alloc_attrs(dev, SZ_64K, &addr, GFP_KERNEL, HINT);
	KUNIT_ASSERT_NOT_NULL(test, page);
	expect_alloc(test, dev, SZ_64K, GFP_ATOMIC, HINT, true);
	expect_alloc(test, dev, SZ_64K, GFP_ATOMIC, REQUIRE, true);
	dma_free_attrs(dev, SZ_64K, page, addr, HINT);
}

#ifdef CONFIG_DMA_CMA
/* A device's own area is where its buffers are expected. */
static void dma_unmapped_test_own_cma(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));

	if (!dev_get_cma_area(NULL))
		kunit_skip(test, "there is no CMA area");
	dev->cma_area = dev_get_cma_area(NULL);
	expect_alloc(test, dev, SZ_64K, GFP_KERNEL, HINT, false);
	expect_refusal(test, dev, SZ_64K, GFP_KERNEL);
}
#endif

/* References of others keep the buffer as a whole. */
static void dma_unmapped_test_reference(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));
	struct page *page;
	dma_addr_t addr;

	page = dma_alloc_attrs(dev, SZ_64K, &addr, GFP_KERNEL, HINT);
	KUNIT_ASSERT_NOT_NULL(test, page);
	get_page(page + 5);
	dma_free_attrs(dev, SZ_64K, page, addr, HINT);
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
	KUNIT_EXPECT_EQ(test, page_private(page), 0);
	expect_buffer(test, page, SZ_64K, true);
	put_page(page + 5);
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 0);
}

/* A hint does not prevent hibernation, a requirement does. */
static void dma_unmapped_test_image(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));
	struct page *page;
	dma_addr_t addr;

	if (unmapped_image_prepare())
		kunit_skip(test, "others prevent hibernation");

	page = dma_alloc_attrs(dev, SZ_64K, &addr, GFP_KERNEL, HINT);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	dma_free_attrs(dev, SZ_64K, page, addr, HINT);

	/* A driver may forget the attribute. DMA_API_DEBUG complains. */
	if (!IS_ENABLED(CONFIG_DMA_API_DEBUG)) {
		page = dma_alloc_attrs(dev, SZ_64K, &addr, GFP_KERNEL, HINT);
		KUNIT_ASSERT_NOT_NULL(test, page);
		dma_free_attrs(dev, SZ_64K, page, addr, 0);
	}

	page = dma_alloc_attrs(dev, SZ_64K, &addr, GFP_KERNEL, REQUIRE);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), -EBUSY);
	dma_free_attrs(dev, SZ_64K, page, addr, REQUIRE);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
}

/* What an image contains of them: the tail of a compound page, too. */
static void dma_unmapped_test_image_contents(struct kunit *test)
{
	struct device *dev = device_with_mask(test, DMA_BIT_MASK(64));
	unsigned long attrs[] = { HINT, REQUIRE };
	u8 *data = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct page *page;
	dma_addr_t addr;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, data);
	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		page = dma_alloc_attrs(dev, SZ_16K, &addr, GFP_KERNEL, attrs[i]);
		KUNIT_ASSERT_NOT_NULL(test, page);
		memset(data, 0x5a, PAGE_SIZE);
		memcpy_to_unmapped_page(page + 3, 0, data, PAGE_SIZE);
		unmapped_image_copy(data, page + 3);
		KUNIT_EXPECT_NULL(test, memchr_inv(data, i ? 0 : 0x5a,
						   PAGE_SIZE));
		dma_free_attrs(dev, SZ_16K, page, addr, attrs[i]);
	}
}

/* A part of a page is copied, and nothing around it. */
static void dma_unmapped_test_copy_part(struct kunit *test)
{
	struct page *page = unmapped_pages_alloc(GFP_KERNEL, 0);
	u8 *data = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_NOT_NULL(test, data);
	memset(data, 0x11, PAGE_SIZE);
	memcpy_to_unmapped_page(page, 100, data, 50);
	memset(data, 0x22, PAGE_SIZE);
	memcpy_from_unmapped_page(data + 90, page, 90, 70);
	KUNIT_EXPECT_NULL(test, memchr_inv(data, 0x22, 90));
	KUNIT_EXPECT_NULL(test, memchr_inv(data + 90, 0, 10));
	KUNIT_EXPECT_NULL(test, memchr_inv(data + 100, 0x11, 50));
	KUNIT_EXPECT_NULL(test, memchr_inv(data + 150, 0, 10));
	KUNIT_EXPECT_NULL(test, memchr_inv(data + 160, 0x22, PAGE_SIZE - 160));
	unmapped_pages_free(page, 0);
}

static int dma_unmapped_init(struct kunit *test)
{
	if (!unmapped_alloc_available())
		kunit_skip(test, "the unmapped page allocator is not available");
	return 0;
}

static struct kunit_case dma_unmapped_cases[] = {
	KUNIT_CASE(dma_unmapped_test_sizes),
	KUNIT_CASE(dma_unmapped_test_masks),
	KUNIT_CASE(dma_unmapped_test_cleared),
	KUNIT_CASE(dma_unmapped_test_no_memory),
	KUNIT_CASE(dma_unmapped_test_no_reclaim),
	KUNIT_CASE(dma_unmapped_test_no_split),
	KUNIT_CASE(dma_unmapped_test_large_chunks),
	KUNIT_CASE(dma_unmapped_test_atomic),
#ifdef CONFIG_DMA_CMA
	KUNIT_CASE(dma_unmapped_test_own_cma),
#endif
	KUNIT_CASE(dma_unmapped_test_reference),
	KUNIT_CASE(dma_unmapped_test_image),
	KUNIT_CASE(dma_unmapped_test_image_contents),
	KUNIT_CASE(dma_unmapped_test_copy_part),
	{}
};

static struct kunit_suite dma_unmapped_suite = {
	.name = "dma_unmapped",
	.init = dma_unmapped_init,
	.test_cases = dma_unmapped_cases,
};

kunit_test_suite(dma_unmapped_suite);

MODULE_DESCRIPTION("KUnit tests for DMA buffers without a kernel mapping");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
