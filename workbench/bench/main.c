// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's parameters, and what its parts share.
 */

#include <linux/debugfs.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/string.h>
#ifdef CONFIG_UNMAPPED_ALLOC
#include <linux/unmapped_alloc.h>
#endif

#include "bench.h"

static char *what = "pages";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "pages, batches, orders, cold, perpage, fragment, singles, near, churn, dma, ipi, locks, or files");

static uint order;
module_param(order, uint, 0);
MODULE_PARM_DESC(order, "of what=cold");

void bench_say(u64 ticks, unsigned long n, const char *fmt, ...)
{
	u64 hundredths = ticks * 100 / n;
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	pr_info("bench %pV %llu.%02llu\n", &vaf, hundredths / 100,
		hundredths % 100);
	va_end(args);
}

void *bench_lookup(const char *name)
{
	static void *(*lookup)(const char *name);
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };

	/* A kprobe finds any symbol, also the one that finds all others. */
	if (!lookup) {
		if (register_kprobe(&probe))
			return NULL;
		lookup = (void *)probe.addr;
		unregister_kprobe(&probe);
	}
	return lookup(name);
}

int bench_while_used(int (*measure)(void))
{
	int err = 0;
#ifdef CONFIG_UNMAPPED_ALLOC
	struct page *page = unmapped_pages_alloc(GFP_KERNEL, 0);

	if (!page)
		return -ENOMEM;
	err = measure();
	unmapped_pages_free(page, 0);
#endif
	return err;
}

static struct dentry *dir;

static int do_it(void)
{
	if (!strcmp(what, "pages"))
		return bench_pages();
	if (!strcmp(what, "batches"))
		return bench_batches();
	if (!strcmp(what, "orders"))
		return bench_orders();
	if (!strcmp(what, "cold"))
		return bench_cold(order);
	if (!strcmp(what, "perpage"))
		return bench_perpage();
	if (!strcmp(what, "fragment"))
		return bench_fragment(1 << PMD_ORDER);
	if (!strcmp(what, "singles"))
		return bench_fragment(2);
	if (!strcmp(what, "near"))
		return bench_near();
	if (!strcmp(what, "churn"))
		return bench_churn();
	if (!strcmp(what, "dma"))
		return bench_dma();
	if (!strcmp(what, "ipi"))
		return bench_ipi();
	if (!strcmp(what, "locks"))
		return bench_locks(dir);
	return strcmp(what, "files") ? -EINVAL : 0;
}

static void stop(void)
{
	bench_locks_exit();
	bench_fragment_exit();
	debugfs_remove(dir);
}

static int __init unmapped_bench_init(void)
{
	int err;

	dir = debugfs_create_dir("unmapped_bench", NULL);
	err = bench_perpage_init(dir);
	err = err ?: do_it();
	if (err)
		stop();
	return err;
}
module_init(unmapped_bench_init);

static void __exit unmapped_bench_exit(void)
{
	stop();
}
module_exit(unmapped_bench_exit);

MODULE_DESCRIPTION("What pages cost");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
