"""The installed package: its library, its types, its documentation."""

from __future__ import annotations

import ctypes
import inspect
import re
from importlib import metadata, resources
from pathlib import Path

from conftest import REPOSITORY

import vlmz
from vlmz import _library


def headers() -> str:
    """The C interface."""
    folder = REPOSITORY / "Sources/CVLMZ/include"
    return "".join((folder / name).read_text() for name in ("vlmz.h", "vlmz_film.h", "vlmz_convert.h"))


def test_the_package_is_the_installed_one() -> None:
    assert REPOSITORY not in Path(vlmz.__file__).resolve().parents
    assert metadata.version("vlmz") == vlmz.__version__
    assert _library.library().vlmz_version().decode() == vlmz.__version__
    assert resources.files("vlmz").joinpath("py.typed").is_file()


def test_the_wheel_is_for_any_python_of_one_platform() -> None:
    wheel = metadata.distribution("vlmz").read_text("WHEEL") or ""
    tags = re.findall(r"^Tag: (.*)$", wheel, re.MULTILINE)
    assert tags
    assert all(re.fullmatch(r"py3-none-manylinux_\d+_\d+_\w+", tag) for tag in tags)
    assert "Root-Is-Purelib: false" in wheel


def test_the_library_needs_nothing_but_what_manylinux_promises_and_the_wheel_has() -> None:
    """Only libraries of the wheel are loaded beside those that every Linux has."""
    _library.library()
    with open("/proc/self/maps") as maps:
        loaded = {line.split()[-1] for line in maps if ".so" in line}
    for name in ("png16", "jpeg", "webp", "zstd", "pcre2"):
        own = [path for path in loaded if "vlmz.libs" in path and name in path]
        assert own, name


def test_structures_are_as_large_as_the_header_says() -> None:
    """Members are those of vlmz.h, in its order."""
    header = headers()
    header = re.sub(r"//.*", "", header)
    structures = {
        "vlmz_model_options": _library.ModelOptions,
        "vlmz_image_options": _library.ImageOptions,
        "vlmz_pixels": _library.Pixels,
        "vlmz_candidate": _library.CCandidate,
        "vlmz_feature": _library.CFeature,
        "vlmz_encoding_options": _library.EncodingOptions,
        "vlmz_conversation_options": _library.ConversationOptions,
        "vlmz_answer_options": _library.AnswerOptions,
        "vlmz_answer": _library.CAnswer,
        "vlmz_film": _library.CFilm,
        "vlmz_conversion_options": _library.ConversionOptions,
        "vlmz_conversion_progress": _library.CConversionProgress,
    }
    types = {
        "size_t": ctypes.c_size_t, "int32_t": ctypes.c_int32, "uint32_t": ctypes.c_uint32,
        "uint64_t": ctypes.c_uint64, "double": ctypes.c_double,
    }
    for name, structure in structures.items():
        body = re.search(r"typedef struct %s \{(.*?)\} %s;" % (name, name), header, re.DOTALL)
        assert body, name
        members = [line.strip() for line in body[1].split(";") if line.strip()]
        assert len(members) == len(structure._fields_), name
        for member, (field, kind, *_) in zip(members, structure._fields_):
            assert re.search(r"\b%s\b" % field, member), (name, member, field)
            if "*" in member:
                assert ctypes.sizeof(kind) == ctypes.sizeof(ctypes.c_void_p), (name, field)
            elif "[" not in member:
                assert types[member.split()[0]] is kind, (name, field)


def test_functions_of_the_header_are_all_known_or_not_needed() -> None:
    header = headers()
    declared = set(re.findall(r"^VLMZ_API vlmz_status (vlmz_\w+)\(", header, re.MULTILINE))
    # Those of one image; calls of several are used for one too.
    unused = {
        "vlmz_session_classify", "vlmz_session_classify_by_text", "vlmz_session_embed_image",
    }
    assert declared - unused == set(_library._CALLS)


def test_everything_public_is_documented_and_typed() -> None:
    for name in vlmz.__all__:
        thing = getattr(vlmz, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        assert inspect.getdoc(thing), name
        members = vars(thing).items() if inspect.isclass(thing) else [(name, thing)]
        for member, value in members:
            if member.startswith("_") or not inspect.isfunction(value):
                continue
            assert inspect.getdoc(value), f"{name}.{member}"
            signature = inspect.signature(value)
            assert signature.return_annotation is not inspect.Signature.empty, f"{name}.{member}"


def test_each_status_of_the_header_has_an_exception_of_its_own() -> None:
    header = headers()
    statuses = {int(number) for number in re.findall(r"^  VLMZ_[A-Z_]+ = (\d+)", header.split(
        "vlmz_status_name")[0], re.MULTILINE)}
    kinds = {
        kind.status: kind
        for kind in vars(vlmz).values()
        if inspect.isclass(kind) and issubclass(kind, vlmz.VlmzError) and kind is not vlmz.VlmzError
    }
    assert set(kinds) == statuses - {0}
    assert type(_library.error_of(99, "new")) is vlmz.VlmzError
