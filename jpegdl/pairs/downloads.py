"""What people have in place of a large file: nothing, a pointer, a web page."""

_LFS_POINTER = b"version https://git-lfs"
_PAGE = (b"<!doctype html", b"<html", b"<?xml")


def instead_of_a_file(head: bytes) -> str | None:
    """What is wrong with a file that begins with `head`, some hundred bytes, as the rest of a sentence, or None."""
    if not head:
        return "is empty; download it again"
    if head.startswith(_LFS_POINTER):
        return "is a Git LFS pointer, not the file itself; run `git lfs pull`"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGE):
        return "is a web page, not the file itself; download it again and look at what the address answers"
    return None
