#!/usr/bin/env python3
"""usage: unpack-kernel.py BZIMAGE VMLINUX

Take the kernel out of its compressed image: Xen would unpack it at each boot
of a guest, which is slow under emulation. The boot header says where it is.
"""
import struct
import subprocess
import sys

UNPACKERS = {
    b'\xfd7zXZ\0': ['xz', '-dc', '--single-stream'],
    b'\x1f\x8b': ['gzip', '-dc'],
    b'\x28\xb5\x2f\xfd': ['zstd', '-dc'],
}


def main():
    with open(sys.argv[1], 'rb') as file:
        image = file.read()
    setup_sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from('<II', image, 0x248)
    packed = image[(setup_sectors + 1) * 512 + offset:][:length]
    for magic, unpacker in UNPACKERS.items():
        if packed.startswith(magic):
            # They complain of the length that follows the data.
            kernel = subprocess.run(unpacker, input=packed,
                                    stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL).stdout
            if kernel[:4] == b'\x7fELF':
                with open(sys.argv[2], 'wb') as file:
                    file.write(kernel)
                return
    sys.exit(f'{sys.argv[1]}: no kernel in it that can be unpacked')


if __name__ == '__main__':
    main()
