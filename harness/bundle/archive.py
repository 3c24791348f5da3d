"""A zip of the same bytes for the same files, and one from a stranger unpacked without harm.

Names are sorted, times fixed, and every file is packed alike, by LZMA: cases repeat their
baselines' records over distances that deflate and bzip2 do not see. What is unpacked must be what
the manifest lists: no file more, none outside the folder, and hardly a byte more than it says.
"""

from __future__ import annotations

import bz2
import hashlib
import json
import lzma
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import BundleError
from harness.files.atomic import write_file
from harness.files.given import check_file

MANIFEST = "manifest.json"
FORMAT = "titrate bundle"
VERSION = 1

#: No file may unpack to more, and no bundle to more in all.
MOST_BYTES = 1 << 30
MOST_TOTAL = 4 << 30
#: So many bytes may all files together have beyond what the manifest says: what somebody has added
#: to a file is to be named, and not to fill the disk.
_SPARE = 1 << 20
_MOST_MANIFEST = 64 << 20
#: The earliest time that a zip can hold.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PIECE = 1 << 20
#: What `zipfile` unpacks in pieces no larger than it is asked for.
_AT_ONCE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: What unpacking raises of a file that is none, or is cut or changed.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)
#: LZMA's memory of what it has unpacked: eight times what we pack with.
_MOST_DICTIONARY = 64 << 20
_LZMA_HEADER = struct.Struct("<HHBI")
#: Bytes of the last two of these.
_LZMA_PROPERTIES = 5


class Entry(BaseModel):
    """One file: how many bytes it has, and their SHA-256 in hexadecimal."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Tokenizer(BaseModel):
    """Where the files of a model's tokenizer are, and the ids that end its sequences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    end_tokens: tuple[int, ...]


class BundleManifest(BaseModel):
    """What a bundle holds. Paths are relative to its root, which stands for the run's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["titrate bundle"]
    version: int
    titrate: str
    """The version that wrote it."""
    run: Annotated[str, Field(pattern=r"^[\w.-]{1,100}$")]
    """The id of the run, which the verdict begins with: words there would read like one."""
    files: dict[str, Entry]
    moved: dict[str, str] = {}
    """Files that lay outside of the run's folder: their path in the report -> in the bundle."""
    absent: dict[str, str] = {}
    """What may not be shipped, or is not at hand: a file's path in the report, or the reference of
    a model whose tokenizer it is -> why."""
    tokenizers: dict[str, Tokenizer] = {}
    """By the model's reference."""


