"""The interleaved run: one server at a time, scenario after scenario, round after round."""

from __future__ import annotations

import contextlib
import functools
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from benchmarks.contenders.base import Contender, Launch
from benchmarks.contenders.drum import ENVIRONMENT as DRUM
from benchmarks.load import closed_loop as wrk
from benchmarks.load.rolling_restart import rolling_restart
from benchmarks.report.result import BASE, Absence, Described, Figures, Result, Sample, Start
from benchmarks.runner.measure import measure
from benchmarks.runner.plain_loop import WAYS, has_limit, plain_loop
from benchmarks.runner.run_plan import Estimate, Step, steps
from benchmarks.servers import machine
from benchmarks.servers.environments import CannotInstallError, cache_dir, environment, installed
from benchmarks.servers.server_process import CannotStartError, Running, free_port, running
from benchmarks.workload.models import MODELS, model_folder
from benchmarks.workload.scenarios import DATA, Scenario

_WARM_UP = 1.0
_ORCHESTRATOR_GRACE = 30.0
"""Seconds from SIGTERM to SIGKILL, Kubernetes' default."""
_FALLBACK_RATE = 100.0
"""Requests/s of an open loop without a reference measurement."""


class Show(Protocol):
    """Interface for the progress of a run and its intermediate results."""

    def step(self, text: str, estimate: Estimate) -> None: ...

    def message(self, text: str) -> None: ...

    def keep(self, result: Result) -> None: ...


@dataclass(frozen=True)
class Options:
    """Options of a run."""

    rounds: int
    seconds: float
    drum: Path | None = None
    """An existing ``drum`` command; else an environment is built."""


