"""`python -m stack.dashboards`: writes the dashboards and alert rules; `--check` compares them."""

import sys
from pathlib import Path

from stack.dashboards.written import FOLDER_PATH, files


def main() -> None:
    """Write the files, or name those that are not as the code says and exit with 1."""
    check = sys.argv[1:] == ["--check"]
    stale = [path for path, text in files().items() if _read(path) != text]
    for path in stale:
        if not check:
            path.write_text(files()[path], encoding="utf-8")
        print(f"{path.relative_to(FOLDER_PATH.parent)}: {'out of date' if check else 'written'}")
    if check and stale:
        sys.exit("make dashboards")


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    main()
