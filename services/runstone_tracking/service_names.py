"""Names for runs that come without one."""

from __future__ import annotations

import secrets
from typing import Protocol

_ADJECTIVES = """
able amber ample azure bold brave bright brisk calm candid clean clear clever cosmic crisp
curious daring deft eager early earnest fair fine fleet fond frank fresh gentle glad golden
grand happy hardy honest humble keen kind lively loyal lucid lunar mellow merry mild modest neat
nimble noble patient placid polite proud quick quiet rapid ready robust royal serene sharp shiny
silent silver smart smooth solar solid sound spry stable steady stern stout subtle sunny sure
swift tidy tranquil upbeat vivid warm wise witty zesty
"""

_NOUNS = """
ant badger bass bat bear beaver bee bison boar buck bug calf carp cat chimp cod colt conch cow
crab crane cricket crow cub deer dolphin dove duck eagle eel elk ewe falcon fawn finch fish fox
frog gnat goat goose grouse gull hare hawk hen heron hog horse hound jay kit koi lamb lark loon
lynx mare mink mole moose moth mouse mule newt otter owl ox panda perch pig pike pony puma quail
ram rat raven ray robin rook seal shark sheep shrew shrike skink slug smelt snail snake snipe
sow sparrow squid stag stork swan tern toad trout vole wasp whale wolf wren yak zebra
"""

ADJECTIVES = tuple(_ADJECTIVES.split())
NOUNS = tuple(_NOUNS.split())


class NameMaker(Protocol):
    """Makes up names. MUST be safe to call from many threads; names may repeat."""

    def run_name(self) -> str:
        """A name such as ``bold-heron-417``."""
        ...


class RandomNames:
    """About nine million names, chosen evenly."""

    def run_name(self) -> str:
        """A name such as ``bold-heron-417``."""
        number = secrets.randbelow(1000)
        return f"{secrets.choice(ADJECTIVES)}-{secrets.choice(NOUNS)}-{number}"
