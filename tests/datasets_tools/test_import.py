"""Importing: every source gives the same set, bytes are kept, and hostile sources end in one line."""

from __future__ import annotations

import gzip
import io
import os
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets_tools import growing_set
from datasets_tools.import_faces import Imported, import_faces
from datasets_tools.importers._listing import Options
from datasets_tools.names import Names
from noisebench.cli import main
from noisebench.errors import FileError, UserError
from noisebench.formats import jpeg, layouts
from noisebench.formats.face_set import FaceSet, write_face_set
from noisebench.formats.recordio import Header, RecordWriter, pack

SIZE = 24
Photos = list[tuple[str, int, bytes]]
"""Name, label and JPEG of each image, by label."""


def image(seed: int, height: int = SIZE, width: int = SIZE) -> jpeg.Image:
    values = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.kron(values, np.ones((height // 4, width // 4, 1), dtype=np.uint8))


def png(seed: int, height: int = SIZE, width: int = SIZE) -> bytes:
    return bytes(cv2.imencode(".png", image(seed, height, width))[1].tobytes())


def png_header(height: int, width: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"


@pytest.fixture(scope="module")
def photos() -> Photos:
    labels = np.repeat(np.arange(4), (3, 1, 5, 2)).tolist()
    return [(f"{place:02d}.jpg", label, jpeg.encode(image(place))) for place, label in enumerate(labels)]


def as_folder(photos: Photos, folder: Path) -> Path:
    for name, label, data in photos:
        (folder / f"id{label}").mkdir(parents=True, exist_ok=True)
        (folder / f"id{label}" / name).write_bytes(data)
    return folder


def as_tar(members: list[tuple[str, bytes]], path: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def samples(photos: Photos) -> list[tuple[str, bytes]]:
    return [part for name, label, data in photos for part in ((name, data), (f"{name[:2]}.cls", str(label).encode()))]


def as_parquet(photos: Photos, path: Path) -> Path:
    columns = {"name": [photo[0] for photo in photos], "label": [photo[1] for photo in photos]}
    pq.write_table(pa.table(columns | {"image": [photo[2] for photo in photos]}), path, row_group_size=3)
    return path


def shuffled(photos: Photos) -> Photos:
    return [photos[place] for place in np.random.default_rng(0).permutation(len(photos))]


def contents(folder: Path) -> list[tuple[int, bytes]]:
    faces = FaceSet.open(folder)
    faces.check_labels()
    return [(int(label), bytes(faces.jpeg(int(key)))) for key, label in zip(faces.keys, faces.labels, strict=True)]


def expected(photos: Photos) -> list[tuple[int, bytes]]:
    return [(label, data) for _, label, data in photos]


def import_tar_shards(photos: Photos, where: Path) -> list[Path]:
    mixed = shuffled(photos)
    return [as_tar(samples(mixed[:6]), where / "0.tar"), as_tar(samples(mixed[6:]), where / "1.tar")]


def import_list(photos: Photos, where: Path) -> list[Path]:
    as_folder(photos, where)
    lines = [f"{number}\t{label}.0\tid{label}/{name}\n" for number, (name, label, _) in enumerate(shuffled(photos))]
    (where / "faces.lst").write_text("".join(lines))
    return [where / "faces.lst"]


SOURCES: dict[str, Callable[[Photos, Path], list[Path]]] = {
    "folder": lambda photos, where: [as_folder(photos, where / "folder")],
    "lst": import_list,
    "webdataset": import_tar_shards,
    "parquet": lambda photos, where: [as_parquet(photos, where / "sorted.parquet")],
    "parquet, unsorted": lambda photos, where: [as_parquet(shuffled(photos), where / "mixed.parquet")],
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_the_same_images_by_label_and_their_names(kind: str, photos: Photos, tmp_path: Path) -> None:
    sources = SOURCES[kind](photos, tmp_path)
    made = import_faces(sources, tmp_path / "out")
    assert made == Imported(11, 4, 0, (SIZE, SIZE))
    assert sorted(contents(tmp_path / "out")) == sorted(expected(photos))
    names = Names.read(tmp_path / "out" / "names.parquet")
    data_of = {name: data for name, _, data in photos}
    faces = FaceSet.open(tmp_path / "out")
    np.testing.assert_array_equal(names.keys, faces.keys)
    np.testing.assert_array_equal(names.labels, faces.labels)
    for key, name in zip(names.keys, names.names.to_pylist(), strict=True):
        assert faces.jpeg(int(key)) == data_of[name[-6:]]
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")} == {
        "train.rec", "train.idx", "property", "names.parquet"
    }  # fmt: skip


def test_it_is_what_write_face_set_writes(photos: Photos, tmp_path: Path) -> None:
    import_faces([as_folder(photos, tmp_path / "in")], tmp_path / "out")
    write_face_set(tmp_path / "other", [(data, label) for _, label, data in photos], 4, (SIZE, SIZE))
    for name in ("train.rec", "train.idx", "property"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_more_images_than_float32_counts_have_the_im2rec_layout(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "MAX_EXACT", len(photos) + 4)
    folder = as_folder(photos, tmp_path / "in")
    (folder / "id1" / "broken.jpg").write_bytes(b"")
    made = import_faces([folder], tmp_path / "out", skip_broken=True)
    assert made == Imported(11, 4, 1, (SIZE, SIZE))
    faces = FaceSet.open(tmp_path / "out")
    assert (faces.layout, faces.num_classes, faces.image_size) == ("im2rec", 4, (SIZE, SIZE))
    assert contents(tmp_path / "out") == expected(photos)
    names = Names.read(tmp_path / "out" / "names.parquet")
    assert names.keys.tolist() == faces.keys.tolist() == list(range(11))
    assert [name[-6:] for name in names.names.to_pylist()] == [name for name, _, _ in photos]


def test_identities_of_several_sets_are_kept_apart(photos: Photos, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_face_set(tmp_path / name, [(data, label) for _, label, data in photos], 5, (SIZE, SIZE))
    import_faces([tmp_path / "one", tmp_path / "two" / "train.rec"], tmp_path / "out")
    assert contents(tmp_path / "out") == expected(photos) + [(label + 5, data) for _, label, data in photos]
    assert FaceSet.open(tmp_path / "out").num_classes == 10
    names = Names.read(tmp_path / "out" / "names.parquet")
    assert (names.names[11].as_py(), names.identities[11].as_py()) == ("two/1", "two/0")


def test_a_set_whose_records_are_in_no_order_is_sorted(photos: Photos, tmp_path: Path) -> None:
    (tmp_path / "im2rec").mkdir()
    with RecordWriter(tmp_path / "im2rec" / "train.rec") as writer:
        for key, (_, label, data) in enumerate(shuffled(photos)):
            writer.write(key, pack(Header(0, float(label), key), data))
    import_faces([tmp_path / "im2rec"], tmp_path / "out")
    assert sorted(contents(tmp_path / "out")) == sorted(expected(photos))


def test_names_as_labels_are_numbered_in_byte_order(photos: Photos, tmp_path: Path) -> None:
    people = ["zoë", "Zoe", "adam", "éva"]
    table = {"image": [{"bytes": data, "path": ""} for *_, data in photos], "label": [people[p[1]] for p in photos]}
    pq.write_table(pa.table(table), tmp_path / "faces.parquet")
    import_faces([tmp_path / "faces.parquet"], tmp_path / "out")
    names = Names.read(tmp_path / "out" / "names.parquet")
    assert list(dict.fromkeys(names.identities.to_pylist())) == ["Zoe", "adam", "zoë", "éva"]
    assert [data for label, data in contents(tmp_path / "out") if label == 2] == [p[2] for p in photos if p[1] == 0]


def test_a_label_in_json_may_be_a_name(photos: Photos, tmp_path: Path) -> None:
    members = [("a.jpg", photos[0][2]), ("a.json", b'{"label": "eve"}'), ("b.json", b'{"label": "bob"}'),
               ("b.jpg", photos[1][2])]  # fmt: skip
    import_faces([as_tar(members, tmp_path / "x.tar")], tmp_path / "out")
    assert contents(tmp_path / "out") == [(0, photos[1][2]), (1, photos[0][2])]


def test_odd_file_names_survive(tmp_path: Path) -> None:
    data = jpeg.encode(image(0))
    odd = [b"tab\there.jpg", b"line\nbreak.jpg", b"latin\xff.JPG", "日本.jpeg".encode(), b" .jpg"]
    folder = os.fsencode(tmp_path / "in") + b"/who \xfe"
    Path(os.fsdecode(folder)).mkdir(parents=True)
    for name in odd:
        with open(folder + b"/" + name, "wb") as stream:  # noqa: PTH123 - Path takes no bytes
            stream.write(data)
    assert import_faces([tmp_path / "in"], tmp_path / "out").num_images == len(odd)
    names = Names.read(tmp_path / "out" / "names.parquet").names.to_pylist()
    assert "who \\xfe/latin\\xff.JPG" in names
    assert "who \\xfe/日本.jpeg" in names


def test_what_is_no_image_is_passed_over_and_links_make_no_loop(photos: Photos, tmp_path: Path) -> None:
    folder = as_folder(photos, tmp_path / "in")
    (folder / "README.md").write_text("about")
    (folder / ".cache").mkdir()
    (folder / "empty").mkdir()
    (folder / "id0" / "Thumbs.db").write_bytes(b"x")
    (folder / "id0" / ".00.jpg").write_bytes(b"x")
    (folder / "id0" / "loop").symlink_to(folder)
    (folder / "id0" / "98.jpg").symlink_to(folder / "id0" / "00.jpg")
    import_faces([folder], tmp_path / "out")
    assert contents(tmp_path / "out") == [*expected(photos[:3]), (0, photos[0][2]), *expected(photos[3:])]


class TestFitting:
    def test_another_size_is_refused_by_name(self, photos: Photos, tmp_path: Path) -> None:
        folder = as_folder(photos, tmp_path / "in")
        (folder / "id1" / "zz.jpg").write_bytes(jpeg.encode(image(1, 48, 32)))
        with pytest.raises(UserError, match=r"id1/zz.jpg': 48x32 pixels; expected 24x24 \(--size 24x24"):
            import_faces([folder], tmp_path / "out")
        assert not list(tmp_path.glob("out*"))

    def test_another_format_is_refused_by_name(self, photos: Photos, tmp_path: Path) -> None:
        folder = as_folder(photos, tmp_path / "in")
        (folder / "id1" / "zz.png").write_bytes(png(1))
        with pytest.raises(UserError, match=r"id1/zz.png': no JPEG \(--quality 95"):
            import_faces([folder], tmp_path / "out")

    def test_only_what_differs_is_encoded_again(self, photos: Photos, tmp_path: Path) -> None:
        folder = as_folder(photos, tmp_path / "in")
        (folder / "id3" / "y.png").write_bytes(png(1))
        (folder / "id3" / "z.jpg").write_bytes(jpeg.encode(image(1, 48, 48)))
        import_faces([folder], tmp_path / "out", size=(SIZE, SIZE), quality=80)
        made = contents(tmp_path / "out")
        assert made[:-2] == expected(photos)
        assert made[-2][1] == jpeg.encode(jpeg.decode(png(1)), quality=80)
        assert all(jpeg.decode(data).shape == (SIZE, SIZE, 3) for _, data in made)

    def test_a_resized_image_shows_the_same(self, tmp_path: Path) -> None:
        ramp = np.repeat(np.add.outer(np.arange(96), np.arange(96)).astype(np.uint8)[:, :, None], 3, axis=2)
        (tmp_path / "in" / "a").mkdir(parents=True)
        (tmp_path / "in" / "a" / "x.png").write_bytes(bytes(cv2.imencode(".png", ramp)[1].tobytes()))
        import_faces([tmp_path / "in"], tmp_path / "out", size=(48, 32), quality=100)
        ((_, found),) = contents(tmp_path / "out")
        means = ramp.reshape(48, 2, 32, 3, 3).mean(axis=(1, 3))
        assert np.abs(jpeg.decode(found) - means).max() < 3


class TestBroken:
    @pytest.fixture
    def folder(self, photos: Photos, tmp_path: Path) -> Path:
        folder = as_folder(photos, tmp_path / "in")
        whole = photos[0][2]
        broken = {
            "id0/z1.jpg": whole[: len(whole) // 2],
            "id1/z2.jpg": b"",
            "id1/z3.png": png_header(60000, 60000),
            "id2/z4.bmp": b"BM" + bytes(60),
            "id2/z\n5.jpg": b"<html>not found</html>",
        }
        for name, data in broken.items():
            (folder / name).write_bytes(data)
        os.mkfifo(folder / "id3" / "z6.jpg")
        (folder / "id3" / "z7.jpg").symlink_to("z7.jpg")
        (folder / "id3" / "z8.jpg").touch()
        os.truncate(folder / "id3" / "z8.jpg", 1 << 33)
        return folder

    def test_the_first_is_named(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"image 'id0/z1.jpg': cut short.*--skip-broken"):
            import_faces([folder], tmp_path / "out")
        assert not list(tmp_path.glob("out*"))

    def test_all_are_left_out_and_listed(self, folder: Path, photos: Photos, tmp_path: Path) -> None:
        made = import_faces([folder], tmp_path / "out", skip_broken=True)
        assert (made.num_images, made.num_left_out) == (11, 8)
        assert contents(tmp_path / "out") == expected(photos)
        lines = (tmp_path / "out" / "left_out.txt").read_text().splitlines()
        assert [line.split("\t")[1] for line in lines] == [
            "id0/z1.jpg", "id1/z2.jpg", "id1/z3.png", "id2/z\\n5.jpg", "id2/z4.bmp",
            "id3/z6.jpg", "id3/z7.jpg", "id3/z8.jpg",
        ]  # fmt: skip
        names = Names.read(tmp_path / "out" / "names.parquet")
        assert [name[-6:] for name in names.names.to_pylist()] == [name for name, *_ in photos]

    def test_nothing_but_broken_images_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "in" / "a").mkdir(parents=True)
        (tmp_path / "in" / "a" / "x.jpg").write_bytes(b"x")
        with pytest.raises(UserError, match="all images are broken"):
            import_faces([tmp_path / "in"], tmp_path / "out", skip_broken=True)
        assert not list(tmp_path.glob("out*"))


class TestHostile:
    def refused(self, source: Path, match: str, root: Path | None = None) -> None:
        with pytest.raises(FileError, match=match) as caught:
            import_faces([source], source.parent / "out", options=Options(root=root))
        assert "\n" not in str(caught.value)
        assert not list(source.parent.glob("out*"))

    @pytest.mark.parametrize("name", ["/etc/x.jpg", "../x.jpg", "a/../../x.jpg"])
    def test_tar_names_that_lead_out(self, name: str, photos: Photos, tmp_path: Path) -> None:
        self.refused(as_tar([(name, photos[0][2])], tmp_path / "x.tar"), "leads out of the archive")

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
    def test_tar_members_that_are_no_files(self, kind: bytes, tmp_path: Path) -> None:
        member = tarfile.TarInfo("x.jpg")
        member.type, member.linkname = kind, "/etc/passwd"
        with tarfile.open(tmp_path / "x.tar", "w") as archive:
            archive.addfile(member)
        self.refused(tmp_path / "x.tar", "link or a special file")

    def test_a_tar_cut_short_anywhere(self, photos: Photos, tmp_path: Path) -> None:
        whole = as_tar(samples(photos[:2]), tmp_path / "whole.tar").read_bytes()
        with tarfile.open(tmp_path / "whole.tar") as archive:
            last = archive.getmembers()[-1]
        for end in [*range(0, last.offset_data + 512, 512), 100, 700, last.offset_data + 1]:
            (tmp_path / "x.tar").write_bytes(whole[:end])
            self.refused(tmp_path / "x.tar", "damaged or cut short")

    @pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + bytes(3) + b"\x7f" + bytes(7), b"\xff" * 12])
    @pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
    def test_tar_sizes_that_cannot_be(self, size: bytes, kind: bytes, photos: Photos, tmp_path: Path) -> None:
        data = bytearray(as_tar(samples(photos[:2]), tmp_path / "x.tar").read_bytes())
        data[124:136], data[156:157] = size, kind
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        (tmp_path / "x.tar").write_bytes(data)
        self.refused(tmp_path / "x.tar", "damaged or cut short")

    @pytest.mark.parametrize(
        ("label", "match"),
        [
            (("a.cls", b"three"), "expected a whole number"),
            (("a.cls", b"-1"), "expected 0 to"),
            (("a.cls", b"1" + b"0" * 40), "expected 0 to"),
            (("a.json", b'{"label": true}'), "an object with 'label'"),
            (("a.json", b"[" * 100000), "an object with 'label'"),
            (("a.txt", b"3"), "has no label"),
        ],
    )  # fmt: skip
    def test_labels_that_are_none(self, label: tuple[str, bytes], match: str, photos: Photos, tmp_path: Path) -> None:
        self.refused(as_tar([("a.jpg", photos[0][2]), label], tmp_path / "x.tar"), match)

    def test_a_compressed_tar(self, photos: Photos, tmp_path: Path) -> None:
        plain = as_tar(samples(photos), tmp_path / "plain").read_bytes()
        (tmp_path / "x.tar").write_bytes(gzip.compress(plain))
        self.refused(tmp_path / "x.tar", "decompressed first")

    @pytest.mark.parametrize(
        ("columns", "match"),
        [
            ({"image": [1], "label": [1]}, "'image' is of type int64"),
            ({"image": [[b"x"]], "label": [1]}, "'image' is of type list"),
            ({"image": [b"x"], "label": [1.5]}, "labels are of type double"),
            ({"image": [b"x"], "label": [None]}, "labels are of type null|has no label"),
            ({"image": [b"x", b"x"], "label": [1, None]}, "image 1 has no label"),
            ({"image": [b"x"], "label": [1 << 40]}, "expected 0 to"),
            ({"image": [b"x"], "label": [(1 << 24) - 1]}, "without large gaps"),
            ({"picture": [b"x"], "label": [1]}, "no column 'image'"),
        ],
    )  # fmt: skip
    def test_parquet_columns_that_are_not_as_expected(
        self, columns: dict[str, list[object]], match: str, tmp_path: Path
    ) -> None:
        pq.write_table(pa.table(columns), tmp_path / "x.parquet")
        self.refused(tmp_path / "x.parquet", match)

    def test_parquet_texts_that_are_none(self, photos: Photos, tmp_path: Path) -> None:
        data = as_parquet(photos, tmp_path / "x.parquet").read_bytes()
        assert b"03.jpg" in data
        (tmp_path / "x.parquet").write_bytes(data.replace(b"03.jpg", b"03\xff\xfepg"))
        self.refused(tmp_path / "x.parquet", "no readable Parquet file")

    def test_a_parquet_file_cut_short(self, photos: Photos, tmp_path: Path) -> None:
        data = as_parquet(photos, tmp_path / "x.parquet").read_bytes()
        (tmp_path / "x.parquet").write_bytes(data[:-20])
        self.refused(tmp_path / "x.parquet", "no readable Parquet file")

    @pytest.mark.parametrize("line", ["1\t0\t/etc/x.jpg", "1\t0\t../../x.jpg"])
    def test_a_list_that_leads_out_of_the_root(self, line: str, tmp_path: Path) -> None:
        (tmp_path / "x.lst").write_text(line + "\n")
        self.refused(tmp_path / "x.lst", "line 1: .* leads out of", root=tmp_path)

    @pytest.mark.parametrize("line", ["1 0 a.jpg", "1\t0.5\ta.jpg", "1\tnan\ta.jpg", "1\tinf\ta.jpg", "1\ta.jpg\t0\t"])
    def test_a_list_with_a_bad_line(self, line: str, tmp_path: Path) -> None:
        (tmp_path / "x.lst").write_text(f"\n{line}\n")
        self.refused(tmp_path / "x.lst", "line 2: expected 'number<TAB>label<TAB>path'")

    def test_an_image_outside_of_the_identities(self, photos: Photos, tmp_path: Path) -> None:
        folder = as_folder(photos, tmp_path / "in")
        (folder / "x.jpg").write_bytes(photos[0][2])
        self.refused(folder, "outside of any identity's folder")

    def test_a_damaged_record_set(self, photos: Photos, tmp_path: Path) -> None:
        write_face_set(tmp_path / "in", [(data, label) for _, label, data in photos], 4, (SIZE, SIZE))
        faces = FaceSet.open(tmp_path / "in")
        data = bytearray((tmp_path / "in" / "train.rec").read_bytes())
        data[faces.records.index.offset(2)] ^= 1
        (tmp_path / "in" / "train.rec").write_bytes(data)
        made = import_faces([tmp_path / "in"], tmp_path / "out", skip_broken=True)
        assert made.num_left_out == 1
        assert contents(tmp_path / "out") == [expected(photos)[0], *expected(photos)[2:]]


class TestInterrupted:
    @pytest.fixture(autouse=True)
    def save_always(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(growing_set, "SECONDS_BETWEEN_SAVES", -1.0)
        monkeypatch.setattr(os, "fsync", lambda _: None)

    def stop_after(self, count: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
        write = RecordWriter.write

        def writes() -> Iterator[None]:
            for _ in range(count):
                yield
            raise error

        left = writes()

        def stopping(writer: RecordWriter, key: int, payload: bytes) -> None:
            write(writer, key, payload)
            next(left)

        monkeypatch.setattr(RecordWriter, "write", stopping)

    @pytest.mark.parametrize("stop", [1, 4, 10, 13])
    def test_it_goes_on_to_the_same_bytes(
        self, stop: int, photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = as_folder(photos, tmp_path / "in")
        (folder / "id1" / "broken.jpg").write_bytes(b"")
        import_faces([folder], tmp_path / "whole", skip_broken=True)
        with monkeypatch.context() as patch:
            self.stop_after(stop, KeyboardInterrupt(), patch)
            with pytest.raises(KeyboardInterrupt):
                import_faces([folder], tmp_path / "out", skip_broken=True)
        assert not (tmp_path / "out").exists()
        made = import_faces([folder], tmp_path / "out", skip_broken=True)
        assert made == Imported(11, 4, 1, (SIZE, SIZE))
        for file in (tmp_path / "whole").iterdir():
            assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "whole"]

    def test_a_full_disk_is_one_line_and_can_be_gone_on_from(
        self, photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = as_folder(photos, tmp_path / "in")
        with monkeypatch.context() as patch:
            self.stop_after(5, OSError(28, "No space left on device"), patch)
            with pytest.raises(FileError, match="the disk is full"):
                import_faces([folder], tmp_path / "out")
        assert not (tmp_path / "out").exists()
        import_faces([folder], tmp_path / "out")
        assert contents(tmp_path / "out") == expected(photos)

    def test_other_work_is_not_mixed_in(self, photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = as_folder(photos, tmp_path / "in")
        with monkeypatch.context() as patch:
            self.stop_after(5, KeyboardInterrupt(), patch)
            with pytest.raises(KeyboardInterrupt):
                import_faces([folder], tmp_path / "out")
        (folder / "id0" / "new.jpg").write_bytes(photos[0][2])
        with pytest.raises(FileError):
            import_faces([folder], tmp_path / "out")


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line as its user does: exit code, standard output, standard error."""

    def run_with(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["noisebench", "data", "import", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(str(caught.value.code)), *capsys.readouterr()

    return run_with


def test_from_the_command_line(photos: Photos, tmp_path: Path, run: Run) -> None:
    folder = as_folder(photos, tmp_path / "in")
    code, out, err = run(folder, "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "11 images of 4 identities" in out
    code, _, err = run(folder, "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert "already exists" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "no such file or folder"),
        (["in", "--format", "webdatset"], "did you mean 'webdataset'?"),
        (["in", "--size", "112"], "expected HxW such as 112x112"),
        (["in", "--size", "9999x10"], "sides from 1 to"),
        (["in", "--quality", "0"], "--quality"),
        (["odd.txt"], "of no known format"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(arguments: list[str], message: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "odd.txt").touch()
    code, _, err = run(tmp_path / arguments[0], *arguments[1:], "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert not list(tmp_path.glob("out*"))
