"""Counts the tests of a run and lists the flaky ones with their logs, from cargo-nextest's JUnit reports.

Usage: report.py MOST_FLAKY SEED REPORT...
"""

import sys
import xml.etree.ElementTree as ElementTree

most, seed, reports = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
passed, flaky = 0, []
for report in reports:
    for case in ElementTree.parse(report).iter("testcase"):
        if case.get("classname", "").startswith("@setup-script"):
            continue
        passed += case.find("failure") is None and case.find("error") is None
        attempts = case.findall("flakyFailure") + case.findall("flakyError")
        if attempts:
            flaky.append((f"{case.get('classname')} {case.get('name')}", attempts))

for name, attempts in flaky:
    print(f"\nFLAKY: {name}: failed {len(attempts)} times, then passed; PROPTEST_RNG_SEED={seed}")
    for attempt in attempts:
        print(f"  {attempt.get('message') or attempt.get('type')}")
        for stream in ("system-out", "system-err"):
            for line in (attempt.findtext(stream) or "").strip().splitlines()[-60:]:
                print(f"  | {line}")

if reports:
    print(f"\n{passed} tests passed, {len(flaky)} of them flaky")
if reports and not passed:
    sys.exit("error: no test was run")
if len(flaky) > most:
    sys.exit(f"error: {len(flaky)} tests are flaky, at most {most} may be")
