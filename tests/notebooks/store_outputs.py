"""Executes the notebooks in place, over the sample city that nbval compares them with.

Run by ``make notebooks``. Names of notebooks as arguments limit it to these.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))

from conftest import copied_city, make_city  # noqa: E402 - found through the line above


def store_outputs(path: Path) -> None:
    """Execute one notebook and write it back, without what differs from machine to machine.

    Execution counts stay, as nbval needs them. An error leaves the file as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, kernel_name="python3", record_timing=False, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def main(names: list[str]) -> None:
    with make_city() as city:
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            if not names or path.stem in names:
                print(path.name, flush=True)
                with copied_city(city):
                    store_outputs(path)


if __name__ == "__main__":
    main(sys.argv[1:])
