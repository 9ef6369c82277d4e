"""Compiles a .cu file with the given options and looks at what became of its kernels: none spills registers beyond its
bound, those of the matrix units use them, in PTX and, where cuobjdump and nvdisasm are found, in machine code, and those
that may begin before their operands are there touch no memory before they have waited: resources.py NVCC FILE OPTION..."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import house

# Bytes that a thread may write to memory for want of registers, on the worst architecture; 0 for what is not named.
# K = 128 with twice 16 rows a warp is worth it: the smaller tile keeps all in registers and is slower.
SPILLS = {
    "attention_forward_matrix_kernel<128, 2, ": 96,
    "attention_backward_q_matrix_kernel<128, 2, ": 48,
    "attention_backward_kv_matrix_kernel<128, ": 8,
    "packed_rows_": 64,  # 4 bits: a third block on the multiprocessor is worth more
    "attention_decode_kernel<": 8,  # ptxas would rather have another block on the multiprocessor
}
# Kernels of the matrix units by name, and their instructions in PTX and in machine code: any one of a pair's.
MATRIX_KERNEL, HOPPER_KERNEL = r"_(matrix|hopper|rows_bf16)_kernel", r"_hopper_kernel"  # the latter's are empty elsewhere
MATRIX_PTX, MATRIX_CODE = r"\b(mma\.sync|wgmma\.mma_async)", r"\b(HMMA|HGMMA)\."
# What waits for the kernels before (sm_90 on), and what reads or writes memory that they may write.
WAIT, TOUCH = "griddepcontrol.wait", r"\b(?:ld|ldu|st|atom|red|cp)\.(?!param|shared|const|local)\S*"
KERNEL = r"(\w+<.*>)\("  # of a demangled name


def names_of(mangled):
    """Kernel and template arguments for each mangled name."""
    text = subprocess.run(["c++filt"], input="\n".join(mangled), capture_output=True, text=True, check=True).stdout
    plain = [name.replace("flamingo::raw::", "") for name in text.splitlines()]
    return {m: found[1] if (found := re.search(KERNEL, p)) else p for m, p in zip(mangled, plain)}


def spills(log):
    """(mangled name, architecture, bytes) of each kernel that ptxas -v tells of."""
    pattern = r"entry function '(\S+)' for '(\w+)'.*?(\d+) bytes spill stores"
    return [(m[1], m[2], int(m[3])) for m in re.finditer(pattern, log, re.S)]


def without(kinds, parts):
    """Names of kernels of the matrix units in whose text there is no such instruction, and how many kernels there are."""
    names = names_of([name for _, name, _ in parts])
    matrix = [(names[name], text) for head, name, text in parts if re.search(MATRIX_KERNEL, names[name]) and
              ("sm_90a" in head or not re.search(HOPPER_KERNEL, names[name]))]
    return [name for name, text in matrix if not re.search(kinds, text)], len(matrix)


def hasty(parts):
    """Of kernels that wait for those before them, what touches memory earlier; and how many such kernels there are."""
    waiting = [(name, text.partition(WAIT)[0]) for _, name, text in parts if WAIT in text]
    names = names_of([name for name, _ in waiting])
    return [f"{names[name]}: {touch[0]}" for name, text in waiting if (touch := re.search(TOUCH, text))], len(waiting)


def ptx_parts(folder):
    for file in sorted(folder.glob("*.ptx")):
        head, *texts = file.read_text().split(".entry ")  # braces do not tell the end: inline PTX has its own
        for text in texts:
            yield head, text.split("(", 1)[0], text


def code_parts(cuobjdump, folder):
    for file in sorted(folder.glob("*.cubin")):
        code = subprocess.run([cuobjdump, "-sass", file], capture_output=True, text=True, check=True).stdout
        head, *texts = code.split("Function : ")
        for text in texts:
            yield head, text.split(None, 1)[0], text


def main():
    nvcc, source, *options = sys.argv[1:]
    errors = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        done = subprocess.run([nvcc, *options, "-Xptxas", "-v", "--keep", "--keep-dir", folder, "-fatbin", source, "-o",
                               folder / "out.fatbin"], capture_output=True, text=True)
        if done.returncode:
            house.finish(source, [done.stdout + done.stderr])
        found = spills(done.stdout + done.stderr)
        names = names_of([mangled for mangled, _, _ in found])
        for mangled, architecture, amount in found:
            bound = next((b for k, b in SPILLS.items() if names[mangled].startswith(k)), 0)
            if amount > bound:
                errors.append(f"{names[mangled]} spills {amount} bytes on {architecture}; at most {bound} are accepted")
        if not found:
            errors.append("ptxas told nothing of any kernel")

        ptx = list(ptx_parts(folder))
        looked = [("PTX", *without(MATRIX_PTX, ptx))]
        early, waiting = hasty(ptx)
        errors += [f"{what} before it has waited for the kernels before it" for what in early]
        cuobjdump, disassembler = (shutil.which(tool) or shutil.which(tool, path=pathlib.Path(nvcc).parent)
                                   for tool in ("cuobjdump", "nvdisasm"))
        has_tools = cuobjdump and disassembler  # the one calls the other
        if has_tools:
            looked.append(("machine code", *without(MATRIX_CODE, list(code_parts(cuobjdump, folder)))))
        for kind, lacking, count in looked:
            errors += [f"{name} multiplies without the matrix units in {kind}" for name in lacking]
            if not count:
                errors.append(f"no kernel of the matrix units in {kind}")
    most = max((amount for _, _, amount in found), default=0)
    if not waiting:
        errors.append("no kernel waits for those before it: none can begin early")
    house.finish(f"{len(found)} kernels, {waiting} of which may begin early, at most {most} bytes spilt, matrix units in " +
                 ", ".join(f"{count} of {kind}" for kind, _, count in looked) +
                 ("" if has_tools else "; machine code not looked at: no cuobjdump with nvdisasm"), errors)


main()
