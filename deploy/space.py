"""Send the app to a Hugging Face Space: `make space OWNER/NAME`, with ARGS=--dry-run to see what would be sent."""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SENT = (
    "README.md",
    "LICENSE",
    "CITATION.cff",
    "app.py",
    "requirements.txt",
    "jpegdl/",
    "assets/",
    "checkpoints/",
    "docs/",
)
POINTER = b"version https://git-lfs"  # 130 bytes in place of weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("space", help="OWNER/NAME; it is made if it does not exist")
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    arguments = parser.parse_args()
    if arguments.space.count("/") != 1 or not all(arguments.space.split("/")):
        parser.error(f"expected OWNER/NAME, got {arguments.space!r}")
    files = files_to_send(ROOT)
    for path in files:
        print(f"{(ROOT / path).stat().st_size:>12,}  {path}")
    total = sum((ROOT / path).stat().st_size for path in files)
    print(f"{total:>12,}  bytes in {len(files)} files for {arguments.space}")
    if arguments.dry_run:
        print("Nothing was sent.")
    else:
        print(send(arguments.space, files))


def files_to_send(root: Path) -> list[str]:
    """The committed files that the Space needs. Ends the program for what is changed, missing or only a pointer."""
    listed = git(root, "ls-files", "-z", "--", *SENT)
    files = sorted(filter(None, listed.split("\0")))
    if changed := git(root, "status", "--porcelain", "--", *SENT).strip():
        sys.exit(f"Commit or take back first, so that the Space is what a commit says:\n{changed}")
    if not {"app.py", "README.md", "requirements.txt"} <= set(files):
        sys.exit("The app is not complete here; start from a fresh clone.")
    for path in files:
        with (root / path).open("rb") as file:
            if file.read(len(POINTER)) == POINTER:
                sys.exit(f"{path} is a pointer, not the file; get it with `git lfs pull`.")
    return files


def git(root: Path, *command: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *command], capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        sys.exit(f"This needs a git clone: {done.stderr.strip()}")
    return done.stdout


def send(space: str, files: list[str]) -> str:
    """One commit that makes the Space hold these files and no others; returns its address."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi()
    api.create_repo(space, repo_type="space", space_sdk="gradio", exist_ok=True)
    there = {path for path in api.list_repo_files(space, repo_type="space") if path != ".gitattributes"}
    commit = git(ROOT, "rev-parse", "--short", "HEAD").strip()
    done = api.create_commit(
        space,
        [
            *(CommitOperationAdd(path, str(ROOT / path)) for path in files),
            *(CommitOperationDelete(path) for path in sorted(there - set(files))),
        ],
        commit_message=f"JPEG-DL Explorer {commit}",
        repo_type="space",
    )
    return str(done.commit_url)


if __name__ == "__main__":
    main()
