"""What a probe prints in a program of its own it must print beside the others: compare.py ALONE... TOGETHER TOGETHER"""
import subprocess
import sys


def lines(program):
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()


*alone, forwards, backwards = sys.argv[1:]
expected = sorted(line for program in alone for line in lines(program))
print(*expected, sep="\n")
failed = False
for program in (forwards, backwards):
    got = sorted(lines(program))
    if got != expected:
        failed = True
        print(f"{program}: functions of one object were replaced by another's:", *got, sep="\n")
sys.exit(failed)
