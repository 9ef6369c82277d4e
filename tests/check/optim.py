"""The sizes of golden files of optimisers, for tests/check/optim.hpp."""
import json


def config(meta, file):
    """What checks a file with this metadata (a function of the header, with its template arguments), or None where it
    is of another kind."""
    if meta.get("case", "").split("_")[0] != "optim":
        return None
    dims = ", ".join(map(str, json.loads(meta["config"])["dims"]))
    return {"header": "check/optim.hpp", "function": "flamingo::test::check_optim",
            "arguments": f"flamingo::test::Sizes{{{dims}}}"}
