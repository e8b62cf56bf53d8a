"""The examples of the OMS tutorial, each with its answer and its plot: online, and offline.

    python oms_examples.py [FOLDER]

`get_oms_data.py` has to lie beside it, or in ../clients. The answers come through the agent, or
through the command `holdfast` where no agent runs; nothing here knows whether OMS can be reached.
Each answer is printed, and the plots are written to FOLDER (default: here) as SVG. Standard library
only, Python 3.8 or newer.
"""

import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

sys.path.append(str(Path(__file__).resolve().parent.parent / "clients"))

from get_oms_data import get_oms_api, get_oms_data, get_oms_response_attribute

RUN = 297050
RANGE = (297050, 297056)
LUMISECTIONS = {"group[granularity]": "lumisection"}
HLT_PATH = {"attribute_name": "path_name", "value": "HLT_ZeroBias_v5", "operator": "EQ"}

WIDTH, HEIGHT, MARGIN = 640, 300, 50  # of a plot, in pixels

Body = Dict[str, Any]
Points = List[Tuple[float, float]]


def main(folder: Path) -> None:
    """All examples, in the order of the tutorial."""
    api = get_oms_api()
    all_about_a_run(api)
    two_attributes(api)
    a_range_of_runs(api)
    one_lumisection(api)
    luminosity(api, folder)
    lumisections_of_a_range(api)
    l1_rate(api, folder)
    hlt_paths(api)
    hlt_rate(api, folder)
    when_cms_was_active(api, folder)


def all_about_a_run(api: Any) -> None:
    """Example 1."""
    body = get_oms_data(api, "runs", RUN)
    attributes = body["data"][0]["attributes"]
    told("1. Everything about run %d" % RUN, body)
    print("   %d attributes, among them:" % len(attributes))
    for name in ("fill_number", "start_time", "end_time", "l1_rate", "components"):
        print("   %-12s %s" % (name, attributes[name]))


def two_attributes(api: Any) -> None:
    """Example 2."""
    body = get_oms_data(api, "runs", RUN, attributes=["l1_rate", "l1_menu"])
    told("2. Two attributes of run %d" % RUN, body)
    for name in ("l1_rate", "l1_menu"):
        print("   %-12s %s" % (name, get_oms_response_attribute(body, name)[0]))


def a_range_of_runs(api: Any) -> None:
    """Example 3. The rate of a run that never took data is null."""
    body = get_oms_data(api, "runs", RANGE, attributes=["l1_rate", "l1_menu"])
    told("3. The L1 rates of runs %d to %d" % RANGE, body)
    for row in body["data"]:
        print("   %s  %s" % (row["id"], row["attributes"]["l1_rate"]))


def one_lumisection(api: Any) -> None:
    """Example 4."""
    first = {"attribute_name": "lumisection_number", "value": 1, "operator": "EQ"}
    body = get_oms_data(api, "lumisections", RUN, [first])
    told("4. Lumisection 1 of run %d" % RUN, body)
    print("   %d attributes" % len(body["data"][0]["attributes"]))


def luminosity(api: Any, folder: Path) -> None:
    """Example 5a."""
    names = ["lumisection_number", "pileup", "delivered_lumi", "recorded_lumi"]
    body = get_oms_data(api, "lumisections", RUN, attributes=names)
    told("5a. Pileup in run %d" % RUN, body)
    numbers, pileup = (get_oms_response_attribute(body, name) for name in names[:2])
    print("   %d lumisections" % len(numbers))
    plot(folder / "pileup.svg", "Pileup, run %d" % RUN, points(numbers, pileup))


def lumisections_of_a_range(api: Any) -> None:
    """Example 5b: more than one page of the server; all of them come."""
    names = ["lumisection_number", "fill_number", "run_number"]
    body = get_oms_data(api, "lumisections", (315190, 315290), attributes=names)
    told("5b. The lumisections of runs 315190 to 315290", body)
    rows = body["data"]
    count = body["meta"]["totalResourceCount"]
    print("   %d of %d: %s to %s" % (len(rows), count, rows[0]["id"], rows[-1]["id"]))


