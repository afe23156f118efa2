// SPDX-License-Identifier: GPL-2.0-only
/*
 * A consumer that leaves its pages behind when it is unloaded, and, given where
 * they are, frees them when it is loaded again.
 */

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/unmapped_alloc.h>

#define ORDER	4

static ulong pfn;
module_param(pfn, ulong, 0400);
MODULE_PARM_DESC(pfn, "page frame of pages that were left behind");

static int __init leave_init(void)
{
	struct page *page;

	if (pfn) {
		unmapped_pages_free(pfn_to_page(pfn), ORDER);
		pfn = 0;
		return 0;
	}

	page = unmapped_pages_alloc(GFP_KERNEL, ORDER);
	if (!page)
		return -ENOMEM;
	pfn = page_to_pfn(page);
	return 0;
}

static void __exit leave_exit(void)
{
}

module_init(leave_init);
module_exit(leave_exit);

MODULE_DESCRIPTION("Leaves unmapped pages behind");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
