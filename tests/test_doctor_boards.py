"""Every answer of `ftervit doctor` about ESP-IDF and serial ports, on every system."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from machines import WSL2, Make, make_fixture, write_files  # noqa: F401

from ftervit_deploy.doctor import Target
from ftervit_deploy.doctor.espidf import check_espidf, find_espidf
from ftervit_deploy.doctor.machine import Port
from ftervit_deploy.doctor.probe import device_ports, usb_ids
from ftervit_deploy.doctor.serial import check_busybodies, check_ports, ordered

TARGET = Target()
HOME = "/home/mira"
COMPILER = {f"{HOME}/.espressif/tools/xtensa-esp-elf/esp-13.2.0/bin/xtensa-esp-elf-gcc": ""}
VERSION_CMAKE = "set(IDF_VERSION_MAJOR 5)\nset(IDF_VERSION_MINOR 3)\nset(IDF_VERSION_PATCH 1)\n"


def _espidf(path: str, version: str = "v5.3.1", **more: str) -> dict[str, str]:
    """The files by which an ESP-IDF is known."""
    files = {"tools/idf.py": "", "tools/cmake/project.cmake": "", "version.txt": version, **more}
    return {f"{path}/{name}": content for name, content in files.items()}


@pytest.mark.parametrize(
    ("system", "path"),
    [
        ("linux", "/home/mira/esp/esp-idf"),
        ("linux", "/home/mira/esp/v5.3.1/esp-idf"),
        ("linux", "/home/mira/.espressif/v5.3.1/esp-idf"),
        ("linux", "/home/mira/.espressif/frameworks/esp-idf-v5.3.1"),
        ("linux", "/opt/esp-idf"),
        ("linux", "/opt/esp/idf"),
        ("macos", "/Users/mira/esp/esp-idf"),
        ("windows", "C:/Espressif/frameworks/esp-idf-v5.3.1"),
        ("windows", "C:/esp/v5.3.1/esp-idf"),
        ("windows", "C:/Users/mira/esp/esp-idf"),
    ],
)
def test_esp_idf_is_found_in_the_usual_places(make: Make, system: str, path: str) -> None:
    found = find_espidf(make(system, files=_espidf(path)))
    assert found is not None
    assert (found.path.as_posix(), found.version) == (path, (5, 3, 1))


def test_idf_path_counts_before_the_path_and_that_before_the_usual_places(make: Make) -> None:
    files = _espidf("/a", "v5.1") | _espidf("/b", "v5.2") | _espidf(f"{HOME}/esp/esp-idf", "v5.4")
    path = {"PATH": "/usr/bin:/b/tools"}
    both = find_espidf(make(files=files, environment={"IDF_PATH": "/a", **path}))
    on_path = find_espidf(make(environment=path))
    usual = find_espidf(make())
    assert [(str(f.path), f.found) for f in (both, on_path) if f] == [
        ("/a", "IDF_PATH"), ("/b", "idf.py on the PATH"),
    ]  # fmt: skip
    assert usual is not None
    assert usual.version == (5, 4)


def test_the_newest_of_several_is_taken(make: Make) -> None:
    files = _espidf(f"{HOME}/esp/v5.9/esp-idf", "v5.9") | _espidf(f"{HOME}/esp/v5.10/esp-idf", "v5.10")
    found = find_espidf(make(files=files))
    assert found is not None
    assert found.version == (5, 10)


def test_a_clone_tells_its_version_in_cmake(make: Make) -> None:
    files = _espidf("/idf", "", **{"tools/cmake/version.cmake": VERSION_CMAKE})
    found = find_espidf(make(files=files, environment={"IDF_PATH": "/idf"}))
    assert found is not None
    assert found.version == (5, 3, 1)


def test_esp_idf_with_its_compiler_is_ok(make: Make) -> None:
    check = check_espidf(make(files=_espidf(f"{HOME}/esp/esp-idf") | COMPILER), TARGET)
    assert (check.status, check.required, check.fix) == ("ok", False, None)
    assert "ESP-IDF 5.3.1" in check.what
    assert "needed by `ftervit build`" in check.what


@pytest.mark.parametrize(
    ("tools", "environment"),
    [
        ({"/t/tools/xtensa-esp32s3-elf/x": ""}, {"IDF_TOOLS_PATH": "/t"}),
        ({"/opt/esp/tools/xtensa-esp-elf/x": ""}, {}),
        ({"/bin/xtensa-esp32s3-elf-gcc": ""}, {"PATH": "/bin"}),
    ],
)
def test_the_compiler_is_found_where_installers_put_it(make: Make, tools, environment) -> None:
    files = _espidf(f"{HOME}/esp/esp-idf") | tools
    assert check_espidf(make(files=files, environment=environment), TARGET).status == "ok"


EIM = json.dumps(
    {
        "version": "2.0",
        "idfInstalled": [
            {
                "id": "esp-idf-1",
                "name": "v5.4",
                "path": "/disk/v5.4/esp-idf",
                "idfToolsPath": "/disk/tools",
                "python": "/disk/python/bin/python3",
                "activationScript": "/disk/activate_idf_v5.4.sh",
            }
        ],
    }
)


def test_what_espressifs_installer_wrote_down_is_found(make: Make) -> None:
    record = {f"{HOME}/.espressif/tools/eim_idf.json": EIM}
    files = _espidf("/disk/v5.4/esp-idf", "v5.4") | record
    assert check_espidf(make(files=files), TARGET).status == "missing"
    check = check_espidf(make(files={"/disk/tools/xtensa-esp-elf/x": ""}), TARGET)
    assert (check.status, "/disk/v5.4/esp-idf" in check.what) == ("ok", True)


@pytest.mark.parametrize("record", ["{", "[]", '{"idfInstalled": [{}]}', '{"idfInstalled": [3]}'])
def test_a_damaged_record_of_that_installer_is_passed_over(make: Make, record: str) -> None:
    files = {f"{HOME}/.espressif/tools/eim_idf.json": record}
    assert find_espidf(make(files=files)) is None


@pytest.mark.parametrize("tool", ["xtensa-esp-elf-gdb", "xtensa-esp32-elf", "riscv32-esp-elf"])
def test_other_tools_are_not_the_compiler(make: Make, tool: str) -> None:
    files = _espidf(f"{HOME}/esp/esp-idf") | {f"{HOME}/.espressif/tools/{tool}/x": ""}
    check = check_espidf(make(files=files), TARGET)
    assert check.status == "missing"
    assert check.fix == f"{HOME}/esp/esp-idf/install.sh esp32s3"


def test_on_windows_the_compiler_comes_with_install_bat(make: Make) -> None:
    files = _espidf("C:/Espressif/frameworks/esp-idf-v5.3.1")
    fix = check_espidf(make("windows", files=files), TARGET).fix
    assert fix == r'& "C:\Espressif\frameworks\esp-idf-v5.3.1\install.bat" esp32s3'
    tools = {"C:/Espressif/tools/xtensa-esp-elf/x": ""}
    assert check_espidf(make("windows", files=tools), TARGET).status == "ok"


@pytest.mark.parametrize(
    ("system", "distribution", "start", "part"),
    [
        ("linux", "ubuntu", "sudo apt-get install -y git", "libusb-1.0-0 && git clone -b v"),
        ("linux", "fedora", "sudo dnf install -y git", "libusbx && git clone"),
        ("linux", "arch", "sudo pacman -S --needed gcc", "&& git clone"),
        ("linux", "alpine", "git clone", "install.sh esp32s3"),
        ("macos", "debian", "brew install cmake ninja dfu-util && git clone", "install.sh esp32s3"),
        ("windows", "debian", "winget install Espressif.EIM-CLI", "eim install -i v"),
    ],
)
def test_a_missing_esp_idf_is_installed_exactly_so(
    make: Make, system: str, distribution: str, start: str, part: str
) -> None:
    check = check_espidf(make(system, distribution=distribution), TARGET)
    assert (check.status, check.required) == ("missing", False)
    assert str(check.fix).startswith(start)
    assert part in str(check.fix)


def test_the_named_board_settles_the_chip(make: Make) -> None:
    assert str(check_espidf(make(), Target("esp32s2")).fix).endswith("install.sh esp32s2")


@pytest.mark.parametrize(("system", "fix"), [("linux", "unset "), ("windows", "Remove-Item Env:")])
def test_an_idf_path_that_leads_nowhere_is_wrong(make: Make, system: str, fix: str) -> None:
    check = check_espidf(make(system, environment={"IDF_PATH": "/gone"}), TARGET)
    assert (check.status, check.fix) == ("wrong", f"{fix}IDF_PATH")
    assert "/gone" in check.what


def test_an_old_esp_idf_is_wrong_and_a_clone_is_moved(make: Make) -> None:
    place = f"{HOME}/esp/esp-idf"
    released = check_espidf(make(files=_espidf(place, "v5.0.7")), TARGET)
    cloned = check_espidf(make(files={f"{place}/.git/HEAD": ""}), TARGET)
    assert released.status == cloned.status == "wrong"
    assert "5.1 or newer" in released.what
    assert "git clone" in str(released.fix)
    assert f"git -C {place} checkout v" in str(cloned.fix)
    assert str(cloned.fix).endswith("install.sh esp32s3")


def test_an_old_esp_idf_on_windows_gets_the_installer(make: Make) -> None:
    check = check_espidf(make("windows", files=_espidf("C:/esp-idf", "v4.4")), TARGET)
    assert (check.status, str(check.fix).split()[0]) == ("wrong", "winget")


def test_an_esp_idf_without_a_version_is_wrong(make: Make) -> None:
    check = check_espidf(make(files=_espidf("/opt/esp-idf", "main")), TARGET)
    assert check.status == "wrong"
    assert "does not say which version" in check.what


OWN = Port("/dev/ttyACM1", "303a:1001", accessible=True, group="dialout")
BRIDGE = Port("/dev/ttyUSB0", "10c4:ea60", accessible=True, group="dialout")
UNKNOWN = Port("/dev/ttyACM0", None, accessible=True)


def test_ports_are_listed_with_the_chips_own_usb_first(make: Make) -> None:
    assert ordered((UNKNOWN, BRIDGE, OWN)) == [OWN, BRIDGE, UNKNOWN]
    check = check_ports(make(ports=(UNKNOWN, BRIDGE, OWN)), TARGET)
    assert check.status == "ok"
    assert check.what == (
        "Serial ports: /dev/ttyACM1 (303a:1001, USB-Serial-JTAG), "
        "/dev/ttyUSB0 (10c4:ea60, CP210x), /dev/ttyACM0."
    )


@pytest.mark.parametrize(
    ("group", "fix"),
    [
        ("dialout", "sudo usermod -aG dialout $USER"),
        ("uucp", "sudo usermod -aG uucp $USER"),
        ("root", "sudo chmod a+rw /dev/ttyUSB0"),
        (None, "sudo chmod a+rw /dev/ttyUSB0"),
    ],
)
def test_a_forbidden_port_names_the_group_that_owns_it(make: Make, group: str | None, fix: str) -> None:
    check = check_ports(make(ports=(Port("/dev/ttyUSB0", "10c4:ea60", False, group),)), TARGET)
    assert (check.status, check.required, check.fix) == ("wrong", False, fix)
    assert "/dev/ttyUSB0" in check.what


def test_who_joined_the_group_after_logging_in_is_told_so(make: Make) -> None:
    groups = {"/etc/group": "root:x:0:\ndialout:x:20:otto,mira\nbroken line\n"}
    check = check_ports(make(files=groups, ports=(Port("/dev/ttyUSB0", None, False, "dialout"),)), TARGET)
    assert (check.status, check.fix) == ("wrong", "newgrp dialout")


def test_one_port_that_may_be_used_is_enough(make: Make) -> None:
    forbidden = Port("/dev/ttyUSB9", None, accessible=False, group="dialout")
    check = check_ports(make(ports=(forbidden, OWN)), TARGET)
    assert check.status == "ok"
    assert "ttyUSB9" not in check.what


@pytest.mark.parametrize("system", ["linux", "macos", "windows"])
def test_no_port_is_missing(make: Make, system: str) -> None:
    check = check_ports(make(system), TARGET)
    assert (check.status, check.required) == ("missing", False)
    assert "Plug the board in" in str(check.fix)


@pytest.mark.parametrize(
    ("usb_id", "driver"), [("303a:1001", "cdc_acm"), ("10c4:ea60", "cp210x"), ("1a86:7523", "ch341")]
)
def test_a_board_without_a_port_lacks_its_driver(make: Make, usb_id: str, driver: str) -> None:
    check = check_ports(make(usb_ids=("1d6b:0002", usb_id)), TARGET)
    assert (check.status, check.fix) == ("wrong", f"sudo modprobe {driver}")


def test_wsl2_cannot_use_the_chips_own_usb(make: Make) -> None:
    own, bridge = Target("esp32s3", "usb-serial-jtag"), Target("esp32s3", "uart")
    wsl = make(files=WSL2)
    assert check_ports(wsl, own).status == "wrong"
    assert "WSL2 cannot flash through USB-Serial-JTAG" in check_ports(wsl, own).what
    assert check_ports(wsl, bridge).fix == "usbipd attach --wsl --busid BUSID"
    assert check_ports(make(files=WSL2, ports=(BRIDGE,)), bridge).status == "ok"


def test_an_ordinary_linux_is_not_wsl(make: Make) -> None:
    check = check_ports(
        make(files={"/proc/sys/kernel/osrelease": "6.8.0-generic\n"}, ports=(OWN,)),
        Target("esp32s3", "usb-serial-jtag"),
    )
    assert check.status == "ok"


BRLTTY = 'ENV{PRODUCT}=="1a86/7523/*", ENV{BRLTTY_BRAILLE_DRIVER}="bm"\n'
MODEM_MANAGER = {"/etc/systemd/system/multi-user.target.wants/ModemManager.service": ""}


@pytest.mark.parametrize(
    ("distribution", "fix"),
    [
        ("ubuntu", "sudo apt-get remove -y brltty"),
        ("fedora", "sudo dnf remove -y brltty"),
        ("arch", "sudo pacman -R brltty"),
        ("alpine", "sudo systemctl mask brltty-udev.service"),
    ],
)
def test_brltty_that_takes_bridges_is_named(make: Make, distribution: str, fix: str) -> None:
    files = {"/usr/lib/udev/rules.d/85-brltty.rules": f"# brltty\n{BRLTTY}LABEL=brltty\n"}
    check = check_busybodies(make(distribution=distribution, files=files), TARGET)
    assert check is not None
    assert (check.status, check.fix) == ("wrong", fix)


def test_brltty_that_leaves_bridges_alone_is_fine(make: Make) -> None:
    files = {"/usr/lib/udev/rules.d/85-brltty.rules": f"# brltty\n# {BRLTTY}"}
    check = check_busybodies(make(files=files), TARGET)
    assert check is not None
    assert check.status == "ok"


def test_modem_manager_is_named_until_a_rule_holds_it_off(make: Make) -> None:
    wrong = check_busybodies(make(files=MODEM_MANAGER), TARGET)
    assert wrong is not None
    assert wrong.status == "wrong"
    rule = str(wrong.fix).split("'")[1]
    held = check_busybodies(make(files={"/etc/udev/rules.d/99-esp.rules": rule}), TARGET)
    assert held is not None
    assert held.status == "ok"


@pytest.mark.parametrize("system", ["macos", "windows"])
def test_other_systems_have_no_such_services(make: Make, system: str) -> None:
    assert check_busybodies(make(system), TARGET) is None


def test_linux_ports_carry_the_usb_id_that_sys_tells(tmp_path: Path) -> None:
    device = "/sys/devices/usb1/1-2"
    ids = {f"{device}/idVendor": "303A\n", f"{device}/idProduct": "1001\n", f"{device}/1-2_1.0/x": ""}
    names = {f"/dev/{name}": "" for name in ("ttyACM0", "ttyS0", "ttyUSB0", "null")}
    write_files(tmp_path, ids | names)
    tty = tmp_path / "sys/class/tty/ttyACM0"
    tty.mkdir(parents=True)
    (tty / "device").symlink_to(tmp_path / device.lstrip("/") / "1-2_1.0")
    bus = tmp_path / "sys/bus/usb/devices"
    bus.mkdir(parents=True)
    (bus / "1-2").symlink_to(tmp_path / device.lstrip("/"))
    ports = list(device_ports(tmp_path, ("ttyACM", "ttyUSB")))
    assert [(port.device, port.usb_id, port.accessible) for port in ports] == [
        ("/dev/ttyACM0", "303a:1001", True), ("/dev/ttyUSB0", None, True),
    ]  # fmt: skip
    assert ports[0].group == Path(tmp_path / "dev/ttyACM0").group() or os.name == "nt"
    assert list(usb_ids(tmp_path)) == ["303a:1001"]
    assert list(device_ports(tmp_path / "nowhere", ("tty",))) == []
