/* SPDX-License-Identifier: GPL-2.0-only */
/* The module that looks at kernel text: its files in debugfs. */
#ifndef TEXT_CHECK_H
#define TEXT_CHECK_H

struct dentry;

void areas_init(struct dentry *dir);
void sweep_init(struct dentry *dir);
void sweep_exit(void);
int splits_init(struct dentry *dir);
void splits_exit(void);

#endif /* TEXT_CHECK_H */
