"""A frozen layer has no weight-gradient code: of two objects made from backward.cpp only the trained one has symbols of
the kernels that compute gradients of weights. Usage: check.py COMPILER EIGEN [COMPILER'S ARGUMENTS ...]"""
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parents[2] / "include"
OF_INPUTS = {"backward_input", "layer_backward_input"}
OF_WEIGHTS = {"backward_weight", "backward_bias", "layer_backward_weights"}


def symbols(compiler, eigen, folder, name, *arguments):
    """Which of the kernels above an object without inlining defines or calls."""
    target = folder / f"{name}.o"
    subprocess.run([compiler, "-std=c++20", "-O0", f"-I{INCLUDE}", "-isystem", eigen, *arguments, "-c",
                    HERE / "backward.cpp", "-o", target], check=True)
    listed = subprocess.run(["nm", "--demangle", target], check=True, capture_output=True, text=True).stdout
    return {kernel for kernel in OF_INPUTS | OF_WEIGHTS if f"::{kernel}<" in listed or f"::{kernel}(" in listed}


def main():
    compiler, eigen, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        trained = symbols(compiler, eigen, pathlib.Path(folder), "trained", *arguments)
        frozen = symbols(compiler, eigen, pathlib.Path(folder), "frozen", "-DFROZEN", *arguments)
    errors = []
    if trained != OF_INPUTS | OF_WEIGHTS:
        errors.append(f"the trained layers lack {sorted((OF_INPUTS | OF_WEIGHTS) - trained)}")
    if frozen != OF_INPUTS:
        errors.append(f"the frozen layers have {sorted(frozen)}, expected {sorted(OF_INPUTS)}")
    for error in errors:
        print(error)
    print(f"trained: {len(trained)} of 5 gradient kernels, frozen: {len(frozen)}")
    sys.exit(1 if errors else 0)


main()
