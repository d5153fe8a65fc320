# SPDX-License-Identifier: MIT
"""As much of ELF64 as is needed before gdb has symbols: segments, and addresses of symbols."""
import struct


class Elf:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as source:
            self.data = source.read()
        if self.data[:5] != b"\x7fELF\x02":
            raise ValueError(f"{path} is no 64-bit ELF file")
        self.kind, = struct.unpack_from("<H", self.data, 16)
        self.phoff, self.shoff = struct.unpack_from("<QQ", self.data, 32)
        self.phsize, self.phnum, self.shsize, self.shnum = struct.unpack_from("<4H", self.data, 54)

    def loads(self):
        """PT_LOAD segments: (flags, offset, address, bytes in the file)."""
        for i in range(self.phnum):
            kind, flags, offset, address, _, size = struct.unpack_from("<IIQQQQ", self.data, self.phoff + i * self.phsize)
            if kind == 1:
                yield flags, offset, address, size

    def code_address(self):
        """Where the first executable segment is linked."""
        return min((address for flags, _, address, _ in self.loads() if flags & 1), default=0)

    def read(self, address, size):
        for _, offset, start, length in self.loads():
            if start <= address and address + size <= start + length:
                return self.data[offset + address - start:offset + address - start + size]
        return None

    def has_symbols(self):
        return any(kind == 2 for kind, *_ in self.sections())

    def sections(self):
        for i in range(self.shnum):
            _, kind, _, _, offset, size, link = struct.unpack_from("<IIQQQQI", self.data, self.shoff + i * self.shsize)
            yield kind, offset, size, link

    def symbols(self, wanted):
        """{name: address} of those of `wanted` that the file has."""
        found, sections = {}, list(self.sections())
        for kind, offset, size, link in sections:
            if kind != 2:
                continue
            strings = sections[link][1]
            for at in range(offset, offset + size, 24):
                name_at, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", self.data, at)
                name = self.data[strings + name_at:self.data.index(b"\0", strings + name_at)].decode()
                if name in wanted:
                    found[name] = value
        return found
