"""An export: the primary metric of a report's cases as a Markdown table."""


def write_markdown(report, file):
    """One table in one file; a case that did not complete has no numbers."""
    lines = ["| case | metric | value | 95 % |", "| --- | --- | --: | --- |"]
    for case in report.report.cases:
        found = case.metrics.get(case.metric)
        numbers = f"{found.value:.3f} | {found.ci_low:.3f} to {found.ci_high:.3f}" if found else "|"
        lines.append(f"| {case.id} | {case.metric} | {numbers} |")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [file]
