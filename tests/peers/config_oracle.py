"""What Python makes of configuration files and file name patterns, for tests/socketreader/grammar.rs.

usage: python2.7 config_oracle.py SEED COUNT > tests/data/socketreader/grammar.json

Prints made-up files with the sections, values and faulty lines that Python 2.7's ConfigParser finds in them, and
patterns with the names they match. The same seed makes the same files.
"""
import fnmatch
import json
import random
import sys

try:
    import ConfigParser as configparser
    from StringIO import StringIO
except ImportError:
    sys.exit("this needs Python 2.7: later versions have another grammar")

PIECES = [
    "[a]", "[b]", "[a]x", "[DEFAULT]", "[general]", "[ a ]", "[]", "[a", "]", "x", "Y", "port", "long name", "=", ":",
    " = ", ": ", " ;", ";", "; c", "#", "# c", " ", "  ", "\t", "1", "two words", '""', '"q"', "'q'", "%", "%%", "%(x)s",
    "%(Y)s", "%(__name__)s", "%(none)s", "%(x)", "rem", "REM ", "rem=1", "\r", "\x0b", "\xe4", "a=b=c", "a:b",
]
LINES = ["[a]", "[b]", "[DEFAULT]", "x = 1", "y: 2 ; c", "  more", "\tmore ; kept", "# c", "; c", "", "  # kept", "z=%(x)s"]


def a_line(dice):
    kind = dice.random()
    if kind < 0.4:
        return dice.choice(LINES)
    if kind < 0.9:
        name = dice.choice(["x", "X ", "y", "port", "long name", "z", "__name__ "])
        rest = "".join(dice.choice(PIECES) for _ in range(dice.randint(0, 4)))
        return name + dice.choice(["=", ":", " = ", "= "]) + rest
    return "".join(dice.choice(PIECES) for _ in range(dice.randint(1, 6)))


def a_file(dice):
    start = dice.choice(["", "[a]\n", "[a]\n", "[DEFAULT]\n", "[a]\nx = 1\n"])
    return start + dice.choice(["\n", "\r\n"]).join(a_line(dice) for _ in range(dice.randint(0, 12)))


def read(text):
    """The sections with their options, or the lines at fault."""
    parser = configparser.ConfigParser()
    try:
        parser.readfp(StringIO(text))
    except configparser.MissingSectionHeaderError as error:
        return {"headless": error.lineno}
    except configparser.ParsingError as error:
        return {"faults": [line for line, _ in error.errors]}
    sections = {}
    for section in parser.sections():
        options = {}
        for option in parser.options(section):
            if option != "__name__":
                options[option] = value(parser, section, option)
        sections[section] = options
    return {"sections": sections}


def value(parser, section, option):
    """The value, or null where Python cannot put its references in place."""
    try:
        return parser.get(section, option)
    except (configparser.InterpolationError, AttributeError, TypeError, ValueError):
        return None


MASK = ["*", "*", "?", "[", "]", "[ab]", "[!ab]", "[a-c]", "[]]", "[!]]", "[^a]", "a", "b", "c", ".", "-", "!", "^", "\\", ".hl7", "_"]
NAME = ["a", "b", "c", "d", ".", "-", "!", "^", "\\", "[", "]", ".hl7", "_", "A"]


def a_mask(dice):
    mask = "".join(dice.choice(MASK) for _ in range(dice.randint(1, 5)))
    names = ["".join(dice.choice(NAME) for _ in range(dice.randint(1, 5))) for _ in range(8)]
    try:
        # The leading dot is our own rule.
        found = [name for name in names if fnmatch.fnmatchcase(name, mask) and (name[0] != "." or mask[0] == ".")]
    except Exception:
        return None
    return {"mask": mask, "names": names, "match": found}


def main():
    dice = random.Random(int(sys.argv[1]))
    count = int(sys.argv[2])
    files = []
    for _ in range(count):
        text = a_file(dice)
        files.append({"text": text, "python": read(text)})
    masks = [mask for mask in (a_mask(dice) for _ in range(count)) if mask]
    # Bytes go as Latin-1, one character each.
    json.dump({"files": files, "masks": masks}, sys.stdout, encoding="latin-1", indent=0, sort_keys=True, separators=(",", ":"))
    sys.stdout.write("\n")


main()
