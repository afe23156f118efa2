// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is known of kernel text outside of the kernel image. In debugfs, text_check/:
 *
 *	areas	the pages of the range for modules that are executable, see areas.c
 *	sweep	a thread that reads the direct map, see sweep.c
 *	splits	who caused splits of the direct map, see splits.c
 */

#include <linux/debugfs.h>
#include <linux/module.h>

#include "check.h"

static struct dentry *dir;

static int __init check_init(void)
{
	int err;

	dir = debugfs_create_dir("text_check", NULL);
	err = splits_init(dir);
	if (err) {
		debugfs_remove(dir);
		return err;
	}
	areas_init(dir);
	sweep_init(dir);
	return 0;
}
module_init(check_init);

static void __exit check_exit(void)
{
	debugfs_remove(dir);
	sweep_exit();
	splits_exit();
}
module_exit(check_exit);

MODULE_DESCRIPTION("Looks at kernel text");
MODULE_LICENSE("GPL");
