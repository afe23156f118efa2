#!/bin/sh
# What several jobs do.

# Interrupts by which CPUs ask each other to do something, such as to flush.
calls() { awk '/^ *CAL:/ { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts; }

# How many entries of the direct map were split: level 2 has 2 MiB, level 3 1 GiB.
splits() { awk -v name="direct_map_level$1_splits" '$1 == name { print $2 }' /proc/vmstat; }

# Start a program that keeps secrets, and wait until it does. Arguments: MiB, or
# "MIB NODE"; a number if there are several programs.
keep_secrets() {
	mkfifo "/tmp/go$2"
	# shellcheck disable=SC2086 # maybe two words
	secrets $1 <>"/tmp/go$2" >"/tmp/secrets$2" &
	eval "keeper$2=$!"
	until grep -q kept "/tmp/secrets$2"; do
		kill -0 $! 2>/dev/null || { cat "/tmp/secrets$2"; return 1; }
		sleep 0.02
	done
}

# Let it free them, and wait for its end. Argument: its number, or "".
free_secrets() {
	echo free >"/tmp/go$1"
	rm "/tmp/go$1"
	eval "wait \$keeper$1"
}
