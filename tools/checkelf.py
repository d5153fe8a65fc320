#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check that a linked kernel is what the loader accepts, that symbol passes agree, and seal the kernel.

    checkelf.py kernel.elf --same-symbols pass1.elf --handoff include/boot/bootinfo.h

Sealing writes the CRC into the note that <boot/bootinfo.h> describes (struct boot_kernel_note), in
place; the note must name the handoff version of that header.

Refuses: anything but an x86-64 static PIE, segments that are writable and executable, that are not
page-aligned or overlap, relocations other than R_X86_64_RELATIVE, a needed library, an interpreter,
an undefined symbol, any symbol of pass 1 (outside .ksyms) at another address.
"""
import argparse
import re
import struct
import sys
import zlib

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
DT_NEEDED, DT_RELA, DT_RELASZ, DT_RELAENT, DT_JMPREL, DT_TEXTREL = 1, 7, 8, 9, 23, 22
R_X86_64_RELATIVE = 8
PAGE = 4096


def fail(path, text):
    sys.exit(f"{path}: {text}")


class Elf:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.data = f.read()
        if self.data[:6] != b"\x7fELF\x02\x01":
            fail(path, "not a 64-bit little-endian ELF file")
        (self.type, self.machine, _, self.entry, self.phoff, self.shoff, _, _, self.phentsize, self.phnum,
         self.shentsize, self.shnum, self.shstrndx) = struct.unpack_from("<HHIQQQIHHHHHH", self.data, 16)
        self.phdrs = [struct.unpack_from("<IIQQQQQQ", self.data, self.phoff + i * self.phentsize)
                      for i in range(self.phnum)]
        self.shdrs = [struct.unpack_from("<IIQQQQIIQQ", self.data, self.shoff + i * self.shentsize)
                      for i in range(self.shnum)]

    def file_offset(self, address):
        for kind, _, offset, vaddr, _, filesz, _, _ in self.phdrs:
            if kind == PT_LOAD and vaddr <= address < vaddr + filesz:
                return offset + address - vaddr
        fail(self.path, f"address {address:#x} is in no segment of the file")

    def string(self, table, offset):
        start = self.shdrs[table][4] + offset
        return self.data[start : self.data.index(b"\0", start)].decode()

    def symbols(self):
        """Name and address of each defined symbol outside .ksyms, as a sorted list; undefined names apart."""
        found, undefined = [], []
        for sh in self.shdrs:
            if sh[1] != 2:
                continue
            for at in range(sh[4], sh[4] + sh[5], 24):
                name, info, _, section, value, _ = struct.unpack_from("<IBBHQQ", self.data, at)
                text = self.string(sh[6], name)
                if section == 0:
                    undefined += [text] if text else []
                elif info & 15 < 3 and not text.startswith("__ksyms") and text != "__kernel_end":
                    found.append((text, value))
        return sorted(found), undefined


def check_segments(elf):
    end = 0
    for kind, flags, offset, vaddr, _, filesz, memsz, _ in elf.phdrs:
        if kind == PT_INTERP:
            fail(elf.path, "it asks for an interpreter")
        if kind != PT_LOAD or memsz == 0:
            continue
        if flags & 3 == 3:
            fail(elf.path, f"the segment at {vaddr:#x} is writable and executable")
        if vaddr % PAGE or (offset - vaddr) % PAGE:
            fail(elf.path, f"the segment at {vaddr:#x} is not aligned to pages")
        if vaddr < end:
            fail(elf.path, f"the segment at {vaddr:#x} overlaps the one before")
        end = -(-(vaddr + memsz) // PAGE) * PAGE


def check_relocations(elf):
    dynamic = [ph for ph in elf.phdrs if ph[0] == PT_DYNAMIC]
    if len(dynamic) != 1:
        fail(elf.path, "there is not exactly one dynamic segment")
    tags = {}
    _, _, offset, _, _, filesz, _, _ = dynamic[0]
    for at in range(offset, offset + filesz, 16):
        tag, value = struct.unpack_from("<QQ", elf.data, at)
        if tag == 0:
            break
        if tag in (DT_NEEDED, DT_JMPREL, DT_TEXTREL):
            fail(elf.path, f"dynamic tag {tag} is not allowed")
        tags[tag] = value
    count = 0
    if tags.get(DT_RELASZ):
        if tags.get(DT_RELAENT) != 24:
            fail(elf.path, "relocation entries do not have 24 bytes")
        table = elf.file_offset(tags[DT_RELA])
        for at in range(table, table + tags[DT_RELASZ], 24):
            where, info, _ = struct.unpack_from("<QQq", elf.data, at)
            if info & 0xFFFFFFFF != R_X86_64_RELATIVE:
                fail(elf.path, f"relocation type {info & 0xffffffff} at {where:#x}: only RELATIVE is allowed")
            count += 1
    return count


def find_note(elf):
    """The file offset of our note."""
    wanted = struct.pack("<III8s", 8, 16, 1, b"Halcyon\0")
    for kind, _, offset, _, _, filesz, _, _ in elf.phdrs:
        if kind == PT_NOTE and elf.data[offset : offset + filesz].startswith(wanted) and filesz == 36:
            return offset
    fail(elf.path, "the Halcyon note is missing")


def seal(elf, header):
    with open(header) as f:
        version = int(re.search(r"#define BOOTINFO_VERSION\s+(\d+)u", f.read())[1])
    note = find_note(elf)
    if struct.unpack_from("<I", elf.data, note + 20)[0] != version:
        fail(elf.path, f"its note names another handoff version than {version}: see the link script")
    data = bytearray(elf.data)
    struct.pack_into("<I", data, note + 24, 0)
    crc = 0
    for kind, _, offset, vaddr, _, filesz, memsz, _ in elf.phdrs:
        if kind == PT_LOAD:
            crc = zlib.crc32(struct.pack("<QQQ", vaddr, memsz, filesz), crc)
            crc = zlib.crc32(data[offset : offset + filesz], crc)
    crc = zlib.crc32(struct.pack("<Q", elf.entry), crc)
    struct.pack_into("<I", data, note + 24, crc)
    with open(elf.path, "r+b") as f:
        f.write(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernel")
    parser.add_argument("--same-symbols", metavar="ELF")
    parser.add_argument("--handoff", metavar="HEADER", required=True)
    args = parser.parse_args()
    elf = Elf(args.kernel)
    # ld calls a PIE whose first address is not 0 ET_EXEC or ET_DYN, depending on its version. What makes it
    # movable is that it has a dynamic segment and nothing but RELATIVE relocations, which is checked below.
    if elf.machine != 62 or elf.type not in (2, 3):
        fail(elf.path, f"type {elf.type}, machine {elf.machine}: not an x86-64 position-independent executable")
    check_segments(elf)
    check_relocations(elf)
    symbols, undefined = elf.symbols()
    if undefined:
        fail(elf.path, "undefined: " + ", ".join(undefined))
    if args.same_symbols:
        before, _ = Elf(args.same_symbols).symbols()
        moved = set(before) ^ set(symbols)
        if moved:
            fail(elf.path, f"{len(moved)} symbols moved between the passes, such as {sorted(moved)[0]}")
    seal(elf, args.handoff)


main()
