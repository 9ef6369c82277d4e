"""Makes the API reference and accepts no warning of Doxygen's; docs/Doxyfile says how to make it by hand."""
import shutil
import subprocess
import sys
import tempfile

import house

SKIPPED = 77
doxygen = shutil.which("doxygen")
if not doxygen:
    print("doxygen is not here: reference not checked (Debian: doxygen)")
    sys.exit(SKIPPED)
with tempfile.TemporaryDirectory() as folder:
    settings = (house.ROOT / "docs/Doxyfile").read_text() + f"OUTPUT_DIRECTORY = {folder}\n"
    done = subprocess.run([doxygen, "-"], input=settings, capture_output=True, text=True, cwd=house.ROOT)
warnings = [line for line in done.stderr.splitlines() if line.strip()]
if done.returncode and not warnings:
    warnings = [f"doxygen ended with {done.returncode}"]
house.finish("the API reference, without warnings", warnings)
