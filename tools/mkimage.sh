#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mkimage.sh IMAGE LOADER KERNEL INITRD BOOTCONF: write the disk image, without root.
#
# GPT with one EFI system partition that starts at 1 MiB: FAT32, the files of Halcyon, at least 64 MiB
# free. Bit for bit the same for the same input: fixed GUIDs and serial number, all times from
# SOURCE_DATE_EPOCH. The file is sparse. Written beside and renamed, so a half image is never seen.
set -eu
image=$1 loader=$2 kernel=$3 initrd=$4 bootconf=$5

: "${SOURCE_DATE_EPOCH:=1704067200}"
export SOURCE_DATE_EPOCH TZ=UTC0 MTOOLS_SKIP_CHECK=1

mib=$((1024 * 1024))
used=0
for f in "$loader" "$kernel" "$initrd" "$bootconf"; do
	used=$((used + $(stat -L -c %s "$f")))
done
# 64 MiB to be free, 4 MiB for the two tables, directories and rounding, what is used, in steps of 32 MiB; with
# 1 KiB clusters FAT32 wants at least 64 MiB (65,525 clusters), and stays well-formed up to many GiB.
esp_mib=$(((used + (68 + 31) * mib) / mib / 32 * 32))
[ "$esp_mib" -ge 96 ] || esp_mib=96

temp=$(mktemp -d "${TMPDIR:-/tmp}/halcyon-image.XXXXXX")
trap 'rm -rf "$temp"' EXIT INT TERM
out=$image.new

rm -f "$out"
truncate -s $(((esp_mib + 2) * mib)) "$out"
sgdisk --clear --set-alignment=2048 \
	--new=1:2048:+${esp_mib}M --typecode=1:EF00 --change-name=1:"EFI system partition" \
	--partition-guid=1:4841434c-594f-4e00-8000-000000000001 \
	--disk-guid=4841434c-594f-4e00-8000-000000000000 "$out" >/dev/null

esp="$out@@1M"
mformat -i "$esp" -F -c 2 -H 2048 -T $((esp_mib * 2048)) -h 255 -s 63 -N 48414c43 -v HALCYON ::

# mcopy -m keeps the file's time: give each the fixed one.
mkdir -p "$temp/EFI/BOOT" "$temp/halcyon"
cp "$loader" "$temp/EFI/BOOT/BOOTX64.EFI"
cp "$kernel" "$temp/halcyon/kernel.elf"
cp "$initrd" "$temp/halcyon/initrd.img"
cp "$bootconf" "$temp/halcyon/boot.conf"
find "$temp" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
mcopy -i "$esp" -s -m -Q "$temp/EFI" "$temp/halcyon" ::/
mv "$out" "$image"
