"""Golden files of tables that are read between their rows, for tests/check/video.hpp: sizes are known at run time."""


def config(meta, file):
    """What checks a file with this metadata (a function of the header, with its template arguments), or None where it
    is of another kind."""
    if meta.get("case", "").split("_")[0] != "video":
        return None
    return {"header": "check/video.hpp", "function": "flamingo::test::check_video", "arguments": ""}
