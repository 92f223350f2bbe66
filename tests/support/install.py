"""Fetches the servers that the tests need, with visible progress: `python -m support.install`."""

import sys

from support.binaries import Unobtainable, chosen_s3, postgres_programs, s3_program


def main() -> None:
    try:
        print(f"PostgreSQL: {postgres_programs()}")
        print(f"S3 server:  {s3_program(chosen_s3())}")
    except Unobtainable as error:
        sys.exit(f"The tests cannot run: {error}")


if __name__ == "__main__":
    main()
