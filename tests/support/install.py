"""Fetches what the tests need, with visible progress: `python -m support.install`."""

import sys
from concurrent.futures import ThreadPoolExecutor

from support.binaries import Unobtainable, chosen_s3, postgres_programs, s3_program
from support.environments import programs
from support.java_client import class_path
from support.mlflow_environments import needed


def main() -> None:
    try:
        print(f"PostgreSQL: {postgres_programs()}")
        print(f"S3 server:  {s3_program(chosen_s3())}")
        # Half of an installation is waiting for the network.
        with ThreadPoolExecutor(2) as pool:
            wanted = needed()
            for environment, folder in zip(wanted, pool.map(programs, wanted), strict=True):
                print(f"{environment.name}: {folder}")
        print(f"mlflow-java: {class_path()}")
    except Unobtainable as error:
        sys.exit(f"The tests cannot run: {error}")


if __name__ == "__main__":
    main()
