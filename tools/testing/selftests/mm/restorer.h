/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests that change the system: what they change is restored when they end,
 * even if they are killed.
 *
 * A test calls start_restorer(), makes its changes by change_file(), make_group()
 * and the like, and ends with stop_restorer(), or in any other way. It is a single
 * process, but may have children. If it has to run only when that is asked for,
 * it checks run_destructive().
 */
#ifndef __RESTORER_H__
#define __RESTORER_H__

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Whether tests may disturb the rest of the system, e.g. exhaust memory or inject
 * errors: RUN_DESTRUCTIVE=true is in the environment, as "run_vmtests.sh -d" sets
 * it.
 */
static inline bool run_destructive(void)
{
	const char *value = getenv("RUN_DESTRUCTIVE");

	return value && !strcmp(value, "true");
}

/* === Files that have a value ============================================= */

/* Returns 0, or -1 and errno. */
static inline int write_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);
	int ret = fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text);
	int err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	return ret ? -1 : 0;
}

/* The value of a file. If it lists all choices, the current one is in brackets. */
static inline int read_value(const char *file, char *value, size_t size)
{
	char text[256], *start;
	int fd = open(file, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (len < 0)
		return -1;
	text[len] = 0;
	start = strchr(text, '[');
	start = start ? start + 1 : text;
	start[strcspn(start, "]\n")] = 0;
	return snprintf(value, size, "%s", start) >= (int)size;
}

/* === The restorer ======================================================== */

/*
 * A separate process, the restorer, undoes the changes when the test ends. They
 * share the list of changes; the test adds to it before it makes a change.
 */
struct change {
	char file[128];
	/* What to write into the file; if empty, remove the directory. */
	char text[32];
};

static struct {
	pid_t pid;
	int nr;
	struct change change[16];
} *restorer;

static inline int remove_group(const char *group)
{
	int i;

	/* A process that was killed may still have to exit. */
	for (i = 0; i < 100 && rmdir(group); i++) {
		if (errno != EBUSY)
			return errno != ENOENT;
		usleep(100000);
	}
	return i == 100;
}

static inline int restore(const struct change *change)
{
	char value[256];
	size_t len;

	if (!change->text[0])
		return remove_group(change->file);
	if (!read_value(change->file, value, sizeof(value))) {
		/* Memory reads as "online" after "online_kernel" was written. */
		len = strcspn(change->text, "_");
		if (strlen(value) == len && !strncmp(change->text, value, len))
			return 0;
	}
	return write_file(change->file, change->text);
}

/* In the restorer: wait for the end of the test, undo the last change first. */
static inline void wait_and_restore(pid_t test, const sigset_t *signals,
				    int ready)
{
	int signal, i, ret = 0;

	/* Not in the process group that the harness kills. */
	setsid();
	write_file("/proc/self/oom_score_adj", "-1000");
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	close(ready);
	while (getppid() == test && !sigwait(signals, &signal) && signal != SIGUSR1)
		;
	for (i = __atomic_load_n(&restorer->nr, __ATOMIC_ACQUIRE) - 1; i >= 0; i--)
		ret |= restore(&restorer->change[i]);
	_exit(!!ret);
}

/*
 * Returns 0 on success. To be called before the test has files or mappings that
 * the restorer must not share. Waits for the restorer of a test that was killed,
 * so that no value is saved which that test has written; and for one of a test
 * that still runs.
 */
static inline int start_restorer(void)
{
	pid_t pid, test = getpid();
	int lock, ready[2];
	sigset_t all, old;
	bool failed;
	char byte;

	restorer = mmap(NULL, sizeof(*restorer), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (restorer == MAP_FAILED)
		return -1;
	/* Any file that all tests have. The restorer keeps it open. */
	lock = open("/sys/kernel", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) || pipe(ready))
		return -1;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid = fork();
	if (!pid)
		wait_and_restore(test, &all, ready[1]);
	restorer->pid = pid;
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(lock);
	/* A signal to the process group may be next: wait until it left that. */
	close(ready[1]);
	failed = pid < 0 || read(ready[0], &byte, 1);
	close(ready[0]);
	return failed;
}

/* Restore everything now. Returns 0 on success. */
static inline int stop_restorer(void)
{
	int status;

	kill(restorer->pid, SIGUSR1);
	if (waitpid(restorer->pid, &status, 0) != restorer->pid)
		return -1;
	return status;
}

/* === Changes ============================================================= */

/* When the test ends, write @text to @file, or remove the directory @file. */
static inline int restore_later(const char *file, const char *text)
{
	struct change *change = &restorer->change[restorer->nr];

	if (restorer->nr == sizeof(restorer->change) / sizeof(*change))
		return -1;
	if (snprintf(change->file, sizeof(change->file), "%s", file) >=
	    (int)sizeof(change->file) ||
	    snprintf(change->text, sizeof(change->text), "%s", text) >=
	    (int)sizeof(change->text))
		return -1;
	__atomic_store_n(&restorer->nr, restorer->nr + 1, __ATOMIC_RELEASE);
	return 0;
}

/* The last @nr changes were not made after all. */
static inline void forget_changes(int nr)
{
	__atomic_store_n(&restorer->nr, restorer->nr - nr, __ATOMIC_RELEASE);
}

/* Write a file whose value is restored when the test ends. */
static inline int change_file(const char *file, const char *text)
{
	char value[32];

	if (access(file, W_OK) || read_value(file, value, sizeof(value)) ||
	    !value[0] || restore_later(file, value))
		return -1;
	return write_file(file, text);
}

/*
 * Make a control group with @controller, which is removed when the test ends.
 * @group receives its path.
 */
static inline int make_group(const char *controller, char *group, size_t size)
{
	const char *control = "/sys/fs/cgroup/cgroup.subtree_control";
	char value[256], word[32];

	if (read_value(control, value, sizeof(value)))
		return -1;
	if (!strstr(value, controller)) {
		snprintf(word, sizeof(word), "-%s", controller);
		if (restore_later(control, word))
			return -1;
		word[0] = '+';
		if (write_file(control, word)) {
			forget_changes(1);
			return -1;
		}
	}
	/* The name is unique: a group that something else made must stay. */
	snprintf(group, size, "/sys/fs/cgroup/%s_%d",
		 program_invocation_short_name, getpid());
	return restore_later(group, "") || mkdir(group, 0755);
}

static inline int write_group(const char *group, const char *name,
			      const char *text)
{
	char file[128];

	snprintf(file, sizeof(file), "%s/%s", group, name);
	return write_file(file, text);
}

/* Move this process into a group. */
static inline int enter_group(const char *group)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%d", getpid());
	return write_group(group, "cgroup.procs", pid);
}

#endif /* __RESTORER_H__ */
