#!/usr/bin/env python3
"""Copies Swift's static libraries so that a linker may leave out what nothing uses of them.

  scripts/packaging/discardable.py FROM TO

FROM is a folder such as /usr/lib/swift_static, TO the one that is made, for `swiftc -resource-dir`. Swift marks
every public function of its library as to be kept (SHF_GNU_RETAIN), which in a program are a megabyte that
nothing calls. The mark is taken away; it stays on the sections that the runtime walks through: the records
of types and conformances, and what is called when a program starts. What those refer to is kept by that.
"""
import os
import shutil
import struct
import sys

SHF_GNU_RETAIN = 0x200000
WALKED = (".init_array", ".swift", "swift5_")


def fail(path, what):
    sys.exit(f"discardable: {path}: {what}")


def release(data, at, path):
    """Takes the mark off the sections of the ELF file that begins at `at`; returns of how many."""
    if data[at : at + 6] != b"\x7fELF\x02\x01":
        return 0  # What an archive has beside objects: its index.
    (sections,) = struct.unpack_from("<Q", data, at + 40)
    size, count, names = struct.unpack_from("<HHH", data, at + 58)
    if sections == 0:
        return 0
    if size != 64:
        fail(path, f"section headers of {size} bytes, expected 64")
    first = at + sections
    # Numbers that do not fit the header lie in the first section's.
    if count == 0:
        (count,) = struct.unpack_from("<Q", data, first + 32)
    if names == 0xFFFF:
        (names,) = struct.unpack_from("<I", data, first + 40)
    (texts,) = struct.unpack_from("<Q", data, first + names * size + 24)
    released = 0
    for header in range(first, first + count * size, size):
        name, _, flags = struct.unpack_from("<IIQ", data, header)
        start = at + texts + name
        walked = any(data.startswith(prefix.encode(), start) for prefix in WALKED)
        if flags & SHF_GNU_RETAIN and not walked:
            struct.pack_into("<Q", data, header + 8, flags & ~SHF_GNU_RETAIN)
            released += 1
    return released


def copy_archive(source, target):
    with open(source, "rb") as file:
        data = bytearray(file.read())
    if data[:8] != b"!<arch>\n":
        fail(source, "expected an archive")
    at = 8
    released = 0
    while at < len(data):
        if data[at + 58 : at + 60] != b"`\n":
            fail(source, f"no member of an archive at {at}")
        size = int(data[at + 48 : at + 58])
        released += release(data, at + 60, source)
        at += 60 + size + size % 2
    with open(target, "wb") as file:
        file.write(data)
    return released


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    source, target = sys.argv[1:]
    shutil.rmtree(target, ignore_errors=True)
    released = 0
    for folder, _, files in os.walk(source):
        to = os.path.join(target, os.path.relpath(folder, source))
        os.makedirs(to, exist_ok=True)
        for name in files:
            path = os.path.join(folder, name)
            # Foundation and what belongs to it is 100 MB, and nothing here links it.
            if name.endswith((".swiftmodule", ".swiftdoc", ".swiftinterface")) or "Foundation" in name:
                continue
            if name.endswith(".a"):
                released += copy_archive(path, os.path.join(to, name))
            else:
                shutil.copyfile(path, os.path.join(to, name))
    if released == 0:
        fail(source, "no section is marked as to be kept, of which there should be thousands")


if __name__ == "__main__":
    main()