def entry_of(content: bytes) -> Entry:
    """What a manifest says of a file."""
    return Entry(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def pack(manifest: BundleManifest, files: Mapping[str, bytes], target: Path) -> None:
    """Write the bundle of these files; equal files give equal bytes.

    Raises:
        OSError: it cannot be written there.
    """
    import io

    document = json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in [(MANIFEST, document.encode()), *sorted(files.items())]:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            how = zipfile.ZIP_DEFLATED if name == MANIFEST else zipfile.ZIP_LZMA
            archive.writestr(info, content, how, 9)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_file(target, packed.getvalue())


def unpack(file: Path, folder: Path) -> tuple[BundleManifest, dict[str, Entry]]:
    """Unpack a bundle into an empty folder; nothing is written anywhere else.

    Returns:
        The manifest, and what is really there of each of its files, for those to be compared.

    Raises:
        BundleError: it is no bundle, damaged, of a newer version, too large, or climbs out.
    """
    try:
        check_file(file, MOST_TOTAL)
        with zipfile.ZipFile(file) as archive:
            manifest = _manifest(archive, file)
            _check_names(archive, manifest, file)
            found, spare = {}, _SPARE
            for name, entry in manifest.files.items():
                if name in archive.NameToInfo:
                    most = entry.bytes + spare
                    found[name] = _extract(archive, name, most, entry.bytes, folder / name, file)
                    spare -= max(0, found[name].bytes - entry.bytes)
    except OSError as error:
        raise BundleError(f"{file}: cannot be read: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise BundleError(
            f"{file}: is no bundle, or damaged ({error}); copy it again, or make one with `titrate "
            "bundle REPORT -o FILE.titrate`"
        ) from error
    return manifest, found


def _manifest(archive: zipfile.ZipFile, file: Path) -> BundleManifest:
    info = archive.NameToInfo.get(MANIFEST)
    if info is None:
        raise BundleError(f"{file}: has no {MANIFEST}; it is a zip, and no bundle of titrate")
    if info.file_size > _MOST_MANIFEST or info.compress_type not in _AT_ONCE:
        raise BundleError(f"{file}: its {MANIFEST} claims {info.file_size:,} bytes; not opened")
    with archive.open(info) as packed:
        text = packed.read(_MOST_MANIFEST + 1)
    try:
        document = json.loads(text)
        if isinstance(document, dict) and document.get("format") == FORMAT:
            version = document.get("version")
            if isinstance(version, int) and version > VERSION:
                raise BundleError(
                    f"{file}: is a bundle of version {version}, this titrate reads {VERSION}; "
                    "install the one that wrote it: pytest-titrate "
                    f"{document.get('titrate', 'of unknown version')}"
                )
        return BundleManifest.model_validate(document)
    except (ValueError, ValidationError, RecursionError) as error:
        first = str(error).splitlines()[0]
        raise BundleError(f"{file}: its {MANIFEST} is none of a bundle: {first}") from error


def _check_names(archive: zipfile.ZipFile, manifest: BundleManifest, file: Path) -> None:
    """Refuse what would be written outside, what nothing lists, and what is too large."""
    names = [info.filename for info in archive.infolist()]
    packed = {info.compress_type for info in archive.infolist()}
    if packed - {*_AT_ONCE, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}:
        raise BundleError(f"{file}: is packed in a way that bundles are not; not opened")
    for name in [*names, *manifest.files]:
        path = PurePosixPath(name)
        climbs = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name
        if climbs or str(path) != name or "\0" in name:
            raise BundleError(f"{file}: holds {name!r}, which is no path inside of it; not opened")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise BundleError(f"{file}: holds {twice} twice; not opened")
    foreign = next(
        (name for name in names if name != MANIFEST and name not in manifest.files), None
    )
    if foreign is not None:
        raise BundleError(
            f"{file}: holds {foreign}, which its {MANIFEST} does not list; not opened"
        )
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    both = next((name for name in names if name in folders), None)
    if both is not None:
        raise BundleError(f"{file}: {both} is a file and a folder in it; not opened")
    listed = [entry.bytes for entry in manifest.files.values()]
    unpacked = [info.file_size for info in archive.infolist()]
    largest, total = max([*listed, *unpacked]), max(sum(listed), sum(unpacked))
    if largest > MOST_BYTES or total > MOST_TOTAL:
        raise BundleError(f"{file}: unpacks to {total:,} bytes; {MOST_TOTAL:,} are taken at most")


def _extract(
    archive: zipfile.ZipFile, name: str, most: int, size: int, target: Path, file: Path
) -> Entry:
    """Unpack one file, whose size is said to be `size`; more than `most` bytes are a bomb."""
    target.parent.mkdir(parents=True, exist_ok=True)
    info = archive.getinfo(name)
    most = min(most, info.file_size)
    digest, written = hashlib.sha256(), 0
    with target.open("xb") as unpacked:
        for piece in _pieces(archive, info):
            written += len(piece)
            if written > most:
                raise BundleError(
                    f"{file}: {name} unpacks to more than the {size:,} bytes it claims"
                )
            digest.update(piece)
            unpacked.write(piece)
    return Entry(bytes=written, sha256=digest.hexdigest())


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """A file's content in pieces of bounded size.

    Of bzip2 and LZMA `zipfile` would unpack all of what it read at once, which may come to
    gigabytes.
    """
    if info.compress_type in _AT_ONCE:
        with archive.open(info) as packed:
            while piece := packed.read(_PIECE):
                yield piece
        return
    raw = copy(info)  # as if it were not packed
    raw.compress_type, raw.file_size = zipfile.ZIP_STORED, info.compress_size
    del raw.CRC
    checksum = 0
    with archive.open(raw) as packed:
        bz = info.compress_type == zipfile.ZIP_BZIP2
        unpacking = bz2.BZ2Decompressor() if bz else _lzma(packed.read(_LZMA_HEADER.size))
        while not unpacking.eof:
            more = packed.read(_PIECE) if unpacking.needs_input else b""
            if unpacking.needs_input and not more:
                raise EOFError(f"{info.filename} is truncated")
            piece = unpacking.decompress(more, _PIECE)
            checksum = zlib.crc32(piece, checksum)
            yield piece
    if checksum != info.CRC:
        raise zipfile.BadZipFile(f"{info.filename} is not what its checksum says")


def _lzma(header: bytes) -> lzma.LZMADecompressor:
    """What unpacks an entry that begins so (APPNOTE.TXT 5.8.8: version, size, properties)."""
    if len(header) < _LZMA_HEADER.size:
        raise EOFError("a file in it is truncated")
    _, size, packed, dictionary = _LZMA_HEADER.unpack(header)
    if size != _LZMA_PROPERTIES or dictionary > _MOST_DICTIONARY:
        raise lzma.LZMAError("a file in it asks for more memory than bundles do")
    places, lc = divmod(packed, 9)
    pb, lp = divmod(places, 5)
    own = {"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": dictionary}
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[own])