class Run:
    """Collects a :class:`Result`."""

    def __init__(
        self, contenders: Sequence[Contender], scenarios: Sequence[Scenario], options: Options, show: Show
    ) -> None:
        self._scenarios = scenarios
        self._options = options
        self._show = show
        self._bins: dict[str, Path] = {}
        self._failed: set[tuple[str, tuple[str, int, str]]] = set()
        described = machine.describe()
        self._prefix = machine.pin()
        self.result = Result(
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            machine=described,
            settings={"rounds": str(options.rounds), "seconds of a measurement": f"{options.seconds:g}"},
            contenders={contender.name: contender.title for contender in contenders},
            described={s.name: Described(s.kind, s.work, s.workers, s.data, s.load, s.note) for s in scenarios},
            data={name: data.words for name, data in DATA.items() if any(s.data == name for s in scenarios)},
            versions={},
            commands={},
            samples=[],
            starts=[],
            absences=[],
            plain_loop={},
        )
        self.result.commands["this run"] = self._neutral(shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]))
        self._contenders = [contender for contender in contenders if self._installed(contender)]

    def measure(self) -> None:
        """Run the whole plan. :attr:`result` always has the samples so far."""
        for contender in self._contenders:
            for scenario in self._scenarios:
                if why := contender.absent(scenario):
                    self.result.absences.append(Absence(contender.name, why, scenario.name, expected=True))
        plan = steps(self._contenders, self._scenarios, self._options.rounds)
        limited = list({scenario.work: scenario for scenario in self._scenarios if has_limit(scenario)}.values())
        estimate = Estimate(plan, self._options.seconds, len(limited) * len(WAYS) * (self._options.seconds + 2))
        for number, step in enumerate(plan):
            began = time.monotonic()
            if (step.contender.name, step.scenarios[0].server) not in self._failed:
                self._take(step, lambda text: self._show.step(text, estimate))
            estimate.finished(number, time.monotonic() - began)
            self._show.keep(self.result)
        for scenario in limited:
            self._show.step(f"plain loop: {scenario.work}", estimate)
            self._plain_loops(scenario)

    def _installed(self, contender: Contender) -> bool:
        name = contender.environment or contender.name
        try:
            if name not in self._bins:
                self._bins[name] = self._bin(name, contender)
            self.result.versions[contender.name] = installed(self._bins[name], *contender.packages)
        except (CannotInstallError, OSError) as error:
            self.result.absences.append(Absence(contender.name, self._neutral(f"not installed: {error}")))
            return False
        return True

    def _bin(self, name: str, contender: Contender) -> Path:
        if name == DRUM and self._options.drum is not None:
            return self._options.drum.parent
        if contender.requirements is None:
            return Path(sys.executable).parent
        return environment(name, contender.requirements, self._show.message)

    def _take(self, step: Step, say: Callable[[str], None]) -> None:
        contender, scenarios = step.contender, step.scenarios
        first = scenarios[0]
        where = f"round {step.round}/{self._options.rounds}, {contender.title}"
        say(f"{where}: start")
        try:
            if first.kind == "rollout":
                for scenario in scenarios:
                    say(f"{where}: {scenario.name}")
                    self._sample(step, scenario, functools.partial(self._rolling_restart, contender, scenario))
                return
            with self._started(contender, first, free_port()) as server:
                for scenario in scenarios:
                    say(f"{where}: {scenario.name}")
                    self._sample(step, scenario, functools.partial(self._measure, server, contender, scenario))
                    server.settle()
                sizes = list(server.pss().values())
                uploaded = first.kind == "upload"
                self.result.starts.append(
                    Start(contender.name, first.model, first.workers, server.cold_start, sizes, uploaded)
                )
        except (CannotStartError, OSError, subprocess.CalledProcessError) as error:
            self._failed.add((contender.name, first.server))
            why = self._neutral(f"did not start: {error}")
            for scenario in scenarios:
                self.result.absences.append(Absence(contender.name, why, scenario.name))

    @contextlib.contextmanager
    def _started(self, contender: Contender, scenario: Scenario, port: int, grace: float = 10.0) -> Iterator[Running]:
        bin_dir = self._bins[contender.environment or contender.name]
        model = scenario.model if contender.async_hooks else MODELS[scenario.model].sync or scenario.model
        folder = self._folder(model, bin_dir)
        launch = contender.launch(bin_dir, folder, scenario, port)
        self.result.commands.setdefault(contender.name, self._words(launch, bin_dir, folder, port))
        if scenario.kind == "upload":
            scenario = replace(scenario, kind="closed")
        request = contender.request(scenario)
        command = [*self._prefix, *launch.command]
        machine.read_ahead(folder)
        if scenario.kind in ("start", "memory"):
            machine.touch_memory(scenario.workers * sum(p.stat().st_size for p in folder.iterdir() if p.is_file()))
        with running(command, launch.env, port, request.to_urllib(port), cwd=launch.cwd, grace=grace) as server:
            if scenario.kind in ("closed", "open"):
                if scenario.workers > 1:  # one of them has answered; the others may still load their model
                    server.settle()
                wrk.closed_loop(port, request, 4 * scenario.workers, _WARM_UP)
            yield server

    def _words(self, launch: Launch, bin_dir: Path, folder: Path, port: int) -> str:
        settings = [f"{k}={shlex.quote(v)}" for k, v in launch.env.items() if k not in ("PATH", "PYTHONPATH")]
        words = " ".join([*settings, shlex.join(launch.command)])
        words = words.replace(str(bin_dir), "$BIN").replace(str(folder), "$MODEL").replace(str(port), "$PORT")
        return self._neutral(words)

    def _neutral(self, text: str) -> str:
        """``text`` without paths of this machine, for a result that others read."""
        return machine.neutral(text, self._options.drum)

    def _rolling_restart(self, contender: Contender, scenario: Scenario) -> Figures:
        def start(port: int) -> AbstractContextManager[Running]:
            return self._started(contender, scenario, port, _ORCHESTRATOR_GRACE)

        ready_path = contender.ready_path or contender.probe_path
        return rolling_restart(start, contender.request(scenario), ready_path, scenario.connections)

    def _measure(self, server: Running, contender: Contender, scenario: Scenario) -> Figures:
        rate = self._rate(scenario, contender) if scenario.kind == "open" else 0.0
        return measure(server, contender, scenario, self._options.seconds, rate)

    def _sample(self, step: Step, scenario: Scenario, take: Callable[[], Figures]) -> None:
        try:
            figures = take()
        except Exception as error:  # a load generator that fails must not end the run
            why = self._neutral(f"{type(error).__name__}: {error}")
            self.result.absences.append(Absence(step.contender.name, why, scenario.name))
        else:
            self.result.samples.append(Sample(scenario.name, step.contender.name, step.round, figures))

    def _rate(self, scenario: Scenario, contender: Contender) -> float:
        """The rate for all contenders and rounds, from DRUM's first measurement, else from the contender's own."""
        for name in (BASE, *self.result.contenders, contender.name):
            if values := self.result.values(scenario.reference, name, "rate"):
                return max(1.0, values[0] * scenario.rate_of)
        return _FALLBACK_RATE

    def _folder(self, model: str, bin_dir: Path) -> Path:
        """The model's folder, trained by the libraries that load it; contenders with equal versions share it."""
        versions = installed(bin_dir, "scikit-learn", "numpy")
        name = "-".join(f"{package}-{version}" for package, version in versions.items())
        return model_folder(model, cache_dir() / "models" / (name or "none"), bin_dir / "python")

    def _plain_loops(self, scenario: Scenario) -> None:
        folder = self._folder(scenario.model, Path(sys.executable).parent)
        rounds, seconds = self._options.rounds, self._options.seconds / self._options.rounds
        for way, rates in zip(WAYS, (self.result.public_loop, self.result.plain_loop), strict=True):
            with contextlib.suppress(subprocess.CalledProcessError):
                rates[scenario.work] = plain_loop(folder, scenario, way, rounds, seconds, self._prefix)
