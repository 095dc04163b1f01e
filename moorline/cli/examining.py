"""What the doctor finds, as lines for people or as JSON."""

from rich.text import Text

from moorline import logs
from moorline.cli.output import Output
from moorline.doctor.examination import Examination
from moorline.doctor.findings import Finding, Verdict

STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.BAD: "bold red"}
WIDEST = 17


async def examine_and_tell(*, fix: bool, json: bool) -> bool:
    """Check everything; whether nothing is bad."""
    logs.set_up("CRITICAL")
    logs.forward_temporal("CRITICAL")
    out = Output(json=json)
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not json:
            out.say(_line(finding))

    await Examination(tell, fix=fix).carry_out()
    if json:
        out.emit([finding.model_dump(mode="json") for finding in findings])
    return all(finding.verdict is not Verdict.BAD for finding in findings)


def _line(finding: Finding) -> Text:
    mend = f" -> {finding.mend}" if finding.mend else ""
    verdict = Text(f"{finding.verdict.value:<5}", STYLES[finding.verdict])
    return Text.assemble(verdict, f"{finding.check:<{WIDEST}}  {finding.said}{mend}")