def l1_rate(api: Any, folder: Path) -> None:
    """Example 6: a nested attribute."""
    body = get_oms_data(api, "l1triggerrates", RUN, extraargs=LUMISECTIONS)
    told("6. The L1 rate by lumisection", body)
    rates = [one["rate"] for one in get_oms_response_attribute(body, "l1a_physics")]
    numbers = get_oms_response_attribute(body, "first_lumisection_number")
    known = [rate for rate in rates if rate is not None]
    print("   mean %.2f Hz in %d lumisections" % (sum(known) / len(known), len(known)))
    plot(folder / "l1_rate.svg", "L1 physics rate [Hz], run %d" % RUN, points(numbers, rates))


def hlt_paths(api: Any) -> None:
    """Example 7a."""
    body = get_oms_data(api, "hltpathinfo", RUN, attributes=["path_name", "run_number"])
    told("7a. The HLT paths of run %d" % RUN, body)
    names = get_oms_response_attribute(body, "path_name")
    print("   %d paths, from %s to %s" % (len(names), names[0], names[-1]))


def hlt_rate(api: Any, folder: Path) -> None:
    """Example 7b."""
    body = get_oms_data(api, "hltpathrates", RUN, [HLT_PATH], LUMISECTIONS)
    told("7b. The rate of %s" % HLT_PATH["value"], body)
    numbers = get_oms_response_attribute(body, "first_lumisection_number")
    rates = get_oms_response_attribute(body, "rate")
    print("   %d lumisections" % len(rates))
    title = "%s [Hz], run %d" % (HLT_PATH["value"], RUN)
    plot(folder / "hlt_rate.svg", title, points(numbers, rates))


def when_cms_was_active(api: Any, folder: Path) -> None:
    """Example 8."""
    names = ["lumisection_number", "cms_active"]
    body = get_oms_data(api, "lumisections", 306458, attributes=names)
    told("8. When CMS was active in run 306458", body)
    numbers, active = (get_oms_response_attribute(body, name) for name in names)
    print("   %d of %d lumisections" % (sum(map(bool, active)), len(active)))
    plot(folder / "cms_active.svg", "CMS active, run 306458", points(numbers, active))


def told(title: str, body: Body) -> None:
    """The heading of an example: what it is, and where its answer is from."""
    marks = body["meta"]["holdfast"]
    print("%s [%s]" % (title, marks["source"]))


def points(xs: Sequence[Any], ys: Sequence[Any]) -> Points:
    """Pairs of numbers; what has no value is left out."""
    return [(float(x), float(y)) for x, y in zip(xs, ys) if x is not None and y is not None]


def plot(file: Path, title: str, line: Points) -> None:
    """A line through the points, as SVG."""
    (left, right), (low, high) = (span([one[axis] for one in line]) for axis in (0, 1))
    across, up = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
    path = " ".join(
        "%.1f,%.1f"
        % (
            MARGIN + (x - left) / (right - left) * across,
            HEIGHT - MARGIN - (y - low) / (high - low) * up,
        )
        for x, y in line
    )
    texts = [
        (MARGIN, MARGIN - 20, "start", title),
        (MARGIN, HEIGHT - MARGIN + 20, "start", "%g" % left),
        (WIDTH - MARGIN, HEIGHT - MARGIN + 20, "end", "%g" % right),
        (WIDTH / 2, HEIGHT - MARGIN + 35, "middle", "lumisection"),
        (MARGIN - 6, HEIGHT - MARGIN, "end", "%.4g" % low),
        (MARGIN - 6, MARGIN + 8, "end", "%.4g" % high),
    ]
    words = "".join('<text x="%g" y="%g" text-anchor="%s">%s</text>' % one for one in texts)
    file.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif"'
        ' font-size="12"><rect width="100%%" height="100%%" fill="white"/>%s'
        '<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#999"/>'
        '<polyline points="%s" fill="none" stroke="#1f5fa8"/></svg>\n'
        % (WIDTH, HEIGHT, words, MARGIN, MARGIN, across, up, path)
    )


def span(values: Sequence[float]) -> Tuple[float, float]:
    """The smallest and the largest of what is drawn, never the same."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 1, high + 1)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
