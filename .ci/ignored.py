"""Checks that some part of .ci/run runs each ignored test. Takes cargo-nextest's list of them as JSON."""

import json
import re
import sys

# A process that a test starts from its own program, and then kills.
HELPER = re.compile(r"_that_will_be_killed$")
KNOWN = re.compile(r"(::|_|^)(real|oracle)(_|::|$)")

unknown = []
for suite in json.load(open(sys.argv[1]))["rust-suites"].values():
    name = suite["binary-name"]
    if name == "browser" or name.endswith("_systemd"):
        continue
    for test, facts in suite["testcases"].items():
        if facts["ignored"] and not KNOWN.search(test) and not HELPER.search(test):
            unknown.append(f"{name}::{test}")
print("\n".join(unknown))
sys.exit(bool(unknown))
