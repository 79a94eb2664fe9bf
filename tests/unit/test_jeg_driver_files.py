import os
import subprocess
import sys
import zipfile

import pytest

from jeg_plugin.driver_files import DRIVER_MODULES, PACKED, modules_of, packed
from jeg_plugin.submitter import for_launcher


def test_the_modules_are_in_one_file_and_can_be_imported_from_it(tmp_path):
    path = packed(str(tmp_path / "runtime"))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [module.name for module in DRIVER_MODULES]
        assert all(archive.read(module.name) == module.read_bytes() for module in DRIVER_MODULES)
    # This one needs nothing that is not in the standard library.
    code = "import sys; sys.path.insert(0, sys.argv[1]); import remote_kernel_channel as m; print(m.__file__)"
    done = subprocess.run([sys.executable, "-I", "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(path))


def test_nobody_else_can_write_where_it_is(tmp_path):
    folder = tmp_path / "remote-kernel-driver"
    folder.mkdir(mode=0o777)
    path = packed(str(tmp_path))
    assert path.parent == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def test_it_is_made_again_by_a_version_with_other_modules(tmp_path):
    path = packed(str(tmp_path))
    path.write_bytes(b"of another version")
    assert packed(str(tmp_path)) == path
    assert zipfile.is_zipfile(path)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_its_path_is_a_whole_one_also_in_a_folder_that_is_named_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert packed("runtime").as_uri().startswith("file:///")


def test_without_it_each_module_goes_by_itself(tmp_path):
    assert modules_of({}) == DRIVER_MODULES
    assert modules_of({PACKED: str(tmp_path / "away.zip")}) == DRIVER_MODULES
    path = packed(str(tmp_path))
    assert modules_of({PACKED: str(path)}) == (path,)


@pytest.mark.parametrize("own", ["", "/run/modules.zip"])
def test_a_request_has_no_say_in_what_goes_into_the_container(monkeypatch, own):
    monkeypatch.setitem(os.environ, PACKED, own) if own else monkeypatch.delitem(os.environ, PACKED, raising=False)
    assert for_launcher({PACKED: "/home/mallory/modules.zip"}, None).get(PACKED, "") == own
