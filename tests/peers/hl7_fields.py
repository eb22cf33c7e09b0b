"""Prints every value of a message as python-hl7 reads it: one JSON array [path, text] a line.

The message is read from the file that is named, as UTF-8 if it is, else as Latin-1. Values that hold an escape
sequence python-hl7 has its own view of are left out; the last line counts them.
"""

import json
import re
import sys

import hl7


def main():
    data = open(sys.argv[1], "rb").read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    message = hl7.parse(re.sub(r"\r\n|\n", "\r", text))
    escape = re.escape(message.esc)
    ours_and_theirs = re.compile(f"{escape}[FSTRE]{escape}")
    skipped = 0
    seen = {}
    for segment in message:
        name = str(segment[0])
        seen[name] = seen.get(name, 0) + 1
        place = f"{name}[{seen[name]}]"
        header = name in ("MSH", "FHS", "BHS")
        for n in range(1, len(segment)):
            if header and n <= 2:
                print(json.dumps([f"{place}-{n}", str(segment[n])]))
                continue
            for path, value in leaves(f"{place}-{n}", segment[n]):
                if message.esc in ours_and_theirs.sub("", value):
                    skipped += 1
                    continue
                print(json.dumps([path, message.unescape(value)]))
    print(json.dumps(skipped))


def leaves(place, field):
    """The leaves of a field with their paths: repetition in brackets, then component and subcomponent."""
    for r, repetition in enumerate(field, 1):
        if not isinstance(repetition, hl7.Repetition):
            yield f"{place}[{r}]", repetition
            continue
        for c, component in enumerate(repetition, 1):
            if not isinstance(component, hl7.Component):
                yield f"{place}[{r}].{c}", component
                continue
            for s, subcomponent in enumerate(component, 1):
                yield f"{place}[{r}].{c}.{s}", subcomponent


if __name__ == "__main__":
    main()
