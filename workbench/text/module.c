// SPDX-License-Identifier: GPL-2.0-only
/*
 * A generated module: TEXT_KIB of text full of marks, and init text, read-only
 * data and data whose sizes follow from that. Writing to its parameter runs the
 * text.
 */

#include <linux/module.h>
#include <linux/stringify.h>

#include "mark.h"

#define INIT_KIB	(TEXT_KIB / 4 % 4 * 4 + 4)
#define RODATA_KIB	(TEXT_KIB / 4 % 3 * 4 + 4)
#define DATA_KIB	(TEXT_KIB / 4 % 5 + 1)

#define MARKS(units)							\
	asm volatile(".balign " __stringify(MARK_UNIT) "\n"		\
		     "1:\n"						\
		     ".rept %c0\n"					\
		     "movabs $1b + " __stringify(MARK_1) ", %%rax\n"	\
		     "movabs $1b + " __stringify(MARK_2) ", %%rax\n"	\
		     "movabs $1b + " __stringify(MARK_3) ", %%rax\n"	\
		     ".fill " __stringify(MARK_UNIT - MARK_SIZE) ", 1, "	\
		     __stringify(MARK_NOP) "\n"				\
		     ".endr\n" : : "i" (units) : "rax")

/* By this name probes and kcore.c find it: the units begin at the next multiple of their size. */
void text_run(void);

noinline void text_run(void)
{
	MARKS(MARK_UNITS(TEXT_KIB));
}

static int run(const char *value, const struct kernel_param *kp)
{
	text_run();
	return 0;
}

static const struct kernel_param_ops run_ops = {
	.set	= run,
};

module_param_cb(run, &run_ops, NULL, 0200);
MODULE_PARM_DESC(run, "whatever is written: run the text");

static const char rodata[RODATA_KIB << 10] __used = { 1 };
static char data[DATA_KIB << 10] __used = { 1 };

static int __init text_init(void)
{
	MARKS(MARK_UNITS(INIT_KIB));
	return 0;
}
module_init(text_init);

static void __exit text_exit(void)
{
}
module_exit(text_exit);

MODULE_DESCRIPTION("Text to look for");
MODULE_LICENSE("GPL");
