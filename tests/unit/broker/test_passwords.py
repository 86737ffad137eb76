import base64
import hashlib

import pytest

from broker.passwords import UserNameError, password_file, password_line


def test_a_line_holds_the_hash_that_mosquitto_computes_from_salt_and_password() -> None:
    user, _, stored = password_line("press-1", "a word").strip().partition(":")
    empty, scheme, rounds, salt, digest = stored.split("$")

    assert (user, empty, scheme) == ("press-1", "", "7")
    assert base64.b64decode(digest) == hashlib.pbkdf2_hmac(
        "sha512", b"a word", base64.b64decode(salt), int(rounds)
    )


def test_two_users_with_one_password_have_different_lines() -> None:
    first, second = password_file({"a": "same", "b": "same"}).splitlines()

    assert first.partition(":")[2] != second.partition(":")[2]


@pytest.mark.parametrize("user", ["", "a:b", "a\nb", "a\rb", "a\0b"])
def test_a_name_that_the_file_cannot_hold_is_refused(user: str) -> None:
    with pytest.raises(UserNameError):
        password_line(user, "a word")
