"""Puts the notebooks into the wheel; all else of the build is in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithNotebooks(build_py):
    """Copies ``notebooks/*.ipynb`` into the package, which an editable install does not need: it has them beside."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "sentinel_etl", "notebooks")
            target.mkdir(parents=True, exist_ok=True)
            for notebook in sorted(Path(__file__).parent.joinpath("notebooks").glob("*.ipynb")):
                shutil.copyfile(notebook, target / notebook.name)


setup(cmdclass={"build_py": BuildWithNotebooks})
