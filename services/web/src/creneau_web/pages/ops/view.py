"""The report in the words of a language: no figure is made here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup

from creneau_web.ops.judging.functions import FunctionFigures
from creneau_web.ops.judging.lines import Line
from creneau_web.ops.report import NAMED_MAX, Report
from creneau_web.wording import Wording

ZONE = ZoneInfo("Europe/Paris")
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
WIDTH, HEIGHT = 150, 30


class Words:
    """Puts a report into words."""

    def __init__(self, wording: Wording, report: Report) -> None:
        self._w = wording
        self._report = report

    def sentence(self) -> Markup:
        """Whether it works, and if not what does not."""
        report = self._report
        what = Markup(", ").join(self.subject(line) for line in report.bad[:NAMED_MAX])
        more = len(report.bad) - NAMED_MAX
        if more > 0:
            what += Markup(" ") + self._w.tn("ops.more", more)
        return self._w.t(f"ops.state.{report.state}", what=what)

    def since_when(self) -> Markup:
        """Since when it does not work or is not seen, or when it last did not."""
        report = self._report
        if report.state in ("blind", "down", "warning") and report.since is not None:
            return self._w.t("ops.since", moment=self.moment(report.since), ago=self.ago(report.since))
        if report.last_problem_ended is not None:
            ended = report.last_problem_ended
            return self._w.t("ops.last_problem", moment=self.moment(ended), ago=self.ago(ended))
        return self._w.t("ops.no_problem", moment=self.moment(report.began), ago=self.ago(report.began))

    def source(self) -> Markup:
        """From where the figures are, and how old."""
        at = self._report.looked_at
        return self._w.t("ops.source", ago=self.ago(at)) if at is not None else self._w.t("ops.source.none")

    def subject(self, line: Line) -> Markup:
        """What a line is about."""
        if line.section == "functions":
            return self._w.t(f"ops.function.{line.name}")
        return self._w.t(f"ops.line.{line.rule.code}", name=line.name)

    def state(self, line: Line) -> Markup:
        """The state, in one word."""
        return self._w.t(f"ops.{line.state}")

    def detail(self, line: Line) -> list[Markup]:
        """What is known beside the state: why, how much, since when."""
        said = [self._why(line, code) for code in line.why]
        number = line.values.get("number")
        if isinstance(number, float):
            said.append(self._w.t("ops.number", number=f"{number:g}"))
        if line.values.get("named"):
            named = line.values["named"]
            said.append(Markup.escape(", ".join(named) if isinstance(named, Sequence) else ""))
        if line.rule.code == "rehearsal" and line.state == "well":
            took, at = _float(line.values["seconds"]), _float(line.values["succeeded"])
            said.append(self._w.t("ops.rehearsal.took", ago=self.ago(at), time=self.seconds(took)))
        if line.since is not None and line.state == "bad":
            said.append(self._w.t("ops.since", moment=self.moment(line.since), ago=self.ago(line.since)))
        return said

    def _why(self, line: Line, code: str) -> Markup:
        values: dict[str, object] = {
            name: value for name, value in line.values.items() if isinstance(value, str)
        }
        broken = line.values.get("broken")
        if code == "fails" and isinstance(broken, tuple):
            return self._w.t("ops.why.step", step=self._w.t(f"ops.step.{broken[0]}"), reason=broken[1])
        if isinstance(line.values.get("share"), float):
            values["share"] = self.share(_float(line.values["share"]))
        if isinstance(line.values.get("p95"), float):
            values["time"] = self.seconds(_float(line.values["p95"]))
        key = f"ops.why.{line.rule.code}.{code}"
        return self._w.t(key if self._w.has(key) else f"ops.why.{code}", **values)

    # -- figures ---------------------------------------------------------------------------------------------

    def rate(self, figures: FunctionFigures) -> str:
        """Answers a minute."""
        return self._number(figures.per_minute, 1 if figures.per_minute < 10 else 0)

    def failures(self, figures: FunctionFigures) -> str:
        """The share of failures, or a dash where nothing was asked."""
        return "–" if figures.failed_share is None else self.share(figures.failed_share)

    def p95(self, figures: FunctionFigures) -> str:
        """The time within which 95 of 100 were answered."""
        return "–" if figures.p95_s is None else self.seconds(figures.p95_s)

    def share(self, share: float) -> str:
        """`0,4 %`."""
        return f"{self._number(share * 100, 1)}\N{NO-BREAK SPACE}%"

    def seconds(self, seconds: float) -> str:
        """`45 ms`, `1,2 s`, `4 min`."""
        if seconds >= MINUTE_S:
            return f"{self._number(seconds / MINUTE_S, 0)}\N{NO-BREAK SPACE}min"
        if seconds >= 1:
            return f"{self._number(seconds, 1)}\N{NO-BREAK SPACE}s"
        return f"{self._number(seconds * 1000, 0)}\N{NO-BREAK SPACE}ms"

    def _number(self, value: float, digits: int) -> str:
        text = f"{value:.{digits}f}"
        return text if self._w.tag == "en" else text.replace(".", ",")

    # -- moments ---------------------------------------------------------------------------------------------

    def moment(self, at: float) -> str:
        """`lundi 30 novembre à 9 h 20`, by the clock of Paris."""
        return self._w.moment(datetime.fromtimestamp(at, UTC).astimezone(ZONE))

    def ago(self, at: float) -> Markup:
        """`il y a 3 min`."""
        age = max(0.0, self._report.at - at)
        if age < MINUTE_S:
            return self._w.tn("ops.ago.seconds", int(age))
        if age < HOUR_S:
            return self._w.tn("ops.ago.minutes", int(age // MINUTE_S))
        if age < DAY_S:
            return self._w.tn("ops.ago.hours", int(age // HOUR_S))
        return self._w.tn("ops.ago.days", int(age // DAY_S))

    def ago_of(self, instant: object) -> Markup:
        """The same of a FHIR instant."""
        return self.ago(datetime.fromisoformat(str(instant)).timestamp())


def sparkline(minutes: Sequence[float]) -> str:
    """The points of a polyline: one for each minute, the highest at the top."""
    most = max([*minutes, 1.0])
    step = WIDTH / max(1, len(minutes) - 1)
    points = [
        f"{n * step:.1f},{HEIGHT - 1 - (HEIGHT - 2) * value / most:.1f}" for n, value in enumerate(minutes)
    ]
    return " ".join(points)


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
