# shellcheck shell=bash
# Sourced after lib.sh: patches/series, and how it becomes commits.
#
# Each line of the series names a patch and the new files it introduces. The
# patch has the edits to the files that the kernel has already; the new files
# are in this repository, under the same path.
#
# The patches go to the lists as several series, one for each tree that takes
# them, each with its cover letter. A line "[NAME]" starts a series; its cover
# letter is patches/cover-NAME.txt: the subject, an empty line, the text.

# Where build/linux was when it was last in step with patches/.
# shellcheck disable=SC2034 # for the scripts
ASSEMBLED=refs/workbench/assembled

# Folders of the kernel tree: what is in them here is a new file of the kernel.
KERNEL_DIRS=(arch block crypto Documentation drivers fs include init io_uring
	ipc kernel lib mm net samples scripts security tools virt)

# The commits have to come out the same wherever they are made.
export GIT_COMMITTER_NAME="Unmapped Page Allocator"
export GIT_COMMITTER_EMAIL="workbench@unmapped-alloc.invalid"
export GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"

# The series by the trees that take them, in the order in which they apply, and
# how many patches a reviewer can be asked to look at.
SERIES=(secretmem x86 mm kvm execmem account folios uffd dma edu)
MAX_PATCHES=15

# series_of SUBJECT: which series a patch belongs to.
series_of() {
	case $1 in
	"KVM: guest_memfd: use 2 MiB folios "* | "KVM: selftests: test 2 MiB folios "*)
		echo folios ;;
	"mm/unmapped_alloc: remove a part "*)	echo folios ;;
	userfaultfd:* | "KVM: guest_memfd: support minor "* | "KVM: selftests: test minor "*)
		echo uffd ;;
	KVM:*)	echo kvm ;;
	x86/* | mm/ptdump:*)	echo x86 ;;
	mm/execmem:* | bpf:* | "mm/vmalloc: add "* | "mm/unmapped_alloc: use free memory "*)
		echo execmem ;;
	mm/gup:* | mm/memory-failure:* | "mm/secretmem: use large "* | "mm: map no poisoned "* | "selftests/mm: test large "*)
		echo folios ;;
	dma-*:* | iommu/dma:* | swiotlb:* | lib/scatterlist:* | selftests/dma:*)
		echo dma ;;
	dmaengine:*)	echo edu ;;
	"mm/secretmem: take pages from "*)	echo mm ;;
	mm/secretmem:* | "PM: hibernate: leave "* | "mm/vmalloc: let "* | kdb:*)
		echo secretmem ;;
	proc:* | vmcoreinfo:* | tools/mm:* | mm/memory_hotplug:*)	echo account ;;
	mm/page_reporting:* | virtio_balloon:*)	echo account ;;
	*)	echo mm ;;
	esac
}

# All lines, with the name of their series in front.
series_table() {
	[ ! -e "$TOP/patches/series" ] || awk '{ sub(/#.*/, "") }
		/^\[.*\]$/ { name = substr($1, 2, length($1) - 2); next }
		NF { print name, $0 }' "$TOP/patches/series"
}
series_lines() { series_table | cut -d ' ' -f 2-; }
series_patches() { series_lines | awk '{ print $1 }'; }
series_files() { series_lines | awk '{ for (i = 2; i <= NF; i++) print $i }'; }

# New files of the kernel that this repository has.
new_files() {
	local dir dirs=()
	for dir in "${KERNEL_DIRS[@]}"; do
		[ -d "$TOP/$dir" ] && dirs+=("$dir")
	done
	(cd "$TOP" && find "${dirs[@]}" -type f ! -name '*~' ! -name '*.orig' | LC_ALL=C sort)
}

check_new_files() {
	local odd
	odd=$(LC_ALL=C comm -3 <(new_files) <(series_files | LC_ALL=C sort))
	[ -z "$odd" ] ||
		die "patches/series and the new files of this repository differ in: $(tr -s '[:space:]' ' ' <<<"$odd")
Each new file stands behind the patch that introduces it, once."
}

git_linux() { git -C "$LINUX" "$@"; }

add_new_file() {
	local mode=100644
	[ -x "$TOP/$1" ] && mode=100755
	git_linux update-index --add --cacheinfo \
		"$mode,$(git_linux hash-object -w "$TOP/$1"),$1"
}

# Apply one patch to the index. git knows no fuzz: each line has to fit.
apply_patch() {
	local patch=$1 tmp=$2 file
	shift 2
	[ -f "$TOP/patches/$patch" ] || die "patches/series names $patch, which is not there"
	git mailinfo -b "$tmp/message" "$tmp/diff" <"$TOP/patches/$patch" >"$tmp/info"
	git_linux apply --cached --whitespace=nowarn "$tmp/diff" ||
		die "patches/$patch does not apply to $(tree_version "$LINUX") with what comes before it"
	for file in "$@"; do
		add_new_file "$file"
	done
}

mail_field() { sed -n "s/^$1: //p" "$2/info"; }

commit_patch() {
	local tmp=$1 parent=$2 subject
	subject=$(mail_field Subject "$tmp" | sed 's/^\[PATCH[^]]*\] *//')
	{ printf '%s\n\n' "$subject"; cat "$tmp/message"; } >"$tmp/commit"
	GIT_AUTHOR_NAME=$(mail_field Author "$tmp") \
	GIT_AUTHOR_EMAIL=$(mail_field Email "$tmp") \
	GIT_AUTHOR_DATE=$(mail_field Date "$tmp") git_linux commit-tree "$(git_linux write-tree)" -p "$parent" -F "$tmp/commit"
}

# Make the commits of the series without touching the work tree; prints the
# last one. Stops at a patch that does not fit.
assemble() {
	local tmp parent patch files
	check_new_files
	tmp=$(mktemp -d)
	parent=$(git_linux rev-parse base)
	export GIT_INDEX_FILE=$tmp/index
	git_linux read-tree base
	while read -r patch files; do
		# shellcheck disable=SC2086
		apply_patch "$patch" "$tmp" $files
		parent=$(commit_patch "$tmp" "$parent")
	done < <(series_lines)
	unset GIT_INDEX_FILE
	rm -rf "$tmp"
	echo "$parent"
}
