// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it takes to interrupt other CPUs, in nanoseconds: the way there and back.
 */

#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/smp.h>

#include "bench.h"

#define ROUNDS	10000

static void (*flush_range)(unsigned long start, unsigned long end);
static unsigned long address;

static void nothing(void *info)
{
}

static void call_one(void)
{
	smp_call_function_single(cpumask_any_but(cpu_online_mask,
						 smp_processor_id()),
				 nothing, NULL, true);
}

static void call_all(void)
{
	smp_call_function(nothing, NULL, true);
}

static void flush_page(void)
{
	flush_range(address, address + PAGE_SIZE);
}

static void time_calls(const char *name, void (*call)(void))
{
	unsigned int i;
	u64 start;

	call();
	start = ktime_get_ns();
	for (i = 0; i < ROUNDS; i++)
		call();
	bench_say(ktime_get_ns() - start, ROUNDS, "%s", name);
}

int bench_ipi(void)
{
	struct page *page;

	if (num_online_cpus() < 2)
		return -ENODEV;
	flush_range = bench_lookup("flush_tlb_kernel_range");
	if (!flush_range)
		return -ENOENT;
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	address = (unsigned long)page_address(page);

	migrate_disable();
	time_calls("ipi-one", call_one);
	time_calls("ipi-all", call_all);
	time_calls("flush-page", flush_page);
	migrate_enable();

	__free_page(page);
	return 0;
}
