#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Have what the build and the tests need.
#
#   ci/deps.sh            check; install through apt what is missing, as root or with sudo; where that
#                         cannot be done, print exactly what to install and fail
#   ci/deps.sh oracle     also have Debian's Linux 6.1 kernel image, unpacked, in .cache/linux: the
#                         tests run every ABI program on it first. Prints the path of the vmlinuz.
#   ci/deps.sh coverage   also have what ci/coverage needs
#
# Nothing is downloaded once it is there. Works with the package names of Debian 12 and Ubuntu 22.04, 24.04.
set -eu
cd "$(dirname "$0")/.."

# One need per line: package, then a command (or a path with a slash) that shows that it is installed. Several
# paths separated by | are alternatives.
needs() {
	cat <<-'NEEDS'
	gcc gcc
	binutils ld
	libc6-dev /usr/include/stdio.h
	linux-libc-dev /usr/include/linux/limits.h
	git git
	python3 python3
	nasm nasm
	gnu-efi /usr/include/efi/efi.h
	mtools mcopy
	gdisk sgdisk
	musl-tools musl-gcc
	busybox-static /bin/busybox|/usr/bin/busybox
	bash-static /bin/bash-static|/usr/bin/bash-static
	qemu-system-x86 qemu-system-x86_64
	ovmf /usr/share/ovmf/OVMF.fd|/usr/share/OVMF/OVMF_CODE.fd|/usr/share/OVMF/OVMF_CODE_4M.fd
	swtpm swtpm
	swtpm-tools swtpm_setup
	gdb gdb
	pciutils lspci
	NEEDS
	if [ "$purpose" = coverage ]; then echo "lcov genhtml"; fi
}

have() {
	case $1 in
	*/*)
		old_ifs=$IFS; IFS='|'
		for path in $1; do
			if [ -e "$path" ]; then IFS=$old_ifs; return 0; fi
		done
		IFS=$old_ifs; return 1 ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

missing_packages() {
	needs | while read -r package proof; do
		have "$proof" || printf '%s ' "$package"
	done
	# busybox must be the static one: the initrd has no libraries.
	if have '/bin/busybox|/usr/bin/busybox' && have gcc &&
	   readelf -l "$(command -v busybox)" 2>/dev/null | grep -q INTERP; then
		printf 'busybox-static '
	fi
}

# The command prefix that gives us root, or failure.
root_prefix() {
	if [ "$(id -u)" = 0 ]; then echo env
	elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then echo sudo
	else return 1
	fi
}

tell_and_stop() {
	echo "Halcyon needs packages that are not installed. Install them as root with:" >&2
	echo "    apt-get install --no-install-recommends $1" >&2
	echo "($2)" >&2
	exit 1
}

install_missing() {
	packages=$(missing_packages | sed 's/ $//')
	[ -n "$packages" ] || return 0
	command -v apt-get >/dev/null 2>&1 || tell_and_stop "$packages" "this is no Debian or Ubuntu: the package names may differ here"
	prefix=$(root_prefix) || tell_and_stop "$packages" "not root, and sudo is not to be had"
	echo "installing: $packages" >&2
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # a list of words
	{ $prefix apt-get -q install -y --no-install-recommends $packages ||
	  { $prefix apt-get -q update && $prefix apt-get -q install -y --no-install-recommends $packages; }; } >&2 ||
		tell_and_stop "$packages" "apt-get failed, see above"
	still=$(missing_packages | sed 's/ $//')
	[ -z "$still" ] || tell_and_stop "$still" "installed, and still not found"
}

# Linux as the oracle. linux-image-cloud-amd64 is a metapackage: the image that it depends on is what we fetch, and
# unpack without installing. Ubuntu has no such package; there the newest linux-image-virtual kernel serves.
oracle_image_package() {
	for meta in linux-image-cloud-amd64 linux-image-virtual; do
		name=$(apt-cache depends "$meta" 2>/dev/null |
			sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
		if [ -n "$name" ]; then echo "$name"; return 0; fi
	done
	return 1
}

oracle_vmlinuz() {
	find .cache/linux/boot -name 'vmlinuz-*' 2>/dev/null | sort | tail -n 1
}

no_oracle() {
	echo "cannot fetch the Linux kernel of the ABI tests: $1" >&2
	exit 1
}

download_oracle() {
	command -v apt-get >/dev/null 2>&1 || no_oracle "there is no apt-get"
	if ! package=$(oracle_image_package); then
		prefix=$(root_prefix) || no_oracle "no package lists, and no right to fetch them (apt-get update)"
		$prefix apt-get -q update >&2
		package=$(oracle_image_package) || no_oracle "no kernel image in the package lists"
	fi
	echo "fetching $package for the ABI tests" >&2
	(cd .cache && apt-get -q download "$package") >&2
}

# HALCYON_ORACLE_DEB names a package that is there already.
fetch_oracle() {
	if [ -z "$(oracle_vmlinuz)" ]; then
		mkdir -p .cache
		if [ -n "${HALCYON_ORACLE_DEB:-}" ]; then
			cp "$HALCYON_ORACLE_DEB" .cache/
		elif ! ls .cache/linux-image-*.deb >/dev/null 2>&1; then
			download_oracle
		fi
		rm -rf .cache/linux
		dpkg -x "$(ls .cache/linux-image-*.deb | tail -n 1)" .cache/linux
	fi
	oracle_vmlinuz
}

purpose=${1:-}
install_missing
case ${1:-} in
'' | coverage) ;;
oracle) fetch_oracle ;;
*) echo "usage: ci/deps.sh [oracle|coverage]" >&2; exit 2 ;;
esac
