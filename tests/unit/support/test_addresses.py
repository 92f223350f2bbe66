"""The address check finds what it is for and leaves the rest alone."""

import pytest

from support.addresses import faults_in

# In pieces: the check reads this file too.
HOST = "files." + "pythonhosted.org"
INDEX = "--index" + "-url"
PROXY = "GO" + "PROXY"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Makefile", f"curl https://{HOST}/x.whl"),
        ("constraints.txt", "numpy @ https://example.com/numpy.whl"),
        ("clients/web/package-lock.json", '"resolved": "https://mirror.example.com/react.tgz"'),
        ("deploy/images/Dockerfile", f"RUN pip install {INDEX}=http://mirror/simple x"),
        ("deploy/images/Dockerfile", f"ENV {PROXY}=https://mirror"),
    ],
)
def test_an_address_is_found(name: str, text: str) -> None:
    (fault,) = faults_in(name, f"first line\n{text}\n")
    assert fault.startswith(f"{name}:2:")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.md", "pip install runstone  # from PyPI"),
        ("README.md", "see https://example.com/"),
        ("constraints.txt", "numpy==2.4.6"),
        (
            "clients/go/go.sum",
            "github.com/google/uuid v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=",
        ),
    ],
)
def test_what_is_no_address_passes(name: str, text: str) -> None:
    assert list(faults_in(name, text)) == []
