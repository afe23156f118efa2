# shellcheck shell=bash
# Sourced by the scripts in workbench/bin.
set -euo pipefail

# What was given to our make is not for the kernel's.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WB=$TOP/workbench
BUILD=$TOP/build
# shellcheck disable=SC2034 # for the scripts
LINUX=$BUILD/linux
STAGE=${0##*/}

# shellcheck source=workbench/base.conf
. "$WB/base.conf"

say() { printf '%s: %s\n' "$STAGE" "$*"; }
die() { printf '%s: error: %s\n' "$STAGE" "$*" >&2; exit 1; }

# logged NAME COMMAND...: run a long step with its output in a log, say every
# 20 seconds where it is, and show the log's end if it fails. One at a time: all
# that a step starts inherits the lock, so that what is left of one that was
# killed can't get into the way of the next. An interrupt ends the step too.
logged() {
	local log=$BUILD/log/$1.log name=$1 pid start=$SECONDS tick=0
	shift
	mkdir -p "${log%/*}"
	exec 9>>"$BUILD/.lock"
	flock -n 9 || die "something else is being built in build/; wait for it to end"
	say "$name (log: ${log#"$TOP"/})"
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	exec 9>&-
	# shellcheck disable=SC2064
	trap "kill -- -$pid 2>/dev/null; exit 130" INT TERM HUP
	while kill -0 $pid 2>/dev/null; do
		sleep 0.5
		tick=$((tick + 1))
		((tick % 40)) || printf '  %4ds  %s\n' $((SECONDS - start)) \
			"$(tail -n 1 "$log" | cut -c1-68)"
	done
	trap - INT TERM HUP
	wait $pid && return 0
	printf '%s\n' "--- end of ${log#"$TOP"/} ---" >&2
	tail -n 25 "$log" >&2
	die "$name failed; all of its output is in ${log#"$TOP"/}"
}

# The version of an unpacked kernel tree.
tree_version() {
	awk -F' *= *' '/^(VERSION|PATCHLEVEL|SUBLEVEL) *=/ { v = v s $2; s = "." }
		/^NAME/ { print v; exit }' "$1/Makefile"
}

# The mirror and the release of Debian that the machine uses.
debian_mirror() {
	local mirror
	# shellcheck disable=SC2016 # apt knows what it stands for
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
		'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
	[ -n "$mirror" ] || die "apt knows no Debian mirror: 'apt-get indextargets' lists none"
	echo "$mirror"
}
debian_codename() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }

# private_apt_setup DIR SUITE...: apt with directories of its own, so that the
# machine's stay untouched, on the mirror that the machine uses.
private_apt_setup() {
	local dir=$1 mirror suite keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	shift
	mirror=$(debian_mirror)
	rm -rf "$dir"
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial"
	for suite; do
		echo "deb [signed-by=$keyring] $mirror $suite main"
	done >"$dir/sources.list"
}

private_apt() {
	local dir=$1
	shift
	apt-get -q -o Dir::Etc::sourcelist="$dir/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null -o Dir::State="$dir/state" \
		-o Dir::State::status=/var/lib/dpkg/status \
		-o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root "$@"
}

# Names of the variants: each has its fragments in workbench/config.
variant_fragments() {
	case $1 in
	base)	echo image.config ;;
	plain)	echo image.config unmapped.config ;;
	debug|race|rt|small) echo image.config unmapped.config "$1.config" ;;
	off)	echo image.config off.config ;;
	nokunit) echo image.config unmapped.config nokunit.config encrypted.config ;;
	base-nokunit) echo image.config nokunit.config encrypted.config ;;
	nosmp)	echo image.config unmapped.config nosmp.config ;;
	allno|i386|powerpc) echo "$1.config" ;;
	deb-plain)	echo image.config unmapped.config debian.config ;;
	deb-base)	echo image.config debian.config ;;
	deb-given-plain) echo given.config series.config ;;
	deb-given-base)	echo given.config ;;
	deb-*-debug)	echo "$(variant_fragments "${1%-debug}") debuginfo.config" ;;
	*)	die "there is no variant '$1'; there are: base, plain, debug, race, rt, small, off, and to compile only: nokunit, base-nokunit, nosmp, allno, i386, powerpc" ;;
	esac
}

# What the kernel's make is told about a variant of another architecture.
variant_arch() {
	case $1 in
	i386)	echo ARCH=i386 ;;
	powerpc) echo ARCH=powerpc CROSS_COMPILE=powerpc64le-linux-gnu- "CC=powerpc64le-linux-gnu-gcc" ;;
	esac
}

# Where a variant is built.
variant_dir() {
	case $1 in
	plain)	echo "$BUILD/x86_64" ;;
	# The kernel's own scripts put packages next to the folder of the objects.
	deb-*)	echo "$BUILD/deb/${1#deb-}/obj" ;;
	*)	echo "$BUILD/x86_64-$1" ;;
	esac
}

# The variant that CONFIG and DEBUG ask for as Debian packages. Argument: plain,
# or base.
deb_variant() {
	local suffix=
	[ "$DEBUG" != 1 ] || suffix=-debug
	echo "deb-${CONFIG:+given-}$1$suffix"
}

# ccache, if there is one, finds the same file in another clone too.
export CCACHE_BASEDIR=$TOP CCACHE_NOHASHDIR=1
CCACHE=$(command -v ccache || true)

# What the kernel's own make is called with.
kmake() {
	make --no-print-directory -j"$(nproc)" ARCH=x86_64 \
		CC="${CCACHE:+ccache }gcc" LOCALVERSION= KBUILD_BUILD_USER=workbench \
		KBUILD_BUILD_HOST=workbench \
		KBUILD_BUILD_TIMESTAMP="Thu Jan  1 00:00:00 UTC 2026" "$@"
}
