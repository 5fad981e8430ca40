"""Runs a program, and all that it starts, as on a kernel that lacks calls: `lacking.py ERRNO CALL,CALL… PROGRAM ARGUMENT…`."""

import os
import sys

# Started by itself, without what pytest is told of.
sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Fixtures"))

from attackers import without

number, names, *command = sys.argv[1:]
without(*names.split(","), code=int(number))()
os.execvp(command[0], command)
