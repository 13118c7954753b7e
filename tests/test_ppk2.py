"""Energy: pulses of a trigger in recorded samples, and the instrument's own protocol."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ppk2_serial import BUSY_ADC, IDLE_ADC, MODE, REGULATOR, RUNNING, PpkSerial, microamperes, sample

from ftervit_deploy.errors import EnergyError
from ftervit_deploy.ppk2 import Energy, Ppk2, Recording, energy_of, idle_milliwatts, joined, pulses
from ftervit_deploy.ppk2.instrument import find_port


def _recording(*pieces: tuple[int, float, int]) -> Recording:
    """Pieces of (samples, milliamperes, logic)."""
    current = np.concatenate([np.full(count, 1000 * ma) for count, ma, _ in pieces])
    logic = np.concatenate([np.full(count, bits, np.uint8) for count, _, bits in pieces])
    return Recording(current, logic, 3.3)


IDLE, BUSY = (1000, 10.0, 0), (2000, 30.0, 4)


def test_energy_is_that_between_the_triggers_edges() -> None:
    energy = energy_of(_recording(IDLE, BUSY, IDLE, BUSY, IDLE), 2, 2, idle=33.0)
    assert energy.each_mj == pytest.approx([99 * 0.02] * 2)
    assert energy.above_idle_mj == pytest.approx(66 * 0.02)
    assert energy.milliwatts == pytest.approx(99)
    assert (energy.count, energy.samples, energy.seconds) == (2, 4000, 0.02)
    assert energy.deviation_mj == pytest.approx(0, abs=1e-9)
    assert idle_milliwatts(_recording(IDLE), 2) == pytest.approx(33)


def test_energies_differ_by_their_standard_deviation() -> None:
    energy = joined([Energy((1.0, 3.0), (100, 100), 5.0), Energy((5.0,), (100,), 7.0)])
    assert (energy.millijoules, energy.deviation_mj, energy.idle_milliwatts) == (3.0, 2.0, 6.0)
    assert Energy((1.0,), (100,), 0.0).deviation_mj == 0


def test_disturbances_are_no_pulses_and_split_none() -> None:
    high = np.zeros(1000, bool)
    high[10:12] = high[200:400] = high[600:603] = True
    high[300:303] = False
    assert pulses(high) == [(200, 400)]


@pytest.mark.parametrize(
    "pieces", [[(100, True)], [(100, True), (100, False)], [(100, False), (100, True)], []]
)
def test_what_the_recording_cuts_off_is_no_pulse(pieces: list[tuple[int, bool]]) -> None:
    assert pulses(np.repeat([up for _, up in pieces], [n for n, _ in pieces]).astype(bool)) == []


def test_another_channel_is_not_looked_at() -> None:
    with pytest.raises(EnergyError, match="D0 went high 0 times instead of 1") as caught:
        energy_of(_recording(IDLE, BUSY, IDLE), 0, 1, 0.0)
    assert "D0 of the PPK2" in caught.value.hint


def test_a_floating_trigger_is_noticed_before_anything_is_measured() -> None:
    with pytest.raises(EnergyError, match="D2 is high although the board is idle"):
        idle_milliwatts(_recording(BUSY), 2)


# ---- the instrument ----


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Callable[[PpkSerial], Callable[[str], Any]]:
    """Makes the package's own class on a serial port of ours."""
    ppk2_api = pytest.importorskip("ppk2_api.ppk2_api", reason="install ppk2-api")

    def opener(port: PpkSerial) -> Callable[[str], Any]:
        monkeypatch.setattr(ppk2_api.serial, "Serial", lambda *_, **__: port)
        return lambda name: ppk2_api.PPK2_API(name)

    return opener


Opener = Callable[[PpkSerial], Callable[[str], Any]]


def test_the_packages_own_class_supplies_the_board_and_decodes_its_samples(api: Opener) -> None:
    port = PpkSerial()
    with Ppk2("COM7", api(port)) as meter:
        assert [command[0] for command in port.commands[1:]] == [MODE, REGULATOR, RUNNING]
        assert port.commands[2] == bytes((REGULATOR, 3 + (3300 - 800 + 32) // 256, (3300 - 800 + 32) % 256))
        with meter.recording() as found:
            for _ in range(2):
                port.trigger(True, channel=3)
                time.sleep(0.03)
                port.trigger(False, channel=3)
                time.sleep(0.02)
    assert port.commands[-1] == bytes((RUNNING, 0))
    assert not port.open
    energy = energy_of(found[0], 3, 2, idle=0.0)
    assert energy.milliwatts == pytest.approx(3.3e-3 * microamperes(BUSY_ADC), rel=1e-6)
    assert energy.seconds >= 0.029
    idle = found[0].microamperes[~found[0].is_high(3)]
    assert idle == pytest.approx(microamperes(IDLE_ADC), rel=1e-6)


def test_a_sample_is_14_bits_of_current_a_range_and_eight_inputs(api: Opener) -> None:
    instrument = api(PpkSerial())("COM7")
    instrument.get_modifiers()
    instrument.set_source_voltage(3300)
    current, logic = instrument.get_samples(sample(1234, 0b1010_0101, 2) + sample(1, 0, 2))
    assert current == pytest.approx([microamperes(1234), microamperes(1)])
    assert logic == [0b1010_0101, 0]


def test_lost_samples_are_an_error(api: Opener) -> None:
    port = PpkSerial()
    port.lost = 0.5
    with (
        Ppk2("COM7", api(port)) as meter,
        pytest.raises(EnergyError, match=r"samples in .* instead of"),
        meter.recording(),
    ):
        time.sleep(0.2)


def test_what_does_not_answer_is_no_ppk2(api: Opener) -> None:
    port = PpkSerial(meta="")
    with pytest.raises(EnergyError, match="does not answer as a PPK2 does"):
        Ppk2("COM7", api(port))
    assert not port.open


def test_a_port_that_cannot_be_opened_is_named() -> None:
    def fail(_: str) -> Any:
        raise OSError("no such device")

    with pytest.raises(EnergyError, match="COM7 cannot be opened: no such device"):
        Ppk2("COM7", fail)


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnergyError) as caught:
        find_port()
    assert caught.value.hint == 'pip install "ftervit[ppk2]"'


@pytest.mark.parametrize(
    ("devices", "sentence"), [([], "There is no PPK2"), (["COM7", "COM8"], "several PPK2s")]
)
def test_one_ppk2_is_found_others_are_listed(
    monkeypatch: pytest.MonkeyPatch, devices: list[str], sentence: str
) -> None:
    ppk2_api = pytest.importorskip("ppk2_api.ppk2_api", reason="install ppk2-api")
    monkeypatch.setattr(ppk2_api.PPK2_API, "list_devices", staticmethod(lambda: devices))
    with pytest.raises(EnergyError, match=sentence) as caught:
        find_port()
    assert all(device in caught.value.hint for device in devices)
    monkeypatch.setattr(ppk2_api.PPK2_API, "list_devices", staticmethod(lambda: [("COM9", "1A2B")]))
    assert find_port() == "COM9"
    assert "ppk2_api" in sys.modules
