#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Finish a PE image made by objcopy, in place: set NX_COMPAT, clear the time stamp, check W^X.

gnu-efi's header leaves DllCharacteristics 0. Firmware that enforces no-execute starts only images
that say IMAGE_DLLCHARACTERISTICS_NX_COMPAT (PE/COFF specification, optional header) and have no
section that is writable and executable. Run this before signing.
"""
import struct
import sys

NX_COMPAT = 0x100
SCN_EXECUTE, SCN_WRITE = 0x20000000, 0x80000000


def main():
    path = sys.argv[1]
    with open(path, "rb") as f:
        data = bytearray(f.read())
    pe = struct.unpack_from("<I", data, 0x3C)[0]
    if data[:2] != b"MZ" or data[pe : pe + 4] != b"PE\0\0":
        sys.exit(f"{path}: not a PE image")
    sections, optional_size = struct.unpack_from("<H", data, pe + 6)[0], struct.unpack_from("<H", data, pe + 20)[0]
    optional = pe + 24
    if struct.unpack_from("<H", data, optional)[0] != 0x20B:
        sys.exit(f"{path}: not a PE32+ image")
    struct.pack_into("<I", data, pe + 8, 0)
    flags = struct.unpack_from("<H", data, optional + 70)[0]
    struct.pack_into("<H", data, optional + 70, flags | NX_COMPAT)
    names = []
    for i in range(sections):
        at = optional + optional_size + 40 * i
        name = data[at : at + 8].rstrip(b"\0").decode()
        characteristics = struct.unpack_from("<I", data, at + 36)[0]
        if characteristics & SCN_EXECUTE and characteristics & SCN_WRITE:
            sys.exit(f"{path}: section {name} is writable and executable")
        names.append(name)
    for needed in (".text", ".data", ".reloc", ".dynamic", ".rela"):
        if needed not in names:
            sys.exit(f"{path}: section {needed} is missing, the image would not start")
    with open(path, "wb") as f:
        f.write(data)


main()
